//! What only a simulator can tell, as C functions beside the driver API.
//!
//! | function | result |
//! |---|---|
//! | `cuda_sim_live_allocations` | allocations and pools of the host program that were not freed |
//! | `cuda_sim_last_fault` | length of the last diagnosis; its text is copied to a buffer |
//! | `cuda_sim_reset_fault` | clears the error that sticks after a fault, which no device can |
//! | `cuda_sim_stats` | length of the table of counters; its text is copied to a buffer |
//! | `cuda_sim_count_transactions` | switches counting on or off, and forgets the counters |
//! | `cuda_sim_set_schedule` | sets seed and pre-emption, in place of the environment |

use super::with_state;
use std::ffi::{c_char, c_int};
use std::io::Write;

/// Copies a text with its final zero as far as it fits, and returns its length.
///
/// # Safety
/// `buffer` is null or has `size` bytes.
pub(super) unsafe fn copy_text(text: &str, buffer: *mut c_char, size: usize) -> usize {
    if !buffer.is_null() && size > 0 {
        let count = text.len().min(size - 1);
        // SAFETY: `count + 1` bytes fit, by contract.
        unsafe {
            buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), count);
            buffer.add(count).write(0);
        }
    }
    text.len()
}

/// How many allocations and memory pools of the host program live.
#[unsafe(no_mangle)]
pub extern "C" fn cuda_sim_live_allocations() -> usize {
    with_state(|s| s.device.sim.memory.live() + s.pools.len())
}

/// Copies the last diagnosis to `buffer` and returns its length; 0 if there was none.
///
/// # Safety
/// `buffer` is null or has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuda_sim_last_fault(buffer: *mut c_char, size: usize) -> usize {
    let text = with_state(|s| s.device.last_fault.clone());
    // SAFETY: by contract.
    unsafe { copy_text(&text, buffer, size) }
}

/// Clears the error that sticks after a fault.
#[unsafe(no_mangle)]
pub extern "C" fn cuda_sim_reset_fault() {
    with_state(|s| {
        s.device.sticky = None;
        s.device.last_fault.clear();
    });
}

/// Copies the counters to `buffer`, one line a kernel, and returns the length of the text.
///
/// # Safety
/// `buffer` is null or has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuda_sim_stats(buffer: *mut c_char, size: usize) -> usize {
    let text = with_state(|s| s.device.sim.counters.lines());
    // SAFETY: by contract.
    unsafe { copy_text(&text, buffer, size) }
}

/// Switches the counting of memory transactions on or off, and forgets all counters.
#[unsafe(no_mangle)]
pub extern "C" fn cuda_sim_count_transactions(on: c_int) {
    with_state(|s| {
        s.device.sim.schedule.count_transactions = on != 0;
        s.device.sim.counters.clear();
    });
}

/// Sets the seed of the thread order and the pre-emption.
#[unsafe(no_mangle)]
pub extern "C" fn cuda_sim_set_schedule(seed: u64, preempt: u64) {
    with_state(|s| {
        s.device.sim.schedule.seed = seed;
        s.device.sim.schedule.preempt = preempt;
    });
}

unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> c_int;
}

/// Makes the counters be written when the process ends.
pub(crate) fn write_at_exit() {
    // SAFETY: `atexit` may be called at any time with a function that does not unwind.
    unsafe { atexit(write_stats) };
}

extern "C" fn write_stats() {
    with_state(|s| {
        let Some(path) = &s.options.stats else { return };
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let written =
            opened.and_then(|mut file| file.write_all(s.device.sim.counters.lines().as_bytes()));
        if let Err(error) = written {
            eprintln!("cuda-sim: {}: {error}", path.display());
        }
    });
}
