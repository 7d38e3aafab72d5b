//! The default memory pool. It keeps nothing: memory is freed at once.

use super::{Handle, Status, api, put, with_state};
use std::ffi::{c_int, c_void};

const DEFAULT: usize = 0x0200_00F1_0000_0010;
/// `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD`.
const RELEASE_THRESHOLD: c_int = 4;

fn check(pool: Handle) -> Result<(), Status> {
    if pool as usize == DEFAULT { Ok(()) } else { Err(Status::INVALID_HANDLE) }
}

api! {
    needs initialised;

    /// The default pool of a device.
    fn cuDeviceGetDefaultMemPool(pool: *mut Handle, device: c_int) {
        super::device::check(device)?;
        put(pool, DEFAULT as Handle)
    }

    /// The current pool of a device.
    fn cuDeviceGetMemPool(pool: *mut Handle, device: c_int) {
        super::device::check(device)?;
        put(pool, DEFAULT as Handle)
    }

    /// Makes a pool current; there is only one.
    fn cuDeviceSetMemPool(device: c_int, pool: Handle) {
        super::device::check(device)?;
        check(pool)
    }

    /// An attribute of the pool: its release threshold, the bytes in use, or a switch.
    fn cuMemPoolGetAttribute(pool: Handle, attribute: c_int, value: *mut c_void) {
        check(pool)?;
        let (threshold, used) =
            with_state(|s| (s.release_threshold, s.device.sim.memory.used() as u64));
        match attribute {
            1..=3 => put(value.cast::<c_int>(), 1),
            RELEASE_THRESHOLD => put(value.cast::<u64>(), threshold),
            5..=8 => put(value.cast::<u64>(), used),
            _ => Err(Status::INVALID_VALUE),
        }
    }

    /// Sets an attribute; only the release threshold is remembered.
    fn cuMemPoolSetAttribute(pool: Handle, attribute: c_int, value: *const c_void) {
        check(pool)?;
        if value.is_null() || !(1..=8).contains(&attribute) {
            return Err(Status::INVALID_VALUE);
        }
        if attribute == RELEASE_THRESHOLD {
            let threshold = value.cast::<u64>().read();
            with_state(|s| s.release_threshold = threshold);
        }
        Ok(())
    }

    /// Gives back unused memory; there is none.
    fn cuMemPoolTrimTo(pool: Handle, bytes: usize) {
        let _ = bytes;
        check(pool)
    }
}

api! {
    needs current;

    /// Allocates from the pool in the order of a stream.
    fn cuMemAllocFromPoolAsync(address: *mut u64, bytes: usize, pool: Handle, stream: Handle) {
        check(pool)?;
        put(address, with_state(|s| s.allocate_async(bytes, stream))?)
    }
}
