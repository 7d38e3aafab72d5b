//! What handles share and refuse.

use super::*;
use crate::{Blas, Cpu, Mat, Op, Sketch, SketchKernels, TransformKernels};
use std::io::Write;

/// A new handle, or `None` where no GPU is at hand, which is said.
pub(super) fn gpu(test: &str) -> Option<Cuda> {
    match Cuda::new(0) {
        Ok(cuda) => Some(cuda),
        Err(Error::DeviceUnavailable { reason }) => {
            assert!(std::env::var_os("RNLA_REQUIRE_GPU").is_none(), "no GPU: {reason}");
            // Past what keeps the output of tests that pass from being shown.
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A handle that passes for one of another GPU.
fn other_gpu() -> Cuda {
    let mut other = Cuda::new(0).unwrap();
    Arc::get_mut(&mut other.gpu).unwrap().context.ordinal = 1;
    other
}

#[test]
fn gpu_operands_of_another_gpu_are_refused() {
    let Some(cuda) = gpu("operands of another GPU") else { return };
    let mismatch = |result: Result<()>, op, argument| {
        assert_eq!(result, Err(Error::DeviceMismatch { op, argument }));
    };
    let other = other_gpu();
    // SAFETY: the default stream of the primary context lives as long as the device.
    let defaults = [&cuda, &other].map(|cuda| unsafe { cuda.on_stream(core::ptr::null_mut()) });
    let [here, there] = defaults.map(Result::unwrap);
    assert_eq!(here.raw_stream(), there.raw_stream());
    for (here, there) in [(&cuda, &other), (&here, &there)] {
        let near = || Mat::<f64, Cuda>::zeros(here, 4, 4).unwrap();
        let far = || Mat::<f64, Cuda>::zeros(there, 4, 4).unwrap();
        let (a, b, mut c) = (near(), far(), near());
        mismatch(here.gemm(1.0, a.as_ref(), b.as_ref(), 0.0, c.as_mut()), "gemm", "B");
        mismatch(there.gemm(1.0, a.as_ref(), b.as_ref(), 0.0, c.as_mut()), "gemm", "A");
        mismatch(here.gram(a.as_ref(), far().as_mut()), "gram", "G");
        mismatch(here.axpby(1.0, b.as_ref(), 0.0, c.as_mut()), "axpby", "A");
        mismatch(here.max_abs(b.as_ref()).map(|_| ()), "max_abs", "A");
        mismatch(here.dct(Op::NoTrans, far().as_mut()), "dct", "A");
        let s = Sketch::gaussian(4, 4, 1).unwrap();
        mismatch(here.fill(&s, 1.0, far().as_mut()), "fill", "B");
        let done = here.fill_times(&s, Op::NoTrans, 1.0, b.as_ref(), 0.0, c.as_mut());
        mismatch(done, "fill_times", "A");
    }
}

#[test]
fn gpu_handles_on_one_stream_share_what_belongs_to_it() {
    let Some(cuda) = gpu("handles on one stream") else { return };
    let own = cuda.raw_stream();
    // SAFETY: both streams live as long as the handles.
    let on = |raw: *mut c_void| unsafe { cuda.on_stream(raw) };
    assert!(Arc::ptr_eq(&on(own).unwrap().queue, &cuda.queue));
    let first = on(core::ptr::null_mut()).unwrap();
    let a = Mat::<f64, Cuda>::zeros(&first, 3, 3).unwrap();
    let mut c = Mat::<f64, Cuda>::zeros(&first, 3, 3).unwrap();
    first.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut()).unwrap();
    // CU_STREAM_LEGACY is another name of the default stream.
    let again = on(core::ptr::without_provenance_mut(1)).unwrap();
    assert!(again.raw_stream().is_null() && Arc::ptr_eq(&again.queue, &first.queue));
    assert!(lock(&again.queue.cublas).is_some());
    assert_eq!(lock(&cuda.gpu.queues).len(), 2);
    drop((a, c, first, again));
    assert_eq!((lock(&cuda.gpu.queues).len(), lock(&cuda.gpu.idle).len()), (1, 1));
    let again = on(core::ptr::null_mut()).unwrap();
    let a = Mat::<f64, Cuda>::zeros(&again, 3, 3).unwrap();
    again.gram(a.as_ref(), Mat::zeros(&again, 3, 3).unwrap().as_mut()).unwrap();
    assert_eq!((lock(&cuda.gpu.queues).len(), lock(&cuda.gpu.idle).len()), (2, 0));
    let per_thread = on(core::ptr::without_provenance_mut(2));
    assert!(matches!(per_thread, Err(Error::InvalidArgument { argument: "stream", .. })));
}

#[test]
fn gpu_tables_of_a_transform_are_kept_and_serve_every_stream() {
    let Some(cuda) = gpu("tables of transforms") else { return };
    // SAFETY: the default stream of the primary context lives as long as the device.
    let other = unsafe { cuda.on_stream(core::ptr::null_mut()) }.unwrap();
    let host = Sketch::uniform(37, 3, 1).unwrap().to_mat::<f64, _>(&Cpu::new()).unwrap();
    let run = |cuda: &Cuda, op| {
        let mut a = host.to_device(cuda).unwrap();
        cuda.dct(op, a.as_mut()).unwrap();
        a.to_vec().unwrap()
    };
    let kept = || lock(&cuda.gpu.tables).len();
    let first = run(&cuda, Op::NoTrans);
    assert_eq!(kept(), 1);
    assert_eq!((run(&other, Op::NoTrans), run(&cuda, Op::NoTrans)), (first.clone(), first));
    assert_eq!(kept(), 1);
    run(&cuda, Op::Trans);
    assert_eq!(kept(), 2);
    lock(&cuda.gpu.tables).exhaust();
    assert_eq!(run(&cuda, Op::Trans), run(&other, Op::Trans));
    let single = host.to_device(&cuda).unwrap();
    let mut single = single.rows(0..36).to_owned().unwrap();
    cuda.dct(Op::NoTrans, single.as_mut()).unwrap();
    assert_eq!(kept(), 2);
}
