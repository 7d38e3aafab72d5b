//! Who knows what happened before: the order that barriers establish within one launch.
//!
//! Time is a counter that every synchronisation advances; an access is stamped with the time at which
//! it happened. A thread knows another thread's accesses up to some time: up to the last barrier of
//! the whole block ([`Clocks::epoch_start`]), up to the last `bar.warp.sync` the two took part in, or
//! up to the last barrier that joined their two warps. What it does not know, it may not touch.
//! Blocks run one after the other here but are unordered on a device, so nothing that another block
//! of the launch did is known. Of earlier launches all is known but what was done on streams that
//! this one does not wait for.

const LANES: usize = 32;

/// When the synchronisations of the running block happened.
pub struct Clocks {
    /// The present.
    time: u32,
    /// Time before the first access of this launch.
    launch_start: u32,
    /// Stamps of launches that are not ordered before this one: after the first, up to the second.
    unordered: Vec<(u32, u32)>,
    /// The least of their stamps.
    first_unordered: u32,
    /// Time before the first access of this block.
    block_start: u32,
    /// Time of the last barrier of the whole block.
    epoch_start: u32,
    /// For each warp, the time of its last synchronisation of all lanes.
    full: Vec<u32>,
    /// For each warp, `[lane][other]`: up to when `lane` knows `other`. Empty until needed.
    lanes: Vec<Vec<[u32; LANES]>>,
    /// `[warp][other]`: the same for warps that met at a barrier of part of the block.
    warps: Vec<[u32; LANES]>,
    /// Start times of the blocks of this launch, in the order in which they ran.
    blocks: Vec<u32>,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            time: 1,
            launch_start: 0,
            unordered: Vec::new(),
            first_unordered: u32::MAX,
            block_start: 0,
            epoch_start: 0,
            full: vec![0; LANES],
            lanes: vec![Vec::new(); LANES],
            warps: vec![[0; LANES]; LANES],
            blocks: Vec::new(),
        }
    }
}

impl Clocks {
    /// Time is about to run out: stamps must be forgotten and the clocks made anew.
    pub fn is_exhausted(&self) -> bool {
        self.time > u32::MAX / 2
    }

    fn tick(&mut self) -> u32 {
        let now = self.time;
        self.time += 1;
        now
    }

    /// A launch begins that is ordered after all earlier ones but these, whose stamps are after the
    /// first number, up to the second.
    pub fn start_launch(&mut self, unordered: Vec<(u32, u32)>) {
        self.first_unordered = unordered.iter().map(|(start, _)| *start).min().unwrap_or(u32::MAX);
        self.unordered = unordered;
        self.launch_start = self.tick();
        self.blocks.clear();
    }

    /// The next block begins.
    pub fn start_block(&mut self) {
        self.block_start = self.tick();
        self.epoch_start = self.block_start;
        self.blocks.push(self.block_start);
    }

    /// All threads of the block met.
    pub fn block_barrier(&mut self) {
        self.epoch_start = self.tick();
    }

    /// The lanes in `mask` of `warp`, which has the lanes in `present`, met.
    pub fn warp_barrier(&mut self, warp: usize, mask: u32, present: u32) {
        let now = self.tick();
        if mask & present == present {
            self.full[warp] = now;
            return;
        }
        let lanes = &mut self.lanes[warp];
        if lanes.is_empty() {
            lanes.resize(LANES, [0; LANES]);
        }
        let members = || (0..LANES).filter(|lane| mask >> lane & 1 != 0);
        let mut joined = [0; LANES];
        for member in members() {
            for (known, row) in joined.iter_mut().zip(&lanes[member]) {
                *known = row.max(known).to_owned();
            }
        }
        for member in members() {
            joined[member] = now;
        }
        for member in members() {
            lanes[member] = joined;
        }
    }

    /// The warps in `mask` met.
    pub fn partial_barrier(&mut self, mask: u32) {
        let now = self.tick();
        let members = || (0..LANES).filter(|warp| mask >> warp & 1 != 0);
        let mut joined = [0; LANES];
        for warp in members() {
            for (known, row) in joined.iter_mut().zip(&self.warps[warp]) {
                *known = row.max(known).to_owned();
            }
        }
        for warp in members() {
            joined[warp] = now;
        }
        for warp in members() {
            self.warps[warp] = joined;
            self.full[warp] = now;
        }
    }

    /// The present.
    pub fn now(&self) -> u32 {
        self.time
    }

    /// Time before the first access of the launch.
    pub fn launch_start(&self) -> u32 {
        self.launch_start
    }

    /// Whether a stamp of an earlier launch comes before this one.
    #[inline]
    pub fn is_ordered_launch(&self, stamp: u32) -> bool {
        stamp <= self.first_unordered
            || !self.unordered.iter().any(|&(start, end)| start < stamp && stamp <= end)
    }

    /// Whether a stamp belongs to this launch.
    pub fn in_launch(&self, stamp: u32) -> bool {
        stamp > self.launch_start
    }

    /// Whether a stamp belongs to the running block.
    pub fn in_block(&self, stamp: u32) -> bool {
        stamp > self.block_start
    }

    /// Whether a stamp is later than the last barrier of the block.
    pub fn in_epoch(&self, stamp: u32) -> bool {
        stamp > self.epoch_start
    }

    /// Whether thread `me` knows what `other` did at `stamp`, both in the running block.
    pub fn knows(&self, me: u32, other: u32, stamp: u32) -> bool {
        if me == other || stamp <= self.epoch_start {
            return true;
        }
        let (warp, other_warp) = (me as usize / LANES, other as usize / LANES);
        if warp != other_warp {
            return stamp <= self.warps[warp][other_warp];
        }
        let lanes = &self.lanes[warp];
        stamp <= self.full[warp]
            || (!lanes.is_empty() && stamp <= lanes[me as usize % LANES][other as usize % LANES])
    }

    /// The running number of the block that was running at `stamp`.
    pub fn block_at(&self, stamp: u32) -> usize {
        self.blocks.partition_point(|&start| start < stamp).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::Clocks;

    #[test]
    fn barriers_order() {
        let mut clocks = Clocks::default();
        clocks.start_launch(Vec::new());
        clocks.start_block();
        let early = clocks.now();
        assert!(clocks.in_block(early) && !clocks.knows(1, 2, early) && clocks.knows(1, 1, early));
        clocks.warp_barrier(0, 0b0110, u32::MAX);
        assert!(
            clocks.knows(1, 2, early) && !clocks.knows(1, 3, early) && !clocks.knows(3, 1, early)
        );
        clocks.warp_barrier(0, 0b1100, u32::MAX);
        assert!(clocks.knows(3, 1, early), "knowledge passes on");
        let late = clocks.now();
        assert!(!clocks.knows(3, 2, late));
        clocks.warp_barrier(0, u32::MAX, u32::MAX);
        assert!(clocks.knows(3, 2, late) && !clocks.knows(3, 40, late));
        clocks.partial_barrier(0b011);
        let after = clocks.now();
        assert!(clocks.knows(3, 40, late) && !clocks.knows(3, 40, after));
        assert!(clocks.knows(40, 3, late) && !clocks.knows(70, 3, late));
        clocks.partial_barrier(0b110);
        assert!(clocks.knows(70, 3, late) && !clocks.knows(3, 70, after), "knowledge passes on");
        clocks.block_barrier();
        assert!(clocks.knows(3, 70, after) && clocks.knows(3, 40, after));
        clocks.start_block();
        assert!(!clocks.in_block(late) && clocks.in_launch(late));
        assert_eq!((clocks.block_at(late), clocks.block_at(clocks.now())), (0, 1));
    }
}
