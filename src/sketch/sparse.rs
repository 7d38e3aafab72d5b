//! Sparse families.
//!
//! On dense A the columns of S are indexed chunk by chunk, so the memory for positions stays
//! bounded. On sparse A the operator is a CSR matrix and the product is sparse × sparse.

use super::Sketch;
use super::host_csr::HostCsr;
use crate::{Backend, CsrRef, MatMut, MatRef, Op, Operand, Result, Scalar};

/// `C ← α op(S) A + β C` for a column-sparse family and dense A.
pub(super) fn times_dense<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    op: Op,
    alpha: T,
    a: MatRef<'_, T, D>,
    beta: T,
    mut c: MatMut<'_, T, D>,
) -> Result<()> {
    let device = c.device();
    let m = s.ncols();
    let step = device.index_chunk(s).max(1);
    for start in (0..m).step_by(step) {
        let cols = start..m.min(start + step);
        let chunk = s.columns(cols.clone());
        let indices = device.indices(&chunk)?;
        match op {
            Op::NoTrans => {
                let beta = if start == 0 { beta } else { T::one() };
                device.sparse_times(&chunk, &indices, op, alpha, a.rows(cols), beta, c.as_mut())?;
            }
            Op::Trans => {
                let c = c.as_mut().rows(cols);
                device.sparse_times(&chunk, &indices, op, alpha, a, beta, c)?;
            }
        }
    }
    Ok(())
}

/// `C ← α op(S) A + β C` through S in CSR.
pub(super) fn times<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    let device = c.device();
    let Some(host) = HostCsr::of(s, device)? else { unreachable!("a sparse family") };
    let s = host.upload(device)?;
    let transposed = host.transpose().upload(device)?;
    explicit_times(s.as_ref(), transposed.as_ref(), op, alpha, a, beta, c)
}

/// `C ← α op(S) A + β C` for S and Sᵀ in CSR.
pub(super) fn explicit_times<T: Scalar, D: Backend<T>>(
    s: CsrRef<'_, T, D>,
    transposed: CsrRef<'_, T, D>,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    let device = c.device();
    let (s, transposed) = if op == Op::NoTrans { (s, transposed) } else { (transposed, s) };
    match a {
        Operand::Dense(a) => device.spmm(alpha, s, Op::NoTrans, a, beta, c),
        Operand::Csr(a) => device.spspmm(alpha, s, a, beta, c),
        // S·A = (Aᵀ·Sᵀ)ᵀ, and Aᵀ is CSR.
        Operand::Csc(a) => device.spspmm(alpha, a.transpose(), transposed, beta, c.transpose()),
    }
}
