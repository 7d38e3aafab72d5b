//! What a sketch can be applied to: dense, CSR or CSC.

use crate::{Cpu, Csc, CscRef, Csr, CsrRef, Device, Mat, MatMut, MatRef, Storage};

/// A readable matrix in one of the formats that operators and algorithms take.
pub enum Operand<'a, T: Storage, D: Device = Cpu> {
    /// Dense, any strides.
    Dense(MatRef<'a, T, D>),
    /// Compressed sparse rows.
    Csr(CsrRef<'a, T, D>),
    /// Compressed sparse columns.
    Csc(CscRef<'a, T, D>),
}

impl<T: Storage, D: Device> Clone for Operand<'_, T, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Storage, D: Device> Copy for Operand<'_, T, D> {}

impl<'a, T: Storage, D: Device> Operand<'a, T, D> {
    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        match self {
            Self::Dense(a) => a.shape(),
            Self::Csr(a) => a.shape(),
            Self::Csc(a) => a.shape(),
        }
    }

    /// The device of the memory.
    pub fn device(&self) -> &'a D {
        match self {
            Self::Dense(a) => a.device(),
            Self::Csr(a) => a.device(),
            Self::Csc(a) => a.device(),
        }
    }

    /// The transposed matrix, the same memory.
    pub fn transpose(self) -> Self {
        match self {
            Self::Dense(a) => Self::Dense(a.transpose()),
            Self::Csr(a) => Self::Csc(a.transpose()),
            Self::Csc(a) => Self::Csr(a.transpose()),
        }
    }
}

/// What can be read as an [`Operand`]: [`Mat`], [`MatRef`], [`MatMut`], [`Csr`], [`CsrRef`],
/// [`Csc`], [`CscRef`], and references to them.
pub trait AsOperand<T: Storage, D: Device = Cpu> {
    /// The view of the whole matrix.
    fn as_operand(&self) -> Operand<'_, T, D>;
}

impl<T: Storage, D: Device> AsOperand<T, D> for Operand<'_, T, D> {
    fn as_operand(&self) -> Operand<'_, T, D> {
        *self
    }
}

impl<T: Storage, D: Device> AsOperand<T, D> for Mat<T, D> {
    fn as_operand(&self) -> Operand<'_, T, D> {
        Operand::Dense(self.as_ref())
    }
}

impl<T: Storage, D: Device> AsOperand<T, D> for MatRef<'_, T, D> {
    fn as_operand(&self) -> Operand<'_, T, D> {
        Operand::Dense(*self)
    }
}

impl<T: Storage, D: Device> AsOperand<T, D> for MatMut<'_, T, D> {
    fn as_operand(&self) -> Operand<'_, T, D> {
        Operand::Dense(self.as_ref())
    }
}

impl<T: Storage, D: Device> AsOperand<T, D> for Csr<T, D> {
    fn as_operand(&self) -> Operand<'_, T, D> {
        Operand::Csr(self.as_ref())
    }
}

impl<T: Storage, D: Device> AsOperand<T, D> for CsrRef<'_, T, D> {
    fn as_operand(&self) -> Operand<'_, T, D> {
        Operand::Csr(*self)
    }
}

impl<T: Storage, D: Device> AsOperand<T, D> for Csc<T, D> {
    fn as_operand(&self) -> Operand<'_, T, D> {
        Operand::Csc(self.as_ref())
    }
}

impl<T: Storage, D: Device> AsOperand<T, D> for CscRef<'_, T, D> {
    fn as_operand(&self) -> Operand<'_, T, D> {
        Operand::Csc(*self)
    }
}

impl<T: Storage, D: Device, A: AsOperand<T, D> + ?Sized> AsOperand<T, D> for &A {
    fn as_operand(&self) -> Operand<'_, T, D> {
        (**self).as_operand()
    }
}
