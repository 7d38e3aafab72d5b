//! Random operators and how they are applied.
//!
//! A [`Sketch`] is plain data; applying it is a choice of kernel by family and by the format of
//! the matrix:
//!
//! | family | dense A | sparse A |
//! |---|---|---|
//! | Gaussian, Rademacher, Uniform | panels of S next to a product, or fused for few columns | panels of S times CSR |
//! | SparseSign, SparseStack, CountSketch | one pass over A | sparse × sparse, from positions and signs |
//! | BlockPerm-SJLT | the same; on a GPU block of rows by block of rows, positions in registers | the same |
//! | LASO, row sampling | CSR × dense | sparse × sparse, both in CSR |
//! | SRHT, SRCT, Hadamard-diagonal | sign, transform and sample in one sweep | column blocks made dense |
//! | Haar | S is formed, then a product | S is formed, then CSR × dense |
//!
//! [`TensorSketch`] is for columns that are Kronecker products: CountSketches of their factors, then a
//! convolution.
//!
//! From the left `S·A`, from the right `A·Sᵀ`, and the adjoints `Sᵀ·Y`, `A·S`: the right-hand forms
//! are the left-hand ones on transposed views. Each has a form `C ← α … + β C`. Calls follow BLAS:
//! nothing is checked for NaN, α = 0 does not read A, β = 0 does not read C.
//!
//! # Half precision
//! Matrices of [`f16`](crate::f16) and [`bf16`](crate::bf16) are stored, and everything is computed in
//! `f32`: α and β are `f32`, dense operators are the raw entries of `f32` rounded to the storage type,
//! and an entry of C is rounded once, ties to even. An [`Operand`](crate::Operand) may be dense or
//! sparse; [`Prepared`] and [`Sketch::sketch_axis`] are for `f32` and `f64`.
//!
//! # Scaling
//! E‖Sx‖² = ‖x‖² unless [`Sketch::raw`] or [`Sketch::with_scale`] says otherwise.
//!
//! # Parts of a matrix
//! S·A = Σ S\[:, j₀..j₁\]·A\[j₀..j₁, :\]: blocks of rows, streams and machines can each sketch their
//! part with [`Sketch::columns`] of the same operator, and add.

mod apply;
mod axis;
mod backend;
mod block_perm;
mod bytes;
mod dense;
mod haar;
mod half;
mod mixing;
mod operator;
mod prepared;
mod sparse;
mod tensor;

pub use backend::SketchBackend;
pub use block_perm::BlockPermParams;
pub use operator::{Family, Sketch};
pub use prepared::Prepared;
pub use tensor::TensorSketch;
