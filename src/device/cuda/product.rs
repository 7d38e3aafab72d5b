//! Products, Gram matrices and triangular solves by cuBLAS, for any strides and sizes.
//!
//! cuBLAS takes matrices with one unit stride, and counts in 32 bits. What has no unit stride is packed
//! block by block, so that the extra memory stays below [`Limits::packed`] entries an operand, and longer
//! dimensions are cut. All memory is there before anything is written. A triangle is packed whole.

use super::blas::{THREADS, axpby, scale};
use super::cublas::Operand;
use super::launch::{Shape, View, arg, launch};
use super::{Cuda, CudaScalar};
use crate::matrix::{BatchMut, BatchRef};
use crate::{Mat, MatMut, MatRef, Op, Result, Storage, Uplo};
use core::ops::Range;

/// What a call of cuBLAS may be given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The longest dimension, and distance from column to column.
    longest: usize,
    /// Entries of a packed block.
    packed: usize,
    /// Rows and columns that a packed block has at least, where the matrix has them.
    edge: usize,
}

/// 32 bits; 64 MiB of f32; enough columns for products to run at their full speed.
pub(super) const LIMITS: Limits = Limits { longest: i32::MAX as usize, packed: 1 << 24, edge: 256 };

impl Limits {
    /// A matrix as cuBLAS takes it, if it has a unit stride.
    pub(super) fn operand<T: Storage>(self, a: MatRef<'_, T, Cuda>) -> Option<Operand<T>> {
        let ((rows, cols), (rs, cs)) = (a.shape(), (a.row_stride(), a.col_stride()));
        let fits = |stride: isize, len: usize| {
            stride >= len.max(1) as isize && stride as usize <= self.longest
        };
        let (ld, op) = if (rs == 1 || rows <= 1) && (fits(cs, rows) || cols <= 1) {
            (if cols <= 1 { rows.max(1) } else { cs as usize }, Op::NoTrans)
        } else if (cs == 1 || cols <= 1) && (fits(rs, cols) || rows <= 1) {
            (if rows <= 1 { cols.max(1) } else { rs as usize }, Op::Trans)
        } else {
            return None;
        };
        Some(Operand { ptr: a.as_ptr(), ld, op, step: 0 })
    }

    /// The address and leading dimension of a column-major output, if it is one.
    pub(super) fn column_major<T: Storage>(
        self,
        c: &mut MatMut<'_, T, Cuda>,
    ) -> Option<(*mut T, usize)> {
        match self.operand(c.as_ref())? {
            Operand { op: Op::NoTrans, ld, .. } => Some((c.as_mut_ptr(), ld)),
            _ => None,
        }
    }

    fn row_major<T: CudaScalar>(self, c: &mut MatMut<'_, T, Cuda>) -> bool {
        self.column_major(&mut c.as_mut().transpose()).is_some()
    }

    /// The blocks of a product m×n with inner dimension k, of which A, B and C may be packed.
    fn blocks(
        self,
        (m, n, k): (usize, usize, usize),
        [a, b, c]: [bool; 3],
    ) -> (usize, usize, usize) {
        let [mut m, mut n, mut k] = [m, n, k].map(|len| len.min(self.longest));
        let cut = |rows: &mut usize, cols: &mut usize| {
            *cols = (self.packed / *rows).clamp(self.edge.min(*cols), *cols);
            *rows = (self.packed / *cols).clamp(1, *rows);
        };
        if a {
            cut(&mut m, &mut k);
        }
        if b {
            cut(&mut n, &mut k);
        }
        if c {
            cut(&mut m, &mut n);
        }
        (m, n, k)
    }
}

/// `0..len` in parts of `step`.
fn ranges(len: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(step).map(move |start| start..len.min(start + step))
}

impl<T> Operand<T> {
    pub(super) fn transposed(self) -> Self {
        let op = if self.op == Op::NoTrans { Op::Trans } else { Op::NoTrans };
        Self { op, ..self }
    }
}

/// Memory for the packed blocks of an operand, if it needs any.
struct Packed<T: CudaScalar>(Option<Mat<T, Cuda>>);

impl<T: CudaScalar> Packed<T> {
    fn new(cuda: &Cuda, needed: bool, rows: usize, cols: usize) -> Result<Self> {
        Ok(Self(needed.then(|| Mat::packed(cuda, rows, cols)).transpose()?))
    }

    /// The leading rows and columns of the memory.
    fn block(&mut self, (rows, cols): (usize, usize)) -> Option<MatMut<'_, T, Cuda>> {
        self.0.as_mut().map(|memory| memory.as_mut().rows(0..rows).columns(0..cols))
    }

    /// A block as cuBLAS takes it.
    fn operand(&mut self, cuda: &Cuda, a: MatRef<'_, T, Cuda>) -> Result<Operand<T>> {
        let copied = match self.block(a.shape()) {
            None => LIMITS.operand(a),
            Some(mut block) => {
                axpby(cuda, T::one(), a, T::zero(), block.as_mut())?;
                LIMITS.operand(block.as_ref())
            }
        };
        Ok(copied.expect("a unit stride"))
    }
}

/// `C ← α A B + β C`.
pub(super) fn gemm<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    a: MatRef<'_, T, Cuda>,
    b: MatRef<'_, T, Cuda>,
    beta: T,
    c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    gemm_within(cuda, LIMITS, alpha, a, b, beta, c)
}

fn gemm_within<T: CudaScalar>(
    cuda: &Cuda,
    limits: Limits,
    alpha: T,
    a: MatRef<'_, T, Cuda>,
    b: MatRef<'_, T, Cuda>,
    beta: T,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (m, n, k) = (c.nrows(), c.ncols(), a.ncols());
    if m == 0 || n == 0 {
        return Ok(());
    }
    if k == 0 || alpha == T::zero() {
        return scale(cuda, beta, c);
    }
    let pack_c = limits.column_major(&mut c).is_none();
    if pack_c && limits.row_major(&mut c) {
        let (a, b, c) = (b.transpose(), a.transpose(), c.transpose());
        return gemm_within(cuda, limits, alpha, a, b, beta, c);
    }
    let packs = [limits.operand(a).is_none(), limits.operand(b).is_none(), pack_c];
    let (rows, cols, inner) = limits.blocks((m, n, k), packs);
    let mut packed_a = Packed::new(cuda, packs[0], rows, inner)?;
    let mut packed_b = Packed::new(cuda, packs[1], inner, cols)?;
    let mut packed_c = Packed::new(cuda, packs[2], rows, cols)?;
    for (j, i) in ranges(n, cols).flat_map(|j| ranges(m, rows).map(move |i| (j.clone(), i))) {
        let (sizes, mut tile) = ((i.len(), j.len()), c.as_mut().rows(i.clone()).columns(j.clone()));
        for l in ranges(k, inner) {
            let left = packed_a.operand(cuda, a.rows(i.clone()).columns(l.clone()))?;
            let right = packed_b.operand(cuda, b.rows(l.clone()).columns(j.clone()))?;
            let mut sums = packed_c.block(sizes);
            let beta = match l.start {
                0 if sums.is_some() => T::zero(),
                0 => beta,
                _ => T::one(),
            };
            let (ptr, ld) = match &mut sums {
                Some(sums) => LIMITS.column_major(sums),
                None => LIMITS.column_major(&mut tile),
            }
            .expect("column-major");
            let sizes = (i.len(), j.len(), l.len());
            // SAFETY: the views are valid for these sizes.
            unsafe { T::gemm(cuda, sizes, alpha, left, right, beta, (ptr, ld, 0), 1)? };
        }
        if let Some(sums) = packed_c.block(sizes) {
            axpby(cuda, T::one(), sums.as_ref(), beta, tile)?;
        }
    }
    Ok(())
}

/// `C ← α A B + β C` for batches, in one call where cuBLAS takes the matrices as they are, one step
/// forward from one to the next.
pub(super) fn gemm_batched<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    a: BatchRef<'_, T, Cuda>,
    b: BatchRef<'_, T, Cuda>,
    beta: T,
    mut c: BatchMut<'_, T, Cuda>,
) -> Result<()> {
    let ((m, n), k, batch, step) = (c.shape(), a.shape().1, c.len(), c.step());
    if m == 0 || n == 0 || batch == 0 {
        return Ok(());
    }
    let forward = a.step() >= 0 && b.step() >= 0 && step >= 0;
    let short = [m, n, k, batch].iter().all(|&len| len <= LIMITS.longest);
    let mut first = c.first();
    let turned = LIMITS.column_major(&mut first).is_none();
    let mut output = if turned { first.as_mut().transpose() } else { first.as_mut() };
    let operands =
        (LIMITS.operand(a.get(0)), LIMITS.operand(b.get(0)), LIMITS.column_major(&mut output));
    if let (Some(oa), Some(ob), Some((ptr, ldc))) = operands
        && k > 0
        && alpha != T::zero()
        && forward
        && short
    {
        let (oa, ob) = (Operand { step: a.step(), ..oa }, Operand { step: b.step(), ..ob });
        // SAFETY: the views of the batches are valid for these sizes.
        return unsafe {
            if turned {
                let (left, right) = (ob.transposed(), oa.transposed());
                T::gemm(cuda, (n, m, k), alpha, left, right, beta, (ptr, ldc, step), batch)
            } else {
                T::gemm(cuda, (m, n, k), alpha, oa, ob, beta, (ptr, ldc, step), batch)
            }
        };
    }
    (0..batch).try_for_each(|i| gemm(cuda, alpha, a.get(i), b.get(i), beta, c.get(i)))
}

/// `G ← Aᵀ A`.
pub(super) fn gram<T: CudaScalar>(
    cuda: &Cuda,
    a: MatRef<'_, T, Cuda>,
    g: MatMut<'_, T, Cuda>,
) -> Result<()> {
    gram_within(cuda, LIMITS, a, g)
}

fn gram_within<T: CudaScalar>(
    cuda: &Cuda,
    limits: Limits,
    a: MatRef<'_, T, Cuda>,
    mut g: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (m, n) = a.shape();
    if n == 0 {
        return Ok(());
    }
    if m == 0 {
        return scale(cuda, T::zero(), g);
    }
    let pack_g = limits.column_major(&mut g).is_none();
    if pack_g && limits.row_major(&mut g) {
        return gram_within(cuda, limits, a, g.transpose());
    }
    let pack_a = limits.operand(a).is_none();
    // Aᵀ is the first factor, of all rows of G.
    let rows = match limits.blocks((n, n, m), [pack_a, false, false]) {
        (_, _, rows) if pack_a => rows,
        _ => m.min(limits.longest),
    };
    let mut packed_a = Packed::new(cuda, pack_a, rows, n)?;
    let mut packed_g = Packed::new(cuda, pack_g, n, n)?;
    for i in ranges(m, rows) {
        let columns = packed_a.operand(cuda, a.rows(i.clone()))?.transposed();
        let mut sums = packed_g.block((n, n));
        let target = match &mut sums {
            Some(sums) => LIMITS.column_major(sums),
            None => LIMITS.column_major(&mut g),
        }
        .expect("column-major");
        let beta = if i.start == 0 { T::zero() } else { T::one() };
        // SAFETY: the views are valid for these sizes.
        unsafe { T::syrk(cuda, (n, i.len()), columns, beta, target)? };
    }
    match packed_g.block((n, n)) {
        None => mirror(cuda, g),
        Some(mut sums) => {
            mirror(cuda, sums.as_mut())?;
            axpby(cuda, T::one(), sums.as_ref(), T::zero(), g)
        }
    }
}

/// The upper triangle becomes that of the lower one.
fn mirror<T: CudaScalar>(cuda: &Cuda, mut g: MatMut<'_, T, Cuda>) -> Result<()> {
    let n = g.nrows();
    let (shape, order) = (Shape::over(cuda, n.div_ceil(32).pow(2), 1, THREADS), n as i64);
    let (view, name) = (View::of_mut(&mut g), T::kernel(["mirror_f32", "mirror_f64"]));
    // SAFETY: the parameters of the kernel; the view has n rows and columns.
    unsafe { launch(cuda, &cuda.gpu.blas, name, shape, &mut [arg(&view), arg(&order)]) }
}

/// `B ← B op(A)⁻¹`.
pub(super) fn trsm_right<T: CudaScalar>(
    cuda: &Cuda,
    uplo: Uplo,
    op: Op,
    a: MatRef<'_, T, Cuda>,
    b: MatMut<'_, T, Cuda>,
) -> Result<()> {
    trsm_right_within(cuda, LIMITS, uplo, op, a, b)
}

fn trsm_right_within<T: CudaScalar>(
    cuda: &Cuda,
    limits: Limits,
    uplo: Uplo,
    op: Op,
    a: MatRef<'_, T, Cuda>,
    mut b: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (m, n) = b.shape();
    if m == 0 || n == 0 {
        return Ok(());
    }
    let pack_a = limits.operand(a).is_none();
    let pack_b = limits.column_major(&mut b).is_none() && !limits.row_major(&mut b);
    let (rows, _, _) = limits.blocks((m, n, 1), [false, false, pack_b]);
    let mut packed_a = Packed::new(cuda, pack_a, n, n)?;
    let mut packed_b = Packed::new(cuda, pack_b, rows, n)?;
    let triangle = packed_a.operand(cuda, a)?;
    // A row-major triangle is the other triangle of its transpose.
    let stored = match (triangle.op, uplo) {
        (Op::NoTrans, _) => uplo,
        (Op::Trans, Uplo::Lower) => Uplo::Upper,
        (Op::Trans, Uplo::Upper) => Uplo::Lower,
    };
    let triangle = if op == Op::Trans { triangle.transposed() } else { triangle };
    let solve = |mut b: MatMut<'_, T, Cuda>| {
        let rows = b.nrows();
        if let Some(target) = LIMITS.column_major(&mut b) {
            // SAFETY: the views are valid for these sizes.
            return unsafe { T::trsm(cuda, false, stored, (rows, n), triangle, target) };
        }
        // X op(A) = B is op(A)ᵀ Xᵀ = Bᵀ.
        let target = LIMITS.column_major(&mut b.transpose()).expect("row-major");
        // SAFETY: as above.
        unsafe { T::trsm(cuda, true, stored, (n, rows), triangle.transposed(), target) }
    };
    // Rows do not depend on each other.
    for i in ranges(m, rows) {
        let part = b.as_mut().rows(i.clone());
        match packed_b.block((i.len(), n)) {
            None => solve(part)?,
            Some(mut block) => {
                axpby(cuda, T::one(), part.as_ref(), T::zero(), block.as_mut())?;
                solve(block.as_mut())?;
                axpby(cuda, T::one(), block.as_ref(), T::zero(), part)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
