//! Fills of whole blocks: which lane computes which block, and Philox on registers.
//!
//! A block is 16 bytes of output whatever the family: four f32, two f64 or two 64-bit words.
//! `LANES` blocks of Philox, one a 64-bit lane, make two registers of output. Operations on
//! registers for these: 20 multiplications, 20 shifts, 20 to 40 of logic, then the transform of
//! the family. A round waits for a multiplication, a shift and a logic operation in turn, so two
//! to four registers go side by side.

use super::lanes::Lanes;
use super::{Kernel, portable};
use crate::random::{KEY_STEP, MULTIPLIER, ROUNDS};

/// A block, and the range of blocks of a unit after which the next unit begins.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) seed: u64,
    pub(super) stream: u32,
    pub(super) block0: u32,
    pub(super) blocks: usize,
    pub(super) block: u32,
    pub(super) unit: u64,
}

impl Position {
    /// The block after this one.
    #[inline]
    pub(super) fn advance(&mut self) {
        if (self.block - self.block0) as usize + 1 < self.blocks {
            self.block += 1;
        } else {
            self.block = self.block0;
            self.unit = self.unit.wrapping_add(1);
        }
    }
}

/// A type of which every bit pattern is a value.
///
/// # Safety
/// As said.
pub(super) unsafe trait Plain: Copy {}
// SAFETY: a number without padding or forbidden patterns.
unsafe impl Plain for f32 {}
// SAFETY: a number without padding or forbidden patterns.
unsafe impl Plain for f64 {}
// SAFETY: a number without padding or forbidden patterns.
unsafe impl Plain for u64 {}

/// A family that is a function of single blocks.
pub(super) trait Family {
    /// Type of the entries.
    type Entry: Plain;
    /// Entries a block; a block is 16 bytes.
    const ENTRIES: usize;
    /// Whether the transform needs few registers.
    const SMALL: bool = true;
    /// The entries of one block.
    fn scalar(x: [u32; 4], out: &mut [Self::Entry]);
    /// The entries of `LANES` blocks, whose words are the low halves of the 64-bit lanes, lane
    /// `k` being block `ORDER[k]`. Must be `#[inline(always)]`.
    fn vector<L: Lanes>(l: L, x: [L::W; 4]) -> [L::W; 2];
}

/// The blocks to write, as a kernel.
pub(super) struct Blocks<'a, F: Family> {
    pub(super) position: Position,
    pub(super) out: &'a mut [F::Entry],
}

impl<'a, F: Family> Blocks<'a, F> {
    pub(super) fn new(
        seed: u64,
        stream: u32,
        block0: u32,
        blocks: usize,
        unit0: u64,
        out: &'a mut [F::Entry],
    ) -> Self {
        debug_assert!(
            out.is_empty() || blocks > 0 && out.len().is_multiple_of(F::ENTRIES * blocks)
        );
        debug_assert!(u64::from(block0) + blocks as u64 <= 1 << 32);
        let position = Position { seed, stream, block0, blocks, block: block0, unit: unit0 };
        Self { position, out }
    }
}

impl<F: Family> Kernel for Blocks<'_, F> {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        fill::<L, F>(l, self.position, self.out);
    }

    fn run_portable(self) {
        portable::fill(self);
    }
}

/// Fills `out` with consecutive blocks from `at` on.
#[inline(always)]
pub(super) fn fill<L: Lanes, F: Family>(l: L, at: Position, out: &mut [F::Entry]) {
    // The most that the registers hold without spilling.
    if L::LANES == 8 && F::SMALL {
        fill_by::<L, F, 4>(l, at, out);
    } else if L::LANES == 8 {
        fill_by::<L, F, 3>(l, at, out);
    } else {
        fill_by::<L, F, 2>(l, at, out);
    }
}

/// [`fill`] with `U` registers of blocks side by side, to hide the latency of the rounds.
#[inline(always)]
fn fill_by<L: Lanes, F: Family, const U: usize>(l: L, at: Position, out: &mut [F::Entry]) {
    const { assert!(size_of::<F::Entry>() * F::ENTRIES == 16) };
    if out.is_empty() || at.blocks == 0 {
        return;
    }
    let keys = round_keys(l, at.seed);
    let mut lanes = LanePositions::new(l, at);
    let register = L::LANES * F::ENTRIES;
    let mut chunks = out.chunks_exact_mut(U * register);
    for chunk in &mut chunks {
        let mut x = [lanes.counter(l); U];
        for x in &mut x {
            *x = lanes.counter(l);
            lanes.advance(l);
        }
        let x = philox(l, x, &keys);
        for (out, x) in chunk.chunks_exact_mut(register).zip(x) {
            let y = F::vector(l, x);
            // SAFETY: `out` is `LANES` blocks of 16 bytes, which is two registers, and `Plain`.
            unsafe { store(l, y, out.as_mut_ptr().cast()) };
        }
    }
    for out in chunks.into_remainder().chunks_mut(register) {
        let [x] = philox(l, [lanes.counter(l)], &keys);
        lanes.advance(l);
        let y = F::vector(l, x);
        let mut buffer = [0u8; 128];
        // SAFETY: two registers are at most 128 bytes; `out` is no longer, and `Plain`.
        unsafe {
            store(l, y, buffer.as_mut_ptr());
            let bytes = size_of_val(out);
            std::ptr::copy_nonoverlapping(buffer.as_ptr(), out.as_mut_ptr().cast(), bytes);
        }
    }
}

/// Block and unit of each lane, and what takes them `LANES` blocks further.
struct LanePositions<L: Lanes> {
    block: L::W,
    unit: L::W,
    stream: L::W,
    last: L::W,
    blocks: L::W,
    step_block: L::W,
    step_unit: L::W,
}

impl<L: Lanes> LanePositions<L> {
    #[inline(always)]
    fn new(l: L, mut at: Position) -> Self {
        let (mut block, mut unit) = ([0; 8], [0; 8]);
        for flat in 0..L::LANES {
            for lane in 0..L::LANES {
                if L::ORDER[lane] == flat {
                    block[lane] = u64::from(at.block);
                    unit[lane] = at.unit;
                }
            }
            at.advance();
        }
        let blocks = at.blocks as u64;
        Self {
            block: l.load(&block),
            unit: l.load(&unit),
            stream: l.splat64(u64::from(at.stream)),
            last: l.splat64(u64::from(at.block0) + blocks - 1),
            blocks: l.splat64(blocks),
            step_block: l.splat64(L::LANES as u64 % blocks),
            step_unit: l.splat64(L::LANES as u64 / blocks),
        }
    }

    #[inline(always)]
    fn counter(&self, l: L) -> [L::W; 4] {
        [self.block, self.unit, l.shr64::<32>(self.unit), self.stream]
    }

    #[inline(always)]
    fn advance(&mut self, l: L) {
        let block = l.add64(self.block, self.step_block);
        let unit = l.add64(self.unit, self.step_unit);
        let over = l.greater64(block, self.last);
        self.block = l.sub64(block, l.and(over, self.blocks));
        self.unit = l.sub64(unit, over);
    }
}

/// Writes two registers one after the other.
///
/// # Safety
/// `to` must be valid for writing `16·LANES` bytes.
#[inline(always)]
unsafe fn store<L: Lanes>(l: L, [y0, y1]: [L::W; 2], to: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        l.store(to, y0);
        l.store(to.add(8 * L::LANES), y1);
    }
}

/// The keys of the ten rounds in all lanes.
#[inline(always)]
pub(super) fn round_keys<L: Lanes>(l: L, seed: u64) -> [[L::W; 2]; ROUNDS] {
    let mut keys = [[l.splat64(0); 2]; ROUNDS];
    for (round, key) in keys.iter_mut().enumerate() {
        let weyl = |half: u32, step: u32| half.wrapping_add(step.wrapping_mul(round as u32));
        key[0] = l.splat64(u64::from(weyl(seed as u32, KEY_STEP[0])));
        key[1] = l.splat64(u64::from(weyl((seed >> 32) as u32, KEY_STEP[1])));
    }
    keys
}

/// Philox4x32-10 on the low halves of the 64-bit lanes; the upper halves are garbage.
#[inline(always)]
pub(super) fn philox<L: Lanes, const U: usize>(
    l: L,
    mut counter: [[L::W; 4]; U],
    keys: &[[L::W; 2]; ROUNDS],
) -> [[L::W; 4]; U] {
    let m0 = l.splat64(u64::from(MULTIPLIER[0]));
    let m1 = l.splat64(u64::from(MULTIPLIER[1]));
    for key in keys {
        for [c0, c1, c2, c3] in &mut counter {
            let p0 = l.mul_low(*c0, m0);
            let p1 = l.mul_low(*c2, m1);
            *c0 = l.xor(l.xor(*c1, key[0]), l.shr64::<32>(p1));
            *c2 = l.xor(l.xor(*c3, key[1]), l.shr64::<32>(p0));
            *c1 = p1;
            *c3 = p0;
        }
    }
    counter
}
