//! Rows on their way to the front of a matrix, in place.

use crate::{Backend, Mat, MatMut, MatRef, Result, Scalar};

/// Brings chosen rows to the front, in order; those that were there go where the chosen ones came from.
pub(super) struct Exchange<'a> {
    chosen: &'a [usize],
    displaced: Vec<usize>,
    holes: Vec<usize>,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(chosen: &'a [usize]) -> Self {
        let b = chosen.len();
        let mut stays = vec![false; b];
        chosen.iter().filter(|&&j| j < b).for_each(|&j| stays[j] = true);
        let displaced = (0..b).filter(|&j| !stays[j]).collect();
        let mut holes: Vec<usize> = chosen.iter().copied().filter(|&j| j >= b).collect();
        holes.sort_unstable();
        Self { chosen, displaced, holes }
    }

    pub(super) fn apply_to_list(&self, list: &mut [usize]) {
        let chosen: Vec<usize> = self.chosen.iter().map(|&j| list[j]).collect();
        let displaced: Vec<usize> = self.displaced.iter().map(|&j| list[j]).collect();
        self.holes.iter().zip(displaced).for_each(|(&hole, x)| list[hole] = x);
        list[..chosen.len()].copy_from_slice(&chosen);
    }

    /// The first rows are free to be overwritten. `moved` is memory for as many rows, as its columns.
    pub(super) fn make_room<T: Scalar, D: Backend<T>>(
        &self,
        rows: MatMut<'_, T, D>,
        moved: &mut Mat<T, D>,
    ) -> Result<()> {
        let displaced = gathered(&self.displaced, rows.as_ref(), moved)?;
        rows.device().scatter_rows(&self.holes, displaced, rows)
    }

    pub(super) fn apply<T: Scalar, D: Backend<T>>(
        &self,
        mut rows: MatMut<'_, T, D>,
        [moved, ours]: &mut [Mat<T, D>; 2],
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let chosen = gathered(self.chosen, rows.as_ref(), ours)?;
        self.make_room(rows.as_mut(), moved)?;
        rows.device().axpby(T::one(), chosen, T::zero(), rows.rows(0..self.chosen.len()))
    }
}

/// Rows `index`, kept as columns of `memory`.
fn gathered<'a, T: Scalar, D: Backend<T>>(
    index: &[usize],
    rows: MatRef<'_, T, D>,
    memory: &'a mut Mat<T, D>,
) -> Result<MatRef<'a, T, D>> {
    let (length, count) = (rows.ncols(), index.len());
    let to = memory.as_mut().rows(0..length).columns(0..count);
    rows.device().gather_rows(index, rows, to.transpose())?;
    Ok(memory.rows(0..length).columns(0..count).transpose())
}
