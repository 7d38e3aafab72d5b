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
//! | `sparse`, `sort` | [`SparseKernels`](crate::SparseKernels): products of `cuda/sparse.cu`, lists turned by `cuda/sort.cu` |
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

mod blas;
mod cublas;
mod dense;
mod driver;
mod launch;
mod memory;
mod norms;
mod sketch;
mod sort;
mod sparse;
mod transform;

pub use memory::CudaBuffer;

use super::Device;
use crate::{Element, Error, MatRef, Result, Scalar};
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
    dense: Module,
    sort: Module,
    sparse: Module,
    transform: Module,
    fourier: Module,
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if let Ok(_current) = self.context.enter() {
            self.blas.unload();
            self.dense.unload();
            self.sort.unload();
            self.sparse.unload();
            self.transform.unload();
            self.fourier.unload();
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
    /// Retains the device's primary context, which frameworks share.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`](crate::Error::DeviceUnavailable) without a driver, or when driver
    /// or GPU are too old; [`Error::InvalidArgument`](crate::Error::InvalidArgument) when there are
    /// not that many GPUs.
    pub fn new(ordinal: usize) -> Result<Self> {
        let context = Context::retain(ordinal)?;
        let stream = {
            let _current = context.enter()?;
            Stream::new()?
        };
        let gpu = Gpu {
            context,
            blas: Module::new(include_str!("../../../cuda/ptx/blas.ptx")),
            dense: Module::new(include_str!("../../../cuda/ptx/dense.ptx")),
            sort: Module::new(include_str!("../../../cuda/ptx/sort.ptx")),
            sparse: Module::new(include_str!("../../../cuda/ptx/sparse.ptx")),
            transform: Module::new(include_str!("../../../cuda/ptx/transform.ptx")),
            fourier: Module::new(include_str!("../../../cuda/ptx/fourier.ptx")),
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
            if !self.is_compatible(other) {
                return Err(Error::DeviceMismatch { op: "Cuda", argument: "an operand" });
            }
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
fn rows_are_fast<T: Scalar>(a: MatRef<'_, T, Cuda>) -> bool {
    a.row_stride().unsigned_abs() <= a.col_stride().unsigned_abs() || a.ncols() <= 1
}

/// Whether neighbouring lanes that lie along the columns meet neighbouring entries.
fn lanes_along_columns<T: Scalar>(a: MatRef<'_, T, Cuda>) -> bool {
    let (rs, cs) = (a.row_stride().unsigned_abs(), a.col_stride().unsigned_abs());
    a.ncols() <= 1 || cs <= 1 || cs < rs
}
