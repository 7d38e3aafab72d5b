//! Column-sparse operators against one reading of A, f32 against f64, and sparse A against one
//! reading of its entries.

use super::bandwidth::parallel_sum;
use super::clock::Clock;
use super::dense::output;
use super::{D, Layout, M, N, Pair, Row, random};
use core::hint::black_box;
use randnla::{Backend, BlockPermParams, Cpu, Csr, Mat, Result, Scalar, Sketch};

/// How an operator with D rows is made for a matrix of m rows.
type Make = fn(usize) -> Result<Sketch>;

pub(super) fn rows() -> Vec<Row> {
    let count: Make = |m| Sketch::count_sketch(D, m, 42);
    let sign: Make = |m| Sketch::sparse_sign(D, m, 8, 42);
    let stack: Make = |m| Sketch::sparse_stack(D, m, 8, 42);
    let blocks: Make = |m| Sketch::block_perm_sjlt(D, m, BlockPermParams::new(), 42);
    let gaussian: Make = |m| Sketch::gaussian(D, m, 42);
    let families = [("count-sketch", count, 2.2), ("sparse-sign", sign, 5.0)];
    let families =
        families.into_iter().chain([("sparse-stack", stack, 5.0), ("block-perm", blocks, 5.0)]);
    let wall = Clock::Wall;
    let mut rows = Vec::new();
    for (family, make, bound) in families {
        for layout in Layout::BOTH {
            let name = |t| format!("{family}/{t}/{}", layout.name());
            let f64s = move || Apply::<f64>::new(make, layout);
            let both = move || Halves { single: Apply::new(make, layout), double: f64s() };
            rows.push(Row::new(name("f64"), "parallel sum of A", Some(bound), wall, f64s));
            rows.push(Row::new(name("f32"), "the same in f64", Some(0.65), wall, both));
        }
    }
    for layout in Layout::BOTH {
        let sampling: Make = |m| Sketch::row_sampling(D, m, 42);
        let name = format!("row-sampling/f64/{}", layout.name());
        let make = move || Apply::<f64>::new(sampling, layout);
        rows.push(Row::new(name, "parallel sum of A", None, wall, make));
    }
    let pass = "parallel sum of values and columns";
    for (family, make) in [("count-sketch", count), ("sparse-stack", stack), ("gaussian", gaussian)]
    {
        let name = format!("csr/{family}/f64");
        rows.push(Row::new(name, pass, None, wall, move || SparseA::new(make)));
    }
    rows
}

/// S·A.
struct Apply<T: Scalar> {
    layout: Layout,
    cpu: Cpu,
    sketch: Sketch,
    a: Vec<T>,
    c: Mat<T>,
}

impl<T: Scalar> Apply<T>
where
    Cpu: Backend<T>,
{
    fn new(make: Make, layout: Layout) -> Self {
        let cpu = Cpu::new();
        let (sketch, c) = (make(M).expect("few rows"), output(&cpu, layout));
        Self { layout, cpu, sketch, a: random(M, N), c }
    }

    fn run(&mut self) {
        let a = self.layout.view(&self.cpu, &self.a, M, N);
        self.sketch.apply_into(T::one(), a, T::zero(), self.c.as_mut()).expect("shapes agree");
    }
}

impl<T: Scalar> Pair for Apply<T>
where
    Cpu: Backend<T>,
{
    fn ours(&mut self) {
        self.run();
    }

    fn reference(&mut self) {
        black_box(parallel_sum(&self.a));
    }
}

/// The same operator on matrices of half and of full width.
struct Halves {
    single: Apply<f32>,
    double: Apply<f64>,
}

impl Pair for Halves {
    fn ours(&mut self) {
        self.single.run();
    }

    fn reference(&mut self) {
        self.double.run();
    }
}

/// S·A for A in CSR.
struct SparseA {
    sketch: Sketch,
    a: Csr<f64>,
    c: Mat<f64>,
}

impl SparseA {
    const ROWS: usize = 100_000;
    const COLS: usize = 1000;
    /// Entries of a row, at a fixed distance from a start that moves: a million in all.
    const PER_ROW: usize = 10;

    fn new(make: Make) -> Self {
        let cpu = Cpu::new();
        let row_ptr: Vec<usize> = (0..=Self::ROWS).map(|i| i * Self::PER_ROW).collect();
        let step = Self::COLS / Self::PER_ROW;
        let column = |i: usize, k: usize| ((i * 7919 + k * step) % Self::COLS) as u32;
        let columns: Vec<u32> =
            (0..Self::ROWS).flat_map(|i| (0..Self::PER_ROW).map(move |k| column(i, k))).collect();
        let values = random::<f64>(columns.len(), 1);
        let a = Csr::new(&cpu, (Self::ROWS, Self::COLS), &row_ptr, &columns, &values);
        let c = Mat::zeros(&cpu, D, Self::COLS).expect("enough memory");
        Self { sketch: make(Self::ROWS).expect("few rows"), a: a.expect("valid rows"), c }
    }
}

impl Pair for SparseA {
    fn ours(&mut self) {
        self.sketch.apply_into(1.0, &self.a, 0.0, self.c.as_mut()).expect("shapes agree");
    }

    fn reference(&mut self) {
        let (_, columns, values) = self.a.as_ref().slices();
        black_box((parallel_sum(values), parallel_sum(columns)));
    }
}
