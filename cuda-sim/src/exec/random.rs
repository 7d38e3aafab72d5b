//! The order of blocks and threads.

/// A small generator.
pub struct Random(u64);

impl Random {
    /// One sequence for each seed and number of a launch.
    pub fn new(seed: u64, launch: u64) -> Self {
        let mixed = |x: u64| (x ^ x >> 31).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(mixed(mixed(seed) ^ launch) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }
}

/// The numbers below `count` in another order: steps of a length prime to `count`.
pub struct Permutation {
    count: u64,
    start: u64,
    step: u64,
}

impl Permutation {
    pub fn new(count: u64, random: &mut Random) -> Self {
        let start = random.below(count);
        let step = loop {
            let step = 1 + random.below(count);
            if gcd(step, count) == 1 {
                break step;
            }
        };
        Self { count, start, step }
    }

    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let mut at = self.start;
        (0..self.count).map(move |_| {
            let now = at;
            at = ((u128::from(at) + u128::from(self.step)) % u128::from(self.count)) as u64;
            now
        })
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::{Permutation, Random};
    use std::collections::HashSet;

    #[test]
    fn permutations_are_complete_and_differ() {
        for count in [1, 2, 3, 64, 97, 210] {
            let order = |launch| -> Vec<u64> {
                Permutation::new(count, &mut Random::new(1, launch)).iter().collect()
            };
            let mut sorted = order(0);
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..count));
            assert_eq!(order(5), order(5));
            let orders: HashSet<_> = (0..32).map(order).collect();
            assert!(orders.len() > if count < 3 { count as usize - 1 } else { 4 });
        }
    }
}
