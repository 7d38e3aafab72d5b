//! The library on a GPU against cuBLAS and copies in device memory: both sides of a row in turn, timed
//! by events on the stream, in one run. `benches/README.md` says how to run it and what a row means.
//!
//! Times of a simulated GPU say nothing: it is refused, but for `--check`, which times nothing.

mod device;
mod rows;

use device::{Gpu, Outcome, Pair};
use rows::{Row, Sizes};
use std::process::ExitCode;

/// How the simulator of `cuda-sim/` names its device.
const SIMULATOR: &str = "cuda-sim";
/// Calls between two events last about so long.
const SAMPLE: f64 = 1e-3;
/// More calls would let repeated transforms leave the range of f32.
const MOST_CALLS: usize = 10;

fn main() -> ExitCode {
    // `cargo test --all-targets` starts benchmarks too, without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let gpu = match Gpu::new() {
        Ok(gpu) => gpu,
        Err(error) => {
            eprintln!("no GPU to measure: {error}");
            return ExitCode::FAILURE;
        }
    };
    if gpu.name.starts_with(SIMULATOR) && !options.check {
        eprintln!("{} is simulated, and its times say nothing: try --check, or a GPU", gpu.name);
        return ExitCode::FAILURE;
    }
    let sizes = if options.check { Sizes::SMALL } else { Sizes::FULL };
    let rows: Vec<Row> =
        rows::all(sizes).into_iter().filter(|row| options.selects(&row.name)).collect();
    if !options.check {
        println!("{}; driver for CUDA {}", gpu.name, gpu.driver);
        println!("| row | ours | reference | ratio [min..max] | reference is |");
        println!("|---|---|---|---|---|");
    }
    let run = if options.check { check } else { measure };
    let mut failed = false;
    for row in &rows {
        if let Err(error) = run(row, &gpu, &options) {
            println!("| {} | {error} |", row.name);
            failed = true;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What the command line asks for.
struct Options {
    filters: Vec<String>,
    /// Each side once and small, without times.
    check: bool,
    seconds: f64,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self { filters: Vec::new(), check: false, seconds: 2.0 };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => {}
                "--check" => options.check = true,
                "--seconds" => {
                    let number = arguments.next().and_then(|text| text.parse().ok());
                    options.seconds = number.expect("--seconds needs a number");
                }
                flag if flag.starts_with('-') => panic!("unknown option {flag}"),
                _ => options.filters.push(argument),
            }
        }
        options
    }

    fn selects(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
    }
}

fn check(row: &Row, gpu: &Gpu, _: &Options) -> Outcome {
    let Pair { mut ours, mut reference } = (row.make)(gpu)?;
    ours()?;
    reference()?;
    gpu.wait()?;
    println!("{}: both sides run", row.name);
    Ok(())
}

/// Prints a row: after one round to warm up and to choose the number of calls, rounds until the time is
/// over, at least five.
fn measure(row: &Row, gpu: &Gpu, options: &Options) -> Outcome {
    let Pair { mut ours, mut reference } = (row.make)(gpu)?;
    ours()?;
    reference()?;
    let calls = |seconds: f64| ((SAMPLE / seconds) as usize).clamp(1, MOST_CALLS);
    let (of_ours, of_reference) =
        (calls(gpu.seconds(1, &mut ours)?), calls(gpu.seconds(1, &mut reference)?));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let start = std::time::Instant::now();
    while a.len() < 5 || start.elapsed().as_secs_f64() < options.seconds {
        a.push(gpu.seconds(of_ours, &mut ours)?);
        b.push(row.share * gpu.seconds(of_reference, &mut reference)?);
    }
    let ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a / b).collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let what = match row.share {
        1.0 => row.reference.into(),
        share => format!("{} (its time × {share:.3})", row.reference),
    };
    println!(
        "| {} | {:.3} ms | {:.3} ms | {:.2} [{least:.2}..{most:.2}] | {what} |",
        row.name,
        1e3 * median(&a),
        1e3 * median(&b),
        median(&ratios),
    );
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
