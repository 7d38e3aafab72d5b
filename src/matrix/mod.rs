//! Dense and sparse matrices over a device: owners, views and conversions.
//!
//! [`Mat`] owns memory, [`MatRef`] and [`MatMut`] borrow it. A view is a pointer, a shape and two
//! strides in elements, so column-major, row-major, sub-matrices and transposes are views of the
//! same memory, never copies. Readable views may broadcast (stride 0) or run backwards; writable
//! views whose entries overlap are refused.
//!
//! [`Csr`] and [`Csc`] are the compressed sparse formats, [`CsrRef`] and [`CscRef`] their views.

mod convert;
mod layout;
mod owned;
mod sparse;
mod view;
mod view_mut;

pub use owned::Mat;
pub use sparse::{Csc, CscRef, Csr, CsrRef};
pub use view::MatRef;
pub use view_mut::MatMut;

use crate::{Cpu, Device, Scalar};

/// What can be read as a dense matrix: [`Mat`], [`MatRef`], [`MatMut`].
pub trait AsMatRef<T: Scalar, D: Device = Cpu> {
    /// The view of the whole matrix.
    fn as_mat_ref(&self) -> MatRef<'_, T, D>;
}

impl<T: Scalar, D: Device> AsMatRef<T, D> for Mat<T, D> {
    fn as_mat_ref(&self) -> MatRef<'_, T, D> {
        self.as_ref()
    }
}

impl<T: Scalar, D: Device> AsMatRef<T, D> for MatRef<'_, T, D> {
    fn as_mat_ref(&self) -> MatRef<'_, T, D> {
        *self
    }
}

impl<T: Scalar, D: Device> AsMatRef<T, D> for MatMut<'_, T, D> {
    fn as_mat_ref(&self) -> MatRef<'_, T, D> {
        self.as_ref()
    }
}
