//! An operator applied along one axis of an N-dimensional array, which also is the batched form:
//! many equal matrices are a three-dimensional array.
//!
//! A contiguous array sketched along its first or last axis is one application. Otherwise the array
//! is a batch of matrices: one batched product with the formed operator where S is dense and small,
//! else one application of the prepared operator each.

use super::{Family, Sketch};
use crate::matrix::{BatchRef, TensorMut, TensorRef, for_each_batch};
use crate::{Backend, Error, Mat, Result, Scalar};

/// An operator of up to this many entries is formed for a batch.
const FORMED: usize = 1 << 22;

impl Sketch {
    /// `C ← α S ×ₐₓᵢₛ A + β C`: every fibre of A along `axis` becomes its sketch.
    ///
    /// A has extent m along the axis and C has extent d, all others agree.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `axis` does not exist or the extents do not fit;
    /// [`Error::DeviceMismatch`]; [`Error::OutOfMemory`].
    ///
    /// # Cost
    /// That of the application to every matrix; a dense S with dm ≤ 2²² is formed once for a batch.
    ///
    /// ```
    /// use randnla::{Cpu, Sketch, matrix::{TensorMut, TensorRef}};
    /// let (cpu, s) = (Cpu::new(), Sketch::gaussian(8, 100, 1)?);
    /// let (a, mut c) = (vec![1.0; 5 * 100 * 3], vec![0.0; 5 * 8 * 3]);
    /// let a = TensorRef::from_slice(&cpu, &a, &[5, 100, 3])?;
    /// s.sketch_axis(1, 1.0, &a, 0.0, &mut TensorMut::from_slice(&cpu, &mut c, &[5, 8, 3])?)?;
    /// # Ok::<(), randnla::Error>(())
    /// ```
    pub fn sketch_axis<T: Scalar, D: Backend<T>>(
        &self,
        axis: usize,
        alpha: T,
        a: &TensorRef<'_, T, D>,
        beta: T,
        c: &mut TensorMut<'_, T, D>,
    ) -> Result<()> {
        self.check_tensors(axis, a, c)?;
        if c.shape().contains(&0) {
            return Ok(());
        }
        let device = a.device();
        let dense = self.family().is_dense() || self.family() == Family::Haar;
        let mut formed: Option<Mat<T, D>> = None;
        let prepared = self.prepare(device)?;
        for_each_batch(axis, a, c, |a, mut c| {
            if c.len() > 1 && dense && self.nrows() * self.ncols() <= FORMED {
                let s = match (prepared.formed(), &mut formed) {
                    (Some(s), _) => s,
                    (None, Some(s)) => s.as_ref(),
                    (None, none) => none.insert(self.to_mat(device)?).as_ref(),
                };
                let s = BatchRef::repeat(s, c.len());
                return device.gemm_batched(alpha, s, a, beta, c);
            }
            (0..c.len()).try_for_each(|i| prepared.apply_into(alpha, a.get(i), beta, c.get(i)))
        })
    }

    fn check_tensors<T: Scalar, D: Backend<T>>(
        &self,
        axis: usize,
        a: &TensorRef<'_, T, D>,
        c: &TensorMut<'_, T, D>,
    ) -> Result<()> {
        let op = "Sketch::sketch_axis";
        if axis >= a.shape().len() {
            return Err(Error::invalid(op, "axis", axis, format!("below {}", a.shape().len())));
        }
        let check = |argument, got: &[usize], extent| {
            let mut expected = a.shape().to_vec();
            expected[axis] = extent;
            if got == expected {
                return Ok(());
            }
            Err(Error::invalid(op, argument, format!("{got:?}"), format!("{expected:?}")))
        };
        check("A.shape()", a.shape(), self.ncols())?;
        check("C.shape()", c.shape(), self.nrows())?;
        if !c.device().is_compatible(a.device()) {
            return Err(Error::DeviceMismatch { op, argument: "A" });
        }
        Ok(())
    }
}
