//! Bad machines and bad pointers: no driver, an old one, no cuBLAS, two GPUs, no memory, launches
//! that fail. Each is a clear error, and nothing stays behind on the device.
//!
//! A process loads the driver once and the simulator reads its settings once, so every scenario runs
//! in a process of its own: this program again, with other variables.

#[path = "hardware/gpu.rs"]
mod shared;

use cudarc::driver::{result, sys};
use randnla::decomp::{RsvdParams, rsvd};
use randnla::{
    Blas, Cpu, Csr, CsrRef, Cuda, Device, Error, Family, Mat, MatMut, MatRef, Op, Result, Sketch,
    SparseKernels, TransformKernels,
};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names the scenario of a child.
const SCENARIO: &str = "RNLA_TEST_SCENARIO";

struct Scenario {
    name: &'static str,
    /// Variables of the simulator.
    machine: &'static [(&'static str, &'static str)],
    run: fn(),
}

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "no driver", machine: &[], run: no_driver },
    Scenario { name: "an old driver", machine: &[("RNLA_SIM_DRIVER", "11080")], run: old_driver },
    Scenario { name: "an old GPU", machine: &[("RNLA_SIM_CAPABILITY", "75")], run: old_gpu },
    Scenario { name: "no GPU", machine: &[("RNLA_SIM_DEVICES", "0")], run: no_gpu },
    #[cfg(feature = "nvrtc")]
    Scenario { name: "no NVRTC", machine: &[], run: no_nvrtc },
    Scenario { name: "no cuBLAS", machine: &[], run: no_cublas },
    Scenario { name: "a broken cuBLAS", machine: &[("RNLA_SIM_BLAS", "0")], run: broken_cublas },
    Scenario { name: "two GPUs", machine: &[("RNLA_SIM_DEVICES", "2")], run: two_gpus },
    Scenario {
        name: "little memory",
        machine: &[("RNLA_SIM_MEMORY", "1048576")],
        run: little_memory,
    },
    Scenario { name: "calls that fail", machine: &[], run: calls_that_fail },
    Scenario { name: "memory that is gone", machine: &[], run: memory_that_is_gone },
    Scenario { name: "memory that is kept", machine: &[], run: memory_that_is_kept },
];

#[test]
fn gpu_bad_machines_are_clear_errors_and_leak_nothing() {
    let simulated = simulator_is_there();
    for scenario in SCENARIOS {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "gpu_scenario_of_a_child", "--nocapture"]);
        child.env(SCENARIO, scenario.name).envs(scenario.machine.iter().copied());
        match scenario.name {
            "no driver" => child.env_remove("LD_LIBRARY_PATH"),
            _ if !simulated => continue,
            "no cuBLAS" => child.env("LD_LIBRARY_PATH", driver_and_all_but("libcublas")),
            "no NVRTC" => child.env("LD_LIBRARY_PATH", driver_and_all_but("libnvrtc")),
            _ => &mut child,
        };
        let output = child.output().unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}:\n{out}\n{err}", scenario.name);
        for skipped in err.lines().filter_map(|line| line.strip_prefix("SKIPPED ")) {
            shared::skipped("gpu_bad_input", skipped);
        }
    }
}

/// Whether the simulator is the driver; says so where it is not.
fn simulator_is_there() -> bool {
    let simulates = || simulated::<unsafe extern "C" fn()>(b"cuda_sim_reset_fault\0").is_some();
    match shared::gpu("gpu_bad_input, but for the missing driver") {
        Some(_) if simulates() => true,
        Some(_) => {
            shared::skipped("gpu_bad_input", "bad machines are simulated, this is a real GPU");
            false
        }
        None => false,
    }
}

/// The search path of libraries without those places that hold one, but with the simulator's link for
/// the driver.
fn driver_and_all_but(library: &str) -> OsString {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-alone");
    std::fs::create_dir_all(&directory).unwrap();
    let paths = std::env::var_os("LD_LIBRARY_PATH").unwrap();
    let paths: Vec<PathBuf> = std::env::split_paths(&paths).collect();
    let mut places = paths.iter().map(|path| path.join("libcuda.so"));
    let driver = places.find(|place| place.exists()).unwrap();
    let link = directory.join("libcuda.so");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(driver.canonicalize().unwrap(), link).unwrap();
    let holds = |path: &&PathBuf| {
        let names = path.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| name.to_string_lossy().starts_with(library))
    };
    let others = paths.iter().filter(|path| !holds(path)).cloned();
    std::env::join_paths([directory].into_iter().chain(others)).unwrap()
}

/// What a child runs; nothing in the parent.
#[test]
fn gpu_scenario_of_a_child() {
    let Ok(name) = std::env::var(SCENARIO) else { return };
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
    (scenario.run)();
    if let Some(live) = live() {
        assert_eq!(live, (0, 0), "{name}: allocations and handles that live");
    }
}

/// A function that the simulator exports beside the driver API.
fn simulated<F: Copy>(name: &[u8]) -> Option<F> {
    // SAFETY: callers name the type that the simulator documents; a driver is loaded or there is
    // nothing to look into.
    unsafe {
        let driver = cudarc::driver::sys::is_culib_present().then(|| cudarc::driver::sys::culib());
        driver?.get::<F>(name).ok().map(|symbol| *symbol)
    }
}

/// Allocations and handles that live on the simulated device.
fn live() -> Option<(usize, usize)> {
    let count = |name| {
        // SAFETY: functions without arguments.
        simulated::<unsafe extern "C" fn() -> usize>(name).map(|count| unsafe { count() })
    };
    Some((count(b"cuda_sim_live_allocations\0")?, count(b"cuda_sim_live_handles\0")?))
}

#[track_caller]
fn is_unavailable<T: core::fmt::Debug>(result: Result<T>, words: &[&str]) {
    match &result {
        Err(Error::DeviceUnavailable { reason }) => {
            assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
        }
        _ => panic!("{result:?}"),
    }
}

fn host(rows: usize, cols: usize) -> Mat<f64> {
    Sketch::uniform(rows, cols, 3).unwrap().raw().to_mat(&Cpu::new()).unwrap()
}

fn no_driver() {
    match Cuda::new(0) {
        Ok(_) => shared::skipped("no driver", "this machine has one"),
        failed => is_unavailable(failed, &["no CUDA driver", "libcuda"]),
    }
}

fn old_driver() {
    is_unavailable(Cuda::new(0), &["11.8", "12.0"]);
}

fn old_gpu() {
    is_unavailable(Cuda::new(0), &["capability 7", "8.0"]);
}

fn no_gpu() {
    is_unavailable(Cuda::new(0), &["cuInit", "CUDA_ERROR_NO_DEVICE"]);
}

#[cfg(feature = "nvrtc")]
fn no_nvrtc() {
    match Cuda::new(0) {
        Ok(_) => shared::skipped("no NVRTC", "this machine has one elsewhere"),
        failed => is_unavailable(failed, &["no NVRTC", "libnvrtc"]),
    }
}

/// Products fail; what needs no cuBLAS works.
fn no_cublas() {
    let cuda = Cuda::new(0).unwrap();
    let a = host(20, 20).to_device(&cuda).unwrap();
    let mut c = Mat::<f64, Cuda>::zeros(&cuda, 20, 20).unwrap();
    is_unavailable(cuda.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut()), &["libcublas"]);
    is_unavailable(rsvd(&a, RsvdParams::rank(3)).map(drop), &["libcublas"]);
    let s = Sketch::sparse_stack(8, 20, 4, 1).unwrap();
    let expected = s.apply(host(20, 20)).unwrap().to_vec().unwrap();
    let got = s.apply(&a).unwrap().to_vec().unwrap();
    for (x, y) in got.iter().zip(&expected) {
        assert!((x - y).abs() <= 30.0 * f64::EPSILON * 20.0, "{x} {y}");
    }
}

fn broken_cublas() {
    let cuda = Cuda::new(0).unwrap();
    let a = host(20, 20).to_device(&cuda).unwrap();
    let mut c = Mat::<f64, Cuda>::zeros(&cuda, 20, 20).unwrap();
    // A second try is no worse.
    for _ in 0..2 {
        let failed = cuda.gemm(1.0, a.as_ref(), a.as_ref(), 0.0, c.as_mut());
        let clear = matches!(&failed, Err(Error::DeviceFailure { call: "cublasCreate", reason })
            if reason.contains("NOT_INITIALIZED"));
        assert!(clear, "{failed:?}");
    }
}

/// Operands of two GPUs are refused before anything is written; each GPU works for itself.
fn two_gpus() {
    let gpus = [Cuda::new(0).unwrap(), Cuda::new(1).unwrap()];
    assert!(matches!(Cuda::new(2), Err(Error::InvalidArgument { argument: "ordinal", .. })));
    assert!(!gpus[0].is_compatible(&gpus[1]));
    let [a, b] = gpus.each_ref().map(|gpu| host(30, 30).to_device(gpu).unwrap());
    let mut c = Mat::<f64, Cuda>::zeros(&gpus[0], 30, 30).unwrap();
    let s = Sketch::gaussian(30, 30, 1).unwrap();
    let refused = |result: Result<()>| {
        assert!(matches!(result, Err(Error::DeviceMismatch { .. })), "{result:?}");
    };
    let triplets = [(0, 1, 2.0), (3, 4, 5.0)];
    let sparse = Csr::from_triplets(&gpus[1], (30, 30), &triplets).unwrap();
    refused(s.apply_into(1.0, &b, 0.0, c.as_mut()));
    refused(s.apply_into(1.0, &sparse, 0.0, c.as_mut()));
    refused(s.prepare::<f64, Cuda>(&gpus[1]).unwrap().apply_into(1.0, &b, 0.0, c.as_mut()));
    refused(c.as_mut().axpby(1.0, b.as_ref(), 0.0));
    refused(gpus[0].gemm(1.0, a.as_ref(), b.as_ref(), 0.0, c.as_mut()));
    refused(gpus[0].max_abs(b.as_ref()).map(drop));
    refused(gpus[0].spmm(1.0, sparse.as_ref(), Op::NoTrans, a.as_ref(), 0.0, c.as_mut()));
    // Views say at once that a pointer is another GPU's.
    let (pointer, x) = (b.as_ref().as_ptr(), sparse.as_ref());
    // SAFETY: of what is not refused nothing is read.
    unsafe {
        let view = |gpu| MatRef::<f64, Cuda>::from_raw_parts(gpu, pointer, (30, 30), (1, 30));
        let target = MatMut::from_raw_parts(&gpus[0], pointer.cast_mut(), (30, 30), (1, 30));
        let (rows, columns) = (x.row_ptr(), x.col_idx());
        let csr =
            |gpu| CsrRef::<f64, Cuda>::from_raw_parts(gpu, (30, 30), 2, rows, columns, x.values());
        refused(view(&gpus[0]).map(drop));
        refused(target.map(drop));
        refused(csr(&gpus[0]).map(drop));
        assert!(view(&gpus[1]).is_ok() && csr(&gpus[1]).is_ok());
    }
    assert_eq!(c.to_vec().unwrap(), vec![0.0; 900]);
    for x in [&a, &b] {
        assert_eq!(s.apply(x).unwrap().to_vec().unwrap(), s.apply(&a).unwrap().to_vec().unwrap());
    }
}

/// A limit that holds the matrix but not what a decomposition needs beside it.
fn little_memory() {
    let cuda = Cuda::new(0).unwrap();
    let a = host(300, 300).to_device(&cuda).unwrap();
    let bytes = |result: Result<()>| match result {
        Err(Error::OutOfMemory { bytes }) => bytes,
        other => panic!("{other:?}"),
    };
    assert_eq!(bytes(a.to_device(&cuda).map(drop)), 300 * 300 * 8);
    assert!(bytes(rsvd(&a, RsvdParams::rank(150)).map(drop)) > 0);
    assert_eq!(bytes(Mat::<f64, Cuda>::zeros(&cuda, 1 << 31, 1 << 31).map(drop)), usize::MAX);
    // The handle is as good as before.
    assert_eq!(rsvd(&a, RsvdParams::rank(2)).unwrap().rank(), 2);
}

/// A call that allocates and launches.
type Job<'a> = (String, Box<dyn Fn() -> Result<()> + 'a>);

fn jobs<'a>(cuda: &'a Cuda, a: &'a Mat<f64, Cuda>, sparse: &'a Csr<f64, Cuda>) -> Vec<Job<'a>> {
    let (m, n) = a.shape();
    // Neither stride is 1: packed before products.
    let backwards = {
        let view = a.as_ref();
        let last = view.as_ptr().wrapping_offset(
            (m as isize - 1) * view.row_stride() + (n as isize - 1) * view.col_stride(),
        );
        let strides = (-view.row_stride(), -view.col_stride());
        // SAFETY: the entries of A, from the last to the first.
        unsafe { MatRef::from_raw_parts(cuda, last, (m, n), strides) }.unwrap()
    };
    let mut jobs: Vec<Job> = vec![
        ("zeros".into(), Box::new(|| Mat::<f64, Cuda>::zeros(cuda, 9, 9).map(drop))),
        ("upload".into(), Box::new(|| host(9, 9).to_device(cuda).map(drop))),
        ("Csr".into(), Box::new(|| Csr::from_triplets(cuda, (9, 9), &[(1, 2, 3.0)]).map(drop))),
        (
            "products".into(),
            Box::new(move || {
                let mut g = Mat::zeros(cuda, n, n)?;
                cuda.gemm(1.0, backwards.transpose(), backwards, 0.0, g.as_mut())?;
                cuda.gram(backwards, g.as_mut())
            }),
        ),
        (
            "norms".into(),
            Box::new(move || {
                cuda.max_abs(backwards)?;
                cuda.sum_of_squares(backwards, 0)?;
                cuda.column_sums_of_squares(backwards, 0, &mut vec![0.0; n])?;
                cuda.find_non_finite(backwards).map(drop)
            }),
        ),
        (
            "spmm".into(),
            Box::new(move || {
                let mut c = Mat::zeros(cuda, n, n)?;
                cuda.spmm(1.0, sparse.as_ref(), Op::Trans, a.as_ref(), 0.0, c.as_mut())
            }),
        ),
        (
            "dct".into(),
            Box::new(move || {
                let mut copy = Mat::zeros(cuda, m, n)?;
                copy.as_mut().axpby(1.0, a.as_ref(), 0.0)?;
                cuda.dct(Op::NoTrans, copy.as_mut())
            }),
        ),
        ("rsvd".into(), Box::new(|| rsvd(a, RsvdParams::rank(4)).map(drop))),
        ("rsvd, CSR".into(), Box::new(|| rsvd(sparse, RsvdParams::rank(4)).map(drop))),
    ];
    for family in [
        Family::Gaussian,
        Family::SparseStack,
        Family::Laso,
        Family::RowSampling,
        Family::Srht,
        Family::Srct,
        Family::Haar,
    ] {
        let s = Sketch::of_family(family, 8, m, 3, 1).unwrap();
        let name = format!("{family:?}");
        jobs.push((name.clone(), Box::new(move || s.apply(a).map(drop))));
        jobs.push((format!("{name}, CSR"), Box::new(move || s.apply(sparse).map(drop))));
        let prepared = move || s.prepare::<f64, Cuda>(cuda)?.apply(a).map(drop);
        jobs.push((format!("{name}, prepared"), Box::new(prepared)));
    }
    jobs
}

/// Every allocation and every launch of every job fails in turn: the error says which, nothing stays
/// behind, and the handle is as good as before.
fn calls_that_fail() {
    let fail = |name: &[u8], nth: u64| {
        // SAFETY: the simulator exports functions of this type under these names.
        unsafe { simulated::<unsafe extern "C" fn(u64)>(name).unwrap()(nth) }
    };
    let cuda = Cuda::new(0).unwrap();
    let a = host(40, 30).to_device(&cuda).unwrap();
    let triplets: Vec<_> = (0..40).map(|i| (i, i * 7 % 30, 1.0 / (1 + i) as f64)).collect();
    let sparse = Csr::from_triplets(&cuda, (40, 30), &triplets).unwrap();
    for (name, job) in jobs(&cuda, &a, &sparse) {
        // Modules and the handle of cuBLAS stay.
        job().unwrap();
        let before = live();
        // Every allocation is tried again, so all that follow fail too.
        for nth in 1.. {
            fail(b"cuda_sim_fail_allocations\0", nth);
            let result = job();
            assert_eq!(live(), before, "{name}: allocation {nth}");
            match result {
                Ok(()) => break,
                Err(Error::OutOfMemory { bytes }) => assert!(bytes > 0, "{name}: {bytes}"),
                Err(error) => panic!("{name}, allocation {nth}: {error}"),
            }
        }
        fail(b"cuda_sim_fail_allocations\0", 0);
        for nth in 1.. {
            fail(b"cuda_sim_fail_launch\0", nth);
            let result = job();
            assert_eq!(live(), before, "{name}: launch {nth}");
            match result {
                Ok(()) => break,
                Err(Error::DeviceFailure { call, reason }) => {
                    assert!(!call.is_empty(), "{name}: launch {nth}");
                    assert!(reason.contains("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"), "{reason}");
                }
                Err(error) => panic!("{name}, launch {nth}: {error}"),
            }
        }
        fail(b"cuda_sim_fail_launch\0", 0);
        job().unwrap();
    }
}

/// Memory that a pool keeps is given back before a call fails for want of it, and on demand; not while a
/// graph is captured.
fn memory_that_is_kept() {
    // SAFETY: the simulator exports functions of these types under these names.
    let trims =
        || unsafe { simulated::<unsafe extern "C" fn() -> usize>(b"cuda_sim_trims\0").unwrap()() };
    // SAFETY: as above.
    let fail_next = || unsafe {
        simulated::<unsafe extern "C" fn(u64)>(b"cuda_sim_fail_allocation\0").unwrap()(1)
    };
    let cuda = Cuda::new(0).unwrap();
    let a = host(8, 8).to_device(&cuda).unwrap();
    assert_eq!(trims(), 0);
    cuda.trim().unwrap();
    assert_eq!(trims(), 1);
    fail_next();
    assert_eq!(a.try_clone().unwrap().to_vec().unwrap(), a.to_vec().unwrap());
    assert_eq!(trims(), 2);

    let stream: sys::CUstream = cuda.raw_stream().cast();
    let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL;
    // SAFETY: the device exists and the stream lives; the graph is never launched.
    unsafe {
        let context = result::primary_ctx::retain(0).unwrap();
        result::ctx::set_current(context).unwrap();
        result::stream::begin_capture(stream, mode).unwrap();
        fail_next();
        let failed = a.try_clone().map(drop);
        let clear = matches!(failed, Err(Error::OutOfMemory { bytes }) if bytes >= 8 * 8 * 8);
        assert!(clear, "{failed:?}");
        assert!(matches!(cuda.trim(), Err(Error::Unsupported { op: "Cuda::trim", .. })));
        assert_eq!(trims(), 2);
        drop(a.try_clone().unwrap());
        result::graph::destroy(result::stream::end_capture(stream).unwrap()).unwrap();
        result::ctx::set_current(core::ptr::null_mut()).unwrap();
        result::primary_ctx::release(0).unwrap();
    }
}

/// A pointer of a framework to memory that it has freed: the kernel fails, and so does what follows.
fn memory_that_is_gone() {
    let cuda = Cuda::new(0).unwrap();
    let freed = host(20, 20).to_device(&cuda).unwrap();
    let kept = host(20, 20).to_device(&cuda).unwrap();
    let ptr = freed.as_ref().as_ptr();
    // SAFETY: it is not: the view will dangle, and the simulator notices.
    let gone = unsafe { MatRef::<f64, Cuda>::from_raw_parts(&cuda, ptr, (20, 20), (1, 20)) };
    drop(freed);
    let failed = |result: Result<f64>| {
        let clear = matches!(&result, Err(Error::DeviceFailure { reason, .. })
            if reason.contains("CUDA_ERROR_ILLEGAL_ADDRESS"));
        assert!(clear, "{result:?}");
    };
    failed(cuda.max_abs(gone.unwrap()));
    failed(cuda.max_abs(kept.as_ref()));
}
