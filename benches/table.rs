//! The benchmark table: both sides of a row in turn, in one run; the ratio is the median of the
//! ratios of neighbouring times. `benches/README.md` says how to run it and what each row means.

mod rows;

use rows::bandwidth::parallel_sum;
use rows::clock::Clock;
use rows::{Against, Pair, Row};
use std::hint::black_box;

fn main() {
    // `cargo test --all-targets` starts benchmarks too, without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let options = Options::parse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global();
    pool.expect("the global pool is built once");
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| options.selects(&row.name)).collect();
    if options.ours {
        return rows.iter().for_each(|row| ours(row, &options));
    }
    machine(&options);
    if options.crossover {
        return rows::lstsq::crossover();
    }
    println!("| row | ours | reference | ratio [min..max] | bound | | reference is |");
    println!("|---|---|---|---|---|---|---|");
    let notes: Vec<String> = rows.iter().filter_map(|row| run(row, &options)).collect();
    println!();
    notes.iter().for_each(|note| println!("{note}"));
    if options.svd {
        let (ours, thin) = rows::rsvd::against_thin_svd();
        let ratio = thin / ours;
        println!("rsvd: {ours:.3} s; faer thin SVD of the same matrix: {thin:.1} s, {ratio:.0}×");
    }
    println!("cores at the end: {:.2}", cores(options.threads));
}

/// What the command line asks for.
struct Options {
    filters: Vec<String>,
    /// Only the library's side, for comparisons with other programs.
    ours: bool,
    svd: bool,
    crossover: bool,
    cpu: bool,
    threads: usize,
    seconds: f64,
}

impl Options {
    fn parse() -> Self {
        let (filters, ours, svd, crossover, cpu) = (Vec::new(), false, false, false, false);
        let mut options = Self { filters, ours, svd, crossover, cpu, threads: 2, seconds: 3.0 };
        let mut arguments = std::env::args().skip(1);
        let number = |flag: &str, text: Option<String>| -> f64 {
            let number = text.and_then(|text| text.parse().ok());
            number.unwrap_or_else(|| panic!("{flag} needs a number"))
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => {}
                "--ours" => options.ours = true,
                "--svd" => options.svd = true,
                "--crossover" => options.crossover = true,
                "--cpu" => options.cpu = true,
                "--threads" => options.threads = number("--threads", arguments.next()) as usize,
                "--seconds" => options.seconds = number("--seconds", arguments.next()),
                flag if flag.starts_with('-') => panic!("unknown option {flag}"),
                _ => options.filters.push(argument),
            }
        }
        options
    }

    fn selects(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
    }

    fn clock(&self, row: &Row) -> Clock {
        if self.cpu && row.clock == Clock::Wall { Clock::Process } else { row.clock }
    }
}

/// The median of five calls after one to warm up: `name seconds`.
fn ours(row: &Row, options: &Options) {
    let mut pair = (row.make)();
    let mut call = || {
        let seconds = options.clock(row).time(|| pair.ours());
        pair.restore();
        seconds
    };
    call();
    let seconds: Vec<f64> = (0..5).map(|_| call()).collect();
    println!("{} {:.6}", row.name, median(&seconds));
}

/// Prints a row; returns its note.
fn run(row: &Row, options: &Options) -> Option<String> {
    let mut pair = (row.make)();
    let rounds = Rounds::measure(&mut *pair, row, options);
    let (ours, reference) = (median(&rounds.ours), median(&rounds.reference));
    let ratios: Vec<f64> = rounds.ours.iter().zip(&rounds.reference).map(|(a, b)| a / b).collect();
    let ratio = median(&ratios);
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let (bound, verdict) = match row.bound {
        Some(bound) if ratio <= bound => (format!("≤ {bound:.2}"), "pass"),
        Some(bound) => (format!("≤ {bound:.2}"), "FAIL"),
        None => ("none".into(), ""),
    };
    let what = match &row.against {
        Against::Work { what, share: 1.0 } => (*what).into(),
        Against::Work { what, share } => format!("{what} (its time × {share:.3})"),
        Against::Time { .. } => "fixed, per entry".into(),
    };
    println!(
        "| {} | {} | {} | {ratio:.2} [{least:.2}..{most:.2}] | {bound} | {verdict} | {what} |",
        row.name,
        shown(ours / row.per),
        shown(reference / row.per),
    );
    pair.note().map(|note| format!("{}: {note}", row.name))
}

/// The times of both sides, round by round.
struct Rounds {
    ours: Vec<f64>,
    reference: Vec<f64>,
}

impl Rounds {
    /// Two rounds to warm up, then rounds until the time is over, at least five.
    fn measure(pair: &mut dyn Pair, row: &Row, options: &Options) -> Self {
        let clock = options.clock(row);
        let mut round = || {
            let ours = clock.time(|| pair.ours());
            let reference = match row.against {
                Against::Work { share, .. } => share * clock.time(|| pair.reference()),
                Against::Time { seconds } => seconds * row.per,
            };
            pair.restore();
            (ours, reference)
        };
        round();
        round();
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        let start = std::time::Instant::now();
        while ours.len() < 5 || start.elapsed().as_secs_f64() < options.seconds {
            let (a, b) = round();
            ours.push(a);
            reference.push(b);
        }
        Self { ours, reference }
    }
}

/// What the machine gives, so that a table can be judged.
fn machine(options: &Options) {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    println!("CPU: {}; {} threads; load {load}", name.unwrap_or("unknown"), options.threads);
    let a = vec![1.0f64; 1 << 24];
    let sum = || {
        black_box(parallel_sum(&a));
    };
    let least = (0..9).map(|_| Clock::Wall.time(sum)).fold(f64::INFINITY, f64::min);
    let bandwidth = size_of_val(&a[..]) as f64 / least * 1e-9;
    let cores = cores(options.threads);
    println!("parallel sum of 128 MiB at best {bandwidth:.1} GB/s; cores at the start: {cores:.2}");
    let clock = if options.cpu { "CPU time of the process" } else { "wall time" };
    println!("rows on all threads: {clock}; rows on one: CPU time of the thread\n");
}

/// How many cores the threads really get: 2.00 on a quiet machine of two.
fn cores(threads: usize) -> f64 {
    let spin = || {
        (0..100_000_000).for_each(|i| {
            black_box(i);
        });
    };
    let alone = Clock::Thread.time(spin);
    let together = Clock::Wall.time(|| drop(rayon::broadcast(|_| spin())));
    threads as f64 * alone / together
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn shown(seconds: f64) -> String {
    if seconds < 1e-6 {
        format!("{:.2} ns", seconds * 1e9)
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}
