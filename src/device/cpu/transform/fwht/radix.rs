//! Butterfly passes over vector registers, written once for every vector type.
//!
//! A pass of radix R = 2^k loads R vectors that lie `h` entries apart, does the levels
//! h, 2h, …, (R/2)h in registers, and stores: one load and one store pay for k levels. The first
//! pass over a column does the levels inside a vector as well. Levels always run in the order
//! 1, 2, 4, …, so every entry is the same tree of sums whatever the radix and the vector length.

use super::LEAF_BYTES;

/// A vector register of `T`s.
pub(in super::super) trait Lanes<T>: Copy {
    /// Entries in a register.
    const LANES: usize;
    /// The largest radix whose vectors fit into the register file.
    const RADIX: usize;

    /// # Safety
    /// `LANES` entries from `at` on are readable; the CPU has the instructions of the type.
    unsafe fn load(at: *const T) -> Self;

    /// # Safety
    /// `LANES` entries from `at` on are writable; the CPU has the instructions of the type.
    unsafe fn store(self, at: *mut T);

    /// # Safety
    /// The CPU has the instructions of the type.
    unsafe fn add(self, other: Self) -> Self;

    /// # Safety
    /// The CPU has the instructions of the type.
    unsafe fn sub(self, other: Self) -> Self;

    /// The level `h < LANES` inside the register: entry i becomes x_i + x_{i+h}, or x_{i−h} − x_i
    /// where bit `h` of i is set.
    ///
    /// # Safety
    /// The CPU has the instructions of the type.
    unsafe fn within(self, h: usize) -> Self;
}

/// The levels from `from` up of a block that fits into the first-level cache.
///
/// # Safety
/// `len` entries from `x` on are writable, both powers of two with `len ≥ LANES`; the CPU has the
/// instructions of `L`.
#[inline(always)]
pub(super) unsafe fn leaf<T, L: Lanes<T>>(x: *mut T, len: usize, from: usize) {
    debug_assert!(len >= L::LANES && len * size_of::<T>() <= LEAF_BYTES);
    // SAFETY: the caller's promise is that of every pass.
    unsafe {
        let mut h = from;
        if from < L::LANES {
            h = L::LANES;
            if from == 1 && L::RADIX == 16 && len >= 16 * h {
                first::<T, L, 1, 16>(x, len);
                h *= 16;
            } else if from == 1 && len >= 8 * h {
                first::<T, L, 1, 8>(x, len);
                h *= 8;
            } else {
                match from {
                    1 => first::<T, L, 1, 1>(x, len),
                    2 => first::<T, L, 2, 1>(x, len),
                    4 => first::<T, L, 4, 1>(x, len),
                    _ => first::<T, L, 8, 1>(x, len),
                }
            }
        }
        while h < len {
            let radix = L::RADIX.min(len / h);
            let mut block = 0;
            while block < len {
                pass::<T, L>(x.add(block), h, radix, h);
                block += radix * h;
            }
            h *= radix;
        }
    }
}

/// The levels h, 2h, …, (radix/2)·h of `radix` pieces of `width` entries, `h` entries apart.
///
/// # Safety
/// The pieces from `x` on are writable, `width ≤ h` a multiple of `LANES`, `radix` one of 2, 4, 8,
/// 16; the CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn pass<T, L: Lanes<T>>(x: *mut T, h: usize, radix: usize, width: usize) {
    // SAFETY: the caller's promise is that of the pass of this radix.
    unsafe {
        match radix {
            2 => strided::<T, L, 2>(x, h, width),
            4 => strided::<T, L, 4>(x, h, width),
            8 => strided::<T, L, 8>(x, h, width),
            _ => strided::<T, L, 16>(x, h, width),
        }
    }
}

/// The levels FROM, …, LANES/2 inside vectors, then those of R neighbouring vectors.
#[inline(always)]
unsafe fn first<T, L: Lanes<T>, const FROM: usize, const R: usize>(x: *mut T, len: usize) {
    let mut block = 0;
    while block < len {
        // SAFETY: the caller's len entries are whole blocks of R vectors.
        unsafe {
            let mut v = gather::<T, L, R>(x.add(block), L::LANES);
            if FROM <= 1 && L::LANES > 1 {
                within::<T, L, R, 1>(&mut v);
            }
            if FROM <= 2 && L::LANES > 2 {
                within::<T, L, R, 2>(&mut v);
            }
            if FROM <= 4 && L::LANES > 4 {
                within::<T, L, R, 4>(&mut v);
            }
            if FROM <= 8 && L::LANES > 8 {
                within::<T, L, R, 8>(&mut v);
            }
            butterflies(&mut v);
            for i in 0..R {
                v[i].store(x.add(block + i * L::LANES));
            }
        }
        block += R * L::LANES;
    }
}

/// The levels of R vectors that lie `h` entries apart, for every vector of the first `width` entries.
#[inline(always)]
unsafe fn strided<T, L: Lanes<T>, const R: usize>(x: *mut T, h: usize, width: usize) {
    let mut j = 0;
    while j < width {
        // SAFETY: the caller's pieces hold R vectors from each j < width on.
        unsafe {
            let mut v = gather::<T, L, R>(x.add(j), h);
            butterflies(&mut v);
            for i in 0..R {
                v[i].store(x.add(j + i * h));
            }
        }
        j += L::LANES;
    }
}

/// R vectors `h` entries apart. (Plain loops here and below: a closure would not be compiled for
/// the instruction set.)
#[inline(always)]
unsafe fn gather<T, L: Lanes<T>, const R: usize>(x: *const T, h: usize) -> [L; R] {
    // SAFETY: the caller promises R vectors and the CPU.
    unsafe {
        let mut v = [L::load(x); R];
        for i in 1..R {
            v[i] = L::load(x.add(i * h));
        }
        v
    }
}

/// The level H inside of each vector.
#[inline(always)]
unsafe fn within<T, L: Lanes<T>, const R: usize, const H: usize>(v: &mut [L; R]) {
    for v in v {
        // SAFETY: the caller's CPU has the instructions.
        *v = unsafe { v.within(H) };
    }
}

/// The Walsh-Hadamard transform across R registers.
#[inline(always)]
unsafe fn butterflies<T, L: Lanes<T>, const R: usize>(v: &mut [L; R]) {
    // SAFETY: the caller's CPU has the instructions.
    unsafe {
        if R > 1 {
            level::<T, L, R, 1>(v);
        }
        if R > 2 {
            level::<T, L, R, 2>(v);
        }
        if R > 4 {
            level::<T, L, R, 4>(v);
        }
        if R > 8 {
            level::<T, L, R, 8>(v);
        }
    }
}

#[inline(always)]
unsafe fn level<T, L: Lanes<T>, const R: usize, const H: usize>(v: &mut [L; R]) {
    for pair in 0..R / 2 {
        let low = pair / H * 2 * H + pair % H;
        let (a, b) = (v[low], v[low + H]);
        // SAFETY: the caller's CPU has the instructions.
        unsafe {
            v[low] = a.add(b);
            v[low + H] = a.sub(b);
        }
    }
}
