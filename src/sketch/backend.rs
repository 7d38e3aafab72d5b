//! Which way an application goes: by the kernels of a scalar, or by those of halves.

use super::{Sketch, apply, half};
use crate::{
    Backend, HalfKernels, Mat, MatMut, Op, Operand, Result, Scalar, Storage, StorageKernels,
};
use ::half::{bf16, f16};

/// A device that applies operators to matrices stored in `T`: every [`Backend`] for `f32` and `f64`,
/// and with [`HalfKernels`] for `f16` and `bf16`. There is nothing to implement.
pub trait SketchBackend<T: Storage>: StorageKernels<T> {
    /// `C ← α op(S) A + β C`, what every application of a [`Sketch`] is: `name` is the caller's in
    /// errors.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch),
    /// [`Error::DeviceMismatch`](crate::Error::DeviceMismatch); C is then untouched.
    #[allow(clippy::too_many_arguments)]
    fn apply_operator(
        name: &'static str,
        s: &Sketch,
        op: Op,
        alpha: T::Compute,
        a: Operand<'_, T, Self>,
        beta: T::Compute,
        c: MatMut<'_, T, Self>,
    ) -> Result<()>;

    /// The operator as a dense matrix.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    fn form_operator(&self, s: &Sketch) -> Result<Mat<T, Self>>;
}

impl<T: Scalar, D: Backend<T>> SketchBackend<T> for D {
    fn apply_operator(
        name: &'static str,
        s: &Sketch,
        op: Op,
        alpha: T,
        a: Operand<'_, T, Self>,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        apply::run(name, s, None, op, alpha, a, beta, c)
    }

    fn form_operator(&self, s: &Sketch) -> Result<Mat<T, Self>> {
        apply::form(s, self)
    }
}

macro_rules! halves {
    ($h:ty) => {
        impl<D: HalfKernels<$h>> SketchBackend<$h> for D {
            fn apply_operator(
                name: &'static str,
                s: &Sketch,
                op: Op,
                alpha: f32,
                a: Operand<'_, $h, Self>,
                beta: f32,
                c: MatMut<'_, $h, Self>,
            ) -> Result<()> {
                half::run(name, s, op, alpha, a, beta, c)
            }

            fn form_operator(&self, s: &Sketch) -> Result<Mat<$h, Self>> {
                half::form(s, self)
            }
        }
    };
}

halves!(f16);
halves!(bf16);
