//! The operator kernels of a GPU.

use super::launch::{Shape, arg, launch};
use super::sparse::{Factor, Scatter, times_dense, times_sparse};
use super::{Cuda, CudaBuffer, CudaScalar, block_perm, dense, rows, sort};
use crate::device::fit::{fit, fit_family, fit_product, op_shape};
use crate::random::{LINEAR_SEARCH, Stream};
use crate::{
    Blas, Csr, CsrRef, Device, Family, MatMut, MatRef, Op, Result, Scalar, Sketch, SketchKernels,
};

/// Threads of a block in `cuda/sparse.cu`, and of one that makes distinct rows.
const THREADS: u32 = 256;
const SIGN_THREADS: u32 = 128;
/// The positions that are held at once: 16 MiB, and 150 MiB while they are sorted.
const CHUNK: usize = 1 << 22;

/// The positions of a column-sparse operator's entries on a GPU: ζ a column, `row << 1 | negative`.
#[derive(Debug)]
pub struct Indices<T: Scalar> {
    of: Sketch,
    words: CudaBuffer<u32>,
    len: usize,
    cuda: Cuda,
    /// Windows that were asked to be kept, by rows.
    kept: Vec<(Sketch, Csr<T, Cuda>)>,
}

impl<T: Scalar> Indices<T> {
    /// The address of the words of the columns of a window of the operator.
    #[track_caller]
    pub(super) fn window(&self, s: &Sketch) -> u64 {
        let (cols, held) = (s.col_range(), self.of.col_range());
        assert!(
            s.is_part_of_same(&self.of) && held.start <= cols.start && cols.end <= held.end,
            "indices of another operator"
        );
        let skipped = if self.len == 0 { 0 } else { (cols.start - held.start) * s.nnz() };
        self.words.start() + (skipped * size_of::<u32>()) as u64
    }

    /// A window by rows, its entries ±1, if it was kept.
    fn kept(&self, s: &Sketch) -> Option<CsrRef<'_, T, Cuda>> {
        let place = |s: &Sketch| (s.row_range(), s.col_range());
        let kept = self.kept.iter().find(|(window, _)| place(window) == place(s));
        kept.map(|(_, rows)| rows.as_ref())
    }

    /// The handle whose stream wrote them.
    pub(super) fn device(&self) -> &Cuda {
        &self.cuda
    }
}

fn indices<T: Scalar>(cuda: &Cuda, s: &Sketch) -> Result<Indices<T>> {
    let ((d, _), columns, zeta) = (s.full_shape(), s.ncols(), s.nnz());
    let len = if d == 0 { 0 } else { columns.saturating_mul(zeta) };
    let words = cuda.scratch::<u32>(len)?;
    let indices = Indices { of: *s, words, len, cuda: cuda.clone(), kept: Vec::new() };
    if len == 0 {
        return Ok(indices);
    }
    if s.family() == Family::BlockPermSjlt {
        block_perm::columns(cuda, s, indices.words.start())?;
        return Ok(indices);
    }
    let threads = SIGN_THREADS as usize;
    let (name, stream, shape) = match s.family() {
        Family::SparseSign if zeta > LINEAR_SEARCH => {
            let shape = Shape::over(cuda, columns, threads / 32, SIGN_THREADS);
            ("sparse_sign_wide", Stream::SparseSign, shape)
        }
        Family::SparseSign => {
            let shape = Shape::over(cuda, columns, threads, SIGN_THREADS);
            // The words of a block.
            let shared = (threads * zeta * size_of::<u32>()) as u32;
            ("sparse_sign", Stream::SparseSign, Shape { shared, ..shape })
        }
        _ => {
            let shape = Shape::over(cuda, columns * zeta.div_ceil(2), THREADS as usize, THREADS);
            ("sparse_stack", Stream::SparseStack, shape)
        }
    };
    let (seed, stream, d, zeta) = (s.seed(), stream.number(), d as u32, zeta as u32);
    let (first, count, out) = (s.col_range().start as u64, columns as i64, indices.words.start());
    let arguments =
        &mut [arg(&seed), arg(&stream), arg(&d), arg(&zeta), arg(&first), arg(&count), arg(&out)];
    // SAFETY: the parameters of the kernel; there are ζ words a column.
    unsafe { launch(cuda, &cuda.gpu.sparse, name, shape, arguments)? };
    Ok(indices)
}

macro_rules! impl_sketch_kernels {
    ($t:ty) => {
        impl SketchKernels<$t> for Cuda {
            type Indices = Indices<$t>;

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

            fn indices(&self, s: &Sketch) -> Result<Indices<$t>> {
                fit_family(s, s.family().is_column_sparse());
                indices(self, s)
            }

            fn download_indices(&self, indices: &Indices<$t>) -> Result<Vec<u32>> {
                let _joined = self.join("download_indices", &[("indices", &indices.cuda)])?;
                let mut words = crate::device::try_vec(0, indices.len)?;
                // On the stream that wrote them.
                indices.cuda.download(&indices.words, &mut words)?;
                Ok(words)
            }

            fn keep_indices(&self, s: &Sketch, indices: &mut Indices<$t>) -> Result<()> {
                let words = indices.window(s);
                // BlockPerm-SJLT makes its positions in registers.
                if s.family() != Family::BlockPermSjlt && s.nrows() > 0 && s.ncols() > 0 {
                    // On the stream that wrote the words, which every use of them joins.
                    let rows = sort::operator_by_rows(&indices.cuda, s, words, 1.0)?;
                    indices.kept.push((*s, rows));
                }
                Ok(())
            }

            fn index_chunk(&self, s: &Sketch) -> usize {
                (CHUNK / s.nnz().max(1)).max(1)
            }

            fn sparse_times(
                &self,
                s: &Sketch,
                indices: &Indices<$t>,
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
                // Whether lists are kept or not: they change no bit.
                if let Some(scatter) = Scatter::new(s, words, a.ncols()) {
                    let name = <$t>::kernel(["scatter_signs_f32", "scatter_signs_f64"]);
                    return scatter.run(self, &self.gpu.sparse, name, alpha, a, beta, c);
                }
                let made;
                let rows = match indices.kept(s) {
                    Some(rows) => rows,
                    None => {
                        made = sort::operator_by_rows::<$t>(self, s, words, 1.0)?;
                        made.as_ref()
                    }
                };
                times_dense(self, alpha, Factor::stored(rows), a, beta, c)
            }

            fn makes_positions(&self) -> bool {
                true
            }

            fn block_perm_times(
                &self,
                s: &Sketch,
                alpha: $t,
                a: MatRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_family(s, s.family() == Family::BlockPermSjlt);
                fit_product(s.shape(), a.shape(), c.shape());
                let _joined =
                    self.join("block_perm_times", &[("A", a.device()), ("C", c.device())])?;
                if alpha == 0.0 || a.is_empty() || c.is_empty() {
                    return self.scale(beta, c);
                }
                let alpha = (f64::from(alpha) * s.scale()) as $t;
                let names = [
                    <$t>::kernel(["block_perm_rows_f32", "block_perm_rows_f64"]),
                    <$t>::kernel(["block_perm_cols_f32", "block_perm_cols_f64"]),
                ];
                block_perm::times(self, names, s, alpha, a, beta, c)
            }

            fn sparse_times_csr(
                &self,
                s: &Sketch,
                indices: &Indices<$t>,
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
                    Factor::stored(turned.as_ref())
                } else {
                    Factor::stored(x)
                };
                match op {
                    Op::NoTrans => times_sparse(self, alpha, x, columns, beta, c.transpose()),
                    Op::Trans => times_sparse(self, alpha, columns, x, beta, c),
                }
            }

            fn compressed(&self, s: &Sketch, op: Op) -> Result<Csr<$t, Self>> {
                let by_columns = s.family().is_column_sparse();
                fit_family(s, by_columns || s.family().is_row_sparse());
                let rows = if by_columns {
                    let indices = indices::<$t>(self, s)?;
                    sort::operator_by_rows(self, s, indices.window(s), s.scale() as $t)?
                } else {
                    rows::row_sparse(self, s)?
                };
                if op == Op::NoTrans { Ok(rows) } else { sort::transposed(self, rows.as_ref()) }
            }
        }
    };
}

impl_sketch_kernels!(f32);
impl_sketch_kernels!(f64);
