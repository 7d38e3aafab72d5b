//! A matrix that arrives in pieces is sketched by two threads that share nothing but the seed.
//!
//! ```text
//! cargo run --release --example sketch_stream
//! ```
//! S·A = Σ S[:, rows]·A[rows, :] over blocks of rows. Every worker knows the columns of S that meet
//! its block, because an entry of S depends on the seed and its position only; so each keeps a
//! d×n sum of its own, and the sums are added at the end. The same works between machines.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use randnla::{Cpu, Mat, MatRef, Result, Sketch};
use std::ops::Range;
use std::time::{Duration, Instant};

const M: usize = 50_000;
const N: usize = 128;
const D: usize = 512;
const SEED: u64 = 2024;
const WORKERS: usize = 2;

fn main() -> Result<()> {
    let data = matrix();
    let blocks = uneven_blocks(M);
    println!("A is {M}×{N} f64 and comes in {} blocks of rows, S·A is {D}×{N}\n", blocks.len());
    println!(
        "{:<13} {:>15} {:>11} {:>11} {:>18} {:>18}",
        "operator", "blocks of S", "largest", "share of", "two workers,", "one call,"
    );
    println!(
        "{:<13} {:>15} {:>11} {:>11} {:>18} {:>18}",
        "", "have", "difference", "allowed", "ms and GB/s", "ms and GB/s"
    );
    for (name, s) in [
        ("gaussian", Sketch::gaussian(D, M, SEED)?),
        ("sparse_stack", Sketch::sparse_stack(D, M, 8, SEED)?),
        ("count_sketch", Sketch::count_sketch(D, M, SEED)?),
    ] {
        let same = blocks_have_the_same_entries(&s, &blocks)?;
        let (merged, stream_time) = best_of_3(|| sketch_stream(&s, &data, &blocks))?;
        let (whole, whole_time) = best_of_3(|| {
            let cpu = Cpu::with_threads(WORKERS)?;
            s.apply(MatRef::from_row_major(&cpu, &data, M, N)?)
        })?;
        let (difference, share) = compare(&s, &data, &blocks, (&merged, &whole))?;
        println!(
            "{name:<13} {:>15} {difference:>11.2e} {share:>11.1e} {:>18} {:>18}",
            if same { "same bits" } else { "DIFFERENT BITS" },
            rate(stream_time),
            rate(whole_time),
        );
        assert!(same && share <= 1.0, "{name}: a guarantee of the library is broken");
    }
    println!(
        "\nallowed: 2·(t + 8)·u·(|S|·|A|) entry by entry, t terms in a sum; rates count the bytes of A"
    );
    Ok(())
}

/// Every worker sketches alternate blocks into a sum of its own; then the sums are added.
fn sketch_stream(s: &Sketch, data: &[f64], blocks: &[Range<usize>]) -> Result<Mat<f64>> {
    let work = |worker: usize| -> Result<Mat<f64>> {
        let cpu = Cpu::with_threads(1)?;
        let mut sum = Mat::zeros(&cpu, D, N)?;
        for rows in blocks.iter().skip(worker).step_by(WORKERS) {
            let entries = &data[rows.start * N..rows.end * N];
            let block = MatRef::from_row_major(&cpu, entries, rows.len(), N)?;
            s.columns(rows.clone()).apply_into(1.0, block, 1.0, sum.as_mut())?;
        }
        Ok(sum)
    };
    let sums: Vec<Result<Mat<f64>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS).map(|w| scope.spawn(move || work(w))).collect();
        threads.into_iter().map(|t| t.join().expect("a worker does not panic")).collect()
    });
    let mut total = Mat::zeros(&Cpu::new(), D, N)?;
    for sum in sums {
        total.as_mut().axpby(1.0, sum?.as_ref(), 1.0)?;
    }
    Ok(total)
}

/// Whether the columns of S that a block asks for are those of the whole S, bit for bit.
fn blocks_have_the_same_entries(s: &Sketch, blocks: &[Range<usize>]) -> Result<bool> {
    let cpu = Cpu::new();
    let whole: Mat<f64> = s.to_mat(&cpu)?;
    for columns in blocks {
        let block: Mat<f64> = s.columns(columns.clone()).to_mat(&cpu)?;
        let expected = whole.columns(columns.clone()).to_vec()?;
        if !block.to_vec()?.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The largest difference between two ways to sum up S·A, and the largest share that a difference
/// has of what rounding allows.
///
/// A sum of t products in any order is within (t + 8)·u·(|S|·|A|) of the exact one, the scaling of
/// S included (u = 2⁻⁵³); two such sums are within twice that of each other. Here t is the number
/// of non-zeros in a row of S, and one more for every block that is added.
fn compare(
    s: &Sketch,
    data: &[f64],
    blocks: &[Range<usize>],
    (one, other): (&Mat<f64>, &Mat<f64>),
) -> Result<(f64, f64)> {
    let cpu = Cpu::new();
    let mut magnitude = faer::Mat::<f64>::zeros(D, N);
    let mut terms = [blocks.len(); D];
    for rows in blocks {
        let s: Mat<f64> = s.columns(rows.clone()).to_mat(&cpu)?;
        let s = faer::Mat::from_fn(D, rows.len(), |i, j| s.get(i, j).abs());
        let a = faer::Mat::from_fn(rows.len(), N, |i, j| data[(rows.start + i) * N + j].abs());
        for (terms, row) in terms.iter_mut().zip(s.row_iter()) {
            *terms += row.iter().filter(|entry| **entry != 0.0).count();
        }
        magnitude += s * a;
    }
    let unit_roundoff = f64::EPSILON / 2.0;
    let (mut largest, mut share) = (0.0f64, 0.0f64);
    for (i, j) in (0..N).flat_map(|j| (0..D).map(move |i| (i, j))) {
        let difference = (one.get(i, j) - other.get(i, j)).abs();
        largest = largest.max(difference);
        if difference > 0.0 {
            let allowed = 2.0 * (terms[i] + 8) as f64 * unit_roundoff * magnitude[(i, j)];
            share = share.max(difference / allowed);
        }
    }
    Ok((largest, share))
}

/// Blocks of rows of no particular size: 1 to 4096 rows.
fn uneven_blocks(m: usize) -> Vec<Range<usize>> {
    let mut lengths = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < m {
        let end = m.min(start + 1 + (lengths.next_u64() % 4096) as usize);
        blocks.push(start..end);
        start = end;
    }
    blocks
}

/// A in row-major order: noise, over columns of falling size.
fn matrix() -> Vec<f64> {
    let mut noise = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut uniform = || (noise.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
    (0..M * N).map(|k| uniform() / (1 + k % N) as f64).collect()
}

fn best_of_3<R>(mut call: impl FnMut() -> Result<R>) -> Result<(R, Duration)> {
    let mut result = call()?;
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        result = call()?;
        best = best.min(start.elapsed());
    }
    Ok((result, best))
}

fn rate(time: Duration) -> String {
    let gigabytes = (M * N * size_of::<f64>()) as f64 / 1e9;
    let seconds = time.as_secs_f64();
    format!("{:.1}  {:>5.1}", 1e3 * seconds, gigabytes / seconds)
}
