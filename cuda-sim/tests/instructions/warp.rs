//! Instructions of whole warps.

use super::run::{covers, fault_of, lanes};
use cuda_sim::fault::FaultKind;

pub const TESTS: &[fn()] =
    &[shuffles, votes, matches_and_reductions, only_warp_barriers_order_memory];

/// `instruction` leaves its result in `%r1`; `%r2` holds 100 + lane.
fn each(instruction: &str) -> Vec<u64> {
    lanes(&format!("add.u32 %r2, %r31, 100; {instruction} cvt.u64.u32 %d15, %r1;"), 32)
}

/// The result of every lane, for the forms of a pattern.
fn checked(pattern: &str, instruction: &str) -> Vec<u64> {
    each(covers(pattern, instruction))
}

#[test]
fn shuffles() {
    let values = checked("shfl.sync.down.b32", "shfl.sync.down.b32 %r1, %r2, 4, 31, -1;");
    assert_eq!((values[0], values[27], values[28]), (104, 131, 128));
    let values = checked("shfl.sync.up.b32", "shfl.sync.up.b32 %r1, %r2, 4, 0, -1;");
    assert_eq!((values[3], values[4], values[31]), (103, 100, 127));
    let values = checked("shfl.sync.bfly.b32", "shfl.sync.bfly.b32 %r1, %r2, 16, 31, -1;");
    assert_eq!((values[0], values[20]), (116, 104));
    let values = checked("shfl.sync.idx.b32", "shfl.sync.idx.b32 %r1, %r2, 7, 31, -1;");
    assert_eq!(values, vec![107; 32]);
    let values = each("shfl.sync.bfly.b32 %r1, %r2, 1, 0x1c1f, -1;"); // segments of 4
    assert_eq!((values[0], values[7]), (101, 106));
    // Segments of 8: whoever would read beyond its own reads itself; an index counts within it.
    let values = each("shfl.sync.bfly.b32 %r1, %r2, 8, 0x1807, -1;");
    assert_eq!((values[5], values[13]), (105, 105));
    let values = each("shfl.sync.down.b32 %r1, %r2, 2, 0x1807, -1;");
    assert_eq!((values[13], values[14]), (115, 114));
    let values = each("shfl.sync.up.b32 %r1, %r2, 2, 0x1800, -1;");
    assert_eq!((values[9], values[10]), (109, 108));
    let values = each("shfl.sync.idx.b32 %r1, %r2, 10, 0x1807, -1;");
    assert_eq!((values[3], values[13]), (102, 110));
    let values = each("shfl.sync.idx.b32 %r1, %r2, 35, 31, -1;"); // modulo 32
    assert_eq!(values, vec![103; 32]);
    let values = each("shfl.sync.down.b32 %r3|%p1, %r2, 4, 31, -1; selp.b32 %r1, 1, 0, %p1;");
    assert_eq!((values[27], values[28]), (1, 0));
    let half = "setp.ge.u32 %p1, %r31, 16; mov.u32 %r1, 0; \
                @%p1 shfl.sync.idx.b32 %r1, %r2, 20, 31, 0xFFFF0000;";
    assert_eq!((each(half)[3], each(half)[30]), (0, 120));
}

#[test]
fn votes() {
    let vote = |form: &str, operands: &str| {
        let code = match form {
            "vote.sync.ballot.b32" => format!("{form} %r1, {operands};"),
            _ => format!("{form} %p3, {operands}; selp.b32 %r1, 1, 0, %p3;"),
        };
        covers(form, &code);
        each(&format!("setp.lt.u32 %p1, %r31, 3; setp.lt.u32 %p2, %r31, 99; {code}"))[9]
    };
    assert_eq!(vote("vote.sync.ballot.b32", "%p1, -1"), 0b111);
    assert_eq!(vote("vote.sync.ballot.b32", "!%p1, -1"), 0xFFFF_FFF8);
    assert_eq!(vote("vote.sync.any.pred", "%p1, -1"), 1);
    assert_eq!(vote("vote.sync.any.pred", "!%p2, -1"), 0);
    assert_eq!(vote("vote.sync.all.pred", "%p1, -1"), 0);
    assert_eq!(vote("vote.sync.all.pred", "%p2, -1"), 1);
}

#[test]
fn matches_and_reductions() {
    let code = "and.b32 %r3, %r31, 7; match.any.sync.b32 %r1, %r3, -1;";
    assert_eq!(checked("match.any.sync.b32", code)[9], 0x0202_0202);
    // The values are lane - 5.
    for (form, expected) in [
        ("redux.sync.add.u32", 336),
        ("redux.sync.add.s32", 336),
        ("redux.sync.min.s32", 0xFFFF_FFFB),
        ("redux.sync.max.s32", 26),
        ("redux.sync.min.u32", 0),
        ("redux.sync.max.u32", 0xFFFF_FFFF),
    ] {
        let code = format!("sub.s32 %r3, %r31, 5; {form} %r1, %r3, -1;");
        assert_eq!(checked(form, &code), vec![expected; 32], "{form}");
    }
    assert_eq!(each("redux.sync.add.u32 %r1, -1, -1;")[0], 0xFFFF_FFE0);
    let half = "setp.ge.u32 %p1, %r31, 16; mov.u32 %r1, 0; \
                @%p1 redux.sync.min.u32 %r1, %r2, 0xFFFF0000;";
    assert_eq!((each(half)[3], each(half)[30]), (0, 116));
}

#[test]
fn last_warps_need_not_be_full() {
    let code = "shfl.sync.bfly.b32 %r1, %r31, 1, 31, -1; cvt.u64.u32 %d15, %r1;";
    assert_eq!(lanes(code, 40)[38], 39);
    let beyond = "shfl.sync.bfly.b32 %r1, %r31, 16, 31, -1; cvt.u64.u32 %d15, %r1;";
    assert_eq!(fault_of("", beyond, 40), Some(FaultKind::DivergentWarp));
}

#[test]
fn wrong_masks() {
    let outside = "shfl.sync.idx.b32 %r1, %r31, 0, 31, 0xFFFFFFFE;";
    assert_eq!(fault_of("", outside, 32), Some(FaultKind::DivergentWarp));
    let inactive_source = "setp.gt.u32 %p1, %r31, 15; \
                           @%p1 shfl.sync.idx.b32 %r1, %r31, 0, 31, 0xFFFF0000;";
    assert_eq!(fault_of("", inactive_source, 32), Some(FaultKind::DivergentWarp));
    let missing = "setp.gt.u32 %p1, %r31, 15; @%p1 shfl.sync.idx.b32 %r1, %r31, 20, 31, -1;";
    assert_eq!(fault_of("", missing, 32), Some(FaultKind::DivergentWarp));
    let two_places = "setp.gt.u32 %p1, %r31, 15; @%p1 bra B; \
                      shfl.sync.idx.b32 %r1, %r31, 20, 31, -1; bra END; \
                      B: shfl.sync.idx.b32 %r1, %r31, 20, 31, -1; END:";
    assert_eq!(fault_of("", two_places, 32), Some(FaultKind::DivergentWarp));
    let barrier = "setp.gt.u32 %p1, %r31, 15; @%p1 bra B; bar.warp.sync -1; bra END; \
                   B: bar.warp.sync -1; END: mov.u64 %d15, 0;";
    assert_eq!(fault_of("", barrier, 32), None, "bar.warp.sync may be in several places");
}

#[test]
fn only_warp_barriers_order_memory() {
    let exchange = |sync: &str| {
        format!(
            ".shared .align 4 .b8 s[128]; mov.u32 %r1, s; shl.b32 %r2, %r31, 2; \
             add.u32 %r3, %r1, %r2; st.shared.u32 [%r3], %r31; {sync} xor.b32 %r4, %r2, 4; \
             add.u32 %r4, %r4, %r1; ld.shared.u32 %r5, [%r4]; cvt.u64.u32 %d15, %r5;"
        )
    };
    assert_eq!(lanes(covers("bar.warp.sync", &exchange("bar.warp.sync -1;")), 32)[6], 7);
    assert_eq!(lanes(&exchange("bar.sync 0;"), 32)[6], 7);
    assert_eq!(
        fault_of("", &exchange("shfl.sync.idx.b32 %r9, %r31, 0, 31, -1;"), 32),
        Some(FaultKind::Race)
    );
    let pairs = "and.b32 %r9, %r31, 30; shl.b32 %r8, 3, %r9; \
                 bar.warp.sync %r8;";
    assert_eq!(lanes(&exchange(pairs), 32)[6], 7, "pairs of lanes are enough here");
}
