//! Makes `cuda/ptx/*.ptx` from `cuda/*.cu`, and `cuda/resources.txt`: what each kernel takes of a
//! multiprocessor. Needs NVRTC (`libnvrtc.so.12` of CUDA 12.0), and no GPU.
//!
//! `cargo run --features cuda --example ptx` writes the files. Exits with an error when a kernel
//! spills registers, or when `--use_fast_math` changes more of an instruction than what it makes of
//! subnormal numbers (`.ftz`): no kernel may depend on how it is compiled.

#[path = "../src/device/cuda/nvrtc/compile.rs"]
mod compile;

use compile::{SOURCES, compile, version};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The oldest architecture that is served; the driver translates PTX for later ones.
const VIRTUAL: &str = "--gpu-architecture=compute_80";
/// What the resources are reported for.
const REAL: [&str; 2] = ["--gpu-architecture=sm_80", "--gpu-architecture=sm_90"];

/// Registers, bytes of spills and of static shared memory of each kernel, from the assembler's log.
fn resources(log: &str) -> BTreeMap<String, [u32; 3]> {
    let mut found = BTreeMap::new();
    let mut kernel = String::new();
    let mut spills = 0;
    for line in log.lines() {
        let number_before = |what: &str| {
            let before = &line[..line.find(what)?];
            before.split_whitespace().last()?.parse::<u32>().ok()
        };
        if let Some((_, rest)) = line.split_once("Function properties for ") {
            kernel = rest.trim().to_owned();
        } else if let Some(stores) = number_before(" bytes spill stores") {
            spills = stores + number_before(" bytes spill loads").unwrap_or(0);
        } else if let Some(registers) = number_before(" registers") {
            let shared = number_before(" bytes smem").unwrap_or(0);
            found.insert(std::mem::take(&mut kernel), [registers, spills, shared]);
        }
    }
    found
}

/// Bytes of shared memory that the host asks for at a launch, at the most, by the kernel's name with or
/// without its types; for ζ = 8.
const ASKED: [(&str, u32); 8] = [
    ("block_perm_rows", 64 << 10),
    ("block_perm_cols", 72 << 10),
    ("sparse_sign", 4 << 10),
    ("scatter_signs_f64", 64 << 10),
    ("scatter_signs", 32 << 10),
    ("hadamard", 64 << 10),
    ("cosine", 64 << 10),
    ("convolve", 64 << 10),
];

/// What a multiprocessor of [`REAL`] has of shared memory, of which every block takes 1 KiB beside its own.
const SHARED: [u32; 2] = [164 << 10, 228 << 10];

/// The share of 2048 threads that a multiprocessor holds at once, in per cent, by registers and shared memory.
fn occupancy(registers: u32, shared: u32, of: u32, threads: u32) -> u32 {
    let a_warp = (registers * 32).next_multiple_of(256);
    let warps = 65536 / a_warp;
    let by_shared = of / (shared + 1024);
    let blocks = (warps / (threads / 32)).min(2048 / threads).min(by_shared).min(32);
    100 * blocks * threads / 2048
}

/// The name of a kernel without the types at its end.
fn without_types(kernel: &str) -> &str {
    let shorter = ["_f32", "_f64", "_bf16", "_f16"].iter().find_map(|end| kernel.strip_suffix(end));
    shorter.map_or(kernel, without_types)
}

/// The number of threads that `.maxntid` states for a kernel.
fn threads(ptx: &str, kernel: &str) -> Option<u32> {
    let entry = &ptx[ptx.find(&format!(".entry {kernel}("))?..];
    let bound = &entry[entry.find(".maxntid ")? + ".maxntid ".len()..];
    bound.split([',', '\n']).next()?.trim().parse().ok()
}

fn main() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda");
    version()?;
    let files =
        fs::read_dir(&folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let files = files.filter(|name| name.ends_with(".cu")).count();
    if files != SOURCES.len() {
        return Err(format!("{files} files in cuda/, {} in compile.rs", SOURCES.len()).into());
    }
    let mut table = String::from(
        "# Made by examples/ptx.rs with NVRTC 12.0. Registers a thread; shared memory a block, at the\n# most that a launch asks for; occupancy by both.\n",
    );
    let mut spilled = Vec::new();
    for source in SOURCES {
        let stem = source.0;
        let (ptx, _) = compile(source, &[VIRTUAL])?;
        fs::write(folder.join("ptx").join(format!("{stem}.ptx")), &ptx)?;
        let (fast, _) = compile(source, &[VIRTUAL, "--use_fast_math"])?;
        if fast.replace(".ftz", "") != ptx {
            return Err(format!("fast-math changes instructions of {stem}.cu").into());
        }
        table += &format!(
            "\n{:<34}{:>9}{:>7}{:>7}{:>7}{:>7}{:>7}{:>7}\n",
            format!("{stem}.cu"),
            "threads",
            "r80",
            "occ80",
            "r90",
            "occ90",
            "spills",
            "shared"
        );
        let assembled = REAL.map(|real| {
            compile(source, &[real, "--ptxas-options=-v"]).map(|(_, log)| resources(&log))
        });
        let [old, new] = assembled;
        let (old, new) = (old?, new?);
        for (kernel, [r80, s80, shared]) in &old {
            let [r90, s90, _] = new[kernel];
            let t = threads(&ptx, kernel).ok_or_else(|| format!("{kernel}: no bound"))?;
            let is_named = |name: &str| name == kernel || name == without_types(kernel);
            let asked = ASKED.iter().find(|asked| is_named(asked.0));
            let shared = shared + asked.map_or(0, |asked| asked.1);
            let [o80, o90] = [(*r80, SHARED[0]), (r90, SHARED[1])]
                .map(|(registers, of)| occupancy(registers, shared, of, t));
            let spills = s80 + s90;
            table += &format!(
                "  {kernel:<32}{t:>9}{r80:>7}{:>7}{r90:>7}{:>7}{spills:>7}{shared:>7}\n",
                format!("{o80} %"),
                format!("{o90} %"),
            );
            if spills > 0 {
                spilled.push(kernel.clone());
            }
        }
    }
    fs::write(folder.join("resources.txt"), table)?;
    if spilled.is_empty() { Ok(()) } else { Err(format!("spills in {spilled:?}").into()) }
}
