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

    unsafe fn pass(x: *mut T, h: usize, radix: usize) {
        // SAFETY: the caller promises radix·h writable entries.
        levels(unsafe { core::slice::from_raw_parts_mut(x, radix * h) }, h);
    }
}

/// The levels `from`, 2·`from`, …, len/2.
#[inline(always)]
pub(super) fn levels<T: Real>(x: &mut [T], from: usize) {
    let mut h = from;
    while h < x.len() {
        for block in x.chunks_exact_mut(2 * h) {
            let (low, high) = block.split_at_mut(h);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        h *= 2;
    }
}
