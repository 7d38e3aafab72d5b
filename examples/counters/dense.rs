//! Dense operators: entries, and products with few columns (`cuda/dense.cu`, `cuda/half_dense.cu`).

use crate::Result;
use crate::bench::{Bench, Class, kernel};
use crate::matrices::{columns, rows};
use crate::model::{Number, Peer};

use randnla::{Backend, Cuda, Half, HalfKernels, Mat, Op, Scalar, Sketch, SketchKernels};

/// Rows and columns of the operators.
const D: usize = 256;
const M: usize = 1024;

fn families() -> Result<[(&'static str, Sketch); 3]> {
    Ok([
        ("gaussian", Sketch::gaussian(D, M, 1)?),
        ("uniform", Sketch::uniform(D, M, 1)?),
        ("signs", Sketch::rademacher(D, M, 1)?),
    ])
}

pub fn jobs<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, number) = (T::NAME, size_of::<T>(), Number::of::<T>());
    let (one, zero) = (T::one(), T::zero());
    let mut by_columns = Mat::<T, Cuda>::zeros(&cuda, D, M)?;
    let mut by_rows = rows::<T>(&cuda, D, M)?;
    for (family, sketch) in families()? {
        let peer = (number, Peer::Normals(D * M));
        let shown = || [kernel(format!("{family}_{name}"), Class::Streaming, D * M * s)];
        bench.job(format!("S, {family} {D}×{M} {name}"), peer, shown(), |cuda| {
            cuda.fill(&sketch, one, by_columns.as_mut())
        })?;
        bench.job(format!("S by rows, {family} {D}×{M} {name}"), peer, shown(), |cuda| {
            cuda.fill(&sketch, one, by_rows.as_mut())
        })?;
        for n in [4, 16] {
            let (a, y) = (rows::<T>(&cuda, M, n)?, rows::<T>(&cuda, D, n)?);
            let (mut c, mut x) = (columns::<T>(&cuda, D, n)?, columns::<T>(&cuda, M, n)?);
            // Parts of at least 32 columns, or of 32 blocks of 16 bytes of rows, with sums of their own.
            let (parts, parts_down) = (M / 32, D / (16 / s) / 32);
            // Blocks of 128 threads, one for 16 bytes of rows: here one or a half a part.
            let times = M * n * s + parts * D * n * s;
            let adjoint = M / 128 * D * n * s + parts_down * M * n * s;
            let joined = |parts: usize, len: usize| {
                kernel(format!("join_{name}"), Class::Streaming, (parts + 1) * len * n * s)
            };
            let fused = kernel(format!("{family}_times_{n}_{name}"), Class::Shared, times);
            let what = format!("S·A, {family} {D}×{M}, {n} columns {name}");
            let peer = (number, Peer::Sketch([D, n, M]));
            bench.job(what, peer, [fused, joined(parts, D)], |cuda| {
                cuda.fill_times(&sketch, Op::NoTrans, one, a.as_ref(), zero, c.as_mut())
            })?;
            let fused = kernel(format!("{family}_adjoint_{n}_{name}"), Class::Shared, adjoint);
            let what = format!("Sᵀ·Y, {family} {D}×{M}, {n} columns {name}");
            let peer = (number, Peer::Sketch([M, n, D]));
            bench.job(what, peer, [fused, joined(parts_down, M)], |cuda| {
                cuda.fill_times(&sketch, Op::Trans, one, y.as_ref(), zero, x.as_mut())
            })?;
        }
    }
    many_parts::<T>(bench)
}

/// Sums in so many parts that warps share them.
fn many_parts<T: Scalar>(bench: &mut Bench) -> Result<()>
where
    Cuda: Backend<T>,
{
    let cuda = bench.cuda.clone();
    let (name, s, (d, m, n)) = (T::NAME, size_of::<T>(), (64, 4096, 16));
    let (a, mut c) = (rows::<T>(&cuda, m, n)?, columns::<T>(&cuda, d, n)?);
    let sketch = Sketch::uniform(d, m, 1)?;
    let joined = kernel(format!("join_{name}"), Class::Streaming, (m / 32 + 1) * d * n * s);
    let peer = (Number::of::<T>(), Peer::Sketch([d, n, m]));
    bench.job(format!("S·A, uniform {d}×{m}, {n} columns {name}"), peer, [joined], |cuda| {
        cuda.fill_times(&sketch, Op::NoTrans, T::one(), a.as_ref(), T::zero(), c.as_mut())
    })
}

pub fn half_jobs<H: Half>(bench: &mut Bench) -> Result<()>
where
    Cuda: HalfKernels<H>,
{
    let cuda = bench.cuda.clone();
    let (name, n) = (H::NAME, 64);
    let (a, y) = (columns::<H>(&cuda, M, n)?, columns::<H>(&cuda, D, n)?);
    let (mut c, mut x) = (columns::<H>(&cuda, D, n)?, columns::<H>(&cuda, M, n)?);
    let mut sums = columns::<f32>(&cuda, D, n)?;
    for (family, sketch) in families()? {
        // 128 rows of C a block; parts of two tiles of 64 inner indices.
        let (parts, parts_down) = (M / 128, D / 128);
        let sum = |parts: usize, rows: usize| parts * rows * n * 4;
        let joined = |parts: usize, rows: usize| {
            let needed = sum(parts, rows) + rows * n * 2;
            kernel(format!("join_{name}"), Class::Streaming, needed)
        };
        let times = D / 128 * M * n * 2 + sum(parts, D);
        let fused = kernel(format!("{family}_times_{name}"), Class::Shared, times);
        let peer = (Number::Half, Peer::Sketch([D, n, M]));
        let what = format!("S·A, {family} {D}×{M}, {n} columns {name}");
        bench.job(what, peer, [fused, joined(parts, D)], |cuda| {
            cuda.fill_times_half(&sketch, Op::NoTrans, 1.0, a.as_ref(), 0.0, c.as_mut())
        })?;
        let adjoint = M / 128 * D * n * 2 + sum(parts_down, M);
        let fused = kernel(format!("{family}_adjoint_{name}"), Class::Shared, adjoint);
        let peer = (Number::Half, Peer::Sketch([M, n, D]));
        let what = format!("Sᵀ·Y, {family} {D}×{M}, {n} columns {name}");
        bench.job(what, peer, [fused, joined(parts_down, M)], |cuda| {
            cuda.fill_times_half(&sketch, Op::Trans, 1.0, y.as_ref(), 0.0, x.as_mut())
        })?;
        let panel = kernel(format!("{family}_panel_{name}"), Class::Streaming, D * M * 2);
        let what = format!("a panel of S, {family} {D}×{M} {name}, without its product");
        bench.job(what, (Number::Half, Peer::Normals(D * M)), [panel], |cuda| {
            let raw = sketch.raw();
            cuda.panel_times_half(&raw, Op::NoTrans, a.as_ref(), 0.0, sums.as_mut())
        })?;
    }
    Ok(())
}
