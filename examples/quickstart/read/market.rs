//! Matrix Market files, written out as dense f64 matrices.

use super::{Entries, MAX_DENSE_BYTES, Matrix, Order, checked_len};
use nalgebra_sparse::CooMatrix;
use nalgebra_sparse::io::{MatrixMarketScalar, load_coo_from_matrix_market_str};

pub fn parse(name: &str, bytes: &[u8]) -> Result<Matrix, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "Matrix Market file that is not text")?;
    // The format allows blank lines, the reader does not.
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let (rows, cols, len) = sizes(&lines)?;
    let field = lines.first().and_then(|header| header.split_whitespace().nth(3));
    let text = &lines.join("\n");
    // The reader converts nothing: the field of the file decides on the type.
    let entries = match field.map(str::to_ascii_lowercase).as_deref() {
        Some("integer") => load(text, (rows, cols, len), |&x: &i64| x as f64),
        Some("pattern") => load(text, (rows, cols, len), |()| 1.0),
        Some("complex") => {
            let found =
                "Matrix Market file of complex numbers; what can be read: real, integer, pattern";
            Err(found.into())
        }
        _ => load(text, (rows, cols, len), |&x: &f64| x),
    }?;
    let (order, entries) = (Order::RowMajor, Entries::F64(entries));
    Ok(Matrix { name: name.into(), rows, cols, order, entries, channels: None })
}

/// Rows, columns and their product, which are looked at before the reader is: it trusts them.
fn sizes(lines: &[&str]) -> Result<(usize, usize, usize), String> {
    let size = lines.iter().find(|line| !line.starts_with('%'));
    let mut words = size.map(|line| line.split_whitespace()).into_iter().flatten();
    let numbers: Option<Vec<usize>> = words.by_ref().map(|word| word.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[rows, cols, ..]) => checked_len(rows, cols, size_of::<f64>(), MAX_DENSE_BYTES)
            .map(|len| (rows, cols, len))
            .map_err(|found| format!("Matrix Market file, to be written out densely: {found}")),
        _ => Err("Matrix Market file, cut off or wrong: no sizes below the header".into()),
    }
}

fn load<T: MatrixMarketScalar>(
    text: &str,
    (rows, cols, len): (usize, usize, usize),
    value: impl Fn(&T) -> f64,
) -> Result<Vec<f64>, String> {
    let coo: CooMatrix<T> = load_coo_from_matrix_market_str(text).map_err(|error| {
        let message = error.message().trim().replace('\n', "\n  ");
        format!("Matrix Market file, cut off or wrong: {message}")
    })?;
    if (coo.nrows(), coo.ncols()) != (rows, cols) {
        return Err("Matrix Market file, cut off or wrong: its sizes".into());
    }
    let mut dense = vec![0.0; len];
    // An entry that is listed twice counts twice, as in SciPy.
    coo.triplet_iter().for_each(|(i, j, x)| dense[i * cols + j] += value(x));
    Ok(dense)
}
