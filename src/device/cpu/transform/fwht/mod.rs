//! The fast Walsh-Hadamard transform: n log₂ n additions a column, in place.
//!
//! Level h of the transform replaces every pair (x_i, x_{i+h}) by its sum and difference. A panel
//! of n rows and W columns stored row by row is one vector of n·W entries whose levels start at
//! h = W, so one driver serves columns (W = 1) and row-major panels, where whole registers meet
//! and nothing is shuffled.
//!
//! The column is cut into *leaves* of [`LEAF_BYTES`], transformed inside the first-level cache;
//! as soon as a group of leaves is complete, one pass of radix up to 16 joins it, and so on up, a
//! depth-first walk that touches each cache level once in log₂(its share) levels. 2¹⁴ entries are
//! read from memory once, from the second-level cache once more. Source: the recursive cache-
//! oblivious scheme of Johnson and Püschel, "In search of the optimal Walsh-Hadamard transform",
//! 2000.
//!
//! # Accuracy
//! Every entry is a balanced tree of log₂ n rounded additions:
//! |err_i| ≤ log₂ n · u / (1 − log₂ n · u) · Σ|x_j|. The tree is the same for every instruction
//! set and layout, and so are the bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod radix;
#[cfg(test)]
mod tests;

use super::Real;
use super::panel::{Panel, Scratch, load, panel_width, store};
use crate::device::cpu::Cpu;
pub(super) use crate::device::cpu::Isa;
use crate::{MatMut, Result};
pub(super) use radix::Lanes;

/// Bytes that are transformed inside the first-level data cache, with room for what else is there.
pub(super) const LEAF_BYTES: usize = 16 << 10;

/// Work of one task, in entries: enough to hide the price of handing it out.
pub(super) const TASK: usize = 1 << 16;

/// Bytes of every row that a sweep over a row-major matrix takes at once: enough for the hardware
/// prefetcher to follow.
const ROW_BYTES: usize = 2 << 10;

/// Bytes of a cache line, a multiple of every vector.
pub(super) const LINE: usize = 64;

/// Most levels of one sweep: 2⁸ pieces of rows fit into the second-level cache.
const SWEEP_LEVELS: u32 = 8;

/// The butterflies of one instruction set.
pub(super) trait Engine<T> {
    /// The levels from `from` up of one leaf.
    ///
    /// # Safety
    /// `len` entries from `x` on are writable, `from ≤ len` powers of two, at most [`LEAF_BYTES`];
    /// the CPU has the instructions.
    unsafe fn leaf(x: *mut T, len: usize, from: usize);

    /// The levels h, 2h, …, (radix/2)·h of `radix` pieces of `width` entries, `h` entries apart.
    ///
    /// # Safety
    /// The pieces from `x` on are writable, `width ≤ h` entries of whole cache [`LINE`]s, `radix`
    /// one of 2, 4, 8, 16; the CPU has the instructions.
    unsafe fn pass(x: *mut T, h: usize, radix: usize, width: usize);
}

/// What a task does, to be compiled once an instruction set.
pub(super) trait Kernel<T> {
    /// Does it. Must be `#[inline(always)]`, so that it is compiled for the instruction set.
    fn run<E: Engine<T>>(self);
}

/// Runs `kernel` compiled for `isa`.
///
/// # Safety
/// The CPU has the instructions.
pub(super) unsafe fn dispatch<T: Real>(isa: Isa, kernel: impl Kernel<T>) {
    match isa {
        Isa::Portable => kernel.run::<portable::Portable>(),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller's promise.
        Isa::Avx2 => unsafe { avx2::run(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller's promise.
        Isa::Avx512 => unsafe { avx512::run(kernel) },
    }
}

/// A leaf shorter than a vector is left to plain loops.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn small_or_leaf<T: Real, L: Lanes<T>>(x: *mut T, len: usize, from: usize) {
    if len < L::LANES {
        // SAFETY: the caller promises len writable entries.
        portable::levels(unsafe { core::slice::from_raw_parts_mut(x, len) }, from);
    } else {
        // SAFETY: the caller's promise.
        unsafe { radix::leaf::<T, L>(x, len, from) }
    }
}

/// Leaves of equal length, a power of two of them, `step` entries apart.
#[derive(Clone, Copy)]
pub(super) struct Leaves {
    pub(super) count: usize,
    pub(super) len: usize,
    pub(super) step: usize,
}

impl Leaves {
    /// The leaves of `len` entries, a power of two, without gaps.
    #[inline(always)]
    pub(super) fn of<T>(len: usize) -> Self {
        let leaf = len.min(LEAF_BYTES / size_of::<T>());
        Self { count: len / leaf, len: leaf, step: leaf }
    }

    /// The same with a cache line after every leaf: pieces a power of two apart would displace each
    /// other from the caches, of which a radix 16 pass needs 16 lines at a time.
    #[inline(always)]
    pub(super) fn apart<T>(len: usize) -> Self {
        let leaves = Self::of::<T>(len);
        let gap = if leaves.count > 1 { LINE / size_of::<T>() } else { 0 };
        Self { step: leaves.len + gap, ..leaves }
    }

    /// The buffer that holds them, as a panel of rows of `width` entries.
    #[inline(always)]
    pub(super) fn panel<T: Copy>(self, x: *mut T, width: usize) -> Panel<T> {
        let panel = Panel::new(x, width as isize, 1);
        if self.step == self.len {
            panel
        } else {
            panel.with_gaps(self.len / width, self.step - self.len)
        }
    }
}

/// One step of the transform of all leaves as one vector, levels `from`, 2·`from`, …: transforms
/// leaf `index`, and joins what it completes. Called for all leaves in order, each of which may be
/// written just before, while the cache is ready for it. Gaps are joined like entries.
///
/// # Safety
/// The leaves from `x` on and their gaps are writable, `from ≤ leaves.len` a power of two; the CPU
/// has the instructions of `E`.
#[inline(always)]
pub(super) unsafe fn absorb<T: Real, E: Engine<T>>(
    x: *mut T,
    leaves: Leaves,
    from: usize,
    index: usize,
) {
    let Leaves { count, len, step } = leaves;
    // SAFETY: the leaf is one of the caller's.
    unsafe { E::leaf(x.add(index * step), len, from) };
    let (end, mut h) = (index + 1, 1);
    while h < count {
        let radix = (count / h).min(16);
        if !end.is_multiple_of(radix * h) {
            break;
        }
        // SAFETY: the last radix·h leaves before the end are the caller's.
        unsafe { E::pass(x.add((end - radix * h) * step), h * step, radix, h * step) };
        h *= radix;
    }
}

/// Each column x of A becomes H x: in place where columns or rows are contiguous, through packed
/// panels otherwise.
///
/// Long columns of a row-major matrix take two or more sweeps of equally many levels, over rows 1,
/// then √n apart: what a sweep takes at once fits into the second-level cache with long runs of every
/// row, while a panel of all rows would fit with single cache lines of them only, which come at
/// the latency of memory and not at its bandwidth.
pub(super) fn fwht<T: Real>(cpu: &Cpu, isa: Isa, mut a: MatMut<'_, T, Cpu>) -> Result<()> {
    let (n, cols) = a.shape();
    if n <= 1 || cols == 0 {
        return Ok(());
    }
    debug_assert!(n.is_power_of_two());
    let panel = Panel::new(a.as_mut_ptr(), a.row_stride(), a.col_stride());
    let by_columns = panel_width(n, cols, panel, ROW_BYTES) == 1;
    let work = n as u64 * cols as u64 * u64::from(n.ilog2());
    if by_columns && panel.down == 1 {
        let columns = TASK.div_ceil(n);
        cpu.for_each(cols.div_ceil(columns), work, |task| {
            let range = task * columns..cols.min((task + 1) * columns);
            // SAFETY: the CPU was asked for the instructions; tasks have distinct columns.
            unsafe { dispatch(isa, InPlace { panel, n, range }) };
        });
        return Ok(());
    }
    let sweeps = if by_columns { 1 } else { n.ilog2().div_ceil(SWEEP_LEVELS) };
    let most = 1 << n.ilog2().div_ceil(sweeps);
    let mut h = 1;
    while h < n {
        let rows = most.min(n / h);
        let step = Panel::new(panel.at(0, 0), panel.down * h as isize, panel.right);
        let width = panel_width(rows, cols, step, ROW_BYTES);
        let columns = TASK.div_ceil(rows).next_multiple_of(width);
        // Chunks start where cache lines do.
        let lead = lead(step).unwrap_or(0);
        let chunks = cols.saturating_sub(lead).div_ceil(columns).max(1);
        let edge = |chunk| if chunk == 0 { 0 } else { cols.min(lead + chunk * columns) };
        let scratch = Scratch::new(cpu, rows * width);
        let tasks = cpu.map(n / rows * chunks, work, |task| {
            let (group, chunk) = (task / chunks, task % chunks);
            let first = group / h * h * rows + group % h;
            let range = edge(chunk)..edge(chunk + 1);
            let panel = Panel::new(panel.at(first, 0), step.down, step.right);
            scratch.with(|buffer| {
                // SAFETY: as above, or distinct rows; the buffer holds a panel.
                unsafe { dispatch(isa, Sweep { panel, n: rows, width, range, buffer }) };
            })
        });
        tasks.into_iter().collect::<Result<()>>()?;
        h *= rows;
    }
    Ok(())
}

/// Transforms contiguous columns where they are.
struct InPlace<T> {
    panel: Panel<T>,
    n: usize,
    range: core::ops::Range<usize>,
}

impl<T: Real> Kernel<T> for InPlace<T> {
    #[inline(always)]
    fn run<E: Engine<T>>(self) {
        for j in self.range {
            let (x, leaves) = (self.panel.at(0, j), Leaves::of::<T>(self.n));
            for index in 0..leaves.count {
                // SAFETY: each column is n contiguous entries of the caller's matrix.
                unsafe { absorb::<T, E>(x, leaves, 1, index) };
            }
        }
    }
}

/// Transforms panels of `width` columns, whole cache lines where they are, the others in a buffer.
struct Sweep<'a, T> {
    panel: Panel<T>,
    n: usize,
    width: usize,
    range: core::ops::Range<usize>,
    buffer: &'a mut [T],
}

impl<T: Real> Kernel<T> for Sweep<'_, T> {
    #[inline(always)]
    fn run<E: Engine<T>>(self) {
        let Self { panel, n, width, range, buffer } = self;
        let line = LINE / size_of::<T>();
        let mut j = range.start;
        while j < range.end {
            let (here, cols) = (panel.columns_from(j), width.min(range.end - j));
            let (cols, whole) = match lead(here) {
                Some(0) if cols >= line => (cols / line * line, true),
                Some(lead @ 1..) => (cols.min(lead), false),
                _ => (cols, false),
            };
            // SAFETY: the matrix has n rows and these columns from j, the buffer n·width entries.
            unsafe {
                if whole {
                    in_place::<T, E>(here.at(0, 0), here.down as usize, n, cols);
                } else {
                    packed::<T, E>(here, n, cols, buffer);
                }
            }
            j += cols;
        }
    }
}

/// Columns before the first that starts a cache line, if rows can be transformed where they are. (A
/// vector across two lines needs both of them in the first-level cache, where rows a power of two
/// apart displace each other: twice the time. Rows of no whole lines cannot be aligned, nor do they
/// displace each other.)
#[inline(always)]
fn lead<T: Real>(panel: Panel<T>) -> Option<usize> {
    let line = LINE / size_of::<T>();
    let rows = usize::try_from(panel.down).ok().filter(|&down| panel.right == 1 && down >= line)?;
    let past = if rows.is_multiple_of(line) { panel.at(0, 0).addr() % LINE } else { 0 };
    Some((LINE - past) % LINE / size_of::<T>())
}

/// Transforms the columns of n rows of `width` entries, `down` entries apart: radix 16, so that two
/// passes do a sweep, the second of which finds the rows in the second-level cache.
///
/// # Safety
/// The rows from `x` on are writable, `width ≤ down` entries of whole cache [`LINE`]s, `n` a power
/// of two; the CPU has the instructions of `E`.
#[inline(always)]
unsafe fn in_place<T: Real, E: Engine<T>>(x: *mut T, down: usize, n: usize, width: usize) {
    let mut h = 1;
    while h < n {
        let radix = (n / h).min(16);
        for block in 0..n / radix {
            let first = block / h * h * radix + block % h;
            // SAFETY: rows first, first + h, … of the caller's.
            unsafe { E::pass(x.add(first * down), h * down, radix, width) };
        }
        h *= radix;
    }
}

/// Copies a panel of n rows into a buffer, transforms it there, and copies it back.
///
/// # Safety
/// The panel is accessible in n × `cols`, the buffer holds as many columns, rounded up to a power
/// of two; the CPU has the instructions of `E`.
#[inline(always)]
unsafe fn packed<T: Real, E: Engine<T>>(panel: Panel<T>, n: usize, cols: usize, buffer: &mut [T]) {
    let (x, width) = (buffer.as_mut_ptr(), cols.next_power_of_two());
    let leaves = Leaves::of::<T>(n * width);
    let (tile, rows) = (leaves.panel(x, width), leaves.len / width);
    // SAFETY: the caller's promise.
    unsafe {
        for index in 0..leaves.count {
            load(panel, tile, index * rows..(index + 1) * rows, 0..n, (cols, width), None);
            absorb::<T, E>(x, leaves, width, index);
        }
        store(tile, panel, 0..n, cols, (T::one(), T::zero()), None);
    }
}
