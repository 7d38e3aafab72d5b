//! Circular convolutions of columns against the definition.
//!
//! A transform keeps 2-norms but for a relative error of κ u log₂ N, and a spectrum of a column is at
//! most its 1-norm. So ‖ĉ − c‖₂ ≤ κ u log₂(2qd) |α| Σᵢ ‖aᵢ‖₂ ∏ₖ≠ᵢ ‖aₖ‖₁ + 3u |β| ‖c‖₂ column by column.

use crate::common::{
    Layout, Plain, Reference, Stored, assert_columns_within, assert_same_bits, cpus, noise,
};
use randnla::{Backend, Cpu, MatRef, Scalar, TransformKernels};

pub const CONVOLUTION_FACTOR: f64 = 10.0;

/// The bound above for every column.
pub fn convolution_bound(
    unit: f64,
    (alpha, beta): (f64, f64),
    factors: &[Plain],
    c: &Plain,
) -> Vec<f64> {
    let (d, q) = (c.rows as f64, factors.len() as f64);
    let one = |a: &Plain, j| a.column(j).iter().map(|x| x.abs()).sum::<f64>();
    let bound = |j| {
        let product = factors.iter().map(|a| one(a, j)).product::<f64>();
        let terms = factors.iter().map(|a| {
            let (one, two) = (one(a, j), a.columns(j, j + 1).norm());
            if one == 0.0 { 0.0 } else { two / one * product }
        });
        let new = if alpha == 0.0 { 0.0 } else { terms.sum::<f64>() * alpha.abs() };
        let old = if beta == 0.0 { 0.0 } else { c.columns(j, j + 1).norm() * beta.abs() };
        unit * (CONVOLUTION_FACTOR * (2.0 * q * d + 2.0).log2() * new + 3.0 * old)
    };
    (0..c.cols).map(bound).collect()
}

/// The lengths around which something changes: powers of two, odd and even, primes.
pub const LENGTHS: [usize; 20] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16, 17, 31, 32, 60, 64, 97, 128, 211];

/// The factors and output of a case, NaN in what is not to be read.
pub fn convolution_case<T: Scalar>(
    (d, n, q): (usize, usize, usize),
    turn: usize,
    (alpha, beta): (f64, f64),
) -> (Vec<Stored<T>>, Stored<T>) {
    let value = |skip: bool, seed| move |i, j| if skip { f64::NAN } else { noise(seed, i, j) };
    let factor = |i: usize| {
        let layout = Layout::READABLE[(turn + 3 * i) % 8];
        Stored::<T>::new(layout, d, n, value(alpha == 0.0, i as u64 + 1))
    };
    let layout = Layout::WRITABLE[turn % 6];
    ((0..q).map(factor).collect(), Stored::<T>::new(layout, d, n, value(beta == 0.0, 9)))
}

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

#[test]
fn convolutions_meet_the_rounding_model() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for (turn, d) in LENGTHS.into_iter().enumerate() {
            for (k, (q, n)) in [1, 2, 3, 4]
                .into_iter()
                .flat_map(|q| [0, 1, 3, 19].map(move |n| (q, n)))
                .enumerate()
            {
                let scales = (FACTORS[(turn + k / 4 + 1) % 3], FACTORS[(turn + k) % 3]);
                for scales in [scales, (1.0, 0.0)] {
                    let what = format!("{} {d}×{n} q={q} {scales:?}", T::NAME);
                    let (factors, c) = convolution_case::<T>((d, n, q), turn + k, scales);
                    let (alpha, beta) = (T::from_f64(scales.0), T::from_f64(scales.1));
                    let run = |cpu: &Cpu| {
                        let mut c = c.clone();
                        let views: Vec<_> = factors.iter().map(|a| a.view(cpu)).collect();
                        cpu.convolve(alpha, &views, beta, c.view_mut(cpu)).unwrap();
                        c.assert_gaps_untouched(&what);
                        c.plain()
                    };
                    let mut expected = c.clone();
                    let views: Vec<MatRef<'_, T, Reference>> =
                        factors.iter().map(|a| a.view(&Reference)).collect();
                    let out = expected.view_mut(&Reference);
                    Reference.convolve(alpha, &views, beta, out).unwrap();
                    let plain: Vec<Plain> = factors.iter().map(Stored::plain).collect();
                    let bound = convolution_bound(T::UNIT_ROUNDOFF, scales, &plain, &c.plain());
                    let one = run(&cpus()[0]);
                    assert_columns_within(&what, &one, &expected.plain(), &bound);
                    assert_same_bits(&what, &run(&cpus()[2]), &one);
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

/// Large enough for several threads; the unit vector e₁ turns columns by one place.
#[test]
fn convolutions_on_several_threads() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for (d, n, layout) in [
            (512, 100, Layout::Columns),
            (1000, 60, Layout::Rows),
            (4099, 9, Layout::Columns),
            (3, 9000, Layout::Rows),
        ] {
            let a = Stored::<T>::new(layout, d, n, |i, j| noise(1, i, j));
            let e =
                Stored::<T>::new(Layout::EqualColumns, d, n, |i, _| f64::from(u8::from(i == 1)));
            let run = |cpu: &Cpu| {
                let mut c = Stored::<T>::new(layout, d, n, |_, _| f64::NAN);
                let factors = [a.view(cpu), e.view(cpu)];
                cpu.convolve(T::one(), &factors, T::zero(), c.view_mut(cpu)).unwrap();
                c.plain()
            };
            let one = run(&cpus()[0]);
            let what = format!("{} {d}×{n}", T::NAME);
            let expected = Plain::from_fn(d, n, |i, j| a.plain_entry((i + d - 1) % d, j));
            let factors = [a.plain(), e.plain()];
            let bound = convolution_bound(T::UNIT_ROUNDOFF, (1.0, 0.0), &factors, &expected);
            assert_columns_within(&what, &one, &expected, &bound);
            assert_same_bits(&what, &run(&cpus()[2]), &one);
        }
    }
    cases::<f32>();
    cases::<f64>();
}

/// A power of two on a factor is a power of two on the result, bit for bit; a column with a NaN has
/// no other column for company.
#[test]
fn convolutions_scale_exactly_and_keep_columns_apart() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let cpu = &cpus()[0];
        for (d, n) in [(16, 5), (15, 20), (30, 20), (1, 3)] {
            for layout in [Layout::Columns, Layout::Rows] {
                let run = |scale: f64, bad: bool| {
                    let value = move |i, j| {
                        let nan = bad && (i, j) == (d / 2, 1);
                        if nan { f64::NAN } else { scale * noise(1, i, j) }
                    };
                    let a = Stored::<T>::new(layout, d, n, value);
                    let b = Stored::<T>::new(layout, d, n, |i, j| noise(2, i, j));
                    let mut c = Stored::<T>::new(layout, d, n, |_, _| 0.0);
                    let factors = [a.view(cpu), b.view(cpu)];
                    cpu.convolve(T::one(), &factors, T::zero(), c.view_mut(cpu)).unwrap();
                    c.plain()
                };
                let (one, power) = (run(1.0, false), 2f64.powi(60));
                let what = format!("{} {d}×{n} {layout:?}", T::NAME);
                assert_same_bits(&what, &run(power, false), &one.map(|x| power * x));
                let spoilt = run(1.0, true);
                assert!(spoilt.column(1).iter().all(|x| x.is_nan()), "{what}");
                for j in (0..n).filter(|&j| j != 1) {
                    assert_same_bits(&what, &spoilt.columns(j, j + 1), &one.columns(j, j + 1));
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}
