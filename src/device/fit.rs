//! Whether arguments of kernels fit: kernels are safe functions, so a misfit is a panic and never a
//! stray access.

use crate::{Device, MatRef, Op, Scalar, Sketch};

/// A matrix has the shape that the others call for.
#[track_caller]
pub(super) fn fit(got: (usize, usize), expected: (usize, usize)) {
    assert!(got == expected, "a matrix is {got:?}, expected {expected:?}");
}

/// A product C = A B fits.
#[track_caller]
pub(super) fn fit_product(a: (usize, usize), b: (usize, usize), c: (usize, usize)) {
    assert!(a.1 == b.0 && c == (a.0, b.1), "{a:?} times {b:?} does not fit {c:?}");
}

/// A matrix has the columns `first..` that are copied to another.
#[track_caller]
pub(super) fn fit_columns(a: (usize, usize), first: usize, c: (usize, usize)) {
    let fits = a.0 == c.0 && first <= a.1 && c.1 <= a.1 - first;
    assert!(fits, "columns from {first} of {a:?} do not fit {c:?}");
}

/// Matrices are convolved that have the shape of the result, one at least.
#[track_caller]
pub(super) fn fit_factors<T: Scalar, D: Device>(factors: &[MatRef<'_, T, D>], c: (usize, usize)) {
    assert!(!factors.is_empty(), "a convolution without factors");
    factors.iter().for_each(|a| fit(a.shape(), c));
}

/// Rows that are written by different tasks are different rows.
#[track_caller]
pub(super) fn fit_distinct(index: &[usize], rows: usize) {
    let mut seen = vec![false; rows];
    for &i in index {
        assert!(!core::mem::replace(&mut seen[i], true), "row {i} is written twice");
    }
}

/// The kernel is for operators of this family.
#[track_caller]
pub(super) fn fit_family(s: &Sketch, fits: bool) {
    assert!(fits, "the kernel is not for the family {:?}", s.family());
}

/// The shape as it enters a product.
pub(super) fn op_shape(op: Op, (rows, cols): (usize, usize)) -> (usize, usize) {
    match op {
        Op::NoTrans => (rows, cols),
        Op::Trans => (cols, rows),
    }
}
