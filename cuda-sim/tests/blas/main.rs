//! cuBLAS through its C functions, against plain loops.
#![allow(non_snake_case)] // the names of cuBLAS

#[path = "../api/mod.rs"]
mod api;
mod operands;
mod products;

use api::*;
use std::ffi::{c_int, c_longlong, c_void};
use std::ptr::null_mut;

unsafe extern "C" {
    fn cublasCreate_v2(handle: *mut Handle) -> c_int;
    fn cublasDestroy_v2(handle: Handle) -> c_int;
    fn cublasSetStream_v2(handle: Handle, stream: Handle) -> c_int;
    fn cublasGetStream_v2(handle: Handle, stream: *mut Handle) -> c_int;
    fn cublasSetMathMode(handle: Handle, mode: c_int) -> c_int;
    fn cublasGetMathMode(handle: Handle, mode: *mut c_int) -> c_int;
    fn cublasSetPointerMode_v2(handle: Handle, mode: c_int) -> c_int;
    fn cublasSetWorkspace_v2(handle: Handle, workspace: u64, bytes: usize) -> c_int;
    #[rustfmt::skip]
    fn cublasSgemm_v2(
        handle: Handle,
        ta: c_int,
        tb: c_int,
        m: c_int,
        n: c_int,
        k: c_int,
        alpha: *const f32,
        a: u64,
        lda: c_int,
        b: u64,
        ldb: c_int,
        beta: *const f32,
        c: u64,
        ldc: c_int,
    ) -> c_int;
    #[rustfmt::skip]
    fn cublasDgemm_v2(
        handle: Handle,
        ta: c_int,
        tb: c_int,
        m: c_int,
        n: c_int,
        k: c_int,
        alpha: *const f64,
        a: u64,
        lda: c_int,
        b: u64,
        ldb: c_int,
        beta: *const f64,
        c: u64,
        ldc: c_int,
    ) -> c_int;
    #[rustfmt::skip]
    fn cublasDgemmStridedBatched(
        handle: Handle,
        ta: c_int,
        tb: c_int,
        m: c_int,
        n: c_int,
        k: c_int,
        alpha: *const f64,
        a: u64,
        lda: c_int,
        sa: c_longlong,
        b: u64,
        ldb: c_int,
        sb: c_longlong,
        beta: *const f64,
        c: u64,
        ldc: c_int,
        sc: c_longlong,
        batch: c_int,
    ) -> c_int;
    #[rustfmt::skip]
    fn cublasGemmEx(
        handle: Handle,
        ta: c_int,
        tb: c_int,
        m: c_int,
        n: c_int,
        k: c_int,
        alpha: *const c_void,
        a: u64,
        at: c_int,
        lda: c_int,
        b: u64,
        bt: c_int,
        ldb: c_int,
        beta: *const c_void,
        c: u64,
        ct: c_int,
        ldc: c_int,
        compute: c_int,
        algorithm: c_int,
    ) -> c_int;
    #[rustfmt::skip]
    fn cublasDsyrk_v2(
        handle: Handle,
        fill: c_int,
        trans: c_int,
        n: c_int,
        k: c_int,
        alpha: *const f64,
        a: u64,
        lda: c_int,
        beta: *const f64,
        c: u64,
        ldc: c_int,
    ) -> c_int;
    #[rustfmt::skip]
    fn cublasDtrsm_v2(
        handle: Handle,
        side: c_int,
        fill: c_int,
        trans: c_int,
        diagonal: c_int,
        m: c_int,
        n: c_int,
        alpha: *const f64,
        a: u64,
        lda: c_int,
        b: u64,
        ldb: c_int,
    ) -> c_int;
    #[rustfmt::skip]
    fn cublasDtrmm_v2(
        handle: Handle,
        side: c_int,
        fill: c_int,
        trans: c_int,
        diagonal: c_int,
        m: c_int,
        n: c_int,
        alpha: *const f64,
        a: u64,
        lda: c_int,
        b: u64,
        ldb: c_int,
        c: u64,
        ldc: c_int,
    ) -> c_int;
    #[rustfmt::skip]
    fn cublasDgeam(
        handle: Handle,
        ta: c_int,
        tb: c_int,
        m: c_int,
        n: c_int,
        alpha: *const f64,
        a: u64,
        lda: c_int,
        beta: *const f64,
        b: u64,
        ldb: c_int,
        c: u64,
        ldc: c_int,
    ) -> c_int;
    #[rustfmt::skip]
    fn cublasDgemv_v2(
        handle: Handle,
        trans: c_int,
        m: c_int,
        n: c_int,
        alpha: *const f64,
        a: u64,
        lda: c_int,
        x: u64,
        incx: c_int,
        beta: *const f64,
        y: u64,
        incy: c_int,
    ) -> c_int;
    fn cublasDscal_v2(handle: Handle, n: c_int, alpha: *const f64, x: u64, incx: c_int) -> c_int;
    #[rustfmt::skip]
    fn cublasDaxpy_v2(
        handle: Handle,
        n: c_int,
        alpha: *const f64,
        x: u64,
        incx: c_int,
        y: u64,
        incy: c_int,
    ) -> c_int;
    #[rustfmt::skip]
    fn cublasDdot_v2(
        handle: Handle,
        n: c_int,
        x: u64,
        incx: c_int,
        y: u64,
        incy: c_int,
        result: *mut f64,
    ) -> c_int;
    fn cublasDnrm2_v2(handle: Handle, n: c_int, x: u64, incx: c_int, result: *mut f64) -> c_int;
    fn cublasDasum_v2(handle: Handle, n: c_int, x: u64, incx: c_int, result: *mut f64) -> c_int;
}

fn blas() -> Handle {
    // SAFETY: the pointer is valid.
    handle(|h| unsafe { cublasCreate_v2(h) })
}

fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / 8388608.0 - 1.0
    };
    (0..count).map(step).collect()
}

/// A column-major matrix with gaps between columns.
#[derive(Clone)]
struct Matrix {
    values: Vec<f64>,
    ld: usize,
}

impl Matrix {
    fn new(seed: u64, ld: usize, columns: usize) -> Self {
        Self { values: numbers(seed, ld * columns), ld }
    }

    /// Element of the matrix, or of its transpose.
    fn at(&self, row: usize, column: usize, transposed: bool) -> f64 {
        let (row, column) = if transposed { (column, row) } else { (row, column) };
        self.values[column * self.ld + row]
    }
}

fn close(got: &[f64], want: &[f64]) {
    for (index, (x, y)) in got.iter().zip(want).enumerate() {
        assert!((x - y).abs() <= 1e-12 * (1.0 + y.abs()), "element {index}: {x} {y}");
    }
}
