//! The driver API as this device uses it: a retained primary context, a stream of our own or of the
//! caller, events between streams, and what the driver's errors become.
//!
//! The context is always the device's primary one, which frameworks use too; it is retained while a
//! handle lives and never destroyed. The calling thread's current context is restored after every
//! call. Nothing here synchronises but [`Stream::synchronize`].

use crate::{Error, Result};
use core::ffi::{CStr, c_void};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;

/// The oldest driver that reads our PTX (ISA 8.0), as `cuDriverGetVersion` counts: CUDA 12.0.
const OLDEST_DRIVER: i32 = 12_000;

/// What a driver call that failed means; `bytes` is the size of an allocation, if it was one.
pub(super) fn explain(call: &'static str, error: DriverError, bytes: usize) -> Error {
    if error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
        return Error::OutOfMemory { bytes };
    }
    let text = |text: core::result::Result<&CStr, DriverError>| match text {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => format!("error {}", error.0 as u32),
    };
    Error::DeviceFailure {
        call,
        reason: format!("{} ({})", text(error.error_string()), text(error.error_name())),
    }
}

/// The primary context of a device, retained.
#[derive(Debug)]
pub(super) struct Context {
    device: sys::CUdevice,
    raw: sys::CUcontext,
    pub(super) ordinal: usize,
    /// Stream-ordered allocation.
    pub(super) pools: bool,
    /// Bytes of the level-2 cache.
    pub(super) l2_bytes: usize,
    /// Streaming multiprocessors.
    pub(super) processors: usize,
}

// SAFETY: contexts may be used from any thread; the driver locks.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// Retains the primary context of device `ordinal`.
    pub(super) fn retain(ordinal: usize) -> Result<Self> {
        let unavailable = |reason: String| Error::DeviceUnavailable { reason };
        // cudarc panics where the library or a symbol of it is missing.
        // SAFETY: only tries to open the library.
        if !unsafe { sys::is_culib_present() } {
            return Err(unavailable("there is no CUDA driver (libcuda) on this machine".into()));
        }
        let opened = std::panic::catch_unwind(|| Self::open(ordinal));
        opened.unwrap_or_else(|_| Err(unavailable("the CUDA driver lacks functions".into())))
    }

    fn open(ordinal: usize) -> Result<Self> {
        let explain = |error: DriverError| match explain("cuInit", error, 0) {
            Error::DeviceFailure { call, reason } => {
                Error::DeviceUnavailable { reason: format!("{call}: {reason}") }
            }
            error => error,
        };
        result::init().map_err(explain)?;
        let mut version = 0;
        // SAFETY: writes one integer.
        unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(explain)?;
        if version < OLDEST_DRIVER {
            let (major, minor) = (version / 1000, version % 1000 / 10);
            let reason = format!("the driver is for CUDA {major}.{minor}, 12.0 is the oldest");
            return Err(Error::DeviceUnavailable { reason });
        }
        let count = result::device::get_count().map_err(explain)?;
        if ordinal >= count as usize {
            let allowed = format!("below the number of GPUs, {count}");
            return Err(Error::invalid("Cuda::new", "ordinal", ordinal, allowed));
        }
        let device = result::device::get(ordinal as i32).map_err(explain)?;
        use sys::CUdevice_attribute_enum as Attribute;
        let attribute = |name| {
            // SAFETY: the device exists.
            unsafe { result::device::get_attribute(device, name) }.map_err(explain)
        };
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        if major < 8 {
            let reason =
                format!("GPU {ordinal} has compute capability {major}.x, 8.0 is the least");
            return Err(Error::DeviceUnavailable { reason });
        }
        let pools = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? > 0;
        let l2_bytes = attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?.max(1 << 20);
        let processors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1);
        // SAFETY: the device exists; released when this is dropped.
        let raw = unsafe { result::primary_ctx::retain(device) }.map_err(explain)?;
        let (l2_bytes, processors) = (l2_bytes as usize, processors as usize);
        Ok(Self { device, raw, ordinal, pools, l2_bytes, processors })
    }

    /// Makes the context current on this thread until the guard is dropped.
    pub(super) fn enter(&self) -> Result<Current> {
        // SAFETY: the context is retained.
        unsafe { sys::cuCtxPushCurrent_v2(self.raw) }
            .result()
            .map_err(|error| explain("cuCtxPushCurrent", error, 0))?;
        Ok(Current)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained by `open`. A failure has no one to be told to.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}

/// While it lives, a context is current on this thread; the one before comes back afterwards.
#[must_use]
pub(super) struct Current;

impl Drop for Current {
    fn drop(&mut self) {
        let mut popped = core::ptr::null_mut();
        // SAFETY: pops what `enter` pushed.
        let _ = unsafe { sys::cuCtxPopCurrent_v2(&mut popped) };
    }
}

/// A stream, and whether it is ours to destroy. Use only while its context is current.
#[derive(Debug)]
pub(super) struct Stream {
    raw: sys::CUstream,
    owned: bool,
}

// SAFETY: streams may be used from any thread; the driver locks.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

impl Stream {
    /// A new stream that does not wait for the default one.
    pub(super) fn new() -> Result<Self> {
        let raw = result::stream::create(result::stream::StreamKind::NonBlocking)
            .map_err(|error| explain("cuStreamCreate", error, 0))?;
        Ok(Self { raw, owned: true })
    }

    /// Somebody else's stream.
    pub(super) fn borrowed(raw: *mut c_void) -> Self {
        Self { raw: raw.cast(), owned: false }
    }

    pub(super) fn raw(&self) -> sys::CUstream {
        self.raw
    }

    pub(super) fn synchronize(&self) -> Result<()> {
        // SAFETY: the stream lives.
        unsafe { result::stream::synchronize(self.raw) }
            .map_err(|error| explain("cuStreamSynchronize", error, 0))
    }

    /// Whether calls are recorded into a graph at the moment.
    pub(super) fn is_capturing(&self) -> Result<bool> {
        // SAFETY: the stream lives.
        let status = unsafe { result::stream::is_capturing(self.raw) }
            .map_err(|error| explain("cuStreamIsCapturing", error, 0))?;
        Ok(status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE)
    }

    /// What is issued on this stream from now on waits for what `other` has been given so far.
    pub(super) fn wait_for(&self, other: &Stream) -> Result<()> {
        if self.raw == other.raw {
            return Ok(());
        }
        let failed = |error| explain("cuStreamWaitEvent", error, 0);
        let event = result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)
            .map_err(|error| explain("cuEventCreate", error, 0))?;
        // SAFETY: event and streams live. An event may be destroyed as soon as the wait is issued.
        unsafe {
            let wait = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
            let done = result::event::record(event, other.raw)
                .and_then(|()| result::stream::wait_event(self.raw, event, wait));
            let _ = result::event::destroy(event);
            done.map_err(failed)
        }
    }

    /// Gives the stream back, if it is ours, once its work is done.
    pub(super) fn destroy(&mut self) {
        if self.owned {
            // SAFETY: nobody uses it any more; the driver waits for its work.
            let _ = unsafe { result::stream::destroy(self.raw) };
        }
    }
}
