//! Jumps, calls, barriers and fences.

use super::link::{callee_name, is_builtin};
use super::translate::{Outcome, Translator};
use super::{ArgumentCopy, BarrierReduce, Call, Step};
use crate::ptx::syntax::{Instruction, Name, Operand};
use crate::ptx::{Error, Type};

pub fn translate(t: &mut Translator, i: &Instruction) -> Outcome {
    let step = match i.opcode.as_str() {
        "bra" => return jump(t, i, 0, Step::Branch(0)),
        "brx" => return jump(t, i, 1, Step::BranchTable(0)),
        "call" => return call(t, i),
        "bar" | "barrier" => return barrier(t, i),
        "ret" => Step::Return,
        "exit" => Step::Exit,
        "trap" | "brkpt" => Step::Trap,
        "membar" | "fence" | "nanosleep" | "pmevent" => Step::Nothing,
        _ => return t.unsupported(i),
    };
    t.emit(step, t.sink(), &[]);
    Ok(())
}

fn jump(t: &mut Translator, i: &Instruction, at: usize, step: Step) -> Outcome {
    let Operand::Symbol(Name::Global(label), 0) = t.operand(i, at)? else {
        return t.error("a jump needs a label");
    };
    let mut sources = Vec::new();
    if at == 1 {
        sources.push(t.source(t.operand(i, 0)?, Type::U32)?);
    }
    t.emit_jump(step, label, &sources);
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
    if i.has("warp") {
        return super::warp::barrier(t, i);
    }
    if i.has("cluster") {
        return t.unsupported(i);
    }
    let reduces = i.has("red");
    let first = usize::from(reduces);
    let id = t.source(t.operand(i, first)?, Type::U32)?;
    let has_predicate = usize::from(reduces);
    let has_count = i.operands.len() > first + 1 + has_predicate;
    let count = match has_count {
        true => t.source(t.operand(i, first + 1)?, Type::U32)?,
        false => t.sink(),
    };
    if i.has("arrive") {
        if !has_count {
            return t.error("bar.arrive needs a number of threads");
        }
        t.emit(Step::Arrive, t.sink(), &[id, count]);
    } else if reduces {
        let reduce = match (i.has("popc"), i.has("and")) {
            (true, _) => BarrierReduce::Count,
            (_, true) => BarrierReduce::And,
            _ => BarrierReduce::Or,
        };
        let d = t.destination(t.operand(i, 0)?)?;
        let last = i.operands.len() - 1;
        let predicate = t.source(t.operand(i, last)?, Type::Pred)?;
        t.emit(Step::BarrierReduce(reduce, has_count), d, &[id, count, predicate]);
    } else {
        t.emit(Step::Barrier(has_count), t.sink(), &[id, count]);
    }
    Ok(())
}
