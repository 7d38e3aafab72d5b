//! The device, contexts, streams and events, and how many handles live.

use super::*;

#[test]
fn device_and_context() {
    let _alone = uninitialised();
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(cuInit(0), 0);
        assert_eq!(given::<c_int>(|v| cuDriverGetVersion(v)), 12040);
        assert_eq!(given::<c_int>(|v| cuDeviceGetCount(v)), 1);
        assert_eq!(given::<c_int>(|v| cuDeviceGet(v, 0)), 0);
        assert_eq!(cuDeviceGet(&mut 0, 1), 101);
        let mut name = [0u8; 9];
        assert_eq!(cuDeviceGetName(name.as_mut_ptr().cast(), 9, 0), 0);
        assert_eq!(&name, b"cuda-sim\0");
        assert_eq!(given::<c_int>(|v| cuDeviceGetAttribute(v, 75, 0)), 8);
        assert_eq!(given::<c_int>(|v| cuDeviceGetAttribute(v, 115, 0)), 1);
        assert_eq!(given::<usize>(|v| cuDeviceTotalMem_v2(v, 0)), 8 << 30);

        let context = handle(|h| cuDevicePrimaryCtxRetain(h, 0));
        let mut active = 0;
        assert_eq!(cuDevicePrimaryCtxGetState(0, &mut 0, &mut active), 0);
        assert_eq!(active, 1);
        assert_eq!(cuCtxSetCurrent(context), 0);
        assert_eq!(handle(|h| cuCtxGetCurrent(h)), context);
        assert_eq!(cuCtxPushCurrent_v2(context), 0);
        assert_eq!(handle(|h| cuCtxPopCurrent_v2(h)), context);
        assert_eq!(cuCtxSetCurrent(null_mut()), 0);
        assert!(handle(|h| cuCtxGetCurrent(h)).is_null());
        assert_eq!(cuCtxSetCurrent(16 as Handle), 201);
        assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 0);
        assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 201);

        assert_eq!(text(|t| cuGetErrorName(700, t)), "CUDA_ERROR_ILLEGAL_ADDRESS");
        assert_eq!(text(|t| cuGetErrorString(2, t)), "out of memory");
        assert_eq!(cuGetErrorName(12345, &mut null()), 1);
    }
}

/// Every call on a context needs one that is current and retained.
#[test]
fn calls_without_a_context_fail() {
    let _alone = uninitialised();
    // SAFETY: all pointers are valid.
    unsafe {
        let all = |code: c_int| {
            let (mut handle, mut address, image) = (null_mut(), 0, c(MODULE));
            let calls = [
                ("cuCtxSynchronize", cuCtxSynchronize()),
                ("cuStreamCreate", cuStreamCreate(&mut handle, 1)),
                ("cuStreamSynchronize", cuStreamSynchronize(null_mut())),
                ("cuEventCreate", cuEventCreate(&mut handle, 0)),
                ("cuMemAlloc", cuMemAlloc_v2(&mut address, 4)),
                ("cuMemAllocAsync", cuMemAllocAsync(&mut address, 4, null_mut())),
                ("cuMemFree", cuMemFree_v2(0)),
                ("cuMemGetInfo", cuMemGetInfo_v2(&mut 0, &mut 0)),
                ("cuMemHostAlloc", cuMemHostAlloc(&mut handle, 4, 0)),
                ("cuModuleLoadData", cuModuleLoadData(&mut handle, image.as_ptr().cast())),
                ("cuLaunchKernel", scale(null_mut(), 0, 0, 1.0, 1, null_mut())),
                ("cuStreamBeginCapture", cuStreamBeginCapture_v2(null_mut(), 0)),
                ("cuGraphLaunch", cuGraphLaunch(null_mut(), null_mut())),
                ("cuMemcpyHtoD", cuMemcpyHtoD_v2(0, null(), 0)),
            ];
            for (name, result) in calls {
                assert_eq!(result, code, "{name}");
            }
            assert_eq!(cublasCreate_v2(&mut handle), 1, "CUBLAS_STATUS_NOT_INITIALIZED");
        };
        // Other tests of this process may have initialised the driver before.
        if cuDeviceGetCount(&mut 0) == 3 {
            all(3);
        }
        assert_eq!(cuInit(0), 0);
        all(201);
        let context = handle(|h| cuDevicePrimaryCtxRetain(h, 0));
        all(201);
        assert_eq!(cuCtxSetCurrent(context), 0);
        assert_eq!(cuCtxSynchronize(), 0);
        let stream = stream();
        assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 0);
        all(709);
        handle(|h| cuDevicePrimaryCtxRetain(h, 0));
        assert_eq!(cuStreamSynchronize(stream), 400, "the stream went with the context");
        std::thread::scope(|scope| scope.spawn(|| assert_eq!(cuCtxSynchronize(), 201)).join())
            .unwrap();
        assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 0);
    }
}

#[test]
fn streams_and_events() {
    let _alone = alone();
    // SAFETY: all pointers are valid.
    unsafe {
        let (s, other) = (stream(), stream());
        let (start, end) = (handle(|e| cuEventCreate(e, 0)), handle(|e| cuEventCreate(e, 0)));
        assert_eq!(cuEventElapsedTime(&mut 0.0, start, end), 400, "not recorded");
        assert_eq!(cuEventRecord(start, s), 0);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(cuEventRecord(end, s), 0);
        assert!(given::<f32>(|t| cuEventElapsedTime(t, start, end)) >= 2.0);
        assert_eq!(cuStreamWaitEvent(other, end, 0), 0);
        assert_eq!(cuEventQuery(end), 0);
        assert_eq!(cuEventSynchronize(end), 0);
        assert_eq!(cuStreamQuery(other), 0);
        assert_eq!(cuStreamSynchronize(null_mut()), 0);
        let untimed = handle(|e| cuEventCreate(e, 2));
        assert_eq!(cuEventRecord(untimed, s), 0);
        assert_eq!(cuEventElapsedTime(&mut 0.0, start, untimed), 400);
        unsafe extern "C" fn increment(data: *mut c_void) {
            // SAFETY: the test passes a number.
            unsafe { *data.cast::<u32>() += 1 };
        }
        let mut calls = 0u32;
        assert_eq!(cuLaunchHostFunc(s, Some(increment), (&raw mut calls).cast()), 0);
        assert_eq!(calls, 1);
        for event in [start, end, untimed] {
            assert_eq!(cuEventDestroy_v2(event), 0);
            assert_eq!(cuEventRecord(event, s), 400);
        }
        assert_eq!(cuStreamDestroy_v2(other), 0);
        assert_eq!(cuStreamSynchronize(other), 400);
        assert_eq!(cuStreamDestroy_v2(s), 0);
    }
}

#[test]
fn live_handles_are_counted() {
    let _alone = alone();
    // SAFETY: all pointers are valid.
    unsafe {
        let before = cuda_sim_live_handles();
        let (stream, module) = (stream(), load());
        let event = handle(|e| cuEventCreate(e, 0));
        handle(|c| cuDevicePrimaryCtxRetain(c, 0));
        assert_eq!(cuda_sim_live_handles(), before + 4);
        assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 0);
        assert_eq!((cuEventDestroy_v2(event), cuModuleUnload(module)), (0, 0));
        assert_eq!(cuStreamDestroy_v2(stream), 0);
        assert_eq!(cuda_sim_live_handles(), before);
    }
}
