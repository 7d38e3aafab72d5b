//! What a subsampled transform draws: the signs of its diagonals and the rows that it keeps,
//! written out once a call and shared by all columns.
//!
//! Signs are kept packed, one bit a row: 2 KiB for a transform of order 2¹⁴. Cost: one block of
//! the generator for 128 signs, about ten for a row.

use super::Real;
use crate::device::cpu::Cpu;
use crate::random::{Permutation, Stream, block};
use crate::{Family, Sketch};

/// Sampled rows that one task finds: about 0.1 ms.
const ROWS: usize = 1 << 10;

/// The signs and rows of an operator.
pub(super) struct Plan<T: Real> {
    /// Order of the transform.
    pub(super) order: usize,
    /// For each round, bit t says whether coordinate t is negated before the transform.
    pub(super) signs: Vec<Vec<T::Word>>,
    /// Which rows of the transform the window of the operator consists of.
    pub(super) index: Vec<usize>,
}

impl<T: Real> Plan<T> {
    pub(super) fn new(cpu: &Cpu, s: &Sketch) -> Self {
        let (signs, rows) = match s.family() {
            Family::Srct => (Stream::DctSigns, Stream::DctRows),
            Family::HadamardDiagonal => {
                (Stream::HadamardDiagonalSigns, Stream::HadamardDiagonalRows)
            }
            _ => (Stream::SrhtSigns, Stream::SrhtRows),
        };
        let order = s.transform_len();
        let round = |round| {
            let blocks = order.div_ceil(128) as u32;
            (0..blocks).flat_map(|b| T::words(block(s.seed(), signs, round, b))).collect()
        };
        let permutation = Permutation::new(s.seed(), rows, order as u64);
        let range = s.row_range();
        let chunks = cpu.map(range.len().div_ceil(ROWS), range.len() as u64 * 1000, |chunk| {
            let start = range.start + chunk * ROWS;
            let end = range.end.min(start + ROWS);
            (start..end).map(|i| permutation.get(i as u64) as usize).collect::<Vec<_>>()
        });
        let signs = (0..u64::from(s.rounds())).map(round).collect();
        Self { order, signs, index: chunks.concat() }
    }
}
