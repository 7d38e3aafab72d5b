//! The kernels of random operators: the CPU against the oracle, and entries against the scalar
//! functions of `randnla::random`, bit for bit.

use crate::common::entries::{dense_entry, entries, sparse_column};
use crate::common::{
    Layout, Plain, Reference, Stored, assert_same_bits, assert_within, cpus, noise, sketch,
};
use randnla::{Backend, Cpu, Family, Op, Scalar, Sketch, SketchKernels};

const DENSE: [Family; 3] = [Family::Gaussian, Family::Rademacher, Family::Uniform];
const SPARSE: [Family; 4] =
    [Family::SparseSign, Family::SparseStack, Family::CountSketch, Family::BlockPermSjlt];
const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

/// Windows of a d×m operator: all of it, and blocks that start and end anywhere.
fn windows(s: Sketch) -> Vec<Sketch> {
    let (d, m) = s.shape();
    let mut windows = vec![s];
    if d > 2 && m > 2 {
        windows.push(s.rows(1..d - 1).columns(2..m));
        windows.push(s.rows(d / 3..d / 3 + 1));
        windows.push(s.columns(m / 2..m / 2 + 1));
        windows.push(s.rows(d / 2..d).columns(m / 3..m));
        windows.push(s.rows(1..1));
    }
    windows
}

#[test]
fn fill_gives_the_bits_of_the_scalar_functions() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let sizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 260];
        for family in DENSE {
            for (turn, d) in sizes.into_iter().enumerate() {
                let m = sizes[sizes.len() - 1 - turn].min(40);
                let whole = sketch(family, d, m, 7 + turn as u64).unwrap().raw();
                for s in windows(whole) {
                    for layout in Layout::WRITABLE {
                        let what = format!("{} {family:?} {:?} {layout:?}", T::NAME, s.shape());
                        for cpu in [&cpus()[0], &cpus()[2]] {
                            let mut b =
                                Stored::<T>::new(layout, s.nrows(), s.ncols(), |_, _| f64::NAN);
                            cpu.fill(&s, T::one(), b.view_mut(cpu)).unwrap();
                            b.assert_gaps_untouched(&what);
                            assert_same_bits(&what, &b.plain(), &entries::<T>(&s));
                        }
                    }
                }
            }
            // Large enough for every thread, and far out in the operator.
            let far = sketch(family, 3000, 1 << 33, 1).unwrap().raw().rows(5..2995);
            let far = far.columns((1 << 32) - 70..(1 << 32) + 70);
            let mut b = Stored::<T>::new(Layout::Columns, 2990, 140, |_, _| f64::NAN);
            cpus()[2].fill(&far, T::one(), b.view_mut(&cpus()[2])).unwrap();
            assert_same_bits("a far window", &b.plain(), &entries::<T>(&far));
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn fill_scales_by_one_factor() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for family in DENSE {
            for alpha in FACTORS {
                let s = sketch(family, 33, 19, 5).unwrap();
                let mut b = Stored::<T>::new(Layout::Rows, 33, 19, |_, _| f64::NAN);
                cpus()[0].fill(&s, T::from_f64(alpha), b.view_mut(&cpus()[0])).unwrap();
                let exact = entries::<T>(&s).map(|x| alpha * x);
                // The factor α·scale is rounded to T, and so is its product with the entry.
                let bound = exact.map(|x| 3.0 * T::UNIT_ROUNDOFF * x.abs());
                assert_within(&format!("{family:?} α={alpha}"), &b.plain(), &exact, &bound);
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

/// `C ← α op(S) A + β C` by a kernel against the oracle's kernel and against the entries.
fn times_case<T: Scalar>(
    s: &Sketch,
    n: usize,
    op: Op,
    [la, lc]: [Layout; 2],
    (alpha, beta): (f64, f64),
) where
    Cpu: Backend<T>,
{
    let family = s.family();
    let (d, m) = s.shape();
    let (rows_a, rows_c) = if op == Op::NoTrans { (m, d) } else { (d, m) };
    let what =
        format!("{} {family:?} {d}×{m} {op:?} n={n} {la:?} {lc:?} α={alpha} β={beta}", T::NAME);
    let value = |skip: bool, seed| move |i, j| if skip { f64::NAN } else { noise(seed, i, j) };
    let a = Stored::<T>::new(la, rows_a, n, value(alpha == 0.0, 1));
    let c = Stored::<T>::new(lc, rows_c, n, value(beta == 0.0, 2));
    let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
    fn run<T: Scalar, D: SketchKernels<T>>(
        device: &D,
        s: &Sketch,
        op: Op,
        (x, y): (T, T),
        a: &Stored<T>,
        c: &Stored<T>,
    ) -> Stored<T> {
        let mut c = c.clone();
        let (a, out) = (a.view(device), c.view_mut(device));
        if SPARSE.contains(&s.family()) {
            let indices = device.indices(s).unwrap();
            device.sparse_times(s, &indices, op, x, a, y, out).unwrap();
        } else {
            device.fill_times(s, op, x, a, y, out).unwrap();
        }
        c
    }
    let one = run(&cpus()[0], s, op, (x, y), &a, &c);
    one.assert_gaps_untouched(&what);
    let one = one.plain();
    let entries = entries::<T>(s);
    let operator = if op == Op::NoTrans { entries } else { entries.transpose() };
    let old = |i, j| if beta == 0.0 { 0.0 } else { beta * c.plain_entry(i, j) };
    let zero = alpha == 0.0;
    let input = if zero { a.plain().map(|_| 0.0) } else { a.plain() };
    let product = operator.times_exactly(&input);
    let size = operator.abs().times(&input.abs());
    let exact = Plain::from_fn(rows_c, n, |i, j| alpha * product.get(i, j) + old(i, j));
    let bound = Plain::from_fn(rows_c, n, |i, j| {
        let size = alpha.abs() * size.get(i, j) + f64::abs(old(i, j));
        (rows_a as f64 + 6.0) * T::UNIT_ROUNDOFF * size
    });
    assert_within(&what, &one, &exact, &bound);
    assert_same_bits(&what, &run(&cpus()[2], s, op, (x, y), &a, &c).plain(), &one);
    let oracle = run(&Reference, s, op, (x, y), &a, &c).plain();
    assert_within(&format!("oracle, {what}"), &oracle, &exact, &bound);
}

#[test]
fn operators_times_matrices_meet_the_rounding_model() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let shapes = [(0, 5), (5, 0), (1, 1), (3, 2), (7, 9), (8, 16), (17, 33), (65, 130)];
        for family in DENSE.into_iter().chain(SPARSE) {
            for (turn, (d, m)) in shapes.into_iter().enumerate() {
                for s in windows(sketch(family, d, m, turn as u64).unwrap()) {
                    for (k, n) in [0, 1, 2, 3, 4, 5, 8, 9, 17, 40].into_iter().enumerate() {
                        let op = if k % 2 == 0 { Op::NoTrans } else { Op::Trans };
                        let la = Layout::READABLE[(k + turn) % 8];
                        let lc = Layout::WRITABLE[(k + 2 * turn) % 6];
                        let factors = (FACTORS[(k + turn) % 3], FACTORS[(k / 3 + turn) % 3]);
                        times_case::<T>(&s, n, op, [la, lc], factors);
                        let other = if k % 2 == 1 { Op::NoTrans } else { Op::Trans };
                        times_case::<T>(&s, n, other, [la, lc], (1.0, factors.1));
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn operators_times_matrices_for_every_layout_and_factor() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for family in DENSE.into_iter().chain(SPARSE) {
            let s = sketch(family, 20, 45, 3).unwrap().rows(1..20).columns(3..45);
            for op in [Op::NoTrans, Op::Trans] {
                for (turn, la) in Layout::READABLE.into_iter().enumerate() {
                    for (other, lc) in Layout::WRITABLE.into_iter().enumerate() {
                        let alpha = FACTORS[(turn + other) % 3];
                        for beta in FACTORS {
                            let n = [1, 2, 11][(turn + other) % 3];
                            times_case::<T>(&s, n, op, [la, lc], (alpha, beta));
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
fn operators_times_large_matrices_on_several_threads() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for family in DENSE.into_iter().chain(SPARSE) {
            // Tall operands, wide ones, long vectors.
            for (d, m, n) in [(30, 5000, 7), (200, 600, 40), (600, 800, 1), (30, 150, 900)] {
                let s = sketch(family, d, m, 9).unwrap();
                for op in [Op::NoTrans, Op::Trans] {
                    if DENSE.contains(&family) && n > 100 {
                        continue;
                    }
                    times_case::<T>(&s, n, op, [Layout::Columns; 2], (1.0, 0.0));
                    times_case::<T>(&s, n, op, [Layout::Rows; 2], (-0.75, 1.0));
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn one_count_sketch_entry_is_one_signed_entry_of_the_input() {
    // ζ = 1 and one nonzero row: no rounding at all, whatever the size.
    let s = Sketch::count_sketch(50, 9000, 4).unwrap();
    let cpu = &cpus()[2];
    let a = Stored::<f32>::new(
        Layout::Rows,
        9000,
        33,
        |i, j| if i == 77 { noise(1, i, j) } else { 0.0 },
    );
    let mut c = Stored::<f32>::new(Layout::Columns, 50, 33, |_, _| f64::NAN);
    let indices = SketchKernels::<f32>::indices(cpu, &s).unwrap();
    cpu.sparse_times(&s, &indices, Op::NoTrans, 1.0, a.view(cpu), 0.0, c.view_mut(cpu)).unwrap();
    let (row, sign) = sparse_column(&s, 77)[0];
    let expected = |i, j| if i == row { sign * a.plain_entry(77, j) } else { 0.0 };
    let got = c.plain().map(|x| x + 0.0);
    assert_same_bits("CountSketch", &got, &Plain::from_fn(50, 33, |i, j| expected(i, j) + 0.0));
}

#[test]
fn indices_are_those_of_the_scalar_functions() {
    for family in SPARSE {
        for (d, m) in [(1, 1), (8, 0), (17, 33), (300, 20_000)] {
            for s in windows(sketch(family, d, m, 6).unwrap()) {
                let pack = |(row, sign): (usize, f64)| (row as u32) << 1 | u32::from(sign < 0.0);
                let columns = s.col_range().map(|j| sparse_column(&s, j));
                let expected: Vec<u32> = columns.flatten().map(pack).collect();
                for cpu in [&cpus()[0], &cpus()[2]] {
                    let indices = SketchKernels::<f32>::indices(cpu, &s).unwrap();
                    let got = SketchKernels::<f32>::download_indices(cpu, &indices).unwrap();
                    assert!(got == expected, "{family:?} {:?}", s.shape());
                }
            }
        }
    }
}

/// op(S) in compressed rows, entry for entry, for any number of threads; rows of S by columns.
#[test]
fn compressed_operators_have_the_entries() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for family in SPARSE.into_iter().chain([Family::Laso, Family::RowSampling]) {
            for (d, m) in [(0, 7), (1, 1), (5, 9), (17, 33), (300, 400), (2500, 5000)] {
                for s in windows(sketch(family, d, m, 6).unwrap()) {
                    let what = format!("{} {family:?} {:?}", T::NAME, s.shape());
                    let small = d < 1000;
                    let expected =
                        if small { entries::<T>(&s).rounded::<T>() } else { Plain::zeros(0, 0) };
                    for op in [Op::NoTrans, Op::Trans] {
                        let [one, three] = [0, 2]
                            .map(|at| SketchKernels::<T>::compressed(&cpus()[at], &s, op).unwrap());
                        let (one, three) = (one.as_ref().slices(), three.as_ref().slices());
                        assert!(one == three, "{what} {op:?}");
                        let (starts, columns, values) = one;
                        assert_eq!(starts[starts.len() - 1], values.len(), "{what}");
                        let mut got = Plain::zeros(expected.rows, expected.cols);
                        for i in 0..starts.len() - 1 {
                            let row = starts[i]..starts[i + 1];
                            let sorted = columns[row.clone()].is_sorted_by(|a, b| a < b);
                            assert!(
                                sorted || op == Op::Trans && SPARSE.contains(&family),
                                "{what}"
                            );
                            for k in row.filter(|_| small) {
                                let j = columns[k] as usize;
                                let (i, j) = if op == Op::NoTrans { (i, j) } else { (j, i) };
                                assert_eq!(got.get(i, j), 0.0, "{what}: twice");
                                got.set(i, j, values[k].to_f64());
                            }
                        }
                        assert_eq!(got, expected, "{what} {op:?}");
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn constants_of_the_device_do_not_depend_on_threads() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for family in SPARSE {
            let s = sketch(family, 100, 100_000, 1).unwrap();
            let chunk = |cpu: &Cpu| SketchKernels::<T>::index_chunk(cpu, &s);
            assert!(chunk(&cpus()[0]) > 0 && chunk(&cpus()[0]) == chunk(&cpus()[2]));
        }
        let constants = |cpu: &Cpu| {
            (SketchKernels::<T>::panel_len(cpu), SketchKernels::<T>::fused_columns(cpu))
        };
        assert!(constants(&cpus()[0]) == constants(&cpus()[2]) && constants(&cpus()[0]).0 > 0);
    }
    cases::<f32>();
    cases::<f64>();
    // An operator's entries in f32 are not those in f64: they have streams of their own.
    let s = Sketch::gaussian(3, 3, 1).unwrap();
    assert_ne!(dense_entry::<f32>(&s, 0, 0), dense_entry::<f64>(&s, 0, 0));
}
