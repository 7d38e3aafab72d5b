//! Matrix Market files, written out as dense f64 matrices.

use super::{Entries, MAX_DENSE_BYTES, Matrix, Order, checked_len};
use nalgebra_sparse::CooMatrix;
use nalgebra_sparse::io::{
    MatrixMarketError, MatrixMarketErrorKind, MatrixMarketScalar, load_coo_from_matrix_market_str,
};

pub fn parse(name: &str, bytes: &[u8]) -> Result<Matrix, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "Matrix Market file that is not text")?;
    // The format allows blank lines, the reader does not.
    let text: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let text = &text.join("\n");
    // The reader converts nothing: the field of the file decides on the type.
    let dense = load(text, |&x: &f64| x)
        .or_else(|error| otherwise(error, || load(text, |&x: &i64| x as f64)))
        .or_else(|error| otherwise(error, || load(text, |()| 1.0)));
    let (rows, cols, entries) = dense.map_err(|error| match error {
        Refused::Size(found) => format!("Matrix Market file, to be written out densely: {found}"),
        Refused::Text(error) if error.kind() == MatrixMarketErrorKind::TypeMismatch => {
            "Matrix Market file of complex numbers; what can be read: real, integer, pattern".into()
        }
        Refused::Text(error) => {
            let message = error.message().trim().replace('\n', "\n  ");
            format!("Matrix Market file, cut off or wrong: {message}")
        }
    })?;
    let (order, entries) = (Order::RowMajor, Entries::F64(entries));
    Ok(Matrix { name: name.into(), rows, cols, order, entries, channels: None })
}

enum Refused {
    Text(MatrixMarketError),
    Size(String),
}

type Dense = (usize, usize, Vec<f64>);

fn load<T: MatrixMarketScalar>(text: &str, value: impl Fn(&T) -> f64) -> Result<Dense, Refused> {
    let coo: CooMatrix<T> = load_coo_from_matrix_market_str(text).map_err(Refused::Text)?;
    let (rows, cols) = (coo.nrows(), coo.ncols());
    let len = checked_len(rows, cols, size_of::<f64>(), MAX_DENSE_BYTES).map_err(Refused::Size)?;
    let mut dense = vec![0.0; len];
    // An entry that is listed twice counts twice, as in SciPy.
    coo.triplet_iter().for_each(|(i, j, x)| dense[i * cols + j] += value(x));
    Ok((rows, cols, dense))
}

/// A file of another type is tried with `next`.
fn otherwise(
    error: Refused,
    next: impl FnOnce() -> Result<Dense, Refused>,
) -> Result<Dense, Refused> {
    match error {
        Refused::Text(e) if e.kind() == MatrixMarketErrorKind::TypeMismatch => next(),
        error => Err(error),
    }
}
