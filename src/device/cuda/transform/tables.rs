//! What is computed on the GPU before a transform: the signs and sampled rows of an operator for each
//! call, and the tables of a cosine transform once for each order.

use super::pass::{self, Kind, Mix, THREADS};
use crate::device::cuda::driver::Event;
use crate::device::cuda::launch::{Shape, View, arg, launch};
use crate::device::cuda::permutation::Network;
use crate::device::cuda::{Cuda, CudaBuffer, CudaScalar, lock, memory};
use crate::random::{Permutation, Stream};
use crate::{Device, Family, Op, Result, Sketch};
use cudarc::driver::sys::CUdeviceptr;

/// The signs and sampled rows of an operator: a bit a coordinate and round, and the rows as a list of 8
/// bytes each, or for each row of the transform a bit whether it is sampled and 4 bytes for its place.
pub(super) struct Draw {
    pub(super) signs: CudaBuffer<u32>,
    /// Words of signs of a round.
    pub(super) words: u32,
    pub(super) index: CudaBuffer<u64>,
    pub(super) chosen: CudaBuffer<u32>,
    pub(super) places: CudaBuffer<u32>,
}

impl Draw {
    /// With a list of the sampled rows, or what each of so many positions says.
    pub(super) fn new(cuda: &Cuda, s: &Sketch, positions: Option<usize>) -> Result<Self> {
        let (signs, rows) = match s.family() {
            Family::Srct => (Stream::DctSigns, Stream::DctRows),
            Family::HadamardDiagonal => {
                (Stream::HadamardDiagonalSigns, Stream::HadamardDiagonalRows)
            }
            _ => (Stream::SrhtSigns, Stream::SrhtRows),
        };
        let (n, range, rounds) = (s.transform_len(), s.row_range(), s.rounds());
        let blocks = n.div_ceil(128);
        let words = 4 * blocks;
        let asked = positions.unwrap_or(0);
        let mut draw = Self {
            signs: cuda.scratch(words * rounds as usize)?,
            words: words as u32,
            index: cuda.scratch(if positions.is_none() { range.len() } else { 0 })?,
            chosen: cuda.scratch(asked.div_ceil(32))?,
            places: cuda.scratch(asked)?,
        };
        draw.chosen.clear()?;
        let permutation = Permutation::new(s.seed(), rows, n as u64);
        let network = Network::new(&permutation, s.seed(), rows);
        let (to_signs, to_index) = (draw.signs.start(), draw.index.start());
        let (to_chosen, to_places) = (draw.chosen.start(), draw.places.start());
        let work = blocks * rounds as usize + range.len();
        let (stream, blocks) = (signs.number(), blocks as i64);
        let (first, sampled) = (range.start as u64, range.len() as i64);
        let arguments = &mut [
            arg(&to_signs),
            arg(&stream),
            arg(&rounds),
            arg(&blocks),
            arg(&to_index),
            arg(&to_chosen),
            arg(&to_places),
            arg(&network),
            arg(&first),
            arg(&sampled),
        ];
        let shape = Shape::over(cuda, work, THREADS as usize, THREADS);
        // SAFETY: the parameters of the kernel; the buffers have four words a block, and an entry a row or
        // one for each row of the transform and a bit that is zero; rows are below 2³¹.
        unsafe { launch(cuda, &cuda.gpu.transform, "draw", shape, arguments) }?;
        Ok(draw)
    }
}

/// The roots of unity of complex transforms of 2^bits entries, of all orders.
pub(super) fn roots<T: CudaScalar>(cuda: &Cuda, bits: u32) -> Result<CudaBuffer<T>> {
    let memory = cuda.scratch(2 << bits)?;
    let (none, order, no, start) = (0u64, 0i64, 0u32, memory.start());
    let arguments = &mut [
        arg(&order),
        arg(&bits),
        arg(&no),
        arg(&no),
        arg(&none),
        arg(&none),
        arg(&start),
        arg(&none),
    ];
    let shape = Shape::over(cuda, 1 << bits, THREADS as usize, THREADS);
    let name = T::kernel(["cosine_tables_f32", "cosine_tables_f64"]);
    // SAFETY: the parameters of the kernel; of order 0 it writes the roots only.
    unsafe { launch(cuda, &cuda.gpu.fourier, name, shape, arguments) }?;
    Ok(memory)
}

/// The most bytes of tables that are kept.
const KEPT_BYTES: usize = 64 << 20;

/// Tables that stay until the last handle on the GPU is gone: those that came first, as far as
/// [`KEPT_BYTES`] go. They are never written again, so any stream may read them once they are made.
#[derive(Default)]
pub(in crate::device::cuda) struct KeptTables {
    tables: Vec<Kept>,
    bytes: usize,
}

struct Kept {
    /// Order, direction and bytes of a scalar.
    what: (usize, Op, usize),
    start: CUdeviceptr,
    made: Event,
}

impl KeptTables {
    #[cfg(test)]
    pub(in crate::device::cuda) fn len(&self) -> usize {
        self.tables.len()
    }

    /// As if nothing more could be kept.
    #[cfg(test)]
    pub(in crate::device::cuda) fn exhaust(&mut self) {
        self.bytes = KEPT_BYTES;
    }

    /// Gives everything back. The context is current, and all work is done.
    pub(in crate::device::cuda) fn close(&mut self) {
        for table in self.tables.drain(..) {
            memory::free_finished(table.start);
            table.made.destroy();
        }
    }
}

/// The tables of a cosine transform (`cuda/fourier.cu`), one behind the other.
pub(super) struct Tables<T: CudaScalar> {
    start: CUdeviceptr,
    n: usize,
    bits: u32,
    /// The memory of tables that are not kept.
    _memory: Option<CudaBuffer<T>>,
}

impl<T: CudaScalar> Tables<T> {
    /// The tables of order n ≥ 1, kept ones if there are any.
    ///
    /// In a capture they are made anew: a graph could not wait for the stream that made the others.
    pub(super) fn of(cuda: &Cuda, op: Op, n: usize) -> Result<Self> {
        let _current = cuda.enter()?;
        if cuda.capture()?.is_some() {
            return Self::new(cuda, op, n);
        }
        let what = (n, op, size_of::<T>());
        let mut kept = lock(&cuda.gpu.tables);
        if let Some(found) = kept.tables.iter().find(|table| table.what == what) {
            cuda.stream().wait_event(&found.made)?;
            return Ok(Self { start: found.start, n, bits: order_bits(n), _memory: None });
        }
        let mut tables = Self::new(cuda, op, n)?;
        let bytes = table_len(n) * size_of::<T>();
        if kept.bytes + bytes <= KEPT_BYTES {
            let made = Event::record(cuda.stream())?;
            let memory = tables._memory.take().expect("just made");
            kept.tables.push(Kept { what, start: memory.into_start(), made });
            kept.bytes += bytes;
        }
        Ok(tables)
    }

    fn new(cuda: &Cuda, op: Op, n: usize) -> Result<Self> {
        let (convolve, bits) = (!n.is_power_of_two(), order_bits(n));
        let memory = cuda.scratch::<T>(table_len(n))?;
        let tables = Self { start: memory.start(), n, bits, _memory: Some(memory) };
        let (order, trans) = (n as i64, u32::from(op == Op::Trans));
        let [enter, leave, roots, chirp] = tables.starts();
        let convolution = u32::from(convolve);
        let arguments = &mut [
            arg(&order),
            arg(&bits),
            arg(&convolution),
            arg(&trans),
            arg(&enter),
            arg(&leave),
            arg(&roots),
            arg(&chirp),
        ];
        let shape = Shape::over(cuda, 1 << bits, THREADS as usize, THREADS);
        let name = T::kernel(["cosine_tables_f32", "cosine_tables_f64"]);
        // SAFETY: the parameters of the kernel; the tables have the lengths that it writes.
        unsafe { launch(cuda, &cuda.gpu.fourier, name, shape, arguments) }?;
        if convolve {
            let scratch = View::of_buffer(chirp, 1, 1 << bits);
            let mix = Mix { scratch, roots, ..Mix::new(n, bits, 1) };
            for &visit in &pass::visits::<T>(Kind::Cosine, &mix, 1) {
                pass::launch_pass::<T>(cuda, Kind::Cosine, mix, visit)?;
            }
        }
        Ok(tables)
    }

    /// Addresses of the factors at entrance and exit, the roots, and the chirp or its transform.
    fn starts(&self) -> [u64; 4] {
        let entry = Kind::Cosine.bytes::<T>() as u64;
        let (n, roots) = (self.n as u64, 1u64 << self.bits);
        [0, n, 2 * n, 2 * n + roots].map(|at| self.start + entry * at)
    }

    /// There, or there and back.
    pub(super) fn rounds(&self) -> u32 {
        if self.n.is_power_of_two() { 1 } else { 2 }
    }

    /// The arguments that stand for the transform of whole columns.
    pub(super) fn mix(&self, cols: usize) -> Mix {
        let [enter, leave, roots, spectrum] = self.starts();
        let reversed = u32::from(self.n.is_power_of_two());
        Mix { enter, leave, roots, spectrum, reversed, ..Mix::new(self.n, self.bits, cols) }
    }
}

/// The logarithm of the length of the transform behind one of order n.
fn order_bits(n: usize) -> u32 {
    if n.is_power_of_two() { n.ilog2() } else { pass::log2_ceil(2 * n - 1) }
}

/// Scalars of the tables of order n: two factors an entry, roots of unity, a chirp.
fn table_len(n: usize) -> usize {
    let len = 1usize << order_bits(n);
    let chirp = if n.is_power_of_two() { 0 } else { len };
    2 * (2 * n + len + chirp)
}
