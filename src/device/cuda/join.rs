//! Operands on several streams: who waits for whom.

use super::Cuda;
use crate::device::Device;
use crate::{Error, Result};
use std::sync::Arc;

impl Cuda {
    /// Waits for the streams of the operands, given by name; the guard makes them wait in turn for what
    /// has been issued meanwhile. An event would carry a capture from one stream to the other, or spoil
    /// it: streams of which one takes part in a capture and the other does not are refused before.
    pub(super) fn join<'a>(
        &'a self,
        op: &'static str,
        operands: &[(&'static str, &'a Cuda)],
    ) -> Result<Joined<'a>> {
        let mut others: Vec<&Cuda> = Vec::new();
        for &(argument, other) in operands {
            if !self.is_compatible(other) {
                return Err(Error::DeviceMismatch { op, argument });
            }
            let known = |known: &&Cuda| Arc::ptr_eq(&known.queue, &other.queue);
            if !Arc::ptr_eq(&self.queue, &other.queue) && !others.iter().any(known) {
                others.push(other);
            }
        }
        if !others.is_empty() {
            let _current = self.enter()?;
            let own = self.capture()?;
            for other in &others {
                if other.stream().capture(other.context())? != own {
                    let what =
                        "an operand on a stream that takes no part in the same capture".into();
                    return Err(Error::Unsupported { op, what });
                }
            }
            others.iter().try_for_each(|other| self.stream().wait_for(other.stream()))?;
        }
        Ok(Joined { cuda: self, others })
    }
}

/// Streams that have been joined for a call.
pub(super) struct Joined<'a> {
    cuda: &'a Cuda,
    others: Vec<&'a Cuda>,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        if self.others.is_empty() {
            return;
        }
        let Ok(_current) = self.cuda.enter() else { return };
        let stream = self.cuda.stream();
        let waits = self.others.iter().map(|other| other.stream().wait_for(stream));
        if waits.filter(Result::is_err).count() > 0 {
            // The host waits in place of the streams. If that fails too, so does the next call.
            let _ = stream.synchronize();
        }
    }
}
