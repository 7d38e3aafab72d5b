//! Addresses of shared and local variables.

use super::link::Symbols;
use crate::ptx::syntax::{Base, Function, Module, Name, Operand, Space, Statement, Variable};
use std::collections::HashMap;

/// Places variables one after the other.
#[derive(Default)]
pub struct Stack {
    /// Bytes used.
    pub bytes: usize,
}

impl Stack {
    /// Offset of a new variable.
    pub fn place(&mut self, variable: &Variable) -> u64 {
        let offset = self.bytes.next_multiple_of(variable.align.max(1));
        self.bytes = offset + variable.bytes;
        offset as u64
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
    pub shared_bytes: usize,
    /// Local memory of a thread.
    pub local_bytes: usize,
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
            Space::Shared => shared.place(variable),
            Space::Param if function.is_entry && function.params.contains(&index) => {
                params.place(variable)
            }
            _ => local.place(variable),
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
        module_shared.insert(variable.name.clone(), shared.place(variable));
    }
    for variable in used.iter().filter(|v| v.external) {
        shared.bytes = shared.bytes.next_multiple_of(variable.align.max(16));
    }
    for variable in used.iter().filter(|v| v.external) {
        module_shared.insert(variable.name.clone(), shared.bytes as u64);
    }
    Layout {
        frames,
        module_shared,
        registers,
        shared_bytes: shared.bytes,
        local_bytes: local.bytes,
        param_bytes: params.bytes,
    }
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
