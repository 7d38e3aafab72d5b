//! Operators on a GPU are those of the CPU, bit for bit, and its sums do not depend on how matrices
//! lie.
//!
//! The statistics of operators are tested on the CPU alone; this is why that is enough. A million
//! entries a family and type are compared, of sparse operators a million that are not zero.

use crate::common::{
    FAMILIES, Layout, Place, Plain, Stored, assert_columns_within, assert_same_bits, cpus, noise,
    place, sketch,
};
use randnla::{
    Backend, BlockPermParams, Cpu, Csr, Cuda, Device, Element, Family, Half, Mat, MatMut, MatRef,
    Op, Result, Scalar, Sketch, SketchBackend, SketchKernels, TensorSketch, bf16, f16,
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

/// One row of a long transform: all of its signs, and the row of a million that was drawn.
fn long_rows_are_those_of_the_cpu<T: Scalar>(place: &Place<Cuda>)
where
    Cuda: Backend<T>,
    Cpu: Backend<T>,
{
    let m = 1 << 20;
    for s in [Sketch::srht(m, m, SEEDED), Sketch::hadamard_diagonal(m, m, SEEDED)] {
        let s = s.unwrap().rows(777_777..777_778);
        let got = Plain::of(s.to_mat::<T, Cuda>(place.device()).unwrap().as_ref());
        let expected = Plain::of(s.to_mat::<T, Cpu>(&cpus()[2]).unwrap().as_ref());
        assert_same_bits(&format!("{} {:?}", T::NAME, s.family()), &got, &expected);
    }
}

/// The kernels that multiply what they generate give single entries when they meet the identity.
fn generated_factors_are_those_of_the_cpu<T: Scalar>(place: &Place<Cuda>)
where
    Cuda: Backend<T>,
    Cpu: Backend<T>,
{
    let identity = Mat::<T, Cuda>::identity(place.device(), 4).unwrap();
    for family in [Family::Gaussian, Family::Rademacher, Family::Uniform] {
        let what = format!("{} {family:?}", T::NAME);
        let s = sketch(family, 250_000, 4, SEEDED).unwrap().raw();
        let expected = Plain::of(s.to_mat::<T, Cpu>(&cpus()[2]).unwrap().as_ref());
        assert_same_bits(&what, &Plain::of(s.apply(&identity).unwrap().as_ref()), &expected);
        let s = sketch(family, 4, 250_000, SEEDED).unwrap().raw();
        let expected = Plain::of(s.to_mat::<T, Cpu>(&cpus()[2]).unwrap().as_ref());
        let got = s.apply_adjoint(&identity).unwrap();
        assert_same_bits(&what, &Plain::of(got.as_ref()).transpose(), &expected);
    }
}

fn halves_are_those_of_the_cpu<H: Half>(place: &Place<Cuda>)
where
    Cuda: SketchBackend<H>,
    Cpu: SketchBackend<H>,
{
    // The others are rounded from their entries in f32 by the same kernel.
    for family in [Family::Gaussian, Family::Rademacher, Family::Uniform, Family::SparseStack] {
        let s = million(family);
        let got = Plain::of(s.to_mat::<H, Cuda>(place.device()).unwrap().as_ref());
        let expected = Plain::of(s.to_mat::<H, Cpu>(&cpus()[2]).unwrap().as_ref());
        assert_same_bits(&format!("{} {family:?}", H::NAME), &got, &expected);
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
    let tensor = TensorSketch::new(300, &[1_000_000, 1_000_000], SEEDED).unwrap();
    for s in [
        sketch(Family::SparseSign, 300, 125_000, SEEDED).unwrap(),
        sketch(Family::SparseStack, 300, 125_000, SEEDED).unwrap(),
        sketch(Family::CountSketch, 300, 1_000_000, SEEDED).unwrap(),
        tensor.factor(0),
        tensor.factor(1),
    ] {
        let got = positions::<T, Cuda>(&s, place.device());
        assert!(got == positions::<T, Cpu>(&s, &cpus()[2]), "{s:?}");
        assert_eq!(got.len(), 1_000_000);
    }
}

/// Where rows begin, columns, bits of the values.
fn parts<T: Scalar, D: Device>(x: &Csr<T, D>) -> (Vec<usize>, Vec<u32>, Vec<u64>) {
    fn read<E: Element, D: Device>(device: &D, from: *const E, len: usize) -> Vec<E> {
        let mut host = vec![E::default(); len];
        // SAFETY: the matrix holds as many.
        unsafe { device.download_from(from, &mut host) }.unwrap();
        host
    }
    let (x, device) = (x.as_ref(), x.as_ref().device());
    let starts = read(device, x.row_ptr(), x.nrows() + 1);
    // A GPU keeps room for draws that turn out to be equal.
    let stored = starts[x.nrows()];
    let values = read(device, x.values(), stored).into_iter().map(|x| x.to_f64().to_bits());
    (starts, read(device, x.col_idx(), stored), values.collect())
}

/// Positions and values of a million entries, for families that are drawn otherwise than by column.
fn compressed_rows_are_those_of_the_cpu<T: Scalar>(place: &Place<Cuda>)
where
    Cuda: Backend<T>,
    Cpu: Backend<T>,
{
    let wired = BlockPermParams::new().blocks(7).wirings(4).nnz(2);
    for s in [
        Sketch::laso(125_000, 1_700_000, 8, SEEDED),
        Sketch::row_sampling(1_000_000, 1_700_000, SEEDED),
        Sketch::block_perm_sjlt(300, 125_000, wired, SEEDED),
    ] {
        let s = s.unwrap();
        let got = parts(&s.to_csr::<T, Cuda>(place.device()).unwrap());
        assert!(got == parts(&s.to_csr::<T, Cpu>(&cpus()[2]).unwrap()), "{} {s:?}", T::NAME);
        assert!(got.1.len() > 990_000, "{s:?}: {}", got.1.len());
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
    ($($name:ident: $test:ident $($scalar:ident)+),* $(,)?) => {$(
        #[test]
        fn $name() {
            let Some(place) = &place::gpu(concat!("gpu_bits::", stringify!($name))) else { return };
            $($test::<$scalar>(place);)+
        }
    )*};
}

on_a_gpu! {
    a_million_entries_a_family: entries_are_those_of_the_cpu f32 f64,
    a_million_entries_in_halves: halves_are_those_of_the_cpu f16 bf16,
    a_million_entries_generated_in_products: generated_factors_are_those_of_the_cpu f32 f64,
    a_million_entries_of_a_row: long_rows_are_those_of_the_cpu f32 f64,
    a_million_positions_a_sparse_family: indices_are_those_of_the_cpu f32 f64,
    a_million_positions_in_compressed_rows: compressed_rows_are_those_of_the_cpu f32 f64,
    factors_are_rounded_where_the_cpu_rounds_them: scaled_entries_are_those_of_the_cpu f32 f64,
    layouts_and_runs_give_the_same_bits: bits_do_not_depend_on_layouts_or_runs f32 f64,
}
