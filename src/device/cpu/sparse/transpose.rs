//! A sparse matrix by rows, transposed.
//!
//! Entries are sorted by column, by counting: two walks over the columns, one over the values. The
//! sort is stable, so the result is one and the same however the rows are shared out among tasks.
//! Index and value of an entry lie side by side: the sort writes to as many places at once as there
//! are columns, and two arrays would make them twice as many cache lines and pages.
//!
//! Cost: 8 bytes an entry in f32, 16 in f64; bound by the misses of those writes.

use super::kernel::{SparseScalar, prefetch_line};
use super::rows::SparseRows;
use crate::device::cpu::pool::SharedMut;
use crate::device::try_vec;
use crate::{Cpu, Error, Result};

/// Enough tasks for a good many threads; each has counters of its own.
const TASKS: usize = 16;
/// Entries that are worth a task.
const LEAST_ENTRIES: usize = 1 << 15;
/// Counting and moving an entry costs about as much as this many additions.
const COST: u64 = 8;

/// Xᵀ, of which every row is by increasing column.
pub(super) struct Transposed<T> {
    ncols: usize,
    /// Where the entries of a row start, and the end of all.
    starts: Vec<usize>,
    /// Column and value.
    entries: Vec<(u32, T)>,
}

impl<T: SparseScalar> Transposed<T> {
    /// The transpose of `x`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; [`Error::Unsupported`] for more than 2³² rows, whose numbers are no
    /// column indices.
    pub(super) fn new(cpu: &Cpu, x: &impl SparseRows<T>) -> Result<Self> {
        let (rows, cols, entries) = (x.nrows(), x.ncols(), x.entries());
        if rows > 1 << 32 {
            let what = format!("a column-sparse operator on {rows} compressed rows");
            return Err(Error::Unsupported { op: "Sketch", what });
        }
        // Counters take no more memory than entries do.
        let tasks = (entries / LEAST_ENTRIES).min(entries / cols.max(1)).clamp(1, TASKS);
        let task_rows = rows.div_ceil(tasks);
        let range = |task: usize| (task * task_rows).min(rows)..((task + 1) * task_rows).min(rows);
        let work = entries as u64 * COST;

        let mut counts = try_vec(0usize, tasks.saturating_mul(cols))?;
        let shared = SharedMut(counts.as_mut_ptr());
        // SAFETY: a task uses its own `cols` counters, and one loop ends before the next begins.
        let counters = |task: usize| unsafe {
            core::slice::from_raw_parts_mut(shared.get().add(task * cols), cols)
        };
        cpu.for_each(tasks, work, |task| {
            let count = counters(task);
            range(task).for_each(|i| x.for_each(i, |j, _| count[j] += 1));
        });

        // From numbers of entries to positions: columns in order, within a column tasks in order.
        let mut starts = try_vec(0usize, cols + 1)?;
        let mut next = 0;
        for (j, start) in starts.iter_mut().take(cols).enumerate() {
            *start = next;
            for task in 0..tasks {
                let count = &mut counters(task)[j];
                next += core::mem::replace(count, next);
            }
        }
        starts[cols] = next;

        let mut sorted: Vec<(u32, T)> = Vec::new();
        let out_of_memory =
            |_| Error::OutOfMemory { bytes: next.saturating_mul(size_of::<(u32, T)>()) };
        sorted.try_reserve_exact(next).map_err(out_of_memory)?;
        let out = SharedMut(sorted.as_mut_ptr());
        cpu.for_each(tasks, work, |task| {
            let position = counters(task);
            for i in range(task) {
                x.for_each(i, |j, value| {
                    // SAFETY: this walk meets the entries that were counted, so every position is
                    // below their number, and is taken once.
                    unsafe { out.get().add(position[j]).write((i as u32, value)) };
                    position[j] += 1;
                });
            }
        });
        // SAFETY: room for `next` entries was reserved, and each was written once.
        unsafe { sorted.set_len(next) };
        Ok(Self { ncols: rows, starts, entries: sorted })
    }
}

// SAFETY: the columns are rows of X, of which there are `ncols`.
unsafe impl<T: SparseScalar> SparseRows<T> for Transposed<T> {
    fn nrows(&self) -> usize {
        self.starts.len() - 1
    }

    fn ncols(&self) -> usize {
        self.ncols
    }

    fn entries(&self) -> usize {
        self.entries.len()
    }

    #[inline(always)]
    fn for_each(&self, j: usize, mut f: impl FnMut(usize, T)) {
        for &(i, value) in &self.entries[self.starts[j]..self.starts[j + 1]] {
            f(i as usize, value);
        }
    }

    #[inline(always)]
    fn prefetch(&self, j: usize) {
        prefetch_line(self.entries.as_ptr().wrapping_add(self.starts[j]));
    }
}
