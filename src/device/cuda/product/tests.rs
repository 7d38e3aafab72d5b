//! Products in blocks. Entries are small integers, so that sums are exact in any order.

use super::*;
use crate::Blas;
use crate::device::cuda::tests::gpu;

/// Where entry (i, j) of an r×c matrix lies: offset, strides and length of the memory.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    Columns,
    Rows,
    Strided,
    Backwards,
    EqualRows,
}

const WRITABLE: [Layout; 4] = [Layout::Columns, Layout::Rows, Layout::Strided, Layout::Backwards];
const READABLE: [Layout; 5] =
    [Layout::Columns, Layout::Rows, Layout::Strided, Layout::Backwards, Layout::EqualRows];

/// A matrix on the host and on the device.
struct Case {
    memory: Mat<f64, Cuda>,
    host: Vec<f64>,
    shape: (usize, usize),
    offset: usize,
    strides: (isize, isize),
}

impl Case {
    fn new(cuda: &Cuda, layout: Layout, (rows, cols): (usize, usize), seed: usize) -> Self {
        let (r, c) = (rows as isize, cols as isize);
        let (offset, strides) = match layout {
            Layout::Columns => (0, (1, r)),
            Layout::Rows => (0, (c, 1)),
            Layout::Strided => (3, (2, 2 * r + 1)),
            Layout::Backwards => (rows - 1, (-1, r)),
            Layout::EqualRows => (0, (0, 1)),
        };
        let len = 2 * (rows + 1) * (cols + 1) + 3;
        let host: Vec<f64> =
            (0..len).map(|i| ((i * (seed + 7) + seed) % 11) as f64 - 5.0).collect();
        let memory = Mat::from_column_major(cuda, &host, len, 1).unwrap();
        Self { memory, host, shape: (rows, cols), offset, strides }
    }

    fn place(&self, i: usize, j: usize) -> usize {
        let (rs, cs) = self.strides;
        (self.offset as isize + i as isize * rs + j as isize * cs) as usize
    }

    fn get(&self, i: usize, j: usize) -> f64 {
        self.host[self.place(i, j)]
    }

    fn view(&self) -> MatRef<'_, f64, Cuda> {
        let pointer = self.memory.as_ref().as_ptr().wrapping_add(self.offset);
        // SAFETY: the memory has every entry.
        unsafe { MatRef::from_raw_parts(self.memory.device(), pointer, self.shape, self.strides) }
            .unwrap()
    }

    fn view_mut(&mut self) -> MatMut<'_, f64, Cuda> {
        let pointer = self.memory.as_mut().as_mut_ptr().wrapping_add(self.offset);
        // SAFETY: as above, and positions are distinct.
        let view = unsafe {
            MatMut::from_raw_parts(self.memory.device(), pointer, self.shape, self.strides)
        };
        view.unwrap()
    }

    /// The host's matrix takes on `entry(i, j)`, and the device's memory is the same, gaps included.
    fn assert_became(&mut self, what: &str, entry: impl Fn(&Self, usize, usize) -> f64) {
        let (rows, cols) = self.shape;
        let mut expected = self.host.clone();
        for (i, j) in (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))) {
            expected[self.place(i, j)] = entry(self, i, j);
        }
        assert_eq!(self.memory.to_vec().unwrap(), expected, "{what}");
    }
}

/// Limits that small matrices meet: short dimensions, packed blocks of a few entries, or both.
const SMALL: [Limits; 3] = [
    Limits { longest: 7, packed: 1 << 20, edge: 256 },
    Limits { longest: 64, packed: 24, edge: 3 },
    Limits { longest: 5, packed: 12, edge: 2 },
];

#[test]
fn blocks_keep_the_limits() {
    let lengths = [1, 2, 3, 5, 100, 255, 256, 257, 1 << 16, (1 << 24) + 1, 1 << 31, 1 << 40];
    for limits in SMALL.into_iter().chain([LIMITS]) {
        for case in 0..lengths.len().pow(3) * 8 {
            let at = |power: u32| lengths[case / 8 / lengths.len().pow(power) % lengths.len()];
            let sizes = (at(0), at(1), at(2));
            let packs = [case & 1 != 0, case & 2 != 0, case & 4 != 0];
            let (m, n, k) = limits.blocks(sizes, packs);
            for (block, whole) in [(m, sizes.0), (n, sizes.1), (k, sizes.2)] {
                assert!(1 <= block && block <= whole.min(limits.longest), "{sizes:?} {packs:?}");
            }
            for (entries, packed) in [m * k, k * n, m * n].into_iter().zip(packs) {
                assert!(!packed || entries <= limits.packed, "{sizes:?} {packs:?}: {entries}");
            }
            if packs == [false; 3] {
                assert_eq!((m, n, k), {
                    let most = limits.longest;
                    (sizes.0.min(most), sizes.1.min(most), sizes.2.min(most))
                });
            }
        }
    }
}

#[test]
fn gpu_products_in_blocks_are_exact() {
    let Some(cuda) = gpu("products in blocks") else { return };
    let shapes = [(5, 6, 20), (20, 3, 5), (4, 20, 5), (8, 9, 10)];
    for case in 0..READABLE.len().pow(2) * WRITABLE.len() {
        let (la, lb) = (READABLE[case % 5], READABLE[case / 5 % 5]);
        let (lc, limits) = (WRITABLE[case / 25], SMALL[case % 3]);
        let (m, n, k) = shapes[case % 4];
        let (alpha, beta) = [(1.0, 0.0), (-2.0, 1.0), (1.0, 3.0)][case % 7 % 3];
        let what = format!("{la:?} {lb:?} {lc:?} {m}×{n}×{k} {alpha} {beta} {limits:?}");
        let (a, b) = (Case::new(&cuda, la, (m, k), 1), Case::new(&cuda, lb, (k, n), 2));
        let mut c = Case::new(&cuda, lc, (m, n), 3);
        gemm_within(&cuda, limits, alpha, a.view(), b.view(), beta, c.view_mut()).unwrap();
        c.assert_became(&what, |c, i, j| {
            let sum: f64 = (0..k).map(|l| a.get(i, l) * b.get(l, j)).sum();
            alpha * sum + beta * c.get(i, j)
        });
    }
}

#[test]
fn gpu_gram_matrices_in_blocks_are_exact() {
    let Some(cuda) = gpu("gram matrices in blocks") else { return };
    for case in 0..READABLE.len() * WRITABLE.len() * SMALL.len() {
        let (la, lg) = (READABLE[case % 5], WRITABLE[case / 5 % 4]);
        let (limits, (m, n)) = (SMALL[case / 20], [(23, 4), (9, 5), (3, 2)][case % 3]);
        let what = format!("{la:?} {lg:?} {m}×{n} {limits:?}");
        let (a, mut g) = (Case::new(&cuda, la, (m, n), 4), Case::new(&cuda, lg, (n, n), 5));
        gram_within(&cuda, limits, a.view(), g.view_mut()).unwrap();
        g.assert_became(&what, |_, i, j| (0..m).map(|l| a.get(l, i) * a.get(l, j)).sum());
    }
}

#[test]
fn gpu_triangular_solves_in_blocks_are_exact() {
    let Some(cuda) = gpu("triangular solves in blocks") else { return };
    let n = 4;
    for case in 0..WRITABLE.len().pow(2) * SMALL.len() * 4 {
        let (la, lb, limits) = (WRITABLE[case % 4], WRITABLE[case / 4 % 4], SMALL[case / 16 % 3]);
        let (uplo, op) = [
            (Uplo::Lower, Op::NoTrans),
            (Uplo::Upper, Op::NoTrans),
            (Uplo::Lower, Op::Trans),
            (Uplo::Upper, Op::Trans),
        ][case / 48];
        let what = format!("{la:?} {lb:?} {uplo:?} {op:?} {limits:?}");
        let mut a = Case::new(&cuda, la, (n, n), 6);
        // Powers of two on the diagonal, NaN in the triangle that is not read.
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let (place, inside) = (a.place(i, j), (i > j) == (uplo == Uplo::Lower));
            let entry = if i == j { [1.0, -2.0, 0.5, 1.0][i] } else { a.get(i, j) };
            a.host[place] = if inside || i == j { entry } else { f64::NAN };
        }
        a.memory = Mat::from_column_major(&cuda, &a.host, a.host.len(), 1).unwrap();
        let op_a = |i, j| {
            let (i, j) = if op == Op::NoTrans { (i, j) } else { (j, i) };
            if (i >= j) == (uplo == Uplo::Lower) || i == j { a.get(i, j) } else { 0.0 }
        };
        // B = X op(A) of a known X.
        let x = |i: usize, j: usize| ((3 * i + 5 * j) % 7) as f64 - 3.0;
        let mut b = Case::new(&cuda, lb, (11, n), 7);
        for (i, j) in (0..11).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let place = b.place(i, j);
            b.host[place] = (0..n).map(|l| x(i, l) * op_a(l, j)).sum();
        }
        b.memory = Mat::from_column_major(&cuda, &b.host, b.host.len(), 1).unwrap();
        trsm_right_within(&cuda, limits, uplo, op, a.view(), b.view_mut()).unwrap();
        b.assert_became(&what, |_, i, j| x(i, j));
    }
}

/// cuBLAS counts steps of a batch forward only.
#[test]
fn gpu_batches_may_run_backwards() {
    let Some(cuda) = gpu("batches backwards") else { return };
    let (m, n, k, batch) = (3, 2, 4, 5);
    for signs in 0..8 {
        let part = |seed, rows, cols, backwards: bool| {
            let case = Case::new(&cuda, Layout::Columns, (rows, cols * batch), seed);
            let (start, step) = match backwards {
                true => ((batch - 1) * rows * cols, -((rows * cols) as isize)),
                false => (0, (rows * cols) as isize),
            };
            (case, start, step)
        };
        let [(a, at_a, step_a), (b, at_b, step_b), (mut c, at_c, step_c)] = [
            part(1, m, k, signs & 1 != 0),
            part(2, k, n, signs & 2 != 0),
            part(3, m, n, signs & 4 != 0),
        ];
        let first = |case: &Case, at: usize, shape: (usize, usize)| {
            let pointer = case.view().as_ptr().wrapping_add(at);
            // SAFETY: the memory has every entry of the first matrix.
            unsafe { MatRef::from_raw_parts(&cuda, pointer, shape, (1, shape.0 as isize)) }.unwrap()
        };
        let target = c.view_mut().as_mut_ptr().wrapping_add(at_c);
        // SAFETY: the memory has every matrix of the batches, and those of C are distinct.
        unsafe {
            let target = MatMut::from_raw_parts(&cuda, target, (m, n), (1, m as isize)).unwrap();
            let a = BatchRef::from_raw_parts(first(&a, at_a, (m, k)), step_a, batch);
            let b = BatchRef::from_raw_parts(first(&b, at_b, (k, n)), step_b, batch);
            let c = BatchMut::from_raw_parts(target, step_c, batch);
            Blas::gemm_batched(&cuda, 1.0, a, b, 0.0, c).unwrap();
        }
        let matrix = |step: isize, of: usize| if step < 0 { batch - 1 - of } else { of };
        c.assert_became(&format!("signs {signs}"), |_, i, column| {
            let q = matrix(step_c, column / n);
            let (a0, b0) = (matrix(step_a, q) * k, matrix(step_b, q) * n);
            (0..k).map(|l| a.get(i, a0 + l) * b.get(l, b0 + column % n)).sum()
        });
    }
}
