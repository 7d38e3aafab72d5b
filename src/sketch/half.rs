//! Operators on matrices that are stored in `f16` and `bf16`: `C ← round(α op(S) A + β C)`, all
//! products and sums in `f32`, every entry of C rounded once.
//!
//! | family | S | dense A |
//! |---|---|---|
//! | Gaussian, Rademacher, Uniform | raw entries of `f32`, rounded; the factor goes into α | S and A enter the product as halves |
//! | SparseSign, SparseStack, CountSketch, BlockPerm-SJLT | signs, the factor goes into α; indexed in chunks, or made in the kernel | one pass over A |
//! | LASO, row sampling | CSR in `f32` | CSR × dense |
//! | transforms, Haar | as in `f32` | column panels of A widened to `f32` |
//!
//! The values of a sparse A are widened, 4 bytes an entry, and C is summed in `f32` beside it.

use super::{Family, Sketch, apply, dense, haar, sparse};
use crate::device::{by_columns, like, scaled};
use crate::{Half, HalfKernels, Mat, MatMut, MatRef, Op, Operand, Result, SketchKernels};

/// `C ← α op(S) A + β C` after checking the arguments.
pub(super) fn run<H: Half, D: HalfKernels<H>>(
    name: &'static str,
    s: &Sketch,
    op: Op,
    alpha: f32,
    a: Operand<'_, H, D>,
    beta: f32,
    c: MatMut<'_, H, D>,
) -> Result<()> {
    apply::check(name, s, op, a, &c)?;
    if c.is_empty() {
        return Ok(());
    }
    if a.shape().0 == 0 || alpha == 0.0 {
        return c.device().rescale(beta, c);
    }
    match a {
        Operand::Dense(a) => times_dense(name, s, op, alpha, a, beta, c),
        a => times_sparse(name, s, op, alpha, a, beta, c),
    }
}

fn times_dense<H: Half, D: HalfKernels<H>>(
    name: &'static str,
    s: &Sketch,
    op: Op,
    alpha: f32,
    a: MatRef<'_, H, D>,
    beta: f32,
    c: MatMut<'_, H, D>,
) -> Result<()> {
    let (device, raw) = (c.device(), s.raw());
    match s.family() {
        family if family.is_dense() => device.fill_times_half(s, op, alpha, a, beta, c),
        family if family.is_column_sparse() => times_signs(s, op, alpha, a, beta, c),
        Family::Laso | Family::RowSampling => {
            let x = sparse::compressed(&raw, op, device)?;
            device.spmm_half(scaled(alpha, s), x.as_ref(), a, beta, c)
        }
        Family::Haar => {
            let formed = haar::form::<f32, D>(&raw, device)?;
            let q = if op == Op::Trans { formed.transpose() } else { formed.as_ref() };
            let times =
                |a: MatRef<'_, f32, D>, x: MatMut<'_, f32, D>| device.gemm(1.0, q, a, 0.0, x);
            by_columns(device, scaled(alpha, s), a, beta, c, times)
        }
        _ => by_columns(device, scaled(alpha, s), a, beta, c, |a, x| {
            apply::run(name, &raw, None, op, 1.0, Operand::Dense(a), 0.0, x)
        }),
    }
}

/// `C ← α op(S) A + β C` for a column-sparse family. The columns of S are indexed chunk by chunk, as in
/// `f32`; S·A of several chunks is summed in `f32`, so that C is rounded once.
fn times_signs<H: Half, D: HalfKernels<H>>(
    s: &Sketch,
    op: Op,
    alpha: f32,
    a: MatRef<'_, H, D>,
    beta: f32,
    mut c: MatMut<'_, H, D>,
) -> Result<()> {
    let device = c.device();
    let by_blocks = op == Op::NoTrans && s.family() == Family::BlockPermSjlt;
    if by_blocks && SketchKernels::<f32>::makes_positions(device) {
        return device.block_perm_times_half(s, alpha, a, beta, c);
    }
    let several = sparse::chunks::<f32, D>(s, device).nth(1).is_some();
    if op == Op::NoTrans && !several {
        return device.sparse_times_half(s, &device.indices(s)?, op, alpha, a, beta, c);
    }
    if op == Op::Trans {
        for cols in sparse::chunks::<f32, D>(s, device) {
            let (chunk, c) = (s.columns(cols.clone()), c.as_mut().rows(cols));
            device.sparse_times_half(&chunk, &device.indices(&chunk)?, op, alpha, a, beta, c)?;
        }
        return Ok(());
    }
    let mut sums = like(device, c.as_ref())?;
    for cols in sparse::chunks::<f32, D>(s, device) {
        let chunk = s.raw().columns(cols.clone());
        let indices = device.indices(&chunk)?;
        let old = if cols.start == 0 { 0.0 } else { 1.0 };
        device.sparse_sums_half(&chunk, &indices, a.rows(cols), old, sums.as_mut())?;
    }
    device.narrow(scaled(alpha, s), sums.as_ref(), beta, c)
}

fn times_sparse<H: Half, D: HalfKernels<H>>(
    name: &'static str,
    s: &Sketch,
    op: Op,
    alpha: f32,
    a: Operand<'_, H, D>,
    beta: f32,
    c: MatMut<'_, H, D>,
) -> Result<()> {
    let (device, raw) = (c.device(), s.raw());
    let x = match a {
        Operand::Csr(x) => x,
        Operand::Csc(x) => x.transpose(),
        Operand::Dense(_) => unreachable!("dense A is served above"),
    };
    let mut values = Mat::packed(device, 1, x.entries())?;
    device.widen(x.all_values(), values.as_mut())?;
    let x = x.with_values(&values);
    let wide = match a {
        Operand::Csc(_) => Operand::Csc(x.transpose()),
        _ => Operand::Csr(x),
    };
    let mut sums = Mat::scratch(device, c.nrows(), c.ncols())?;
    if s.family().is_dense() {
        let fill = |s: &Sketch, b: MatMut<'_, f32, D>| device.fill_rounded(s, b);
        dense::times_panels(&raw, op, 1.0, wide, 0.0, sums.as_mut(), &fill)?;
    } else {
        apply::run(name, &raw, None, op, 1.0, wide, 0.0, sums.as_mut())?;
    }
    device.narrow(scaled(alpha, s), sums.as_ref(), beta, c)
}

/// The operator as a dense matrix: that of `f32`, or of the rounded entries, times the factor.
pub(super) fn form<H: Half, D: HalfKernels<H>>(s: &Sketch, device: &D) -> Result<Mat<H, D>> {
    let raw = s.raw();
    let entries = if s.family().is_dense() {
        let mut entries = Mat::scratch(device, s.nrows(), s.ncols())?;
        device.fill_rounded(&raw, entries.as_mut())?;
        entries
    } else {
        apply::form::<f32, D>(&raw, device)?
    };
    let mut rounded = Mat::scratch(device, s.nrows(), s.ncols())?;
    device.narrow(scaled(1.0, s), entries.as_ref(), 0.0, rounded.as_mut())?;
    Ok(rounded)
}
