//! What each arithmetic instruction computes.
//!
//! Every function has the type [`Compute`]: four registers in, one out. Inputs are truncated to the
//! width of the instruction, results are zero-extended to 64 bits. A function that needs fewer inputs
//! ignores the last ones; one that needs more than registers (a rounding mode, a format) finds it in
//! the last input, where the decoder puts a constant.
//!
//! Addition, multiplication, fused multiply-add, division and square root round to nearest by the
//! host's IEEE arithmetic; the other modes and the 16-bit formats go through the exact integer
//! arithmetic of [`soft`].

pub mod bits;
pub mod compare;
pub mod convert;
pub mod float;
pub mod integer;
pub mod mode;
pub mod soft;

/// An instruction with one result.
pub type Compute = fn(u64, u64, u64, u64) -> u64;
