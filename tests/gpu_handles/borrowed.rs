//! What becomes of work and memory on a borrowed stream when the last handle on it goes.

use crate::captures::{capture, capture_by};
use crate::{host, live};
use cudarc::driver::{result, sys};
use randnla::{Blas, Cuda, Device, Mat, Op, Result, TransformKernels};

/// The last handle waits for what was issued on borrowed streams, which may be gone, and not for the whole
/// GPU: that is an error while anything is captured, and spoils it.
pub fn borrowed_streams_are_waited_for_alone(cuda: &Cuda) -> Result<()> {
    let (a, mut c) = (host(8, 8)?.to_device(cuda)?, Mat::<f64, Cuda>::zeros(cuda, 8, 8)?);
    let other = Cuda::new(0)?;
    let mut twice = Vec::new();
    let relaxed = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
    // SAFETY: `a` and `c` outlive the graph; the stream lives as long as a handle on it.
    let graph = unsafe {
        capture_by(relaxed, cuda, || {
            let stream = result::stream::create(result::stream::StreamKind::NonBlocking).unwrap();
            let borrowed = other.on_stream(stream.cast())?;
            let (again, b) = (borrowed.clone(), host(8, 8)?.to_device(&borrowed)?);
            let mut d = Mat::<f64, Cuda>::zeros(&borrowed, 8, 8)?;
            borrowed.axpby(2.0, b.as_ref(), 0.0, d.as_mut())?;
            twice = d.to_vec()?;
            // A handle after the last one has a lease of its own.
            drop((b, d, borrowed, again));
            drop(other.on_stream(stream.cast())?);
            result::stream::destroy(stream).unwrap();
            drop(other);
            cuda.axpby(2.0, a.as_ref(), 0.0, c.as_mut())
        })?
    };
    assert_eq!(graph.nodes(), 1);
    // SAFETY: as above.
    unsafe { graph.launch() };
    assert_eq!(c.to_vec()?, twice);
    graph.destroy();
    Ok(())
}

/// A stream of the framework, with a handle on it that nobody else has.
fn borrowed() -> Result<(Cuda, Cuda, sys::CUstream)> {
    let stream = result::stream::create(result::stream::StreamKind::NonBlocking).unwrap();
    let cuda = Cuda::new(0)?;
    // SAFETY: callers destroy the stream after the handle on it.
    let borrowed = unsafe { cuda.on_stream(stream.cast())? };
    Ok((cuda, borrowed, stream))
}

/// Work that nobody has waited for when the last handle on its stream goes is waited for before the
/// kernels and tables that it uses do, whether or not the stream still lives.
pub fn borrowed_stream_left_with_work() -> Result<()> {
    let (cuda, borrowed, stream) = borrowed()?;
    let (a, mut c) = (host(16, 16)?.to_device(&borrowed)?, Mat::zeros(&borrowed, 16, 16)?);
    borrowed.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut())?;
    borrowed.dct(Op::NoTrans, c.as_mut())?;
    drop((a, c, borrowed));
    // SAFETY: nobody uses the stream any more.
    unsafe { result::stream::destroy(stream).unwrap() };
    drop(cuda);
    // Errors of the GPU are those of every later call.
    result::ctx::synchronize().unwrap();
    Ok(())
}

/// Streams that come and go leave nothing behind: the next one has the handle of cuBLAS.
pub fn streams_that_come_and_go() -> Result<()> {
    let cuda = Cuda::new(0)?;
    let (a, mut alive) = (host(16, 16)?, Vec::new());
    let mut products = Vec::new();
    for _ in 0..3 {
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking).unwrap();
        // SAFETY: the stream is destroyed after the handle on it.
        let borrowed = unsafe { cuda.on_stream(stream.cast())? };
        let (x, mut y) = (a.to_device(&borrowed)?, Mat::<f64, Cuda>::zeros(&borrowed, 16, 16)?);
        borrowed.gemm(1.0, x.as_ref(), x.as_ref(), 0.0, y.as_mut())?;
        products.push(y.to_vec()?);
        // Work that nobody has waited for.
        borrowed.gram(x.as_ref(), y.as_mut())?;
        drop((x, y, borrowed));
        // SAFETY: nobody uses the stream any more.
        unsafe { result::stream::destroy(stream).unwrap() };
        alive.push(live());
    }
    assert!(alive.iter().all(|live| *live == alive[0]), "{alive:?}");
    assert!(products.iter().all(|product| *product == products[0]));
    drop(cuda);
    result::ctx::synchronize().unwrap();
    Ok(())
}

/// Memory that waits for the end of a capture is freed before the last handle on its stream goes, since
/// another stream may have its address later.
pub fn borrowed_stream_left_after_a_capture() -> Result<()> {
    let (cuda, borrowed, stream) = borrowed()?;
    let (before, a) = (live(), host(8, 8)?.to_device(&borrowed)?);
    // SAFETY: the graph has nothing in it.
    let graph = unsafe {
        capture(&borrowed, || {
            drop(a);
            Ok(())
        })?
    };
    graph.destroy();
    assert_eq!(live().map(|live| live[0]), before.map(|before| before[0] + 1));
    drop(borrowed);
    assert_eq!(live().map(|live| live[0]), before.map(|before| before[0]));
    // SAFETY: nobody uses the stream any more.
    unsafe { result::stream::destroy(stream).unwrap() };
    drop(cuda);
    result::ctx::synchronize().unwrap();
    Ok(())
}

/// A stream that is captured when its last handle goes cannot be asked for its end: the whole GPU is waited
/// for then, once the last handle on it goes, and what was dropped meanwhile is freed.
pub fn borrowed_stream_left_in_a_capture() -> Result<()> {
    for again in [false, true] {
        let outside = live();
        let (cuda, borrowed, stream) = borrowed()?;
        let (before, mut a) = (live(), host(8, 8)?.to_device(&borrowed)?);
        borrowed.scale(2.0, a.as_mut())?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream lives while there is a handle on it, and the graph has nothing in it.
        unsafe {
            result::stream::begin_capture(stream, mode).unwrap();
            drop((a, borrowed));
            let graph = result::stream::end_capture(stream).unwrap();
            result::graph::destroy(graph).unwrap();
            if again {
                // For all that is known it is a new stream, which has not waited for the old one.
                cuda.on_stream(stream.cast())?.synchronize()?;
                assert_eq!(live().map(|live| live[0]), before.map(|before| before[0] + 1));
            }
            result::stream::destroy(stream).unwrap();
        }
        drop(cuda);
        assert_eq!(live(), outside);
        result::ctx::synchronize().unwrap();
    }
    Ok(())
}
