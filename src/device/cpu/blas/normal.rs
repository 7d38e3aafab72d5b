//! `Z ← Aᵀ(A X − B)` for few columns, A read from memory once.
//!
//! Rows are cut into at most [`STRIPS`] strips by the shape only, a task each. A strip of a row-major A is worked
//! through by [`ROWS`] rows, which stay in the level-2 cache for the second product, as do X and Z; one of a
//! column-major A by tiles of [`TILE_BYTES`] a column, which stay in the last level. Sums over strips are joined in order.
//!
//! Bound: the bytes of A, 8mn in f64, at the bandwidth of memory. Columns that lie pages apart cost a walk
//! through the tables of pages for each piece of them, about as long as the piece itself takes. From [`MOST_COLUMNS`] on products take
//! longer than memory.

use super::CpuScalar;
use crate::device::cpu::isa::{Isa, prefetch_line};
use crate::{Cpu, MatMut, MatRef, Result};

/// Columns of X from which two products are as fast.
pub(super) const MOST_COLUMNS: usize = 8;
/// A smaller A is in the cache for the second of two products anyway.
const LEAST_BYTES: usize = 1 << 20;
/// The most bytes of a tile, that it stays in the last-level cache: 4096 columns.
const MOST_TILE_BYTES: usize = 1 << 23;
const STRIPS: usize = 64;
/// Shorter pieces of columns cost more for their pages, longer ones do not stay in the cache.
const TILE_BYTES: usize = 2048;
/// Columns of a tile that are added at once.
const COLUMNS: usize = 4;
/// Rows that share the loads and stores of X and Z.
const ROWS: usize = 4;
/// Bytes of partial sums that the compiler keeps in registers.
const LANES_BYTES: usize = 128;
/// Columns that are fetched ahead.
const AHEAD: usize = 8;

/// Whether [`normal_times`] serves the operands better than two products.
pub(super) fn serves<T: CpuScalar>(a: &MatRef<'_, T>, columns: usize) -> bool {
    let (m, n) = a.shape();
    let unit = a.row_stride() == 1 || a.col_stride() == 1;
    let cached = n * TILE_BYTES <= MOST_TILE_BYTES;
    unit && cached
        && (1..MOST_COLUMNS).contains(&columns)
        && m >= n
        && m * n * size_of::<T>() >= LEAST_BYTES
}

/// Whether columns of A lie in pages of their own, of a matrix that no cache holds.
pub(super) fn prefers_rows<T: CpuScalar>(a: &MatRef<'_, T>, columns: usize) -> bool {
    const PAGE: usize = 1 << 12;
    const LARGE: usize = 1 << 26;
    let (m, n) = a.shape();
    let (stride, bytes) = (a.col_stride().unsigned_abs(), size_of::<T>());
    serves(a, columns) && a.row_stride() == 1 && stride * bytes >= PAGE && m * n * bytes >= LARGE
}

/// `Z ← Aᵀ(A X − B)`, and ‖A xⱼ − bⱼ‖² into `sums`, of what [`serves`] has let pass.
pub(super) fn normal_times<T: CpuScalar>(
    cpu: &Cpu,
    a: MatRef<'_, T>,
    x: MatRef<'_, T>,
    b: Option<MatRef<'_, T>>,
    mut z: MatMut<'_, T>,
    sums: &mut [f64],
) -> Result<()> {
    let ((m, n), p) = (a.shape(), x.ncols());
    let columns = |x: MatRef<'_, T>| -> Vec<T> {
        (0..x.ncols()).flat_map(|j| (0..x.nrows()).map(move |i| x.get(i, j))).collect()
    };
    let (x, b) = (columns(x), b.map(columns));
    let tile = TILE_BYTES / size_of::<T>();
    let rows = m.div_ceil(STRIPS).next_multiple_of(tile);
    let isa = Isa::detect();
    let strips = cpu.map(m.div_ceil(rows), (m * n * size_of::<T>()) as u64, |task| {
        let rows = task * rows..m.min((task + 1) * rows);
        let b = |q: usize| b.as_ref().map(|b| &b[q * m + rows.start..q * m + rows.end]);
        let strip = Strip { a: a.rows(rows.clone()), x: &x, b: (0..p).map(b).collect() };
        let mut part = Part { z: vec![T::zero(); n * p], squares: vec![0.0; p] };
        match isa {
            Isa::Portable => part.add(&strip),
            // SAFETY: the processor offers the instructions.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { add_avx2(&mut part, &strip) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { add_avx512(&mut part, &strip) },
        }
        part
    });
    sums.fill(0.0);
    let mut total = vec![T::zero(); n * p];
    for part in strips {
        total.iter_mut().zip(part.z).for_each(|(total, z)| *total += z);
        sums.iter_mut().zip(part.squares).for_each(|(total, square)| *total += square);
    }
    for (j, column) in total.chunks_exact(n).enumerate() {
        column.iter().enumerate().for_each(|(i, &entry)| z.set(i, j, entry));
    }
    Ok(())
}

/// See [`Part::add`].
///
/// # Safety
/// The processor offers AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn add_avx2<T: CpuScalar>(part: &mut Part<T>, strip: &Strip<'_, T>) {
    part.add(strip);
}

/// See [`Part::add`].
///
/// # Safety
/// The processor offers these parts of AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
unsafe fn add_avx512<T: CpuScalar>(part: &mut Part<T>, strip: &Strip<'_, T>) {
    part.add(strip);
}

/// Rows of A with their entries of B, which may be left out, and X.
struct Strip<'a, T: CpuScalar> {
    a: MatRef<'a, T>,
    x: &'a [T],
    b: Vec<Option<&'a [T]>>,
}

impl<'a, T: CpuScalar> Strip<'a, T> {
    /// `len` neighbours from entry (i, j) on, along the unit stride of A.
    #[inline(always)]
    fn piece(&self, i: usize, j: usize, len: usize) -> &'a [T] {
        let at = self.at(i, j);
        // SAFETY: callers stay inside of a column of a column-major A or a row of a row-major one.
        unsafe { core::slice::from_raw_parts(at, len) }
    }

    /// The address of entry (i, j), which need not be there.
    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> *const T {
        let a = self.a.as_ptr().wrapping_offset(i as isize * self.a.row_stride());
        a.wrapping_offset(j as isize * self.a.col_stride())
    }
}

/// What a strip gives: Aᵀ(A X − B) column by column, and the squares of the columns of A X − B.
struct Part<T> {
    z: Vec<T>,
    squares: Vec<f64>,
}

impl<T: CpuScalar> Part<T> {
    #[inline(always)]
    fn add(&mut self, strip: &Strip<'_, T>) {
        // A number of lanes that the compiler knows.
        match (strip.a.row_stride() == 1, size_of::<T>() == 4) {
            (true, true) => self.by_columns::<{ LANES_BYTES / 4 }>(strip),
            (true, false) => self.by_columns::<{ LANES_BYTES / 8 }>(strip),
            (false, true) => self.by_rows::<{ LANES_BYTES / 4 }>(strip),
            (false, false) => self.by_rows::<{ LANES_BYTES / 8 }>(strip),
        }
    }

    #[inline(always)]
    fn by_columns<const LANES: usize>(&mut self, strip: &Strip<'_, T>) {
        let ((m, n), tile) = (strip.a.shape(), TILE_BYTES / size_of::<T>());
        let mut y = vec![T::zero(); tile];
        for start in (0..m).step_by(tile) {
            let len = tile.min(m - start);
            let y = &mut y[..len];
            for (q, x) in strip.x.chunks_exact(n).enumerate() {
                y.fill(T::zero());
                for (k, x) in x.chunks(COLUMNS).enumerate() {
                    let j = k * COLUMNS;
                    (0..COLUMNS).for_each(|c| prefetch(strip.at(start, j + AHEAD + c), len));
                    if let &[x0, x1, x2, x3] = x {
                        let [a0, a1, a2, a3] =
                            core::array::from_fn(|c| strip.piece(start, j + c, len));
                        for i in 0..len {
                            y[i] = y[i] + a0[i] * x0 + a1[i] * x1 + a2[i] * x2 + a3[i] * x3;
                        }
                    } else {
                        for (c, &x) in x.iter().enumerate() {
                            let a = strip.piece(start, j + c, len);
                            y.iter_mut().zip(a).for_each(|(y, &a)| *y += a * x);
                        }
                    }
                }
                if let Some(b) = strip.b[q] {
                    y.iter_mut().zip(&b[start..]).for_each(|(y, &b)| *y -= b);
                }
                self.squares[q] += y.iter().map(|y| y.to_f64() * y.to_f64()).sum::<f64>();
                // Those that were read last are nearest.
                for (j, z) in self.z[q * n..(q + 1) * n].iter_mut().enumerate().rev() {
                    *z += dot::<T, LANES>(strip.piece(start, j, len), y);
                }
            }
        }
    }

    #[inline(always)]
    fn by_rows<const LANES: usize>(&mut self, strip: &Strip<'_, T>) {
        let (m, n) = strip.a.shape();
        let whole = m / ROWS * ROWS;
        for i in (0..whole).step_by(ROWS) {
            let rows: [&[T]; ROWS] = core::array::from_fn(|r| strip.piece(i + r, 0, n));
            self.add_rows::<LANES, ROWS>(strip, i, rows);
        }
        (whole..m).for_each(|i| self.add_rows::<LANES, 1>(strip, i, [strip.piece(i, 0, n)]));
    }

    /// The contribution of R rows of n entries, the first being row i.
    #[inline(always)]
    fn add_rows<const LANES: usize, const R: usize>(
        &mut self,
        strip: &Strip<'_, T>,
        i: usize,
        rows: [&[T]; R],
    ) {
        let n = rows[0].len();
        let whole = n / LANES * LANES;
        for (q, x) in strip.x.chunks_exact(n).enumerate() {
            let mut lanes = [[T::zero(); LANES]; R];
            for at in (0..whole).step_by(LANES) {
                let x = block::<T, LANES>(x, at);
                // Loops over numbers are unrolled: the sums stay in registers.
                for r in 0..R {
                    prefetch(rows[r].as_ptr().wrapping_add(R * n + at), LANES);
                    let a = block::<T, LANES>(rows[r], at);
                    for l in 0..LANES {
                        lanes[r][l] += a[l] * x[l];
                    }
                }
            }
            let y: [T; R] = core::array::from_fn(|r| {
                let rest = (whole..n).fold(T::zero(), |y, j| y + rows[r][j] * x[j]);
                let y = sum(lanes[r]) + rest;
                strip.b[q].map_or(y, |b| y - b[i + r])
            });
            self.squares[q] += y.iter().map(|y| y.to_f64() * y.to_f64()).sum::<f64>();
            let z = &mut self.z[q * n..(q + 1) * n];
            let (blocks, rest) = z.as_chunks_mut::<LANES>();
            for (k, z) in blocks.iter_mut().enumerate() {
                let mut sums = *z;
                for r in 0..R {
                    let a = block::<T, LANES>(rows[r], k * LANES);
                    for l in 0..LANES {
                        sums[l] += a[l] * y[r];
                    }
                }
                *z = sums;
            }
            for (z, j) in rest.iter_mut().zip(whole..n) {
                rows.into_iter().zip(y).for_each(|(row, y)| *z += row[j] * y);
            }
        }
    }
}

/// Entries `at..at + LANES`, which are there.
#[inline(always)]
fn block<T, const LANES: usize>(x: &[T], at: usize) -> &[T; LANES] {
    x[at..at + LANES].try_into().expect("as many")
}

#[inline(always)]
fn dot<T: CpuScalar, const LANES: usize>(a: &[T], y: &[T]) -> T {
    let mut lanes = [T::zero(); LANES];
    let ((a, a_rest), (y, y_rest)) = (a.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (a, y) in a.iter().zip(y) {
        for l in 0..LANES {
            lanes[l] += a[l] * y[l];
        }
    }
    a_rest.iter().zip(y_rest).fold(sum(lanes), |sum, (&a, &y)| sum + a * y)
}

/// The sum of the lanes, by halves.
#[inline(always)]
fn sum<T: CpuScalar, const LANES: usize>(mut lanes: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for k in 0..half {
            let other = lanes[k + half];
            lanes[k] += other;
        }
        half /= 2;
    }
    lanes[0]
}

/// Asks for the lines of `len` entries; the address need not be valid.
#[inline(always)]
fn prefetch<T>(at: *const T, len: usize) {
    for k in (0..len).step_by(64 / size_of::<T>()) {
        prefetch_line(at.wrapping_add(k));
    }
}
