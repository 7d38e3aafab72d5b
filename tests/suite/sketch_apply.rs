//! Every family × operation × layout × scalar × kind of operand × α, β: a device and the oracle
//! against the entries of the operator, by the rounding model.
//!
//! Direct sums: |ĉ − c| ≤ (k + 6)·u·(|α||S||A| + |β||C|) entry by entry. Transforms keep 2-norms:
//! ‖ĉ − c‖₂ ≤ steps·u·|α|·scale·‖a‖₂ + 3u·|β|‖c‖₂ column by column (`kernels_transform`).

use crate::common::entries::{entries, order};
use crate::common::{
    FAMILIES, Layout, Place, Plain, Reference, Stored, assert_columns_within, assert_same_bits,
    assert_within, cuts, is_transform, noise, on_every_device, sketch,
};
use randnla::{Backend, Csc, Csr, Family, Mat, MatMut, Result, Scalar, Sketch};

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    /// S·A
    Left,
    /// Sᵀ·A
    Adjoint,
    /// A·Sᵀ
    Right,
    /// A·S
    RightAdjoint,
}

const SIDES: [Side; 4] = [Side::Left, Side::Adjoint, Side::Right, Side::RightAdjoint];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operand {
    Dense,
    Csr,
    Csc,
    /// Dense, the operator prepared.
    Prepared,
    /// CSR, the operator prepared.
    PreparedCsr,
}

const OPERANDS: [Operand; 5] =
    [Operand::Dense, Operand::Csr, Operand::Csc, Operand::Prepared, Operand::PreparedCsr];

impl Operand {
    fn is_sparse(self) -> bool {
        matches!(self, Self::Csr | Self::Csc | Self::PreparedCsr)
    }
}

/// Compressed rows of the nonzeros of a plain matrix.
fn csr_parts<T: Scalar>(a: &Plain) -> (Vec<usize>, Vec<u32>, Vec<T>) {
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for i in 0..a.rows {
        for j in (0..a.cols).filter(|&j| a.get(i, j) != 0.0) {
            columns.push(j as u32);
            values.push(T::from_f64(a.get(i, j)));
        }
        starts.push(columns.len());
    }
    (starts, columns, values)
}

struct Case<'a> {
    s: &'a Sketch,
    /// The entries of `s`, made once for all cases.
    operator: &'a Plain,
    side: Side,
    operand: Operand,
    alpha: f64,
    beta: f64,
}

impl Case<'_> {
    /// C after the operation on a device.
    fn run<T: Scalar, D: Backend<T>>(
        &self,
        what: &str,
        device: &D,
        (a, c): (&Stored<T>, &Stored<T>),
    ) -> Plain {
        c.after(what, device, |c| self.apply(device, a, c))
    }

    fn apply<T: Scalar, D: Backend<T>>(
        &self,
        device: &D,
        a: &Stored<T>,
        out: MatMut<'_, T, D>,
    ) -> Result<()> {
        let (alpha, beta) = (T::from_f64(self.alpha), T::from_f64(self.beta));
        macro_rules! apply {
            ($operator:expr, $a:expr) => {
                match self.side {
                    Side::Left => $operator.apply_into(alpha, $a, beta, out),
                    Side::Adjoint => $operator.apply_adjoint_into(alpha, $a, beta, out),
                    Side::Right => $operator.apply_right_into(alpha, $a, beta, out),
                    Side::RightAdjoint => $operator.apply_right_adjoint_into(alpha, $a, beta, out),
                }
            };
        }
        let plain = a.plain();
        let shape = (plain.rows, plain.cols);
        match self.operand {
            Operand::Dense => apply!(self.s, a.on(device).view()),
            Operand::Prepared => apply!(self.s.prepare::<T, D>(device)?, a.on(device).view()),
            Operand::Csr => {
                let (starts, columns, values) = csr_parts::<T>(&plain);
                apply!(self.s, &Csr::new(device, shape, &starts, &columns, &values)?)
            }
            Operand::PreparedCsr => {
                let prepared = self.s.prepare::<T, D>(device)?;
                let (starts, columns, values) = csr_parts::<T>(&plain);
                apply!(prepared, &Csr::new(device, shape, &starts, &columns, &values)?)
            }
            Operand::Csc => {
                let (starts, rows, values) = csr_parts::<T>(&plain.transpose());
                apply!(self.s, &Csc::new(device, shape, &starts, &rows, &values)?)
            }
        }
    }

    fn check<T: Scalar, D: Backend<T>>(&self, place: &Place<D>, n: usize, [la, lc]: [Layout; 2]) {
        let (d, m) = self.s.shape();
        let what = format!(
            "{} {:?} {d}×{m} {:?} {:?} n={n} {la:?} {lc:?} α={} β={}",
            T::NAME,
            self.s.family(),
            self.side,
            self.operand,
            self.alpha,
            self.beta
        );
        let (a_shape, c_shape) = match self.side {
            Side::Left => ((m, n), (d, n)),
            Side::Adjoint => ((d, n), (m, n)),
            Side::Right => ((n, m), (n, d)),
            Side::RightAdjoint => ((n, d), (n, m)),
        };
        let sparse = self.operand.is_sparse();
        let input = |i, j| {
            let x = noise(1, i, j);
            let dropped = sparse && noise(4, i, j) < 0.4;
            if dropped { 0.0 } else { x }
        };
        let input = |i, j| if self.alpha == 0.0 { f64::NAN } else { input(i, j) };
        let a = Stored::<T>::new(la, a_shape.0, a_shape.1, input);
        let old = |i, j| if self.beta == 0.0 { f64::NAN } else { noise(2, i, j) };
        let c = Stored::<T>::new(lc, c_shape.0, c_shape.1, old);

        let got = place.result(&what, |device| self.run(&what, device, (&a, &c)));
        let oracle = self.run(&what, &Reference, (&a, &c));
        self.compare::<T>(&what, (&a, &c), &got, &oracle);
        let unprepared = match self.operand {
            Operand::Prepared => Some(Operand::Dense),
            Operand::PreparedCsr => Some(Operand::Csr),
            _ => None,
        };
        if let Some(operand) = unprepared {
            let direct = Case { operand, ..*self }.run(&what, place.device(), (&a, &c));
            assert_same_bits(&what, &got, &direct);
        }
    }

    /// Holds what the device and the reference made of A and C against the exact result.
    fn compare<T: Scalar>(
        &self,
        what: &str,
        (a, c): (&Stored<T>, &Stored<T>),
        got: &Plain,
        oracle: &Plain,
    ) {
        // Everything becomes an operation from the left.
        let from_right = matches!(self.side, Side::Right | Side::RightAdjoint);
        let turn = |x: Plain| if from_right { x.transpose() } else { x };
        let op = match self.side {
            Side::Left | Side::Right => self.operator.clone(),
            Side::Adjoint | Side::RightAdjoint => self.operator.transpose(),
        };
        let zero = |factor: f64, x: Plain| if factor == 0.0 { x.map(|_| 0.0) } else { x };
        let (a, c) = (zero(self.alpha, turn(a.plain())), zero(self.beta, turn(c.plain())));
        let results = [
            (what.to_owned(), turn(got.clone())),
            (format!("oracle, {what}"), turn(oracle.clone())),
        ];
        let (k, u) = (a.rows as f64, T::UNIT_ROUNDOFF);
        let product = op.times_exactly(&a);
        let exact = Plain::from_fn(c.rows, c.cols, |i, j| {
            self.alpha * product.get(i, j) + self.beta * c.get(i, j)
        });
        let size = op.abs().times(&a.abs());
        let direct = Plain::from_fn(c.rows, c.cols, |i, j| {
            let new = (self.alpha * size.get(i, j)).abs();
            (k + 6.0) * u * (new + (self.beta * c.get(i, j)).abs())
        });
        if !is_transform(self.s.family()) {
            return results
                .iter()
                .for_each(|(what, got)| assert_within(what, got, &exact, &direct));
        }
        let stages = (order(self.s) as f64).max(2.0).log2();
        let steps = match self.s.family() {
            Family::HadamardDiagonal => 3.0 * (stages + 2.0),
            Family::Srct => 20.0 * (stages + 1.0),
            _ => stages + 2.0,
        };
        let norm = |x: &Plain, j: usize| x.columns(j, j + 1).norm();
        let bound: Vec<f64> = (0..c.cols)
            .map(|j| {
                let new = (steps + 4.0) * (self.alpha * self.s.scale()).abs() * norm(&a, j);
                let summed = if self.operand.is_sparse() { norm(&direct, j) } else { 0.0 };
                u * (new + 3.0 * self.beta.abs() * norm(&c, j)) + summed
            })
            .collect();
        results.iter().for_each(|(what, got)| assert_columns_within(what, got, &exact, &bound));
    }
}

/// The entries that an application must have used. Those of a Haar operator come from an
/// orthogonalisation, the same on every device; `statistics_entries` tests them.
fn operator<T: Scalar>(s: &Sketch) -> Plain {
    match s.family() {
        Family::Haar => Plain::of(s.to_mat::<T, Reference>(&Reference).unwrap().as_ref()),
        _ => entries::<T>(s),
    }
}

/// The family at about d×m, inside of what it allows.
fn fitting(family: Family, d: usize, m: usize, seed: u64) -> Sketch {
    let limited = matches!(family, Family::RowSampling | Family::Srct | Family::Haar);
    let d = if limited || is_transform(family) { d.min(m) } else { d };
    let d = if family == Family::Laso && m == 0 { 0 } else { d };
    sketch(family, d, m, seed).unwrap()
}

fn every_family_operation_and_shape<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut combination = 0;
    for family in FAMILIES {
        for (turn, (d, m, n)) in place.sizes(&cuts::APPLY).into_iter().enumerate() {
            let s = &fitting(family, d, m, turn as u64);
            let operator = &operator::<T>(s);
            for side in SIDES {
                for (layouts, alpha, beta) in [
                    ([Layout::Columns; 2], 1.0, 0.0),
                    ([Layout::Rows; 2], 1.0, 0.0),
                    ([Layout::Strided; 2], 1.0, 0.0),
                    ([Layout::Rows, Layout::Columns], -0.75, 1.0),
                ] {
                    combination += 1;
                    if place.takes(&cuts::APPLY_SIDES, combination) {
                        Case { s, operator, side, operand: Operand::Dense, alpha, beta }
                            .check::<T, D>(place, n, layouts);
                    }
                }
            }
        }
    }
}

fn every_layout_factor_and_kind_of_operand<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut combination = 0;
    for family in FAMILIES {
        let s = &fitting(family, 9, 21, 3);
        let operator = &operator::<T>(s);
        for (turn, side) in SIDES.into_iter().enumerate() {
            for operand in OPERANDS {
                for (k, lc) in Layout::WRITABLE.into_iter().enumerate() {
                    let la = Layout::READABLE[(k + turn) % 8];
                    let many = FACTORS.map(|alpha| (5, alpha, FACTORS[(k + turn) % 3]));
                    for (n, alpha, beta) in many.into_iter().chain([(1, 1.0, FACTORS[k % 3])]) {
                        combination += 1;
                        if place.takes(&cuts::APPLY_LAYOUTS, combination) {
                            Case { s, operator, side, operand, alpha, beta }.check::<T, D>(
                                place,
                                n,
                                [la, lc],
                            );
                        }
                    }
                }
            }
        }
    }
}

fn every_window_of_every_family<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut combination = 0;
    for family in FAMILIES {
        let whole = fitting(family, 13, 50, 8);
        let windows = [
            whole.rows(2..11),
            whole.columns(5..49),
            whole.rows(3..4).columns(17..18),
            whole.rows(1..13).columns(16..48).rows(2..9).columns(1..30),
            whole.rows(4..4),
            whole.columns(9..9),
        ];
        for s in &windows {
            let operator = &operator::<T>(s);
            for side in SIDES {
                for operand in OPERANDS {
                    for (n, layout) in [(1, Layout::Columns), (6, Layout::Rows)] {
                        combination += 1;
                        if !place.takes(&cuts::APPLY_WINDOWS, combination) {
                            continue;
                        }
                        Case { s, operator, side, operand, alpha: 1.0, beta: -0.75 }.check::<T, D>(
                            place,
                            n,
                            [layout; 2],
                        );
                    }
                }
            }
        }
    }
}

fn every_family_on_matrices_larger_than_a_panel<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for family in FAMILIES {
        let (d, m) = match family {
            Family::HadamardDiagonal => (40, 200),
            Family::Haar => (30, 300),
            family if is_transform(family) => (60, 400),
            _ => (60, 4500),
        };
        let s = &fitting(family, d, m, 5);
        let operator = &operator::<T>(s);
        for (side, n) in
            [(Side::Left, 20), (Side::Adjoint, 5), (Side::Right, 9), (Side::RightAdjoint, 6)]
        {
            let case = |operand| Case { s, operator, side, operand, alpha: 1.0, beta: 0.0 };
            case(Operand::Dense).check::<T, D>(place, n, [Layout::Columns; 2]);
            case(Operand::Dense).check::<T, D>(place, n, [Layout::Rows; 2]);
            case(Operand::Csr).check::<T, D>(place, 3, [Layout::Rows; 2]);
            case(Operand::Csc).check::<T, D>(place, 3, [Layout::Rows; 2]);
        }
    }
}

fn operands_by_value_and_by_reference_and_fresh_results<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let s = Sketch::sparse_stack(8, 20, 4, 1).unwrap();
    let a = Plain::from_fn(20, 3, |i, j| noise(1, i, j));
    let mat = a.to_mat::<f64, D>(device);
    let mut twin = a.to_mat::<f64, D>(device);
    let expected = Plain::of(s.apply(&mat).unwrap().as_ref());
    let same = |x: Mat<f64, D>| assert_eq!(Plain::of(x.as_ref()), expected);
    same(s.apply(mat.as_ref()).unwrap());
    same(s.apply(&mat.as_ref()).unwrap());
    same(s.apply(&twin.as_mut()).unwrap());
    same(s.prepare::<f64, D>(device).unwrap().apply(&mat).unwrap());
    let turned = s.apply_right(mat.transpose()).unwrap();
    assert_eq!(turned.shape(), (3, 8));
    let size = entries::<f64>(&s).abs().times(&a.abs()).transpose();
    let bound = size.map(|x| 50.0 * f64::EPSILON * x);
    assert_within("A·Sᵀ", &Plain::of(turned.as_ref()), &expected.transpose(), &bound);
    assert_eq!(s.apply_adjoint(&s.apply(&mat).unwrap()).unwrap().shape(), (20, 3));
    assert_eq!(s.apply_right_adjoint(&turned).unwrap().shape(), (3, 20));
    let (starts, columns, values) = csr_parts::<f64>(&a);
    let csr = Csr::new(device, (20, 3), &starts, &columns, &values).unwrap();
    assert_eq!(s.apply(csr.as_ref()).unwrap().shape(), (8, 3));
    assert_eq!(s.apply_right(csr.as_ref().transpose()).unwrap().shape(), (3, 8));
}

on_every_device! {
    every_family_operation_and_shape: f32 f64,
    every_layout_factor_and_kind_of_operand: f32 f64,
    every_window_of_every_family: f32 f64,
    every_family_on_matrices_larger_than_a_panel: f32 f64,
    operands_by_value_and_by_reference_and_fresh_results,
}
