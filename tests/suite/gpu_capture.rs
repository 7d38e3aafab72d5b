//! What a CUDA graph can hold: every sketch, product and transform is recorded, and launched twice it
//! gives the bits of the plain call. What would read memory of the host when the graph runs is
//! refused, and does not spoil the capture.

use crate::common::place::cuda as gpu;
use crate::common::{FAMILIES, Plain, assert_same_bits, noise, sketch};
use crate::entered::Entered;
use cudarc::driver::{result, sys};
use randnla::matrix::{TensorMut, TensorRef};
use randnla::product::{ProductMethod, Samples, Sampling, product_into};
use randnla::{
    AsOperand, Backend, Blas, Csr, Cuda, Device, Error, Family, Mat, MatMut, Op, Operand, Result,
    Scalar, Sketch, SparseKernels, TensorSketch, TransformKernels, Uplo,
};

/// A graph that is ready to run.
struct Graph {
    graph: sys::CUgraph,
    ready: sys::CUgraphExec,
    stream: sys::CUstream,
    _entered: Entered,
}

impl Graph {
    /// Records what `calls` issues. Only this thread is kept from calls that block.
    fn record(cuda: &Cuda, calls: impl FnOnce()) -> Self {
        let entered = Entered::new();
        let stream: sys::CUstream = cuda.raw_stream().cast();
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        // SAFETY: the stream lives, and what is captured outlives the graph.
        unsafe {
            result::stream::begin_capture(stream, mode).unwrap();
            calls();
            let graph = result::stream::end_capture(stream).unwrap();
            let ready = result::graph::instantiate(graph, flags).unwrap();
            Self { graph, ready, stream, _entered: entered }
        }
    }

    fn launch(&self) {
        // SAFETY: the graph and what it works on live.
        unsafe { result::graph::launch(self.ready, self.stream) }.unwrap();
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: nothing uses the graph any more.
        unsafe {
            result::graph::exec_destroy(self.ready).unwrap();
            result::graph::destroy(self.graph).unwrap();
        }
    }
}

fn matrix<T: Scalar>(cuda: &Cuda, rows: usize, cols: usize, seed: u64) -> Mat<T, Cuda>
where
    Cuda: Blas<T>,
{
    Plain::from_fn(rows, cols, |i, j| noise(seed, i, j)).to_mat(cuda)
}

/// `call` on a matrix of this shape, plain and captured.
fn same_captured<T: Scalar>(
    cuda: &Cuda,
    what: &str,
    (rows, cols): (usize, usize),
    call: impl Fn(MatMut<'_, T, Cuda>) -> Result<()>,
) where
    Cuda: Blas<T>,
{
    let mut c = matrix::<T>(cuda, rows, cols, 9);
    // Also makes the handle of cuBLAS.
    call(c.as_mut()).unwrap();
    let expected = Plain::of(c.as_ref());
    let before = matrix::<T>(cuda, rows, cols, 9);
    let unchanged = Plain::of(before.as_ref());
    cuda.axpby(T::one(), before.as_ref(), T::zero(), c.as_mut()).unwrap();
    let graph = Graph::record(cuda, || call(c.as_mut()).unwrap());
    assert_same_bits(what, &Plain::of(c.as_ref()), &unchanged);
    for _ in 0..2 {
        cuda.axpby(T::one(), before.as_ref(), T::zero(), c.as_mut()).unwrap();
        graph.launch();
        assert_same_bits(what, &Plain::of(c.as_ref()), &expected);
    }
}

/// The four products of an operator, prepared or not, with A or Aᵀ of any format.
fn products<T: Scalar>(
    cuda: &Cuda,
    s: &Sketch,
    prepare: bool,
    format: &str,
    [left, adjoint]: [Operand<'_, T, Cuda>; 2],
) where
    Cuda: Backend<T>,
{
    let ((d, m), n) = (s.shape(), left.shape().1);
    let (alpha, beta) = (T::from_f64(-0.75), T::from_f64(0.5));
    let prepared = if prepare { Some(s.prepare::<T, Cuda>(cuda).unwrap()) } else { None };
    let what =
        |side: &str| format!("{} {:?} {side} {format}, prepared: {prepare}", T::NAME, s.family());
    macro_rules! check {
        ($side:literal, $call:ident, $a:expr, $shape:expr) => {
            same_captured::<T>(cuda, &what($side), $shape, |c| match &prepared {
                Some(prepared) => prepared.$call(alpha, $a, beta, c),
                None => s.$call(alpha, $a, beta, c),
            });
        };
    }
    check!("left", apply_into, left, (d, n));
    check!("adjoint", apply_adjoint_into, adjoint, (m, n));
    check!("right", apply_right_into, left.transpose(), (n, d));
    check!("right adjoint", apply_right_adjoint_into, adjoint.transpose(), (n, m));
}

/// Entries of which about a third are stored.
fn triplets<T: Scalar>(rows: usize, cols: usize, seed: u64) -> Vec<(usize, usize, T)> {
    let all = (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j)));
    let kept = all.filter(|&(i, j)| noise(seed, i, j).abs() < 0.35);
    kept.map(|(i, j)| (i, j, T::from_f64(noise(seed + 1, i, j)))).collect()
}

#[test]
fn sketches_are_captured() {
    fn cases<T: Scalar>(cuda: &Cuda, families: &[Family])
    where
        Cuda: Backend<T>,
    {
        for &family in families {
            let whole = sketch(family, 12, 45, 7).unwrap();
            let s = whole.rows(1..12).columns(3..45);
            let (d, m) = s.shape();
            for n in [3, 20] {
                let (a, y) = (matrix::<T>(cuda, m, n, 1), matrix::<T>(cuda, d, n, 2));
                let dense = [a.as_operand(), y.as_operand()];
                let rows = [m, d].map(|rows| {
                    Csr::from_triplets(cuda, (rows, n), &triplets::<T>(rows, n, 3)).unwrap()
                });
                let turned = [m, d].map(|rows| {
                    Csr::from_triplets(cuda, (n, rows), &triplets::<T>(n, rows, 5)).unwrap()
                });
                let columns = turned.each_ref().map(|x| Operand::Csc(x.as_ref().transpose()));
                let rows = rows.each_ref().map(|x| x.as_operand());
                for prepare in [false, true] {
                    // What a Haar operator is made of is copied from the host.
                    if prepare || family != Family::Haar {
                        products::<T>(cuda, &s, prepare, "dense", dense);
                        if n == 20 {
                            products::<T>(cuda, &s, prepare, "CSR", rows);
                            products::<T>(cuda, &s, prepare, "CSC", columns);
                        }
                    }
                }
            }
        }
    }
    let Some(cuda) = gpu("captured sketches") else { return };
    cases::<f64>(&cuda, &FAMILIES);
    cases::<f32>(&cuda, &[Family::Gaussian, Family::SparseStack, Family::Laso, Family::Srct]);
}

/// Positions that are indexed chunk by chunk are kept chunk by chunk.
#[test]
fn prepared_operators_on_a_gpu_give_the_same_bits() {
    let Some(cuda) = gpu("prepared operators") else { return };
    for family in FAMILIES {
        let whole = sketch(family, 30, 200, 3).unwrap();
        for s in [whole, whole.rows(4..29).columns(1..190), whole.rows(3..3)] {
            let prepared = s.prepare::<f64, Cuda>(&cuda).unwrap();
            let (a, y) = (matrix(&cuda, s.ncols(), 6, 1), matrix(&cuda, s.nrows(), 6, 2));
            let plain = |c: Mat<f64, Cuda>| Plain::of(c.as_ref());
            let what = format!("{family:?} {:?}", s.shape());
            let (got, expected) = (prepared.apply(&a).unwrap(), s.apply(&a).unwrap());
            assert_same_bits(&what, &plain(got), &plain(expected));
            let (got, expected) = (prepared.apply_adjoint(&y), s.apply_adjoint(&y));
            assert_same_bits(&what, &plain(got.unwrap()), &plain(expected.unwrap()));
        }
    }
}

/// Sketched products, and samples that were drawn before.
#[test]
fn approximate_products_are_captured() {
    let Some(cuda) = gpu("captured approximate products") else { return };
    let (a, b) = (matrix::<f64>(&cuda, 9, 40, 1), matrix::<f64>(&cuda, 40, 7, 2));
    for s in [Sketch::gaussian(12, 40, 3), Sketch::sparse_stack(12, 40, 4, 3)] {
        let method = ProductMethod::Sketch(s.unwrap());
        same_captured::<f64>(&cuda, &format!("{method:?}"), (9, 7), |c| {
            product_into(2.0, &a, &b, 0.5, c, method)
        });
    }
    let samples = Samples::draw(a.as_ref(), b.as_ref(), Sampling::Systematic, 15, 3).unwrap();
    same_captured::<f64>(&cuda, "samples", (9, 7), |c| {
        samples.product_into(2.0, a.as_ref(), b.as_ref(), 0.5, c)
    });
}

#[test]
fn arrays_products_and_transforms_are_captured() {
    let Some(cuda) = gpu("captured kernels") else { return };
    let (a, b) = (matrix::<f64>(&cuda, 16, 16, 1), matrix::<f64>(&cuda, 16, 16, 2));
    let (a, b) = (a.as_ref(), b.as_ref());
    let check = |what: &str, call: &dyn Fn(MatMut<'_, f64, Cuda>) -> Result<()>| {
        same_captured::<f64>(&cuda, what, (16, 16), call);
    };
    check("gemm", &|c| cuda.gemm(2.0, a, b.transpose(), 0.5, c));
    check("gemm, strides", &|c| cuda.gemm(2.0, a.reverse_rows(), b, 0.5, c));
    check("gram", &|c| cuda.gram(a, c));
    check("trsm", &|c| cuda.trsm_right(Uplo::Upper, Op::NoTrans, a, c));
    check("axpby", &|c| cuda.axpby(2.0, a.transpose(), 0.5, c));
    check("scale", &|c| cuda.scale(0.5, c));
    check("fwht", &|c| cuda.fwht(c));
    check("dct", &|c| cuda.dct(Op::Trans, c));
    let x = Csr::from_triplets(&cuda, (16, 16), &triplets::<f64>(16, 16, 3)).unwrap();
    check("spmm", &|c| cuda.spmm(2.0, x.as_ref(), Op::NoTrans, b, 0.5, c));
    check("spmm, transposed", &|c| cuda.spmm(2.0, x.as_ref(), Op::Trans, b, 0.5, c));
    check("spspmm", &|c| cuda.spspmm(2.0, x.as_ref(), x.as_ref(), 0.5, c));
    check("expand", &|c| cuda.expand(x.as_ref(), 0, c));
    check("convolve", &|c| cuda.convolve(2.0, &[a, b, a.reverse_rows()], 0.5, c));
    let s = TensorSketch::new(7, &[16, 16], 3).unwrap();
    let odd = (7, 16);
    same_captured::<f64>(&cuda, "tensor", odd, |c| s.apply_into(2.0, &[a, b], 0.5, c));
    for family in [Family::Gaussian, Family::SparseStack, Family::Laso, Family::Srht] {
        let s = sketch(family, 4, 8, 3).unwrap();
        let input = matrix::<f64>(&cuda, 16, 32, 1);
        same_captured::<f64>(&cuda, &format!("axis, {family:?}"), (16, 16), |mut c| {
            // SAFETY: packed column-major matrices of 16×32 and 16×16 entries.
            let (a, mut c) = unsafe {
                let (from, to) = (input.as_ref().as_ptr(), c.as_mut_ptr());
                let a = TensorRef::from_raw_parts(&cuda, from, &[16, 8, 4], &[1, 16, 128])?;
                (a, TensorMut::from_raw_parts(&cuda, to, &[16, 4, 4], &[1, 16, 64])?)
            };
            s.sketch_axis(1, -0.75, &a, 0.5, &mut c)
        });
    }
}

/// A convolution of short columns, and several passes over long ones, by columns and by rows.
#[test]
fn long_transforms_are_captured() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Backend<T>,
    {
        for (n, cols) in [(60, 3), (1024, 17), (1 << 15, 1)] {
            for op in [Op::NoTrans, Op::Trans] {
                let what = format!("{} dct {op:?} {n}×{cols}", T::NAME);
                same_captured::<T>(cuda, &what, (n, cols), |c| cuda.dct(op, c));
                same_captured::<T>(cuda, &what, (cols, n), |c| cuda.dct(op, c.transpose()));
            }
            if n.is_power_of_two() {
                let what = format!("{} fwht {n}×{cols}", T::NAME);
                same_captured::<T>(cuda, &what, (n, cols), |c| cuda.fwht(c));
                same_captured::<T>(cuda, &what, (cols, n), |c| cuda.fwht(c.transpose()));
            }
        }
        for family in [Family::Srht, Family::HadamardDiagonal, Family::Srct] {
            let s = sketch(family, 40, 20_000, 3).unwrap();
            let a = matrix::<T>(cuda, 20_000, 1, 1);
            let what = format!("{} {family:?}", T::NAME);
            let (one, zero) = (T::one(), T::zero());
            same_captured::<T>(cuda, &what, (40, 1), |c| s.apply_into(one, &a, zero, c));
        }
    }
    let Some(cuda) = gpu("captured transforms") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

/// Numbers of the host cannot be read when the graph runs: such calls are errors, and what else is
/// captured stays good.
#[test]
fn copies_from_the_host_are_refused_while_a_graph_is_captured() {
    let Some(cuda) = gpu("refused copies") else { return };
    let haar = Sketch::haar(4, 16, 1).unwrap();
    let a = matrix::<f64>(&cuda, 16, 4, 1);
    let (mut c, mut b) = (matrix::<f64>(&cuda, 4, 4, 2), matrix::<f64>(&cuda, 4, 4, 3));
    cuda.scale(0.5, b.as_mut()).unwrap();
    let expected = Plain::of(b.as_ref());
    let mut buffer = cuda.scratch::<f64>(1).unwrap();
    let graph = Graph::record(&cuda, || {
        let refused = [
            haar.apply_into(1.0, &a, 0.0, c.as_mut()),
            cuda.scale_columns(&[1.0; 4], c.as_mut()),
            cuda.gather_rows(&[3, 1, 2, 0], a.as_ref().rows(0..4), c.as_mut()),
            cuda.scatter_rows(&[3, 1, 2, 0], a.as_ref().rows(0..4), c.as_mut()),
            cuda.upload(&[1.0], &mut buffer),
        ];
        for refused in refused {
            assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
        }
        cuda.scale(2.0, b.as_mut()).unwrap();
        cuda.scale(0.5, b.as_mut()).unwrap();
    });
    graph.launch();
    assert_same_bits("b", &Plain::of(b.as_ref()), &expected);
}
