//! What can go wrong in a kernel, and where it did.

/// The kind of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// An address outside every buffer, or outside shared or local memory.
    OutOfBounds,
    /// An address that is not a multiple of the size of the access.
    Misaligned,
    /// An instruction for one address space with an address of another, or a write to constants.
    WrongSpace,
    /// A read of bytes that nobody wrote.
    Uninitialised,
    /// Two unordered accesses, one of them a write.
    Race,
    /// Threads that do not meet at a barrier as they must.
    DivergentBarrier,
    /// Lanes that do not meet at a warp instruction, or a mask that names the wrong lanes.
    DivergentWarp,
    /// Arguments of an instruction that have no meaning.
    InvalidArgument,
    /// `trap` or a failed assertion.
    Trap,
    /// A block ran longer than allowed.
    Timeout,
}

impl FaultKind {
    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutOfBounds => "out of bounds",
            Self::Misaligned => "misaligned",
            Self::WrongSpace => "wrong address space",
            Self::Uninitialised => "uninitialised read",
            Self::Race => "race",
            Self::DivergentBarrier => "divergent barrier",
            Self::DivergentWarp => "divergent warp instruction",
            Self::InvalidArgument => "invalid argument",
            Self::Trap => "trap",
            Self::Timeout => "timeout",
        }
    }
}

/// A fault, without its place.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// What happened, in words.
    pub message: String,
}

impl Fault {
    /// A fault.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { kind, message: message.into() })
    }
}

/// A fault with its place.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The fault.
    pub fault: Fault,
    /// Name of the kernel.
    pub kernel: String,
    /// Index of the block.
    pub block: [u32; 3],
    /// Index of the thread.
    pub thread: [u32; 3],
    /// Line of the PTX text.
    pub line: u32,
    /// Line of the CUDA source; 0 when unknown.
    pub source_line: u32,
}

impl std::fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ([bx, by, bz], [tx, ty, tz]) = (self.block, self.thread);
        write!(
            f,
            "{}: {}; kernel {}, block ({bx}, {by}, {bz}), thread ({tx}, {ty}, {tz}), PTX line {}",
            self.fault.kind.name(),
            self.fault.message,
            self.kernel,
            self.line
        )?;
        match self.source_line {
            0 => Ok(()),
            line => write!(f, ", source line {line}"),
        }
    }
}

impl std::error::Error for Diagnosis {}
