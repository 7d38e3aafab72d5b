//! C ← α X Y + β C, X sparse by rows: a row of C is a sum of the rows of Y that a row of X names.
//!
//! With X = Sᵀ this is Sᵀ·Y, the adjoint of a sketch. For every block of columns, Y is packed into a
//! row-major panel that stays in the L2 cache; sums are taken in registers, and C is written once,
//! tile by tile. Y that is row-major and met few times is read in place instead.
//!
//! Cost: 2·entries·n flops, one load of the panel an entry and column, one pass over C.

use super::kernel::{Isa, Rows, SparseScalar, max_lines};
use super::panel::{Blocks, NARROW_LINES, Target, scale, zeroed_panel};
use super::rows::SparseRows;
use crate::{Cpu, MatMut, MatRef, Result};

/// Enough tasks for a good many threads.
const TASKS: usize = 16;
/// Y is packed where each of its rows is met this often, or where its layout demands it …
const REUSE: usize = 16;
/// … and packed once more for every part of the rows of C that meets each row so often.
const REUSE_PER_PART: usize = 8;
/// Updates that are worth a task.
const LEAST_UPDATES: usize = 1 << 16;

/// C ← α X Y + β C, X m×k, Y k×n, C m×n.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub(super) fn gather_times<T: SparseScalar>(
    cpu: &Cpu,
    isa: Isa,
    x: &impl SparseRows<T>,
    alpha: T,
    y: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
) -> Result<()> {
    let (m, k, n) = (x.nrows(), x.ncols(), y.ncols());
    debug_assert!(y.nrows() == k && c.shape() == (m, n));
    if alpha == T::zero() || x.entries() == 0 {
        scale(cpu, beta, c);
        return Ok(());
    }
    if c.is_empty() {
        return Ok(());
    }
    let reuse = x.entries() / k;
    let packed = y.col_stride() != 1 || reuse >= REUSE;
    let blocks = Blocks::new::<T>(n, if packed { NARROW_LINES } else { max_lines(isa) });
    let parts = (TASKS / blocks.count())
        .min(if packed && n > 1 { reuse / REUSE_PER_PART } else { TASKS })
        .min(x.entries().saturating_mul(n) / LEAST_UPDATES)
        .clamp(1, m);
    let part_rows = m.div_ceil(parts);
    let work = (x.entries() as u64).max(m as u64).saturating_mul(n as u64);
    let target = Target::new(c);
    let done = cpu.map(blocks.count() * parts, work, |task| {
        let (block, part) = (blocks.get(task / parts), task % parts);
        let in_place = block.in_place(&y).filter(|_| !packed || block.width == 1);
        let mut panel =
            zeroed_panel::<T>(cpu, if in_place.is_some() { 0 } else { k }, block.width)?;
        let rows = in_place.unwrap_or_else(|| {
            block.pack(isa, y, panel.as_mut_slice());
            Rows { ptr: panel.as_slice().as_ptr(), stride: block.width as isize }
        });
        let range = (part * part_rows).min(m)..((part + 1) * part_rows).min(m);
        let step = block.tile_rows::<T>().min(range.len().max(1));
        let mut tile = zeroed_panel::<T>(cpu, step, block.width)?;
        for start in range.clone().step_by(step) {
            let count = step.min(range.end - start);
            let sums = tile.as_mut_slice();
            let out = target.at(start, block.start);
            // SAFETY: the panel has k = x.ncols() rows, the tile `count` rows at least; this task
            // alone writes these entries of C.
            unsafe {
                T::gather(isa, block.width, x, start..start + count, rows, sums);
                out.store(isa, (count, block.len), alpha, sums, block.width, beta);
            }
        }
        Ok(())
    });
    done.into_iter().collect()
}
