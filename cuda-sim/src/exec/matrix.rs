//! `mma.sync` and `ldmatrix`.
//!
//! Fragments follow the PTX manual. With `g` = lane / 4 and `q` = lane mod 4, a lane holds of A the rows
//! `g` and `g + 8`, of B the column `g`, of C and D the rows `g`, `g + 8` and the columns `2q`, `2q + 1`.
//! Products are exact and are summed in double precision; hardware truncates differently between
//! generations, so tests on a device need a tolerance.

use super::view::{Request, View};
use super::{Machine, WARP};
use crate::arith::{convert, soft};
use crate::code::{LoadMatrix, Space};
use crate::fault::Fault;
use crate::memory::Access;

/// The elements of A, B and C, by row and column.
struct Tiles {
    a: [[f64; 16]; 16],
    b: [[f64; 8]; 16],
    c: [[f64; 8]; 16],
}

/// Row and column in A of element `e` of register `n` in a lane.
fn place_in_a(lane: usize, n: usize, e: usize) -> (usize, usize) {
    let (g, q) = (lane / 4, lane % 4);
    (g + 8 * (n % 2), 2 * q + e + 8 * (n / 2))
}

/// Row and column in B.
fn place_in_b(lane: usize, n: usize, e: usize) -> (usize, usize) {
    let (g, q) = (lane / 4, lane % 4);
    (2 * q + e + 8 * n, g)
}

/// Row and column in C and D of register `n`.
fn place_in_c(lane: usize, n: usize) -> (usize, usize) {
    let (g, q) = (lane / 4, lane % 4);
    (g + 8 * (n / 2), 2 * q + n % 2)
}

impl Machine<'_> {
    fn file(&self, warp: usize, lane: usize) -> usize {
        (warp * WARP + lane) * self.program.registers
    }

    /// D = A·B + C for one warp.
    pub(super) fn multiply_matrices(&mut self, warp: usize, index: u32) {
        let m = &self.program.matrices[index as usize];
        let value = |register: u64, e: usize| soft::value(m.format, register >> (16 * e) & 0xFFFF);
        let mut tiles = Tiles { a: [[0.0; 16]; 16], b: [[0.0; 8]; 16], c: [[0.0; 8]; 16] };
        for lane in 0..WARP {
            let file = &self.registers[self.file(warp, lane)..];
            for e in 0..2 {
                for (n, &register) in m.a.iter().enumerate() {
                    let (row, column) = place_in_a(lane, n, e);
                    tiles.a[row][column] = value(file[register as usize], e);
                }
                for (n, &register) in m.b.iter().enumerate() {
                    let (row, column) = place_in_b(lane, n, e);
                    tiles.b[row][column] = value(file[register as usize], e);
                }
            }
            for (n, &register) in m.c.iter().enumerate() {
                let (row, column) = place_in_c(lane, n);
                tiles.c[row][column] = f32::from_bits(file[register as usize] as u32).into();
            }
        }
        for lane in 0..WARP {
            let file = self.file(warp, lane);
            for (n, &register) in m.d.iter().enumerate() {
                let (row, column) = place_in_c(lane, n);
                let products = (0..16).map(|k| tiles.a[row][k] * tiles.b[k][column]);
                let sum = products.fold(tiles.c[row][column], |sum, product| sum + product);
                let sum = sum.to_bits();
                self.registers[file + register as usize] = convert::f32_from_f64(sum, 0, 0, 0);
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
