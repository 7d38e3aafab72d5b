//! Dense operators: entries generated in L1-sized tiles, then stored or consumed.
//!
//! Bounds: the generation of dm entries (a fraction of a nanosecond to two each, see
//! [`super::random`]), and for [`fill`] one write an entry. Tiles start at multiples of the Philox
//! block, so where a window begins does not change an entry.

mod fill;
mod fused;
mod tile;

pub(super) use fill::fill;
pub(super) use fused::fill_times;

/// Bytes of S generated ahead of a product: less than half of a last-level cache that is shared
/// with the output, and enough for a product to run at its full rate.
pub(super) const PANEL_BYTES: usize = 15 << 20;

/// Columns that the fused kernel serves better than a panel next to a product.
pub(super) const FUSED_COLUMNS: usize = 4;
