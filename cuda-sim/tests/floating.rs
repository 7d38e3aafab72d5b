//! Floating-point instructions against values worked by hand.

mod common;
use common::{check, d, evaluate, f};

const NAN32: u64 = 0x7FFF_FFFF;
/// The least positive subnormal single, and the least normal one.
const TINY: u64 = 1;
const LEAST: u64 = 0x0080_0000;

#[test]
fn singles() {
    let inf = f(f32::INFINITY);
    check(&[
        ("add.f32 %r0, %r1, %r2;", &[f(1.5), f(2.25)], f(3.75)),
        ("add.rn.f32 %r0, %r1, %r2;", &[f(1.0), f(2f32.powi(-24))], f(1.0)),
        ("add.rz.f32 %r0, %r1, %r2;", &[f(1.0), f(-(2f32.powi(-30)))], 0x3F7F_FFFF),
        ("add.rp.f32 %r0, %r1, %r2;", &[f(1.0), f(2f32.powi(-30))], 0x3F80_0001),
        ("add.rm.f32 %r0, %r1, %r2;", &[f(1.0), f(2f32.powi(-30))], f(1.0)),
        ("add.rm.f32 %r0, %r1, %r2;", &[f(1.0), f(-1.0)], f(-0.0)),
        ("add.f32 %r0, %r1, %r2;", &[inf, f(f32::NEG_INFINITY)], NAN32),
        ("add.sat.f32 %r0, %r1, %r2;", &[f(1.0), f(2.0)], f(1.0)),
        ("add.sat.f32 %r0, %r1, %r2;", &[f(-1.0), f(0.5)], f(0.0)),
        ("add.sat.f32 %r0, %r1, %r2;", &[NAN32, f(0.5)], f(0.0)),
        ("add.f32 %r0, %r1, %r2;", &[TINY, TINY], 2),
        ("add.ftz.f32 %r0, %r1, %r2;", &[TINY, TINY], 0),
        ("sub.f32 %r0, %r1, %r2;", &[f(1.0), f(3.0)], f(-2.0)),
        ("sub.ftz.f32 %r0, %r1, %r2;", &[LEAST + 1, LEAST], 0),
        ("sub.rz.f32 %r0, %r1, %r2;", &[f(1.0), f(2f32.powi(-30))], 0x3F7F_FFFF),
        ("mul.f32 %r0, %r1, %r2;", &[f(3.0), f(-0.5)], f(-1.5)),
        ("mul.f32 %r0, %r1, %r2;", &[inf, f(0.0)], NAN32),
        ("mul.ftz.f32 %r0, %r1, %r2;", &[0x8000_0001, f(1.0)], f(-0.0)),
        ("mul.rp.f32 %r0, %r1, %r2;", &[0x3F80_0001, 0x3F80_0001], 0x3F80_0003),
        ("mul.rz.f32 %r0, %r1, %r2;", &[0x3F80_0001, 0x3F80_0001], 0x3F80_0002),
        ("fma.rn.f32 %r0, %r1, %r2, %r3;", &[0x3F80_0002, 0x3F80_0002, f(-1.0)], 0x3500_0001),
        ("fma.rn.f32 %r0, %r1, %r2, %r3;", &[f(2.0), f(3.0), f(4.0)], f(10.0)),
        ("fma.rz.f32 %r0, %r1, %r2, %r3;", &[f(1.0), f(1.0), f(-(2f32.powi(-60)))], 0x3F7F_FFFF),
        ("fma.rp.f32 %r0, %r1, %r2, %r3;", &[f(1.0), f(1.0), f(2f32.powi(-60))], 0x3F80_0001),
        ("fma.rn.ftz.f32 %r0, %r1, %r2, %r3;", &[TINY, f(1.0), f(2.0)], f(2.0)),
        ("fma.rn.sat.f32 %r0, %r1, %r2, %r3;", &[f(2.0), f(3.0), f(4.0)], f(1.0)),
        ("mad.rn.f32 %r0, %r1, %r2, %r3;", &[f(2.0), f(3.0), f(4.0)], f(10.0)),
        ("div.rn.f32 %r0, %r1, %r2;", &[f(1.0), f(3.0)], 0x3EAA_AAAB),
        ("div.rz.f32 %r0, %r1, %r2;", &[f(1.0), f(3.0)], 0x3EAA_AAAA),
        ("div.rn.f32 %r0, %r1, %r2;", &[f(1.0), f(-0.0)], f(f32::NEG_INFINITY)),
        ("div.full.f32 %r0, %r1, %r2;", &[f(7.0), f(2.0)], f(3.5)),
        ("div.approx.ftz.f32 %r0, %r1, %r2;", &[f(7.0), f(2.0)], f(3.5)),
        ("sqrt.rn.f32 %r0, %r1;", &[f(2.0)], 0x3FB5_04F3),
        ("sqrt.rp.f32 %r0, %r1;", &[f(2.0)], 0x3FB5_04F4),
        ("sqrt.rn.f32 %r0, %r1;", &[f(-1.0)], NAN32),
        ("sqrt.approx.f32 %r0, %r1;", &[f(9.0)], f(3.0)),
        ("rcp.rn.f32 %r0, %r1;", &[f(3.0)], 0x3EAA_AAAB),
        ("rcp.rm.f32 %r0, %r1;", &[f(3.0)], 0x3EAA_AAAA),
        ("rcp.approx.ftz.f32 %r0, %r1;", &[f(4.0)], f(0.25)),
        ("rsqrt.approx.f32 %r0, %r1;", &[f(4.0)], f(0.5)),
        ("ex2.approx.ftz.f32 %r0, %r1;", &[f(3.0)], f(8.0)),
        ("ex2.approx.f32 %r0, %r1;", &[f(-149.0)], TINY),
        ("lg2.approx.f32 %r0, %r1;", &[f(8.0)], f(3.0)),
        ("lg2.approx.f32 %r0, %r1;", &[f(0.0)], f(f32::NEG_INFINITY)),
        ("sin.approx.f32 %r0, %r1;", &[f(1.0)], f(0.841_470_96)),
        ("cos.approx.f32 %r0, %r1;", &[f(0.0)], f(1.0)),
        ("tanh.approx.f32 %r0, %r1;", &[f(20.0)], f(1.0)),
        ("neg.f32 %r0, %r1;", &[f(0.0)], f(-0.0)),
        ("abs.f32 %r0, %r1;", &[f(-2.0)], f(2.0)),
        ("abs.ftz.f32 %r0, %r1;", &[0x8000_0001], 0),
        ("min.f32 %r0, %r1, %r2;", &[f(1.0), NAN32], f(1.0)),
        ("min.f32 %r0, %r1, %r2;", &[f(0.0), f(-0.0)], f(-0.0)),
        ("max.f32 %r0, %r1, %r2;", &[f(-0.0), f(0.0)], f(0.0)),
        ("max.f32 %r0, %r1, %r2;", &[f(-3.0), f(-2.0)], f(-2.0)),
        ("max.NaN.f32 %r0, %r1, %r2;", &[f(-3.0), NAN32], NAN32),
        ("max.f32 %r0, %r1, %r2;", &[NAN32, NAN32], NAN32),
        ("copysign.f32 %r0, %r1, %r2;", &[f(-1.0), f(3.0)], f(-3.0)),
        ("testp.finite.f32 %p0, %r1;", &[f(1.0)], 1),
        ("testp.infinite.f32 %p0, %r1;", &[f(f32::INFINITY)], 1),
        ("testp.number.f32 %p0, %r1;", &[NAN32], 0),
        ("testp.notanumber.f32 %p0, %r1;", &[NAN32], 1),
        ("testp.normal.f32 %p0, %r1;", &[TINY], 0),
        ("testp.subnormal.f32 %p0, %r1;", &[TINY], 1),
    ]);
}

#[test]
fn doubles() {
    check(&[
        ("add.f64 %d0, %d1, %d2;", &[d(1.5), d(2.25)], d(3.75)),
        ("add.rn.f64 %d0, %d1, %d2;", &[d(1.0), d(2f64.powi(-53))], d(1.0)),
        ("add.rp.f64 %d0, %d1, %d2;", &[d(1.0), d(2f64.powi(-99))], d(1.0) + 1),
        ("sub.f64 %d0, %d1, %d2;", &[d(1.0), d(3.0)], d(-2.0)),
        ("mul.f64 %d0, %d1, %d2;", &[d(3.0), d(-0.5)], d(-1.5)),
        ("mul.rz.f64 %d0, %d1, %d2;", &[d(1.0) + 1, d(1.0) + 1], d(1.0) + 2),
        ("fma.rn.f64 %d0, %d1, %d2, %d3;", &[d(2.0), d(3.0), d(4.0)], d(10.0)),
        (
            "fma.rn.f64 %d0, %d1, %d2, %d3;",
            &[d(1.0) + 2, d(1.0) + 2, d(-1.0)],
            0x3CD0_0000_0000_0001,
        ),
        ("fma.rm.f64 %d0, %d1, %d2, %d3;", &[d(1.0), d(1.0), d(-(2f64.powi(-200)))], d(1.0) - 1),
        ("div.rn.f64 %d0, %d1, %d2;", &[d(1.0), d(3.0)], 0x3FD5_5555_5555_5555),
        ("div.rp.f64 %d0, %d1, %d2;", &[d(1.0), d(3.0)], 0x3FD5_5555_5555_5556),
        ("sqrt.rn.f64 %d0, %d1;", &[d(2.0)], 0x3FF6_A09E_667F_3BCD),
        ("sqrt.rz.f64 %d0, %d1;", &[d(2.0)], 0x3FF6_A09E_667F_3BCC),
        ("rcp.rn.f64 %d0, %d1;", &[d(3.0)], 0x3FD5_5555_5555_5555),
        ("rcp.approx.ftz.f64 %d0, %d1;", &[d(3.0)], 0x3FD5_5555_0000_0000),
        ("rsqrt.approx.f64 %d0, %d1;", &[d(4.0)], d(0.5)),
        ("neg.f64 %d0, %d1;", &[d(2.0)], d(-2.0)),
        ("abs.f64 %d0, %d1;", &[d(-2.0)], d(2.0)),
        ("min.f64 %d0, %d1, %d2;", &[d(-2.0), d(f64::NAN)], d(-2.0)),
        ("max.f64 %d0, %d1, %d2;", &[d(-2.0), d(-1.0)], d(-1.0)),
        ("copysign.f64 %d0, %d1, %d2;", &[d(-1.0), d(3.0)], d(-3.0)),
        ("testp.subnormal.f64 %p0, %d1;", &[1], 1),
    ]);
}

#[test]
fn halves() {
    check(&[
        ("add.f16 %h0, %h1, %h2;", &[0x3C00, 0x4000], 0x4200),
        ("add.rn.f16 %h0, %h1, %h2;", &[0x7BFF, 0x7BFF], 0x7C00),
        ("sub.f16 %h0, %h1, %h2;", &[0x3C00, 0x4000], 0xBC00),
        ("mul.f16 %h0, %h1, %h2;", &[0x0001, 0x3800], 0x0000),
        ("mul.f16 %h0, %h1, %h2;", &[0x0003, 0x3800], 0x0002),
        ("fma.rn.f16 %h0, %h1, %h2, %h3;", &[0x4000, 0x4200, 0x4400], 0x4900),
        ("fma.rn.relu.f16 %h0, %h1, %h2, %h3;", &[0x4000, 0xC200, 0x4400], 0x0000),
        ("fma.rn.sat.f16 %h0, %h1, %h2, %h3;", &[0x4000, 0x4200, 0x4400], 0x3C00),
        ("neg.f16 %h0, %h1;", &[0x3C00], 0xBC00),
        ("abs.f16 %h0, %h1;", &[0xBC00], 0x3C00),
        ("min.f16 %h0, %h1, %h2;", &[0xBC00, 0x7FFF], 0xBC00),
        ("max.NaN.f16 %h0, %h1, %h2;", &[0xBC00, 0x7C01], 0x7FFF),
        ("ex2.approx.f16 %h0, %h1;", &[0x4200], 0x4800),
        ("tanh.approx.f16 %h0, %h1;", &[0x4900], 0x3C00),
        ("fma.rn.bf16 %h0, %h1, %h2, %h3;", &[0x4000, 0x4040, 0x4080], 0x4120),
        ("max.bf16 %h0, %h1, %h2;", &[0x3F80, 0xBF80], 0x3F80),
        ("neg.bf16 %h0, %h1;", &[0x3F80], 0xBF80),
        ("abs.bf16 %h0, %h1;", &[0xBF80], 0x3F80),
        ("add.f16x2 %r0, %r1, %r2;", &[0x3C00_4000, 0x4000_3C00], 0x4200_4200),
        ("sub.f16x2 %r0, %r1, %r2;", &[0x3C00_4000, 0x4000_3C00], 0xBC00_3C00),
        ("mul.f16x2 %r0, %r1, %r2;", &[0x3C00_4000, 0x4000_4000], 0x4000_4400),
        ("fma.rn.f16x2 %r0, %r1, %r2, %r3;", &[0x4000_3C00, 0x4200_3C00, 0x4400_3C00], 0x4900_4000),
        (
            "fma.rn.bf16x2 %r0, %r1, %r2, %r3;",
            &[0x4000_3F80, 0x4040_3F80, 0x4080_3F80],
            0x4120_4000,
        ),
        ("neg.f16x2 %r0, %r1;", &[0x3C00_BC00], 0xBC00_3C00),
        ("abs.bf16x2 %r0, %r1;", &[0x3F80_BF80], 0x3F80_3F80),
        ("min.f16x2 %r0, %r1, %r2;", &[0x3C00_4000, 0x4000_3C00], 0x3C00_3C00),
        ("max.bf16x2 %r0, %r1, %r2;", &[0x3F80_4000, 0x4000_3F80], 0x4000_4000),
        ("ex2.approx.f16x2 %r0, %r1;", &[0x4200_0000], 0x4800_3C00),
        ("tanh.approx.f16x2 %r0, %r1;", &[0x4900_0000], 0x3C00_0000),
    ]);
}

#[test]
fn approximations_are_close() {
    for (instruction, exact) in [
        ("ex2.approx.ftz.f32", f64::exp2 as fn(f64) -> f64),
        ("sin.approx.ftz.f32", f64::sin),
        ("cos.approx.ftz.f32", f64::cos),
        ("tanh.approx.f32", f64::tanh),
        ("rsqrt.approx.ftz.f32", |x| 1.0 / x.sqrt()),
        ("lg2.approx.ftz.f32", f64::log2),
    ] {
        for x in [0.1f32, 0.7, 1.3, 2.9] {
            let bits = evaluate(&format!("{instruction} %r0, %r1;"), &[f(x)]);
            let (got, want) = (f64::from(f32::from_bits(bits as u32)), exact(f64::from(x)));
            assert!((got - want).abs() <= want.abs() * 1e-7, "{instruction} {x}: {got} {want}");
        }
    }
}
