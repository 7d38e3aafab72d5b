//! Spectra, and errors against rank, as SVG: one curve a matrix, up to eight in a figure.

use crate::study::Report;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Told apart by most colour-blind readers (after Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 70, 150),
    RGBColor(90, 90, 90),
];

/// Writes `curves.svg`, and `curves-2.svg`, … when there are more matrices than colours.
pub fn write(out: &Path, reports: &[Report]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut paths = Vec::new();
    for (group, number) in reports.chunks(COLOURS.len()).zip(1..) {
        let name = if number == 1 { "curves.svg".into() } else { format!("curves-{number}.svg") };
        let path = out.join(name);
        draw(&path, group)?;
        paths.push(path);
    }
    Ok(paths)
}

fn draw(path: &Path, reports: &[Report]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, (1320, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let (charts, key) = root.split_horizontally(1060);
    let (left, right) = charts.split_horizontally(530);
    singular_values(&left, reports)?;
    errors(&right, reports)?;
    legend(&key, reports)?;
    root.present()?;
    Ok(())
}

fn singular_values(area: &Area, reports: &[Report]) -> Result<(), Box<dyn Error>> {
    let curves: Vec<Vec<(f64, f64)>> = reports
        .iter()
        .map(|report| {
            let values = report.reference.iter().flat_map(|r| &r.singular_values);
            let largest = values.clone().next().copied().unwrap_or(1.0);
            let values = values.map(|s| s / largest).take_while(|s| *s > report.precision);
            (1..).map(f64::from).zip(values).collect()
        })
        .collect();
    chart(area, "singular values", "index i", "σᵢ / σ₁", &curves, &[])
}

fn errors(area: &Area, reports: &[Report]) -> Result<(), Box<dyn Error>> {
    let dots: Vec<Vec<(f64, f64)>> = reports
        .iter()
        .map(|report| report.rows.iter().map(|row| (row.rank as f64, row.error)).collect())
        .collect();
    // Beyond the last dot, the optimum only stretches the axes.
    let last = dots.iter().flatten().map(|dot| dot.0).fold(1.0, f64::max) as usize;
    let curves: Vec<Vec<(f64, f64)>> = reports
        .iter()
        .map(|report| match &report.reference {
            Some(reference) => (1..=last.min(reference.singular_values.len()))
                .map(|k| (k as f64, reference.optimal_error(k)))
                .take_while(|(_, error)| *error > report.precision)
                .collect(),
            None => Vec::new(),
        })
        .collect();
    chart(
        area,
        "error: optimal (line), randomised (dots)",
        "rank",
        "‖A − UΣVᵀ‖ / ‖A‖",
        &curves,
        &dots,
    )
}

fn chart(
    area: &Area,
    title: &str,
    x_label: &str,
    y_label: &str,
    curves: &[Vec<(f64, f64)>],
    dots: &[Vec<(f64, f64)>],
) -> Result<(), Box<dyn Error>> {
    // Neither rank 0 nor an error of 0 has a logarithm.
    let visible = |point: &&(f64, f64)| point.0 > 0.0 && point.1 > 0.0;
    let (x_range, y_range) = ranges(curves.iter().chain(dots).flatten().filter(visible));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d(x_range.log_scale(), y_range.log_scale())?;
    chart
        .configure_mesh()
        .x_desc(x_label)
        .y_desc(y_label)
        .x_label_formatter(&|x| format!("{x}"))
        .y_label_formatter(&|y| tick(*y))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .bold_line_style(BLACK.mix(0.14))
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for (curve, colour) in curves.iter().zip(&COLOURS) {
        let points = curve.iter().filter(visible).copied();
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
    }
    for (dots, colour) in dots.iter().zip(&COLOURS) {
        let dots = dots.iter().filter(visible);
        chart.draw_series(dots.map(|&dot| Circle::new(dot, 4, colour.filled())))?;
    }
    Ok(())
}

/// A power of ten as such, and other numbers as they are.
fn tick(y: f64) -> String {
    let exponent = y.log10().round();
    if (y.log10() - exponent).abs() > 1e-6 {
        return format!("{y:.2}");
    }
    let superscript = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32(u32::from(digit) - u32::from('0') + 0x2070).unwrap_or(digit),
    };
    format!("10{}", (exponent as i32).to_string().chars().map(superscript).collect::<String>())
}

/// Axes that hold every point, and never an empty range.
fn ranges<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> (Range<f64>, Range<f64>) {
    let (last, least) =
        points.fold((2.0f64, 0.5f64), |(last, least), &(x, y)| (last.max(x), least.min(y)));
    (1.0..1.1 * last, 0.8 * least..1.2)
}

fn legend(area: &Area, reports: &[Report]) -> Result<(), Box<dyn Error>> {
    for ((report, colour), y) in reports.iter().zip(&COLOURS).zip((60..).step_by(26)) {
        let line = PathElement::new([(0, y), (26, y)], colour.stroke_width(3));
        area.draw(&line)?;
        area.draw(&Circle::new((13, y), 4, colour.filled()))?;
        let name = ellipsis(&report.matrix.name, 30);
        area.draw(&Text::new(name, (34, y - 7), ("sans-serif", 14)))?;
    }
    Ok(())
}

/// The end of a name tells tensors of a model apart, so that is what stays.
fn ellipsis(name: &str, limit: usize) -> String {
    let len = name.chars().count();
    if len <= limit {
        return name.into();
    }
    std::iter::once('…').chain(name.chars().skip(len - limit + 1)).collect()
}
