//! Sparse operators in compressed rows on the GPU, bit for bit those of the CPU, and compressed rows made
//! dense.

use crate::common::{Layout, Placed, Plain, Stored, assert_same_bits, cpus, sketch};
use crate::gpu::gpu;
use crate::gpu_sketch::{OPS, SPARSE, triplets, windows};
use randnla::random::laso_row;
use randnla::{
    Backend, Cpu, Csr, Cuda, Family, Mat, Op, Scalar, Sketch, SketchKernels, SparseKernels,
};

/// op(S) in compressed rows: the entries in their order, and where they are.
#[test]
fn compressed_operators_on_a_gpu_are_those_of_the_cpu() {
    fn same<T: Scalar>(cuda: &Cuda, s: &Sketch)
    where
        Cuda: Backend<T>,
        Cpu: Backend<T>,
    {
        let cpu = &cpus()[0];
        for op in OPS {
            let what = format!("{} {:?} {:?} ζ={} {op:?}", T::NAME, s.family(), s.shape(), s.nnz());
            let got: Csr<T, Cuda> = cuda.compressed(s, op).unwrap();
            let expected: Csr<T, Cpu> = cpu.compressed(s, op).unwrap();
            let (rows, cols) = expected.as_ref().shape();
            assert_eq!(got.as_ref().shape(), (rows, cols), "{what}");
            let mut on = Mat::<T, Cuda>::scratch(cuda, rows, cols).unwrap();
            let mut host = Mat::<T>::scratch(cpu, rows, cols).unwrap();
            cuda.expand(got.as_ref(), 0, on.as_mut()).unwrap();
            cpu.expand(expected.as_ref(), 0, host.as_mut()).unwrap();
            assert_same_bits(&what, &Plain::of(on.as_ref()), &Plain::of(host.as_ref()));
            // The columns of column-sparse operators are in the order of their draws on the CPU.
            if op == Op::NoTrans || s.family().is_row_sparse() {
                let got = cuda.stored_values(got.as_ref()).unwrap();
                let expected = cpu.stored_values(expected.as_ref()).unwrap();
                assert_same_bits(&what, &Plain::of(got), &Plain::of(expected));
            }
        }
    }
    let Some(cuda) = gpu("compressed operators") else { return };
    for family in SPARSE.into_iter().chain([Family::Laso, Family::RowSampling]) {
        for (d, m) in [(0, 7), (1, 1), (5, 9), (17, 33), (40, 800), (300, 310)] {
            for s in windows(sketch(family, d, m, 6).unwrap()) {
                same::<f64>(&cuda, &s);
                same::<f32>(&cuda, &s.columns(m / 3..m / 3));
            }
        }
    }
    // Many draws of few columns, of more than a warp, and beyond 2³² columns.
    for (d, m, zeta) in [(3, 1, 5), (7, 4, 33), (20, 50, 70), (300, 2000, 9)] {
        same::<f32>(&cuda, &Sketch::laso(d, m, zeta, 4).unwrap());
    }
    let (far, mut row) = (Sketch::laso(2000, 1 << 33, 40, 5).unwrap(), Vec::new());
    laso_row(5, 1 << 33, 40, 1000, &mut row);
    let column = row.last().unwrap().column as usize;
    assert!(column > 1 << 32, "the window below is beyond 32 bits");
    same::<f64>(&cuda, &far.rows(999..1004).columns(column - 2..column + 3));
}

/// Columns of compressed rows, from anywhere, into any layout.
#[test]
fn compressed_rows_made_dense_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Backend<T>,
    {
        for (turn, (m, n)) in [(0, 3), (1, 1), (7, 40), (65, 70)].into_iter().enumerate() {
            let x = triplets::<T>((m, n), 0.4);
            let mut all = Plain::zeros(m, n);
            x.iter().for_each(|&(i, j, value)| all.set(i, j, value.to_f64()));
            let x = Csr::from_triplets(cuda, (m, n), &x).unwrap();
            for (first, end) in [(0, n), (n / 3, n), (n / 2, n / 2 + 1), (n, n)] {
                for layout in [Layout::WRITABLE[turn], Layout::Rows] {
                    let c = Stored::<T>::new(layout, m, end - first, |_, _| f64::NAN);
                    let mut on = Placed::new(cuda, &c);
                    cuda.expand(x.as_ref(), first, on.view_mut()).unwrap();
                    let (back, what) = (on.back(), format!("{m}×{n} {first}..{end} {layout:?}"));
                    back.assert_gaps_untouched(&what);
                    assert_same_bits(&what, &back.plain(), &all.columns(first, end));
                }
            }
        }
    }
    let Some(cuda) = gpu("made dense") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}
