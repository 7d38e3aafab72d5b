//! How the cost of operators and of the randomised SVD grows beyond the last-level cache, against
//! the theory.
//!
//! Each size of a problem in turn grows by 4 and by 16, from a matrix of at least 64 MiB on. The
//! exponent is the slope of log time over log size through the three points (least squares), that
//! of the theory the same slope through the leading terms of the cost. A measured exponent passes
//! up to 0.15 above that of the theory.

#[path = "rows/clock.rs"]
#[expect(dead_code, reason = "nothing here runs on one thread")]
mod clock;

use clock::Clock;
use randnla::decomp::{RsvdParams, rsvd};
use randnla::{Backend, Cpu, Mat, Result, Scalar, Sketch, SketchKernels};
use std::hint::black_box;

/// How much steeper than the theory a cost may grow.
const TOLERANCE: f64 = 0.15;
/// The factors by which a size grows.
const FACTORS: [usize; 3] = [1, 4, 16];
/// Timed calls a point at least, after one to warm up; the fastest counts.
const CALLS: usize = 4;
/// Seconds that the timed calls of a point take at least.
const SECONDS: f64 = 0.4;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts benchmarks too, without this argument.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build_global();
    pool.expect("the global pool is built once");
    let clock = match arguments.iter().any(|a| a == "--cpu") {
        true => Clock::Process,
        false => Clock::Wall,
    };
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    println!("| cost | size | from | to | times in ms | exponent | theory | |");
    println!("|---|---|---|---|---|---|---|---|");
    for subject in subjects() {
        if filters.is_empty() || filters.iter().any(|f| subject.name.contains(f.as_str())) {
            for size in Size::ALL {
                row(clock, &subject, size)?;
            }
        }
    }
    Ok(())
}

/// What grows.
#[derive(Clone, Copy)]
enum Size {
    /// Rows of A.
    M,
    /// Columns of A.
    N,
    /// Rows of the operator, or the rank.
    D,
}

impl Size {
    const ALL: [Self; 3] = [Self::M, Self::N, Self::D];

    fn name(self) -> &'static str {
        match self {
            Self::M => "m",
            Self::N => "n",
            Self::D => "d",
        }
    }

    /// The shape `(m, n, d)` with this size multiplied by `factor`.
    fn grow(self, (m, n, d): Shape, factor: usize) -> Shape {
        match self {
            Self::M => (factor * m, n, d),
            Self::N => (m, factor * n, d),
            Self::D => (m, n, factor * d),
        }
    }

    fn of(self, (m, n, d): Shape) -> usize {
        match self {
            Self::M => m,
            Self::N => n,
            Self::D => d,
        }
    }
}

/// Rows and columns of A, and rows of the operator or the rank.
type Shape = (usize, usize, usize);

struct Subject {
    name: &'static str,
    /// The smallest problem.
    start: Shape,
    /// The leading terms of the cost, up to a factor.
    theory: fn(f64, f64, f64) -> f64,
    /// Seconds of one problem, the fastest of several.
    time: fn(Clock, Shape) -> Result<f64>,
}

fn subjects() -> [Subject; 5] {
    // Reading A and, as memory has it, reading and writing C.
    let traffic = |m: f64, n: f64, d: f64| m * n + 2.0 * d * n;
    [
        Subject {
            name: "gaussian f32",
            start: (1 << 14, 1 << 10, 64),
            theory: |m, n, d| m * n * d,
            time: |clock, (m, n, d)| apply::<f32>(clock, &Sketch::gaussian(d, m, 1)?, n),
        },
        Subject {
            name: "sparse_stack f64",
            start: (1 << 15, 1 << 8, 256),
            theory: traffic,
            time: |clock, (m, n, d)| apply::<f64>(clock, &Sketch::sparse_stack(d, m, 8, 1)?, n),
        },
        Subject {
            name: "count_sketch f64",
            start: (1 << 15, 1 << 8, 256),
            theory: traffic,
            time: |clock, (m, n, d)| apply::<f64>(clock, &Sketch::count_sketch(d, m, 1)?, n),
        },
        Subject {
            name: "srht f64",
            start: (1 << 15, 1 << 8, 256),
            theory: |m, n, d| m * n * m.log2() + 2.0 * d * n,
            time: |clock, (m, n, d)| apply::<f64>(clock, &Sketch::srht(d, m, 1)?, n),
        },
        Subject {
            name: "rsvd f32",
            start: (1 << 13, 1 << 11, 16),
            theory: |m, n, k| 12.0 * m * n * k + 12.0 * (m + n) * k * k,
            time: decompose::<f32>,
        },
    ]
}

fn row(clock: Clock, subject: &Subject, size: Size) -> Result<()> {
    let shapes = FACTORS.map(|factor| size.grow(subject.start, factor));
    let mut seconds = Vec::new();
    for shape in shapes {
        seconds.push((subject.time)(clock, shape)?);
    }
    let theory = shapes.map(|(m, n, d)| (subject.theory)(m as f64, n as f64, d as f64));
    let (measured, theory) = (slope(&seconds), slope(&theory));
    let times: Vec<String> = seconds.iter().map(|s| format!("{:.1}", s * 1e3)).collect();
    println!(
        "| {} | {} | {} | {} | {} | {measured:.2} | {theory:.2} | {} |",
        subject.name,
        size.name(),
        size.of(shapes[0]),
        size.of(shapes[2]),
        times.join(", "),
        if measured <= theory + TOLERANCE { "pass" } else { "FAIL" },
    );
    Ok(())
}

/// The exponent of a power law through the costs of the three sizes.
fn slope(costs: &[f64]) -> f64 {
    let x = FACTORS.map(|factor| (factor as f64).ln());
    let y: Vec<f64> = costs.iter().map(|cost| cost.ln()).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (x_mean, y_mean) = (mean(&x), mean(&y));
    let covariance: f64 = x.iter().zip(&y).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    covariance / x.iter().map(|x| (x - x_mean).powi(2)).sum::<f64>()
}

/// The time of S·A.
fn apply<T: Scalar>(clock: Clock, s: &Sketch, n: usize) -> Result<f64>
where
    Cpu: Backend<T>,
{
    let cpu = Cpu::new();
    let a = random::<T>(&cpu, s.ncols(), n)?;
    let mut c = Mat::zeros(&cpu, s.nrows(), n)?;
    fastest(clock, || s.apply_into(T::one(), &a, T::zero(), c.as_mut()))
}

/// The time of a randomised SVD with two power passes and no oversampling.
fn decompose<T: Scalar>(clock: Clock, (m, n, k): Shape) -> Result<f64>
where
    Cpu: Backend<T>,
{
    let a = random::<T>(&Cpu::new(), m, n)?;
    let params = RsvdParams::rank(k).oversampling(0).power_passes(2);
    fastest(clock, || rsvd(&a, params).map(|svd| drop(black_box(svd))))
}

fn fastest(clock: Clock, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    call()?;
    let (mut calls, mut total, mut least) = (0, 0.0, f64::INFINITY);
    while calls < CALLS || total < SECONDS {
        let mut result = Ok(());
        let seconds = clock.time(|| result = call());
        result?;
        (calls, total, least) = (calls + 1, total + seconds, least.min(seconds));
    }
    Ok(least)
}

/// Independent entries, uniform with variance 1.
fn random<T: Scalar>(cpu: &Cpu, m: usize, n: usize) -> Result<Mat<T>>
where
    Cpu: Backend<T>,
{
    let mut a = Mat::zeros(cpu, m, n)?;
    cpu.fill(&Sketch::uniform(m, n, 9)?.raw(), T::one(), a.as_mut())?;
    Ok(a)
}
