//! The SVD of a matrix that arrives in pieces and is never stored: what an error costs in memory.
//!
//! ```text
//! cargo run --release --example stream_svd [-- OUT [FILE]]      OUT: target/stream_svd
//! ```
//! The keys of an attention layer come token by token, a row each, in blocks of no particular size, to two workers that
//! share nothing but a seed. Both keep sketches; their states are merged, and give singular triplets with an estimate of
//! the error. Beside it for the same memory: the SVD that is updated block by block, which needs one worker to see
//! all; and, with A in memory, `rsvd` of the rank that the stream chose, and the best that can be. Printed, and drawn in
//! `stream_svd.svg`. FILE is a safetensors file; its first two-dimensional f32 tensor is taken.

#[path = "shared/chart.rs"]
mod chart;

use plotters::prelude::*;
use randnla::decomp::{
    IncrementalParams, IncrementalSvd, RsvdParams, Scree, SinglePassFactors, SinglePassParams,
    StreamingSvd, Svd, rsvd,
};
use randnla::{Cpu, Mat, MatRef};
use safetensors::tensor::{Dtype, SafeTensors};
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Numbers that may be kept, as shares of those of A.
const SHARES: [f64; 6] = [0.05, 0.08, 0.12, 0.25, 0.4, 0.6];
/// The share whose scree plot is drawn.
const SCREE: usize = 3;
const SEED: u64 = 2026;

/// One share: relative errors of every way, and what the stream chose and believed.
struct Row {
    share: f64,
    rank: usize,
    estimate: f64,
    single_pass: f64,
    incremental: f64,
    rsvd: f64,
    best: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let out = PathBuf::from(args.next().unwrap_or("target/stream_svd".into()));
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/minilm-keys.safetensors");
    let (entries, (m, n)) = first_matrix(Path::new(&args.next().unwrap_or(shipped.into())))?;
    std::fs::create_dir_all(&out)?;
    let cpu = Cpu::new();
    let a = MatRef::from_row_major(&cpu, &entries, m, n)?;
    let values = faer::Mat::from_fn(m, n, |i, j| f64::from(entries[i * n + j])).singular_values();
    let values = values.map_err(|_| "the reference SVD did not converge")?;
    let best = |rank: usize| share_beyond(&values, rank).sqrt();

    println!("A is {m}×{n} f32 and comes in {} blocks of rows\n", blocks(m).len());
    println!("             single pass, two workers merged    block by block   A in memory");
    println!("memory  rank    ‖A − USVᵀ‖/‖A‖   estimate         incremental    rsvd    best");
    let (mut rows, mut scree) = (Vec::new(), Vec::new());
    for (at, share) in SHARES.into_iter().enumerate() {
        let numbers = (share * (m * n) as f64) as usize;
        let factors = single_pass(a, numbers)?;
        if at == SCREE {
            scree = factors.scree();
        }
        // The rank of the least error: beyond it, noise is added.
        let error = |rank: &usize| factors.error(*rank).absolute;
        let rank = (0..=factors.rank()).min_by(|a, b| error(a).total_cmp(&error(b))).unwrap_or(0);
        let svd = factors.into_svd(rank)?;
        let row = Row {
            share,
            rank,
            estimate: svd.error.relative,
            single_pass: relative_error(a, &svd)?,
            incremental: incremental(a, numbers)?,
            rsvd: rsvd(&a, RsvdParams::rank(rank).seed(SEED))?.error.relative,
            best: best(rank),
        };
        println!(
            "{:>5.0}% {:>6} {:>17.3} {:>10.3} {:>19.3} {:>7.3} {:>7.3}",
            100.0 * share,
            row.rank,
            row.single_pass,
            row.estimate,
            row.incremental,
            row.rsvd,
            row.best
        );
        rows.push(row);
    }
    let path = out.join("stream_svd.svg");
    let optimum = |numbers: usize| best(numbers / (m + n + 1));
    draw(&path, &rows, &scree, &values, |share| optimum((share * (m * n) as f64) as usize))?;
    println!(
        "\nestimate: from 20 random probes that the stream kept; rsvd and best: of the rank chosen"
    );
    println!("written: {}", path.display());
    Ok(())
}

/// Two workers take alternate blocks; one sends its state as bytes.
fn single_pass(a: MatRef<'_, f32>, numbers: usize) -> randnla::Result<SinglePassFactors<f32>> {
    let (cpu, params) = (a.device(), SinglePassParams::rank(1).memory(numbers).seed(SEED));
    let state = || StreamingSvd::new(cpu, a.shape(), params);
    let mut workers = [state()?, state()?];
    for (at, rows) in blocks(a.nrows()).into_iter().enumerate() {
        workers[at % 2].update(1.0, (rows.start, 0), a.rows(rows))?;
    }
    let [mut here, there] = workers;
    here.merge(&StreamingSvd::from_bytes(cpu, &there.to_bytes()?)?)?;
    here.factors()
}

/// Rows are columns of the transpose.
fn incremental(a: MatRef<'_, f32>, numbers: usize) -> randnla::Result<f64> {
    let (m, n) = a.shape();
    let width = numbers / (m + n);
    let params = IncrementalParams::rank(width).oversampling(0).right_vectors(true);
    let mut svd = IncrementalSvd::new(a.device(), n, params)?;
    for rows in blocks(m) {
        svd.push(a.rows(rows).transpose())?;
    }
    Ok(svd.error(width).relative)
}

/// ‖A − USVᵀ‖_F/‖A‖_F itself.
fn relative_error(a: MatRef<'_, f32>, svd: &Svd<f32>) -> randnla::Result<f64> {
    let norm = |x: MatRef<'_, f32>| -> randnla::Result<f64> {
        Ok(x.to_vec()?.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt())
    };
    let mut difference: Mat<f32> = svd.reconstruct()?;
    difference.as_mut().axpby(1.0, a, -1.0)?;
    Ok(norm(difference.as_ref())? / norm(a)?)
}

/// Blocks of 1 to 40 rows.
fn blocks(m: usize) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    while start < m {
        let end = m.min(start + 1 + 17 * blocks.len() % 40);
        blocks.push(start..end);
        start = end;
    }
    blocks
}

/// (τ_{rank+1}/‖A‖)².
fn share_beyond(values: &[f64], rank: usize) -> f64 {
    let energy = |values: &[f64]| values.iter().map(|s| s * s).sum::<f64>();
    energy(&values[rank.min(values.len())..]) / energy(values)
}

/// The entries in row-major order, and m and n.
type Read = (Vec<f32>, (usize, usize));

fn first_matrix(path: &Path) -> Result<Read, Box<dyn Error>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let mut matrices =
        tensors.iter().filter_map(|(_, tensor)| match (tensor.dtype(), tensor.shape()) {
            (Dtype::F32, &[m, n]) if m > 0 && n > 0 => {
                let (words, _) = tensor.data().as_chunks();
                Some((words.iter().map(|&word| f32::from_le_bytes(word)).collect(), (m, n)))
            }
            _ => None,
        });
    Ok(matrices.next().ok_or(format!("{}: no two-dimensional f32 tensor", path.display()))?)
}

fn draw(
    path: &Path,
    rows: &[Row],
    scree: &[Scree],
    values: &[f64],
    optimum: impl Fn(f64) -> f64,
) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, (1200, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(600);
    let by_share = |of: &dyn Fn(&Row) -> f64| rows.iter().map(|row| (row.share, of(row))).collect();
    let curves = [
        ("single pass", by_share(&|row| row.single_pass)),
        ("its estimate", by_share(&|row| row.estimate)),
        ("incremental", by_share(&|row| row.incremental)),
        ("best factors of that size", by_share(&|row| optimum(row.share))),
    ];
    let axes = chart::Axes {
        title: "relative error against memory",
        x: "numbers kept, as a share of those of A",
        x_range: 0.8 * SHARES[0]..1.2 * SHARES[SHARES.len() - 1],
        y_range: 0.02..1.0,
        ticks: [|x| format!("{x}"), |y| format!("{y}")],
        key: SeriesLabelPosition::LowerLeft,
    };
    chart::draw(&left, axes, &curves)?;
    let curve = |of: &dyn Fn(usize) -> f64| (1..scree.len()).map(|r| (r as f64, of(r))).collect();
    let curves = [
        ("upper estimate", curve(&|r| scree[r].upper)),
        ("lower estimate", curve(&|r| scree[r].lower)),
        ("truth", curve(&|r| share_beyond(values, r))),
    ];
    let title = format!("energy beyond a rank, {} % of the memory", 100.0 * SHARES[SCREE]);
    let axes = chart::Axes {
        title: &title,
        x: "rank",
        x_range: 1.0..scree.len() as f64,
        y_range: 1e-4..2.0,
        ticks: [|x| format!("{x}"), |y| format!("{y}")],
        key: SeriesLabelPosition::LowerLeft,
    };
    chart::draw(&right, axes, &curves)?;
    root.present()?;
    Ok(())
}
