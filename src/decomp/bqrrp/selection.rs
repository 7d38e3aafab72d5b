//! Which columns come next: pivots from a sketch, on the host.
//!
//! QR with column pivoting of a d×n sketch reads all of it once a pivot. LU with partial pivoting of the transposed
//! sketch is all products, and the d rows that it picks hold the pivots; QR with column pivoting of those d
//! columns alone puts them into order. Columns are tens and not thousands by then, so this costs nothing, and it
//! repairs what LU gets wrong (Kahan's matrix).
//!
//! Cost: nd² flops for LU, in groups of columns side by side; 4d³/3 for QR on one thread.
//!
//! Source: LU in place of QR is algorithm 2 of Melnichenko et al., arXiv 2507.00976, which goes on with QR without pivots; the order
//! by pivoted QR, from a quarter more candidates than pivots, is ours.

use crate::Device;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::col_pivoting::factor::{qr_in_place, qr_in_place_scratch};
use faer::linalg::triangular_solve::solve_unit_lower_triangular_in_place;
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par, Spec};

/// Columns that LU looks at together: groups send their candidates to a last round (as in CALU, Grigori, Demmel and
/// Xiang 2011). A fixed size, so that the choice does not depend on the number of threads.
const GROUP: usize = 1024;

/// Pivots, and the triangle of the columns of the sketch that they name.
pub(super) struct Selection {
    /// The columns, in order.
    pub(super) pivots: Vec<usize>,
    /// R of these columns of the sketch, positive on its diagonal.
    pub(super) r: Mat<f64>,
}

/// Up to `limit` pivots of a sketch that is given transposed, n×d and column-major; they end where the diagonal of
/// R is not above `cut`.
pub(super) fn select<D: Device>(
    device: &D,
    transposed: MatRef<'_, f64>,
    limit: usize,
    cut: f64,
) -> Selection {
    let (n, d) = transposed.shape();
    let groups = n.div_ceil(GROUP.max(2 * d)).max(1);
    let size = n.div_ceil(groups);
    let winners = device.map_batch(groups, |group| {
        let (start, end) = ((group * size).min(n), ((group + 1) * size).min(n));
        let members = transposed.subrows(start, end - start);
        leading_rows(members).into_iter().map(|i| start + i).collect::<Vec<_>>()
    });
    let mut candidates = winners.concat();
    if groups > 1 {
        let last = Mat::from_fn(candidates.len(), d, |i, j| transposed[(candidates[i], j)]);
        candidates = leading_rows(last.as_ref()).into_iter().map(|i| candidates[i]).collect();
    }
    let mut sketch = Mat::from_fn(d, candidates.len(), |i, j| transposed[(candidates[j], i)]);
    let order = pivoted_triangle(sketch.as_mut());
    let limit = limit.min(order.len()).min(d);
    let taken = (0..limit).take_while(|&j| sketch[(j, j)].abs() > cut).count();
    let sign = |i: usize| sketch[(i, i)].signum();
    let r = Mat::from_fn(taken, taken, |i, j| if i <= j { sign(i) * sketch[(i, j)] } else { 0.0 });
    Selection { pivots: order[..taken].iter().map(|&j| candidates[j]).collect(), r }
}

/// The d rows that LU with partial pivoting takes first, or all where there are no more.
fn leading_rows(x: MatRef<'_, f64>) -> Vec<usize> {
    let (n, d) = x.shape();
    let mut order: Vec<usize> = (0..n).collect();
    if n > d {
        // Rows that have no pivot follow as they stand: nothing is left of them.
        eliminate(x.to_owned().as_mut(), 0..d, 0, &mut order);
        order.truncate(d);
    }
    order
}

/// QR with column pivoting: R in the upper triangle, and the order of the columns.
fn pivoted_triangle(a: MatMut<'_, f64>) -> Vec<usize> {
    let (m, n) = a.shape();
    let (mut order, mut inverse) = (vec![0usize; n], vec![0usize; n]);
    if m == 0 || n == 0 {
        return (0..n).collect();
    }
    let mut coefficients = Mat::zeros(1, m.min(n));
    let scratch = qr_in_place_scratch::<usize, f64>(m, n, 1, Par::Seq, Spec::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    let params = Spec::default();
    qr_in_place(a, coefficients.as_mut(), &mut order, &mut inverse, Par::Seq, stack, params);
    order
}

/// Columns that are eliminated one by one; above, halves and a product.
const NARROW: usize = 8;

/// LU with partial pivoting of rows `top` and below of X, whose rows are exchanged as a whole with `order`;
/// returns the number of pivots. The columns of L that they gave come first, those without a pivot after them.
fn eliminate(
    mut x: MatMut<'_, f64>,
    columns: core::ops::Range<usize>,
    top: usize,
    order: &mut [usize],
) -> usize {
    if columns.len() <= NARROW {
        return eliminate_narrow(x, columns, top, order);
    }
    let middle = columns.start + columns.len() / 2;
    let left = eliminate(x.rb_mut(), columns.start..middle, top, order);
    let below = x.nrows() - top;
    let (known, rest) = x.rb_mut().subrows_mut(top, below).split_at_col_mut(middle);
    let known = known.rb().subcols(columns.start, left);
    let (mut head, tail) = rest.subcols_mut(0, columns.end - middle).split_at_row_mut(left);
    solve_unit_lower_triangular_in_place(known.subrows(0, left), head.rb_mut(), Par::Seq);
    let (low, add) = (known.subrows(left, below - left), Accum::Add);
    matmul(tail, add, low, head.rb(), -1.0, Par::Seq);
    let right = eliminate(x.rb_mut(), middle..columns.end, top + left, order);
    for j in 0..right {
        let (from, to) = (middle + j, columns.start + left + j);
        if from != to {
            swap_columns(x.rb_mut(), from, to);
        }
    }
    left + right
}

/// Column by column, each updated by those before when its turn comes.
fn eliminate_narrow(
    mut x: MatMut<'_, f64>,
    columns: core::ops::Range<usize>,
    top: usize,
    order: &mut [usize],
) -> usize {
    let mut pivots = 0;
    for j in columns.clone() {
        let (known, rest) = x.rb_mut().split_at_col_mut(j);
        let column = slice(rest.col_mut(0));
        for t in 0..pivots {
            let known = known.rb().col(columns.start + t).try_as_col_major().expect("a column");
            let (factor, start) = (column[top + t], top + t + 1);
            let known = &known.as_slice()[start..];
            column[start..].iter_mut().zip(known).for_each(|(x, l)| *x -= factor * l);
        }
        let row = top + pivots;
        let largest = column[row..].iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        let at = column[row..].iter().position(|x| x.abs() == largest && largest > 0.0);
        let Some(at) = at else { continue };
        if at > 0 {
            order.swap(row, row + at);
            (0..x.ncols()).for_each(|k| slice(x.rb_mut().col_mut(k)).swap(row, row + at));
        }
        let column = slice(x.rb_mut().col_mut(j));
        let pivot = column[row];
        column[row + 1..].iter_mut().for_each(|x| *x /= pivot);
        if j != columns.start + pivots {
            swap_columns(x.rb_mut(), j, columns.start + pivots);
        }
        pivots += 1;
    }
    pivots
}

fn slice(column: faer::ColMut<'_, f64>) -> &mut [f64] {
    column.try_as_col_major_mut().expect("a column of an owner").as_slice_mut()
}

fn swap_columns(x: MatMut<'_, f64>, i: usize, j: usize) {
    let (left, right) = x.split_at_col_mut(i.max(j));
    slice(left.col_mut(i.min(j))).swap_with_slice(slice(right.col_mut(0)));
}
