//! Products with compressed sparse rows: the CPU against the oracle.
//!
//! A sum of k stored entries is off by (k + 4)·u·(|α||X||B| + |β||C|), duplicates counted one by one.

use crate::common::{
    Layout, Plain, Reference, Stored, assert_same_bits, assert_within, cpus, noise,
};
use randnla::{Backend, Cpu, Csr, Op, Scalar, SparseKernels};

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

fn spmm_case<T: Scalar>(
    (rows, cols, n): (usize, usize, usize),
    share: f64,
    op: Op,
    [lb, lc]: [Layout; 2],
    (alpha, beta): (f64, f64),
) where
    Cpu: Backend<T>,
{
    let what =
        format!("{} spmm {rows}×{cols}×{n} {op:?} {lb:?} {lc:?} α={alpha} β={beta}", T::NAME);
    let triplets = triplets::<T>(rows, cols, share);
    let (inner, outer) = if op == Op::NoTrans { (cols, rows) } else { (rows, cols) };
    let value = |skip: bool, seed| move |i, j| if skip { f64::NAN } else { noise(seed, i, j) };
    let b = Stored::<T>::new(lb, inner, n, value(alpha == 0.0, 1));
    let c = Stored::<T>::new(lc, outer, n, value(beta == 0.0, 2));
    fn run<T: Scalar, D: SparseKernels<T>>(
        device: &D,
        x: &Csr<T, D>,
        op: Op,
        (alpha, beta): (f64, f64),
        b: &Stored<T>,
        c: &Stored<T>,
    ) -> Stored<T> {
        let mut c = c.clone();
        let (alpha, beta) = (T::from_f64(alpha), T::from_f64(beta));
        device.spmm(alpha, x.as_ref(), op, b.view(device), beta, c.view_mut(device)).unwrap();
        c
    }
    let on = |cpu: &Cpu| {
        let x = Csr::from_triplets(cpu, (rows, cols), &triplets).unwrap();
        let c = run(cpu, &x, op, (alpha, beta), &b, &c);
        c.assert_gaps_untouched(&what);
        c.plain()
    };
    let x = Csr::from_triplets(&Reference, (rows, cols), &triplets).unwrap();
    let expected = run(&Reference, &x, op, (alpha, beta), &b, &c).plain();
    let size = dense(rows, cols, &triplets, f64::abs);
    let size = if op == Op::NoTrans { size } else { size.transpose() };
    let input = if alpha == 0.0 { b.plain().map(|_| 0.0) } else { b.plain().abs() };
    let size = size.times(&input);
    let bound = Plain::from_fn(outer, n, |i, j| {
        let old = if beta == 0.0 { 0.0 } else { (beta * c.plain_entry(i, j)).abs() };
        (2.0 * inner as f64 + 4.0) * T::UNIT_ROUNDOFF * (alpha.abs() * size.get(i, j) + old)
    });
    let one = on(&cpus()[0]);
    assert_within(&what, &one, &expected, &bound);
    assert_same_bits(&what, &on(&cpus()[2]), &one);
}

#[test]
fn spmm_meets_the_rounding_model() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let shapes = [
            (0, 4, 3),
            (4, 0, 3),
            (4, 3, 0),
            (1, 1, 1),
            (5, 9, 1),
            (9, 5, 2),
            (17, 30, 8),
            (64, 65, 9),
            (100, 70, 33),
        ];
        for (turn, shape) in shapes.into_iter().enumerate() {
            for op in [Op::NoTrans, Op::Trans] {
                for (k, lb) in Layout::READABLE.into_iter().enumerate() {
                    for (l, lc) in Layout::WRITABLE.into_iter().enumerate() {
                        let factors = (FACTORS[(k + turn) % 3], FACTORS[(l + k) % 3]);
                        spmm_case::<T>(shape, 0.2, op, [lb, lc], factors);
                    }
                    spmm_case::<T>(shape, 0.2, op, [lb, Layout::Columns], (1.0, 0.0));
                }
            }
        }
        for shape in [(4000, 300, 9), (300, 4000, 9), (5000, 100, 1), (200, 150, 500)] {
            for op in [Op::NoTrans, Op::Trans] {
                spmm_case::<T>(shape, 0.05, op, [Layout::Columns; 2], (1.0, 0.0));
                spmm_case::<T>(shape, 0.05, op, [Layout::Rows; 2], (-0.75, 1.0));
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn windows_of_rows_are_matrices_too() {
    let cpu = &cpus()[2];
    let triplets = triplets::<f64>(50, 40, 0.2);
    let x = Csr::from_triplets(cpu, (50, 40), &triplets).unwrap();
    let b = Stored::<f64>::new(Layout::Rows, 40, 7, |i, j| noise(1, i, j));
    let up = Stored::<f64>::new(Layout::Rows, 13, 7, |i, j| noise(1, i, j));
    let mut c = Stored::<f64>::new(Layout::Rows, 13, 7, |_, _| f64::NAN);
    let mut down = Stored::<f64>::new(Layout::Rows, 40, 7, |_, _| f64::NAN);
    let window = x.as_ref().rows(20..33);
    cpu.spmm(1.0, window, Op::NoTrans, b.view(cpu), 0.0, c.view_mut(cpu)).unwrap();
    cpu.spmm(1.0, window, Op::Trans, up.view(cpu), 0.0, down.view_mut(cpu)).unwrap();
    let (starts, _, values) = x.as_ref().slices();
    let stored = Plain::of(cpu.stored_values(window).unwrap());
    assert_eq!(stored.data, values[starts[20]..starts[33]]);
    let dense = dense(50, 40, &triplets, |x| x).rows(20, 33);
    for (left, right, got) in
        [(dense.clone(), b.plain(), c.plain()), (dense.transpose(), up.plain(), down.plain())]
    {
        let bound = left.abs().times(&right.abs()).map(|x| 200.0 * f64::EPSILON * x);
        assert_within("a window", &got, &left.times_exactly(&right), &bound);
    }
}

/// Rows whose columns are not in order, rows without entries, windows, and more than one bad value
/// a row.
#[test]
fn the_first_stored_entry_that_is_not_finite_is_found() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        fn find<T: Scalar, D: SparseKernels<T>>(
            device: &D,
            triplets: Triplets<'_, T>,
            rows: std::ops::Range<usize>,
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
            assert_eq!(find(&cpus()[2], &triplets, rows.clone()), expected, "{bad:?} {rows:?}");
            assert_eq!(find(&Reference, &triplets, rows.clone()), expected, "{bad:?} {rows:?}");
        }
    }
    cases::<f32>();
    cases::<f64>();
}

fn spspmm_case<T: Scalar>((m, k, n): (usize, usize, usize), lc: Layout, (alpha, beta): (f64, f64))
where
    Cpu: Backend<T>,
{
    let what = format!("{} spspmm {m}×{k}×{n} {lc:?} α={alpha} β={beta}", T::NAME);
    let (left, right) = (triplets::<T>(m, k, 0.2), triplets::<T>(k, n, 0.3));
    let old =
        Stored::<T>::new(lc, m, n, |i, j| if beta == 0.0 { f64::NAN } else { noise(2, i, j) });
    fn run<T: Scalar, D: SparseKernels<T>>(
        device: &D,
        (m, k, n): (usize, usize, usize),
        (left, right): (Triplets<'_, T>, Triplets<'_, T>),
        (alpha, beta): (f64, f64),
        c: &Stored<T>,
    ) -> Stored<T> {
        let mut c = c.clone();
        let x = Csr::from_triplets(device, (m, k), left).unwrap();
        let y = Csr::from_triplets(device, (k, n), right).unwrap();
        let (alpha, beta) = (T::from_f64(alpha), T::from_f64(beta));
        device.spspmm(alpha, x.as_ref(), y.as_ref(), beta, c.view_mut(device)).unwrap();
        c
    }
    let on = |cpu: &Cpu| run(cpu, (m, k, n), (&left, &right), (alpha, beta), &old);
    let one = on(&cpus()[0]);
    one.assert_gaps_untouched(&what);
    let expected = run(&Reference, (m, k, n), (&left, &right), (alpha, beta), &old).plain();
    let size = dense(m, k, &left, f64::abs).times(&dense(k, n, &right, f64::abs));
    let bound = Plain::from_fn(m, n, |i, j| {
        let old = if beta == 0.0 { 0.0 } else { (beta * old.plain_entry(i, j)).abs() };
        (4.0 * k as f64 + 4.0) * T::UNIT_ROUNDOFF * (alpha.abs() * size.get(i, j) + old)
    });
    assert_within(&what, &one.plain(), &expected, &bound);
    assert_same_bits(&what, &on(&cpus()[2]).plain(), &one.plain());
}

#[test]
fn spspmm_meets_the_rounding_model() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let shapes =
            [(0, 4, 3), (4, 0, 3), (4, 3, 0), (1, 1, 1), (9, 5, 20), (40, 33, 65), (500, 400, 90)];
        for shape in shapes {
            for (turn, lc) in Layout::WRITABLE.into_iter().enumerate() {
                for beta in FACTORS {
                    spspmm_case::<T>(shape, lc, (FACTORS[(turn + 1) % 3], beta));
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

/// Columns of compressed rows, from anywhere, into any layout, written once.
#[test]
fn compressed_rows_are_made_dense() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for (m, n) in [(0, 3), (1, 1), (7, 40), (65, 70), (5000, 9)] {
            let entries = triplets::<T>(m, n, 0.4);
            let on = |cpu| Csr::from_triplets(cpu, (m, n), &entries).unwrap();
            let oracle = Csr::from_triplets(&Reference, (m, n), &entries).unwrap();
            for (first, end) in [(0, n), (n / 3, n), (n / 2, n / 2 + 1), (n, n)] {
                for layout in Layout::WRITABLE {
                    let what = format!("{} {m}×{n} {first}..{end} {layout:?}", T::NAME);
                    let c = Stored::<T>::new(layout, m, end - first, |_, _| f64::NAN);
                    let mut expected = c.clone();
                    let out = expected.view_mut(&Reference);
                    Reference.expand(oracle.as_ref(), first, out).unwrap();
                    for cpu in [&cpus()[0], &cpus()[2]] {
                        let mut c = c.clone();
                        cpu.expand(on(cpu).as_ref(), first, c.view_mut(cpu)).unwrap();
                        c.assert_gaps_untouched(&what);
                        assert_same_bits(&what, &c.plain(), &expected.plain());
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}
