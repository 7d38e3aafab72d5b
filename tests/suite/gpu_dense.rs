//! Entries of dense operators on the GPU: the bits of the scalar functions.

use crate::common::entries::entries;
use crate::common::{Layout, Placed, Stored, assert_same_bits, sketch};
use crate::gpu::gpu;
use randnla::{Cuda, Family, Scalar, Sketch, SketchKernels};

fn fill_case<T: Scalar>(cuda: &Cuda, s: &Sketch, layout: Layout)
where
    Cuda: SketchKernels<T> + randnla::Blas<T>,
{
    let what = format!("{} {:?} {:?} {layout:?}", T::NAME, s.family(), s.shape());
    let host = Stored::<T>::new(layout, s.nrows(), s.ncols(), |_, _| f64::NAN);
    let mut b = Placed::new(cuda, &host);
    cuda.fill(s, T::one(), b.view_mut()).unwrap();
    let b = b.back();
    b.assert_gaps_untouched(&what);
    assert_same_bits(&what, &b.plain(), &entries::<T>(s));
}

#[test]
fn fill_gives_the_bits_of_the_scalar_functions_on_a_gpu() {
    fn cases<T: Scalar>(cuda: &Cuda)
    where
        Cuda: SketchKernels<T> + randnla::Blas<T>,
    {
        for family in [Family::Gaussian, Family::Rademacher, Family::Uniform] {
            for (d, m) in [(1, 1), (3, 40), (4, 33), (5, 1), (129, 7), (260, 9), (31, 64)] {
                let s = sketch(family, d, m, 7).unwrap().raw();
                for layout in Layout::WRITABLE {
                    fill_case::<T>(cuda, &s, layout);
                    if d > 4 && m > 4 {
                        fill_case::<T>(cuda, &s.rows(1..d - 1).columns(2..m), layout);
                        fill_case::<T>(cuda, &s.rows(d / 3..d / 3 + 1), layout);
                    }
                }
            }
            // Far out, where positions need 64 bits, and 10^6 entries.
            let far = sketch(family, 3000, 1 << 33, 1).unwrap().raw().rows(5..2995);
            fill_case::<T>(cuda, &far.columns((1 << 32) - 170..(1 << 32) + 170), Layout::Columns);
        }
    }
    let Some(cuda) = gpu("fill") else { return };
    cases::<f32>(&cuda);
    cases::<f64>(&cuda);
}
