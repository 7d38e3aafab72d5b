//! The fills by the scalar definitions of [`crate::random`], for processors without a vector
//! version. Correct everywhere; without FMA in the compilation target each `mul_add` is a call.

use super::fill::{Blocks, Family, Position};
use crate::random::philox4x32_10;

/// Writes whole blocks one after the other.
pub(super) fn fill<F: Family>(work: Blocks<'_, F>) {
    let mut at = work.position;
    for out in work.out.chunks_exact_mut(F::ENTRIES) {
        F::scalar(block(&at), out);
        at.advance();
    }
}

/// The block at a position.
pub(super) fn block(at: &Position) -> [u32; 4] {
    philox4x32_10(
        [at.block, at.unit as u32, (at.unit >> 32) as u32, at.stream],
        [at.seed as u32, (at.seed >> 32) as u32],
    )
}
