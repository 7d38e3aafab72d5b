//! Host memory for matrices, aligned to a cache line: zeroed lazily by the operating system, or what
//! a workspace has kept.

use super::workspace::{Block, Workspace};
use crate::{Element, Error, Result};
use core::ptr::NonNull;
use std::alloc::Layout;
use std::sync::Arc;

/// The alignment of the first element, in bytes: one cache line and one AVX-512 register.
pub(crate) const ALIGNMENT: usize = 64;

/// The alignment of blocks, which serve every type of element in turn.
const BLOCK_ALIGNMENT: usize = 8;

/// Owned host memory of `len` elements.
///
/// The system's zeroed pages are used as they come (an over-aligned request would be written
/// through by the allocator), so a large buffer costs page faults only where it is touched.
#[derive(Debug)]
pub struct HostBuffer<E> {
    start: NonNull<E>,
    len: usize,
    /// `None` only while it is dropped.
    block: Option<Block>,
    /// Where the block goes when it is dropped.
    home: Option<Arc<Workspace>>,
}

// SAFETY: the buffer owns its memory and hands it out under the borrow rules of `&` and `&mut`.
unsafe impl<E: Send> Send for HostBuffer<E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for HostBuffer<E> {}

impl<E: Element> HostBuffer<E> {
    /// `len` zeros, or [`Error::OutOfMemory`].
    pub fn zeroed(len: usize) -> Result<Self> {
        Self::zeroed_in(None, len)
    }

    /// `len` zeros in memory of a workspace.
    pub(crate) fn zeroed_in(home: Option<&Arc<Workspace>>, len: usize) -> Result<Self> {
        let mut buffer = Self::scratch_in(home, len)?;
        if buffer.block.as_ref().is_some_and(|block| !block.zeros) {
            buffer.as_mut_slice().fill(E::default());
        }
        Ok(buffer)
    }

    /// `len` elements of unspecified value in memory of a workspace.
    pub(crate) fn scratch_in(home: Option<&Arc<Workspace>>, len: usize) -> Result<Self> {
        let layout = match len {
            0 => Some(Layout::new::<()>()),
            _ => len
                .checked_mul(size_of::<E>())
                .and_then(|bytes| bytes.checked_add(ALIGNMENT))
                .and_then(|bytes| Layout::from_size_align(bytes, BLOCK_ALIGNMENT).ok()),
        };
        let bytes = len.saturating_mul(size_of::<E>());
        let layout = layout.ok_or(Error::OutOfMemory { bytes })?;
        let (block, home) = match home {
            Some(home) if len > 0 => (home.take(layout)?, Some(home.clone())),
            _ => (Block::new(layout)?, None),
        };
        let start = if len == 0 {
            NonNull::dangling()
        } else {
            let skip = block.base().align_offset(ALIGNMENT);
            // SAFETY: skip < ALIGNMENT, and the block is ALIGNMENT bytes longer than needed.
            unsafe { block.base().add(skip) }.cast()
        };
        Ok(Self { start, len, block: Some(block), home })
    }

    /// The elements.
    pub fn as_slice(&self) -> &[E] {
        // SAFETY: start points to len initialised elements: zeros, or what another buffer left,
        // and every bit pattern is a value of an Element.
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
        if let (Some(home), Some(block)) = (&self.home, self.block.take()) {
            home.give(block);
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
