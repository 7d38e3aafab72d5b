//! Fills of ±1: 128 entries a block, so that the expansion of bits, not Philox, is the cost.
//!
//! A register of signs is a word in all lanes, shifted so that each lane has its own bit on top,
//! the other bits cleared, and the bits of 1.0 flipped in: three operations for 8 to 16 entries.

use super::fill::{Position, fill};
use super::lanes::Lanes;
use super::transform::Words;
use super::{Kernel, portable};

/// Blocks computed at a time, 128 signs each.
const BATCH: usize = 64;
/// Entries expanded at a time.
const GROUP: usize = 32;

/// The signs to write, as a kernel.
pub(super) struct Signs<'a, T> {
    pub(super) seed: u64,
    pub(super) stream: u32,
    pub(super) row0: u64,
    pub(super) rows: usize,
    pub(super) unit0: u64,
    pub(super) out: &'a mut [T],
}

/// A type that signs are expanded to.
pub(super) trait Expand: Copy {
    const ONE: Self;
    fn signed(negative: bool) -> Self;
    /// Entry k becomes −1 if bit k is set, else 1. Must be `#[inline(always)]`.
    fn expand<L: Lanes>(l: L, bits: u32, out: &mut [Self; GROUP]);
}

impl Expand for f32 {
    const ONE: f32 = 1.0;

    fn signed(negative: bool) -> f32 {
        if negative { -1.0 } else { 1.0 }
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, bits: u32, out: &mut [f32; GROUP]) {
        // Lane k of the first register takes bit k: to the top by a shift of 31 − k.
        const SHIFTS: [u64; 8] = {
            let mut shifts = [0; 8];
            let mut k = 0;
            while k < 8 {
                shifts[k] = (31 - 2 * k as u64) | (30 - 2 * k as u64) << 32;
                k += 1;
            }
            shifts
        };
        let shifts = l.load(&SHIFTS);
        let lanes = 2 * L::LANES;
        for k in 0..GROUP / lanes {
            let word = l.splat32(bits >> (k * lanes));
            let sign = l.and(l.shlv32(word, shifts), l.splat32(1 << 31));
            // SAFETY: `k·lanes + lanes <= GROUP`.
            unsafe {
                let to = out.as_mut_ptr().add(k * lanes).cast();
                l.store(to, l.xor(sign, l.splat_f32(1.0)));
            }
        }
    }
}

impl Expand for f64 {
    const ONE: f64 = 1.0;

    fn signed(negative: bool) -> f64 {
        if negative { -1.0 } else { 1.0 }
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, bits: u32, out: &mut [f64; GROUP]) {
        let shifts = l.load(&[63, 62, 61, 60, 59, 58, 57, 56]);
        for k in 0..GROUP / L::LANES {
            let word = l.splat64(u64::from(bits >> (k * L::LANES)));
            let sign = l.and(l.shlv64(word, shifts), l.splat64(1 << 63));
            // SAFETY: `k·LANES + LANES <= GROUP`.
            unsafe {
                let to = out.as_mut_ptr().add(k * L::LANES).cast();
                l.store(to, l.xor(sign, l.splat_f64(1.0)));
            }
        }
    }
}

/// Expands at least the `length` lowest bits, in groups.
#[inline(always)]
fn expand<L: Lanes, T: Expand>(l: L, mut bits: u128, length: usize, out: &mut [T; 128]) {
    for group in out.as_chunks_mut::<GROUP>().0[..length.div_ceil(GROUP)].iter_mut() {
        T::expand(l, bits as u32, group);
        bits >>= GROUP;
    }
}

impl<T> Signs<'_, T> {
    /// The first block that is needed.
    fn start(&self) -> Position {
        let block0 = self.row0 / 128;
        let end = (self.row0 + self.rows as u64).div_ceil(128);
        debug_assert!(end <= 1 << 32 && self.out.len().is_multiple_of(self.rows.max(1)));
        Position {
            seed: self.seed,
            stream: self.stream,
            block0: block0 as u32,
            blocks: (end - block0) as usize,
            block: block0 as u32,
            unit: self.unit0,
        }
    }

    /// The bits of `block` that are wanted: position of the first, number.
    #[inline(always)]
    fn window(&self, block: u32) -> (u32, usize) {
        let first = 128 * u64::from(block);
        let from = self.row0.max(first);
        let to = (self.row0 + self.rows as u64).min(first + 128);
        ((from - first) as u32, (to - from) as usize)
    }
}

impl<T: Expand> Kernel for Signs<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let mut at = self.start();
        let mut left = std::mem::take(&mut self.out);
        let mut words = [0u64; 2 * BATCH];
        while !left.is_empty() {
            let blocks = (left.len() / self.rows + 1).saturating_mul(at.blocks);
            let words = &mut words[..2 * blocks.min(BATCH)];
            fill::<L, Words>(l, at, words);
            for pair in words.chunks_exact(2) {
                let (shift, length) = self.window(at.block);
                let bits = (u128::from(pair[0]) | u128::from(pair[1]) << 64) >> shift;
                let length = length.min(left.len());
                // What a block writes beyond its length, the next one writes again.
                match left.first_chunk_mut::<128>() {
                    Some(block) => expand(l, bits, length, block),
                    None => {
                        let mut block = [T::ONE; 128];
                        expand(l, bits, length, &mut block);
                        left[..length].copy_from_slice(&block[..length]);
                    }
                }
                left = &mut left[length..];
                at.advance();
            }
        }
    }

    fn run_portable(mut self) {
        let mut at = self.start();
        let mut left = std::mem::take(&mut self.out);
        while !left.is_empty() {
            let x = portable::block(&at);
            let (shift, length) = self.window(at.block);
            let (out, rest) = left.split_at_mut(length);
            left = rest;
            for (bit, out) in (shift as usize..).zip(out) {
                *out = T::signed(x[bit / 32] >> (bit % 32) & 1 == 1);
            }
            at.advance();
        }
    }
}
