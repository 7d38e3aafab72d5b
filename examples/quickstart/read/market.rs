//! Matrix Market coordinate files, written out as dense f64 matrices.
//!
//! Source: Boisvert, Pozo and Remington, "The Matrix Market exchange formats", 1996.

use super::{Entries, MAX_DENSE_BYTES, Matrix, Order, checked_len};

/// What entry (j, i) is when the file holds entry (i, j) only.
#[derive(Clone, Copy)]
enum Symmetry {
    General,
    Symmetric,
    Skew,
}

pub fn parse(name: &str, bytes: &[u8]) -> Result<Matrix, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "Matrix Market file that is not text")?;
    let mut lines = text.lines().zip(1..);
    let (header, _) = lines.next().unwrap_or_default();
    let (has_values, symmetry) = parse_header(header)?;

    let mut lines = lines.filter(|(line, _)| !line.starts_with('%') && !line.trim().is_empty());
    let (size, _) = lines.next().ok_or("Matrix Market file, cut off before its sizes")?;
    let numbers: Option<Vec<usize>> = size.split_whitespace().map(|s| s.parse().ok()).collect();
    let Some(&[rows, cols, count]) = numbers.as_deref() else {
        return Err(format!(
            "Matrix Market file: \"{}\" should be rows, columns, entries",
            excerpt(size)
        ));
    };
    if rows != cols && !matches!(symmetry, Symmetry::General) {
        return Err(format!("Matrix Market file: symmetric, but {rows}×{cols}"));
    }
    let len = checked_len(rows, cols, size_of::<f64>(), MAX_DENSE_BYTES)
        .map_err(|found| format!("Matrix Market file, to be written out densely: {found}"))?;

    let mut dense = vec![0.0; len];
    let mut found = 0;
    for (line, number) in lines {
        let (i, j, value) = parse_entry(line, has_values, rows, cols).ok_or_else(|| {
            let line = excerpt(line);
            format!("Matrix Market file, line {number}: \"{line}\" is no entry of {rows}×{cols}")
        })?;
        // An entry that is listed twice counts twice, as in SciPy.
        dense[i * cols + j] += value;
        match symmetry {
            Symmetry::Symmetric if i != j => dense[j * cols + i] += value,
            Symmetry::Skew if i != j => dense[j * cols + i] -= value,
            _ => {}
        }
        found += 1;
    }
    if found != count {
        return Err(format!("Matrix Market file, cut off or wrong: {found} of {count} entries"));
    }
    let (order, entries) = (Order::RowMajor, Entries::F64(dense));
    Ok(Matrix { name: name.into(), rows, cols, order, entries, channels: None })
}

fn parse_header(header: &str) -> Result<(bool, Symmetry), String> {
    let lower = header.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let &["%%matrixmarket", "matrix", "coordinate", field, symmetry] = words.as_slice() else {
        return Err(unsupported(header));
    };
    let has_values = match field {
        "real" | "integer" => true,
        "pattern" => false,
        _ => return Err(unsupported(header)),
    };
    match symmetry {
        "general" => Ok((has_values, Symmetry::General)),
        "symmetric" => Ok((has_values, Symmetry::Symmetric)),
        "skew-symmetric" => Ok((has_values, Symmetry::Skew)),
        _ => Err(unsupported(header)),
    }
}

fn unsupported(header: &str) -> String {
    format!(
        "Matrix Market file with the header \"{}\"; what can be read: matrix coordinate, \
         real, integer or pattern, general, symmetric or skew-symmetric",
        excerpt(header)
    )
}

fn excerpt(line: &str) -> String {
    line.chars().take(80).collect()
}

fn parse_entry(
    line: &str,
    has_values: bool,
    rows: usize,
    cols: usize,
) -> Option<(usize, usize, f64)> {
    let mut words = line.split_whitespace();
    let i = words.next()?.parse::<usize>().ok()?.checked_sub(1).filter(|&i| i < rows)?;
    let j = words.next()?.parse::<usize>().ok()?.checked_sub(1).filter(|&j| j < cols)?;
    let value = if has_values { words.next()?.parse().ok()? } else { 1.0 };
    words.next().is_none().then_some((i, j, value))
}
