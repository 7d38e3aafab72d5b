//! NVIDIA GPUs: our own kernels, and cuBLAS for products (feature `cuda`).
//!
//! The driver and cuBLAS are loaded at run time, so the crate builds and links with no CUDA on the
//! machine; without a driver, [`Cuda::new`] returns
//! [`Error::DeviceUnavailable`](crate::Error::DeviceUnavailable). A driver for CUDA 12.0 or later and
//! a GPU of compute capability 8.0 or later are needed, and nothing of the toolkit but cuBLAS.
//!
//! | file | what |
//! |---|---|
//! | `driver` | the driver API: primary context, streams, events |
//! | `memory` | device memory in the order of a stream |
//! | `launch` | how kernels are found and launched |
//! | `blas`, `cublas`, `norms` | [`Blas`](crate::Blas): kernels of `cuda/blas.cu`, products by cuBLAS |
//! | `sketch`, `dense` | [`SketchKernels`](crate::SketchKernels): entries and fused products of `cuda/dense.cu` |
//! | `rows` | row-sparse operators made on the GPU, sparse matrices made dense: `cuda/rows.cu` |
//! | `sparse`, `sort` | [`SparseKernels`](crate::SparseKernels): products of `cuda/sparse.cu`, lists turned by `cuda/sort.cu` |
//! | `block_perm` | BlockPerm-SJLT, `cuda/block_perm.cu` |
//! | `half` | [`HalfKernels`](crate::HalfKernels): matrices stored in `f16` and `bf16`, `cuda/half.cu`, `cuda/half_dense.cu` |
//! | `transform` | [`TransformKernels`](crate::TransformKernels): `cuda/transform.cu`, `cuda/fourier.cu` |
//!
//! # Streams
//! A handle issues its work on one stream: one of its own ([`Cuda::new`]) or one that a framework
//! owns ([`Cuda::on_stream`]). Matrices belong to a handle. Two handles on one GPU work together: the
//! stream that computes waits, by an event and not by blocking the host, for the streams of its
//! operands, and these wait for it before they reuse the memory. Two GPUs do not:
//! [`Error::DeviceMismatch`](crate::Error::DeviceMismatch).
//!
//! # Synchronisation
//! Kernels, products and copies to the device are issued and not waited for. What returns numbers to
//! the host waits: norms, searches, copies to the host. Sketches and products use none of them, so
//! they can be captured in a CUDA graph.
//!
//! # What a graph can hold
//! Kernels are loaded by [`Cuda::new`], so the first call of any may be captured. cuBLAS makes its
//! handle at the first product of a handle, which must come before a capture.
//!
//! | captured | refused, [`Error::Unsupported`](crate::Error::Unsupported), since the graph would read memory of the host later |
//! |---|---|
//! | `apply…` and `apply…_into` of every family on dense, CSR and CSC matrices, [`TensorSketch`](crate::TensorSketch), `sketch_axis`, `prepare`, `to_csr`, but for Haar | unprepared Haar: S is made on the host; prepare it before |
//! | an operator that was prepared before, Haar too | |
//! | `gemm`, `gemm_batched`, `gram`, `trsm_right`, `scale`, `axpby` | `scale_columns`, `gather_rows`, `scatter_rows`: factors and indices of the host |
//! | `fill`, `fill_times`, `fwht`, `dct`, `mix_times`, `convolve` | `to_mat` of transforms and TensorSketch: from a matrix of the host |
//! | `spmm`, `spspmm`, `expand`, `compressed` | matrices from data of the host, `upload` |
//!
//! What waits, norms and searches, decompositions and solvers with them, cannot be captured. Results
//! that a captured call allocates belong to the graph: `…_into` a matrix of before is the form that
//! serves.

mod blas;
mod block_perm;
mod cublas;
mod dense;
mod driver;
mod half;
mod launch;
mod memory;
mod norms;
mod permutation;
mod rows;
mod sketch;
mod sort;
mod sparse;
mod transform;

pub use memory::CudaBuffer;

use super::Device;
use crate::{Element, MatRef, Result, Scalar, Storage};
use core::ffi::c_void;
use core::fmt;
use cublas::Cublas;
use driver::{Context, Current, Stream};
use launch::Module;
use std::sync::{Arc, Mutex};

/// A GPU and the stream that calls use. A cheap handle, passed by clone.
#[derive(Clone)]
pub struct Cuda {
    gpu: Arc<Gpu>,
    queue: Arc<Queue>,
}

/// What all handles on one GPU share.
struct Gpu {
    context: Context,
    blas: Module,
    block_perm: Module,
    dense: Module,
    rows: Module,
    half: Module,
    half_dense: Module,
    sort: Module,
    sparse: Module,
    transform: Module,
    fourier: Module,
}

impl Gpu {
    fn modules(&self) -> [&Module; 10] {
        [
            &self.blas,
            &self.block_perm,
            &self.dense,
            &self.rows,
            &self.half,
            &self.half_dense,
            &self.sort,
            &self.sparse,
            &self.transform,
            &self.fourier,
        ]
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if let Ok(_current) = self.context.enter() {
            self.modules().into_iter().for_each(Module::unload);
        }
    }
}

/// A stream and what works on it.
struct Queue {
    stream: Stream,
    /// Made when the first product is issued; a handle of cuBLAS serves one thread at a time.
    cublas: Mutex<Option<Cublas>>,
    gpu: Arc<Gpu>,
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Ok(_current) = self.gpu.context.enter() {
            let cublas = self.cublas.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
            drop(cublas.take());
            self.stream.destroy();
        }
    }
}

impl Cuda {
    /// GPU `ordinal` with a stream of its own.
    ///
    /// Retains the device's primary context, which frameworks share, and loads all kernels, so that
    /// the first call of any can be captured in a graph: the driver loads none during a capture. It
    /// compiles them for the GPU the first time, which takes seconds, and keeps them in its cache.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`](crate::Error::DeviceUnavailable) without a driver, or when driver
    /// or GPU are too old; [`Error::InvalidArgument`](crate::Error::InvalidArgument) when there are
    /// not that many GPUs.
    pub fn new(ordinal: usize) -> Result<Self> {
        let gpu = Gpu {
            context: Context::retain(ordinal)?,
            blas: Module::new(include_str!("../../../cuda/ptx/blas.ptx")),
            block_perm: Module::new(include_str!("../../../cuda/ptx/block_perm.ptx")),
            dense: Module::new(include_str!("../../../cuda/ptx/dense.ptx")),
            rows: Module::new(include_str!("../../../cuda/ptx/rows.ptx")),
            half: Module::new(include_str!("../../../cuda/ptx/half.ptx")),
            half_dense: Module::new(include_str!("../../../cuda/ptx/half_dense.ptx")),
            sort: Module::new(include_str!("../../../cuda/ptx/sort.ptx")),
            sparse: Module::new(include_str!("../../../cuda/ptx/sparse.ptx")),
            transform: Module::new(include_str!("../../../cuda/ptx/transform.ptx")),
            fourier: Module::new(include_str!("../../../cuda/ptx/fourier.ptx")),
        };
        let stream = {
            let _current = gpu.context.enter()?;
            gpu.modules().into_iter().try_for_each(Module::load)?;
            Stream::new()?
        };
        Ok(Self::with_stream(Arc::new(gpu), stream))
    }

    /// The same GPU with somebody else's stream: a `CUstream`, or null for the default one.
    ///
    /// Loaded kernels are shared with this handle. The stream is not destroyed.
    ///
    /// # Safety
    /// The stream must belong to the primary context of this GPU and outlive the handle, its clones
    /// and the matrices on them.
    pub unsafe fn on_stream(&self, stream: *mut c_void) -> Self {
        Self::with_stream(self.gpu.clone(), Stream::borrowed(stream))
    }

    fn with_stream(gpu: Arc<Gpu>, stream: Stream) -> Self {
        let queue = Queue { stream, cublas: Mutex::new(None), gpu: gpu.clone() };
        Self { gpu, queue: Arc::new(queue) }
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

    /// Waits for the streams of the operands; the guard makes them wait in turn for what has been
    /// issued meanwhile.
    fn join<'a>(&'a self, operands: &[&'a Cuda]) -> Result<Joined<'a>> {
        let mut others: Vec<&Cuda> = Vec::new();
        for &other in operands {
            let known = |known: &&Cuda| Arc::ptr_eq(&known.queue, &other.queue);
            if !Arc::ptr_eq(&self.queue, &other.queue) && !others.iter().any(known) {
                others.push(other);
            }
        }
        if !others.is_empty() {
            let _current = self.enter()?;
            others.iter().try_for_each(|other| self.stream().wait_for(other.stream()))?;
        }
        Ok(Joined { cuda: self, others })
    }
}

/// Streams that have been joined for a call.
struct Joined<'a> {
    cuda: &'a Cuda,
    others: Vec<&'a Cuda>,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        if self.others.is_empty() {
            return;
        }
        let Ok(_current) = self.cuda.enter() else { return };
        for other in &self.others {
            // A failure is the context's, and shows in the next call.
            let _ = other.stream().wait_for(self.cuda.stream());
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

    fn is_compatible(&self, other: &Self) -> bool {
        self.ordinal() == other.ordinal()
    }

    fn synchronize(&self) -> Result<()> {
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
