//! The rows of the table under criterion, both sides, to track regressions from commit to commit.

#[expect(dead_code, reason = "the table reads more of a row than criterion does")]
mod rows;

use criterion::{Criterion, SamplingMode};
use rows::clock::Clock;
use rows::{Against, Pair, Row};
use std::time::Duration;

fn main() {
    // `cargo test --all-targets` starts benchmarks too, without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build_global();
    pool.expect("the global pool is built once");
    let mut criterion = Criterion::default().configure_from_args();
    for row in rows::all() {
        track(&mut criterion, &row);
    }
    criterion.final_summary();
}

fn track(criterion: &mut Criterion, row: &Row) {
    let mut group = criterion.benchmark_group(&row.name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    let mut made: Option<Box<dyn Pair>> = None;
    let mut side = |name: &str, work: fn(&mut dyn Pair)| {
        group.bench_function(name, |bencher| {
            let pair = &mut **made.get_or_insert_with(&row.make);
            bencher.iter_custom(|rounds| (0..rounds).map(|_| once(row.clock, pair, work)).sum());
        });
    };
    side("ours", |pair| pair.ours());
    if matches!(row.against, Against::Work { .. }) {
        side("reference", |pair| pair.reference());
    }
    group.finish();
}

fn once(clock: Clock, pair: &mut dyn Pair, work: fn(&mut dyn Pair)) -> Duration {
    let seconds = clock.time(|| work(pair));
    pair.restore();
    Duration::from_secs_f64(seconds)
}
