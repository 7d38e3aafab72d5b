//! Randomised numerical linear algebra: random operators S that shorten matrices (*sketching*),
//! and the factorizations built on them.
//!
//! S is d×m with d ≪ m. S·A has few rows and keeps the geometry of A's columns:
//! ‖S·A·x‖ ≈ ‖A·x‖ for every x at once, when d is a small multiple of the rank of A. Operators are
//! reproducible to the bit, work on dense and sparse matrices of any layout, and are never stored
//! unless asked for.
//!
//! # Quick start
//! ```
//! use randnla::decomp::{RsvdParams, rsvd};
//! use randnla::{Cpu, Mat, Sketch};
//!
//! let (m, n) = (2000, 300);
//! let a = Mat::from_fn(&Cpu::new(), m, n, |i, j| 1.0 / (1 + i + j) as f64)?;
//! // A 256×m operator: plain data that names its entries. 8 entries a column, seed 42.
//! let s = Sketch::sparse_stack(256, m, 8, 42)?;
//! let sa = s.apply(&a)?;
//! // Row blocks of A are sketched apart, with the columns of S that meet them, and add up to S·A.
//! let mut sum = s.columns(0..1200).apply(a.rows(0..1200))?;
//! s.columns(1200..m).apply_into(1.0, a.rows(1200..m), 1.0, sum.as_mut())?;
//! assert!((sum.get(3, 5) - sa.get(3, 5)).abs() < 1e-12);
//! // The leading 8 singular triplets, and how far they are from A.
//! let svd = rsvd(&a, RsvdParams::rank(8).seed(7))?;
//! println!("‖A − USVᵀ‖ / ‖A‖ = {:.1e} ({})", svd.error.relative, svd.error.kind);
//! # Ok::<(), randnla::Error>(())
//! ```
//!
//! # What there is
//! | where | what |
//! |---|---|
//! | [`Sketch`], [`sketch`] | twelve families of operators; S·A, Sᵀ·Y, A·Sᵀ, Y·S with `C ← α… + βC`; windows of an operator; one axis of an N-dimensional array; [`Prepared`] for loops |
//! | [`decomp`] | [`qb`](decomp::qb()), [`rsvd`](decomp::rsvd()), [`rsvd_batched`](decomp::rsvd_batched()), to a rank or to a tolerance, with an [`ErrorEstimate`](decomp::ErrorEstimate); [`rsvd_with_progress`](decomp::rsvd_with_progress()) tells how far it has come |
//! | [`decomp`] | [`cqrrpt`](decomp::cqrrpt()) and [`bqrrp`](decomp::bqrrp()): QR with randomised pivots; [`column_subset`](decomp::column_subset()), [`interpolative_decomposition`](decomp::interpolative_decomposition()), [`cur`](decomp::cur()), [`leverage_scores`](decomp::leverage_scores()) |
//! | [`decomp`] | of symmetric matrices: [`nystrom`](decomp::nystrom()), [`rp_cholesky`](decomp::rp_cholesky()) from some columns of a kernel that is never formed, [`eigh_randomized`](decomp::eigh_randomized()) |
//! | [`decomp`] | of streams: [`StreamingSvd`](decomp::StreamingSvd) reads A once, in any pieces; [`IncrementalSvd`](decomp::IncrementalSvd) appends columns |
//! | [`solve`] | least squares: [`lstsq`](solve::lstsq()), backward stable, with its backward error; [`lsqr`](solve::lsqr()); (A + μI)x = b: [`cg`](solve::cg()), [`nystrom_pcg`](solve::nystrom_pcg()); their preconditioners |
//! | [`product`] | approximate products: [`product()`](product::product()) by samples, sketches or of low rank, with its error; [`plan_product`](product::plan_product()) says what pays |
//! | [`estimate`] | traces and diagonals with error bars, norms with bounds, numerical ranks, angles between subspaces, from products alone |
//! | [`matrix`] | [`Mat`], its views [`MatRef`] and [`MatMut`] with any strides, [`Csr`], [`Csc`], N-dimensional views; conversions to faer and ndarray |
//! | [`LinearOperator`] | what can be factored: every matrix above, and what you bring yourself |
//! | [`random`] | the definition of every random number, entry by entry |
//! | [`device`] | [`Cpu`], `Cuda` (feature `cuda`), and the kernel traits that a further device implements |
//!
//! Scalars are `f32` and `f64`. Operators also apply to matrices stored in [`f16`](struct@f16) and [`bf16`]: sums are
//! `f32`, and an entry of the result is rounded once ([`sketch`] says more).
//!
//! # Guarantees
//! **Scaling.** E‖Sx‖² = ‖x‖² for every family, unless [`Sketch::raw`] or [`Sketch::with_scale`]
//! says otherwise.
//!
//! **Reproducibility.** An entry of S is a function of ([`random::FORMAT_VERSION`], seed, family,
//! position) and, for real-valued entries, of the scalar type. It is the same bits for any number
//! of threads, any window of the operator, and any instruction set. Products and factorizations are
//! the same bits for any number of threads on one machine; between instruction sets, layouts and
//! splits they agree to rounding. Nothing reads a clock, a global generator or the operating
//! system's entropy: every seed is an argument, or 0.
//!
//! **Errors.** What can go wrong is an [`Error`] that names the function, the argument, its value
//! and what was expected. [`Error::ShapeMismatch`] and [`Error::InvalidArgument`] come before
//! anything is written. Only indexing panics, as slices do: `get`, `set`, splits, and ranges of
//! rows and columns; and the kernels of [`device`], which algorithms call with shapes that fit.
//!
//! **NaN and infinity.** Applying an operator checks nothing: they propagate as in BLAS, α = 0 does
//! not read A, β = 0 does not read C. Factorizations refuse a matrix that holds them with
//! [`Error::NonFinite`] and the position.
//!
//! **Scale.** A multiplied by a power of two gives the same factors, and singular values multiplied
//! by it, bit for bit, while nothing leaves the range of the type. No tolerance is absolute.
//!
//! **Threads.** [`Cpu::new`] works in the caller's rayon pool, [`Cpu::with_threads`] in one of its
//! own. One thread, or small work, never touches rayon. There is no global state.
//!
//! # How to choose an operator
//! Start with [`Sketch::sparse_stack`], ζ = 8 entries a column, d = 2 to 4 times the dimension k of
//! the subspace to be kept. Depart from it for a reason:
//!
//! | situation | operator | S·A costs | beware |
//! |---|---|---|---|
//! | the theory must hold exactly | [`gaussian`](Sketch::gaussian), [`rademacher`](Sketch::rademacher) | 2dmn flops | the cost |
//! | a single pass is all there is time for | [`count_sketch`](Sketch::count_sketch) | mn additions | needs d ~ k² |
//! | A is dense, on a GPU | [`block_perm_sjlt`](Sketch::block_perm_sjlt) | 16mn flops, no positions in memory | a few neighbouring rows that carry the weight of A: more wirings |
//! | d is large, A is dense | [`srht`](Sketch::srht), [`srct`](Sketch::srct) | O(mn log m) | makes a sparse A dense, block by block |
//! | rows of A are costly to read, none stands out | [`row_sampling`](Sketch::row_sampling), [`laso`](Sketch::laso) | d, or ζd, rows of A | misses the few rows that matter in a coherent A |
//! | rows of S orthogonal, all directions alike | [`haar`](Sketch::haar) | 4d²m + 2dmn flops | S is formed, on one thread |
//! | columns are Kronecker products, or features of a polynomial kernel | [`TensorSketch`] | O(nnz + n d log d) a factor | d grows with 3^q for q factors |
//! | nearly so, and cheap | [`hadamard_diagonal`](Sketch::hadamard_diagonal) | 3 × SRHT | rows are orthogonal when m is a power of two |
//!
//! [`qb`](decomp::qb()) and [`rsvd`](decomp::rsvd()) draw a Gaussian test matrix themselves.
//!
//! # Performance
//! * Build with optimisation. AVX2 and AVX-512 are detected at run time; no compiler flag is needed.
//! * In a loop, call [`Sketch::prepare`] once and `apply_into` with an output of your own; a handle
//!   [`with_workspace`](Cpu::with_workspace) keeps its memory from one round to the next.
//! * Any strides are accepted; unit stride in one direction is fast. Avoid leading dimensions that
//!   are multiples of 4096 bytes: [`Mat::zeros`] pads them.
//! * S·A with dense S and A holds a panel of at most 15 MiB of S, whatever d and m are. For
//!   one vector at a time the generation of S is the cost: keep [`Sketch::to_mat`].
//! * Many small matrices: [`rsvd_batched`](decomp::rsvd_batched()),
//!   [`sketch_axis`](Sketch::sketch_axis).
//! * A power pass costs two passes over A; oversampling costs columns. On flat spectra neither
//!   helps: see the error that comes with the result.
//!
//! # Features
//! | feature | default | what it adds |
//! |---|---|---|
//! | `cuda` | off | `Cuda`: an NVIDIA GPU as a device; driver and cuBLAS are loaded at run time |
//! | `nvrtc` | off | `cuda`, its kernels compiled from source for the GPU at hand; NVRTC is loaded at run time |
//! | `ndarray` | off | views of two-dimensional ndarray arrays as [`MatRef`] and [`MatMut`], without copies |
#![deny(missing_docs, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

pub mod decomp;
pub mod device;
mod error;
pub mod estimate;
pub mod matrix;
mod operator;
pub mod product;
pub mod random;
mod scalar;
pub mod sketch;
pub mod solve;

#[cfg(feature = "cuda")]
pub use device::Cuda;
pub use device::{
    Backend, Blas, Cpu, Device, HalfKernels, Op, SketchKernels, SparseKernels, StorageKernels,
    TransformKernels, Uplo,
};
pub use error::{Error, Result};
pub use half::{bf16, f16};
pub use matrix::{AsOperand, Csc, CscRef, Csr, CsrRef, Mat, MatMut, MatRef, Operand};
pub use operator::LinearOperator;
pub use scalar::{Element, Half, Scalar, Storage};
pub use sketch::{BlockPermParams, Family, Prepared, Sketch, SketchBackend, TensorSketch};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../docs/coming-from.md")]
struct ComingFrom;
