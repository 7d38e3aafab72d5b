//! Operations of the host on device memory (copies, fills, cuBLAS, allocation), and what they touch.

use super::Region;
use super::shadow::Access;
use crate::order::{Operation, Order};

/// How many operations are remembered for a region.
const MOST_CLAIMS: usize = 512;

/// Bytes of a region: runs at equal distances whose length may change from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The first byte.
    pub start: usize,
    /// Bytes of the first run.
    pub run: usize,
    /// Bytes that each run is longer than the one before.
    pub growth: isize,
    /// Bytes from the start of a run to that of the next.
    pub stride: usize,
    /// Runs.
    pub count: usize,
}

impl Footprint {
    /// One run.
    pub fn range(start: usize, run: usize) -> Self {
        Self { start, run, growth: 0, stride: 0, count: 1 }
    }

    /// The runs, as start and end.
    pub fn runs(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.count).map(move |n| {
            let start = self.start + n * self.stride;
            (start, start.saturating_add_signed(self.run as isize + n as isize * self.growth))
        })
    }

    /// Where it ends.
    pub fn end(self) -> usize {
        self.runs().map(|(_, end)| end).max().unwrap_or(self.start)
    }

    fn bounds(self) -> (usize, usize) {
        (self.start, self.end())
    }

    /// Whether two footprints have a byte in common.
    pub fn meets(self, other: Self) -> bool {
        let meet = |(a, b): (usize, usize), (c, d): (usize, usize)| a.max(c) < b.min(d);
        let bounds = other.bounds();
        meet(self.bounds(), bounds)
            && self.runs().any(|run| meet(run, bounds) && other.meets_range(run))
    }

    /// Whether a run has a byte in a range.
    fn meets_range(self, (from, to): (usize, usize)) -> bool {
        if self.growth != 0 || self.stride == 0 {
            return self.runs().any(|(start, end)| start.max(from) < end.min(to));
        }
        // The first run that ends after the beginning of the range.
        let n = match from.checked_sub(self.start + self.run) {
            Some(beyond) => beyond / self.stride + 1,
            None => 0,
        };
        n < self.count && self.run > 0 && self.start + n * self.stride < to
    }
}

/// What an operation did to a region.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Where.
    pub footprint: Footprint,
    /// When.
    pub operation: Operation,
    /// Whether it wrote.
    pub writes: bool,
    /// What it was, in words.
    pub what: &'static str,
}

impl Claim {
    /// Whether a thread that touches these bytes conflicts with it.
    pub fn conflicts(&self, offset: usize, length: usize, access: Access) -> bool {
        (self.writes || !access.only_reads())
            && self.footprint.meets(Footprint::range(offset, length))
    }

    /// For messages.
    pub fn describe(&self) -> String {
        format!("the {} on stream {:#x}", self.what, self.operation.stream)
    }
}

impl Region {
    /// An operation is about to touch the region. It is remembered, unless it conflicts with one that
    /// it does not come after: then that one is described.
    pub fn claim(
        &mut self,
        order: &Order,
        unordered_launches: &[(u32, u32)],
        claim: Claim,
    ) -> Result<(), String> {
        let Claim { footprint, writes, .. } = claim;
        let unordered = self.claims.iter().find(|earlier| {
            !order.is_before(earlier.operation)
                && (writes || earlier.writes)
                && earlier.footprint.meets(footprint)
        });
        if let Some(earlier) = unordered {
            return Err(earlier.describe());
        }
        if !unordered_launches.is_empty()
            && let Some(access) = self.find_access(footprint, writes, unordered_launches)
        {
            return Err(format!("the {} by a launch on another stream", access.name()));
        }
        // What is done, and what this one stands for, need not be remembered.
        let stream = claim.operation.stream;
        self.claims.retain(|earlier| {
            let replaced = earlier.operation.stream == stream
                && earlier.footprint == footprint
                && writes >= earlier.writes;
            !replaced && !order.is_done(earlier.operation)
        });
        // A stream that is never waited for must not make this slow; the oldest are forgotten.
        if self.claims.len() >= MOST_CLAIMS {
            self.claims.remove(0);
        }
        self.claims.push(claim);
        Ok(())
    }

    /// Collects the claims that the next launch does not come after.
    pub fn prepare(&mut self, order: &Order) {
        self.unordered.clear();
        self.unordered.extend(self.claims.iter().filter(|claim| !order.is_before(claim.operation)));
    }
}

#[cfg(test)]
mod tests {
    use super::Footprint;

    #[test]
    fn footprints_meet_where_bytes_are_shared() {
        // Rows 0..2 and 2..4 of columns 4 apart.
        let rows = |start| Footprint { start, run: 2, growth: 0, stride: 4, count: 3 };
        assert!(!rows(0).meets(rows(2)) && rows(0).meets(rows(1)) && rows(1).meets(rows(2)));
        assert!(rows(0).meets(Footprint::range(9, 1)) && !rows(0).meets(Footprint::range(10, 2)));
        // The strict triangles of a 4 × 4 matrix.
        let lower = Footprint { start: 1, run: 3, growth: -1, stride: 5, count: 3 };
        let upper = Footprint { start: 4, run: 1, growth: 1, stride: 4, count: 3 };
        assert!(!lower.meets(upper) && !upper.meets(lower));
        let with_diagonal = Footprint { start: 0, run: 4, growth: -1, stride: 5, count: 4 };
        assert!(with_diagonal.meets(lower) && !with_diagonal.meets(upper));
        assert!(!Footprint::range(5, 0).meets(Footprint::range(0, 9)));
    }
}
