//! Tensor-core instructions against products computed element by element.
//!
//! Fragments are filled here from the tables of the PTX manual, independently of the executor.

mod common;
use common::{fault_of, lanes};
use cuda_sim::fault::FaultKind;

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
    ((row * 7 + column * 3) % 16) as f32
}

fn b(row: usize, column: usize) -> f32 {
    ((row * 5 + column * 11) % 13) as f32
}

fn product(row: usize, column: usize, k: usize) -> f32 {
    (0..k).map(|i| a(row, i) * b(i, column)).sum::<f32>() + (row + column) as f32
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

/// Runs `mma` with k = 16 or 8 of 16-bit elements and checks all of D.
fn check_small(kind: &str, k: usize, encode: fn(f32) -> u16) {
    let mut code = String::new();
    let a_registers = k / 4;
    for n in 0..a_registers {
        let words = fragment(|g, q| {
            let (row, column) = (g + 8 * (n % 2), 2 * q + 8 * (n / 2));
            pair(encode(a(row, column)), encode(a(row, column + 1)))
        });
        code += &per_lane(&format!("%r{}", 1 + n), &words);
    }
    for n in 0..a_registers / 2 {
        let words = fragment(|g, q| {
            let row = 2 * q + 8 * n;
            pair(encode(b(row, g)), encode(b(row + 1, g)))
        });
        code += &per_lane(&format!("%r{}", 5 + n), &words);
    }
    for n in 0..4 {
        let words = fragment(|g, q| ((g + 8 * (n / 2) + 2 * q + n % 2) as f32).to_bits());
        code += &per_lane(&format!("%r{}", 10 + n), &words);
    }
    let list = |first: usize, count: usize| {
        let names: Vec<_> = (first..first + count).map(|n| format!("%r{n}")).collect();
        format!("{{{}}}", names.join(", "))
    };
    code += &format!(
        "mma.sync.aligned.m16n8k{k}.row.col.f32.{kind}.{kind}.f32 {}, {}, {}, {};\n",
        list(20, 4),
        list(1, a_registers),
        list(5, a_registers / 2),
        list(10, 4)
    );
    for n in 0..4 {
        let code = format!("{code} cvt.u64.u32 %d15, %r{};", 20 + n);
        for (lane, bits) in lanes(&code, 32).into_iter().enumerate() {
            let (row, column) = (lane / 4 + 8 * (n / 2), 2 * (lane % 4) + n % 2);
            assert_eq!(f32::from_bits(bits as u32), product(row, column, k), "{row} {column}");
        }
    }
}

#[test]
fn halves_and_bfloats() {
    check_small("f16", 16, half);
    check_small("f16", 8, half);
    check_small("bf16", 16, bfloat);
    check_small("bf16", 8, bfloat);
}

#[test]
fn half_accumulators() {
    // A = 2 and B = 3 everywhere, C = 1: every element is 16·6 + 1 = 97 = 0x5610.
    let code = "mov.b32 %r1, 0x40004000; mov.b32 %r2, 0x42004200; mov.b32 %r3, 0x3C003C00; \
                mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r4, %r5}, \
                {%r1, %r1, %r1, %r1}, {%r2, %r2}, {%r3, %r3}; mov.b64 %d15, {%r4, %r5};";
    assert_eq!(lanes(code, 32), [0x5610_5610_5610_5610; 32]);
}

#[test]
fn tf32_and_doubles() {
    let mut code = String::new();
    for n in 0..4 {
        let words = fragment(|g, q| a(g + 8 * (n % 2), q + 4 * (n / 2)).to_bits() | 0xFFF);
        code += &per_lane(&format!("%r{}", 1 + n), &words);
    }
    for n in 0..2 {
        code += &per_lane(&format!("%r{}", 5 + n), &fragment(|g, q| b(q + 4 * n, g).to_bits()));
    }
    for n in 0..4 {
        let words = fragment(|g, q| ((g + 8 * (n / 2) + 2 * q + n % 2) as f32).to_bits());
        code += &per_lane(&format!("%r{}", 10 + n), &words);
    }
    code += "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%r20, %r21, %r22, %r23}, \
             {%r1, %r2, %r3, %r4}, {%r5, %r6}, {%r10, %r11, %r12, %r13};\n";
    for n in 0..4 {
        let code = format!("{code} cvt.u64.u32 %d15, %r{};", 20 + n);
        for (lane, bits) in lanes(&code, 32).into_iter().enumerate() {
            let (row, column) = (lane / 4 + 8 * (n / 2), 2 * (lane % 4) + n % 2);
            assert_eq!(f32::from_bits(bits as u32), product(row, column, 8), "{row} {column}");
        }
    }
    let mut code = per_lane("%r1", &fragment(|g, q| a(g, q) as u32));
    code += &per_lane("%r2", &fragment(|g, q| b(q, g) as u32));
    code += &per_lane("%r3", &fragment(|g, q| (g + 2 * q) as u32));
    code += "cvt.rn.f64.u32 %d1, %r1; cvt.rn.f64.u32 %d2, %r2; cvt.rn.f64.u32 %d3, %r3; \
             add.f64 %d4, %d3, 0d3FF0000000000000; \
             mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%d5, %d6}, {%d1}, {%d2}, {%d3, %d4};";
    for (n, register) in ["%d5", "%d6"].into_iter().enumerate() {
        let code = format!("{code} mov.b64 %d15, {register};");
        for (lane, bits) in lanes(&code, 32).into_iter().enumerate() {
            let (row, column) = (lane / 4, 2 * (lane % 4) + n);
            assert_eq!(f64::from_bits(bits), f64::from(product(row, column, 4)), "{row} {column}");
        }
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
    let load = |suffix: &str, list: &str, register: &str| {
        let code = format!(
            "{TILE} ldmatrix.sync.aligned.m8n8.{suffix}.shared.b16 {list}, [%r1]; \
             cvt.u64.u32 %d15, {register};"
        );
        lanes(&code, 32)
    };
    let four = "{%r10, %r11, %r12, %r13}";
    for matrix in 0..4usize {
        let register = format!("%r{}", 10 + matrix);
        let plain = load("x4", four, &register);
        let transposed = load("x4.trans", four, &register);
        for lane in 0..32usize {
            let (g, q) = (lane / 4, 2 * (lane % 4));
            let at = |row: usize, column: usize| (16 * (8 * matrix + row) + column) as u64;
            assert_eq!(plain[lane], at(g, q) | at(g, q + 1) << 16);
            assert_eq!(transposed[lane], at(q, g) | at(q + 1, g) << 16);
        }
    }
    assert_eq!(load("x2", "{%r10, %r11}", "%r11")[0], 128 | 129 << 16);
    assert_eq!(load("x1", "{%r10}", "%r10")[4], 16 | 17 << 16);
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
