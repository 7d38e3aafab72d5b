//! Conversions from and to faer and, behind the feature `ndarray`, ndarray. None copies except
//! where the direction `Mat → faer::Mat` says so.

use crate::{Cpu, Mat, MatMut, MatRef, Result, Scalar};

/// The device of views that are built without one: the caller's rayon pool.
static CALLERS_POOL: Cpu = Cpu::new();

impl<'a, T: Scalar> From<faer::MatRef<'a, T>> for MatRef<'a, T, Cpu> {
    fn from(a: faer::MatRef<'a, T>) -> Self {
        let (shape, strides) = (a.shape(), (a.row_stride(), a.col_stride()));
        // SAFETY: a faer view makes the same promise about its entries for the same lifetime.
        unsafe { MatRef::from_parts_unchecked(&CALLERS_POOL, a.as_ptr(), shape, strides) }
    }
}

impl<'a, T: Scalar> From<faer::MatMut<'a, T>> for MatMut<'a, T, Cpu> {
    fn from(a: faer::MatMut<'a, T>) -> Self {
        let (shape, strides) = ((a.nrows(), a.ncols()), (a.row_stride(), a.col_stride()));
        // SAFETY: a faer mutable view makes the same promise, distinct positions included.
        unsafe { MatMut::from_parts_unchecked(&CALLERS_POOL, a.as_ptr_mut(), shape, strides) }
    }
}

impl<'a, T: Scalar> From<MatRef<'a, T, Cpu>> for faer::MatRef<'a, T> {
    fn from(a: MatRef<'a, T, Cpu>) -> Self {
        let strides = (a.row_stride(), a.col_stride());
        // SAFETY: the view's entries are readable host memory for 'a.
        unsafe {
            faer::MatRef::from_raw_parts(a.as_ptr(), a.nrows(), a.ncols(), strides.0, strides.1)
        }
    }
}

impl<'a, T: Scalar> From<MatMut<'a, T, Cpu>> for faer::MatMut<'a, T> {
    fn from(mut a: MatMut<'a, T, Cpu>) -> Self {
        let (rows, cols) = a.shape();
        let strides = (a.row_stride(), a.col_stride());
        // SAFETY: the view's entries are distinct host memory, borrowed uniquely for 'a.
        unsafe {
            faer::MatMut::from_raw_parts_mut(a.as_mut_ptr(), rows, cols, strides.0, strides.1)
        }
    }
}

impl<T: Scalar> Mat<T, Cpu> {
    /// A copy as faer's owned matrix.
    pub fn to_faer(&self) -> faer::Mat<T> {
        faer::Mat::from_fn(self.nrows(), self.ncols(), |i, j| self.get(i, j))
    }

    /// A copy of a faer matrix, in column-major order.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn from_faer(cpu: &Cpu, a: faer::MatRef<'_, T>) -> Result<Self> {
        let view = MatRef::from(a);
        Mat::from_fn(cpu, a.nrows(), a.ncols(), |i, j| view.get(i, j))
    }
}

#[cfg(feature = "ndarray")]
mod nd {
    use super::CALLERS_POOL;
    use crate::{Cpu, MatMut, MatRef, Scalar};

    impl<'a, T: Scalar> From<ndarray::ArrayView2<'a, T>> for MatRef<'a, T, Cpu> {
        fn from(a: ndarray::ArrayView2<'a, T>) -> Self {
            let strides = (a.strides()[0], a.strides()[1]);
            // SAFETY: an array view makes the same promise about its entries for the same lifetime.
            unsafe { MatRef::from_parts_unchecked(&CALLERS_POOL, a.as_ptr(), a.dim(), strides) }
        }
    }

    impl<'a, T: Scalar> From<ndarray::ArrayViewMut2<'a, T>> for MatMut<'a, T, Cpu> {
        fn from(mut a: ndarray::ArrayViewMut2<'a, T>) -> Self {
            let strides = (a.strides()[0], a.strides()[1]);
            let (ptr, shape) = (a.as_mut_ptr(), a.dim());
            // SAFETY: as above; distinct positions of a mutable array view are distinct memory.
            unsafe { MatMut::from_parts_unchecked(&CALLERS_POOL, ptr, shape, strides) }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use ndarray::{Array2, s};

        #[test]
        fn array_views_keep_their_strides_and_their_memory() {
            let mut a = Array2::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as f64);
            let view = MatRef::from(a.slice(s![..;-1, 1..;2]));
            assert_eq!((view.shape(), view.row_stride(), view.col_stride()), ((4, 3), -6, 2));
            assert_eq!((view.get(0, 0), view.get(3, 2)), (31.0, 5.0));
            assert_eq!(MatRef::from(a.view().reversed_axes()).get(5, 3), 35.0);
            MatMut::from(a.slice_mut(s![1..3, ..;-1])).set(1, 0, -1.0);
            assert_eq!(a[(2, 5)], -1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faer_views_round_trip_without_copies() {
        let mut a = faer::Mat::<f64>::from_fn(5, 3, |i, j| (10 * i + j) as f64);
        let ptr = a.as_ptr();
        let view = MatRef::from(a.as_ref().transpose());
        assert_eq!((view.shape(), view.get(2, 4), view.as_ptr()), ((3, 5), 42.0, ptr));
        assert_eq!(faer::MatRef::from(view.transpose()), a.as_ref());
        let mut view = MatMut::from(a.as_mut());
        view.set(4, 2, -1.0);
        assert_eq!(a[(4, 2)], -1.0);
        let copy = Mat::from_faer(&Cpu::new(), a.as_ref()).unwrap();
        assert_eq!(copy.to_faer(), a);
    }
}
