//! Numbers in PTX text.

/// The bits of an integer (decimal, hexadecimal, octal, binary, with or without `U`), of a `0f` single
/// or of a `0d` double.
pub fn bits(text: &str) -> Option<u64> {
    let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let integer = text.strip_suffix('U').unwrap_or(text);
    match integer.as_bytes() {
        [b'0', b'f' | b'F', ..] if text.len() == 10 => hex(&text[2..]),
        [b'0', b'd' | b'D', ..] if text.len() == 18 => hex(&text[2..]),
        [b'0', b'x' | b'X', ..] => hex(&integer[2..]),
        [b'0', b'b' | b'B', ..] => u64::from_str_radix(&integer[2..], 2).ok(),
        [b'0', b'0'..=b'7', ..] => u64::from_str_radix(&integer[1..], 8).ok(),
        [b'0'..=b'9', ..] => integer.parse().ok(),
        _ => None,
    }
}

/// A decimal floating-point number such as `0.25` (without an exponent).
pub fn decimal(text: &str) -> Option<f64> {
    (text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.'))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::{bits, decimal};

    #[test]
    fn every_notation() {
        assert_eq!(bits("0f3F800000"), Some(u64::from(1f32.to_bits())));
        assert_eq!(bits("0d3FF0000000000000"), Some(1f64.to_bits()));
        assert_eq!(bits("0xffU"), Some(255));
        assert_eq!(bits("0b101"), Some(5));
        assert_eq!(bits("017"), Some(15));
        assert_eq!(bits("0"), Some(0));
        assert_eq!(bits("18446744073709551615"), Some(u64::MAX));
        assert_eq!(bits("%r1"), None);
        assert_eq!(decimal("0.25"), Some(0.25));
        assert_eq!(decimal("25"), None);
    }
}
