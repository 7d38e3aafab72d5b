//! BlockPerm-SJLT: which rows a column has entries in.
//!
//! The rows 0..d and the columns 0..m are cut into M blocks each, the first d mod M (m mod M) of
//! them one longer than the others. Of κ *wirings*, wiring ℓ joins block h of columns to block
//!
//! > g = (π(h) + σ(ℓ)) mod M
//!
//! of rows, π and σ being keyed permutations of 0..M ([`Permutation`]). A wiring is a permutation of
//! the blocks, and no two join the same pair, since the σ(ℓ) differ: the wirings are edge-disjoint,
//! every block of columns reaches κ blocks of rows and the other way round. Between two wired blocks
//! a column has s entries as in a sparse stack: one in each of s parts of the block of rows. Two
//! blocks of columns share κ(κ − 1)/(M − 1) blocks of rows in the mean, as for κ-subsets of 0..M
//! that are drawn one after the other.
//!
//! Source: Dwaraknath, Kim, Pilanci, *FlashSketch: sketch-kernel co-design for fast sparse sketching
//! on GPUs* (arXiv 2602.06071). The paper asks for M that divides d and m, and for edge-disjoint
//! permutations; how they are drawn, ragged blocks and the parts of a block are choices made here,
//! so that each column, each wiring and its inverse can be computed by itself.
//!
//! # Cost
//! ⌈s/2⌉ blocks of Philox a column and wiring; two keyed permutations a pair of wired blocks.

use super::sparse::{row_blocks, stacked_column};
use super::{Permutation, Stream};
use core::ops::Range;

/// The wirings and entries of a BlockPerm-SJLT operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPerm {
    seed: u64,
    d: u32,
    m: u64,
    blocks: u32,
    wirings: u32,
    nnz: u32,
    places: Permutation,
    shifts: Permutation,
}

impl BlockPerm {
    /// A d×m operator with M = `blocks`, κ = `wirings` and s = `nnz` entries a column and wiring.
    ///
    /// 1 ≤ κ ≤ M, 1 ≤ s ≤ ⌊d/M⌋ and d < 2³¹.
    pub fn new(seed: u64, d: u32, m: u64, blocks: u32, wirings: u32, nnz: u32) -> Self {
        debug_assert!((1..=blocks).contains(&wirings) && (1..=d / blocks).contains(&nnz));
        let permutation = |stream| Permutation::new(seed, stream, u64::from(blocks));
        let places = permutation(Stream::BlockPermPlaces);
        let shifts = permutation(Stream::BlockPermShifts);
        Self { seed, d, m, blocks, wirings, nnz, places, shifts }
    }

    /// The rows of block `g`.
    pub fn rows(&self, g: u32) -> Range<u32> {
        let rows = cut(u64::from(self.d), self.blocks, g);
        rows.start as u32..rows.end as u32
    }

    /// The columns of block `h`.
    pub fn columns(&self, h: u32) -> Range<u64> {
        cut(self.m, self.blocks, h)
    }

    /// The block of column `j` < m.
    pub fn block_of_column(&self, j: u64) -> u32 {
        let (short, longer) = (self.m / u64::from(self.blocks), self.m % u64::from(self.blocks));
        let long = short.saturating_add(1);
        let long_ones = longer * long;
        let block = match j < long_ones {
            true => j / long,
            false => longer + (j - long_ones) / short,
        };
        block as u32
    }

    /// The block of rows that wiring `wiring` joins to block `h` of columns.
    pub fn output(&self, h: u32, wiring: u32) -> u32 {
        let sum = self.places.get(u64::from(h)) + self.shifts.get(u64::from(wiring));
        (sum % u64::from(self.blocks)) as u32
    }

    /// The block of columns that wiring `wiring` joins to block `g` of rows.
    pub fn input(&self, g: u32, wiring: u32) -> u32 {
        let blocks = u64::from(self.blocks);
        let shift = self.shifts.get(u64::from(wiring));
        self.places.inverse((u64::from(g) + blocks - shift) % blocks) as u32
    }

    /// Column `j`: its κ·s entries packed `row << 1 | negative`, wiring by wiring.
    pub fn column(&self, j: u64, out: &mut [u32]) {
        let ranges: Vec<_> = self.ranges(self.block_of_column(j)).collect();
        stacked_column(self.seed, Stream::BlockPermEntries, j, &ranges, self.nnz(), out);
    }

    /// The seed.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// s: entries of a column in each block that it reaches.
    pub(crate) fn nnz(&self) -> usize {
        self.nnz as usize
    }

    /// The ranges of rows that the entries of the columns of block `h` are drawn from, in the order
    /// of the entries.
    pub(crate) fn ranges(&self, h: u32) -> impl Iterator<Item = Range<u32>> {
        (0..self.wirings).flat_map(move |wiring| self.parts(self.output(h, wiring)))
    }

    /// The s parts of block `g` of rows.
    fn parts(&self, g: u32) -> impl Iterator<Item = Range<u32>> + use<> {
        let rows = self.rows(g);
        let parts = row_blocks(rows.end - rows.start, self.nnz);
        parts.map(move |part| rows.start + part.start..rows.start + part.end)
    }

    /// The permutations π and σ.
    #[cfg(feature = "cuda")]
    pub(crate) fn permutations(&self) -> [Permutation; 2] {
        [self.places, self.shifts]
    }
}

/// Block `k` of 0..len in `blocks` blocks, the first len mod `blocks` of them one longer.
fn cut(len: u64, blocks: u32, k: u32) -> Range<u64> {
    let (short, longer) = (len / u64::from(blocks), len % u64::from(blocks));
    let start = |k: u64| k * short + k.min(longer);
    start(u64::from(k))..start(u64::from(k) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const SHAPES: [(u32, u64, u32, u32, u32); 7] = [
        (1, 1, 1, 1, 1),
        (8, 5, 8, 8, 1),
        (23, 100, 5, 2, 3),
        (64, 1000, 4, 4, 16),
        (600, 17, 37, 6, 5),
        (1000, 1 << 40, 16, 4, 2),
        ((1 << 31) - 1, u64::MAX, 1 << 20, 9, 2),
    ];

    fn operators() -> impl Iterator<Item = BlockPerm> {
        SHAPES.into_iter().map(|(d, m, blocks, wirings, nnz)| {
            BlockPerm::new(u64::from(d) ^ m, d, m, blocks, wirings, nnz)
        })
    }

    /// The blocks that are looked at: all, or the first and last of many.
    fn some(blocks: u32) -> impl Iterator<Item = u32> {
        (0..blocks).filter(move |&k| k < 40 || k + 40 > blocks)
    }

    #[test]
    fn blocks_cover_rows_and_columns_once() {
        for s in operators() {
            for k in some(s.blocks) {
                assert_eq!(s.rows(k).start, if k == 0 { 0 } else { s.rows(k - 1).end });
                assert_eq!(s.columns(k).start, if k == 0 { 0 } else { s.columns(k - 1).end });
                let lengths = s.rows(0).len() - s.rows(k).len();
                assert!(lengths <= 1);
                let ends = [s.columns(k).start, s.columns(k).end.saturating_sub(1)];
                if !s.columns(k).is_empty() {
                    assert_eq!(ends.map(|j| s.block_of_column(j)), [k, k]);
                }
            }
            assert_eq!((s.rows(s.blocks - 1).end, s.columns(s.blocks - 1).end), (s.d, s.m));
        }
    }

    #[test]
    fn wirings_are_permutations_without_a_common_pair() {
        for s in operators() {
            for h in some(s.blocks) {
                let reached: HashSet<u32> = (0..s.wirings).map(|l| s.output(h, l)).collect();
                assert_eq!(reached.len(), s.wirings as usize);
                for wiring in 0..s.wirings {
                    assert_eq!(s.input(s.output(h, wiring), wiring), h);
                }
            }
        }
    }

    #[test]
    fn every_part_of_a_wired_block_has_one_entry() {
        for s in operators() {
            let mut column = vec![0; (s.wirings * s.nnz) as usize];
            for j in [0, s.m / 3, s.m - 1] {
                s.column(j, &mut column);
                let ranges = s.ranges(s.block_of_column(j));
                assert!(ranges.zip(&column).all(|(range, p)| range.contains(&(p >> 1))));
                let rows: HashSet<u32> = column.iter().map(|p| p >> 1).collect();
                assert_eq!(rows.len(), column.len());
            }
        }
    }
}
