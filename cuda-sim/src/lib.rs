//! Runs CUDA kernels without a GPU.
//!
//! The library built from this crate takes the place of `libcuda.so` (and `libcublas.so`): a host
//! program loads PTX and launches kernels through the driver API as always, and every PTX instruction
//! is executed here, thread by thread, with every access to memory checked. `scripts/sim.sh` sets it up.
//!
//! - `ptx` reads the text, `code` translates kernels to the form that is executed, `arith` holds
//!   what each arithmetic instruction computes. [`forms`] lists the instructions that there are.
//! - [`memory`] holds device memory and its checks, [`exec`] runs launches, [`fault`] describes what
//!   can go wrong, `counters` counts memory transactions; [`simulator`] joins these to a device.
//! - [`driver`] is the driver API, `blas` the part of cuBLAS that is needed.
//!
//! # What is checked
//! Bounds, alignment, address spaces, reads of memory that nothing wrote, data races in shared and
//! device memory (within a block by the barriers that order accesses, between blocks always),
//! barriers that not all threads reach, masks of warp instructions that name the wrong lanes, memory
//! that operations of streams touch in no order. A fault
//! ends the launch with the error code a device would give and names kernel, block, thread and line.
//!
//! # What is not
//! Memory is sequentially consistent, so missing fences stay hidden; blocks run one after the other, so a
//! kernel whose blocks wait for each other hangs (or ends by the instruction limit), and one whose last
//! block reads what the others wrote is reported as a race. The `.approx` instructions and tensor cores
//! round better than hardware. Nothing here says anything about speed.

#![deny(missing_docs, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod arith;
mod blas;
mod code;
mod counters;
pub mod driver;
pub mod exec;
pub mod fault;
pub mod memory;
pub mod options;
mod order;
mod ptx;
pub mod simulator;

pub use code::{expand, forms};
