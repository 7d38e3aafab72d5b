//! The simulated device: memory, modules and launches, without the driver API around them.

use crate::code::{Program, Symbols, link};
use crate::counters::Counters;
use crate::exec::{self, Schedule, Shape};
use crate::fault::Diagnosis;
use crate::memory::{Claim, Clocks, DeviceMemory, Footprint, Kind, OutOfMemory, Region};
use crate::options::Options;
use crate::order::Order;
use crate::ptx::{self, syntax};
use std::collections::HashMap;
use std::sync::Arc;

/// Most threads of a block.
pub const MAX_THREADS: usize = 1024;
/// Shared memory of a block without asking for more.
pub const DEFAULT_SHARED: usize = 48 << 10;
/// Shared memory of a block when asked for.
pub const MAX_SHARED: usize = 163 << 10;

/// A loaded module.
pub struct Module {
    /// Its kernels by name.
    pub kernels: HashMap<String, Arc<Program>>,
    /// Address and size of its variables by name.
    pub variables: HashMap<String, (u64, usize, Kind)>,
}

/// Why a module cannot be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The text is not PTX, or not PTX that this crate runs.
    Ptx(ptx::Error),
    /// Its variables do not fit into device memory.
    OutOfMemory,
}

/// Why a launch failed.
#[derive(Debug)]
pub enum LaunchError {
    /// Its shape or its arguments are impossible.
    Invalid(String),
    /// The kernel went wrong.
    Fault(Box<Diagnosis>),
}

/// Why an operation of the host on device memory failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// The address range is outside every allocation.
    OutOfBounds,
    /// Source and target of a copy overlap.
    Overlap,
    /// It is not ordered after an earlier one, described here.
    Unordered(String),
}

/// A device.
pub struct Simulator {
    /// Its memory.
    pub memory: DeviceMemory,
    /// How threads are scheduled.
    pub schedule: Schedule,
    /// What kernels did.
    pub counters: Counters,
    /// The order of operations; the one that runs was begun there.
    pub order: Order,
    clocks: Clocks,
}

impl Simulator {
    /// A device with the given settings.
    pub fn new(options: &Options) -> Self {
        Self {
            memory: DeviceMemory::new(options.memory),
            schedule: options.schedule,
            counters: Counters::default(),
            order: Order::default(),
            clocks: Clocks::default(),
        }
    }

    /// Copies from the host. The bytes count as written.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), MemoryError> {
        let range = Footprint::range(0, bytes.len());
        self.claim(address, range, true, "copy from the host")?;
        self.put(address, bytes)
    }

    fn put(&mut self, address: u64, bytes: &[u8]) -> Result<(), MemoryError> {
        let (region, offset) = self.locate(address, bytes.len())?;
        region.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        region.initialised.set(offset, bytes.len());
        Ok(())
    }

    /// Copies to the host. Bytes that nothing wrote come out as 0xFF, a NaN in every float format.
    pub fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), MemoryError> {
        let range = Footprint::range(0, bytes.len());
        self.claim(address, range, false, "copy to the host")?;
        let (region, offset) = self.locate(address, bytes.len())?;
        bytes.copy_from_slice(&region.bytes[offset..offset + bytes.len()]);
        let mut at = 0;
        while let Some(missing) = region.initialised.first_missing(offset + at, bytes.len() - at) {
            bytes[missing - offset] = 0xFF;
            at = missing - offset + 1;
        }
        Ok(())
    }

    /// Repeats a pattern `count` times.
    pub fn fill(&mut self, address: u64, pattern: &[u8], count: usize) -> Result<(), MemoryError> {
        let length = pattern.len() * count;
        self.claim(address, Footprint::range(0, length), true, "fill")?;
        let (region, offset) = self.locate(address, length)?;
        for piece in region.bytes[offset..offset + length].chunks_exact_mut(pattern.len()) {
            piece.copy_from_slice(pattern);
        }
        region.initialised.set(offset, length);
        Ok(())
    }

    /// Copies within the device, together with what is known to be written. The ranges must not
    /// overlap.
    pub fn copy(&mut self, to: u64, from: u64, length: usize) -> Result<(), MemoryError> {
        if to.abs_diff(from) < length as u64 {
            return Err(MemoryError::Overlap);
        }
        self.claim(from, Footprint::range(0, length), false, "copy")?;
        self.claim(to, Footprint::range(0, length), true, "copy")?;
        let (region, offset) = self.locate(from, length)?;
        let bytes = region.bytes[offset..offset + length].to_vec();
        let written = region.initialised.clone();
        let (target, to_offset) = self.locate(to, length)?;
        target.bytes[to_offset..to_offset + length].copy_from_slice(&bytes);
        target.initialised.copy(to_offset, &written, offset, length);
        Ok(())
    }

    /// The running operation touches memory; `footprint` counts from `address`.
    pub fn claim(
        &mut self,
        address: u64,
        footprint: Footprint,
        writes: bool,
        what: &'static str,
    ) -> Result<(), MemoryError> {
        let operation = self.order.now();
        let launches = self.order.unordered_launches();
        let found = self.memory.locate(address, footprint.end());
        let (region, offset) = found.ok_or(MemoryError::OutOfBounds)?;
        let footprint = Footprint { start: offset + footprint.start, ..footprint };
        let claim = Claim { footprint, operation, writes, what };
        let claimed = region.claim(&self.order, &launches, claim);
        claimed.map_err(|earlier| MemoryError::Unordered(format!("not ordered after {earlier}")))
    }

    fn locate(&mut self, address: u64, length: usize) -> Result<(&mut Region, usize), MemoryError> {
        self.memory.locate(address, length).ok_or(MemoryError::OutOfBounds)
    }

    /// Loads a module: places its variables and translates its kernels.
    pub fn load(&mut self, text: &str) -> Result<Module, LoadError> {
        let parsed = ptx::parse(text).map_err(LoadError::Ptx)?;
        let variables = self.place_variables(&parsed)?;
        let mut symbols = Symbols::default();
        for (name, &(address, ..)) in &variables {
            symbols.insert(name, address);
        }
        let mut module = Module { kernels: HashMap::new(), variables };
        let linked = self.initialise(&parsed, &symbols).and_then(|()| link(&parsed, &symbols));
        match linked {
            Ok(programs) => {
                let named = programs.into_iter().map(|p| (p.name.clone(), Arc::new(p)));
                module.kernels = named.collect();
                Ok(module)
            }
            Err(error) => {
                self.unload(&module);
                Err(LoadError::Ptx(error))
            }
        }
    }

    /// Frees the variables of a module.
    pub fn unload(&mut self, module: &Module) {
        for &(address, _, kind) in module.variables.values() {
            self.memory.free(address, kind);
        }
    }

    fn place_variables(
        &mut self,
        module: &syntax::Module,
    ) -> Result<HashMap<String, (u64, usize, Kind)>, LoadError> {
        let mut placed = HashMap::new();
        for variable in module.variables.iter().filter(|v| !v.external) {
            let kind = match variable.space {
                syntax::Space::Global => Kind::Variable,
                syntax::Space::Const => Kind::Constant,
                _ => continue,
            };
            match self.memory.allocate(variable.bytes, kind) {
                Ok(address) => {
                    placed.insert(variable.name.clone(), (address, variable.bytes, kind))
                }
                Err(OutOfMemory) => {
                    for &(address, _, kind) in placed.values() {
                        self.memory.free(address, kind);
                    }
                    return Err(LoadError::OutOfMemory);
                }
            };
        }
        Ok(placed)
    }

    /// Writes the initial values; what has none is zero.
    fn initialise(&mut self, module: &syntax::Module, symbols: &Symbols) -> Result<(), ptx::Error> {
        for variable in &module.variables {
            let Some(address) = symbols.address(&variable.name) else { continue };
            let mut bytes = Vec::with_capacity(variable.bytes);
            for initial in &variable.initial {
                let value = match initial {
                    syntax::Initial::Number(value) => *value,
                    syntax::Initial::Address { name, offset } => match symbols.address(name) {
                        Some(address) => address.wrapping_add(*offset as u64),
                        None => {
                            let message = format!("{} holds the address of {name}", variable.name);
                            return Err(ptx::Error::new(0, message));
                        }
                    },
                };
                bytes.extend_from_slice(&value.to_le_bytes()[..variable.element.bytes().min(8)]);
            }
            bytes.resize(variable.bytes, 0);
            if self.put(address, &bytes).is_err() {
                return Err(ptx::Error::new(0, format!("{} does not fit", variable.name)));
            }
        }
        Ok(())
    }

    /// Runs a kernel with the bytes of its arguments, laid out as `Program::params` says.
    /// `shared_limit` is the shared memory that a block may use.
    pub fn launch(
        &mut self,
        program: &Program,
        shape: Shape,
        params: &[u8],
        shared_limit: usize,
    ) -> Result<(), LaunchError> {
        check_shape(program, shape, shared_limit).map_err(LaunchError::Invalid)?;
        if self.clocks.is_exhausted() {
            self.memory.forget_accesses();
            self.order.forget_launches();
            self.clocks = Clocks::default();
        }
        self.clocks.start_launch(self.order.unordered_launches());
        self.memory.prepare(&self.order);
        let tally =
            exec::launch(program, &mut self.memory, &mut self.clocks, shape, params, self.schedule);
        self.order.note_launch((self.clocks.launch_start(), self.clocks.now()));
        match tally {
            Ok(tally) => {
                self.counters.add(&program.name, &tally);
                Ok(())
            }
            Err(diagnosis) => Err(LaunchError::Fault(diagnosis)),
        }
    }
}

fn check_shape(program: &Program, shape: Shape, shared_limit: usize) -> Result<(), String> {
    let Shape { grid, block, dynamic_shared } = shape;
    let grid_limit = [i32::MAX as u32, 65535, 65535];
    if (0..3).any(|axis| grid[axis] == 0 || grid[axis] > grid_limit[axis]) {
        return Err(format!("grid {grid:?}"));
    }
    let most = program.max_threads.map_or(MAX_THREADS, |n| (n as usize).min(MAX_THREADS));
    let too_long = (0..3).any(|axis| block[axis] == 0 || block[axis] > [1024, 1024, 64][axis]);
    if too_long || shape.threads() > most {
        return Err(format!("block {block:?} for a kernel of at most {most} threads"));
    }
    if program.required_block.is_some_and(|required| required != block) {
        return Err(format!(
            "block {block:?} for a kernel that needs {:?}",
            program.required_block
        ));
    }
    let shared = program.shared_bytes + dynamic_shared;
    if shared > shared_limit.clamp(DEFAULT_SHARED, MAX_SHARED) {
        return Err(format!("{shared} bytes of shared memory, of at most {shared_limit}"));
    }
    Ok(())
}
