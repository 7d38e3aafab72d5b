//! Memory pools: the default one of the device and those that programs create. They keep nothing:
//! memory is freed at once.

use super::state::State;
use super::{Handle, Status, api, put, with_state};
use std::ffi::{c_int, c_uint, c_void};

const DEFAULT: usize = 0x0200_00F1_0000_0010;
/// `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD`.
const RELEASE_THRESHOLD: c_int = 4;

/// What a pool remembers.
#[derive(Default)]
pub struct Pool {
    /// Released memory that it may keep.
    threshold: u64,
}

/// The head of a `CUmemPoolProps`.
#[repr(C)]
pub struct Properties {
    allocation: c_uint,
    handles: c_uint,
    location: c_uint,
    device: c_int,
}

impl State {
    fn pool(&mut self, pool: Handle) -> Result<&mut Pool, Status> {
        match pool as usize {
            DEFAULT => Ok(&mut self.default_pool),
            _ => self.pools.get_mut(pool),
        }
    }
}

fn check(pool: Handle) -> Result<(), Status> {
    with_state(|s| s.pool(pool).map(|_| ()))
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

    /// Creates a pool of plain device memory; nothing else is simulated.
    fn cuMemPoolCreate(pool: *mut Handle, properties: *const Properties) {
        if properties.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        let Properties { allocation, handles, location, device } = properties.read();
        match (allocation, handles, location) {
            (1, 0, 1) => super::device::check(device)?,
            _ => return Err(Status::NOT_SUPPORTED),
        }
        put(pool, with_state(|s| s.pools.insert(Pool::default())))
    }

    /// Forgets a pool; memory of it that lives is freed as before. As on a device, nothing need be waited
    /// for: that keeps what the pool has until its memory is no longer used.
    fn cuMemPoolDestroy(pool: Handle) {
        match pool as usize {
            DEFAULT => Err(Status::INVALID_VALUE),
            _ => with_state(|s| s.pools.remove(pool)).map(|_| ()),
        }
    }

    /// Makes a pool current; allocations without a pool do not differ.
    fn cuDeviceSetMemPool(device: c_int, pool: Handle) {
        super::device::check(device)?;
        check(pool)
    }

    /// An attribute of the pool: its release threshold, the bytes in use, or a switch.
    fn cuMemPoolGetAttribute(pool: Handle, attribute: c_int, value: *mut c_void) {
        let (threshold, used) =
            with_state(|s| Ok((s.pool(pool)?.threshold, s.device.sim.memory.used() as u64)))?;
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
            with_state(|s| s.pool(pool).map(|pool| pool.threshold = threshold))?;
        }
        Ok(())
    }

    /// Gives back unused memory; there is none.
    fn cuMemPoolTrimTo(pool: Handle, bytes: usize) {
        let _ = bytes;
        check(pool)?;
        with_state(|s| s.trims += 1);
        Ok(())
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
