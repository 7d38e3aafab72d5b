//! Asynchronous copies.
//!
//! The hardware may copy at any time between the instruction and the wait. So the destination counts
//! as not initialised in between, it is checked for races at both ends, and the source is read last.

use super::thread::{PendingCopy, Runner};
use super::view::Request;
use crate::code::{Instr, Space};
use crate::fault::{Fault, FaultKind};
use crate::memory::Access;

impl Runner<'_> {
    pub(super) fn copy_async(
        &mut self,
        i: &Instr,
        copy: u32,
        site: usize,
    ) -> Result<(), Box<Fault>> {
        let copy = self.program.copies[copy as usize];
        let r = &*self.registers;
        let to = u64::from(r[i.a as usize].wrapping_add(copy.to_offset as u64) as u32);
        let from = r[i.b as usize].wrapping_add(copy.from_offset as u64);
        let bytes = copy.bytes as usize;
        let read = if copy.has_size { r[i.c as usize] as u32 as usize } else { bytes };
        if read > bytes {
            let message = format!("cp.async reads {read} bytes to write {bytes}");
            return Err(Fault::new(FaultKind::InvalidArgument, message));
        }
        if !from.is_multiple_of(bytes as u64) {
            let message = format!("cp.async of {bytes} bytes from {from:#x}");
            return Err(Fault::new(FaultKind::Misaligned, message));
        }
        let pending = PendingCopy { to, from, bytes, read, at: site as u32 };
        self.source(pending)?;
        let place = self.view.place(&mut self.thread.local, destination(pending))?;
        place.region.initialised.clear(place.offset, bytes);
        self.thread.copies.push(pending);
        Ok(())
    }

    pub(super) fn copy_commit(&mut self) {
        let group = std::mem::take(&mut self.thread.copies);
        self.thread.groups.push_back(group);
    }

    /// Makes copies happen until at most `keep` groups are outstanding.
    pub(super) fn copy_wait(&mut self, keep: usize) -> Result<(), Box<Fault>> {
        let log = self.view.log.take();
        while self.thread.groups.len() > keep {
            for copy in self.thread.groups.pop_front().unwrap_or_default() {
                let value = self.source(copy)?;
                let place = self.view.place(&mut self.thread.local, destination(copy))?;
                place.region.store(place.offset, copy.bytes, value);
            }
        }
        self.view.log = log;
        Ok(())
    }

    /// Reads the source; the bytes beyond are zeros.
    fn source(&mut self, copy: PendingCopy) -> Result<u128, Box<Fault>> {
        let mut value = 0;
        let mut done = 0;
        while done < copy.read {
            // The largest aligned piece: reads may be of any length.
            let mut bytes = copy.bytes;
            while bytes > copy.read - done || done % bytes != 0 {
                bytes /= 2;
            }
            let request = Request {
                space: Space::Global,
                address: copy.from + done as u64,
                bytes,
                access: Access::Read,
                site: copy.at as usize,
            };
            let place = self.view.place(&mut self.thread.local, request)?;
            value |= place.region.load(place.offset, bytes) << (8 * done);
            done += bytes;
        }
        Ok(value)
    }
}

fn destination(copy: PendingCopy) -> Request {
    Request {
        space: Space::Shared,
        address: copy.to,
        bytes: copy.bytes,
        access: Access::Write,
        site: copy.at as usize,
    }
}
