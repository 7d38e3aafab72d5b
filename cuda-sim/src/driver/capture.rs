//! Capturing a graph: calls on a stream are recorded instead of done.
//!
//! A capture begins on one stream; others join it by waiting for an event recorded in it and must be
//! joined back before it ends. Whatever would have to wait for work that is only recorded is an error
//! and spoils the capture.

use super::graph::Graph;
use super::state::{State, Work};
use super::{Handle, Status};
use std::sync::Arc;
use std::thread::ThreadId;

/// Who may do what while a capture runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Calls that may block are errors in every thread.
    Global,
    /// They are errors in the thread that captures.
    ThreadLocal,
    /// They are allowed.
    Relaxed,
}

/// A stream as far as a capture is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin(usize);

impl Origin {
    pub fn of(stream: Handle) -> Self {
        Self(stream as usize)
    }
}

/// A capture that runs.
pub struct Capture {
    origin: Origin,
    mode: Mode,
    thread: ThreadId,
    work: Vec<Work>,
    /// Memory allocated by the graph.
    pub allocations: Vec<u64>,
    invalid: bool,
    /// Streams other than the first that took part, and whether their work was joined back.
    joined: Vec<(Origin, bool)>,
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
            return Err(Status::INVALID_VALUE);
        }
        entry.capture = Some(id);
        self.next_capture += 1;
        let capture = Capture {
            origin: Origin::of(stream),
            mode,
            thread: std::thread::current().id(),
            work: Vec::new(),
            allocations: Vec::new(),
            invalid: false,
            joined: Vec::new(),
        };
        self.captures.insert(id, capture);
        Ok(())
    }

    /// Adds work to a capture.
    pub fn record(&mut self, id: u64, origin: Origin, work: Work) -> Result<(), Status> {
        let capture = self.captures.get_mut(&id).ok_or(Status::INVALID_HANDLE)?;
        if capture.invalid {
            return Err(Status::STREAM_CAPTURE_INVALIDATED);
        }
        capture.work.push(work);
        if let Some((_, joined)) = capture.joined.iter_mut().find(|(stream, _)| *stream == origin) {
            *joined = false;
        }
        Ok(())
    }

    /// Ends a capture and gives its graph.
    pub fn end_capture(&mut self, stream: Handle) -> Result<Handle, Status> {
        let Some(id) = self.capture_of(stream)? else {
            return Err(Status::INVALID_VALUE);
        };
        let capture = self.captures.get(&id).ok_or(Status::INVALID_HANDLE)?;
        if capture.origin != Origin::of(stream) {
            self.invalidate(id);
            return Err(Status::STREAM_CAPTURE_UNMATCHED);
        }
        if capture.mode == Mode::ThreadLocal && capture.thread != std::thread::current().id() {
            return Err(Status::STREAM_CAPTURE_WRONG_THREAD);
        }
        for other in self.streams.values_mut().filter(|other| other.capture == Some(id)) {
            other.capture = None;
        }
        let capture = self.captures.remove(&id).ok_or(Status::INVALID_HANDLE)?;
        let unjoined = capture.joined.iter().any(|(_, joined)| !joined);
        if capture.invalid || unjoined {
            self.free_graph_memory(&capture.allocations);
            return Err(match capture.invalid {
                true => Status::STREAM_CAPTURE_INVALIDATED,
                false => Status::STREAM_CAPTURE_UNJOINED,
            });
        }
        let graph = Graph { work: capture.work, allocations: capture.allocations };
        Ok(self.graphs.insert(Arc::new(graph)))
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

    /// A call that waits for a stream: an error if the stream captures.
    pub fn check_wait(&mut self, stream: Handle) -> Result<(), Status> {
        match self.capture_of(stream)? {
            Some(id) => {
                self.invalidate(id);
                Err(Status::STREAM_CAPTURE_UNSUPPORTED)
            }
            None => self.check_sticky(),
        }
    }

    /// A call that may wait for the whole device: an error while a capture runs that forbids it.
    pub fn check_blocking(&mut self) -> Result<(), Status> {
        let here = std::thread::current().id();
        let forbidding = self.captures.iter().find(|(_, capture)| match capture.mode {
            Mode::Global => true,
            Mode::ThreadLocal => capture.thread == here,
            Mode::Relaxed => false,
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

    /// `stream` waits for an event that was recorded on `source` in capture `id`, or outside of any.
    pub fn wait_in_capture(
        &mut self,
        stream: Handle,
        event: Option<(u64, Origin)>,
    ) -> Result<(), Status> {
        let own = self.capture_of(stream)?;
        let event = event.filter(|(id, _)| self.captures.contains_key(id));
        match (own, event) {
            (None, None) => Ok(()),
            (Some(own), None) => {
                self.invalidate(own);
                Err(Status::STREAM_CAPTURE_ISOLATION)
            }
            (Some(own), Some((id, _))) if own != id => {
                self.invalidate(own);
                self.invalidate(id);
                Err(Status::STREAM_CAPTURE_MERGE)
            }
            (own, Some((id, source))) => {
                if own.is_none() {
                    if (stream as usize) <= 2 {
                        self.invalidate(id);
                        return Err(Status::STREAM_CAPTURE_IMPLICIT);
                    }
                    self.streams.get_mut(stream)?.capture = Some(id);
                }
                let capture = self.captures.get_mut(&id).ok_or(Status::INVALID_HANDLE)?;
                let waiting = Origin::of(stream);
                if own.is_none() && waiting != capture.origin {
                    capture.joined.push((waiting, false));
                }
                if let Some((_, joined)) = capture.joined.iter_mut().find(|(s, _)| *s == source) {
                    *joined = true;
                }
                Ok(())
            }
        }
    }
}
