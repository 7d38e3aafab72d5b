//! Panels: groups of columns with any strides, copied to and from contiguous buffers, with signs,
//! zero padding and factors applied on the way.
//!
//! Walsh-Hadamard buffers hold a panel row by row, so that one sign serves a row and butterflies
//! meet whole registers; cosine buffers hold it column by column. Columns of a row-major matrix
//! are handled a few cache lines at a time, so each line of it is used whole.

use super::{Real, fwht::LEAF_BYTES};
use crate::device::{HostBuffer, Workspace};
use crate::{Cpu, Element, Result, Scalar};
use core::ops::Range;
use std::sync::{Arc, Mutex};

/// Where entry (t, j) of a panel lies: `t·down + j·right + ⌊t / 2^run⌋·gap` entries after the first.
#[derive(Clone, Copy)]
pub(super) struct Panel<T> {
    ptr: *mut T,
    pub(super) down: isize,
    pub(super) right: isize,
    run: u32,
    gap: usize,
}

// SAFETY: whoever dereferences the pointer promises that tasks write distinct entries.
unsafe impl<T: Send> Send for Panel<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Panel<T> {}

impl<T: Copy> Panel<T> {
    pub(super) fn new(ptr: *mut T, down: isize, right: isize) -> Self {
        Self { ptr, down, right, run: 0, gap: 0 }
    }

    /// The same with `gap` more entries after every `run` rows, a power of two and a multiple of
    /// the bits of a sign word.
    pub(super) fn with_gaps(self, run: usize, gap: usize) -> Self {
        Self { run: run.ilog2(), gap, ..self }
    }

    /// The address of entry (t, j).
    #[inline(always)]
    pub(super) fn at(self, t: usize, j: usize) -> *mut T {
        let gaps = (t >> self.run) * self.gap;
        self.ptr.wrapping_offset(t as isize * self.down + j as isize * self.right + gaps as isize)
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
/// their entries are neighbours, else `bytes` of every row, or what fills a leaf.
pub(super) fn panel_width<T: Copy>(n: usize, cols: usize, panel: Panel<T>, bytes: usize) -> usize {
    if cols == 1 || !panel.is_row_major() {
        return 1;
    }
    let width = (bytes / size_of::<T>()).max(LEAF_BYTES / size_of::<T>() / n);
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
    let start = rows.start.clamp(window.start, window.end);
    let end = rows.end.clamp(window.start, window.end);
    // SAFETY: the caller's promise, for parts of its ranges.
    unsafe {
        zero(buffer, rows.start..start.min(rows.end), 0..width);
        copy(source, buffer, start..end, cols, signs, Assign);
        zero(buffer, start..end, cols..width);
        zero(buffer, end.max(rows.start)..rows.end, 0..width);
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
            copy(buffer, target, rows, cols, signs, Scale(factor));
        } else {
            copy(buffer, target, rows, cols, signs, Update(factor, beta));
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
    let pairs = |i| (index[i], i);
    // SAFETY: the caller's promise.
    unsafe {
        if beta == T::zero() {
            permute(buffer, target, index.len(), pairs, cols, Scale(factor));
        } else {
            permute(buffer, target, index.len(), pairs, cols, Update(factor, beta));
        }
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
    unsafe { permute(source, buffer, index.len(), |i| (i, index[i]), cols, Assign) };
}

/// Multiplies rows of `width` entries, the first of which is row `row`, by `factor` or, where the
/// bit of `signs` is set, by −`factor`.
#[inline(always)]
pub(super) fn flip<T: Real>(x: &mut [T], row: usize, width: usize, signs: &[T::Word], factor: T) {
    if width == 1 && row.is_multiple_of(T::WORD) && x.len().is_multiple_of(T::WORD) {
        for (x, &word) in x.chunks_exact_mut(T::WORD).zip(&signs[row / T::WORD..]) {
            for (k, x) in x.iter_mut().enumerate() {
                *x = x.flipped(word, k) * factor;
            }
        }
        return;
    }
    for (t, x) in x.chunks_exact_mut(width).enumerate() {
        let t = row + t;
        let factor = factor.flipped(signs[t / T::WORD], t % T::WORD);
        for x in x {
            *x *= factor;
        }
    }
}

/// What becomes of an entry at its target. (A trait, because a closure need not be inlined, and
/// would then not be compiled for the instruction set.)
trait Put<T>: Copy {
    fn put(self, x: T, to: &mut T);
}

/// `to ← x`.
#[derive(Clone, Copy)]
struct Assign;

/// `to ← factor·x`.
#[derive(Clone, Copy)]
struct Scale<T>(T);

/// `to ← factor·x + beta·to`.
#[derive(Clone, Copy)]
struct Update<T>(T, T);

impl<T> Put<T> for Assign {
    #[inline(always)]
    fn put(self, x: T, to: &mut T) {
        *to = x;
    }
}

impl<T: Real> Put<T> for Scale<T> {
    #[inline(always)]
    fn put(self, x: T, to: &mut T) {
        *to = self.0 * x;
    }
}

impl<T: Real> Put<T> for Update<T> {
    #[inline(always)]
    fn put(self, x: T, to: &mut T) {
        *to = self.0 * x + self.1 * *to;
    }
}

/// Puts every entry of `rows` × `cols`, negated where `signs` says so, into its place in `to`.
#[inline(always)]
unsafe fn copy<T: Real>(
    from: Panel<T>,
    to: Panel<T>,
    rows: Range<usize>,
    cols: usize,
    signs: Option<&[T::Word]>,
    put: impl Put<T>,
) {
    let word = |t: usize| signs.map_or(T::Word::default(), |signs| signs[t / T::WORD]);
    // SAFETY: the caller promises rows × cols of both panels.
    unsafe {
        if matrix(from, to).is_row_major() && cols > 1 {
            if from.right == 1 && to.right == 1 && from.gap == 0 && to.gap == 0 {
                // As little as possible between rows: those that wait for memory are the more at
                // a time, the fewer instructions each of them is.
                let (mut source, mut target) = (from.at(rows.start, 0), to.at(rows.start, 0));
                for t in rows {
                    row(source, 1, target, 1, cols, T::spread(word(t), t % T::WORD), put);
                    source = source.wrapping_offset(from.down);
                    target = target.wrapping_offset(to.down);
                }
                return;
            }
            for t in rows {
                let negate = T::spread(word(t), t % T::WORD);
                let (source, target) = (from.at(t, 0), to.at(t, 0));
                if from.right == 1 && to.right == 1 {
                    row(source, 1, target, 1, cols, negate, put);
                } else {
                    row(source, from.right, target, to.right, cols, negate, put);
                }
            }
            return;
        }
        for j in 0..cols {
            let mut t = rows.start;
            while t < rows.end {
                let first = t % T::WORD;
                let last = T::WORD.min(first + rows.end - t);
                let (source, target) = (from.at(t - first, j), to.at(t - first, j));
                if from.down != 1 || to.down != 1 {
                    column(source, from.down, target, to.down, first..last, word(t), put);
                } else if last - first == T::WORD {
                    column(source, 1, target, 1, 0..T::WORD, word(t), put);
                } else {
                    column(source, 1, target, 1, first..last, word(t), put);
                }
                t += last - first;
            }
        }
    }
}

/// Puts row `pair(i).0` of `from` into row `pair(i).1` of `to` for each `i < rows`.
#[inline(always)]
unsafe fn permute<T: Real>(
    from: Panel<T>,
    to: Panel<T>,
    rows: usize,
    pair: impl Fn(usize) -> (usize, usize),
    cols: usize,
    put: impl Put<T>,
) {
    let negate = T::Word::default();
    // SAFETY: the caller promises the rows of both panels.
    unsafe {
        if matrix(from, to).is_row_major() && cols > 1 {
            for i in 0..rows {
                let (s, t) = pair(i);
                let (source, target) = (from.at(s, 0), to.at(t, 0));
                if from.right == 1 && to.right == 1 {
                    row(source, 1, target, 1, cols, negate, put);
                } else {
                    row(source, from.right, target, to.right, cols, negate, put);
                }
            }
            return;
        }
        for j in 0..cols {
            for i in 0..rows {
                let (s, t) = pair(i);
                put.put(*from.at(s, j), &mut *to.at(t, j));
            }
        }
    }
}

/// The panel that is a matrix and not a buffer: the one with the larger strides.
#[inline(always)]
fn matrix<T: Copy>(from: Panel<T>, to: Panel<T>) -> Panel<T> {
    let reach = |panel: Panel<T>| panel.down.unsigned_abs().max(panel.right.unsigned_abs());
    if reach(from) > reach(to) { from } else { to }
}

#[inline(always)]
unsafe fn row<T: Real>(
    from: *const T,
    from_step: isize,
    to: *mut T,
    to_step: isize,
    len: usize,
    negate: T::Word,
    put: impl Put<T>,
) {
    for j in 0..len as isize {
        // SAFETY: the caller promises len entries of both.
        unsafe {
            let x = (*from.wrapping_offset(j * from_step)).flipped(negate, 0);
            put.put(x, &mut *to.wrapping_offset(j * to_step));
        }
    }
}

#[inline(always)]
unsafe fn column<T: Real>(
    from: *const T,
    from_step: isize,
    to: *mut T,
    to_step: isize,
    range: Range<usize>,
    word: T::Word,
    put: impl Put<T>,
) {
    for k in range {
        // SAFETY: the caller promises the entries of the range of both.
        unsafe {
            let x = (*from.wrapping_offset(k as isize * from_step)).flipped(word, k);
            put.put(x, &mut *to.wrapping_offset(k as isize * to_step));
        }
    }
}

#[inline(always)]
unsafe fn zero<T: Real>(buffer: Panel<T>, rows: Range<usize>, cols: Range<usize>) {
    let by_rows = buffer.is_row_major();
    let (outer, inner) =
        if by_rows { (rows.clone(), cols.clone()) } else { (cols.clone(), rows.clone()) };
    for p in outer {
        for q in inner.clone() {
            let (t, j) = if by_rows { (p, q) } else { (q, p) };
            // SAFETY: the caller promises that rows × cols is writable.
            unsafe { *buffer.at(t, j) = T::zero() };
        }
    }
}

/// Buffers that tasks borrow in turn: as many exist as tasks run at once.
pub(super) struct Scratch<T: Element> {
    len: usize,
    /// Where the buffers come from and go to.
    home: Option<Arc<Workspace>>,
    free: Mutex<Vec<HostBuffer<T>>>,
}

impl<T: Scalar> Scratch<T> {
    /// Buffers of `len` entries.
    pub(super) fn new(cpu: &Cpu, len: usize) -> Self {
        Self { len, home: cpu.workspace().cloned(), free: Mutex::new(Vec::new()) }
    }

    /// Calls `task` with a buffer of unspecified contents.
    pub(super) fn with(&self, task: impl FnOnce(&mut [T])) -> Result<()> {
        let free = || self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let buffer = free().pop();
        let mut buffer =
            buffer.map_or_else(|| HostBuffer::zeroed_in(self.home.as_ref(), self.len), Ok)?;
        task(buffer.as_mut_slice());
        free().push(buffer);
        Ok(())
    }
}
