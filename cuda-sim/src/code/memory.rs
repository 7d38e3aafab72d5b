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

/// The ordering of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// None.
    Weak,
    /// Through the cache that is not coherent.
    NonCoherent,
    /// Relaxed or stronger, which volatile is too: may meet atomics of other threads.
    Strong,
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
    /// Elements are sign-extended.
    pub signed: bool,
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
    Exch,
    Cas,
    And,
    Or,
    Xor,
    Inc,
    Dec,
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
    /// Only threads of the block may meet it (`.cta`).
    pub of_block: bool,
    /// Added to the address.
    pub offset: i64,
}

fn space(i: &Instruction) -> Space {
    for modifier in &i.modifiers {
        return match modifier.as_str() {
            "global" => Space::Global,
            "const" => Space::Const,
            "shared" | "shared::cta" => Space::Shared,
            "local" => Space::Local,
            "param" => Space::Param,
            _ => continue,
        };
    }
    Space::Generic
}

pub fn translate(t: &mut Translator, i: &Instruction) -> Outcome {
    match i.opcode.as_str() {
        "ld" | "ldu" => transfer(t, i, true),
        "st" => transfer(t, i, false),
        "atom" | "red" => atomic(t, i),
        _ => {
            t.emit(Step::Nothing, t.sink(), &[]);
            Ok(())
        }
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

fn transfer(t: &mut Translator, i: &Instruction, is_load: bool) -> Outcome {
    let Some(&ty) = i.types().first() else { return t.unsupported(i) };
    let (value, place) = if is_load { (0, 1) } else { (1, 0) };
    let (base, offset, space) = address(t, t.operand(i, place)?, space(i))?;
    let value = t.operand(i, value)?;
    let parts = match value {
        Operand::Vector(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    if parts.is_empty() || parts.len() > 4 || parts.len() == 3 || ty.bytes() > 8 {
        return t.unsupported(i);
    }
    let order = if i.has("nc") {
        Order::NonCoherent
    } else if ["relaxed", "acquire", "release", "volatile", "mmio"].iter().any(|m| i.has(m)) {
        Order::Strong
    } else {
        Order::Weak
    };
    let (bytes, count, signed) = (ty.bytes() as u8, parts.len() as u8, ty.is_signed());
    if usize::from(bytes * count) > 16 {
        return t.error(format!("{} accesses more than 16 bytes", i.name()));
    }
    let mut registers = [t.sink(); 4];
    for (register, part) in registers.iter_mut().zip(parts) {
        *register = if is_load { t.destination(part)? } else { t.source(part, ty)? };
    }
    let transfer = Transfer { space, bytes, count, signed, order, offset };
    let step = if is_load { Step::Load(transfer) } else { Step::Store(transfer) };
    let [d, b, c, e] = registers;
    t.emit(step, d, &[base, b, c, e]);
    Ok(())
}

fn atomic(t: &mut Translator, i: &Instruction) -> Outcome {
    let kinds = [
        ("add", AtomicKind::Add),
        ("min", AtomicKind::Min),
        ("max", AtomicKind::Max),
        ("exch", AtomicKind::Exch),
        ("cas", AtomicKind::Cas),
        ("and", AtomicKind::And),
        ("or", AtomicKind::Or),
        ("xor", AtomicKind::Xor),
        ("inc", AtomicKind::Inc),
        ("dec", AtomicKind::Dec),
    ];
    let kind = kinds.iter().find(|(name, _)| i.has(name)).map(|(_, kind)| *kind);
    let (Some(kind), Some(&ty)) = (kind, i.types().first()) else { return t.unsupported(i) };
    let float = ty.is_float() || ty.half().is_some();
    if (float && kind != AtomicKind::Add) || ty.bytes() < 2 || ty.bytes() > 8 {
        return t.unsupported(i);
    }
    let returns = i.opcode == "atom";
    let first = usize::from(returns);
    let d = if returns { t.destination(t.operand(i, 0)?)? } else { t.sink() };
    let (base, offset, space) = address(t, t.operand(i, first)?, space(i))?;
    let b = t.source(t.operand(i, first + 1)?, ty)?;
    let c = match kind {
        AtomicKind::Cas => t.source(t.operand(i, first + 2)?, ty)?,
        _ => t.sink(),
    };
    let of_block = i.has("cta");
    t.emit(Step::Atomic(Atomic { space, kind, ty, of_block, offset }), d, &[base, b, c]);
    Ok(())
}

/// `cp.async` and its waits.
pub fn translate_copy(t: &mut Translator, i: &Instruction) -> Outcome {
    if !i.has("async") || i.has("bulk") || i.has("mbarrier") {
        return t.unsupported(i);
    }
    if i.has("commit_group") {
        t.emit(Step::CopyCommit, t.sink(), &[]);
        return Ok(());
    }
    if i.has("wait_all") {
        t.emit(Step::CopyWaitAll, t.sink(), &[]);
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
