//! What all handles made from one share: the context, the kernels, and what is kept for later calls.

use super::cublas::Idle;
use super::driver::{Context, Relaxed, Stream};
use super::launch::Module;
use super::lock;
use super::memory::Pool;
use super::queue::{Lease, Queue};
use super::transform::KeptTables;
use crate::Result;
use std::sync::{Arc, Mutex};

/// A GPU as the handles on it see it.
pub(super) struct Gpu {
    pub(super) context: Context,
    /// Where memory comes from, if the driver has pools.
    pub(super) pool: Option<Pool>,
    /// Every stream that is used, and those of which the end is not known.
    pub(super) queues: Mutex<Vec<Arc<Queue>>>,
    /// Handles of cuBLAS that the next streams take.
    pub(super) idle: Mutex<Vec<Idle>>,
    /// Waits for what borrowed streams had been given when their last handles went.
    ends: Stream,
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
            queues: Mutex::default(),
            idle: Mutex::default(),
            ends,
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
            Arc::new(Queue::new(Stream::new()?))
        };
        lock(&gpu.queues).push(queue.clone());
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

    /// What belongs to somebody else's stream, and its lease; a stream of ours needs none. The context is
    /// current.
    pub(super) fn borrow(
        self: &Arc<Self>,
        stream: Stream,
    ) -> Result<(Arc<Queue>, Option<Arc<Lease>>)> {
        let mut queues = lock(&self.queues);
        let known = queues.iter().find(|known| known.stream.raw() == stream.raw()).cloned();
        let queue = match known {
            Some(known) => {
                // It may be a new stream under the address of one that was destroyed.
                if let Some(cublas) = &*lock(&known.cublas) {
                    cublas.bind(&stream)?;
                }
                known
            }
            None => {
                let queue = Arc::new(Queue::new(stream));
                queues.push(queue.clone());
                queue
            }
        };
        let lease = (!queue.stream.is_owned()).then(|| Lease::of(self, &queue));
        Ok((queue, lease))
    }

    /// The last handle on a borrowed stream goes: remembers to wait for what the stream has been given,
    /// before it is gone, and lets the next stream have its handle of cuBLAS. Memory that waited for the end
    /// of a capture is freed on it. If it is still captured, all stays as it is.
    pub(super) fn end(&self, queue: &Arc<Queue>) {
        let Ok(_current) = self.context.enter() else { return };
        let mut queues = lock(&self.queues);
        if queue.is_leased() {
            // It was borrowed again just now.
            return;
        }
        // An event in a stream that is captured would be one of the graph.
        let is_known = match queue.capture(&self.context) {
            Ok(None) => self.ends.wait_for(&queue.stream).is_ok(),
            _ => false,
        };
        if !is_known {
            queue.lose_end();
        }
        if queue.is_end_unknown() {
            return;
        }
        queues.retain(|other| !Arc::ptr_eq(other, queue));
        // One that fails is destroyed.
        let cublas = lock(&queue.cublas).take();
        let idle = cublas.and_then(|cublas| Idle::after(cublas, &queue.stream, &self.ends).ok());
        lock(&self.idle).extend(idle);
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        let Ok(_current) = self.context.enter() else { return };
        let _relaxed = Relaxed::enter();
        let queues = core::mem::take(&mut *lock(&self.queues));
        // What still runs needs the modules. Borrowed streams may be gone by now.
        let own = queues.iter().map(|queue| &queue.stream).filter(|stream| stream.is_owned());
        let waited = match queues.iter().any(|queue| queue.is_end_unknown()) {
            false => own.chain([&self.ends]).try_for_each(Stream::synchronize),
            true => self.context.synchronize(),
        };
        let idle = core::mem::take(&mut *lock(&self.idle));
        if waited.is_ok() {
            lock(&self.tables).close();
            idle.into_iter().for_each(Idle::destroy);
            queues.iter().for_each(|queue| queue.close(&self.ends));
            self.modules().into_iter().for_each(Module::unload);
        } else {
            // What may still be used is not taken away: it goes with the context.
            core::mem::forget((queues, idle));
        }
        // These live on as far as they are used.
        self.ends.destroy();
        if let Some(pool) = self.pool.take() {
            pool.destroy();
        }
    }
}
