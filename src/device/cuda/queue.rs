//! What belongs to one stream: the stream, its handle of cuBLAS, and memory that waits for the end of a
//! capture.
//!
//! A handle of cuBLAS takes milliseconds and megabytes to make, and to destroy it waits for the whole GPU.
//! So none is destroyed as long as any handle on the GPU lives: a borrowed stream leaves its own to the next
//! stream. There are as many as streams were in use at one time.

use super::cublas::Cublas;
use super::driver::{Context, Stream};
use super::gpu::Gpu;
use super::{lock, memory};
use crate::Result;
use cudarc::driver::sys::CUdeviceptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// A stream and what works on it.
pub(super) struct Queue {
    pub(super) stream: Stream,
    /// Made when the first product is issued; a handle of cuBLAS serves one thread at a time.
    pub(super) cublas: Mutex<Option<Cublas>>,
    /// Memory that was dropped while a graph was captured that had not allocated it: the graph would free
    /// it at every launch.
    deferred: Mutex<Vec<CUdeviceptr>>,
    /// Such memory of a borrowed stream that was captured when its last handle went. The stream at its
    /// address may be a new one since, which does not wait for the work of the old one; so it is kept until
    /// all work is done.
    kept: Mutex<Vec<CUdeviceptr>>,
    /// Whether it is a borrowed stream that was captured when its last handle went.
    is_end_unknown: AtomicBool,
    /// What the handles on it share, if it is borrowed and there are any.
    lease: Mutex<Weak<Lease>>,
}

impl Queue {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            cublas: Mutex::new(None),
            deferred: Mutex::default(),
            kept: Mutex::default(),
            is_end_unknown: AtomicBool::new(false),
            lease: Mutex::default(),
        }
    }

    /// The number of the capture that the stream takes part in. Outside of any, frees what has waited for
    /// that. The context is current.
    pub(super) fn capture(&self, context: &Context) -> Result<Option<u64>> {
        let capture = self.stream.capture(context)?;
        if capture.is_none() {
            for start in lock(&self.deferred).drain(..) {
                memory::free(context, &self.stream, start);
            }
        }
        Ok(capture)
    }

    /// Frees memory that was allocated on this stream in capture `born_in`, now or after the capture
    /// that runs. The context is current.
    pub(super) fn free(&self, context: &Context, start: CUdeviceptr, born_in: Option<u64>) {
        match self.capture(context) {
            Ok(now) if now.is_none() || now == born_in => {
                memory::free(context, &self.stream, start);
            }
            _ => lock(&self.deferred).push(start),
        }
    }

    /// Whether there are handles on it, which is borrowed.
    pub(super) fn is_leased(&self) -> bool {
        lock(&self.lease).strong_count() > 0
    }

    /// The last handle goes while the stream is captured: keeps what waits for the end of the capture.
    pub(super) fn lose_end(&self) {
        let mut deferred = core::mem::take(&mut *lock(&self.deferred));
        lock(&self.kept).append(&mut deferred);
        self.is_end_unknown.store(true, Ordering::Release);
    }

    /// Whether only all work of the GPU is known to end after what the stream had been given.
    pub(super) fn is_end_unknown(&self) -> bool {
        self.is_end_unknown.load(Ordering::Acquire)
    }

    /// Gives everything back. The context is current, and all work is done; `alive` is any stream.
    pub(super) fn close(&self, alive: &Stream) {
        if let Some(cublas) = lock(&self.cublas).take() {
            // A borrowed stream may be gone. A failure has no one to be told to.
            let _ = cublas.bind(alive);
        }
        for waiting in [&self.deferred, &self.kept] {
            lock(waiting).drain(..).for_each(memory::free_finished);
        }
        self.stream.destroy();
    }
}

/// The use of a borrowed stream by the handles on it. When the last one goes, the stream still lives, and may
/// be destroyed at any time after.
pub(super) struct Lease {
    gpu: Arc<Gpu>,
    queue: Arc<Queue>,
}

impl Lease {
    /// The one that handles on the stream have, or a new one if there are none.
    pub(super) fn of(gpu: &Arc<Gpu>, queue: &Arc<Queue>) -> Arc<Self> {
        let mut known = lock(&queue.lease);
        known.upgrade().unwrap_or_else(|| {
            let lease = Arc::new(Self { gpu: gpu.clone(), queue: queue.clone() });
            *known = Arc::downgrade(&lease);
            lease
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.gpu.end(&self.queue);
    }
}
