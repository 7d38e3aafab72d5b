//! [`Blas`] on a GPU: `cuda/blas.cu` for what moves data, cuBLAS for what multiplies ([`super::product`]).

use super::launch::{Shape, View, arg, launch};
use super::norms::{column_sums_of_squares, find_non_finite, max_abs, sum_of_squares};
use super::product::{gemm, gemm_batched, gram, trsm_right};
use super::{Cuda, CudaScalar, rows_are_fast};
use crate::device::fit::{fit, fit_distinct, fit_product};
use crate::device::normal_by_products;
use crate::matrix::{BatchMut, BatchRef};
use crate::{Blas, Device, MatMut, MatRef, Op, Result, Storage, Uplo};

/// Threads of a block in `cuda/stream.cuh`.
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

/// How `cuda/stream.cuh` takes a matrix, rows fast: the grid, and the logarithm of the items of a tile along
/// the rows; zero for items of one entry, else one more than the rows before the first of 16 bytes.
pub(super) struct Tiles {
    pub(super) shape: Shape,
    pub(super) bits: u32,
    pub(super) vector: u32,
}

/// Items of a tile: four a thread.
const TILE: usize = 4 * THREADS as usize;

impl Tiles {
    /// For entries of `T` with so many rows before the first aligned one, in at most so many blocks.
    pub(super) fn new<T>((rows, cols): (usize, usize), head: Option<usize>, blocks: usize) -> Self {
        let count = VECTOR / size_of::<T>();
        let (items, vector) = match head {
            Some(head) if rows >= head + count => ((rows - head) / count, 1 + head as u32),
            _ => (rows, 0),
        };
        let bits = if items > TILE / 2 { TILE.ilog2() } else { log2_ceil(items).min(8) };
        let x = items.div_ceil(1 << bits).clamp(1, blocks);
        let y = cols.div_ceil(TILE >> bits).clamp(1, (blocks / x).clamp(1, MOST_LINES));
        let shape = Shape { grid: (x as u32, y as u32), block: THREADS, shared: 0 };
        Self { shape, bits, vector }
    }

    /// In as many blocks as are useful where they need not meet.
    fn many<T>(cuda: &Cuda, shape: (usize, usize), head: Option<usize>) -> Self {
        Self::new::<T>(shape, head, cuda.context().processors * 64)
    }
}

/// ⌈log₂ n⌉ of n ≥ 1.
pub(super) fn log2_ceil(n: usize) -> u32 {
    n.next_power_of_two().trailing_zeros()
}

/// Bytes that a thread moves at once.
pub(super) const VECTOR: usize = 16;

/// The entries of every column before the first that may be moved by 16 bytes, if columns are alike; where
/// they are `packed`, of the one column that they are.
pub(super) fn head<T: Storage>(a: MatRef<'_, T, Cuda>, packed: bool) -> Option<usize> {
    let bytes = a.col_stride() * size_of::<T>() as isize;
    let alike = packed || a.ncols() <= 1 || bytes % VECTOR as isize == 0;
    let before = a.as_ptr().addr().wrapping_neg() % VECTOR;
    (a.row_stride() == 1 && alike).then_some(before / size_of::<T>())
}

/// The same for two matrices that are moved together.
fn common_head<T: Storage>(
    a: MatRef<'_, T, Cuda>,
    b: MatRef<'_, T, Cuda>,
    packed: bool,
) -> Option<usize> {
    head(a, packed).filter(|before| head(b, packed) == Some(*before))
}

/// Whether columns may be moved by 16 bytes from the first entry on.
pub(super) fn is_aligned<T: Storage>(a: MatRef<'_, T, Cuda>) -> bool {
    head(a, false) == Some(0)
}

/// Whether the columns follow one another without a gap, so that they are one long column.
pub(super) fn is_packed<T: Storage>(a: MatRef<'_, T, Cuda>) -> bool {
    let next = a.ncols() <= 1 || a.col_stride().unsigned_abs() == a.nrows();
    a.row_stride() == 1 && a.col_stride() >= 0 && next
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
    let (rows, cols) = b.shape();
    if rows_are_fast(a) || rows.min(cols) == 1 {
        let packed = is_packed(a) && is_packed(b.as_ref());
        let head = common_head(a, b.as_ref(), packed);
        return axpby_along_rows(cuda, alpha, View::of(a), (head, packed), beta, b);
    }
    let (mut b, m, n) = (b, rows as i64, cols as i64);
    let (a, b) = (View::of(a), View::of_mut(&mut b));
    let shape = Shape::over(cuda, rows.div_ceil(32) * cols.div_ceil(32), 1, THREADS);
    let name = T::kernel(["transpose_f32", "transpose_f64"]);
    let arguments = &mut [arg(&alpha), arg(&a), arg(&beta), arg(&b), arg(&m), arg(&n)];
    // SAFETY: the parameters of the kernel; both views have m×n entries.
    unsafe { launch(cuda, &cuda.gpu.blas, name, shape, arguments) }
}

/// `B ← α A + β B`, both fast along their rows; their head, and whether both are packed.
fn axpby_along_rows<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    a: View,
    (head, packed): (Option<usize>, bool),
    beta: T,
    mut b: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (rows, cols) = b.shape();
    let (rows, cols) = if packed { (rows * cols, 1) } else { (rows, cols) };
    let Tiles { shape, bits, vector } = Tiles::many::<T>(cuda, (rows, cols), head);
    let (b, m, n) = (View::of_mut(&mut b), rows as i64, cols as i64);
    let name = T::kernel(["axpby_f32", "axpby_f64"]);
    let arguments = &mut [
        arg(&alpha),
        arg(&a),
        arg(&beta),
        arg(&b),
        arg(&m),
        arg(&n),
        arg(&bits),
        arg(&vector),
    ];
    // SAFETY: the parameters of the kernel; callers pass views of matrices of this shape.
    unsafe { launch(cuda, &cuda.gpu.blas, name, shape, arguments) }
}

/// `B ← β B`.
pub(super) fn scale<T: CudaScalar>(cuda: &Cuda, beta: T, mut b: MatMut<'_, T, Cuda>) -> Result<()> {
    if b.is_empty() || beta == T::one() {
        return Ok(());
    }
    let b = if rows_are_fast(b.as_ref()) { b.as_mut() } else { b.transpose() };
    // The kernel does not read A, since α = 0.
    let (unread, packed) = (View::of(b.as_ref()), is_packed(b.as_ref()));
    let head = head(b.as_ref(), packed);
    axpby_along_rows(cuda, T::zero(), unread, (head, packed), beta, b)
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
    // The rows of an index do not lie side by side.
    let head = common_head(a.transpose(), b.as_ref().transpose(), false);
    let head = head.filter(|_| along_rows == 0);
    let Tiles { shape, bits, vector } = Tiles::many::<T>(cuda, (fast, slow), head);
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
        arg(&bits),
        arg(&vector),
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

            fn normal_times(
                &self,
                a: MatRef<'_, $t, Self>,
                x: MatRef<'_, $t, Self>,
                b: Option<MatRef<'_, $t, Self>>,
                z: MatMut<'_, $t, Self>,
                sums: &mut [f64],
            ) -> Result<()> {
                fit(x.shape(), (a.ncols(), sums.len()));
                fit(z.shape(), x.shape());
                if let Some(b) = &b {
                    fit(b.shape(), (a.nrows(), x.ncols()));
                }
                self.refuse_capture("normal_times", "a result on the host")?;
                normal_by_products(self, a, x, b, z, sums)
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
                // Where factors go by rows, they are aligned from the first on.
                let head = head(b.as_ref(), false).filter(|&head| by_rows == 0 || head == 0);
                let Tiles { shape, bits, vector } = Tiles::many::<$t>(self, b.shape(), head);
                let (m, n) = (b.nrows() as i64, b.ncols() as i64);
                let (factors, view) = (factors.start(), View::of_mut(&mut b));
                let name = <$t>::kernel(["scale_by_f32", "scale_by_f64"]);
                let arguments = &mut [
                    arg(&factors),
                    arg(&by_rows),
                    arg(&view),
                    arg(&m),
                    arg(&n),
                    arg(&bits),
                    arg(&vector),
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
