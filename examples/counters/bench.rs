//! Jobs, what was counted of them, the bounds, and the table.

use crate::Result;
use crate::exceptions::{EXCEPTIONS, Exception};
use crate::model::{self, Number, Peer};
use crate::simulator::{Count, Simulator};
use randnla::{Cuda, Device};
use std::fmt::Write;

/// What the bytes needed by a kernel are. Streams are counted without any cache. The other classes are meant
/// to find in the level-1 cache what their block has loaded, and are bounded with it; every block needs
/// what it loads anew.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Every entry of the operands read once, every result written once.
    Streaming,
    /// The same, for columns that pass through memory twice.
    TwoPass,
    /// Lists once, results once, and a row of the operand each time that a list names it.
    Gather,
    /// Results once, and an operand once for each block that shares it.
    Shared,
    /// Streams once, and a sector of 32 bytes for each entry at a place of its own.
    Scatter,
    /// Some kilobytes, or searches: the time of a launch. Streams once; not bounded.
    Latency,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Streaming => "streaming",
            Self::TwoPass => "two-pass",
            Self::Gather => "gather",
            Self::Shared => "shared",
            Self::Scatter => "scatter",
            Self::Latency => "latency",
        }
    }

    /// Whether caches must not help.
    fn is_stream(self) -> bool {
        matches!(self, Self::Streaming | Self::TwoPass)
    }

    /// The most bytes moved for a byte needed.
    fn bound(self) -> f64 {
        match self {
            Self::TwoPass => 2.2,
            Self::Latency => f64::INFINITY,
            _ => 1.15,
        }
    }
}

/// How many times longer shared memory may take because of conflicts.
const CONFLICTS: f64 = 1.1;

/// A figure of the table that has a bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    Moved,
    Conflicts,
}

impl Figure {
    fn name(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Conflicts => "conflicts",
        }
    }
}

/// A kernel that a job is to show.
pub struct Shown {
    kernel: String,
    class: Class,
    needed: usize,
}

/// Kernel `name`, which needs so many bytes.
pub fn kernel(name: impl Into<String>, class: Class, needed: usize) -> Shown {
    Shown { kernel: name.into(), class, needed }
}

struct Row {
    shown: Shown,
    count: Count,
}

struct Job {
    what: String,
    seconds: f64,
    peer: Option<f64>,
    rows: Vec<Row>,
}

pub struct Bench {
    pub cuda: Cuda,
    simulator: Simulator,
    jobs: Vec<Job>,
}

impl Bench {
    pub fn new(cuda: &Cuda) -> Result<Self> {
        Ok(Self { cuda: cuda.clone(), simulator: Simulator::new()?, jobs: Vec::new() })
    }

    /// Does a job on numbers of a type, which must launch the kernels that are shown.
    pub fn job(
        &mut self,
        what: impl Into<String>,
        (number, peer): (Number, Peer),
        shown: impl IntoIterator<Item = Shown>,
        run: impl FnOnce(&Cuda) -> randnla::Result<()>,
    ) -> Result<()> {
        let what = what.into();
        self.simulator.reset();
        run(&self.cuda)?;
        self.cuda.synchronize()?;
        let counts = self.simulator.counts()?;
        let mut rows = Vec::new();
        for shown in shown {
            let count = counts.get(&shown.kernel);
            let missing = || format!("{what}: {} was not launched", shown.kernel);
            rows.push(Row { count: *count.ok_or_else(missing)?, shown });
        }
        let seconds = |(kernel, count): (&String, &Count)| {
            model::seconds(kernel, count.missed, count.instructions)
        };
        let seconds = counts.iter().map(seconds).sum();
        self.jobs.push(Job { what, seconds, peer: peer.seconds(number), rows });
        Ok(())
    }

    /// The kernels that were shown.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.rows().map(|(_, row)| &row.shown.kernel[..])
    }

    fn rows(&self) -> impl Iterator<Item = (&Job, &Row)> {
        self.jobs.iter().flat_map(|job| job.rows.iter().map(move |row| (job, row)))
    }

    /// What is out of bounds, and exceptions that are none.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut used = vec![false; EXCEPTIONS.len()];
        for (job, row) in self.rows() {
            for (figure, value, bound) in row.figures() {
                if value <= bound {
                    continue;
                }
                let known = EXCEPTIONS.iter().position(|e| e.covers(job, &row.shown, figure));
                let bound = known.map_or(bound, |at| {
                    used[at] = true;
                    EXCEPTIONS[at].most
                });
                if value > bound {
                    let (kernel, what) = (&row.shown.kernel, &job.what);
                    complaints
                        .push(format!("{kernel} ({what}): {} {value:.3} > {bound}", figure.name()));
                }
            }
        }
        for (exception, used) in EXCEPTIONS.iter().zip(used) {
            if !used {
                let Exception { kernel, figure, .. } = exception;
                complaints
                    .push(format!("{kernel}: {} keeps its bound, no exception", figure.name()));
            }
        }
        complaints
    }

    /// The text of `cuda/traffic.txt`.
    pub fn table(&self) -> String {
        let mut text = String::from(HEAD);
        for job in &self.jobs {
            let peer = match job.peer {
                Some(seconds) => format!("cuRAND + cuBLAS {:.3}", seconds * 1e6),
                None => "-".into(),
            };
            let _ = writeln!(text, "\n{}; {:.3} µs on paper; {peer}", job.what, job.seconds * 1e6);
            for row in &job.rows {
                let _ = writeln!(text, "{}", row.line());
            }
        }
        text += "\nBeyond the bounds, the most that is allowed instead, and why:\n";
        for Exception { kernel, job, class, figure, most, why } in EXCEPTIONS {
            let (class, figure) = (class.name(), figure.name());
            let of = if job.is_empty() { String::new() } else { format!(" of {job}") };
            let _ = writeln!(text, "  {kernel}{of}, {class}: {figure} {most}, since {why}.");
        }
        text
    }
}

impl Row {
    /// Bytes for each byte needed, without and with a level-1 cache.
    fn ratios(&self) -> [f64; 2] {
        [self.count.moved, self.count.missed].map(|bytes| bytes as f64 / self.shown.needed as f64)
    }

    fn figures(&self) -> [(Figure, f64, f64); 2] {
        let class = self.shown.class;
        let [plain, cached] = self.ratios();
        let ratio = if class.is_stream() { plain } else { cached };
        [
            (Figure::Moved, ratio, class.bound()),
            (Figure::Conflicts, self.count.conflicts, CONFLICTS),
        ]
    }

    fn line(&self) -> String {
        let Shown { kernel, class, needed } = &self.shown;
        let beyond = self.figures().iter().any(|(_, value, bound)| value > bound);
        let mark = if beyond { " !" } else { "" };
        let [plain, cached] = self.ratios();
        format!(
            "  {kernel:<28} {:<10}{needed:>10}{plain:>8.3}{cached:>8.3}{:>8.3}{mark}",
            class.name(),
            self.count.conflicts
        )
    }
}

impl Exception {
    fn covers(&self, job: &Job, shown: &Shown, figure: Figure) -> bool {
        let types = |rest: &str| rest.split('_').all(|part| TYPES.contains(&part));
        let is_named = shown.kernel.strip_prefix(self.kernel).is_some_and(types);
        let is_meant = is_named && job.what.contains(self.job);
        is_meant && self.class == shown.class && self.figure == figure
    }
}

const TYPES: [&str; 5] = ["", "f32", "f64", "f16", "bf16"];

const HEAD: &str = "\
# Made by examples/counters on the simulated GPU. A job, the microseconds that an H100 takes for it on paper
# (bytes at 3 TB/s, or 2.9e13 instructions a second, half for f64), and what cuRAND and cuBLAS take on paper
# for the same: a stored Gaussian operator in place of any other, a stored matrix in place of a transform.
# Estimates: nothing is timed, launches cost nothing here, and jobs are small. Our instructions are those of the
# PTX, all of them; cuRAND makes normals at the rates that the comments of our kernels reckon with, 0.7 (f32)
# and 0.15 (f64) a ps, and cuBLAS runs at its peak (60 Tflop/s, halves 900): that favours them.
#
# Below each job its kernels: class, bytes needed, bytes moved in sectors of 32 for each byte needed, each
# access of a warp by itself; the same when loads meet a level-1 cache of 64 KiB, which every block starts
# empty; how many times longer shared memory takes because of bank conflicts.
#
# streaming  every entry of the operands read once, every result written once; moved at most 1.15
# two-pass   the same for columns that pass through memory twice; at most 2.2
# gather     lists and results once, a row of the operand each time that a list names it; cached, 1.15
# shared     results once, an operand once for each block that shares it; cached, 1.15
# scatter    streams once, a sector for each entry that has a place of its own; cached, 1.15
# latency    some kilobytes, or searches: the time of a launch; not bounded
# Conflicts at most 1.1. What is beyond a bound is marked, and listed at the end.
";
