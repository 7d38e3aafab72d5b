//! TensorSketch: a sketch of Kronecker products that never forms them.
//!
//! S = d × m₁m₂⋯m_q has one entry ±1 a column, like a CountSketch: with Cᵢ of independent rows hᵢ and
//! signs sᵢ, column (j₁, …, j_q) has ∏ sᵢ(jᵢ) in row Σ hᵢ(jᵢ) mod d. So S(x₁ ⊗ ⋯ ⊗ x_q) is the circular
//! convolution of the Cᵢxᵢ, a product of spectra: F⁻¹(∏ F(Cᵢxᵢ)).
//!
//! Sources: Pham and Pagh, "Fast and scalable polynomial kernels via explicit feature maps", KDD 2013;
//! Avron, Nguyen and Woodruff, "Subspace embeddings for the polynomial kernel", NIPS 2014 (the
//! variance); Ahle et al., "Oblivious sketching of high-degree polynomial kernels", SODA 2020 (why d
//! must grow with 3^q, and what to do about it).

use super::Sketch;
use crate::error::check_shape;
use crate::random::{Stream, words64};
use crate::{AsOperand, Backend, Error, Mat, MatMut, MatRef, Result, Scalar};

/// The most factors of a TensorSketch.
const MOST: usize = 8;

/// A random operator S of d × m₁m₂⋯m_q for columns that are Kronecker products, as plain data.
///
/// It is isotropic, E⟨Sx, Sy⟩ = ⟨x, y⟩ for all x and y, and
///
/// E(⟨Sx, Sy⟩ − ⟨x, y⟩)² ≤ (2 + 3^q)/d ‖x‖²‖y‖².
///
/// For x = x₁ ⊗ ⋯ ⊗ x_q the inner products are ∏⟨xᵢ, yᵢ⟩. The same vector q times over makes features of
/// the polynomial kernel ⟨x, y⟩^q.
///
/// The same value names the same entries on every device; Cᵢ is [`TensorSketch::factor`], columns
/// m₁ + ⋯ + mᵢ₋₁ and on of one CountSketch.
///
/// ```
/// use randnla::{Cpu, Mat, TensorSketch};
/// // The products of all pairs of features of 50 points, 300² of them, in 256 numbers each.
/// let x = Mat::from_fn(&Cpu::new(), 300, 50, |i, j| 1.0 / (1 + i + j) as f64)?;
/// let s = TensorSketch::new(256, &[300, 300], 42)?;
/// assert_eq!(s.apply(&[&x, &x])?.shape(), (256, 50));
/// # Ok::<(), randnla::Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorSketch {
    d: u64,
    seed: u64,
    factors: u64,
    /// m₁, …, m_q, then zeros.
    lengths: [u64; MOST],
}

impl TensorSketch {
    /// The operator for products of vectors of these lengths.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there are 1 to 8 factors; when d ≥ 2³¹, or the lengths add up
    /// to 2⁶⁴ or more.
    pub fn new(d: usize, lengths: &[usize], seed: u64) -> Result<Self> {
        let op = "TensorSketch::new";
        if lengths.is_empty() || lengths.len() > MOST {
            return Err(Error::invalid(op, "lengths.len()", lengths.len(), format!("1 to {MOST}")));
        }
        let total = lengths.iter().try_fold(0usize, |sum, &m| sum.checked_add(m));
        let Some(total) = total else {
            let allowed = "a sum below 2^64";
            return Err(Error::invalid(op, "lengths", format!("{lengths:?}"), allowed));
        };
        Sketch::count_sketch(d, total, seed)?;
        let mut s = Self { d: d as u64, seed, factors: lengths.len() as u64, lengths: [0; MOST] };
        s.lengths.iter_mut().zip(lengths).for_each(|(to, &m)| *to = m as u64);
        Ok(s)
    }

    /// The number of rows, d.
    pub fn nrows(&self) -> usize {
        self.d as usize
    }

    /// The number of factors, q.
    pub fn factors(&self) -> usize {
        self.factors as usize
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The CountSketch Cᵢ, d × mᵢ, of factor i, counted from 0.
    ///
    /// # Panics
    /// When there is no such factor, as indexing does.
    pub fn factor(&self, i: usize) -> Sketch {
        let lengths = &self.lengths[..self.factors()];
        let start = lengths[..i].iter().sum::<u64>() as usize;
        let total = lengths.iter().sum::<u64>() as usize;
        let [key, _] = words64(self.seed, Stream::TensorSketch, 0, 0);
        let all = Sketch::count_sketch(self.nrows(), total, key).expect("checked by `new`");
        all.columns(start..start + lengths[i] as usize)
    }

    /// S·(A₁ ⊙ A₂ ⊙ ⋯): column j is the sketch of the Kronecker product of all columns j.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless Aᵢ is mᵢ×n; [`Error::InvalidArgument`] unless there are q
    /// factors; [`Error::OutOfMemory`].
    pub fn apply<T: Scalar, D: Backend<T>>(&self, a: &[impl AsOperand<T, D>]) -> Result<Mat<T, D>> {
        self.check_number("TensorSketch::apply", a.len())?;
        let first = a[0].as_operand();
        let mut c = Mat::scratch(first.device(), self.nrows(), first.shape().1)?;
        self.apply_into(T::one(), a, T::zero(), c.as_mut())?;
        Ok(c)
    }

    /// `C ← α S·(A₁ ⊙ A₂ ⊙ ⋯) + β C`.
    ///
    /// # Errors
    /// As [`TensorSketch::apply`], and [`Error::DeviceMismatch`]; C is then untouched.
    ///
    /// # Cost
    /// O(Σ nnz(Aᵢ) + q n d log d) flops, and memory for the q matrices CᵢAᵢ.
    ///
    /// # Accuracy
    /// ‖ĉ − c‖₂ ≤ κ u log₂(2qd) Σᵢ ‖gᵢ‖₂ ∏ₖ≠ᵢ ‖gₖ‖₁ a column, for gᵢ = Cᵢaᵢ and κ of some units; entries
    /// that are small beside their column are not accurate by themselves.
    pub fn apply_into<T: Scalar, D: Backend<T>>(
        &self,
        alpha: T,
        a: &[impl AsOperand<T, D>],
        beta: T,
        mut c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let op = "TensorSketch::apply_into";
        self.check_number(op, a.len())?;
        let (device, n) = (c.device(), c.ncols());
        check_shape(op, "C", c.shape(), (self.nrows(), n))?;
        for (a, &m) in a.iter().zip(&self.lengths) {
            let a = a.as_operand();
            check_shape(op, "A", a.shape(), (m as usize, n))?;
            if !device.is_compatible(a.device()) {
                return Err(Error::DeviceMismatch { op, argument: "A" });
            }
        }
        if c.is_empty() {
            return Ok(());
        }
        if alpha == T::zero() {
            return device.scale(beta, c);
        }
        if let [a] = a {
            return self.factor(0).apply_into(alpha, a, beta, c);
        }
        let by_rows = c.row_stride().unsigned_abs() > c.col_stride().unsigned_abs();
        let sketch = |(i, a): (usize, _)| {
            let (d, s) = (self.nrows(), self.factor(i));
            let mut g = match by_rows {
                true => Mat::scratch(device, n, d)?.into_transposed(),
                false => Mat::scratch(device, d, n)?,
            };
            s.apply_into(T::one(), a, T::zero(), g.as_mut())?;
            Ok(g)
        };
        let sketched = a.iter().enumerate().map(sketch).collect::<Result<Vec<_>>>()?;
        let views: Vec<MatRef<'_, T, D>> = sketched.iter().map(Mat::as_ref).collect();
        device.convolve(alpha, &views, beta, c.as_mut())
    }

    /// The operator as a dense matrix: columns in the order of x₁ ⊗ ⋯ ⊗ x_q, the last factor's index
    /// running fastest. For small sizes; made on the host.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn to_mat<T: Scalar, D: Backend<T>>(&self, device: &D) -> Result<Mat<T, D>> {
        let d = self.nrows();
        let lengths = self.lengths[..self.factors()].iter().map(|&m| m as usize);
        let entries = lengths.fold(d.max(1), usize::saturating_mul);
        if entries.saturating_mul(size_of::<T>()) > isize::MAX as usize {
            return Err(Error::OutOfMemory { bytes: entries.saturating_mul(size_of::<T>()) });
        }
        // Row and sign of the columns of the factors so far.
        let mut columns = vec![(0, false)];
        for i in 0..self.factors() {
            let s = self.factor(i);
            let words = match d {
                0 => crate::device::try_vec(0, s.ncols())?,
                _ => device.download_indices(&device.indices(&s)?)?,
            };
            let room = columns.len().saturating_mul(words.len());
            let mut longer = Vec::new();
            longer.try_reserve_exact(room).map_err(|_| Error::OutOfMemory { bytes: room })?;
            for &(row, negative) in &columns {
                longer.extend(words.iter().map(|&word| {
                    let row = row + (word >> 1) as usize;
                    (if row < d { row } else { row - d.min(row) }, negative ^ (word & 1 == 1))
                }));
            }
            columns = longer;
        }
        let mut entries = crate::device::try_vec(T::zero(), d.saturating_mul(columns.len()))?;
        for (column, &(row, negative)) in entries.chunks_exact_mut(d.max(1)).zip(&columns) {
            column[row] = if negative { -T::one() } else { T::one() };
        }
        Mat::from_column_major(device, &entries, d, columns.len())
    }

    fn check_number(&self, op: &'static str, got: usize) -> Result<()> {
        if got == self.factors() {
            return Ok(());
        }
        Err(Error::invalid(op, "a.len()", got, format!("{}, the number of factors", self.factors)))
    }
}
