//! BlockPerm-SJLT on a GPU, by `cuda/block_perm.cu`.
//!
//! The product with a dense matrix makes positions in registers and sums a slice of C in the shared
//! memory of one warp: slices of 64 rows of a block, and panels of columns of 128 bytes. Where that
//! is not enough work, blocks of rows of A are cut into parts with sums of their own, which are joined
//! in order. A and C by rows or by columns are met where they are; other strides are copied by panels.

use super::launch::{Shape, View, arg, launch};
use super::permutation::Network;
use super::sparse::in_parts;
use super::{Cuda, CudaBuffer, CudaScalar, blas};
use crate::random::Stream;
use crate::{Device, Mat, MatMut, MatRef, Result, Sketch, Storage, StorageKernels};

/// Threads of a block of the kernels that write tables.
const THREADS: u32 = 256;
/// Warps of a block, rows of a slice, rows of A that a warp takes at once and how many of them side by
/// side, bytes of a row of sums, 16 of which are a piece: as in `cuda/block_perm.cuh`.
const WARPS: usize = 2;
const SLICE: usize = 64;
const TILE: usize = 32;
const COPIES: usize = 4;
const ROW_BYTES: usize = 128;
const PIECE_BYTES: usize = 16;
/// Warps that a product is cut into at least, when it is large enough.
const ENOUGH: usize = 1 << 11;
/// Parts are worth their sums where these are at most so many times fewer than the entries of A.
const SUMS_A_PART: usize = 8;
/// Entries of all sums, and of a copied panel.
const MOST_SUMS: usize = 1 << 23;
const PANEL_LEN: usize = 1 << 24;
/// Entries of C that are summed up at once where it is stored in halves.
pub(super) const SUMS_OF_A_PANEL: usize = 1 << 22;

/// An operator and its window as kernels take them (`BlockPerm` in `cuda/block_perm.cuh`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Operator {
    seed: u64,
    short_columns: u64,
    longer_columns: u32,
    short_rows: u32,
    longer_rows: u32,
    blocks: u32,
    wirings: u32,
    nnz: u32,
    stream: u32,
    first_row: u32,
    rows: u32,
    unused: u32,
    first_column: u64,
    columns: i64,
}

impl Operator {
    fn new(s: &Sketch) -> Self {
        let ((d, m), blocks) = (s.full_shape(), s.blocks());
        Self {
            seed: s.seed(),
            short_columns: (m / blocks) as u64,
            longer_columns: (m % blocks) as u32,
            short_rows: (d / blocks) as u32,
            longer_rows: (d % blocks) as u32,
            blocks: blocks as u32,
            wirings: s.wirings() as u32,
            nnz: (s.nnz() / s.wirings()) as u32,
            stream: Stream::BlockPermEntries.number(),
            first_row: s.row_range().start as u32,
            rows: s.nrows() as u32,
            unused: 0,
            first_column: s.col_range().start as u64,
            columns: s.ncols() as i64,
        }
    }

    /// The slices of the rows of the window, some of which may be empty.
    fn slices(&self) -> usize {
        let long = self.longer_rows * (self.short_rows + 1);
        let block = |row: u32| match row < long {
            true => row / (self.short_rows + 1),
            false => self.longer_rows + (row - long) / self.short_rows,
        };
        let blocks = block(self.first_row + self.rows - 1) - block(self.first_row) + 1;
        let longest = self.short_rows + u32::from(self.longer_rows > 0);
        blocks as usize * (longest as usize).div_ceil(SLICE)
    }
}

/// What the wirings join to each block: to blocks of columns those of rows, or the other way round.
fn wiring(cuda: &Cuda, s: &Sketch, inverse: bool) -> Result<CudaBuffer<u32>> {
    let pairs = s.blocks() * s.wirings();
    let table = cuda.scratch::<u32>(pairs)?;
    let [places, shifts] = s.block_perm().permutations();
    let places = Network::new(&places, s.seed(), Stream::BlockPermPlaces);
    let shifts = Network::new(&shifts, s.seed(), Stream::BlockPermShifts);
    let (wirings, inverse, out) = (s.wirings() as u32, u32::from(inverse), table.start());
    let shape = Shape::over(cuda, pairs, THREADS as usize, THREADS);
    let arguments = &mut [arg(&places), arg(&shifts), arg(&wirings), arg(&inverse), arg(&out)];
    // SAFETY: the parameters of the kernel; the table has an entry a block and wiring.
    unsafe { launch(cuda, &cuda.gpu.block_perm, "block_perm_wiring", shape, arguments)? };
    Ok(table)
}

/// Writes the entries of the columns of `s`, which has rows and columns, to the address `words`.
pub(super) fn columns(cuda: &Cuda, s: &Sketch, words: u64) -> Result<()> {
    let outputs = wiring(cuda, s, false)?;
    let (operator, outputs) = (Operator::new(s), outputs.start());
    let work = s.ncols() * s.wirings() * operator.nnz.div_ceil(2) as usize;
    let shape = Shape::over(cuda, work, THREADS as usize, THREADS);
    let arguments = &mut [arg(&operator), arg(&outputs), arg(&words)];
    // SAFETY: the parameters of the kernel; there are ζ words a column.
    unsafe { launch(cuda, &cuda.gpu.block_perm, "block_perm_columns", shape, arguments) }
}

/// `C ← α S A + β C`, nothing of it empty and α not zero; `names` are the kernels for A by rows and by columns.
pub(super) fn times<T: CudaScalar, S: Storage<Compute = T>>(
    cuda: &Cuda,
    names: [&'static str; 2],
    s: &Sketch,
    alpha: T,
    a: MatRef<'_, S, Cuda>,
    beta: T,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()>
where
    Cuda: StorageKernels<S>,
{
    let inputs = wiring(cuda, s, true)?;
    let ((m, n), d) = (a.shape(), s.nrows());
    let copies = !has_unit_stride(a) || !has_unit_stride(c.as_ref());
    let width = if copies { (PANEL_LEN / m.max(d)).max(ROW_BYTES / size_of::<T>()) } else { n };
    for start in (0..n).step_by(width) {
        let panel = start..n.min(start + width);
        let a = a.columns(panel.clone());
        let mut c = c.as_mut().columns(panel);
        let copy = if has_unit_stride(a) {
            None
        } else {
            let mut copy = Mat::packed(cuda, a.ncols(), m)?;
            StorageKernels::<S>::copy(cuda, a, copy.as_mut().transpose())?;
            Some(copy)
        };
        let a = copy.as_ref().map_or(a, |copy| copy.as_ref().transpose());
        if has_unit_stride(c.as_ref()) {
            by_slices(cuda, names, s, &inputs, alpha, a, beta, c)?;
        } else {
            let mut sums = Mat::packed(cuda, c.ncols(), d)?;
            by_slices(cuda, names, s, &inputs, alpha, a, T::zero(), sums.as_mut().transpose())?;
            blas::axpby(cuda, T::one(), sums.as_ref().transpose(), beta, c.as_mut())?;
        }
    }
    Ok(())
}

/// Whether neighbours in a row or in a column lie side by side.
fn has_unit_stride<S: Storage>(a: MatRef<'_, S, Cuda>) -> bool {
    a.col_stride() == 1 || a.row_stride() == 1
}

/// Whether the kernel takes pieces from rows (else from columns), and whether they all start at a multiple of
/// their length.
fn pieces<S: Storage>(a: MatRef<'_, S, Cuda>) -> (bool, bool) {
    let by_rows = a.col_stride() == 1 && (a.row_stride() != 1 || a.ncols() > 1);
    let stride = if by_rows { a.row_stride() } else { a.col_stride() };
    let piece = PIECE_BYTES / size_of::<S::Compute>() * size_of::<S>();
    let aligned = |bytes: usize| bytes.is_multiple_of(piece);
    (by_rows, aligned(a.as_ptr().addr()) && aligned(stride.unsigned_abs() * size_of::<S>()))
}

/// The same for A and C with unit strides.
#[allow(clippy::too_many_arguments)]
fn by_slices<T: CudaScalar, S: Storage<Compute = T>>(
    cuda: &Cuda,
    names: [&'static str; 2],
    s: &Sketch,
    inputs: &CudaBuffer<u32>,
    alpha: T,
    a: MatRef<'_, S, Cuda>,
    beta: T,
    c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let ((m, n), d, operator) = (a.shape(), s.nrows(), Operator::new(s));
    let (slices, panels) = (operator.slices(), n.div_ceil(ROW_BYTES / size_of::<T>()));
    // By shapes only, so that sums do not depend on the device.
    let parts = (ENOUGH / (slices * panels))
        .min(m / (SUMS_A_PART * d))
        .min(m / s.blocks() / TILE)
        .min(MOST_SUMS / (d * n))
        .max(1);
    let (by_rows, aligned) = pieces(a);
    let [rows, cols] = names;
    let name = if by_rows { rows } else { cols };
    let (c_by_rows, c_aligned) = match parts {
        1 => pieces(c.as_ref()),
        _ => (true, (n * size_of::<T>()).is_multiple_of(PIECE_BYTES)),
    };
    let flags = u32::from(aligned) | u32::from(!c_by_rows) << 1 | u32::from(c_aligned) << 2;
    let work = slices * panels.div_ceil(WARPS) * parts;
    let stage = if by_rows { 0 } else { TILE };
    let shared = (WARPS * (COPIES * SLICE + stage) * ROW_BYTES) as u32;
    let shape = Shape { shared, ..Shape::over(cuda, work, 1, 32 * WARPS as u32) };
    let (a, inputs, cols) = (View::of(a), inputs.start(), n as i64);
    let (slices, count) = (slices as u32, parts as i64);
    in_parts(cuda, parts, alpha, beta, c, |alpha, beta, c| {
        let arguments = &mut [
            arg(&alpha),
            arg(&operator),
            arg(&inputs),
            arg(&a),
            arg(&flags),
            arg(&beta),
            arg(&c),
            arg(&cols),
            arg(&slices),
            arg(&count),
        ];
        // SAFETY: the parameters of the kernel; A has a row a column of the window of S, C a row a
        // row of it and part, and the table of inputs names the wirings of S.
        unsafe { launch(cuda, &cuda.gpu.block_perm, name, shape, arguments) }
    })
}
