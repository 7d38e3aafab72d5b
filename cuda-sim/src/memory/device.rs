//! Device memory: allocations in one address space.

use super::{GLOBAL_BASE, Region};
use crate::order::Order;
use std::collections::VecDeque;

/// Distance between allocations: 64 GiB, so that what runs past one, by whatever a wrong stride or a
/// wrong size adds, does not meet the next. Addresses are numbers and cost nothing.
const GAP: u64 = 1 << 36;
/// Alignment of allocations, that of `cuMemAlloc`.
const ALIGN: u64 = 512;
/// How many freed ranges are remembered for diagnoses.
const FREED: usize = 4096;

/// Who asked for an allocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The host program.
    User,
    /// A variable of a module.
    Variable,
    /// A constant of a module: kernels only read it.
    Constant,
    /// A node of a captured graph.
    Graph,
}

/// The limit of device memory is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// One allocation.
pub struct Allocation {
    /// Its first address.
    pub base: u64,
    /// Its contents.
    pub region: Region,
    /// Its owner.
    pub kind: Kind,
}

/// All allocations, ordered by address. Addresses are never used twice.
pub struct DeviceMemory {
    allocations: Vec<Allocation>,
    freed: VecDeque<(u64, usize)>,
    next: u64,
    used: usize,
    limit: usize,
}

impl DeviceMemory {
    /// Empty memory of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let next = GLOBAL_BASE;
        Self { allocations: Vec::new(), freed: VecDeque::new(), next, used: 0, limit }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes there are.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many allocations of the host program live.
    pub fn live(&self) -> usize {
        self.allocations.iter().filter(|a| a.kind == Kind::User).count()
    }

    /// New memory, not initialised.
    pub fn allocate(&mut self, bytes: usize, kind: Kind) -> Result<u64, OutOfMemory> {
        if self.used.checked_add(bytes).is_none_or(|used| used > self.limit) {
            return Err(OutOfMemory);
        }
        self.used += bytes;
        let base = self.next;
        self.next += (bytes as u64).next_multiple_of(ALIGN) + GAP;
        self.allocations.push(Allocation { base, region: Region::new(bytes), kind });
        Ok(base)
    }

    /// Frees the allocation of `kind` that starts at `base`; false if there is none.
    pub fn free(&mut self, base: u64, kind: Kind) -> bool {
        let found = self.allocations.binary_search_by_key(&base, |a| a.base);
        let Some(index) = found.ok().filter(|&i| self.allocations[i].kind == kind) else {
            return false;
        };
        let bytes = self.allocations.remove(index).region.bytes.len();
        self.used -= bytes;
        if self.freed.len() == FREED {
            self.freed.pop_front();
        }
        self.freed.push_back((base, bytes));
        true
    }

    /// The allocation with this index.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Allocation> {
        self.allocations.get_mut(index)
    }

    /// The allocation with this index.
    pub fn get(&self, index: usize) -> Option<&Allocation> {
        self.allocations.get(index)
    }

    /// Index of the allocation that holds `length` bytes from `address`.
    pub fn find(&self, address: u64, length: usize) -> Option<usize> {
        let index = self.allocations.partition_point(|a| a.base <= address).checked_sub(1)?;
        let allocation = &self.allocations[index];
        let offset = (address - allocation.base) as usize;
        let end = offset.checked_add(length)?;
        (end <= allocation.region.bytes.len()).then_some(index)
    }

    /// The region and the offset in it of `length` bytes from `address`.
    pub fn locate(&mut self, address: u64, length: usize) -> Option<(&mut Region, usize)> {
        let index = self.find(address, length)?;
        let allocation = &mut self.allocations[index];
        let offset = (address - allocation.base) as usize;
        Some((&mut allocation.region, offset))
    }

    /// Says what is near an address that no allocation holds.
    pub fn describe(&self, address: u64) -> String {
        let holds =
            |base: u64, bytes: usize| (base..base + bytes as u64 + GAP / 2).contains(&address);
        if let Some(&(base, bytes)) = self.freed.iter().rev().find(|&&(b, n)| holds(b, n)) {
            return format!("offset {} of a freed {bytes}-byte buffer", address - base);
        }
        let after = self.allocations.partition_point(|a| a.base <= address);
        if let Some(a) = after.checked_sub(1).and_then(|i| self.allocations.get(i)) {
            let bytes = a.region.bytes.len();
            if holds(a.base, bytes) {
                let offset = address - a.base;
                let past = offset as i64 - bytes as i64;
                return match past {
                    0.. => format!("{past} bytes past a {bytes}-byte buffer"),
                    _ => format!("offset {offset} of a {bytes}-byte buffer, running past its end"),
                };
            }
        }
        if let Some(a) = self.allocations.get(after)
            && a.base - address <= GAP
        {
            let bytes = a.region.bytes.len();
            return format!("{} bytes before a {bytes}-byte buffer", a.base - address);
        }
        "no buffer is near".to_string()
    }

    /// Collects what the next launch does not come after.
    pub fn prepare(&mut self, order: &Order) {
        for allocation in &mut self.allocations {
            allocation.region.prepare(order);
        }
    }

    /// Forgets all accesses, for a new count of time.
    pub fn forget_accesses(&mut self) {
        for allocation in &mut self.allocations {
            allocation.region.forget_accesses();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocate_find_free() {
        let mut memory = DeviceMemory::new(1000);
        let a = memory.allocate(100, Kind::User).unwrap();
        let b = memory.allocate(200, Kind::User).unwrap();
        assert_eq!(memory.allocate(701, Kind::User), Err(OutOfMemory));
        assert_eq!((memory.live(), memory.used()), (2, 300));
        assert_eq!(memory.find(a + 96, 4), Some(0));
        assert_eq!(memory.find(a + 97, 4), None);
        assert_eq!(memory.find(b, 200), Some(1));
        assert!(b - a > 1 << 36, "a wrong stride does not reach another buffer");
        assert_eq!(memory.describe(a + 104), "4 bytes past a 100-byte buffer");
        assert_eq!(memory.describe(b - 8), "8 bytes before a 200-byte buffer");
        assert!(memory.free(a, Kind::User) && !memory.free(a, Kind::User));
        assert!(!memory.free(b + 4, Kind::User) && !memory.free(b, Kind::Graph));
        assert_eq!(memory.describe(a + 8), "offset 8 of a freed 100-byte buffer");
        assert_eq!(memory.find(b + 199, 1), Some(0));
    }
}
