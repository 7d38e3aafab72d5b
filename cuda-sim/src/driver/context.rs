//! Initialisation and contexts: there is one, the primary context of the one device.
//!
//! Calls that work on a context need one that is current on the calling thread and retained by
//! somebody. When the last one releases it, everything in it is gone but its memory, which stays so
//! that leaks can be counted.

use super::state::State;
use super::{Handle, Status, api, put, with_state};
use std::cell::RefCell;
use std::ffi::{c_int, c_uint};

/// The handle of the primary context.
pub const PRIMARY: usize = 0x0200_00F0_0000_0010;

thread_local! {
    /// The context stack of a thread; true for the primary context, false for none.
    static STACK: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
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
    if !STACK.with_borrow(|stack| stack.last().copied().unwrap_or(false)) {
        return Err(Status::INVALID_CONTEXT);
    }
    if with_state(|s| s.retained == 0) { Err(Status::CONTEXT_IS_DESTROYED) } else { Ok(()) }
}

impl State {
    fn release(&mut self) -> Result<(), Status> {
        self.retained = self.retained.checked_sub(1).ok_or(Status::INVALID_CONTEXT)?;
        if self.retained == 0 {
            self.forget_objects();
        }
        Ok(())
    }
}

fn checked(context: Handle) -> Result<bool, Status> {
    match context as usize {
        0 => Ok(false),
        PRIMARY => Ok(true),
        _ => Err(Status::INVALID_CONTEXT),
    }
}

fn handle(current: bool) -> Handle {
    if current { PRIMARY as Handle } else { std::ptr::null_mut() }
}

api! {
    needs nothing;

    /// Initialises the driver.
    fn cuInit(flags: c_uint) {
        if flags != 0 {
            return Err(Status::INVALID_VALUE);
        }
        with_state(|s| s.is_initialised = true);
        Ok(())
    }

    /// The CUDA version, 12.4.
    fn cuDriverGetVersion(version: *mut c_int) {
        put(version, 12040)
    }
}

api! {
    needs initialised;

    /// Retains the primary context.
    fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int) {
        super::device::check(device)?;
        with_state(|s| s.retained += 1);
        put(context, PRIMARY as Handle)
    }

    /// Releases the primary context.
    fn cuDevicePrimaryCtxRelease_v2(device: c_int) {
        super::device::check(device)?;
        with_state(State::release)
    }

    /// Whether the primary context is retained.
    fn cuDevicePrimaryCtxGetState(device: c_int, flags: *mut c_uint, active: *mut c_int) {
        super::device::check(device)?;
        put(flags, 0)?;
        put(active, c_int::from(with_state(|s| s.retained > 0)))
    }

    /// Flags have no effect.
    fn cuDevicePrimaryCtxSetFlags_v2(device: c_int, flags: c_uint) {
        let _ = flags;
        super::device::check(device)
    }

    /// The current context of the thread, or null.
    fn cuCtxGetCurrent(context: *mut Handle) {
        let current = STACK.with_borrow(|stack| stack.last().copied().unwrap_or(false));
        put(context, handle(current))
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
        if !checked(context)? {
            return Err(Status::INVALID_CONTEXT);
        }
        STACK.with_borrow_mut(|stack| stack.push(true));
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
        put(device, 0)
    }

    /// Waits for all streams.
    fn cuCtxSynchronize() {
        with_state(|s| s.check_blocking())
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
