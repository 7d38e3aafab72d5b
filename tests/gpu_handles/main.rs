//! Handles, streams and memory of a GPU. One test in a process of its own, since it counts what is
//! alive on the device.

mod borrowed;
mod captures;
#[path = "../hardware/gpu.rs"]
mod shared;

use borrowed::*;
use captures::*;
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
    let Some(cuda) = shared::gpu("gpu_handles") else { return };
    {
        // The calls to the driver in these tests need a context, as those of a framework do.
        let _current = Primary::enter();
        run(cuda).unwrap();
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
    first_product_in_a_capture()?;
    handles_beside_a_capture(&cuda)?;
    borrowed_streams_are_waited_for_alone(&cuda)?;
    borrowed_stream_left_with_work()?;
    streams_that_come_and_go()?;
    borrowed_stream_left_after_a_capture()?;
    borrowed_stream_left_in_a_capture()?;
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
