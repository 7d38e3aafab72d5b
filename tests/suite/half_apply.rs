//! Every family × operation × layout × kind of operand × α, β on matrices stored in `f16` and `bf16`, on
//! the CPU, and what holds exactly: bits for any number of threads, powers of two, NaN and infinity.

use crate::common::entries::entries;
use crate::common::{FAMILIES, Layout, Plain, Stored, assert_same_bits, cpus, is_transform, noise};
use crate::half_cases::{
    Case, FACTORS, Operand, SIDES, Side, check_sums_of_windows, fitting, operator,
};
use randnla::{
    Cpu, Error, Family, Half, HalfKernels, Mat, MatRef, Sketch, SketchBackend, SketchKernels,
    StorageKernels, bf16, f16,
};

#[test]
fn every_family_operation_and_shape_in_halves() {
    fn cases<H: Half>()
    where
        Cpu: SketchBackend<H>,
    {
        let shapes = [
            (0, 5, 3),
            (5, 0, 3),
            (5, 7, 0),
            (1, 1, 1),
            (7, 9, 1),
            (8, 16, 2),
            (17, 33, 8),
            (33, 65, 31),
            (31, 64, 65),
            (20, 257, 5),
        ];
        for family in FAMILIES {
            for (turn, (d, m, n)) in shapes.into_iter().enumerate() {
                let s = &fitting(family, d, m, turn as u64);
                let operator = &operator::<H>(s);
                for (k, side) in SIDES.into_iter().enumerate() {
                    let layouts = [Layout::Columns, Layout::Rows, Layout::Strided];
                    let (la, lc) = (layouts[(k + turn) % 3], layouts[(k / 2 + turn) % 3]);
                    let case = |operand, alpha, beta| {
                        let case = Case { s, operator, side, operand, alpha, beta };
                        case.check::<H, Cpu>(&cpus()[1], n, [la, lc]);
                    };
                    case(Operand::Dense, 1.0, 0.0);
                    case(Operand::Dense, -0.75, 1.0);
                    case([Operand::Csr, Operand::Csc][(k + turn) % 2], 1.0, -0.75);
                }
            }
        }
    }
    cases::<f16>();
    cases::<bf16>();
}

#[test]
fn every_layout_factor_and_window_in_halves() {
    fn cases<H: Half>()
    where
        Cpu: SketchBackend<H>,
    {
        for family in FAMILIES {
            let whole = fitting(family, 9, 23, 3);
            for s in &[whole, whole.rows(1..8).columns(3..22)] {
                let operator = &operator::<H>(s);
                for (turn, side) in SIDES.into_iter().enumerate() {
                    for (k, lc) in Layout::WRITABLE.into_iter().enumerate() {
                        let la = Layout::READABLE[(k + turn) % 8];
                        for operand in [Operand::Dense, Operand::Csr, Operand::Csc] {
                            for alpha in FACTORS {
                                let beta = FACTORS[(k + turn) % 3];
                                Case { s, operator, side, operand, alpha, beta }.check::<H, Cpu>(
                                    &cpus()[0],
                                    5,
                                    [la, lc],
                                );
                            }
                        }
                    }
                }
            }
        }
    }
    cases::<f16>();
    cases::<bf16>();
}

/// Beyond every length at which sums, panels of S and widened panels of A are cut.
#[test]
fn matrices_larger_than_the_panels_of_halves() {
    fn cases<H: Half>()
    where
        Cpu: SketchBackend<H>,
    {
        let case = |family, (d, m, n), side, operand: Operand| {
            let s = &fitting(family, d, m, 5);
            let operator = &operator::<H>(s);
            let (alpha, beta) = (-0.75, 1.0);
            Case { s, operator, side, operand, alpha, beta }.check::<H, Cpu>(
                &cpus()[1],
                n,
                [Layout::Columns; 2],
            );
        };
        case(Family::Gaussian, (15_400, 261, 2), Side::Left, Operand::Dense);
        case(Family::Rademacher, (261, 15_400, 2), Side::Adjoint, Operand::Dense);
        case(Family::Uniform, (520, 3, 8200), Side::Left, Operand::Dense);
        case(Family::Gaussian, (40, 3000, 9), Side::Left, Operand::Csr);
        case(Family::Gaussian, (40, 3000, 9), Side::Right, Operand::Csr);
        case(Family::SparseStack, (3, 30_000, 150), Side::Left, Operand::Dense);
        case(Family::CountSketch, (3, 30_000, 150), Side::Adjoint, Operand::Dense);
        case(Family::RowSampling, (3, 30_000, 150), Side::Left, Operand::Dense);
    }
    cases::<f16>();
    cases::<bf16>();
}

/// An operator whose columns are indexed in several chunks: an entry of C is rounded once, not once a chunk.
#[test]
fn chunks_of_columns_are_rounded_once_in_halves() {
    fn cases<H: Half>()
    where
        Cpu: HalfKernels<H> + SketchBackend<H>,
    {
        let (cpu, s) = (&cpus()[1], &Sketch::sparse_stack(2048, 2300, 1024, 5).unwrap());
        assert_eq!(2300_usize.div_ceil(SketchKernels::<f32>::index_chunk(cpu, s)), 3);
        let operator = &operator::<H>(s);
        for (k, side) in SIDES.into_iter().enumerate() {
            let layouts = [[Layout::Columns; 2], [Layout::Rows, Layout::Strided]][k % 2];
            Case { s, operator, side, operand: Operand::Dense, alpha: -0.75, beta: 1.0 }
                .check::<H, Cpu>(cpu, 3, layouts);
        }
        check_sums_of_windows::<H, Cpu>(cpu);
    }
    cases::<f16>();
    cases::<bf16>();
}

/// The product of an operator with a matrix of `f(i, j)`, by columns.
fn product<H: Half>(cpu: &Cpu, s: &Sketch, n: usize, f: impl Fn(usize, usize) -> f64) -> Plain
where
    Cpu: SketchBackend<H>,
{
    let entry = |i, j| H::narrow(f(i, j) as f32);
    let a = Mat::<H, Cpu>::from_fn(cpu, s.ncols(), n, entry).unwrap();
    Plain::of(s.apply(&a).unwrap().as_ref())
}

#[test]
fn halves_have_the_same_bits_for_any_number_of_threads() {
    fn cases<H: Half>()
    where
        Cpu: SketchBackend<H>,
    {
        for family in FAMILIES {
            let s = fitting(family, 40, if family == Family::Haar { 300 } else { 4500 }, 2);
            let on = |cpu| product::<H>(cpu, &s, 70, |i, j| noise(1, i, j));
            let one = on(&cpus()[0]);
            for cpu in &cpus()[1..] {
                assert_same_bits(&format!("{} {family:?}", H::NAME), &on(cpu), &one);
            }
        }
    }
    cases::<f16>();
    cases::<bf16>();
}

#[test]
fn powers_of_two_scale_halves_exactly() {
    fn cases<H: Half>()
    where
        Cpu: SketchBackend<H>,
    {
        for family in FAMILIES {
            let s = fitting(family, 12, 70, 4);
            let scaled = |factor: f64| {
                // Two and more, so that nothing is subnormal.
                let f = |i, j| factor * (3.0 + noise(1, i, j));
                product::<H>(&cpus()[1], &s, 6, f).map(|x| x / factor)
            };
            let one = scaled(1.0);
            let smallest = one.data.iter().fold(f64::MAX, |m, x| m.min(x.abs()));
            if smallest > 0.01 || H::NAME == "bf16" {
                assert_same_bits(&format!("{} {family:?}", H::NAME), &scaled(16.0), &one);
            }
            if H::NAME == "bf16" {
                let far = scaled(2f64.powi(60));
                assert_same_bits(&format!("{} {family:?}", H::NAME), &far, &one);
            }
        }
    }
    cases::<f16>();
    cases::<bf16>();
}

#[test]
fn halves_overflow_to_infinity_and_keep_nan_and_infinity() {
    fn cases<H: Half>(largest: f64)
    where
        Cpu: SketchBackend<H>,
    {
        let cpu = &cpus()[1];
        // 64 equal rows of 1/64 of the largest number: sums of signs beyond ±4 overflow when 16 of them are
        // rounded, and not before.
        let s = Sketch::rademacher(40, 64, 3).unwrap().raw();
        let sums = entries::<f32>(&s).times(&Plain::from_fn(64, 1, |_, _| 1.0));
        let share = |_, _| H::narrow((largest / 64.0) as f32);
        let a = Mat::<H, Cpu>::from_fn(cpu, 64, 1, share).unwrap();
        let mut c = Mat::<H, Cpu>::zeros(cpu, 40, 1).unwrap();
        s.apply_into(16.0, &a, 0.0, c.as_mut()).unwrap();
        let mut beyond = 0;
        for (got, &sum) in c.to_vec().unwrap().into_iter().zip(&sums.data) {
            let got = f64::from(got.widen());
            if sum.abs() > 4.0 {
                beyond += 1;
                assert_eq!(got, sum.signum() * f64::INFINITY);
            } else {
                assert_eq!(got, sum / 4.0 * largest);
            }
        }
        assert!(beyond > 5 && beyond < 35);
        for family in FAMILIES {
            let s = fitting(family, 10, 33, 1);
            let whole =
                |x: f64| product::<H>(cpu, &s, 3, |i, j| if j == 1 { x } else { f64::from(i < 9) });
            for x in [f64::NAN, f64::INFINITY] {
                let got = whole(x);
                assert!(got.column(0).iter().chain(got.column(2)).all(|x| x.is_finite()));
                let hit = got.column(1).iter().filter(|x| !x.is_finite()).count();
                // A column of all infinities reaches every row of S that is not empty.
                let reached = if family == Family::CountSketch { 5 } else { 9 };
                assert!(hit >= reached, "{} {family:?} {x}: {hit} of {}", H::NAME, got.rows);
            }
        }
        // What α = 0 and β = 0 make pointless is not read: `Case::check` puts NaN there.
        let nan = Mat::<H, Cpu>::from_fn(cpu, 64, 2, |_, _| H::narrow(f32::NAN)).unwrap();
        let mut c = Mat::<H, Cpu>::from_fn(cpu, 40, 2, |_, _| H::narrow(f32::NAN)).unwrap();
        s.apply_into(0.0, &nan, 0.0, c.as_mut()).unwrap();
        assert!(c.to_vec().unwrap().iter().all(|x| x.widen() == 0.0));
    }
    cases::<f16>(65504.0);
    cases::<bf16>(3.3895313892515355e38);
}

#[test]
fn operators_in_halves_are_rounded_entries() {
    fn cases<H: Half>()
    where
        Cpu: SketchBackend<H>,
    {
        let cpu = &cpus()[2];
        for family in FAMILIES {
            let s = fitting(family, 40, 90, 6);
            let expected = operator::<H>(&s).map(|x| f64::from(H::narrow(x as f32).widen()));
            let got = Plain::of(s.raw().to_mat::<H, Cpu>(cpu).unwrap().as_ref());
            if is_transform(family) {
                // In f32 they carry its rounding errors, which may tip an entry over.
                let near =
                    |(a, b): (&f64, &f64)| (a - b).abs() <= 2.0 * H::UNIT_ROUNDOFF * b.abs() + 1e-6;
                assert!(got.data.iter().zip(&expected.data).all(near), "{family:?}");
            } else {
                assert_same_bits(&format!("{} {family:?}", H::NAME), &got, &expected);
            }
            let factor = s.scale() as f32;
            let scaled = Plain::of(s.to_mat::<H, Cpu>(cpu).unwrap().as_ref());
            if family.is_dense() {
                let expected = expected.map(|x| f64::from(H::narrow(factor * x as f32).widen()));
                assert_same_bits(&format!("{} {family:?}", H::NAME), &scaled, &expected);
            }
        }
    }
    cases::<f16>();
    cases::<bf16>();
}

#[test]
fn matrices_of_halves_are_copied_and_checked() {
    fn cases<H: Half>()
    where
        Cpu: HalfKernels<H> + SketchBackend<H>,
    {
        let cpu = &cpus()[1];
        for (rows, cols) in [(0, 3), (1, 1), (5, 300), (300, 5), (70, 260)] {
            for from in Layout::READABLE {
                for to in Layout::WRITABLE {
                    let a = Stored::<H>::new(from, rows, cols, |i, j| noise(1, i, j));
                    let b = Stored::<H>::new(to, rows, cols, |_, _| f64::NAN);
                    let copy = b.after("copy", cpu, |b| {
                        StorageKernels::<H>::copy(cpu, a.on(cpu).view(), b)
                    });
                    assert_same_bits("copy", &copy, &a.plain());
                    let wide = Stored::<f32>::new(to, rows, cols, |_, _| f64::NAN);
                    let wide = wide
                        .after("widen", cpu, |b| HalfKernels::<H>::widen(cpu, a.on(cpu).view(), b));
                    assert_same_bits("widen", &wide, &a.plain());
                }
            }
        }
        let a = Mat::<H, Cpu>::from_fn(cpu, 7, 2, |i, j| H::narrow((i + 10 * j) as f32)).unwrap();
        assert_eq!(a.try_clone().unwrap().to_vec().unwrap(), a.to_vec().unwrap());
        assert_eq!(a.to_device(&cpus()[0]).unwrap().get(3, 1), H::narrow(13.0));
        let s = Sketch::gaussian(3, 8, 1).unwrap();
        assert!(matches!(s.apply(&a), Err(Error::ShapeMismatch { .. })));
        let mut c = Mat::<H, Cpu>::zeros(cpu, 3, 2).unwrap();
        let refused = s.columns(0..7).apply_into(1.0, a.as_ref(), 0.0, c.as_mut().rows(0..2));
        assert!(matches!(refused, Err(Error::ShapeMismatch { .. })));
        assert!(c.to_vec().unwrap().iter().all(|x| x.widen() == 0.0));
        let slice = vec![H::narrow(1.0); 6];
        let view: MatRef<'_, H> = MatRef::from_row_major(cpu, &slice, 2, 3).unwrap();
        assert_eq!(view.transpose().get(2, 1).widen(), 1.0);
    }
    cases::<f16>();
    cases::<bf16>();
}
