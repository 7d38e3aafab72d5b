//! Host memory for matrices: zeroed lazily by the operating system, aligned to a cache line.

use crate::{Element, Error, Result};
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// The alignment of the first element, in bytes: one cache line and one AVX-512 register.
pub(crate) const ALIGNMENT: usize = 64;

/// Owned host memory of `len` elements.
///
/// The system's zeroed pages are used as they come (an over-aligned request would be written
/// through by the allocator), so a large buffer costs page faults only where it is touched.
#[derive(Debug)]
pub struct HostBuffer<E> {
    start: NonNull<E>,
    len: usize,
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the buffer owns its memory and hands it out under the borrow rules of `&` and `&mut`.
unsafe impl<E: Send> Send for HostBuffer<E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for HostBuffer<E> {}

impl<E: Element> HostBuffer<E> {
    /// `len` zeros, or [`Error::OutOfMemory`].
    pub fn zeroed(len: usize) -> Result<Self> {
        let out_of_memory = Error::OutOfMemory { bytes: len.saturating_mul(size_of::<E>()) };
        if len == 0 {
            let base = NonNull::<E>::dangling();
            return Ok(Self { start: base, len, base: base.cast(), layout: Layout::new::<()>() });
        }
        let layout = len
            .checked_mul(size_of::<E>())
            .and_then(|bytes| bytes.checked_add(ALIGNMENT))
            .and_then(|bytes| Layout::from_size_align(bytes, align_of::<E>()).ok())
            .ok_or_else(|| out_of_memory.clone())?;
        // SAFETY: the layout has a size of at least ALIGNMENT bytes.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(out_of_memory)?;
        let skip = base.align_offset(ALIGNMENT);
        // SAFETY: skip < ALIGNMENT, and the allocation is ALIGNMENT bytes longer than needed.
        let start = unsafe { base.add(skip) }.cast();
        Ok(Self { start, len, base, layout })
    }

    /// The elements.
    pub fn as_slice(&self) -> &[E] {
        // SAFETY: start points to len initialised elements (zero is a value of every Element).
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The elements, writable.
    pub fn as_mut_slice(&mut self) -> &mut [E] {
        // SAFETY: as in as_slice, and self is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<E> Drop for HostBuffer<E> {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: base came from alloc_zeroed with this layout.
            unsafe { dealloc(self.base.as_ptr(), self.layout) };
        }
    }
}

/// `len` times `value` in an ordinary vector, or [`Error::OutOfMemory`] instead of an abort.
pub(crate) fn try_vec<E: Element>(value: E, len: usize) -> Result<Vec<E>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len)
        .map_err(|_| Error::OutOfMemory { bytes: len.saturating_mul(size_of::<E>()) })?;
    vec.resize(len, value);
    Ok(vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zero_aligned_and_may_be_empty() {
        for len in [0, 1, 3, 1000, 100_000] {
            let mut buffer = HostBuffer::<f64>::zeroed(len).unwrap();
            assert!(buffer.as_slice().iter().all(|&x| x == 0.0) && buffer.as_slice().len() == len);
            assert!(len == 0 || buffer.as_slice().as_ptr().addr().is_multiple_of(ALIGNMENT));
            buffer.as_mut_slice().fill(1.0);
        }
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        assert!(matches!(
            HostBuffer::<f64>::zeroed(usize::MAX / 4),
            Err(Error::OutOfMemory { .. })
        ));
        assert!(matches!(HostBuffer::<f64>::zeroed(1 << 60), Err(Error::OutOfMemory { .. })));
    }
}
