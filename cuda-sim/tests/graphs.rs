//! Capturing and launching graphs through the C functions.

mod api;
use api::*;
use std::ffi::c_int;
use std::ptr::{null, null_mut};

const ADD: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry add(.param .u64 x, .param .u32 value)
{
    .reg .b32 %r<4>; .reg .b64 %d<2>;
    ld.param.u64 %d1, [x]; ld.param.u32 %r1, [value];
    ld.global.u32 %r2, [%d1]; add.u32 %r3, %r2, %r1; st.global.u32 [%d1], %r3; ret;
}
";

fn add_function() -> Handle {
    let image = c(ADD);
    // SAFETY: both are C strings.
    unsafe {
        let module = handle(|m| cuModuleLoadData(m, image.as_ptr().cast()));
        let function = handle(|f| cuModuleGetFunction(f, module, c"add".as_ptr()));
        assert_eq!(cuFuncLoad(function), 0);
        function
    }
}

fn add(f: Handle, x: u64, value: u64, on: Handle) -> c_int {
    let arguments = pointers([&x, &value]);
    // SAFETY: there are two arguments.
    unsafe { cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, on, arguments.as_ptr(), null()) }
}

fn begin(on: Handle) {
    // SAFETY: has no pointers.
    assert_eq!(unsafe { cuStreamBeginCapture_v2(on, 0) }, 0);
}

/// Ends a capture that must have gone well and makes its graph executable.
fn end(on: Handle) -> Handle {
    // SAFETY: all pointers are valid.
    unsafe {
        let graph = handle(|g| cuStreamEndCapture(on, g));
        let executable = handle(|e| cuGraphInstantiateWithFlags(e, graph, 0));
        assert_eq!(cuGraphDestroy(graph), 0);
        executable
    }
}

fn status(on: Handle) -> c_int {
    // SAFETY: the pointer is valid.
    given(|s| unsafe { cuStreamIsCapturing(on, s) })
}

#[test]
fn work_is_recorded_and_replayed() {
    let _alone = alone();
    let (f, s, x) = (add_function(), stream(), upload(&[1u32, 100]));
    let source = [5u32];
    // SAFETY: all pointers stay valid until the graph is destroyed.
    unsafe {
        begin(s);
        assert_eq!(status(s), 1);
        assert_eq!(add(f, x, 10, s), 0);
        assert_eq!(cuMemcpyDtoDAsync_v2(x + 4, x, 4, s), 0);
        assert_eq!(cuMemcpyHtoDAsync_v2(x, source.as_ptr().cast(), 4, s), 0);
        assert_eq!(cuMemsetD32Async(x, 7, 1, s), 0);
        let graph = handle(|g| cuStreamEndCapture(s, g));
        assert_eq!(status(s), 0);
        assert_eq!(download::<u32>(x, 2), [1, 100], "nothing was done yet");
        assert_eq!(given::<usize>(|n| cuGraphGetNodes(graph, null_mut(), n)), 4);
        let executable = handle(|e| cuGraphInstantiateWithFlags(e, graph, 0));
        assert_eq!(cuGraphDestroy(graph), 0);
        assert_eq!(cuGraphLaunch(executable, s), 0);
        assert_eq!(download::<u32>(x, 2), [7, 11]);
        assert_eq!(cuGraphLaunch(executable, s), 0);
        assert_eq!(download::<u32>(x, 2), [7, 17]);
        assert_eq!(cuGraphExecDestroy(executable), 0);
        assert_eq!(cuGraphLaunch(executable, s), 400);
        assert_eq!(cuStreamDestroy_v2(s), 0);
    }
    free(&[x]);
}

#[test]
fn waiting_spoils_a_capture() {
    let _alone = alone();
    let (f, x) = (add_function(), upload(&[1u32]));
    // SAFETY: all pointers are valid.
    unsafe {
        let event = handle(|e| cuEventCreate(e, 2));
        type Call = unsafe fn(Handle, u64, Handle) -> c_int;
        let calls: [(&str, Call, c_int); 9] = [
            ("stream synchronize", |s, _, _| cuStreamSynchronize(s), 900),
            ("stream query", |s, _, _| cuStreamQuery(s), 900),
            ("context synchronize", |_, _, _| cuCtxSynchronize(), 900),
            ("allocation", |_, _, _| cuMemAlloc_v2(&mut 0, 4), 900),
            ("module", |_, _, _| cuModuleLoadData(&mut null_mut(), c(ADD).as_ptr().cast()), 900),
            ("unload", |_, _, _| cuModuleUnload(null_mut()), 900),
            (
                "copy",
                |_, x, _| cuMemcpyDtoH_v2((&raw mut *Box::leak(Box::new(0u32))).cast(), x, 4),
                900,
            ),
            (
                "event",
                |s, _, e| {
                    assert_eq!(cuEventRecord(e, s), 0);
                    cuEventSynchronize(e)
                },
                907,
            ),
            ("outside event", |s, _, e| cuStreamWaitEvent(s, e, 0), 905),
        ];
        for (name, call, code) in calls {
            let s = stream();
            assert_eq!(cuEventRecord(event, null_mut()), 0);
            begin(s);
            assert_eq!(add(f, x, 1, s), 0);
            assert_eq!(call(s, x, event), code, "{name}");
            assert_eq!(status(s), 2, "{name}");
            assert_eq!(add(f, x, 1, s), 901, "{name}");
            let mut graph = 1 as Handle;
            assert_eq!(cuStreamEndCapture(s, &mut graph), 901, "{name}");
            assert!(graph.is_null());
            assert_eq!(add(f, x, 1, s), 0, "the stream works again after {name}");
            assert_eq!(cuStreamSynchronize(s), 0);
            assert_eq!(cuStreamDestroy_v2(s), 0);
        }
        assert_eq!(download::<u32>(x, 1), [1 + 9]);
    }
    free(&[x]);
}

#[test]
fn modes() {
    let _alone = alone();
    // SAFETY: all pointers are valid.
    unsafe {
        let s = stream();
        assert_eq!(cuStreamBeginCapture_v2(null_mut(), 0), 900, "the legacy stream");
        assert_eq!(cuStreamBeginCapture_v2(s, 2), 0, "relaxed");
        let x = alloc(4);
        free(&[x]);
        assert_eq!(cuStreamBeginCapture_v2(s, 0), 401, "captures already");
        let executable = end(s);
        assert_eq!(cuGraphExecDestroy(executable), 0);

        assert_eq!(cuStreamBeginCapture_v2(s, 1), 0, "thread-local");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                enter();
                free(&[alloc(4)]);
            });
        });
        assert_eq!(cuMemAlloc_v2(&mut 0, 4), 900);
        assert_eq!(cuStreamEndCapture(s, &mut null_mut()), 901);
        assert_eq!(cuStreamEndCapture(s, &mut null_mut()), 401, "does not capture");

        let blocking = handle(|s| cuStreamCreate(s, 0));
        let x = upload(&[0u32]);
        begin(blocking);
        assert_eq!(cuMemsetD32Async(x, 1, 1, null_mut()), 906, "the legacy stream would wait");
        assert_eq!(cuStreamEndCapture(blocking, &mut null_mut()), 901);
        free(&[x]);
        assert_eq!(cuStreamDestroy_v2(blocking), 0);
        assert_eq!(cuStreamDestroy_v2(s), 0);
    }
}

#[test]
fn other_streams_join_and_leave() {
    let _alone = alone();
    let (f, x) = (add_function(), upload(&[1u32]));
    // SAFETY: all pointers are valid.
    unsafe {
        let (s, side) = (stream(), stream());
        let (fork, join) = (handle(|e| cuEventCreate(e, 2)), handle(|e| cuEventCreate(e, 2)));
        begin(s);
        assert_eq!(cuEventRecord(fork, s), 0);
        assert_eq!(cuStreamWaitEvent(side, fork, 0), 0);
        assert_eq!(status(side), 1);
        assert_eq!(add(f, x, 10, side), 0);
        assert_eq!(cuEventRecord(join, side), 0);
        assert_eq!(cuStreamWaitEvent(s, join, 0), 0);
        assert_eq!(add(f, x, 100, s), 0);
        let executable = end(s);
        assert_eq!(status(side), 0);
        assert_eq!(cuGraphLaunch(executable, side), 0);
        assert_eq!(download::<u32>(x, 1), [111]);
        assert_eq!(cuGraphExecDestroy(executable), 0);

        begin(s);
        assert_eq!(cuEventRecord(fork, s), 0);
        assert_eq!(cuStreamWaitEvent(side, fork, 0), 0);
        assert_eq!(add(f, x, 10, side), 0);
        assert_eq!(cuStreamEndCapture(s, &mut null_mut()), 904, "not joined back");

        begin(s);
        assert_eq!(cuEventRecord(fork, s), 0);
        assert_eq!(cuStreamWaitEvent(side, fork, 0), 0);
        assert_eq!(cuStreamEndCapture(side, &mut null_mut()), 903, "ended on another stream");
        assert_eq!(cuStreamEndCapture(s, &mut null_mut()), 901);

        begin(s);
        begin(side);
        assert_eq!(cuEventRecord(fork, s), 0);
        assert_eq!(cuStreamWaitEvent(side, fork, 0), 902, "two captures would merge");
        assert_eq!(cuStreamEndCapture(s, &mut null_mut()), 901);
        assert_eq!(cuStreamEndCapture(side, &mut null_mut()), 901);
        for event in [fork, join] {
            assert_eq!(cuEventDestroy_v2(event), 0);
        }
        for stream in [s, side] {
            assert_eq!(cuStreamDestroy_v2(stream), 0);
        }
    }
    free(&[x]);
}

/// Branches of a graph are in no order but that of their events.
#[test]
fn branches_race() {
    let _alone = alone();
    let (f, x, y) = (add_function(), upload(&[1u32]), upload(&[1u32]));
    let (s, side, other) = (stream(), stream(), stream());
    // SAFETY: all pointers are valid.
    unsafe {
        let (fork, join) = (handle(|e| cuEventCreate(e, 2)), handle(|e| cuEventCreate(e, 2)));
        // What each stream adds to between fork and join, and whether that is right.
        for (on_side, on_main, code) in [(y, x, 0), (x, x, 719)] {
            begin(s);
            assert_eq!(add(f, x, 10, s), 0);
            assert_eq!(cuEventRecord(fork, s), 0);
            assert_eq!(cuStreamWaitEvent(side, fork, 0), 0);
            assert_eq!(add(f, on_side, 100, side), 0);
            assert_eq!(cuEventRecord(join, side), 0);
            assert_eq!(add(f, on_main, 1000, s), 0);
            assert_eq!(cuStreamWaitEvent(s, join, 0), 0);
            assert_eq!(add(f, on_side, 10_000, s), 0);
            let executable = end(s);
            for _ in 0..2 {
                assert_eq!(cuGraphLaunch(executable, s), code);
            }
            if code == 0 {
                // The next work of the stream comes after all branches, that of others does not.
                assert_eq!(add(f, y, 0, s), 0);
                assert_eq!(add(f, y, 0, other), 719);
                cuda_sim_reset_fault();
                assert_eq!(download::<u32>(x, 1), [1 + 2 * 1010]);
                assert_eq!(download::<u32>(y, 1), [1 + 2 * 10_100]);
                assert_eq!(cuGraphLaunch(executable, s), 0);
                assert_eq!(cuCtxSynchronize(), 0);
                assert_eq!(add(f, y, 0, other), 0, "the host has waited");
                assert_eq!(cuCtxSynchronize(), 0);
            } else {
                assert!(last_fault().contains("not ordered after"), "{}", last_fault());
                cuda_sim_reset_fault();
            }
            assert_eq!(cuGraphExecDestroy(executable), 0);
        }
        for event in [fork, join] {
            assert_eq!(cuEventDestroy_v2(event), 0);
        }
        for stream in [s, side, other] {
            assert_eq!(cuStreamDestroy_v2(stream), 0);
        }
    }
    free(&[x, y]);
}

#[test]
fn graphs_own_what_they_allocate() {
    let _alone = alone();
    let (f, out) = (add_function(), upload(&[0u32]));
    // SAFETY: all pointers are valid.
    unsafe {
        let s = stream();
        let live = cuda_sim_live_allocations();
        begin(s);
        let scratch = given::<u64>(|p| cuMemAllocAsync(p, 4, s));
        assert_eq!(cuMemsetD32Async(scratch, 3, 1, s), 0);
        assert_eq!(add(f, scratch, 4, s), 0);
        assert_eq!(cuMemcpyDtoDAsync_v2(out, scratch, 4, s), 0);
        assert_eq!(cuMemFreeAsync(scratch, s), 0);
        let executable = end(s);
        assert_eq!(cuda_sim_live_allocations(), live);
        for _ in 0..2 {
            assert_eq!(cuGraphLaunch(executable, s), 0);
            assert_eq!(download::<u32>(out, 1), [7]);
        }
        assert_eq!(download::<u32>(scratch, 1), [u32::MAX], "freed memory has no contents");
        assert_eq!(cuGraphExecDestroy(executable), 0);
        assert_eq!(cuMemcpyDtoD_v2(out, scratch, 4), 1, "gone with the graph");

        begin(s);
        let scratch = given::<u64>(|p| cuMemAllocAsync(p, 4, s));
        assert_eq!(add(f, scratch, 4, s), 0);
        let executable = end(s);
        assert_eq!(cuGraphLaunch(executable, s), 719, "new memory in every launch");
        cuda_sim_reset_fault();
        assert_eq!(cuGraphExecDestroy(executable), 0);
        assert_eq!(cuStreamDestroy_v2(s), 0);
    }
    free(&[out]);
}
