//! Golub and Kahan's bidiagonalisation for many right-hand sides, and the solutions that it gives (see `lsqr`).

use super::columns::{add, gather, scale_columns, scatter};
use super::report::norms;
use crate::{Backend, Device, Mat, Result, Scalar};

/// The bidiagonalisation of a right-hand side.
pub(super) struct Scalars {
    alpha: f64,
    beta: f64,
    /// The last entries of the triangular factor and of its right-hand side, before their rotation.
    rho: f64,
    phi: f64,
    /// ‖Bᵀr‖/‖r‖.
    ratio: f64,
    pub(super) going: bool,
}

impl Scalars {
    pub(super) fn error(&self, norm: f64, size: f64) -> f64 {
        (self.phi / size).min(self.ratio / norm)
    }

    /// Zeros from here on.
    pub(super) fn stop(&mut self) {
        (self.alpha, self.beta, self.going) = (0.0, 0.0, false);
    }
}

/// A block of right-hand sides under way.
pub(super) struct Run<T: Scalar, D: Device> {
    pub(super) u: Mat<T, D>,
    pub(super) v: Mat<T, D>,
    w: Mat<T, D>,
    pub(super) z: Mat<T, D>,
    /// Memory for B V, BᵀU and one like the latter.
    pub(super) image: Mat<T, D>,
    pub(super) gradient: Mat<T, D>,
    spare: Mat<T, D>,
    /// Which columns of the result these are.
    pub(super) index: Vec<usize>,
    pub(super) scalars: Vec<Scalars>,
}

impl<T: Scalar, D: Backend<T>> Run<T, D> {
    /// From Bᵀr, of k rows, with r below it.
    pub(super) fn start(start: Mat<T, D>, k: usize) -> Result<Self> {
        let (device, (all, q)) = (start.device(), start.shape());
        let mut u = start.rows(k..all).to_owned()?;
        let mut v = start.rows(0..k).to_owned()?;
        let (sizes, gradients) = (norms(u.as_ref())?, norms(v.as_ref())?);
        scale_columns(&inverses::<T>(&sizes), u.as_mut())?;
        scale_columns(&inverses::<T>(&gradients), v.as_mut())?;
        let scalars = sizes.iter().zip(&gradients).map(|(&size, &gradient)| {
            let alpha = gradient / size;
            Scalars { alpha, beta: size, rho: alpha, phi: size, ratio: alpha, going: true }
        });
        Ok(Self {
            image: Mat::scratch(device, all - k, q)?,
            gradient: Mat::scratch(device, k, q)?,
            spare: Mat::scratch(device, k, q)?,
            w: v.try_clone()?,
            z: Mat::zeros(device, k, q)?,
            index: (0..q).collect(),
            scalars: scalars.collect(),
            u,
            v,
        })
    }

    /// `U ← B V − U·diag(α)`, not normalised yet.
    pub(super) fn next_u(&mut self) -> Result<()> {
        let alphas: Vec<f64> = self.scalars.iter().map(|scalars| -scalars.alpha).collect();
        scale_columns(&alphas, self.u.as_mut())?;
        self.u.as_mut().axpby(T::one(), self.image.as_ref(), T::one())
    }

    pub(super) fn set_betas(&mut self, betas: &[f64]) -> Result<()> {
        for (scalars, &beta) in self.scalars.iter_mut().zip(betas).filter(|(s, _)| s.going) {
            scalars.beta = beta;
        }
        let betas: Vec<f64> = self.scalars.iter().map(|scalars| scalars.beta).collect();
        scale_columns(&inverses::<T>(&betas), self.u.as_mut())
    }

    /// `V ← BᵀU − V·diag(β)`, not normalised yet.
    pub(super) fn next_v(&mut self) -> Result<()> {
        let betas: Vec<f64> = self.scalars.iter().map(|scalars| -scalars.beta).collect();
        scale_columns(&betas, self.v.as_mut())?;
        self.v.as_mut().axpby(T::one(), self.gradient.as_ref(), T::one())
    }

    /// Rotates the new column of the bidiagonal matrix, whose norm may be the largest, and updates Z.
    pub(super) fn set_alphas(&mut self, alphas: &[f64], norm: &mut f64) -> Result<()> {
        let q = self.scalars.len();
        let (mut lengths, mut turns) = (vec![0.0; q], vec![0.0; q]);
        for (j, scalars) in self.scalars.iter_mut().enumerate().filter(|(_, s)| s.going) {
            *norm = norm.max(scalars.alpha.hypot(scalars.beta));
            scalars.alpha = alphas[j];
            let rho = scalars.rho.hypot(scalars.beta);
            let (c, s) = (scalars.rho / rho, scalars.beta / rho);
            lengths[j] = c * scalars.phi / rho;
            turns[j] = -s * scalars.alpha / rho;
            scalars.rho = -c * scalars.alpha;
            scalars.phi *= s;
            scalars.ratio = scalars.alpha * c.abs();
        }
        let alphas: Vec<f64> = self.scalars.iter().map(|scalars| scalars.alpha).collect();
        scale_columns(&inverses::<T>(&alphas), self.v.as_mut())?;
        add(self.z.as_mut(), &lengths, self.w.as_ref(), &mut self.spare)?;
        scale_columns(&turns, self.w.as_mut())?;
        self.w.as_mut().axpby(T::one(), self.v.as_ref(), T::one())
    }

    /// Only the columns that go on; what the others have come to is in `steps`.
    pub(super) fn compact(&mut self, steps: &mut Mat<T, D>) -> Result<()> {
        let (stay, leave): (Vec<usize>, Vec<usize>) =
            (0..self.index.len()).partition(|&j| self.scalars[j].going);
        let index: Vec<usize> = leave.iter().map(|&j| self.index[j]).collect();
        scatter(gather(self.z.as_ref(), &leave)?.as_ref(), &index, steps.as_mut())?;
        for x in [
            &mut self.u,
            &mut self.v,
            &mut self.w,
            &mut self.z,
            &mut self.image,
            &mut self.gradient,
            &mut self.spare,
        ] {
            *x = gather(x.as_ref(), &stay)?;
        }
        self.index = stay.iter().map(|&j| self.index[j]).collect();
        self.scalars.retain(|scalars| scalars.going);
        Ok(())
    }
}

pub(super) fn roots(sums: Vec<f64>) -> Vec<f64> {
    sums.into_iter().map(f64::sqrt).collect()
}

/// 1/x where T holds it, else 0.
fn inverses<T: Scalar>(x: &[f64]) -> Vec<f64> {
    let inverse = |x: &f64| if T::from_f64(1.0 / x).is_finite() { 1.0 / x } else { 0.0 };
    x.iter().map(inverse).collect()
}
