//! The algorithms on the GPU, unchanged: factorizations, and every family through the public calls.

use crate::common::spectra::{geometric, harmonic, with_spectrum};
use crate::common::{
    FAMILIES, assert_columns_within, assert_same_bits, assert_within, is_transform, sketch,
};
use crate::common::{Plain, noise};
use crate::decomp_checks::{check_qb, check_svd};
use crate::gpu::gpu;
use randnla::decomp::{QbParams, RsvdParams, qb, rsvd};
use randnla::{Backend, Cpu, Cuda, Error, Scalar};

#[test]
fn factorizations_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Backend<T>,
    {
        for (rows, cols) in [(70, 45), (40, 65)] {
            let a = with_spectrum(rows, cols, &harmonic(40), 5).rounded::<T>();
            let on = a.to_mat::<T, Cuda>(cuda);
            let best: f64 = harmonic(40)[9..].iter().map(|s| s * s).sum();
            let all: f64 = harmonic(40).iter().map(|s| s * s).sum();
            for params in [
                RsvdParams::rank(9),
                RsvdParams::rank(9).krylov(true).power_passes(1),
                RsvdParams::rank(9).failure_probability(1e-6),
            ] {
                let svd = rsvd(&on, params).unwrap();
                let error = check_svd(&format!("{} {params:?}", T::NAME), &a, &svd);
                assert!(error < 1.05 * (best / all).sqrt(), "{error}");
            }
            let a = with_spectrum(rows, cols, &geometric(0.6, 40), 6).rounded::<T>();
            let on = a.to_mat::<T, Cuda>(cuda);
            let svd = rsvd(&on, RsvdParams::tolerance(0.02).block_size(4)).unwrap();
            assert!(check_svd("to a tolerance", &a, &svd) <= 0.02);
            let found = qb(&on, QbParams::tolerance(0.02).block_size(4)).unwrap();
            assert!(check_qb("to a tolerance", &a, &found) <= 0.02);
        }
        let spoiled = Plain::from_fn(20, 15, |i, j| match (i, j) {
            (7, 3) => f64::NAN,
            _ => noise(1, i, j),
        });
        let failed = rsvd(&spoiled.to_mat::<T, Cuda>(cuda), RsvdParams::rank(3));
        assert!(matches!(failed, Err(Error::NonFinite { row: 7, col: 3, .. })), "{failed:?}");
    }
    let Some(cuda) = gpu("factorizations") else { return };
    cases::<f64>(&cuda);
    cases::<f32>(&cuda);
}

#[test]
fn every_family_through_the_public_calls_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Backend<T>,
        Cpu: Backend<T>,
    {
        let (d, m, n) = (13, 50, 9);
        let a = Plain::from_fn(m, n, |i, j| noise(2, i, j)).rounded::<T>();
        let y = Plain::from_fn(d, n, |i, j| noise(3, i, j)).rounded::<T>();
        for family in FAMILIES {
            let what = format!("{} {family:?}", T::NAME);
            let s = sketch(family, d, m, 11).unwrap();
            let dense = Plain::of(s.to_mat::<T, Cuda>(cuda).unwrap().as_ref());
            let expected = Plain::of(s.to_mat::<T, _>(&Cpu::new()).unwrap().as_ref());
            let (sa, sty) = (
                s.apply(&a.to_mat::<T, Cuda>(cuda)).unwrap(),
                s.apply_adjoint(&y.to_mat::<T, Cuda>(cuda)).unwrap(),
            );
            let prepared = s.prepare::<T, Cuda>(cuda).unwrap();
            let again = prepared.apply(&a.to_mat::<T, Cuda>(cuda)).unwrap();
            assert_eq!(Plain::of(sa.as_ref()), Plain::of(again.as_ref()), "{what}: prepared");
            let u = T::UNIT_ROUNDOFF;
            if is_transform(family) {
                // Rounding errors of a transform spread over its column.
                let limit = |x: &Plain| 30.0 * u * (m as f64).sqrt() * x.abs().norm();
                for (got, exact) in [
                    (Plain::of(sa.as_ref()), expected.times(&a)),
                    (Plain::of(sty.as_ref()), expected.transpose().times(&y)),
                ] {
                    let bound = vec![limit(&a).max(limit(&y)); n];
                    assert_columns_within(&what, &got, &exact, &bound);
                }
            } else {
                assert_same_bits(&format!("{what}: entries"), &dense, &expected);
                let bound = expected.abs().times(&a.abs()).map(|x| (m as f64 + 6.0) * u * x);
                assert_within(&what, &Plain::of(sa.as_ref()), &expected.times(&a), &bound);
                let (st, size) = (expected.transpose(), expected.abs().transpose());
                let bound = size.times(&y.abs()).map(|x| (d as f64 + 6.0) * u * x);
                assert_within(&what, &Plain::of(sty.as_ref()), &st.times(&y), &bound);
            }
        }
    }
    let Some(cuda) = gpu("every family") else { return };
    cases::<f64>(&cuda);
    cases::<f32>(&cuda);
}
