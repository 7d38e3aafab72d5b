//! Matrices stored in halves on a GPU.
//!
//! | file | what |
//! |---|---|
//! | `dense` | dense operators: fused products on tensor cores for few columns, panels next to cuBLAS |
//! | `sparse` | products with sparse factors and BlockPerm-SJLT that read halves |
//!
//! Transforms, and what is sparse on both sides, widen: a panel of [`crate::device`] stays in the L2
//! cache, so memory is met by halves.

mod dense;
mod sparse;

use super::blas::{self, VECTOR, is_aligned};
use super::cublas::HalfProducts;
use super::launch::{Shape, View, arg, launch};
use super::sparse::{Factor, Scatter};
use super::{Cuda, block_perm, rows_are_fast, sort};
use crate::device::fit::{fit, fit_family, fit_product, op_shape};
use crate::{
    CsrRef, Family, Half, HalfKernels, MatMut, MatRef, Op, Result, Sketch, Storage, StorageKernels,
};
use half::{bf16, f16};

/// Threads of a block in `cuda/half.cu`.
const THREADS: u32 = 256;

/// A half of kernels: which of two instantiations is launched.
trait CudaHalf: Half + HalfProducts {
    /// The kernel for this type of the names for `f16` and `bf16`.
    fn kernel(names: [&'static str; 2]) -> &'static str;
}

impl CudaHalf for f16 {
    fn kernel([f16, _]: [&'static str; 2]) -> &'static str {
        f16
    }
}

impl CudaHalf for bf16 {
    fn kernel([_, bf16]: [&'static str; 2]) -> &'static str {
        bf16
    }
}

/// `B ← α A + β B` by `names`: kernels for A fast along the rows of B, and across.
fn convert<A: Storage, B: Storage>(
    cuda: &Cuda,
    names: [&'static str; 2],
    alpha: f32,
    a: MatRef<'_, A, Cuda>,
    beta: f32,
    b: MatMut<'_, B, Cuda>,
) -> Result<()> {
    if b.is_empty() {
        return Ok(());
    }
    let turned = !rows_are_fast(b.as_ref());
    let (a, mut b) = if turned { (a.transpose(), b.transpose()) } else { (a, b) };
    let (rows, cols) = b.shape();
    let along = alpha == 0.0 || rows_are_fast(a) || rows.min(cols) == 1;
    let vector = u32::from(is_aligned(b.as_ref()) && (alpha == 0.0 || is_aligned(a)));
    let (from, to, m, n) = (View::of(a), View::of_mut(&mut b), rows as i64, cols as i64);
    if !along {
        let shape = Shape::over(cuda, rows.div_ceil(32) * cols.div_ceil(32), 1, THREADS);
        let arguments = &mut [arg(&alpha), arg(&from), arg(&beta), arg(&to), arg(&m), arg(&n)];
        // SAFETY: the parameters of the kernel; both views have m×n entries of its types.
        return unsafe { launch(cuda, &cuda.gpu.half, names[1], shape, arguments) };
    }
    let lanes =
        if vector == 1 { rows.div_ceil(VECTOR / size_of::<A>().max(size_of::<B>())) } else { rows };
    let (shape, row_bits) = blas::grid(cuda, lanes, cols);
    let arguments = &mut [
        arg(&alpha),
        arg(&from),
        arg(&beta),
        arg(&to),
        arg(&m),
        arg(&n),
        arg(&row_bits),
        arg(&vector),
    ];
    // SAFETY: as above; with α = 0 the kernel does not read A.
    unsafe { launch(cuda, &cuda.gpu.half, names[0], shape, arguments) }
}

fn copy<H: CudaHalf>(cuda: &Cuda, a: MatRef<'_, H, Cuda>, b: MatMut<'_, H, Cuda>) -> Result<()> {
    let along = H::kernel(["move_f16_f16", "move_bf16_bf16"]);
    let across = H::kernel(["turn_f16_f16", "turn_bf16_bf16"]);
    convert(cuda, [along, across], 1.0, a, 0.0, b)
}

fn widen<H: CudaHalf>(cuda: &Cuda, a: MatRef<'_, H, Cuda>, b: MatMut<'_, f32, Cuda>) -> Result<()> {
    let along = H::kernel(["move_f16_f32", "move_bf16_f32"]);
    let across = H::kernel(["turn_f16_f32", "turn_bf16_f32"]);
    convert(cuda, [along, across], 1.0, a, 0.0, b)
}

/// `C ← round(α X + β C)`.
fn narrow<H: CudaHalf>(
    cuda: &Cuda,
    alpha: f32,
    x: MatRef<'_, f32, Cuda>,
    beta: f32,
    c: MatMut<'_, H, Cuda>,
) -> Result<()> {
    if alpha == 0.0 {
        return rescale(cuda, beta, c);
    }
    let along = H::kernel(["move_f32_f16", "move_f32_bf16"]);
    let across = H::kernel(["turn_f32_f16", "turn_f32_bf16"]);
    convert(cuda, [along, across], alpha, x, beta, c)
}

fn rescale<H: CudaHalf>(cuda: &Cuda, beta: f32, mut c: MatMut<'_, H, Cuda>) -> Result<()> {
    if beta == 1.0 {
        return Ok(());
    }
    let along = H::kernel(["move_f16_f16", "move_bf16_bf16"]);
    let c = if rows_are_fast(c.as_ref()) { c.as_mut() } else { c.transpose() };
    let (device, shape, strides) = (c.device(), c.shape(), (c.row_stride(), c.col_stride()));
    // SAFETY: the kernel does not read it, since α = 0.
    let unread = unsafe {
        MatRef::<H, Cuda>::from_parts_unchecked(device, c.as_ref().as_ptr(), shape, strides)
    };
    convert(cuda, [along; 2], 0.0, unread, beta, c)
}

macro_rules! half_kernels {
    ($h:ty) => {
        impl StorageKernels<$h> for Cuda {
            fn copy(&self, a: MatRef<'_, $h, Self>, b: MatMut<'_, $h, Self>) -> Result<()> {
                fit(a.shape(), b.shape());
                let _joined = self.join("copy", &[("A", a.device()), ("B", b.device())])?;
                copy(self, a, b)
            }

            fn rescale(&self, beta: f32, c: MatMut<'_, $h, Self>) -> Result<()> {
                let _joined = self.join("rescale", &[("C", c.device())])?;
                rescale(self, beta, c)
            }
        }

        impl HalfKernels<$h> for Cuda {
            fn widen(&self, a: MatRef<'_, $h, Self>, b: MatMut<'_, f32, Self>) -> Result<()> {
                fit(a.shape(), b.shape());
                let _joined = self.join("widen", &[("A", a.device()), ("B", b.device())])?;
                widen(self, a, b)
            }

            fn narrow(
                &self,
                alpha: f32,
                x: MatRef<'_, f32, Self>,
                beta: f32,
                c: MatMut<'_, $h, Self>,
            ) -> Result<()> {
                fit(x.shape(), c.shape());
                let _joined = self.join("narrow", &[("X", x.device()), ("C", c.device())])?;
                narrow(self, alpha, x, beta, c)
            }

            fn panel_times_half(
                &self,
                s: &Sketch,
                op: Op,
                a: MatRef<'_, $h, Self>,
                beta: f32,
                x: MatMut<'_, f32, Self>,
            ) -> Result<()> {
                fit_family(s, s.family().is_dense());
                fit_product(op_shape(op, s.shape()), a.shape(), x.shape());
                let _joined =
                    self.join("panel_times_half", &[("A", a.device()), ("X", x.device())])?;
                dense::panel_times(self, s, op, a, beta, x)
            }

            fn fill_times_half(
                &self,
                s: &Sketch,
                op: Op,
                alpha: f32,
                a: MatRef<'_, $h, Self>,
                beta: f32,
                c: MatMut<'_, $h, Self>,
            ) -> Result<()> {
                fit_family(s, s.family().is_dense());
                fit_product(op_shape(op, s.shape()), a.shape(), c.shape());
                let _joined =
                    self.join("fill_times_half", &[("A", a.device()), ("C", c.device())])?;
                dense::fill_times(self, s, op, alpha, a, beta, c)
            }

            fn sparse_times_half(
                &self,
                s: &Sketch,
                indices: &Self::Indices,
                op: Op,
                alpha: f32,
                a: MatRef<'_, $h, Self>,
                beta: f32,
                c: MatMut<'_, $h, Self>,
            ) -> Result<()> {
                fit_family(s, s.family().is_column_sparse());
                fit_product(op_shape(op, s.shape()), a.shape(), c.shape());
                let words = indices.window(s);
                let _joined = self.join(
                    "sparse_times_half",
                    &[("indices", indices.device()), ("A", a.device()), ("C", c.device())],
                )?;
                let alpha = crate::device::scaled(alpha, s);
                if op == Op::Trans {
                    return sparse::times_dense(self, alpha, Factor::signs(s, words), a, beta, c);
                }
                if let Some(scatter) = Scatter::new(s, words, a.ncols()) {
                    return sparse::through_sums(self, alpha, beta, c, |sums| {
                        sparse::scatter(self, &scatter, a, 0.0, sums)
                    });
                }
                let rows = sort::operator_by_rows::<f32>(self, s, words, 1.0)?;
                sparse::times_dense(self, alpha, Factor::stored(rows.as_ref()), a, beta, c)
            }

            fn sparse_sums_half(
                &self,
                s: &Sketch,
                indices: &Self::Indices,
                a: MatRef<'_, $h, Self>,
                beta: f32,
                x: MatMut<'_, f32, Self>,
            ) -> Result<()> {
                fit_family(s, s.family().is_column_sparse());
                fit_product(s.shape(), a.shape(), x.shape());
                let words = indices.window(s);
                let _joined = self.join(
                    "sparse_sums_half",
                    &[("indices", indices.device()), ("A", a.device()), ("X", x.device())],
                )?;
                if let Some(scatter) = Scatter::new(s, words, a.ncols()) {
                    return sparse::scatter(self, &scatter, a, beta, x);
                }
                let rows = sort::operator_by_rows::<f32>(self, s, words, 1.0)?;
                sparse::sums(self, Factor::stored(rows.as_ref()), a, beta, x)
            }

            fn block_perm_times_half(
                &self,
                s: &Sketch,
                alpha: f32,
                a: MatRef<'_, $h, Self>,
                beta: f32,
                mut c: MatMut<'_, $h, Self>,
            ) -> Result<()> {
                fit_family(s, s.family() == Family::BlockPermSjlt);
                fit_product(s.shape(), a.shape(), c.shape());
                let _joined =
                    self.join("block_perm_times_half", &[("A", a.device()), ("C", c.device())])?;
                let names = [
                    <$h>::kernel(["block_perm_rows_f16", "block_perm_rows_bf16"]),
                    <$h>::kernel(["block_perm_cols_f16", "block_perm_cols_bf16"]),
                ];
                let (n, alpha) = (a.ncols(), crate::device::scaled(alpha, s));
                // Sums of `f32` for a panel of C; whole tiles of the kernel.
                let width =
                    (block_perm::SUMS_OF_A_PANEL / s.nrows().max(1)).next_multiple_of(32).max(32);
                for start in (0..n).step_by(width) {
                    let panel = start..n.min(start + width);
                    let (a, c) = (a.columns(panel.clone()), c.as_mut().columns(panel));
                    sparse::through_sums(self, alpha, beta, c, |sums| {
                        block_perm::times(self, names, s, 1.0, a, 0.0, sums)
                    })?;
                }
                Ok(())
            }

            fn spmm_half(
                &self,
                alpha: f32,
                x: CsrRef<'_, f32, Self>,
                b: MatRef<'_, $h, Self>,
                beta: f32,
                c: MatMut<'_, $h, Self>,
            ) -> Result<()> {
                fit_product(x.shape(), b.shape(), c.shape());
                let _joined = self.join(
                    "spmm_half",
                    &[("X", x.device()), ("B", b.device()), ("C", c.device())],
                )?;
                sparse::times_dense(self, alpha, Factor::stored(x), b, beta, c)
            }
        }
    };
}

half_kernels!(f16);
half_kernels!(bf16);
