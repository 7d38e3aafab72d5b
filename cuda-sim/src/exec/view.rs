//! Memory as one thread sees it.

use crate::code::Space;
use crate::counters::Log;
use crate::fault::{Fault, FaultKind};
use crate::memory::{
    Access, Claim, Clocks, DeviceMemory, GLOBAL_BASE, Kind, LOCAL_WINDOW, Observer, Problem,
    Region, SHARED_WINDOW, WINDOW_BYTES,
};

/// All the memory that a thread can reach, and what is needed to check its accesses.
pub struct View<'v> {
    pub memory: &'v mut DeviceMemory,
    pub shared: &'v mut Region,
    pub clocks: &'v Clocks,
    pub params: &'v [u8],
    /// Allocation that each instruction last touched.
    pub sites: &'v mut [u32],
    /// The thread within its block.
    pub thread: u32,
    /// Where accesses are noted for counting.
    pub log: Option<&'v mut Log>,
}

/// A checked place in memory.
pub struct Place<'p> {
    pub region: &'p mut Region,
    pub offset: usize,
}

/// An access that is to be checked.
#[derive(Clone, Copy)]
pub struct Request {
    pub space: Space,
    pub address: u64,
    /// A power of two, at most 16.
    pub bytes: usize,
    pub access: Access,
    /// The instruction.
    pub site: usize,
}

impl<'v> View<'v> {
    /// Whether accesses must be counted before the thread may go on.
    #[inline]
    pub fn log_is_full(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.is_full())
    }

    /// Checks an access and returns its place. `local` is the memory of the thread.
    #[inline]
    pub fn place<'p>(
        &'p mut self,
        local: &'p mut Region,
        request: Request,
    ) -> Result<Place<'p>, Box<Fault>> {
        if request.address & (request.bytes as u64 - 1) != 0 {
            return Err(misaligned(request));
        }
        match request.space {
            Space::Global | Space::Const => self.global(request),
            Space::Shared => self.shared(request, request.address),
            Space::Local => local_place(local, self.clocks, request, request.address),
            _ => {
                let address = request.address;
                if address >= GLOBAL_BASE {
                    self.global(request)
                } else if address.wrapping_sub(SHARED_WINDOW) < WINDOW_BYTES {
                    self.shared(request, address - SHARED_WINDOW)
                } else if address.wrapping_sub(LOCAL_WINDOW) < WINDOW_BYTES {
                    local_place(local, self.clocks, request, address - LOCAL_WINDOW)
                } else {
                    self.global(request)
                }
            }
        }
    }

    #[inline]
    fn global(&mut self, request: Request) -> Result<Place<'_>, Box<Fault>> {
        let Request { address, bytes, access, site, .. } = request;
        let mut index = self.sites[site] as usize;
        let holds = |base: u64, size: usize| {
            let offset = address.wrapping_sub(base);
            offset < size as u64 && size as u64 - offset >= bytes as u64
        };
        let hit = self.memory.get(index).is_some_and(|a| holds(a.base, a.region.bytes.len()));
        if !hit {
            match self.memory.find(address, bytes) {
                Some(found) => index = found,
                None => return Err(self.outside(request)),
            }
            self.sites[site] = index as u32;
        }
        let Some(allocation) = self.memory.get_mut(index) else {
            return Err(Fault::new(FaultKind::OutOfBounds, "no allocation"));
        };
        if allocation.kind == Kind::Constant || request.space == Space::Const {
            check_constant(allocation.kind, request)?;
        }
        let offset = (address - allocation.base) as usize;
        let region = &mut allocation.region;
        let observer = Observer { clocks: self.clocks, thread: self.thread, is_global: true };
        if let Err(problem) = region.check(&observer, access, offset, bytes) {
            let whose = format!("a {}-byte buffer", region.bytes.len());
            return Err(match problem {
                Problem::Stream(offset, index) => {
                    unordered(offset, &region.unordered[index], access, &whose)
                }
                problem => found(problem, access, &whose, "global"),
            });
        }
        if let Some(log) = &mut self.log {
            log.global(site, address, bytes, access.only_reads());
        }
        Ok(Place { region, offset })
    }

    #[inline]
    fn shared(&mut self, request: Request, offset: u64) -> Result<Place<'_>, Box<Fault>> {
        let Request { bytes, access, site, .. } = request;
        let size = self.shared.bytes.len() as u64;
        if offset >= size || size - offset < bytes as u64 {
            return Err(outside_block(request, offset, size, "shared"));
        }
        let offset = offset as usize;
        let observer = Observer { clocks: self.clocks, thread: self.thread, is_global: false };
        if let Err(problem) = self.shared.check(&observer, access, offset, bytes) {
            return Err(found(problem, access, "shared memory", "shared"));
        }
        if let Some(log) = &mut self.log {
            log.shared(site, offset as u64, bytes);
        }
        Ok(Place { region: self.shared, offset })
    }

    #[cold]
    fn outside(&self, request: Request) -> Box<Fault> {
        let Request { address, bytes, access, .. } = request;
        let access = access.name();
        if address < GLOBAL_BASE {
            let shared = address.wrapping_sub(SHARED_WINDOW) < WINDOW_BYTES;
            let local = address.wrapping_sub(LOCAL_WINDOW) < WINDOW_BYTES;
            if request.space != Space::Generic && (shared || local) {
                let message = format!("global {access} at a shared or local address, {address:#x}");
                return Fault::new(FaultKind::WrongSpace, message);
            }
            let message =
                format!("{access} of {bytes} bytes at {address:#x}, which is not a device address");
            return Fault::new(FaultKind::OutOfBounds, message);
        }
        let near = self.memory.describe(address);
        let message = format!("{access} of {bytes} bytes at {address:#x}, {near}");
        Fault::new(FaultKind::OutOfBounds, message)
    }
}

#[inline]
fn local_place<'p>(
    local: &'p mut Region,
    clocks: &Clocks,
    request: Request,
    offset: u64,
) -> Result<Place<'p>, Box<Fault>> {
    let size = local.bytes.len() as u64;
    if offset >= size || size - offset < request.bytes as u64 {
        return Err(outside_block(request, offset, size, "local"));
    }
    let observer = Observer { clocks, thread: 0, is_global: false };
    let checked = local.check(&observer, request.access, offset as usize, request.bytes);
    match checked {
        Ok(()) => Ok(Place { region: local, offset: offset as usize }),
        Err(problem) => Err(found(problem, request.access, "local memory", "local")),
    }
}

#[cold]
fn misaligned(request: Request) -> Box<Fault> {
    let Request { address, bytes, access, .. } = request;
    let message = format!("{} of {bytes} bytes at {address:#x}", access.name());
    Fault::new(FaultKind::Misaligned, message)
}

#[cold]
fn outside_block(request: Request, offset: u64, size: u64, space: &str) -> Box<Fault> {
    let Request { bytes, access, .. } = request;
    let access = access.name();
    if offset >= WINDOW_BYTES {
        let message = format!("{space} {access} at {offset:#x}, an address of another space");
        return Fault::new(FaultKind::WrongSpace, message);
    }
    let message =
        format!("{access} of {bytes} bytes at offset {offset} of {size} bytes of {space} memory");
    Fault::new(FaultKind::OutOfBounds, message)
}

fn check_constant(kind: Kind, request: Request) -> Result<(), Box<Fault>> {
    if kind != Kind::Constant {
        let message = format!("ld.const at {:#x}, which is not constant memory", request.address);
        return Err(Fault::new(FaultKind::WrongSpace, message));
    }
    if !request.access.only_reads() {
        return Err(Fault::new(FaultKind::WrongSpace, "write to constant memory"));
    }
    Ok(())
}

#[cold]
fn found(problem: Problem, access: Access, whose: &str, space: &str) -> Box<Fault> {
    match problem {
        Problem::Gap(offset) => {
            let message = format!(
                "{} at offset {offset} of {space} memory, past the end of a variable",
                access.name()
            );
            Fault::new(FaultKind::OutOfBounds, message)
        }
        Problem::Uninitialised(offset) => {
            let message = format!(
                "{} of {space} memory that nothing wrote (or a cp.async still does), offset \
                 {offset} of {whose}",
                access.name()
            );
            Fault::new(FaultKind::Uninitialised, message)
        }
        Problem::Race(offset, conflict) => {
            let by = match conflict.block {
                Some(block) => format!("thread {} of block number {block}", conflict.thread),
                None => "a launch on another stream".to_string(),
            };
            let message = format!(
                "in {space} memory: {} at offset {offset} of {whose}, not ordered after the {} by {by}",
                access.name(),
                conflict.access.name(),
            );
            Fault::new(FaultKind::Race, message)
        }
        Problem::Stream(..) => unreachable!("only device memory is touched by streams"),
    }
}

#[cold]
fn unordered(offset: usize, claim: &Claim, access: Access, whose: &str) -> Box<Fault> {
    let message = format!(
        "in global memory: {} at offset {offset} of {whose}, not ordered after {}",
        access.name(),
        claim.describe()
    );
    Fault::new(FaultKind::Race, message)
}
