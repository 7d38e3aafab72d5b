//! Integer instructions against values worked by hand.

mod common;
use common::check;

const M1: u64 = 0xFFFF_FFFF;
const L1: u64 = u64::MAX;

#[test]
fn sums_and_products() {
    check(&[
        ("add.s32 %r0, %r1, %r2;", &[M1, 2], 1),
        ("add.u64 %d0, %d1, %d2;", &[L1, 2], 1),
        ("add.s16 %h0, %h1, %h2;", &[0xFFFF, 3], 2),
        ("add.sat.s32 %r0, %r1, %r2;", &[0x7FFF_FFFF, 1], 0x7FFF_FFFF),
        ("add.s32 %r0, %r1, -5;", &[3], 0xFFFF_FFFE),
        ("sub.s32 %r0, %r1, %r2;", &[2, 3], M1),
        ("sub.sat.s32 %r0, %r1, %r2;", &[0x8000_0000, 1], 0x8000_0000),
        ("mul.lo.s32 %r0, %r1, %r2;", &[0x1_0001, 0x1_0001], 0x2_0001),
        ("mul.lo.u64 %d0, %d1, %d2;", &[1 << 63, 3], 1 << 63),
        ("mul.hi.u32 %r0, %r1, %r2;", &[M1, M1], 0xFFFF_FFFE),
        ("mul.hi.s32 %r0, %r1, %r2;", &[M1, M1], 0),
        ("mul.hi.s32 %r0, %r1, %r2;", &[0x8000_0000, 4], 0xFFFF_FFFE),
        ("mul.hi.u64 %d0, %d1, %d2;", &[L1, L1], L1 - 1),
        ("mul.hi.s64 %d0, %d1, %d2;", &[L1, 5], L1),
        ("mul.wide.u32 %d0, %r1, %r2;", &[M1, M1], 0xFFFF_FFFE_0000_0001),
        ("mul.wide.s32 %d0, %r1, %r2;", &[M1, 7], L1 - 6),
        ("mul.wide.u16 %r0, %h1, %h2;", &[0xFFFF, 0xFFFF], 0xFFFE_0001),
        ("mul.wide.s16 %r0, %h1, %h2;", &[0xFFFF, 2], 0xFFFF_FFFE),
        ("mul24.lo.u32 %r0, %r1, %r2;", &[0xFF00_0003, 0x0080_0000], 0x0180_0000),
        ("mul24.hi.u32 %r0, %r1, %r2;", &[0x00FF_FFFF, 0x00FF_FFFF], 0xFFFF_FE00),
        ("mad24.lo.s32 %r0, %r1, %r2, %r3;", &[0x00FF_FFFF, 2, 5], 3),
        ("mad.lo.s32 %r0, %r1, %r2, %r3;", &[M1, 3, 10], 7),
        ("mad.lo.u64 %d0, %d1, %d2, %d3;", &[1 << 40, 1 << 24, 9], 9),
        ("mad.hi.u32 %r0, %r1, %r2, %r3;", &[0x8000_0000, 4, 5], 7),
        ("mad.hi.sat.s32 %r0, %r1, %r2, %r3;", &[0x4000_0000, 16, 0x7FFF_FFFF], 0x7FFF_FFFF),
        ("mad.wide.u32 %d0, %r1, %r2, %d3;", &[M1, 2, 3], 0x2_0000_0001),
        ("mad.wide.s32 %d0, %r1, %r2, %d3;", &[M1, 2, 3], 1),
        ("sad.u32 %r0, %r1, %r2, %r3;", &[3, 8, 100], 105),
        ("sad.s32 %r0, %r1, %r2, %r3;", &[M1, 1, 0], 2),
        ("dp4a.u32.u32 %r0, %r1, %r2, %r3;", &[0x0102_0304, 0x0505_0505, 7], 57),
        ("dp4a.s32.s32 %r0, %r1, %r2, %r3;", &[0xFF00_0000, 0x0200_0000, 7], 5),
        ("dp4a.u32.s32 %r0, %r1, %r2, %r3;", &[0xFF00_0000, 0xFF00_0000, 300], 45),
    ]);
}

#[test]
fn quotients_and_extremes() {
    check(&[
        ("div.s32 %r0, %r1, %r2;", &[M1 - 6, 2], M1 - 2),
        ("div.u32 %r0, %r1, %r2;", &[M1 - 6, 2], 0x7FFF_FFFC),
        ("div.s32 %r0, %r1, %r2;", &[0x8000_0000, M1], 0x8000_0000),
        ("div.u32 %r0, %r1, %r2;", &[5, 0], M1),
        ("div.u64 %d0, %d1, %d2;", &[L1, 10], 1844674407370955161),
        ("rem.s32 %r0, %r1, %r2;", &[M1 - 6, 2], M1),
        ("rem.u32 %r0, %r1, %r2;", &[17, 5], 2),
        ("rem.s64 %d0, %d1, %d2;", &[L1 - 16, 5], L1 - 1),
        ("rem.u32 %r0, %r1, %r2;", &[17, 0], 17),
        ("neg.s32 %r0, %r1;", &[5], M1 - 4),
        ("neg.s64 %d0, %d1;", &[1], L1),
        ("abs.s32 %r0, %r1;", &[M1], 1),
        ("abs.s64 %d0, %d1;", &[L1 - 1], 2),
        ("abs.s16 %h0, %h1;", &[0xFFFE], 2),
        ("min.s32 %r0, %r1, %r2;", &[M1, 1], M1),
        ("min.u32 %r0, %r1, %r2;", &[M1, 1], 1),
        ("max.s32 %r0, %r1, %r2;", &[M1, 1], 1),
        ("max.u64 %d0, %d1, %d2;", &[L1, 1], L1),
        ("max.s64 %d0, %d1, %d2;", &[L1, 1], 1),
        ("min.s16 %h0, %h1, %h2;", &[0x8000, 1], 0x8000),
    ]);
}

#[test]
fn carries() {
    check(&[
        ("add.cc.u32 %r3, %r1, %r2; addc.u32 %r0, 5, 6;", &[M1, 1], 12),
        ("add.cc.u32 %r3, %r1, %r2; addc.u32 %r0, 5, 6;", &[M1, 0], 11),
        ("add.cc.u32 %r3, %r1, %r2; addc.cc.u32 %r4, -1, 0; addc.u32 %r0, 0, 0;", &[M1, 1], 1),
        ("sub.cc.u32 %r3, %r1, %r2; subc.u32 %r0, 10, 3;", &[0, 1], 6),
        ("sub.cc.u32 %r3, %r1, %r2; subc.cc.u32 %r4, 0, 0; subc.u32 %r0, 0, 0;", &[0, 1], M1),
        ("sub.cc.u32 %r3, %r1, %r2; addc.u32 %r0, 0, 0;", &[5, 5], 1),
        ("sub.cc.u32 %r3, %r1, %r2; addc.u32 %r0, 0, 0;", &[4, 5], 0),
        ("mad.lo.cc.u32 %r3, %r1, %r2, %r1; madc.hi.u32 %r0, %r1, %r2, 0;", &[M1, 2], 2),
        ("mad.lo.cc.u32 %r3, %r1, %r2, 1; madc.hi.u32 %r0, %r1, %r2, 0;", &[M1, 2], 1),
        ("mad.hi.cc.u32 %r3, %r1, %r1, 2; addc.u32 %r0, 0, 0;", &[M1], 1),
        ("mad.lo.cc.u32 %r3, %r1, %r1, -1; madc.lo.u32 %r0, 3, 4, 5;", &[1], 18),
        ("add.cc.u64 %d3, %d1, %d2; addc.u64 %d0, 0, 0;", &[L1, 1], 1),
    ]);
}
