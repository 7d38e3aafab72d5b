//! Operators on a GPU are those of the CPU, bit for bit, and its sums do not depend on how matrices
//! lie.
//!
//! The statistics of operators are tested on the CPU alone; this is why that is enough. A million
//! entries a family are compared.

use crate::common::{
    FAMILIES, Layout, Place, Plain, Stored, assert_columns_within, assert_same_bits, cpus, noise,
    place, sketch,
};
use randnla::{
    Backend, Cpu, Cuda, Family, MatMut, MatRef, Op, Result, Scalar, Sketch, SketchKernels,
};

const SEEDED: u64 = 0xfeed_5eed_0123_4567;

/// A d×m operator of a million entries, where it can be one.
fn million(family: Family) -> Sketch {
    let (d, m) = match family {
        // What orthogonalisation costs grows with d².
        Family::Haar => (100, 10_000),
        // Hadamard sums of these orders are exact in f32, and their factor is a power of two.
        Family::Srht | Family::HadamardDiagonal => (1000, 1024),
        Family::Srct => (245, 4096),
        _ => (500, 2000),
    };
    sketch(family, d, m, SEEDED).unwrap()
}

fn entries_are_those_of_the_cpu<T: Scalar>(place: &Place<Cuda>)
where
    Cuda: Backend<T>,
    Cpu: Backend<T>,
{
    for family in FAMILIES {
        let s = million(family);
        let what = format!("{} {family:?}", T::NAME);
        let got = Plain::of(s.to_mat::<T, Cuda>(place.device()).unwrap().as_ref());
        let expected = Plain::of(s.to_mat::<T, Cpu>(&cpus()[2]).unwrap().as_ref());
        if family != Family::Srct {
            assert_same_bits(&what, &got, &expected);
            continue;
        }
        // Cosines are rounded differently. Another sign or another row would be off by all of the
        // entry: rows of norm 1, but for the scale, made of the stages of 2¹² points.
        let bound = vec![2.0 * 20.0 * 13.0 * T::UNIT_ROUNDOFF * s.scale(); s.nrows()];
        assert_columns_within(&what, &got.transpose(), &expected.transpose(), &bound);
    }
}

fn positions<T: Scalar, D: SketchKernels<T>>(s: &Sketch, device: &D) -> Vec<u32> {
    device.download_indices(&device.indices(s).unwrap()).unwrap()
}

/// A million positions a column-sparse family.
fn indices_are_those_of_the_cpu<T: Scalar>(place: &Place<Cuda>)
where
    Cuda: Backend<T>,
    Cpu: Backend<T>,
{
    for (family, m) in [
        (Family::SparseSign, 125_000),
        (Family::SparseStack, 125_000),
        (Family::CountSketch, 1_000_000),
    ] {
        let s = sketch(family, 300, m, SEEDED).unwrap();
        let got = positions::<T, Cuda>(&s, place.device());
        assert!(got == positions::<T, Cpu>(&s, &cpus()[2]), "{family:?}");
        assert_eq!(got.len(), 1_000_000);
    }
}

/// The factor of an operator is rounded once, where the CPU rounds it.
fn scaled_entries_are_those_of_the_cpu<T: Scalar>(place: &Place<Cuda>)
where
    Cuda: Backend<T>,
    Cpu: Backend<T>,
{
    for family in [Family::Gaussian, Family::Rademacher, Family::Uniform] {
        for alpha in [0.0, 1.0, -0.75, 1.1] {
            let s = sketch(family, 33, 19, 5).unwrap();
            let what = format!("{} {family:?} α={alpha}", T::NAME);
            let b = Stored::<T>::new(Layout::Rows, 33, 19, |_, _| f64::NAN);
            let (cuda, cpu, alpha) = (place.device(), &cpus()[0], T::from_f64(alpha));
            let got = b.after(&what, cuda, |b| cuda.fill(&s, alpha, b));
            let expected =
                b.after(&what, cpu, |b| <Cpu as SketchKernels<T>>::fill(cpu, &s, alpha, b));
            assert_same_bits(&what, &got, &expected);
        }
    }
}

/// Sums run over the lists in their order, so neither the layout of A and C nor the operator whose
/// indices are used changes a bit; nor does a second run.
fn bits_do_not_depend_on_layouts_or_runs<T: Scalar>(place: &Place<Cuda>)
where
    Cuda: Backend<T>,
{
    fn times<T: Scalar, D: SketchKernels<T>>(
        device: &D,
        (s, from): (&Sketch, &Sketch),
        op: Op,
        a: MatRef<'_, T, D>,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        if s.family().is_dense() {
            return device.fill_times(s, op, T::one(), a, T::zero(), c);
        }
        let indices = device.indices(from)?;
        device.sparse_times(s, &indices, op, T::one(), a, T::zero(), c)
    }
    let device = place.device();
    for family in FAMILIES.into_iter().filter(|f| f.is_dense() || f.is_column_sparse()) {
        let whole = sketch(family, 40, 900, 8).unwrap();
        let s = whole.rows(3..40).columns(7..890);
        for op in [Op::NoTrans, Op::Trans] {
            let (inner, outer) = if op == Op::NoTrans { (883, 37) } else { (37, 883) };
            let product = |[la, lc]: [Layout; 2], from: &Sketch| {
                let a = Stored::<T>::new(la, inner, 5, |i, j| noise(1, i, j)).on(device);
                let c = Stored::<T>::new(lc, outer, 5, |_, _| f64::NAN);
                c.after("a product", device, |c| times(device, (&s, from), op, a.view(), c))
            };
            let one = product([Layout::Rows; 2], &whole);
            for (layouts, from) in [
                ([Layout::Rows; 2], &whole),
                ([Layout::Columns, Layout::Rows], &s),
                ([Layout::Strided, Layout::Columns], &whole),
                ([Layout::Backwards, Layout::Strided], &s),
            ] {
                let what = format!("{} {family:?} {op:?} {layouts:?}", T::NAME);
                assert_same_bits(&what, &product(layouts, from), &one);
            }
        }
    }
}

macro_rules! on_a_gpu {
    ($($name:ident: $test:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let Some(place) = &place::gpu(concat!("gpu_bits::", stringify!($name))) else { return };
            $test::<f32>(place);
            $test::<f64>(place);
        }
    )*};
}

on_a_gpu! {
    a_million_entries_a_family: entries_are_those_of_the_cpu,
    a_million_positions_a_sparse_family: indices_are_those_of_the_cpu,
    factors_are_rounded_where_the_cpu_rounds_them: scaled_entries_are_those_of_the_cpu,
    layouts_and_runs_give_the_same_bits: bits_do_not_depend_on_layouts_or_runs,
}
