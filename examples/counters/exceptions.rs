//! Figures beyond the bounds that are known, each with its reason and a bound of its own. One that keeps the
//! common bound is an error too, so that the list does not outlive its reasons.

use crate::bench::{Class, Figure};

pub struct Exception {
    /// The kernel, without the types at its end.
    pub kernel: &'static str,
    /// A part of the names of the jobs, if not of all.
    pub job: &'static str,
    pub class: Class,
    pub figure: Figure,
    /// The most that is allowed instead.
    pub most: f64,
    pub why: &'static str,
}

const fn known(
    kernel: &'static str,
    class: Class,
    figure: Figure,
    most: f64,
    why: &'static str,
) -> Exception {
    Exception { kernel, job: "", class, figure, most, why }
}

impl Exception {
    /// Of jobs with this in their names only.
    const fn of(self, job: &'static str) -> Self {
        Self { job, ..self }
    }
}

pub const EXCEPTIONS: &[Exception] = &[
    known(
        "hadamard",
        Class::TwoPass,
        Figure::Moved,
        4.1,
        "of n = 32768 rows d = 2048 are sampled; two passes write and read all n between them, so 3n \
         are moved where n + d are needed: 2.8; the rest are the sectors of single sampled rows, \
         their places, and the bits of the signs",
    )
    .of("Srht"),
    known(
        "cosine",
        Class::TwoPass,
        Figure::Moved,
        15.3,
        "as for whole columns, below, and as for sampled rows, above",
    )
    .of("Srct"),
    known(
        "cosine",
        Class::TwoPass,
        Figure::Moved,
        8.2,
        "between the passes are complex numbers, twice the bytes of reals: 3; reals enter with a \
         stride of two: 3.5; the rest are factors and roots of unity, which pass the level-1 \
         cache once a tile and come from the level-2 cache",
    ),
    known(
        "convolve",
        Class::TwoPass,
        Figure::Moved,
        38.0,
        "a column of 5000 becomes one of 16384 complex numbers, 6.6 times the bytes, which are \
         read or written nine times in five passes: 20; the rest are roots of unity, from the \
         level-2 cache",
    ),
    known(
        "cosine",
        Class::Streaming,
        Figure::Moved,
        13.6,
        "a block reads for its columns two factors an entry and the roots of unity, all complex, from \
         the level-2 cache: three times the bytes of one column, and six times where n is no power of \
         two, with the spectrum of the chirp; what it reads again is in the level-1 cache",
    ),
    known(
        "convolve",
        Class::Streaming,
        Figure::Moved,
        6.3,
        "a block, which has one column, writes and reads the spectrum of a factor and reads the roots \
         of unity twice, all complex: 8 numbers an entry beside the 3 of the operands, from the level-2 \
         cache; what it reads again is in the level-1 cache",
    ),
    known(
        "place_pairs",
        Class::Streaming,
        Figure::Moved,
        1.2,
        "the pairs of a digit, 16 of a tile in the first pass, begin and end inside of a sector, \
         of which the neighbouring tile writes the rest",
    ),
    known(
        "squares",
        Class::Streaming,
        Figure::Moved,
        1.25,
        "of columns that begin inside of a sector, which sums are taken over in the order of aligned \
         ones, each access of a warp meets the last sector of the one before, in the level-1 cache",
    ),
    known("place_pairs", Class::Streaming, Figure::Conflicts, 1.6, DIGITS),
    known("digit_counts", Class::Streaming, Figure::Conflicts, 2.0, DIGITS),
    known(
        "scatter_signs",
        Class::Shared,
        Figure::Moved,
        1.3,
        "the slices of a block do not run in step, and one column of A in f64 is a third of what \
         they share: some of it is read again, from the level-2 cache",
    ),
    known("stored_meets_stored", Class::Gather, Figure::Conflicts, 2.2, COLUMNS),
    known("stored_meets_signs", Class::Gather, Figure::Conflicts, 1.6, COLUMNS),
    known("signs_meet_stored", Class::Gather, Figure::Conflicts, 2.2, COLUMNS),
];

const DIGITS: &str = "places in shared memory are those of the digits of the data";
const COLUMNS: &str = "a row of C is summed up in shared memory at the columns of the data";
