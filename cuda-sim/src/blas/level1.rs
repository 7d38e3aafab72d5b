//! Vector operations.

use super::call::{Call, Failure, size};
use super::matrix::{DeviceMatrix, HostMatrix, Part};
use super::scalar::Scalar;
use super::{BlasStatus, blas_api};
use crate::driver::Handle;
use crate::simulator::Simulator;
use std::ffi::{c_int, c_void};

/// A vector as a matrix of one row, whose columns are `increment` elements apart.
pub fn vector(
    name: &'static str,
    address: u64,
    scalar: Scalar,
    length: usize,
    increment: c_int,
) -> Result<DeviceMatrix, BlasStatus> {
    let stride = match increment {
        0 => return Err(BlasStatus::INVALID_VALUE),
        // Vectors that run backwards are not used here.
        ..0 => return Err(BlasStatus::NOT_SUPPORTED),
        _ => increment as usize,
    };
    Ok(DeviceMatrix { name, address, scalar, rows: 1, columns: length, stride })
}

/// Writes the result of a reduction where the pointer mode says.
///
/// # Safety
/// In host pointer mode `result` is valid for writing a value of that type.
unsafe fn reduce(
    call: Call,
    result: *mut c_void,
    scalar: Scalar,
    f: impl Fn(&mut Simulator) -> Result<f64, Failure> + Send + Sync + 'static,
) -> Result<(), BlasStatus> {
    if result.is_null() {
        return Err(BlasStatus::INVALID_VALUE);
    }
    let address = result as usize;
    if call.results_on_device() {
        let (name, address) = ("the result", address as u64);
        let target = DeviceMatrix { name, address, scalar, rows: 1, columns: 1, stride: 1 };
        return call.submit(move |sim| {
            let values = HostMatrix { rows: 1, columns: 1, values: vec![f(sim)?] };
            target.write(sim, Part::All, &values)
        });
    }
    call.submit_and_wait(move |sim| {
        let value = f(sim)?;
        let mut bytes = [0; 8];
        scalar.encode(value, &mut bytes);
        // SAFETY: the caller keeps the target valid, by contract.
        unsafe {
            (address as *mut u8).copy_from_nonoverlapping(bytes.as_ptr(), scalar.bytes());
        }
        Ok(())
    })
}

macro_rules! level1 {
    ($($ty:ident $scalar:ident $scal:ident $axpy:ident $dot:ident $nrm2:ident $asum:ident;)*) => {
    blas_api! {$(
        /// x = α·x.
        fn $scal(handle: Handle, n: c_int, alpha: *const $ty, x: u64, incx: c_int) {
            let call = Call::new(stringify!($scal), handle)?;
            let alpha = call.factor(alpha.cast::<c_void>(), Scalar::$scalar)?;
            let x = vector("x", x, Scalar::$scalar, size(n)?, incx)?;
            call.submit(move |sim| {
                let alpha = alpha.value(sim)?;
                let mut values = x.read(sim, Part::All)?;
                values.values.iter_mut().for_each(|value| *value *= alpha);
                x.write(sim, Part::All, &values)
            })
        }

        /// y = α·x + y.
        fn $axpy(
            handle: Handle, n: c_int, alpha: *const $ty, x: u64, incx: c_int, y: u64, incy: c_int,
        ) {
            let call = Call::new(stringify!($axpy), handle)?;
            let alpha = call.factor(alpha.cast::<c_void>(), Scalar::$scalar)?;
            let x = vector("x", x, Scalar::$scalar, size(n)?, incx)?;
            let y = vector("y", y, Scalar::$scalar, size(n)?, incy)?;
            call.submit(move |sim| {
                let alpha = alpha.value(sim)?;
                if !y.is(&x) {
                    y.must_not_meet(Part::All, &x, Part::All)?;
                }
                let (from, mut to) = (x.read(sim, Part::All)?, y.read(sim, Part::All)?);
                for (to, from) in to.values.iter_mut().zip(&from.values) {
                    *to += alpha * from;
                }
                y.write(sim, Part::All, &to)
            })
        }

        /// Σ xᵢ·yᵢ.
        fn $dot(
            handle: Handle, n: c_int, x: u64, incx: c_int, y: u64, incy: c_int, result: *mut $ty,
        ) {
            let call = Call::new(stringify!($dot), handle)?;
            let x = vector("x", x, Scalar::$scalar, size(n)?, incx)?;
            let y = vector("y", y, Scalar::$scalar, size(n)?, incy)?;
            reduce(call, result.cast(), Scalar::$scalar, move |sim| {
                let (x, y) = (x.read(sim, Part::All)?, y.read(sim, Part::All)?);
                Ok(x.values.iter().zip(&y.values).map(|(x, y)| x * y).sum())
            })
        }

        /// √Σ xᵢ².
        fn $nrm2(handle: Handle, n: c_int, x: u64, incx: c_int, result: *mut $ty) {
            let call = Call::new(stringify!($nrm2), handle)?;
            let x = vector("x", x, Scalar::$scalar, size(n)?, incx)?;
            reduce(call, result.cast(), Scalar::$scalar, move |sim| {
                let x = x.read(sim, Part::All)?;
                let largest = x.values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
                if largest == 0.0 || !largest.is_finite() {
                    return Ok(x.values.iter().map(|x| x.abs()).sum());
                }
                // Scaled by a power of two, so that squares neither over- nor underflow.
                let exponent = largest.log2().floor().clamp(-1000.0, 1000.0);
                let scale = (-exponent).exp2();
                let sum: f64 = x.values.iter().map(|x| (x * scale) * (x * scale)).sum();
                Ok(sum.sqrt() / scale)
            })
        }

        /// Σ |xᵢ|.
        fn $asum(handle: Handle, n: c_int, x: u64, incx: c_int, result: *mut $ty) {
            let call = Call::new(stringify!($asum), handle)?;
            let x = vector("x", x, Scalar::$scalar, size(n)?, incx)?;
            reduce(call, result.cast(), Scalar::$scalar, move |sim| {
                Ok(x.read(sim, Part::All)?.values.iter().map(|x| x.abs()).sum())
            })
        }
    )*}};
}

level1! {
    f32 F32 cublasSscal_v2 cublasSaxpy_v2 cublasSdot_v2 cublasSnrm2_v2 cublasSasum_v2;
    f64 F64 cublasDscal_v2 cublasDaxpy_v2 cublasDdot_v2 cublasDnrm2_v2 cublasDasum_v2;
}
