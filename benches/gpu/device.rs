//! The GPU under measurement: its name, time between events, and the references, which are calls of the
//! driver and of cuBLAS.

use cudarc::cublas::{result as cublas, sys as blas};
use cudarc::driver::{result, sys};
use randnla::{Cuda, Device, Half, Mat, Storage};
use std::error::Error;
use std::ffi::c_void;

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Two sides that are timed in turn.
pub struct Pair {
    /// What the library does.
    pub ours: Box<dyn FnMut() -> Outcome>,
    /// What it is measured against.
    pub reference: Box<dyn FnMut() -> Outcome>,
}

/// GPU 0, whose primary context is current on this thread.
pub struct Gpu {
    pub cuda: Cuda,
    pub name: String,
    /// The version of CUDA that the driver is for.
    pub driver: String,
    start: sys::CUevent,
    end: sys::CUevent,
}

impl Gpu {
    pub fn new() -> Outcome<Self> {
        // Says what is missing, where cudarc would panic.
        let cuda = Cuda::new(0)?;
        let device = result::device::get(0)?;
        // SAFETY: the device exists; its context is retained until the process ends.
        unsafe { result::ctx::set_current(result::primary_ctx::retain(device)?)? };
        let mut version = 0;
        // SAFETY: writes one integer.
        unsafe { sys::cuDriverGetVersion(&mut version) }.result()?;
        let driver = format!("{}.{}", version / 1000, version % 1000 / 10);
        let event = || result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT);
        let (start, end) = (event()?, event()?);
        Ok(Self { cuda, name: result::device::get_name(device)?, driver, start, end })
    }

    /// Seconds of a call, the mean of `calls` between two events on the stream. Where a call waits for
    /// the GPU, or the host is slower than it, that is counted too.
    pub fn seconds(&self, calls: usize, work: &mut dyn FnMut() -> Outcome) -> Outcome<f64> {
        let stream = stream(&self.cuda);
        // SAFETY: events and stream live.
        unsafe { result::event::record(self.start, stream)? };
        for _ in 0..calls {
            work()?;
        }
        // SAFETY: as above; both events are recorded.
        let milliseconds = unsafe {
            result::event::record(self.end, stream)?;
            result::event::synchronize(self.end)?;
            result::event::elapsed(self.start, self.end)?
        };
        Ok(f64::from(milliseconds) * 1e-3 / calls as f64)
    }

    pub fn wait(&self) -> Outcome {
        Ok(self.cuda.synchronize()?)
    }
}

fn stream(cuda: &Cuda) -> sys::CUstream {
    cuda.raw_stream().cast()
}

/// Bytes from the first to the last entry, without the gap behind it.
fn bytes<T: Storage>(a: &Mat<T, Cuda>) -> usize {
    let view = a.as_ref();
    let last =
        (a.nrows() - 1) * view.row_stride() as usize + (a.ncols() - 1) * view.col_stride() as usize;
    (last + 1) * size_of::<T>()
}

/// Copies A to B, which was made the same way, with the copy of the driver.
pub fn copy<T: Storage>(a: &Mat<T, Cuda>, b: &mut Mat<T, Cuda>) -> Outcome {
    assert_eq!((a.shape(), bytes(a)), (b.shape(), bytes(b)));
    let (from, to) = (a.as_ref().as_ptr().addr() as u64, b.as_mut().as_mut_ptr().addr() as u64);
    // SAFETY: both hold as many bytes, and live until the stream has been waited for.
    unsafe { result::memcpy_dtod_async(to, from, bytes(a), stream(a.device()))? };
    Ok(())
}

/// Writes all of B with the fill of the driver.
pub fn clear<T: Storage>(b: &mut Mat<T, Cuda>) -> Outcome {
    let to = b.as_mut().as_mut_ptr().addr() as u64;
    // SAFETY: the matrix holds as many bytes.
    unsafe { result::memset_d8_async(to, 0, bytes(b), stream(b.device()))? };
    Ok(())
}

/// A type of halves as cuBLAS names it.
pub trait CublasHalf: Half {
    const TYPE: blas::cudaDataType;
}

impl CublasHalf for randnla::f16 {
    const TYPE: blas::cudaDataType = blas::cudaDataType::CUDA_R_16F;
}

impl CublasHalf for randnla::bf16 {
    const TYPE: blas::cudaDataType = blas::cudaDataType::CUDA_R_16BF;
}

/// Products of halves by cuBLAS.
pub struct HalfProducts(blas::cublasHandle_t);

impl HalfProducts {
    pub fn new(cuda: &Cuda) -> Outcome<Self> {
        let handle = Self(cublas::create_handle()?);
        // SAFETY: handle and stream live.
        unsafe { cublas::set_stream(handle.0, stream(cuda).cast())? };
        Ok(handle)
    }

    /// C ← A·B with sums in f32, all of them with neighbouring entries in columns.
    pub fn multiply<H: CublasHalf>(
        &self,
        a: &Mat<H, Cuda>,
        b: &Mat<H, Cuda>,
        c: &mut Mat<H, Cuda>,
    ) -> Outcome {
        assert_eq!((a.nrows(), b.ncols(), a.ncols()), (c.nrows(), c.ncols(), b.nrows()));
        let ld = |a: &Mat<H, Cuda>| a.as_ref().col_stride() as i32;
        let (m, n, k) = (a.nrows() as i32, b.ncols() as i32, a.ncols() as i32);
        let (one, zero, plain) = (1f32, 0f32, blas::cublasOperation_t::CUBLAS_OP_N);
        let factor = |x: &f32| core::ptr::from_ref(x).cast::<c_void>();
        let (ldc, to) = (ld(c), c.as_mut().as_mut_ptr());
        // SAFETY: shapes agree; the factors are read before the call returns.
        unsafe {
            cublas::gemm_ex(
                self.0,
                plain,
                plain,
                m,
                n,
                k,
                factor(&one),
                a.as_ref().as_ptr().cast(),
                H::TYPE,
                ld(a),
                b.as_ref().as_ptr().cast(),
                H::TYPE,
                ld(b),
                factor(&zero),
                to.cast(),
                H::TYPE,
                ldc,
                blas::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                blas::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )?;
        }
        Ok(())
    }
}

impl Drop for HalfProducts {
    fn drop(&mut self) {
        // SAFETY: made by `new`.
        let _ = unsafe { cublas::destroy_handle(self.0) };
    }
}
