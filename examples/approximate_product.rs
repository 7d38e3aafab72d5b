//! Approximate products of real matrices: the error that a cost buys, method by method, and what the planner says.
//!
//! ```text
//! cargo run --release --example approximate_product                         activations and weights in examples/data
//! cargo run --release --example approximate_product -- [--error E] A B      the product of two files of your own
//! ```
//! Products of a transformer (all-MiniLM-L6-v2): activations times weights, queries times keys, and the second moments of
//! the activations. Printed are the relative error and the time beside that of the exact product, for rising sizes, and the
//! plan for an error; drawn in `approximate_product.svg` are errors against times. Times are the least of a few calls.

#[path = "quickstart/read/mod.rs"]
#[allow(dead_code)]
mod read;

use plotters::coord::Shift;
use plotters::prelude::*;
use randnla::decomp::QbParams;
use randnla::product::{
    PlanParams, ProductMethod, ProductPlan, Sampling, plan_product, product, product_into,
};
use randnla::{Cpu, Mat, MatRef, Sketch};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

const USAGE: &str = "\
usage: approximate_product [--out DIR] [--error E] [A B]
  --out DIR   where the picture goes              (target/approximate_product)
  --error E   the relative error that is planned for   (0.3)
  A B         two files, each with a matrix (the first of it): A has as many columns as B rows";

/// Told apart by most colour-blind readers (after Okabe and Ito).
const WAYS: [(&str, RGBColor); 5] = [
    ("sample, by norms", RGBColor(230, 159, 0)),
    ("sample, systematic", RGBColor(213, 94, 0)),
    ("SparseStack sketch", RGBColor(0, 114, 178)),
    ("low rank", RGBColor(0, 158, 115)),
    ("low rank, a power pass", RGBColor(204, 121, 167)),
];

/// A·B, by every way at every size.
struct Study {
    name: String,
    /// Relative error, as it is and as it was said, and time beside the exact product's; a curve a way.
    curves: Vec<Vec<Point>>,
    plan: ProductPlan,
    /// What was planned, at its place.
    chosen: Point,
}

#[derive(Clone, Copy)]
struct Point {
    size: usize,
    error: f64,
    said: f64,
    time: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::from_args(std::env::args().skip(1))? else {
        println!("{USAGE}");
        return Ok(());
    };
    std::fs::create_dir_all(&options.out)?;
    let products = match &options.files[..] {
        [] => shipped()?,
        [a, b] => vec![("A B".into(), first(a)?, first(b)?)],
        _ => return Err(USAGE.into()),
    };
    let mut studies = Vec::new();
    for (name, a, b) in &products {
        let study = study(name, a.as_ref(), b.as_ref(), options.error)?;
        print(&study, (a.nrows(), a.ncols(), b.ncols()), options.error);
        studies.push(study);
    }
    let path = options.out.join("approximate_product.svg");
    draw(&path, &studies)?;
    println!("written: {}", path.display());
    Ok(())
}

fn study(
    name: &str,
    a: MatRef<'_, f32>,
    b: MatRef<'_, f32>,
    target: f64,
) -> Result<Study, Box<dyn Error>> {
    let n = a.ncols();
    let exact = product(a, b, ProductMethod::Exact)?.c.to_vec()?;
    let norm = exact.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let whole = seconds(a, b, ProductMethod::Exact)?;
    let point = |size, method| -> Result<Point, Box<dyn Error>> {
        let found = product(a, b, method)?;
        let gap = |(x, y): (&f32, &f32)| (f64::from(*x) - f64::from(*y)).powi(2);
        let error = found.c.to_vec()?.iter().zip(&exact).map(gap).sum::<f64>().sqrt() / norm;
        Ok(Point {
            size,
            error,
            said: found.error.absolute / norm,
            time: seconds(a, b, method)? / whole,
        })
    };
    let most = n.min(a.nrows()).min(b.ncols());
    let mut curves = Vec::new();
    for way in 0..WAYS.len() {
        let mut curve = Vec::new();
        for share in [64, 32, 16, 8, 4, 2] {
            let size = (if way < 3 { n } else { most / 2 }) / share;
            let sample = |sampling| ProductMethod::Sample { sampling, count: size, seed: 1 };
            let method = match way {
                0 => sample(Sampling::Norms),
                1 => sample(Sampling::Systematic),
                2 => ProductMethod::Sketch(Sketch::sparse_stack(size, n, 8.min(size), 1)?),
                _ => ProductMethod::LowRank(QbParams::rank(size).power_passes(way - 3)),
            };
            if size > 0 {
                curve.push(point(size, method)?);
            }
        }
        curves.push(curve);
    }
    let plan = plan_product(a, b, PlanParams::target_error(target).seed(1))?;
    let chosen = point(0, plan.chosen.method)?;
    Ok(Study { name: name.into(), curves, plan, chosen })
}

/// The least time of some calls.
fn seconds(a: MatRef<'_, f32>, b: MatRef<'_, f32>, method: ProductMethod) -> randnla::Result<f64> {
    let mut c = Mat::zeros(a.device(), a.nrows(), b.ncols())?;
    let mut least = f64::INFINITY;
    for _ in 0..4 {
        let start = Instant::now();
        product_into(1.0, a, b, 0.0, c.as_mut(), method)?;
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least)
}

fn print(study: &Study, (m, n, p): (usize, usize, usize), target: f64) {
    println!("{}: ({m}×{n})·({n}×{p}), κ² = {:.0}", study.name, study.plan.kappa_squared);
    for ((name, _), curve) in WAYS.iter().zip(&study.curves) {
        println!("  {name:<24} size   error    said    time");
        for Point { size, error, said, time } in curve {
            println!("  {:<24} {size:>4} {error:>7.3} {said:>7.3} {time:>7.2}", "");
        }
    }
    let Point { error, time, .. } = study.chosen;
    println!("  planned for {target}: {}", study.plan);
    println!("  it gives an error of {error:.3} in {time:.2} of the time\n");
}

/// What the product is, A and B.
type Job = (String, Mat<f32>, Mat<f32>);

/// Products of one layer of a transformer.
fn shipped() -> Result<Vec<Job>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let activations = folder.join("minilm-activations.safetensors");
    let (x, q, k) =
        (named(&activations, "x_ffn")?, named(&activations, "q")?, named(&activations, "k")?);
    let w = named(&folder.join("minilm-layer0.safetensors"), "intermediate.dense")?;
    let turned = |a: &Mat<f32>| a.transpose().to_owned();
    Ok(vec![
        ("X·W, activations and weights".into(), x.as_ref().to_owned()?, turned(&w)?),
        ("Q·Kᵀ, queries and keys".into(), q, turned(&k)?),
        ("XᵀX, second moments".into(), turned(&x)?, x),
    ])
}

fn named(path: &Path, name: &str) -> Result<Mat<f32>, Box<dyn Error>> {
    let matrices = read::read(path)?.matrices;
    let found = matrices.into_iter().find(|matrix| matrix.name.ends_with(name));
    to_mat(&found.ok_or(format!("{}: no {name}", path.display()))?)
}

fn first(path: &Path) -> Result<Mat<f32>, Box<dyn Error>> {
    let matrices = read::read(path)?.matrices;
    to_mat(matrices.first().ok_or(format!("{}: no matrix", path.display()))?)
}

fn to_mat(matrix: &read::Matrix) -> Result<Mat<f32>, Box<dyn Error>> {
    let entries: Vec<f32> = match &matrix.entries {
        read::Entries::F32(entries) => entries.clone(),
        read::Entries::F64(entries) => entries.iter().map(|&x| x as f32).collect(),
    };
    let (rows, cols, cpu) = (matrix.rows, matrix.cols, Cpu::new());
    Ok(match matrix.order {
        read::Order::RowMajor => Mat::from_row_major(&cpu, &entries, rows, cols)?,
        read::Order::ColumnMajor => Mat::from_column_major(&cpu, &entries, rows, cols)?,
    })
}

fn draw(path: &Path, studies: &[Study]) -> Result<(), Box<dyn Error>> {
    let size = (480 * studies.len() as u32 + 20, 460);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, study) in root.split_evenly((1, studies.len())).iter().zip(studies) {
        chart(area, study)?;
    }
    root.present()?;
    Ok(())
}

fn chart(area: &DrawingArea<SVGBackend, Shift>, study: &Study) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(&study.name, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d((0.02..3.0).log_scale(), (0.02..5.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("time, the exact product = 1")
        .y_desc("‖C − AB‖ / ‖AB‖")
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 15))
        .bold_line_style(BLACK.mix(0.14))
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for (curve, (name, colour)) in study.curves.iter().zip(WAYS) {
        let dots: Vec<_> = curve.iter().map(|point| (point.time, point.error)).collect();
        chart
            .draw_series(LineSeries::new(dots.clone(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
        chart.draw_series(dots.into_iter().map(|dot| Circle::new(dot, 4, colour.filled())))?;
    }
    let chosen = (study.chosen.time, study.chosen.error.max(0.02));
    chart
        .draw_series([TriangleMarker::new(chosen, 11, BLACK.stroke_width(2))])?
        .label("the plan")
        .legend(|(x, y)| TriangleMarker::new((x + 10, y), 8, BLACK.stroke_width(2)));
    chart.draw_series([PathElement::new([(1.0, 0.02), (1.0, 5.0)], BLACK.mix(0.4))])?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

struct Options {
    out: PathBuf,
    error: f64,
    files: Vec<PathBuf>,
}

impl Options {
    /// `None` when help was asked for.
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let out = "target/approximate_product".into();
        let mut options = Self { out, error: 0.3, files: Vec::new() };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value\n{USAGE}"));
            match arg.as_str() {
                "-h" | "--help" => return Ok(None),
                "--out" => options.out = value()?.into(),
                "--error" => {
                    let text = value()?;
                    let error = text.parse().ok().filter(|error| 0.0 < *error && *error < 1.0);
                    options.error = error
                        .ok_or(format!("--error {text}: a number between 0 and 1 is needed"))?;
                }
                _ if arg.starts_with("--") => return Err(format!("unknown {arg}\n{USAGE}")),
                _ => options.files.push(arg.into()),
            }
        }
        Ok(Some(options))
    }
}
