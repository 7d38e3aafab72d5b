//! Compressed sparse rows.

use super::*;

const ALPHA_BETA: [(f64, f64); 5] = [(1.0, 0.0), (-1.5, 1.0), (0.0, 2.0), (0.0, 0.0), (0.75, -3.0)];

/// A matrix with empty rows, duplicates and columns in any order.
fn random_csr<T: SparseScalar>(
    cpu: &Cpu,
    (rows, cols): (usize, usize),
    per_row: usize,
    numbers: &mut Numbers,
) -> Csr<T> {
    let mut triplets = Vec::new();
    for i in (0..rows).filter(|i| i % 3 != 1 && cols > 0) {
        for _ in 0..numbers.below(2 * per_row + 1) {
            let value = T::from_f64(numbers.next());
            triplets.push((i, numbers.below(cols), value));
            if numbers.below(4) == 0 {
                triplets.push((i, triplets[triplets.len() - 1].1, T::from_f64(numbers.next())));
            }
        }
    }
    Csr::from_triplets(cpu, (rows, cols), &triplets).unwrap()
}

fn triplets<T: SparseScalar>(x: CsrRef<'_, T>, op: Op) -> Triplets {
    let (row_ptr, col_idx, values) = x.slices();
    let mut triplets = Triplets::new();
    for i in 0..x.nrows() {
        for k in row_ptr[i]..row_ptr[i + 1] {
            let (j, value) = (col_idx[k] as usize, values[k].to_f64());
            triplets.push(if op == Op::NoTrans { (i, j, value) } else { (j, i, value) });
        }
    }
    triplets
}

struct Case {
    op: Op,
    n: usize,
    layouts: (Layout, Layout),
    alpha: f64,
    beta: f64,
}

fn check<T: SparseScalar>(cpu: &Cpu, x: CsrRef<'_, T>, case: &Case, numbers: &mut Numbers)
where
    Cpu: SparseKernels<T>,
{
    let Case { op, n, layouts, alpha, beta } = *case;
    let what = format!("{x:?} {op:?} n={n} {layouts:?} α={alpha} β={beta} {}", T::NAME);
    let (c_rows, b_rows) = if op == Op::NoTrans { x.shape() } else { (x.ncols(), x.nrows()) };
    let mut b = Strided::<T>::random(layouts.0, (b_rows, n), numbers);
    if alpha == 0.0 {
        b.fill(|_, _| f64::NAN);
    }
    let mut before = Strided::<T>::new(layouts.1, (c_rows, n));
    if beta != 0.0 {
        before.fill(|_, _| numbers.next());
    }
    let mut c = before.clone();
    let (alpha_t, beta_t) = (T::from_f64(alpha), T::from_f64(beta));
    cpu.spmm(alpha_t, x, op, b.view(cpu), beta_t, c.view_mut(cpu)).unwrap();
    assert_product(&what, &triplets(x, op), alpha, &b, beta, &before, &c);
}

fn grid<T: SparseScalar>(cpu: &Cpu)
where
    Cpu: SparseKernels<T>,
{
    let mut numbers = Numbers(21);
    let mut turn = 0;
    for (shape, per_row) in
        [((0, 0), 1), ((0, 4), 1), ((4, 0), 1), ((1, 1), 2), ((37, 23), 3), ((25, 6), 40)]
    {
        let x = random_csr::<T>(cpu, shape, per_row, &mut numbers);
        let x = x.as_ref();
        let middle = x.rows(shape.0 / 4..shape.0 - shape.0 / 3);
        for op in [Op::NoTrans, Op::Trans] {
            for n in [0, 1, 2, 7, 8, 9, 31, 32, 33, 65, 130] {
                for layout in LAYOUTS {
                    turn += 1;
                    let (alpha, beta) = ALPHA_BETA[turn % ALPHA_BETA.len()];
                    let layouts = (layout, LAYOUTS[turn * 3 % LAYOUTS.len()]);
                    check(cpu, x, &Case { op, n, layouts, alpha, beta }, &mut numbers);
                    let layouts = (layout, layout);
                    check(cpu, middle, &Case { op, n, layouts, alpha, beta }, &mut numbers);
                }
            }
        }
    }
}

#[test]
fn products_with_dense_matrices() {
    let cpu = Cpu::with_threads(1).unwrap();
    grid::<f64>(&cpu);
    grid::<f32>(&cpu);
}

#[test]
fn long_products_are_cut_into_parts() {
    let cpu = Cpu::new();
    let mut numbers = Numbers(22);
    let x = random_csr::<f64>(&cpu, (6000, 30), 8, &mut numbers);
    for op in [Op::NoTrans, Op::Trans] {
        for n in [1, 8, 40] {
            for layout in [Layout::Rows, Layout::Columns, Layout::Strided] {
                let case = Case { op, n, layouts: (layout, layout), alpha: 1.0, beta: 1.0 };
                check(&cpu, x.as_ref(), &case, &mut numbers);
            }
        }
    }
}

#[test]
fn the_same_bits_for_any_threads_and_instruction_set() {
    let (one, three) = (Cpu::with_threads(1).unwrap(), Cpu::with_threads(3).unwrap());
    let mut numbers = Numbers(23);
    let x = random_csr::<f64>(&one, (6000, 50), 8, &mut numbers);
    let y = random_csr::<f64>(&one, (50, 300), 20, &mut numbers);
    let rows = CsrRows::new(x.as_ref());
    for n in [1, 33] {
        let short = Strided::<f64>::random(Layout::Columns, (50, n), &mut numbers);
        let long = Strided::<f64>::random(Layout::Columns, (6000, n), &mut numbers);
        let product = |cpu: &Cpu, isa: Isa| {
            let mut plain = Strided::<f64>::new(Layout::Columns, (6000, n));
            let mut transposed = Strided::<f64>::new(Layout::Rows, (50, n));
            let out = plain.view_mut(cpu);
            gather_times(cpu, isa, &rows, 0.7, short.view(cpu), 0.0, out).unwrap();
            let out = transposed.view_mut(cpu);
            scatter_times(cpu, isa, &rows, 0.7, long.view(cpu), 0.0, out).unwrap();
            let mut both = Strided::<f64>::new(Layout::Columns, (6000, 300));
            let y = CsrRows::new(y.as_ref());
            spspmm(cpu, isa, 0.7, &rows, &y, 0.0, both.view_mut(cpu)).unwrap();
            (plain.bits(), transposed.bits(), both.bits())
        };
        let expected = product(&one, Isa::detect());
        assert!(expected == product(&three, Isa::detect()));
        for isa in Isa::available() {
            assert!(expected == product(&one, isa), "{isa:?}");
        }
    }
}

#[test]
fn products_of_two_sparse_matrices() {
    let cpu = Cpu::new();
    let mut numbers = Numbers(24);
    for (m, k, n) in
        [(0, 0, 0), (3, 0, 4), (0, 3, 4), (5, 3, 0), (1, 1, 1), (50, 13, 1), (70, 20, 300)]
    {
        let x = random_csr::<f64>(&cpu, (m, k), 3, &mut numbers);
        let y = random_csr::<f64>(&cpu, (k, n), 6, &mut numbers);
        let mut dense = Strided::<f64>::new(Layout::Rows, (k, n));
        let mut magnitude = Strided::<f64>::new(Layout::Rows, (k, n));
        dense.fill(|_, _| 0.0);
        magnitude.fill(|_, _| 0.0);
        for (i, j, value) in triplets(y.as_ref(), Op::NoTrans) {
            dense.data[i * n + j] += value;
            magnitude.data[i * n + j] += value.abs();
        }
        for window in [0..m, m / 3..m - m / 4] {
            let x = x.as_ref().rows(window);
            for layout in LAYOUTS {
                for (alpha, beta) in ALPHA_BETA {
                    let mut before = Strided::<f64>::new(layout, (x.nrows(), n));
                    if beta != 0.0 {
                        before.fill(|_, _| numbers.next());
                    }
                    let mut c = before.clone();
                    cpu.spspmm(alpha, x, y.as_ref(), beta, c.view_mut(&cpu)).unwrap();
                    let mut bound = vec![0.0; x.nrows() * n];
                    let mut exact = bound.clone();
                    for (i, k, value) in triplets(x, Op::NoTrans) {
                        for j in 0..n {
                            exact[i * n + j] += alpha * value * dense.get(k, j);
                            bound[i * n + j] += (alpha * value * magnitude.get(k, j)).abs();
                        }
                    }
                    for (i, j) in (0..x.nrows()).flat_map(|i| (0..n).map(move |j| (i, j))) {
                        let old = if beta == 0.0 { 0.0 } else { beta * before.get(i, j) };
                        let error = (c.get(i, j) - exact[i * n + j] - old).abs();
                        let bound = 100.0 * f64::UNIT_ROUNDOFF * (bound[i * n + j] + old.abs());
                        assert!(error <= bound, "{layout:?} ({i}, {j})");
                    }
                    assert_eq!(c.written(), x.nrows() * n);
                }
            }
        }
    }
}
