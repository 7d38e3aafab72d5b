//! Products, Gram matrices and triangular solves of a device against the oracle.
//!
//! The bound of a sum of k products is |ĉ − c| ≤ (k + 4)·u·(|α||A||B| + |β||C|), whatever the order
//! of summation, with or without fused multiply-add; 4 covers α, β, their sum and the oracle.

use crate::common::{
    Layout, Place, Plain, Reference, Stored, assert_same_bits, assert_within, cuts, noise,
    on_every_device,
};
use randnla::matrix::{BatchMut, BatchRef};
use randnla::{Backend, Blas, Mat, MatMut, MatRef, Op, Scalar, Uplo};

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

/// `count` layouts that differ from case to case but come round to every combination.
fn pick(layouts: &[Layout], case: usize, turn: usize) -> Layout {
    layouts[(case / turn) % layouts.len()]
}

fn gemm_case<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
    (m, n, k): (usize, usize, usize),
    [la, lb, lc]: [Layout; 3],
    (alpha, beta): (f64, f64),
) {
    let what = format!("{} gemm {m}×{n}×{k} {la:?} {lb:?} {lc:?} α={alpha} β={beta}", T::NAME);
    let input = |seed| move |i, j| if alpha == 0.0 { f64::NAN } else { noise(seed, i, j) };
    let a = Stored::<T>::new(la, m, k, input(1));
    let b = Stored::<T>::new(lb, k, n, input(2));
    let c = Stored::<T>::new(lc, m, n, |i, j| if beta == 0.0 { f64::NAN } else { noise(3, i, j) });
    let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
    let oracle = &Reference;
    let expected =
        c.after(&what, oracle, |c| oracle.gemm(x, a.on(oracle).view(), b.on(oracle).view(), y, c));
    let products = a.plain().abs().times(&b.plain().abs());
    let bound = Plain::from_fn(m, n, |i, j| {
        let product = if alpha == 0.0 { 0.0 } else { alpha.abs() * products.get(i, j) };
        let old = if beta == 0.0 { 0.0 } else { beta.abs() * c.plain_entry(i, j).abs() };
        (k as f64 + 4.0) * T::UNIT_ROUNDOFF * (product + old)
    });
    let got = place.result(&what, |device| {
        c.after(&what, device, |c| device.gemm(x, a.on(device).view(), b.on(device).view(), y, c))
    });
    assert_within(&what, &got, &expected, &bound);
}

fn gemm_meets_the_rounding_model_for_every_shape<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for shape in place.sizes(&cuts::GEMM) {
        for (alpha, beta) in [(1.0, 0.0), (-0.75, 1.0)] {
            gemm_case::<T, D>(place, shape, [Layout::Columns; 3], (alpha, beta));
            gemm_case::<T, D>(place, shape, [Layout::Rows; 3], (alpha, beta));
        }
    }
}

fn gemm_meets_the_rounding_model_for_every_layout_and_factor<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
) {
    let (inputs, outputs) = (Layout::READABLE, Layout::WRITABLE);
    for case in 0..inputs.len() * inputs.len() * outputs.len() {
        let lc = pick(&outputs, case, inputs.len() * inputs.len());
        let layouts = [pick(&inputs, case, 1), pick(&inputs, case, inputs.len()), lc];
        let factors = (FACTORS[case % 3], FACTORS[case / 3 % 3]);
        if !place.takes(&cuts::GEMM_LAYOUTS, case) {
            continue;
        }
        gemm_case::<T, D>(place, (17, 9, 33), layouts, factors);
        if case % 7 == 0 {
            gemm_case::<T, D>(place, (70, 65, 90), layouts, (1.0, factors.1));
        }
    }
    for alpha in FACTORS {
        for beta in FACTORS {
            for layout in outputs {
                gemm_case::<T, D>(place, (5, 1, 70), [layout; 3], (alpha, beta));
                gemm_case::<T, D>(place, (1, 5, 70), [layout; 3], (alpha, beta));
                gemm_case::<T, D>(place, (12, 11, 5), [layout; 3], (alpha, beta));
            }
        }
    }
}

fn gemm_batched_is_a_row_of_products<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n, k, batch, shared) in
        [(3, 4, 5, 0, false), (3, 4, 5, 7, false), (8, 16, 9, 5, true), (40, 30, 50, 6, false)]
    {
        for layout in [Layout::Columns, Layout::Rows, Layout::Strided] {
            let what = format!("{} {batch} times {m}×{n}×{k} {layout:?}", T::NAME);
            // Side by side, or by rows one below the other; A once with distance 0, shared by all.
            let by_rows = layout == Layout::Rows;
            let many = |seed, rows, cols| {
                let (down, right) = if by_rows { (batch.max(1), 1) } else { (1, batch.max(1)) };
                Stored::<T>::new(layout, rows * down, cols * right, |i, j| noise(seed, i, j))
            };
            let part = |x: &Plain, rows: usize, cols: usize, at: usize| match by_rows {
                true => x.rows(at * rows, (at + 1) * rows),
                false => x.columns(at * cols, (at + 1) * cols),
            };
            let step = |x: MatRef<'_, T, D>, rows: usize, cols: usize| match by_rows {
                true => rows as isize * x.row_stride(),
                false => cols as isize * x.col_stride(),
            };
            let (a, b, c) = (many(1, m, k), many(2, k, n), many(3, m, n));
            let (x, y) = (T::from_f64(-0.75), T::from_f64(0.5));
            let got = place.result(&what, |device| {
                let (a, b) = (a.on(device), b.on(device));
                c.after(&what, device, |c: MatMut<'_, T, D>| {
                    let (a, b) = (a.view(), b.view());
                    let apart = if shared { 0 } else { step(a, m, k) };
                    let (to_b, to_c) = (step(b, k, n), step(c.as_ref(), m, n));
                    let (a, b) = (a.rows(0..m).columns(0..k), b.rows(0..k).columns(0..n));
                    let c = c.rows(0..m).columns(0..n);
                    // SAFETY: the matrices of a batch lie that far apart.
                    unsafe {
                        let a = BatchRef::from_raw_parts(a, apart, batch);
                        let b = BatchRef::from_raw_parts(b, to_b, batch);
                        device.gemm_batched(x, a, b, y, BatchMut::from_raw_parts(c, to_c, batch))
                    }
                })
            });
            for i in 0..batch {
                let a_i = part(&a.plain(), m, k, if shared { 0 } else { i });
                let (b_i, c_i) = (part(&b.plain(), k, n, i), part(&c.plain(), m, n, i));
                let product = a_i.times_exactly(&b_i);
                let size = a_i.abs().times(&b_i.abs());
                let at = |i, j| -0.75 * product.get(i, j) + 0.5 * c_i.get(i, j);
                let size_at = |i, j| 0.75 * size.get(i, j) + 0.5 * f64::abs(c_i.get(i, j));
                let factor = (k as f64 + 4.0) * T::UNIT_ROUNDOFF;
                assert_within(
                    &format!("{what}, number {i}"),
                    &part(&got, m, n, i),
                    &Plain::from_fn(m, n, at),
                    &Plain::from_fn(m, n, |i, j| factor * size_at(i, j)),
                );
            }
        }
    }
}

/// Aᵀ(A X − B) and the squares of the columns of A X − B: two products of the rounding model, one after the other.
fn normal_products_meet_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let u = T::UNIT_ROUNDOFF;
    for (m, n, p) in place.sizes(&cuts::NORMAL) {
        for layout in [Layout::Columns, Layout::PaddedRows, Layout::Rows, Layout::Strided] {
            let a = Stored::<T>::new(layout, m, n, |i, j| noise(1, i, j));
            let x = Stored::<T>::new(Layout::Columns, n, p, |i, j| noise(2, i, j));
            let with_b = matches!(layout, Layout::Rows | Layout::Columns);
            let b = Stored::<T>::new(Layout::Strided, m, p, |i, j| {
                if with_b { 3.0 * noise(3, i, j) } else { 0.0 }
            });
            let what = format!("{} Aᵀ(A X − B) {m}×{n}×{p} {layout:?}", T::NAME);
            let (a_plain, x_plain, b_plain) = (a.plain(), x.plain(), b.plain());
            let (got, sums) = place.result(&what, |device| {
                let mut z = Mat::<T, D>::scratch(device, n, p).unwrap();
                let mut sums = vec![f64::NAN; p];
                let (a, x, b) = (a.on(device), x.on(device), b.on(device));
                let b = with_b.then(|| b.view());
                device.normal_times(a.view(), x.view(), b, z.as_mut(), &mut sums).unwrap();
                (z.to_vec().unwrap(), sums)
            });
            let got = Plain::from_fn(n, p, |i, j| got[i + j * n].to_f64());
            let image = a_plain.times_exactly(&x_plain);
            let image = Plain::from_fn(m, p, |i, j| image.get(i, j) - b_plain.get(i, j));
            let expected = a_plain.transpose().times_exactly(&image);
            let size = a_plain.abs().times(&x_plain.abs());
            let size = Plain::from_fn(m, p, |i, j| size.get(i, j) + b_plain.get(i, j).abs());
            let factor = (m + n + 8) as f64 * u;
            let bound = a_plain.abs().transpose().times(&size).map(|x| factor * x);
            assert_within(&what, &got, &expected, &bound);
            for (j, &sum) in sums.iter().enumerate() {
                let (exact, size) = (image.columns(j, j + 1).norm(), size.columns(j, j + 1).norm());
                let gap = (sum - exact * exact).abs();
                // Of the entries of A X in T, and of the sum of squares in `f64`.
                let bound = (2.0 * (n + 4) as f64 * u + m as f64 * f64::EPSILON) * size * size;
                assert!(gap <= bound, "{what}: ‖A x‖² = {sum:e}, {:e} expected", exact * exact);
            }
        }
    }
}

fn gram_meets_the_rounding_model_and_is_symmetric<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (case, (m, n)) in place.sizes(&cuts::GRAM).into_iter().enumerate() {
        for turn in 0..Layout::READABLE.len() {
            let layout = Layout::READABLE[turn];
            let a = Stored::<T>::new(layout, m, n, |i, j| noise(1, i, j));
            let out = pick(&Layout::WRITABLE, case + turn, 1);
            let what = format!("{} gram {m}×{n} {layout:?} → {out:?}", T::NAME);
            let size = a.plain().abs().transpose().times(&a.plain().abs());
            let exact = a.plain().transpose().times_exactly(&a.plain());
            let got = place.result(&what, |device| {
                let g = Stored::<T>::new(out, n, n, |_, _| f64::NAN);
                g.after(&what, device, |g| device.gram(a.on(device).view(), g))
            });
            let bound = size.map(|x| (m as f64 + 4.0) * T::UNIT_ROUNDOFF * x);
            assert_within(&what, &got, &exact, &bound);
            assert_same_bits(&what, &got.transpose(), &got);
        }
    }
}

/// Substitution is backward stable entry by entry: |X op(A) − B| ≤ (n + 4)·u·|X||op(A)|, however
/// ill-conditioned A is (Higham, "Accuracy and stability", theorem 8.5).
fn trsm_case<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
    (m, n): (usize, usize),
    (uplo, op): (Uplo, Op),
    layouts: [Layout; 2],
    wild: bool,
) {
    let what = format!("{} trsm {m}×{n} {uplo:?} {op:?} {layouts:?} wild={wild}", T::NAME);
    let stored = |i, j| if uplo == Uplo::Upper { i <= j } else { i >= j };
    // The other triangle must not be read.
    let a = Stored::<T>::new(layouts[0], n, n, |i, j| match (stored(i, j), i == j) {
        (false, _) => f64::NAN,
        (true, true) if wild => 0.8f64.powi(i as i32),
        (true, true) => 2.0 + noise(5, i, j),
        (true, false) if wild => -0.6 * 0.8f64.powi(i.min(j) as i32),
        (true, false) => noise(5, i, j) / n as f64,
    });
    let b = Stored::<T>::new(layouts[1], m, n, |i, j| noise(6, i, j));
    let got = place.result(&what, |device| {
        b.after(&what, device, |x| device.trsm_right(uplo, op, a.on(device).view(), x))
    });
    let triangle =
        Plain::from_fn(n, n, |i, j| if stored(i, j) { a.plain_entry(i, j) } else { 0.0 });
    let triangle = if op == Op::NoTrans { triangle } else { triangle.transpose() };
    let size = got.abs().times(&triangle.abs());
    let bound = size.map(|x| (n as f64 + 4.0) * T::UNIT_ROUNDOFF * x);
    assert_within(&what, &got.times_exactly(&triangle), &b.plain(), &bound);
    let oracle =
        b.after(&what, &Reference, |x| Reference.trsm_right(uplo, op, a.on(&Reference).view(), x));
    let bound = oracle.abs().times(&triangle.abs()).map(|x| 2.0 * n as f64 * T::UNIT_ROUNDOFF * x);
    assert_within("the oracle's trsm", &oracle.times_exactly(&triangle), &b.plain(), &bound);
}

fn triangular_solves_are_backward_stable<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (case, (m, n)) in place.sizes(&cuts::TRSM).into_iter().enumerate() {
        for uplo in [Uplo::Lower, Uplo::Upper] {
            for op in [Op::NoTrans, Op::Trans] {
                for turn in 0..Layout::WRITABLE.len() {
                    let layouts = [Layout::WRITABLE[turn], pick(&Layout::WRITABLE, case + turn, 1)];
                    trsm_case::<T, D>(place, (m, n), (uplo, op), layouts, false);
                }
                trsm_case::<T, D>(place, (m, n.min(40)), (uplo, op), [Layout::Columns; 2], true);
            }
        }
    }
}

on_every_device! {
    gemm_meets_the_rounding_model_for_every_shape: f32 f64,
    gemm_meets_the_rounding_model_for_every_layout_and_factor: f32 f64,
    gemm_batched_is_a_row_of_products: f32 f64,
    gram_meets_the_rounding_model_and_is_symmetric: f32 f64,
    normal_products_meet_the_rounding_model: f32 f64,
    triangular_solves_are_backward_stable: f32 f64,
}
