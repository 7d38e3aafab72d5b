//! [`Blas`] on a GPU: `cuda/blas.cu` for what moves data, cuBLAS for what multiplies ([`super::product`]).

use super::launch::{Shape, View, arg, launch};
use super::norms::{column_sums_of_squares, find_non_finite, max_abs, sum_of_squares};
use super::product::{gemm, gemm_batched, gram, trsm_right};
use super::{Cuda, CudaScalar, rows_are_fast};
use crate::device::fit::{fit, fit_distinct, fit_product};
use crate::matrix::{BatchMut, BatchRef};
use crate::{Blas, Device, MatMut, MatRef, Op, Result, Uplo};

/// Threads of a block in `cuda/blas.cu`.
pub(super) const THREADS: u32 = 256;
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

/// `B ← β B`.
pub(super) fn scale<T: CudaScalar>(cuda: &Cuda, beta: T, mut b: MatMut<'_, T, Cuda>) -> Result<()> {
    if b.is_empty() || beta == T::one() {
        return Ok(());
    }
    let b = if rows_are_fast(b.as_ref()) { b.as_mut() } else { b.transpose() };
    // The kernel does not read A, since α = 0.
    let unread = View::of(b.as_ref());
    axpby_along_rows(cuda, T::zero(), unread, true, beta, b)
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
                let _joined =
                    self.join("gemm", &[("A", a.device()), ("B", b.device()), ("C", c.device())])?;
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
                let _joined = self.join(
                    "gemm_batched",
                    &[("A", a.get(0).device()), ("B", b.get(0).device()), ("C", &of_c)],
                )?;
                gemm_batched(self, alpha, a, b, beta, c)
            }

            fn gram(&self, a: MatRef<'_, $t, Self>, g: MatMut<'_, $t, Self>) -> Result<()> {
                fit(g.shape(), (a.ncols(), a.ncols()));
                let _joined = self.join("gram", &[("A", a.device()), ("G", g.device())])?;
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
                let _joined = self.join("trsm_right", &[("A", a.device()), ("B", b.device())])?;
                trsm_right(self, uplo, op, a, b)
            }

            fn scale(&self, beta: $t, b: MatMut<'_, $t, Self>) -> Result<()> {
                let _joined = self.join("scale", &[("B", b.device())])?;
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
                let _joined = self.join("axpby", &[("A", a.device()), ("B", b.device())])?;
                axpby(self, alpha, a, beta, b)
            }

            fn scale_columns(&self, scale: &[$t], b: MatMut<'_, $t, Self>) -> Result<()> {
                assert_eq!(scale.len(), b.ncols(), "a factor a column");
                if b.is_empty() {
                    return Ok(());
                }
                let _joined = self.join("scale_columns", &[("B", b.device())])?;
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
                let _joined = self.join("gather_rows", &[("A", a.device()), ("B", b.device())])?;
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
                let _joined = self.join("scatter_rows", &[("A", a.device()), ("B", b.device())])?;
                move_rows(self, index, true, a, b)
            }

            fn max_abs(&self, a: MatRef<'_, $t, Self>) -> Result<f64> {
                let _joined = self.join("max_abs", &[("A", a.device())])?;
                max_abs(self, a)
            }

            fn sum_of_squares(&self, a: MatRef<'_, $t, Self>, exponent: i32) -> Result<f64> {
                let _joined = self.join("sum_of_squares", &[("A", a.device())])?;
                sum_of_squares(self, a, exponent)
            }

            fn column_sums_of_squares(
                &self,
                a: MatRef<'_, $t, Self>,
                exponent: i32,
                out: &mut [f64],
            ) -> Result<()> {
                assert_eq!(out.len(), a.ncols(), "a sum a column");
                let _joined = self.join("column_sums_of_squares", &[("A", a.device())])?;
                column_sums_of_squares(self, a, exponent, out)
            }

            fn find_non_finite(&self, a: MatRef<'_, $t, Self>) -> Result<Option<(usize, usize)>> {
                let _joined = self.join("find_non_finite", &[("A", a.device())])?;
                find_non_finite(self, a)
            }
        }
    };
}

impl_blas!(f32);
impl_blas!(f64);
