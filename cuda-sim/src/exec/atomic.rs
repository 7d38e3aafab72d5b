//! Atomic instructions.

use super::thread::Runner;
use super::view::Request;
use crate::arith::{float, integer, mode::Mode, packed};
use crate::code::{Atomic, AtomicKind, Instr, Space};
use crate::fault::{Fault, FaultKind};
use crate::memory::{Access, GLOBAL_BASE};
use crate::ptx::Type;

impl Runner<'_> {
    pub(super) fn atomic(
        &mut self,
        i: &Instr,
        atomic: Atomic,
        site: usize,
    ) -> Result<(), Box<Fault>> {
        let r = &*self.registers;
        let address = r[i.a as usize].wrapping_add(atomic.offset as u64);
        let (b, c) = (r[i.b as usize], r[i.c as usize]);
        let bytes = atomic.ty.bytes();
        if matches!(atomic.space, Space::Local | Space::Param | Space::Const) {
            return Err(Fault::new(
                FaultKind::WrongSpace,
                "atomic outside global and shared memory",
            ));
        }
        let access = if atomic.of_block { Access::BlockAtomic } else { Access::Atomic };
        let request = Request { space: atomic.space, address, bytes, access, site };
        let place = self.view.place(&mut self.thread.local, request)?;
        let old = place.region.load(place.offset, bytes) as u64;
        // Global additions of singles flush subnormal numbers, shared ones do not.
        let flushes = address >= GLOBAL_BASE;
        let new = combine(atomic, flushes, old, b, c);
        place.region.store(place.offset, bytes, u128::from(new));
        self.registers[i.d as usize] = old;
        Ok(())
    }
}

fn combine(atomic: Atomic, flushes: bool, old: u64, b: u64, c: u64) -> u64 {
    let ty = atomic.ty;
    let wide = ty.bytes() == 8;
    let equal = |x: u64, y: u64| {
        let unused = 64 - 8 * ty.bytes() as u32;
        x << unused == y << unused
    };
    let unsigned = |x: u64| if wide { x } else { x & 0xFFFF_FFFF };
    match atomic.kind {
        AtomicKind::Add => add(ty, flushes, old, b),
        AtomicKind::Exch => b,
        AtomicKind::Cas => {
            if equal(old, b) {
                c
            } else {
                old
            }
        }
        AtomicKind::And => old & b,
        AtomicKind::Or => old | b,
        AtomicKind::Xor => old ^ b,
        AtomicKind::Inc => {
            if unsigned(old) >= unsigned(b) {
                0
            } else {
                old + 1
            }
        }
        AtomicKind::Dec => {
            if unsigned(old) == 0 || unsigned(old) > unsigned(b) {
                b
            } else {
                old - 1
            }
        }
        AtomicKind::Min => match ty {
            Type::S32 => integer::min::<i32>(old, b, 0, 0),
            Type::S64 => integer::min::<i64>(old, b, 0, 0),
            Type::U64 => integer::min::<u64>(old, b, 0, 0),
            _ => integer::min::<u32>(old, b, 0, 0),
        },
        AtomicKind::Max => match ty {
            Type::S32 => integer::max::<i32>(old, b, 0, 0),
            Type::S64 => integer::max::<i64>(old, b, 0, 0),
            Type::U64 => integer::max::<u64>(old, b, 0, 0),
            _ => integer::max::<u32>(old, b, 0, 0),
        },
    }
}

fn add(ty: Type, flushes: bool, old: u64, b: u64) -> u64 {
    let mode = || Mode::plain(ty).pack().unwrap_or_default();
    match ty {
        Type::F32 if flushes => float::add_f32::<true, false>(old, b, 0, 0),
        Type::F32 => float::add_f32::<false, false>(old, b, 0, 0),
        Type::F64 => float::add_f64(old, b, 0, 0),
        Type::F16 | Type::BF16 => float::add(old, b, 0, mode()),
        Type::F16x2 | Type::BF16x2 => packed::add(old, b, 0, mode()),
        _ => old.wrapping_add(b),
    }
}
