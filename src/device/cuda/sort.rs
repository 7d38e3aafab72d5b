//! Sparse matrices by their other index, by `cuda/sort.cu`: a stable sort by digits of 8 bits.
//!
//! How many entries a window of rows has is known on the device only; the host knows the most there
//! can be, and nothing waits.

use super::launch::{Shape, arg, launch};
use super::{Cuda, CudaBuffer, CudaScalar};
use crate::{Csr, CsrRef, Device, Error, Result, Sketch};

/// Threads of a block, pairs that one takes at once, tiles whose digits it counts together, and counters
/// that it sums up at once.
const THREADS: u32 = 256;
const TILE: usize = 4096;
const NEIGHBOURS: usize = 4;
const SCAN_TILE: usize = 2048;
/// Bits of a digit.
const DIGIT: u32 = 8;

/// Pairs of a key below or equal to `most` and a value.
struct Pairs {
    keys: CudaBuffer<u32>,
    values: CudaBuffer<u64>,
    /// How many there are, one number on the device; at most `len`.
    count: CudaBuffer<u64>,
    len: usize,
    most: usize,
}

impl Pairs {
    fn new(cuda: &Cuda, len: usize, most: usize) -> Result<Self> {
        if most > u32::MAX as usize {
            let what = format!("a sparse matrix with {most} rows");
            return Err(Error::Unsupported { op: "Cuda", what });
        }
        let (keys, values) = (cuda.scratch(len)?, cuda.scratch(len)?);
        Ok(Self { keys, values, count: cuda.scratch(1)?, len, most })
    }

    /// Sorts by the keys, equal ones in their order.
    fn sort(&mut self, cuda: &Cuda) -> Result<()> {
        let tiles = self.len.div_ceil(TILE).next_multiple_of(NEIGHBOURS);
        let counts = cuda.scratch::<u64>(tiles << DIGIT)?;
        let (mut keys, mut values) = (cuda.scratch(self.len)?, cuda.scratch(self.len)?);
        let bits = (usize::BITS - self.most.leading_zeros()).max(1);
        for shift in (0..bits).step_by(DIGIT as usize) {
            digit_counts(cuda, self, shift, tiles, &counts)?;
            scan(cuda, counts.start(), tiles << DIGIT)?;
            place_pairs(cuda, self, shift, tiles, &counts, (&keys, &values))?;
            core::mem::swap(&mut self.keys, &mut keys);
            core::mem::swap(&mut self.values, &mut values);
        }
        Ok(())
    }
}

fn digit_counts(
    cuda: &Cuda,
    pairs: &Pairs,
    shift: u32,
    tiles: usize,
    counts: &CudaBuffer<u64>,
) -> Result<()> {
    let shape = Shape::over(cuda, tiles, NEIGHBOURS, THREADS);
    let (keys, count, counts) = (pairs.keys.start(), pairs.count.start(), counts.start());
    let tiles = tiles as i64;
    let arguments = &mut [arg(&keys), arg(&count), arg(&shift), arg(&tiles), arg(&counts)];
    // SAFETY: the parameters of the kernel; there are 256 counters a tile.
    unsafe { launch(cuda, &cuda.gpu.sort, "digit_counts", shape, arguments) }
}

fn place_pairs(
    cuda: &Cuda,
    pairs: &Pairs,
    shift: u32,
    tiles: usize,
    places: &CudaBuffer<u64>,
    (keys_out, values_out): (&CudaBuffer<u32>, &CudaBuffer<u64>),
) -> Result<()> {
    let shape = Shape::over(cuda, tiles, 1, THREADS);
    let (keys, values, count) = (pairs.keys.start(), pairs.values.start(), pairs.count.start());
    let (places, tiles) = (places.start(), tiles as i64);
    let (keys_out, values_out) = (keys_out.start(), values_out.start());
    let arguments = &mut [
        arg(&keys),
        arg(&values),
        arg(&count),
        arg(&shift),
        arg(&tiles),
        arg(&places),
        arg(&keys_out),
        arg(&values_out),
    ];
    // SAFETY: the parameters of the kernel; the places are those of as many pairs as the outputs hold.
    unsafe { launch(cuda, &cuda.gpu.sort, "place_pairs", shape, arguments) }
}

/// `data[i] ← Σ data[..i]` for `len` numbers.
pub(super) fn scan(cuda: &Cuda, data: u64, len: usize) -> Result<()> {
    let (tiles, count) = (len.div_ceil(SCAN_TILE), len as i64);
    let buffer = cuda.scratch::<u64>(tiles)?;
    let sums = buffer.start();
    let arguments = &mut [arg(&data), arg(&count), arg(&sums)];
    let shape = Shape::over(cuda, tiles, 1, THREADS);
    // SAFETY: the parameters of the kernel; there is a sum a tile.
    unsafe { launch(cuda, &cuda.gpu.sort, "scan_tiles", shape, arguments)? };
    if tiles > 1 {
        scan(cuda, sums, tiles)?;
        let shape = Shape::over(cuda, len, THREADS as usize, THREADS);
        // SAFETY: as above.
        unsafe { launch(cuda, &cuda.gpu.sort, "add_tiles", shape, arguments)? };
    }
    Ok(())
}

/// Where the rows of sorted pairs start.
fn row_starts(cuda: &Cuda, pairs: &Pairs, rows: usize) -> Result<CudaBuffer<usize>> {
    let buffer = cuda.scratch::<usize>(rows + 1)?;
    let (keys, count) = (pairs.keys.start(), pairs.count.start());
    let (starts, last) = (buffer.start(), rows as i64);
    let shape = Shape::over(cuda, rows + 1, THREADS as usize, THREADS);
    let arguments = &mut [arg(&keys), arg(&count), arg(&last), arg(&starts)];
    // SAFETY: the parameters of the kernel; there is a start a row, and an end.
    unsafe { launch(cuda, &cuda.gpu.sort, "row_starts", shape, arguments)? };
    Ok(buffer)
}

/// The window `s` of a column-sparse operator by rows, its entries ±`scale`, from the words of its
/// columns.
pub(super) fn operator_by_rows<T: CudaScalar>(
    cuda: &Cuda,
    s: &Sketch,
    words: u64,
    scale: T,
) -> Result<Csr<T, Cuda>> {
    let (shape, zeta) = (s.shape(), s.nnz());
    let len = if shape.0 == 0 { 0 } else { shape.1 * zeta };
    if shape.1 > 1 << 32 {
        let what = format!("{} columns of a column-sparse operator", shape.1);
        return Err(Error::Unsupported { op: "Cuda", what });
    }
    let mut pairs = Pairs::new(cuda, len, shape.0)?;
    let (entries, per_column) = (len as i64, zeta as u32);
    let (first, rows) = (s.row_range().start as u32, shape.0 as u32);
    let (keys, values, count) = (pairs.keys.start(), pairs.values.start(), pairs.count.start());
    let grid = Shape::over(cuda, len, THREADS as usize, THREADS);
    let arguments = &mut [
        arg(&words),
        arg(&entries),
        arg(&per_column),
        arg(&first),
        arg(&rows),
        arg(&keys),
        arg(&values),
        arg(&count),
    ];
    // SAFETY: the parameters of the kernel; callers pass the words of the columns of `s`.
    unsafe { launch(cuda, &cuda.gpu.sort, "keys_of_operator", grid, arguments)? };
    pairs.sort(cuda)?;
    let row_ptr = row_starts(cuda, &pairs, shape.0)?;
    let (col_idx, values) = (cuda.scratch::<u32>(len)?, cuda.scratch::<T>(len)?);
    let (sorted, columns, signs) = (pairs.values.start(), col_idx.start(), values.start());
    let name = T::kernel(["operator_rows_f32", "operator_rows_f64"]);
    let arguments = &mut [arg(&sorted), arg(&count), arg(&scale), arg(&columns), arg(&signs)];
    // SAFETY: the parameters of the kernel; the arrays are as long as the pairs, which were sorted by
    // row; the rows of a column are distinct.
    unsafe {
        launch(cuda, &cuda.gpu.sort, name, grid, arguments)?;
        Ok(Csr::from_buffers(cuda, shape, len, row_ptr, col_idx, values))
    }
}

/// Xᵀ by rows, every row by increasing column.
pub(super) fn transposed<T: CudaScalar>(
    cuda: &Cuda,
    x: CsrRef<'_, T, Cuda>,
) -> Result<Csr<T, Cuda>> {
    let ((rows, cols), len) = (x.shape(), x.entries());
    if rows > 1 << 32 {
        let what = format!("a sparse matrix with {rows} rows");
        return Err(Error::Unsupported { op: "Cuda", what });
    }
    let mut pairs = Pairs::new(cuda, len, cols)?;
    let (row_ptr, stored_idx) = (x.row_ptr().addr() as u64, x.col_idx().addr() as u64);
    let (keys, values, count) = (pairs.keys.start(), pairs.values.start(), pairs.count.start());
    let (grid, rows_given) = (Shape::over(cuda, len, THREADS as usize, THREADS), rows as i64);
    let arguments = &mut [
        arg(&row_ptr),
        arg(&rows_given),
        arg(&stored_idx),
        arg(&keys),
        arg(&values),
        arg(&count),
    ];
    // SAFETY: the parameters of the kernel; the pairs have room for all stored entries.
    unsafe { launch(cuda, &cuda.gpu.sort, "keys_of_matrix", grid, arguments)? };
    pairs.sort(cuda)?;
    let starts = row_starts(cuda, &pairs, cols)?;
    let (col_idx, values) = (cuda.scratch::<u32>(len)?, cuda.scratch::<T>(len)?);
    let (sorted, stored) = (pairs.values.start(), x.values().addr() as u64);
    let (columns, target) = (col_idx.start(), values.start());
    let name = T::kernel(["matrix_rows_f32", "matrix_rows_f64"]);
    let arguments = &mut [
        arg(&sorted),
        arg(&count),
        arg(&row_ptr),
        arg(&rows_given),
        arg(&stored),
        arg(&columns),
        arg(&target),
    ];
    // SAFETY: the parameters of the kernel; the arrays are as long as the pairs, which were sorted by
    // column; the columns of a row are distinct.
    unsafe {
        launch(cuda, &cuda.gpu.sort, name, grid, arguments)?;
        Ok(Csr::from_buffers(cuda, (cols, rows), len, starts, col_idx, values))
    }
}
