//! The arguments of the kernels of `cuda/transform.cuh`, how the bits of a column are divided among
//! passes, and the launches.

use crate::Result;
pub(super) use crate::device::cuda::blas::log2_ceil;
use crate::device::cuda::launch::{Shape, View, arg, launch};
use crate::device::cuda::{Cuda, CudaScalar};

/// Threads of a block in `cuda/tile.cuh`.
pub(super) const THREADS: u32 = 256;
/// Bytes of the largest tile: three blocks fit a multiprocessor.
const TILE_BYTES: usize = 64 << 10;
/// Bytes that a tile reads side by side, at least.
const LINE_BYTES: usize = 128;
/// Columns of a launch, at most, where they need no memory of their own.
pub(super) const MOST_COLUMNS: usize = 1 << 30;

/// The butterflies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Sums and differences of reals.
    Hadamard,
    /// Those of complex numbers, with roots of unity.
    Cosine,
    /// The same, there for every factor and back once.
    Convolution,
}

impl Kind {
    /// Bytes of an entry inside the transform.
    pub(super) fn bytes<T>(self) -> usize {
        size_of::<T>() * if self == Kind::Hadamard { 1 } else { 2 }
    }
}

/// What a pass reads first and writes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Scratch = 0,
    Window = 1,
    Sampled = 2,
    Product = 3,
}

/// The arguments of a kernel, all passed as one (`Mix` in `cuda/tile.cuh`, which explains
/// them). Addresses that are zero are not used.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Mix {
    pub(super) source: View,
    pub(super) target: View,
    pub(super) scratch: View,
    pub(super) product: View,
    pub(super) signs: u64,
    pub(super) index: u64,
    pub(super) chosen: u64,
    pub(super) places: u64,
    pub(super) enter: u64,
    pub(super) leave: u64,
    pub(super) spectrum: u64,
    pub(super) roots: u64,
    pub(super) n: i64,
    pub(super) first: i64,
    pub(super) count: i64,
    pub(super) sampled: i64,
    pub(super) cols: i64,
    pub(super) factor: f64,
    pub(super) beta: f64,
    pub(super) between: f64,
    pub(super) words: u32,
    pub(super) bits: u32,
    pub(super) shift: u32,
    pub(super) points: u32,
    pub(super) lanes: u32,
    pub(super) along_cols: u32,
    pub(super) points_fast: u32,
    pub(super) load: u32,
    pub(super) store: u32,
    pub(super) wide_load: u32,
    pub(super) wide_store: u32,
    pub(super) rounds: u32,
    pub(super) round: u32,
    pub(super) trans: u32,
    pub(super) reversed: u32,
    pub(super) by_rows: u32,
    pub(super) fast_bits: u32,
    pub(super) merge: u32,
}

impl Mix {
    /// A transform of order n by 2^bits positions of whole columns, without signs and factors.
    pub(super) fn new(n: usize, bits: u32, cols: usize) -> Self {
        let none = View::of_buffer(0, 0, 0);
        let (n, cols) = (n as i64, cols as i64);
        Self {
            source: none,
            target: none,
            scratch: none,
            product: none,
            signs: 0,
            index: 0,
            chosen: 0,
            places: 0,
            enter: 0,
            leave: 0,
            spectrum: 0,
            roots: 0,
            n,
            first: 0,
            count: n,
            sampled: 0,
            cols,
            factor: 1.0,
            beta: 0.0,
            between: 1.0,
            words: 0,
            bits,
            shift: 0,
            points: 0,
            lanes: 0,
            along_cols: 0,
            points_fast: 0,
            load: End::Scratch as u32,
            store: End::Scratch as u32,
            wide_load: 0,
            wide_store: 0,
            rounds: 1,
            round: 0,
            trans: 0,
            reversed: 0,
            by_rows: 0,
            fast_bits: 0,
            merge: 0,
        }
    }

    /// Whether threads of a pass move 16 bytes at once at an end whose matrix outside is `outside`: where
    /// the entries that are neighbours in a tile are so in memory, and neither the matrix nor the window
    /// begins or ends between.
    fn is_wide<T>(&self, kind: Kind, end: u32, outside: View) -> bool {
        let (view, size) = match end {
            end if end == End::Scratch as u32 => (self.scratch, kind.bytes::<T>()),
            // Complex numbers go with factors and rows that are no neighbours.
            end if end == End::Window as u32 && kind == Kind::Hadamard => (outside, size_of::<T>()),
            _ => return false,
        };
        let run = 16 / size;
        let is_whole = |length: i64| length % run as i64 == 0;
        let (along_cols, strided) = (self.along_cols == 1, self.points_fast == 0);
        let neighbours = match (along_cols, strided) {
            (true, _) => self.lanes,
            (false, true) => self.lanes.min(self.shift),
            (false, false) => self.points,
        };
        let within = match along_cols {
            true => is_whole(self.cols),
            false if end == End::Window as u32 => is_whole(self.first) && is_whole(self.count),
            false => true,
        };
        run > 1 && neighbours >= run.ilog2() && within && view.has_runs(16, size, along_cols)
    }
}

/// A pass over all columns: which bits, and which rounds while they are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    shift: u32,
    points: u32,
    round: u32,
    rounds: u32,
}

/// Logarithms of the entries of the largest tile and of a line.
fn limits<T>(kind: Kind) -> (u32, u32) {
    let bytes = kind.bytes::<T>();
    ((TILE_BYTES / bytes).ilog2(), (LINE_BYTES / bytes).ilog2())
}

/// Groups of bits from the lowest up: (shift, points), at most `low` in the first one and `high` in
/// the others, about equally many in each.
fn groups(bits: u32, low: u32, high: u32) -> Vec<(u32, u32)> {
    let mut left = 1 + bits.saturating_sub(low).div_ceil(high);
    let (mut found, mut top) = (Vec::new(), bits);
    while left > 1 {
        let points = top.div_ceil(left).min(high);
        top -= points;
        found.push((top, points));
        left -= 1;
    }
    found.push((0, top));
    found.reverse();
    found
}

/// The passes of a transform. Rounds go down the bits and up again in turn, and where one round ends
/// and the next begins they share a pass.
pub(super) fn visits<T>(kind: Kind, mix: &Mix, rounds: u32) -> Vec<Visit> {
    let (tile, line) = limits::<T>(kind);
    let low = match mix.along_cols {
        1 => tile - line.min(log2_ceil(mix.cols as usize)),
        // What leaves in reversed order is taken by lines, as in `launch_pass`.
        _ if mix.reversed == 1 && mix.bits > tile => tile - line,
        _ => tile,
    };
    let groups = groups(mix.bits, low, tile - line);
    let mut visits: Vec<Visit> = Vec::new();
    for round in 0..rounds {
        for at in 0..groups.len() {
            let (shift, points) = groups[if round % 2 == 1 { at } else { groups.len() - 1 - at }];
            match visits.last_mut() {
                Some(last) if at == 0 => last.rounds += 1,
                _ => visits.push(Visit { shift, points, round, rounds: 1 }),
            }
        }
    }
    visits
}

/// One pass over the columns.
pub(super) fn launch_pass<T: CudaScalar>(
    cuda: &Cuda,
    kind: Kind,
    mix: Mix,
    visit: Visit,
) -> Result<()> {
    let Visit { shift, points, round, rounds } = visit;
    let (tile, line) = limits::<T>(kind);
    let (cols, others) = (mix.cols as usize, 1usize << (mix.bits - points));
    let along_cols = mix.along_cols == 1;
    let strided = along_cols || shift > 0;
    let turned = mix.reversed == 1 && points < mix.bits;
    let available = log2_ceil(if along_cols { cols } else { cols * others });
    // Small tiles leave room for many blocks; a thread has 8 or 16 entries.
    let fill = (tile - 2).min(12).saturating_sub(points);
    let lanes =
        fill.max(if strided || turned { line } else { 0 }).min(available).min(tile - points);
    let tiles = match along_cols {
        true => others * cols.div_ceil(1 << lanes),
        false => (cols * others).div_ceil(1 << lanes),
    };
    let points_fast = u32::from(!strided);
    let mix = Mix { shift, points, lanes, points_fast, round, rounds, ..mix };
    let wide_load = mix.is_wide::<T>(kind, mix.load, mix.source).into();
    let wide_store = mix.is_wide::<T>(kind, mix.store, mix.target).into();
    let mix = Mix { wide_load, wide_store, ..mix };
    let shared = (kind.bytes::<T>() << (points + lanes)) as u32;
    // A tile has 512 bytes at least, or is one of `MOST_COLUMNS`: a grid may have 2³¹ − 1 blocks.
    let tiles = u32::try_from(tiles).expect("a tile has 512 bytes at least");
    let shape = Shape { grid: (tiles, 1), block: THREADS, shared };
    let (module, names) = match kind {
        Kind::Hadamard => (&cuda.gpu.transform, ["hadamard_f32", "hadamard_f64"]),
        Kind::Cosine => (&cuda.gpu.fourier, ["cosine_f32", "cosine_f64"]),
        Kind::Convolution => (&cuda.gpu.fourier, ["convolve_f32", "convolve_f64"]),
    };
    // SAFETY: the kernel takes a `Mix`; callers set the addresses that its ends and tables need.
    unsafe { launch(cuda, module, T::kernel(names), shape, &mut [arg(&mix)]) }
}

/// A convolution of long columns from the scratch memory to the target.
pub(super) fn launch_fold<T: CudaScalar>(cuda: &Cuda, mix: Mix) -> Result<()> {
    let (rows, cols) = (mix.n as usize, mix.cols as usize);
    let (fast, slow) = if mix.by_rows == 1 { (rows, cols) } else { (cols, rows) };
    let fast_bits = log2_ceil(fast).min(THREADS.trailing_zeros());
    let mix = Mix { fast_bits, ..mix };
    let most = cuda.context().processors * 32;
    let x = fast.div_ceil(1 << fast_bits).clamp(1, most);
    let y = slow.div_ceil((THREADS >> fast_bits) as usize).clamp(1, (most / x).max(1));
    let shape = Shape { grid: (x as u32, y as u32), block: THREADS, shared: 0 };
    let name = T::kernel(["convolve_fold_f32", "convolve_fold_f64"]);
    // SAFETY: as above.
    unsafe { launch(cuda, &cuda.gpu.fourier, name, shape, &mut [arg(&mix)]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_divided_within_the_limits() {
        for (low, high) in [(14, 9), (9, 9), (13, 9), (12, 9), (10, 5)] {
            for bits in 0..50 {
                let groups = groups(bits, low, high);
                let mut next = 0;
                for (at, &(shift, points)) in groups.iter().enumerate() {
                    assert_eq!(shift, next);
                    assert!(points <= if at == 0 { low } else { high }, "{groups:?}");
                    assert!(points > 0 || bits == 0);
                    next += points;
                }
                assert_eq!(next, bits);
                assert_eq!(groups.len() as u32, 1 + bits.saturating_sub(low).div_ceil(high));
            }
        }
    }
}
