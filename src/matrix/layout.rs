//! The arithmetic of shapes and strides, checked.

use crate::{Device, Element, Error, Result};

/// The entries of a strided matrix lie between these offsets from its first entry, both included;
/// `None` when it has no entries, an error when an offset does not fit.
pub(super) fn extent(
    op: &'static str,
    (rows, cols): (usize, usize),
    (row_stride, col_stride): (isize, isize),
) -> Result<Option<(isize, isize)>> {
    if rows == 0 || cols == 0 {
        return Ok(None);
    }
    let overflow = || Error::invalid(op, "shape", format!("{rows}×{cols}"), "fits in memory");
    let reach = |len: usize, stride: isize| {
        isize::try_from(len - 1).ok().and_then(|last| last.checked_mul(stride)).ok_or_else(overflow)
    };
    let (down, right) = (reach(rows, row_stride)?, reach(cols, col_stride)?);
    let low = down.min(0).checked_add(right.min(0)).ok_or_else(overflow)?;
    let high = down.max(0).checked_add(right.max(0)).ok_or_else(overflow)?;
    Ok(Some((low, high)))
}

/// Memory that someone else owns is somewhere, aligned, and within reach of the device, unless nothing
/// of it is used.
pub(super) fn check_pointer<E, D: Device>(
    op: &'static str,
    argument: &'static str,
    device: &D,
    ptr: *const E,
    is_used: bool,
) -> Result<()> {
    if !is_used {
        return Ok(());
    }
    if !ptr.is_null() && ptr.is_aligned() {
        return device.check_memory(op, argument, ptr.cast());
    }
    let value = if ptr.is_null() { "null".into() } else { format!("{ptr:p}") };
    let allowed = format!("an address that is a multiple of {} bytes", align_of::<E>());
    Err(Error::invalid(op, argument, value, allowed))
}

/// The entries of a strided matrix that starts at `offset` must lie within `len` elements.
pub(super) fn check_within(
    op: &'static str,
    len: usize,
    offset: usize,
    shape: (usize, usize),
    strides: (isize, isize),
) -> Result<()> {
    let Some((low, high)) = extent(op, shape, strides)? else { return Ok(()) };
    let fits = offset.checked_add_signed(low).is_some()
        && offset.checked_add_signed(high).is_some_and(|last| last < len);
    if fits {
        Ok(())
    } else {
        Err(Error::invalid(
            op,
            "slice.len()",
            len,
            format!(
                "holds a {}×{} matrix at offset {offset} with strides ({}, {})",
                shape.0, shape.1, strides.0, strides.1
            ),
        ))
    }
}

/// Two different positions of a strided matrix must not be the same memory.
pub(super) fn check_distinct(
    op: &'static str,
    (rows, cols): (usize, usize),
    (row_stride, col_stride): (isize, isize),
) -> Result<()> {
    let (row_step, col_step) = (row_stride.unsigned_abs(), col_stride.unsigned_abs());
    let overlaps = if rows == 0 || cols == 0 {
        false
    } else if row_step == 0 || col_step == 0 {
        (row_step == 0 && rows > 1) || (col_step == 0 && cols > 1)
    } else {
        // i·row_step = j·col_step has its smallest solution at i = col_step/g, j = row_step/g.
        let g = gcd(row_step, col_step);
        col_step / g < rows && row_step / g < cols
    };
    if overlaps {
        Err(Error::invalid(
            op,
            "strides",
            format!("({row_stride}, {col_stride})"),
            format!("a writable {rows}×{cols} matrix needs strides that address distinct entries"),
        ))
    } else {
        Ok(())
    }
}

/// `rows · cols`, or an error when the product overflows.
pub(super) fn checked_len(op: &'static str, rows: usize, cols: usize) -> Result<usize> {
    rows.checked_mul(cols)
        .ok_or_else(|| Error::invalid(op, "shape", format!("{rows}×{cols}"), "rows·cols < 2^64"))
}

/// A leading dimension for `rows` entries a column: a multiple of a cache line that is not a
/// multiple of a page, so that equal rows of neighbouring columns fall into different cache sets.
pub(super) fn padded_ld<E: Element>(rows: usize) -> usize {
    const LINE: usize = 64;
    const PAGE: usize = 4096;
    let line = LINE / size_of::<E>();
    // A matrix of few rows gains nothing from aligned columns and would pay in memory.
    if rows < 4 * line {
        return rows.max(1);
    }
    let ld = rows.div_ceil(line).saturating_mul(line);
    if ld.saturating_mul(size_of::<E>()).is_multiple_of(PAGE) { ld + line } else { ld }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_strides_agree_with_an_enumeration() {
        for rows in 0..5usize {
            for cols in 0..5usize {
                for rs in -6..7isize {
                    for cs in -6..7isize {
                        let mut seen = std::collections::HashSet::new();
                        let distinct = (0..rows as isize)
                            .all(|i| (0..cols as isize).all(|j| seen.insert(i * rs + j * cs)));
                        let ok = check_distinct("test", (rows, cols), (rs, cs)).is_ok();
                        assert_eq!(ok, distinct, "{rows}×{cols} ({rs}, {cs})");
                    }
                }
            }
        }
    }

    #[test]
    fn products_that_overflow_are_refused() {
        assert!(extent("test", (usize::MAX, 2), (isize::MAX, 1)).is_err());
        assert!(checked_len("test", usize::MAX, 2).is_err());
        assert!(check_within("test", 10, 0, (3, 4), (1, 3)).is_err());
        assert!(check_within("test", 12, 0, (3, 4), (1, 3)).is_ok());
        assert!(check_within("test", 12, 11, (3, 4), (-1, -3)).is_ok());
        assert!(check_within("test", 12, 10, (3, 4), (-1, -3)).is_err());
    }
}
