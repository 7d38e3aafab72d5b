//! Products with compressed sparse rows on the GPU against the oracle.

use crate::common::{Layout, Placed, Plain, Reference, Stored, assert_within, noise};
use crate::gpu::gpu;
use randnla::{Blas, Csr, Cuda, Op, Scalar, SparseKernels};

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

/// |X|, duplicates counted one by one.
fn sizes<T: Scalar>(rows: usize, cols: usize, triplets: Triplets<'_, T>) -> Plain {
    let mut x = Plain::zeros(rows, cols);
    for &(i, j, value) in triplets {
        x.set(i, j, x.get(i, j) + value.to_f64().abs());
    }
    x
}

fn bound<T: Scalar>(inner: usize, size: &Plain, (alpha, beta): (f64, f64), c: &Stored<T>) -> Plain {
    Plain::from_fn(size.rows, size.cols, |i, j| {
        let old = if beta == 0.0 { 0.0 } else { (beta * c.plain_entry(i, j)).abs() };
        (2.0 * inner as f64 + 6.0) * T::UNIT_ROUNDOFF * (alpha.abs() * size.get(i, j) + old)
    })
}

/// The product with rows `window` of X.
fn spmm_case<T: Scalar>(
    cuda: &Cuda,
    (rows, cols, n): (usize, usize, usize),
    window: std::ops::Range<usize>,
    op: Op,
    [lb, lc]: [Layout; 2],
    factors: (f64, f64),
) where
    Cuda: SparseKernels<T> + Blas<T>,
{
    let what = format!("{} {rows}×{cols}×{n} {op:?} {lb:?} {lc:?} {factors:?}", T::NAME);
    let triplets = triplets::<T>(rows, cols, 0.2);
    let height = window.len();
    let (inner, outer) = if op == Op::NoTrans { (cols, height) } else { (height, cols) };
    let value = |skip: bool, seed| move |i, j| if skip { f64::NAN } else { noise(seed, i, j) };
    let b = Stored::<T>::new(lb, inner, n, value(factors.0 == 0.0, 1));
    let c = Stored::<T>::new(lc, outer, n, value(factors.1 == 0.0, 2));
    let (alpha, beta) = (T::from_f64(factors.0), T::from_f64(factors.1));
    let (oracle, mut expected) = (&Reference, c.clone());
    let x = Csr::from_triplets(oracle, (rows, cols), &triplets).unwrap();
    let x = x.as_ref().rows(window.clone());
    oracle.spmm(alpha, x, op, b.view(oracle), beta, expected.view_mut(oracle)).unwrap();
    let size = sizes(rows, cols, &triplets).rows(window.start, window.end);
    let size = if op == Op::NoTrans { size } else { size.transpose() };
    let input = if factors.0 == 0.0 { b.plain().map(|_| 0.0) } else { b.plain().abs() };
    let bound = bound(inner, &size.times(&input), factors, &c);
    let x = Csr::from_triplets(cuda, (rows, cols), &triplets).unwrap();
    let (b, mut on) = (Placed::new(cuda, &b), Placed::new(cuda, &c));
    cuda.spmm(alpha, x.as_ref().rows(window), op, b.view(), beta, on.view_mut()).unwrap();
    let got = on.back();
    got.assert_gaps_untouched(&what);
    assert_within(&what, &got.plain(), &expected.plain(), &bound);
}

#[test]
fn spmm_on_a_gpu_meets_the_rounding_model() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SparseKernels<T> + Blas<T>,
    {
        let shapes = [
            (0, 4, 3),
            (4, 0, 3),
            (4, 3, 0),
            (1, 1, 1),
            (5, 9, 1),
            (9, 5, 2),
            (17, 30, 8),
            (30, 21, 33),
        ];
        for (turn, shape) in shapes.into_iter().enumerate() {
            for op in [Op::NoTrans, Op::Trans] {
                for (k, lb) in Layout::READABLE.into_iter().enumerate() {
                    let lc = Layout::WRITABLE[(k + turn) % 6];
                    let factors = (FACTORS[(k + turn) % 3], FACTORS[k % 3]);
                    spmm_case::<T>(cuda, shape, 0..shape.0, op, [lb, lc], factors);
                    let window = shape.0 / 3..shape.0 - shape.0 / 4;
                    spmm_case::<T>(cuda, shape, window, op, [lb, lc], (1.0, factors.1));
                }
            }
        }
        // Every pair of layouts.
        for (k, lb) in Layout::READABLE.into_iter().enumerate() {
            for (l, lc) in Layout::WRITABLE.into_iter().enumerate() {
                let factors = (FACTORS[k % 3], FACTORS[(l + k) % 3]);
                spmm_case::<T>(cuda, (11, 13, 5), 0..11, Op::NoTrans, [lb, lc], factors);
            }
        }
        // Several warps, tiles of entries and panels of columns; long rows.
        for shape in [(700, 40, 3), (40, 700, 9), (300, 300, 1), (20, 15, 300)] {
            for op in [Op::NoTrans, Op::Trans] {
                let (all, rows) = (0..shape.0, [Layout::Rows; 2]);
                spmm_case::<T>(cuda, shape, all.clone(), op, rows, (-0.75, 1.0));
                spmm_case::<T>(cuda, shape, all, op, [Layout::Columns; 2], (1.0, 0.0));
            }
        }
    }
    let Some(cuda) = gpu("spmm") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

#[test]
fn spspmm_on_a_gpu_meets_the_rounding_model() {
    fn case<T: Scalar>(
        cuda: &Cuda,
        (m, k, n): (usize, usize, usize),
        lc: Layout,
        factors: (f64, f64),
    ) where
        Cuda: SparseKernels<T> + Blas<T>,
    {
        let what = format!("{} spspmm {m}×{k}×{n} {lc:?} {factors:?}", T::NAME);
        let (left, right) = (triplets::<T>(m, k, 0.2), triplets::<T>(k, n, 0.3));
        let old = |i, j| if factors.1 == 0.0 { f64::NAN } else { noise(2, i, j) };
        let c = Stored::<T>::new(lc, m, n, old);
        let (alpha, beta) = (T::from_f64(factors.0), T::from_f64(factors.1));
        let (mut expected, mut on) = (c.clone(), Placed::new(cuda, &c));
        fn factor<T: Scalar, D: SparseKernels<T>>(
            device: &D,
            shape: (usize, usize),
            x: Triplets<'_, T>,
        ) -> Csr<T, D> {
            Csr::from_triplets(device, shape, x).unwrap()
        }
        let (x, y) = (factor(&Reference, (m, k), &left), factor(&Reference, (k, n), &right));
        let out = expected.view_mut(&Reference);
        Reference.spspmm(alpha, x.as_ref(), y.as_ref(), beta, out).unwrap();
        let (x, y) = (factor(cuda, (m, k), &left), factor(cuda, (k, n), &right));
        cuda.spspmm(alpha, x.as_ref(), y.as_ref(), beta, on.view_mut()).unwrap();
        let size = sizes(m, k, &left).times(&sizes(k, n, &right));
        let got = on.back();
        got.assert_gaps_untouched(&what);
        let bound = bound(2 * k, &size, factors, &c);
        assert_within(&what, &got.plain(), &expected.plain(), &bound);
    }
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SparseKernels<T> + Blas<T>,
    {
        let shapes =
            [(0, 4, 3), (4, 0, 3), (4, 3, 0), (1, 1, 1), (9, 5, 20), (40, 33, 65), (25, 12, 1100)];
        for shape in shapes {
            for (turn, lc) in Layout::WRITABLE.into_iter().enumerate() {
                case::<T>(cuda, shape, lc, (FACTORS[(turn + 1) % 3], FACTORS[turn / 2]));
            }
        }
    }
    let Some(cuda) = gpu("spspmm") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

#[test]
fn stored_values_and_searches_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SparseKernels<T> + Blas<T>,
    {
        let good = triplets::<T>(50, 40, 0.2);
        let x = Csr::from_triplets(cuda, (50, 40), &good).unwrap();
        let oracle = Csr::from_triplets(&Reference, (50, 40), &good).unwrap();
        for rows in [0..50, 20..33, 7..7, 3..4] {
            let stored = cuda.stored_values(x.as_ref().rows(rows.clone())).unwrap();
            let exact = Reference.stored_values(oracle.as_ref().rows(rows)).unwrap();
            assert_eq!(stored.shape(), exact.shape());
            let got = cuda.sum_of_squares(stored, 0).unwrap();
            let exact = Reference.sum_of_squares(exact, 0).unwrap();
            assert!((got - exact).abs() <= 1e-13 * exact, "{got} {exact}");
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
            let mut triplets = good.clone();
            triplets.retain(|&(i, j, _)| !bad.contains(&(i, j)) && i != 11);
            for (turn, &(i, j)) in bad.iter().enumerate() {
                let value = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][turn % 3];
                triplets.push((i, j, T::from_f64(value)));
            }
            let inside = bad.iter().filter(|(i, _)| rows.contains(i));
            let expected = inside.min().map(|&(i, j)| (i - rows.start, j));
            let x = Csr::from_triplets(cuda, (50, 40), &triplets).unwrap();
            let found = cuda.find_non_finite_stored(x.as_ref().rows(rows.clone())).unwrap();
            assert_eq!(found, expected, "{bad:?} {rows:?}");
        }
    }
    let Some(cuda) = gpu("searches") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}
