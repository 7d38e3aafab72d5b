//! Comparisons, of every type with every relation.

use super::run::{L1, M1, check, class, d, f};

pub const TESTS: &[fn()] = &[integers, floats, predicates];

const INTEGER: [&str; 6] = ["eq", "ne", "lt", "le", "gt", "ge"];
/// What each of these is for a pair that is less, equal and greater.
const LESS: [u64; 6] = [0, 1, 1, 1, 0, 0];
const EQUAL: [u64; 6] = [1, 0, 0, 1, 0, 1];
const GREATER: [u64; 6] = [0, 1, 0, 0, 1, 1];

fn compare(relations: &[&str], ty: &str, a: u64, b: u64, expected: &[u64]) {
    for (relation, &expected) in relations.iter().zip(expected) {
        let x = class(ty);
        let code = format!("setp.{relation}.{ty} %p0, %{x}1, %{x}2;");
        check(&[(&code, &[a, b], expected)]);
    }
}

#[test]
fn integers() {
    for (ty, ones, low) in [("s16", 0xFFFF, 0x8000), ("s32", M1, 0x8000_0000), ("s64", L1, 1 << 63)]
    {
        compare(&INTEGER, ty, ones, 1, &LESS);
        compare(&INTEGER, ty, low, low - 1, &LESS);
        compare(&INTEGER, ty, 3, 3, &EQUAL);
        compare(&INTEGER, ty, 0, ones, &GREATER);
    }
    for (ty, ones, low) in [("u16", 0xFFFF, 0x8000), ("u32", M1, 0x8000_0000), ("u64", L1, 1 << 63)]
    {
        compare(&INTEGER, ty, ones, 1, &GREATER);
        compare(&INTEGER, ty, low, low - 1, &GREATER);
        compare(&INTEGER, ty, ones, ones, &EQUAL);
        compare(&INTEGER, ty, 0, ones, &LESS);
    }
    for (ty, low) in [("b16", 0x8000), ("b32", 0x8000_0000), ("b64", 1 << 63)] {
        compare(&INTEGER[..2], ty, low, low, &EQUAL);
        compare(&INTEGER[..2], ty, low, 0, &LESS);
    }
}

const FLOAT: [&str; 14] =
    ["eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"];

#[test]
fn floats() {
    let less = [0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0];
    let equal = [1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0];
    let greater = [0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0];
    let unordered = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1];
    for ty in ["f32", "f64"] {
        let bits = |x: f64| if ty == "f32" { f(x as f32) } else { d(x) };
        let (nan, infinity) = (bits(f64::NAN), bits(f64::INFINITY));
        compare(&FLOAT, ty, bits(-2.0), bits(1.0), &less);
        compare(&FLOAT, ty, bits(f64::NEG_INFINITY), infinity, &less);
        compare(&FLOAT, ty, bits(2.0), bits(2.0), &equal);
        compare(&FLOAT, ty, bits(0.0), bits(-0.0), &equal);
        compare(&FLOAT, ty, infinity, infinity, &equal);
        compare(&FLOAT, ty, bits(-1.0), bits(-2.0), &greater);
        compare(&FLOAT, ty, 1, bits(0.0), &greater);
        compare(&FLOAT, ty, nan, bits(1.0), &unordered);
        compare(&FLOAT, ty, infinity, nan, &unordered);
        compare(&FLOAT, ty, nan, nan, &unordered);
    }
}

#[test]
fn predicates() {
    for (guard, expected) in [(0, 4), (1, 3)] {
        let code = "@%p1 mov.u32 %r0, 3; @!%p1 mov.u32 %r0, 4;";
        assert_eq!(super::run::evaluate(code, &[guard]), expected);
    }
}
