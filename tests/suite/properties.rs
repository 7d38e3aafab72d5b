//! Random shapes, windows, layouts, seeds and scales: the laws that hold for all of them.

use crate::common::spectra::{harmonic, with_spectrum};
use crate::common::{
    FAMILIES, Layout, Place, Plain, Stored, assert_same_bits, assert_within, cuts, noise,
    on_every_device, sketch,
};
use crate::decomp_checks::{bits, check_svd};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseResult, TestRunner};
use randnla::decomp::{RsvdParams, rsvd};
use randnla::{Backend, Error, Family, Sketch};

/// Runs a property on as many cases as the place has time for.
fn hold<D, S: Strategy>(
    place: &Place<D>,
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> TestCaseResult,
) {
    let cases = (0..cases).filter(|&case| place.takes(&cuts::PROPERTIES, case as usize)).count();
    let rng_seed = RngSeed::Fixed(0x5eed);
    let config = ProptestConfig {
        cases: cases as u32,
        failure_persistence: None,
        rng_seed,
        ..ProptestConfig::default()
    };
    if let Err(failure) = TestRunner::new(config).run(&strategy, property) {
        panic!("{failure}");
    }
}

/// A window of an operator of any family.
fn operators() -> impl Strategy<Value = Sketch> {
    let shape = (0..FAMILIES.len(), 1..40usize, 1..90usize, any::<u64>());
    let window = (0..1000usize, 0..1000usize, 0..1000usize, 0..1000usize);
    (shape, window).prop_map(|((family, d, m, seed), (top, height, left, width))| {
        let family = FAMILIES[family];
        let s = sketch(family, d.min(m), m, seed).unwrap();
        let (d, m) = s.shape();
        let (top, left) = (top % d, left % m);
        s.rows(top..top + height % (d - top + 1)).columns(left..left + width % (m - left + 1))
    })
}

fn layouts() -> impl Strategy<Value = Layout> {
    (0..6usize).prop_map(|at| Layout::WRITABLE[at])
}

fn dense<D: Backend<f64>>(s: &Sketch, device: &D) -> Plain {
    Plain::of(s.to_mat::<f64, D>(device).unwrap().as_ref())
}

/// The rounding model of one application; transforms spread their errors over a column.
fn bound(s: &Sketch, operator: &Plain, a: &Plain) -> Plain {
    let spread = match s.family() {
        Family::Srht | Family::Srct | Family::HadamardDiagonal => 200.0 * s.scale(),
        _ => 0.0,
    };
    let size = operator.abs().times(&a.abs());
    let norms: Vec<f64> = (0..a.cols).map(|j| a.columns(j, j + 1).norm()).collect();
    Plain::from_fn(size.rows, size.cols, |i, j| {
        f64::EPSILON / 2.0 * ((a.rows as f64 + 6.0) * size.get(i, j) + spread * norms[j])
    })
}

/// S·A, Sᵀ·Y, A·Sᵀ and Y·S are products with the matrix of entries, for any layouts.
fn applications_are_products<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let input = (operators(), 0..12usize, layouts(), layouts(), any::<u64>());
    let factors = (-2.0..2.0f64, -2.0..2.0f64);
    hold(place, 64, (input, factors), |((s, n, la, lc, seed), (alpha, beta))| {
        let operator = dense(&s, device);
        for adjoint in [false, true] {
            let what = format!("{s:?} adjoint {adjoint}");
            let op = if adjoint { operator.transpose() } else { operator.clone() };
            let a = Stored::<f64>::new(la, op.cols, n, |i, j| noise(seed, i, j));
            let c = Stored::<f64>::new(lc, op.rows, n, |i, j| noise(!seed, i, j));
            let on = a.on(device);
            // From the left on A, and from the right on its transpose.
            let got = c.after(&what, device, |c| match (adjoint, seed % 2 == 0) {
                (false, true) => s.apply_into(alpha, on.view(), beta, c),
                (true, true) => s.apply_adjoint_into(alpha, on.view(), beta, c),
                (false, false) => {
                    s.apply_right_into(alpha, on.view().transpose(), beta, c.transpose())
                }
                (true, false) => {
                    s.apply_right_adjoint_into(alpha, on.view().transpose(), beta, c.transpose())
                }
            });
            let (old, product) = (c.plain(), op.times_exactly(&a.plain()));
            let limit = bound(&s, &op, &a.plain());
            let at = |i, j| alpha * product.get(i, j) + beta * old.get(i, j);
            let exact = Plain::from_fn(op.rows, n, at);
            let limit = Plain::from_fn(op.rows, n, |i, j| {
                alpha.abs() * limit.get(i, j) + 6.0 * f64::EPSILON * f64::abs(beta * old.get(i, j))
            });
            assert_within(&what, &got, &exact, &limit);
        }
        Ok(())
    });
}

/// ⟨Sx, y⟩ = ⟨x, Sᵀy⟩ to the rounding of both sides.
fn adjoints_are_adjoint<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    hold(place, 64, (operators(), any::<u64>()), |(s, seed)| {
        let (d, m) = s.shape();
        let x = Plain::from_fn(m, 1, |i, j| noise(seed, i, j));
        let y = Plain::from_fn(d, 1, |i, j| noise(!seed, i, j));
        let image = Plain::of(s.apply(&x.to_mat::<f64, D>(device)).unwrap().as_ref());
        let back = Plain::of(s.apply_adjoint(&y.to_mat::<f64, D>(device)).unwrap().as_ref());
        let dot = |a: &Plain, b: &Plain| a.transpose().times_exactly(b).data[0];
        let operator = dense(&s, device);
        let size = dot(&bound(&s, &operator, &x), &y.abs())
            + dot(&bound(&s, &operator.transpose(), &y), &x.abs());
        prop_assert!((dot(&image, &y) - dot(&x, &back)).abs() <= size + f64::MIN_POSITIVE);
        Ok(())
    });
}

/// S·(2ᵉA) = 2ᵉ(S·A), bit for bit, and so with the factor α.
fn sketches_scale_exactly<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    hold(place, 64, (operators(), -200..200i32, 0..6usize), |(s, e, n)| {
        let (m, factor) = (s.ncols(), 2f64.powi(e));
        let a = Plain::from_fn(m, n, |i, j| noise(1, i, j));
        let apply = |a: &Plain, alpha: f64| {
            let c = Stored::<f64>::new(Layout::Columns, s.nrows(), n, |_, _| f64::NAN);
            let a = a.to_mat::<f64, D>(device);
            c.after("S·A", device, |c| s.apply_into(alpha, &a, 0.0, c))
        };
        let expected = apply(&a, 1.0).map(|x| x * factor);
        assert_same_bits("2ᵉA", &apply(&a.map(|x| x * factor), 1.0), &expected);
        assert_same_bits("α = 2ᵉ", &apply(&a, factor), &expected);
        Ok(())
    });
}

/// Windows of windows are slices of slices, on every handle.
fn windows_are_slices<D: Backend<f64>>(place: &Place<D>) {
    hold(place, 64, operators(), |s| {
        let (d, m) = s.full_shape();
        let whole = dense(&sketch(s.family(), d, m, s.seed()).unwrap(), place.device());
        let (rows, cols) = (s.row_range(), s.col_range());
        let expected = whole.rows(rows.start, rows.end).columns(cols.start, cols.end);
        let got = place.result("a window", |device| dense(&s, device));
        assert_same_bits("a window", &got, &expected);
        Ok(())
    });
}

/// Splitting the columns of S and the rows of A anywhere, the parts add up.
fn splits_add_up<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    hold(place, 64, (operators(), 0..1000usize, 1..6usize), |(s, cut, n)| {
        let m = s.ncols();
        let cut = cut % (m + 1);
        let a = Plain::from_fn(m, n, |i, j| noise(1, i, j));
        let mat = a.to_mat::<f64, D>(device);
        let mut sum = s.columns(0..cut).apply(mat.rows(0..cut)).unwrap();
        s.columns(cut..m).apply_into(1.0, mat.rows(cut..m), 1.0, sum.as_mut()).unwrap();
        let whole = Plain::of(s.apply(&mat).unwrap().as_ref());
        let limit = bound(&s, &dense(&s, device), &a).map(|x| 3.0 * x);
        assert_within("two parts", &Plain::of(sum.as_ref()), &whole, &limit);
        Ok(())
    });
}

/// Wrong shapes are refused by name, and nothing is written.
fn wrong_shapes_are_refused<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let shapes = (operators(), 0..60usize, 0..6usize, 0..60usize);
    hold(place, 64, shapes, |(s, rows, cols, out_rows)| {
        prop_assume!((rows, out_rows) != (s.ncols(), s.nrows()));
        let a = Plain::zeros(rows, cols).to_mat::<f64, D>(device);
        let mut c = Plain::from_fn(out_rows, cols, |_, _| 5.0).to_mat::<f64, D>(device);
        let result = s.apply_into(1.0, &a, 0.0, c.as_mut());
        let refused = matches!(result, Err(Error::ShapeMismatch { .. }));
        prop_assert!(refused);
        prop_assert!(c.to_vec().unwrap().iter().all(|&x| x == 5.0));
        Ok(())
    });
}

/// SVDs of random shapes, ranks and parameters are sound, scale exactly, and are the same on every
/// handle.
fn svds_are_sound_and_scale_exactly<D: Backend<f64>>(place: &Place<D>) {
    let shapes = (1..70usize, 1..70usize, 0..70usize);
    let parameters = (0..12usize, 0..4usize, any::<bool>(), 1..30usize, any::<u64>());
    hold(place, 32, (shapes, parameters, -300..300i32), |((m, n, rank), parameters, e)| {
        let (p, q, krylov, block, seed) = parameters;
        let least = m.min(n);
        let a = with_spectrum(m, n, &harmonic(least), seed % 100);
        let params = RsvdParams::rank(rank.min(least))
            .oversampling(p)
            .power_passes(q)
            .krylov(krylov)
            .block_size(block)
            .seed(seed);
        place.result("an SVD", |device| bits(&rsvd(&a.to_mat::<f64, D>(device), params).unwrap()));
        let device = place.device();
        let svd = rsvd(&a.to_mat::<f64, D>(device), params).unwrap();
        check_svd("random parameters", &a, &svd);
        prop_assert_eq!(svd.rank(), rank.min(least));
        let scaled = a.map(|x| x * 2f64.powi(e)).to_mat::<f64, D>(device);
        let scaled = rsvd(&scaled, params).unwrap();
        prop_assert!(scaled.u.to_vec().unwrap() == svd.u.to_vec().unwrap());
        prop_assert!(scaled.vt.to_vec().unwrap() == svd.vt.to_vec().unwrap());
        let expected: Vec<f64> = svd.s.iter().map(|s| s * 2f64.powi(e)).collect();
        prop_assert_eq!(scaled.s, expected);
        prop_assert_eq!(scaled.error.relative, svd.error.relative);
        Ok(())
    });
}

/// Searches to a tolerance keep their word.
fn tolerances_are_kept<D: Backend<f64>>(place: &Place<D>) {
    let input = (1..60usize, 1..60usize, -8.0..-0.1f64, any::<u64>());
    hold(place, 32, input, |(m, n, exponent, seed)| {
        let tolerance = 10f64.powf(exponent);
        let a = with_spectrum(m, n, &harmonic(m.min(n)), seed % 100);
        let params = RsvdParams::tolerance(tolerance).block_size(8).seed(seed);
        let svd = rsvd(&a.to_mat::<f64, D>(place.device()), params).unwrap();
        let error = check_svd("a tolerance", &a, &svd);
        prop_assert!(svd.error.relative <= tolerance && error <= 1.05 * tolerance);
        Ok(())
    });
}

on_every_device! {
    applications_are_products,
    adjoints_are_adjoint,
    sketches_scale_exactly,
    windows_are_slices,
    splits_add_up,
    wrong_shapes_are_refused,
    svds_are_sound_and_scale_exactly,
    tolerances_are_kept,
}
