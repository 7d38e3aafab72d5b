//! Streams.

use super::capture::{Mode, OF_THREAD};
use super::{Handle, Status, api, put, with_state};
use crate::order::{LEGACY, StreamId};
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

/// A stream.
pub struct Stream {
    /// Whether it waits for the legacy stream.
    pub is_blocking: bool,
    /// The capture that it takes part in.
    pub capture: Option<u64>,
    priority: c_int,
}

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: c_uint = 1;

fn create(flags: c_uint, priority: c_int) -> Result<Handle, Status> {
    if flags & !NON_BLOCKING != 0 {
        return Err(Status::INVALID_VALUE);
    }
    let is_blocking = flags & NON_BLOCKING == 0;
    with_state(|s| {
        s.check_sticky()?;
        let stream = s.streams.insert(Stream { is_blocking, capture: None, priority });
        s.device.sim.order.create(id(stream), is_blocking);
        Ok(stream)
    })
}

fn capture_status(stream: Handle) -> Result<(c_int, u64), Status> {
    with_state(|s| {
        let blocking = |stream: &Stream| stream.is_blocking && stream.capture.is_some();
        if (stream as usize) <= 1 && s.streams.values_mut().any(|stream| blocking(stream)) {
            return Err(Status::STREAM_CAPTURE_IMPLICIT);
        }
        Ok(match s.capture_of(stream)? {
            None => (0, 0),
            Some(id) if s.is_invalid(id) => (2, id),
            Some(id) => (1, id),
        })
    })
}

/// A function that a stream calls on the host.
type HostFunction = Option<unsafe extern "C" fn(*mut c_void)>;

api! {
    needs current;

    /// Creates a stream.
    fn cuStreamCreate(stream: *mut Handle, flags: c_uint) {
        put(stream, create(flags, 0)?)
    }

    /// Creates a stream; the priority has no effect.
    fn cuStreamCreateWithPriority(stream: *mut Handle, flags: c_uint, priority: c_int) {
        put(stream, create(flags, priority)?)
    }

    /// The priority given at creation.
    fn cuStreamGetPriority(stream: Handle, priority: *mut c_int) {
        let value = with_state(|s| match stream as usize {
            0..=2 => Ok(0),
            _ => Ok(s.streams.get(stream)?.priority),
        })?;
        put(priority, value)
    }

    /// Destroys a stream.
    fn cuStreamDestroy_v2(stream: Handle) {
        with_state(|s| {
            if let Some(id) = s.streams.remove(stream)?.capture {
                s.destroyed_in_capture(stream, id);
            }
            Ok(())
        })
    }

    /// Waits for a stream, which is always done.
    fn cuStreamSynchronize(stream: Handle) {
        with_state(|s| {
            s.check_wait(stream)?;
            s.waited_for_stream(stream)
        })
    }

    /// Whether a stream is done; it always is.
    fn cuStreamQuery(stream: Handle) {
        with_state(|s| {
            s.check_wait(stream)?;
            s.waited_for_stream(stream)
        })
    }

    /// Lets a stream wait for an event.
    fn cuStreamWaitEvent(stream: Handle, event: Handle, flags: c_uint) {
        let _ = flags;
        with_state(|s| {
            s.check_sticky()?;
            let (captured, front) = s.events.get(event)?.last();
            s.wait_in_capture(stream, captured)?;
            if let Some(front) = front {
                s.device.sim.order.wait(id(stream), &front);
            }
            Ok(())
        })
    }

    /// Calls a host function in the order of the stream.
    fn cuLaunchHostFunc(stream: Handle, function: HostFunction, data: *mut c_void) {
        let function = function.ok_or(Status::INVALID_VALUE)?;
        let data = data as usize;
        with_state(|s| {
            s.enqueue(
                stream,
                Arc::new(move |device| {
                    device.deliver_before()?;
                    // SAFETY: the caller of cuLaunchHostFunc keeps function and data valid.
                    unsafe { function(data as *mut c_void) };
                    Ok(())
                }),
            )
        })
    }

    /// Begins to record the calls on a stream.
    fn cuStreamBeginCapture_v2(stream: Handle, mode: c_int) {
        let mode = Mode::of(mode)?;
        with_state(|s| s.begin_capture(stream, mode))
    }

    /// Sets the mode of the thread and gives the one before.
    fn cuThreadExchangeStreamCaptureMode(mode: *mut c_int) {
        if mode.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        let before = OF_THREAD.replace(Mode::of(mode.read())?);
        put(mode, before as c_int)
    }

    /// Ends recording; the graph is null after an error.
    fn cuStreamEndCapture(stream: Handle, graph: *mut Handle) {
        put(graph, std::ptr::null_mut())?;
        let handle = with_state(|s| s.end_capture(stream))?;
        put(graph, handle)
    }

    /// Whether a stream captures: 0 no, 1 yes, 2 spoilt.
    fn cuStreamIsCapturing(stream: Handle, status: *mut c_int) {
        put(status, capture_status(stream)?.0)
    }

    /// The same with the number of the capture; nodes and dependencies cannot be had.
    fn cuStreamGetCaptureInfo_v2(
        stream: Handle,
        status: *mut c_int,
        id: *mut u64,
        graph: *mut Handle,
        dependencies: *mut *const Handle,
        count: *mut usize,
    ) {
        let (code, number) = capture_status(stream)?;
        if !graph.is_null() || !dependencies.is_null() || !count.is_null() {
            return Err(Status::NOT_SUPPORTED);
        }
        put(status, code)?;
        if id.is_null() { Ok(()) } else { put(id, number) }
    }

    /// The context of a stream.
    fn cuStreamGetCtx(stream: Handle, context: *mut Handle) {
        with_state(|s| s.capture_of(stream))?;
        put(context, super::context::PRIMARY as Handle)
    }
}

/// The stream in the order of operations.
pub(crate) fn id(stream: Handle) -> StreamId {
    match stream as usize {
        // The two names of the legacy stream.
        0 | 1 => LEGACY,
        other => other,
    }
}
