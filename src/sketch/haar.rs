//! Haar-distributed orthogonal operators.
//!
//! Q of the QR factorization of a Gaussian m×d matrix, with the signs that make the diagonal of R
//! positive, is Haar distributed (Mezzadri 2007, §5; LAPACK's own signs are not). The
//! factorization is by Householder reflectors in `f64`, in plain arithmetic of a fixed order: the
//! entries are the same bits everywhere, which no BLAS promises. 4md² flops and 8md bytes, once a
//! call; one thread, since the operator is made on the host wherever it is used, and copied from there.
//! A CUDA graph cannot hold that copy: inside of a capture only a prepared operator can be applied.

use super::Sketch;
use crate::device::try_vec;
use crate::random::{Stream, normal_f64};
use crate::{Device, Mat, Result, Scalar};

/// Partial sums of an inner product: enough to fill the registers, always joined in this order.
const LANES: usize = 16;

/// The window `s` of the operator as a dense matrix.
pub(super) fn form<T: Scalar, D: Device>(s: &Sketch, device: &D) -> Result<Mat<T, D>> {
    let (d, m) = s.full_shape();
    let q = orthonormal_columns(d, m, s.seed())?;
    let (rows, cols) = (s.row_range(), s.col_range());
    let mut entries = try_vec(T::zero(), rows.len() * cols.len())?;
    for (row, i) in entries.chunks_exact_mut(cols.len().max(1)).zip(rows) {
        for (entry, j) in row.iter_mut().zip(cols.clone()) {
            *entry = T::from_f64(s.scale() * q[i * m + j]);
        }
    }
    Mat::from_row_major(device, &entries, s.nrows(), s.ncols())
}

/// d orthonormal columns of length m ≥ d, one after the other.
fn orthonormal_columns(d: usize, m: usize, seed: u64) -> Result<Vec<f64>> {
    let mut a = try_vec(0.0, d.saturating_mul(m))?;
    for (j, column) in a.chunks_exact_mut(m.max(1)).enumerate() {
        for (i, entry) in column.iter_mut().enumerate() {
            *entry = normal_f64(seed, Stream::HaarGaussian, j as u32, i as u64);
        }
    }
    let mut negative = vec![false; d];
    for k in 0..d {
        let (head, tail) = a.split_at_mut((k + 1) * m);
        let v = &mut head[k * m + k..];
        negative[k] = reflector(v);
        tail.chunks_exact_mut(m).for_each(|column| reflect(v, &mut column[k..]));
    }
    // Q e_k = H_0 ⋯ H_k e_k, backwards so that columns k.. are finished by H_k.
    for k in (0..d).rev() {
        let (head, tail) = a.split_at_mut((k + 1) * m);
        let column = &mut head[k * m..];
        let v = column[k..].to_vec();
        column.fill(0.0);
        column[k] = 1.0;
        reflect(&v, &mut column[k..]);
        tail.chunks_exact_mut(m).for_each(|column| reflect(&v, &mut column[k..]));
    }
    for (column, _) in a.chunks_exact_mut(m.max(1)).zip(negative).filter(|(_, negative)| *negative)
    {
        column.iter_mut().for_each(|x| *x = -*x);
    }
    Ok(a)
}

/// Turns x into the unit vector v with (I − 2vvᵀ)x = ∓‖x‖e₀; true when that is −‖x‖, so that the
/// diagonal of R is negative.
fn reflector(x: &mut [f64]) -> bool {
    let norm = dot(x, x).sqrt();
    let negative = x[0] >= 0.0;
    x[0] += if negative { norm } else { -norm };
    let factor = 1.0 / dot(x, x).sqrt();
    // A zero vector has probability zero; it is left as it is, and reflects nothing.
    if factor.is_finite() {
        x.iter_mut().for_each(|x| *x *= factor);
    }
    negative
}

/// y ← (I − 2vvᵀ) y.
fn reflect(v: &[f64], y: &mut [f64]) {
    let factor = -2.0 * dot(v, y);
    y.iter_mut().zip(v).for_each(|(y, v)| *y += factor * v);
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (x_chunks, x_rest) = x.as_chunks::<LANES>();
    let (y_chunks, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in x_chunks.iter().zip(y_chunks) {
        (0..LANES).for_each(|l| lanes[l] += x[l] * y[l]);
    }
    let rest = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f64>();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_orthonormal() {
        for (d, m) in [(0, 0), (0, 3), (1, 1), (3, 3), (5, 64), (40, 41)] {
            let q = orthonormal_columns(d, m, 7).unwrap();
            for i in 0..d {
                for j in 0..d {
                    let product = dot(&q[i * m..(i + 1) * m], &q[j * m..(j + 1) * m]);
                    let expected = f64::from(i == j);
                    assert!((product - expected).abs() < 1e-14, "({i}, {j}): {product}");
                }
            }
        }
    }
}
