//! Counters of all kernels, and the file that they are written to.

use super::Tally;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A tally for each kernel name.
#[derive(Default)]
pub struct Counters {
    kernels: BTreeMap<String, Tally>,
}

impl Counters {
    /// Adds what a launch did.
    pub fn add(&mut self, kernel: &str, tally: &Tally) {
        match self.kernels.get_mut(kernel) {
            Some(known) => known.add(tally),
            None => {
                self.kernels.insert(kernel.to_string(), *tally);
            }
        }
    }

    /// The tally of a kernel.
    pub fn get(&self, kernel: &str) -> Option<&Tally> {
        self.kernels.get(kernel)
    }

    /// Kernels and tallies by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tally)> {
        self.kernels.iter().map(|(name, tally)| (name.as_str(), tally))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.kernels.clear();
    }

    /// One line a kernel: `name launches=… instructions=… requested=… moved=… missed=… conflicts=…`, where
    /// the middle ones are bytes and `conflicts` is the factor of [`Tally::conflict_factor`].
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for (name, tally) in &self.kernels {
            let _ = writeln!(
                text,
                "{name} launches={} instructions={} requested={} moved={} missed={} conflicts={:.3}",
                tally.launches,
                tally.instructions,
                tally.bytes_requested,
                tally.bytes_moved,
                tally.bytes_missed,
                tally.conflict_factor()
            );
        }
        text
    }
}
