//! Notes of the accesses of each lane, and putting those of a warp side by side.

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
    pub fn global(&mut self, site: usize, address: u64, bytes: usize) {
        self.notes.push(Note { site: site as u32, size: bytes as u8, is_shared: false, address });
    }

    /// Notes an access of shared memory.
    #[inline]
    pub fn shared(&mut self, site: usize, offset: u64, bytes: usize) {
        let note = Note { site: site as u32, size: bytes as u8, is_shared: true, address: offset };
        self.notes.push(note);
    }
}

/// The accesses of all lanes of a block.
pub struct Trace {
    logs: Vec<Log>,
}

impl Trace {
    /// For so many warps.
    pub fn new(warps: usize) -> Self {
        Self { logs: (0..warps * LANES).map(|_| Log::default()).collect() }
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
                    tally,
                );
            }
        } else {
            count_divergent(logs, tally);
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
fn count_divergent(logs: &[Log], tally: &mut Tally) {
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
        count_one(notes.into_iter(), tally);
    }
}

/// Counts one access of a warp.
fn count_one(notes: impl Iterator<Item = (usize, Note)>, tally: &mut Tally) {
    let (mut global, mut shared) = ([(0, 0); LANES], [(0, 0, 0); LANES]);
    let (mut globals, mut shareds) = (0, 0);
    for (lane, note) in notes {
        if note.is_shared {
            shared[shareds] = (lane as u8, note.address, note.size);
            shareds += 1;
        } else {
            global[globals] = (note.address, note.size);
            globals += 1;
        }
    }
    if globals > 0 {
        let (requested, moved) = transactions::global(&mut global[..globals]);
        tally.bytes_requested += requested;
        tally.bytes_moved += moved;
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
                log.global(5, 4 * lane, 4);
            }
            log.global(9, 4096 + 4 * lane, 4);
            log.shared(7, 4 * lane, 4);
        }
        let mut tally = Tally::default();
        trace.count(0, &mut tally);
        assert_eq!((tally.bytes_requested, tally.bytes_moved), (64 + 128, 64 + 128));
        assert_eq!((tally.shared_ideal, tally.shared_turns), (1, 1));
        trace.count(0, &mut tally);
        assert_eq!(tally.bytes_moved, 192, "notes are counted once");
    }
}
