//! Reading PTX text.
//!
//! `lex` cuts the text into words, `parse` and `body` build the syntax tree of `syntax`. Registers
//! and variables declared inside a function are resolved here, because PTX scopes them by braces;
//! everything else (labels, functions, module variables) stays a name until the kernel is decoded.

mod body;
mod lex;
mod literal;
mod parse;
pub mod syntax;
mod types;

pub use parse::{header, parse};
pub use types::Type;

/// Why a text is not PTX that this crate can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Line of the PTX text, counted from 1.
    pub line: u32,
    /// What was wrong there.
    pub message: String,
}

impl Error {
    pub(crate) fn new(line: u32, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PTX line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for Error {}
