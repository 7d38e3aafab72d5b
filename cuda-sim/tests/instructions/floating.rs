//! Floating-point instructions.

use super::run::{check, d, f};

pub const TESTS: &[fn()] =
    &[singles, flushed_singles, double_sums, doubles, signs_and_extremes, powers];

const NAN: u64 = 0x7FFF_FFFF;
const NAN64: u64 = 0x7FF8_0000_0000_0000;
const INF: u64 = 0x7F80_0000;
const INF64: u64 = 0x7FF0_0000_0000_0000;
const MAX: u64 = 0x7F7F_FFFF;
const MAX64: u64 = 0x7FEF_FFFF_FFFF_FFFF;
const ONE: u64 = 0x3F80_0000;
const ONE64: u64 = 0x3FF0_0000_0000_0000;
/// The sign, which is also -0.
const MINUS: u64 = 0x8000_0000;
const MINUS64: u64 = 1 << 63;
/// The least normal single.
const LEAST: u64 = 0x0080_0000;

#[test]
fn singles() {
    // Half a unit in the last place of 1 and of the numbers below 1.
    let (tie, below) = (f(2f32.powi(-24)), f(2f32.powi(-25)));
    check(&[
        ("add.f32 %r0, %r1, %r2;", &[f(1.5), f(2.25)], f(3.75)),
        ("add.f32 %r0, %r1, %r2;", &[ONE, tie], ONE),
        ("add.f32 %r0, %r1, %r2;", &[ONE + 1, tie], ONE + 2),
        ("add.f32 %r0, %r1, %r2;", &[INF, INF | MINUS], NAN),
        ("add.f32 %r0, %r1, %r2;", &[0xFFC0_0001, ONE], NAN),
        ("add.f32 %r0, %r1, %r2;", &[1, 1], 2),
        ("add.f32 %r0, %r1, %r2;", &[MAX, MAX], INF),
        ("add.f32 %r0, %r1, %r2;", &[MINUS, MINUS], MINUS),
        ("add.f32 %r0, %r1, %r2;", &[0, MINUS], 0),
        ("add.rn.f32 %r0, %r1, %r2;", &[ONE, tie], ONE),
        ("add.rn.f32 %r0, %r1, %r2;", &[0x3DCC_CCCD, 0x3E4C_CCCD], 0x3E99_999A),
        ("sub.f32 %r0, %r1, %r2;", &[f(1.0), f(3.0)], f(-2.0)),
        ("sub.f32 %r0, %r1, %r2;", &[ONE, ONE], 0),
        ("sub.f32 %r0, %r1, %r2;", &[INF, INF], NAN),
        ("sub.f32 %r0, %r1, %r2;", &[LEAST, LEAST + 1], MINUS | 1),
        ("sub.rn.f32 %r0, %r1, %r2;", &[ONE, below], ONE),
        ("sub.rn.f32 %r0, %r1, %r2;", &[ONE - 1, below], ONE - 2),
        ("mul.f32 %r0, %r1, %r2;", &[f(3.0), f(-0.5)], f(-1.5)),
        ("mul.f32 %r0, %r1, %r2;", &[INF, 0], NAN),
        ("mul.f32 %r0, %r1, %r2;", &[MINUS, f(5.0)], MINUS),
        ("mul.f32 %r0, %r1, %r2;", &[1, f(0.5)], 0),
        ("mul.f32 %r0, %r1, %r2;", &[3, f(0.5)], 2),
        ("mul.rn.f32 %r0, %r1, %r2;", &[ONE + 1, ONE + 1], ONE + 2),
        ("mul.rn.f32 %r0, %r1, %r2;", &[MAX, f(-2.0)], INF | MINUS),
        ("fma.rn.f32 %r0, %r1, %r2, %r3;", &[f(2.0), f(3.0), f(4.0)], f(10.0)),
        ("fma.rn.f32 %r0, %r1, %r2, %r3;", &[ONE + 2, ONE + 2, f(-1.0)], 0x3500_0001),
        ("fma.rn.f32 %r0, %r1, %r2, %r3;", &[0, INF, ONE], NAN),
        ("fma.rn.f32 %r0, %r1, %r2, %r3;", &[ONE, f(-1.0), ONE], 0),
        ("fma.rm.f32 %r0, %r1, %r2, %r3;", &[ONE, ONE, f(-(2f32.powi(-60)))], ONE - 1),
        ("fma.rm.f32 %r0, %r1, %r2, %r3;", &[ONE, ONE, f(2f32.powi(-60))], ONE),
        ("fma.rm.f32 %r0, %r1, %r2, %r3;", &[ONE, f(-1.0), f(-(2f32.powi(-60)))], 0xBF80_0001),
        ("fma.rm.f32 %r0, %r1, %r2, %r3;", &[ONE, f(-1.0), ONE], MINUS),
        ("fma.rm.f32 %r0, %r1, %r2, %r3;", &[MAX, f(2.0), 0], MAX),
        ("fma.rm.f32 %r0, %r1, %r2, %r3;", &[MAX, f(-2.0), 0], INF | MINUS),
        ("fma.rm.f32 %r0, %r1, %r2, %r3;", &[1, f(0.5), 0], 0),
        ("fma.rm.f32 %r0, %r1, %r2, %r3;", &[1, f(-0.5), 0], MINUS | 1),
        ("fma.rm.f32 %r0, %r1, %r2, %r3;", &[INF, ONE, INF | MINUS], NAN),
        ("div.rn.f32 %r0, %r1, %r2;", &[f(1.0), f(3.0)], 0x3EAA_AAAB),
        ("div.rn.f32 %r0, %r1, %r2;", &[ONE, MINUS], INF | MINUS),
        ("div.rn.f32 %r0, %r1, %r2;", &[0, 0], NAN),
        ("div.rn.f32 %r0, %r1, %r2;", &[LEAST, f(2.0)], 0x0040_0000),
        ("rcp.rn.f32 %r0, %r1;", &[f(3.0)], 0x3EAA_AAAB),
        ("rcp.rn.f32 %r0, %r1;", &[MINUS], INF | MINUS),
        ("rcp.rn.f32 %r0, %r1;", &[INF], 0),
        ("sqrt.rn.f32 %r0, %r1;", &[f(2.0)], 0x3FB5_04F3),
        ("sqrt.rn.f32 %r0, %r1;", &[2], 0x1A80_0000),
        ("sqrt.rn.f32 %r0, %r1;", &[f(-1.0)], NAN),
        ("sqrt.rn.f32 %r0, %r1;", &[MINUS], MINUS),
        ("sqrt.rn.f32 %r0, %r1;", &[INF], INF),
    ]);
}

/// The largest subnormal single and the least normal one, whose results and operands are flushed.
#[test]
fn flushed_singles() {
    const BELOW: u64 = LEAST - 1;
    for rn in ["", ".rn"] {
        let [add, sub, mul] =
            ["add", "sub", "mul"].map(|op| format!("{op}{rn}.ftz.f32 %r0, %r1, %r2;"));
        check(&[
            (&add, &[f(1.5), f(2.25)], f(3.75)),
            (&add, &[BELOW, LEAST], LEAST),
            (&add, &[LEAST + 1, LEAST | MINUS], 0),
            (&add, &[BELOW | MINUS, BELOW | MINUS], MINUS),
            (&sub, &[f(1.0), f(3.0)], f(-2.0)),
            (&sub, &[LEAST, LEAST + 1], MINUS),
            (&sub, &[LEAST, BELOW], LEAST),
            (&mul, &[f(3.0), f(-0.5)], f(-1.5)),
            (&mul, &[LEAST, f(-0.5)], MINUS),
            (&mul, &[BELOW, f(4.0)], 0),
        ]);
    }
    check(&[
        ("fma.rn.ftz.f32 %r0, %r1, %r2, %r3;", &[f(2.0), f(3.0), f(4.0)], f(10.0)),
        ("fma.rn.ftz.f32 %r0, %r1, %r2, %r3;", &[ONE, ONE, BELOW], ONE),
        ("fma.rn.ftz.f32 %r0, %r1, %r2, %r3;", &[LEAST, f(0.5), 0], 0),
        ("fma.rn.ftz.f32 %r0, %r1, %r2, %r3;", &[LEAST, f(0.5), LEAST], 0x00C0_0000),
        ("sqrt.rn.ftz.f32 %r0, %r1;", &[f(4.0)], f(2.0)),
        ("sqrt.rn.ftz.f32 %r0, %r1;", &[BELOW], 0),
        ("neg.ftz.f32 %r0, %r1;", &[ONE], f(-1.0)),
        ("neg.ftz.f32 %r0, %r1;", &[BELOW], MINUS),
        ("neg.ftz.f32 %r0, %r1;", &[LEAST], LEAST | MINUS),
        ("cvt.ftz.f64.f32 %d0, %r1;", &[f(1.5)], d(1.5)),
        ("cvt.ftz.f64.f32 %d0, %r1;", &[BELOW | MINUS], MINUS64),
        ("cvt.rn.ftz.f32.f64 %r0, %d1;", &[d(0.1)], 0x3DCC_CCCD),
        ("cvt.rn.ftz.f32.f64 %r0, %d1;", &[d(2f64.powi(-127))], 0),
        ("cvt.rn.ftz.f32.f64 %r0, %d1;", &[d(-(2f64.powi(-126)))], LEAST | MINUS),
        ("setp.eq.ftz.f32 %p0, %r1, %r2;", &[BELOW, MINUS], 1),
        ("setp.eq.ftz.f32 %p0, %r1, %r2;", &[LEAST, 0], 0),
        ("setp.neu.ftz.f32 %p0, %r1, %r2;", &[BELOW, 1], 0),
        ("setp.neu.ftz.f32 %p0, %r1, %r2;", &[LEAST, BELOW], 1),
    ]);
}

#[test]
fn double_sums() {
    let (tie, below) = (d(2f64.powi(-53)), d(2f64.powi(-54)));
    check(&[
        ("add.f64 %d0, %d1, %d2;", &[d(1.5), d(2.25)], d(3.75)),
        ("add.f64 %d0, %d1, %d2;", &[ONE64, tie], ONE64),
        ("add.f64 %d0, %d1, %d2;", &[ONE64 + 1, tie], ONE64 + 2),
        ("add.f64 %d0, %d1, %d2;", &[INF64, INF64 | MINUS64], NAN64),
        ("add.f64 %d0, %d1, %d2;", &[0xFFF8_0000_0000_0001, ONE64], NAN64),
        ("add.f64 %d0, %d1, %d2;", &[MAX64, MAX64], INF64),
        ("add.f64 %d0, %d1, %d2;", &[1, 1], 2),
        ("add.f64 %d0, %d1, %d2;", &[MINUS64, MINUS64], MINUS64),
        ("add.rn.f64 %d0, %d1, %d2;", &[ONE64, tie], ONE64),
        ("add.rn.f64 %d0, %d1, %d2;", &[d(0.1), d(0.2)], 0x3FD3_3333_3333_3334),
        ("sub.f64 %d0, %d1, %d2;", &[d(1.0), d(3.0)], d(-2.0)),
        ("sub.f64 %d0, %d1, %d2;", &[ONE64, ONE64], 0),
        ("sub.f64 %d0, %d1, %d2;", &[INF64, INF64], NAN64),
        ("sub.rn.f64 %d0, %d1, %d2;", &[ONE64, below], ONE64),
        ("sub.rn.f64 %d0, %d1, %d2;", &[ONE64 - 1, below], ONE64 - 2),
    ]);
}

#[test]
fn doubles() {
    check(&[
        ("mul.f64 %d0, %d1, %d2;", &[d(3.0), d(-0.5)], d(-1.5)),
        ("mul.f64 %d0, %d1, %d2;", &[INF64, MINUS64], NAN64),
        ("mul.f64 %d0, %d1, %d2;", &[1, d(0.5)], 0),
        ("mul.f64 %d0, %d1, %d2;", &[3, d(0.5)], 2),
        ("mul.rn.f64 %d0, %d1, %d2;", &[ONE64 + 1, ONE64 + 1], ONE64 + 2),
        ("mul.rn.f64 %d0, %d1, %d2;", &[MAX64, d(2.0)], INF64),
        ("fma.rn.f64 %d0, %d1, %d2, %d3;", &[d(2.0), d(3.0), d(4.0)], d(10.0)),
        ("fma.rn.f64 %d0, %d1, %d2, %d3;", &[ONE64 + 2, ONE64 + 2, d(-1.0)], 0x3CD0_0000_0000_0001),
        ("fma.rn.f64 %d0, %d1, %d2, %d3;", &[INF64, 0, ONE64], NAN64),
        ("div.rn.f64 %d0, %d1, %d2;", &[d(1.0), d(3.0)], 0x3FD5_5555_5555_5555),
        ("div.rn.f64 %d0, %d1, %d2;", &[d(-1.0), 0], INF64 | MINUS64),
        ("div.rn.f64 %d0, %d1, %d2;", &[0, MINUS64], NAN64),
        ("div.rn.f64 %d0, %d1, %d2;", &[3, d(2.0)], 2),
        ("rcp.rn.f64 %d0, %d1;", &[d(3.0)], 0x3FD5_5555_5555_5555),
        ("rcp.rn.f64 %d0, %d1;", &[INF64 | MINUS64], MINUS64),
        ("rcp.rn.f64 %d0, %d1;", &[0], INF64),
        ("sqrt.rn.f64 %d0, %d1;", &[d(2.0)], 0x3FF6_A09E_667F_3BCD),
        ("sqrt.rn.f64 %d0, %d1;", &[MINUS64], MINUS64),
        ("sqrt.rn.f64 %d0, %d1;", &[d(-1.0)], NAN64),
    ]);
}

#[test]
fn signs_and_extremes() {
    check(&[
        ("neg.f32 %r0, %r1;", &[0], MINUS),
        ("neg.f32 %r0, %r1;", &[f(-2.0)], f(2.0)),
        ("neg.f32 %r0, %r1;", &[1], MINUS | 1),
        ("neg.f64 %d0, %d1;", &[d(2.0)], d(-2.0)),
        ("neg.f64 %d0, %d1;", &[MINUS64], 0),
        ("abs.f32 %r0, %r1;", &[f(-2.0)], f(2.0)),
        ("abs.f32 %r0, %r1;", &[MINUS | 1], 1),
        ("abs.f64 %d0, %d1;", &[d(-2.0)], d(2.0)),
        ("abs.f64 %d0, %d1;", &[MINUS64], 0),
        ("min.f32 %r0, %r1, %r2;", &[f(-3.0), f(-2.0)], f(-3.0)),
        ("min.f32 %r0, %r1, %r2;", &[ONE, NAN], ONE),
        ("min.f32 %r0, %r1, %r2;", &[NAN | MINUS, ONE], ONE),
        ("min.f32 %r0, %r1, %r2;", &[0, MINUS], MINUS),
        ("min.f32 %r0, %r1, %r2;", &[MINUS, 0], MINUS),
        ("min.f32 %r0, %r1, %r2;", &[0xFFC0_0001, 0xFFC0_0002], NAN),
        ("max.f32 %r0, %r1, %r2;", &[f(-3.0), f(-2.0)], f(-2.0)),
        ("max.f32 %r0, %r1, %r2;", &[MINUS, 0], 0),
        ("max.f32 %r0, %r1, %r2;", &[0, MINUS], 0),
        ("max.f32 %r0, %r1, %r2;", &[NAN, f(-3.0)], f(-3.0)),
        ("max.f32 %r0, %r1, %r2;", &[1, INF | MINUS], 1),
        ("max.f32 %r0, %r1, %r2;", &[NAN, NAN], NAN),
        ("min.f64 %d0, %d1, %d2;", &[d(-2.0), NAN64], d(-2.0)),
        ("min.f64 %d0, %d1, %d2;", &[d(-2.0), d(-1.0)], d(-2.0)),
        ("min.f64 %d0, %d1, %d2;", &[0, MINUS64], MINUS64),
        ("max.f64 %d0, %d1, %d2;", &[d(-2.0), d(-1.0)], d(-1.0)),
        ("max.f64 %d0, %d1, %d2;", &[NAN64 | MINUS64, 1], 1),
        ("max.f64 %d0, %d1, %d2;", &[NAN64 + 1, NAN64 + 2], NAN64),
    ]);
}

/// Approximate on a device; here rounded correctly.
#[test]
fn powers() {
    check(&[
        ("ex2.approx.ftz.f32 %r0, %r1;", &[f(3.0)], f(8.0)),
        ("ex2.approx.ftz.f32 %r0, %r1;", &[f(0.5)], 0x3FB5_04F3),
        ("ex2.approx.ftz.f32 %r0, %r1;", &[f(-126.0)], LEAST),
        ("ex2.approx.ftz.f32 %r0, %r1;", &[f(-127.0)], 0),
        ("ex2.approx.ftz.f32 %r0, %r1;", &[MINUS | 1], ONE),
        ("ex2.approx.ftz.f32 %r0, %r1;", &[f(128.0)], INF),
        ("ex2.approx.ftz.f32 %r0, %r1;", &[INF | MINUS], 0),
        ("ex2.approx.ftz.f32 %r0, %r1;", &[NAN], NAN),
    ]);
}
