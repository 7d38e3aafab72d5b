//! The GPU that the suites of kernels run on: a real one, or the simulated one of
//! `scripts/sim.sh`. Where there is none, tests say so and pass, unless `RNLA_REQUIRE_GPU` is set.

use randnla::{Cuda, Error};

/// A new handle, or `None` where no GPU is at hand.
pub fn gpu(test: &str) -> Option<Cuda> {
    match Cuda::new(0) {
        Ok(cuda) => Some(cuda),
        Err(Error::DeviceUnavailable { reason }) => {
            assert!(std::env::var_os("RNLA_REQUIRE_GPU").is_none(), "no GPU: {reason}");
            eprintln!("SKIPPED {test}: {reason}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error() {
    let Some(_) = gpu("a_gpu_that_is_not_there_is_an_error") else { return };
    assert!(matches!(Cuda::new(1000), Err(Error::InvalidArgument { .. })));
}
