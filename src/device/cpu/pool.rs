//! The handle of the CPU, and how kernels spread work over threads.

use crate::device::Workspace;
use crate::{Error, Result};
use core::fmt;
use faer::Par;
use rayon::prelude::*;
use std::sync::Arc;

/// Work below this many operations or bytes stays on the calling thread: waking another one costs
/// tens of microseconds.
const SMALL_WORK: u64 = 1 << 18;

/// The CPU and the threads that calls may use.
///
/// A cheap handle. One thread, or small work, never touches rayon.
#[derive(Clone)]
pub struct Cpu {
    threads: Threads,
    workspace: Option<Arc<Workspace>>,
}

#[derive(Clone)]
enum Threads {
    /// The pool that the caller runs in: rayon's global one unless inside of `install`.
    Callers,
    One,
    Own(Arc<rayon::ThreadPool>),
}

impl Cpu {
    /// The CPU with the caller's rayon pool.
    pub const fn new() -> Self {
        Self { threads: Threads::Callers, workspace: None }
    }

    /// The CPU with a pool of its own of `threads ≥ 1` threads.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for zero threads; [`Error::DeviceUnavailable`] when the system
    /// refuses to start them.
    pub fn with_threads(threads: usize) -> Result<Self> {
        let threads = match threads {
            0 => return Err(Error::invalid("Cpu::with_threads", "threads", 0, "at least 1")),
            1 => Threads::One,
            n => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
                let pool = pool.map_err(|e| Error::DeviceUnavailable { reason: e.to_string() })?;
                Threads::Own(Arc::new(pool))
            }
        };
        Ok(Self { threads, workspace: None })
    }

    /// The same threads, and memory that outlives calls: what this handle, its clones and the
    /// matrices on it free is kept for the next call, up to `bytes`.
    ///
    /// For calls in a loop: after the first round, matrices, panels and buffers of kernels meet no page
    /// faults. (The positions of a sparse operator, and the small factorizations on the host, are the
    /// allocator's; [`Sketch::prepare`](crate::Sketch::prepare) keeps the first.) The results are the
    /// same bits. Large enough is [`Cpu::workspace_peak`] after one round without a limit. When there
    /// are more bytes, those that were freed first go back to the system; all do when the last handle
    /// and matrix is dropped.
    ///
    /// ```
    /// use randnla::decomp::{RsvdParams, rsvd};
    /// use randnla::{Cpu, Mat};
    /// let cpu = Cpu::new().with_workspace(64 << 20);
    /// for seed in 0..3 {
    ///     let a = Mat::from_fn(&cpu, 300, 200, |i, j| 1.0 / (1 + i + j) as f64)?;
    ///     let svd = rsvd(&a, RsvdParams::rank(8).seed(seed))?;
    ///     assert!(svd.error.relative < 1e-4);
    /// }
    /// println!("{} bytes at once", cpu.workspace_peak());
    /// # Ok::<(), randnla::Error>(())
    /// ```
    pub fn with_workspace(self, bytes: usize) -> Self {
        Self { workspace: Some(Arc::new(Workspace::new(bytes))), ..self }
    }

    /// The most bytes that a workspace held at once, in use and kept, matrices included; 0 without one.
    pub fn workspace_peak(&self) -> usize {
        self.workspace.as_ref().map_or(0, |workspace| workspace.peak())
    }

    pub(in crate::device::cpu) fn workspace(&self) -> Option<&Arc<Workspace>> {
        self.workspace.as_ref()
    }

    /// The CPU without threads of its own, for calls inside of a task.
    pub(crate) const fn one_thread() -> Self {
        Self { threads: Threads::One, workspace: None }
    }

    /// How many threads a large call uses.
    pub fn threads(&self) -> usize {
        match &self.threads {
            Threads::Callers => rayon::current_num_threads(),
            Threads::One => 1,
            Threads::Own(pool) => pool.current_num_threads(),
        }
    }

    /// Runs `task(0)`, …, `task(tasks - 1)` in any order, on several threads when `work`
    /// (operations or bytes, whichever is more) is large.
    pub(crate) fn for_each(&self, tasks: usize, work: u64, task: impl Fn(usize) + Sync) {
        if tasks <= 1 || work < SMALL_WORK || self.threads() == 1 {
            (0..tasks).for_each(task);
        } else {
            self.install(|| (0..tasks).into_par_iter().with_max_len(1).for_each(&task));
        }
    }

    /// The results of `task(0)`, …, `task(tasks - 1)`, in that order.
    pub(crate) fn map<R: Send>(
        &self,
        tasks: usize,
        work: u64,
        task: impl Fn(usize) -> R + Sync,
    ) -> Vec<R> {
        if tasks <= 1 || work < SMALL_WORK || self.threads() == 1 {
            (0..tasks).map(task).collect()
        } else {
            self.install(|| (0..tasks).into_par_iter().with_max_len(1).map(&task).collect())
        }
    }

    /// Runs `call` with the parallelism that faer should use for `work` operations.
    pub(crate) fn with_par<R: Send>(&self, work: u64, call: impl FnOnce(Par) -> R + Send) -> R {
        if work < SMALL_WORK || self.threads() == 1 {
            call(Par::Seq)
        } else {
            self.install(|| call(Par::rayon(0)))
        }
    }

    /// The results of two pieces of work, side by side when `work` is large.
    pub(crate) fn join<R: Send, S: Send>(
        &self,
        work: u64,
        first: impl FnOnce() -> R + Send,
        second: impl FnOnce() -> S + Send,
    ) -> (R, S) {
        if work < SMALL_WORK || self.threads() == 1 {
            return (first(), second());
        }
        self.install(|| rayon::join(first, second))
    }

    fn install<R: Send>(&self, call: impl FnOnce() -> R + Send) -> R {
        match &self.threads {
            Threads::Own(pool) => pool.install(call),
            _ => call(),
        }
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.threads {
            Threads::Callers => f.write_str("Cpu"),
            _ => write!(f, "Cpu({} threads)", self.threads()),
        }
    }
}

/// A pointer that tasks share; each task writes its own entries.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut<T>(pub(crate) *mut T);

impl<T> SharedMut<T> {
    /// The pointer. (A method, so that closures capture the wrapper and not the bare field.)
    pub(crate) fn get(self) -> *mut T {
        self.0
    }
}

// SAFETY: whoever dereferences the pointer promises that tasks touch distinct entries.
unsafe impl<T: Send> Send for SharedMut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_in_any_pool() {
        assert!(matches!(Cpu::with_threads(0), Err(Error::InvalidArgument { .. })));
        for cpu in [Cpu::new(), Cpu::with_threads(1).unwrap(), Cpu::with_threads(3).unwrap()] {
            for work in [0, u64::MAX] {
                assert_eq!(
                    cpu.map(100, work, |i| i * i),
                    (0..100).map(|i| i * i).collect::<Vec<_>>()
                );
            }
        }
    }
}
