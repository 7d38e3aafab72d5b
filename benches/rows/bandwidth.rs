//! The floors of memory traffic: a sum, a scale and a fill that run as fast as memory does.
//!
//! A sketch that reads A once cannot be faster than a sum of A. The sum keeps 64 partial sums, in
//! AVX-512 eight to four registers, so that no addition waits for the one before it, and on two
//! threads both read their own chunks: both are needed to keep enough cache lines in flight.

use core::ops::{AddAssign, MulAssign};
use rayon::prelude::*;

/// Partial sums: more than latency times throughput of the additions.
const SUMS: usize = 64;
/// Entries of a chunk: tasks of tens of microseconds.
const CHUNK: usize = 1 << 18;

/// The sum of all entries, on all threads.
pub fn parallel_sum<T: Copy + Default + AddAssign + Send + Sync>(x: &[T]) -> T {
    let parts: Vec<T> = x.par_chunks(CHUNK).map(sum).collect();
    sum(&parts)
}

/// Every entry becomes `value`, on all threads.
pub fn parallel_fill<T: Copy + Send + Sync>(x: &mut [T], value: T) {
    x.par_chunks_mut(CHUNK).for_each(|chunk| chunk.fill(value));
}

/// The sum of all entries, on one thread.
pub fn sum<T: Copy + Default + AddAssign>(x: &[T]) -> T {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has the instructions.
            return unsafe { sum_avx512(x) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has the instructions.
            return unsafe { sum_avx2(x) };
        }
    }
    sum_of(x)
}

/// Every entry times `factor`, in place, on one thread.
pub fn scale<T: Copy + MulAssign>(x: &mut [T], factor: T) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has the instructions.
            return unsafe { scale_avx512(x, factor) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has the instructions.
            return unsafe { scale_avx2(x, factor) };
        }
    }
    scale_by(x, factor);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn sum_avx512<T: Copy + Default + AddAssign>(x: &[T]) -> T {
    sum_of(x)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_avx2<T: Copy + Default + AddAssign>(x: &[T]) -> T {
    sum_of(x)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn scale_avx512<T: Copy + MulAssign>(x: &mut [T], factor: T) {
    scale_by(x, factor);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn scale_avx2<T: Copy + MulAssign>(x: &mut [T], factor: T) {
    scale_by(x, factor);
}

#[inline(always)]
fn sum_of<T: Copy + Default + AddAssign>(x: &[T]) -> T {
    let mut sums = [T::default(); SUMS];
    let (groups, rest) = x.as_chunks::<SUMS>();
    for group in groups {
        for (sum, &x) in sums.iter_mut().zip(group) {
            *sum += x;
        }
    }
    let mut total = T::default();
    sums.iter().chain(rest).for_each(|&x| total += x);
    total
}

#[inline(always)]
fn scale_by<T: Copy + MulAssign>(x: &mut [T], factor: T) {
    x.iter_mut().for_each(|x| *x *= factor);
}
