//! Host memory that outlives the calls that use it.

use crate::{Error, Result};
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::{Mutex, MutexGuard};

/// Blocks below this size are the allocator's: it is quick with them.
const SMALLEST: usize = 1 << 12;

/// Huge pages are asked for from this size on: a fault for each 4 KiB would take a tenth of the time of a tall QR.
#[cfg(target_os = "linux")]
const LEAST_OF_HUGE_PAGES: usize = 1 << 22;

/// Memory of the system's allocator, initialised.
#[derive(Debug)]
pub(super) struct Block {
    base: NonNull<u8>,
    layout: Layout,
    /// Whether it is as the system gave it: all zeros.
    pub(super) zeros: bool,
}

// SAFETY: a block owns its memory.
unsafe impl Send for Block {}
// SAFETY: as above; without &mut nothing is written.
unsafe impl Sync for Block {}

impl Block {
    /// Zeros, as the operating system gives them out: pages cost nothing before they are touched.
    pub(super) fn new(layout: Layout) -> Result<Self> {
        let out_of_memory = Error::OutOfMemory { bytes: layout.size() };
        if layout.size() == 0 {
            return Ok(Self { base: NonNull::dangling(), layout, zeros: true });
        }
        // SAFETY: the layout has a size.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(out_of_memory)?;
        ask_for_huge_pages(base, layout.size());
        Ok(Self { base, layout, zeros: true })
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: base came from alloc_zeroed with this layout.
            unsafe { dealloc(self.base.as_ptr(), self.layout) };
        }
    }
}

/// Asks for pages of 2 MiB, where the system leaves that to programs; it may refuse.
fn ask_for_huge_pages(base: NonNull<u8>, len: usize) {
    #[cfg(target_os = "linux")]
    if len >= LEAST_OF_HUGE_PAGES {
        const PAGE: usize = 1 << 21;
        let skip = base.align_offset(PAGE);
        let whole = (len - skip) / PAGE * PAGE;
        // SAFETY: the range lies inside of the block, and the advice changes no byte of it.
        unsafe { libc::madvise(base.as_ptr().add(skip).cast(), whole, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (base, len);
}

/// Blocks that one call has freed and the next one takes, up to a limit in bytes.
#[derive(Debug)]
pub(crate) struct Workspace {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The one that was freed first comes first.
    free: Vec<Block>,
    free_bytes: usize,
    used_bytes: usize,
    peak_bytes: usize,
}

impl Workspace {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// The most bytes that were in use and kept at once.
    pub(crate) fn peak(&self) -> usize {
        self.lock().peak_bytes
    }

    /// A block of at least this layout: the smallest that is free, unless it is more than twice as
    /// large, else a new one.
    pub(super) fn take(&self, layout: Layout) -> Result<Block> {
        let mut state = self.lock();
        let size = layout.size();
        let fits = |block: &Block| {
            let (len, align) = (block.layout.size(), block.layout.align());
            len >= size && len / 2 <= size && align >= layout.align()
        };
        let free = state.free.iter().enumerate().filter(|(_, block)| fits(block));
        let found = free.min_by_key(|(_, block)| block.layout.size()).map(|(k, _)| k);
        let block = match found.map(|k| state.free.remove(k)) {
            Some(block) => {
                state.free_bytes -= block.layout.size();
                block
            }
            None => match Block::new(layout) {
                Ok(block) => block,
                // What is kept for later may be what is missing now.
                Err(_) => {
                    state.free.clear();
                    state.free_bytes = 0;
                    Block::new(layout)?
                }
            },
        };
        state.used_bytes += block.layout.size();
        state.peak_bytes = state.peak_bytes.max(state.used_bytes + state.free_bytes);
        Ok(block)
    }

    /// Keeps a block for the next call, and lets the oldest ones go when there are too many bytes.
    pub(super) fn give(&self, mut block: Block) {
        block.zeros = false;
        let size = block.layout.size();
        let mut state = self.lock();
        state.used_bytes -= size;
        if size < SMALLEST || size > self.limit {
            return;
        }
        state.free.push(block);
        state.free_bytes += size;
        while state.free_bytes > self.limit {
            state.free_bytes -= state.free.remove(0).layout.size();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cpu, Device, Mat};

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn blocks_come_back_within_the_limit() {
        let workspace = Workspace::new(100_000);
        let block = workspace.take(layout(50_000)).unwrap();
        let (base, zeros) = (block.base(), block.zeros);
        assert!(zeros && workspace.peak() == 50_000);
        workspace.give(block);
        let again = workspace.take(layout(30_000)).unwrap();
        assert!(again.base() == base && !again.zeros);
        // Less than half of a free block is another block.
        workspace.give(again);
        let other = workspace.take(layout(20_000)).unwrap();
        assert!(other.zeros && workspace.peak() == 70_000);
        // What does not fit under the limit is freed: the oldest first.
        workspace.give(other);
        let large = workspace.take(layout(90_000)).unwrap();
        workspace.give(large);
        assert_eq!(workspace.lock().free_bytes, 90_000);
        assert_eq!(workspace.lock().used_bytes, 0);
    }

    #[test]
    fn recycled_matrices_of_zeros_are_zeros() {
        let cpu = Cpu::new().with_workspace(1 << 20);
        for _ in 0..3 {
            let mut a = Mat::<f32>::zeros(&cpu, 100, 100).unwrap();
            assert!(a.to_vec().unwrap().iter().all(|&x| x == 0.0));
            (0..100).for_each(|i| a.set(i, i, f32::NAN));
            drop(a);
            // Another type in the same memory.
            let b = cpu.zeroed::<u64>(5000).unwrap();
            assert!(b.as_slice().iter().all(|&x| x == 0));
        }
        assert!(cpu.workspace_peak() < 1 << 17);
        assert_eq!(Cpu::new().workspace_peak(), 0);
    }
}
