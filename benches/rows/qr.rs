//! QR of tall matrices against their flops in products at the rate of a large one.

use super::clock::Clock;
use super::{Against, Layout, Pair, Row, random};
use core::hint::black_box;
use faer::linalg::matmul::matmul;
use faer::{Accum, Par};
use randnla::Cpu;
use randnla::decomp::{CqrrptParams, PivotedQr, cqrrpt};

const M: usize = 16_384;
const N: usize = 1024;
/// The order of the product that shows the rate.
const LARGE: usize = 4096;

pub(super) fn row() -> Row {
    let share = 3.0 * (M * N * N) as f64 / (2.0 * (LARGE as f64).powi(3));
    let what = "3mn² flops at the rate of a faer product of order 4096";
    let row = Row::new("cqrrpt/f64", what, Some(1.35), Clock::Wall, Tall::new);
    Row { against: Against::Work { what, share }, ..row }
}

struct Tall {
    cpu: Cpu,
    a: Vec<f64>,
    large: [faer::Mat<f64>; 2],
}

impl Tall {
    fn new() -> Self {
        let large = [random(LARGE, LARGE), vec![0.0; LARGE * LARGE]]
            .map(|x| faer::MatRef::from_column_major_slice(&x, LARGE, LARGE).to_owned());
        Self { cpu: Cpu::new(), a: random(M, N), large }
    }

    fn factor(&self) -> PivotedQr<f64> {
        let a = Layout::ColumnMajor.view(&self.cpu, &self.a, M, N);
        cqrrpt(a, CqrrptParams::default()).expect("A is finite")
    }
}

impl Pair for Tall {
    fn ours(&mut self) {
        black_box(self.factor());
    }

    fn reference(&mut self) {
        let [a, c] = &mut self.large;
        matmul(c.as_mut(), Accum::Replace, a.as_ref(), a.as_ref(), 1.0, Par::rayon(0));
    }

    fn note(&mut self) -> Option<String> {
        let qr = self.factor();
        let host = |x: &randnla::Mat<f64>| {
            let entries = x.to_vec().expect("enough memory");
            faer::MatRef::from_column_major_slice(&entries, x.nrows(), x.ncols()).to_owned()
        };
        let (q, r) = (host(&qr.q), host(&qr.r));
        let gram = q.transpose() * &q;
        let loss = (gram - faer::Mat::<f64>::identity(N, N)).norm_l2() / (N as f64).sqrt();
        let permuted = faer::Mat::from_fn(M, N, |i, j| self.a[qr.pivots[j] * M + i]);
        let norm = permuted.norm_l2();
        let error = (permuted - q * r).norm_l2() / norm;
        Some(format!(
            "rank {}, ‖QᵀQ − I‖_F/√n = {loss:.1e} (estimated {:.1e}), ‖AP − QR‖_F/‖A‖_F = {error:.1e}",
            qr.rank(),
            qr.orthogonality,
        ))
    }
}
