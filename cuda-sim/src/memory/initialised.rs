//! Which bytes of a region were ever written.

/// One bit a byte.
#[derive(Clone, Default)]
pub struct Initialised {
    words: Vec<u64>,
}

/// The words that `length` bits from `start` touch, each with the mask of its bits.
fn masks(start: usize, length: usize) -> impl Iterator<Item = (usize, u64)> {
    let end = start + length;
    (start / 64..end.div_ceil(64)).map(move |word| {
        let low = start.saturating_sub(word * 64).min(63);
        let high = (end - word * 64).min(64);
        (word, u64::MAX << low & u64::MAX >> (64 - high))
    })
}

impl Initialised {
    /// Nothing written, for `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        Self { words: vec![0; bytes.div_ceil(64)] }
    }

    /// Whether `length` bytes from `start` are all written.
    pub fn covers(&self, start: usize, length: usize) -> bool {
        masks(start, length).all(|(word, mask)| self.words[word] & mask == mask)
    }

    /// The same for at most 64 bytes that do not straddle a multiple of 64.
    #[inline]
    pub fn covers_aligned(&self, start: usize, length: usize) -> bool {
        let mask = u64::MAX >> (64 - length);
        self.words[start / 64] >> (start % 64) & mask == mask
    }

    /// Marks bytes that do not straddle a multiple of 64.
    #[inline]
    pub fn set_aligned(&mut self, start: usize, length: usize) {
        self.words[start / 64] |= u64::MAX >> (64 - length) << (start % 64);
    }

    /// Marks bytes as written.
    pub fn set(&mut self, start: usize, length: usize) {
        for (word, mask) in masks(start, length) {
            self.words[word] |= mask;
        }
    }

    /// Marks bytes as not written.
    pub fn clear(&mut self, start: usize, length: usize) {
        for (word, mask) in masks(start, length) {
            self.words[word] &= !mask;
        }
    }

    /// Forgets everything.
    pub fn clear_all(&mut self) {
        self.words.fill(0);
    }

    /// The first byte of a range that was not written, if any.
    pub fn first_missing(&self, start: usize, length: usize) -> Option<usize> {
        if self.covers(start, length) {
            return None;
        }
        (start..start + length).find(|byte| self.words[byte / 64] >> (byte % 64) & 1 == 0)
    }

    /// Copies the marks of `length` bytes of `from`.
    pub fn copy(&mut self, to: usize, from: &Self, start: usize, length: usize) {
        if from.covers(start, length) {
            return self.set(to, length);
        }
        for i in 0..length {
            let byte = start + i;
            if from.words[byte / 64] >> (byte % 64) & 1 != 0 {
                self.set(to + i, 1);
            } else {
                self.clear(to + i, 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Initialised;

    #[test]
    fn ranges() {
        for start in [0, 1, 7, 63, 64, 100] {
            for length in [0, 1, 8, 63, 64, 65, 200] {
                let mut map = Initialised::new(400);
                map.set(start, length);
                assert!(map.covers(start, length));
                assert!(!map.covers(start, length + 1));
                assert_eq!(map.first_missing(start, length + 3), Some(start + length));
                let mut copy = Initialised::new(400);
                copy.copy(start + 5, &map, start, length + 1);
                assert_eq!(copy.first_missing(start + 5, length + 1), Some(start + 5 + length));
                map.clear(start, length);
                assert_eq!(map.first_missing(start, length.max(1)), Some(start));
            }
        }
    }

    #[test]
    fn aligned_ranges() {
        let mut map = Initialised::new(128);
        map.set_aligned(48, 16);
        map.set_aligned(64, 1);
        assert!(map.covers_aligned(48, 16) && map.covers_aligned(64, 1) && map.covers(48, 17));
        assert!(!map.covers_aligned(64, 2) && !map.covers_aligned(40, 16));
    }
}
