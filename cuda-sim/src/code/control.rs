//! Jumps, calls, barriers and fences.

use super::link::{callee_name, is_builtin};
use super::translate::{Outcome, Translator};
use super::{ArgumentCopy, Call, Step};
use crate::ptx::syntax::{Instruction, Name, Operand};
use crate::ptx::{Error, Type};

pub fn translate(t: &mut Translator, i: &Instruction) -> Outcome {
    let step = match i.opcode.as_str() {
        "bra" => return jump(t, i),
        "call" => return call(t, i),
        "bar" if i.has("warp") => return super::warp::barrier(t, i),
        "bar" => return barrier(t, i),
        "ret" => Step::Return,
        "exit" => Step::Exit,
        "trap" => Step::Trap,
        "membar" => Step::Nothing,
        _ => return t.unsupported(i),
    };
    t.emit(step, t.sink(), &[]);
    Ok(())
}

fn jump(t: &mut Translator, i: &Instruction) -> Outcome {
    let Operand::Symbol(Name::Global(label), 0) = t.operand(i, 0)? else {
        return t.error("a jump needs a label");
    };
    t.emit_jump(label);
    Ok(())
}

fn call(t: &mut Translator, i: &Instruction) -> Outcome {
    let name = callee_name(&i.operands).unwrap_or_default();
    if is_builtin(name) {
        t.emit(Step::Trap, t.sink(), &[]);
        return Ok(());
    }
    let Some(number) = t.function_number(name) else { return t.unsupported(i) };
    let (callee, offsets) = t.function_at(number);
    let before_name = i.operands.iter().take_while(|o| matches!(o, Operand::List(_))).count();
    let results = i.operands[..before_name].first();
    let arguments = i.operands[before_name + 1..].first();
    let pairs = |list: Option<&Operand>, variables: &[usize], inwards: bool| {
        let list = match list {
            Some(Operand::List(list)) => list.as_slice(),
            _ => &[],
        };
        if list.len() != variables.len() {
            return t.error(format!("{name} takes {} arguments", variables.len()));
        }
        let copies = list.iter().zip(variables).map(|(operand, &variable)| {
            let outer = local_offset(t, operand)?;
            let inner = offsets[variable] as u32;
            let bytes = callee.variables[variable].bytes as u32;
            let (from, to) = if inwards { (outer, inner) } else { (inner, outer) };
            Ok(ArgumentCopy { from, to, bytes })
        });
        copies.collect::<Result<Vec<_>, Error>>()
    };
    let arguments = pairs(arguments, &callee.params, true)?;
    let results = pairs(results, &callee.returns, false)?;
    let index = t.code.calls.len() as u32;
    t.code.calls.push(Call { target: number as u32, arguments, results });
    t.emit(Step::Call(index), t.sink(), &[]);
    Ok(())
}

/// Local offset of a `.param` variable of a call sequence.
fn local_offset(t: &Translator, operand: &Operand) -> Result<u32, Error> {
    match operand {
        Operand::Symbol(Name::Scoped(variable), 0) => Ok(t.offset(*variable) as u32),
        _ => t.error("arguments of a call must be .param variables"),
    }
}

fn barrier(t: &mut Translator, i: &Instruction) -> Outcome {
    let id = t.source(t.operand(i, 0)?, Type::U32)?;
    let count = match i.operands.get(1) {
        Some(count) => t.source(count, Type::U32)?,
        None => t.sink(),
    };
    t.emit(Step::Barrier(i.operands.len() > 1), t.sink(), &[id, count]);
    Ok(())
}
