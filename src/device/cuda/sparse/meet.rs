//! Products of two sparse factors: `meet` of `cuda/sparse.cu`.
//!
//! A warp sums up to 512 columns of a row of C in shared memory, and walks all lists of the row for them. Warps of
//! a block have neighbouring columns of one row, so the lists come from memory once for 4096 columns, and from
//! the level-1 cache for the rest. Rows of more than [`MOST_WINDOWS`] times 512 columns are summed where they
//! are, `meet_wide`, which walks the lists once unless rows are few: α then meets the left entry before the right
//! one, and sums begin with β C, whose size their rounding errors have.
//!
//! The limit, in ps for a pair of entries on an H100 (3 TB/s, 29 instructions a ps): with w windows ⌈w/8⌉·8 or 12
//! bytes from memory, and w·12 instructions; w = 32 take 11 to 16 and 13. In place a pair costs its 8 or 12 bytes
//! and a sector of C read and written, 24, or 13 where the rows that run stay in the level-2 cache (5.5 TB/s).

use super::super::launch::{Shape, arg, launch};
use super::super::{Cuda, CudaScalar, lanes_along_columns};
use super::{Factor, THREADS, WARPS, in_parts, parts};
use crate::{Blas, MatMut, Result};

/// Columns of C of a warp with sums in shared memory.
const WIDTH: usize = 512;
/// Warps that walk the same lists, at the most.
const MOST_WINDOWS: usize = 32;

/// How the columns of C are cut: in how many windows, and of how many columns where sums are made in C.
fn windows(rows: usize, cols: usize) -> (usize, Option<usize>) {
    let held = cols.div_ceil(WIDTH);
    if held <= MOST_WINDOWS {
        return (held, None);
    }
    // Several only where rows alone are not enough work; whole sectors.
    let width = cols.div_ceil((WARPS / rows).clamp(1, MOST_WINDOWS)).next_multiple_of(8);
    (cols.div_ceil(width), Some(width))
}

/// `C ← α X Y + β C`, X and Y sparse, not both of signs.
pub(in crate::device::cuda) fn times_sparse<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    x: Factor,
    y: Factor,
    mut beta: T,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()>
where
    Cuda: Blas<T>,
{
    assert!(x.shape.1 == y.shape.0 && c.shape() == (x.shape.0, y.shape.1), "factors do not fit");
    assert!(!(x.signs && y.signs), "a product of two operators");
    if alpha == T::zero() || x.entries == 0 || y.entries == 0 || c.is_empty() {
        return cuda.scale(beta, c);
    }
    let (rows, cols) = c.shape();
    let (windows, width) = windows(rows, cols);
    let parts = parts(rows * windows, x.entries / rows, (rows, cols));
    let shape = Shape::over(cuda, rows * windows * parts, THREADS as usize / 32, THREADS);
    let names = match (x.signs, y.signs, width.is_some()) {
        (false, false, false) => ["stored_meets_stored_f32", "stored_meets_stored_f64"],
        (false, true, false) => ["stored_meets_signs_f32", "stored_meets_signs_f64"],
        (true, _, false) => ["signs_meet_stored_f32", "signs_meet_stored_f64"],
        (false, false, true) => ["stored_meets_stored_wide_f32", "stored_meets_stored_wide_f64"],
        (false, true, true) => ["stored_meets_signs_wide_f32", "stored_meets_signs_wide_f64"],
        (true, _, true) => ["signs_meet_stored_wide_f32", "signs_meet_stored_wide_f64"],
    };
    if width.is_some() && parts == 1 && !lanes_along_columns(c.as_ref()) {
        // The kernel goes along rows.
        cuda.scale(beta, c.as_mut())?;
        beta = T::one();
    }
    let (m, n, cuts) = (rows as i64, cols as i64, parts.ilog2());
    let columns = width.unwrap_or_default() as i64;
    in_parts(cuda, parts, alpha, beta, c, |alpha, beta, c| {
        let arguments = &mut [
            arg(&alpha),
            arg(&x.lists),
            arg(&y.lists),
            arg(&beta),
            arg(&c),
            arg(&m),
            arg(&cuts),
            arg(&n),
            arg(&columns),
        ];
        // Only the wide kernels have the last one.
        let arguments = &mut arguments[..8 + usize::from(width.is_some())];
        // SAFETY: the parameters of the kernel; X has the rows of C, which has that many a part, and
        // names rows of Y, whose entries are in columns of C.
        unsafe { launch(cuda, &cuda.gpu.sparse, T::kernel(names), shape, arguments) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_walked_a_bounded_number_of_times() {
        for rows in [1, 7, 64, 4095, 4096, 1 << 20] {
            for cols in [1, 511, 512, 513, 4096, 4097, 16_384, 16_385, 100_000, u32::MAX as usize] {
                let (count, width) = windows(rows, cols);
                let case = format!("{rows} {cols}: {count} {width:?}");
                assert!((1..=MOST_WINDOWS).contains(&count), "{case}");
                assert_eq!(width.is_some(), cols > 16_384, "{case}");
                assert_eq!(cols.div_ceil(width.unwrap_or(WIDTH)), count, "{case}");
                // In place once, but where rows are few.
                assert!(width.is_none() || count == 1 || rows * count <= WARPS, "{case}");
                assert!(width.is_none() || rows > 64 || count >= 31, "{case}");
            }
        }
    }
}
