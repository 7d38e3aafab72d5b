//! The rows of the benchmark table as data: what is timed, against what, by which clock, and the
//! bound on the ratio.
//!
//! A row builds its matrices only when it runs. Matrices of users have no gaps between columns or
//! rows, so neither have these; what the library allocates itself may have.

pub mod bandwidth;
pub mod clock;
mod dense;
pub mod lstsq;
mod qr;
pub mod rsvd;
mod sparse;
mod transform;

use clock::Clock;
use randnla::{Backend, Cpu, MatMut, MatRef, Scalar, Sketch};

/// Two sides that are timed in turn on the same data.
pub trait Pair {
    /// What the library does.
    fn ours(&mut self);
    /// What it is measured against.
    fn reference(&mut self);
    /// Undoes what a round did to the data; not timed.
    fn restore(&mut self) {}
    /// What else there is to say, such as the accuracy reached.
    fn note(&mut self) -> Option<String> {
        None
    }
}

/// What the time of a row is divided by.
pub enum Against {
    /// The time of [`Pair::reference`] multiplied by `share`.
    Work { what: &'static str, share: f64 },
    /// A time that does not depend on the machine, in seconds per unit of [`Row::per`].
    Time { seconds: f64 },
}

/// A row of the table.
pub struct Row {
    /// Area, variant, scalar, layout: `gaussian/f64/row-major`.
    pub name: String,
    /// What it is measured against.
    pub against: Against,
    /// The largest ratio that passes; none where the row informs only.
    pub bound: Option<f64>,
    /// The clock of both sides.
    pub clock: Clock,
    /// How many units a call works through, when times are shown per unit.
    pub per: f64,
    /// Allocates and fills the matrices.
    pub make: Box<dyn Fn() -> Box<dyn Pair>>,
}

impl Row {
    fn new<P: Pair + 'static>(
        name: impl Into<String>,
        what: &'static str,
        bound: Option<f64>,
        clock: Clock,
        make: impl Fn() -> P + 'static,
    ) -> Self {
        let against = Against::Work { what, share: 1.0 };
        let make = Box::new(move || Box::new(make()) as Box<dyn Pair>);
        Self { name: name.into(), against, bound, clock, per: 1.0, make }
    }
}

/// Every row, in the order of the table.
pub fn all() -> Vec<Row> {
    [dense::rows(), sparse::rows(), transform::rows(), vec![rsvd::row(), lstsq::row()], qr::rows()]
        .into_iter()
        .flatten()
        .collect()
}

/// Rows of S where S·A is measured.
const D: usize = 1536;
/// Rows of A: 128 MiB of f64 with [`N`] columns, four times the last-level cache.
const M: usize = 1 << 14;
/// Columns of A.
const N: usize = 1024;

/// Which entries of a matrix are neighbours in memory.
#[derive(Clone, Copy)]
pub enum Layout {
    ColumnMajor,
    RowMajor,
}

impl Layout {
    const BOTH: [Self; 2] = [Self::ColumnMajor, Self::RowMajor];

    fn name(self) -> &'static str {
        match self {
            Self::ColumnMajor => "column-major",
            Self::RowMajor => "row-major",
        }
    }

    fn view<'a, T: Scalar>(self, cpu: &'a Cpu, data: &'a [T], m: usize, n: usize) -> MatRef<'a, T> {
        match self {
            Self::ColumnMajor => MatRef::from_column_major(cpu, data, m, n),
            Self::RowMajor => MatRef::from_row_major(cpu, data, m, n),
        }
        .expect("the slice holds m·n entries")
    }

    fn view_mut<'a, T: Scalar>(
        self,
        cpu: &'a Cpu,
        data: &'a mut [T],
        m: usize,
        n: usize,
    ) -> MatMut<'a, T> {
        match self {
            Self::ColumnMajor => MatMut::from_column_major(cpu, data, m, n),
            Self::RowMajor => MatMut::from_row_major(cpu, data, m, n),
        }
        .expect("the slice holds m·n entries")
    }
}

/// `m·n` independent entries, uniform with variance 1, every page touched.
fn random<T: Scalar>(m: usize, n: usize) -> Vec<T>
where
    Cpu: Backend<T>,
{
    let cpu = Cpu::new();
    let mut data = vec![T::zero(); m * n];
    let view = Layout::ColumnMajor.view_mut(&cpu, &mut data, m, n);
    let entries = Sketch::uniform(m, n, 1).expect("m is small").raw();
    randnla::SketchKernels::fill(&cpu, &entries, T::one(), view).expect("enough memory");
    data
}

/// A handle of one thread.
fn one_thread() -> Cpu {
    Cpu::with_threads(1).expect("one thread needs nothing of the system")
}
