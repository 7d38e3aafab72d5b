//! Vectorised fills of random numbers, bit for bit those of [`crate::random`].
//!
//! Philox runs on eight (AVX-512) or four (AVX2) blocks at a time, one 64-bit lane a block with
//! the upper half of the lane left as garbage: `lo32(c)·M` is then a single widening multiply and
//! its high half a shift, with no shuffle. The transforms follow in registers, on f32 in full
//! 32-bit lanes. A lane is a flat index over (unit, block), so short columns do not waste lanes.
//!
//! One generic body a family (`fill` with `transform`, `signs`, `sparse`) is compiled for each instruction set
//! (`avx2`, `avx512`); `portable` runs the scalar definitions. The instruction set is detected at
//! run time, and never changes a bit.
//!
//! # Cost
//! Counted in registers in `fill` and `transform`, measured in `benches/README.md`.

// Without a vector instruction set, the vector bodies are compiled but not called.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod fill;
mod lanes;
mod portable;
mod signs;
mod sparse;
#[cfg(test)]
mod tests;
mod transform;

use super::Isa;
use crate::random::{BlockPerm, Stream, row_blocks};
use fill::Blocks;
use lanes::Lanes;
use signs::Signs;
use sparse::Columns;
use transform::{NormalF32, NormalF64, UniformF32, UniformF64};

/// Runs a kernel on an instruction set, or portably where the processor lacks it.
#[inline]
fn launch<K: Kernel>(isa: Isa, kernel: K) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            if let Some(lanes) = avx512::Avx512::detect() {
                return lanes.launch(kernel);
            }
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => {
            if let Some(lanes) = avx2::Avx2::detect() {
                return lanes.launch(kernel);
            }
        }
        Isa::Portable => {}
    }
    kernel.run_portable();
}

/// Work that is compiled once an instruction set.
trait Kernel {
    /// The work in vector registers; must be `#[inline(always)]`.
    fn run<L: Lanes>(self, lanes: L);
    /// The work by the scalar definitions.
    fn run_portable(self);
}

/// Defines the fills of whole blocks: one on the best instruction set, one on a chosen one for tests.
macro_rules! block_fills {
    ($($(#[$doc:meta])* $name:ident, $at:ident, $type:ty, $family:ty;)*) => { $(
        $(#[$doc])*
        ///
        /// Writes blocks `block0..block0 + blocks` of each of the units from `unit0` on, unit by
        /// unit. The length of `out` must be a multiple of the entries of `blocks` blocks.
        pub(crate) fn $name(
            seed: u64,
            stream: u32,
            block0: u32,
            blocks: usize,
            unit0: u64,
            out: &mut [$type],
        ) {
            $at(Isa::detect(), seed, stream, block0, blocks, unit0, out);
        }

        #[doc = concat!("[`", stringify!($name), "`] on a given instruction set.")]
        pub(crate) fn $at(
            isa: Isa,
            seed: u64,
            stream: u32,
            block0: u32,
            blocks: usize,
            unit0: u64,
            out: &mut [$type],
        ) {
            launch(isa, Blocks::<$family>::new(seed, stream, block0, blocks, unit0, out));
        }
    )* };
}

block_fills! {
    /// Standard normals in f32, four a block ([`crate::random::normal_f32`]).
    fill_normal_f32, fill_normal_f32_at, f32, NormalF32;
    /// Standard normals in f64, two a block ([`crate::random::normal_f64`]).
    fill_normal_f64, fill_normal_f64_at, f64, NormalF64;
    /// Uniforms of variance 1 in f32, four a block ([`crate::random::uniform_f32`]).
    fill_uniform_f32, fill_uniform_f32_at, f32, UniformF32;
    /// Uniforms of variance 1 in f64, two a block ([`crate::random::uniform_f64`]).
    fill_uniform_f64, fill_uniform_f64_at, f64, UniformF64;
}

/// Defines the fills with signs: one on the best instruction set, one on a chosen one for tests.
macro_rules! sign_fills {
    ($($(#[$doc:meta])* $name:ident, $at:ident, $type:ty;)*) => { $(
        $(#[$doc])*
        ///
        /// `out` is column-major with `rows` rows without gaps: signs of rows
        /// `row0..row0 + rows` of the units from `unit0` on, as +1 and −1.
        pub(crate) fn $name(
            seed: u64,
            stream: u32,
            row0: u64,
            rows: usize,
            unit0: u64,
            out: &mut [$type],
        ) {
            $at(Isa::detect(), seed, stream, row0, rows, unit0, out);
        }

        #[doc = concat!("[`", stringify!($name), "`] on a given instruction set.")]
        pub(crate) fn $at(
            isa: Isa,
            seed: u64,
            stream: u32,
            row0: u64,
            rows: usize,
            unit0: u64,
            out: &mut [$type],
        ) {
            launch(isa, Signs { seed, stream, row0, rows, unit0, out });
        }
    )* };
}

sign_fills! {
    /// Signs in f32 ([`crate::random::sign`]).
    fill_signs_f32, fill_signs_f32_at, f32;
    /// Signs in f64 ([`crate::random::sign`]).
    fill_signs_f64, fill_signs_f64_at, f64;
}

/// Columns of a sparse sign operator from `unit0` on, `zeta` packed entries each
/// ([`crate::random::sparse_sign_column`]); `out` holds whole columns.
pub(crate) fn sparse_sign_columns(seed: u64, d: u32, zeta: u32, unit0: u64, out: &mut [u32]) {
    sparse_sign_columns_at(Isa::detect(), seed, d, zeta, unit0, out);
}

/// [`sparse_sign_columns`] on a given instruction set.
pub(crate) fn sparse_sign_columns_at(
    isa: Isa,
    seed: u64,
    d: u32,
    zeta: u32,
    unit0: u64,
    out: &mut [u32],
) {
    let ranges: Vec<_> = (d - zeta..d).map(|last| 0..last + 1).collect();
    let (stream, run) = (Stream::SparseSign, ranges.len());
    launch(isa, Columns::<true> { seed, stream, ranges: &ranges, run, unit0, out });
}

/// Columns of a sparse stack operator from `unit0` on, `zeta` packed entries each
/// ([`crate::random::sparse_stack_column`]); `out` holds whole columns.
pub(crate) fn sparse_stack_columns(seed: u64, d: u32, zeta: u32, unit0: u64, out: &mut [u32]) {
    sparse_stack_columns_at(Isa::detect(), seed, d, zeta, unit0, out);
}

/// [`sparse_stack_columns`] on a given instruction set.
pub(crate) fn sparse_stack_columns_at(
    isa: Isa,
    seed: u64,
    d: u32,
    zeta: u32,
    unit0: u64,
    out: &mut [u32],
) {
    let ranges: Vec<_> = row_blocks(d, zeta).collect();
    let (stream, run) = (Stream::SparseStack, ranges.len());
    launch(isa, Columns::<false> { seed, stream, ranges: &ranges, run, unit0, out });
}

/// Columns of a BlockPerm-SJLT operator from `unit0` on ([`BlockPerm::column`]); `out` holds whole
/// columns.
pub(crate) fn block_perm_columns(operator: &BlockPerm, unit0: u64, out: &mut [u32]) {
    block_perm_columns_at(Isa::detect(), operator, unit0, out);
}

/// [`block_perm_columns`] on a given instruction set.
pub(crate) fn block_perm_columns_at(isa: Isa, operator: &BlockPerm, unit0: u64, out: &mut [u32]) {
    let (seed, stream, run) = (operator.seed(), Stream::BlockPermEntries, operator.nnz());
    let (mut unit0, mut rest) = (unit0, out);
    while !rest.is_empty() {
        let block = operator.block_of_column(unit0);
        let ranges: Vec<_> = operator.ranges(block).collect();
        let left = (operator.columns(block).end - unit0).min((rest.len() / ranges.len()) as u64);
        let (out, after) = rest.split_at_mut(left as usize * ranges.len());
        launch(isa, Columns::<false> { seed, stream, ranges: &ranges, run, unit0, out });
        (unit0, rest) = (unit0 + left, after);
    }
}
