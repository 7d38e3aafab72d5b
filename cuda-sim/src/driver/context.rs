//! Initialisation and contexts: the primary one of each device, and no other.
//!
//! Calls that work on a context need one that is current on the calling thread and retained by
//! somebody. When the last one of all is released, everything is gone but memory, which stays so that
//! leaks can be counted.

use super::state::State;
use super::{Handle, Status, api, put, with_state};
use std::cell::RefCell;
use std::ffi::{c_int, c_uint};

/// The handle of the primary context of the first device.
pub const PRIMARY: usize = 0x0200_00F0_0000_0010;
/// From one primary context to the next.
const STEP: usize = 16;

thread_local! {
    /// The context stack of a thread: devices, or none.
    static STACK: RefCell<Vec<Option<c_int>>> = const { RefCell::new(Vec::new()) };
}

/// For functions that may be called at any time.
pub(crate) fn nothing() -> Result<(), Status> {
    Ok(())
}

/// Whether `cuInit` was called.
pub(crate) fn initialised() -> Result<(), Status> {
    if with_state(|s| s.is_initialised) { Ok(()) } else { Err(Status::NOT_INITIALIZED) }
}

/// Whether the thread has a current context that lives.
pub(crate) fn current() -> Result<(), Status> {
    initialised()?;
    let device = top().ok_or(Status::INVALID_CONTEXT)? as usize;
    match with_state(|s| s.retained[device]) {
        0 => Err(Status::CONTEXT_IS_DESTROYED),
        _ => Ok(()),
    }
}

impl State {
    fn release(&mut self, device: c_int) -> Result<(), Status> {
        let retained = &mut self.retained[device as usize];
        *retained = retained.checked_sub(1).ok_or(Status::INVALID_CONTEXT)?;
        if self.retained.iter().all(|&retained| retained == 0) {
            self.forget_objects();
        }
        Ok(())
    }
}

fn checked(context: Handle) -> Result<Option<c_int>, Status> {
    let Some(offset) = (context as usize).checked_sub(PRIMARY) else {
        return if context.is_null() { Ok(None) } else { Err(Status::INVALID_CONTEXT) };
    };
    let device = c_int::try_from(offset / STEP).map_err(|_| Status::INVALID_CONTEXT)?;
    super::device::check(device).map_err(|_| Status::INVALID_CONTEXT)?;
    if offset % STEP == 0 { Ok(Some(device)) } else { Err(Status::INVALID_CONTEXT) }
}

fn handle(current: Option<c_int>) -> Handle {
    current.map_or(std::ptr::null_mut(), |device| (PRIMARY + STEP * device as usize) as Handle)
}

/// The device whose context is current on the thread.
pub(crate) fn top() -> Option<c_int> {
    STACK.with_borrow(|stack| stack.last().copied().flatten())
}

api! {
    needs nothing;

    /// Initialises the driver.
    fn cuInit(flags: c_uint) {
        match with_state(|s| s.options.devices) {
            _ if flags != 0 => return Err(Status::INVALID_VALUE),
            1.. => with_state(|s| s.is_initialised = true),
            _ => return Err(Status::NO_DEVICE),
        }
        Ok(())
    }

    /// The CUDA version.
    fn cuDriverGetVersion(version: *mut c_int) {
        put(version, with_state(|s| s.options.driver))
    }
}

api! {
    needs initialised;

    /// Retains the primary context.
    fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int) {
        super::device::check(device)?;
        with_state(|s| s.retained[device as usize] += 1);
        put(context, handle(Some(device)))
    }

    /// Releases the primary context.
    fn cuDevicePrimaryCtxRelease_v2(device: c_int) {
        super::device::check(device)?;
        with_state(|s| s.release(device))
    }

    /// Whether the primary context is retained.
    fn cuDevicePrimaryCtxGetState(device: c_int, flags: *mut c_uint, active: *mut c_int) {
        super::device::check(device)?;
        put(flags, 0)?;
        put(active, c_int::from(with_state(|s| s.retained[device as usize] > 0)))
    }

    /// Flags have no effect.
    fn cuDevicePrimaryCtxSetFlags_v2(device: c_int, flags: c_uint) {
        let _ = flags;
        super::device::check(device)
    }

    /// The current context of the thread, or null.
    fn cuCtxGetCurrent(context: *mut Handle) {
        put(context, handle(top()))
    }

    /// Makes a context current.
    fn cuCtxSetCurrent(context: Handle) {
        let wanted = checked(context)?;
        STACK.with_borrow_mut(|stack| {
            stack.pop();
            stack.push(wanted);
        });
        Ok(())
    }

    /// Pushes a context.
    fn cuCtxPushCurrent_v2(context: Handle) {
        let device = checked(context)?.ok_or(Status::INVALID_CONTEXT)?;
        STACK.with_borrow_mut(|stack| stack.push(Some(device)));
        Ok(())
    }

    /// Pops a context.
    fn cuCtxPopCurrent_v2(context: *mut Handle) {
        let Some(popped) = STACK.with_borrow_mut(Vec::pop) else {
            return Err(Status::INVALID_CONTEXT);
        };
        if context.is_null() { Ok(()) } else { put(context, handle(popped)) }
    }
}

api! {
    needs current;

    /// The device of the current context.
    fn cuCtxGetDevice(device: *mut c_int) {
        put(device, top().unwrap_or(0))
    }

    /// Waits for all streams.
    fn cuCtxSynchronize() {
        with_state(|s| {
            s.check_wait_for_all()?;
            s.waited(|order| order.finish_all())
        })
    }

    /// Flags have no effect.
    fn cuCtxSetFlags(flags: c_uint) {
        let _ = flags;
        Ok(())
    }

    /// Priorities that streams may have: just one.
    fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) {
        put(least, 0)?;
        put(greatest, 0)
    }

    /// Limits have no effect.
    fn cuCtxSetLimit(limit: c_int, value: usize) {
        let _ = (limit, value);
        Ok(())
    }
}
