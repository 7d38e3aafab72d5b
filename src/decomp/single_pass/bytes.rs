//! The state of a stream as bytes, for files and other machines.

use super::StreamingSvd;
use super::state::Operators;
use crate::random::FORMAT_VERSION;
use crate::{Backend, Error, Mat, MatRef, Result, Scalar, Sketch};

/// What the bytes begin with.
const MARK: [u8; 8] = *b"rnlaSVD1";
/// The mark, the version of random numbers, the bytes of a number, and five operators.
const HEADER: usize = 16 + 5 * 80;

impl<T: Scalar, D: Backend<T>> StreamingSvd<T, D> {
    /// The state, little-endian: a mark, [`FORMAT_VERSION`] and the bytes of a T (4 bytes each), the operators Ω, Υ, Φ, Ψ,
    /// Θ as [`Sketch::to_bytes`] writes them, and the sketches Y, X, Z, W in column-major order. Synchronises.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], or what the device reports.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(HEADER + self.numbers() * size_of::<T>());
        bytes.extend(MARK);
        bytes.extend(FORMAT_VERSION.to_le_bytes());
        bytes.extend((size_of::<T>() as u32).to_le_bytes());
        let Operators { range, corange, left, right, probes } = self.operators;
        [range, corange, left, right, probes].iter().for_each(|s| bytes.extend(s.to_bytes()));
        for sketch in self.sketches() {
            write(sketch, &mut bytes)?;
        }
        Ok(bytes)
    }

    /// The state that [`to_bytes`](Self::to_bytes) wrote, on a device.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for bytes of another format or version of the random numbers, of another type of number, for
    /// operators that do not fit together, and for a length that is not that of the sketches; [`Error::OutOfMemory`].
    pub fn from_bytes(device: &D, bytes: &[u8]) -> Result<Self> {
        let op = "StreamingSvd::from_bytes";
        let refuse =
            |what: &'static str, allowed: String| Err(Error::invalid(op, "bytes", what, allowed));
        if bytes.len() < HEADER || bytes[..8] != MARK {
            return refuse("no state of a StreamingSvd", "what to_bytes wrote".into());
        }
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
        if word(8) != FORMAT_VERSION {
            return refuse("another version of the random numbers", FORMAT_VERSION.to_string());
        }
        if word(12) as usize != size_of::<T>() {
            return refuse("numbers of another type", T::NAME.into());
        }
        let operator = |at: usize| {
            let start = 16 + 80 * at;
            let bytes = bytes[start..start + 80].try_into().expect("80 bytes");
            Sketch::from_bytes(bytes)
        };
        let [range, corange, left, right, probes] = [0, 1, 2, 3, 4].map(operator);
        let operators = Operators {
            range: range?,
            corange: corange?,
            left: left?,
            right: right?,
            probes: probes?,
        };
        let (m, n) = operators.shape();
        let Operators { range, corange, left, right, probes } = operators;
        let gaussian = Sketch::gaussian(probes.nrows(), m, probes.seed())?;
        let whole = |s: &Sketch| s.shape() == s.full_shape();
        let fit = [range, corange, left, right].iter().all(whole)
            && (left.ncols(), right.ncols()) == (m, n)
            && probes == gaussian
            && probes.nrows() > 0;
        if !fit {
            return refuse("operators that do not fit together", "what to_bytes wrote".into());
        }
        let shapes = [
            (m, range.nrows()),
            (corange.nrows(), n),
            (left.nrows(), right.nrows()),
            (probes.nrows(), n),
        ];
        let numbers = shapes.iter().try_fold(0usize, |sum, &(rows, cols)| {
            rows.checked_mul(cols).and_then(|product| product.checked_add(sum))
        });
        let body = &bytes[HEADER..];
        if numbers.and_then(|numbers| numbers.checked_mul(size_of::<T>())) != Some(body.len()) {
            return refuse("another number of bytes", "those of the sketches".into());
        }
        let mut state = Self::with_operators(device, operators)?;
        let StreamingSvd { range, corange, core, probes, .. } = &mut state;
        let mut rest = body;
        for (sketch, (rows, cols)) in [range, corange, core, probes].into_iter().zip(shapes) {
            let (now, later) = rest.split_at(rows * cols * size_of::<T>());
            let read = Mat::from_column_major(device, &read(now), rows, cols)?;
            sketch.as_mut().axpby(T::one(), read.as_ref(), T::zero())?;
            rest = later;
        }
        Ok(state)
    }
}

/// The entries, as many bytes as T has.
fn write<T: Scalar, D: Backend<T>>(sketch: MatRef<'_, T, D>, bytes: &mut Vec<u8>) -> Result<()> {
    for x in sketch.to_vec()? {
        match size_of::<T>() {
            4 => bytes.extend((x.to_f64() as f32).to_le_bytes()),
            _ => bytes.extend(x.to_f64().to_le_bytes()),
        }
    }
    Ok(())
}

/// The entries that [`write`] wrote.
fn read<T: Scalar>(bytes: &[u8]) -> Vec<T> {
    let value = |bytes: &[u8]| match bytes {
        &[a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
        _ => f64::from_le_bytes(bytes.try_into().expect("eight bytes")),
    };
    bytes.chunks_exact(size_of::<T>()).map(|bytes| T::from_f64(value(bytes))).collect()
}
