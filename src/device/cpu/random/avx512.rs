//! AVX-512 (F, DQ, VL, BW): eight 64-bit lanes, 32 registers, masks, three-way logic and the
//! conversions of unsigned integers.

use super::Isa;
use super::Kernel;
use super::lanes::{Lanes, operations};
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512 F, DQ, VL and BW.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        (Isa::detect() == Isa::Avx512).then_some(Self(()))
    }

    #[inline]
    pub(super) fn launch<K: Kernel>(self, kernel: K) {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
        fn inner<K: Kernel>(lanes: Avx512, kernel: K) {
            kernel.run(lanes);
        }
        // SAFETY: `self` exists only on processors that have these features.
        unsafe { inner(self, kernel) }
    }
}

#[inline(always)]
fn ps(a: __m512i) -> __m512 {
    // SAFETY: both types are 64 bytes of plain bits.
    unsafe { std::mem::transmute(a) }
}

#[inline(always)]
fn pd(a: __m512i) -> __m512d {
    // SAFETY: both types are 64 bytes of plain bits.
    unsafe { std::mem::transmute(a) }
}

#[inline(always)]
fn of_ps(a: __m512) -> __m512i {
    // SAFETY: both types are 64 bytes of plain bits.
    unsafe { std::mem::transmute(a) }
}

#[inline(always)]
fn of_pd(a: __m512d) -> __m512i {
    // SAFETY: both types are 64 bytes of plain bits.
    unsafe { std::mem::transmute(a) }
}

#[inline(always)]
fn count(n: u32) -> __m128i {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_cvtsi32_si128(n as i32) }
}

impl Lanes for Avx512 {
    type W = __m512i;
    const LANES: usize = 8;
    const ORDER: &'static [usize] = &[0, 4, 1, 5, 2, 6, 3, 7];

    #[inline(always)]
    unsafe fn store(self, to: *mut u8, w: __m512i) {
        // SAFETY: the caller's promise, and `self` for the instruction.
        unsafe { _mm512_storeu_si512(to.cast(), w) }
    }

    operations! {
        load(from: &[u64; 8]) -> __m512i = _mm512_loadu_si512(from.as_ptr().cast());
        splat32(x: u32) -> __m512i = _mm512_set1_epi32(x as i32);
        splat64(x: u64) -> __m512i = _mm512_set1_epi64(x as i64);
        and(a: __m512i, b: __m512i) -> __m512i = _mm512_and_si512(a, b);
        or(a: __m512i, b: __m512i) -> __m512i = _mm512_or_si512(a, b);
        xor(a: __m512i, b: __m512i) -> __m512i = _mm512_xor_si512(a, b);
        add32(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi32(a, b);
        sub32(a: __m512i, b: __m512i) -> __m512i = _mm512_sub_epi32(a, b);
        add64(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi64(a, b);
        sub64(a: __m512i, b: __m512i) -> __m512i = _mm512_sub_epi64(a, b);
        mul_low(a: __m512i, b: __m512i) -> __m512i = _mm512_mul_epu32(a, b);
        greater64(a: __m512i, b: __m512i) -> __m512i =
            _mm512_movm_epi64(_mm512_cmpgt_epi64_mask(a, b));
        equal64(a: __m512i, b: __m512i) -> __m512i =
            _mm512_movm_epi64(_mm512_cmpeq_epi64_mask(a, b));
        shl32<N>(a: __m512i) -> __m512i = _mm512_sll_epi32(a, count(N));
        shr32<N>(a: __m512i) -> __m512i = _mm512_srl_epi32(a, count(N));
        sar32<N>(a: __m512i) -> __m512i = _mm512_sra_epi32(a, count(N));
        shl64<N>(a: __m512i) -> __m512i = _mm512_sll_epi64(a, count(N));
        shr64<N>(a: __m512i) -> __m512i = _mm512_srl_epi64(a, count(N));
        shlv32(a: __m512i, n: __m512i) -> __m512i = _mm512_sllv_epi32(a, n);
        shlv64(a: __m512i, n: __m512i) -> __m512i = _mm512_sllv_epi64(a, n);
        pair_low(a: __m512i, b: __m512i) -> __m512i =
            of_ps(_mm512_mask_moveldup_ps(ps(a), 0xaaaa, ps(b)));
        unpack32(a: __m512i, b: __m512i) -> [__m512i; 2] =
            [_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)];
        unpack64(a: __m512i, b: __m512i) -> [__m512i; 2] =
            [_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)];
        select32(mask: __m512i, a: __m512i, b: __m512i) -> __m512i =
            _mm512_mask_blend_epi32(_mm512_movepi32_mask(mask), a, b);
        select64(mask: __m512i, a: __m512i, b: __m512i) -> __m512i =
            _mm512_mask_blend_epi64(_mm512_movepi64_mask(mask), a, b);
        f32_from_i32(a: __m512i) -> __m512i = of_ps(_mm512_cvtepi32_ps(a));
        f32_from_u32(a: __m512i) -> __m512i = of_ps(_mm512_cvtepu32_ps(a));
        f64_from_u53(a: __m512i) -> __m512i = of_pd(_mm512_cvtepi64_pd(a));
        add_f32(a: __m512i, b: __m512i) -> __m512i = of_ps(_mm512_add_ps(ps(a), ps(b)));
        mul_f32(a: __m512i, b: __m512i) -> __m512i = of_ps(_mm512_mul_ps(ps(a), ps(b)));
        fma_f32(a: __m512i, b: __m512i, c: __m512i) -> __m512i =
            of_ps(_mm512_fmadd_ps(ps(a), ps(b), ps(c)));
        sqrt_f32(a: __m512i) -> __m512i = of_ps(_mm512_sqrt_ps(ps(a)));
        add_f64(a: __m512i, b: __m512i) -> __m512i = of_pd(_mm512_add_pd(pd(a), pd(b)));
        mul_f64(a: __m512i, b: __m512i) -> __m512i = of_pd(_mm512_mul_pd(pd(a), pd(b)));
        fma_f64(a: __m512i, b: __m512i, c: __m512i) -> __m512i =
            of_pd(_mm512_fmadd_pd(pd(a), pd(b), pd(c)));
        sqrt_f64(a: __m512i) -> __m512i = of_pd(_mm512_sqrt_pd(pd(a)));
    }
}
