//! Compresses one matrix several times and measures what came out.

use crate::read::{Entries, Matrix, Order};
use faer::linalg::matmul::matmul;
use faer::{Accum, Par};
use randnla::decomp::{RsvdParams, Svd, rsvd};
use randnla::{Backend, Blas, Cpu, Mat, Scalar};
use std::error::Error;
use std::time::{Duration, Instant};

/// What a matrix is to be compressed to.
pub struct Targets {
    pub ranks: Vec<usize>,
    pub error: f64,
}

/// One compression. Errors are Frobenius norms relative to that of the matrix.
pub struct Row {
    pub target: String,
    pub rank: usize,
    pub error: f64,
    pub estimate: f64,
    pub kind: String,
    pub time: Duration,
    pub bytes: usize,
    /// The compressed picture, in row-major order; empty unless the matrix is one.
    pub picture: Vec<f32>,
}

/// A matrix and its compressions.
pub struct Report<'a> {
    pub matrix: &'a Matrix,
    pub dtype: &'static str,
    /// The unit roundoff of the type: relative to ‖A‖, less than this is rounding.
    pub precision: f64,
    pub bytes: usize,
    pub rows: Vec<Row>,
    /// `None` when a full SVD would take minutes.
    pub reference: Option<Reference>,
}

/// What faer's full SVD says, and how long it took.
pub struct Reference {
    pub singular_values: Vec<f64>,
    pub time: Duration,
}

/// The largest m·n·min(m, n) for which a full SVD is worth the wait.
const MAX_SVD_WORK: f64 = 1e11;

pub fn study<'a>(matrix: &'a Matrix, targets: &Targets) -> Result<Report<'a>, Box<dyn Error>> {
    match &matrix.entries {
        Entries::F32(entries) => study_entries(matrix, entries, targets),
        Entries::F64(entries) => study_entries(matrix, entries, targets),
    }
}

fn study_entries<'a, T>(
    matrix: &'a Matrix,
    entries: &[T],
    targets: &Targets,
) -> Result<Report<'a>, Box<dyn Error>>
where
    T: Scalar + faer::traits::RealField,
    Cpu: Backend<T>,
{
    let (cpu, m, n) = (Cpu::new(), matrix.rows, matrix.cols);
    let a = match matrix.order {
        Order::RowMajor => Mat::from_row_major(&cpu, entries, m, n)?,
        Order::ColumnMajor => Mat::from_column_major(&cpu, entries, m, n)?,
    };
    // The reference loses its footing at extreme scales. Powers of two change no relative error.
    let unit = 2f64.powi(-exponent(cpu.max_abs(a.as_ref())?));
    let exact = faer::Mat::from_fn(m, n, |i, j| unit * a.get(i, j).to_f64());

    let mut ranks: Vec<usize> = targets.ranks.iter().map(|&k| k.min(m).min(n)).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let mut tasks: Vec<(String, RsvdParams)> =
        ranks.iter().map(|&k| (format!("rank {k}"), RsvdParams::rank(k).seed(7))).collect();
    let error = targets.error;
    tasks.push((format!("error {error}"), RsvdParams::tolerance(error).seed(7)));

    let mut rows = Vec::new();
    for (target, params) in tasks {
        let (svd, time) = timed(|| rsvd(&a, params))?;
        let approximation = multiply_out(&svd, unit);
        rows.push(Row {
            target,
            rank: svd.s.len(),
            error: ratio((&exact - &approximation).norm_l2(), exact.norm_l2()),
            estimate: svd.error.relative,
            kind: svd.error.kind.to_string(),
            time,
            bytes: (m + n + 1) * svd.s.len() * size_of::<T>(),
            picture: match matrix.channels {
                Some(_) => approximation
                    .row_iter()
                    .flat_map(|r| r.iter().map(|x| (*x / unit) as f32))
                    .collect(),
                None => Vec::new(),
            },
        });
    }

    let work = m as f64 * n as f64 * m.min(n) as f64;
    let reference =
        if work <= MAX_SVD_WORK { Some(full_svd(&exact.map(|x| T::from_f64(*x)))?) } else { None };
    let (dtype, precision) = (T::NAME, T::UNIT_ROUNDOFF);
    Ok(Report { matrix, dtype, precision, bytes: m * n * size_of::<T>(), rows, reference })
}

fn full_svd<T>(a: &faer::Mat<T>) -> Result<Reference, Box<dyn Error>>
where
    T: Scalar + faer::traits::RealField,
{
    let (svd, time) = timed(|| a.thin_svd()).map_err(|e| format!("faer's SVD: {e:?}"))?;
    let singular_values = svd.S().column_vector().iter().map(|s| s.to_f64()).collect();
    Ok(Reference { singular_values, time })
}

/// unit·U Σ Vᵀ in f64, so that the measured error is that of the factors alone.
fn multiply_out<T: Scalar>(svd: &Svd<T, Cpu>, unit: f64) -> faer::Mat<f64>
where
    Cpu: Backend<T>,
{
    let (m, n, k) = (svd.u.nrows(), svd.vt.ncols(), svd.s.len());
    let us = faer::Mat::from_fn(m, k, |i, j| svd.u.get(i, j).to_f64() * (unit * svd.s[j].to_f64()));
    let vt = faer::Mat::from_fn(k, n, |i, j| svd.vt.get(i, j).to_f64());
    let mut product = faer::Mat::zeros(m, n);
    matmul(&mut product, Accum::Replace, &us, &vt, 1.0, Par::rayon(0));
    product
}

impl Reference {
    /// The error of the best approximation of rank k: ‖(σₖ₊₁, …)‖ / ‖σ‖ (Eckart and Young).
    pub fn optimal_error(&self, k: usize) -> f64 {
        // Divided by the largest first, so that no square leaves the range of f64.
        let largest = self.singular_values.first().copied().unwrap_or(0.0);
        let norm = |values: &[f64]| {
            values.iter().rev().map(|s| ratio(*s, largest).powi(2)).sum::<f64>().sqrt()
        };
        ratio(norm(&self.singular_values[k..]), norm(&self.singular_values))
    }
}

/// e with 2^(e−1) ≤ |x| < 2^(e+1), kept where 2^e and 2^−e are both finite; 0 for what has none.
fn exponent(x: f64) -> i32 {
    if x > 0.0 && x.is_finite() { x.log2().clamp(-1000.0, 1000.0) as i32 } else { 0 }
}

/// a/b, and 0/0 = 0: nothing is lost of a zero matrix.
fn ratio(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a / b }
}

/// The result of a first run, which warms up, and the median time of up to five more within about
/// a second.
fn timed<R, E>(mut call: impl FnMut() -> Result<R, E>) -> Result<(R, Duration), E> {
    let result = call()?;
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.is_empty() || (times.len() < 5 && begin.elapsed() < Duration::from_secs(1)) {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok((result, times[times.len() / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Matrix {
        let entries = (0..rows * cols).map(|index| f(index / cols, index % cols)).collect();
        let (name, order, entries) = ("test".into(), Order::RowMajor, Entries::F64(entries));
        Matrix { name, rows, cols, order, entries, channels: None }
    }

    fn targets() -> Targets {
        Targets { ranks: vec![2, 8, 32], error: 0.1 }
    }

    #[test]
    fn errors_are_near_the_optimum_and_the_ranks_fit() {
        let hilbert = matrix(30, 20, |i, j| 1.0 / (1 + i + j) as f64);
        let report = study(&hilbert, &targets()).unwrap();
        assert!(report.rows.iter().all(|row| row.rank <= 20));
        assert!(report.rows.last().unwrap().error <= 0.1);
        let reference = report.reference.unwrap();
        for row in &report.rows {
            let optimal = reference.optimal_error(row.rank);
            assert!(row.error >= optimal - 1e-14 && row.error <= 1.5 * optimal + 1e-14);
        }
    }

    #[test]
    fn entries_that_are_not_finite_are_named() {
        let hole = matrix(20, 10, |i, j| if (i, j) == (3, 7) { f64::NAN } else { 1.0 });
        let message = study(&hole, &targets()).err().expect("must be refused").to_string();
        assert!(message.contains("row 3") && message.contains("column 7"), "{message}");
    }

    #[test]
    fn extreme_scales_and_zeros_have_errors_too() {
        for scale in [0.0, 1e-250, 1e200] {
            let scaled = matrix(20, 10, |i, j| scale / (1 + i + j) as f64);
            let report = study(&scaled, &targets()).unwrap();
            assert!(report.rows.iter().all(|row| row.error.is_finite() && row.error < 0.1));
        }
    }
}
