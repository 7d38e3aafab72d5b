//! Jumps, calls, barriers and special registers.

mod common;
use common::{lanes, try_lanes};
use cuda_sim::fault::FaultKind;

#[test]
fn loops_and_guards() {
    let sum = "mov.u32 %r1, 0; mov.u32 %r2, 0; L: add.u32 %r2, %r2, %r1; add.u32 %r1, %r1, 1; \
               setp.le.u32 %p1, %r1, %r31; @%p1 bra L; @!%p1 bra.uni END; trap; \
               END: cvt.u64.u32 %d15, %r2;";
    assert_eq!(lanes(sum, 5), [0, 1, 3, 6, 10]);
}

#[test]
fn jump_tables() {
    let code = "table: .branchtargets ZERO, ONE, TWO; and.b32 %r1, %r31, 3; brx.idx %r1, table; \
                ZERO: mov.u64 %d15, 100; bra.uni END; ONE: mov.u64 %d15, 101; bra.uni END; \
                TWO: mov.u64 %d15, 102; END:";
    assert_eq!(lanes(code, 3), [100, 101, 102]);
    let fault = common::fault_of("", code, 4);
    assert_eq!(fault, Some(FaultKind::InvalidArgument));
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
      call.uni (retval0), square, (param0); ld.param.b32 %r4, [retval0+0]; }
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
    let by_value = ".local .align 4 .b8 target[4]; mov.u64 %d1, target; cvta.local.u64 %d1, %d1; \
                    st.local.u32 [target], 55; \
                    { .param .b64 param0; st.param.b64 [param0+0], %d1; \
                      .param .align 4 .b8 param1[8]; st.param.b32 [param1+0], %r31; \
                      st.param.b32 [param1+4], 77; call.uni store, (param0, param1); } \
                    ld.local.u32 %r1, [target]; cvt.u64.u32 %d15, %r1;";
    assert_eq!(try_lanes(declarations, by_value, 2).unwrap(), [55, 77]);
}

#[test]
fn unsupported_calls_are_refused_when_loaded() {
    let mut sim = common::simulator();
    for (text, expected) in [
        (".visible .entry k() {\n call.uni vprintf; }", "call of vprintf"),
        (".func f() { call.uni f; }\n.visible .entry k() { call.uni f; }", "calls itself"),
        (".visible .entry k() {\n frobnicate.b32 1; }", "frobnicate.b32 is not supported"),
        (".visible .entry k() {\n bra NOWHERE; }", "no label 'NOWHERE'"),
        (".visible .entry k() {\n .reg .b32 %r<2>; add.s32 %r1, %r7, 1; }", "%r7"),
        (".visible .entry k() {\n .reg .b32 %r<2>; add.s32 %r1, 1, 1, 1, 1, 1; }", "operands"),
    ] {
        let Err(error) = sim.load(text) else { panic!("{text} was accepted") };
        assert!(format!("{error:?}").contains(expected), "{text}: {error:?}");
    }
}

#[test]
fn special_registers() {
    let code = |name: &str| format!("mov.u32 %r1, {name}; cvt.u64.u32 %d15, %r1;");
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
    let clock = "mov.u64 %d1, %clock64; mov.u32 %r1, %clock; mov.u64 %d2, %clock64; \
                 setp.lt.u64 %p1, %d1, %d2; selp.b64 %d15, 1, 0, %p1;";
    assert_eq!(lanes(clock, 1), [1]);
}

#[test]
fn barriers_reduce_predicates() {
    let reduce = |instruction: &str| {
        format!("setp.lt.u32 %p1, %r31, 40; mov.u32 %r1, 0; {instruction} cvt.u64.u32 %d15, %r1;")
    };
    assert_eq!(lanes(&reduce("bar.red.popc.u32 %r1, 0, %p1;"), 64), [40; 64]);
    let and = reduce("bar.red.and.pred %p2, 0, %p1; selp.b32 %r1, 1, 0, %p2;");
    assert_eq!(lanes(&and, 64), [0; 64]);
    let or = reduce("bar.red.or.pred %p2, 0, !%p1; selp.b32 %r1, 1, 0, %p2;");
    assert_eq!(lanes(&or, 64), [1; 64]);
}

#[test]
fn producers_arrive_and_consumers_wait() {
    let code = ".shared .align 4 .b8 s[128]; setp.ge.u32 %p1, %r31, 32; mov.u32 %r1, s; \
                and.b32 %r2, %r31, 31; shl.b32 %r2, %r2, 2; add.u32 %r1, %r1, %r2; \
                mov.u64 %d15, 0; @%p1 bra PRODUCE; bar.sync 1, 64; ld.shared.u32 %r3, [%r1]; \
                cvt.u64.u32 %d15, %r3; bra END; \
                PRODUCE: st.shared.u32 [%r1], %r31; bar.arrive 1, 64; END:";
    let values = lanes(code, 64);
    assert_eq!(values[5], 37);
    let unordered = code.replace(
        "st.shared.u32 [%r1], %r31; bar.arrive 1, 64;",
        "bar.arrive 1, 64; st.shared.u32 [%r1], %r31;",
    );
    assert!(matches!(
        common::fault_of("", &unordered, 64),
        Some(FaultKind::Uninitialised | FaultKind::Race)
    ));
}

#[test]
fn barriers_of_part_of_the_block() {
    let code = "setp.ge.u32 %p1, %r31, 64; @%p1 bra END; bar.sync 2, 64; bar.sync 2, 64; \
                END: mov.u64 %d15, 1; bar.sync 0;";
    assert_eq!(lanes(code, 96), [1; 96]);
    assert_eq!(common::fault_of("", "bar.sync 2, 48;", 64), Some(FaultKind::InvalidArgument));
    assert_eq!(common::fault_of("", "bar.sync 16;", 64), Some(FaultKind::InvalidArgument));
}

#[test]
fn trap_and_exit() {
    assert_eq!(common::fault_of("", "trap;", 1), Some(FaultKind::Trap));
    let code = "mov.u64 %d15, 0; setp.eq.u32 %p1, %r31, 1; @%p1 exit;";
    // The thread that exits leaves its result unwritten.
    assert_eq!(lanes(code, 3), [0, u64::MAX, 0]);
}
