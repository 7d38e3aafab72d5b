//! Numbers, against plain loops.

use super::*;

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
