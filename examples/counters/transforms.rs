//! Transforms of columns and convolutions (`cuda/transform.cu`, `cuda/fourier.cu`).

use crate::Result;
use crate::bench::{Bench, Class, kernel};
use crate::matrices::{columns, rows};
use crate::model::{Number, Peer};

use randnla::{Backend, Cuda, Family, Mat, Op, Scalar, Sketch, TransformKernels};

/// Lengths that one pass and two passes serve, in either type; one that is no power of two.
const SHORT: usize = 2048;
const LONG: usize = 1 << 15;
const ODD: usize = 1000;

pub fn jobs<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    hadamard::<T>(bench)?;
    subsampled::<T>(bench)?;
    cosine::<T>(bench)?;
    convolutions::<T>(bench)
}

fn hadamard<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let jobs = [
        (SHORT, 32, false, Class::Streaming),
        (256, 256, true, Class::Streaming),
        (2 * LONG, 2, false, Class::TwoPass),
        (SHORT, 64, true, Class::TwoPass),
    ];
    for (n, cols, by_rows, class) in jobs {
        let mut a = matrix::<T>(&cuda, (n, cols), by_rows)?;
        let shown = [kernel(format!("hadamard_{name}"), class, 2 * n * cols * s)];
        let peer = (number, Peer::Product([n, cols, n]));
        bench.job(format!("H·A, {n}×{cols}{} {name}", layout(by_rows)), peer, shown, |cuda| {
            cuda.fwht(a.as_mut())
        })?;
    }
    Ok(())
}

fn matrix<T: Scalar>(cuda: &Cuda, (m, n): (usize, usize), by_rows: bool) -> Result<Mat<T, Cuda>> {
    if by_rows { rows(cuda, m, n) } else { columns(cuda, m, n) }
}

fn layout(by_rows: bool) -> &'static str {
    if by_rows { " by rows" } else { "" }
}

fn subsampled<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let (d, n, cols) = (256, SHORT, 32);
    let (one, zero) = (T::one(), T::zero());
    let sketch = Sketch::srht(d, n, 1)?;
    let (a, mut c) = (columns::<T>(&cuda, n, cols)?, columns::<T>(&cuda, d, cols)?);
    // A column a block, and with it a bit a row and 8 bytes a sampled row.
    let needed = cols * ((n + d) * s + n / 8 + 8 * d);
    let shown = [kernel(format!("hadamard_{name}"), Class::Shared, needed)];
    let peer = (number, Peer::Sketch([d, cols, n]));
    bench.job(format!("S·A, SRHT {d}×{n}, {cols} columns {name}"), peer, shown, |cuda| {
        cuda.mix_times(&sketch, Op::NoTrans, one, a.as_ref(), zero, c.as_mut())
    })?;
    let (d, cols) = (2048, 2);
    for family in [Family::Srht, Family::Srct] {
        let (sketch, stem) = match family {
            Family::Srht => (Sketch::srht(d, LONG, 1)?, "hadamard"),
            _ => (Sketch::srct(d, LONG, 1)?, "cosine"),
        };
        let (a, mut c) = (columns::<T>(&cuda, LONG, cols)?, columns::<T>(&cuda, d, cols)?);
        // Of the rows on one side only the sampled ones are there.
        let ends = cols * (LONG + d) * s;
        let passes = kernel(format!("{stem}_{name}"), Class::TwoPass, ends);
        // Signs, a bit a row; places of the sampled ones are as far from each other as those.
        let drawn = kernel("draw", Class::Scatter, LONG / 8 + d * (32 + 32));
        let mut shown = vec![passes, drawn];
        if family == Family::Srht {
            // Three times all rows, with their bits for signs and sampled rows; a sector each for a sampled
            // row and where it says its place, whose neighbours are elsewhere.
            let needed = cols * (LONG * (3 * s) + 2 * LONG / 8 + d * (32 + 32));
            shown.push(kernel(format!("{stem}_{name}"), Class::Scatter, needed));
        }
        let peer = (number, Peer::Sketch([d, cols, LONG]));
        let what = format!("S·A, {family:?} {d}×{LONG}, {cols} columns {name}");
        bench.job(what, peer, shown, |cuda| {
            cuda.mix_times(&sketch, Op::NoTrans, one, a.as_ref(), zero, c.as_mut())
        })?;
        if family == Family::Srht {
            let (y, mut x) = (columns::<T>(&cuda, d, cols)?, columns::<T>(&cuda, LONG, cols)?);
            let passes = kernel(format!("{stem}_{name}"), Class::TwoPass, ends);
            let what = format!("Sᵀ·Y, {family:?} {d}×{LONG}, {cols} columns {name}");
            bench.job(what, peer, [passes], |cuda| {
                cuda.mix_times(&sketch, Op::Trans, one, y.as_ref(), zero, x.as_mut())
            })?;
        }
    }
    Ok(())
}

fn cosine<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let n = 2 * SHORT;
    let mut line = columns::<T>(&cuda, n, 1)?;
    // Factors at both ends and as many roots of unity, all complex.
    let tables = kernel(format!("cosine_tables_{name}"), Class::Streaming, 6 * n * s);
    let peer = (number, Peer::None);
    bench.job(
        format!("the tables of a cosine transform of {n} {name}"),
        peer,
        [tables],
        |cuda| cuda.dct(Op::NoTrans, line.as_mut()),
    )?;
    let bits = 2 * ODD.next_power_of_two();
    // In and out, and with each block two factors an entry, the roots, and the spectrum of the chirp.
    let whole = |n: usize, blocks: usize| blocks * 6 * n * s;
    let jobs = [
        ((SHORT, 32), false, Class::Shared, whole(SHORT, 32)),
        ((256, 256), true, Class::Shared, whole(256, 256 * s / 64)),
        ((LONG / 2, 4), false, Class::TwoPass, 0),
        ((ODD, 32), false, Class::Shared, 32 * (4 * ODD + 2 * bits + 2 * bits) * s),
    ];
    for ((n, cols), by_rows, class, tables) in jobs {
        let mut a = matrix::<T>(&cuda, (n, cols), by_rows)?;
        // What is kept from the first call on.
        cuda.dct(Op::NoTrans, a.as_mut())?;
        let ends = 2 * n * cols * s;
        let mut shown = vec![kernel(format!("cosine_{name}"), class, ends + tables)];
        if class == Class::Shared {
            shown.push(kernel(format!("cosine_{name}"), Class::Streaming, ends));
        }
        let peer = (number, Peer::Product([n, cols, n]));
        let what = format!("cosine transform, {n}×{cols}{} {name}", layout(by_rows));
        bench.job(what, peer, shown, |cuda| cuda.dct(Op::NoTrans, a.as_mut()))?;
    }
    Ok(())
}

fn convolutions<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    for (d, cols) in [(SHORT, 16), (5000, 4)] {
        let (a, b) = (columns::<T>(&cuda, d, cols)?, columns::<T>(&cuda, d, cols)?);
        let mut c = columns::<T>(&cuda, d, cols)?;
        let shown = if d == SHORT {
            // Two factors read, one spectrum written and read, C written, and twice the roots a block.
            vec![
                kernel(format!("convolve_{name}"), Class::Shared, cols * d * (3 + 4 + 4) * s),
                kernel(format!("convolve_{name}"), Class::Streaming, cols * d * 3 * s),
            ]
        } else {
            // Complex numbers up to where the product of the columns ends.
            let folded = cols * ((2 * d - 1) * 2 + d) * s;
            vec![
                kernel(format!("convolve_{name}"), Class::TwoPass, 3 * cols * d * s),
                kernel(format!("convolve_fold_{name}"), Class::Streaming, folded),
            ]
        };
        let peer = (number, Peer::Product([d, cols, d]));
        bench.job(format!("convolutions, {d}×{cols} {name}"), peer, shown, |cuda| {
            let factors = [a.as_ref(), b.as_ref()];
            cuda.convolve(T::one(), &factors, T::zero(), c.as_mut())
        })?;
    }
    Ok(())
}
