//! The order of operations on streams.
//!
//! Operations run when they are issued, but a device runs those of different streams in any order that
//! events, waits of the host and the legacy stream leave open. So each stream counts its operations and
//! keeps which operations of the others come before its next one (a vector clock); what touches memory
//! is checked against the earlier operations that it does not come after.

use std::collections::{HashMap, VecDeque};

/// A stream, by its handle.
pub type StreamId = usize;

/// The default stream, which waits for every blocking stream and they for it.
pub const LEGACY: StreamId = 0;

/// Streams of branches have greater numbers, which are no handles.
const BRANCHES: StreamId = 1 << 60;

/// An operation: the n-th of its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Its stream.
    pub stream: StreamId,
    /// Its number.
    pub tick: u64,
}

/// Operations that something comes after: of each stream all up to a number.
#[derive(Clone, Debug, Default)]
pub struct Front(HashMap<StreamId, u64>);

impl Front {
    /// Whether it comes after an operation.
    pub fn covers(&self, operation: Operation) -> bool {
        self.0.get(&operation.stream).is_some_and(|&tick| tick >= operation.tick)
    }

    /// The operations, of each stream the last one.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        self.0.iter().map(|(&stream, &tick)| Operation { stream, tick })
    }

    /// Comes after an operation, too.
    pub fn add(&mut self, operation: Operation) {
        let tick = self.0.entry(operation.stream).or_default();
        *tick = operation.tick.max(*tick);
    }

    /// Comes after all that another one comes after.
    pub fn join(&mut self, other: &Self) {
        for (&stream, &tick) in &other.0 {
            self.add(Operation { stream, tick });
        }
    }
}

struct Stream {
    is_blocking: bool,
    /// Operations issued.
    last: u64,
    /// What the next one comes after, besides those of its own stream.
    front: Front,
}

/// A launch and the stamps of its accesses: after the first number, up to the second.
struct Launch {
    tick: u64,
    stamps: (u32, u32),
}

/// What is known of all streams.
pub struct Order {
    streams: HashMap<StreamId, Stream>,
    /// What the host knows to be done; that comes before everything issued from now on.
    done: Front,
    /// The operation that runs.
    now: Operation,
    launches: HashMap<StreamId, VecDeque<Launch>>,
    /// Branches of graphs so far.
    branches: usize,
}

impl Default for Order {
    fn default() -> Self {
        let mut order = Self {
            streams: HashMap::new(),
            done: Front::default(),
            now: Operation { stream: LEGACY, tick: 0 },
            launches: HashMap::new(),
            branches: 0,
        };
        order.begin(LEGACY);
        order
    }
}

impl Order {
    /// A new stream.
    pub fn create(&mut self, stream: StreamId, is_blocking: bool) {
        self.streams.insert(stream, Stream { is_blocking, last: 0, front: Front::default() });
    }

    /// A stream for a branch of a graph, whose operations come after `front`.
    pub fn branch(&mut self, front: &Front) -> StreamId {
        self.branches += 1;
        let stream = BRANCHES + self.branches;
        self.create(stream, false);
        self.wait(stream, front);
        stream
    }

    /// Forgets the stream of a branch, which others have waited for.
    pub fn end_branch(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    /// A stream; those that nobody created are default streams.
    fn stream(&mut self, id: StreamId) -> &mut Stream {
        let default = || Stream { is_blocking: true, last: 0, front: Front::default() };
        self.streams.entry(id).or_insert_with(default)
    }

    /// All that a stream was given so far, and what that comes after.
    fn own(&mut self, id: StreamId) -> Front {
        let stream = self.stream(id);
        let mut front = stream.front.clone();
        front.add(Operation { stream: id, tick: stream.last });
        front
    }

    /// The same, where the legacy stream stands for all blocking streams.
    fn issued(&mut self, id: StreamId) -> Front {
        let mut front = self.own(id);
        if id == LEGACY {
            for (&stream, state) in self.streams.iter().filter(|(_, s)| s.is_blocking) {
                front.join(&state.front);
                front.add(Operation { stream, tick: state.last });
            }
        }
        front
    }

    /// The next operation of a stream begins.
    pub fn begin(&mut self, id: StreamId) {
        let before = match id {
            LEGACY => self.issued(LEGACY),
            // Blocking streams wait for the legacy stream, not for each other.
            _ if self.stream(id).is_blocking => self.own(LEGACY),
            _ => Front::default(),
        };
        let stream = self.stream(id);
        stream.front.join(&before);
        stream.last += 1;
        self.now = Operation { stream: id, tick: stream.last };
    }

    /// The operation that runs.
    pub fn now(&self) -> Operation {
        self.now
    }

    /// Whether an operation comes before the one that runs, or is it.
    pub fn is_before(&self, operation: Operation) -> bool {
        operation.stream == self.now.stream
            || self.done.covers(operation)
            || self.streams.get(&self.now.stream).is_some_and(|s| s.front.covers(operation))
    }

    /// What an event stands for that is recorded on a stream now.
    pub fn mark(&mut self, stream: StreamId) -> Front {
        self.issued(stream)
    }

    /// A stream waits for an event.
    pub fn wait(&mut self, stream: StreamId, event: &Front) {
        self.stream(stream).front.join(event);
    }

    /// The host waited for a stream.
    pub fn finish(&mut self, stream: StreamId) {
        let front = self.issued(stream);
        self.finish_front(&front);
    }

    /// The host waited for an event.
    pub fn finish_front(&mut self, front: &Front) {
        self.done.join(front);
        let done = &self.done;
        for stream in self.streams.values_mut() {
            stream.front.0.retain(|&stream, tick| !done.covers(Operation { stream, tick: *tick }));
        }
        self.launches.retain(|&stream, launches| {
            let over = |launch: &Launch| done.covers(Operation { stream, tick: launch.tick });
            let count = launches.iter().take_while(|launch| over(launch)).count();
            launches.drain(..count);
            !launches.is_empty()
        });
    }

    /// The host waited for everything.
    pub fn finish_all(&mut self) {
        let mut front = Front::default();
        for (&stream, state) in &self.streams {
            front.join(&state.front);
            front.add(Operation { stream, tick: state.last });
        }
        self.finish_front(&front);
    }

    /// Whether the host knows that an operation is done.
    pub fn is_done(&self, operation: Operation) -> bool {
        self.done.covers(operation)
    }

    /// The running operation launched a kernel, whose accesses have these stamps.
    pub fn note_launch(&mut self, stamps: (u32, u32)) {
        let Operation { stream, tick } = self.now;
        self.launches.entry(stream).or_default().push_back(Launch { tick, stamps });
    }

    /// Stamps of the launches that do not come before the running operation.
    pub fn unordered_launches(&self) -> Vec<(u32, u32)> {
        let mut stamps = Vec::new();
        for (&stream, launches) in &self.launches {
            let later = launches
                .iter()
                .rev()
                .take_while(|launch| !self.is_before(Operation { stream, tick: launch.tick }));
            stamps.extend(later.map(|launch| launch.stamps));
        }
        stamps
    }

    /// Forgets all stamps, for a new count of time.
    pub fn forget_launches(&mut self) {
        self.launches.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{LEGACY, Operation, Order};

    const A: usize = 101;
    const B: usize = 102;
    const BLOCKING: usize = 103;

    fn order() -> Order {
        let mut order = Order::default();
        order.create(A, false);
        order.create(B, false);
        order.create(BLOCKING, true);
        order
    }

    fn issue(order: &mut Order, stream: usize) -> Operation {
        order.begin(stream);
        order.now()
    }

    #[test]
    fn streams_are_unordered_until_they_wait() {
        let mut order = order();
        let first = issue(&mut order, A);
        issue(&mut order, B);
        assert!(!order.is_before(first));
        let event = order.mark(A);
        let second = issue(&mut order, A);
        assert!(order.is_before(first));
        order.wait(B, &event);
        issue(&mut order, B);
        assert!(order.is_before(first) && !order.is_before(second));
        order.finish(A);
        issue(&mut order, B);
        assert!(order.is_before(second) && order.is_done(second));
    }

    #[test]
    fn waiting_passes_on() {
        let mut order = order();
        let first = issue(&mut order, A);
        let event = order.mark(A);
        order.wait(B, &event);
        let event = order.mark(B);
        order.wait(BLOCKING, &event);
        issue(&mut order, BLOCKING);
        assert!(order.is_before(first));
        order.finish_front(&event);
        assert!(order.is_done(first));
    }

    #[test]
    fn the_legacy_stream_joins_blocking_streams() {
        let mut order = order();
        let (free, blocking) = (issue(&mut order, A), issue(&mut order, BLOCKING));
        let legacy = issue(&mut order, LEGACY);
        assert!(order.is_before(blocking) && !order.is_before(free));
        issue(&mut order, A);
        assert!(!order.is_before(legacy));
        issue(&mut order, BLOCKING);
        assert!(order.is_before(legacy));
    }

    #[test]
    fn branches_come_after_their_root() {
        let mut order = order();
        let root = issue(&mut order, A);
        let front = order.mark(A);
        let (left, right) = (order.branch(&front), order.branch(&front));
        let in_left = issue(&mut order, left);
        assert!(order.is_before(root));
        issue(&mut order, right);
        assert!(order.is_before(root) && !order.is_before(in_left));
        let front = order.mark(left);
        order.wait(A, &front);
        order.end_branch(left);
        issue(&mut order, A);
        assert!(order.is_before(in_left));
        order.finish_all();
        issue(&mut order, B);
        assert!(order.is_before(in_left) && order.is_done(in_left));
    }

    #[test]
    fn launches_that_are_not_before() {
        let mut order = order();
        issue(&mut order, A);
        order.note_launch((1, 5));
        let event = order.mark(A);
        issue(&mut order, A);
        order.note_launch((5, 9));
        assert!(order.unordered_launches().is_empty());
        order.wait(B, &event);
        issue(&mut order, B);
        assert_eq!(order.unordered_launches(), [(5, 9)]);
        order.finish_all();
        assert!(order.unordered_launches().is_empty());
    }
}
