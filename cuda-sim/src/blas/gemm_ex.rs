//! Products of mixed precision.

use super::call::Call;
use super::gemm::Arguments;
use super::precision::Precision;
use super::scalar::Scalar;
use super::{BlasStatus, blas_api};
use crate::driver::Handle;
use std::ffi::{c_int, c_longlong, c_void};

/// The element types of A, B and C and the type of α and β, if the combination is supported: halves
/// or singles in and out with single factors, or doubles throughout. The fast compute types take singles.
fn types(
    a: c_int,
    b: c_int,
    c: c_int,
    compute: c_int,
) -> Result<([Scalar; 3], Scalar), BlasStatus> {
    let known = |number| Scalar::numbered(number).ok_or(BlasStatus::NOT_SUPPORTED);
    let (a, b, c) = (known(a)?, known(b)?, known(c)?);
    let supported = match compute {
        70 | 71 => [a, b, c] == [Scalar::F64; 3],
        68 | 69 => a == b && a != Scalar::F64 && (c == Scalar::F32 || c == a),
        74 | 75 | 77 => [a, b, c] == [Scalar::F32; 3],
        _ => false,
    };
    let factor = if a == Scalar::F64 { Scalar::F64 } else { Scalar::F32 };
    if supported { Ok(([a, b, c], factor)) } else { Err(BlasStatus::NOT_SUPPORTED) }
}

blas_api! {
    /// C = α·op(A)·op(B) + β·C with types of its own for each matrix.
    fn cublasGemmEx(
        handle: Handle, transa: c_int, transb: c_int, m: c_int, n: c_int, k: c_int,
        alpha: *const c_void, a: u64, a_type: c_int, lda: c_int,
        b: u64, b_type: c_int, ldb: c_int,
        beta: *const c_void, c: u64, c_type: c_int, ldc: c_int,
        compute: c_int, algorithm: c_int,
    ) {
        let _ = algorithm;
        let call = Call::new("cublasGemmEx", handle)?;
        let (scalars, factor) = types(a_type, b_type, c_type, compute)?;
        let (alpha, beta) = (call.factor(alpha, factor)?, call.factor(beta, factor)?);
        let arguments = Arguments {
            transpose: [transa, transb],
            sizes: [m, n, k],
            addresses: [a, b, c],
            strides: [lda, ldb, ldc],
            scalars,
            distances: [0; 3],
            batch: 1,
            precision: Precision::of_compute_type(compute),
        };
        arguments.submit(call, alpha, beta)
    }

    /// The same for matrices at fixed distances.
    fn cublasGemmStridedBatchedEx(
        handle: Handle, transa: c_int, transb: c_int, m: c_int, n: c_int, k: c_int,
        alpha: *const c_void, a: u64, a_type: c_int, lda: c_int, stride_a: c_longlong,
        b: u64, b_type: c_int, ldb: c_int, stride_b: c_longlong,
        beta: *const c_void, c: u64, c_type: c_int, ldc: c_int, stride_c: c_longlong,
        batch: c_int, compute: c_int, algorithm: c_int,
    ) {
        let _ = algorithm;
        let call = Call::new("cublasGemmStridedBatchedEx", handle)?;
        let (scalars, factor) = types(a_type, b_type, c_type, compute)?;
        let (alpha, beta) = (call.factor(alpha, factor)?, call.factor(beta, factor)?);
        let arguments = Arguments {
            transpose: [transa, transb],
            sizes: [m, n, k],
            addresses: [a, b, c],
            strides: [lda, ldb, ldc],
            scalars,
            distances: [stride_a, stride_b, stride_c],
            batch,
            precision: Precision::of_compute_type(compute),
        };
        arguments.submit(call, alpha, beta)
    }
}
