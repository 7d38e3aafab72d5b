//! The operator as bytes, for files and other machines.

use super::{BlockPermParams, Family, Sketch};
use crate::{Error, Result};

impl Family {
    /// Every family, in the order of its number.
    pub const ALL: [Self; 13] = [
        Self::Gaussian,
        Self::Rademacher,
        Self::Uniform,
        Self::SparseSign,
        Self::SparseStack,
        Self::CountSketch,
        Self::Laso,
        Self::RowSampling,
        Self::Srht,
        Self::Srct,
        Self::HadamardDiagonal,
        Self::Haar,
        Self::BlockPermSjlt,
    ];
}

impl Sketch {
    /// The operator of a family, isotropic; `nnz` is ζ and ignored by families without one.
    ///
    /// BlockPerm-SJLT gets ζ/2 wirings with two entries each, or ζ with one where ζ is odd.
    ///
    /// # Errors
    /// As the constructor of the family.
    pub fn of_family(family: Family, d: usize, m: usize, nnz: usize, seed: u64) -> Result<Self> {
        match family {
            Family::Gaussian => Self::gaussian(d, m, seed),
            Family::Rademacher => Self::rademacher(d, m, seed),
            Family::Uniform => Self::uniform(d, m, seed),
            Family::SparseSign => Self::sparse_sign(d, m, nnz, seed),
            Family::SparseStack => Self::sparse_stack(d, m, nnz, seed),
            Family::CountSketch => Self::count_sketch(d, m, seed),
            Family::Laso => Self::laso(d, m, nnz, seed),
            Family::RowSampling => Self::row_sampling(d, m, seed),
            Family::Srht => Self::srht(d, m, seed),
            Family::Srct => Self::srct(d, m, seed),
            Family::HadamardDiagonal => Self::hadamard_diagonal(d, m, seed),
            Family::Haar => Self::haar(d, m, seed),
            Family::BlockPermSjlt => {
                let each = if nnz.is_multiple_of(2) { 2 } else { 1 };
                let params = BlockPermParams::new().wirings(nnz / each).nnz(each);
                Self::block_perm_sjlt(d, m, params, seed)
            }
        }
    }

    /// The fields in their order, little-endian: family, ζ, blocks, wirings (4 bytes each), d, m, seed,
    /// scale, and start and length of the window of rows and of columns (8 bytes each).
    pub fn to_bytes(&self) -> [u8; 80] {
        let mut bytes = [0; 80];
        let short = [self.family as u32, self.nnz, self.blocks, self.wirings];
        for (place, word) in bytes.chunks_exact_mut(4).zip(short) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let words = [
            self.d,
            self.m,
            self.seed,
            self.scale.to_bits(),
            self.row_start,
            self.row_count,
            self.col_start,
            self.col_count,
        ];
        for (place, word) in bytes[16..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The operator that [`Sketch::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when no operator has these bytes: an unknown family, lengths that
    /// its constructor refuses, a window outside of the operator.
    pub fn from_bytes(bytes: &[u8; 80]) -> Result<Self> {
        let op = "Sketch::from_bytes";
        let short = |k: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[4 * k + i]));
        let long = |k: usize| u64::from(short(2 * k)) | u64::from(short(2 * k + 1)) << 32;
        let family = Family::ALL.get(short(0) as usize).copied();
        let family = family.ok_or_else(|| Error::invalid(op, "family", short(0), "0 to 12"))?;
        let length = |name, k: usize| {
            let length = usize::try_from(long(k));
            length.map_err(|_| Error::invalid(op, name, long(k), "fits in memory"))
        };
        let (d, m, seed) = (length("d", 2)?, length("m", 3)?, long(4));
        let [nnz, blocks, wirings] = [1, 2, 3].map(|k| short(k) as usize);
        let whole = if family == Family::BlockPermSjlt {
            let each = nnz.checked_div(wirings).unwrap_or(0);
            let params = BlockPermParams::new().blocks(blocks).wirings(wirings).nnz(each);
            Self::block_perm_sjlt(d, m, params, seed)?
        } else {
            Self::of_family(family, d, m, nnz, seed)?
        };
        let given = ["nnz", "blocks", "wirings"].into_iter().zip([nnz, blocks, wirings]);
        for ((name, given), taken) in given.zip([whole.nnz(), whole.blocks(), whole.wirings()]) {
            if given != taken {
                return Err(Error::invalid(op, name, given, taken));
            }
        }
        let window = |name, k: usize, limit: u64| {
            let (start, count) = (long(k), long(k + 1));
            match start.checked_add(count) {
                Some(end) if end <= limit => Ok((start, count)),
                _ => Err(Error::invalid(
                    op,
                    name,
                    format!("{count} from {start}"),
                    format!("within 0..{limit}"),
                )),
            }
        };
        let (row_start, row_count) = window("rows", 6, whole.d)?;
        let (col_start, col_count) = window("columns", 8, whole.m)?;
        let scale = f64::from_bits(long(5));
        Ok(Self { scale, row_start, row_count, col_start, col_count, ..whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_survives_the_round_trip() {
        for (number, family) in Family::ALL.into_iter().enumerate() {
            assert_eq!(family as usize, number);
            let s = Sketch::of_family(family, 8, 100, 3, 0x0123_4567_89ab_cdef).unwrap();
            let s = s.with_scale(-0.1).rows(2..7).columns(10..99);
            assert_eq!(Sketch::from_bytes(&s.to_bytes()).unwrap(), s);
        }
    }

    #[test]
    fn bytes_of_no_operator_are_refused() {
        let good = Sketch::sparse_sign(8, 100, 3, 1).unwrap().to_bytes();
        for (place, value) in
            [(0, 13), (4, 9), (4, 0), (8, 1), (12, 1), (23, 255), (52, 255), (56, 9), (72, 101)]
        {
            let mut bytes = good;
            bytes[place] = value;
            assert!(Sketch::from_bytes(&bytes).is_err(), "byte {place} = {value}");
        }
        let mut bytes = Sketch::srht(8, 100, 1).unwrap().to_bytes();
        bytes[4] = 3;
        assert!(Sketch::from_bytes(&bytes).is_err());
        // ζ = 6 in 4 blocks by 3 wirings: no other number fits.
        let params = BlockPermParams::new().blocks(4).wirings(3);
        let good = Sketch::block_perm_sjlt(8, 100, params, 1).unwrap().to_bytes();
        for (place, value) in [(4, 5), (4, 0), (8, 2), (8, 5), (8, 0), (12, 0), (12, 4), (12, 5)] {
            let mut bytes = good;
            bytes[place] = value;
            assert!(Sketch::from_bytes(&bytes).is_err(), "byte {place} = {value}");
        }
    }
}
