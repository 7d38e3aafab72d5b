//! y = α·op(A)·x + β·y.

use super::blas_api;
use super::call::{Call, size, stride, transposes};
use super::gemm::{accumulate, operand, scaled};
use super::level1::vector;
use super::matrix::{DeviceMatrix, Part};
use super::precision::Precision;
use super::scalar::Scalar;
use crate::driver::Handle;
use std::ffi::{c_int, c_void};

macro_rules! gemv {
    ($($ty:ident $scalar:ident $name:ident;)*) => {blas_api! {$(
        /// y = α·op(A)·x + β·y.
        fn $name(
            handle: Handle, trans: c_int, m: c_int, n: c_int,
            alpha: *const $ty, a: u64, lda: c_int, x: u64, incx: c_int,
            beta: *const $ty, y: u64, incy: c_int,
        ) {
            let call = Call::new(stringify!($name), handle)?;
            let scalar = Scalar::$scalar;
            let alpha = call.factor(alpha.cast::<c_void>(), scalar)?;
            let beta = call.factor(beta.cast::<c_void>(), scalar)?;
            let (m, n, transpose) = (size(m)?, size(n)?, transposes(trans)?);
            let stride = stride(lda, m)?;
            let a = DeviceMatrix { name: "A", address: a, scalar, rows: m, columns: n, stride };
            let (from, to) = if transpose { (m, n) } else { (n, m) };
            let x = vector("x", x, scalar, from, incx)?;
            let y = vector("y", y, scalar, to, incy)?;
            if m == 0 || n == 0 {
                return Ok(());
            }
            call.submit(move |sim| {
                let (alpha, beta) = (alpha.value(sim)?, beta.value(sim)?);
                y.must_not_meet(Part::All, &a, Part::All)?;
                y.must_not_meet(Part::All, &x, Part::All)?;
                let mut result = scaled(sim, y, Part::All, beta)?.transposed();
                if alpha != 0.0 {
                    let a = operand(sim, (a, transpose), Precision::Full)?;
                    let x = x.read(sim, Part::All)?.transposed();
                    accumulate(&mut result, &a, &x, alpha);
                }
                y.write(sim, Part::All, &result.transposed())
            })
        }
    )*}};
}

gemv! {
    f32 F32 cublasSgemv_v2;
    f64 F64 cublasDgemv_v2;
}
