//! Module scope: directives, variables and function headers.

use super::body::parse_body;
use super::lex::{Token, tokens};
use super::literal::bits;
use super::syntax::{Function, Initial, Module, Space, Variable};
use super::{Error, Type};

/// What a module is written for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Version of the language, `(8, 0)` for 8.0.
    pub version: Option<(u32, u32)>,
    /// Compute capability times ten, and whether it must be just that one (`sm_90a`).
    pub target: Option<(u32, bool)>,
}

/// Reads the directives in front of a module, whatever follows them.
pub fn header(text: &str) -> Header {
    let mut header = Header::default();
    for line in text.lines() {
        let mut words = line.split("//").next().unwrap_or_default().split([' ', '\t', ',']);
        let directive = words.next();
        let value = words.find(|word| !word.is_empty()).unwrap_or_default();
        match directive {
            Some(".version") => {
                let parts = value.split_once('.').map(|(x, y)| (x.parse().ok(), y.parse().ok()));
                header.version = parts.and_then(|(x, y)| Some((x?, y?)));
            }
            Some(".target") => {
                let name = value.strip_prefix("sm_").unwrap_or_default();
                let number = name.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                header.target = number.parse().ok().map(|sm| (sm, number != name));
                return header;
            }
            _ => {}
        }
    }
    header
}

/// Reads the text of a PTX module.
pub fn parse(text: &str) -> Result<Module, Error> {
    let mut cursor = Cursor::new(tokens(text)?);
    let mut module = Module::default();
    let mut external = false;
    while let Some(token) = cursor.next_token() {
        match token.text {
            ".version" | ".target" | ".address_size" => cursor.skip_list(),
            ".file" => {
                cursor.word()?;
                cursor.skip_list();
            }
            ".pragma" => cursor.skip_past(";")?,
            ".section" => cursor.skip_past("}")?,
            ".extern" => external = true,
            ".visible" | ".weak" | ".common" => {}
            ".global" | ".const" | ".shared" => {
                let space = match token.text {
                    ".global" => Space::Global,
                    ".const" => Space::Const,
                    _ => Space::Shared,
                };
                let mut variable = cursor.variable(space)?;
                variable.external = std::mem::take(&mut external);
                cursor.expect(";")?;
                module.variables.push(variable);
            }
            ".entry" | ".func" => {
                let function = parse_function(&mut cursor, token.text == ".entry", token.line)?;
                external = false;
                add_function(&mut module, function);
            }
            other => {
                return Err(Error::new(token.line, format!("'{other}' at module scope")));
            }
        }
    }
    Ok(module)
}

/// Adds a function, letting a definition take the place of its declaration.
fn add_function(module: &mut Module, function: Function) {
    match module.functions.iter_mut().find(|f| f.name == function.name) {
        Some(known) if function.is_defined => *known = function,
        Some(_) => {}
        None => module.functions.push(function),
    }
}

fn parse_function(cursor: &mut Cursor, is_entry: bool, line: u32) -> Result<Function, Error> {
    let mut variables = Vec::new();
    let returns = parse_params(cursor, &mut variables)?;
    let name = cursor.word()?.to_string();
    let params = parse_params(cursor, &mut variables)?;
    let mut function = Function {
        name,
        is_entry,
        params,
        returns,
        variables,
        registers: 0,
        body: Vec::new(),
        is_defined: false,
        max_threads: None,
        required_block: None,
        line,
    };
    loop {
        let token = cursor.require()?;
        match token.text {
            "{" => {
                function.is_defined = true;
                parse_body(cursor, &mut function)?;
                return Ok(function);
            }
            ";" => return Ok(function),
            ".maxntid" => {
                let [x, y, z] = cursor.dimensions()?;
                function.max_threads = Some(x * y * z);
            }
            ".reqntid" => function.required_block = Some(cursor.dimensions()?),
            ".minnctapersm" | ".maxnreg" | ".maxnctapersm" => {
                cursor.number()?;
            }
            ".pragma" => cursor.skip_past(";")?,
            ".noreturn" => {}
            other => {
                let message = format!("'{other}' in the header of {}", function.name);
                return Err(Error::new(token.line, message));
            }
        }
    }
}

/// `( .param … , .param … )`, if there is one; the indices of the new variables.
fn parse_params(cursor: &mut Cursor, variables: &mut Vec<Variable>) -> Result<Vec<usize>, Error> {
    let mut indices = Vec::new();
    if cursor.eat("(") {
        while !cursor.eat(")") {
            cursor.expect(".param")?;
            indices.push(variables.len());
            variables.push(cursor.variable(Space::Param)?);
            cursor.eat(",");
        }
    }
    Ok(indices)
}

/// Walks the tokens.
pub(super) struct Cursor<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn new(tokens: Vec<Token<'t>>) -> Self {
        Self { tokens, at: 0 }
    }

    pub fn next_token(&mut self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    pub fn peek(&self) -> &'t str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    pub fn line(&self) -> u32 {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens.get(self.at.min(last)).map_or(0, |token| token.line)
    }

    pub fn error<T>(&self, message: impl Into<String>) -> Result<T, Error> {
        Err(Error::new(self.line(), message))
    }

    pub fn require(&mut self) -> Result<Token<'t>, Error> {
        let line = self.line();
        self.next_token().ok_or_else(|| Error::new(line, "the text ends too early"))
    }

    pub fn word(&mut self) -> Result<&'t str, Error> {
        Ok(self.require()?.text)
    }

    pub fn eat(&mut self, text: &str) -> bool {
        let found = self.peek() == text;
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, text: &str) -> Result<(), Error> {
        if self.eat(text) {
            return Ok(());
        }
        self.error(format!("expected '{text}', found '{}'", self.peek()))
    }

    pub fn number(&mut self) -> Result<u64, Error> {
        let negative = self.eat("-");
        let text = self.peek();
        let Some(value) = bits(text) else {
            return self.error(format!("expected a number, found '{text}'"));
        };
        self.at += 1;
        Ok(if negative { value.wrapping_neg() } else { value })
    }

    /// Skips up to and past the next `text`.
    pub fn skip_past(&mut self, text: &str) -> Result<(), Error> {
        while self.word()? != text {}
        Ok(())
    }

    /// Skips `a, b, c`.
    fn skip_list(&mut self) {
        self.at += 1;
        while self.eat(",") {
            self.at += 1;
        }
    }

    fn dimensions(&mut self) -> Result<[u32; 3], Error> {
        let mut sizes = [1; 3];
        for (axis, size) in sizes.iter_mut().enumerate() {
            if axis > 0 && !self.eat(",") {
                break;
            }
            *size = self.number()? as u32;
        }
        Ok(sizes)
    }

    /// `.align 4 .b8 name[128] = {…}`, after the state space.
    pub fn variable(&mut self, space: Space) -> Result<Variable, Error> {
        let mut align = None;
        let mut element = None;
        let mut lanes = 1;
        while let Some(attribute) = self.peek().strip_prefix('.') {
            self.at += 1;
            match attribute {
                "align" => align = Some(self.number()? as usize),
                "ptr" | "global" | "shared" | "const" | "local" | "attribute" => {}
                "v2" => lanes = 2,
                "v4" => lanes = 4,
                _ => match Type::named(attribute) {
                    Some(ty) => element = Some(ty),
                    None => return self.error(format!("variable attribute '.{attribute}'")),
                },
            }
        }
        let Some(element) = element else {
            return self.error("variable without a type");
        };
        let name = self.word()?.to_string();
        let mut bytes = element.bytes() * lanes;
        while self.eat("[") {
            bytes *= if self.peek() == "]" { 0 } else { self.number()? as usize };
            self.expect("]")?;
        }
        let mut initial = Vec::new();
        if self.eat("=") {
            self.initializer(&mut initial)?;
        }
        let align = align.unwrap_or(element.bytes() * lanes);
        Ok(Variable { name, space, element, bytes, align, initial, external: false })
    }

    fn initializer(&mut self, initial: &mut Vec<Initial>) -> Result<(), Error> {
        if self.eat("{") {
            while !self.eat("}") {
                self.initializer(initial)?;
                self.eat(",");
            }
            return Ok(());
        }
        let value = if self.peek() == "-" || bits(self.peek()).is_some() {
            Initial::Number(self.number()?)
        } else {
            self.address()?
        };
        initial.push(value);
        Ok(())
    }

    /// `name`, `name+8`, `generic(name)` or `generic(name)+8`.
    fn address(&mut self) -> Result<Initial, Error> {
        let mut name = self.word()?;
        if name == "generic" && self.eat("(") {
            name = self.word()?;
            self.expect(")")?;
        }
        let offset = if self.eat("+") { self.number()? as i64 } else { 0 };
        Ok(Initial::Address { name: name.to_string(), offset })
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, header, parse};
    use crate::ptx::syntax::Initial;

    #[test]
    fn module_scope() {
        let module = parse(
            ".version 8.0\n.target sm_80\n.address_size 64\n.file 1 \"k.cu\"\n\
             .extern .shared .align 16 .b8 dyn[];\n\
             .const .align 4 .b32 table[3] = {0f3F800000, -2};\n\
             .global .align 8 .u64 where[2] = {generic(table)+0, table+4};\n\
             .visible .entry k(.param .u64 k_param_0, .param .align 8 .b8 k_param_1[24])\n\
             .maxntid 128, 2, 1\n.minnctapersm 2\n{ ret; }",
        )
        .unwrap();
        assert!(module.variables[0].external && module.variables[0].bytes == 0);
        assert_eq!(
            module.variables[1].initial,
            [Initial::Number(0x3F80_0000), Initial::Number(2u64.wrapping_neg())]
        );
        assert_eq!(
            module.variables[2].initial[1],
            Initial::Address { name: "table".into(), offset: 4 }
        );
        let kernel = &module.functions[0];
        assert_eq!((kernel.max_threads, kernel.params.len()), (Some(256), 2));
        assert_eq!((kernel.variables[1].bytes, kernel.variables[1].align), (24, 8));
    }

    #[test]
    fn headers() {
        let of = |text| header(text);
        let plain = Header { version: Some((8, 0)), target: Some((80, false)) };
        assert_eq!(of("// c\n\n.version 8.0\n.target\tsm_80 // c\n"), plain);
        assert_eq!(of(".version 9.10\n.target sm_90a, debug").version, Some((9, 10)));
        assert_eq!(of(".target sm_90a, debug").target, Some((90, true)));
        assert_eq!(of(".target sm_103f").target, Some((103, true)));
        assert_eq!(of(".visible .entry k() { }"), Header::default());
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(parse("\n\n.nonsense").unwrap_err().line, 3);
        assert_eq!(parse(".visible .entry k()\n{\n ld.b32 x, [%r1];\n}").unwrap_err().line, 3);
        assert!(parse(".visible .entry k() {").is_err());
    }
}
