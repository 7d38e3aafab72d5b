//! Matrices from files: NumPy, safetensors, PNG, JPEG and Matrix Market.
//!
//! The first bytes of a file say what it is; its name is not asked. Sizes that a header claims are
//! held against the bytes that are there before anything is allocated.

mod market;
mod npy;
mod picture;
mod tensors;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

/// A matrix as it lay in a file.
#[derive(Debug)]
pub struct Matrix {
    pub name: String,
    pub rows: usize,
    pub cols: usize,
    pub order: Order,
    pub entries: Entries,
    /// Set when the matrix is a picture: numbers a pixel (1 grey, 3 colour), along the rows.
    pub channels: Option<usize>,
}

/// Which index runs fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    RowMajor,
    ColumnMajor,
}

/// The numbers, in the precision of the file.
#[derive(Debug, PartialEq)]
pub enum Entries {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// What a file held: its matrices, and a line for everything that was passed over.
#[derive(Debug)]
pub struct Contents {
    pub matrices: Vec<Matrix>,
    pub notes: Vec<String>,
}

/// Why a file gave no matrix.
#[derive(Debug)]
pub struct ReadError {
    pub path: PathBuf,
    pub found: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.found)
    }
}

impl std::error::Error for ReadError {}

pub const SUPPORTED: &str =
    "  .npy          two-dimensional array of f32 or f64, C or Fortran order
  .safetensors  every two-dimensional f32, f64, f16 or bf16 tensor in it
  PNG, JPEG     colour pictures: the channels of a pixel are neighbours in a row
  .mtx          Matrix Market: real, integer or pattern";

/// The largest sparse matrix that is written out densely.
const MAX_DENSE_BYTES: usize = 1 << 30;

/// Reads every matrix of a file.
pub fn read(path: &Path) -> Result<Contents, ReadError> {
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    parse(&name, std::fs::read(path).map_err(|error| format!("cannot be read: {error}")))
        .map_err(|found| ReadError { path: path.to_owned(), found })
}

fn parse(name: &str, bytes: Result<Vec<u8>, String>) -> Result<Contents, String> {
    let bytes = bytes?;
    let one = |matrix| Contents { matrices: vec![matrix], notes: Vec::new() };
    match sniff(&bytes)? {
        Format::Npy => npy::parse(name, &bytes).map(one),
        Format::Safetensors => tensors::parse(name, &bytes),
        Format::Png => picture::parse_png(name, &bytes).map(one),
        Format::Jpeg => picture::parse_jpeg(name, &bytes).map(one),
        Format::MatrixMarket => market::parse(name, &bytes).map(one),
    }
}

#[derive(Debug, PartialEq)]
enum Format {
    Npy,
    Safetensors,
    Png,
    Jpeg,
    MatrixMarket,
}

fn sniff(bytes: &[u8]) -> Result<Format, String> {
    const READ_HERE: [(&[u8], Format); 3] = [
        (b"\x93NUMPY", Format::Npy),
        (b"\x89PNG\r\n\x1a\n", Format::Png),
        (b"\xff\xd8\xff", Format::Jpeg),
    ];
    const KNOWN: [(&[u8], &str); 9] = [
        (b"PK\x03\x04", "a ZIP archive (.npz, .pt): unpack it first"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\x1f\x8b", "a gzip file: unpack it first"),
        (b"GIF8", "a GIF picture"),
        (b"BM", "a BMP picture"),
        (b"II*\0", "a TIFF picture"),
        (b"MM\0*", "a TIFF picture"),
        (b"RIFF", "a RIFF file (WebP, WAV, AVI)"),
        (b"GGUF", "a GGUF model"),
    ];
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    if let Some((_, format)) = READ_HERE.into_iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Ok(format);
    }
    if starts_with_ignoring_case(bytes, b"%%MatrixMarket") {
        return Ok(Format::MatrixMarket);
    }
    // A safetensors file opens with the length of its JSON header, then the header.
    if bytes.get(8) == Some(&b'{') && bytes[4..8].iter().all(|&byte| byte == 0) {
        return Ok(Format::Safetensors);
    }
    let found = match KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some((_, what)) => format!("found {what}"),
        None if std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok() => {
            "found text without a %%MatrixMarket header".into()
        }
        None => format!("found unknown content, first bytes {:02x?}", &bytes[..bytes.len().min(8)]),
    };
    Err(format!("{found}; what can be read:\n{SUPPORTED}"))
}

fn starts_with_ignoring_case(bytes: &[u8], magic: &[u8]) -> bool {
    bytes.get(..magic.len()).is_some_and(|start| start.eq_ignore_ascii_case(magic))
}

/// The number of entries of a rows×cols matrix whose `size`-byte entries fill `limit` at most.
fn checked_len(rows: usize, cols: usize, size: usize, limit: usize) -> Result<usize, String> {
    let bytes = rows.checked_mul(cols).and_then(|len| len.checked_mul(size));
    match bytes {
        Some(0) => Err(format!("the matrix is {rows}×{cols}: there is nothing in it")),
        Some(bytes) if bytes <= limit => Ok(rows * cols),
        _ => Err(format!("{rows}×{cols} entries of {size} bytes are more than {limit} bytes")),
    }
}
