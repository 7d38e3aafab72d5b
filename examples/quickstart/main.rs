//! The main job: compress real matrices by a randomised SVD, and see what it cost and what it lost.
//!
//! ```text
//! cargo run --release --example quickstart                    the matrices in examples/data
//! cargo run --release --example quickstart -- FILE ...        your own
//! ```
//! Prints one table, and writes a figure with the spectra and errors and, for every picture, its
//! compressed versions side by side.

mod figure;
mod pictures;
mod read;
mod study;
mod table;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: quickstart [--out DIR] [--ranks K,K,...] [--error E] [FILE ...]
  --out DIR      where pictures and figures go   (target/quickstart)
  --ranks K,...  the ranks to compress to        (8,32,128)
  --error E      the relative error to compress to, whatever the rank   (0.05)
  FILE           without one, the matrices in examples/data; what can be read:";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::from_args(std::env::args().skip(1))? else {
        println!("{USAGE}\n{}", read::SUPPORTED);
        return Ok(());
    };
    let files = if options.files.is_empty() { shipped_files()? } else { options.files };
    let matrices = read_all(&files)?;
    std::fs::create_dir_all(&options.out)
        .map_err(|error| format!("{}: cannot be created: {error}", options.out.display()))?;

    let mut reports = Vec::new();
    for (file, matrix) in &matrices {
        eprintln!("{} ({}×{}) ...", matrix.name, matrix.rows, matrix.cols);
        let report = study::study(matrix, &options.targets)
            .map_err(|error| format!("{}: {}: {error}", file.display(), matrix.name))?;
        reports.push(report);
    }
    table::print(&reports);

    println!("\nwritten:");
    for path in figure::write(&options.out, &reports)? {
        println!("  {}: spectra and errors", path.display());
    }
    for report in &reports {
        if let Some(path) = pictures::write(&options.out, report)? {
            println!("  {} and .png, from left to right:", path.display());
            pictures::captions(report).iter().for_each(|caption| println!("    {caption}"));
        }
    }
    Ok(())
}

fn read_all(files: &[PathBuf]) -> Result<Vec<(PathBuf, read::Matrix)>, Box<dyn Error>> {
    let mut matrices: Vec<(PathBuf, read::Matrix)> = Vec::new();
    for file in files {
        let contents = read::read(file)?;
        contents.notes.iter().for_each(|note| eprintln!("{note}"));
        for mut matrix in contents.matrices {
            // Two files may have one name, and pictures are saved under it.
            while matrices.iter().any(|(_, other)| other.name == matrix.name) {
                matrix.name.push('\'');
            }
            matrices.push((file.clone(), matrix));
        }
    }
    Ok(matrices)
}

/// The matrices that come along: all in a checkout; the published package leaves out the weights.
fn shipped_files() -> Result<Vec<PathBuf>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let files = ["retina.jpg", "astronaut.png", "minilm-layer0.safetensors"];
    let files: Vec<_> = files.map(|f| folder.join(f)).into_iter().filter(|f| f.exists()).collect();
    match files.is_empty() {
        false => Ok(files),
        true => Err(format!(
            "the example data is not in {}.\nRun on a file of your own:\n  \
             cargo run --release --example quickstart -- FILE ...\nwhat can be read:\n{}",
            folder.display(),
            read::SUPPORTED
        )),
    }
}

struct Options {
    out: PathBuf,
    targets: study::Targets,
    files: Vec<PathBuf>,
}

impl Options {
    /// `None` when help was asked for.
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let targets = study::Targets { ranks: vec![8, 32, 128], error: 0.05 };
        let mut options = Self { out: "target/quickstart".into(), targets, files: Vec::new() };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value\n{USAGE}"));
            match arg.as_str() {
                "-h" | "--help" => return Ok(None),
                "--out" => options.out = value()?.into(),
                "--ranks" => {
                    let text = value()?;
                    let ranks = text.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
                    options.targets.ranks = ranks
                        .ok()
                        .filter(|ranks| !ranks.contains(&0))
                        .ok_or(format!("--ranks {text}: positive whole numbers are needed"))?;
                }
                "--error" => {
                    let text = value()?;
                    options.targets.error = text
                        .parse()
                        .ok()
                        .filter(|error| 0.0 < *error && *error < 1.0)
                        .ok_or(format!("--error {text}: a number between 0 and 1 is needed"))?;
                }
                _ if arg.starts_with("--") => return Err(format!("unknown {arg}\n{USAGE}")),
                _ => options.files.push(arg.into()),
            }
        }
        Ok(Some(options))
    }
}
