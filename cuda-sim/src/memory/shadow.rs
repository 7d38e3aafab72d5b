//! Data races: the last accesses of every four bytes, checked against the next one.
//!
//! A race is a pair of accesses of different threads, one of them a write, not both atomic, that no
//! barrier orders. For each four bytes the last write and two reads are kept, each with the bytes it
//! covered; a read gives way to another only when it is ordered before it or a third one arrives.
//! The two are of different warps where possible, and a third reader of a warp already kept is
//! passed over. So a race may be missed when more than two threads read what another then writes, but
//! nothing that is ordered is ever reported.

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
    /// An atomic operation, or a load with an ordering (`.relaxed`, `.acquire`, …).
    Atomic,
    /// A store with an ordering: like an atomic operation that does not read.
    StrongWrite,
}

impl Access {
    /// Whether it may meet atomic operations of other threads.
    fn is_atomic(self) -> bool {
        matches!(self, Self::Atomic | Self::StrongWrite)
    }

    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read | Self::ReadOnce => "read",
            Self::Write | Self::StrongWrite => "write",
            Self::Atomic => "atomic access",
        }
    }
}

/// One access, packed: stamp, thread, flags and the four bytes covered.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Record(u64);

const BYTES: u64 = 0xF;
/// The write was atomic.
const ATOMIC: u64 = 1 << 4;
/// Other threads wrote atomically at the same time.
const SEVERAL: u64 = 1 << 5;
/// An earlier block of the launch wrote atomically too.
const FOREIGN: u64 = 1 << 6;
/// The bytes that earlier blocks of the launch read, in a record of a read.
const READ_BEFORE: u64 = 0xF << 8;

impl Record {
    fn new(stamp: u32, thread: u32, bytes: u64) -> Self {
        Self(u64::from(stamp) << 32 | u64::from(thread) << 16 | bytes)
    }

    fn stamp(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn thread(self) -> u32 {
        (self.0 >> 16) as u32 & 0xFFFF
    }

    fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    /// The bytes that earlier blocks read, in a record of a read of this launch.
    fn bytes_before(self) -> u64 {
        (self.0 & READ_BEFORE) >> 8
    }
}

/// The history of four bytes: a write and two reads. Plain numbers, so that a long vector of zeros
/// takes no memory until it is touched.
pub type Cell = [u64; 3];

/// A view of the history of four bytes.
pub struct Word<'c>(pub &'c mut Cell);

/// The earlier access of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What it was.
    pub access: Access,
    /// The block, as it ran.
    pub block: usize,
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
            return true;
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
            && (record.has(FOREIGN) || !self.clocks.in_block(record.stamp()))
    }

    /// The bytes that earlier blocks of this launch read, as far as a record of a read tells.
    fn bytes_read_before(&self, read: Record) -> u64 {
        if !self.is_global || !self.clocks.in_launch(read.stamp()) {
            return 0;
        }
        let own = if self.clocks.in_block(read.stamp()) { 0 } else { read.0 & BYTES };
        own | read.bytes_before()
    }

    fn conflict(&self, record: Record, access: Access) -> Conflict {
        let block = self.clocks.block_at(record.stamp());
        Conflict { access, block, thread: record.thread() }
    }
}

impl Word<'_> {
    fn write(&self) -> Record {
        Record(self.0[0])
    }

    fn reads(&self) -> [Record; 2] {
        [Record(self.0[1]), Record(self.0[2])]
    }

    /// Checks an access to the bytes in `mask` and remembers it.
    #[inline(always)]
    pub fn touch(
        &mut self,
        observer: &Observer<'_>,
        access: Access,
        mask: u64,
    ) -> Result<(), Conflict> {
        match access {
            Access::Read | Access::ReadOnce => {
                self.check_write(observer, access, mask)?;
                self.note_read(observer, mask);
            }
            Access::Write | Access::Atomic | Access::StrongWrite => {
                self.check_write(observer, access, mask)?;
                self.check_reads(observer, mask)?;
                self.note_write(observer, access, mask);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn check_write(
        &self,
        observer: &Observer<'_>,
        access: Access,
        mask: u64,
    ) -> Result<(), Conflict> {
        let write = self.write();
        if !write.has(mask) || !observer.clocks.in_launch(write.stamp()) {
            return Ok(());
        }
        // The most frequent case: written by this block before its last barrier.
        let stamp = write.stamp();
        let settled = observer.clocks.in_block(stamp) && !observer.clocks.in_epoch(stamp);
        if settled && !write.has(FOREIGN) && access != Access::ReadOnce {
            return Ok(());
        }
        self.check_recent_write(observer, access)
    }

    fn check_recent_write(&self, observer: &Observer<'_>, access: Access) -> Result<(), Conflict> {
        let write = self.write();
        let atomic = write.has(ATOMIC);
        if access == Access::ReadOnce && (observer.is_global || !observer.knows(write)) {
            return Err(observer.conflict(write, Access::Write));
        }
        if atomic && access.is_atomic() {
            return Ok(());
        }
        let clocks = observer.clocks;
        let others = atomic
            && (observer.is_foreign(write)
                || write.has(SEVERAL)
                    && write.thread() == observer.thread
                    && clocks.in_epoch(write.stamp())
                    && !clocks.warp_met_since(observer.thread, write.stamp()));
        if others || !observer.knows(write) {
            let kind = if atomic { Access::Atomic } else { Access::Write };
            return Err(observer.conflict(write, kind));
        }
        Ok(())
    }

    fn check_reads(&self, observer: &Observer<'_>, mask: u64) -> Result<(), Conflict> {
        for read in self.reads() {
            let before = observer.bytes_read_before(read) & mask != 0;
            if before || read.has(mask) && !observer.knows(read) {
                return Err(observer.conflict(read, Access::Read));
            }
        }
        Ok(())
    }

    fn note_write(&mut self, observer: &Observer<'_>, access: Access, mask: u64) {
        let previous = self.write();
        let mut record = Record::new(observer.clocks.now(), observer.thread, mask);
        if access.is_atomic() {
            record.0 |= ATOMIC;
            if previous.has(ATOMIC) && observer.clocks.in_launch(previous.stamp()) {
                if observer.is_foreign(previous) {
                    record.0 |= FOREIGN;
                }
                let same_thread = previous.thread() == observer.thread && previous.has(SEVERAL);
                if same_thread || !observer.knows(previous) {
                    record.0 |= SEVERAL;
                }
            }
        }
        self.0[0] = record.0;
    }

    #[inline(always)]
    fn note_read(&mut self, observer: &Observer<'_>, mask: u64) {
        let record = Record::new(observer.clocks.now(), observer.thread, mask);
        if self.0[1] | BYTES | READ_BEFORE == record.0 | BYTES | READ_BEFORE {
            self.0[1] |= mask;
            return;
        }
        self.note_new_read(observer, record);
    }

    fn note_new_read(&mut self, observer: &Observer<'_>, mut record: Record) {
        let live = |read: Record| observer.clocks.in_block(read.stamp());
        let [first, second] = self.reads();
        let warp = |thread: u32| thread / 32;
        let covers = |read: Record| (read.0 | read.bytes_before()) & BYTES == BYTES;
        let covered = covers(first) && covers(second);
        if covered
            && observer.clocks.in_epoch(first.stamp().min(second.stamp()))
            && (warp(first.thread()) == warp(observer.thread)
                || warp(second.thread()) == warp(observer.thread))
            && !observer.knows(first)
            && !observer.knows(second)
        {
            return;
        }
        let slot = if live(first) && first.thread() == observer.thread {
            0
        } else if live(second) && second.thread() == observer.thread {
            1
        } else {
            usize::from(live(first) && !observer.knows(first))
        };
        let previous = self.reads()[slot];
        if live(previous) && previous.thread() == observer.thread {
            record.0 |= previous.0 & BYTES;
        }
        record.0 |= observer.bytes_read_before(previous) << 8;
        self.0[1 + slot] = record.0;
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
            clocks.start_launch();
            clocks.start_block();
            Self { clocks, cell: Cell::default() }
        }

        fn touch(&mut self, thread: u32, access: Access) -> bool {
            let observer = Observer { clocks: &self.clocks, thread, is_global: true };
            Word(&mut self.cell).touch(&observer, access, BYTES).is_ok()
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
            bench.clocks.start_launch();
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

    /// Neighbouring halves belong to different blocks, each of which reads its own and writes it.
    #[test]
    fn disjoint_bytes_of_blocks_do_not_race() {
        let mut bench = Bench::new();
        let mut touch = |block: u32, access, mask| {
            if block > 0 {
                bench.clocks.start_block();
            }
            let observer = Observer { clocks: &bench.clocks, thread: 3, is_global: true };
            Word(&mut bench.cell).touch(&observer, access, mask).is_ok()
        };
        assert!(touch(0, Read, 0b1100));
        assert!(touch(1, Read, 0b0011) && touch(0, Write, 0b0011));
        assert!(!touch(0, Write, 0b1100));
        assert!(!touch(1, Write, 0b0011));
    }

    #[test]
    fn disjoint_bytes_do_not_race() {
        let mut bench = Bench::new();
        let observer = |thread| Observer { clocks: &bench.clocks, thread, is_global: true };
        assert!(Word(&mut bench.cell).touch(&observer(3), Write, 0b0011).is_ok());
        assert!(Word(&mut bench.cell).touch(&observer(4), Write, 0b1100).is_ok());
        assert!(Word(&mut bench.cell).touch(&observer(5), Read, 0b0100).is_err());
    }
}
