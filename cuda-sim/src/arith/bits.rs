//! Logic, shifts and bit fields.

use super::integer::Integer;

/// `a`, in the width of `T`.
pub fn mov<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    T::of(a).bits()
}

/// `a & b`.
pub fn and<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a & b).bits()
}

/// `a | b`.
pub fn or<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a | b).bits()
}

/// `a ^ b`.
pub fn xor<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    T::of(a ^ b).bits()
}

/// `!a`.
pub fn not<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    T::of(!a).bits()
}

/// `!p` of a predicate.
pub fn not_predicate(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from(a == 0)
}

/// `p ? a : b`.
pub fn select(a: u64, b: u64, p: u64, _: u64) -> u64 {
    if p != 0 { a } else { b }
}

/// `a << b`; shifts by the width or more give zero.
pub fn shl<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    let amount = b as u32;
    if amount >= T::BITS { 0 } else { T::of(a << amount).bits() }
}

/// `a >> b`, with copies of the sign for signed types; the amount is limited to the width.
pub fn shr<T: Integer>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    let amount = (b as u32).min(T::BITS);
    T::narrow(T::of(a).wide() >> amount).bits()
}

/// Upper word of `(b:a) << c`, with the amount modulo 32.
pub fn shf_left_wrap(a: u64, b: u64, c: u64, _: u64) -> u64 {
    funnel(a, b) << (c as u32 & 31) >> 32
}

/// Lower word of `(b:a) >> c`, with the amount modulo 32.
pub fn shf_right_wrap(a: u64, b: u64, c: u64, _: u64) -> u64 {
    funnel(a, b) >> (c as u32 & 31) & 0xFFFF_FFFF
}

fn funnel(low: u64, high: u64) -> u64 {
    low & 0xFFFF_FFFF | high << 32
}

/// `length` bits of `a` from `position` on.
pub fn field(a: u64, position: u64, length: u64, _: u64) -> u64 {
    a >> position & (u64::MAX >> (64 - length))
}

/// `b` with `length` bits from `position` on replaced by the low bits of `a`.
pub fn bfi<T: Integer>(a: u64, b: u64, position: u64, length: u64) -> u64 {
    let (position, length) = ((position & 0xFF) as u32, (length & 0xFF) as u32);
    if position >= T::BITS {
        return T::of(b).bits();
    }
    let field = if length >= 64 { u64::MAX } else { (1 << length) - 1 };
    let mask = field << position;
    T::of(b & !mask | a << position & mask).bits()
}

/// The bits in reverse order.
pub fn brev<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    T::of(a).bits().reverse_bits() >> (64 - T::BITS)
}

/// The number of zeros above the highest one.
pub fn clz<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from(T::of(a).bits().leading_zeros() - (64 - T::BITS))
}

/// The number of ones.
pub fn popc<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from(T::of(a).bits().count_ones())
}

/// Four bytes chosen from the eight of `(b:a)` by the nibbles of `c`, whose top bit asks for copies of
/// the byte's sign.
pub fn prmt(a: u64, b: u64, c: u64, _: u64) -> u64 {
    let bytes = funnel(a, b);
    (0..4).fold(0, |result, i| {
        let choice = c >> (4 * i) & 15;
        let byte = bytes >> (8 * (choice & 7)) & 0xFF;
        let replicated = if byte >> 7 != 0 { 0xFF } else { 0 };
        result | (if choice & 8 != 0 { replicated } else { byte }) << (8 * i)
    })
}
