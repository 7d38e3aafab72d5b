//! TensorSketch: against its entries times products that are formed, its moments, and bad input.

use crate::common::{
    Layout, Place, Plain, Reference, Stored, assert_columns_within, cpus, noise, on_every_device,
};
use crate::kernels_convolve::convolution_bound;
use randnla::random::{Stream, sparse_stack_column, words64};
use randnla::{AsOperand, Backend, Cpu, Csr, Error, Mat, Scalar, TensorSketch};

/// The entries by the definition: rows add up modulo d, signs multiply.
fn entries(d: usize, lengths: &[usize], seed: u64) -> Plain {
    let [key, _] = words64(seed, Stream::TensorSketch, 0, 0);
    let mut s = Plain::zeros(d, lengths.iter().product());
    for at in 0..if d == 0 { 0 } else { s.cols } {
        let (mut rest, mut row, mut sign) = (at, 0, 1.0);
        for (i, &m) in lengths.iter().enumerate().rev() {
            let start: usize = lengths[..i].iter().sum();
            let mut packed = [0];
            sparse_stack_column(key, d as u32, (start + rest % m) as u64, &mut packed);
            rest /= m;
            row += (packed[0] >> 1) as usize;
            sign *= if packed[0] & 1 == 1 { -1.0 } else { 1.0 };
        }
        s.set(row % d, at, sign);
    }
    s
}

/// Column j is the Kronecker product of all columns j.
fn products(factors: &[Plain]) -> Plain {
    let n = factors[0].cols;
    let mut all = Plain::from_fn(1, n, |_, _| 1.0);
    for a in factors {
        let entry = |at, j| all.get(at / a.rows, j) * a.get(at % a.rows, j);
        all = Plain::from_fn(all.rows * a.rows, n, entry);
    }
    all
}

const SHAPES: [(usize, &[usize]); 10] = [
    (0, &[2, 3]),
    (1, &[4, 5]),
    (2, &[6, 3]),
    (8, &[7, 5]),
    (7, &[5]),
    (13, &[9, 4]),
    (12, &[3, 4, 5]),
    (16, &[2, 3, 4]),
    (5, &[2, 3, 2, 3]),
    (31, &[1, 8]),
];

fn entries_are_those_of_the_definition<D: Backend<f64>>(place: &Place<D>) {
    for (d, lengths) in SHAPES {
        let s = TensorSketch::new(d, lengths, 5).unwrap();
        assert_eq!((s.nrows(), s.factors()), (d, lengths.len()));
        let got = Plain::of(s.to_mat::<f64, D>(place.device()).unwrap().as_ref());
        assert_eq!(got, entries(d, lengths, 5), "{d} × {lengths:?}");
    }
}

fn sketches_of_products_meet_the_rounding_model<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    fn run<T: Scalar, D: Backend<T>>(
        what: &str,
        device: &D,
        s: &TensorSketch,
        (alpha, beta): (T, T),
        factors: &[Stored<T>],
        c: &Stored<T>,
    ) -> Plain {
        let placed: Vec<_> = factors.iter().map(|a| a.on(device)).collect();
        let views: Vec<_> = placed.iter().map(|a| a.view()).collect();
        c.after(what, device, |c| s.apply_into(alpha, &views, beta, c))
    }
    for (turn, (d, lengths)) in SHAPES.into_iter().enumerate() {
        let s = TensorSketch::new(d, lengths, turn as u64).unwrap();
        let operator = entries(d, lengths, turn as u64);
        for (k, n) in [0, 1, 3, 20].into_iter().enumerate() {
            let layout = |i: usize| Layout::READABLE[(turn + k + i) % 8];
            let factors: Vec<Stored<T>> = lengths
                .iter()
                .enumerate()
                .map(|(i, &m)| Stored::new(layout(i), m, n, |r, j| noise(i as u64, r, j)))
                .collect();
            let plain: Vec<Plain> = factors.iter().map(Stored::plain).collect();
            for (alpha, beta) in [(1.0, 0.0), (-0.75, 1.0), (0.0, 0.5)] {
                let what = format!("{} {d} × {lengths:?} n={n} α={alpha} β={beta}", T::NAME);
                let old = |i, j| if beta == 0.0 { f64::NAN } else { noise(9, i, j) };
                let c = Stored::<T>::new(Layout::WRITABLE[(turn + k) % 6], d, n, old);
                let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
                let got =
                    place.result(&what, |device| run(&what, device, &s, (x, y), &factors, &c));
                let mut expected = operator.times_exactly(&products(&plain));
                let old = c.plain();
                for (at, x) in expected.data.iter_mut().enumerate() {
                    let old = if beta == 0.0 { 0.0 } else { beta * old.data[at] };
                    *x = alpha * *x + old;
                }
                // CᵢAᵢ has an error of its own: mᵢ u times |Cᵢ||Aᵢ|.
                let sketched: Vec<Plain> = (0..s.factors())
                    .map(|i| {
                        let c = s.factor(i).to_mat::<f64, Cpu>(&cpus()[0]).unwrap();
                        Plain::of(c.as_ref()).abs().times(&plain[i].abs())
                    })
                    .collect();
                let longest = *lengths.iter().max().unwrap() as f64;
                let unit = T::UNIT_ROUNDOFF * (1.0 + longest / 10.0);
                let bound = convolution_bound(unit, (alpha, beta), &sketched, &old);
                assert_columns_within(&what, &got, &expected, &bound);
                let oracle = run(&what, &Reference, &s, (x, y), &factors, &c);
                assert_columns_within(&what, &oracle, &expected, &bound);
            }
        }
    }
}

/// Factors in compressed rows and columns, and a mixture of formats.
fn sparse_factors_give_the_same_sketch<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let (d, n) = (24, 7);
    let s = TensorSketch::new(d, &[30, 20], 3).unwrap();
    let keep = |x: f64| if x.abs() < 0.3 { x } else { 0.0 };
    let a = Plain::from_fn(30, n, |i, j| keep(noise(1, i, j)));
    let b = Plain::from_fn(20, n, |i, j| keep(noise(2, i, j)));
    let triplets = |a: &Plain| {
        let all = (0..a.rows * n).map(|at| (at % a.rows, at / a.rows, a.data[at]));
        all.filter(|entry| entry.2 != 0.0).collect::<Vec<_>>()
    };
    let (dense_a, dense_b) = (a.to_mat::<f64, D>(device), b.to_mat::<f64, D>(device));
    let rows = Csr::from_triplets(device, (30, n), &triplets(&a)).unwrap();
    let turned: Vec<_> = triplets(&b).into_iter().map(|(i, j, x)| (j, i, x)).collect();
    let turned = Csr::from_triplets(device, (n, 20), &turned).unwrap();
    let columns = turned.as_ref().transpose();
    let expected = Plain::of(s.apply(&[&dense_a, &dense_b]).unwrap().as_ref());
    let mixed = [rows.as_operand(), columns.as_operand()];
    let got = Plain::of(s.apply(&mixed).unwrap().as_ref());
    let sketched = [(0, &dense_a), (1, &dense_b)]
        .map(|(i, a)| Plain::of(s.factor(i).apply(a).unwrap().as_ref()));
    let bound = convolution_bound(4.0 * f64::EPSILON, (1.0, 0.0), &sketched, &expected);
    assert_columns_within("sparse", &got, &expected, &bound);
}

/// ⟨Sx, Sy⟩ has mean ⟨x, y⟩ and a variance below (2 + 3^q)/d ‖x‖²‖y‖².
///
/// Over N = 2000 seeds the mean is within 6 standard errors (taken from the bound) with probability
/// 1 − 2·10⁻⁹ a case. By Chebyshev on fourth moments the sampled variance exceeds twice its bound with
/// a probability far below 10⁻⁶; the bound itself has a slack of two and more for these vectors.
#[test]
fn inner_products_are_unbiased_and_their_variance_is_bounded() {
    const SEEDS: u64 = 2000;
    let cpu = &cpus()[0];
    for (d, lengths) in [(16, vec![6, 5]), (15, vec![6, 5]), (32, vec![3, 4, 3]), (9, vec![12])] {
        let q = lengths.len() as i32;
        // Two columns, the second one near the first, so that the inner product is not small.
        let factor = |i: usize, m: usize| {
            Plain::from_fn(m, 2, |r, j| noise(i as u64, r, 0) + 0.5 * j as f64 * noise(70, r, i))
        };
        let plain: Vec<Plain> = lengths.iter().enumerate().map(|(i, &m)| factor(i, m)).collect();
        let factors: Vec<Mat<f64>> = plain.iter().map(|a| a.to_mat(cpu)).collect();
        let all = products(&plain);
        let dot = |a: &Plain, j: usize, k: usize| {
            a.column(j).iter().zip(a.column(k)).map(|(x, y)| x * y).sum::<f64>()
        };
        for (j, k) in [(0, 0), (0, 1)] {
            let exact = dot(&all, j, k);
            let limit = (2.0 + 3f64.powi(q)) / d as f64 * dot(&all, j, j) * dot(&all, k, k);
            let (mut sum, mut squares) = (0.0, 0.0);
            for seed in 0..SEEDS {
                let s = TensorSketch::new(d, &lengths, seed).unwrap();
                let error = dot(&Plain::of(s.apply(&factors).unwrap().as_ref()), j, k) - exact;
                sum += error;
                squares += error * error;
            }
            let (mean, variance) = (sum / SEEDS as f64, squares / SEEDS as f64);
            let what = format!("{d} × {lengths:?} ({j}, {k})");
            assert!(mean.abs() <= 6.0 * (limit / SEEDS as f64).sqrt(), "{what}: mean {mean}");
            assert!(variance <= 2.0 * limit, "{what}: variance {variance}, allowed {limit}");
            // It is a sketch and not the identity.
            assert!(variance >= 1e-3 * limit, "{what}: variance {variance} of {limit}");
        }
    }
}

fn bad_input_is_refused<D: Backend<f64>>(place: &Place<D>) {
    let invalid = |result: Result<TensorSketch, Error>| {
        assert!(matches!(result, Err(Error::InvalidArgument { .. })), "{result:?}");
    };
    invalid(TensorSketch::new(4, &[], 1));
    invalid(TensorSketch::new(4, &[2; 9], 1));
    invalid(TensorSketch::new(1 << 31, &[2, 2], 1));
    invalid(TensorSketch::new(4, &[usize::MAX, 1], 1));
    let device = place.device();
    let s = TensorSketch::new(4, &[3, 2], 1).unwrap();
    let mat = |m, n| Mat::<f64, D>::zeros(device, m, n).unwrap();
    let wrong = s.apply(&[mat(3, 5)]);
    assert!(matches!(wrong, Err(Error::InvalidArgument { .. })), "{wrong:?}");
    for (m, n) in [(3, 5), (2, 4)] {
        let wrong = s.apply(&[mat(3, 5), mat(m, n)]);
        assert!(matches!(wrong, Err(Error::ShapeMismatch { .. })), "{wrong:?}");
    }
    let mut c = mat(5, 5);
    let wrong = s.apply_into(1.0, &[mat(3, 5), mat(2, 5)], 0.0, c.as_mut());
    assert!(matches!(wrong, Err(Error::ShapeMismatch { .. })), "{wrong:?}");
    let too_much = TensorSketch::new(4, &[1 << 40, 1 << 40], 1).unwrap().to_mat::<f64, D>(device);
    assert!(matches!(too_much, Err(Error::OutOfMemory { .. })), "{too_much:?}");
}

on_every_device! {
    entries_are_those_of_the_definition,
    sketches_of_products_meet_the_rounding_model: f32 f64,
    sparse_factors_give_the_same_sketch,
    bad_input_is_refused,
}
