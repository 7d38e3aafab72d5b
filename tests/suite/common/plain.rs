//! A plain column-major matrix of `f64` on the host, and the few operations that tests need of it.

use super::wide::Wide;
use randnla::{Blas, Mat, MatRef, Scalar, Storage, StorageKernels};

/// A rows×cols matrix in column-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<f64>,
}

impl Plain {
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, cols, data: vec![0.0; rows * cols] }
    }

    pub fn from_fn(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        let data = (0..rows * cols).map(|at| f(at % rows, at / rows)).collect();
        Self { rows, cols, data }
    }

    pub fn of<T: Storage, D: StorageKernels<T>>(a: MatRef<'_, T, D>) -> Self {
        let data = a.to_vec().unwrap().into_iter().map(|x| x.widen().to_f64()).collect();
        Self { rows: a.nrows(), cols: a.ncols(), data }
    }

    pub fn get(&self, i: usize, j: usize) -> f64 {
        assert!(i < self.rows && j < self.cols);
        self.data[i + j * self.rows]
    }

    pub fn set(&mut self, i: usize, j: usize, x: f64) {
        assert!(i < self.rows && j < self.cols);
        self.data[i + j * self.rows] = x;
    }

    pub fn column(&self, j: usize) -> &[f64] {
        &self.data[j * self.rows..(j + 1) * self.rows]
    }

    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { data: self.data.iter().map(|&x| f(x)).collect(), ..*self }
    }

    pub fn abs(&self) -> Self {
        self.map(f64::abs)
    }

    pub fn transpose(&self) -> Self {
        Self::from_fn(self.cols, self.rows, |i, j| self.get(j, i))
    }

    pub fn rows(&self, from: usize, to: usize) -> Self {
        Self::from_fn(to - from, self.cols, |i, j| self.get(from + i, j))
    }

    pub fn columns(&self, from: usize, to: usize) -> Self {
        Self::from_fn(self.rows, to - from, |i, j| self.get(i, from + j))
    }

    /// The entries rounded to T.
    pub fn rounded<T: Scalar>(&self) -> Self {
        self.map(|x| T::from_f64(x).to_f64())
    }

    pub fn to_mat<T: Scalar, D: Blas<T>>(&self, device: &D) -> Mat<T, D> {
        let host: Vec<T> = self.data.iter().map(|&x| T::from_f64(x)).collect();
        Mat::from_column_major(device, &host, self.rows, self.cols).unwrap()
    }

    pub fn minus(&self, other: &Self) -> Self {
        assert_eq!((self.rows, self.cols), (other.rows, other.cols));
        let data = self.data.iter().zip(&other.data).map(|(x, y)| x - y).collect();
        Self { data, ..*self }
    }

    /// The product in ordinary f64 arithmetic.
    pub fn times(&self, other: &Self) -> Self {
        assert_eq!(self.cols, other.rows);
        let mut product = Self::zeros(self.rows, other.cols);
        for (j, column) in product.data.chunks_mut(self.rows.max(1)).enumerate() {
            for (k, &factor) in other.column(j).iter().enumerate() {
                for (sum, &x) in column.iter_mut().zip(self.column(k)) {
                    *sum += factor * x;
                }
            }
        }
        product
    }

    /// The product in twice the precision of f64, rounded once. Entries of a finite matrix that are zero change no
    /// sum, so that products with sparse operators cost what is stored.
    pub fn times_exactly(&self, other: &Self) -> Self {
        assert_eq!(self.cols, other.rows);
        let finite = self.data.iter().chain(&other.data).all(|x| x.is_finite());
        let terms = |x: &[f64]| -> Vec<(usize, f64)> {
            x.iter().copied().enumerate().filter(|&(_, x)| !finite || x != 0.0).collect()
        };
        let lines = self.transpose();
        let lines: Vec<_> = (0..self.rows).map(|i| terms(lines.column(i))).collect();
        Self::from_fn(self.rows, other.cols, |i, j| {
            let (mut sum, column) = (Wide::default(), other.column(j));
            lines[i].iter().for_each(|&(k, x)| sum.add_product(x, column[k]));
            sum.value()
        })
    }

    /// ‖A‖_F, for any scale.
    pub fn norm(&self) -> f64 {
        let largest = self.data.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        if largest == 0.0 || !largest.is_finite() {
            return largest;
        }
        largest * self.data.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt()
    }

    /// ‖AᵀA − I‖_F.
    pub fn orthogonality(&self) -> f64 {
        let gram = self.transpose().times_exactly(self);
        gram.minus(&Self::from_fn(self.cols, self.cols, |i, j| f64::from(u8::from(i == j)))).norm()
    }

    /// The singular values, by faer.
    pub fn singular_values(&self) -> Vec<f64> {
        let a = faer::Mat::from_fn(self.rows, self.cols, |i, j| self.get(i, j));
        a.singular_values().expect("faer's SVD converges")
    }
}

/// Every |got − expected| ≤ bound; a NaN is a failure.
#[track_caller]
pub fn assert_within(what: &str, got: &Plain, expected: &Plain, bound: &Plain) {
    assert_eq!((got.rows, got.cols), (expected.rows, expected.cols), "{what}: shape");
    for j in 0..got.cols {
        for i in 0..got.rows {
            let (x, y, limit) = (got.get(i, j), expected.get(i, j), bound.get(i, j));
            // Written so that NaN fails.
            let fits = (x - y).abs() <= limit;
            assert!(fits, "{what}: entry ({i}, {j}) is {x:e}, expected {y:e} ± {limit:e}");
        }
    }
}

/// Every column of `got − expected` has a 2-norm of at most `bound[j]`.
#[track_caller]
pub fn assert_columns_within(what: &str, got: &Plain, expected: &Plain, bound: &[f64]) {
    let difference = got.minus(expected);
    for (j, &limit) in bound.iter().enumerate() {
        let error = difference.column(j).iter().map(|x| x * x).sum::<f64>().sqrt();
        let fits = error <= limit;
        assert!(fits, "{what}: column {j} is off by {error:e}, allowed {limit:e}");
    }
}

/// Equal bits, NaN equal to NaN.
#[track_caller]
pub fn assert_same_bits(what: &str, got: &Plain, expected: &Plain) {
    assert_eq!((got.rows, got.cols), (expected.rows, expected.cols), "{what}: shape");
    for (at, (x, y)) in got.data.iter().zip(&expected.data).enumerate() {
        let same = x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
        assert!(same, "{what}: entry ({}, {}): {x:e} ≠ {y:e}", at % got.rows, at / got.rows);
    }
}
