//! What all handles made from one share: the context, the kernels, and what is kept for later calls.

use super::driver::{Context, Relaxed, Stream};
use super::launch::Module;
use super::lock;
use super::memory::Pool;
use super::queue::Queue;
use super::transform::KeptTables;
use crate::Result;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A GPU as the handles on it see it.
pub(super) struct Gpu {
    pub(super) context: Context,
    /// Where memory comes from, if the driver has pools.
    pub(super) pool: Option<Pool>,
    /// Every stream that was used.
    pub(super) queues: Mutex<Vec<Arc<Queue>>>,
    /// Waits for what borrowed streams had been given when their last handles went.
    ends: Stream,
    /// Whether it could not wait for one.
    is_end_unknown: AtomicBool,
    pub(super) tables: Mutex<KeptTables>,
    pub(super) blas: Module,
    pub(super) block_perm: Module,
    pub(super) dense: Module,
    pub(super) rows: Module,
    pub(super) half: Module,
    pub(super) half_dense: Module,
    pub(super) norms: Module,
    pub(super) sort: Module,
    pub(super) sparse: Module,
    pub(super) transform: Module,
    pub(super) fourier: Module,
}

impl Gpu {
    /// The kernels of this PTX, which is by file, and a stream.
    pub(super) fn new<S: AsRef<str>>(
        context: Context,
        ptx: &[(&'static str, S)],
    ) -> Result<(Self, Arc<Queue>)> {
        let ends = {
            let _current = context.enter()?;
            let _relaxed = Relaxed::enter();
            Stream::new()?
        };
        let mut gpu = Self {
            context,
            pool: None,
            queues: Mutex::new(Vec::new()),
            ends,
            is_end_unknown: AtomicBool::new(false),
            tables: Mutex::new(KeptTables::default()),
            blas: Module::new("blas"),
            block_perm: Module::new("block_perm"),
            dense: Module::new("dense"),
            rows: Module::new("rows"),
            half: Module::new("half"),
            half_dense: Module::new("half_dense"),
            norms: Module::new("norms"),
            sort: Module::new("sort"),
            sparse: Module::new("sparse"),
            transform: Module::new("transform"),
            fourier: Module::new("fourier"),
        };
        let queue = {
            let _current = gpu.context.enter()?;
            let _relaxed = Relaxed::enter();
            gpu.modules().into_iter().try_for_each(|module| module.load(ptx))?;
            if gpu.context.pools {
                gpu.pool = Some(Pool::new(&gpu.context)?);
            }
            gpu.queue(Stream::new()?)?
        };
        Ok((gpu, queue))
    }

    fn modules(&self) -> [&Module; 11] {
        [
            &self.blas,
            &self.block_perm,
            &self.dense,
            &self.rows,
            &self.half,
            &self.half_dense,
            &self.norms,
            &self.sort,
            &self.sparse,
            &self.transform,
            &self.fourier,
        ]
    }

    /// What belongs to a stream, which is borrowed again if it is known.
    pub(super) fn queue(&self, stream: Stream) -> Result<Arc<Queue>> {
        let mut queues = lock(&self.queues);
        if let Some(known) = queues.iter().find(|known| known.stream.raw() == stream.raw()) {
            // It may be a new stream under the address of one that was destroyed.
            if let Some(cublas) = &*lock(&known.cublas) {
                cublas.bind(&stream)?;
            }
            return Ok(known.clone());
        }
        let queue = Arc::new(Queue::new(stream));
        queues.push(queue.clone());
        Ok(queue)
    }

    /// Remembers to wait for what a borrowed stream has been given, before it is gone. Memory that waited
    /// for the end of a capture is freed on it, or kept if it is still captured.
    pub(super) fn wait_for_end(&self, queue: &Queue) {
        let Ok(_current) = self.context.enter() else { return };
        // An event in a stream that is captured would be one of the graph.
        let is_known = match queue.capture(&self.context) {
            Ok(None) => self.ends.wait_for(&queue.stream).is_ok(),
            _ => false,
        };
        if !is_known {
            queue.keep_deferred();
            self.is_end_unknown.store(true, Ordering::Release);
        }
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        let Ok(_current) = self.context.enter() else { return };
        let _relaxed = Relaxed::enter();
        let queues = core::mem::take(&mut *lock(&self.queues));
        // What still runs needs the modules. Borrowed streams may be gone by now.
        let own = queues.iter().map(|queue| &queue.stream).filter(|stream| stream.is_owned());
        let waited = match self.is_end_unknown.load(Ordering::Acquire) {
            false => own.chain([&self.ends]).try_for_each(Stream::synchronize),
            true => self.context.synchronize(),
        };
        // What may still be used is not taken away: it goes with the context. There is no one to be told.
        if waited.is_err() {
            return;
        }
        lock(&self.tables).close();
        queues.iter().for_each(|queue| queue.close(&self.ends));
        self.ends.destroy();
        self.modules().into_iter().for_each(Module::unload);
        if let Some(pool) = self.pool.take() {
            pool.destroy();
        }
    }
}
