//! The driver API through its C functions.

mod api;
use api::*;
use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};

unsafe extern "C" {
    fn cublasCreate_v2(handle: *mut Handle) -> c_int;
}

const MODULE: &str = "
.version 8.0
.target sm_80
.address_size 64
.global .align 4 .u32 counter = 40;
.extern .shared .align 16 .b8 dynamic[];
.visible .entry scale(.param .u64 x, .param .u32 n, .param .f32 factor)
.maxntid 256, 1, 1
{
    .reg .pred %p<2>; .reg .f32 %f<4>; .reg .b32 %r<8>; .reg .b64 %d<4>;
    ld.param.u64 %d1, [x]; ld.param.u32 %r1, [n]; ld.param.f32 %f1, [factor];
    mov.u32 %r2, %tid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %ctaid.x;
    mad.lo.u32 %r5, %r3, %r4, %r2;
    setp.ge.u32 %p1, %r5, %r1;
    @%p1 ret;
    mul.wide.u32 %d2, %r5, 4; add.s64 %d3, %d1, %d2;
    ld.global.f32 %f2, [%d3]; mul.f32 %f3, %f2, %f1; st.global.f32 [%d3], %f3;
    ret;
}
.visible .entry count()
{
    .reg .b32 %r<4>; .reg .b64 %d<2>;
    mov.u64 %d1, counter; red.global.add.u32 [%d1], 2; ret;
}
.visible .entry share()
{
    .shared .align 4 .b8 fixed[1024];
    .reg .b32 %r<4>;
    mov.u32 %r1, dynamic; st.shared.u32 [%r1], 1; ret;
}
";

fn load() -> Handle {
    let image = c(MODULE);
    // SAFETY: the image is a C string.
    handle(|m| unsafe { cuModuleLoadData(m, image.as_ptr().cast()) })
}

fn function(module: Handle, name: &str) -> Handle {
    let name = c(name);
    // SAFETY: the name is a C string.
    handle(|f| unsafe { cuModuleGetFunction(f, module, name.as_ptr()) })
}

/// Launches `scale` with one block.
fn scale(function: Handle, x: u64, n: u64, factor: f32, threads: u32, stream: Handle) -> c_int {
    let factor = u64::from(factor.to_bits());
    let arguments = pointers([&x, &n, &factor]);
    // SAFETY: there are three arguments, each at least as large as its parameter.
    unsafe {
        cuLaunchKernel(function, 1, 1, 1, threads, 1, 1, 0, stream, arguments.as_ptr(), null())
    }
}

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
fn memory() {
    let _alone = alone();
    // SAFETY: all pointers are valid.
    unsafe {
        let before = cuda_sim_live_allocations();
        let (a, b) = (alloc(100), alloc(4));
        assert_eq!(cuda_sim_live_allocations(), before + 2);
        assert_eq!(a % 256, 0);
        assert_ne!(a >> 48, 0, "no host maps such an address");
        assert_eq!(cuMemAlloc_v2(&mut 0, 0), 1);
        assert_eq!(cuMemAlloc_v2(&mut 0, 9 << 30), 2);
        assert_eq!(cuMemFree_v2(a + 4), 1);
        let (mut free_bytes, mut total) = (0, 0);
        assert_eq!(cuMemGetInfo_v2(&mut free_bytes, &mut total), 0);
        assert!(total == 8 << 30 && free_bytes < total);
        let mut kind: c_int = 0;
        assert_eq!(cuPointerGetAttribute((&raw mut kind).cast(), 2, a + 50), 0);
        assert_eq!(kind, 2);
        assert_eq!(cuPointerGetAttribute((&raw mut kind).cast(), 2, &raw const kind as u64), 1);
        let mut size = 0usize;
        assert_eq!(cuPointerGetAttribute((&raw mut size).cast(), 12, a + 50), 0);
        assert_eq!(size, 100);
        assert_eq!(cuMemFree_v2(a), 0);
        assert_eq!(cuMemFree_v2(a), 1);
        assert_eq!(cuMemFree_v2(0), 0);
        let async_one = given::<u64>(|p| cuMemAllocAsync(p, 16, null_mut()));
        assert_eq!(cuMemFreeAsync(async_one, null_mut()), 0);
        assert_eq!(cuMemFree_v2(b), 0);
        assert_eq!(cuda_sim_live_allocations(), before);

        let pinned = handle(|p| cuMemHostAlloc(p, 64, 0));
        pinned.cast::<u64>().write(5);
        assert_eq!(cuPointerGetAttribute((&raw mut kind).cast(), 2, pinned as u64 + 63), 0);
        assert_eq!(kind, 1);
        assert_eq!(cuPointerGetAttribute((&raw mut kind).cast(), 2, pinned as u64 + 64), 1);
        assert_eq!(cuMemFreeHost(pinned), 0);
        assert_eq!(cuMemFreeHost(pinned), 1);
        let pool = handle(|p| cuDeviceGetDefaultMemPool(p, 0));
        let (threshold, mut read) = (1u64 << 40, 0u64);
        assert_eq!(cuMemPoolSetAttribute(pool, 4, (&raw const threshold).cast()), 0);
        assert_eq!(cuMemPoolGetAttribute(pool, 4, (&raw mut read).cast()), 0);
        assert_eq!(read, threshold);
    }
}

#[test]
fn pools() {
    let _alone = alone();
    // A CUmemPoolProps: pinned memory, no handles, on device 0 or 1.
    let properties = |handles: u32, device: u32| {
        let mut words = [0u32; 22];
        (words[0], words[1], words[2], words[3]) = (1, handles, 1, device);
        words
    };
    // SAFETY: all pointers are valid.
    unsafe {
        let before = cuda_sim_live_allocations();
        let create = |words: [u32; 22]| {
            let mut pool = null_mut();
            (cuMemPoolCreate(&mut pool, words.as_ptr().cast()), pool)
        };
        assert_eq!(create(properties(1, 0)).0, 801, "no handles of pools");
        assert_eq!(create(properties(0, 1)).0, 101, "no such device");
        assert_eq!(cuMemPoolCreate(&mut null_mut(), null()), 1);
        let (status, pool) = create(properties(0, 0));
        assert_eq!(status, 0);
        assert_eq!(cuda_sim_live_allocations(), before + 1, "a pool is counted");

        let (threshold, mut read) = (1u64 << 30, 0u64);
        assert_eq!(cuMemPoolSetAttribute(pool, 4, (&raw const threshold).cast()), 0);
        assert_eq!(cuMemPoolGetAttribute(pool, 4, (&raw mut read).cast()), 0);
        assert_eq!(read, threshold);
        let default = handle(|p| cuDeviceGetDefaultMemPool(p, 0));
        assert_eq!(cuMemPoolGetAttribute(default, 4, (&raw mut read).cast()), 0);
        assert_ne!(read, threshold, "each pool has its own");

        let a = given::<u64>(|p| cuMemAllocFromPoolAsync(p, 16, pool, null_mut()));
        assert_eq!(cuMemsetD8_v2(a, 1, 16), 0);
        assert_eq!(cuMemPoolTrimTo(pool, 0), 0);
        assert_eq!(cuMemPoolDestroy(default), 1);
        assert_eq!(cuMemPoolDestroy(pool), 0);
        assert_eq!(cuMemPoolDestroy(pool), 400);
        assert_eq!(cuMemAllocFromPoolAsync(&mut 0, 16, pool, null_mut()), 400);
        assert_eq!(cuMemFreeAsync(a, null_mut()), 0, "memory outlives its pool");
        assert_eq!(cuda_sim_live_allocations(), before);
    }
}

#[test]
fn copies_and_fills() {
    let _alone = alone();
    let a = upload(&[1u32, 2, 3, 4]);
    let b = alloc(16);
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(download::<u32>(b, 4), [u32::MAX; 4], "nothing was written");
        assert_eq!(cuMemcpyDtoD_v2(b, a + 4, 8), 0);
        assert_eq!(download::<u32>(b, 4), [2, 3, u32::MAX, u32::MAX]);
        assert_eq!(cuMemsetD8_v2(b + 8, 7, 4), 0);
        assert_eq!(cuMemsetD32Async(b + 12, 9, 1, null_mut()), 0);
        assert_eq!(download::<u32>(b, 4), [2, 3, 0x0707_0707, 9]);
        assert_eq!(cuMemsetD32Async(b + 2, 9, 1, null_mut()), 1);
        assert_eq!(cuMemcpyHtoD_v2(b + 8, [0u32; 3].as_ptr().cast(), 12), 1);
        assert!(last_fault().contains("running past its end"), "{}", last_fault());
        assert_eq!(cuMemcpyDtoH_v2([0u32; 8].as_mut_ptr().cast(), a, 32), 1);
        assert_eq!(cuMemcpyHtoD_v2(a, null(), 4), 1);
    }
    free(&[a, b]);
    let mut value = 0u32;
    // SAFETY: the target has four bytes.
    assert_eq!(unsafe { cuMemcpyDtoH_v2((&raw mut value).cast(), a, 4) }, 1);
    assert!(last_fault().contains("freed 16-byte buffer"), "{}", last_fault());
}

#[test]
fn modules() {
    let _alone = alone();
    let module = load();
    // SAFETY: all pointers are valid.
    unsafe {
        let f = function(module, "scale");
        assert_eq!(function(module, "scale"), f, "the same function has the same handle");
        assert_eq!(cuModuleGetFunction(&mut null_mut(), module, c("none").as_ptr()), 500);
        assert_eq!(given::<c_int>(|v| cuFuncGetAttribute(v, 0, f)), 256);
        let share = function(module, "share");
        assert_eq!(given::<c_int>(|v| cuFuncGetAttribute(v, 1, share)), 1024);
        assert_eq!(cuFuncSetAttribute(share, 8, 100 << 10), 0);
        assert_eq!(given::<c_int>(|v| cuFuncGetAttribute(v, 8, share)), 100 << 10);
        assert_eq!(cuFuncSetAttribute(share, 8, 163 << 10), 1);
        let blocks =
            given::<c_int>(|v| cuOccupancyMaxActiveBlocksPerMultiprocessor(v, f, 256, 40 << 10));
        assert_eq!(blocks, 4);

        let (mut address, mut bytes) = (0, 0);
        let name = c("counter");
        assert_eq!(cuModuleGetGlobal_v2(&mut address, &mut bytes, module, name.as_ptr()), 0);
        assert_eq!((bytes, download::<u32>(address, 1)[0]), (4, 40));
        let count = function(module, "count");
        assert_eq!(cuLaunchKernel(count, 2, 1, 1, 3, 1, 1, 0, null_mut(), null(), null()), 0);
        assert_eq!(download::<u32>(address, 1), [52]);

        let bad = c(".visible .entry k()\n{\n  wgmma.fence;\n}");
        assert_eq!(cuModuleLoadData(&mut null_mut(), bad.as_ptr().cast()), 218);
        assert_eq!(last_fault(), "PTX line 3: wgmma.fence is not supported");
        let mut log = [b'x'; 24];
        let (options, values) = ([6, 5], [24 as *mut c_void, log.as_mut_ptr().cast()]);
        let image = bad.as_ptr().cast();
        let load = |count| {
            cuModuleLoadDataEx(&mut null_mut(), image, count, options.as_ptr(), values.as_ptr())
        };
        assert_eq!((load(1), log[0]), (218, b'x'), "a size without a buffer");
        assert_eq!((load(2), &log), (218, b"PTX line 3: wgmma.fence\0"));
        assert_eq!(cuModuleLoadData(&mut null_mut(), c"\x7fELF".as_ptr().cast()), 200);
        assert_eq!(cuModuleUnload(module), 0);
        assert_eq!(cuModuleUnload(module), 400);
        assert_eq!(scale(f, 0, 0, 1.0, 1, null_mut()), 400);
    }
}

/// The simulated driver is one of CUDA 12.4, which knows PTX 8.4, and the device has capability 8.0.
#[test]
fn modules_that_are_too_new() {
    let _alone = alone();
    for (version, target, expected) in [
        ("8.4", "sm_80", 0),
        ("7.8", "sm_70", 0),
        ("8.5", "sm_80", 222),
        ("9.0", "sm_90", 222),
        ("8.0", "sm_86", 209),
        ("8.0", "sm_80a", 0),
        ("8.0", "sm_90a, debug", 209),
        ("8.0", "sm_75a", 209),
    ] {
        // What follows may be in words that an older driver does not know.
        let body = if expected == 0 { "" } else { "frobnicate" };
        let image = c(&format!(".version {version}\n.target {target}\n{body}\n"));
        // SAFETY: all pointers are valid.
        unsafe {
            let mut module = null_mut();
            let loaded = cuModuleLoadData(&mut module, image.as_ptr().cast());
            assert_eq!(loaded, expected, "{version} {target}");
            if loaded == 0 {
                assert_eq!(cuModuleUnload(module), 0);
            }
        }
    }
    // SAFETY: the pointers are valid.
    unsafe {
        assert_eq!(text(|t| cuGetErrorName(222, t)), "CUDA_ERROR_UNSUPPORTED_PTX_VERSION");
        assert_eq!(text(|t| cuGetErrorName(209, t)), "CUDA_ERROR_NO_BINARY_FOR_GPU");
    }
}

#[test]
fn launches() {
    let _alone = alone();
    let module = load();
    let f = function(module, "scale");
    let x = upload(&[1f32, 2.0, 3.0]);
    assert_eq!(scale(f, x, 3, 2.0, 32, null_mut()), 0);
    assert_eq!(download::<f32>(x, 3), [2.0, 4.0, 6.0]);
    // SAFETY: all pointers are valid.
    unsafe {
        // Arguments as one buffer: 8 bytes of address, 4 of n, 4 of factor.
        let mut buffer = [x, 3 | u64::from(0.5f32.to_bits()) << 32];
        let mut size = 16usize;
        let extra: [*const c_void; 5] = [
            std::ptr::without_provenance(1),
            buffer.as_mut_ptr().cast_const().cast(),
            std::ptr::without_provenance(2),
            (&raw mut size).cast_const().cast(),
            null(),
        ];
        let launched = cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, null_mut(), null(), extra.as_ptr());
        assert_eq!(launched, 0);
        assert_eq!(download::<f32>(x, 3), [1.0, 2.0, 3.0]);
        assert_eq!(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, null_mut(), null(), null()), 1);
        assert_eq!(scale(f, x, 3, 1.0, 257, null_mut()), 1, "more threads than .maxntid");
        assert_eq!(scale(f, x, 3, 1.0, 0, null_mut()), 1);
        assert_eq!(scale(null_mut(), x, 3, 1.0, 1, null_mut()), 400);
        assert_eq!(scale(f, x, 3, 1.0, 1, 64 as Handle), 400, "no such stream");

        let share = function(module, "share");
        let launch =
            |bytes| cuLaunchKernel(share, 1, 1, 1, 1, 1, 1, bytes, null_mut(), null(), null());
        assert_eq!(launch(47 << 10), 0);
        assert_eq!(launch(48 << 10), 1, "static and dynamic together pass 48 KiB");
        assert_eq!(cuFuncSetAttribute(share, 8, 64 << 10), 0);
        assert_eq!(launch(48 << 10), 0);
        assert_eq!(launch(0), 700, "no dynamic shared memory");
        cuda_sim_reset_fault();
    }
    free(&[x]);
    // SAFETY: has no pointers.
    assert_eq!(unsafe { cuModuleUnload(module) }, 0);
}

#[test]
fn faults_stick() {
    let _alone = alone();
    let module = load();
    let f = function(module, "scale");
    let x = upload(&[1f32, 2.0, 3.0]);
    assert_eq!(scale(f, x, 4, 2.0, 32, null_mut()), 700);
    let fault = last_fault();
    for part in ["0 bytes past a 12-byte buffer", "kernel scale", "thread (3, 0, 0)", "PTX line 17"]
    {
        assert!(fault.contains(part), "{fault}");
    }
    // SAFETY: all pointers are valid.
    unsafe {
        assert!(text(|t| cuGetErrorString(700, t)).contains("past a 12-byte buffer"));
        assert_eq!(cuCtxSynchronize(), 700);
        assert_eq!(cuMemAlloc_v2(&mut 0, 4), 700);
        assert_eq!(scale(f, x, 3, 2.0, 32, null_mut()), 700);
        cuda_sim_reset_fault();
        assert_eq!(cuCtxSynchronize(), 0);
        assert_eq!(scale(f, x + 2, 1, 2.0, 1, null_mut()), 716, "misaligned");
        cuda_sim_reset_fault();
        let y = alloc(4);
        assert_eq!(scale(f, y, 1, 2.0, 1, null_mut()), 719, "nothing was written");
        cuda_sim_reset_fault();
        free(&[x, y]);
        assert_eq!(scale(f, x, 1, 2.0, 1, null_mut()), 700);
        assert!(last_fault().contains("freed 12-byte buffer"), "{}", last_fault());
        cuda_sim_reset_fault();
        assert_eq!(cuModuleUnload(module), 0);
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
fn counters() {
    let _alone = alone();
    let module = load();
    let f = function(module, "scale");
    let x = upload(&[1f32; 64]);
    // SAFETY: all pointers are valid.
    let table = unsafe {
        cuda_sim_count_transactions(1);
        assert_eq!(scale(f, x, 64, 2.0, 64, null_mut()), 0);
        assert_eq!(scale(f, x, 64, 2.0, 64, null_mut()), 0);
        let mut buffer = [0u8; 512];
        let length = cuda_sim_stats(buffer.as_mut_ptr().cast(), buffer.len());
        cuda_sim_count_transactions(0);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(
        table,
        "scale launches=2 instructions=1920 requested=1024 moved=1024 missed=1024 conflicts=1.000\n"
    );
    free(&[x]);
    // SAFETY: has no pointers.
    assert_eq!(unsafe { cuModuleUnload(module) }, 0);
}

/// The n-th call fails and no other, and what it leaves is as if it had not been made.
#[test]
fn injected_failures() {
    let _alone = alone();
    let module = load();
    let (x, function) = (upload(&[1f32; 4]), function(module, "scale"));
    // SAFETY: all pointers are valid.
    unsafe {
        cuda_sim_fail_launch(2);
        let codes = [(); 3].map(|()| scale(function, x, 4, 2.0, 32, null_mut()));
        assert_eq!(codes, [0, 701, 0]);
        assert_eq!(download::<f32>(x, 4), [4.0; 4]);
        let (before, mut address) = (cuda_sim_live_allocations(), 0);
        cuda_sim_fail_allocation(1);
        assert_eq!(cuMemAllocAsync(&mut address, 16, null_mut()), 2);
        assert_eq!((address, cuda_sim_live_allocations()), (0, before));
        assert_eq!(cuMemAlloc_v2(&mut address, 16), 0);
        free(&[address]);
        cuda_sim_fail_allocations(2);
        let codes = [(); 3].map(|()| cuMemAlloc_v2(&mut address, 16));
        assert_eq!(codes, [0, 2, 2]);
        cuda_sim_fail_allocations(0);
        free(&[x, address]);
        assert_eq!(cuModuleUnload(module), 0);
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
