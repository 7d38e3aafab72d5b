//! Graphs: recorded work.

use super::state::{Device, State, Work};
use super::{Handle, Status, api, put, with_state};
use crate::memory::Kind;
use std::ffi::{c_uint, c_ulonglong};
use std::sync::Arc;

/// A graph: its work in an order that keeps all dependencies.
pub struct Graph {
    pub work: Vec<Work>,
    /// Memory that its allocation nodes own.
    pub allocations: Vec<u64>,
}

impl Graph {
    fn run(&self, device: &mut Device) -> Result<(), Status> {
        self.work.iter().try_for_each(|work| work(device))
    }
}

impl State {
    /// Frees memory that belonged to a graph.
    pub fn free_graph_memory(&mut self, allocations: &[u64]) {
        for &address in allocations {
            self.device.sim.memory.free(address, Kind::Graph);
        }
    }

    /// Drops one reference to a graph, and its memory with the last.
    pub fn drop_graph(&mut self, graph: Arc<Graph>) {
        if let Ok(graph) = Arc::try_unwrap(graph) {
            self.free_graph_memory(&graph.allocations);
        }
    }

    fn instantiate(&mut self, graph: Handle) -> Result<Handle, Status> {
        let graph = Arc::clone(self.graphs.get(graph)?);
        Ok(self.executables.insert(graph))
    }
}

api! {
    needs current;

    /// Makes a graph ready for launches.
    fn cuGraphInstantiateWithFlags(executable: *mut Handle, graph: Handle, flags: c_ulonglong) {
        let _ = flags;
        let handle = with_state(|s| s.instantiate(graph))?;
        put(executable, handle)
    }

    /// Does the work of a graph.
    fn cuGraphLaunch(executable: Handle, stream: Handle) {
        with_state(|s| {
            let graph = Arc::clone(s.executables.get(executable)?);
            s.enqueue(stream, Arc::new(move |device| graph.run(device)))
        })
    }

    /// Prepares a launch; nothing to do here.
    fn cuGraphUpload(executable: Handle, stream: Handle) {
        with_state(|s| {
            s.executables.get(executable)?;
            s.capture_of(stream).map(|_| ())
        })
    }

    /// Forgets a graph.
    fn cuGraphDestroy(graph: Handle) {
        with_state(|s| {
            let graph = s.graphs.remove(graph)?;
            s.drop_graph(graph);
            Ok(())
        })
    }

    /// Forgets an executable graph.
    fn cuGraphExecDestroy(executable: Handle) {
        with_state(|s| {
            let graph = s.executables.remove(executable)?;
            s.drop_graph(graph);
            Ok(())
        })
    }

    /// Number of nodes; their handles cannot be had.
    fn cuGraphGetNodes(graph: Handle, nodes: *mut Handle, count: *mut usize) {
        if !nodes.is_null() {
            return Err(Status::NOT_SUPPORTED);
        }
        let number = with_state(|s| Ok(s.graphs.get(graph)?.work.len()))?;
        put(count, number)
    }

    /// An empty graph.
    fn cuGraphCreate(graph: *mut Handle, flags: c_uint) {
        if flags != 0 {
            return Err(Status::INVALID_VALUE);
        }
        let empty = Arc::new(Graph { work: Vec::new(), allocations: Vec::new() });
        put(graph, with_state(|s| s.graphs.insert(empty)))
    }
}
