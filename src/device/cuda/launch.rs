//! How kernels are found and launched.
//!
//! A kernel takes its arguments by value: numbers, addresses, and matrices as [`View`]s. Every
//! kernel has one function in this folder that launches it and takes arguments of exactly the
//! types that the source in `cuda/*.cu` names, since the driver sees bare pointers only.

use super::Cuda;
use super::driver::{explain, symbol};
use crate::{Error, MatMut, MatRef, Result, Storage};
use core::ffi::c_void;
use cudarc::driver::{result, sys};
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard};

/// A matrix as kernels take it (`View` in `cuda/common.cuh`): strides in elements.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct View {
    ptr: u64,
    row_stride: i64,
    col_stride: i64,
}

impl View {
    /// Memory of a buffer as a matrix.
    pub(super) fn of_buffer(start: u64, row_stride: usize, col_stride: usize) -> Self {
        Self { ptr: start, row_stride: row_stride as i64, col_stride: col_stride as i64 }
    }

    /// The columns from j on, of elements of `size` bytes.
    pub(super) fn columns_from(self, j: usize, size: usize) -> Self {
        let step = j as i64 * self.col_stride * size as i64;
        Self { ptr: self.ptr.wrapping_add_signed(step), ..self }
    }

    /// Whether rows, or columns where those are the fast direction, hold whole pieces of `bytes` bytes:
    /// they begin at multiples of it, and entries of `size` bytes lie side by side.
    pub(super) fn has_runs(&self, bytes: usize, size: usize, along_cols: bool) -> bool {
        let (fast, slow) = match along_cols {
            true => (self.col_stride, self.row_stride),
            false => (self.row_stride, self.col_stride),
        };
        fast == 1 && self.ptr.is_multiple_of(bytes as u64) && slow % (bytes / size) as i64 == 0
    }

    pub(super) fn of<T: Storage>(a: MatRef<'_, T, Cuda>) -> Self {
        let (row_stride, col_stride) = (a.row_stride() as i64, a.col_stride() as i64);
        Self { ptr: a.as_ptr().addr() as u64, row_stride, col_stride }
    }

    pub(super) fn of_mut<T: Storage>(a: &mut MatMut<'_, T, Cuda>) -> Self {
        let (row_stride, col_stride) = (a.row_stride() as i64, a.col_stride() as i64);
        Self { ptr: a.as_mut_ptr().addr() as u64, row_stride, col_stride }
    }
}

/// Blocks of a grid, threads of a block, bytes of dynamic shared memory.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) grid: (u32, u32),
    pub(super) block: u32,
    pub(super) shared: u32,
}

impl Shape {
    /// One block for every `per_block` of `work` items, but not more than a few waves: kernels
    /// step through the rest.
    pub(super) fn over(cuda: &Cuda, work: usize, per_block: usize, block: u32) -> Self {
        let blocks = work.div_ceil(per_block).clamp(1, cuda.context().processors * 32);
        Self { grid: (blocks as u32, 1), block, shared: 0 }
    }
}

/// The address of an argument.
pub(super) fn arg<A: Copy>(argument: &A) -> *mut c_void {
    core::ptr::from_ref(argument).cast_mut().cast()
}

/// The kernels of one file of `cuda/`.
#[derive(Debug)]
pub(super) struct Module {
    file: &'static str,
    state: Mutex<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    module: Option<Handle<sys::CUmodule>>,
    functions: HashMap<String, Handle<sys::CUfunction>>,
}

/// `cuFuncLoad`, which drivers for CUDA 12.4 and later have, while cudarc names it for some versions of CUDA
/// only.
type LoadFunction = unsafe extern "C" fn(sys::CUfunction) -> sys::CUresult;

#[derive(Clone, Copy, Debug)]
struct Handle<H>(H);

// SAFETY: modules and functions may be used from any thread; the driver locks.
unsafe impl<H> Send for Handle<H> {}

/// Loads PTX; an error tells what the compiler of the driver says. The context is current.
fn load(source: &str) -> Result<sys::CUmodule> {
    let source = CString::new(source).expect("PTX has no zero bytes");
    let mut log = [0u8; 2048];
    let mut options = [
        sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER,
        sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
    ];
    // The driver takes the size in place of an address.
    let mut values =
        [log.as_mut_ptr().cast::<c_void>(), core::ptr::without_provenance_mut(log.len() - 1)];
    let (mut module, count) = (core::ptr::null_mut(), options.len() as u32);
    let (options, values) = (options.as_mut_ptr(), values.as_mut_ptr());
    // SAFETY: the source is text that ends with a zero, and the log has room for what it is said to hold.
    let loaded = unsafe {
        sys::cuModuleLoadDataEx(&mut module, source.as_ptr().cast(), count, options, values)
            .result()
    };
    loaded.map(|()| module).map_err(|error| match explain("cuModuleLoadDataEx", error, 0) {
        Error::DeviceFailure { call, reason } if log[0] != 0 => {
            let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
            let log = String::from_utf8_lossy(&log[..end]);
            Error::DeviceFailure { call, reason: format!("{reason}: {}", log.trim()) }
        }
        error => error,
    })
}

/// The names of the kernels in PTX.
fn kernels(source: &str) -> impl Iterator<Item = &str> {
    let entries = source.lines().filter_map(|line| line.strip_prefix(".visible .entry "));
    entries.map(|entry| entry.split('(').next().unwrap_or(entry).trim())
}

impl Module {
    pub(super) fn new(file: &'static str) -> Self {
        Self { file, state: Mutex::default() }
    }

    /// Loads the module from the PTX of all files, and every kernel of it: by default the driver loads
    /// each when it is asked for or launched first, which takes time, may wait for the GPU, and cannot be
    /// done in a capture. The context is current.
    pub(super) fn load<S: AsRef<str>>(&self, ptx: &[(&'static str, S)]) -> Result<()> {
        let (_, source) =
            ptx.iter().find(|(file, _)| *file == self.file).expect("PTX of each file");
        let (module, load_function) =
            (load(source.as_ref())?, symbol::<LoadFunction>("cuFuncLoad"));
        let mut state = self.state();
        state.module = Some(Handle(module));
        for name in kernels(source.as_ref()) {
            let text = CString::new(name).expect("names have no zero bytes");
            // SAFETY: the module is loaded.
            let function = unsafe { result::module::get_function(module, text) }
                .map_err(|error| explain("cuModuleGetFunction", error, 0))?;
            if let Some(load_function) = load_function {
                // SAFETY: the function is one of a module that is loaded.
                unsafe { load_function(function) }
                    .result()
                    .map_err(|error| explain("cuFuncLoad", error, 0))?;
            }
            state.functions.insert(name.to_string(), Handle(function));
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, Loaded> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The kernel `name` of the loaded module.
    fn function(&self, name: &str) -> Result<sys::CUfunction> {
        let function = self.state().functions.get(name).map(|function| function.0);
        function.ok_or_else(|| {
            let reason = format!("there is no kernel {name} in cuda/{}.cu", self.file);
            Error::DeviceFailure { call: "cuModuleGetFunction", reason }
        })
    }

    /// Unloads the module; the context is current and nothing of it runs.
    pub(super) fn unload(&self) {
        let mut state = self.state();
        if let Some(module) = state.module.take() {
            // SAFETY: loaded by `load`.
            let _ = unsafe { result::module::unload(module.0) };
        }
        state.functions.clear();
    }
}

/// Issues a kernel on the stream of `cuda`.
///
/// # Safety
/// The arguments are those of the kernel, in number, order and type; their addresses are valid on
/// the device for what the kernel reads and writes.
pub(super) unsafe fn launch(
    cuda: &Cuda,
    module: &Module,
    name: &'static str,
    shape: Shape,
    arguments: &mut [*mut c_void],
) -> Result<()> {
    let _current = cuda.enter()?;
    let function = module.function(name)?;
    if shape.shared > 48 << 10 {
        use sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as MOST;
        // SAFETY: the function is loaded.
        unsafe { result::function::set_function_attribute(function, MOST, shape.shared as i32) }
            .map_err(|error| explain("cuFuncSetAttribute", error, 0))?;
    }
    let (grid, block) = ((shape.grid.0, shape.grid.1, 1), (shape.block, 1, 1));
    // SAFETY: the caller's promise.
    unsafe {
        result::launch_kernel(function, grid, block, shape.shared, cuda.stream().raw(), arguments)
    }
    .map_err(|error| explain(name, error, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cuda::tests::gpu;

    #[test]
    fn kernels_are_found_in_ptx() {
        let source = ".version 8.0\n\n.visible .entry a_f32(\n\t.param .u64 a\n)\n{\n\tret;\n}\n\
            .func b()\n{\n}\n.visible .entry c()\n{\n}\n";
        assert_eq!(kernels(source).collect::<Vec<_>>(), ["a_f32", "c"]);
    }

    #[test]
    fn gpu_errors_of_the_compiler_are_told() {
        let Some(cuda) = gpu("errors of the compiler") else { return };
        let _current = cuda.enter().unwrap();
        let source =
            ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{\n  no;\n}";
        let Err(Error::DeviceFailure { call, reason }) = load(source) else { panic!("loaded") };
        assert_eq!(call, "cuModuleLoadDataEx");
        assert!(reason.contains("CUDA_ERROR_INVALID_PTX") && reason.contains("line 6"), "{reason}");
    }
}
