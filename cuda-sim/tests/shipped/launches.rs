//! Small launches that take each kernel through all of its steps.

use super::copies::*;
use super::operands::*;
use super::sparse::{count_draws, distinct_rows, meet, scatter, sparse_sign};
use super::transforms::{cosine, hadamard, sampled};
use super::{Launch, Scene, Setup};

pub const SCENES: [Scene; 30] = [
    Scene { file: "transform", kernel: "hadamard_f32", prepare: hadamard },
    Scene { file: "transform", kernel: "hadamard_f64", prepare: sampled },
    Scene { file: "transform", kernel: "draw", prepare: draw },
    Scene { file: "fourier", kernel: "cosine_f32", prepare: cosine },
    Scene { file: "sort", kernel: "digit_counts", prepare: digit_counts },
    Scene { file: "sort", kernel: "scan_tiles", prepare: scan_tiles },
    Scene { file: "sort", kernel: "place_pairs", prepare: place_pairs },
    Scene { file: "half_dense", kernel: "signs_times_f16", prepare: signs_times },
    Scene { file: "block_perm", kernel: "block_perm_rows_f32", prepare: |s| block_perm(s, true) },
    Scene { file: "block_perm", kernel: "block_perm_cols_f32", prepare: |s| block_perm(s, false) },
    Scene {
        file: "block_perm",
        kernel: "block_perm_rows_f16",
        prepare: |s| halves_by_blocks(s, true),
    },
    Scene {
        file: "block_perm",
        kernel: "block_perm_cols_f16",
        prepare: |s| halves_by_blocks(s, false),
    },
    Scene { file: "blas", kernel: "transpose_f32", prepare: transpose },
    Scene { file: "blas", kernel: "mirror_f32", prepare: mirror },
    Scene { file: "blas", kernel: "axpby_f32", prepare: axpby },
    Scene { file: "blas", kernel: "move_rows_f32", prepare: move_rows },
    Scene { file: "norms", kernel: "largest_f32", prepare: largest },
    Scene { file: "norms", kernel: "squares_f32", prepare: squares },
    Scene { file: "norms", kernel: "column_squares_f32", prepare: column_squares },
    Scene { file: "norms", kernel: "column_squares_by_rows_f32", prepare: column_squares_by_rows },
    Scene { file: "half", kernel: "turn_f16_f32", prepare: turn },
    Scene { file: "sparse", kernel: "sparse_sign", prepare: sparse_sign },
    Scene { file: "sparse", kernel: "sparse_sign_wide", prepare: |s| distinct_rows(s, 70, 10) },
    Scene { file: "sparse", kernel: "stored_meets_stored_f32", prepare: |s| meet(s, None) },
    Scene {
        file: "sparse",
        kernel: "stored_meets_stored_wide_f32",
        prepare: |s| meet(s, Some(56)),
    },
    Scene { file: "sparse", kernel: "scatter_signs_f32", prepare: scatter },
    Scene { file: "rows", kernel: "count_draws", prepare: count_draws },
    Scene { file: "dense", kernel: "uniform_f32", prepare: uniform },
    Scene { file: "dense", kernel: "signs_times_4_f32", prepare: times_signs },
    Scene { file: "dense", kernel: "join_f32", prepare: join },
];

/// The words of Philox4x32-10 for counters and key zero are known from its authors' tests.
fn draw(setup: &mut Setup) -> Launch {
    let blocks = 300u64;
    let signs = setup.empty(16 * blocks as usize);
    setup.pass(signs.to_le_bytes());
    setup.pass(0u32.to_le_bytes());
    setup.pass(1u32.to_le_bytes());
    setup.pass(blocks.to_le_bytes());
    for _ in 0..3 {
        setup.pass(0u64.to_le_bytes()); // no sampled rows
    }
    setup.pass(words(&[0, 1, 1, 1, 0])); // a permutation of one
    setup.pass(0u64.to_le_bytes());
    setup.pass(0u64.to_le_bytes());
    let expected: Vec<u32> = (0..blocks as u32).flat_map(|block| philox(0, 0, 0, block)).collect();
    assert_eq!(expected[..4], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]);
    ints(1, 256, signs, expected)
}

/// Pairs of five tiles, the last one not full, and empty tiles up to twice the number that counts together.
const PAIRS: usize = 17000;
const TILES: usize = 8;
const TILE: usize = 4096;

fn counts(keys: &[u32]) -> Vec<u64> {
    let mut counts = vec![0; 256 * TILES];
    for (e, key) in keys.iter().enumerate() {
        counts[(key >> 8 & 255) as usize * TILES + e / TILE] += 1;
    }
    counts
}

/// The sum of what is before each number.
fn sums_before(numbers: &[u64]) -> Vec<u64> {
    let add = |sum: &mut u64, x: &u64| {
        *sum += x;
        Some(*sum - x)
    };
    numbers.iter().scan(0, add).collect()
}

fn digit_counts(setup: &mut Setup) -> Launch {
    let keys = numbers(PAIRS, 1 << 16);
    let addresses = [setup.ints(&keys), setup.longs(&[PAIRS as u64])];
    let found = setup.empty(8 * 256 * TILES);
    addresses.iter().for_each(|address| setup.pass(address.to_le_bytes()));
    setup.pass(8u32.to_le_bytes());
    setup.pass((TILES as u64).to_le_bytes());
    setup.pass(found.to_le_bytes());
    longs(1, 256, found, counts(&keys))
}

fn scan_tiles(setup: &mut Setup) -> Launch {
    // Two tiles, the second one not full.
    let (len, tile) = (3000, 2048);
    let data: Vec<u64> = numbers(len, 100).into_iter().map(u64::from).collect();
    let (address, sums) = (setup.longs(&data), setup.empty(8 * len.div_ceil(tile)));
    setup.pass(address.to_le_bytes());
    setup.pass((len as u64).to_le_bytes());
    setup.pass(sums.to_le_bytes());
    longs(1, 256, address, data.chunks(tile).flat_map(sums_before).collect())
}

fn place_pairs(setup: &mut Setup) -> Launch {
    let keys = numbers(PAIRS, 1 << 16);
    let values: Vec<u64> = (0..PAIRS as u64).collect();
    let places = sums_before(&counts(&keys));
    let inputs = [setup.ints(&keys), setup.longs(&values), setup.longs(&[PAIRS as u64])];
    let places = setup.longs(&places);
    let (keys_out, values_out) = (setup.empty(4 * PAIRS), setup.empty(8 * PAIRS));
    inputs.iter().for_each(|address| setup.pass(address.to_le_bytes()));
    setup.pass(8u32.to_le_bytes());
    setup.pass((TILES as u64).to_le_bytes());
    for address in [places, keys_out, values_out] {
        setup.pass(address.to_le_bytes());
    }
    let mut expected = values;
    expected.sort_by_key(|&value| keys[value as usize] >> 8);
    longs(1, 256, values_out, expected)
}

/// `Product` of `cuda/half_dense.cu`: 128 rows of S times 128 × 16 halves by columns.
fn signs_times(setup: &mut Setup) -> Launch {
    let (outer, inner, n, seed, stream) = (128usize, 128usize, 16usize, 7u64, 3u32);
    let a = small(inner * n);
    let address = setup.halves(&a);
    let sums = setup.empty(4 * outer * 64);
    let mut m = [view(address, 1, inner as u64), view(0, 0, 0)].concat();
    m.extend(words(&[seed, 0, 0, outer as u64, inner as u64, n as u64, 2, 1, outer as u64]));
    m.extend(int_words(&[0, 0, stream, 1, 1, 1f32.to_bits(), 0f32.to_bits(), 0]));
    m.extend(words(&[sums]));
    setup.pass(m);
    let sign = |row: usize, unit: usize| {
        let word = philox(seed, stream, unit as u64, row as u32 / 128)[row / 32 % 4];
        if word >> (row % 32) & 1 != 0 { -1.0 } else { 1.0 }
    };
    let entry = |j: usize, row: usize| {
        (0..inner).map(|unit| sign(row, unit) * a[j * inner + unit]).sum::<f32>()
    };
    let expected = (0..n).flat_map(|j| (0..outer).map(move |row| (j, row)));
    let expected = expected.map(|(j, row)| entry(j, row)).collect();
    floats(1, 128, sums, expected, 0.0)
}

fn block_perm(setup: &mut Setup, by_rows: bool) -> Launch {
    let a = small((BLOCK_COLUMNS * BLOCKS * BLOCK_COLS) as usize);
    let source = setup.floats(&a);
    by_blocks(setup, source, &a, by_rows)
}

/// Sums of f32 of a matrix stored in halves.
fn halves_by_blocks(setup: &mut Setup, by_rows: bool) -> Launch {
    let a = small((BLOCK_COLUMNS * BLOCKS * BLOCK_COLS) as usize);
    let source = setup.halves(&a);
    by_blocks(setup, source, &a, by_rows)
}

/// Blocks, the columns of S in one, and those of A.
const BLOCKS: u64 = 2;
const BLOCK_COLUMNS: u64 = 24;
const BLOCK_COLS: u64 = 64;

/// `BlockPerm` of `cuda/block_perm.cuh`: 2 blocks, each wired to both, 2 rows a column and wiring.
fn by_blocks(setup: &mut Setup, source: u64, a: &[f32], by_rows: bool) -> Launch {
    let (blocks, rows, columns, cols) = (BLOCKS, 20u64, BLOCK_COLUMNS, BLOCK_COLS);
    let (seed, stream) = (5, 9);
    let (d, m) = (blocks * rows, blocks * columns);
    let inputs = setup.ints(&[0, 1, 1, 0]);
    let target = setup.empty((4 * d * cols) as usize);
    let strides = |rows| if by_rows { (cols, 1) } else { (1, rows) };
    let of = |address, rows| view(address, strides(rows).0, strides(rows).1);
    let mut operator = words(&[seed, columns]);
    operator.extend(int_words(&[0, rows as u32, 0, blocks as u32, 2, 2, stream, 0, d as u32, 0]));
    operator.extend(words(&[0, m]));
    setup.pass(1f32.to_le_bytes());
    setup.pass(operator);
    setup.pass(inputs.to_le_bytes());
    setup.pass(of(source, m));
    setup.pass(if by_rows { 5u32 } else { 7 }.to_le_bytes());
    setup.pass(0f32.to_le_bytes());
    setup.pass(of(target, d));
    setup.pass(cols.to_le_bytes());
    setup.pass((blocks as u32).to_le_bytes());
    setup.pass(1u64.to_le_bytes());
    let mut expected = vec![0.0; (d * cols) as usize];
    for (g, wiring, unit) in (0..blocks)
        .flat_map(|g| (0..2).map(move |wiring| (g, wiring)))
        .flat_map(|(g, w)| (0..columns).map(move |i| (g, w, (g ^ w) * columns + i)))
    {
        let block = philox(seed, stream, unit, wiring as u32);
        for half in 0..2u64 {
            let low = block[2 * half as usize];
            let word = u64::from(low) | u64::from(block[2 * half as usize + 1]) << 32;
            let within = (u128::from(word) * u128::from(rows / 2)) >> 64;
            let row = g * rows + half * rows / 2 + within as u64;
            let sign = if low & 1 != 0 { -1.0 } else { 1.0 };
            for j in 0..cols {
                let at = |rows: u64, i: u64| (i * strides(rows).0 + j * strides(rows).1) as usize;
                expected[at(d, row)] += sign * a[at(m, unit)];
            }
        }
    }
    let stage = if by_rows { 0 } else { 32 };
    let dynamic_shared = 2 * (4 * 64 + stage) * 128;
    Launch { dynamic_shared, ..floats(1, 64, target, expected, 0.0) }
}

fn uniform(setup: &mut Setup) -> Launch {
    let (rows, cols, seed, stream) = (38u64, 5u64, 13u64, 2u32);
    let target = setup.empty((4 * 40 * cols) as usize);
    setup.pass(view(target, 1, 40));
    for value in [rows, cols, 0, 0, seed] {
        setup.pass(value.to_le_bytes());
    }
    setup.pass(stream.to_le_bytes());
    setup.pass(1f32.to_le_bytes());
    setup.pass(1u32.to_le_bytes());
    setup.pass(4u32.to_le_bytes());
    let entry = |at: u64| {
        let (i, j) = (at % 40, at / 40);
        let word = philox(seed, stream, j, i as u32 / 4)[i as usize % 4];
        ((word >> 7 | 1) as i32 - (1 << 24)) as f32 * 1.032_382_7e-7
    };
    let expected: Vec<f32> = (0..40 * cols).map(entry).collect();
    let is_right = move |bytes: &[u8]| {
        let inside = |at: &usize| at % 40 < rows as usize;
        let found = as_floats(bytes);
        (0..found.len()).filter(inside).all(|at| found[at] == expected[at])
    };
    let (output, is_right) = ((target, (160 * cols) as usize), Box::new(is_right));
    Launch { grid: 1, threads: 256, dynamic_shared: 0, output, is_right }
}
