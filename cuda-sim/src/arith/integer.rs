//! Integer arithmetic.

/// An integer type of PTX. Signedness matters for comparison, division and widening.
pub trait Integer: Copy + Ord + 'static {
    /// Reads the low bits of a register.
    fn of(register: u64) -> Self;
    /// The zero-extended register.
    fn bits(self) -> u64;
    /// The value, whatever its type.
    fn wide(self) -> i128;
    /// The low bits of a value.
    fn narrow(value: i128) -> Self;
    /// The largest value.
    const MAX: Self;
    /// The smallest value.
    const MIN: Self;
    /// Width in bits.
    const BITS: u32;
}

macro_rules! integers {
    ($($ty:ident $unsigned:ident;)*) => {$(
        impl Integer for $ty {
            #[inline]
            fn of(register: u64) -> Self {
                register as Self
            }
            #[inline]
            fn bits(self) -> u64 {
                u64::from(self as $unsigned)
            }
            #[inline]
            fn wide(self) -> i128 {
                i128::from(self)
            }
            #[inline]
            fn narrow(value: i128) -> Self {
                value as Self
            }
            const MAX: Self = $ty::MAX;
            const MIN: Self = $ty::MIN;
            const BITS: u32 = $ty::BITS;
        }
    )*};
}
integers! { u8 u8; i8 u8; u16 u16; i16 u16; u32 u32; i32 u32; u64 u64; i64 u64; }

/// `a + b`, modulo the width.
pub fn add<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a.wrapping_add(b)).bits()
}

/// `a - b`, modulo the width.
pub fn sub<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a.wrapping_sub(b)).bits()
}

/// `a + b`, limited to the range of `s32`.
pub fn add_saturating(a: u64, b: u64, _: u64, _: u64) -> u64 {
    (a as i32).saturating_add(b as i32).bits()
}

/// `a - b`, limited to the range of `s32`.
pub fn sub_saturating(a: u64, b: u64, _: u64, _: u64) -> u64 {
    (a as i32).saturating_sub(b as i32).bits()
}

/// Low half of `a · b`.
pub fn mul_lo<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a.wrapping_mul(b)).bits()
}

fn product<T: Integer>(a: u64, b: u64) -> i128 {
    // The product of two u64 overflows i128 but keeps its bits.
    T::of(a).wide().wrapping_mul(T::of(b).wide())
}

fn high_half<T: Integer>(product: i128) -> u64 {
    // For u64 the product's bits are right and only bits 64..128 are wanted.
    T::narrow(product >> T::BITS).bits()
}

/// High half of `a · b`.
pub fn mul_hi<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    high_half::<T>(product::<T>(a, b))
}

/// `a · b` in twice the width (operands of 16 or 32 bits).
pub fn mul_wide<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    let mask = u64::MAX >> (64 - 2 * T::BITS.min(32));
    product::<T>(a, b) as u64 & mask
}

/// Low half of `a · b`, plus `c`.
pub fn mad_lo<T: Integer>(a: u64, b: u64, c: u64, _: u64) -> u64 {
    T::of(a.wrapping_mul(b).wrapping_add(c)).bits()
}

/// High half of `a · b`, plus `c`.
pub fn mad_hi<T: Integer>(a: u64, b: u64, c: u64, _: u64) -> u64 {
    T::of(mul_hi::<T>(a, b, 0, 0).wrapping_add(c)).bits()
}

/// High half of `a · b`, plus `c`, limited to the range of `s32`.
pub fn mad_hi_saturating(a: u64, b: u64, c: u64, _: u64) -> u64 {
    (mul_hi::<i32>(a, b, 0, 0) as i32).saturating_add(c as i32).bits()
}

/// `a · b + c` with product and sum in twice the width.
pub fn mad_wide<T: Integer>(a: u64, b: u64, c: u64, _: u64) -> u64 {
    let mask = u64::MAX >> (64 - 2 * T::BITS.min(32));
    (product::<T>(a, b) as u64).wrapping_add(c) & mask
}

fn low24<T: Integer>(a: u64) -> i128 {
    let signed = T::MIN.wide() < 0;
    if signed { i128::from((a as i32) << 8 >> 8) } else { i128::from(a & 0xFF_FFFF) }
}

/// Low 32 bits of the product of the low 24 bits.
pub fn mul24_lo<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    (low24::<T>(a) * low24::<T>(b)) as u32 as u64
}

/// Upper 32 of the 48 bits of the product of the low 24 bits.
pub fn mul24_hi<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    ((low24::<T>(a) * low24::<T>(b)) >> 16) as u32 as u64
}

/// `mul24.lo` plus `c`.
pub fn mad24_lo<T: Integer>(a: u64, b: u64, c: u64, _: u64) -> u64 {
    u64::from((mul24_lo::<T>(a, b, 0, 0) as u32).wrapping_add(c as u32))
}

/// `c + |a - b|`.
pub fn sad<T: Integer>(a: u64, b: u64, c: u64, _: u64) -> u64 {
    let distance = T::of(a).wide() - T::of(b).wide();
    T::of((distance.unsigned_abs() as u64).wrapping_add(c)).bits()
}

/// `a / b`, towards zero. Division by zero gives all ones, as GPUs happen to do.
pub fn div<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    match T::of(b).wide() {
        0 => T::of(u64::MAX).bits(),
        b => T::narrow(T::of(a).wide() / b).bits(),
    }
}

/// `a mod b` with the sign of `a`. The remainder by zero is `a`.
pub fn rem<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    match T::of(b).wide() {
        0 => T::of(a).bits(),
        b => T::narrow(T::of(a).wide() % b).bits(),
    }
}

/// `-a`.
pub fn neg<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    T::of(a.wrapping_neg()).bits()
}

/// `|a|`.
pub fn abs<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    T::narrow(T::of(a).wide().abs()).bits()
}

/// The smaller operand.
pub fn min<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a).min(T::of(b)).bits()
}

/// The larger operand.
pub fn max<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a).max(T::of(b)).bits()
}

/// `a + b + carry`, and the carry out.
pub fn add_carry<T: Integer>(a: u64, b: u64, _: u64, carry: u64) -> (u64, u64) {
    let sum = u128::from(T::of(a).bits()) + u128::from(T::of(b).bits()) + u128::from(carry);
    (T::of(sum as u64).bits(), (sum >> T::BITS) as u64)
}

/// `a - b` less one unless the carry is set, and the carry out: set unless there is a borrow.
///
/// The manual calls the flag a borrow, but the hardware adds the complement, and code that NVIDIA's
/// compiler emits for 128-bit division reads the flag of a subtraction by `addc`.
pub fn sub_carry<T: Integer>(a: u64, b: u64, _: u64, carry: u64) -> (u64, u64) {
    add_carry::<T>(a, !b, 0, carry)
}

/// Low half of `a · b`, plus `c` and the carry; and the carry out.
pub fn mad_lo_carry<T: Integer>(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    add_carry::<T>(mul_lo::<T>(a, b, 0, 0), c, 0, carry)
}

/// High half of `a · b`, plus `c` and the carry; and the carry out.
pub fn mad_hi_carry<T: Integer>(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    add_carry::<T>(mul_hi::<T>(a, b, 0, 0), c, 0, carry)
}

/// Sum of the products of four signed or unsigned bytes, plus `c`.
pub fn dp4a<A: Integer, B: Integer>(a: u64, b: u64, c: u64, _: u64) -> u64 {
    let byte = |i: u32| A::of(a >> (8 * i)).wide() * B::of(b >> (8 * i)).wide();
    let sum: i128 = (0..4).map(byte).sum();
    u64::from((c as u32).wrapping_add(sum as u32))
}
