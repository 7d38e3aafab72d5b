//! Sparse operators and matrices (`cuda/sparse.cu`, `cuda/sort.cu`, `cuda/rows.cu`, `cuda/block_perm.cu`,
//! `cuda/half.cu`).

use crate::Result;
use crate::bench::{Bench, Class, kernel};
use crate::matrices::{columns, rows, sparse, sparse_but};
use crate::model::{Number, Peer};

use randnla::{
    Backend, BlockPermParams, Cuda, Half, HalfKernels, Mat, Op, Scalar, Sketch, SketchKernels,
    SparseKernels,
};

/// Rows and columns of the operators, entries of a column, columns of dense matrices.
const D: usize = 256;
const M: usize = 512;
const ZETA: usize = 8;
const N: usize = 128;

pub fn jobs<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    times_dense::<T>(bench)?;
    narrow::<T>(bench)?;
    times_sparse::<T>(bench)?;
    long_rows::<T>(bench)?;
    compressed::<T>(bench)?;
    draws::<T>(bench)?;
    block_perm::<T>(bench)
}

/// The bytes of a product of lists that name `entries` rows of n entries of `of_b` bytes, results of
/// `of_c` bytes; lists of signs are words, others have starts, columns and values of `value` bytes.
fn gathered(entries: usize, rows: usize, value: usize, (of_b, of_c): (usize, usize)) -> usize {
    let lists = if value == 0 { 4 * entries } else { 8 * rows + (4 + value) * entries };
    lists + entries * N * of_b + rows * N * of_c
}

fn times_dense<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let (one, zero) = (T::one(), T::zero());
    let sketch = Sketch::sparse_stack(D, M, ZETA, 1)?;
    let indices = SketchKernels::<T>::indices(&cuda, &sketch)?;
    let (mut a, mut c) = (rows::<T>(&cuda, M, N)?, rows::<T>(&cuda, D, N)?);
    let needed = gathered(M * ZETA, D, s, (s, s));
    let shown = [kernel(format!("gather_stored_{name}"), Class::Gather, needed)];
    let peer = (number, Peer::Sketch([D, N, M]));
    bench.job(
        format!("S·A, SparseStack {D}×{M} ζ = 8, {N} columns {name}"),
        peer,
        shown,
        |cuda| cuda.sparse_times(&sketch, &indices, Op::NoTrans, one, a.as_ref(), zero, c.as_mut()),
    )?;
    let needed = gathered(M * ZETA, M, 0, (s, s));
    let shown = [kernel(format!("gather_signs_{name}"), Class::Gather, needed)];
    let peer = (number, Peer::Sketch([M, N, D]));
    bench.job(
        format!("Sᵀ·Y, SparseStack {D}×{M} ζ = 8, {N} columns {name}"),
        peer,
        shown,
        |cuda| cuda.sparse_times(&sketch, &indices, Op::Trans, one, c.as_ref(), zero, a.as_mut()),
    )
}

fn times_sparse<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let (one, zero) = (T::one(), T::zero());
    let (per_row, n) = (64, M);
    let sketch = Sketch::sparse_stack(D, M, ZETA, 1)?;
    let indices = SketchKernels::<T>::indices(&cuda, &sketch)?;
    let (tall, short) = (sparse::<T>(&cuda, (M, n), 16)?, sparse::<T>(&cuda, (D, n), per_row)?);
    let entry = 4 + s;
    let mut c = columns::<T>(&cuda, D, n)?;
    // Lists of A turned, for each entry the words of a column, C.
    let needed = 8 * n + M * 16 * (entry + 4 * ZETA) + D * n * s;
    let shown = [kernel(format!("stored_meets_signs_{name}"), Class::Gather, needed)];
    let peer = (number, Peer::Sketch([D, n, M]));
    bench.job(
        format!("S·X, SparseStack {D}×{M}, 16 of {n} a row {name}"),
        peer,
        shown,
        |cuda| {
            let (s, x) = (&sketch, tall.as_ref());
            cuda.sparse_times_csr(s, &indices, Op::NoTrans, one, x, Op::NoTrans, zero, c.as_mut())
        },
    )?;
    let mut c = rows::<T>(&cuda, M, n)?;
    // The words of S, for each of them two starts and a row, C.
    let needed = M * ZETA * (4 + 16 + per_row * entry) + M * n * s;
    let shown = [kernel(format!("signs_meet_stored_{name}"), Class::Gather, needed)];
    let peer = (number, Peer::Sketch([M, n, D]));
    let what = format!("Sᵀ·X, SparseStack {D}×{M}, {per_row} of {n} a row {name}");
    bench.job(what, peer, shown, |cuda| {
        let (s, x) = (&sketch, short.as_ref());
        cuda.sparse_times_csr(s, &indices, Op::Trans, one, x, Op::NoTrans, zero, c.as_mut())
    })?;
    let left = sparse::<T>(&cuda, (M, D), 8)?;
    let needed = 8 * M + M * 8 * (entry + 16 + per_row * entry) + M * n * s;
    let shown = [kernel(format!("stored_meets_stored_{name}"), Class::Gather, needed)];
    let what = format!("X·Y, {M}×{D}×{n}, 8 and {per_row} a row {name}");
    bench.job(what, (number, Peer::Product([M, n, D])), shown, |cuda| {
        cuda.spspmm(one, left.as_ref(), short.as_ref(), zero, c.as_mut())
    })?;
    let spoiled = sparse_but::<T>(&cuda, (M, D), 8, Some(77))?;
    let shown = [kernel(format!("place_of_non_finite_{name}"), Class::Latency, 8 * M + 8 * entry)];
    let what = format!("search of {M}×{D}, 8 a row {name}");
    bench.job(what, (number, Peer::Bytes(M * 8 * s)), shown, |cuda| {
        cuda.find_non_finite_stored(spoiled.as_ref()).map(drop)
    })
}

/// Narrow A: a row of A and the words of a column of S once for the slices of a block, sums once a part.
fn narrow<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let m = 16_000;
    for sketch in [Sketch::sparse_stack(D, m, ZETA, 1)?, Sketch::sparse_sign(D, m, ZETA, 1)?] {
        let family = sketch.family();
        let indices = SketchKernels::<T>::indices(&cuda, &sketch)?;
        for n in [1, 4, 16] {
            let (a, mut c) = (columns::<T>(&cuda, m, n)?, columns::<T>(&cuda, D, n)?);
            let needed = m * (n * s + 4 * ZETA) + parts(m, n) * D * n * s;
            let shown = [kernel(format!("scatter_signs_{name}"), Class::Shared, needed)];
            let peer = (number, Peer::Sketch([D, n, m]));
            let what = format!("S·A, {family:?} {D}×{m} ζ = 8, {n} columns {name}");
            bench.job(what, peer, shown, |cuda| {
                let (one, zero) = (T::one(), T::zero());
                let (a, c) = (a.as_ref(), c.as_mut());
                cuda.sparse_times(&sketch, &indices, Op::NoTrans, one, a, zero, c)
            })?;
        }
    }
    Ok(())
}

/// Parts of the sums of S·A with n columns, 4 slices, m rows of A (`src/device/cuda/sparse/scatter.rs`).
fn parts(m: usize, n: usize) -> usize {
    (m * n / 512).min((1 << 18) / (D * n)).min(1024)
}

/// How often few long rows of C have their lists from memory: 32 warps share the columns, and eight a cache.
const WALKS: usize = 4;

/// Rows of C in windows of 512 columns, eight to a block, and beyond 16384 where they are.
fn long_rows<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let (one, zero) = (T::one(), T::zero());
    let (m, inner, entry) = (64, 256, 4 + s);
    for (n, per_row, kernel_of) in
        [(4096, 64, "stored_meets_stored"), (20_000, 256, "stored_meets_stored_wide")]
    {
        let (x, y) = (sparse::<T>(&cuda, (m, inner), 8)?, sparse::<T>(&cuda, (inner, n), per_row)?);
        let mut c = rows::<T>(&cuda, m, n)?;
        let lists = 8 * m + m * 8 * (entry + 16 + per_row * entry);
        // In place a sector of C is read and written for each pair, after C is scaled.
        let needed = match n > 16_384 {
            true => WALKS * lists + 64 * m * 8 * per_row + m * n * s,
            false => lists + m * n * s,
        };
        let shown = [kernel(format!("{kernel_of}_{name}"), Class::Gather, needed)];
        let what = format!("X·Y, {m}×{inner}×{n}, 8 and {per_row} a row {name}");
        bench.job(what, (number, Peer::Product([m, n, inner])), shown, |cuda| {
            cuda.spspmm(one, x.as_ref(), y.as_ref(), zero, c.as_mut())
        })?;
    }
    // S·X with a long S, and Sᵀ·X with long rows of X.
    let (d, n) = (20_000, 64);
    let sketch = Sketch::sparse_stack(d, M, ZETA, 1)?;
    let indices = SketchKernels::<T>::indices(&cuda, &sketch)?;
    let x = sparse::<T>(&cuda, (M, n), 2)?;
    let mut c = columns::<T>(&cuda, d, n)?;
    let needed = WALKS * (8 * n + M * 2 * (entry + 4 * ZETA)) + M * 2 * ZETA * 64 + d * n * s;
    let shown = [kernel(format!("stored_meets_signs_wide_{name}"), Class::Gather, needed)];
    let what = format!("S·X, SparseStack {d}×{M}, 2 of {n} a row {name}");
    bench.job(what, (number, Peer::Sketch([d, n, M])), shown, |cuda| {
        let (s, x) = (&sketch, x.as_ref());
        cuda.sparse_times_csr(s, &indices, Op::NoTrans, one, x, Op::NoTrans, zero, c.as_mut())
    })?;
    let (d, m, n, per_row) = (64, 64, 20_000, 128);
    let sketch = Sketch::sparse_stack(d, m, ZETA, 1)?;
    let indices = SketchKernels::<T>::indices(&cuda, &sketch)?;
    let x = sparse::<T>(&cuda, (d, n), per_row)?;
    let mut c = rows::<T>(&cuda, m, n)?;
    let lists = m * ZETA * (4 + 16 + per_row * entry);
    let needed = WALKS * lists + m * ZETA * per_row * 64 + m * n * s;
    let shown = [kernel(format!("signs_meet_stored_wide_{name}"), Class::Gather, needed)];
    let what = format!("Sᵀ·X, SparseStack {d}×{m}, {per_row} of {n} a row {name}");
    bench.job(what, (number, Peer::Sketch([m, n, d])), shown, |cuda| {
        let (s, x) = (&sketch, x.as_ref());
        cuda.sparse_times_csr(s, &indices, Op::Trans, one, x, Op::NoTrans, zero, c.as_mut())
    })
}

/// The positions of operators, which do not depend on the type of their matrices.
pub fn positions(bench: &mut Bench) -> Result<()> {
    let m = 4096;
    let params = BlockPermParams::new();
    let words = |name: &str, zeta: usize| kernel(name, Class::Streaming, 4 * m * zeta);
    let latency = |name: &str, bytes: usize| kernel(name, Class::Latency, bytes);
    let sjlt = Sketch::block_perm_sjlt(D, m, params, 1)?;
    let wiring = latency("block_perm_wiring", 4 * sjlt.blocks() * sjlt.wirings());
    let jobs = [
        (Sketch::sparse_stack(D, m, ZETA, 1)?, vec![words("sparse_stack", ZETA)]),
        (Sketch::sparse_sign(D, m, ZETA, 1)?, vec![words("sparse_sign", ZETA)]),
        (
            Sketch::sparse_sign(D, 512, 96, 1)?,
            vec![kernel("sparse_sign_wide", Class::Streaming, 4 * 512 * 96)],
        ),
        (sjlt, vec![words("block_perm_columns", sjlt.nnz()), wiring]),
    ];
    for (sketch, shown) in jobs {
        let (family, m, zeta) = (sketch.family(), sketch.ncols(), sketch.nnz());
        let what = format!("positions of {family:?} {D}×{m} ζ = {zeta}");
        bench.job(what, (Number::F32, Peer::None), shown, |cuda| {
            SketchKernels::<f32>::indices(cuda, &sketch).map(drop)
        })?;
    }
    Ok(())
}

/// An operator and a matrix by the other index: sorts of two digits.
fn compressed<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let (d, m) = (1024, 8192);
    let sketch = Sketch::sparse_stack(d, m, ZETA, 1)?;
    let stream = |name: &str, bytes: usize| kernel(name, Class::Streaming, bytes);
    let len = m * ZETA;
    // Two passes of 256 counters of 8 bytes for each tile of 4096 pairs.
    let counters = 256 * 8 * len.div_ceil(TILE);
    let sorted = [
        stream("keys_of_operator", 16 * len),
        stream("digit_counts", 2 * (4 * len + counters)),
        stream("scan_tiles", 4 * counters),
        stream("add_tiles", 4 * counters),
        stream("place_pairs", 2 * (24 * len + counters)),
        kernel("row_starts", Class::Latency, 8 * (d + 1)),
        stream(&format!("operator_rows_{name}"), (8 + 4 + s) * len),
    ];
    let what = format!("S in compressed rows, SparseStack {d}×{m} ζ = 8 {name}");
    bench.job(what, (number, Peer::None), sorted, |cuda| {
        SketchKernels::<T>::compressed(cuda, &sketch, Op::NoTrans).map(drop)
    })?;
    let (m, n, per_row, cols) = (1024, 1024, 32, 8);
    let len = m * per_row;
    let x = sparse::<T>(&cuda, (m, n), per_row)?;
    let (y, mut c) = (rows::<T>(&cuda, m, cols)?, rows::<T>(&cuda, n, cols)?);
    // Values lie at random; the starts of the rows are searched by each block of 256 entries.
    let turned = (8 + 4 + s + 32) * len + 8 * m * len / 256;
    let shown = [
        stream("keys_of_matrix", 16 * len),
        kernel(format!("matrix_rows_{name}"), Class::Scatter, turned),
    ];
    let what = format!("Xᵀ·Y, {m}×{n}, {per_row} a row, {cols} columns {name}");
    bench.job(what, (number, Peer::Product([n, cols, m])), shown, |cuda| {
        let (one, zero) = (T::one(), T::zero());
        cuda.spmm(one, x.as_ref(), Op::Trans, y.as_ref(), zero, c.as_mut())
    })
}

/// Pairs of a tile of a sort.
const TILE: usize = 4096;

/// Operators that are sparse by rows, and compressed rows made dense.
fn draws<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let (d, m, zeta) = (1024, 100_000, 32);
    let laso = Sketch::laso(d, m, zeta, 1)?;
    let len = d * zeta;
    let shown = [
        kernel("laso_draws", Class::Streaming, 8 * len),
        kernel("count_draws", Class::Shared, (8 + 4) * len + 8 * d),
        kernel(format!("write_rows_{name}"), Class::Shared, (8 + 4 + 4 + s) * len + 8 * d),
    ];
    let peer = (number, Peer::None);
    bench.job(
        format!("S in compressed rows, LASO {d}×{m} ζ = {zeta} {name}"),
        peer,
        shown,
        |cuda| SketchKernels::<T>::compressed(cuda, &laso, Op::NoTrans).map(drop),
    )?;
    let sampling = Sketch::row_sampling(d, m, 1)?;
    let shown = [kernel("sampled_draws", Class::Streaming, 8 * d)];
    bench.job(
        format!("S in compressed rows, row sampling {d}×{m} {name}"),
        peer,
        shown,
        |cuda| SketchKernels::<T>::compressed(cuda, &sampling, Op::NoTrans).map(drop),
    )?;
    let (n, per_row) = (1024, 32);
    let x = sparse::<T>(&cuda, (M, n), per_row)?;
    let mut c = Mat::<T, Cuda>::zeros(&cuda, M, n)?;
    let needed = 8 * M + M * per_row * (4 + s + 32);
    let shown = [kernel(format!("expand_{name}"), Class::Scatter, needed)];
    let peer = (number, Peer::Bytes(M * n * s));
    bench.job(format!("X dense, {M}×{n}, {per_row} a row {name}"), peer, shown, |cuda| {
        cuda.expand(x.as_ref(), 0, c.as_mut())
    })
}

fn block_perm<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let (m, n) = (1024, 64);
    let sketch = Sketch::block_perm_sjlt(D, m, BlockPermParams::new(), 1)?;
    let (a, a_rows) = (columns::<T>(&cuda, m, n)?, rows::<T>(&cuda, m, n)?);
    let (mut c, mut c_rows) = (columns::<T>(&cuda, D, n)?, rows::<T>(&cuda, D, n)?);
    let needed = sketch.wirings() * m * n * s + D * n * s;
    let peer = (number, Peer::Sketch([D, n, m]));
    for (stem, a, c) in [("rows", &a_rows, &mut c_rows), ("cols", &a, &mut c)] {
        let shown = [kernel(format!("block_perm_{stem}_{name}"), Class::Gather, needed)];
        let what = format!("S·A, BlockPerm-SJLT {D}×{m}, {n} columns, by {stem} {name}");
        bench.job(what, peer, shown, |cuda| {
            cuda.block_perm_times(&sketch, T::one(), a.as_ref(), T::zero(), c.as_mut())
        })?;
    }
    Ok(())
}

pub fn half_jobs<H: Half>(bench: &mut Bench) -> Result<()>
where
    Cuda: HalfKernels<H>,
{
    let cuda = bench.cuda.clone();
    let name = H::NAME;
    let sketch = Sketch::sparse_stack(D, M, ZETA, 1)?;
    let indices = SketchKernels::<f32>::indices(&cuda, &sketch)?;
    let (a, y) = (rows::<H>(&cuda, M, N)?, rows::<H>(&cuda, D, N)?);
    for (by_rows, out, bytes) in [(true, name, 2), (false, "f32", 4)] {
        // What is wanted by columns is summed up by rows in f32.
        let target = |m| if by_rows { rows::<H>(&cuda, m, N) } else { columns::<H>(&cuda, m, N) };
        let (mut c, mut x) = (target(D)?, target(M)?);
        let layout = if by_rows { "rows" } else { "columns" };
        let needed = gathered(M * ZETA, D, 4, (2, bytes));
        let shown = [kernel(format!("gather_stored_{name}_{out}"), Class::Gather, needed)];
        let peer = (Number::Half, Peer::Sketch([D, N, M]));
        let what = format!("S·A, SparseStack {D}×{M} ζ = 8, {N} columns, to {layout} {name}");
        bench.job(what, peer, shown, |cuda| {
            cuda.sparse_times_half(&sketch, &indices, Op::NoTrans, 1.0, a.as_ref(), 0.0, c.as_mut())
        })?;
        let needed = gathered(M * ZETA, M, 0, (2, bytes));
        let shown = [kernel(format!("gather_signs_{name}_{out}"), Class::Gather, needed)];
        let peer = (Number::Half, Peer::Sketch([M, N, D]));
        let what = format!("Sᵀ·Y, SparseStack {D}×{M} ζ = 8, {N} columns, to {layout} {name}");
        bench.job(what, peer, shown, |cuda| {
            cuda.sparse_times_half(&sketch, &indices, Op::Trans, 1.0, y.as_ref(), 0.0, x.as_mut())
        })?;
    }
    let (m, n) = (16_000, 4);
    let sketch = Sketch::sparse_stack(D, m, ZETA, 1)?;
    let indices = SketchKernels::<f32>::indices(&cuda, &sketch)?;
    let (a, mut c) = (columns::<H>(&cuda, m, n)?, columns::<H>(&cuda, D, n)?);
    let needed = m * (n * 2 + 4 * ZETA) + parts(m, n) * D * n * 4;
    let shown = [kernel(format!("scatter_signs_{name}"), Class::Shared, needed)];
    let what = format!("S·A, SparseStack {D}×{m} ζ = 8, {n} columns {name}");
    bench.job(what, (Number::Half, Peer::Sketch([D, n, m])), shown, |cuda| {
        cuda.sparse_times_half(&sketch, &indices, Op::NoTrans, 1.0, a.as_ref(), 0.0, c.as_mut())
    })?;
    let (m, n) = (1024, 64);
    let sketch = Sketch::block_perm_sjlt(D, m, BlockPermParams::new(), 1)?;
    let (a, a_rows) = (columns::<H>(&cuda, m, n)?, rows::<H>(&cuda, m, n)?);
    let (mut c, mut c_rows) = (columns::<H>(&cuda, D, n)?, rows::<H>(&cuda, D, n)?);
    let needed = sketch.wirings() * m * n * 2 + D * n * 4;
    for (stem, a, c) in [("rows", &a_rows, &mut c_rows), ("cols", &a, &mut c)] {
        let shown = [kernel(format!("block_perm_{stem}_{name}"), Class::Gather, needed)];
        let what = format!("S·A, BlockPerm-SJLT {D}×{m}, {n} columns, by {stem} {name}");
        bench.job(what, (Number::Half, Peer::Sketch([D, n, m])), shown, |cuda| {
            cuda.block_perm_times_half(&sketch, 1.0, a.as_ref(), 0.0, c.as_mut())
        })?;
    }
    Ok(())
}
