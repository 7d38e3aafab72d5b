//! Least squares of 65536×2048, condition 10¹², against Householder QR of the same matrix.

use super::clock::Clock;
use super::{Layout, Pair, Row, random};
use core::hint::black_box;
use faer::Par;
use faer::linalg::solvers::SolveLstsq;
use randnla::solve::{
    Lstsq, LstsqMethod, LstsqParams, SketchPreconditioner, SketchPreconditionerParams, lstsq,
};
use randnla::{Cpu, Mat, Sketch};

const M: usize = 1 << 16;
const N: usize = 2048;

pub(super) fn row() -> Row {
    let what = "Householder QR of A by faer, and Qᵀb";
    Row::new("lstsq/f64", what, Some(0.5), Clock::Wall, Regression::new)
}

struct Regression {
    cpu: Cpu,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Regression {
    /// A = U·diag(1, …, 10⁻¹²)·H, nearly orthonormal U and a Hadamard matrix H; b = A x + e.
    fn new() -> Self {
        let cpu = Cpu::new();
        let mut u: Vec<f64> = random(M, N);
        for (j, column) in u.chunks_exact_mut(M).enumerate() {
            let scale = 1e-12f64.powf(j as f64 / (N - 1) as f64) / (M as f64).sqrt();
            column.iter_mut().for_each(|x| *x *= scale);
        }
        let mut a = vec![0.0; M * N];
        let h = Sketch::hadamard_diagonal(N, N, 2).expect("a power of two");
        let view = Layout::ColumnMajor.view_mut(&cpu, &mut a, M, N);
        let u = Layout::ColumnMajor.view(&cpu, &u, M, N);
        h.apply_right_into(1.0, u, 0.0, view).expect("enough memory");
        let x =
            Sketch::gaussian(N, 1, 3).expect("small").raw().to_mat::<f64, _>(&cpu).expect("small");
        let mut b: Vec<f64> = random(M, 1).iter().map(|e: &f64| 1e-3 * e / 256.0).collect();
        let to = Layout::ColumnMajor.view_mut(&cpu, &mut b, M, 1);
        let a_view = Layout::ColumnMajor.view(&cpu, &a, M, N);
        randnla::Blas::gemm(&cpu, 1.0, a_view, x.as_ref(), 1.0, to).expect("enough memory");
        Self { cpu, a, b }
    }

    fn solve(&self) -> Lstsq<f64> {
        let a = Layout::ColumnMajor.view(&self.cpu, &self.a, M, N);
        let b = Layout::ColumnMajor.view(&self.cpu, &self.b, M, 1);
        lstsq(&a, b, LstsqParams::default().method(LstsqMethod::Sketch)).expect("A is finite")
    }

    fn householder(&self) -> faer::Mat<f64> {
        faer::set_global_parallelism(Par::rayon(0));
        let a = faer::MatRef::from_column_major_slice(&self.a, M, N);
        a.qr().solve_lstsq(faer::MatRef::from_column_major_slice(&self.b, M, 1))
    }
}

impl Pair for Regression {
    fn ours(&mut self) {
        black_box(self.solve());
    }

    fn reference(&mut self) {
        black_box(self.householder());
    }

    fn note(&mut self) -> Option<String> {
        let a = Layout::ColumnMajor.view(&self.cpu, &self.a, M, N);
        let b = Layout::ColumnMajor.view(&self.cpu, &self.b, M, 1);
        let found = self.solve();
        let qr = self.householder();
        let qr = Mat::from_fn(&self.cpu, N, 1, |i, _| qr[(i, 0)]).expect("small");
        let params = SketchPreconditionerParams::default().seed(9);
        let other = SketchPreconditioner::new(&a, params).expect("A is finite");
        let error = |x: &Mat<f64>| other.backward_errors(&a, b, x.as_ref()).expect("it fits")[0];
        Some(format!(
            "condition {:.0e}, rank {}, {} iterations in {} corrections; backward error {:.1e}, of QR {:.1e}",
            found.condition,
            found.rank,
            found.iterations,
            found.refinements,
            error(&found.x),
            error(&qr),
        ))
    }
}

/// Prints for shapes and numbers of right-hand sides how long `lstsq` takes by a sketch, in times of its QR, with a star
/// where it takes the method that is slower, and in brackets how long it takes in times of faer's QR. Matrices are random, with
/// columns of lengths 1 to 10⁻⁶.
pub fn crossover() {
    let cpu = Cpu::new();
    faer::set_global_parallelism(Par::rayon(0));
    let factors = [2, 3, 4, 6, 8, 16, 64];
    println!("time by sketch / by QR, * where the slower one is taken (lstsq / faer's QR)\n");
    println!("| n, right-hand sides | {} |", factors.map(|f| format!("m = {f}n")).join(" | "));
    println!("|---|{}", "---|".repeat(factors.len()));
    let few = [60, 120, 250, 500, 1000].map(|n| (n, 1));
    for (n, p) in few.into_iter().chain([(60, 30), (250, 30), (1000, 30), (250, 250)]) {
        let cells = factors.map(|factor| {
            let m = factor * n;
            if m * n > 1 << 25 {
                return String::from("–");
            }
            let (mut a, b) = (random::<f64>(m, n), random::<f64>(m, p));
            for (j, column) in a.chunks_exact_mut(m).enumerate() {
                let scale = 1e-6f64.powf(j as f64 / (n - 1) as f64);
                column.iter_mut().for_each(|x| *x *= scale);
            }
            shape(&cpu, (&a, &b), (m, n, p))
        });
        println!("| {n}, {p} | {} |", cells.join(" | "));
    }
}

/// A cell of the table.
fn shape(cpu: &Cpu, (a, b): (&[f64], &[f64]), (m, n, p): (usize, usize, usize)) -> String {
    let theirs = faer::MatRef::from_column_major_slice(a, m, n);
    let right = faer::MatRef::from_column_major_slice(b, m, p);
    let a = Layout::ColumnMajor.view(cpu, a, m, n);
    let b = Layout::ColumnMajor.view(cpu, b, m, p);
    let solve = |params| lstsq(&a, b, params).expect("A is finite");
    let by = |method| solve(LstsqParams::default().method(method));
    let calls: [&dyn Fn(); 3] = [
        &|| drop(black_box(by(LstsqMethod::Sketch))),
        &|| drop(black_box(by(LstsqMethod::Qr))),
        &|| drop(black_box(theirs.qr().solve_lstsq(right))),
    ];
    let rounds: Vec<[f64; 3]> = (0..6).map(|_| calls.map(|call| Clock::Wall.time(call))).collect();
    let [sketch, qr, theirs] = [0, 1, 2].map(|side| {
        let mut times: Vec<f64> = rounds.iter().map(|round| round[side]).collect();
        times.sort_by(f64::total_cmp);
        times[2]
    });
    let by_sketch = solve(LstsqParams::default()).method == LstsqMethod::Sketch;
    let star = if by_sketch == (sketch > qr) { "*" } else { "" };
    let ours = if by_sketch { sketch } else { qr };
    format!("{:.2}{star} ({:.2})", sketch / qr, ours / theirs)
}
