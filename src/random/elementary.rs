//! Logarithm, sine and cosine of our own, and the Box-Muller transform built on them.
//!
//! `z0 = √(−2 ln u)·cos 2πv`, `z1 = √(−2 ln u)·sin 2πv` for `u` in (0, 1] (Box and Muller 1958).
//! Only `+`, `·`, fused multiply-add, square root and integer operations occur, in the order
//! written here, so every device gives the same bits. Intermediate values are zero or normal
//! numbers, and a zero radius is `+0`.
//!
//! * **Logarithm.** Integer arithmetic on the bits splits `u = 2^e·(1 + f)` with
//!   `1 + f` in [2/3, 4/3), exactly; then `−2 ln u = −2 ln2·e + (−2f + f²·Q(f))`. Near `u = 1`,
//!   `e = 0` and `f = u − 1` is exact, so the relative error stays small there. `Q` is split into
//!   even and odd powers, two Horner chains in `f²`.
//! * **Angle.** An unsigned word `y` is an angle of `y/2ᵇ` turns. The quadrant is the top two bits
//!   of `y + 2ᵇ⁻³`; the rest, a signed word, is a multiple of `2ᵇ⁻²` off by less than an eighth of
//!   a turn. Both are exact. Sine and cosine are then a polynomial, a swap and two sign bits.
//!
//! # Coefficients
//! Weighted least squares on `8(n+1)` Chebyshev nodes in 50 digits (mpmath), the weight making
//! the error of the *result* relative for the logarithm and absolute for sine and cosine. The
//! coefficients are rounded to the format one by one from the lowest, the others refitted after
//! each. Fitted functions, with the maximal error after rounding the coefficients:
//!
//! | table | function | argument | error |
//! |---|---|---|---|
//! | [`LN_F32`] / [`LN_F64`] | `(2f − 2 ln(1+f))/f²` | f in [−1/3, 1/3] | 2^−30.0 / 2^−56.7 |
//! | [`SIN_F32`] | `(sin θ − θ)/θ³` | θ² in [0, (π/4)²] | 2^−29.0 |
//! | [`COS_F32`] | `(cos θ − 1)/θ²` | θ² in [0, (π/4)²] | 2^−33.1 |
//! | [`SIN_F64`] | `sin(πt/2)/t` | t² in [0, 1/4] | 2^−58.6 |
//! | [`COS_F64`] | `(cos(πt/2) − 1)/t²` | t² in [0, 1/4] | 2^−61.2 |
//!
//! # Cost
//! A pair of f32 normals: 20 multiply-adds, a square root and about 20 integer operations; of
//! f64: 38 multiply-adds.

/// Powers 0 to 9 of `(2f − 2 ln(1+f))/f²`.
pub(crate) const LN_F32: [f32; 10] = [
    1.0,
    -0.6666667,
    0.49999633,
    -0.39999527,
    0.33359432,
    -0.28598633,
    0.24388176,
    -0.21627417,
    0.25703418,
    -0.2355224,
];

/// Powers 0 to 19 of `(2f − 2 ln(1+f))/f²`.
pub(crate) const LN_F64: [f64; 20] = [
    0.9999999999999991,
    -0.666666666666666,
    0.5000000000005926,
    -0.4000000000005187,
    0.33333333321791064,
    -0.2857142856094968,
    0.2500000102610551,
    -0.22222223171238983,
    0.19999950053058524,
    -0.18181771471832198,
    0.1666812153891714,
    -0.15385985975029154,
    0.14259320271036433,
    -0.13308339573348513,
    0.1279922261496167,
    -0.1204913511499906,
    0.09072989010695778,
    -0.0858336439941798,
    0.17383325350627507,
    -0.16577638968062527,
];

/// Powers 0 to 2 in `θ²` of `(sin θ − θ)/θ³`.
pub(crate) const SIN_F32: [f32; 3] = [-0.16666651, 0.008331983, -0.00019496137];

/// Powers 0 to 3 in `θ²` of `(cos θ − 1)/θ²`.
pub(crate) const COS_F32: [f32; 4] = [-0.5, 0.041666646, -0.0013887313, 2.4432971e-05];

/// Powers 0 to 6 in `t²` of `sin(πt/2)/t`.
pub(crate) const SIN_F64: [f64; 7] = [
    std::f64::consts::FRAC_PI_2,
    -0.6459640975062388,
    0.07969262624587942,
    -0.0046817541301858836,
    0.00016044113675158593,
    -3.5985994204190104e-06,
    5.628602478716026e-08,
];

/// Powers 0 to 6 in `t²` of `(cos(πt/2) − 1)/t²`.
pub(crate) const COS_F64: [f64; 7] = [
    -1.2337005501361697,
    0.25366950790104276,
    -0.020863480763222846,
    0.0009192602732379642,
    -2.5202031527216873e-05,
    4.710464167246257e-07,
    -6.305262810027237e-09,
];

/// `−2 ln 2`.
pub(crate) const MINUS_TWO_LN2_F32: f32 = -2.0 * std::f32::consts::LN_2;
/// `−2 ln 2`.
pub(crate) const MINUS_TWO_LN2_F64: f64 = -2.0 * std::f64::consts::LN_2;
/// Bits of 2/3, the lower end of the reduced argument of the logarithm.
pub(crate) const TWO_THIRDS_F32: u32 = 0x3f2a_aaab;
/// Bits of 2/3, the lower end of the reduced argument of the logarithm.
pub(crate) const TWO_THIRDS_F64: u64 = 0x3fe5_5555_5555_5555;
/// `(π/2)·2⁻³²`: radians of a unit of the signed angle word, whose full range is a quarter turn.
pub(crate) const QUARTER_TURN_F32: f32 = std::f32::consts::FRAC_PI_2 / 4_294_967_296.0;

/// Two independent standard normals from two uniform 32-bit words.
///
/// `u = (fl(x) + ½)·2⁻³²` with `fl` the rounding of the unsigned word to f32, angle `y/2³²` turns.
///
/// # Accuracy
/// Largest errors over 150,000 points against 120-bit arithmetic: `−2 ln u` 0.67·2⁻²³ relative,
/// also near `u = 1`; sine and cosine 1.5·2⁻²⁴ absolute.
/// The largest magnitude is √(66 ln 2) = 6.76.
#[inline]
pub fn box_muller_f32([x, y]: [u32; 2]) -> [f32; 2] {
    let u = (x as f32 + 0.5) * (1.0 / 4_294_967_296.0);
    let radius = minus_two_ln_f32(u).sqrt();
    let [cos, sin] = cos_sin_f32(y);
    [radius * cos, radius * sin]
}

/// Two independent standard normals from two uniform 64-bit words.
///
/// `u = ((w0 >> 11) + 1)·2⁻⁵³`; the angle is `w1/2⁶⁴` turns, cut to 54 bits.
///
/// # Accuracy
/// Largest errors over 150,000 points against 120-bit arithmetic: `−2 ln u` 0.85·2⁻⁵² relative,
/// also near `u = 1`; sine and cosine 1.04·2⁻⁵³ absolute.
/// The largest magnitude is √(106 ln 2) = 8.57.
#[inline]
pub fn box_muller_f64(w0: u64, w1: u64) -> [f64; 2] {
    let u = ((w0 >> 11) + 1) as f64 * (1.0 / 9_007_199_254_740_992.0);
    let radius = minus_two_ln_f64(u).sqrt();
    let [cos, sin] = cos_sin_f64(w1);
    [radius * cos, radius * sin]
}

/// `−2 ln u` for a normal number `u` in (0, 1].
#[inline]
fn minus_two_ln_f32(u: f32) -> f32 {
    let t = u.to_bits().wrapping_sub(TWO_THIRDS_F32);
    let e = ((t as i32) >> 23) as f32;
    let f = f32::from_bits((t & 0x007f_ffff) + TWO_THIRDS_F32) - 1.0;
    let f2 = f * f;
    let (mut even, mut odd) = (LN_F32[8], LN_F32[9]);
    for k in (0..4).rev() {
        even = even.mul_add(f2, LN_F32[2 * k]);
        odd = odd.mul_add(f2, LN_F32[2 * k + 1]);
    }
    let q = odd.mul_add(f, even);
    e.mul_add(MINUS_TWO_LN2_F32, f2.mul_add(q, -2.0 * f))
}

/// `−2 ln u` for a normal number `u` in (0, 1].
#[inline]
fn minus_two_ln_f64(u: f64) -> f64 {
    let t = u.to_bits().wrapping_sub(TWO_THIRDS_F64);
    let e = ((t as i64) >> 52) as f64;
    let f = f64::from_bits((t & 0x000f_ffff_ffff_ffff) + TWO_THIRDS_F64) - 1.0;
    let f2 = f * f;
    let (mut even, mut odd) = (LN_F64[18], LN_F64[19]);
    for k in (0..9).rev() {
        even = even.mul_add(f2, LN_F64[2 * k]);
        odd = odd.mul_add(f2, LN_F64[2 * k + 1]);
    }
    let q = odd.mul_add(f, even);
    e.mul_add(MINUS_TWO_LN2_F64, f2.mul_add(q, -2.0 * f))
}

/// Cosine and sine of `y/2³²` turns.
#[inline]
fn cos_sin_f32(y: u32) -> [f32; 2] {
    let theta = (y << 2) as i32 as f32 * QUARTER_TURN_F32;
    let t2 = theta * theta;
    let s = SIN_F32[2].mul_add(t2, SIN_F32[1]).mul_add(t2, SIN_F32[0]);
    let sin = (theta * t2).mul_add(s, theta);
    let c = COS_F32[3].mul_add(t2, COS_F32[2]).mul_add(t2, COS_F32[1]).mul_add(t2, COS_F32[0]);
    let cos = c.mul_add(t2, 1.0);
    // Bits 31 and 30 of `q` are the quadrant: 1 and 3 swap the two, 2 and 3 negate the sine,
    // 1 and 2 the cosine.
    let q = y.wrapping_add(1 << 29);
    let (c, s) = if q & 1 << 30 == 0 { (cos, sin) } else { (sin, cos) };
    let minus = 1 << 31;
    [
        f32::from_bits(c.to_bits() ^ ((q ^ q << 1) & minus)),
        f32::from_bits(s.to_bits() ^ (q & minus)),
    ]
}

/// Cosine and sine of `y/2⁶⁴` turns, `y` cut to its 54 top bits.
#[inline]
fn cos_sin_f64(y: u64) -> [f64; 2] {
    let t = (((y << 2) as i64) >> 12) as f64 * (1.0 / 4_503_599_627_370_496.0);
    let t2 = t * t;
    let (mut s, mut c) = (SIN_F64[6], COS_F64[6]);
    for k in (0..6).rev() {
        s = s.mul_add(t2, SIN_F64[k]);
        c = c.mul_add(t2, COS_F64[k]);
    }
    let sin = s * t;
    let cos = c.mul_add(t2, 1.0);
    let q = y.wrapping_add(1 << 61);
    let (c, s) = if q & 1 << 62 == 0 { (cos, sin) } else { (sin, cos) };
    let minus = 1 << 63;
    [
        f64::from_bits(c.to_bits() ^ ((q ^ q << 1) & minus)),
        f64::from_bits(s.to_bits() ^ (q & minus)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// 2²⁰ points spread over the range by a Weyl sequence, and dense ones near both ends.
    fn words() -> impl Iterator<Item = u64> {
        let spread = (0..1u64 << 20).map(|k| k.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let ends = (0..64).flat_map(|b| (0..50).map(move |k| k << b));
        spread.chain(ends.clone()).chain(ends.map(|w: u64| !w))
    }

    #[test]
    fn logarithm_f32() {
        let worst = words().map(|w| w >> 32).fold(0f64, |worst, x| {
            let u = (x as u32 as f32 + 0.5) * (1.0 / 4_294_967_296.0);
            let (got, want) = (f64::from(minus_two_ln_f32(u)), -2.0 * f64::from(u).ln());
            worst.max(if want == 0.0 { got } else { ((got - want) / want).abs() })
        });
        assert!(worst < f64::from(f32::EPSILON), "{worst:e}");
    }

    /// The oracle is the f64 logarithm of the standard library, itself good to an ulp.
    #[test]
    fn logarithm_f64() {
        let worst = words().fold(0f64, |worst, w| {
            let u = ((w >> 11) + 1) as f64 * (1.0 / 9_007_199_254_740_992.0);
            let (got, want) = (minus_two_ln_f64(u), -2.0 * u.ln());
            worst.max(if want == 0.0 { got } else { ((got - want) / want).abs() })
        });
        assert!(worst < 1.5 * f64::EPSILON, "{worst:e}");
    }

    #[test]
    fn sine_and_cosine_f32() {
        for y in words().map(|w| (w >> 32) as u32) {
            let (sin, cos) = (f64::from(y) / 4_294_967_296.0 * TAU).sin_cos();
            let [c, s] = cos_sin_f32(y);
            assert!((f64::from(c) - cos).abs() < f64::from(f32::EPSILON), "{y}");
            assert!((f64::from(s) - sin).abs() < f64::from(f32::EPSILON), "{y}");
        }
    }

    /// The oracle reduces the angle to a quarter turn first, and is good to an ulp.
    #[test]
    fn sine_and_cosine_f64() {
        for y in words().map(|w| w & !0x3ff) {
            let t = ((y << 2) as i64) as f64 / (1u128 << 66) as f64 * TAU;
            let (sin, cos) = t.sin_cos();
            let (want_c, want_s) = match y.wrapping_add(1 << 61) >> 62 {
                0 => (cos, sin),
                1 => (-sin, cos),
                2 => (-cos, -sin),
                _ => (sin, -cos),
            };
            let [c, s] = cos_sin_f64(y);
            assert!((c - want_c).abs() < 1.5 * f64::EPSILON, "{y}");
            assert!((s - want_s).abs() < 1.5 * f64::EPSILON, "{y}");
        }
    }

    #[test]
    fn extremes() {
        assert!((f64::from(box_muller_f32([0, 0])[0]) - 6.7636).abs() < 1e-3);
        assert!((box_muller_f64(0, 0)[0] - 8.5716).abs() < 1e-3);
        // u = 1: the radius is +0, and so is every product up to the sign of the other factor.
        assert_eq!(minus_two_ln_f32(1.0).to_bits(), 0);
        assert_eq!(minus_two_ln_f64(1.0).to_bits(), 0);
        assert_eq!(box_muller_f32([u32::MAX, 5]), [0.0; 2]);
        assert_eq!(box_muller_f64(u64::MAX, 5), [0.0; 2]);
        // Quarter turns are exact.
        assert_eq!(cos_sin_f32(0), [1.0, 0.0]);
        assert_eq!(cos_sin_f32(1 << 30), [0.0, 1.0]);
        assert_eq!(cos_sin_f64(1 << 63), [-1.0, 0.0]);
        assert_eq!(cos_sin_f64(3 << 62), [0.0, -1.0]);
    }
}
