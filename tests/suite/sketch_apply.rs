//! Every family × operation × layout × scalar × kind of operand × α, β: the CPU and the oracle's
//! device against the entries of the operator, by the rounding model.
//!
//! Direct sums: |ĉ − c| ≤ (k + 6)·u·(|α||S||A| + |β||C|) entry by entry. Transforms keep 2-norms:
//! ‖ĉ − c‖₂ ≤ steps·u·|α|·scale·‖a‖₂ + 3u·|β|‖c‖₂ column by column (`kernels_transform`).

use crate::common::entries::{entries, order};
use crate::common::{
    FAMILIES, Layout, Plain, Reference, Stored, assert_columns_within, assert_same_bits,
    assert_within, cpus, is_transform, noise, sketch,
};
use randnla::{Backend, Cpu, Csc, Csr, Family, Scalar, Sketch};

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
    /// Runs the operation on a device.
    fn run<T: Scalar, D: Backend<T>>(&self, device: &D, a: &Stored<T>, c: &Stored<T>) -> Stored<T> {
        let (alpha, beta) = (T::from_f64(self.alpha), T::from_f64(self.beta));
        let mut c = c.clone();
        let out = c.view_mut(device);
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
            Operand::Dense => apply!(self.s, a.view(device)),
            Operand::Prepared => {
                let prepared = self.s.prepare::<T, D>(device).unwrap();
                apply!(prepared, a.view(device))
            }
            Operand::Csr => {
                let (starts, columns, values) = csr_parts::<T>(&plain);
                let a = Csr::new(device, shape, &starts, &columns, &values).unwrap();
                apply!(self.s, &a)
            }
            Operand::PreparedCsr => {
                let prepared = self.s.prepare::<T, D>(device).unwrap();
                let (starts, columns, values) = csr_parts::<T>(&plain);
                let a = Csr::new(device, shape, &starts, &columns, &values).unwrap();
                apply!(prepared, &a)
            }
            Operand::Csc => {
                let (starts, rows, values) = csr_parts::<T>(&plain.transpose());
                let a = Csc::new(device, shape, &starts, &rows, &values).unwrap();
                apply!(self.s, &a)
            }
        }
        .unwrap();
        c
    }

    fn check<T: Scalar>(&self, n: usize, [la, lc]: [Layout; 2])
    where
        Cpu: Backend<T>,
    {
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

        let cpu = &cpus()[1];
        let on_cpu = self.run(cpu, &a, &c);
        on_cpu.assert_gaps_untouched(&what);
        self.compare::<T>(&what, &a, &c, &on_cpu.plain());
        let unprepared = match self.operand {
            Operand::Prepared => Some(Operand::Dense),
            Operand::PreparedCsr => Some(Operand::Csr),
            _ => None,
        };
        if let Some(operand) = unprepared {
            let direct = Case { operand, ..*self }.run(cpu, &a, &c);
            assert_same_bits(&what, &on_cpu.plain(), &direct.plain());
        }
        let on_oracle = self.run(&Reference, &a, &c);
        self.compare::<T>(&format!("oracle, {what}"), &a, &c, &on_oracle.plain());
    }

    fn compare<T: Scalar>(&self, what: &str, a: &Stored<T>, c: &Stored<T>, got: &Plain) {
        // Everything becomes an operation from the left.
        let from_right = matches!(self.side, Side::Right | Side::RightAdjoint);
        let turn = |x: Plain| if from_right { x.transpose() } else { x };
        let op = match self.side {
            Side::Left | Side::Right => self.operator.clone(),
            Side::Adjoint | Side::RightAdjoint => self.operator.transpose(),
        };
        let zero = |factor: f64, x: Plain| if factor == 0.0 { x.map(|_| 0.0) } else { x };
        let (a, c) = (zero(self.alpha, turn(a.plain())), zero(self.beta, turn(c.plain())));
        let got = turn(got.clone());
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
            return assert_within(what, &got, &exact, &direct);
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
        assert_columns_within(what, &got, &exact, &bound);
    }
}

/// The entries that an application must have used. Those of a Haar operator come from an
/// orthogonalisation, the same on every device; `statistics_entries` tests them.
fn operator<T: Scalar>(s: &Sketch) -> Plain
where
    Cpu: Backend<T>,
{
    match s.family() {
        Family::Haar => Plain::of(s.to_mat::<T, Cpu>(&cpus()[1]).unwrap().as_ref()),
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

#[test]
fn every_family_operation_and_shape() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let shapes = [
            (0, 5, 3),
            (5, 0, 3),
            (5, 7, 0),
            (1, 1, 1),
            (2, 9, 1),
            (7, 9, 1),
            (8, 16, 2),
            (9, 17, 3),
            (16, 33, 8),
            (33, 65, 31),
            (64, 128, 4),
            (20, 257, 5),
        ];
        for family in FAMILIES {
            for (turn, (d, m, n)) in shapes.into_iter().enumerate() {
                let s = &fitting(family, d, m, turn as u64);
                let operator = &operator::<T>(s);
                for side in SIDES {
                    for layout in [Layout::Columns, Layout::Rows, Layout::Strided] {
                        let case = |alpha, beta| Case {
                            s,
                            operator,
                            side,
                            operand: Operand::Dense,
                            alpha,
                            beta,
                        };
                        case(1.0, 0.0).check::<T>(n, [layout; 2]);
                        if layout == Layout::Rows {
                            case(-0.75, 1.0).check::<T>(n, [layout, Layout::Columns]);
                        }
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn every_layout_factor_and_kind_of_operand() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for family in FAMILIES {
            let s = &fitting(family, 9, 21, 3);
            let operator = &operator::<T>(s);
            for (turn, side) in SIDES.into_iter().enumerate() {
                for operand in OPERANDS {
                    for (k, lc) in Layout::WRITABLE.into_iter().enumerate() {
                        let la = Layout::READABLE[(k + turn) % 8];
                        for alpha in FACTORS {
                            let beta = FACTORS[(k + turn) % 3];
                            Case { s, operator, side, operand, alpha, beta }
                                .check::<T>(5, [la, lc]);
                        }
                        let beta = FACTORS[k % 3];
                        Case { s, operator, side, operand, alpha: 1.0, beta }
                            .check::<T>(1, [la, lc]);
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn every_window_of_every_family() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
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
                            Case { s, operator, side, operand, alpha: 1.0, beta: -0.75 }
                                .check::<T>(n, [layout; 2]);
                        }
                    }
                }
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn every_family_on_matrices_larger_than_a_panel() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        for family in FAMILIES {
            let (d, m) = match family {
                Family::HadamardDiagonal => (40, 200),
                Family::Haar => (30, 300),
                family if is_transform(family) => (60, 400),
                _ => (50, 2500),
            };
            let s = &fitting(family, d, m, 5);
            let operator = &operator::<T>(s);
            for (side, n) in
                [(Side::Left, 20), (Side::Adjoint, 5), (Side::Right, 9), (Side::RightAdjoint, 6)]
            {
                let case = |operand| Case { s, operator, side, operand, alpha: 1.0, beta: 0.0 };
                case(Operand::Dense).check::<T>(n, [Layout::Columns; 2]);
                case(Operand::Dense).check::<T>(n, [Layout::Rows; 2]);
                case(Operand::Csr).check::<T>(3, [Layout::Rows; 2]);
                case(Operand::Csc).check::<T>(3, [Layout::Rows; 2]);
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}

#[test]
fn operands_by_value_and_by_reference_and_fresh_results() {
    let cpu = &cpus()[0];
    let s = Sketch::sparse_stack(8, 20, 4, 1).unwrap();
    let a = Plain::from_fn(20, 3, |i, j| noise(1, i, j));
    let mat = a.to_mat::<f64, Cpu>(cpu);
    let mut twin = a.to_mat::<f64, Cpu>(cpu);
    let expected = Plain::of(s.apply(&mat).unwrap().as_ref());
    let same = |x: randnla::Mat<f64>| assert_eq!(Plain::of(x.as_ref()), expected);
    same(s.apply(mat.as_ref()).unwrap());
    same(s.apply(&mat.as_ref()).unwrap());
    same(s.apply(&twin.as_mut()).unwrap());
    same(s.prepare::<f64, Cpu>(cpu).unwrap().apply(&mat).unwrap());
    let turned = s.apply_right(mat.transpose()).unwrap();
    assert_eq!(turned.shape(), (3, 8));
    let size = entries::<f64>(&s).abs().times(&a.abs()).transpose();
    let bound = size.map(|x| 50.0 * f64::EPSILON * x);
    assert_within("A·Sᵀ", &Plain::of(turned.as_ref()), &expected.transpose(), &bound);
    assert_eq!(s.apply_adjoint(&s.apply(&mat).unwrap()).unwrap().shape(), (20, 3));
    assert_eq!(s.apply_right_adjoint(&turned).unwrap().shape(), (3, 20));
    let (starts, columns, values) = csr_parts::<f64>(&a);
    let csr = Csr::new(cpu, (20, 3), &starts, &columns, &values).unwrap();
    assert_eq!(s.apply(csr.as_ref()).unwrap().shape(), (8, 3));
    assert_eq!(s.apply_right(csr.as_ref().transpose()).unwrap().shape(), (3, 8));
}
