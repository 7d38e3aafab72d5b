//! Special registers.

/// A read-only register with a fixed meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Special {
    /// Thread index within the block, per axis.
    Thread(usize),
    /// Block size, per axis.
    BlockSize(usize),
    /// Block index, per axis.
    Block(usize),
    /// Grid size, per axis.
    GridSize(usize),
    /// Lane within the warp.
    Lane,
    /// Warp within the block.
    Warp,
    /// Warps per block.
    Warps,
    /// Mask of this lane.
    MaskEqual,
    /// Mask of the lanes before this one.
    MaskLess,
    /// Mask of the lanes up to this one.
    MaskLessEqual,
    /// Mask of the lanes after this one.
    MaskGreater,
    /// Mask of the lanes from this one on.
    MaskGreaterEqual,
    /// Size of all shared memory.
    TotalShared,
}

impl Special {
    /// The register called `name`.
    pub fn named(name: &str) -> Option<Self> {
        let axis = |prefix: &str| match name.strip_prefix(prefix)? {
            "x" => Some(0),
            "y" => Some(1),
            "z" => Some(2),
            _ => None,
        };
        Some(match name {
            "%laneid" => Self::Lane,
            "%warpid" => Self::Warp,
            "%nwarpid" => Self::Warps,
            "%lanemask_eq" => Self::MaskEqual,
            "%lanemask_lt" => Self::MaskLess,
            "%lanemask_le" => Self::MaskLessEqual,
            "%lanemask_gt" => Self::MaskGreater,
            "%lanemask_ge" => Self::MaskGreaterEqual,
            "%total_smem_size" => Self::TotalShared,
            _ => {
                if let Some(axis) = axis("%tid.") {
                    Self::Thread(axis)
                } else if let Some(axis) = axis("%ntid.") {
                    Self::BlockSize(axis)
                } else if let Some(axis) = axis("%ctaid.") {
                    Self::Block(axis)
                } else {
                    Self::GridSize(axis("%nctaid.")?)
                }
            }
        })
    }

    /// Whether the value differs between the threads of a block.
    pub fn is_per_thread(self) -> bool {
        matches!(
            self,
            Self::Thread(_)
                | Self::Lane
                | Self::Warp
                | Self::MaskEqual
                | Self::MaskLess
                | Self::MaskLessEqual
                | Self::MaskGreater
                | Self::MaskGreaterEqual
        )
    }
}
