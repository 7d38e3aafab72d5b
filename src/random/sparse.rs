//! Sparse operators, one column (or row) at a time: sparse sign, sparse stack and LASO.
//!
//! Every draw takes one 64-bit word `w`: the index is [`index`]`(w, n)`, from the top bits, and
//! the sign the lowest bit of the same word. Draw `t` of unit `u` is word `t % 2` of block `t / 2`.
//! A row index and its sign are packed as `row << 1 | negative`, so `d < 2³¹`.
//!
//! Rows without repetition come from Floyd's algorithm (Bentley and Floyd, *A sample of
//! brilliance*, CACM 1987): draw `t` picks from the first `d − ζ + t + 1` rows, and takes row
//! `d − ζ + t` if its pick is taken. Every ζ-subset is equally likely. Cost: ζ words and, for
//! ζ ≤ 64, ζ²/2 comparisons; above, a hash table of 2ζ to 4ζ words.

use super::Stream;
use super::philox::{index, words64};
use std::ops::Range;

/// Largest ζ whose repetitions are found by comparing with all earlier rows.
pub(crate) const LINEAR_SEARCH: usize = 64;

/// Column `j` of a sparse sign operator: `out.len()` = ζ distinct rows of `0..d` with signs,
/// packed `row << 1 | negative`, in the order of the draws.
///
/// ζ ≤ d < 2³¹. The operator has the values ±1; its scale is applied elsewhere.
pub fn sparse_sign_column(seed: u64, d: u32, j: u64, out: &mut [u32]) {
    floyd(d, draws(seed, Stream::SparseSign, j, 0), out);
}

/// Column `j` of a sparse stack operator: `out.len()` = ζ rows with signs, packed
/// `row << 1 | negative`, one from each block of rows.
///
/// Block `t` covers rows `⌊t·d/ζ⌋..⌊(t+1)·d/ζ⌋`; ζ ≤ d < 2³¹. CountSketch is ζ = 1.
pub fn sparse_stack_column(seed: u64, d: u32, j: u64, out: &mut [u32]) {
    debug_assert!(out.len() <= d as usize && d < 1 << 31);
    stack(row_blocks(d, out.len() as u32), draws(seed, Stream::SparseStack, j, 0), out);
}

/// One row and sign from each block of rows.
fn stack(
    blocks: impl Iterator<Item = Range<u32>>,
    words: impl Iterator<Item = u64>,
    out: &mut [u32],
) {
    for ((block, w), entry) in blocks.zip(words).zip(out) {
        let row = block.start + index(w, u64::from(block.end - block.start)) as u32;
        *entry = row << 1 | (w & 1) as u32;
    }
}

/// Column `j` of a family that takes one row and sign from each of `ranges`; every `run` draws begin
/// a block of words.
pub(crate) fn stacked_column(
    seed: u64,
    stream: Stream,
    j: u64,
    ranges: &[Range<u32>],
    run: usize,
    out: &mut [u32],
) {
    let runs = ranges.chunks(run).zip(out.chunks_mut(run));
    for ((ranges, out), first) in runs.zip((0u32..).step_by(run.div_ceil(2))) {
        stack(ranges.iter().cloned(), draws(seed, stream, j, first), out);
    }
}

/// One nonzero of a LASO row: `(−1)^negative·√count` in column `column`, before scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LasoEntry {
    /// Column of the entry.
    pub column: u64,
    /// Whether the entry is negative: the sign of its first draw.
    pub negative: bool,
    /// How often the column was drawn, at least 1; the magnitude is its square root.
    pub count: u32,
}

/// Row `i` of a LASO operator: ζ draws with replacement from `0..m`, equal columns merged.
///
/// `out` is cleared and then holds the entries by increasing column; their counts add up to ζ.
pub fn laso_row(seed: u64, m: u64, zeta: u32, i: u64, out: &mut Vec<LasoEntry>) {
    out.clear();
    let words = draws(seed, Stream::Laso, i, 0).take(zeta as usize);
    out.extend(words.map(|w| LasoEntry { column: index(w, m), negative: w & 1 == 1, count: 1 }));
    // Stable, so the entry kept below is the first drawn.
    out.sort_by_key(|entry| entry.column);
    out.dedup_by(|later, first| {
        let same = later.column == first.column;
        first.count += u32::from(same);
        same
    });
}

/// The ζ blocks of rows `⌊t·d/ζ⌋..⌊(t+1)·d/ζ⌋` of a sparse stack operator.
#[inline(always)]
pub(crate) fn row_blocks(d: u32, zeta: u32) -> impl Iterator<Item = Range<u32>> {
    let (length, excess) = (d / zeta.max(1), d % zeta.max(1));
    let (mut end, mut carry) = (0, 0);
    (0..zeta).map(move |_| {
        let start = end;
        carry += excess;
        end += length + u32::from(carry >= zeta);
        carry -= if carry >= zeta { zeta } else { 0 };
        start..end
    })
}

/// The 64-bit words of the draws of one unit from block `first` on; the last block is 2³² − 1.
fn draws(seed: u64, stream: Stream, unit: u64, first: u32) -> impl Iterator<Item = u64> {
    (first..=u32::MAX).flat_map(move |block| words64(seed, stream, unit, block))
}

/// Floyd's sampling of `out.len()` distinct rows of `0..d` from one word a draw.
fn floyd(d: u32, words: impl Iterator<Item = u64>, out: &mut [u32]) {
    let zeta = out.len();
    debug_assert!(zeta <= d as usize && d < 1 << 31);
    if zeta > LINEAR_SEARCH {
        return floyd_hashed(d, words, out);
    }
    for (t, w) in words.take(zeta).enumerate() {
        let last = d - (zeta - t) as u32;
        let pick = index(w, u64::from(last) + 1) as u32;
        let taken = out[..t].iter().fold(false, |found, &p| found | (p >> 1 == pick));
        let row = if taken { last } else { pick };
        out[t] = row << 1 | (w & 1) as u32;
    }
}

/// [`floyd`] with a hash table (linear probing, load at most one half) of the rows taken.
fn floyd_hashed(d: u32, words: impl Iterator<Item = u64>, out: &mut [u32]) {
    const FREE: u32 = u32::MAX;
    let zeta = out.len();
    let bits = (2 * zeta).next_power_of_two().trailing_zeros();
    let mut table = vec![FREE; 1 << bits];
    // True if the row was new.
    let mut insert = |row: u32| {
        let hash = u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits);
        let mut slot = hash as usize;
        loop {
            if table[slot] == row {
                return false;
            }
            if table[slot] == FREE {
                table[slot] = row;
                return true;
            }
            slot = (slot + 1) & ((1 << bits) - 1);
        }
    };
    for ((t, w), entry) in words.take(zeta).enumerate().zip(out) {
        let last = d - (zeta - t) as u32;
        let pick = index(w, u64::from(last) + 1) as u32;
        let row = if insert(pick) { pick } else { last };
        if row == last {
            insert(last);
        }
        *entry = row << 1 | (w & 1) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn floyd_rows_are_distinct_and_the_two_searches_agree() {
        for (d, zeta) in [(1, 1), (8, 8), (100, 3), (64, 64), (1 << 30, 17), (500, 64)] {
            for j in 0..20 {
                let mut linear = vec![0; zeta];
                sparse_sign_column(5, d, j, &mut linear);
                let rows: HashSet<u32> = linear.iter().map(|p| p >> 1).collect();
                assert_eq!(rows.len(), zeta);
                assert!(rows.iter().all(|&r| r < d));
                let mut hashed = vec![0; zeta];
                floyd_hashed(d, draws(5, Stream::SparseSign, j, 0), &mut hashed);
                assert_eq!(linear, hashed);
            }
        }
        let mut all = vec![0; 1000];
        sparse_sign_column(9, 1000, 3, &mut all);
        assert_eq!(all.iter().map(|p| p >> 1).collect::<HashSet<_>>().len(), 1000);
    }

    #[test]
    fn stack_takes_one_row_a_block() {
        for (d, zeta) in [(1, 1), (7, 7), (10, 3), (1000, 8), ((1 << 31) - 1, 9)] {
            let mut out = vec![0; zeta];
            for j in 0..50 {
                sparse_stack_column(11, d, j, &mut out);
                for (t, p) in out.iter().enumerate() {
                    let bound = |t: usize| t as u64 * u64::from(d) / zeta as u64;
                    assert!((bound(t)..bound(t + 1)).contains(&u64::from(p >> 1)));
                }
            }
        }
    }

    #[test]
    fn laso_merges_repeated_columns() {
        let mut row = Vec::new();
        for i in 0..200 {
            laso_row(2, 10, 25, i, &mut row);
            assert!(row.is_sorted_by(|a, b| a.column < b.column));
            assert_eq!(row.iter().map(|e| e.count).sum::<u32>(), 25);
            let first = words64(2, Stream::Laso, i, 0)[0];
            let entry = row.iter().find(|e| e.column == index(first, 10)).unwrap();
            assert_eq!(entry.negative, first & 1 == 1);
        }
    }
}
