//! A piece of memory with its checks.

use super::claims::{Claim, Footprint};
use super::shadow::{Cell, Conflict, History};
use super::{Access, Initialised, Observer};

/// What is wrong with an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The access at this offset touches the gap between two variables.
    Gap(usize),
    /// The byte at this offset was never written.
    Uninitialised(usize),
    /// Another thread touched the byte at this offset without order.
    Race(usize, Conflict),
    /// An operation on another stream touched it without order: its index in [`Region::unordered`].
    Stream(usize, usize),
}

/// Bytes with a record of which were written and, unless private to a thread, who touched them.
#[derive(Default)]
pub struct Region {
    /// The contents.
    pub bytes: Vec<u8>,
    /// Which of them were ever written.
    pub initialised: Initialised,
    /// Gaps between variables that nobody may touch, as start and end.
    pub gaps: Vec<(usize, usize)>,
    /// What operations of the host did.
    pub claims: Vec<Claim>,
    /// Those of them that the running launch does not come after.
    pub unordered: Vec<Claim>,
    /// The history of every four bytes.
    shadow: Vec<Cell>,
    /// The histories of single bytes, of words whose bytes were touched one by one.
    fine: Vec<[Cell; 4]>,
}

const EMPTY: Cell = [0; 5];
/// In the first place of a cell: the next place is an index into the histories of single bytes.
const SPLIT: u64 = u64::MAX;

impl Region {
    /// Memory that several threads may touch.
    pub fn new(bytes: usize) -> Self {
        Self { shadow: vec![EMPTY; bytes.div_ceil(4)], ..Self::private(bytes) }
    }

    /// Memory of one thread.
    pub fn private(bytes: usize) -> Self {
        let initialised = Initialised::new(bytes);
        Self { bytes: vec![0; bytes], initialised, ..Self::default() }
    }

    /// The same with gaps that nobody may touch.
    pub fn with_gaps(self, gaps: &[(usize, usize)]) -> Self {
        Self { gaps: gaps.to_vec(), ..self }
    }

    /// Forgets all accesses, not the contents.
    pub fn forget_accesses(&mut self) {
        self.shadow.fill(EMPTY);
        self.fine.clear();
    }

    /// Checks an access of a power of two bytes, at most 16, aligned to its size and in bounds.
    #[inline(always)]
    pub fn check(
        &mut self,
        observer: &Observer<'_>,
        access: Access,
        offset: usize,
        length: usize,
    ) -> Result<(), Problem> {
        if !self.gaps.is_empty() {
            let touched = |&(start, end): &(usize, usize)| offset < end && start < offset + length;
            if self.gaps.iter().any(touched) {
                return Err(Problem::Gap(offset));
            }
        }
        if !access.only_writes() && !self.initialised.covers_aligned(offset, length) {
            let missing = self.initialised.first_missing(offset, length);
            return Err(Problem::Uninitialised(missing.unwrap_or(offset)));
        }
        if !self.unordered.is_empty() {
            let conflicting = |claim: &Claim| claim.conflicts(offset, length, access);
            if let Some(index) = self.unordered.iter().position(conflicting) {
                return Err(Problem::Stream(offset, index));
            }
        }
        if !self.shadow.is_empty() {
            if length < 4 {
                self.touch_bytes(observer, access, offset, length)?;
            } else {
                for word in offset / 4..(offset + length) / 4 {
                    self.touch(observer, access, word)?;
                }
            }
        }
        if access.only_writes() {
            self.initialised.set_aligned(offset, length);
        }
        Ok(())
    }

    #[inline(always)]
    fn touch(
        &mut self,
        observer: &Observer<'_>,
        access: Access,
        word: usize,
    ) -> Result<(), Problem> {
        let cell = &mut self.shadow[word];
        if cell[0] == SPLIT {
            return self.touch_bytes(observer, access, 4 * word, 4);
        }
        let touched = History(cell).touch(observer, access);
        touched.map_err(|conflict| Problem::Race(4 * word, conflict))
    }

    /// Touches bytes of one word.
    fn touch_bytes(
        &mut self,
        observer: &Observer<'_>,
        access: Access,
        offset: usize,
        length: usize,
    ) -> Result<(), Problem> {
        let cell = &mut self.shadow[offset / 4];
        if cell[0] != SPLIT {
            let index = self.fine.len() as u64;
            self.fine.push([*cell; 4]);
            *cell = [SPLIT, index, 0, 0, 0];
        }
        let fine = &mut self.fine[cell[1] as usize][offset % 4..offset % 4 + length];
        for (byte, cell) in fine.iter_mut().enumerate() {
            let touched = History(cell).touch(observer, access);
            touched.map_err(|conflict| Problem::Race(offset + byte, conflict))?;
        }
        Ok(())
    }

    /// The first access to some bytes with a stamp in one of the `stamps` (after the first number, up
    /// to the second); with `reads`, among reads too.
    pub fn find_access(
        &mut self,
        footprint: Footprint,
        reads: bool,
        stamps: &[(u32, u32)],
    ) -> Option<Access> {
        let is_unordered =
            |stamp: u32| stamps.iter().any(|&(start, end)| start < stamp && stamp <= end);
        for (start, end) in footprint.runs() {
            for byte in start..end {
                // Unless a word is split, its first byte in the run stands for all.
                let cell = &mut self.shadow[byte / 4];
                let found = if cell[0] == SPLIT {
                    History(&mut self.fine[cell[1] as usize][byte % 4]).find(reads, is_unordered)
                } else if byte == start || byte % 4 == 0 {
                    History(cell).find(reads, is_unordered)
                } else {
                    None
                };
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// Little-endian value of 1, 2, 4, 8 or 16 bytes.
    #[inline(always)]
    pub fn load(&self, offset: usize, length: usize) -> u128 {
        let bytes = &self.bytes[offset..];
        match length {
            4 => u32::from_le_bytes(array(bytes)).into(),
            8 => u64::from_le_bytes(array(bytes)).into(),
            16 => u128::from_le_bytes(array(bytes)),
            2 => u16::from_le_bytes(array(bytes)).into(),
            _ => bytes[0].into(),
        }
    }

    /// Writes the low 1, 2, 4, 8 or 16 bytes of `value`.
    #[inline(always)]
    pub fn store(&mut self, offset: usize, length: usize, value: u128) {
        let bytes = &mut self.bytes[offset..];
        match length {
            4 => bytes[..4].copy_from_slice(&(value as u32).to_le_bytes()),
            8 => bytes[..8].copy_from_slice(&(value as u64).to_le_bytes()),
            16 => bytes[..16].copy_from_slice(&value.to_le_bytes()),
            2 => bytes[..2].copy_from_slice(&(value as u16).to_le_bytes()),
            _ => bytes[0] = value as u8,
        }
    }
}

#[inline]
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("bounds were checked")
}
