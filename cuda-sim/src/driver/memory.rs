//! Allocation.

use super::state::State;
use super::{Handle, Status, api, put, stream, with_state};
use crate::memory::{Footprint, GLOBAL_BASE, Kind};
use crate::order::{Front, StreamId};
use std::alloc::Layout;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

/// Alignment of page-locked host memory.
const PAGE: usize = 4096;

impl State {
    fn allocate(&mut self, bytes: usize, kind: Kind) -> Result<u64, Status> {
        self.check_sticky()?;
        self.injected_allocation_failure()?;
        let allocated = self.device.sim.memory.allocate(bytes, kind);
        let address = allocated.map_err(|_| Status::OUT_OF_MEMORY)?;
        // Addresses are never used twice.
        self.owners.insert(address, super::context::top().unwrap_or(0));
        Ok(address)
    }

    /// Frees memory, which the host must have waited for if it was allocated in the order of a stream.
    fn free_now(&mut self, address: u64) -> Result<(), Status> {
        if let Some(bytes) = self.size(address).filter(|_| self.stream_ordered.contains(&address)) {
            // An operation after none but what the host knows to be done.
            let order = &mut self.device.sim.order;
            let host = order.branch(&Front::default());
            let claimed = self.touch_all(address, bytes, host, "free without a stream");
            self.device.sim.order.end_branch(host);
            claimed?;
        }
        self.free(address)
    }

    fn free(&mut self, address: u64) -> Result<(), Status> {
        self.stream_ordered.remove(&address);
        match address == 0 || self.device.sim.memory.free(address, Kind::User) {
            true => Ok(()),
            false => Err(Status::INVALID_VALUE),
        }
    }

    /// Allocates in the order of a stream. In a capture the memory belongs to the graph: it keeps its
    /// address, and every launch finds it not initialised.
    pub fn allocate_async(&mut self, bytes: usize, on: Handle) -> Result<u64, Status> {
        let Some(id) = self.capture_of(on)? else {
            self.check_legacy(on)?;
            if bytes == 0 {
                return Ok(0);
            }
            let address = self.allocate(bytes, Kind::User)?;
            self.stream_ordered.insert(address);
            self.touch_all(address, bytes, stream::id(on), "allocation")?;
            return Ok(address);
        };
        if self.is_invalid(id) {
            return Err(Status::STREAM_CAPTURE_INVALIDATED);
        }
        let address = self.allocate(bytes, Kind::Graph)?;
        if let Some(capture) = self.captures.get_mut(&id) {
            capture.allocations.push(address);
        }
        self.record_forget(id, on, address, bytes)?;
        Ok(address)
    }

    fn free_async(&mut self, address: u64, on: Handle) -> Result<(), Status> {
        let Some(id) = self.capture_of(on)? else {
            self.check_legacy(on)?;
            if let Some(bytes) = self.size(address) {
                self.touch_all(address, bytes, stream::id(on), "free")?;
            }
            return self.free(address);
        };
        let owned = self.captures.get(&id).is_some_and(|c| c.allocations.contains(&address));
        match self.size(address).filter(|_| owned) {
            Some(bytes) => self.record_forget(id, on, address, bytes),
            None => {
                self.invalidate(id);
                Err(Status::INVALID_VALUE)
            }
        }
    }

    /// Size of the allocation that starts at an address.
    fn size(&self, address: u64) -> Option<usize> {
        let memory = &self.device.sim.memory;
        let found = memory.find(address, 0).and_then(|index| memory.get(index));
        found.filter(|a| a.base == address).map(|a| a.region.bytes.len())
    }

    /// An operation on a stream that concerns a whole allocation.
    fn touch_all(
        &mut self,
        address: u64,
        bytes: usize,
        on: StreamId,
        what: &'static str,
    ) -> Result<(), Status> {
        let device = &mut self.device;
        device.sim.order.begin(on);
        let claimed = device.sim.claim(address, Footprint::range(0, bytes), true, what);
        let message = || format!("{what} of {bytes} bytes at {address:#x}");
        claimed.map_err(|error| device.refuse(message(), address, error))
    }

    /// Records that memory of a graph loses its contents.
    fn record_forget(
        &mut self,
        id: u64,
        on: Handle,
        address: u64,
        bytes: usize,
    ) -> Result<(), Status> {
        self.record(
            id,
            stream::id(on),
            Arc::new(move |device| match device.sim.memory.locate(address, bytes) {
                Some((region, offset)) => {
                    region.initialised.clear(offset, bytes);
                    Ok(())
                }
                None => Err(Status::INVALID_VALUE),
            }),
        )
    }

    /// Whether an address lies in page-locked memory of the host.
    fn is_pinned(&self, address: u64) -> bool {
        let inside = |(&start, &bytes): (&usize, &usize)| {
            usize::try_from(address).is_ok_and(|at| at >= start && at - start < bytes)
        };
        self.pinned.iter().any(inside)
    }

    fn pointer_attribute(&self, attribute: c_int, address: u64) -> Result<Attribute, Status> {
        if self.is_pinned(address) {
            return Ok(match attribute {
                1 => Attribute::Long(super::context::PRIMARY as u64),
                2 => Attribute::Int(1), // host memory
                3 | 4 => Attribute::Long(address),
                8 | 9 => Attribute::Int(0), // not managed; device 0
                13 => Attribute::Int(1),    // mapped
                _ => return Err(Status::INVALID_VALUE),
            });
        }
        let memory = &self.device.sim.memory;
        let found = memory.find(address, 1).and_then(|index| memory.get(index));
        let Some(allocation) = found else { return Err(Status::INVALID_VALUE) };
        let bytes = allocation.region.bytes.len();
        Ok(match attribute {
            1 => Attribute::Long(super::context::PRIMARY as u64),
            2 => Attribute::Int(2), // device memory
            3 => Attribute::Long(address),
            7 => Attribute::Long((allocation.base - GLOBAL_BASE) / 512),
            8 => Attribute::Int(0), // not managed
            9 => Attribute::Int(self.owners.get(&allocation.base).copied().unwrap_or(0)),
            11 => Attribute::Long(allocation.base),
            12 => Attribute::Long(bytes as u64),
            13 => Attribute::Int(1), // mapped
            _ => return Err(Status::INVALID_VALUE),
        })
    }
}

/// The value of a pointer attribute.
enum Attribute {
    Int(c_int),
    Long(u64),
}

/// Allocation outside of any stream.
fn allocate_now(bytes: usize) -> Result<u64, Status> {
    if bytes == 0 {
        return Err(Status::INVALID_VALUE);
    }
    with_state(|s| {
        s.check_blocking()?;
        s.allocate(bytes, Kind::User)
    })
}

fn host_layout(bytes: usize) -> Result<Layout, Status> {
    Layout::from_size_align(bytes.max(1), PAGE).map_err(|_| Status::INVALID_VALUE)
}

api! {
    needs current;

    /// Allocates device memory.
    fn cuMemAlloc_v2(address: *mut u64, bytes: usize) {
        put(address, allocate_now(bytes)?)
    }

    /// Frees device memory.
    fn cuMemFree_v2(address: u64) {
        with_state(|s| {
            s.check_blocking()?;
            s.free_now(address)
        })
    }

    /// Allocates in the order of a stream.
    fn cuMemAllocAsync(address: *mut u64, bytes: usize, stream: Handle) {
        put(address, with_state(|s| s.allocate_async(bytes, stream))?)
    }

    /// Frees in the order of a stream.
    fn cuMemFreeAsync(address: u64, stream: Handle) {
        with_state(|s| s.free_async(address, stream))
    }

    /// Free and total device memory.
    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) {
        let (limit, used) = with_state(|s| {
            (s.device.sim.memory.limit(), s.device.sim.memory.used())
        });
        put(free, limit - used)?;
        put(total, limit)
    }

    /// Start and size of the allocation that holds an address.
    fn cuMemGetAddressRange_v2(base: *mut u64, bytes: *mut usize, address: u64) {
        let (start, size) = with_state(|s| {
            let memory = &s.device.sim.memory;
            let found = memory.find(address, 0).and_then(|index| memory.get(index));
            found.map(|a| (a.base, a.region.bytes.len())).ok_or(Status::INVALID_VALUE)
        })?;
        if !base.is_null() {
            put(base, start)?;
        }
        if bytes.is_null() { Ok(()) } else { put(bytes, size) }
    }

    /// An attribute of a pointer; an error for pageable memory of the host.
    fn cuPointerGetAttribute(data: *mut c_void, attribute: c_int, address: u64) {
        match with_state(|s| s.pointer_attribute(attribute, address))? {
            Attribute::Int(value) => put(data.cast::<c_int>(), value),
            Attribute::Long(value) => put(data.cast::<u64>(), value),
        }
    }

    /// Several attributes of a pointer; zeros where there is no value.
    fn cuPointerGetAttributes(
        count: c_uint,
        attributes: *const c_int,
        data: *const *mut c_void,
        address: u64,
    ) {
        if attributes.is_null() || data.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        for index in 0..count as usize {
            let (attribute, target) = (attributes.add(index).read(), data.add(index).read());
            match with_state(|s| s.pointer_attribute(attribute, address)) {
                Ok(Attribute::Long(value)) => put(target.cast::<u64>(), value)?,
                Ok(Attribute::Int(value)) => put(target.cast::<c_int>(), value)?,
                Err(_) if matches!(attribute, 1 | 3 | 4 | 7 | 11 | 12) => {
                    put(target.cast::<u64>(), 0)?;
                }
                Err(_) => put(target.cast::<c_int>(), 0)?,
            }
        }
        Ok(())
    }

    /// Allocates page-locked host memory.
    fn cuMemHostAlloc(address: *mut *mut c_void, bytes: usize, flags: c_uint) {
        let _ = flags;
        with_state(State::check_blocking)?;
        let layout = host_layout(bytes)?;
        let memory = std::alloc::alloc(layout);
        if memory.is_null() {
            return Err(Status::OUT_OF_MEMORY);
        }
        with_state(|s| s.pinned.insert(memory as usize, bytes));
        put(address, memory.cast())
    }

    /// Frees page-locked host memory.
    fn cuMemFreeHost(address: *mut c_void) {
        // Like the free of device memory, this waits for what may still use it.
        with_state(|s| {
            s.check_blocking()?;
            s.waited(|order| order.finish_all())
        })?;
        let known = with_state(|s| s.pinned.remove(&(address as usize)));
        let bytes = known.ok_or(Status::INVALID_VALUE)?;
        std::alloc::dealloc(address.cast(), host_layout(bytes)?);
        Ok(())
    }

    /// Managed memory is not simulated.
    fn cuMemAllocManaged(address: *mut u64, bytes: usize, flags: c_uint) {
        let _ = (address, bytes, flags);
        Err(Status::NOT_SUPPORTED)
    }
}
