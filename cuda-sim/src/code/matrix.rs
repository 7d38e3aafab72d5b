//! Tensor-core instructions.

use super::Step;
use super::translate::{Outcome, Translator};
use crate::ptx::syntax::{Base, Instruction, Operand};
use crate::ptx::{Error, Type};

/// Type of the elements of A and B.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the variants are the names of PTX
pub enum Element {
    F16,
    BF16,
    TF32,
    F64,
}

/// `mma.sync`: D = A·B + C with A of 16×k (8×4 for doubles) and B of k×8.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Type of A and B.
    pub element: Element,
    /// Whether C and D are packed halves.
    pub half_accumulator: bool,
    /// Inner dimension.
    pub k: usize,
    /// Registers of D, A, B and C in a lane.
    pub d: Vec<u32>,
    /// See `d`.
    pub a: Vec<u32>,
    /// See `d`.
    pub b: Vec<u32>,
    /// See `d`.
    pub c: Vec<u32>,
}

/// `ldmatrix`: 8×8 matrices of 16-bit elements.
#[derive(Clone, Debug)]
pub struct LoadMatrix {
    /// A register for each matrix.
    pub d: Vec<u32>,
    /// Register of the address.
    pub address: u32,
    /// Added to it.
    pub offset: i64,
    /// Whether the matrices are transposed.
    pub transposed: bool,
}

pub fn translate(t: &mut Translator, i: &Instruction) -> Outcome {
    let step = match i.opcode.as_str() {
        "mma" => multiply(t, i)?,
        _ => load(t, i)?,
    };
    t.emit(step, t.sink(), &[]);
    Ok(())
}

fn multiply(t: &mut Translator, i: &Instruction) -> Result<Step, Error> {
    let unsupported = |t: &Translator| t.error(format!("{} is not supported", i.name()));
    let types = i.types();
    let &[d_type, a_type, b_type, c_type] = types.as_slice() else { return unsupported(t) };
    let element = match a_type {
        Type::F16 => Element::F16,
        Type::BF16 => Element::BF16,
        Type::TF32 => Element::TF32,
        Type::F64 => Element::F64,
        _ => return unsupported(t),
    };
    let half_accumulator = d_type == Type::F16;
    let k = match (element, half_accumulator) {
        (Element::F16, _) | (Element::BF16, false) if i.has("m16n8k16") => 16,
        (Element::F16, _) | (Element::BF16, false) if i.has("m16n8k8") => 8,
        (Element::TF32, false) if i.has("m16n8k8") => 8,
        (Element::TF32, false) if i.has("m16n8k4") => 4,
        (Element::F64, false) if i.has("m8n8k4") => 4,
        _ => return unsupported(t),
    };
    let accumulator_fits = match element {
        Element::F64 => d_type == Type::F64,
        _ => half_accumulator || d_type == Type::F32,
    };
    if a_type != b_type || d_type != c_type || !accumulator_fits || !i.has("row") || !i.has("col") {
        return unsupported(t);
    }
    let registers = |t: &mut Translator, at| registers(t, i, at, at == 0);
    let matrix = Matrix {
        element,
        half_accumulator,
        k,
        d: registers(t, 0)?,
        a: registers(t, 1)?,
        b: registers(t, 2)?,
        c: registers(t, 3)?,
    };
    let a_registers = match element {
        Element::F64 => 1,
        Element::TF32 => k / 2,
        _ => k / 4,
    };
    let c_registers = if element == Element::F64 || half_accumulator { 2 } else { 4 };
    let b_registers = if element == Element::F64 { 1 } else { a_registers / 2 };
    let lengths = [matrix.d.len(), matrix.a.len(), matrix.b.len(), matrix.c.len()];
    if lengths != [c_registers, a_registers, b_registers, c_registers] {
        return t.error(format!("{} with operands of {lengths:?} registers", i.name()));
    }
    t.code.matrices.push(matrix);
    Ok(Step::Matrix(t.code.matrices.len() as u32 - 1))
}

fn registers(
    t: &mut Translator,
    i: &Instruction,
    at: usize,
    written: bool,
) -> Result<Vec<u32>, Error> {
    let parts = match t.operand(i, at)? {
        Operand::Vector(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    let register =
        |part: &Operand| if written { t.destination(part) } else { t.source(part, Type::B32) };
    parts.iter().map(register).collect()
}

fn load(t: &mut Translator, i: &Instruction) -> Result<Step, Error> {
    let count = ["x1", "x2", "x4"].iter().position(|m| i.has(m)).map(|n| 1 << n);
    let d = registers(t, i, 0, true)?;
    if !i.has("m8n8") || !i.has("b16") || count != Some(d.len()) {
        return t.error(format!("{} is not supported", i.name()));
    }
    let (address, offset) = match t.operand(i, 1)? {
        Operand::Address(Base::Register(register), offset) => (t.register(*register), *offset),
        Operand::Address(Base::Name(name), offset) => {
            let address = t.symbol_address(name)?;
            (t.constant(address), *offset)
        }
        _ => return t.error("ldmatrix needs an address"),
    };
    if !i.has("shared") && !i.has("shared::cta") {
        return t.error("ldmatrix without .shared is not supported");
    }
    let transposed = i.has("trans");
    t.code.matrix_loads.push(LoadMatrix { d, address, offset, transposed });
    Ok(Step::LoadMatrix(t.code.matrix_loads.len() as u32 - 1))
}
