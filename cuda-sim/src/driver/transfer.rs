//! Copies and fills.

use super::state::{Device, Work};
use super::{Handle, Status, api, with_state};
use std::ffi::{c_uchar, c_uint, c_ushort, c_void};
use std::sync::Arc;

/// Reports a copy that leaves its buffer.
fn outside(device: &mut Device, what: &str, address: u64, bytes: usize) -> Status {
    let near = device.sim.memory.describe(address);
    device.report(format!("{what} of {bytes} bytes at {address:#x}: {near}"));
    Status::INVALID_VALUE
}

fn to_device(to: u64, from: *const c_void, bytes: usize) -> Result<Work, Status> {
    if from.is_null() && bytes > 0 {
        return Err(Status::INVALID_VALUE);
    }
    let from = from as usize;
    Ok(Arc::new(move |device| {
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the caller of the copy, or of the graph's launch, keeps the source valid.
        let source = unsafe { std::slice::from_raw_parts(from as *const u8, bytes) };
        let written = device.sim.write(to, source);
        written.map_err(|_| outside(device, "copy to the device", to, bytes))
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
        // The target may not be initialised, so it is not made a slice.
        let mut buffer = vec![0; bytes];
        let read = device.sim.read(from, &mut buffer);
        read.map_err(|_| outside(device, "copy to the host", from, bytes))?;
        // SAFETY: the caller of the copy, or of the graph's launch, keeps the target valid.
        unsafe { (to as *mut u8).copy_from_nonoverlapping(buffer.as_ptr(), bytes) };
        Ok(())
    }))
}

fn within_device(to: u64, from: u64, bytes: usize) -> Work {
    Arc::new(move |device| {
        let copied = if bytes == 0 { Ok(()) } else { device.sim.copy(to, from, bytes) };
        copied.map_err(|_| {
            let source = device.sim.memory.find(from, bytes).is_some();
            outside(device, "copy within the device", if source { to } else { from }, bytes)
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
        filled.map_err(|_| outside(device, "fill", to, count * pattern.len()))
    }))
}

/// Work of a call that waits until it is done.
fn now(work: Work) -> Result<(), Status> {
    with_state(|s| {
        s.check_blocking()?;
        s.check_legacy(std::ptr::null_mut())?;
        work(&mut s.device)
    })
}

/// Work in the order of a stream.
fn later(stream: Handle, work: Work) -> Result<(), Status> {
    with_state(|s| s.enqueue(stream, work))
}

api! {
    needs current;

    /// Copies from the host.
    fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) {
        now(to_device(to, from, bytes)?)
    }

    /// Copies from the host in the order of a stream.
    fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: Handle) {
        later(stream, to_device(to, from, bytes)?)
    }

    /// Copies to the host.
    fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) {
        now(to_host(to, from, bytes)?)
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
