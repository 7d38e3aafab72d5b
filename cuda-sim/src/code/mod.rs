//! Kernels in the form that is executed.
//!
//! A [`Program`] is one kernel with every function it calls, linked into one list of instructions.
//! Each thread has one *register file*: first the registers of all those functions (there is no
//! recursion, so each has its own), then the constants that occur in the code, then the special
//! registers it reads. So every operand is an index into the register file, and most instructions are
//! a function of four registers.

mod address;
mod arithmetic;
mod control;
mod convert;
mod float;
mod forms;
mod layout;
mod link;
mod logic;
mod matrix;
mod memory;
mod special;
mod translate;
mod warp;

use crate::arith::Compute;
pub use forms::{expand, forms};
pub use link::{Symbols, link};
pub use matrix::{LoadMatrix, Matrix};
pub use memory::{Atomic, AtomicKind, Order, Space, Transfer};
pub use special::Special;
pub use warp::{Exchange, WarpOp};

/// "No guard": the instruction is always executed.
pub const UNGUARDED: u32 = u32::MAX;

/// What an instruction does.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// `d = f(a, b, c, e)`.
    Compute(Compute),
    /// Goes to an instruction.
    Branch(u32),
    /// Calls a function, described in [`Program::calls`].
    Call(u32),
    /// Returns from a function, or ends the thread.
    Return,
    /// Ends the thread.
    Exit,
    /// Ends the launch with an error.
    Trap,
    /// Loads from `a` plus an offset to `d`, `b`, `c`, `e`.
    Load(Transfer),
    /// Stores `d`, `b`, `c`, `e` to `a` plus an offset.
    Store(Transfer),
    /// Combines `b` with memory at `a` plus an offset; the old value to `d`.
    Atomic(Atomic),
    /// Waits at barrier `a` for the block, or for `b` threads if the flag is set.
    Barrier(bool),
    /// Waits for other lanes and exchanges values with them.
    Warp(WarpOp),
    /// Copies from global `b` to shared `a`, to take place later; the offsets are in
    /// [`Program::copies`].
    CopyAsync(u32),
    /// Ends a group of copies.
    CopyCommit,
    /// Waits until at most `a` groups of copies are outstanding.
    CopyWait,
    /// Multiplies matrices spread over the warp, described in [`Program::matrices`].
    Matrix(u32),
    /// Loads matrices into the warp, described in [`Program::matrix_loads`].
    LoadMatrix(u32),
    /// Nothing (fences: memory here is sequentially consistent).
    Nothing,
}

/// An instruction; the meaning of the registers depends on the step.
#[derive(Clone, Copy, Debug)]
pub struct Instr {
    /// What it does.
    pub step: Step,
    /// Predicate register, or [`UNGUARDED`].
    pub guard: u32,
    /// Value of the predicate (0 or 1) for which it is skipped.
    pub skip_if: u32,
    /// First result.
    pub d: u32,
    /// Second result, of a shuffle.
    pub d2: u32,
    /// First operand.
    pub a: u32,
    /// Second operand.
    pub b: u32,
    /// Third operand.
    pub c: u32,
    /// Fourth operand.
    pub e: u32,
}

/// Where an instruction comes from.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Line of the PTX text.
    pub line: u32,
    /// Line of the CUDA source; 0 when unknown.
    pub source_line: u32,
}

/// Bytes copied between the argument areas of caller and callee, all in local memory.
#[derive(Clone, Copy, Debug)]
pub struct ArgumentCopy {
    /// Local offset of the source.
    pub from: u32,
    /// Local offset of the destination.
    pub to: u32,
    /// Size.
    pub bytes: u32,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// First instruction of the function.
    pub target: u32,
    /// Copies before the jump.
    pub arguments: Vec<ArgumentCopy>,
    /// Copies after the return.
    pub results: Vec<ArgumentCopy>,
}

/// A `cp.async`.
#[derive(Clone, Copy, Debug)]
pub struct CopyAsync {
    /// Added to the shared address.
    pub to_offset: i64,
    /// Added to the global address.
    pub from_offset: i64,
    /// Bytes written: 4, 8 or 16.
    pub bytes: u32,
    /// Whether register `c` gives the number of bytes to read; the rest is zeros.
    pub has_size: bool,
}

/// A kernel parameter.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Offset in the argument buffer.
    pub offset: usize,
    /// Size.
    pub bytes: usize,
}

/// Variables that lie apart from each other.
#[derive(Clone, Debug)]
pub struct Extent {
    /// The end of the last one.
    pub end: usize,
    /// What lies between, as start and end.
    pub gaps: Vec<(usize, usize)>,
}

/// An executable kernel.
pub struct Program {
    /// Its name.
    pub name: String,
    /// The instructions.
    pub code: Vec<Instr>,
    /// Where each comes from.
    pub places: Vec<Place>,
    /// Calls.
    pub calls: Vec<Call>,
    /// Asynchronous copies.
    pub copies: Vec<CopyAsync>,
    /// Matrix products.
    pub matrices: Vec<Matrix>,
    /// Matrix loads.
    pub matrix_loads: Vec<LoadMatrix>,
    /// Size of a register file.
    pub registers: usize,
    /// Initial values of constant registers.
    pub constants: Vec<(u32, u64)>,
    /// Special registers and where they are kept.
    pub specials: Vec<(u32, Special)>,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// Size of the argument buffer.
    pub param_bytes: usize,
    /// Static shared memory of a block.
    pub shared_bytes: usize,
    /// Local memory of a thread.
    pub local_bytes: usize,
    /// Where static shared memory lies; dynamic shared memory follows.
    pub shared: Extent,
    /// Where local memory lies.
    pub local: Extent,
    /// Most threads in a block, if the kernel says so.
    pub max_threads: Option<u32>,
    /// Exact block shape, if the kernel says so.
    pub required_block: Option<[u32; 3]>,
}
