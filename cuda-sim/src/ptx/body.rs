//! Function bodies: declarations, labels and instructions.

use std::collections::HashMap;

use super::Error;
use super::literal::{bits, decimal};
use super::parse::Cursor;
use super::syntax::{Base, Function, Instruction, Name, Operand, Space, Statement};

/// What a name declared inside the function stands for.
#[derive(Clone, Copy)]
enum Local {
    Register(u32),
    Variable(usize),
}

/// `.reg .b32 %r<29>`: 29 registers from `first`.
#[derive(Clone, Copy)]
struct Range {
    first: u32,
    count: u32,
}

struct Scope {
    names: HashMap<String, Local>,
    ranges: HashMap<String, Range>,
}

struct Body<'c, 't, 'f> {
    cursor: &'c mut Cursor<'t>,
    function: &'f mut Function,
    scopes: Vec<Scope>,
    source_line: u32,
}

/// Reads the body of `function` after its opening brace.
pub(super) fn parse_body(cursor: &mut Cursor, function: &mut Function) -> Result<(), Error> {
    let names = function.variables.iter().enumerate();
    let names = names.map(|(i, v)| (v.name.clone(), Local::Variable(i))).collect();
    let scopes = vec![Scope { names, ranges: HashMap::new() }];
    Body { cursor, function, scopes, source_line: 0 }.parse()
}

impl Body<'_, '_, '_> {
    fn parse(&mut self) -> Result<(), Error> {
        while !self.scopes.is_empty() {
            let token = self.cursor.require()?;
            match token.text {
                "{" => self.scopes.push(Scope { names: HashMap::new(), ranges: HashMap::new() }),
                "}" => {
                    self.scopes.pop();
                }
                ";" => {}
                ".reg" => self.registers()?,
                ".local" => self.variable(Space::Local)?,
                ".shared" => self.variable(Space::Shared)?,
                ".param" => self.variable(Space::Param)?,
                ".loc" => self.location()?,
                ".pragma" => self.cursor.skip_past(";")?,
                word => {
                    if self.cursor.eat(":") {
                        self.label(word);
                    } else {
                        self.instruction(word, token.line)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("the body is left with its last scope")
    }

    fn registers(&mut self) -> Result<(), Error> {
        self.cursor.word()?;
        loop {
            let name = self.cursor.word()?.to_string();
            let first = self.function.registers;
            if self.cursor.eat("<") {
                let count = self.cursor.number()? as u32;
                self.cursor.expect(">")?;
                self.function.registers += count;
                self.scope().ranges.insert(name, Range { first, count });
            } else {
                self.function.registers += 1;
                self.scope().names.insert(name, Local::Register(first));
            }
            if !self.cursor.eat(",") {
                return self.cursor.expect(";");
            }
        }
    }

    fn variable(&mut self, space: Space) -> Result<(), Error> {
        let variable = self.cursor.variable(space)?;
        self.cursor.expect(";")?;
        let index = self.function.variables.len();
        self.scope().names.insert(variable.name.clone(), Local::Variable(index));
        self.function.variables.push(variable);
        Ok(())
    }

    /// `.loc file line column`, perhaps with `, function_name f, inlined_at file line column`; the
    /// line counts where the code was inlined.
    fn location(&mut self) -> Result<(), Error> {
        self.cursor.number()?;
        self.source_line = self.cursor.number()? as u32;
        self.cursor.number()?;
        while self.cursor.eat(",") {
            match self.cursor.word()? {
                "function_name" => {
                    self.cursor.word()?;
                    if self.cursor.eat("+") {
                        self.cursor.number()?;
                    }
                }
                "inlined_at" => {
                    self.cursor.number()?;
                    self.source_line = self.cursor.number()? as u32;
                    self.cursor.number()?;
                }
                other => return self.cursor.error(format!("'{other}' in .loc")),
            }
        }
        Ok(())
    }

    fn label(&mut self, name: &str) {
        self.function.body.push(Statement::Label(name.to_string()));
    }

    fn instruction(&mut self, first: &str, line: u32) -> Result<(), Error> {
        let mut word = first;
        let mut guard = None;
        if word == "@" {
            let negated = self.cursor.eat("!");
            let name = self.cursor.word()?;
            let Some(register) = self.register(name) else {
                return Err(Error::new(line, format!("unknown predicate '{name}'")));
            };
            guard = Some((register, negated));
            word = self.cursor.word()?;
        }
        let mut parts = word.split('.').map(str::to_string);
        let opcode = parts.next().unwrap_or_default();
        if !opcode.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(Error::new(line, format!("'{word}' is not an instruction")));
        }
        let modifiers = parts.collect();
        let mut operands = Vec::new();
        while !self.cursor.eat(";") {
            operands.push(self.operand()?);
            self.cursor.eat(",");
        }
        let source_line = self.source_line;
        let instruction = Instruction { opcode, modifiers, operands, guard, line, source_line };
        self.function.body.push(Statement::Instruction(instruction));
        Ok(())
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        if self.cursor.eat("{") {
            return Ok(Operand::Vector(self.operands_until("}")?));
        }
        if self.cursor.eat("(") {
            return Ok(Operand::List(self.operands_until(")")?));
        }
        if self.cursor.eat("[") {
            return self.address();
        }
        if self.cursor.eat("!") {
            let name = self.cursor.word()?;
            return match self.register(name) {
                Some(register) => Ok(Operand::Negated(register)),
                None => self.cursor.error(format!("unknown register '{name}'")),
            };
        }
        let negative = self.cursor.eat("-");
        let word = self.cursor.word()?;
        if let Some(value) = bits(word) {
            return Ok(Operand::Immediate(if negative { value.wrapping_neg() } else { value }));
        }
        if let Some(value) = decimal(word) {
            return Ok(Operand::Decimal(if negative { -value } else { value }));
        }
        if word == "_" {
            return if self.cursor.eat("|") { self.pair(None) } else { Ok(Operand::Sink) };
        }
        if let Some(register) = self.register(word) {
            let paired = self.cursor.eat("|");
            return if paired {
                self.pair(Some(register))
            } else {
                Ok(Operand::Register(register))
            };
        }
        if word.starts_with('%') || word == "WARP_SZ" {
            return Ok(Operand::Special(word.to_string()));
        }
        let name = self.name(word);
        Ok(Operand::Symbol(name, self.offset()?))
    }

    fn operands_until(&mut self, end: &str) -> Result<Vec<Operand>, Error> {
        let mut operands = Vec::new();
        while !self.cursor.eat(end) {
            operands.push(self.operand()?);
            self.cursor.eat(",");
        }
        Ok(operands)
    }

    fn pair(&mut self, first: Option<u32>) -> Result<Operand, Error> {
        let word = self.cursor.word()?;
        let second = self.register(word);
        if second.is_none() && word != "_" {
            return self.cursor.error(format!("unknown register '{word}'"));
        }
        Ok(Operand::Pair(first, second))
    }

    fn address(&mut self) -> Result<Operand, Error> {
        let word = self.cursor.word()?;
        let base = if let Some(register) = self.register(word) {
            Base::Register(register)
        } else if let Some(value) = bits(word) {
            Base::Absolute(value)
        } else if word.starts_with('%') {
            return self.cursor.error(format!("unknown register '{word}'"));
        } else {
            Base::Name(self.name(word))
        };
        let offset = self.offset()?;
        self.cursor.expect("]")?;
        Ok(Operand::Address(base, offset))
    }

    fn offset(&mut self) -> Result<i64, Error> {
        if self.cursor.eat("+") {
            return Ok(self.cursor.number()? as i64);
        }
        if self.cursor.peek() == "-" {
            return Ok(self.cursor.number()? as i64);
        }
        Ok(0)
    }

    fn register(&self, name: &str) -> Option<u32> {
        for scope in self.scopes.iter().rev() {
            if let Some(Local::Register(register)) = scope.names.get(name) {
                return Some(*register);
            }
            let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
            if let (Some(range), Ok(index)) =
                (scope.ranges.get(stem), name[stem.len()..].parse::<u32>())
                && index < range.count
            {
                return Some(range.first + index);
            }
        }
        None
    }

    fn name(&self, word: &str) -> Name {
        for scope in self.scopes.iter().rev() {
            if let Some(Local::Variable(index)) = scope.names.get(word) {
                return Name::Scoped(*index);
            }
        }
        Name::Global(word.to_string())
    }
}

#[cfg(test)]
mod tests {
    use crate::ptx::parse;
    use crate::ptx::syntax::{Base, Name, Operand, Statement};

    #[test]
    fn scopes_and_operands() {
        let module = parse(
            ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<3>;\n.reg .pred %p<2>;\n\
             .loc 1 7 5\n\
             { .reg .b32 %r1; .param .b32 p; st.param.b32 [p+0], %r1; }\n\
             @!%p1 ld.param.u64 %r2, [p+-4];\n$L: shfl.sync.idx.b32 %r1|_, %r2, -1, 31, !%p1;\n}",
        )
        .unwrap();
        let kernel = &module.functions[0];
        assert_eq!(kernel.registers, 6);
        let Statement::Instruction(store) = &kernel.body[0] else { panic!() };
        assert_eq!(store.operands[0], Operand::Address(Base::Name(Name::Scoped(1)), 0));
        assert_eq!(store.operands[1], Operand::Register(5));
        assert_eq!(store.source_line, 7);
        let Statement::Instruction(load) = &kernel.body[1] else { panic!() };
        assert_eq!(load.guard, Some((4, true)));
        assert_eq!(load.operands[1], Operand::Address(Base::Name(Name::Scoped(0)), -4));
        let Statement::Instruction(shuffle) = &kernel.body[3] else { panic!() };
        assert_eq!(shuffle.operands[0], Operand::Pair(Some(1), None));
        assert_eq!(shuffle.operands[2], Operand::Immediate(u64::MAX));
        assert_eq!(shuffle.operands[4], Operand::Negated(4));
    }
}
