//! A piece of memory with its checks.

use super::shadow::{Cell, Conflict, Word};
use super::{Access, Initialised, Observer};

/// What is wrong with an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The byte at this offset was never written.
    Uninitialised(usize),
    /// Another thread touched the word at this offset without order.
    Race(usize, Conflict),
}

/// Bytes with a record of which were written and, unless private to a thread, who touched them.
pub struct Region {
    /// The contents.
    pub bytes: Vec<u8>,
    /// Which of them were ever written.
    pub initialised: Initialised,
    shadow: Vec<Cell>,
}

impl Region {
    /// Memory that several threads may touch.
    pub fn new(bytes: usize) -> Self {
        let shadow = vec![[0; 3]; bytes.div_ceil(4)];
        Self { bytes: vec![0; bytes], initialised: Initialised::new(bytes), shadow }
    }

    /// Memory of one thread.
    pub fn private(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes], initialised: Initialised::new(bytes), shadow: Vec::new() }
    }

    /// Forgets all accesses, not the contents.
    pub fn forget_accesses(&mut self) {
        self.shadow.fill([0; 3]);
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
        let writes = matches!(access, Access::Write | Access::StrongWrite);
        if !writes && !self.initialised.covers_aligned(offset, length) {
            let missing = self.initialised.first_missing(offset, length);
            return Err(Problem::Uninitialised(missing.unwrap_or(offset)));
        }
        if !self.shadow.is_empty() {
            if length < 4 {
                let mask = ((1 << length) - 1) << (offset & 3);
                self.touch(observer, access, offset / 4, mask)?;
            } else {
                for word in offset / 4..(offset + length) / 4 {
                    self.touch(observer, access, word, 0xF)?;
                }
            }
        }
        if writes {
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
        mask: u64,
    ) -> Result<(), Problem> {
        let touched = Word(&mut self.shadow[word]).touch(observer, access, mask);
        touched.map_err(|conflict| Problem::Race(4 * word, conflict))
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
