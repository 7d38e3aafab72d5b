//! Kernels with seeded bugs, small ones compiled with each bug and the library's own with edits of their
//! PTX: the clean ones compute what they must under every schedule, and every bug is found.

mod kernels;
mod shipped;

use cuda_sim::exec::Schedule;
use cuda_sim::fault::FaultKind::{
    self, DivergentBarrier, DivergentWarp, Misaligned, OutOfBounds, Race, Timeout, Trap,
    Uninitialised, WrongSpace,
};
use kernels::{KERNELS, Outcome, bits, run};
use shipped::Edit::{self, Constant, Plain, Remove, Replace};
use std::collections::HashSet;

/// Kernel, number of the bug, the faults that are right diagnoses, and a part of the message.
type Bug = (&'static str, usize, &'static [FaultKind], &'static str);

const BUGS: &[Bug] = &[
    ("fwht", 1, &[Race, Uninitialised], "shared"), // no barrier after loading
    ("fwht", 2, &[Race], "shared"),                // no barrier between stages
    ("fwht", 3, &[OutOfBounds, Race], "shared"),   // twice as many butterflies
    ("softmax", 1, &[Race, Uninitialised], "shared"), // no barrier after writing partial results
    ("softmax", 2, &[Race], "shared"),             // no barrier before writing them again
    ("softmax", 3, &[Uninitialised], "shared"),    // reads slots of warps that do not exist
    ("softmax", 4, &[DivergentWarp], "lane"),      // shuffle in a branch of half a warp
    ("softmax", 5, &[DivergentWarp], "7fffffff"),  // mask without the last lane
    ("scatter", 1, &[Race], "global"),             // += in place of atomicAdd
    ("scatter", 2, &[OutOfBounds, Race], ""),      // no bound on columns
    ("gemm", 1, &[Race, Uninitialised], "shared"), // no barrier after filling the tiles
    ("gemm", 2, &[Race], "shared"),                // no barrier after using them
    ("gemm", 3, &[OutOfBounds], "a 3276-byte buffer"), // no bound on the inner dimension
    ("gemm", 4, &[OutOfBounds, Race], ""),         // a row too many
    ("transpose", 1, &[DivergentBarrier], "exited"), // returns before the barrier
    ("transpose", 2, &[DivergentBarrier, Race, Uninitialised], ""), // barrier in a branch
    ("transpose", 3, &[OutOfBounds, Race, Uninitialised], ""), // no bound on columns
    ("transpose", 4, &[Misaligned], "8 bytes"),    // pair from an odd offset
    ("pipeline", 1, &[Uninitialised], "cp.async"), // waits for too few copies
    ("pipeline", 2, &[Race], "shared"),            // no warp barrier after the wait
    ("pipeline", 3, &[Race], "shared"),            // no warp barrier before the next copies
    ("normal", 1, &[OutOfBounds], "0 bytes past a 4012-byte buffer"), // tail off by one
    ("scan", 1, &[Race], "shared"),                // no warp barrier between read and write
    ("scan", 2, &[Race], "shared"),                // no warp barrier between write and read
    ("scan", 3, &[Race], "shared"),                // += of four warps
    ("scan", 4, &[Race], "shared"),                // no barrier before the sum is used
    ("scan", 5, &[Race], "of block number"),       // reads what other blocks wrote
    ("scan", 6, &[Race], "global"),                // read-only load of what was just written
    ("scan", 7, &[OutOfBounds, WrongSpace], ""),   // shared address in a global store
    ("scan", 8, &[Timeout], "instructions"),       // waits for a block that never comes
    ("scan", 9, &[Trap], "stopped itself"),        // trap
    ("scan", 10, &[DivergentBarrier], "exited before"), // named barrier of twice as many threads
];

/// Kernels whose result depends on the order of blocks: no fault, but other bits in another run.
const UNSTABLE: &[(&str, usize)] = &[("blocks", 1)]; // atomicAdd of floats by one thread of each block

const LIMIT: u64 = 20_000_000;

fn schedule(seed: u64, preempt: u64) -> Schedule {
    Schedule { seed, preempt, limit: LIMIT, count_transactions: false }
}

#[test]
fn clean_kernels_pass_under_every_schedule() {
    for kernel in &KERNELS {
        for seed in 1..=3 {
            for preempt in [0, 1, 7] {
                match run(kernel, 0, schedule(seed, preempt)) {
                    Outcome::Right(_) => {}
                    Outcome::Wrong(what) => panic!("{} {seed} {preempt}: {what}", kernel.name),
                    Outcome::Fault(diagnosis) => panic!("{seed} {preempt}: {diagnosis}"),
                }
            }
        }
    }
}

#[test]
fn every_bug_is_found() {
    let mut misses = Vec::new();
    for (name, bug, kinds, part) in BUGS {
        let kernel = KERNELS.iter().find(|k| k.name == *name).unwrap();
        for (seed, preempt) in [(1, 0), (2, 0), (3, 0), (1, 1), (2, 7)] {
            let limit = if *kinds == [Timeout] { 1_000_000 } else { LIMIT };
            let schedule = Schedule { limit, ..schedule(seed, preempt) };
            match run(kernel, *bug, schedule) {
                Outcome::Fault(d)
                    if kinds.contains(&d.fault.kind) && d.to_string().contains(part) =>
                {
                    assert_eq!(d.kernel, *name);
                    assert!(d.line > 0 && d.source_line > 0, "{d}");
                }
                Outcome::Fault(diagnosis) => misses.push(format!("{name}.{bug}: {diagnosis}")),
                Outcome::Wrong(what) => misses.push(format!("{name}.{bug}: only wrong, {what}")),
                Outcome::Right(_) => {
                    misses.push(format!("{name}.{bug}: not found ({seed} {preempt})"))
                }
            }
        }
    }
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

#[test]
fn results_that_depend_on_the_order_of_blocks_change() {
    for (name, bug) in UNSTABLE {
        let kernel = KERNELS.iter().find(|k| k.name == *name).unwrap();
        let results =
            |bug| -> HashSet<_> { (0..5).map(|_| bits(kernel, bug, schedule(1, 0))).collect() };
        assert_eq!(results(0).len(), 1, "{name}");
        assert!(results(*bug).len() > 1, "{name}.{bug}");
    }
}

#[test]
fn all_variants_are_listed() {
    let folder = format!("{}/tests/kernels/ptx", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, KERNELS.len() + BUGS.len() + UNSTABLE.len());
}

#[test]
fn transactions_are_counted() {
    let of = |name: &str| {
        let kernel = KERNELS.iter().find(|k| k.name == name).unwrap();
        let schedule = Schedule { count_transactions: true, ..schedule(1, 0) };
        let Outcome::Right(sim) = run(kernel, 0, schedule) else { panic!("{name} fails") };
        *sim.counters.get(name).unwrap()
    };
    let fwht = of("fwht");
    // Each element is read and written once, in whole sectors.
    assert_eq!((fwht.bytes_requested, fwht.bytes_moved), (2 * 4 * 3 * 512, 2 * 4 * 3 * 512));
    // The butterflies of distance 1 to 16 read and write every other word: two turns.
    assert!(fwht.conflict_factor() > 1.3 && fwht.conflict_factor() < 1.7);
    let transpose = of("transpose");
    assert_eq!(transpose.bytes_requested, 2 * 4 * 21 * 70);
    assert!(transpose.bytes_moved > transpose.bytes_requested);
    let normal = of("normal");
    // Four stores of every fourth word: each moves all 126 sectors, the last one but the tail's.
    assert_eq!((normal.bytes_requested, normal.bytes_moved), (4012, 32 * (4 * 126 - 1)));
}

/// Kernel of the library, what is done to its PTX, and the faults that are right diagnoses; none where
/// only the numbers are wrong.
type ShippedBug = (&'static str, Edit, &'static [FaultKind]);

const SHIPPED_BUGS: &[ShippedBug] = &[
    // No barrier after loading a tile, after the diagonal between rounds, after butterflies.
    ("hadamard_f32", Remove("bar.sync", 1), &[Race, Uninitialised]),
    ("hadamard_f32", Remove("bar.sync", 2), &[Race]),
    ("hadamard_f32", Remove("bar.sync", 4), &[Race]),
    ("hadamard_f32", Remove("bar.sync", 6), &[Race]),
    // Entries that nobody loads, products with the diagonal beside their places, and a column too many.
    ("hadamard_f32", Remove("st.shared", 9), &[Uninitialised]),
    ("hadamard_f32", Replace("st.shared", 49, "]", "+4]"), &[Race]),
    ("hadamard_f32", Replace("setp.ge", 17, "ge", "gt"), &[OutOfBounds]),
    // 16 bytes off by one entry.
    ("hadamard_f32", Replace("ld.global.v4", 0, "]", "+4]"), &[Misaligned]),
    ("hadamard_f32", Replace("st.global.v4", 0, "]", "+4]"), &[Misaligned]),
    // No barrier after loading, between butterflies, after them; entries that are not cleared.
    ("hadamard_f64", Remove("bar.sync", 1), &[Race, Uninitialised]),
    ("hadamard_f64", Remove("bar.sync", 4), &[Race]),
    ("hadamard_f64", Remove("bar.sync", 5), &[Race]),
    ("hadamard_f64", Remove("st.shared", 5), &[Uninitialised]),
    // Sampled rows at the entrance and at the exit: bits of the next word, words of 64 bits, half of a word's
    // bits, and the place of the next row.
    ("hadamard_f64", Replace("ld.global.u32", 0, "]", "+4]"), &[OutOfBounds]),
    ("hadamard_f64", Replace("shr.s64", 9, ", 5", ", 6"), &[OutOfBounds]),
    ("hadamard_f64", Replace("and.b32", 52, ", 31", ", 15"), &[OutOfBounds]),
    ("hadamard_f64", Replace("ld.global.u32", 4, "]", "+4]"), &[OutOfBounds]),
    ("hadamard_f64", Replace("ld.global.u32", 18, "]", "+4]"), &[OutOfBounds]),
    ("hadamard_f64", Replace("shr.s64", 61, ", 5", ", 6"), &[OutOfBounds]),
    ("hadamard_f64", Replace("and.b32", 274, ", 31", ", 15"), &[OutOfBounds]),
    ("hadamard_f64", Replace("ld.global.u32", 22, "]", "+4]"), &[OutOfBounds]),
    // A column too many, and results beside their places.
    ("hadamard_f64", Replace("setp.ge", 14, "ge", "gt"), &[OutOfBounds]),
    ("hadamard_f64", Replace("st.global.f64", 4, "]", "+8]"), &[Race, OutOfBounds]),
    // Philox: a multiplier and a step of the key.
    ("draw", Constant("-766435501", "-766435500"), &[]),
    ("draw", Constant("-1640531527", "-1640531526"), &[]),
    // A thread more than there is work for.
    ("draw", Replace("setp.lt", 4, "lt", "le"), &[OutOfBounds]),
    // No barrier after loading, after butterflies.
    ("cosine_f32", Remove("bar.sync", 1), &[Race, Uninitialised]),
    ("cosine_f32", Remove("bar.sync", 5), &[Race]),
    // Half an entry off, and butterflies more than there are.
    ("cosine_f32", Replace("ld.shared", 8, "]", "+4]"), &[Misaligned]),
    ("cosine_f32", Replace("setp.ge", 43, "ge", "gt"), &[OutOfBounds]),
    // Counters that are not zero, or read before they are whole, or cleared before they are read, or not
    // counted atomically; tiles more than there are.
    ("digit_counts", Remove("st.shared", 0), &[Uninitialised]),
    ("digit_counts", Remove("bar.sync", 0), &[Race, Uninitialised]),
    ("digit_counts", Remove("bar.sync", 1), &[Race]),
    ("digit_counts", Remove("bar.sync", 2), &[Race]),
    ("digit_counts", Plain("atom.shared.add", 0), &[Race]),
    ("digit_counts", Replace("setp.lt", 1, "lt", "le"), &[OutOfBounds]),
    ("scan_tiles", Remove("bar.sync", 0), &[Race, Uninitialised]),
    ("scan_tiles", Remove("bar.sync", 1), &[Race]),
    ("scan_tiles", Remove("shfl", 0), &[]),
    // No barrier after clearing, before and after the ranks are summed in warps and in the block, after
    // the keys are staged, before the values take their place, and after.
    ("place_pairs", Remove("bar.sync", 0), &[Race]),
    ("place_pairs", Remove("bar.sync", 1), &[Race]),
    ("place_pairs", Remove("bar.sync", 2), &[Race, Uninitialised]),
    ("place_pairs", Remove("bar.sync", 3), &[Race]),
    ("place_pairs", Remove("bar.sync", 4), &[Race, Uninitialised]),
    ("place_pairs", Remove("bar.sync", 5), &[Race]),
    ("place_pairs", Remove("bar.sync", 6), &[Race, Uninitialised]),
    ("place_pairs", Remove("bar.warp.sync", 0), &[Race]),
    ("place_pairs", Remove("bar.warp.sync", 1), &[Race]),
    // Ranks that are not cleared, sums of warps that nobody leaves, and a pair more than there is.
    ("place_pairs", Remove("st.shared", 0), &[Uninitialised]),
    ("place_pairs", Remove("st.shared", 24), &[Uninitialised]),
    ("place_pairs", Replace("setp.ge", 5, "ge", "gt"), &[OutOfBounds]),
    // No barrier before a tile of A is overwritten, and after.
    ("signs_times_f16", Remove("bar.sync", 0), &[Race]),
    ("signs_times_f16", Remove("bar.sync", 1), &[Race]),
    ("signs_times_f16", Replace("ld.global.v4", 1, "]", "+4]"), &[Misaligned]),
    ("signs_times_f16", Replace("ldmatrix", 0, "]", "+8]"), &[Misaligned]),
    // Into the padding of a line.
    ("signs_times_f16", Replace("ldmatrix", 0, "]", "+16]"), &[Uninitialised]),
    ("signs_times_f16", Remove("st.shared.v4", 1), &[Uninitialised]),
    // Sums that are not zero, or met by other lanes too early; pieces of 16 bytes off by one entry.
    ("block_perm_rows_f32", Remove("st.shared", 0), &[Uninitialised]),
    ("block_perm_rows_f32", Remove("bar.warp.sync", 0), &[Race]),
    ("block_perm_rows_f32", Remove("bar.warp.sync", 1), &[Race]),
    ("block_perm_rows_f32", Remove("bar.warp.sync", 2), &[Race]),
    ("block_perm_rows_f32", Replace("ld.global.v4", 0, "]", "+4]"), &[Misaligned]),
    ("block_perm_rows_f32", Replace("st.global.v4", 0, "]", "+4]"), &[Misaligned]),
    ("block_perm_cols_f32", Remove("bar.warp.sync", 2), &[Race]),
    ("block_perm_cols_f32", Remove("bar.warp.sync", 3), &[Race, Uninitialised]),
    ("block_perm_cols_f32", Remove("bar.warp.sync", 4), &[Race]),
    // Halves: the same, and pieces of 8 bytes off by one entry.
    ("block_perm_rows_f16", Remove("st.shared", 0), &[Uninitialised]),
    ("block_perm_rows_f16", Remove("bar.warp.sync", 1), &[Race]),
    ("block_perm_rows_f16", Remove("bar.warp.sync", 2), &[Race]),
    ("block_perm_rows_f16", Replace("ld.global.v4.u16", 0, "]", "+2]"), &[Misaligned]),
    ("block_perm_cols_f16", Remove("bar.warp.sync", 2), &[Race]),
    ("block_perm_cols_f16", Remove("bar.warp.sync", 3), &[Race, Uninitialised]),
    ("block_perm_cols_f16", Replace("ld.global.v4.u16", 0, "]", "+2]"), &[Misaligned]),
    ("transpose_f32", Remove("bar.sync", 0), &[Race, Uninitialised]),
    ("transpose_f32", Remove("bar.sync", 1), &[Race]),
    ("transpose_f32", Replace("setp.ge", 2, "ge", "gt"), &[OutOfBounds]),
    ("mirror_f32", Remove("bar.sync", 0), &[Race, Uninitialised]),
    ("mirror_f32", Remove("bar.sync", 1), &[Race]),
    ("mirror_f32", Replace("setp.ge", 0, "ge", "gt"), &[OutOfBounds]),
    // The diagonal of a tile as well, whose entries are not staged.
    ("mirror_f32", Replace("setp.lt", 0, "lt", "le"), &[]),
    // By vectors: from one entry or one vector further, and a vector more than a column has.
    ("axpby_f32", Replace("ld.global.v4", 0, "]", "+4]"), &[Misaligned]),
    ("axpby_f32", Replace("st.global.v4", 0, "]", "+16]"), &[Race]),
    ("axpby_f32", Replace("setp.lt", 2, "lt", "le"), &[Race]),
    // A column more; the first vector where its column begins; no rows without vectors, the first one below
    // the vectors before them, a column more of them.
    ("axpby_f32", Replace("setp.lt", 0, "lt", "le"), &[OutOfBounds]),
    ("axpby_f32", Replace("setp.lt", 1, "lt", "le"), &[Misaligned]),
    ("axpby_f32", Remove("st.global", 8), &[]),
    ("axpby_f32", Replace("setp.lt", 5, "lt", "le"), &[Race]),
    ("axpby_f32", Replace("setp.lt", 7, "lt", "le"), &[OutOfBounds]),
    ("move_rows_f32", Replace("ld.global.v4", 4, "]", "+4]"), &[Misaligned]),
    ("move_rows_f32", Replace("ld.global.v4", 5, "]", "+16]"), &[]),
    ("move_rows_f32", Replace("st.global.v4", 4, "]", "+16]"), &[Race]),
    ("move_rows_f32", Replace("setp.lt", 2, "lt", "le"), &[OutOfBounds]),
    // Maxima of warps that are not joined, not left, read before they are there; blocks that overwrite.
    ("largest_f32", Remove("redux", 0), &[]),
    ("largest_f32", Remove("st.shared", 0), &[Uninitialised]),
    ("largest_f32", Remove("bar.sync", 0), &[Race, Uninitialised]),
    ("largest_f32", Plain("atom.global.max", 0), &[Race]),
    ("largest_f32", Replace("setp.ge", 2, "ge", "gt"), &[OutOfBounds]),
    ("largest_f32", Replace("setp.lt", 1, "lt", "le"), &[Misaligned]),
    // Sums of warps read before they are there, overwritten before they are read, not left, not joined.
    ("squares_f32", Remove("bar.sync", 0), &[Race, Uninitialised]),
    ("squares_f32", Remove("bar.sync", 1), &[Race]),
    ("squares_f32", Remove("st.shared", 0), &[Uninitialised]),
    ("squares_f32", Remove("shfl", 0), &[]),
    ("squares_f32", Replace("ld.global.v4", 3, "]", "+16]"), &[OutOfBounds]),
    ("squares_f32", Replace("setp.le", 3, "le", "lt"), &[OutOfBounds]),
    ("column_squares_f32", Remove("shfl", 0), &[]),
    ("column_squares_f32", Replace("ld.global.v4", 0, "]", "+16]"), &[]),
    ("column_squares_f32", Replace("ld.global.v4", 0, "]", "+4]"), &[Misaligned]),
    ("column_squares_f32", Replace("setp.ge", 1, "ge", "gt"), &[OutOfBounds]),
    ("column_squares_by_rows_f32", Remove("bar.sync", 0), &[Race, Uninitialised]),
    ("column_squares_by_rows_f32", Remove("bar.sync", 1), &[Race]),
    ("column_squares_by_rows_f32", Remove("st.shared", 3), &[Uninitialised]),
    ("column_squares_by_rows_f32", Replace("ld.shared", 0, "]", "+8]"), &[]),
    ("column_squares_by_rows_f32", Replace("setp.ge", 6, "ge", "gt"), &[OutOfBounds]),
    ("column_squares_by_rows_f32", Replace("setp.lt", 0, "lt", "le"), &[OutOfBounds]),
    // Words of signs overwritten before they are used, used before they are there, none of the second block
    // of rows, those of the next lane; a block of rows, a vector of A and a part too many.
    ("signs_times_4_f32", Remove("bar.warp.sync", 0), &[Race]),
    ("signs_times_4_f32", Remove("bar.warp.sync", 1), &[Race, Uninitialised]),
    ("signs_times_4_f32", Remove("st.shared", 1), &[Uninitialised]),
    ("signs_times_4_f32", Replace("ld.shared", 0, "]", "+4]"), &[Race]),
    ("signs_times_4_f32", Replace("ld.global.v4", 0, "]", "+16]"), &[OutOfBounds]),
    ("signs_times_4_f32", Replace("setp.ge", 0, "ge", "gt"), &[OutOfBounds]),
    ("signs_times_4_f32", Replace("setp.lt", 0, "lt", "le"), &[OutOfBounds, Race, Uninitialised]),
    // Sums of warps as above, lanes that are not joined, parts and entries too many.
    ("join_f32", Remove("bar.sync", 0), &[Race, Uninitialised]),
    ("join_f32", Remove("bar.sync", 1), &[Race]),
    ("join_f32", Remove("st.shared", 0), &[Uninitialised]),
    ("join_f32", Replace("st.shared", 0, "]", "+4]"), &[OutOfBounds]),
    ("join_f32", Remove("shfl", 1), &[]),
    ("join_f32", Replace("ld.global.f32", 2, "]", "+4]"), &[OutOfBounds]),
    ("join_f32", Replace("setp.ge", 1, "ge", "gt"), &[OutOfBounds]),
    ("join_f32", Replace("setp.lt", 0, "lt", "le"), &[Race]),
    ("turn_f16_f32", Remove("bar.sync", 0), &[Race, Uninitialised]),
    ("turn_f16_f32", Remove("bar.sync", 1), &[Race]),
    ("turn_f16_f32", Replace("setp.ge", 4, "ge", "gt"), &[OutOfBounds]),
    // Words that leave before they are all there, or make room before they have left, or are not held.
    ("sparse_sign", Remove("bar.warp.sync", 0), &[Race, Uninitialised]),
    ("sparse_sign", Remove("bar.warp.sync", 1), &[Race]),
    ("sparse_sign", Remove("st.shared", 0), &[Uninitialised]),
    // Lanes search words that are not held, or the next lane's, which may not be there yet; a column more.
    ("sparse_sign_wide", Remove("st.u32", 0), &[Uninitialised]),
    ("sparse_sign_wide", Replace("ld.u32", 0, "]", "+4]"), &[Uninitialised]),
    ("sparse_sign_wide", Replace("setp.lt", 5, "lt", "le"), &[OutOfBounds]),
    ("stored_meets_stored_f32", Remove("bar.warp.sync", 0), &[Race, Uninitialised]),
    ("stored_meets_stored_f32", Remove("bar.warp.sync", 1), &[Race]),
    ("stored_meets_stored_f32", Remove("st.shared", 0), &[Uninitialised]),
    // Sums that are added to before C is scaled, or by the next list too early, or never scaled; a column of the
    // neighbour.
    ("stored_meets_stored_wide_f32", Remove("bar.warp.sync", 0), &[Race, Uninitialised]),
    ("stored_meets_stored_wide_f32", Remove("bar.warp.sync", 1), &[Race]),
    ("stored_meets_stored_wide_f32", Remove("st.global", 0), &[Uninitialised]),
    (
        "stored_meets_stored_wide_f32",
        Replace("setp.le.s64", 0, "le", "lt"),
        &[Race, OutOfBounds, Uninitialised],
    ),
    // Sums that are joined too early, or cleared before, or not at all; a column more than there is.
    ("scatter_signs_f32", Remove("bar.warp.sync", 0), &[Race, Uninitialised]),
    ("scatter_signs_f32", Remove("bar.warp.sync", 1), &[Race]),
    ("scatter_signs_f32", Remove("st.shared", 0), &[Uninitialised]),
    ("scatter_signs_f32", Replace("setp.lt.u32", 1, "lt", "le"), &[OutOfBounds]),
    ("count_draws", Plain("atom.global.add", 0), &[Race]),
    ("count_draws", Replace("setp.ge", 0, "ge", "gt"), &[OutOfBounds]),
    ("uniform_f32", Replace("st.global.v4", 0, "]", "+4]"), &[Misaligned]),
    ("uniform_f32", Replace("setp.ge", 0, "ge", "gt"), &[OutOfBounds]),
    ("uniform_f32", Constant("-845247145", "-845247144"), &[]),
];

const SCHEDULES: [(u64, u64); 3] = [(1, 0), (2, 0), (3, 7)];

#[test]
fn the_kernels_of_the_library_are_right() {
    for scene in &shipped::SCENES {
        for (seed, preempt) in SCHEDULES {
            match shipped::run(scene, None, schedule(seed, preempt)) {
                shipped::Outcome::Right => {}
                shipped::Outcome::Wrong => panic!("{} {seed} {preempt} is wrong", scene.kernel),
                shipped::Outcome::Fault(diagnosis) => panic!("{seed} {preempt}: {diagnosis}"),
            }
        }
    }
}

#[test]
fn every_bug_in_the_kernels_of_the_library_is_found() {
    let mut misses = Vec::new();
    for (kernel, edit, kinds) in SHIPPED_BUGS {
        let scene = shipped::SCENES.iter().find(|scene| scene.kernel == *kernel).unwrap();
        for (seed, preempt) in SCHEDULES {
            match shipped::run(scene, Some(*edit), schedule(seed, preempt)) {
                shipped::Outcome::Fault(d) if kinds.contains(&d.fault.kind) => {
                    assert!(d.kernel == *kernel && d.line > 0, "{d}");
                }
                shipped::Outcome::Wrong if kinds.is_empty() => {}
                shipped::Outcome::Fault(d) => misses.push(format!("{kernel} {edit:?}: {d}")),
                shipped::Outcome::Wrong => misses.push(format!("{kernel} {edit:?}: only wrong")),
                shipped::Outcome::Right => misses.push(format!("{kernel} {edit:?}: not found")),
            }
        }
    }
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

/// Barriers that a launch reaches and could do without: the threads that meet there touch what is their
/// own, or another barrier follows.
const REDUNDANT: &[(&str, &str, usize)] = &[
    // The next tile meets three barriers before it writes what was read last, where pairs leave.
    ("place_pairs", "bar.sync", 7),
    // The block's barrier follows.
    ("place_pairs", "bar.warp.sync", 31),
    // Two more follow before a lane adds to the cleared sums.
    ("block_perm_cols_f32", "bar.warp.sync", 1),
    ("block_perm_cols_f16", "bar.warp.sync", 1),
    // A lane looks up the words that it has held itself.
    ("sparse_sign_wide", "bar.warp.sync", 0),
    // A lane clears the sums that it has read itself.
    ("stored_meets_stored_f32", "bar.warp.sync", 2),
];

#[test]
fn every_barrier_that_is_needed_is_missed() {
    let is_fault = |scene, edit| {
        matches!(shipped::run(scene, Some(edit), schedule(1, 0)), shipped::Outcome::Fault(_))
    };
    let mut differ = Vec::new();
    for scene in &shipped::SCENES {
        for name in ["bar.sync", "bar.warp.sync"] {
            for n in 0..shipped::count(scene, name) {
                // Instead of the barrier the kernel stops, if it gets there.
                let is_reached = is_fault(scene, Replace(name, n, name, "trap; //"));
                let redundant = REDUNDANT.contains(&(scene.kernel, name, n));
                let is_missed = is_fault(scene, Remove(name, n));
                let expected = is_reached && !redundant;
                if is_missed != expected {
                    let outcome = if is_missed { "missed" } else { "not missed" };
                    differ.push(format!("{} without {name} {n}: {outcome}", scene.kernel));
                }
            }
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
