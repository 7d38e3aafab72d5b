//! What graphs hold, what is refused while one is captured, and what goes on beside a capture.

use crate::{host, live};
use cudarc::driver::{result, sys};
use randnla::{Blas, Cuda, Device, Error, Mat, Op, Result, TransformKernels};

/// Products and copies are recorded into a graph and run when it is launched; what would read host
/// memory later is refused.
pub fn captured(cuda: &Cuda) -> Result<()> {
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
pub struct Captured {
    graph: sys::CUgraph,
    ready: sys::CUgraphExec,
    stream: sys::CUstream,
}

/// Captures what `calls` issue on the stream of `cuda`.
///
/// # Safety
/// What they use outlives the graph.
pub unsafe fn capture(cuda: &Cuda, calls: impl FnOnce() -> Result<()>) -> Result<Captured> {
    // SAFETY: the caller's promise.
    unsafe { capture_by(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL, cuda, calls) }
}

/// The same in a mode of capture.
///
/// # Safety
/// As for `capture`.
pub unsafe fn capture_by(
    mode: sys::CUstreamCaptureMode,
    cuda: &Cuda,
    calls: impl FnOnce() -> Result<()>,
) -> Result<Captured> {
    let stream: sys::CUstream = cuda.raw_stream().cast();
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
    pub fn nodes(&self) -> usize {
        let mut nodes = 0;
        // SAFETY: the graph lives; its nodes are counted only.
        unsafe { sys::cuGraphGetNodes(self.graph, core::ptr::null_mut(), &mut nodes) }
            .result()
            .unwrap();
        nodes
    }

    /// # Safety
    /// What was captured still lives.
    pub unsafe fn launch(&self) {
        // SAFETY: graph and stream live, and the caller's promise.
        unsafe { result::graph::launch(self.ready, self.stream).unwrap() };
    }

    pub fn destroy(self) {
        // SAFETY: nobody uses the graph any more.
        unsafe {
            result::graph::exec_destroy(self.ready).unwrap();
            result::graph::destroy(self.graph).unwrap();
        }
    }
}

/// A graph must not free memory that it has not allocated, and the memory is not lost.
pub fn dropped_in_a_capture(cuda: &Cuda) -> Result<()> {
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
pub fn waiting_in_a_capture(cuda: &Cuda) -> Result<()> {
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
pub fn transforms_in_a_capture(cuda: &Cuda) -> Result<()> {
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
pub fn first_calls_are_captured() -> Result<()> {
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

/// cuBLAS makes its handle with the first product on a stream: refused in a capture, which goes on.
pub fn first_product_in_a_capture() -> Result<()> {
    let cuda = Cuda::new(0)?;
    let (a, mut c) = (host(16, 16)?.to_device(&cuda)?, Mat::<f64, Cuda>::zeros(&cuda, 16, 16)?);
    // SAFETY: what is captured outlives the graph.
    let graph = unsafe {
        capture(&cuda, || {
            let refused = cuda.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut());
            let clear = matches!(&refused, Err(Error::Unsupported { op: "gemm", what })
                if what.contains("first product"));
            assert!(clear, "{refused:?}");
            let refused = cuda.gram(a.as_ref(), c.as_mut());
            assert!(matches!(refused, Err(Error::Unsupported { op: "gram", .. })), "{refused:?}");
            cuda.axpby(1.0, a.as_ref(), 0.0, c.as_mut())
        })?
    };
    assert_eq!(graph.nodes(), 1);
    // SAFETY: as above.
    unsafe { graph.launch() };
    assert_eq!(c.to_vec()?, a.to_vec()?);
    graph.destroy();
    cuda.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut())
}

/// Handles are made and dropped, and first products issued, beside a capture that forbids calls that block
/// to every thread.
pub fn handles_beside_a_capture(cuda: &Cuda) -> Result<()> {
    let (a, before) = (host(8, 8)?.to_device(cuda)?, live());
    let mut c = Mat::<f64, Cuda>::zeros(cuda, 8, 8)?;
    let beside = || -> Result<Mat<f64, Cuda>> {
        let other = Cuda::new(0)?;
        let mut x = host(8, 8)?.to_device(&other)?;
        other.scale(2.0, x.as_mut())?;
        drop((x, other));
        let other = Cuda::new(0)?;
        let (x, mut y) = (host(8, 8)?.to_device(&other)?, Mat::zeros(&other, 8, 8)?);
        other.gemm(1.0, x.as_ref(), x.as_ref(), 0.0, y.as_mut())?;
        Ok(y)
    };
    let mut made = Vec::new();
    // SAFETY: `a` and `c` outlive the graph.
    let graph = unsafe {
        capture(cuda, || {
            made.push(beside()?);
            made.push(std::thread::scope(|scope| scope.spawn(beside).join().unwrap())?);
            cuda.axpby(2.0, a.as_ref(), 0.0, c.as_mut())
        })?
    };
    assert_eq!(graph.nodes(), 1);
    // SAFETY: as above.
    unsafe { graph.launch() };
    let expected: Vec<f64> = a.to_vec()?.iter().map(|x| 2.0 * x).collect();
    assert_eq!(c.to_vec()?, expected);
    graph.destroy();
    assert_eq!(made[0].to_vec()?, made[1].to_vec()?);
    cuda.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut())?;
    assert_eq!(made[0].to_vec()?, c.to_vec()?);
    drop((made, c));
    assert_eq!(live(), before);
    Ok(())
}

/// A stream that captures cannot wait for what another one does outside of the capture, nor the other
/// for it: refused before anything is recorded, and the capture goes on.
pub fn streams_that_cannot_be_joined(cuda: &Cuda) -> Result<()> {
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
pub fn streams_of_one_capture(cuda: &Cuda) -> Result<()> {
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
pub fn default_stream_beside_a_capture() -> Result<()> {
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
