//! Walsh-Hadamard and cosine transforms: the CPU against the oracle.
//!
//! A Walsh-Hadamard sum of n terms takes log₂ n additions on every path, so
//! |ŷᵢ − yᵢ| ≤ (log₂ n + 1)·u·Σ|xⱼ|. Fast cosine transforms are bounded by columns (Higham, chapter
//! 24): ‖ŷ − y‖₂ ≤ c·log₂ n·u·‖x‖₂, where c covers three transforms of twice the length, which is
//! what a length with large prime factors costs.

use crate::common::entries::order;
use crate::common::{
    Layout, Plain, Reference, Stored, assert_columns_within, assert_same_bits, assert_within, cpus,
    noise, sketch,
};
use randnla::{Backend, Cpu, Family, Op, Scalar, Sketch, TransformKernels};

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

fn column_norms(a: &Plain) -> Vec<f64> {
    (0..a.cols).map(|j| a.columns(j, j + 1).norm()).collect()
}

#[test]
fn fwht_meets_the_rounding_model() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for bits in 0..11 {
            let n = 1usize << bits;
            for (turn, cols) in [0, 1, 2, 7, 8, 9, 33].into_iter().enumerate() {
                for layout in Layout::WRITABLE {
                    if n >= 512 && (cols > 9 || turn % 2 == 0) && layout != Layout::Columns {
                        continue;
                    }
                    let what = format!("{} fwht {n}×{cols} {layout:?}", T::NAME);
                    let a = Stored::<T>::new(layout, n, cols, |i, j| noise(bits, i, j));
                    let run = |cpu: &Cpu| {
                        let mut a = a.clone();
                        TransformKernels::<T>::fwht(cpu, a.view_mut(cpu)).unwrap();
                        a.assert_gaps_untouched(&what);
                        a.plain()
                    };
                    let mut expected = a.clone();
                    Reference.fwht(expected.view_mut(&Reference)).unwrap();
                    let one = run(&cpus()[0]);
                    let size = a.plain().abs();
                    let total = |j| size.column(j).iter().sum::<f64>();
                    let factor = (bits as f64 + 1.0) * T::UNIT_ROUNDOFF;
                    let bound = Plain::from_fn(n, cols, |_, j| factor * total(j));
                    assert_within(&what, &one, &expected.plain(), &bound);
                    assert_same_bits(&what, &run(&cpus()[2]), &one);
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

/// H·H = n·I holds exactly for small integers, at lengths that the oracle cannot reach.
#[test]
fn fwht_twice_is_exact_on_integers() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        // |Hx| ≤ n and n·|x| ≤ n: below 2²⁴, the integers of f32, all along.
        for (bits, cols) in [(12, 20), (14, 5), (16, 3), (18, 2)] {
            let n = 1usize << bits;
            for layout in [Layout::Columns, Layout::Rows, Layout::Strided] {
                let x = |i, j| noise(9, i, j).signum();
                for cpu in [&cpus()[0], &cpus()[2]] {
                    let mut a = Stored::<T>::new(layout, n, cols, x);
                    TransformKernels::<T>::fwht(cpu, a.view_mut(cpu)).unwrap();
                    let once = a.plain();
                    // The first entry is the sum; a later one is a sum with signs.
                    for (row, j) in [(0, 0), (n / 2, cols - 1), (n - 1, 0), (n / 3, 1)] {
                        let sign = |i: usize| crate::common::entries::hadamard(row, i);
                        let sum: f64 = (0..n).map(|i| sign(i) * x(i, j)).sum();
                        assert_eq!(once.get(row, j), sum, "entry {row} of column {j}, n = {n}");
                    }
                    TransformKernels::<T>::fwht(cpu, a.view_mut(cpu)).unwrap();
                    let back = Plain::from_fn(n, cols, |i, j| n as f64 * x(i, j));
                    assert_same_bits("H·H", &a.plain(), &back);
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

const COSINE_FACTOR: f64 = 20.0;

#[test]
fn dct_and_its_inverse_meet_the_rounding_model() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let lengths =
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 31, 60, 64, 97, 100, 127, 128, 257, 500];
        for (turn, n) in lengths.into_iter().enumerate() {
            for op in [Op::NoTrans, Op::Trans] {
                let layout = Layout::WRITABLE[turn % 6];
                for cols in [0, 1, 3, 17] {
                    let what = format!("{} dct {op:?} {n}×{cols} {layout:?}", T::NAME);
                    let a = Stored::<T>::new(layout, n, cols, |i, j| noise(3, i, j));
                    let run = |cpu: &Cpu| {
                        let mut a = a.clone();
                        TransformKernels::<T>::dct(cpu, op, a.view_mut(cpu)).unwrap();
                        a.assert_gaps_untouched(&what);
                        a.plain()
                    };
                    let mut expected = a.clone();
                    Reference.dct(op, expected.view_mut(&Reference)).unwrap();
                    let one = run(&cpus()[0]);
                    let factor = COSINE_FACTOR * (n as f64 + 1.0).log2() * T::UNIT_ROUNDOFF;
                    let bound: Vec<f64> =
                        column_norms(&a.plain()).iter().map(|norm| factor * norm).collect();
                    assert_columns_within(&what, &one, &expected.plain(), &bound);
                    assert_same_bits(&what, &run(&cpus()[2]), &one);
                }
            }
        }
        // Long columns on several threads: C is orthonormal, so Cᵀ·C·x = x.
        for (n, cols) in [(4096, 40), (10_007, 6), (30_000, 3)] {
            let a = Stored::<T>::new(Layout::Columns, n, cols, |i, j| noise(3, i, j));
            let mut images = Vec::new();
            for cpu in [&cpus()[0], &cpus()[2]] {
                let mut b = a.clone();
                TransformKernels::<T>::dct(cpu, Op::NoTrans, b.view_mut(cpu)).unwrap();
                images.push(b.plain());
                TransformKernels::<T>::dct(cpu, Op::Trans, b.view_mut(cpu)).unwrap();
                let factor = 2.0 * COSINE_FACTOR * (n as f64).log2() * T::UNIT_ROUNDOFF;
                let bound: Vec<f64> =
                    column_norms(&a.plain()).iter().map(|norm| factor * norm).collect();
                assert_columns_within("CᵀC", &b.plain(), &a.plain(), &bound);
            }
            assert_same_bits("C on three threads", &images[1], &images[0]);
        }
    }
    cases::<f32>();
    cases::<f64>();
}

/// The transform and everything around it keep 2-norms, so rounding errors do:
/// ‖ĉ − c‖₂ ≤ (rounds·(κ log₂ n + 2) + 4)·u·|α|·scale·‖a‖₂ + 3u·|β|‖c‖₂, κ = 1 for Hadamard.
fn mix_case<T: Scalar>(
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
    let run = |cpu: &Cpu| {
        let mut c = c.clone();
        cpu.mix_times(s, op, x, a.view(cpu), y, c.view_mut(cpu)).unwrap();
        c.assert_gaps_untouched(&what);
        c.plain()
    };
    let mut expected = c.clone();
    Reference.mix_times(s, op, x, a.view(&Reference), y, expected.view_mut(&Reference)).unwrap();
    let one = run(&cpus()[0]);
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
    let bound: Vec<f64> =
        new.zip(norms(&c, beta)).map(|(new, old)| T::UNIT_ROUNDOFF * (new + 3.0 * old)).collect();
    assert_columns_within(&what, &one, &expected.plain(), &bound);
    assert_same_bits(&what, &run(&cpus()[2]), &one);
}

#[test]
fn subsampled_transforms_meet_the_rounding_model() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let lengths = [0, 1, 2, 3, 5, 8, 9, 16, 17, 63, 64, 65, 129, 256];
        for family in [Family::Srht, Family::Srct, Family::HadamardDiagonal] {
            for (turn, m) in lengths.into_iter().enumerate() {
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
                            mix_case::<T>(&s, n, op, [la, lc], factors);
                            mix_case::<T>(&s, n, op, [la, lc], (1.0, 0.0));
                        }
                    }
                }
            }
            let s = sketch(family, 11, 20, 3).unwrap();
            for op in [Op::NoTrans, Op::Trans] {
                for la in Layout::READABLE {
                    for (turn, lc) in Layout::WRITABLE.into_iter().enumerate() {
                        for beta in FACTORS {
                            mix_case::<T>(&s, 5, op, [la, lc], (FACTORS[turn % 3], beta));
                        }
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn subsampled_transforms_on_several_threads() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for (family, m) in
            [(Family::Srht, 1000), (Family::Srct, 500), (Family::HadamardDiagonal, 500)]
        {
            for (d, n) in [(50, 40), (450, 9)] {
                let s = sketch(family, d, m, 2).unwrap();
                for op in [Op::NoTrans, Op::Trans] {
                    mix_case::<T>(&s, n, op, [Layout::Columns; 2], (1.0, 0.0));
                    mix_case::<T>(&s, n, op, [Layout::Rows; 2], (-0.75, 1.0));
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}
