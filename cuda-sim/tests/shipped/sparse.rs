//! Launches of kernels of sparse operators and matrices.

use super::operands::*;
use super::{Launch, Setup};

/// More columns than a block takes at once: the second time not for all of a warp.
pub fn sparse_sign(setup: &mut Setup) -> Launch {
    let zeta = 8;
    let dynamic_shared = 4 * 128 * zeta as usize;
    Launch { dynamic_shared, ..distinct_rows(setup, zeta, 150) }
}

/// Floyd's algorithm as the manual of the operator has it.
pub fn distinct_rows(setup: &mut Setup, zeta: u32, columns: u64) -> Launch {
    let (seed, stream, d) = (11u64, 4u32, 100u32);
    let out = setup.empty(4 * (u64::from(zeta) * columns) as usize);
    setup.pass(seed.to_le_bytes());
    for value in [stream, d, zeta] {
        setup.pass(value.to_le_bytes());
    }
    setup.pass(0u64.to_le_bytes());
    setup.pass(columns.to_le_bytes());
    setup.pass(out.to_le_bytes());
    let mut expected: Vec<u32> = Vec::new();
    for j in 0..columns {
        let start = expected.len();
        for t in 0..zeta {
            let block = philox(seed, stream, j, t / 2);
            let half = 2 * (t % 2) as usize;
            let word = u64::from(block[half]) | u64::from(block[half + 1]) << 32;
            let last = d - (zeta - t);
            let row = ((u128::from(word) * u128::from(last + 1)) >> 64) as u32;
            let taken = expected[start..].iter().any(|earlier| earlier >> 1 == row);
            expected.push(if taken { last } else { row } << 1 | block[half] & 1);
        }
    }
    ints(1, 128, out, expected)
}

/// Compressed rows: every row has `each` columns, evenly spread from its own number on.
fn lists(setup: &mut Setup, rows: u32, each: u32, cols: u32) -> (Vec<u8>, Vec<u32>, Vec<f32>) {
    let starts: Vec<u64> = (0..=rows).map(|i| u64::from(i * each)).collect();
    let mut columns = Vec::new();
    for i in 0..rows {
        let mut row: Vec<u32> = (0..each).map(|k| (i + k * (cols / each)) % cols).collect();
        row.sort_unstable();
        columns.extend(row);
    }
    let values = small(columns.len());
    let addresses = [setup.longs(&starts), setup.ints(&columns), setup.floats(&values)];
    let mut bytes = words(&addresses);
    bytes.extend(int_words(&[0; 4]));
    (bytes, columns, values)
}

/// In shared memory, or in place by windows of `width` columns.
pub fn meet(setup: &mut Setup, width: Option<u64>) -> Launch {
    let (rows, inner, cols, each, wide) = (20, 8, 100, 3, 40);
    let (x, x_columns, x_values) = lists(setup, rows, each, inner);
    let (y, y_columns, y_values) = lists(setup, inner, wide, cols);
    let target = setup.empty((4 * rows * cols) as usize);
    setup.pass(1f32.to_le_bytes());
    setup.pass(x);
    setup.pass(y);
    setup.pass(0f32.to_le_bytes());
    setup.pass(view(target, u64::from(cols), 1));
    setup.pass(u64::from(rows).to_le_bytes());
    setup.pass(0u32.to_le_bytes());
    setup.pass(u64::from(cols).to_le_bytes());
    width.into_iter().for_each(|width| setup.pass(width.to_le_bytes()));
    let mut expected = vec![0.0; (rows * cols) as usize];
    for (e, (&k, left)) in x_columns.iter().zip(x_values).enumerate() {
        let i = e as u32 / each;
        for f in (k * wide) as usize..((k + 1) * wide) as usize {
            expected[(i * cols + y_columns[f]) as usize] += left * y_values[f];
        }
    }
    floats(1, 256, target, expected, 0.0)
}

/// A slice and a ragged one of a stacked operator, five columns of A, and parts for more warps than there are.
pub fn scatter(setup: &mut Setup) -> Launch {
    let (d, inner, cols, zeta, parts) = (70u64, 99u64, 5u64, 3u64, 3u64);
    let picks = numbers((inner * zeta) as usize, 1 << 16);
    let stack = |t: u64| t * d / zeta;
    let word = |(e, &pick): (usize, &u32)| {
        let t = e as u64 % zeta;
        let row = stack(t) + u64::from(pick >> 1) % (stack(t + 1) - stack(t));
        (row as u32) << 1 | pick & 1
    };
    let signs: Vec<u32> = picks.iter().enumerate().map(word).collect();
    let a = small((inner * cols) as usize);
    let (index, source) = (setup.ints(&signs), setup.floats(&a));
    let target = setup.empty((4 * parts * d * cols) as usize);
    let mut lists = words(&[0, index, 0]);
    lists.extend(int_words(&[zeta as u32, 0, d as u32, 0]));
    setup.pass(1f32.to_le_bytes());
    setup.pass(lists);
    setup.pass((d as u32).to_le_bytes());
    setup.pass(view(source, 1, inner));
    setup.pass(0f32.to_le_bytes());
    setup.pass(view(target, cols, 1));
    setup.pass(inner.to_le_bytes());
    // Columns, three bits of lanes along them, slices.
    for value in [cols as u32, 3, 2] {
        setup.pass(value.to_le_bytes());
    }
    setup.pass(parts.to_le_bytes());
    let mut expected = vec![0.0; (parts * d * cols) as usize];
    for (e, word) in signs.iter().enumerate() {
        let k = e as u64 / zeta;
        let row = k / (inner / parts) * d + u64::from(word >> 1);
        for j in 0..cols {
            let x = a[(j * inner + k) as usize];
            expected[(row * cols + j) as usize] += if word & 1 != 0 { -x } else { x };
        }
    }
    Launch { dynamic_shared: 4 * 64 * 32 * 4, ..floats(1, 128, target, expected, 0.0) }
}

pub fn count_draws(setup: &mut Setup) -> Launch {
    let (rows, zeta, cols) = (50usize, 8usize, 16u32);
    let draws: Vec<u64> =
        numbers(rows * zeta, cols).into_iter().map(|column| u64::from(column) << 1).collect();
    let source = setup.longs(&draws);
    let (counts, lengths) = (setup.empty(4 * rows * zeta), setup.longs(&vec![0; rows]));
    setup.pass(source.to_le_bytes());
    setup.pass((rows as u64).to_le_bytes());
    setup.pass((zeta as u32).to_le_bytes());
    setup.pass(0u64.to_le_bytes());
    setup.pass(u64::from(cols).to_le_bytes());
    setup.pass(counts.to_le_bytes());
    setup.pass(lengths.to_le_bytes());
    let distinct = |row: &[u64]| row.iter().collect::<std::collections::BTreeSet<_>>().len() as u64;
    longs(2, 256, lengths, draws.chunks(zeta).map(distinct).collect())
}
