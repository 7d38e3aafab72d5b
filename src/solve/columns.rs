//! What iterations on many right-hand sides at once do to single columns.

use crate::decomp::far_exponent;
use crate::matrix::{BatchMut, BatchRef};
use crate::scalar::scale_by_power;
use crate::{Backend, Error, Mat, MatMut, MatRef, Result, Scalar};

/// ‖2^exponent x‖² of every column.
pub(super) fn sums<T: Scalar, D: Backend<T>>(
    x: MatRef<'_, T, D>,
    exponent: i32,
) -> Result<Vec<f64>> {
    let mut sums = vec![0.0; x.ncols()];
    x.device().column_sums_of_squares(x, exponent, &mut sums)?;
    Ok(sums)
}

/// Column j of Y gains `factors[j]` times that of X.
pub(super) fn add<T: Scalar, D: Backend<T>>(
    y: MatMut<'_, T, D>,
    factors: &[f64],
    x: MatRef<'_, T, D>,
    spare: &mut Mat<T, D>,
) -> Result<()> {
    let device = y.device();
    if let [factor] = factors {
        return device.axpby(T::from_f64(*factor), x, T::one(), y);
    }
    device.axpby(T::one(), x, T::zero(), spare.as_mut())?;
    scale_columns(factors, spare.as_mut())?;
    device.axpby(T::one(), spare.as_ref(), T::one(), y)
}

/// Column j of X becomes `factors[j]` times what it was.
pub(super) fn scale_columns<T: Scalar, D: Backend<T>>(
    factors: &[f64],
    x: MatMut<'_, T, D>,
) -> Result<()> {
    let factors: Vec<T> = factors.iter().map(|&f| T::from_f64(f)).collect();
    x.device().scale_columns(&factors, x)
}

/// Columns `index` of X.
pub(super) fn gather<T: Scalar, D: Backend<T>>(
    x: MatRef<'_, T, D>,
    index: &[usize],
) -> Result<Mat<T, D>> {
    let mut gathered = Mat::scratch(x.device(), x.nrows(), index.len())?;
    x.device().gather_rows(index, x.transpose(), gathered.as_mut().transpose())?;
    Ok(gathered)
}

/// Column j of X goes to column `index[j]` of Y.
pub(super) fn scatter<T: Scalar, D: Backend<T>>(
    x: MatRef<'_, T, D>,
    index: &[usize],
    y: MatMut<'_, T, D>,
) -> Result<()> {
    x.device().scatter_rows(index, x.transpose(), y.transpose())
}

/// For vectors v₁, v₂, … whose columns lie side by side in X, `count` each: the products vₖᵀvₗ of every column, k below
/// `left`. That of k and l for column j is at \[(j·all + l)·left + k\], `all` being the number of vectors. Synchronises.
pub(super) fn products<T: Scalar, D: Backend<T>>(
    x: MatRef<'_, T, D>,
    count: usize,
    left: usize,
) -> Result<Vec<f64>> {
    let device = x.device();
    let mut found = Mat::packed(device, left, x.ncols())?;
    let factor = x.columns(0..left * count);
    if count == 1 {
        device.gemm(T::one(), factor.transpose(), x, T::zero(), found.as_mut())?;
    } else {
        let (a, b) = (BatchRef::interleaved(factor, count), BatchRef::interleaved(x, count));
        let c = BatchMut::side_by_side(found.as_mut(), count);
        device.gemm_batched(T::one(), a.transpose(), b, T::zero(), c)?;
    }
    Ok(found.to_vec()?.into_iter().map(T::to_f64).collect())
}

/// For every column of B the exponent of its largest entry where its squares should be kept off the ends of the
/// range, else 0.
pub(super) fn column_exponents<T: Scalar, D: Backend<T>>(
    op: &'static str,
    b: MatRef<'_, T, D>,
) -> Result<Vec<i32>> {
    /// Sums of squares in this range need no scaling.
    const SAFE: core::ops::RangeInclusive<f64> = 1e-14..=1e14;
    let device = b.device();
    let mut exponents = vec![0; b.ncols()];
    for (j, sum) in sums(b, 0)?.into_iter().enumerate() {
        if SAFE.contains(&sum) {
            continue;
        }
        let column = b.columns(j..j + 1);
        exponents[j] = match far_exponent(device.max_abs(column)?) {
            Some(e) => e,
            None => {
                let (row, _) = device.find_non_finite(column)?.unwrap_or((0, 0));
                return Err(Error::NonFinite { op, row, col: j });
            }
        };
    }
    Ok(exponents)
}

/// X with column j times 2^(sign·exponents\[j\]), exactly; `None` where that is X.
pub(super) fn scaled_columns<T: Scalar, D: Backend<T>>(
    x: MatRef<'_, T, D>,
    exponents: &[i32],
    sign: i32,
) -> Result<Option<Mat<T, D>>> {
    if exponents.iter().all(|&e| e == 0) {
        return Ok(None);
    }
    let mut scaled = x.to_owned()?;
    // In two steps, since the power itself may lie outside of the range of T.
    for half in [|e: i32| e / 2, |e: i32| e - e / 2] {
        let factors: Vec<T> =
            exponents.iter().map(|&e| T::from_f64(scale_by_power(1.0, sign * half(e)))).collect();
        x.device().scale_columns(&factors, scaled.as_mut())?;
    }
    Ok(Some(scaled))
}
