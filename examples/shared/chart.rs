//! One chart with curves, dots and a key, both axes logarithmic.

use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::ops::Range;

/// Told apart by most colour-blind readers (after Okabe and Ito).
pub const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// What the axes say.
pub struct Axes<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub x_range: Range<f64>,
    pub y_range: Range<f64>,
    /// How a number on the x axis and one on the y axis is written.
    pub ticks: [fn(f64) -> String; 2],
    pub key: SeriesLabelPosition,
}

/// A curve and its name; points that have no logarithm are left out.
pub type Curve<'a> = (&'a str, Vec<(f64, f64)>);

pub fn draw(
    area: &DrawingArea<SVGBackend, Shift>,
    axes: Axes<'_>,
    curves: &[Curve<'_>],
) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(axes.title, ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d(axes.x_range.log_scale(), axes.y_range.log_scale())?;
    let [x_tick, y_tick] = axes.ticks;
    chart
        .configure_mesh()
        .x_desc(axes.x)
        .x_label_formatter(&|x| x_tick(*x))
        .y_label_formatter(&|y| y_tick(*y))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .bold_line_style(BLACK.mix(0.14))
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for ((name, curve), colour) in curves.iter().zip(COLOURS) {
        let seen = curve.iter().copied().filter(|point| point.0 > 0.0 && point.1 > 0.0);
        chart
            .draw_series(LineSeries::new(seen.clone(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
        chart.draw_series(seen.map(|dot| Circle::new(dot, 4, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(axes.key)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}
