//! One thread: its state, and the loop that executes its instructions.

use super::view::View;
use super::{Machine, WARP};
use crate::code::{Extent, Instr, Step, UNGUARDED};
use crate::fault::{Fault, FaultKind};
use crate::memory::Region;
use std::collections::VecDeque;

/// Whether a thread can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It can.
    Ready,
    /// It waits at a barrier.
    Barrier,
    /// It waits for the lanes in the mask.
    Warp(u32),
    /// It waits for its warp's memory accesses to be counted.
    Counting,
    /// It has ended.
    Done,
}

/// Why a thread stopped.
pub enum Stop {
    /// Its fuel is used up.
    Fuel,
    /// It has ended.
    Done,
    /// It came to a barrier.
    Barrier {
        id: u64,
        /// Threads expected, if not all of the block.
        count: Option<u64>,
    },
    /// It needs the lanes in the mask.
    Warp(u32),
    /// The list of its memory accesses is full.
    Counting,
}

/// A copy from global to shared memory that may happen any time until it is waited for.
#[derive(Clone, Copy)]
pub struct PendingCopy {
    pub to: u64,
    pub from: u64,
    pub bytes: usize,
    pub read: usize,
    pub at: u32,
}

/// A thread.
pub struct Thread {
    /// The next instruction.
    pub next: u32,
    pub state: State,
    pub local: Region,
    /// Call instructions that have not returned.
    calls: Vec<u32>,
    /// Copies not yet in a group.
    pub copies: Vec<PendingCopy>,
    /// Groups of copies not yet waited for.
    pub groups: VecDeque<Vec<PendingCopy>>,
}

impl Thread {
    pub fn new(local: &Extent) -> Self {
        Self {
            next: 0,
            state: State::Ready,
            local: Region::private(local.end).with_gaps(&local.gaps),
            calls: Vec::new(),
            copies: Vec::new(),
            groups: VecDeque::new(),
        }
    }

    /// Back to the beginning of the kernel.
    pub fn restart(&mut self) {
        self.next = 0;
        self.state = State::Ready;
        self.local.initialised.clear_all();
        self.calls.clear();
        self.copies.clear();
        self.groups.clear();
    }

    /// The instruction that was executed last.
    pub fn current(&self) -> u32 {
        self.next.saturating_sub(1)
    }
}

/// A thread of a machine, ready to run.
pub(super) struct Runner<'r> {
    pub instr: &'r [Instr],
    pub program: &'r crate::code::Program,
    pub registers: &'r mut [u64],
    pub thread: &'r mut Thread,
    pub view: View<'r>,
}

impl Machine<'_> {
    /// Runs a thread until it stops; the number of instructions is added to the count.
    pub(super) fn run_thread(&mut self, index: usize, fuel: u64) -> Result<Stop, Box<Fault>> {
        let size = self.program.registers;
        let thread = &mut self.threads[index];
        let log = self.trace.as_mut().map(|trace| trace.lane(index / WARP, index % WARP));
        let mut runner = Runner {
            instr: &self.program.code,
            program: self.program,
            registers: &mut self.registers[index * size..(index + 1) * size],
            view: View {
                memory: self.memory,
                shared: &mut self.shared,
                clocks: self.clocks,
                params: self.params,
                sites: &mut self.sites,
                thread: index as u32,
                log,
            },
            thread,
        };
        let mut left = fuel;
        let stop = runner.run(&mut left);
        self.executed += fuel - left;
        stop
    }
}

impl Runner<'_> {
    fn run(&mut self, fuel: &mut u64) -> Result<Stop, Box<Fault>> {
        let code = self.instr;
        let mut next = self.thread.next as usize;
        // The place must be right whenever the loop is left.
        macro_rules! leave {
            ($stop:expr) => {{
                self.thread.next = next as u32;
                return $stop;
            }};
        }
        macro_rules! tried {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(fault) => leave!(Err(fault)),
                }
            };
        }
        loop {
            if *fuel == 0 {
                leave!(Ok(Stop::Fuel));
            }
            *fuel -= 1;
            let i = &code[next];
            next += 1;
            let r = &mut *self.registers;
            if i.guard != UNGUARDED && r[i.guard as usize] == u64::from(i.skip_if) {
                continue;
            }
            match i.step {
                Step::Compute(f) => {
                    let (a, b) = (r[i.a as usize], r[i.b as usize]);
                    r[i.d as usize] = f(a, b, r[i.c as usize], r[i.e as usize]);
                }
                Step::Branch(target) => next = target as usize,
                Step::Load(transfer) => {
                    tried!(self.load(i, transfer, next - 1));
                    if self.view.log_is_full() {
                        leave!(Ok(Stop::Counting));
                    }
                }
                Step::Store(transfer) => {
                    tried!(self.store(i, transfer, next - 1));
                    if self.view.log_is_full() {
                        leave!(Ok(Stop::Counting));
                    }
                }
                Step::Atomic(atomic) => {
                    tried!(self.atomic(i, atomic, next - 1));
                    if self.view.log_is_full() {
                        leave!(Ok(Stop::Counting));
                    }
                }
                Step::Warp(_) => leave!(Ok(Stop::Warp(r[i.e as usize] as u32))),
                Step::Matrix(_) | Step::LoadMatrix(_) => leave!(Ok(Stop::Warp(u32::MAX))),
                Step::Barrier(has_count) => {
                    let count = has_count.then(|| r[i.b as usize] & 0xFFFF_FFFF);
                    leave!(Ok(Stop::Barrier { id: r[i.a as usize] & 0xFFFF_FFFF, count }));
                }
                Step::Return => {
                    let Some(call) = self.thread.calls.pop() else { leave!(Ok(Stop::Done)) };
                    self.copy_results(call);
                    next = call as usize + 1;
                }
                Step::Exit => leave!(Ok(Stop::Done)),
                Step::Call(index) => {
                    let call = &self.program.calls[index as usize];
                    self.copy_arguments(&call.arguments);
                    self.thread.calls.push(next as u32 - 1);
                    next = call.target as usize;
                }
                Step::CopyAsync(copy) => tried!(self.copy_async(i, copy, next - 1)),
                Step::CopyCommit => self.copy_commit(),
                Step::CopyWait => {
                    let keep = r[i.a as usize] as u32 as usize;
                    tried!(self.copy_wait(keep));
                }
                Step::Trap => {
                    let message = "the kernel stopped itself (trap or failed assertion)";
                    leave!(Err(Fault::new(FaultKind::Trap, message)));
                }
                Step::Nothing => {}
            }
        }
    }

    fn copy_results(&mut self, call: u32) {
        let Step::Call(index) = self.instr[call as usize].step else {
            unreachable!("only calls are pushed")
        };
        self.copy_arguments(&self.program.calls[index as usize].results);
    }

    fn copy_arguments(&mut self, copies: &[crate::code::ArgumentCopy]) {
        let local = &mut self.thread.local;
        for copy in copies {
            let (from, to, bytes) = (copy.from as usize, copy.to as usize, copy.bytes as usize);
            local.bytes.copy_within(from..from + bytes, to);
            let before = local.initialised.clone();
            local.initialised.copy(to, &before, from, bytes);
        }
    }
}
