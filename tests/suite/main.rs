//! The tests of the public interface, in one program: linking is the slow part.
//!
//! | module | what it tests |
//! |---|---|
//! | `kernels_*` | every kernel of every trait, a device against the oracle, by a rounding model |
//! | `sketch_*` | every family and operation, windows, prefixes, bad input |
//! | `golden` | the frozen bits of the operators |
//! | `half_*` | operators on matrices stored in `f16` and `bf16`, for any device |
//! | `statistics_*` | unbiasedness, variance laws, distributions, subspace embedding |
//! | `block_perm` | BlockPerm-SJLT: structure, products block by block |
//! | `solve_*` | least squares: backward errors, ridge, deficient ranks; iterations: true residuals, reasons to stop, rates |
//! | `decomp_*` | QB, SVD, QR, Nyström, Cholesky and eigenpairs on prescribed spectra and adversarial structure |
//! | `estimate`, `estimate_laws` | estimators: exactness, scale and bad input; bias, variance and error bars over many seeds |
//! | `product`, `product_laws` | approximate products: what they compute; bias, errors by the laws, plans on real matrices |
//! | `peers` | the defects found in other libraries |
//! | `properties` | random shapes, strides, seeds and scales |
//! | `gpu*` | what only a GPU has: the bits of the CPU, graphs, what the interpreter is spared |
//!
//! The oracle (`common::reference`) is a device of plain loops that sums in twice the precision of
//! `f64`. No test depends on time, and every seed is fixed.
//!
//! Tests are generic over the device (`common::place`): `cpu::name` runs on one and three threads,
//! `gpu::name` on a GPU or on the simulated one. What has no twin is about threads, the host or plain
//! data. `statistics_*` have none either: they are about the entries of operators, and `gpu_bits`
//! shows that a GPU has those of the CPU, bit for bit. `tests/README.md` says what the interpreter
//! is spared and where every choice of a kernel is met.

// Operands go in by value and by reference: both are part of the interface.
#![allow(clippy::needless_borrows_for_generic_args)]

mod block_perm;
mod common;
mod decomp_accuracy;
mod decomp_bqrrp;
mod decomp_checks;
mod decomp_eigh;
mod decomp_errors;
mod decomp_incremental;
mod decomp_invariance;
mod decomp_leverage;
mod decomp_pivoted;
mod decomp_progress;
mod decomp_psd;
mod decomp_single_pass;
mod decomp_skeletons;
mod decomp_sketched_qr;
#[cfg(feature = "cuda")]
mod entered;
mod estimate;
mod estimate_laws;
mod golden;
#[cfg(feature = "cuda")]
mod gpu;
#[cfg(feature = "cuda")]
mod gpu_bits;
#[cfg(feature = "cuda")]
mod gpu_capture;
#[cfg(feature = "cuda")]
mod gpu_half;
mod half_apply;
mod half_cases;
mod kernels_blas;
#[cfg(feature = "cuda")]
mod kernels_blas_addresses;
mod kernels_blas_reductions;
mod kernels_convolve;
mod kernels_sketch;
mod kernels_sketch_csr;
mod kernels_sparse;
mod kernels_transform;
mod peers;
mod product;
mod product_laws;
mod properties;
mod sketch_apply;
mod sketch_errors;
mod sketch_tensor;
mod sketch_windows;
mod solve_iterative;
mod solve_lstsq;
mod statistics_entries;
mod statistics_norms;
mod statistics_subspace;
