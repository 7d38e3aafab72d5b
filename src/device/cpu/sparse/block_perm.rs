//! C ← α S A + β C for a BlockPerm-SJLT operator, block of rows by block of rows.
//!
//! A tile of A, some rows of one block of columns of S, is packed into the L2 cache and meets the κ
//! blocks of rows of C that its block is wired to one after the other. Such a block, 64 rows of 256
//! bytes with the default parameters, stays in the L1 cache meanwhile, where [`scatter`](super::scatter)
//! updates rows of the whole panel of C in the L2 cache.
//!
//! Cost: 2κs·mn flops, one pass over A, κ reads of a packed tile. A row of C gets its terms in the order of the
//! columns of S, as in every order of this family: only one of the wirings of a block reaches it.

use super::kernel::{Isa, Rows, SparseScalar};
use super::panel::{Block, zeroed_panel};
use super::rows::{SignRows, SparseRows};
use super::scatter::Walk;
use crate::random::BlockPerm;
use crate::{Cpu, MatRef, Result, Sketch};
use core::ops::Range;

/// The columns of an operator by tiles of one block each, a wiring at a time.
pub(super) struct ByBlocks<'a> {
    columns: SignRows<'a>,
    operator: BlockPerm,
    /// Entries of a column and wiring.
    nnz: usize,
    rows: Range<u32>,
    first_column: u64,
}

impl<'a> ByBlocks<'a> {
    /// `s` has rows.
    pub(super) fn new(s: &Sketch, indices: &'a [u32]) -> Self {
        let operator = s.block_perm();
        let rows = s.row_range();
        Self {
            columns: SignRows::new(s, indices),
            operator,
            nnz: operator.nnz(),
            rows: rows.start as u32..rows.end as u32,
            first_column: s.col_range().start as u64,
        }
    }

    /// How many of the columns `range` of the window come first and are of one block.
    fn of_one_block(&self, range: &Range<usize>) -> (u32, usize) {
        let first = self.first_column + range.start as u64;
        let block = self.operator.block_of_column(first);
        let left = self.operator.columns(block).end - first;
        (block, left.min(range.len() as u64) as usize)
    }
}

impl<T: SparseScalar> Walk<T> for ByBlocks<'_> {
    fn rows(&self) -> &impl SparseRows<T> {
        &self.columns
    }

    fn accumulate(
        &self,
        cpu: &Cpu,
        isa: Isa,
        mut range: Range<usize>,
        a: MatRef<'_, T>,
        block: Block,
        panel: &mut [T],
    ) -> Result<()> {
        let step = block.tile_rows::<T>().min(range.len().max(1));
        let mut tile = zeroed_panel::<T>(cpu, step, block.width)?;
        while !range.is_empty() {
            let (h, count) = self.of_one_block(&range);
            let wired: Vec<Range<u32>> = self.operator.wired(h).collect();
            let end = range.start + count;
            for start in (range.start..end).step_by(step) {
                let columns = start..end.min(start + step);
                block.pack(isa, a.rows(columns.clone()), tile.as_mut_slice());
                let packed = tile.as_slice();
                let packed = Rows { ptr: packed.as_ptr(), stride: block.width as isize };
                for (wiring, rows) in wired.iter().enumerate() {
                    let rows = rows.start.max(self.rows.start)..rows.end.min(self.rows.end);
                    if rows.is_empty() {
                        continue;
                    }
                    let within = |row: u32| (row - self.rows.start) as usize * block.width;
                    let sums = &mut panel[within(rows.start)..within(rows.end)];
                    let taken = wiring * self.nnz..(wiring + 1) * self.nnz;
                    let part = self.columns.part(taken, rows);
                    // SAFETY: the tile holds these rows of A; the sums are the rows of the window of
                    // `part`.
                    unsafe {
                        T::scatter(isa, block.width, &part, columns.clone(), packed, 0, sums);
                    }
                }
            }
            range.start = end;
        }
        Ok(())
    }
}
