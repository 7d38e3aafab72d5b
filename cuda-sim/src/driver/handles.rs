//! Handles: numbers given out for objects.

use super::Status;
use std::collections::HashMap;
use std::ffi::c_void;

/// What a program holds in place of an object.
pub(crate) type Handle = *mut c_void;

/// Bits that every handle has: no host can map such an address.
const MARK: usize = 0x0200_0000_0000_0000;

/// Objects by handle; no handle is used twice.
pub(crate) struct Table<T> {
    objects: HashMap<usize, T>,
    next: usize,
}

impl<T> Table<T> {
    /// An empty table; tables with different `kind` give out different handles.
    pub fn new(kind: usize) -> Self {
        Self { objects: HashMap::new(), next: MARK | kind << 40 | 16 }
    }

    pub fn insert(&mut self, object: T) -> Handle {
        let handle = self.next;
        self.next += 16;
        self.objects.insert(handle, object);
        handle as Handle
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn get(&self, handle: Handle) -> Result<&T, Status> {
        self.objects.get(&(handle as usize)).ok_or(Status::INVALID_HANDLE)
    }

    pub fn get_mut(&mut self, handle: Handle) -> Result<&mut T, Status> {
        self.objects.get_mut(&(handle as usize)).ok_or(Status::INVALID_HANDLE)
    }

    pub fn remove(&mut self, handle: Handle) -> Result<T, Status> {
        self.objects.remove(&(handle as usize)).ok_or(Status::INVALID_HANDLE)
    }

    /// Removes all objects.
    pub fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.objects).into_values().collect()
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.objects.retain(|_, object| keep(object));
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.objects.values_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_checked() {
        let (mut a, mut b) = (Table::new(1), Table::new(2));
        let (x, y) = (a.insert("x"), b.insert("y"));
        assert_ne!(x, y);
        assert_eq!(a.get(x), Ok(&"x"));
        assert_eq!(a.get(y), Err(Status::INVALID_HANDLE));
        assert_eq!(a.remove(x), Ok("x"));
        assert_eq!(a.get(x), Err(Status::INVALID_HANDLE));
        assert_ne!(a.insert("z"), x);
    }
}
