//! The incremental SVD of column blocks: its error is the true one, singular values are never too large; bounds from the blocks
//! alone; clusters.

use crate::common::spectra::{geometric, harmonic, orthonormal, tail, with_spectrum};
use crate::common::{Place, Plain, cuts, noise, on_every_device};
use crate::decomp_checks::{bits, prepared};
use randnla::decomp::{
    ClusterOrder, ClusterParams, ErrorKind, IncrementalParams, IncrementalSvd, bound_residual,
    bound_weyl, cluster_by_error,
};
use randnla::{Backend, Cpu, Error, Mat, MatRef, Scalar};

/// Pushes columns in blocks of the lengths given, over and over.
fn pushed<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: IncrementalParams,
    lengths: &[usize],
) -> IncrementalSvd<T, D> {
    let mut svd = IncrementalSvd::new(a.device(), a.nrows(), params).unwrap();
    let mut start = 0;
    for length in lengths.iter().cycle() {
        let end = a.ncols().min(start + length);
        svd.push(a.columns(start..end)).unwrap();
        start = end;
        if start == a.ncols() {
            return svd;
        }
    }
    unreachable!("a cycle does not end")
}

/// Orthonormal factors; the error that is told is the true one; values below those of M.
#[track_caller]
fn check<T: Scalar, D: Backend<T>>(what: &str, a: &Plain, svd: &IncrementalSvd<T, D>, rank: usize) {
    let found = svd.svd(rank).unwrap();
    let (u, v) = (Plain::of(found.u.as_ref()), Plain::of(found.vt.transpose()));
    let k = found.rank();
    assert_eq!((u.rows, u.cols, v.rows, v.cols), (a.rows, k, a.cols, k), "{what}");
    let limit = 50.0 * T::UNIT_ROUNDOFF * (k as f64).sqrt();
    for factor in [&u, &v] {
        assert!(factor.orthogonality() <= limit, "{what}: {:e}", factor.orthogonality());
    }
    // Directions below 16u√(w + b) of a column are dropped, and every push rounds.
    let rounding = 200.0 * T::UNIT_ROUNDOFF * a.norm();
    let truth = a.minus(&Plain::of(found.reconstruct().unwrap().as_ref())).norm();
    assert_eq!(found.error.kind, ErrorKind::Identity);
    let gap = (found.error.absolute - truth).abs();
    assert!(gap <= rounding, "{what}: {:e}, true error {truth:e}", found.error.absolute);
    assert!((svd.norm() / a.norm() - 1.0).abs() <= 1e-6 * T::UNIT_ROUNDOFF.sqrt() + 1e-7, "{what}");
    let sigma = a.singular_values();
    let allowed = 50.0 * T::UNIT_ROUNDOFF * sigma[0];
    for (i, (s, sigma)) in svd.singular_values().iter().zip(&sigma).enumerate() {
        assert!(s.to_f64() <= sigma + allowed, "{what}: σ{i} = {s}, of M {sigma:e}");
    }
    let best = tail(&sigma, rank);
    assert!(best <= found.error.absolute + rounding, "{what}: {best:e} {:e}", found.error.absolute);
}

/// Errors and values on decaying spectra, blocks of any width; equal to the SVD when the rank is not cut.
fn errors_are_the_true_ones<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let cases: [(usize, usize, &[f64], &[usize]); 5] = [
        (60, 50, &harmonic(50), &[7, 1, 0, 12]),
        (50, 90, &geometric(0.8, 50), &[25]),
        (40, 80, &geometric(0.5, 9), &[5]),
        (30, 120, &harmonic(30), &[120]),
        (12, 40, &harmonic(12), &[9]),
    ];
    for (turn, (m, n, sigma, lengths)) in cases.into_iter().enumerate() {
        if !place.takes(&cuts::STREAMS, turn) {
            continue;
        }
        let what = format!("{} {m}×{n} by {lengths:?}", T::NAME);
        let (a, mat) = prepared::<T, D>(&with_spectrum(m, n, sigma, 7), device);
        let params = IncrementalParams::rank(6).right_vectors(true);
        let svd = pushed(mat.as_ref(), params, lengths);
        assert_eq!((svd.nrows(), svd.ncols()), (m, n));
        (0..=7).step_by(3).for_each(|rank| check(&what, &a, &svd, rank));
        // Nothing is cut off at the full rank: every value, not only the large ones.
        let svd = pushed(mat.as_ref(), params.oversampling(m), lengths);
        check(&what, &a, &svd, 6);
        let exact = a.singular_values();
        let allowed = 50.0 * T::UNIT_ROUNDOFF * exact[0];
        for (s, exact) in svd.singular_values().iter().zip(&exact) {
            assert!((s.to_f64() - exact).abs() <= allowed, "{what}: {s} {exact:e}");
        }
        place.result(&what, |device| {
            bits(&pushed(a.to_mat::<T, D>(device).as_ref(), params, lengths).svd(6).unwrap())
        });
    }
}

/// What a Gram matrix would lose, 3·10⁻¹⁰ of the largest value, has its digits.
fn small_values_keep_their_digits<D: Backend<f64>>(place: &Place<D>) {
    let sigma = [1.0, 1e-4, 3e-10, 2e-12];
    let a = with_spectrum(60, 48, &sigma, 3);
    let mat = a.to_mat::<f64, D>(place.device());
    let svd = pushed(mat.as_ref(), IncrementalParams::rank(4), &[8]);
    let values = svd.singular_values();
    for (s, exact) in values.iter().zip(sigma) {
        assert!((s - exact).abs() <= 2e-14, "{values:?}");
    }
    // The error is right where ‖M‖² − Σσ² has no digits: 3·10⁻¹⁰ and 2·10⁻¹² are left.
    let error = svd.error(2).relative;
    assert!((error / 3e-10 - 1.0).abs() < 1e-3, "{error:e}");
}

/// Hundreds of small blocks: factors stay orthonormal, and the order of blocks matters little where their spectra decay.
fn many_blocks_in_any_order<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let blocks = if place.takes(&cuts::STREAMS, 1) { 200 } else { 24 };
    let (m, b) = (30, 3);
    let sigma = geometric(0.75, 30);
    let a = with_spectrum(m, blocks * b, &sigma, 5);
    let order = |turn: usize| -> Plain {
        // A permutation of the blocks: a step without a common factor.
        let step = [1, 7, 11][turn];
        Plain::from_fn(m, blocks * b, |i, j| a.get(i, (j / b * step + turn) % blocks * b + j % b))
    };
    let mut errors = Vec::new();
    for turn in 0..3 {
        let (a, mat) = prepared::<T, D>(&order(turn), place.device());
        let svd = pushed(mat.as_ref(), IncrementalParams::rank(5).right_vectors(true), &[b]);
        check(&format!("{} order {turn}", T::NAME), &a, &svd, 5);
        errors.push(svd.error(5).relative);
    }
    let best = tail(&sigma, 5) / a.norm();
    assert!(errors.iter().all(|error| (error / errors[0] - 1.0).abs() < 0.05), "{errors:?}");
    assert!(errors[0] < 1.1 * best, "{errors:?} {best:e}");
}

/// Blocks around a common subspace with noise of their own.
fn noisy_blocks(m: usize, count: usize, common: usize, level: f64, seed: u64) -> Vec<Plain> {
    let basis = orthonormal(m, common, seed);
    (0..count as u64)
        .map(|b| {
            let weights =
                Plain::from_fn(common, 8, |i, j| noise(seed + 10 * b + 1, i, j) / (1.0 + i as f64));
            let noisy = Plain::from_fn(m, 8, |i, j| level * noise(seed + 10 * b + 2, i, j));
            let block = basis.times(&weights);
            Plain::from_fn(m, 8, |i, j| block.get(i, j) + noisy.get(i, j))
        })
        .collect()
}

fn side_by_side(blocks: &[&Plain]) -> Plain {
    let data: Vec<f64> = blocks.iter().flat_map(|block| block.data.clone()).collect();
    Plain { rows: blocks[0].rows, cols: data.len() / blocks[0].rows, data }
}

/// Best error ≤ incremental ≤ residual ≤ Weyl: each holds, and they come in this order on average.
fn bounds_hold_and_come_in_order<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let (mut means, seeds) = ([0.0; 4], if place.takes(&cuts::STREAMS, 1) { 8 } else { 1 });
    for seed in 0..seeds {
        let blocks = noisy_blocks(40, 6, 4, 0.05, 100 * seed);
        let whole = side_by_side(&blocks.iter().collect::<Vec<_>>());
        let sigma = whole.singular_values();
        let mats: Vec<Mat<f64, D>> = blocks.iter().map(|block| block.to_mat(device)).collect();
        let views: Vec<_> = mats.iter().map(Mat::as_ref).collect();
        for rank in [0, 1, 3, 5, 12] {
            let truth = tail(&sigma, rank) / whole.norm();
            let mut svd = IncrementalSvd::new(device, 40, IncrementalParams::rank(rank)).unwrap();
            views.iter().for_each(|block| svd.push(*block).unwrap());
            let told = [
                svd.error(rank),
                bound_residual(&views, rank).unwrap(),
                bound_weyl(&views, rank).unwrap(),
            ];
            for (at, told) in told.iter().enumerate() {
                assert!(truth <= told.relative + 1e-13, "rank {rank}, {at}: {truth:e} {told:?}");
                assert!((told.absolute - told.relative * whole.norm()).abs() <= 1e-12);
            }
            assert_eq!(told[2].kind, ErrorKind::Bound { failure_probability: 0.0 });
            means[0] += truth;
            (0..3).for_each(|at| means[at + 1] += told[at].relative);
        }
    }
    println!("{means:?}");
    assert!(means.windows(2).all(|pair| pair[0] <= pair[1]), "{means:?}");
    // A block twice over brings nothing new; zero blocks and no blocks neither.
    let block = noisy_blocks(20, 1, 3, 0.0, 5).remove(0);
    let (mat, zero) =
        (block.to_mat::<f64, D>(device), Mat::<f64, D>::zeros(device, 20, 3).unwrap());
    let twice = [mat.as_ref(), mat.as_ref(), zero.as_ref()];
    assert!(bound_residual(&twice, 3).unwrap().relative >= 0.5f64.sqrt());
    assert_eq!(bound_weyl(&[zero.as_ref()], 2).unwrap().relative, 0.0);
    assert_eq!(bound_residual(&[] as &[MatRef<'_, f64, D>], 2).unwrap().relative, 0.0);
    let wrong = [mat.as_ref(), mat.transpose()];
    assert!(matches!(bound_weyl(&wrong, 2), Err(Error::ShapeMismatch { .. })));
}

/// Every cluster is within the tolerance in truth; blocks of one subspace are found together.
fn clusters_are_within_the_tolerance<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    // Blocks 0, 3, 6 … share a subspace, and so on; the last is noise.
    let kinds: Vec<Vec<Plain>> =
        (0..3).map(|kind| noisy_blocks(30, 3, 3, 0.01, 1000 + 31 * kind)).collect();
    let mut blocks: Vec<Plain> = (0..9).map(|b| kinds[b % 3][b / 3].clone()).collect();
    blocks.push(Plain::from_fn(30, 8, |i, j| noise(77, i, j)));
    let mats: Vec<Mat<f64, D>> = blocks.iter().map(|block| block.to_mat(device)).collect();
    let views: Vec<_> = mats.iter().map(Mat::as_ref).collect();
    for params in [
        ClusterParams::new(3, 0.1),
        ClusterParams::new(3, 0.1).order(ClusterOrder::Norm),
        ClusterParams::new(3, 0.1).patience(2),
    ] {
        let found = cluster_by_error(&views, params).unwrap();
        let mut seen = found.left.clone();
        for cluster in &found.clusters {
            seen.extend(&cluster.members);
            let members: Vec<&Plain> = cluster.members.iter().map(|&b| &blocks[b]).collect();
            let whole = side_by_side(&members);
            let truth = tail(&whole.singular_values(), 3) / whole.norm();
            assert!(
                truth <= cluster.error.relative + 1e-13 && cluster.error.relative <= 0.1,
                "{cluster:?}"
            );
            assert!(cluster.members.iter().all(|b| b % 3 == cluster.members[0] % 3), "{found:?}");
        }
        seen.sort_unstable();
        assert_eq!((seen, &found.left[..]), ((0..10).collect(), &[9][..]));
        if params == ClusterParams::new(3, 0.1) {
            assert_eq!(found.clusters.len(), 3, "{found:?}");
        }
    }
    let none: &[MatRef<'_, f64, D>] = &[];
    assert!(cluster_by_error(none, ClusterParams::new(3, 0.1)).unwrap().clusters.is_empty());
    for params in [ClusterParams::new(3, 0.0), ClusterParams::new(3, 0.1).patience(0)] {
        assert!(matches!(cluster_by_error(&views, params), Err(Error::InvalidArgument { .. })));
    }
}

/// Scales beyond the range of squares, exactly; zeros; what is refused leaves the state as it was.
fn scales_zeros_and_bad_input<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let params = IncrementalParams::rank(4).right_vectors(true);
    let a = with_spectrum(30, 24, &harmonic(24), 6).rounded::<T>();
    let one = pushed(a.to_mat::<T, D>(device).as_ref(), params, &[7]).svd(4).unwrap();
    let exponents: &[i32] = if size_of::<T>() == 4 { &[1, 60, -60] } else { &[-1, 500, -500] };
    for &e in exponents {
        let factor = 2f64.powi(e);
        let other = pushed(a.map(|x| x * factor).to_mat::<T, D>(device).as_ref(), params, &[7]);
        let other = other.svd(4).unwrap();
        let expected: Vec<T> = one.s.iter().map(|s| T::from_f64(s.to_f64() * factor)).collect();
        assert_eq!(
            (bits(&other).0, other.s.clone(), bits(&other).2),
            (bits(&one).0, expected, bits(&one).2),
            "2^{e}"
        );
        assert_eq!(
            (other.error.relative, other.error.absolute),
            (one.error.relative, one.error.absolute * factor)
        );
    }
    // Zeros before, between and after; a block far smaller than the one before, and far larger.
    let far = if size_of::<T>() == 4 { 1e-18 } else { 1e-150 };
    let mixed = Plain::from_fn(30, 24, |i, j| match j {
        0..4 | 9..12 => 0.0,
        4..9 => far * a.get(i, j),
        _ => a.get(i, j) / far,
    });
    let (mixed, mat) = prepared::<T, D>(&mixed, device);
    let svd = pushed(mat.as_ref(), params, &[4, 5, 3, 12]);
    check("far apart", &mixed, &svd, 4);
    let zeros = Mat::<T, D>::zeros(device, 30, 5).unwrap();
    let svd = pushed(zeros.as_ref(), params, &[2]);
    assert_eq!((svd.svd(4).unwrap().rank(), svd.error(4).relative, svd.ncols()), (0, 0.0, 5));
    for m in [0, 1] {
        let mut svd = IncrementalSvd::<T, D>::new(device, m, params).unwrap();
        svd.push(Mat::zeros(device, m, 3).unwrap().as_ref()).unwrap();
        svd.push(Mat::zeros(device, m, 0).unwrap().as_ref()).unwrap();
        assert_eq!((svd.svd(0).unwrap().vt.shape(), svd.ncols()), ((0, 3), 3));
    }
    let mut svd = pushed(a.to_mat::<T, D>(device).as_ref(), params, &[7]);
    let mut bad = a.clone();
    bad.set(3, 5, f64::NAN);
    let error = svd.push(bad.to_mat::<T, D>(device).as_ref()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 3, col: 29, .. }), "{error}");
    assert!(matches!(svd.push(zeros.transpose()), Err(Error::ShapeMismatch { .. })));
    assert_eq!(bits(&svd.svd(4).unwrap()), bits(&one));
    assert!(matches!(svd.svd(10), Err(Error::InvalidArgument { .. })));
    let without = IncrementalSvd::<T, D>::new(device, 3, IncrementalParams::rank(1)).unwrap();
    assert!(matches!(without.svd(1), Err(Error::InvalidArgument { .. })));
}

/// Rank 300 and blocks as wide: the core is decomposed in parts.
#[test]
fn wide_blocks_and_large_ranks() {
    let cpu = Cpu::with_threads(1).unwrap();
    let (a, mat) = prepared::<f64, Cpu>(&with_spectrum(330, 300, &geometric(0.97, 300), 5), &cpu);
    let svd = pushed(mat.as_ref(), IncrementalParams::rank(250).right_vectors(true), &[300]);
    check("large rank", &a, &svd, 250);
}

on_every_device! {
    errors_are_the_true_ones: f32 f64,
    small_values_keep_their_digits,
    many_blocks_in_any_order: f32 f64,
    bounds_hold_and_come_in_order,
    clusters_are_within_the_tolerance,
    scales_zeros_and_bad_input: f32 f64,
}
