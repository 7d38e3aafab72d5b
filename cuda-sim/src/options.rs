//! Settings from the environment.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `RNLA_SIM_SEED` | seed of the order in which blocks and threads run | 0 |
//! | `RNLA_SIM_PREEMPT` | a thread runs at most this many instructions at a time (0: no limit) | 0 |
//! | `RNLA_SIM_MEMORY` | bytes of device memory | 8 GiB |
//! | `RNLA_SIM_LIMIT` | instructions a block may execute before it counts as hung (0: no limit) | 2³⁴ |
//! | `RNLA_SIM_STATS` | file to which the counters of every kernel are appended at exit | none |

use crate::exec::Schedule;
use std::path::PathBuf;
use std::str::FromStr;

/// Settings of a simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How threads are scheduled and what is counted.
    pub schedule: Schedule,
    /// Bytes of device memory.
    pub memory: usize,
    /// Where the counters go at exit.
    pub stats: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let limit = 1 << 34;
        Self { schedule: Schedule { limit, ..Schedule::default() }, memory: 8 << 30, stats: None }
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
        options.stats = lookup("RNLA_SIM_STATS").filter(|path| !path.is_empty()).map(PathBuf::from);
        options.schedule.count_transactions = options.stats.is_some();
        options
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
            _ => None,
        });
        assert_eq!((options.schedule.seed, options.schedule.preempt), (7, 0));
        assert_eq!(options.memory, 4096);
        assert!(options.schedule.count_transactions && options.stats.is_some());
        assert_eq!(Options::from_lookup(|_| None), Options::default());
    }
}
