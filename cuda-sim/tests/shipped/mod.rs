//! The library's own kernels, one launch each, and edits of their PTX that seed bugs.

mod copies;
mod launches;
mod operands;
mod sparse;
mod transforms;

use cuda_sim::exec::{Schedule, Shape};
use cuda_sim::fault::Diagnosis;
use cuda_sim::memory::Kind;
use cuda_sim::options::Options;
use cuda_sim::simulator::{LaunchError, Simulator};
pub use launches::SCENES;

/// A kernel of `cuda/ptx`, and how it is launched.
pub struct Scene {
    pub file: &'static str,
    pub kernel: &'static str,
    prepare: fn(&mut Setup) -> Launch,
}

/// Whether the bytes of an output are right.
type Check = dyn Fn(&[u8]) -> bool;

/// A launch, and what must come of it.
struct Launch {
    /// Blocks side by side.
    grid: u32,
    threads: u32,
    dynamic_shared: usize,
    /// Address and size of what is checked.
    output: (u64, usize),
    is_right: Box<Check>,
}

/// A device with the kernel's operands.
struct Setup {
    sim: Simulator,
    text: String,
    arguments: Vec<Vec<u8>>,
}

impl Setup {
    /// The next argument.
    fn pass(&mut self, bytes: impl AsRef<[u8]>) {
        self.arguments.push(bytes.as_ref().to_vec());
    }

    /// A buffer that nothing was written to.
    fn empty(&mut self, bytes: usize) -> u64 {
        self.sim.memory.allocate(bytes, Kind::User).unwrap()
    }

    fn buffer<const N: usize, T: Copy>(&mut self, values: &[T], bytes: fn(T) -> [u8; N]) -> u64 {
        let data: Vec<u8> = values.iter().flat_map(|&value| bytes(value)).collect();
        let address = self.empty(data.len());
        self.sim.write(address, &data).unwrap();
        address
    }

    fn floats(&mut self, values: &[f32]) -> u64 {
        self.buffer(values, f32::to_le_bytes)
    }

    /// Small integers as numbers of 16 bits: the exponent's bias and the length of the fraction differ.
    fn halves(&mut self, values: &[f32]) -> u64 {
        let half = |x: &f32| match x.to_bits() {
            0 => 0u16,
            bits => (bits >> 16 & 0x8000) as u16 | ((bits >> 13 & 0x3FFFF) - (112 << 10)) as u16,
        };
        let bits: Vec<u16> = values.iter().map(half).collect();
        self.buffer(&bits, u16::to_le_bytes)
    }

    fn ints(&mut self, values: &[u32]) -> u64 {
        self.buffer(values, u32::to_le_bytes)
    }

    fn longs(&mut self, values: &[u64]) -> u64 {
        self.buffer(values, u64::to_le_bytes)
    }

    /// Launches a kernel of the file as it is, with the arguments passed so far.
    fn launch_first(&mut self, kernel: &str, blocks: u32, threads: u32) {
        let text = kernel_text(&self.text, kernel);
        let launched = self.launch(&text, kernel, blocks, threads, 0);
        launched.unwrap_or_else(|diagnosis| panic!("{diagnosis}"));
        self.arguments.clear();
    }

    fn launch(
        &mut self,
        text: &str,
        kernel: &str,
        blocks: u32,
        threads: u32,
        dynamic_shared: usize,
    ) -> Result<(), Box<Diagnosis>> {
        let module = self.sim.load(text).unwrap_or_else(|error| panic!("{kernel}: {error:?}"));
        let program = &module.kernels[kernel];
        let mut params = vec![0; program.param_bytes];
        assert_eq!(program.params.len(), self.arguments.len(), "arguments of {kernel}");
        for (param, argument) in program.params.iter().zip(&self.arguments) {
            assert_eq!(param.bytes, argument.len(), "an argument of {kernel}");
            params[param.offset..param.offset + param.bytes].copy_from_slice(argument);
        }
        let shape = Shape { grid: [blocks, 1, 1], block: [threads, 1, 1], dynamic_shared };
        match self.sim.launch(program, shape, &params, usize::MAX) {
            Ok(()) => Ok(()),
            Err(LaunchError::Fault(diagnosis)) => Err(diagnosis),
            Err(LaunchError::Invalid(message)) => panic!("{kernel}: {message}"),
        }
    }
}

/// A change of one kernel. Instructions are found by how their lines begin and by their number among
/// those, so that other registers do not matter.
#[derive(Clone, Copy, Debug)]
pub enum Edit {
    /// Leaves an instruction out.
    Remove(&'static str, usize),
    /// Puts something else for a part of an instruction.
    Replace(&'static str, usize, &'static str, &'static str),
    /// Makes an atomic instruction a store of its operand.
    Plain(&'static str, usize),
    /// Puts another constant everywhere.
    Constant(&'static str, &'static str),
}

impl Edit {
    /// The changed text of a kernel.
    fn apply(self, text: &str) -> String {
        let (start, number) = match self {
            Self::Constant(old, new) => {
                assert!(text.contains(old), "{self:?} does not apply");
                return text.replace(old, new);
            }
            Self::Remove(start, n) | Self::Replace(start, n, ..) | Self::Plain(start, n) => {
                (start, n)
            }
        };
        let mut lines: Vec<&str> = text.lines().collect();
        let of_start = |line: &str| line.trim_start().starts_with(start);
        let at = (0..lines.len()).filter(|&at| of_start(lines[at])).nth(number);
        let at = at.unwrap_or_else(|| panic!("{self:?} does not apply"));
        let changed = match self {
            Self::Replace(_, _, old, new) => lines[at].replacen(old, new, 1),
            Self::Plain(..) => plain_store(lines[at]),
            _ => String::new(),
        };
        assert_ne!(lines[at], changed, "{self:?} changes nothing");
        lines[at] = &changed;
        lines.join("\n")
    }
}

/// `st.global.u64 [a], b;` for `atom.global.max.u64 d, [a], b;`.
fn plain_store(line: &str) -> String {
    let (name, operands) = line.trim().split_once(char::is_whitespace).unwrap();
    let parts: Vec<_> = name.split('.').collect();
    let place = operands.find('[').unwrap();
    format!("st.{}.{} {}", parts[1], parts[parts.len() - 1], &operands[place..])
}

/// The declarations of a file and the text of one of its kernels.
fn kernel_text(file: &str, kernel: &str) -> String {
    let first = file.find(".visible .entry").unwrap();
    let head = file[..first].rfind('\n').map_or("", |end| &file[..end]);
    let start = file.find(&format!(".visible .entry {kernel}(")).unwrap_or_else(|| {
        panic!("no kernel {kernel}");
    });
    let end = file[start..].find("\n}\n").unwrap();
    format!("{head}\n{}", &file[start..start + end + 3])
}

/// What a run came to.
pub enum Outcome {
    /// The result is right.
    Right,
    /// The result is wrong.
    Wrong,
    /// The simulator found a fault.
    Fault(Box<Diagnosis>),
}

/// The text of a kernel's file.
fn file_text(scene: &Scene) -> String {
    let path = format!("{}/../cuda/ptx/{}.ptx", env!("CARGO_MANIFEST_DIR"), scene.file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// How many instructions of a kernel begin so.
pub fn count(scene: &Scene, start: &str) -> usize {
    let text = kernel_text(&file_text(scene), scene.kernel);
    text.lines().filter(|line| line.trim_start().starts_with(start)).count()
}

/// Runs a kernel as it is or with a bug.
pub fn run(scene: &Scene, edit: Option<Edit>, schedule: Schedule) -> Outcome {
    let text = file_text(scene);
    let kernel = kernel_text(&text, scene.kernel);
    let kernel = edit.map_or(kernel.clone(), |edit| edit.apply(&kernel));
    let sim = Simulator::new(&Options { schedule, ..Options::default() });
    let mut setup = Setup { sim, text, arguments: Vec::new() };
    let Launch { grid, threads, dynamic_shared, output, is_right } = (scene.prepare)(&mut setup);
    match setup.launch(&kernel, scene.kernel, grid, threads, dynamic_shared) {
        Ok(()) => {}
        Err(diagnosis) => return Outcome::Fault(diagnosis),
    }
    let mut bytes = vec![0; output.1];
    setup.sim.read(output.0, &mut bytes).unwrap();
    if is_right(&bytes) { Outcome::Right } else { Outcome::Wrong }
}
