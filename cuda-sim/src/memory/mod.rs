//! Simulated memory: what it holds, which bytes were ever written, and who touched them last.
//!
//! Three address spaces are seen by a kernel. *Global* addresses start at [`GLOBAL_BASE`], far outside
//! what a host can map, so a host program that follows a device pointer crashes as it would with a
//! real device. *Shared* and *local* addresses are offsets from 0; their generic forms lie in the
//! windows at [`SHARED_WINDOW`] and [`LOCAL_WINDOW`].

mod claims;
mod clocks;
mod device;
mod initialised;
mod region;
mod shadow;

pub use claims::{Claim, Footprint};
pub use clocks::Clocks;
pub use device::{DeviceMemory, Kind, OutOfMemory};
pub use initialised::Initialised;
pub use region::{Problem, Region};
pub use shadow::{Access, Observer};

/// First address of device memory: not canonical on any 64-bit host.
pub const GLOBAL_BASE: u64 = 0x0100_0000_0000_0000;
/// Generic address of shared offset 0.
pub const SHARED_WINDOW: u64 = 0x1000_0000;
/// Generic address of local offset 0.
pub const LOCAL_WINDOW: u64 = 0x2000_0000;
/// Size of either window.
pub const WINDOW_BYTES: u64 = 0x1000_0000;
