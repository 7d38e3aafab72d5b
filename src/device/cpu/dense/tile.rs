//! Tiles of entries.

use super::super::blas::CpuScalar;
use super::super::random;
use crate::random::Stream;
use crate::{Family, Sketch};
use core::ops::Range;

/// Entries of a tile: 16 KiB of f64, so that tile and accumulators share L1.
pub(super) const TILE_LEN: usize = 2048;

/// A scalar whose dense operators can be generated.
pub(crate) trait Entries: CpuScalar {
    /// Entries that one Philox block yields.
    const PER_BLOCK: usize;
    /// `blocks` blocks from `block0` on of each unit from `unit0` on.
    fn normals(seed: u64, block0: u32, blocks: usize, unit0: u64, out: &mut [Self]);
    /// As [`Entries::normals`], uniform.
    fn uniforms(seed: u64, block0: u32, blocks: usize, unit0: u64, out: &mut [Self]);
    /// Rows from `row0` on of each unit from `unit0` on.
    fn signs(seed: u64, row0: u64, rows: usize, unit0: u64, out: &mut [Self]);
}

impl Entries for f32 {
    const PER_BLOCK: usize = 4;
    fn normals(seed: u64, block0: u32, blocks: usize, unit0: u64, out: &mut [Self]) {
        let stream = Stream::GaussianF32.number();
        random::fill_normal_f32(seed, stream, block0, blocks, unit0, out);
    }
    fn uniforms(seed: u64, block0: u32, blocks: usize, unit0: u64, out: &mut [Self]) {
        let stream = Stream::UniformF32.number();
        random::fill_uniform_f32(seed, stream, block0, blocks, unit0, out);
    }
    fn signs(seed: u64, row0: u64, rows: usize, unit0: u64, out: &mut [Self]) {
        random::fill_signs_f32(seed, Stream::Rademacher.number(), row0, rows, unit0, out);
    }
}

impl Entries for f64 {
    const PER_BLOCK: usize = 2;
    fn normals(seed: u64, block0: u32, blocks: usize, unit0: u64, out: &mut [Self]) {
        let stream = Stream::GaussianF64.number();
        random::fill_normal_f64(seed, stream, block0, blocks, unit0, out);
    }
    fn uniforms(seed: u64, block0: u32, blocks: usize, unit0: u64, out: &mut [Self]) {
        let stream = Stream::UniformF64.number();
        random::fill_uniform_f64(seed, stream, block0, blocks, unit0, out);
    }
    fn signs(seed: u64, row0: u64, rows: usize, unit0: u64, out: &mut [Self]) {
        random::fill_signs_f64(seed, Stream::Rademacher.number(), row0, rows, unit0, out);
    }
}

/// A buffer of raw entries of an operator, column by column.
pub(super) struct Tile<T> {
    entries: Vec<T>,
    skip: usize,
    ld: usize,
    rows: usize,
}

/// Rows of a tile start at multiples of this, whatever the scalar type.
const ALIGN: usize = 4;

impl<T: Entries> Tile<T> {
    /// Memory for tiles of at most `rows` rows.
    pub(super) fn new(rows: usize) -> Self {
        let len = TILE_LEN.max(rows + 2 * ALIGN);
        Self { entries: vec![T::zero(); len], skip: 0, ld: 0, rows: 0 }
    }

    /// How many columns of `rows` rows fit.
    pub(super) fn width(&self, rows: usize) -> usize {
        self.entries.len() / (rows + 2 * ALIGN)
    }

    /// Generates the raw entries in `rows` and `cols`, counted in the whole operator.
    pub(super) fn generate(&mut self, s: &Sketch, rows: Range<usize>, cols: Range<usize>) {
        let (seed, unit0) = (s.seed(), cols.start as u64);
        self.rows = rows.len();
        if s.family() == Family::Rademacher {
            (self.skip, self.ld) = (0, rows.len());
            let out = &mut self.entries[..rows.len() * cols.len()];
            return T::signs(seed, rows.start as u64, rows.len(), unit0, out);
        }
        let first = rows.start / T::PER_BLOCK;
        let blocks = rows.end.div_ceil(T::PER_BLOCK) - first;
        (self.skip, self.ld) = (rows.start % T::PER_BLOCK, blocks * T::PER_BLOCK);
        let out = &mut self.entries[..self.ld * cols.len()];
        match s.family() {
            Family::Uniform => T::uniforms(seed, first as u32, blocks, unit0, out),
            _ => T::normals(seed, first as u32, blocks, unit0, out),
        }
    }

    /// Column j of the tile.
    #[inline(always)]
    pub(super) fn column(&self, j: usize) -> &[T] {
        let start = self.skip + j * self.ld;
        &self.entries[start..start + self.rows]
    }
}
