//! Circular convolutions on the GPU against the oracle, by the bound of `kernels_convolve`; columns
//! that are too long for the oracle against the CPU, which has the same bound. TensorSketch on the GPU
//! against the CPU.

use crate::common::{Layout, Placed, Plain, Reference, Stored, assert_columns_within, cpus, noise};
use crate::gpu::gpu;
use crate::kernels_convolve::{LENGTHS, convolution_bound, convolution_case};
use randnla::{AsOperand, Backend, Cpu, Csr, Cuda, MatRef, Scalar, TensorSketch, TransformKernels};

fn convolved<T: Scalar>(
    cuda: &Cuda,
    what: &str,
    (alpha, beta): (f64, f64),
    factors: &[Stored<T>],
    c: &Stored<T>,
) -> Plain
where
    Cuda: Backend<T>,
{
    let placed: Vec<_> = factors.iter().map(|a| Placed::new(cuda, a)).collect();
    let views: Vec<MatRef<'_, T, Cuda>> = placed.iter().map(|a| a.view()).collect();
    let mut on = Placed::new(cuda, c);
    cuda.convolve(T::from_f64(alpha), &views, T::from_f64(beta), on.view_mut()).unwrap();
    let back = on.back();
    back.assert_gaps_untouched(what);
    back.plain()
}

#[test]
fn convolutions_on_a_gpu_meet_the_rounding_model() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Backend<T>,
    {
        let scales = [(1.0, 0.0), (-0.75, 1.0), (0.0, -0.75), (1.0, 0.5)];
        for (turn, d) in LENGTHS.into_iter().enumerate() {
            for (k, (q, n)) in
                [(1, 3), (2, 0), (2, 1), (2, 17), (3, 5), (5, 2)].into_iter().enumerate()
            {
                let scales = scales[(turn + k) % 4];
                let what = format!("{} {d}×{n} q={q} {scales:?}", T::NAME);
                let (factors, c) = convolution_case::<T>((d, n, q), turn + k, scales);
                let mut expected = c.clone();
                let views: Vec<_> = factors.iter().map(|a| a.view(&Reference)).collect();
                let (alpha, beta) = (T::from_f64(scales.0), T::from_f64(scales.1));
                Reference.convolve(alpha, &views, beta, expected.view_mut(&Reference)).unwrap();
                let plain: Vec<Plain> = factors.iter().map(Stored::plain).collect();
                let bound = convolution_bound(T::UNIT_ROUNDOFF, scales, &plain, &c.plain());
                let got = convolved(cuda, &what, scales, &factors, &c);
                assert_columns_within(&what, &got, &expected.plain(), &bound);
            }
        }
    }
    let Some(cuda) = gpu("convolutions") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

/// Several passes over memory, with and without a wrap, in both directions.
#[test]
fn convolutions_of_long_columns_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: Backend<T>,
        Cpu: Backend<T>,
    {
        for (d, n, q, layout) in [
            (16_384, 1, 2, Layout::Columns),
            (6000, 2, 3, Layout::Columns),
            (4500, 2, 2, Layout::Backwards),
            (1024, 17, 2, Layout::Rows),
            (700, 33, 2, Layout::PaddedRows),
        ] {
            let what = format!("{} {d}×{n} q={q} {layout:?}", T::NAME);
            let factor = |i: usize| Stored::<T>::new(layout, d, n, |r, j| noise(i as u64, r, j));
            let factors: Vec<_> = (0..q).map(factor).collect();
            let c = Stored::<T>::new(layout, d, n, |i, j| noise(9, i, j));
            let (mut expected, cpu) = (c.clone(), &cpus()[0]);
            let views: Vec<_> = factors.iter().map(|a| a.view(cpu)).collect();
            let (alpha, beta) = (T::from_f64(-0.75), T::from_f64(0.5));
            cpu.convolve(alpha, &views, beta, expected.view_mut(cpu)).unwrap();
            let plain: Vec<Plain> = factors.iter().map(Stored::plain).collect();
            let bound = convolution_bound(2.0 * T::UNIT_ROUNDOFF, (-0.75, 0.5), &plain, &c.plain());
            let got = convolved(cuda, &what, (-0.75, 0.5), &factors, &c);
            assert_columns_within(&what, &got, &expected.plain(), &bound);
        }
    }
    let Some(cuda) = gpu("long convolutions") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}

/// The same operator bits, and products within the bound of both devices.
#[test]
fn tensor_sketches_on_a_gpu_are_those_of_the_cpu() {
    let Some(cuda) = gpu("tensor sketches") else { return };
    let cpu = &cpus()[0];
    for (d, lengths) in [(8, vec![5, 4]), (7, vec![3, 2, 4]), (0, vec![2, 2]), (5, vec![9])] {
        let s = TensorSketch::new(d, &lengths, 11).unwrap();
        let entries = Plain::of(s.to_mat::<f64, _>(&cuda).unwrap().as_ref());
        assert_eq!(entries, Plain::of(s.to_mat::<f64, _>(cpu).unwrap().as_ref()));
        let n = 6;
        let a = |k: usize, m: usize| Plain::from_fn(m, n, |i, j| noise(k as u64, i, j).max(0.0));
        let plain: Vec<Plain> = lengths.iter().enumerate().map(|(k, &m)| a(k, m)).collect();
        let dense: Vec<_> = plain.iter().map(|a| a.to_mat::<f64, _>(&cuda)).collect();
        let stored = |a: &Plain| {
            let all = (0..a.rows * n).map(|at| (at % a.rows, at / a.rows, a.data[at]));
            let kept: Vec<_> = all.filter(|entry| entry.2 != 0.0).collect();
            Csr::from_triplets(&cuda, (a.rows, n), &kept).unwrap()
        };
        let sparse: Vec<_> = plain.iter().map(stored).collect();
        // Every other factor sparse.
        let mixed = dense.iter().zip(&sparse).enumerate();
        let mixed: Vec<_> = mixed
            .map(|(k, (dense, sparse))| match k % 2 {
                0 => sparse.as_operand(),
                _ => dense.as_operand(),
            })
            .collect();
        let on_cpu: Vec<_> = plain.iter().map(|a| a.to_mat::<f64, _>(cpu)).collect();
        let expected = Plain::of(s.apply(&on_cpu).unwrap().as_ref());
        let sketched: Vec<Plain> = (0..s.factors())
            .map(|k| Plain::of(s.factor(k).apply(&on_cpu[k]).unwrap().as_ref()))
            .collect();
        let bound = convolution_bound(4.0 * f64::EPSILON, (1.0, 0.0), &sketched, &expected);
        let what = format!("{d} × {lengths:?}");
        let got = Plain::of(s.apply(&dense).unwrap().as_ref());
        assert_columns_within(&what, &got, &expected, &bound);
        let got = Plain::of(s.apply(&mixed).unwrap().as_ref());
        assert_columns_within(&what, &got, &expected, &bound);
    }
}
