//! The part of cuBLAS that programs here use, on the same device memory.
//!
//! Matrices are column-major. Arguments are checked as cuBLAS does (before anything is read), operands
//! for bounds and for memory that nothing wrote; nothing is read where α or β is zero. Sums of
//! singles and halves are formed in double precision, sums of doubles in double precision, always in
//! the same order. A call on a capturing stream is recorded.

mod call;
mod gemm;
mod gemm_ex;
mod handle;
mod level1;
mod level2;
mod matrix;
mod precision;
mod scalar;
mod syrk;
mod triangular;

pub(crate) use handle::BlasHandle;

use std::ffi::c_int;

/// A `cublasStatus_t` other than success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlasStatus(pub c_int);

impl BlasStatus {
    /// `CUBLAS_STATUS_NOT_INITIALIZED`.
    pub const NOT_INITIALIZED: Self = Self(1);
    /// `CUBLAS_STATUS_INVALID_VALUE`.
    pub const INVALID_VALUE: Self = Self(7);
    /// `CUBLAS_STATUS_EXECUTION_FAILED`.
    pub const EXECUTION_FAILED: Self = Self(13);
    /// `CUBLAS_STATUS_NOT_SUPPORTED`.
    pub const NOT_SUPPORTED: Self = Self(15);
}

/// Defines exported functions whose body returns `Result<(), BlasStatus>`; they need a current
/// context.
///
/// Callers keep the contract of the cuBLAS manual: host pointers are null or valid.
macro_rules! blas_api {
    ($($(#[$meta:meta])* fn $name:ident($($argument:ident: $ty:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, clippy::missing_safety_doc, clippy::too_many_arguments)]
        pub unsafe extern "C" fn $name($($argument: $ty),*) -> std::ffi::c_int {
            let body = || -> Result<(), $crate::blas::BlasStatus> {
                let current = $crate::driver::current();
                current.map_err(|_| $crate::blas::BlasStatus::NOT_INITIALIZED)?;
                #[allow(unused_unsafe)] // some bodies need none
                // SAFETY: callers keep the contract of the cuBLAS manual.
                unsafe { $body }
            };
            body().err().map_or(0, |status| status.0)
        }
    )*};
}
pub(crate) use blas_api;
