//! Atomic instructions.

use super::thread::Runner;
use super::view::Request;
use crate::arith::{float, integer};
use crate::code::{Atomic, AtomicKind, Instr, Space};
use crate::fault::Fault;
use crate::memory::Access;
use crate::ptx::Type;

impl Runner<'_> {
    pub(super) fn atomic(
        &mut self,
        i: &Instr,
        atomic: Atomic,
        site: usize,
    ) -> Result<(), Box<Fault>> {
        let r = &*self.registers;
        let address = atomic.space.address(r[i.a as usize], atomic.offset);
        let b = r[i.b as usize];
        let bytes = atomic.ty.bytes();
        let access = Access::Atomic;
        let request = Request { space: atomic.space, address, bytes, access, site };
        let place = self.view.place(&mut self.thread.local, request)?;
        let old = place.region.load(place.offset, bytes) as u64;
        let new = combine(atomic, old, b);
        place.region.store(place.offset, bytes, u128::from(new));
        self.registers[i.d as usize] = old;
        Ok(())
    }
}

fn combine(atomic: Atomic, old: u64, b: u64) -> u64 {
    match (atomic.kind, atomic.ty) {
        // Global additions of singles flush subnormal numbers, shared ones do not.
        (AtomicKind::Add, Type::F32) if atomic.space == Space::Global => {
            float::add_flushed_f32(old, b, 0, 0)
        }
        (AtomicKind::Add, Type::F32) => float::add_f32(old, b, 0, 0),
        (AtomicKind::Add, Type::F64) => float::add_f64(old, b, 0, 0),
        (AtomicKind::Add, _) => old.wrapping_add(b),
        (AtomicKind::And, _) => old & b,
        (AtomicKind::Or, _) => old | b,
        (AtomicKind::Xor, _) => old ^ b,
        (AtomicKind::Min, Type::S32) => integer::min::<i32>(old, b, 0, 0),
        (AtomicKind::Min, Type::S64) => integer::min::<i64>(old, b, 0, 0),
        (AtomicKind::Min, Type::U64) => integer::min::<u64>(old, b, 0, 0),
        (AtomicKind::Min, _) => integer::min::<u32>(old, b, 0, 0),
        (AtomicKind::Max, Type::S32) => integer::max::<i32>(old, b, 0, 0),
        (AtomicKind::Max, Type::S64) => integer::max::<i64>(old, b, 0, 0),
        (AtomicKind::Max, Type::U64) => integer::max::<u64>(old, b, 0, 0),
        (AtomicKind::Max, _) => integer::max::<u32>(old, b, 0, 0),
    }
}
