//! Arithmetic on pairs of 16-bit floats.

use super::mode::Mode;
use super::{approx, float};

macro_rules! pairwise {
    ($($(#[$doc:meta])* $name:ident = $half:path;)*) => {$(
        $(#[$doc])*
        pub fn $name(a: u64, b: u64, c: u64, mode: u64) -> u64 {
            let mode = halved(mode);
            let low = $half(a & 0xFFFF, b & 0xFFFF, c & 0xFFFF, mode);
            let upper = |pair: u64| pair >> 16 & 0xFFFF;
            low | $half(upper(a), upper(b), upper(c), mode) << 16
        }
    )*};
}

pairwise! {
    /// `a + b`.
    add = float::add;
    /// `a - b`.
    sub = float::sub;
    /// `a · b`.
    mul = float::mul;
    /// `a · b + c`.
    fma = float::fma;
    /// `-a`.
    neg = float::neg;
    /// `|a|`.
    abs = float::abs;
    /// The smaller operands.
    min = float::min;
    /// The larger operands.
    max = float::max;
    /// `2^a`.
    ex2 = approx::ex2;
    /// Hyperbolic tangent.
    tanh = approx::tanh;
}

/// The mode of one half.
fn halved(packed: u64) -> u64 {
    let mode = Mode::unpack(packed);
    let half = mode.to.half().unwrap_or(mode.to);
    Mode { to: half, from: half, ..mode }.pack().expect("halves have arithmetic")
}
