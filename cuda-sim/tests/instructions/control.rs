//! Jumps, calls, barriers and special registers.

use super::run::{covers, fault_of, lanes, simulator, try_lanes};
use cuda_sim::fault::FaultKind::{DivergentBarrier, InvalidArgument, Race, Trap};

pub const TESTS: &[fn()] = &[jumps, functions, barriers, barriers_of_part_of_the_block, ends];

#[test]
fn jumps() {
    let sum = "mov.u32 %r1, 0; mov.u32 %r2, 0; L: add.u32 %r2, %r2, %r1; add.u32 %r1, %r1, 1; \
               setp.le.u32 %p1, %r1, %r31; @%p1 bra L; @!%p1 bra.uni END; trap; \
               END: cvt.u64.u32 %d15, %r2;";
    assert_eq!(lanes(covers("bra{,.uni}", sum), 5), [0, 1, 3, 6, 10]);
}

#[test]
fn functions() {
    let declarations = "
.func (.param .b32 square_retval0) square(.param .b32 square_param_0);
.func (.param .b32 sum_retval0) sum_of_squares(.param .b32 sum_param_0, .param .b32 sum_param_1)
{
    .reg .b32 %r<6>;
    ld.param.u32 %r1, [sum_param_0];
    { .param .b32 param0; st.param.b32 [param0+0], %r1; .param .b32 retval0;
      call.uni (retval0), square, (param0); ld.param.b32 %r2, [retval0+0]; }
    ld.param.u32 %r3, [sum_param_1];
    { .param .b32 param0; st.param.b32 [param0+0], %r3; .param .b32 retval0;
      call (retval0), square, (param0); ld.param.b32 %r4, [retval0+0]; }
    add.u32 %r5, %r2, %r4;
    st.param.b32 [sum_retval0+0], %r5;
    ret;
}
.func (.param .b32 square_retval0) square(.param .b32 square_param_0)
{
    .reg .b32 %r<3>;
    ld.param.u32 %r1, [square_param_0];
    mul.lo.u32 %r2, %r1, %r1;
    st.param.b32 [square_retval0+0], %r2;
    ret;
    trap;
}
.func store(.param .b64 store_param_0, .param .align 4 .b8 store_param_1[8])
{
    .reg .b32 %r<3>; .reg .b64 %d<3>; .reg .pred %p<2>;
    ld.param.u64 %d1, [store_param_0];
    ld.param.v2.u32 {%r1, %r2}, [store_param_1];
    setp.eq.u32 %p1, %r1, 0;
    @%p1 ret;
    st.u32 [%d1], %r2;
    ret;
}";
    let call = "{ .param .b32 param0; st.param.b32 [param0+0], %r31; .param .b32 param1; \
                st.param.b32 [param1+0], 3; .param .b32 retval0; \
                call.uni (retval0), sum_of_squares, (param0, param1); \
                ld.param.b32 %r1, [retval0+0]; } cvt.u64.u32 %d15, %r1;";
    assert_eq!(try_lanes(declarations, call, 4).unwrap(), [9, 10, 13, 18]);
    covers("{call,call.uni,ret}", declarations);
    let by_value = ".local .align 4 .b8 target[4]; mov.u64 %d1, target; cvta.local.u64 %d1, %d1; \
                    st.local.u32 [target], 55; \
                    { .param .b64 param0; st.param.b64 [param0+0], %d1; \
                      .param .align 4 .b8 param1[8]; st.param.b32 [param1+0], %r31; \
                      st.param.b32 [param1+4], 77; call.uni store, (param0, param1); } \
                    ld.local.u32 %r1, [target]; cvt.u64.u32 %d15, %r1;";
    assert_eq!(try_lanes(declarations, by_value, 2).unwrap(), [55, 77]);
}

#[test]
fn unsupported_code_is_refused_when_loaded() {
    let mut sim = simulator();
    for (text, expected) in [
        (".visible .entry k() {\n call.uni vprintf; }", "call of vprintf"),
        (".func f() { call.uni f; }\n.visible .entry k() { call.uni f; }", "calls itself"),
        (".visible .entry k() {\n frobnicate.b32 1; }", "frobnicate.b32 is not supported"),
        (".visible .entry k() {\n bra NOWHERE; }", "no label 'NOWHERE'"),
        (".visible .entry k() {\n .reg .b32 %r<2>; add.s32 %r1, %r7, 1; }", "%r7"),
        (".visible .entry k() {\n .reg .b32 %r<2>; add.s32 %r1, 1, 1, 1; }", "operands"),
        (".visible .entry k() {\n .reg .b32 %r<2>; mov.u32 %r1, %clock; }", "register %clock"),
    ] {
        let Err(error) = sim.load(text) else { panic!("{text} was accepted") };
        assert!(format!("{error:?}").contains(expected), "{text}: {error:?}");
    }
}

#[test]
fn special_registers() {
    let code = |name: &str| format!("mov.u32 %r1, {name}; cvt.u64.u32 %d15, %r1;");
    assert_eq!(lanes(&code("%tid.x"), 40)[35], 35);
    assert_eq!(lanes(&code("%tid.y"), 40)[35], 0);
    assert_eq!(lanes(&code("%laneid"), 40)[35], 3);
    assert_eq!(lanes(&code("%warpid"), 40)[35], 1);
    assert_eq!(lanes(&code("%nwarpid"), 40)[35], 2);
    assert_eq!(lanes(&code("%ntid.x"), 40)[0], 40);
    assert_eq!(lanes(&code("%nctaid.y"), 1)[0], 1);
    assert_eq!(lanes(&code("%ctaid.z"), 1)[0], 0);
    assert_eq!(lanes(&code("%lanemask_lt"), 4)[3], 0b0111);
    assert_eq!(lanes(&code("%lanemask_le"), 4)[3], 0b1111);
    assert_eq!(lanes(&code("%lanemask_eq"), 4)[3], 0b1000);
    assert_eq!(lanes(&code("%lanemask_gt"), 4)[3], 0xFFFF_FFF0);
    assert_eq!(lanes(&code("%lanemask_ge"), 4)[3], 0xFFFF_FFF8);
}

/// Every thread reads what the one before it in the block wrote.
const NEIGHBOURS: &str = ".shared .align 4 .b8 s[256]; mov.u32 %r1, s; mad.lo.u32 %r2, %r31, 4, %r1; \
    st.shared.u32 [%r2], %r31; SYNC add.u32 %r3, %r31, 63; and.b32 %r3, %r3, 63; \
    mad.lo.u32 %r3, %r3, 4, %r1; ld.shared.u32 %r4, [%r3]; cvt.u64.u32 %d15, %r4;";

#[test]
fn barriers() {
    let code = NEIGHBOURS.replace("SYNC", "bar.sync 0;");
    let expected: Vec<u64> = (0..64).map(|n| (n + 63) % 64).collect();
    assert_eq!(lanes(covers("bar.sync", &code), 64), expected);
    let code = NEIGHBOURS.replace("SYNC", "bar.warp.sync -1;");
    assert_eq!(fault_of("", &code, 64), Some(Race), "orders its warp only");
    let skipped = "setp.eq.u32 %p1, %r31, 5; @%p1 bra END; bar.sync 0; END: mov.u64 %d15, 0;";
    assert_eq!(fault_of("", skipped, 64), Some(DivergentBarrier));
    let other = "setp.eq.u32 %p1, %r31, 5; @%p1 bra B; bar.sync 0; bra END; B: bar.sync 0; \
                 END: mov.u64 %d15, 0;";
    assert_eq!(fault_of("", other, 64), Some(DivergentBarrier), "another instruction");
}

#[test]
fn barriers_of_part_of_the_block() {
    let code = "setp.ge.u32 %p1, %r31, 64; @%p1 bra END; bar.sync 2, 64; bar.sync 2, 64; \
                END: mov.u64 %d15, 1; bar.sync 0;";
    assert_eq!(lanes(code, 96), [1; 96]);
    // Two of three warps meet, from different places.
    let code = "setp.ge.u32 %p1, %r31, 64; @%p1 bra END; setp.ge.u32 %p2, %r31, 32; @%p2 bra B; \
                bar.sync 1, 64; bra.uni END; B: bar.sync 1, 64; END: mov.u64 %d15, 1;";
    assert_eq!(lanes(code, 96), [1; 96]);
    assert_eq!(fault_of("", "bar.sync 2, 48;", 64), Some(InvalidArgument));
    assert_eq!(fault_of("", "bar.sync 16;", 64), Some(InvalidArgument));
}

#[test]
fn ends() {
    assert_eq!(fault_of("", covers("trap", "trap;"), 1), Some(Trap));
    for end in ["exit", "ret"] {
        let code = format!("mov.u64 %d15, 0; setp.eq.u32 %p1, %r31, 1; @%p1 {end};");
        // The thread that ends leaves its result unwritten.
        assert_eq!(lanes(covers(end, &code), 3), [0, u64::MAX, 0]);
    }
}
