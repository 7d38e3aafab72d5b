//! Random vectors as columns.

use crate::random::{Stream, words64};
use crate::{Backend, Mat, Result, Scalar, Sketch};
use core::ops::Range;

/// Which entries random vectors have.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Law {
    Gaussian,
    Signs,
}

/// Vectors `range` of a sequence of random vectors of length n, as columns.
///
/// Every stream has a key of its own, so that a matrix which is itself made of Gaussian numbers of this seed does not meet
/// them again, nor probes what a basis has seen.
pub(crate) fn random_columns<T: Scalar, D: Backend<T>>(
    device: &D,
    law: Law,
    (seed, stream): (u64, Stream),
    n: usize,
    range: Range<usize>,
) -> Result<Mat<T, D>> {
    let [key, _] = words64(seed, stream, 0, 0);
    let all = match law {
        Law::Gaussian => Sketch::gaussian(range.end, n, key)?,
        Law::Signs => Sketch::rademacher(range.end, n, key)?,
    };
    let mut columns = Mat::scratch(device, n, range.len())?;
    device.fill(&all.raw().rows(range), T::one(), columns.as_mut().transpose())?;
    Ok(columns)
}
