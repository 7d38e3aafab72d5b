//! Views of N-dimensional strided arrays, as frameworks hand them over.

use super::layout::check_pointer;
use crate::{Cpu, Device, Error, Result, Scalar};
use core::fmt;
use core::marker::PhantomData;

/// A readable N-dimensional array: entry (i₀, i₁, …) lies Σ iₖ·strideₖ elements after the first.
#[derive(Clone)]
pub struct TensorRef<'a, T: Scalar, D: Device = Cpu> {
    ptr: *const T,
    shape: Vec<usize>,
    strides: Vec<isize>,
    device: &'a D,
    memory: PhantomData<&'a T>,
}

/// A writable N-dimensional array.
pub struct TensorMut<'a, T: Scalar, D: Device = Cpu> {
    ptr: *mut T,
    shape: Vec<usize>,
    strides: Vec<isize>,
    device: &'a D,
    memory: PhantomData<&'a mut T>,
}

// SAFETY: a shared borrow of scalars, which are Sync, and of a device, which is Sync.
unsafe impl<T: Scalar, D: Device> Send for TensorRef<'_, T, D> {}
// SAFETY: as above.
unsafe impl<T: Scalar, D: Device> Sync for TensorRef<'_, T, D> {}
// SAFETY: a unique borrow of scalars, which are Send, and a shared one of a device.
unsafe impl<T: Scalar, D: Device> Send for TensorMut<'_, T, D> {}
// SAFETY: through a shared TensorMut no entry can be reached.
unsafe impl<T: Scalar, D: Device> Sync for TensorMut<'_, T, D> {}

impl<'a, T: Scalar, D: Device> TensorRef<'a, T, D> {
    /// A view of memory that someone else owns.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there are as many strides as extents; when there are entries, as
    /// [`MatRef::from_raw_parts`](crate::MatRef::from_raw_parts).
    ///
    /// # Safety
    /// Every entry must be an initialised `T` in `device`'s memory, alive and unwritten as long as
    /// [`MatRef::from_raw_parts`](crate::MatRef::from_raw_parts) asks.
    pub unsafe fn from_raw_parts(
        device: &'a D,
        ptr: *const T,
        shape: &[usize],
        strides: &[isize],
    ) -> Result<Self> {
        check_ranks("TensorRef::from_raw_parts", shape, strides)?;
        check_pointer("TensorRef::from_raw_parts", "ptr", device, ptr, !shape.contains(&0))?;
        let (shape, strides) = (shape.to_vec(), strides.to_vec());
        Ok(Self { ptr, shape, strides, device, memory: PhantomData })
    }

    /// The extents.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The strides, in elements.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The address of the first entry on the device.
    pub fn as_ptr(&self) -> *const T {
        self.ptr
    }

    /// The device of the memory.
    pub fn device(&self) -> &'a D {
        self.device
    }
}

impl<'a, T: Scalar> TensorRef<'a, T, Cpu> {
    /// A view of a slice in C order (the last index runs fastest) without gaps.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless the slice holds exactly the product of the extents.
    pub fn from_slice(cpu: &'a Cpu, slice: &'a [T], shape: &[usize]) -> Result<Self> {
        let strides = c_order("TensorRef::from_slice", shape, slice.len())?;
        // SAFETY: the entries are exactly those of the slice, borrowed for 'a.
        unsafe { Self::from_raw_parts(cpu, slice.as_ptr(), shape, &strides) }
    }
}

impl<'a, T: Scalar, D: Device> TensorMut<'a, T, D> {
    /// A writable view of memory that someone else owns.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there are as many strides as extents, and the strides,
    /// sorted by size, leave room for each other: stride ≥ extent · stride of the next smaller one;
    /// when there are entries, as [`MatRef::from_raw_parts`](crate::MatRef::from_raw_parts).
    ///
    /// # Safety
    /// Every entry must be an initialised `T` in `device`'s memory, alive and reached through this view
    /// alone as long as [`MatMut::from_raw_parts`](crate::MatMut::from_raw_parts) asks.
    pub unsafe fn from_raw_parts(
        device: &'a D,
        ptr: *mut T,
        shape: &[usize],
        strides: &[isize],
    ) -> Result<Self> {
        check_ranks("TensorMut::from_raw_parts", shape, strides)?;
        check_nested("TensorMut::from_raw_parts", shape, strides)?;
        let is_used = !shape.contains(&0);
        check_pointer("TensorMut::from_raw_parts", "ptr", device, ptr.cast_const(), is_used)?;
        let (shape, strides) = (shape.to_vec(), strides.to_vec());
        Ok(Self { ptr, shape, strides, device, memory: PhantomData })
    }

    /// The extents.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The strides, in elements.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The address of the first entry on the device.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.ptr
    }

    /// The device of the memory.
    pub fn device(&self) -> &'a D {
        self.device
    }
}

impl<'a, T: Scalar> TensorMut<'a, T, Cpu> {
    /// A writable view of a slice in C order (the last index runs fastest) without gaps.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless the slice holds exactly the product of the extents.
    pub fn from_slice(cpu: &'a Cpu, slice: &'a mut [T], shape: &[usize]) -> Result<Self> {
        let strides = c_order("TensorMut::from_slice", shape, slice.len())?;
        // SAFETY: the entries are exactly those of the slice, borrowed uniquely for 'a.
        unsafe { Self::from_raw_parts(cpu, slice.as_mut_ptr(), shape, &strides) }
    }
}

fn check_ranks(op: &'static str, shape: &[usize], strides: &[isize]) -> Result<()> {
    if shape.len() == strides.len() {
        Ok(())
    } else {
        let allowed = format!("{}, as many as extents", shape.len());
        Err(Error::invalid(op, "strides.len()", strides.len(), allowed))
    }
}

/// Distinct positions are distinct memory when each stride steps over all smaller ones.
fn check_nested(op: &'static str, shape: &[usize], strides: &[isize]) -> Result<()> {
    if shape.contains(&0) {
        return Ok(());
    }
    let mut axes: Vec<(usize, usize)> =
        strides.iter().map(|s| s.unsigned_abs()).zip(shape.iter().copied()).collect();
    axes.retain(|&(_, extent)| extent > 1);
    axes.sort_unstable();
    let mut reach = 0usize;
    for (stride, extent) in axes {
        if stride <= reach {
            let allowed = "a writable tensor needs strides that address distinct entries";
            return Err(Error::invalid(op, "strides", format!("{strides:?}"), allowed));
        }
        reach = reach.saturating_add(stride.saturating_mul(extent - 1));
    }
    Ok(())
}

fn c_order(op: &'static str, shape: &[usize], len: usize) -> Result<Vec<isize>> {
    let product = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    if product != Some(len) {
        return Err(Error::invalid(op, "slice.len()", len, format!("the product of {shape:?}")));
    }
    let mut strides = vec![1isize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1) as isize;
    }
    Ok(strides)
}

impl<T: Scalar, D: Device> fmt::Debug for TensorRef<'_, T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TensorRef {:?} with strides {:?}", self.shape, self.strides)
    }
}

impl<T: Scalar, D: Device> fmt::Debug for TensorMut<'_, T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TensorMut {:?} with strides {:?}", self.shape, self.strides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writable_tensors_need_room_between_entries() {
        let cpu = Cpu::new();
        let mut memory = [0.0f64; 24];
        assert!(TensorMut::from_slice(&cpu, &mut memory, &[2, 3, 4]).is_ok());
        assert!(TensorMut::from_slice(&cpu, &mut memory, &[2, 3, 5]).is_err());
        for (strides, ok) in [([12, 4, 1], true), ([12, 4, 0], false), ([12, 3, 1], false)] {
            // SAFETY: the entries lie inside of the array.
            let view = unsafe {
                TensorMut::from_raw_parts(&cpu, memory.as_mut_ptr(), &[2, 3, 4], &strides)
            };
            assert_eq!(view.is_ok(), ok, "{strides:?}");
        }
        assert!(TensorRef::from_slice(&cpu, &memory, &[usize::MAX, 2]).is_err());
    }
}
