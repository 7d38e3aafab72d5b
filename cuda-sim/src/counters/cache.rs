//! A level-1 cache: what a block loads again is not moved again.
//!
//! Direct-mapped, a quarter of what an H100 has, and empty when a block starts: it finds less than the
//! hardware does.

/// Sectors that it holds: 64 KiB.
const SECTORS: usize = 2048;
/// No sector.
const EMPTY: u64 = u64::MAX;

pub struct Cache {
    tags: Vec<u64>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { tags: vec![EMPTY; SECTORS] }
    }
}

impl Cache {
    pub fn clear(&mut self) {
        self.tags.fill(EMPTY);
    }

    /// Whether it holds a sector; afterwards it does.
    pub fn holds(&mut self, sector: u64) -> bool {
        // Arrays that begin at the same place of a page do not meet at one tag.
        let place = (sector ^ (sector / SECTORS as u64)) as usize % SECTORS;
        std::mem::replace(&mut self.tags[place], sector) == sector
    }
}
