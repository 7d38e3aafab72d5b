//! NVIDIA GPUs: our own kernels, and cuBLAS for products (feature `cuda`).
//!
//! The driver and cuBLAS are loaded at run time, so the crate builds and links with no CUDA on the
//! machine; without a driver, [`Cuda::new`] returns
//! [`Error::DeviceUnavailable`]. A driver for CUDA 12.0 or later and
//! a GPU of compute capability 8.0 or later are needed, and nothing of the toolkit but cuBLAS, and NVRTC
//! with the feature `nvrtc`.
//!
//! | file | what |
//! |---|---|
//! | `driver` | the driver API: primary context, streams, events |
//! | `gpu` | what the handles on a GPU share |
//! | `queue`, `join` | what is kept for a stream; operands on several streams |
//! | `memory` | device memory in the order of a stream, and its pool |
//! | `shipped`, `nvrtc` | the PTX of the kernels: what ships, or compiled for the GPU at hand (feature `nvrtc`) |
//! | `launch` | how kernels are found and launched |
//! | `blas`, `norms`, `product`, `cublas` | [`Blas`](crate::Blas): kernels of `cuda/blas.cu` and `cuda/norms.cu`, products by cuBLAS |
//! | `sketch`, `dense` | [`SketchKernels`](crate::SketchKernels): entries and fused products of `cuda/dense.cu` |
//! | `rows` | row-sparse operators made on the GPU, sparse matrices made dense: `cuda/rows.cu` |
//! | `sparse`, `sort` | [`SparseKernels`](crate::SparseKernels): products of `cuda/sparse.cu`, lists turned by `cuda/sort.cu` |
//! | `block_perm` | BlockPerm-SJLT, `cuda/block_perm.cu` |
//! | `half` | [`HalfKernels`](crate::HalfKernels): matrices stored in `f16` and `bf16`, `cuda/half.cu`, `cuda/half_dense.cu` |
//! | `transform` | [`TransformKernels`](crate::TransformKernels): `cuda/transform.cu`, `cuda/fourier.cu` |
//!
//! # Handles
//! One [`Cuda::new`] a GPU and process is enough: each compiles the kernels for the GPU (the driver keeps
//! what it compiled in a cache on disk), and has a stream and a pool of memory of its own. Clones are
//! free, and so are further streams by [`Cuda::on_stream`], but for a handle of cuBLAS, megabytes, when the
//! first product is issued on one; it serves the next stream when the last handle on this one is gone.
//! Everything is kept until the last clone, matrix and stream
//! handle is gone. Then what they have issued is waited for, on a borrowed stream what it had been given when
//! the last handle on it went; the whole GPU, if cuBLAS was used, or if that stream was captured just then.
//! Up to 512 MiB of freed memory are kept for what comes next; [`Cuda::trim`] gives them
//! back.
//!
//! # Streams
//! A handle issues its work on one stream: one of its own ([`Cuda::new`]) or one that a framework
//! owns ([`Cuda::on_stream`]). Matrices belong to a handle. Two handles on one GPU work together: the
//! stream that computes waits, by an event and not by blocking the host, for the streams of its
//! operands, and these wait for it before they reuse the memory. Two GPUs do not:
//! [`Error::DeviceMismatch`].
//!
//! The default stream, a null handle, is the legacy one, which waits for all blocking streams and they for
//! it. `CU_STREAM_PER_THREAD` is refused: it means another stream on each thread, and matrices may be
//! used and dropped on any.
//!
//! # Synchronisation
//! Kernels and products are issued and not waited for. What returns numbers to the host waits: norms,
//! searches, copies to the host. Sketches and products use none of them, so they can be captured in a
//! CUDA graph. A call that finds no memory waits for the stream, which may free some, and tries again.
//!
//! A copy to the device returns when the memory of the host may be used again; how long that takes is the
//! driver's affair. From page-locked memory, which the GPU reads in place, the stream is waited for. From
//! pageable memory the driver stages the copy and may wait for the stream too: matrices from data of the
//! host, `upload`, and the indices and factors of `gather_rows`, `scatter_rows` and `scale_columns`. Their
//! results are the same either way.
//!
//! # What a graph can hold
//! What is called while the stream is captured is recorded, and memory that the calls allocate belongs to
//! the graph: `…_into` a matrix of before is the form that serves. Handles and operands must outlive the
//! graph, since it keeps their addresses. Memory of before that is dropped meanwhile is freed with the
//! first call after it; with the last handle on the GPU, if the last one on a borrowed stream goes meanwhile
//! too. cuBLAS makes its handle with the first product on a stream, which is refused in a
//! capture: issue one before. Operands may be on other streams if these take part in the same capture.
//! Refused calls return [`Error::Unsupported`], and the capture goes on.
//!
//! A matrix made while a graph is captured is memory of the graph, and lives as long: drop it before the graph
//! is destroyed. Products may allocate in the graph too, what cuBLAS works in. A graph with memory of its own
//! has one instantiation at a time, cannot be cloned, and may be refused as part of another graph; these are
//! CUDA's rules.
//!
//! | captured | refused, since the graph would read memory of the host later |
//! |---|---|
//! | `apply…` and `apply…_into` of every family on dense, CSR and CSC matrices, [`TensorSketch`](crate::TensorSketch), `sketch_axis`, `prepare`, `to_csr`, but for Haar | unprepared Haar: S is made on the host; prepare it before |
//! | an operator that was prepared before, Haar too | |
//! | `gemm`, `gemm_batched`, `gram`, `trsm_right`, `scale`, `axpby` | `scale_columns`, `gather_rows`, `scatter_rows`: factors and indices of the host |
//! | `fill`, `fill_times`, `fwht`, `dct`, `mix_times`, `convolve` | `to_mat` of transforms and TensorSketch: from a matrix of the host |
//! | `spmm`, `spspmm`, `expand`, `compressed` | matrices from data of the host, `upload` |
//!
//! What waits, norms and searches, decompositions and solvers with them, cannot be captured.
//!
//! # Beside a capture
//! While another stream is captured, here or by another library, in whatever mode and on whatever thread,
//! handles may be made and dropped, matrices allocated and freed, and work issued on streams that take no
//! part in it. What waits spoils a capture in CUDA's default, global mode, as every call does that waits. To
//! drop the last handle on a GPU after a product spoils a capture in any mode, since cuBLAS waits for the
//! whole GPU then; so it does if the last handle on a borrowed stream went while that was captured.
//!
//! # Reproducibility
//! Operators have the same bits on every device. Results are the same bits from run to run on one model of
//! GPU; models differ, since cuBLAS chooses its kernels by the model and panels of S fill half of its
//! level-2 cache. They agree within the rounding bound.

mod blas;
mod block_perm;
mod cublas;
mod dense;
mod driver;
mod gpu;
mod half;
mod join;
mod launch;
mod memory;
mod norms;
#[cfg(feature = "nvrtc")]
mod nvrtc;
mod permutation;
mod product;
mod queue;
mod rows;
#[cfg(not(feature = "nvrtc"))]
mod shipped;
mod sketch;
mod sort;
mod sparse;
mod transform;

pub use memory::CudaBuffer;

use super::Device;
use crate::{Element, Error, MatRef, Result, Scalar, Storage};
use core::ffi::c_void;
use core::fmt;
use driver::{Context, Current, Stream};
use gpu::Gpu;
use memory::Reach;
use queue::{Lease, Queue};
use std::sync::{Arc, Mutex, MutexGuard};

/// A GPU and the stream that calls use. A cheap handle, passed by clone.
#[derive(Clone)]
pub struct Cuda {
    gpu: Arc<Gpu>,
    queue: Arc<Queue>,
    /// Of a borrowed stream.
    _lease: Option<Arc<Lease>>,
}

/// Waits for a mutex; what it guards is whole after a panic too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Cuda {
    /// GPU `ordinal` with a stream of its own.
    ///
    /// Retains the device's primary context, which frameworks share, and loads all kernels, so that
    /// the first call of any can be captured in a graph, whatever `CUDA_MODULE_LOADING` says: the driver
    /// may load none during a capture. It compiles them for the GPU the first time, which takes seconds,
    /// and keeps them in its cache.
    ///
    /// With the feature `nvrtc`, the first handle of a process compiles the kernels from source for the
    /// compute capability of its GPU, ten seconds more; later ones use the same PTX. Operators have the
    /// same bits.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] without a driver, or when driver
    /// or GPU are too old; with the feature `nvrtc`, without NVRTC of CUDA 12.0 or later, or when it is
    /// newer than the driver. [`Error::InvalidArgument`] when there are
    /// not that many GPUs.
    pub fn new(ordinal: usize) -> Result<Self> {
        let context = Context::retain(ordinal)?;
        #[cfg(feature = "nvrtc")]
        let ptx = &*nvrtc::compiled(&context)?;
        #[cfg(not(feature = "nvrtc"))]
        let ptx = &shipped::PTX;
        Self::with_ptx(context, ptx)
    }

    /// A handle with the kernels of this PTX, which is by file.
    fn with_ptx<S: AsRef<str>>(context: Context, ptx: &[(&'static str, S)]) -> Result<Self> {
        let (gpu, queue) = Gpu::new(context, ptx)?;
        Ok(Self { gpu: Arc::new(gpu), queue, _lease: None })
    }

    /// The same GPU with somebody else's stream: a `CUstream`, or null for the default one.
    ///
    /// Kernels, and what was made for the stream before, are shared with this handle. The stream is not
    /// destroyed.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a stream of another context, another GPU's for instance, and for
    /// `CU_STREAM_PER_THREAD`.
    ///
    /// # Safety
    /// The stream must live, and outlive the handle, its clones and the matrices on them.
    pub unsafe fn on_stream(&self, stream: *mut c_void) -> Result<Self> {
        let _current = self.enter()?;
        let (queue, lease) = self.gpu.borrow(Stream::borrowed(self.context(), stream)?)?;
        Ok(Self { gpu: self.gpu.clone(), queue, _lease: lease })
    }

    /// The number of the GPU.
    pub fn ordinal(&self) -> usize {
        self.gpu.context.ordinal
    }

    /// The `CUstream` that calls are issued on.
    pub fn raw_stream(&self) -> *mut c_void {
        self.queue.stream.raw().cast()
    }

    fn context(&self) -> &Context {
        &self.gpu.context
    }

    fn stream(&self) -> &Stream {
        &self.queue.stream
    }

    fn enter(&self) -> Result<Current> {
        self.gpu.context.enter()
    }

    /// The number of the capture that calls are recorded in, if they are. The context is current.
    fn capture(&self) -> Result<Option<u64>> {
        self.queue.capture(self.context())
    }

    /// An error while a graph is captured, for what cannot be part of one.
    fn refuse_capture(&self, op: &'static str, what: &str) -> Result<()> {
        let _current = self.enter()?;
        match self.capture()? {
            None => Ok(()),
            Some(_) => {
                let what = format!("{what} while a graph is captured");
                Err(Error::Unsupported { op, what })
            }
        }
    }
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cuda({}, stream {:p})", self.ordinal(), self.raw_stream())
    }
}

impl Device for Cuda {
    type Buffer<E: Element> = CudaBuffer<E>;

    fn zeroed<E: Element>(&self, len: usize) -> Result<CudaBuffer<E>> {
        let mut buffer = CudaBuffer::new(self, len)?;
        buffer.clear()?;
        Ok(buffer)
    }

    fn scratch<E: Element>(&self, len: usize) -> Result<CudaBuffer<E>> {
        CudaBuffer::new(self, len)
    }

    fn as_ptr<E: Element>(buffer: &CudaBuffer<E>) -> *const E {
        core::ptr::without_provenance(buffer.start() as usize)
    }

    fn as_mut_ptr<E: Element>(buffer: &mut CudaBuffer<E>) -> *mut E {
        core::ptr::without_provenance_mut(buffer.start() as usize)
    }

    fn upload<E: Element>(&self, host: &[E], buffer: &mut CudaBuffer<E>) -> Result<()> {
        buffer.write(host)
    }

    fn download<E: Element>(&self, buffer: &CudaBuffer<E>, host: &mut [E]) -> Result<()> {
        buffer.read(host)
    }

    unsafe fn download_from<E: Element>(&self, start: *const E, host: &mut [E]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.read(start.addr() as u64, host) }
    }

    fn check_memory(
        &self,
        op: &'static str,
        argument: &'static str,
        start: *const (),
    ) -> Result<()> {
        let _current = self.enter()?;
        match memory::reach(self.context(), start.addr() as u64)? {
            Reach::Here => Ok(()),
            Reach::OtherGpu => Err(Error::DeviceMismatch { op, argument }),
            Reach::Host => {
                let (value, gpu) = (format!("{start:p}, memory of the host"), self.ordinal());
                Err(Error::invalid(op, argument, value, format!("memory that GPU {gpu} can use")))
            }
        }
    }

    fn is_compatible(&self, other: &Self) -> bool {
        self.ordinal() == other.ordinal()
    }

    fn synchronize(&self) -> Result<()> {
        self.refuse_capture("synchronize", "waiting for the GPU")?;
        let _current = self.enter()?;
        self.stream().synchronize()
    }
}

/// A scalar of kernels: which of two instantiations is launched.
trait CudaScalar: Scalar + cublas::Products {
    /// The kernel for this type of the names for `f32` and `f64`.
    fn kernel(names: [&'static str; 2]) -> &'static str;
}

impl CudaScalar for f32 {
    fn kernel([f32, _]: [&'static str; 2]) -> &'static str {
        f32
    }
}

impl CudaScalar for f64 {
    fn kernel([_, f64]: [&'static str; 2]) -> &'static str {
        f64
    }
}

/// Whether rows are the fast direction, where one is.
fn rows_are_fast<T: Storage>(a: MatRef<'_, T, Cuda>) -> bool {
    a.row_stride().unsigned_abs() <= a.col_stride().unsigned_abs() || a.ncols() <= 1
}

/// Whether neighbouring lanes that lie along the columns meet neighbouring entries.
fn lanes_along_columns<T: Storage>(a: MatRef<'_, T, Cuda>) -> bool {
    let (rs, cs) = (a.row_stride().unsigned_abs(), a.col_stride().unsigned_abs());
    a.ncols() <= 1 || cs <= 1 || cs < rs
}

#[cfg(test)]
mod tests;
