//! The context of a GPU for tests that call the driver themselves.

use cudarc::driver::{result, sys};

/// The primary context, current on this thread while it lives: calls of the driver need one.
pub struct Entered {
    device: sys::CUdevice,
    before: Option<sys::CUcontext>,
}

impl Entered {
    pub fn new() -> Self {
        let before = result::ctx::get_current().unwrap();
        let device = result::device::get(0).unwrap();
        // SAFETY: the device exists; released when this is dropped.
        unsafe { result::ctx::set_current(result::primary_ctx::retain(device).unwrap()).unwrap() };
        Self { device, before }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // SAFETY: undoes `new`.
        unsafe {
            result::ctx::set_current(self.before.unwrap_or(core::ptr::null_mut())).unwrap();
            result::primary_ctx::release(self.device).unwrap();
        }
    }
}
