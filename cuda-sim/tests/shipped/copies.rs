//! Copies, gathers, norms and searches: `cuda/blas.cu`, `cuda/norms.cu`, and the copies of halves.

use super::operands::*;
use super::{Launch, Setup};

/// 40 × 50 entries of A by rows, of B by columns.
fn transposed(setup: &mut Setup, source: u64, x: &[f32]) -> Launch {
    let (rows, cols) = (40u64, 50u64);
    let target = setup.empty((4 * rows * cols) as usize);
    setup.pass(2f32.to_le_bytes());
    setup.pass(view(source, cols, 1));
    setup.pass(0f32.to_le_bytes());
    setup.pass(view(target, 1, rows));
    setup.pass(rows.to_le_bytes());
    setup.pass(cols.to_le_bytes());
    let entry = |at: u64| 2.0 * x[(at % rows * cols + at / rows) as usize];
    floats(1, 256, target, (0..rows * cols).map(entry).collect(), 0.0)
}

pub fn transpose(setup: &mut Setup) -> Launch {
    let x = small(2000);
    let source = setup.floats(&x);
    transposed(setup, source, &x)
}

pub fn turn(setup: &mut Setup) -> Launch {
    // The halves 1, 2, 0.5 and -1.
    let halves = [(0x3C00u16, 1.0), (0x4000, 2.0), (0x3800, 0.5), (0xBC00, -1.0)];
    let picks = numbers(2000, 4);
    let pick = |&k: &u32| halves[k as usize];
    let bits: Vec<u16> = picks.iter().map(|k| pick(k).0).collect();
    let x: Vec<f32> = picks.iter().map(|k| pick(k).1).collect();
    let source = setup.buffer(&bits, u16::to_le_bytes);
    transposed(setup, source, &x)
}

/// The strictly lower triangle of 70 × 70 entries, the rest of which is not read.
pub fn mirror(setup: &mut Setup) -> Launch {
    let n = 70usize;
    let x = small(n * n);
    let g = setup.floats(&x);
    setup.pass(view(g, 1, n as u64));
    setup.pass((n as u64).to_le_bytes());
    let entry = |at: usize| {
        let (i, j) = (at % n, at / n);
        if i < j { x[i * n + j] } else { x[at] }
    };
    floats(1, 256, g, (0..n * n).map(entry).collect(), 0.0)
}

/// Columns of two rows before the first vector, ten vectors and three rows more, in columns of 48.
pub fn axpby(setup: &mut Setup) -> Launch {
    let (rows, cols, ld, head) = (45usize, 9usize, 48usize, 2usize);
    let (x, y) = (small(2 + ld * cols), numbers(2 + ld * cols, 9));
    let y: Vec<f32> = y.into_iter().map(|y| y as f32).collect();
    let (a, b) = (setup.floats(&x), setup.floats(&y));
    setup.pass(2f32.to_le_bytes());
    setup.pass(view(a + 8, 1, ld as u64));
    setup.pass(3f32.to_le_bytes());
    setup.pass(view(b + 8, 1, ld as u64));
    for size in [rows, cols] {
        setup.pass((size as u64).to_le_bytes());
    }
    setup.pass(4u32.to_le_bytes());
    setup.pass((1 + head as u32).to_le_bytes());
    let entry = |at: usize| match at.checked_sub(2) {
        Some(inside) if inside % ld < rows => 2.0 * x[at] + 3.0 * y[at],
        _ => y[at],
    };
    floats(1, 256, b, (0..y.len()).map(entry).collect(), 0.0)
}

/// Rows of 28 entries, gathered by vectors in a turned order.
pub fn move_rows(setup: &mut Setup) -> Launch {
    let (rows, cols) = (50usize, 28usize);
    let x = small(rows * cols);
    let index: Vec<u64> = (0..rows as u64).rev().collect();
    let (places, source) = (setup.longs(&index), setup.floats(&x));
    let target = setup.empty(4 * rows * cols);
    setup.pass(places.to_le_bytes());
    setup.pass(0u32.to_le_bytes());
    for address in [source, target] {
        setup.pass(view(address, cols as u64, 1));
    }
    for size in [rows, cols] {
        setup.pass((size as u64).to_le_bytes());
    }
    for number in [0u32, 3, 1] {
        setup.pass(number.to_le_bytes());
    }
    let expected = (0..rows).rev().flat_map(|i| x[i * cols..(i + 1) * cols].to_vec());
    floats(1, 256, target, expected.collect(), 0.0)
}

/// Columns of one row before the first vector, eight vectors and two rows more, in columns of 40.
pub fn largest(setup: &mut Setup) -> Launch {
    let (rows, cols, ld) = (35usize, 7usize, 40usize);
    // The largest is where no vector goes, and larger ones are not of the matrix.
    let x: Vec<f32> = (0..3 + ld * cols)
        .map(|at| match at.checked_sub(3) {
            Some(inside) if inside % ld < rows => (inside % ld) as f32 - 5.0,
            _ => 1e9,
        })
        .collect();
    let (source, out) = (setup.floats(&x), setup.longs(&[0]));
    setup.pass(view(source + 12, 1, ld as u64));
    for size in [rows, cols] {
        setup.pass((size as u64).to_le_bytes());
    }
    // Blocks of four vectors a column, and the first has all other rows.
    for number in [2u32, 2] {
        setup.pass(number.to_le_bytes());
    }
    setup.pass(out.to_le_bytes());
    longs(2, 256, out, vec![29f64.to_bits()])
}

/// The arguments of a sum of squares by vectors, and the partial sums.
fn of_squares(
    setup: &mut Setup,
    strides: (u64, u64),
    [rows, cols]: [usize; 2],
    bits: u32,
    sums: usize,
) -> (Vec<f32>, u64) {
    let x = small(rows * cols);
    let source = setup.floats(&x);
    let partial = setup.empty(8 * sums);
    setup.pass(view(source, strides.0, strides.1));
    for size in [rows, cols] {
        setup.pass((size as u64).to_le_bytes());
    }
    setup.pass(bits.to_le_bytes());
    setup.pass(1u32.to_le_bytes());
    setup.pass(2f64.to_le_bytes());
    setup.pass(partial.to_le_bytes());
    (x, partial)
}

/// The bits of the sum of (2x)².
fn sum_of_squares(x: impl IntoIterator<Item = f32>) -> u64 {
    x.into_iter().map(|x| 4.0 * f64::from(x * x)).sum::<f64>().to_bits()
}

/// Parts of 64 rows and columns: ten of them, eight in the first sum.
pub fn squares(setup: &mut Setup) -> Launch {
    let (rows, cols) = (128usize, 64 * 4 + 7);
    let (x, partial) = of_squares(setup, (1, rows as u64), [rows, cols], 6, 2);
    let (first, second) = x.split_at(64 * 4 * rows);
    let sums = [first, second].map(|x| sum_of_squares(x.iter().copied()));
    longs(1, 256, partial, sums.into())
}

/// Eight lanes a column, and more rows than they load at once.
pub fn column_squares(setup: &mut Setup) -> Launch {
    let (rows, cols) = (180usize, 40usize);
    let (x, partial) = of_squares(setup, (1, rows as u64), [rows, cols], 3, cols);
    let sums = x.chunks(rows).map(|column| sum_of_squares(column.iter().copied()));
    longs(1, 256, partial, sums.collect())
}

/// Eight groups of 32 vectors, and more columns than these have.
pub fn column_squares_by_rows(setup: &mut Setup) -> Launch {
    let (rows, cols) = (45usize, 140usize);
    let (x, partial) = of_squares(setup, (cols as u64, 1), [rows, cols], 3, cols);
    let column = |j: usize| sum_of_squares(x.iter().skip(j).step_by(cols).copied());
    longs(1, 256, partial, (0..cols).map(column).collect())
}

/// 35 entries, each the sum of 70 parts, by a warp each.
pub fn join(setup: &mut Setup) -> Launch {
    let (parts, rows, cols) = (70usize, 5usize, 7usize);
    let len = rows * cols;
    let (x, y) = (small(parts * len), small(len));
    let (partial, target) = (setup.floats(&x), setup.floats(&y));
    setup.pass(2f32.to_le_bytes());
    setup.pass(view(partial, 1, rows as u64));
    for size in [parts, len] {
        setup.pass((size as u64).to_le_bytes());
    }
    setup.pass(3f32.to_le_bytes());
    setup.pass(view(target, 1, rows as u64));
    for size in [rows, cols] {
        setup.pass((size as u64).to_le_bytes());
    }
    setup.pass(1u32.to_le_bytes());
    setup.pass(1u32.to_le_bytes());
    let entry = |at: usize| 2.0 * x.iter().skip(at).step_by(len).sum::<f32>() + 3.0 * y[at];
    floats(2, 256, target, (0..len).map(entry).collect(), 0.0)
}

/// `times_signs` of `cuda/dense.cu`: rows of S in two Philox blocks, 35 columns a part, of which the second
/// has fewer.
pub fn times_signs(setup: &mut Setup) -> Launch {
    let (seed, stream, width) = (7u64, 3u32, 4usize);
    let (first, groups, cols, part, parts) = (30usize, 40usize, 64usize, 35usize, 2usize);
    let a = small(cols * width);
    let source = setup.floats(&a);
    let partial = setup.empty(4 * parts * width * 4 * groups);
    setup.pass(seed.to_le_bytes());
    setup.pass(stream.to_le_bytes());
    for number in [first, groups, 0, cols] {
        setup.pass((number as u64).to_le_bytes());
    }
    setup.pass(source.to_le_bytes());
    for number in [part, parts] {
        setup.pass((number as u64).to_le_bytes());
    }
    setup.pass(partial.to_le_bytes());
    setup.pass(5u32.to_le_bytes());
    let sign = |row: usize, unit: usize| {
        let word = philox(seed, stream, unit as u64, row as u32 / 128)[row / 32 % 4];
        if word >> (row % 32) & 1 != 0 { -1.0 } else { 1.0 }
    };
    let mut expected = Vec::new();
    for p in 0..parts {
        for c in 0..width {
            for row in 4 * first..4 * (first + groups) {
                let units = p * part..cols.min((p + 1) * part);
                expected.push(units.map(|unit| sign(row, unit) * a[unit * width + c]).sum());
            }
        }
    }
    floats(1, 128, partial, expected, 0.0)
}
