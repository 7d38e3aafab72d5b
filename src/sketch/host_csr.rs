//! A sparse operator in compressed sparse rows, built on the host.

use super::{Family, Sketch};
use crate::random::{Permutation, Stream, laso_row};
use crate::{Backend, Csr, Device, Error, Result, Scalar};

/// Compressed sparse rows in host memory.
pub(super) struct HostCsr<T> {
    rows: usize,
    cols: usize,
    row_ptr: Vec<usize>,
    col_idx: Vec<u32>,
    values: Vec<T>,
}

impl<T: Scalar> HostCsr<T> {
    /// The window `s`, or `None` when its family is not sparse. O(ζ(m + d)) time and memory.
    pub(super) fn of<D: Backend<T>>(s: &Sketch, device: &D) -> Result<Option<Self>> {
        if u32::try_from(s.ncols()).is_err() {
            let what = format!("a sparse operator of {} columns in CSR", s.ncols());
            return Err(Error::Unsupported { op: "Sketch", what });
        }
        match s.family() {
            family if family.is_column_sparse() => {
                Ok(Some(Self::transposed_columns(s, device)?.transpose()))
            }
            Family::Laso => Self::laso(s).map(Some),
            Family::RowSampling => Self::row_sampling(s).map(Some),
            _ => Ok(None),
        }
    }

    /// Sᵀ of a column-sparse family: the ζ entries of a column are a row.
    fn transposed_columns<D: Backend<T>>(s: &Sketch, device: &D) -> Result<Self> {
        let (d, m) = s.shape();
        let nnz = s.nnz();
        let rows = s.row_range();
        let positive = T::from_f64(s.scale());
        let mut csr = Self::with_capacity(m, d, if d == 0 { Some(0) } else { nnz.checked_mul(m) })?;
        let indices =
            if d == 0 { Vec::new() } else { device.download_indices(&device.indices(s)?)? };
        for j in 0..m {
            for &packed in indices.iter().skip(j * nnz).take(nnz) {
                let row = (packed >> 1) as usize;
                if rows.contains(&row) {
                    let value = if packed & 1 == 1 { -positive } else { positive };
                    csr.push((row - rows.start) as u32, value);
                }
            }
            csr.end_row();
        }
        Ok(csr)
    }

    fn laso(s: &Sketch) -> Result<Self> {
        let (d, m) = s.shape();
        let cols = s.col_range();
        let mut csr = Self::with_capacity(d, m, s.nnz().checked_mul(d))?;
        let mut entries = Vec::new();
        for i in s.row_range() {
            laso_row(s.seed(), s.full_shape().1 as u64, s.nnz() as u32, i as u64, &mut entries);
            for entry in &entries {
                let column = entry.column as usize;
                if cols.contains(&column) {
                    let value = s.scale() * f64::from(entry.count).sqrt();
                    let value = if entry.negative { -value } else { value };
                    csr.push((column - cols.start) as u32, T::from_f64(value));
                }
            }
            csr.end_row();
        }
        Ok(csr)
    }

    fn row_sampling(s: &Sketch) -> Result<Self> {
        let (d, m) = s.shape();
        let cols = s.col_range();
        let rows = Permutation::new(s.seed(), Stream::RowSampling, s.full_shape().1 as u64);
        let mut csr = Self::with_capacity(d, m, Some(d))?;
        for i in s.row_range() {
            let column = rows.get(i as u64) as usize;
            if cols.contains(&column) {
                csr.push((column - cols.start) as u32, T::from_f64(s.scale()));
            }
            csr.end_row();
        }
        Ok(csr)
    }

    fn with_capacity(rows: usize, cols: usize, entries: Option<usize>) -> Result<Self> {
        let entries = entries.unwrap_or(usize::MAX);
        let mut row_ptr = reserved(rows.saturating_add(1))?;
        row_ptr.push(0);
        let (col_idx, values) = (reserved(entries)?, reserved(entries)?);
        Ok(Self { rows, cols, row_ptr, col_idx, values })
    }

    fn push(&mut self, column: u32, value: T) {
        self.col_idx.push(column);
        self.values.push(value);
    }

    fn end_row(&mut self) {
        self.row_ptr.push(self.values.len());
    }

    /// The transposed matrix, rows in order, by counting.
    pub(super) fn transpose(&self) -> Self {
        let mut row_ptr = vec![0; self.cols + 1];
        self.col_idx.iter().for_each(|&j| row_ptr[j as usize + 1] += 1);
        for j in 0..self.cols {
            row_ptr[j + 1] += row_ptr[j];
        }
        let mut next = row_ptr.clone();
        let mut col_idx = vec![0; self.values.len()];
        let mut values = vec![T::zero(); self.values.len()];
        for i in 0..self.rows {
            for k in self.row_ptr[i]..self.row_ptr[i + 1] {
                let target = &mut next[self.col_idx[k] as usize];
                col_idx[*target] = i as u32;
                values[*target] = self.values[k];
                *target += 1;
            }
        }
        Self { rows: self.cols, cols: self.rows, row_ptr, col_idx, values }
    }

    /// A copy in a device's memory.
    pub(super) fn upload<D: Device>(&self, device: &D) -> Result<Csr<T, D>> {
        Csr::from_distinct(
            device,
            (self.rows, self.cols),
            &self.row_ptr,
            &self.col_idx,
            &self.values,
        )
    }
}

/// An empty vector with room, or [`Error::OutOfMemory`] instead of an abort.
fn reserved<E>(len: usize) -> Result<Vec<E>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len)
        .map_err(|_| Error::OutOfMemory { bytes: len.saturating_mul(size_of::<E>()) })?;
    Ok(vec)
}
