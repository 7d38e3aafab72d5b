//! Modules, launches, what they count and how they fail.

use super::*;

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
    assert_eq!(unsafe { (cuCtxSynchronize(), cuModuleUnload(module)) }, (0, 0));
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
