//! Bytes of operands, and launches that compare numbers.

use super::Launch;

/// The bytes of 64-bit words.
pub fn words(longs: &[u64]) -> Vec<u8> {
    longs.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The same of 32 bits.
pub fn int_words(ints: &[u32]) -> Vec<u8> {
    ints.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub fn view(address: u64, row_stride: u64, col_stride: u64) -> Vec<u8> {
    words(&[address, row_stride, col_stride])
}

pub fn as_floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

pub fn as_ints(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
}

pub fn as_longs(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect()
}

/// A launch whose output must be these numbers, within a tolerance.
pub fn floats(grid: u32, threads: u32, output: u64, expected: Vec<f32>, tolerance: f32) -> Launch {
    let bytes = 4 * expected.len();
    let is_right = move |bytes: &[u8]| {
        let close = |(x, y): (f32, &f32)| (x - y).abs() <= tolerance;
        as_floats(bytes).into_iter().zip(&expected).all(close)
    };
    let (output, is_right) = ((output, bytes), Box::new(is_right));
    Launch { grid, threads, dynamic_shared: 0, output, is_right }
}

/// The same of 64 bits, exactly.
pub fn doubles(grid: u32, threads: u32, output: u64, expected: Vec<f64>) -> Launch {
    longs(grid, threads, output, expected.into_iter().map(f64::to_bits).collect())
}

pub fn longs(grid: u32, threads: u32, output: u64, expected: Vec<u64>) -> Launch {
    let bytes = 8 * expected.len();
    let is_right = Box::new(move |bytes: &[u8]| as_longs(bytes) == expected);
    Launch { grid, threads, dynamic_shared: 0, output: (output, bytes), is_right }
}

pub fn ints(grid: u32, threads: u32, output: u64, expected: Vec<u32>) -> Launch {
    let bytes = 4 * expected.len();
    let is_right = Box::new(move |bytes: &[u8]| as_ints(bytes) == expected);
    Launch { grid, threads, dynamic_shared: 0, output: (output, bytes), is_right }
}

/// Pseudorandom numbers below `limit`.
pub fn numbers(count: usize, limit: u32) -> Vec<u32> {
    let mut state = 1u64;
    let step = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u32 % limit
    };
    (0..count).map(step).collect()
}

/// Integers from -8 to 7, whose sums are exact.
pub fn small(count: usize) -> Vec<f32> {
    numbers(count, 16).into_iter().map(|x| x as f32 - 8.0).collect()
}

/// Philox4x32-10 as the library counts: block, unit, stream under the key of a seed.
pub fn philox(seed: u64, stream: u32, unit: u64, block: u32) -> [u32; 4] {
    let mut c = [block, unit as u32, (unit >> 32) as u32, stream];
    let mut k = [seed as u32, (seed >> 32) as u32];
    for _ in 0..10 {
        let (x, y) = (0xD251_1F53 * u64::from(c[0]), 0xCD9E_8D57 * u64::from(c[2]));
        c = [(y >> 32) as u32 ^ c[1] ^ k[0], y as u32, (x >> 32) as u32 ^ c[3] ^ k[1], x as u32];
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    c
}
