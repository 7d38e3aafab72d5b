//! The operator as plain data.

use crate::{Error, Result};
use core::ops::Range;

/// The family of a random operator.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Independent N(0, 1) entries.
    Gaussian = 0,
    /// Independent ±1 entries.
    Rademacher = 1,
    /// Independent entries, uniform on (−√3, √3), so of variance 1.
    Uniform = 2,
    /// Every column has ζ entries ±1 in distinct rows, all sets of rows alike (SASO, OSNAP).
    SparseSign = 3,
    /// ζ CountSketches on top of each other: every column has one entry ±1 in each of ζ blocks of
    /// rows.
    SparseStack = 4,
    /// Every column has one entry ±1 (SparseStack with ζ = 1).
    CountSketch = 5,
    /// Every row has ζ entries, drawn with replacement: a column drawn ℓ times gets ±√ℓ (LASO,
    /// LESS-uniform).
    Laso = 6,
    /// Rows of the identity, drawn without replacement.
    RowSampling = 7,
    /// Rows, drawn without replacement, of H D: H the orthonormal Walsh-Hadamard matrix of order
    /// 2^⌈log₂ m⌉, D random signs, columns beyond m cut off.
    Srht = 8,
    /// Rows, drawn without replacement, of C D: C the orthonormal DCT-II of order m, D random
    /// signs.
    Srct = 9,
    /// Rows, drawn without replacement, of H D₃ H D₂ H D₁ as in SRHT: closer to Haar.
    HadamardDiagonal = 10,
    /// The first d rows of a Haar-distributed orthogonal matrix of order m.
    Haar = 11,
    /// Rows and columns in M blocks, each block of columns wired to κ blocks of rows, and s entries
    /// ±1 of every column in each of these (FlashSketch).
    BlockPermSjlt = 12,
}

impl Family {
    /// Independent entries: Gaussian, Rademacher, Uniform.
    pub fn is_dense(self) -> bool {
        matches!(self, Self::Gaussian | Self::Rademacher | Self::Uniform)
    }

    /// ζ entries a column: SparseSign, SparseStack, CountSketch, BlockPerm-SJLT.
    pub fn is_column_sparse(self) -> bool {
        matches!(
            self,
            Self::SparseSign | Self::SparseStack | Self::CountSketch | Self::BlockPermSjlt
        )
    }

    /// Few entries a row: LASO, row sampling.
    pub fn is_row_sparse(self) -> bool {
        matches!(self, Self::Laso | Self::RowSampling)
    }

    /// Sampled rows of a transform: SRHT, SRCT, Hadamard-diagonal.
    pub fn is_transform(self) -> bool {
        matches!(self, Self::Srht | Self::Srct | Self::HadamardDiagonal)
    }
}

/// A random d×m operator S as plain data: nothing is stored but what names its entries.
///
/// Operators are isotropic by default, E‖Sx‖² = ‖x‖²; [`Sketch::raw`] gives the distribution of
/// [`Family`] without a factor. [`Sketch::rows`] and [`Sketch::columns`] leave a window of the
/// operator, which is an operator again: column blocks of S applied to row blocks of A add up to
/// S·A.
///
/// The same value names the same entries, bit for bit, on every device, for any number of threads.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sketch {
    pub(super) family: Family,
    pub(super) nnz: u32,
    pub(super) blocks: u32,
    pub(super) wirings: u32,
    pub(super) d: u64,
    pub(super) m: u64,
    pub(super) seed: u64,
    pub(super) scale: f64,
    pub(super) row_start: u64,
    pub(super) row_count: u64,
    pub(super) col_start: u64,
    pub(super) col_count: u64,
}

/// Rows of an operator are counted in 32 bits, one of which carries a sign in sparse families.
const MAX_ROWS: usize = (1 << 31) - 1;

impl Sketch {
    /// Gaussian: entries N(0, 1/d). Cost of S·A: 2dmn flops. The yardstick of all families.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when d ≥ 2³¹.
    pub fn gaussian(d: usize, m: usize, seed: u64) -> Result<Self> {
        Self::dense("Sketch::gaussian", Family::Gaussian, d, m, seed)
    }

    /// Rademacher: entries ±1/√d. As good as Gaussian and cheaper to generate.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when d ≥ 2³¹.
    pub fn rademacher(d: usize, m: usize, seed: u64) -> Result<Self> {
        Self::dense("Sketch::rademacher", Family::Rademacher, d, m, seed)
    }

    /// Uniform: entries uniform on (−√(3/d), √(3/d)).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when d ≥ 2³¹.
    pub fn uniform(d: usize, m: usize, seed: u64) -> Result<Self> {
        Self::dense("Sketch::uniform", Family::Uniform, d, m, seed)
    }

    fn dense(op: &'static str, family: Family, d: usize, m: usize, seed: u64) -> Result<Self> {
        Self::new(op, family, 0, d, m, seed, isotropic(1.0, d as f64))
    }

    /// SparseSign: every column has `nnz` = ζ entries ±1/√ζ in distinct rows. Cost of S·A: 2ζmn
    /// flops and one pass over A. ζ = 8 embeds like Gaussian in practice.
    ///
    /// Source: Cohen, "Nearly tight oblivious subspace embeddings by trace inequalities", 2016.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 1 ≤ ζ ≤ d (any ζ ≥ 1 when d = 0), or d ≥ 2³¹.
    pub fn sparse_sign(d: usize, m: usize, nnz: usize, seed: u64) -> Result<Self> {
        let op = "Sketch::sparse_sign";
        let nnz = check_nnz(op, nnz, d)?;
        Self::new(op, Family::SparseSign, nnz, d, m, seed, isotropic(1.0, f64::from(nnz)))
    }

    /// SparseStack: every column has one entry ±1/√ζ in each of `nnz` = ζ blocks of about d/ζ rows.
    /// Cost as [`Sketch::sparse_sign`], and positions are cheaper. The default family, with ζ = 8.
    ///
    /// Source: Kane and Nelson, "Sparser Johnson-Lindenstrauss transforms", 2014, block form.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 1 ≤ ζ ≤ d (any ζ ≥ 1 when d = 0), or d ≥ 2³¹.
    pub fn sparse_stack(d: usize, m: usize, nnz: usize, seed: u64) -> Result<Self> {
        let op = "Sketch::sparse_stack";
        let nnz = check_nnz(op, nnz, d)?;
        Self::new(op, Family::SparseStack, nnz, d, m, seed, isotropic(1.0, f64::from(nnz)))
    }

    /// CountSketch: every column has one entry ±1. One addition an entry of A; a subspace of
    /// dimension k needs d ~ k², where ζ = 8 needs d ~ k.
    ///
    /// Source: Clarkson and Woodruff, "Low rank approximation and regression in input sparsity
    /// time", 2013.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when d ≥ 2³¹.
    pub fn count_sketch(d: usize, m: usize, seed: u64) -> Result<Self> {
        let op = "Sketch::count_sketch";
        Self::new(op, Family::CountSketch, 1, d, m, seed, 1.0)
    }

    /// LASO: every row has `nnz` = ζ entries drawn with replacement, scaled by √(m/(ζd)). Reads
    /// at most ζd rows of A; embeds coherent matrices poorly.
    ///
    /// Source: Dereziński et al., "Newton-LESS", 2021 (LESS-uniform).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 1 ≤ ζ < 2³¹, and m ≥ 1 when d ≥ 1.
    pub fn laso(d: usize, m: usize, nnz: usize, seed: u64) -> Result<Self> {
        let op = "Sketch::laso";
        if nnz == 0 || nnz > MAX_ROWS {
            return Err(Error::invalid(op, "nnz", nnz, format!("1 to {MAX_ROWS}")));
        }
        if m == 0 && d > 0 {
            return Err(Error::invalid(op, "m", m, "at least 1"));
        }
        let scale = isotropic(m as f64, nnz as f64 * d as f64);
        Self::new(op, Family::Laso, nnz as u32, d, m, seed, scale)
    }

    /// Uniform row sampling without replacement, scaled by √(m/d). Reads d rows of A; right for
    /// incoherent matrices only.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when d > m.
    pub fn row_sampling(d: usize, m: usize, seed: u64) -> Result<Self> {
        let op = "Sketch::row_sampling";
        check_at_most(op, d, m, "m")?;
        Self::new(op, Family::RowSampling, 1, d, m, seed, isotropic(m as f64, d as f64))
    }

    /// Subsampled randomised Hadamard transform, √(n₂/d)·P·H·D with n₂ = 2^⌈log₂ m⌉ and implicit
    /// zero padding. Cost of S·A: mn log₂ m additions. Orthogonal when d = m = n₂.
    ///
    /// Source: Tropp, "Improved analysis of the subsampled randomized Hadamard transform", 2011.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when d > n₂ or m > 2³⁸.
    pub fn srht(d: usize, m: usize, seed: u64) -> Result<Self> {
        Self::hadamard("Sketch::srht", Family::Srht, 1, d, m, seed)
    }

    /// Hadamard-diagonal orthogonal operator: rows of H·D₃·H·D₂·H·D₁, padded and scaled like
    /// [`Sketch::srht`], at three times its cost.
    ///
    /// Source: Yu et al., "Orthogonal random features", 2016.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when d > 2^⌈log₂ m⌉ or m > 2³⁸.
    pub fn hadamard_diagonal(d: usize, m: usize, seed: u64) -> Result<Self> {
        Self::hadamard("Sketch::hadamard_diagonal", Family::HadamardDiagonal, 3, d, m, seed)
    }

    fn hadamard(
        op: &'static str,
        family: Family,
        rounds: u32,
        d: usize,
        m: usize,
        seed: u64,
    ) -> Result<Self> {
        check_transform_len(op, m)?;
        let order = if m == 0 { 0 } else { m.next_power_of_two() };
        check_at_most(op, d, order, "2^⌈log₂ m⌉")?;
        Self::new(op, family, rounds, d, m, seed, isotropic(order as f64, d as f64))
    }

    /// Subsampled randomised cosine transform, √(m/d)·P·C·D with C the orthonormal DCT-II of order
    /// m, any m, no padding. Cost of S·A: O(mn log m) flops.
    ///
    /// Source: Avron, Maymounkov and Toledo, "Blendenpik", 2010.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when d > m.
    pub fn srct(d: usize, m: usize, seed: u64) -> Result<Self> {
        let op = "Sketch::srct";
        check_transform_len(op, m)?;
        check_at_most(op, d, m, "m")?;
        Self::new(op, Family::Srct, 1, d, m, seed, isotropic(m as f64, d as f64))
    }

    /// Haar: √(m/d) times d rows of a Haar-distributed orthogonal matrix of order m. Costs
    /// 4d²m flops and 8dm bytes to generate, on the host, once a call; [`Sketch::prepare`] keeps it.
    /// The copy to a GPU cannot be captured in a graph: what is captured must be prepared before.
    ///
    /// Source: Mezzadri, "How to generate random matrices from the classical compact groups", 2007.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when d > m.
    pub fn haar(d: usize, m: usize, seed: u64) -> Result<Self> {
        let op = "Sketch::haar";
        check_at_most(op, d, m, "m")?;
        Self::new(op, Family::Haar, 0, d, m, seed, isotropic(m as f64, d as f64))
    }

    pub(super) fn new(
        op: &'static str,
        family: Family,
        nnz: u32,
        d: usize,
        m: usize,
        seed: u64,
        scale: f64,
    ) -> Result<Self> {
        check_at_most(op, d, MAX_ROWS, "2^31 - 1")?;
        let (d, m) = (d as u64, m as u64);
        let (row_start, row_count, col_start, col_count) = (0, d, 0, m);
        Ok(Self {
            family,
            nnz,
            blocks: 0,
            wirings: 0,
            d,
            m,
            seed,
            scale,
            row_start,
            row_count,
            col_start,
            col_count,
        })
    }

    /// The same operator with the unscaled entries of its [`Family`].
    pub fn raw(self) -> Self {
        Self { scale: 1.0, ..self }
    }

    /// The same operator with entries of its [`Family`] multiplied by `scale`.
    pub fn with_scale(self, scale: f64) -> Self {
        Self { scale, ..self }
    }

    /// Rows `range` of the operator, for instance the part of a sketch that one machine keeps.
    ///
    /// # Panics
    /// When the range runs past the last row, as slicing does.
    pub fn rows(self, range: Range<usize>) -> Self {
        let end = self.nrows();
        assert!(range.start <= range.end && range.end <= end, "rows {range:?} of {end}");
        let row_start = self.row_start + range.start as u64;
        Self { row_start, row_count: range.len() as u64, ..self }
    }

    /// Columns `range` of the operator: what meets rows `range` of A.
    ///
    /// # Panics
    /// When the range runs past the last column, as slicing does.
    pub fn columns(self, range: Range<usize>) -> Self {
        let end = self.ncols();
        assert!(range.start <= range.end && range.end <= end, "columns {range:?} of {end}");
        let col_start = self.col_start + range.start as u64;
        Self { col_start, col_count: range.len() as u64, ..self }
    }

    /// The number of rows: the embedding dimension d, or what [`Sketch::rows`] left of it.
    pub fn nrows(&self) -> usize {
        self.row_count as usize
    }

    /// The number of columns: the length m of what is sketched, or what [`Sketch::columns`] left.
    pub fn ncols(&self) -> usize {
        self.col_count as usize
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.nrows(), self.ncols())
    }

    /// d and m of the whole operator, of which this may be a window.
    pub fn full_shape(&self) -> (usize, usize) {
        (self.d as usize, self.m as usize)
    }

    /// The rows of the whole operator that this window covers.
    pub fn row_range(&self) -> Range<usize> {
        self.row_start as usize..(self.row_start + self.row_count) as usize
    }

    /// The columns of the whole operator that this window covers.
    pub fn col_range(&self) -> Range<usize> {
        self.col_start as usize..(self.col_start + self.col_count) as usize
    }

    /// The family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// ζ: entries a column (SparseSign, SparseStack, CountSketch; κ·s of BlockPerm-SJLT) or draws a
    /// row (LASO).
    pub fn nnz(&self) -> usize {
        self.nnz as usize
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The factor on the entries of the [`Family`].
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Whether this and another operator have the same entries where both have any, up to the scale.
    pub(crate) fn is_part_of_same(&self, other: &Self) -> bool {
        let whole = |s: &Self| (s.family, s.nnz, s.blocks, s.wirings, s.d, s.m, s.seed);
        whole(self) == whole(other)
    }

    /// How many sign-and-transform rounds a transform family has.
    pub(crate) fn rounds(&self) -> u32 {
        self.nnz
    }

    /// The order of the transform: 2^⌈log₂ m⌉ for Hadamard families, m for the others.
    pub(crate) fn transform_len(&self) -> usize {
        match self.family {
            Family::Srht | Family::HadamardDiagonal if self.m > 0 => {
                (self.m as usize).next_power_of_two()
            }
            _ => self.m as usize,
        }
    }
}

/// √(numerator/denominator), or 1 for an operator without rows.
pub(super) fn isotropic(numerator: f64, denominator: f64) -> f64 {
    if denominator > 0.0 { (numerator / denominator).sqrt() } else { 1.0 }
}

/// An operator without rows has no entries, whatever ζ says.
fn check_nnz(op: &'static str, nnz: usize, d: usize) -> Result<u32> {
    if (1..=MAX_ROWS).contains(&nnz) && (nnz <= d || d == 0) {
        Ok(nnz as u32)
    } else {
        Err(Error::invalid(op, "nnz", nnz, format!("1 to d = {d}")))
    }
}

/// Signs of a transform are addressed by 39 bits.
fn check_transform_len(op: &'static str, m: usize) -> Result<()> {
    const LONGEST: usize = 1 << 38;
    if m <= LONGEST { Ok(()) } else { Err(Error::invalid(op, "m", m, "at most 2^38")) }
}

fn check_at_most(op: &'static str, d: usize, limit: usize, name: &str) -> Result<()> {
    if d <= limit {
        Ok(())
    } else {
        Err(Error::invalid(op, "d", d, format!("at most {name} = {limit}")))
    }
}
