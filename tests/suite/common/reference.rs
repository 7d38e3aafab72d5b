//! A device of plain loops, written against the public interface alone: the oracle of every fast
//! kernel, and the proof that algorithms need nothing that the traits do not offer.
//!
//! Sums run in twice the precision of f64 ([`Wide`]) for both scalar types and are rounded once.

use super::wide::Wide;
use randnla::matrix::{BatchMut, BatchRef};
use randnla::{Blas, Device, Element, MatMut, MatRef, Op, Result, Scalar, Uplo};

/// The handle.
#[derive(Clone, Copy, Debug)]
pub struct Reference;

/// Its memory.
pub struct Memory<E>(Vec<E>);

impl Device for Reference {
    type Buffer<E: Element> = Memory<E>;

    fn zeroed<E: Element>(&self, len: usize) -> Result<Memory<E>> {
        Ok(Memory(vec![E::default(); len]))
    }

    /// Bytes of ones: a NaN, or an index out of range, where something is read before it is written.
    fn scratch<E: Element>(&self, len: usize) -> Result<Memory<E>> {
        let mut memory = vec![E::default(); len];
        // SAFETY: every bit pattern is a value of an Element.
        unsafe { memory.as_mut_ptr().write_bytes(0xff, len) };
        Ok(Memory(memory))
    }

    fn as_ptr<E: Element>(buffer: &Memory<E>) -> *const E {
        buffer.0.as_ptr()
    }

    fn as_mut_ptr<E: Element>(buffer: &mut Memory<E>) -> *mut E {
        buffer.0.as_mut_ptr()
    }

    fn upload<E: Element>(&self, host: &[E], buffer: &mut Memory<E>) -> Result<()> {
        buffer.0[..host.len()].copy_from_slice(host);
        Ok(())
    }

    fn download<E: Element>(&self, buffer: &Memory<E>, host: &mut [E]) -> Result<()> {
        host.copy_from_slice(&buffer.0[..host.len()]);
        Ok(())
    }

    unsafe fn download_from<E: Element>(&self, start: *const E, host: &mut [E]) -> Result<()> {
        // SAFETY: the caller's promise; the target is borrowed uniquely.
        unsafe { host.as_mut_ptr().copy_from_nonoverlapping(start, host.len()) };
        Ok(())
    }

    fn is_compatible(&self, _other: &Self) -> bool {
        true
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}

/// Entry (i, j).
pub fn read<T: Scalar>(a: MatRef<'_, T, Reference>, i: usize, j: usize) -> f64 {
    assert!(i < a.nrows() && j < a.ncols());
    let offset = i as isize * a.row_stride() + j as isize * a.col_stride();
    // SAFETY: the position is inside of the matrix, whose memory is host memory.
    unsafe { *a.as_ptr().offset(offset) }.to_f64()
}

/// Writes entry (i, j), rounded.
pub fn write<T: Scalar>(a: &mut MatMut<'_, T, Reference>, i: usize, j: usize, x: f64) {
    assert!(i < a.nrows() && j < a.ncols());
    let offset = i as isize * a.row_stride() + j as isize * a.col_stride();
    // SAFETY: the position is inside of the matrix, whose memory is host memory, borrowed uniquely.
    unsafe { *a.as_mut_ptr().offset(offset) = T::from_f64(x) }
}

/// Entry (i, j) of op(A).
pub fn read_op<T: Scalar>(a: MatRef<'_, T, Reference>, op: Op, i: usize, j: usize) -> f64 {
    match op {
        Op::NoTrans => read(a, i, j),
        Op::Trans => read(a, j, i),
    }
}

/// `c_ij ← α sum + β c_ij`: nothing is read that a zero factor makes pointless.
pub fn update<T: Scalar>(
    c: &mut MatMut<'_, T, Reference>,
    (i, j): (usize, usize),
    (alpha, beta): (T, T),
    sum: impl FnOnce() -> Wide,
) {
    let mut result = Wide::default();
    if alpha != T::zero() {
        result.add_scaled(alpha.to_f64(), sum());
    }
    if beta != T::zero() {
        result.add_product(beta.to_f64(), read(c.as_ref(), i, j));
    }
    write(c, i, j, result.value());
}

/// x·2^exponent without an intermediate overflow or underflow.
fn scaled(x: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    x * 2f64.powi(half) * 2f64.powi(exponent - half)
}

impl<T: Scalar> Blas<T> for Reference {
    fn gemm(
        &self,
        alpha: T,
        a: MatRef<'_, T, Self>,
        b: MatRef<'_, T, Self>,
        beta: T,
        mut c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        for j in 0..c.ncols() {
            for i in 0..c.nrows() {
                update(&mut c, (i, j), (alpha, beta), || {
                    let mut sum = Wide::default();
                    (0..a.ncols()).for_each(|k| sum.add_product(read(a, i, k), read(b, k, j)));
                    sum
                });
            }
        }
        Ok(())
    }

    fn gemm_batched(
        &self,
        alpha: T,
        a: BatchRef<'_, T, Self>,
        b: BatchRef<'_, T, Self>,
        beta: T,
        mut c: BatchMut<'_, T, Self>,
    ) -> Result<()> {
        (0..c.len()).try_for_each(|i| self.gemm(alpha, a.get(i), b.get(i), beta, c.get(i)))
    }

    fn gram(&self, a: MatRef<'_, T, Self>, mut g: MatMut<'_, T, Self>) -> Result<()> {
        for j in 0..a.ncols() {
            for i in 0..a.ncols() {
                let mut sum = Wide::default();
                (0..a.nrows()).for_each(|k| sum.add_product(read(a, k, i), read(a, k, j)));
                write(&mut g, i, j, sum.value());
            }
        }
        Ok(())
    }

    fn trsm_right(
        &self,
        uplo: Uplo,
        op: Op,
        a: MatRef<'_, T, Self>,
        mut b: MatMut<'_, T, Self>,
    ) -> Result<()> {
        let n = a.ncols();
        // X·U = B is solved from the first column on, X·L = B from the last.
        let upper = (uplo == Uplo::Upper) == (op == Op::NoTrans);
        for step in 0..n {
            let j = if upper { step } else { n - 1 - step };
            let solved = if upper { 0..j } else { j + 1..n };
            for i in 0..b.nrows() {
                let mut rest = Wide::default();
                rest.add(read(b.as_ref(), i, j));
                for k in solved.clone() {
                    rest.add_product(-read(b.as_ref(), i, k), read_op(a, op, k, j));
                }
                write(&mut b, i, j, rest.value() / read(a, j, j));
            }
        }
        Ok(())
    }

    fn axpby(
        &self,
        alpha: T,
        a: MatRef<'_, T, Self>,
        beta: T,
        mut b: MatMut<'_, T, Self>,
    ) -> Result<()> {
        for j in 0..b.ncols() {
            for i in 0..b.nrows() {
                update(&mut b, (i, j), (alpha, beta), || {
                    let mut sum = Wide::default();
                    sum.add(read(a, i, j));
                    sum
                });
            }
        }
        Ok(())
    }

    fn scale(&self, beta: T, mut b: MatMut<'_, T, Self>) -> Result<()> {
        for j in 0..b.ncols() {
            for i in 0..b.nrows() {
                update(&mut b, (i, j), (T::zero(), beta), Wide::default);
            }
        }
        Ok(())
    }

    fn scale_columns(&self, scale: &[T], mut b: MatMut<'_, T, Self>) -> Result<()> {
        for (j, factor) in scale.iter().enumerate() {
            for i in 0..b.nrows() {
                let x = read(b.as_ref(), i, j) * factor.to_f64();
                write(&mut b, i, j, x);
            }
        }
        Ok(())
    }

    fn gather_rows(
        &self,
        index: &[usize],
        a: MatRef<'_, T, Self>,
        mut b: MatMut<'_, T, Self>,
    ) -> Result<()> {
        for (i, &from) in index.iter().enumerate() {
            (0..b.ncols()).for_each(|j| write(&mut b, i, j, read(a, from, j)));
        }
        Ok(())
    }

    fn scatter_rows(
        &self,
        index: &[usize],
        a: MatRef<'_, T, Self>,
        mut b: MatMut<'_, T, Self>,
    ) -> Result<()> {
        for (i, &to) in index.iter().enumerate() {
            (0..b.ncols()).for_each(|j| write(&mut b, to, j, read(a, i, j)));
        }
        Ok(())
    }

    fn max_abs(&self, a: MatRef<'_, T, Self>) -> Result<f64> {
        let larger = |m: f64, x: f64| if m.is_nan() || x.is_nan() { f64::NAN } else { m.max(x) };
        Ok(all(a).map(|(_, _, x)| x.abs()).fold(0.0, larger))
    }

    fn sum_of_squares(&self, a: MatRef<'_, T, Self>, exponent: i32) -> Result<f64> {
        let mut sum = Wide::default();
        all(a).map(|(_, _, x)| scaled(x, exponent)).for_each(|x| sum.add_product(x, x));
        Ok(sum.value())
    }

    fn column_sums_of_squares(
        &self,
        a: MatRef<'_, T, Self>,
        exponent: i32,
        out: &mut [f64],
    ) -> Result<()> {
        for (j, sum) in out.iter_mut().enumerate() {
            *sum = self.sum_of_squares(a.columns(j..j + 1), exponent)?;
        }
        Ok(())
    }

    fn find_non_finite(&self, a: MatRef<'_, T, Self>) -> Result<Option<(usize, usize)>> {
        Ok(all(a).find(|(_, _, x)| !x.is_finite()).map(|(i, j, _)| (i, j)))
    }
}

/// The entries with their positions, row by row.
fn all<T: Scalar>(a: MatRef<'_, T, Reference>) -> impl Iterator<Item = (usize, usize, f64)> {
    let (rows, cols) = a.shape();
    (0..rows).flat_map(move |i| (0..cols).map(move |j| (i, j, read(a, i, j))))
}
