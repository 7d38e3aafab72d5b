//! Bad input: every refusal names the argument and leaves the output as it was. What is not refused
//! is IEEE arithmetic: NaN and infinities travel.

use crate::common::{
    FAMILIES, Layout, Place, Plain, Stored, assert_same_bits, noise, on_every_device, sketch,
};
use randnla::matrix::{TensorMut, TensorRef};
use randnla::{Backend, Cpu, Csr, CsrRef, Error, Family, Mat, MatMut, MatRef, Sketch};

fn is_invalid<T>(result: randnla::Result<T>, name: &str) -> bool {
    matches!(result, Err(Error::InvalidArgument { argument, .. }) if argument == name)
}

#[test]
fn constructors_refuse_what_their_documentation_excludes() {
    assert!(is_invalid(Sketch::sparse_sign(8, 10, 9, 1), "nnz"));
    assert!(is_invalid(Sketch::sparse_sign(8, 10, 0, 1), "nnz"));
    assert!(is_invalid(Sketch::sparse_stack(8, 10, 9, 1), "nnz"));
    assert!(is_invalid(Sketch::sparse_stack(8, 10, 0, 1), "nnz"));
    assert!(is_invalid(Sketch::laso(8, 10, 0, 1), "nnz"));
    assert!(is_invalid(Sketch::laso(8, 10, 1 << 31, 1), "nnz"));
    assert!(is_invalid(Sketch::laso(8, 0, 1, 1), "m"));
    assert!(is_invalid(Sketch::row_sampling(11, 10, 1), "d"));
    assert!(is_invalid(Sketch::srct(11, 10, 1), "d"));
    assert!(is_invalid(Sketch::haar(11, 10, 1), "d"));
    assert!(is_invalid(Sketch::srht(17, 10, 1), "d"));
    assert!(is_invalid(Sketch::hadamard_diagonal(17, 16, 1), "d"));
    assert!(is_invalid(Sketch::srht(1, 0, 1), "d"));
    for family in [Family::Gaussian, Family::Rademacher, Family::Uniform, Family::CountSketch] {
        assert!(is_invalid(sketch(family, 1 << 31, 10, 1), "d"), "{family:?}");
        assert!(sketch(family, (1 << 31) - 1, usize::MAX, 1).is_ok(), "{family:?}");
    }
    assert!(is_invalid(Sketch::srht(5, usize::MAX, 1), "m"));
    // The largest allowed.
    assert!(Sketch::srht(16, 10, 1).is_ok() && Sketch::srht(0, 0, 1).is_ok());
    assert!(Sketch::sparse_sign(8, 10, 8, 1).is_ok() && Sketch::sparse_sign(0, 10, 8, 1).is_ok());
    assert!(Sketch::laso(8, 10, 100, 1).is_ok() && Sketch::row_sampling(10, 10, 1).is_ok());
}

fn shapes_that_do_not_fit_are_refused_and_nothing_is_written<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let mat =
        |rows, cols| Plain::from_fn(rows, cols, |i, j| noise(1, i, j)).to_mat::<f64, D>(device);
    for family in FAMILIES {
        let s = sketch(family, 6, 15, 1).unwrap();
        let refused = |result: randnla::Result<()>, out: &Mat<f64, D>, what: &str| {
            let mismatch = matches!(result, Err(Error::ShapeMismatch { .. }));
            assert!(mismatch, "{family:?} {what}: {result:?}");
            assert!(out.to_vec().unwrap().iter().all(|&x| x == 5.0), "{family:?} {what} wrote");
        };
        let fives = |rows, cols| Plain::from_fn(rows, cols, |_, _| 5.0).to_mat::<f64, D>(device);
        // Each operation with a wrong A, then with a wrong C.
        for (a, c) in [((14, 3), (6, 3)), ((15, 3), (5, 3)), ((15, 3), (6, 4)), ((3, 15), (3, 6))] {
            let mut out = fives(c.0, c.1);
            refused(s.apply_into(1.0, &mat(a.0, a.1), 0.0, out.as_mut()), &out, "apply");
        }
        for (a, c) in [((7, 3), (15, 3)), ((6, 3), (14, 3)), ((6, 3), (15, 2))] {
            let mut out = fives(c.0, c.1);
            refused(s.apply_adjoint_into(1.0, &mat(a.0, a.1), 0.0, out.as_mut()), &out, "adjoint");
        }
        for (a, c) in [((3, 14), (3, 6)), ((3, 15), (3, 7)), ((3, 15), (2, 6))] {
            let mut out = fives(c.0, c.1);
            refused(s.apply_right_into(1.0, &mat(a.0, a.1), 0.0, out.as_mut()), &out, "right");
        }
        for (a, c) in [((3, 7), (3, 15)), ((3, 6), (3, 14)), ((3, 6), (4, 15))] {
            let mut out = fives(c.0, c.1);
            let result = s.apply_right_adjoint_into(1.0, &mat(a.0, a.1), 0.0, out.as_mut());
            refused(result, &out, "right adjoint");
        }
        assert!(matches!(s.apply(&mat(14, 3)), Err(Error::ShapeMismatch { got: (14, 3), .. })));
        assert!(matches!(s.apply_right(&mat(3, 14)), Err(Error::ShapeMismatch { .. })));
        let sparse = Csr::from_triplets(device, (14, 3), &[(0, 0, 1.0)]).unwrap();
        let mut out = fives(6, 3);
        refused(s.apply_into(1.0, &sparse, 0.0, out.as_mut()), &out, "sparse");
        let prepared = s.prepare::<f64, D>(device).unwrap();
        refused(prepared.apply_into(1.0, &mat(14, 3), 0.0, out.as_mut()), &out, "prepared");
    }
}

#[test]
fn views_that_do_not_fit_their_memory_are_refused() {
    let cpu = Cpu::new();
    let mut memory = vec![0.0f64; 24];
    // Writable entries must be distinct.
    for (shape, strides) in
        [((4, 6), (0, 1)), ((4, 6), (1, 0)), ((4, 5), (1, 3)), ((3, 3), (2, 4)), ((4, 5), (-1, 3))]
    {
        let refused = MatMut::from_strided(&cpu, &mut memory, 12, shape, strides);
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{shape:?} {strides:?}");
    }
    // Readable ones may coincide, but not leave the slice.
    assert!(MatRef::from_strided(&cpu, &memory, 0, (4, 6), (0, 1)).is_ok());
    assert!(MatRef::from_strided(&cpu, &memory, 23, (4, 6), (-6, -1)).is_ok());
    assert!(MatRef::from_strided(&cpu, &memory, 22, (4, 6), (-6, -1)).is_err());
    assert!(MatRef::from_strided(&cpu, &memory, 1, (4, 6), (6, 1)).is_err());
    assert!(MatRef::from_strided(&cpu, &memory, 0, (2, 2), (isize::MAX, isize::MAX)).is_err());
    assert!(MatRef::from_row_major(&cpu, &memory, 5, 5).is_err());
    assert!(MatRef::from_column_major_with_ld(&cpu, &memory, (5, 2), 4).is_err());
    assert!(MatMut::from_row_major_with_ld(&cpu, &mut memory, (3, 5), 4).is_err());
    assert!(Mat::<f64>::zeros(&cpu, usize::MAX, 2).is_err());
    assert!(Cpu::with_threads(0).is_err());
}

/// Pointers of a framework that are null or not aligned, on any device.
fn pointers_of_others_are_looked_at<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let mat = Plain::zeros(4, 3).to_mat::<f64, D>(device);
    let good = mat.as_ref().as_ptr();
    let (rows, columns) = (device.zeroed::<usize>(5).unwrap(), device.zeroed::<u32>(1).unwrap());
    let (rows, columns) = (D::as_ptr(&rows), D::as_ptr(&columns));
    let null = core::ptr::null::<f64>();
    for bad in [null, good.wrapping_byte_add(4), good.wrapping_byte_add(1)] {
        // SAFETY: nothing is read.
        unsafe {
            assert!(is_invalid(MatRef::from_raw_parts(device, bad, (4, 3), (1, 4)), "ptr"));
            let writable = bad.cast_mut();
            assert!(is_invalid(MatMut::from_raw_parts(device, writable, (4, 3), (1, 4)), "ptr"));
            let (shape, strides) = (&[2, 3, 2], &[6, 2, 1]);
            assert!(is_invalid(TensorRef::from_raw_parts(device, bad, shape, strides), "ptr"));
            assert!(is_invalid(TensorMut::from_raw_parts(device, writable, shape, strides), "ptr"));
            let csr = |entries, rows: *const usize, columns: *const u32, values| {
                CsrRef::<f64, D>::from_raw_parts(device, (4, 3), entries, rows, columns, values)
            };
            assert!(is_invalid(csr(1, rows, columns, bad), "values"));
            assert!(is_invalid(csr(1, rows, core::ptr::null(), good), "col_idx"));
            assert!(is_invalid(csr(1, rows, columns.wrapping_byte_add(2), good), "col_idx"));
            assert!(is_invalid(csr(0, core::ptr::null(), columns, good), "row_ptr"));
            assert!(is_invalid(csr(0, rows.wrapping_byte_add(4), columns, good), "row_ptr"));
            // Where there are no entries, no pointer is needed.
            assert!(MatRef::from_raw_parts(device, bad, (0, 3), (1, 4)).is_ok());
            assert!(MatMut::from_raw_parts(device, writable, (4, 0), (1, 4)).is_ok());
            assert!(csr(0, rows, core::ptr::null(), bad).is_ok());
            assert!(csr(1, rows, columns, good).is_ok());
        }
    }
}

#[test]
fn windows_past_the_end_panic_as_slices_do() {
    let s = Sketch::gaussian(4, 9, 1).unwrap();
    for (rows, cols) in [(0..5, 0..9), (0..4, 0..10), (5..5, 0..9)] {
        let window = std::panic::catch_unwind(|| s.rows(rows).columns(cols));
        assert!(window.is_err());
    }
    // A window of a window ends where the window does.
    assert!(std::panic::catch_unwind(|| s.columns(0..5).columns(0..6)).is_err());
}

fn nan_and_infinity_travel_to_their_column_and_no_further<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for family in FAMILIES {
        for value in [f64::NAN, f64::INFINITY] {
            let s = sketch(family, 12, 40, 2).unwrap();
            let clean = Plain::from_fn(40, 9, |i, j| noise(1, i, j));
            let row = (0..40).find(|&j| {
                let unit = Plain::from_fn(40, 1, |i, _| f64::from(u8::from(i == j)));
                Plain::of(s.apply(&unit.to_mat::<f64, D>(device)).unwrap().as_ref()).norm() > 0.0
            });
            let mut spoilt = clean.clone();
            spoilt.set(row.unwrap(), 4, value);
            for layout in [Layout::Columns, Layout::Rows] {
                let apply = |a: &Plain| {
                    let a = Stored::<f64>::from_plain(layout, a);
                    Plain::of(s.apply(a.on(device).view()).unwrap().as_ref())
                };
                let (expected, got) = (apply(&clean), apply(&spoilt));
                let spoilt = got.column(4).iter().any(|x| !x.is_finite());
                assert!(spoilt, "{family:?} {layout:?}: {value} vanished");
                assert_same_bits("columns before", &got.columns(0, 4), &expected.columns(0, 4));
                assert_same_bits("columns after", &got.columns(5, 9), &expected.columns(5, 9));
            }
        }
    }
}

on_every_device! {
    pointers_of_others_are_looked_at,
    shapes_that_do_not_fit_are_refused_and_nothing_is_written,
    nan_and_infinity_travel_to_their_column_and_no_further,
}
