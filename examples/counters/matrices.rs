//! What jobs are done with: matrices whose entries are a function of their place.

use crate::Result;
use randnla::{Csr, Cuda, Mat, Scalar, Storage};

/// A number in [-1, 1).
fn number(i: usize, j: usize) -> f64 {
    let mixed = (i as u64 ^ ((j as u64) << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 52) as f64
        - 1.0
}

/// m×n, columns side by side.
pub fn columns<T: Storage>(cuda: &Cuda, m: usize, n: usize) -> Result<Mat<T, Cuda>> {
    Ok(Mat::from_fn(cuda, m, n, |i, j| T::narrow(T::Compute::from_f64(number(i, j))))?)
}

/// m×n, rows side by side.
pub fn rows<T: Storage>(cuda: &Cuda, m: usize, n: usize) -> Result<Mat<T, Cuda>> {
    Ok(columns::<T>(cuda, n, m)?.into_transposed())
}

/// m×n in compressed rows, `per_row` entries each at distinct columns by increasing number.
pub fn sparse<T: Scalar>(
    cuda: &Cuda,
    shape: (usize, usize),
    per_row: usize,
) -> Result<Csr<T, Cuda>> {
    sparse_but(cuda, shape, per_row, None)
}

/// The same with a stored value that is no number.
pub fn sparse_but<T: Scalar>(
    cuda: &Cuda,
    (m, n): (usize, usize),
    per_row: usize,
    spoiled: Option<usize>,
) -> Result<Csr<T, Cuda>> {
    let (mut row_ptr, mut col_idx, mut values) = (vec![0], Vec::new(), Vec::new());
    for i in 0..m {
        // One column in each of `per_row` ranges.
        for t in 0..per_row {
            let (start, end) = (t * n / per_row, (t + 1) * n / per_row);
            let offset = ((number(i, t) + 1.0) / 2.0 * (end - start) as f64) as usize;
            col_idx.push((start + offset) as u32);
            values.push(T::from_f64(number(t, i)));
        }
        row_ptr.push(values.len());
    }
    if let Some(at) = spoiled {
        values[at] = T::from_f64(f64::NAN);
    }
    Ok(Csr::new(cuda, (m, n), &row_ptr, &col_idx, &values)?)
}
