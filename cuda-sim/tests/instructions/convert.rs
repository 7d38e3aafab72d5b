//! `cvt` and conversions of addresses.

use super::run::{L1, M1, check, covers, d, evaluate, f, try_lanes};

pub const TESTS: &[fn()] = &[
    between_integers,
    from_integers,
    singles_to_integers,
    doubles_to_integers,
    to_integral_values,
    between_floats,
    halves,
    addresses,
];

const NAN: u64 = 0x7FFF_FFFF;
const NAN64: u64 = 0x7FF8_0000_0000_0000;
const INF: u64 = 0x7F80_0000;
const MINUS: u64 = 0x8000_0000;
const TOP: u64 = 1 << 63;

#[test]
fn between_integers() {
    check(&[
        ("cvt.u16.u32 %h0, %r1;", &[0x1_2345], 0x2345),
        ("cvt.u16.u64 %h0, %d1;", &[0x5_0001_FFFF], 0xFFFF),
        ("cvt.u32.u64 %r0, %d1;", &[0x5_8000_0007], 0x8000_0007),
        ("cvt.u32.u16 %r0, %h1;", &[0xFFFF], 0xFFFF),
        ("cvt.u64.u16 %d0, %h1;", &[0xFFFF], 0xFFFF),
        ("cvt.u64.u32 %d0, %r1;", &[M1], M1),
        ("cvt.s32.s16 %r0, %h1;", &[0x8000], 0xFFFF_8000),
        ("cvt.s32.s16 %r0, %h1;", &[0x7FFF], 0x7FFF),
        ("cvt.s64.s16 %d0, %h1;", &[0xFFFF], L1),
        ("cvt.s64.s32 %d0, %r1;", &[0x8000_0000], 0xFFFF_FFFF_8000_0000),
        ("cvt.s64.s32 %d0, %r1;", &[0x7FFF_FFFF], 0x7FFF_FFFF),
    ]);
}

#[test]
fn from_integers() {
    let two = |power| f(2f32.powi(power));
    check(&[
        ("cvt.rn.f32.s32 %r0, %r1;", &[M1], f(-1.0)),
        ("cvt.rn.f32.s32 %r0, %r1;", &[16_777_217], f(16_777_216.0)),
        ("cvt.rn.f32.s32 %r0, %r1;", &[16_777_219], f(16_777_220.0)),
        ("cvt.rn.f32.s32 %r0, %r1;", &[0x7FFF_FFFF], two(31)),
        ("cvt.rn.f32.u32 %r0, %r1;", &[M1], two(32)),
        ("cvt.rn.f32.u32 %r0, %r1;", &[0], 0),
        ("cvt.rn.f32.s64 %r0, %d1;", &[L1], f(-1.0)),
        ("cvt.rn.f32.s64 %r0, %d1;", &[TOP - 1], two(63)),
        ("cvt.rn.f32.u64 %r0, %d1;", &[L1], two(64)),
        // Just above a tie, which rounding twice would lose.
        ("cvt.rn.f32.u64 %r0, %d1;", &[(1 << 60) + (1 << 36) + 1], two(60) + 1),
        ("cvt.rn.f64.s32 %d0, %r1;", &[0x8000_0000], d(-2_147_483_648.0)),
        ("cvt.rn.f64.u32 %d0, %r1;", &[M1], d(4_294_967_295.0)),
        ("cvt.rn.f64.s64 %d0, %d1;", &[L1], d(-1.0)),
        ("cvt.rn.f64.s64 %d0, %d1;", &[(1 << 53) + 1], d(9_007_199_254_740_992.0)),
        ("cvt.rn.f64.s64 %d0, %d1;", &[(1 << 53) + 3], d(9_007_199_254_740_996.0)),
        ("cvt.rn.f64.u64 %d0, %d1;", &[L1], d(18_446_744_073_709_551_616.0)),
    ]);
}

/// NaN becomes 0, or the top bit of 64.
#[test]
fn singles_to_integers() {
    check(&[
        ("cvt.rni.s32.f32 %r0, %r1;", &[f(2.5)], 2),
        ("cvt.rni.s32.f32 %r0, %r1;", &[f(3.5)], 4),
        ("cvt.rni.s32.f32 %r0, %r1;", &[f(-2.5)], M1 - 1),
        ("cvt.rni.s32.f32 %r0, %r1;", &[f(-0.5)], 0),
        ("cvt.rni.s32.f32 %r0, %r1;", &[NAN], 0),
        ("cvt.rni.s32.f32 %r0, %r1;", &[f(1e20)], 0x7FFF_FFFF),
        ("cvt.rni.s32.f32 %r0, %r1;", &[INF | MINUS], 0x8000_0000),
        ("cvt.rzi.s32.f32 %r0, %r1;", &[f(-2.9)], M1 - 1),
        ("cvt.rzi.s32.f32 %r0, %r1;", &[f(-1e20)], 0x8000_0000),
        ("cvt.rzi.s32.f32 %r0, %r1;", &[NAN], 0),
        ("cvt.rni.u32.f32 %r0, %r1;", &[f(2.5)], 2),
        ("cvt.rni.u32.f32 %r0, %r1;", &[f(-1.0)], 0),
        ("cvt.rni.u32.f32 %r0, %r1;", &[f(1e20)], M1),
        ("cvt.rni.u32.f32 %r0, %r1;", &[NAN], 0),
        ("cvt.rzi.u32.f32 %r0, %r1;", &[f(2.9)], 2),
        ("cvt.rzi.u32.f32 %r0, %r1;", &[f(-0.9)], 0),
        ("cvt.rzi.u32.f32 %r0, %r1;", &[0x4F7F_FFFF], 0xFFFF_FF00),
        ("cvt.rni.s64.f32 %d0, %r1;", &[f(3.5)], 4),
        ("cvt.rni.s64.f32 %d0, %r1;", &[NAN], TOP),
        ("cvt.rni.s64.f32 %d0, %r1;", &[f(1e20)], TOP - 1),
        ("cvt.rzi.s64.f32 %d0, %r1;", &[f(-3.9)], L1 - 2),
        ("cvt.rzi.s64.f32 %d0, %r1;", &[f(-1e20)], TOP),
        ("cvt.rni.u64.f32 %d0, %r1;", &[f(2.5)], 2),
        ("cvt.rni.u64.f32 %d0, %r1;", &[NAN], TOP),
        ("cvt.rni.u64.f32 %d0, %r1;", &[INF], L1),
        ("cvt.rzi.u64.f32 %d0, %r1;", &[f(2.9)], 2),
        ("cvt.rzi.u64.f32 %d0, %r1;", &[f(-5.0)], 0),
        ("cvt.rzi.u64.f32 %d0, %r1;", &[f(2f32.powi(63))], TOP),
    ]);
}

/// NaN becomes the top bit.
#[test]
fn doubles_to_integers() {
    check(&[
        ("cvt.rni.s32.f64 %r0, %d1;", &[d(2.5)], 2),
        ("cvt.rni.s32.f64 %r0, %d1;", &[NAN64], 0x8000_0000),
        ("cvt.rni.s32.f64 %r0, %d1;", &[d(2_147_483_647.5)], 0x7FFF_FFFF),
        ("cvt.rzi.s32.f64 %r0, %d1;", &[d(-2.9)], M1 - 1),
        ("cvt.rzi.s32.f64 %r0, %d1;", &[d(-1e300)], 0x8000_0000),
        ("cvt.rni.u32.f64 %r0, %d1;", &[d(3.5)], 4),
        ("cvt.rni.u32.f64 %r0, %d1;", &[d(-1.0)], 0),
        ("cvt.rni.u32.f64 %r0, %d1;", &[NAN64], 0x8000_0000),
        ("cvt.rzi.u32.f64 %r0, %d1;", &[d(4_294_967_295.9)], M1),
        ("cvt.rzi.u32.f64 %r0, %d1;", &[d(1e300)], M1),
        ("cvt.rni.s64.f64 %d0, %d1;", &[d(-2.5)], L1 - 1),
        ("cvt.rni.s64.f64 %d0, %d1;", &[NAN64], TOP),
        ("cvt.rni.s64.f64 %d0, %d1;", &[d(1e300)], TOP - 1),
        ("cvt.rzi.s64.f64 %d0, %d1;", &[d(-1.5)], L1),
        ("cvt.rzi.s64.f64 %d0, %d1;", &[d(4_611_686_018_427_387_904.0)], 1 << 62),
        ("cvt.rzi.s64.f64 %d0, %d1;", &[d(-1e300)], TOP),
        ("cvt.rzi.s64.f64 %d0, %d1;", &[1], 0),
        ("cvt.rni.u64.f64 %d0, %d1;", &[d(0.5)], 0),
        ("cvt.rni.u64.f64 %d0, %d1;", &[d(1.5)], 2),
        ("cvt.rni.u64.f64 %d0, %d1;", &[NAN64], TOP),
        ("cvt.rzi.u64.f64 %d0, %d1;", &[d(1e300)], L1),
        ("cvt.rzi.u64.f64 %d0, %d1;", &[d(-5.0)], 0),
        ("cvt.rzi.u64.f64 %d0, %d1;", &[d(0.999)], 0),
    ]);
}

#[test]
fn to_integral_values() {
    let large = 4_503_599_627_370_497.0; // 2^52 + 1
    check(&[
        ("cvt.rni.f32.f32 %r0, %r1;", &[f(-2.5)], f(-2.0)),
        ("cvt.rni.f32.f32 %r0, %r1;", &[f(-0.25)], MINUS),
        ("cvt.rni.f32.f32 %r0, %r1;", &[f(8_388_609.0)], f(8_388_609.0)),
        ("cvt.rni.f32.f32 %r0, %r1;", &[INF], INF),
        ("cvt.rni.f32.f32 %r0, %r1;", &[0xFFC0_0001], NAN),
        ("cvt.rzi.f32.f32 %r0, %r1;", &[f(2.9)], f(2.0)),
        ("cvt.rzi.f32.f32 %r0, %r1;", &[f(-0.9)], MINUS),
        ("cvt.rzi.f32.f32 %r0, %r1;", &[1], 0),
        ("cvt.rni.f64.f64 %d0, %d1;", &[d(2.5)], d(2.0)),
        ("cvt.rni.f64.f64 %d0, %d1;", &[d(3.5)], d(4.0)),
        ("cvt.rni.f64.f64 %d0, %d1;", &[d(-0.5)], TOP),
        ("cvt.rni.f64.f64 %d0, %d1;", &[d(0.5) - 1], 0),
        ("cvt.rni.f64.f64 %d0, %d1;", &[d(large)], d(large)),
        ("cvt.rni.f64.f64 %d0, %d1;", &[NAN64 + 1], NAN64),
        ("cvt.rzi.f64.f64 %d0, %d1;", &[d(-2.9)], d(-2.0)),
        ("cvt.rzi.f64.f64 %d0, %d1;", &[d(1e300)], d(1e300)),
        ("cvt.rzi.f64.f64 %d0, %d1;", &[d(-0.75)], TOP),
        ("cvt.rzi.f64.f64 %d0, %d1;", &[d(f64::INFINITY)], d(f64::INFINITY)),
    ]);
}

#[test]
fn between_floats() {
    check(&[
        ("cvt.f64.f32 %d0, %r1;", &[f(1.5)], d(1.5)),
        ("cvt.f64.f32 %d0, %r1;", &[1], 0x36A0_0000_0000_0000),
        ("cvt.f64.f32 %d0, %r1;", &[0xFFC0_0001], NAN64),
        ("cvt.f64.f32 %d0, %r1;", &[INF | MINUS], d(f64::NEG_INFINITY)),
        ("cvt.rn.f32.f64 %r0, %d1;", &[d(0.1)], 0x3DCC_CCCD),
        ("cvt.rn.f32.f64 %r0, %d1;", &[d(-1e300)], INF | MINUS),
        ("cvt.rn.f32.f64 %r0, %d1;", &[d(-1e-300)], MINUS),
        ("cvt.rn.f32.f64 %r0, %d1;", &[d(2f64.powi(-150))], 0),
        ("cvt.rn.f32.f64 %r0, %d1;", &[d(3.0 * 2f64.powi(-150))], 2),
        ("cvt.rn.f32.f64 %r0, %d1;", &[NAN64], NAN),
        ("cvt.sat.f32.f32 %r0, %r1;", &[f(2.9)], f(1.0)),
        ("cvt.sat.f32.f32 %r0, %r1;", &[f(0.25)], f(0.25)),
        ("cvt.sat.f32.f32 %r0, %r1;", &[f(-1.0)], 0),
        ("cvt.sat.f32.f32 %r0, %r1;", &[NAN], 0),
        ("cvt.sat.f32.f32 %r0, %r1;", &[1], 1),
    ]);
}

#[test]
fn halves() {
    check(&[
        ("cvt.f32.f16 %r0, %h1;", &[0x3C01], 0x3F80_2000),
        ("cvt.f32.f16 %r0, %h1;", &[0x0001], 0x3380_0000),
        ("cvt.f32.f16 %r0, %h1;", &[0x8000], MINUS),
        ("cvt.f32.f16 %r0, %h1;", &[0x7C00], INF),
        ("cvt.f32.f16 %r0, %h1;", &[0xFBFF], f(-65504.0)),
        ("cvt.f32.f16 %r0, %h1;", &[0x7E01], NAN),
        ("cvt.rn.f16.f32 %h0, %r1;", &[0x3F80_1000], 0x3C00),
        ("cvt.rn.f16.f32 %h0, %r1;", &[0x3F80_3000], 0x3C02),
        ("cvt.rn.f16.f32 %h0, %r1;", &[0x3F80_1001], 0x3C01),
        ("cvt.rn.f16.f32 %h0, %r1;", &[f(65520.0)], 0x7C00),
        ("cvt.rn.f16.f32 %h0, %r1;", &[f(65520.0) - 1], 0x7BFF),
        ("cvt.rn.f16.f32 %h0, %r1;", &[f(2f32.powi(-25))], 0),
        ("cvt.rn.f16.f32 %h0, %r1;", &[f(3.0 * 2f32.powi(-26))], 1),
        ("cvt.rn.f16.f32 %h0, %r1;", &[MINUS], 0x8000),
        ("cvt.rn.f16.f32 %h0, %r1;", &[NAN], 0x7FFF),
        ("cvt.rn.bf16.f32 %h0, %r1;", &[f(1.0)], 0x3F80),
        ("cvt.rn.bf16.f32 %h0, %r1;", &[0x3F80_8000], 0x3F80),
        ("cvt.rn.bf16.f32 %h0, %r1;", &[0x3F81_8000], 0x3F82),
        ("cvt.rn.bf16.f32 %h0, %r1;", &[0x3F80_8001], 0x3F81),
        ("cvt.rn.bf16.f32 %h0, %r1;", &[0x7F7F_FFFF], 0x7F80),
        ("cvt.rn.bf16.f32 %h0, %r1;", &[0x0001_8000], 2),
        ("cvt.rn.bf16.f32 %h0, %r1;", &[0xFFC0_0001], 0x7FFF),
        ("cvt.rn.f16x2.f32 %r0, %r1, %r2;", &[f(1.0), f(2.0)], 0x3C00_4000),
        ("cvt.rn.f16x2.f32 %r0, %r1, %r2;", &[f(1e6), f(-1e-9)], 0x7C00_8000),
        ("cvt.rn.bf16x2.f32 %r0, %r1, %r2;", &[f(1.0), f(2.0)], 0x3F80_4000),
        ("cvt.rn.bf16x2.f32 %r0, %r1, %r2;", &[0x3F81_8000, NAN], 0x3F82_7FFF),
    ]);
}

/// What is written through an address of a space is read through the generic one, and back.
#[test]
fn addresses() {
    let variables = ".shared .align 8 .b8 pad[8]; .shared .align 8 .b8 shared[8]; \
                     .local .align 8 .b8 local[8];";
    let global = ".global .align 8 .b64 global;";
    for space in ["global", "shared", "local"] {
        let code = format!(
            "{variables} mov.u64 %d2, {space}; cvta.{space}.u64 %d3, %d2; st.u64 [%d3], 77; \
             ld.{space}.u64 %d15, [{space}];"
        );
        covers(&format!("cvta.{space}.u64"), &code);
        assert_eq!(try_lanes(global, &code, 1).unwrap(), [77]);
        let code = format!(
            "{variables} mov.u64 %d2, {space}; cvta.{space}.u64 %d3, %d2; \
             st.{space}.u64 [{space}], 78; cvta.to.{space}.u64 %d4, %d3; \
             ld.{space}.u64 %d15, [%d4];"
        );
        covers(&format!("cvta.to.{space}.u64"), &code);
        assert_eq!(try_lanes(global, &code, 1).unwrap(), [78]);
    }
    // Global addresses are generic ones.
    assert_eq!(evaluate("cvta.to.global.u64 %d0, %d1;", &[0x1234_5678_9ABC]), 0x1234_5678_9ABC);
}
