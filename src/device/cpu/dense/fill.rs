//! `B ← α S`.

use super::super::pool::SharedMut;
use super::tile::{Entries, TILE_LEN, Tile};
use crate::{Cpu, MatMut, Sketch};

/// Entries a task.
const TASK_LEN: usize = 1 << 15;

pub(in super::super) fn fill<T: Entries>(cpu: &Cpu, s: &Sketch, alpha: T, mut b: MatMut<'_, T>) {
    let (d, m) = s.shape();
    if d == 0 || m == 0 {
        return;
    }
    let factor = alpha * T::from_f64(s.scale());
    let (row0, col0) = (s.row_range().start, s.col_range().start);
    let (row_stride, col_stride) = (b.row_stride(), b.col_stride());
    let base = SharedMut(b.as_mut_ptr());
    // Tall tiles where columns are contiguous, square ones where a tile is written transposed.
    let height = d.min(if row_stride == 1 { TILE_LEN } else { 32 });
    let task_rows = if d > TASK_LEN { height } else { d };
    let task_cols = (TASK_LEN / task_rows).clamp(1, m);
    let down = d.div_ceil(task_rows);
    let work = 8 * (d as u64) * (m as u64);
    cpu.for_each(down * m.div_ceil(task_cols), work, |task| {
        let mut tile = Tile::new(height);
        let width = tile.width(height);
        let rows = task % down * task_rows..d.min((task % down + 1) * task_rows);
        let cols = task / down * task_cols..m.min((task / down + 1) * task_cols);
        for i in rows.clone().step_by(height) {
            let i_end = rows.end.min(i + height);
            for j in cols.clone().step_by(width) {
                let j_end = cols.end.min(j + width);
                tile.generate(s, row0 + i..row0 + i_end, col0 + j..col0 + j_end);
                let start = i as isize * row_stride + j as isize * col_stride;
                let strides = (row_stride, col_stride);
                // SAFETY: the tile lies inside of B, and tasks own disjoint positions of it.
                unsafe { store(&tile, j_end - j, factor, base.get().offset(start), strides) };
            }
        }
    });
}

/// Writes `factor` times the first `cols` columns of a tile.
///
/// # Safety
/// Every position of the tile must be writable at `target` with the given strides.
unsafe fn store<T: Entries>(
    tile: &Tile<T>,
    cols: usize,
    factor: T,
    target: *mut T,
    (row_stride, col_stride): (isize, isize),
) {
    for j in 0..cols {
        let column = tile.column(j);
        let start = target.wrapping_offset(j as isize * col_stride);
        if row_stride == 1 {
            // SAFETY: a column of unit stride is that many neighbouring writable entries.
            let out = unsafe { core::slice::from_raw_parts_mut(start, column.len()) };
            out.iter_mut().zip(column).for_each(|(out, &x)| *out = factor * x);
        } else {
            for (i, &x) in column.iter().enumerate() {
                // SAFETY: promised by the caller.
                unsafe { *start.offset(i as isize * row_stride) = factor * x };
            }
        }
    }
}
