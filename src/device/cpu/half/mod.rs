//! Matrices that are stored in halves: conversions, and the kernels of `f32` between them.
//!
//! Everything moves in pieces of a column, [`PIECE`] entries that stay in the L1 cache: gathered where
//! the stride is not 1, converted, scattered. Bound by memory: 2 or 6 bytes an entry.

mod convert;

use super::pool::SharedMut;
use super::{Cpu, fit};
use crate::{Half, HalfKernels, MatMut, MatRef, Result, Sketch, SketchKernels, StorageKernels};
use convert::Converter;
use half::{bf16, f16};

/// Entries of a piece.
const PIECE: usize = 256;
/// Columns and rows of a task.
const TASK_COLUMNS: usize = 32;
const TASK_ROWS: usize = 16 * PIECE;

/// Calls `visit(i, j, len)` for all pieces of an m×n matrix, on several threads when it is large.
fn pieces(cpu: &Cpu, (m, n): (usize, usize), visit: impl Fn(usize, usize, usize) + Sync) {
    let strips = m.div_ceil(TASK_ROWS);
    let work = 6 * (m as u64) * (n as u64);
    cpu.for_each(strips * n.div_ceil(TASK_COLUMNS), work, |task| {
        let (top, left) = (task % strips * TASK_ROWS, task / strips * TASK_COLUMNS);
        for i in (top..m.min(top + TASK_ROWS)).step_by(PIECE) {
            for j in left..n.min(left + TASK_COLUMNS) {
                visit(i, j, PIECE.min(m - i));
            }
        }
    });
}

/// Where a piece of a column starts, and its stride.
#[derive(Clone, Copy)]
struct Column<T> {
    start: *mut T,
    stride: isize,
}

impl<T: Copy + Default> Column<T> {
    /// # Safety
    /// The piece has `len ≤ PIECE` readable entries.
    unsafe fn read(self, len: usize, into: &mut [T; PIECE]) {
        if self.stride == 1 {
            // SAFETY: the caller's promise.
            let entries = unsafe { core::slice::from_raw_parts(self.start, len) };
            return into[..len].copy_from_slice(entries);
        }
        for (i, x) in into[..len].iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *x = unsafe { *self.start.offset(i as isize * self.stride) };
        }
    }

    /// # Safety
    /// The piece has `from.len()` writable entries.
    unsafe fn write(self, from: &[T]) {
        if self.stride == 1 {
            // SAFETY: the caller's promise.
            let entries = unsafe { core::slice::from_raw_parts_mut(self.start, from.len()) };
            return entries.copy_from_slice(from);
        }
        for (i, &x) in from.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { *self.start.offset(i as isize * self.stride) = x };
        }
    }
}

/// Memory with strides that tasks share.
#[derive(Clone, Copy)]
struct Place<T> {
    start: SharedMut<T>,
    strides: (isize, isize),
}

impl<T: crate::Storage> Place<T> {
    fn of(a: MatRef<'_, T>) -> Self {
        Self { start: SharedMut(a.as_ptr().cast_mut()), strides: (a.row_stride(), a.col_stride()) }
    }

    fn of_mut(mut a: MatMut<'_, T>) -> Self {
        let strides = (a.row_stride(), a.col_stride());
        Self { start: SharedMut(a.as_mut_ptr()), strides }
    }

    fn column(self, i: usize, j: usize) -> Column<T> {
        let offset = i as isize * self.strides.0 + j as isize * self.strides.1;
        Column { start: self.start.get().wrapping_offset(offset), stride: self.strides.0 }
    }
}

/// Whether pieces are better taken along the rows of the matrix that is written.
fn along_rows<T: crate::Storage>(b: &MatMut<'_, T>) -> bool {
    b.row_stride().unsigned_abs() > b.col_stride().unsigned_abs() && b.ncols() > 1
}

fn copy<H: Half>(cpu: &Cpu, a: MatRef<'_, H>, b: MatMut<'_, H>) {
    let (a, b) = if along_rows(&b) { (a.transpose(), b.transpose()) } else { (a, b) };
    let (shape, a, b) = (b.shape(), Place::of(a), Place::of_mut(b));
    pieces(cpu, shape, |i, j, len| {
        let mut entries = [H::default(); PIECE];
        // SAFETY: pieces lie inside of both, those of B are one task's each.
        unsafe {
            a.column(i, j).read(len, &mut entries);
            b.column(i, j).write(&entries[..len]);
        }
    });
}

fn widen<H: Converter>(cpu: &Cpu, a: MatRef<'_, H>, b: MatMut<'_, f32>) {
    let (a, b) = if along_rows(&b) { (a.transpose(), b.transpose()) } else { (a, b) };
    let (shape, a, b, way) = (b.shape(), Place::of(a), Place::of_mut(b), convert::Way::detect());
    pieces(cpu, shape, |i, j, len| {
        let (mut narrow, mut wide) = ([H::default(); PIECE], [0.0; PIECE]);
        // SAFETY: pieces lie inside of both, those of B are one task's each.
        unsafe {
            a.column(i, j).read(len, &mut narrow);
            H::widen_all(way, &narrow, &mut wide);
            b.column(i, j).write(&wide[..len]);
        }
    });
}

/// `C ← round(α X + β C)`, without X `C ← round(β C)`.
fn narrow<H: Converter>(
    cpu: &Cpu,
    alpha: f32,
    x: Option<MatRef<'_, f32>>,
    beta: f32,
    c: MatMut<'_, H>,
) {
    let turned = along_rows(&c);
    let c = if turned { c.transpose() } else { c };
    let x = x.map(|x| Place::of(if turned { x.transpose() } else { x }));
    let (shape, c, way) = (c.shape(), Place::of_mut(c), convert::Way::detect());
    pieces(cpu, shape, |i, j, len| {
        let (mut sums, mut halves) = ([0.0f32; PIECE], [H::default(); PIECE]);
        // SAFETY: pieces lie inside of both, those of C are one task's each.
        unsafe {
            if let Some(x) = x {
                x.column(i, j).read(len, &mut sums);
                sums.iter_mut().for_each(|sum| *sum *= alpha);
            }
            if beta != 0.0 {
                let mut old = [0.0f32; PIECE];
                c.column(i, j).read(len, &mut halves);
                H::widen_all(way, &halves, &mut old);
                sums.iter_mut().zip(&old).for_each(|(sum, old)| *sum += beta * old);
            }
            H::narrow_all(way, &sums, &mut halves);
            c.column(i, j).write(&halves[..len]);
        }
    });
}

/// Every entry becomes the nearest half.
fn round<H: Converter>(cpu: &Cpu, b: MatMut<'_, f32>) {
    let b = if along_rows(&b) { b.transpose() } else { b };
    let (shape, b, way) = (b.shape(), Place::of_mut(b), convert::Way::detect());
    pieces(cpu, shape, |i, j, len| {
        let (mut wide, mut halves) = ([0.0; PIECE], [H::default(); PIECE]);
        // SAFETY: pieces lie inside of B and are one task's each.
        unsafe {
            b.column(i, j).read(len, &mut wide);
            H::narrow_all(way, &wide, &mut halves);
            H::widen_all(way, &halves, &mut wide);
            b.column(i, j).write(&wide[..len]);
        }
    });
}

macro_rules! half_kernels {
    ($h:ty) => {
        impl StorageKernels<$h> for Cpu {
            fn copy(&self, a: MatRef<'_, $h>, b: MatMut<'_, $h>) -> Result<()> {
                fit(a.shape(), b.shape());
                copy(self, a, b);
                Ok(())
            }

            fn rescale(&self, beta: f32, c: MatMut<'_, $h>) -> Result<()> {
                if beta != 1.0 {
                    narrow(self, 0.0, None, beta, c);
                }
                Ok(())
            }
        }

        impl HalfKernels<$h> for Cpu {
            fn widen(&self, a: MatRef<'_, $h>, b: MatMut<'_, f32>) -> Result<()> {
                fit(a.shape(), b.shape());
                widen(self, a, b);
                Ok(())
            }

            fn narrow(
                &self,
                alpha: f32,
                x: MatRef<'_, f32>,
                beta: f32,
                c: MatMut<'_, $h>,
            ) -> Result<()> {
                fit(x.shape(), c.shape());
                if alpha == 0.0 {
                    return self.rescale(beta, c);
                }
                narrow(self, alpha, Some(x), beta, c);
                Ok(())
            }

            fn fill_rounded(&self, s: &Sketch, mut b: MatMut<'_, f32>) -> Result<()> {
                self.fill(&s.raw(), 1.0, b.as_mut())?;
                round::<$h>(self, b);
                Ok(())
            }
        }
    };
}

half_kernels!(f16);
half_kernels!(bf16);
