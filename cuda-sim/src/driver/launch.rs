//! Launches.

use super::{Handle, Status, api, with_state};
use crate::code::Program;
use crate::exec::Shape;
use std::ffi::{c_uint, c_void};
use std::sync::Arc;

/// `CUlaunchConfig`.
#[repr(C)]
pub struct LaunchConfig {
    grid: [c_uint; 3],
    block: [c_uint; 3],
    shared: c_uint,
    stream: Handle,
    attributes: *mut c_void,
    attribute_count: c_uint,
}

/// `CU_LAUNCH_PARAM_BUFFER_POINTER` and `CU_LAUNCH_PARAM_BUFFER_SIZE`.
const BUFFER_POINTER: usize = 1;
const BUFFER_SIZE: usize = 2;

/// The bytes of a kernel's arguments.
///
/// # Safety
/// `pointers` is null or has an element for each parameter, each pointing to a value of its size;
/// `extra` is null or a list as the manual describes.
unsafe fn arguments(
    program: &Program,
    pointers: *const *const c_void,
    extra: *const *const c_void,
) -> Result<Vec<u8>, Status> {
    let mut bytes = vec![0; program.param_bytes];
    if !extra.is_null() {
        // SAFETY: a list by contract.
        let (buffer, size) = unsafe { buffer_of(extra) };
        if buffer.is_null() || size < bytes.len() {
            return Err(Status::INVALID_VALUE);
        }
        // SAFETY: the buffer holds `size` bytes by contract.
        unsafe { buffer.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        return Ok(bytes);
    }
    if pointers.is_null() && !program.params.is_empty() {
        return Err(Status::INVALID_VALUE);
    }
    for (index, param) in program.params.iter().enumerate() {
        // SAFETY: one pointer for each parameter, by contract.
        let source = unsafe { pointers.add(index).read() }.cast::<u8>();
        if source.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        let target = &mut bytes[param.offset..param.offset + param.bytes];
        // SAFETY: it points to a value of the parameter's size, by contract.
        unsafe { source.copy_to_nonoverlapping(target.as_mut_ptr(), param.bytes) };
    }
    Ok(bytes)
}

/// Pointer and size in an `extra` list.
///
/// # Safety
/// `extra` is a list of pairs that ends with a null.
unsafe fn buffer_of(mut extra: *const *const c_void) -> (*const u8, usize) {
    let (mut buffer, mut size) = (std::ptr::null(), 0);
    loop {
        // SAFETY: the list has not ended.
        let key = unsafe { extra.read() } as usize;
        if key == 0 {
            return (buffer, size);
        }
        // SAFETY: a key is followed by its value.
        let value = unsafe { extra.add(1).read() };
        match key {
            BUFFER_POINTER => buffer = value.cast(),
            // SAFETY: the size is given by a pointer to it.
            BUFFER_SIZE => size = unsafe { value.cast::<usize>().read() },
            _ => {}
        }
        // SAFETY: the list goes on after a pair.
        extra = unsafe { extra.add(2) };
    }
}

/// Launches a kernel.
///
/// # Safety
/// As for [`arguments`].
unsafe fn launch(
    function: Handle,
    shape: Shape,
    stream: Handle,
    pointers: *const *const c_void,
    extra: *const *const c_void,
) -> Result<(), Status> {
    with_state(|s| {
        s.check_sticky()?;
        s.injected_launch_failure()?;
        s.load_launched(function, stream)?;
        let found = s.functions.get(function)?;
        let (program, limit) = (Arc::clone(&found.program), found.shared_limit());
        let module = found.module;
        // SAFETY: by contract.
        let params = unsafe { arguments(&program, pointers, extra) }?;
        let work = move |device: &mut super::state::Device| {
            device.launch(module, &program, shape, &params, limit)
        };
        s.enqueue(stream, Arc::new(work))
    })
}

api! {
    needs current;

    /// Launches a kernel.
    fn cuLaunchKernel(
        function: Handle,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: Handle,
        pointers: *const *const c_void,
        extra: *const *const c_void,
    ) {
        let shape = Shape {
            grid: [grid_x, grid_y, grid_z],
            block: [block_x, block_y, block_z],
            dynamic_shared: shared as usize,
        };
        launch(function, shape, stream, pointers, extra)
    }

    /// Launches a kernel; clusters and other attributes are refused.
    fn cuLaunchKernelEx(
        config: *const LaunchConfig,
        function: Handle,
        pointers: *const *const c_void,
        extra: *const *const c_void,
    ) {
        if config.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        let config = config.read();
        if config.attribute_count != 0 {
            return Err(Status::NOT_SUPPORTED);
        }
        let shape = Shape {
            grid: config.grid,
            block: config.block,
            dynamic_shared: config.shared as usize,
        };
        launch(function, shape, config.stream, pointers, extra)
    }
}
