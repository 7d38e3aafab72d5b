//! The driver API through its C functions.

#[path = "../api/mod.rs"]
mod api;
mod contexts;
mod memory;
mod modules;

use api::*;
use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};

unsafe extern "C" {
    fn cublasCreate_v2(handle: *mut Handle) -> c_int;
}

const MODULE: &str = "
.version 8.0
.target sm_80
.address_size 64
.global .align 4 .u32 counter = 40;
.extern .shared .align 16 .b8 dynamic[];
.visible .entry scale(.param .u64 x, .param .u32 n, .param .f32 factor)
.maxntid 256, 1, 1
{
    .reg .pred %p<2>; .reg .f32 %f<4>; .reg .b32 %r<8>; .reg .b64 %d<4>;
    ld.param.u64 %d1, [x]; ld.param.u32 %r1, [n]; ld.param.f32 %f1, [factor];
    mov.u32 %r2, %tid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %ctaid.x;
    mad.lo.u32 %r5, %r3, %r4, %r2;
    setp.ge.u32 %p1, %r5, %r1;
    @%p1 ret;
    mul.wide.u32 %d2, %r5, 4; add.s64 %d3, %d1, %d2;
    ld.global.f32 %f2, [%d3]; mul.f32 %f3, %f2, %f1; st.global.f32 [%d3], %f3;
    ret;
}
.visible .entry count()
{
    .reg .b32 %r<4>; .reg .b64 %d<2>;
    mov.u64 %d1, counter; red.global.add.u32 [%d1], 2; ret;
}
.visible .entry share()
{
    .shared .align 4 .b8 fixed[1024];
    .reg .b32 %r<4>;
    mov.u32 %r1, dynamic; st.shared.u32 [%r1], 1; ret;
}
";

fn load() -> Handle {
    let image = c(MODULE);
    // SAFETY: the image is a C string.
    handle(|m| unsafe { cuModuleLoadData(m, image.as_ptr().cast()) })
}

fn function(module: Handle, name: &str) -> Handle {
    let name = c(name);
    // SAFETY: the name is a C string.
    handle(|f| unsafe { cuModuleGetFunction(f, module, name.as_ptr()) })
}

/// Launches `scale` with one block.
fn scale(function: Handle, x: u64, n: u64, factor: f32, threads: u32, stream: Handle) -> c_int {
    let factor = u64::from(factor.to_bits());
    let arguments = pointers([&x, &n, &factor]);
    // SAFETY: there are three arguments, each at least as large as its parameter.
    unsafe {
        cuLaunchKernel(function, 1, 1, 1, threads, 1, 1, 0, stream, arguments.as_ptr(), null())
    }
}
