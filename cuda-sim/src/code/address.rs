//! Addresses of variables, and conversions between address spaces.

use super::Step;
use super::translate::{Outcome, Translator};
use crate::arith::{Compute, integer};
use crate::memory::{LOCAL_WINDOW, SHARED_WINDOW};
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

/// `cvta` from or to the addresses of a space.
pub fn translate(t: &mut Translator, i: &Instruction) -> Outcome {
    let window = match () {
        () if i.has("shared") => SHARED_WINDOW,
        () if i.has("local") => LOCAL_WINDOW,
        () => 0,
    };
    let window = t.constant(window);
    let f: Compute = if i.has("to") { integer::sub::<u64> } else { integer::add::<u64> };
    let d = t.destination(t.operand(i, 0)?)?;
    let a = t.source(t.operand(i, 1)?, Type::U64)?;
    t.emit(Step::Compute(f), d, &[a, window]);
    Ok(())
}
