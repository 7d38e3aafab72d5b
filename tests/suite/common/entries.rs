//! The entries of every operator family, one by one, from the scalar functions of
//! [`randnla::random`] and the defining formulas.

use super::plain::Plain;
use randnla::random::{self, Permutation, Stream};
use randnla::{Family, Scalar, Sketch};
use std::f64::consts::FRAC_PI_2;

/// Entry (i, j) of the whole operator of a dense family, unscaled, as T has it.
pub fn dense_entry<T: Scalar>(s: &Sketch, i: usize, j: usize) -> f64 {
    let (seed, row, column) = (s.seed(), i as u32, j as u64);
    let single = size_of::<T>() == size_of::<f32>();
    match (s.family(), single) {
        (Family::Gaussian, true) => {
            f64::from(random::normal_f32(seed, Stream::GaussianF32, row, column))
        }
        (Family::Gaussian, false) => random::normal_f64(seed, Stream::GaussianF64, row, column),
        (Family::Uniform, true) => {
            f64::from(random::uniform_f32(seed, Stream::UniformF32, row, column))
        }
        (Family::Uniform, false) => random::uniform_f64(seed, Stream::UniformF64, row, column),
        (Family::Rademacher, _) => sign(seed, Stream::Rademacher, i, column),
        (family, _) => panic!("{family:?} is not a dense family"),
    }
}

/// Sign `i` of unit `unit`: ±1.
pub fn sign(seed: u64, stream: Stream, i: usize, unit: u64) -> f64 {
    if random::sign(seed, stream, i as u64, unit) { -1.0 } else { 1.0 }
}

/// Rows and signs of column `j` of the whole operator of a column-sparse family.
pub fn sparse_column(s: &Sketch, j: usize) -> Vec<(usize, f64)> {
    let d = s.full_shape().0 as u32;
    if d == 0 {
        return Vec::new();
    }
    let mut packed = vec![0; s.nnz()];
    match s.family() {
        Family::SparseSign => random::sparse_sign_column(s.seed(), d, j as u64, &mut packed),
        Family::BlockPermSjlt => {
            let (m, blocks, wirings) = (s.full_shape().1 as u64, s.blocks(), s.wirings());
            let nnz = s.nnz() / wirings;
            random::BlockPerm::new(s.seed(), d, m, blocks as u32, wirings as u32, nnz as u32)
                .column(j as u64, &mut packed);
        }
        _ => random::sparse_stack_column(s.seed(), d, j as u64, &mut packed),
    }
    let unpack = |p: u32| ((p >> 1) as usize, if p & 1 == 1 { -1.0 } else { 1.0 });
    packed.into_iter().map(unpack).collect()
}

/// The order of the transform under an operator.
pub fn order(s: &Sketch) -> usize {
    let m = s.full_shape().1;
    match s.family() {
        Family::Srht | Family::HadamardDiagonal if m > 0 => m.next_power_of_two(),
        _ => m,
    }
}

/// Which row of the transform (or of the identity) becomes row `i`.
pub fn sampled_row(s: &Sketch, i: usize) -> usize {
    let stream = match s.family() {
        Family::Srht => Stream::SrhtRows,
        Family::Srct => Stream::DctRows,
        Family::HadamardDiagonal => Stream::HadamardDiagonalRows,
        Family::RowSampling => Stream::RowSampling,
        family => panic!("{family:?} samples no rows"),
    };
    Permutation::new(s.seed(), stream, order(s) as u64).get(i as u64) as usize
}

/// Sign `j` of the diagonal of a round of a transform family.
pub fn diagonal(s: &Sketch, j: usize, round: usize) -> f64 {
    let stream = match s.family() {
        Family::Srht => Stream::SrhtSigns,
        Family::Srct => Stream::DctSigns,
        Family::HadamardDiagonal => Stream::HadamardDiagonalSigns,
        family => panic!("{family:?} has no signs"),
    };
    sign(s.seed(), stream, j, round as u64)
}

/// Entry (i, j) of the Walsh-Hadamard matrix, ±1.
pub fn hadamard(i: usize, j: usize) -> f64 {
    if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
}

/// Entry (i, j) of the orthonormal DCT-II of order n: cᵢ·cos(π·i·(2j + 1)/(2n)).
pub fn cosine(n: usize, i: usize, j: usize) -> f64 {
    let norm = (if i == 0 { 1.0 } else { 2.0 } / n as f64).sqrt();
    // The angle is turn/n quarter turns; whole turns leave exactly, and so do half ones.
    let turn = (i * (2 * j + 1)) % (4 * n);
    let turn = turn.min(4 * n - turn);
    let (turn, flip) = if turn > n { (2 * n - turn, -1.0) } else { (turn, 1.0) };
    norm * flip * (FRAC_PI_2 * turn as f64 / n as f64).cos()
}

/// Column `j` of the whole Hadamard-diagonal operator before sampling: integers over n^(3/2).
fn hadamard_diagonal_column(s: &Sketch, j: usize) -> Vec<f64> {
    let n = order(s);
    let mut x = vec![0.0; n];
    x[j] = 1.0;
    for round in 0..3 {
        for (k, entry) in x.iter_mut().enumerate() {
            *entry *= diagonal(s, k, round);
        }
        x = (0..n).map(|i| (0..n).map(|k| hadamard(i, k) * x[k]).sum()).collect();
    }
    let norm = (n as f64).powi(3).sqrt();
    x.iter().map(|entry| entry / norm).collect()
}

/// The window of S that `s` stands for, scaled, as a plain matrix. Every family but Haar, whose
/// entries come from an orthogonalisation.
pub fn entries<T: Scalar>(s: &Sketch) -> Plain {
    let (rows, cols) = (s.row_range(), s.col_range());
    let mut whole_rows = Plain::zeros(rows.len(), cols.len());
    let n = order(s);
    let sampled: Vec<usize> = match s.family() {
        Family::Srht | Family::Srct | Family::HadamardDiagonal | Family::RowSampling => {
            rows.clone().map(|i| sampled_row(s, i)).collect()
        }
        _ => Vec::new(),
    };
    for (at_j, j) in cols.clone().enumerate() {
        let column = match s.family() {
            Family::HadamardDiagonal if !rows.is_empty() => hadamard_diagonal_column(s, j),
            _ => Vec::new(),
        };
        for (at_i, i) in rows.clone().enumerate() {
            let value = match s.family() {
                Family::Gaussian | Family::Rademacher | Family::Uniform => {
                    dense_entry::<T>(s, i, j)
                }
                Family::RowSampling => f64::from(u8::from(sampled[at_i] == j)),
                Family::Srht => hadamard(sampled[at_i], j) * diagonal(s, j, 0) / (n as f64).sqrt(),
                Family::Srct => cosine(n, sampled[at_i], j) * diagonal(s, j, 0),
                Family::HadamardDiagonal => column[sampled[at_i]],
                _ => 0.0,
            };
            whole_rows.set(at_i, at_j, s.scale() * value);
        }
        if s.family().is_column_sparse() {
            for (i, value) in sparse_column(s, j) {
                if rows.contains(&i) {
                    whole_rows.set(i - rows.start, at_j, s.scale() * value);
                }
            }
        }
    }
    if s.family() == Family::Laso {
        let mut row = Vec::new();
        for (at_i, i) in rows.enumerate() {
            random::laso_row(s.seed(), s.full_shape().1 as u64, s.nnz() as u32, i as u64, &mut row);
            for entry in row.iter().filter(|e| cols.contains(&(e.column as usize))) {
                let root = f64::from(entry.count).sqrt();
                let value = if entry.negative { -root } else { root };
                whole_rows.set(at_i, entry.column as usize - cols.start, s.scale() * value);
            }
        }
    }
    whole_rows
}
