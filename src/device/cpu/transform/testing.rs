//! Matrices of every layout, and numbers to fill them, for the tests of this folder.

use super::{Real, number};
use crate::{Cpu, MatMut, MatRef};

/// The layouts: column-major, row-major, doubly strided both ways, and run backwards.
pub(super) const LAYOUTS: usize = 6;

/// A matrix in memory of its own, with gaps that must stay untouched.
#[derive(Clone)]
pub(super) struct Strided<T> {
    pub(super) data: Vec<T>,
    offset: usize,
    shape: (usize, usize),
    strides: (isize, isize),
}

impl<T: Real> Strided<T> {
    /// An n×cols matrix of NaNs in layout number `layout`.
    pub(super) fn new(layout: usize, n: usize, cols: usize) -> Self {
        let (r, c) = (n as isize, cols as isize);
        let strides = match layout {
            0 => (1, r.max(1)),
            1 => (1, r + 3),
            2 => (c + 2, 1),
            3 => (2, 2 * r + 1),
            4 => (3 * c + 1, 3),
            _ => (-(c + 1), -1),
        };
        let last = |len: usize, stride: isize| len.saturating_sub(1) * stride.unsigned_abs();
        let reach = last(n, strides.0) + last(cols, strides.1);
        let offset = if strides.0 < 0 { reach } else { 0 };
        let data = vec![number(f64::NAN); reach + 1];
        Self { data, offset, shape: (n, cols), strides }
    }

    /// The same with entries from `f(i, j)`.
    pub(super) fn from_fn(
        layout: usize,
        n: usize,
        cols: usize,
        mut f: impl FnMut(usize, usize) -> f64,
    ) -> Self {
        let mut a = Self::new(layout, n, cols);
        for i in 0..n {
            for j in 0..cols {
                let at = a.at(i, j);
                a.data[at] = number(f(i, j));
            }
        }
        a
    }

    fn at(&self, i: usize, j: usize) -> usize {
        let step = i as isize * self.strides.0 + j as isize * self.strides.1;
        self.offset.checked_add_signed(step).unwrap()
    }

    pub(super) fn get(&self, i: usize, j: usize) -> f64 {
        self.data[self.at(i, j)].to_f64()
    }

    pub(super) fn column(&self, j: usize) -> Vec<f64> {
        (0..self.shape.0).map(|i| self.get(i, j)).collect()
    }

    pub(super) fn view<'a>(&'a self, cpu: &'a Cpu) -> MatRef<'a, T, Cpu> {
        MatRef::from_strided(cpu, &self.data, self.offset, self.shape, self.strides).unwrap()
    }

    pub(super) fn view_mut<'a>(&'a mut self, cpu: &'a Cpu) -> MatMut<'a, T, Cpu> {
        MatMut::from_strided(cpu, &mut self.data, self.offset, self.shape, self.strides).unwrap()
    }

    /// How many entries of memory are NaN: the gaps, unless one was written.
    pub(super) fn gaps(&self) -> usize {
        self.data.iter().filter(|x| x.to_f64().is_nan()).count()
    }
}

/// Numbers in (−1, 1) that look random.
pub(super) fn noise(seed: u64) -> impl FnMut(usize, usize) -> f64 {
    move |i, j| {
        let mut x = seed ^ (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (j as u64) << 40;
        for _ in 0..3 {
            x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        (x >> 12) as f64 / (1u64 << 51) as f64 - 1.0
    }
}
