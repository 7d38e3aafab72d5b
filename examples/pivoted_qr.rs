//! Which columns of a real matrix span it: pivoted QR of a photograph and of weights.
//!
//! ```text
//! cargo run --release --example pivoted_qr                    the astronaut and the weights in examples/data
//! cargo run --release --example pivoted_qr -- [--out DIR] [--rank K] FILE ...
//! ```
//! One factorization, `bqrrp`, orders all columns: the first k of them leave ‖R[k.., k..]‖_F of the matrix, which is
//! printed, and drawn in `NAME.svg`, beside the optimum of rank k, which is that of the SVD, and beside k columns at even
//! distances: neighbours in a photograph are alike, so these serve there as well, and not for weights. Times are those of one call each, beside QR without pivots and with those of LAPACK, both by faer. For a
//! photograph `NAME.png` shows it, the K columns (a colour of a column of pixels each) that were chosen first, and what comes of all
//! others as combinations of them.

#[path = "quickstart"]
mod quickstart {
    #[allow(dead_code)]
    pub mod read;
}

use faer::linalg::solvers::SolveLstsq;
use image::{Rgb, RgbImage};
use plotters::prelude::*;
use quickstart::read::{self, Entries, Matrix, Order};
use randnla::decomp::{BqrrpParams, bqrrp, interpolative_decomposition};
use randnla::{Cpu, Mat};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

const USAGE: &str = "usage: pivoted_qr [--out DIR] [--rank K] [FILE ...]
  --out DIR    where pictures and figures go   (target/pivoted_qr)
  --rank K     columns that a picture is made of   (64)
  FILE         without one, astronaut.png and the weights in examples/data; what can be read:";

/// Ranks of the table.
const RANKS: [usize; 6] = [4, 16, 32, 64, 128, 256];
const WAYS: [(&str, RGBColor); 2] = [
    ("columns by pivoted QR", RGBColor(0, 114, 178)),
    ("the best of that rank (SVD)", RGBColor(213, 94, 0)),
];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let (mut out, mut rank, mut files) = (PathBuf::from("target/pivoted_qr"), 64, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value\n{USAGE}"));
        match arg.as_str() {
            "-h" | "--help" => {
                println!("{USAGE}\n{}", read::SUPPORTED);
                return Ok(());
            }
            "--out" => out = value()?.into(),
            "--rank" => rank = value()?.parse()?,
            file => files.push(PathBuf::from(file)),
        }
    }
    if files.is_empty() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
        files = vec![data.join("astronaut.png"), data.join("minilm-layer0.safetensors")];
    }
    std::fs::create_dir_all(&out)?;
    faer::set_global_parallelism(faer::Par::rayon(0));
    for file in files {
        let contents = read::read(&file)?;
        contents.notes.iter().for_each(|note| eprintln!("{note}"));
        for matrix in contents.matrices {
            study(&matrix, rank, &out)?;
        }
    }
    Ok(())
}

fn study(matrix: &Matrix, rank: usize, out: &Path) -> Outcome<()> {
    let (cpu, host) = (Cpu::new(), dense(matrix));
    let (m, n) = (matrix.rows, matrix.cols);
    let a = Mat::from_fn(&cpu, m, n, |i, j| host[(i, j)])?;
    let (qr, ours) = timed(|| bqrrp(a.as_ref(), BqrrpParams::default()))?;
    let (_, plain) = timed(|| Ok::<_, Box<dyn Error>>(host.qr()))?;
    let (_, lapack) = timed(|| Ok::<_, Box<dyn Error>>(host.col_piv_qr()))?;
    println!("{}, {m}×{n}: rank {}", matrix.name, qr.rank());
    println!(
        "  bqrrp {ours:.3} s; QR without pivots {plain:.3} s, with pivots {lapack:.3} s (faer)"
    );

    let r = qr.r.to_vec()?;
    let rows = (0..qr.rank()).map(|i| (0..n).map(|j| r[j * qr.rank() + i].powi(2)).sum());
    let by_columns = tails(rows.collect());
    let values = host.singular_values().map_err(|error| format!("{error:?}"))?;
    let best = tails(values.iter().map(|s| s * s).collect());
    println!("  columns   pivoted QR  at even distances  best of that rank  pivoted / best");
    for k in RANKS.into_iter().filter(|&k| k < qr.rank()) {
        let (own, least) = (by_columns[k], best[k]);
        let even = evenly(&host, k);
        println!(
            "  {k:>7} {:>11.2}% {:>17.2}% {:>17.2}% {:>15.2}",
            100.0 * own,
            100.0 * even,
            100.0 * least,
            own / least
        );
    }
    let path = out.join(format!("{}.svg", matrix.name));
    draw(&path, &matrix.name, [&by_columns, &best])?;
    println!("  written: {}", path.display());
    if let Some(channels) = matrix.channels {
        let rank = rank.min(qr.rank());
        let params = BqrrpParams::default().max_rank(rank);
        let found = interpolative_decomposition(a.as_ref(), params)?;
        let mut chosen = Mat::zeros(&cpu, m, n)?;
        let mut rebuilt = Mat::zeros(&cpu, m, n)?;
        let x = &found.coefficients;
        for i in 0..m {
            (0..n).for_each(|j| chosen.set(i, j, 0.2 * host[(i, j)]));
            found.indices.iter().for_each(|&j| chosen.set(i, j, host[(i, j)]));
            for j in 0..n {
                let terms = found.indices.iter().enumerate();
                let sum: f64 = terms.map(|(k, &from)| host[(i, from)] * x.get(k, j)).sum();
                rebuilt.set(i, j, sum);
            }
        }
        let path = out.join(format!("{}.png", matrix.name));
        strip(&path, channels, &[&a, &chosen, &rebuilt])?;
        let error = 100.0 * found.error.relative;
        println!(
            "  written: {}, {} columns, error {error:.2} %",
            path.display(),
            found.indices.len()
        );
    }
    println!();
    Ok(())
}

fn timed<R, E: Into<Box<dyn Error>>>(call: impl FnOnce() -> Result<R, E>) -> Outcome<(R, f64)> {
    let start = Instant::now();
    let result = call().map_err(Into::into)?;
    Ok((result, start.elapsed().as_secs_f64()))
}

fn dense(matrix: &Matrix) -> faer::Mat<f64> {
    let at = |i: usize, j: usize| match matrix.order {
        Order::RowMajor => i * matrix.cols + j,
        Order::ColumnMajor => j * matrix.rows + i,
    };
    faer::Mat::from_fn(matrix.rows, matrix.cols, |i, j| match &matrix.entries {
        Entries::F32(x) => f64::from(x[at(i, j)]),
        Entries::F64(x) => x[at(i, j)],
    })
}

/// √(Σ_{i ≥ k} squares[i] / Σ squares) for every k.
fn tails(squares: Vec<f64>) -> Vec<f64> {
    let total: f64 = squares.iter().sum();
    let mut left = 0.0;
    let mut tails: Vec<f64> = squares
        .iter()
        .rev()
        .map(|x| {
            left += x;
            (left / total).sqrt()
        })
        .collect();
    tails.reverse();
    tails
}

/// What k columns at even distances leave of the matrix.
fn evenly(a: &faer::Mat<f64>, k: usize) -> f64 {
    let n = a.ncols();
    let columns = faer::Mat::from_fn(a.nrows(), k, |i, j| a[(i, (2 * j + 1) * n / (2 * k))]);
    let x = columns.qr().solve_lstsq(a);
    (a - &columns * x).norm_l2() / a.norm_l2()
}

/// Pictures side by side.
fn strip(path: &Path, channels: usize, pictures: &[&Mat<f64>]) -> Outcome<()> {
    const GAP: u32 = 12;
    let (rows, columns) = pictures[0].shape();
    let (width, height) = ((columns / channels) as u32, rows as u32);
    let total = (width + GAP) * pictures.len() as u32 - GAP;
    let mut image = RgbImage::from_pixel(total, height, Rgb([255; 3]));
    for (picture, left) in pictures.iter().zip((0..).step_by((width + GAP) as usize)) {
        for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (x, y))) {
            let channel = |c: usize| {
                let j = x as usize * channels + c.min(channels - 1);
                (255.0 * picture.get(y as usize, j)).round().clamp(0.0, 255.0) as u8
            };
            image.put_pixel(left + x, y, Rgb([0, 1, 2].map(channel)));
        }
    }
    image.save(path)?;
    Ok(())
}

fn draw(path: &Path, name: &str, curves: [&[f64]; 2]) -> Outcome<()> {
    let root = SVGBackend::new(path, (760, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let last = curves[0].len() as f64;
    let least = curves.iter().flat_map(|curve| curve.iter()).copied().filter(|&x| x > 1e-6);
    let range = least.fold(1.0, f64::min)..1.0;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{name}: error against columns"), ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..last, range.log_scale())?;
    chart
        .configure_mesh()
        .x_desc("columns k")
        .y_desc("‖A − Aₖ‖ / ‖A‖")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .bold_line_style(BLACK.mix(0.14))
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for (curve, (name, colour)) in curves.into_iter().zip(WAYS) {
        let points = curve.iter().enumerate().filter(|(_, error)| **error > 1e-6);
        let points = points.map(|(k, &error)| (k as f64, error));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 14))
        .draw()?;
    root.present()?;
    Ok(())
}
