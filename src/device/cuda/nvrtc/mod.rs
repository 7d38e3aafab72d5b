//! The kernels compiled by NVRTC for the GPU at hand (feature `nvrtc`).
//!
//! The result is PTX for the GPU's own compute capability: the driver makes machine code of it and
//! keeps that in its cache on disk, as it does for the PTX that ships. NVRTC takes some ten seconds
//! for all files and has no cache, so their PTX is kept for the process.

mod compile;

use super::driver::Context;
use crate::{Error, Result};
use cudarc::nvrtc::sys;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// PTX by the name of the file of kernels.
type Ptx = [(&'static str, String); compile::SOURCES.len()];

/// All kernels for the GPU of the context.
pub(super) fn compiled(context: &Context) -> Result<Arc<Ptx>> {
    static KEPT: Mutex<BTreeMap<i32, Arc<Ptx>>> = Mutex::new(BTreeMap::new());
    let architecture = architecture(context)?;
    let mut kept = super::lock(&KEPT);
    if let Some(known) = kept.get(&architecture) {
        return Ok(known.clone());
    }
    let made = Arc::new(compile_for(architecture, &[])?);
    kept.insert(architecture, made.clone());
    Ok(made)
}

/// All kernels for an architecture, with further options.
fn compile_for(architecture: i32, more: &[&str]) -> Result<Ptx> {
    let target = format!("--gpu-architecture=compute_{architecture}");
    let options: Vec<&str> = [target.as_str()].iter().chain(more).copied().collect();
    let mut all = compile::SOURCES.map(|(name, _)| (name, String::new()));
    for (source, (_, ptx)) in compile::SOURCES.into_iter().zip(&mut all) {
        *ptx = compile::compile(source, &options).map_err(unavailable)?.0;
    }
    Ok(all)
}

/// What to compile for: the capability of the GPU, times ten, or the nearest below that NVRTC knows.
fn architecture(context: &Context) -> Result<i32> {
    let version = compile::version().map_err(unavailable)?;
    readable(version, context.driver_version()?).map_err(unavailable)?;
    let mut count = 0;
    // SAFETY: writes one integer.
    let counted = unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) };
    compile::done("nvrtcGetNumSupportedArchs", counted).map_err(unavailable)?;
    let mut known = vec![0; count.max(0) as usize];
    // SAFETY: as many integers as it says.
    let listed = unsafe { sys::nvrtcGetSupportedArchs(known.as_mut_ptr()) };
    compile::done("nvrtcGetSupportedArchs", listed).map_err(unavailable)?;
    let capability = context.capability()?;
    nearest(capability, &known).ok_or_else(|| {
        unavailable(format!("NVRTC does not compile for compute capability {capability} / 10"))
    })
}

fn nearest(capability: i32, known: &[i32]) -> Option<i32> {
    known.iter().copied().filter(|&architecture| architecture <= capability).max()
}

/// Whether a driver reads the PTX of this NVRTC: PTX has versions, and NVRTC writes its newest.
fn readable(nvrtc: (i32, i32), driver: i32) -> core::result::Result<(), String> {
    if 1000 * nvrtc.0 + 10 * nvrtc.1 <= driver {
        return Ok(());
    }
    let ((major, minor), (has, had)) = (nvrtc, (driver / 1000, driver % 1000 / 10));
    Err(format!("NVRTC of CUDA {major}.{minor} is newer than the driver, of CUDA {has}.{had}"))
}

fn unavailable(reason: String) -> Error {
    Error::DeviceUnavailable { reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cuda::tests::gpu;
    use crate::{Cpu, Cuda, Family, Half, Mat, Scalar, Sketch, SketchBackend, SketchKernels};
    use crate::{bf16, f16};

    #[test]
    fn architectures_are_the_nearest_that_are_known() {
        let known = [80, 86, 75, 90];
        for (capability, expected) in [(80, 80), (86, 86), (89, 86), (90, 90), (120, 90)] {
            assert_eq!(nearest(capability, &known), Some(expected));
        }
        assert_eq!(nearest(70, &known), None);
    }

    #[test]
    fn drivers_read_ptx_up_to_their_own_version() {
        assert_eq!(readable((12, 0), 12_000), Ok(()));
        assert_eq!(readable((12, 8), 13_000), Ok(()));
        let error = readable((12, 8), 12_040).unwrap_err();
        assert!(error.contains("12.8") && error.contains("12.4"), "{error}");
    }

    #[test]
    fn gpu_kernels_are_compiled_once_and_for_the_gpu() {
        let Some(cuda) = gpu("compiled kernels") else { return };
        let context = cuda.context();
        let ptx = compiled(context).unwrap();
        let target = format!(".target sm_{}\n", architecture(context).unwrap());
        assert!(ptx.iter().all(|(_, text)| text.contains(&target)));
        assert!(Arc::ptr_eq(&ptx, &compiled(context).unwrap()));
    }

    /// What no source holds is told by the compiler, with file and line.
    #[test]
    fn gpu_errors_of_nvrtc_are_told() {
        if gpu("errors of NVRTC").is_none() {
            return;
        }
        let error = compile::compile(("wrong", "int x;\nno y;"), &[]).unwrap_err();
        assert!(error.contains("NVRTC_ERROR_COMPILATION"), "{error}");
        assert!(error.contains("/randnla/cuda/wrong.cu(2): error"), "{error}");
    }

    /// Fast-math may flush subnormal numbers and replace divisions and roots. Random numbers use
    /// neither: what generates them has the same bits, entries as well as positions and signs.
    #[test]
    fn gpu_fast_math_does_not_change_operators() {
        let Some(cuda) = gpu("fast-math") else { return };
        let architecture = architecture(cuda.context()).unwrap();
        let ptx = compile_for(architecture, &["--use_fast_math"]).unwrap();
        assert!(ptx.iter().any(|(_, text)| text.contains("fma.rn.ftz.f32")));
        let fast = Cuda::with_ptx(Context::retain(0).unwrap(), &ptx).unwrap();
        same_entries::<f32>(&fast);
        same_entries::<f64>(&fast);
        same_halves::<f16>(&fast);
        same_halves::<bf16>(&fast);
    }

    const SEED: u64 = 0xfa57_0a74_0123_4567;

    fn same_entries<T: Scalar>(fast: &Cuda)
    where
        Cuda: crate::Backend<T>,
        Cpu: crate::Backend<T>,
    {
        let cpu = Cpu::with_threads(1).unwrap();
        let bits = |x: T| x.to_f64().to_bits();
        for (family, d, m) in [
            (Family::Gaussian, 300, 1000),
            (Family::Rademacher, 300, 1000),
            (Family::Uniform, 300, 1000),
            (Family::SparseSign, 300, 1000),
            (Family::SparseStack, 300, 1000),
            (Family::CountSketch, 300, 1000),
            (Family::Laso, 300, 1000),
            (Family::RowSampling, 300, 1000),
            (Family::BlockPermSjlt, 300, 1000),
            // Hadamard sums of this order are exact, and so is their factor.
            (Family::Srht, 200, 256),
            (Family::HadamardDiagonal, 200, 256),
        ] {
            let s = Sketch::of_family(family, d, m, 4, SEED).unwrap();
            let got = s.to_mat::<T, _>(fast).unwrap().to_vec().unwrap();
            let expected = s.to_mat::<T, _>(&cpu).unwrap().to_vec().unwrap();
            let same = got.iter().zip(&expected).all(|(&x, &y)| bits(x) == bits(y));
            assert!(same && got.len() == expected.len(), "{} {family:?}", T::NAME);
            if family.is_column_sparse() {
                let got = fast.download_indices(&fast.indices(&s).unwrap()).unwrap();
                let indices = <Cpu as SketchKernels<T>>::indices(&cpu, &s).unwrap();
                let expected = <Cpu as SketchKernels<T>>::download_indices(&cpu, &indices).unwrap();
                assert_eq!(got, expected, "{family:?}");
            }
        }
        // Fused products hand out single entries when they meet the identity.
        let identity = |device: &Cuda| {
            Mat::<T, Cuda>::from_fn(
                device,
                16,
                16,
                |i, j| if i == j { T::one() } else { T::zero() },
            )
        };
        for family in [Family::Gaussian, Family::Rademacher, Family::Uniform] {
            let s = Sketch::of_family(family, 5000, 16, 4, SEED).unwrap().raw();
            let got = s.apply(identity(fast).unwrap()).unwrap().to_vec().unwrap();
            let expected = s.to_mat::<T, _>(&cpu).unwrap().to_vec().unwrap();
            let same = got.iter().zip(&expected).all(|(&x, &y)| bits(x) == bits(y));
            assert!(same, "{} {family:?}, fused", T::NAME);
        }
    }

    fn same_halves<H: Half>(fast: &Cuda)
    where
        Cuda: SketchBackend<H>,
        Cpu: SketchBackend<H>,
    {
        let cpu = Cpu::with_threads(1).unwrap();
        let one = |i, j| H::narrow(f32::from(u8::from(i == j)));
        let identity = Mat::<H, Cuda>::from_fn(fast, 64, 64, one).unwrap();
        for family in [Family::Gaussian, Family::Rademacher, Family::Uniform] {
            let s = Sketch::of_family(family, 1000, 64, 4, SEED).unwrap().raw();
            let entries =
                |x: Vec<H>| x.into_iter().map(|x| x.widen().to_bits()).collect::<Vec<_>>();
            let expected = entries(s.to_mat::<H, _>(&cpu).unwrap().to_vec().unwrap());
            let formed = s.to_mat::<H, _>(fast).unwrap().to_vec().unwrap();
            let fused = s.apply(&identity).unwrap().to_vec().unwrap();
            assert!(entries(formed) == expected, "{} {family:?}", H::NAME);
            assert!(entries(fused) == expected, "{} {family:?}, fused", H::NAME);
        }
    }
}
