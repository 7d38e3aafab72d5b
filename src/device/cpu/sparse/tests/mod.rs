//! Against dense products in `f64`, entry by entry within the rounding bound of a sum.

mod matrices;
mod operators;

use super::kernel::{SparseScalar, max_lines};
use super::panel::{Blocks, Target};
use super::rows::{SignRows, SparseRows};
use super::*;
use crate::{Csr, Scalar};

/// Numbers in (−1, 1), the same in every run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    pub(super) fn next(&mut self) -> f64 {
        self.word() as f64 / f64::from(1 << 30) - 1.0
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }
}

/// How a matrix lies in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Layout {
    Rows,
    RowsWithGap,
    Columns,
    ColumnsWithGap,
    Strided,
    NegativeRows,
    NegativeColumns,
}

pub(super) const LAYOUTS: [Layout; 7] = [
    Layout::Rows,
    Layout::RowsWithGap,
    Layout::Columns,
    Layout::ColumnsWithGap,
    Layout::Strided,
    Layout::NegativeRows,
    Layout::NegativeColumns,
];

/// A matrix in memory of which every other entry is NaN.
#[derive(Clone)]
pub(super) struct Strided<T> {
    pub(super) data: Vec<T>,
    offset: usize,
    shape: (usize, usize),
    strides: (isize, isize),
}

impl<T: SparseScalar> Strided<T> {
    pub(super) fn new(layout: Layout, (rows, cols): (usize, usize)) -> Self {
        let (r, c) = (rows as isize, cols as isize);
        let strides = match layout {
            Layout::Rows => (c, 1),
            Layout::RowsWithGap => (c + 3, 1),
            Layout::Columns => (1, r),
            Layout::ColumnsWithGap => (1, r + 5),
            Layout::Strided => (2, 2 * r + 1),
            Layout::NegativeRows => (-(c + 1), 1),
            Layout::NegativeColumns => (1, -(r + 2)),
        };
        let reach = |len: usize, stride: isize| stride * (len.max(1) as isize - 1);
        let (down, right) = (reach(rows, strides.0), reach(cols, strides.1));
        let offset = -(down.min(0) + right.min(0)) as usize;
        let len = offset + (down.max(0) + right.max(0)) as usize + 1;
        Self { data: vec![T::from_f64(f64::NAN); len], offset, shape: (rows, cols), strides }
    }

    pub(super) fn random(layout: Layout, shape: (usize, usize), numbers: &mut Numbers) -> Self {
        let mut matrix = Self::new(layout, shape);
        matrix.fill(|_, _| numbers.next());
        matrix
    }

    pub(super) fn fill(&mut self, mut f: impl FnMut(usize, usize) -> f64) {
        for i in 0..self.shape.0 {
            for j in 0..self.shape.1 {
                let at = self.at(i, j);
                self.data[at] = T::from_f64(f(i, j));
            }
        }
    }

    fn at(&self, i: usize, j: usize) -> usize {
        let step = i as isize * self.strides.0 + j as isize * self.strides.1;
        self.offset.checked_add_signed(step).unwrap()
    }

    pub(super) fn get(&self, i: usize, j: usize) -> f64 {
        self.data[self.at(i, j)].to_f64()
    }

    pub(super) fn view<'a>(&'a self, cpu: &'a Cpu) -> MatRef<'a, T> {
        MatRef::from_strided(cpu, &self.data, self.offset, self.shape, self.strides).unwrap()
    }

    pub(super) fn view_mut<'a>(&'a mut self, cpu: &'a Cpu) -> MatMut<'a, T> {
        let (offset, shape, strides) = (self.offset, self.shape, self.strides);
        MatMut::from_strided(cpu, &mut self.data, offset, shape, strides).unwrap()
    }

    /// How many elements are not NaN.
    pub(super) fn written(&self) -> usize {
        self.data.iter().filter(|x| !x.to_f64().is_nan()).count()
    }

    pub(super) fn bits(&self) -> Vec<u64> {
        self.data.iter().map(|x| x.to_f64().to_bits()).collect()
    }
}

/// A sparse matrix as (row, column, value), in any order, duplicates adding up.
pub(super) type Triplets = Vec<(usize, usize, f64)>;

/// Asserts that `c` is `alpha·X·A + beta·before` within the bound (terms + 5)·u·(|α||X||A| + |β||C|)
/// and that nothing else was written.
pub(super) fn assert_product<T: SparseScalar>(
    what: &str,
    x: &Triplets,
    alpha: f64,
    a: &Strided<T>,
    beta: f64,
    before: &Strided<T>,
    c: &Strided<T>,
) {
    let (rows, cols) = c.shape;
    let mut of_row = vec![Vec::new(); rows];
    for &(i, k, value) in x {
        of_row[i].push((k, value));
    }
    for (i, terms) in of_row.iter().enumerate() {
        for j in 0..cols {
            let (mut exact, mut magnitude) = (0.0, 0.0);
            if beta != 0.0 {
                exact = beta * before.get(i, j);
                magnitude = exact.abs();
            }
            if alpha != 0.0 {
                for &(k, value) in terms {
                    exact += alpha * value * a.get(k, j);
                    magnitude += (alpha * value * a.get(k, j)).abs();
                }
            }
            let bound = (terms.len() + 5) as f64 * T::UNIT_ROUNDOFF * magnitude * 1.01;
            let error = (c.get(i, j) - exact).abs();
            assert!(error <= bound, "{what}, ({i}, {j}): {} for {exact}", c.get(i, j));
        }
    }
    assert_eq!(c.written(), rows * cols, "{what}: written outside of C");
}

#[test]
fn panels_hold_what_was_packed_and_store_it_again() {
    let cpu = Cpu::new();
    let mut numbers = Numbers(3);
    for isa in Isa::available() {
        for n in [1, 2, 7, 8, 9, 31, 33, 63, 64, 65, 129] {
            for rows in [1, 7, 8, 15, 16, 17, 70] {
                for layout in LAYOUTS {
                    round_trip::<f64>(isa, &cpu, layout, (rows, n), &mut numbers);
                    round_trip::<f32>(isa, &cpu, layout, (rows, n), &mut numbers);
                }
            }
        }
    }
}

fn round_trip<T: SparseScalar>(
    isa: Isa,
    cpu: &Cpu,
    layout: Layout,
    shape: (usize, usize),
    numbers: &mut Numbers,
) {
    let a = Strided::<T>::random(layout, shape, numbers);
    let mut copy = Strided::<T>::new(layout, shape);
    let blocks = Blocks::new::<T>(shape.1, max_lines(isa));
    let target = Target::new(copy.view_mut(cpu));
    for block in (0..blocks.count()).map(|b| blocks.get(b)) {
        let mut panel = vec![T::zero(); shape.0 * block.width];
        block.pack(isa, a.view(cpu), &mut panel);
        for (i, row) in panel.chunks(block.width).enumerate() {
            for (j, x) in row.iter().enumerate() {
                let expected = if j < block.len { a.get(i, block.start + j) } else { 0.0 };
                assert_eq!(x.to_f64(), expected, "{isa:?} {layout:?} {shape:?} ({i}, {j})");
            }
        }
        let out = target.at(0, block.start);
        // SAFETY: the block lies inside of `copy`, which nobody else uses.
        unsafe {
            out.store(isa, (shape.0, block.len), T::one(), &panel, block.width, T::zero());
        }
    }
    assert_eq!(copy.bits(), a.bits(), "{isa:?} {layout:?} {shape:?}");
}
