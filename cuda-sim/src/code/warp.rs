//! Instructions that exchange values between lanes.

use super::Step;
use super::translate::{Outcome, Translator};
use crate::ptx::Type;
use crate::ptx::syntax::Instruction;

/// How lanes exchange values. Register `a` holds a lane's value, `e` the mask of lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exchange {
    /// Nothing: lanes only meet, and order their memory accesses.
    Barrier,
    /// From the lane `b` lower, within segments described by `c`.
    ShuffleUp,
    /// From the lane `b` higher.
    ShuffleDown,
    /// From the lane whose number differs in the bits `b`.
    ShuffleXor,
    /// From lane `b`.
    ShuffleIndex,
    /// The mask of lanes whose predicate is true.
    Ballot,
    /// Whether all predicates are true.
    All,
    /// Whether any is.
    Any,
    /// The mask of lanes with the same value.
    MatchAny,
    /// Sum.
    Add,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
}

/// An exchange and the type of the values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WarpOp {
    /// What is exchanged.
    pub exchange: Exchange,
    /// Values are signed.
    pub signed: bool,
}

pub fn translate(t: &mut Translator, i: &Instruction, types: &[Type]) -> Outcome {
    let Some(&ty) = types.last() else { return t.unsupported(i) };
    let has = |names: &[(&str, Exchange)]| {
        names.iter().find(|(name, _)| i.has(name)).map(|(_, exchange)| *exchange)
    };
    let exchange = match i.opcode.as_str() {
        "shfl" => has(&[
            ("up", Exchange::ShuffleUp),
            ("down", Exchange::ShuffleDown),
            ("bfly", Exchange::ShuffleXor),
            ("idx", Exchange::ShuffleIndex),
        ]),
        "vote" => {
            has(&[("ballot", Exchange::Ballot), ("all", Exchange::All), ("any", Exchange::Any)])
        }
        "match" => Some(Exchange::MatchAny),
        _ => has(&[("add", Exchange::Add), ("min", Exchange::Min), ("max", Exchange::Max)]),
    };
    let Some(exchange) = exchange else { return t.unsupported(i) };
    let op = WarpOp { exchange, signed: ty.is_signed() };
    let (d, second) = t.destinations(t.operand(i, 0)?)?;
    let value_type = if i.opcode == "vote" { Type::Pred } else { ty };
    let a = t.source(t.operand(i, 1)?, value_type)?;
    let (mut b, mut c, mut mask_at) = (t.sink(), t.sink(), 2);
    if i.opcode == "shfl" {
        b = t.source(t.operand(i, 2)?, Type::U32)?;
        c = t.source(t.operand(i, 3)?, Type::U32)?;
        mask_at = 4;
    }
    let mask = t.source(t.operand(i, mask_at)?, Type::U32)?;
    t.emit_pair(Step::Warp(op), d, second.unwrap_or(t.sink()), &[a, b, c, mask]);
    Ok(())
}

/// `bar.warp.sync mask`.
pub fn barrier(t: &mut Translator, i: &Instruction) -> Outcome {
    let mask = t.source(t.operand(i, 0)?, Type::U32)?;
    let sink = t.sink();
    let step = Step::Warp(WarpOp { exchange: Exchange::Barrier, signed: false });
    t.emit(step, sink, &[sink, sink, sink, mask]);
    Ok(())
}
