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
            const BITS: u32 = $ty::BITS;
        }
    )*};
}
integers! { u16 u16; i16 u16; u32 u32; i32 u32; u64 u64; i64 u64; }

/// `a + b`, modulo the width.
pub fn add<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a.wrapping_add(b)).bits()
}

/// `a - b`, modulo the width.
pub fn sub<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a.wrapping_sub(b)).bits()
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

/// `a · b + c` with product and sum in twice the width.
pub fn mad_wide<T: Integer>(a: u64, b: u64, c: u64, _: u64) -> u64 {
    let mask = u64::MAX >> (64 - 2 * T::BITS.min(32));
    (product::<T>(a, b) as u64).wrapping_add(c) & mask
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

/// The smaller operand.
pub fn min<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a).min(T::of(b)).bits()
}

/// The larger operand.
pub fn max<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a).max(T::of(b)).bits()
}
