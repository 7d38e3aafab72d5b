//! The CPU: faer for dense products, rayon for threads, our own kernels for sketches.
//!
//! Work is cut into tasks whose number and size depend on shapes only, never on the number of
//! threads, and sums are joined in a fixed order: results are the same bits for any pool.

mod blas;
mod dense;
mod faer_operator;
mod half;
mod isa;
mod pool;
mod random;
mod sketch;
mod sparse;
mod transform;

pub use faer_operator::FaerOperator;
pub(crate) use isa::Isa;
pub use pool::Cpu;

use super::fit::{fit, fit_columns, fit_distinct, fit_factors, fit_family, fit_product, op_shape};
use super::{Device, HostBuffer};
use crate::{Element, Result};

impl Device for Cpu {
    type Buffer<E: Element> = HostBuffer<E>;

    fn zeroed<E: Element>(&self, len: usize) -> Result<HostBuffer<E>> {
        HostBuffer::zeroed_in(self.workspace(), len)
    }

    fn scratch<E: Element>(&self, len: usize) -> Result<HostBuffer<E>> {
        HostBuffer::scratch_in(self.workspace(), len)
    }

    fn as_ptr<E: Element>(buffer: &HostBuffer<E>) -> *const E {
        buffer.as_slice().as_ptr()
    }

    fn as_mut_ptr<E: Element>(buffer: &mut HostBuffer<E>) -> *mut E {
        buffer.as_mut_slice().as_mut_ptr()
    }

    fn upload<E: Element>(&self, host: &[E], buffer: &mut HostBuffer<E>) -> Result<()> {
        buffer.as_mut_slice()[..host.len()].copy_from_slice(host);
        Ok(())
    }

    fn download<E: Element>(&self, buffer: &HostBuffer<E>, host: &mut [E]) -> Result<()> {
        host.copy_from_slice(&buffer.as_slice()[..host.len()]);
        Ok(())
    }

    unsafe fn download_from<E: Element>(&self, start: *const E, host: &mut [E]) -> Result<()> {
        // SAFETY: the caller's promise; the target is borrowed uniquely.
        unsafe { host.as_mut_ptr().copy_from_nonoverlapping(start, host.len()) };
        Ok(())
    }

    fn is_compatible(&self, _other: &Self) -> bool {
        true
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn beside<R: Send, S: Send>(
        &self,
        work: u64,
        issue: impl FnOnce() -> R + Send,
        host: impl FnOnce() -> S + Send,
    ) -> (R, S) {
        self.join(work, issue, host)
    }

    fn map_batch<R: Send>(&self, batch: usize, call: impl Fn(usize) -> R + Sync) -> Vec<R> {
        self.map(batch, u64::MAX, call)
    }
}
