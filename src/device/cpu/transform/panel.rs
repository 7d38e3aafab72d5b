//! Panels: groups of columns with any strides, copied to and from contiguous buffers, with signs,
//! zero padding and factors applied on the way.
//!
//! Walsh-Hadamard buffers hold a panel row by row, so that one sign serves a row and butterflies
//! meet whole registers; cosine buffers hold it column by column. Columns of a row-major matrix
//! are handled a few cache lines at a time, so each line of it is used whole.

use super::{Real, fwht::LEAF_BYTES};
use crate::device::HostBuffer;
use crate::{Element, Result, Scalar};
use core::ops::Range;
use std::sync::Mutex;

/// Bytes of a row that a panel of a row-major matrix takes at once.
const ROW_BYTES: usize = 1024;

/// Where entry (t, j) of a panel lies: `t·down + j·right` entries after the first.
#[derive(Clone, Copy)]
pub(super) struct Panel<T> {
    ptr: *mut T,
    pub(super) down: isize,
    pub(super) right: isize,
}

// SAFETY: whoever dereferences the pointer promises that tasks write distinct entries.
unsafe impl<T: Send> Send for Panel<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Panel<T> {}

impl<T: Copy> Panel<T> {
    pub(super) fn new(ptr: *mut T, down: isize, right: isize) -> Self {
        Self { ptr, down, right }
    }

    /// The address of entry (t, j).
    #[inline(always)]
    pub(super) fn at(self, t: usize, j: usize) -> *mut T {
        self.ptr.wrapping_offset(t as isize * self.down + j as isize * self.right)
    }

    /// The panel whose first column is column j.
    #[inline(always)]
    pub(super) fn columns_from(self, j: usize) -> Self {
        Self { ptr: self.at(0, j), ..self }
    }

    /// The panel whose row `row` is this one's first.
    #[inline(always)]
    pub(super) fn starting_at(self, row: usize) -> Self {
        Self { ptr: self.ptr.wrapping_offset(-(row as isize * self.down)), ..self }
    }

    /// Whether walking along a row meets nearer neighbours than walking down a column.
    #[inline(always)]
    pub(super) fn is_row_major(self) -> bool {
        self.right.unsigned_abs() < self.down.unsigned_abs()
    }
}

/// How many of `cols` columns of length n, a power of two, are transformed together: one when
/// their entries are neighbours, else some cache lines of every row, or what fills a leaf.
pub(super) fn panel_width<T: Copy>(n: usize, cols: usize, panel: Panel<T>) -> usize {
    if cols == 1 || !panel.is_row_major() {
        return 1;
    }
    let width = (ROW_BYTES / size_of::<T>()).max(LEAF_BYTES / size_of::<T>() / n);
    width.min(cols.next_power_of_two())
}

/// Rows `rows` of a buffer from a source whose rows `window` exist; the others are zero, and so
/// are columns `cols..width`. A set bit t of `signs` negates row t.
///
/// # Safety
/// The source is readable in `rows ∩ window` × `cols`, the buffer writable in `rows` × `width`.
#[inline(always)]
pub(super) unsafe fn load<T: Real>(
    source: Panel<T>,
    buffer: Panel<T>,
    rows: Range<usize>,
    window: Range<usize>,
    (cols, width): (usize, usize),
    signs: Option<&[T::Word]>,
) {
    let clamp = |t: usize| t.clamp(window.start, window.end);
    let inside = clamp(rows.start)..clamp(rows.end);
    // SAFETY: the caller's promise, for parts of its ranges.
    unsafe {
        zero(buffer, rows.start..inside.start.min(rows.end), 0..width);
        copy(source, buffer, inside.clone(), cols, signs, |x, to| *to = x);
        zero(buffer, inside.clone(), cols..width);
        zero(buffer, inside.end.max(rows.start)..rows.end, 0..width);
    }
}

/// `target ← factor·buffer + beta·target` in rows `rows`, those with a set bit of `signs` negated.
///
/// # Safety
/// Both panels are accessible in `rows` × `cols`.
#[inline(always)]
pub(super) unsafe fn store<T: Real>(
    buffer: Panel<T>,
    target: Panel<T>,
    rows: Range<usize>,
    cols: usize,
    (factor, beta): (T, T),
    signs: Option<&[T::Word]>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if beta == T::zero() {
            copy(buffer, target, rows, cols, signs, |x, to| *to = factor * x);
        } else {
            copy(buffer, target, rows, cols, signs, |x, to| *to = factor * x + beta * *to);
        }
    }
}

/// `target[i, :] ← factor·buffer[index[i], :] + beta·target[i, :]`.
///
/// # Safety
/// The buffer is readable in the indexed rows × `cols`, the target accessible in the first
/// `index.len()` rows.
#[inline(always)]
pub(super) unsafe fn gather<T: Real>(
    buffer: Panel<T>,
    target: Panel<T>,
    index: &[usize],
    cols: usize,
    (factor, beta): (T, T),
) {
    // SAFETY: the caller's promise.
    unsafe {
        let each = |i: usize, t: usize, j: usize| {
            let (x, to) = (factor * *buffer.at(t, j), target.at(i, j));
            *to = if beta == T::zero() { x } else { x + beta * *to };
        };
        walk(target.is_row_major(), index.len(), cols, |i, j| each(i, index[i], j));
    }
}

/// `buffer[index[i], :] ← source[i, :]`.
///
/// # Safety
/// The source is readable in the first `index.len()` rows × `cols`, the buffer writable in the
/// indexed ones.
#[inline(always)]
pub(super) unsafe fn scatter<T: Real>(
    source: Panel<T>,
    buffer: Panel<T>,
    index: &[usize],
    cols: usize,
) {
    // SAFETY: the caller's promise.
    let each = |i: usize, j: usize| unsafe { *buffer.at(index[i], j) = *source.at(i, j) };
    walk(source.is_row_major(), index.len(), cols, each);
}

/// `target ← beta·target`, written without being read when beta is zero.
///
/// # Safety
/// The panel is accessible in `rows` × `cols`.
pub(super) unsafe fn rescale<T: Real>(target: Panel<T>, rows: usize, cols: usize, beta: T) {
    // SAFETY: the caller's promise.
    walk(target.is_row_major(), rows, cols, |i, j| unsafe {
        let to = target.at(i, j);
        *to = if beta == T::zero() { beta } else { beta * *to };
    });
}

/// Multiplies rows of `width` entries, the first of which is row `row`, by `factor` or, where the
/// bit of `signs` is set, by −`factor`.
#[inline(always)]
pub(super) fn flip<T: Real>(x: &mut [T], row: usize, width: usize, signs: &[T::Word], factor: T) {
    if width == 1 && row.is_multiple_of(T::BITS) && x.len().is_multiple_of(T::BITS) {
        for (x, &word) in x.chunks_exact_mut(T::BITS).zip(&signs[row / T::BITS..]) {
            for (k, x) in x.iter_mut().enumerate() {
                *x = x.flipped(word, k) * factor;
            }
        }
        return;
    }
    for (t, x) in x.chunks_exact_mut(width).enumerate() {
        let t = row + t;
        let factor = factor.flipped(signs[t / T::BITS], t % T::BITS);
        for x in x {
            *x *= factor;
        }
    }
}

/// Visits (i, j) with the nearer neighbours in the inner loop.
#[inline(always)]
fn walk(row_major: bool, rows: usize, cols: usize, mut each: impl FnMut(usize, usize)) {
    if row_major {
        (0..rows).for_each(|i| (0..cols).for_each(|j| each(i, j)));
    } else {
        (0..cols).for_each(|j| (0..rows).for_each(|i| each(i, j)));
    }
}

#[inline(always)]
unsafe fn zero<T: Real>(buffer: Panel<T>, rows: Range<usize>, cols: Range<usize>) {
    let (top, left) = (rows.start, cols.start);
    walk(buffer.is_row_major(), rows.len(), cols.len(), |i, j| {
        // SAFETY: the caller promises that rows × cols is writable.
        unsafe { *buffer.at(top + i, left + j) = T::zero() }
    });
}

/// Puts every entry of `rows` × `cols`, negated where `signs` says so, into its place in `to`.
#[inline(always)]
unsafe fn copy<T: Real>(
    from: Panel<T>,
    to: Panel<T>,
    rows: Range<usize>,
    cols: usize,
    signs: Option<&[T::Word]>,
    put: impl Fn(T, &mut T),
) {
    let word = |t: usize| signs.map_or(T::Word::default(), |signs| signs[t / T::BITS]);
    // The larger side decides: it is the matrix, the other one a buffer.
    let row_major = from.is_row_major() && (to.is_row_major() || from.down.abs() > to.right.abs())
        || to.is_row_major() && to.down.abs() > from.right.abs();
    if row_major && cols > 1 {
        for t in rows {
            let negate = T::spread(word(t), t % T::BITS);
            let row = |from: Panel<T>, to: Panel<T>| {
                for j in 0..cols {
                    // SAFETY: the caller promises the range of both panels.
                    unsafe { put((*from.at(t, j)).flipped(negate, 0), &mut *to.at(t, j)) };
                }
            };
            if from.right == 1 && to.right == 1 {
                row(Panel { right: 1, ..from }, Panel { right: 1, ..to });
            } else {
                row(from, to);
            }
        }
        return;
    }
    for j in 0..cols {
        let mut t = rows.start;
        while t < rows.end {
            let (word, first) = (word(t), t % T::BITS);
            let end = T::BITS.min(first + rows.end - t);
            let run = |from: Panel<T>, to: Panel<T>, range: Range<usize>| {
                for k in range {
                    let t = t - first + k;
                    // SAFETY: the caller promises the range of both panels.
                    unsafe { put((*from.at(t, j)).flipped(word, k), &mut *to.at(t, j)) };
                }
            };
            if from.down == 1 && to.down == 1 {
                let (from, to) = (Panel { down: 1, ..from }, Panel { down: 1, ..to });
                if end - first == T::BITS {
                    run(from, to, 0..T::BITS);
                } else {
                    run(from, to, first..end);
                }
            } else {
                run(from, to, first..end);
            }
            t += end - first;
        }
    }
}

/// Buffers that tasks borrow in turn: as many exist as tasks run at once.
pub(super) struct Scratch<T: Element> {
    len: usize,
    free: Mutex<Vec<HostBuffer<T>>>,
}

impl<T: Scalar> Scratch<T> {
    /// Buffers of `len` entries.
    pub(super) fn new(len: usize) -> Self {
        Self { len, free: Mutex::new(Vec::new()) }
    }

    /// Calls `task` with a buffer of unspecified contents.
    pub(super) fn with(&self, task: impl FnOnce(&mut [T])) -> Result<()> {
        let free = || self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let buffer = free().pop();
        let mut buffer = buffer.map_or_else(|| HostBuffer::zeroed(self.len), Ok)?;
        task(buffer.as_mut_slice());
        free().push(buffer);
        Ok(())
    }
}
