//! A picture and its compressed versions, side by side: a PNG, and an SVG that shows it with
//! captions (in SVG, so that no font has to be shipped).

use crate::read::Entries;
use crate::study::Report;
use crate::table::percent;
use image::imageops::{self, FilterType};
use image::{ImageFormat, Rgb, RgbImage};
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The largest width and height of a panel; larger pictures are shrunk.
const PANEL: u32 = 480;
const GAP: u32 = 12;
const CAPTION: u32 = 30;
const CAPTION_WIDTH: u32 = 360;

/// What stands above each panel.
pub fn captions(report: &Report) -> Vec<String> {
    let rows = report.rows.iter().map(|row| {
        let bytes = percent(row.bytes as f64 / report.bytes as f64);
        format!("rank {}: error {}, {bytes} of the bytes", row.rank, percent(row.error))
    });
    std::iter::once(format!("original {}", report.matrix.name)).chain(rows).collect()
}

/// Writes `NAME.png` and `NAME.svg`; nothing when the matrix is no picture.
pub fn write(out: &Path, report: &Report) -> Result<Option<PathBuf>, Box<dyn Error>> {
    let (Some(channels), Entries::F32(original)) = (report.matrix.channels, &report.matrix.entries)
    else {
        return Ok(None);
    };
    let (width, height) = ((report.matrix.cols / channels) as u32, report.matrix.rows as u32);
    let versions = std::iter::once(original).chain(report.rows.iter().map(|row| &row.picture));
    let panels: Vec<RgbImage> =
        versions.map(|entries| panel(entries, channels, width, height)).collect();

    let (width, height) = panels[0].dimensions();
    let step = width.max(CAPTION_WIDTH) + GAP;
    let total = step * panels.len() as u32 - GAP;
    let mut strip = RgbImage::from_pixel(total, height, Rgb([255; 3]));
    for (panel, x) in panels.iter().zip((0..).step_by(step as usize)) {
        imageops::replace(&mut strip, panel, x, 0);
    }
    let png = format!("{}.png", report.matrix.name);
    let mut bytes = Vec::new();
    strip.write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png)?;
    std::fs::write(out.join(&png), &bytes)?;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <image href=\"data:image/png;base64,{}\" y=\"{CAPTION}\" width=\"{total}\" height=\"{height}\"/>\n\
         <g font-family=\"sans-serif\" font-size=\"15\" fill=\"#222\">\n",
        height + CAPTION,
        base64(&bytes)
    );
    for (caption, x) in captions(report).iter().zip((0..).step_by(step as usize)) {
        writeln!(svg, "<text x=\"{x}\" y=\"20\">{}</text>", escape(caption))?;
    }
    let path = out.join(format!("{}.svg", report.matrix.name));
    std::fs::write(&path, svg + "</g>\n</svg>\n")?;
    Ok(Some(path))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0, |word, i| word << 8 | usize::from(*chunk.get(i).unwrap_or(&0)));
        for i in 0..4 {
            let digit = char::from(DIGITS[word >> (18 - 6 * i) & 63]);
            text.push(if i <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

fn panel(entries: &[f32], channels: usize, width: u32, height: u32) -> RgbImage {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let start = (y as usize * width as usize + x as usize) * channels;
        let byte = |channel: usize| (255.0 * entries[start + channel % channels] + 0.5) as u8;
        Rgb([byte(0), byte(1), byte(2)])
    });
    let shrink = (f64::from(PANEL) / f64::from(width.max(height))).min(1.0);
    let scaled = |length: u32| ((shrink * f64::from(length)).round() as u32).max(1);
    imageops::resize(&picture, scaled(width), scaled(height), FilterType::CatmullRom)
}
