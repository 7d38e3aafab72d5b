//! The oracle's random operators, transforms and sparse products.

use super::entries::{
    cosine, dense_entry, diagonal, entries, hadamard, order, sampled_row, sparse_column,
};
use super::reference::{Reference, read, update, write};
use super::wide::Wide;
use randnla::{
    Csr, CsrRef, Family, MatMut, MatRef, Op, Result, Scalar, Sketch, SketchKernels, SparseKernels,
    TransformKernels,
};

/// The rows (of the whole operator) and signs of every column from `first` on.
pub struct Columns {
    first: usize,
    columns: Vec<Vec<(usize, f64)>>,
}

impl Columns {
    /// Calls `f(i, j, value)` for the entries of a window, with positions inside of the window.
    fn for_each(&self, s: &Sketch, mut f: impl FnMut(usize, usize, f64)) {
        let (rows, cols) = (s.row_range(), s.col_range());
        for (j, column) in self.columns[cols.start - self.first..][..cols.len()].iter().enumerate()
        {
            for &(i, sign) in column.iter().filter(|(i, _)| rows.contains(i)) {
                f(i - rows.start, j, sign * s.scale());
            }
        }
    }
}

impl<T: Scalar> SketchKernels<T> for Reference {
    type Indices = Columns;

    fn fill(&self, s: &Sketch, alpha: T, mut b: MatMut<'_, T, Self>) -> Result<()> {
        let factor = alpha.to_f64() * s.scale();
        for (at_j, j) in s.col_range().enumerate() {
            for (at_i, i) in s.row_range().enumerate() {
                write(&mut b, at_i, at_j, factor * dense_entry::<T>(s, i, j));
            }
        }
        Ok(())
    }

    // Small and odd, so that algorithms meet the ends of panels with small matrices.
    fn panel_len(&self) -> usize {
        1000
    }

    fn fused_columns(&self) -> usize {
        3
    }

    fn fill_times(
        &self,
        s: &Sketch,
        op: Op,
        alpha: T,
        a: MatRef<'_, T, Self>,
        beta: T,
        c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        let (rows, cols) = (s.row_range(), s.col_range());
        let mut entries = vec![0.0; rows.len() * cols.len()];
        for (at_j, j) in cols.clone().enumerate() {
            for (at_i, i) in rows.clone().enumerate() {
                entries[at_i + at_j * rows.len()] = s.scale() * dense_entry::<T>(s, i, j);
            }
        }
        times(|i, j| entries[i + j * rows.len()], op, alpha, a, beta, c);
        Ok(())
    }

    fn indices(&self, s: &Sketch) -> Result<Self::Indices> {
        let columns = s.col_range().map(|j| sparse_column(s, j)).collect();
        Ok(Columns { first: s.col_range().start, columns })
    }

    fn download_indices(&self, indices: &Self::Indices) -> Result<Vec<u32>> {
        let pack = |&(row, sign): &(usize, f64)| (row as u32) << 1 | u32::from(sign < 0.0);
        Ok(indices.columns.iter().flatten().map(pack).collect())
    }

    fn index_chunk(&self, _s: &Sketch) -> usize {
        37
    }

    fn sparse_times(
        &self,
        s: &Sketch,
        indices: &Self::Indices,
        op: Op,
        alpha: T,
        a: MatRef<'_, T, Self>,
        beta: T,
        mut c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        for j in 0..c.ncols() {
            let mut sums = vec![Wide::default(); c.nrows()];
            if alpha != T::zero() {
                indices.for_each(s, |i, k, value| match op {
                    Op::NoTrans => sums[i].add_product(value, read(a, k, j)),
                    Op::Trans => sums[k].add_product(value, read(a, i, j)),
                });
            }
            for (i, sum) in sums.into_iter().enumerate() {
                update(&mut c, (i, j), (alpha, beta), || sum);
            }
        }
        Ok(())
    }

    fn sparse_times_csr(
        &self,
        s: &Sketch,
        indices: &Self::Indices,
        op: Op,
        alpha: T,
        x: CsrRef<'_, T, Self>,
        op_x: Op,
        beta: T,
        mut c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        let (rows, cols) = c.shape();
        let mut sums = vec![Wide::default(); rows * cols];
        if alpha != T::zero() {
            let mut lines = vec![Vec::new(); x.nrows().max(x.ncols())];
            for (i, j, value) in sparse_entries(&x) {
                let (i, j) = if op_x == Op::NoTrans { (i, j) } else { (j, i) };
                lines[i].push((j, value));
            }
            indices.for_each(s, |i, j, value| {
                let (to, from) = if op == Op::NoTrans { (i, j) } else { (j, i) };
                for &(k, stored) in &lines[from] {
                    sums[to + k * rows].add_product(value, stored);
                }
            });
        }
        for (at, sum) in sums.into_iter().enumerate() {
            update(&mut c, (at % rows, at / rows), (alpha, beta), || sum);
        }
        Ok(())
    }

    fn compressed(&self, s: &Sketch, op: Op) -> Result<Csr<T, Self>> {
        compressed(s, op)
    }
}

/// The entries of a sparse operator, from [`entries`].
fn compressed<T: Scalar>(s: &Sketch, op: Op) -> Result<Csr<T, Reference>> {
    let entries = entries::<f64>(s);
    let entries = if op == Op::NoTrans { entries } else { entries.transpose() };
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for i in 0..entries.rows {
        for j in (0..entries.cols).filter(|&j| entries.get(i, j) != 0.0) {
            columns.push(j as u32);
            values.push(T::from_f64(entries.get(i, j)));
        }
        starts.push(columns.len());
    }
    Csr::new(&Reference, (entries.rows, entries.cols), &starts, &columns, &values)
}

/// `C ← α op(S) A + β C` for an operator given by its entries.
fn times<T: Scalar>(
    entry: impl Fn(usize, usize) -> f64,
    op: Op,
    alpha: T,
    a: MatRef<'_, T, Reference>,
    beta: T,
    mut c: MatMut<'_, T, Reference>,
) {
    for j in 0..c.ncols() {
        for i in 0..c.nrows() {
            update(&mut c, (i, j), (alpha, beta), || {
                let mut sum = Wide::default();
                for k in 0..a.nrows() {
                    let value = if op == Op::NoTrans { entry(i, k) } else { entry(k, i) };
                    sum.add_product(value, read(a, k, j));
                }
                sum
            });
        }
    }
}

/// The sampled rows of the cosine matrix of order n, zeros in the others, or nothing for Hadamard families.
fn cosines(s: &Sketch, sampled: &[usize]) -> Vec<f64> {
    let n = if s.family() == Family::Srct { order(s) } else { 0 };
    let mut table = vec![0.0; n * n];
    if n > 0 {
        for &i in sampled {
            (0..n).for_each(|k| table[i * n + k] = cosine(n, i, k));
        }
    }
    table
}

/// Entries `rows` of op(C) x for a table of the entries of C, or of H x without normalisation where there is none.
fn transform(table: &[f64], op: Op, x: &[f64], rows: impl IntoIterator<Item = usize>) -> Vec<f64> {
    let n = x.len();
    // Zeros, which are most of what is transposed, change no sum.
    let terms: Vec<_> = x.iter().copied().enumerate().filter(|&(_, x)| x != 0.0).collect();
    let line = |i| {
        let mut sum = Wide::default();
        for &(k, x) in &terms {
            match op {
                _ if table.is_empty() => sum.add(hadamard(i, k) * x),
                Op::NoTrans => sum.add_product(table[i * n + k], x),
                Op::Trans => sum.add_product(table[k * n + i], x),
            }
        }
        sum.value()
    };
    rows.into_iter().map(line).collect()
}

impl<T: Scalar> TransformKernels<T> for Reference {
    fn fwht(&self, mut a: MatMut<'_, T, Self>) -> Result<()> {
        let n = a.nrows();
        for j in 0..a.ncols() {
            let x: Vec<f64> = (0..n).map(|i| read(a.as_ref(), i, j)).collect();
            for (i, y) in transform(&[], Op::NoTrans, &x, 0..n).into_iter().enumerate() {
                write(&mut a, i, j, y);
            }
        }
        Ok(())
    }

    fn dct(&self, op: Op, mut a: MatMut<'_, T, Self>) -> Result<()> {
        let n = a.nrows();
        let table: Vec<f64> = (0..n * n).map(|at| cosine(n, at / n, at % n)).collect();
        for j in 0..a.ncols() {
            let x: Vec<f64> = (0..n).map(|i| read(a.as_ref(), i, j)).collect();
            for (i, y) in transform(&table, op, &x, 0..n).into_iter().enumerate() {
                write(&mut a, i, j, y);
            }
        }
        Ok(())
    }

    fn convolve(
        &self,
        alpha: T,
        factors: &[MatRef<'_, T, Self>],
        beta: T,
        mut c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        let d = c.nrows();
        for j in 0..c.ncols() {
            // The unit of convolutions.
            let mut x: Vec<f64> = (0..d).map(|i| f64::from(u8::from(i == 0))).collect();
            for a in factors.iter().filter(|_| alpha != T::zero()) {
                let y: Vec<f64> = (0..d).map(|i| read(*a, i, j)).collect();
                let sum = |i| {
                    let mut sum = Wide::default();
                    (0..d).for_each(|k| sum.add_product(x[k], y[(i + d - k) % d]));
                    sum.value()
                };
                x = (0..d).map(sum).collect();
            }
            for (i, &x) in x.iter().enumerate() {
                update(&mut c, (i, j), (alpha, beta), || {
                    let mut sum = Wide::default();
                    sum.add(x);
                    sum
                });
            }
        }
        Ok(())
    }

    fn mix_times(
        &self,
        s: &Sketch,
        op: Op,
        alpha: T,
        a: MatRef<'_, T, Self>,
        beta: T,
        mut c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        let (rows, cols, n) = (s.row_range(), s.col_range(), order(s));
        let sampled: Vec<usize> = rows.map(|i| sampled_row(s, i)).collect();
        let table = cosines(s, &sampled);
        let rounds = if s.family() == Family::HadamardDiagonal { 3 } else { 1 };
        let norm = if table.is_empty() { 1.0 / (n as f64).sqrt() } else { 1.0 };
        let mixed = |x: &[f64], rows: &mut dyn Iterator<Item = usize>| -> Vec<f64> {
            transform(&table, op, x, rows).into_iter().map(|y| norm * y).collect()
        };
        let sign_all = |x: &mut [f64], round| {
            x.iter_mut().enumerate().for_each(|(k, entry)| *entry *= diagonal(s, k, round));
        };
        for j in 0..c.ncols() {
            let mut x = vec![0.0; n];
            let mut result = vec![0.0; c.nrows()];
            if alpha != T::zero() && op == Op::NoTrans {
                cols.clone().enumerate().for_each(|(k, col)| x[col] = read(a, k, j));
                sign_all(&mut x, 0);
                for round in 1..rounds {
                    x = mixed(&x, &mut (0..n));
                    sign_all(&mut x, round);
                }
                result = mixed(&x, &mut sampled.iter().copied());
            } else if alpha != T::zero() {
                sampled.iter().enumerate().for_each(|(k, &row)| x[row] = read(a, k, j));
                for round in (0..rounds).rev() {
                    x = mixed(&x, &mut (0..n));
                    sign_all(&mut x, round);
                }
                result.copy_from_slice(&x[cols.clone()]);
            }
            for (i, y) in result.into_iter().enumerate() {
                update(&mut c, (i, j), (alpha, beta), || {
                    let mut sum = Wide::default();
                    sum.add_product(s.scale(), y);
                    sum
                });
            }
        }
        Ok(())
    }
}

/// Column indices and values of row `i`.
fn sparse_row<'a, T: Scalar>(
    x: &CsrRef<'a, T, Reference>,
    i: usize,
) -> impl Iterator<Item = (usize, f64)> + use<'a, T> {
    // SAFETY: the memory of the oracle is host memory.
    let (row_ptr, col_idx, values) = unsafe { x.host_slices() };
    let entries = row_ptr[i]..row_ptr[i + 1];
    entries.map(move |at| (col_idx[at] as usize, values[at].to_f64()))
}

/// Row, column and value of every stored entry.
fn sparse_entries<'a, T: Scalar>(
    x: &CsrRef<'a, T, Reference>,
) -> impl Iterator<Item = (usize, usize, f64)> + use<'a, T> {
    let x = *x;
    (0..x.nrows()).flat_map(move |i| sparse_row(&x, i).map(move |(j, value)| (i, j, value)))
}

impl<T: Scalar> SparseKernels<T> for Reference {
    fn stored_values<'a>(&self, x: CsrRef<'a, T, Self>) -> Result<MatRef<'a, T, Self>> {
        // SAFETY: the memory of the oracle is host memory.
        let (row_ptr, _, values) = unsafe { x.host_slices() };
        let stored = &values[row_ptr[0]..row_ptr[x.nrows()]];
        // SAFETY: the values lie side by side and live for 'a.
        unsafe { MatRef::from_raw_parts(x.device(), stored.as_ptr(), (1, stored.len()), (1, 1)) }
    }

    fn find_non_finite_stored(&self, x: CsrRef<'_, T, Self>) -> Result<Option<(usize, usize)>> {
        let in_row = |i| {
            let bad = sparse_row(&x, i).filter(|(_, value)| !value.is_finite());
            bad.map(|(j, _)| (i, j)).min()
        };
        Ok((0..x.nrows()).find_map(in_row))
    }

    fn spmm(
        &self,
        alpha: T,
        x: CsrRef<'_, T, Self>,
        op: Op,
        b: MatRef<'_, T, Self>,
        beta: T,
        mut c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        for j in 0..c.ncols() {
            let mut sums = vec![Wide::default(); c.nrows()];
            for i in 0..x.nrows() {
                if alpha == T::zero() {
                    continue;
                }
                for (k, value) in sparse_row(&x, i) {
                    match op {
                        Op::NoTrans => sums[i].add_product(value, read(b, k, j)),
                        Op::Trans => sums[k].add_product(value, read(b, i, j)),
                    }
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                update(&mut c, (i, j), (alpha, beta), || sum);
            }
        }
        Ok(())
    }

    fn expand(
        &self,
        x: CsrRef<'_, T, Self>,
        first: usize,
        mut c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        for i in 0..c.nrows() {
            (0..c.ncols()).for_each(|j| write(&mut c, i, j, 0.0));
            for (j, value) in sparse_row(&x, i).filter(|&(j, _)| j >= first) {
                if j - first < c.ncols() {
                    write(&mut c, i, j - first, value);
                }
            }
        }
        Ok(())
    }

    fn spspmm(
        &self,
        alpha: T,
        x: CsrRef<'_, T, Self>,
        y: CsrRef<'_, T, Self>,
        beta: T,
        mut c: MatMut<'_, T, Self>,
    ) -> Result<()> {
        for i in 0..c.nrows() {
            let mut sums = vec![Wide::default(); c.ncols()];
            if alpha != T::zero() {
                for (k, left) in sparse_row(&x, i) {
                    for (j, right) in sparse_row(&y, k) {
                        sums[j].add_product(left, right);
                    }
                }
            }
            for (j, sum) in sums.into_iter().enumerate() {
                update(&mut c, (i, j), (alpha, beta), || sum);
            }
        }
        Ok(())
    }
}
