//! Products with sparse factors that read and write halves: `gather` of `cuda/half.cu`, as in
//! [`sparse`](super::super::sparse).

use super::super::sparse::{Factor, Gather, panel_width};
use super::super::{Cuda, lanes_along_columns};
use super::{CudaHalf, copy, narrow, rescale};
use crate::{Mat, MatMut, MatRef, Result};

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
    let (rows, n) = c.shape();
    let in_place = lanes_along_columns(c.as_ref());
    let copied = !lanes_along_columns(b);
    let width = if copied || !in_place { panel_width::<H>(rows.max(b.nrows()), n) } else { n };
    for start in (0..n).step_by(width) {
        let panel = start..n.min(start + width);
        let (mut b, mut c) = (b.columns(panel.clone()), c.as_mut().columns(panel.clone()));
        let mut turned;
        if copied {
            turned = Mat::packed(cuda, panel.len(), b.nrows())?;
            copy(cuda, b, turned.as_mut().transpose())?;
            b = turned.transpose();
        }
        let gather = Gather::new(x, (rows, panel.len()));
        if in_place && gather.parts() == 1 {
            let name = H::kernel(match x.is_signs() {
                true => ["gather_signs_f16_f16", "gather_signs_bf16_bf16"],
                false => ["gather_stored_f16_f16", "gather_stored_bf16_bf16"],
            });
            gather.launch(cuda, &cuda.gpu.half, name, alpha, b, beta, c.as_mut())?;
            continue;
        }
        let name = H::kernel(match x.is_signs() {
            true => ["gather_signs_f16_f32", "gather_signs_bf16_f32"],
            false => ["gather_stored_f16_f32", "gather_stored_bf16_f32"],
        });
        let mut sums = Mat::<f32, Cuda>::packed(cuda, panel.len(), rows)?;
        let by_rows = sums.as_mut().transpose();
        gather.run(cuda, &cuda.gpu.half, name, 1.0, b, 0.0, by_rows)?;
        narrow(cuda, alpha, sums.transpose(), beta, c)?;
    }
    Ok(())
}
