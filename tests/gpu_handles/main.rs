//! Handles, streams and memory of a GPU. One test in a process of its own, since it counts what is
//! alive on the device.

use cudarc::driver::{result, sys};
use randnla::{Blas, Cpu, Cuda, Device, Error, Mat, MatRef, Op, Result, Sketch, TransformKernels};

/// Allocations and handles that the simulated driver holds, or `None` on a real one.
fn live() -> Option<[usize; 2]> {
    let count = |name: &[u8]| {
        // SAFETY: the simulator exports functions of this type under these names.
        unsafe {
            let count = sys::culib().get::<unsafe extern "C" fn() -> usize>(name);
            count.ok().map(|count| count())
        }
    };
    Some([count(b"cuda_sim_live_allocations\0")?, count(b"cuda_sim_live_handles\0")?])
}

#[test]
fn handles_join_capture_and_leave_nothing_behind() {
    match Cuda::new(0) {
        Ok(cuda) => {
            // The calls to the driver in these tests need a context, as those of a framework do.
            let _current = Primary::enter();
            run(cuda).unwrap();
        }
        Err(Error::DeviceUnavailable { reason }) => {
            assert!(std::env::var_os("RNLA_REQUIRE_GPU").is_none(), "no GPU: {reason}");
            eprintln!("SKIPPED gpu_handles: {reason}");
            return;
        }
        Err(error) => panic!("{error}"),
    }
    assert!(live().is_none_or(|live| live == [0, 0]), "{:?} alive", live());
}

/// The primary context, current on this thread.
struct Primary(sys::CUdevice);

impl Primary {
    fn enter() -> Self {
        let device = result::device::get(0).unwrap();
        // SAFETY: the device exists; released when this is dropped.
        unsafe { result::ctx::set_current(result::primary_ctx::retain(device).unwrap()).unwrap() };
        Self(device)
    }
}

impl Drop for Primary {
    fn drop(&mut self) {
        // SAFETY: null means none; retained by `enter`.
        unsafe {
            result::ctx::set_current(core::ptr::null_mut()).unwrap();
            result::primary_ctx::release(self.0).unwrap();
        }
    }
}

fn run(cuda: Cuda) -> Result<()> {
    assert!(matches!(Cuda::new(1000), Err(Error::InvalidArgument { .. })));
    to_the_device_and_back(&cuda)?;
    two_streams(&cuda)?;
    page_locked_memory_may_be_reused(&cuda)?;
    memory_of_the_host_is_refused(&cuda)?;
    captured(&cuda)?;
    streams_that_cannot_be_joined(&cuda)?;
    streams_of_one_capture(&cuda)?;
    default_stream_beside_a_capture()?;
    dropped_in_a_capture(&cuda)?;
    waiting_in_a_capture(&cuda)?;
    transforms_in_a_capture(&cuda)?;
    first_calls_are_captured()?;
    too_much_memory(&cuda)?;
    context_is_restored(&cuda)
}

fn host(m: usize, n: usize) -> Result<Mat<f64>> {
    Sketch::uniform(m, n, 3)?.raw().to_mat::<f64, _>(&Cpu::new())
}

fn to_the_device_and_back(cuda: &Cuda) -> Result<()> {
    let a = host(37, 21)?;
    let b = a.to_device(cuda)?;
    assert_eq!(b.to_vec()?, a.to_vec()?);
    assert_eq!(b.to_device(&Cpu::new())?.to_vec()?, a.to_vec()?);
    assert_eq!(Mat::<f64, Cuda>::zeros(cuda, 5, 3)?.to_vec()?, vec![0.0; 15]);
    Ok(())
}

/// Operands of another stream of the same GPU, and a stream that is not ours.
fn two_streams(cuda: &Cuda) -> Result<()> {
    let other = Cuda::new(0)?;
    // SAFETY: the default stream of the primary context lives as long as the device.
    let default = unsafe { cuda.on_stream(core::ptr::null_mut())? };
    assert!(cuda.is_compatible(&other) && default.raw_stream().is_null());
    let (a, b) = (host(20, 30)?, host(30, 10)?);
    let mut c = Mat::<f64, Cuda>::scratch(&default, 20, 10)?;
    let (on_a, on_b) = (a.to_device(cuda)?, b.to_device(&other)?);
    default.gemm(1.0, on_a.as_ref(), on_b.as_ref(), 0.0, c.as_mut())?;
    let mut expected = Mat::zeros(&Cpu::new(), 20, 10)?;
    Cpu::new().gemm(1.0, a.as_ref(), b.as_ref(), 0.0, expected.as_mut())?;
    drop((on_a, on_b, other));
    for (x, y) in c.to_vec()?.iter().zip(expected.to_vec()?) {
        assert!((x - y).abs() < 1e-13 * 30.0);
    }
    Ok(())
}

/// Products and copies are recorded into a graph and run when it is launched; what would read host
/// memory later is refused.
fn captured(cuda: &Cuda) -> Result<()> {
    let (a, mut c) = (host(16, 16)?.to_device(cuda)?, Mat::<f64, Cuda>::zeros(cuda, 16, 16)?);
    // cuBLAS makes its handle before the capture.
    cuda.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut())?;
    let expected: Vec<f64> = c.to_vec()?.iter().zip(a.to_vec()?).map(|(c, a)| c + a).collect();
    cuda.scale(0.0, c.as_mut())?;
    // SAFETY: what is captured outlives the graph.
    unsafe {
        let graph = capture(cuda, || {
            cuda.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut())?;
            cuda.axpby(1.0, a.as_ref(), 1.0, c.as_mut())?;
            let refused = cuda.scale_columns(&[1.0; 16], c.as_mut());
            assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
            Ok(())
        })?;
        assert_eq!(c.to_vec()?, vec![0.0; 256], "a capture runs nothing");
        for _ in 0..2 {
            graph.launch();
            assert_eq!(c.to_vec()?, expected);
        }
        graph.destroy();
    }
    Ok(())
}

/// A captured graph, ready to run.
struct Captured {
    graph: sys::CUgraph,
    ready: sys::CUgraphExec,
    stream: sys::CUstream,
}

/// Captures what `calls` issue on the stream of `cuda`.
///
/// # Safety
/// What they use outlives the graph.
unsafe fn capture(cuda: &Cuda, calls: impl FnOnce() -> Result<()>) -> Result<Captured> {
    let stream: sys::CUstream = cuda.raw_stream().cast();
    let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL;
    let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    // SAFETY: the stream lives, and the caller's promise.
    unsafe {
        result::stream::begin_capture(stream, mode).unwrap();
        calls()?;
        let graph = result::stream::end_capture(stream).unwrap();
        Ok(Captured { graph, ready: result::graph::instantiate(graph, flags).unwrap(), stream })
    }
}

impl Captured {
    fn nodes(&self) -> usize {
        let mut nodes = 0;
        // SAFETY: the graph lives; its nodes are counted only.
        unsafe { sys::cuGraphGetNodes(self.graph, core::ptr::null_mut(), &mut nodes) }
            .result()
            .unwrap();
        nodes
    }

    /// # Safety
    /// What was captured still lives.
    unsafe fn launch(&self) {
        // SAFETY: graph and stream live, and the caller's promise.
        unsafe { result::graph::launch(self.ready, self.stream).unwrap() };
    }

    fn destroy(self) {
        // SAFETY: nobody uses the graph any more.
        unsafe {
            result::graph::exec_destroy(self.ready).unwrap();
            result::graph::destroy(self.graph).unwrap();
        }
    }
}

/// The GPU reads page-locked memory in place, so a copy from it is waited for.
fn page_locked_memory_may_be_reused(cuda: &Cuda) -> Result<()> {
    let count = 1 << 12;
    // SAFETY: the memory has that many numbers, all written, and is freed at the end.
    unsafe {
        let memory = result::malloc_host(count * size_of::<f64>(), 0).unwrap().cast::<f64>();
        let host = core::slice::from_raw_parts_mut(memory, count);
        host.iter_mut().enumerate().for_each(|(i, x)| *x = i as f64);
        let a = Mat::from_column_major(cuda, host, count, 1)?;
        host.fill(-1.0);
        assert!(a.to_vec()?.iter().enumerate().all(|(i, &x)| x == i as f64));
        result::free_host(memory.cast()).unwrap();
    }
    Ok(())
}

/// Pointers to memory of the host are refused, unless the GPU can use it as it is.
fn memory_of_the_host_is_refused(cuda: &Cuda) -> Result<()> {
    let name = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS;
    // SAFETY: the device exists.
    let pageable = unsafe { result::device::get_attribute(0, name) }.unwrap() > 0;
    let view = |pointer: *const f64, shape| {
        // SAFETY: nothing is read.
        unsafe { MatRef::<f64, Cuda>::from_raw_parts(cuda, pointer, shape, (1, 4)) }.map(|_| ())
    };
    let numbers = [1.0; 16];
    let inside = view(numbers.as_ptr(), (4, 4));
    match inside {
        Ok(()) => assert!(pageable),
        Err(Error::InvalidArgument { argument: "ptr", value, allowed, .. }) => {
            assert!(!pageable && value.contains("the host") && allowed.contains("GPU 0"));
        }
        other => panic!("{other:?}"),
    }
    // Where there are no entries, no pointer is needed.
    view(numbers.as_ptr(), (0, 4))?;
    view(core::ptr::null(), (4, 0))?;
    // SAFETY: freed at the end.
    unsafe {
        let locked = result::malloc_host(16 * size_of::<f64>(), 0).unwrap().cast::<f64>();
        view(locked, (4, 4))?;
        result::free_host(locked.cast()).unwrap();
    }
    Ok(())
}

/// A graph must not free memory that it has not allocated, and the memory is not lost.
fn dropped_in_a_capture(cuda: &Cuda) -> Result<()> {
    let (a, before) = (host(8, 8)?.to_device(cuda)?, live());
    let (old, other) = (a.try_clone()?, a.try_clone()?);
    let mut c = Mat::<f64, Cuda>::zeros(cuda, 8, 8)?;
    // SAFETY: `a` and `c` outlive the graph; what is dropped is not used in it.
    let graph = unsafe {
        capture(cuda, || {
            drop(old);
            let mut twice = Mat::<f64, Cuda>::scratch(cuda, 8, 8)?;
            cuda.axpby(2.0, a.as_ref(), 0.0, twice.as_mut())?;
            cuda.axpby(1.0, twice.as_ref(), 1.0, c.as_mut())?;
            drop(other);
            Ok(())
        })?
    };
    // With the next call.
    assert_eq!(c.to_vec()?, vec![0.0; 64]);
    assert_eq!(live().map(|live| live[0]), before.map(|before| before[0] + 1));
    for _ in 0..2 {
        // SAFETY: as above.
        unsafe { graph.launch() };
    }
    let expected: Vec<f64> = a.to_vec()?.iter().map(|x| 4.0 * x).collect();
    assert_eq!(c.to_vec()?, expected);
    graph.destroy();
    Ok(())
}

/// What would wait is refused before anything is recorded, and the capture goes on.
fn waiting_in_a_capture(cuda: &Cuda) -> Result<()> {
    let mut a = host(8, 8)?.to_device(cuda)?;
    let expected: Vec<f64> = a.to_vec()?.iter().map(|x| 2.0 * x).collect();
    let refused = |result: Result<()>, op| match result {
        Err(Error::Unsupported { op: refused, .. }) => assert_eq!(refused, op),
        other => panic!("{op}: {other:?}"),
    };
    // SAFETY: `a` outlives the graph.
    let graph = unsafe {
        capture(cuda, || {
            refused(a.to_vec().map(|_| ()), "download");
            refused(cuda.synchronize(), "synchronize");
            refused(cuda.max_abs(a.as_ref()).map(|_| ()), "max_abs");
            refused(cuda.sum_of_squares(a.as_ref(), 0).map(|_| ()), "sum_of_squares");
            let sums = cuda.column_sums_of_squares(a.as_ref(), 0, &mut [0.0; 8]);
            refused(sums, "column_sums_of_squares");
            refused(cuda.find_non_finite(a.as_ref()).map(|_| ()), "find_non_finite");
            cuda.scale(2.0, a.as_mut())
        })?
    };
    assert_eq!(graph.nodes(), 1, "only the call that succeeded is part of the graph");
    // SAFETY: as above.
    unsafe { graph.launch() };
    assert_eq!(a.to_vec()?, expected);
    graph.destroy();
    Ok(())
}

/// Tables that are kept from one transform to the next do not end up in graphs, nor come from them.
fn transforms_in_a_capture(cuda: &Cuda) -> Result<()> {
    for made_before in [false, true] {
        let start = host(if made_before { 21 } else { 22 }, 3)?;
        let (mut a, mut b) = (start.to_device(cuda)?, start.to_device(cuda)?);
        if made_before {
            cuda.dct(Op::NoTrans, b.as_mut())?;
        }
        // SAFETY: `a` outlives the graph.
        let graph = unsafe { capture(cuda, || cuda.dct(Op::NoTrans, a.as_mut()))? };
        // SAFETY: as above.
        unsafe { graph.launch() };
        if !made_before {
            cuda.dct(Op::NoTrans, b.as_mut())?;
        }
        assert_eq!(a.to_vec()?, b.to_vec()?);
        graph.destroy();
        cuda.dct(Op::Trans, b.as_mut())?;
        for (x, y) in b.to_vec()?.iter().zip(start.to_vec()?) {
            assert!((x - y).abs() < 1e-14);
        }
    }
    Ok(())
}

/// Kernels that a handle has never launched, first issued in a capture.
fn first_calls_are_captured() -> Result<()> {
    let cuda = Cuda::new(0)?;
    let (a, mut c) = (host(16, 16)?.to_device(&cuda)?, Mat::<f64, Cuda>::zeros(&cuda, 16, 16)?);
    // SAFETY: what is captured outlives the graph.
    unsafe {
        let graph = capture(&cuda, || cuda.axpby(1.0, a.as_ref(), 0.0, c.as_mut()))?;
        graph.launch();
        assert_eq!(c.to_vec()?, a.to_vec()?);
        graph.destroy();
    }
    Ok(())
}

/// A stream that captures cannot wait for what another one does outside of the capture, nor the other
/// for it: refused before anything is recorded, and the capture goes on.
fn streams_that_cannot_be_joined(cuda: &Cuda) -> Result<()> {
    let other = Cuda::new(0)?;
    let (a, b) = (host(8, 8)?.to_device(cuda)?, host(8, 8)?.to_device(&other)?);
    let (mut c, mut d) = (Mat::zeros(cuda, 8, 8)?, Mat::zeros(&other, 8, 8)?);
    let refused = |result: Result<()>, named: &str| {
        let clear = matches!(&result, Err(Error::Unsupported { op, .. }) if *op == named);
        assert!(clear, "{result:?}");
    };
    // SAFETY: `a` and `c` outlive the graph.
    let graph = unsafe {
        capture(cuda, || {
            refused(cuda.gemm(1.0, a.as_ref(), b.as_ref(), 0.0, c.as_mut()), "gemm");
            refused(cuda.axpby(1.0, b.as_ref(), 0.0, c.as_mut()), "axpby");
            refused(other.axpby(1.0, a.as_ref(), 0.0, d.as_mut()), "axpby");
            // The other stream was not drawn into the capture.
            other.axpby(1.0, b.as_ref(), 0.0, d.as_mut())?;
            cuda.axpby(2.0, a.as_ref(), 0.0, c.as_mut())
        })?
    };
    assert_eq!(graph.nodes(), 1);
    // SAFETY: as above.
    unsafe { graph.launch() };
    let expected: Vec<f64> = a.to_vec()?.iter().map(|x| 2.0 * x).collect();
    assert_eq!(c.to_vec()?, expected);
    assert_eq!(d.to_vec()?, b.to_vec()?);
    graph.destroy();
    if live().is_some() {
        // A real driver may take any number for a stream's address and read there.
        // SAFETY: it is not: there is no such stream, and the simulator notices.
        let lost = unsafe { cuda.on_stream(0x5eed_usize as *mut core::ffi::c_void) }.map(|_| ());
        let clear = matches!(&lost, Err(Error::DeviceFailure { call: "cuStreamGetCtx", reason })
            if reason.contains("CUDA_ERROR_INVALID_HANDLE"));
        assert!(clear, "{lost:?}");
    }
    // Both streams are as good as before.
    cuda.gemm(1.0, a.as_ref(), b.as_ref(), 0.0, c.as_mut())
}

/// Operands on a stream that takes part in the same capture are joined, as outside of any.
fn streams_of_one_capture(cuda: &Cuda) -> Result<()> {
    let other = Cuda::new(0)?;
    let (a, mut b) = (host(8, 8)?.to_device(cuda)?, Mat::<f64, Cuda>::zeros(&other, 8, 8)?);
    let mut c = Mat::<f64, Cuda>::zeros(cuda, 8, 8)?;
    // The graph runs on the first stream, and knows nothing of what the other one did before.
    other.synchronize()?;
    let [here, there] = [cuda, &other].map(|cuda| cuda.raw_stream().cast());
    let wait = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
    let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
    // SAFETY: streams and events live, and the matrices outlive the graph.
    let graph = unsafe {
        let fork = result::event::create(flags).unwrap();
        let graph = capture(cuda, || {
            result::event::record(fork, here).unwrap();
            result::stream::wait_event(there, fork, wait).unwrap();
            other.axpby(2.0, a.as_ref(), 0.0, b.as_mut())?;
            cuda.axpby(1.0, b.as_ref(), 0.0, c.as_mut())
        })?;
        result::event::destroy(fork).unwrap();
        graph
    };
    for _ in 0..2 {
        // SAFETY: as above.
        unsafe { graph.launch() };
        let expected: Vec<f64> = a.to_vec()?.iter().map(|x| 2.0 * x).collect();
        assert_eq!(c.to_vec()?, expected);
    }
    graph.destroy();
    Ok(())
}

/// The default stream waits for a blocking one, so it can do nothing while that is captured.
fn default_stream_beside_a_capture() -> Result<()> {
    let kind = result::stream::StreamKind::Default;
    let stream = result::stream::create(kind).unwrap();
    let calls = || -> Result<()> {
        let cuda = Cuda::new(0)?;
        // SAFETY: the default stream lives as long as the device, the other one until the end.
        let (default, blocking) =
            unsafe { (cuda.on_stream(core::ptr::null_mut())?, cuda.on_stream(stream.cast())?) };
        let mut a = host(8, 8)?.to_device(&default)?;
        let b = a.to_device(&blocking)?;
        let mut c = Mat::<f64, Cuda>::zeros(&blocking, 8, 8)?;
        // SAFETY: `b` and `c` outlive the graph.
        let graph = unsafe {
            capture(&blocking, || {
                let refused = default.axpby(1.0, b.as_ref(), 0.0, a.as_mut());
                assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
                blocking.axpby(1.0, b.as_ref(), 0.0, c.as_mut())
            })?
        };
        // SAFETY: as above.
        unsafe { graph.launch() };
        assert_eq!(c.to_vec()?, b.to_vec()?);
        graph.destroy();
        Ok(())
    };
    calls()?;
    // SAFETY: nobody uses the stream any more.
    unsafe { result::stream::destroy(stream).unwrap() };
    Ok(())
}

fn too_much_memory(cuda: &Cuda) -> Result<()> {
    let much = Mat::<f64, Cuda>::zeros(cuda, 1 << 22, 1 << 22);
    assert!(matches!(much, Err(Error::OutOfMemory { .. })), "{much:?}");
    // The handle is as good as before.
    assert_eq!(Mat::<f64, Cuda>::zeros(cuda, 2, 2)?.to_vec()?, vec![0.0; 4]);
    Ok(())
}

/// Calls leave the context that was current on the thread, or none.
fn context_is_restored(cuda: &Cuda) -> Result<()> {
    let unchanged = || -> Result<Option<usize>> {
        let current = || result::ctx::get_current().unwrap().map(|context| context.addr());
        let before = current();
        let a = host(4, 4)?.to_device(cuda)?;
        cuda.max_abs(a.as_ref())?;
        drop(a);
        assert_eq!(current(), before);
        Ok(before)
    };
    assert!(unchanged()?.is_some());
    let elsewhere = std::thread::scope(|scope| scope.spawn(unchanged).join().unwrap())?;
    assert_eq!(elsewhere, None);
    Ok(())
}
