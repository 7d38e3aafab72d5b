//! Handles, streams and memory of a GPU. One test in a process of its own, since it counts what is
//! alive on the device.

use cudarc::driver::{result, sys};
use randnla::{Blas, Cpu, Cuda, Device, Error, Mat, MatRef, Result, Sketch};

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
        Ok(cuda) => run(cuda).unwrap(),
        Err(Error::DeviceUnavailable { reason }) => {
            assert!(std::env::var_os("RNLA_REQUIRE_GPU").is_none(), "no GPU: {reason}");
            eprintln!("SKIPPED gpu_handles: {reason}");
            return;
        }
        Err(error) => panic!("{error}"),
    }
    assert!(live().is_none_or(|live| live == [0, 0]), "{:?} alive", live());
}

fn run(cuda: Cuda) -> Result<()> {
    assert!(matches!(Cuda::new(1000), Err(Error::InvalidArgument { .. })));
    to_the_device_and_back(&cuda)?;
    two_streams(&cuda)?;
    captured(&cuda)?;
    streams_that_cannot_be_joined(&cuda)?;
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
    let default = unsafe { cuda.on_stream(core::ptr::null_mut()) };
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
    let stream: sys::CUstream = cuda.raw_stream().cast();
    let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL;
    // SAFETY: the stream lives, and what is captured outlives the graph.
    unsafe {
        result::stream::begin_capture(stream, mode).unwrap();
        cuda.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut())?;
        cuda.axpby(1.0, a.as_ref(), 1.0, c.as_mut())?;
        let refused = cuda.scale_columns(&[1.0; 16], c.as_mut());
        assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
        let graph = result::stream::end_capture(stream).unwrap();
        assert_eq!(c.to_vec()?, vec![0.0; 256], "a capture runs nothing");
        let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        let ready = result::graph::instantiate(graph, flags).unwrap();
        for _ in 0..2 {
            result::graph::launch(ready, stream).unwrap();
            assert_eq!(c.to_vec()?, expected);
        }
        result::graph::exec_destroy(ready).unwrap();
        result::graph::destroy(graph).unwrap();
    }
    Ok(())
}

/// A stream that captures cannot wait for what another one does outside of the capture, and a number
/// that is no stream cannot be waited for.
fn streams_that_cannot_be_joined(cuda: &Cuda) -> Result<()> {
    let other = Cuda::new(0)?;
    let (a, b) = (host(8, 8)?.to_device(cuda)?, host(8, 8)?.to_device(&other)?);
    let mut c = Mat::<f64, Cuda>::zeros(cuda, 8, 8)?;
    let refused = |result: Result<()>, reason: &str| {
        let clear = matches!(&result, Err(Error::DeviceFailure { call: "cuStreamWaitEvent", reason: r })
            if r.contains(reason));
        assert!(clear, "{result:?}");
    };
    let stream: sys::CUstream = cuda.raw_stream().cast();
    let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL;
    // SAFETY: the stream lives; the capture that this spoils is ended and thrown away.
    unsafe {
        result::stream::begin_capture(stream, mode).unwrap();
        let result = cuda.gemm(1.0, a.as_ref(), b.as_ref(), 0.0, c.as_mut());
        refused(result, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION");
        assert!(result::stream::end_capture(stream).is_err());
    }
    if live().is_some() {
        // A real driver may take any number for a stream's address and read there.
        // SAFETY: it is not: there is no such stream, and the simulator notices.
        let lost = unsafe { cuda.on_stream(0x5eed_usize as *mut core::ffi::c_void) };
        let view = a.as_ref();
        let (strides, shape) = ((view.row_stride(), view.col_stride()), view.shape());
        // SAFETY: the entries of A.
        let on_lost = unsafe { MatRef::from_raw_parts(&lost, view.as_ptr(), shape, strides) }?;
        refused(cuda.axpby(1.0, on_lost, 0.0, c.as_mut()), "CUDA_ERROR_INVALID_HANDLE");
    }
    // Both streams are as good as before.
    cuda.gemm(1.0, a.as_ref(), b.as_ref(), 0.0, c.as_mut())
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
    let before = result::ctx::get_current().unwrap();
    let a = host(4, 4)?.to_device(cuda)?;
    cuda.max_abs(a.as_ref())?;
    drop(a);
    assert_eq!(result::ctx::get_current().unwrap(), before);
    Ok(())
}
