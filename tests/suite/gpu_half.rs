//! Operators on matrices stored in `f16` and `bf16` on the GPU: the cases of the CPU around the tiles of
//! the kernels, and the entries of dense operators bit for bit.

use crate::common::place::cuda as gpu;
use crate::common::{FAMILIES, Layout, Plain, Stored, assert_same_bits, cpus, noise};
use crate::half_cases::{
    Case, FACTORS, Operand, SIDES, Side, check_sums_of_windows, fitting, operator,
};
use randnla::{
    BlockPermParams, Cpu, Cuda, Family, Half, HalfKernels, Mat, Sketch, SketchBackend,
    StorageKernels, bf16, f16,
};

const DENSE: [Family; 3] = [Family::Gaussian, Family::Rademacher, Family::Uniform];

#[test]
fn conversions_of_halves_on_a_gpu() {
    fn cases<H: Half>(cuda: &Cuda)
    where
        Cuda: HalfKernels<H> + SketchBackend<H>,
        Cpu: HalfKernels<H> + SketchBackend<H>,
    {
        let cpu = &cpus()[0];
        // 16-byte accesses need whole groups of eight; tiles are 32×32; more than a block each way.
        let shapes = [(0, 3), (1, 1), (7, 9), (8, 8), (33, 65), (520, 5), (64, 96)];
        for (turn, (rows, cols)) in shapes.into_iter().enumerate() {
            for (k, to) in Layout::WRITABLE.into_iter().enumerate() {
                let from = Layout::READABLE[(k + 3 * turn) % 8];
                let a = Stored::<H>::new(from, rows, cols, |i, j| noise(1, i, j));
                let (on_a, what) =
                    (a.on(cuda), format!("{} {rows}×{cols} {from:?} {to:?}", H::NAME));

                let b = Stored::<H>::new(to, rows, cols, |_, _| f64::NAN);
                let copy =
                    b.after(&what, cuda, |b| StorageKernels::<H>::copy(cuda, on_a.view(), b));
                assert_same_bits(&what, &copy, &a.plain());

                let wide = Stored::<f32>::new(to, rows, cols, |_, _| f64::NAN);
                let wide =
                    wide.after(&what, cuda, |b| HalfKernels::<H>::widen(cuda, on_a.view(), b));
                assert_same_bits(&what, &wide, &a.plain());

                let x = Stored::<f32>::new(from, rows, cols, |i, j| 1e5 * noise(2, i, j).powi(9));
                let (alpha, beta) = (FACTORS[(k + turn) % 3] as f32, FACTORS[(k / 2) % 3] as f32);
                let old = |i, j| if beta == 0.0 { f64::NAN } else { noise(3, i, j) };
                let c = Stored::<H>::new(to, rows, cols, old);
                let got = c.after(&what, cuda, |c| {
                    HalfKernels::<H>::narrow(cuda, alpha, x.on(cuda).view(), beta, c)
                });
                let expected = c.after(&what, cpu, |c| {
                    HalfKernels::<H>::narrow(cpu, alpha, x.on(cpu).view(), beta, c)
                });
                // One rounding of αx + βc may be a fused one on a GPU.
                if beta == 0.0 || alpha == 0.0 || alpha == 1.0 {
                    assert_same_bits(&what, &got, &expected);
                }
            }
        }
    }
    let Some(cuda) = gpu("conversions of halves") else { return };
    cases::<f16>(&cuda);
    cases::<bf16>(&cuda);
}

/// S·I and SᵀI hold single entries of S, as the CPU has them: 10^6 a family of the kernel that multiplies
/// what it generates.
#[test]
fn entries_in_halves_are_those_of_the_cpu_on_a_gpu() {
    fn cases<H: Half>(cuda: &Cuda)
    where
        Cuda: SketchBackend<H>,
        Cpu: SketchBackend<H>,
    {
        let one = |i: usize, j: usize| H::narrow(f32::from(u8::from(i == j)));
        for family in DENSE {
            let far = fitting(family, 16_000, 1 << 34, 3).raw();
            let s = far.rows(13..15_990).columns((1 << 32) - 30..(1 << 32) + 34);
            let expected = Plain::of(s.to_mat::<H, Cpu>(&cpus()[1]).unwrap().as_ref());
            let what = format!("{} {family:?}", H::NAME);
            let identity = Mat::<H, Cuda>::from_fn(cuda, 64, 64, one).unwrap();
            let fused = s.apply(&identity).unwrap();
            assert_same_bits(&what, &Plain::of(fused.as_ref()), &expected);
            let formed = s.to_mat::<H, Cuda>(cuda).unwrap();
            assert_same_bits(&what, &Plain::of(formed.as_ref()), &expected);
            // 65 columns are beyond the fused kernel.
            let wide = Mat::<H, Cuda>::from_fn(cuda, 64, 65, one).unwrap();
            let panels = s.apply(&wide).unwrap();
            assert_same_bits(&what, &Plain::of(panels.columns(0..64)), &expected);

            let s = fitting(family, 200, 1700, 3).raw().rows(61..125);
            let expected = Plain::of(s.to_mat::<H, Cpu>(&cpus()[1]).unwrap().as_ref()).transpose();
            let fused = s.apply_adjoint(&identity).unwrap();
            assert_same_bits(&what, &Plain::of(fused.as_ref()), &expected);
            let panels = s.apply_adjoint(&wide).unwrap();
            assert_same_bits(&what, &Plain::of(panels.columns(0..64)), &expected);
        }
    }
    let Some(cuda) = gpu("entries in halves") else { return };
    cases::<f16>(&cuda);
    cases::<bf16>(&cuda);
}

#[test]
fn dense_operators_on_halves_around_every_tile_on_a_gpu() {
    fn cases<H: Half>(cuda: &Cuda)
    where
        Cuda: SketchBackend<H>,
        Cpu: SketchBackend<H>,
    {
        let shapes = [
            (0, 5, 3),
            (5, 0, 3),
            (1, 1, 1),
            (7, 8, 9),
            (15, 17, 16),
            (31, 63, 8),
            (32, 64, 17),
            (33, 65, 1),
            (127, 64, 31),
            (128, 65, 32),
            (129, 31, 33),
            (65, 128, 63),
            (64, 129, 64),
            (20, 70, 65),
        ];
        for (f, family) in DENSE.into_iter().enumerate() {
            for (turn, (d, m, n)) in shapes.into_iter().enumerate() {
                let whole = fitting(family, d + 70, m + 3, turn as u64);
                let starts = [0, 1, 4, 33, 66];
                let start = starts[(turn + f) % 5];
                let s = &whole.rows(start..start + d).columns(turn % 4..turn % 4 + m);
                let operator = &operator::<H>(s);
                for (k, side) in SIDES.into_iter().enumerate() {
                    let la = Layout::READABLE[(turn + 3 * k + f) % 8];
                    let lc = Layout::WRITABLE[(turn + k) % 6];
                    let (alpha, beta) = (FACTORS[1 + (turn + k) % 2], FACTORS[(turn / 2 + k) % 3]);
                    Case { s, operator, side, operand: Operand::Dense, alpha, beta }
                        .check::<H, Cuda>(cuda, n, [la, lc]);
                }
            }
        }
    }
    let Some(cuda) = gpu("dense operators on halves") else { return };
    cases::<f16>(&cuda);
    cases::<bf16>(&cuda);
}

/// Three tiles and a ragged end along every axis, several parts, 16-byte loads with and without
/// alignment, both orders of A.
#[test]
fn dense_operators_on_large_halves_on_a_gpu() {
    fn cases<H: Half>(cuda: &Cuda)
    where
        Cuda: SketchBackend<H>,
        Cpu: SketchBackend<H>,
    {
        for (turn, family) in DENSE.into_iter().enumerate() {
            for (side, d, m, n) in [
                (Side::Left, 390, 520, 24),
                (Side::Adjoint, 520, 390, 24),
                (Side::Left, 40, 1600, 5),
                (Side::Left, 130, 200, 136),
                (Side::Adjoint, 130, 200, 136),
            ] {
                let s = &fitting(family, d, m, 9);
                let operator = &operator::<H>(s);
                for layout in [Layout::Columns, Layout::Rows, Layout::PaddedRows] {
                    let (alpha, beta) = (-0.75, FACTORS[turn]);
                    Case { s, operator, side, operand: Operand::Dense, alpha, beta }
                        .check::<H, Cuda>(cuda, n, [layout; 2]);
                }
            }
        }
    }
    let Some(cuda) = gpu("dense operators on large halves") else { return };
    cases::<f16>(&cuda);
    cases::<bf16>(&cuda);
}

#[test]
fn every_family_and_kind_of_operand_in_halves_on_a_gpu() {
    fn cases<H: Half>(cuda: &Cuda)
    where
        Cuda: SketchBackend<H>,
        Cpu: SketchBackend<H>,
    {
        for (f, family) in FAMILIES.into_iter().enumerate() {
            for (turn, (d, m, n)) in [(1, 1, 1), (9, 40, 5), (33, 130, 70)].into_iter().enumerate()
            {
                let whole = fitting(family, d, m, 3);
                let s = &if d > 8 { whole.rows(1..d).columns(2..m - 1) } else { whole };
                let operator = &operator::<H>(s);
                for (k, side) in SIDES.into_iter().enumerate() {
                    for (o, operand) in
                        [Operand::Dense, Operand::Csr, Operand::Csc].into_iter().enumerate()
                    {
                        let la = Layout::READABLE[(turn + k + f) % 8];
                        let lc = Layout::WRITABLE[(turn + k + o) % 6];
                        let factors = (turn + k + o + f) % 9;
                        let (alpha, beta) = (FACTORS[factors % 3], FACTORS[factors / 3]);
                        let case = Case { s, operator, side, operand, alpha, beta };
                        case.check::<H, Cuda>(cuda, n, [la, lc]);
                        Case { alpha: 1.0, ..case }.check::<H, Cuda>(cuda, n, [la, lc]);
                    }
                }
            }
        }
    }
    let Some(cuda) = gpu("every family in halves") else { return };
    cases::<f16>(&cuda);
    cases::<bf16>(&cuda);
}

/// Long lists in parts, lists in one, all of `gather`'s lanes.
#[test]
fn sparse_operators_on_large_halves_on_a_gpu() {
    fn cases<H: Half>(cuda: &Cuda)
    where
        Cuda: SketchBackend<H>,
        Cpu: SketchBackend<H>,
    {
        let families = [Family::SparseSign, Family::SparseStack, Family::CountSketch, Family::Laso];
        for (turn, family) in families.into_iter().enumerate() {
            for (d, m, n) in
                [(30, 2100, 3), (600, 900, 1), (70, 200, 32), (10, 900, 33), (40, 50, 300)]
            {
                let s = &fitting(family, d, m, 9);
                let operator = &operator::<H>(s);
                for side in [Side::Left, Side::Adjoint] {
                    let layout = [Layout::Rows, Layout::Columns][(turn + n) % 2];
                    Case { s, operator, side, operand: Operand::Dense, alpha: -0.75, beta: 1.0 }
                        .check::<H, Cuda>(cuda, n, [layout; 2]);
                }
            }
        }
    }
    let Some(cuda) = gpu("sparse operators on large halves") else { return };
    cases::<f16>(&cuda);
    cases::<bf16>(&cuda);
}

/// BlockPerm-SJLT where its kernel is at home: ragged blocks and windows, one slice and several, parts of a
/// sum, A and C by rows, by columns and neither, on boundaries of eight bytes and off them.
#[test]
fn products_by_blocks_in_halves_on_a_gpu() {
    fn cases<H: Half>(cuda: &Cuda)
    where
        Cuda: SketchBackend<H>,
        Cpu: SketchBackend<H>,
    {
        let shapes = [
            (1, 1, (1, 1, 1), 1),
            (7, 9, (3, 2, 2), 4),
            (17, 33, (4, 4, 3), 5),
            (65, 300, (6, 3, 2), 37),
            (150, 100, (2, 1, 2), 32),
            (201, 130, (3, 3, 5), 33),
            (10, 2100, (3, 2, 2), 7),
        ];
        for (turn, (d, m, (blocks, wirings, nnz), n)) in shapes.into_iter().enumerate() {
            let params = BlockPermParams::new().blocks(blocks).wirings(wirings).nnz(nnz);
            let whole = Sketch::block_perm_sjlt(d, m, params, turn as u64).unwrap();
            let s =
                &if d > 2 && turn % 2 == 0 { whole.rows(1..d - 1).columns(3..m) } else { whole };
            let operator = &operator::<H>(s);
            for (k, la) in Layout::READABLE.into_iter().enumerate() {
                let lc = Layout::WRITABLE[(k + turn) % 6];
                let (alpha, beta) = (FACTORS[1 + (k + turn) % 2], FACTORS[(k / 2 + turn) % 3]);
                Case { s, operator, side: Side::Left, operand: Operand::Dense, alpha, beta }
                    .check::<H, Cuda>(cuda, n, [la, lc]);
            }
        }
    }
    let Some(cuda) = gpu("products by blocks in halves") else { return };
    cases::<f16>(&cuda);
    cases::<bf16>(&cuda);
}

/// What chunks of columns are summed with; a chunk itself has more positions than the interpreter can sort.
#[test]
fn sums_of_windows_in_halves_on_a_gpu() {
    let Some(cuda) = gpu("sums of windows in halves") else { return };
    check_sums_of_windows::<f16, Cuda>(&cuda);
    check_sums_of_windows::<bf16, Cuda>(&cuda);
}

#[test]
fn halves_overflow_and_keep_nan_on_a_gpu() {
    fn cases<H: Half>(cuda: &Cuda, largest: f32)
    where
        Cuda: SketchBackend<H>,
    {
        let s = Sketch::rademacher(40, 64, 3).unwrap().raw();
        for n in [3, 70] {
            let a = |i: usize, j: usize| match j {
                0 => H::narrow(largest / 64.0),
                1 if i == 5 => H::narrow(f32::NAN),
                1 => H::narrow(1.0),
                _ => H::narrow(0.5),
            };
            let a = Mat::<H, Cuda>::from_fn(cuda, 64, n, a).unwrap();
            let mut c = Mat::<H, Cuda>::zeros(cuda, 40, n).unwrap();
            s.apply_into(16.0, &a, 0.0, c.as_mut()).unwrap();
            let c = Plain::of(c.as_ref());
            for i in 0..40 {
                // Eight times the sum of signs is column 2.
                let sum = c.get(i, 2) / 8.0;
                let finite = sum / 4.0 * f64::from(largest);
                let expected = if sum.abs() > 4.0 { sum * f64::INFINITY } else { finite };
                assert_eq!(c.get(i, 0), expected, "row {i}: {sum}");
                assert!(c.get(i, 1).is_nan());
            }
        }
    }
    let Some(cuda) = gpu("overflow of halves") else { return };
    cases::<f16>(&cuda, 65504.0);
    cases::<bf16>(&cuda, 3.3895314e38);
}
