//! The rows of the table as data: what is timed, and against what.

use crate::device::{CublasHalf, Gpu, HalfProducts, Outcome, Pair, clear, copy};
use randnla::decomp::{RsvdParams, rsvd};
use randnla::{
    Backend, Blas, BlockPermParams, Csr, Cuda, Mat, MatMut, Op, Result, Scalar, Sketch,
    SketchBackend, SketchKernels, TensorSketch, TransformKernels, bf16, f16,
};
use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

/// A row of the table.
pub struct Row {
    /// Family, scalar, variant: `gaussian/f32/n=64`.
    pub name: String,
    pub reference: &'static str,
    /// What the time of the reference is multiplied by.
    pub share: f64,
    /// Allocates and fills the matrices.
    pub make: Box<MakePair>,
}

type MakePair = dyn Fn(&Gpu) -> Outcome<Pair>;

impl Row {
    fn new(
        name: impl Into<String>,
        reference: &'static str,
        make: impl Fn(&Gpu) -> Outcome<Pair> + 'static,
    ) -> Self {
        Self { name: name.into(), reference, share: 1.0, make: Box::new(make) }
    }
}

/// Entries in a row of a sparse A.
const STORED: usize = 16;

/// S is d×m, A is m×n.
#[derive(Clone, Copy)]
pub struct Sizes {
    d: usize,
    /// A power of two.
    m: usize,
    n: usize,
    /// Columns of A next to which cuBLAS is measured.
    columns: [usize; 5],
    /// Rows of a sparse A, with [`STORED`] entries each.
    sparse_rows: usize,
    /// Rows and columns of what is decomposed, and the rank.
    square: (usize, usize),
}

impl Sizes {
    /// A has 256 MiB in f32, several times a level-2 cache.
    pub const FULL: Self = Self {
        d: 1024,
        m: 1 << 16,
        n: 1024,
        columns: [4, 16, 32, 64, 1024],
        sparse_rows: 1 << 20,
        square: (4096, 64),
    };
    pub const SMALL: Self = Self {
        d: 24,
        m: 256,
        n: 20,
        columns: [4, 16, 17, 32, 70],
        sparse_rows: 300,
        square: (60, 5),
    };
}

/// How an operator is made from d and m.
type Make = fn(usize, usize) -> Result<Sketch>;

/// Every row, in the order of the table.
pub fn all(sizes: Sizes) -> Vec<Row> {
    let mut rows = Vec::new();
    scalar::<f32>(sizes, &mut rows);
    scalar::<f64>(sizes, &mut rows);
    half::<f16>(sizes, &mut rows);
    half::<bf16>(sizes, &mut rows);
    rows
}

const DENSE: [(&str, Make); 3] = [
    ("gaussian", |d, m| Sketch::gaussian(d, m, 42)),
    ("rademacher", |d, m| Sketch::rademacher(d, m, 42)),
    ("uniform", |d, m| Sketch::uniform(d, m, 42)),
];
const SPARSE: [(&str, Make); 6] = [
    ("count-sketch", |d, m| Sketch::count_sketch(d, m, 42)),
    ("sparse-sign", |d, m| Sketch::sparse_sign(d, m, 8, 42)),
    ("sparse-stack", |d, m| Sketch::sparse_stack(d, m, 8, 42)),
    ("block-perm", |d, m| Sketch::block_perm_sjlt(d, m, BlockPermParams::new(), 42)),
    ("laso", |d, m| Sketch::laso(d, m, 8, 42)),
    ("row-sampling", |d, m| Sketch::row_sampling(d, m, 42)),
];
const TRANSFORMS: [(&str, Make); 3] = [
    ("srht", |d, m| Sketch::srht(d, m, 42)),
    ("srct", |d, m| Sketch::srct(d, m, 42)),
    ("hadamard-diagonal", |d, m| Sketch::hadamard_diagonal(d, m, 42)),
];

/// Which entries of a matrix are neighbours in memory.
#[derive(Clone, Copy)]
enum Layout {
    ColumnMajor,
    RowMajor,
}

impl Layout {
    const BOTH: [(Self, &str); 2] =
        [(Self::ColumnMajor, "column-major"), (Self::RowMajor, "row-major")];

    fn zeros<T: Scalar>(self, cuda: &Cuda, m: usize, n: usize) -> Result<Mat<T, Cuda>> {
        match self {
            Self::ColumnMajor => Mat::zeros(cuda, m, n),
            Self::RowMajor => Mat::zeros(cuda, n, m).map(Mat::into_transposed),
        }
    }

    /// Entries uniform with variance 1.
    fn random<T: Scalar>(self, cuda: &Cuda, m: usize, n: usize) -> Result<Mat<T, Cuda>>
    where
        Cuda: Backend<T>,
    {
        let mut a = self.zeros(cuda, m, n)?;
        cuda.fill(&Sketch::uniform(m, n, 1)?.raw(), T::one(), a.as_mut())?;
        Ok(a)
    }
}

const COPY: &str = "copy of A in device memory";

fn scalar<T: Scalar>(sizes: Sizes, rows: &mut Vec<Row>)
where
    Cuda: Backend<T>,
{
    let Sizes { d, m, n, columns, .. } = sizes;
    let t = T::NAME;
    for (family, make) in DENSE {
        let fill = move |gpu: &Gpu| entries::<T>(gpu, make(d, m)?);
        rows.push(Row::new(format!("{family}/{t}/entries"), "fill of S in device memory", fill));
        for n in columns {
            let product = move |gpu: &Gpu| dense::<T>(gpu, make(d, m)?, n);
            let what = "cuBLAS product, S in memory";
            rows.push(Row::new(format!("{family}/{t}/n={n}"), what, product));
        }
    }
    for (layout, way) in Layout::BOTH {
        for (family, make) in SPARSE.into_iter().chain(TRANSFORMS) {
            let apply = move |gpu: &Gpu| applied::<T>(gpu, make(d, m)?, n, layout);
            rows.push(Row::new(format!("{family}/{t}/{way}"), COPY, apply));
        }
        let stack: Make = SPARSE[2].1;
        let prepared = move |gpu: &Gpu| prepared::<T>(gpu, stack(d, m)?, n, layout);
        rows.push(Row::new(format!("sparse-stack/{t}/{way}/prepared"), COPY, prepared));
        let fwht = move |gpu: &Gpu| in_place::<T>(gpu, (m, n), layout, |cuda, a| cuda.fwht(a));
        rows.push(Row::new(format!("fwht/{t}/{way}"), COPY, fwht));
        let dct =
            move |gpu: &Gpu| in_place::<T>(gpu, (m, n), layout, |cuda, a| cuda.dct(Op::NoTrans, a));
        rows.push(Row::new(format!("dct/{t}/{way}"), COPY, dct));
    }
    let tensor = move |gpu: &Gpu| tensor::<T>(gpu, TensorSketch::new(d, &[m; 2], 42)?, m, n);
    rows.push(Row::new(format!("tensor-sketch/{t}"), "copy of one of the two factors", tensor));
    for (family, make) in SPARSE[..3].iter().copied().chain([DENSE[0]]) {
        let csr = move |gpu: &Gpu| csr::<T>(gpu, make(d, sizes.sparse_rows)?, n);
        rows.push(Row::new(
            format!("csr/{family}/{t}"),
            "copy of as many bytes as the entries of A are",
            csr,
        ));
    }
    let (order, rank) = sizes.square;
    let params = RsvdParams::rank(rank).oversampling(10).power_passes(2).seed(7);
    let what = "its flops at the rate of a cuBLAS product of that order";
    let decomposition =
        Row::new(format!("rsvd/{t}"), what, move |gpu: &Gpu| svd::<T>(gpu, order, params));
    rows.push(Row { share: (6 * (rank + 10)) as f64 / order as f64, ..decomposition });
}

fn half<H: CublasHalf>(sizes: Sizes, rows: &mut Vec<Row>)
where
    Cuda: SketchBackend<H>,
{
    let Sizes { d, m, columns, .. } = sizes;
    for (family, make) in DENSE {
        for n in columns {
            let product = move |gpu: &Gpu| half_product::<H>(gpu, make(d, m)?, n);
            let what = "cuBLAS product of halves, S in memory";
            rows.push(Row::new(format!("{family}/{}/n={n}", H::NAME), what, product));
        }
    }
}

fn entries<T: Scalar>(gpu: &Gpu, s: Sketch) -> Outcome<Pair>
where
    Cuda: Backend<T>,
{
    let (cuda, (d, m)) = (gpu.cuda.clone(), s.shape());
    let mut b = Mat::<T, Cuda>::zeros(&cuda, d, m)?;
    let mut c = Mat::<T, Cuda>::zeros(&cuda, d, m)?;
    Ok(Pair {
        ours: Box::new(move || Ok(cuda.fill(&s, T::one(), b.as_mut())?)),
        reference: Box::new(move || clear(&mut c)),
    })
}

fn dense<T: Scalar>(gpu: &Gpu, s: Sketch, n: usize) -> Outcome<Pair>
where
    Cuda: Backend<T>,
{
    let (cuda, (d, m)) = (gpu.cuda.clone(), s.shape());
    let a = Rc::new(Layout::ColumnMajor.random::<T>(&cuda, m, n)?);
    let (same, stored) = (a.clone(), s.to_mat::<T, Cuda>(&cuda)?);
    let (mut b, mut c) = (Mat::zeros(&cuda, d, n)?, Mat::zeros(&cuda, d, n)?);
    let (one, zero) = (T::one(), T::zero());
    Ok(Pair {
        ours: Box::new(move || Ok(s.apply_into(one, &*a, zero, b.as_mut())?)),
        reference: Box::new(move || {
            Ok(cuda.gemm(one, stored.as_ref(), Mat::as_ref(&same), zero, c.as_mut())?)
        }),
    })
}

fn half_product<H: CublasHalf>(gpu: &Gpu, s: Sketch, n: usize) -> Outcome<Pair>
where
    Cuda: SketchBackend<H>,
{
    let (cuda, (d, m)) = (&gpu.cuda, s.shape());
    let a = Rc::new(Sketch::uniform(m, n, 1)?.raw().to_mat::<H, Cuda>(cuda)?);
    let (same, stored) = (a.clone(), s.to_mat::<H, Cuda>(cuda)?);
    let (mut b, mut c) = (Mat::<H, Cuda>::zeros(cuda, d, n)?, Mat::zeros(cuda, d, n)?);
    let products = HalfProducts::new(cuda)?;
    Ok(Pair {
        ours: Box::new(move || Ok(s.apply_into(1.0, &*a, 0.0, b.as_mut())?)),
        reference: Box::new(move || products.multiply(&stored, &same, &mut c)),
    })
}

/// A copy of A in the reference, what `ours` does of A on the other side.
fn next_to_a_copy<T: Scalar>(
    a: Mat<T, Cuda>,
    layout: Layout,
    mut ours: impl FnMut(&Mat<T, Cuda>) -> Outcome + 'static,
) -> Outcome<Pair> {
    let (m, n) = a.shape();
    let mut to = layout.zeros(a.device(), m, n)?;
    let a = Rc::new(a);
    let same = a.clone();
    Ok(Pair { ours: Box::new(move || ours(&a)), reference: Box::new(move || copy(&same, &mut to)) })
}

fn applied<T: Scalar>(gpu: &Gpu, s: Sketch, n: usize, layout: Layout) -> Outcome<Pair>
where
    Cuda: Backend<T>,
{
    let (d, m) = s.shape();
    let mut c = layout.zeros::<T>(&gpu.cuda, d, n)?;
    next_to_a_copy(layout.random(&gpu.cuda, m, n)?, layout, move |a| {
        Ok(s.apply_into(T::one(), a, T::zero(), c.as_mut())?)
    })
}

fn prepared<T: Scalar>(gpu: &Gpu, s: Sketch, n: usize, layout: Layout) -> Outcome<Pair>
where
    Cuda: Backend<T>,
{
    let (d, m) = s.shape();
    let s = s.prepare::<T, Cuda>(&gpu.cuda)?;
    let mut c = layout.zeros::<T>(&gpu.cuda, d, n)?;
    next_to_a_copy(layout.random(&gpu.cuda, m, n)?, layout, move |a| {
        Ok(s.apply_into(T::one(), a, T::zero(), c.as_mut())?)
    })
}

/// A transform in place; the reference writes its input anew.
fn in_place<T: Scalar>(
    gpu: &Gpu,
    (m, n): (usize, usize),
    layout: Layout,
    transform: fn(&Cuda, MatMut<'_, T, Cuda>) -> Result<()>,
) -> Outcome<Pair>
where
    Cuda: Backend<T>,
{
    let a = layout.random::<T>(&gpu.cuda, m, n)?;
    let cuda = gpu.cuda.clone();
    let work = Rc::new(RefCell::new(layout.random::<T>(&cuda, m, n)?));
    let same = work.clone();
    Ok(Pair {
        ours: Box::new(move || Ok(transform(&cuda, work.borrow_mut().as_mut())?)),
        reference: Box::new(move || copy(&a, &mut same.borrow_mut())),
    })
}

fn tensor<T: Scalar>(gpu: &Gpu, s: TensorSketch, m: usize, n: usize) -> Outcome<Pair>
where
    Cuda: Backend<T>,
{
    let layout = Layout::ColumnMajor;
    let other = layout.random::<T>(&gpu.cuda, m, n)?;
    let mut c = Mat::zeros(&gpu.cuda, s.nrows(), n)?;
    next_to_a_copy(layout.random(&gpu.cuda, m, n)?, layout, move |a| {
        Ok(s.apply_into(T::one(), &[a, &other], T::zero(), c.as_mut())?)
    })
}

/// A has [`STORED`] entries a row, one in each of as many blocks of columns.
fn csr<T: Scalar>(gpu: &Gpu, s: Sketch, n: usize) -> Outcome<Pair>
where
    Cuda: Backend<T>,
{
    let (cuda, (d, m)) = (&gpu.cuda, s.shape());
    let block = n / STORED;
    let starts: Vec<usize> = (0..=m).map(|i| i * STORED).collect();
    let column = |e: usize| e % STORED * block + e.wrapping_mul(0x9e37_79b9_7f4a_7c15) % block;
    let columns: Vec<u32> = (0..m * STORED).map(|e| column(e) as u32).collect();
    let values = vec![T::one(); m * STORED];
    let a = Csr::new(cuda, (m, n), &starts, &columns, &values)?;
    let bytes = m * STORED * (size_of::<T>() + size_of::<u32>());
    let as_many = Mat::<f32, Cuda>::zeros(cuda, bytes / size_of::<f32>(), 1)?;
    let mut to = Mat::zeros(cuda, as_many.nrows(), 1)?;
    let mut c = Mat::zeros(cuda, d, n)?;
    Ok(Pair {
        ours: Box::new(move || Ok(s.apply_into(T::one(), &a, T::zero(), c.as_mut())?)),
        reference: Box::new(move || copy(&as_many, &mut to)),
    })
}

fn svd<T: Scalar>(gpu: &Gpu, order: usize, params: RsvdParams) -> Outcome<Pair>
where
    Cuda: Backend<T>,
{
    let cuda = gpu.cuda.clone();
    let a = Rc::new(Layout::ColumnMajor.random::<T>(&cuda, order, order)?);
    let (same, mut c) = (a.clone(), Mat::zeros(&cuda, order, order)?);
    Ok(Pair {
        ours: Box::new(move || {
            black_box(rsvd(&*a, params)?);
            Ok(())
        }),
        reference: Box::new(move || {
            Ok(cuda.gemm(
                T::one(),
                Mat::as_ref(&same),
                Mat::as_ref(&same),
                T::zero(),
                c.as_mut(),
            )?)
        }),
    })
}
