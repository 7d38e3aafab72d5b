//! Circular convolutions of columns on a device against the definition; of columns that are too long
//! for the oracle against the CPU, which has the same bound.
//!
//! A transform keeps 2-norms but for a relative error of κ u log₂ N, and a spectrum of a column is at
//! most its 1-norm. So ‖ĉ − c‖₂ ≤ κ u log₂(2qd) |α| Σᵢ ‖aᵢ‖₂ ∏ₖ≠ᵢ ‖aₖ‖₁ + 3u |β| ‖c‖₂ column by column.

use crate::common::{
    Layout, Place, Plain, Reference, Stored, assert_columns_within, assert_same_bits, cpus, cuts,
    noise, on_every_device,
};
use randnla::{Backend, Cpu, Scalar, TransformKernels};

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

/// The factors and output of a case, NaN in what is not to be read.
fn convolution_case<T: Scalar>(
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

/// C after `C ← α a₁ ∗ a₂ ∗ … + β C` on a device.
fn convolved<T: Scalar, D: TransformKernels<T>>(
    what: &str,
    device: &D,
    (alpha, beta): (f64, f64),
    factors: &[Stored<T>],
    c: &Stored<T>,
) -> Plain {
    let placed: Vec<_> = factors.iter().map(|a| a.on(device)).collect();
    let views: Vec<_> = placed.iter().map(|a| a.view()).collect();
    c.after(what, device, |c| device.convolve(T::from_f64(alpha), &views, T::from_f64(beta), c))
}

fn convolutions_meet_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut case = 0;
    for (turn, d) in place.sizes(&cuts::CONVOLVED).into_iter().enumerate() {
        for (k, (q, n)) in
            [1, 2, 3, 4].into_iter().flat_map(|q| [0, 1, 3, 19].map(move |n| (q, n))).enumerate()
        {
            let scales = (FACTORS[(turn + k / 4 + 1) % 3], FACTORS[(turn + k) % 3]);
            for scales in [scales, (1.0, 0.0)] {
                case += 1;
                if !place.takes(&cuts::CONVOLVED_FACTORS, case) {
                    continue;
                }
                let what = format!("{} {d}×{n} q={q} {scales:?}", T::NAME);
                let (factors, c) = convolution_case::<T>((d, n, q), turn + k, scales);
                let got =
                    place.result(&what, |device| convolved(&what, device, scales, &factors, &c));
                let expected = convolved(&what, &Reference, scales, &factors, &c);
                let plain: Vec<Plain> = factors.iter().map(Stored::plain).collect();
                let bound = convolution_bound(T::UNIT_ROUNDOFF, scales, &plain, &c.plain());
                assert_columns_within(&what, &got, &expected, &bound);
            }
        }
    }
}

/// Several passes over memory, with and without a wrap, in both directions.
fn convolutions_of_long_columns<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    Cpu: Backend<T>,
{
    for (d, n, q, layout) in place.sizes(&cuts::LONG_CONVOLVED) {
        let what = format!("{} {d}×{n} q={q} {layout:?}", T::NAME);
        let factor = |i: usize| Stored::<T>::new(layout, d, n, |r, j| noise(i as u64, r, j));
        let factors: Vec<_> = (0..q).map(factor).collect();
        let c = Stored::<T>::new(layout, d, n, |i, j| noise(9, i, j));
        let scales = (-0.75, 0.5);
        let got = place.result(&what, |device| convolved(&what, device, scales, &factors, &c));
        let on_cpu = convolved(&what, &cpus()[0], scales, &factors, &c);
        let plain: Vec<Plain> = factors.iter().map(Stored::plain).collect();
        let bound = convolution_bound(2.0 * T::UNIT_ROUNDOFF, scales, &plain, &c.plain());
        assert_columns_within(&what, &got, &on_cpu, &bound);
    }
}

/// Large enough for several threads; the unit vector e₁ turns columns by one place.
fn unit_vectors_turn_columns<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (d, n, layout) in place.sizes(&cuts::TURNED) {
        let a = Stored::<T>::new(layout, d, n, |i, j| noise(1, i, j));
        let e = Stored::<T>::new(Layout::EqualColumns, d, n, |i, _| f64::from(u8::from(i == 1)));
        let c = Stored::<T>::new(layout, d, n, |_, _| f64::NAN);
        let what = format!("{} {d}×{n}", T::NAME);
        let factors = [a, e];
        let got = place.result(&what, |device| convolved(&what, device, (1.0, 0.0), &factors, &c));
        let expected = Plain::from_fn(d, n, |i, j| factors[0].plain_entry((i + d - 1) % d, j));
        let plain = factors.each_ref().map(Stored::plain);
        let bound = convolution_bound(T::UNIT_ROUNDOFF, (1.0, 0.0), &plain, &expected);
        assert_columns_within(&what, &got, &expected, &bound);
    }
}

/// A power of two on a factor is a power of two on the result, bit for bit; a column with a NaN has
/// no other column for company.
fn convolutions_scale_exactly_and_keep_columns_apart<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (d, n) in [(16, 5), (15, 20), (30, 20), (1, 3)] {
        for layout in [Layout::Columns, Layout::Rows] {
            let what = format!("{} {d}×{n} {layout:?}", T::NAME);
            let run = |scale: f64, bad: bool| {
                let value = move |i, j| {
                    let nan = bad && (i, j) == (d / 2, 1);
                    if nan { f64::NAN } else { scale * noise(1, i, j) }
                };
                let a = Stored::<T>::new(layout, d, n, value);
                let b = Stored::<T>::new(layout, d, n, |i, j| noise(2, i, j));
                let c = Stored::<T>::new(layout, d, n, |_, _| 0.0);
                convolved(&what, place.device(), (1.0, 0.0), &[a, b], &c)
            };
            let (one, power) = (run(1.0, false), 2f64.powi(60));
            assert_same_bits(&what, &run(power, false), &one.map(|x| power * x));
            let spoilt = run(1.0, true);
            assert!(spoilt.column(1).iter().all(|x| x.is_nan()), "{what}");
            for j in (0..n).filter(|&j| j != 1) {
                assert_same_bits(&what, &spoilt.columns(j, j + 1), &one.columns(j, j + 1));
            }
        }
    }
}

on_every_device! {
    convolutions_meet_the_rounding_model: f32 f64,
    convolutions_of_long_columns: f32 f64,
    unit_vectors_turn_columns: f32 f64,
    convolutions_scale_exactly_and_keep_columns_apart: f32 f64,
}
