//! C ← α X Y + β C, X and Y sparse by rows, C dense: matrices in CSR, and Sᵀ of a column-sparse
//! operator.
//!
//! A row of C is a sum of the rows of Y that a row of X names, taken in a private row that is
//! dense (Gustavson, "Two fast algorithms for sparse matrices", 1978). Some rows are stored
//! together, so that a column-major C is written by whole cache lines.
//!
//! Cost: 2 flops for every pair of entries that meet, one pass over C.

use super::kernel::{Isa, SparseScalar};
use super::panel::{Target, scale, zeroed_panel};
use super::rows::SparseRows;
use crate::{Cpu, MatMut, Result};

/// Enough tasks for a good many threads.
const TASKS: usize = 64;
/// Rows that are stored together.
const TILE_ROWS: usize = 16;
/// Columns that are stored together.
const TILE_COLS: usize = 128;

/// Rows of Y are fetched this many entries of X before they are used.
const AHEAD: usize = 8;

/// C ← α X Y + β C, X m×k, Y k×n, C m×n.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub(super) fn spspmm<T: SparseScalar>(
    cpu: &Cpu,
    isa: Isa,
    alpha: T,
    x: &impl SparseRows<T>,
    y: &impl SparseRows<T>,
    beta: T,
    c: MatMut<'_, T>,
) -> Result<()> {
    let (m, n) = (x.nrows(), y.ncols());
    debug_assert!(x.ncols() == y.nrows() && c.shape() == (m, n));
    if alpha == T::zero() || x.entries() == 0 || y.entries() == 0 {
        scale(cpu, beta, c);
        return Ok(());
    }
    if c.is_empty() {
        return Ok(());
    }
    let task_rows = m.div_ceil(TASKS).next_multiple_of(TILE_ROWS);
    let meetings = x.entries() as u64 * y.entries().div_ceil(y.nrows()) as u64;
    let work = meetings.saturating_add((m as u64).saturating_mul(n as u64));
    let target = Target::new(c);
    let done = cpu.map(m.div_ceil(task_rows), work, |task| {
        let range = task * task_rows..m.min((task + 1) * task_rows);
        let mut tile = zeroed_panel::<T>(cpu, TILE_ROWS.min(range.len()), n)?;
        for start in range.clone().step_by(TILE_ROWS) {
            let count = TILE_ROWS.min(range.end - start);
            let sums = &mut tile.as_mut_slice()[..count * n];
            for (sum, i) in sums.chunks_exact_mut(n).zip(start..) {
                add_row(x, i, y, sum);
            }
            for j in (0..n).step_by(TILE_COLS) {
                let cols = TILE_COLS.min(n - j);
                let out = target.at(start, j);
                // SAFETY: this task alone writes these entries of C; the tile has `count` rows of
                // n entries, and from column j on they are n entries apart still.
                unsafe { out.store(isa, (count, cols), alpha, &sums[j..], n, beta) };
            }
            sums.fill(T::zero());
        }
        Ok(())
    });
    done.into_iter().collect()
}

/// sum += X[i, :]·Y. Entries of X wait in a ring while the rows of Y that they name arrive.
#[inline]
fn add_row<T: SparseScalar>(
    x: &impl SparseRows<T>,
    i: usize,
    y: &impl SparseRows<T>,
    sum: &mut [T],
) {
    let mut ring = [(0, T::zero()); AHEAD];
    let mut count = 0;
    let mut add = |(k, x): (usize, T)| y.for_each(k, |j, y| sum[j] += x * y);
    x.for_each(i, |k, x| {
        y.prefetch(k);
        let waited = core::mem::replace(&mut ring[count % AHEAD], (k, x));
        if count >= AHEAD {
            add(waited);
        }
        count += 1;
    });
    (count.saturating_sub(AHEAD)..count).for_each(|k| add(ring[k % AHEAD]));
}
