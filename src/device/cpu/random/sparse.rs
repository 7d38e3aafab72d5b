//! Columns of sparse sign, sparse stack and BlockPerm-SJLT operators, one column a lane.
//!
//! Draw `t` of 8 or 16 columns at once: an index is two widening multiplications, and Floyd's
//! question "is this row taken?" a comparison with the `t` registers of earlier rows, ζ²/2
//! comparisons for the whole group of columns. The draws of a column keep the order of the scalar
//! definition, so the entries are the same. Distinct rows beyond 64 a column are drawn by the
//! scalar code, whose cost does not grow with ζ².

use super::Kernel;
use super::fill::{philox, round_keys};
use super::lanes::Lanes;
use crate::random::{LINEAR_SEARCH, ROUNDS, Stream, sparse_sign_column, stacked_column};
use core::ops::Range;

/// Registers of columns side by side, to hide the latency of Philox.
const UNROLL: usize = 2;

/// Columns to write, as a kernel: sparse sign if `DISTINCT`, else families with one row from each of
/// some ranges.
pub(super) struct Columns<'a, const DISTINCT: bool> {
    pub(super) seed: u64,
    pub(super) stream: Stream,
    /// What the draws of a column pick from: disjoint, or growing from 0 if `DISTINCT`.
    pub(super) ranges: &'a [Range<u32>],
    /// After so many draws the next one begins a new block of words.
    pub(super) run: usize,
    pub(super) unit0: u64,
    pub(super) out: &'a mut [u32],
}

impl<const DISTINCT: bool> Kernel for Columns<'_, DISTINCT> {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let zeta = self.ranges.len();
        if zeta == 0 || DISTINCT && zeta > LINEAR_SEARCH {
            return self.run_portable();
        }
        debug_assert!(self.out.len().is_multiple_of(zeta));
        let keys = round_keys(l, self.seed);
        let step = UNROLL * L::LANES;
        let mut rows = [[l.splat64(0); UNROLL]; LINEAR_SEARCH];
        let mut first = self.unit0;
        for out in self.out.chunks_mut(step * zeta) {
            let mut units = [l.splat64(0); UNROLL];
            for (register, units) in units.iter_mut().enumerate() {
                let mut lanes = [0; 8];
                for (lane, unit) in lanes.iter_mut().enumerate() {
                    *unit = first.wrapping_add((register * L::LANES + lane) as u64);
                }
                *units = l.load(&lanes);
            }
            let draws = (self.stream, self.ranges, self.run);
            group::<L, DISTINCT>(l, &keys, units, draws, &mut rows, out);
            first = first.wrapping_add(step as u64);
        }
    }

    fn run_portable(self) {
        let mut unit = self.unit0;
        let rows = self.ranges.last().map_or(0, |range| range.end);
        for out in self.out.chunks_exact_mut(self.ranges.len().max(1)) {
            if DISTINCT {
                sparse_sign_column(self.seed, rows, unit, out);
            } else {
                stacked_column(self.seed, self.stream, unit, self.ranges, self.run, out);
            }
            unit = unit.wrapping_add(1);
        }
    }
}

/// The columns `units`, of which `out` may hold fewer; `rows` is scratch.
#[inline(always)]
fn group<L: Lanes, const DISTINCT: bool>(
    l: L,
    keys: &[[L::W; 2]; ROUNDS],
    units: [L::W; UNROLL],
    (stream, ranges, run): (Stream, &[Range<u32>], usize),
    rows: &mut [[L::W; UNROLL]; LINEAR_SEARCH],
    out: &mut [u32],
) {
    let one = l.splat64(1);
    let stream = l.splat64(u64::from(stream.number()));
    let mut words = [[one; 2]; UNROLL];
    let (mut draw, mut next_block) = (0, 0);
    for (t, range) in ranges.iter().enumerate() {
        if draw == run {
            draw = 0;
        }
        if draw % 2 == 0 {
            let block = l.splat64(next_block);
            next_block += 1;
            let mut x = [[block; 4]; UNROLL];
            for (x, unit) in x.iter_mut().zip(units) {
                *x = [block, unit, l.shr64::<32>(unit), stream];
            }
            for (words, x) in words.iter_mut().zip(philox(l, x, keys)) {
                *words = [l.pair_low(x[0], x[1]), l.pair_low(x[2], x[3])];
            }
        }
        let start = l.splat64(u64::from(range.start));
        let length = l.splat64(u64::from(range.end - range.start));
        let last = l.splat64(u64::from(range.end - 1));
        for u in 0..UNROLL {
            let w = words[u][draw % 2];
            let low = l.shr64::<32>(l.mul_low(w, length));
            let high = l.mul_low(l.shr64::<32>(w), length);
            let mut row = l.add64(start, l.shr64::<32>(l.add64(high, low)));
            if DISTINCT {
                let mut taken = l.splat64(0);
                for earlier in &rows[..t] {
                    taken = l.or(taken, l.equal64(earlier[u], row));
                }
                row = l.xor(row, l.and(l.xor(row, last), taken));
                rows[t][u] = row;
            }
            let entry = l.or(l.add64(row, row), l.and(w, one));
            let mut lanes = [0u64; 8];
            // SAFETY: a register is `LANES` values, at most eight.
            unsafe { l.store(lanes.as_mut_ptr().cast(), entry) };
            let columns = out.chunks_exact_mut(ranges.len()).skip(u * L::LANES);
            for (column, entry) in columns.zip(&lanes[..L::LANES]) {
                column[t] = *entry as u32;
            }
        }
        draw += 1;
    }
}
