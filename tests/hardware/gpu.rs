//! The GPU of a test, and how a test tells that it was skipped.

use randnla::{Cuda, Error};
use std::io::Write;

/// A new handle, or `None` where no GPU is at hand, which is said.
pub fn gpu(test: &str) -> Option<Cuda> {
    match Cuda::new(0) {
        Ok(cuda) => Some(cuda),
        Err(Error::DeviceUnavailable { reason }) => {
            assert!(std::env::var_os("RNLA_REQUIRE_GPU").is_none(), "no GPU: {reason}");
            skipped(test, &reason);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Says that a test, or a part of one, was skipped. Written past what keeps the output of tests that pass
/// from being shown.
pub fn skipped(test: &str, reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}
