//! Addresses of shared and local variables.

use super::link::Symbols;
use crate::ptx::syntax::{Base, Function, Module, Name, Operand, Space, Statement, Variable};
use std::collections::HashMap;

/// Bytes between neighbouring variables, so that running past one never meets the next; a multiple of
/// every alignment and of the banks of shared memory.
const GAP: usize = 1024;

/// Places variables one after the other.
#[derive(Default)]
pub struct Stack {
    /// Bytes used, without gaps.
    pub bytes: usize,
    /// Bytes from the first variable to the end of the last one.
    pub end: usize,
    /// The gaps, as start and end.
    pub gaps: Vec<(usize, usize)>,
}

impl Stack {
    /// Offset of a new variable.
    pub fn place(&mut self, align: usize, bytes: usize) -> u64 {
        let offset = self.end.next_multiple_of(align.max(1));
        self.bytes = self.bytes.next_multiple_of(align.max(1)) + bytes;
        self.end = offset + bytes;
        offset as u64
    }

    /// Offset of a new variable that is a gap away from the last one.
    pub fn place_apart(&mut self, align: usize, bytes: usize) -> u64 {
        if self.end > 0 {
            let before = self.end;
            // Like without a gap modulo the size of one.
            self.end = self.bytes + (self.gaps.len() + 1) * GAP;
            let start = self.end.next_multiple_of(align.max(1));
            self.gaps.push((before, start));
        }
        self.place(align, bytes)
    }
}

/// The variables of one function within a linked kernel.
pub struct Frame {
    /// First register of the function in the register file.
    pub first_register: u32,
    /// Offset of each variable in its space.
    pub offsets: Vec<u64>,
}

/// Where everything is.
pub struct Layout {
    /// One frame a function, in the order of linking.
    pub frames: Vec<Frame>,
    /// Shared variables of the module that the kernel uses.
    pub module_shared: HashMap<String, u64>,
    /// Registers of all functions.
    pub registers: u32,
    /// Static shared memory.
    pub shared: Stack,
    /// Local memory of a thread.
    pub local: Stack,
    /// Bytes of kernel arguments.
    pub param_bytes: usize,
}

/// Lays out the linked `functions`, the kernel first.
pub fn lay_out(module: &Module, functions: &[&Function], symbols: &Symbols) -> Layout {
    let (mut shared, mut local, mut params) =
        (Stack::default(), Stack::default(), Stack::default());
    let mut registers = 0;
    let mut frames = Vec::new();
    for function in functions {
        let place = |(index, variable): (usize, &Variable)| match variable.space {
            Space::Shared => shared.place_apart(variable.align, variable.bytes),
            Space::Param if function.is_entry && function.params.contains(&index) => {
                params.place(variable.align, variable.bytes)
            }
            Space::Param => local.place(variable.align, variable.bytes),
            _ => local.place_apart(variable.align, variable.bytes),
        };
        let offsets = function.variables.iter().enumerate().map(place).collect();
        frames.push(Frame { first_register: registers, offsets });
        registers += function.registers;
    }
    let mut module_shared = HashMap::new();
    let used: Vec<&Variable> = module
        .variables
        .iter()
        .filter(|v| v.space == Space::Shared && !symbols.contains(&v.name))
        .filter(|v| functions.iter().any(|f| mentions(f, &v.name)))
        .collect();
    for variable in used.iter().filter(|v| !v.external) {
        let offset = shared.place_apart(variable.align, variable.bytes);
        module_shared.insert(variable.name.clone(), offset);
    }
    let dynamic = used.iter().filter(|v| v.external);
    if let Some(align) = dynamic.clone().map(|v| v.align.max(16)).max() {
        let offset = shared.place_apart(align, 0);
        module_shared.extend(dynamic.map(|v| (v.name.clone(), offset)));
    }
    Layout { frames, module_shared, registers, shared, local, param_bytes: params.bytes }
}

/// Whether the code of `function` names a symbol of the module.
fn mentions(function: &Function, name: &str) -> bool {
    fn in_operand(operand: &Operand, name: &str) -> bool {
        match operand {
            Operand::Symbol(Name::Global(n), _) => n == name,
            Operand::Address(Base::Name(Name::Global(n)), _) => n == name,
            Operand::Vector(list) | Operand::List(list) => {
                list.iter().any(|operand| in_operand(operand, name))
            }
            _ => false,
        }
    }
    function.body.iter().any(|statement| match statement {
        Statement::Instruction(i) => i.operands.iter().any(|operand| in_operand(operand, name)),
        _ => false,
    })
}
