//! Floating-point instructions.

use super::translate::{Outcome, Translator};
use crate::arith::float::PROPERTIES;
use crate::arith::mode::Mode;
use crate::arith::soft::Rounding;
use crate::arith::{Compute, approx, float, packed};
use crate::ptx::Type;
use crate::ptx::syntax::{Instruction, Operand};

/// Whether an instruction works on floating-point numbers.
pub fn applies(i: &Instruction) -> bool {
    i.types().first().is_some_and(|ty| ty.is_float() || ty.half().is_some())
}

/// The rounding an instruction names, to nearest if none.
pub fn rounding(i: &Instruction) -> Rounding {
    for modifier in &i.modifiers {
        return match modifier.as_str() {
            "rz" | "rzi" => Rounding::Zero,
            "rm" | "rmi" => Rounding::Down,
            "rp" | "rpi" => Rounding::Up,
            "rna" => Rounding::NearestAway,
            _ => continue,
        };
    }
    Rounding::Nearest
}

/// The mode of an instruction from type `from` to type `to`.
pub fn mode(i: &Instruction, to: Type, from: Type) -> Mode {
    Mode {
        to,
        from,
        rounding: rounding(i),
        integral: ["rni", "rzi", "rmi", "rpi"].iter().any(|m| i.has(m)),
        ftz: i.has("ftz"),
        saturate: i.has("sat") || i.has("satfinite"),
        relu: i.has("relu"),
        nan: i.has("NaN"),
    }
}

/// The instance of a function of singles for the flags of an instruction.
macro_rules! by_flags {
    ($function:path, $mode:expr) => {{
        use $function as f;
        match ($mode.ftz, $mode.saturate) {
            (false, false) => f::<false, false>,
            (true, false) => f::<true, false>,
            (false, true) => f::<false, true>,
            (true, true) => f::<true, true>,
        }
    }};
}

pub fn translate(t: &mut Translator, i: &Instruction) -> Outcome {
    let ty = i.types()[0];
    let mode = mode(i, ty, ty);
    if i.has("satfinite") || i.has("xorsign") {
        return t.unsupported(i);
    }
    if i.opcode == "testp" {
        return testp(t, i, ty, mode);
    }
    let fast = if mode.rounding == Rounding::Nearest { fast(i, ty, mode) } else { None };
    if let Some(f) = fast {
        return t.compute(i, f, ty);
    }
    let Some(f) = general(i, ty) else { return t.unsupported(i) };
    t.compute_with(i, f, ty, mode.pack())
}

/// Round-to-nearest single and double arithmetic on the host's floating-point unit.
fn fast(i: &Instruction, ty: Type, mode: Mode) -> Option<Compute> {
    let approximate = i.has("approx");
    Some(match (i.opcode.as_str(), ty) {
        ("add", Type::F32) => by_flags!(float::add_f32, mode),
        ("sub", Type::F32) => by_flags!(float::sub_f32, mode),
        ("mul", Type::F32) => by_flags!(float::mul_f32, mode),
        ("fma" | "mad", Type::F32) => by_flags!(float::fma_f32, mode),
        ("div", Type::F32) => by_flags!(float::div_f32, mode),
        ("sqrt", Type::F32) => by_flags!(float::sqrt_f32, mode),
        ("rcp", Type::F32) => by_flags!(float::rcp_f32, mode),
        ("add", Type::F64) => float::add_f64,
        ("sub", Type::F64) => float::sub_f64,
        ("mul", Type::F64) => float::mul_f64,
        ("fma" | "mad", Type::F64) => float::fma_f64,
        ("div", Type::F64) => float::div_f64,
        ("sqrt", Type::F64) => float::sqrt_f64,
        ("rcp", Type::F64) if !approximate => float::rcp_f64,
        _ => return None,
    })
}

/// Everything else, by exact integer arithmetic; the mode is the fourth operand.
fn general(i: &Instruction, ty: Type) -> Option<Compute> {
    let opcode = i.opcode.as_str();
    if ty.half().is_some() {
        return Some(match opcode {
            "add" => packed::add,
            "sub" => packed::sub,
            "mul" => packed::mul,
            "fma" => packed::fma,
            "neg" => packed::neg,
            "abs" => packed::abs,
            "min" => packed::min,
            "max" => packed::max,
            "ex2" => packed::ex2,
            "tanh" => packed::tanh,
            _ => return None,
        });
    }
    Some(match opcode {
        "add" => float::add,
        "sub" => float::sub,
        "mul" => float::mul,
        "fma" | "mad" => float::fma,
        "div" => float::div,
        "sqrt" => float::sqrt,
        "rcp" if i.has("approx") && ty == Type::F64 => approx::rcp_upper,
        "rsqrt" if i.has("ftz") && ty == Type::F64 => approx::rsqrt_upper,
        "rcp" => float::rcp,
        "rsqrt" => approx::rsqrt,
        "ex2" => approx::ex2,
        "lg2" => approx::lg2,
        "sin" => approx::sin,
        "cos" => approx::cos,
        "tanh" => approx::tanh,
        "neg" => float::neg,
        "abs" => float::abs,
        "min" => float::min,
        "max" => float::max,
        "copysign" => float::copysign,
        _ => return None,
    })
}

fn testp(t: &mut Translator, i: &Instruction, ty: Type, mode: Mode) -> Outcome {
    let Some(property) = PROPERTIES.iter().position(|p| i.has(p)) else {
        return t.unsupported(i);
    };
    let mut asked = i.clone();
    asked.operands.push(Operand::Immediate(property as u64));
    t.compute_with(&asked, float::testp, ty, mode.pack())
}
