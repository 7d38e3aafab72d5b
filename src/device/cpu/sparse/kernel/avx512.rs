//! AVX-512: the portable loops with 64-byte registers; 8×8 and 16×16 transposition.

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
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
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
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
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
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
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
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
    unsafe fn transpose(shape: (usize, usize), a: Rows<f64>, b: RowsMut<f64>) {
        // SAFETY: the contract is passed on.
        unsafe { transpose_by(8, shape, a, b, |a, b| square_f64(a, b)) }
    }
}

impl Transpose for f32 {
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
    unsafe fn transpose(shape: (usize, usize), a: Rows<f32>, b: RowsMut<f32>) {
        // SAFETY: the contract is passed on.
        unsafe { transpose_by(16, shape, a, b, |a, b| square_f32(a, b)) }
    }
}

/// B ← Aᵀ, 8×8: pairs of rows are interleaved, then 16-byte parts move to their places.
///
/// # Safety
/// A and B are 8×8 and do not overlap.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn square_f64(a: Rows<f64>, b: RowsMut<f64>) {
    // SAFETY: row i of A has 8 entries.
    let r: [__m512d; 8] = core::array::from_fn(|i| unsafe { _mm512_loadu_pd(a.row(i)) });
    for odd in 0..2 {
        let pair = |k: usize| match odd {
            0 => _mm512_unpacklo_pd(r[2 * k], r[2 * k + 1]),
            _ => _mm512_unpackhi_pd(r[2 * k], r[2 * k + 1]),
        };
        // Row 2q + odd of B is part q of the four pairs.
        let q = lanes_f64([pair(0), pair(1), pair(2), pair(3)]);
        for (k, &row) in q.iter().enumerate() {
            // SAFETY: row 2k + odd of B has 8 entries.
            unsafe { _mm512_storeu_pd(b.row(2 * k + odd), row) };
        }
    }
}

/// B ← Aᵀ, 16×16.
///
/// # Safety
/// A and B are 16×16 and do not overlap.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn square_f32(a: Rows<f32>, b: RowsMut<f32>) {
    // SAFETY: row i of A has 16 entries.
    let r: [__m512; 16] = core::array::from_fn(|i| unsafe { _mm512_loadu_ps(a.row(i)) });
    for column in 0..4 {
        // Column 4q + `column` of rows 4g to 4g + 3, in part q.
        let group = |g: usize| {
            let pair = |k: usize| match column / 2 {
                0 => _mm512_castps_pd(_mm512_unpacklo_ps(r[k], r[k + 1])),
                _ => _mm512_castps_pd(_mm512_unpackhi_ps(r[k], r[k + 1])),
            };
            match column % 2 {
                0 => _mm512_unpacklo_pd(pair(4 * g), pair(4 * g + 2)),
                _ => _mm512_unpackhi_pd(pair(4 * g), pair(4 * g + 2)),
            }
        };
        let q = lanes_f64([group(0), group(1), group(2), group(3)]);
        for (k, &row) in q.iter().enumerate() {
            // SAFETY: row 4k + column of B has 16 entries.
            unsafe { _mm512_storeu_ps(b.row(4 * k + column), _mm512_castpd_ps(row)) };
        }
    }
}

/// The 4×4 transposition of 16-byte parts.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes_f64([a, b, c, d]: [__m512d; 4]) -> [__m512d; 4] {
    const EVEN: i32 = 0x88;
    const ODD: i32 = 0xdd;
    let (ab, cd) = (_mm512_shuffle_f64x2::<EVEN>(a, b), _mm512_shuffle_f64x2::<EVEN>(c, d));
    let (ab_odd, cd_odd) = (_mm512_shuffle_f64x2::<ODD>(a, b), _mm512_shuffle_f64x2::<ODD>(c, d));
    [
        _mm512_shuffle_f64x2::<EVEN>(ab, cd),
        _mm512_shuffle_f64x2::<EVEN>(ab_odd, cd_odd),
        _mm512_shuffle_f64x2::<ODD>(ab, cd),
        _mm512_shuffle_f64x2::<ODD>(ab_odd, cd_odd),
    ]
}
