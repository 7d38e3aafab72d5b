//! `cvt` and address conversions against values worked by hand.

mod common;
use common::{check, d, f};

const M1: u64 = 0xFFFF_FFFF;

#[test]
fn between_integers() {
    check(&[
        ("cvt.u64.u32 %d0, %r1;", &[M1], M1),
        ("cvt.s64.s32 %d0, %r1;", &[M1], u64::MAX),
        ("cvt.u32.u64 %r0, %d1;", &[0x5_0000_0007], 7),
        ("cvt.u16.u32 %h0, %r1;", &[0x1_2345], 0x2345),
        ("cvt.u32.u16 %r0, %h1;", &[0xFFFF], 0xFFFF),
        ("cvt.s32.s16 %r0, %h1;", &[0xFFFF], M1),
        ("cvt.s32.s8 %r0, %r1;", &[0x80], 0xFFFF_FF80),
        ("cvt.u32.u8 %r0, %r1;", &[0x1FF], 0xFF),
        ("cvt.s16.s8 %h0, %h1;", &[0x80], 0xFF80),
        ("cvt.sat.u8.s32 %r0, %r1;", &[300], 255),
        ("cvt.sat.u8.s32 %r0, %r1;", &[M1], 0),
        ("cvt.sat.s8.s32 %r0, %r1;", &[M1 - 299], 0xFFFF_FF80),
        ("cvt.sat.s16.s32 %h0, %r1;", &[40000], 0x7FFF),
        ("cvt.sat.u32.s64 %r0, %d1;", &[1 << 40], M1),
    ]);
}

#[test]
fn from_integers() {
    check(&[
        ("cvt.rn.f32.s32 %r0, %r1;", &[M1], f(-1.0)),
        ("cvt.rn.f32.u32 %r0, %r1;", &[M1], f(4294967296.0)),
        ("cvt.rz.f32.u32 %r0, %r1;", &[M1], 0x4F7F_FFFF),
        ("cvt.rp.f32.s32 %r0, %r1;", &[16777217], f(16777218.0)),
        ("cvt.rn.f32.s32 %r0, %r1;", &[16777217], f(16777216.0)),
        ("cvt.rn.f32.u64 %r0, %d1;", &[u64::MAX], f(18446744073709551616.0)),
        ("cvt.rn.f64.s32 %d0, %r1;", &[M1], d(-1.0)),
        ("cvt.rn.f64.u64 %d0, %d1;", &[u64::MAX], d(18446744073709551616.0)),
        ("cvt.rn.f64.s64 %d0, %d1;", &[u64::MAX], d(-1.0)),
        ("cvt.rz.f64.s64 %d0, %d1;", &[(1 << 53) + 1], d(9007199254740992.0)),
        ("cvt.rn.f16.s32 %h0, %r1;", &[2049], 0x6800),
        ("cvt.rn.f16.u16 %h0, %h1;", &[65535], 0x7C00),
    ]);
}

#[test]
fn to_integers() {
    let (nan, nan64) = (f(f32::NAN), d(f64::NAN));
    check(&[
        ("cvt.rni.s32.f32 %r0, %r1;", &[f(2.5)], 2),
        ("cvt.rni.s32.f32 %r0, %r1;", &[f(3.5)], 4),
        ("cvt.rzi.s32.f32 %r0, %r1;", &[f(-2.9)], M1 - 1),
        ("cvt.rmi.s32.f32 %r0, %r1;", &[f(-2.1)], M1 - 2),
        ("cvt.rpi.s32.f32 %r0, %r1;", &[f(2.1)], 3),
        ("cvt.rzi.u32.f32 %r0, %r1;", &[f(-1.0)], 0),
        ("cvt.rzi.u32.f32 %r0, %r1;", &[f(1e20)], M1),
        ("cvt.rzi.s32.f32 %r0, %r1;", &[f(-1e20)], 0x8000_0000),
        ("cvt.rzi.s32.f32 %r0, %r1;", &[nan], 0),
        ("cvt.rzi.s64.f32 %d0, %r1;", &[nan], 1 << 63),
        ("cvt.rzi.u64.f64 %d0, %d1;", &[nan64], 1 << 63),
        ("cvt.rzi.s32.f64 %r0, %d1;", &[nan64], 0x8000_0000),
        ("cvt.rzi.u64.f64 %d0, %d1;", &[d(1e30)], u64::MAX),
        ("cvt.rzi.s64.f64 %d0, %d1;", &[d(-1.5)], u64::MAX),
        ("cvt.rzi.s64.f64 %d0, %d1;", &[d(4611686018427387904.0)], 1 << 62),
        ("cvt.rzi.u8.f32 %r0, %r1;", &[f(300.0)], 255),
        ("cvt.rni.s32.f16 %r0, %h1;", &[0x4100], 2),
        ("cvt.rni.ftz.s32.f32 %r0, %r1;", &[1], 0),
        ("cvt.rpi.ftz.s32.f32 %r0, %r1;", &[1], 0),
        ("cvt.rpi.s32.f32 %r0, %r1;", &[1], 1),
    ]);
}

#[test]
fn between_floats() {
    check(&[
        ("cvt.f64.f32 %d0, %r1;", &[f(1.5)], d(1.5)),
        ("cvt.f64.f32 %d0, %r1;", &[1], d(2f64.powi(-149))),
        ("cvt.ftz.f64.f32 %d0, %r1;", &[1], d(0.0)),
        ("cvt.rn.f32.f64 %r0, %d1;", &[d(0.1)], f(0.1)),
        ("cvt.rz.f32.f64 %r0, %d1;", &[d(0.1)], f(0.1) - 1),
        ("cvt.rp.f32.f64 %r0, %d1;", &[d(1e-300)], 1),
        ("cvt.rn.f32.f64 %r0, %d1;", &[d(f64::NAN)], 0x7FFF_FFFF),
        ("cvt.rni.f32.f32 %r0, %r1;", &[f(-2.5)], f(-2.0)),
        ("cvt.rni.f32.f32 %r0, %r1;", &[f(-0.25)], f(-0.0)),
        ("cvt.rzi.f32.f32 %r0, %r1;", &[f(2.9)], f(2.0)),
        ("cvt.rmi.f64.f64 %d0, %d1;", &[d(-2.1)], d(-3.0)),
        ("cvt.rpi.f64.f64 %d0, %d1;", &[d(1e300)], d(1e300)),
        ("cvt.sat.f32.f32 %r0, %r1;", &[f(2.9)], f(1.0)),
        ("cvt.f32.f16 %r0, %h1;", &[0x3C01], f(1.000_976_6)),
        ("cvt.f32.f16 %r0, %h1;", &[0x0001], f(2f32.powi(-24))),
        ("cvt.rn.f16.f32 %h0, %r1;", &[f(65520.0)], 0x7C00),
        ("cvt.rz.f16.f32 %h0, %r1;", &[f(65520.0)], 0x7BFF),
        ("cvt.rn.f16.f64 %h0, %d1;", &[d(1.0)], 0x3C00),
        ("cvt.rn.bf16.f32 %h0, %r1;", &[f(1.0)], 0x3F80),
        ("cvt.rn.relu.bf16.f32 %h0, %r1;", &[f(-1.0)], 0),
        ("cvt.f32.bf16 %r0, %h1;", &[0x3F80], f(1.0)),
        ("cvt.rn.f16x2.f32 %r0, %r1, %r2;", &[f(1.0), f(2.0)], 0x3C00_4000),
        ("cvt.rn.bf16x2.f32 %r0, %r1, %r2;", &[f(1.0), f(2.0)], 0x3F80_4000),
        ("cvt.rna.tf32.f32 %r0, %r1;", &[0x3F80_1000], 0x3F80_2000),
        ("cvt.rna.tf32.f32 %r0, %r1;", &[0x3F80_0FFF], 0x3F80_0000),
    ]);
}

#[test]
fn address_spaces() {
    check(&[
        (
            ".shared .align 4 .b8 pad[12]; .shared .align 4 .b8 s[8]; mov.u64 %d2, s; \
             cvta.shared.u64 %d3, %d2; cvta.to.shared.u64 %d4, %d3; sub.s64 %d0, %d4, %d2;",
            &[],
            0,
        ),
        (
            ".local .align 4 .b8 l[8]; mov.u64 %d2, l; cvta.local.u64 %d3, %d2; \
             isspacep.local %p0, %d3;",
            &[],
            1,
        ),
        (
            ".shared .align 4 .b8 s[8]; mov.u64 %d2, s; cvta.shared.u64 %d3, %d2; \
          isspacep.global %p0, %d3;",
            &[],
            0,
        ),
        (
            ".shared .align 4 .b8 s[8]; mov.u64 %d2, s; cvta.shared.u64 %d3, %d2; \
          isspacep.shared %p0, %d3;",
            &[],
            1,
        ),
        ("mov.u64 %d2, 0x100000000000000; isspacep.global %p0, %d2;", &[], 1),
    ]);
}
