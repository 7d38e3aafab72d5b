//! C = α·op(A)·op(A)ᵀ + β·C for one triangle of C.

use super::blas_api;
use super::call::{Call, size, stride, transposes, triangle};
use super::gemm::{accumulate, operand, scaled};
use super::matrix::{DeviceMatrix, Part};
use super::scalar::Scalar;
use crate::driver::Handle;
use std::ffi::{c_int, c_void};

macro_rules! syrk {
    ($($ty:ident $scalar:ident $name:ident;)*) => {blas_api! {$(
        /// C = α·op(A)·op(A)ᵀ + β·C for one triangle of C.
        fn $name(
            handle: Handle, fill: c_int, trans: c_int, n: c_int, k: c_int,
            alpha: *const $ty, a: u64, lda: c_int, beta: *const $ty, c: u64, ldc: c_int,
        ) {
            let call = Call::new(stringify!($name), handle)?;
            let scalar = Scalar::$scalar;
            let alpha = call.factor(alpha.cast::<c_void>(), scalar)?;
            let beta = call.factor(beta.cast::<c_void>(), scalar)?;
            let (part, transpose) = (triangle(fill)?, transposes(trans)?);
            let (n, k) = (size(n)?, size(k)?);
            let (rows, columns) = if transpose { (k, n) } else { (n, k) };
            let a = DeviceMatrix {
                name: "A", address: a, scalar, rows, columns, stride: stride(lda, rows)?,
            };
            let c = DeviceMatrix {
                name: "C", address: c, scalar, rows: n, columns: n, stride: stride(ldc, n)?,
            };
            if n == 0 {
                return Ok(());
            }
            let precision = call.precision;
            call.submit(move |sim| {
                let (alpha, beta) = (alpha.value(sim)?, beta.value(sim)?);
                let reads = alpha != 0.0 && k > 0;
                if reads {
                    c.must_not_meet(part, &a, Part::All)?;
                }
                let mut result = scaled(sim, c, part, beta)?;
                if reads {
                    let a = operand(sim, (a, transpose), precision)?;
                    accumulate(&mut result, &a, &a.transposed(), alpha);
                }
                c.write(sim, part, &result)
            })
        }
    )*}};
}

syrk! {
    f32 F32 cublasSsyrk_v2;
    f64 F64 cublasDsyrk_v2;
}
