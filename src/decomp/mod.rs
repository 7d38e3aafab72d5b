//! Randomised factorizations.
//!
//! | function | gives | flops | passes over A |
//! |---|---|---|---|
//! | [`qb`] | A ≈ Q B, Q orthonormal | 2mnl a pass + O((m + n)l²) | 2q + 2 |
//! | [`rsvd`] | A ≈ U Σ Vᵀ | the same | 2q + 2 |
//! | [`svd_single_pass`], [`StreamingSvd`] | A ≈ U Σ Vᵀ, A in pieces that may add up | 6ζmn + O((m + n)k²) | 1 |
//! | [`IncrementalSvd`] | the same, as columns are appended | O(mnk) | 1 |
//! | [`nystrom`](nystrom()) | A ≈ U Λ Uᵀ, A positive semidefinite | 2n²l a pass + O(nl²) | q + 1 |
//! | [`eigh_randomized`] | A ≈ U Λ Uᵀ, A symmetric | 2n²l a pass + O(nl²) | 2q + 2 |
//! | [`rp_cholesky`](rp_cholesky()) | A ≈ F Fᵀ, A positive semidefinite, of k of its columns | 2nk² | nk entries |
//! | [`cqrrpt`](cqrrpt()) | A P ≈ Q R, pivoted, with the rank | 3mn² + O(n³) | 4 of the size of A |
//! | [`bqrrp`](bqrrp()) | the same of any shape, Q as reflectors | 4mnk − 2(m + n)k² + 4k³/3 | n/b |
//! | [`column_subset`], [`row_subset`] | columns or rows that span A | those of `bqrrp` to rank k | |
//! | [`interpolative_decomposition`] | A ≈ A\[:, J\]·X; and by rows | k²(n − k) more | |
//! | [`cur`](cur()) | A ≈ C U R | 2mnk more | 1 more |
//! | [`leverage_scores`] | ‖eᵢᵀU‖² for a basis U of A | 2mnt + 16mn | 2 |
//! | [`randomized_cholesky_qr`] | A = Q R | 3mn² + O(n³) | 4 of the size of A |
//! | [`bound_weyl`], [`bound_residual`] | the error of \[A₁ \| A₂ \| …\] from its blocks | those of `rsvd` | |
//! | [`cluster_by_error`] | blocks with a common basis | N² updates | |
//! | [`cholesky_qr2`], [`cholesky_qr3`] | A = Q R | 4mn², 6mn² | 4, 6 |
//!
//! l is the rank with oversampling, q the number of power passes, b the columns of a block, t the probes. The low-rank ones work to a rank or to a
//! relative tolerance, on anything that is a [`LinearOperator`] (`rp_cholesky` on what gives its
//! [entries](SymmetricEntries), as a [`KernelMatrix`] does), and return
//! an [`ErrorEstimate`] that says what kind of statement it is. Their twins `…_with_progress`
//! tell how far they have come, and can be stopped.
//!
//! # Parameters
//! The same words mean the same in every struct of parameters. `rank(k)` asks for k columns, `tolerance(e)` for the fewest that
//! bring the relative error down to e, at most `max_rank` of them. `rank_tolerance(t)` is no error that is aimed at: a column
//! is dependent on those before it when its residual is below t of the largest column.
//!
//! # Numerics
//! Bases are orthonormal to working precision whatever the condition of A (see `basis`). Nothing
//! depends on the scale of A: multiplied by a power of two, it gives the same bits, scaled. The
//! numerical rank is what rises above max(m, n)·2u·σ₁ in `qb`, `rsvd` and `eigh_randomized`, and above 8u√n of the
//! largest column in the pivoted factorizations; the others say what theirs is. What lies beyond it is not
//! returned, so a result can have a smaller rank than was asked for.

mod basis;
mod bqrrp;
mod cholesky_qr;
mod concatenated;
mod cqrrpt;
mod cur;
mod draw;
mod eigh;
mod entries;
mod estimate;
mod exchange;
mod host;
mod incremental;
mod interpolative;
mod leverage;
mod nystrom;
mod pivoted;
mod psd;
mod qb;
mod randomized_cholesky_qr;
mod range;
mod residual;
mod rp_cholesky;
mod rsvd;
mod single_pass;
mod trace_error;
mod transfer;
mod triangle;
mod turned;

pub use bqrrp::{BqrrpParams, FactoredQr, Reflectors, bqrrp, bqrrp_with_progress};
pub use cholesky_qr::{Qr, cholesky_qr2, cholesky_qr3};
pub use concatenated::{
    Cluster, ClusterOrder, ClusterParams, Clustering, bound_residual, bound_weyl, cluster_by_error,
};
pub use cqrrpt::{CqrrptParams, InPlaceQr, PivotedQr, cqrrpt, cqrrpt_in_place};
pub use cur::{Cur, cur};
pub use eigh::{Eigh, EighParams, eigh_randomized, eigh_randomized_with_progress};
pub use entries::{KernelMatrix, SymmetricEntries};
pub use estimate::{ErrorEstimate, ErrorKind};
pub use incremental::{IncrementalParams, IncrementalSvd};
pub use interpolative::{
    Interpolative, Subset, column_subset, interpolative_decomposition,
    row_interpolative_decomposition, row_subset,
};
pub use leverage::{LeverageParams, LeverageScores, leverage_scores};
pub use nystrom::{Nystrom, NystromParams, nystrom, nystrom_with_progress};
pub use qb::{Qb, QbParams, qb, qb_with_progress};
pub use randomized_cholesky_qr::{
    Precision, RandomizedCholeskyQrParams, RandomizedQr, randomized_cholesky_qr,
};
pub use rp_cholesky::{RpCholesky, RpCholeskyParams, rp_cholesky, rp_cholesky_with_progress};
pub use rsvd::{RsvdParams, Svd, rsvd, rsvd_batched, rsvd_with_progress};
pub use single_pass::{Scree, SinglePassFactors, SinglePassParams, StreamingSvd, svd_single_pass};

pub(crate) use basis::{Basis, project, scale_exactly};
pub(crate) use cholesky_qr::far_exponent;
pub(crate) use draw::{Law, random_columns};
pub(crate) use estimate::{bound_factor, probe_products};
pub(crate) use host::{small_eigen, small_inverse, small_product, small_svd, triangular_condition};
pub(crate) use nystrom::nystrom_until;
pub(crate) use pivoted::pivoted_qr;
pub(crate) use psd::normalise;
pub(crate) use qb::qb_named;
pub(crate) use transfer::{column_dots, download, entries, inner, upload_columns};
pub(crate) use triangle::triangle;
pub(crate) use turned::Turned;

use crate::error::check_share;
use crate::{Backend, Error, LinearOperator, MatRef, Result, Scalar};

/// How far a factorization has come.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Columns of the basis.
    pub rank: usize,
    /// How often A was multiplied by a block.
    pub passes: usize,
    /// ‖A − QB‖_F/‖A‖_F for the blocks that are finished, by the identity or as a bound; `None` before
    /// the first one, and where neither ‖A‖_F nor probes are there.
    pub error: Option<f64>,
}

/// How far a factorization goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Rank(usize),
    Tolerance(f64),
}

impl Target {
    fn check(self, op: &'static str, (m, n): (usize, usize)) -> Result<()> {
        match self {
            Self::Rank(k) if k > m.min(n) => {
                Err(Error::invalid(op, "rank", k, format!("at most min(m, n) = {}", m.min(n))))
            }
            Self::Rank(_) => Ok(()),
            Self::Tolerance(tolerance) => check_share(op, "tolerance", tolerance),
        }
    }

    /// How many columns there may be: the rank, or `max_rank` of the `least` that the shape allows.
    fn limit(self, max_rank: Option<usize>, least: usize) -> usize {
        match self {
            Self::Rank(rank) => rank,
            Self::Tolerance(_) => max_rank.unwrap_or(least).min(least),
        }
    }
}

/// Why something made of A is not finite: where A is not, or that `what` overflowed.
fn non_finite<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    (what, dtype): (&'static str, &'static str),
) -> Result<Error> {
    Ok(match a.find_non_finite()? {
        Some((row, col)) => Error::NonFinite { op, row, col },
        None => Error::Overflow { op, what, dtype },
    })
}

/// A sketch of A that is not finite: says where A is not, or that the product overflowed.
pub(crate) fn explain_non_finite<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    sketch: MatRef<'_, T, D>,
) -> Result<()> {
    finite_scale(op, a, sketch).map(|_| ())
}

/// The largest entry of a sketch of A, and the exponent to take out of it so that its squares stay off the ends
/// of the range.
pub(crate) fn finite_scale<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    sketch: MatRef<'_, T, D>,
) -> Result<(f64, i32)> {
    let largest = sketch.device().max_abs(sketch)?;
    match far_exponent(largest) {
        Some(exponent) => Ok((largest, exponent)),
        None => Err(non_finite(op, a, ("the product of A with a block", T::NAME))?),
    }
}

/// ‖A‖_F where A knows it, which must be finite.
pub(crate) fn finite_norm<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
) -> Result<Option<f64>> {
    match a.norm_fro()? {
        Some(norm) if !norm.is_finite() => {
            Err(non_finite(op, a, ("the Frobenius norm of A", "f64"))?)
        }
        norm => Ok(norm),
    }
}
