//! The device, modelled on compute capability 8.0. There may be several, which share one memory: enough
//! to tell whether a program mixes them up.

use super::{Status, api, put, with_state};
use crate::simulator::{DEFAULT_SHARED, MAX_SHARED, MAX_THREADS};
use std::ffi::{c_char, c_int, c_uchar};

/// Its name; benchmarks refuse to run on a device called so.
const NAME: &[u8] = b"cuda-sim (PTX interpreter, not a GPU)\0";

/// Multiprocessors it claims to have: few, since kernels that size their grid by them run serially.
pub(crate) const MULTIPROCESSORS: c_int = 4;

/// Whether a device number is valid.
pub(crate) fn check(device: c_int) -> Result<(), Status> {
    let devices = with_state(|s| s.options.devices);
    if (0..devices).contains(&device) { Ok(()) } else { Err(Status::INVALID_DEVICE) }
}

/// Values by number of the attribute; what is not listed is 0.
const ATTRIBUTES: &[(c_int, c_int)] = &[
    (1, MAX_THREADS as c_int), // threads per block
    (2, 1024),                 // block x, y, z
    (3, 1024),
    (4, 64),
    (5, c_int::MAX), // grid x, y, z
    (6, 65535),
    (7, 65535),
    (8, DEFAULT_SHARED as c_int), // shared memory per block
    (9, 65536),                   // constant memory
    (10, 32),                     // warp size
    (11, c_int::MAX),             // pitch
    (12, 65536),                  // registers per block
    (13, 1_000_000),              // clock rate, kHz
    (16, MULTIPROCESSORS),
    (31, 1),                          // concurrent kernels
    (36, 1_000_000),                  // memory clock, kHz
    (37, 5120),                       // memory bus, bits
    (38, 1 << 20), // L2 cache: small, so that programs that cut work by it cut small work
    (39, 2048),    // threads per multiprocessor
    (40, 1),       // copy engines
    (41, 1),       // unified addressing
    (78, 1),       // stream priorities
    (81, MAX_SHARED as c_int + 1024), // shared memory per multiprocessor
    (82, 65536),   // registers per multiprocessor
    (97, MAX_SHARED as c_int), // shared memory per block on request
    (106, 32),     // blocks per multiprocessor
    (111, 1024),   // reserved shared memory per block
    (115, 1),      // memory pools
];

/// A device attribute.
pub(crate) fn attribute(number: c_int) -> c_int {
    let capability = || with_state(|s| s.options.capability);
    match number {
        75 => return capability() / 10,
        76 => return capability() % 10,
        _ => {}
    }
    ATTRIBUTES.iter().find(|(known, _)| *known == number).map_or(0, |&(_, value)| value)
}

api! {
    needs initialised;

    /// The number of devices.
    fn cuDeviceGetCount(count: *mut c_int) {
        put(count, with_state(|s| s.options.devices))
    }

    /// A device by number.
    fn cuDeviceGet(device: *mut c_int, ordinal: c_int) {
        check(ordinal)?;
        put(device, ordinal)
    }

    /// Its name.
    fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) {
        check(device)?;
        if name.is_null() || length < 1 {
            return Err(Status::INVALID_VALUE);
        }
        let count = NAME.len().min(length as usize);
        name.cast::<u8>().copy_from_nonoverlapping(NAME.as_ptr(), count);
        name.add(count - 1).write(0);
        Ok(())
    }

    /// Its identifier: always the same.
    fn cuDeviceGetUuid(uuid: *mut [c_uchar; 16], device: c_int) {
        check(device)?;
        put(uuid, *b"cuda-sim device0")
    }

    /// Its identifier: always the same.
    fn cuDeviceGetUuid_v2(uuid: *mut [c_uchar; 16], device: c_int) {
        check(device)?;
        put(uuid, *b"cuda-sim device0")
    }

    /// An attribute.
    fn cuDeviceGetAttribute(value: *mut c_int, number: c_int, device: c_int) {
        check(device)?;
        put(value, attribute(number))
    }

    /// The compute capability.
    fn cuDeviceComputeCapability(major: *mut c_int, minor: *mut c_int, device: c_int) {
        check(device)?;
        put(major, attribute(75))?;
        put(minor, attribute(76))
    }

    /// The size of its memory.
    fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) {
        check(device)?;
        put(bytes, with_state(|s| s.device.sim.memory.limit()))
    }
}
