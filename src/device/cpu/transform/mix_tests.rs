use super::fwht::Isa;
use super::mix::mix_times;
use super::testing::{LAYOUTS, Strided, noise};
use super::{Real, number};
use crate::random::{Permutation, Stream, sign};
use crate::{Cpu, Family, Op, Sketch};

/// The operator, entry by entry, from the definition.
fn dense(s: &Sketch) -> Vec<Vec<f64>> {
    let n = s.transform_len();
    let (signs, rows) = match s.family() {
        Family::Srht => (Stream::SrhtSigns, Stream::SrhtRows),
        Family::Srct => (Stream::DctSigns, Stream::DctRows),
        _ => (Stream::HadamardDiagonalSigns, Stream::HadamardDiagonalRows),
    };
    let transform = |i: usize, t: usize| match s.family() {
        Family::Srct => {
            let angle = ((2 * t + 1) * i) as f64 * core::f64::consts::PI / (2 * n) as f64;
            (if i == 0 { 1.0 } else { 2.0 } / n as f64).sqrt() * angle.cos()
        }
        _ => (1.0 - 2.0 * ((i & t).count_ones() % 2) as f64) / (n as f64).sqrt(),
    };
    let permutation = Permutation::new(s.seed(), rows, n as u64);
    s.row_range()
        .map(|i| {
            let mut row = vec![0.0; n];
            row[permutation.get(i as u64) as usize] = 1.0;
            for round in (0..u64::from(s.rounds())).rev() {
                row = (0..n)
                    .map(|t| {
                        let x: f64 = (0..n).map(|i| row[i] * transform(i, t)).sum();
                        if sign(s.seed(), signs, t as u64, round) { -x } else { x }
                    })
                    .collect();
            }
            s.col_range().map(|t| s.scale() * row[t]).collect()
        })
        .collect()
}

/// All of α and β, layouts and widths against the dense operator; A and C start as NaN where they
/// must not be read. The bound: 10·rounds·log₂(n)·u·‖S‖‖x‖ for the transform, plus β C.
fn check<T: Real>(s: &Sketch, op: Op, cols: usize) {
    let one = Cpu::with_threads(1).unwrap();
    let matrix = dense(s);
    let (d, m) = s.shape();
    let (rows_in, rows_out) = if op == Op::NoTrans { (m, d) } else { (d, m) };
    let levels = f64::from(s.rounds()) * (s.transform_len() as f64 + 2.0).log2();
    for (layout, out_layout) in (0..LAYOUTS).map(|i| (i, (i * 5 + 2) % LAYOUTS)).chain([(2, 2)]) {
        for (alpha, beta) in [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (-0.75, 0.5), (1.0, 1.0)] {
            let source = Strided::<T>::from_fn(layout, rows_in, cols, noise(1));
            let before = Strided::<T>::from_fn(out_layout, rows_out, cols, noise(2));
            let nan = Strided::<T>::new(layout, rows_in, cols);
            let a = if alpha == 0.0 { &nan } else { &source };
            let mut c =
                if beta == 0.0 { Strided::new(out_layout, rows_out, cols) } else { before.clone() };
            let factors = (number(alpha), number(beta));
            let isas = Isa::available();
            let isa = isas[(layout + cols) % isas.len()];
            mix_times(&one, isa, s, op, factors, a.view(&one), c.view_mut(&one)).unwrap();
            assert_eq!(c.gaps(), before.gaps(), "a gap was written, or an entry was not");
            for j in 0..cols {
                let x = source.column(j);
                let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
                for i in 0..rows_out {
                    let entry = |t: usize| {
                        if op == Op::NoTrans { matrix[i][t] } else { matrix[t][i] }
                    };
                    let product: f64 = (0..rows_in).map(|t| entry(t) * x[t]).sum();
                    let want = alpha * product + beta * before.get(i, j);
                    let bound = T::UNIT_ROUNDOFF
                        * (10.0 * levels * alpha.abs() * s.scale().abs() * norm
                            + 2.0 * (beta * before.get(i, j)).abs());
                    let error = (c.get(i, j) - want).abs();
                    assert!(
                        error <= bound,
                        "{s:?} {op:?} layouts {layout}, {out_layout}, cols {cols}, α {alpha}, \
                         β {beta}, ({i}, {j}): {error} > {bound}"
                    );
                }
            }
        }
    }
}

fn operators(d: usize, m: usize) -> [Sketch; 3] {
    [
        Sketch::srht(d, m, 7).unwrap(),
        Sketch::hadamard_diagonal(d, m, 8).unwrap(),
        Sketch::srct(d, m, 9).unwrap(),
    ]
}

fn check_all<T: Real>() {
    for (d, m) in [(0, 5), (1, 1), (2, 3), (5, 8), (13, 13), (20, 100), (150, 200), (30, 257)] {
        for s in operators(d, m) {
            let windows = [
                s,
                s.raw(),
                s.with_scale(-0.3).rows(d / 3..d),
                s.columns(m / 4..m - m / 3),
                s.rows(0..d / 2).columns(m / 2..m),
                s.columns(m..m),
                s.rows(d..d),
            ];
            for s in windows {
                for op in [Op::NoTrans, Op::Trans] {
                    for cols in [0, 1, 3, 20] {
                        check::<T>(&s, op, cols);
                    }
                }
            }
        }
    }
}

#[test]
fn agrees_with_the_dense_operator_f32() {
    check_all::<f32>();
}

#[test]
fn agrees_with_the_dense_operator_f64() {
    check_all::<f64>();
}

#[test]
fn nothing_of_nothing_is_nothing() {
    for s in operators(0, 0) {
        check::<f64>(&s, Op::NoTrans, 3);
        check::<f64>(&s, Op::Trans, 3);
    }
}

#[test]
fn the_transpose_is_the_adjoint() {
    let cpu = Cpu::with_threads(1).unwrap();
    let (d, m, cols) = (700, 3000, 5);
    for s in operators(d, m) {
        let x = Strided::<f64>::from_fn(0, m, cols, noise(3));
        let y = Strided::<f64>::from_fn(2, d, cols, noise(4));
        let (mut sx, mut sty) = (Strided::new(2, d, cols), Strided::new(4, m, cols));
        let isa = Isa::detect();
        mix_times(&cpu, isa, &s, Op::NoTrans, (1.0, 0.0), x.view(&cpu), sx.view_mut(&cpu)).unwrap();
        mix_times(&cpu, isa, &s, Op::Trans, (1.0, 0.0), y.view(&cpu), sty.view_mut(&cpu)).unwrap();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for j in 0..cols {
            let (left, right) =
                (dot(&sx.column(j), &y.column(j)), dot(&x.column(j), &sty.column(j)));
            let size =
                dot(&x.column(j), &x.column(j)).sqrt() * dot(&y.column(j), &y.column(j)).sqrt();
            assert!((left - right).abs() <= 1e-13 * size * s.scale());
        }
    }
}

/// The same bits for one and three threads and every instruction set; shards add up.
#[test]
fn threads_and_sets_agree() {
    let one = Cpu::with_threads(1).unwrap();
    let three = Cpu::with_threads(3).unwrap();
    let (d, m, cols) = (300, 5000, 70);
    for s in operators(d, m) {
        for (op, layout) in [(Op::NoTrans, 0), (Op::NoTrans, 2), (Op::Trans, 1), (Op::Trans, 2)] {
            let (rows_in, rows_out) = if op == Op::NoTrans { (m, d) } else { (d, m) };
            let a = Strided::<f32>::from_fn(layout, rows_in, cols, noise(6));
            let run = |cpu: &Cpu, isa| {
                let mut c = Strided::<f32>::from_fn(layout, rows_out, cols, noise(7));
                mix_times(cpu, isa, &s, op, (0.7, 0.3), a.view(cpu), c.view_mut(cpu)).unwrap();
                c.data.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let want = run(&one, Isa::Portable);
            for isa in Isa::available() {
                assert!(run(&one, isa) == want && run(&three, isa) == want, "{s:?} {op:?} {isa:?}");
            }
        }
    }
}

/// Buffers with gaps and without, of one column and of many, hold the same sums: two passes over
/// leaves, and a last panel narrower than the others.
#[test]
fn layouts_agree() {
    let cpu = Cpu::with_threads(1).unwrap();
    let (d, m, cols) = (300, 5000, 37);
    for s in [Sketch::srht(d, m, 7).unwrap(), Sketch::hadamard_diagonal(d, m, 8).unwrap()] {
        for op in [Op::NoTrans, Op::Trans] {
            let (rows_in, rows_out) = if op == Op::NoTrans { (m, d) } else { (d, m) };
            let run = |isa, layout| {
                let a = Strided::<f64>::from_fn(layout, rows_in, cols, noise(6));
                let mut c = Strided::<f64>::new(layout, rows_out, cols);
                mix_times(&cpu, isa, &s, op, (0.7, 0.0), a.view(&cpu), c.view_mut(&cpu)).unwrap();
                (0..cols).map(|j| c.column(j)).collect::<Vec<_>>()
            };
            for isa in Isa::available() {
                let want = run(isa, 0);
                for layout in 1..LAYOUTS {
                    assert!(run(isa, layout) == want, "{s:?} {op:?} {isa:?} layout {layout}");
                }
            }
        }
    }
}

/// Three rounds of a long operator stay in the range of the input.
#[test]
fn large_numbers_do_not_overflow_between_rounds() {
    let cpu = Cpu::with_threads(1).unwrap();
    let s = Sketch::hadamard_diagonal(10, 1 << 14, 3).unwrap();
    let a = Strided::<f32>::from_fn(0, 1 << 14, 1, |i, j| 1e30 * noise(8)(i, j));
    let mut c = Strided::<f32>::new(0, 10, 1);
    let (a, target) = (a.view(&cpu), c.view_mut(&cpu));
    mix_times(&cpu, Isa::detect(), &s, Op::NoTrans, (1.0, 0.0), a, target).unwrap();
    assert!(c.data.iter().all(|x| x.is_finite()));
}
