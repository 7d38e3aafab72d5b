//! Device memory that belongs to a stream, and the pool that it comes from.

use super::Cuda;
use super::driver::{Context, Relaxed, Stream, explain};
use crate::{Element, Error, Result};
use core::ffi::c_void;
use core::marker::PhantomData;
use cudarc::driver::sys::CUdeviceptr;
use cudarc::driver::{result, sys};

/// Bytes of freed memory that a pool keeps for what comes next. The scratch memory of calls in a loop
/// fits in it; more goes back to the driver at a synchronisation, for the other allocators of the GPU, and
/// all of it by [`Cuda::trim`].
const KEPT_BYTES: u64 = 512 << 20;

/// A pool of memory of our own: the default one belongs to frameworks too, and gives everything back at
/// each synchronisation.
#[derive(Debug)]
pub(super) struct Pool(sys::CUmemoryPool);

// SAFETY: pools may be used from any thread; the driver locks.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

/// `CUmemPoolProps`, of which cudarc has one for every version of CUDA; what is reserved is zero.
#[repr(C)]
struct PoolProperties {
    allocation: sys::CUmemAllocationType,
    handles: u32,
    location: sys::CUmemLocationType,
    device: i32,
    reserved: [u64; 9],
}

impl Pool {
    /// A pool on the GPU of the context, which is current.
    pub(super) fn new(context: &Context) -> Result<Self> {
        let properties = PoolProperties {
            allocation: sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED,
            handles: 0,
            location: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            device: context.ordinal as i32,
            reserved: [0; 9],
        };
        const { assert!(size_of::<PoolProperties>() == size_of::<sys::CUmemPoolProps>()) };
        // SAFETY: the layout is that of the driver.
        let pool = unsafe { result::mem_pool::create((&raw const properties).cast()) }
            .map_err(|error| explain("cuMemPoolCreate", error, 0))?;
        let (pool, mut kept) = (Self(pool), KEPT_BYTES);
        let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the attribute is a 64-bit number.
        match unsafe { result::mem_pool::set_attribute(pool.0, threshold, (&raw mut kept).cast()) }
        {
            Ok(()) => Ok(pool),
            Err(error) => {
                pool.destroy();
                Err(explain("cuMemPoolSetAttribute", error, 0))
            }
        }
    }

    /// Memory in the order of the stream.
    fn allocate(&self, stream: &Stream, bytes: usize) -> Result<CUdeviceptr> {
        // SAFETY: pool and stream live; the memory is plain numbers.
        unsafe { result::mem_pool::alloc_async(self.0, bytes, stream.raw()) }
            .map_err(|error| explain("cuMemAllocFromPoolAsync", error, bytes))
    }

    /// Gives what it keeps and nobody uses back to the driver. Memory that was freed on a stream is still
    /// in use until the stream gets there.
    pub(super) fn trim(&self) -> Result<()> {
        // SAFETY: the pool lives.
        unsafe { result::mem_pool::trim_to(self.0, 0) }
            .map_err(|error| explain("cuMemPoolTrimTo", error, 0))
    }

    /// Gives the pool and what it keeps back.
    pub(super) fn destroy(self) {
        // SAFETY: created by `new`. A failure has no one to be told to.
        let _ = unsafe { result::mem_pool::destroy(self.0) };
    }
}

/// Frees memory in the order of the stream where the driver offers that. The context is current.
pub(super) fn free(context: &Context, stream: &Stream, start: CUdeviceptr) {
    if !context.pools {
        return free_finished(start);
    }
    // SAFETY: callers pass what was allocated on the stream and nobody uses any more. A failure has no
    // one to be told to: the context is gone, and the memory with it, or a graph that was never launched
    // owns the memory.
    let _ = unsafe { result::free_async(start, stream.raw()) };
}

/// Frees memory whose use is over. The context is current.
pub(super) fn free_finished(start: CUdeviceptr) {
    let _relaxed = Relaxed::enter();
    // SAFETY: as above.
    let _ = unsafe { result::free_sync(start) };
}

/// Whether a copy from the host may read `host` after the call has returned: page-locked memory, and any
/// where the GPU walks the page tables of the host. Copies from other memory are staged.
fn is_read_later<E>(context: &Context, host: &[E]) -> bool {
    let mut kind = 0u32;
    let attribute = sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE;
    // SAFETY: writes one number of 32 bits; the driver only looks the address up.
    let known = unsafe {
        sys::cuPointerGetAttribute((&raw mut kind).cast(), attribute, host.as_ptr().addr() as u64)
    };
    context.reads_host || known == sys::CUresult::CUDA_SUCCESS
}

/// Where memory lies for a GPU.
pub(super) enum Reach {
    /// The GPU can use it: its own, managed, or page-locked memory that it knows by this address.
    Here,
    /// Another GPU's.
    OtherGpu,
    /// The host's.
    Host,
}

/// Where the memory at an address lies for the GPU of the context, which is current.
pub(super) fn reach(context: &Context, address: CUdeviceptr) -> Result<Reach> {
    use sys::CUpointer_attribute as Attribute;
    let (mut kind, mut managed, mut ordinal, mut on_device) = (0u32, 0u32, 0i32, 0u64);
    let mut names = [
        Attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
        Attribute::CU_POINTER_ATTRIBUTE_IS_MANAGED,
        Attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
        Attribute::CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
    ];
    let mut values: [*mut c_void; 4] = [
        (&raw mut kind).cast(),
        (&raw mut managed).cast(),
        (&raw mut ordinal).cast(),
        (&raw mut on_device).cast(),
    ];
    // SAFETY: a number of the documented size for each attribute; the driver only looks the address up.
    unsafe {
        let (names, values) = (names.as_mut_ptr(), values.as_mut_ptr());
        sys::cuPointerGetAttributes(4, names, values, address)
    }
    .result()
    .map_err(|error| explain("cuPointerGetAttributes", error, 0))?;
    let is_device = kind == sys::CUmemorytype::CU_MEMORYTYPE_DEVICE as u32;
    // Where the driver knows nothing of an address, the numbers are zero.
    Ok(match kind {
        _ if managed != 0 => Reach::Here,
        _ if is_device && ordinal as usize == context.ordinal => Reach::Here,
        _ if is_device => Reach::OtherGpu,
        0 if context.reads_pageable => Reach::Here,
        _ if kind != 0 && on_device == address => Reach::Here,
        _ => Reach::Host,
    })
}

/// Owned memory of `len` elements on a GPU.
///
/// It is allocated and freed in the order of its handle's stream where the driver offers that, so neither
/// synchronises, and both can be part of a captured graph. Memory of before a capture that is dropped
/// during it is freed afterwards.
#[derive(Debug)]
pub struct CudaBuffer<E> {
    start: CUdeviceptr,
    len: usize,
    cuda: Cuda,
    /// The capture in which it was allocated.
    born_in: Option<u64>,
    elements: PhantomData<E>,
}

impl<E: Element> CudaBuffer<E> {
    /// Memory of unspecified contents.
    pub(super) fn new(cuda: &Cuda, len: usize) -> Result<Self> {
        let bytes =
            len.checked_mul(size_of::<E>()).ok_or(Error::OutOfMemory { bytes: usize::MAX })?;
        let mut buffer =
            Self { start: 0, len, cuda: cuda.clone(), born_in: None, elements: PhantomData };
        if bytes == 0 {
            return Ok(buffer);
        }
        let _current = cuda.enter()?;
        buffer.born_in = cuda.capture()?;
        buffer.start = match &cuda.gpu.pool {
            Some(pool) => cuda.again_after_trim(|| pool.allocate(cuda.stream(), bytes))?,
            None if buffer.born_in.is_some() => {
                let what = "memory for a captured graph, on a GPU without memory pools,".into();
                return Err(Error::Unsupported { op: "Cuda", what });
            }
            None => {
                let _relaxed = Relaxed::enter();
                // SAFETY: the memory is plain numbers.
                unsafe { result::malloc_sync(bytes) }
                    .map_err(|error| explain("cuMemAlloc", error, bytes))?
            }
        };
        Ok(buffer)
    }

    /// The address of the first element on the GPU; 0 for an empty buffer.
    pub(super) fn start(&self) -> CUdeviceptr {
        self.start
    }

    /// Zeros everywhere.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.set_bytes(0)
    }

    /// Every byte the same.
    pub(super) fn set_bytes(&mut self, byte: u8) -> Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        let _current = self.cuda.enter()?;
        let bytes = self.len * size_of::<E>();
        // SAFETY: the buffer has these bytes.
        unsafe { result::memset_d8_async(self.start, byte, bytes, self.cuda.stream().raw()) }
            .map_err(|error| explain("cuMemsetD8Async", error, 0))
    }

    /// Copies from the host; returns when the host's memory may be reused. Waits for the stream only
    /// where the driver does not stage the copy: for page-locked memory.
    pub(super) fn write(&mut self, host: &[E]) -> Result<()> {
        assert!(host.len() <= self.len, "{} elements into {}", host.len(), self.len);
        if host.is_empty() {
            return Ok(());
        }
        // The graph would read the host's memory when it runs, long after this call.
        self.cuda.refuse_capture("upload", "a copy from the host")?;
        let _current = self.cuda.enter()?;
        let stream = self.cuda.stream();
        // SAFETY: the buffer is as long.
        unsafe { result::memcpy_htod_async(self.start, host, stream.raw()) }
            .map_err(|error| explain("cuMemcpyHtoDAsync", error, 0))?;
        if is_read_later(self.cuda.context(), host) { stream.synchronize() } else { Ok(()) }
    }

    /// Copies to the host, when all work issued before is done.
    pub(super) fn read(&self, host: &mut [E]) -> Result<()> {
        assert!(host.len() <= self.len, "{} elements of {}", host.len(), self.len);
        // SAFETY: the buffer is as long.
        unsafe { self.cuda.read(self.start, host) }
    }

    /// The address, for one who frees the memory himself.
    pub(super) fn into_start(mut self) -> CUdeviceptr {
        core::mem::take(&mut self.start)
    }
}

impl Cuda {
    /// Waits for the stream, and gives memory that no matrix uses any more back to the driver, for other
    /// libraries and handles of other [`Cuda::new`]; up to 512 MiB are kept otherwise. A call that finds no
    /// memory does the same, unless it is captured, and tries again.
    ///
    /// # Errors
    /// [`Error::Unsupported`] while the stream is captured; what the driver reports.
    pub fn trim(&self) -> Result<()> {
        self.refuse_capture("Cuda::trim", "waiting for the GPU")?;
        let _current = self.enter()?;
        self.stream().synchronize()?;
        self.gpu.pool.as_ref().map_or(Ok(()), Pool::trim)
    }

    /// The result of a call that allocates, or of a second one with more memory to be had; only of the
    /// first while the stream is captured.
    pub(super) fn again_after_trim<R>(&self, allocate: impl Fn() -> Result<R>) -> Result<R> {
        match allocate() {
            Err(Error::OutOfMemory { .. }) if self.trim().is_ok() => allocate(),
            result => result,
        }
    }

    /// Copies from an address to the host, when all work issued before is done.
    ///
    /// # Safety
    /// There are as many elements in memory of this GPU.
    pub(super) unsafe fn read<E: Element>(&self, start: CUdeviceptr, host: &mut [E]) -> Result<()> {
        if host.is_empty() {
            return Ok(());
        }
        self.refuse_capture("download", "a copy to the host")?;
        let _current = self.enter()?;
        // SAFETY: the caller's promise; the host's memory is borrowed until the copy is done.
        unsafe { result::memcpy_dtoh_async(host, start, self.stream().raw()) }
            .map_err(|error| explain("cuMemcpyDtoHAsync", error, 0))?;
        self.stream().synchronize()
    }
}

impl<E> Drop for CudaBuffer<E> {
    fn drop(&mut self) {
        if self.start == 0 {
            return;
        }
        // A failure has no one to be told to: the context is gone, and the memory with it.
        let Ok(_current) = self.cuda.enter() else { return };
        self.cuda.queue.free(self.cuda.context(), self.start, self.born_in);
    }
}
