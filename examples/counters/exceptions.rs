//! Figures beyond the bounds that are known, each with its reason. One that keeps the bounds is an error
//! too, so that the list does not outlive its reasons.

use crate::bench::Figure;

pub struct Exception {
    /// The kernel, without the type at its end.
    pub kernel: &'static str,
    pub figure: Figure,
    pub why: &'static str,
}

pub const EXCEPTIONS: &[Exception] = &[];
