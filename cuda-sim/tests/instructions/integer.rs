//! Integer instructions.

use super::run::{L1, M1, check};

pub const TESTS: &[fn()] = &[sums, products, quotients, extremes];

const LOW: u64 = 0x8000_0000;
const LOW64: u64 = 1 << 63;

#[test]
fn sums() {
    check(&[
        ("add.s16 %h0, %h1, %h2;", &[0x7FFF, 1], 0x8000),
        ("add.u16 %h0, %h1, %h2;", &[0xFFFF, 3], 2),
        ("add.s32 %r0, %r1, %r2;", &[M1, 2], 1),
        ("add.s32 %r0, %r1, %r2;", &[0x7FFF_FFFF, 1], LOW),
        ("add.s32 %r0, %r1, -5;", &[3], 0xFFFF_FFFE),
        ("add.u32 %r0, %r1, %r2;", &[M1, 1], 0),
        ("add.s64 %d0, %d1, %d2;", &[0x7FFF_FFFF_FFFF_FFFF, 1], LOW64),
        ("add.s64 %d0, %d1, %d2;", &[M1, 1], 1 << 32),
        ("add.u64 %d0, %d1, %d2;", &[L1, 2], 1),
        ("sub.s16 %h0, %h1, %h2;", &[0x8000, 1], 0x7FFF),
        ("sub.u16 %h0, %h1, %h2;", &[0, 1], 0xFFFF),
        ("sub.s32 %r0, %r1, %r2;", &[LOW, 1], 0x7FFF_FFFF),
        ("sub.u32 %r0, %r1, %r2;", &[2, 3], M1),
        ("sub.s64 %d0, %d1, %d2;", &[LOW64, 1], 0x7FFF_FFFF_FFFF_FFFF),
        ("sub.u64 %d0, %d1, %d2;", &[1 << 32, 1], M1),
        ("sub.u64 %d0, %d1, %d2;", &[0, 1], L1),
        ("neg.s32 %r0, %r1;", &[5], 0xFFFF_FFFB),
        ("neg.s32 %r0, %r1;", &[LOW], LOW),
        ("neg.s64 %d0, %d1;", &[1], L1),
        ("neg.s64 %d0, %d1;", &[LOW64], LOW64),
    ]);
}

#[test]
fn products() {
    check(&[
        ("mul.lo.s32 %r0, %r1, %r2;", &[0x1_0001, 0x1_0001], 0x2_0001),
        ("mul.lo.s32 %r0, %r1, %r2;", &[M1, 7], 0xFFFF_FFF9),
        ("mul.lo.u32 %r0, %r1, %r2;", &[0x8000_0001, 2], 2),
        ("mul.lo.s64 %d0, %d1, %d2;", &[L1, 5], L1 - 4),
        ("mul.lo.s64 %d0, %d1, %d2;", &[1 << 32, 1 << 32], 0),
        ("mul.lo.u64 %d0, %d1, %d2;", &[LOW64, 3], LOW64),
        ("mul.hi.s32 %r0, %r1, %r2;", &[M1, M1], 0),
        ("mul.hi.s32 %r0, %r1, %r2;", &[LOW, 4], 0xFFFF_FFFE),
        ("mul.hi.s32 %r0, %r1, %r2;", &[LOW, LOW], 0x4000_0000),
        ("mul.hi.u32 %r0, %r1, %r2;", &[M1, M1], 0xFFFF_FFFE),
        ("mul.hi.s64 %d0, %d1, %d2;", &[L1, 5], L1),
        ("mul.hi.s64 %d0, %d1, %d2;", &[LOW64, LOW64], 1 << 62),
        ("mul.hi.u64 %d0, %d1, %d2;", &[L1, L1], L1 - 1),
        ("mul.hi.u64 %d0, %d1, %d2;", &[LOW64, LOW64], 1 << 62),
        ("mul.wide.s16 %r0, %h1, %h2;", &[0xFFFF, 2], 0xFFFF_FFFE),
        ("mul.wide.s16 %r0, %h1, %h2;", &[0x8000, 0x8000], 0x4000_0000),
        ("mul.wide.u16 %r0, %h1, %h2;", &[0xFFFF, 0xFFFF], 0xFFFE_0001),
        ("mul.wide.s32 %d0, %r1, %r2;", &[M1, 7], L1 - 6),
        ("mul.wide.s32 %d0, %r1, %r2;", &[LOW, LOW], 1 << 62),
        ("mul.wide.u32 %d0, %r1, %r2;", &[M1, M1], 0xFFFF_FFFE_0000_0001),
        ("mad.lo.s32 %r0, %r1, %r2, %r3;", &[M1, 3, 10], 7),
        ("mad.lo.u32 %r0, %r1, %r2, %r3;", &[LOW, 2, 5], 5),
        ("mad.lo.s64 %d0, %d1, %d2, %d3;", &[L1, 3, 10], 7),
        ("mad.lo.u64 %d0, %d1, %d2, %d3;", &[1 << 40, 1 << 24, 9], 9),
        ("mad.wide.s32 %d0, %r1, %r2, %d3;", &[M1, 2, 3], 1),
        ("mad.wide.s32 %d0, %r1, %r2, %d3;", &[M1, 2, 1], L1),
        ("mad.wide.u32 %d0, %r1, %r2, %d3;", &[M1, 2, 3], 0x2_0000_0001),
        ("mad.wide.u32 %d0, %r1, %r2, %d3;", &[M1, M1, L1], 0xFFFF_FFFE_0000_0000),
    ]);
}

#[test]
fn quotients() {
    // Towards zero; the remainder has the sign of the dividend. -7 is M1 - 6, -17 is L1 - 16.
    check(&[
        ("div.s32 %r0, %r1, %r2;", &[M1 - 6, 2], M1 - 2),
        ("div.s32 %r0, %r1, %r2;", &[7, M1 - 1], M1 - 2),
        ("div.s32 %r0, %r1, %r2;", &[LOW, M1], LOW),
        ("div.u32 %r0, %r1, %r2;", &[M1 - 6, 2], 0x7FFF_FFFC),
        ("div.u32 %r0, %r1, %r2;", &[5, 0], M1),
        ("div.s64 %d0, %d1, %d2;", &[L1 - 6, 2], L1 - 2),
        ("div.s64 %d0, %d1, %d2;", &[7, L1 - 1], L1 - 2),
        ("div.s64 %d0, %d1, %d2;", &[LOW64, L1], LOW64),
        ("div.u64 %d0, %d1, %d2;", &[L1, 10], 1_844_674_407_370_955_161),
        ("div.u64 %d0, %d1, %d2;", &[L1, L1], 1),
        ("rem.s32 %r0, %r1, %r2;", &[M1 - 6, 2], M1),
        ("rem.s32 %r0, %r1, %r2;", &[7, M1 - 1], 1),
        ("rem.s32 %r0, %r1, %r2;", &[LOW, M1], 0),
        ("rem.u32 %r0, %r1, %r2;", &[17, 5], 2),
        ("rem.u32 %r0, %r1, %r2;", &[M1, 16], 15),
        ("rem.u32 %r0, %r1, %r2;", &[17, 0], 17),
        ("rem.s64 %d0, %d1, %d2;", &[L1 - 16, 5], L1 - 1),
        ("rem.s64 %d0, %d1, %d2;", &[LOW64, L1], 0),
        ("rem.u64 %d0, %d1, %d2;", &[L1, 10], 5),
        ("rem.u64 %d0, %d1, %d2;", &[L1 - 16, 5], 4),
    ]);
}

#[test]
fn extremes() {
    check(&[
        ("min.s32 %r0, %r1, %r2;", &[M1, 1], M1),
        ("min.s32 %r0, %r1, %r2;", &[0x7FFF_FFFF, LOW], LOW),
        ("max.s32 %r0, %r1, %r2;", &[M1, 1], 1),
        ("max.s32 %r0, %r1, %r2;", &[LOW, M1], M1),
        ("min.u32 %r0, %r1, %r2;", &[M1, 1], 1),
        ("max.u32 %r0, %r1, %r2;", &[M1, 1], M1),
        ("min.s64 %d0, %d1, %d2;", &[L1, 1], L1),
        ("min.s64 %d0, %d1, %d2;", &[0, LOW64], LOW64),
        ("max.s64 %d0, %d1, %d2;", &[L1, 1], 1),
        ("max.s64 %d0, %d1, %d2;", &[LOW64, L1], L1),
        ("min.u64 %d0, %d1, %d2;", &[L1, 1], 1),
        ("max.u64 %d0, %d1, %d2;", &[L1, 1], L1),
    ]);
}
