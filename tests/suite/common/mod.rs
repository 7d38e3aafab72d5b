//! What the suites share: the oracle, its building blocks, and test data.

pub mod cuts;
pub mod entries;
pub mod place;
pub mod plain;
pub mod reference;
mod reference_sketch;

pub mod spectra;
pub mod stored;
mod wide;

pub(crate) use place::on_every_device;
pub use place::{Backends, Place};
pub use plain::{Plain, assert_columns_within, assert_same_bits, assert_within};
pub use reference::Reference;
pub use stored::{Layout, Stored};

use randnla::{BlockPermParams, Cpu, Family, Result, Sketch};
use std::sync::OnceLock;

/// The CPU with one, two and three threads.
pub fn cpus() -> &'static [Cpu; 3] {
    static CPUS: OnceLock<[Cpu; 3]> = OnceLock::new();
    CPUS.get_or_init(|| [1, 2, 3].map(|threads| Cpu::with_threads(threads).unwrap()))
}

/// A fixed function that looks random: uniform on (−1, 1), never 0 (splitmix64's finaliser).
pub fn noise(seed: u64, i: usize, j: usize) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (i as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9)
        ^ (j as u64).wrapping_mul(0x94d0_49bb_1331_11eb).rotate_left(31);
    for multiplier in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        x = (x ^ (x >> 30)).wrapping_mul(multiplier);
    }
    ((x >> 11) as f64 + 0.5) / 2f64.powi(52) - 1.0
}

/// Every family.
pub const FAMILIES: [Family; 13] = [
    Family::Gaussian,
    Family::Rademacher,
    Family::Uniform,
    Family::SparseSign,
    Family::SparseStack,
    Family::CountSketch,
    Family::Laso,
    Family::RowSampling,
    Family::Srht,
    Family::Srct,
    Family::HadamardDiagonal,
    Family::Haar,
    Family::BlockPermSjlt,
];

/// An operator of a family; ζ = min(8, d), of BlockPerm-SJLT 6 from d = 6 on.
pub fn sketch(family: Family, d: usize, m: usize, seed: u64) -> Result<Sketch> {
    let nnz = d.clamp(1, 8);
    match family {
        Family::Gaussian => Sketch::gaussian(d, m, seed),
        Family::Rademacher => Sketch::rademacher(d, m, seed),
        Family::Uniform => Sketch::uniform(d, m, seed),
        Family::SparseSign => Sketch::sparse_sign(d, m, nnz, seed),
        Family::SparseStack => Sketch::sparse_stack(d, m, nnz, seed),
        Family::CountSketch => Sketch::count_sketch(d, m, seed),
        Family::Laso => Sketch::laso(d, m, 8, seed),
        Family::RowSampling => Sketch::row_sampling(d, m, seed),
        Family::Srht => Sketch::srht(d, m, seed),
        Family::Srct => Sketch::srct(d, m, seed),
        Family::HadamardDiagonal => Sketch::hadamard_diagonal(d, m, seed),
        Family::Haar => Sketch::haar(d, m, seed),
        Family::BlockPermSjlt => {
            // Ragged blocks, not all of them wired, as soon as there are rows for that.
            let blocks = (d / 2).clamp(1, 5);
            let params = BlockPermParams::new().blocks(blocks).wirings(blocks.min(3));
            Sketch::block_perm_sjlt(d, m, params.nnz(if d == 1 { 1 } else { 2 }), seed)
        }
    }
}

/// Whether the family mixes by a transform, so that its rounding errors spread over a column.
pub fn is_transform(family: Family) -> bool {
    matches!(family, Family::Srht | Family::Srct | Family::HadamardDiagonal)
}
