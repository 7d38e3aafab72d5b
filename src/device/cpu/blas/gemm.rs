//! `C ← α A B + β C`.
//!
//! | shape | way |
//! |---|---|
//! | m, n small, k long | chunks of k into partial products, joined in order |
//! | one side of C short | panels of the long side, single-threaded calls |
//! | else | faer with its own threads |

use super::super::pool::SharedMut;
use super::{CpuScalar, elementwise};
use crate::matrix::{BatchMut, BatchRef};
use crate::{Cpu, Mat, MatMut, MatRef, Result};
use faer::{Accum, Par};

/// A side of C up to this length is short.
const SHORT: usize = 256;
/// Rows of C a task computes when the other side is short.
const PANEL: usize = 256;
/// The inner length of a partial product.
const CHUNK: usize = 2048;

pub(super) fn gemm<T: CpuScalar>(
    cpu: &Cpu,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
) -> Result<()> {
    let (m, n, k) = (c.nrows(), c.ncols(), a.ncols());
    debug_assert!(a.nrows() == m && b.nrows() == k && b.ncols() == n);
    if m < n {
        return gemm(cpu, alpha, b.transpose(), a.transpose(), beta, c.transpose());
    }
    if m == 0 || n == 0 {
        return Ok(());
    }
    if k == 0 || alpha == T::zero() {
        elementwise::scale(cpu, beta, c);
        return Ok(());
    }
    let work = 2 * (m as u64) * (n as u64) * (k as u64);
    if m <= SHORT && k >= 4 * CHUNK {
        return split_inner(cpu, alpha, a, b, beta, c);
    }
    let c = prepare(cpu, beta, c);
    if n <= SHORT && m > PANEL {
        row_panels(cpu, work, alpha, a, b, c);
    } else {
        // faer's matrix-vector product is not the same bits for any number of threads.
        let work = if n == 1 { 0 } else { work };
        cpu.with_par(work, |par| product(alpha, a, b, c, par));
    }
    Ok(())
}

/// What is left to do is `C ← α A B` or `C ← C + α A B`.
enum Output<'a, T: CpuScalar> {
    Replace(MatMut<'a, T>),
    Add(MatMut<'a, T>),
}

fn prepare<'a, T: CpuScalar>(cpu: &Cpu, beta: T, mut c: MatMut<'a, T>) -> Output<'a, T> {
    if beta == T::zero() {
        return Output::Replace(c);
    }
    if beta != T::one() {
        elementwise::scale(cpu, beta, c.as_mut());
    }
    Output::Add(c)
}

fn product<T: CpuScalar>(alpha: T, a: MatRef<'_, T>, b: MatRef<'_, T>, c: Output<'_, T>, par: Par) {
    let (accum, c) = match c {
        Output::Replace(c) => (Accum::Replace, c),
        Output::Add(c) => (Accum::Add, c),
    };
    let (c, a, b) = (faer::MatMut::from(c), faer::MatRef::from(a), faer::MatRef::from(b));
    faer::linalg::matmul::matmul(c, accum, a, b, alpha, par);
}

fn row_panels<T: CpuScalar>(
    cpu: &Cpu,
    work: u64,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    c: Output<'_, T>,
) {
    let (replace, mut c) = match c {
        Output::Replace(c) => (true, c),
        Output::Add(c) => (false, c),
    };
    let (m, n) = c.shape();
    let (row_stride, col_stride, cpu_of_c) = (c.row_stride(), c.col_stride(), c.device());
    let base = SharedMut(c.as_mut_ptr());
    cpu.for_each(m.div_ceil(PANEL), work, |task| {
        let rows = task * PANEL..m.min((task + 1) * PANEL);
        let start = base.get().wrapping_offset(rows.start as isize * row_stride);
        let shape = (rows.len(), n);
        // SAFETY: tasks own disjoint rows of C, which is borrowed uniquely.
        let panel = unsafe {
            MatMut::from_parts_unchecked(cpu_of_c, start, shape, (row_stride, col_stride))
        };
        let a = a.rows(rows);
        if a.col_stride() == 1 && row_stride == 1 && a.ncols() > 1 {
            // faer is slower by a tenth when A and C run in different directions.
            let mut scratch = vec![T::zero(); a.nrows() * n];
            // SAFETY: the scratch holds the transposed panel.
            let mut transposed = unsafe {
                let (ptr, strides) = (scratch.as_mut_ptr(), (n as isize, 1));
                MatMut::from_parts_unchecked(cpu_of_c, ptr, (a.nrows(), n), strides)
            };
            product(alpha, a, b, Output::Replace(transposed.as_mut()), Par::Seq);
            let beta = if replace { T::zero() } else { T::one() };
            elementwise::axpby(&Cpu::one_thread(), T::one(), transposed.as_ref(), beta, panel);
        } else {
            let panel = if replace { Output::Replace(panel) } else { Output::Add(panel) };
            product(alpha, a, b, panel, Par::Seq);
        }
    });
}

fn split_inner<T: CpuScalar>(
    cpu: &Cpu,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    mut c: MatMut<'_, T>,
) -> Result<()> {
    let (m, n, k) = (c.nrows(), c.ncols(), a.ncols());
    let chunks = k.div_ceil(CHUNK).min(64);
    let chunk = k.div_ceil(chunks);
    let work = 2 * (m as u64) * (n as u64) * (k as u64);
    let partial = cpu.map(chunks, work, |task| {
        let inner = (task * chunk).min(k)..((task + 1) * chunk).min(k);
        let mut part = Mat::scratch(cpu, m, n)?;
        let (a, b) = (a.columns(inner.clone()), b.rows(inner));
        product(alpha, a, b, Output::Replace(part.as_mut()), Par::Seq);
        Ok(part)
    });
    let mut beta = beta;
    for part in partial {
        elementwise::axpby(cpu, T::one(), part?.as_ref(), beta, c.as_mut());
        beta = T::one();
    }
    Ok(())
}

pub(super) fn gemm_batched<T: CpuScalar>(
    cpu: &Cpu,
    alpha: T,
    a: BatchRef<'_, T>,
    b: BatchRef<'_, T>,
    beta: T,
    mut c: BatchMut<'_, T>,
) {
    let ((m, n), k, batch) = (c.shape(), a.shape().1, c.len());
    if m == 0 || n == 0 {
        return;
    }
    let work = 2 * (m as u64) * (n as u64) * (k.max(1) as u64);
    let step = c.step();
    let mut first = c.first();
    let strides = (first.row_stride(), first.col_stride());
    let base = SharedMut(first.as_mut_ptr());
    let one = Cpu::one_thread();
    cpu.for_each(batch, work.saturating_mul(batch as u64), |i| {
        let start = base.get().wrapping_offset(i as isize * step);
        // SAFETY: matrix i of the batch, which is borrowed uniquely; each task has its own.
        let c = unsafe { MatMut::from_parts_unchecked(cpu, start, (m, n), strides) };
        if k == 0 || alpha == T::zero() {
            elementwise::scale(&one, beta, c);
        } else {
            let c = prepare(&one, beta, c);
            product(alpha, a.get(i), b.get(i), c, Par::Seq);
        }
    });
}
