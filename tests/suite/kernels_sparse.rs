//! Products with compressed sparse rows on a device against the oracle.
//!
//! A sum of k stored entries is off by (k + 4)·u·(|α||X||B| + |β||C|), duplicates counted one by one.

use crate::common::{
    Layout, Place, Plain, Reference, Stored, assert_same_bits, assert_within, cuts, noise,
    on_every_device,
};
use randnla::{Backend, Csr, Op, Scalar, SparseKernels};
use std::ops::Range;

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

type Triplets<'a, T> = &'a [(usize, usize, T)];

/// Triplets with unsorted columns, duplicates, empty rows, and one full row.
fn triplets<T: Scalar>(rows: usize, cols: usize, share: f64) -> Vec<(usize, usize, T)> {
    let mut triplets = Vec::new();
    for i in 0..rows {
        for k in 0..cols {
            let j = (7 * k + i) % cols;
            let keep = noise(11, i, j).abs() < share && i % 5 != 3;
            if keep || i == rows / 2 {
                triplets.push((i, j, T::from_f64(noise(12, i, j))));
            }
            if keep && k % 4 == 0 {
                triplets.push((i, j, T::from_f64(noise(13, i, j))));
            }
        }
    }
    triplets
}

/// The dense matrix of triplets, with a map on the values so that |X| counts duplicates one by one.
fn dense<T: Scalar>(
    rows: usize,
    cols: usize,
    triplets: &[(usize, usize, T)],
    map: impl Fn(f64) -> f64,
) -> Plain {
    let mut x = Plain::zeros(rows, cols);
    for &(i, j, value) in triplets {
        x.set(i, j, x.get(i, j) + map(value.to_f64()));
    }
    x
}

/// The product with rows `window` of X.
fn spmm_case<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
    (rows, cols, n): (usize, usize, usize),
    (window, share): (Range<usize>, f64),
    op: Op,
    [lb, lc]: [Layout; 2],
    factors: (f64, f64),
) {
    let what =
        format!("{} spmm {rows}×{cols}×{n} {window:?} {op:?} {lb:?} {lc:?} {factors:?}", T::NAME);
    let (alpha, beta) = factors;
    let triplets = triplets::<T>(rows, cols, share);
    let height = window.len();
    let (inner, outer) = if op == Op::NoTrans { (cols, height) } else { (height, cols) };
    let value = |skip: bool, seed| move |i, j| if skip { f64::NAN } else { noise(seed, i, j) };
    let b = Stored::<T>::new(lb, inner, n, value(alpha == 0.0, 1));
    let c = Stored::<T>::new(lc, outer, n, value(beta == 0.0, 2));
    fn run<T: Scalar, D: SparseKernels<T>>(
        what: &str,
        device: &D,
        (x, window): (&Csr<T, D>, Range<usize>),
        op: Op,
        (alpha, beta): (f64, f64),
        (b, c): (&Stored<T>, &Stored<T>),
    ) -> Plain {
        let (alpha, beta) = (T::from_f64(alpha), T::from_f64(beta));
        let (x, b) = (x.as_ref().rows(window), b.on(device));
        c.after(what, device, |c| device.spmm(alpha, x, op, b.view(), beta, c))
    }
    let got = place.result(&what, |device| {
        let x = Csr::from_triplets(device, (rows, cols), &triplets).unwrap();
        run(&what, device, (&x, window.clone()), op, factors, (&b, &c))
    });
    let x = Csr::from_triplets(&Reference, (rows, cols), &triplets).unwrap();
    let expected = run(&what, &Reference, (&x, window.clone()), op, factors, (&b, &c));
    let size = dense(rows, cols, &triplets, f64::abs).rows(window.start, window.end);
    let size = if op == Op::NoTrans { size } else { size.transpose() };
    let input = if alpha == 0.0 { b.plain().map(|_| 0.0) } else { b.plain().abs() };
    let size = size.times(&input);
    let bound = Plain::from_fn(outer, n, |i, j| {
        let old = if beta == 0.0 { 0.0 } else { (beta * c.plain_entry(i, j)).abs() };
        (2.0 * inner as f64 + 4.0) * T::UNIT_ROUNDOFF * (alpha.abs() * size.get(i, j) + old)
    });
    assert_within(&what, &got, &expected, &bound);
}

fn spmm_meets_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut case = 0;
    for (turn, shape) in place.sizes(&cuts::SPMM).into_iter().enumerate() {
        let whole = 0..shape.0;
        let window = shape.0 / 3..shape.0 - shape.0 / 4;
        for op in [Op::NoTrans, Op::Trans] {
            for (k, lb) in Layout::READABLE.into_iter().enumerate() {
                for (l, lc) in Layout::WRITABLE.into_iter().enumerate() {
                    case += 1;
                    if !place.takes(&cuts::SPMM_LAYOUTS, case) {
                        continue;
                    }
                    let factors = (FACTORS[(k + turn) % 3], FACTORS[(l + k) % 3]);
                    let x = (whole.clone(), 0.2);
                    spmm_case::<T, D>(place, shape, x, op, [lb, lc], factors);
                }
                let layouts = [lb, Layout::Columns];
                let x = (window.clone(), 0.2);
                spmm_case::<T, D>(place, shape, x, op, layouts, (1.0, 0.0));
            }
        }
    }
    for shape in place.sizes(&cuts::LARGE_SPMM) {
        for op in [Op::NoTrans, Op::Trans] {
            let x = (0..shape.0, 0.05);
            spmm_case::<T, D>(place, shape, x.clone(), op, [Layout::Columns; 2], (1.0, 0.0));
            spmm_case::<T, D>(place, shape, x, op, [Layout::Rows; 2], (-0.75, 1.0));
        }
    }
}

/// The values of a window of rows, as one row.
fn stored_values_are_those_of_the_window<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let triplets = triplets::<T>(50, 40, 0.2);
    let oracle = Csr::from_triplets(&Reference, (50, 40), &triplets).unwrap();
    for rows in [0..50, 20..33, 7..7, 3..4] {
        let stored = place.result("stored values", |device| {
            let x = Csr::from_triplets(device, (50, 40), &triplets).unwrap();
            let stored = device.stored_values(x.as_ref().rows(rows.clone())).unwrap();
            Plain::of(stored)
        });
        let exact = Reference.stored_values(oracle.as_ref().rows(rows)).unwrap();
        assert_eq!(stored, Plain::of(exact));
    }
}

/// Rows whose columns are not in order, rows without entries, windows, and more than one bad value
/// a row.
fn the_first_stored_entry_that_is_not_finite_is_found<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    fn find<T: Scalar, D: SparseKernels<T>>(
        device: &D,
        triplets: Triplets<'_, T>,
        rows: Range<usize>,
    ) -> Option<(usize, usize)> {
        let x = Csr::from_triplets(device, (50, 40), triplets).unwrap();
        device.find_non_finite_stored(x.as_ref().rows(rows)).unwrap()
    }
    let bad = [
        (vec![], 0..50),
        (vec![(0, 3)], 0..50),
        (vec![(49, 39)], 0..50),
        (vec![(30, 9), (30, 4), (30, 31), (12, 7)], 0..50),
        (vec![(30, 9), (30, 4), (30, 31), (12, 7)], 13..50),
        (vec![(12, 7), (40, 0)], 13..40),
        (vec![(13, 20), (13, 2)], 13..14),
        (vec![(7, 7)], 7..7),
    ];
    for (bad, rows) in bad {
        let mut triplets = triplets::<T>(50, 40, 0.2);
        triplets.retain(|&(i, j, _)| !bad.contains(&(i, j)) && i != 11);
        for (turn, &(i, j)) in bad.iter().enumerate() {
            let value = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][turn % 3];
            triplets.push((i, j, T::from_f64(value)));
        }
        let inside = bad.iter().filter(|(i, _)| rows.contains(i));
        let expected = inside.min().map(|&(i, j)| (i - rows.start, j));
        let got = place.result("a search", |device| find(device, &triplets, rows.clone()));
        assert_eq!(got, expected, "{bad:?} {rows:?}");
        assert_eq!(find(&Reference, &triplets, rows.clone()), expected, "{bad:?} {rows:?}");
    }
}

fn spspmm_case<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
    (m, k, n): (usize, usize, usize),
    lc: Layout,
    (alpha, beta): (f64, f64),
) {
    let what = format!("{} spspmm {m}×{k}×{n} {lc:?} α={alpha} β={beta}", T::NAME);
    let (left, right) = (triplets::<T>(m, k, 0.2), triplets::<T>(k, n, 0.3));
    let old =
        Stored::<T>::new(lc, m, n, |i, j| if beta == 0.0 { f64::NAN } else { noise(2, i, j) });
    fn run<T: Scalar, D: SparseKernels<T>>(
        what: &str,
        device: &D,
        (m, k, n): (usize, usize, usize),
        (left, right): (Triplets<'_, T>, Triplets<'_, T>),
        (alpha, beta): (f64, f64),
        c: &Stored<T>,
    ) -> Plain {
        let x = Csr::from_triplets(device, (m, k), left).unwrap();
        let y = Csr::from_triplets(device, (k, n), right).unwrap();
        let (alpha, beta) = (T::from_f64(alpha), T::from_f64(beta));
        c.after(what, device, |c| device.spspmm(alpha, x.as_ref(), y.as_ref(), beta, c))
    }
    let (shape, factors) = ((m, k, n), (alpha, beta));
    let got =
        place.result(&what, |device| run(&what, device, shape, (&left, &right), factors, &old));
    let expected = run(&what, &Reference, shape, (&left, &right), factors, &old);
    let size = dense(m, k, &left, f64::abs).times(&dense(k, n, &right, f64::abs));
    let bound = Plain::from_fn(m, n, |i, j| {
        let old = if beta == 0.0 { 0.0 } else { (beta * old.plain_entry(i, j)).abs() };
        (4.0 * k as f64 + 4.0) * T::UNIT_ROUNDOFF * (alpha.abs() * size.get(i, j) + old)
    });
    assert_within(&what, &got, &expected, &bound);
}

fn spspmm_meets_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for shape in place.sizes(&cuts::SPSPMM) {
        for (turn, lc) in Layout::WRITABLE.into_iter().enumerate() {
            for beta in FACTORS {
                spspmm_case::<T, D>(place, shape, lc, (FACTORS[(turn + 1) % 3], beta));
            }
        }
    }
}

/// Columns of compressed rows, from anywhere, into any layout, written once.
fn compressed_rows_are_made_dense<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    fn run<T: Scalar, D: SparseKernels<T>>(
        what: &str,
        device: &D,
        (shape, entries): ((usize, usize), Triplets<'_, T>),
        first: usize,
        c: &Stored<T>,
    ) -> Plain {
        let x = Csr::from_triplets(device, shape, entries).unwrap();
        c.after(what, device, |c| device.expand(x.as_ref(), first, c))
    }
    for (m, n) in place.sizes(&cuts::EXPANDED) {
        let entries = triplets::<T>(m, n, 0.4);
        let x = ((m, n), &entries[..]);
        for (first, end) in [(0, n), (n / 3, n), (n / 2, n / 2 + 1), (n, n)] {
            for layout in Layout::WRITABLE {
                let what = format!("{} {m}×{n} {first}..{end} {layout:?}", T::NAME);
                let c = Stored::<T>::new(layout, m, end - first, |_, _| f64::NAN);
                let got = place.result(&what, |device| run(&what, device, x, first, &c));
                assert_same_bits(&what, &got, &run(&what, &Reference, x, first, &c));
            }
        }
    }
}

on_every_device! {
    spmm_meets_the_rounding_model: f32 f64,
    stored_values_are_those_of_the_window: f32 f64,
    the_first_stored_entry_that_is_not_finite_is_found: f32 f64,
    spspmm_meets_the_rounding_model: f32 f64,
    compressed_rows_are_made_dense: f32 f64,
}
