//! Column blocks, and how they get in and out of row-major panels.
//!
//! A panel holds some rows of one column block: rows of `width` entries, of which the first `len`
//! mean something and the others are zero. Widths are 1 or 1, 4 or 8 cache lines, those for which
//! there are kernels.

use super::kernel::{Isa, Rows, RowsMut, SparseScalar};
use crate::device::HostBuffer;
use crate::device::cpu::pool::SharedMut;
use crate::{Cpu, MatMut, MatRef, Result};
use core::mem::MaybeUninit;

/// One cache line, one AVX-512 register.
pub(super) const LINE_BYTES: usize = 64;
/// The width of panels, in cache lines, where their traffic is the bound.
///
/// Half as wide costs more per entry, twice as wide drives more of the panel out of the L2 cache.
/// A panel too long for that cache is better kept so wide than made to fit.
pub(super) const NARROW_LINES: usize = 4;
/// What a panel that is met at random may take of an L2 cache of 1 MiB.
pub(super) const PANEL_BYTES: usize = 768 << 10;
/// What a panel that streams by may take of it.
const TILE_BYTES: usize = 128 << 10;
/// The stage between a panel and a column-major output: a part of the L1 cache.
const STAGE_BYTES: usize = 32 << 10;

/// The column blocks of a matrix of n columns.
pub(super) struct Blocks {
    n: usize,
    /// Entries of a cache line.
    line: usize,
    max_width: usize,
}

/// Columns `start..start + len`, in a panel `width ≥ len` wide.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) width: usize,
}

impl Blocks {
    /// Blocks of n columns, `lines` cache lines wide, the last one maybe narrower.
    pub(super) fn new<T>(n: usize, lines: usize) -> Self {
        let line = LINE_BYTES / size_of::<T>();
        Self { n, line, max_width: lines * line }
    }

    pub(super) fn count(&self) -> usize {
        self.n.div_ceil(self.max_width)
    }

    /// The columns of all panels together.
    pub(super) fn padded_columns(&self) -> usize {
        (0..self.count()).map(|b| self.get(b).width).sum()
    }

    pub(super) fn get(&self, block: usize) -> Block {
        let start = block * self.max_width;
        let len = self.max_width.min(self.n - start);
        let widths = [1, self.line, 4 * self.line];
        let width = widths.into_iter().find(|&w| w >= len).unwrap_or(self.max_width);
        Block { start, len, width: width.min(self.max_width) }
    }
}

impl Block {
    /// The rows of A's columns in this block where they are, when kernels can read them there.
    pub(super) fn in_place<T: SparseScalar>(&self, a: &MatRef<'_, T>) -> Option<Rows<T>> {
        let readable = self.width == 1 || (a.col_stride() == 1 && self.len == self.width);
        let ptr = a.as_ptr().wrapping_offset(self.start as isize * a.col_stride());
        readable.then_some(Rows { ptr, stride: a.row_stride() })
    }

    /// How many rows a panel may have that streams through the cache.
    pub(super) fn tile_rows<T>(&self) -> usize {
        TILE_BYTES / (self.width * size_of::<T>())
    }

    /// Packs this block of the rows of `a` into `panel`, whose padding is zero and remains so.
    pub(super) fn pack<T: SparseScalar>(&self, isa: Isa, a: MatRef<'_, T>, panel: &mut [T]) {
        let a = a.columns(self.start..self.start + self.len);
        let (rows, width) = (a.nrows(), self.width);
        debug_assert!(panel.len() >= rows * width);
        let (row_stride, col_stride) = (a.row_stride(), a.col_stride());
        if row_stride == 1 {
            let columns = Rows { ptr: a.as_ptr(), stride: col_stride };
            let panel = RowsMut { ptr: panel.as_mut_ptr(), stride: width as isize };
            // SAFETY: the columns of A are `len` rows of unit stride; the panel has as many rows
            // as they are long, of at least `len` entries.
            unsafe { T::transpose(isa, (self.len, rows), columns, panel) };
            return;
        }
        for (i, row) in panel.chunks_exact_mut(width).take(rows).enumerate() {
            let from = a.as_ptr().wrapping_offset(i as isize * row_stride);
            for (j, entry) in row[..self.len].iter_mut().enumerate() {
                // SAFETY: (i, j) is an entry of A.
                *entry = unsafe { *from.offset(j as isize * col_stride) };
            }
        }
    }
}

/// A writable matrix, parts of which several tasks write.
#[derive(Clone, Copy)]
pub(super) struct Target<T> {
    ptr: SharedMut<T>,
    row_stride: isize,
    col_stride: isize,
}

impl<T: SparseScalar> Target<T> {
    pub(super) fn new(mut c: MatMut<'_, T>) -> Self {
        let (row_stride, col_stride) = (c.row_stride(), c.col_stride());
        Self { ptr: SharedMut(c.as_mut_ptr()), row_stride, col_stride }
    }

    /// The matrix that starts at entry (i, j).
    pub(super) fn at(self, i: usize, j: usize) -> Self {
        let offset = i as isize * self.row_stride + j as isize * self.col_stride;
        Self { ptr: SharedMut(self.ptr.get().wrapping_offset(offset)), ..self }
    }

    fn transpose(self) -> Self {
        Self { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// C ← α·panel + β·C for the rows×cols matrix C that starts here; the panel has rows of
    /// `width ≥ cols` entries.
    ///
    /// # Safety
    /// The target has rows×cols entries, which nobody else uses.
    pub(super) unsafe fn store(
        self,
        isa: Isa,
        (rows, cols): (usize, usize),
        alpha: T,
        panel: &[T],
        width: usize,
        beta: T,
    ) {
        debug_assert!(cols <= width && (rows == 0 || panel.len() >= (rows - 1) * width + cols));
        let panel = Rows { ptr: panel.as_ptr(), stride: width as isize };
        if width == 1 && self.row_stride == 1 {
            // A column is one long row.
            let out = RowsMut { ptr: self.ptr.get(), stride: self.col_stride };
            // SAFETY: the panel and the target are `rows` consecutive entries.
            unsafe { T::axpby(isa, (1, rows), alpha, panel, beta, out) };
        } else if self.col_stride == 1 {
            let out = RowsMut { ptr: self.ptr.get(), stride: self.row_stride };
            // SAFETY: both are rows×cols with rows of unit stride.
            unsafe { T::axpby(isa, (rows, cols), alpha, panel, beta, out) };
        } else if self.row_stride == 1 && cols > 1 {
            // SAFETY: as promised to this function.
            unsafe { self.store_columns(isa, (rows, cols), alpha, panel, beta) };
        } else {
            for i in 0..rows {
                for j in 0..cols {
                    // SAFETY: (i, j) is an entry of both.
                    unsafe {
                        let c = self.at(i, j).ptr.get();
                        let new = alpha * *panel.row(i).add(j);
                        *c = if beta == T::zero() { new } else { new + beta * *c };
                    }
                }
            }
        }
    }

    /// [`Target::store`] for columns of unit stride: through a stage that holds some rows of the
    /// panel transposed.
    ///
    /// # Safety
    /// As there.
    unsafe fn store_columns(
        self,
        isa: Isa,
        (rows, cols): (usize, usize),
        alpha: T,
        panel: Rows<T>,
        beta: T,
    ) {
        let mut stage = [const { MaybeUninit::<u64>::uninit() }; STAGE_BYTES / size_of::<u64>()];
        let step = STAGE_BYTES / (size_of::<T>() * cols);
        debug_assert!(step > 0);
        for i in (0..rows).step_by(step) {
            let count = step.min(rows - i);
            let out = self.at(i, 0).transpose();
            let out = RowsMut { ptr: out.ptr.get(), stride: out.row_stride };
            let stage = RowsMut { ptr: stage.as_mut_ptr().cast::<T>(), stride: step as isize };
            let staged = Rows { ptr: stage.ptr.cast_const(), stride: stage.stride };
            // SAFETY: the stage holds `cols` rows of `step` entries, of which those are read that
            // were written before; rows i..i + count of the panel and of the target exist.
            unsafe {
                let panel = Rows { ptr: panel.row(i), ..panel };
                T::transpose(isa, (count, cols), panel, stage);
                T::axpby(isa, (cols, count), alpha, staged, beta, out);
            }
        }
    }
}

/// C ← β·C; `beta == 0` does not read C.
pub(super) fn scale<T: SparseScalar>(cpu: &Cpu, beta: T, c: MatMut<'_, T>) {
    if beta == T::one() {
        return;
    }
    let (rows, cols) = c.shape();
    let target = Target::new(c);
    // Tasks take whole rows or columns, whichever are further apart.
    let by_rows = target.row_stride.unsigned_abs() >= target.col_stride.unsigned_abs();
    let ((rows, cols), target) =
        if by_rows { ((rows, cols), target) } else { ((cols, rows), target.transpose()) };
    cpu.for_each(rows, (rows * cols) as u64, |i| {
        for j in 0..cols {
            let c = target.at(i, j).ptr.get();
            // SAFETY: (i, j) is an entry of C, and this task's alone.
            unsafe { *c = if beta == T::zero() { T::zero() } else { beta * *c } };
        }
    });
}

/// `rows` rows of zeros, `width` entries each.
pub(super) fn zeroed_panel<T: SparseScalar>(
    cpu: &Cpu,
    rows: usize,
    width: usize,
) -> Result<HostBuffer<T>> {
    HostBuffer::zeroed_in(cpu.workspace(), rows.saturating_mul(width))
}
