//! cuBLAS through its C functions, against plain loops.
#![allow(non_snake_case)] // the names of cuBLAS

mod api;
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

#[test]
fn gemm() {
    let _alone = alone();
    let (m, n, k) = (5, 4, 7);
    let h = blas();
    for (ta, tb) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (a, b) = (Matrix::new(1, 8, 7), Matrix::new(2, 9, 7));
        let c = Matrix::new(3, 6, n);
        let (da, db, dc) = (upload(&a.values), upload(&b.values), upload(&c.values));
        let (alpha, beta) = (2.0, -0.5);
        // SAFETY: all pointers are valid.
        let status = unsafe {
            cublasDgemm_v2(h, ta, tb, m, n as c_int, k, &alpha, da, 8, db, 9, &beta, dc, 6)
        };
        assert_eq!(status, 0);
        let mut want = c.clone();
        for j in 0..n {
            for i in 0..m as usize {
                let products = (0..k as usize).map(|q| a.at(i, q, ta != 0) * b.at(q, j, tb != 0));
                want.values[j * 6 + i] = alpha * products.sum::<f64>() + beta * c.at(i, j, false);
            }
        }
        close(&download::<f64>(dc, 6 * n), &want.values);
        free(&[da, db, dc]);
    }
    // SAFETY: the handle is valid.
    assert_eq!(unsafe { cublasDestroy_v2(h) }, 0);
}

#[test]
fn zero_factors_read_nothing() {
    let _alone = alone();
    let h = blas();
    let (a, c) = (upload(&[1f32, 2.0, 3.0, 4.0]), alloc(16));
    let unwritten = alloc(16);
    // SAFETY: all pointers are valid.
    unsafe {
        let gemm = |alpha: f32, a, beta: f32, c| {
            cublasSgemm_v2(h, 0, 0, 2, 2, 2, &alpha, a, 2, a, 2, &beta, c, 2)
        };
        assert_eq!(gemm(1.0, a, 0.0, c), 0, "C was never written");
        assert_eq!(download::<f32>(c, 4), [7.0, 10.0, 15.0, 22.0]);
        assert_eq!(gemm(0.0, unwritten, 2.0, c), 0, "A was never written");
        assert_eq!(download::<f32>(c, 4), [14.0, 20.0, 30.0, 44.0]);
        let fails = |result, how| {
            assert_eq!(result, 13);
            assert!(last_fault().contains(how), "{}", last_fault());
            assert_eq!(gemm(1.0, a, 0.0, c), 13, "the fault sticks");
            assert_eq!(cuCtxSynchronize(), 700);
            cuda_sim_reset_fault();
        };
        fails(gemm(1.0, unwritten, 0.0, c), "reads A[0, 0], which nothing wrote");
        fails(gemm(1.0, a, 1.0, unwritten), "reads C[0, 0]");
        fails(gemm(1.0, a + 4, 0.0, c), "leaves its buffer");
        fails(gemm(1.0, a, 0.0, c + 4), "leaves its buffer");
        assert_eq!(cublasDestroy_v2(h), 0);
    }
    free(&[a, c, unwritten]);
}

#[test]
fn arguments_are_checked() {
    let _alone = alone();
    let h = blas();
    let (a, c) = (upload(&[0f64; 64]), upload(&[0f64; 64]));
    let (one, nan) = (1f64, std::ptr::null());
    // SAFETY: all pointers are valid or null.
    unsafe {
        let gemm = |ta, m, n, k, alpha, lda, ldb, ldc| {
            cublasDgemm_v2(h, ta, 0, m, n, k, alpha, a, lda, a, ldb, &one, c, ldc)
        };
        assert_eq!(gemm(0, 4, 4, 4, &one, 4, 4, 4), 0);
        assert_eq!(gemm(0, 4, 4, 4, &one, 3, 4, 4), 7);
        assert_eq!(gemm(0, 4, 4, 4, &one, 4, 3, 4), 7);
        assert_eq!(gemm(0, 4, 4, 4, &one, 4, 4, 3), 7);
        assert_eq!(gemm(1, 4, 4, 2, &one, 2, 2, 4), 0);
        assert_eq!(gemm(3, 4, 4, 4, &one, 4, 4, 4), 7);
        assert_eq!(gemm(0, -1, 4, 4, &one, 4, 4, 4), 7);
        assert_eq!(gemm(0, 0, 4, 4, &one, 0, 4, 1), 7, "a leading dimension is at least 1");
        assert_eq!(gemm(0, 0, 4, 4, &one, 1, 4, 1), 0);
        assert_eq!(gemm(0, 4, 4, 4, nan, 4, 4, 4), 7);
        let null_handle = cublasDgemm_v2(null_mut(), 0, 0, 1, 1, 1, &one, a, 1, a, 1, &one, a, 1);
        assert_eq!(null_handle, 1);
        assert_eq!(cublasDscal_v2(h, 4, &one, a, 0), 7);

        assert_eq!(cublasSetMathMode(h, 3), 0);
        assert_eq!(given::<c_int>(|mode| cublasGetMathMode(h, mode)), 3);
        let s = stream();
        assert_eq!(cublasSetStream_v2(h, s), 0);
        assert_eq!(handle(|stream| cublasGetStream_v2(h, stream)), s);
        assert_eq!(cublasSetWorkspace_v2(h, a, 512), 0);
        assert_eq!(cublasSetWorkspace_v2(h, a, 513), 7);
        assert_eq!(cublasDestroy_v2(h), 0);
        assert_eq!(cublasDestroy_v2(h), 1);
        assert_eq!(cuStreamDestroy_v2(s), 0);
    }
    free(&[a, c]);
}

#[test]
fn results_must_not_meet_operands() {
    let _alone = alone();
    let h = blas();
    let a = upload(&[1f64; 128]);
    let (one, zero) = (1f64, 0f64);
    let fails = |code: c_int, what: &str| {
        assert_eq!(code, 13, "{what}");
        assert!(last_fault().contains(" onto "), "{what}: {}", last_fault());
        // SAFETY: has no arguments.
        unsafe { cuda_sim_reset_fault() };
    };
    let at = |element: u64| a + 8 * element;
    // SAFETY: all pointers are valid.
    unsafe {
        let gemm = |b, c, ldc| cublasDgemm_v2(h, 0, 0, 4, 4, 4, &one, a, 8, b, 8, &zero, c, ldc);
        fails(gemm(at(32), a, 8), "C is A");
        fails(gemm(at(32), at(27), 4), "the last row of A");
        assert_eq!(gemm(at(32), at(4), 8), 0, "C lies between the columns of A");
        fails(gemm(at(32), at(59), 4), "C meets the end of B");
        assert_eq!(gemm(at(32), at(64), 4), 0);
        let unread = cublasDgemm_v2(h, 0, 0, 4, 4, 4, &zero, a, 8, a, 8, &one, a, 8);
        assert_eq!(unread, 0, "α = 0 reads nothing");
        let batched = |sc, c| {
            cublasDgemmStridedBatched(
                h,
                0,
                0,
                2,
                2,
                2,
                &one,
                a,
                2,
                0,
                at(4),
                2,
                4,
                &zero,
                c,
                2,
                sc,
                3,
            )
        };
        assert_eq!(batched(4, at(64)), 0);
        fails(batched(3, at(64)), "C of the next product");
        fails(batched(4, at(12)), "B of the last product");
        let syrk = |c| cublasDsyrk_v2(h, 0, 0, 4, 2, &one, a, 4, &zero, c, 4);
        fails(syrk(at(7)), "syrk");
        assert_eq!(syrk(at(8)), 0);
        let trsm = |b| cublasDtrsm_v2(h, 0, 0, 0, 0, 4, 1, &one, a, 4, b, 4);
        fails(trsm(at(12)), "trsm");
        assert_eq!(trsm(at(16)), 0);
        let trmm = |b, c| cublasDtrmm_v2(h, 0, 0, 0, 0, 4, 1, &one, a, 4, b, 4, c, 4);
        assert_eq!(trmm(at(16), at(16)), 0, "C may be B");
        fails(trmm(at(16), at(17)), "but not a part of it");
        fails(trmm(at(16), a), "trmm");
        let gemv = |y| cublasDgemv_v2(h, 0, 4, 4, &one, a, 4, at(16), 1, &zero, y, 1);
        fails(gemv(at(19)), "gemv");
        fails(gemv(at(15)), "gemv");
        assert_eq!(gemv(at(20)), 0);
        let geam = |c, ldc| cublasDgeam(h, 0, 0, 4, 4, &one, a, 4, &one, a, 4, c, ldc);
        assert_eq!(geam(a, 4), 0, "in place");
        fails(geam(at(1), 4), "geam");
        assert_eq!(cublasDestroy_v2(h), 0);
    }
    free(&[a]);
}

#[test]
fn a_unit_diagonal_is_not_read() {
    let _alone = alone();
    let h = blas();
    let (t, b) = (alloc(4 * 8), upload(&[1f64, 2.0]));
    let (below, one) = ([3f64], 1f64);
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(cuMemcpyHtoD_v2(t + 8, below.as_ptr().cast(), 8), 0);
        let trsm = |unit| cublasDtrsm_v2(h, 0, 0, 0, unit, 2, 1, &one, t, 2, b, 2);
        assert_eq!(trsm(1), 0);
        assert_eq!(download::<f64>(b, 2), [1.0, -1.0]);
        assert_eq!(trsm(0), 13);
        assert!(last_fault().contains("A[0, 0], which nothing wrote"), "{}", last_fault());
        cuda_sim_reset_fault();
        assert_eq!(cublasDestroy_v2(h), 0);
    }
    free(&[t, b]);
}

/// 1 + 2⁻¹² is a single, not a TF32.
#[test]
fn tensor_cores_round_singles() {
    let _alone = alone();
    let h = blas();
    let x = 1.0 + 2f32.powi(-12);
    let (a, c) = (upload(&[x]), alloc(4));
    let (one, zero) = (1f32, 0f32);
    let factor = |x: &f32| std::ptr::from_ref(x).cast::<c_void>();
    // SAFETY: all pointers are valid.
    unsafe {
        for (mode, expected) in [(0, x * x), (3, 1.0), (2, x * x)] {
            assert_eq!(cublasSetMathMode(h, mode), 0);
            assert_eq!(cublasSgemm_v2(h, 0, 0, 1, 1, 1, &one, a, 1, a, 1, &zero, c, 1), 0);
            assert_eq!(download::<f32>(c, 1), [expected], "mode {mode}");
        }
        assert_eq!(cublasSetMathMode(h, 0), 0);
        for (compute, expected) in [(68, x * x), (69, x * x), (74, 1.0), (75, 1.0), (77, 1.0)] {
            let done = cublasGemmEx(
                h,
                0,
                0,
                1,
                1,
                1,
                factor(&one),
                a,
                0,
                1,
                a,
                0,
                1,
                factor(&zero),
                c,
                0,
                1,
                compute,
                -1,
            );
            assert_eq!(done, 0);
            assert_eq!(download::<f32>(c, 1), [expected], "compute type {compute}");
        }
        for (kind, compute) in [(2, 74), (14, 75), (2, 77), (14, 77)] {
            let refused = cublasGemmEx(
                h,
                0,
                0,
                1,
                1,
                1,
                factor(&one),
                a,
                kind,
                1,
                a,
                kind,
                1,
                factor(&zero),
                c,
                0,
                1,
                compute,
                -1,
            );
            assert_eq!(refused, 15, "halves with compute type {compute}");
        }
        assert_eq!(cublasDestroy_v2(h), 0);
    }
    free(&[a, c]);
}

#[test]
fn results_on_the_host_are_refused_in_a_capture() {
    let _alone = alone();
    let h = blas();
    let (s, x) = (stream(), upload(&[3f64, 4.0]));
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(cublasSetStream_v2(h, s), 0);
        assert_eq!(given::<f64>(|r| cublasDnrm2_v2(h, 2, x, 1, r)), 5.0);
        assert_eq!(cuStreamBeginCapture_v2(s, 0), 0);
        assert_eq!(cublasDnrm2_v2(h, 2, x, 1, &mut 0.0), 13);
        assert_eq!(cuStreamEndCapture(s, &mut null_mut()), 901);
        assert_eq!(cublasDestroy_v2(h), 0);
    }
    free(&[x]);
}

#[test]
fn batches_and_mixed_precision() {
    let _alone = alone();
    let h = blas();
    let (a, b) = (numbers(4, 12), numbers(5, 12));
    let (da, db, dc) = (upload(&a), upload(&b), alloc(8 * 12));
    let (one, zero) = (1f64, 0f64);
    // SAFETY: all pointers are valid.
    unsafe {
        let status = cublasDgemmStridedBatched(
            h, 0, 0, 2, 2, 2, &one, da, 2, 4, db, 2, 4, &zero, dc, 2, 4, 3,
        );
        assert_eq!(status, 0);
    }
    let got = download::<f64>(dc, 12);
    for batch in 0..3 {
        let at = |x: &[f64], i: usize, j: usize| x[4 * batch + 2 * j + i];
        for (i, j) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let want = at(&a, i, 0) * at(&b, 0, j) + at(&a, i, 1) * at(&b, 1, j);
            close(&[at(&got, i, j)], &[want]);
        }
    }
    free(&[da, db, dc]);
    // [1 2; 3 4] times itself in bfloat (14) and half (2), with singles out and with the same type out.
    for (kind, values, squares) in [
        (14, [0x3F80u16, 0x4040, 0x4000, 0x4080], [0x40E0u16, 0x4170, 0x4120, 0x41B0]),
        (2, [0x3C00, 0x4200, 0x4000, 0x4400], [0x4700, 0x4B80, 0x4900, 0x4D80]),
    ] {
        let (a, c) = (upload(&values), alloc(16));
        let (one, zero) = (1f32, 0f32);
        let factor = |x: &f32| std::ptr::from_ref(x).cast::<c_void>();
        // SAFETY: all pointers are valid.
        unsafe {
            let gemm = |c_type, compute| {
                cublasGemmEx(
                    h,
                    0,
                    0,
                    2,
                    2,
                    2,
                    factor(&one),
                    a,
                    kind,
                    2,
                    a,
                    kind,
                    2,
                    factor(&zero),
                    c,
                    c_type,
                    2,
                    compute,
                    -1,
                )
            };
            assert_eq!(gemm(0, 68), 0);
            assert_eq!(download::<f32>(c, 4), [7.0, 15.0, 10.0, 22.0]);
            assert_eq!(gemm(kind, 68), 0);
            assert_eq!(download::<u16>(c, 4), squares);
            assert_eq!(gemm(1, 68), 15);
            assert_eq!(gemm(0, 70), 15);
        }
        free(&[a, c]);
    }
    // SAFETY: the handle is valid.
    assert_eq!(unsafe { cublasDestroy_v2(h) }, 0);
}

#[test]
fn symmetric_products() {
    let _alone = alone();
    let h = blas();
    let (n, k) = (4usize, 3usize);
    for (fill, trans) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let a = Matrix::new(6, 5, 4);
        let c = Matrix::new(7, 6, n);
        let (da, dc) = (upload(&a.values), upload(&c.values));
        let (alpha, beta) = (1.5, 0.5);
        // SAFETY: all pointers are valid.
        let status = unsafe {
            cublasDsyrk_v2(h, fill, trans, n as c_int, k as c_int, &alpha, da, 5, &beta, dc, 6)
        };
        assert_eq!(status, 0);
        let mut want = c.clone();
        for j in 0..n {
            for i in 0..n {
                if (fill == 0 && i >= j) || (fill == 1 && i <= j) {
                    let products = (0..k).map(|q| a.at(i, q, trans != 0) * a.at(j, q, trans != 0));
                    want.values[6 * j + i] =
                        alpha * products.sum::<f64>() + beta * c.at(i, j, false);
                }
            }
        }
        close(&download::<f64>(dc, 6 * n), &want.values);
        free(&[da, dc]);
    }
    // SAFETY: the handle is valid.
    assert_eq!(unsafe { cublasDestroy_v2(h) }, 0);
}

#[test]
fn triangular_systems() {
    let _alone = alone();
    let h = blas();
    let (m, n) = (4usize, 3usize);
    let alpha = 2.0;
    for choice in 0..16 {
        let [side, fill, trans, unit] = [0, 1, 2, 3].map(|bit| choice >> bit & 1);
        let order = if side == 0 { m } else { n };
        let mut t = Matrix::new(8, 5, order);
        for i in 0..order {
            t.values[5 * i + i] += 3.0;
        }
        let b = Matrix::new(9, 6, n);
        let (dt, db, dc) = (upload(&t.values), upload(&b.values), upload(&b.values));
        let sizes = (m as c_int, n as c_int);
        // SAFETY: all pointers are valid.
        unsafe {
            let solved =
                cublasDtrsm_v2(h, side, fill, trans, unit, sizes.0, sizes.1, &alpha, dt, 5, db, 6);
            assert_eq!(solved, 0);
            // op(T)·X, computed back: α·B.
            let one = 1.0;
            let product = cublasDtrmm_v2(
                h, side, fill, trans, unit, sizes.0, sizes.1, &one, dt, 5, db, 6, dc, 6,
            );
            assert_eq!(product, 0);
        }
        let entry = |i: usize, j: usize| {
            let (row, column) = if trans != 0 { (j, i) } else { (i, j) };
            match row.cmp(&column) {
                std::cmp::Ordering::Equal if unit == 1 => 1.0,
                std::cmp::Ordering::Less if fill == 0 => 0.0,
                std::cmp::Ordering::Greater if fill == 1 => 0.0,
                _ => t.at(row, column, false),
            }
        };
        let x = download::<f64>(db, 6 * n);
        let back = download::<f64>(dc, 6 * n);
        for j in 0..n {
            for i in 0..m {
                let product: f64 = match side {
                    0 => (0..m).map(|q| entry(i, q) * x[6 * j + q]).sum(),
                    _ => (0..n).map(|q| x[6 * q + i] * entry(q, j)).sum(),
                };
                close(&[product, back[6 * j + i]], &[alpha * b.at(i, j, false); 2]);
            }
        }
        free(&[dt, db, dc]);
    }
    // SAFETY: the handle is valid.
    assert_eq!(unsafe { cublasDestroy_v2(h) }, 0);
}

#[test]
fn vectors_and_sums() {
    let _alone = alone();
    let h = blas();
    let a = Matrix::new(10, 4, 3); // 3 × 3 in columns of 4
    let (x, y) = (numbers(11, 6), numbers(12, 6));
    let (da, dx, dy) = (upload(&a.values), upload(&x), upload(&y));
    let (alpha, beta) = (2.0, 0.5);
    // SAFETY: all pointers are valid.
    unsafe {
        for trans in [0, 1] {
            assert_eq!(cuMemcpyHtoD_v2(dy, y.as_ptr().cast(), 48), 0);
            assert_eq!(cublasDgemv_v2(h, trans, 3, 3, &alpha, da, 4, dx, 2, &beta, dy, 1), 0);
            let want: Vec<f64> = (0..3)
                .map(|i| {
                    let products = (0..3).map(|q| a.at(i, q, trans != 0) * x[2 * q]);
                    alpha * products.sum::<f64>() + beta * y[i]
                })
                .collect();
            close(&download::<f64>(dy, 3), &want);
        }
        assert_eq!(cuMemcpyHtoD_v2(dy, y.as_ptr().cast(), 48), 0);
        let c = alloc(8 * 9);
        assert_eq!(cublasDgeam(h, 1, 0, 3, 3, &alpha, da, 4, &beta, da, 4, c, 3), 0);
        let got = download::<f64>(c, 9);
        for j in 0..3 {
            for i in 0..3 {
                let want = alpha * a.at(i, j, true) + beta * a.at(i, j, false);
                close(&[got[3 * j + i]], &[want]);
            }
        }
        assert_eq!(cublasDgeam(h, 1, 0, 3, 3, &alpha, da, 4, &beta, c, 3, da, 4), 7, "in place");

        let dot = given::<f64>(|r| cublasDdot_v2(h, 6, dx, 1, dy, 1, r));
        close(&[dot], &[x.iter().zip(&y).map(|(x, y)| x * y).sum()]);
        let norm = given::<f64>(|r| cublasDnrm2_v2(h, 3, dx, 2, r));
        close(&[norm], &[(x[0] * x[0] + x[2] * x[2] + x[4] * x[4]).sqrt()]);
        let sum = given::<f64>(|r| cublasDasum_v2(h, 6, dx, 1, r));
        close(&[sum], &[x.iter().map(|x| x.abs()).sum()]);
        let huge = upload(&[3e300, 4e300]);
        close(&[given::<f64>(|r| cublasDnrm2_v2(h, 2, huge, 1, r)) / 5e300], &[1.0]);
        assert_eq!(cublasDaxpy_v2(h, 3, &alpha, dx, 2, dy, 1), 0);
        assert_eq!(cublasDscal_v2(h, 2, &alpha, dy, 1), 0);
        let want = [2.0 * (y[0] + 2.0 * x[0]), 2.0 * (y[1] + 2.0 * x[2]), y[2] + 2.0 * x[4]];
        close(&download::<f64>(dy, 3), &want);
        free(&[da, dx, dy, c, huge]);
        assert_eq!(cublasDestroy_v2(h), 0);
    }
}

#[test]
fn calls_are_captured_with_scalars_on_the_device() {
    let _alone = alone();
    let h = blas();
    let s = stream();
    let (a, c) = (upload(&[2f32]), upload(&[1f32]));
    let scalars = upload(&[3f32, 1.0]);
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(cublasSetStream_v2(h, s), 0);
        assert_eq!(cublasSetPointerMode_v2(h, 1), 0);
        assert_eq!(cuStreamBeginCapture_v2(s, 0), 0);
        let (alpha, beta) = (scalars as *const f32, (scalars + 4) as *const f32);
        assert_eq!(cublasSgemm_v2(h, 0, 0, 1, 1, 1, alpha, a, 1, a, 1, beta, c, 1), 0);
        let graph = handle(|g| cuStreamEndCapture(s, g));
        let executable = handle(|e| cuGraphInstantiateWithFlags(e, graph, 0));
        assert_eq!(download::<f32>(c, 1), [1.0]);
        assert_eq!(cuGraphLaunch(executable, s), 0);
        assert_eq!(download::<f32>(c, 1), [13.0]);
        let other = [10f32];
        assert_eq!(cuMemcpyHtoD_v2(scalars, other.as_ptr().cast(), 4), 0);
        assert_eq!(cuGraphLaunch(executable, s), 0);
        assert_eq!(download::<f32>(c, 1), [53.0]);
        assert_eq!(cuGraphDestroy(graph), 0);
        assert_eq!(cuGraphExecDestroy(executable), 0);
        assert_eq!(cublasDestroy_v2(h), 0);
        assert_eq!(cuStreamDestroy_v2(s), 0);
    }
    free(&[a, c, scalars]);
}
