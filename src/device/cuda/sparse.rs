//! Products with sparse factors on a GPU, by `cuda/sparse.cu`.
//!
//! As on the CPU, the columns of an operator S are the rows of Sᵀ, and two kernels serve all products:
//! `gather`, a row of C as the sum of rows of a dense B that a list names, and `meet`, the same for
//! sparse B. A list that is stored by the other index is turned first ([`super::sort`]).
//!
//! Lanes lie along the columns of B and C. Where these are not the fast direction, panels of columns
//! are copied by 32×32 tiles: panels that the level-2 cache still holds when they are read, where these
//! have 8 columns; else of [`PANEL_BYTES`], or of 8 columns of very long matrices.

use super::launch::{Module, Shape, View, arg, launch};
use super::{Cuda, CudaScalar, blas, dense, lanes_along_columns, rows, sort};
use crate::device::fit::{fit_columns, fit_product, op_shape};
use crate::{
    Blas, Csr, CsrRef, Device, Mat, MatMut, MatRef, Op, Result, Sketch, SparseKernels, Storage,
};

/// Threads of a block, 32 of a warp.
const THREADS: u32 = 256;
/// Columns of C of a lane of `gather`, and of a warp of `meet`.
const ACROSS: usize = 4;
const WIDTH: usize = 512;
/// The most bytes of a copied panel, and the columns that it has at least: enough for whole sectors of 32
/// bytes, so a copy has the larger of the two. The lists are read once a panel: 12 or 16 bytes for each entry,
/// beside 32 or 64 of B.
const PANEL_BYTES: usize = 128 << 20;
const LEAST_COLUMNS: usize = 8;
/// Warps that a product is cut into at least, when it is large, entries of a lane that are worth a
/// part of a list, and the most that all parts have.
const WARPS: usize = 1 << 12;
const LEAST_PART: usize = 16;
const MOST_SUMS: usize = 1 << 23;

/// A sparse factor by rows, as kernels take it (`Lists` in `cuda/sparse.cu`).
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Lists {
    starts: u64,
    index: u64,
    values: u64,
    zeta: u32,
    first: u32,
    rows: u32,
    unused: u32,
}

/// A sparse factor: its lists, shape, the length of its arrays, and whether it holds signs only.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    lists: Lists,
    shape: (usize, usize),
    entries: usize,
    signs: bool,
}

impl Factor {
    /// The length of its arrays.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// Whether it holds signs only.
    pub(super) fn is_signs(&self) -> bool {
        self.signs
    }

    /// A matrix in compressed rows.
    pub(super) fn stored<T: CudaScalar>(x: CsrRef<'_, T, Cuda>) -> Self {
        let address = |pointer: *const u8| pointer.addr() as u64;
        let lists = Lists {
            starts: address(x.row_ptr().cast()),
            index: address(x.col_idx().cast()),
            values: address(x.values().cast()),
            zeta: 0,
            first: 0,
            rows: 0,
            unused: 0,
        };
        Self { lists, shape: x.shape(), entries: x.entries(), signs: false }
    }

    /// Sᵀ for a window of an operator, `words` being those of its columns.
    pub(super) fn signs(s: &Sketch, words: u64) -> Self {
        let (d, m) = s.shape();
        let (first, rows) = (s.row_range().start as u32, d as u32);
        let zeta = s.nnz() as u32;
        let lists = Lists { starts: 0, index: words, values: 0, zeta, first, rows, unused: 0 };
        Self { lists, shape: (m, d), entries: m * s.nnz(), signs: true }
    }
}

/// `C ← α X B + β C`, B and C dense.
pub(super) fn times_dense<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    x: Factor,
    b: MatRef<'_, T, Cuda>,
    beta: T,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()>
where
    Cuda: Blas<T>,
{
    let (rows, n) = c.shape();
    if alpha == T::zero() || x.entries == 0 || b.is_empty() || c.is_empty() {
        return cuda.scale(beta, c);
    }
    let copies = !lanes_along_columns(b) || !lanes_along_columns(c.as_ref());
    let width = match copies {
        true => panel_width::<T>(panel_bytes(cuda), rows.max(b.nrows()), n),
        false => n,
    };
    for start in (0..n).step_by(width) {
        let panel = start..n.min(start + width);
        let b = b.columns(panel.clone());
        let copy = dense::by_rows(cuda, b)?;
        let b = copy.as_ref().map_or(b, |copy| copy.as_ref().transpose());
        let c = c.as_mut().columns(panel.clone());
        if lanes_along_columns(c.as_ref()) {
            gather(cuda, alpha, x, b, beta, c)?;
        } else {
            let mut sums = Mat::packed(cuda, panel.len(), rows)?;
            gather(cuda, alpha, x, b, T::zero(), sums.as_mut().transpose())?;
            blas::axpby(cuda, T::one(), sums.as_ref().transpose(), beta, c)?;
        }
    }
    Ok(())
}

/// Bytes of a copied panel that should stay in the cache, beside what else passes through it.
pub(super) fn panel_bytes(cuda: &Cuda) -> usize {
    cuda.context().l2_bytes / 2
}

/// Columns of a panel of `rows` rows of a matrix of n ≥ 1 columns: as many as `bytes` hold, or if these are
/// fewer than 8, [`PANEL_BYTES`].
pub(super) fn panel_width<T>(bytes: usize, rows: usize, n: usize) -> usize {
    let fitting = |bytes: usize| bytes.min(PANEL_BYTES) / size_of::<T>() / rows.max(1);
    let width = match fitting(bytes) {
        width if width >= LEAST_COLUMNS => width,
        _ => fitting(PANEL_BYTES),
    };
    (width - width % LEAST_COLUMNS).max(LEAST_COLUMNS).min(n)
}

/// In how many parts, a power of two, lists are taken, by shapes only: `warps` do the work in one, a lane having
/// `entries` of a list.
fn parts(warps: usize, entries: usize, (rows, cols): (usize, usize)) -> usize {
    1 << (WARPS / warps).min(entries / LEAST_PART).min(MOST_SUMS / (rows * cols)).max(1).ilog2()
}

/// Runs a kernel that leaves sums in parts, `(α, β, C of parts·m rows)`, and joins them in C.
pub(super) fn in_parts<T: CudaScalar>(
    cuda: &Cuda,
    parts: usize,
    alpha: T,
    beta: T,
    mut c: MatMut<'_, T, Cuda>,
    run: impl FnOnce(T, T, View) -> Result<()>,
) -> Result<()> {
    if parts == 1 {
        return run(alpha, beta, View::of_mut(&mut c));
    }
    let (rows, cols) = c.shape();
    let mut sums = Mat::<T, Cuda>::packed(cuda, cols, parts * rows)?;
    let partial = View::of_mut(&mut sums.as_mut().transpose());
    run(T::one(), T::zero(), partial)?;
    dense::join(cuda, alpha, partial, (parts as i64, (rows * cols) as i64), false, beta, c)
}

/// How `gather` is laid over C, by shapes only.
pub(super) struct Gather {
    x: Factor,
    rows: usize,
    cols: usize,
    /// Logarithms of the lanes along the columns, and of those that share a list.
    wide: u32,
    split: u32,
    parts: usize,
}

impl Gather {
    /// For a C of this shape.
    pub(super) fn new(x: Factor, (rows, cols): (usize, usize)) -> Self {
        // Eight lanes read whole sectors; more where there are columns for all of them.
        let lanes = if cols <= 8 { cols } else { cols.div_ceil(ACROSS).max(8) };
        let wide = lanes.next_power_of_two().ilog2().min(5);
        let split = (x.entries / rows).max(1).ilog2().min(5 - wide);
        let one = Self { x, rows, cols, wide, split, parts: 1 };
        Self { parts: parts(one.work(), (x.entries / rows) >> split, (rows, cols)), ..one }
    }

    /// Into how many parts lists are cut.
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// Warps that the work is for.
    fn work(&self) -> usize {
        let lines = self.rows * self.parts;
        lines.div_ceil(32 >> (self.wide + self.split)) * self.cols.div_ceil(ACROSS << self.wide)
    }

    /// `C ← α X B + β C`, by the kernel `name` for the types of B and C.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run<T: CudaScalar, S: Storage<Compute = T>>(
        &self,
        cuda: &Cuda,
        module: &Module,
        name: &'static str,
        alpha: T,
        b: MatRef<'_, S, Cuda>,
        beta: T,
        c: MatMut<'_, T, Cuda>,
    ) -> Result<()> {
        in_parts(cuda, self.parts, alpha, beta, c, |alpha, beta, c| {
            self.launch_on(cuda, module, name, alpha, View::of(b), beta, c)
        })
    }

    /// The same for lists in one part, C stored in any type.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn launch<T: CudaScalar, S: Storage<Compute = T>>(
        &self,
        cuda: &Cuda,
        module: &Module,
        name: &'static str,
        alpha: T,
        b: MatRef<'_, S, Cuda>,
        beta: T,
        mut c: MatMut<'_, S, Cuda>,
    ) -> Result<()> {
        assert!(self.parts == 1, "lists in parts");
        self.launch_on(cuda, module, name, alpha, View::of(b), beta, View::of_mut(&mut c))
    }

    #[allow(clippy::too_many_arguments)]
    fn launch_on<T: CudaScalar>(
        &self,
        cuda: &Cuda,
        module: &Module,
        name: &'static str,
        alpha: T,
        b: View,
        beta: T,
        c: View,
    ) -> Result<()> {
        let shape = Shape::over(cuda, self.work(), THREADS as usize / 32, THREADS);
        let (m, n, cuts) = (self.rows as i64, self.cols as i64, self.parts.ilog2());
        let arguments = &mut [
            arg(&alpha),
            arg(&self.x.lists),
            arg(&b),
            arg(&beta),
            arg(&c),
            arg(&m),
            arg(&cuts),
            arg(&n),
            arg(&self.wide),
            arg(&self.split),
        ];
        // SAFETY: the parameters of the kernel; the lists name rows of B and are as many as rows of
        // C, which has that many rows a part.
        unsafe { launch(cuda, module, name, shape, arguments) }
    }
}

fn gather<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    x: Factor,
    b: MatRef<'_, T, Cuda>,
    beta: T,
    c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let name = T::kernel(match x.signs {
        true => ["gather_signs_f32", "gather_signs_f64"],
        false => ["gather_stored_f32", "gather_stored_f64"],
    });
    Gather::new(x, c.shape()).run(cuda, &cuda.gpu.sparse, name, alpha, b, beta, c)
}

/// `C ← α X Y + β C`, X and Y sparse, not both of signs.
pub(super) fn times_sparse<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    x: Factor,
    y: Factor,
    beta: T,
    c: MatMut<'_, T, Cuda>,
) -> Result<()>
where
    Cuda: Blas<T>,
{
    assert!(x.shape.1 == y.shape.0 && c.shape() == (x.shape.0, y.shape.1), "factors do not fit");
    if alpha == T::zero() || x.entries == 0 || y.entries == 0 || c.is_empty() {
        return cuda.scale(beta, c);
    }
    let (rows, cols) = c.shape();
    let work = rows * cols.div_ceil(WIDTH);
    let parts = parts(work, x.entries / rows, (rows, cols));
    let shape = Shape::over(cuda, work * parts, THREADS as usize / 32, THREADS);
    let name = T::kernel(match (x.signs, y.signs) {
        (false, false) => ["stored_meets_stored_f32", "stored_meets_stored_f64"],
        (false, true) => ["stored_meets_signs_f32", "stored_meets_signs_f64"],
        (true, _) => ["signs_meet_stored_f32", "signs_meet_stored_f64"],
    });
    assert!(!(x.signs && y.signs), "a product of two operators");
    let (m, n, cuts) = (rows as i64, cols as i64, parts.ilog2());
    in_parts(cuda, parts, alpha, beta, c, |alpha, beta, c| {
        let arguments = &mut [
            arg(&alpha),
            arg(&x.lists),
            arg(&y.lists),
            arg(&beta),
            arg(&c),
            arg(&m),
            arg(&cuts),
            arg(&n),
        ];
        // SAFETY: the parameters of the kernel; X has the rows of C, which has that many a part, and
        // names rows of Y, whose entries are in columns of C.
        unsafe { launch(cuda, &cuda.gpu.sparse, name, shape, arguments) }
    })
}

/// The number at an address of the GPU. Synchronises.
fn number_at(cuda: &Cuda, address: u64) -> Result<u64> {
    let mut number = [0u64];
    // SAFETY: callers pass the address of a row pointer.
    unsafe { cuda.read(address, &mut number)? };
    Ok(number[0])
}

/// The values between the first and the last row pointer.
fn stored_values<'a, T: CudaScalar>(
    cuda: &Cuda,
    x: CsrRef<'a, T, Cuda>,
) -> Result<MatRef<'a, T, Cuda>> {
    let at = |row: usize| number_at(cuda, x.row_ptr().wrapping_add(row).addr() as u64);
    Ok(x.values_in(at(0)? as usize..at(x.nrows())? as usize))
}

/// Row and column of stored entry `place`, or of one of its row that is not finite either and has a
/// smaller column.
fn place_of_non_finite<T: CudaScalar>(
    cuda: &Cuda,
    x: CsrRef<'_, T, Cuda>,
    place: usize,
) -> Result<(usize, usize)> {
    let buffer = cuda.scratch::<u64>(2)?;
    let lists = Factor::stored(x).lists;
    let (rows, place, out) = (x.nrows() as i64, place as u64, buffer.start());
    let shape = Shape { grid: (1, 1), block: 32, shared: 0 };
    let name = T::kernel(["place_of_non_finite_f32", "place_of_non_finite_f64"]);
    let arguments = &mut [
        arg(&lists.starts),
        arg(&rows),
        arg(&lists.index),
        arg(&lists.values),
        arg(&place),
        arg(&out),
    ];
    // SAFETY: the parameters of the kernel; the entry is one of the window.
    unsafe { launch(cuda, &cuda.gpu.sparse, name, shape, arguments)? };
    let mut found = [0; 2];
    cuda.download(&buffer, &mut found)?;
    Ok((found[0] as usize, found[1] as usize))
}

macro_rules! sparse_kernels {
    ($t:ty) => {
        impl SparseKernels<$t> for Cuda {
            fn stored_values<'a>(&self, x: CsrRef<'a, $t, Self>) -> Result<MatRef<'a, $t, Self>> {
                let _joined = self.join("stored_values", &[("X", x.device())])?;
                stored_values(self, x)
            }

            fn find_non_finite_stored(
                &self,
                x: CsrRef<'_, $t, Self>,
            ) -> Result<Option<(usize, usize)>> {
                let _joined = self.join("find_non_finite_stored", &[("X", x.device())])?;
                let found = super::norms::find_non_finite(self, stored_values(self, x)?)?;
                found.map(|(_, place)| place_of_non_finite(self, x, place)).transpose()
            }

            fn spmm(
                &self,
                alpha: $t,
                x: CsrRef<'_, $t, Self>,
                op: Op,
                b: MatRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_product(op_shape(op, x.shape()), b.shape(), c.shape());
                let _joined =
                    self.join("spmm", &[("X", x.device()), ("B", b.device()), ("C", c.device())])?;
                if alpha == 0.0 || x.entries() == 0 || b.is_empty() || c.is_empty() {
                    return self.scale(beta, c);
                }
                if op == Op::NoTrans {
                    return times_dense(self, alpha, Factor::stored(x), b, beta, c);
                }
                let turned = sort::transposed(self, x)?;
                times_dense(self, alpha, Factor::stored(turned.as_ref()), b, beta, c)
            }

            fn turned(&self, x: CsrRef<'_, $t, Self>) -> Result<Option<Csr<$t, Self>>> {
                let _joined = self.join("turned", &[("X", x.device())])?;
                if x.entries() == 0 { Ok(None) } else { sort::transposed(self, x).map(Some) }
            }

            fn expand(
                &self,
                x: CsrRef<'_, $t, Self>,
                first: usize,
                mut c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_columns(x.shape(), first, c.shape());
                let _joined = self.join("expand", &[("X", x.device()), ("C", c.device())])?;
                self.scale(0.0, c.as_mut())?;
                if x.entries() == 0 || c.is_empty() {
                    return Ok(());
                }
                rows::expand(self, x, first, c)
            }

            fn spspmm(
                &self,
                alpha: $t,
                x: CsrRef<'_, $t, Self>,
                y: CsrRef<'_, $t, Self>,
                beta: $t,
                c: MatMut<'_, $t, Self>,
            ) -> Result<()> {
                fit_product(x.shape(), y.shape(), c.shape());
                let _joined = self
                    .join("spspmm", &[("X", x.device()), ("Y", y.device()), ("C", c.device())])?;
                times_sparse(self, alpha, Factor::stored(x), Factor::stored(y), beta, c)
            }
        }
    };
}

sparse_kernels!(f32);
sparse_kernels!(f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_bounded() {
        for cache in [1 << 19, 25 << 20, 1 << 30] {
            for rows in [0, 1, 7, 1000, 1 << 17, (1 << 20) + 1, 1 << 24, 1 << 40] {
                for n in [1, 5, 8, 31, 128, 1000, 1 << 20] {
                    let width = panel_width::<f64>(cache, rows, n);
                    let bytes = rows.max(1).saturating_mul(8);
                    let limit = match bytes.saturating_mul(8) <= cache {
                        true => cache.min(PANEL_BYTES),
                        false => PANEL_BYTES,
                    };
                    let case = format!("{cache} {rows} {n}");
                    assert!(1 <= width && width <= n, "{case}");
                    assert!(width <= 8 || width * bytes <= limit, "{case}");
                    // No narrower than need be.
                    let full = width >= 8 && (width + 8) * bytes > limit;
                    assert!(width == n || full, "{case}");
                }
            }
        }
    }
}
