//! Dense linear algebra: faer's kernels on tasks of our own cutting.
//!
//! faer's products are at 90 % of peak and are the same bits for any number of threads, except for
//! matrix-vector products; on tall-skinny shapes its own threading is slow. So products with a
//! short side are cut into panels of fixed size, each a single-threaded call, and sums over a long
//! inner dimension into chunks of fixed size, joined in order.
//!
//! Bounds: 2mnk flops at the peak of the machine for products, 8 bytes a read entry for the rest.

mod elementwise;
mod gemm;
mod normal;
mod norms;
mod triangular;

pub(super) use elementwise::axpby;

use super::{Cpu, fit, fit_distinct, fit_product};
use crate::device::normal_by_products;
use crate::matrix::{BatchMut, BatchRef};
use crate::{Blas, MatMut, MatRef, Op, Result, Scalar, Uplo};

/// The scalars of faer that we use; one instance of every kernel each, compiled here once.
pub(crate) trait CpuScalar:
    Scalar + faer::traits::ComplexField + faer::traits::RealField
{
}
impl CpuScalar for f32 {}
impl CpuScalar for f64 {}

macro_rules! impl_blas {
    ($t:ty) => {
        impl Blas<$t> for Cpu {
            fn gemm(
                &self,
                alpha: $t,
                a: MatRef<'_, $t>,
                b: MatRef<'_, $t>,
                beta: $t,
                c: MatMut<'_, $t>,
            ) -> Result<()> {
                fit_product(a.shape(), b.shape(), c.shape());
                gemm::gemm(self, alpha, a, b, beta, c)
            }

            fn gemm_batched(
                &self,
                alpha: $t,
                a: BatchRef<'_, $t>,
                b: BatchRef<'_, $t>,
                beta: $t,
                c: BatchMut<'_, $t>,
            ) -> Result<()> {
                if c.is_empty() {
                    return Ok(());
                }
                fit_product(a.shape(), b.shape(), c.shape());
                assert!(a.len() == c.len() && b.len() == c.len(), "batches of unequal length");
                gemm::gemm_batched(self, alpha, a, b, beta, c);
                Ok(())
            }

            fn normal_times(
                &self,
                a: MatRef<'_, $t>,
                x: MatRef<'_, $t>,
                b: Option<MatRef<'_, $t>>,
                z: MatMut<'_, $t>,
                sums: &mut [f64],
            ) -> Result<()> {
                fit(x.shape(), (a.ncols(), sums.len()));
                fit(z.shape(), x.shape());
                if let Some(b) = &b {
                    fit(b.shape(), (a.nrows(), x.ncols()));
                }
                match normal::serves(&a, x.ncols()) {
                    true => normal::normal_times(self, a, x, b, z, sums),
                    false => normal_by_products(self, a, x, b, z, sums),
                }
            }

            fn normal_times_prefers_rows(&self, a: &MatRef<'_, $t>, p: usize) -> bool {
                normal::prefers_rows(a, p)
            }

            fn gram(&self, a: MatRef<'_, $t>, g: MatMut<'_, $t>) -> Result<()> {
                fit(g.shape(), (a.ncols(), a.ncols()));
                triangular::gram(self, a, g)
            }

            fn trsm_right(
                &self,
                uplo: Uplo,
                op: Op,
                a: MatRef<'_, $t>,
                b: MatMut<'_, $t>,
            ) -> Result<()> {
                fit(a.shape(), (b.ncols(), b.ncols()));
                triangular::trsm_right(self, uplo, op, a, b);
                Ok(())
            }

            fn scale(&self, beta: $t, b: MatMut<'_, $t>) -> Result<()> {
                elementwise::scale(self, beta, b);
                Ok(())
            }

            fn axpby(
                &self,
                alpha: $t,
                a: MatRef<'_, $t>,
                beta: $t,
                b: MatMut<'_, $t>,
            ) -> Result<()> {
                fit(a.shape(), b.shape());
                elementwise::axpby(self, alpha, a, beta, b);
                Ok(())
            }

            fn scale_columns(&self, scale: &[$t], b: MatMut<'_, $t>) -> Result<()> {
                fit((b.nrows(), scale.len()), b.shape());
                elementwise::scale_columns(self, scale, b);
                Ok(())
            }

            fn gather_rows(
                &self,
                index: &[usize],
                a: MatRef<'_, $t>,
                b: MatMut<'_, $t>,
            ) -> Result<()> {
                fit(b.shape(), (index.len(), a.ncols()));
                elementwise::move_rows(self, index.len(), |i| (index[i], i), a, b);
                Ok(())
            }

            fn scatter_rows(
                &self,
                index: &[usize],
                a: MatRef<'_, $t>,
                b: MatMut<'_, $t>,
            ) -> Result<()> {
                fit(a.shape(), (index.len(), b.ncols()));
                fit_distinct(index, b.nrows());
                elementwise::move_rows(self, index.len(), |i| (i, index[i]), a, b);
                Ok(())
            }

            fn max_abs(&self, a: MatRef<'_, $t>) -> Result<f64> {
                Ok(norms::max_abs(self, a))
            }

            fn sum_of_squares(&self, a: MatRef<'_, $t>, exponent: i32) -> Result<f64> {
                Ok(norms::sum_of_squares(self, a, exponent))
            }

            fn column_sums_of_squares(
                &self,
                a: MatRef<'_, $t>,
                exponent: i32,
                out: &mut [f64],
            ) -> Result<()> {
                fit((a.nrows(), out.len()), a.shape());
                norms::column_sums_of_squares(self, a, exponent, out);
                Ok(())
            }

            fn find_non_finite(&self, a: MatRef<'_, $t>) -> Result<Option<(usize, usize)>> {
                Ok(norms::find_non_finite(self, a))
            }
        }
    };
}

impl_blas!(f32);
impl_blas!(f64);
