//! Data races: the last accesses of every byte, checked against the next one.
//!
//! A race is a pair of accesses of different threads, one of them a write, not both atomic, that nothing
//! orders: no barrier within a launch, no stream or event between launches. The last ordinary write is
//! kept, two atomic operations and two reads; a kept access gives way to another only when it is
//! ordered before it or a third one arrives. The two are of different warps where possible, and a third
//! one of a warp already kept is passed over. So a race may be missed when more than two threads touch
//! what another then touches, but nothing that is ordered is ever reported.

use super::Clocks;

/// How an instruction touches memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// An ordinary load.
    Read,
    /// A load through the cache that is not kept coherent (`ld.global.nc`).
    ReadOnce,
    /// An ordinary store.
    Write,
    /// An atomic operation, which may meet those of other threads.
    Atomic,
}

impl Access {
    /// Whether memory is as before.
    pub fn only_reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadOnce)
    }

    /// Whether the contents before do not matter.
    pub fn only_writes(self) -> bool {
        self == Self::Write
    }

    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read | Self::ReadOnce => "read",
            Self::Write => "write",
            Self::Atomic => "atomic access",
        }
    }
}

/// One access, packed: stamp, thread and a mark. Zero is none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Record(u64);

/// An earlier block of the launch did the same.
const FOREIGN: u64 = 1;

impl Record {
    fn new(stamp: u32, thread: u32) -> Self {
        Self(u64::from(stamp) << 32 | u64::from(thread) << 16)
    }

    fn stamp(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn thread(self) -> u32 {
        (self.0 >> 16) as u32 & 0xFFFF
    }

    fn is_marked(self) -> bool {
        self.0 & FOREIGN != 0
    }
}

/// The history of some bytes: an ordinary write, two atomic operations, two reads. Plain numbers, so
/// that a long vector of zeros takes no memory until it is touched.
pub type Cell = [u64; 5];

/// Places in a cell.
const WRITE: usize = 0;
const ATOMICS: usize = 1;
const READS: usize = 3;

/// A view of the history of some bytes.
pub struct History<'c>(pub &'c mut Cell);

/// The earlier access of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What it was.
    pub access: Access,
    /// The block, as it ran; none if another launch did it.
    pub block: Option<usize>,
    /// Its thread within the block.
    pub thread: u32,
}

/// A thread about to touch memory.
#[derive(Clone, Copy)]
pub struct Observer<'a> {
    /// The order of events.
    pub clocks: &'a Clocks,
    /// The thread within its block.
    pub thread: u32,
    /// Whether the memory is seen by other blocks.
    pub is_global: bool,
}

impl Observer<'_> {
    /// Whether what `record` did comes before what this thread does now.
    #[inline]
    fn knows(&self, record: Record) -> bool {
        let stamp = record.stamp();
        if !self.clocks.in_launch(stamp) {
            return self.clocks.is_ordered_launch(stamp);
        }
        if !self.clocks.in_block(stamp) {
            return !self.is_global;
        }
        self.clocks.knows(self.thread, record.thread(), stamp)
    }

    /// Whether an earlier block of this launch left its mark on a record.
    fn is_foreign(&self, record: Record) -> bool {
        self.is_global
            && self.clocks.in_launch(record.stamp())
            && (record.is_marked() || !self.clocks.in_block(record.stamp()))
    }

    /// Whether an access that conflicts with `record` would be unordered.
    fn races_with(&self, record: Record) -> bool {
        !self.knows(record) || self.is_foreign(record)
    }

    fn conflict(&self, record: Record, access: Access) -> Conflict {
        let stamp = record.stamp();
        let block = self.clocks.in_launch(stamp).then(|| self.clocks.block_at(stamp));
        Conflict { access, block, thread: record.thread() }
    }
}

impl History<'_> {
    fn record(&self, place: usize) -> Record {
        Record(self.0[place])
    }

    /// Checks an access and remembers it.
    #[inline(always)]
    pub fn touch(&mut self, observer: &Observer<'_>, access: Access) -> Result<(), Conflict> {
        self.check_write(observer, access)?;
        // Places are filled in order.
        if self.0[ATOMICS] != 0 {
            self.check_atomics(observer, access)?;
        }
        if access.only_reads() {
            self.note(observer, READS);
            return Ok(());
        }
        if self.0[READS] != 0 {
            self.check_reads(observer)?;
        }
        if access == Access::Write {
            self.0[WRITE] = Record::new(observer.clocks.now(), observer.thread).0;
        } else {
            self.note(observer, ATOMICS);
        }
        Ok(())
    }

    #[inline(always)]
    fn check_write(&self, observer: &Observer<'_>, access: Access) -> Result<(), Conflict> {
        let (write, clocks) = (self.record(WRITE), observer.clocks);
        let stamp = write.stamp();
        // The most frequent cases: written by an earlier launch, or before the last barrier.
        if !clocks.in_launch(stamp) {
            return if clocks.is_ordered_launch(stamp) {
                Ok(())
            } else {
                Err(observer.conflict(write, Access::Write))
            };
        }
        let settled = clocks.in_block(stamp) && !clocks.in_epoch(stamp);
        if settled && access != Access::ReadOnce {
            return Ok(());
        }
        let stale = access == Access::ReadOnce && observer.is_global;
        if stale || observer.races_with(write) {
            return Err(observer.conflict(write, Access::Write));
        }
        Ok(())
    }

    fn check_atomics(&self, observer: &Observer<'_>, access: Access) -> Result<(), Conflict> {
        for place in [ATOMICS, ATOMICS + 1] {
            let atomic = self.record(place);
            if atomic.0 == 0 {
                continue;
            }
            let in_launch = observer.clocks.in_launch(atomic.stamp());
            let races = match access {
                Access::ReadOnce if observer.is_global && in_launch => true,
                Access::Atomic => false,
                _ => observer.races_with(atomic),
            };
            if races {
                return Err(observer.conflict(atomic, Access::Atomic));
            }
        }
        Ok(())
    }

    fn check_reads(&self, observer: &Observer<'_>) -> Result<(), Conflict> {
        for place in [READS, READS + 1] {
            let read = self.record(place);
            if read.0 != 0 && observer.races_with(read) {
                return Err(observer.conflict(read, Access::Read));
            }
        }
        Ok(())
    }

    /// Remembers an access in one of the two places from `first` on.
    #[inline(always)]
    fn note(&mut self, observer: &Observer<'_>, first: usize) {
        let record = Record::new(observer.clocks.now(), observer.thread);
        if self.0[first] | FOREIGN != record.0 | FOREIGN {
            self.note_new(observer, first, record);
        }
    }

    fn note_new(&mut self, observer: &Observer<'_>, first: usize, mut record: Record) {
        let kept = [self.record(first), self.record(first + 1)];
        let in_block = |kept: Record| observer.clocks.in_block(kept.stamp());
        let is_own = |kept: Record| in_block(kept) && kept.thread() == observer.thread;
        // What another block did leaves its mark on what takes its place.
        let gives_way = |kept: Record| {
            observer.knows(kept) || observer.clocks.in_launch(kept.stamp()) && !in_block(kept)
        };
        let place = if is_own(kept[0]) {
            0
        } else if is_own(kept[1]) {
            1
        } else if gives_way(kept[0]) {
            0
        } else if gives_way(kept[1]) {
            1
        } else {
            let warp = observer.thread / 32;
            if kept.into_iter().any(|kept| in_block(kept) && kept.thread() / 32 == warp) {
                return;
            }
            1
        };
        if observer.is_foreign(kept[place]) {
            record.0 |= FOREIGN;
        }
        self.0[first + place] = record.0;
    }

    /// The first access in this history whose stamp `is_unordered` says is; with `reads`, among reads
    /// too.
    pub fn find(&self, reads: bool, is_unordered: impl Fn(u32) -> bool) -> Option<Access> {
        let kinds = [Access::Write, Access::Atomic, Access::Atomic, Access::Read, Access::Read];
        let places = if reads { WRITE..READS + 2 } else { WRITE..READS };
        places.into_iter().find(|&p| is_unordered(self.record(p).stamp())).map(|p| kinds[p])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        clocks: Clocks,
        cell: Cell,
    }

    impl Bench {
        fn new() -> Self {
            let mut clocks = Clocks::default();
            clocks.start_launch(Vec::new());
            clocks.start_block();
            Self { clocks, cell: Cell::default() }
        }

        fn touch(&mut self, thread: u32, access: Access) -> bool {
            let observer = Observer { clocks: &self.clocks, thread, is_global: true };
            History(&mut self.cell).touch(&observer, access).is_ok()
        }
    }

    use Access::{Atomic, Read, ReadOnce, Write};

    #[test]
    fn unordered_pairs() {
        for (first, second, fine) in [
            (Read, Read, true),
            (Read, Write, false),
            (Write, Read, false),
            (Write, Write, false),
            (Atomic, Atomic, true),
            (Atomic, Read, false),
            (Read, Atomic, false),
            (Write, Atomic, false),
        ] {
            let mut bench = Bench::new();
            assert!(bench.touch(3, first));
            assert_eq!(bench.touch(4, second), fine, "{first:?} {second:?}");
            let mut bench = Bench::new();
            assert!(bench.touch(3, first));
            bench.clocks.block_barrier();
            assert!(bench.touch(4, second), "ordered {first:?} {second:?}");
            let mut bench = Bench::new();
            assert!(bench.touch(3, first));
            bench.clocks.start_block();
            assert_eq!(bench.touch(3, second), fine, "other block {first:?} {second:?}");
            let mut bench = Bench::new();
            assert!(bench.touch(3, first));
            bench.clocks.start_launch(Vec::new());
            bench.clocks.start_block();
            assert!(bench.touch(4, second), "other launch {first:?} {second:?}");
        }
    }

    #[test]
    fn second_readers_count() {
        let mut bench = Bench::new();
        assert!(bench.touch(3, Read) && bench.touch(4, Read));
        assert!(!bench.touch(3, Write));
        let mut bench = Bench::new();
        assert!(bench.touch(3, Read) && bench.touch(4, Read));
        assert!(!bench.touch(4, Write));
    }

    #[test]
    fn readers_of_other_blocks_are_not_forgotten() {
        let mut bench = Bench::new();
        assert!(bench.touch(3, Read));
        bench.clocks.start_block();
        assert!(bench.touch(3, Read) && bench.touch(4, Read));
        bench.clocks.block_barrier();
        assert!(bench.touch(3, Read) && bench.touch(4, Read));
        bench.clocks.block_barrier();
        assert!(!bench.touch(3, Write));
    }

    #[test]
    fn atomics_of_others_behind_ones_own() {
        let mut bench = Bench::new();
        assert!(bench.touch(3, Atomic) && bench.touch(4, Atomic));
        assert!(!bench.touch(4, Read));
        let mut bench = Bench::new();
        assert!(bench.touch(3, Atomic) && bench.touch(4, Atomic));
        bench.clocks.warp_barrier(0, u32::MAX, u32::MAX);
        assert!(bench.touch(4, Read));
    }

    #[test]
    fn the_read_only_cache_sees_no_writes() {
        let mut bench = Bench::new();
        assert!(bench.touch(3, Write));
        assert!(!bench.touch(3, ReadOnce));
    }

    #[test]
    fn atomics_do_not_hide_the_write_before_them() {
        let mut bench = Bench::new();
        assert!(bench.touch(3, Write));
        assert!(bench.touch(3, Atomic) && !bench.touch(4, Atomic));
        let mut bench = Bench::new();
        assert!(bench.touch(3, Write) && bench.touch(3, Atomic));
        assert!(!bench.touch(4, Read));
    }

    #[test]
    fn every_atomic_counts() {
        // Thread 5 is ordered after thread 3 by a barrier of lanes 3 and 5, not after thread 4.
        let mut bench = Bench::new();
        assert!(bench.touch(4, Atomic) && bench.touch(3, Atomic));
        bench.clocks.warp_barrier(0, 1 << 3 | 1 << 5, u32::MAX);
        assert!(!bench.touch(5, Read));
        // What only one thread did is its own, however often others tried before the barrier.
        let mut bench = Bench::new();
        assert!(bench.touch(4, Atomic));
        bench.clocks.block_barrier();
        assert!(bench.touch(3, Atomic) && bench.touch(3, Atomic) && bench.touch(3, Read));
    }

    #[test]
    fn launches_are_ordered_by_their_streams() {
        for (first, second) in [(Write, Read), (Read, Write), (Atomic, Read), (Write, Write)] {
            for ordered in [false, true] {
                let mut bench = Bench::new();
                assert!(bench.touch(3, first));
                let (start, end) = (bench.clocks.launch_start(), bench.clocks.now());
                bench.clocks.start_launch(if ordered { vec![] } else { vec![(start, end)] });
                bench.clocks.start_block();
                assert_eq!(bench.touch(3, second), ordered, "{first:?} {second:?}");
            }
        }
    }
}
