use randnla::{decomp::{rsvd, RsvdParams, qb, QbParams}, Cpu, Mat, Sketch};
#[test]
fn smoke() {
    let cpu = Cpu::new();
    let (m, n) = (600, 400);
    let a = Mat::from_fn(&cpu, m, n, |i, j| 1.0f64 / (1.0 + i as f64 + j as f64) + if i == j {0.01} else {0.0}).unwrap();
    for k in [1, 5, 20, 100, 400] {
        let svd = rsvd(&a, RsvdParams::rank(k)).unwrap();
        println!("k {k} rank {} err {:e} {} passes {}", svd.rank(), svd.error.relative, svd.error.kind, svd.passes);
        let s = svd.s.clone();
        println!("  {:?}", &s[..s.len().min(4)]);
    }
    for tol in [0.3, 1e-1, 1e-2, 1e-9] {
        let svd = rsvd(&a, RsvdParams::tolerance(tol)).unwrap();
        println!("tol {tol} rank {} err {:e} {} passes {}", svd.rank(), svd.error.relative, svd.error.kind, svd.passes);
        let q = qb(&a, QbParams::tolerance(tol).krylov(true)).unwrap();
        println!("   qb {} err {:e} {} passes {}", q.q.ncols(), q.error.relative, q.error.kind, q.passes);
    }
    let s = a.to_faer().thin_svd().unwrap();
    println!("{:?}", (0..4).map(|i| s.S()[i]).collect::<Vec<_>>());
    for f in [Sketch::gaussian(64, m, 1), Sketch::sparse_stack(64, m, 8, 1), Sketch::sparse_sign(64,m,8,1), Sketch::srht(64, m, 1), Sketch::srct(64,m,1), Sketch::haar(64,m,1), Sketch::hadamard_diagonal(64,m,1), Sketch::laso(64,m,8,1), Sketch::row_sampling(64,m,1), Sketch::count_sketch(64,m,1), Sketch::rademacher(64,m,1), Sketch::uniform(64,m,1)] {
        let s = f.unwrap();
        let sa = s.apply(&a).unwrap();
        let sm: Mat<f64> = s.to_mat(&cpu).unwrap();
        let want = sm.to_faer() * a.to_faer();
        let got = sa.to_faer();
        println!("{:?} {:e}  norm ratio {}", s.family(), (&want - &got).norm_max(), got.norm_l2() / a.to_faer().norm_l2());
    }
}
