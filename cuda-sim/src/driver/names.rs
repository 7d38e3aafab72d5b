//! Names and descriptions of errors.

use super::{Status, api, put, with_state};
use std::ffi::{CString, c_char, c_int};

api! {
    needs nothing;

    /// The name of an error.
    fn cuGetErrorName(code: c_int, name: *mut *const c_char) {
        let Some((known, _)) = Status::describe(code) else {
            put(name, std::ptr::null())?;
            return Err(Status::INVALID_VALUE);
        };
        put(name, known.as_ptr())
    }

    /// The description of an error; for the error of a faulty kernel, the diagnosis.
    fn cuGetErrorString(code: c_int, text: *mut *const c_char) {
        let Some((_, known)) = Status::describe(code) else {
            put(text, std::ptr::null())?;
            return Err(Status::INVALID_VALUE);
        };
        let fault = with_state(|s| {
            let explains = s.device.sticky == Some(Status(code));
            explains.then(|| s.device.last_fault.clone())
        });
        let Some(fault) = fault else { return put(text, known.as_ptr()) };
        let message = format!("{} ({fault})", known.to_string_lossy());
        let message = CString::new(message).map_err(|_| Status::INVALID_VALUE)?;
        // Callers take the text for static, and a process meets few faults.
        put(text, message.into_raw().cast_const())
    }
}
