//! Dense and sparse matrices over a device: owners, views and conversions.
//!
//! [`Mat`] owns memory, [`MatRef`] and [`MatMut`] borrow it. A view is a pointer, a shape and two
//! strides in elements, so column-major, row-major, sub-matrices and transposes are views of the
//! same memory, never copies. Readable views may broadcast (stride 0) or run backwards; writable
//! views whose entries overlap are refused.
//!
//! [`Csr`] and [`Csc`] are the compressed sparse formats, [`CsrRef`] and [`CscRef`] their views.

mod batch;
mod convert;
mod csc;
mod layout;
mod operand;
mod owned;
mod sparse;
mod tensor;
mod view;
mod view_mut;

pub(crate) use batch::for_each_batch;
pub use batch::{BatchMut, BatchRef};
pub use csc::{Csc, CscRef};
pub use operand::{AsOperand, Operand};
pub use owned::Mat;
pub use sparse::{Csr, CsrRef};
pub use tensor::{TensorMut, TensorRef};
pub use view::MatRef;
pub use view_mut::MatMut;
