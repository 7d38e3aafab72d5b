//! Least squares that become ill-conditioned: polynomials fitted to a photograph.
//!
//! ```text
//! cargo run --release --example least_squares [-- OUT]        OUT: target/least_squares
//! ```
//! The brightness of the retina in examples/data is fitted by all monomials xⁱyʲ up to a degree, whose matrix
//! loses digits with every degree: cond(A) grows from 10 to 10¹⁰. Printed, and drawn in `least_squares.svg`, are
//! the backward error and the time of three ways: `lstsq` by a sketch, Householder QR, and the normal
//! equations, which fail where cond(A)² passes 1/u. Times are those of one call each, and say as much.

#[path = "shared/chart.rs"]
mod chart;

use faer::linalg::solvers::{Solve, SolveLstsq};
use plotters::prelude::*;
use randnla::solve::{
    LstsqMethod, LstsqParams, SketchPreconditioner, SketchPreconditionerParams, lstsq,
};
use randnla::{Cpu, Mat, MatRef};
use std::error::Error;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

/// Pixels along a side of the part that is fitted.
const SIDE: usize = 400;
const DEGREES: [usize; 7] = [1, 2, 4, 6, 8, 10, 13];
const WAYS: [&str; 3] = ["lstsq, by a sketch", "Householder QR", "normal equations"];

/// One degree: columns, cond(A), and backward error and seconds of every way.
struct Row {
    columns: usize,
    condition: f64,
    ways: [(f64, f64); 3],
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::args().nth(1).unwrap_or("target/least_squares".into()));
    std::fs::create_dir_all(&out)?;
    faer::set_global_parallelism(faer::Par::rayon(0));
    let brightness = photograph()?;
    println!("brightness of {SIDE}×{SIDE} pixels by polynomials in two variables\n");
    println!("degree columns  cond(A) {:>28} {:>28} {:>28}", WAYS[0], WAYS[1], WAYS[2]);
    println!("{:24} {}", "", "   backward error   seconds  ".repeat(3));
    let mut rows = Vec::new();
    for degree in DEGREES {
        let row = compare(degree, &brightness)?;
        print!("{degree:>6} {:>7} {:>8.0e}", row.columns, row.condition);
        row.ways.iter().for_each(|(error, time)| print!(" {error:>17.1e} {time:>9.3} "));
        println!();
        rows.push(row);
    }
    let path = out.join("least_squares.svg");
    draw(&path, &rows)?;
    println!("\nbackward error: ‖E‖_F/‖A‖_F of the nearest A + E that x solves exactly, estimated");
    println!("written: {}", path.display());
    Ok(())
}

fn compare(degree: usize, brightness: &[f64]) -> Result<Row, Box<dyn Error>> {
    let cpu = Cpu::new();
    let (a, n) = monomials(degree);
    let m = brightness.len();
    let view = MatRef::from_column_major(&cpu, &a, m, n)?;
    let b = MatRef::from_column_major(&cpu, brightness, m, 1)?;
    let (host, right) = (
        faer::MatRef::from_column_major_slice(&a, m, n),
        faer::MatRef::from_column_major_slice(brightness, m, 1),
    );
    let start = Instant::now();
    let found = lstsq(&view, b, LstsqParams::default().method(LstsqMethod::Sketch))?;
    let by_sketch = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let householder = host.qr().solve_lstsq(right);
    let by_qr = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let gram = host.transpose() * host;
    let normal = gram.llt(faer::Side::Lower).map(|llt| llt.solve(host.transpose() * right));
    let by_gram = start.elapsed().as_secs_f64();

    // Another seed than that of the solver: its own sketch is no witness.
    let witness = SketchPreconditioner::new(&view, SketchPreconditionerParams::default().seed(9))?;
    let error = |x: &faer::Mat<f64>| -> randnla::Result<f64> {
        let x = Mat::from_fn(&cpu, n, 1, |i, _| x[(i, 0)])?;
        Ok(witness.backward_errors(&view, b, x.as_ref())?[0])
    };
    let ways = [
        (witness.backward_errors(&view, b, found.x.as_ref())?[0], by_sketch),
        (error(&householder)?, by_qr),
        // Not positive definite any more.
        (normal.map_or(Ok(f64::NAN), |x| error(&x))?, by_gram),
    ];
    Ok(Row { columns: n, condition: found.condition, ways })
}

/// The monomials up to a degree at the pixels, a column each, x and y from 0 to 1; and how many there are.
fn monomials(degree: usize) -> (Vec<f64>, usize) {
    let at = |k: usize| k as f64 / (SIDE - 1) as f64;
    let powers = (0..=degree).flat_map(|i| (0..=degree - i).map(move |j| (i as i32, j as i32)));
    let powers: Vec<(i32, i32)> = powers.collect();
    let pixels = |(i, j): (i32, i32)| {
        (0..SIDE * SIDE).map(move |p| at(p % SIDE).powi(i) * at(p / SIDE).powi(j))
    };
    (powers.iter().flat_map(|&power| pixels(power)).collect(), powers.len())
}

/// The middle of the photograph, brightness from 0 to 1.
fn photograph() -> Result<Vec<f64>, Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/retina.jpg");
    let image = image::open(path)?.to_luma8();
    let (left, top) = ((image.width() - SIDE as u32) / 2, (image.height() - SIDE as u32) / 2);
    let pixel = |p: usize| image.get_pixel(left + (p % SIDE) as u32, top + (p / SIDE) as u32).0[0];
    Ok((0..SIDE * SIDE).map(|p| f64::from(pixel(p)) / 255.0).collect())
}

fn draw(path: &std::path::Path, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, (1200, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(600);
    let longest = rows.iter().flat_map(|row| row.ways).fold(0.0, |t, way| f64::max(t, way.1));
    panel(&left, "backward error", 1e-19..1.0, rows, |way| way.0)?;
    panel(&right, "seconds", 1e-3..2.0 * longest, rows, |way| way.1)?;
    root.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    title: &str,
    y_range: Range<f64>,
    rows: &[Row],
    of: fn(&(f64, f64)) -> f64,
) -> Result<(), Box<dyn Error>> {
    let curve = |way: usize| rows.iter().map(|row| (row.condition, of(&row.ways[way]))).collect();
    let curves: Vec<_> = WAYS.iter().enumerate().map(|(at, &way)| (way, curve(at))).collect();
    let axes = chart::Axes {
        title,
        x: "cond(A)",
        x_range: 1.0..2.0 * rows.last().map_or(1.0, |row| row.condition),
        y_range,
        ticks: [|x| format!("{x:.0e}"), |y| format!("{y:.0e}")],
        key: SeriesLabelPosition::UpperLeft,
    };
    chart::draw(area, axes, &curves)
}
