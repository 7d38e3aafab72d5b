//! Times on paper, of an H100: what the comments of the kernels reckon with. Nothing here is measured.

/// Bytes a second from memory.
const MEMORY: f64 = 3e12;
/// Instructions of a thread a second: 132 multiprocessors of 128 lanes at 1.7 GHz; those of f64 count twice.
const ISSUE: f64 = 132.0 * 128.0 * 1.7e9;
/// Normals a second out of Philox, f32 and f64.
const NORMALS: [f64; 2] = [0.7e12, 0.15e12];
/// Flops a second of matrix products: f32, f64 (tensor cores), halves (tensor cores).
const PRODUCTS: [f64; 3] = [60e12, 60e12, 900e12];

/// The type of a job's numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Number {
    F32,
    F64,
    Half,
}

impl Number {
    /// By the bytes of an entry.
    pub fn of<T>() -> Self {
        match size_of::<T>() {
            2 => Self::Half,
            4 => Self::F32,
            _ => Self::F64,
        }
    }

    fn bytes(self) -> f64 {
        match self {
            Self::F32 => 4.0,
            Self::F64 => 8.0,
            Self::Half => 2.0,
        }
    }

    fn product(self, [m, n, k]: [usize; 3]) -> f64 {
        let (m, n, k) = (m as f64, n as f64, k as f64);
        let peak = match self {
            Self::F32 => PRODUCTS[0],
            Self::F64 => PRODUCTS[1],
            Self::Half => PRODUCTS[2],
        };
        let bytes = self.bytes() * (m * n + m * k + n * k);
        (2.0 * m * n * k / peak).max(bytes / MEMORY)
    }

    /// Normals written to memory; those of halves are made in f32.
    fn normals(self, count: usize) -> f64 {
        let rate = if self == Self::F64 { NORMALS[1] } else { NORMALS[0] };
        (count as f64 / rate).max(count as f64 * self.bytes() / MEMORY)
    }
}

/// How one would do a job with cuRAND and cuBLAS.
#[derive(Clone, Copy)]
pub enum Peer {
    /// They have nothing of the kind.
    None,
    /// A copy, a sum, a norm: bytes at the rate of memory.
    Bytes(usize),
    /// So many normals, written by cuRAND.
    Normals(usize),
    /// A Gaussian operator written by cuRAND, and its product with a matrix: m×k times k×n.
    Sketch([usize; 3]),
    /// A product with a matrix that is at hand: m×k times k×n.
    Product([usize; 3]),
}

impl Peer {
    /// Seconds on paper; m, n and k of products in this order.
    pub fn seconds(self, number: Number) -> Option<f64> {
        Some(match self {
            Self::None => return None,
            Self::Bytes(bytes) => bytes as f64 / MEMORY,
            Self::Normals(count) => number.normals(count),
            Self::Sketch([m, n, k]) => number.normals(m * k) + number.product([m, n, k]),
            Self::Product(shape) => number.product(shape),
        })
    }
}

/// Seconds of a kernel on paper: bytes from memory, or instructions as the simulator counts them in PTX.
pub fn seconds(kernel: &str, bytes: u64, instructions: u64) -> f64 {
    let weight = if kernel.ends_with("_f64") { 2.0 } else { 1.0 };
    (bytes as f64 / MEMORY).max(weight * instructions as f64 / ISSUE)
}
