//! QB and SVD against the best possible: prescribed spectra, faer's SVD, tolerances, exact ranks.

use crate::common::spectra::{
    geometric, harmonic, kahan, orthonormal, spiked, steps, tail, with_spectrum,
};
use crate::common::{Backends, Place, Plain, cuts, noise, on_every_device};
use crate::decomp_checks::{check_qb, checked_rsvd, prepared, relative_error};
use randnla::decomp::{ErrorKind, QbParams, RsvdParams, qb, rsvd};
use randnla::{Backend, Scalar};

/// ‖A − UΣVᵀ‖ over the best of the same rank.
#[track_caller]
fn ratio<T: Scalar, D: Backend<T>>(
    what: &str,
    (a, sigma): (&Plain, &[f64]),
    (params, rank): (RsvdParams, usize),
    device: &D,
) -> f64 {
    let (error, svd) = checked_rsvd::<T, D>(what, a, params, device);
    assert_eq!(svd.rank(), rank, "{what}");
    error / (tail(sigma, rank) / tail(sigma, 0))
}

fn rank_20_errors_are_nearly_optimal_on_decaying_spectra<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
) {
    let mut case = 0;
    for (name, sigma) in [("1/i", harmonic(150)), ("0.9^i", geometric(0.9, 150))] {
        for (m, n) in [(400, 150), (150, 400), (200, 200)] {
            let a = with_spectrum(m, n, &sigma, 3);
            for seed in 0..3 {
                for (passes, limit) in [(1, 1.02), (2, 1.005)] {
                    case += 1;
                    if !place.takes(&cuts::RANKS, case) {
                        continue;
                    }
                    let params =
                        RsvdParams::rank(20).oversampling(10).power_passes(passes).seed(seed);
                    let what = format!("{} {name} {m}×{n} q={passes} seed {seed}", T::NAME);
                    let ratio = ratio::<T, D>(&what, (&a, &sigma), (params, 20), place.device());
                    assert!(ratio <= limit, "{what}: {ratio} times the optimum");
                    // No factorization of this rank beats the optimum but for rounding.
                    assert!(ratio >= 1.0 - 1e-4, "{what}: {ratio} times the optimum");
                }
            }
        }
    }
}

/// Krylov passes see the same products and keep more of them: at least as good as the limits above.
fn krylov_bases_are_at_least_as_accurate<D: Backend<f64>>(place: &Place<D>) {
    for (name, sigma) in [("1/i", harmonic(150)), ("0.9^i", geometric(0.9, 150))] {
        let a = with_spectrum(300, 150, &sigma, 3);
        for (passes, limit) in [(1, 1.02), (2, 1.005)] {
            let params = RsvdParams::rank(20).power_passes(passes).krylov(true);
            let what = format!("Krylov {name} q={passes}");
            let ratio = ratio::<f64, D>(&what, (&a, &sigma), (params, 20), place.device());
            assert!(ratio <= limit, "{what}: {ratio} times the optimum");
        }
    }
}

/// Structures that defeat other samplers; the optimum comes from faer's SVD of what T stores.
fn adversarial_matrices_come_within_five_per_cent_of_the_optimum<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
) {
    let duplicated = {
        let half = with_spectrum(120, 40, &harmonic(40), 9);
        Plain::from_fn(120, 90, |i, j| match j {
            0..40 => half.get(i, j),
            40..80 => half.get(i, j - 40),
            _ => 0.0,
        })
    };
    let step = steps(100, 15, 0.1);
    for (name, a, rank) in [
        ("Kahan", kahan(100, 1.2), 20),
        ("Kahan, steep", kahan(60, 0.9), 30),
        ("spiked rows", spiked(200, 80, 10), 10),
        ("spiked columns", spiked(200, 80, 10).transpose(), 20),
        ("steps, at an edge", with_spectrum(130, 100, &step, 5), 30),
        ("steps, inside of one", with_spectrum(130, 100, &step, 5), 20),
        ("condition 1e15", with_spectrum(120, 100, &geometric(0.7, 100), 7), 12),
        ("duplicate and zero columns", duplicated.clone(), 10),
        ("duplicate and zero rows", duplicated.transpose(), 10),
        ("one row", Plain::from_fn(1, 50, |i, j| noise(1, i, j)), 1),
        ("one column", Plain::from_fn(50, 1, |i, j| noise(1, i, j)), 1),
        ("full rank", with_spectrum(40, 30, &harmonic(30), 2), 30),
    ] {
        let what = format!("{} {name}", T::NAME);
        let sigma = a.rounded::<T>().singular_values();
        let (error, svd) = checked_rsvd::<T, D>(&what, &a, RsvdParams::rank(rank), place.device());
        let best = tail(&sigma, rank) / tail(&sigma, 0);
        let rounding = 50.0 * T::UNIT_ROUNDOFF;
        assert!(error <= 1.05 * best + rounding, "{what}: {error:e}, best {best:e}");
        assert!(svd.rank() <= rank, "{what}");
        // Values never exceed those of A but for rounding (B = QᵀA is a projection).
        for (got, exact) in svd.s.iter().zip(&sigma) {
            let limit = exact + 100.0 * T::UNIT_ROUNDOFF * sigma[0];
            assert!(got.to_f64() <= limit, "{what}: σ = {got}, exact {exact:e}");
        }
    }
}

fn leading_singular_values_agree_with_faer<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    // σ²ᵏ⁺¹ ratios of (0.5)^(5·10) make the leading values exact to rounding.
    let a = with_spectrum(150, 100, &geometric(0.5, 60), 4);
    let sigma = a.rounded::<T>().singular_values();
    let params = RsvdParams::rank(10).power_passes(3);
    let (_, svd) = checked_rsvd::<T, D>("0.5^i", &a, params, place.device());
    for (i, (got, exact)) in svd.s.iter().zip(&sigma).enumerate() {
        let error = (got.to_f64() - exact).abs();
        assert!(error <= 50.0 * T::UNIT_ROUNDOFF * sigma[0], "{} σ{i}: {error:e}", T::NAME);
    }
}

/// Small integers: the product of the factors is exact, and so is its rank.
fn integers_of_rank(m: usize, n: usize, rank: usize) -> Plain {
    let left = Plain::from_fn(m, rank, |i, j| (8.0 * noise(1, i, j)).round());
    let right = Plain::from_fn(rank, n, |i, j| (8.0 * noise(2, i, j)).round());
    left.times(&right)
}

fn exact_ranks_are_found_and_reproduced<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n, rank) in
        [(80, 60, 5), (60, 80, 5), (300, 40, 12), (50, 50, 1), (30, 20, 20), (2000, 70, 8)]
    {
        let a = integers_of_rank(m, n, rank);
        for asked in [rank, (rank + 7).min(m.min(n))] {
            for passes in [0, 2] {
                let what = format!("{} {m}×{n} of rank {rank}, {asked} asked", T::NAME);
                let params = RsvdParams::rank(asked).power_passes(passes);
                let (error, svd) = checked_rsvd::<T, D>(&what, &a, params, place.device());
                assert_eq!(svd.rank(), rank, "{what}");
                assert!(error <= 50.0 * T::UNIT_ROUNDOFF, "{what}: {error:e}");
                // Without oversampling and power passes the block inherits the condition of a
                // square Gaussian matrix: no bound in u alone holds.
                if passes == 0 && asked == rank {
                    continue;
                }
                let (plain, mat) = prepared::<T, D>(&a, place.device());
                let qb = qb(&mat, QbParams::rank(asked).power_passes(passes)).unwrap();
                let error = check_qb(&what, &plain, &qb);
                assert!(error <= 50.0 * T::UNIT_ROUNDOFF, "{what}: QB {error:e}");
            }
        }
        for tolerance in [0.3, 1e-2, 1e-5] {
            let what = format!("{} {m}×{n} of rank {rank} to {tolerance}", T::NAME);
            let (_, svd) =
                checked_rsvd::<T, D>(&what, &a, RsvdParams::tolerance(tolerance), place.device());
            assert!(svd.rank() <= rank && svd.error.relative <= tolerance, "{what}");
        }
    }
}

fn tolerances_are_honoured_by_the_true_error_and_ranks_stay_near_the_least<
    T: Scalar,
    D: Backend<T>,
>(
    place: &Place<D>,
) {
    let tolerances = match size_of::<T>() {
        4 => [0.5, 0.1, 1e-2, 3e-3, 1e-3, 1e-4],
        _ => [0.5, 0.1, 1e-2, 1e-3, 1e-6, 1e-9],
    };
    let mut case = 0;
    for (name, sigma) in
        [("1/i", harmonic(120)), ("0.8^i", geometric(0.8, 120)), ("steps", steps(120, 12, 0.05))]
    {
        for (m, n) in [(250, 120), (120, 250)] {
            let a = with_spectrum(m, n, &sigma, 6);
            for tolerance in tolerances {
                case += 1;
                if !place.takes(&cuts::TOLERANCES, case) {
                    continue;
                }
                let what = format!("{} {name} {m}×{n} to {tolerance:e}", T::NAME);
                let params = RsvdParams::tolerance(tolerance).seed(2);
                let (error, svd) = checked_rsvd::<T, D>(&what, &a, params, place.device());
                assert!(svd.error.relative <= tolerance, "{what}: {:?}", svd.error);
                assert!(error <= 1.05 * tolerance, "{what}: true error {error:e}");
                // The identity wastes little rank; a bound from 20 probes is up to 3.2 too high.
                let slack = if svd.error.kind == ErrorKind::Identity { 1.02 } else { 3.3 };
                let needed = |k: &usize| tail(&sigma, *k) <= tolerance / slack * tail(&sigma, 0);
                let least = (0..=120).find(needed).unwrap();
                assert!(svd.rank() <= least + 2, "{what}: rank {} for {least}", svd.rank());

                let (plain, mat) = prepared::<T, D>(&a, place.device());
                let qb = qb(&mat, QbParams::tolerance(tolerance).seed(2)).unwrap();
                let error = check_qb(&what, &plain, &qb);
                assert!(error <= 1.05 * tolerance, "{what}: QB, true error {error:e}");
            }
        }
    }
}

/// What cannot be reached is not an error, but it shows.
fn tolerances_out_of_reach_are_visible<D: Backends>(place: &Place<D>) {
    let a = with_spectrum(100, 80, &harmonic(80), 6);
    let params = RsvdParams::tolerance(1e-3).max_rank(10);
    let (error, svd) = checked_rsvd::<f64, D>("10 columns at most", &a, params, place.device());
    assert!(svd.rank() == 10 && svd.error.relative > 1e-3 && error > 1e-3);
    // Below the rounding errors of f32.
    let (error, svd) =
        checked_rsvd::<f32, D>("1e-12", &a, RsvdParams::tolerance(1e-12), place.device());
    assert!(error < 1e-5 && svd.error.relative > 1e-12, "{:?}", svd.error);
}

fn bounds_hold_and_are_not_vacuous<D: Backend<f64>>(place: &Place<D>) {
    let sigma = harmonic(100);
    let a = with_spectrum(150, 100, &sigma, 6);
    for probability in [1e-3, 1e-6, 1e-9] {
        let params = RsvdParams::rank(15).failure_probability(probability);
        let (error, svd) = checked_rsvd::<f64, D>("a bound", &a, params, place.device());
        assert_eq!(svd.error.kind, ErrorKind::Bound { failure_probability: probability });
        assert!(svd.error.relative <= 10.0 * error, "{:?}, true {error}", svd.error);
        assert_eq!(svd.passes, 7);
    }
    // Over many seeds a bound that fails with probability 1e-3 holds every time but for a
    // probability of 1e-6 · (100 seeds, at worst two failures: 5·10⁻³; three: 1.6·10⁻⁴; four: 4·10⁻⁶;
    // five: 8·10⁻⁸). The Chernoff bound behind it is far from tight: none is seen.
    let mat = a.to_mat::<f64, D>(place.device());
    let seeds = (0..100).filter(|&seed| place.takes(&cuts::BOUNDS, seed as usize));
    let failures = seeds.filter(|&seed| {
        let params = RsvdParams::rank(5).power_passes(0).failure_probability(1e-3).seed(seed);
        let svd = rsvd(&mat, params).unwrap();
        let u = Plain::of(svd.u.as_ref());
        let scaled = Plain::from_fn(150, 5, |i, j| u.get(i, j) * svd.s[j]);
        relative_error(&a, &scaled.times(&Plain::of(svd.vt.as_ref()))) > svd.error.relative
    });
    assert!(failures.count() < 5);
}

fn orthonormality_survives_the_worst_condition<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    // Every column of Q is a stage of its own: values fall by 10⁻³ each.
    let u = orthonormal(200, 10, 1);
    let v = orthonormal(90, 10, 2);
    let sigma: Vec<f64> = (0..10).map(|i| 10f64.powi(-3 * i)).collect();
    let a = Plain::from_fn(200, 10, |i, j| u.get(i, j) * sigma[j]).times(&v.transpose());
    for passes in [0, 1, 2] {
        for rank in [5, 10, 40] {
            let params = RsvdParams::rank(rank).power_passes(passes);
            let what = format!("{} graded, rank {rank}, q={passes}", T::NAME);
            checked_rsvd::<T, D>(&what, &a, params, place.device());
            let (plain, mat) = prepared::<T, D>(&a, place.device());
            check_qb(&what, &plain, &qb(&mat, QbParams::rank(rank).block_size(7)).unwrap());
        }
    }
}

/// Directions that fade by many orders inside of one block, without a power pass to smooth them: the
/// Gram matrix of such a block holds columns of very different norms, and its last pivots are noise.
fn graded_blocks_give_orthonormal_bases_for_every_seed<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for drop in [2, 3, 4, 7] {
        let sigma: Vec<f64> = (0..8).map(|i| 10f64.powi(-drop * i)).collect();
        let a = with_spectrum(200, 90, &sigma, 1);
        let (_, mat) = prepared::<T, D>(&a, device);
        for rank in [8, 20, 60] {
            for seed in 0..50 {
                if !place.takes(&cuts::GRADED, seed as usize) {
                    continue;
                }
                let params = QbParams::rank(rank).power_passes(0).seed(seed);
                let q = Plain::of(qb(&mat, params).unwrap().q.as_ref());
                let error = q.orthogonality();
                let limit = 50.0 * T::UNIT_ROUNDOFF * (q.cols as f64).sqrt();
                let what = format!("{} σ = 10^-{drop}i, rank {rank}, seed {seed}", T::NAME);
                assert!(error <= limit, "{what}: ‖QᵀQ − I‖ = {error:e}");
            }
        }
    }
}

on_every_device! {
    rank_20_errors_are_nearly_optimal_on_decaying_spectra: f32 f64,
    krylov_bases_are_at_least_as_accurate,
    adversarial_matrices_come_within_five_per_cent_of_the_optimum: f32 f64,
    leading_singular_values_agree_with_faer: f32 f64,
    exact_ranks_are_found_and_reproduced: f32 f64,
    tolerances_are_honoured_by_the_true_error_and_ranks_stay_near_the_least: f32 f64,
    tolerances_out_of_reach_are_visible,
    bounds_hold_and_are_not_vacuous,
    orthonormality_survives_the_worst_condition: f32 f64,
    graded_blocks_give_orthonormal_bases_for_every_seed: f32 f64,
}
