//! Triangular systems and products.

use super::call::{Call, size, stride, transposes, triangle};
use super::matrix::{DeviceMatrix, HostMatrix, Part};
use super::scalar::Scalar;
use super::{BlasStatus, blas_api};
use crate::driver::Handle;
use std::ffi::{c_int, c_void};

/// Solves T·X = B for a lower (or upper) triangular T; X takes the place of B.
fn solve(t: &HostMatrix, lower: bool, unit: bool, b: &mut HostMatrix) {
    let n = t.rows;
    for column in 0..b.columns {
        let x = b.column_mut(column);
        for step in 0..n {
            let row = if lower { step } else { n - 1 - step };
            if !unit {
                x[row] /= t.at(row, row);
            }
            let value = x[row];
            let others = if lower { row + 1..n } else { 0..row };
            for other in others {
                x[other] -= t.at(other, row) * value;
            }
        }
    }
}

/// T·B for a triangular T.
fn multiply(t: &HostMatrix, lower: bool, unit: bool, b: &HostMatrix) -> HostMatrix {
    let mut result = HostMatrix::zeros(b.rows, b.columns);
    for column in 0..b.columns {
        for row in 0..t.rows {
            let others = if lower { 0..row } else { row + 1..t.rows };
            let own = if unit { 1.0 } else { t.at(row, row) };
            let sum: f64 = others.map(|k| t.at(row, k) * b.at(k, column)).sum();
            result.column_mut(column)[row] = sum + own * b.at(row, column);
        }
    }
    result
}

/// A triangular matrix and how it is applied.
#[derive(Clone, Copy)]
struct Triangle {
    matrix: DeviceMatrix,
    part: Part,
    transpose: bool,
    unit: bool,
    right: bool,
}

impl Triangle {
    /// Checks the arguments that `trsm` and `trmm` share; B is m × n.
    fn new(
        scalar: Scalar,
        options: [c_int; 4],
        (m, n): (usize, usize),
        (address, lda): (u64, c_int),
    ) -> Result<Self, BlasStatus> {
        let [side, fill, trans, diagonal] = options;
        if !(0..=1).contains(&side) || !(0..=1).contains(&diagonal) {
            return Err(BlasStatus::INVALID_VALUE);
        }
        let right = side == 1;
        let order = if right { n } else { m };
        let stride = stride(lda, order)?;
        let matrix =
            DeviceMatrix { name: "A", address, scalar, rows: order, columns: order, stride };
        let (part, transpose) = (triangle(fill)?, transposes(trans)?);
        Ok(Self { matrix, part, transpose, unit: diagonal == 1, right })
    }

    /// The part of A that is read: a diagonal of ones is not.
    fn read_part(&self) -> Part {
        if self.unit { self.part.strict() } else { self.part }
    }

    /// Applies `f` to op(A) and B, both transposed if A stands on the right, with A on the left.
    fn apply(
        &self,
        t: HostMatrix,
        b: HostMatrix,
        f: impl Fn(&HostMatrix, bool, bool, HostMatrix) -> HostMatrix,
    ) -> HostMatrix {
        let flip = self.transpose != self.right;
        let t = if flip { t.transposed() } else { t };
        let lower = (self.part == Part::Lower) != flip;
        if self.right {
            f(&t, lower, self.unit, b.transposed()).transposed()
        } else {
            f(&t, lower, self.unit, b)
        }
    }
}

macro_rules! triangular {
    ($($ty:ident $scalar:ident $trsm:ident $trmm:ident;)*) => {blas_api! {$(
        /// Solves op(A)·X = α·B or X·op(A) = α·B; X takes the place of B.
        fn $trsm(
            handle: Handle, side: c_int, fill: c_int, trans: c_int, diagonal: c_int,
            m: c_int, n: c_int, alpha: *const $ty, a: u64, lda: c_int, b: u64, ldb: c_int,
        ) {
            let call = Call::new(stringify!($trsm), handle)?;
            let scalar = Scalar::$scalar;
            let alpha = call.factor(alpha.cast::<c_void>(), scalar)?;
            let (m, n) = (size(m)?, size(n)?);
            let triangle =
                Triangle::new(scalar, [side, fill, trans, diagonal], (m, n), (a, lda))?;
            let stride = stride(ldb, m)?;
            let b = DeviceMatrix { name: "B", address: b, scalar, rows: m, columns: n, stride };
            if m == 0 || n == 0 {
                return Ok(());
            }
            call.submit(move |sim| {
                let alpha = alpha.value(sim)?;
                if alpha == 0.0 {
                    return b.write(sim, Part::All, &HostMatrix::zeros(m, n));
                }
                b.must_not_meet(Part::All, &triangle.matrix, triangle.read_part())?;
                let mut values = b.read(sim, Part::All)?;
                values.values.iter_mut().for_each(|value| *value *= alpha);
                let t = triangle.matrix.read(sim, triangle.read_part())?;
                let x = triangle.apply(t, values, |t, lower, unit, mut b| {
                    solve(t, lower, unit, &mut b);
                    b
                });
                b.write(sim, Part::All, &x)
            })
        }

        /// C = α·op(A)·B or α·B·op(A); C may be B.
        fn $trmm(
            handle: Handle, side: c_int, fill: c_int, trans: c_int, diagonal: c_int,
            m: c_int, n: c_int, alpha: *const $ty, a: u64, lda: c_int, b: u64, ldb: c_int,
            c: u64, ldc: c_int,
        ) {
            let call = Call::new(stringify!($trmm), handle)?;
            let scalar = Scalar::$scalar;
            let alpha = call.factor(alpha.cast::<c_void>(), scalar)?;
            let (m, n) = (size(m)?, size(n)?);
            let triangle =
                Triangle::new(scalar, [side, fill, trans, diagonal], (m, n), (a, lda))?;
            let matrix = |name, address, ld| {
                let stride = stride(ld, m)?;
                Ok(DeviceMatrix { name, address, scalar, rows: m, columns: n, stride })
            };
            let (b, c) = (matrix("B", b, ldb)?, matrix("C", c, ldc)?);
            if m == 0 || n == 0 {
                return Ok(());
            }
            call.submit(move |sim| {
                let alpha = alpha.value(sim)?;
                if alpha == 0.0 {
                    return c.write(sim, Part::All, &HostMatrix::zeros(m, n));
                }
                c.must_not_meet(Part::All, &triangle.matrix, triangle.read_part())?;
                if !c.is(&b) {
                    c.must_not_meet(Part::All, &b, Part::All)?;
                }
                let values = b.read(sim, Part::All)?;
                let t = triangle.matrix.read(sim, triangle.read_part())?;
                let mut product = triangle.apply(t, values, |t, lower, unit, b| {
                    multiply(t, lower, unit, &b)
                });
                product.values.iter_mut().for_each(|value| *value *= alpha);
                c.write(sim, Part::All, &product)
            })
        }
    )*}};
}

triangular! {
    f32 F32 cublasStrsm_v2 cublasStrmm_v2;
    f64 F64 cublasDtrsm_v2 cublasDtrmm_v2;
}
