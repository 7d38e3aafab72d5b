//! PNG and JPEG: a picture of w×h pixels is an h×(c·w) matrix of numbers in [0, 1], c = 3 for
//! colour and 1 for grey. Transparency is dropped.

use super::{Entries, Matrix, Order};
use image::{DynamicImage, ImageFormat};

pub fn parse_png(name: &str, bytes: &[u8]) -> Result<Matrix, String> {
    let picture = image::load_from_memory_with_format(bytes, ImageFormat::Png)
        .map_err(|error| format!("PNG picture, broken or cut off: {error}"))?;
    matrix(name, picture)
}

pub fn parse_jpeg(name: &str, bytes: &[u8]) -> Result<Matrix, String> {
    let picture = image::load_from_memory_with_format(bytes, ImageFormat::Jpeg)
        .map_err(|error| format!("JPEG picture, broken or cut off: {error}"))?;
    // The decoder fills what is missing with grey, so the end marker is looked for here.
    let last_scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap_or(0);
    if !bytes[last_scan..].windows(2).any(|pair| pair == [0xff, 0xd9]) {
        return Err("JPEG picture, cut off: it has no end marker".into());
    }
    matrix(name, picture)
}

fn matrix(name: &str, picture: DynamicImage) -> Result<Matrix, String> {
    let (rows, width) = (picture.height() as usize, picture.width() as usize);
    let (channels, entries) = if picture.color().has_color() {
        (3, picture.to_rgb32f().into_raw())
    } else {
        (1, picture.to_luma32f().into_raw())
    };
    Ok(Matrix {
        name: name.into(),
        rows,
        cols: channels * width,
        order: Order::RowMajor,
        entries: Entries::F32(entries),
        channels: Some(channels),
    })
}
