//! How well M = [A₁ | A₂ | …] is approximated in rank r, told by what is known of its blocks; and blocks that go well together.
//!
//! Energies that the leading r singular values have at least, Σ_{i ≤ r} σᵢ(M)² ≥ E, bound the best error of rank r:
//! err(M, r)² ≤ (‖M‖²_F − E)/‖M‖²_F, where ‖M‖²_F = Σ‖A_b‖²_F is known.
//!
//! | bound | E is the sum of the r largest | reads a block |
//! |---|---|---|
//! | [`bound_weyl`] | max_b σᵢ(A_b)², as MMᵀ ⪰ A_bA_bᵀ | alone |
//! | [`bound_residual`] | of all σᵢ((I − QQᵀ)A_b)², where Q holds the leading directions of the blocks before | and what is known of those before |
//! | [`IncrementalSvd`] | σ̂ᵢ² | the same; the tightest |
//!
//! The second is a pinching: with E_b the orthonormal directions that block b adds to Q, the eigenvalues of MMᵀ
//! majorise those of its diagonal blocks E_bᵀMMᵀE_b ⪰ E_bᵀA_bA_bᵀE_b, whose eigenvalues are the squares that are summed. Only
//! sums are bounded: a single one of the sorted values may be above σᵢ(M).
//!
//! Singular values of a block come from [`rsvd`], which never exceed the true ones, so the bounds hold whatever the seed does.
//!
//! Source: Shamrai, "Concatenated matrix SVD: compression bounds, incremental approximation, and error-constrained clustering",
//! arXiv 2601.11626, 2026, for the three bounds and the idea of clusters; the proof by pinching, and directions that are
//! orthonormal across blocks, are ours.

use super::basis::{Basis, project};
use super::incremental::hypotenuse;
use super::rsvd::{RsvdParams, rsvd};
use super::{ErrorEstimate, ErrorKind, IncrementalParams, IncrementalSvd};
use crate::error::check_shape;
use crate::operator::norm_fro;
use crate::{Backend, Error, Mat, MatRef, Result, Scalar};

/// A bound of the best relative error of rank `rank` of [A₁ | A₂ | …] from the singular values of each block alone.
///
/// Blocks that span the same directions are credited once only, so this is pessimistic for blocks that are alike.
///
/// # Errors
/// [`Error::ShapeMismatch`] when blocks have other numbers of rows; [`Error::DeviceMismatch`]; as [`rsvd`].
///
/// # Cost
/// An [`rsvd`] of every block.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{bound_residual, bound_weyl}};
/// let cpu = Cpu::new();
/// let a = Mat::from_fn(&cpu, 60, 9, |i, j| 1.0 / (1 + i + j) as f64)?;
/// let b = Mat::from_fn(&cpu, 60, 9, |i, j| 1.0 / (2 + i + 3 * j) as f64)?;
/// let blocks = [a.as_ref(), b.as_ref()];
/// let (weyl, residual) = (bound_weyl(&blocks, 3)?, bound_residual(&blocks, 3)?);
/// assert!(residual.relative <= weyl.relative);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn bound_weyl<T: Scalar, D: Backend<T>>(
    blocks: &[MatRef<'_, T, D>],
    rank: usize,
) -> Result<ErrorEstimate> {
    let norm = checked_norm("bound_weyl", blocks)?;
    Ok(certified::<T>(norm, &largest_values(blocks, rank)?))
}

/// max_b σᵢ(A_b) for i up to the rank.
fn largest_values<T: Scalar, D: Backend<T>>(
    blocks: &[MatRef<'_, T, D>],
    rank: usize,
) -> Result<Vec<f64>> {
    let mut values = vec![0.0f64; rank];
    for block in blocks {
        let svd = rsvd(block, leading(*block, rank))?;
        values.iter_mut().zip(svd.s).for_each(|(most, s)| *most = most.max(s.to_f64()));
    }
    Ok(values)
}

/// The same from what every block adds to those before it, by falling norm; or the bound of Weyl where that is tighter.
///
/// # Errors
/// As [`bound_weyl`].
///
/// # Cost
/// Two [`rsvd`]s and two projections of every block, 8mnr flops for the b-th times b; memory for as many vectors as
/// there are blocks times the rank.
pub fn bound_residual<T: Scalar, D: Backend<T>>(
    blocks: &[MatRef<'_, T, D>],
    rank: usize,
) -> Result<ErrorEstimate> {
    let op = "bound_residual";
    let norm = checked_norm(op, blocks)?;
    let weyl = certified::<T>(norm, &largest_values(blocks, rank)?);
    let norms = blocks.iter().map(|block| norm_fro(*block)).collect::<Result<Vec<_>>>()?;
    let mut values: Vec<f64> = Vec::new();
    let mut basis: Option<Basis<T, D>> = None;
    for index in by_falling_norm(&norms) {
        let block = &blocks[index];
        let basis = match &mut basis {
            Some(basis) => basis,
            none => none.insert(Basis::new(block.device(), block.nrows(), rank)?),
        };
        let mut left = block.to_owned()?;
        project(basis.as_ref(), left.as_mut())?;
        project(basis.as_ref(), left.as_mut())?;
        let (size, rest) = (norms[index], norm_fro(left.as_ref())?);
        let svd = rsvd(&left, leading(left.as_ref(), rank))?;
        // What rounding leaves of directions that are in Q is none.
        let floor = 16.0 * T::UNIT_ROUNDOFF * ((basis.len() + rank) as f64).sqrt() * size;
        let clear = svd.s.iter().take_while(|s| s.to_f64() > floor).count();
        let mut new = svd.u.truncate_columns(clear);
        let added = basis.extend(op, new.as_mut(), size / rest)?;
        let credited = if added == clear { clear } else { 0 };
        values.extend(svd.s[..credited].iter().map(|s| s.to_f64()));
    }
    values.sort_by(|x, y| y.total_cmp(x));
    values.truncate(rank);
    let residual = certified::<T>(norm, &values);
    Ok(if weyl.relative < residual.relative { weyl } else { residual })
}

/// The indices, the largest norm first.
fn by_falling_norm(norms: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..norms.len()).collect();
    order.sort_by(|&a, &b| norms[b].total_cmp(&norms[a]));
    order
}

fn leading<T: Scalar, D: Backend<T>>(block: MatRef<'_, T, D>, rank: usize) -> RsvdParams {
    RsvdParams::rank(rank.min(block.nrows()).min(block.ncols()))
}

/// ‖M‖_F.
fn checked_norm<T: Scalar, D: Backend<T>>(
    op: &'static str,
    blocks: &[MatRef<'_, T, D>],
) -> Result<f64> {
    let Some(first) = blocks.first() else { return Ok(0.0) };
    let mut norm = 0.0;
    for block in blocks {
        check_shape(op, "blocks", block.shape(), (first.nrows(), block.ncols()))?;
        if !first.device().is_compatible(block.device()) {
            return Err(Error::DeviceMismatch { op, argument: "blocks" });
        }
        norm = hypotenuse(norm, norm_fro(*block)?);
    }
    Ok(norm)
}

/// √(1 − Σvalues²/‖M‖²), and as much above as the subtraction may be off.
fn certified<T: Scalar>(norm: f64, values: &[f64]) -> ErrorEstimate {
    let kind = ErrorKind::Bound { failure_probability: 0.0 };
    if norm == 0.0 {
        return ErrorEstimate { absolute: 0.0, relative: 0.0, kind };
    }
    let energy: f64 = values.iter().map(|s| (s / norm).powi(2)).sum();
    let rounding = 16.0 * T::UNIT_ROUNDOFF * (values.len() as f64).sqrt();
    let relative = ((1.0 - energy).max(0.0) + rounding).sqrt().min(1.0);
    ErrorEstimate { absolute: relative * norm, relative, kind }
}

/// In which order blocks are offered to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterOrder {
    /// By falling norm.
    Norm,
    /// Always the one of which the smallest share is outside of the leading directions of the cluster; the first of a cluster by
    /// norm.
    Residual,
}

/// What [`cluster_by_error`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterParams {
    svd: IncrementalParams,
    tolerance: f64,
    order: ClusterOrder,
    patience: usize,
}

impl ClusterParams {
    /// Clusters whose rank-`rank` approximation has a relative error of at most `tolerance`.
    pub fn new(rank: usize, tolerance: f64) -> Self {
        let svd = IncrementalParams::rank(rank);
        Self { svd, tolerance, order: ClusterOrder::Residual, patience: usize::MAX }
    }

    /// The order. Default by residual.
    pub fn order(self, order: ClusterOrder) -> Self {
        Self { order, ..self }
    }

    /// After how many blocks in succession that do not fit a cluster is closed. Default: all are tried.
    pub fn patience(self, patience: usize) -> Self {
        Self { patience, ..self }
    }
}

/// Blocks that have a common basis.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Which blocks, in the order in which they were taken.
    pub members: Vec<usize>,
    /// The error of their common approximation.
    pub error: ErrorEstimate,
}

/// What [`cluster_by_error`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    /// Each block is in one of them, or among those left.
    pub clusters: Vec<Cluster>,
    /// Blocks that need a higher rank even alone.
    pub left: Vec<usize>,
}

/// Puts blocks together greedily, as long as the error of rank r of the blocks side by side is within the tolerance.
///
/// The best error of every cluster is at most the one reported, which is that of an [`IncrementalSvd`].
///
/// # Errors
/// [`Error::InvalidArgument`] for a tolerance outside (0, 1) or no patience; [`Error::ShapeMismatch`] when
/// blocks have other numbers of rows; as [`IncrementalSvd::push`].
///
/// # Cost
/// For N blocks up to N²/2 pushes, and as many products with r vectors for the order by residual.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{ClusterParams, cluster_by_error}};
/// let cpu = Cpu::new();
/// // Two kinds of blocks, of rank 2 each.
/// let block = |kind: usize| Mat::from_fn(&cpu, 30, 4, move |i, j| ((1 + kind) * i) as f64 * 0.1 + (j + i % (2 + kind)) as f64);
/// let blocks = [block(0)?, block(1)?, block(0)?, block(1)?];
/// let views = blocks.each_ref().map(Mat::as_ref);
/// let found = cluster_by_error(&views, ClusterParams::new(2, 0.05))?;
/// assert_eq!(found.clusters.iter().map(|c| c.members.len()).sum::<usize>() + found.left.len(), 4);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn cluster_by_error<T: Scalar, D: Backend<T>>(
    blocks: &[MatRef<'_, T, D>],
    params: ClusterParams,
) -> Result<Clustering> {
    let (op, rank) = ("cluster_by_error", params.svd.asked_rank());
    if !(params.tolerance > 0.0 && params.tolerance < 1.0) {
        let allowed = "between 0 and 1, both excluded";
        return Err(Error::invalid(op, "tolerance", params.tolerance, allowed));
    }
    if params.patience == 0 {
        return Err(Error::invalid(op, "patience", 0, "at least 1"));
    }
    checked_norm(op, blocks)?;
    let norms = blocks.iter().map(|block| norm_fro(*block)).collect::<Result<Vec<_>>>()?;
    let mut open = by_falling_norm(&norms);
    let mut found = Clustering { clusters: Vec::new(), left: Vec::new() };
    while !open.is_empty() {
        let first = blocks[open[0]];
        let mut svd = IncrementalSvd::new(first.device(), first.nrows(), params.svd)?;
        let (mut members, mut refused, mut misses) = (Vec::new(), Vec::new(), 0);
        while !open.is_empty() && misses < params.patience {
            let next = match params.order {
                ClusterOrder::Norm => 0,
                ClusterOrder::Residual => nearest(&svd, rank, blocks, &norms, &open)?,
            };
            let index = open.remove(next);
            let with = svd.with(blocks[index])?;
            if with.error(rank).relative <= params.tolerance {
                svd.accept(with);
                members.push(index);
                misses = 0;
            } else if members.is_empty() {
                found.left.push(index);
            } else {
                refused.push(index);
                misses += 1;
            }
        }
        if !members.is_empty() {
            found.clusters.push(Cluster { members, error: svd.error(rank) });
        }
        open.extend(refused);
        open.sort_by(|&a, &b| norms[b].total_cmp(&norms[a]).then(a.cmp(&b)));
    }
    Ok(found)
}

/// The place in `open` of the block with the largest share inside of the leading directions; the first when there are none.
fn nearest<T: Scalar, D: Backend<T>>(
    svd: &IncrementalSvd<T, D>,
    rank: usize,
    blocks: &[MatRef<'_, T, D>],
    norms: &[f64],
    open: &[usize],
) -> Result<usize> {
    let (u, mut best) = (svd.left(rank), (0, -1.0));
    if u.ncols() == 0 {
        return Ok(0);
    }
    for (place, &index) in open.iter().enumerate() {
        let block = blocks[index];
        let mut inside = Mat::scratch(u.device(), u.ncols(), block.ncols())?;
        let (one, zero) = (T::one(), T::zero());
        u.device().gemm(one, u.transpose(), block, zero, inside.as_mut())?;
        let norm = norms[index];
        let share = if norm == 0.0 { 1.0 } else { norm_fro(inside.as_ref())? / norm };
        if share > best.1 {
            best = (place, share);
        }
    }
    Ok(best.0)
}
