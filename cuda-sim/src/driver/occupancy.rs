//! Occupancy, by the limits on threads, blocks and shared memory; registers are not modelled.

use super::{Handle, Status, api, device, put, with_state};
use std::ffi::{c_int, c_uint};

const THREADS: usize = 2048;
const BLOCKS: usize = 32;

fn active_blocks(function: Handle, block: c_int, dynamic: usize) -> Result<c_int, Status> {
    let threads = usize::try_from(block).ok().filter(|&n| n > 0).ok_or(Status::INVALID_VALUE)?;
    let shared = with_state(|s| Ok(s.functions.get(function)?.program.shared_bytes))? + dynamic;
    let per_block = shared + device::attribute(111) as usize;
    let by_shared = device::attribute(81) as usize / per_block;
    let by_threads = THREADS / threads.next_multiple_of(32);
    Ok(by_shared.min(by_threads).min(BLOCKS) as c_int)
}

/// The most threads that a block may have.
fn largest_block(function: Handle, limit: c_int) -> Result<c_int, Status> {
    let most = with_state(|s| Ok(s.functions.get(function)?.program.max_threads))?;
    let most = most.map_or(1024, |n| n.min(1024) as c_int);
    Ok(if limit > 0 { most.min(limit) } else { most })
}

/// The dynamic shared memory of a block of so many threads.
type SharedOf = Option<unsafe extern "C" fn(c_int) -> usize>;

/// Sizes of a launch that fills the device.
///
/// # Safety
/// The pointers are null or valid for writing; the function may be called.
unsafe fn fill(
    grid: *mut c_int,
    block: *mut c_int,
    function: Handle,
    shared_of: SharedOf,
    shared: usize,
    limit: c_int,
) -> Result<(), Status> {
    let threads = largest_block(function, limit)?;
    // SAFETY: by contract.
    let shared = shared_of.map_or(shared, |f| unsafe { f(threads) });
    let blocks = active_blocks(function, threads, shared)?;
    // SAFETY: by contract.
    unsafe {
        put(grid, blocks * device::MULTIPROCESSORS)?;
        put(block, threads)
    }
}

api! {
    needs current;

    /// Blocks that a multiprocessor can hold.
    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks: *mut c_int,
        function: Handle,
        block: c_int,
        shared: usize,
    ) {
        put(blocks, active_blocks(function, block, shared)?)
    }

    /// Blocks that a multiprocessor can hold.
    fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        blocks: *mut c_int,
        function: Handle,
        block: c_int,
        shared: usize,
        flags: c_uint,
    ) {
        let _ = flags;
        put(blocks, active_blocks(function, block, shared)?)
    }

    /// Sizes of a launch that fills the device.
    fn cuOccupancyMaxPotentialBlockSize(
        grid: *mut c_int,
        block: *mut c_int,
        function: Handle,
        shared_of: SharedOf,
        shared: usize,
        limit: c_int,
    ) {
        fill(grid, block, function, shared_of, shared, limit)
    }

    /// Sizes of a launch that fills the device.
    fn cuOccupancyMaxPotentialBlockSizeWithFlags(
        grid: *mut c_int,
        block: *mut c_int,
        function: Handle,
        shared_of: SharedOf,
        shared: usize,
        limit: c_int,
        flags: c_uint,
    ) {
        let _ = flags;
        fill(grid, block, function, shared_of, shared, limit)
    }

    /// Dynamic shared memory left when so many blocks share a multiprocessor.
    fn cuOccupancyAvailableDynamicSMemPerBlock(
        bytes: *mut usize,
        function: Handle,
        blocks: c_int,
        block: c_int,
    ) {
        let threads = usize::try_from(block).unwrap_or(0).next_multiple_of(32);
        let blocks = usize::try_from(blocks).ok().filter(|&n| n > 0).ok_or(Status::INVALID_VALUE)?;
        if blocks > BLOCKS || blocks * threads > THREADS {
            return Err(Status::INVALID_VALUE);
        }
        let fixed = with_state(|s| Ok(s.functions.get(function)?.program.shared_bytes))?;
        let share = device::attribute(81) as usize / blocks - device::attribute(111) as usize;
        put(bytes, share.min(device::attribute(97) as usize).saturating_sub(fixed))
    }
}
