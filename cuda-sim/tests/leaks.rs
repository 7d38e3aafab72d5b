//! What a program leaves behind: counted while it runs, reported when it ends.

mod api;
use api::*;
use std::ffi::c_int;
use std::process::Command;
use std::ptr::null_mut;

unsafe extern "C" {
    fn cublasCreate_v2(handle: *mut Handle) -> c_int;
}

const LEAVES: &str = "allocations=2 pinned=1 streams=1 events=2 modules=1 graphs=1 executables=1 \
                      cublas=1 contexts=1";

fn live() -> String {
    let mut buffer = [0u8; 256];
    // SAFETY: the buffer has that size.
    let length = unsafe { cuda_sim_live(buffer.as_mut_ptr().cast(), buffer.len()) };
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Leaves something of every kind and ends with the process. Runs in a process of its own, as the child
/// of the test below.
#[test]
#[ignore = "leaks on purpose"]
fn leave_everything() {
    let _guard = uninitialised();
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(cuInit(0), 0);
        let context = handle(|c| cuDevicePrimaryCtxRetain(c, 0));
        assert_eq!(cuCtxSetCurrent(context), 0);
        let (kept, freed) = (alloc(4), alloc(8));
        free(&[freed]);
        let ended = stream();
        assert_eq!(cuStreamDestroy_v2(ended), 0);
        let asynchronous = given::<u64>(|p| cuMemAllocAsync(p, 16, stream()));
        assert_ne!(kept, asynchronous);
        handle(|p| cuMemHostAlloc(p, 64, 0));
        for _ in 0..2 {
            handle(|e| cuEventCreate(e, 0));
        }
        handle(|m| cuModuleLoadData(m, c".version 8.0\n.target sm_80\n".as_ptr().cast()));
        let graph = handle(|g| cuGraphCreate(g, 0));
        handle(|e| cuGraphInstantiateWithFlags(e, graph, 0));
        handle(|h| cublasCreate_v2(h));
        assert_eq!(live(), LEAVES);
        assert_eq!(cuda_sim_live_handles(), 8);
        assert_eq!(cuda_sim_live_allocations(), 2);
        assert_eq!(cuMemFree_v2(0), 0);
        assert_eq!(cuModuleUnload(null_mut()), 400, "nothing is forgotten by an error");
        assert_eq!(live(), LEAVES);
    }
}

#[test]
fn what_lives_at_exit_is_reported() {
    let run = |test: &str, report: &str| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", test, "--include-ignored"]).env("RNLA_SIM_LEAKS", report);
        let output = child.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        errors
    };
    let line = format!("cuda-sim: alive at exit: {LEAVES}\n");
    assert!(run("leave_everything", "1").contains(&line));
    assert!(!run("leave_everything", "0").contains("alive"));
    assert!(!run("leave_nothing", "1").contains("alive"));
}

#[test]
fn leave_nothing() {
    {
        let _alone = alone();
        free(&[alloc(4)]);
        let streams = [stream(), stream()];
        assert!(live().contains("streams=2"));
        for stream in streams {
            // SAFETY: has no pointers.
            assert_eq!(unsafe { cuStreamDestroy_v2(stream) }, 0);
        }
    }
    assert_eq!(live(), "");
}
