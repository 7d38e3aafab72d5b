//! Keyed permutation of `0..n` with random access, for sampling without replacement.
//!
//! A Feistel network on the grid `Z_a × Z_b` (Black and Rogaway, *Ciphers with arbitrary finite
//! domains*, CT-RSA 2002): `x = L·b + R`; even rounds add `F(R) mod a` to `L`, odd rounds add
//! `F(L) mod b` to `R`, with `F` a word of Philox reduced by multiply-shift. `a = ⌈√n⌉` and
//! `b = ⌈n/a⌉`, so that the grid is larger than `n` by less than `a`, and a point that falls
//! outside `0..n` simply walks on.
//!
//! # Quality and number of rounds
//! What decides the variance of a sample without replacement is the distribution of *pairs*.
//! Two points that agree in the half that feeds a round keep their distance in the other half; in
//! any other case that distance becomes uniform. With ideal round functions an even and an odd
//! round together shrink the distance from uniform pairs by the factor `1/min(a, b)`, so
//! `2(⌈32/⌊log2 b⌋⌋ + 1)` rounds, and ten at least, leave a relative bias of about `2⁻³⁰` for any
//! pair (confirmed by computing the distribution for `n` up to 120): 66 rounds for the smallest
//! `n`, 14 for `n` = 2¹², ten from 2¹⁶ on. For a few `n`, such as 9, only even permutations
//! occur, which nothing short of `n − 1` images can show. A shuffled table would be uniform
//! outright, but not evaluable at one index by a GPU thread.
//!
//! # Cost
//! One block of Philox a round, about 0.1 µs an index for large `n`; no memory.

use super::{Stream, index, words64};

/// A pseudorandom permutation of `0..n`, `n ≤ 2⁶³`, keyed by a seed and a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation {
    seed: u64,
    stream: Stream,
    n: u64,
    a: u64,
    b: u64,
    rounds: u32,
}

impl Permutation {
    /// The permutation of `0..n` that belongs to `seed` and `stream`.
    ///
    /// Different `n` give unrelated permutations. `n` above 2⁶³ counts as 2⁶³.
    pub fn new(seed: u64, stream: Stream, n: u64) -> Self {
        let n = n.min(1 << 63);
        let root = n.isqrt();
        let a = (root + u64::from(root * root < n)).max(1);
        let b = n.div_ceil(a).max(1);
        let bits = b.ilog2().max(1);
        let rounds = (2 * (32u32.div_ceil(bits) + 1)).max(10);
        Self { seed, stream, n, a, b, rounds }
    }

    /// Image of `i`. Indices from `n` on are their own image.
    pub fn get(&self, i: u64) -> u64 {
        self.walk(i, Self::forward)
    }

    /// The index whose image is `i`: `inverse(get(i)) = i`. Indices from `n` on are their own.
    pub fn inverse(&self, i: u64) -> u64 {
        self.walk(i, Self::backward)
    }

    /// Number of elements.
    pub fn size(&self) -> u64 {
        self.n
    }

    /// The sides a and b of the grid, and the number of rounds.
    #[cfg(feature = "cuda")]
    pub(crate) fn network(&self) -> (u64, u64, u32) {
        (self.a, self.b, self.rounds)
    }

    /// Follows a permutation of the grid from `x` until it is back in `0..n`.
    fn walk(&self, mut x: u64, step: impl Fn(&Self, u64) -> u64) -> u64 {
        if x >= self.n {
            return x;
        }
        loop {
            x = step(self, x);
            if x < self.n {
                return x;
            }
        }
    }

    fn forward(&self, x: u64) -> u64 {
        let (mut l, mut r) = (x / self.b, x % self.b);
        for round in (0..self.rounds).step_by(2) {
            l = add_mod(l, self.shift(r, round, self.a), self.a);
            r = add_mod(r, self.shift(l, round + 1, self.b), self.b);
        }
        l * self.b + r
    }

    fn backward(&self, x: u64) -> u64 {
        let (mut l, mut r) = (x / self.b, x % self.b);
        for round in (0..self.rounds).step_by(2).rev() {
            r = sub_mod(r, self.shift(l, round + 1, self.b), self.b);
            l = sub_mod(l, self.shift(r, round, self.a), self.a);
        }
        l * self.b + r
    }

    /// Round function: uniform in `0..modulus`.
    fn shift(&self, half: u64, round: u32, modulus: u64) -> u64 {
        index(words64(self.seed, self.stream, half, round)[0], modulus)
    }
}

/// `x + y` modulo `m`, for `x, y < m ≤ 2³²`.
fn add_mod(x: u64, y: u64, m: u64) -> u64 {
    let sum = x + y;
    if sum < m { sum } else { sum - m }
}

/// `x − y` modulo `m`, for `x, y < m ≤ 2³²`.
fn sub_mod(x: u64, y: u64, m: u64) -> u64 {
    if x < y { x + m - y } else { x - y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bijection() {
        let sizes = (0..=300).chain([1000, 1023, 1024, 1025, 4097, 65_536, 100_003]);
        for n in sizes {
            let p = Permutation::new(n ^ 77, Stream::SrhtRows, n);
            let mut seen = vec![false; n as usize];
            for i in 0..n {
                let y = p.get(i);
                assert!(!std::mem::replace(&mut seen[y as usize], true), "n = {n}");
                assert_eq!(p.inverse(y), i);
            }
            assert_eq!(p.get(n), n);
            assert_eq!(p.inverse(n + 5), n + 5);
        }
    }

    #[test]
    fn large_domains() {
        for n in [1 << 31, (1 << 32) - 1, (1 << 32) + 1, (1 << 52) + 12_345, (1 << 63) - 1, 1 << 63]
        {
            let p = Permutation::new(3, Stream::DctRows, n);
            assert_eq!(p.size(), n);
            for i in (0..500).chain(n - 500..n) {
                let y = p.get(i);
                assert!(y < n);
                assert_eq!(p.inverse(y), i);
            }
        }
        assert_eq!(Permutation::new(0, Stream::DctRows, u64::MAX).size(), 1 << 63);
    }
}
