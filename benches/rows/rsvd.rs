//! The randomised SVD of a 4096² matrix with singular values 1, 1/2, 1/3, … against its flops in
//! products at the rate of a large one, and against a thin SVD of the same matrix.

use super::clock::Clock;
use super::{Against, Layout, Pair, Row, random};
use core::hint::black_box;
use faer::linalg::matmul::matmul;
use faer::{Accum, Par};
use randnla::decomp::{RsvdParams, Svd, rsvd};
use randnla::{Cpu, Sketch};

const N: usize = 4096;
const RANK: usize = 64;
const OVERSAMPLING: usize = 10;
const POWER_PASSES: usize = 2;

pub(super) fn row() -> Row {
    let passes = 2 * POWER_PASSES + 2;
    let share = (passes * (RANK + OVERSAMPLING)) as f64 / N as f64;
    let what = "its flops at the rate of a faer product of order 4096";
    let row = Row::new("rsvd/f64", what, Some(1.4), Clock::Wall, Decomposition::new);
    Row { against: Against::Work { what, share }, ..row }
}

struct Decomposition {
    cpu: Cpu,
    a: Vec<f64>,
    /// A with columns apart from multiples of a page, and room for A·A.
    padded: [faer::Mat<f64>; 2],
}

impl Decomposition {
    fn new() -> Self {
        let a = polynomial();
        let view = faer::MatRef::from_column_major_slice(&a, N, N);
        let padded = [view.to_owned(), faer::Mat::zeros(N, N)];
        Self { cpu: Cpu::new(), a, padded }
    }

    fn decompose(&self) -> Svd<f64> {
        let a = Layout::ColumnMajor.view(&self.cpu, &self.a, N, N);
        let params = RsvdParams::rank(RANK).oversampling(OVERSAMPLING);
        rsvd(&a, params.power_passes(POWER_PASSES).seed(7)).expect("A is finite")
    }
}

impl Pair for Decomposition {
    fn ours(&mut self) {
        black_box(self.decompose());
    }

    fn reference(&mut self) {
        let [a, c] = &mut self.padded;
        matmul(c.as_mut(), Accum::Replace, a.as_ref(), a.as_ref(), 1.0, Par::rayon(0));
    }

    fn note(&mut self) -> Option<String> {
        let svd = self.decompose();
        let low_rank = svd.reconstruct().and_then(|a| a.to_vec()).expect("enough memory");
        let error = norm(self.a.iter().zip(&low_rank).map(|(a, b)| a - b));
        let tail = |from| norm((from..=N).map(|i| 1.0 / i as f64));
        let built = norm(self.a.iter().copied()) / tail(1) - 1.0;
        Some(format!(
            "‖A − USVᵀ‖_F = {error:.6}, {:+.3} % of the best of rank {RANK}; the estimate says \
             {:.6} ({}); ‖A‖_F is that of the prescribed values up to {built:.0e}",
            100.0 * (error / tail(RANK + 1) - 1.0),
            svd.error.absolute,
            svd.error.kind,
        ))
    }
}

/// Seconds of the library and of one thin SVD by faer, of the same matrix.
pub fn against_thin_svd() -> (f64, f64) {
    let mut work = Decomposition::new();
    work.ours();
    let mut ours: Vec<f64> = (0..5).map(|_| Clock::Wall.time(|| work.ours())).collect();
    ours.sort_by(f64::total_cmp);
    faer::set_global_parallelism(Par::rayon(0));
    let thin = Clock::Wall.time(|| {
        black_box(work.padded[0].thin_svd().expect("A is finite"));
    });
    (ours[2], thin)
}

/// U·diag(1, 1/2, 1/3, …)·Vᵀ, column-major, with U and V products of Hadamard matrices and signs:
/// orthogonal, without structure that a sketch could profit from, and built in a second.
fn polynomial() -> Vec<f64> {
    let cpu = Cpu::new();
    let mut diagonal = vec![0.0; N * N];
    diagonal.iter_mut().step_by(N + 1).enumerate().for_each(|(i, s)| *s = 1.0 / (1 + i) as f64);
    let mut a = random(N, N);
    let orthogonal = |seed| Sketch::hadamard_diagonal(N, N, seed).expect("a power of two");
    let d = Layout::ColumnMajor.view(&cpu, &diagonal, N, N);
    let left = orthogonal(1).apply(d).expect("enough memory");
    let view = Layout::ColumnMajor.view_mut(&cpu, &mut a, N, N);
    orthogonal(2).apply_right_into(1.0, &left, 0.0, view).expect("enough memory");
    a
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}
