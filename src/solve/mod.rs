//! Least squares by sketches: argmin ‖Ax − b‖.
//!
//! | function | gives | cost for A m×n, dense |
//! |---|---|---|
//! | [`lstsq`] | backward stable solutions for many right-hand sides, ridge, least norm where the rank is deficient | γn³ flops and some 30 to 90 products with A |
//! | [`sketch_and_solve`] | argmin ‖S(Ax − b)‖ for an operator of your choice | the sketch and 3dn² flops |
//! | [`SketchPreconditioner`] | N with A·N well conditioned, to iterate with | γn³ flops |

mod backward_error;
mod cgls;
mod lstsq;
mod preconditioner;
mod problem;

pub use lstsq::{Lstsq, LstsqMethod, LstsqParams, lstsq, sketch_and_solve};
pub use preconditioner::{SketchPreconditioner, SketchPreconditionerParams};
