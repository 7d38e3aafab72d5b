//! Initialisation and contexts: the primary one of each device, and no other.

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

fn current() -> Option<c_int> {
    STACK.with_borrow(|stack| stack.last().copied().flatten())
}

api! {
    /// Initialises the driver.
    fn cuInit(flags: c_uint) {
        match with_state(|s| s.options.devices) {
            _ if flags != 0 => Err(Status::INVALID_VALUE),
            1.. => Ok(()),
            _ => Err(Status::NO_DEVICE),
        }
    }

    /// The CUDA version.
    fn cuDriverGetVersion(version: *mut c_int) {
        put(version, with_state(|s| s.options.driver))
    }

    /// Retains the primary context.
    fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int) {
        super::device::check(device)?;
        with_state(|s| s.retained[device as usize] += 1);
        put(context, handle(Some(device)))
    }

    /// Releases the primary context. Its memory stays, so that leaks can be counted at the end.
    fn cuDevicePrimaryCtxRelease_v2(device: c_int) {
        super::device::check(device)?;
        with_state(|s| match s.retained[device as usize].checked_sub(1) {
            Some(left) => {
                s.retained[device as usize] = left;
                Ok(())
            }
            None => Err(Status::INVALID_CONTEXT),
        })
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
        put(context, handle(current()))
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

    /// The device of the current context.
    fn cuCtxGetDevice(device: *mut c_int) {
        put(device, current().unwrap_or(0))
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
