//! Products with sparse factors: column-sparse operators (SparseSign, SparseStack, CountSketch,
//! BlockPerm-SJLT) and matrices in compressed sparse rows.
//!
//! The columns of an operator S are the rows of Sᵀ, which makes four products two:
//!
//! | product | driver | |
//! |---|---|---|
//! | S·A, Xᵀ·B | [`scatter`] | rows of A are added to rows of C that their column of S names |
//! | Sᵀ·Y, X·B | [`gather`] | a row of C is a sum of rows of Y |
//!
//! Both work on column blocks ([`panel`]): the side that is met at random, C or Y, is a row-major
//! panel of 256 or 512 bytes a row that stays in the L2 cache up to 3000 rows, and the other side
//! streams by once.
//! Layouts differ in how panels are packed and stored, and in that row-major A of whole pages is met
//! page by page when ζ = 1 ([`pages`]). With both factors sparse, two
//! matrices or an operator and a matrix, the driver is [`spspmm`](mod@spspmm).
//!
//! Sums run over the entries of the sparse factor in their order, products are rounded before they
//! are added: the same bits for any number of threads, instruction set and layout.
//!
//! BlockPerm-SJLT takes the same road. The rows of C that its columns name lie in κ blocks for as long as
//! a block of columns lasts, so these are in the L1 cache by themselves, and S·A takes a tenth to a fifth less
//! than with SparseStack. To take the blocks up one after the other costs more than it saves.
//!
//! Cost of S·A for ζ entries a column, A m×n: 2ζmn flops, one pass over A, ζ row updates of the
//! panel for every row of A. Measured on two cores of Zen 5 against a parallel sum of A (16384×1024
//! f64, d = 1536): see `benches`.

mod compressed;
mod gather;
mod indices;
mod kernel;
mod pages;
mod panel;
mod rows;
mod scatter;
mod spspmm;
#[cfg(test)]
mod tests;
mod transpose;

use super::{Isa, fit_columns, fit_product, op_shape};
pub(in crate::device::cpu) use compressed::compressed;
pub(in crate::device::cpu) use indices::{index_chunk, indices};
pub(in crate::device::cpu) use kernel::SparseScalar;

use crate::matrix::CsrRef;
use crate::{Blas, Cpu, MatMut, MatRef, Op, Result, Sketch, SparseKernels};
use gather::gather_times;
use rows::{CsrRows, SignRows};
use scatter::scatter_times;
use spspmm::spspmm;
use transpose::Transposed;

/// `C ← α S A + β C` (NoTrans) or `C ← α Sᵀ A + β C` (Trans) for a column-sparse family, where
/// `indices` are those of `s`, or of the operator of which `s` is a window of rows.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
#[allow(clippy::too_many_arguments)]
pub(in crate::device::cpu) fn sparse_times<T: SparseScalar>(
    cpu: &Cpu,
    s: &Sketch,
    indices: &[u32],
    op: Op,
    alpha: T,
    a: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
) -> Result<()> {
    let rows = SignRows::new(s, indices);
    let alpha = T::from_f64(alpha.to_f64() * s.scale());
    let isa = Isa::detect();
    match op {
        Op::NoTrans if alpha != T::zero() && !c.is_empty() && pages::serves(&rows, &a) => {
            pages::times(cpu, isa, &rows, alpha, a, beta, c)
        }
        Op::NoTrans => scatter_times(cpu, isa, &rows, alpha, a, beta, c),
        Op::Trans => gather_times(cpu, isa, &rows, alpha, a, beta, c),
    }
}

/// `C ← α op(S) op(X) + β C` for a column-sparse family and X in CSR; `indices` as above.
///
/// S is at hand by columns, the rows of Sᵀ. S·A is taken column by column of A, (S·A)ᵀ = Aᵀ·Sᵀ, so
/// that a column of C is a private sum that stays in the L1 cache; Sᵀ·A row by row of A. X that is
/// stored the other way is transposed first: sorting the words of S by row instead would visit rows
/// of A at random, ζ times each. (Measured: see `benches`.)
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
#[allow(clippy::too_many_arguments)]
pub(in crate::device::cpu) fn sparse_times_csr<T: SparseScalar>(
    cpu: &Cpu,
    s: &Sketch,
    indices: &[u32],
    op: Op,
    alpha: T,
    x: CsrRef<'_, T>,
    op_x: Op,
    beta: T,
    c: MatMut<'_, T>,
) -> Result<()> {
    let (isa, columns, x) = (Isa::detect(), SignRows::new(s, indices), CsrRows::new(x));
    let alpha = T::from_f64(alpha.to_f64() * s.scale());
    match (op, op_x) {
        (Op::NoTrans, Op::NoTrans) => {
            let x = Transposed::new(cpu, &x)?;
            spspmm(cpu, isa, alpha, &x, &columns, beta, c.transpose())
        }
        (Op::NoTrans, Op::Trans) => spspmm(cpu, isa, alpha, &x, &columns, beta, c.transpose()),
        (Op::Trans, Op::NoTrans) => spspmm(cpu, isa, alpha, &columns, &x, beta, c),
        (Op::Trans, Op::Trans) => {
            let x = Transposed::new(cpu, &x)?;
            spspmm(cpu, isa, alpha, &columns, &x, beta, c)
        }
    }
}

macro_rules! sparse_kernels {
    ($T:ty) => {
        impl SparseKernels<$T> for Cpu {
            fn stored_values<'a>(&self, x: CsrRef<'a, $T>) -> Result<MatRef<'a, $T>> {
                let row_ptr = x.slices().0;
                Ok(x.values_in(row_ptr[0]..row_ptr[x.nrows()]))
            }

            fn find_non_finite_stored(&self, x: CsrRef<'_, $T>) -> Result<Option<(usize, usize)>> {
                let (row_ptr, columns, values) = x.slices();
                let Some((_, k)) = self.find_non_finite(self.stored_values(x)?)? else {
                    return Ok(None);
                };
                let entry = row_ptr[0] + k;
                // The last row that starts at or before the entry: empty ones before it do too.
                let row = row_ptr.partition_point(|&start| start <= entry) - 1;
                let column = (entry..row_ptr[row + 1])
                    .filter(|&k| !values[k].is_finite())
                    .map(|k| columns[k] as usize)
                    .min();
                Ok(column.map(|column| (row, column)))
            }

            fn spmm(
                &self,
                alpha: $T,
                x: CsrRef<'_, $T>,
                op: Op,
                b: MatRef<'_, $T>,
                beta: $T,
                c: MatMut<'_, $T>,
            ) -> Result<()> {
                fit_product(op_shape(op, x.shape()), b.shape(), c.shape());
                if alpha == 0.0 || b.is_empty() || c.is_empty() {
                    return self.scale(beta, c);
                }
                let rows = CsrRows::new(x);
                match op {
                    Op::NoTrans => gather_times(self, Isa::detect(), &rows, alpha, b, beta, c),
                    Op::Trans => scatter_times(self, Isa::detect(), &rows, alpha, b, beta, c),
                }
            }

            fn expand(&self, x: CsrRef<'_, $T>, first: usize, c: MatMut<'_, $T>) -> Result<()> {
                fit_columns(x.shape(), first, c.shape());
                compressed::expand(self, x, first, c)
            }

            fn spspmm(
                &self,
                alpha: $T,
                x: CsrRef<'_, $T>,
                y: CsrRef<'_, $T>,
                beta: $T,
                c: MatMut<'_, $T>,
            ) -> Result<()> {
                fit_product(x.shape(), y.shape(), c.shape());
                if alpha == 0.0 || y.ncols() == 0 || c.is_empty() {
                    return self.scale(beta, c);
                }
                let (x, y) = (CsrRows::new(x), CsrRows::new(y));
                spspmm(self, Isa::detect(), alpha, &x, &y, beta, c)
            }
        }
    };
}

sparse_kernels!(f32);
sparse_kernels!(f64);
