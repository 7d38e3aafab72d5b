//! Positions and signs of a column-sparse operator's entries.
//!
//! ζ packed words `row << 1 | negative` a column, 4ζ bytes, rows counted in the whole operator: a
//! window of rows uses the words of the whole and skips what lies outside.

use crate::device::cpu::pool::SharedMut;
use crate::device::cpu::random::{block_perm_columns, sparse_sign_columns, sparse_stack_columns};
use crate::{Cpu, Error, Family, Result, Sketch};

/// Columns that one task fills.
const COLUMNS_PER_TASK: usize = 1024;
/// The bytes of indices that are held at once, a part of a shared L3 cache.
const CHUNK_BYTES: usize = 4 << 20;
/// Generating an index costs about as much as this many additions.
const COST: u64 = 8;

/// The words of the columns of the window `s`, column after column.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(in crate::device::cpu) fn indices(cpu: &Cpu, s: &Sketch) -> Result<Vec<u32>> {
    let (d, columns, zeta) = (s.full_shape().0, s.ncols(), s.nnz());
    if d == 0 {
        return Ok(Vec::new());
    }
    let len = columns.saturating_mul(zeta);
    let mut words = Vec::new();
    let reserved = words.try_reserve_exact(len);
    reserved.map_err(|_| Error::OutOfMemory { bytes: len.saturating_mul(size_of::<u32>()) })?;
    words.resize(len, 0);
    let (seed, first) = (s.seed(), s.col_range().start as u64);
    let out = SharedMut(words.as_mut_ptr());
    let block_perm = (s.family() == Family::BlockPermSjlt).then(|| s.block_perm());
    cpu.for_each(columns.div_ceil(COLUMNS_PER_TASK), len as u64 * COST, |task| {
        let start = task * COLUMNS_PER_TASK;
        let count = COLUMNS_PER_TASK.min(columns - start);
        // SAFETY: tasks fill the words of their own columns, which lie inside of `words`.
        let out =
            unsafe { core::slice::from_raw_parts_mut(out.get().add(start * zeta), count * zeta) };
        let unit = first + start as u64;
        match (&block_perm, s.family()) {
            (Some(operator), _) => block_perm_columns(operator, unit, out),
            (_, Family::SparseSign) => sparse_sign_columns(seed, d as u32, zeta as u32, unit, out),
            _ => sparse_stack_columns(seed, d as u32, zeta as u32, unit, out),
        }
    });
    Ok(words)
}

/// How many columns are indexed at once.
pub(in crate::device::cpu) fn index_chunk(s: &Sketch) -> usize {
    (CHUNK_BYTES / (size_of::<u32>() * s.nnz().max(1))).max(1)
}
