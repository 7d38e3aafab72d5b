//! Zero and empty matrices, input that is not finite, overflow, and bad parameters.

use crate::common::spectra::{harmonic, with_spectrum};
use crate::common::{Place, Plain, Reference, noise, on_every_device};
use crate::decomp_checks::{Counting, check_qb, check_svd};
use randnla::decomp::{ErrorKind, QbParams, RsvdParams, qb, rsvd};
use randnla::{Backend, Cpu, Csr, Error, LinearOperator, Result, Scalar};

fn zero_and_empty<T: Scalar, D: Backend<T>>(device: &D)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    for (m, n) in [(0, 0), (0, 5), (5, 0), (1, 1), (30, 20), (20, 30)] {
        let a = Plain::zeros(m, n);
        let mat = a.to_mat::<T, D>(device);
        for params in [
            RsvdParams::rank(m.min(n)),
            RsvdParams::rank(m.min(n)).power_passes(0),
            RsvdParams::rank(m.min(n)).krylov(true),
            RsvdParams::rank(m.min(n)).failure_probability(1e-3),
            RsvdParams::rank(0),
            RsvdParams::tolerance(0.1),
            RsvdParams::tolerance(1e-9),
        ] {
            let what = format!("{} 0 of {m}×{n} {params:?}", T::NAME);
            for knows_norm in [true, false] {
                let svd = if knows_norm {
                    rsvd(&mat, params)
                } else {
                    rsvd(&Counting::new(mat.as_ref(), false), params)
                };
                let svd = svd.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(svd.rank(), 0, "{what}");
                assert_eq!((svd.u.shape(), svd.vt.shape()), ((m, 0), (0, n)), "{what}");
                assert_eq!((svd.error.absolute, svd.error.relative), (0.0, 0.0), "{what}");
            }
        }
        for params in [QbParams::rank(m.min(n)), QbParams::tolerance(0.1)] {
            let qb = qb(&mat, params).unwrap();
            assert_eq!((qb.q.shape(), qb.b.shape()), ((m, 0), (0, n)));
            assert_eq!(qb.error.relative, 0.0);
        }
    }
}

fn zero_and_empty_matrices_have_rank_zero<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    place.handles().iter().for_each(zero_and_empty::<T, D>);
}

#[test]
fn zero_and_empty_matrices_have_rank_zero_on_the_oracle() {
    zero_and_empty::<f64, Reference>(&Reference);
}

fn rank_zero_of_a_matrix_is_nothing_with_all_of_the_error<D: Backend<f64>>(place: &Place<D>) {
    let a = with_spectrum(30, 20, &harmonic(20), 1);
    let mat = a.to_mat::<f64, D>(place.device());
    let svd = rsvd(&mat, RsvdParams::rank(0)).unwrap();
    assert_eq!(svd.rank(), 0);
    assert!((check_svd("rank 0", &a, &svd) - 1.0).abs() < 1e-12);
    assert!((svd.error.relative - 1.0).abs() < 1e-12, "{:?}", svd.error);
    let qb = qb(&mat, QbParams::rank(0)).unwrap();
    assert!((check_qb("rank 0", &a, &qb) - 1.0).abs() < 1e-12);
}

fn not_finite<T: Scalar, D: Backend<T>>(device: &D) {
    let clean = Plain::from_fn(40, 30, |i, j| noise(1, i, j));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (row, col) in [(0, 0), (17, 3), (39, 29)] {
            let mut a = clean.clone();
            a.set(39, 29, value);
            a.set(row, col, value);
            let mat = a.to_mat::<T, D>(device);
            let expected = |result: Result<()>, what: &str| {
                let named = matches!(
                    &result,
                    Err(Error::NonFinite { row: r, col: c, .. }) if (*r, *c) == (row, col)
                );
                assert!(named, "{} {what} {value} at ({row}, {col}): {result:?}", T::NAME);
            };
            expected(rsvd(&mat, RsvdParams::rank(4)).map(drop), "rsvd");
            expected(rsvd(&mat, RsvdParams::rank(4).krylov(true)).map(drop), "krylov");
            expected(rsvd(&mat, RsvdParams::rank(4).power_passes(0)).map(drop), "q = 0");
            expected(rsvd(&mat, RsvdParams::tolerance(0.1)).map(drop), "tolerance");
            expected(rsvd(&mat, RsvdParams::tolerance(1e-9)).map(drop), "probes");
            expected(qb(&mat, QbParams::rank(4)).map(drop), "qb");
            let triplets: Vec<(usize, usize, T)> = (0..40)
                .flat_map(|i| (0..30).map(move |j| (i, j)))
                .filter(|&(i, j)| (i, j) == (row, col) || (i * j) % 3 == 1)
                .map(|(i, j)| (i, j, T::from_f64(a.get(i, j))))
                .collect();
            let csr = Csr::from_triplets(device, (40, 30), &triplets).unwrap();
            expected(rsvd(&csr, RsvdParams::rank(4)).map(drop), "CSR");
            let turned = csr.as_ref().transpose();
            let result = rsvd(&turned, RsvdParams::rank(4)).map(drop);
            let named = matches!(
                &result,
                Err(Error::NonFinite { row: r, col: c, .. }) if (*r, *c) == (col, row)
            );
            assert!(named, "CSC {value} at ({col}, {row}): {result:?}");
        }
    }
}

fn what_is_not_finite_is_named_with_its_first_position<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    not_finite::<T, D>(place.device());
}

#[test]
fn what_is_not_finite_is_named_on_the_oracle() {
    not_finite::<f64, Reference>(&Reference);
}

/// Finite input whose products leave the range is an overflow, not NaN with success.
fn overflow_is_an_error_or_a_right_result<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let largest = if size_of::<T>() == 4 { 3e38 } else { 1.7e308 };
    let a = Plain::from_fn(50, 40, |i, j| largest * noise(1, i, j));
    let mat = a.to_mat::<T, D>(place.device());
    for params in [RsvdParams::rank(5), RsvdParams::tolerance(0.1)] {
        match rsvd(&mat, params) {
            Err(Error::Overflow { .. }) => {}
            Err(error) => panic!("{} {error}", T::NAME),
            Ok(svd) => {
                // Compare at a scale that f64 can square.
                assert!(svd.s.iter().all(|s| Scalar::is_finite(*s)), "{:?}", svd.s);
                assert!(svd.error.relative.is_finite());
            }
        }
    }
}

fn parameters_outside_of_their_range_are_refused<D: Backend<f64>>(place: &Place<D>) {
    let a = with_spectrum(30, 20, &harmonic(20), 1).to_mat::<f64, D>(place.device());
    let invalid = |result: Result<()>, name: &str| {
        let named = matches!(
            &result, Err(Error::InvalidArgument { argument, .. }) if *argument == name
        );
        assert!(named, "{name}: {result:?}");
    };
    invalid(rsvd(&a, RsvdParams::rank(21)).map(drop), "rank");
    invalid(rsvd(&a, RsvdParams::rank(usize::MAX)).map(drop), "rank");
    invalid(qb(&a, QbParams::rank(21)).map(drop), "rank");
    for tolerance in [0.0, 1.0, -0.1, 2.0, f64::NAN, f64::INFINITY] {
        invalid(rsvd(&a, RsvdParams::tolerance(tolerance)).map(drop), "tolerance");
        invalid(qb(&a, QbParams::tolerance(tolerance)).map(drop), "tolerance");
    }
    invalid(rsvd(&a, RsvdParams::rank(5).block_size(0)).map(drop), "block_size");
    for probability in [0.0, 1.0, -1.0, f64::NAN] {
        let params = RsvdParams::rank(5).failure_probability(probability);
        invalid(rsvd(&a, params).map(drop), "failure_probability");
    }
    // Large oversampling is cut to what the matrix has, not refused.
    let svd = rsvd(&a, RsvdParams::rank(20).oversampling(usize::MAX)).unwrap();
    assert_eq!(svd.rank(), 20);
    assert_eq!(rsvd(&a, RsvdParams::rank(3).block_size(1000)).unwrap().rank(), 3);
    assert!(rsvd(&a, RsvdParams::tolerance(0.5).max_rank(usize::MAX)).is_ok());
}

/// An operator's own error reaches the caller.
#[test]
fn errors_of_an_operator_are_passed_on() {
    struct Broken(Cpu);
    impl randnla::LinearOperator<f64, Cpu> for Broken {
        fn shape(&self) -> (usize, usize) {
            (10, 10)
        }
        fn device(&self) -> &Cpu {
            &self.0
        }
        fn apply(&self, _x: randnla::MatRef<f64>, _y: randnla::MatMut<f64>) -> Result<()> {
            Err(Error::DeviceUnavailable { reason: "gone".into() })
        }
        fn apply_adjoint(&self, x: randnla::MatRef<f64>, y: randnla::MatMut<f64>) -> Result<()> {
            self.apply(x, y)
        }
    }
    let result = rsvd(&Broken(Cpu::new()), RsvdParams::rank(3));
    assert!(matches!(result, Err(Error::DeviceUnavailable { .. })));
    // Kinds of error print what they are.
    assert!(ErrorKind::Identity.to_string().contains("identity"));
    let message = Error::NonFinite { op: "rsvd", row: 3, col: 4 }.to_string();
    assert!(message.contains("row 3") && message.contains("column 4"));
}

on_every_device! {
    zero_and_empty_matrices_have_rank_zero: f32 f64,
    rank_zero_of_a_matrix_is_nothing_with_all_of_the_error,
    what_is_not_finite_is_named_with_its_first_position: f32 f64,
    overflow_is_an_error_or_a_right_result: f32 f64,
    parameters_outside_of_their_range_are_refused,
}
