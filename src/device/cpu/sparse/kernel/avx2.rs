//! AVX2: the portable loops with 32-byte registers; 4×4 and 8×8 transposition.

use super::portable::{self, transpose_by};
use super::{Rows, RowsMut};
use crate::Scalar;
use crate::device::cpu::sparse::rows::SparseRows;
use core::arch::x86_64::*;
use core::ops::Range;

/// See [`SparseScalar::scatter`](super::SparseScalar::scatter); `FAR` when `acc` leaves the L2 cache.
///
/// # Safety
/// As there, with W = width.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn scatter<T: Scalar, const W: usize, const FAR: bool, X: SparseRows<T>>(
    x: &X,
    range: Range<usize>,
    a: Rows<T>,
    ahead: usize,
    acc: &mut [T],
) {
    // SAFETY: the contract is passed on.
    unsafe { portable::scatter::<T, W, FAR, X>(x, range, a, ahead, acc) }
}

/// See [`SparseScalar::gather`](super::SparseScalar::gather).
///
/// # Safety
/// As there, with W = width.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn gather<T: Scalar, const W: usize, X: SparseRows<T>>(
    x: &X,
    range: Range<usize>,
    y: Rows<T>,
    out: &mut [T],
) {
    // SAFETY: the contract is passed on.
    unsafe { portable::gather::<T, W, X>(x, range, y, out) }
}

/// See [`SparseScalar::axpby`](super::SparseScalar::axpby).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn axpby<T: Scalar>(
    shape: (usize, usize),
    alpha: T,
    b: Rows<T>,
    beta: T,
    c: RowsMut<T>,
) {
    // SAFETY: the contract is passed on.
    unsafe { portable::axpby(shape, alpha, b, beta, c) }
}

/// Transposition by shuffles, which differ by scalar.
pub(super) trait Transpose: Scalar {
    /// See [`SparseScalar::transpose`](super::SparseScalar::transpose).
    ///
    /// # Safety
    /// As there.
    unsafe fn transpose(shape: (usize, usize), a: Rows<Self>, b: RowsMut<Self>);
}

impl Transpose for f64 {
    #[target_feature(enable = "avx2")]
    unsafe fn transpose(shape: (usize, usize), a: Rows<f64>, b: RowsMut<f64>) {
        // SAFETY: the contract is passed on.
        unsafe { transpose_by(4, shape, a, b, |a, b| square_f64(a, b)) }
    }
}

impl Transpose for f32 {
    #[target_feature(enable = "avx2")]
    unsafe fn transpose(shape: (usize, usize), a: Rows<f32>, b: RowsMut<f32>) {
        // SAFETY: the contract is passed on.
        unsafe { transpose_by(8, shape, a, b, |a, b| square_f32(a, b)) }
    }
}

/// B ← Aᵀ, 4×4: pairs of rows are interleaved, then 16-byte parts move to their places.
///
/// # Safety
/// A and B are 4×4 and do not overlap.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn square_f64(a: Rows<f64>, b: RowsMut<f64>) {
    // SAFETY: row i of A has 4 entries.
    let r: [__m256d; 4] = core::array::from_fn(|i| unsafe { _mm256_loadu_pd(a.row(i)) });
    for odd in 0..2 {
        let pair = |k: usize| match odd {
            0 => _mm256_unpacklo_pd(r[k], r[k + 1]),
            _ => _mm256_unpackhi_pd(r[k], r[k + 1]),
        };
        let (top, bottom) = (pair(0), pair(2));
        // SAFETY: rows odd and odd + 2 of B have 4 entries.
        unsafe {
            _mm256_storeu_pd(b.row(odd), _mm256_permute2f128_pd::<0x20>(top, bottom));
            _mm256_storeu_pd(b.row(odd + 2), _mm256_permute2f128_pd::<0x31>(top, bottom));
        }
    }
}

/// B ← Aᵀ, 8×8.
///
/// # Safety
/// A and B are 8×8 and do not overlap.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn square_f32(a: Rows<f32>, b: RowsMut<f32>) {
    // SAFETY: row i of A has 8 entries.
    let r: [__m256; 8] = core::array::from_fn(|i| unsafe { _mm256_loadu_ps(a.row(i)) });
    for column in 0..4 {
        // Columns `column` and `column + 4` of rows 4g to 4g + 3.
        let group = |g: usize| {
            let pair = |k: usize| match column / 2 {
                0 => _mm256_castps_pd(_mm256_unpacklo_ps(r[k], r[k + 1])),
                _ => _mm256_castps_pd(_mm256_unpackhi_ps(r[k], r[k + 1])),
            };
            match column % 2 {
                0 => _mm256_unpacklo_pd(pair(4 * g), pair(4 * g + 2)),
                _ => _mm256_unpackhi_pd(pair(4 * g), pair(4 * g + 2)),
            }
        };
        let (top, bottom) = (group(0), group(1));
        let left = _mm256_permute2f128_pd::<0x20>(top, bottom);
        let right = _mm256_permute2f128_pd::<0x31>(top, bottom);
        // SAFETY: rows column and column + 4 of B have 8 entries.
        unsafe {
            _mm256_storeu_ps(b.row(column), _mm256_castpd_ps(left));
            _mm256_storeu_ps(b.row(column + 4), _mm256_castpd_ps(right));
        }
    }
}
