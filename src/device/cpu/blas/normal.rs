//! `Z ← Aᵀ(A X)` for few columns, A read from memory once.
//!
//! Rows are cut into at most [`STRIPS`] strips by the shape only, a task each; a strip is worked through by tiles of
//! [`TILE_BYTES`] a column. Of a column-major A a tile is copied to memory of its own as it is
//! multiplied by X (columns that are a power of two apart would drive each other from the cache), and read again
//! from the cache for the second product. Rows of a row-major A stay in the cache by themselves. Sums over
//! strips are joined in order.
//!
//! Bound: the bytes of A, 8mn in f64, at the bandwidth of memory. From [`MOST_COLUMNS`] on products take
//! longer than that.

use super::CpuScalar;
use crate::device::cpu::isa::{Isa, prefetch_line};
use crate::{Cpu, MatMut, MatRef, Result};

/// Columns of X from which two products are as fast.
pub(super) const MOST_COLUMNS: usize = 8;
/// A smaller A is in the cache for the second of two products anyway.
const LEAST_BYTES: usize = 1 << 20;
/// The most bytes of a tile, that it stays in the last-level cache: 4096 columns.
const MOST_TILE_BYTES: usize = 1 << 22;
const STRIPS: usize = 64;
/// Shorter pieces of columns cost more for their pages than they spare: 256 bytes took 1.5 times as long.
const TILE_BYTES: usize = 1024;
/// Bytes of partial sums that the compiler keeps in registers.
const LANES_BYTES: usize = 128;
/// Columns that are fetched ahead.
const AHEAD: usize = 12;

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

/// `Z ← Aᵀ(A X)`, and ‖A xⱼ‖² into `sums`, of what [`serves`] has let pass.
pub(super) fn normal_times<T: CpuScalar>(
    cpu: &Cpu,
    a: MatRef<'_, T>,
    x: MatRef<'_, T>,
    mut z: MatMut<'_, T>,
    sums: &mut [f64],
) -> Result<()> {
    let ((m, n), p) = (a.shape(), x.ncols());
    let x: Vec<T> = (0..n * p).map(|k| x.get(k % n, k / n)).collect();
    let tile = TILE_BYTES / size_of::<T>();
    let rows = m.div_ceil(STRIPS).next_multiple_of(tile);
    let isa = Isa::detect();
    let strips = cpu.map(m.div_ceil(rows), (m * n * size_of::<T>()) as u64, |task| {
        let strip = a.rows(task * rows..m.min((task + 1) * rows));
        let mut part = Part { z: vec![T::zero(); n * p], squares: vec![0.0; p] };
        match isa {
            Isa::Portable => part.add(strip, &x),
            // SAFETY: the processor offers the instructions.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { add_avx2(&mut part, strip, &x) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { add_avx512(&mut part, strip, &x) },
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
unsafe fn add_avx2<T: CpuScalar>(part: &mut Part<T>, strip: MatRef<'_, T>, x: &[T]) {
    part.add(strip, x);
}

/// See [`Part::add`].
///
/// # Safety
/// The processor offers these parts of AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
unsafe fn add_avx512<T: CpuScalar>(part: &mut Part<T>, strip: MatRef<'_, T>, x: &[T]) {
    part.add(strip, x);
}

/// What a strip gives: AᵀA X column by column, and the squares of the columns of A X.
struct Part<T> {
    z: Vec<T>,
    squares: Vec<f64>,
}

impl<T: CpuScalar> Part<T> {
    #[inline(always)]
    fn add(&mut self, strip: MatRef<'_, T>, x: &[T]) {
        // Arrays of a length that the compiler knows: of 1024 bytes a tile, of 128 the lanes of a sum.
        match (strip.row_stride() == 1, size_of::<T>() == 4) {
            (true, true) => self.by_columns::<{ TILE_BYTES / 4 }>(strip, x),
            (true, false) => self.by_columns::<{ TILE_BYTES / 8 }>(strip, x),
            (false, true) => self.by_rows::<{ LANES_BYTES / 4 }>(strip, x),
            (false, false) => self.by_rows::<{ LANES_BYTES / 8 }>(strip, x),
        }
    }

    #[inline(always)]
    fn by_columns<const TILE: usize>(&mut self, strip: MatRef<'_, T>, x: &[T]) {
        let (m, n) = strip.shape();
        let mut tile = vec![[T::zero(); TILE]; n];
        for start in (0..m).step_by(TILE) {
            let len = TILE.min(m - start);
            let column = |j: usize| {
                let at = strip.as_ptr().wrapping_offset(j as isize * strip.col_stride());
                at.wrapping_add(start)
            };
            for (q, x) in x.chunks_exact(n).enumerate() {
                let mut y = [T::zero(); TILE];
                for (j, (held, &x)) in tile.iter_mut().zip(x).enumerate() {
                    if q == 0 {
                        prefetch::<T, TILE>(column(j + AHEAD));
                        // SAFETY: `len` entries of the column from `start` on are neighbours in the strip.
                        let column = unsafe { core::slice::from_raw_parts(column(j), len) };
                        match <&[T; TILE]>::try_from(column) {
                            Ok(whole) => *held = *whole,
                            Err(_) => {
                                *held = [T::zero(); TILE];
                                held[..len].copy_from_slice(column);
                            }
                        }
                    }
                    y.iter_mut().zip(&*held).for_each(|(y, &a)| *y += a * x);
                }
                // Rows that are not there: 0·∞ is not 0.
                y[len..].fill(T::zero());
                self.squares[q] += y.iter().map(|y| y.to_f64() * y.to_f64()).sum::<f64>();
                for (z, held) in self.z[q * n..(q + 1) * n].iter_mut().zip(&tile) {
                    let mut product = [T::zero(); TILE];
                    product
                        .iter_mut()
                        .zip(held.iter().zip(&y))
                        .for_each(|(p, (&a, &y))| *p = a * y);
                    *z += sum(product);
                }
            }
        }
    }

    #[inline(always)]
    fn by_rows<const LANES: usize>(&mut self, strip: MatRef<'_, T>, x: &[T]) {
        let (m, n) = strip.shape();
        for i in 0..m {
            let at = strip.as_ptr().wrapping_offset(i as isize * strip.row_stride());
            // SAFETY: the n entries of a row are neighbours.
            let row = unsafe { core::slice::from_raw_parts(at, n) };
            for (q, x) in x.chunks_exact(n).enumerate() {
                let mut lanes = [T::zero(); LANES];
                let ((a, a_rest), (x, x_rest)) = (row.as_chunks::<LANES>(), x.as_chunks::<LANES>());
                for (a, x) in a.iter().zip(x) {
                    lanes.iter_mut().zip(a.iter().zip(x)).for_each(|(sum, (&a, &x))| *sum += a * x);
                }
                for (sum, (&a, &x)) in lanes.iter_mut().zip(a_rest.iter().zip(x_rest)) {
                    *sum += a * x;
                }
                let y = sum(lanes);
                self.squares[q] += y.to_f64() * y.to_f64();
                let z = &mut self.z[q * n..(q + 1) * n];
                z.iter_mut().zip(row).for_each(|(z, &a)| *z += a * y);
            }
        }
    }
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

/// Asks for the lines of a tile; the address need not be valid.
#[inline(always)]
fn prefetch<T, const TILE: usize>(at: *const T) {
    for k in (0..TILE).step_by(64 / size_of::<T>()) {
        prefetch_line(at.wrapping_add(k));
    }
}
