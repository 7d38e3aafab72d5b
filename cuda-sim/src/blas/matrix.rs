//! Matrices and vectors in device memory.

use super::call::Failure;
use super::scalar::Scalar;
use crate::memory::Footprint;
use crate::simulator::{MemoryError, Simulator};

/// A column-major matrix in device memory.
#[derive(Clone, Copy, Debug)]
pub struct DeviceMatrix {
    pub name: &'static str,
    pub address: u64,
    pub scalar: Scalar,
    pub rows: usize,
    pub columns: usize,
    /// Elements from one column to the next.
    pub stride: usize,
}

/// Which part of a matrix an operation touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    All,
    Lower,
    Upper,
    /// Lower without the diagonal.
    Below,
    /// Upper without the diagonal.
    Above,
}

impl Part {
    /// The triangle without its diagonal.
    pub fn strict(self) -> Self {
        match self {
            Self::Lower => Self::Below,
            Self::Upper => Self::Above,
            other => other,
        }
    }

    /// The rows of a column.
    fn rows(self, column: usize, rows: usize) -> std::ops::Range<usize> {
        match self {
            Self::All => 0..rows,
            Self::Lower => column.min(rows)..rows,
            Self::Upper => 0..(column + 1).min(rows),
            Self::Below => (column + 1).min(rows)..rows,
            Self::Above => 0..column.min(rows),
        }
    }
}

/// A column-major matrix on the host, without gaps.
#[derive(Clone, Debug)]
pub struct HostMatrix {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f64>,
}

impl HostMatrix {
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    pub fn column(&self, column: usize) -> &[f64] {
        &self.values[column * self.rows..(column + 1) * self.rows]
    }

    pub fn column_mut(&mut self, column: usize) -> &mut [f64] {
        &mut self.values[column * self.rows..(column + 1) * self.rows]
    }

    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.values[column * self.rows + row]
    }

    pub fn transposed(&self) -> Self {
        let mut result = Self::zeros(self.columns, self.rows);
        for row in 0..self.rows {
            for (column, value) in result.column_mut(row).iter_mut().enumerate() {
                *value = self.at(row, column);
            }
        }
        result
    }
}

impl DeviceMatrix {
    /// The bytes of a part, counted from `address`. Triangles are of square matrices.
    pub fn footprint(&self, part: Part) -> Footprint {
        let size = self.scalar.bytes();
        let (step, rows, count) = (self.stride * size, self.rows * size, self.columns);
        let lower = |start, run: usize, count| Footprint {
            start,
            run,
            growth: -(size as isize),
            stride: step + size,
            count,
        };
        let upper = |start, count| Footprint {
            start,
            run: size,
            growth: size as isize,
            stride: step,
            count,
        };
        match part {
            Part::All => Footprint { start: 0, run: rows, growth: 0, stride: step, count },
            Part::Lower => lower(0, rows, count),
            Part::Upper => upper(0, count),
            Part::Below => lower(size, rows.saturating_sub(size), count.saturating_sub(1)),
            Part::Above => upper(step, count.saturating_sub(1)),
        }
    }

    /// Fails if writing a part of this matrix changes what is read of another.
    pub fn must_not_meet(&self, part: Part, other: &Self, read: Part) -> Result<(), Failure> {
        let absolute = |matrix: &Self, part| {
            let footprint = matrix.footprint(part);
            Footprint { start: matrix.address as usize + footprint.start, ..footprint }
        };
        if !self.is_empty()
            && !other.is_empty()
            && absolute(self, part).meets(absolute(other, read))
        {
            return Err(Failure::new(format!("writes {} onto {}", self.name, other.name)));
        }
        Ok(())
    }

    /// Whether both names are of the same elements.
    pub fn is(&self, other: &Self) -> bool {
        self.address == other.address && self.stride == other.stride
    }

    /// Tells the order of operations that a part is read or written.
    fn claim(&self, sim: &mut Simulator, part: Part, writes: bool) -> Result<(), Failure> {
        let claimed = sim.claim(self.address, self.footprint(part), writes, "cuBLAS call");
        claimed.map_err(|error| match error {
            MemoryError::Unordered(how) => Failure::new(format!(
                "{} {}, {how}",
                if writes { "writes" } else { "reads" },
                self.name
            )),
            _ => Failure::new(format!("{} leaves its buffer", self.name)),
        })
    }

    /// Bytes of the columns `0..columns`, from `address` on.
    fn span(&self) -> usize {
        let elements = (self.columns - 1) * self.stride + self.rows;
        elements * self.scalar.bytes()
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 || self.columns == 0
    }

    /// Reads a part; elements outside of it are zero.
    pub fn read(&self, sim: &mut Simulator, part: Part) -> Result<HostMatrix, Failure> {
        let mut result = HostMatrix::zeros(self.rows, self.columns);
        if self.is_empty() {
            return Ok(result);
        }
        let size = self.scalar.bytes();
        self.locate(sim)?;
        self.claim(sim, part, false)?;
        let (region, offset) = self.locate(sim)?;
        for column in 0..self.columns {
            let rows = part.rows(column, self.rows);
            let start = offset + (column * self.stride + rows.start) * size;
            let length = rows.len() * size;
            if let Some(missing) = region.initialised.first_missing(start, length) {
                let row = rows.start + (missing - start) / size;
                return Err(Failure::new(format!(
                    "reads {}[{row}, {column}], which nothing wrote",
                    self.name
                )));
            }
            let source = region.bytes[start..start + length].chunks_exact(size);
            for (value, bytes) in result.column_mut(column)[rows].iter_mut().zip(source) {
                *value = self.scalar.decode(bytes);
            }
        }
        Ok(result)
    }

    /// Writes a part.
    pub fn write(
        &self,
        sim: &mut Simulator,
        part: Part,
        values: &HostMatrix,
    ) -> Result<(), Failure> {
        if self.is_empty() {
            return Ok(());
        }
        let size = self.scalar.bytes();
        self.locate(sim)?;
        self.claim(sim, part, true)?;
        let (region, offset) = self.locate(sim)?;
        for column in 0..self.columns {
            let rows = part.rows(column, self.rows);
            let start = offset + (column * self.stride + rows.start) * size;
            let length = rows.len() * size;
            let target = region.bytes[start..start + length].chunks_exact_mut(size);
            for (value, bytes) in values.column(column)[rows].iter().zip(target) {
                self.scalar.encode(*value, bytes);
            }
            region.initialised.set(start, length);
        }
        Ok(())
    }

    fn locate<'s>(
        &self,
        sim: &'s mut Simulator,
    ) -> Result<(&'s mut crate::memory::Region, usize), Failure> {
        let span = self.span();
        if !self.address.is_multiple_of(self.scalar.bytes() as u64) {
            return Err(Failure::new(format!("{} is misaligned: {:#x}", self.name, self.address)));
        }
        if sim.memory.find(self.address, span).is_none() {
            let near = sim.memory.describe(self.address);
            return Err(Failure::new(format!(
                "{} of {} x {}, {span} bytes from {:#x}, leaves its buffer: {near}",
                self.name, self.rows, self.columns, self.address
            )));
        }
        sim.memory.locate(self.address, span).ok_or_else(|| Failure::new("no buffer".to_string()))
    }
}
