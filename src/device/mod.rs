//! Where matrices live and what algorithms may ask of that place.
//!
//! [`Device`] is memory: allocate, copy from and to the host. The kernel traits are the whole
//! arithmetic that algorithms use, by area:
//!
//! | trait | kernels |
//! |---|---|
//! | [`Blas`] | products, Gram matrices, triangular solves, scaled copies, norms, gather and scatter |
//! | [`SketchKernels`] | entries of random operators, and their application |
//! | [`TransformKernels`] | mixing by Walsh-Hadamard and cosine transforms, convolutions |
//! | [`SparseKernels`] | products with compressed sparse rows |
//! | [`StorageKernels`], [`HalfKernels`] | copies; operators on matrices stored in `f16` and `bf16` |
//!
//! No kernel reads single elements on behalf of an algorithm, and none is told where its caller
//! runs: a new device is a folder beside [`cpu`] that implements these traits, and every algorithm
//! runs on it unchanged. The traits are open: the tests bring a device of plain loops in `f64`,
//! which is the oracle of the fast ones.
//!
//! # What a kernel may assume
//! Callers fit shapes: a kernel panics when they do not, since it is a safe function and must not
//! touch other memory. Views may have any strides, zero and negative
//! ones included when they are only read. `beta == 0` means that the output is not read (it may
//! hold NaN), `alpha == 0` that the inputs are not read.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod fit;
mod half;
mod memory;
mod workspace;

pub use cpu::Cpu;
#[cfg(feature = "cuda")]
pub use cuda::Cuda;
#[cfg(feature = "cuda")]
pub(crate) use half::by_panels;
pub use half::{HalfKernels, StorageKernels};
pub(crate) use half::{by_columns, like, scaled};
pub use memory::HostBuffer;
pub(crate) use memory::try_vec;
pub(crate) use workspace::Workspace;

use crate::matrix::{BatchMut, BatchRef, CsrRef};
use crate::{Csr, Element, Mat, MatMut, MatRef, Result, Scalar, Sketch};
use core::fmt::Debug;

/// A place where matrices live: a cheap handle, passed by clone.
///
/// Two kinds of device never mix: the type forbids it.
pub trait Device: Clone + Debug + Send + Sync + 'static {
    /// Owned memory of `E`s.
    type Buffer<E: Element>: Send + Sync;

    /// Memory of `len` zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    fn zeroed<E: Element>(&self, len: usize) -> Result<Self::Buffer<E>>;

    /// Memory of `len` elements of unspecified value, for what is written before it is read.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    fn scratch<E: Element>(&self, len: usize) -> Result<Self::Buffer<E>> {
        self.zeroed(len)
    }

    /// The address of the first element, meaningful on this device only.
    fn as_ptr<E: Element>(buffer: &Self::Buffer<E>) -> *const E;

    /// The address of the first element, writable, meaningful on this device only.
    fn as_mut_ptr<E: Element>(buffer: &mut Self::Buffer<E>) -> *mut E;

    /// Copies from the host to the start of `buffer`, which is at least as long.
    fn upload<E: Element>(&self, host: &[E], buffer: &mut Self::Buffer<E>) -> Result<()>;

    /// Copies the start of `buffer` to the host; `buffer` is at least as long as `host`.
    fn download<E: Element>(&self, buffer: &Self::Buffer<E>, host: &mut [E]) -> Result<()>;

    /// Copies elements from an address on this device to the host.
    ///
    /// # Safety
    /// As many elements as `host` has, initialised, begin at `start` in memory of this device.
    unsafe fn download_from<E: Element>(&self, start: *const E, host: &mut [E]) -> Result<()>;

    /// Refuses memory of someone else that cannot be used here, as far as the device can tell; `start`
    /// is given as `argument` to `op`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for memory out of the device's reach,
    /// [`Error::DeviceMismatch`](crate::Error::DeviceMismatch) for memory of another one.
    fn check_memory(
        &self,
        _op: &'static str,
        _argument: &'static str,
        _start: *const (),
    ) -> Result<()> {
        Ok(())
    }

    /// Whether memory of the two handles may be used in one call.
    fn is_compatible(&self, other: &Self) -> bool;

    /// Waits until every call issued so far has finished.
    fn synchronize(&self) -> Result<()>;

    /// The results of `issue`, which calls kernels, and of `host`, which does not and takes about `work` operations:
    /// the host works while the device does.
    fn beside<R: Send, S: Send>(
        &self,
        _work: u64,
        issue: impl FnOnce() -> R + Send,
        host: impl FnOnce() -> S + Send,
    ) -> (R, S) {
        // A device with a stream of its own returns before it has finished.
        (issue(), host())
    }

    /// The results of independent calls, in order; a device that can runs them side by side.
    fn map_batch<R: Send>(&self, batch: usize, call: impl Fn(usize) -> R + Sync) -> Vec<R> {
        (0..batch).map(call).collect()
    }
}

/// Whether an operand enters a product as it is or transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// As it is.
    NoTrans,
    /// Transposed.
    Trans,
}

/// Which triangle of a matrix holds the data; the other is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uplo {
    /// The diagonal and what lies below.
    Lower,
    /// The diagonal and what lies above.
    Upper,
}

/// Dense linear algebra.
pub trait Blas<T: Scalar>: Device {
    /// `C ← α A B + β C`; C (m×n), A (m×k), B (k×n). 2mnk flops.
    fn gemm(
        &self,
        alpha: T,
        a: MatRef<'_, T, Self>,
        b: MatRef<'_, T, Self>,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// [`gemm`](Blas::gemm) of every triple of three batches of equal length.
    fn gemm_batched(
        &self,
        alpha: T,
        a: BatchRef<'_, T, Self>,
        b: BatchRef<'_, T, Self>,
        beta: T,
        c: BatchMut<'_, T, Self>,
    ) -> Result<()>;

    /// `Z ← Aᵀ(A X − B)` and ‖A xⱼ − bⱼ‖² for every column into `sums`; A (m×n), X and Z (n×p), B (m×p), 0 where it
    /// is `None`. 4mnp flops; a device that can reads A once. Synchronises.
    fn normal_times(
        &self,
        a: MatRef<'_, T, Self>,
        x: MatRef<'_, T, Self>,
        b: Option<MatRef<'_, T, Self>>,
        z: MatMut<'_, T, Self>,
        sums: &mut [f64],
    ) -> Result<()> {
        normal_by_products(self, a, x, b, z, sums)
    }

    /// Whether [`normal_times`](Blas::normal_times) for p columns is so much faster on a row-major copy of A that some ten calls pay for
    /// the copy.
    fn normal_times_prefers_rows(&self, _a: &MatRef<'_, T, Self>, _p: usize) -> bool {
        false
    }

    /// `G ← Aᵀ A`, both triangles of the n×n matrix written. mn² flops.
    ///
    /// Sums over rows are taken in chunks of fixed size, joined in fixed order.
    fn gram(&self, a: MatRef<'_, T, Self>, g: MatMut<'_, T, Self>) -> Result<()>;

    /// `B ← B op(A)⁻¹` for the triangle `uplo` of A (n×n), B (m×n). mn² flops.
    fn trsm_right(
        &self,
        uplo: Uplo,
        op: Op,
        a: MatRef<'_, T, Self>,
        b: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// `B ← β B`; zeros when β = 0, whatever B held.
    fn scale(&self, beta: T, b: MatMut<'_, T, Self>) -> Result<()>;

    /// `B ← α A + β B` entry by entry, for any strides: a copy (α = 1, β = 0), a transposition, a
    /// sum. A and B do not overlap.
    fn axpby(
        &self,
        alpha: T,
        a: MatRef<'_, T, Self>,
        beta: T,
        b: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// `B[:, j] ← scale[j] · B[:, j]`, the factors on the host.
    fn scale_columns(&self, scale: &[T], b: MatMut<'_, T, Self>) -> Result<()>;

    /// `B[i, :] ← A[index[i], :]`: gathers rows; columns by transposed views.
    fn gather_rows(
        &self,
        index: &[usize],
        a: MatRef<'_, T, Self>,
        b: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// `B[index[i], :] ← A[i, :]`: scatters rows; the indices are distinct.
    fn scatter_rows(
        &self,
        index: &[usize],
        a: MatRef<'_, T, Self>,
        b: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// The largest |a_ij|, NaN if there is a NaN, 0 for an empty matrix. Synchronises.
    fn max_abs(&self, a: MatRef<'_, T, Self>) -> Result<f64>;

    /// Σ (2^exponent · a_ij)², summed in `f64` over chunks of fixed size. Synchronises.
    ///
    /// The power of two keeps the squares of extreme scales inside the range.
    fn sum_of_squares(&self, a: MatRef<'_, T, Self>, exponent: i32) -> Result<f64>;

    /// Σᵢ (2^exponent · a_ij)² for every column j, into `out` of n entries. Synchronises.
    fn column_sums_of_squares(
        &self,
        a: MatRef<'_, T, Self>,
        exponent: i32,
        out: &mut [f64],
    ) -> Result<()>;

    /// The first entry in row order that is not finite. Synchronises.
    fn find_non_finite(&self, a: MatRef<'_, T, Self>) -> Result<Option<(usize, usize)>>;
}

/// [`Blas::normal_times`] by two products.
pub(crate) fn normal_by_products<T: Scalar, D: Blas<T>>(
    device: &D,
    a: MatRef<'_, T, D>,
    x: MatRef<'_, T, D>,
    b: Option<MatRef<'_, T, D>>,
    z: MatMut<'_, T, D>,
    sums: &mut [f64],
) -> Result<()> {
    let mut image = Mat::scratch(device, a.nrows(), x.ncols())?;
    device.gemm(T::one(), a, x, T::zero(), image.as_mut())?;
    if let Some(b) = b {
        device.axpby(-T::one(), b, T::one(), image.as_mut())?;
    }
    device.column_sums_of_squares(image.as_ref(), 0, sums)?;
    device.gemm(T::one(), a.transpose(), image.as_ref(), T::zero(), z)
}

/// Random operators: their entries and their application. `s` is always the window that
/// [`Sketch::rows`] and [`Sketch::columns`] left, d×m below.
pub trait SketchKernels<T: Scalar>: Device {
    /// The positions of a sparse operator's entries, on the device.
    type Indices: Send + Sync;

    /// `B ← α S` for a dense family (Gaussian, Rademacher, Uniform), any strides.
    fn fill(&self, s: &Sketch, alpha: T, b: MatMut<'_, T, Self>) -> Result<()>;

    /// How many entries of a dense operator are generated at once ahead of a product.
    ///
    /// A constant of the model of the device: it decides where sums are cut, so it must not depend on the
    /// number of threads.
    fn panel_len(&self) -> usize;

    /// How many columns the fused kernel [`fill_times`](SketchKernels::fill_times) serves better
    /// than panels next to [`Blas::gemm`].
    fn fused_columns(&self) -> usize;

    /// `C ← α S A + β C` (op = NoTrans, A m×n) or `C ← α Sᵀ A + β C` (op = Trans, A d×n) for a
    /// dense family and few columns, entries consumed as they are generated.
    fn fill_times(
        &self,
        s: &Sketch,
        op: Op,
        alpha: T,
        a: MatRef<'_, T, Self>,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// The positions and signs of the columns of a column-sparse family (SparseSign,
    /// SparseStack, CountSketch, BlockPerm-SJLT).
    fn indices(&self, s: &Sketch) -> Result<Self::Indices>;

    /// A copy of the positions on the host: ζ a column, each `row << 1 | negative`, rows counted in
    /// the whole operator.
    fn download_indices(&self, indices: &Self::Indices) -> Result<Vec<u32>>;

    /// Adds to `indices` what [`sparse_times`](SketchKernels::sparse_times) of the window `s` finds
    /// anew at each call, for operators that are kept. Changes no bit of a result.
    fn keep_indices(&self, _s: &Sketch, _indices: &mut Self::Indices) -> Result<()> {
        Ok(())
    }

    /// How many columns of a column-sparse operator are indexed at once.
    fn index_chunk(&self, s: &Sketch) -> usize;

    /// `C ← α S A + β C` (NoTrans) or `C ← α Sᵀ A + β C` (Trans) for a column-sparse family, where
    /// `indices` are those of `s` or of an operator of which `s` is a window.
    #[allow(clippy::too_many_arguments)]
    fn sparse_times(
        &self,
        s: &Sketch,
        indices: &Self::Indices,
        op: Op,
        alpha: T,
        a: MatRef<'_, T, Self>,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// Whether [`block_perm_times`](SketchKernels::block_perm_times) makes the positions of its operator where
    /// it uses them. Where it does not, callers keep them, chunk by chunk, for
    /// [`sparse_times`](SketchKernels::sparse_times).
    fn makes_positions(&self) -> bool {
        false
    }

    /// `C ← α S A + β C` for a BlockPerm-SJLT and nothing kept.
    fn block_perm_times(
        &self,
        s: &Sketch,
        alpha: T,
        a: MatRef<'_, T, Self>,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        self.sparse_times(s, &self.indices(s)?, Op::NoTrans, alpha, a, beta, c)
    }

    /// `C ← α op(S) op(X) + β C` for a column-sparse family and X in compressed sparse rows, where
    /// `indices` are as in [`sparse_times`](SketchKernels::sparse_times). A matrix in compressed
    /// columns is Xᵀ.
    #[allow(clippy::too_many_arguments)]
    fn sparse_times_csr(
        &self,
        s: &Sketch,
        indices: &Self::Indices,
        op: Op,
        alpha: T,
        x: CsrRef<'_, T, Self>,
        op_x: Op,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// op(S) of a sparse family (column-sparse, LASO, row sampling) in compressed sparse rows, of
    /// fewer than 2³² columns, rows by increasing column; the scale is in the values.
    fn compressed(&self, s: &Sketch, op: Op) -> Result<Csr<T, Self>>;
}

/// Fast transforms.
pub trait TransformKernels<T: Scalar>: Device {
    /// Each column x of A becomes H x without normalisation: H the Walsh-Hadamard matrix of ±1
    /// of order n = rows, a power of two. n log₂ n additions a column.
    fn fwht(&self, a: MatMut<'_, T, Self>) -> Result<()>;

    /// Each column becomes its orthonormal DCT-II (`Op::NoTrans`) or the inverse of it, DCT-III
    /// (`Op::Trans`), any length.
    fn dct(&self, op: Op, a: MatMut<'_, T, Self>) -> Result<()>;

    /// `C ← α A₁ ∗ A₂ ∗ … + β C`, column by column: circular convolutions,
    /// (a ∗ b)ᵢ = Σⱼ aⱼ b₍ᵢ₋ⱼ₎ mod d, of columns of any length d. One factor at least, each of the
    /// shape of C. Some 5 (q + 1) d log₂ d flops a column for q factors.
    fn convolve(
        &self,
        alpha: T,
        factors: &[MatRef<'_, T, Self>],
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// `C ← α S A + β C` (NoTrans) or `C ← α Sᵀ A + β C` (Trans) for a subsampled transform
    /// (SRHT, SRCT, Hadamard-diagonal): sign, pad, mix and sample in one sweep.
    fn mix_times(
        &self,
        s: &Sketch,
        op: Op,
        alpha: T,
        a: MatRef<'_, T, Self>,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()>;
}

/// Products with a matrix in compressed sparse rows.
pub trait SparseKernels<T: Scalar>: Device {
    /// The values of the stored entries in their order, as one row: what norms are taken of.
    /// Synchronises, since only the device knows where a window of rows starts and ends.
    fn stored_values<'a>(&self, x: CsrRef<'a, T, Self>) -> Result<MatRef<'a, T, Self>>;

    /// The first stored entry in row order that is not finite; within its row the one with the
    /// smallest column, in whatever order the row is stored. Synchronises.
    fn find_non_finite_stored(&self, x: CsrRef<'_, T, Self>) -> Result<Option<(usize, usize)>>;

    /// `C ← α X B + β C` (NoTrans) or `C ← α Xᵀ B + β C` (Trans), X sparse, B and C dense.
    fn spmm(
        &self,
        alpha: T,
        x: CsrRef<'_, T, Self>,
        op: Op,
        b: MatRef<'_, T, Self>,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// Xᵀ in compressed sparse rows, where [`spmm`](SparseKernels::spmm) with `Op::Trans` begins by making
    /// it: who multiplies more than once makes it himself, for products with Xᵀ and for sketches of X from the
    /// left. `None` where X serves as it is.
    fn turned(&self, _x: CsrRef<'_, T, Self>) -> Result<Option<Csr<T, Self>>> {
        Ok(None)
    }

    /// `C ← X[:, first..]`, as many columns as C has, dense.
    fn expand(&self, x: CsrRef<'_, T, Self>, first: usize, c: MatMut<'_, T, Self>) -> Result<()>;

    /// `C ← α X Y + β C`, X and Y sparse, C dense.
    fn spspmm(
        &self,
        alpha: T,
        x: CsrRef<'_, T, Self>,
        y: CsrRef<'_, T, Self>,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()>;
}

/// Every kernel: what an algorithm over scalars `T` asks of a device.
pub trait Backend<T: Scalar>:
    Blas<T> + SketchKernels<T> + TransformKernels<T> + SparseKernels<T>
{
}

impl<T: Scalar, D> Backend<T> for D where
    D: Blas<T> + SketchKernels<T> + TransformKernels<T> + SparseKernels<T>
{
}
