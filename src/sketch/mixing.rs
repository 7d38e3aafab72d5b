//! Transform families: the device's sweep for dense A; blocks of columns made dense for sparse A,
//! since a transform fills them anyway.

use super::Sketch;
use crate::{Backend, Csr, Mat, MatMut, Op, Operand, Result, Scalar};

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
            Operand::Csr(a) => {
                let select = selection(device, n, cols.clone())?;
                device.spspmm(T::one(), a, select.as_ref(), T::zero(), dense.as_mut())?;
            }
            Operand::Csc(a) => {
                let identity = selection(device, rows, 0..rows)?;
                let columns = a.transpose().rows(cols.clone());
                let transposed = dense.as_mut().transpose();
                device.spspmm(T::one(), columns, identity.as_ref(), T::zero(), transposed)?;
            }
            Operand::Dense(_) => unreachable!("dense A is served above"),
        }
        let c = c.as_mut().columns(cols);
        device.mix_times(s, op, alpha, dense.as_ref(), beta, c)?;
    }
    Ok(())
}

/// The columns `cols` of the identity of order n.
fn selection<T: Scalar, D: Backend<T>>(
    device: &D,
    n: usize,
    cols: core::ops::Range<usize>,
) -> Result<Csr<T, D>> {
    let row_ptr: Vec<usize> = (0..=n).map(|i| i.clamp(cols.start, cols.end) - cols.start).collect();
    let col_idx: Vec<u32> = (0..cols.len() as u32).collect();
    Csr::from_distinct(device, (n, cols.len()), &row_ptr, &col_idx, &vec![T::one(); cols.len()])
}
