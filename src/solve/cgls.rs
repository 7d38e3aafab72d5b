//! Conjugate gradients on the normal equations of a preconditioned least-squares problem.

use super::columns::{add, scale_columns, sums};
use super::preconditioner::SketchPreconditioner;
use crate::{Backend, LinearOperator, Mat, MatMut, MatRef, Operand, Result, Scalar};

/// Column by column the correction N Z of X for the gradient C = Nᵀ(Aᵀ R − λ X): Z solves
/// Nᵀ(AᵀA + λI)N Z = C until the gradient is below `reduction` of what it was, or below `floor`. C is
/// overwritten. Returns N Z and the number of iterations, `limit` at most.
///
/// An iteration costs a product with AᵀA, one each with N and Nᵀ, and reads two norms a column.
pub(super) fn correction<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    n: &SketchPreconditioner<T, D>,
    mut c: Mat<T, D>,
    reduction: f64,
    floor: &[f64],
    limit: usize,
) -> Result<(Mat<T, D>, usize)> {
    let (device, (k, p), cols) = (c.device().clone(), c.shape(), a.shape().1);
    let (exponent, lambda) = (n.exponent(), n.lambda());
    let room = |rows: usize| Mat::<T, D>::scratch(&device, rows, p);
    let (mut z, mut direction, mut spare) = (Mat::zeros(&device, k, p)?, room(k)?, room(k)?);
    let (mut step, mut gradient, mut change) = (room(cols)?, room(cols)?, room(k)?);
    device.axpby(T::one(), c.as_ref(), T::zero(), direction.as_mut())?;
    let mut rho = sums(c.as_ref(), 0)?;
    let goal: Vec<f64> = rho
        .iter()
        .zip(floor)
        .map(|(rho, floor)| (reduction * reduction * rho).max(floor * floor))
        .collect();
    let mut iterations = 0;
    while iterations < limit && rho.iter().zip(&goal).any(|(rho, goal)| rho > goal) {
        n.apply(direction.as_ref(), step.as_mut())?;
        let mut curvature = normal_times(a, step.as_ref(), None, gradient.as_mut())?;
        if lambda > 0.0 {
            let steps = sums(step.as_ref(), exponent)?;
            let scaled = crate::scalar::scale_by_power(lambda, -2 * exponent);
            curvature.iter_mut().zip(steps).for_each(|(c, s)| *c += scaled * s);
            // √λ twice, since λ itself may be out of the range of T.
            let root = T::from_f64(n.root());
            device.scale(root, step.as_mut())?;
            device.axpby(root, step.as_ref(), T::one(), gradient.as_mut())?;
        }
        let going = |j: usize| rho[j] > goal[j];
        let length: Vec<f64> =
            (0..p).map(|j| if going(j) { rho[j] / curvature[j] } else { 0.0 }).collect();
        add(z.as_mut(), &length, direction.as_ref(), &mut spare)?;
        n.apply_adjoint(gradient.as_ref(), change.as_mut())?;
        let length: Vec<f64> = length.iter().map(|x| -x).collect();
        add(c.as_mut(), &length, change.as_ref(), &mut spare)?;
        let now = sums(c.as_ref(), 0)?;
        let turn: Vec<f64> = (0..p).map(|j| if going(j) { now[j] / rho[j] } else { 0.0 }).collect();
        scale_columns(&turn, direction.as_mut())?;
        device.axpby(T::one(), c.as_ref(), T::one(), direction.as_mut())?;
        rho = now;
        iterations += 1;
    }
    n.apply(z.as_ref(), step.as_mut())?;
    Ok((step, iterations))
}

/// `Z ← Aᵀ(A X − B)`; returns the squares of the columns of A X − B.
pub(super) fn normal_times<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    x: MatRef<'_, T, D>,
    b: Option<MatRef<'_, T, D>>,
    z: MatMut<'_, T, D>,
) -> Result<Vec<f64>> {
    let device = x.device();
    let mut squares = vec![0.0; x.ncols()];
    if let Some(Operand::Dense(a)) = a.as_matrix() {
        device.normal_times(a, x, b, z, &mut squares)?;
        return Ok(squares);
    }
    let mut image = Mat::scratch(device, a.shape().0, x.ncols())?;
    a.apply(x, image.as_mut())?;
    if let Some(b) = b {
        device.axpby(-T::one(), b, T::one(), image.as_mut())?;
    }
    device.column_sums_of_squares(image.as_ref(), 0, &mut squares)?;
    a.apply_adjoint(image.as_ref(), z)?;
    Ok(squares)
}
