//! C = α·op(A)·op(B) + β·C, and C = α·op(A) + β·op(B).

use super::call::{Call, Factor, Failure, size, stride, transposes};
use super::matrix::{DeviceMatrix, HostMatrix, Part};
use super::precision::Precision;
use super::scalar::Scalar;
use super::{BlasStatus, blas_api};
use crate::driver::Handle;
use crate::simulator::Simulator;
use std::ffi::{c_int, c_longlong, c_void};

/// A product, or a batch of products at fixed distances.
#[derive(Clone, Copy)]
pub struct Product {
    pub a: DeviceMatrix,
    pub b: DeviceMatrix,
    pub c: DeviceMatrix,
    pub transpose: [bool; 2],
    pub alpha: Factor,
    pub beta: Factor,
    /// What A and B are rounded to.
    pub precision: Precision,
    /// Elements from one A, B and C to the next.
    pub distances: [i64; 3],
    pub batch: usize,
}

impl Product {
    pub fn run(&self, sim: &mut Simulator) -> Result<(), Failure> {
        let (alpha, beta) = (self.alpha.value(sim)?, self.beta.value(sim)?);
        let k = if self.transpose[0] { self.a.rows } else { self.a.columns };
        let reads = alpha != 0.0 && k > 0;
        self.check_aliases(reads)?;
        for index in 0..self.batch {
            let [a, b, c] = self.of_batch(index);
            let mut result = scaled(sim, c, Part::All, beta)?;
            if reads {
                let a = operand(sim, (a, self.transpose[0]), self.precision)?;
                let b = operand(sim, (b, self.transpose[1]), self.precision)?;
                accumulate(&mut result, &a, &b, alpha);
            }
            c.write(sim, Part::All, &result)?;
        }
        Ok(())
    }

    fn of_batch(&self, index: usize) -> [DeviceMatrix; 3] {
        [0, 1, 2].map(|which| {
            let matrix = [self.a, self.b, self.c][which];
            let bytes = self.distances[which] * matrix.scalar.bytes() as i64 * index as i64;
            DeviceMatrix { address: matrix.address.wrapping_add_signed(bytes), ..matrix }
        })
    }

    /// The products of a batch are formed at the same time, so no C may meet an operand or another C.
    fn check_aliases(&self, reads: bool) -> Result<(), Failure> {
        for index in 0..self.batch {
            let [.., c] = self.of_batch(index);
            for other in 0..self.batch {
                let [other_a, other_b, other_c] = self.of_batch(other);
                if reads {
                    c.must_not_meet(Part::All, &other_a, Part::All)?;
                    c.must_not_meet(Part::All, &other_b, Part::All)?;
                }
                if other != index {
                    c.must_not_meet(Part::All, &other_c, Part::All)?;
                }
            }
        }
        Ok(())
    }
}

/// β·C; C is not read when β is zero.
pub fn scaled(
    sim: &mut Simulator,
    c: DeviceMatrix,
    part: Part,
    beta: f64,
) -> Result<HostMatrix, Failure> {
    if beta == 0.0 {
        return Ok(HostMatrix::zeros(c.rows, c.columns));
    }
    let mut values = c.read(sim, part)?;
    if beta != 1.0 {
        values.values.iter_mut().for_each(|value| *value *= beta);
    }
    Ok(values)
}

/// op(A), rounded.
pub fn operand(
    sim: &mut Simulator,
    (matrix, transpose): (DeviceMatrix, bool),
    precision: Precision,
) -> Result<HostMatrix, Failure> {
    let mut values = matrix.read(sim, Part::All)?;
    precision.round(matrix.scalar, &mut values.values);
    Ok(if transpose { values.transposed() } else { values })
}

/// `c += alpha·a·b`, column by column.
pub fn accumulate(c: &mut HostMatrix, a: &HostMatrix, b: &HostMatrix, alpha: f64) {
    let mut sum = vec![0.0; c.rows];
    for column in 0..c.columns {
        sum.fill(0.0);
        for (k, &factor) in b.column(column).iter().enumerate() {
            for (sum, value) in sum.iter_mut().zip(a.column(k)) {
                *sum += value * factor;
            }
        }
        for (value, sum) in c.column_mut(column).iter_mut().zip(&sum) {
            *value += alpha * sum;
        }
    }
}

/// The arguments of a product, as they come.
pub struct Arguments {
    pub transpose: [c_int; 2],
    pub sizes: [c_int; 3],
    pub addresses: [u64; 3],
    pub strides: [c_int; 3],
    pub scalars: [Scalar; 3],
    pub distances: [i64; 3],
    pub batch: c_int,
    /// What the call asks for, besides the math mode of its handle.
    pub precision: Precision,
}

impl Arguments {
    /// Checks them and submits the product. The call's α and β come already looked up.
    pub fn submit(self, call: Call, alpha: Factor, beta: Factor) -> Result<(), BlasStatus> {
        let transpose = [transposes(self.transpose[0])?, transposes(self.transpose[1])?];
        let [m, n, k] = [size(self.sizes[0])?, size(self.sizes[1])?, size(self.sizes[2])?];
        let shape =
            |rows, columns, transpose| if transpose { (columns, rows) } else { (rows, columns) };
        let shapes = [shape(m, k, transpose[0]), shape(k, n, transpose[1]), (m, n)];
        let mut matrices = [None; 3];
        for (index, name) in ["A", "B", "C"].into_iter().enumerate() {
            let (rows, columns) = shapes[index];
            matrices[index] = Some(DeviceMatrix {
                name,
                address: self.addresses[index],
                scalar: self.scalars[index],
                rows,
                columns,
                stride: stride(self.strides[index], rows)?,
            });
        }
        let [Some(a), Some(b), Some(c)] = matrices else { return Err(BlasStatus::INVALID_VALUE) };
        let batch = size(self.batch)?;
        let (distances, m_n) = (self.distances, m * n);
        let precision = self.precision.or(call.precision);
        let product = Product { a, b, c, transpose, alpha, beta, precision, distances, batch };
        if m_n == 0 || batch == 0 {
            return Ok(());
        }
        call.submit(move |sim| product.run(sim))
    }
}

macro_rules! gemm {
    ($($ty:ident $scalar:ident $plain:ident $batched:ident $geam:ident;)*) => {blas_api! {$(
        /// C = α·op(A)·op(B) + β·C.
        fn $plain(
            handle: Handle, transa: c_int, transb: c_int, m: c_int, n: c_int, k: c_int,
            alpha: *const $ty, a: u64, lda: c_int, b: u64, ldb: c_int,
            beta: *const $ty, c: u64, ldc: c_int,
        ) {
            let call = Call::new(stringify!($plain), handle)?;
            let alpha = call.factor(alpha.cast::<c_void>(), Scalar::$scalar)?;
            let beta = call.factor(beta.cast::<c_void>(), Scalar::$scalar)?;
            let arguments = Arguments {
                transpose: [transa, transb],
                sizes: [m, n, k],
                addresses: [a, b, c],
                strides: [lda, ldb, ldc],
                scalars: [Scalar::$scalar; 3],
                distances: [0; 3],
                batch: 1,
                precision: Precision::Full,
            };
            arguments.submit(call, alpha, beta)
        }

        /// The same for matrices at fixed distances.
        fn $batched(
            handle: Handle, transa: c_int, transb: c_int, m: c_int, n: c_int, k: c_int,
            alpha: *const $ty, a: u64, lda: c_int, stride_a: c_longlong,
            b: u64, ldb: c_int, stride_b: c_longlong,
            beta: *const $ty, c: u64, ldc: c_int, stride_c: c_longlong, batch: c_int,
        ) {
            let call = Call::new(stringify!($batched), handle)?;
            let alpha = call.factor(alpha.cast::<c_void>(), Scalar::$scalar)?;
            let beta = call.factor(beta.cast::<c_void>(), Scalar::$scalar)?;
            let arguments = Arguments {
                transpose: [transa, transb],
                sizes: [m, n, k],
                addresses: [a, b, c],
                strides: [lda, ldb, ldc],
                scalars: [Scalar::$scalar; 3],
                distances: [stride_a, stride_b, stride_c],
                batch,
                precision: Precision::Full,
            };
            arguments.submit(call, alpha, beta)
        }

        /// C = α·op(A) + β·op(B); C may be A or B if that one is not transposed.
        fn $geam(
            handle: Handle, transa: c_int, transb: c_int, m: c_int, n: c_int,
            alpha: *const $ty, a: u64, lda: c_int,
            beta: *const $ty, b: u64, ldb: c_int, c: u64, ldc: c_int,
        ) {
            let call = Call::new(stringify!($geam), handle)?;
            let alpha = call.factor(alpha.cast::<c_void>(), Scalar::$scalar)?;
            let beta = call.factor(beta.cast::<c_void>(), Scalar::$scalar)?;
            let (m, n) = (size(m)?, size(n)?);
            let (ta, tb) = (transposes(transa)?, transposes(transb)?);
            let matrix = |name, address, ld, transpose| {
                let (rows, columns) = if transpose { (n, m) } else { (m, n) };
                let stride = stride(ld, rows)?;
                Ok(DeviceMatrix { name, address, scalar: Scalar::$scalar, rows, columns, stride })
            };
            let (a, b) = (matrix("A", a, lda, ta)?, matrix("B", b, ldb, tb)?);
            let c = matrix("C", c, ldc, false)?;
            if (c.address == a.address && (ta || lda != ldc))
                || (c.address == b.address && (tb || ldb != ldc))
            {
                return Err(BlasStatus::INVALID_VALUE);
            }
            call.submit(move |sim| {
                for operand in [&a, &b].into_iter().filter(|operand| !c.is(operand)) {
                    c.must_not_meet(Part::All, operand, Part::All)?;
                }
                let mut sum = HostMatrix::zeros(m, n);
                for (factor, matrix, transpose) in [(alpha, a, ta), (beta, b, tb)] {
                    let factor = factor.value(sim)?;
                    if factor != 0.0 {
                        let values = operand(sim, (matrix, transpose), Precision::Full)?;
                        for (sum, value) in sum.values.iter_mut().zip(&values.values) {
                            *sum += factor * value;
                        }
                    }
                }
                c.write(sim, Part::All, &sum)
            })
        }
    )*}};
}

gemm! {
    f32 F32 cublasSgemm_v2 cublasSgemmStridedBatched cublasSgeam;
    f64 F64 cublasDgemm_v2 cublasDgemmStridedBatched cublasDgeam;
}
