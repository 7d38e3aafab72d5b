//! Counter-based randomness: every random number of the library is a pure function of
//! `(format version, seed, stream, position)`.
//!
//! There is no generator state. An entry of an operator can be computed alone, in any order, on
//! any thread, on any instruction set, on the CPU or on a GPU, and has the same bits everywhere.
//! This module is the scalar definition; the vectorised fills of a device must reproduce it bit
//! for bit, and golden hashes in the tests freeze it across releases.
//!
//! # Format, version 1
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy
//! as 1, 2, 3*, SC 2011). One call turns a counter of four 32-bit words into a *block* of four
//! words `x0 x1 x2 x3`; [`words64`] reads them as two 64-bit words `w0 = x0 | x1 << 32` and
//! `w1 = x2 | x3 << 32`.
//!
//! | input | meaning |
//! |---|---|
//! | key 0, key 1 | low and high half of the 64-bit seed |
//! | counter 0 | index of the block inside its unit |
//! | counter 1, counter 2 | low and high half of the 64-bit unit index |
//! | counter 3 | stream number: format version `<< 16`, plus the identifier of [`Stream`] |
//!
//! The *unit* is the column of a dense or sparse operator, the row of LASO, or the round of a
//! transform; a *word pair* `t` below is 64-bit word `t % 2` of block `t / 2`.
//!
//! | family | unit | position | value |
//! |---|---|---|---|
//! | normal f32 | column j | row i: word i % 4 of block i / 4 | [`box_muller_f32`] of words (0, 1) and (2, 3) |
//! | normal f64 | column j | row i: half i % 2 of block i / 2 | [`box_muller_f64`] of the two 64-bit words |
//! | uniform f32 | column j | row i: word i % 4 of block i / 4 | `(2k + 1 − 2²⁴)·2⁻²⁴·√3`, k = top 24 bits |
//! | uniform f64 | column j | row i: half i % 2 of block i / 2 | `(2k + 1 − 2⁵³)·2⁻⁵³·√3`, k = top 53 bits |
//! | signs, any type | column j or round | row i: bit i % 32 of word (i % 128) / 32 of block i / 128 | −1 where the bit is set |
//! | sparse sign | column j | draw t: word pair t | [`sparse_sign_column`] (Floyd) |
//! | sparse stack | column j | draw t: word pair t | [`sparse_stack_column`] |
//! | BlockPerm-SJLT | column j | draw q of wiring ℓ: word pair q % 2 of block ℓ⌈s/2⌉ + q/2 | [`BlockPerm`] |
//! | LASO | row i | draw t: word pair t | [`laso_row`] |
//! | terms of a product | 0 | draw t, or decision on term t: word pair t | top 53 bits as a number in [0, 1); of all alike [`index`] |
//! | permutation | half of the position | round r: word pair 0 of block r | [`Permutation`] |
//!
//! The shape of the operator does not enter, so a longer operator begins with the shorter one; blocks
//! of BlockPerm-SJLT, permutations and LASO do depend on it.
//!
//! # Arithmetic
//! Floating-point values come from additions, multiplications, fused multiply-adds, square roots
//! and integer operations in a fixed order: no division, no library function, no subnormal
//! intermediate. On hardware without fused multiply-add, `mul_add` is a slow but exact call.
//! The f64 normals use 53 and 54 random bits; they are not f32 values cast up. Half-precision
//! operators are the f32 entries rounded to nearest.
//!
//! # Cost
//! The scalar functions recompute their whole block (about 10 ns); kernels use the fills of the
//! device, at a fraction of a nanosecond an entry.

mod block_perm;
mod dense;
mod elementary;
mod permutation;
mod philox;
mod sparse;

pub use block_perm::BlockPerm;
pub use dense::{normal_f32, normal_f64, sign, uniform_f32, uniform_f64};
pub use elementary::{box_muller_f32, box_muller_f64};
pub use permutation::Permutation;
pub use philox::{block, index, philox4x32_10, words64};
pub use sparse::{LasoEntry, laso_row, sparse_sign_column, sparse_stack_column};

pub(crate) use dense::{UNIFORM_STEP_F32, UNIFORM_STEP_F64, uniform_from_u32, uniform_from_u64};
pub(crate) use elementary::{
    COS_F32, COS_F64, LN_F32, LN_F64, MINUS_TWO_LN2_F32, MINUS_TWO_LN2_F64, QUARTER_TURN_F32,
    SIN_F32, SIN_F64, TWO_THIRDS_F32, TWO_THIRDS_F64,
};
pub(crate) use philox::{KEY_STEP, MULTIPLIER, ROUNDS};
pub(crate) use sparse::{LINEAR_SEARCH, row_blocks, stacked_column};

/// Version of the random format. A change of any bit of any family raises it.
pub const FORMAT_VERSION: u32 = 1;

/// Number that keeps the random numbers of different operator kinds apart: counter word 3.
///
/// The value is `FORMAT_VERSION << 16` plus an identifier, and is part of the frozen format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Stream {
    /// Gaussian operators in f32, and in the half-precision types rounded from it.
    GaussianF32 = FORMAT_VERSION << 16 | 1,
    /// Gaussian operators in f64.
    GaussianF64 = FORMAT_VERSION << 16 | 2,
    /// Uniform operators in f32, and in the half-precision types rounded from it.
    UniformF32 = FORMAT_VERSION << 16 | 3,
    /// Uniform operators in f64.
    UniformF64 = FORMAT_VERSION << 16 | 4,
    /// Rademacher operators of every type.
    Rademacher = FORMAT_VERSION << 16 | 5,
    /// Sparse sign operators.
    SparseSign = FORMAT_VERSION << 16 | 6,
    /// Sparse stack operators; CountSketch is the one with a single block.
    SparseStack = FORMAT_VERSION << 16 | 7,
    /// LASO (long-axis sparse) operators.
    Laso = FORMAT_VERSION << 16 | 8,
    /// Row sampling without replacement.
    RowSampling = FORMAT_VERSION << 16 | 9,
    /// Signs of the subsampled randomised Hadamard transform.
    SrhtSigns = FORMAT_VERSION << 16 | 10,
    /// Sampled rows of the subsampled randomised Hadamard transform.
    SrhtRows = FORMAT_VERSION << 16 | 11,
    /// Signs of the subsampled randomised cosine transform.
    DctSigns = FORMAT_VERSION << 16 | 12,
    /// Sampled rows of the subsampled randomised cosine transform.
    DctRows = FORMAT_VERSION << 16 | 13,
    /// Gaussian matrix from which a Haar operator is orthogonalised.
    HaarGaussian = FORMAT_VERSION << 16 | 14,
    /// Signs of the rounds of a Hadamard-diagonal operator (unit = round).
    HadamardDiagonalSigns = FORMAT_VERSION << 16 | 15,
    /// Sampled rows of a Hadamard-diagonal operator.
    HadamardDiagonalRows = FORMAT_VERSION << 16 | 16,
    /// Key of the probe vectors of a-posteriori error estimates; unit 1 is that of a stream.
    Probe = FORMAT_VERSION << 16 | 17,
    /// Key of the test matrix of a range finder; units 1 and 2 are those of the four operators of a stream.
    RangeFinder = FORMAT_VERSION << 16 | 18,
    /// Rows and signs of BlockPerm-SJLT operators (unit = column).
    BlockPermEntries = FORMAT_VERSION << 16 | 19,
    /// Permutation of the blocks of a BlockPerm-SJLT operator.
    BlockPermPlaces = FORMAT_VERSION << 16 | 20,
    /// Distances between the wirings of a BlockPerm-SJLT operator.
    BlockPermShifts = FORMAT_VERSION << 16 | 21,
    /// Key of the CountSketches of a TensorSketch.
    TensorSketch = FORMAT_VERSION << 16 | 22,
    /// Proposed pivots of a randomly pivoted Cholesky factorization and the draws that accept them (unit = round).
    CholeskyPivots = FORMAT_VERSION << 16 | 40,
    /// Key of the probe vectors of estimators of traces, diagonals and norms.
    Estimator = FORMAT_VERSION << 16 | 41,
    /// Draws of the terms of an approximate product.
    ProductDraws = FORMAT_VERSION << 16 | 50,
    /// Random order of the terms of a systematic sample.
    ProductOrder = FORMAT_VERSION << 16 | 51,
    /// Rows of an approximate product that are computed exactly.
    ProductRows = FORMAT_VERSION << 16 | 52,
    /// Keys of the random vectors of a plan for a product.
    ProductPlan = FORMAT_VERSION << 16 | 53,
}

impl Stream {
    /// The number as it stands in counter word 3.
    pub const fn number(self) -> u32 {
        self as u32
    }
}

#[cfg(test)]
mod statistics;
