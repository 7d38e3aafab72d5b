//! The kernel of column-sparse operators on compressed sparse rows: a device against the entries and
//! the oracle, by the rounding model of a sum.

use crate::common::entries::entries;
use crate::common::{
    Layout, Place, Plain, Reference, Stored, assert_within, cuts, noise, on_every_device, sketch,
};
use randnla::{Backend, Csr, Family, Op, Scalar, Sketch};

const FAMILIES: [Family; 4] =
    [Family::SparseSign, Family::SparseStack, Family::CountSketch, Family::BlockPermSjlt];
const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

/// Entries of a rows×cols matrix, columns out of order, some rows empty.
fn triplets<T: Scalar>((rows, cols): (usize, usize), share: f64) -> Vec<(usize, usize, T)> {
    let columns = |i: usize| (0..cols).map(move |k| (i, (2 * cols - 1 - k + 3 * i) % cols));
    let kept = (0..rows).filter(|i| i % 5 != 3).flat_map(columns);
    let kept = kept.filter(|&(i, j)| noise(11, i, j).abs() < share);
    kept.map(|(i, j)| (i, j, T::from_f64(noise(12, i, j)))).collect()
}

struct Case<'a> {
    /// The window, and the operator whose indices are used.
    s: Sketch,
    whole: Sketch,
    /// The entries of `s`, made once for all cases.
    operator: &'a Plain,
    n: usize,
    op: Op,
    op_x: Op,
    layout: Layout,
    factors: (f64, f64),
}

/// A shape and the entries that are stored.
type Triplets<'a, T> = ((usize, usize), &'a [(usize, usize, T)]);

impl Case<'_> {
    fn run<T: Scalar, D: Backend<T>>(
        &self,
        what: &str,
        device: &D,
        (shape, x): Triplets<'_, T>,
        c: &Stored<T>,
    ) -> Plain {
        let x = Csr::from_triplets(device, shape, x).unwrap();
        let indices = device.indices(&self.whole).unwrap();
        let (alpha, beta) = (T::from_f64(self.factors.0), T::from_f64(self.factors.1));
        c.after(what, device, |c| {
            let (s, x) = (&self.s, x.as_ref());
            device.sparse_times_csr(s, &indices, self.op, alpha, x, self.op_x, beta, c)
        })
    }

    fn check<T: Scalar, D: Backend<T>>(&self, place: &Place<D>, share: f64) {
        let Case { s, n, op, op_x, layout, factors: (alpha, beta), .. } = *self;
        let (d, m) = s.shape();
        let what = format!(
            "{} {:?} {:?} {:?} {op:?} {op_x:?} n={n} {layout:?} α={alpha} β={beta}",
            T::NAME,
            s.family(),
            s.row_range(),
            s.col_range()
        );
        let (inner, outer) = if op == Op::NoTrans { (m, d) } else { (d, m) };
        let shape = if op_x == Op::NoTrans { (inner, n) } else { (n, inner) };
        let mut x = triplets::<T>(shape, share);
        let mut a = Plain::zeros(inner, n);
        for &(i, j, value) in &x {
            let (i, j) = if op_x == Op::NoTrans { (i, j) } else { (j, i) };
            a.set(i, j, if alpha == 0.0 { 0.0 } else { value.to_f64() });
        }
        if alpha == 0.0 {
            x.iter_mut().for_each(|(_, _, value)| *value = T::from_f64(f64::NAN));
        }
        let old = |i, j| if beta == 0.0 { f64::NAN } else { noise(2, i, j) };
        let c = Stored::<T>::new(layout, outer, n, old);

        let got = place.result(&what, |device| self.run(&what, device, (shape, &x), &c));
        let operator = match op {
            Op::NoTrans => self.operator,
            Op::Trans => &self.operator.transpose(),
        };
        let old = |i, j| if beta == 0.0 { 0.0 } else { beta * c.plain_entry(i, j) };
        let product = operator.times_exactly(&a);
        let size = operator.abs().times(&a.abs());
        let exact = Plain::from_fn(outer, n, |i, j| alpha * product.get(i, j) + old(i, j));
        let bound = Plain::from_fn(outer, n, |i, j| {
            let size = alpha.abs() * size.get(i, j) + f64::abs(old(i, j));
            (inner as f64 + 6.0) * T::UNIT_ROUNDOFF * size
        });
        assert_within(&what, &got, &exact, &bound);
        let oracle = self.run(&what, &Reference, (shape, &x), &c);
        assert_within(&format!("oracle, {what}"), &oracle, &exact, &bound);
    }
}

const OPS: [(Op, Op); 4] = [
    (Op::NoTrans, Op::NoTrans),
    (Op::NoTrans, Op::Trans),
    (Op::Trans, Op::NoTrans),
    (Op::Trans, Op::Trans),
];

fn every_product_window_layout_and_factor<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut turn = 0;
    for family in FAMILIES {
        for (d, m) in [(0, 5), (5, 0), (1, 1), (7, 9), (17, 65)] {
            let whole = sketch(family, d, m, turn as u64).unwrap();
            let (r, k) = (d / 3, m / 3);
            for s in [whole, whole.rows(r..d), whole.columns(k..m), whole.rows(r..r)] {
                let operator = &entries::<T>(&s);
                // Indices of the window alone, and of the operator around it.
                for whole in [s, whole] {
                    for (op, op_x) in OPS {
                        for n in [0, 1, 7, 40] {
                            turn += 1;
                            if !place.takes(&cuts::COMPRESSED, turn) {
                                continue;
                            }
                            let layout = Layout::WRITABLE[turn % 6];
                            let factors = (FACTORS[turn % 3], FACTORS[turn / 3 % 3]);
                            Case { s, whole, operator, n, op, op_x, layout, factors }
                                .check::<T, D>(place, 0.3);
                            let factors = (1.0, factors.1);
                            Case { s, whole, operator, n, op, op_x, layout, factors }
                                .check::<T, D>(place, 0.3);
                        }
                    }
                }
            }
        }
    }
}

/// Several tasks and tiles of entries, rows of C longer than a warp keeps, and few long lists, which
/// are taken in parts.
fn large_operators<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in FAMILIES {
        for (d, m, n, share) in place.sizes(&cuts::LARGE_COMPRESSED) {
            let whole = sketch(family, d, m, 3).unwrap();
            for s in [whole, whole.rows(d / 9..d - 1).columns(m / 9..m - m / 50)] {
                let operator = &entries::<T>(&s);
                for (op, op_x) in OPS {
                    for (layout, factors) in
                        [(Layout::Columns, (1.0, 0.0)), (Layout::Rows, (-0.75, 1.0))]
                    {
                        Case { s, whole, operator, n, op, op_x, layout, factors }
                            .check::<T, D>(place, share);
                    }
                }
            }
        }
    }
}

/// Rows of C that are longer than the warps of a GPU that walk its lists keep together.
fn long_rows<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in [Family::SparseSign, Family::SparseStack] {
        for (d, m, n, share) in place.sizes(&cuts::LONG_COMPRESSED) {
            let whole = sketch(family, d, m, 3).unwrap();
            for (turn, (op, op_x)) in OPS.into_iter().enumerate() {
                let s = if turn % 2 == 0 { whole } else { whole.rows(1..d) };
                let operator = &entries::<T>(&s);
                let layout = [Layout::Columns, Layout::Rows][turn / 2];
                let factors = [(1.0, 0.0), (-0.75, 1.0), (1.0, -0.75)][turn % 3];
                Case { s, whole, operator, n, op, op_x, layout, factors }
                    .check::<T, D>(place, share);
            }
        }
    }
}

on_every_device! {
    every_product_window_layout_and_factor: f32 f64,
    large_operators: f32 f64,
    long_rows: f32 f64,
}
