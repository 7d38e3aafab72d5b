//! Device memory that belongs to a stream.

use super::Cuda;
use super::driver::explain;
use crate::{Element, Error, Result};
use core::marker::PhantomData;
use cudarc::driver::result;
use cudarc::driver::sys::CUdeviceptr;

/// Owned memory of `len` elements on a GPU.
///
/// It is allocated and freed in the order of its handle's stream where the driver offers that, so
/// neither synchronises, and both can be part of a captured graph.
#[derive(Debug)]
pub struct CudaBuffer<E> {
    start: CUdeviceptr,
    len: usize,
    cuda: Cuda,
    elements: PhantomData<E>,
}

impl<E: Element> CudaBuffer<E> {
    /// Memory of unspecified contents.
    pub(super) fn new(cuda: &Cuda, len: usize) -> Result<Self> {
        let bytes =
            len.checked_mul(size_of::<E>()).ok_or(Error::OutOfMemory { bytes: usize::MAX })?;
        let start = match bytes {
            0 => 0,
            _ => {
                let _current = cuda.enter()?;
                // SAFETY: the stream lives; the memory is plain numbers.
                let allocated = unsafe {
                    match cuda.context().pools {
                        true => result::malloc_async(cuda.stream().raw(), bytes),
                        false => result::malloc_sync(bytes),
                    }
                };
                allocated.map_err(|error| explain("cuMemAllocAsync", error, bytes))?
            }
        };
        Ok(Self { start, len, cuda: cuda.clone(), elements: PhantomData })
    }

    /// The address of the first element on the GPU; 0 for an empty buffer.
    pub(super) fn start(&self) -> CUdeviceptr {
        self.start
    }

    /// Zeros everywhere.
    pub(super) fn clear(&mut self) -> Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        let _current = self.cuda.enter()?;
        let bytes = self.len * size_of::<E>();
        // SAFETY: the buffer has these bytes.
        unsafe { result::memset_d8_async(self.start, 0, bytes, self.cuda.stream().raw()) }
            .map_err(|error| explain("cuMemsetD8Async", error, 0))
    }

    /// Copies from the host; returns when the host's memory may be reused.
    pub(super) fn write(&mut self, host: &[E]) -> Result<()> {
        assert!(host.len() <= self.len, "{} elements into {}", host.len(), self.len);
        if host.is_empty() {
            return Ok(());
        }
        let _current = self.cuda.enter()?;
        let stream = self.cuda.stream();
        if stream.is_capturing()? {
            // The graph would read the host's memory when it runs, long after this call.
            let what = "a copy from the host while a graph is captured".into();
            return Err(Error::Unsupported { op: "upload", what });
        }
        // SAFETY: the buffer is as long. Copies from pageable memory are staged before the call
        // returns.
        unsafe { result::memcpy_htod_async(self.start, host, stream.raw()) }
            .map_err(|error| explain("cuMemcpyHtoDAsync", error, 0))
    }

    /// Copies to the host, when all work issued before is done.
    pub(super) fn read(&self, host: &mut [E]) -> Result<()> {
        assert!(host.len() <= self.len, "{} elements of {}", host.len(), self.len);
        if host.is_empty() {
            return Ok(());
        }
        let _current = self.cuda.enter()?;
        // SAFETY: the buffer is as long, and the host's memory is borrowed until the copy is done.
        unsafe { result::memcpy_dtoh_async(host, self.start, self.cuda.stream().raw()) }
            .map_err(|error| explain("cuMemcpyDtoHAsync", error, 0))?;
        self.cuda.stream().synchronize()
    }
}

impl<E> Drop for CudaBuffer<E> {
    fn drop(&mut self) {
        if self.start == 0 {
            return;
        }
        // A failure has no one to be told to: the context is gone, and the memory with it.
        let Ok(_current) = self.cuda.enter() else { return };
        // SAFETY: allocated by `new` on this stream, and nobody has the address any more.
        let _ = unsafe {
            match self.cuda.context().pools {
                true => result::free_async(self.start, self.cuda.stream().raw()),
                false => result::free_sync(self.start),
            }
        };
    }
}
