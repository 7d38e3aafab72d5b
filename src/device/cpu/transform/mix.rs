//! `C ← α S A + β C` and `C ← α Sᵀ A + β C` for subsampled transforms.
//!
//! | family | S, up to its factor |
//! |---|---|
//! | SRHT | P H D |
//! | Hadamard-diagonal | P H D₃ H D₂ H D₁ |
//! | SRCT | P C D |
//!
//! H is the Walsh-Hadamard matrix, C the orthonormal DCT-II, D random signs, P keeps some rows.
//! A panel of columns passes through a buffer of n₂ rows in the caches: loaded with signs and
//! zero padding, leaf by leaf just before the butterflies want it; transformed; and only the
//! sampled rows leave, with α, the scale and the normalisation in a single factor. The transpose
//! runs the same way backwards. A is read once and C written once, whatever the strides;
//! n₂ log₂ n₂ additions a column and round.
//!
//! Between the rounds of a Hadamard-diagonal operator the signs carry the factor 2^−⌊log₂ n₂ / 2⌋,
//! which is exact and keeps the intermediate values in the range of the input.

use super::dct::Cosine;
use super::fwht::{Engine, Isa, Kernel, LINE, Leaves, TASK, absorb, dispatch};
use super::panel::{Panel, Scratch, flip, gather, load, panel_width, scatter, store};
use super::plan::Plan;
use super::{Real, number};
use crate::device::cpu::Cpu;
use crate::{Family, MatMut, MatRef, Op, Result, Sketch};
use core::ops::Range;

/// Bytes of every row of a row-major matrix that pass through the buffer at once, as long as that
/// does not exceed [`BUFFER_BYTES`]: 4 MiB of 2¹⁴ rows. (Every visit of a row costs the walk to its
/// page: panels half as wide take half as long again.)
const ROW_BYTES: usize = 256;

/// The most bytes of a buffer, unless one cache line of every row is more, 2¹⁸ rows and up.
const BUFFER_BYTES: usize = 16 << 20;

/// See [`TransformKernels::mix_times`](crate::TransformKernels::mix_times).
pub(super) fn mix_times<T: Real>(
    cpu: &Cpu,
    isa: Isa,
    s: &Sketch,
    op: Op,
    (alpha, beta): (T, T),
    a: MatRef<'_, T, Cpu>,
    mut c: MatMut<'_, T, Cpu>,
) -> Result<()> {
    if alpha == T::zero() || a.is_empty() || c.is_empty() {
        return T::scale(cpu, beta, c);
    }
    let cols = c.ncols();
    let target = Panel::new(c.as_mut_ptr(), c.row_stride(), c.col_stride());
    // The source is read only; a panel is a mutable pointer because a buffer is one as well.
    let source = Panel::new(a.as_ptr().cast_mut(), a.row_stride(), a.col_stride());
    let plan = Plan::new(cpu, s);
    let (n, rounds) = (plan.order, s.rounds());
    let job = &Job { plan: &plan, op, window: s.col_range(), source, target, beta };
    let long = if op == Op::NoTrans { source } else { target };
    let work = u64::from(rounds) * n as u64 * cols as u64 * u64::from(n.ilog2().max(1));
    let scale = alpha.to_f64() * s.scale();
    let tasks = if s.family() == Family::Srct {
        let cosine = Cosine::new(op, n);
        let (width, ld) = cosine.buffer(cols, long);
        let factor = number::<T>(scale * cosine.factor());
        let columns = cosine.task(width);
        let scratch = Scratch::new(cpu, width * ld + cosine.scratch_len());
        cpu.map(cols.div_ceil(columns), 4 * work, |task| {
            let range = task * columns..cols.min((task + 1) * columns);
            scratch.with(|buffer| {
                let kernel = Cosines { job, cosine: &cosine, width, ld, factor, range, buffer };
                // SAFETY: the CPU was asked for the instructions; tasks have distinct columns.
                unsafe { dispatch(isa, kernel) };
            })
        })
    } else {
        let between = n.ilog2() / 2;
        let factor =
            number::<T>(scale * root_power(n.ilog2() * rounds - 2 * between * (rounds - 1)));
        let between = number::<T>(root_power(2 * between));
        let width = panel_width(n, cols, long, (BUFFER_BYTES / n).clamp(LINE, ROW_BYTES));
        let columns = TASK.div_ceil(n).next_multiple_of(width);
        let leaves = job.leaves(width);
        let scratch = Scratch::new(cpu, leaves.count * leaves.step);
        cpu.map(cols.div_ceil(columns), work, |task| {
            let range = task * columns..cols.min((task + 1) * columns);
            scratch.with(|buffer| {
                let kernel = Hadamards { job, width, between, factor, range, buffer };
                // SAFETY: as above.
                unsafe { dispatch(isa, kernel) };
            })
        })
    };
    tasks.into_iter().collect()
}

/// 2^(−halves/2), exact for even `halves`.
fn root_power(halves: u32) -> f64 {
    let root = if halves % 2 == 1 { core::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
    root * 0.5f64.powi((halves / 2) as i32)
}

/// What all tasks of a call share.
struct Job<'a, T: Real> {
    plan: &'a Plan<T>,
    op: Op,
    /// The coordinates that exist; the others are zero, or cut off.
    window: Range<usize>,
    source: Panel<T>,
    target: Panel<T>,
    beta: T,
}

impl<T: Real> Job<'_, T> {
    /// How a buffer of rows of `width` entries is divided.
    #[inline(always)]
    fn leaves(&self, width: usize) -> Leaves {
        let len = self.plan.order * width;
        if width == 1 { Leaves::of::<T>(len) } else { Leaves::apart::<T>(len) }
    }

    /// Fills a buffer with the sampled rows of the source, for the transpose.
    ///
    /// # Safety
    /// `tile` is a view of all of `buffer`; columns j.. exist.
    #[inline(always)]
    unsafe fn fill_sampled(&self, buffer: &mut [T], tile: Panel<T>, j: usize, cols: usize) {
        buffer.fill(T::zero());
        // SAFETY: sampled rows are below the order; the caller vouches for the rest.
        unsafe { scatter(self.source.columns_from(j), tile, &self.plan.index, cols) };
    }

    /// Loads rows of the source with the first signs and zeros outside of the window.
    ///
    /// # Safety
    /// The rows and columns exist in `tile`, the columns from j on in the source.
    #[inline(always)]
    unsafe fn load(&self, tile: Panel<T>, j: usize, rows: Range<usize>, shape: (usize, usize)) {
        let source = self.source.columns_from(j).starting_at(self.window.start);
        let signs = Some(&self.plan.signs[0][..]);
        // SAFETY: the rows of the window are the source's.
        unsafe { load(source, tile, rows, self.window.clone(), shape, signs) };
    }

    /// Writes what a buffer holds to the target: the sampled rows, or the window with signs.
    ///
    /// # Safety
    /// `tile` is a whole transformed panel, whose columns are the target's from j on.
    #[inline(always)]
    unsafe fn emit(&self, tile: Panel<T>, j: usize, cols: usize, factor: T) {
        let target = self.target.columns_from(j);
        let factors = (factor, self.beta);
        // SAFETY: sampled rows are below the order; the rows of the window are the target's.
        unsafe {
            if self.op == Op::NoTrans {
                gather(tile, target, &self.plan.index, cols, factors);
            } else {
                let target = target.starting_at(self.window.start);
                let signs = Some(&self.plan.signs[0][..]);
                store(tile, target, self.window.clone(), cols, factors, signs);
            }
        }
    }
}

/// Panels through rounds of signs and Walsh-Hadamard transforms.
struct Hadamards<'a, T: Real> {
    job: &'a Job<'a, T>,
    width: usize,
    /// The exact factor that goes with the signs between rounds.
    between: T,
    factor: T,
    range: Range<usize>,
    buffer: &'a mut [T],
}

impl<T: Real> Kernel<T> for Hadamards<'_, T> {
    #[inline(always)]
    fn run<E: Engine<T>>(self) {
        let Self { job, between, factor, range, .. } = self;
        let rounds = job.plan.signs.len();
        let x = self.buffer.as_mut_ptr();
        for j in range.clone().step_by(self.width) {
            let cols = self.width.min(range.end - j);
            let width = cols.next_power_of_two();
            let leaves = job.leaves(width);
            let (tile, rows) = (leaves.panel(x, width), leaves.len / width);
            // SAFETY: the buffer holds the leaves, which consist of rows of the tile.
            unsafe {
                if job.op == Op::Trans {
                    let all = core::slice::from_raw_parts_mut(x, leaves.count * leaves.step);
                    job.fill_sampled(all, tile, j, cols);
                }
                for round in 0..rounds {
                    for index in 0..leaves.count {
                        let (row, start) = (index * rows, x.add(index * leaves.step));
                        if round > 0 {
                            // Forwards D₂ and D₃ come before their transforms, backwards D₃ and
                            // D₂; D₁ belongs to the load or the store.
                            let forwards = job.op == Op::NoTrans;
                            let signs = if forwards { round } else { rounds - round };
                            let part = core::slice::from_raw_parts_mut(start, leaves.len);
                            flip(part, row, width, &job.plan.signs[signs], between);
                        } else if job.op == Op::NoTrans {
                            let leaf = Panel::new(start, width as isize, 1).starting_at(row);
                            job.load(leaf, j, row..row + rows, (cols, width));
                        }
                        absorb::<T, E>(x, leaves, width, index);
                    }
                }
                job.emit(tile, j, cols, factor);
            }
        }
    }
}

/// Columns through signs and a cosine transform.
struct Cosines<'a, T: Real> {
    job: &'a Job<'a, T>,
    cosine: &'a Cosine<T>,
    width: usize,
    ld: usize,
    factor: T,
    range: Range<usize>,
    buffer: &'a mut [T],
}

impl<T: Real> Kernel<T> for Cosines<'_, T> {
    #[inline(always)]
    fn run<E: Engine<T>>(self) {
        let Self { job, cosine, width, ld, factor, range, buffer } = self;
        let n = job.plan.order;
        let (buffer, scratch) = buffer.split_at_mut(width * ld);
        for j in range.clone().step_by(width) {
            let cols = width.min(range.end - j);
            let x = buffer.as_mut_ptr();
            let tile = Panel::new(x, 1, ld as isize);
            // SAFETY: the buffer holds width columns of ld ≥ n entries.
            unsafe {
                if job.op == Op::NoTrans {
                    job.load(tile, j, 0..n, (cols, cols));
                } else {
                    job.fill_sampled(core::slice::from_raw_parts_mut(x, width * ld), tile, j, cols);
                }
                for j in 0..cols {
                    cosine.apply(core::slice::from_raw_parts_mut(tile.at(0, j), n), scratch);
                }
                job.emit(tile, j, cols, factor);
            }
        }
    }
}
