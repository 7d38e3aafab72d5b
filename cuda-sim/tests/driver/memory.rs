//! Memory, pools, copies.

use super::*;

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
