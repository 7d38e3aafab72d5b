//! Entries of the dense families: normal, uniform and sign, each a function of
//! `(seed, stream, row i, column j)` and of nothing else.
//!
//! An entry needs one block of Philox (about 10 ns); kernels fill whole tiles through the device,
//! which spreads a block over its two, four or 128 entries.

use super::philox::{block, words64};
use super::{Stream, box_muller_f32, box_muller_f64};

/// `√3·2⁻²⁴`, half the distance of neighbouring f32 uniforms.
pub(crate) const UNIFORM_STEP_F32: f32 = 1.0323827e-7;
/// `√3·2⁻⁵³`, half the distance of neighbouring f64 uniforms.
pub(crate) const UNIFORM_STEP_F64: f64 = 1.9229626863835638e-16;

/// Standard normal entry (i, j) in f32; at most 6.76 in magnitude.
///
/// Word `i % 4` of block `i / 4` of unit `j`: words 0 and 1 make entries 0 and 1, words 2 and 3
/// the others (see [`box_muller_f32`]).
pub fn normal_f32(seed: u64, stream: Stream, i: u32, j: u64) -> f32 {
    let x = block(seed, stream, j, i / 4);
    let pair = (i % 4 / 2 * 2) as usize;
    box_muller_f32([x[pair], x[pair + 1]])[(i % 2) as usize]
}

/// Standard normal entry (i, j) in f64, at most 8.57 in magnitude.
///
/// Entry `i % 2` of block `i / 2` of unit `j` (see [`box_muller_f64`]).
pub fn normal_f64(seed: u64, stream: Stream, i: u32, j: u64) -> f64 {
    let [w0, w1] = words64(seed, stream, j, i / 2);
    box_muller_f64(w0, w1)[(i % 2) as usize]
}

/// Entry (i, j) in f32, uniform on (−√3, √3): mean 0, variance 1, 2²⁴ values.
pub fn uniform_f32(seed: u64, stream: Stream, i: u32, j: u64) -> f32 {
    uniform_from_u32(block(seed, stream, j, i / 4)[(i % 4) as usize])
}

/// Entry (i, j) in f64, uniform on (−√3, √3): mean 0, variance 1, 2⁵³ values.
pub fn uniform_f64(seed: u64, stream: Stream, i: u32, j: u64) -> f64 {
    uniform_from_u64(words64(seed, stream, j, i / 2)[(i % 2) as usize])
}

/// Sign (i, j) of every type: true stands for −1.
///
/// Bit `i % 128` of block `i / 128` of unit `j`, counted from the lowest bit of word 0;
/// `i < 2³⁹`.
pub fn sign(seed: u64, stream: Stream, i: u64, j: u64) -> bool {
    let x = block(seed, stream, j, (i / 128) as u32);
    x[(i % 128 / 32) as usize] >> (i % 32) & 1 == 1
}

/// `(2k + 1 − 2²⁴)·2⁻²⁴·√3` with `k` the top 24 bits; the odd integer is exact.
#[inline]
pub(crate) fn uniform_from_u32(x: u32) -> f32 {
    let odd = (x >> 7 | 1) as i32 - (1 << 24);
    odd as f32 * UNIFORM_STEP_F32
}

/// `(2k + 1 − 2⁵³)·2⁻⁵³·√3` with `k` the top 53 bits; the odd integer is exact.
#[inline]
pub(crate) fn uniform_from_u64(w: u64) -> f64 {
    let odd = (w >> 10 | 1) as i64 - (1 << 53);
    odd as f64 * UNIFORM_STEP_F64
}
