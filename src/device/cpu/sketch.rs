//! The operator kernels of the CPU.

use super::{dense, fit, fit_family, fit_product, op_shape, sparse};
use crate::{Blas, Cpu, MatMut, MatRef, Op, Result, Sketch, SketchKernels};

/// The positions of a column-sparse operator's entries: ζ a column, `row << 1 | negative`.
#[derive(Debug)]
pub struct Indices(Vec<u32>);

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
                sparse::indices(self, s).map(Indices)
            }

            fn download_indices(&self, indices: &Indices) -> Result<Vec<u32>> {
                Ok(indices.0.clone())
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
                assert_eq!(indices.0.len(), s.nnz() * s.ncols(), "indices of another operator");
                sparse::sparse_times(self, s, &indices.0, op, alpha, a, beta, c)
            }
        }
    };
}

impl_sketch_kernels!(f32);
impl_sketch_kernels!(f64);
