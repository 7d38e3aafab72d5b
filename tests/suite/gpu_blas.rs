//! Products, copies, norms and searches on the GPU against the oracle.

use crate::common::{Layout, Placed, Plain, Reference, Stored, assert_within, noise};
use crate::gpu::gpu;
use randnla::matrix::{BatchMut, BatchRef};
use randnla::{Blas, Cuda, Op, Scalar, Uplo};

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

fn factor(x: f64, read: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.abs() * read.abs() }
}

fn gemm_case<T: Scalar>(
    cuda: &Cuda,
    (m, n, k): (usize, usize, usize),
    [la, lb, lc]: [Layout; 3],
    (alpha, beta): (f64, f64),
) where
    Cuda: Blas<T>,
{
    let what = format!("{} gemm {m}×{n}×{k} {la:?} {lb:?} {lc:?} α={alpha} β={beta}", T::NAME);
    let input = |seed| move |i, j| if alpha == 0.0 { f64::NAN } else { noise(seed, i, j) };
    let a = Stored::<T>::new(la, m, k, input(1));
    let b = Stored::<T>::new(lb, k, n, input(2));
    let c = Stored::<T>::new(lc, m, n, |i, j| if beta == 0.0 { f64::NAN } else { noise(3, i, j) });
    let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
    let mut expected = c.clone();
    let oracle = &Reference;
    oracle.gemm(x, a.view(oracle), b.view(oracle), y, expected.view_mut(oracle)).unwrap();
    let products = a.plain().abs().times(&b.plain().abs());
    let bound = Plain::from_fn(m, n, |i, j| {
        let size = factor(alpha, products.get(i, j)) + factor(beta, c.plain_entry(i, j));
        (k as f64 + 4.0) * T::UNIT_ROUNDOFF * size
    });
    let (a, b, mut c) = (Placed::new(cuda, &a), Placed::new(cuda, &b), Placed::new(cuda, &c));
    cuda.gemm(x, a.view(), b.view(), y, c.view_mut()).unwrap();
    let c = c.back();
    c.assert_gaps_untouched(&what);
    assert_within(&what, &c.plain(), &expected.plain(), &bound);
}

#[test]
fn products_on_a_gpu_meet_the_rounding_model() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Blas<T>,
    {
        for shape in
            [(0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (1, 7, 9), (7, 1, 9), (33, 31, 40)]
        {
            gemm_case::<T>(cuda, shape, [Layout::Columns; 3], (1.0, 0.0));
            gemm_case::<T>(cuda, shape, [Layout::Rows; 3], (-0.75, 1.0));
        }
        let (inputs, outputs) = (Layout::READABLE, Layout::WRITABLE);
        for case in 0..inputs.len() * inputs.len() * outputs.len() {
            let lc = outputs[case / (inputs.len() * inputs.len())];
            let layouts =
                [inputs[case % inputs.len()], inputs[case / inputs.len() % inputs.len()], lc];
            gemm_case::<T>(cuda, (9, 7, 6), layouts, (FACTORS[case % 3], FACTORS[case / 3 % 3]));
        }
    }
    let Some(cuda) = gpu("products") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

#[test]
fn batches_gram_matrices_and_triangles_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Blas<T>,
    {
        for (la, lg) in Layout::READABLE.into_iter().flat_map(|a| Layout::WRITABLE.map(|g| (a, g)))
        {
            for (m, n) in [(0, 3), (40, 5), (7, 35), (3, 1)] {
                let what = format!("{} gram {m}×{n} {la:?} {lg:?}", T::NAME);
                let a = Stored::<T>::new(la, m, n, |i, j| noise(4, i, j));
                let mut g = Stored::<T>::new(lg, n, n, |_, _| f64::NAN);
                let mut on = Placed::new(cuda, &g);
                cuda.gram(Placed::new(cuda, &a).view(), on.view_mut()).unwrap();
                Reference.gram(a.view(&Reference), g.view_mut(&Reference)).unwrap();
                let sizes = a.plain().abs().transpose().times(&a.plain().abs());
                let bound = sizes.map(|x| (m as f64 + 4.0) * T::UNIT_ROUNDOFF * x);
                let on = on.back();
                on.assert_gaps_untouched(&what);
                assert_within(&what, &on.plain(), &g.plain(), &bound);
            }
        }
        let layouts = [Layout::Columns, Layout::Rows, Layout::Strided, Layout::Backwards];
        for (la, lb) in layouts.into_iter().flat_map(|a| Layout::WRITABLE.map(|b| (a, b))) {
            for (uplo, op) in [Uplo::Lower, Uplo::Upper]
                .into_iter()
                .flat_map(|uplo| [Op::NoTrans, Op::Trans].map(|op| (uplo, op)))
            {
                let what = format!("{} trsm {la:?} {lb:?} {uplo:?} {op:?}", T::NAME);
                let n = 6;
                let inside = |i, j| if uplo == Uplo::Lower { i >= j } else { i <= j };
                let entry = move |i: usize, j: usize| match (i == j, inside(i, j)) {
                    (true, _) => 2.0 + noise(5, i, j),
                    (_, true) => 0.3 * noise(5, i, j),
                    _ => f64::NAN,
                };
                let a = Stored::<T>::new(la, n, n, entry);
                let mut b = Stored::<T>::new(lb, 11, n, |i, j| noise(6, i, j));
                let mut on = Placed::new(cuda, &b);
                cuda.trsm_right(uplo, op, Placed::new(cuda, &a).view(), on.view_mut()).unwrap();
                let oracle = &Reference;
                oracle.trsm_right(uplo, op, a.view(oracle), b.view_mut(oracle)).unwrap();
                let on = on.back();
                on.assert_gaps_untouched(&what);
                // Well conditioned: |L⁻¹||L| is below 10 for these triangles.
                let bound = b.plain().map(|_| 40.0 * n as f64 * T::UNIT_ROUNDOFF);
                assert_within(&what, &on.plain(), &b.plain(), &bound);
            }
        }
        let (m, n, k, batch) = (5, 4, 3, 6);
        let host = |seed, len| Stored::<T>::new(Layout::Columns, len, 1, |i, _| noise(seed, i, 0));
        let (a, b, c) = (host(1, m * k * batch), host(2, k * n * batch), host(3, m * n * batch));
        let (pa, pb, mut pc) =
            (Placed::new(cuda, &a), Placed::new(cuda, &b), Placed::new(cuda, &c));
        let (da, db) = (pa.view(), pb.view());
        for turned in [false, true] {
            let strides = |rows: usize, cols: usize| {
                if turned { (cols as isize, 1) } else { (1, rows as isize) }
            };
            let view = |x: randnla::MatRef<'_, T, Cuda>, rows, cols| {
                let (ptr, strides) = (x.as_ptr(), strides(rows, cols));
                // SAFETY: the memory has `batch` matrices of this shape, which outlive the call.
                unsafe {
                    let first = randnla::MatRef::from_raw_parts(cuda, ptr, (rows, cols), strides);
                    BatchRef::from_raw_parts(first, (rows * cols) as isize, batch)
                }
            };
            let ptr = pc.view_mut().as_mut_ptr();
            // SAFETY: as above.
            let target = unsafe {
                let first = randnla::MatMut::from_raw_parts(cuda, ptr, (m, n), strides(m, n));
                BatchMut::from_raw_parts(first.unwrap(), (m * n) as isize, batch)
            };
            cuda.gemm_batched(T::one(), view(da, m, k), view(db, k, n), T::zero(), target).unwrap();
            let got = pc.back().plain();
            for q in 0..batch {
                let pick = |x: &Stored<T>, rows: usize, cols: usize, i: usize, j: usize| {
                    let at = if turned { i * cols + j } else { i + j * rows };
                    x.plain_entry(q * rows * cols + at, 0)
                };
                for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    let exact: f64 =
                        (0..k).map(|l| pick(&a, m, k, i, l) * pick(&b, k, n, l, j)).sum();
                    let at = q * m * n + if turned { i * n + j } else { i + j * m };
                    let error = (got.get(at, 0) - exact).abs();
                    assert!(error <= 8.0 * k as f64 * T::UNIT_ROUNDOFF, "batch {q} {turned}");
                }
            }
        }
    }
    let Some(cuda) = gpu("gram") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

#[test]
fn copies_and_moves_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Blas<T>,
    {
        let shapes = [(0, 5), (1, 1), (7, 9), (33, 65), (300, 2), (2, 300)];
        for (la, lb) in Layout::READABLE.into_iter().flat_map(|a| Layout::WRITABLE.map(|b| (a, b)))
        {
            for (turn, (m, n)) in shapes.into_iter().enumerate() {
                let (alpha, beta) = (FACTORS[turn % 3], FACTORS[(turn + m) % 3]);
                let what = format!("{} axpby {m}×{n} {la:?} {lb:?} {alpha} {beta}", T::NAME);
                let input = |i, j| if alpha == 0.0 { f64::NAN } else { noise(1, i, j) };
                let old = |i, j| if beta == 0.0 { f64::NAN } else { noise(2, i, j) };
                let (a, b) = (Stored::<T>::new(la, m, n, input), Stored::<T>::new(lb, m, n, old));
                let bound = Plain::from_fn(m, n, |i, j| {
                    let (x, y) = (a.plain_entry(i, j), b.plain_entry(i, j));
                    4.0 * T::UNIT_ROUNDOFF * (factor(alpha, x) + factor(beta, y))
                });
                let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
                let mut on = Placed::new(cuda, &b);
                cuda.axpby(x, Placed::new(cuda, &a).view(), y, on.view_mut()).unwrap();
                let mut expected = b.clone();
                let oracle = &Reference;
                oracle.axpby(x, a.view(oracle), y, expected.view_mut(oracle)).unwrap();
                let on = on.back();
                on.assert_gaps_untouched(&what);
                assert_within(&what, &on.plain(), &expected.plain(), &bound);

                let index: Vec<usize> = (0..m).map(|i| (i * 7 + 3) % m.max(1)).collect();
                let fits = m % 7 != 0;
                let fresh = Stored::<T>::new(lb, m, n, |_, _| -1.0);
                let (mut gathered, mut scattered) =
                    (Placed::new(cuda, &fresh), Placed::new(cuda, &fresh));
                let a = Stored::<T>::new(la, m, n, |i, j| noise(1, i, j));
                let on = Placed::new(cuda, &a);
                cuda.gather_rows(&index, on.view(), gathered.view_mut()).unwrap();
                let gathered = gathered.back().plain();
                let exact = Plain::from_fn(m, n, |i, j| a.plain_entry(index[i], j));
                assert_eq!(gathered, exact, "{what}: gather");
                if fits {
                    cuda.scatter_rows(&index, on.view(), scattered.view_mut()).unwrap();
                    let scattered = scattered.back().plain();
                    let same = (0..m)
                        .all(|i| (0..n).all(|j| scattered.get(index[i], j) == a.plain_entry(i, j)));
                    assert!(same, "{what}: scatter");
                }
                let factors: Vec<T> = (0..n).map(|j| T::from_f64(noise(9, j, 0))).collect();
                let mut scaled = Placed::new(cuda, &fresh);
                cuda.scale_columns(&factors, scaled.view_mut()).unwrap();
                let exact = Plain::from_fn(m, n, |_, j| -factors[j].to_f64());
                assert_eq!(scaled.back().plain(), exact, "{what}: scale_columns");
            }
        }
    }
    let Some(cuda) = gpu("copies") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

#[test]
fn norms_and_searches_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Blas<T>,
    {
        for layout in Layout::READABLE {
            for (m, n) in [(0, 5), (1, 1), (7, 9), (40, 70), (2100, 3), (3, 300)] {
                let what = format!("{} norms {m}×{n} {layout:?}", T::NAME);
                let a = Stored::<T>::new(layout, m, n, |i, j| noise(1, i, j));
                let (on, plain) = (Placed::new(cuda, &a), a.plain());
                let largest = plain.data.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
                assert_eq!(cuda.max_abs(on.view()).unwrap(), largest, "{what}");
                let exact: f64 = plain.data.iter().map(|x| x * x / 16.0).sum();
                let sum = cuda.sum_of_squares(on.view(), -2).unwrap();
                assert!((sum - exact).abs() <= 1e-12 * exact, "{what}: {sum} {exact}");
                let mut sums = vec![f64::NAN; n];
                cuda.column_sums_of_squares(on.view(), 1, &mut sums).unwrap();
                for (j, sum) in sums.iter().enumerate() {
                    let exact: f64 = plain.column(j).iter().map(|x| 4.0 * x * x).sum();
                    assert!((sum - exact).abs() <= 1e-12 * exact, "{what}: column {j}");
                }
                assert_eq!(cuda.find_non_finite(on.view()).unwrap(), None, "{what}");
                if m > 2 && n > 2 && !matches!(layout, Layout::EqualRows | Layout::EqualColumns) {
                    let spoiled = |i, j| match (i, j) {
                        (1, 2) | (2, 0) => f64::INFINITY,
                        (2, 1) => f64::NAN,
                        _ => 1.0,
                    };
                    let on = Placed::new(cuda, &Stored::<T>::new(layout, m, n, spoiled));
                    assert_eq!(cuda.find_non_finite(on.view()).unwrap(), Some((1, 2)), "{what}");
                    assert!(cuda.max_abs(on.view()).unwrap().is_nan(), "{what}");
                }
            }
        }
    }
    let Some(cuda) = gpu("norms") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}
