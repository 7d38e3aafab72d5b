//! x
#![deny(missing_docs, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
pub mod decomp;
pub mod device;
mod error;
pub mod matrix;
mod operator;
pub mod random;
mod scalar;
pub mod sketch;

pub use device::{
    Backend, Blas, Cpu, Device, Op, SketchKernels, SparseKernels, TransformKernels, Uplo,
};
pub use error::{Error, Result};
pub use matrix::{AsOperand, Csc, CscRef, Csr, CsrRef, Mat, MatMut, MatRef, Operand};
pub use operator::LinearOperator;
pub use scalar::{Element, Scalar};
pub use sketch::{Family, Prepared, Sketch};
