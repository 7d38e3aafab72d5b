//! What must not matter: scale, layout, the kind of operand, threads, the device; and what is counted.

use crate::common::cuts;
use crate::common::spectra::{geometric, harmonic, with_spectrum};
use crate::common::{Layout, Place, Plain, Reference, Stored, cpus, noise, on_every_device};
use crate::decomp_checks::{Counting, bits, check_qb, check_svd, checked_rsvd, prepared};
use randnla::decomp::{ErrorKind, QbParams, RsvdParams, qb, rsvd, rsvd_batched};
use randnla::{Backend, Cpu, Csc, Csr, LinearOperator, Scalar};
use std::sync::atomic::Ordering::Relaxed;

fn requests() -> [RsvdParams; 5] {
    [
        RsvdParams::rank(12),
        RsvdParams::rank(12).power_passes(0).oversampling(3).block_size(4),
        RsvdParams::rank(12).krylov(true).power_passes(1),
        RsvdParams::rank(12).failure_probability(1e-6),
        RsvdParams::tolerance(1e-2),
    ]
}

/// A·2ᵉ gives the same U, V, relative error and passes, and s and the absolute error times 2ᵉ: bit
/// for bit, as far as nothing leaves the range of normal numbers.
fn powers_of_two_scale_every_output_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let exponents = match size_of::<T>() {
        4 => [1, -1, 40, -40, 60, -60],
        _ => [1, -1, 100, -100, 500, -500],
    };
    let mut case = 0;
    let device = place.device();
    for a in
        [with_spectrum(90, 60, &harmonic(60), 8), with_spectrum(50, 70, &geometric(0.6, 40), 8)]
    {
        let plain = a.rounded::<T>();
        let (_, mat) = prepared::<T, D>(&plain, device);
        for params in requests() {
            let base = rsvd(&mat, params).unwrap();
            let (u, s, vt, error, passes) = bits(&base);
            for e in exponents {
                case += 1;
                if !place.takes(&cuts::POWERS, case) {
                    continue;
                }
                let factor = 2f64.powi(e);
                let scaled = plain.map(|x| x * factor).to_mat::<T, D>(device);
                let svd = rsvd(&scaled, params).unwrap();
                let what = format!("{} 2^{e} {params:?}", T::NAME);
                let (u2, s2, vt2, error2, passes2) = bits(&svd);
                assert!(u == u2 && vt == vt2, "{what}: U or V changed");
                let expected: Vec<T> = s.iter().map(|s| T::from_f64(s.to_f64() * factor)).collect();
                assert_eq!(s2, expected, "{what}");
                assert_eq!(error2[1], error[1], "{what}: relative error");
                assert_eq!(svd.error.absolute, base.error.absolute * factor, "{what}");
                assert_eq!((passes2, svd.error.kind), (passes, base.error.kind), "{what}");
            }
        }
        let base = qb(&mat, QbParams::rank(9)).unwrap();
        for e in exponents {
            let factor = 2f64.powi(e);
            let scaled = plain.map(|x| x * factor).to_mat::<T, D>(device);
            let qb = qb(&scaled, QbParams::rank(9)).unwrap();
            assert_eq!(qb.q.to_vec().unwrap(), base.q.to_vec().unwrap(), "2^{e}");
            let expected = Plain::of(base.b.as_ref()).map(|x| x * factor);
            assert_eq!(Plain::of(qb.b.as_ref()), expected, "2^{e}");
            assert_eq!(qb.error.relative, base.error.relative, "2^{e}");
        }
    }
}

/// Scales at which squares over- or underflow, by factors that are no powers of two.
fn extreme_scales_keep_their_accuracy<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let scales: &[f64] = match size_of::<T>() {
        4 => &[1e18, 1e-18],
        _ => &[1e150, 1e-150, 1e200, 1e-200],
    };
    let mut case = 0;
    let sigma = harmonic(60);
    let a = with_spectrum(100, 60, &sigma, 8);
    for &scale in scales {
        for params in requests() {
            case += 1;
            if !place.takes(&cuts::EXTREME_SCALES, case) {
                continue;
            }
            let what = format!("{} ×{scale:e} {params:?}", T::NAME);
            let scaled = a.map(|x| x * scale);
            let (error, svd) = checked_rsvd::<T, D>(&what, &scaled, params, place.device());
            let (plain_error, plain) = checked_rsvd::<T, D>(&what, &a, params, place.device());
            assert_eq!(svd.rank(), plain.rank(), "{what}");
            // Other bits are rounded: errors agree as far as they are above rounding.
            let limit = 0.01 * plain_error + 100.0 * T::UNIT_ROUNDOFF;
            assert!((error - plain_error).abs() <= limit, "{what}: {error} {plain_error}");
        }
    }
}

fn layouts_and_kinds_of_operand_agree_within_rounding<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    let device = place.device();
    let sparse = Plain::from_fn(90, 70, |i, j| {
        if noise(3, i, j) < -0.6 { noise(4, i, j) / (1 + j) as f64 } else { 0.0 }
    });
    let params = RsvdParams::rank(8).seed(5);
    let (plain, mat) = prepared::<T, D>(&sparse, device);
    let base = rsvd(&mat, params).unwrap();
    check_svd("dense", &plain, &base);
    fn same<T: Scalar, D: Backend<T>>(
        what: &str,
        plain: &Plain,
        a: &impl LinearOperator<T, D>,
        params: RsvdParams,
        base: &[T],
    ) {
        let svd = rsvd(a, params).unwrap();
        check_svd(what, plain, &svd);
        assert_eq!(svd.s.len(), base.len(), "{what}");
        for (got, expected) in svd.s.iter().zip(base) {
            let gap = (got.to_f64() - expected.to_f64()).abs();
            let limit = 1000.0 * T::UNIT_ROUNDOFF * base[0].to_f64();
            assert!(gap <= limit, "{what}: {got} {expected}");
        }
    }
    for layout in Layout::WRITABLE {
        let stored = Stored::<T>::from_plain(layout, &plain);
        let stored = stored.on(device);
        same(&format!("{layout:?}"), &plain, &stored.view(), params, &base.s);
        let turned = stored.view().transpose();
        let what = format!("{layout:?}, transposed");
        let other = rsvd(&turned, params).unwrap();
        same(&what, &plain.transpose(), &turned, params, &other.s);
    }
    let triplets: Vec<(usize, usize, T)> = (0..90)
        .flat_map(|i| (0..70).map(move |j| (i, j)))
        .filter(|&(i, j)| plain.get(i, j) != 0.0)
        .map(|(i, j)| (i, j, T::from_f64(plain.get(i, j))))
        .collect();
    let csr = Csr::from_triplets(device, (90, 70), &triplets).unwrap();
    same("CSR", &plain, &csr, params, &base.s);
    same("CSR view", &plain, &csr.as_ref(), params, &base.s);
    let turned: Vec<_> = triplets.iter().map(|&(i, j, x)| (j, i, x)).collect();
    let turned = Csr::from_triplets(device, (70, 90), &turned).unwrap();
    same("CSC view", &plain, &turned.as_ref().transpose(), params, &base.s);
    let columns: Vec<usize> = triplets.iter().map(|&(_, j, _)| j).collect();
    let starts: Vec<usize> =
        (0..=70).map(|j| columns.iter().filter(|&&column| column < j).count()).collect();
    let mut by_columns = triplets.clone();
    by_columns.sort_by_key(|&(i, j, _)| (j, i));
    let rows: Vec<u32> = by_columns.iter().map(|&(i, ..)| i as u32).collect();
    let values: Vec<T> = by_columns.iter().map(|&(_, _, x)| x).collect();
    let csc = Csc::new(device, (90, 70), &starts, &rows, &values).unwrap();
    same("CSC", &plain, &csc, params, &base.s);
    same("matrix-free", &plain, &Counting::new(mat.as_ref(), true), params, &base.s);
    same("matrix-free, no norm", &plain, &Counting::new(mat.as_ref(), false), params, &base.s);
    // A row of a broadcast view has rank one.
    let equal = Stored::<T>::new(Layout::EqualRows, 30, 20, |i, j| noise(1, i, j));
    let svd = rsvd(&equal.on(device).view(), RsvdParams::rank(5)).unwrap();
    check_svd("equal rows", &equal.plain(), &svd);
    assert_eq!(svd.rank(), 1);
}

/// Enough work that every kernel goes parallel.
#[test]
fn results_are_the_same_bits_for_any_number_of_threads() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for (m, n) in [(3000, 200), (200, 3000), (700, 600)] {
            let a = Plain::from_fn(m, n, |i, j| noise(1, i, j) / (1.0 + (i + j) as f64));
            for params in requests() {
                let results = cpus().each_ref().map(|cpu| {
                    let mat = a.to_mat::<T, Cpu>(cpu);
                    bits(&rsvd(&mat, params).unwrap())
                });
                let what = format!("{} {m}×{n} {params:?}", T::NAME);
                assert!(results[1] == results[0], "{what}: two threads");
                assert!(results[2] == results[0], "{what}: three threads");
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

/// Every algorithm runs on the oracle's device as it stands and agrees with the others.
fn the_oracle_device_agrees<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    fn run<T: Scalar, D: Backend<T>>(
        a: &Plain,
        params: RsvdParams,
        device: &D,
    ) -> (Vec<f64>, f64, usize) {
        let (plain, mat) = prepared::<T, D>(a, device);
        let svd = rsvd(&mat, params).unwrap();
        let error = check_svd("on a device", &plain, &svd);
        let qb = qb(&mat, QbParams::tolerance(0.05).block_size(5)).unwrap();
        check_qb("on a device", &plain, &qb);
        (svd.s.iter().map(|s| s.to_f64()).collect(), error, svd.passes)
    }
    for a in [with_spectrum(60, 40, &harmonic(40), 8), with_spectrum(30, 50, &harmonic(30), 8)] {
        for params in requests() {
            let (s, error, passes) = run::<T, D>(&a, params, place.device());
            let (s_oracle, error_oracle, passes_oracle) =
                run::<T, Reference>(&a, params, &Reference);
            assert_eq!((s.len(), passes), (s_oracle.len(), passes_oracle), "{params:?}");
            let limit = 1000.0 * T::UNIT_ROUNDOFF;
            for (got, expected) in s.iter().zip(&s_oracle) {
                assert!((got - expected).abs() <= limit * s[0], "{params:?} {got} {expected}");
            }
            assert!((error - error_oracle).abs() <= limit, "{params:?} {error} {error_oracle}");
        }
    }
}

/// 2q + 2 passes over A to a rank, one more for probes; the count is the number of products.
fn passes_are_what_was_promised_and_what_happened<D: Backend<f64>>(place: &Place<D>)
where
    for<'a> Counting<'a, f64, D>: LinearOperator<f64, D>,
{
    let a = with_spectrum(80, 50, &harmonic(50), 8);
    let mat = a.to_mat::<f64, D>(place.device());
    for q in 0..4 {
        for krylov in [false, true] {
            for (knows_norm, extra) in [(true, 0), (false, 1)] {
                let operator = Counting::new(mat.as_ref(), knows_norm);
                let params = RsvdParams::rank(6).oversampling(4).power_passes(q).krylov(krylov);
                let svd = rsvd(&operator, params).unwrap();
                let what = format!("q = {q}, krylov {krylov}, norm known: {knows_norm}");
                assert_eq!(svd.passes, 2 * q + 2 + extra, "{what}");
                assert_eq!(operator.passes(), svd.passes, "{what}");
                assert_eq!(operator.adjoints.load(Relaxed), q + 1, "{what}");
                let probed = matches!(svd.error.kind, ErrorKind::Estimate { .. });
                assert_eq!(probed, !knows_norm, "{what}");
                check_svd(&what, &a, &svd);
            }
        }
        let operator = Counting::new(mat.as_ref(), true);
        let qb = qb(&operator, QbParams::rank(6).power_passes(q)).unwrap();
        assert_eq!((qb.passes, operator.passes()), (2 * q + 2, 2 * q + 2));
        let operator = Counting::new(mat.as_ref(), true);
        let svd = rsvd(&operator, RsvdParams::tolerance(0.1).power_passes(q)).unwrap();
        assert_eq!(operator.passes(), svd.passes);
    }
}

fn batches_give_the_bits_of_single_calls<D: Backend<f64>>(place: &Place<D>) {
    let several = place.handles().last().unwrap();
    let batch: Vec<_> = (0..5)
        .map(|seed| with_spectrum(60, 40, &harmonic(40), seed).to_mat::<f64, D>(several))
        .collect();
    let params = RsvdParams::rank(5).seed(3);
    let together = rsvd_batched(&batch, params).unwrap();
    for (a, svd) in batch.iter().zip(&together) {
        assert!(bits(svd) == bits(&rsvd(a, params).unwrap()));
    }
    assert!(rsvd_batched::<f64, D, randnla::Mat<f64, D>>(&[], params).unwrap().is_empty());
}

/// Seeds decide, and nothing else does.
fn seeds_make_results_repeatable<D: Backend<f64>>(place: &Place<D>) {
    let a = with_spectrum(60, 40, &harmonic(40), 1).to_mat::<f64, D>(place.device());
    let run = |seed| bits(&rsvd(&a, RsvdParams::rank(5).seed(seed)).unwrap());
    assert!(run(1) == run(1) && run(1) != run(2));
    let device: &D = LinearOperator::<f64, D>::device(&a);
    assert!(device.max_abs(a.as_ref()).unwrap() < 1.0);
}

on_every_device! {
    powers_of_two_scale_every_output_exactly: f32 f64,
    extreme_scales_keep_their_accuracy: f32 f64,
    layouts_and_kinds_of_operand_agree_within_rounding: f32 f64,
    the_oracle_device_agrees: f32 f64,
    passes_are_what_was_promised_and_what_happened,
    batches_give_the_bits_of_single_calls,
    seeds_make_results_repeatable,
}
