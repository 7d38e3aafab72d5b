//! The kernels of random operators on a device: against the oracle, and entries against the scalar
//! functions of `randnla::random`, bit for bit.

use crate::common::entries::{dense_entry, entries, sparse_column};
use crate::common::{
    Layout, Place, Plain, Reference, Stored, assert_same_bits, assert_within, cuts, noise,
    on_every_device, sketch,
};
use randnla::random::laso_row;
use randnla::{Backend, Csr, Family, Op, Scalar, Sketch};

const DENSE: [Family; 3] = [Family::Gaussian, Family::Rademacher, Family::Uniform];
const SPARSE: [Family; 4] =
    [Family::SparseSign, Family::SparseStack, Family::CountSketch, Family::BlockPermSjlt];
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
        windows.push(s.rows(d / 2..d).columns(m / 3..m));
        windows.push(s.rows(1..1));
    }
    windows
}

fn fill_gives_the_bits_of_the_scalar_functions<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let sizes = place.sizes(&cuts::FILL);
    for family in DENSE {
        for (turn, &d) in sizes.iter().enumerate() {
            let m = sizes[sizes.len() - 1 - turn].min(40);
            let whole = sketch(family, d, m, 7 + turn as u64).unwrap().raw();
            for s in windows(whole) {
                for layout in Layout::WRITABLE {
                    fill_case::<T, D>(place, &s, layout);
                }
            }
        }
        // 10⁶ entries far out in the operator, where positions need 64 bits.
        let far = sketch(family, 3000, 1 << 33, 1).unwrap().raw().rows(5..2995);
        let far = far.columns((1 << 32) - 170..(1 << 32) + 170);
        fill_case::<T, D>(place, &far, Layout::Columns);
    }
}

fn fill_case<T: Scalar, D: Backend<T>>(place: &Place<D>, s: &Sketch, layout: Layout) {
    let what = format!("{} {:?} {:?} {layout:?}", T::NAME, s.family(), s.shape());
    let filled = place.result(&what, |device| {
        let b = Stored::<T>::new(layout, s.nrows(), s.ncols(), |_, _| f64::NAN);
        b.after(&what, device, |b| device.fill(s, T::one(), b))
    });
    assert_same_bits(&what, &filled, &entries::<T>(s));
}

fn fill_scales_by_one_factor<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in DENSE {
        for alpha in FACTORS {
            let s = sketch(family, 33, 19, 5).unwrap();
            let b = Stored::<T>::new(Layout::Rows, 33, 19, |_, _| f64::NAN);
            let what = format!("{family:?} α={alpha}");
            let got = place.result(&what, |device| {
                b.after(&what, device, |b| device.fill(&s, T::from_f64(alpha), b))
            });
            let exact = entries::<T>(&s).map(|x| alpha * x);
            // The factor α·scale is rounded to T, and so is its product with the entry.
            let bound = exact.map(|x| 3.0 * T::UNIT_ROUNDOFF * x.abs());
            assert_within(&what, &got, &exact, &bound);
        }
    }
}

/// `C ← α op(S) A + β C` by a kernel against the oracle's kernel and against the entries.
///
/// A sparse operator uses the indices of `whole`, of which `s` is a window.
fn times_case<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
    (s, whole, operator): (&Sketch, &Sketch, &Plain),
    n: usize,
    op: Op,
    [la, lc]: [Layout; 2],
    (alpha, beta): (f64, f64),
) {
    let family = s.family();
    let (d, m) = s.shape();
    let (rows_a, rows_c) = if op == Op::NoTrans { (m, d) } else { (d, m) };
    let what =
        format!("{} {family:?} {d}×{m} {op:?} n={n} {la:?} {lc:?} α={alpha} β={beta}", T::NAME);
    let value = |skip: bool, seed| move |i, j| if skip { f64::NAN } else { noise(seed, i, j) };
    let a = Stored::<T>::new(la, rows_a, n, value(alpha == 0.0, 1));
    let c = Stored::<T>::new(lc, rows_c, n, value(beta == 0.0, 2));
    let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
    fn run<T: Scalar, D: Backend<T>>(
        what: &str,
        device: &D,
        (s, whole): (&Sketch, &Sketch),
        op: Op,
        (x, y): (T, T),
        (a, c): (&Stored<T>, &Stored<T>),
    ) -> Plain {
        let a = a.on(device);
        c.after(what, device, |c| {
            if !SPARSE.contains(&s.family()) {
                return device.fill_times(s, op, x, a.view(), y, c);
            }
            let indices = device.indices(whole)?;
            device.sparse_times(s, &indices, op, x, a.view(), y, c)
        })
    }
    let got = place.result(&what, |on| run(&what, on, (s, whole), op, (x, y), (&a, &c)));
    let operator = if op == Op::NoTrans { operator } else { &operator.transpose() };
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
    assert_within(&what, &got, &exact, &bound);
    let oracle = run(&what, &Reference, (s, whole), op, (x, y), (&a, &c));
    assert_within(&format!("oracle, {what}"), &oracle, &exact, &bound);
}

fn operators_times_matrices_meet_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in DENSE.into_iter().chain(SPARSE) {
        for (turn, (d, m)) in place.sizes(&cuts::OPERATORS).into_iter().enumerate() {
            let whole = sketch(family, d, m, turn as u64).unwrap();
            for (window, s) in windows(whole).into_iter().enumerate() {
                let from = if window % 2 == 0 { whole } else { s };
                let case = (&s, &from, &entries::<T>(&s));
                for (k, n) in place.sizes(&cuts::OPERATOR_COLUMNS).into_iter().enumerate() {
                    let la = Layout::READABLE[(k + turn) % 8];
                    let lc = Layout::WRITABLE[(k + 2 * turn) % 6];
                    let factors = (FACTORS[(k + turn) % 3], FACTORS[(k / 3 + turn) % 3]);
                    let op = OPS[(k + window) % 2];
                    times_case::<T, D>(place, case, n, op, [la, lc], factors);
                    let op = OPS[(k + window + 1) % 2];
                    times_case::<T, D>(place, case, n, op, [la, lc], (1.0, factors.1));
                }
            }
        }
    }
}

fn operators_times_matrices_for_every_layout_and_factor<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
) {
    let mut case = 0;
    for family in DENSE.into_iter().chain(SPARSE) {
        let whole = sketch(family, 20, 45, 3).unwrap();
        let s = whole.rows(1..20).columns(3..45);
        let operator = &entries::<T>(&s);
        for op in OPS {
            for (turn, la) in Layout::READABLE.into_iter().enumerate() {
                for (other, lc) in Layout::WRITABLE.into_iter().enumerate() {
                    for beta in FACTORS {
                        case += 1;
                        if !place.takes(&cuts::OPERATOR_LAYOUTS, case) {
                            continue;
                        }
                        let factors = (FACTORS[(turn + other) % 3], beta);
                        let n = [1, 2, 11][(turn + other) % 3];
                        times_case::<T, D>(place, (&s, &whole, operator), n, op, [la, lc], factors);
                    }
                }
            }
        }
    }
}

/// Several tasks, blocks, parts of a sum and tiles along every axis, and ragged ends.
fn operators_times_large_matrices<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in DENSE.into_iter().chain(SPARSE) {
        let dense = DENSE.contains(&family);
        let sizes = if dense { &cuts::LARGE_DENSE } else { &cuts::LARGE_SPARSE };
        for (d, m, n) in place.sizes(sizes) {
            let s = sketch(family, d, m, 9).unwrap();
            let case = (&s, &s, &entries::<T>(&s));
            for op in OPS {
                times_case::<T, D>(place, case, n, op, [Layout::Columns; 2], (1.0, 0.0));
                times_case::<T, D>(place, case, n, op, [Layout::Rows; 2], (-0.75, 1.0));
            }
        }
    }
}

/// ζ = 1 and one nonzero row: no rounding at all, whatever the size.
fn one_count_sketch_entry_is_one_signed_entry_of_the_input<D: Backend<f32>>(place: &Place<D>) {
    let s = Sketch::count_sketch(50, 9000, 4).unwrap();
    let input = |i, j| if i == 77 { noise(1, i, j) } else { 0.0 };
    let a = Stored::<f32>::new(Layout::Rows, 9000, 33, input);
    let c = Stored::<f32>::new(Layout::Columns, 50, 33, |_, _| f64::NAN);
    let got = place.result("CountSketch", |device| {
        let (indices, a) = (device.indices(&s).unwrap(), a.on(device));
        c.after("CountSketch", device, |c| {
            device.sparse_times(&s, &indices, Op::NoTrans, 1.0, a.view(), 0.0, c)
        })
    });
    let (row, sign) = sparse_column(&s, 77)[0];
    let expected = |i, j| if i == row { sign * a.plain_entry(77, j) } else { 0.0 };
    let expected = Plain::from_fn(50, 33, |i, j| expected(i, j) + 0.0);
    assert_same_bits("CountSketch", &got.map(|x| x + 0.0), &expected);
}

fn indices_are_those_of_the_scalar_functions<D: Backend<f32>>(place: &Place<D>) {
    let check = |s: &Sketch| {
        let pack = |(row, sign): (usize, f64)| (row as u32) << 1 | u32::from(sign < 0.0);
        let columns = s.col_range().map(|j| sparse_column(s, j));
        let expected: Vec<u32> = columns.flatten().map(pack).collect();
        let what = format!("{:?} {:?} {}", s.family(), s.full_shape(), s.nnz());
        let got = place
            .result(&what, |device| device.download_indices(&device.indices(s).unwrap()).unwrap());
        assert!(got == expected, "{what}");
    };
    for family in SPARSE {
        for (d, m) in place.sizes(&cuts::INDICES) {
            windows(sketch(family, d, m, 6).unwrap()).iter().for_each(check);
        }
    }
    // Every ζ around the change of search, all rows, long and far operators.
    for (d, m, zeta) in [(64, 40, 64), (65, 40, 65), (200, 9, 130), ((1 << 31) - 1, 300, 9)] {
        check(&Sketch::sparse_sign(d, m, zeta, 4).unwrap());
        check(&Sketch::sparse_stack(d, m, zeta, 4).unwrap());
        let far = Sketch::sparse_sign(d, 1 << 40, zeta, 5).unwrap();
        check(&far.columns((1 << 32) - 5..(1 << 32) + 5));
    }
}

/// op(S) in compressed rows: the entries where they are, and their order.
fn compressed_case<T: Scalar, D: Backend<T>>(place: &Place<D>, s: &Sketch) {
    fn of<T: Scalar, D: Backend<T>>(device: &D, s: &Sketch, op: Op) -> [Plain; 2] {
        let x: Csr<T, D> = device.compressed(s, op).unwrap();
        let (rows, cols) = x.as_ref().shape();
        let dense = Stored::<T>::new(Layout::Rows, rows, cols, |_, _| f64::NAN);
        let dense = dense.after("op(S)", device, |c| device.expand(x.as_ref(), 0, c));
        [dense, Plain::of(device.stored_values(x.as_ref()).unwrap())]
    }
    for op in OPS {
        let what = format!("{} {:?} {:?} ζ={} {op:?}", T::NAME, s.family(), s.shape(), s.nnz());
        let [dense, values] = place.result(&what, |device| of::<T, D>(device, s, op));
        let expected = entries::<T>(s).rounded::<T>();
        let expected = if op == Op::NoTrans { expected } else { expected.transpose() };
        assert_same_bits(&what, &dense, &expected);
        // Rows by columns; the columns of a column-sparse operator are in the order of their draws.
        let [_, in_order] = of::<T, Reference>(&Reference, s, op);
        if op == Op::NoTrans || s.family().is_row_sparse() {
            assert_same_bits(&what, &values, &in_order);
        }
        assert_eq!(values.cols, in_order.cols, "{what}");
    }
}

fn compressed_operators_have_the_entries<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in SPARSE.into_iter().chain([Family::Laso, Family::RowSampling]) {
        for (d, m) in place.sizes(&cuts::COMPRESSED_OPERATORS) {
            for s in windows(sketch(family, d, m, 6).unwrap()) {
                compressed_case::<T, D>(place, &s);
                compressed_case::<T, D>(place, &s.columns(s.ncols() / 3..s.ncols() / 3));
            }
        }
    }
    // Many draws of few columns, of more than a warp, and beyond 2³² columns.
    for (d, m, zeta) in [(3, 1, 5), (7, 4, 33), (20, 50, 70), (300, 200, 9)] {
        compressed_case::<T, D>(place, &Sketch::laso(d, m, zeta, 4).unwrap());
    }
    let (far, mut row) = (Sketch::laso(2000, 1 << 33, 40, 5).unwrap(), Vec::new());
    laso_row(5, 1 << 33, 40, 1000, &mut row);
    let column = row.last().unwrap().column as usize;
    assert!(column > 1 << 32, "the window below is beyond 32 bits");
    compressed_case::<T, D>(place, &far.rows(999..1004).columns(column - 2..column + 3));
}

/// Constants of a device cut sums, so they are the same for all of its handles.
fn constants_do_not_depend_on_the_handle<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in SPARSE {
        let s = sketch(family, 100, 100_000, 1).unwrap();
        assert!(place.result("chunk", |device| device.index_chunk(&s)) > 0);
    }
    let constants = |device: &D| (device.panel_len(), device.fused_columns());
    assert!(place.result("constants", constants).0 > 0);
}

/// An operator's entries in f32 are not those in f64: they have streams of their own.
#[test]
fn entries_of_the_two_scalar_types_differ() {
    let s = Sketch::gaussian(3, 3, 1).unwrap();
    assert_ne!(dense_entry::<f32>(&s, 0, 0), dense_entry::<f64>(&s, 0, 0));
}

on_every_device! {
    fill_gives_the_bits_of_the_scalar_functions: f32 f64,
    fill_scales_by_one_factor: f32 f64,
    operators_times_matrices_meet_the_rounding_model: f32 f64,
    operators_times_matrices_for_every_layout_and_factor: f32 f64,
    operators_times_large_matrices: f32 f64,
    one_count_sketch_entry_is_one_signed_entry_of_the_input,
    indices_are_those_of_the_scalar_functions,
    compressed_operators_have_the_entries: f32 f64,
    constants_do_not_depend_on_the_handle: f32 f64,
}
