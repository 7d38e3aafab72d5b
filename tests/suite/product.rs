//! Approximate products: what each method computes, exactness where it must be exact, scale, bad input.

use crate::common::spectra::{geometric, with_spectrum};
use crate::common::{
    FAMILIES, Layout, Place, Plain, Stored, assert_within, cuts, is_transform, noise,
    on_every_device, sketch,
};
use randnla::decomp::{ErrorKind, QbParams};
use randnla::product::{
    PlanParams, PlanReason, ProductMethod, Samples, Sampling, plan_product, product, product_into,
    tensor_product, tensor_product_into,
};
use randnla::{Backend, Csr, Error, Mat, Scalar, Sketch, TensorSketch};

pub const SAMPLINGS: [Sampling; 5] = [
    Sampling::Uniform,
    Sampling::Norms,
    Sampling::TopAndRest,
    Sampling::Poisson,
    Sampling::Systematic,
];

/// Terms of different weight that partly add up: columns of A and rows of B by powers of e.
pub fn factors(m: usize, n: usize, p: usize, shift: f64) -> (Plain, Plain) {
    let weight = |seed, k| (0.8 * noise(seed, 0, k)).exp();
    let a = Plain::from_fn(m, n, |i, k| (noise(1, i, k) + shift) * weight(2, k));
    let b = Plain::from_fn(n, p, |k, j| (noise(3, k, j) + shift) * weight(4, k));
    (a, b)
}

fn sample(sampling: Sampling, count: usize, seed: u64) -> ProductMethod {
    ProductMethod::Sample { sampling, count, seed }
}

/// One method of each kind for products with n ≥ 20 terms.
fn methods(n: usize) -> Vec<ProductMethod> {
    let mut methods: Vec<_> = SAMPLINGS.iter().map(|&s| sample(s, n / 3, 5)).collect();
    methods.push(ProductMethod::Exact);
    methods.push(ProductMethod::Sketch(Sketch::sparse_stack(16, n, 4, 5).unwrap()));
    methods.push(ProductMethod::Sketch(Sketch::gaussian(16, n, 5).unwrap()));
    methods.push(ProductMethod::LowRank(QbParams::rank(4).power_passes(0)));
    methods
}

/// α X Y + β C within the rounding of a product, for X and Y of `inner` columns that were rounded themselves.
fn check_product<T: Scalar>(
    what: &str,
    got: &Plain,
    (alpha, x, y): (f64, &Plain, &Plain),
    (beta, c): (f64, &Plain),
    rounded: f64,
) {
    let add = |p: &Plain, c: &Plain| {
        Plain::from_fn(p.rows, p.cols, |i, j| alpha * p.get(i, j) + beta * c.get(i, j))
    };
    let exact = add(&x.times_exactly(y), c);
    let u = T::UNIT_ROUNDOFF;
    let size = x.abs().times(&y.abs());
    let bound = Plain::from_fn(exact.rows, exact.cols, |i, j| {
        let product = (x.cols as f64 + rounded + 6.0) * alpha.abs() * size.get(i, j);
        u * (product + 3.0 * (beta * c.get(i, j)).abs())
    });
    assert_within(what, got, &exact, &bound);
}

/// (ASᵀ)(SB) for every family and layout, with α and β.
fn sketched_products_are_those_of_the_operator<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let (m, n, p, d) = (9, 40, 7, 12);
    let (a, b) = factors(m, n, p, 0.3);
    let (a, b) = (a.rounded::<T>(), b.rounded::<T>());
    let c = Plain::from_fn(m, p, |i, j| noise(9, i, j)).rounded::<T>();
    let layouts = [Layout::Columns, Layout::Rows, Layout::Strided];
    for (case, family) in FAMILIES.into_iter().enumerate() {
        if !place.takes(&cuts::PRODUCTS, case) {
            continue;
        }
        let s = sketch(family, d, n, 3).unwrap();
        let dense = Plain::of(s.to_mat::<T, D>(device).unwrap().as_ref());
        let (x, y) = (a.times_exactly(&dense.transpose()), dense.times_exactly(&b));
        let layout = layouts[case % 3];
        let (left, right) = (Stored::<T>::from_plain(layout, &a), Stored::from_plain(layout, &b));
        let (left, right) = (left.on(device), right.on(device));
        for (alpha, beta) in [(1.0, 0.0), (-0.5, 2.0), (0.0, 0.5)] {
            let what = format!("{} {family:?} α = {alpha}, β = {beta}", T::NAME);
            let mut got = c.map(|x| if beta == 0.0 { f64::NAN } else { x }).to_mat::<T, D>(device);
            let (alpha_t, beta_t) = (T::from_f64(alpha), T::from_f64(beta));
            let method = ProductMethod::Sketch(s);
            product_into(alpha_t, left.view(), right.view(), beta_t, got.as_mut(), method).unwrap();
            let (alpha_size, beta_c) =
                (alpha, if beta == 0.0 { c.map(|_| 0.0) } else { c.clone() });
            // ASᵀ and SB carry the rounding of their own sums; transforms spread theirs over a column.
            let grown = x.abs().times(&y.abs());
            let sizes = a.abs().times(&dense.abs().transpose()).times(&dense.abs().times(&b.abs()));
            let spread = if is_transform(family) { a.norm() * b.norm() * n as f64 } else { 0.0 };
            let exact = Plain::from_fn(m, p, |i, j| {
                alpha_size * x.times_exactly(&y).get(i, j) + beta * beta_c.get(i, j)
            });
            let u = T::UNIT_ROUNDOFF;
            let bound = Plain::from_fn(m, p, |i, j| {
                let sketches = 2.0 * (n as f64 + 8.0) * sizes.get(i, j) + spread;
                let product = (d as f64 + 4.0) * grown.get(i, j) + sketches;
                u * (product * alpha.abs() + 3.0 * (beta * beta_c.get(i, j)).abs())
            });
            assert_within(&what, &Plain::of(got.as_ref()), &exact, &bound);
        }
    }
}

/// Σ fₜ aₜbₜᵀ over the terms and factors that samples name, from any layout, with α and β.
fn samples_multiply_the_terms_that_they_name<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let (m, n, p) = (11, 70, 6);
    let (a, b) = factors(m, n, p, 0.3);
    let (a, b) = (a.rounded::<T>(), b.rounded::<T>());
    let c = Plain::from_fn(m, p, |i, j| noise(9, i, j)).rounded::<T>();
    let weights: Vec<f64> =
        (0..n).map(|k| a.columns(k, k + 1).norm() * b.rows(k, k + 1).norm()).collect();
    for (case, sampling) in SAMPLINGS.into_iter().enumerate() {
        let layout = [Layout::Columns, Layout::Rows, Layout::Backwards][case % 3];
        let (left, right) = (Stored::<T>::from_plain(layout, &a), Stored::from_plain(layout, &b));
        let (left, right) = (left.on(device), right.on(device));
        let samples = Samples::draw(left.view(), right.view(), sampling, 25, 3).unwrap();
        let (terms, factors) = (samples.terms(), samples.factors());
        assert!(
            terms.len() <= 25 || sampling == Sampling::Poisson,
            "{sampling:?}: {}",
            terms.len()
        );
        let mut distinct = terms.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), terms.len(), "{sampling:?}: a term twice");
        let column = |t: usize| terms[t] as usize;
        let x = Plain::from_fn(m, terms.len(), |i, t| a.get(i, column(t)) * factors[t]);
        let y = Plain::from_fn(terms.len(), p, |t, j| b.get(column(t), j));
        let what = format!("{} {sampling:?}", T::NAME);
        for (alpha, beta) in [(1.0, 0.0), (-0.5, 2.0)] {
            let mut got = c.to_mat::<T, D>(device);
            let (alpha_t, beta_t) = (T::from_f64(alpha), T::from_f64(beta));
            samples.product_into(alpha_t, left.view(), right.view(), beta_t, got.as_mut()).unwrap();
            let got = Plain::of(got.as_ref());
            check_product::<T>(&what, &got, (alpha, &x, &y), (beta, &c), 4.0);
        }
        // The same draws by the one call, and from the weights.
        let found = product(left.view(), right.view(), sample(sampling, 25, 3)).unwrap();
        let zero = c.map(|_| 0.0);
        check_product::<T>(&what, &Plain::of(found.c.as_ref()), (1.0, &x, &y), (0.0, &zero), 6.0);
        let again = Samples::<T, D>::from_weights(device, &weights, sampling, 25, 3).unwrap();
        assert_eq!(again.terms(), terms, "{what}");
    }
}

/// Enough terms, or an operator with as many rows as its transform: nothing is left out. Zero terms are never drawn.
fn nothing_is_lost_when_everything_is_taken<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let (m, n, p) = (8, 32, 5);
    let (a, b) = factors(m, n, p, 0.2);
    // Every third term is zero: 21 are left.
    let a = Plain::from_fn(m, n, |i, k| if k % 3 == 0 { 0.0 } else { a.get(i, k) }).rounded::<T>();
    let b = b.rounded::<T>();
    let (left, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
    let zero = Plain::zeros(m, p);
    for sampling in [Sampling::Systematic, Sampling::Poisson, Sampling::TopAndRest] {
        for count in [21, 22, 40] {
            let found = product(&left, &right, sample(sampling, count, 1)).unwrap();
            let what = format!("{} {sampling:?} {count}", T::NAME);
            check_product::<T>(
                &what,
                &Plain::of(found.c.as_ref()),
                (1.0, &a, &b),
                (0.0, &zero),
                0.0,
            );
            assert_eq!((found.error.absolute, found.error.relative), (0.0, 0.0), "{what}");
            assert_eq!(found.error.kind, ErrorKind::Identity, "{what}");
        }
    }
    for s in [Sketch::srht(32, n, 1), Sketch::srct(32, n, 1), Sketch::row_sampling(32, n, 1)] {
        let s = s.unwrap();
        let found = product(&left, &right, ProductMethod::Sketch(s)).unwrap();
        let difference = Plain::of(found.c.as_ref()).minus(&a.times_exactly(&b)).norm();
        let rounding = 100.0 * T::UNIT_ROUNDOFF * a.norm() * b.norm();
        assert!(difference <= rounding, "{:?}: {difference:e}", s.family());
        // The law is 0; cosines have it up to terms of 1/m.
        assert!(found.error.absolute <= rounding.sqrt() * (a.norm() * b.norm()).sqrt());
    }
    for seed in 0..40 {
        for sampling in [Sampling::Norms, Sampling::TopAndRest, Sampling::Poisson] {
            let samples = Samples::draw(left.as_ref(), right.as_ref(), sampling, 9, seed).unwrap();
            assert!(samples.terms().iter().all(|k| k % 3 != 0), "{sampling:?}");
        }
    }
}

/// A = 0, no columns, no rows, no terms: zeros, with an error of zero.
fn zero_and_empty_products_are_zero<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for (m, n, p) in [(6, 24, 5), (0, 24, 5), (6, 24, 0)] {
        let a = Mat::<T, D>::zeros(device, m, n).unwrap();
        let b = Plain::from_fn(n, p, |i, j| noise(1, i, j)).to_mat::<T, D>(device);
        for method in methods(24) {
            if matches!(method, ProductMethod::LowRank(_)) && m * p == 0 {
                continue;
            }
            let found = product(&a, &b, method).unwrap();
            assert_eq!(Plain::of(found.c.as_ref()), Plain::zeros(m, p), "{method:?}");
            let error = found.error;
            assert!(error.absolute == 0.0 && error.relative == 0.0, "{method:?}: {error:?}");
        }
        let plan = plan_product(a.as_ref(), b.as_ref(), PlanParams::target_error(0.1)).unwrap();
        assert_eq!(
            (plan.reason, plan.chosen.method),
            (PlanReason::ZeroProduct, ProductMethod::Exact)
        );
    }
    let (a, b) = (Mat::<T, D>::zeros(device, 4, 0).unwrap(), Mat::zeros(device, 0, 3).unwrap());
    let c = Plain::from_fn(4, 3, |i, j| noise(1, i, j)).rounded::<T>();
    let empty = Sketch::gaussian(5, 0, 1).unwrap();
    for method in
        [ProductMethod::Exact, sample(Sampling::Norms, 2, 1), ProductMethod::Sketch(empty)]
    {
        let mut into = c.to_mat::<T, D>(device);
        product_into(T::one(), &a, &b, T::from_f64(2.0), into.as_mut(), method).unwrap();
        assert_eq!(Plain::of(into.as_ref()), c.map(|x| 2.0 * x), "{method:?}");
    }
    // An operator without rows: C = 0, and the error is all of AB.
    let (a, b) = factors(5, 30, 4, 0.5);
    let none = ProductMethod::Sketch(Sketch::gaussian(0, 30, 1).unwrap());
    let found = product(&a.to_mat::<T, D>(device), &b.to_mat::<T, D>(device), none).unwrap();
    assert_eq!(Plain::of(found.c.as_ref()), Plain::zeros(5, 4));
    let truth = a.times(&b).norm();
    assert!(
        (0.25..4.0).contains(&(found.error.absolute / truth))
            && found.error.relative == f64::INFINITY
    );
}

/// A·2ᵉ and B·2ᶠ give C·2ᵉ⁺ᶠ and the error times that, bit for bit; and the same plan.
fn powers_of_two_scale_products_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let (a, b) = factors(20, 48, 18, 0.5);
    let (a, b) = (a.rounded::<T>(), b.rounded::<T>());
    let far = if size_of::<T>() == 4 { 40 } else { 400 };
    let (left, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
    let mut case = 0;
    for method in methods(48) {
        let base = product(&left, &right, method).unwrap();
        let plain = Plain::of(base.c.as_ref());
        for (e, f) in [(1, 0), (far, -far), (far, 20), (-far, -20), (-3, -far)] {
            case += 1;
            if !place.takes(&cuts::PRODUCTS, case) {
                continue;
            }
            let (x, y) = (2f64.powi(e), 2f64.powi(f));
            let left = a.map(|z| z * x).to_mat::<T, D>(device);
            let right = b.map(|z| z * y).to_mat::<T, D>(device);
            let found = product(&left, &right, method).unwrap();
            let what = format!("{} {method:?} 2^{e} 2^{f}", T::NAME);
            assert_eq!(Plain::of(found.c.as_ref()), plain.map(|z| z * x * y), "{what}");
            assert_eq!(found.error.absolute, base.error.absolute * x * y, "{what}");
            assert_eq!(found.error.relative, base.error.relative, "{what}");
        }
    }
    let params = PlanParams::target_error(0.4);
    let base = plan_product(left.as_ref(), right.as_ref(), params).unwrap();
    let (left, right) = (a.map(|z| z * 2f64.powi(far)), b.map(|z| z * 2f64.powi(3 - far)));
    let (left, right) = (left.to_mat::<T, D>(device), right.to_mat::<T, D>(device));
    let plan = plan_product(left.as_ref(), right.as_ref(), params).unwrap();
    assert_eq!(plan.chosen.method, base.chosen.method);
    let scaled = (8.0 * base.chosen.error, 8.0 * base.norm, base.kappa_squared);
    assert_eq!((plan.chosen.error, plan.norm, plan.kappa_squared), scaled);
}

/// Columns of A at 1e±140 next to rows of B at 1e∓140 (1e±18 in f32): weights are those of the products, which are moderate.
fn weights_beyond_the_range_of_squares<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let far: f64 = if size_of::<T>() == 4 { 1e18 } else { 1e140 };
    let power = |k: usize| [1.0, far, 1.0 / far][k % 3];
    let weight = |k: usize| if k == 7 { 50.0 } else { 1.0 };
    let a = Plain::from_fn(5, 30, |i, k| (1.0 + noise(1, i, k)) * power(k) * weight(k));
    let b = Plain::from_fn(30, 4, |k, j| (1.0 + noise(2, k, j)) / power(k));
    let (a, b) = (a.rounded::<T>(), b.rounded::<T>());
    let (left, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
    let exact = a.times(&b);
    let samples =
        Samples::draw(left.as_ref(), right.as_ref(), Sampling::Systematic, 24, 1).unwrap();
    let (terms, factors) = (samples.terms(), samples.factors());
    assert!(terms.contains(&7) && terms.len() == 24, "{terms:?}");
    assert!(factors.iter().all(|f| (1.0..4.0).contains(f)), "{factors:?}");
    let found = product(&left, &right, sample(Sampling::Systematic, 24, 1)).unwrap();
    let error = Plain::of(found.c.as_ref()).minus(&exact).norm();
    assert!(error < 0.2 * exact.norm(), "{error:e}");
    assert!(
        (0.2..5.0).contains(&(found.error.absolute / error)),
        "{:?}, true {error:e}",
        found.error
    );
}

/// NaN and infinity come through wherever a method reads them; samples by weight take such terms. The low-rank route and
/// plans say where they are.
fn what_is_not_finite_comes_through<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    for bad in [f64::NAN, f64::INFINITY] {
        let (mut a, b) = factors(8, 60, 9, 0.3);
        a.set(3, 41, bad);
        let (left, right) = (a.to_mat::<f64, D>(device), b.to_mat::<f64, D>(device));
        for method in methods(60) {
            match method {
                ProductMethod::Sample { sampling: Sampling::Uniform, .. } => continue,
                ProductMethod::LowRank(_) => {
                    let found = product(&left, &right, method).unwrap_err();
                    assert_eq!(found, Error::NonFinite { op: "product", row: 3, col: 41 });
                }
                _ => {
                    let found = product(&left, &right, method).unwrap();
                    let c = Plain::of(found.c.as_ref());
                    assert!((0..9).all(|j| !c.get(3, j).is_finite()), "{method:?}");
                    let relative = found.error.relative;
                    assert!(relative.is_nan() || method == ProductMethod::Exact, "{method:?}");
                }
            }
        }
        let plan = plan_product(left.as_ref(), right.as_ref(), PlanParams::target_error(0.1));
        assert_eq!(plan.unwrap_err(), Error::NonFinite { op: "plan_product", row: 3, col: 41 });
    }
}

/// The same bits on every handle.
fn products_do_not_depend_on_threads<D: Backend<f64>>(place: &Place<D>) {
    let (a, b) = factors(70, 300, 90, 0.3);
    for method in methods(300) {
        place.result(&format!("{method:?}"), |device| {
            let found = product(&a.to_mat::<f64, D>(device), &b.to_mat::<f64, D>(device), method);
            let found = found.unwrap();
            (Plain::of(found.c.as_ref()).data, found.error.absolute, found.error.relative)
        });
    }
    place.result("plan", |device| {
        let (a, b) = (a.to_mat::<f64, D>(device), b.to_mat::<f64, D>(device));
        plan_product(a.as_ref(), b.as_ref(), PlanParams::target_error(0.3)).unwrap()
    });
}

/// Sparse operands give what dense ones give, where a method takes them.
fn sparse_operands<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let (m, n, p) = (12, 40, 9);
    let thin = |a: &Plain| {
        Plain::from_fn(a.rows, a.cols, |i, j| if (i + j) % 4 == 0 { a.get(i, j) } else { 0.0 })
    };
    let (a, b) = factors(m, n, p, 0.3);
    let (a, b) = (thin(&a), thin(&b));
    let triplets = |a: &Plain| -> Vec<(usize, usize, f64)> {
        let all = (0..a.rows * a.cols).map(|at| (at % a.rows, at / a.rows, a.data[at]));
        all.filter(|entry| entry.2 != 0.0).collect()
    };
    let csr =
        |a: &Plain| Csr::<f64, D>::from_triplets(device, (a.rows, a.cols), &triplets(a)).unwrap();
    let (dense_a, dense_b) = (a.to_mat::<f64, D>(device), b.to_mat::<f64, D>(device));
    let exact = a.times_exactly(&b);
    let close = |what: &str, c: &Mat<f64, D>, expected: &Plain| {
        let difference = Plain::of(c.as_ref()).minus(expected).norm();
        assert!(difference <= 1e-13 * a.norm() * b.norm(), "{what}: {difference:e}");
    };
    let (rows_a, rows_b) = (csr(&a), csr(&b));
    let (turned_a, turned_b) = (csr(&a.transpose()), csr(&b.transpose()));
    let (columns_a, columns_b) = (turned_a.as_ref().transpose(), turned_b.as_ref().transpose());
    let sketch = ProductMethod::Sketch(Sketch::sparse_sign(20, n, 3, 2).unwrap());
    let sketched = Plain::of(product(&dense_a, &dense_b, sketch).unwrap().c.as_ref());
    for (method, expected) in [(ProductMethod::Exact, &exact), (sketch, &sketched)] {
        close("CSR · dense", &product(&rows_a, &dense_b, method).unwrap().c, expected);
        close("CSC · dense", &product(columns_a, &dense_b, method).unwrap().c, expected);
        close("dense · CSR", &product(&dense_a, &rows_b, method).unwrap().c, expected);
        close("dense · CSC", &product(&dense_a, columns_b, method).unwrap().c, expected);
        close("CSR · CSR", &product(&rows_a, &rows_b, method).unwrap().c, expected);
        close("CSC · CSC", &product(columns_a, columns_b, method).unwrap().c, expected);
    }
    let mixed = product(&rows_a, columns_b, ProductMethod::Exact);
    assert!(matches!(mixed, Err(Error::Unsupported { .. })));
    let found = product(&rows_a, columns_b, sketch).unwrap();
    close("CSR · CSC", &found.c, &sketched);
    // 20 probes of the error at hand: χ²/20 of the square, within a factor of 4 but for 3·10⁻⁹.
    let error = sketched.minus(&exact).norm();
    assert_eq!(found.error.kind, ErrorKind::Estimate { probes: 20 });
    assert!((0.25..3.0).contains(&(found.error.absolute / error)), "{:?}, {error}", found.error);
    let samples = product(&rows_a, &dense_b, sample(Sampling::Norms, 5, 1));
    assert!(matches!(samples, Err(Error::Unsupported { .. })));
    let low = product(&rows_a, columns_b, ProductMethod::LowRank(QbParams::rank(9))).unwrap();
    close("low rank", &low.c, &exact);
}

/// Near the best error of its rank (a basis of no more columns than that is not the best one), and said; a tolerance is reached.
fn low_rank_products_are_near_the_best<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let a = with_spectrum(60, 50, &geometric(0.7, 40), 1).rounded::<T>();
    let b = with_spectrum(50, 45, &geometric(0.8, 40), 5).rounded::<T>();
    let exact = a.times_exactly(&b);
    let sigma = exact.singular_values();
    let (left, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
    let rank = 6;
    let best = sigma[rank..].iter().map(|s| s * s).sum::<f64>().sqrt();
    let found = product(&left, &right, ProductMethod::LowRank(QbParams::rank(rank))).unwrap();
    let error = Plain::of(found.c.as_ref()).minus(&exact).norm();
    assert!(error <= 1.5 * best, "{error:e}, best {best:e}");
    assert!((0.25..3.0).contains(&(found.error.absolute / error)), "{:?}", found.error);
    let close = product(&left, &right, ProductMethod::LowRank(QbParams::tolerance(1e-2))).unwrap();
    let error = Plain::of(close.c.as_ref()).minus(&exact).norm();
    assert!(error <= 1e-2 * exact.norm() && close.error.relative <= 1e-2);
    let c = Plain::from_fn(60, 45, |i, j| noise(1, i, j)).rounded::<T>();
    let mut into = c.to_mat::<T, D>(device);
    let (alpha, beta) = (T::from_f64(-2.0), T::from_f64(0.5));
    let method = ProductMethod::LowRank(QbParams::rank(rank));
    product_into(alpha, &left, &right, beta, into.as_mut(), method).unwrap();
    let low = Plain::of(found.c.as_ref());
    let expected = Plain::from_fn(60, 45, |i, j| 0.5 * c.get(i, j) - 2.0 * low.get(i, j));
    let difference = Plain::of(into.as_ref()).minus(&expected).norm();
    assert!(difference <= 100.0 * T::UNIT_ROUNDOFF * (c.norm() + exact.norm()), "{difference:e}");
}

/// (SA)ᵀ(SB) is the product of features, and its error that of the kernel entries, on all rows or on some.
fn tensor_products_and_their_errors<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for (lengths, d, n_a) in [(&[6, 6][..], 64, 15), (&[5, 4, 3][..], 81, 15), (&[7][..], 5, 60)] {
        let n_b = 11;
        let make = |seed: u64, n: usize| -> Vec<Plain> {
            let factor = |(k, &m): (usize, &usize)| {
                Plain::from_fn(m, n, |i, j| 0.7 + noise(seed + k as u64, i, j)).rounded::<T>()
            };
            lengths.iter().enumerate().map(factor).collect()
        };
        let (a, b) = (make(1, n_a), make(20, n_b));
        let entry = |i: usize, j: usize| -> f64 {
            let inner = |(a, b): (&Plain, &Plain)| -> f64 {
                a.column(i).iter().zip(b.column(j)).map(|(x, y)| x * y).sum()
            };
            a.iter().zip(&b).map(inner).product()
        };
        let exact = Plain::from_fn(n_a, n_b, entry);
        let on = |factors: &[Plain]| -> Vec<Mat<T, D>> {
            factors.iter().map(|x| x.to_mat::<T, D>(device)).collect()
        };
        let (left, right) = (on(&a), on(&b));
        let s = TensorSketch::new(d, lengths, 4).unwrap();
        let found = tensor_product(&s, &left, &right).unwrap();
        let got = Plain::of(found.c.as_ref());
        let features = |factors: &[Mat<T, D>]| Plain::of(s.apply(factors).unwrap().as_ref());
        let (x, y) = (features(&left).transpose(), features(&right));
        let what = format!("{} {lengths:?}", T::NAME);
        check_product::<T>(&what, &got, (1.0, &x, &y), (0.0, &Plain::zeros(n_a, n_b)), 0.0);
        let error = got.minus(&exact).norm();
        let said = found.error;
        let rounding = 1e4 * T::UNIT_ROUNDOFF * exact.norm();
        if n_a <= 20 {
            assert_eq!(said.kind, ErrorKind::Residual);
            assert!((said.absolute - error).abs() <= rounding, "{what}: {said:?}, true {error:e}");
            assert!((said.relative - error / exact.norm()).abs() <= rounding / exact.norm());
        } else {
            assert_eq!(said.kind, ErrorKind::Sample { rows: 20 });
            assert!((0.5..2.0).contains(&(said.absolute / error)), "{what}: {said:?}, {error:e}");
        }
        let mut into = exact.to_mat::<T, D>(device);
        let (alpha, beta) = (T::from_f64(2.0), T::from_f64(-1.0));
        tensor_product_into(&s, alpha, &left, &right, beta, into.as_mut()).unwrap();
        check_product::<T>(
            &what,
            &Plain::of(into.as_ref()),
            (2.0, &x, &y),
            (-1.0, &exact.rounded::<T>()),
            0.0,
        );
    }
}

/// Gaussian terms point in all directions: nothing pays. Terms that add up, or singular values that fall: something does, and
/// keeps what it promises.
fn plans_say_exact_when_nothing_pays<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let s = |seed| Sketch::gaussian(200, 160, seed).unwrap();
    let (a, b) = (s(1).to_mat::<T, D>(device).unwrap(), s(2).to_mat::<T, D>(device).unwrap());
    for target in [0.01, 0.3] {
        let plan =
            plan_product(a.as_ref(), b.transpose(), PlanParams::target_error(target)).unwrap();
        assert_eq!((plan.chosen.method, plan.chosen.cost), (ProductMethod::Exact, 1.0), "{plan}");
        assert!(matches!(plan.reason, PlanReason::NonePays | PlanReason::NoneReaches), "{plan}");
        assert!((100.0..250.0).contains(&plan.kappa_squared), "{plan}");
    }
    let positive = Plain::from_fn(150, 400, |i, j| 1.0 + noise(1, i, j)).to_mat::<T, D>(device);
    let plan = plan_product(positive.as_ref(), positive.transpose(), PlanParams::target_error(0.1))
        .unwrap();
    assert_eq!(plan.reason, PlanReason::Cheapest, "{plan}");
    assert!(plan.chosen.cost < 1.0 && plan.candidates.windows(2).all(|w| w[0].cost <= w[1].cost));
    assert_eq!(plan.candidates[0], plan.chosen);
    let exact = Plain::of(
        product(&positive, positive.transpose(), ProductMethod::Exact).unwrap().c.as_ref(),
    );
    for found in &plan.candidates {
        let c = product(&positive, positive.transpose(), found.method).unwrap().c;
        let error = Plain::of(c.as_ref()).minus(&exact).norm();
        assert!((0.5..2.0).contains(&(found.error / error)), "{found:?}, true {error:e}");
        assert!(error <= 0.2 * exact.norm(), "{found:?}");
    }
}

fn bad_arguments_are_refused<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = Mat::<f64, D>::zeros(device, 4, 6).unwrap();
    let b = Mat::<f64, D>::zeros(device, 6, 3).unwrap();
    let method = ProductMethod::Sketch(Sketch::gaussian(2, 5, 1).unwrap());
    let refused = [
        product(&a, &a, ProductMethod::Exact).unwrap_err(),
        product(&a, &b, method).unwrap_err(),
        product_into(
            0.0,
            &a,
            &b,
            0.0,
            Mat::zeros(device, 4, 4).unwrap().as_mut(),
            ProductMethod::Exact,
        )
        .unwrap_err(),
        plan_product(a.as_ref(), a.as_ref(), PlanParams::target_error(0.1)).unwrap_err(),
        Samples::draw(a.as_ref(), a.as_ref(), Sampling::Norms, 2, 1).unwrap_err(),
        Samples::from_weights(device, &[1.0; 5], Sampling::Norms, 2, 1)
            .unwrap()
            .product_into(
                1.0,
                a.as_ref(),
                b.as_ref(),
                0.0,
                Mat::zeros(device, 4, 3).unwrap().as_mut(),
            )
            .unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    }
    let invalid = [
        product(&a, &b, sample(Sampling::Uniform, 0, 1)).unwrap_err(),
        product(&a, &b, ProductMethod::LowRank(QbParams::rank(4))).unwrap_err(),
        plan_product(a.as_ref(), b.as_ref(), PlanParams::target_error(0.0)).unwrap_err(),
        plan_product(a.as_ref(), b.as_ref(), PlanParams::target_error(f64::NAN)).unwrap_err(),
        Samples::<f64, D>::from_weights(device, &[1.0, -1.0], Sampling::Norms, 1, 1).unwrap_err(),
        Samples::<f64, D>::from_weights(device, &[1.0, f64::NAN], Sampling::Norms, 1, 1)
            .unwrap_err(),
        tensor_product(&TensorSketch::new(4, &[4, 4], 1).unwrap(), &[&a], &[&a]).unwrap_err(),
    ];
    for error in invalid {
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    }
}

on_every_device! {
    sketched_products_are_those_of_the_operator: f32 f64,
    samples_multiply_the_terms_that_they_name: f32 f64,
    nothing_is_lost_when_everything_is_taken: f32 f64,
    zero_and_empty_products_are_zero: f32 f64,
    powers_of_two_scale_products_exactly: f32 f64,
    weights_beyond_the_range_of_squares: f32 f64,
    what_is_not_finite_comes_through,
    products_do_not_depend_on_threads,
    sparse_operands,
    low_rank_products_are_near_the_best: f32 f64,
    tensor_products_and_their_errors: f32 f64,
    plans_say_exact_when_nothing_pays: f32 f64,
    bad_arguments_are_refused,
}
