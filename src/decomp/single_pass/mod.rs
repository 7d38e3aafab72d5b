//! The SVD of a matrix that is seen once, from linear sketches: A ≈ U Σ Vᵀ.
//!
//! A is never stored. What is kept of it, in [`StreamingSvd`], is linear in A:
//!
//! | sketch | is | shape | serves |
//! |---|---|---|---|
//! | range | Y = AΩᵀ | m×k | Q = orth(Y) |
//! | corange | X = ΥA | k×n | P = orth(Xᵀ) |
//! | core | Z = ΦAΨᵀ | s×s | C = (ΦQ)⁺ Z ((ΨP)⁺)ᵀ ≈ QᵀAP |
//! | error | W = ΘA | q×n | ‖W − ΘÂ‖_F estimates ‖A − Â‖_F |
//!
//! so blocks may come in any order, overlap, and be taken back, and sketches of parts add up to the sketch of the
//! sum. Then Â = Q C Pᵀ, and its leading singular triplets come from the SVD of C. Both pseudo-inverses are least-squares
//! problems of condition (1 + √(k/s))/(1 − √(k/s)), solved by a QR factorization, without a tolerance.
//! Singular values below 2u·max(m, n)·σ₁ are not returned, as by [`rsvd`](super::rsvd()).
//!
//! # How good it is
//! For Gaussian operators and s ≥ k + 2, with τⱼ² = Σ_{i ≥ j} σᵢ² the best error of rank j − 1,
//!
//! E‖A − Â‖²_F ≤ (s − 1)/(s − k − 1) · min_{ϱ < k − 1} (k + ϱ − 1)/(k − ϱ − 1) · τ²_{ϱ+1},
//!
//! and ‖A − Â_r‖_F ≤ τ_{r+1} + 2‖A − Â‖_F for the part of rank r. The default, a SparseStack with ζ = 8, gives the same
//! errors as Gaussian operators in every test here, at the cost of some 16 additions an entry of A for a sketch.
//!
//! # Scale and rounding
//! Sketches are sums of entries of A, so a stream need not know its scale: nothing is squared before the end, where
//! a power of two is taken out. Streams that are multiplied by a power of two give the same bits, scaled. What has been
//! added and taken back leaves the rounding errors of what was there at its largest.
//!
//! Limits: the error is that of a single pass, 1.2 to 2 times the best one where singular values decay slowly; with
//! more passes over A, [`rsvd`](super::rsvd()) is better. Directions far below the error are noise.
//!
//! Source: Tropp, Yurtsever, Udell and Cevher, "Streaming low-rank matrix approximation with an application to
//! scientific simulation", SIAM J. Sci. Comput. 41(4), 2019, arXiv 1902.08651: §2 (sketches), §4 (reconstruction), theorem
//! 5.1, §6 (errors and scree plots).

mod bytes;
mod factors;
mod state;

pub use factors::{Scree, SinglePassFactors};
pub use state::StreamingSvd;

use super::{Svd, explain_non_finite};
use crate::random::{Stream, words64};
use crate::{Backend, Error, Family, LinearOperator, Result, Scalar, Sketch};
use state::Operators;

/// What is kept of a stream, and which operators sketch it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SinglePassParams {
    rank: usize,
    size: Size,
    family: Family,
    nnz: usize,
    probes: usize,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    ByRank,
    Given { k: usize, s: usize },
    Within { numbers: usize },
}

impl SinglePassParams {
    /// Sketches that serve an approximation of rank r: k = 4r + 1 and s = 3k + 1.
    ///
    /// For r ≥ 1 the expected square of the error of Â is then below 2.5 times that of the best of rank r, whatever the spectrum.
    /// (The paper's s = 2k + 1 makes it 3.4 times; a larger core costs no time in the stream and little memory unless m + n
    /// is small.)
    pub fn rank(rank: usize) -> Self {
        Self {
            rank,
            size: Size::ByRank,
            family: Family::SparseStack,
            nnz: 8,
            probes: super::range::PROBES,
            seed: 0,
        }
    }

    /// k and s themselves, r + 2 ≤ k and k + 2 ≤ s.
    pub fn sizes(self, k: usize, s: usize) -> Self {
        Self { size: Size::Given { k, s }, ..self }
    }

    /// The best sketches of at most so many numbers in all, k(m + n) + s² + qn: the largest k with s = 2k + 1, which is
    /// right when singular values decay (paper, §5), and then the largest s.
    pub fn memory(self, numbers: usize) -> Self {
        Self { size: Size::Within { numbers }, ..self }
    }

    /// The family of Ω, Υ, Φ and Ψ. Default SparseStack: what a block costs is independent of k and s. Gaussian is
    /// what the theory is about, at 2(2k + s) flops an entry. Transforms suit large blocks only: each block is mixed
    /// at the length of the whole. Row sampling and LASO miss what is in few rows or columns.
    pub fn family(self, family: Family) -> Self {
        Self { family, ..self }
    }

    /// ζ of the sparse families. Default 8, or k where that is smaller.
    pub fn nnz(self, nnz: usize) -> Self {
        Self { nnz, ..self }
    }

    /// q: rows of the error sketch, which is Gaussian. Default 20: the relative standard deviation of the square of an
    /// error is at most √(2/20) = 0.32.
    pub fn probes(self, probes: usize) -> Self {
        Self { probes, ..self }
    }

    /// The seed of all operators. Default 0. States add up when they have the same seed and parameters.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// k and s for m×n matrices.
    fn lengths(&self, op: &'static str, (m, n): (usize, usize)) -> Result<(usize, usize)> {
        let (rank, short) = (self.rank, m.min(n));
        if rank > short {
            return Err(Error::invalid(op, "rank", rank, format!("at most min(m, n) = {short}")));
        }
        let least = rank.saturating_add(2);
        match self.size {
            Size::ByRank => {
                let k = rank.saturating_mul(4).saturating_add(1);
                Ok((k, k.saturating_mul(3).saturating_add(1)))
            }
            Size::Given { k, .. } if k < least => {
                Err(Error::invalid(op, "k", k, format!("at least rank + 2 = {least}")))
            }
            Size::Given { k, s } if s < k.saturating_add(2) => {
                Err(Error::invalid(op, "s", s, format!("at least k + 2 = {}", k.saturating_add(2))))
            }
            Size::Given { k, s } => Ok((k, s)),
            Size::Within { numbers } => {
                let needed = |k: usize, s: usize| {
                    let both = k.saturating_mul(m.saturating_add(n));
                    both.saturating_add(s.saturating_mul(s))
                        .saturating_add(self.probes.saturating_mul(n))
                };
                let core = |k: usize| k.saturating_mul(2).saturating_add(1);
                let k = largest(short.max(least), |k| needed(k, core(k)) <= numbers);
                if k < least {
                    let allowed = needed(least, core(least));
                    let allowed = format!("at least {allowed} for rank {rank}");
                    return Err(Error::invalid(op, "memory", numbers, allowed));
                }
                Ok((k, largest(m.max(n).max(core(k)), |s| needed(k, s) <= numbers)))
            }
        }
    }

    /// The operators for m×n matrices. A sketch that would not be shorter than what it is of keeps all of it: its
    /// operator is a permutation.
    fn operators(&self, op: &'static str, (m, n): (usize, usize)) -> Result<Operators> {
        if self.probes == 0 {
            return Err(Error::invalid(op, "probes", 0, "at least 1"));
        }
        let (k, s) = self.lengths(op, (m, n))?;
        // Keys of their own, apart from that of the range finder, which is unit 0.
        let [range, corange] = words64(self.seed, Stream::RangeFinder, 1, 0);
        let [left, right] = words64(self.seed, Stream::RangeFinder, 2, 0);
        let [probes, _] = words64(self.seed, Stream::Probe, 1, 0);
        let sketch = |d: usize, length: usize, key: u64| {
            if d >= length {
                return Sketch::row_sampling(length, length, key);
            }
            Sketch::of_family(self.family, d, length, self.nnz.min(d), key)
        };
        Ok(Operators {
            range: sketch(k, n, range)?,
            corange: sketch(k, m, corange)?,
            left: sketch(s, m, left)?,
            right: sketch(s, n, right)?,
            probes: Sketch::gaussian(self.probes, m, probes)?,
        })
    }
}

/// The largest x up to `limit` that fits, where all below one that fits do; 0 if none does.
fn largest(limit: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, limit);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// The leading singular triplets of A from one reading of it: a [`StreamingSvd`] of the whole of A at once.
///
/// For A that is slow to read, or to know what a stream would give. [`rsvd`](super::rsvd()) reads A six times and is
/// more accurate. A stored A is read block by block of no particular size; one that is only a product is multiplied
/// once from each side, by k + s and k + q vectors, and `passes` is 2.
///
/// # Errors
/// [`Error::InvalidArgument`] for a rank above min(m, n), and for lengths and operators that do not fit together;
/// [`Error::NonFinite`] with the position; [`Error::Overflow`]; [`Error::OutOfMemory`].
///
/// # Cost
/// For a SparseStack 2ζ·3mn flops, and 2qmn for the error; 6(m + n)k² for orthonormal bases, 6sk² + 2s²k for the core and
/// O(k³) on the host. Memory for k(m + n) + s² + qn numbers, twice during the reconstruction.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{SinglePassParams, svd_single_pass}};
/// let a = Mat::from_fn(&Cpu::new(), 300, 200, |i, j| 1.0 / (1 + i + j) as f64)?;
/// let svd = svd_single_pass(&a, SinglePassParams::rank(5).seed(7))?;
/// assert_eq!((svd.rank(), svd.passes), (5, 1));
/// println!("‖A − USVᵀ‖ / ‖A‖ = {:.1e} ({})", svd.error.relative, svd.error.kind);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn svd_single_pass<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: SinglePassParams,
) -> Result<Svd<T, D>> {
    let op = "svd_single_pass";
    let operators = params.operators(op, a.shape())?;
    let mut state = StreamingSvd::with_operators(a.device(), operators)?;
    state.add_operator(op, T::one(), a)?;
    for sketch in state.sketches() {
        explain_non_finite(op, a, sketch)?;
    }
    let passes = if a.as_matrix().is_some() { 1 } else { 2 };
    Ok(Svd { passes, ..state.factors()?.into_svd(params.rank)? })
}
