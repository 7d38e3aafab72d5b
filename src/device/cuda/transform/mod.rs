//! [`TransformKernels`] on a GPU: Walsh-Hadamard and cosine transforms, and the subsampled operators
//! made of them.
//!
//! | file | what |
//! |---|---|
//! | `pass` | the arguments of the kernels, and how the bits of a column are divided among passes |
//! | `convolve` | circular convolutions |
//! | `tables` | what an operator draws, and the tables of a cosine transform, computed on the GPU |
//!
//! A column that fits the shared memory of a block is read once and written once: signs, padding,
//! window and factors on the way in, sampled rows on the way out. Longer ones pass through scratch
//! memory, a panel of columns at a time: half of the level-2 cache, so that the second pass finds there what
//! the first has left, but whole lines of memory, and one column at least. Of those the last pass writes
//! the sampled rows only, and the first one of the transpose reads only those: each position finds in a
//! table, made with the draw, whether its row is sampled and which one it is outside. Nothing is
//! uploaded and nothing waits, so every call can be captured in a graph. Columns never meet, and each
//! entry is computed the same way wherever it lies: results are the same bits for any grid.

mod convolve;
mod pass;
mod tables;

pub(super) use tables::KeptTables;

use super::launch::View;
use super::{Cuda, CudaScalar, rows_are_fast};
use crate::device::fit::{fit_factors, fit_family, fit_product, op_shape};
use crate::{Blas, Device, Family, MatMut, MatRef, Op, Result, Sketch, TransformKernels};
use pass::{End, Kind, Mix, Visit, log2_ceil};
use tables::{Draw, Tables};

/// The most bytes of a panel of several long columns, and those of a line of memory.
const SCRATCH_BYTES: usize = 256 << 20;
const LINE_BYTES: usize = 128;

/// Columns of a panel of scratch memory, `bytes` a column, for `cols` ≥ 1 columns of `T`; whole lines of
/// memory where neighbours lie `along_cols`. Columns never meet, so results do not depend on it.
fn panel_width<T>(cuda: &Cuda, bytes: usize, along_cols: bool, cols: usize) -> usize {
    let least = if along_cols { LINE_BYTES / size_of::<T>() } else { 1 };
    let cached = (cuda.context().l2_bytes / 2 / bytes / least * least).max(least);
    cached.min(SCRATCH_BYTES / bytes).clamp(1, cols)
}

/// Each column becomes its Walsh-Hadamard transform.
fn fwht<T: CudaScalar>(cuda: &Cuda, mut a: MatMut<'_, T, Cuda>) -> Result<()> {
    let (n, cols) = a.shape();
    if n <= 1 || cols == 0 {
        return Ok(());
    }
    let along_cols = !rows_are_fast(a.as_ref());
    let scratch = View::of_mut(&mut a);
    let mix = Mix { scratch, along_cols: along_cols.into(), ..Mix::new(n, n.ilog2(), cols) };
    let visits = pass::visits::<T>(Kind::Hadamard, &mix, 1);
    visits.iter().try_for_each(|&visit| pass::launch_pass::<T>(cuda, Kind::Hadamard, mix, visit))
}

/// What is done to columns, but for how they pass through memory.
struct Job {
    kind: Kind,
    /// Rounds of butterflies: diagonals of an operator, or there and back for a convolution.
    rounds: u32,
    /// Whether rows of the transform are sampled, at its exit or, transposed, at its entrance.
    sampled: bool,
    /// Arguments for all columns.
    mix: Mix,
}

impl Job {
    fn visits<T>(&self) -> Vec<Visit> {
        pass::visits::<T>(self.kind, &self.mix, self.rounds)
    }

    /// Transforms all columns, in one visit or through scratch memory.
    fn run<T: CudaScalar>(self, cuda: &Cuda) -> Result<()> {
        let visits = self.visits::<T>();
        let Self { kind, sampled, mix, .. } = self;
        let trans = mix.trans == 1;
        let end = |sampled| if sampled { End::Sampled } else { End::Window };
        let (entrance, exit) = (end(sampled && trans), end(sampled && !trans));
        let (len, cols) = (1usize << mix.bits, mix.cols as usize);
        let bytes = kind.bytes::<T>();
        let width = match visits.len() {
            1 => cols.min(pass::MOST_COLUMNS),
            _ => panel_width::<T>(cuda, bytes * len, mix.along_cols == 1, cols),
        };
        let between = if visits.len() > 1 { len * width * (bytes / size_of::<T>()) } else { 0 };
        let scratch = cuda.scratch::<T>(between)?;
        let (down, right) = if mix.along_cols == 1 { (width, 1) } else { (1, len) };
        let view = View::of_buffer(scratch.start(), down, right);
        for j in (0..cols).step_by(width) {
            let mix = Mix {
                source: mix.source.columns_from(j, size_of::<T>()),
                target: mix.target.columns_from(j, size_of::<T>()),
                scratch: view,
                cols: width.min(cols - j) as i64,
                ..mix
            };
            for (at, &visit) in visits.iter().enumerate() {
                let load = if at == 0 { entrance } else { End::Scratch };
                let store = if at + 1 == visits.len() { exit } else { End::Scratch };
                let mix = Mix { load: load as u32, store: store as u32, ..mix };
                pass::launch_pass::<T>(cuda, kind, mix, visit)?;
            }
        }
        Ok(())
    }
}

/// Each column becomes its cosine transform, or inverse transform.
fn dct<T: CudaScalar>(cuda: &Cuda, op: Op, mut a: MatMut<'_, T, Cuda>) -> Result<()> {
    let (n, cols) = a.shape();
    if n <= 1 || cols == 0 {
        return Ok(());
    }
    let tables = Tables::<T>::of(cuda, op, n)?;
    let target = View::of_mut(&mut a);
    let mix = Mix {
        source: target,
        target,
        along_cols: (!rows_are_fast(a.as_ref())).into(),
        trans: (op == Op::Trans).into(),
        ..tables.mix(cols)
    };
    Job { kind: Kind::Cosine, rounds: tables.rounds(), sampled: false, mix }.run::<T>(cuda)
}

/// 2^(−halves/2), exact for even `halves`.
fn root_power(halves: u32) -> f64 {
    let root = if halves % 2 == 1 { core::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
    root * 0.5f64.powi((halves / 2) as i32)
}

/// `C ← α S A + β C` or `C ← α Sᵀ A + β C`, nothing empty and α ≠ 0.
fn mix_times<T: CudaScalar>(
    cuda: &Cuda,
    s: &Sketch,
    op: Op,
    (alpha, beta): (T, T),
    a: MatRef<'_, T, Cuda>,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (n, cols, window) = (s.transform_len(), c.ncols(), s.col_range());
    let trans = op == Op::Trans;
    let scale = alpha.to_f64() * s.scale();
    let (long, short) = if trans { (c.as_ref(), a) } else { (a, c.as_ref()) };
    let (along_cols, by_rows) = (!rows_are_fast(long), rows_are_fast(short));
    let tables = match s.family() {
        Family::Srct => Some(Tables::<T>::of(cuda, op, n)?),
        _ => None,
    };
    let sampled = s.row_range().len();
    let fast = if by_rows { sampled } else { cols };
    let base = match &tables {
        Some(tables) => Mix { factor: scale, ..tables.mix(cols) },
        None => {
            // The signs between rounds carry an exact factor, which keeps the range of the input.
            let between = n.ilog2() / 2;
            let left = n.ilog2() * s.rounds() - 2 * between * (s.rounds() - 1);
            let factor = scale * root_power(left);
            Mix { factor, between: root_power(2 * between), ..Mix::new(n, n.ilog2(), cols) }
        }
    };
    let mix = Mix {
        source: View::of(a),
        target: View::of_mut(&mut c),
        first: window.start as i64,
        count: window.len() as i64,
        sampled: sampled as i64,
        beta: beta.to_f64(),
        along_cols: along_cols.into(),
        trans: trans.into(),
        by_rows: by_rows.into(),
        fast_bits: log2_ceil(fast).min(8),
        ..base
    };
    let (kind, rounds) = match &tables {
        Some(tables) => (Kind::Cosine, tables.rounds()),
        None => (Kind::Hadamard, s.rounds()),
    };
    let job = Job { kind, rounds, sampled: true, mix };
    let long = job.visits::<T>().len() > 1;
    let draw = Draw::new(cuda, s, long.then_some(1 << mix.bits))?;
    let mix = Mix {
        signs: draw.signs.start(),
        words: draw.words,
        index: draw.index.start(),
        chosen: draw.chosen.start(),
        places: draw.places.start(),
        ..mix
    };
    Job { mix, ..job }.run::<T>(cuda)
}

macro_rules! impl_transforms {
    ($t:ty) => {
        impl TransformKernels<$t> for Cuda {
            fn fwht(&self, a: MatMut<'_, $t, Self>) -> Result<()> {
                let n = a.nrows();
                assert!(n == 0 || n.is_power_of_two(), "{n} rows, expected a power of two");
                let _joined = self.join("fwht", &[("A", a.device())])?;
                fwht(self, a)
            }

            fn dct(&self, op: Op, a: MatMut<'_, $t, Self>) -> Result<()> {
                let _joined = self.join("dct", &[("A", a.device())])?;
                dct(self, op, a)
            }

            fn mix_times(
                &self,
                s: &Sketch,
                op: Op,
                alpha: $t,
                a: MatRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_product(op_shape(op, s.shape()), a.shape(), c.shape());
                fit_family(s, s.family().is_transform());
                if alpha == 0.0 || a.is_empty() || c.is_empty() {
                    return Blas::scale(self, beta, c);
                }
                let _joined = self.join("mix_times", &[("A", a.device()), ("C", c.device())])?;
                mix_times(self, s, op, (alpha, beta), a, c)
            }

            fn convolve(
                &self,
                alpha: $t,
                factors: &[MatRef<'_, $t, Self>],
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_factors(factors, c.shape());
                if alpha == 0.0 || c.is_empty() {
                    return Blas::scale(self, beta, c);
                }
                let mut devices: Vec<_> = factors.iter().map(|a| ("factors", a.device())).collect();
                devices.push(("C", c.device()));
                let _joined = self.join("convolve", &devices)?;
                convolve::convolve(self, (alpha, beta), factors, c)
            }
        }
    };
}

impl_transforms!(f32);
impl_transforms!(f64);
