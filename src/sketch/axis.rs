//! An operator applied along one axis of an N-dimensional array, which also is the batched form:
//! many equal matrices are a three-dimensional array.
//!
//! Axes that lie next to each other in memory are merged, so a contiguous array sketched along its
//! first or last axis is one product. What remains is a batch of matrices: small ones are one
//! batched product with the formed operator, large ones one application each.

use super::Sketch;
use crate::matrix::{TensorMut, TensorRef};
use crate::{Backend, Error, Mat, MatMut, MatRef, Operand, Result, Scalar};

/// An operator of up to this many entries is formed for a batch.
const FORMED: usize = 1 << 22;

/// One axis of two arrays of equal extent: the extent and the two strides.
#[derive(Clone, Copy)]
struct Axis {
    extent: usize,
    a: isize,
    c: isize,
}

impl Sketch {
    /// `C ← α S ×ₐₓᵢₛ A + β C`: every fibre of A along `axis` becomes its sketch.
    ///
    /// A has extent m along the axis and C has extent d, all others agree.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `axis` does not exist or the extents do not fit.
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
        let along = Axis { extent: 0, a: a.strides()[axis], c: c.strides()[axis] };
        let others: Vec<Axis> = (0..a.shape().len())
            .filter(|&k| k != axis)
            .map(|k| Axis { extent: a.shape()[k], a: a.strides()[k], c: c.strides()[k] })
            .collect();
        let mut axes = merge(others);
        if axes.iter().any(|axis| axis.extent == 0) {
            return Ok(());
        }
        // The longest axis is the columns of the matrices, the next the batch of a product.
        axes.sort_by_key(|axis| axis.extent);
        let one = Axis { extent: 1, a: 0, c: 0 };
        let columns = axes.pop().unwrap_or(one);
        let (a_base, c_base, device) = (a.as_ptr(), c.as_mut_ptr(), a.device());
        // SAFETY: rows, columns and offsets stay inside of the arrays, whose extents were checked;
        // writable positions of a tensor are distinct.
        let views = |offsets: (isize, isize)| unsafe {
            let (rows, n) = (self.shape(), columns.extent);
            let a = a_base.wrapping_offset(offsets.0);
            let c = c_base.wrapping_offset(offsets.1);
            (
                MatRef::from_raw_parts(device, a, (rows.1, n), (along.a, columns.a)),
                MatMut::from_parts_unchecked(device, c, (rows.0, n), (along.c, columns.c)),
            )
        };
        if axes.is_empty() {
            let (a, c) = views((0, 0));
            return self.apply_into(alpha, a, beta, c);
        }
        if self.nrows() * self.ncols() <= FORMED {
            let batch = axes.pop().unwrap_or(one);
            let s: Mat<T, D> = self.to_mat(device)?;
            for offsets in positions(&axes) {
                let (a, c) = views(offsets);
                let (s, a, c) = ((s.as_ref(), 0), (a, batch.a), (c, batch.c));
                device.gemm_batched(alpha, s, a, beta, c, batch.extent)?;
            }
        } else {
            let s = self.prepare(device)?;
            for offsets in positions(&axes) {
                let (a, c) = views(offsets);
                s.apply_into(alpha, Operand::Dense(a), beta, c)?;
            }
        }
        Ok(())
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
        let mut expected = a.shape().to_vec();
        expected[axis] = self.ncols();
        if a.shape() != expected {
            return Err(Error::invalid(
                op,
                "A.shape()",
                format!("{:?}", a.shape()),
                format!("{expected:?}"),
            ));
        }
        expected[axis] = self.nrows();
        if c.shape() != expected {
            return Err(Error::invalid(
                op,
                "C.shape()",
                format!("{:?}", c.shape()),
                format!("{expected:?}"),
            ));
        }
        if !c.device().is_compatible(a.device()) {
            return Err(Error::DeviceMismatch { op, argument: "A" });
        }
        Ok(())
    }
}

/// Joins axes that are one longer axis in both arrays, and drops those of extent 1.
fn merge(axes: Vec<Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for inner in axes.into_iter().filter(|axis| axis.extent != 1) {
        let extent = inner.extent as isize;
        match merged.last_mut() {
            Some(outer) if outer.a == inner.a * extent && outer.c == inner.c * extent => {
                *outer = Axis { extent: outer.extent * inner.extent, ..inner };
            }
            _ => merged.push(inner),
        }
    }
    merged
}

/// The offsets of all positions along `axes`.
fn positions(axes: &[Axis]) -> Vec<(isize, isize)> {
    axes.iter().fold(vec![(0, 0)], |offsets, axis| {
        let step = |(a, c): (isize, isize)| {
            (0..axis.extent as isize).map(move |i| (a + i * axis.a, c + i * axis.c))
        };
        offsets.into_iter().flat_map(step).collect()
    })
}
