//! Matrices stored with any strides, and their copies in the memory of a device.

use super::plain::Plain;
use randnla::{Device, MatMut, MatRef, Result, Scalar, Storage};

/// How entries are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Columns,
    Rows,
    PaddedColumns,
    PaddedRows,
    /// Neither stride is 1.
    Strided,
    /// Column-major from the last row and column backwards.
    Backwards,
    /// All rows are the same memory: for inputs only.
    EqualRows,
    /// All columns are the same memory: for inputs only.
    EqualColumns,
}

impl Layout {
    pub const WRITABLE: [Layout; 6] = [
        Layout::Columns,
        Layout::Rows,
        Layout::PaddedColumns,
        Layout::PaddedRows,
        Layout::Strided,
        Layout::Backwards,
    ];
    pub const READABLE: [Layout; 8] = [
        Layout::Columns,
        Layout::Rows,
        Layout::PaddedColumns,
        Layout::PaddedRows,
        Layout::Strided,
        Layout::Backwards,
        Layout::EqualRows,
        Layout::EqualColumns,
    ];

    fn strides(self, rows: usize, cols: usize) -> (isize, isize) {
        let (m, n) = (rows as isize, cols as isize);
        match self {
            Layout::Columns => (1, m),
            Layout::Rows => (n, 1),
            Layout::PaddedColumns => (1, m + 3),
            Layout::PaddedRows => (n + 5, 1),
            Layout::Strided => (2, 2 * m + 3),
            Layout::Backwards => (-1, -(m + 1)),
            Layout::EqualRows => (0, 1),
            Layout::EqualColumns => (1, 0),
        }
    }
}

/// A matrix and the memory around it. What is not an entry holds NaN: to read it spoils a result,
/// and [`Stored::assert_gaps_untouched`] notices when it was written.
#[derive(Clone)]
pub struct Stored<T> {
    data: Vec<T>,
    start: usize,
    rows: usize,
    cols: usize,
    strides: (isize, isize),
}

/// The stored number nearest to `x`, by way of what is computed with.
pub fn nearest<T: Storage>(x: f64) -> T {
    T::narrow(Scalar::from_f64(x))
}

impl<T: Storage> Stored<T> {
    /// Entries `f(i, j)`; with a broadcasting layout those of row or column 0.
    pub fn new(layout: Layout, rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        // Two elements of margin.
        Self::at(2, layout.strides(rows, cols), rows, cols, |i, j| match layout {
            Layout::EqualRows => f(0, j),
            Layout::EqualColumns => f(i, 0),
            _ => f(i, j),
        })
    }

    /// Entries `f(i, j)` with these strides, the lowest `margin` elements into the memory.
    pub fn at(
        margin: usize,
        strides: (isize, isize),
        rows: usize,
        cols: usize,
        f: impl Fn(usize, usize) -> f64,
    ) -> Self {
        let reach = |len: usize, stride: isize| (len.max(1) - 1) as isize * stride;
        let (down, right) = (reach(rows, strides.0), reach(cols, strides.1));
        let start = (margin as isize - down.min(0) - right.min(0)) as usize;
        let len = start + (down.max(0) + right.max(0)) as usize + 3;
        let data = vec![nearest::<T>(f64::NAN); len];
        let mut stored = Self { data, start, rows, cols, strides };
        for j in 0..cols {
            for i in 0..rows {
                let at = stored.position(i, j);
                stored.data[at] = nearest(f(i, j));
            }
        }
        stored
    }

    pub fn from_plain(layout: Layout, a: &Plain) -> Self {
        Self::new(layout, a.rows, a.cols, |i, j| a.get(i, j))
    }

    fn position(&self, i: usize, j: usize) -> usize {
        (self.start as isize + i as isize * self.strides.0 + j as isize * self.strides.1) as usize
    }

    /// A copy in the memory of a device.
    pub fn on<D: Device>(&self, device: &D) -> Placed<T, D> {
        let mut buffer = device.zeroed(self.data.len()).unwrap();
        device.upload(&self.data, &mut buffer).unwrap();
        Placed { buffer, host: self.clone(), device: device.clone() }
    }

    /// The entries after `run` on a device, which must leave alone what lies between them.
    #[track_caller]
    pub fn after<D: Device>(
        &self,
        what: &str,
        device: &D,
        run: impl FnOnce(MatMut<'_, T, D>) -> Result<()>,
    ) -> Plain {
        let mut on = self.on(device);
        run(on.view_mut()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let back = on.back();
        back.assert_gaps_untouched(what);
        back.plain()
    }

    pub fn plain_entry(&self, i: usize, j: usize) -> f64 {
        self.data[self.position(i, j)].widen().to_f64()
    }

    pub fn plain(&self) -> Plain {
        Plain::from_fn(self.rows, self.cols, |i, j| self.plain_entry(i, j))
    }

    #[track_caller]
    pub fn assert_gaps_untouched(&self, what: &str) {
        let mut is_entry = vec![false; self.data.len()];
        for j in 0..self.cols {
            for i in 0..self.rows {
                is_entry[self.position(i, j)] = true;
            }
        }
        let gaps = self.data.iter().zip(&is_entry).filter(|(_, entry)| !**entry);
        assert!(
            gaps.map(|(x, _)| x.widen().to_f64()).all(f64::is_nan),
            "{what}: wrote between entries"
        );
    }
}

/// A [`Stored`] matrix in the memory of a device, gaps and all.
pub struct Placed<T: Storage, D: Device> {
    buffer: D::Buffer<T>,
    host: Stored<T>,
    device: D,
}

impl<T: Storage, D: Device> Placed<T, D> {
    pub fn view(&self) -> MatRef<'_, T, D> {
        let ptr = D::as_ptr(&self.buffer).wrapping_add(self.host.start);
        let (shape, strides) = ((self.host.rows, self.host.cols), self.host.strides);
        // SAFETY: the buffer holds all that the host's memory holds, which has room for the entries.
        unsafe { MatRef::from_raw_parts(&self.device, ptr, shape, strides) }.unwrap()
    }

    pub fn view_mut(&mut self) -> MatMut<'_, T, D> {
        let ptr = D::as_mut_ptr(&mut self.buffer).wrapping_add(self.host.start);
        let (shape, strides) = ((self.host.rows, self.host.cols), self.host.strides);
        // SAFETY: as in `view`, and borrowed uniquely.
        unsafe { MatMut::from_raw_parts(&self.device, ptr, shape, strides) }.unwrap()
    }

    /// What the device holds now.
    pub fn back(&self) -> Stored<T> {
        let mut host = self.host.clone();
        self.device.download(&self.buffer, &mut host.data).unwrap();
        host
    }
}
