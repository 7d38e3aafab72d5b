//! What one access of a warp costs.

use std::ops::Range;

/// Bytes of a sector of device memory.
pub const SECTOR: u64 = 32;
/// Bytes of a word of a bank.
const WORD: u64 = 4;
/// Banks of shared memory.
const BANKS: usize = 32;

/// Distinct bytes requested, and bytes moved, by an access of device memory; `lanes` holds address and
/// size and is put in order. `meet` is told every sector once.
pub fn global(lanes: &mut [(u64, u8)], mut meet: impl FnMut(Range<u64>)) -> (u64, u64) {
    if !lanes.is_sorted() {
        lanes.sort_unstable();
    }
    let (mut requested, mut sectors) = (0, 0);
    // The first byte, and the first sector, that was not yet counted.
    let (mut byte, mut sector) = (0, 0);
    for &(address, size) in lanes.iter() {
        let end = address + u64::from(size);
        requested += end.saturating_sub(address.max(byte));
        byte = byte.max(end);
        let (first, last) = ((address / SECTOR).max(sector), (end - 1) / SECTOR);
        sectors += (last + 1).saturating_sub(first);
        meet(first..last + 1);
        sector = sector.max(last + 1);
    }
    (requested, sectors * SECTOR)
}

/// Turns of the banks without and with conflicts for an access of shared memory; `lanes` holds lane,
/// offset and size. Accesses of 8 bytes are served half a warp at a time, those of 16 a quarter.
pub fn shared(lanes: &[(u8, u64, u8)]) -> (u64, u64) {
    let size = lanes.iter().map(|&(_, _, size)| size).max().unwrap_or(4);
    let together = match size {
        16 => 8,
        8 => 16,
        _ => 32,
    };
    let (mut ideal, mut turns) = (0, 0);
    let mut words: Vec<u64> = Vec::with_capacity(BANKS);
    for part in 0..BANKS as u8 / together {
        words.clear();
        for &(_, offset, size) in lanes.iter().filter(|(lane, ..)| lane / together == part) {
            words.extend(offset / WORD..(offset + u64::from(size)).div_ceil(WORD));
        }
        if words.is_empty() {
            continue;
        }
        words.sort_unstable();
        words.dedup();
        let mut load = [0u64; BANKS];
        for word in &words {
            load[*word as usize % BANKS] += 1;
        }
        ideal += 1;
        turns += load.iter().max().copied().unwrap_or(1);
    }
    (ideal, turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global_of(f: impl Fn(u64) -> u64, size: u8) -> (u64, u64) {
        let mut lanes: Vec<_> = (0..32).map(|lane| (f(lane), size)).collect();
        global(&mut lanes, |_| ())
    }

    fn shared_of(f: impl Fn(u64) -> u64, size: u8) -> (u64, u64) {
        let lanes: Vec<_> = (0..32u8).map(|lane| (lane, f(lane.into()), size)).collect();
        shared(&lanes)
    }

    #[test]
    fn sectors() {
        assert_eq!(global_of(|l| 4 * l, 4), (128, 128));
        assert_eq!(global_of(|l| 4 * (31 - l), 4), (128, 128));
        assert_eq!(global_of(|l| 4 + 4 * l, 4), (128, 160));
        assert_eq!(global_of(|l| 64 * l, 4), (128, 1024));
        assert_eq!(global_of(|_| 64, 4), (4, 32));
        assert_eq!(global_of(|l| 16 * l, 16), (512, 512));
        assert_eq!(global_of(|l| 8 * l, 4), (128, 256));
        assert_eq!(global_of(|l| 2 * l, 2), (64, 64));
        assert_eq!(global_of(|l| 4096 * (l % 2), 4), (8, 64));
    }

    #[test]
    fn banks() {
        assert_eq!(shared_of(|l| 4 * l, 4), (1, 1));
        assert_eq!(shared_of(|l| 8 * l, 4), (1, 2));
        assert_eq!(shared_of(|l| 128 * l, 4), (1, 32));
        assert_eq!(shared_of(|l| 132 * l, 4), (1, 1));
        assert_eq!(shared_of(|_| 128, 4), (1, 1));
        assert_eq!(shared_of(|l| 8 * l, 8), (2, 2));
        assert_eq!(shared_of(|l| 128 * l, 8), (2, 32));
        assert_eq!(shared_of(|l| 16 * l, 16), (4, 4));
        assert_eq!(shared_of(|l| 32 * l, 16), (4, 8));
        assert_eq!(shared_of(|l| 2 * l, 2), (1, 1));
    }
}
