//! AVX2: vectors of 8 `f32` or 4 `f64`, 8 of them in flight of 16 registers.

use super::super::Real;
use super::radix::{self, Lanes};
use super::{Engine, Kernel};
use core::arch::x86_64::*;

/// The engine of CPUs with AVX2.
pub(in super::super) struct Avx2;

impl<T: Real> Engine<T> for Avx2 {
    unsafe fn leaf(x: *mut T, len: usize, from: usize) {
        // SAFETY: the caller promises the block and the CPU.
        unsafe { leaf(x, len, from) }
    }

    unsafe fn pass(x: *mut T, h: usize, radix: usize, width: usize) {
        // SAFETY: the caller promises the pieces and the CPU.
        unsafe { pass(x, h, radix, width) }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn leaf<T: Real>(x: *mut T, len: usize, from: usize) {
    // SAFETY: the caller promises the block, this function the instructions.
    unsafe { super::small_or_leaf::<T, T::Avx2>(x, len, from) }
}

#[target_feature(enable = "avx2")]
unsafe fn pass<T: Real>(x: *mut T, h: usize, radix: usize, width: usize) {
    // SAFETY: the caller promises the pieces, this function the instructions.
    unsafe { radix::pass::<T, T::Avx2>(x, h, radix, width) }
}

/// Runs a kernel compiled with these instructions.
///
/// # Safety
/// The CPU has them.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn run<T: Real>(kernel: impl Kernel<T>) {
    kernel.run::<Avx2>();
}

impl Lanes<f32> for __m256 {
    const LANES: usize = 8;
    const RADIX: usize = 8;

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller promises 8 entries and the CPU.
        unsafe { _mm256_loadu_ps(at) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller promises 8 entries and the CPU.
        unsafe { _mm256_storeu_ps(at, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe { _mm256_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn within(self, h: usize) -> Self {
        const M: f32 = -0.0;
        // SAFETY: the caller promises the CPU.
        unsafe {
            // The partner of every entry, and the signs of those that are subtracted.
            let (partner, sign) = match h {
                1 => (
                    _mm256_permute_ps::<0b10_11_00_01>(self),
                    _mm256_setr_ps(0.0, M, 0.0, M, 0.0, M, 0.0, M),
                ),
                2 => (
                    _mm256_permute_ps::<0b01_00_11_10>(self),
                    _mm256_setr_ps(0.0, 0.0, M, M, 0.0, 0.0, M, M),
                ),
                _ => (
                    _mm256_permute2f128_ps::<1>(self, self),
                    _mm256_setr_ps(0.0, 0.0, 0.0, 0.0, M, M, M, M),
                ),
            };
            _mm256_add_ps(partner, _mm256_xor_ps(self, sign))
        }
    }
}

impl Lanes<f64> for __m256d {
    const LANES: usize = 4;
    const RADIX: usize = 8;

    #[inline(always)]
    unsafe fn load(at: *const f64) -> Self {
        // SAFETY: the caller promises 4 entries and the CPU.
        unsafe { _mm256_loadu_pd(at) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f64) {
        // SAFETY: the caller promises 4 entries and the CPU.
        unsafe { _mm256_storeu_pd(at, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe { _mm256_add_pd(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller promises the CPU.
        unsafe { _mm256_sub_pd(self, other) }
    }

    #[inline(always)]
    unsafe fn within(self, h: usize) -> Self {
        const M: f64 = -0.0;
        // SAFETY: the caller promises the CPU.
        unsafe {
            // The partner of every entry, and the signs of those that are subtracted.
            let (partner, sign) = match h {
                1 => (_mm256_permute_pd::<0b0101>(self), _mm256_setr_pd(0.0, M, 0.0, M)),
                _ => (_mm256_permute2f128_pd::<1>(self, self), _mm256_setr_pd(0.0, 0.0, M, M)),
            };
            _mm256_add_pd(partner, _mm256_xor_pd(self, sign))
        }
    }
}
