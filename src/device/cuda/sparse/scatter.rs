//! S·A for narrow A from the columns of S as they are indexed: `scatter` of `cuda/scatter.cuh`.
//!
//! The rows of S are at hand after a sort only, which moves 44 + 28·(digits of 8 bits) bytes for each entry of S:
//! 100 with two digits, 33 ps on an H100 (3 TB/s) and 39 with the counters, and `gather` then reads 8 bytes and n
//! entries of A for it, 1.5 + 0.7n ps from the level-2 cache. For few columns n that is nearly all sort. `scatter`
//! needs none: a warp sums 64 rows of C in shared memory, and looks at the words of all columns that may name one of
//! them. A look costs some 19 instructions a lane with all that is about it, 0.65 ps for each column of A, the number
//! of these rounded up to a power of two. There are ⌈d/64⌉ζ looks for a column of S, but ⌈d/64⌉ + ζ - 1 at the most
//! where S is stacked, since every word has rows of its own. So scatter is the faster one up to looks · columns =
//! (62 + n)ζ, and [`LOOKS`] is that.
//!
//! | ps a row of A, ζ = 8, two digits | n = 1 | 4 | 16 |
//! |---|---|---|---|
//! | sort and gather, by the bytes above | 326 | 346 | 414 |
//! | scatter, stacked, d = 256 (`cuda/traffic.txt`, m = 16000) | 20 | 94 | 209 |
//! | scatter, SparseSign, d = 256 (the same) | 28 | 124 | 338 |
//!
//! Both need positions, 200 a ns (40 ps for ζ = 8). Longer A cost less a row: parts of the sums are longer then.

use super::super::launch::{Module, Shape, View, arg, launch};
use super::super::{Cuda, CudaScalar};
use super::{Factor, MOST_SUMS, WARPS, in_parts};
use crate::{Family, MatMut, MatRef, Result, Sketch, Storage};

/// Rows of C of a warp, threads of a block, and rows of A that a lane loads ahead, as in `cuda/scatter.cuh`.
const SLICE: usize = 64;
const THREADS: u32 = 128;
const AHEAD: usize = 4;
/// The most columns of A, a lane each.
const NARROW: usize = 32;
/// Looks times columns that are worth a word that is not sorted.
const LOOKS: usize = 64;
/// Parts are worth their sums where these are so many times fewer than the entries of A, or few anyway; and a warp
/// takes so many steps at least.
const SUMS_A_PART: usize = 8;
const FEW_SUMS: usize = 1 << 18;
const LEAST_STEPS: usize = 4;

/// How `scatter` is laid over S·A, by shapes only.
pub(in crate::device::cuda) struct Scatter {
    x: Factor,
    /// The rows of all of a stacked S, else 0.
    stacked: u32,
    cols: usize,
    /// The logarithm of the lanes along the columns.
    wide: u32,
    slices: usize,
    parts: usize,
}

/// Words that all slices of `rows` rows look at for a column of S.
fn looks(rows: usize, zeta: usize, stacked: bool) -> usize {
    let slices = rows.div_ceil(SLICE);
    if stacked { slices + zeta - 1 } else { slices * zeta }
}

impl Scatter {
    /// For A of `cols` columns and the window `s`, `words` being those of its columns; nothing where lists had
    /// better be turned.
    pub(in crate::device::cuda) fn new(s: &Sketch, words: u64, cols: usize) -> Option<Self> {
        let ((rows, inner), zeta) = (s.shape(), s.nnz());
        let stacked = matches!(s.family(), Family::SparseStack | Family::CountSketch);
        let across = cols.next_power_of_two();
        let empty = rows == 0 || cols == 0;
        if empty || cols > NARROW || looks(rows, zeta, stacked) * across > LOOKS * zeta {
            return None;
        }
        let slices = rows.div_ceil(SLICE);
        let affordable = (inner / (SUMS_A_PART * rows)).max(FEW_SUMS / (rows * cols));
        let parts = (WARPS / slices)
            .min(inner * across / (32 * AHEAD * LEAST_STEPS))
            .min(affordable)
            .min(MOST_SUMS / (rows * cols))
            .max(1);
        let stacked = if stacked { s.full_shape().0 as u32 } else { 0 };
        let x = Factor::signs(s, words);
        Some(Self { x, stacked, cols, wide: across.ilog2(), slices, parts })
    }

    /// `C ← α S A + β C`, by the kernel `name` for the type of A.
    #[allow(clippy::too_many_arguments)]
    pub(in crate::device::cuda) fn run<T: CudaScalar, S: Storage<Compute = T>>(
        &self,
        cuda: &Cuda,
        module: &Module,
        name: &'static str,
        alpha: T,
        a: MatRef<'_, S, Cuda>,
        beta: T,
        c: MatMut<'_, T, Cuda>,
    ) -> Result<()> {
        let (inner, rows) = self.x.shape;
        assert!(
            a.shape() == (inner, self.cols) && c.shape() == (rows, self.cols),
            "A or C misfits"
        );
        let warps = THREADS as usize / 32;
        let shared = (warps * SLICE * 32 * size_of::<T>()) as u32;
        let shape = Shape::over(cuda, self.slices * self.parts, warps, THREADS);
        let shape = Shape { shared, ..shape };
        let (a, inner, cols) = (View::of(a), inner as i64, self.cols as u32);
        let (slices, count) = (self.slices as u32, self.parts as i64);
        in_parts(cuda, self.parts, alpha, beta, c, |alpha, beta, c| {
            let arguments = &mut [
                arg(&alpha),
                arg(&self.x.lists),
                arg(&self.stacked),
                arg(&a),
                arg(&beta),
                arg(&c),
                arg(&inner),
                arg(&cols),
                arg(&self.wide),
                arg(&slices),
                arg(&count),
            ];
            // SAFETY: the parameters of the kernel; A has a row a column of S, C a row a row of S and part,
            // and the shared memory holds a slice a warp.
            unsafe { launch(cuda, module, name, shape, arguments) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_matrices_are_scattered() {
        let parts = |s: Sketch, n: usize| Scatter::new(&s, 0, n).map(|scatter| scatter.parts);
        let stack = |d| Sketch::sparse_stack(d, 500_000, 8, 1).unwrap();
        let sign = |d| Sketch::sparse_sign(d, 500_000, 8, 1).unwrap();
        let count = |d| Sketch::count_sketch(d, 500_000, 1).unwrap();
        for (s, narrow, wide) in [
            (stack(256), 32, 33),
            (stack(576), 32, 33),
            (stack(640), 16, 17),
            (stack(1600), 16, 17),
            (stack(1664), 8, 9),
            (stack(20_000), 1, 2),
            (sign(128), 32, 33),
            (sign(129), 16, 17),
            (sign(1024), 4, 5),
            (sign(4096), 1, 2),
            (count(128), 32, 33),
            (count(4096), 1, 2),
        ] {
            assert!(parts(s, narrow).is_some() && parts(s, wide).is_none(), "{s:?}");
        }
        assert!(parts(sign(4097), 1).is_none());
        // Enough warps, and sums that are few beside A or in all.
        for (s, n) in [(stack(256), 1), (stack(256), 32), (stack(1024), 4), (count(1), 1)] {
            let (parts, (d, m)) = (parts(s, n).unwrap(), s.shape());
            assert!(parts * d.div_ceil(64) <= WARPS, "{s:?} {n}");
            assert!(parts * d * n <= FEW_SUMS.max(m * n / SUMS_A_PART), "{s:?} {n}");
            assert!(parts > 60, "{s:?} {n} {parts}");
        }
        assert_eq!(parts(stack(8).columns(0..10), 1), Some(1));
    }
}
