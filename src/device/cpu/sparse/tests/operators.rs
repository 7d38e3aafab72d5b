//! SparseSign, SparseStack and CountSketch.

use super::*;

const COLUMNS: [usize; 10] = [0, 1, 2, 7, 8, 9, 31, 32, 33, 65];
const ALPHA_BETA: [(f64, f64); 7] =
    [(1.0, 0.0), (-1.5, 1.0), (0.0, 2.0), (0.0, 0.0), (0.0, 1.0), (0.75, -3.0), (1.0, 1.0)];

fn families(d: usize, m: usize, zeta: usize) -> [Sketch; 3] {
    [
        Sketch::sparse_sign(d, m, zeta, 7).unwrap(),
        Sketch::sparse_stack(d, m, zeta, 7).unwrap(),
        Sketch::count_sketch(d, m, 7).unwrap(),
    ]
}

/// op(S) with its scale, from the words of its columns.
fn explicit(s: &Sketch, op: Op) -> Triplets {
    let (rows, words) = (s.row_range(), indices(&Cpu::new(), s).unwrap());
    let mut triplets = Triplets::new();
    for (k, word) in words.iter().enumerate() {
        let (i, j) = ((word >> 1) as usize, k / s.nnz());
        assert!(i < s.full_shape().0);
        if rows.contains(&i) {
            let value = if word & 1 == 1 { -s.scale() } else { s.scale() };
            let i = i - rows.start;
            triplets.push(if op == Op::NoTrans { (i, j, value) } else { (j, i, value) });
        }
    }
    triplets
}

struct Case {
    s: Sketch,
    op: Op,
    n: usize,
    layouts: (Layout, Layout),
    alpha: f64,
    beta: f64,
}

fn check<T: SparseScalar>(cpu: &Cpu, case: &Case, numbers: &mut Numbers) {
    let Case { s, op, n, layouts, alpha, beta } = *case;
    let what = format!("{s:?} {op:?} n={n} {layouts:?} α={alpha} β={beta} {}", T::NAME);
    let (d, m) = s.shape();
    let (a_rows, c_rows) = if op == Op::NoTrans { (m, d) } else { (d, m) };
    let mut a = Strided::<T>::random(layouts.0, (a_rows, n), numbers);
    if alpha == 0.0 {
        a.fill(|_, _| f64::NAN);
    }
    let mut before = Strided::<T>::new(layouts.1, (c_rows, n));
    if beta != 0.0 {
        before.fill(|_, _| numbers.next());
    }
    let mut c = before.clone();
    let words = indices(cpu, &s).unwrap();
    let (alpha_t, beta_t) = (T::from_f64(alpha), T::from_f64(beta));
    let (a_view, c_view) = (a.view(cpu), c.view_mut(cpu));
    sparse_times(cpu, &s, &words, op, alpha_t, a_view, beta_t, c_view).unwrap();
    assert_product(&what, &explicit(&s, op), alpha, &a, beta, &before, &c);
}

fn check_both(cpu: &Cpu, case: &Case, numbers: &mut Numbers) {
    check::<f64>(cpu, case, numbers);
    check::<f32>(cpu, case, numbers);
}

#[test]
fn every_family_op_layout_and_width() {
    let (cpu, mut numbers) = (Cpu::with_threads(1).unwrap(), Numbers(1));
    let mut turn = 0;
    for zeta in [1, 2, 8, 19] {
        for s in families(19, 37, zeta) {
            for op in [Op::NoTrans, Op::Trans] {
                for n in COLUMNS {
                    for layout in LAYOUTS {
                        turn += 1;
                        let (alpha, beta) = ALPHA_BETA[turn % ALPHA_BETA.len()];
                        let layouts = (layout, LAYOUTS[turn * 3 % LAYOUTS.len()]);
                        check_both(&cpu, &Case { s, op, n, layouts, alpha, beta }, &mut numbers);
                        let layouts = (layout, layout);
                        check_both(&cpu, &Case { s, op, n, layouts, alpha, beta }, &mut numbers);
                    }
                }
            }
        }
    }
}

#[test]
fn alpha_and_beta() {
    let (cpu, mut numbers) = (Cpu::new(), Numbers(2));
    let s = Sketch::sparse_stack(11, 23, 3, 9).unwrap();
    for op in [Op::NoTrans, Op::Trans] {
        for (alpha, beta) in ALPHA_BETA {
            for layout in LAYOUTS {
                for n in [1, 9, 64] {
                    let layouts = (layout, layout);
                    check_both(&cpu, &Case { s, op, n, layouts, alpha, beta }, &mut numbers);
                }
            }
        }
    }
}

#[test]
fn lengths_around_tiles_and_parts() {
    let (cpu, mut numbers) = (Cpu::new(), Numbers(4));
    let layouts = [Layout::Rows, Layout::ColumnsWithGap, Layout::Strided];
    let lengths = [0, 1, 255, 256, 257, 511, 512, 513, 1025, 2047, 2049, 5000];
    for (turn, m) in lengths.into_iter().enumerate() {
        for s in families(6, m, 3) {
            for op in [Op::NoTrans, Op::Trans] {
                for (n, layout) in [1, 8, 33].into_iter().flat_map(|n| layouts.map(|l| (n, l))) {
                    let (alpha, beta) = ALPHA_BETA[turn % ALPHA_BETA.len()];
                    let layouts = (layout, layout);
                    check_both(&cpu, &Case { s, op, n, layouts, alpha, beta }, &mut numbers);
                }
            }
        }
    }
}

#[test]
fn rows_of_whole_pages() {
    let mut numbers = Numbers(9);
    for cpu in [Cpu::with_threads(1).unwrap(), Cpu::with_threads(3).unwrap()] {
        // Around 32 entries a row of S, and with rows that have none.
        for (d, m) in [(1, 31), (1, 32), (1, 33), (1, 64), (9, 300), (17, 3), (40, 23)] {
            let s = Sketch::count_sketch(d, m, 5).unwrap();
            for n in [511, 512, 513, 575, 577, 1023, 1024, 1031, 1100] {
                for to in [Layout::RowsWithGap, Layout::Columns, Layout::Strided] {
                    let (alpha, beta) = ALPHA_BETA[n % ALPHA_BETA.len()];
                    for from in [Layout::Rows, Layout::NegativeRows] {
                        let case = Case { s, op: Op::NoTrans, n, layouts: (from, to), alpha, beta };
                        check_both(&cpu, &case, &mut numbers);
                    }
                }
            }
        }
    }
}

#[test]
fn rows_of_whole_pages_give_the_bits_of_columns() {
    let cpu = Cpu::with_threads(2).unwrap();
    let s = Sketch::count_sketch(30, 500, 6).unwrap();
    let words = indices(&cpu, &s).unwrap();
    let x = SignRows::new(&s, &words);
    let a = Strided::<f64>::random(Layout::Rows, (500, 523), &mut Numbers(12));
    assert!(pages::serves(&x, &a.view(&cpu)));
    let mut scattered = Strided::new(Layout::Rows, (30, 523));
    scatter_times(&cpu, Isa::detect(), &x, 3.0, a.view(&cpu), 0.0, scattered.view_mut(&cpu))
        .unwrap();
    for isa in Isa::available() {
        let mut c = Strided::new(Layout::Rows, (30, 523));
        pages::times(&cpu, isa, &x, 3.0, a.view(&cpu), 0.0, c.view_mut(&cpu)).unwrap();
        assert!(c.bits() == scattered.bits(), "{isa:?}");
    }
}

#[test]
fn panels_that_leave_the_cache() {
    let (cpu, mut numbers) = (Cpu::new(), Numbers(8));
    for s in families(13_000, 40, 3) {
        for op in [Op::NoTrans, Op::Trans] {
            for (n, layout) in [(3, Layout::Rows), (64, Layout::Columns), (70, Layout::Rows)] {
                let layouts = (layout, layout);
                let case = Case { s, op, n, layouts, alpha: 1.0, beta: -1.0 };
                check_both(&cpu, &case, &mut numbers);
            }
        }
    }
}

#[test]
fn operators_without_rows_columns_or_entries() {
    let (cpu, mut numbers) = (Cpu::new(), Numbers(5));
    for (d, m) in [(0, 0), (0, 5), (5, 0), (1, 1)] {
        for s in families(d, m, 1) {
            for op in [Op::NoTrans, Op::Trans] {
                for (alpha, beta) in ALPHA_BETA {
                    let layouts = (Layout::Columns, Layout::Rows);
                    check_both(&cpu, &Case { s, op, n: 3, layouts, alpha, beta }, &mut numbers);
                }
            }
        }
    }
    // ζ has no meaning without rows.
    let s = Sketch::sparse_stack(0, 4, 8, 1).unwrap();
    let case =
        Case { s, op: Op::Trans, n: 3, layouts: (LAYOUTS[0], LAYOUTS[2]), alpha: 1.0, beta: 0.0 };
    check_both(&cpu, &case, &mut numbers);
}

#[test]
fn windows_of_rows_and_columns() {
    let (cpu, mut numbers) = (Cpu::new(), Numbers(6));
    for s in families(40, 300, 5) {
        for (rows, cols) in [(0..40, 0..300), (3..17, 0..300), (39..40, 7..290), (5..5, 0..10)] {
            let s = s.rows(rows.clone()).columns(cols.clone());
            for op in [Op::NoTrans, Op::Trans] {
                for layout in [Layout::Rows, Layout::Columns] {
                    let layouts = (layout, layout);
                    let case = Case { s, op, n: 10, layouts, alpha: 1.0, beta: 0.5 };
                    check_both(&cpu, &case, &mut numbers);
                }
            }
        }
    }
}

#[test]
fn column_blocks_share_the_words_of_the_whole() {
    let cpu = Cpu::new();
    for s in families(40, 5000, 5) {
        let whole = indices(&cpu, &s).unwrap();
        assert_eq!(whole.len(), 5000 * s.nnz());
        for cols in [0..1, 1023..1025, 17..4999] {
            let part = indices(&cpu, &s.columns(cols.clone())).unwrap();
            assert_eq!(part, whole[cols.start * s.nnz()..cols.end * s.nnz()]);
        }
        let bytes = index_chunk(&s) * s.nnz() * 4;
        assert!(bytes <= 4 << 20 && bytes > (4 << 20) - 4 * s.nnz());
    }
}

fn bits<T: SparseScalar>(cpu: &Cpu, isa: Isa, s: &Sketch, op: Op, n: usize, l: Layout) -> Vec<u64> {
    let (d, m) = s.shape();
    let (a_rows, c_rows) = if op == Op::NoTrans { (m, d) } else { (d, m) };
    let a = Strided::<T>::random(l, (a_rows, n), &mut Numbers(11));
    let mut c = Strided::<T>::new(l, (c_rows, n));
    let words = indices(cpu, s).unwrap();
    let x = SignRows::new(s, &words);
    assert_eq!(SparseRows::<T>::entries(&x), words.len());
    let alpha = T::from_f64(s.scale());
    let (a, out) = (a.view(cpu), c.view_mut(cpu));
    match op {
        Op::NoTrans => scatter_times(cpu, isa, &x, alpha, a, T::zero(), out).unwrap(),
        Op::Trans => gather_times(cpu, isa, &x, alpha, a, T::zero(), out).unwrap(),
    }
    c.bits()
}

#[test]
fn the_same_bits_for_any_threads_and_instruction_set() {
    let (one, three) = (Cpu::with_threads(1).unwrap(), Cpu::with_threads(3).unwrap());
    for s in families(20, 5000, 4) {
        for op in [Op::NoTrans, Op::Trans] {
            for (n, layout) in [(1, Layout::Rows), (33, Layout::Rows), (65, Layout::Columns)] {
                let best = Isa::detect();
                let expected = bits::<f64>(&one, best, &s, op, n, layout);
                let expected_f32 = bits::<f32>(&one, best, &s, op, n, layout);
                assert!(expected == bits::<f64>(&three, best, &s, op, n, layout));
                assert!(expected_f32 == bits::<f32>(&three, best, &s, op, n, layout));
                for isa in Isa::available() {
                    let same = expected == bits::<f64>(&one, isa, &s, op, n, layout);
                    assert!(same, "{isa:?} {op:?} n={n}");
                    let same = expected_f32 == bits::<f32>(&one, isa, &s, op, n, layout);
                    assert!(same, "{isa:?} {op:?} n={n} f32");
                }
            }
        }
    }
}

#[test]
fn what_is_not_finite_reaches_the_rows_it_meets() {
    let cpu = Cpu::new();
    let s = Sketch::sparse_sign(12, 50, 3, 1).unwrap();
    let x = explicit(&s, Op::NoTrans);
    for bad in [f64::NAN, f64::INFINITY] {
        for layout in [Layout::Rows, Layout::Columns] {
            let mut a = Strided::<f64>::new(layout, (50, 10));
            a.fill(|i, j| if (i, j) == (20, 4) { bad } else { 1.0 });
            let mut c = Strided::<f64>::new(layout, (12, 10));
            let words = indices(&cpu, &s).unwrap();
            let (view, out) = (a.view(&cpu), c.view_mut(&cpu));
            sparse_times(&cpu, &s, &words, Op::NoTrans, 1.0, view, 0.0, out).unwrap();
            for (i, j) in (0..12).flat_map(|i| (0..10).map(move |j| (i, j))) {
                let met = j == 4 && x.iter().any(|&(row, col, _)| (row, col) == (i, 20));
                assert_eq!(!c.get(i, j).is_finite(), met);
            }
        }
    }
}
