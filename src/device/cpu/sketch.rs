//! The operator kernels of the CPU.

use super::{dense, fit, fit_family, fit_product, op_shape, sparse};
use crate::{Blas, Cpu, Csr, CsrRef, MatMut, MatRef, Op, Result, Sketch, SketchKernels};

/// The positions of a column-sparse operator's entries: ζ a column, `row << 1 | negative`.
#[derive(Debug)]
pub struct Indices {
    of: Sketch,
    words: Vec<u32>,
}

impl Indices {
    /// The words of the columns of a window of the operator.
    #[track_caller]
    fn window(&self, s: &Sketch) -> &[u32] {
        let (cols, held) = (s.col_range(), self.of.col_range());
        assert!(
            s.is_part_of_same(&self.of) && held.start <= cols.start && cols.end <= held.end,
            "indices of another operator"
        );
        if self.words.is_empty() {
            return &self.words;
        }
        &self.words[(cols.start - held.start) * s.nnz()..(cols.end - held.start) * s.nnz()]
    }
}

macro_rules! impl_sketch_kernels {
    ($t:ty) => {
        impl SketchKernels<$t> for Cpu {
            type Indices = Indices;

            fn fill(&self, s: &Sketch, alpha: $t, b: MatMut<'_, $t>) -> Result<()> {
                fit(b.shape(), s.shape());
                fit_family(s, s.family().is_dense());
                dense::fill(self, s, alpha, b);
                Ok(())
            }

            fn panel_len(&self) -> usize {
                dense::PANEL_BYTES / size_of::<$t>()
            }

            fn fused_columns(&self) -> usize {
                dense::FUSED_COLUMNS
            }

            fn fill_times(
                &self,
                s: &Sketch,
                op: Op,
                alpha: $t,
                a: MatRef<'_, $t>,
                beta: $t,
                c: MatMut<'_, $t>,
            ) -> Result<()> {
                fit_family(s, s.family().is_dense());
                fit_product(op_shape(op, s.shape()), a.shape(), c.shape());
                if alpha == 0.0 || a.is_empty() || c.is_empty() {
                    return self.scale(beta, c);
                }
                dense::fill_times(self, s, op, alpha, a, beta, c)
            }

            fn indices(&self, s: &Sketch) -> Result<Indices> {
                fit_family(s, s.family().is_column_sparse());
                Ok(Indices { of: *s, words: sparse::indices(self, s)? })
            }

            fn download_indices(&self, indices: &Indices) -> Result<Vec<u32>> {
                Ok(indices.words.clone())
            }

            fn index_chunk(&self, s: &Sketch) -> usize {
                sparse::index_chunk(s)
            }

            fn sparse_times(
                &self,
                s: &Sketch,
                indices: &Indices,
                op: Op,
                alpha: $t,
                a: MatRef<'_, $t>,
                beta: $t,
                c: MatMut<'_, $t>,
            ) -> Result<()> {
                fit_family(s, s.family().is_column_sparse());
                fit_product(op_shape(op, s.shape()), a.shape(), c.shape());
                if alpha == 0.0 || a.is_empty() || c.is_empty() {
                    return self.scale(beta, c);
                }
                sparse::sparse_times(self, s, indices.window(s), op, alpha, a, beta, c)
            }

            fn sparse_times_csr(
                &self,
                s: &Sketch,
                indices: &Indices,
                op: Op,
                alpha: $t,
                x: CsrRef<'_, $t>,
                op_x: Op,
                beta: $t,
                c: MatMut<'_, $t>,
            ) -> Result<()> {
                fit_family(s, s.family().is_column_sparse());
                let inner = op_shape(op, s.shape()).1;
                fit_product(op_shape(op, s.shape()), op_shape(op_x, x.shape()), c.shape());
                if alpha == 0.0 || inner == 0 || c.is_empty() {
                    return self.scale(beta, c);
                }
                sparse::sparse_times_csr(self, s, indices.window(s), op, alpha, x, op_x, beta, c)
            }

            fn compressed(&self, s: &Sketch, op: Op) -> Result<Csr<$t>> {
                fit_family(s, s.family().is_column_sparse() || s.family().is_row_sparse());
                sparse::compressed(self, s, op)
            }
        }
    };
}

impl_sketch_kernels!(f32);
impl_sketch_kernels!(f64);
