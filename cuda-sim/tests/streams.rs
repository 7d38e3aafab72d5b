//! The order of operations on streams, through the C functions: what is not ordered is found, and what
//! is ordered is not taken for a race.
#![allow(non_snake_case)] // the names of cuBLAS

mod api;
use api::*;
use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};

unsafe extern "C" {
    fn cublasCreate_v2(handle: *mut Handle) -> c_int;
    fn cublasDestroy_v2(handle: Handle) -> c_int;
    fn cublasSetStream_v2(handle: Handle, stream: Handle) -> c_int;
    #[rustfmt::skip]
    fn cublasDscal_v2(handle: Handle, n: c_int, alpha: *const f64, x: u64, incx: c_int) -> c_int;
    fn cublasDdot_v2(
        handle: Handle,
        n: c_int,
        x: u64,
        incx: c_int,
        y: u64,
        incy: c_int,
        result: *mut f64,
    ) -> c_int;
    fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Handle) -> c_int;
}

/// Adds 1 to the words `first`, `first + 1`, … of x, one a thread.
const MODULE: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry add(.param .u64 x, .param .u64 first)
{
    .reg .b32 %r<8>; .reg .b64 %d<5>;
    ld.param.u64 %d1, [x]; ld.param.u64 %d2, [first];
    mov.u32 %r1, %tid.x; cvt.u64.u32 %d3, %r1; add.u64 %d3, %d3, %d2;
    shl.b64 %d3, %d3, 2; add.u64 %d1, %d1, %d3;
    ld.global.u32 %r2, [%d1]; add.u32 %r2, %r2, 1; st.global.u32 [%d1], %r2; ret;
}
.visible .entry read(.param .u64 x, .param .u64 first)
{
    .reg .b32 %r<8>; .reg .b64 %d<5>;
    ld.param.u64 %d1, [x]; ld.global.u32 %r2, [%d1]; ret;
}
";

struct Kernels {
    module: Handle,
    add: Handle,
    read: Handle,
}

impl Kernels {
    fn load() -> Self {
        let image = c(MODULE);
        // SAFETY: all are C strings.
        unsafe {
            let module = handle(|m| cuModuleLoadData(m, image.as_ptr().cast()));
            let function = |name: &std::ffi::CStr| {
                let function = handle(|f| cuModuleGetFunction(f, module, name.as_ptr()));
                assert_eq!(cuFuncLoad(function), 0);
                function
            };
            Self { module, add: function(c"add"), read: function(c"read") }
        }
    }
}

fn launch(f: Handle, x: u64, first: u64, threads: u32, on: Handle) -> c_int {
    let arguments = pointers([&x, &first]);
    // SAFETY: there are two arguments.
    unsafe { cuLaunchKernel(f, 1, 1, 1, threads, 1, 1, 0, on, arguments.as_ptr(), null()) }
}

fn is_race(code: c_int, what: &str) {
    assert_eq!(code, 719, "{what}");
    assert!(last_fault().contains("not ordered after"), "{what}: {}", last_fault());
    // SAFETY: has no arguments.
    unsafe { cuda_sim_reset_fault() };
}

/// `second` waits for all that `first` was given.
fn join(second: Handle, first: Handle) {
    // SAFETY: all handles are valid.
    unsafe {
        let event = handle(|e| cuEventCreate(e, 2));
        assert_eq!(cuEventRecord(event, first), 0);
        assert_eq!(cuStreamWaitEvent(second, event, 0), 0);
        assert_eq!(cuEventDestroy_v2(event), 0);
    }
}

#[test]
fn launches_on_two_streams() {
    let _alone = alone();
    let (k, x) = (Kernels::load(), upload(&[0u32; 64]));
    for (first, second, fine) in [
        (k.add, k.add, false),
        (k.add, k.read, false),
        (k.read, k.add, false),
        (k.read, k.read, true),
    ] {
        let (a, b) = (stream(), stream());
        assert_eq!(launch(first, x, 0, 32, a), 0);
        let code = launch(second, x, 0, 32, b);
        if fine {
            assert_eq!(code, 0);
        } else {
            is_race(code, "no wait");
        }
        assert_eq!(launch(first, x, 0, 32, a), 0);
        assert_eq!(launch(k.add, x, 32, 32, b), 0, "other words");
        join(b, a);
        assert_eq!(launch(second, x, 0, 32, b), 0, "after an event");
        // SAFETY: the handle is valid.
        assert_eq!(unsafe { cuStreamSynchronize(b) }, 0);
        assert_eq!(launch(first, x, 0, 32, a), 0, "after a wait of the host");
        assert_eq!(download::<u32>(x, 64).len(), 64);
    }
    free(&[x]);
}

#[test]
fn an_event_stands_for_what_was_issued_before_it() {
    let _alone = alone();
    let (k, x) = (Kernels::load(), upload(&[0u32; 64]));
    let (a, b) = (stream(), stream());
    // SAFETY: all handles are valid.
    unsafe {
        let event = handle(|e| cuEventCreate(e, 2));
        assert_eq!(cuEventRecord(event, a), 0);
        assert_eq!(launch(k.add, x, 0, 1, a), 0);
        assert_eq!(cuStreamWaitEvent(b, event, 0), 0);
        is_race(launch(k.add, x, 0, 1, b), "the event is older");
        assert_eq!(launch(k.add, x, 0, 1, a), 0);
        assert_eq!(cuEventRecord(event, a), 0);
        assert_eq!(cuEventSynchronize(event), 0);
        assert_eq!(launch(k.add, x, 0, 1, b), 0);
        assert_eq!(cuEventDestroy_v2(event), 0);
    }
    assert_eq!(download::<u32>(x, 1).len(), 1);
    free(&[x]);
}

#[test]
fn copies_fills_and_products() {
    let _alone = alone();
    let (k, x, y) = (Kernels::load(), upload(&[0f64; 32]), upload(&[0f64; 32]));
    let (a, b) = (stream(), stream());
    let (source, two) = ([1u32; 64], 2.0);
    // SAFETY: all pointers are valid.
    unsafe {
        let h = handle(|h| cublasCreate_v2(h));
        assert_eq!(cublasSetStream_v2(h, b), 0);
        let calls: [(&str, &dyn Fn() -> c_int); 4] = [
            ("copy", &|| cuMemcpyHtoDAsync_v2(x, source.as_ptr().cast(), 256, b)),
            ("copy within", &|| cuMemcpyDtoDAsync_v2(x, y, 256, b)),
            ("copy from", &|| cuMemcpyDtoDAsync_v2(y, x, 256, b)),
            ("fill", &|| cuMemsetD32Async(x + 4, 0, 1, b)),
        ];
        for (name, call) in calls {
            assert_eq!(launch(k.add, x, 1, 1, a), 0);
            is_race(call(), name);
            assert_eq!(launch(k.add, x, 1, 1, a), 0);
            join(b, a);
            assert_eq!(call(), 0, "{name} after an event");
            is_race(launch(k.add, x, 1, 1, a), name);
            join(a, b);
        }
        assert_eq!(launch(k.add, x, 1, 1, a), 0);
        assert_eq!(cublasDscal_v2(h, 4, &two, x, 1), 13);
        assert!(last_fault().contains("not ordered after"), "{}", last_fault());
        cuda_sim_reset_fault();
    }
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(cuMemsetD32Async(x, 0, 64, a), 0);
        join(b, a);
        let h = handle(|h| cublasCreate_v2(h));
        assert_eq!(cublasSetStream_v2(h, b), 0);
        assert_eq!(cublasDscal_v2(h, 4, &two, x, 2), 0);
        assert_eq!(launch(k.add, x, 2, 2, a), 0, "number 1 lies between");
        is_race(launch(k.add, x, 4, 1, a), "number 2");
        let _ = given::<f64>(|r| cublasDdot_v2(h, 4, y, 1, y, 1, r));
        assert_eq!(launch(k.add, x, 4, 1, a), 0, "a result on the host was waited for");
    }
    assert_eq!(download::<f64>(x, 32).len(), 32);
    free(&[x, y]);
}

#[test]
fn memory_is_of_its_stream() {
    let _alone = alone();
    let k = Kernels::load();
    let (a, b) = (stream(), stream());
    // SAFETY: all pointers are valid.
    unsafe {
        let x = given::<u64>(|p| cuMemAllocAsync(p, 256, a));
        is_race(cuMemsetD32Async(x, 0, 64, b), "used before it is allocated");
        assert_eq!(cuMemsetD32Async(x, 0, 64, a), 0);
        join(b, a);
        assert_eq!(launch(k.add, x, 0, 32, b), 0);
        is_race(cuMemFreeAsync(x, a), "freed while it is used");
        join(a, b);
        assert_eq!(cuMemFreeAsync(x, a), 0);
    }
}

#[test]
fn memory_that_is_freed_without_its_stream_was_waited_for() {
    let _alone = alone();
    let k = Kernels::load();
    let (a, b) = (stream(), stream());
    // SAFETY: all pointers are valid.
    unsafe {
        let x = given::<u64>(|p| cuMemAllocAsync(p, 256, a));
        assert_eq!(cuMemsetD32Async(x, 0, 64, a), 0);
        join(b, a);
        assert_eq!(launch(k.add, x, 0, 32, b), 0);
        assert_eq!(cuStreamSynchronize(a), 0);
        is_race(cuMemFree_v2(x), "still used on the other stream");
        assert_eq!(launch(k.add, x, 0, 32, b), 0);
        assert_eq!(cuStreamSynchronize(b), 0);
        assert_eq!(cuMemFree_v2(x), 0);
        // A device may wait for the use of other memory.
        let y = upload(&[0u32; 64]);
        assert_eq!(launch(k.add, y, 0, 32, a), 0);
        free(&[y]);
    }
}

#[test]
fn kernels_of_an_unloaded_module_were_waited_for() {
    let _alone = alone();
    let x = upload(&[0u32; 64]);
    // SAFETY: all handles are valid.
    unsafe {
        let [s, other, blocking] = [stream(), stream(), handle(|s| cuStreamCreate(s, 0))];
        let event = handle(|e| cuEventCreate(e, 2));
        type Call<'a> = &'a dyn Fn() -> c_int;
        let record = || cuEventRecord(event, s);
        let cases: [(&str, Handle, Call, bool); 8] = [
            ("nothing", s, &|| 0, false),
            ("the stream", s, &|| cuStreamSynchronize(s), true),
            ("everything", s, &|| cuCtxSynchronize(), true),
            ("another stream", s, &|| cuStreamSynchronize(other), false),
            ("an event", s, &|| record() + cuEventSynchronize(event), true),
            ("an older event", s, &|| cuEventSynchronize(event), false),
            ("a copy", s, &|| cuMemcpyHtoD_v2(x + 128, (&raw const x).cast(), 4), false),
            ("a copy", blocking, &|| cuMemcpyHtoD_v2(x + 128, (&raw const x).cast(), 4), true),
        ];
        let unload = |k: &Kernels, name: &str, fine: bool| {
            let code = cuModuleUnload(k.module);
            if fine {
                return assert_eq!(code, 0, "{name}");
            }
            assert_eq!(code, 719, "{name}");
            assert!(last_fault().contains("module was unloaded"), "{name}: {}", last_fault());
            cuda_sim_reset_fault();
        };
        for (name, on, wait, fine) in cases {
            let (k, idle) = (Kernels::load(), Kernels::load());
            assert_eq!(launch(k.add, x, 0, 32, on), 0);
            assert_eq!(wait(), 0);
            unload(&idle, "of another module", true);
            unload(&k, name, fine);
            assert_eq!(cuCtxSynchronize(), 0);
        }
        // What another stream waits for, and a stream that is gone.
        let k = Kernels::load();
        assert_eq!(launch(k.add, x, 0, 32, s), 0);
        join(other, s);
        assert_eq!((cuStreamDestroy_v2(s), cuStreamSynchronize(other)), (0, 0));
        unload(&k, "a stream that waits", true);
        // Launches in a graph are those of its launch.
        for fine in [false, true] {
            let k = Kernels::load();
            assert_eq!(cuStreamBeginCapture_v2(other, 0), 0);
            assert_eq!(launch(k.add, x, 0, 32, other), 0);
            let graph = handle(|g| cuStreamEndCapture(other, g));
            let ready = handle(|e| cuGraphInstantiateWithFlags(e, graph, 0));
            assert_eq!(cuGraphLaunch(ready, other), 0);
            if fine {
                assert_eq!(cuStreamSynchronize(other), 0);
            }
            unload(&k, "a graph", fine);
            assert_eq!((cuGraphExecDestroy(ready), cuGraphDestroy(graph)), (0, 0));
        }
    }
    free(&[x]);
}

#[test]
fn handles_of_cublas_work_on_one_stream_at_a_time() {
    let _alone = alone();
    let (x, two) = ([(); 2].map(|()| upload(&[2f64])), 2.0);
    // SAFETY: all handles are valid, and the vectors have one entry.
    unsafe {
        let (h, streams) = (handle(|h| cublasCreate_v2(h)), [stream(), stream()]);
        let twice = |k: usize| {
            assert_eq!(cublasSetStream_v2(h, streams[k]), 0);
            cublasDscal_v2(h, 1, &two, x[k], 1)
        };
        assert_eq!([twice(0), twice(0)], [0; 2]);
        join(streams[1], streams[0]);
        assert_eq!([twice(1), cuStreamSynchronize(streams[1]), twice(0)], [0; 3]);
        assert_eq!(twice(1), 13);
        assert!(last_fault().contains("another stream"), "{}", last_fault());
        cuda_sim_reset_fault();
        assert_eq!((cublasSetStream_v2(h, null_mut()), cublasDestroy_v2(h)), (0, 0));
        assert_eq!(streams.map(|stream| cuStreamDestroy_v2(stream)), [0; 2]);
    }
    free(&x);
}

#[test]
fn handles_of_cublas_go_before_their_streams() {
    let _alone = alone();
    // SAFETY: all handles are valid.
    unsafe {
        for bound_again in [true, false] {
            let (h, s) = (handle(|h| cublasCreate_v2(h)), stream());
            assert_eq!(cublasSetStream_v2(h, s), 0);
            assert_eq!(cuStreamDestroy_v2(s), 0);
            if bound_again {
                assert_eq!((cublasSetStream_v2(h, null_mut()), cublasDestroy_v2(h)), (0, 0));
            } else {
                assert_eq!((cublasDestroy_v2(h), cuCtxSynchronize()), (13, 400));
                assert!(last_fault().contains("cuBLAS"), "{}", last_fault());
                cuda_sim_reset_fault();
            }
        }
    }
}

#[test]
fn the_legacy_stream_waits_for_blocking_ones() {
    let _alone = alone();
    let (k, x) = (Kernels::load(), upload(&[0u32; 64]));
    // SAFETY: the pointer is valid.
    let (blocking, free_one) = (handle(|s| unsafe { cuStreamCreate(s, 0) }), stream());
    assert_eq!(launch(k.add, x, 0, 1, blocking), 0);
    assert_eq!(launch(k.add, x, 0, 1, null_mut()), 0);
    assert_eq!(launch(k.add, x, 0, 1, blocking), 0);
    is_race(launch(k.add, x, 0, 1, free_one), "does not wait");
    assert_eq!(launch(k.add, x, 1, 1, free_one), 0);
    is_race(launch(k.add, x, 1, 1, null_mut()), "nor is it waited for");
    assert_eq!(download::<u32>(x, 1).len(), 1);
    free(&[x]);
}

#[test]
fn copies_to_the_host_come_late() {
    let _alone = alone();
    let (x, s) = (upload(&[7u32]), stream());
    // SAFETY: all pointers stay valid until the stream was waited for.
    unsafe {
        let event = handle(|e| cuEventCreate(e, 2));
        let waits: [&dyn Fn() -> c_int; 4] =
            [&|| cuStreamSynchronize(s), &|| cuCtxSynchronize(), &|| cuStreamQuery(s), &|| {
                assert_eq!(cuEventRecord(event, s), 0);
                cuEventSynchronize(event)
            }];
        for wait in waits {
            let mut value = 5u32;
            assert_eq!(cuMemcpyDtoHAsync_v2((&raw mut value).cast(), x, 4, s), 0);
            assert_eq!((&raw const value).read_volatile(), u32::MAX, "not yet");
            assert_eq!(wait(), 0);
            assert_eq!((&raw const value).read_volatile(), 7);
        }
        // What another stream waits for is still not there for the host.
        let (other, mut value) = (stream(), 5u32);
        assert_eq!(cuMemcpyDtoHAsync_v2((&raw mut value).cast(), x, 4, s), 0);
        assert_eq!(cuStreamSynchronize(other), 0);
        assert_eq!((&raw const value).read_volatile(), u32::MAX);
        join(other, s);
        assert_eq!(cuStreamSynchronize(other), 0);
        assert_eq!((&raw const value).read_volatile(), 7);
        assert_eq!(cuEventDestroy_v2(event), 0);
    }
    free(&[x]);
}

#[test]
fn page_locked_sources_are_read_late() {
    let _alone = alone();
    let (x, s) = (upload(&[7u32]), stream());
    // SAFETY: all pointers are valid.
    unsafe {
        let pinned = handle(|p| cuMemHostAlloc(p, 64, 0)).cast::<u32>();
        pinned.write_volatile(1);
        assert_eq!(cuMemcpyHtoDAsync_v2(x, pinned.cast(), 4, s), 0);
        assert_eq!(cuStreamSynchronize(s), 0);
        pinned.write_volatile(2);
        assert_eq!(cuMemcpyHtoDAsync_v2(x, pinned.cast(), 4, s), 0);
        pinned.write_volatile(3);
        assert_eq!(cuStreamSynchronize(s), 719);
        assert!(last_fault().contains("page-locked"), "{}", last_fault());
        cuda_sim_reset_fault();
        let mut pageable = 4u32;
        assert_eq!(cuMemcpyHtoDAsync_v2(x, (&raw const pageable).cast(), 4, s), 0);
        (&raw mut pageable).write_volatile(5);
        assert_eq!(cuStreamSynchronize(s), 0, "was staged");
        assert_eq!(download::<u32>(x, 1), [4]);
        assert_eq!(cuMemFreeHost(pinned.cast()), 0);
    }
    free(&[x]);
}
