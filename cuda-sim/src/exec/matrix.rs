//! `mma.sync` and `ldmatrix`.
//!
//! Fragments follow the PTX manual. With `g` = lane / 4 and `q` = lane mod 4, a lane holds of A the rows
//! `g` and `g + 8`, of B the column `g`, of C and D the rows `g`, `g + 8` and the columns `2q`, `2q + 1`.
//! Products are exact and are summed in double precision; hardware truncates differently between
//! generations, so tests on a device need a tolerance.

use super::view::{Request, View};
use super::{Machine, WARP};
use crate::arith::compare::small_float;
use crate::arith::soft::{Format, Rounding, convert};
use crate::code::{Element, LoadMatrix, Matrix, Space};
use crate::fault::Fault;
use crate::memory::Access;
use crate::ptx::Type;

/// The elements of A, B and C (or D), by row and column.
struct Tiles {
    a: [[f64; 16]; 16],
    b: [[f64; 8]; 16],
    c: [[f64; 8]; 16],
}

/// Row and column in A of element `e` of register `n` in a lane.
fn place_in_a(element: Element, lane: usize, n: usize, e: usize) -> (usize, usize) {
    let (g, q) = (lane / 4, lane % 4);
    match element {
        Element::F64 => (g, q),
        Element::TF32 => (g + 8 * (n % 2), q + 4 * (n / 2)),
        _ => (g + 8 * (n % 2), 2 * q + e + 8 * (n / 2)),
    }
}

/// Row and column in B.
fn place_in_b(element: Element, lane: usize, n: usize, e: usize) -> (usize, usize) {
    let (g, q) = (lane / 4, lane % 4);
    match element {
        Element::F64 => (q, g),
        Element::TF32 => (q + 4 * n, g),
        _ => (2 * q + e + 8 * n, g),
    }
}

/// Row and column in C and D.
fn place_in_c(m: &Matrix, lane: usize, n: usize, e: usize) -> (usize, usize) {
    let (g, q) = (lane / 4, lane % 4);
    if m.half_accumulator { (g + 8 * n, 2 * q + e) } else { (g + 8 * (n / 2), 2 * q + n % 2) }
}

/// How many elements a register of A or B holds.
fn per_register(element: Element) -> usize {
    match element {
        Element::F16 | Element::BF16 => 2,
        Element::TF32 | Element::F64 => 1,
    }
}

fn value(element: Element, register: u64, e: usize) -> f64 {
    let half = register >> (16 * e);
    match element {
        Element::F16 => small_float(Type::F16, half),
        Element::BF16 => small_float(Type::BF16, half),
        // The low 13 bits are ignored.
        Element::TF32 => f32::from_bits(register as u32 & 0xFFFF_E000).into(),
        Element::F64 => f64::from_bits(register),
    }
}

impl Machine<'_> {
    fn file(&self, warp: usize, lane: usize) -> usize {
        (warp * WARP + lane) * self.program.registers
    }

    /// D = A·B + C for one warp.
    pub(super) fn multiply_matrices(&mut self, warp: usize, index: u32) {
        let m = &self.program.matrices[index as usize];
        let mut tiles = Tiles { a: [[0.0; 16]; 16], b: [[0.0; 8]; 16], c: [[0.0; 8]; 16] };
        for lane in 0..WARP {
            let file = &self.registers[self.file(warp, lane)..];
            for e in 0..per_register(m.element) {
                for (n, &register) in m.a.iter().enumerate() {
                    let (row, column) = place_in_a(m.element, lane, n, e);
                    tiles.a[row][column] = value(m.element, file[register as usize], e);
                }
                for (n, &register) in m.b.iter().enumerate() {
                    let (row, column) = place_in_b(m.element, lane, n, e);
                    tiles.b[row][column] = value(m.element, file[register as usize], e);
                }
            }
            for (n, &register) in m.c.iter().enumerate() {
                for e in 0..accumulators(m) {
                    let (row, column) = place_in_c(m, lane, n, e);
                    tiles.c[row][column] = accumulator(m, file[register as usize], e);
                }
            }
        }
        for lane in 0..WARP {
            let file = self.file(warp, lane);
            for (n, &register) in m.d.iter().enumerate() {
                let bits = (0..accumulators(m)).fold(0, |bits, e| {
                    let (row, column) = place_in_c(m, lane, n, e);
                    bits | rounded(m, dot(m, &tiles, row, column)) << (16 * e)
                });
                self.registers[file + register as usize] = bits;
            }
        }
    }

    /// Loads 8×8 matrices of 16-bit elements; lanes 8i to 8i+7 give the addresses of the rows of the
    /// i-th.
    pub(super) fn load_matrices(
        &mut self,
        warp: usize,
        index: u32,
        site: usize,
    ) -> Result<(), (Box<Fault>, usize)> {
        let load = &self.program.matrix_loads[index as usize];
        let mut rows = [0u128; WARP];
        for (lane, row) in rows.iter_mut().enumerate().take(8 * load.d.len()) {
            let thread = warp * WARP + lane;
            *row = self.matrix_row(thread, load, site).map_err(|fault| (fault, thread))?;
        }
        let entry = |matrix: usize, row: usize, column: usize| {
            (rows[8 * matrix + row] >> (16 * column)) as u64 & 0xFFFF
        };
        for lane in 0..WARP {
            let file = self.file(warp, lane);
            let (g, q) = (lane / 4, 2 * (lane % 4));
            for (matrix, &register) in load.d.iter().enumerate() {
                let (low, high) = if load.transposed {
                    (entry(matrix, q, g), entry(matrix, q + 1, g))
                } else {
                    (entry(matrix, g, q), entry(matrix, g, q + 1))
                };
                self.registers[file + register as usize] = low | high << 16;
            }
        }
        Ok(())
    }

    /// The 16 bytes of a row of a matrix, read by one thread.
    fn matrix_row(
        &mut self,
        thread: usize,
        load: &LoadMatrix,
        site: usize,
    ) -> Result<u128, Box<Fault>> {
        let register = self.registers[thread * self.program.registers + load.address as usize];
        let address = u64::from(register.wrapping_add(load.offset as u64) as u32);
        let log = self.trace.as_mut().map(|trace| trace.lane(thread / WARP, thread % WARP));
        let mut view = View {
            memory: self.memory,
            shared: &mut self.shared,
            clocks: self.clocks,
            params: self.params,
            sites: &mut self.sites,
            thread: thread as u32,
            log,
        };
        let (space, access) = (Space::Shared, Access::Read);
        let request = Request { space, address, bytes: 16, access, site };
        let place = view.place(&mut self.threads[thread].local, request)?;
        Ok(place.region.load(place.offset, 16))
    }
}

/// How many elements a register of C or D holds.
fn accumulators(m: &Matrix) -> usize {
    if m.half_accumulator { 2 } else { 1 }
}

fn accumulator(m: &Matrix, register: u64, e: usize) -> f64 {
    match m.element {
        _ if m.half_accumulator => small_float(Type::F16, register >> (16 * e)),
        Element::F64 => f64::from_bits(register),
        _ => f32::from_bits(register as u32).into(),
    }
}

fn dot(m: &Matrix, tiles: &Tiles, row: usize, column: usize) -> f64 {
    let products = (0..m.k).map(|k| (tiles.a[row][k], tiles.b[k][column]));
    match m.element {
        Element::F64 => products.fold(tiles.c[row][column], |sum, (a, b)| a.mul_add(b, sum)),
        _ => products.fold(tiles.c[row][column], |sum, (a, b)| sum + a * b),
    }
}

fn rounded(m: &Matrix, sum: f64) -> u64 {
    let to = match m.element {
        _ if m.half_accumulator => Format::F16,
        Element::F64 => return sum.to_bits(),
        _ => Format::F32,
    };
    convert(to, Rounding::Nearest, Format::F64, sum.to_bits())
}
