//! Running a kernel.
//!
//! Blocks run one after the other, in an order that the seed and the number of the launch decide.
//! Within a block every thread runs by itself until it must wait (at a barrier, or at an instruction
//! that its warp executes together), until its fuel is used up if pre-emption is on, or until it ends;
//! which thread runs next is drawn from a seeded generator. So any order that hardware may choose can
//! come up, and every load and store can be checked on its own.

mod access;
mod atomic;
mod barrier;
mod block;
mod copy;
mod exchange;
mod matrix;
mod random;
mod thread;
mod view;

use crate::code::{Program, Special};
use crate::counters::{Tally, Trace};
use crate::fault::{Diagnosis, Fault};
use crate::memory::{Clocks, DeviceMemory, Region};
use barrier::Barrier;
use block::Warp;
use random::{Permutation, Random};
use std::cell::Cell;
use thread::Thread;

/// Lanes of a warp.
pub const WARP: usize = 32;

/// Size of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks per axis.
    pub grid: [u32; 3],
    /// Threads per block and axis.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: usize,
}

impl Shape {
    /// Threads of a block.
    pub fn threads(&self) -> usize {
        self.block.iter().map(|&n| n as usize).product()
    }
}

/// How threads are scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Schedule {
    /// Seed of the order of blocks and threads.
    pub seed: u64,
    /// A thread runs at most this many instructions at a time; 0 for no limit.
    pub preempt: u64,
    /// Instructions a block may execute before it is taken for hung; 0 for no limit.
    pub limit: u64,
    /// Whether memory transactions are counted.
    pub count_transactions: bool,
}

thread_local! {
    /// Launches by this thread of the host: each takes another order, and the same one when the
    /// program runs again, whatever other threads do.
    static LAUNCHES: Cell<u64> = const { Cell::new(0) };
}

/// Runs `program`, whose launch the clocks have begun, and returns what it did.
pub fn launch(
    program: &Program,
    memory: &mut DeviceMemory,
    clocks: &mut Clocks,
    shape: Shape,
    params: &[u8],
    schedule: Schedule,
) -> Result<Tally, Box<Diagnosis>> {
    let mut machine = Machine::new(program, memory, clocks, shape, params, schedule);
    let [width, height, depth] = shape.grid.map(u64::from);
    let order = Permutation::new(width * height * depth, &mut machine.random);
    for n in order.iter() {
        machine
            .start_block([n % width, n / width % height, n / (width * height)].map(|i| i as u32));
        machine.run_block()?;
    }
    machine.tally.launches = 1;
    machine.tally.instructions = machine.executed;
    Ok(machine.tally)
}

/// One multiprocessor with the block that it runs.
struct Machine<'m> {
    program: &'m Program,
    memory: &'m mut DeviceMemory,
    clocks: &'m mut Clocks,
    shape: Shape,
    params: &'m [u8],
    schedule: Schedule,
    /// Shared memory of the block.
    shared: Region,
    /// Register files of all threads.
    registers: Vec<u64>,
    /// What every register file starts with.
    template: Vec<u64>,
    threads: Vec<Thread>,
    warps: Vec<Warp>,
    barriers: Vec<Barrier>,
    /// Threads that can run.
    ready: Vec<u32>,
    /// Index of the block.
    block: [u32; 3],
    /// Allocation that each instruction last touched.
    sites: Vec<u32>,
    random: Random,
    /// Instructions executed in the launch.
    executed: u64,
    trace: Option<Trace>,
    tally: Tally,
}

/// What a register holds before anything is written to it.
const POISON: u64 = 0xDEAD_BEEF_DEAD_BEEF;

impl<'m> Machine<'m> {
    fn new(
        program: &'m Program,
        memory: &'m mut DeviceMemory,
        clocks: &'m mut Clocks,
        shape: Shape,
        params: &'m [u8],
        schedule: Schedule,
    ) -> Self {
        let threads = shape.threads();
        let shared = Region::new(program.shared.end + shape.dynamic_shared);
        let shared = shared.with_gaps(&program.shared.gaps);
        let mut template = vec![POISON; program.registers];
        for &(register, value) in &program.constants {
            template[register as usize] = value;
        }
        let trace = schedule.count_transactions.then(|| Trace::new(threads.div_ceil(WARP)));
        Self {
            program,
            memory,
            clocks,
            shape,
            params,
            schedule,
            shared,
            registers: vec![0; program.registers * threads],
            template,
            threads: (0..threads).map(|_| Thread::new(&program.local)).collect(),
            warps: (0..threads.div_ceil(WARP)).map(|_| Warp::default()).collect(),
            barriers: (0..barrier::BARRIERS).map(|_| Barrier::default()).collect(),
            ready: Vec::with_capacity(threads),
            block: [0; 3],
            sites: vec![0; program.code.len()],
            random: Random::new(schedule.seed, LAUNCHES.replace(LAUNCHES.get() + 1)),
            executed: 0,
            trace,
            tally: Tally::default(),
        }
    }

    /// Puts all threads at the beginning of the kernel.
    fn start_block(&mut self, block: [u32; 3]) {
        self.block = block;
        self.clocks.start_block();
        if let Some(trace) = &mut self.trace {
            trace.start_block();
        }
        self.shared.initialised.clear_all();
        let specials = &self.program.specials;
        for &(register, special) in specials.iter().filter(|(_, s)| !s.is_per_thread()) {
            self.template[register as usize] = self.shared_special(special);
        }
        let size = self.program.registers;
        for (index, file) in self.registers.chunks_exact_mut(size.max(1)).enumerate() {
            file.copy_from_slice(&self.template);
            for &(register, special) in specials.iter().filter(|(_, s)| s.is_per_thread()) {
                file[register as usize] = thread_special(special, index as u32, self.shape.block);
            }
        }
        self.ready.clear();
        for (index, thread) in self.threads.iter_mut().enumerate() {
            thread.restart();
            self.ready.push(index as u32);
        }
        let threads = self.threads.len();
        for (index, warp) in self.warps.iter_mut().enumerate() {
            *warp = Warp::of_size((threads - index * WARP).min(WARP));
        }
        for barrier in &mut self.barriers {
            barrier.reset();
        }
    }

    fn shared_special(&self, special: Special) -> u64 {
        u64::from(match special {
            Special::BlockSize(axis) => self.shape.block[axis],
            Special::Block(axis) => self.block[axis],
            Special::GridSize(axis) => self.shape.grid[axis],
            Special::Warps => self.warps.len() as u32,
            Special::TotalShared => (self.program.shared_bytes + self.shape.dynamic_shared) as u32,
            _ => 0,
        })
    }

    /// Adds the place to a fault.
    fn diagnose(&self, fault: Fault, thread: usize, at: u32) -> Box<Diagnosis> {
        let place = self.program.places[at as usize];
        Box::new(Diagnosis {
            fault,
            kernel: self.program.name.clone(),
            block: self.block,
            thread: thread_index(thread as u32, self.shape.block),
            line: place.line,
            source_line: place.source_line,
        })
    }
}

/// The index of the n-th thread of a block.
fn thread_index(n: u32, block: [u32; 3]) -> [u32; 3] {
    [n % block[0], n / block[0] % block[1], n / (block[0] * block[1])]
}

fn thread_special(special: Special, thread: u32, block: [u32; 3]) -> u64 {
    let lane = thread % WARP as u32;
    let below = (1u32 << lane) - 1;
    u64::from(match special {
        Special::Thread(axis) => thread_index(thread, block)[axis],
        Special::Lane => lane,
        Special::Warp => thread / WARP as u32,
        Special::MaskEqual => 1 << lane,
        Special::MaskLess => below,
        Special::MaskLessEqual => below | 1 << lane,
        Special::MaskGreater => !(below | 1 << lane),
        Special::MaskGreaterEqual => !below,
        _ => 0,
    })
}
