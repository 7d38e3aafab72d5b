//! BlockPerm-SJLT, the operator of FlashSketch: a sparse family whose structure suits caches and GPUs.
//!
//! S is cut into M×M blocks, of which κ a row and κ a column are filled: the union of κ edge-disjoint
//! permutations of the blocks ([`random::BlockPerm`](crate::random::BlockPerm) says which). In a filled
//! block a column has s entries, so that it has κ·s in all, each ±1/√(κs) and E‖Sx‖² = ‖x‖².
//!
//! A block of rows of S·A meets κ blocks of rows of A only. A GPU sums it up in shared memory while these
//! stream by; no two tasks add to one entry.
//!
//! # Cost
//! 2κs·mn flops. On the CPU one pass over A, as for the other sparse families, and a tenth to a fifth less time:
//! the rows of S·A that a block of columns names stay in the L1 cache. On a GPU κ passes, of which the L2
//! cache serves what it can, and no positions in memory (`cuda/block_perm.cu`).
//!
//! # Quality
//! For ‖x‖ = 1 and blocks of equal length, with wₕ the weight Σxⱼ² of block h of columns and f = Σxⱼ⁴,
//!
//! > Var ‖Sx‖² = (2/d)·((M/κ)·(Σwₕ² − f) + (M/(M − 1))·(1 − 1/κ)·(1 − Σwₕ²)).
//!
//! Where all blocks have the same weight that is 2(1 − (M/κ)f)/d, as good as any sparse family. Where
//! one block has all of it, S embeds like an operator of κd/M rows: that is the price of the structure,
//! and κ = M, where all blocks are wired, does not pay it.

use super::operator::isotropic;
use super::{Family, Sketch};
use crate::random::BlockPerm;
use crate::{Error, Result};

/// Rows of a block when the number of blocks is not given: what GPU kernels sum up at once.
const BLOCK_ROWS: usize = 64;

/// The parameters of [`Sketch::block_perm_sjlt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPermParams {
    blocks: Option<usize>,
    wirings: usize,
    nnz: usize,
}

impl Default for BlockPermParams {
    fn default() -> Self {
        Self::new()
    }
}

impl BlockPermParams {
    /// κ = 4 wirings with s = 2 entries each, blocks of at most 64 rows: eight entries a column, as many
    /// as the default family has.
    pub const fn new() -> Self {
        Self { blocks: None, wirings: 4, nnz: 2 }
    }

    /// M: blocks of rows and of columns. Default max(κ, ⌈d/64⌉), but no more than ⌊d/s⌋.
    ///
    /// Fewer blocks embed better; blocks of more than 64 rows make GPUs read A more often.
    pub const fn blocks(self, blocks: usize) -> Self {
        Self { blocks: Some(blocks), ..self }
    }

    /// κ: blocks of rows that a block of columns reaches. Default 4.
    ///
    /// More wirings mix matrices better whose weight is in few neighbouring rows.
    pub const fn wirings(self, wirings: usize) -> Self {
        Self { wirings, ..self }
    }

    /// s: entries of a column in each block that it reaches. Default 2.
    pub const fn nnz(self, nnz: usize) -> Self {
        Self { nnz, ..self }
    }
}

impl Sketch {
    /// BlockPerm-SJLT: rows and columns in M blocks, each block of columns wired to κ blocks of rows, with
    /// s entries ±1/√(κs) a column in each. Cost of S·A: 2κs·mn flops.
    ///
    /// The family for GPUs: a block of rows of S·A is summed in fast memory, without positions in slow
    /// memory and without atomics. Any d and m: the first d mod M blocks of rows and m mod M blocks of
    /// columns are one longer than the others. Both lengths are fixed at creation: a longer operator does not
    /// begin with the shorter one. Spread a matrix over the blocks or raise κ where few neighbouring rows
    /// carry its weight; Var ‖Sx‖² is up to M/κ times that of [`Sketch::sparse_stack`] there.
    ///
    /// Source: Dwaraknath, Kim and Pilanci, "FlashSketch", 2026 (arXiv 2602.06071).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 1 ≤ s, 1 ≤ κ ≤ M and M·s ≤ d (any parameters ≥ 1 with κ ≤ M when
    /// d = 0), or d ≥ 2³¹.
    ///
    /// ```
    /// use randnla::{BlockPermParams, Sketch};
    /// let s = Sketch::block_perm_sjlt(1024, 1_000_000, BlockPermParams::new(), 42)?;
    /// assert_eq!((s.blocks(), s.wirings(), s.nnz()), (16, 4, 8));
    /// # Ok::<(), randnla::Error>(())
    /// ```
    pub fn block_perm_sjlt(d: usize, m: usize, params: BlockPermParams, seed: u64) -> Result<Self> {
        let op = "Sketch::block_perm_sjlt";
        let BlockPermParams { blocks, wirings, nnz } = params;
        let most = if d == 0 { MOST } else { d };
        let in_range = |name, value: usize, limit: usize, meaning: &str| match value {
            0 => Err(Error::invalid(op, name, value, "at least 1")),
            value if value > limit => {
                Err(Error::invalid(op, name, value, format!("1 to {meaning} = {limit}")))
            }
            _ => Ok(()),
        };
        in_range("nnz", nnz, most, "d")?;
        let automatic = d.div_ceil(BLOCK_ROWS).max(wirings).min(most / nnz);
        let blocks = blocks.unwrap_or(automatic);
        in_range("blocks", blocks, most / nnz, "d/nnz")?;
        in_range("wirings", wirings, blocks, "blocks")?;
        let entries = wirings * nnz;
        let scale = isotropic(1.0, entries as f64);
        let whole = Self::new(op, Family::BlockPermSjlt, entries as u32, d, m, seed, scale)?;
        Ok(Self { blocks: blocks as u32, wirings: wirings as u32, ..whole })
    }

    /// M: blocks of rows and of columns of BlockPerm-SJLT; 0 for other families.
    pub fn blocks(&self) -> usize {
        self.blocks as usize
    }

    /// κ: blocks of rows that a block of columns of BlockPerm-SJLT reaches; 0 for other families.
    pub fn wirings(&self) -> usize {
        self.wirings as usize
    }

    /// The wirings of a BlockPerm-SJLT with d ≥ 1.
    pub(crate) fn block_perm(&self) -> BlockPerm {
        let nnz = self.nnz / self.wirings;
        BlockPerm::new(self.seed, self.d as u32, self.m, self.blocks, self.wirings, nnz)
    }
}

/// Blocks, wirings and entries of an operator without rows.
const MOST: usize = (1 << 31) - 1;
