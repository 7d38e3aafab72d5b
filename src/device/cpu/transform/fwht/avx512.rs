//! AVX-512: vectors of 16 `f32` or 8 `f64`, 16 of them in flight of 32 registers.

use super::super::Real;
use super::radix::{self, Lanes};
use super::{Engine, Kernel};
use core::arch::x86_64::*;

/// The engine of CPUs with AVX-512 F, DQ, VL and BW.
pub(in super::super) struct Avx512;

impl<T: Real> Engine<T> for Avx512 {
    unsafe fn leaf(x: *mut T, len: usize, from: usize) {
        // SAFETY: the caller promises the block and the CPU.
        unsafe { leaf(x, len, from) }
    }

    unsafe fn pass(x: *mut T, h: usize, radix: usize, width: usize) {
        // SAFETY: the caller promises the pieces and the CPU.
        unsafe { pass(x, h, radix, width) }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
unsafe fn leaf<T: Real>(x: *mut T, len: usize, from: usize) {
    // SAFETY: the caller promises the block, this function the instructions.
    unsafe { super::small_or_leaf::<T, T::Avx512>(x, len, from) }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
unsafe fn pass<T: Real>(x: *mut T, h: usize, radix: usize, width: usize) {
    // SAFETY: the caller promises the pieces, this function the instructions.
    unsafe { radix::pass::<T, T::Avx512>(x, h, radix, width) }
}

/// Runs a kernel compiled with these instructions.
///
/// # Safety
/// The CPU has them.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
pub(super) unsafe fn run<T: Real>(kernel: impl Kernel<T>) {
    kernel.run::<Avx512>();
}

impl Lanes<f32> for __m512 {
    const LANES: usize = 16;
    const RADIX: usize = 16;

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller promises 16 entries and the CPU.
        unsafe { _mm512_loadu_ps(at) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller promises 16 entries and the CPU.
        unsafe { _mm512_storeu_ps(at, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe { _mm512_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn within(self, h: usize) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe {
            // The partner of every entry, and the signs of those that are subtracted.
            let (partner, upper) = match h {
                1 => (_mm512_permute_ps::<0b10_11_00_01>(self), 0xaaaa),
                2 => (_mm512_permute_ps::<0b01_00_11_10>(self), 0xcccc),
                4 => (_mm512_shuffle_f32x4::<0b10_11_00_01>(self, self), 0xf0f0),
                _ => (_mm512_shuffle_f32x4::<0b01_00_11_10>(self, self), 0xff00),
            };
            let sign = _mm512_maskz_set1_epi32(upper, i32::MIN);
            _mm512_add_ps(partner, _mm512_xor_ps(self, _mm512_castsi512_ps(sign)))
        }
    }
}

impl Lanes<f64> for __m512d {
    const LANES: usize = 8;
    const RADIX: usize = 16;

    #[inline(always)]
    unsafe fn load(at: *const f64) -> Self {
        // SAFETY: the caller promises 8 entries and the CPU.
        unsafe { _mm512_loadu_pd(at) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f64) {
        // SAFETY: the caller promises 8 entries and the CPU.
        unsafe { _mm512_storeu_pd(at, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe { _mm512_add_pd(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe { _mm512_sub_pd(self, other) }
    }

    #[inline(always)]
    unsafe fn within(self, h: usize) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe {
            // The partner of every entry, and the signs of those that are subtracted.
            let (partner, upper) = match h {
                1 => (_mm512_permute_pd::<0b0101_0101>(self), 0xaa),
                2 => (_mm512_shuffle_f64x2::<0b10_11_00_01>(self, self), 0xcc),
                _ => (_mm512_shuffle_f64x2::<0b01_00_11_10>(self, self), 0xf0),
            };
            let sign = _mm512_maskz_set1_epi64(upper, i64::MIN);
            _mm512_add_pd(partner, _mm512_xor_pd(self, _mm512_castsi512_pd(sign)))
        }
    }
}
