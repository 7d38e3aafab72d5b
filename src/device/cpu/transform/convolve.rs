//! `C ← α A₁ ∗ A₂ ∗ … + β C`: circular convolutions of columns.
//!
//! (a ∗ b)ᵢ = Σⱼ aⱼ b₍ᵢ₋ⱼ₎ mod d is a product of spectra, F(a ∗ b) = F(a)·F(b), for every d. The
//! Fourier transforms are rustfft's, planned once a call and shared by all tasks. Where d = 2h, the
//! even and the odd entries of a real column make one complex column of length h; with
//! ω = e^(−2πi/d) and Z its transform,
//!
//! E_k = (Z_k + conj Z₋ₖ)/2, O_k = (Z_k − conj Z₋ₖ)/2i, X_k = E_k + ωᵏ O_k,
//!
//! and back the same way (Sorensen, Jones, Heideman, Burrus, IEEE ASSP 35, 1987). Columns of odd
//! length are complex ones without an imaginary part. Columns never meet, neither as two parts of one
//! complex column: each has errors of its own size, and a NaN stays where it is.
//!
//! Cost for q factors: (q + 1) transforms of d/2 complex entries and some 10 (q + 1) d flops a column,
//! one pass over every factor and C.

use super::fwht::{Engine, Isa, Kernel, dispatch};
use super::panel::{Panel, Scratch, load, store};
use super::{Real, number};
use crate::device::cpu::Cpu;
use crate::device::try_vec;
use crate::{MatMut, MatRef, Result};
use core::ops::Range;
use rustdct::rustfft::num_complex::Complex;
use rustdct::rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Work of one task, in entries of C.
const TASK: usize = 1 << 13;

/// Planned transforms of columns of d ≥ 1 real entries.
struct Spectra<T> {
    d: usize,
    /// Length of the complex transforms: d/2, or d where d is odd.
    len: usize,
    there: Arc<dyn Fft<T>>,
    back: Arc<dyn Fft<T>>,
    /// Real and imaginary part of ωᵏ/2 for k ≤ d/2, where d is even: the half of O goes with it.
    turns: Vec<T>,
}

impl<T: Real> Spectra<T> {
    fn new(d: usize) -> Result<Self> {
        let mut turns = Vec::new();
        if d.is_multiple_of(2) {
            turns = try_vec(T::zero(), d + 2)?;
            for (k, turn) in turns.as_chunks_mut().0.iter_mut().enumerate() {
                let angle = 2.0 * core::f64::consts::PI * k as f64 / d as f64;
                *turn = [number(0.5 * angle.cos()), number(-0.5 * angle.sin())];
            }
        }
        let len = if turns.is_empty() { d } else { d / 2 };
        let mut planner = FftPlanner::new();
        let (there, back) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
        Ok(Self { d, len, there, back, turns })
    }

    /// Complex entries of a spectrum: those of frequencies up to d/2, or all.
    fn spectrum_len(&self) -> usize {
        (self.turns.len() / 2).max(self.len)
    }

    /// Complex entries of scratch that the transforms need.
    fn scratch_len(&self) -> usize {
        self.there.get_inplace_scratch_len().max(self.back.get_inplace_scratch_len())
    }

    /// Calls `put(k, X_k)` for the spectrum of a real column; `z` holds `len` entries of scratch.
    fn forward(
        &self,
        x: &[T],
        z: &mut [Complex<T>],
        scratch: &mut [Complex<T>],
        mut put: impl FnMut(usize, Complex<T>),
    ) {
        if self.turns.is_empty() {
            z.iter_mut().zip(x).for_each(|(z, &x)| *z = Complex::new(x, T::zero()));
            self.there.process_with_scratch(z, scratch);
            return z.iter().enumerate().for_each(|(k, &z)| put(k, z));
        }
        for (z, pair) in z.iter_mut().zip(x.chunks_exact(2)) {
            *z = Complex::new(pair[0], pair[1]);
        }
        self.there.process_with_scratch(z, scratch);
        let half = number::<T>(0.5);
        for (k, &[re, im]) in self.turns.as_chunks().0.iter().enumerate() {
            let (near, far) = (z[k % self.len], z[(self.len - k) % self.len].conj());
            // −i (Z_k − conj Z₋ₖ), of which ωᵏ/2 makes ωᵏ O_k.
            let (sum, difference) = (near + far, near - far);
            let odd = Complex::new(difference.im, -difference.re);
            put(k, sum * half + odd * Complex::new(re, im));
        }
    }

    /// The real column with d times this spectrum.
    fn backward(
        &self,
        spectrum: &[Complex<T>],
        z: &mut [Complex<T>],
        scratch: &mut [Complex<T>],
        x: &mut [T],
    ) {
        if self.turns.is_empty() {
            z.copy_from_slice(spectrum);
            self.back.process_with_scratch(z, scratch);
            return x.iter_mut().zip(z.iter()).for_each(|(x, z)| *x = z.re);
        }
        for (k, (z, &[re, im])) in z.iter_mut().zip(self.turns.as_chunks().0).enumerate() {
            let (near, far) = (spectrum[k], spectrum[self.len - k].conj());
            let (sum, difference) = (near + far, near - far);
            // 2 (E_k + i O_k), since the transform back has d/2 entries.
            let odd = difference * Complex::new(re + re, -(im + im));
            *z = sum + Complex::new(-odd.im, odd.re);
        }
        self.back.process_with_scratch(z, scratch);
        for (pair, z) in x.chunks_exact_mut(2).zip(z.iter()) {
            [pair[0], pair[1]] = [z.re, z.im];
        }
    }
}

/// See [`TransformKernels::convolve`](crate::TransformKernels::convolve); nothing is empty, α ≠ 0.
pub(super) fn convolve<T: Real>(
    cpu: &Cpu,
    alpha: T,
    factors: &[MatRef<'_, T, Cpu>],
    beta: T,
    mut c: MatMut<'_, T, Cpu>,
) -> Result<()> {
    let (d, cols) = c.shape();
    let spectra = Spectra::new(d)?;
    let target = Panel::new(c.as_mut_ptr(), c.row_stride(), c.col_stride());
    // The factors are read only; a panel is a mutable pointer because a buffer is one as well.
    let panel =
        |a: &MatRef<'_, T, Cpu>| Panel::new(a.as_ptr().cast_mut(), a.row_stride(), a.col_stride());
    let sources: Vec<Panel<T>> = factors.iter().map(panel).collect();
    // A cache line of row-major matrices at a time, off the multiples of a page.
    let line = 64 / size_of::<T>();
    let by_rows = target.is_row_major() || sources.iter().any(|source| source.is_row_major());
    let width = if by_rows { line.min(cols) } else { 1 };
    let ld = (d.div_ceil(line) | 1) * line;
    let columns = TASK.div_ceil(d).next_multiple_of(width);
    let complex = width * spectra.spectrum_len() + spectra.len + spectra.scratch_len();
    let scratch = Scratch::new(cpu, width * ld + 2 * complex);
    let work = 8 * (factors.len() as u64 + 1) * d as u64 * cols as u64 * u64::from(d.ilog2() + 1);
    let tasks = cpu.map(cols.div_ceil(columns), work, |task| {
        let range = task * columns..cols.min((task + 1) * columns);
        scratch.with(|buffer: &mut [T]| {
            let (reals, rest) = buffer.split_at_mut(width * ld);
            // SAFETY: a complex number is two reals, one behind the other, and `rest` has as many.
            let complex = unsafe {
                core::slice::from_raw_parts_mut(rest.as_mut_ptr().cast::<Complex<T>>(), complex)
            };
            let (products, rest) = complex.split_at_mut(width * spectra.spectrum_len());
            let (z, scratch) = rest.split_at_mut(spectra.len);
            let (spectra, sources, factors) = (&spectra, &sources, (alpha, beta));
            let job = Columns {
                spectra,
                sources,
                target,
                factors,
                range,
                ld,
                width,
                reals,
                products,
                z,
                scratch,
            };
            // SAFETY: the CPU was asked for the instructions; tasks have distinct columns.
            unsafe { dispatch(Isa::detect(), job) };
        })
    });
    tasks.into_iter().collect()
}

/// Convolves columns, `width` of them at a time.
struct Columns<'a, T: Real> {
    spectra: &'a Spectra<T>,
    sources: &'a [Panel<T>],
    target: Panel<T>,
    factors: (T, T),
    range: Range<usize>,
    ld: usize,
    width: usize,
    /// The columns themselves.
    reals: &'a mut [T],
    /// The products of their spectra.
    products: &'a mut [Complex<T>],
    z: &'a mut [Complex<T>],
    scratch: &'a mut [Complex<T>],
}

impl<T: Real> Kernel<T> for Columns<'_, T> {
    #[inline(always)]
    fn run<E: Engine<T>>(self) {
        let Self { spectra, range, ld, width, reals, products, z, scratch, .. } = self;
        let (d, len) = (spectra.d, spectra.spectrum_len());
        let norm = number::<T>(1.0 / d as f64);
        for j in range.clone().step_by(width) {
            let cols = width.min(range.end - j);
            let tile = Panel::new(reals.as_mut_ptr(), 1, ld as isize);
            for (turn, source) in self.sources.iter().enumerate() {
                let (first, last) = (turn == 0, turn + 1 == self.sources.len());
                // SAFETY: the tile holds `width` columns, the factor d rows and these columns.
                unsafe { load(source.columns_from(j), tile, 0..d, 0..d, (cols, cols), None) };
                for (x, product) in
                    reals.chunks_exact(ld).zip(products.chunks_exact_mut(len)).take(cols)
                {
                    spectra.forward(&x[..d], z, scratch, |k, value| {
                        let value = if last { value * norm } else { value };
                        product[k] = if first { value } else { product[k] * value };
                    });
                }
            }
            for (x, product) in
                reals.chunks_exact_mut(ld).zip(products.chunks_exact(len)).take(cols)
            {
                spectra.backward(product, z, scratch, &mut x[..d]);
            }
            let tile = Panel::new(reals.as_mut_ptr(), 1, ld as isize);
            // SAFETY: as above; the columns of C are this task's.
            unsafe { store(tile, self.target.columns_from(j), 0..d, cols, self.factors, None) };
        }
    }
}
