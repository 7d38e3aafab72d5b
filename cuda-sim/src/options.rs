//! Settings from the environment.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `RNLA_SIM_SEED` | seed of the order in which blocks and threads run | 0 |
//! | `RNLA_SIM_PREEMPT` | a thread runs at most this many instructions at a time (0: no limit) | 0 |
//! | `RNLA_SIM_MEMORY` | bytes of device memory | 8 GiB |
//! | `RNLA_SIM_LIMIT` | instructions a block may execute before it counts as hung (0: no limit) | 2³⁴ |
//! | `RNLA_SIM_DRIVER` | the CUDA version of the driver, as `cuDriverGetVersion` counts | 12040 |
//! | `RNLA_SIM_DEVICES` | how many devices there are; they share one memory | 1 |
//! | `RNLA_SIM_CAPABILITY` | compute capability of the devices, times ten | 80 |
//! | `RNLA_SIM_BLAS` | 0: cuBLAS cannot make handles | 1 |
//! | `RNLA_SIM_FAIL_LAUNCH` | the number, from 1 on, of the launch that fails (0: none) | 0 |
//! | `RNLA_SIM_FAIL_ALLOCATION` | the number, from 1 on, of the allocation that fails (0: none) | 0 |
//! | `RNLA_SIM_LEAKS` | 1: what lives at exit is reported on the standard error output | 0 |
//! | `RNLA_SIM_STATS` | file to which the counters of every kernel are appended at exit | none |
//! | `RNLA_SIM_LAUNCHES` | the same without counting transactions, which takes time | none |

use crate::exec::Schedule;
use std::ffi::c_int;
use std::path::PathBuf;
use std::str::FromStr;

/// Settings of a simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How threads are scheduled and what is counted.
    pub schedule: Schedule,
    /// Bytes of device memory.
    pub memory: usize,
    /// The CUDA version of the driver.
    pub driver: c_int,
    /// How many devices there are.
    pub devices: c_int,
    /// Compute capability, times ten.
    pub capability: c_int,
    /// Whether cuBLAS makes handles.
    pub blas: bool,
    /// Which launch fails, counted down; 0 for none.
    pub fail_launch: u64,
    /// Which allocation fails, counted down; 0 for none.
    pub fail_allocation: u64,
    /// Whether what lives at exit is reported.
    pub leaks: bool,
    /// From which allocation on all fail, counted down to 1; 0 for none.
    pub fail_allocations: u64,
    /// Where the counters go at exit.
    pub stats: Option<PathBuf>,
    /// Where they go when only launches and instructions are counted.
    pub launches: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let limit = 1 << 34;
        Self {
            schedule: Schedule { limit, ..Schedule::default() },
            memory: 8 << 30,
            driver: 12_040,
            devices: 1,
            capability: 80,
            blas: true,
            fail_launch: 0,
            fail_allocation: 0,
            leaks: false,
            fail_allocations: 0,
            stats: None,
            launches: None,
        }
    }
}

impl Options {
    /// Settings from the environment; a value that is not a number is reported and ignored.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut options = Self::default();
        number(&lookup, "RNLA_SIM_SEED", &mut options.schedule.seed);
        number(&lookup, "RNLA_SIM_PREEMPT", &mut options.schedule.preempt);
        number(&lookup, "RNLA_SIM_LIMIT", &mut options.schedule.limit);
        number(&lookup, "RNLA_SIM_MEMORY", &mut options.memory);
        number(&lookup, "RNLA_SIM_DRIVER", &mut options.driver);
        number(&lookup, "RNLA_SIM_DEVICES", &mut options.devices);
        number(&lookup, "RNLA_SIM_CAPABILITY", &mut options.capability);
        number(&lookup, "RNLA_SIM_FAIL_LAUNCH", &mut options.fail_launch);
        number(&lookup, "RNLA_SIM_FAIL_ALLOCATION", &mut options.fail_allocation);
        let (mut blas, mut leaks) = (u8::from(options.blas), 0u8);
        number(&lookup, "RNLA_SIM_BLAS", &mut blas);
        number(&lookup, "RNLA_SIM_LEAKS", &mut leaks);
        options.leaks = leaks != 0;
        options.blas = blas != 0;
        let path = |name| lookup(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        options.stats = path("RNLA_SIM_STATS");
        options.launches = path("RNLA_SIM_LAUNCHES");
        options.schedule.count_transactions = options.stats.is_some();
        options
    }

    /// Whether anything is written when the process ends.
    pub fn writes_at_exit(&self) -> bool {
        self.leaks || self.stats.is_some() || self.launches.is_some()
    }
}

fn number<T: FromStr>(lookup: impl Fn(&str) -> Option<String>, name: &str, value: &mut T) {
    let Some(text) = lookup(name).filter(|text| !text.is_empty()) else { return };
    match text.parse() {
        Ok(parsed) => *value = parsed,
        Err(_) => eprintln!("cuda-sim: {name}={text} is not a number and is ignored"),
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn variables_are_read() {
        let options = Options::from_lookup(|name| match name {
            "RNLA_SIM_SEED" => Some("7".into()),
            "RNLA_SIM_PREEMPT" => Some("x".into()),
            "RNLA_SIM_MEMORY" => Some("4096".into()),
            "RNLA_SIM_STATS" => Some("out".into()),
            "RNLA_SIM_DRIVER" => Some("11080".into()),
            "RNLA_SIM_BLAS" => Some("0".into()),
            "RNLA_SIM_LEAKS" => Some("1".into()),
            "RNLA_SIM_FAIL_LAUNCH" => Some("3".into()),
            _ => None,
        });
        assert_eq!((options.schedule.seed, options.schedule.preempt), (7, 0));
        assert_eq!(options.memory, 4096);
        assert_eq!((options.driver, options.blas, options.fail_launch), (11_080, false, 3));
        assert!(options.schedule.count_transactions && options.stats.is_some());
        assert!(options.leaks && options.writes_at_exit());
        let defaults = Options::from_lookup(|_| None);
        assert!(defaults == Options::default() && !defaults.writes_at_exit());
    }
}
