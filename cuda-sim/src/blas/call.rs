//! From the arguments of a call to work on a stream.

use super::BlasStatus;
use super::handle::look_up;
use super::matrix::{DeviceMatrix, Part};
use super::precision::Precision;
use super::scalar::Scalar;
use crate::driver::{Handle, Status, with_state};
use crate::simulator::Simulator;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// Why an operation failed, in words.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(message: String) -> Self {
        Self(message)
    }
}

/// A scalar argument: known at the call, or read from device memory when the work is done.
#[derive(Clone, Copy, Debug)]
pub enum Factor {
    Known(f64),
    OnDevice(u64, Scalar),
}

impl Factor {
    pub fn value(self, sim: &mut Simulator) -> Result<f64, Failure> {
        match self {
            Self::Known(value) => Ok(value),
            Self::OnDevice(address, scalar) => {
                let matrix = DeviceMatrix {
                    name: "a scalar",
                    address,
                    scalar,
                    rows: 1,
                    columns: 1,
                    stride: 1,
                };
                Ok(matrix.read(sim, Part::All)?.values[0])
            }
        }
    }
}

/// A call being checked.
pub struct Call {
    /// Name of the function, for messages.
    pub function: &'static str,
    /// What the math mode of the handle allows.
    pub precision: Precision,
    handle: usize,
    stream: usize,
    device_pointers: bool,
}

impl Call {
    pub fn new(function: &'static str, handle: Handle) -> Result<Self, BlasStatus> {
        let settings = look_up(handle)?;
        let (stream, device_pointers) = (settings.stream, settings.device_pointers);
        let precision = Precision::of_math_mode(settings.math_mode);
        Ok(Self { function, handle: handle as usize, precision, stream, device_pointers })
    }

    /// Whether results go to device memory.
    pub fn results_on_device(&self) -> bool {
        self.device_pointers
    }

    /// A scalar argument.
    ///
    /// # Safety
    /// In host pointer mode `pointer` is null or points to a value of that type.
    pub unsafe fn factor(
        &self,
        pointer: *const c_void,
        scalar: Scalar,
    ) -> Result<Factor, BlasStatus> {
        if pointer.is_null() {
            return Err(BlasStatus::INVALID_VALUE);
        }
        if self.device_pointers {
            return Ok(Factor::OnDevice(pointer as u64, scalar));
        }
        // SAFETY: a value of that type by contract.
        let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), scalar.bytes()) };
        Ok(Factor::Known(scalar.decode(bytes)))
    }

    /// Does the work on the handle's stream, or records it.
    pub fn submit(
        self,
        work: impl Fn(&mut Simulator) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Result<(), BlasStatus> {
        let (function, handle, stream) = (self.function, self.handle, self.stream as Handle);
        let submitted = with_state(|s| {
            // What a graph works in is its own.
            let is_captured = s.capture_of(stream)?.is_some();
            s.enqueue(
                stream,
                Arc::new(move |device| {
                    if !is_captured {
                        device.uses_handle(handle, function)?;
                    }
                    work(&mut device.sim).map_err(|Failure(message)| {
                        let message = format!("{function} {message}");
                        device.fail(Status::ILLEGAL_ADDRESS, message)
                    })
                }),
            )
        });
        submitted.map_err(|_| BlasStatus::EXECUTION_FAILED)
    }
}

impl Call {
    /// The same for a call that waits for its result in host memory, which a capture forbids.
    pub fn submit_and_wait(
        self,
        work: impl Fn(&mut Simulator) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Result<(), BlasStatus> {
        let stream = self.stream as Handle;
        let checked = with_state(|s| s.check_wait(stream));
        checked.map_err(|_| BlasStatus::EXECUTION_FAILED)?;
        self.submit(work)?;
        let waited = with_state(|s| s.waited_for_stream(stream));
        waited.map_err(|_| BlasStatus::EXECUTION_FAILED)
    }
}

/// A size.
pub fn size(value: c_int) -> Result<usize, BlasStatus> {
    usize::try_from(value).map_err(|_| BlasStatus::INVALID_VALUE)
}

/// A leading dimension for columns of so many rows.
pub fn stride(value: c_int, rows: usize) -> Result<usize, BlasStatus> {
    let stride = size(value)?;
    if stride < rows.max(1) { Err(BlasStatus::INVALID_VALUE) } else { Ok(stride) }
}

/// Whether an operation transposes.
pub fn transposes(operation: c_int) -> Result<bool, BlasStatus> {
    match operation {
        0 => Ok(false),
        1 | 2 => Ok(true),
        _ => Err(BlasStatus::INVALID_VALUE),
    }
}

/// A triangle: 0 lower, 1 upper.
pub fn triangle(fill: c_int) -> Result<Part, BlasStatus> {
    match fill {
        0 => Ok(Part::Lower),
        1 => Ok(Part::Upper),
        _ => Err(BlasStatus::INVALID_VALUE),
    }
}
