//! What can go wrong, named by operation, argument and value.

/// The result of every fallible call of this crate.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a call was refused or could not finish.
///
/// A call that returns [`Error::ShapeMismatch`] or [`Error::InvalidArgument`] has written nothing.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A matrix does not have the shape that the other arguments call for.
    #[error("{op}: {argument} is {}×{}, expected {}×{}", got.0, got.1, expected.0, expected.1)]
    ShapeMismatch {
        /// The function that was called.
        op: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// Its rows and columns.
        got: (usize, usize),
        /// The rows and columns that would fit.
        expected: (usize, usize),
    },
    /// An argument lies outside of its range.
    #[error("{op}: {argument} = {value}, allowed: {allowed}")]
    InvalidArgument {
        /// The function that was called.
        op: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// Its value, as text.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
    /// A decomposition met a NaN or an infinity in its input.
    #[error("{op}: the input is not finite at row {row}, column {col}")]
    NonFinite {
        /// The function that was called.
        op: &'static str,
        /// Its row: the first one in the order of rows, or of columns for compressed columns.
        row: usize,
        /// Its column.
        col: usize,
    },
    /// A finite input led to a value beyond the range of the scalar type.
    #[error("{op}: {what} is beyond the range of {dtype}; scale the input by a power of two")]
    Overflow {
        /// The function that was called.
        op: &'static str,
        /// The quantity that left the range.
        what: &'static str,
        /// The scalar type.
        dtype: &'static str,
    },
    /// Columns that had to be independent are not, to working precision.
    #[error("{op}: column {column} depends on those before it to working precision")]
    Singular {
        /// The function that was called.
        op: &'static str,
        /// The first column that depends on those before it.
        column: usize,
    },
    /// A matrix that has to be symmetric is not.
    #[error(
        "{op}: the matrix is not symmetric: it differs from its transpose by {difference:e}, rounding explains {limit:e}"
    )]
    NotSymmetric {
        /// The function that was called.
        op: &'static str,
        /// An entry of |A − Aᵀ|, or ‖Xᵀ(A − Aᵀ)X‖_F for orthonormal X.
        difference: f64,
        /// What rounding errors can make of a symmetric matrix.
        limit: f64,
    },
    /// A matrix that has to be positive semidefinite is not.
    #[error(
        "{op}: the matrix is not positive semidefinite: {what} is {value:e}, rounding explains {limit:e}"
    )]
    NotPositiveSemidefinite {
        /// The function that was called.
        op: &'static str,
        /// What no positive semidefinite matrix has below zero.
        what: &'static str,
        /// Its value.
        value: f64,
        /// How far below zero rounding errors can bring it.
        limit: f64,
    },
    /// An iteration ended before it reached what was asked.
    #[error("{op}: no convergence after {iterations} iterations")]
    NoConvergence {
        /// The function that was called.
        op: &'static str,
        /// How many iterations ran.
        iterations: usize,
    },
    /// Two arguments live on devices that cannot work together.
    #[error("{op}: {argument} lives on another device than the other arguments")]
    DeviceMismatch {
        /// The function that was called.
        op: &'static str,
        /// The name of the argument.
        argument: &'static str,
    },
    /// The device cannot be used.
    #[error("device unavailable: {reason}")]
    DeviceUnavailable {
        /// What is missing or broken.
        reason: String,
    },
    /// The device failed in a call.
    #[error("{call}: {reason}")]
    DeviceFailure {
        /// The function of the driver or of its library, or the kernel.
        call: &'static str,
        /// What the device says.
        reason: String,
    },
    /// The device could not provide the memory.
    #[error("out of memory: {}", asked_for(*bytes))]
    OutOfMemory {
        /// The size of the allocation that failed; 0 if a driver or library did not say for what it needed
        /// memory.
        bytes: usize,
    },
    /// The combination is not offered.
    #[error("{op}: {what} is not supported")]
    Unsupported {
        /// The function that was called.
        op: &'static str,
        /// The combination.
        what: String,
    },
}

fn asked_for(bytes: usize) -> String {
    match bytes {
        0 => "the driver or a library of the device found none for its own use".into(),
        bytes => format!("{bytes} bytes were asked for"),
    }
}

impl Error {
    /// An [`Error::InvalidArgument`] from anything printable.
    pub fn invalid(
        op: &'static str,
        argument: &'static str,
        value: impl core::fmt::Display,
        allowed: impl core::fmt::Display,
    ) -> Self {
        Self::InvalidArgument {
            op,
            argument,
            value: value.to_string(),
            allowed: allowed.to_string(),
        }
    }
}

/// `Ok` when `got == expected`, else [`Error::ShapeMismatch`].
pub(crate) fn check_shape(
    op: &'static str,
    argument: &'static str,
    got: (usize, usize),
    expected: (usize, usize),
) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::ShapeMismatch { op, argument, got, expected }) }
}

/// `Ok` for a number of `least` or more, else [`Error::InvalidArgument`].
pub(crate) fn check_least(
    op: &'static str,
    argument: &'static str,
    value: usize,
    least: usize,
) -> Result<()> {
    if value >= least {
        Ok(())
    } else {
        Err(Error::invalid(op, argument, value, format!("at least {least}")))
    }
}

/// `Ok` for a number strictly between 0 and 1, or none, else [`Error::InvalidArgument`].
pub(crate) fn check_share(
    op: &'static str,
    argument: &'static str,
    value: impl Into<Option<f64>>,
) -> Result<()> {
    match value.into() {
        Some(x) if !(x > 0.0 && x < 1.0) => {
            Err(Error::invalid(op, argument, x, "between 0 and 1, both excluded"))
        }
        _ => Ok(()),
    }
}
