//! QR of tall matrices against their flops in products at the rate of a large one.

use super::clock::Clock;
use super::{Against, Layout, Pair, Row, random};
use core::hint::black_box;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{
    qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::{Accum, Par};
use randnla::Cpu;
use randnla::decomp::{BqrrpParams, CqrrptParams, FactoredQr, PivotedQr, bqrrp, cqrrpt};

const M: usize = 16_384;
const N: usize = 1024;
/// The order of the product that shows the rate.
const LARGE: usize = 4096;

pub(super) fn rows() -> Vec<Row> {
    let what = "faer QR without pivots";
    let square = Row::new("bqrrp/f64", what, Some(1.2), Clock::Wall, Square::new);
    vec![tall(), square]
}

fn tall() -> Row {
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
        let [loss, error] = measured(&self.a, M, N, &qr);
        Some(format!(
            "rank {}, ‖QᵀQ − I‖_F/√n = {loss:.1e} (estimated {:.1e}), ‖AP − QR‖_F/‖A‖_F = {error:.1e}",
            qr.rank(),
            qr.orthogonality,
        ))
    }
}

/// ‖QᵀQ − I‖_F/√k and ‖AP − QR‖_F/‖A‖_F.
fn measured(a: &[f64], m: usize, n: usize, qr: &PivotedQr<f64>) -> [f64; 2] {
    let host = |x: &randnla::Mat<f64>| {
        let entries = x.to_vec().expect("enough memory");
        faer::MatRef::from_column_major_slice(&entries, x.nrows(), x.ncols()).to_owned()
    };
    let (q, r, k) = (host(&qr.q), host(&qr.r), qr.rank());
    let gram = q.transpose() * &q;
    let loss = (gram - faer::Mat::<f64>::identity(k, k)).norm_l2() / (k as f64).sqrt();
    let permuted = faer::Mat::from_fn(m, n, |i, j| a[qr.pivots[j] * m + i]);
    let norm = permuted.norm_l2();
    [loss, (permuted - q * r).norm_l2() / norm]
}

/// Pivoted QR of a square matrix next to faer's QR of it without pivots: Q is left as reflectors by both, A is
/// copied by both.
struct Square {
    cpu: Cpu,
    a: Vec<f64>,
}

impl Square {
    fn new() -> Self {
        Self { cpu: Cpu::new(), a: random(LARGE, LARGE) }
    }

    fn factor(&self) -> FactoredQr<f64> {
        let a = Layout::ColumnMajor.view(&self.cpu, &self.a, LARGE, LARGE);
        bqrrp(a, BqrrpParams::default()).expect("A is finite")
    }
}

impl Pair for Square {
    fn ours(&mut self) {
        black_box(self.factor());
    }

    fn reference(&mut self) {
        let n = LARGE;
        let mut a = faer::MatRef::from_column_major_slice(&self.a, n, n).to_owned();
        let block = recommended_block_size::<f64>(n, n);
        let mut coefficients = faer::Mat::<f64>::zeros(block, n);
        let (par, params) = (Par::rayon(0), Default::default());
        let mut memory = MemBuffer::new(qr_in_place_scratch::<f64>(n, n, block, par, params));
        let stack = MemStack::new(&mut memory);
        qr_in_place(a.as_mut(), coefficients.as_mut(), par, stack, params);
        black_box((a, coefficients));
    }

    fn note(&mut self) -> Option<String> {
        let qr = self.factor().explicit().expect("enough memory");
        let [loss, error] = measured(&self.a, LARGE, LARGE, &qr);
        Some(format!(
            "rank {}, ‖QᵀQ − I‖_F/√n = {loss:.1e} (estimated {:.1e}), ‖AP − QR‖_F/‖A‖_F = {error:.1e}",
            qr.rank(),
            qr.orthogonality,
        ))
    }
}
