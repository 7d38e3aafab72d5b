//! Copies and fills.

use super::state::{Device, Work};
use super::{Handle, Status, api, with_state};
use crate::order::Operation;
use std::ffi::{c_uchar, c_uint, c_ushort, c_void};
use std::sync::Arc;

/// A copy whose host memory is touched as late as a device may: when the host has waited for it.
pub(crate) struct Pending {
    operation: Operation,
    /// Address of the host memory.
    host: usize,
    /// What it will hold, or must still hold.
    bytes: Vec<u8>,
    to_host: bool,
}

impl Device {
    /// Ends the copies that the host has waited for.
    pub fn deliver(&mut self) -> Result<(), Status> {
        let pending = std::mem::take(&mut self.pending);
        let is_done = |copy: &Pending| self.sim.order.is_done(copy.operation);
        let (done, pending) = pending.into_iter().partition(is_done);
        self.pending = pending;
        self.end(done)
    }

    /// Ends the copies that come before the running operation, which touches host memory itself.
    pub fn deliver_before(&mut self) -> Result<(), Status> {
        let pending = std::mem::take(&mut self.pending);
        let is_before = |copy: &Pending| self.sim.order.is_before(copy.operation);
        let (done, pending) = pending.into_iter().partition(is_before);
        self.pending = pending;
        self.end(done)
    }

    fn end(&mut self, copies: Vec<Pending>) -> Result<(), Status> {
        for Pending { host, bytes, to_host, .. } in copies {
            if to_host {
                // SAFETY: the caller of the copy, or of the graph's launch, keeps the target valid
                // until it has waited.
                unsafe { (host as *mut u8).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                continue;
            }
            // SAFETY: as above, for the source.
            let now = unsafe { std::slice::from_raw_parts(host as *const u8, bytes.len()) };
            if now != bytes {
                let message =
                    "race: page-locked memory was changed while it was copied to the device";
                return Err(self.fail(Status::LAUNCH_FAILED, message.to_string()));
            }
        }
        Ok(())
    }
}

/// A copy to the device. From memory that is not page-locked it is staged before the call returns;
/// page-locked memory may be read any time until the host has waited.
fn to_device(to: u64, from: *const c_void, bytes: usize) -> Result<Work, Status> {
    if from.is_null() && bytes > 0 {
        return Err(Status::INVALID_VALUE);
    }
    let from = from as usize;
    let is_pinned =
        with_state(|s| s.pinned.iter().any(|(&start, &n)| start <= from && from < start + n));
    Ok(Arc::new(move |device| {
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the caller of the copy, or of the graph's launch, keeps the source valid.
        let source = unsafe { std::slice::from_raw_parts(from as *const u8, bytes) };
        let written = device.sim.write(to, source);
        let what = || format!("copy to the device of {bytes} bytes at {to:#x}");
        written.map_err(|error| device.refuse(what(), to, error))?;
        if is_pinned {
            let (operation, bytes) = (device.sim.order.now(), source.to_vec());
            device.pending.push(Pending { operation, host: from, bytes, to_host: false });
        }
        Ok(())
    }))
}

fn to_host(to: *mut c_void, from: u64, bytes: usize) -> Result<Work, Status> {
    if to.is_null() && bytes > 0 {
        return Err(Status::INVALID_VALUE);
    }
    let to = to as usize;
    Ok(Arc::new(move |device| {
        if bytes == 0 {
            return Ok(());
        }
        let mut buffer = vec![0; bytes];
        let read = device.sim.read(from, &mut buffer);
        let what = || format!("copy to the host of {bytes} bytes at {from:#x}");
        read.map_err(|error| device.refuse(what(), from, error))?;
        // SAFETY: the caller of the copy, or of the graph's launch, keeps the target valid.
        unsafe { (to as *mut u8).write_bytes(0xFF, bytes) };
        let operation = device.sim.order.now();
        device.pending.push(Pending { operation, host: to, bytes: buffer, to_host: true });
        Ok(())
    }))
}

fn within_device(to: u64, from: u64, bytes: usize) -> Work {
    Arc::new(move |device| {
        let copied = if bytes == 0 { Ok(()) } else { device.sim.copy(to, from, bytes) };
        copied.map_err(|error| {
            let source = device.sim.memory.find(from, bytes).is_some();
            let at = if source { to } else { from };
            device.refuse(format!("copy within the device of {bytes} bytes at {at:#x}"), at, error)
        })
    })
}

/// Repeats a pattern of 1, 2 or 4 bytes.
fn fill(to: u64, pattern: &[u8], count: usize) -> Result<Work, Status> {
    if !to.is_multiple_of(pattern.len() as u64) {
        return Err(Status::INVALID_VALUE);
    }
    let pattern = pattern.to_vec();
    Ok(Arc::new(move |device| {
        let filled = if count == 0 { Ok(()) } else { device.sim.fill(to, &pattern, count) };
        let what = || format!("fill of {} bytes at {to:#x}", count * pattern.len());
        filled.map_err(|error| device.refuse(what(), to, error))
    }))
}

/// Work on the legacy stream, by a call that may wait.
fn now(work: Work) -> Result<(), Status> {
    with_state(|s| {
        s.check_blocking()?;
        s.enqueue(std::ptr::null_mut(), work)
    })
}

/// The same by a call that does wait.
fn now_and_wait(work: Work) -> Result<(), Status> {
    now(work)?;
    with_state(|s| s.waited_for_stream(std::ptr::null_mut()))
}

/// Work in the order of a stream.
fn later(stream: Handle, work: Work) -> Result<(), Status> {
    with_state(|s| s.enqueue(stream, work))
}

api! {
    needs current;

    /// Copies from the host.
    fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) {
        now_and_wait(to_device(to, from, bytes)?)
    }

    /// Copies from the host in the order of a stream.
    fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: Handle) {
        later(stream, to_device(to, from, bytes)?)
    }

    /// Copies to the host.
    fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) {
        now_and_wait(to_host(to, from, bytes)?)
    }

    /// Copies to the host in the order of a stream.
    fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Handle) {
        later(stream, to_host(to, from, bytes)?)
    }

    /// Copies within the device.
    fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) {
        now(within_device(to, from, bytes))
    }

    /// Copies within the device in the order of a stream.
    fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle) {
        later(stream, within_device(to, from, bytes))
    }

    /// Fills with a byte.
    fn cuMemsetD8_v2(to: u64, value: c_uchar, count: usize) {
        now(fill(to, &[value], count)?)
    }

    /// Fills with a byte in the order of a stream.
    fn cuMemsetD8Async(to: u64, value: c_uchar, count: usize, stream: Handle) {
        later(stream, fill(to, &[value], count)?)
    }

    /// Fills with a 16-bit word.
    fn cuMemsetD16_v2(to: u64, value: c_ushort, count: usize) {
        now(fill(to, &value.to_le_bytes(), count)?)
    }

    /// Fills with a 16-bit word in the order of a stream.
    fn cuMemsetD16Async(to: u64, value: c_ushort, count: usize, stream: Handle) {
        later(stream, fill(to, &value.to_le_bytes(), count)?)
    }

    /// Fills with a 32-bit word.
    fn cuMemsetD32_v2(to: u64, value: c_uint, count: usize) {
        now(fill(to, &value.to_le_bytes(), count)?)
    }

    /// Fills with a 32-bit word in the order of a stream.
    fn cuMemsetD32Async(to: u64, value: c_uint, count: usize, stream: Handle) {
        later(stream, fill(to, &value.to_le_bytes(), count)?)
    }
}
