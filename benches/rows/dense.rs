//! Dense operators: the price of an entry, S·A against a product with S in memory, S·x against the
//! generation of S.

use super::clock::Clock;
use super::{Against, D, Layout, M, N, Pair, Row, one_thread, random};
use core::hint::black_box;
use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, Par};
use randnla::{Backend, Cpu, Mat, Scalar, Sketch, SketchKernels};

pub(super) fn rows() -> Vec<Row> {
    let product = "faer product, S in memory";
    let entries = "generation of dm entries into L1";
    let wall = Clock::Wall;
    let (f32_bound, f64_bound) = if wide() { (1.0, 2.4) } else { (1.7, 4.5) };
    let mut rows = vec![normals::<f32>(f32_bound), normals::<f64>(f64_bound)];
    for layout in Layout::BOTH {
        let name = |t| format!("gaussian/{t}/{}", layout.name());
        let f64s = move || Product::<f64>::new(layout);
        let f32s = move || Product::<f32>::new(layout);
        rows.push(Row::new(name("f64"), product, Some(1.10), wall, f64s));
        rows.push(Row::new(name("f32"), product, Some(1.10), wall, f32s));
    }
    let thread = Clock::Thread;
    rows.push(Row::new("vector/f64", entries, Some(1.2), thread, Vector::<f64>::new));
    rows.push(Row::new("vector/f32", entries, Some(1.2), thread, Vector::<f32>::new));
    rows
}

/// Whether the generator has registers of 512 bits here.
fn wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The time of an entry in units of a nanosecond.
fn normals<T: Scalar>(bound: f64) -> Row
where
    Cpu: Backend<T>,
{
    let entries = 1 << 20;
    let make = move || Normals(Fill::<T>::new(entries));
    let row = Row::new(format!("normals/{}", T::NAME), "", Some(bound), Clock::Thread, make);
    let per = Fill::<T>::new(entries).entries() as f64;
    Row { against: Against::Time { seconds: 1e-9 }, per, ..row }
}

struct Normals<T>(Fill<T>);

impl<T: Scalar> Pair for Normals<T>
where
    Cpu: Backend<T>,
{
    fn ours(&mut self) {
        self.0.run();
    }

    fn reference(&mut self) {}
}

/// Normals written into the same block again and again, which stays in the first-level cache.
struct Fill<T> {
    cpu: Cpu,
    sketch: Sketch,
    block: Vec<T>,
    calls: usize,
}

impl<T: Scalar> Fill<T>
where
    Cpu: Backend<T>,
{
    /// Just under half a tile of the generator, so that two columns are one tile.
    const ROWS: usize = 1016;
    /// 32 KiB, next to a tile of 8 (f32) or 16 KiB (f64).
    const COLS: usize = (32 << 10) / (Self::ROWS * size_of::<T>());

    fn new(entries: usize) -> Self {
        let sketch = Sketch::gaussian(Self::ROWS, Self::COLS, 3).expect("few rows").raw();
        let block = vec![T::zero(); Self::ROWS * Self::COLS];
        let calls = entries.div_ceil(block.len());
        Self { cpu: one_thread(), sketch, block, calls }
    }

    fn entries(&self) -> usize {
        self.calls * self.block.len()
    }

    fn run(&mut self) {
        for _ in 0..self.calls {
            let block = &mut self.block;
            let view = Layout::ColumnMajor.view_mut(&self.cpu, block, Self::ROWS, Self::COLS);
            self.cpu.fill(&self.sketch, T::one(), view).expect("a fill does not fail");
            black_box(&mut self.block);
        }
    }
}

/// S·A for a Gaussian S that is generated as it is used.
struct Product<T: Scalar> {
    layout: Layout,
    cpu: Cpu,
    sketch: Sketch,
    stored: Mat<T>,
    a: Vec<T>,
    c: Mat<T>,
}

impl<T: Scalar> Product<T>
where
    Cpu: Backend<T>,
{
    fn new(layout: Layout) -> Self {
        let cpu = Cpu::new();
        let sketch = Sketch::gaussian(D, M, 42).expect("few rows");
        let stored = sketch.to_mat(&cpu).expect("enough memory");
        let c = output(&cpu, layout);
        Self { layout, cpu, sketch, stored, a: random(M, N), c }
    }
}

impl<T: Scalar + ComplexField> Pair for Product<T>
where
    Cpu: Backend<T>,
{
    fn ours(&mut self) {
        let a = self.layout.view(&self.cpu, &self.a, M, N);
        self.sketch.apply_into(T::one(), a, T::zero(), self.c.as_mut()).expect("shapes agree");
    }

    fn reference(&mut self) {
        let a = faer::MatRef::from(self.layout.view(&self.cpu, &self.a, M, N));
        let s = faer::MatRef::from(self.stored.as_ref());
        let c = faer::MatMut::from(self.c.as_mut());
        matmul(c, Accum::Replace, s, a, T::one(), Par::rayon(0));
    }
}

/// S·x on one thread: entries are consumed as they are generated.
struct Vector<T: Scalar> {
    cpu: Cpu,
    sketch: Sketch,
    x: Vec<T>,
    y: Vec<T>,
    fill: Fill<T>,
}

impl<T: Scalar> Vector<T>
where
    Cpu: Backend<T>,
{
    fn new() -> Self {
        let sketch = Sketch::gaussian(D, M, 42).expect("few rows");
        let (x, y) = (random(M, 1), vec![T::zero(); D]);
        Self { cpu: one_thread(), sketch, x, y, fill: Fill::new(D * M) }
    }
}

impl<T: Scalar> Pair for Vector<T>
where
    Cpu: Backend<T>,
{
    fn ours(&mut self) {
        let x = Layout::ColumnMajor.view(&self.cpu, &self.x, M, 1);
        let y = Layout::ColumnMajor.view_mut(&self.cpu, &mut self.y, D, 1);
        self.sketch.apply_into(T::one(), x, T::zero(), y).expect("shapes agree");
    }

    fn reference(&mut self) {
        self.fill.run();
    }
}

/// Memory for S·A in the layout of A.
pub(super) fn output<T: Scalar>(cpu: &Cpu, layout: Layout) -> Mat<T> {
    match layout {
        Layout::ColumnMajor => Mat::zeros(cpu, D, N),
        Layout::RowMajor => Mat::zeros(cpu, N, D).map(Mat::into_transposed),
    }
    .expect("enough memory")
}
