//! A matrix in compressed sparse rows, transposed.
//!
//! Entries are sorted by column, by counting: two walks over the columns, one over the values. The
//! sort is stable, so the result is one and the same however the rows are shared out among tasks.
//!
//! Cost: 4 bytes and the size of a value an entry; about as much time as ten additions an entry.

use super::kernel::SparseScalar;
use super::rows::{CsrRows, SparseRows};
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
    row_ptr: Vec<usize>,
    col_idx: Vec<u32>,
    values: Vec<T>,
}

impl<T: SparseScalar> Transposed<T> {
    /// The transpose of `x`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; [`Error::Unsupported`] for more than 2³² rows, whose numbers are no
    /// column indices.
    pub(super) fn new(cpu: &Cpu, x: &CsrRows<'_, T>) -> Result<Self> {
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
        let mut row_ptr = try_vec(0usize, cols + 1)?;
        let mut next = 0;
        for (j, start) in row_ptr.iter_mut().take(cols).enumerate() {
            *start = next;
            for task in 0..tasks {
                let count = &mut counters(task)[j];
                next += core::mem::replace(count, next);
            }
        }
        row_ptr[cols] = next;

        let (mut col_idx, mut values) = (try_vec(0u32, next)?, try_vec(T::zero(), next)?);
        let (to_idx, to_values) = (SharedMut(col_idx.as_mut_ptr()), SharedMut(values.as_mut_ptr()));
        cpu.for_each(tasks, work, |task| {
            let position = counters(task);
            for i in range(task) {
                x.for_each(i, |j, value| {
                    let at = position[j];
                    // SAFETY: this walk meets the entries that were counted, so every position is
                    // below their number, and is taken once.
                    unsafe {
                        *to_idx.get().add(at) = i as u32;
                        *to_values.get().add(at) = value;
                    }
                    position[j] = at + 1;
                });
            }
        });
        Ok(Self { ncols: rows, row_ptr, col_idx, values })
    }

    /// Xᵀ by rows.
    pub(super) fn rows(&self) -> CsrRows<'_, T> {
        CsrRows::of_parts(self.ncols, &self.row_ptr, &self.col_idx, &self.values)
    }
}
