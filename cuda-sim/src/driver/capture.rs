//! Capturing a graph: calls on a stream are recorded instead of done.
//!
//! A capture begins on one stream; others join it by waiting for an event recorded in it, and all that
//! they were given must come before the last work of the first one when it ends. Whatever would have to
//! wait for work that is only recorded is an error and spoils the capture.

use super::graph::{Graph, Node};
use super::state::{State, Work};
use super::{Handle, Status, stream};
use crate::order::{Front, Operation, StreamId};
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::Arc;
use std::thread::ThreadId;

/// Who may do what while a capture runs: a capture has a mode, and a thread has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Calls that may block are errors in every thread; a thread heeds all captures.
    Global,
    /// They are errors in the thread that captures; a thread heeds its own captures.
    ThreadLocal,
    /// They are allowed.
    Relaxed,
}

impl Mode {
    /// The mode of this number.
    pub fn of(number: c_int) -> Result<Self, Status> {
        let all = [Self::Global, Self::ThreadLocal, Self::Relaxed];
        all.into_iter().find(|&mode| mode as c_int == number).ok_or(Status::INVALID_VALUE)
    }
}

thread_local! {
    /// The mode of a thread.
    pub static OF_THREAD: Cell<Mode> = const { Cell::new(Mode::Global) };
}

/// What a stream was given in a capture.
#[derive(Default)]
struct Line {
    /// Number of operations; joining is the first one of a stream that joins.
    last: u64,
    /// What they come after.
    front: Front,
}

/// What an event stands for that was recorded in a capture.
#[derive(Clone)]
pub struct Captured {
    /// The capture.
    pub id: u64,
    front: Front,
}

/// A capture that runs.
pub struct Capture {
    origin: StreamId,
    mode: Mode,
    thread: ThreadId,
    nodes: Vec<Node>,
    /// Memory allocated by the graph.
    pub allocations: Vec<u64>,
    invalid: bool,
    /// The streams that take part.
    lines: HashMap<StreamId, Line>,
}

impl Capture {
    /// All that a stream was given so far, and what that comes after.
    fn front(&self, stream: StreamId) -> Front {
        let Some(line) = self.lines.get(&stream) else { return Front::default() };
        let mut front = line.front.clone();
        front.add(Operation { stream, tick: line.last });
        front
    }

    /// Whether all work comes before the last work of the first stream.
    fn is_joined(&self) -> bool {
        let end = self.front(self.origin);
        self.lines.iter().all(|(&stream, line)| end.covers(Operation { stream, tick: line.last }))
    }
}

impl State {
    /// The capture that a stream takes part in.
    pub fn capture_of(&self, stream: Handle) -> Result<Option<u64>, Status> {
        match stream as usize {
            0..=2 => Ok(None),
            _ => Ok(self.streams.get(stream)?.capture),
        }
    }

    /// Begins a capture.
    pub fn begin_capture(&mut self, stream: Handle, mode: Mode) -> Result<(), Status> {
        self.check_sticky()?;
        // The legacy stream cannot be captured.
        if (stream as usize) <= 2 {
            return Err(Status::STREAM_CAPTURE_UNSUPPORTED);
        }
        let id = self.next_capture;
        let entry = self.streams.get_mut(stream)?;
        if entry.capture.is_some() {
            return Err(Status::ILLEGAL_STATE);
        }
        entry.capture = Some(id);
        self.next_capture += 1;
        let capture = Capture {
            origin: stream::id(stream),
            mode,
            thread: std::thread::current().id(),
            nodes: Vec::new(),
            allocations: Vec::new(),
            invalid: false,
            lines: HashMap::from([(stream::id(stream), Line::default())]),
        };
        self.captures.insert(id, capture);
        Ok(())
    }

    /// Adds work to a capture.
    pub fn record(&mut self, id: u64, stream: StreamId, work: Work) -> Result<(), Status> {
        let capture = self.captures.get_mut(&id).ok_or(Status::INVALID_HANDLE)?;
        if capture.invalid {
            return Err(Status::STREAM_CAPTURE_INVALIDATED);
        }
        let line = capture.lines.entry(stream).or_default();
        line.last += 1;
        let after = line.front.clone();
        capture.nodes.push(Node { work, operation: Operation { stream, tick: line.last }, after });
        Ok(())
    }

    /// What an event stands for that is recorded in a capture now.
    pub fn mark_captured(&self, id: u64, stream: StreamId) -> Option<Captured> {
        let front = self.captures.get(&id)?.front(stream);
        Some(Captured { id, front })
    }

    /// Ends a capture and gives its graph.
    pub fn end_capture(&mut self, stream: Handle) -> Result<Handle, Status> {
        let Some(id) = self.capture_of(stream)? else {
            return Err(Status::ILLEGAL_STATE);
        };
        let capture = self.captures.get(&id).ok_or(Status::INVALID_HANDLE)?;
        if capture.origin != stream::id(stream) {
            self.invalidate(id);
            return Err(Status::STREAM_CAPTURE_UNMATCHED);
        }
        if capture.mode != Mode::Relaxed && capture.thread != std::thread::current().id() {
            return Err(Status::STREAM_CAPTURE_WRONG_THREAD);
        }
        let capture = self.forget_capture(id).ok_or(Status::INVALID_HANDLE)?;
        if capture.invalid || !capture.is_joined() {
            self.free_graph_memory(&capture.allocations);
            return Err(match capture.invalid {
                true => Status::STREAM_CAPTURE_INVALIDATED,
                false => Status::STREAM_CAPTURE_UNJOINED,
            });
        }
        let Capture { origin, nodes, allocations, .. } = capture;
        let graph = Graph { origin, nodes, allocations };
        Ok(self.graphs.insert(Arc::new(graph)))
    }

    /// Takes all streams out of a capture.
    fn forget_capture(&mut self, id: u64) -> Option<Capture> {
        for other in self.streams.values_mut().filter(|other| other.capture == Some(id)) {
            other.capture = None;
        }
        self.captures.remove(&id)
    }

    /// A stream that takes part in a capture is destroyed: the end of the capture if it began there,
    /// else it is spoilt.
    pub fn destroyed_in_capture(&mut self, stream: Handle, id: u64) {
        if self.captures.get(&id).is_some_and(|capture| capture.origin != stream::id(stream)) {
            return self.invalidate(id);
        }
        if let Some(capture) = self.forget_capture(id) {
            self.free_graph_memory(&capture.allocations);
        }
    }

    /// Whether a capture was spoilt by an earlier error.
    pub fn is_invalid(&self, id: u64) -> bool {
        self.captures.get(&id).is_none_or(|capture| capture.invalid)
    }

    /// Spoils a capture.
    pub fn invalidate(&mut self, id: u64) {
        if let Some(capture) = self.captures.get_mut(&id) {
            capture.invalid = true;
        }
    }

    /// A call that waits for a stream: an error if the stream captures, and as for any call that may
    /// block.
    pub fn check_wait(&mut self, stream: Handle) -> Result<(), Status> {
        if let Some(id) = self.capture_of(stream)? {
            self.invalidate(id);
            return Err(Status::STREAM_CAPTURE_UNSUPPORTED);
        }
        self.check_legacy(stream)?;
        self.check_blocking()
    }

    /// A call that waits for all streams: an error if any captures, in whatever mode.
    pub fn check_wait_for_all(&mut self) -> Result<(), Status> {
        let running: Vec<u64> = self.captures.keys().copied().collect();
        running.iter().for_each(|&id| self.invalidate(id));
        match running.is_empty() {
            true => self.check_sticky(),
            false => Err(Status::STREAM_CAPTURE_UNSUPPORTED),
        }
    }

    /// A call that may block: an error while a capture runs that forbids it, if the thread heeds that.
    pub fn check_blocking(&mut self) -> Result<(), Status> {
        let (here, own) = (std::thread::current().id(), OF_THREAD.get());
        let forbidding = self.captures.iter().find(|(_, capture)| match own {
            Mode::Relaxed => false,
            _ if capture.thread == here => capture.mode != Mode::Relaxed,
            _ => (own, capture.mode) == (Mode::Global, Mode::Global),
        });
        if let Some((&id, _)) = forbidding {
            self.invalidate(id);
            return Err(Status::STREAM_CAPTURE_UNSUPPORTED);
        }
        self.check_sticky()
    }

    /// Work on the legacy stream would wait for every blocking stream, captured ones included.
    pub fn check_legacy(&mut self, stream: Handle) -> Result<(), Status> {
        if (stream as usize) > 1 {
            return Ok(());
        }
        let blocking = self.streams.values_mut().filter(|stream| stream.is_blocking);
        let captured = blocking.filter_map(|stream| stream.capture).next();
        if let Some(id) = captured {
            self.invalidate(id);
            return Err(Status::STREAM_CAPTURE_IMPLICIT);
        }
        Ok(())
    }

    /// `stream` waits for an event that was recorded in a capture, or outside of any.
    pub fn wait_in_capture(
        &mut self,
        stream: Handle,
        event: Option<Captured>,
    ) -> Result<(), Status> {
        let own = self.capture_of(stream)?;
        let event = event.filter(|event| self.captures.contains_key(&event.id));
        if own.is_some_and(|id| self.is_invalid(id)) {
            return Err(Status::STREAM_CAPTURE_INVALIDATED);
        }
        if own.is_none() && event.as_ref().is_some_and(|event| self.is_invalid(event.id)) {
            return Err(Status::INVALID_VALUE);
        }
        let Captured { id, front } = match (own, event) {
            (None, None) => return self.check_legacy(stream),
            (Some(own), None) => {
                self.invalidate(own);
                return Err(Status::STREAM_CAPTURE_ISOLATION);
            }
            (Some(own), Some(event)) if own != event.id => {
                self.invalidate(own);
                self.invalidate(event.id);
                return Err(Status::STREAM_CAPTURE_MERGE);
            }
            (_, Some(event)) => event,
        };
        if own.is_none() {
            if (stream as usize) <= 2 {
                self.invalidate(id);
                return Err(Status::STREAM_CAPTURE_IMPLICIT);
            }
            self.streams.get_mut(stream)?.capture = Some(id);
        }
        let capture = self.captures.get_mut(&id).ok_or(Status::INVALID_HANDLE)?;
        let line = capture.lines.entry(stream::id(stream)).or_default();
        // Joining must be joined back like work.
        line.last += u64::from(own.is_none());
        line.front.join(&front);
        Ok(())
    }
}
