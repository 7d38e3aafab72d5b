//! Addresses of variables, and conversions between address spaces.

use super::Step;
use super::translate::{Outcome, Translator};
use crate::arith::{Compute, integer};
use crate::memory::{LOCAL_WINDOW, SHARED_WINDOW, WINDOW_BYTES};
use crate::ptx::syntax::{Instruction, Name};
use crate::ptx::{Error, Type};

impl Translator<'_> {
    /// The address of a variable in its own space.
    pub(super) fn symbol_address(&self, name: &Name) -> Result<u64, Error> {
        match name {
            Name::Scoped(index) => Ok(self.offset(*index)),
            Name::Global(name) => {
                let shared = self.layout.module_shared.get(name).copied();
                match shared.or_else(|| self.symbols.address(name)) {
                    Some(address) => Ok(address),
                    None => self.error(format!("no variable '{name}'")),
                }
            }
        }
    }
}

pub fn translate(t: &mut Translator, i: &Instruction) -> Outcome {
    let space = i.modifiers.iter().find_map(|m| match m.as_str() {
        "shared" | "shared::cta" => Some((SHARED_WINDOW, is_shared as Compute)),
        "local" => Some((LOCAL_WINDOW, is_local as Compute)),
        "global" | "const" | "param" => Some((0, is_global as Compute)),
        _ => None,
    });
    let Some((window, test)) = space else { return t.unsupported(i) };
    if i.opcode == "isspacep" {
        return t.compute(i, test, Type::U64);
    }
    let ty = i.types().first().copied().unwrap_or(Type::U64);
    let d = t.destination(t.operand(i, 0)?)?;
    let a = t.source(t.operand(i, 1)?, ty)?;
    let window = t.constant(window);
    let f: Compute = if i.has("to") { integer::sub::<u64> } else { integer::add::<u64> };
    t.emit(Step::Compute(f), d, &[a, window]);
    Ok(())
}

fn is_shared(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from((SHARED_WINDOW..SHARED_WINDOW + WINDOW_BYTES).contains(&a))
}

fn is_local(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from((LOCAL_WINDOW..LOCAL_WINDOW + WINDOW_BYTES).contains(&a))
}

fn is_global(a: u64, _: u64, _: u64, _: u64) -> u64 {
    1 - is_shared(a, 0, 0, 0) - is_local(a, 0, 0, 0)
}
