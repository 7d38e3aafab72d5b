//! The inner loops, on row-major panels of fixed width, for every instruction set.
//!
//! | kernel | computes | per entry of the sparse factor |
//! |---|---|---|
//! | `scatter` | acc[i, :] += v·A[j, :] for every entry (j, i, v) | one row of `acc` read and written |
//! | `gather` | out[j, :] = Σ v·Y[i, :] over the entries (j, i, v) | one row of Y read |
//! | `axpby` | C ← α·B + β·C, rows of unit stride | |
//! | `transpose` | B ← Aᵀ, rows of unit stride on both sides | |
//!
//! The first three are plain loops over arrays whose length the compiler knows: one body, compiled
//! once for every instruction set ([`portable`]). Transposition needs shuffles by name
//! ([`avx2`], [`avx512`]). A product is rounded before it is added, nowhere fused, so all
//! instruction sets give the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::panel::PANEL_BYTES;
use super::rows::SparseRows;
use crate::Scalar;
pub(super) use crate::device::cpu::Isa;
pub(super) use crate::device::cpu::isa::prefetch_line;
use core::ops::Range;

/// The widest panel, in cache lines, whose row fits into half of the registers.
pub(super) fn max_lines(isa: Isa) -> usize {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 8,
        _ => 4,
    }
}

/// Rows of `T`s of unit stride at `ptr`, `ptr + stride`, ….
#[derive(Clone, Copy)]
pub(in crate::device::cpu) struct Rows<T> {
    pub(super) ptr: *const T,
    pub(super) stride: isize,
}

impl<T> Rows<T> {
    /// The address of row `i`.
    #[inline(always)]
    pub(super) fn row(self, i: usize) -> *const T {
        self.ptr.wrapping_offset(i as isize * self.stride)
    }
}

/// As [`Rows`], writable.
#[derive(Clone, Copy)]
pub(in crate::device::cpu) struct RowsMut<T> {
    pub(super) ptr: *mut T,
    pub(super) stride: isize,
}

impl<T> RowsMut<T> {
    /// The address of row `i`.
    #[inline(always)]
    pub(super) fn row(self, i: usize) -> *mut T {
        self.ptr.wrapping_offset(i as isize * self.stride)
    }
}

/// A scalar with kernels for it.
pub(in crate::device::cpu) trait SparseScalar: Scalar {
    /// 1 or −1, by the lowest bit.
    fn sign(negative: u32) -> Self;

    /// acc[i, :] += v·A[j, :] for the entries (j, i, v) of rows `range` of `x`, in their order.
    /// Row `range.start` of `x` meets row 0 of `a`; rows of `a` are fetched `ahead` rows before
    /// they are used, unless that is 0.
    ///
    /// # Safety
    /// `isa` is offered; `a` has `range.len()` rows of `width` readable entries; `acc` has
    /// `x.ncols()` rows of `width`.
    unsafe fn scatter<X: SparseRows<Self>>(
        isa: Isa,
        width: usize,
        x: &X,
        range: Range<usize>,
        a: Rows<Self>,
        ahead: usize,
        acc: &mut [Self],
    );

    /// out[j, :] = Σ v·Y[i, :] over the entries (j, i, v) of rows `range` of `x`.
    ///
    /// # Safety
    /// `isa` is offered; `y` has `x.ncols()` rows of `width` readable entries; `out` has
    /// `range.len()` rows of `width`.
    unsafe fn gather<X: SparseRows<Self>>(
        isa: Isa,
        width: usize,
        x: &X,
        range: Range<usize>,
        y: Rows<Self>,
        out: &mut [Self],
    );

    /// C ← α·B + β·C; `beta == 0` does not read C.
    ///
    /// # Safety
    /// `isa` is offered; B and C are rows×cols, and do not overlap.
    unsafe fn axpby(
        isa: Isa,
        shape: (usize, usize),
        alpha: Self,
        b: Rows<Self>,
        beta: Self,
        c: RowsMut<Self>,
    );

    /// B ← Aᵀ for A rows×cols.
    ///
    /// # Safety
    /// `isa` is offered; A is rows×cols, B cols×rows, and they do not overlap.
    unsafe fn transpose(isa: Isa, shape: (usize, usize), a: Rows<Self>, b: RowsMut<Self>);
}

/// Calls `$isa::$kernel::<$T, W, _>` for the instruction set and the width at hand.
macro_rules! dispatch {
    ($T:ty, $line:literal, $isa:expr, $width:expr, $kernel:ident $(<$far:literal>)? ($($arg:expr),*)) => {
        // SAFETY: by the contract of the method, the instruction set is offered and the panels
        // have rows of the given width.
        unsafe {
            match $isa {
                Isa::Portable => dispatch!($T, $line, portable, $width, @ $kernel $(<$far>)? ($($arg),*)),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => dispatch!($T, $line, avx2, $width, @ $kernel $(<$far>)? ($($arg),*)),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => dispatch!($T, $line, avx512, $width, @ $kernel $(<$far>)? ($($arg),*)),
            }
        }
    };
    ($T:ty, $line:literal, $set:ident, $width:expr, @ $kernel:ident $(<$far:literal>)? ($($arg:expr),*)) => {
        match $width / $line {
            0 => $set::$kernel::<$T, 1, $($far,)? _>($($arg),*),
            1 => $set::$kernel::<$T, { $line }, $($far,)? _>($($arg),*),
            4 => $set::$kernel::<$T, { 4 * $line }, $($far,)? _>($($arg),*),
            _ => $set::$kernel::<$T, { 8 * $line }, $($far,)? _>($($arg),*),
        }
    };
}

macro_rules! sparse_scalar {
    ($T:ty, $Bits:ty, $line:literal) => {
        impl SparseScalar for $T {
            #[inline(always)]
            fn sign(negative: u32) -> Self {
                let one: $T = 1.0;
                <$T>::from_bits(one.to_bits() | (negative as $Bits) << (<$Bits>::BITS - 1))
            }

            unsafe fn scatter<X: SparseRows<Self>>(
                isa: Isa,
                width: usize,
                x: &X,
                range: Range<usize>,
                a: Rows<Self>,
                ahead: usize,
                acc: &mut [Self],
            ) {
                // Two functions, since the mere presence of more prefetches slows the common one down.
                if size_of_val(acc) > PANEL_BYTES {
                    dispatch!($T, $line, isa, width, scatter<true>(x, range, a, ahead, acc))
                } else {
                    dispatch!($T, $line, isa, width, scatter<false>(x, range, a, ahead, acc))
                }
            }

            unsafe fn gather<X: SparseRows<Self>>(
                isa: Isa,
                width: usize,
                x: &X,
                range: Range<usize>,
                y: Rows<Self>,
                out: &mut [Self],
            ) {
                dispatch!($T, $line, isa, width, gather(x, range, y, out))
            }

            unsafe fn axpby(
                isa: Isa,
                shape: (usize, usize),
                alpha: Self,
                b: Rows<Self>,
                beta: Self,
                c: RowsMut<Self>,
            ) {
                // SAFETY: by the contract of this method.
                unsafe {
                    match isa {
                        Isa::Portable => portable::axpby(shape, alpha, b, beta, c),
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx2 => avx2::axpby(shape, alpha, b, beta, c),
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx512 => avx512::axpby(shape, alpha, b, beta, c),
                    }
                }
            }

            unsafe fn transpose(isa: Isa, shape: (usize, usize), a: Rows<Self>, b: RowsMut<Self>) {
                // SAFETY: by the contract of this method.
                unsafe {
                    match isa {
                        Isa::Portable => portable::transpose(shape, a, b),
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx2 => avx2::Transpose::transpose(shape, a, b),
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx512 => avx512::Transpose::transpose(shape, a, b),
                    }
                }
            }
        }
    };
}

sparse_scalar!(f32, u32, 16);
sparse_scalar!(f64, u64, 8);
