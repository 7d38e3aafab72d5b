//! How well kernels use memory.
//!
//! A warp's load or store moves whole sectors of 32 bytes between device memory and the
//! multiprocessor, and shared memory serves one word per bank at a time. Since threads run one by one
//! here, each thread notes its accesses; when no lane of a warp can go on, the notes are put side by
//! side and what the warp would have done at once is counted. One of the counters has a level-1 cache
//! before it, the others have none.

mod cache;
mod report;
mod trace;
mod transactions;

pub use report::Counters;
pub use trace::{Log, Trace};

/// What launches of one kernel did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Launches.
    pub launches: u64,
    /// Instructions executed by all threads.
    pub instructions: u64,
    /// Distinct bytes of device memory that warps asked for, access by access.
    pub bytes_requested: u64,
    /// Bytes in the sectors that served them.
    pub bytes_moved: u64,
    /// The same without what loads find in a level-1 cache: 64 KiB a block, empty when it starts.
    pub bytes_missed: u64,
    /// Shared memory accesses of warps, in turns of the 32 banks if there were no conflicts.
    pub shared_ideal: u64,
    /// The same with conflicts.
    pub shared_turns: u64,
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.launches += other.launches;
        self.instructions += other.instructions;
        self.bytes_requested += other.bytes_requested;
        self.bytes_moved += other.bytes_moved;
        self.bytes_missed += other.bytes_missed;
        self.shared_ideal += other.shared_ideal;
        self.shared_turns += other.shared_turns;
    }

    /// How many times longer shared memory takes because of bank conflicts; 1 without any.
    pub fn conflict_factor(&self) -> f64 {
        match self.shared_ideal {
            0 => 1.0,
            ideal => self.shared_turns as f64 / ideal as f64,
        }
    }
}
