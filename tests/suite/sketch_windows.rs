//! What an operator is, apart from how it is applied: windows, prefixes, blocks that add up,
//! structure, scales, and independence of threads.

use crate::common::entries::entries;
use crate::common::{
    FAMILIES, Layout, Place, Plain, Reference, Stored, assert_same_bits, assert_within, cpus,
    is_transform, noise, on_every_device, sketch,
};
use randnla::{Backend, Cpu, Csr, Error, Family, Mat, Op, Scalar, Sketch};

fn dense_of<T: Scalar, D: Backend<T>>(s: &Sketch, device: &D) -> Plain {
    Plain::of(s.to_mat::<T, D>(device).unwrap().as_ref())
}

const SPARSE: [Family; 6] = [
    Family::SparseSign,
    Family::SparseStack,
    Family::CountSketch,
    Family::Laso,
    Family::RowSampling,
    Family::BlockPermSjlt,
];

fn to_mat_gives_the_entries<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in FAMILIES.into_iter().filter(|&family| family != Family::Haar) {
        for (d, m) in [(0, 7), (1, 1), (9, 40), (33, 65), (64, 129)] {
            let s = sketch(family, d, m, 4).unwrap();
            let exact = entries::<T>(&s);
            // One rounding of the scale, one of the product; a transform mixes unit vectors,
            // so its errors are relative to their norm.
            let order = m.next_power_of_two() as f64;
            let mixed = if is_transform(family) { 60.0 * (order.log2() + 1.0) } else { 0.0 };
            let bound = exact.map(|x| T::UNIT_ROUNDOFF * (3.0 * x.abs() + mixed * s.scale()));
            let what = format!("{} {family:?} {d}×{m}", T::NAME);
            let got = place.result(&what, |device| dense_of::<T, D>(&s, device));
            assert_within(&what, &got, &exact, &bound);
            assert_within(&what, &dense_of::<T, Reference>(&s, &Reference), &exact, &bound);
        }
    }
}

fn windows_of_to_mat_are_slices_bit_for_bit<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in FAMILIES {
        for (d, m) in [(9, 13), (33, 65), (40, 300)] {
            let s = sketch(family, d, m, 11).unwrap();
            let whole = dense_of::<T, D>(&s, place.device());
            for (rows, cols) in [
                (0..d, 0..m),
                (1..d, 0..m),
                (0..d, 1..m),
                (3..8, 4..13),
                (d - 1..d, m - 1..m),
                (d / 2..d, m / 3..m / 2),
                (5..5, 0..m),
                (0..d, 6..6),
            ] {
                let window = s.rows(rows.clone()).columns(cols.clone());
                let expected = whole.rows(rows.start, rows.end).columns(cols.start, cols.end);
                let what = format!("{} {family:?} {rows:?} {cols:?}", T::NAME);
                let got = place.result(&what, |device| dense_of::<T, D>(&window, device));
                assert_same_bits(&what, &got, &expected);
            }
        }
    }
}

fn longer_operators_begin_with_shorter_ones<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for family in [
        Family::Gaussian,
        Family::Rademacher,
        Family::Uniform,
        Family::SparseSign,
        Family::SparseStack,
        Family::CountSketch,
    ] {
        for (short, long) in [(1, 2), (7, 8), (31, 40), (64, 65), (100, 300)] {
            let longer = dense_of::<T, D>(&sketch(family, 24, long, 5).unwrap(), device);
            let shorter = dense_of::<T, D>(&sketch(family, 24, short, 5).unwrap(), device);
            let what = format!("{} {family:?} columns {short} of {long}", T::NAME);
            assert_same_bits(&what, &longer.columns(0, short), &shorter);
            if matches!(family, Family::Gaussian | Family::Rademacher | Family::Uniform) {
                let raw = |d| dense_of::<T, D>(&sketch(family, d, 9, 5).unwrap().raw(), device);
                assert_same_bits(&what, &raw(long).rows(0, short), &raw(short));
            }
        }
    }
}

fn column_blocks_add_up_and_row_blocks_stack<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in FAMILIES {
        let (d, m, n) = (20, 130, 6);
        let s = sketch(family, d, m, 6).unwrap();
        let device = place.device();
        let a = Stored::<T>::new(Layout::Rows, m, n, |i, j| noise(1, i, j));
        let on = a.on(device);
        let whole = Plain::of(s.apply(on.view()).unwrap().as_ref());
        let mut sum = Mat::<T, D>::zeros(device, d, n).unwrap();
        let cuts = [0, 1, 17, 64, 65, 128, 130];
        for cut in cuts.windows(2) {
            let block = s.columns(cut[0]..cut[1]);
            let part = on.view().rows(cut[0]..cut[1]);
            block.apply_into(T::one(), part, T::one(), sum.as_mut()).unwrap();
        }
        let size = dense_of::<T, D>(&s, device).abs().times(&a.plain().abs());
        // A transform's rounding errors are relative to the norms of what it mixes.
        let spread = if is_transform(family) { 300.0 * s.scale() * a.plain().norm() } else { 0.0 };
        let bound = size.map(|x| T::UNIT_ROUNDOFF * ((m as f64 + 20.0) * x + spread));
        let what = format!("{} {family:?} blocks", T::NAME);
        assert_within(&what, &Plain::of(sum.as_ref()), &whole, &bound);
        for (from, to) in [(0, 7), (7, 8), (8, 20)] {
            let part = Plain::of(s.rows(from..to).apply(on.view()).unwrap().as_ref());
            assert_within(&what, &part, &whole.rows(from, to), &bound.rows(from, to));
        }
    }
}

#[test]
fn results_are_the_same_bits_for_any_number_of_threads() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for family in FAMILIES {
            let (d, m) = match family {
                Family::Haar => (60, 1500),
                _ => (150, 6000),
            };
            let s = sketch(family, d, m, 6).unwrap();
            for (layout, n) in [(Layout::Columns, 70), (Layout::Rows, 70), (Layout::Columns, 1)] {
                let a = Stored::<T>::new(layout, m, n, |i, j| noise(1, i, j));
                let y = Stored::<T>::new(layout, d, n, |i, j| noise(1, i, j));
                let results = cpus().each_ref().map(|cpu| {
                    let (a, y) = (a.on(cpu), y.on(cpu));
                    let left = s.apply(a.view()).unwrap();
                    let right = s.apply_right(a.view().transpose()).unwrap();
                    let down = s.apply_adjoint(y.view()).unwrap();
                    [&left, &right, &down].map(|x| Plain::of(x.as_ref()))
                });
                for other in &results[1..] {
                    for (x, y) in other.iter().zip(&results[0]) {
                        assert_same_bits(&format!("{} {family:?} {layout:?}", T::NAME), x, y);
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

fn sparse_operators_have_their_structure_and_equal_their_csr<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for family in SPARSE {
        for (d, m) in [(0, 4), (1, 5), (8, 8), (30, 200), (37, 41)] {
            let s = sketch(family, d, m, 3).unwrap();
            for s in [s, s.raw(), s.rows(d / 3..d).columns(m / 4..m)] {
                let dense = dense_of::<f64, D>(&s, device);
                // Compressed rows times the identity.
                let csr: Csr<f64, D> = s.to_csr(device).unwrap();
                let unit = Plain::from_fn(s.ncols(), s.ncols(), |i, j| f64::from(u8::from(i == j)));
                let from_csr = Stored::<f64>::new(Layout::Rows, s.nrows(), s.ncols(), |_, _| 0.0);
                let from_csr = from_csr.after("CSR", device, |c| {
                    let unit = unit.to_mat::<f64, D>(device);
                    device.spmm(1.0, csr.as_ref(), Op::NoTrans, unit.as_ref(), 0.0, c)
                });
                assert_same_bits(&format!("{family:?} {d}×{m}"), &from_csr, &dense);
            }
            let raw = dense_of::<f64, D>(&s.raw(), device);
            let nonzeros = |j: usize| raw.column(j).iter().filter(|x| **x != 0.0).count();
            match family {
                Family::Laso => (0..d).for_each(|i| {
                    let draws: f64 = (0..m).map(|j| raw.get(i, j).powi(2)).sum();
                    assert!((draws - 8.0).abs() < 1e-12, "row {i} has {draws} draws");
                }),
                Family::RowSampling => {
                    assert!((0..m).all(|j| nonzeros(j) <= 1));
                    assert_eq!(raw.data.iter().filter(|x| **x == 1.0).count(), d);
                }
                _ => {
                    let zeta = if d == 0 { 0 } else { s.nnz() };
                    assert!((0..m).all(|j| nonzeros(j) == zeta), "{family:?} {d}×{m}");
                    assert!(raw.data.iter().all(|x| [0.0, 1.0, -1.0].contains(x)));
                }
            }
        }
    }
    let s = Sketch::sparse_stack(30, 50, 4, 1).unwrap();
    let raw = dense_of::<f64, D>(&s.raw(), device);
    for j in 0..50 {
        for block in 0..4 {
            let (from, to) = (block * 30 / 4, (block + 1) * 30 / 4);
            let filled = raw.column(j)[from..to].iter().filter(|x| **x != 0.0).count();
            assert_eq!(filled, 1, "column {j}, block {block}");
        }
    }
    for family in [Family::Gaussian, Family::Srht, Family::Haar] {
        let refused = sketch(family, 4, 9, 1).unwrap().to_csr::<f64, D>(device);
        assert!(matches!(refused, Err(Error::Unsupported { .. })), "{family:?}");
    }
}

fn seeds_and_scales_are_what_they_say<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for family in FAMILIES {
        let s = sketch(family, 16, 64, 1).unwrap();
        let other = sketch(family, 16, 64, 2).unwrap();
        assert_ne!(
            dense_of::<f64, D>(&s, device),
            dense_of::<f64, D>(&other, device),
            "{family:?}"
        );
        assert_same_bits(
            "repeated",
            &dense_of::<f64, D>(&s, device),
            &dense_of::<f64, D>(&s, device),
        );
        let double = dense_of::<f64, D>(&s.with_scale(2.0 * s.scale()), device);
        assert_same_bits("doubled", &double, &dense_of::<f64, D>(&s, device).map(|x| 2.0 * x));
        assert_eq!(s.raw().scale(), 1.0);
        assert_eq!((s.rows(3..9).columns(4..60).full_shape(), s.seed()), ((16, 64), 1));
        let nested = s.rows(3..9).rows(1..4).columns(10..50).columns(5..6);
        assert_eq!((nested.row_range(), nested.col_range()), (4..7, 15..16));
    }
}

on_every_device! {
    to_mat_gives_the_entries: f32 f64,
    windows_of_to_mat_are_slices_bit_for_bit: f32 f64,
    longer_operators_begin_with_shorter_ones: f32 f64,
    column_blocks_add_up_and_row_blocks_stack: f32 f64,
    sparse_operators_have_their_structure_and_equal_their_csr,
    seeds_and_scales_are_what_they_say,
}
