//! Products with sparse factors that read and write halves: `gather` and `scatter` of `cuda/half.cu`, as in
//! [`sparse`](super::super::sparse).

use super::super::sparse::{Factor, Gather, Scatter, panel_bytes, panel_width};
use super::super::{Cuda, blas, lanes_along_columns};
use super::{CudaHalf, copy, narrow, rescale};
use crate::device::like;
use crate::{Blas, Mat, MatMut, MatRef, Result};
use core::ops::Range;

/// `C ← α X B + β C`, B and C dense.
pub(super) fn times_dense<H: CudaHalf>(
    cuda: &Cuda,
    alpha: f32,
    x: Factor,
    b: MatRef<'_, H, Cuda>,
    beta: f32,
    mut c: MatMut<'_, H, Cuda>,
) -> Result<()> {
    if alpha == 0.0 || x.entries() == 0 || b.is_empty() || c.is_empty() {
        return rescale(cuda, beta, c);
    }
    let in_place = lanes_along_columns(c.as_ref());
    panels(cuda, c.shape(), in_place, b, |cols, b| {
        let mut c = c.as_mut().columns(cols);
        let gather = Gather::new(x, c.shape());
        if in_place && gather.parts() == 1 {
            let name = H::kernel(match x.is_signs() {
                true => ["gather_signs_f16_f16", "gather_signs_bf16_bf16"],
                false => ["gather_stored_f16_f16", "gather_stored_bf16_bf16"],
            });
            return gather.launch(cuda, &cuda.gpu.half, name, alpha, b, beta, c);
        }
        let mut sums = Mat::<f32, Cuda>::packed(cuda, c.ncols(), c.nrows())?;
        gather_wide(cuda, x, b, 0.0, sums.as_mut().transpose())?;
        narrow(cuda, alpha, sums.transpose(), beta, c.as_mut())
    })
}

/// `C ← X B + β C`, B and C dense, C in `f32`.
pub(super) fn sums<H: CudaHalf>(
    cuda: &Cuda,
    x: Factor,
    b: MatRef<'_, H, Cuda>,
    beta: f32,
    mut c: MatMut<'_, f32, Cuda>,
) -> Result<()> {
    if x.entries() == 0 || b.is_empty() || c.is_empty() {
        return Blas::<f32>::scale(cuda, beta, c);
    }
    let in_place = lanes_along_columns(c.as_ref());
    panels(cuda, c.shape(), in_place, b, |cols, b| {
        let c = c.as_mut().columns(cols);
        if in_place {
            return gather_wide(cuda, x, b, beta, c);
        }
        let mut sums = Mat::<f32, Cuda>::packed(cuda, c.ncols(), c.nrows())?;
        gather_wide(cuda, x, b, 0.0, sums.as_mut().transpose())?;
        blas::axpby(cuda, 1.0, sums.transpose(), beta, c)
    })
}

/// Calls `product` with the columns of a C of this shape, and with those of B, copied where rows are fast:
/// all at once, or panel by panel where something is copied.
fn panels<H: CudaHalf>(
    cuda: &Cuda,
    (rows, n): (usize, usize),
    in_place: bool,
    b: MatRef<'_, H, Cuda>,
    mut product: impl FnMut(Range<usize>, MatRef<'_, H, Cuda>) -> Result<()>,
) -> Result<()> {
    let copied = !lanes_along_columns(b);
    let width = match copied || !in_place {
        // C is summed up in `f32`, B is as it is stored.
        true => panel_width::<f32>(panel_bytes(cuda), rows, n).min(panel_width::<H>(
            panel_bytes(cuda),
            b.nrows(),
            n,
        )),
        false => n,
    };
    for start in (0..n).step_by(width) {
        let cols = start..n.min(start + width);
        let b = b.columns(cols.clone());
        if copied {
            let mut turned = Mat::packed(cuda, cols.len(), b.nrows())?;
            copy(cuda, b, turned.as_mut().transpose())?;
            product(cols, turned.transpose())?;
        } else {
            product(cols, b)?;
        }
    }
    Ok(())
}

/// `C ← X B + β C` with lanes along the columns of B and C.
fn gather_wide<H: CudaHalf>(
    cuda: &Cuda,
    x: Factor,
    b: MatRef<'_, H, Cuda>,
    beta: f32,
    c: MatMut<'_, f32, Cuda>,
) -> Result<()> {
    let name = H::kernel(match x.is_signs() {
        true => ["gather_signs_f16_f32", "gather_signs_bf16_f32"],
        false => ["gather_stored_f16_f32", "gather_stored_bf16_f32"],
    });
    Gather::new(x, c.shape()).run(cuda, &cuda.gpu.half, name, 1.0, b, beta, c)
}

/// `C ← α X + β C` for an X of `f32` that `product` leaves, in the direction of C.
pub(super) fn through_sums<H: CudaHalf>(
    cuda: &Cuda,
    alpha: f32,
    beta: f32,
    c: MatMut<'_, H, Cuda>,
    product: impl FnOnce(MatMut<'_, f32, Cuda>) -> Result<()>,
) -> Result<()> {
    let mut sums = like(cuda, c.as_ref())?;
    product(sums.as_mut())?;
    narrow(cuda, alpha, sums.as_ref(), beta, c)
}

/// `X ← S A + β X` by the columns of S.
pub(super) fn scatter<H: CudaHalf>(
    cuda: &Cuda,
    scatter: &Scatter,
    a: MatRef<'_, H, Cuda>,
    beta: f32,
    x: MatMut<'_, f32, Cuda>,
) -> Result<()> {
    let name = H::kernel(["scatter_signs_f16", "scatter_signs_bf16"]);
    scatter.run(cuda, &cuda.gpu.half, name, 1.0, a, beta, x)
}
