//! The vector register that the fills are written against, and what an instruction set supplies.
//!
//! A register is a bag of bits; the name of an operation says how its lanes are read (`32`, `64`,
//! `f32`, `f64`). Every operation is exact or correctly rounded, so that the bits of a fill do not
//! depend on the implementation.
//!
//! A value of a type that implements [`Lanes`] is the proof that the processor has the
//! instructions: it is only made after run-time detection, which makes the methods safe.

/// Vector operations of one instruction set.
///
/// The methods must be inlined into a function compiled for that instruction set
/// ([`super::Kernel`] sees to it), hence `#[inline(always)]` on all that use them.
pub(super) trait Lanes: Copy {
    /// A vector register.
    type W: Copy;
    /// Number of 64-bit lanes.
    const LANES: usize;
    /// Flat index handled by each 64-bit lane, such that [`Self::unpack32`] and
    /// [`Self::unpack64`] (which interleave inside 128-bit parts) put out blocks in order.
    const ORDER: &'static [usize];

    /// Reads the first `LANES` values.
    fn load(self, from: &[u64; 8]) -> Self::W;
    /// Writes the register.
    ///
    /// # Safety
    /// `to` must be valid for writing `8·LANES` bytes; no alignment is needed.
    unsafe fn store(self, to: *mut u8, w: Self::W);
    fn splat32(self, x: u32) -> Self::W;
    fn splat64(self, x: u64) -> Self::W;

    fn and(self, a: Self::W, b: Self::W) -> Self::W;
    fn or(self, a: Self::W, b: Self::W) -> Self::W;
    fn xor(self, a: Self::W, b: Self::W) -> Self::W;
    fn add32(self, a: Self::W, b: Self::W) -> Self::W;
    fn sub32(self, a: Self::W, b: Self::W) -> Self::W;
    fn add64(self, a: Self::W, b: Self::W) -> Self::W;
    fn sub64(self, a: Self::W, b: Self::W) -> Self::W;
    /// Product of the low halves of the 64-bit lanes.
    fn mul_low(self, a: Self::W, b: Self::W) -> Self::W;
    /// All ones in the 64-bit lanes where `a > b` as signed integers, else zero.
    fn greater64(self, a: Self::W, b: Self::W) -> Self::W;
    /// All ones in the 64-bit lanes where `a = b`, else zero.
    fn equal64(self, a: Self::W, b: Self::W) -> Self::W;
    fn shl32<const N: u32>(self, a: Self::W) -> Self::W;
    fn shr32<const N: u32>(self, a: Self::W) -> Self::W;
    /// Arithmetic shift to the right.
    fn sar32<const N: u32>(self, a: Self::W) -> Self::W;
    fn shl64<const N: u32>(self, a: Self::W) -> Self::W;
    fn shr64<const N: u32>(self, a: Self::W) -> Self::W;
    /// Shift to the left by the 32-bit lanes of `n`.
    fn shlv32(self, a: Self::W, n: Self::W) -> Self::W;
    /// Shift to the left by the 64-bit lanes of `n`.
    fn shlv64(self, a: Self::W, n: Self::W) -> Self::W;

    /// 64-bit lanes `low(a) | low(b) << 32`.
    fn pair_low(self, a: Self::W, b: Self::W) -> Self::W;
    /// 32-bit lanes of `a` and `b` in turn, within 128-bit parts: low halves, high halves.
    fn unpack32(self, a: Self::W, b: Self::W) -> [Self::W; 2];
    /// 64-bit lanes of `a` and `b` in turn, within 128-bit parts: low halves, high halves.
    fn unpack64(self, a: Self::W, b: Self::W) -> [Self::W; 2];
    /// 32-bit lanes of `b` where the top bit of `mask` is set, else of `a`.
    fn select32(self, mask: Self::W, a: Self::W, b: Self::W) -> Self::W;
    /// 64-bit lanes of `b` where the top bit of `mask` is set, else of `a`.
    fn select64(self, mask: Self::W, a: Self::W, b: Self::W) -> Self::W;

    /// Signed 32-bit integers to f32, rounded to nearest.
    fn f32_from_i32(self, a: Self::W) -> Self::W;
    /// Unsigned 32-bit integers to f32, rounded to nearest.
    fn f32_from_u32(self, a: Self::W) -> Self::W;
    /// Unsigned 64-bit integers up to 2⁵³ to f64, exactly.
    fn f64_from_u53(self, a: Self::W) -> Self::W;
    fn add_f32(self, a: Self::W, b: Self::W) -> Self::W;
    fn mul_f32(self, a: Self::W, b: Self::W) -> Self::W;
    /// `a·b + c` with one rounding.
    fn fma_f32(self, a: Self::W, b: Self::W, c: Self::W) -> Self::W;
    fn sqrt_f32(self, a: Self::W) -> Self::W;
    fn add_f64(self, a: Self::W, b: Self::W) -> Self::W;
    fn mul_f64(self, a: Self::W, b: Self::W) -> Self::W;
    /// `a·b + c` with one rounding.
    fn fma_f64(self, a: Self::W, b: Self::W, c: Self::W) -> Self::W;
    fn sqrt_f64(self, a: Self::W) -> Self::W;

    #[inline(always)]
    fn splat_f32(self, x: f32) -> Self::W {
        self.splat32(x.to_bits())
    }

    #[inline(always)]
    fn splat_f64(self, x: f64) -> Self::W {
        self.splat64(x.to_bits())
    }
}

/// Defines [`Lanes`] operations as single expressions over `std::arch`.
#[cfg(target_arch = "x86_64")]
macro_rules! operations {
    ($($name:ident $(<$n:ident>)? ($($arg:ident: $type:ty),*) -> $ret:ty = $body:expr;)*) => { $(
        #[inline(always)]
        fn $name $(<const $n: u32>)? (self, $($arg: $type),*) -> $ret {
            // SAFETY: `self` exists only on processors that have the instructions.
            unsafe { $body }
        }
    )* };
}
#[cfg(target_arch = "x86_64")]
pub(super) use operations;
