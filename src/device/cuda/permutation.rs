//! Keyed permutations as kernels take them.

use crate::random::{Permutation, Stream};

/// A permutation (`Permutation` in `cuda/permutation.cuh`).
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Network {
    seed: u64,
    n: u64,
    a: u64,
    b: u64,
    stream: u32,
    rounds: u32,
}

impl Network {
    /// The network of `permutation`, which belongs to this seed and stream.
    pub(super) fn new(permutation: &Permutation, seed: u64, stream: Stream) -> Self {
        let (a, b, rounds) = permutation.network();
        Self { seed, n: permutation.size(), a, b, stream: stream.number(), rounds }
    }
}
