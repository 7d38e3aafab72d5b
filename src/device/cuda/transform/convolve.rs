//! Circular convolutions of columns: a transform of each factor, their product, and one transform back.
//!
//! Where the length d is no power of two, columns are continued by zeros to 2^b ≥ q(d − 1) + 1 entries
//! for q factors, so that nothing wraps around, and what lies beyond d is added to the front at the
//! end: q + 1 transforms of some qd entries, where the d-th roots of unity would take twice as many of
//! 2d. The spectra of all factors but the last are multiplied in memory of complex numbers, a panel of
//! columns at a time; the last one meets them on its way through shared memory.

use super::pass::{self, End, Kind, Mix, log2_ceil};
use super::{panel_width, tables};
use crate::device::cuda::blas::axpby;
use crate::device::cuda::launch::View;
use crate::device::cuda::{Cuda, CudaBuffer, CudaScalar, rows_are_fast};
use crate::{Device, MatMut, MatRef, Result};

/// `C ← α A₁ ∗ A₂ ∗ … + β C`, nothing empty and α ≠ 0.
pub(super) fn convolve<T: CudaScalar>(
    cuda: &Cuda,
    (alpha, beta): (T, T),
    factors: &[MatRef<'_, T, Cuda>],
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    if let [a] = factors {
        return axpby(cuda, alpha, *a, beta, c);
    }
    let (d, n) = c.shape();
    let span = if d.is_power_of_two() { d } else { factors.len() * (d - 1) + 1 };
    let bits = log2_ceil(span);
    let roots = tables::roots::<T>(cuda, bits)?;
    let by_rows = rows_are_fast(c.as_ref());
    let mix = Mix {
        target: View::of_mut(&mut c),
        roots: roots.start(),
        count: d as i64,
        sampled: span as i64,
        factor: alpha.to_f64(),
        beta: beta.to_f64(),
        between: 0.5f64.powi(bits as i32),
        along_cols: (!by_rows).into(),
        by_rows: by_rows.into(),
        ..Mix::new(d, bits, n)
    };
    let (len, bytes) = (1usize << bits, Kind::Convolution.bytes::<T>());
    let width = panel_width::<T>(cuda, bytes * len, !by_rows, n);
    let panel = |buffer: &CudaBuffer<T>| {
        let (down, right) = if by_rows { (1, len) } else { (width, 1) };
        View::of_buffer(buffer.start(), down, right)
    };
    let parts = len * width * (bytes / size_of::<T>());
    let product = cuda.scratch::<T>(parts)?;
    let passes = pass::visits::<T>(Kind::Convolution, &Mix { cols: width as i64, ..mix }, 1).len();
    let scratch = cuda.scratch::<T>(if passes > 1 { parts } else { 0 })?;
    for j in (0..n).step_by(width) {
        let mix = Mix {
            target: mix.target.columns_from(j, size_of::<T>()),
            product: panel(&product),
            scratch: panel(&scratch),
            cols: width.min(n - j) as i64,
            ..mix
        };
        for (turn, a) in factors.iter().enumerate() {
            let source = View::of(*a).columns_from(j, size_of::<T>());
            let last = turn + 1 == factors.len();
            through::<T>(cuda, Mix { source, merge: (turn > 0).into(), ..mix }, last, passes > 1)?;
        }
        if passes > 1 {
            pass::launch_fold::<T>(cuda, mix)?;
        }
    }
    Ok(())
}

/// The spectrum of a factor into the product, or the last one with the product and back.
fn through<T: CudaScalar>(cuda: &Cuda, mix: Mix, last: bool, long: bool) -> Result<()> {
    let visits = pass::visits::<T>(Kind::Convolution, &mix, if last { 2 } else { 1 });
    let exit = match (last, long) {
        (false, _) => End::Product,
        (true, false) => End::Window,
        (true, true) => End::Scratch,
    };
    for (at, &visit) in visits.iter().enumerate() {
        let load = if at == 0 { End::Window } else { End::Scratch };
        let store = if at + 1 == visits.len() { exit } else { End::Scratch };
        let mix = Mix { load: load as u32, store: store as u32, ..mix };
        pass::launch_pass::<T>(cuda, Kind::Convolution, mix, visit)?;
    }
    Ok(())
}
