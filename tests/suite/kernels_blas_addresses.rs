//! Copies, gathers, norms and searches on a GPU do not depend on where a matrix lies, to the bit.
//!
//! Kernels move 16 bytes at once where columns allow it, entries before and after by themselves, and
//! everything by itself elsewhere. Every alignment of two matrices, alike and not, leading dimensions
//! that do and do not keep it, strides of both signs, and lengths around an item, a column of items and a
//! tile must give the same bits; those of the first place are compared with the oracle.

use crate::common::{Place, Plain, Reference, Stored, assert_same_bits, assert_within, noise};
use randnla::{Backend, Cuda, Scalar};

/// Rows around a vector, columns around a tile of short columns.
const SHORT: [(usize, usize); 12] = [
    (1, 1),
    (1, 9),
    (2, 5),
    (3, 70),
    (4, 9),
    (5, 130),
    (6, 3),
    (7, 300),
    (8, 1),
    (9, 33),
    (67, 3),
    (130, 11),
];
/// Rows around 256 and 512 items of four, two and one entries, and around parts of sums.
const LONG: [(usize, usize); 7] =
    [(257, 2), (515, 3), (1029, 2), (1031, 9), (2056, 1), (4104, 1), (9, 4105)];

/// Where a matrix lies: elements before it, and strides.
type Spot = (usize, (isize, isize));

/// Places with one direction fast.
fn spots(m: usize, n: usize, by_rows: bool, alignments: usize) -> Vec<Spot> {
    let fast = if by_rows { n } else { m } as isize;
    let aligned = (fast + 3) / 4 * 4;
    let mut spots = vec![(0, (1, aligned))];
    for ld in [aligned, aligned + 1, fast] {
        spots.extend((0..alignments).map(|margin| (margin, (1, ld))));
    }
    spots.extend([(0, (-1, aligned)), (1, (1, -aligned)), (0, (-1, -aligned)), (0, (2, 2 * fast))]);
    let turned = |(margin, (down, right)): Spot| (margin, (right, down));
    if by_rows { spots.into_iter().map(turned).collect() } else { spots }
}

/// What the kernels make of A and B.
fn results<T: Scalar, D: Backend<T>>(device: &D, a: &Stored<T>, b: &Stored<T>) -> Vec<Plain> {
    let (m, n) = (a.plain().rows, a.plain().cols);
    let on_a = a.on(device);
    let view = on_a.view();
    let what = "a call";
    let (x, y) = (T::from_f64(-0.75), T::from_f64(0.5));
    let scale: Vec<T> = (0..n).map(|j| T::from_f64(noise(4, 0, j))).collect();
    // Rows in a scrambled order, of which the last is left out.
    let step = [7, 11, 13].into_iter().find(|step| m % step != 0).unwrap();
    let index: Vec<usize> = (0..m.max(2) - 1).map(|i| i * step % m).collect();
    let count = index.len();
    let mut sums = vec![f64::NAN; n];
    device.column_sums_of_squares(view, 0, &mut sums).unwrap();
    let norms = [device.sum_of_squares(view, 0).unwrap(), device.max_abs(view).unwrap()];
    vec![
        b.after(what, device, |b| device.axpby(x, view, y, b)),
        b.after(what, device, |b| device.axpby(T::one(), view, T::zero(), b)),
        b.after(what, device, |b| device.scale(x, b)),
        b.after(what, device, |b| device.scale_columns(&scale, b)),
        b.after(what, device, |b| device.gather_rows(&index, view, b.rows(0..count))),
        b.after(what, device, |b| device.scatter_rows(&index, view.rows(0..count), b)),
        Plain::from_fn(1, n, |_, j| sums[j]),
        Plain::from_fn(2, 1, |i, _| norms[i]),
    ]
}

/// The places of entries that are not finite, the first by rows and nothing else.
fn assert_found<T: Scalar, D: Backend<T>>(device: &D, (margin, strides): Spot, m: usize, n: usize) {
    assert_eq!(find(device, (margin, strides), m, n, &[]), None);
    for at in [(0, 0), (m - 1, n - 1), (m / 2, n / 2), (m - 1, 0), (0, n - 1)] {
        let others = [at, (at.0, n - 1), (m - 1, at.1), (m - 1, n - 1)];
        let found = find::<T, D>(device, (margin, strides), m, n, &others);
        assert_eq!(found, Some(at), "{m}×{n} from {margin} by {strides:?}");
    }
    fn find<T: Scalar, D: Backend<T>>(
        device: &D,
        (margin, strides): Spot,
        m: usize,
        n: usize,
        infinite: &[(usize, usize)],
    ) -> Option<(usize, usize)> {
        let entry = |i, j| if infinite.contains(&(i, j)) { f64::INFINITY } else { noise(1, i, j) };
        let a = Stored::<T>::at(margin, strides, m, n, entry).on(device);
        device.find_non_finite(a.view()).unwrap()
    }
}

fn results_are_the_same_at_every_address<T: Scalar>(place: &Place<Cuda>)
where
    Cuda: Backend<T>,
{
    let device = place.device();
    let count = 16 / size_of::<T>();
    let short = SHORT.map(|shape| (shape, count));
    for ((m, n), alignments) in short.into_iter().chain(LONG.map(|shape| (shape, 2))) {
        for by_rows in [false, true] {
            let spots = spots(m, n, by_rows, alignments);
            let mut first: Option<Vec<Plain>> = None;
            for (turn, &(margin, strides)) in spots.iter().enumerate() {
                let what = format!("{} {m}×{n} from {margin} by {strides:?}", T::NAME);
                // B beside an A that is aligned like it, and one that is not.
                let other = spots[(turn + turn % 2) % spots.len()];
                let a = Stored::<T>::at(margin, strides, m, n, |i, j| noise(1, i, j));
                let b = Stored::<T>::at(other.0, other.1, m, n, |i, j| noise(2, i, j));
                let got = results(device, &a, &b);
                assert_found::<T, Cuda>(device, (margin, strides), m, n);
                match &first {
                    Some(first) => {
                        for (got, first) in got.iter().zip(first) {
                            assert_same_bits(&what, got, first);
                        }
                    }
                    None => {
                        let expected = results(&Reference, &a, &b);
                        for (got, expected) in got.iter().zip(&expected) {
                            let terms = (m * n) as f64 + 4.0;
                            let unit = if got.rows == m { T::UNIT_ROUNDOFF } else { f64::EPSILON };
                            let bound = expected.map(|x| terms * unit * (x.abs() + 2.0));
                            assert_within(&what, got, expected, &bound);
                        }
                        first = Some(got);
                    }
                }
            }
        }
    }
}

mod gpu {
    use crate::common::place;

    #[test]
    fn results_are_the_same_at_every_address() {
        let Some(place) = &place::gpu("results at every address") else { return };
        super::results_are_the_same_at_every_address::<f32>(place);
        super::results_are_the_same_at_every_address::<f64>(place);
    }
}
