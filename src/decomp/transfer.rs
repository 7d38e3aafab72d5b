//! Matrices between the device and the host, where small factorizations work in `f64`.

use crate::{Backend, Mat, MatRef, Result, Scalar, scalar};

/// The entries on the host, column by column.
pub(crate) fn entries<T: Scalar, D: Backend<T>>(a: MatRef<'_, T, D>) -> Result<Vec<f64>> {
    Ok(a.to_vec()?.into_iter().map(T::to_f64).collect())
}

/// The matrix on the host.
pub(crate) fn download<T: Scalar, D: Backend<T>>(a: MatRef<'_, T, D>) -> Result<faer::Mat<f64>> {
    let (m, n) = a.shape();
    let entries = a.to_vec()?;
    Ok(faer::Mat::from_fn(m, n, |i, j| entries[j * m + i].to_f64()))
}

/// XᵀY on the host.
pub(crate) fn inner<T: Scalar, D: Backend<T>>(
    x: MatRef<'_, T, D>,
    y: MatRef<'_, T, D>,
) -> Result<faer::Mat<f64>> {
    let device = x.device();
    let mut product = Mat::scratch(device, x.ncols(), y.ncols())?;
    device.gemm(T::one(), x.transpose(), y, T::zero(), product.as_mut())?;
    download(product.as_ref())
}

/// xⱼᵀyⱼ of every column, on the host: the diagonal of products of narrow blocks.
pub(crate) fn column_dots<T: Scalar, D: Backend<T>>(
    x: MatRef<'_, T, D>,
    y: MatRef<'_, T, D>,
) -> Result<Vec<f64>> {
    /// Columns of a block: few, since all but the diagonal of the product is thrown away, and enough for its rate.
    const BLOCK: usize = 32;
    let mut dots = Vec::with_capacity(x.ncols());
    for start in (0..x.ncols()).step_by(BLOCK) {
        let columns = start..x.ncols().min(start + BLOCK);
        let block = inner(x.columns(columns.clone()), y.columns(columns))?;
        dots.extend((0..block.ncols()).map(|j| block[(j, j)]));
    }
    Ok(dots)
}

/// XᵀX on the host, column by column.
pub(crate) fn gram_entries<T: Scalar, D: Backend<T>>(a: MatRef<'_, T, D>) -> Result<Vec<f64>> {
    let (device, n) = (a.device(), a.ncols());
    let mut gram = Mat::scratch(device, n, n)?;
    device.gram(a, gram.as_mut())?;
    entries(gram.as_ref())
}

/// A matrix of the host on the device, from its entries column by column.
pub(crate) fn upload<T: Scalar, D: Backend<T>>(
    device: &D,
    entries: impl IntoIterator<Item = f64>,
    (m, n): (usize, usize),
) -> Result<Mat<T, D>> {
    let entries: Vec<T> = entries.into_iter().map(T::from_f64).collect();
    Mat::from_column_major(device, &entries, m, n)
}

/// The first `cols` columns of a matrix of the host, on the device.
pub(crate) fn upload_columns<T: Scalar, D: Backend<T>>(
    device: &D,
    a: faer::MatRef<'_, f64>,
    cols: usize,
) -> Result<Mat<T, D>> {
    let m = a.nrows();
    upload(device, (0..m * cols).map(|k| a[(k % m, k / m)]), (m, cols))
}

/// An upper triangular R·2^e on the device; what lies below its diagonal is not read.
pub(crate) fn upload_upper<T: Scalar, D: Backend<T>>(
    device: &D,
    r: &faer::Mat<f64>,
    e: i32,
) -> Result<Mat<T, D>> {
    let n = r.nrows();
    let entry = |i: usize, j: usize| match i <= j {
        true => scalar::scale_by_power(r[(i, j)], e),
        false => 0.0,
    };
    upload(device, (0..n * n).map(|k| entry(k % n, k / n)), (n, n))
}

/// A square matrix as T holds it, on the host and on the device, from its entries column by column.
pub(crate) fn rounded<T: Scalar, D: Backend<T>>(
    device: &D,
    entries: &[f64],
    n: usize,
) -> Result<(Vec<f64>, Mat<T, D>)> {
    let rounded = entries.iter().map(|&x| T::from_f64(x).to_f64()).collect::<Vec<_>>();
    let uploaded = upload(device, rounded.iter().copied(), (n, n))?;
    Ok((rounded, uploaded))
}
