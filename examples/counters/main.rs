//! Makes `cuda/traffic.txt`: for every kernel the bytes that it moves beside those that its job needs, the
//! bank conflicts of shared memory, and what its job takes on an H100 on paper, beside cuRAND and cuBLAS.
//!
//! ```text
//! scripts/sim.sh cargo run --release --features cuda --example counters
//! ```
//! Runs reference jobs through the public interface on the simulated GPU, one after the other, and reads
//! the simulator's counters after each. Exits with an error that names every kernel beyond its bounds, every
//! exception that is no longer one, and every kernel of `cuda/ptx` that no job has met.

mod bench;
mod dense;
mod exceptions;
mod matrices;
mod model;
mod moves;
mod simulator;
mod sparse;
mod transforms;

use bench::Bench;
use half::{bf16, f16};
use randnla::Cuda;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
        Ok(complaints) => {
            complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("counters: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda");
    let cuda = Cuda::new(0)?;
    let mut bench = Bench::new(&cuda)?;
    moves::jobs::<f32>(&mut bench)?;
    moves::jobs::<f64>(&mut bench)?;
    dense::jobs::<f32>(&mut bench)?;
    dense::jobs::<f64>(&mut bench)?;
    transforms::jobs::<f32>(&mut bench)?;
    transforms::jobs::<f64>(&mut bench)?;
    sparse::positions(&mut bench)?;
    sparse::jobs::<f32>(&mut bench)?;
    sparse::jobs::<f64>(&mut bench)?;
    half_jobs::<f16>(&mut bench)?;
    half_jobs::<bf16>(&mut bench)?;
    fs::write(folder.join("traffic.txt"), bench.table())?;
    let mut complaints = bench.complaints();
    let met: BTreeSet<&str> = bench.kernels().collect();
    for kernel in kernels(&folder.join("ptx"))? {
        if !met.contains(&kernel[..]) {
            complaints.push(format!("{kernel}: met by no job"));
        }
    }
    Ok(complaints)
}

fn half_jobs<H: randnla::Half>(bench: &mut Bench) -> Result<()>
where
    Cuda: randnla::HalfKernels<H>,
{
    moves::half_jobs::<H>(bench)?;
    dense::half_jobs::<H>(bench)?;
    sparse::half_jobs::<H>(bench)
}

/// The names of the kernels that ship.
fn kernels(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for file in fs::read_dir(folder)? {
        let text = fs::read_to_string(file?.path())?;
        let entries = text.lines().filter_map(|line| line.strip_prefix(".visible .entry "));
        found.extend(entries.filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())));
    }
    if found.is_empty() { Err("there are no kernels in cuda/ptx".into()) } else { Ok(found) }
}
