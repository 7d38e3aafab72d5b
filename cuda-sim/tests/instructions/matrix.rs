//! Tensor-core instructions against products computed element by element.
//!
//! Fragments are filled here from the tables of the PTX manual, independently of the executor.

use super::run::{covers, fault_of, lanes};
use cuda_sim::fault::FaultKind;

pub const TESTS: &[fn()] = &[products, special_values, matrix_loads];

/// The half of a small integer.
fn half(x: f32) -> u16 {
    let bits = x.to_bits();
    if x == 0.0 {
        return 0;
    }
    (((bits >> 23) - 112) << 10 | bits >> 13 & 0x3FF) as u16
}

/// The bfloat of a small integer.
fn bfloat(x: f32) -> u16 {
    (x.to_bits() >> 16) as u16
}

/// Value of A at row and column; all are integers below 256, exact in every format.
fn a(row: usize, column: usize) -> f32 {
    // Entries eight rows down are others than eight columns to the right.
    ((row * 7 + column * 3 + row / 8) % 16) as f32
}

fn b(row: usize, column: usize) -> f32 {
    ((row * 5 + column * 11) % 13) as f32
}

fn c(row: usize, column: usize) -> f32 {
    (9 * row + column) as f32
}

fn product(row: usize, column: usize) -> f32 {
    (0..16).map(|i| a(row, i) * b(i, column)).sum::<f32>() + c(row, column)
}

/// Code that puts a word of its own into a register in every lane.
fn per_lane(register: &str, words: &[u32]) -> String {
    let mut code = format!("mov.b32 {register}, 0;\n");
    for (lane, word) in words.iter().enumerate() {
        code += &format!("setp.eq.u32 %p1, %r31, {lane}; @%p1 mov.b32 {register}, {word};\n");
    }
    code
}

fn fragment(f: impl Fn(usize, usize) -> u32) -> Vec<u32> {
    (0..32).map(|lane| f(lane / 4, lane % 4)).collect()
}

fn pair(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

/// Runs `mma` and checks all of D.
fn check_product(kind: &str, encode: fn(f32) -> u16) {
    let mut code = String::new();
    for n in 0..4 {
        let words = fragment(|g, q| {
            let (row, column) = (g + 8 * (n % 2), 2 * q + 8 * (n / 2));
            pair(encode(a(row, column)), encode(a(row, column + 1)))
        });
        code += &per_lane(&format!("%r{}", 1 + n), &words);
    }
    for n in 0..2 {
        let words = fragment(|g, q| {
            let row = 2 * q + 8 * n;
            pair(encode(b(row, g)), encode(b(row + 1, g)))
        });
        code += &per_lane(&format!("%r{}", 5 + n), &words);
    }
    for n in 0..4 {
        let words = fragment(|g, q| c(g + 8 * (n / 2), 2 * q + n % 2).to_bits());
        code += &per_lane(&format!("%r{}", 10 + n), &words);
    }
    let form = format!("mma.sync.aligned.m16n8k16.row.col.f32.{kind}.{kind}.f32");
    code += &format!(
        "{form} {{%r20, %r21, %r22, %r23}}, {{%r1, %r2, %r3, %r4}}, {{%r5, %r6}}, \
         {{%r10, %r11, %r12, %r13}};\n"
    );
    covers(&form, &code);
    for n in 0..4 {
        let code = format!("{code} cvt.u64.u32 %d15, %r{};", 20 + n);
        for (lane, bits) in lanes(&code, 32).into_iter().enumerate() {
            let (row, column) = (lane / 4 + 8 * (n / 2), 2 * (lane % 4) + n % 2);
            assert_eq!(f32::from_bits(bits as u32), product(row, column), "{row} {column}");
        }
    }
}

#[test]
fn products() {
    check_product("f16", half);
    check_product("bf16", bfloat);
}

/// All of A is `a`, of B `b` and of C `c`, so all of D is 16·a·b + c.
#[test]
fn special_values() {
    for (kind, a, b, c, expected) in [
        // The least subnormal half is 2^-24, the largest half 65504.
        ("f16", 0x0001, 0x0001, 0, 2f32.powi(-44)),
        ("f16", 0x7BFF, 0x7BFF, 0, 16.0 * 65504.0 * 65504.0),
        ("f16", 0x7C00, 0x3C00, 0, f32::INFINITY),
        ("bf16", 0x0001, 0x3F80, 0, f32::from_bits(1 << 20)),
        ("bf16", 0xFF80, 0x3F80, 0, f32::NEG_INFINITY),
        ("bf16", 0x3F80, 0x3F80, 0xC180_0000_u32, 0.0),
        ("bf16", 0x7F7F, 0x7F7F, 0, f32::INFINITY),
        ("bf16", 0x7F80, 0x3F80, 0xFF80_0000, f32::NAN),
    ] {
        let code = format!(
            "mov.b32 %r1, {}; mov.b32 %r2, {}; mov.b32 %r3, {c}; \
             mma.sync.aligned.m16n8k16.row.col.f32.{kind}.{kind}.f32 {{%r4, %r5, %r6, %r7}}, \
             {{%r1, %r1, %r1, %r1}}, {{%r2, %r2}}, {{%r3, %r3, %r3, %r3}}; cvt.u64.u32 %d15, %r5;",
            a << 16 | a,
            b << 16 | b,
        );
        let bits = if expected.is_nan() { 0x7FFF_FFFF } else { expected.to_bits() };
        assert_eq!(lanes(&code, 32), [u64::from(bits); 32], "{kind} {a:x} {b:x} {c:x}");
    }
}

/// A tile of 32 rows of 8 words of 16 bits, element = 16·row + column, one row a lane.
const TILE: &str = ".shared .align 16 .b8 tile[512]; mov.u32 %r1, tile; shl.b32 %r2, %r31, 4; \
    add.u32 %r1, %r1, %r2; mov.u32 %r3, 0; \
    FILL: mad.lo.u32 %r4, %r31, 16, %r3; cvt.u16.u32 %h1, %r4; shl.b32 %r5, %r3, 1; \
    add.u32 %r5, %r5, %r1; st.shared.u16 [%r5], %h1; add.u32 %r3, %r3, 1; \
    setp.lt.u32 %p1, %r3, 8; @%p1 bra FILL; bar.warp.sync -1;";

#[test]
fn matrix_loads() {
    let load = |count: usize, trans: &str, register: &str| {
        let form = format!("ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16");
        let registers: Vec<_> = (10..10 + count).map(|n| format!("%r{n}")).collect();
        let registers = registers.join(", ");
        let code = format!("{TILE} {form} {{{registers}}}, [%r1]; cvt.u64.u32 %d15, {register};");
        lanes(covers(&form, &code), 32)
    };
    for count in [1, 2, 4] {
        for matrix in 0..count {
            let register = format!("%r{}", 10 + matrix);
            let plain = load(count, "", &register);
            let transposed = load(count, ".trans", &register);
            for lane in 0..32usize {
                let (g, q) = (lane / 4, 2 * (lane % 4));
                let at = |row: usize, column: usize| (16 * (8 * matrix + row) + column) as u64;
                assert_eq!(plain[lane], at(g, q) | at(g, q + 1) << 16);
                assert_eq!(transposed[lane], at(q, g) | at(q + 1, g) << 16);
            }
        }
    }
}

#[test]
fn misuse() {
    let load = "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r10}, [%r1];";
    let misaligned = format!("{TILE} add.u32 %r1, %r1, 8; {load}");
    assert_eq!(fault_of("", &misaligned, 32), Some(FaultKind::Misaligned));
    let partial = format!("{TILE} {load}");
    assert!(matches!(
        fault_of("", &partial, 16),
        Some(FaultKind::DivergentWarp | FaultKind::Uninitialised)
    ));
    let empty = ".shared .align 16 .b8 tile[512]; mov.u32 %r1, tile;";
    assert_eq!(fault_of("", &format!("{empty} {load}"), 32), Some(FaultKind::Uninitialised));
}
