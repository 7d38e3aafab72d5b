//! Conversions of many numbers: `f16` by F16C where the processor has it, `bf16` by shifts, which the
//! compiler vectorises. To nearest, ties to even, on every way: the same bits but for the payload of
//! a NaN.

use super::PIECE;
use crate::Half;
use half::{bf16, f16};

/// The way conversions of `f16` go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// One by one.
    Portable,
    /// Eight at a time.
    #[cfg(target_arch = "x86_64")]
    F16c,
}

impl Way {
    /// The best one of this processor.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx") && is_x86_feature_detected!("f16c") {
            return Self::F16c;
        }
        Self::Portable
    }
}

/// A half that pieces are converted from and to.
pub(super) trait Converter: Half {
    fn widen_all(way: Way, from: &[Self; PIECE], to: &mut [f32; PIECE]);
    fn narrow_all(way: Way, from: &[f32; PIECE], to: &mut [Self; PIECE]);
}

fn widen_each<H: Half>(from: &[H; PIECE], to: &mut [f32; PIECE]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from.widen());
}

fn narrow_each<H: Half>(from: &[f32; PIECE], to: &mut [H; PIECE]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = H::narrow(from));
}

impl Converter for f16 {
    fn widen_all(way: Way, from: &[Self; PIECE], to: &mut [f32; PIECE]) {
        match way {
            Way::Portable => widen_each(from, to),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the instruction set was detected on this processor.
            Way::F16c => unsafe { f16c::widen(from, to) },
        }
    }

    fn narrow_all(way: Way, from: &[f32; PIECE], to: &mut [Self; PIECE]) {
        match way {
            Way::Portable => narrow_each(from, to),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the instruction set was detected on this processor.
            Way::F16c => unsafe { f16c::narrow(from, to) },
        }
    }
}

impl Converter for bf16 {
    fn widen_all(_way: Way, from: &[Self; PIECE], to: &mut [f32; PIECE]) {
        widen_each(from, to);
    }

    fn narrow_all(_way: Way, from: &[f32; PIECE], to: &mut [Self; PIECE]) {
        narrow_each(from, to);
    }
}

#[cfg(target_arch = "x86_64")]
mod f16c {
    use super::PIECE;
    use core::arch::x86_64::*;
    use half::f16;

    #[target_feature(enable = "avx,f16c")]
    pub(super) fn widen(from: &[f16; PIECE], to: &mut [f32; PIECE]) {
        for (from, to) in from.as_chunks::<8>().0.iter().zip(to.as_chunks_mut::<8>().0) {
            // SAFETY: eight numbers are read and written.
            unsafe {
                let halves = _mm_loadu_si128(from.as_ptr().cast());
                _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(halves));
            }
        }
    }

    #[target_feature(enable = "avx,f16c")]
    pub(super) fn narrow(from: &[f32; PIECE], to: &mut [f16; PIECE]) {
        for (from, to) in from.as_chunks::<8>().0.iter().zip(to.as_chunks_mut::<8>().0) {
            // SAFETY: eight numbers are read and written.
            unsafe {
                let wide = _mm256_loadu_ps(from.as_ptr());
                let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(wide);
                _mm_storeu_si128(to.as_mut_ptr().cast(), halves);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<H: Converter>(a: &[H; PIECE], b: &[H; PIECE]) {
        for (a, b) in a.iter().zip(b) {
            assert!(a == b || a.widen().is_nan() && b.widen().is_nan(), "{a:?} and {b:?}");
        }
    }

    fn every_half<H: Converter>(from_bits: fn(u16) -> H) {
        for high in 0..=255u16 {
            let halves: [H; PIECE] = core::array::from_fn(|low| from_bits(high << 8 | low as u16));
            let (mut fast, mut slow) = ([0.0; PIECE], [0.0; PIECE]);
            H::widen_all(Way::detect(), &halves, &mut fast);
            H::widen_all(Way::Portable, &halves, &mut slow);
            assert!(fast.iter().zip(&slow).all(|(a, b)| a == b || a.is_nan() && b.is_nan()));
            let mut back = [H::default(); PIECE];
            H::narrow_all(Way::detect(), &fast, &mut back);
            same(&back, &halves);
            // Around the midpoints to the next number, where rounding is decided.
            let midpoint = if H::NAME == "f16" { 1 << 12 } else { 1 << 15 };
            for step in [midpoint - 1, midpoint, midpoint + 1] {
                let near = fast.map(|x| f32::from_bits(x.to_bits().wrapping_add(step)));
                let (mut fast, mut slow) = ([H::default(); PIECE], [H::default(); PIECE]);
                H::narrow_all(Way::detect(), &near, &mut fast);
                H::narrow_all(Way::Portable, &near, &mut slow);
                same(&fast, &slow);
            }
        }
    }

    #[test]
    fn ways_agree_on_every_half_and_beside_every_midpoint() {
        every_half::<f16>(f16::from_bits);
        every_half::<bf16>(bf16::from_bits);
    }

    /// Hand-worked: ties to even, overflow, subnormal numbers.
    #[test]
    fn rounding_is_to_nearest_even() {
        let cases = [
            (1.0 + 1.0 / 2048.0, 0x3c00u16),
            (1.0 + 3.0 / 2048.0, 0x3c02),
            (65519.0, 0x7bff),
            (65520.0, 0x7c00),
            (-65520.0, 0xfc00),
            (2.0f32.powi(-24), 0x0001),
            (2.0f32.powi(-25), 0x0000),
            (3.0 * 2.0f32.powi(-25), 0x0002),
        ];
        for way in [Way::Portable, Way::detect()] {
            for (x, bits) in cases {
                let mut out = [f16::default(); PIECE];
                f16::narrow_all(way, &[x; PIECE], &mut out);
                assert_eq!(out[PIECE - 1].to_bits(), bits, "{x}");
            }
        }
        let mut out = [bf16::default(); PIECE];
        for (x, bits) in
            [(1.0 + 1.0 / 256.0, 0x3f80u16), (1.0 + 3.0 / 256.0, 0x3f82), (f32::MAX, 0x7f80)]
        {
            bf16::narrow_all(Way::Portable, &[x; PIECE], &mut out);
            assert_eq!(out[0].to_bits(), bits, "{x}");
        }
    }
}
