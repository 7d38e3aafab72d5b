//! Calls captured in a CUDA graph: nothing runs while they are captured, and every launch of the
//! graph gives the bits of the direct call.

use crate::common::stored::Placed;
use crate::common::{FAMILIES, Layout, Plain, Stored, assert_same_bits, noise, place, sketch};
use cudarc::driver::{result, sys};
use randnla::{
    Backend, Blas, Csr, Cuda, Error, Family, MatMut, Op, Result, Scalar, TransformKernels, Uplo,
};

/// Families whose entries come from the host in every call.
const FROM_THE_HOST: [Family; 3] = [Family::Laso, Family::RowSampling, Family::Haar];
/// Families that make sparse input dense by a factor from the host.
const SPARSE_INPUT_FROM_THE_HOST: [Family; 3] =
    [Family::Srht, Family::Srct, Family::HadamardDiagonal];

/// A graph of what `call` issues on the stream of `cuda`.
fn captured(cuda: &Cuda, call: impl FnOnce() -> Result<()>) -> Result<sys::CUgraph> {
    let stream: sys::CUstream = cuda.raw_stream().cast();
    // Other tests of this process go on meanwhile.
    let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    // SAFETY: the stream lives, and belongs to this test alone.
    let (called, graph) = unsafe {
        result::stream::begin_capture(stream, mode).unwrap();
        let called = call();
        (called, result::stream::end_capture(stream))
    };
    called?;
    Ok(graph.unwrap())
}

/// What `call` writes to C: directly, and by a graph that is launched twice.
#[track_caller]
fn replays<T: Scalar>(
    what: &str,
    cuda: &Cuda,
    c: &Stored<T>,
    call: impl Fn(MatMut<'_, T, Cuda>) -> Result<()>,
) where
    Cuda: Blas<T>,
{
    // Loads modules and makes the handle of cuBLAS, which a capture would not survive.
    let direct = c.after(what, cuda, &call);
    let mut on: Placed<T, Cuda> = c.on(cuda);
    let graph = captured(cuda, || call(on.view_mut()))
        .unwrap_or_else(|error| panic!("{what}, captured: {error}"));
    assert_same_bits(&format!("{what}: a capture runs nothing"), &on.back().plain(), &c.plain());
    let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let stream = cuda.raw_stream().cast();
    // SAFETY: what was captured outlives the graph.
    unsafe {
        let ready = result::graph::instantiate(graph, flags).unwrap();
        for launch in 0..2 {
            result::graph::launch(ready, stream).unwrap();
            let what = format!("{what}, launch {launch}");
            assert_same_bits(&what, &on.back().plain(), &direct);
            on.back().assert_gaps_untouched(&what);
        }
        result::graph::exec_destroy(ready).unwrap();
        result::graph::destroy(graph).unwrap();
    }
}

/// That `call`, which works directly, is refused in a capture and leaves the stream usable.
#[track_caller]
fn is_refused<T: Scalar>(
    what: &str,
    cuda: &Cuda,
    c: &Stored<T>,
    call: impl Fn(MatMut<'_, T, Cuda>) -> Result<()>,
) where
    Cuda: Blas<T>,
{
    c.after(what, cuda, &call);
    let mut on = c.on(cuda);
    let refused = captured(cuda, || call(on.view_mut()));
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{what}: {refused:?}");
    c.after(what, cuda, &call);
}

/// The four sides of an operator, on C of their shapes.
#[derive(Clone, Copy, Debug)]
enum Side {
    Left,
    Adjoint,
    Right,
    RightAdjoint,
}

fn families<T: Scalar>(cuda: &Cuda)
where
    Cuda: Backend<T>,
{
    // Columns on both sides of what fused kernels serve.
    for (family, n) in FAMILIES.into_iter().flat_map(|family| [(family, 5), (family, 20)]) {
        let (d, m) = (12, 60);
        let s = sketch(family, d, m, 3).unwrap();
        for side in [Side::Left, Side::Adjoint, Side::Right, Side::RightAdjoint] {
            let (of_a, of_c) = match side {
                Side::Left => ((m, n), (d, n)),
                Side::Adjoint => ((d, n), (m, n)),
                Side::Right => ((n, m), (n, d)),
                Side::RightAdjoint => ((n, d), (n, m)),
            };
            let a = Plain::from_fn(of_a.0, of_a.1, |i, j| noise(1, i, j)).rounded::<T>();
            let c = Stored::<T>::new(Layout::PaddedRows, of_c.0, of_c.1, |_, _| f64::NAN);
            let dense = a.to_mat::<T, Cuda>(cuda);
            let entries = (0..of_a.0).flat_map(|i| (0..of_a.1).map(move |j| (i, j)));
            let triplets: Vec<(usize, usize, T)> = entries
                .filter(|&(i, j)| noise(4, i, j) > 0.4)
                .map(|(i, j)| (i, j, T::from_f64(a.get(i, j))))
                .collect();
            let sparse = Csr::from_triplets(cuda, of_a, &triplets).unwrap();
            let (alpha, beta) = (T::from_f64(-0.75), T::zero());
            macro_rules! apply {
                ($a:expr) => {
                    |c: MatMut<'_, T, Cuda>| match side {
                        Side::Left => s.apply_into(alpha, $a, beta, c),
                        Side::Adjoint => s.apply_adjoint_into(alpha, $a, beta, c),
                        Side::Right => s.apply_right_into(alpha, $a, beta, c),
                        Side::RightAdjoint => s.apply_right_adjoint_into(alpha, $a, beta, c),
                    }
                };
            }
            let what = format!("{} {family:?} {side:?} n={n}", T::NAME);
            if FROM_THE_HOST.contains(&family) {
                is_refused(&what, cuda, &c, apply!(&dense));
                is_refused(&format!("{what}, CSR"), cuda, &c, apply!(&sparse));
                continue;
            }
            replays(&what, cuda, &c, apply!(&dense));
            let what = format!("{what}, CSR");
            match SPARSE_INPUT_FROM_THE_HOST.contains(&family) {
                true => is_refused(&what, cuda, &c, apply!(&sparse)),
                false => replays(&what, cuda, &c, apply!(&sparse)),
            }
        }
        if !FROM_THE_HOST.contains(&family) {
            let prepared = s.prepare::<T, Cuda>(cuda).unwrap();
            let a = Plain::from_fn(m, n, |i, j| noise(1, i, j)).to_mat::<T, Cuda>(cuda);
            let c = Stored::<T>::new(Layout::Columns, d, n, |_, _| f64::NAN);
            let what = format!("{} {family:?} prepared n={n}", T::NAME);
            replays(&what, cuda, &c, |c| prepared.apply_into(T::one(), &a, T::zero(), c));
        }
    }
}

fn products<T: Scalar>(cuda: &Cuda)
where
    Cuda: Backend<T>,
{
    // Backwards and strided operands are packed first.
    for layout in [Layout::Columns, Layout::Rows, Layout::Backwards, Layout::Strided] {
        let what = |name: &str| format!("{} {name} {layout:?}", T::NAME);
        let stored = |seed, rows, cols| {
            let entry = move |i, j| noise(seed, i, j);
            Stored::<T>::new(layout, rows, cols, entry).on(cuda)
        };
        let output = |rows, cols| Stored::<T>::new(layout, rows, cols, |_, _| f64::NAN);
        let (a, b) = (stored(1, 20, 30), stored(2, 30, 10));
        let (one, zero) = (T::one(), T::zero());
        replays(&what("gemm"), cuda, &output(20, 10), |c| {
            cuda.gemm(one, a.view(), b.view(), zero, c)
        });
        replays(&what("gram"), cuda, &output(30, 30), |g| cuda.gram(a.view(), g));
        replays(&what("axpby"), cuda, &output(20, 30), |c| cuda.axpby(one, a.view(), zero, c));
        let triangle = Stored::<T>::new(layout, 10, 10, |i, j| match i.cmp(&j) {
            std::cmp::Ordering::Equal => 2.0,
            std::cmp::Ordering::Less => 0.1 * noise(3, i, j),
            std::cmp::Ordering::Greater => f64::NAN,
        })
        .on(cuda);
        replays(&what("trsm"), cuda, &output(20, 10), |mut c| {
            cuda.axpby(one, b.view().rows(0..20), zero, c.as_mut())?;
            cuda.trsm_right(Uplo::Upper, Op::NoTrans, triangle.view(), c)
        });
    }
}

fn transforms<T: Scalar>(cuda: &Cuda)
where
    Cuda: Backend<T>,
{
    // One pass, a convolution, and several passes by rows.
    for (n, cols, layout) in
        [(64, 3, Layout::Columns), (60, 3, Layout::Rows), (1024, 17, Layout::Rows)]
    {
        let a = Plain::from_fn(n, cols, |i, j| noise(1, i, j)).to_mat::<T, Cuda>(cuda);
        let c = Stored::<T>::new(layout, n, cols, |_, _| f64::NAN);
        let copy = |c: MatMut<'_, T, Cuda>| cuda.axpby(T::one(), a.as_ref(), T::zero(), c);
        for op in [Op::NoTrans, Op::Trans] {
            let what = format!("{} dct {op:?} {n}×{cols} {layout:?}", T::NAME);
            replays(&what, cuda, &c, |mut c| {
                copy(c.as_mut())?;
                cuda.dct(op, c)
            });
        }
        if n.is_power_of_two() {
            replays(&format!("{} fwht {n}×{cols} {layout:?}", T::NAME), cuda, &c, |mut c| {
                copy(c.as_mut())?;
                cuda.fwht(c)
            });
        }
    }
}

macro_rules! on_a_gpu {
    ($($name:ident: $test:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let name = concat!("gpu_capture::", stringify!($name));
            let Some(place) = &place::gpu(name) else { return };
            $test::<f32>(place.device());
            $test::<f64>(place.device());
        }
    )*};
}

on_a_gpu! {
    every_family_in_a_graph: families,
    products_in_a_graph: products,
    transforms_in_a_graph: transforms,
}
