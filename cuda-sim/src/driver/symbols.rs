//! What only a simulator can tell, as C functions beside the driver API.
//!
//! | function | result |
//! |---|---|
//! | `cuda_sim_live_allocations` | allocations and pools of the host program that were not freed |
//! | `cuda_sim_live_handles` | streams, events, modules, graphs, handles and contexts that live |
//! | `cuda_sim_live` | length of a line with the number of each of these; its text is copied to a buffer |
//! | `cuda_sim_fail_launch` | lets the n-th launch from now on fail, once; 0 for none |
//! | `cuda_sim_fail_allocation` | lets the n-th allocation from now on fail, once; 0 for none |
//! | `cuda_sim_fail_allocations` | the same for the n-th and all that follow |
//! | `cuda_sim_trims` | how often a pool was told to give back what it keeps |
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

/// How many streams, events, modules, graphs, handles of cuBLAS and retained contexts live.
#[unsafe(no_mangle)]
pub extern "C" fn cuda_sim_live_handles() -> usize {
    let is_memory = |kind: &str| ["allocations", "pools", "pinned"].contains(&kind);
    let live = with_state(|s| s.live());
    live.iter().filter(|(kind, _)| !is_memory(kind)).map(|(_, count)| count).sum()
}

/// The kinds of which something lives, as `kind=count`.
fn live_line(live: &[(&str, usize)]) -> String {
    let alive = live.iter().filter(|(_, count)| *count > 0);
    alive.map(|(kind, count)| format!("{kind}={count}")).collect::<Vec<_>>().join(" ")
}

/// Copies what lives to `buffer`, as `kind=count` where there are any, and returns the length of the
/// text.
///
/// # Safety
/// `buffer` is null or has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuda_sim_live(buffer: *mut c_char, size: usize) -> usize {
    let text = with_state(|s| live_line(&s.live()));
    // SAFETY: by contract.
    unsafe { copy_text(&text, buffer, size) }
}

/// Lets the n-th launch from now on fail, once.
#[unsafe(no_mangle)]
pub extern "C" fn cuda_sim_fail_launch(n: u64) {
    with_state(|s| s.options.fail_launch = n);
}

/// Lets the n-th allocation from now on fail, once.
#[unsafe(no_mangle)]
pub extern "C" fn cuda_sim_fail_allocation(n: u64) {
    with_state(|s| s.options.fail_allocation = n);
}

/// Lets the n-th allocation from now on fail, and all that follow.
#[unsafe(no_mangle)]
pub extern "C" fn cuda_sim_fail_allocations(n: u64) {
    with_state(|s| s.options.fail_allocations = n);
}

/// How often a pool was told to give back what it keeps.
#[unsafe(no_mangle)]
pub extern "C" fn cuda_sim_trims() -> usize {
    with_state(|s| s.trims)
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
        s.device.sim.order.finish_all();
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

/// Makes the counters, and what lives, be written when the process ends.
pub(crate) fn write_at_exit() {
    // SAFETY: `atexit` may be called at any time with a function that does not unwind.
    unsafe { atexit(report) };
}

extern "C" fn report() {
    with_state(|s| {
        let live = live_line(&s.live());
        if s.options.leaks && !live.is_empty() {
            eprintln!("cuda-sim: alive at exit: {live}");
        }
        let lines = s.device.sim.counters.lines();
        for path in [&s.options.stats, &s.options.launches].into_iter().flatten() {
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
            if let Err(error) = opened.and_then(|mut file| file.write_all(lines.as_bytes())) {
                eprintln!("cuda-sim: {}: {error}", path.display());
            }
        }
    });
}
