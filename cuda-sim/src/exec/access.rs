//! Loads and stores.

use super::thread::Runner;
use super::view::Request;
use crate::code::{Instr, Order, Space, Transfer};
use crate::fault::{Fault, FaultKind};
use crate::memory::Access;

impl Runner<'_> {
    #[inline]
    pub(super) fn load(&mut self, i: &Instr, t: Transfer, site: usize) -> Result<(), Box<Fault>> {
        let address = t.space.address(self.registers[i.a as usize], t.offset);
        let bytes = usize::from(t.bytes * t.count);
        let value = if t.space == Space::Param {
            self.param(address, bytes)?
        } else {
            let access = match t.order {
                Order::Weak => Access::Read,
                Order::NonCoherent => Access::ReadOnce,
            };
            let request = Request { space: t.space, address, bytes, access, site };
            let place = self.view.place(&mut self.thread.local, request)?;
            place.region.load(place.offset, bytes)
        };
        let r = &mut *self.registers;
        r[i.d as usize] = element(value, 0, t);
        if t.count > 1 {
            r[i.b as usize] = element(value, 1, t);
            if t.count > 2 {
                r[i.c as usize] = element(value, 2, t);
                r[i.e as usize] = element(value, 3, t);
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn store(&mut self, i: &Instr, t: Transfer, site: usize) -> Result<(), Box<Fault>> {
        let r = &*self.registers;
        let address = t.space.address(r[i.a as usize], t.offset);
        let bytes = usize::from(t.bytes * t.count);
        let mut value = part(r[i.d as usize], 0, t);
        if t.count > 1 {
            value |= part(r[i.b as usize], 1, t);
            if t.count > 2 {
                value |= part(r[i.c as usize], 2, t) | part(r[i.e as usize], 3, t);
            }
        }
        if t.space == Space::Param {
            return Err(Fault::new(FaultKind::WrongSpace, "write to the kernel's arguments"));
        }
        let access = Access::Write;
        let request = Request { space: t.space, address, bytes, access, site };
        let place = self.view.place(&mut self.thread.local, request)?;
        place.region.store(place.offset, bytes, value);
        Ok(())
    }

    fn param(&self, address: u64, bytes: usize) -> Result<u128, Box<Fault>> {
        let params = self.view.params;
        let range = (address as usize)..(address as usize).saturating_add(bytes);
        let Some(source) = params.get(range) else {
            let message =
                format!("read at offset {address} of {} bytes of arguments", params.len());
            return Err(Fault::new(FaultKind::OutOfBounds, message));
        };
        let mut value = [0; 16];
        value[..bytes].copy_from_slice(source);
        Ok(u128::from_le_bytes(value))
    }
}

#[inline]
fn element(value: u128, index: u32, t: Transfer) -> u64 {
    let bits = 8 * u32::from(t.bytes);
    let low = (value >> (bits * index)) as u64;
    let unused = 64 - bits;
    low << unused >> unused
}

#[inline]
fn part(register: u64, index: u32, t: Transfer) -> u128 {
    let bits = 8 * u32::from(t.bytes);
    let unused = 64 - bits;
    u128::from(register << unused >> unused) << (bits * index)
}
