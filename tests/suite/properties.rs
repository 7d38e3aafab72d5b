//! Random shapes, windows, layouts, seeds and scales: the laws that hold for all of them.

use crate::common::spectra::{harmonic, with_spectrum};
use crate::common::{
    FAMILIES, Layout, Plain, Stored, assert_same_bits, assert_within, cpus, noise, sketch,
};
use crate::decomp_checks::{bits, check_svd};
use proptest::prelude::*;
use randnla::decomp::{RsvdParams, rsvd};
use randnla::{Cpu, Error, Family, Sketch};

fn config(cases: u32) -> ProptestConfig {
    let rng_seed = proptest::test_runner::RngSeed::Fixed(0x5eed);
    ProptestConfig { cases, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
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

fn dense(s: &Sketch) -> Plain {
    Plain::of(s.to_mat::<f64, Cpu>(&cpus()[1]).unwrap().as_ref())
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

proptest! {
    #![proptest_config(config(64))]

    /// S·A, Sᵀ·Y, A·Sᵀ and Y·S are products with the matrix of entries, for any layouts.
    #[test]
    fn applications_are_products(
        s in operators(), n in 0..12usize, la in layouts(), lc in layouts(), seed in any::<u64>(),
        alpha in -2.0..2.0f64, beta in -2.0..2.0f64,
    ) {
        let cpu = &cpus()[1];
        let operator = dense(&s);
        for adjoint in [false, true] {
            let op = if adjoint { operator.transpose() } else { operator.clone() };
            let a = Stored::<f64>::new(la, op.cols, n, |i, j| noise(seed, i, j));
            let mut c = Stored::<f64>::new(lc, op.rows, n, |i, j| noise(!seed, i, j));
            let old = c.plain();
            let (view, out) = (a.view(cpu), c.view_mut(cpu));
            // From the left on A, and from the right on its transpose.
            match (adjoint, seed % 2 == 0) {
                (false, true) => s.apply_into(alpha, view, beta, out).unwrap(),
                (true, true) => s.apply_adjoint_into(alpha, view, beta, out).unwrap(),
                (false, false) => {
                    s.apply_right_into(alpha, view.transpose(), beta, out.transpose()).unwrap();
                }
                (true, false) => {
                    let (view, out) = (view.transpose(), out.transpose());
                    s.apply_right_adjoint_into(alpha, view, beta, out).unwrap();
                }
            }
            c.assert_gaps_untouched("an application");
            let product = op.times_exactly(&a.plain());
            let limit = bound(&s, &op, &a.plain());
            let at = |i, j| alpha * product.get(i, j) + beta * old.get(i, j);
            let exact = Plain::from_fn(op.rows, n, at);
            let limit = Plain::from_fn(op.rows, n, |i, j| {
                alpha.abs() * limit.get(i, j) + 6.0 * f64::EPSILON * f64::abs(beta * old.get(i, j))
            });
            assert_within(&format!("{s:?} adjoint {adjoint}"), &c.plain(), &exact, &limit);
        }
    }

    /// ⟨Sx, y⟩ = ⟨x, Sᵀy⟩ to the rounding of both sides.
    #[test]
    fn adjoints_are_adjoint(s in operators(), seed in any::<u64>()) {
        let cpu = &cpus()[0];
        let (d, m) = s.shape();
        let x = Plain::from_fn(m, 1, |i, j| noise(seed, i, j));
        let y = Plain::from_fn(d, 1, |i, j| noise(!seed, i, j));
        let image = Plain::of(s.apply(&x.to_mat::<f64, Cpu>(cpu)).unwrap().as_ref());
        let back = Plain::of(s.apply_adjoint(&y.to_mat::<f64, Cpu>(cpu)).unwrap().as_ref());
        let dot = |a: &Plain, b: &Plain| a.transpose().times_exactly(b).data[0];
        let operator = dense(&s);
        let size = dot(&bound(&s, &operator, &x), &y.abs())
            + dot(&bound(&s, &operator.transpose(), &y), &x.abs());
        prop_assert!((dot(&image, &y) - dot(&x, &back)).abs() <= size + f64::MIN_POSITIVE);
    }

    /// S·(2ᵉA) = 2ᵉ(S·A), bit for bit, and so with the factor α.
    #[test]
    fn sketches_scale_exactly(s in operators(), e in -200..200i32, n in 0..6usize) {
        let (m, cpu) = (s.ncols(), &cpus()[1]);
        let factor = 2f64.powi(e);
        let a = Plain::from_fn(m, n, |i, j| noise(1, i, j));
        let apply = |a: &Plain, alpha: f64| {
            let mut c = Stored::<f64>::new(Layout::Columns, s.nrows(), n, |_, _| f64::NAN);
            s.apply_into(alpha, &a.to_mat::<f64, Cpu>(cpu), 0.0, c.view_mut(cpu)).unwrap();
            c.plain()
        };
        let expected = apply(&a, 1.0).map(|x| x * factor);
        assert_same_bits("2ᵉA", &apply(&a.map(|x| x * factor), 1.0), &expected);
        assert_same_bits("α = 2ᵉ", &apply(&a, factor), &expected);
    }

    /// Windows of windows are slices of slices, for one and for three threads.
    #[test]
    fn windows_are_slices(s in operators()) {
        let (d, m) = s.full_shape();
        let whole = dense(&sketch(s.family(), d, m, s.seed()).unwrap());
        let (rows, cols) = (s.row_range(), s.col_range());
        let expected = whole.rows(rows.start, rows.end).columns(cols.start, cols.end);
        assert_same_bits("one thread or more", &dense(&s), &expected);
        let three = s.to_mat::<f64, Cpu>(&cpus()[2]).unwrap();
        assert_same_bits("three threads", &Plain::of(three.as_ref()), &expected);
    }

    /// Splitting the columns of S and the rows of A anywhere, the parts add up.
    #[test]
    fn splits_add_up(s in operators(), cut in 0..1000usize, n in 1..6usize) {
        let (m, cpu) = (s.ncols(), &cpus()[1]);
        let cut = cut % (m + 1);
        let a = Plain::from_fn(m, n, |i, j| noise(1, i, j));
        let mat = a.to_mat::<f64, Cpu>(cpu);
        let mut sum = s.columns(0..cut).apply(mat.rows(0..cut)).unwrap();
        s.columns(cut..m).apply_into(1.0, mat.rows(cut..m), 1.0, sum.as_mut()).unwrap();
        let whole = Plain::of(s.apply(&mat).unwrap().as_ref());
        let limit = bound(&s, &dense(&s), &a).map(|x| 3.0 * x);
        assert_within("two parts", &Plain::of(sum.as_ref()), &whole, &limit);
    }

    /// Wrong shapes are refused by name, and nothing is written.
    #[test]
    fn wrong_shapes_are_refused(
        s in operators(), rows in 0..60usize, cols in 0..6usize, out_rows in 0..60usize,
    ) {
        prop_assume!((rows, out_rows) != (s.ncols(), s.nrows()));
        let cpu = &cpus()[0];
        let a = Plain::zeros(rows, cols).to_mat::<f64, Cpu>(cpu);
        let mut c = Plain::from_fn(out_rows, cols, |_, _| 5.0).to_mat::<f64, Cpu>(cpu);
        let result = s.apply_into(1.0, &a, 0.0, c.as_mut());
        let refused = matches!(result, Err(Error::ShapeMismatch { .. }));
        prop_assert!(refused);
        prop_assert!(c.to_vec().unwrap().iter().all(|&x| x == 5.0));
    }
}

proptest! {
    #![proptest_config(config(32))]

    /// SVDs of random shapes, ranks and parameters are sound, scale exactly, and do not depend on
    /// threads.
    #[test]
    fn svds_are_sound_and_scale_exactly(
        m in 1..70usize, n in 1..70usize, rank in 0..70usize, p in 0..12usize, q in 0..4usize,
        krylov in any::<bool>(), block in 1..30usize, seed in any::<u64>(), e in -300..300i32,
    ) {
        let least = m.min(n);
        let a = with_spectrum(m, n, &harmonic(least), seed % 100);
        let params = RsvdParams::rank(rank.min(least))
            .oversampling(p)
            .power_passes(q)
            .krylov(krylov)
            .block_size(block)
            .seed(seed);
        let mat = a.to_mat::<f64, Cpu>(&cpus()[0]);
        let svd = rsvd(&mat, params).unwrap();
        check_svd("random parameters", &a, &svd);
        prop_assert_eq!(svd.rank(), rank.min(least));
        let other = rsvd(&a.to_mat::<f64, Cpu>(&cpus()[2]), params).unwrap();
        prop_assert!(bits(&other) == bits(&svd));
        let scaled = a.map(|x| x * 2f64.powi(e)).to_mat::<f64, Cpu>(&cpus()[0]);
        let scaled = rsvd(&scaled, params).unwrap();
        prop_assert!(scaled.u.to_vec().unwrap() == svd.u.to_vec().unwrap());
        prop_assert!(scaled.vt.to_vec().unwrap() == svd.vt.to_vec().unwrap());
        let expected: Vec<f64> = svd.s.iter().map(|s| s * 2f64.powi(e)).collect();
        prop_assert_eq!(scaled.s, expected);
        prop_assert_eq!(scaled.error.relative, svd.error.relative);
    }

    /// Searches to a tolerance keep their word.
    #[test]
    fn tolerances_are_kept(
        m in 1..60usize, n in 1..60usize, exponent in -8.0..-0.1f64, seed in any::<u64>(),
    ) {
        let tolerance = 10f64.powf(exponent);
        let a = with_spectrum(m, n, &harmonic(m.min(n)), seed % 100);
        let svd = rsvd(
            &a.to_mat::<f64, Cpu>(&cpus()[1]),
            RsvdParams::tolerance(tolerance).block_size(8).seed(seed),
        ).unwrap();
        let error = check_svd("a tolerance", &a, &svd);
        prop_assert!(svd.error.relative <= tolerance && error <= 1.05 * tolerance);
    }
}
