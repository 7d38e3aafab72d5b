//! An operator applied to matrices stored in halves, on any device, against the entries of the
//! operator by the rounding model.
//!
//! Everything is summed in f32 and rounded once: with c the exact result,
//! |ĉ − c| ≤ (k + 8)·u₃₂·(|α||S||A| + |β||C|) + u·(|c| + that) + half of the smallest subnormal number,
//! entry by entry. S holds the raw entries rounded to the storage type, the factor belongs to α; α times
//! the factor is rounded to f32. Transforms keep 2-norms, column by column (`kernels_transform`).

use crate::common::entries::{entries, order};
use crate::common::{
    Layout, Plain, Stored, assert_columns_within, assert_within, cpus, is_transform, noise, sketch,
};
use randnla::{Cpu, Csc, Csr, Family, Half, HalfKernels, Scalar, Sketch, SketchBackend};

pub const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    /// S·A
    Left,
    /// Sᵀ·A
    Adjoint,
    /// A·Sᵀ
    Right,
    /// A·S
    RightAdjoint,
}

pub const SIDES: [Side; 4] = [Side::Left, Side::Adjoint, Side::Right, Side::RightAdjoint];

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    Dense,
    Csr,
    Csc,
}

pub struct Case<'a> {
    pub s: &'a Sketch,
    /// The raw entries of `s` as the storage type has them, made once for all cases.
    pub operator: &'a Plain,
    pub side: Side,
    pub operand: Operand,
    pub alpha: f64,
    pub beta: f64,
}

/// The raw entries that an application must have used.
pub fn operator<H: Half>(s: &Sketch) -> Plain {
    let raw = s.raw();
    let rounded = |x: f64| f64::from(H::narrow(x as f32).widen());
    match s.family() {
        family if family.is_dense() => entries::<f32>(&raw).map(rounded),
        // An orthogonalisation; `statistics_entries` tests it.
        Family::Haar => Plain::of(raw.to_mat::<f32, Cpu>(&cpus()[1]).unwrap().as_ref()),
        _ => entries::<f32>(&raw),
    }
}

/// The family at about d×m, inside of what it allows.
pub fn fitting(family: Family, d: usize, m: usize, seed: u64) -> Sketch {
    let limited = matches!(family, Family::RowSampling | Family::Srct | Family::Haar);
    let d = if limited || is_transform(family) { d.min(m) } else { d };
    let d = if family == Family::Laso && m == 0 { 0 } else { d };
    sketch(family, d, m, seed).unwrap()
}

/// Compressed rows of the nonzeros of a plain matrix.
fn csr_parts<H: Half>(a: &Plain) -> (Vec<usize>, Vec<u32>, Vec<H>) {
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for i in 0..a.rows {
        for j in (0..a.cols).filter(|&j| a.get(i, j) != 0.0) {
            columns.push(j as u32);
            values.push(H::narrow(a.get(i, j) as f32));
        }
        starts.push(columns.len());
    }
    (starts, columns, values)
}

impl Case<'_> {
    /// `C` after the operation on a device.
    pub fn run<H: Half, D: SketchBackend<H>>(
        &self,
        device: &D,
        a: &Stored<H>,
        c: &Stored<H>,
    ) -> Stored<H> {
        let (alpha, beta) = (self.alpha as f32, self.beta as f32);
        let mut on = c.on(device);
        let out = on.view_mut();
        macro_rules! apply {
            ($a:expr) => {
                match self.side {
                    Side::Left => self.s.apply_into(alpha, $a, beta, out),
                    Side::Adjoint => self.s.apply_adjoint_into(alpha, $a, beta, out),
                    Side::Right => self.s.apply_right_into(alpha, $a, beta, out),
                    Side::RightAdjoint => self.s.apply_right_adjoint_into(alpha, $a, beta, out),
                }
            };
        }
        let plain = a.plain();
        let shape = (plain.rows, plain.cols);
        match self.operand {
            Operand::Dense => {
                let a = a.on(device);
                apply!(a.view())
            }
            Operand::Csr => {
                let (starts, columns, values) = csr_parts::<H>(&plain);
                let a = Csr::new(device, shape, &starts, &columns, &values).unwrap();
                apply!(&a)
            }
            Operand::Csc => {
                let (starts, rows, values) = csr_parts::<H>(&plain.transpose());
                let a = Csc::new(device, shape, &starts, &rows, &values).unwrap();
                apply!(&a)
            }
        }
        .unwrap();
        on.back()
    }

    /// Inputs of the shapes that fit, and what the device makes of them.
    pub fn check<H: Half, D: SketchBackend<H>>(&self, device: &D, n: usize, layouts: [Layout; 2]) {
        let (d, m) = self.s.shape();
        let what = format!(
            "{} {:?} {d}×{m} {:?} {:?} n={n} {layouts:?} α={} β={}",
            H::NAME,
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
        let input = |i, j| {
            let dropped = self.operand != Operand::Dense && noise(4, i, j) < 0.4;
            if dropped { 0.0 } else { noise(1, i, j) }
        };
        let input = |i, j| if self.alpha == 0.0 { f64::NAN } else { input(i, j) };
        let a = Stored::<H>::new(layouts[0], a_shape.0, a_shape.1, input);
        let old = |i, j| if self.beta == 0.0 { f64::NAN } else { noise(2, i, j) };
        let c = Stored::<H>::new(layouts[1], c_shape.0, c_shape.1, old);
        let got = self.run(device, &a, &c);
        got.assert_gaps_untouched(&what);
        self.compare::<H>(&what, &a, &c, &got.plain());
    }

    fn compare<H: Half>(&self, what: &str, a: &Stored<H>, c: &Stored<H>, got: &Plain) {
        // Everything becomes an operation from the left.
        let from_right = matches!(self.side, Side::Right | Side::RightAdjoint);
        let turn = |x: Plain| if from_right { x.transpose() } else { x };
        let op = match self.side {
            Side::Left | Side::Right => self.operator.clone(),
            Side::Adjoint | Side::RightAdjoint => self.operator.transpose(),
        };
        let zero = |factor: f64, x: Plain| if factor == 0.0 { x.map(|_| 0.0) } else { x };
        let (a, c) = (zero(self.alpha, turn(a.plain())), zero(self.beta, turn(c.plain())));
        let (got, alpha) = (turn(got.clone()), self.alpha * self.s.scale());
        let product = op.times_exactly(&a);
        let exact = Plain::from_fn(c.rows, c.cols, |i, j| {
            alpha * product.get(i, j) + self.beta * c.get(i, j)
        });
        let size = op.abs().times(&a.abs());
        let summed = Plain::from_fn(c.rows, c.cols, |i, j| {
            let new = (alpha * size.get(i, j)).abs();
            (a.rows as f64 + 8.0) * f32::UNIT_ROUNDOFF * (new + (self.beta * c.get(i, j)).abs())
        });
        let rounded = |x: f64| H::UNIT_ROUNDOFF * x.abs() + H::SMALLEST / 2.0;
        if !is_transform(self.s.family()) {
            let bound = Plain::from_fn(c.rows, c.cols, |i, j| {
                let summed = summed.get(i, j);
                summed + rounded(exact.get(i, j).abs() + summed)
            });
            return assert_within(what, &got, &exact, &bound);
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
                let new = (steps + 6.0) * alpha.abs() * norm(&a, j);
                let sparse = if self.operand == Operand::Dense { 0.0 } else { norm(&summed, j) };
                let wide =
                    f32::UNIT_ROUNDOFF * (new + 3.0 * self.beta.abs() * norm(&c, j)) + sparse;
                let floor = H::SMALLEST / 2.0 * (c.rows as f64).sqrt();
                wide + H::UNIT_ROUNDOFF * (norm(&exact, j) + wide) + floor
            })
            .collect();
        assert_columns_within(what, &got, &exact, &bound);
    }
}

/// Sums over the columns of S window by window, in `f32` and added to what is there.
pub fn check_sums_of_windows<H: Half, D: HalfKernels<H>>(device: &D) {
    let families = [Family::SparseStack, Family::SparseSign, Family::CountSketch];
    for (turn, family) in families.into_iter().enumerate() {
        for (d, m, n) in [(9, 40, 5), (3, 700, 2), (33, 130, 70)] {
            let s = fitting(family, d, m, 7).raw();
            for (k, to) in Layout::WRITABLE.into_iter().enumerate() {
                let from = Layout::READABLE[(k + turn + n) % 8];
                let what = format!("{} {family:?} {d}×{m} n={n} {from:?} {to:?}", H::NAME);
                let a = Stored::<H>::new(from, m, n, |i, j| noise(1, i, j));
                let x = Stored::<f32>::new(to, d, n, |_, _| f64::NAN);
                let got = x.after(&what, device, |mut x| {
                    for (beta, cols) in [(0.0, 0..m / 3), (1.0, m / 3..m / 2), (1.0, m / 2..m)] {
                        let window = s.columns(cols.clone());
                        let (indices, a) = (device.indices(&window)?, a.on(device));
                        let a = a.view().rows(cols);
                        device.sparse_sums_half(&window, &indices, a, beta, x.as_mut())?;
                    }
                    Ok(())
                });
                let operator = operator::<H>(&s);
                let size = operator.abs().times(&a.plain().abs());
                let bound = size.map(|x| (m as f64 + 3.0) * f32::UNIT_ROUNDOFF * x);
                assert_within(&what, &got, &operator.times_exactly(&a.plain()), &bound);
            }
        }
    }
}
