//! What is read off a pivoted QR: subsets of columns and rows, interpolative decompositions, CUR.

use crate::common::spectra::{geometric, harmonic, orthonormal, with_spectrum};
use crate::common::{Place, Plain, noise, on_every_device};
use crate::decomp_checks::relative_error;
use randnla::decomp::{
    BqrrpParams, Cur, Interpolative, column_subset, cur, interpolative_decomposition,
    row_interpolative_decomposition, row_subset,
};
use randnla::{Backend, Error, Mat, Scalar};

fn narrow() -> BqrrpParams {
    BqrrpParams::default().block_size(8)
}

fn matrices<T: Scalar>() -> [(&'static str, Plain); 4] {
    let small = Plain::from_fn(60, 7, |i, j| noise(5, i, j));
    [
        ("1/i", with_spectrum(60, 45, &harmonic(45), 2)),
        ("0.7^i", with_spectrum(45, 60, &geometric(0.7, 45), 3)),
        ("of rank 7", small.times(&Plain::from_fn(7, 50, |i, j| noise(6, i, j)))),
        ("cosines", Plain::from_fn(40, 40, |i, j| ((i + 3) as f64 * (j + 2) as f64 / 90.0).cos())),
    ]
    .map(|(name, a)| (name, a.rounded::<T>()))
}

/// A − Q QᵀA relative to A for Q spanning `columns`, in `f64`: Gram-Schmidt twice.
fn left_by(a: &Plain, columns: &Plain) -> f64 {
    let mut q: Vec<Vec<f64>> = Vec::new();
    let project = |x: &mut Vec<f64>, q: &[Vec<f64>]| {
        for _ in 0..2 {
            for q in q {
                let dot: f64 = q.iter().zip(&*x).map(|(q, x)| q * x).sum();
                x.iter_mut().zip(q).for_each(|(x, q)| *x -= dot * q);
            }
        }
    };
    for j in 0..columns.cols {
        let mut x = columns.column(j).to_vec();
        project(&mut x, &q);
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 0.0 {
            x.iter_mut().for_each(|x| *x /= norm);
            q.push(x);
        }
    }
    let mut sum = 0.0;
    for j in 0..a.cols {
        let mut x = a.column(j).to_vec();
        project(&mut x, &q);
        sum += x.iter().map(|x| x * x).sum::<f64>();
    }
    sum.sqrt() / a.norm()
}

fn picked(a: &Plain, columns: &[usize]) -> Plain {
    Plain::from_fn(a.rows, columns.len(), |i, j| a.get(i, columns[j]))
}

/// The error of a subset is that of the projection on it; the subset is not far from the best of its size.
fn subsets_say_what_they_leave<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (name, a) in matrices::<T>() {
        let sigma = a.singular_values();
        for k in [1, 5, 12] {
            let mat: Mat<T, D> = a.to_mat(place.device());
            let columns = column_subset(mat.as_ref(), BqrrpParams::rank(k).block_size(8)).unwrap();
            let rows = row_subset(mat.as_ref(), BqrrpParams::rank(k).block_size(8)).unwrap();
            for (what, a, subset) in
                [("columns", a.clone(), columns), ("rows", a.transpose(), rows)]
            {
                let what = format!("{} {name}, {k} {what}", T::NAME);
                let found = subset.indices.len();
                assert!(found == k || name == "of rank 7" && found == 7, "{what}: {found}");
                let left = left_by(&a, &picked(&a, &subset.indices));
                let gap = (subset.error.relative - left).abs();
                assert!(
                    gap <= 60.0 * T::UNIT_ROUNDOFF + 1e-4 * left,
                    "{what}: {left:e}, {subset:?}"
                );
                let best = sigma[found..].iter().map(|s| s * s).sum::<f64>().sqrt() / a.norm();
                let limit = 4.0 * best + 100.0 * T::UNIT_ROUNDOFF;
                assert!(left <= limit, "{what}: {left:e}, the best is {best:e}");
            }
        }
    }
}

/// A ≈ A[:, J]·X with the error that is reported, the identity in X, and coefficients of some units.
fn interpolative_decompositions_interpolate<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let u = T::UNIT_ROUNDOFF;
    for (name, a) in matrices::<T>() {
        for target in [0.2, 1e-2, 1e-4] {
            let mat: Mat<T, D> = a.to_mat(place.device());
            let params = BqrrpParams::tolerance(target).block_size(8);
            let by_columns = interpolative_decomposition(mat.as_ref(), params).unwrap();
            let by_rows = row_interpolative_decomposition(mat.as_ref(), params).unwrap();
            for (what, a, id, x) in [
                ("columns", a.clone(), &by_columns, Plain::of(by_columns.coefficients.as_ref())),
                ("rows", a.transpose(), &by_rows, Plain::of(by_rows.coefficients.transpose())),
            ] {
                let Interpolative { indices, largest, error, .. } = id;
                let what = format!("{} {name} to {target:e}, {what}", T::NAME);
                assert!(error.relative <= target, "{what}: {error:?}");
                assert_eq!((x.rows, x.cols), (indices.len(), a.cols), "{what}");
                for (i, &j) in indices.iter().enumerate() {
                    let unit = |k: usize| f64::from(u8::from(k == i));
                    assert!((0..x.rows).all(|k| x.get(k, j) == unit(k)), "{what}: column {j} of X");
                }
                let max = x.data.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
                assert!(max == *largest && max < 20.0, "{what}: {max}, said {largest}");
                let actual = relative_error(&a, &picked(&a, indices).times(&x));
                let gap = (actual - error.relative).abs();
                let limit = 200.0 * u * x.norm() + 1e-3 * actual;
                assert!(gap <= limit, "{what}: {actual:e}, said {error:?}");
            }
        }
    }
}

/// C and R are columns and rows; the error is that of C U R, and little above that of both projections.
fn cur_keeps_columns_and_rows<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (name, a) in matrices::<T>() {
        for k in [1, 6, 11] {
            let what = format!("{} {name}, {k}", T::NAME);
            let mat: Mat<T, D> = a.to_mat(place.device());
            let Cur { columns, rows, c, u, r, error } =
                cur(mat.as_ref(), BqrrpParams::rank(k).block_size(8)).unwrap();
            let [c, u, r] = [c, u, r].map(|x| Plain::of(x.as_ref()));
            assert!(c == picked(&a, &columns), "{what}: C");
            assert!(r == picked(&a.transpose(), &rows).transpose(), "{what}: R");
            assert_eq!((u.rows, u.cols), (columns.len(), rows.len()), "{what}");
            let actual = relative_error(&a, &c.times(&u).times(&r));
            // C, U and R are multiplied in T for the error that is reported.
            let rounding = 200.0 * T::UNIT_ROUNDOFF * c.norm() * u.norm() * r.norm() / a.norm();
            let gap = (actual - error.relative).abs();
            assert!(gap <= rounding + 1e-3 * actual, "{what}: {actual:e}, said {error:?}");
            let by_columns = left_by(&a, &c);
            let by_rows = left_by(&a.transpose(), &r.transpose());
            let limit = 1.001 * by_columns.hypot(by_rows) + rounding;
            assert!(actual <= limit, "{what}: {actual:e} above {by_columns:e} and {by_rows:e}");
        }
    }
}

fn powers_of_two_scale_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let a = with_spectrum(40, 30, &geometric(0.8, 30), 4).rounded::<T>();
    let mat = |factor: f64| -> Mat<T, D> { a.map(|x| x * factor).to_mat(place.device()) };
    let params = BqrrpParams::rank(10).block_size(8);
    for e in if size_of::<T>() == 4 { [1, 40, -40] } else { [1, 400, -400] } {
        let factor = 2f64.powi(e);
        let [one, other] = [1.0, factor]
            .map(|factor| interpolative_decomposition(mat(factor).as_ref(), params).unwrap());
        assert_eq!((&one.indices, one.largest), (&other.indices, other.largest), "2^{e}");
        assert!(one.coefficients.to_vec().unwrap() == other.coefficients.to_vec().unwrap());
        let [one, other] = [1.0, factor].map(|factor| cur(mat(factor).as_ref(), params).unwrap());
        assert_eq!((&one.rows, &one.columns), (&other.rows, &other.columns), "2^{e}");
        let u = Plain::of(one.u.as_ref()).map(|x| x / factor);
        assert!(u == Plain::of(other.u.as_ref()), "2^{e}: U");
        assert_eq!(one.error.absolute * factor, other.error.absolute, "2^{e}");
    }
}

fn zero_empty_and_not_finite<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n) in [(0, 0), (0, 4), (4, 0), (9, 12)] {
        let a: Mat<T, D> = Plain::zeros(m, n).to_mat(place.device());
        assert!(column_subset(a.as_ref(), narrow()).unwrap().indices.is_empty());
        let id = interpolative_decomposition(a.as_ref(), narrow()).unwrap();
        assert_eq!((id.coefficients.shape(), id.largest), ((0, n), 0.0));
        let id = row_interpolative_decomposition(a.as_ref(), narrow()).unwrap();
        assert_eq!((id.coefficients.shape(), id.error.relative), ((m, 0), 0.0));
        let cur = cur(a.as_ref(), narrow()).unwrap();
        assert_eq!((cur.c.shape(), cur.u.shape(), cur.r.shape()), ((m, 0), (0, 0), (0, n)));
    }
    let mut a = Plain::from_fn(20, 30, |i, j| noise(2, i, j));
    a.set(7, 3, f64::NAN);
    let a: Mat<T, D> = a.to_mat(place.device());
    let a = a.as_ref();
    let named = |result: Result<(), Error>, name: &str| {
        let named = matches!(result, Err(Error::NonFinite { op, row: 7, col: 3 }) if op == name);
        assert!(named, "{name}: {result:?}");
    };
    named(column_subset(a, narrow()).map(|_| ()), "column_subset");
    named(row_subset(a, narrow()).map(|_| ()), "row_subset");
    let name = "interpolative_decomposition";
    named(interpolative_decomposition(a, narrow()).map(|_| ()), name);
    let name = "row_interpolative_decomposition";
    named(row_interpolative_decomposition(a, narrow()).map(|_| ()), name);
    named(cur(a, narrow()).map(|_| ()), "cur");
    let refused = column_subset(a, BqrrpParams::tolerance(2.0)).map(|_| ());
    assert!(matches!(refused, Err(Error::InvalidArgument { argument: "tolerance", .. })));
}

/// Orthonormal columns, each in one row of its own, with others that repeat them: nothing else can be picked.
fn disjoint_columns_are_their_own_subset<D: Backend<f64>>(place: &Place<D>) {
    let base = orthonormal(30, 6, 4);
    let a = Plain::from_fn(30, 24, |i, j| base.get(i, j % 6) * if j < 6 { 2.0 } else { 1.0 });
    let mat: Mat<f64, D> = a.to_mat(place.device());
    let mut subset = column_subset(mat.as_ref(), narrow()).unwrap();
    subset.indices.sort_unstable();
    assert_eq!(subset.indices, [0, 1, 2, 3, 4, 5]);
    assert!(subset.error.relative < 1e-14);
}

on_every_device! {
    subsets_say_what_they_leave: f32 f64,
    interpolative_decompositions_interpolate: f32 f64,
    cur_keeps_columns_and_rows: f32 f64,
    powers_of_two_scale_exactly: f32 f64,
    zero_empty_and_not_finite: f32 f64,
    disjoint_columns_are_their_own_subset,
}
