//! From a module to the programs of its kernels.

use super::layout::lay_out;
use super::translate::Translator;
use super::{Extent, Param, Program};
use crate::ptx::Error;
use crate::ptx::syntax::{Function, Module, Name, Operand, Statement};
use std::collections::HashMap;

/// Addresses of the module's global and constant variables.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    addresses: HashMap<String, u64>,
}

impl Symbols {
    /// Gives a variable its address.
    pub fn insert(&mut self, name: &str, address: u64) {
        self.addresses.insert(name.to_string(), address);
    }

    /// The address of a variable.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.addresses.get(name).copied()
    }

    /// Whether there is such a variable.
    pub fn contains(&self, name: &str) -> bool {
        self.addresses.contains_key(name)
    }
}

/// Links every kernel of a module.
pub fn link(module: &Module, symbols: &Symbols) -> Result<Vec<Program>, Error> {
    let kernels = module.functions.iter().filter(|f| f.is_entry && f.is_defined);
    kernels.map(|kernel| link_kernel(module, kernel, symbols)).collect()
}

fn link_kernel(module: &Module, kernel: &Function, symbols: &Symbols) -> Result<Program, Error> {
    let functions = reachable(module, kernel)?;
    let layout = lay_out(module, &functions, symbols);
    let mut translator = Translator::new(&functions, &layout, symbols);
    for index in 0..functions.len() {
        translator.function(index)?;
    }
    let code = translator.finish()?;
    let frame = &layout.frames[0];
    let param = |&index: &usize| Param {
        offset: frame.offsets[index] as usize,
        bytes: kernel.variables[index].bytes,
    };
    Ok(Program {
        name: kernel.name.clone(),
        code: code.code,
        places: code.places,
        calls: code.calls,
        copies: code.copies,
        matrices: code.matrices,
        matrix_loads: code.matrix_loads,
        registers: code.registers,
        constants: code.constants,
        specials: code.specials,
        params: kernel.params.iter().map(param).collect(),
        param_bytes: layout.param_bytes,
        shared_bytes: layout.shared.bytes,
        local_bytes: layout.local.bytes,
        shared: Extent { end: layout.shared.end, gaps: layout.shared.gaps.clone() },
        local: Extent { end: layout.local.end, gaps: layout.local.gaps.clone() },
        max_threads: kernel.max_threads,
        required_block: kernel.required_block,
    })
}

/// The kernel and every function it calls, callers before callees. Recursion is an error, because
/// functions have fixed registers.
fn reachable<'m>(module: &'m Module, kernel: &'m Function) -> Result<Vec<&'m Function>, Error> {
    let mut done = Vec::new();
    visit(module, kernel, &mut Vec::new(), &mut done)?;
    done.reverse();
    Ok(done)
}

fn visit<'m>(
    module: &'m Module,
    function: &'m Function,
    path: &mut Vec<&'m str>,
    done: &mut Vec<&'m Function>,
) -> Result<(), Error> {
    if done.iter().any(|f| f.name == function.name) {
        return Ok(());
    }
    if path.contains(&function.name.as_str()) {
        let message = format!("{} calls itself: recursion is not supported", function.name);
        return Err(Error::new(function.line, message));
    }
    path.push(&function.name);
    for statement in &function.body {
        let Statement::Instruction(instruction) = statement else { continue };
        if instruction.opcode != "call" {
            continue;
        }
        let callee = callee_name(&instruction.operands);
        if callee.is_some_and(is_builtin) {
            continue;
        }
        let found = callee.and_then(|name| module.functions.iter().find(|f| f.name == name));
        match found {
            Some(callee) if callee.is_defined => visit(module, callee, path, done)?,
            _ => {
                let name = callee.unwrap_or("a function pointer");
                let message = format!("call of {name}, which has no body in this module");
                return Err(Error::new(instruction.line, message));
            }
        }
    }
    path.pop();
    done.push(function);
    Ok(())
}

/// Functions that the simulator provides.
pub fn is_builtin(name: &str) -> bool {
    name == "__assertfail"
}

/// The name in `call (results), name, (arguments)`.
pub fn callee_name(operands: &[Operand]) -> Option<&str> {
    operands.iter().find_map(|operand| match operand {
        Operand::Symbol(Name::Global(name), 0) => Some(name.as_str()),
        _ => None,
    })
}
