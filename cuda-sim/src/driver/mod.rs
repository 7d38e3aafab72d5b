//! The CUDA driver API, as far as host programs written with cudarc call it.
//!
//! All state lives behind one lock and every operation is complete when its call returns; streams and
//! events only keep the bookkeeping that makes wrong use visible. Handles are numbers that are looked
//! up, never pointers that are followed.
//!
//! [`symbols`] exports what only a simulator can tell: live allocations, the last fault, counters.

mod capture;
mod context;
mod device;
mod event;
mod graph;
mod handles;
mod launch;
mod memory;
mod module;
mod names;
mod occupancy;
mod pool;
mod state;
mod status;
mod stream;
pub mod symbols;
mod transfer;

pub(crate) use context::current;
pub(crate) use handles::{Handle, Table};
pub(crate) use state::with_state;
pub use status::Status;

/// Defines exported functions whose body returns `Result<(), Status>`. First comes what they need:
/// `nothing`, an `initialised` driver, or a `current` context (see [`context`]).
///
/// Callers keep the contract of the CUDA manual: every pointer is null or valid for what the function
/// reads or writes through it.
macro_rules! api {
    (needs $need:ident; $($(#[$meta:meta])* fn $name:ident($($argument:ident: $ty:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, clippy::missing_safety_doc)]
        pub unsafe extern "C" fn $name($($argument: $ty),*) -> std::ffi::c_int {
            let body = || -> Result<(), $crate::driver::Status> {
                $crate::driver::context::$need()?;
                #[allow(unused_unsafe)] // some bodies need none
                // SAFETY: callers keep the contract of the CUDA manual.
                unsafe { $body }
            };
            $crate::driver::Status::code(body())
        }
    )*};
}
pub(crate) use api;

/// Writes a result where the caller wants it.
///
/// # Safety
/// `target` is null or valid for writing.
pub(crate) unsafe fn put<T>(target: *mut T, value: T) -> Result<(), Status> {
    if target.is_null() {
        return Err(Status::INVALID_VALUE);
    }
    // SAFETY: not null, and valid by contract.
    unsafe { target.write(value) };
    Ok(())
}

/// The text of a C string.
///
/// # Safety
/// `text` is null or a C string.
pub(crate) unsafe fn text(text: *const std::ffi::c_char) -> Result<String, Status> {
    if text.is_null() {
        return Err(Status::INVALID_VALUE);
    }
    // SAFETY: not null, and a C string by contract.
    let text = unsafe { std::ffi::CStr::from_ptr(text) };
    Ok(text.to_string_lossy().into_owned())
}
