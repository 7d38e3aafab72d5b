//! C ← α Xᵀ A + β C, X sparse by rows: row j of A is added to the rows of C that row j of X names.
//!
//! With X = Sᵀ this is S·A, the sketch. For every block of columns, C is accumulated in a private
//! row-major panel that stays in the L2 cache, while A streams by once: a row of the block is
//! loaded into registers and added, times ±1, to ζ rows of the panel. Row-major A is read in place,
//! with prefetches some rows ahead since every row lies on another page; column-major A is
//! transposed tile by tile.
//!
//! Cost: 2·entries·n flops, one pass over A, one load and store of the panel an entry and column.
//! The bound is that panel traffic between L1 and L2 for ζ ≳ 4, the bandwidth of memory below.
//! (Sorting the entries of a tile by rows of C, so that sums stay in registers, saves a tenth of
//! the panel traffic when rows have many entries and loses more to mispredicted branches when they
//! have few; the plain order is also free of set-up.)
//!
//! Few columns and many rows: A is cut into parts, whose number depends on shapes only, with a
//! panel each; panels are added in order.

use super::kernel::{Isa, SparseScalar, max_lines};
use super::panel::{
    Block, Blocks, LINE_BYTES, NARROW_LINES, PANEL_BYTES, Target, scale, zeroed_panel,
};
use super::rows::SparseRows;
use crate::device::cpu::pool::SharedMut;
use crate::{Cpu, MatMut, MatRef, Result};
use core::ops::Range;

/// How many rows of A are on their way while one is used.
const ROWS_AHEAD: usize = 12;
/// From so many entries a row on, the traffic of the panel is the bound and narrow panels are
/// faster; below it is memory, which likes long rows. (Measured: 15 % for ζ = 8, 25 % for ζ = 1.)
const BUSY: usize = 4;
/// Enough tasks for a good many threads.
const TASKS: usize = 16;
/// A part has this many entries for every row of C, so that joining parts is cheap …
const ENTRIES_PER_ROW: usize = 16;
/// … this many updates, so that it is worth a task …
const LEAST_UPDATES: usize = 1 << 16;
/// … and all panels together take at most this many bytes.
const PARTS_BYTES: usize = 16 << 20;
/// Rows of panels that one task joins.
const JOIN_ROWS: usize = 1024;

/// C ← α Xᵀ A + β C, X m×d, A m×n, C d×n.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub(super) fn scatter_times<T: SparseScalar>(
    cpu: &Cpu,
    isa: Isa,
    x: &impl SparseRows<T>,
    alpha: T,
    a: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
) -> Result<()> {
    let (m, d, n) = (x.nrows(), x.ncols(), a.ncols());
    debug_assert!(a.nrows() == m && c.shape() == (d, n));
    if alpha == T::zero() || x.entries() == 0 {
        scale(cpu, beta, c);
        return Ok(());
    }
    if c.is_empty() {
        return Ok(());
    }
    let wide = max_lines(isa);
    let busy = x.entries() >= BUSY * m || d > PANEL_BYTES / (wide * LINE_BYTES);
    let blocks = Blocks::new::<T>(n, if busy { NARROW_LINES } else { wide });
    let work = (x.entries() as u64).max(m as u64).saturating_mul(n as u64);
    let target = Target::new(c);
    let parts = parts(x, n);
    if parts == 1 {
        let done = cpu.map(blocks.count(), work, |b| {
            let block = blocks.get(b);
            let mut panel = zeroed_panel::<T>(cpu, d, block.width)?;
            accumulate(cpu, isa, x, 0..m, a, block, panel.as_mut_slice())?;
            let out = target.at(0, block.start);
            // SAFETY: this task alone writes these columns of C.
            unsafe {
                out.store(isa, (d, block.len), alpha, panel.as_slice(), block.width, beta);
            }
            Ok(())
        });
        return done.into_iter().collect();
    }

    let part_len = d * blocks.padded_columns();
    let mut panels = zeroed_panel::<T>(cpu, parts, part_len)?;
    let panels = SharedMut(panels.as_mut_slice().as_mut_ptr());
    let starts: Vec<usize> = (0..blocks.count())
        .scan(0, |next, b| {
            let start = *next;
            *next += d * blocks.get(b).width;
            Some(start)
        })
        .collect();
    let part_rows = m.div_ceil(parts);
    let done = cpu.map(blocks.count() * parts, work, |task| {
        let (b, part) = (task / parts, task % parts);
        let block = blocks.get(b);
        let start = panels.get().wrapping_add(part * part_len + starts[b]);
        // SAFETY: the panel of this block and part, which no other task uses.
        let panel = unsafe { core::slice::from_raw_parts_mut(start, d * block.width) };
        let range = (part * part_rows).min(m)..((part + 1) * part_rows).min(m);
        accumulate(cpu, isa, x, range, a, block, panel)
    });
    done.into_iter().collect::<Result<()>>()?;

    let chunks = d.div_ceil(JOIN_ROWS);
    let join_work = (parts * part_len) as u64;
    cpu.for_each(blocks.count() * chunks, join_work, |task| {
        let (block, i) = (blocks.get(task / chunks), task % chunks * JOIN_ROWS);
        let rows = JOIN_ROWS.min(d - i);
        let at = |part: usize| {
            let start = part * part_len + starts[task / chunks] + i * block.width;
            panels.get().wrapping_add(start)
        };
        let len = rows * block.width;
        // SAFETY: these rows of the first panel are this task's alone.
        let sum = unsafe { core::slice::from_raw_parts_mut(at(0), len) };
        for part in 1..parts {
            // SAFETY: as above; panels do not overlap.
            let addend = unsafe { core::slice::from_raw_parts(at(part), len) };
            sum.iter_mut().zip(addend).for_each(|(s, &x)| *s += x);
        }
        let out = target.at(i, block.start);
        // SAFETY: this task alone writes these entries of C.
        unsafe { out.store(isa, (rows, block.len), alpha, sum, block.width, beta) };
    });
    Ok(())
}

/// Into how many parts the rows of A are cut. Sums depend on it, so it must not depend on how
/// wide the panels of this machine are.
fn parts<T: SparseScalar>(x: &impl SparseRows<T>, n: usize) -> usize {
    let d = x.ncols();
    let line = LINE_BYTES / size_of::<T>();
    let panel_bytes = d.saturating_mul(n.next_multiple_of(line) * size_of::<T>());
    (TASKS / n.div_ceil(NARROW_LINES * line))
        .min(x.entries() / (ENTRIES_PER_ROW * d))
        .min(x.entries().saturating_mul(n) / LEAST_UPDATES)
        .min(PARTS_BYTES / panel_bytes)
        .min(x.nrows())
        .max(1)
}

/// panel += Xᵀ A for rows `range` of both and one block of columns.
#[allow(clippy::too_many_arguments)]
fn accumulate<T: SparseScalar>(
    cpu: &Cpu,
    isa: Isa,
    x: &impl SparseRows<T>,
    range: Range<usize>,
    a: MatRef<'_, T>,
    block: Block,
    panel: &mut [T],
) -> Result<()> {
    let a = a.rows(range.clone());
    if let Some(rows) = block.in_place(&a) {
        // A vector of unit stride needs no help.
        let ahead = if rows.stride == 1 { 0 } else { ROWS_AHEAD };
        // SAFETY: rows `range` of the block are readable in place; the panel has x.ncols() rows.
        unsafe { T::scatter(isa, block.width, x, range, rows, ahead, panel) };
        return Ok(());
    }
    let step = block.tile_rows::<T>().min(range.len().max(1));
    let mut tile = zeroed_panel::<T>(cpu, step, block.width)?;
    for start in (0..range.len()).step_by(step) {
        let count = step.min(range.len() - start);
        block.pack(isa, a.rows(start..start + count), tile.as_mut_slice());
        let rows = tile.as_slice();
        let rows = super::kernel::Rows { ptr: rows.as_ptr(), stride: block.width as isize };
        let tile_range = range.start + start..range.start + start + count;
        // SAFETY: the tile holds these rows; the panel has x.ncols() rows.
        unsafe { T::scatter(isa, block.width, x, tile_range, rows, 0, panel) };
    }
    Ok(())
}
