//! The syntax tree of a PTX module.

use super::Type;

/// Where a variable lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Device memory.
    Global,
    /// Device memory that kernels only read.
    Const,
    /// Memory of one block.
    Shared,
    /// Memory of one thread.
    Local,
    /// Arguments of a kernel or a function.
    Param,
}

/// One value of a variable's initialiser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initial {
    /// The bits of a number.
    Number(u64),
    /// The address of another variable plus an offset.
    Address {
        /// Name of the variable.
        name: String,
        /// Bytes added to its address.
        offset: i64,
    },
}

/// A declared variable or parameter.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its state space.
    pub space: Space,
    /// Its element type.
    pub element: Type,
    /// Its size in bytes; 0 for an array of unknown length.
    pub bytes: usize,
    /// Its alignment in bytes.
    pub align: usize,
    /// Its initial elements; the rest is zero (global and constant memory only).
    pub initial: Vec<Initial>,
    /// Declared `.extern`: for shared memory, the array sized at launch.
    pub external: bool,
}

/// A name that is not a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// The n-th variable of the function.
    Scoped(usize),
    /// A label, a function or a variable of the module.
    Global(String),
}

/// Base of an address operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// A register.
    Register(u32),
    /// A variable.
    Name(Name),
    /// A number.
    Absolute(u64),
}

/// An instruction operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A register, numbered within its function.
    Register(u32),
    /// `!p`.
    Negated(u32),
    /// `d|p`; `None` where the text says `_`.
    Pair(Option<u32>, Option<u32>),
    /// The bits of an integer, or of a `0f…`/`0d…` number.
    Immediate(u64),
    /// A decimal floating-point number, not yet in the type of the instruction.
    Decimal(f64),
    /// A special register such as `%tid.x`.
    Special(String),
    /// A variable, label or function, plus an offset.
    Symbol(Name, i64),
    /// `[base+offset]`.
    Address(Base, i64),
    /// `{a, b, …}`.
    Vector(Vec<Operand>),
    /// `(a, b, …)` of a call.
    List(Vec<Operand>),
    /// `_`: the result is not wanted.
    Sink,
}

/// An instruction with its guard and its place in the text.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// First part of the name: `ld` of `ld.global.v4.f32`.
    pub opcode: String,
    /// The other parts.
    pub modifiers: Vec<String>,
    /// The operands, destination first.
    pub operands: Vec<Operand>,
    /// Predicate register, and whether it is negated.
    pub guard: Option<(u32, bool)>,
    /// Line of the PTX text.
    pub line: u32,
    /// Line of the CUDA source according to the last `.loc`; 0 when unknown.
    pub source_line: u32,
}

impl Instruction {
    /// Whether the name contains `.modifier`.
    pub fn has(&self, modifier: &str) -> bool {
        self.modifiers.iter().any(|m| m == modifier)
    }

    /// The types in the name, in order.
    pub fn types(&self) -> Vec<Type> {
        self.modifiers.iter().filter_map(|m| Type::named(m)).collect()
    }

    /// The whole name.
    pub fn name(&self) -> String {
        let mut name = self.opcode.clone();
        for modifier in &self.modifiers {
            name.push('.');
            name.push_str(modifier);
        }
        name
    }
}

/// An element of a function body.
#[derive(Clone, Debug)]
pub enum Statement {
    /// A jump target.
    Label(String),
    /// An instruction.
    Instruction(Instruction),
}

/// A kernel or a device function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its (mangled) name.
    pub name: String,
    /// Whether the host can launch it.
    pub is_entry: bool,
    /// Indices into `variables` of the parameters, in order.
    pub params: Vec<usize>,
    /// Indices into `variables` of the return values.
    pub returns: Vec<usize>,
    /// All variables declared in the function, parameters included.
    pub variables: Vec<Variable>,
    /// Number of registers.
    pub registers: u32,
    /// The code; empty for a mere declaration.
    pub body: Vec<Statement>,
    /// Whether there is a body.
    pub is_defined: bool,
    /// Most threads a block may have (`.maxntid`), if stated.
    pub max_threads: Option<u32>,
    /// Exact block shape (`.reqntid`), if stated.
    pub required_block: Option<[u32; 3]>,
    /// Line of its header.
    pub line: u32,
}

/// A PTX module.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Kernels and device functions, in order.
    pub functions: Vec<Function>,
    /// Variables at module scope.
    pub variables: Vec<Variable>,
}
