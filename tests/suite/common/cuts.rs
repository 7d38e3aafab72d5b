//! What the interpreter is spared: the one list of sizes and combinations that are not run on it.
//!
//! A simulated GPU executes some hundred million instructions a second, a real one as many in
//! microseconds. Tests therefore ask their [`Place`](super::Place) for sizes and combinations: all of
//! them on the CPU and on a real GPU, and on the interpreter what is kept here. Kept are the ends of
//! every range, at least three blocks and a ragged end along each axis, and a size on each side of
//! every choice of a kernel (`tests/README.md`). Combinations of layouts, factors and operands are
//! thinned to every k-th, where k has no factor in common with the lengths of the loops, so that
//! all values of each of them still occur, and all pairs of them over the sizes.

use super::Layout;
use Layout::{Backwards, Columns, PaddedRows, Rows, Strided};

/// Sizes of a test: those that the interpreter runs as well, and those that it does not.
pub struct Sizes<E: 'static> {
    pub kept: &'static [E],
    pub dropped: &'static [E],
}

/// The interpreter runs every so manieth combination.
pub struct Share {
    pub one_in: usize,
}

macro_rules! cuts {
    (
        sizes: {
            $($name:ident: $entry:ty, $what:literal,
                kept [$($kept:expr),*], dropped [$($dropped:expr),*];)*
        }
        shares: { $($share:ident = $one_in:literal, $of:literal;)* }
    ) => {
        $(pub const $name: Sizes<$entry> = Sizes { kept: &[$($kept),*], dropped: &[$($dropped),*] };)*
        $(pub const $share: Share = Share { one_in: $one_in };)*

        /// A line a cut: what is cut, and what of it the interpreter does not run.
        #[cfg(feature = "cuda")]
        pub fn table() -> Vec<String> {
            let mut lines = Vec::new();
            $(
                let (kept, dropped) = ($name.kept.len(), $name.dropped);
                lines.push(format!("| {} | {kept} sizes, without {dropped:?} |", $what));
            )*
            $(lines.push(format!("| {} | one in {} |", $of, $share.one_in));)*
            lines
        }
    };
}

cuts! {
    sizes: {
        GEMM: (usize, usize, usize), "gemm, m×n×k",
            kept [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0), (1, 1, 1), (1, 7, 9), (7, 1, 9), (7, 9, 1),
                (7, 8, 9), (15, 16, 17), (16, 17, 15), (31, 33, 32), (63, 64, 65), (65, 63, 64)],
            dropped [(64, 65, 63), (1, 256, 300), (256, 1, 300), (255, 257, 20), (20, 4, 2000),
                (130, 120, 140), (3, 900, 300), (900, 3, 300)];
        GRAM: (usize, usize), "gram, m×n",
            kept [(0, 0), (0, 3), (3, 0), (1, 1), (9, 8), (8, 17), (63, 16), (64, 65), (70, 100)],
            dropped [(257, 64), (1000, 33), (5000, 20), (300, 130)];
        NORMAL: (usize, usize, usize), "AᵀA X, m×n×p",
            kept [(0, 3, 2), (3, 0, 2), (3, 4, 0), (1, 1, 1), (9, 5, 2), (70, 33, 1), (33, 70, 3)],
            dropped [(4100, 33, 1), (8300, 40, 1), (8300, 40, 3), (9001, 31, 7), (9000, 31, 8),
                (20_000, 7, 2), (300_000, 1, 1)];
        TRSM: (usize, usize), "trsm, m×n",
            kept [(0, 4), (4, 0), (1, 1), (7, 8), (9, 16), (17, 15), (64, 33)],
            dropped [(65, 64), (300, 20), (40, 130), (2000, 24)];
        ELEMENTWISE: (usize, usize), "copies, gathers and norms, m×n",
            kept [(0, 0), (0, 5), (5, 0), (1, 1), (7, 9), (8, 8), (16, 15), (65, 257), (1, 300),
                (300, 1), (700, 5), (5, 700), (2100, 3)],
            dropped [(64, 63), (600, 500)];
        SEARCHES: (usize, usize), "searches, m×n",
            kept [(1, 1), (9, 7), (64, 65), (600, 7), (7, 600)], dropped [(300, 700)];
        FILL: usize, "fill, d and m",
            kept [0, 1, 3, 5, 33, 64, 129, 260],
            dropped [2, 4, 7, 8, 9, 15, 16, 17, 31, 63, 65, 127, 128];
        OPERATORS: (usize, usize), "operators times matrices, d×m",
            kept [(0, 5), (5, 0), (1, 1), (7, 9), (17, 33), (65, 130)], dropped [(3, 2), (8, 16)];
        OPERATOR_COLUMNS: usize, "operators times matrices, columns",
            kept [0, 1, 4, 5, 17, 33], dropped [2, 3, 8, 9, 32, 40];
        LARGE_DENSE: (usize, usize, usize), "large dense operators, d×m×n",
            kept [(30, 2100, 1), (1700, 70, 3), (70, 420, 17)],
            dropped [(30, 5000, 7), (200, 600, 40), (600, 800, 1)];
        LARGE_SPARSE: (usize, usize, usize), "large sparse operators, d×m×n",
            kept [(30, 4200, 3), (600, 900, 1), (200, 700, 32), (10, 3000, 33), (40, 50, 300)],
            dropped [(30, 5000, 7), (200, 600, 40), (600, 800, 1), (30, 150, 900)];
        INDICES: (usize, usize), "indices, d×m",
            kept [(1, 1), (0, 7), (8, 0), (17, 33), (300, 2000)], dropped [(300, 20_000)];
        LARGE_COMPRESSED: (usize, usize, usize, f64), "large operators on CSR, d×m×n and the share stored",
            kept [(560, 90, 45, 0.3), (9, 700, 5, 0.3)], dropped [(40, 9000, 20, 0.5)];
        LONG_COMPRESSED: (usize, usize, usize, f64), "operators on CSR with long rows of C, d×m×n and the share stored",
            kept [(16_500, 20, 3, 0.5), (4, 3, 16_500, 0.2)], dropped [(16_384, 9, 3, 0.5)];
        SPMM: (usize, usize, usize), "spmm, m×k×n",
            kept [(0, 4, 3), (4, 0, 3), (4, 3, 0), (1, 1, 1), (5, 9, 1), (9, 5, 2), (17, 30, 8),
                (30, 21, 33)],
            dropped [(64, 65, 9), (100, 70, 33)];
        LARGE_SPMM: (usize, usize, usize), "large spmm, m×k×n",
            kept [(700, 40, 3), (40, 700, 9), (300, 300, 1), (20, 15, 300)],
            dropped [(4000, 300, 9), (300, 4000, 9), (5000, 100, 1), (200, 150, 500)];
        SPSPMM: (usize, usize, usize), "spspmm, m×k×n",
            kept [(0, 4, 3), (4, 0, 3), (4, 3, 0), (1, 1, 1), (9, 5, 20), (40, 33, 65), (25, 12, 1100),
                (3, 4, 512), (3, 4, 513), (2, 9, 16_384), (2, 9, 16_385)],
            dropped [(500, 400, 90), (70, 20, 17_000)];
        LONG_FWHT: (u32, usize, Layout), "long fwht, log₂ n, columns, layout",
            kept [(12, 3, Columns), (12, 3, Rows), (13, 2, Backwards), (13, 17, Rows), (14, 2, Columns),
                (14, 2, Strided), (15, 2, Columns), (15, 2, Rows), (10, 40, Rows), (17, 1, Columns)],
            dropped [(12, 20, Columns), (14, 5, Rows), (16, 3, Columns), (18, 2, Columns), (18, 2, Rows),
                (18, 2, Strided), (19, 17, Rows)];
        DCT: usize, "dct, n",
            kept [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 60, 64, 97, 257, 300],
            dropped [6, 12, 13, 100, 127, 128, 500, 512, 1024];
        LONG_DCT: (usize, usize, Layout), "long dct, n, columns, layout",
            kept [(4096, 2, Columns), (8192, 2, Columns), (16_384, 1, Columns), (4099, 2, Backwards),
                (5000, 3, Rows), (1024, 17, Rows), (524_288, 1, Columns)],
            dropped [(4096, 40, Columns), (10_007, 6, Columns), (30_000, 3, Columns)];
        CONVOLVED: usize, "convolutions, d",
            kept [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 60, 97],
            dropped [6, 12, 32, 64, 128, 211];
        LONG_CONVOLVED: (usize, usize, usize, Layout), "long convolutions, d, columns, factors, layout",
            kept [(16_384, 1, 2, Columns), (6000, 2, 3, Columns), (4500, 2, 2, Backwards),
                (1024, 17, 2, Rows), (700, 33, 2, PaddedRows)],
            dropped [];
        TURNED: (usize, usize, Layout), "convolutions with unit vectors, d, columns, layout",
            kept [(512, 20, Columns), (100, 30, Rows), (3, 900, Rows)],
            dropped [(512, 100, Columns), (1000, 60, Rows), (4099, 9, Columns), (3, 9000, Rows)];
        COMPRESSED_OPERATORS: (usize, usize), "operators in compressed rows, d×m",
            kept [(0, 7), (1, 1), (5, 9), (17, 33), (40, 800)], dropped [(300, 400)];
        EXPANDED: (usize, usize), "compressed rows made dense, m×n",
            kept [(0, 3), (1, 1), (7, 40), (65, 70)], dropped [(5000, 9)];
        MIXED: usize, "subsampled transforms, m",
            kept [0, 1, 2, 3, 5, 17, 63, 64, 65, 129, 256], dropped [8, 9, 16];
        LARGE_MIXED: (usize, usize, usize), "large subsampled transforms, m, d, columns",
            kept [(1000, 50, 20), (600, 600, 33), (9000, 100, 2), (20_000, 100, 1)],
            dropped [(500, 450, 9), (1000, 50, 40), (16_384, 100, 1)];
        LARGE_CSR: (usize, usize), "decompositions of large CSR matrices, m×n",
            kept [(6000, 4000)], dropped [(100_000, 50_000)];
        APPLY: (usize, usize, usize), "applications, d×m×n",
            kept [(0, 5, 3), (5, 0, 3), (5, 7, 0), (1, 1, 1), (7, 9, 1), (9, 17, 3), (16, 33, 8),
                (33, 65, 31), (20, 257, 5)],
            dropped [(2, 9, 1), (8, 16, 2), (64, 128, 4)];

    }
    shares: {
        LSTSQ = 17, "least squares, conditions, residuals and sizes";
        PRODUCTS = 5, "approximate products, families and scales";
        GEMM_LAYOUTS = 5, "gemm, layouts and factors";
        AXPBY = 13, "axpby, layouts and factors";
        OPERATOR_LAYOUTS = 7, "operators times matrices, layouts and factors";
        COMPRESSED = 5, "operators on CSR, windows, operations, layouts and factors";
        SPMM_LAYOUTS = 5, "spmm, layouts and factors";
        CONVOLVED_FACTORS = 7, "convolutions, factors, columns and scales";
        FWHT_LAYOUTS = 5, "fwht, columns and layouts";
        MIXED_WINDOWS = 7, "subsampled transforms, windows, columns and factors";
        MIXED_LAYOUTS = 7, "subsampled transforms, layouts and factors";
        APPLY_SIDES = 5, "applications, sides and layouts";
        APPLY_LAYOUTS = 23, "applications, operands, layouts and factors";
        SUMS = 5, "sums of squares, layouts and scales";
        FINDS = 5, "searches, layouts, places and values";
        EXACT_RANKS = 3, "exact ranks, parameters";
        POWERS = 7, "decompositions scaled by powers of two";
        EXTREME_SCALES = 3, "decompositions at extreme scales";
        RANKS = 5, "decompositions to a rank, spectra, shapes, seeds and passes";
        TOLERANCES = 5, "decompositions to a tolerance, spectra, shapes and tolerances";
        PIVOTED = 5, "pivoted QR, conditions, sizes and scales";
        BLOCKED = 5, "blocked pivoted QR, conditions, shapes, scales and parameters";
        BOUNDS = 10, "bounds on an error, seeds";
        GRADED = 17, "graded blocks, seeds";
        STREAMS = 3, "streams and column blocks, families and shapes";
        PROPERTIES = 7, "properties, random cases";
        APPLY_WINDOWS = 11, "applications of windows, sides and operands";
    }
}
