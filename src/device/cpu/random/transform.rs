//! The transforms of the families on registers: words, uniforms, normals.
//!
//! The formulas and their order of operations are those of [`crate::random`]; what differs is how
//! an exact step is done (a conversion, a scaling by a power of two, a choice). Words of f32
//! families are packed two blocks' halves to a 64-bit lane first, so that all 32-bit lanes work.
//! Operations on registers for 16 f32 normal pairs (AVX-512): about 60; for 8 f64 pairs: 75.

use super::fill::Family;
use super::lanes::Lanes;
use crate::random::{
    COS_F32, COS_F64, LN_F32, LN_F64, MINUS_TWO_LN2_F32, MINUS_TWO_LN2_F64, QUARTER_TURN_F32,
    SIN_F32, SIN_F64, TWO_THIRDS_F32, TWO_THIRDS_F64, UNIFORM_STEP_F32, UNIFORM_STEP_F64,
    box_muller_f32, box_muller_f64, uniform_from_u32, uniform_from_u64,
};

/// The two 64-bit words of each block.
pub(super) struct Words;

impl Family for Words {
    type Entry = u64;
    const ENTRIES: usize = 2;

    #[inline]
    fn scalar([x0, x1, x2, x3]: [u32; 4], out: &mut [u64]) {
        out[0] = u64::from(x0) | u64::from(x1) << 32;
        out[1] = u64::from(x2) | u64::from(x3) << 32;
    }

    #[inline(always)]
    fn vector<L: Lanes>(l: L, x: [L::W; 4]) -> [L::W; 2] {
        l.unpack64(l.pair_low(x[0], x[1]), l.pair_low(x[2], x[3]))
    }
}

/// [`crate::random::uniform_f32`].
pub(super) struct UniformF32;

impl Family for UniformF32 {
    type Entry = f32;
    const ENTRIES: usize = 4;

    #[inline]
    fn scalar(x: [u32; 4], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = uniform_from_u32(x);
        }
    }

    #[inline(always)]
    fn vector<L: Lanes>(l: L, x: [L::W; 4]) -> [L::W; 2] {
        let [y0, y1] = l.unpack32(l.pair_low(x[0], x[2]), l.pair_low(x[1], x[3]));
        [uniform_f32(l, y0), uniform_f32(l, y1)]
    }
}

#[inline(always)]
fn uniform_f32<L: Lanes>(l: L, x: L::W) -> L::W {
    let odd = l.sub32(l.or(l.shr32::<7>(x), l.splat32(1)), l.splat32(1 << 24));
    l.mul_f32(l.f32_from_i32(odd), l.splat_f32(UNIFORM_STEP_F32))
}

/// [`crate::random::uniform_f64`].
pub(super) struct UniformF64;

impl Family for UniformF64 {
    type Entry = f64;
    const ENTRIES: usize = 2;

    #[inline]
    fn scalar(x: [u32; 4], out: &mut [f64]) {
        let mut words = [0; 2];
        Words::scalar(x, &mut words);
        for (out, w) in out.iter_mut().zip(words) {
            *out = uniform_from_u64(w);
        }
    }

    #[inline(always)]
    fn vector<L: Lanes>(l: L, x: [L::W; 4]) -> [L::W; 2] {
        let [w0, w1] = Words::vector(l, x);
        [uniform_f64(l, w0), uniform_f64(l, w1)]
    }
}

#[inline(always)]
fn uniform_f64<L: Lanes>(l: L, w: L::W) -> L::W {
    // 2k + 1 − 2⁵³ is an odd integer below 2⁵³ in magnitude, so the multiply-add is exact.
    let k = l.f64_from_u53(l.shr64::<11>(w));
    let odd = l.fma_f64(k, l.splat_f64(2.0), l.splat_f64(1.0 - 9_007_199_254_740_992.0));
    l.mul_f64(odd, l.splat_f64(UNIFORM_STEP_F64))
}

/// [`crate::random::normal_f32`].
pub(super) struct NormalF32;

impl Family for NormalF32 {
    type Entry = f32;
    const ENTRIES: usize = 4;

    #[inline]
    fn scalar([x0, x1, x2, x3]: [u32; 4], out: &mut [f32]) {
        out[..2].copy_from_slice(&box_muller_f32([x0, x1]));
        out[2..].copy_from_slice(&box_muller_f32([x2, x3]));
    }

    #[inline(always)]
    fn vector<L: Lanes>(l: L, x: [L::W; 4]) -> [L::W; 2] {
        let radius = radius_f32(l, l.pair_low(x[0], x[2]));
        let [cos, sin] = cos_sin_f32(l, l.pair_low(x[1], x[3]));
        l.unpack32(l.mul_f32(radius, cos), l.mul_f32(radius, sin))
    }
}

#[inline(always)]
fn radius_f32<L: Lanes>(l: L, x: L::W) -> L::W {
    // The factor 2⁻³² of the argument is taken out of the exponent.
    const BASE: u32 = TWO_THIRDS_F32 + (32 << 23);
    let v = l.add_f32(l.f32_from_u32(x), l.splat_f32(0.5));
    let t = l.sub32(v, l.splat32(BASE));
    let e = l.f32_from_i32(l.sar32::<23>(t));
    let m = l.add32(l.and(t, l.splat32(0x007f_ffff)), l.splat32(TWO_THIRDS_F32));
    let f = l.add_f32(m, l.splat_f32(-1.0));
    let f2 = l.mul_f32(f, f);
    let (mut even, mut odd) = (l.splat_f32(LN_F32[8]), l.splat_f32(LN_F32[9]));
    for k in (0..4).rev() {
        even = l.fma_f32(even, f2, l.splat_f32(LN_F32[2 * k]));
        odd = l.fma_f32(odd, f2, l.splat_f32(LN_F32[2 * k + 1]));
    }
    let q = l.fma_f32(odd, f, even);
    let ln = l.fma_f32(f2, q, l.mul_f32(f, l.splat_f32(-2.0)));
    l.sqrt_f32(l.fma_f32(e, l.splat_f32(MINUS_TWO_LN2_F32), ln))
}

#[inline(always)]
fn cos_sin_f32<L: Lanes>(l: L, y: L::W) -> [L::W; 2] {
    let theta = l.mul_f32(l.f32_from_i32(l.shl32::<2>(y)), l.splat_f32(QUARTER_TURN_F32));
    let t2 = l.mul_f32(theta, theta);
    let mut s = l.splat_f32(SIN_F32[2]);
    for k in (0..2).rev() {
        s = l.fma_f32(s, t2, l.splat_f32(SIN_F32[k]));
    }
    let mut c = l.splat_f32(COS_F32[3]);
    for k in (0..3).rev() {
        c = l.fma_f32(c, t2, l.splat_f32(COS_F32[k]));
    }
    let sin = l.fma_f32(l.mul_f32(theta, t2), s, theta);
    let cos = l.fma_f32(c, t2, l.splat_f32(1.0));
    let q = l.add32(y, l.splat32(1 << 29));
    let odd = l.add32(q, q);
    let minus = l.splat32(1 << 31);
    [
        l.xor(l.select32(odd, cos, sin), l.and(l.xor(q, odd), minus)),
        l.xor(l.select32(odd, sin, cos), l.and(q, minus)),
    ]
}

/// [`crate::random::normal_f64`].
pub(super) struct NormalF64;

impl Family for NormalF64 {
    type Entry = f64;
    const ENTRIES: usize = 2;
    const SMALL: bool = false;

    #[inline]
    fn scalar(x: [u32; 4], out: &mut [f64]) {
        let mut words = [0; 2];
        Words::scalar(x, &mut words);
        out.copy_from_slice(&box_muller_f64(words[0], words[1]));
    }

    #[inline(always)]
    fn vector<L: Lanes>(l: L, x: [L::W; 4]) -> [L::W; 2] {
        let radius = radius_f64(l, l.pair_low(x[0], x[1]));
        let [cos, sin] = cos_sin_f64(l, l.pair_low(x[2], x[3]));
        l.unpack64(l.mul_f64(radius, cos), l.mul_f64(radius, sin))
    }
}

#[inline(always)]
fn radius_f64<L: Lanes>(l: L, w: L::W) -> L::W {
    // The factor 2⁻⁵³ of the argument is taken out of the exponent, to which 1024 is added: the
    // shift then needs no sign, and the exponent becomes an f64 as the mantissa of 2⁵².
    const BASE: u64 = TWO_THIRDS_F64 + (53 << 52);
    const TWO_52: u64 = 0x4330 << 48;
    let v = l.f64_from_u53(l.add64(l.shr64::<11>(w), l.splat64(1)));
    let t = l.sub64(v, l.splat64(BASE.wrapping_sub(1024 << 52)));
    let e = l.or(l.shr64::<52>(t), l.splat64(TWO_52));
    let e = l.add_f64(e, l.splat_f64(-f64::from_bits(TWO_52 + 1024)));
    let m = l.add64(l.and(t, l.splat64(0x000f_ffff_ffff_ffff)), l.splat64(TWO_THIRDS_F64));
    let f = l.add_f64(m, l.splat_f64(-1.0));
    let f2 = l.mul_f64(f, f);
    let (mut even, mut odd) = (l.splat_f64(LN_F64[18]), l.splat_f64(LN_F64[19]));
    for k in (0..9).rev() {
        even = l.fma_f64(even, f2, l.splat_f64(LN_F64[2 * k]));
        odd = l.fma_f64(odd, f2, l.splat_f64(LN_F64[2 * k + 1]));
    }
    let q = l.fma_f64(odd, f, even);
    let ln = l.fma_f64(f2, q, l.mul_f64(f, l.splat_f64(-2.0)));
    l.sqrt_f64(l.fma_f64(e, l.splat_f64(MINUS_TWO_LN2_F64), ln))
}

#[inline(always)]
fn cos_sin_f64<L: Lanes>(l: L, y: L::W) -> [L::W; 2] {
    // The 52 bits below the quadrant, as a mantissa in [1, 2), less 3/2: an exact fraction of the
    // quarter turn in [−1/2, 1/2).
    let bits = l.shr64::<12>(l.xor(l.shl64::<2>(y), l.splat64(1 << 63)));
    let t = l.add_f64(l.or(bits, l.splat_f64(1.0)), l.splat_f64(-1.5));
    let t2 = l.mul_f64(t, t);
    let (mut s, mut c) = (l.splat_f64(SIN_F64[6]), l.splat_f64(COS_F64[6]));
    for k in (0..6).rev() {
        s = l.fma_f64(s, t2, l.splat_f64(SIN_F64[k]));
        c = l.fma_f64(c, t2, l.splat_f64(COS_F64[k]));
    }
    let sin = l.mul_f64(s, t);
    let cos = l.fma_f64(c, t2, l.splat_f64(1.0));
    let q = l.add64(y, l.splat64(1 << 61));
    let odd = l.add64(q, q);
    let minus = l.splat64(1 << 63);
    [
        l.xor(l.select64(odd, cos, sin), l.and(l.xor(q, odd), minus)),
        l.xor(l.select64(odd, sin, cos), l.and(q, minus)),
    ]
}
