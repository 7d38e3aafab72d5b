//! Transform families: the device's sweep for dense A; blocks of columns made dense for sparse A,
//! since a transform fills them anyway.

use super::Sketch;
use crate::{Backend, Mat, MatMut, Op, Operand, Result, Scalar};

/// Entries of the dense block that stands for columns of a sparse A.
const BLOCK_LEN: usize = 1 << 23;

/// `C ← α op(S) A + β C`.
pub(super) fn times<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    mut c: MatMut<'_, T, D>,
) -> Result<()> {
    let device = c.device();
    let (rows, n) = a.shape();
    if let Operand::Dense(a) = a {
        return device.mix_times(s, op, alpha, a, beta, c);
    }
    let width = (BLOCK_LEN / rows.max(1)).clamp(1, n);
    let mut block = Mat::scratch(device, rows, width)?;
    for start in (0..n).step_by(width) {
        let cols = start..n.min(start + width);
        let mut dense = block.as_mut().columns(0..cols.len());
        match a {
            Operand::Csr(a) => device.expand(a, start, dense.as_mut())?,
            Operand::Csc(a) => {
                let columns = a.transpose().rows(cols.clone());
                device.expand(columns, 0, dense.as_mut().transpose())?;
            }
            Operand::Dense(_) => unreachable!("dense A is served above"),
        }
        let c = c.as_mut().columns(cols);
        device.mix_times(s, op, alpha, dense.as_ref(), beta, c)?;
    }
    Ok(())
}
