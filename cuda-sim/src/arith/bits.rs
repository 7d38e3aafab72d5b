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

/// 1 if `a` is zero, else 0.
pub fn cnot<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from(T::of(a).bits() == 0)
}

/// `p ? a : b`.
pub fn select(a: u64, b: u64, p: u64, _: u64) -> u64 {
    if p != 0 { a } else { b }
}

/// `c >= 0 ? a : b` with a signed integer `c`.
pub fn select_sign_integer(a: u64, b: u64, c: u64, _: u64) -> u64 {
    if c as i32 >= 0 { a } else { b }
}

/// `c >= 0 ? a : b` with a single `c`; NaN selects `b`.
pub fn select_sign_float(a: u64, b: u64, c: u64, _: u64) -> u64 {
    if f32::from_bits(c as u32) >= 0.0 { a } else { b }
}

/// Any function of three bits, given as a table of eight.
pub fn lop3(a: u64, b: u64, c: u64, table: u64) -> u64 {
    let mut result = 0;
    for row in 0..8u64 {
        if table >> row & 1 != 0 {
            let pick = |word: u64, bit: u64| if row >> bit & 1 != 0 { word } else { !word };
            result |= pick(a, 2) & pick(b, 1) & pick(c, 0);
        }
    }
    result & 0xFFFF_FFFF
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

/// Upper word of `(b:a) << c`, with the amount limited to 32.
pub fn shf_left_clamp(a: u64, b: u64, c: u64, _: u64) -> u64 {
    if c as u32 >= 32 { a & 0xFFFF_FFFF } else { shf_left_wrap(a, b, c, 0) }
}

/// Lower word of `(b:a) >> c`, with the amount modulo 32.
pub fn shf_right_wrap(a: u64, b: u64, c: u64, _: u64) -> u64 {
    funnel(a, b) >> (c as u32 & 31) & 0xFFFF_FFFF
}

/// Lower word of `(b:a) >> c`, with the amount limited to 32.
pub fn shf_right_clamp(a: u64, b: u64, c: u64, _: u64) -> u64 {
    if c as u32 >= 32 { b & 0xFFFF_FFFF } else { shf_right_wrap(a, b, c, 0) }
}

fn funnel(low: u64, high: u64) -> u64 {
    low & 0xFFFF_FFFF | high << 32
}

/// `c` bits of `a` from bit `b` on, extended by zeros or by the sign of the field.
pub fn bfe<T: Integer>(a: u64, position: u64, length: u64, _: u64) -> u64 {
    let signed = T::MIN.wide() < 0;
    let (position, length) = ((position & 0xFF) as u32, (length & 0xFF) as u32);
    if length == 0 {
        return 0;
    }
    // Bits beyond the width are zeros or copies of the sign.
    let shifted = T::of(a).wide() >> position.min(T::BITS);
    let length = length.min(T::BITS);
    let top = 128 - length;
    let field = if signed { shifted << top >> top } else { shifted & ((1i128 << length) - 1) };
    T::narrow(field).bits()
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

/// The number of leading zeros.
pub fn clz<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from(T::of(a).bits().leading_zeros() - (64 - T::BITS))
}

/// The number of ones.
pub fn popc<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from(T::of(a).bits().count_ones())
}

fn leading<T: Integer>(a: u64) -> Option<u32> {
    let value = T::of(a).wide();
    let value = if value < 0 { T::of(!a).bits() } else { T::of(a).bits() };
    value.checked_ilog2()
}

/// The position of the most significant bit that is not a copy of the sign; all ones if none.
pub fn bfind<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    leading::<T>(a).map_or(0xFFFF_FFFF, u64::from)
}

/// The left shift that brings that bit to the top.
pub fn bfind_shift<T: Integer>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    leading::<T>(a).map_or(0xFFFF_FFFF, |bit| u64::from(T::BITS - 1 - bit))
}

/// Four bytes chosen from the eight of `(b:a)` by the nibbles of `c`.
pub fn prmt(a: u64, b: u64, c: u64, _: u64) -> u64 {
    select_bytes(a, b, |i| c >> (4 * i) & 15)
}

/// `prmt` in one of its fixed patterns, numbered as in [`PRMT_PATTERNS`].
pub fn prmt_pattern(a: u64, b: u64, c: u64, pattern: u64) -> u64 {
    let n = c & 3;
    select_bytes(a, b, |i| match pattern {
        0 => n + i,
        1 => (n + 8 - i) & 7,
        2 => n,
        3 => n.max(i),
        4 => n.min(i),
        _ => (n & 1) * 2 + (i & 1),
    })
}

/// The modifiers of `prmt`, in the order of [`prmt_pattern`].
pub const PRMT_PATTERNS: [&str; 6] = ["f4e", "b4e", "rc8", "ecl", "ecr", "rc16"];

fn select_bytes(a: u64, b: u64, selector: impl Fn(u64) -> u64) -> u64 {
    let bytes = funnel(a, b);
    (0..4).fold(0, |result, i| {
        let choice = selector(i);
        let byte = bytes >> (8 * (choice & 7)) & 0xFF;
        let replicated = if byte >> 7 != 0 { 0xFF } else { 0 };
        result | (if choice & 8 != 0 { replicated } else { byte }) << (8 * i)
    })
}
