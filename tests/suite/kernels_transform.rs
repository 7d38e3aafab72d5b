//! Walsh-Hadamard and cosine transforms, and the operators made of them, on a device against the
//! oracle; columns that are too long for the oracle against the CPU, which has the same bound.
//!
//! A Walsh-Hadamard sum of n terms takes log₂ n additions on every path, so
//! |ŷᵢ − yᵢ| ≤ (log₂ n + 1)·u·Σ|xⱼ|. Fast cosine transforms are bounded by columns (Higham, chapter
//! 24): ‖ŷ − y‖₂ ≤ c·log₂ n·u·‖x‖₂, where c covers three transforms of twice the length, which is
//! what a length with large prime factors costs.
//!
//! On a GPU the lengths meet both ways through the kernels: a column that fits a block, which in
//! row-major matrices of many columns ends at 2⁹ positions and else at 2¹² to 2¹⁴, and several passes.

use crate::common::entries::{hadamard, order};
use crate::common::{
    Layout, Place, Plain, Reference, Stored, assert_columns_within, assert_same_bits,
    assert_within, cpus, cuts, noise, on_every_device, sketch,
};
use randnla::{Backend, Cpu, Family, Op, Scalar, Sketch, TransformKernels};

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

fn column_norms(a: &Plain) -> Vec<f64> {
    (0..a.cols).map(|j| a.columns(j, j + 1).norm()).collect()
}

fn fwht_meets_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut case = 0;
    let columns = [0, 1, 2, 7, 8, 9, 33];
    for (bits, cols) in (0..11u32).flat_map(|bits| columns.map(|cols| (bits, cols))) {
        let n = 1usize << bits;
        for layout in Layout::WRITABLE {
            case += 1;
            let slow = bits >= 9 && cols > 8 && layout != Layout::Columns;
            if slow || !place.takes(&cuts::FWHT_LAYOUTS, case) {
                continue;
            }
            let what = format!("{} fwht {n}×{cols} {layout:?}", T::NAME);
            let a = Stored::<T>::new(layout, n, cols, |i, j| noise(u64::from(bits), i, j));
            let expected = a.after(&what, &Reference, |a| Reference.fwht(a));
            let got = place.result(&what, |device| a.after(&what, device, |a| device.fwht(a)));
            let size = a.plain().abs();
            let factor = (bits as f64 + 1.0) * T::UNIT_ROUNDOFF;
            let totals: Vec<f64> =
                (0..cols).map(|j| factor * size.column(j).iter().sum::<f64>()).collect();
            let bound = Plain::from_fn(n, cols, |_, j| totals[j]);
            assert_within(&what, &got, &expected, &bound);
        }
    }
}

/// H·H = n·I holds exactly for small integers, at lengths that the oracle cannot reach.
fn fwht_twice_is_exact_on_integers<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    // |Hx| ≤ n and n·|x| ≤ n: below 2²⁴, the integers of f32, all along.
    for (bits, cols, layout) in place.sizes(&cuts::LONG_FWHT) {
        let n = 1usize << bits;
        let what = format!("{} H·H {n}×{cols} {layout:?}", T::NAME);
        let x = |i, j| noise(9, i, j).signum();
        let a = Stored::<T>::new(layout, n, cols, x);
        let once = place.result(&what, |device| a.after(&what, device, |a| device.fwht(a)));
        // The first entry is the sum; a later one is a sum with signs.
        for (row, j) in [(0, 0), (n / 2, cols - 1), (n - 1, 0), (n / 3, cols / 2)] {
            let sum: f64 = (0..n).map(|i| hadamard(row, i) * x(i, j)).sum();
            assert_eq!(once.get(row, j), sum, "{what}: entry {row} of column {j}");
        }
        let once = Stored::<T>::from_plain(layout, &once);
        let twice = place.result(&what, |device| once.after(&what, device, |a| device.fwht(a)));
        assert_same_bits(&what, &twice, &Plain::from_fn(n, cols, |i, j| n as f64 * x(i, j)));
    }
}

const COSINE_FACTOR: f64 = 20.0;

fn dct_and_its_inverse_meet_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (turn, n) in place.sizes(&cuts::DCT).into_iter().enumerate() {
        for op in [Op::NoTrans, Op::Trans] {
            for cols in [0, 1, 3, 17] {
                let layout = Layout::WRITABLE[(turn + cols) % 6];
                let what = format!("{} dct {op:?} {n}×{cols} {layout:?}", T::NAME);
                let a = Stored::<T>::new(layout, n, cols, |i, j| noise(3, i, j));
                let got =
                    place.result(&what, |device| a.after(&what, device, |a| device.dct(op, a)));
                let expected = a.after(&what, &Reference, |a| Reference.dct(op, a));
                let factor = COSINE_FACTOR * (n as f64 + 1.0).log2() * T::UNIT_ROUNDOFF;
                let bound: Vec<f64> =
                    column_norms(&a.plain()).iter().map(|norm| factor * norm).collect();
                assert_columns_within(&what, &got, &expected, &bound);
            }
        }
    }
}

/// C is orthonormal, so Cᵀ·C·x = x; and each of them agrees with the CPU's.
fn dct_of_long_columns<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    Cpu: Backend<T>,
{
    for (n, cols, layout) in place.sizes(&cuts::LONG_DCT) {
        let what = format!("{} dct {n}×{cols} {layout:?}", T::NAME);
        let a = Stored::<T>::new(layout, n, cols, |i, j| noise(3, i, j));
        let factor = 2.0 * COSINE_FACTOR * (n as f64).log2() * T::UNIT_ROUNDOFF;
        let bound: Vec<f64> = column_norms(&a.plain()).iter().map(|norm| factor * norm).collect();
        let mut images = Vec::new();
        for op in [Op::NoTrans, Op::Trans] {
            let got = place.result(&what, |device| a.after(&what, device, |a| device.dct(op, a)));
            let cpu = &cpus()[0];
            let on_cpu = a.after(&what, cpu, |a| TransformKernels::<T>::dct(cpu, op, a));
            assert_columns_within(&what, &got, &on_cpu, &bound);
            images.push(got);
        }
        let image = Stored::<T>::from_plain(layout, &images[0]);
        let device = place.device();
        let back = image.after(&what, device, |a| device.dct(Op::Trans, a));
        assert_columns_within(&format!("CᵀC, {what}"), &back, &a.plain(), &bound);
    }
}

/// The transform and everything around it keep 2-norms, so rounding errors do:
/// ‖ĉ − c‖₂ ≤ (rounds·(κ log₂ n + 2) + 4)·u·|α|·scale·‖a‖₂ + 3u·|β|‖c‖₂, κ = 1 for Hadamard.
///
/// Beyond an order of 1024 the CPU stands for the oracle, and its error for as much again.
fn mix_case<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
    s: &Sketch,
    n: usize,
    op: Op,
    [la, lc]: [Layout; 2],
    (alpha, beta): (f64, f64),
) where
    Cpu: Backend<T>,
{
    let (d, m) = s.shape();
    let (rows_a, rows_c) = if op == Op::NoTrans { (m, d) } else { (d, m) };
    let what = format!(
        "{} {:?} {d}×{m} {op:?} n={n} {la:?} {lc:?} α={alpha} β={beta}",
        T::NAME,
        s.family()
    );
    let value = |skip: bool, seed| move |i, j| if skip { f64::NAN } else { noise(seed, i, j) };
    let a = Stored::<T>::new(la, rows_a, n, value(alpha == 0.0, 1));
    let c = Stored::<T>::new(lc, rows_c, n, value(beta == 0.0, 2));
    let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
    fn run<T: Scalar, D: TransformKernels<T>>(
        what: &str,
        device: &D,
        (s, op): (&Sketch, Op),
        (x, y): (T, T),
        (a, c): (&Stored<T>, &Stored<T>),
    ) -> Plain {
        c.after(what, device, |c| device.mix_times(s, op, x, a.on(device).view(), y, c))
    }
    let got = place.result(&what, |device| run(&what, device, (s, op), (x, y), (&a, &c)));
    let long = order(s) > 1024;
    let expected = match long {
        true => run(&what, &cpus()[0], (s, op), (x, y), (&a, &c)),
        false => run(&what, &Reference, (s, op), (x, y), (&a, &c)),
    };
    let sides = if long { 2.0 } else { 1.0 };
    let stages = (order(s) as f64).max(2.0).log2();
    let steps = match s.family() {
        Family::HadamardDiagonal => 3.0 * (stages + 2.0),
        Family::Srct => COSINE_FACTOR * (stages + 1.0),
        _ => stages + 2.0,
    };
    let norms = |x: &Stored<T>, factor: f64| {
        let zero = factor == 0.0;
        column_norms(&x.plain()).into_iter().map(move |y| if zero { 0.0 } else { y * factor.abs() })
    };
    let new = norms(&a, alpha * s.scale()).map(|norm| (steps + 4.0) * norm);
    let bound: Vec<f64> = new
        .zip(norms(&c, beta))
        .map(|(new, old)| sides * T::UNIT_ROUNDOFF * (new + 3.0 * old))
        .collect();
    assert_columns_within(&what, &got, &expected, &bound);
}

const TRANSFORMS: [Family; 3] = [Family::Srht, Family::Srct, Family::HadamardDiagonal];

fn subsampled_transforms_meet_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    Cpu: Backend<T>,
{
    let mut case = 0;
    for family in TRANSFORMS {
        for (turn, m) in place.sizes(&cuts::MIXED).into_iter().enumerate() {
            for d in [m.min(1), m / 3, m] {
                let whole = sketch(family, d, m, turn as u64).unwrap();
                let mut windows = vec![whole];
                if d > 2 {
                    windows.push(whole.rows(1..d - 1).columns(1..m));
                    windows.push(whole.columns(m / 2..m / 2 + 2));
                }
                for (k, s) in windows.into_iter().enumerate() {
                    for (n, op) in [
                        (0, Op::NoTrans),
                        (1, Op::NoTrans),
                        (1, Op::Trans),
                        (9, Op::NoTrans),
                        (20, Op::Trans),
                    ] {
                        let la = Layout::READABLE[(k + turn + n) % 8];
                        let lc = Layout::WRITABLE[(k + 2 * turn + n) % 6];
                        let factors = (FACTORS[(1 + turn + n) % 3], FACTORS[(k + turn) % 3]);
                        for factors in [factors, (1.0, 0.0)] {
                            case += 1;
                            if place.takes(&cuts::MIXED_WINDOWS, case) {
                                mix_case::<T, D>(place, &s, n, op, [la, lc], factors);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn subsampled_transforms_for_every_layout_and_factor<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    Cpu: Backend<T>,
{
    let mut case = 0;
    for family in TRANSFORMS {
        let s = sketch(family, 11, 20, 3).unwrap();
        for op in [Op::NoTrans, Op::Trans] {
            for la in Layout::READABLE {
                for (turn, lc) in Layout::WRITABLE.into_iter().enumerate() {
                    for beta in FACTORS {
                        case += 1;
                        if place.takes(&cuts::MIXED_LAYOUTS, case) {
                            let factors = (FACTORS[turn % 3], beta);
                            mix_case::<T, D>(place, &s, 5, op, [la, lc], factors);
                        }
                    }
                }
            }
        }
    }
}

fn subsampled_transforms_of_large_matrices<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    Cpu: Backend<T>,
{
    for family in TRANSFORMS {
        for (m, d, n) in place.sizes(&cuts::LARGE_MIXED) {
            let whole = sketch(family, d, m, 2).unwrap();
            let part = whole.rows(3..d - 1).columns(7..m - 5);
            for (s, op) in
                [(whole, Op::NoTrans), (whole, Op::Trans), (part, Op::NoTrans), (part, Op::Trans)]
            {
                mix_case::<T, D>(place, &s, n, op, [Layout::Columns; 2], (1.0, 0.0));
                mix_case::<T, D>(place, &s, n, op, [Layout::Rows; 2], (-0.75, 1.0));
            }
            let mixed = [Layout::PaddedRows, Layout::Columns];
            mix_case::<T, D>(place, &part, n, Op::NoTrans, mixed, (1.0, 0.0));
        }
    }
}

on_every_device! {
    fwht_meets_the_rounding_model: f32 f64,
    fwht_twice_is_exact_on_integers: f32 f64,
    dct_and_its_inverse_meet_the_rounding_model: f32 f64,
    dct_of_long_columns: f32 f64,
    subsampled_transforms_meet_the_rounding_model: f32 f64,
    subsampled_transforms_for_every_layout_and_factor: f32 f64,
    subsampled_transforms_of_large_matrices: f32 f64,
}
