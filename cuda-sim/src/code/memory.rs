//! Loads, stores, atomics and asynchronous copies.

use super::translate::{Outcome, Translator};
use super::{CopyAsync, Step};
use crate::ptx::syntax::{self, Base, Instruction, Name, Operand};
use crate::ptx::{Error, Type};

/// The space of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Decided by the address.
    Generic,
    /// Device memory.
    Global,
    /// Constants of the module.
    Const,
    /// Memory of the block.
    Shared,
    /// Memory of the thread.
    Local,
    /// Arguments of the kernel.
    Param,
}

impl Space {
    /// The address in a register plus an offset. Addresses of shared and local memory have 32 bits, and
    /// wrap around as such, unless the register holds more.
    #[inline]
    pub fn address(self, register: u64, offset: i64) -> u64 {
        let sum = register.wrapping_add(offset as u64);
        let narrow = matches!(self, Self::Shared | Self::Local) && register >> 32 == 0;
        if narrow { sum & 0xFFFF_FFFF } else { sum }
    }
}

/// The ordering of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// None.
    Weak,
    /// Through the cache that is not coherent.
    NonCoherent,
}

/// A load or a store.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Where.
    pub space: Space,
    /// Bytes of one element.
    pub bytes: u8,
    /// Number of elements, 1 to 4.
    pub count: u8,
    /// Ordering.
    pub order: Order,
    /// Added to the address.
    pub offset: i64,
}

/// What an atomic instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the variants are the names of PTX
pub enum AtomicKind {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
}

/// An atomic instruction.
#[derive(Clone, Copy, Debug)]
pub struct Atomic {
    /// Where.
    pub space: Space,
    /// What it does.
    pub kind: AtomicKind,
    /// Type of the operands.
    pub ty: Type,
    /// Added to the address.
    pub offset: i64,
}

fn space(i: &Instruction) -> Space {
    for modifier in &i.modifiers {
        return match modifier.as_str() {
            "global" => Space::Global,
            "const" => Space::Const,
            "shared" => Space::Shared,
            "local" => Space::Local,
            "param" => Space::Param,
            _ => continue,
        };
    }
    Space::Generic
}

pub fn translate(t: &mut Translator, i: &Instruction, ty: Type) -> Outcome {
    match i.opcode.as_str() {
        "ld" => transfer(t, i, ty, true),
        "st" => transfer(t, i, ty, false),
        _ => atomic(t, i, ty),
    }
}

/// The register and the offset of `[base+offset]`, and its space if it names a parameter.
fn address(
    t: &mut Translator,
    operand: &Operand,
    space: Space,
) -> Result<(u32, i64, Space), Error> {
    let Operand::Address(base, offset) = operand else {
        return t.error("an address is missing");
    };
    match base {
        Base::Register(register) => Ok((t.register(*register), *offset, space)),
        Base::Absolute(address) => Ok((t.constant(*address), *offset, space)),
        Base::Name(name) => {
            let address = t.symbol_address(name)?;
            let space = match (space, name) {
                (Space::Param, Name::Scoped(index)) => param_space(t, *index),
                _ => space,
            };
            Ok((t.constant(address), *offset, space))
        }
    }
}

/// The arguments of a kernel have a space of their own; those of functions are local memory.
fn param_space(t: &Translator, variable: usize) -> Space {
    let function = t.function_now();
    let of_kernel = function.is_entry && function.params.contains(&variable);
    debug_assert_eq!(function.variables[variable].space, syntax::Space::Param);
    if of_kernel { Space::Param } else { Space::Local }
}

fn transfer(t: &mut Translator, i: &Instruction, ty: Type, is_load: bool) -> Outcome {
    let (value, place) = if is_load { (0, 1) } else { (1, 0) };
    let (base, offset, space) = address(t, t.operand(i, place)?, space(i))?;
    let value = t.operand(i, value)?;
    let parts = match value {
        Operand::Vector(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    let count = match (i.has("v2"), i.has("v4")) {
        (true, _) => 2,
        (_, true) => 4,
        _ => 1,
    };
    if parts.len() != count {
        return t.error(format!("{} of {} registers", i.name(), parts.len()));
    }
    let order = if i.has("nc") { Order::NonCoherent } else { Order::Weak };
    let (bytes, count) = (ty.bytes() as u8, count as u8);
    let mut registers = [t.sink(); 4];
    for (register, part) in registers.iter_mut().zip(parts) {
        *register = if is_load { t.destination(part)? } else { t.source(part, ty)? };
    }
    let transfer = Transfer { space, bytes, count, order, offset };
    let step = if is_load { Step::Load(transfer) } else { Step::Store(transfer) };
    let [d, b, c, e] = registers;
    t.emit(step, d, &[base, b, c, e]);
    Ok(())
}

fn atomic(t: &mut Translator, i: &Instruction, ty: Type) -> Outcome {
    let kinds = [
        ("add", AtomicKind::Add),
        ("min", AtomicKind::Min),
        ("max", AtomicKind::Max),
        ("and", AtomicKind::And),
        ("or", AtomicKind::Or),
        ("xor", AtomicKind::Xor),
    ];
    let kind = kinds.iter().find(|(name, _)| i.has(name)).map(|(_, kind)| *kind);
    let Some(kind) = kind else { return t.unsupported(i) };
    let returns = i.opcode == "atom";
    let first = usize::from(returns);
    let d = if returns { t.destination(t.operand(i, 0)?)? } else { t.sink() };
    let (base, offset, space) = address(t, t.operand(i, first)?, space(i))?;
    let b = t.source(t.operand(i, first + 1)?, ty)?;
    t.emit(Step::Atomic(Atomic { space, kind, ty, offset }), d, &[base, b]);
    Ok(())
}

/// `cp.async` and its waits.
pub fn translate_copy(t: &mut Translator, i: &Instruction) -> Outcome {
    if i.has("commit_group") {
        t.emit(Step::CopyCommit, t.sink(), &[]);
        return Ok(());
    }
    if i.has("wait_group") {
        let keep = t.source(t.operand(i, 0)?, Type::U32)?;
        t.emit(Step::CopyWait, t.sink(), &[keep]);
        return Ok(());
    }
    let (to, to_offset, _) = address(t, t.operand(i, 0)?, Space::Shared)?;
    let (from, from_offset, _) = address(t, t.operand(i, 1)?, Space::Global)?;
    let Operand::Immediate(bytes @ (4 | 8 | 16)) = *t.operand(i, 2)? else {
        return t.error("cp.async copies 4, 8 or 16 bytes");
    };
    if i.has("cg") && bytes != 16 {
        return t.error("cp.async.cg copies 16 bytes");
    }
    let size = match i.operands.get(3) {
        Some(operand) => t.source(operand, Type::U32)?,
        None => t.sink(),
    };
    let has_size = i.operands.len() > 3;
    let index = t.code.copies.len() as u32;
    t.code.copies.push(CopyAsync { to_offset, from_offset, bytes: bytes as u32, has_size });
    t.emit(Step::CopyAsync(index), t.sink(), &[to, from, size]);
    Ok(())
}
