//! Walsh-Hadamard and cosine transforms and the operators made of them on the GPU, against the oracle
//! under the bounds of `kernels_transform`; columns that are too long for the oracle against the CPU,
//! which has the same bound.
//!
//! The lengths meet both ways through the kernels: a column that fits a block, which in row-major
//! matrices of many columns ends at 2⁹ positions and else at 2¹² to 2¹⁴, and several passes.

use crate::common::entries::order;
use crate::common::{
    Layout, Placed, Plain, Reference, Stored, assert_columns_within, assert_same_bits,
    assert_within, cpus, noise, sketch,
};
use crate::gpu::gpu;
use randnla::{Backend, Blas, Cpu, Cuda, Family, Op, Scalar, Sketch, TransformKernels};

const FACTORS: [f64; 3] = [0.0, 1.0, -0.75];
const COSINE_FACTOR: f64 = 20.0;

/// What the tests need of a GPU.
trait Kernels<T: Scalar>: Blas<T> + TransformKernels<T> {}
impl<T: Scalar> Kernels<T> for Cuda where Cuda: Blas<T> + TransformKernels<T> {}

fn column_norms(a: &Plain) -> Vec<f64> {
    (0..a.cols).map(|j| a.columns(j, j + 1).norm()).collect()
}

fn fwht_on<T: Scalar>(cuda: &Cuda, what: &str, a: &Stored<T>) -> Stored<T>
where
    Cuda: Kernels<T>,
{
    let mut on = Placed::new(cuda, a);
    cuda.fwht(on.view_mut()).unwrap();
    let back = on.back();
    back.assert_gaps_untouched(what);
    back
}

#[test]
fn fwht_on_a_gpu_meets_the_rounding_model() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Kernels<T>,
    {
        for bits in 0..12 {
            let n = 1usize << bits;
            for (turn, cols) in [0, 1, 2, 7, 17, 33].into_iter().enumerate() {
                for (at, layout) in Layout::WRITABLE.into_iter().enumerate() {
                    let few = if bits < 6 { 1 } else { 3 };
                    if !(turn + at + bits as usize).is_multiple_of(few) || bits > 10 && cols > 17 {
                        continue;
                    }
                    let what = format!("{} fwht {n}×{cols} {layout:?}", T::NAME);
                    let a = Stored::<T>::new(layout, n, cols, |i, j| noise(bits, i, j));
                    let mut expected = a.clone();
                    Reference.fwht(expected.view_mut(&Reference)).unwrap();
                    let size = a.plain().abs();
                    let factor = (bits as f64 + 1.0) * T::UNIT_ROUNDOFF;
                    let totals: Vec<f64> =
                        (0..cols).map(|j| factor * size.column(j).iter().sum::<f64>()).collect();
                    let bound = Plain::from_fn(n, cols, |_, j| totals[j]);
                    let got = fwht_on(cuda, &what, &a).plain();
                    assert_within(&what, &got, &expected.plain(), &bound);
                }
            }
        }
    }
    let Some(cuda) = gpu("fwht") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

/// H·H = n·I holds exactly for small integers, at lengths that the oracle cannot reach.
#[test]
fn fwht_twice_on_a_gpu_is_exact_on_integers() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Kernels<T>,
    {
        let layouts = [Layout::Columns, Layout::Rows, Layout::Backwards, Layout::Strided];
        for (turn, (bits, cols)) in
            [(12, 3), (13, 2), (14, 2), (15, 2), (13, 17), (10, 40), (17, 1)]
                .into_iter()
                .enumerate()
        {
            let n = 1usize << bits;
            for layout in [layouts[turn % 4], Layout::Columns, Layout::Rows] {
                if bits == 17 && layout == Layout::Rows {
                    continue;
                }
                let what = format!("{} H·H {n}×{cols} {layout:?}", T::NAME);
                let x = |i, j| noise(9, i, j).signum();
                let once = fwht_on(cuda, &what, &Stored::<T>::new(layout, n, cols, x));
                for (row, j) in [(0, 0), (n / 2, cols - 1), (n - 1, 0), (n / 3, cols / 2)] {
                    let sign = |i: usize| crate::common::entries::hadamard(row, i);
                    let sum: f64 = (0..n).map(|i| sign(i) * x(i, j)).sum();
                    assert_eq!(once.plain_entry(row, j), sum, "{what}: entry {row} of {j}");
                }
                let back = Plain::from_fn(n, cols, |i, j| n as f64 * x(i, j));
                assert_same_bits(&what, &fwht_on(cuda, &what, &once).plain(), &back);
            }
        }
    }
    let Some(cuda) = gpu("fwht twice") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

fn dct_on<T: Scalar>(cuda: &Cuda, what: &str, op: Op, a: &Stored<T>) -> Stored<T>
where
    Cuda: Kernels<T>,
{
    let mut on = Placed::new(cuda, a);
    cuda.dct(op, on.view_mut()).unwrap();
    let back = on.back();
    back.assert_gaps_untouched(what);
    back
}

#[test]
fn dct_on_a_gpu_meets_the_rounding_model() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Kernels<T>,
        Cpu: Backend<T>,
    {
        let lengths = [
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 31, 60, 64, 97, 128, 257, 300, 512, 1024,
        ];
        for (turn, n) in lengths.into_iter().enumerate() {
            for (op, cols) in
                [Op::NoTrans, Op::Trans].into_iter().flat_map(|op| [0, 1, 3, 17].map(|c| (op, c)))
            {
                let layout = match n {
                    300.. if cols == 17 => Layout::Rows,
                    _ => Layout::WRITABLE[(turn + cols) % 6],
                };
                let what = format!("{} dct {op:?} {n}×{cols} {layout:?}", T::NAME);
                let a = Stored::<T>::new(layout, n, cols, |i, j| noise(3, i, j));
                let mut expected = a.clone();
                Reference.dct(op, expected.view_mut(&Reference)).unwrap();
                let factor = COSINE_FACTOR * (n as f64 + 1.0).log2() * T::UNIT_ROUNDOFF;
                let bound: Vec<f64> =
                    column_norms(&a.plain()).iter().map(|norm| factor * norm).collect();
                let got = dct_on(cuda, &what, op, &a).plain();
                assert_columns_within(&what, &got, &expected.plain(), &bound);
            }
        }
        // Several passes: powers of two, and convolutions.
        for (n, cols, layout) in [
            (4096, 2, Layout::Columns),
            (8192, 2, Layout::Columns),
            (16384, 1, Layout::Columns),
            (4099, 2, Layout::Backwards),
            (5000, 3, Layout::Rows),
        ] {
            let a = Stored::<T>::new(layout, n, cols, |i, j| noise(3, i, j));
            let factor = 2.0 * COSINE_FACTOR * (n as f64).log2() * T::UNIT_ROUNDOFF;
            let bound: Vec<f64> =
                column_norms(&a.plain()).iter().map(|norm| factor * norm).collect();
            for op in [Op::NoTrans, Op::Trans] {
                let what = format!("{} dct {op:?} {n}×{cols} {layout:?}", T::NAME);
                let (mut expected, cpu) = (a.clone(), &cpus()[0]);
                TransformKernels::<T>::dct(cpu, op, expected.view_mut(cpu)).unwrap();
                let got = dct_on(cuda, &what, op, &a).plain();
                assert_columns_within(&what, &got, &expected.plain(), &bound);
            }
        }
    }
    let Some(cuda) = gpu("dct") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

/// See `mix_case` of `kernels_transform` for the bound; what the CPU computed has an error as well.
fn mix_case<T: Scalar>(
    cuda: &Cuda,
    s: &Sketch,
    n: usize,
    op: Op,
    [la, lc]: [Layout; 2],
    (alpha, beta): (f64, f64),
) where
    Cuda: Kernels<T>,
    Cpu: Backend<T>,
{
    let (d, m) = s.shape();
    let (rows_a, rows_c) = if op == Op::NoTrans { (m, d) } else { (d, m) };
    let what = format!(
        "{} {:?} {d}×{m} {op:?} n={n} {la:?} {lc:?} α={alpha} β={beta}",
        T::NAME,
        s.family()
    );
    let value = |skip: bool, seed| move |i, j| if skip { f64::NAN } else { noise(seed, i, j) };
    let a = Stored::<T>::new(la, rows_a, n, value(alpha == 0.0, 1));
    let c = Stored::<T>::new(lc, rows_c, n, value(beta == 0.0, 2));
    let (x, y) = (T::from_f64(alpha), T::from_f64(beta));
    let mut expected = c.clone();
    let long = order(s) > 1024;
    if long {
        let cpu = &cpus()[0];
        cpu.mix_times(s, op, x, a.view(cpu), y, expected.view_mut(cpu)).unwrap();
    } else {
        let oracle = &Reference;
        oracle.mix_times(s, op, x, a.view(oracle), y, expected.view_mut(oracle)).unwrap();
    }
    let (on_a, mut on_c) = (Placed::new(cuda, &a), Placed::new(cuda, &c));
    cuda.mix_times(s, op, x, on_a.view(), y, on_c.view_mut()).unwrap();
    let got = on_c.back();
    got.assert_gaps_untouched(&what);
    let stages = (order(s) as f64).max(2.0).log2();
    let steps = match s.family() {
        Family::HadamardDiagonal => 3.0 * (stages + 2.0),
        Family::Srct => COSINE_FACTOR * (stages + 1.0),
        _ => stages + 2.0,
    };
    let norms = |x: &Stored<T>, factor: f64| {
        let zero = factor == 0.0;
        column_norms(&x.plain()).into_iter().map(move |y| if zero { 0.0 } else { y * factor.abs() })
    };
    let sides = if long { 2.0 } else { 1.0 };
    let new = norms(&a, alpha * s.scale()).map(|norm| (steps + 4.0) * norm);
    let bound: Vec<f64> = new
        .zip(norms(&c, beta))
        .map(|(new, old)| sides * T::UNIT_ROUNDOFF * (new + 3.0 * old))
        .collect();
    assert_columns_within(&what, &got.plain(), &expected.plain(), &bound);
}

const TRANSFORMS: [Family; 3] = [Family::Srht, Family::Srct, Family::HadamardDiagonal];

#[test]
fn subsampled_transforms_on_a_gpu_meet_the_rounding_model() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Kernels<T>,
        Cpu: Backend<T>,
    {
        let lengths = [0, 1, 2, 3, 5, 8, 17, 63, 64, 65, 129, 256];
        for (family, (turn, m)) in TRANSFORMS
            .into_iter()
            .flat_map(|f| lengths.into_iter().enumerate().map(move |l| (f, l)))
        {
            for d in [m.min(1), m / 3, m] {
                let whole = sketch(family, d, m, turn as u64).unwrap();
                let mut windows = vec![whole];
                if d > 2 {
                    windows.push(whole.rows(1..d - 1).columns(1..m));
                    windows.push(whole.columns(m / 2..m / 2 + 2));
                }
                for (k, s) in windows.into_iter().enumerate() {
                    for (n, op) in
                        [(0, Op::NoTrans), (1, Op::Trans), (9, Op::NoTrans), (20, Op::Trans)]
                    {
                        let la = Layout::READABLE[(k + turn + n) % 8];
                        let lc = Layout::WRITABLE[(k + 2 * turn + n) % 6];
                        let factors = (FACTORS[(1 + turn + n) % 3], FACTORS[(k + turn) % 3]);
                        mix_case::<T>(cuda, &s, n, op, [la, lc], factors);
                        mix_case::<T>(cuda, &s, n, op, [la, lc], (1.0, 0.0));
                    }
                }
            }
        }
        for (family, op) in
            TRANSFORMS.into_iter().flat_map(|f| [Op::NoTrans, Op::Trans].map(|op| (f, op)))
        {
            let s = sketch(family, 11, 20, 3).unwrap();
            for la in Layout::READABLE {
                for (turn, lc) in Layout::WRITABLE.into_iter().enumerate() {
                    let factors = (FACTORS[turn % 3], FACTORS[turn / 2]);
                    mix_case::<T>(cuda, &s, 5, op, [la, lc], factors);
                }
            }
        }
    }
    let Some(cuda) = gpu("subsampled transforms") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

#[test]
fn subsampled_transforms_of_long_columns_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Kernels<T>,
        Cpu: Backend<T>,
    {
        for family in TRANSFORMS {
            // Row-major: 2¹⁰ positions are two passes already.
            for (m, d, n) in [(1000, 50, 20), (600, 600, 33)] {
                let whole = sketch(family, d, m, 2).unwrap();
                let part = whole.rows(3..d - 1).columns(7..m - 5);
                for (s, op) in [(whole, Op::NoTrans), (part, Op::NoTrans), (part, Op::Trans)] {
                    mix_case::<T>(cuda, &s, n, op, [Layout::Rows; 2], (-0.75, 1.0));
                    let mixed = [Layout::PaddedRows, Layout::Columns];
                    mix_case::<T>(cuda, &s, n, op, mixed, (1.0, 0.0));
                }
            }
            for (m, n) in [(9000, 2), (20_000, 1), (16_384, 1)] {
                let whole = sketch(family, 100, m, 5).unwrap();
                let part = whole.rows(3..80).columns(7..m - 5);
                for op in [Op::NoTrans, Op::Trans] {
                    mix_case::<T>(cuda, &part, n, op, [Layout::Columns; 2], (-0.75, 1.0));
                    mix_case::<T>(cuda, &whole, n, op, [Layout::Columns; 2], (1.0, 0.0));
                }
            }
        }
    }
    let Some(cuda) = gpu("long subsampled transforms") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

/// Sampled rows and signs are those of the definition, bit for bit: unit vectors through S and Sᵀ.
#[test]
fn subsampled_transforms_draw_the_same_bits_on_a_gpu() {
    let Some(cuda) = gpu("draws") else { return };
    // Entries of an SRHT of power-of-two order, unscaled, are exactly ±1.
    for (m, d, seed) in [(64, 64, u64::MAX), (4096, 300, 12345), (2, 2, 0)] {
        let s = Sketch::srht(d, m, seed).unwrap();
        let cols = [0, 1, m / 2 - 1, m - 1];
        let unit = |i: usize, j: usize| f64::from(u8::from(i == cols[j]));
        let a = Stored::<f64>::new(Layout::Columns, m, 4, unit);
        let c = Stored::<f64>::new(Layout::Columns, d, 4, |_, _| f64::NAN);
        let (mut on, cpu) = (Placed::new(&cuda, &c), &cpus()[0]);
        cuda.mix_times(&s, Op::NoTrans, 1.0, Placed::new(&cuda, &a).view(), 0.0, on.view_mut())
            .unwrap();
        let mut expected = c.clone();
        cpu.mix_times(&s, Op::NoTrans, 1.0, a.view(cpu), 0.0, expected.view_mut(cpu)).unwrap();
        assert_same_bits("entries", &on.back().plain(), &expected.plain());
    }
}
