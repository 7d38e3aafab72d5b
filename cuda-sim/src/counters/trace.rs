//! Notes of the accesses of each lane, and putting those of a warp side by side.

use super::cache::Cache;
use super::{Tally, transactions};
use std::collections::BTreeMap;

const LANES: usize = 32;
/// Notes a lane may keep before they must be counted.
const CAPACITY: usize = 192;

#[derive(Clone, Copy)]
struct Note {
    /// The instruction.
    site: u32,
    size: u8,
    is_shared: bool,
    is_load: bool,
    address: u64,
}

/// The accesses of one lane.
#[derive(Default)]
pub struct Log {
    notes: Vec<Note>,
}

impl Log {
    /// Whether the notes must be counted before the thread goes on.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.notes.len() >= CAPACITY
    }

    /// Notes an access of device memory.
    #[inline]
    pub fn global(&mut self, site: usize, address: u64, bytes: usize, is_load: bool) {
        let (site, size) = (site as u32, bytes as u8);
        self.notes.push(Note { site, size, is_shared: false, is_load, address });
    }

    /// Notes an access of shared memory.
    #[inline]
    pub fn shared(&mut self, site: usize, offset: u64, bytes: usize) {
        let (site, size) = (site as u32, bytes as u8);
        self.notes.push(Note { site, size, is_shared: true, is_load: false, address: offset });
    }
}

/// The accesses of all lanes of a block.
pub struct Trace {
    logs: Vec<Log>,
    cache: Cache,
}

impl Trace {
    /// For so many warps.
    pub fn new(warps: usize) -> Self {
        let logs = (0..warps * LANES).map(|_| Log::default()).collect();
        Self { logs, cache: Cache::default() }
    }

    /// Forgets what the last block left in the cache.
    pub fn start_block(&mut self) {
        self.cache.clear();
    }

    /// The notes of a lane.
    pub fn lane(&mut self, warp: usize, lane: usize) -> &mut Log {
        &mut self.logs[warp * LANES + lane]
    }

    /// Counts and forgets the notes of a warp.
    pub fn count(&mut self, warp: usize, tally: &mut Tally) {
        let logs = &mut self.logs[warp * LANES..(warp + 1) * LANES];
        if are_alike(logs) {
            let longest = logs.iter().map(|log| log.notes.len()).max().unwrap_or(0);
            for index in 0..longest {
                let notes = logs.iter().enumerate();
                count_one(
                    notes.filter_map(|(lane, log)| Some((lane, *log.notes.get(index)?))),
                    &mut self.cache,
                    tally,
                );
            }
        } else {
            count_divergent(logs, &mut self.cache, tally);
        }
        for log in logs {
            log.notes.clear();
        }
    }
}

/// Whether all lanes that made any accesses made them at the same instructions in the same order.
fn are_alike(logs: &[Log]) -> bool {
    let mut used = logs.iter().filter(|log| !log.notes.is_empty());
    let Some(first) = used.next() else { return true };
    used.all(|log| {
        log.notes.len() == first.notes.len()
            && log
                .notes
                .iter()
                .zip(&first.notes)
                .all(|(a, b)| a.site == b.site && a.is_shared == b.is_shared && a.size == b.size)
    })
}

/// Lanes went different ways: the n-th accesses at an instruction belong together.
fn count_divergent(logs: &[Log], cache: &mut Cache, tally: &mut Tally) {
    let mut together: BTreeMap<_, Vec<(usize, Note)>> = BTreeMap::new();
    for (lane, log) in logs.iter().enumerate() {
        let mut occurrences: BTreeMap<_, u32> = BTreeMap::new();
        for note in &log.notes {
            let what = (note.site, note.is_shared, note.size);
            let occurrence = occurrences.entry(what).or_default();
            together.entry((what, *occurrence)).or_default().push((lane, *note));
            *occurrence += 1;
        }
    }
    for notes in together.into_values() {
        count_one(notes.into_iter(), cache, tally);
    }
}

/// Counts one access of a warp.
fn count_one(notes: impl Iterator<Item = (usize, Note)>, cache: &mut Cache, tally: &mut Tally) {
    let (mut global, mut shared) = ([(0, 0); LANES], [(0, 0, 0); LANES]);
    let (mut globals, mut shareds) = (0, 0);
    let mut is_load = false;
    for (lane, note) in notes {
        if note.is_shared {
            shared[shareds] = (lane as u8, note.address, note.size);
            shareds += 1;
        } else {
            global[globals] = (note.address, note.size);
            globals += 1;
            is_load = note.is_load;
        }
    }
    if globals > 0 {
        let mut missed = 0;
        let (requested, moved) = transactions::global(&mut global[..globals], |sectors| {
            for sector in sectors {
                missed += u64::from(!(is_load && cache.holds(sector)));
            }
        });
        tally.bytes_requested += requested;
        tally.bytes_moved += moved;
        tally.bytes_missed += missed * transactions::SECTOR;
    }
    if shareds > 0 {
        let (ideal, turns) = transactions::shared(&shared[..shareds]);
        tally.shared_ideal += ideal;
        tally.shared_turns += turns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergent_lanes_are_matched_by_instruction() {
        let mut trace = Trace::new(1);
        for lane in 0..32u64 {
            let log = trace.lane(0, lane as usize);
            if lane < 16 {
                log.global(5, 4 * lane, 4, true);
            }
            log.global(9, 4096 + 4 * lane, 4, true);
            log.shared(7, 4 * lane, 4);
        }
        let mut tally = Tally::default();
        trace.count(0, &mut tally);
        assert_eq!((tally.bytes_requested, tally.bytes_moved), (64 + 128, 64 + 128));
        assert_eq!((tally.shared_ideal, tally.shared_turns), (1, 1));
        trace.count(0, &mut tally);
        assert_eq!(tally.bytes_moved, 192, "notes are counted once");
    }

    #[test]
    fn loads_meet_the_cache_and_stores_do_not() {
        let mut trace = Trace::new(1);
        let mut tally = Tally::default();
        for (turn, is_load) in [true, true, false].into_iter().enumerate() {
            for lane in 0..32u64 {
                let log = trace.lane(0, lane as usize);
                log.global(turn, 4 * lane, 4, is_load);
            }
        }
        trace.count(0, &mut tally);
        assert_eq!((tally.bytes_moved, tally.bytes_missed), (384, 256));
        trace.start_block();
        trace.lane(0, 3).global(0, 12, 4, true);
        trace.count(0, &mut tally);
        assert_eq!((tally.bytes_moved, tally.bytes_missed), (416, 288));
    }
}
