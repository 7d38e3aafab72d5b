//! NumPy's `.npy`: two-dimensional arrays of f32 or f64, either byte order, C or Fortran order.

use super::{Entries, Matrix, Order, checked_len};

pub fn parse(name: &str, bytes: &[u8]) -> Result<Matrix, String> {
    let mut rest = bytes;
    let header = npyz::NpyHeader::from_reader(&mut rest)
        .map_err(|error| format!("NumPy file with a broken or cut-off header: {error}"))?;
    let &[rows, cols] = header.shape() else {
        let (shape, dimensions) = (header.shape(), header.shape().len());
        return Err(format!(
            "NumPy array of shape {shape:?}: has {dimensions} dimension(s), 2 are needed"
        ));
    };
    let (Ok(rows), Ok(cols)) = (usize::try_from(rows), usize::try_from(cols)) else {
        return Err(format!("NumPy array of shape {rows}×{cols}: too large for this machine"));
    };
    let descr = header.dtype().descr();
    let descr = descr.trim_matches('\'');
    let size = match descr {
        "<f4" | ">f4" => 4,
        "<f8" | ">f8" => 8,
        _ => return Err(format!("NumPy array of dtype {descr}: f4 and f8 can be read")),
    };
    checked_len(rows, cols, size, rest.len())
        .map_err(|found| format!("NumPy file cut off or empty: {found} of data"))?;
    let order = match header.order() {
        npyz::Order::C => Order::RowMajor,
        npyz::Order::Fortran => Order::ColumnMajor,
    };
    let file = npyz::NpyFile::with_header(header, rest);
    let entries = match size {
        4 => file.into_vec().map(Entries::F32),
        _ => file.into_vec().map(Entries::F64),
    };
    let entries = entries.map_err(|error| format!("NumPy file: {error}"))?;
    Ok(Matrix { name: name.into(), rows, cols, order, entries, channels: None })
}
