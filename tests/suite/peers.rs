//! Defects found in other libraries (RandBLAS, RandLAPACK, Panther), each as a test that ours passes.
//!
//! Numbers are those of the study of each library. A mistake of one routine is looked for in all of ours that could make
//! it: absolute tolerances, a leading dimension taken for a size, outputs that must be zeroed, input that is zero or NaN.
//! Not here, because the part they concern is not (yet) in this crate, or because the language excludes them:
//!
//! * RandLAPACK 5: prints and work left in for debugging; 12: leaks and a global number of threads.
//! * RandBLAS 11: templates that fail to link.
//! * Panther 1–4, 10–12, 17–20, 22, 24: neural layers, attention, GPU kernels, tuner; 13: results whose device and type
//!   are not the input's, which here do not compile.

use crate::common::spectra::{geometric, harmonic, with_spectrum};
use crate::common::{
    Backends, FAMILIES, Layout, Place, Plain, Stored, assert_within, cpus, cuts, noise,
    on_every_device, sketch, spectra,
};
use crate::decomp_checks::{check_svd, checked_rsvd};
use randnla::decomp::{
    BqrrpParams, CqrrptParams, EighParams, NystromParams, QbParams, RpCholeskyParams, RsvdParams,
    bqrrp, cqrrpt, eigh_randomized, nystrom, qb, rp_cholesky, rsvd,
};
use randnla::product::{PlanParams, ProductMethod, Samples, Sampling, plan_product, product};
use randnla::random::{index, laso_row};
use randnla::{Backend, Cpu, Csr, Error, Family, MatRef, Sketch};

fn dense<D: Backend<f64>>(device: &D, s: &Sketch) -> Plain {
    Plain::of(s.to_mat::<f64, D>(device).unwrap().as_ref())
}

/// RandBLAS returned index n for n = 10 (a float rounded up to 1), and missed indices above 2²⁴.
#[test]
fn randblas_9_uniform_index_never_reaches_n_and_reaches_all_below() {
    for n in [1u64, 2, 3, 10, (1 << 24) + 3, (1 << 31) - 1, 1 << 40, u64::MAX] {
        assert_eq!(index(u64::MAX, n), n - 1);
        assert_eq!(index(0, n), 0);
    }
    // Odd indices beyond 2²⁴ exist.
    let n = 1u64 << 30;
    let step = u64::MAX / n + 1;
    assert!((0..1000).all(|k| index((n - 1 - k) * step, n) == n - 1 - k));
    let mut row = Vec::new();
    for i in 0..20_000 {
        laso_row(3, 10, 8, i, &mut row);
        assert!(row.iter().all(|entry| entry.column < 10));
    }
}

/// The last entry of RandBLAS' distribution function in f32 stayed below 1, and index n was returned. Here weights are summed up
/// in f64, the last term with a weight is the last that can be drawn, and terms of weight zero never are.
fn randblas_10_samples_by_weight_stay_in_range<D: Backend<f32>>(place: &Place<D>) {
    for n in [1usize, 2, 3, 10, 199] {
        let weights: Vec<f64> = (0..n).map(|i| [0.1, 1e-300, 0.0, 0.7][(i + 3) % 4]).collect();
        for seed in 0..100 {
            for sampling in [Sampling::Norms, Sampling::Systematic, Sampling::Poisson] {
                let samples =
                    Samples::<f32, D>::from_weights(place.device(), &weights, sampling, 40, seed);
                let samples = samples.unwrap();
                let drawn = |&i: &u32| weights.get(i as usize).is_some_and(|&w| w > 0.0);
                assert!(
                    samples.terms().iter().all(drawn),
                    "{n} {sampling:?}: {:?}",
                    samples.terms()
                );
            }
        }
    }
}

/// A sketched layer replaced X·W by a product with several times its norm as error, and said nothing. Here the error is
/// returned, and the plan is not to.
fn panther_9_products_tell_that_they_are_noise<D: Backend<f64>>(place: &Place<D>) {
    let x = Plain::from_fn(64, 768, |i, j| noise(1, i, j)).to_mat::<f64, D>(place.device());
    let w = Plain::from_fn(768, 96, |i, j| noise(2, i, j)).to_mat::<f64, D>(place.device());
    let sketch = ProductMethod::Sketch(Sketch::rademacher(32, 768, 1).unwrap());
    let found = product(&x, &w, sketch).unwrap();
    let exact = product(&x, &w, ProductMethod::Exact).unwrap().c;
    let (c, exact) = (Plain::of(found.c.as_ref()), Plain::of(exact.as_ref()));
    let error = c.minus(&exact).norm();
    assert!(error > 4.0 * exact.norm());
    assert!((found.error.absolute / error - 1.0).abs() < 0.1, "{:?}, true {error}", found.error);
    assert!(found.error.relative > 2.0);
    let plan = plan_product(x.as_ref(), w.as_ref(), PlanParams::target_error(0.2)).unwrap();
    assert_eq!(plan.chosen.method, ProductMethod::Exact, "{plan}");
}

/// RandBLAS' f64 operators are f32 samples cast up, capped at |z| = 6.764.
fn randblas_double_operators_are_not_single_precision_samples<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for s in [Sketch::gaussian(512, 512, 1).unwrap(), Sketch::uniform(512, 512, 1).unwrap()] {
        let entries = dense(device, &s.raw());
        let singles = entries.data.iter().filter(|&&x| x == f64::from(x as f32)).count();
        // A 53-bit number is an f32 with probability 2⁻²⁹.
        assert!(singles < 3, "{:?}: {singles} of 2¹⁸ are f32", s.family());
        let mut sorted = entries.data.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        assert_eq!(sorted.len(), 1 << 18, "{:?}: repeated values", s.family());
    }
    // The largest radius that 53 bits give: √(2·53·ln 2) = 8.57.
    let largest = randnla::random::box_muller_f64(0, 0)[0].abs();
    assert!((8.5..8.6).contains(&largest), "{largest}");
}

/// `sketch_vector` was a general product that ignored strides.
fn randblas_sketch_vector_takes_any_stride<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for family in FAMILIES {
        let s = sketch(family, 10, 60, 1).unwrap();
        let x = Plain::from_fn(180, 1, |i, j| noise(1, i, j));
        let on = x.to_mat::<f64, D>(device);
        for (offset, stride) in [(0, 1isize), (0, 3), (59, -1), (179, -3), (7, 0)] {
            let first = on.as_ref().as_ptr().wrapping_add(offset);
            // SAFETY: the 60 entries lie inside of the 180.
            let view =
                unsafe { MatRef::from_raw_parts(device, first, (60, 1), (stride, 1)) }.unwrap();
            let got = Plain::of(s.apply(view).unwrap().as_ref());
            let values = Plain::from_fn(60, 1, |i, _| {
                x.data[(offset as isize + i as isize * stride) as usize]
            });
            let operator = dense(device, &s);
            let exact = operator.times_exactly(&values);
            let scale = 400.0 * f64::EPSILON * s.scale() * values.norm();
            let size = operator.abs().times(&values.abs());
            let bound = size.map(|x| 70.0 * f64::EPSILON * x + scale);
            assert_within(&format!("{family:?} stride {stride}"), &got, &exact, &bound);
        }
    }
}

/// RandBLAS' fill is bit-stable over threads, its products are not; here both are.
#[test]
fn randblas_products_do_not_depend_on_threads() {
    let s = Sketch::gaussian(300, 4000, 1).unwrap();
    let a = Plain::from_fn(4000, 50, |i, j| noise(1, i, j)).to_mat::<f64, Cpu>(&cpus()[0]);
    let on = |cpu: &Cpu| {
        let a = Stored::<f64>::from_plain(Layout::Columns, &Plain::of(a.as_ref()));
        s.apply(a.on(cpu).view()).unwrap().to_vec().unwrap()
    };
    assert!(on(&cpus()[0]) == on(&cpus()[1]) && on(&cpus()[1]) == on(&cpus()[2]));
}

/// A rectangular window of a sparse operator was sampled whole; here a window costs itself. An
/// operator of 2⁴⁰ columns would not fit into any memory.
fn randblas_windows_of_sparse_operators_do_not_sample_the_whole<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for family in [Family::Gaussian, Family::SparseSign, Family::SparseStack, Family::CountSketch] {
        let s = sketch(family, 64, 1 << 40, 1).unwrap().columns((1 << 39)..(1 << 39) + 100);
        assert_eq!(dense(device, &s).rows, 64);
    }
}

/// BQRRP took the number of rows for the leading dimension, and was wrong with success.
fn randlapack_2_leading_dimensions_are_respected<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(60, 40, &harmonic(40), 1);
    let (_, plain) = checked_rsvd::<f64, D>("packed", &a, RsvdParams::rank(5), device);
    for layout in [Layout::PaddedColumns, Layout::PaddedRows] {
        let stored = Stored::<f64>::from_plain(layout, &a);
        let svd = rsvd(&stored.on(device).view(), RsvdParams::rank(5)).unwrap();
        check_svd("padded", &a, &svd);
        let close = |(x, y): (&f64, &f64)| (x - y).abs() <= 1000.0 * f64::EPSILON * plain.s[0];
        assert!(svd.s.iter().zip(&plain.s).all(close), "{layout:?}");
    }
}

/// BQRRP and ABRIK stopped on absolute thresholds: rank 0 for A·1e−17, 2 of 12 iterations for A·1e−9.
fn randlapack_3_and_4_ranks_do_not_depend_on_scale<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(80, 60, &geometric(0.7, 60), 1);
    for scale in [1.0, 1e-9, 1e-17, 1e-200, 1e200] {
        let scaled = a.map(|x| x * scale);
        let params = RsvdParams::tolerance(1e-3);
        let (error, svd) = checked_rsvd::<f64, D>("scaled", &scaled, params, device);
        assert_eq!(svd.rank(), 20, "×{scale:e}");
        assert!(error <= 1e-3 && (svd.s[0] / scale - 1.0).abs() < 1e-9, "×{scale:e}");
    }
}

/// A leading dimension above m gave wrong pivots, and a small scale rank 0 (BQRRP).
fn randlapack_2_and_3_pivots_know_no_leading_dimension_and_no_scale<D: Backend<f64>>(
    place: &Place<D>,
) {
    let device = place.device();
    let large = |j: usize| if j % 3 == 1 { 1000.0 } else { 1.0 };
    let a = Plain::from_fn(400, 30, |i, j| noise(8, i, j) * large(j));
    let padded = Plain::from_fn(450, 30, |i, j| if i < 400 { a.get(i, j) } else { f64::NAN });
    let params = CqrrptParams::default();
    let compact = cqrrpt(a.to_mat::<f64, D>(device).as_ref(), params).unwrap();
    let window = padded.to_mat::<f64, D>(device);
    let window = cqrrpt(window.rows(0..400), params).unwrap();
    assert_eq!(window.pivots, compact.pivots);
    assert!(compact.pivots[..10].iter().all(|p| p % 3 == 1), "{:?}", compact.pivots);
    let blocks = BqrrpParams::default().block_size(12);
    let qr = bqrrp(padded.to_mat::<f64, D>(device).rows(0..400), blocks).unwrap();
    assert!(qr.pivots[..10].iter().all(|p| p % 3 == 1), "{:?}", qr.pivots);
    assert_eq!(qr.pivots, bqrrp(a.to_mat::<f64, D>(device).as_ref(), blocks).unwrap().pivots);
    for scale in [1e-17, 1e-200] {
        let scaled = a.map(|x| x * scale).to_mat::<f64, D>(device);
        assert_eq!(cqrrpt(scaled.as_ref(), params).unwrap().rank(), 30, "×{scale:e}");
        assert_eq!(bqrrp(scaled.as_ref(), blocks).unwrap().rank(), 30, "×{scale:e}");
    }
}

/// Block Krylov passes ended after 2 of 12 iterations for A·1e−9, with a σ₁ that was 12 % too small (ABRIK).
fn randlapack_4_krylov_passes_know_no_scale<D: Backend<f64>>(place: &Place<D>) {
    let a = with_spectrum(80, 60, &harmonic(60), 3);
    for scale in [1.0, 1e-9, 1e-12] {
        let params = RsvdParams::rank(4).oversampling(0).krylov(true).power_passes(5);
        let svd = rsvd(&a.map(|x| x * scale).to_mat::<f64, D>(place.device()), params).unwrap();
        assert_eq!((svd.rank(), svd.passes), (4, 12), "×{scale:e}");
        assert!((svd.s[0] / scale - 1.0).abs() < 1e-9, "×{scale:e}: {}", svd.s[0]);
    }
}

/// The Nyström approximation of A = 0 failed in a Cholesky factorization (REVD2).
fn randlapack_8_symmetric_zero_has_rank_0<D: Backend<f64>>(place: &Place<D>) {
    let zero = Plain::zeros(40, 40).to_mat::<f64, D>(place.device());
    let found = [
        nystrom(&zero, NystromParams::rank(5)).map(|x| (x.rank(), x.error)),
        nystrom(&zero, NystromParams::tolerance(0.1)).map(|x| (x.rank(), x.error)),
        rp_cholesky(&zero, RpCholeskyParams::rank(5)).map(|x| (x.rank(), x.error)),
        eigh_randomized(&zero, EighParams::rank(5)).map(|x| (x.rank(), x.error)),
        eigh_randomized(&zero, EighParams::tolerance(0.1)).map(|x| (x.rank(), x.error)),
    ];
    for found in found {
        let (rank, error) = found.unwrap();
        assert_eq!((rank, error.absolute, error.relative), (0, 0.0, 0.0));
    }
}

/// CQRRPT left `rank`, R and J as they were for A = 0, and called NaN full rank.
fn randlapack_6_pivoted_qr_of_zero_and_nan<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let params = CqrrptParams::default();
    let zero = cqrrpt(Plain::zeros(100, 8).to_mat::<f64, D>(device).as_ref(), params).unwrap();
    assert_eq!((zero.rank(), zero.r.shape(), zero.pivots), (0, (0, 8), (0..8).collect()));
    let zero = Plain::zeros(100, 8).to_mat::<f64, D>(device);
    let zero = bqrrp(zero.as_ref(), BqrrpParams::default()).unwrap();
    assert_eq!((zero.rank(), zero.r.shape(), zero.pivots), (0, (0, 8), (0..8).collect()));
    let mut nan = Plain::from_fn(100, 8, |i, j| noise(1, i, j));
    nan.set(70, 5, f64::NAN);
    let nan = nan.to_mat::<f64, D>(device);
    let result = cqrrpt(nan.as_ref(), params);
    assert!(matches!(result, Err(Error::NonFinite { row: 70, col: 5, .. })));
    let result = bqrrp(nan.as_ref(), BqrrpParams::default());
    assert!(matches!(result, Err(Error::NonFinite { row: 70, col: 5, .. })));
}

/// Gaussian matrices lost columns in f32: here they keep them for 1000 of 1000 seeds. (A Gaussian 200×100
/// matrix has a condition above 100 with a probability below 10⁻¹⁰⁰.)
#[test]
fn panther_5_gaussian_matrices_in_f32_keep_their_rank() {
    let cpu = &cpus()[0];
    for n in [5, 20, 100] {
        for seed in 0..1000 {
            let m = 200 + (seed as usize * 37) % 201;
            let s = Sketch::gaussian(m, n, seed).unwrap().raw();
            let a = s.to_mat::<f32, Cpu>(cpu).unwrap();
            let qr = cqrrpt(a.as_ref(), CqrrptParams::default().seed(seed)).unwrap();
            assert_eq!(qr.rank(), n, "{m}×{n}, seed {seed}");
        }
    }
    let s = Sketch::gaussian(300, 300, 4).unwrap().raw();
    let square = s.to_mat::<f32, Cpu>(cpu).unwrap();
    assert_eq!(cqrrpt(square.as_ref(), CqrrptParams::default()).unwrap().rank(), 300);
}

/// The rank decision was absolute: full rank became deficient at 10⁻¹⁴, and rank 5 became 30 at 10³.
fn panther_6_rank_decisions_are_relative<D: Backends>(place: &Place<D>) {
    let device = place.device();
    let full = Plain::from_fn(200, 30, |i, j| noise(1, i, j));
    let five = Plain::from_fn(200, 5, |i, j| noise(2, i, j));
    let five = five.times(&Plain::from_fn(5, 30, |i, j| noise(3, i, j)));
    for (a, rank) in [(&full, 30), (&five, 5)] {
        for scale in [1.0, 1e-8, 1e-14, 1e3, 1e14] {
            let a = a.map(|x| x * scale);
            let params = CqrrptParams::default();
            let double = cqrrpt(a.to_mat::<f64, D>(device).as_ref(), params).unwrap();
            let single = cqrrpt(a.to_mat::<f32, D>(device).as_ref(), params).unwrap();
            assert_eq!((double.rank(), single.rank()), (rank, rank), "×{scale:e}");
        }
    }
}

/// Two columns or fewer sampled from an empty range.
fn panther_7_few_columns<D: Backend<f64>>(place: &Place<D>) {
    for (m, n) in [(3, 1), (3, 2), (100, 1), (100, 2), (2, 2), (1, 3)] {
        let a = Plain::from_fn(m, n, |i, j| noise(4, i, j)).to_mat::<f64, D>(place.device());
        assert_eq!(cqrrpt(a.as_ref(), CqrrptParams::default()).unwrap().rank(), m.min(n));
    }
}

/// Zero and NaN input returned success with outputs untouched (CQRRPT) or threw (REVD2).
fn randlapack_6_and_8_zero_and_nan_are_told_apart<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let zero = Plain::zeros(30, 20).to_mat::<f64, D>(device);
    let svd = rsvd(&zero, RsvdParams::rank(5)).unwrap();
    assert_eq!((svd.rank(), svd.error.relative), (0, 0.0));
    let mut nan = Plain::from_fn(30, 20, |i, j| noise(1, i, j));
    nan.set(7, 11, f64::NAN);
    let result = rsvd(&nan.to_mat::<f64, D>(device), RsvdParams::rank(5));
    assert!(matches!(result, Err(Error::NonFinite { row: 7, col: 11, .. })));
}

/// RSVD of a rank-5 matrix with k = 20, b = 10 failed inside and hid it; unmet tolerances succeeded.
fn randlapack_7_rsvd_reports_unmet_rank_and_tolerance<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(80, 60, &harmonic(5), 1);
    let params = RsvdParams::rank(20).oversampling(0).block_size(10);
    let (error, svd) = checked_rsvd::<f64, D>("rank 5", &a, params, device);
    assert!(svd.rank() == 5 && error <= 50.0 * f64::EPSILON / 2.0, "{} {error:e}", svd.rank());
    let a = with_spectrum(80, 60, &harmonic(60), 1);
    let params = RsvdParams::tolerance(0.01).max_rank(20);
    let (error, svd) = checked_rsvd::<f64, D>("20 at most", &a, params, device);
    assert!(svd.error.relative > 0.01 && error > 0.01);
}

/// Outputs need not be zeroed: β = 0 overwrites NaN (CQRRPT read its R).
fn randlapack_1_outputs_need_not_be_zeroed<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for family in FAMILIES {
        let s = sketch(family, 12, 40, 1).unwrap();
        let a = Stored::<f64>::new(Layout::Columns, 40, 7, |i, j| noise(1, i, j));
        let c = Stored::<f64>::new(Layout::Columns, 12, 7, |_, _| f64::NAN);
        let what = format!("{family:?}");
        let c = c.after(&what, device, |c| s.apply_into(1.0, a.on(device).view(), 0.0, c));
        assert!(c.data.iter().all(|x| x.is_finite()), "{family:?}");
    }
}

/// Panther stopped at a true relative error of 0.15 for A·1e−4 and used every column for A·1e4.
fn panther_8_stopping_is_scale_invariant<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(150, 100, &harmonic(100), 1);
    let run = |scale: f64| {
        let scaled = a.map(|x| x * scale);
        let (error, svd) =
            checked_rsvd::<f64, D>("scaled", &scaled, RsvdParams::tolerance(0.05), device);
        assert!(error <= 0.05, "×{scale:e}: {error}");
        (svd.rank(), svd.passes)
    };
    for scale in [1e4, 1e-4, 1e12, 1e-12] {
        assert_eq!(run(scale), run(1.0), "×{scale:e}");
    }
    // Zero divided by zero.
    let zero = Plain::zeros(9, 5).to_mat::<f64, D>(device);
    assert_eq!(qb(&zero, QbParams::tolerance(0.1)).unwrap().error.relative, 0.0);
}

/// Without oversampling Panther's rank-20 errors were 1.05 and 1.13 times the best.
fn panther_rsvd_oversamples_by_default<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for sigma in [harmonic(100), geometric(0.9, 100)] {
        let a = with_spectrum(150, 100, &sigma, 1);
        let params = RsvdParams::rank(20).power_passes(1);
        let (error, _) = checked_rsvd::<f64, D>("q = 1", &a, params, device);
        let best = spectra::tail(&sigma, 20) / spectra::tail(&sigma, 0);
        assert!(error <= 1.02 * best, "{error} {best}");
    }
}

/// The shape of a sparse operator was taken from its largest index, so empty rows vanished.
fn panther_14_empty_rows_and_columns_keep_their_place<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for family in [Family::CountSketch, Family::Laso, Family::RowSampling] {
        let s = sketch(family, 50, 60, 1).unwrap();
        let csr: Csr<f64, D> = s.to_csr(device).unwrap();
        assert_eq!(csr.as_ref().shape(), (50, 60), "{family:?}");
    }
}

/// SRHT lacked √(n/m), took single vectors, and redrew its signs each call.
fn panther_15_srht_is_isotropic_for_matrices_and_fixed<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let (m, n, d) = (100, 9, 32);
    let a = Plain::from_fn(m, n, |i, j| noise(1, i, j)).to_mat::<f64, D>(device);
    let norm = Plain::of(a.as_ref()).norm().powi(2);
    let share = |seed| {
        let s = Sketch::srht(d, m, seed).unwrap();
        let image = Plain::of(s.apply(&a).unwrap().as_ref());
        assert_eq!(Plain::of(s.apply(&a).unwrap().as_ref()), image);
        image.norm().powi(2) / norm
    };
    let mean = (0..500).map(share).sum::<f64>() / 500.0;
    // A column's variance is at most 2/d, so that of the mean of 500 is at most 2/(500·32): 6 standard
    // errors are 0.067 (2·10⁻⁹); without the factor the mean would be 0.25.
    assert!((mean - 1.0).abs() < 0.067, "{mean}");
}

/// Signs are never 0 (a coarse random grid made them so), and orthogonal blocks are Haar
/// (`statistics_entries::haar_operators_are_haar_distributed`).
fn panther_15_signs_are_never_zero<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let signs = dense(device, &Sketch::rademacher(1000, 1000, 1).unwrap().raw());
    assert!(signs.data.iter().all(|x| x.abs() == 1.0));
}

/// Seeds came from the operating system, or reset the program's generator.
fn panther_16_seeds_are_arguments_and_nothing_else<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for family in FAMILIES {
        let s = sketch(family, 8, 30, 42).unwrap();
        let first = dense(device, &s);
        // Other operators in between change nothing.
        let _ = dense(device, &sketch(family, 9, 31, 7).unwrap());
        assert_eq!(dense(device, &s), first, "{family:?}");
        assert_eq!(dense(device, &sketch(family, 8, 30, 42).unwrap()), first, "{family:?}");
    }
}

/// SASO columns were drawn with a work array of length d each, and from an empty range for d < ζ.
fn panther_7_and_21_sparse_columns_are_drawn_directly<D: Backend<f32>>(place: &Place<D>) {
    assert!(Sketch::sparse_sign(3, 100, 4, 1).is_err());
    assert!(Sketch::sparse_sign(4, 100, 4, 1).is_ok());
    // 2³⁰ rows: any work of order d a column would not end.
    let s = Sketch::sparse_sign(1 << 30, 2000, 8, 1).unwrap();
    let window = s.rows(0..1000);
    let zeros = Plain::zeros(2000, 1).to_mat::<f32, D>(place.device());
    assert_eq!(window.apply(&zeros).unwrap().nrows(), 1000);
}

/// A copy of A was updated block by block; here A is only read, as an operator: dense it would have
/// up to 40 GB.
fn panther_23_rsvd_reads_sparse_input_as_it_is<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for (m, n) in place.sizes(&cuts::LARGE_CSR) {
        let entry = |k: usize| (k * 7919 % m, k * 31 % n, 1.0 / (1 + k) as f64);
        let triplets: Vec<(usize, usize, f64)> = (0..2000).map(entry).collect();
        let a = Csr::from_triplets(device, (m, n), &triplets).unwrap();
        let svd = rsvd(&a, RsvdParams::rank(10)).unwrap();
        assert_eq!(svd.rank(), 10);
        assert!((svd.s[0] - 1.0).abs() < 1e-9 && svd.error.relative < 0.3, "{:?}", svd.error);
    }
}

on_every_device! {
    randblas_10_samples_by_weight_stay_in_range,
    panther_9_products_tell_that_they_are_noise,
    randlapack_2_and_3_pivots_know_no_leading_dimension_and_no_scale,
    randlapack_4_krylov_passes_know_no_scale,
    randlapack_6_pivoted_qr_of_zero_and_nan,
    randlapack_8_symmetric_zero_has_rank_0,
    panther_6_rank_decisions_are_relative,
    panther_7_few_columns,
    randblas_double_operators_are_not_single_precision_samples,
    randblas_sketch_vector_takes_any_stride,
    randblas_windows_of_sparse_operators_do_not_sample_the_whole,
    randlapack_2_leading_dimensions_are_respected,
    randlapack_3_and_4_ranks_do_not_depend_on_scale,
    randlapack_6_and_8_zero_and_nan_are_told_apart,
    randlapack_7_rsvd_reports_unmet_rank_and_tolerance,
    randlapack_1_outputs_need_not_be_zeroed,
    panther_8_stopping_is_scale_invariant,
    panther_rsvd_oversamples_by_default,
    panther_14_empty_rows_and_columns_keep_their_place,
    panther_15_srht_is_isotropic_for_matrices_and_fixed,
    panther_15_signs_are_never_zero,
    panther_16_seeds_are_arguments_and_nothing_else,
    panther_7_and_21_sparse_columns_are_drawn_directly,
    panther_23_rsvd_reads_sparse_input_as_it_is,
}
