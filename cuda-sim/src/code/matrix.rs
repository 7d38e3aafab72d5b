//! Tensor-core instructions.

use super::Step;
use super::translate::{Outcome, Translator};
use crate::arith::soft::Format;
use crate::ptx::syntax::{Base, Instruction, Operand};
use crate::ptx::{Error, Type};

/// `mma.sync`: D = A·B + C with A of 16×16 and B of 16×8 halves, C and D of 16×8 singles.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Format of A and B.
    pub format: Format,
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

pub fn translate(t: &mut Translator, i: &Instruction, types: &[Type]) -> Outcome {
    let step = match i.opcode.as_str() {
        "mma" => multiply(t, i, types)?,
        _ => load(t, i)?,
    };
    t.emit(step, t.sink(), &[]);
    Ok(())
}

fn multiply(t: &mut Translator, i: &Instruction, types: &[Type]) -> Result<Step, Error> {
    let format = if types[1] == Type::F16 { Format::F16 } else { Format::BF16 };
    let registers = |t: &mut Translator, at| registers(t, i, at, at == 0);
    let matrix = Matrix {
        format,
        d: registers(t, 0)?,
        a: registers(t, 1)?,
        b: registers(t, 2)?,
        c: registers(t, 3)?,
    };
    let lengths = [matrix.d.len(), matrix.a.len(), matrix.b.len(), matrix.c.len()];
    if lengths != [4, 4, 2, 4] {
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
    if count != Some(d.len()) {
        return t.error(format!("{} into {} registers", i.name(), d.len()));
    }
    let (address, offset) = match t.operand(i, 1)? {
        Operand::Address(Base::Register(register), offset) => (t.register(*register), *offset),
        Operand::Address(Base::Name(name), offset) => {
            let address = t.symbol_address(name)?;
            (t.constant(address), *offset)
        }
        _ => return t.error("ldmatrix needs an address"),
    };
    let transposed = i.has("trans");
    t.code.matrix_loads.push(LoadMatrix { d, address, offset, transposed });
    Ok(Step::LoadMatrix(t.code.matrix_loads.len() as u32 - 1))
}
