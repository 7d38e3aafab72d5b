//! The counters of the simulator, by the functions that it exports beside the driver's.

use crate::Result;
use std::collections::BTreeMap;

/// What the launches of one kernel did.
#[derive(Clone, Copy, Default)]
pub struct Count {
    pub instructions: u64,
    /// Bytes of the 32-byte sectors that served the accesses of warps, each access by itself.
    pub moved: u64,
    /// The same without what loads find in a level-1 cache of 64 KiB a block.
    pub missed: u64,
    /// How many times longer shared memory takes because of bank conflicts.
    pub conflicts: f64,
}

type Stats = unsafe extern "C" fn(*mut u8, usize) -> usize;
type Switch = unsafe extern "C" fn(i32);
type Schedule = unsafe extern "C" fn(u64, u64);

pub struct Simulator {
    stats: Stats,
    switch: Switch,
}

impl Simulator {
    /// The simulator that takes the place of the driver.
    pub fn new() -> Result<Self> {
        // SAFETY: the simulator exports functions of these types under these names.
        unsafe {
            let driver = cudarc::driver::sys::culib();
            let missing = |_| "this is no simulator: run it by scripts/sim.sh";
            let stats = *driver.get::<Stats>(b"cuda_sim_stats\0").map_err(missing)?;
            let switch =
                *driver.get::<Switch>(b"cuda_sim_count_transactions\0").map_err(missing)?;
            // One order of threads, whatever the environment says: the table is compared.
            let set = driver.get::<Schedule>(b"cuda_sim_set_schedule\0").map_err(missing)?;
            set(0, 0);
            Ok(Self { stats, switch })
        }
    }

    /// Starts anew to count.
    pub fn reset(&self) {
        // SAFETY: any number may be given at any time.
        unsafe { (self.switch)(1) };
    }

    /// What was counted since, by kernel.
    pub fn counts(&self) -> Result<BTreeMap<String, Count>> {
        // SAFETY: it writes at most as many bytes as it is told there are.
        let text = unsafe {
            let mut text = vec![0; (self.stats)(core::ptr::null_mut(), 0) + 1];
            (self.stats)(text.as_mut_ptr(), text.len());
            text.pop();
            String::from_utf8(text)?
        };
        text.lines().map(parse).collect()
    }
}

/// `name launches=2 instructions=1920 requested=1024 moved=1024 missed=1024 conflicts=1.000`
fn parse(line: &str) -> Result<(String, Count)> {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default().to_owned();
    let mut count = Count::default();
    for (key, value) in words.filter_map(|word| word.split_once('=')) {
        match key {
            "instructions" => count.instructions = value.parse()?,
            "moved" => count.moved = value.parse()?,
            "missed" => count.missed = value.parse()?,
            "conflicts" => count.conflicts = value.parse()?,
            _ => {}
        }
    }
    Ok((name, count))
}
