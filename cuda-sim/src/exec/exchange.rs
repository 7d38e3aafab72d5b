//! Instructions that lanes of a warp execute together.

use super::thread::State;
use super::{Machine, WARP};
use crate::code::{Exchange, Instr, Step, WarpOp};
use crate::fault::{Fault, FaultKind};

/// The lanes of a mask.
fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..WARP).filter(move |lane| mask >> lane & 1 != 0)
}

fn divergent(message: String) -> Box<Fault> {
    Fault::new(FaultKind::DivergentWarp, message)
}

impl Machine<'_> {
    /// A thread waits for the lanes in `mask`; if all have come, they go on.
    pub(super) fn try_exchange(
        &mut self,
        thread: usize,
        mask: u32,
    ) -> Result<(), (Box<Fault>, usize)> {
        let (warp, lane) = (thread / WARP, thread % WARP);
        let first = warp * WARP;
        let present = self.warps[warp].present;
        if mask >> lane & 1 == 0 {
            let message = format!("lane {lane} is not in its own mask {mask:08x}");
            return Err((divergent(message), thread));
        }
        let members = mask & present;
        if lanes(members).any(|lane| self.threads[first + lane].state != State::Warp(mask)) {
            return Ok(());
        }
        let at = self.threads[thread].current();
        let instr = self.program.code[at as usize];
        let is_barrier =
            matches!(instr.step, Step::Warp(WarpOp { exchange: Exchange::Barrier, .. }));
        for lane in lanes(members) {
            let other = self.threads[first + lane].current();
            let place = self.program.places[other as usize];
            let other_step = self.program.code[other as usize].step;
            let same = if is_barrier {
                matches!(other_step, Step::Warp(WarpOp { exchange: Exchange::Barrier, .. }))
            } else {
                other == at
            };
            if !same {
                let line = place.line;
                let message = format!("lane {lane} is at another instruction, PTX line {line}");
                return Err((divergent(message), thread));
            }
        }
        match instr.step {
            Step::Warp(op) => self.exchange(op, instr, warp, members, mask)?,
            Step::Matrix(_) | Step::LoadMatrix(_) if present != u32::MAX => {
                let message = "matrix instruction in a warp of fewer than 32 threads".to_string();
                return Err((divergent(message), thread));
            }
            Step::Matrix(index) => self.multiply_matrices(warp, index),
            Step::LoadMatrix(index) => self.load_matrices(warp, index, at as usize)?,
            _ => unreachable!("only warp instructions wait for lanes"),
        }
        for lane in lanes(members) {
            self.make_ready(first + lane);
        }
        Ok(())
    }

    fn exchange(
        &mut self,
        op: WarpOp,
        instr: Instr,
        warp: usize,
        members: u32,
        mask: u32,
    ) -> Result<(), (Box<Fault>, usize)> {
        let (first, size) = (warp * WARP, self.program.registers);
        let file = |lane: usize| (first + lane) * size;
        if op.exchange == Exchange::Barrier {
            self.clocks.warp_barrier(warp, members, self.warps[warp].present);
            return Ok(());
        }
        let mut values = [0; WARP];
        for lane in lanes(members) {
            let value = self.registers[file(lane) + instr.a as usize];
            values[lane] = value & 0xFFFF_FFFF;
        }
        let mut results = [(0, true); WARP];
        for lane in lanes(members) {
            let operand = |register: u32| self.registers[file(lane) + register as usize] as u32;
            results[lane] = match op.exchange {
                Exchange::ShuffleUp
                | Exchange::ShuffleDown
                | Exchange::ShuffleXor
                | Exchange::ShuffleIndex => {
                    let (from, inside) =
                        shuffle_source(op.exchange, lane, operand(instr.b), operand(instr.c));
                    if inside && members >> from & 1 == 0 {
                        let message =
                            format!("shuffle reads lane {from}, which is not in mask {mask:08x}");
                        return Err((divergent(message), first + lane));
                    }
                    (if inside { values[from] } else { values[lane] }, inside)
                }
                _ => (combine(op, &values, members, lane), true),
            };
        }
        for lane in lanes(members) {
            let (value, predicate) = results[lane];
            self.registers[file(lane) + instr.d as usize] = value;
            self.registers[file(lane) + instr.d2 as usize] = u64::from(predicate);
        }
        Ok(())
    }
}

/// The lane that `lane` reads, and whether it lies within the segment; else it reads itself.
fn shuffle_source(exchange: Exchange, lane: usize, b: u32, c: u32) -> (usize, bool) {
    let lane = lane as u32;
    let (offset, clamp, segment) = (b & 31, c & 31, c >> 8 & 31);
    let most = lane & segment | clamp & !segment;
    let least = lane & segment;
    let (from, inside) = match exchange {
        Exchange::ShuffleUp => {
            let from = lane.wrapping_sub(offset);
            // For `up` the clamp value is the lowest lane.
            (from, from as i32 >= most as i32)
        }
        Exchange::ShuffleDown => (lane + offset, lane + offset <= most),
        Exchange::ShuffleXor => (lane ^ offset, lane ^ offset <= most),
        _ => {
            let from = least | offset & !segment;
            (from, from <= most)
        }
    };
    (if inside { from } else { lane } as usize, inside)
}

/// The result of a vote, match or reduction for one lane.
fn combine(op: WarpOp, values: &[u64; WARP], members: u32, lane: usize) -> u64 {
    let mask_of = |wanted: &dyn Fn(u64) -> bool| {
        lanes(members).filter(|&l| wanted(values[l])).fold(0, |mask, l| mask | 1u64 << l)
    };
    let yes = || mask_of(&|value| value != 0);
    let signed = |value: u64| i64::from(value as u32 as i32);
    let own = || lanes(members).map(|l| values[l]);
    let result = match op.exchange {
        Exchange::Ballot => yes(),
        Exchange::All => u64::from(yes() == u64::from(members)),
        Exchange::Any => u64::from(yes() != 0),
        Exchange::MatchAny => mask_of(&|value| value == values[lane]),
        Exchange::Min if op.signed => own().map(signed).min().unwrap_or(0) as u64,
        Exchange::Max if op.signed => own().map(signed).max().unwrap_or(0) as u64,
        Exchange::Min => own().min().unwrap_or(0),
        Exchange::Max => own().max().unwrap_or(0),
        _ => own().fold(0, u64::wrapping_add),
    };
    result & 0xFFFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffle_lanes() {
        use Exchange::{ShuffleDown, ShuffleIndex, ShuffleUp, ShuffleXor};
        // Whole warps: the clamp is 31, or 0 for `up`.
        assert_eq!(shuffle_source(ShuffleDown, 3, 16, 31), (19, true));
        assert_eq!(shuffle_source(ShuffleDown, 20, 16, 31), (20, false));
        assert_eq!(shuffle_source(ShuffleUp, 20, 16, 0), (4, true));
        assert_eq!(shuffle_source(ShuffleUp, 3, 16, 0), (3, false));
        assert_eq!(shuffle_source(ShuffleXor, 3, 16, 31), (19, true));
        assert_eq!(shuffle_source(ShuffleIndex, 3, 7, 31), (7, true));
        // Segments of 8: mask (32 - 8) << 8 | clamp.
        let c = 24 << 8 | 7;
        assert_eq!(shuffle_source(ShuffleDown, 13, 2, c), (15, true));
        assert_eq!(shuffle_source(ShuffleDown, 14, 2, c), (14, false));
        assert_eq!(shuffle_source(ShuffleIndex, 13, 2, c), (10, true));
        assert_eq!(shuffle_source(ShuffleIndex, 13, 10, c), (10, true));
        assert_eq!(shuffle_source(ShuffleUp, 9, 2, 24 << 8), (9, false));
        assert_eq!(shuffle_source(ShuffleUp, 10, 2, 24 << 8), (8, true));
        assert_eq!(shuffle_source(ShuffleXor, 13, 4, c), (9, true));
        assert_eq!(shuffle_source(ShuffleXor, 5, 8, c), (5, false));
        assert_eq!(shuffle_source(ShuffleXor, 13, 8, c), (5, true));
    }
}
