//! Transforms on the CPU: Walsh-Hadamard, cosine, and the subsampled operators made of them.
//!
//! | file | what |
//! |---|---|
//! | `fwht` | the Walsh-Hadamard transform, with its butterflies for each instruction set |
//! | `dct` | the orthonormal cosine transform |
//! | `convolve` | circular convolutions of columns |
//! | `mix` | `C ← α S A + β C` for SRHT, SRCT and Hadamard-diagonal operators |
//! | `plan` | the signs and sampled rows of such an operator |
//! | `panel` | strided loads and stores of panels of columns, with signs and factors |
//!
//! Columns never meet, so any division of them among threads gives the same bits.

mod convolve;
mod dct;
// Counted loops over registers are what inlines under `target_feature`; closures are not.
#[allow(clippy::needless_range_loop)]
mod fwht;
mod mix;
#[cfg(test)]
#[allow(clippy::needless_range_loop)]
mod mix_tests;
mod panel;
mod plan;
#[cfg(test)]
mod testing;

use super::{Cpu, fit_factors, fit_family, fit_product, op_shape};
use crate::{Blas, MatMut, MatRef, Op, Result, Scalar, Sketch, TransformKernels};

/// A scalar that can be transformed: its bits, and its vector registers.
trait Real: Scalar + PartialOrd + rustdct::DctNum {
    /// An integer with a sign bit for each of [`Real::WORD`] entries.
    type Word: Copy + Default + Send + Sync;
    /// Bits of [`Real::Word`], and of the scalar.
    const WORD: usize;
    #[cfg(target_arch = "x86_64")]
    /// The register of AVX2.
    type Avx2: fwht::Lanes<Self>;
    #[cfg(target_arch = "x86_64")]
    /// The register of AVX-512.
    type Avx512: fwht::Lanes<Self>;

    /// `C ← β C`.
    fn scale(cpu: &Cpu, beta: Self, c: MatMut<'_, Self>) -> Result<()>;

    /// A block of 128 sign bits as words.
    fn words(block: [u32; 4]) -> impl Iterator<Item = Self::Word>;

    /// The word whose bits all are bit `k` of `word`.
    fn spread(word: Self::Word, k: usize) -> Self::Word;

    /// −x where bit `k < WORD` of `word` is set.
    fn flipped(self, word: Self::Word, k: usize) -> Self;
}

/// The scalar nearest to `x`. (rustdct's scalars have a conversion of the same name.)
fn number<T: Real>(x: f64) -> T {
    <T as Scalar>::from_f64(x)
}

/// Implements [`Real`] and the kernels for a scalar, its word and its registers.
macro_rules! real {
    ($t:ty, $word:ty, $avx2:ident, $avx512:ident, $words:expr) => {
        impl Real for $t {
            type Word = $word;
            const WORD: usize = <$word>::BITS as usize;
            #[cfg(target_arch = "x86_64")]
            type Avx2 = core::arch::x86_64::$avx2;
            #[cfg(target_arch = "x86_64")]
            type Avx512 = core::arch::x86_64::$avx512;

            fn scale(cpu: &Cpu, beta: $t, c: MatMut<'_, $t>) -> Result<()> {
                Blas::scale(cpu, beta, c)
            }

            fn words(block: [u32; 4]) -> impl Iterator<Item = $word> {
                $words(block).into_iter()
            }

            #[inline(always)]
            fn spread(word: $word, k: usize) -> $word {
                (word >> k & 1).wrapping_neg()
            }

            #[inline(always)]
            fn flipped(self, word: $word, k: usize) -> Self {
                const SIGN: $word = 1 << (<$word>::BITS - 1);
                Self::from_bits(self.to_bits() ^ (word << (Self::WORD - 1 - k) & SIGN))
            }
        }

        impl TransformKernels<$t> for Cpu {
            fn fwht(&self, a: MatMut<'_, $t, Self>) -> Result<()> {
                let n = a.nrows();
                assert!(n == 0 || n.is_power_of_two(), "{n} rows, expected a power of two");
                fwht::fwht(self, fwht::Isa::detect(), a)
            }

            fn dct(&self, op: Op, a: MatMut<'_, $t, Self>) -> Result<()> {
                dct::dct(self, op, a)
            }

            fn mix_times(
                &self,
                s: &Sketch,
                op: Op,
                alpha: $t,
                a: MatRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_product(op_shape(op, s.shape()), a.shape(), c.shape());
                fit_family(s, s.family().is_transform());
                mix::mix_times(self, fwht::Isa::detect(), s, op, (alpha, beta), a, c)
            }

            fn convolve(
                &self,
                alpha: $t,
                factors: &[MatRef<'_, $t, Self>],
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_factors(factors, c.shape());
                if alpha == 0.0 || c.is_empty() {
                    return Blas::scale(self, beta, c);
                }
                convolve::convolve(self, alpha, factors, beta, c)
            }
        }
    };
}

real!(f32, u32, __m256, __m512, |block: [u32; 4]| block);
real!(f64, u64, __m256d, __m512d, |[a, b, c, d]: [u32; 4]| {
    [u64::from(a) | u64::from(b) << 32, u64::from(c) | u64::from(d) << 32]
});
