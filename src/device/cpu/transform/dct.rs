//! The orthonormal discrete cosine transform of every column.
//!
//! X_k = c_k √(2/n) Σ_t x_t cos(π (2t + 1) k / 2n), c_0 = 1/√2 and c_k = 1 otherwise (DCT-II); its
//! inverse is its transpose (DCT-III). Any length, O(n log n) flops a column: the fast transforms
//! are rustdct's, planned once a call and shared by all tasks; here are the normalisation and the
//! strides. Contiguous columns are transformed in place, columns of a row-major matrix a cache
//! line at a time through a buffer that holds them column by column.

use super::fwht::{Engine, Isa, Kernel, dispatch};
use super::panel::{Panel, Scratch, load, store};
use super::{Real, number};
use crate::device::cpu::Cpu;
use crate::{MatMut, Op, Result};
use core::ops::Range;
use rustdct::{DctPlanner, TransformType2And3};
use std::sync::Arc;

/// Work of one task, in entries.
const TASK: usize = 1 << 14;

/// A planned transform of one length and direction.
pub(super) struct Cosine<T> {
    plan: Arc<dyn TransformType2And3<T>>,
    op: Op,
    n: usize,
}

impl<T: Real> Cosine<T> {
    /// The transform of length n ≥ 1, or its inverse.
    pub(super) fn new(op: Op, n: usize) -> Self {
        Self { plan: DctPlanner::new().plan_dct2(n), op, n }
    }

    /// What the result of [`Cosine::apply`] must be multiplied by.
    pub(super) fn factor(&self) -> f64 {
        if self.n == 1 { 1.0 } else { (2.0 / self.n as f64).sqrt() }
    }

    /// Transforms a contiguous column, but for the factor that all entries share.
    pub(super) fn apply(&self, x: &mut [T], scratch: &mut [T]) {
        if self.n == 1 {
            return;
        }
        match self.op {
            Op::NoTrans => {
                self.plan.process_dct2_with_scratch(x, scratch);
                x[0] *= number::<T>(core::f64::consts::FRAC_1_SQRT_2);
            }
            Op::Trans => {
                x[0] *= number::<T>(core::f64::consts::SQRT_2);
                self.plan.process_dct3_with_scratch(x, scratch);
            }
        }
    }

    /// Entries of scratch that [`Cosine::apply`] needs.
    pub(super) fn scratch_len(&self) -> usize {
        self.plan.get_scratch_len()
    }

    /// How many columns of a panel are buffered together, and the distance between them: a cache
    /// line of a row-major matrix, and off the multiples of a page at which lines collide.
    pub(super) fn buffer(&self, cols: usize, panel: Panel<T>) -> (usize, usize) {
        let line = 64 / size_of::<T>();
        let width = if panel.is_row_major() { line.min(cols) } else { 1 };
        (width, (self.n.div_ceil(line) | 1) * line)
    }

    /// Columns of one task that buffers `width` columns.
    pub(super) fn task(&self, width: usize) -> usize {
        TASK.div_ceil(self.n).next_multiple_of(width)
    }
}

/// Each column becomes its transform or inverse transform.
pub(super) fn dct<T: Real>(cpu: &Cpu, op: Op, mut a: MatMut<'_, T, Cpu>) -> Result<()> {
    let (n, cols) = a.shape();
    if n <= 1 || cols == 0 {
        return Ok(());
    }
    let cosine = Cosine::new(op, n);
    let panel = Panel::new(a.as_mut_ptr(), a.row_stride(), a.col_stride());
    let (width, ld) = cosine.buffer(cols, panel);
    let columns = cosine.task(width);
    let scratch = Scratch::new(cpu, width * ld + cosine.scratch_len());
    let work = 4 * n as u64 * cols as u64 * u64::from(n.ilog2());
    let isa = Isa::detect();
    let tasks = cpu.map(cols.div_ceil(columns), work, |task| {
        let range = task * columns..cols.min((task + 1) * columns);
        scratch.with(|buffer| {
            let (buffer, scratch) = buffer.split_at_mut(width * ld);
            let job = Columns { cosine: &cosine, panel, range, width, ld, buffer, scratch };
            // SAFETY: the CPU was asked for the instructions; tasks have distinct columns.
            unsafe { dispatch(isa, job) };
        })
    });
    tasks.into_iter().collect()
}

/// Transforms columns through a buffer.
struct Columns<'a, T> {
    cosine: &'a Cosine<T>,
    panel: Panel<T>,
    range: Range<usize>,
    width: usize,
    ld: usize,
    buffer: &'a mut [T],
    scratch: &'a mut [T],
}

impl<T: Real> Kernel<T> for Columns<'_, T> {
    #[inline(always)]
    fn run<E: Engine<T>>(self) {
        let Self { cosine, panel, range, width, ld, buffer, scratch } = self;
        let n = cosine.n;
        let factor = number::<T>(cosine.factor());
        for j in range.clone().step_by(width) {
            let cols = width.min(range.end - j);
            let here = panel.columns_from(j);
            let tile = Panel::new(buffer.as_mut_ptr(), 1, ld as isize);
            // SAFETY: the buffer holds width columns, the matrix n rows and cols columns from j.
            unsafe { load(here, tile, 0..n, 0..n, (cols, cols), None) };
            for x in buffer.chunks_exact_mut(ld).take(cols) {
                cosine.apply(&mut x[..n], scratch);
            }
            let tile = Panel::new(buffer.as_mut_ptr(), 1, ld as isize);
            // SAFETY: as above.
            unsafe { store(tile, here, 0..n, cols, (factor, T::zero()), None) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{LAYOUTS, Strided, noise};
    use super::*;

    /// Entry (k, t) of the orthonormal DCT-II of order n.
    fn entry(n: usize, k: usize, t: usize) -> f64 {
        let angle = (((2 * t + 1) * k) % (4 * n)) as f64 * core::f64::consts::PI / (2 * n) as f64;
        let norm = if k == 0 { 1.0 } else { 2.0 };
        (norm / n as f64).sqrt() * angle.cos()
    }

    /// The error of fast cosine transforms grows like log n in the 2-norm; lengths with large
    /// prime factors go through convolutions of a few times the length.
    fn bound<T: Real>(x: &[f64]) -> f64 {
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        10.0 * (x.len() as f64 + 2.0).log2() * T::UNIT_ROUNDOFF * norm
    }

    fn agrees_with_the_formula<T: Real>() {
        let one = Cpu::with_threads(1).unwrap();
        let three = Cpu::with_threads(3).unwrap();
        for n in [0, 1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 45, 64, 97, 128, 135, 211] {
            for (cols, layout) in [0, 1, 3, 9, 33]
                .into_iter()
                .flat_map(|c| (0..LAYOUTS).map(move |layout| (c, layout)))
            {
                let source = Strided::<T>::from_fn(layout, n, cols, noise(n as u64));
                for op in [Op::NoTrans, Op::Trans] {
                    let mut a = source.clone();
                    dct(&one, op, a.view_mut(&one)).unwrap();
                    assert_eq!(a.gaps(), source.gaps(), "a gap was written");
                    let mut b = source.clone();
                    dct(&three, op, b.view_mut(&three)).unwrap();
                    for j in 0..cols {
                        assert_eq!(a.column(j), b.column(j));
                        let x = source.column(j);
                        for i in 0..n {
                            let weight = |t| match op {
                                Op::NoTrans => entry(n, i, t),
                                Op::Trans => entry(n, t, i),
                            };
                            let want: f64 = (0..n).map(|t| weight(t) * x[t]).sum();
                            let error = (a.get(i, j) - want).abs();
                            assert!(error <= bound::<T>(&x), "{op:?} n = {n}, ({i}, {j}): {error}");
                        }
                    }
                    let back = if op == Op::NoTrans { Op::Trans } else { Op::NoTrans };
                    dct(&one, back, a.view_mut(&one)).unwrap();
                    for j in 0..cols {
                        let x = source.column(j);
                        for (i, x_i) in x.iter().enumerate() {
                            assert!((a.get(i, j) - x_i).abs() <= 2.0 * bound::<T>(&x));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_formula_f32() {
        agrees_with_the_formula::<f32>();
    }

    #[test]
    fn agrees_with_the_formula_f64() {
        agrees_with_the_formula::<f64>();
    }
}
