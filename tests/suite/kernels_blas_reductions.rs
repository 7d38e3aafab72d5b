//! Scaled copies, gathers, norms and searches: the CPU against the oracle.

use crate::common::{
    Layout, Plain, Reference, Stored, assert_same_bits, assert_within, cpus, noise,
};
use randnla::{Blas, Cpu, Scalar};

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];
const SHAPES: [(usize, usize); 14] = [
    (0, 0),
    (0, 5),
    (5, 0),
    (1, 1),
    (7, 9),
    (8, 8),
    (16, 15),
    (64, 63),
    (65, 257),
    (1, 300),
    (300, 1),
    (700, 5),
    (5, 700),
    (600, 500),
];

/// α a + β b takes three roundings, two of them with a fused multiply-add.
fn axpby_case<T: Scalar>((m, n): (usize, usize), la: Layout, lb: Layout, alpha: f64, beta: f64)
where
    Cpu: Blas<T>,
{
    let what = format!("{} axpby {m}×{n} {la:?} {lb:?} α={alpha} β={beta}", T::NAME);
    let a = Stored::<T>::new(la, m, n, |i, j| if alpha == 0.0 { f64::NAN } else { noise(1, i, j) });
    let b = Stored::<T>::new(lb, m, n, |i, j| if beta == 0.0 { f64::NAN } else { noise(2, i, j) });
    let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
    let run = |cpu: &Cpu| {
        let mut b = b.clone();
        cpu.axpby(x, a.view(cpu), y, b.view_mut(cpu)).unwrap();
        b.assert_gaps_untouched(&what);
        b.plain()
    };
    let mut expected = b.clone();
    Reference.axpby(x, a.view(&Reference), y, expected.view_mut(&Reference)).unwrap();
    // A copy, a scaling by one and a fill are exact.
    let rounded = alpha.abs() == 0.75 || beta.abs() == 0.75 || (alpha != 0.0 && beta != 0.0);
    let bound = Plain::from_fn(m, n, |i, j| {
        let part = |factor: f64, x: f64| if factor == 0.0 { 0.0 } else { (factor * x).abs() };
        let size = part(alpha, a.plain_entry(i, j)) + part(beta, b.plain_entry(i, j));
        if rounded { 4.0 * T::UNIT_ROUNDOFF * size } else { 0.0 }
    });
    let one = run(&cpus()[0]);
    assert_within(&what, &one, &expected.plain(), &bound);
    assert_same_bits(&what, &run(&cpus()[2]), &one);
}

#[test]
fn axpby_meets_the_rounding_model() {
    fn cases<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        for shape in SHAPES {
            let small = shape.0 * shape.1 < 5000;
            for (turn, la) in Layout::READABLE.into_iter().enumerate() {
                for lb in Layout::WRITABLE {
                    if small {
                        for case in 0..9 {
                            axpby_case::<T>(shape, la, lb, FACTORS[case / 3], FACTORS[case % 3]);
                        }
                    } else {
                        axpby_case::<T>(shape, la, lb, 1.0, 0.0);
                        axpby_case::<T>(shape, la, lb, -0.75, FACTORS[turn % 3]);
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn scale_rounds_once_and_zero_overwrites_anything() {
    fn cases<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        for (m, n) in SHAPES {
            for layout in Layout::WRITABLE {
                for beta in FACTORS {
                    let what = format!("{} scale {m}×{n} {layout:?} β={beta}", T::NAME);
                    let old = |i, j| if beta == 0.0 { f64::NAN } else { noise(1, i, j) };
                    let b = Stored::<T>::new(layout, m, n, old);
                    let mut expected = b.clone();
                    let beta = T::from_f64(beta);
                    Reference.scale(beta, expected.view_mut(&Reference)).unwrap();
                    for cpu in [&cpus()[0], &cpus()[2]] {
                        let mut b = b.clone();
                        cpu.scale(beta, b.view_mut(cpu)).unwrap();
                        b.assert_gaps_untouched(&what);
                        assert_within(&what, &b.plain(), &expected.plain(), &Plain::zeros(m, n));
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn scale_columns_rounds_once() {
    fn cases<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        for (m, n) in SHAPES {
            for layout in Layout::WRITABLE {
                let what = format!("{} scale_columns {m}×{n} {layout:?}", T::NAME);
                let scale: Vec<T> = (0..n).map(|j| T::from_f64(noise(4, 0, j))).collect();
                let b = Stored::<T>::new(layout, m, n, |i, j| noise(1, i, j));
                let run = |cpu: &Cpu| {
                    let mut b = b.clone();
                    cpu.scale_columns(&scale, b.view_mut(cpu)).unwrap();
                    b.assert_gaps_untouched(&what);
                    b.plain()
                };
                let mut expected = b.clone();
                Reference.scale_columns(&scale, expected.view_mut(&Reference)).unwrap();
                // One product is one rounding: no freedom. (For f64 the oracle's is the same one.)
                assert_same_bits(&what, &run(&cpus()[0]), &expected.plain());
                assert_same_bits(&what, &run(&cpus()[2]), &expected.plain());
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn gather_and_scatter_move_rows() {
    fn cases<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        for (m, n) in SHAPES {
            // Distinct rows in a scrambled order: a step that does not divide m is coprime to it.
            let step = [7, 11, 13].into_iter().find(|step| m % step != 0).unwrap_or(1);
            let index: Vec<usize> = (0..m / 2).map(|i| i * step % m).collect();
            for (turn, la) in Layout::READABLE.into_iter().enumerate() {
                let lb = Layout::WRITABLE[turn % Layout::WRITABLE.len()];
                let what = format!("{} gather/scatter {m}×{n} {la:?} {lb:?}", T::NAME);
                let a = Stored::<T>::new(la, m, n, |i, j| noise(1, i, j));
                let few = Stored::<T>::new(la, m / 2, n, |i, j| noise(2, i, j));
                for cpu in [&cpus()[0], &cpus()[2]] {
                    let mut b = Stored::<T>::new(lb, m / 2, n, |_, _| f64::NAN);
                    cpu.gather_rows(&index, a.view(cpu), b.view_mut(cpu)).unwrap();
                    b.assert_gaps_untouched(&what);
                    let from = |i: usize, j| a.plain_entry(index[i], j);
                    assert_same_bits(&what, &b.plain(), &Plain::from_fn(m / 2, n, from));

                    let mut c = Stored::<T>::new(lb, m, n, |i, j| noise(3, i, j));
                    let mut expected = c.plain();
                    cpu.scatter_rows(&index, few.view(cpu), c.view_mut(cpu)).unwrap();
                    c.assert_gaps_untouched(&what);
                    for (i, &to) in index.iter().enumerate() {
                        (0..n).for_each(|j| expected.set(to, j, few.plain_entry(i, j)));
                    }
                    assert_same_bits(&what, &c.plain(), &expected);
                }
                // A row may be gathered more than once, as row sampling with replacement does.
                if m > 0 {
                    let cpu = &cpus()[0];
                    let mut b = Stored::<T>::new(lb, 3, n, |_, _| f64::NAN);
                    cpu.gather_rows(&[m - 1, 0, m - 1], a.view(cpu), b.view_mut(cpu)).unwrap();
                    let from = |i: usize, j| a.plain_entry([m - 1, 0, m - 1][i], j);
                    assert_same_bits(&what, &b.plain(), &Plain::from_fn(3, n, from));
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

/// Squares and their sum in f64: (k + 4)·2⁻⁵³ relative, for f32 as well.
#[test]
fn sums_of_squares_are_f64_accurate_at_every_scale() {
    fn cases<T: Scalar>(largest: i32)
    where
        Cpu: Blas<T>,
    {
        for (m, n) in SHAPES {
            for layout in Layout::READABLE {
                for scale in [0, largest, -largest] {
                    let what = format!("{} sum of squares {m}×{n} {layout:?} 2^{scale}", T::NAME);
                    let factor = 2f64.powi(scale);
                    let a = Stored::<T>::new(layout, m, n, |i, j| factor * noise(1, i, j));
                    let oracle = &Reference;
                    let view = a.view(oracle);
                    let expected = oracle.sum_of_squares(view, -scale).unwrap();
                    let mut expected_columns = vec![0.0; n];
                    oracle.column_sums_of_squares(view, -scale, &mut expected_columns).unwrap();
                    let run = |cpu: &Cpu| {
                        let mut sums = vec![f64::NAN; n];
                        cpu.column_sums_of_squares(a.view(cpu), -scale, &mut sums).unwrap();
                        sums.push(cpu.sum_of_squares(a.view(cpu), -scale).unwrap());
                        sums.push(cpu.max_abs(a.view(cpu)).unwrap());
                        sums
                    };
                    let one = run(&cpus()[0]);
                    assert_eq!(one, run(&cpus()[2]), "{what}");
                    assert_eq!(one[n + 1], oracle.max_abs(view).unwrap(), "{what}");
                    let relative = |terms: usize| (terms as f64 + 4.0) * f64::EPSILON / 2.0;
                    assert!((one[n] - expected).abs() <= relative(m * n) * expected, "{what}");
                    for (got, expected) in one.iter().zip(&expected_columns) {
                        assert!((got - expected).abs() <= relative(m) * expected, "{what}");
                    }
                }
            }
        }
    }
    cases::<f32>(120);
    cases::<f64>(1000);
}

#[test]
fn reductions_notice_what_is_not_finite() {
    fn cases<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        for (m, n) in [(1, 1), (9, 7), (64, 65), (300, 700)] {
            for layout in Layout::WRITABLE {
                for (row, col) in [(0, 0), (m - 1, n - 1), (m / 2, n / 3), (m - 1, 0)] {
                    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                        let last = (m - 1, n - 1);
                        let a = Stored::<T>::new(layout, m, n, |i, j| match (i, j) {
                            at if at == (row, col) => value,
                            // A second one later in row order must not win.
                            at if at == last => f64::INFINITY,
                            _ => noise(1, i, j),
                        });
                        for cpu in [&cpus()[0], &cpus()[2]] {
                            let found = cpu.find_non_finite(a.view(cpu)).unwrap();
                            assert_eq!(found, Some((row, col)), "{m}×{n} {layout:?} {value}");
                            let largest = cpu.max_abs(a.view(cpu)).unwrap();
                            if value.is_nan() {
                                assert!(largest.is_nan(), "{m}×{n} {layout:?}");
                            } else {
                                assert_eq!(largest, f64::INFINITY, "{m}×{n} {layout:?}");
                            }
                            assert!(!cpu.sum_of_squares(a.view(cpu), 0).unwrap().is_finite());
                        }
                    }
                }
                let a = Stored::<T>::new(layout, m, n, |i, j| noise(1, i, j));
                assert_eq!(cpus()[2].find_non_finite(a.view(&cpus()[2])).unwrap(), None);
            }
        }
        let empty = Stored::<T>::new(Layout::Columns, 0, 5, |_, _| 0.0);
        let cpu = &cpus()[0];
        assert_eq!(cpu.max_abs(empty.view(cpu)).unwrap(), 0.0);
        assert_eq!(cpu.sum_of_squares(empty.view(cpu), 0).unwrap(), 0.0);
        assert_eq!(cpu.find_non_finite(empty.view(cpu)).unwrap(), None);
    }
    cases::<f32>();
    cases::<f64>();
}
