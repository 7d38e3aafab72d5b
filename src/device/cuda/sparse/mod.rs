//! Products with sparse factors on a GPU, by `cuda/sparse.cu`.
//!
//! | file | what |
//! |---|---|
//! | `gather` | a row of C as the sum of rows of a dense B that a list names |
//! | `meet` | the same for sparse B |
//! | `scatter` | S·A for narrow A from the columns of S, which no sort turns |
//! | `search` | stored values, and those that are not finite |
//!
//! As on the CPU, the columns of an operator S are the rows of Sᵀ, and the first two serve all products. A list
//! that is stored by the other index is turned before ([`super::sort`]).

mod gather;
mod meet;
mod scatter;
mod search;

pub(super) use gather::{Gather, panel_bytes, panel_width, times_dense};
pub(super) use meet::times_sparse;
pub(super) use scatter::Scatter;

use super::launch::View;
use super::{Cuda, CudaScalar, dense, norms, rows, sort};
use crate::device::fit::{fit_columns, fit_product, op_shape};
use crate::{Blas, Csr, CsrRef, Mat, MatMut, MatRef, Op, Result, Sketch, SparseKernels};

/// Threads of a block, 32 of a warp.
const THREADS: u32 = 256;
/// Warps that a product is cut into at least, when it is large, entries of a lane that are worth a
/// part of a list, and the most that all parts have.
const WARPS: usize = 1 << 12;
const LEAST_PART: usize = 16;
const MOST_SUMS: usize = 1 << 23;

/// A sparse factor by rows, as kernels take it (`Lists` in `cuda/sparse.cuh`).
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Lists {
    starts: u64,
    index: u64,
    values: u64,
    zeta: u32,
    first: u32,
    rows: u32,
    unused: u32,
}

/// A sparse factor: its lists, shape, the length of its arrays, and whether it holds signs only.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    lists: Lists,
    shape: (usize, usize),
    entries: usize,
    signs: bool,
}

impl Factor {
    /// The length of its arrays.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// Whether it holds signs only.
    pub(super) fn is_signs(&self) -> bool {
        self.signs
    }

    /// A matrix in compressed rows.
    pub(super) fn stored<T: CudaScalar>(x: CsrRef<'_, T, Cuda>) -> Self {
        let address = |pointer: *const u8| pointer.addr() as u64;
        let lists = Lists {
            starts: address(x.row_ptr().cast()),
            index: address(x.col_idx().cast()),
            values: address(x.values().cast()),
            zeta: 0,
            first: 0,
            rows: 0,
            unused: 0,
        };
        Self { lists, shape: x.shape(), entries: x.entries(), signs: false }
    }

    /// Sᵀ for a window of an operator, `words` being those of its columns.
    pub(super) fn signs(s: &Sketch, words: u64) -> Self {
        let (d, m) = s.shape();
        let (first, rows) = (s.row_range().start as u32, d as u32);
        let zeta = s.nnz() as u32;
        let lists = Lists { starts: 0, index: words, values: 0, zeta, first, rows, unused: 0 };
        Self { lists, shape: (m, d), entries: m * s.nnz(), signs: true }
    }
}

/// In how many parts, a power of two, lists are taken, by shapes only: `warps` do the work in one, a lane having
/// `entries` of a list.
fn parts(warps: usize, entries: usize, (rows, cols): (usize, usize)) -> usize {
    1 << (WARPS / warps).min(entries / LEAST_PART).min(MOST_SUMS / (rows * cols)).max(1).ilog2()
}

/// Runs a kernel that leaves sums in parts, `(α, β, C of parts·m rows)`, and joins them in C.
pub(super) fn in_parts<T: CudaScalar>(
    cuda: &Cuda,
    parts: usize,
    alpha: T,
    beta: T,
    mut c: MatMut<'_, T, Cuda>,
    run: impl FnOnce(T, T, View) -> Result<()>,
) -> Result<()> {
    if parts == 1 {
        return run(alpha, beta, View::of_mut(&mut c));
    }
    let (rows, cols) = c.shape();
    let mut sums = Mat::<T, Cuda>::packed(cuda, cols, parts * rows)?;
    let partial = View::of_mut(&mut sums.as_mut().transpose());
    run(T::one(), T::zero(), partial)?;
    dense::join(cuda, alpha, partial, (parts as i64, (rows * cols) as i64), false, beta, c)
}

macro_rules! sparse_kernels {
    ($t:ty) => {
        impl SparseKernels<$t> for Cuda {
            fn stored_values<'a>(&self, x: CsrRef<'a, $t, Self>) -> Result<MatRef<'a, $t, Self>> {
                let _joined = self.join("stored_values", &[("X", x.device())])?;
                search::stored_values(self, x)
            }

            fn find_non_finite_stored(
                &self,
                x: CsrRef<'_, $t, Self>,
            ) -> Result<Option<(usize, usize)>> {
                let _joined = self.join("find_non_finite_stored", &[("X", x.device())])?;
                let found = norms::find_non_finite(self, search::stored_values(self, x)?)?;
                found.map(|(_, place)| search::place_of_non_finite(self, x, place)).transpose()
            }

            fn spmm(
                &self,
                alpha: $t,
                x: CsrRef<'_, $t, Self>,
                op: Op,
                b: MatRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_product(op_shape(op, x.shape()), b.shape(), c.shape());
                let _joined =
                    self.join("spmm", &[("X", x.device()), ("B", b.device()), ("C", c.device())])?;
                if alpha == 0.0 || x.entries() == 0 || b.is_empty() || c.is_empty() {
                    return self.scale(beta, c);
                }
                if op == Op::NoTrans {
                    return times_dense(self, alpha, Factor::stored(x), b, beta, c);
                }
                let turned = sort::transposed(self, x)?;
                times_dense(self, alpha, Factor::stored(turned.as_ref()), b, beta, c)
            }

            fn turned(&self, x: CsrRef<'_, $t, Self>) -> Result<Option<Csr<$t, Self>>> {
                let _joined = self.join("turned", &[("X", x.device())])?;
                if x.entries() == 0 { Ok(None) } else { sort::transposed(self, x).map(Some) }
            }

            fn expand(
                &self,
                x: CsrRef<'_, $t, Self>,
                first: usize,
                mut c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_columns(x.shape(), first, c.shape());
                let _joined = self.join("expand", &[("X", x.device()), ("C", c.device())])?;
                self.scale(0.0, c.as_mut())?;
                if x.entries() == 0 || c.is_empty() {
                    return Ok(());
                }
                rows::expand(self, x, first, c)
            }

            fn spspmm(
                &self,
                alpha: $t,
                x: CsrRef<'_, $t, Self>,
                y: CsrRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_product(x.shape(), y.shape(), c.shape());
                let _joined = self
                    .join("spspmm", &[("X", x.device()), ("Y", y.device()), ("C", c.device())])?;
                times_sparse(self, alpha, Factor::stored(x), Factor::stored(y), beta, c)
            }
        }
    };
}

sparse_kernels!(f32);
sparse_kernels!(f64);
