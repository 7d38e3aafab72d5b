//! Philox4x32-10, the counter-based generator under every family, and the two ways to read a
//! block of it: four 32-bit words, or two 64-bit words.
//!
//! One round maps `(c0, c1, c2, c3)` to
//! `(hi(M1·c2) ⊕ c1 ⊕ k0, lo(M1·c2), hi(M0·c0) ⊕ c3 ⊕ k1, lo(M0·c0))`; ten rounds, the key
//! advancing by a Weyl sequence between them. Salmon, Moraes, Dror, Shaw, *Parallel random
//! numbers: as easy as 1, 2, 3*, SC 2011. Cost: 20 32×32→64-bit multiplications a block, about
//! 8 ns on one scalar core; a device runs eight or more blocks side by side.

use super::Stream;

/// Multipliers of counter words 0 and 2.
pub(crate) const MULTIPLIER: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// Increments of the two key words from round to round (golden ratio, √3 − 1).
pub(crate) const KEY_STEP: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
/// Number of rounds.
pub(crate) const ROUNDS: usize = 10;

/// Philox4x32 with ten rounds: the block of `counter` under `key`.
///
/// Agrees with the known-answer vectors of Random123.
#[inline]
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let p0 = u64::from(c0) * u64::from(MULTIPLIER[0]);
        let p1 = u64::from(c2) * u64::from(MULTIPLIER[1]);
        c0 = (p1 >> 32) as u32 ^ c1 ^ k0;
        c1 = p1 as u32;
        c2 = (p0 >> 32) as u32 ^ c3 ^ k1;
        c3 = p0 as u32;
        k0 = k0.wrapping_add(KEY_STEP[0]);
        k1 = k1.wrapping_add(KEY_STEP[1]);
    }
    [c0, c1, c2, c3]
}

/// Block `block` of unit `unit` in `stream` under `seed`.
#[inline]
pub fn block(seed: u64, stream: Stream, unit: u64, block: u32) -> [u32; 4] {
    philox4x32_10(
        [block, unit as u32, (unit >> 32) as u32, stream.number()],
        [seed as u32, (seed >> 32) as u32],
    )
}

/// [`block`] read as two 64-bit words, the lower 32-bit word in the lower half.
#[inline]
pub fn words64(seed: u64, stream: Stream, unit: u64, block: u32) -> [u64; 2] {
    let [x0, x1, x2, x3] = self::block(seed, stream, unit, block);
    [u64::from(x0) | u64::from(x1) << 32, u64::from(x2) | u64::from(x3) << 32]
}

/// Uniform index in `0..n` from a uniform 64-bit word: `⌊w·n / 2⁶⁴⌋`; 0 when `n` is 0.
///
/// Never out of range. Each index has probability within `2⁻⁶⁴` of `1/n` (relative bias below
/// `n·2⁻⁶⁴`).
#[inline]
pub fn index(w: u64, n: u64) -> u64 {
    ((u128::from(w) * u128::from(n)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_random123() {
        let all = u32::MAX;
        assert_eq!(
            philox4x32_10([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32_10([all; 4], [all; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32_10(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn counter_layout() {
        let unit = 0x0123_4567_89ab_cdef;
        let seed = 0xfedc_ba98_7654_3210;
        let stream = Stream::SparseSign;
        assert_eq!(stream.number(), 0x0001_0006);
        let x =
            philox4x32_10([7, 0x89ab_cdef, 0x0123_4567, 0x0001_0006], [0x7654_3210, 0xfedc_ba98]);
        assert_eq!(block(seed, stream, unit, 7), x);
        let w = words64(seed, stream, unit, 7);
        assert_eq!(w[0] as u32, x[0]);
        assert_eq!((w[1] >> 32) as u32, x[3]);
    }

    #[test]
    fn index_stays_in_range() {
        for n in [0, 1, 2, 3, 7, 1 << 31, (1 << 63) - 25, u64::MAX] {
            assert_eq!(index(0, n), 0);
            assert_eq!(index(u64::MAX, n), n.saturating_sub(1));
            for t in 0..2000 {
                let w = words64(n, Stream::RowSampling, t, 0)[0];
                assert!(index(w, n) < n.max(1));
            }
        }
    }
}
