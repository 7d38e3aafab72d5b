//! Everything the driver knows, behind one lock.

use super::capture::Capture;
use super::event::Event;
use super::graph::Graph;
use super::module::{Function, LoadedModule};
use super::pool::Pool;
use super::stream::{self, Stream};
use super::transfer::Pending;
use super::{Handle, Status, Table};
use crate::blas::BlasHandle;
use crate::code::Program;
use crate::exec::Shape;
use crate::options::Options;
use crate::order::{Front, Operation, Order};
use crate::simulator::{LaunchError, MemoryError, Simulator};
use std::collections::{HashMap, HashSet};
use std::ffi::c_int;
use std::sync::{Arc, Mutex, MutexGuard};

/// An operation of a stream: done at once, or kept in a graph and done at each launch of it.
pub(crate) type Work = Arc<dyn Fn(&mut Device) -> Result<(), Status> + Send + Sync>;

/// The device and the faults of its kernels.
pub(crate) struct Device {
    pub sim: Simulator,
    /// The error that every later call returns, once a kernel went wrong.
    pub sticky: Option<Status>,
    /// What went wrong last, in words.
    pub last_fault: String,
    /// Copies whose host memory is touched when the host has waited for them.
    pub pending: Vec<Pending>,
    /// By the handle of a module, the launches of its kernels: of each stream all up to one.
    pub launched: HashMap<usize, Front>,
    /// By the handle of cuBLAS, its last call.
    pub products: HashMap<usize, Operation>,
}

impl Device {
    /// Runs a kernel of a module; a fault is reported and sticks.
    pub fn launch(
        &mut self,
        module: usize,
        program: &Program,
        shape: Shape,
        params: &[u8],
        shared_limit: usize,
    ) -> Result<(), Status> {
        match self.sim.launch(program, shape, params, shared_limit) {
            Ok(()) => {
                self.launched.entry(module).or_default().add(self.sim.order.now());
                Ok(())
            }
            Err(LaunchError::Invalid(what)) => {
                self.report(format!("launch of {}: {what}", program.name));
                Err(Status::INVALID_VALUE)
            }
            Err(LaunchError::Fault(diagnosis)) => {
                Err(self.fail(Status::of(&diagnosis), diagnosis.to_string()))
            }
        }
    }

    /// A call of cuBLAS by a handle, which has memory to work in: an error if the one before may still run.
    pub fn uses_handle(&mut self, handle: usize, function: &str) -> Result<(), Status> {
        let before = self.products.insert(handle, self.sim.order.now());
        match before.is_none_or(|before| self.sim.order.is_before(before)) {
            true => Ok(()),
            false => {
                let message =
                    format!("race: {function} while its handle may still work on another stream");
                Err(self.fail(Status::LAUNCH_FAILED, message))
            }
        }
    }

    /// Reports an error that sticks. Copies that were under way never come to an end.
    pub fn fail(&mut self, status: Status, message: String) -> Status {
        self.report(message);
        self.sticky = Some(status);
        self.pending.clear();
        status
    }

    /// Reports an operation on device memory that failed; one that is not ordered after another is
    /// an error that sticks, since nobody knows what was computed.
    pub fn refuse(&mut self, what: String, address: u64, error: MemoryError) -> Status {
        match error {
            MemoryError::Unordered(how) => {
                self.fail(Status::LAUNCH_FAILED, format!("race: {what}, {how}"))
            }
            MemoryError::Overlap => {
                self.report(format!("{what} onto itself"));
                Status::INVALID_VALUE
            }
            MemoryError::OutOfBounds => {
                let near = self.sim.memory.describe(address);
                self.report(format!("{what}: {near}"));
                Status::INVALID_VALUE
            }
        }
    }

    /// Prints a message and keeps it as the last fault.
    pub fn report(&mut self, message: String) {
        eprintln!("cuda-sim: {message}");
        self.last_fault = message;
    }
}

/// The driver.
pub(crate) struct State {
    pub device: Device,
    pub options: Options,
    /// Whether `cuInit` was called.
    pub is_initialised: bool,
    /// How often the primary context of each device is retained.
    pub retained: Vec<u32>,
    pub streams: Table<Stream>,
    pub events: Table<Event>,
    pub modules: Table<LoadedModule>,
    pub functions: Table<Function>,
    pub graphs: Table<Arc<Graph>>,
    /// Graphs ready to be launched.
    pub executables: Table<Arc<Graph>>,
    pub captures: HashMap<u64, Capture>,
    pub next_capture: u64,
    /// Page-locked host memory by address.
    pub pinned: HashMap<usize, usize>,
    /// Devices of allocations by address.
    pub owners: HashMap<u64, c_int>,
    /// Addresses of allocations in the order of a stream, which a plain free does not wait for.
    pub stream_ordered: HashSet<u64>,
    pub blas: Table<BlasHandle>,
    pub default_pool: Pool,
    /// Pools that the program created.
    pub pools: Table<Pool>,
    /// How often a pool was told to give back what it keeps.
    pub trims: usize,
}

impl State {
    fn new() -> Self {
        let options = Options::from_env();
        let sim = Simulator::new(&options);
        let retained = vec![0; options.devices.max(0) as usize];
        Self {
            device: Device {
                sim,
                sticky: None,
                last_fault: String::new(),
                pending: Vec::new(),
                launched: HashMap::new(),
                products: HashMap::new(),
            },
            options,
            is_initialised: false,
            retained,
            streams: Table::new(1),
            events: Table::new(2),
            modules: Table::new(3),
            functions: Table::new(4),
            graphs: Table::new(5),
            executables: Table::new(6),
            captures: HashMap::new(),
            next_capture: 1,
            pinned: HashMap::new(),
            owners: HashMap::new(),
            stream_ordered: HashSet::new(),
            blas: Table::new(7),
            default_pool: Pool::default(),
            pools: Table::new(8),
            trims: 0,
        }
    }

    /// Forgets everything that lives in the context but allocated memory.
    pub fn forget_objects(&mut self) {
        for loaded in self.modules.take() {
            self.device.sim.unload(&loaded.module);
        }
        for graph in self.graphs.take().into_iter().chain(self.executables.take()) {
            self.drop_graph(graph);
        }
        self.streams.take();
        self.events.take();
        self.functions.take();
        self.blas.take();
        self.captures.clear();
        self.device.sticky = None;
        self.device.pending.clear();
        self.device.launched.clear();
        self.device.products.clear();
        self.device.sim.order.finish_all();
    }

    /// The error of an earlier kernel, if any.
    pub fn check_sticky(&self) -> Result<(), Status> {
        self.device.sticky.map_or(Ok(()), Err)
    }

    /// Fails if this is the launch that shall fail.
    pub fn injected_launch_failure(&mut self) -> Result<(), Status> {
        match count_down(&mut self.options.fail_launch) {
            true => Err(Status::LAUNCH_OUT_OF_RESOURCES),
            false => Ok(()),
        }
    }

    /// Fails if this is the allocation that shall fail.
    pub fn injected_allocation_failure(&mut self) -> Result<(), Status> {
        let from = &mut self.options.fail_allocations;
        let all = *from == 1;
        if *from > 1 {
            *from -= 1;
        }
        match count_down(&mut self.options.fail_allocation) || all {
            true => Err(Status::OUT_OF_MEMORY),
            false => Ok(()),
        }
    }

    /// What lives, by kind and number.
    pub fn live(&self) -> [(&'static str, usize); 10] {
        [
            ("allocations", self.device.sim.memory.live()),
            ("pools", self.pools.len()),
            ("pinned", self.pinned.len()),
            ("streams", self.streams.len()),
            ("events", self.events.len()),
            ("modules", self.modules.len()),
            ("graphs", self.graphs.len()),
            ("executables", self.executables.len()),
            ("cublas", self.blas.len()),
            ("contexts", self.retained.iter().sum::<u32>() as usize),
        ]
    }

    /// Does work on a stream, or adds it to the graph that the stream captures.
    pub fn enqueue(&mut self, stream: Handle, work: Work) -> Result<(), Status> {
        self.check_sticky()?;
        match self.capture_of(stream)? {
            Some(id) => self.record(id, stream::id(stream), work),
            None => {
                self.check_legacy(stream)?;
                self.device.sim.order.begin(stream::id(stream));
                work(&mut self.device)
            }
        }
    }

    /// The host has waited, as `f` tells the order of operations.
    pub fn waited(&mut self, f: impl FnOnce(&mut Order)) -> Result<(), Status> {
        f(&mut self.device.sim.order);
        self.device.deliver()
    }

    /// The host has waited for a stream.
    pub fn waited_for_stream(&mut self, stream: Handle) -> Result<(), Status> {
        self.waited(|order| order.finish(stream::id(stream)))
    }

    /// The host has waited for an event.
    pub fn waited_for_event(&mut self, event: Option<Front>) -> Result<(), Status> {
        self.waited(|order| event.into_iter().for_each(|front| order.finish_front(&front)))
    }
}

/// Counts down to 0, where it stays; whether it has just got there.
fn count_down(left: &mut u64) -> bool {
    let last = *left == 1;
    *left = left.saturating_sub(1);
    last
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Calls `f` with the driver's state.
pub(crate) fn with_state<T>(f: impl FnOnce(&mut State) -> T) -> T {
    let mut guard = lock();
    let state = guard.get_or_insert_with(|| {
        let state = State::new();
        if state.options.writes_at_exit() {
            super::symbols::write_at_exit();
        }
        state
    });
    f(state)
}
