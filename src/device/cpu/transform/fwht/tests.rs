use super::super::Real;
use super::super::testing::{LAYOUTS, Strided, noise};
use super::{Isa, fwht};
use crate::Cpu;

const COLS: [usize; 9] = [0, 1, 2, 3, 7, 8, 9, 17, 33];

/// H x entry by entry: H_ij = (−1)^popcount(i & j).
fn naive(x: &[f64], i: usize) -> f64 {
    x.iter().enumerate().map(|(j, x)| if (i & j).count_ones() % 2 == 1 { -x } else { *x }).sum()
}

/// The bound of the rounding model, for `T` against exact numbers.
fn bound<T: Real>(x: &[f64]) -> f64 {
    let levels = x.len().ilog2() as f64;
    let reference = x.len() as f64 * f64::EPSILON;
    (levels * T::UNIT_ROUNDOFF * 1.01 + reference) * x.iter().map(|x| x.abs()).sum::<f64>()
}

fn agrees_with_the_matrix<T: Real>(max_log: u32) {
    let cpu = Cpu::with_threads(1).unwrap();
    for log in 0..=max_log {
        let n = 1 << log;
        for cols in COLS {
            if log > 9 && cols > 9 {
                continue;
            }
            let source = Strided::<T>::from_fn(0, n, cols, noise(log.into()));
            // All rows while that is cheap, some of a long column.
            let step = (n / 128).max(1) | 1;
            let exact: Vec<_> = (0..cols)
                .map(|j| {
                    let x = source.column(j);
                    let x = &x;
                    (0..n).step_by(step).map(|i| naive(x, i)).collect::<Vec<_>>()
                })
                .collect();
            for layout in 0..LAYOUTS {
                let mut first: Option<Strided<T>> = None;
                for isa in Isa::available() {
                    let mut a = Strided::<T>::from_fn(layout, n, cols, noise(log.into()));
                    let gaps = a.gaps();
                    fwht(&cpu, isa, a.view_mut(&cpu)).unwrap();
                    assert_eq!(a.gaps(), gaps, "a gap was written");
                    for (j, exact) in exact.iter().enumerate() {
                        let bound = bound::<T>(&source.column(j));
                        for (&want, i) in exact.iter().zip((0..n).step_by(step)) {
                            let error = (a.get(i, j) - want).abs();
                            assert!(error <= bound, "{isa:?} {layout} {n}×{cols} ({i}, {j})");
                        }
                    }
                    let first = first.get_or_insert_with(|| a.clone());
                    for j in 0..cols {
                        let bits =
                            |x: Vec<f64>| x.into_iter().map(f64::to_bits).collect::<Vec<_>>();
                        assert_eq!(
                            bits(a.column(j)),
                            bits(first.column(j)),
                            "{isa:?} {layout} {n}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn agrees_with_the_matrix_f32() {
    agrees_with_the_matrix::<f32>(13);
}

#[test]
fn agrees_with_the_matrix_f64() {
    agrees_with_the_matrix::<f64>(13);
}

/// Layouts, instruction sets and numbers of threads: one set of bits. H(Hx) = n x.
fn one_set_of_bits<T: Real>(n: usize, cols: usize) {
    let one = Cpu::with_threads(1).unwrap();
    let three = Cpu::with_threads(3).unwrap();
    let mut want = Strided::<T>::from_fn(0, n, cols, noise(5));
    let source = want.clone();
    fwht(&one, Isa::Portable, want.view_mut(&one)).unwrap();
    for layout in 0..LAYOUTS {
        for isa in Isa::available() {
            for cpu in [&one, &three] {
                let mut a = Strided::<T>::from_fn(layout, n, cols, noise(5));
                fwht(cpu, isa, a.view_mut(cpu)).unwrap();
                for j in 0..cols {
                    assert_eq!(a.column(j), want.column(j), "{isa:?} layout {layout}");
                }
                if isa == Isa::detect() {
                    fwht(cpu, isa, a.view_mut(cpu)).unwrap();
                    let bound = 2.0 * n as f64 * bound::<T>(&source.column(0));
                    for (x, y) in a.column(0).iter().zip(source.column(0)) {
                        assert!((x - n as f64 * y).abs() <= bound);
                    }
                }
            }
        }
    }
}

#[test]
fn layouts_sets_and_threads_agree() {
    one_set_of_bits::<f32>(1 << 13, 70);
    one_set_of_bits::<f64>(1 << 12, 70);
    one_set_of_bits::<f64>(1 << 17, 3);
    one_set_of_bits::<f32>(1 << 18, 1);
    one_set_of_bits::<f32>(8, 5000);
    // Rows of whole cache lines, that need not start at one.
    one_set_of_bits::<f32>(1 << 9, 592);
    one_set_of_bits::<f64>(1 << 10, 40);
}
