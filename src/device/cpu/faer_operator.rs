//! faer's matrix-free operators as ours.

use super::Cpu;
use super::blas::CpuScalar;
use crate::error::check_shape;
use crate::{LinearOperator, MatMut, MatRef, Result};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::matrix_free::BiLinOp;

/// A faer operator, for [`rsvd`](crate::decomp::rsvd()) and [`qb`](crate::decomp::qb()).
///
/// Its norm is unknown to us, so errors come from probes. Scratch memory is allocated at each
/// application, as large as the operator asks for. Whether results are the same bits for any number
/// of threads is up to the operator; with one thread they are.
#[derive(Debug)]
pub struct FaerOperator<'a, T> {
    operator: &'a dyn BiLinOp<T>,
    cpu: Cpu,
}

impl<'a, T> FaerOperator<'a, T> {
    /// Wraps an operator, which will use the threads of `cpu`.
    pub fn new(cpu: &Cpu, operator: &'a dyn BiLinOp<T>) -> Self {
        Self { operator, cpu: cpu.clone() }
    }
}

/// Operators decide themselves how small work is.
const WORK: u64 = u64::MAX;

impl<T: CpuScalar> LinearOperator<T, Cpu> for FaerOperator<'_, T> {
    fn shape(&self) -> (usize, usize) {
        (self.operator.nrows(), self.operator.ncols())
    }

    fn device(&self) -> &Cpu {
        &self.cpu
    }

    fn apply(&self, x: MatRef<'_, T>, y: MatMut<'_, T>) -> Result<()> {
        let (rows, cols) = self.shape();
        check_shape("FaerOperator::apply", "X", x.shape(), (cols, x.ncols()))?;
        check_shape("FaerOperator::apply", "Y", y.shape(), (rows, x.ncols()))?;
        self.cpu.with_par(WORK, |par| {
            let mut memory = MemBuffer::new(self.operator.apply_scratch(x.ncols(), par));
            self.operator.apply(y.into(), x.into(), par, MemStack::new(&mut memory));
        });
        Ok(())
    }

    fn apply_adjoint(&self, x: MatRef<'_, T>, y: MatMut<'_, T>) -> Result<()> {
        let (rows, cols) = self.shape();
        check_shape("FaerOperator::apply_adjoint", "X", x.shape(), (rows, x.ncols()))?;
        check_shape("FaerOperator::apply_adjoint", "Y", y.shape(), (cols, x.ncols()))?;
        self.cpu.with_par(WORK, |par| {
            let mut memory = MemBuffer::new(self.operator.transpose_apply_scratch(x.ncols(), par));
            self.operator.adjoint_apply(y.into(), x.into(), par, MemStack::new(&mut memory));
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decomp::{ErrorKind, RsvdParams, rsvd};

    #[test]
    fn a_faer_operator_is_decomposed() {
        let cpu = Cpu::with_threads(2).unwrap();
        let a = faer::Mat::<f64>::from_fn(40, 30, |i, j| 1.0 / (1 + i + j) as f64);
        let operator = FaerOperator::new(&cpu, &a);
        let svd = rsvd(&operator, RsvdParams::rank(5).seed(3)).unwrap();
        let difference = svd.reconstruct().unwrap().to_faer() - &a;
        assert!(difference.norm_l2() < 1e-3 * a.norm_l2());
        assert!(matches!(svd.error.kind, ErrorKind::Estimate { .. }));
        let ratio = svd.error.absolute / difference.norm_l2();
        // 20 probes of an error of about one direction: χ²₂₀/20 leaves (0.1, 4) with p < 1e-6.
        assert!((0.3..2.0).contains(&ratio), "{ratio}");
    }
}
