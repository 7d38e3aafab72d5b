//! The tests of the public interface, in one program: linking is the slow part.
//!
//! | module | what it tests |
//! |---|---|
//! | `kernels_*` | every kernel of every trait, the CPU against the oracle, by a rounding model |
//! | `sketch_*` | every family and operation, windows, prefixes, bad input |
//! | `half_*` | operators on matrices stored in `f16` and `bf16`, for any device |
//! | `statistics_*` | unbiasedness, variance laws, distributions, subspace embedding |
//! | `block_perm` | BlockPerm-SJLT: structure, products block by block |
//! | `decomp_*` | QB and SVD on prescribed spectra and adversarial structure |
//! | `peers` | the defects found in other libraries |
//! | `properties` | random shapes, strides, seeds and scales |
//!
//! The oracle (`common::reference`) is a device of plain loops that sums in twice the precision of
//! `f64`. No test depends on time, and every seed is fixed.

// Operands go in by value and by reference: both are part of the interface.
#![allow(clippy::needless_borrows_for_generic_args)]

mod block_perm;
mod common;
mod decomp_accuracy;
mod decomp_checks;
mod decomp_errors;
mod decomp_invariance;
mod decomp_progress;
mod golden;
#[cfg(feature = "cuda")]
mod gpu;
#[cfg(feature = "cuda")]
mod gpu_blas;
#[cfg(feature = "cuda")]
mod gpu_capture;
#[cfg(feature = "cuda")]
mod gpu_convolve;
#[cfg(feature = "cuda")]
mod gpu_decomp;
#[cfg(feature = "cuda")]
mod gpu_dense;
#[cfg(feature = "cuda")]
mod gpu_half;
#[cfg(feature = "cuda")]
mod gpu_sketch;
#[cfg(feature = "cuda")]
mod gpu_sparse;
#[cfg(feature = "cuda")]
mod gpu_transform;
mod half_apply;
mod half_cases;
mod kernels_blas;
mod kernels_blas_reductions;
mod kernels_convolve;
mod kernels_sketch;
mod kernels_sketch_csr;
mod kernels_sparse;
mod kernels_transform;
mod peers;
mod properties;
mod sketch_apply;
mod sketch_errors;
mod sketch_tensor;
mod sketch_windows;
mod statistics_entries;
mod statistics_norms;
mod statistics_subspace;
