//! Sparse families.
//!
//! On dense A the columns of S are indexed chunk by chunk, so the memory for positions stays
//! bounded. On sparse A they are indexed at once, 4ζm bytes, since a matrix in compressed columns
//! cannot be cut by rows. Devices may have a kernel for BlockPerm-SJLT that needs no
//! positions. LASO and row sampling are CSR matrices: a product with one entry a row streams A through the cache, and is
//! twice as fast as gathering rows and scaling them.

use super::{Family, Sketch};
use crate::{Backend, Csr, CsrRef, Error, MatMut, MatRef, Op, Operand, Result, Scalar};
use core::ops::Range;

/// `C ← α op(S) A + β C` for a column-sparse family; `kept` are the indices of all of S.
pub(super) fn times_signs<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    kept: Option<&D::Indices>,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    let by_blocks = op == Op::NoTrans && s.family() == Family::BlockPermSjlt;
    let (x, op_x) = match a {
        Operand::Dense(a) if by_blocks && c.device().makes_positions() => {
            return c.device().block_perm_times(s, alpha, a, beta, c);
        }
        Operand::Dense(a) => return times_dense(s, kept, op, alpha, a, beta, c),
        Operand::Csr(a) => (a, Op::NoTrans),
        Operand::Csc(a) => (a.transpose(), Op::Trans),
    };
    let device = c.device();
    match kept {
        Some(indices) => device.sparse_times_csr(s, indices, op, alpha, x, op_x, beta, c),
        None => {
            let indices = device.indices(s)?;
            device.sparse_times_csr(s, &indices, op, alpha, x, op_x, beta, c)
        }
    }
}

/// The same for dense A. Sums are cut at chunks whether indices are kept or not.
fn times_dense<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    kept: Option<&D::Indices>,
    op: Op,
    alpha: T,
    a: MatRef<'_, T, D>,
    beta: T,
    mut c: MatMut<'_, T, D>,
) -> Result<()> {
    let device = c.device();
    for cols in chunks::<T, D>(s, device) {
        let chunk = s.columns(cols.clone());
        let made;
        let indices = match kept {
            Some(kept) => kept,
            None => {
                made = device.indices(&chunk)?;
                &made
            }
        };
        match op {
            Op::NoTrans => {
                let beta = if cols.start == 0 { beta } else { T::one() };
                device.sparse_times(&chunk, indices, op, alpha, a.rows(cols), beta, c.as_mut())?;
            }
            Op::Trans => {
                let c = c.as_mut().rows(cols);
                device.sparse_times(&chunk, indices, op, alpha, a, beta, c)?;
            }
        }
    }
    Ok(())
}

/// The columns of S, in the chunks in which they are indexed.
pub(super) fn chunks<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    device: &D,
) -> impl Iterator<Item = Range<usize>> + use<T, D> {
    let m = s.ncols();
    let step = device.index_chunk(s).max(1);
    (0..m).step_by(step).map(move |start| start..m.min(start + step))
}

/// `C ← α op(S) A + β C` through S in CSR, for LASO and row sampling.
pub(super) fn times<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    // Only one of S and Sᵀ is multiplied; which one depends on the side and the format of A.
    let transposed = (op == Op::Trans) != matches!(a, Operand::Csc(_));
    let side = if transposed { Op::Trans } else { Op::NoTrans };
    let s = compressed(s, side, c.device())?;
    explicit_times(s.as_ref(), s.as_ref(), op, alpha, a, beta, c)
}

/// op(S) of a sparse family in CSR.
pub(super) fn compressed<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    op: Op,
    device: &D,
) -> Result<Csr<T, D>> {
    if u32::try_from(s.ncols()).is_err() {
        let what = format!("a sparse operator of {} columns in CSR", s.ncols());
        return Err(Error::Unsupported { op: "Sketch", what });
    }
    device.compressed(s, op)
}

/// `C ← α op(S) A + β C` for S and Sᵀ in CSR, of which one is read: op(S)ᵀ for CSC, else op(S).
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
