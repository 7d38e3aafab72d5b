//! Compiles the files of `cuda/` with NVRTC, which is loaded at run time.
//!
//! `examples/ptx.rs`, which makes the PTX that ships, includes this file, so it uses nothing of the
//! crate.

use cudarc::nvrtc::sys;
use std::ffi::{CStr, CString, c_char};
use std::ptr;

/// The oldest NVRTC that the sources are compiled with.
const OLDEST: (i32, i32) = (12, 0);

/// A file of `cuda/` by its name, without the ending if it is one of kernels.
type Source = (&'static str, &'static str);

macro_rules! sources {
    ($($name:literal),*) => {
        /// The kernels.
        pub const SOURCES: [Source; 11] =
            [$(($name, include_str!(concat!("../../../../cuda/", $name, ".cu")))),*];
    };
}
sources!(
    "blas",
    "block_perm",
    "dense",
    "fourier",
    "half",
    "half_dense",
    "norms",
    "rows",
    "sort",
    "sparse",
    "transform"
);

macro_rules! headers {
    ($($name:literal),*) => {
        /// What they include.
        const HEADERS: [Source; 11] =
            [$(($name, include_str!(concat!("../../../../cuda/", $name)))),*];
    };
}
headers!(
    "block_perm.cuh",
    "common.cuh",
    "ends.cuh",
    "half.cuh",
    "permutation.cuh",
    "random.cuh",
    "scatter.cuh",
    "sparse.cuh",
    "stream.cuh",
    "tile.cuh",
    "transform.cuh"
);

/// The version of NVRTC. An error when there is none, or an old one: cudarc would panic.
pub fn version() -> Result<(i32, i32), String> {
    // SAFETY: only tries to open the library.
    if !unsafe { sys::is_culib_present() } {
        return Err("there is no NVRTC (libnvrtc) on this machine".into());
    }
    // SAFETY: only looks for a name; the library was found.
    let known = unsafe { sys::culib().get::<*const ()>(b"nvrtcVersion\0") }.is_ok();
    let mut found = (0, 0);
    if known {
        // SAFETY: writes two integers.
        done("nvrtcVersion", unsafe { sys::nvrtcVersion(&mut found.0, &mut found.1) })?;
    }
    // Later calls are in every NVRTC that is new enough.
    if found < OLDEST {
        let (major, minor) = found;
        return Err(format!("NVRTC (libnvrtc) is of CUDA {major}.{minor}, 12.0 is the oldest"));
    }
    Ok(found)
}

/// PTX of a file of kernels, and what the compiler says. [`version`] has been asked before.
pub fn compile((name, source): Source, options: &[&str]) -> Result<(String, String), String> {
    let text = |text: &str| CString::new(text).map_err(|_| format!("a zero byte in {text}"));
    let texts = |all: &mut dyn Iterator<Item = &str>| all.map(text).collect::<Result<Vec<_>, _>>();
    let pointers = |all: &[CString]| all.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
    // A fixed place, so that every machine gives the same bytes.
    let (source, place) = (text(source)?, text(&format!("/randnla/cuda/{name}.cu"))?);
    let headers = texts(&mut HEADERS.iter().map(|header| header.1))?;
    let names = texts(&mut HEADERS.iter().map(|header| header.0))?;
    // Generic lambdas are functions of the host otherwise.
    let ours = ["--std=c++17", "-default-device"];
    let options = texts(&mut ours.iter().chain(options).copied())?;
    let (headers, names, options) = (pointers(&headers), pointers(&names), pointers(&options));
    let mut program = Program(ptr::null_mut());
    // SAFETY: every text ends with a zero and outlives the program.
    let created = unsafe {
        sys::nvrtcCreateProgram(
            &mut program.0,
            source.as_ptr(),
            place.as_ptr(),
            headers.len() as i32,
            headers.as_ptr(),
            names.as_ptr(),
        )
    };
    done("nvrtcCreateProgram", created)?;
    // SAFETY: the program lives, and so do the options.
    let compiled =
        unsafe { sys::nvrtcCompileProgram(program.0, options.len() as i32, options.as_ptr()) };
    let log = program.text(sys::nvrtcGetProgramLogSize, sys::nvrtcGetProgramLog)?;
    done("nvrtcCompileProgram", compiled).map_err(|error| format!("{name}.cu: {error}: {log}"))?;
    Ok((program.text(sys::nvrtcGetPTXSize, sys::nvrtcGetPTX)?, log))
}

struct Program(sys::nvrtcProgram);

impl Program {
    /// A text of the program by the calls that give its size and itself.
    fn text(
        &self,
        size: unsafe fn(sys::nvrtcProgram, *mut usize) -> sys::nvrtcResult,
        text: unsafe fn(sys::nvrtcProgram, *mut c_char) -> sys::nvrtcResult,
    ) -> Result<String, String> {
        let mut bytes = 0;
        // SAFETY: the program lives.
        done("a size in NVRTC", unsafe { size(self.0, &mut bytes) })?;
        let mut found = vec![0u8; bytes + 1];
        // SAFETY: as many bytes as it says, and one.
        done("a text in NVRTC", unsafe { text(self.0, found.as_mut_ptr().cast()) })?;
        let found = CStr::from_bytes_until_nul(&found).expect("the last byte is zero");
        Ok(found.to_string_lossy().into_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: null, which is refused, or made by `compile`. A failure has no one to be told to.
        let _ = unsafe { sys::nvrtcDestroyProgram(&mut self.0) };
    }
}

/// An error that names the call.
pub fn done(call: &str, status: sys::nvrtcResult) -> Result<(), String> {
    status.result().map_err(|error| format!("{call}: {:?}", error.0))
}
