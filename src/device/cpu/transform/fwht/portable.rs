//! Any CPU: levels as plain loops over slices, which compilers vectorise for what they are told.

use super::super::Real;
use super::Engine;

/// The engine that needs no particular instruction.
pub(in super::super) struct Portable;

impl<T: Real> Engine<T> for Portable {
    unsafe fn leaf(x: *mut T, len: usize, from: usize) {
        // SAFETY: the caller promises len writable entries.
        levels(unsafe { core::slice::from_raw_parts_mut(x, len) }, from);
    }

    unsafe fn pass(x: *mut T, h: usize, radix: usize, width: usize) {
        let mut step = 1;
        while step < radix {
            for pair in 0..radix / 2 {
                let low = pair / step * 2 * step + pair % step;
                // SAFETY: the caller promises pieces of width ≤ h entries, so they are distinct.
                let [low, high] = [low, low + step]
                    .map(|i| unsafe { core::slice::from_raw_parts_mut(x.add(i * h), width) });
                level(low, high);
            }
            step *= 2;
        }
    }
}

/// The levels `from`, 2·`from`, …, len/2.
#[inline(always)]
pub(super) fn levels<T: Real>(x: &mut [T], from: usize) {
    let mut h = from;
    while h < x.len() {
        for block in x.chunks_exact_mut(2 * h) {
            let (low, high) = block.split_at_mut(h);
            level(low, high);
        }
        h *= 2;
    }
}

/// The sums and the differences of two pieces.
#[inline(always)]
fn level<T: Real>(low: &mut [T], high: &mut [T]) {
    for (a, b) in low.iter_mut().zip(high) {
        (*a, *b) = (*a + *b, *a - *b);
    }
}
