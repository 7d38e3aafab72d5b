//! AVX2 with FMA: four 64-bit lanes. What it lacks is made of exact pieces: unsigned 32-bit
//! integers are converted in two halves joined by one multiply-add, 53-bit integers in two halves
//! placed in the mantissas of 2⁸⁴ and 2⁵².

use super::Isa;
use super::Kernel;
use super::lanes::{Lanes, operations};
use std::arch::x86_64::*;

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        (Isa::detect() != Isa::Portable).then_some(Self(()))
    }

    #[inline]
    pub(super) fn launch<K: Kernel>(self, kernel: K) {
        #[target_feature(enable = "avx2,fma")]
        fn inner<K: Kernel>(lanes: Avx2, kernel: K) {
            kernel.run(lanes);
        }
        // SAFETY: `self` exists only on processors that have these features.
        unsafe { inner(self, kernel) }
    }
}

#[inline(always)]
fn ps(a: __m256i) -> __m256 {
    // SAFETY: both types are 32 bytes of plain bits.
    unsafe { std::mem::transmute(a) }
}

#[inline(always)]
fn pd(a: __m256i) -> __m256d {
    // SAFETY: both types are 32 bytes of plain bits.
    unsafe { std::mem::transmute(a) }
}

#[inline(always)]
fn of_ps(a: __m256) -> __m256i {
    // SAFETY: both types are 32 bytes of plain bits.
    unsafe { std::mem::transmute(a) }
}

#[inline(always)]
fn of_pd(a: __m256d) -> __m256i {
    // SAFETY: both types are 32 bytes of plain bits.
    unsafe { std::mem::transmute(a) }
}

#[inline(always)]
fn count(n: u32) -> __m128i {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_cvtsi32_si128(n as i32) }
}

impl Lanes for Avx2 {
    type W = __m256i;
    const LANES: usize = 4;
    const ORDER: &'static [usize] = &[0, 2, 1, 3];

    #[inline(always)]
    unsafe fn store(self, to: *mut u8, w: __m256i) {
        // SAFETY: the caller's promise, and `self` for the instruction.
        unsafe { _mm256_storeu_si256(to.cast(), w) }
    }

    #[inline(always)]
    fn f32_from_u32(self, a: __m256i) -> __m256i {
        let high = self.f32_from_i32(self.shr32::<16>(a));
        let low = self.f32_from_i32(self.and(a, self.splat32(0xffff)));
        self.fma_f32(high, self.splat_f32(65_536.0), low)
    }

    #[inline(always)]
    fn f64_from_u53(self, a: __m256i) -> __m256i {
        const TWO_52: u64 = 0x4330 << 48;
        const TWO_84: u64 = 0x4530 << 48;
        let both = f64::from_bits(TWO_84) + f64::from_bits(TWO_52);
        let high = self.or(self.shr64::<32>(a), self.splat64(TWO_84));
        let low = self.or(self.and(a, self.splat64(0xffff_ffff)), self.splat64(TWO_52));
        self.add_f64(self.add_f64(high, self.splat_f64(-both)), low)
    }

    operations! {
        load(from: &[u64; 8]) -> __m256i = _mm256_loadu_si256(from.as_ptr().cast());
        splat32(x: u32) -> __m256i = _mm256_set1_epi32(x as i32);
        splat64(x: u64) -> __m256i = _mm256_set1_epi64x(x as i64);
        and(a: __m256i, b: __m256i) -> __m256i = _mm256_and_si256(a, b);
        or(a: __m256i, b: __m256i) -> __m256i = _mm256_or_si256(a, b);
        xor(a: __m256i, b: __m256i) -> __m256i = _mm256_xor_si256(a, b);
        add32(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(a, b);
        sub32(a: __m256i, b: __m256i) -> __m256i = _mm256_sub_epi32(a, b);
        add64(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi64(a, b);
        sub64(a: __m256i, b: __m256i) -> __m256i = _mm256_sub_epi64(a, b);
        mul_low(a: __m256i, b: __m256i) -> __m256i = _mm256_mul_epu32(a, b);
        greater64(a: __m256i, b: __m256i) -> __m256i = _mm256_cmpgt_epi64(a, b);
        equal64(a: __m256i, b: __m256i) -> __m256i = _mm256_cmpeq_epi64(a, b);
        shl32<N>(a: __m256i) -> __m256i = _mm256_sll_epi32(a, count(N));
        shr32<N>(a: __m256i) -> __m256i = _mm256_srl_epi32(a, count(N));
        sar32<N>(a: __m256i) -> __m256i = _mm256_sra_epi32(a, count(N));
        shl64<N>(a: __m256i) -> __m256i = _mm256_sll_epi64(a, count(N));
        shr64<N>(a: __m256i) -> __m256i = _mm256_srl_epi64(a, count(N));
        shlv32(a: __m256i, n: __m256i) -> __m256i = _mm256_sllv_epi32(a, n);
        shlv64(a: __m256i, n: __m256i) -> __m256i = _mm256_sllv_epi64(a, n);
        pair_low(a: __m256i, b: __m256i) -> __m256i =
            _mm256_blend_epi32::<0xaa>(a, _mm256_slli_epi64::<32>(b));
        unpack32(a: __m256i, b: __m256i) -> [__m256i; 2] =
            [_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)];
        unpack64(a: __m256i, b: __m256i) -> [__m256i; 2] =
            [_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)];
        select32(mask: __m256i, a: __m256i, b: __m256i) -> __m256i =
            of_ps(_mm256_blendv_ps(ps(a), ps(b), ps(mask)));
        select64(mask: __m256i, a: __m256i, b: __m256i) -> __m256i =
            of_pd(_mm256_blendv_pd(pd(a), pd(b), pd(mask)));
        f32_from_i32(a: __m256i) -> __m256i = of_ps(_mm256_cvtepi32_ps(a));
        add_f32(a: __m256i, b: __m256i) -> __m256i = of_ps(_mm256_add_ps(ps(a), ps(b)));
        mul_f32(a: __m256i, b: __m256i) -> __m256i = of_ps(_mm256_mul_ps(ps(a), ps(b)));
        fma_f32(a: __m256i, b: __m256i, c: __m256i) -> __m256i =
            of_ps(_mm256_fmadd_ps(ps(a), ps(b), ps(c)));
        sqrt_f32(a: __m256i) -> __m256i = of_ps(_mm256_sqrt_ps(ps(a)));
        add_f64(a: __m256i, b: __m256i) -> __m256i = of_pd(_mm256_add_pd(pd(a), pd(b)));
        mul_f64(a: __m256i, b: __m256i) -> __m256i = of_pd(_mm256_mul_pd(pd(a), pd(b)));
        fma_f64(a: __m256i, b: __m256i, c: __m256i) -> __m256i =
            of_pd(_mm256_fmadd_pd(pd(a), pd(b), pd(c)));
        sqrt_f64(a: __m256i) -> __m256i = of_pd(_mm256_sqrt_pd(pd(a)));
    }
}
