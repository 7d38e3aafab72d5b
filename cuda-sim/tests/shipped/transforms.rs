//! Small launches of the kernels of transforms.

use super::operands::*;
use super::{Launch, Setup};
use std::f64::consts::PI;

/// What the launches tell their kernel: `Mix` of `cuda/tile.cuh`, and what they leave out of it zero.
#[derive(Default)]
struct Mix {
    source: u64,
    target: u64,
    /// Entries of a column outside, 1 apart.
    rows: u64,
    /// Bits and addresses of the places of sampled rows.
    sampled: [u64; 2],
    /// Factors at entrance and exit, roots of unity.
    tables: [u64; 3],
    /// 2^bits positions.
    bits: u32,
    cols: u64,
    between: f64,
    /// Bits that the pass is about: how many, and from which on; logarithm of the lanes of a tile.
    points: u32,
    shift: u32,
    lanes: u32,
    /// What is read and written, by 16 bytes or not.
    ends: u32,
    wide: bool,
    rounds: u32,
}

const WINDOW: u32 = 1;
const SAMPLED: u32 = 2;

impl Mix {
    fn bytes(&self) -> Vec<u8> {
        let n = 1u64 << self.bits;
        let [enter, leave, roots] = self.tables;
        let reversed = u32::from(roots != 0);
        let mut bytes = [view(self.source, 1, self.rows), view(self.target, 1, self.rows)].concat();
        bytes.extend(words(&[0; 6])); // scratch memory and product
        bytes.extend(words(&[0, 0, self.sampled[0], self.sampled[1], enter, leave, 0, roots]));
        bytes.extend(words(&[n, 0, n, 0, self.cols]));
        bytes.extend(words(&[1f64, 0.0, self.between].map(f64::to_bits)));
        bytes.extend(int_words(&[0, self.bits, self.shift, self.points, self.lanes]));
        let (points_fast, wide) = (u32::from(self.shift == 0), u32::from(self.wide));
        bytes.extend(int_words(&[0, points_fast, self.ends, self.ends, wide, wide]));
        bytes.extend(int_words(&[self.rounds, 0, 0, reversed, 0, 0, 0]));
        bytes
    }

    /// Blocks of a launch, one a tile.
    fn tiles(&self) -> u32 {
        ((self.cols << (self.bits - self.points)).div_ceil(1 << self.lanes)) as u32
    }
}

/// Butterflies at some bits of each column of 2^bits numbers.
fn butterflies(x: &mut [f64], bits: u32, at: std::ops::Range<u32>) {
    for column in x.chunks_mut(1 << bits) {
        for bit in at.clone() {
            for i in (0..column.len()).filter(|i| i >> bit & 1 == 0) {
                let (a, b) = (column[i], column[i | 1 << bit]);
                (column[i], column[i | 1 << bit]) = (a + b, a - b);
            }
        }
    }
}

pub fn hadamard(setup: &mut Setup) -> Launch {
    // Short columns, since of 1024 entries a thread loads itself what it meets at the highest bits, and
    // would not need the barrier between. The second tile is not full.
    let (bits, lanes, cols) = (6, 4, 30);
    let n = 1usize << bits;
    let x = small(n * cols);
    let (source, target) = (setup.floats(&x), setup.empty(4 * n * cols));
    // Three rounds with 1/√n between them are one.
    let mix = Mix {
        source,
        target,
        rows: n as u64,
        bits,
        cols: cols as u64,
        between: (1.0 / n as f64).sqrt(),
        points: bits,
        lanes,
        ends: WINDOW,
        wide: true,
        rounds: 3,
        ..Mix::default()
    };
    setup.pass(mix.bytes());
    let mut expected: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    butterflies(&mut expected, bits, 0..bits);
    let expected = expected.iter().map(|&x| x as f32).collect();
    Launch { dynamic_shared: (4 * n) << lanes, ..floats(mix.tiles(), 256, target, expected, 0.0) }
}

/// Butterflies of a few bits of columns whose other bits would be the matter of another pass, from sampled
/// rows to the same ones.
pub fn sampled(setup: &mut Setup) -> Launch {
    let (bits, shift, points, lanes, cols) = (9u32, 2, 5, 4, 5usize);
    let n = 1usize << bits;
    // Every third row from the last one down, and not the first.
    let rows: Vec<usize> = (1..n).rev().step_by(3).collect();
    let d = rows.len();
    let y: Vec<f64> = small(d * cols).into_iter().map(f64::from).collect();
    let (mut chosen, mut places) = (vec![0u32; n / 32], vec![u32::MAX; n]);
    for (i, &row) in rows.iter().enumerate() {
        chosen[row / 32] |= 1 << (row % 32);
        places[row] = i as u32;
    }
    let mix = Mix {
        source: setup.buffer(&y, f64::to_le_bytes),
        target: setup.empty(8 * d * cols),
        rows: d as u64,
        sampled: [setup.ints(&chosen), setup.ints(&places)],
        bits,
        cols: cols as u64,
        points,
        shift,
        lanes,
        ends: SAMPLED,
        rounds: 1,
        ..Mix::default()
    };
    setup.pass(mix.bytes());
    let mut x = vec![0.0; n * cols];
    let pairs = || {
        (0..cols)
            .flat_map(|j| rows.iter().enumerate().map(move |(i, row)| (i + j * d, row + j * n)))
    };
    pairs().for_each(|(outside, inside)| x[inside] = y[outside]);
    butterflies(&mut x, bits, shift..shift + points);
    let expected = pairs().map(|(_, inside)| x[inside]).collect();
    let dynamic_shared = 8 << (points + lanes);
    Launch { dynamic_shared, ..doubles(mix.tiles(), 256, mix.target, expected) }
}

pub fn cosine(setup: &mut Setup) -> Launch {
    let (bits, cols) = (9, 2);
    let n = 1usize << bits;
    let tables = [(); 3].map(|()| setup.empty(8 * n));
    setup.pass((n as u64).to_le_bytes());
    for flag in [bits, 0u32, 0] {
        setup.pass(flag.to_le_bytes());
    }
    for address in [tables[0], tables[1], tables[2], 0] {
        setup.pass(address.to_le_bytes());
    }
    setup.launch_first("cosine_tables_f32", 2, 256);
    let x = small(n * cols);
    let (source, target) = (setup.floats(&x), setup.empty(4 * n * cols));
    let mix = Mix {
        source,
        target,
        rows: n as u64,
        tables,
        bits,
        cols: cols as u64,
        points: bits,
        ends: WINDOW,
        rounds: 1,
        ..Mix::default()
    };
    setup.pass(mix.bytes());
    let transform = |column: &[f32], k: usize| {
        let angle = |t: usize| PI * (2 * t + 1) as f64 * k as f64 / (2 * n) as f64;
        let sum: f64 = (0..n).map(|t| f64::from(column[t]) * angle(t).cos()).sum();
        (sum * if k == 0 { 1.0 } else { 2f64.sqrt() } / (n as f64).sqrt()) as f32
    };
    let column = |column| (0..n).map(move |k| transform(column, k));
    let expected = x.chunks(n).flat_map(column).collect();
    Launch { dynamic_shared: 8 * n, ..floats(mix.tiles(), 256, target, expected, 1e-4) }
}
