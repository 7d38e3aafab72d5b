//! Running the threads of one block.

use super::thread::{State, Stop};
use super::{Machine, WARP};
use crate::fault::{Diagnosis, Fault, FaultKind};

/// What the scheduler knows of a warp.
#[derive(Default)]
pub struct Warp {
    /// Lanes that exist.
    pub present: u32,
    /// Lanes that can run.
    pub running: u32,
}

impl Warp {
    /// A warp of so many lanes, all of which can run.
    pub fn of_size(lanes: usize) -> Self {
        let present = u32::MAX >> (WARP - lanes);
        Self { present, running: present }
    }
}

impl Machine<'_> {
    /// Runs the block to its end.
    pub(super) fn run_block(&mut self) -> Result<(), Box<Diagnosis>> {
        let begun = self.executed;
        while self.threads_left() {
            let pick = self.random.below(self.ready.len() as u64) as usize;
            let thread = self.ready[pick] as usize;
            let fuel = match self.schedule.preempt {
                0 => u64::MAX >> 1,
                most => 1 + self.random.below(most),
            };
            let fuel = match self.schedule.limit {
                0 => fuel,
                limit => fuel.min((begun + limit + 1).saturating_sub(self.executed)),
            };
            let stop = self.run_thread(thread, fuel);
            let stop = match stop {
                Ok(stop) => stop,
                Err(fault) => {
                    let at = self.threads[thread].current();
                    return Err(self.diagnose(*fault, thread, at));
                }
            };
            if !matches!(stop, Stop::Fuel) {
                self.ready.swap_remove(pick);
                self.stopped(thread, stop).map_err(|(fault, thread)| {
                    let at = self.threads[thread].current();
                    self.diagnose(*fault, thread, at)
                })?;
            }
            if self.schedule.limit != 0 && self.executed > begun + self.schedule.limit {
                let message =
                    format!("the block has executed {} instructions", self.schedule.limit);
                let fault = Fault::new(FaultKind::Timeout, message);
                return Err(self.diagnose(*fault, thread, self.threads[thread].current()));
            }
            if self.ready.is_empty() && self.threads.iter().any(|t| t.state != State::Done) {
                let (fault, thread) = self.deadlock();
                return Err(self.diagnose(*fault, thread, self.threads[thread].current()));
            }
        }
        Ok(())
    }

    fn threads_left(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A thread stopped for another reason than its fuel; it is not among the ready ones now.
    fn stopped(&mut self, thread: usize, stop: Stop) -> Result<(), (Box<Fault>, usize)> {
        let (warp, lane) = (thread / WARP, thread % WARP);
        let here = |fault| (fault, thread);
        let mut result = Ok(());
        match stop {
            Stop::Fuel => {}
            Stop::Counting => {
                self.threads[thread].state = State::Counting;
                self.warps[warp].running &= !(1 << lane);
            }
            Stop::Done => {
                self.threads[thread].state = State::Done;
                self.warps[warp].running &= !(1 << lane);
            }
            Stop::Barrier { id, count } => {
                self.warps[warp].running &= !(1 << lane);
                result = self.arrive(thread, id, count).map_err(here);
            }
            Stop::Warp(mask) => {
                self.threads[thread].state = State::Warp(mask);
                self.warps[warp].running &= !(1 << lane);
                result = self.try_exchange(thread, mask);
            }
        }
        if self.warps[warp].running == 0 {
            self.count_transactions(warp);
        }
        result
    }

    /// Counts the memory accesses of a warp none of whose lanes can run.
    fn count_transactions(&mut self, warp: usize) {
        let Some(trace) = &mut self.trace else { return };
        trace.count(warp, &mut self.tally);
        let lanes = warp * WARP..self.threads.len().min((warp + 1) * WARP);
        for thread in lanes {
            if self.threads[thread].state == State::Counting {
                self.make_ready(thread);
            }
        }
    }

    /// A thread can run again.
    pub(super) fn make_ready(&mut self, thread: usize) {
        self.threads[thread].state = State::Ready;
        self.warps[thread / WARP].running |= 1 << (thread % WARP);
        self.ready.push(thread as u32);
    }
}
