//! Operators times matrices on the GPU against the oracle, by the rounding model of a sum, and the
//! positions of sparse operators bit for bit.

use crate::common::entries::entries;
use crate::common::{
    Layout, Placed, Plain, Reference, Stored, assert_same_bits, assert_within, cpus, noise, sketch,
};
use crate::gpu::gpu;
use randnla::random::laso_row;
use randnla::{
    Backend, Blas, Cpu, Csr, Cuda, Family, Mat, Op, Scalar, Sketch, SketchKernels, SparseKernels,
};

const DENSE: [Family; 3] = [Family::Gaussian, Family::Rademacher, Family::Uniform];
const SPARSE: [Family; 3] = [Family::SparseSign, Family::SparseStack, Family::CountSketch];
const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];
const OPS: [Op; 2] = [Op::NoTrans, Op::Trans];

/// Windows of a d×m operator: all of it, and blocks that start and end anywhere.
fn windows(s: Sketch) -> Vec<Sketch> {
    let (d, m) = s.shape();
    let mut windows = vec![s];
    if d > 2 && m > 2 {
        windows.push(s.rows(1..d - 1).columns(2..m));
        windows.push(s.rows(d / 3..d / 3 + 1));
        windows.push(s.columns(m / 2..m / 2 + 1));
        windows.push(s.rows(1..1));
    }
    windows
}

/// `C ← α op(S) A + β C` by the kernel of the family; indices of `whole`.
fn run<T: Scalar, D: SketchKernels<T>>(
    device: &D,
    (s, whole): (&Sketch, &Sketch),
    op: Op,
    (alpha, beta): (f64, f64),
    a: randnla::MatRef<'_, T, D>,
    c: randnla::MatMut<'_, T, D>,
) {
    let (alpha, beta) = (T::from_f64(alpha), T::from_f64(beta));
    if s.family().is_column_sparse() {
        let indices = device.indices(whole).unwrap();
        device.sparse_times(s, &indices, op, alpha, a, beta, c).unwrap();
    } else {
        device.fill_times(s, op, alpha, a, beta, c).unwrap();
    }
}

/// The rounding model of a sum of `inner` products and an old entry.
fn bound<T: Scalar>(inner: usize, size: &Plain, (alpha, beta): (f64, f64), c: &Stored<T>) -> Plain {
    Plain::from_fn(size.rows, size.cols, |i, j| {
        let old = if beta == 0.0 { 0.0 } else { (beta * c.plain_entry(i, j)).abs() };
        (inner as f64 + 8.0) * T::UNIT_ROUNDOFF * (alpha.abs() * size.get(i, j) + old)
    })
}

fn times_case<T: Scalar>(
    cuda: &Cuda,
    (s, whole): (&Sketch, &Sketch),
    n: usize,
    op: Op,
    [la, lc]: [Layout; 2],
    factors: (f64, f64),
) where
    Cuda: SketchKernels<T> + Blas<T>,
{
    let (family, (d, m)) = (s.family(), s.shape());
    let (inner, outer) = if op == Op::NoTrans { (m, d) } else { (d, m) };
    let what = format!("{} {family:?} {d}×{m} {op:?} n={n} {la:?} {lc:?} {factors:?}", T::NAME);
    let value = |skip: bool, seed| move |i, j| if skip { f64::NAN } else { noise(seed, i, j) };
    let a = Stored::<T>::new(la, inner, n, value(factors.0 == 0.0, 1));
    let c = Stored::<T>::new(lc, outer, n, value(factors.1 == 0.0, 2));
    let mut expected = c.clone();
    let oracle = &Reference;
    run(oracle, (s, whole), op, factors, a.view(oracle), expected.view_mut(oracle));
    let entries = entries::<T>(s).abs();
    let operator = if op == Op::NoTrans { entries } else { entries.transpose() };
    let input = if factors.0 == 0.0 { a.plain().map(|_| 0.0) } else { a.plain().abs() };
    let bound = bound(inner, &operator.times(&input), factors, &c);
    let (a, mut on) = (Placed::new(cuda, &a), Placed::new(cuda, &c));
    run(cuda, (s, whole), op, factors, a.view(), on.view_mut());
    let got = on.back();
    got.assert_gaps_untouched(&what);
    assert_within(&what, &got.plain(), &expected.plain(), &bound);
}

#[test]
fn fill_scales_by_one_factor_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SketchKernels<T> + Blas<T>,
        Cpu: Backend<T>,
    {
        for family in DENSE {
            for alpha in FACTORS {
                let s = sketch(family, 33, 19, 5).unwrap();
                let b = Stored::<T>::new(Layout::Rows, 33, 19, |_, _| f64::NAN);
                let (mut on, mut host) = (Placed::new(cuda, &b), b.clone());
                cuda.fill(&s, T::from_f64(alpha), on.view_mut()).unwrap();
                cpus()[0].fill(&s, T::from_f64(alpha), host.view_mut(&cpus()[0])).unwrap();
                assert_same_bits(
                    &format!("{family:?} α={alpha}"),
                    &on.back().plain(),
                    &host.plain(),
                );
            }
        }
    }
    let Some(cuda) = gpu("fill") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

#[test]
fn operators_times_matrices_on_a_gpu_meet_the_rounding_model() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SketchKernels<T> + Blas<T>,
    {
        let shapes = [(0, 5), (5, 0), (1, 1), (3, 2), (7, 9), (17, 33), (65, 130)];
        for family in DENSE.into_iter().chain(SPARSE) {
            for (turn, (d, m)) in shapes.into_iter().enumerate() {
                let whole = sketch(family, d, m, turn as u64).unwrap();
                for (window, s) in windows(whole).into_iter().enumerate() {
                    let from = if window % 2 == 0 { whole } else { s };
                    for (k, n) in [0, 1, 3, 4, 5, 17, 40].into_iter().enumerate() {
                        let la = Layout::READABLE[(k + turn) % 8];
                        let lc = Layout::WRITABLE[(k + 2 * turn) % 6];
                        let op = OPS[(k + turn + window) % 2];
                        let factors = (FACTORS[(k + turn) % 3], FACTORS[(k / 3 + turn) % 3]);
                        times_case::<T>(cuda, (&s, &from), n, op, [la, lc], factors);
                        let op = OPS[(k + turn + window + 1) % 2];
                        times_case::<T>(cuda, (&s, &from), n, op, [la, lc], (1.0, factors.1));
                    }
                }
            }
        }
    }
    let Some(cuda) = gpu("operators times matrices") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

#[test]
fn operators_times_matrices_on_a_gpu_for_every_layout_and_factor() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SketchKernels<T> + Blas<T>,
    {
        for family in DENSE.into_iter().chain(SPARSE) {
            let whole = sketch(family, 20, 45, 3).unwrap();
            let s = whole.rows(1..20).columns(3..45);
            for op in OPS {
                for (turn, la) in Layout::READABLE.into_iter().enumerate() {
                    for (other, lc) in Layout::WRITABLE.into_iter().enumerate() {
                        let factors =
                            (FACTORS[(turn + other) % 3], FACTORS[(turn / 3 + other) % 3]);
                        let n = [1, 2, 11][(turn + other) % 3];
                        times_case::<T>(cuda, (&s, &whole), n, op, [la, lc], factors);
                    }
                }
            }
        }
    }
    let Some(cuda) = gpu("layouts") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

/// Three blocks and a ragged end along every axis: of threads, of parts, of sorted tiles.
#[test]
fn operators_times_large_matrices_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SketchKernels<T> + Blas<T>,
    {
        for family in DENSE.into_iter().chain(SPARSE) {
            let sparse = SPARSE.contains(&family);
            let shapes = match sparse {
                true => [(30, 2100, 3), (600, 900, 1), (40, 50, 300)],
                false => [(30, 2100, 1), (1700, 70, 3), (70, 420, 17)],
            };
            for (d, m, n) in shapes {
                let s = sketch(family, d, m, 9).unwrap();
                for op in OPS {
                    let layouts = if n == 3 { [Layout::Rows; 2] } else { [Layout::Columns; 2] };
                    times_case::<T>(cuda, (&s, &s), n, op, layouts, (-0.75, 1.0));
                }
            }
        }
    }
    let Some(cuda) = gpu("large operators") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

/// Sums run over the lists in their order, so neither the layout of A and C nor the operator whose
/// indices are used changes a bit; nor does a second run.
#[test]
fn bits_do_not_depend_on_layouts_or_runs_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SketchKernels<T> + Blas<T>,
    {
        for family in DENSE.into_iter().chain(SPARSE) {
            let whole = sketch(family, 40, 900, 8).unwrap();
            let s = whole.rows(3..40).columns(7..890);
            for op in OPS {
                let (inner, outer) = if op == Op::NoTrans { (883, 37) } else { (37, 883) };
                let product = |[la, lc]: [Layout; 2], from: &Sketch| {
                    let a = Stored::<T>::new(la, inner, 5, |i, j| noise(1, i, j));
                    let c = Stored::<T>::new(lc, outer, 5, |_, _| f64::NAN);
                    let (a, mut on) = (Placed::new(cuda, &a), Placed::new(cuda, &c));
                    run(cuda, (&s, from), op, (1.0, 0.0), a.view(), on.view_mut());
                    on.back().plain()
                };
                let one = product([Layout::Rows; 2], &whole);
                for (layouts, from) in [
                    ([Layout::Rows; 2], &whole),
                    ([Layout::Columns, Layout::Rows], &s),
                    ([Layout::Strided, Layout::Columns], &whole),
                    ([Layout::Backwards, Layout::Strided], &s),
                ] {
                    let what = format!("{} {family:?} {op:?} {layouts:?}", T::NAME);
                    assert_same_bits(&what, &product(layouts, from), &one);
                }
            }
        }
    }
    let Some(cuda) = gpu("bits") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

#[test]
fn indices_on_a_gpu_are_those_of_the_cpu() {
    let Some(cuda) = gpu("indices") else { return };
    let cpu = &cpus()[0];
    let same = |s: &Sketch| {
        let expected = SketchKernels::<f32>::indices(cpu, s).unwrap();
        let expected = SketchKernels::<f32>::download_indices(cpu, &expected).unwrap();
        let got = SketchKernels::<f64>::indices(&cuda, s).unwrap();
        let got = SketchKernels::<f64>::download_indices(&cuda, &got).unwrap();
        assert!(got == expected, "{:?} {:?} {}", s.family(), s.full_shape(), s.nnz());
    };
    for family in SPARSE {
        for (d, m) in [(1, 1), (0, 7), (8, 0), (17, 33), (300, 2000)] {
            windows(sketch(family, d, m, 6).unwrap()).iter().for_each(same);
        }
    }
    // Every ζ around the change of search, all rows, long and far operators.
    for (d, m, zeta) in [(64, 40, 64), (65, 40, 65), (200, 9, 130), ((1 << 31) - 1, 300, 9)] {
        same(&Sketch::sparse_sign(d, m, zeta, 4).unwrap());
        same(&Sketch::sparse_stack(d, m, zeta, 4).unwrap());
        let far = Sketch::sparse_sign(d, 1 << 40, zeta, 5).unwrap();
        same(&far.columns((1 << 32) - 5..(1 << 32) + 5));
    }
}

/// op(S) in compressed rows: the entries in their order, and where they are.
#[test]
fn compressed_operators_on_a_gpu_are_those_of_the_cpu() {
    fn same<T: Scalar>(cuda: &Cuda, s: &Sketch)
    where
        Cuda: Backend<T>,
        Cpu: Backend<T>,
    {
        let cpu = &cpus()[0];
        for op in OPS {
            let what = format!("{} {:?} {:?} ζ={} {op:?}", T::NAME, s.family(), s.shape(), s.nnz());
            let got: Csr<T, Cuda> = cuda.compressed(s, op).unwrap();
            let expected: Csr<T, Cpu> = cpu.compressed(s, op).unwrap();
            let (rows, cols) = expected.as_ref().shape();
            assert_eq!(got.as_ref().shape(), (rows, cols), "{what}");
            let mut on = Mat::<T, Cuda>::scratch(cuda, rows, cols).unwrap();
            let mut host = Mat::<T>::scratch(cpu, rows, cols).unwrap();
            cuda.expand(got.as_ref(), 0, on.as_mut()).unwrap();
            cpu.expand(expected.as_ref(), 0, host.as_mut()).unwrap();
            assert_same_bits(&what, &Plain::of(on.as_ref()), &Plain::of(host.as_ref()));
            // The columns of column-sparse operators are in the order of their draws on the CPU.
            if op == Op::NoTrans || s.family().is_row_sparse() {
                let got = cuda.stored_values(got.as_ref()).unwrap();
                let expected = cpu.stored_values(expected.as_ref()).unwrap();
                assert_same_bits(&what, &Plain::of(got), &Plain::of(expected));
            }
        }
    }
    let Some(cuda) = gpu("compressed operators") else { return };
    for family in SPARSE.into_iter().chain([Family::Laso, Family::RowSampling]) {
        for (d, m) in [(0, 7), (1, 1), (5, 9), (17, 33), (40, 800), (300, 310)] {
            for s in windows(sketch(family, d, m, 6).unwrap()) {
                same::<f64>(&cuda, &s);
                same::<f32>(&cuda, &s.columns(m / 3..m / 3));
            }
        }
    }
    // Many draws of few columns, of more than a warp, and beyond 2³² columns.
    for (d, m, zeta) in [(3, 1, 5), (7, 4, 33), (20, 50, 70), (300, 2000, 9)] {
        same::<f32>(&cuda, &Sketch::laso(d, m, zeta, 4).unwrap());
    }
    let (far, mut row) = (Sketch::laso(2000, 1 << 33, 40, 5).unwrap(), Vec::new());
    laso_row(5, 1 << 33, 40, 1000, &mut row);
    let column = row.last().unwrap().column as usize;
    assert!(column > 1 << 32, "the window below is beyond 32 bits");
    same::<f64>(&cuda, &far.rows(999..1004).columns(column - 2..column + 3));
}

/// Columns of compressed rows, from anywhere, into any layout.
#[test]
fn compressed_rows_made_dense_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Backend<T>,
    {
        for (turn, (m, n)) in [(0, 3), (1, 1), (7, 40), (65, 70)].into_iter().enumerate() {
            let x = triplets::<T>((m, n), 0.4);
            let mut all = Plain::zeros(m, n);
            x.iter().for_each(|&(i, j, value)| all.set(i, j, value.to_f64()));
            let x = Csr::from_triplets(cuda, (m, n), &x).unwrap();
            for (first, end) in [(0, n), (n / 3, n), (n / 2, n / 2 + 1), (n, n)] {
                for layout in [Layout::WRITABLE[turn], Layout::Rows] {
                    let c = Stored::<T>::new(layout, m, end - first, |_, _| f64::NAN);
                    let mut on = Placed::new(cuda, &c);
                    cuda.expand(x.as_ref(), first, on.view_mut()).unwrap();
                    let (back, what) = (on.back(), format!("{m}×{n} {first}..{end} {layout:?}"));
                    back.assert_gaps_untouched(&what);
                    assert_same_bits(&what, &back.plain(), &all.columns(first, end));
                }
            }
        }
    }
    let Some(cuda) = gpu("made dense") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

type Triplets<'a, T> = &'a [(usize, usize, T)];

/// Entries of a rows×cols matrix, columns out of order, some rows empty.
fn triplets<T: Scalar>((rows, cols): (usize, usize), share: f64) -> Vec<(usize, usize, T)> {
    let columns = |i: usize| (0..cols).map(move |k| (i, (2 * cols - 1 - k + 3 * i) % cols));
    let kept = (0..rows).filter(|i| i % 5 != 3).flat_map(columns);
    let kept = kept.filter(|&(i, j)| noise(11, i, j).abs() < share);
    kept.map(|(i, j)| (i, j, T::from_f64(noise(12, i, j)))).collect()
}

fn csr_case<T: Scalar>(
    cuda: &Cuda,
    (s, whole): (&Sketch, &Sketch),
    n: usize,
    (op, op_x): (Op, Op),
    layout: Layout,
    factors: (f64, f64),
) where
    Cuda: SketchKernels<T> + Blas<T>,
{
    let (d, m) = s.shape();
    let what = format!(
        "{} {:?} {d}×{m} {op:?} {op_x:?} n={n} {layout:?} {factors:?}",
        T::NAME,
        s.family()
    );
    let (inner, outer) = if op == Op::NoTrans { (m, d) } else { (d, m) };
    let shape = if op_x == Op::NoTrans { (inner, n) } else { (n, inner) };
    let mut x = triplets::<T>(shape, 0.3);
    let mut a = Plain::zeros(inner, n);
    for (i, j, value) in &mut x {
        let (i, j) = if op_x == Op::NoTrans { (*i, *j) } else { (*j, *i) };
        a.set(i, j, if factors.0 == 0.0 { 0.0 } else { value.to_f64().abs() });
        *value = if factors.0 == 0.0 { T::from_f64(f64::NAN) } else { *value };
    }
    let old = |i, j| if factors.1 == 0.0 { f64::NAN } else { noise(2, i, j) };
    let c = Stored::<T>::new(layout, outer, n, old);
    fn run<T: Scalar, D: SketchKernels<T>>(
        device: &D,
        (s, whole): (&Sketch, &Sketch),
        (op, op_x): (Op, Op),
        factors: (f64, f64),
        (shape, x): ((usize, usize), Triplets<'_, T>),
        c: randnla::MatMut<'_, T, D>,
    ) {
        let (alpha, beta) = (T::from_f64(factors.0), T::from_f64(factors.1));
        let x = Csr::from_triplets(device, shape, x).unwrap();
        let indices = device.indices(whole).unwrap();
        device.sparse_times_csr(s, &indices, op, alpha, x.as_ref(), op_x, beta, c).unwrap();
    }
    let (mut expected, mut on) = (c.clone(), Placed::new(cuda, &c));
    let (windows, ops, x) = ((s, whole), (op, op_x), (shape, &x[..]));
    run(&Reference, windows, ops, factors, x, expected.view_mut(&Reference));
    run(cuda, windows, ops, factors, x, on.view_mut());
    let entries = entries::<T>(s).abs();
    let operator = if op == Op::NoTrans { entries } else { entries.transpose() };
    let bound = bound(inner, &operator.times(&a), factors, &c);
    let got = on.back();
    got.assert_gaps_untouched(&what);
    assert_within(&what, &got.plain(), &expected.plain(), &bound);
}

#[test]
fn operators_times_compressed_rows_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SketchKernels<T> + Blas<T>,
    {
        let mut turn = 0;
        for family in SPARSE {
            for (d, m) in [(0, 5), (5, 0), (1, 1), (7, 9), (17, 65)] {
                let whole = sketch(family, d, m, turn as u64).unwrap();
                let (r, k) = (d / 3, m / 3);
                for s in [whole, whole.rows(r..d), whole.columns(k..m), whole.rows(r..r)] {
                    for ops in OPS.into_iter().flat_map(|op| OPS.map(|op_x| (op, op_x))) {
                        for n in [0, 1, 7, 40] {
                            turn += 1;
                            let from = if turn % 2 == 0 { whole } else { s };
                            let layout = Layout::WRITABLE[turn % 6];
                            let factors = (FACTORS[turn % 3], FACTORS[turn / 3 % 3]);
                            csr_case::<T>(cuda, (&s, &from), n, ops, layout, factors);
                            let factors = (1.0, factors.1);
                            csr_case::<T>(cuda, (&s, &from), n, ops, layout, factors);
                        }
                    }
                }
            }
            // Several tiles of entries, and rows of C longer than a warp keeps.
            let whole = sketch(family, 560, 90, 3).unwrap();
            let s = whole.rows(5..555).columns(4..88);
            for ops in OPS.into_iter().flat_map(|op| OPS.map(|op_x| (op, op_x))) {
                csr_case::<T>(cuda, (&s, &whole), 45, ops, Layout::Columns, (1.0, 0.0));
            }
            // Few long lists, which are taken in parts.
            let s = sketch(family, 9, 700, 3).unwrap();
            for ops in OPS.into_iter().flat_map(|op| OPS.map(|op_x| (op, op_x))) {
                csr_case::<T>(cuda, (&s, &s), 5, ops, Layout::Rows, (-0.75, 1.0));
            }
        }
    }
    let Some(cuda) = gpu("compressed rows") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}
