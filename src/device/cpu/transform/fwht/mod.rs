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

use super::Real;
use super::panel::{Panel, Scratch, load, panel_width, store};
use crate::device::cpu::Cpu;
use crate::{MatMut, Result};
pub(super) use radix::Lanes;

/// Bytes that are transformed inside the first-level data cache, with room for what else is there.
pub(super) const LEAF_BYTES: usize = 16 << 10;

/// Work of one task, in entries: enough to hide the price of handing it out.
pub(super) const TASK: usize = 1 << 16;

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The best that this CPU has.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// The butterflies of one instruction set.
pub(super) trait Engine<T> {
    /// The levels from `from` up of one leaf.
    ///
    /// # Safety
    /// `len` entries from `x` on are writable, `from ≤ len` powers of two, at most [`LEAF_BYTES`];
    /// the CPU has the instructions.
    unsafe fn leaf(x: *mut T, len: usize, from: usize);

    /// The levels h, 2h, …, (radix/2)·h of a block of `radix · h` entries.
    ///
    /// # Safety
    /// The entries from `x` on are writable, `h · size_of::<T>() ≥ LEAF_BYTES`, `radix` one of 2,
    /// 4, 8, 16; the CPU has the instructions.
    unsafe fn pass(x: *mut T, h: usize, radix: usize);
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

/// The levels `from`, 2·`from`, …, `len`/2 of `len` entries. `fill(start, len)` is called once for
/// every leaf, in order, before it is transformed.
///
/// # Safety
/// `len` entries from `x` on are writable, `from ≤ len` powers of two with `from` entries at most
/// [`LEAF_BYTES`]; the CPU has the instructions of `E`.
#[inline(always)]
pub(super) unsafe fn transform<T: Real, E: Engine<T>>(
    x: *mut T,
    len: usize,
    from: usize,
    mut fill: impl FnMut(usize, usize),
) {
    let leaf = len.min(LEAF_BYTES / size_of::<T>());
    let mut done = 0;
    while done < len {
        fill(done, leaf);
        // SAFETY: the leaf lies inside of the caller's entries.
        unsafe { E::leaf(x.wrapping_add(done), leaf, from) };
        done += leaf;
        let mut h = leaf;
        while h < len {
            let radix = (len / h).min(16);
            if !done.is_multiple_of(radix * h) {
                break;
            }
            // SAFETY: the last radix·h entries done lie inside of the caller's.
            unsafe { E::pass(x.wrapping_add(done - radix * h), h, radix) };
            h *= radix;
        }
    }
}

/// Each column x of A becomes H x, in place where columns are contiguous, panel by panel
/// otherwise.
pub(super) fn fwht<T: Real>(cpu: &Cpu, isa: Isa, mut a: MatMut<'_, T, Cpu>) -> Result<()> {
    let (n, cols) = a.shape();
    if n <= 1 || cols == 0 {
        return Ok(());
    }
    debug_assert!(n.is_power_of_two());
    let panel = Panel::new(a.as_mut_ptr(), a.row_stride(), a.col_stride());
    let width = panel_width::<T>(n, cols, panel);
    let columns = TASK.div_ceil(n).next_multiple_of(width);
    let tasks = cols.div_ceil(columns);
    let work = n as u64 * cols as u64 * u64::from(n.ilog2());
    if panel.down == 1 && width == 1 {
        cpu.for_each(tasks, work, |task| {
            let range = task * columns..cols.min((task + 1) * columns);
            // SAFETY: the CPU was asked for the instructions; tasks have distinct columns.
            unsafe { dispatch(isa, InPlace { panel, n, range }) };
        });
        return Ok(());
    }
    let scratch = Scratch::new(n * width);
    let tasks = cpu.map(tasks, work, |task| {
        let range = task * columns..cols.min((task + 1) * columns);
        scratch.with(|buffer| {
            // SAFETY: as above; the buffer holds a panel.
            unsafe { dispatch(isa, Packed { panel, n, width, range, buffer }) };
        })
    });
    tasks.into_iter().collect()
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
            let x = self.panel.at(0, j);
            // SAFETY: each column is n contiguous entries of the caller's matrix.
            unsafe { transform::<T, E>(x, self.n, 1, |_, _| {}) };
        }
    }
}

/// Copies panels into a buffer, transforms them there, and copies back.
struct Packed<'a, T> {
    panel: Panel<T>,
    n: usize,
    width: usize,
    range: core::ops::Range<usize>,
    buffer: &'a mut [T],
}

impl<T: Real> Kernel<T> for Packed<'_, T> {
    #[inline(always)]
    fn run<E: Engine<T>>(self) {
        let Self { panel, n, range, buffer, .. } = self;
        let x = buffer.as_mut_ptr();
        for j in range.clone().step_by(self.width) {
            let cols = self.width.min(range.end - j);
            let width = cols.next_power_of_two();
            let (here, tile) = (panel.columns_from(j), Panel::new(x, width as isize, 1));
            // SAFETY: the buffer holds n·width entries, the matrix n rows and cols columns from j.
            unsafe {
                transform::<T, E>(x, n * width, width, |start, len| {
                    let rows = start / width..(start + len) / width;
                    load(here, tile, rows, 0..n, (cols, width), None);
                });
                store(tile, here, 0..n, cols, (T::one(), T::zero()), None);
            }
        }
    }
}
