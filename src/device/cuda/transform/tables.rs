//! What is computed once a call on the GPU: the signs and sampled rows of an operator, and the tables
//! of a cosine transform.

use super::pass::{self, Kind, Mix, THREADS};
use crate::device::cuda::launch::{Shape, View, arg, launch};
use crate::device::cuda::permutation::Network;
use crate::device::cuda::{Cuda, CudaBuffer, CudaScalar};
use crate::random::{Permutation, Stream};
use crate::{Device, Family, Op, Result, Sketch};

/// The signs and sampled rows of an operator: a bit a coordinate and round, 8 bytes a row.
pub(super) struct Draw {
    pub(super) signs: CudaBuffer<u32>,
    /// Words of signs of a round.
    pub(super) words: u32,
    pub(super) index: CudaBuffer<u64>,
}

impl Draw {
    pub(super) fn new(cuda: &Cuda, s: &Sketch) -> Result<Self> {
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
        let draw = Self {
            signs: cuda.scratch(words * rounds as usize)?,
            words: words as u32,
            index: cuda.scratch(range.len())?,
        };
        let permutation = Permutation::new(s.seed(), rows, n as u64);
        let network = Network::new(&permutation, s.seed(), rows);
        let (to_signs, to_index) = (draw.signs.start(), draw.index.start());
        let work = blocks * rounds as usize + range.len();
        let (stream, blocks) = (signs.number(), blocks as i64);
        let (first, sampled) = (range.start as u64, range.len() as i64);
        let arguments = &mut [
            arg(&to_signs),
            arg(&stream),
            arg(&rounds),
            arg(&blocks),
            arg(&to_index),
            arg(&network),
            arg(&first),
            arg(&sampled),
        ];
        let shape = Shape::over(cuda, work, THREADS as usize, THREADS);
        // SAFETY: the parameters of the kernel; the buffers have four words a block and an entry a
        // row.
        unsafe { launch(cuda, &cuda.gpu.transform, "draw", shape, arguments) }?;
        Ok(draw)
    }
}

/// The 2^(bits − 1) roots of unity of complex transforms of 2^bits entries.
pub(super) fn roots<T: CudaScalar>(cuda: &Cuda, bits: u32) -> Result<CudaBuffer<T>> {
    let memory = cuda.scratch(2 * (1usize << bits).div_ceil(2))?;
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

/// The tables of a cosine transform (`cuda/fourier.cu`), one behind the other.
pub(super) struct Tables<T: CudaScalar> {
    memory: CudaBuffer<T>,
    n: usize,
    bits: u32,
}

impl<T: CudaScalar> Tables<T> {
    /// The tables of order n ≥ 1.
    pub(super) fn new(cuda: &Cuda, op: Op, n: usize) -> Result<Self> {
        let convolve = !n.is_power_of_two();
        let bits = if convolve { pass::log2_ceil(2 * n - 1) } else { n.ilog2() };
        let roots = (1usize << bits).div_ceil(2);
        let chirp = if convolve { 1usize << bits } else { 0 };
        let memory = cuda.scratch(2 * (2 * n + roots + chirp))?;
        let tables = Self { memory, n, bits };
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
        let (n, roots) = (self.n as u64, (1u64 << self.bits).div_ceil(2));
        [0, n, 2 * n, 2 * n + roots].map(|at| self.memory.start() + entry * at)
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
