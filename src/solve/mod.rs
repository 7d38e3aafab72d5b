//! Least squares and positive definite systems by sketches and iterations.
//!
//! | function | solves | cost for dense A, m×n |
//! |---|---|---|
//! | [`lstsq`](lstsq()) | argmin ‖Ax − b‖, backward stable: many right-hand sides, ridge, least norm where the rank is deficient | γn³ flops and some 30 to 90 products with A |
//! | [`sketch_and_solve`] | argmin ‖S(Ax − b)‖ for an operator of your choice | the sketch and 3dn² flops |
//! | [`lsqr`](lsqr()) | argmin ‖Ax − b‖² + λ‖x‖² from products alone | two products an iteration |
//! | [`cg`](cg()) | (A + μI)x = b, A positive semidefinite, from products alone | one product an iteration |
//! | [`nystrom_pcg`] | the same in some 20 iterations, whatever the condition, where eigenvalues fall | l + 20 products |
//!
//! Preconditioners are [`LinearOperator`](crate::LinearOperator)s: what multiplies serves.
//!
//! | preconditioner | of | what it is | serves |
//! |---|---|---|---|
//! | [`SketchPreconditioner`] | A, m×n, with √λ·I below it | N = P R⁺ of a QR of S·A, with A·N well conditioned | [`lsqr`](lsqr()), on the right |
//! | [`NystromPreconditioner`] | A + μI | (A + μI)⁻¹ on the leading eigenvectors of a Nyström approximation, up to a factor | [`cg`](cg()) |
//!
//! Iterations work on all right-hand sides at once, each of which ends by itself, and return for each a
//! [`Convergence`]: why it ended, and residuals that are computed from x, not by recurrences. Tolerances are relative.

mod backward_error;
mod bidiagonal;
mod cg;
mod cgls;
mod columns;
mod lsqr;
mod lstsq;
mod nystrom;
mod preconditioner;
mod problem;
mod report;

pub use cg::{CgParams, cg, cg_with_progress};
pub use lsqr::{LsqrParams, lsqr, lsqr_with_progress};
pub use lstsq::{Lstsq, LstsqMethod, LstsqParams, lstsq, sketch_and_solve};
pub use nystrom::{
    NystromPcg, NystromPcgParams, NystromPreconditioner, NystromPreconditionerParams, nystrom_pcg,
};
pub use preconditioner::{SketchPreconditioner, SketchPreconditionerParams};
pub use report::{Convergence, Solution, SolveProgress, StopReason};
