//! Where a test runs: the CPU with one and three threads, or a GPU.
//!
//! A test is a function of a [`Place`]. `on_every_device!` makes of it the test `cpu::name` and, with
//! the feature `cuda`, its twin `gpu::name`, which runs on a real GPU or on the simulated one of
//! `scripts/sim.sh`. Where there is neither, the twins say so and pass, unless `RNLA_REQUIRE_GPU` is
//! set.

use super::cuts::{Share, Sizes};
#[cfg(feature = "cuda")]
use randnla::Cuda;
use randnla::{Backend, Cpu};
use std::fmt::Debug;
use std::sync::OnceLock;

#[cfg(feature = "cuda")]
#[path = "../../hardware/gpu.rs"]
mod shared;

/// Every kernel in both scalar types.
pub trait Backends: Backend<f32> + Backend<f64> {}
impl<D: Backend<f32> + Backend<f64>> Backends for D {}

/// Handles of one device, whose results must be the same bits.
pub struct Place<D> {
    handles: Vec<D>,
    interpreted: bool,
}

impl<D> Place<D> {
    /// The first handle.
    pub fn device(&self) -> &D {
        &self.handles[0]
    }

    /// Every handle.
    pub fn handles(&self) -> &[D] {
        &self.handles
    }

    /// What `run` gives on the first handle; every other must give the same.
    #[track_caller]
    pub fn result<R: PartialEq + Debug>(&self, what: &str, run: impl Fn(&D) -> R) -> R {
        let one = run(self.device());
        for (at, handle) in self.handles.iter().enumerate().skip(1) {
            assert!(run(handle) == one, "{what}: handle {at} gives other bits");
        }
        one
    }

    /// Whether an interpreter stands in for the device.
    #[cfg(feature = "cuda")]
    pub fn is_interpreted(&self) -> bool {
        self.interpreted
    }

    /// All sizes, or those that are kept for the interpreter.
    pub fn sizes<E: Copy>(&self, sizes: &Sizes<E>) -> Vec<E> {
        match self.interpreted {
            true => sizes.kept.to_vec(),
            false => [sizes.kept, sizes.dropped].concat(),
        }
    }

    /// Whether combination `turn` is tested: all are, but for the interpreter.
    pub fn takes(&self, share: &Share, turn: usize) -> bool {
        !self.interpreted || turn.is_multiple_of(share.one_in)
    }
}

/// The CPU with one and three threads.
pub fn cpu() -> &'static Place<Cpu> {
    static CPU: OnceLock<Place<Cpu>> = OnceLock::new();
    CPU.get_or_init(|| {
        let handles = [1, 3].map(|threads| Cpu::with_threads(threads).unwrap()).into();
        Place { handles, interpreted: false }
    })
}

/// A GPU with a stream of this test's own, or `None` where no GPU is at hand.
///
/// Handles of all tests are of one GPU that stays: its end destroys handles of cuBLAS, which waits for the whole device
/// and so spoils what another test captures. The streams stay too.
#[cfg(feature = "cuda")]
pub fn gpu(test: &str) -> Option<Place<Cuda>> {
    use cudarc::driver::result::stream;
    static GPU: OnceLock<Option<Cuda>> = OnceLock::new();
    let Some(gpu) = GPU.get_or_init(|| shared::gpu(test)) else {
        // Says so for this test too.
        return shared::gpu(test).map(|_| unreachable!("there was no GPU"));
    };
    let _entered = crate::entered::Entered::new();
    let stream = stream::create(stream::StreamKind::NonBlocking).unwrap();
    // SAFETY: the stream is not destroyed.
    let handles = vec![unsafe { gpu.on_stream(stream.cast()) }.unwrap()];
    Some(Place { handles, interpreted: is_simulated() })
}

/// The handle alone, for tests of what only a GPU has.
#[cfg(feature = "cuda")]
pub fn cuda(test: &str) -> Option<Cuda> {
    gpu(test).map(|place| place.device().clone())
}

/// Whether the driver is the simulator, which exports more than a driver does.
#[cfg(feature = "cuda")]
fn is_simulated() -> bool {
    // SAFETY: only looks for a symbol of the library that is loaded.
    unsafe {
        let symbol = b"cuda_sim_live_allocations\0";
        cudarc::driver::sys::culib().get::<unsafe extern "C" fn() -> usize>(symbol).is_ok()
    }
}

/// The tests `cpu::name` and `gpu::name` of functions `name` of a place: with scalar types, generic
/// over `<T, D>` and run for each; without, generic over `<D>`.
macro_rules! on_every_device {
    ($($test:ident $(: $($scalar:ident)+)?),* $(,)?) => {
        mod cpu {
            $(
                #[test]
                fn $test() {
                    let place = crate::common::place::cpu();
                    $crate::common::place::on_every_device!(@ $test Cpu place $($($scalar)+)?);
                }
            )*
        }

        #[cfg(feature = "cuda")]
        mod gpu {
            $(
                #[test]
                fn $test() {
                    let name = concat!(module_path!(), "::", stringify!($test));
                    let Some(place) = &crate::common::place::gpu(name) else { return };
                    $crate::common::place::on_every_device!(@ $test Cuda place $($($scalar)+)?);
                }
            )*
        }
    };
    (@ $test:ident $device:ident $place:ident) => {
        super::$test::<randnla::$device>($place);
    };
    (@ $test:ident $device:ident $place:ident $($scalar:ident)+) => {
        $(super::$test::<$scalar, randnla::$device>($place);)+
    };
}
pub(crate) use on_every_device;
