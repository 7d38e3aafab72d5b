//! Copies, norms and searches (`cuda/blas.cu`, `cuda/norms.cu`), and copies of halves (`cuda/half.cu`).

use crate::Result;
use crate::bench::{Bench, Class, kernel};
use crate::matrices::{columns, rows};
use crate::model::{Number, Peer};

use randnla::{Blas, Cuda, Half, HalfKernels, Mat, Scalar, StorageKernels};

const M: usize = 512;
const N: usize = 256;

pub fn jobs<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Blas<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, len) = (T::NAME, size_of::<T>(), M * N);
    let number = Number::of::<T>();
    let stream = |stem: &str, needed| [kernel(format!("{stem}_{name}"), Class::Streaming, needed)];
    let copied = (number, Peer::Bytes(2 * len * s));
    let read = (number, Peer::Bytes(len * s));
    let a = columns::<T>(&cuda, M, N)?;
    let by_rows = rows::<T>(&cuda, M, N)?;
    let mut b = Mat::<T, Cuda>::zeros(&cuda, M, N)?;
    let (one, zero) = (T::one(), T::zero());

    bench.job(format!("copy {M}×{N} {name}"), copied, stream("axpby", 2 * len * s), |cuda| {
        cuda.axpby(one, a.as_ref(), zero, b.as_mut())
    })?;
    let below = (M - 1) * N * s;
    let (parts, read_below) = (a.rows(1..M), (number, Peer::Bytes(below)));
    let copied_below = (number, Peer::Bytes(2 * below));
    let what = format!("copy {}×{N} {name}, from the second row", M - 1);
    bench.job(what, copied_below, stream("axpby", 2 * below), |cuda| {
        cuda.axpby(one, parts, zero, b.as_mut().rows(1..M))
    })?;
    let turned = stream("transpose", 2 * len * s);
    bench.job(format!("transposition {M}×{N} {name}"), copied, turned, |cuda| {
        cuda.axpby(one, by_rows.as_ref(), zero, b.as_mut())
    })?;
    let scaled = stream("scale_by", (2 * len + N) * s);
    bench.job(format!("columns of {M}×{N} by factors {name}"), copied, scaled, |cuda| {
        cuda.scale_columns(&[one; N], b.as_mut())
    })?;
    let index: Vec<usize> = (0..N).map(|i| i * 37 % N).collect();
    let square = rows::<T>(&cuda, N, M)?;
    let mut moved = rows::<T>(&cuda, N, M)?;
    let gathered = stream("move_rows", 2 * len * s + 8 * N);
    bench.job(format!("{N} rows of {M} by an index {name}"), copied, gathered, |cuda| {
        cuda.gather_rows(&index, square.as_ref(), moved.as_mut())
    })?;
    let mut g = columns::<T>(&cuda, M, M)?;
    // The product is not ours; half of the result is read, half written.
    let mirrored = stream("mirror", M * (M - 1) * s);
    let product = (number, Peer::Product([M, M, M]));
    bench.job(
        format!("Gram matrix {M}×{M} {name}, without its product"),
        product,
        mirrored,
        |cuda| cuda.gram(square.as_ref(), g.as_mut()),
    )?;
    bench.job(
        format!("largest entry of {M}×{N} {name}"),
        read,
        stream("largest", len * s),
        |cuda| cuda.max_abs(a.as_ref()).map(drop),
    )?;
    let what = format!("largest entry of {}×{N} {name}, from the second row", M - 1);
    bench.job(what, read_below, stream("largest", below), |cuda| cuda.max_abs(parts).map(drop))?;
    let searched = stream("non_finite", len * s);
    bench.job(format!("search of {M}×{N} {name}"), read, searched, |cuda| {
        cuda.find_non_finite(a.as_ref()).map(drop)
    })?;
    bench.job(
        format!("norm of {M}×{N} {name}"),
        read,
        stream("squares", len * s + 64),
        |cuda| cuda.sum_of_squares(a.as_ref(), 0).map(drop),
    )?;
    let what = format!("norm of {}×{N} {name}, from the second row", M - 1);
    bench.job(what, read_below, stream("squares", below + 64), |cuda| {
        cuda.sum_of_squares(parts, 0).map(drop)
    })?;
    let of_columns = |len: usize, n: usize| stream("column_squares", len * s + 8 * n);
    let of_rows = |len: usize, n: usize| stream("column_squares_by_rows", len * s + 8 * n);
    let mut sums = [0.0; N];
    bench.job(format!("norms of columns of {M}×{N} {name}"), read, of_columns(len, N), |cuda| {
        cuda.column_sums_of_squares(a.as_ref(), 0, &mut sums)
    })?;
    let what = format!("norms of columns of {M}×{N} by rows {name}");
    bench.job(what, read, of_rows(len, N), |cuda| {
        cuda.column_sums_of_squares(by_rows.as_ref(), 0, &mut sums)
    })?;
    let line = columns::<T>(&cuda, 1, len)?;
    let mut sums = vec![0.0; len];
    let what = format!("norms of columns of 1×{len} {name}");
    bench.job(what, read, of_rows(len, len), |cuda| {
        cuda.column_sums_of_squares(line.as_ref(), 0, &mut sums)
    })?;
    let (tall, narrow) = (32 * 1024, 8);
    let long = columns::<T>(&cuda, tall, narrow)?;
    let sums = &mut [0.0; 8];
    let parts = tall / 1024 * narrow;
    let shown = of_columns(tall * narrow, parts).into_iter();
    let joined = kernel("add_partial", Class::Streaming, 8 * (parts + narrow));
    let what = format!("norms of columns of {tall}×{narrow} {name}");
    let read = (number, Peer::Bytes(tall * narrow * s));
    bench.job(what, read, shown.chain([joined]), |cuda| {
        cuda.column_sums_of_squares(long.as_ref(), 0, sums)
    })
}

pub fn half_jobs<H: Half>(bench: &mut Bench) -> Result<()>
where
    Cuda: HalfKernels<H>,
{
    let cuda = bench.cuda.clone();
    let (name, len) = (H::NAME, M * N);
    let (half, single) = (columns::<H>(&cuda, M, N)?, columns::<f32>(&cuda, M, N)?);
    let (half_rows, single_rows) = (rows::<H>(&cuda, M, N)?, rows::<f32>(&cuda, M, N)?);
    let mut to_half = Mat::<H, Cuda>::zeros(&cuda, M, N)?;
    let mut to_single = Mat::<f32, Cuda>::zeros(&cuda, M, N)?;
    let copied = (Number::Half, Peer::Bytes(6 * len));
    for (stem, half, single) in [("move", &half, &single), ("turn", &half_rows, &single_rows)] {
        let stream = |types: String, bytes: usize| {
            [kernel(format!("{stem}_{types}"), Class::Streaming, bytes * len)]
        };
        let what = |verb: &str| format!("{verb} {M}×{N} {name}, {stem}");
        bench.job(what("widen"), copied, stream(format!("{name}_f32"), 6), |cuda| {
            cuda.widen(half.as_ref(), to_single.as_mut())
        })?;
        bench.job(what("narrow"), copied, stream(format!("f32_{name}"), 6), |cuda| {
            cuda.narrow(1.0, single.as_ref(), 0.0, to_half.as_mut())
        })?;
        let peer = (Number::Half, Peer::Bytes(4 * len));
        bench.job(what("copy"), peer, stream(format!("{name}_{name}"), 4), |cuda| {
            cuda.copy(half.as_ref(), to_half.as_mut())
        })?;
    }
    Ok(())
}
