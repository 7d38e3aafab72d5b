//! Every choice of a kernel that the host code makes for a GPU, met by a call that must make it: the
//! simulator counts launches by name. One test in a process of its own, so that nobody else launches.
//!
//! What a kernel does inside, and the numbers it gives, are the matter of the suite; here is shown that
//! both ways of each choice are taken. `tests/README.md` lists the choices and the few that need more
//! memory than an interpreter can fill.

#[path = "hardware/gpu.rs"]
mod shared;

use randnla::decomp::{QbParams, RsvdParams, qb, rsvd};
use randnla::{
    Blas, Cpu, Csr, Cuda, Mat, MatMut, MatRef, Op, Result, Sketch, SketchKernels, SparseKernels,
    TransformKernels,
};
use std::collections::BTreeMap;

type Counts = BTreeMap<String, u64>;

/// Launches by kernel, or `None` on a real driver.
fn launches() -> Option<Counts> {
    // SAFETY: the simulator exports a function of this type under this name; it writes at most as
    // many bytes as it is told there are.
    let text = unsafe {
        let driver = cudarc::driver::sys::culib();
        let stats = driver
            .get::<unsafe extern "C" fn(*mut u8, usize) -> usize>(b"cuda_sim_stats\0")
            .ok()?;
        let mut text = vec![0; stats(core::ptr::null_mut(), 0) + 1];
        stats(text.as_mut_ptr(), text.len());
        text.pop();
        String::from_utf8(text).unwrap()
    };
    let count = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next().unwrap().to_string();
        let launches = words.next().unwrap().strip_prefix("launches=").unwrap();
        (name, launches.parse().unwrap())
    };
    Some(text.lines().map(count).collect())
}

/// Runs a call and compares what it launched of the named kernels: as many, none where it says 0.
#[track_caller]
fn takes(what: &str, expected: &[(&str, u64)], call: impl FnOnce() -> Result<()>) {
    let before = launches().unwrap();
    call().unwrap();
    let after = launches().unwrap();
    for &(kernel, count) in expected {
        let of = |counts: &Counts| counts.get(kernel).copied().unwrap_or(0);
        let all: Vec<_> = after.iter().filter(|(name, n)| before.get(*name) != Some(n)).collect();
        assert_eq!(of(&after) - of(&before), count, "{what}: {kernel}; launched, in all: {all:?}");
    }
}

#[test]
fn gpu_branches_are_taken() {
    let Some(cuda) = shared::gpu("gpu_branches") else { return };
    if launches().is_none() {
        return shared::skipped("gpu_branches", "a real driver counts no launches");
    }
    copies(&cuda).unwrap();
    products(&cuda).unwrap();
    norms(&cuda).unwrap();
    dense(&cuda).unwrap();
    sparse(&cuda).unwrap();
    sorting(&cuda).unwrap();
    transforms(&cuda).unwrap();
}

/// A column-major m×n matrix.
fn filled(cuda: &Cuda, m: usize, n: usize) -> Result<Mat<f32, Cuda>> {
    Sketch::uniform(m, n, 3)?.raw().to_mat::<f32, _>(&Cpu::new())?.to_device(cuda)
}

/// Every other row and column: neither stride is 1.
fn strided(a: &Mat<f32, Cuda>) -> MatRef<'_, f32, Cuda> {
    let (view, (m, n)) = (a.as_ref(), a.shape());
    let strides = (2 * view.row_stride(), 2 * view.col_stride());
    // SAFETY: entries of A.
    unsafe { MatRef::from_raw_parts(view.device(), view.as_ptr(), (m / 2, n / 2), strides) }
        .unwrap()
}

fn strided_mut<'a>(cuda: &'a Cuda, a: &'a mut Mat<f32, Cuda>) -> MatMut<'a, f32, Cuda> {
    let ((m, n), view) = (a.shape(), a.as_ref());
    let strides = (2 * view.row_stride(), 2 * view.col_stride());
    // SAFETY: entries of A, which is borrowed uniquely.
    unsafe { MatMut::from_raw_parts(cuda, a.as_mut().as_mut_ptr(), (m / 2, n / 2), strides) }
        .unwrap()
}

fn copies(cuda: &Cuda) -> Result<()> {
    let a = filled(cuda, 20, 30)?;
    let (mut same, mut turned, mut line) =
        (filled(cuda, 20, 30)?, filled(cuda, 30, 20)?, filled(cuda, 30, 1)?);
    takes("a copy in the same order", &[("axpby_f32", 1), ("transpose_f32", 0)], || {
        cuda.axpby(1.0, a.as_ref(), 0.0, same.as_mut())
    });
    takes("a copy in the other order", &[("axpby_f32", 0), ("transpose_f32", 1)], || {
        cuda.axpby(1.0, a.as_ref(), 0.0, turned.as_mut().transpose())
    });
    takes("a copy of a row", &[("axpby_f32", 1), ("transpose_f32", 0)], || {
        cuda.axpby(1.0, a.as_ref().rows(3..4).transpose(), 0.0, line.as_mut())
    });
    takes("nothing of A", &[("axpby_f32", 1), ("transpose_f32", 0)], || {
        cuda.axpby(0.0, a.as_ref(), 0.5, turned.as_mut().transpose())
    });
    takes("a factor of one", &[("axpby_f32", 0)], || cuda.scale(1.0, same.as_mut()));
    takes("columns by factors", &[("scale_by_f32", 1)], || {
        cuda.scale_columns(&[2.0; 30], same.as_mut())
    });
    takes("rows by an index", &[("move_rows_f32", 2)], || {
        cuda.gather_rows(&[3, 1], a.as_ref(), same.as_mut().rows(0..2))?;
        cuda.scatter_rows(&[3, 1], a.as_ref().rows(0..2), same.as_mut())
    });
    Ok(())
}

fn products(cuda: &Cuda) -> Result<()> {
    let (a, b) = (filled(cuda, 40, 60)?, filled(cuda, 60, 50)?);
    let (mut c, mut wide, mut g) =
        (filled(cuda, 40, 50)?, filled(cuda, 40, 50)?, filled(cuda, 60, 60)?);
    takes("unit strides", &[("axpby_f32", 0), ("transpose_f32", 0)], || {
        cuda.gemm(1.0, a.as_ref(), b.as_ref(), 0.0, c.as_mut())?;
        cuda.gemm(1.0, b.as_ref().transpose(), a.as_ref().transpose(), 0.0, c.as_mut().transpose())
    });
    takes("factors without, packed", &[("axpby_f32", 2)], || {
        let target = c.as_mut().rows(0..20).columns(0..25);
        cuda.gemm(1.0, strided(&a), strided(&b), 0.0, target)
    });
    takes("a target without, added", &[("axpby_f32", 1)], || {
        let (a, b) = (a.as_ref().rows(0..20), b.as_ref().columns(0..25));
        cuda.gemm(1.0, a, b, 1.0, strided_mut(cuda, &mut wide))
    });
    takes("no inner dimension", &[("axpby_f32", 1)], || {
        cuda.gemm(1.0, a.as_ref().columns(0..0), b.as_ref().rows(0..0), 0.5, c.as_mut())
    });
    takes("a Gram matrix", &[("mirror_f32", 1), ("axpby_f32", 0)], || {
        cuda.gram(a.as_ref(), g.as_mut())
    });
    takes("one of strided columns", &[("mirror_f32", 1), ("axpby_f32", 1)], || {
        cuda.gram(strided(&a), g.as_mut().rows(0..30).columns(0..30))
    });
    takes("one to strided columns", &[("mirror_f32", 1), ("axpby_f32", 1)], || {
        cuda.gram(a.as_ref().columns(0..30), strided_mut(cuda, &mut g))
    });
    let triangle = filled(cuda, 50, 50)?;
    takes("a solve", &[("axpby_f32", 0)], || {
        cuda.trsm_right(randnla::Uplo::Upper, Op::NoTrans, triangle.as_ref(), c.as_mut())
    });
    takes("a solve with everything packed", &[("axpby_f32", 3)], || {
        let target = strided_mut(cuda, &mut wide);
        cuda.trsm_right(randnla::Uplo::Upper, Op::NoTrans, strided(&triangle), target)
    });
    Ok(())
}

fn norms(cuda: &Cuda) -> Result<()> {
    let a = filled(cuda, 40, 60)?;
    let kernels =
        [("largest_f32", 1), ("squares_f32", 1), ("non_finite_f32", 1), ("add_partial", 0)];
    let [by_columns, by_rows] = ["column_squares_f32", "column_squares_by_rows_f32"];
    takes("norms", &[&kernels[..], &[(by_columns, 1), (by_rows, 0)]].concat(), || {
        cuda.max_abs(a.as_ref())?;
        cuda.sum_of_squares(a.as_ref(), 0)?;
        cuda.column_sums_of_squares(a.as_ref(), 0, &mut [0.0; 60])?;
        cuda.find_non_finite(a.as_ref()).map(drop)
    });
    takes("norms of rows", &[(by_columns, 0), (by_rows, 1)], || {
        cuda.column_sums_of_squares(a.transpose(), 0, &mut [0.0; 40])
    });
    takes("norms of a row", &[(by_columns, 0), (by_rows, 1)], || {
        cuda.column_sums_of_squares(a.rows(3..4), 0, &mut [0.0; 60])
    });
    // Eight parts of 1024 rows are one sum, and two.
    for (m, sums) in [(8 * 1024, 0), (8 * 1024 + 1, 1)] {
        let a = filled(cuda, m, 1)?;
        takes("a norm by several parts", &[("add_partial", sums)], || {
            cuda.sum_of_squares(a.as_ref(), 0).map(drop)
        });
    }
    for (m, sums) in [(1024, 0), (1025, 1)] {
        let a = filled(cuda, m, 2)?;
        takes("norms of columns by several parts", &[("add_partial", sums)], || {
            cuda.column_sums_of_squares(a.as_ref(), 0, &mut [0.0; 2])
        });
    }
    Ok(())
}

fn dense(cuda: &Cuda) -> Result<()> {
    let s = Sketch::gaussian(20, 300, 1)?;
    let (a, y) = (filled(cuda, 300, 40)?, filled(cuda, 20, 40)?);
    let (narrow, wide) = ("gaussian_times_4_f32", "gaussian_times_16_f32");
    let fill = "gaussian_f32";
    for (n, narrow_launches, wide_launches) in [(4, 1, 0), (5, 0, 1), (16, 0, 1)] {
        let expected = [(narrow, narrow_launches), (wide, wide_launches), (fill, 0)];
        takes(&format!("{n} columns"), &expected, || s.apply(a.columns(0..n)).map(drop));
    }
    takes("17 columns", &[(narrow, 0), (wide, 0), (fill, 1)], || {
        s.apply(a.columns(0..17)).map(drop)
    });
    takes("17 columns of the kernel", &[(narrow, 1), (wide, 1), ("join_f32", 2)], || {
        let mut c = filled(cuda, 20, 17)?;
        cuda.fill_times(&s, Op::NoTrans, 1.0, a.columns(0..17), 0.0, c.as_mut())
    });
    for (n, narrow_launches, wide_launches) in [(4, 1, 0), (5, 0, 1)] {
        let expected = [
            ("gaussian_adjoint_4_f32", narrow_launches),
            ("gaussian_adjoint_16_f32", wide_launches),
        ];
        takes(&format!("{n} columns, adjoint"), &expected, || {
            s.apply_adjoint(y.columns(0..n)).map(drop)
        });
    }
    // The simulated cache is of 1 MiB: panels have 2¹⁷ entries of f32.
    let (s, a) = (Sketch::rademacher(60, 4500, 1)?, filled(cuda, 4500, 17)?);
    takes("three panels", &[("signs_f32", 3)], || s.apply(&a).map(drop));
    // A matrix by rows is turned once, however many panels meet it.
    let triplets: Vec<(usize, usize, f32)> = (0..4500).map(|i| (i, i * 7 % 17, 1.0)).collect();
    let x = Csr::from_triplets(cuda, (4500, 17), &triplets)?;
    let turned: Vec<(usize, usize, f32)> = triplets.iter().map(|&(i, j, x)| (j, i, x)).collect();
    let by_columns = Csr::from_triplets(cuda, (17, 4500), &turned)?;
    for (d, panels) in [(20, 1), (60, 3), (100, 4)] {
        let s = Sketch::rademacher(d, 4500, 1)?;
        let expected = [("signs_f32", panels), ("keys_of_matrix", 1), ("matrix_rows_f32", 1)];
        takes(&format!("{panels} panels on CSR"), &expected, || s.apply(&x).map(drop));
        let expected = [("signs_f32", panels), ("keys_of_matrix", 0)];
        takes(&format!("{panels} panels on CSC"), &expected, || {
            s.apply(by_columns.as_ref().transpose()).map(drop)
        });
        let s = Sketch::rademacher(4500, d, 1)?;
        let expected = [("signs_f32", panels), ("keys_of_matrix", 1)];
        takes(&format!("{panels} panels on CSR, adjoint"), &expected, || {
            s.apply_adjoint(&x).map(drop)
        });
    }
    Ok(())
}

fn sparse(cuda: &Cuda) -> Result<()> {
    let s = Sketch::sparse_stack(64, 100, 8, 1)?;
    let (a, y) = (filled(cuda, 100, 40)?, filled(cuda, 64, 40)?);
    let by_rows = |x: &Mat<f32, Cuda>| -> Result<Mat<f32, Cuda>> {
        let mut turned = Mat::zeros(cuda, x.ncols(), x.nrows())?;
        cuda.axpby(1.0, x.as_ref(), 0.0, turned.as_mut().transpose())?;
        Ok(turned)
    };
    let (a_turned, y_turned) = (by_rows(&a)?, by_rows(&y)?);
    let lists = [("sparse_stack", 1), ("keys_of_operator", 1), ("gather_stored_f32", 1)];
    takes("columns, copied by tiles", &[&lists[..], &[("transpose_f32", 2)]].concat(), || {
        s.apply(&a).map(drop)
    });
    takes("rows, as they are", &[&lists[..], &[("transpose_f32", 0)]].concat(), || {
        let mut c = Mat::zeros(cuda, 40, 64)?;
        s.apply_into(1.0, a_turned.transpose(), 0.0, c.as_mut().transpose())
    });
    let signs = [("gather_signs_f32", 1), ("keys_of_operator", 0), ("transpose_f32", 0)];
    takes("the adjoint, from signs", &signs, || {
        let mut c = Mat::zeros(cuda, 40, 100)?;
        s.apply_adjoint_into(1.0, y_turned.transpose(), 0.0, c.as_mut().transpose())
    });
    takes("lists by themselves", &[("gather_stored_f32", 1), ("join_f32", 0)], || {
        s.apply(&a).map(drop)
    });
    takes("few long lists, in parts", &[("gather_stored_f32", 1), ("join_f32", 1)], || {
        Sketch::count_sketch(3, 1000, 1)?.apply(&filled(cuda, 1000, 33)?).map(drop)
    });
    narrow(cuda)?;
    let counted = |zeta| Sketch::sparse_sign(200, 50, zeta, 1);
    takes("few distinct rows", &[("sparse_sign", 1), ("sparse_sign_wide", 0)], || {
        SketchKernels::<f32>::indices(cuda, &counted(64)?).map(drop)
    });
    takes("many distinct rows", &[("sparse_sign", 0), ("sparse_sign_wide", 1)], || {
        SketchKernels::<f32>::indices(cuda, &counted(65)?).map(drop)
    });
    let triplets: Vec<(usize, usize, f32)> = (0..100).map(|i| (i, i * 7 % 40, 1.0)).collect();
    let x = Csr::from_triplets(cuda, (100, 40), &triplets)?;
    let (meets, met) = ("stored_meets_signs_f32", "signs_meet_stored_f32");
    let (turned, rows) = ("keys_of_matrix", "matrix_rows_f32");
    takes("S·X", &[(meets, 1), (met, 0), (turned, 1), (rows, 1)], || s.apply(&x).map(drop));
    let turned_x = x.as_ref().transpose();
    takes("X·Sᵀ, X in columns", &[(meets, 1), (met, 0), (turned, 1)], || {
        s.apply_right(turned_x).map(drop)
    });
    let wide: Vec<(usize, usize, f32)> = (0..64).map(|i| (i, i * 7 % 40, 1.0)).collect();
    let wide = Csr::from_triplets(cuda, (64, 40), &wide)?;
    takes("Sᵀ·X", &[(meets, 0), (met, 1), (turned, 0)], || s.apply_adjoint(&wide).map(drop));
    let b = filled(cuda, 40, 9)?;
    let tall = filled(cuda, 100, 9)?;
    takes("X·B", &[("gather_stored_f32", 1), (turned, 0)], || {
        cuda.spmm(1.0, x.as_ref(), Op::NoTrans, b.as_ref(), 0.0, filled(cuda, 100, 9)?.as_mut())
    });
    takes("Xᵀ·B", &[("gather_stored_f32", 1), (turned, 1)], || {
        cuda.spmm(1.0, x.as_ref(), Op::Trans, tall.as_ref(), 0.0, filled(cuda, 40, 9)?.as_mut())
    });
    let y = Csr::from_triplets(cuda, (40, 16_385), &[(3, 4, 1.0)])?;
    let mut long = filled(cuda, 100, 16_385)?;
    let stems = ["stored_meets_stored_f32", "stored_meets_stored_wide_f32", "axpby_f32"];
    for (n, counts) in [(16_384, [1, 0, 0]), (16_385, [0, 1, 1])] {
        let expected: Vec<_> = stems.into_iter().zip(counts).collect();
        takes(&format!("X·Y of {n} columns"), &expected, || {
            let y = Csr::from_triplets(cuda, (40, n), &[(3, 4, 1.0)])?;
            cuda.spspmm(1.0, x.as_ref(), y.as_ref(), 0.5, long.as_mut().columns(0..n))
        });
    }
    takes("X·Y of 16385 columns, by rows", &[(stems[1], 1), (stems[2], 0)], || {
        let mut long = filled(cuda, 16_385, 100)?;
        cuda.spspmm(1.0, x.as_ref(), y.as_ref(), 0.5, long.as_mut().transpose())
    });
    takes("X·Y", &[("stored_meets_stored_f32", 1)], || {
        let y = Csr::from_triplets(cuda, (40, 9), &[(3, 4, 1.0)])?;
        cuda.spspmm(1.0, x.as_ref(), y.as_ref(), 0.0, filled(cuda, 100, 9)?.as_mut())
    });
    takes("a decomposition of a matrix in rows", &[(turned, 1)], || {
        rsvd(&x, RsvdParams::rank(3).power_passes(3)).map(drop)
    });
    takes("one of a matrix in columns", &[(turned, 1)], || {
        rsvd(&turned_x, RsvdParams::rank(3).power_passes(3)).map(drop)
    });
    takes("a basis for a tolerance", &[(turned, 1)], || {
        qb(&x, QbParams::tolerance(0.5).block_size(2)).map(drop)
    });
    let found = "place_of_non_finite_f32";
    takes("all finite", &[(found, 0)], || cuda.find_non_finite_stored(x.as_ref()).map(drop));
    takes("not finite", &[(found, 1)], || {
        let x = Csr::from_triplets(cuda, (40, 9), &[(3, 4, f32::NAN)])?;
        cuda.find_non_finite_stored(x.as_ref()).map(drop)
    });
    Ok(())
}

/// Narrow matrices meet the columns of S as they are, prepared or not; the rows of S where columns or slices of
/// rows are many.
fn narrow(cuda: &Cuda) -> Result<()> {
    let scattered = |count| [("scatter_signs_f32", count), ("keys_of_operator", 1 - count)];
    let stack = |d| Sketch::sparse_stack(d, 300, 8, 1);
    let sign = |d| Sketch::sparse_sign(d, 300, 8, 1);
    for (s, n, count) in [
        (stack(64)?, 32, 1),
        (stack(64)?, 33, 0),
        (stack(576)?, 32, 1),
        (stack(577)?, 32, 0),
        (stack(577)?, 16, 1),
        (sign(128)?, 17, 1),
        (sign(129)?, 17, 0),
        (sign(129)?, 16, 1),
        (sign(4096)?, 1, 1),
        (sign(4097)?, 1, 0),
    ] {
        let what = format!("{:?} {:?} and {n} columns", s.family(), s.shape());
        let a = filled(cuda, 300, n)?;
        takes(&what, &scattered(count), || s.apply(&a).map(drop));
    }
    let a = filled(cuda, 300, 5)?;
    let kept = stack(64)?.prepare::<f32, _>(cuda)?;
    takes("prepared", &[("scatter_signs_f32", 1), ("gather_stored_f32", 0)], || {
        kept.apply(&a).map(drop)
    });
    takes("one part", &[("scatter_signs_f32", 1), ("join_f32", 0)], || {
        stack(64)?.apply(a.columns(0..1)).map(drop)
    });
    let tall = filled(cuda, 3000, 5)?;
    takes("several parts", &[("scatter_signs_f32", 1), ("join_f32", 1)], || {
        Sketch::sparse_stack(64, 3000, 8, 1)?.apply(&tall).map(drop)
    });
    Ok(())
}

/// A digit of 8 bits a pass; a scan of several levels where there are more than 2048 counters.
fn sorting(cuda: &Cuda) -> Result<()> {
    for (rows, m, passes, levels) in [
        (1, 100, 1, 0),
        (255, 100, 1, 0),
        (256, 100, 2, 0),
        (70_000, 100, 3, 0),
        (100, 40_000, 1, 1),
    ] {
        let what = format!("{rows} rows, {m} pairs");
        let expected = [("digit_counts", passes), ("place_pairs", passes), ("add_tiles", levels)];
        let s = Sketch::count_sketch(rows, m, 1)?;
        takes(&what, &expected, || {
            SketchKernels::<f32>::compressed(cuda, &s, Op::NoTrans).map(drop)
        });
    }
    Ok(())
}

fn transforms(cuda: &Cuda) -> Result<()> {
    for (n, by_rows, passes) in
        [(1 << 14, false, 1), (1 << 15, false, 2), (512, true, 1), (1024, true, 2)]
    {
        takes(&format!("fwht of {n}, by rows: {by_rows}"), &[("hadamard_f32", passes)], || {
            match by_rows {
                true => cuda.fwht(filled(cuda, 40, n)?.as_mut().transpose()),
                false => cuda.fwht(filled(cuda, n, 2)?.as_mut()),
            }
        });
    }
    // A power of two is one round; a convolution transforms its chirp first, and goes there and back.
    for (n, passes) in [(4096, 1), (1 << 14, 2), (1000, 2), (5000, 2 + 3)] {
        let expected = [("cosine_tables_f32", 1), ("cosine_f32", passes)];
        takes(&format!("dct of {n}"), &expected, || {
            cuda.dct(Op::NoTrans, filled(cuda, n, 1)?.as_mut())
        });
    }
    for (s, passes) in [
        (Sketch::srht(50, 9000, 1)?, 1),
        (Sketch::srht(50, 20_000, 1)?, 2),
        (Sketch::hadamard_diagonal(50, 9000, 1)?, 1),
        // Three rounds over two groups of bits, which meet in the middle.
        (Sketch::hadamard_diagonal(50, 20_000, 1)?, 4),
    ] {
        let (a, y) = (filled(cuda, s.ncols(), 1)?, filled(cuda, 50, 1)?);
        let expected = [("draw", 1), ("hadamard_f32", passes)];
        let what = format!("{:?} of {}", s.family(), s.ncols());
        takes(&what, &expected, || s.apply(&a).map(drop));
        takes(&format!("{what}, adjoint"), &expected, || s.apply_adjoint(&y).map(drop));
    }
    // Half of the simulated cache holds four columns of 2¹⁵ numbers of f32, and a line of memory 32.
    let (s, a) = (Sketch::srht(50, 20_000, 1)?, filled(cuda, 20_000, 9)?);
    let mut panels = Vec::new();
    takes("three panels", &[("hadamard_f32", 6)], || {
        panels = s.apply(&a)?.to_vec()?;
        Ok(())
    });
    let mut turned = Mat::zeros(cuda, 9, 20_000)?;
    cuda.axpby(1.0, a.as_ref(), 0.0, turned.as_mut().transpose())?;
    takes("one panel of rows", &[("hadamard_f32", 2)], || {
        let c = s.apply(turned.transpose())?.to_vec()?;
        assert!(c == panels, "other bits");
        Ok(())
    });
    for j in 0..9 {
        let column = s.apply(a.columns(j..j + 1))?.to_vec()?;
        assert!(column == panels[50 * j..50 * (j + 1)], "column {j}: other bits");
    }
    let s = Sketch::srct(50, 9000, 1)?;
    let expected = [("draw", 1), ("cosine_tables_f32", 1), ("cosine_f32", 2 + 3)];
    takes("a long SRCT", &expected, || s.apply(&filled(cuda, 9000, 1)?).map(drop));
    Ok(())
}
