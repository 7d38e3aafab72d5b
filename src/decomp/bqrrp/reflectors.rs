//! Q as a product of blocks of Householder reflectors.

use crate::error::check_shape;
use crate::{Backend, Cpu, Device, Mat, MatMut, MatRef, Result, Scalar};

/// Q (m×k, orthonormal columns) as H₁·H₂·…·\[D; 0\], Hᵢ = I − VᵢTᵢVᵢᵀ, D a diagonal of signs: the compact WY form
/// (Schreiber and Van Loan 1989) of LAPACK's `geqrt`.
///
/// Products cost 4mk flops a column; Q itself, by [`Reflectors::to_mat`], 4mk² − 4k³/3.
#[derive(Debug)]
pub struct Reflectors<T: Scalar, D: Device = Cpu> {
    /// Block i in columns `starts[i]..`, its rows from `starts[i]` on; what lies above is not read.
    v: Mat<T, D>,
    t: Vec<Mat<T, D>>,
    /// Where blocks start, and k.
    starts: Vec<usize>,
    signs: Vec<T>,
}

impl<T: Scalar, D: Backend<T>> Reflectors<T, D> {
    /// From V with its columns to spare.
    pub(super) fn new(v: Mat<T, D>, t: Vec<Mat<T, D>>, starts: Vec<usize>, signs: Vec<T>) -> Self {
        Self { v: v.truncate_columns(signs.len()), t, starts, signs }
    }

    /// m and k: the shape of Q.
    pub fn shape(&self) -> (usize, usize) {
        self.v.shape()
    }

    /// The number of blocks Hᵢ.
    pub fn blocks(&self) -> usize {
        self.t.len()
    }

    /// Block i: the row at which it starts, V ((m − start)×b, unit lower trapezoidal, zeros stored) and
    /// T (b×b, upper triangular).
    ///
    /// # Panics
    /// When there is no such block, as indexing does.
    pub fn block(&self, i: usize) -> (usize, MatRef<'_, T, D>, MatRef<'_, T, D>) {
        let (start, end) = (self.starts[i], self.starts[i + 1]);
        let v = self.v.columns(start..end).rows(start..self.v.nrows());
        (start, v, self.t[i].as_ref())
    }

    /// The diagonal of D: ±1.
    pub fn signs(&self) -> &[T] {
        &self.signs
    }

    fn products(&self, columns: usize) -> Result<Products<T, D>> {
        let widest = self.t.iter().map(Mat::ncols).max().unwrap_or(0);
        Products::new(self.v.device(), widest, columns)
    }

    /// Q·X, m×c for X k×c.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch), [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn apply(&self, x: MatRef<'_, T, D>) -> Result<Mat<T, D>> {
        let (m, k) = self.shape();
        check_shape("Reflectors::apply", "x", x.shape(), (k, x.ncols()))?;
        let device = self.v.device();
        let mut y = Mat::zeros(device, m, x.ncols())?;
        device.axpby(T::one(), x, T::zero(), y.as_mut().rows(0..k))?;
        device.scale_columns(&self.signs, y.as_mut().rows(0..k).transpose())?;
        let mut products = self.products(x.ncols())?;
        for i in (0..self.blocks()).rev() {
            let (start, v, t) = self.block(i);
            products.reflect(v, t, y.as_mut().rows(start..m))?;
        }
        Ok(y)
    }

    /// Qᵀ·Y, k×c for Y m×c.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch), [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn apply_adjoint(&self, y: MatRef<'_, T, D>) -> Result<Mat<T, D>> {
        let (m, k) = self.shape();
        check_shape("Reflectors::apply_adjoint", "y", y.shape(), (m, y.ncols()))?;
        let device = self.v.device();
        let mut w = y.to_owned()?;
        let mut products = self.products(y.ncols())?;
        for i in 0..self.blocks() {
            let (start, v, t) = self.block(i);
            products.reflect(v, t.transpose(), w.as_mut().rows(start..m))?;
        }
        let mut x = Mat::scratch(device, k, y.ncols())?;
        device.axpby(T::one(), w.rows(0..k), T::zero(), x.as_mut())?;
        device.scale_columns(&self.signs, x.as_mut().transpose())?;
        Ok(x)
    }

    /// Q itself.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn to_mat(&self) -> Result<Mat<T, D>> {
        let (m, k) = self.shape();
        let device = self.v.device();
        let mut q = Mat::zeros(device, m, k)?;
        let mut products = self.products(k)?;
        for i in (0..self.blocks()).rev() {
            let (start, v, t) = self.block(i);
            let end = self.starts[i + 1];
            // Columns before are unit vectors still, and zero below their own row.
            let diagonal = Mat::identity(device, end - start)?;
            let mut own = q.as_mut().columns(start..k).rows(start..m);
            let corner = own.as_mut().columns(0..end - start).rows(0..end - start);
            device.axpby(T::one(), diagonal.as_ref(), T::zero(), corner)?;
            products.reflect(v, t, own)?;
        }
        device.scale_columns(&self.signs, q.as_mut())?;
        Ok(q)
    }
}

/// Memory for the products of a block of reflectors: a matrix of the system's is a page fault every 4 KiB, each
/// time anew.
pub(super) struct Products<T: Scalar, D: Device>([Mat<T, D>; 2]);

impl<T: Scalar, D: Backend<T>> Products<T, D> {
    /// For blocks of up to `b` reflectors and `n` columns.
    pub(super) fn new(device: &D, b: usize, n: usize) -> Result<Self> {
        Ok(Self([Mat::scratch(device, b, n)?, Mat::scratch(device, b, n)?]))
    }

    /// T Vᵀ C.
    pub(super) fn of(
        &mut self,
        v: MatRef<'_, T, D>,
        t: MatRef<'_, T, D>,
        c: MatRef<'_, T, D>,
    ) -> Result<MatRef<'_, T, D>> {
        let device = v.device();
        let (b, n) = (v.ncols(), c.ncols());
        let [first, second] = &mut self.0;
        let mut product = first.as_mut().rows(0..b).columns(0..n);
        device.gemm(T::one(), v.transpose(), c, T::zero(), product.as_mut())?;
        let to = second.as_mut().rows(0..b).columns(0..n);
        device.gemm(T::one(), t, product.as_ref(), T::zero(), to)?;
        Ok(second.rows(0..b).columns(0..n))
    }

    /// `C ← C − V T Vᵀ C`.
    fn reflect(
        &mut self,
        v: MatRef<'_, T, D>,
        t: MatRef<'_, T, D>,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let w = self.of(v, t, c.as_ref())?;
        v.device().gemm(-T::one(), v, w, T::one(), c)
    }
}
