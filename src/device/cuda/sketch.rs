//! The operator kernels of a GPU.

use super::launch::{Shape, arg, launch};
use super::sparse::{Factor, times_dense, times_sparse};
use super::{Cuda, CudaBuffer, dense, sort};
use crate::device::fit::{fit, fit_family, fit_product, op_shape};
use crate::random::{LINEAR_SEARCH, Stream};
use crate::{Blas, CsrRef, Device, Family, MatMut, MatRef, Op, Result, Sketch, SketchKernels};

/// Threads of a block in `cuda/sparse.cu`.
const THREADS: u32 = 256;
/// The positions that are held at once: 16 MiB, and 150 MiB while they are sorted.
const CHUNK: usize = 1 << 22;

/// The positions of a column-sparse operator's entries on a GPU: ζ a column, `row << 1 | negative`.
#[derive(Debug)]
pub struct Indices {
    of: Sketch,
    words: CudaBuffer<u32>,
    len: usize,
    cuda: Cuda,
}

impl Indices {
    /// The address of the words of the columns of a window of the operator.
    #[track_caller]
    fn window(&self, s: &Sketch) -> u64 {
        let whole = |s: &Sketch| (s.family(), s.full_shape(), s.nnz(), s.seed());
        let (cols, held) = (s.col_range(), self.of.col_range());
        assert!(
            whole(s) == whole(&self.of) && held.start <= cols.start && cols.end <= held.end,
            "indices of another operator"
        );
        let skipped = if self.len == 0 { 0 } else { (cols.start - held.start) * s.nnz() };
        self.words.start() + (skipped * size_of::<u32>()) as u64
    }
}

fn indices(cuda: &Cuda, s: &Sketch) -> Result<Indices> {
    let ((d, _), columns, zeta) = (s.full_shape(), s.ncols(), s.nnz());
    let len = if d == 0 { 0 } else { columns.saturating_mul(zeta) };
    let words = cuda.scratch::<u32>(len)?;
    let indices = Indices { of: *s, words, len, cuda: cuda.clone() };
    if len == 0 {
        return Ok(indices);
    }
    let (name, stream, per_block) = match s.family() {
        Family::SparseSign if zeta > LINEAR_SEARCH => {
            ("sparse_sign_wide", Stream::SparseSign, THREADS as usize / 32)
        }
        Family::SparseSign => ("sparse_sign", Stream::SparseSign, THREADS as usize),
        _ => ("sparse_stack", Stream::SparseStack, THREADS as usize),
    };
    let (seed, stream, d, zeta) = (s.seed(), stream.number(), d as u32, zeta as u32);
    let (first, count, out) = (s.col_range().start as u64, columns as i64, indices.words.start());
    let shape = Shape::over(cuda, columns, per_block, THREADS);
    let arguments =
        &mut [arg(&seed), arg(&stream), arg(&d), arg(&zeta), arg(&first), arg(&count), arg(&out)];
    // SAFETY: the parameters of the kernel; there are ζ words a column.
    unsafe { launch(cuda, &cuda.gpu.sparse, name, shape, arguments)? };
    Ok(indices)
}

macro_rules! impl_sketch_kernels {
    ($t:ty) => {
        impl SketchKernels<$t> for Cuda {
            type Indices = Indices;

            fn fill(&self, s: &Sketch, alpha: $t, b: MatMut<'_, $t, Self>) -> Result<()> {
                fit(b.shape(), s.shape());
                fit_family(s, s.family().is_dense());
                let _joined = self.join("fill", &[("B", b.device())])?;
                dense::fill(self, s, alpha, b)
            }

            // Panels are read soon after they are written. Models of GPU differ, by the cache.
            fn panel_len(&self) -> usize {
                self.context().l2_bytes / 2 / size_of::<$t>()
            }

            fn fused_columns(&self) -> usize {
                dense::FUSED_COLUMNS
            }

            fn fill_times(
                &self,
                s: &Sketch,
                op: Op,
                alpha: $t,
                a: MatRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_family(s, s.family().is_dense());
                fit_product(op_shape(op, s.shape()), a.shape(), c.shape());
                let _joined = self.join("fill_times", &[("A", a.device()), ("C", c.device())])?;
                if alpha == 0.0 || a.is_empty() || c.is_empty() {
                    return self.scale(beta, c);
                }
                dense::fill_times(self, s, op, alpha, a, beta, c)
            }

            fn indices(&self, s: &Sketch) -> Result<Indices> {
                fit_family(s, s.family().is_column_sparse());
                indices(self, s)
            }

            fn download_indices(&self, indices: &Indices) -> Result<Vec<u32>> {
                let _joined = self.join("download_indices", &[("indices", &indices.cuda)])?;
                let mut words = crate::device::try_vec(0, indices.len)?;
                // On the stream that wrote them.
                indices.cuda.download(&indices.words, &mut words)?;
                Ok(words)
            }

            fn index_chunk(&self, s: &Sketch) -> usize {
                (CHUNK / s.nnz().max(1)).max(1)
            }

            fn sparse_times(
                &self,
                s: &Sketch,
                indices: &Indices,
                op: Op,
                alpha: $t,
                a: MatRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_family(s, s.family().is_column_sparse());
                fit_product(op_shape(op, s.shape()), a.shape(), c.shape());
                let words = indices.window(s);
                let _joined = self.join(
                    "sparse_times",
                    &[("indices", &indices.cuda), ("A", a.device()), ("C", c.device())],
                )?;
                if alpha == 0.0 || a.is_empty() || c.is_empty() {
                    return self.scale(beta, c);
                }
                let alpha = (f64::from(alpha) * s.scale()) as $t;
                if op == Op::Trans {
                    return times_dense(self, alpha, Factor::signs(s, words), a, beta, c);
                }
                let rows = sort::operator_by_rows::<$t>(self, s, words)?;
                times_dense(self, alpha, Factor::stored(rows.view(self)), a, beta, c)
            }

            fn sparse_times_csr(
                &self,
                s: &Sketch,
                indices: &Indices,
                op: Op,
                alpha: $t,
                x: CsrRef<'_, $t, Self>,
                op_x: Op,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_family(s, s.family().is_column_sparse());
                let inner = op_shape(op, s.shape()).1;
                fit_product(op_shape(op, s.shape()), op_shape(op_x, x.shape()), c.shape());
                let words = indices.window(s);
                let _joined = self.join(
                    "sparse_times_csr",
                    &[("indices", &indices.cuda), ("X", x.device()), ("C", c.device())],
                )?;
                if alpha == 0.0 || inner == 0 || x.entries() == 0 || c.is_empty() {
                    return self.scale(beta, c);
                }
                let alpha = (f64::from(alpha) * s.scale()) as $t;
                let columns = Factor::signs(s, words);
                // S·X = (Xᵀ·Sᵀ)ᵀ: S is at hand by columns, the rows of Sᵀ.
                let turned;
                let x = if op == op_x {
                    turned = sort::transposed(self, x)?;
                    Factor::stored(turned.view(self))
                } else {
                    Factor::stored(x)
                };
                match op {
                    Op::NoTrans => times_sparse(self, alpha, x, columns, beta, c.transpose()),
                    Op::Trans => times_sparse(self, alpha, columns, x, beta, c),
                }
            }
        }
    };
}

impl_sketch_kernels!(f32);
impl_sketch_kernels!(f64);
