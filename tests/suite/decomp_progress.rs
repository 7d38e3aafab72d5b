//! Long work tells how far it has come, can be stopped, and can keep its memory.

use crate::common::spectra::{geometric, harmonic, with_spectrum};
use crate::common::{Place, Plain, Reference, on_every_device};
use crate::decomp_checks::{bits, check_qb, check_svd};
use core::ops::ControlFlow;
use randnla::decomp::{
    ErrorKind, Progress, QbParams, RsvdParams, Svd, qb, qb_with_progress, rsvd, rsvd_with_progress,
};
use randnla::{Backend, Cpu, Scalar, Sketch};

fn watched<T: Scalar, D: Backend<T>>(
    a: &Plain,
    device: &D,
    params: RsvdParams,
    stop_after: usize,
) -> (Vec<Progress>, Svd<T, D>) {
    let mut seen = Vec::new();
    let svd = rsvd_with_progress(&a.to_mat::<T, D>(device), params, |progress| {
        seen.push(*progress);
        if seen.len() < stop_after { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    (seen, svd.unwrap())
}

fn every_pair_of_passes_is_told_on<T: Scalar, D: Backend<T>>(device: &D) {
    let a = with_spectrum(80, 60, &geometric(0.7, 60), 3).rounded::<T>();
    let params = RsvdParams::tolerance(0.01).block_size(4).power_passes(1);
    let (seen, svd) = watched::<T, D>(&a, device, params, usize::MAX);
    assert!(seen.windows(2).all(|p| p[1].passes == p[0].passes + 2 && p[1].rank >= p[0].rank));
    assert!(seen[..2].iter().all(|p| p.error.is_none()));
    let errors: Vec<f64> = seen.iter().filter_map(|p| p.error).collect();
    assert!(errors.len() >= 4 && errors.windows(2).all(|e| e[1] <= e[0]), "{errors:?}");
    assert_eq!(seen.last().unwrap().passes, svd.passes);
    // Nobody looks: the same bits.
    let quiet = rsvd(&a.to_mat::<T, D>(device), params).unwrap();
    assert_eq!(bits(&svd), bits(&quiet));
}

fn progress_is_told_after_every_pair_of_passes<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    every_pair_of_passes_is_told_on::<T, D>(place.device());
}

#[test]
fn progress_is_told_on_the_oracle() {
    every_pair_of_passes_is_told_on::<f64, _>(&Reference);
}

fn a_stopped_search_returns_what_it_has_and_says_how_good_it_is<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(80, 60, &harmonic(60), 3);
    let mat = a.to_mat::<f64, D>(device);
    // To a rank: the power passes that are left are saved.
    for q in 0..3 {
        let (seen, svd) = watched::<f64, D>(&a, device, RsvdParams::rank(7).power_passes(5), q + 1);
        assert_eq!(seen.len(), q + 1);
        let fewer = rsvd(&mat, RsvdParams::rank(7).power_passes(q)).unwrap();
        assert_eq!(bits(&svd), bits(&fewer));
    }
    // To a tolerance: the blocks that are left are saved.
    let params = RsvdParams::tolerance(1e-6).block_size(5).power_passes(1);
    let (_, svd) = watched::<f64, D>(&a, device, params, 4);
    let error = check_svd("stopped", &a, &svd);
    assert_eq!(svd.rank(), 10);
    assert!(error > 1e-6 && svd.error.relative > 1e-6, "{:?} {error}", svd.error);
    // A Krylov search to a rank has its first block by then.
    let params = RsvdParams::rank(7).krylov(true);
    let (_, svd) = watched::<f64, D>(&a, device, params, 1);
    check_svd("stopped Krylov", &a, &svd);
    assert_eq!((svd.rank(), svd.passes), (7, 2));
    // The error of a search on probes is a bound from the first block on.
    let mut seen = Vec::new();
    let params = QbParams::tolerance(1e-9).block_size(5);
    let stopped = qb_with_progress(&mat, params, |progress| {
        seen.push(*progress);
        if progress.rank < 20 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let stopped = stopped.unwrap();
    check_qb("stopped QB", &a, &stopped);
    assert!(matches!(stopped.error.kind, ErrorKind::Bound { .. }) && stopped.q.ncols() == 20);
    assert!(seen.iter().filter_map(|p| p.error).all(|error| error > stopped.error.relative));
}

/// What is reported is what the search stopped by: with a bound asked for, the bound meets the
/// tolerance.
fn a_bound_that_is_asked_for_meets_the_tolerance<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(80, 60, &geometric(0.8, 60), 3);
    let mat = a.to_mat::<f64, D>(device);
    let params = RsvdParams::tolerance(0.05).failure_probability(1e-3).block_size(4);
    let svd = rsvd(&mat, params).unwrap();
    let error = check_svd("bound", &a, &svd);
    assert!(matches!(svd.error.kind, ErrorKind::Bound { .. }));
    assert!(error <= svd.error.relative && svd.error.relative <= 0.05, "{:?}", svd.error);
    // Absurd parameters are capped, not wrapped around.
    let params = RsvdParams::rank(5).krylov(true).power_passes(usize::MAX);
    let svd = rsvd(&mat, params).unwrap();
    assert_eq!(svd.rank(), 5);
}

/// Blocks of the factorization on the host end at 64 columns: a basis of several such blocks.
fn large_ranks_are_as_orthonormal_as_small_ones<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(330, 300, &geometric(0.97, 300), 5);
    let mat = a.to_mat::<f64, D>(device);
    for params in [RsvdParams::rank(200), RsvdParams::rank(150).krylov(true)] {
        let svd = rsvd(&mat, params).unwrap();
        let error = check_svd("large rank", &a, &svd);
        let tail: f64 = (svd.rank()..300).map(|k| 0.97f64.powi(2 * k as i32)).sum();
        let all: f64 = (0..300).map(|k| 0.97f64.powi(2 * k)).sum();
        assert!(error < 1.01 * (tail / all).sqrt(), "{error}");
    }
}

#[test]
fn a_workspace_changes_no_bit() {
    let (plain, kept) = (Cpu::new(), Cpu::new().with_workspace(1 << 24));
    let a = with_spectrum(90, 70, &harmonic(70), 4);
    for round in 0..3 {
        let (x, y) = (a.to_mat::<f32, _>(&plain), a.to_mat::<f32, _>(&kept));
        for params in [RsvdParams::rank(9), RsvdParams::tolerance(0.1).block_size(3)] {
            assert_eq!(bits(&rsvd(&x, params).unwrap()), bits(&rsvd(&y, params).unwrap()));
        }
        let (q, r) = (qb(&x, QbParams::rank(5)).unwrap(), qb(&y, QbParams::rank(5)).unwrap());
        assert_eq!(Plain::of(q.b.as_ref()), Plain::of(r.b.as_ref()), "{round}");
        for s in [
            Sketch::gaussian(20, 90, 1).unwrap(),
            Sketch::sparse_stack(20, 90, 8, 1).unwrap(),
            Sketch::srht(20, 90, 1).unwrap(),
            Sketch::srct(20, 90, 1).unwrap(),
            Sketch::row_sampling(20, 90, 1).unwrap(),
            Sketch::laso(20, 90, 3, 1).unwrap(),
            Sketch::haar(20, 90, 1).unwrap(),
        ] {
            let (sx, sy) = (s.apply(&x).unwrap(), s.apply(&y).unwrap());
            assert_eq!(sx.to_vec().unwrap(), sy.to_vec().unwrap(), "{round} {s:?}");
        }
    }
    assert!(kept.workspace_peak() > 0);
}

on_every_device! {
    progress_is_told_after_every_pair_of_passes: f32 f64,
    a_stopped_search_returns_what_it_has_and_says_how_good_it_is,
    a_bound_that_is_asked_for_meets_the_tolerance,
    large_ranks_are_as_orthonormal_as_small_ones,
}
