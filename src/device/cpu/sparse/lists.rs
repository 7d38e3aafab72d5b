//! A column-sparse operator by rows: for every row of S the columns in which it has an entry.
//!
//! The words of the columns are sorted by row, by counting: twice a walk over them, one word of
//! memory each and no values. The sort is stable, so the result is one and the same however the
//! columns are shared out among tasks.

use super::kernel::SparseScalar;
use super::rows::{SignRows, SparseRows};
use crate::device::cpu::pool::SharedMut;
use crate::device::try_vec;
use crate::{Cpu, Error, Result};

/// Enough tasks for a good many threads; each has counters of its own.
const TASKS: usize = 16;
/// Words that are worth a task.
const LEAST_WORDS: usize = 1 << 15;
/// Counting and moving a word costs about as much as this many additions.
const COST: u64 = 4;

/// S by rows: row i holds ±1 in the columns that its words `column << 1 | negative` name, by
/// increasing column.
pub(super) struct SignLists {
    /// Where the words of a row start, and the end of all.
    starts: Vec<usize>,
    words: Vec<u32>,
    ncols: usize,
}

impl SignLists {
    /// Transposes Sᵀ.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; [`Error::Unsupported`] for 2³¹ columns or more, whose numbers do not
    /// fit beside a sign.
    pub(super) fn new(cpu: &Cpu, columns: &SignRows<'_>) -> Result<Self> {
        let (ncols, rows, entries) = (columns.len(), columns.width(), columns.words());
        if ncols > 1 << 31 {
            let what = format!("a column-sparse operator of {ncols} columns on a sparse matrix");
            return Err(Error::Unsupported { op: "Sketch", what });
        }
        // Counters take no more memory than words do.
        let tasks = (entries / LEAST_WORDS).min(entries / rows.max(1)).clamp(1, TASKS);
        let task_cols = ncols.div_ceil(tasks);
        let range =
            |task: usize| (task * task_cols).min(ncols)..((task + 1) * task_cols).min(ncols);
        let work = entries as u64 * COST;

        let mut counts = try_vec(0usize, tasks.saturating_mul(rows))?;
        let shared = SharedMut(counts.as_mut_ptr());
        // SAFETY: a task uses its own `rows` counters, and one loop ends before the next begins.
        let counters = |task: usize| unsafe {
            core::slice::from_raw_parts_mut(shared.get().add(task * rows), rows)
        };
        cpu.for_each(tasks, work, |task| {
            let count = counters(task);
            range(task).for_each(|j| columns.for_each_word(j, |row, _| count[row] += 1));
        });

        // From numbers of words to positions: rows in order, and within a row tasks in order.
        let mut starts = try_vec(0usize, rows + 1)?;
        let mut next = 0;
        for (row, start) in starts.iter_mut().take(rows).enumerate() {
            *start = next;
            for task in 0..tasks {
                let count = &mut counters(task)[row];
                next += core::mem::replace(count, next);
            }
        }
        starts[rows] = next;

        let mut words = try_vec(0u32, next)?;
        let out = SharedMut(words.as_mut_ptr());
        cpu.for_each(tasks, work, |task| {
            let position = counters(task);
            for j in range(task) {
                columns.for_each_word(j, |row, packed| {
                    let word = (j as u32) << 1 | (packed & 1);
                    // SAFETY: this walk meets the words that were counted, so every position is
                    // below their number, and is taken once.
                    unsafe { *out.get().add(position[row]) = word };
                    position[row] += 1;
                });
            }
        });
        Ok(Self { starts, words, ncols })
    }
}

// SAFETY: words hold columns below `ncols` by construction.
unsafe impl<T: SparseScalar> SparseRows<T> for SignLists {
    fn nrows(&self) -> usize {
        self.starts.len() - 1
    }

    fn ncols(&self) -> usize {
        self.ncols
    }

    fn entries(&self) -> usize {
        self.words.len()
    }

    #[inline(always)]
    fn for_each(&self, i: usize, mut f: impl FnMut(usize, T)) {
        for &word in &self.words[self.starts[i]..self.starts[i + 1]] {
            f((word >> 1) as usize, T::sign(word & 1));
        }
    }
}
