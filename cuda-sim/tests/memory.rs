//! Loads, stores, atomics, variables and asynchronous copies.

mod common;
use common::{check, f, lanes, try_lanes};

/// Memory of each kind, in front of a snippet.
const VARIABLES: &str = ".shared .align 16 .b8 s[64]; .local .align 16 .b8 l[64];";

fn with_variables(code: &str) -> String {
    format!("{VARIABLES} {code}")
}

#[test]
fn widths_and_signs() {
    for space in ["shared", "local"] {
        let variable = &space[..1];
        let run = |code: &str, value: u64| {
            let code = code.replace("SP", space).replace("VAR", variable);
            common::evaluate(&with_variables(&code), &[value])
        };
        assert_eq!(run("st.SP.b32 [VAR], %r1; ld.SP.s8 %r0, [VAR+1];", 0x8100), 0xFFFF_FF81);
        assert_eq!(run("st.SP.b32 [VAR], %r1; ld.SP.u8 %r0, [VAR+1];", 0x8100), 0x81);
        assert_eq!(run("st.SP.b32 [VAR], %r1; ld.SP.s16 %r0, [VAR+2];", 0x8000_0000), 0xFFFF_8000);
        assert_eq!(run("st.SP.b32 [VAR+4], %r1; ld.SP.u16 %h0, [VAR+4];", 0x8000_1234), 0x1234);
        assert_eq!(run("st.SP.u32 [VAR], %r1; ld.SP.s32 %d0, [VAR];", 0xFFFF_FFFE), u64::MAX - 1);
        assert_eq!(run("st.SP.b64 [VAR+8], %d1; ld.SP.b64 %d0, [VAR+8];", 1 << 60), 1 << 60);
        assert_eq!(run("st.SP.b8 [VAR], %r1; ld.SP.b8 %r0, [VAR];", 0x1FF), 0xFF);
        assert_eq!(
            run("mov.u32 %r2, VAR; st.SP.b32 [%r2+12], %r1; ld.SP.b32 %r0, [VAR+12];", 5),
            5
        );
    }
}

#[test]
fn vectors_and_generic_addresses() {
    let pair = "mov.u32 %r2, 7; st.shared.v2.b32 [s], {%r1, %r2}; ld.shared.b64 %d0, [s];";
    let quad = "st.local.v4.b32 [l+16], {%r1, 2, 3, 4}; ld.local.v2.b64 {%d2, %d0}, [l+16];";
    let unpack = "st.shared.b64 [s], %d1; ld.shared.v4.b16 {%h5, %h6, %h7, %h0}, [s];";
    let sink = "st.shared.b64 [s], %d1; ld.shared.v2.b32 {_, %r0}, [s];";
    let generic = "mov.u64 %d2, s; cvta.shared.u64 %d3, %d2; st.b32 [%d3+4], %r1; \
                   ld.shared.b32 %r0, [s+4];";
    let local = "mov.u64 %d2, l; cvta.local.u64 %d3, %d2; st.v2.b32 [%d3], {%r1, %r1}; \
                 ld.b32 %r0, [%d3+4];";
    let volatile = "st.volatile.shared.b32 [s], %r1; ld.volatile.shared.b32 %r0, [s];";
    check(&[
        (&with_variables(pair), &[1], 0x7_0000_0001),
        (&with_variables(quad), &[1], 0x4_0000_0003),
        (&with_variables(unpack), &[0x1234 << 48], 0x1234),
        (&with_variables(sink), &[9 << 32], 9),
        (&with_variables(generic), &[11], 11),
        (&with_variables(local), &[12], 12),
        (&with_variables(volatile), &[13], 13),
    ]);
}

#[test]
fn cache_hints_are_accepted() {
    let code = "ld.param.u64 %d1, [out]; cvta.to.global.u64 %d1, %d1; \
                st.global.cs.b32 [%d1], 5; prefetch.global.L2 [%d1]; \
                ld.global.cg.b32 %r1, [%d1]; ld.global.L1::no_allocate.L2::128B.b32 %r2, [%d1]; \
                ld.relaxed.gpu.global.b32 %r3, [%d1]; st.release.gpu.global.b32 [%d1], %r3; \
                ld.acquire.gpu.b32 %r4, [%d1]; \
                membar.gl; membar.cta; fence.acq_rel.gpu; add.u32 %r1, %r1, %r4; \
                cvt.u64.u32 %d15, %r1;";
    assert_eq!(lanes(code, 1), [10]);
}

#[test]
fn variables_of_the_module() {
    let declarations = ".const .align 4 .f32 table[3] = {0f3F800000, 0f40000000, 0f40400000};\n\
                        .global .align 8 .u64 where = table+4;\n\
                        .global .align 4 .u32 zeros[4];\n\
                        .global .align 2 .b8 bytes[4] = {1, 2, 3};\n\
                        .shared .align 4 .b8 module_shared[16];";
    let value = |code: &str| try_lanes(declarations, code, 1).unwrap()[0];
    assert_eq!(value("ld.const.f32 %r1, [table+8]; cvt.u64.u32 %d15, %r1;"), f(3.0));
    assert_eq!(
        value(
            "mov.u64 %d1, table; cvta.const.u64 %d1, %d1; ld.f32 %r1, [%d1+4]; \
               cvt.u64.u32 %d15, %r1;"
        ),
        f(2.0)
    );
    assert_eq!(
        value("ld.global.u64 %d1, [where]; ld.f32 %r1, [%d1]; cvt.u64.u32 %d15, %r1;"),
        f(2.0)
    );
    assert_eq!(value("ld.global.u32 %r1, [zeros+12]; cvt.u64.u32 %d15, %r1;"), 0);
    assert_eq!(value("ld.global.b32 %r1, [bytes]; cvt.u64.u32 %d15, %r1;"), 0x0003_0201);
    assert_eq!(
        value(
            "st.shared.u32 [module_shared+4], 6; ld.shared.u32 %r1, [module_shared+4]; \
               cvt.u64.u32 %d15, %r1;"
        ),
        6
    );
}

/// Variables lie apart, and what lies between is nobody's; banks are those of variables that touch.
#[test]
fn running_past_a_variable_meets_no_other() {
    use cuda_sim::fault::FaultKind::OutOfBounds;
    for space in ["shared", "local"] {
        let two =
            |code: &str| format!(".{space} .align 4 .b8 x[8]; .{space} .align 4 .b8 y[8]; {code}");
        let write = format!("st.{space}.u32 [y], 1; st.{space}.u32 [x+8], 2;");
        assert_eq!(common::fault_of("", &two(&write), 1), Some(OutOfBounds));
        let read = format!("st.{space}.u32 [y], 1; ld.{space}.u32 %r1, [x+8];");
        assert_eq!(common::fault_of("", &two(&read), 1), Some(OutOfBounds));
        let below = format!("st.{space}.u32 [y-4], 2;");
        assert_eq!(common::fault_of("", &two(&below), 1), Some(OutOfBounds));
        let bank = two("mov.u32 %r1, x; mov.u32 %r2, y; sub.u32 %r3, %r2, %r1; \
                        and.b32 %r3, %r3, 127; cvt.u64.u32 %d15, %r3;");
        assert_eq!(lanes(&bank, 1), [8]);
    }
    let dynamic = ".extern .shared .align 16 .b8 dynamic[];";
    let past = ".shared .align 4 .b8 x[8]; mov.u32 %r1, dynamic; st.shared.u32 [x+8], 2;";
    assert_eq!(common::fault_of(dynamic, past, 1), Some(OutOfBounds));
    let total = ".shared .align 4 .b8 x[8]; .shared .align 4 .b8 y[12]; st.shared.u32 [x], 0; \
                 st.shared.u32 [y], 0; mov.u32 %r1, %total_smem_size; cvt.u64.u32 %d15, %r1;";
    assert_eq!(lanes(total, 1), [20]);
}

/// Every thread does the same atomic instruction on a word that starts as `before`; the word after.
fn atomically(instruction: &str, ty: &str, before: u64, threads: u32) -> u64 {
    let result = format!(
        "{VARIABLES} setp.ne.u32 %p1, %r31, 0; @%p1 bra GO; mov.b64 %d1, {before}; \
         st.shared.b64 [s], %d1; GO: bar.sync 0; {instruction} bar.sync 0; \
         ld.shared.{ty} %d15, [s];"
    );
    lanes(&result, threads)[0]
}

#[test]
fn atomics() {
    let bits = |x: f32| f(x);
    assert_eq!(atomically("atom.shared.add.u32 %r1, [s], 3;", "u32", 1, 64), 193);
    assert_eq!(atomically("red.shared.add.u64 [s], 3;", "u64", 1 << 40, 2), (1 << 40) + 6);
    assert_eq!(atomically("red.shared.add.f32 [s], 0f3F800000;", "u32", bits(0.5), 4), bits(4.5));
    let add_double = "mov.f64 %d2, 0d3FF0000000000000; red.shared.add.f64 [s], %d2;";
    assert_eq!(atomically(add_double, "u64", 0, 3), 3f64.to_bits());
    assert_eq!(atomically("red.shared.min.s32 [s], -5;", "u32", 7, 2), 0xFFFF_FFFB);
    assert_eq!(atomically("red.shared.min.u32 [s], -5;", "u32", 7, 2), 7);
    assert_eq!(atomically("red.shared.max.u32 [s], %r31;", "u32", 7, 40), 39);
    assert_eq!(atomically("red.shared.max.s64 [s], -1;", "u64", u64::MAX - 4, 2), u64::MAX);
    assert_eq!(atomically("red.shared.and.b32 [s], 12;", "u32", 10, 2), 8);
    assert_eq!(atomically("red.shared.or.b32 [s], 12;", "u32", 10, 2), 14);
    assert_eq!(atomically("red.shared.xor.b32 [s], 12;", "u32", 10, 1), 6);
    assert_eq!(atomically("atom.shared.exch.b32 %r1, [s], 12;", "u32", 10, 2), 12);
    assert_eq!(atomically("atom.shared.cas.b32 %r1, [s], 10, 12;", "u32", 10, 2), 12);
    assert_eq!(atomically("atom.shared.cas.b64 %d1, [s], 11, 12;", "u64", 10, 2), 10);
    assert_eq!(atomically("atom.shared.inc.u32 %r1, [s], 3;", "u32", 0, 6), 2);
    assert_eq!(atomically("atom.shared.dec.u32 %r1, [s], 3;", "u32", 1, 3), 2);
    let halves = "mov.b32 %r2, 0x3C004000; red.shared.add.noftz.f16x2 [s], %r2;";
    assert_eq!(atomically(halves, "u32", 0x3C00_3C00, 1), 0x4000_4200);
    let half = "mov.b16 %h2, 0x3C00; atom.shared.add.noftz.f16 %h1, [s], %h2;";
    assert_eq!(atomically(half, "u16", 0x3C00, 2), 0x4200);
}

#[test]
fn atomics_return_the_old_value() {
    let code = format!(
        "{VARIABLES} st.shared.u32 [s], 5; atom.shared.add.u32 %r1, [s], 3; cvt.u64.u32 %d15, %r1;"
    );
    assert_eq!(lanes(&code, 1), [5]);
}

#[test]
fn only_global_additions_flush_subnormals() {
    let shared =
        "st.shared.u32 [s], 1; red.shared.add.f32 [s], 0f00000001; ld.shared.u32 %r0, [s];";
    let global = "ld.param.u64 %d1, [out]; st.global.u32 [%d1], 1; \
                  red.global.add.f32 [%d1], 0f00000001; ld.global.u32 %r0, [%d1];";
    check(&[(&with_variables(shared), &[], 2), (global, &[], 0)]);
}

#[test]
fn asynchronous_copies() {
    let copy = |size: &str, after: &str| {
        format!(
            "{VARIABLES} ld.param.u64 %d1, [out]; mov.u64 %d2, 0x1122334455667788; \
             st.global.u64 [%d1], %d2; mov.u32 %r1, s; \
             cp.async.ca.shared.global [%r1], [%d1], 8{size}; {after} ld.shared.u64 %d15, [s];"
        )
    };
    for wait in ["cp.async.commit_group; cp.async.wait_group 0;", "cp.async.wait_all;"] {
        assert_eq!(lanes(&copy("", wait), 1), [0x1122_3344_5566_7788]);
        assert_eq!(lanes(&copy(", 3", wait), 1), [0x66_7788]);
        assert_eq!(lanes(&copy(", 0", wait), 1), [0]);
    }
    let too_early = "cp.async.commit_group; cp.async.wait_group 1;";
    let kind = common::fault_of("", &copy("", too_early), 1);
    assert_eq!(kind, Some(cuda_sim::fault::FaultKind::Uninitialised));
}
