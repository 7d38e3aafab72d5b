//! Makes `cuda/ptx/*.ptx` from `cuda/*.cu`, and `cuda/resources.txt`: what each kernel takes of a
//! multiprocessor. Needs NVRTC (`libnvrtc.so.12` of CUDA 12.0), and no GPU.
//!
//! `cargo run --features cuda --example ptx` writes the files. Exits with an error when a kernel
//! spills registers, or when fast-math changes the arithmetic of random numbers.

use cudarc::nvrtc::sys;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::{fs, ptr};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The oldest architecture that is served; the driver translates PTX for later ones.
const VIRTUAL: &str = "compute_80";
/// What the resources are reported for.
const REAL: [&str; 2] = ["sm_80", "sm_90"];

/// What the sources include.
const HEADERS: [&str; 6] =
    ["common.cuh", "half.cuh", "random.cuh", "permutation.cuh", "sparse.cuh", "transform.cuh"];

struct Compiled {
    ptx: String,
    log: String,
}

/// Compiles a file of `cuda/`; headers come from there too.
fn compile(folder: &Path, file: &str, architecture: &str, more: &[&str]) -> Result<Compiled> {
    let text = |path: &Path| -> Result<CString> { Ok(CString::new(fs::read_to_string(path)?)?) };
    let source = text(&folder.join(file))?;
    // A fixed name, so that every checkout gives the same bytes.
    let name = CString::new(format!("/randnla/cuda/{file}"))?;
    let headers = HEADERS.map(|name| text(&folder.join(name)));
    let headers = headers.into_iter().collect::<Result<Vec<_>>>()?;
    let names = HEADERS.map(|name| CString::new(name).unwrap());
    let mut options = vec![format!("--gpu-architecture={architecture}"), "--std=c++17".into()];
    options.extend(more.iter().map(|option| option.to_string()));
    let options: Vec<CString> = options.into_iter().map(|o| CString::new(o).unwrap()).collect();
    let options: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();
    let mut program = ptr::null_mut();
    let headers: Vec<_> = headers.iter().map(|header| header.as_ptr()).collect();
    let names: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: every text ends with a zero and outlives the program; sizes are asked for first.
    unsafe {
        sys::nvrtcCreateProgram(
            &mut program,
            source.as_ptr(),
            name.as_ptr(),
            headers.len() as i32,
            headers.as_ptr(),
            names.as_ptr(),
        )
        .result()?;
        let done = sys::nvrtcCompileProgram(program, options.len() as i32, options.as_ptr());
        let mut size = 0;
        sys::nvrtcGetProgramLogSize(program, &mut size).result()?;
        let mut log = vec![0u8; size.max(1)];
        sys::nvrtcGetProgramLog(program, log.as_mut_ptr().cast()).result()?;
        let log = CStr::from_bytes_until_nul(&log)?.to_string_lossy().into_owned();
        if done.result().is_err() {
            return Err(format!("{file} does not compile:\n{log}").into());
        }
        sys::nvrtcGetPTXSize(program, &mut size).result()?;
        let mut ptx = vec![0u8; size.max(1)];
        sys::nvrtcGetPTX(program, ptx.as_mut_ptr().cast()).result()?;
        let ptx = CStr::from_bytes_until_nul(&ptx)?.to_str()?.to_owned();
        sys::nvrtcDestroyProgram(&mut program).result()?;
        Ok(Compiled { ptx, log })
    }
}

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

/// The share of 2048 threads that a multiprocessor holds at once, in per cent, by registers.
fn occupancy(registers: u32, threads: u32) -> u32 {
    let a_warp = (registers * 32).next_multiple_of(256);
    let warps = 65536 / a_warp;
    let blocks = (warps / (threads / 32)).min(2048 / threads);
    100 * blocks * threads / 2048
}

/// The number of threads that `.maxntid` states for a kernel.
fn threads(ptx: &str, kernel: &str) -> Option<u32> {
    let entry = &ptx[ptx.find(&format!(".entry {kernel}("))?..];
    let bound = &entry[entry.find(".maxntid ")? + ".maxntid ".len()..];
    bound.split([',', '\n']).next()?.trim().parse().ok()
}

fn main() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda");
    // SAFETY: only tries to open the library.
    if !unsafe { sys::is_culib_present() } {
        return Err("there is no NVRTC (libnvrtc) on this machine".into());
    }
    let mut files: Vec<String> = fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".cu"))
        .collect();
    files.sort();
    let mut table = String::from(
        "# Made by examples/ptx.rs with NVRTC 12.0. Registers a thread, occupancy by registers.\n",
    );
    let mut spilled = Vec::new();
    for file in &files {
        let stem = file.trim_end_matches(".cu");
        let compiled = compile(&folder, file, VIRTUAL, &[])?;
        fs::write(folder.join("ptx").join(format!("{stem}.ptx")), &compiled.ptx)?;
        table += &format!(
            "\n{file:<34}{:>9}{:>7}{:>7}{:>7}{:>7}{:>7}{:>7}\n",
            "threads", "r80", "occ80", "r90", "occ90", "spills", "shared"
        );
        let assembled = REAL.map(|real| {
            compile(&folder, file, real, &["--ptxas-options=-v"]).map(|c| resources(&c.log))
        });
        let [old, new] = assembled;
        let (old, new) = (old?, new?);
        for (kernel, [r80, s80, shared]) in &old {
            let [r90, s90, _] = new[kernel];
            let t = threads(&compiled.ptx, kernel).ok_or_else(|| format!("{kernel}: no bound"))?;
            let (o80, o90, spills) = (occupancy(*r80, t), occupancy(r90, t), s80 + s90);
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
