//! cuBLAS: matrix products. No other part of it is used, and never TF32.
//!
//! cuBLAS wants one unit stride and positive leading dimensions, and counts in 32 bits; `product` packs and
//! cuts what is otherwise.

use super::driver::{Event, Relaxed, Stream};
use super::{Cuda, lock};
use crate::{Error, Op, Result, Uplo};
use core::ffi::{c_int, c_longlong};
use cudarc::cublas::result::{self, CublasError};
use cudarc::cublas::sys;

/// What is called here.
const FUNCTIONS: [&str; 13] = [
    "cublasCreate_v2",
    "cublasDestroy_v2",
    "cublasSetStream_v2",
    "cublasSetMathMode",
    "cublasSgemm_v2",
    "cublasDgemm_v2",
    "cublasSgemmStridedBatched",
    "cublasDgemmStridedBatched",
    "cublasGemmEx",
    "cublasSsyrk_v2",
    "cublasDsyrk_v2",
    "cublasStrsm_v2",
    "cublasDtrsm_v2",
];

/// A handle of cuBLAS that works on one stream.
#[derive(Debug)]
pub(super) struct Cublas {
    raw: sys::cublasHandle_t,
}

// SAFETY: a handle may be used from any thread, by one at a time; it is kept in a mutex.
unsafe impl Send for Cublas {}

impl Cublas {
    /// A handle on the stream of `cuda`, whose context is current.
    fn new(cuda: &Cuda) -> Result<Self> {
        let unavailable = |reason| Err(Error::DeviceUnavailable { reason });
        // cudarc panics where the library, or a function of it, is missing.
        // SAFETY: only tries to open the library.
        if !unsafe { sys::is_culib_present() } {
            return unavailable("there is no cuBLAS (libcublas) on this machine".into());
        }
        // SAFETY: the library was found; the functions are not called.
        let is_missing =
            |name: &str| unsafe { sys::culib().get::<*const ()>(name.as_bytes()).is_err() };
        if let Some(missing) = FUNCTIONS.iter().find(|name| is_missing(name)) {
            return unavailable(format!("cuBLAS (libcublas) has no {missing}"));
        }
        let _relaxed = Relaxed::enter();
        let handle =
            Self { raw: result::create_handle().map_err(|error| failed("cublasCreate", error))? };
        handle.bind(cuda.stream())?;
        let mode = sys::cublasMath_t::CUBLAS_DEFAULT_MATH;
        // SAFETY: the handle lives.
        unsafe { sys::cublasSetMathMode(handle.raw, mode) }
            .result()
            .map_err(|error| failed("cublasSetMathMode", error))?;
        Ok(handle)
    }

    /// Works on this stream from now on.
    pub(super) fn bind(&self, stream: &Stream) -> Result<()> {
        // SAFETY: handle and stream live.
        unsafe { result::set_stream(self.raw, stream.raw().cast()) }
            .map_err(|error| failed("cublasSetStream", error))
    }
}

impl Drop for Cublas {
    fn drop(&mut self) {
        // SAFETY: created by `new`, and the context is current.
        let _ = unsafe { result::destroy_handle(self.raw) };
    }
}

/// A handle whose stream is no longer used, and the end of what that was given. It works on one stream at a
/// time: on two it would choose other memory to work in, and give other bits.
pub(super) struct Idle {
    cublas: Cublas,
    end: Event,
}

impl Idle {
    /// The handle after its work on `stream`; `alive` is any stream that lives on.
    pub(super) fn after(cublas: Cublas, stream: &Stream, alive: &Stream) -> Result<Self> {
        cublas.bind(alive)?;
        Ok(Self { cublas, end: Event::record(stream)? })
    }

    /// Works on this stream from now on, which waits for the work before.
    fn serve(self, stream: &Stream) -> Result<Cublas> {
        let Self { cublas, end } = self;
        let waits = stream.wait_event(&end);
        end.destroy();
        waits.and_then(|()| cublas.bind(stream)).map(|()| cublas)
    }

    /// Gives everything back. The context is current, and all work is done.
    pub(super) fn destroy(self) {
        self.end.destroy();
    }
}

fn failed(call: &'static str, error: CublasError) -> Error {
    if error.0 == sys::cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED {
        // cuBLAS does not tell how much it has not found.
        return Error::OutOfMemory { bytes: 0 };
    }
    Error::DeviceFailure { call, reason: format!("{:?}", error.0) }
}

/// An operand as cuBLAS takes it: column-major with a leading dimension, perhaps transposed.
#[derive(Clone, Copy)]
pub(super) struct Operand<T> {
    pub(super) ptr: *const T,
    pub(super) ld: usize,
    pub(super) op: Op,
    /// Elements from one matrix of a batch to the next.
    pub(super) step: isize,
}

fn operation(op: Op) -> sys::cublasOperation_t {
    match op {
        Op::NoTrans => sys::cublasOperation_t::CUBLAS_OP_N,
        Op::Trans => sys::cublasOperation_t::CUBLAS_OP_T,
    }
}

/// cuBLAS counts in 32 bits.
fn int(op: &'static str, x: usize) -> Result<c_int> {
    c_int::try_from(x).map_err(|_| {
        let what = format!("a dimension of {x} in a product on a GPU, 2^31 − 1 is the most");
        Error::Unsupported { op, what }
    })
}

impl Cuda {
    /// Calls cuBLAS on the stream of this handle, for `op`.
    fn cublas(
        &self,
        op: &'static str,
        call: impl FnOnce(sys::cublasHandle_t) -> Result<()>,
    ) -> Result<()> {
        let _current = self.enter()?;
        let mut cublas = lock(&self.queue.cublas);
        let handle = match &mut *cublas {
            Some(handle) => handle,
            empty => {
                // To make a handle is to allocate, and to do work that is none of the graph's.
                self.refuse_capture(op, "the first product on a stream")?;
                let idle = lock(&self.gpu.idle).pop();
                empty.insert(match idle {
                    Some(idle) => idle.serve(self.stream())?,
                    // What cuBLAS works in does not come from our pool.
                    None => self.again_after_trim(|| Cublas::new(self))?,
                })
            }
        };
        call(handle.raw)
    }
}

/// The calls of one scalar type.
pub(super) trait Products: Sized {
    /// `C ← α op(A) op(B) + β C` for `batch` triples; C column-major m×n with leading dimension
    /// `ldc` and matrices `step` apart.
    ///
    /// # Safety
    /// The operands are valid on the device for these sizes.
    #[allow(clippy::too_many_arguments)]
    unsafe fn gemm(
        cuda: &Cuda,
        sizes: (usize, usize, usize),
        alpha: Self,
        a: Operand<Self>,
        b: Operand<Self>,
        beta: Self,
        c: (*mut Self, usize, isize),
        batch: usize,
    ) -> Result<()>;

    /// The lower triangle of `G ← op(A) op(A)ᵀ + β G`, n×n, k the inner dimension.
    ///
    /// # Safety
    /// As [`Products::gemm`].
    unsafe fn syrk(
        cuda: &Cuda,
        sizes: (usize, usize),
        a: Operand<Self>,
        beta: Self,
        g: (*mut Self, usize),
    ) -> Result<()>;

    /// `B ← op(A)⁻¹ B` (`left`) or `B ← B op(A)⁻¹`, B column-major m×n.
    ///
    /// # Safety
    /// As [`Products::gemm`].
    unsafe fn trsm(
        cuda: &Cuda,
        left: bool,
        uplo: Uplo,
        sizes: (usize, usize),
        a: Operand<Self>,
        b: (*mut Self, usize),
    ) -> Result<()>;
}

macro_rules! products {
    ($t:ty, $gemm:ident, $batched:ident, $syrk:ident, $trsm:ident) => {
        impl Products for $t {
            unsafe fn gemm(
                cuda: &Cuda,
                (m, n, k): (usize, usize, usize),
                alpha: $t,
                a: Operand<$t>,
                b: Operand<$t>,
                beta: $t,
                (c, ldc, step): (*mut $t, usize, isize),
                batch: usize,
            ) -> Result<()> {
                let int = |x| int("gemm", x);
                let (m, n, k, batch) = (int(m)?, int(n)?, int(k)?, int(batch)?);
                let (lda, ldb, ldc) = (int(a.ld)?, int(b.ld)?, int(ldc)?);
                let (ta, tb) = (operation(a.op), operation(b.op));
                let (alpha, beta) = (&raw const alpha, &raw const beta);
                cuda.cublas("gemm", |handle| {
                    // SAFETY: the caller's promise; the factors are read before the call returns.
                    unsafe {
                        if batch == 1 {
                            let (a, b) = (a.ptr, b.ptr);
                            let call = sys::$gemm(
                                handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc,
                            );
                            return call.result().map_err(|e| failed(stringify!($gemm), e));
                        }
                        let (sa, sb, sc) =
                            (a.step as c_longlong, b.step as c_longlong, step as c_longlong);
                        sys::$batched(
                            handle, ta, tb, m, n, k, alpha, a.ptr, lda, sa, b.ptr, ldb, sb, beta,
                            c, ldc, sc, batch,
                        )
                        .result()
                        .map_err(|e| failed(stringify!($batched), e))
                    }
                })
            }

            unsafe fn syrk(
                cuda: &Cuda,
                (n, k): (usize, usize),
                a: Operand<$t>,
                beta: $t,
                (g, ldg): (*mut $t, usize),
            ) -> Result<()> {
                let int = |x| int("gram", x);
                let (n, k, lda, ldg) = (int(n)?, int(k)?, int(a.ld)?, int(ldg)?);
                let lower = sys::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER;
                let one: $t = 1.0;
                cuda.cublas("gram", |handle| {
                    // SAFETY: the caller's promise; the factors are read before the call returns.
                    unsafe {
                        sys::$syrk(
                            handle,
                            lower,
                            operation(a.op),
                            n,
                            k,
                            &one,
                            a.ptr,
                            lda,
                            &beta,
                            g,
                            ldg,
                        )
                    }
                    .result()
                    .map_err(|e| failed(stringify!($syrk), e))
                })
            }

            unsafe fn trsm(
                cuda: &Cuda,
                left: bool,
                uplo: Uplo,
                (m, n): (usize, usize),
                a: Operand<$t>,
                (b, ldb): (*mut $t, usize),
            ) -> Result<()> {
                let int = |x| int("trsm_right", x);
                let (m, n, lda, ldb) = (int(m)?, int(n)?, int(a.ld)?, int(ldb)?);
                let side = match left {
                    true => sys::cublasSideMode_t::CUBLAS_SIDE_LEFT,
                    false => sys::cublasSideMode_t::CUBLAS_SIDE_RIGHT,
                };
                let fill = match uplo {
                    Uplo::Lower => sys::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER,
                    Uplo::Upper => sys::cublasFillMode_t::CUBLAS_FILL_MODE_UPPER,
                };
                let diagonal = sys::cublasDiagType_t::CUBLAS_DIAG_NON_UNIT;
                let one: $t = 1.0;
                cuda.cublas("trsm_right", |handle| {
                    // SAFETY: the caller's promise; the factor is read before the call returns.
                    unsafe {
                        sys::$trsm(
                            handle,
                            side,
                            fill,
                            operation(a.op),
                            diagonal,
                            m,
                            n,
                            &one,
                            a.ptr,
                            lda,
                            b,
                            ldb,
                        )
                    }
                    .result()
                    .map_err(|e| failed(stringify!($trsm), e))
                })
            }
        }
    };
}

products!(f32, cublasSgemm_v2, cublasSgemmStridedBatched, cublasSsyrk_v2, cublasStrsm_v2);
products!(f64, cublasDgemm_v2, cublasDgemmStridedBatched, cublasDsyrk_v2, cublasDtrsm_v2);

/// Products of halves, summed in `f32`.
pub(super) trait HalfProducts: Sized {
    /// The number of the type in cuBLAS.
    const TYPE: sys::cudaDataType;
}

impl HalfProducts for half::f16 {
    const TYPE: sys::cudaDataType = sys::cudaDataType::CUDA_R_16F;
}

impl HalfProducts for half::bf16 {
    const TYPE: sys::cudaDataType = sys::cudaDataType::CUDA_R_16BF;
}

/// `C ← op(A) op(B) + β C`; C column-major m×n with leading dimension `ldc`, k the inner dimension.
///
/// # Safety
/// As [`Products::gemm`].
pub(super) unsafe fn gemm_half<H: HalfProducts>(
    cuda: &Cuda,
    (m, n, k): (usize, usize, usize),
    a: Operand<H>,
    b: Operand<H>,
    beta: f32,
    (c, ldc): (*mut f32, usize),
) -> Result<()> {
    let int = |x| int("gemm of halves", x);
    let (m, n, k) = (int(m)?, int(n)?, int(k)?);
    let (lda, ldb, ldc) = (int(a.ld)?, int(b.ld)?, int(ldc)?);
    let (ta, tb, one) = (operation(a.op), operation(b.op), 1f32);
    let (of_c, compute) =
        (sys::cudaDataType::CUDA_R_32F, sys::cublasComputeType_t::CUBLAS_COMPUTE_32F);
    let algorithm = sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT;
    cuda.cublas("gemm of halves", |handle| {
        // SAFETY: the caller's promise; the factors are read before the call returns.
        unsafe {
            sys::cublasGemmEx(
                handle,
                ta,
                tb,
                m,
                n,
                k,
                (&raw const one).cast(),
                a.ptr.cast(),
                H::TYPE,
                lda,
                b.ptr.cast(),
                H::TYPE,
                ldb,
                (&raw const beta).cast(),
                c.cast(),
                of_c,
                ldc,
                compute,
                algorithm,
            )
        }
        .result()
        .map_err(|error| failed("cublasGemmEx", error))
    })
}
