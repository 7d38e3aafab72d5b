//! Products, Gram matrices and triangular solves: the CPU against the oracle.
//!
//! The bound of a sum of k products is |ĉ − c| ≤ (k + 4)·u·(|α||A||B| + |β||C|), whatever the order
//! of summation, with or without fused multiply-add; 4 covers α, β, their sum and the oracle.

use crate::common::{
    Layout, Plain, Reference, Stored, assert_same_bits, assert_within, cpus, noise,
};
use randnla::matrix::{BatchMut, BatchRef};
use randnla::{Blas, Cpu, Op, Scalar, Uplo};

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

/// `count` layouts that differ from case to case but come round to every combination.
fn pick(layouts: &[Layout], case: usize, turn: usize) -> Layout {
    layouts[(case / turn) % layouts.len()]
}

/// One product on one and three threads and on the oracle.
fn gemm_case<T: Scalar>(
    (m, n, k): (usize, usize, usize),
    [la, lb, lc]: [Layout; 3],
    (alpha, beta): (f64, f64),
) where
    Cpu: Blas<T>,
{
    let what = format!("{} gemm {m}×{n}×{k} {la:?} {lb:?} {lc:?} α={alpha} β={beta}", T::NAME);
    let input = |seed| move |i, j| if alpha == 0.0 { f64::NAN } else { noise(seed, i, j) };
    let a = Stored::<T>::new(la, m, k, input(1));
    let b = Stored::<T>::new(lb, k, n, input(2));
    let c = Stored::<T>::new(lc, m, n, |i, j| if beta == 0.0 { f64::NAN } else { noise(3, i, j) });
    let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
    let run = |cpu: &Cpu| {
        let mut c = c.clone();
        cpu.gemm(x, a.view(cpu), b.view(cpu), y, c.view_mut(cpu)).unwrap();
        c.assert_gaps_untouched(&what);
        c.plain()
    };
    let mut expected = c.clone();
    let oracle = &Reference;
    oracle.gemm(x, a.view(oracle), b.view(oracle), y, expected.view_mut(oracle)).unwrap();
    let products = a.plain().abs().times(&b.plain().abs());
    let bound = Plain::from_fn(m, n, |i, j| {
        let product = if alpha == 0.0 { 0.0 } else { alpha.abs() * products.get(i, j) };
        let old = if beta == 0.0 { 0.0 } else { beta.abs() * c.plain_entry(i, j).abs() };
        (k as f64 + 4.0) * T::UNIT_ROUNDOFF * (product + old)
    });
    let one = run(&cpus()[0]);
    assert_within(&what, &one, &expected.plain(), &bound);
    assert_same_bits(&what, &run(&cpus()[2]), &one);
}

#[test]
fn gemm_meets_the_rounding_model_for_every_shape() {
    fn shapes<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        let shapes = [
            (0, 3, 4),
            (3, 0, 4),
            (3, 4, 0),
            (0, 0, 0),
            (1, 1, 1),
            (1, 7, 9),
            (7, 1, 9),
            (7, 9, 1),
            (7, 8, 9),
            (15, 16, 17),
            (16, 17, 15),
            (31, 33, 32),
            (63, 64, 65),
            (64, 65, 63),
            (65, 63, 64),
            (1, 256, 300),
            (256, 1, 300),
            (255, 257, 20),
            (20, 4, 2000),
            (130, 120, 140),
            (3, 900, 300),
            (900, 3, 300),
        ];
        for shape in shapes {
            for (alpha, beta) in [(1.0, 0.0), (-0.75, 1.0)] {
                gemm_case::<T>(shape, [Layout::Columns; 3], (alpha, beta));
                gemm_case::<T>(shape, [Layout::Rows; 3], (alpha, beta));
            }
        }
    }
    shapes::<f32>();
    shapes::<f64>();
}

#[test]
fn gemm_meets_the_rounding_model_for_every_layout_and_factor() {
    fn layouts<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        let (inputs, outputs) = (Layout::READABLE, Layout::WRITABLE);
        for case in 0..inputs.len() * inputs.len() * outputs.len() {
            let lc = pick(&outputs, case, inputs.len() * inputs.len());
            let layouts = [pick(&inputs, case, 1), pick(&inputs, case, inputs.len()), lc];
            let factors = (FACTORS[case % 3], FACTORS[case / 3 % 3]);
            gemm_case::<T>((17, 9, 33), layouts, factors);
            if case % 7 == 0 {
                gemm_case::<T>((70, 65, 90), layouts, (1.0, factors.1));
            }
        }
        for alpha in FACTORS {
            for beta in FACTORS {
                for layout in outputs {
                    gemm_case::<T>((5, 1, 70), [layout; 3], (alpha, beta));
                    gemm_case::<T>((1, 5, 70), [layout; 3], (alpha, beta));
                    gemm_case::<T>((12, 11, 5), [layout; 3], (alpha, beta));
                }
            }
        }
    }
    layouts::<f32>();
    layouts::<f64>();
}

#[test]
fn gemm_batched_is_a_row_of_products() {
    fn batches<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        // Triples side by side in one wide matrix each; A once with distance 0, shared by all.
        for (m, n, k, batch, shared) in
            [(3, 4, 5, 0, false), (3, 4, 5, 7, false), (8, 16, 9, 5, true), (40, 30, 50, 6, false)]
        {
            let a = Stored::<T>::new(Layout::Columns, m, k * batch, |i, j| noise(1, i, j));
            let b = Stored::<T>::new(Layout::Columns, k, n * batch, |i, j| noise(2, i, j));
            let c = Stored::<T>::new(Layout::Columns, m, n * batch, |i, j| noise(3, i, j));
            let count = |len: usize| if batch == 0 { 0 } else { len };
            let (x, y) = (T::from_f64(-0.75), T::from_f64(0.5));
            let steps =
                (if shared { 0 } else { m * k } as isize, (k * n) as isize, (m * n) as isize);
            let run = |cpu: &Cpu| {
                let mut c = c.clone();
                let a = a.view(cpu).columns(0..count(k));
                let b = b.view(cpu).columns(0..count(n));
                let first = c.view_mut(cpu).columns(0..count(n));
                // SAFETY: the matrices of a batch lie side by side in its wide matrix.
                let (a, b, out) = unsafe {
                    (
                        BatchRef::from_raw_parts(a, steps.0, batch),
                        BatchRef::from_raw_parts(b, steps.1, batch),
                        BatchMut::from_raw_parts(first, steps.2, batch),
                    )
                };
                cpu.gemm_batched(x, a, b, y, out).unwrap();
                c.plain()
            };
            let one = run(&cpus()[0]);
            for i in 0..batch {
                let from = if shared { 0 } else { i * k };
                let a_i = a.plain().columns(from, from + k);
                let b_i = b.plain().columns(i * n, (i + 1) * n);
                let c_i = c.plain().columns(i * n, (i + 1) * n);
                let product = a_i.times_exactly(&b_i);
                let size = a_i.abs().times(&b_i.abs());
                let at = |i, j| -0.75 * product.get(i, j) + 0.5 * c_i.get(i, j);
                let size_at = |i, j| 0.75 * size.get(i, j) + 0.5 * f64::abs(c_i.get(i, j));
                let factor = (k as f64 + 4.0) * T::UNIT_ROUNDOFF;
                assert_within(
                    &format!("{} batch {i} of {batch}, {m}×{n}×{k}", T::NAME),
                    &one.columns(i * n, (i + 1) * n),
                    &Plain::from_fn(m, n, at),
                    &Plain::from_fn(m, n, |i, j| factor * size_at(i, j)),
                );
            }
            assert_same_bits("gemm_batched", &run(&cpus()[2]), &one);
        }
    }
    batches::<f32>();
    batches::<f64>();
}

#[test]
fn gram_meets_the_rounding_model_and_is_symmetric() {
    fn grams<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        let shapes = [
            (0, 0),
            (0, 3),
            (3, 0),
            (1, 1),
            (9, 8),
            (8, 17),
            (63, 16),
            (64, 65),
            (257, 64),
            (1000, 33),
            (5000, 20),
            (300, 130),
        ];
        for (case, (m, n)) in shapes.into_iter().enumerate() {
            for turn in 0..Layout::READABLE.len() {
                let layout = Layout::READABLE[turn];
                let a = Stored::<T>::new(layout, m, n, |i, j| noise(1, i, j));
                let out = pick(&Layout::WRITABLE, case + turn, 1);
                let what = format!("{} gram {m}×{n} {layout:?} → {out:?}", T::NAME);
                let run = |cpu: &Cpu| {
                    let mut g = Stored::<T>::new(out, n, n, |_, _| f64::NAN);
                    cpu.gram(a.view(cpu), g.view_mut(cpu)).unwrap();
                    g.assert_gaps_untouched(&what);
                    g.plain()
                };
                let size = a.plain().abs().transpose().times(&a.plain().abs());
                let exact = a.plain().transpose().times_exactly(&a.plain());
                let one = run(&cpus()[0]);
                let bound = size.map(|x| (m as f64 + 4.0) * T::UNIT_ROUNDOFF * x);
                assert_within(&what, &one, &exact, &bound);
                assert_same_bits(&what, &one.transpose(), &one);
                assert_same_bits(&what, &run(&cpus()[2]), &one);
            }
        }
    }
    grams::<f32>();
    grams::<f64>();
}

/// Substitution is backward stable entry by entry: |X op(A) − B| ≤ (n + 4)·u·|X||op(A)|, however
/// ill-conditioned A is (Higham, "Accuracy and stability", theorem 8.5).
fn trsm_case<T: Scalar>(m: usize, n: usize, uplo: Uplo, op: Op, layouts: [Layout; 2], wild: bool)
where
    Cpu: Blas<T>,
{
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
    let run = |cpu: &Cpu| {
        let mut x = b.clone();
        cpu.trsm_right(uplo, op, a.view(cpu), x.view_mut(cpu)).unwrap();
        x.assert_gaps_untouched(&what);
        x.plain()
    };
    let one = run(&cpus()[0]);
    let triangle =
        Plain::from_fn(n, n, |i, j| if stored(i, j) { a.plain_entry(i, j) } else { 0.0 });
    let triangle = if op == Op::NoTrans { triangle } else { triangle.transpose() };
    let size = one.abs().times(&triangle.abs());
    let bound = size.map(|x| (n as f64 + 4.0) * T::UNIT_ROUNDOFF * x);
    assert_within(&what, &one.times_exactly(&triangle), &b.plain(), &bound);
    assert_same_bits(&what, &run(&cpus()[2]), &one);
    let mut solved = b.clone();
    Reference.trsm_right(uplo, op, a.view(&Reference), solved.view_mut(&Reference)).unwrap();
    let oracle = solved.plain();
    let bound = oracle.abs().times(&triangle.abs()).map(|x| 2.0 * n as f64 * T::UNIT_ROUNDOFF * x);
    assert_within("the oracle's trsm", &oracle.times_exactly(&triangle), &b.plain(), &bound);
}

#[test]
fn triangular_solves_are_backward_stable() {
    fn solves<T: Scalar>()
    where
        Cpu: Blas<T>,
    {
        let shapes = [
            (0, 4),
            (4, 0),
            (1, 1),
            (7, 8),
            (9, 16),
            (17, 15),
            (64, 33),
            (65, 64),
            (300, 20),
            (40, 130),
            (2000, 24),
        ];
        for (case, (m, n)) in shapes.into_iter().enumerate() {
            for uplo in [Uplo::Lower, Uplo::Upper] {
                for op in [Op::NoTrans, Op::Trans] {
                    for turn in 0..Layout::WRITABLE.len() {
                        let layouts =
                            [Layout::WRITABLE[turn], pick(&Layout::WRITABLE, case + turn, 1)];
                        trsm_case::<T>(m, n, uplo, op, layouts, false);
                    }
                    trsm_case::<T>(m, n.min(40), uplo, op, [Layout::Columns; 2], true);
                }
            }
        }
    }
    solves::<f32>();
    solves::<f64>();
}
