//! The kernels of this folder: how each is launched and what it must compute.

use cuda_sim::exec::{Schedule, Shape};
use cuda_sim::fault::Diagnosis;
use cuda_sim::memory::Kind;
use cuda_sim::options::Options;
use cuda_sim::simulator::{LaunchError, Simulator};

/// A launch being set up: buffers and arguments.
pub struct Setup {
    sim: Simulator,
    arguments: Vec<Vec<u8>>,
}

impl Setup {
    /// A buffer with contents; its address becomes the next argument.
    pub fn buffer<T: Copy, const N: usize>(
        &mut self,
        values: &[T],
        bytes: fn(T) -> [u8; N],
    ) -> u64 {
        let data: Vec<u8> = values.iter().flat_map(|&value| bytes(value)).collect();
        let address = self.empty(data.len());
        self.sim.write(address, &data).unwrap();
        address
    }

    pub fn floats(&mut self, values: &[f32]) -> u64 {
        self.buffer(values, f32::to_le_bytes)
    }

    /// A buffer that nothing was written to.
    pub fn empty(&mut self, bytes: usize) -> u64 {
        let address = self.sim.memory.allocate(bytes, Kind::User).unwrap();
        self.arguments.push(address.to_le_bytes().to_vec());
        address
    }

    pub fn int(&mut self, value: usize) {
        self.arguments.push((value as u32).to_le_bytes().to_vec());
    }

    pub fn long(&mut self, value: u64) {
        self.arguments.push(value.to_le_bytes().to_vec());
    }

    pub fn float(&mut self, value: f32) {
        self.arguments.push(value.to_le_bytes().to_vec());
    }
}

/// What is launched and checked.
pub struct Launch {
    shape: Shape,
    /// The buffer to compare.
    output: u64,
    expected: Vec<f32>,
    tolerance: f32,
}

/// A kernel, with its launch.
pub struct Kernel {
    pub name: &'static str,
    prepare: fn(&mut Setup) -> Launch,
}

pub const KERNELS: [Kernel; 9] = [
    Kernel { name: "fwht", prepare: fwht },
    Kernel { name: "softmax", prepare: softmax },
    Kernel { name: "scatter", prepare: scatter },
    Kernel { name: "gemm", prepare: gemm },
    Kernel { name: "transpose", prepare: transpose },
    Kernel { name: "pipeline", prepare: pipeline },
    Kernel { name: "normal", prepare: normal },
    Kernel { name: "scan", prepare: scan },
    Kernel { name: "blocks", prepare: blocks },
];

/// What a run came to.
pub enum Outcome {
    /// The result is right; the simulator with its counters.
    Right(Box<Simulator>),
    /// The result is wrong.
    Wrong(String),
    /// The simulator found a fault.
    Fault(Box<Diagnosis>),
}

/// Runs variant `bug` of a kernel and checks its result.
pub fn run(kernel: &Kernel, bug: usize, schedule: Schedule) -> Outcome {
    let (mut sim, launch) = match execute(kernel, bug, schedule) {
        Ok(done) => done,
        Err(diagnosis) => return Outcome::Fault(diagnosis),
    };
    for (index, (got, want)) in output(&mut sim, &launch).zip(&launch.expected).enumerate() {
        // NaN is wrong, too.
        if (got - want)
            .abs()
            .partial_cmp(&(launch.tolerance * (1.0 + want.abs())))
            .is_none_or(|order| order.is_gt())
        {
            return Outcome::Wrong(format!("element {index} is {got}, not {want}"));
        }
    }
    Outcome::Right(Box::new(sim))
}

/// Runs variant `bug` of a kernel and returns the bits of its result.
pub fn bits(kernel: &Kernel, bug: usize, schedule: Schedule) -> Vec<u32> {
    let (mut sim, launch) = execute(kernel, bug, schedule).unwrap();
    output(&mut sim, &launch).map(f32::to_bits).collect()
}

fn output(sim: &mut Simulator, launch: &Launch) -> impl Iterator<Item = f32> + use<> {
    let mut bytes = vec![0; 4 * launch.expected.len()];
    sim.read(launch.output, &mut bytes).unwrap();
    let float = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
    bytes.chunks_exact(4).map(float).collect::<Vec<_>>().into_iter()
}

fn execute(
    kernel: &Kernel,
    bug: usize,
    schedule: Schedule,
) -> Result<(Simulator, Launch), Box<Diagnosis>> {
    let path =
        format!("{}/tests/kernels/ptx/{}.{bug}.ptx", env!("CARGO_MANIFEST_DIR"), kernel.name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let sim = Simulator::new(&Options { schedule, ..Options::default() });
    let mut setup = Setup { sim, arguments: Vec::new() };
    let launch = (kernel.prepare)(&mut setup);
    let Setup { mut sim, arguments } = setup;
    let module = sim.load(&text).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    let program = &module.kernels[kernel.name];
    let mut params = vec![0; program.param_bytes];
    for (param, argument) in program.params.iter().zip(&arguments) {
        params[param.offset..param.offset + param.bytes].copy_from_slice(argument);
    }
    match sim.launch(program, launch.shape, &params, 0) {
        Ok(()) => Ok((sim, launch)),
        Err(LaunchError::Fault(diagnosis)) => Err(diagnosis),
        Err(LaunchError::Invalid(message)) => panic!("{message}"),
    }
}

/// Numbers in [-1, 1).
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / 8388608.0 - 1.0
    };
    (0..count).map(step).collect()
}

fn shape(grid: [u32; 2], block: [u32; 2], dynamic_shared: usize) -> Shape {
    Shape { grid: [grid[0], grid[1], 1], block: [block[0], block[1], 1], dynamic_shared }
}

fn fwht(setup: &mut Setup) -> Launch {
    let (rows, n) = (3, 512);
    let x = numbers(1, rows * n);
    let output = setup.floats(&x);
    setup.int(n);
    setup.float(0.5);
    let mut expected = x;
    for row in expected.chunks_mut(n) {
        let mut half = 1;
        while half < n {
            for start in (0..n).step_by(2 * half) {
                for i in start..start + half {
                    (row[i], row[i + half]) = (row[i] + row[i + half], row[i] - row[i + half]);
                }
            }
            half *= 2;
        }
        row.iter_mut().for_each(|value| *value *= 0.5);
    }
    let shape = shape([rows as u32, 1], [128, 1], 4 * n);
    Launch { shape, output, expected, tolerance: 1e-5 }
}

fn softmax(setup: &mut Setup) -> Launch {
    let (rows, n) = (3, 333);
    let x = numbers(2, rows * n);
    let output = setup.floats(&x);
    setup.int(n);
    let mut expected = x;
    for row in expected.chunks_mut(n) {
        let top = row.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = row.iter().map(|x| (x - top).exp()).sum();
        row.iter_mut().for_each(|x| *x = (*x - top).exp() / sum);
    }
    Launch { shape: shape([rows as u32, 1], [128, 1], 0), output, expected, tolerance: 1e-5 }
}

fn scatter(setup: &mut Setup) -> Launch {
    let (m, n, d) = (70usize, 37usize, 5usize);
    let a = numbers(3, m * n);
    let hash: Vec<u32> = (0..m as u32)
        .map(|i| i.wrapping_mul(2654435761) >> 7)
        .map(|z| (z % d as u32) | ((z & 64) << 25))
        .collect();
    setup.floats(&a);
    let output = setup.floats(&vec![0.0; d * n]);
    setup.buffer(&hash, u32::to_le_bytes);
    setup.int(m);
    setup.int(n);
    let mut expected = vec![0.0; d * n];
    for (i, h) in hash.iter().enumerate() {
        let sign = if h >> 31 != 0 { -1.0 } else { 1.0 };
        for j in 0..n {
            expected[(h & 0x7FFF_FFFF) as usize * n + j] += sign * a[i * n + j];
        }
    }
    Launch { shape: shape([2, 18], [32, 4], 0), output, expected, tolerance: 1e-5 }
}

fn gemm(setup: &mut Setup) -> Launch {
    let (m, n, k) = (21, 34, 39);
    let (a, b) = (numbers(4, m * k), numbers(5, k * n));
    setup.floats(&a);
    setup.floats(&b);
    let output = setup.empty(4 * m * n);
    setup.int(m);
    setup.int(n);
    setup.int(k);
    let mut expected = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            expected[i * n + j] = (0..k).map(|q| a[i * k + q] * b[q * n + j]).sum();
        }
    }
    Launch { shape: shape([3, 2], [16, 16], 0), output, expected, tolerance: 1e-5 }
}

fn transpose(setup: &mut Setup) -> Launch {
    let (m, n) = (21, 70);
    let a = numbers(6, m * n);
    setup.floats(&a);
    let output = setup.empty(4 * m * n);
    setup.int(m);
    setup.int(n);
    let mut expected = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            expected[j * m + i] = a[i * n + j];
        }
    }
    Launch { shape: shape([3, 2], [16, 16], 0), output, expected, tolerance: 0.0 }
}

fn pipeline(setup: &mut Setup) -> Launch {
    let (m, n, k) = (32, 16, 80);
    // Bfloats are the upper halves of singles.
    let bfloats = |seed, count| -> Vec<u16> {
        numbers(seed, count).iter().map(|x| (x.to_bits() >> 16) as u16).collect()
    };
    let (a, b) = (bfloats(7, m * k), bfloats(8, k * n));
    setup.buffer(&a, u16::to_le_bytes);
    setup.buffer(&b, u16::to_le_bytes);
    let output = setup.empty(4 * m * n);
    setup.int(n);
    setup.int(k);
    let value = |bits: u16| f32::from_bits(u32::from(bits) << 16);
    let mut expected = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            let products = (0..k).map(|q| value(a[i * k + q]) * value(b[q * n + j]));
            expected[i * n + j] = products.sum();
        }
    }
    Launch { shape: shape([2, 2], [32, 1], 0), output, expected, tolerance: 1e-4 }
}

fn philox(counter: u64, key: u64) -> [u32; 4] {
    let mut c = [counter as u32, (counter >> 32) as u32, 0, 0];
    let mut k = [key as u32, (key >> 32) as u32];
    for _ in 0..10 {
        let (x, y) = (0xD251_1F53 * u64::from(c[0]), 0xCD9E_8D57 * u64::from(c[2]));
        c = [(y >> 32) as u32 ^ c[1] ^ k[0], y as u32, (x >> 32) as u32 ^ c[3] ^ k[1], x as u32];
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

fn normal(setup: &mut Setup) -> Launch {
    let (n, seed) = (1003, 0x0123_4567_89AB_CDEF);
    let output = setup.empty(4 * n);
    setup.long(n as u64);
    setup.long(seed);
    let mut expected = Vec::new();
    for t in 0..(n as u64).div_ceil(4) {
        let r = philox(t, seed);
        for pair in [[r[0], r[1]], [r[2], r[3]]] {
            let u = (f64::from(pair[0] >> 8) + 0.5) / 16777216.0;
            let angle = std::f64::consts::TAU * f64::from(pair[1] >> 8) / 16777216.0;
            let radius = (-2.0 * u.ln()).sqrt();
            expected.extend([(radius * angle.cos()) as f32, (radius * angle.sin()) as f32]);
        }
    }
    expected.truncate(n);
    Launch { shape: shape([2, 1], [128, 1], 0), output, expected, tolerance: 2e-5 }
}

fn scan(setup: &mut Setup) -> Launch {
    let n = 250;
    // Numbers whose sums are not exact.
    let x: Vec<f32> = numbers(9, n).iter().map(|x| x / 3.0).collect();
    setup.floats(&x);
    let output = setup.empty(4 * n);
    setup.empty(8);
    setup.floats(&[0.0]); // the counter
    setup.int(n);
    let mut expected = Vec::new();
    for (i, x) in x.iter().enumerate() {
        let before = if i % 32 == 0 { 0.0 } else { expected[i - 1] };
        expected.push(before + (i % 4 + 1) as f32 * x);
    }
    Launch { shape: shape([2, 1], [128, 1], 0), output, expected, tolerance: 1e-5 }
}

fn blocks(setup: &mut Setup) -> Launch {
    let (grid, n) = (9, 9 * 32 - 5);
    // Numbers whose sums are not exact.
    let x: Vec<f32> = numbers(9, n).iter().map(|x| x / 3.0).collect();
    setup.floats(&x);
    let output = setup.floats(&vec![0.0; grid]);
    setup.int(n);
    let expected = x.chunks(32).map(|part| part.iter().sum()).collect();
    Launch { shape: shape([grid as u32, 1], [32, 1], 0), output, expected, tolerance: 1e-5 }
}
