//! Small factorizations on the host, in `f64` and on one thread: the same bits for any pool.

use crate::{Error, Result};
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::LltError;
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::linalg::triangular_inverse::invert_upper_triangular;
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par, Spec};

/// The factors of a small matrix: columns of `u` and `v` belong to the falling values `s`.
pub(crate) struct SmallSvd {
    pub(crate) u: Mat<f64>,
    pub(crate) s: Vec<f64>,
    pub(crate) v: Mat<f64>,
}

/// The thin SVD of a finite matrix.
pub(crate) fn small_svd(op: &'static str, a: MatRef<'_, f64>) -> Result<SmallSvd> {
    let (m, n) = a.shape();
    let k = m.min(n);
    let (mut u, mut v) = (Mat::zeros(m, k), Mat::zeros(n, k));
    let mut s = Diag::<f64>::zeros(k);
    let thin = ComputeSvdVectors::Thin;
    let scratch = svd_scratch::<f64>(m, n, thin, thin, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    svd(a, s.as_mut(), Some(u.as_mut()), Some(v.as_mut()), Par::Seq, stack, Default::default())
        .map_err(|_| Error::NoConvergence { op, iterations: 0 })?;
    // The factors leave the solver orthonormal to some ten u√k only.
    polish(&mut u);
    polish(&mut v);
    Ok(SmallSvd { u, s: (0..k).map(|i| s[i]).collect(), v })
}

/// The eigenvalues of a finite symmetric matrix, falling, and its eigenvectors. The lower triangle is read.
pub(crate) fn small_eigen(op: &'static str, a: MatRef<'_, f64>) -> Result<(Vec<f64>, Mat<f64>)> {
    let n = a.nrows();
    let mut u = Mat::zeros(n, n);
    let mut s = Diag::<f64>::zeros(n);
    let vectors = ComputeEigenvectors::Yes;
    let scratch = self_adjoint_evd_scratch::<f64>(n, vectors, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    self_adjoint_evd(a, s.as_mut(), Some(u.as_mut()), Par::Seq, stack, Default::default())
        .map_err(|_| Error::NoConvergence { op, iterations: 0 })?;
    polish(&mut u);
    // The solver returns them rising.
    let values = (0..n).rev().map(|i| s[i]).collect();
    Ok((values, u.as_ref().reverse_cols().to_owned()))
}

/// The inverse of a square matrix of full rank.
pub(crate) fn small_inverse(op: &'static str, a: &Mat<f64>) -> Result<Mat<f64>> {
    let SmallSvd { mut u, s, v } = small_svd(op, a.as_ref())?;
    u.col_iter_mut().zip(s).for_each(|(u, s)| u.iter_mut().for_each(|x| *x /= s));
    Ok(small_product(&v, &u.transpose().to_owned()))
}

/// A·B.
pub(crate) fn small_product(a: &Mat<f64>, b: &Mat<f64>) -> Mat<f64> {
    let mut product = Mat::zeros(a.nrows(), b.ncols());
    matmul(product.as_mut(), Accum::Replace, a.as_ref(), b.as_ref(), 1.0, Par::Seq);
    product
}

/// A Gram matrix factored with pivoting as far as it is well conditioned.
pub(super) struct PivotedCholesky {
    /// The columns taken, in order.
    pub(super) pivots: Vec<usize>,
    /// Row k of R over all columns of G is column k, for each pivot.
    pub(super) rows: Mat<f64>,
}

impl PivotedCholesky {
    /// The inverse of the upper triangular factor of the taken columns.
    pub(super) fn inverse(&self) -> Mat<f64> {
        let r = self.pivots.len();
        let upper = |i: usize, j: usize| if i <= j { self.rows[(self.pivots[j], i)] } else { 0.0 };
        let factor = Mat::from_fn(r, r, upper);
        let mut inverse = Mat::zeros(r, r);
        invert_upper_triangular(inverse.as_mut(), factor.as_ref(), Par::Seq);
        inverse
    }

    /// The l×`taken` matrix X, column by column, such that Y·X are the first `taken` pivots made
    /// orthonormal, from the inverse of the factor.
    pub(super) fn combination(
        &self,
        inverse: &Mat<f64>,
        l: usize,
        taken: usize,
    ) -> impl Iterator<Item = f64> {
        let mut x = vec![0.0; l * taken];
        for j in 0..taken {
            (0..=j).for_each(|k| x[j * l + self.pivots[k]] = inverse[(k, j)]);
        }
        x.into_iter()
    }
}

/// Columns that a factorization takes before it updates the rest by a matrix product.
const BLOCK: usize = 64;

/// Rᵀ R = G\[pivots, pivots\] for the pivots whose residual is above `floor`, largest residual
/// first. G is symmetric, column-major, of the order of `floor`. n³ flops, all but 64n² of them in products
/// (as LAPACK's `pstrf`, which is spared the columns that are taken).
pub(super) fn pivoted_cholesky(g: &[f64], floor: &[f64]) -> PivotedCholesky {
    let n = floor.len();
    let mut residual: Vec<f64> = (0..n).map(|j| g[j * n + j]).collect();
    let mut taken = vec![false; n];
    let mut pivots: Vec<usize> = Vec::new();
    // G − RᵀR for the blocks that are finished; the lower triangle.
    let mut trailing = MatRef::from_column_major_slice(g, n, n).to_owned();
    // Column k is row k of R over all columns of G.
    let mut rows = Mat::<f64>::zeros(n, n);
    let mut finished = 0;
    loop {
        let candidate = |&j: &usize| !taken[j] && residual[j] > floor[j];
        let larger = |a: &usize, b: &usize| residual[*a].total_cmp(&residual[*b]).then(b.cmp(a));
        let Some(p) = (0..n).filter(candidate).max_by(larger) else { break };
        let k = pivots.len();
        if k == finished + BLOCK {
            subtract_product(trailing.as_mut(), rows.as_ref().subcols(finished, BLOCK));
            finished = k;
        }
        let (known, mut rest) = rows.as_mut().split_at_col_mut(k);
        let row = rest.rb_mut().col_mut(0).try_as_col_major_mut().expect("a column").as_slice_mut();
        (0..p).for_each(|i| row[i] = trailing[(p, i)]);
        (p..n).for_each(|i| row[i] = trailing[(i, p)]);
        for k in finished..k {
            let known = known.rb().col(k).try_as_col_major().expect("a column").as_slice();
            let factor = known[p];
            row.iter_mut().zip(known).for_each(|(x, k)| *x -= factor * k);
        }
        let factor = 1.0 / residual[p].sqrt();
        row.iter_mut().for_each(|x| *x *= factor);
        residual.iter_mut().zip(&*row).for_each(|(residual, x)| *residual -= x * x);
        taken[p] = true;
        pivots.push(p);
    }
    rows.truncate(n, pivots.len());
    PivotedCholesky { pivots, rows }
}

/// `G ← G − X Xᵀ`, the lower triangle.
fn subtract_product(g: MatMut<'_, f64>, x: MatRef<'_, f64>) {
    let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
    triangular::matmul(g, lower, Accum::Add, x, full, x.transpose(), full, -1.0, Par::Seq);
}

/// The lower L with LLᵀ = G, column-major, or the order of the leading block that still is positive
/// definite. Only the lower triangle of the leading block of G, of order n and column-major with
/// leading dimension `ld`, is read.
pub(super) fn cholesky(g: &[f64], ld: usize, n: usize) -> core::result::Result<Vec<f64>, usize> {
    let mut factor: Vec<f64> = (0..n).flat_map(|j| g[j * ld..j * ld + n].to_vec()).collect();
    let view = MatMut::from_column_major_slice_mut(&mut factor, n, n);
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Spec::default()));
    let stack = MemStack::new(&mut memory);
    match cholesky_in_place(view, Default::default(), Par::Seq, stack, Spec::default()) {
        Ok(_) => Ok(factor),
        Err(LltError::NonPositivePivot { index }) => Err(index.min(n - 1)),
    }
}

/// The Cholesky factor of the largest leading block of G that has one, of order n at most, and its order.
pub(super) fn leading_cholesky(g: &[f64], n: usize) -> (Vec<f64>, usize) {
    let mut order = n;
    while order > 0 {
        match cholesky(g, n, order) {
            Ok(lower) => return (lower, order),
            Err(positive) => order = positive,
        }
    }
    (Vec::new(), 0)
}

/// The condition number of a lower triangular L of order n, column-major: the ratio of its extreme singular
/// values by some steps of power iteration, a little below the truth.
pub(crate) fn triangular_condition(l: &[f64], n: usize) -> f64 {
    /// Each step squares the distance to the other singular values; a factor of 2 is good enough.
    const STEPS: usize = 4;
    let column = |j: usize| &l[j * n + j..(j + 1) * n];
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let normalise = |x: &mut [f64]| {
        let norm = dot(x, x).sqrt();
        x.iter_mut().for_each(|x| *x /= norm);
        norm
    };
    // Fixed numbers without a pattern that L could share.
    let start = |j: usize| (1.0 + j as f64 * 0.618_033_988_749_894_9).fract() - 0.5;
    let (mut large, mut small): (Vec<f64>, Vec<f64>) = (0..n).map(|j| (start(j), start(j))).unzip();
    let (mut largest, mut smallest) = (0.0, 0.0);
    for _ in 0..STEPS {
        normalise(&mut large);
        // LᵀL x, from the first row of Lᵀ on: row j of it needs entries from j on.
        (0..n).for_each(|j| large[j] = dot(column(j), &large[j..]));
        largest = normalise(&mut large);
        for j in (0..n).rev() {
            let factor = core::mem::replace(&mut large[j], 0.0);
            large[j..].iter_mut().zip(column(j)).for_each(|(x, l)| *x += factor * l);
        }
        normalise(&mut small);
        // L⁻ᵀL⁻¹ x.
        for j in 0..n {
            small[j] /= column(j)[0];
            let factor = small[j];
            small[j + 1..].iter_mut().zip(&column(j)[1..]).for_each(|(x, l)| *x -= factor * l);
        }
        smallest = normalise(&mut small);
        for j in (0..n).rev() {
            small[j] = (small[j] - dot(&column(j)[1..], &small[j + 1..])) / column(j)[0];
        }
    }
    largest * smallest
}

/// R ← Lᵀ R for a lower triangular L of order n, column-major, and an upper triangular R.
pub(crate) fn times_upper(l: &[f64], r: &Mat<f64>) -> Mat<f64> {
    let n = r.nrows();
    multiply_upper(MatRef::from_column_major_slice(l, n, n).transpose(), r.as_ref())
}

/// The product of two upper triangular matrices of one order; what lies below their diagonals is not read.
pub(super) fn multiply_upper(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let n = a.nrows();
    let upper = BlockStructure::TriangularUpper;
    let mut product = Mat::zeros(n, n);
    let to = product.as_mut();
    triangular::matmul(to, upper, Accum::Replace, a, upper, b, upper, 1.0, Par::Seq);
    product
}

/// X ← X(3I − XᵀX)/2: columns that are orthonormal to a small ε become so to ε² (Newton-Schulz).
fn polish(x: &mut Mat<f64>) {
    let k = x.ncols();
    let mut correction = Mat::<f64>::identity(k, k);
    correction.diagonal_mut().column_vector_mut().fill(1.5);
    matmul(correction.as_mut(), Accum::Add, x.transpose(), x.as_ref(), -0.5, Par::Seq);
    let mut product = Mat::zeros(x.nrows(), k);
    matmul(product.as_mut(), Accum::Replace, x.as_ref(), correction.as_ref(), 1.0, Par::Seq);
    *x = product;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indefinite_gram_matrix_is_told() {
        assert_eq!(cholesky(&[4.0, 2.0, 2.0, 5.0], 2, 2).unwrap()[..2], [2.0, 1.0]);
        assert_eq!(cholesky(&[4.0, 2.0, 2.0, 5.0], 2, 1).unwrap(), [2.0]);
        assert_eq!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2, 2), Err(1));
        assert_eq!(cholesky(&[f64::NAN], 1, 1), Err(0));
    }

    #[test]
    fn blocks_and_their_update_give_the_factor() {
        // Graded columns in mixed order, more of them than three blocks.
        let n = 3 * BLOCK + 7;
        let a = Mat::<f64>::from_fn(n, n, |i, j| {
            let wave = ((i * i + 3 * j * j + 7 * i * j) as f64).sin();
            wave * f64::powi(2.0, -((j * 29 % n) as i32) / 16)
        });
        let gram = a.transpose() * &a;
        let g: Vec<f64> = (0..n * n).map(|k| gram[(k % n, k / n)]).collect();
        let factor = pivoted_cholesky(&g, &vec![0.0; n]);
        assert_eq!(factor.pivots.len(), n);
        let inverse = factor.inverse();
        let x = factor.combination(&inverse, n, n).collect::<Vec<_>>();
        let q = &a * MatRef::from_column_major_slice(&x, n, n);
        // cond(A)² u bounds the loss of orthogonality; the matrix is that well conditioned.
        let loss = (q.transpose() * &q - Mat::<f64>::identity(n, n)).norm_l2();
        assert!(loss < 1e-6, "{loss:e}");
        // Pivots fall: the diagonal of R does.
        let diagonal: Vec<f64> = (0..n).map(|j| 1.0 / inverse[(j, j)]).collect();
        assert!(diagonal.windows(2).all(|d| d[1] <= d[0] * (1.0 + 1e-6)));
    }

    #[test]
    fn eigenvalues_fall_and_inverses_invert() {
        for n in [0, 1, 2, 9, 40] {
            let wave = |i: usize, j: usize| ((3 * i * i + 7 * j * j + i * j) as f64).sin();
            let a = Mat::from_fn(n, n, |i, j| wave(i.max(j), i.min(j)));
            let (values, u) = small_eigen("test", a.as_ref()).unwrap();
            assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
            let scaled = Mat::from_fn(n, n, |i, j| u[(i, j)] * values[j]);
            let gap = small_product(&a, &u) - scaled;
            let limit = 1e-14 * (1 + n) as f64 * a.norm_l2();
            assert!(gap.norm_l2() <= limit, "{n}: {:e}", gap.norm_l2());
            let b =
                Mat::from_fn(n, n, |i, j| wave(i, j) + if i == j { 2.0 * n as f64 } else { 0.0 });
            let identity = small_product(&small_inverse("test", &b).unwrap(), &b);
            assert!((identity - Mat::<f64>::identity(n, n)).norm_l2() <= 1e-12);
        }
    }

    #[test]
    fn the_condition_of_a_triangle() {
        for n in [1, 2, 7, 40] {
            let wave = |i: usize, j: usize| ((3 * i * i + 7 * j * j + i * j) as f64).sin();
            let l = Mat::from_fn(n, n, |i, j| match i.cmp(&j) {
                core::cmp::Ordering::Less => 0.0,
                core::cmp::Ordering::Equal => f64::powi(2.0, (i % 7) as i32),
                core::cmp::Ordering::Greater => wave(i, j),
            });
            let slice: Vec<f64> = (0..n * n).map(|k| l[(k % n, k / n)]).collect();
            let s = l.singular_values().unwrap();
            let ratio = triangular_condition(&slice, n) / (s[0] / s[n - 1]);
            assert!((0.5..=1.0 + 1e-9).contains(&ratio), "{n}: {ratio}");
            let r = l.transpose().to_owned();
            let gap = times_upper(&slice, &r) - l.transpose() * &r;
            assert!(gap.norm_l2() <= 1e-12 * s[0] * s[0]);
        }
    }

    #[test]
    fn pivots_stop_at_the_rank() {
        // Columns: e₀, 2e₁, e₀ + e₁, 0.
        let a = [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.0, 0.0]];
        let dot = |x: [f64; 2], y: [f64; 2]| x[0] * y[0] + x[1] * y[1];
        let g: Vec<f64> = (0..16).map(|k| dot(a[k / 4], a[k % 4])).collect();
        let factor = pivoted_cholesky(&g, &[1e-10; 4]);
        assert_eq!(factor.pivots, [1, 0]);
        assert_eq!(factor.inverse(), faer::mat![[0.5, 0.0], [0.0, 1.0]]);
        assert!(pivoted_cholesky(&[0.0], &[0.0]).pivots.is_empty());
        assert!(pivoted_cholesky(&[], &[]).pivots.is_empty());
    }
}
