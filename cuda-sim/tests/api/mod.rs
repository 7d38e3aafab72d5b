//! The C functions, declared as a host program sees them.
#![allow(non_snake_case, dead_code)] // the names of CUDA; every test file uses a part of them

use cuda_sim as _; // links the functions
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, MutexGuard};

pub type Handle = *mut c_void;

unsafe extern "C" {
    pub fn cuInit(flags: c_uint) -> c_int;
    pub fn cuDriverGetVersion(version: *mut c_int) -> c_int;
    pub fn cuDeviceGetCount(count: *mut c_int) -> c_int;
    pub fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> c_int;
    pub fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) -> c_int;
    pub fn cuDeviceGetAttribute(value: *mut c_int, number: c_int, device: c_int) -> c_int;
    pub fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) -> c_int;
    pub fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int) -> c_int;
    pub fn cuDevicePrimaryCtxRelease_v2(device: c_int) -> c_int;
    pub fn cuDevicePrimaryCtxGetState(d: c_int, flags: *mut c_uint, active: *mut c_int) -> c_int;
    pub fn cuCtxGetCurrent(context: *mut Handle) -> c_int;
    pub fn cuCtxSetCurrent(context: Handle) -> c_int;
    pub fn cuCtxPushCurrent_v2(context: Handle) -> c_int;
    pub fn cuCtxPopCurrent_v2(context: *mut Handle) -> c_int;
    pub fn cuCtxSynchronize() -> c_int;
    pub fn cuStreamCreate(stream: *mut Handle, flags: c_uint) -> c_int;
    pub fn cuStreamDestroy_v2(stream: Handle) -> c_int;
    pub fn cuStreamSynchronize(stream: Handle) -> c_int;
    pub fn cuStreamQuery(stream: Handle) -> c_int;
    pub fn cuStreamWaitEvent(stream: Handle, event: Handle, flags: c_uint) -> c_int;
    pub fn cuStreamBeginCapture_v2(stream: Handle, mode: c_int) -> c_int;
    pub fn cuThreadExchangeStreamCaptureMode(mode: *mut c_int) -> c_int;
    pub fn cuStreamEndCapture(stream: Handle, graph: *mut Handle) -> c_int;
    pub fn cuStreamIsCapturing(stream: Handle, status: *mut c_int) -> c_int;
    pub fn cuLaunchHostFunc(
        stream: Handle,
        function: Option<unsafe extern "C" fn(*mut c_void)>,
        data: *mut c_void,
    ) -> c_int;
    pub fn cuEventCreate(event: *mut Handle, flags: c_uint) -> c_int;
    pub fn cuEventDestroy_v2(event: Handle) -> c_int;
    pub fn cuEventRecord(event: Handle, stream: Handle) -> c_int;
    pub fn cuEventQuery(event: Handle) -> c_int;
    pub fn cuEventSynchronize(event: Handle) -> c_int;
    pub fn cuEventElapsedTime(milliseconds: *mut f32, start: Handle, end: Handle) -> c_int;
    pub fn cuGraphCreate(graph: *mut Handle, flags: c_uint) -> c_int;
    pub fn cuGraphInstantiateWithFlags(e: *mut Handle, graph: Handle, flags: u64) -> c_int;
    pub fn cuGraphLaunch(executable: Handle, stream: Handle) -> c_int;
    pub fn cuGraphDestroy(graph: Handle) -> c_int;
    pub fn cuGraphExecDestroy(executable: Handle) -> c_int;
    pub fn cuGraphGetNodes(graph: Handle, nodes: *mut Handle, count: *mut usize) -> c_int;
    pub fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> c_int;
    pub fn cuMemFree_v2(address: u64) -> c_int;
    pub fn cuMemAllocAsync(address: *mut u64, bytes: usize, stream: Handle) -> c_int;
    pub fn cuMemFreeAsync(address: u64, stream: Handle) -> c_int;
    pub fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> c_int;
    pub fn cuPointerGetAttribute(data: *mut c_void, attribute: c_int, address: u64) -> c_int;
    pub fn cuMemHostAlloc(address: *mut *mut c_void, bytes: usize, flags: c_uint) -> c_int;
    pub fn cuMemFreeHost(address: *mut c_void) -> c_int;
    pub fn cuDeviceGetDefaultMemPool(pool: *mut Handle, device: c_int) -> c_int;
    pub fn cuMemPoolSetAttribute(pool: Handle, attribute: c_int, value: *const c_void) -> c_int;
    pub fn cuMemPoolGetAttribute(pool: Handle, attribute: c_int, value: *mut c_void) -> c_int;
    pub fn cuMemPoolCreate(pool: *mut Handle, properties: *const c_void) -> c_int;
    pub fn cuMemPoolDestroy(pool: Handle) -> c_int;
    pub fn cuMemPoolTrimTo(pool: Handle, bytes: usize) -> c_int;
    pub fn cuMemAllocFromPoolAsync(p: *mut u64, bytes: usize, pool: Handle, on: Handle) -> c_int;
    pub fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) -> c_int;
    pub fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) -> c_int;
    pub fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) -> c_int;
    pub fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, n: usize, stream: Handle) -> c_int;
    pub fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle) -> c_int;
    pub fn cuMemsetD8_v2(to: u64, value: u8, count: usize) -> c_int;
    pub fn cuMemsetD32Async(to: u64, value: c_uint, count: usize, stream: Handle) -> c_int;
    pub fn cuModuleLoadDataEx(
        module: *mut Handle,
        image: *const c_void,
        count: c_uint,
        options: *const c_int,
        values: *const *mut c_void,
    ) -> c_int;
    pub fn cuModuleLoadData(module: *mut Handle, image: *const c_void) -> c_int;
    pub fn cuModuleUnload(module: Handle) -> c_int;
    pub fn cuModuleGetFunction(f: *mut Handle, module: Handle, name: *const c_char) -> c_int;
    pub fn cuFuncLoad(function: Handle) -> c_int;
    pub fn cuModuleGetGlobal_v2(
        address: *mut u64,
        bytes: *mut usize,
        module: Handle,
        name: *const c_char,
    ) -> c_int;
    pub fn cuFuncGetAttribute(value: *mut c_int, number: c_int, function: Handle) -> c_int;
    pub fn cuFuncSetAttribute(function: Handle, number: c_int, value: c_int) -> c_int;
    pub fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks: *mut c_int,
        function: Handle,
        block: c_int,
        shared: usize,
    ) -> c_int;
    pub fn cuLaunchKernel(
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
    ) -> c_int;
    pub fn cuGetErrorName(code: c_int, name: *mut *const c_char) -> c_int;
    pub fn cuGetErrorString(code: c_int, text: *mut *const c_char) -> c_int;
    pub fn cuda_sim_live_allocations() -> usize;
    pub fn cuda_sim_live_handles() -> usize;
    pub fn cuda_sim_live(buffer: *mut c_char, size: usize) -> usize;
    pub fn cuda_sim_fail_launch(n: u64);
    pub fn cuda_sim_fail_allocation(n: u64);
    pub fn cuda_sim_fail_allocations(n: u64);
    pub fn cuda_sim_last_fault(buffer: *mut c_char, size: usize) -> usize;
    pub fn cuda_sim_reset_fault();
    pub fn cuda_sim_stats(buffer: *mut c_char, size: usize) -> usize;
    pub fn cuda_sim_count_transactions(on: c_int);
}

static LOCK: Mutex<()> = Mutex::new(());

/// One test at a time, since errors stick for the whole process, with the context retained and
/// current on the thread of the test.
pub struct Alone(MutexGuard<'static, ()>);

pub fn alone() -> Alone {
    let guard = uninitialised();
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(cuInit(0), 0);
        handle(|h| cuDevicePrimaryCtxRetain(h, 0));
    }
    enter();
    Alone(guard)
}

/// One test at a time, without a context.
pub fn uninitialised() -> MutexGuard<'static, ()> {
    let guard = LOCK.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // SAFETY: has no arguments.
    unsafe { cuda_sim_reset_fault() };
    guard
}

/// Makes the context current on another thread.
pub fn enter() {
    // SAFETY: all pointers are valid.
    unsafe {
        let context = handle(|h| cuDevicePrimaryCtxRetain(h, 0));
        assert_eq!(cuCtxSetCurrent(context), 0);
        assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 0);
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // SAFETY: retained by `alone`.
        unsafe { cuDevicePrimaryCtxRelease_v2(0) };
    }
}

/// The result of a call that gives a value.
pub fn given<T: Default>(call: impl FnOnce(*mut T) -> c_int) -> T {
    let mut value = T::default();
    assert_eq!(call(&mut value), 0);
    value
}

/// The result of a call that gives a handle.
pub fn handle(call: impl FnOnce(*mut Handle) -> c_int) -> Handle {
    let mut value = std::ptr::null_mut();
    assert_eq!(call(&mut value), 0);
    value
}

pub fn stream() -> Handle {
    // SAFETY: the pointer is valid.
    handle(|s| unsafe { cuStreamCreate(s, 1) })
}

pub fn alloc(bytes: usize) -> u64 {
    // SAFETY: the pointer is valid.
    given(|a| unsafe { cuMemAlloc_v2(a, bytes) })
}

pub fn upload<T: Copy>(values: &[T]) -> u64 {
    let bytes = size_of_val(values);
    let address = alloc(bytes);
    // SAFETY: the source has that many bytes.
    assert_eq!(unsafe { cuMemcpyHtoD_v2(address, values.as_ptr().cast(), bytes) }, 0);
    address
}

/// Contents of device memory, when all streams are done.
pub fn download<T: Copy + Default>(address: u64, count: usize) -> Vec<T> {
    // SAFETY: has no arguments.
    assert_eq!(unsafe { cuCtxSynchronize() }, 0);
    let mut values = vec![T::default(); count];
    let bytes = size_of_val(values.as_slice());
    // SAFETY: the target has that many bytes.
    assert_eq!(unsafe { cuMemcpyDtoH_v2(values.as_mut_ptr().cast(), address, bytes) }, 0);
    values
}

pub fn free(addresses: &[u64]) {
    for &address in addresses {
        // SAFETY: has no pointers.
        assert_eq!(unsafe { cuMemFree_v2(address) }, 0);
    }
}

pub fn last_fault() -> String {
    let mut buffer = [0u8; 1024];
    // SAFETY: the buffer has that size.
    let length = unsafe { cuda_sim_last_fault(buffer.as_mut_ptr().cast(), buffer.len()) };
    String::from_utf8_lossy(&buffer[..length.min(1023)]).into_owned()
}

pub fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// Text behind a pointer that a call gives.
pub fn text(call: impl FnOnce(*mut *const c_char) -> c_int) -> String {
    let mut pointer = std::ptr::null();
    assert_eq!(call(&mut pointer), 0);
    // SAFETY: the driver gives C strings.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Arguments of a launch.
pub fn pointers<const N: usize>(arguments: [&u64; N]) -> [*const c_void; N] {
    arguments.map(|argument| std::ptr::from_ref(argument).cast())
}
