//! [`Blas`] on a GPU: `cuda/blas.cu` for what moves data, cuBLAS for what multiplies.
//!
//! cuBLAS takes matrices with one unit stride. Others are packed, panel by panel along the inner
//! dimension, so that the extra memory stays below [`PANEL_LEN`] entries a factor.

use super::cublas::Operand;
use super::launch::{Shape, View, arg, launch};
use super::norms::{column_sums_of_squares, find_non_finite, max_abs, sum_of_squares};
use super::{Cuda, CudaScalar, rows_are_fast};
use crate::device::fit::{fit, fit_distinct, fit_product};
use crate::matrix::{BatchMut, BatchRef};
use crate::{Blas, Device, Mat, MatMut, MatRef, Op, Result, Storage, Uplo};

/// Threads of a block in `cuda/blas.cu`.
pub(super) const THREADS: u32 = 256;
/// Entries of a packed panel: 64 MiB of f32.
const PANEL_LEN: usize = 1 << 24;
/// Blocks in the second direction of a grid, at most.
const MOST_LINES: usize = 1 << 15;

/// A grid for rows×cols entries, rows fast, and the logarithm of the threads along the rows.
pub(super) fn grid(cuda: &Cuda, rows: usize, cols: usize) -> (Shape, u32) {
    let row_bits = rows.next_power_of_two().trailing_zeros().min(THREADS.trailing_zeros());
    let (across, lines) = (1usize << row_bits, (THREADS >> row_bits) as usize);
    let most = cuda.context().processors * 64;
    let x = rows.div_ceil(across).clamp(1, most);
    let y = cols.div_ceil(lines).clamp(1, (most / x).clamp(1, MOST_LINES));
    (Shape { grid: (x as u32, y as u32), block: THREADS, shared: 0 }, row_bits)
}

/// A matrix as cuBLAS takes it, if it has a unit stride.
pub(super) fn operand<T: Storage>(a: MatRef<'_, T, Cuda>) -> Option<Operand<T>> {
    let ((rows, cols), (rs, cs)) = (a.shape(), (a.row_stride(), a.col_stride()));
    let fits = |stride: isize, len: usize| stride >= len.max(1) as isize;
    let (ld, op) = if (rs == 1 || rows <= 1) && (fits(cs, rows) || cols <= 1) {
        (if cols <= 1 { rows.max(1) } else { cs as usize }, Op::NoTrans)
    } else if (cs == 1 || cols <= 1) && (fits(rs, cols) || rows <= 1) {
        (if rows <= 1 { cols.max(1) } else { rs as usize }, Op::Trans)
    } else {
        return None;
    };
    Some(Operand { ptr: a.as_ptr(), ld, op, step: 0 })
}

impl<T> Operand<T> {
    pub(super) fn transposed(self) -> Self {
        let op = if self.op == Op::NoTrans { Op::Trans } else { Op::NoTrans };
        Self { op, ..self }
    }
}

/// The address and leading dimension of a column-major output, if it is one.
pub(super) fn column_major<T: Storage>(c: &mut MatMut<'_, T, Cuda>) -> Option<(*mut T, usize)> {
    match operand(c.as_ref())? {
        Operand { op: Op::NoTrans, ld, .. } => Some((c.as_mut_ptr(), ld)),
        _ => None,
    }
}

/// `B ← α A + β B`.
pub(super) fn axpby<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    a: MatRef<'_, T, Cuda>,
    beta: T,
    b: MatMut<'_, T, Cuda>,
) -> Result<()> {
    if b.is_empty() {
        return Ok(());
    }
    if alpha == T::zero() {
        return scale(cuda, beta, b);
    }
    let (a, b) = match rows_are_fast(b.as_ref()) {
        true => (a, b),
        false => (a.transpose(), b.transpose()),
    };
    axpby_along_rows(cuda, alpha, View::of(a), rows_are_fast(a), beta, b)
}

/// `B ← α A + β B`, B fast along its rows.
fn axpby_along_rows<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    a: View,
    a_rows_fast: bool,
    beta: T,
    mut b: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (rows, cols) = b.shape();
    let (b, m, n) = (View::of_mut(&mut b), rows as i64, cols as i64);
    if a_rows_fast || rows.min(cols) == 1 {
        let (shape, row_bits) = grid(cuda, rows, cols);
        let name = T::kernel(["axpby_f32", "axpby_f64"]);
        let arguments =
            &mut [arg(&alpha), arg(&a), arg(&beta), arg(&b), arg(&m), arg(&n), arg(&row_bits)];
        // SAFETY: the parameters of the kernel; callers pass views of matrices of this shape.
        unsafe { launch(cuda, &cuda.gpu.blas, name, shape, arguments) }
    } else {
        let shape = Shape::over(cuda, rows.div_ceil(32) * cols.div_ceil(32), 1, THREADS);
        let name = T::kernel(["transpose_f32", "transpose_f64"]);
        let arguments = &mut [arg(&alpha), arg(&a), arg(&beta), arg(&b), arg(&m), arg(&n)];
        // SAFETY: as above.
        unsafe { launch(cuda, &cuda.gpu.blas, name, shape, arguments) }
    }
}

fn scale<T: CudaScalar>(cuda: &Cuda, beta: T, mut b: MatMut<'_, T, Cuda>) -> Result<()> {
    if b.is_empty() || beta == T::one() {
        return Ok(());
    }
    let b = if rows_are_fast(b.as_ref()) { b.as_mut() } else { b.transpose() };
    // The kernel does not read A, since α = 0.
    let unread = View::of(b.as_ref());
    axpby_along_rows(cuda, T::zero(), unread, true, beta, b)
}

/// A packed copy with unit row stride.
fn packed<T: CudaScalar>(cuda: &Cuda, a: MatRef<'_, T, Cuda>) -> Result<Mat<T, Cuda>> {
    let mut copy = Mat::packed(cuda, a.nrows(), a.ncols())?;
    axpby(cuda, T::one(), a, T::zero(), copy.as_mut())?;
    Ok(copy)
}

fn gemm<T: CudaScalar>(
    cuda: &Cuda,
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
    let Some((ptr, ldc)) = column_major(&mut c) else {
        let mut turned = c.as_mut().transpose();
        if column_major(&mut turned).is_some() {
            return gemm(cuda, alpha, b.transpose(), a.transpose(), beta, turned);
        }
        let mut product = Mat::packed(cuda, m, n)?;
        gemm(cuda, alpha, a, b, T::zero(), product.as_mut())?;
        return axpby(cuda, T::one(), product.as_ref(), beta, c);
    };
    if let (Some(a), Some(b)) = (operand(a), operand(b)) {
        // SAFETY: the views are valid for these sizes.
        return unsafe { T::gemm(cuda, (m, n, k), alpha, a, b, beta, (ptr, ldc, 0), 1) };
    }
    let width = (PANEL_LEN / m.max(n)).clamp(1, k);
    for start in (0..k).step_by(width) {
        let inner = start..k.min(start + width);
        let (pa, pb) =
            (packed(cuda, a.columns(inner.clone()))?, packed(cuda, b.rows(inner.clone()))?);
        let beta = if start == 0 { beta } else { T::one() };
        let of = |p: &Mat<T, Cuda>| operand(p.as_ref()).expect("packed");
        let sizes = (m, n, inner.len());
        // SAFETY: as above.
        unsafe { T::gemm(cuda, sizes, alpha, of(&pa), of(&pb), beta, (ptr, ldc, 0), 1)? };
    }
    Ok(())
}

fn gemm_batched<T: CudaScalar>(
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
    let mut first = c.first();
    let turned = column_major(&mut first).is_none();
    let mut output = if turned { first.as_mut().transpose() } else { first.as_mut() };
    let operands = (operand(a.get(0)), operand(b.get(0)), column_major(&mut output));
    if let (Some(oa), Some(ob), Some((ptr, ldc))) = operands
        && k > 0
        && alpha != T::zero()
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

fn gram<T: CudaScalar>(
    cuda: &Cuda,
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
    let Some(columns) = operand(a) else { return gram(cuda, packed(cuda, a)?.as_ref(), g) };
    if column_major(&mut g).is_none() {
        let mut turned = g.as_mut().transpose();
        if column_major(&mut turned).is_some() {
            return gram(cuda, a, turned);
        }
        let mut product = Mat::packed(cuda, n, n)?;
        gram(cuda, a, product.as_mut())?;
        return axpby(cuda, T::one(), product.as_ref(), T::zero(), g);
    }
    let target = column_major(&mut g).expect("checked above");
    // SAFETY: the views are valid for these sizes.
    unsafe { T::syrk(cuda, (n, m), columns.transposed(), target)? };
    let tiles = n.div_ceil(32) * n.div_ceil(32);
    let (shape, order) = (Shape::over(cuda, tiles, 1, THREADS), n as i64);
    let view = View::of_mut(&mut g);
    let name = T::kernel(["mirror_f32", "mirror_f64"]);
    // SAFETY: the parameters of the kernel; the view has n rows and columns.
    unsafe { launch(cuda, &cuda.gpu.blas, name, shape, &mut [arg(&view), arg(&order)]) }
}

fn trsm_right<T: CudaScalar>(
    cuda: &Cuda,
    uplo: Uplo,
    op: Op,
    a: MatRef<'_, T, Cuda>,
    mut b: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (m, n) = b.shape();
    if m == 0 || n == 0 {
        return Ok(());
    }
    let Some(triangle) = operand(a) else {
        return trsm_right(cuda, uplo, op, packed(cuda, a)?.as_ref(), b);
    };
    // A row-major triangle is the other triangle of its transpose.
    let stored = match (triangle.op, uplo) {
        (Op::NoTrans, _) => uplo,
        (Op::Trans, Uplo::Lower) => Uplo::Upper,
        (Op::Trans, Uplo::Upper) => Uplo::Lower,
    };
    let triangle = if op == Op::Trans { triangle.transposed() } else { triangle };
    if let Some(target) = column_major(&mut b) {
        // SAFETY: the views are valid for these sizes.
        return unsafe { T::trsm(cuda, false, stored, (m, n), triangle, target) };
    }
    let mut turned = b.as_mut().transpose();
    if let Some(target) = column_major(&mut turned) {
        // X op(A) = B is op(A)ᵀ Xᵀ = Bᵀ.
        // SAFETY: as above.
        return unsafe { T::trsm(cuda, true, stored, (n, m), triangle.transposed(), target) };
    }
    let mut copy = packed(cuda, b.as_ref())?;
    trsm_right(cuda, uplo, op, a, copy.as_mut())?;
    axpby(cuda, T::one(), copy.as_ref(), T::zero(), b)
}

fn move_rows<T: CudaScalar>(
    cuda: &Cuda,
    index: &[usize],
    scatter: bool,
    a: MatRef<'_, T, Cuda>,
    mut b: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let cols = a.ncols();
    if index.is_empty() || cols == 0 {
        return Ok(());
    }
    let host: Vec<u64> = index.iter().map(|&i| i as u64).collect();
    let mut places = cuda.scratch::<u64>(host.len())?;
    cuda.upload(&host, &mut places)?;
    let along_rows = u32::from(rows_are_fast(b.as_ref()));
    let (fast, slow) = if along_rows == 1 { (host.len(), cols) } else { (cols, host.len()) };
    let (shape, fast_bits) = grid(cuda, fast, slow);
    let (m, n, scatter) = (host.len() as i64, cols as i64, u32::from(scatter));
    let (places, a, b) = (places.start(), View::of(a), View::of_mut(&mut b));
    let name = T::kernel(["move_rows_f32", "move_rows_f64"]);
    let arguments = &mut [
        arg(&places),
        arg(&scatter),
        arg(&a),
        arg(&b),
        arg(&m),
        arg(&n),
        arg(&along_rows),
        arg(&fast_bits),
    ];
    // SAFETY: the parameters of the kernel; the indices are rows of the longer matrix.
    unsafe { launch(cuda, &cuda.gpu.blas, name, shape, arguments) }
}

macro_rules! impl_blas {
    ($t:ty) => {
        impl Blas<$t> for Cuda {
            fn gemm(
                &self,
                alpha: $t,
                a: MatRef<'_, $t, Self>,
                b: MatRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_product(a.shape(), b.shape(), c.shape());
                let _joined = self.join(&[a.device(), b.device(), c.device()])?;
                gemm(self, alpha, a, b, beta, c)
            }

            fn gemm_batched(
                &self,
                alpha: $t,
                a: BatchRef<'_, $t, Self>,
                b: BatchRef<'_, $t, Self>,
                beta: $t,
                mut c: BatchMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_product(a.shape(), b.shape(), c.shape());
                assert!(a.len() == c.len() && b.len() == c.len(), "batches of different lengths");
                if c.is_empty() {
                    return Ok(());
                }
                let of_c = c.first().device().clone();
                let _joined = self.join(&[a.get(0).device(), b.get(0).device(), &of_c])?;
                gemm_batched(self, alpha, a, b, beta, c)
            }

            fn gram(&self, a: MatRef<'_, $t, Self>, g: MatMut<'_, $t, Self>) -> Result<()> {
                fit(g.shape(), (a.ncols(), a.ncols()));
                let _joined = self.join(&[a.device(), g.device()])?;
                gram(self, a, g)
            }

            fn trsm_right(
                &self,
                uplo: Uplo,
                op: Op,
                a: MatRef<'_, $t, Self>,
                b: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit(a.shape(), (b.ncols(), b.ncols()));
                let _joined = self.join(&[a.device(), b.device()])?;
                trsm_right(self, uplo, op, a, b)
            }

            fn scale(&self, beta: $t, b: MatMut<'_, $t, Self>) -> Result<()> {
                let _joined = self.join(&[b.device()])?;
                scale(self, beta, b)
            }

            fn axpby(
                &self,
                alpha: $t,
                a: MatRef<'_, $t, Self>,
                beta: $t,
                b: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit(a.shape(), b.shape());
                let _joined = self.join(&[a.device(), b.device()])?;
                axpby(self, alpha, a, beta, b)
            }

            fn scale_columns(&self, scale: &[$t], b: MatMut<'_, $t, Self>) -> Result<()> {
                assert_eq!(scale.len(), b.ncols(), "a factor a column");
                if b.is_empty() {
                    return Ok(());
                }
                let _joined = self.join(&[b.device()])?;
                let mut factors = self.scratch::<$t>(scale.len())?;
                self.upload(scale, &mut factors)?;
                let by_rows = u32::from(!rows_are_fast(b.as_ref()));
                let mut b = if by_rows == 1 { b.transpose() } else { b };
                let ((shape, row_bits), (m, n)) =
                    (grid(self, b.nrows(), b.ncols()), (b.nrows() as i64, b.ncols() as i64));
                let (factors, view) = (factors.start(), View::of_mut(&mut b));
                let name = <$t>::kernel(["scale_by_f32", "scale_by_f64"]);
                let arguments = &mut [
                    arg(&factors),
                    arg(&by_rows),
                    arg(&view),
                    arg(&m),
                    arg(&n),
                    arg(&row_bits),
                ];
                // SAFETY: the parameters of the kernel; the view has m×n entries.
                unsafe { launch(self, &self.gpu.blas, name, shape, arguments) }
            }

            fn gather_rows(
                &self,
                index: &[usize],
                a: MatRef<'_, $t, Self>,
                b: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit(b.shape(), (index.len(), a.ncols()));
                assert!(index.iter().all(|&i| i < a.nrows()), "a row beyond {}", a.nrows());
                let _joined = self.join(&[a.device(), b.device()])?;
                move_rows(self, index, false, a, b)
            }

            fn scatter_rows(
                &self,
                index: &[usize],
                a: MatRef<'_, $t, Self>,
                b: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit(a.shape(), (index.len(), b.ncols()));
                assert!(index.iter().all(|&i| i < b.nrows()), "a row beyond {}", b.nrows());
                fit_distinct(index, b.nrows());
                let _joined = self.join(&[a.device(), b.device()])?;
                move_rows(self, index, true, a, b)
            }

            fn max_abs(&self, a: MatRef<'_, $t, Self>) -> Result<f64> {
                let _joined = self.join(&[a.device()])?;
                max_abs(self, a)
            }

            fn sum_of_squares(&self, a: MatRef<'_, $t, Self>, exponent: i32) -> Result<f64> {
                let _joined = self.join(&[a.device()])?;
                sum_of_squares(self, a, exponent)
            }

            fn column_sums_of_squares(
                &self,
                a: MatRef<'_, $t, Self>,
                exponent: i32,
                out: &mut [f64],
            ) -> Result<()> {
                assert_eq!(out.len(), a.ncols(), "a sum a column");
                let _joined = self.join(&[a.device()])?;
                column_sums_of_squares(self, a, exponent, out)
            }

            fn find_non_finite(&self, a: MatRef<'_, $t, Self>) -> Result<Option<(usize, usize)>> {
                let _joined = self.join(&[a.device()])?;
                find_non_finite(self, a)
            }
        }
    };
}

impl_blas!(f32);
impl_blas!(f64);
