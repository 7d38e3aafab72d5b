//! What calls return while a stream is captured, as the manual of the driver has it.

mod api;
use api::*;
use std::ffi::c_int;
use std::ptr::{null, null_mut};

/// Begins a capture in mode 0 (global), 1 (thread-local) or 2 (relaxed).
fn begin(on: Handle, mode: c_int) {
    // SAFETY: has no pointers.
    assert_eq!(unsafe { cuStreamBeginCapture_v2(on, mode) }, 0);
}

/// Ends a capture.
fn end(on: Handle) -> c_int {
    let mut graph = 1 as Handle;
    // SAFETY: the pointer is valid.
    let status = unsafe { cuStreamEndCapture(on, &mut graph) };
    assert_eq!(graph.is_null(), status != 0);
    if status == 0 {
        // SAFETY: has no pointers.
        assert_eq!(unsafe { cuGraphDestroy(graph) }, 0);
    }
    status
}

/// 0 no, 1 yes, 2 spoilt.
fn status(on: Handle) -> c_int {
    // SAFETY: the pointer is valid.
    given(|s| unsafe { cuStreamIsCapturing(on, s) })
}

fn event() -> Handle {
    // SAFETY: the pointer is valid.
    handle(|e| unsafe { cuEventCreate(e, 2) })
}

fn record(event: Handle, on: Handle) {
    // SAFETY: has no pointers.
    assert_eq!(unsafe { cuEventRecord(event, on) }, 0);
}

/// Lets a stream wait for an event.
fn wait(on: Handle, event: Handle) -> c_int {
    // SAFETY: has no pointers.
    unsafe { cuStreamWaitEvent(on, event, 0) }
}

/// Some work on a stream.
fn fill(on: Handle, address: u64) -> c_int {
    // SAFETY: has no pointers.
    unsafe { cuMemsetD32Async(address, 1, 1, on) }
}

struct Operands {
    stream: Handle,
    other: Handle,
    event: Handle,
    address: u64,
    pinned: Handle,
}

/// The operands are valid, which makes all calls of the tables below safe.
type Call = fn(&Operands) -> c_int;

/// Calls that may block: forbidden in every thread while a capture runs in global mode, in its own thread
/// in thread-local mode.
const UNSAFE: [(&str, Call); 10] = [
    ("cuMemAlloc", |_| unsafe { cuMemAlloc_v2(&mut 0, 4) }),
    ("cuMemFree", |o| unsafe { cuMemFree_v2(o.address) }),
    ("cuMemHostAlloc", |_| unsafe { cuMemHostAlloc(&mut null_mut(), 4, 0) }),
    ("cuMemFreeHost", |o| unsafe { cuMemFreeHost(o.pinned) }),
    ("cuMemcpyHtoD", |o| unsafe { cuMemcpyHtoD_v2(o.address, [0u8; 4].as_ptr().cast(), 4) }),
    ("cuModuleLoadData", |_| unsafe {
        cuModuleLoadData(&mut null_mut(), c".version 8.0".as_ptr().cast())
    }),
    ("cuEventQuery", |o| unsafe { cuEventQuery(o.event) }),
    ("cuEventSynchronize", |o| unsafe { cuEventSynchronize(o.event) }),
    ("cuStreamQuery", |o| unsafe { cuStreamQuery(o.other) }),
    ("cuStreamSynchronize", |o| unsafe { cuStreamSynchronize(o.other) }),
];

/// Calls that conflict with a capture in every mode, and what they return.
const CONFLICTS: [(&str, Call, c_int); 7] = [
    ("cuCtxSynchronize", |_| unsafe { cuCtxSynchronize() }, 900),
    ("cuStreamSynchronize", |o| unsafe { cuStreamSynchronize(o.stream) }, 900),
    ("cuStreamQuery", |o| unsafe { cuStreamQuery(o.stream) }, 900),
    (
        "cuEventQuery",
        |o| {
            record(o.event, o.stream);
            unsafe { cuEventQuery(o.event) }
        },
        907,
    ),
    (
        "cuEventSynchronize",
        |o| {
            record(o.event, o.stream);
            unsafe { cuEventSynchronize(o.event) }
        },
        907,
    ),
    ("an event from outside", |o| wait(o.stream, o.event), 905),
    (
        "the legacy stream joins",
        |o| {
            record(o.event, o.stream);
            wait(null_mut(), o.event)
        },
        906,
    ),
];

/// Makes a call during a capture that holds some work; it must return a code and spoil the capture if
/// that is an error.
fn during(mode: c_int, name: &str, call: Call, code: c_int) {
    let (stream, other) = (stream(), stream());
    // SAFETY: the pointer is valid.
    let pinned = handle(|p| unsafe { cuMemHostAlloc(p, 64, 0) });
    let operands = Operands { stream, other, event: event(), address: alloc(4), pinned };
    record(operands.event, other);
    begin(stream, mode);
    assert_eq!(fill(stream, operands.address), 0);
    assert_eq!(call(&operands), code, "{name} in mode {mode}");
    let spoilt = code != 0;
    assert_eq!(status(stream), 1 + c_int::from(spoilt), "{name} in mode {mode}");
    assert_eq!(fill(stream, operands.address), if spoilt { 901 } else { 0 }, "{name}");
    assert_eq!(end(stream), if spoilt { 901 } else { 0 }, "{name} in mode {mode}");
    assert_eq!(status(stream), 0);
    // SAFETY: has no pointers; some of the calls have freed their operand.
    unsafe {
        cuMemFree_v2(operands.address);
        cuMemFreeHost(operands.pinned);
        assert_eq!(cuEventDestroy_v2(operands.event), 0);
        assert_eq!((cuStreamDestroy_v2(stream), cuStreamDestroy_v2(other)), (0, 0));
    }
}

#[test]
fn calls_that_may_block() {
    let _alone = alone();
    for (name, call) in UNSAFE {
        for mode in [0, 1] {
            during(mode, name, call, 900);
        }
        if !["cuMemAlloc", "cuMemHostAlloc", "cuModuleLoadData"].contains(&name) {
            during(2, name, call, 0);
        }
    }
}

#[test]
fn calls_that_conflict() {
    let _alone = alone();
    for (name, call, code) in CONFLICTS {
        for mode in [0, 1, 2] {
            during(mode, name, call, code);
        }
    }
}

/// Another thread is free to block unless the mode is global, and may end a capture only if relaxed.
#[test]
fn other_threads() {
    let _alone = alone();
    for (mode, allocated, ended) in [(0, 900, 908), (1, 0, 908), (2, 0, 0)] {
        let s = stream();
        begin(s, mode);
        let address = s as usize;
        let (allocation, capture) = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter();
                let s = address as Handle;
                let mut memory = 0;
                // SAFETY: the pointer is valid.
                let allocation = unsafe { cuMemAlloc_v2(&mut memory, 4) };
                if allocation == 0 {
                    free(&[memory]);
                }
                (allocation, end(s))
            });
            thread.join().unwrap()
        });
        assert_eq!((allocation, capture), (allocated, ended), "mode {mode}");
        if ended != 0 {
            assert_eq!(end(s), if allocated == 0 { 0 } else { 901 }, "in its own thread");
        }
        // SAFETY: has no pointers.
        assert_eq!(unsafe { cuStreamDestroy_v2(s) }, 0);
    }
}

/// Sets the mode of the thread: 0 (global), 1 (thread-local) or 2 (relaxed).
fn exchange(mut mode: c_int) -> c_int {
    // SAFETY: the pointer is valid.
    assert_eq!(unsafe { cuThreadExchangeStreamCaptureMode(&mut mode) }, 0);
    mode
}

/// A relaxed thread may make calls that block beside any capture, but none that conflict; one in
/// thread-local mode may beside those of other threads.
#[test]
fn modes_of_threads() {
    let _alone = alone();
    assert_eq!(exchange(2), 0);
    for (name, call) in UNSAFE {
        for mode in [0, 1] {
            during(mode, name, call, 0);
        }
    }
    for (name, call, code) in CONFLICTS {
        during(0, name, call, code);
    }
    assert_eq!(exchange(0), 2);
    // SAFETY: the pointer is valid.
    assert_eq!(unsafe { cuThreadExchangeStreamCaptureMode(&mut 3) }, 1);
    for (own, allocated) in [(0, 900), (1, 0), (2, 0)] {
        let s = stream();
        begin(s, 0);
        let elsewhere = || {
            enter();
            exchange(own);
            let mut memory = 0;
            // SAFETY: the pointer is valid.
            let status = unsafe { cuMemAlloc_v2(&mut memory, 4) };
            if status == 0 {
                free(&[memory]);
            }
            status
        };
        let status = std::thread::scope(|scope| scope.spawn(elsewhere).join().unwrap());
        assert_eq!((status, end(s)), (allocated, if allocated == 0 { 0 } else { 901 }));
        exchange(1);
        begin(s, 0);
        // SAFETY: the pointer is valid.
        assert_eq!(unsafe { cuMemAlloc_v2(&mut 0, 4) }, 900, "a capture of its own");
        assert_eq!((end(s), exchange(0)), (901, 1));
        // SAFETY: has no pointers.
        assert_eq!(unsafe { cuStreamDestroy_v2(s) }, 0);
    }
}

/// A kernel is put on the device by `cuFuncLoad` or its first launch, which is impossible in a capture
/// and may block beside one.
#[test]
fn kernels_are_loaded_before() {
    let _alone = alone();
    let (s, beside) = (stream(), stream());
    let image =
        c(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{\n  ret;\n}\n");
    // SAFETY: all pointers are valid, and the kernel has no arguments.
    unsafe {
        let module = handle(|m| cuModuleLoadData(m, image.as_ptr().cast()));
        let k = handle(|f| cuModuleGetFunction(f, module, c"k".as_ptr()));
        let launch = |on| cuLaunchKernel(k, 1, 1, 1, 1, 1, 1, 0, on, null(), null());
        for mode in [0, 1, 2] {
            begin(s, mode);
            assert_eq!((launch(s), end(s)), (900, 901), "mode {mode}");
        }
        begin(s, 0);
        assert_eq!((launch(beside), end(s)), (900, 901));
        begin(s, 0);
        assert_eq!((cuFuncLoad(k), end(s)), (900, 901));
        assert_eq!(cuFuncLoad(k), 0);
        begin(s, 0);
        assert_eq!([launch(s), launch(beside), end(s)], [0; 3]);
        assert_eq!(cuCtxSynchronize(), 0);
        assert_eq!(cuModuleUnload(module), 0);
        assert_eq!((cuStreamDestroy_v2(s), cuStreamDestroy_v2(beside)), (0, 0));
    }
}

/// The legacy stream waits for every blocking stream, so it cannot be used while one is captured.
#[test]
fn the_legacy_stream() {
    let _alone = alone();
    let address = alloc(4);
    let e = event();
    let calls: [(&str, &dyn Fn() -> c_int); 6] = [
        ("work", &|| fill(null_mut(), address)),
        // SAFETY: all pointers are valid.
        ("a copy that waits", &|| unsafe { cuMemcpyDtoD_v2(address, address, 0) }),
        ("a wait", &|| unsafe { cuStreamSynchronize(null_mut()) }),
        ("a query", &|| unsafe { cuStreamQuery(null_mut()) }),
        ("an event", &|| unsafe { cuEventRecord(e, null_mut()) }),
        ("a wait for an event", &|| wait(null_mut(), e)),
    ];
    for (name, call) in calls {
        // SAFETY: the pointer is valid.
        let blocking = handle(|s| unsafe { cuStreamCreate(s, 0) });
        begin(blocking, 2);
        assert_eq!(call(), 906, "{name}");
        assert_eq!(end(blocking), 901, "{name}");
        let free_one = stream();
        begin(free_one, 2);
        assert_eq!(call(), 0, "{name}, which a stream that does not block is independent of");
        assert_eq!(end(free_one), 0, "{name}");
        // SAFETY: has no pointers.
        unsafe {
            assert_eq!((cuStreamDestroy_v2(blocking), cuStreamDestroy_v2(free_one)), (0, 0));
        }
    }
    // SAFETY: has no pointers.
    assert_eq!(unsafe { cuEventDestroy_v2(e) }, 0);
    free(&[address]);
}

/// Streams that join must be joined back with all that they were given.
#[test]
fn forks_and_joins() {
    let _alone = alone();
    let (s, side, third) = (stream(), stream(), stream());
    let (fork, join) = (event(), event());
    let address = alloc(4);
    let begun = || {
        begin(s, 0);
        record(fork, s);
        assert_eq!(wait(side, fork), 0);
        assert_eq!(status(side), 1);
    };
    begun();
    record(join, side);
    assert_eq!(wait(s, join), 0);
    assert_eq!(end(s), 0, "joined back without work");
    begun();
    assert_eq!(end(s), 904, "not joined back");
    assert_eq!((status(s), status(side)), (0, 0));
    begun();
    record(join, side);
    assert_eq!(fill(side, address), 0);
    assert_eq!(wait(s, join), 0);
    assert_eq!(end(s), 904, "work after the event is not joined");
    begun();
    assert_eq!(fill(side, address), 0);
    record(join, side);
    assert_eq!(wait(third, join), 0);
    assert_eq!(fill(third, address), 0);
    record(join, third);
    assert_eq!(wait(s, join), 0);
    assert_eq!(end(s), 0, "one join brings what it comes after");
    begun();
    assert_eq!(end(side), 903, "ended on another stream");
    assert_eq!(wait(third, fork), 1, "an event of a spoilt capture");
    assert_eq!(wait(s, fork), 901, "in a spoilt capture");
    assert_eq!(end(s), 901);
    assert_eq!(wait(third, fork), 0, "the capture is over");
    // SAFETY: has no pointers.
    unsafe {
        begun();
        record(join, side);
        assert_eq!(cuEventDestroy_v2(join), 0);
        assert_eq!(wait(s, join), 400, "a destroyed event");
        assert_eq!(end(s), 904);
        assert_eq!(cuEventDestroy_v2(fork), 0);
        for stream in [s, side, third] {
            assert_eq!(cuStreamDestroy_v2(stream), 0);
        }
    }
    free(&[address]);
}

/// A stream that is destroyed ends its capture, or spoils the one that it joined.
#[test]
fn destroyed_streams() {
    let _alone = alone();
    let (s, side, fork) = (stream(), stream(), event());
    // SAFETY: has no pointers.
    unsafe {
        begin(s, 0);
        record(fork, s);
        assert_eq!(wait(side, fork), 0);
        assert_eq!(cuStreamDestroy_v2(side), 0);
        assert_eq!(status(s), 2);
        assert_eq!(cuMemAlloc_v2(&mut 0, 4), 900);
        assert_eq!(end(s), 901);
        begin(s, 0);
        assert_eq!(cuStreamDestroy_v2(s), 0);
        free(&[alloc(4)]);
        assert_eq!(cuEventDestroy_v2(fork), 0);
    }
}

/// What leaves no trace in a stream is allowed.
#[test]
fn harmless_calls() {
    let _alone = alone();
    let s = stream();
    begin(s, 0);
    // SAFETY: all pointers are valid.
    unsafe {
        let e = event();
        assert_eq!(cuEventDestroy_v2(e), 0);
        assert_eq!(cuStreamDestroy_v2(stream()), 0);
        assert_eq!(cuMemGetInfo_v2(&mut 0, &mut 0), 0);
        let mut name = null();
        assert_eq!(cuGetErrorName(900, &mut name), 0);
    }
    assert_eq!(end(s), 0);
    // SAFETY: has no pointers.
    assert_eq!(unsafe { cuStreamDestroy_v2(s) }, 0);
}
