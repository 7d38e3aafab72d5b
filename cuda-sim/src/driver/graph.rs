//! Graphs: recorded work.

use super::state::{Device, State, Work};
use super::{Handle, Status, api, put, with_state};
use crate::memory::Kind;
use crate::order::{Front, LEGACY, Operation, StreamId};
use std::collections::HashMap;
use std::ffi::{c_uint, c_ulonglong};
use std::sync::Arc;

/// Work of a graph, with the number it had in the capture and what it comes after there.
pub struct Node {
    pub work: Work,
    pub operation: Operation,
    pub after: Front,
}

/// A graph: its work in an order that keeps all dependencies.
pub struct Graph {
    /// The stream that the capture began on.
    pub origin: StreamId,
    pub nodes: Vec<Node>,
    /// Memory that its allocation nodes own.
    pub allocations: Vec<u64>,
}

/// The stream of a branch while a graph is done.
struct Branch {
    stream: StreamId,
    /// What there is to wait for after each node, by its number in the capture.
    done: Vec<(u64, Front)>,
}

impl Graph {
    /// Does the work on the running operation's stream, and of other branches on streams of their own, so
    /// that what they do in no order is found.
    fn run(&self, device: &mut Device) -> Result<(), Status> {
        let launch = device.sim.order.now().stream;
        let start = device.sim.order.mark(launch);
        let trunk = Branch { stream: launch, done: Vec::new() };
        let mut branches = HashMap::from([(self.origin, trunk)]);
        let done =
            self.nodes.iter().try_for_each(|node| run_node(node, device, &start, &mut branches));
        for Branch { stream, .. } in branches.into_values().filter(|b| b.stream != launch) {
            let end = device.sim.order.mark(stream);
            device.sim.order.wait(launch, &end);
            device.sim.order.end_branch(stream);
        }
        done
    }
}

fn run_node(
    node: &Node,
    device: &mut Device,
    start: &Front,
    branches: &mut HashMap<StreamId, Branch>,
) -> Result<(), Status> {
    let Operation { stream: line, tick } = node.operation;
    let mut before = Front::default();
    for Operation { stream, tick } in node.after.operations() {
        let done = branches.get(&stream).map_or(&[][..], |branch| &branch.done);
        if let Some((_, front)) = done.iter().rfind(|(number, _)| *number <= tick) {
            before.join(front);
        }
    }
    let order = &mut device.sim.order;
    let branch = branches
        .entry(line)
        .or_insert_with(|| Branch { stream: order.branch(start), done: Vec::new() });
    order.wait(branch.stream, &before);
    order.begin(branch.stream);
    (node.work)(device)?;
    branch.done.push((tick, device.sim.order.mark(branch.stream)));
    Ok(())
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
        let number = with_state(|s| Ok(s.graphs.get(graph)?.nodes.len()))?;
        put(count, number)
    }

    /// An empty graph.
    fn cuGraphCreate(graph: *mut Handle, flags: c_uint) {
        if flags != 0 {
            return Err(Status::INVALID_VALUE);
        }
        let empty = Arc::new(Graph { origin: LEGACY, nodes: Vec::new(), allocations: Vec::new() });
        put(graph, with_state(|s| s.graphs.insert(empty)))
    }
}
