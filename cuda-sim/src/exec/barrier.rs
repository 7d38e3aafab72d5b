//! Barriers of a block.
//!
//! `bar.sync 0` without a number of threads is `__syncthreads`: every thread of the block must come to
//! the same instruction. With a number, threads may come from different places.

use super::thread::State;
use super::{Machine, WARP};
use crate::fault::{Fault, FaultKind};

/// How many barriers a block has.
pub const BARRIERS: usize = 16;

/// A barrier while threads gather.
#[derive(Default)]
pub struct Barrier {
    /// Threads that wait.
    waiting: Vec<u32>,
    /// Threads expected.
    expected: usize,
    /// The instruction of the first thread.
    at: u32,
}

impl Barrier {
    pub fn reset(&mut self) {
        self.waiting.clear();
    }
}

impl Machine<'_> {
    /// A thread comes to barrier `id`, expecting `count` threads or the whole block.
    pub(super) fn arrive(
        &mut self,
        thread: usize,
        id: u64,
        count: Option<u64>,
    ) -> Result<(), Box<Fault>> {
        let block = self.threads.len();
        let at = self.threads[thread].current();
        let invalid = |message: String| Err(Fault::new(FaultKind::InvalidArgument, message));
        if id >= BARRIERS as u64 {
            return invalid(format!("barrier {id} of {BARRIERS}"));
        }
        let whole = block.next_multiple_of(WARP) as u64;
        if let Some(count) = count
            && (count % WARP as u64 != 0 || count == 0 || count > whole)
        {
            return invalid(format!("barrier for {count} threads in a block of {block}"));
        }
        // A last warp that is not full counts as full.
        let expected = count.map_or(block, |count| (count as usize).min(block));
        let barrier = &mut self.barriers[id as usize];
        if barrier.waiting.is_empty() {
            barrier.expected = expected;
            barrier.at = at;
        }
        let elsewhere = count.is_none() && barrier.at != at;
        if elsewhere || barrier.expected != expected {
            let line = self.program.places[barrier.at as usize].line;
            let message = format!(
                "barrier {id} for {expected} threads, while {} threads wait at PTX line {line} for {}",
                barrier.waiting.len(),
                barrier.expected
            );
            return Err(Fault::new(FaultKind::DivergentBarrier, message));
        }
        barrier.waiting.push(thread as u32);
        self.threads[thread].state = State::Barrier;
        if barrier.waiting.len() >= barrier.expected {
            self.release(id as usize);
        }
        Ok(())
    }

    /// Lets the threads of a complete barrier go on.
    fn release(&mut self, id: usize) {
        let waiting = std::mem::take(&mut self.barriers[id].waiting);
        if waiting.len() == self.threads.len() {
            self.clocks.block_barrier();
        } else {
            let warps = waiting.iter().fold(0, |mask, &t| mask | 1 << (t as usize / WARP));
            self.clocks.partial_barrier(warps);
        }
        for thread in waiting {
            self.make_ready(thread as usize);
        }
    }

    /// No thread can run and some wait: says why.
    pub(super) fn deadlock(&self) -> (Box<Fault>, usize) {
        let done = self.threads.iter().filter(|t| t.state == State::Done).count();
        let total = self.threads.len();
        for (index, thread) in self.threads.iter().enumerate() {
            if let State::Warp(mask) = thread.state {
                return (self.warp_deadlock(index, mask), index);
            }
        }
        let waiting = |state| self.threads.iter().position(|t| t.state == state);
        let thread = waiting(State::Barrier).unwrap_or_default();
        let at_barriers = total - done;
        let message = if done > 0 {
            format!("{at_barriers} of {total} threads wait, {done} exited before the barrier")
        } else {
            format!("{at_barriers} of {total} threads wait at barriers that never fill")
        };
        (Fault::new(FaultKind::DivergentBarrier, message), thread)
    }

    fn warp_deadlock(&self, thread: usize, mask: u32) -> Box<Fault> {
        let warp = thread / WARP;
        let present = self.warps[warp].present;
        let missing = (0..WARP)
            .filter(|lane| (mask & present) >> lane & 1 != 0)
            .find(|lane| self.threads[warp * WARP + lane].state != State::Warp(mask));
        let lane = missing.unwrap_or_default();
        let other = &self.threads[warp * WARP + lane];
        let line = self.program.places[other.current() as usize].line;
        let doing = match other.state {
            State::Done => "has exited".to_string(),
            State::Warp(mask) => format!("waits for lanes {mask:08x} at PTX line {line}"),
            _ => format!("waits at a barrier at PTX line {line}"),
        };
        let message = format!("waits for lanes {mask:08x}, but lane {lane} {doing}");
        Fault::new(FaultKind::DivergentWarp, message)
    }
}
