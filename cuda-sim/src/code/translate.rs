//! From the syntax tree to instructions.

use super::forms::forms;
use super::layout::Layout;
use super::link::Symbols;
use super::special::Special;
use super::{
    Call, CopyAsync, Instr, LoadMatrix, Matrix, Place, Step, UNGUARDED, address, arithmetic,
    control, convert, float, logic, matrix, memory, warp,
};
use crate::arith::Compute;
use crate::ptx::syntax::{Function, Instruction, Operand, Statement};
use crate::ptx::{Error, Type};
use std::collections::{BTreeMap, HashMap};

/// The code of a kernel while it is being made, and once it is made.
#[derive(Default)]
pub struct Code {
    pub code: Vec<Instr>,
    pub places: Vec<Place>,
    pub calls: Vec<Call>,
    pub copies: Vec<CopyAsync>,
    pub matrices: Vec<Matrix>,
    pub matrix_loads: Vec<LoadMatrix>,
    pub registers: usize,
    pub constants: Vec<(u32, u64)>,
    pub specials: Vec<(u32, Special)>,
}

/// Translates the functions of one kernel.
pub struct Translator<'m> {
    functions: &'m [&'m Function],
    pub(super) layout: &'m Layout,
    pub(super) symbols: &'m Symbols,
    /// The function being translated.
    current: usize,
    pub(super) code: Code,
    next_register: u32,
    constants: HashMap<u64, u32>,
    specials: BTreeMap<Special, u32>,
    /// A register that takes unwanted results.
    sink: u32,
    /// First instruction of every function, where known.
    starts: Vec<u32>,
    /// Labels of the current function.
    labels: HashMap<String, u32>,
    /// Jumps of the current function, whose target is still a label.
    jumps: Vec<(usize, String)>,
    /// The guard of the current instruction.
    guard: (u32, u32),
    /// The place of the current instruction.
    place: Place,
}

/// Result of translating one instruction.
pub type Outcome = Result<(), Error>;

impl<'m> Translator<'m> {
    pub fn new(functions: &'m [&'m Function], layout: &'m Layout, symbols: &'m Symbols) -> Self {
        let first = layout.registers;
        Self {
            functions,
            layout,
            symbols,
            current: 0,
            code: Code::default(),
            next_register: first + 1,
            constants: HashMap::new(),
            specials: BTreeMap::new(),
            sink: first,
            starts: Vec::new(),
            labels: HashMap::new(),
            jumps: Vec::new(),
            guard: (UNGUARDED, 0),
            place: Place { line: 0, source_line: 0 },
        }
    }

    /// Translates function number `index`; to be called in order.
    pub fn function(&mut self, index: usize) -> Outcome {
        self.current = index;
        self.starts.push(self.code.code.len() as u32);
        self.labels.clear();
        self.jumps.clear();
        let function = self.functions[index];
        for statement in &function.body {
            match statement {
                Statement::Label(name) => {
                    self.labels.insert(name.clone(), self.code.code.len() as u32);
                }
                Statement::Instruction(instruction) => self.instruction(instruction)?,
            }
        }
        self.guard = (UNGUARDED, 0);
        self.emit(Step::Return, 0, &[]);
        self.resolve_jumps()
    }

    fn resolve_jumps(&mut self) -> Outcome {
        for (at, label) in std::mem::take(&mut self.jumps) {
            let line = self.code.places[at].line;
            self.code.code[at].step = Step::Branch(self.label(line, &label)?);
        }
        Ok(())
    }

    fn label(&self, line: u32, name: &str) -> Result<u32, Error> {
        let found = self.labels.get(name).copied();
        found.ok_or_else(|| Error::new(line, format!("no label '{name}'")))
    }

    /// The finished code.
    pub fn finish(mut self) -> Result<Code, Error> {
        // Calls were given the number of the function.
        for call in &mut self.code.calls {
            call.target = self.starts[call.target as usize];
        }
        self.code.registers = self.next_register as usize;
        self.code.constants = self.constants.into_iter().map(|(v, r)| (r, v)).collect();
        self.code.specials = self.specials.into_iter().map(|(s, r)| (r, s)).collect();
        Ok(self.code)
    }

    fn instruction(&mut self, i: &Instruction) -> Outcome {
        self.place = Place { line: i.line, source_line: i.source_line };
        self.guard = match i.guard {
            Some((register, negated)) => (self.register(register), u32::from(negated)),
            None => (UNGUARDED, 0),
        };
        if !forms().contains(&i.name()) {
            return self.unsupported(i);
        }
        let types = i.types();
        let ty = types.first().copied().unwrap_or(Type::U64);
        match i.opcode.as_str() {
            "add" | "sub" | "mul" | "fma" | "div" | "rcp" | "sqrt" | "neg" | "abs" | "min"
            | "max" | "ex2"
                if ty.is_float() =>
            {
                float::translate(self, i, ty)
            }
            "add" | "sub" | "mul" | "mad" | "div" | "rem" | "neg" | "min" | "max" => {
                arithmetic::translate(self, i, ty)
            }
            "and" | "or" | "xor" | "not" | "shl" | "shr" | "shf" | "bfi" | "brev" | "clz"
            | "popc" | "prmt" | "selp" | "setp" => logic::translate(self, i, ty),
            "mov" | "cvt" => convert::translate(self, i, &types),
            "cvta" => address::translate(self, i),
            "ld" | "st" | "atom" | "red" => memory::translate(self, i, ty),
            "cp" => memory::translate_copy(self, i),
            "shfl" | "vote" | "match" | "redux" => warp::translate(self, i, &types),
            "mma" | "ldmatrix" => matrix::translate(self, i, &types),
            _ => control::translate(self, i),
        }
    }

    /// The error for an instruction, or a form of one, that is not implemented.
    pub fn unsupported(&self, i: &Instruction) -> Outcome {
        self.error(format!("{} is not supported", i.name()))
    }

    /// An error at the current instruction.
    pub fn error<T>(&self, message: impl Into<String>) -> Result<T, Error> {
        Err(Error::new(self.place.line, message))
    }

    /// The function being translated.
    pub fn function_now(&self) -> &'m Function {
        self.functions[self.current]
    }

    /// The number of the function called `name`.
    pub fn function_number(&self, name: &str) -> Option<usize> {
        self.functions.iter().position(|f| f.name == name)
    }

    /// The function with this number, and the offsets of its variables.
    pub fn function_at(&self, index: usize) -> (&'m Function, &'m [u64]) {
        (self.functions[index], &self.layout.frames[index].offsets)
    }

    /// The offset of a variable of the current function.
    pub fn offset(&self, variable: usize) -> u64 {
        self.layout.frames[self.current].offsets[variable]
    }

    /// A register of the current function in the register file.
    pub fn register(&self, register: u32) -> u32 {
        self.layout.frames[self.current].first_register + register
    }

    /// The register that holds a constant.
    pub fn constant(&mut self, value: u64) -> u32 {
        let next = &mut self.next_register;
        *self.constants.entry(value).or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }

    /// A register of the translator's own.
    pub fn temporary(&mut self) -> u32 {
        self.next_register += 1;
        self.next_register - 1
    }

    /// The register that takes unwanted results.
    pub fn sink(&self) -> u32 {
        self.sink
    }

    /// The register of a destination operand.
    pub fn destination(&self, operand: &Operand) -> Result<u32, Error> {
        match operand {
            Operand::Register(register) => Ok(self.register(*register)),
            Operand::Sink => Ok(self.sink),
            other => self.error(format!("{other:?} cannot be written")),
        }
    }

    /// The registers of `d|p` or of `d` alone.
    pub fn destinations(&self, operand: &Operand) -> Result<(u32, Option<u32>), Error> {
        match operand {
            Operand::Pair(first, second) => {
                let place = |r: &Option<u32>| r.map_or(self.sink, |r| self.register(r));
                Ok((place(first), Some(place(second))))
            }
            _ => Ok((self.destination(operand)?, None)),
        }
    }

    /// The register that holds a source operand of type `ty`.
    pub fn source(&mut self, operand: &Operand, ty: Type) -> Result<u32, Error> {
        match operand {
            Operand::Register(register) => Ok(self.register(*register)),
            // Predicates are 0 or 1 wherever they are kept.
            Operand::Immediate(value) if ty == Type::Pred => {
                Ok(self.constant(u64::from(*value != 0)))
            }
            Operand::Immediate(value) => Ok(self.constant(*value)),
            Operand::Decimal(value) => {
                let bits = match ty {
                    Type::F64 => value.to_bits(),
                    Type::F32 => u64::from((*value as f32).to_bits()),
                    _ => return self.error("decimal number in an instruction of another type"),
                };
                Ok(self.constant(bits))
            }
            Operand::Special(name) => self.special(name),
            Operand::Symbol(name, offset) => {
                let address = self.symbol_address(name)?;
                Ok(self.constant(address.wrapping_add(*offset as u64)))
            }
            Operand::Negated(register) => {
                let (source, result) = (self.register(*register), self.temporary());
                let negation = Step::Compute(crate::arith::bits::not_predicate);
                self.emit(negation, result, &[source]);
                Ok(result)
            }
            other => self.error(format!("{other:?} is not a value")),
        }
    }

    fn special(&mut self, name: &str) -> Result<u32, Error> {
        if name == "WARP_SZ" {
            return Ok(self.constant(32));
        }
        let Some(special) = Special::named(name) else {
            return self.error(format!("special register {name} is not supported"));
        };
        let next = &mut self.next_register;
        Ok(*self.specials.entry(special).or_insert_with(|| {
            *next += 1;
            *next - 1
        }))
    }

    /// Appends an instruction with the current guard.
    pub fn emit(&mut self, step: Step, d: u32, sources: &[u32]) {
        self.emit_pair(step, d, self.sink, sources);
    }

    /// Appends an instruction with two results.
    pub fn emit_pair(&mut self, step: Step, d: u32, d2: u32, sources: &[u32]) {
        let source = |n: usize| sources.get(n).copied().unwrap_or(self.sink);
        let (guard, skip_if) = self.guard;
        let [a, b, c, e] = [source(0), source(1), source(2), source(3)];
        self.code.code.push(Instr { step, guard, skip_if, d, d2, a, b, c, e });
        self.code.places.push(self.place);
    }

    /// Appends a jump to a label.
    pub fn emit_jump(&mut self, label: &str) {
        self.jumps.push((self.code.code.len(), label.to_string()));
        self.emit(Step::Branch(0), self.sink, &[]);
    }

    /// `operands[0] = f(operands[1..])`, all of type `ty`.
    pub fn compute(&mut self, i: &Instruction, f: Compute, ty: Type) -> Outcome {
        self.compute_with(i, f, ty, None)
    }

    /// The same with a constant as the fourth operand.
    pub fn compute_with(
        &mut self,
        i: &Instruction,
        f: Compute,
        ty: Type,
        constant: Option<u64>,
    ) -> Outcome {
        let (d, sources) = self.operands(i, ty, constant)?;
        self.emit(Step::Compute(f), d, &sources);
        Ok(())
    }

    fn operands(
        &mut self,
        i: &Instruction,
        ty: Type,
        constant: Option<u64>,
    ) -> Result<(u32, [u32; 4]), Error> {
        let Some((destination, rest)) = i.operands.split_first() else {
            return self.error("operands are missing");
        };
        if rest.len() != arity(i) {
            return self.error(format!("{} with {} operands", i.name(), i.operands.len()));
        }
        let mut sources = [self.sink; 4];
        for (source, operand) in sources.iter_mut().zip(rest) {
            *source = self.source(operand, ty)?;
        }
        if let Some(value) = constant {
            sources[3] = self.constant(value);
        }
        Ok((self.destination(destination)?, sources))
    }

    /// The operand with this number.
    pub fn operand<'i>(&self, i: &'i Instruction, index: usize) -> Result<&'i Operand, Error> {
        match i.operands.get(index) {
            Some(operand) => Ok(operand),
            None => self.error(format!("{} has too few operands", i.name())),
        }
    }
}

/// How many operands an instruction of arithmetic or logic has beside its result.
fn arity(i: &Instruction) -> usize {
    match i.opcode.as_str() {
        "cvt" if i.has("f16x2") || i.has("bf16x2") => 2,
        "mov" | "cvt" | "neg" | "abs" | "not" | "sqrt" | "rcp" | "ex2" | "brev" | "clz"
        | "popc" => 1,
        "mad" | "fma" | "shf" | "prmt" | "selp" => 3,
        "bfi" => 4,
        _ => 2,
    }
}
