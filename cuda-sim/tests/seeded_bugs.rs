//! Kernels compiled by NVRTC, clean and with seeded bugs: the clean ones compute what they must under
//! every schedule, and every bug is found with the right diagnosis.

#[path = "kernels/mod.rs"]
mod kernels;

use cuda_sim::exec::Schedule;
use cuda_sim::fault::FaultKind::{
    self, DivergentBarrier, DivergentWarp, Misaligned, OutOfBounds, Race, Timeout, Trap,
    Uninitialised, WrongSpace,
};
use kernels::{KERNELS, Outcome, bits, run};
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
