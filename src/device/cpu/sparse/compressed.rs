//! Sparse matrices that are made row by row: operators in compressed sparse rows, and rows made dense.
//!
//! A column-sparse operator is at hand by columns, LASO and row sampling by rows; the other side is
//! the transpose. Tasks fill lists of their own rows, which are then laid end to end. O(ζ) entries a
//! column or row, sorted within a row of LASO; 4 bytes and a value an entry, twice while they move.

use super::kernel::SparseScalar;
use super::rows::{CsrRows, SignRows, SparseRows};
use super::transpose::Transposed;
use crate::device::HostBuffer;
use crate::device::cpu::pool::SharedMut;
use crate::random::{Permutation, Stream, laso_row};
use crate::{Blas, Cpu, Csr, CsrRef, Device, Error, Family, MatMut, Op, Result, Scalar, Sketch};
use core::ops::Range;

/// Rows that are worth a task.
const ROWS: usize = 1 << 11;
/// Drawing an entry costs about as much as this many additions; walking to one that is drawn, as few.
const DRAW: u64 = 100;
const WALK: u64 = 8;

/// op(S) of a sparse family.
pub(in crate::device::cpu) fn compressed<T: SparseScalar>(
    cpu: &Cpu,
    s: &Sketch,
    op: Op,
) -> Result<Csr<T>> {
    let (native, found) = if s.family().is_column_sparse() {
        let words = super::indices(cpu, s)?;
        (Op::Trans, copied(cpu, &SignRows::new(s, &words), T::from_f64(s.scale()))?)
    } else {
        (Op::NoTrans, drawn_rows(cpu, s)?)
    };
    if op == native {
        return Ok(found);
    }
    copied(cpu, &Transposed::new(cpu, &CsrRows::new(found.as_ref()))?, T::one())
}

/// Rows of LASO or row sampling: at most ζ entries each.
fn drawn_rows<T: SparseScalar>(cpu: &Cpu, s: &Sketch) -> Result<Csr<T>> {
    let (rows, cols, m) = (s.row_range(), s.col_range(), s.full_shape().1 as u64);
    let (zeta, scale) = (s.nnz(), s.scale());
    let inside = |column: u64| {
        let column = column as usize;
        cols.contains(&column).then(|| (column - cols.start) as u32)
    };
    let permutation = Permutation::new(s.seed(), Stream::RowSampling, m);
    from_rows(cpu, s.shape(), zeta, DRAW, |range, lists| {
        let mut entries = Vec::new();
        for i in range {
            let i = (rows.start + i) as u64;
            if s.family() == Family::RowSampling {
                if let Some(column) = inside(permutation.get(i)) {
                    lists.push(column, T::from_f64(scale));
                }
            } else {
                laso_row(s.seed(), m, zeta as u32, i, &mut entries);
                for entry in &entries {
                    if let Some(column) = inside(entry.column) {
                        let value = scale * f64::from(entry.count).sqrt();
                        let value = if entry.negative { -value } else { value };
                        lists.push(column, T::from_f64(value));
                    }
                }
            }
            lists.end_row();
        }
    })
}

/// A copy of a matrix that can be walked, its values times `factor`.
fn copied<T: SparseScalar>(cpu: &Cpu, x: &impl SparseRows<T>, factor: T) -> Result<Csr<T>> {
    let (shape, entries) = ((x.nrows(), x.ncols()), x.entries());
    from_rows(cpu, shape, entries.div_ceil(shape.0.max(1)), WALK, |range, lists| {
        for i in range {
            x.for_each(i, |j, value| lists.push(j as u32, factor * value));
            lists.end_row();
        }
    })
}

/// The rows that a task makes.
struct Lists<T> {
    ends: Vec<usize>,
    col_idx: Vec<u32>,
    values: Vec<T>,
}

impl<T: Scalar> Lists<T> {
    fn with_capacity(rows: usize, entries: usize) -> Result<Self> {
        Ok(Self { ends: reserved(rows)?, col_idx: reserved(entries)?, values: reserved(entries)? })
    }

    fn push(&mut self, column: u32, value: T) {
        self.col_idx.push(column);
        self.values.push(value);
    }

    fn end_row(&mut self) {
        self.ends.push(self.values.len());
    }
}

/// An empty vector with room, or [`Error::OutOfMemory`] instead of an abort.
fn reserved<E>(len: usize) -> Result<Vec<E>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len)
        .map_err(|_| Error::OutOfMemory { bytes: len.saturating_mul(size_of::<E>()) })?;
    Ok(vec)
}

/// The matrix of the rows that `fill` pushes, about `per_row` entries each, which cost `cost` each.
///
/// `fill` ends every row of its range, pushes columns inside of the shape, and none twice in a row.
fn from_rows<T: SparseScalar>(
    cpu: &Cpu,
    shape: (usize, usize),
    per_row: usize,
    cost: u64,
    fill: impl Fn(Range<usize>, &mut Lists<T>) + Sync,
) -> Result<Csr<T>> {
    let rows = shape.0;
    let work = (rows as u64).saturating_mul(per_row as u64).saturating_mul(cost);
    let parts = cpu.map(rows.div_ceil(ROWS), work, |task| {
        let range = task * ROWS..rows.min((task + 1) * ROWS);
        let mut lists = Lists::with_capacity(range.len(), range.len().saturating_mul(per_row))?;
        fill(range, &mut lists);
        Ok(lists)
    });
    let parts = parts.into_iter().collect::<Result<Vec<Lists<T>>>>()?;
    let entries = parts.iter().map(|lists| lists.values.len()).sum();
    let mut row_ptr: HostBuffer<usize> = cpu.scratch(rows.saturating_add(1))?;
    let mut col_idx: HostBuffer<u32> = cpu.scratch(entries)?;
    let mut values: HostBuffer<T> = cpu.scratch(entries)?;
    let (starts, columns, stored) =
        (row_ptr.as_mut_slice(), col_idx.as_mut_slice(), values.as_mut_slice());
    starts[0] = 0;
    let (mut row, mut start) = (1, 0);
    for lists in &parts {
        let end = start + lists.values.len();
        for (target, end) in starts[row..].iter_mut().zip(&lists.ends) {
            *target = start + end;
        }
        columns[start..end].copy_from_slice(&lists.col_idx);
        stored[start..end].copy_from_slice(&lists.values);
        (row, start) = (row + lists.ends.len(), end);
    }
    assert!(row == rows + 1 && columns.iter().all(|&j| (j as usize) < shape.1), "rows of a matrix");
    // SAFETY: a pointer a row, non-decreasing, to entries inside of the shape, as just checked; that
    // none is there twice is what `fill` promises.
    Ok(unsafe { Csr::from_buffers(cpu, shape, entries, row_ptr, col_idx, values) })
}

/// `C ← X[:, first..]`, dense.
pub(super) fn expand<T: SparseScalar>(
    cpu: &Cpu,
    x: CsrRef<'_, T>,
    first: usize,
    mut c: MatMut<'_, T>,
) -> Result<()>
where
    Cpu: Blas<T>,
{
    cpu.scale(T::zero(), c.as_mut())?;
    let x = CsrRows::new(x);
    let (rows, cols) = c.shape();
    let (down, right) = (c.row_stride(), c.col_stride());
    let target = SharedMut(c.as_mut_ptr());
    cpu.for_each(rows.div_ceil(ROWS), x.entries() as u64 * WALK, |task| {
        for i in task * ROWS..rows.min((task + 1) * ROWS) {
            x.for_each(i, |j, value| {
                let j = j.wrapping_sub(first);
                if j < cols {
                    // SAFETY: entry (i, j) is inside of C, and the task alone writes row i.
                    unsafe {
                        *target.get().offset(i as isize * down + j as isize * right) = value;
                    }
                }
            });
        }
    });
    Ok(())
}
