//! What is read, refused, and recorded in a graph.

use super::*;

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

/// Destroying a handle waits for the device, which no mode of capture allows.
#[test]
fn destroying_a_handle_spoils_captures() {
    let _alone = alone();
    let (h, s) = (blas(), stream());
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(cuStreamBeginCapture_v2(s, 2), 0);
        assert_eq!(cublasDestroy_v2(h), 13);
        assert_eq!(cuStreamEndCapture(s, &mut null_mut()), 901);
        assert_eq!((cublasDestroy_v2(h), cuStreamDestroy_v2(s)), (1, 0));
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
