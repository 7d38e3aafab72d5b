//! Handles and their settings.

use super::{BlasStatus, blas_api};
use crate::driver::{Handle, Status, put, with_state};
use std::ffi::{c_char, c_int, c_void};

/// A cuBLAS handle.
#[derive(Clone, Copy)]
pub(crate) struct BlasHandle {
    /// The stream of its calls, as a number.
    pub stream: usize,
    /// Whether α, β and results are in device memory.
    pub device_pointers: bool,
    /// What products of singles may be rounded to.
    pub math_mode: c_int,
    atomics_mode: c_int,
}

/// The handle behind a number.
pub(crate) fn look_up(handle: Handle) -> Result<BlasHandle, BlasStatus> {
    with_state(|s| s.blas.get(handle).copied().map_err(|_| BlasStatus::NOT_INITIALIZED))
}

fn change(handle: Handle, f: impl FnOnce(&mut BlasHandle)) -> Result<(), BlasStatus> {
    with_state(|s| match s.blas.get_mut(handle) {
        Ok(found) => {
            f(found);
            Ok(())
        }
        Err(_) => Err(BlasStatus::NOT_INITIALIZED),
    })
}

/// # Safety
/// `target` is null or valid for writing.
unsafe fn give<T>(target: *mut T, value: T) -> Result<(), BlasStatus> {
    // SAFETY: by contract.
    unsafe { put(target, value) }.map_err(|_| BlasStatus::INVALID_VALUE)
}

blas_api! {
    /// Creates a handle.
    fn cublasCreate_v2(handle: *mut Handle) {
        let settings =
            BlasHandle { stream: 0, device_pointers: false, math_mode: 0, atomics_mode: 0 };
        let created = with_state(|s| {
            // Creating a handle allocates, which a capture forbids.
            s.check_blocking().map_err(|_| BlasStatus::NOT_INITIALIZED)?;
            if !s.options.blas {
                return Err(BlasStatus::NOT_INITIALIZED);
            }
            Ok(s.blas.insert(settings))
        })?;
        give(handle, created)
    }

    /// Destroys a handle, whose stream must still be there: cuBLAS gives back what it has on it, and waits
    /// for the whole device, which spoils every capture.
    fn cublasDestroy_v2(handle: Handle) {
        with_state(|s| {
            let removed = s.blas.remove(handle).map_err(|_| BlasStatus::NOT_INITIALIZED)?;
            if s.check_wait_for_all() == Err(Status::STREAM_CAPTURE_UNSUPPORTED) {
                return Err(BlasStatus::EXECUTION_FAILED);
            }
            if let Err(gone) = s.capture_of(removed.stream as Handle) {
                let message = "a handle of cuBLAS was destroyed after the stream that it works on";
                s.device.fail(gone, message.to_string());
                return Err(BlasStatus::EXECUTION_FAILED);
            }
            Ok(())
        })
    }

    /// The version, 12.0.
    fn cublasGetVersion_v2(handle: Handle, version: *mut c_int) {
        let _ = handle;
        give(version, 120_000)
    }

    /// Sets the stream.
    fn cublasSetStream_v2(handle: Handle, stream: Handle) {
        change(handle, |h| h.stream = stream as usize)
    }

    /// The stream.
    fn cublasGetStream_v2(handle: Handle, stream: *mut Handle) {
        give(stream, look_up(handle)?.stream as Handle)
    }

    /// Sets the math mode: with TF32, products of singles round their operands.
    fn cublasSetMathMode(handle: Handle, mode: c_int) {
        change(handle, |h| h.math_mode = mode)
    }

    /// The math mode.
    fn cublasGetMathMode(handle: Handle, mode: *mut c_int) {
        give(mode, look_up(handle)?.math_mode)
    }

    /// Whether scalars are on the host (0) or the device (1).
    fn cublasSetPointerMode_v2(handle: Handle, mode: c_int) {
        if !(0..=1).contains(&mode) {
            return Err(BlasStatus::INVALID_VALUE);
        }
        change(handle, |h| h.device_pointers = mode == 1)
    }

    /// Whether scalars are on the host (0) or the device (1).
    fn cublasGetPointerMode_v2(handle: Handle, mode: *mut c_int) {
        give(mode, c_int::from(look_up(handle)?.device_pointers))
    }

    /// Whether atomics may be used; they are not.
    fn cublasSetAtomicsMode(handle: Handle, mode: c_int) {
        change(handle, |h| h.atomics_mode = mode)
    }

    /// Whether atomics may be used.
    fn cublasGetAtomicsMode(handle: Handle, mode: *mut c_int) {
        give(mode, look_up(handle)?.atomics_mode)
    }

    /// Gives workspace, which must be device memory.
    fn cublasSetWorkspace_v2(handle: Handle, workspace: *mut c_void, bytes: usize) {
        look_up(handle)?;
        let exists = with_state(|s| s.device.sim.memory.find(workspace as u64, bytes).is_some());
        if bytes > 0 && !exists {
            return Err(BlasStatus::INVALID_VALUE);
        }
        Ok(())
    }
}

const NAMES: &[(c_int, &std::ffi::CStr)] = &[
    (0, c"CUBLAS_STATUS_SUCCESS"),
    (1, c"CUBLAS_STATUS_NOT_INITIALIZED"),
    (7, c"CUBLAS_STATUS_INVALID_VALUE"),
    (13, c"CUBLAS_STATUS_EXECUTION_FAILED"),
    (15, c"CUBLAS_STATUS_NOT_SUPPORTED"),
];

/// The name of a status.
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
pub extern "C" fn cublasGetStatusName(status: c_int) -> *const c_char {
    let known = NAMES.iter().find(|(code, _)| *code == status);
    known.map_or(c"CUBLAS_STATUS_UNKNOWN", |(_, name)| *name).as_ptr()
}

/// The description of a status: its name.
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
pub extern "C" fn cublasGetStatusString(status: c_int) -> *const c_char {
    cublasGetStatusName(status)
}
