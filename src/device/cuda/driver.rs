//! The driver API as this device uses it: a retained primary context, a stream of our own or of the
//! caller, events, and what the driver's errors become.
//!
//! The context is always the device's primary one, which frameworks use too; it is retained while a
//! handle lives and never destroyed. The calling thread's current context is restored after every
//! call. Nothing here synchronises but what is called so.

use crate::{Error, Result};
use core::ffi::{CStr, c_void};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;

/// The oldest driver that reads our PTX (ISA 8.0), as `cuDriverGetVersion` counts: CUDA 12.0.
const OLDEST_DRIVER: i32 = 12_000;
/// What is called before the version of the driver is known; the others are in every driver that is
/// new enough. cudarc would panic where one is missing.
const FIRST_CALLS: [&str; 4] =
    ["cuInit", "cuDriverGetVersion", "cuGetErrorName", "cuGetErrorString"];
/// The stream that is another one on every thread.
const PER_THREAD_STREAM: usize = 2;
/// Another name of the default stream, whose handle is null.
const LEGACY_STREAM: usize = 1;

/// `cuStreamGetCaptureInfo_v2`: stream, status, number of the capture, and three results that may be
/// null. Drivers have it, while cudarc names it for some versions of CUDA only.
type CaptureInfo = unsafe extern "C" fn(
    sys::CUstream,
    *mut sys::CUstreamCaptureStatus,
    *mut u64,
    *mut c_void,
    *mut c_void,
    *mut c_void,
) -> sys::CUresult;

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
    /// Whether kernels can use pageable memory of the host.
    pub(super) reads_pageable: bool,
    /// Whether copies read it in place too.
    pub(super) reads_host: bool,
    /// Bytes of the level-2 cache.
    pub(super) l2_bytes: usize,
    /// Streaming multiprocessors.
    pub(super) processors: usize,
    capture_info: CaptureInfo,
}

// SAFETY: contexts may be used from any thread; the driver locks.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// Retains the primary context of device `ordinal`.
    pub(super) fn retain(ordinal: usize) -> Result<Self> {
        let unavailable = |reason: String| Error::DeviceUnavailable { reason };
        // SAFETY: only tries to open the library.
        if !unsafe { sys::is_culib_present() } {
            return Err(unavailable("there is no CUDA driver (libcuda) on this machine".into()));
        }
        if let Some(missing) = FIRST_CALLS.iter().find(|name| symbol::<*const ()>(name).is_none()) {
            return Err(unavailable(format!("the CUDA driver (libcuda) has no {missing}")));
        }
        let explain = |call| {
            move |error| match explain(call, error, 0) {
                Error::DeviceFailure { call, reason } => unavailable(format!("{call}: {reason}")),
                error => error,
            }
        };
        result::init().map_err(explain("cuInit"))?;
        let mut version = 0;
        // SAFETY: writes one integer.
        let found = unsafe { sys::cuDriverGetVersion(&mut version) }.result();
        found.map_err(explain("cuDriverGetVersion"))?;
        let capture_info = symbol("cuStreamGetCaptureInfo_v2");
        let (true, Some(capture_info)) = (version >= OLDEST_DRIVER, capture_info) else {
            let (major, minor) = (version / 1000, version % 1000 / 10);
            let reason = format!("the driver is for CUDA {major}.{minor}, 12.0 is the oldest");
            return Err(unavailable(reason));
        };
        let count = result::device::get_count().map_err(explain("cuDeviceGetCount"))?;
        if ordinal >= count as usize {
            let allowed = format!("below the number of GPUs, {count}");
            return Err(Error::invalid("Cuda::new", "ordinal", ordinal, allowed));
        }
        let device = result::device::get(ordinal as i32).map_err(explain("cuDeviceGet"))?;
        use sys::CUdevice_attribute_enum as Attribute;
        let attribute = |name| {
            // SAFETY: the device exists.
            unsafe { result::device::get_attribute(device, name) }
                .map_err(explain("cuDeviceGetAttribute"))
        };
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        if major < 8 {
            let reason =
                format!("GPU {ordinal} has compute capability {major}.x, 8.0 is the least");
            return Err(unavailable(reason));
        }
        let pools = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? > 0;
        let reads_pageable = attribute(Attribute::CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS)? > 0;
        let reads_host =
            Attribute::CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES;
        let reads_host = attribute(reads_host)? > 0;
        let l2_bytes = attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?.max(1 << 20);
        let processors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1);
        // SAFETY: the device exists; released when this is dropped.
        let raw = unsafe { result::primary_ctx::retain(device) }
            .map_err(explain("cuDevicePrimaryCtxRetain"))?;
        let (l2_bytes, processors) = (l2_bytes as usize, processors as usize);
        Ok(Self {
            device,
            raw,
            ordinal,
            pools,
            reads_pageable,
            reads_host,
            l2_bytes,
            processors,
            capture_info,
        })
    }

    /// The compute capability of the device, times ten.
    #[cfg(feature = "nvrtc")]
    pub(super) fn capability(&self) -> Result<i32> {
        use sys::CUdevice_attribute_enum::{
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
        };
        let attribute = |name| {
            // SAFETY: the device exists.
            unsafe { result::device::get_attribute(self.device, name) }
                .map_err(|error| explain("cuDeviceGetAttribute", error, 0))
        };
        Ok(10 * attribute(MAJOR)? + attribute(MINOR)?)
    }

    /// The CUDA version of the driver, 12040 for 12.4.
    #[cfg(feature = "nvrtc")]
    pub(super) fn driver_version(&self) -> Result<i32> {
        let mut version = 0;
        // SAFETY: writes one integer.
        let found = unsafe { sys::cuDriverGetVersion(&mut version) }.result();
        found.map(|()| version).map_err(|error| explain("cuDriverGetVersion", error, 0))
    }

    /// Makes the context current on this thread until the guard is dropped.
    pub(super) fn enter(&self) -> Result<Current> {
        // SAFETY: the context is retained.
        unsafe { sys::cuCtxPushCurrent_v2(self.raw) }
            .result()
            .map_err(|error| explain("cuCtxPushCurrent", error, 0))?;
        Ok(Current)
    }

    /// Waits for everything on the GPU; the context is current.
    pub(super) fn synchronize(&self) -> Result<()> {
        result::ctx::synchronize().map_err(|error| explain("cuCtxSynchronize", error, 0))
    }
}

/// A function of the driver's library by name.
pub(super) fn symbol<F: Copy>(name: &str) -> Option<F> {
    // SAFETY: the library was found; callers ask for the type that the driver documents.
    unsafe { sys::culib().get::<F>(name.as_bytes()) }.ok().map(|found| *found)
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

/// While it lives, this thread may make calls that may block beside the captures of others. In CUDA's default
/// mode a capture forbids them to all threads and is spoilt by them; it does not depend on those that are
/// made here. What waits for the whole GPU conflicts with captures all the same. The context is current.
#[must_use]
pub(super) struct Relaxed(Option<sys::CUstreamCaptureMode>);

impl Relaxed {
    pub(super) fn enter() -> Self {
        let mut mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: exchanges one number. After a failure all is as before.
        let done = unsafe { sys::cuThreadExchangeStreamCaptureMode(&mut mode) }.result();
        Self(done.ok().map(|()| mode))
    }
}

impl Drop for Relaxed {
    fn drop(&mut self) {
        if let Some(before) = &mut self.0 {
            // SAFETY: as above.
            let _ = unsafe { sys::cuThreadExchangeStreamCaptureMode(before) };
        }
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

    /// Somebody else's stream in the context, which is current.
    pub(super) fn borrowed(context: &Context, raw: *mut c_void) -> Result<Self> {
        let refused = |value: String| {
            let allowed =
                "null or a stream of the primary context of this GPU, not CU_STREAM_PER_THREAD";
            Err(Error::invalid("Cuda::on_stream", "stream", value, allowed))
        };
        let raw: sys::CUstream = match raw.addr() {
            LEGACY_STREAM => core::ptr::null_mut(),
            PER_THREAD_STREAM => return refused("CU_STREAM_PER_THREAD".into()),
            _ => raw.cast(),
        };
        if !raw.is_null() {
            let mut owner = core::ptr::null_mut();
            // SAFETY: the caller's promise that the stream lives.
            unsafe { sys::cuStreamGetCtx(raw, &mut owner) }
                .result()
                .map_err(|error| explain("cuStreamGetCtx", error, 0))?;
            if owner != context.raw {
                return refused(format!("{raw:p} of another context"));
            }
        }
        Ok(Self { raw, owned: false })
    }

    /// Whether it is ours, and lives until it is destroyed here.
    pub(super) fn is_owned(&self) -> bool {
        self.owned
    }

    pub(super) fn raw(&self) -> sys::CUstream {
        self.raw
    }

    pub(super) fn synchronize(&self) -> Result<()> {
        // SAFETY: the stream lives.
        unsafe { result::stream::synchronize(self.raw) }
            .map_err(|error| explain("cuStreamSynchronize", error, 0))
    }

    /// The number of the capture that calls are recorded in at the moment, if they are.
    pub(super) fn capture(&self, context: &Context) -> Result<Option<u64>> {
        let none = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
        let (mut status, mut number, null) = (none, 0, core::ptr::null_mut());
        // SAFETY: the stream lives; what is null is not wanted.
        let asked =
            unsafe { (context.capture_info)(self.raw, &mut status, &mut number, null, null, null) };
        if asked == sys::CUresult::CUDA_ERROR_STREAM_CAPTURE_IMPLICIT {
            let what = "the default stream while a stream that it waits for is captured".into();
            return Err(Error::Unsupported { op: "Cuda", what });
        }
        asked.result().map_err(|error| explain("cuStreamGetCaptureInfo", error, 0))?;
        Ok((status != none).then_some(number))
    }

    /// What is issued on this stream from now on waits for what `other` has been given so far.
    pub(super) fn wait_for(&self, other: &Stream) -> Result<()> {
        if self.raw == other.raw {
            return Ok(());
        }
        let event = Event::record(other)?;
        let waits = self.wait_event(&event);
        event.destroy();
        waits
    }

    /// What is issued on this stream from now on waits for the event.
    pub(super) fn wait_event(&self, event: &Event) -> Result<()> {
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: event and stream live.
        unsafe { result::stream::wait_event(self.raw, event.0, flags) }
            .map_err(|error| explain("cuStreamWaitEvent", error, 0))
    }

    /// Gives the stream back, if it is ours, once its work is done.
    pub(super) fn destroy(&self) {
        if self.owned {
            // SAFETY: nobody uses it any more; the driver waits for its work.
            let _ = unsafe { result::stream::destroy(self.raw) };
        }
    }
}

/// A point in the work of a stream. Use only while its context is current.
#[derive(Debug)]
pub(super) struct Event(sys::CUevent);

// SAFETY: events may be used from any thread; the driver locks.
unsafe impl Send for Event {}

impl Event {
    /// What the stream has been given so far.
    pub(super) fn record(stream: &Stream) -> Result<Self> {
        let event = result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)
            .map_err(|error| explain("cuEventCreate", error, 0))?;
        let event = Self(event);
        // SAFETY: event and stream live.
        match unsafe { result::event::record(event.0, stream.raw) } {
            Ok(()) => Ok(event),
            Err(error) => {
                event.destroy();
                Err(explain("cuEventRecord", error, 0))
            }
        }
    }

    /// Gives the event back; what waits for it still does.
    pub(super) fn destroy(self) {
        // SAFETY: created by `record`. A failure has no one to be told to.
        let _ = unsafe { result::event::destroy(self.0) };
    }
}
