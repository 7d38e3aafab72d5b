//! Events.

use super::capture::Captured;
use super::state::State;
use super::{Handle, Status, api, put, stream, with_state};
use crate::order::Front;
use std::ffi::c_uint;
use std::time::Instant;

/// `CU_EVENT_DISABLE_TIMING`.
const DISABLE_TIMING: c_uint = 2;

/// An event.
pub struct Event {
    recorded: Option<Instant>,
    timed: bool,
    /// What it stands for, if it was last recorded in a capture.
    captured: Option<Captured>,
    /// What it stands for, unless it was recorded in a capture or not at all.
    front: Option<Front>,
}

impl Event {
    /// Where it was last recorded: in a capture, or after which operations.
    pub fn last(&self) -> (Option<Captured>, Option<Front>) {
        (self.captured.clone(), self.front.clone())
    }
}

impl State {
    fn record_event(&mut self, event: Handle, on: Handle) -> Result<(), Status> {
        self.check_sticky()?;
        let captured = self.capture_of(on)?;
        if captured.is_some_and(|id| self.is_invalid(id)) {
            return Err(Status::STREAM_CAPTURE_INVALIDATED);
        }
        if captured.is_none() {
            self.check_legacy(on)?;
        }
        let front = match captured {
            Some(_) => None,
            None => Some(self.device.sim.order.mark(stream::id(on))),
        };
        let captured = captured.and_then(|id| self.mark_captured(id, stream::id(on)));
        let event = self.events.get_mut(event)?;
        event.front = front;
        event.captured = captured;
        event.recorded = Some(Instant::now());
        Ok(())
    }

    /// Waits for an event, which has always happened. In a running capture that is an error; and for
    /// other events too, while a capture runs that forbids what may block.
    fn wait_for_event(&mut self, event: Handle) -> Result<(), Status> {
        let (captured, front) = self.events.get(event)?.last();
        if let Some(Captured { id, .. }) = captured.filter(|c| self.captures.contains_key(&c.id)) {
            self.invalidate(id);
            return Err(Status::CAPTURED_EVENT);
        }
        self.check_blocking()?;
        self.waited_for_event(front)
    }

    fn elapsed(&self, start: Handle, end: Handle) -> Result<f32, Status> {
        let (start, end) = (self.events.get(start)?, self.events.get(end)?);
        if !start.timed || !end.timed {
            return Err(Status::INVALID_HANDLE);
        }
        if start.captured.is_some() || end.captured.is_some() {
            return Err(Status::CAPTURED_EVENT);
        }
        let (Some(from), Some(to)) = (start.recorded, end.recorded) else {
            return Err(Status::INVALID_HANDLE);
        };
        let seconds = match to.checked_duration_since(from) {
            Some(forward) => forward.as_secs_f32(),
            None => -from.duration_since(to).as_secs_f32(),
        };
        Ok(1e3 * seconds)
    }
}

api! {
    needs current;

    /// Creates an event.
    fn cuEventCreate(event: *mut Handle, flags: c_uint) {
        let timed = flags & DISABLE_TIMING == 0;
        let handle = with_state(|s| {
            s.check_sticky()?;
            Ok(s.events.insert(Event { recorded: None, timed, captured: None, front: None }))
        })?;
        put(event, handle)
    }

    /// Records an event on a stream.
    fn cuEventRecord(event: Handle, stream: Handle) {
        with_state(|s| s.record_event(event, stream))
    }

    /// Records an event on a stream.
    fn cuEventRecordWithFlags(event: Handle, stream: Handle, flags: c_uint) {
        let _ = flags;
        with_state(|s| s.record_event(event, stream))
    }

    /// Whether an event has happened; it always has.
    fn cuEventQuery(event: Handle) {
        with_state(|s| s.wait_for_event(event))
    }

    /// Waits for an event.
    fn cuEventSynchronize(event: Handle) {
        with_state(|s| s.wait_for_event(event))
    }

    /// Milliseconds between two events, on the clock of the host.
    fn cuEventElapsedTime(milliseconds: *mut f32, start: Handle, end: Handle) {
        put(milliseconds, with_state(|s| s.elapsed(start, end))?)
    }

    /// Milliseconds between two events, on the clock of the host.
    fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: Handle, end: Handle) {
        put(milliseconds, with_state(|s| s.elapsed(start, end))?)
    }

    /// Destroys an event.
    fn cuEventDestroy_v2(event: Handle) {
        with_state(|s| s.events.remove(event).map(|_| ()))
    }
}
