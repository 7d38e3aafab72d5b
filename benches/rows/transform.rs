//! The Walsh-Hadamard transform against a scale of the array, SRHT against reading A and writing C.

use super::bandwidth::{parallel_fill, parallel_sum, scale};
use super::clock::Clock;
use super::dense::output;
use super::{D, Layout, M, N, Pair, Row, one_thread, random};
use core::hint::black_box;
use randnla::{Backend, Cpu, Mat, Scalar, Sketch, TransformKernels};

pub(super) fn rows() -> Vec<Row> {
    let (scale, columns) = ("in-place scale of the array", "the same column-major");
    let floor = "parallel sum of A and fill of C";
    let (thread, wall) = (Clock::Thread, Clock::Wall);
    let mut rows = vec![
        Row::new("fwht/f32/column-major", scale, Some(2.6), thread, Columns::<f32>::new),
        Row::new("fwht/f64/column-major", scale, Some(2.4), thread, Columns::<f64>::new),
        Row::new("fwht/f32/row-major", columns, Some(2.0), thread, Rows::<f32>::new),
        Row::new("fwht/f64/row-major", columns, Some(2.0), thread, Rows::<f64>::new),
    ];
    for (layout, bound) in [(Layout::ColumnMajor, 2.5), (Layout::RowMajor, 5.0)] {
        let name = format!("srht/f64/{}", layout.name());
        rows.push(Row::new(name, floor, Some(bound), wall, move || Srht::new(layout)));
    }
    rows
}

/// 128 MiB in columns of 2¹⁴ entries, to be transformed in place.
struct Array<T> {
    layout: Layout,
    cpu: Cpu,
    data: Vec<T>,
    /// Transforms since the entries were of size one.
    transforms: i32,
}

impl<T: Scalar> Array<T>
where
    Cpu: Backend<T>,
{
    fn new(layout: Layout) -> Self {
        let data = random(M, Self::columns());
        Self { layout, cpu: one_thread(), data, transforms: 0 }
    }

    fn columns() -> usize {
        (128 << 20) / (M * size_of::<T>())
    }

    fn transform(&mut self) {
        let view = self.layout.view_mut(&self.cpu, &mut self.data, M, Self::columns());
        self.cpu.fwht(view).expect("enough memory");
        self.transforms += 1;
    }

    /// Takes back the growth by √2¹⁴ of each transform, exactly.
    fn restore(&mut self) {
        if self.transforms > 0 {
            scale(&mut self.data, T::from_f64(f64::powi(2.0, -7 * self.transforms)));
            self.transforms = 0;
        }
    }
}

/// The transform of contiguous columns against a scale of them.
struct Columns<T>(Array<T>);

impl<T: Scalar> Columns<T>
where
    Cpu: Backend<T>,
{
    fn new() -> Self {
        Self(Array::new(Layout::ColumnMajor))
    }
}

impl<T: Scalar> Pair for Columns<T>
where
    Cpu: Backend<T>,
{
    fn ours(&mut self) {
        self.0.transform();
    }

    fn reference(&mut self) {
        scale(&mut self.0.data, black_box(T::from_f64(-1.0)));
    }

    fn restore(&mut self) {
        self.0.restore();
    }
}

/// The transform of a row-major array against that of a column-major one.
struct Rows<T> {
    rows: Array<T>,
    columns: Array<T>,
}

impl<T: Scalar> Rows<T>
where
    Cpu: Backend<T>,
{
    fn new() -> Self {
        Self { rows: Array::new(Layout::RowMajor), columns: Array::new(Layout::ColumnMajor) }
    }
}

impl<T: Scalar> Pair for Rows<T>
where
    Cpu: Backend<T>,
{
    fn ours(&mut self) {
        self.rows.transform();
    }

    fn reference(&mut self) {
        self.columns.transform();
    }

    fn restore(&mut self) {
        self.rows.restore();
        self.columns.restore();
    }
}

/// S·A for an SRHT.
struct Srht {
    layout: Layout,
    cpu: Cpu,
    sketch: Sketch,
    a: Vec<f64>,
    c: Mat<f64>,
    copy: Vec<f64>,
}

impl Srht {
    fn new(layout: Layout) -> Self {
        let cpu = Cpu::new();
        let sketch = Sketch::srht(D, M, 42).expect("d is less than m");
        let (a, c, copy) = (random(M, N), output(&cpu, layout), random(D, N));
        Self { layout, cpu, sketch, a, c, copy }
    }
}

impl Pair for Srht {
    fn ours(&mut self) {
        let a = self.layout.view(&self.cpu, &self.a, M, N);
        self.sketch.apply_into(1.0, a, 0.0, self.c.as_mut()).expect("shapes agree");
    }

    fn reference(&mut self) {
        let sum = parallel_sum(&self.a);
        parallel_fill(&mut self.copy, black_box(sum));
        black_box(&mut self.copy);
    }
}
