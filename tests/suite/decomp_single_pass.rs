//! The single-pass SVD: its bound, blocks in any order, states that add up and travel, what is refused.

use crate::common::spectra::{geometric, harmonic, tail, with_spectrum};
use crate::common::{FAMILIES, Place, Plain, cuts, noise, on_every_device};
use crate::decomp_checks::{Counting, bits, check_svd, prepared};
use randnla::decomp::{
    ErrorKind, RsvdParams, SinglePassParams, StreamingSvd, Svd, rsvd, svd_single_pass,
};
use randnla::{Backend, Cpu, Csr, Error, Family, LinearOperator, Mat, Scalar};

/// The bytes before the sketches: mark, versions, five operators.
const HEADER: usize = 16 + 5 * 80;

/// A state of A as it is, in one block.
fn state_of<T: Scalar, D: Backend<T>>(
    a: &Plain,
    params: SinglePassParams,
    device: &D,
) -> StreamingSvd<T, D> {
    let mut state = StreamingSvd::new(device, (a.rows, a.cols), params).unwrap();
    state.update(T::one(), (0, 0), a.to_mat::<T, D>(device)).unwrap();
    state
}

/// The numbers of a state.
fn sketches<T: Scalar, D: Backend<T>>(state: &StreamingSvd<T, D>) -> Plain {
    let bytes = state.to_bytes().unwrap();
    let value = |x: &[u8]| match x.len() {
        4 => f64::from(f32::from_le_bytes(x.try_into().unwrap())),
        _ => f64::from_le_bytes(x.try_into().unwrap()),
    };
    let data: Vec<f64> = bytes[HEADER..].chunks_exact(size_of::<T>()).map(value).collect();
    assert_eq!(data.len(), state.numbers());
    Plain { rows: data.len(), cols: 1, data }
}

/// Two states of one A agree to rounding. An entry is a sum of at most m + n terms, twice for the core, of sizes |S||A| with
/// ‖|S||A|‖_F ≤ ‖S‖_F‖A‖_F, and ‖S‖_F² is about m or n.
#[track_caller]
fn assert_same_state<T: Scalar, D: Backend<T>>(
    what: &str,
    a: &Plain,
    one: &StreamingSvd<T, D>,
    other: &StreamingSvd<T, D>,
) {
    let (m, n) = (a.rows as f64, a.cols as f64);
    let limit = 4.0 * (m + n + 16.0) * T::UNIT_ROUNDOFF * (m * n).sqrt() * a.norm();
    let difference = sketches(one).minus(&sketches(other)).norm();
    assert!(difference <= limit, "{what}: {difference:e}, allowed {limit:e}");
}

fn true_error<T: Scalar, D: Backend<T>>(a: &Plain, svd: &Svd<T, D>) -> f64 {
    a.minus(&Plain::of(svd.reconstruct().unwrap().as_ref())).norm()
}

/// The right-hand side of theorem 5.1: what E‖A − Â‖² is at most, for Gaussian operators.
fn bound(sigma: &[f64], k: usize, s: usize) -> f64 {
    let (k, s) = (k as f64, s as f64);
    let by = |rho: usize| {
        let rho_f = rho as f64;
        (k + rho_f - 1.0) / (k - rho_f - 1.0) * tail(sigma, rho).powi(2)
    };
    let least = (0..(k as usize) - 1).map(by).fold(f64::INFINITY, f64::min);
    (s - 1.0) / (s - k - 1.0) * least
}

/// Means over 20 seeds of the square of the error of Â, by theorem 5.1, and of the error of rank r, by its corollary.
/// The relative standard deviation of one seed is below 0.1 here, so the mean is 5 of its own below the bound: 3·10⁻⁷.
#[test]
fn errors_are_within_the_bound_of_the_theory() {
    let cpu = Cpu::with_threads(1).unwrap();
    let (m, n, r, seeds) = (150, 120, 5, 20);
    let low_rank = |level: f64| (0..n).map(|i| if i < r { 1.0 } else { level }).collect::<Vec<_>>();
    let spectra = [
        ("1/i", harmonic(n)),
        ("exponential", geometric(0.8, n)),
        ("low rank and noise", low_rank(0.02)),
        ("low rank and much noise", low_rank(0.2)),
    ];
    for (name, sigma) in spectra {
        let a = with_spectrum(m, n, &sigma, 3);
        let mat = a.to_mat::<f64, Cpu>(&cpu);
        for family in [Family::Gaussian, Family::SparseStack] {
            // The sizes of the paper, and those of the library.
            for (k, s) in [(4 * r + 1, 8 * r + 3), (4 * r + 1, 12 * r + 4)] {
                let (mut whole, mut cut) = (0.0, 0.0);
                for seed in 0..seeds {
                    let params = SinglePassParams::rank(r).sizes(k, s).family(family).seed(seed);
                    let mut state = StreamingSvd::new(&cpu, (m, n), params).unwrap();
                    state.update(1.0, (0, 0), &mat).unwrap();
                    let all = state.svd(k).unwrap();
                    whole += true_error(&a, &all).powi(2) / seeds as f64;
                    let svd = state.svd(r).unwrap();
                    cut += true_error(&a, &svd) / seeds as f64;
                }
                let allowed = bound(&sigma, k, s);
                println!(
                    "{name}, {family:?}, k = {k}, s = {s}: {:.3} of the bound, rank {r}: {:.3} of the best",
                    (whole / allowed).sqrt(),
                    cut / tail(&sigma, r)
                );
                assert!(whole <= allowed, "{name} {family:?}: {whole:e}, bound {allowed:e}");
                let allowed = tail(&sigma, r) + 2.0 * allowed.sqrt();
                assert!(cut <= allowed, "{name} {family:?}: {cut:e}, bound {allowed:e}");
            }
        }
    }
}

/// The mean of estimate²/error² over 120 seeds: unbiased, standard deviation at most √(2/(20·120)) = 0.029, so 5 of them are
/// 0.15: 6·10⁻⁷ a rank. The error of rank 0 is ‖A‖ itself.
#[test]
fn the_estimate_of_the_error_is_unbiased() {
    let cpu = Cpu::with_threads(1).unwrap();
    let a = with_spectrum(40, 32, &harmonic(32), 5);
    let (ranks, seeds) = ([0, 1, 3, 9], 120);
    let mut means = [0.0; 4];
    for seed in 0..seeds {
        let state = state_of::<f64, Cpu>(&a, SinglePassParams::rank(2).seed(seed), &cpu);
        for (mean, rank) in means.iter_mut().zip(ranks) {
            let svd = state.svd(rank).unwrap();
            assert_eq!(svd.error.kind, ErrorKind::Estimate { probes: 20 });
            *mean += (svd.error.absolute / true_error(&a, &svd)).powi(2) / seeds as f64;
        }
    }
    println!("{means:?}");
    assert!(means.iter().all(|mean| (mean - 1.0).abs() < 0.15), "{means:?}");
}

/// With 200 probes ‖W‖² is within a factor of 2 of ‖A‖² but for 4·10⁻⁹, and so is the error of Â.
#[test]
fn scree_plots_enclose_the_truth() {
    let cpu = Cpu::with_threads(1).unwrap();
    for sigma in [harmonic(80), geometric(0.85, 80)] {
        let a = with_spectrum(100, 80, &sigma, 9);
        for seed in 0..5 {
            let params = SinglePassParams::rank(6).probes(200).seed(seed);
            let factors = state_of::<f64, Cpu>(&a, params, &cpu).factors().unwrap();
            let scree = factors.scree();
            assert_eq!(scree.len(), factors.rank() + 1);
            assert!((factors.norm() / a.norm() - 1.0).abs() < 0.42);
            for (r, entry) in scree.iter().enumerate().take(7) {
                let truth = (tail(&sigma, r) / a.norm()).powi(2);
                assert!(
                    entry.lower <= 2.0 * truth * 1.1 && truth <= 2.0 * entry.upper,
                    "{r}: {entry:?} {truth:e}"
                );
                assert!(entry.lower <= entry.upper);
            }
            assert!(scree.windows(2).all(|s| s[1].lower <= s[0].lower && s[1].upper <= s[0].upper));
        }
    }
}

/// Rows, columns, tiles, sums, factors, products and shards: the same state as all at once.
fn blocks_of_any_kind_make_the_same_state<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    let device = place.device();
    for (turn, (m, n, family)) in [
        (60, 47, Family::SparseStack),
        (37, 71, Family::Gaussian),
        (64, 50, Family::Srht),
        (50, 66, Family::CountSketch),
    ]
    .into_iter()
    .enumerate()
    {
        if !place.takes(&cuts::STREAMS, turn) {
            continue;
        }
        let params = SinglePassParams::rank(3).family(family).seed(turn as u64);
        let (a, mat) = prepared::<T, D>(&with_spectrum(m, n, &harmonic(30), 4), device);
        let whole = state_of::<T, D>(&a, params, device);
        let fresh = || StreamingSvd::<T, D>::new(device, (m, n), params).unwrap();
        let what = |way: &str| format!("{} {family:?} {m}×{n}, {way}", T::NAME);
        let one = T::one();

        let mut rows = fresh();
        for (from, to) in [(20, m), (0, 1), (1, 1), (1, 20)] {
            rows.update(one, (from, 0), mat.rows(from..to)).unwrap();
        }
        assert_same_state(&what("rows"), &a, &whole, &rows);

        let (mut here, mut there) = (fresh(), fresh());
        for (at, j) in (0..n).enumerate() {
            let side = if at % 3 == 0 { &mut here } else { &mut there };
            side.update(one, (0, j), mat.columns(j..j + 1)).unwrap();
        }
        let there = StreamingSvd::from_bytes(device, &there.to_bytes().unwrap()).unwrap();
        here.merge(&there).unwrap();
        assert_same_state(&what("two shards of columns"), &a, &whole, &here);

        let mut tiles = fresh();
        for (i, j) in [(0, 0), (0, 21), (13, 0), (13, 21)] {
            let (down, right) = (if i == 0 { 13 } else { m }, if j == 0 { 21 } else { n });
            let tile = mat.rows(i..down).columns(j..right);
            // Three times, and twice taken back.
            tiles.update(T::from_f64(3.0), (i, j), tile).unwrap();
            tiles.update(T::from_f64(-2.0), (i, j), tile).unwrap();
        }
        assert_same_state(&what("tiles"), &a, &whole, &tiles);

        // A = (2A − 4FGᵀ)/2 + 2FGᵀ.
        let (f, g) = (
            Plain::from_fn(m, 2, |i, j| noise(1, i, j)),
            Plain::from_fn(n, 2, |i, j| noise(2, i, j)),
        );
        let (f, g) = (f.rounded::<T>(), g.rounded::<T>());
        let two = T::from_f64(2.0);
        let mut mixed = fresh();
        mixed.update(two, (0, 0), &mat).unwrap();
        mixed
            .update_low_rank(
                T::from_f64(-4.0),
                f.to_mat(device).as_ref(),
                g.to_mat(device).as_ref(),
            )
            .unwrap();
        mixed.scale(T::from_f64(0.5)).unwrap();
        mixed.update(two, (0, 0), f.times(&g.transpose()).to_mat::<T, D>(device)).unwrap();
        let larger = a.map(|x| 32.0 * x);
        assert_same_state(&what("factors and scales"), &larger, &whole, &mixed);

        let free = Counting::new(mat.as_ref(), false);
        let mut products = fresh();
        products.update_operator(one, &free).unwrap();
        assert_eq!(free.passes(), 2);
        assert_same_state(&what("products"), &a, &whole, &products);

        let sparse = a.map(|x| if x.abs() < 0.01 { 0.0 } else { x });
        let entries: Vec<(usize, usize, T)> = (0..m * n)
            .map(|k| (k % m, k / m))
            .filter(|&(i, j)| sparse.get(i, j) != 0.0)
            .map(|(i, j)| (i, j, T::from_f64(sparse.get(i, j))))
            .collect();
        let csr = Csr::from_triplets(device, (m, n), &entries).unwrap();
        let mut stored = fresh();
        stored.update(one, (0, 0), &csr).unwrap();
        assert_same_state(
            &what("compressed rows"),
            &sparse,
            &state_of(&sparse, params, device),
            &stored,
        );
    }
}

/// One entry that is not zero: rows and columns keep their places, on either side of a square.
fn an_entry_is_found_where_it_is<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for (m, n) in [(40, 25), (25, 40), (3, 50), (50, 3), (1, 1)] {
        for (i, j) in [(0, 0), (m - 1, n - 1), (m / 3, n / 2)] {
            let mut state =
                StreamingSvd::<T, D>::new(device, (m, n), SinglePassParams::rank(1)).unwrap();
            let entry = Mat::from_fn(device, 1, 1, |_, _| T::from_f64(-2.5)).unwrap();
            state.update(T::one(), (i, j), &entry).unwrap();
            let svd = state.svd(1).unwrap();
            assert_eq!(svd.rank(), 1, "{m}×{n} ({i}, {j})");
            let found = Plain::of(svd.reconstruct().unwrap().as_ref());
            let expected = Plain::from_fn(m, n, |a, b| if (a, b) == (i, j) { -2.5 } else { 0.0 });
            let gap = found.minus(&expected).norm();
            assert!(gap <= 100.0 * T::UNIT_ROUNDOFF, "{} {m}×{n} ({i}, {j}): {gap:e}", T::NAME);
            assert!(svd.error.relative <= 100.0 * T::UNIT_ROUNDOFF);
        }
    }
}

/// Exact ranks are found, with more rank asked for than there is; zero, empty and rank 0; every bit for any threads.
fn ranks_are_found<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for (turn, (m, n, rank)) in
        [(90, 70, 1), (50, 90, 4), (30, 20, 7), (64, 64, 12)].into_iter().enumerate()
    {
        if !place.takes(&cuts::STREAMS, turn) {
            continue;
        }
        let (a, mat) = prepared::<T, D>(&with_spectrum(m, n, &geometric(0.6, rank), 8), device);
        let svd = svd_single_pass(&mat, SinglePassParams::rank(15)).unwrap();
        let what = format!("{} {m}×{n} of rank {rank}", T::NAME);
        let error = check_svd(&what, &a, &svd);
        // In f32 rounding to the type adds directions of size u.
        assert!(
            svd.rank() == rank || T::UNIT_ROUNDOFF > 1e-10 && svd.rank() >= rank,
            "{what}: {:?}",
            svd.s
        );
        assert!(error <= 200.0 * T::UNIT_ROUNDOFF, "{what}: {error:e}");
        place.result(&what, |device| {
            bits(&svd_single_pass(&a.to_mat::<T, D>(device), SinglePassParams::rank(15)).unwrap())
        });
    }
    for (m, n) in [(0, 0), (0, 5), (5, 0), (1, 1), (30, 20)] {
        let what = format!("zeros {m}×{n}");
        let state =
            StreamingSvd::<T, D>::new(device, (m, n), SinglePassParams::rank(m.min(n).min(3)))
                .unwrap();
        let svd = state.svd(m.min(n).min(2)).unwrap();
        assert_eq!((svd.rank(), svd.u.shape(), svd.vt.shape()), (0, (m, 0), (0, n)), "{what}");
        assert_eq!((svd.error.absolute, svd.error.relative), (0.0, 0.0), "{what}");
        assert!(state.factors().unwrap().scree().iter().all(|s| (s.lower, s.upper) == (0.0, 0.0)));
        let zeros = Mat::<T, D>::zeros(device, m, n).unwrap();
        assert_eq!(svd_single_pass(&zeros, SinglePassParams::rank(0)).unwrap().rank(), 0, "{what}");
    }
    // Rank 0 of what is not zero leaves all of it.
    let state = state_of::<T, D>(
        &with_spectrum(30, 20, &harmonic(20), 1),
        SinglePassParams::rank(0),
        device,
    );
    let svd = state.svd(0).unwrap();
    assert_eq!((svd.rank(), svd.error.relative), (0, 1.0));
}

/// A·2ᵉ has the same factors, bit for bit, also where squares of entries leave the range of T.
fn powers_of_two_scale_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let exponents: &[i32] = if size_of::<T>() == 4 { &[1, 60, -60] } else { &[-1, 500, -500] };
    let device = place.device();
    let a = with_spectrum(50, 40, &harmonic(30), 6).rounded::<T>();
    let one = state_of::<T, D>(&a, SinglePassParams::rank(3), device);
    let (svd, scree) = (one.svd(3).unwrap(), one.factors().unwrap().scree());
    for &e in exponents {
        let factor = 2f64.powi(e);
        let scaled = state_of::<T, D>(&a.map(|x| x * factor), SinglePassParams::rank(3), device);
        let other = scaled.svd(3).unwrap();
        let what = format!("{} 2^{e}", T::NAME);
        let (u, s, vt, ..) = bits(&other);
        let expected: Vec<T> = svd.s.iter().map(|s| T::from_f64(s.to_f64() * factor)).collect();
        assert_eq!(
            (u, s, vt),
            (svd.u.to_vec().unwrap(), expected, svd.vt.to_vec().unwrap()),
            "{what}"
        );
        assert_eq!(other.error.relative, svd.error.relative, "{what}");
        assert_eq!(other.error.absolute, svd.error.absolute * factor, "{what}");
        assert_eq!(scaled.factors().unwrap().scree(), scree, "{what}");
    }
}

/// θ = 0 and η = 0 read nothing; what was added and taken back is gone.
fn zero_factors_read_nothing<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(30, 40, &harmonic(20), 2);
    let mut state = state_of::<f64, D>(&a, SinglePassParams::rank(2), device);
    let before = state.to_bytes().unwrap();
    let bad = Mat::from_fn(device, 30, 40, |_, _| f64::NAN).unwrap();
    state.update(0.0, (0, 0), &bad).unwrap();
    state
        .update_low_rank(
            0.0,
            bad.as_ref().columns(0..2),
            bad.as_ref().rows(0..2).columns(0..40).transpose(),
        )
        .unwrap();
    state.update_operator(0.0, &bad).unwrap();
    state.update(1.0, (7, 40), bad.rows(7..9).columns(40..40)).unwrap();
    assert!(state.to_bytes().unwrap() == before);
    state.update(-1.0, (0, 0), a.to_mat::<f64, D>(device)).unwrap();
    assert_eq!((state.svd(2).unwrap().rank(), state.svd(2).unwrap().error.absolute), (0, 0.0));
    state.update(1.0, (0, 0), &bad).unwrap();
    assert!(matches!(state.svd(1), Err(Error::NonFinite { .. })));
    state.scale(0.0).unwrap();
    state.update(1.0, (0, 0), a.to_mat::<f64, D>(device)).unwrap();
    assert!(state.to_bytes().unwrap() == before);
}

/// States travel as bytes; bytes of no state are refused, and other operators do not merge.
fn states_travel_and_strangers_are_refused<D: Backend<f64> + Backend<f32>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(30, 40, &harmonic(20), 2);
    let params = SinglePassParams::rank(2).seed(5);
    let state = state_of::<f64, D>(&a, params, device);
    let bytes = state.to_bytes().unwrap();
    let back = StreamingSvd::<f64, D>::from_bytes(device, &bytes).unwrap();
    assert!(back.to_bytes().unwrap() == bytes);
    assert_eq!(bits(&back.svd(2).unwrap()), bits(&state.svd(2).unwrap()));
    let single = state_of::<f32, D>(&a, params, device).to_bytes().unwrap();
    assert!(
        StreamingSvd::<f32, D>::from_bytes(device, &single).unwrap().to_bytes().unwrap() == single
    );
    let refused = |bytes: &[u8]| StreamingSvd::<f64, D>::from_bytes(device, bytes).is_err();
    assert!(refused(&single) && refused(&[]) && refused(&bytes[..HEADER - 1]));
    assert!(refused(&bytes[..bytes.len() - 1]) && refused(&[&bytes[..], &[0]].concat()));
    // Version, type, lengths and windows cannot change alone; no byte makes it panic.
    for at in 0..HEADER {
        for bit in [1, 128] {
            let mut other = bytes.clone();
            other[at] ^= bit;
            let field = (at + 64) % 80;
            let must = at < 16 || (16..32).contains(&field) || field >= 48;
            assert!(refused(&other) || !must, "byte {at}");
        }
    }
    let mut state = state;
    for other in [
        params.seed(6),
        params.probes(21),
        params.sizes(10, 28),
        params.family(Family::Gaussian),
        params.nnz(4),
        SinglePassParams::rank(3).seed(5),
    ] {
        let other = StreamingSvd::<f64, D>::new(device, (30, 40), other).unwrap();
        assert!(matches!(state.merge(&other), Err(Error::InvalidArgument { .. })));
    }
    let other = StreamingSvd::<f64, D>::new(device, (40, 30), params).unwrap();
    assert!(matches!(state.merge(&other), Err(Error::ShapeMismatch { .. })));
    assert!(state.to_bytes().unwrap() == bytes);
}

fn bad_input_is_told<D: Backend<f64>>(place: &Place<D>)
where
    for<'a> Counting<'a, f64, D>: LinearOperator<f64, D>,
{
    let device = place.device();
    let good = with_spectrum(30, 40, &harmonic(20), 2);
    for (i, j) in [(0, 0), (17, 3), (29, 39)] {
        for (bad, family) in [(f64::NAN, Family::SparseStack), (f64::INFINITY, Family::Gaussian)] {
            let params = SinglePassParams::rank(2).family(family);
            let mut a = good.clone();
            a.set(i, j, bad);
            let mat = a.to_mat::<f64, D>(device);
            let told = |error| match error {
                Error::NonFinite { row, col, .. } => (row, col),
                error => panic!("{error}"),
            };
            assert_eq!(told(svd_single_pass(&mat, params).unwrap_err()), (i, j));
            let state = state_of::<f64, D>(&a, params, device);
            assert_eq!(state.find_non_finite().unwrap(), Some((i, j)));
            assert_eq!(told(state.svd(2).unwrap_err()), (i, j));
        }
    }
    // Finite, but not their sum.
    let huge = Mat::from_fn(device, 30, 40, |_, _| 1e308).unwrap();
    let error =
        svd_single_pass(&huge, SinglePassParams::rank(2).family(Family::Rademacher)).unwrap_err();
    assert!(matches!(error, Error::Overflow { .. }), "{error}");
    let mat = good.to_mat::<f64, D>(device);
    let invalid = |error: Error| assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    for params in [
        SinglePassParams::rank(31),
        SinglePassParams::rank(3).probes(0),
        SinglePassParams::rank(3).sizes(4, 40),
        SinglePassParams::rank(3).sizes(6, 7),
        SinglePassParams::rank(3).nnz(0),
        SinglePassParams::rank(3).memory(500),
    ] {
        invalid(svd_single_pass(&mat, params).unwrap_err());
    }
    let mut state =
        StreamingSvd::<f64, D>::new(device, (30, 40), SinglePassParams::rank(2)).unwrap();
    assert_eq!(state.max_rank(), 9);
    invalid(state.svd(10).unwrap_err());
    for at in [(1, 0), (0, 1), (usize::MAX, 0), (0, usize::MAX)] {
        invalid(state.update(1.0, at, &mat).unwrap_err());
    }
    let shape = |error: Error| assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    shape(state.update_low_rank(1.0, mat.as_ref(), mat.as_ref()).unwrap_err());
    shape(state.update_low_rank(1.0, mat.columns(0..2), mat.columns(0..2)).unwrap_err());
    shape(state.update_operator(1.0, &mat.rows(0..3)).unwrap_err());
    assert_eq!(state.svd(2).unwrap().rank(), 0);
    // A budget is kept, and used.
    for (numbers, k) in [(20_000, 26), (40_000, 50)] {
        let params = SinglePassParams::rank(3).memory(numbers);
        let state = StreamingSvd::<f64, D>::new(device, (300, 200), params).unwrap();
        let used = state.numbers();
        assert!((numbers - 250..=numbers).contains(&used) && state.max_rank() == k, "{used}");
    }
    let free = Counting::new(mat.as_ref(), false);
    let svd = svd_single_pass(&free, SinglePassParams::rank(4)).unwrap();
    assert_eq!((svd.passes, free.passes()), (2, 2));
    check_svd("matrix-free", &good, &svd);
}

/// Every family sketches; those that embed are near to the best, near to `rsvd`.
fn every_family_serves<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let sigma = geometric(0.7, 60);
    let a = with_spectrum(90, 60, &sigma, 12);
    let mat = a.to_mat::<f64, D>(device);
    let (best, reference) = (tail(&sigma, 4), rsvd(&mat, RsvdParams::rank(4)).unwrap());
    for family in FAMILIES {
        let svd = svd_single_pass(&mat, SinglePassParams::rank(4).family(family)).unwrap();
        let error = check_svd(&format!("{family:?}"), &a, &svd) * a.norm();
        assert!(error <= 1.1 * best, "{family:?}: {error:e}, best {best:e}");
        assert!((svd.s[0] - reference.s[0]).abs() <= error, "{family:?}");
    }
}

on_every_device! {
    blocks_of_any_kind_make_the_same_state: f32 f64,
    an_entry_is_found_where_it_is: f32,
    ranks_are_found: f32 f64,
    powers_of_two_scale_exactly: f32 f64,
    zero_factors_read_nothing,
    states_travel_and_strangers_are_refused,
    bad_input_is_told,
    every_family_serves,
}
