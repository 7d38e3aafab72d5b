//! Scaled copies, gathers, norms and searches of a device against the oracle.

use crate::common::{
    Layout, Place, Plain, Reference, Stored, assert_same_bits, assert_within, cuts, noise,
    on_every_device,
};
use randnla::{Backend, Blas, Scalar};

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

/// α a + β b takes three roundings, two of them with a fused multiply-add.
fn axpby_case<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
    (m, n): (usize, usize),
    [la, lb]: [Layout; 2],
    (alpha, beta): (f64, f64),
) {
    let what = format!("{} axpby {m}×{n} {la:?} {lb:?} α={alpha} β={beta}", T::NAME);
    let a = Stored::<T>::new(la, m, n, |i, j| if alpha == 0.0 { f64::NAN } else { noise(1, i, j) });
    let b = Stored::<T>::new(lb, m, n, |i, j| if beta == 0.0 { f64::NAN } else { noise(2, i, j) });
    let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
    let oracle = &Reference;
    let expected = b.after(&what, oracle, |b| oracle.axpby(x, a.on(oracle).view(), y, b));
    // A copy, a scaling by one and a fill are exact.
    let rounded = alpha.abs() == 0.75 || beta.abs() == 0.75 || (alpha != 0.0 && beta != 0.0);
    let bound = Plain::from_fn(m, n, |i, j| {
        let part = |factor: f64, x: f64| if factor == 0.0 { 0.0 } else { (factor * x).abs() };
        let size = part(alpha, a.plain_entry(i, j)) + part(beta, b.plain_entry(i, j));
        if rounded { 4.0 * T::UNIT_ROUNDOFF * size } else { 0.0 }
    });
    let got = place.result(&what, |device| {
        b.after(&what, device, |b| device.axpby(x, a.on(device).view(), y, b))
    });
    assert_within(&what, &got, &expected, &bound);
}

fn axpby_meets_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut case = 0;
    for shape in place.sizes(&cuts::ELEMENTWISE) {
        let small = shape.0 * shape.1 < 5000;
        for (turn, la) in Layout::READABLE.into_iter().enumerate() {
            for lb in Layout::WRITABLE {
                let factors: Vec<(f64, f64)> = match small {
                    true => FACTORS.iter().flat_map(|&x| FACTORS.map(|y| (x, y))).collect(),
                    false => vec![(1.0, 0.0), (-0.75, FACTORS[turn % 3])],
                };
                for factors in factors {
                    case += 1;
                    if place.takes(&cuts::AXPBY, case) {
                        axpby_case::<T, D>(place, shape, [la, lb], factors);
                    }
                }
            }
        }
    }
}

fn scale_rounds_once_and_zero_overwrites_anything<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n) in place.sizes(&cuts::ELEMENTWISE) {
        for layout in Layout::WRITABLE {
            for beta in FACTORS {
                let what = format!("{} scale {m}×{n} {layout:?} β={beta}", T::NAME);
                let old = |i, j| if beta == 0.0 { f64::NAN } else { noise(1, i, j) };
                let b = Stored::<T>::new(layout, m, n, old);
                let beta = T::from_f64(beta);
                let expected = b.after(&what, &Reference, |b| Reference.scale(beta, b));
                let got =
                    place.result(&what, |device| b.after(&what, device, |b| device.scale(beta, b)));
                assert_within(&what, &got, &expected, &Plain::zeros(m, n));
            }
        }
    }
}

fn scale_columns_rounds_once<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n) in place.sizes(&cuts::ELEMENTWISE) {
        for layout in Layout::WRITABLE {
            let what = format!("{} scale_columns {m}×{n} {layout:?}", T::NAME);
            let scale: Vec<T> = (0..n).map(|j| T::from_f64(noise(4, 0, j))).collect();
            let b = Stored::<T>::new(layout, m, n, |i, j| noise(1, i, j));
            let oracle = &Reference;
            let expected = b.after(&what, oracle, |b| oracle.scale_columns(&scale, b));
            let got = place.result(&what, |device| {
                b.after(&what, device, |b| device.scale_columns(&scale, b))
            });
            // One product is one rounding: no freedom. (For f64 the oracle's is the same one.)
            assert_same_bits(&what, &got, &expected);
        }
    }
}

fn gather_and_scatter_move_rows<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n) in place.sizes(&cuts::ELEMENTWISE) {
        // Distinct rows in a scrambled order: a step that does not divide m is coprime to it.
        let step = [7, 11, 13].into_iter().find(|step| m % step != 0).unwrap_or(1);
        let index: Vec<usize> = (0..m / 2).map(|i| i * step % m).collect();
        for (turn, la) in Layout::READABLE.into_iter().enumerate() {
            let lb = Layout::WRITABLE[turn % Layout::WRITABLE.len()];
            let what = format!("{} gather/scatter {m}×{n} {la:?} {lb:?}", T::NAME);
            let a = Stored::<T>::new(la, m, n, |i, j| noise(1, i, j));
            let few = Stored::<T>::new(la, m / 2, n, |i, j| noise(2, i, j));
            let gathered = place.result(&what, |device| {
                let b = Stored::<T>::new(lb, m / 2, n, |_, _| f64::NAN);
                b.after(&what, device, |b| device.gather_rows(&index, a.on(device).view(), b))
            });
            let from = |i: usize, j| a.plain_entry(index[i], j);
            assert_same_bits(&what, &gathered, &Plain::from_fn(m / 2, n, from));

            let c = Stored::<T>::new(lb, m, n, |i, j| noise(3, i, j));
            let mut expected = c.plain();
            for (i, &to) in index.iter().enumerate() {
                (0..n).for_each(|j| expected.set(to, j, few.plain_entry(i, j)));
            }
            let scattered = place.result(&what, |device| {
                c.after(&what, device, |c| device.scatter_rows(&index, few.on(device).view(), c))
            });
            assert_same_bits(&what, &scattered, &expected);
            // A row may be gathered more than once, as row sampling with replacement does.
            if m > 0 {
                let (device, twice) = (place.device(), [m - 1, 0, m - 1]);
                let b = Stored::<T>::new(lb, 3, n, |_, _| f64::NAN);
                let got =
                    b.after(&what, device, |b| device.gather_rows(&twice, a.on(device).view(), b));
                let from = |i: usize, j| a.plain_entry(twice[i], j);
                assert_same_bits(&what, &got, &Plain::from_fn(3, n, from));
            }
        }
    }
}

/// Squares and their sum in f64: (k + 4)·2⁻⁵³ relative, for f32 as well.
fn sums_of_squares_are_f64_accurate_at_every_scale<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let largest = if size_of::<T>() == 4 { 120 } else { 1000 };
    for (m, n) in place.sizes(&cuts::ELEMENTWISE) {
        for layout in Layout::READABLE {
            for scale in [0, largest, -largest] {
                let what = format!("{} sum of squares {m}×{n} {layout:?} 2^{scale}", T::NAME);
                let factor = 2f64.powi(scale);
                let a = Stored::<T>::new(layout, m, n, |i, j| factor * noise(1, i, j));
                let oracle = &Reference;
                let on_oracle = a.on(oracle);
                let view = on_oracle.view();
                let expected = oracle.sum_of_squares(view, -scale).unwrap();
                let mut expected_columns = vec![0.0; n];
                oracle.column_sums_of_squares(view, -scale, &mut expected_columns).unwrap();
                let got = place.result(&what, |device| {
                    let a = a.on(device);
                    let mut sums = vec![f64::NAN; n];
                    device.column_sums_of_squares(a.view(), -scale, &mut sums).unwrap();
                    sums.push(device.sum_of_squares(a.view(), -scale).unwrap());
                    sums.push(device.max_abs(a.view()).unwrap());
                    sums
                });
                assert_eq!(got[n + 1], oracle.max_abs(view).unwrap(), "{what}");
                let relative = |terms: usize| (terms as f64 + 4.0) * f64::EPSILON / 2.0;
                assert!((got[n] - expected).abs() <= relative(m * n) * expected, "{what}");
                for (got, expected) in got.iter().zip(&expected_columns) {
                    assert!((got - expected).abs() <= relative(m) * expected, "{what}");
                }
            }
        }
    }
}

fn reductions_notice_what_is_not_finite<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n) in place.sizes(&cuts::SEARCHES) {
        for layout in Layout::WRITABLE {
            for (row, col) in [(0, 0), (m - 1, n - 1), (m / 2, n / 3), (m - 1, 0)] {
                for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    let what = format!("{m}×{n} {layout:?} {value}");
                    let last = (m - 1, n - 1);
                    let a = Stored::<T>::new(layout, m, n, |i, j| match (i, j) {
                        at if at == (row, col) => value,
                        // A second one later in row order must not win.
                        at if at == last => f64::INFINITY,
                        _ => noise(1, i, j),
                    });
                    for device in place.handles() {
                        let a = a.on(device);
                        let found = device.find_non_finite(a.view()).unwrap();
                        assert_eq!(found, Some((row, col)), "{what}");
                        let largest = device.max_abs(a.view()).unwrap();
                        if value.is_nan() {
                            assert!(largest.is_nan(), "{what}");
                        } else {
                            assert_eq!(largest, f64::INFINITY, "{what}");
                        }
                        assert!(!device.sum_of_squares(a.view(), 0).unwrap().is_finite());
                    }
                }
            }
            let a = Stored::<T>::new(layout, m, n, |i, j| noise(1, i, j));
            for device in place.handles() {
                assert_eq!(device.find_non_finite(a.on(device).view()).unwrap(), None);
            }
        }
    }
    let device = place.device();
    let empty = Stored::<T>::new(Layout::Columns, 0, 5, |_, _| 0.0).on(device);
    assert_eq!(device.max_abs(empty.view()).unwrap(), 0.0);
    assert_eq!(device.sum_of_squares(empty.view(), 0).unwrap(), 0.0);
    assert_eq!(device.find_non_finite(empty.view()).unwrap(), None);
}

on_every_device! {
    axpby_meets_the_rounding_model: f32 f64,
    scale_rounds_once_and_zero_overwrites_anything: f32 f64,
    scale_columns_rounds_once: f32 f64,
    gather_and_scatter_move_rows: f32 f64,
    sums_of_squares_are_f64_accurate_at_every_scale: f32 f64,
    reductions_notice_what_is_not_finite: f32 f64,
}
