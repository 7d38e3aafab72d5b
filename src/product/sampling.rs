//! Which terms of A·B are taken, and with which factors: plain numbers, on the host.
//!
//! Samples with replacement take term i with the factor 1/(c·pᵢ) each time; those without, with 1/πᵢ, πᵢ the probability
//! that it is taken. πᵢ = min(1, λwᵢ) with Σπ = c is the best choice there is for independent decisions
//! (*water filling*): as many of the largest terms as would be taken more than once are certain, the others have
//! πᵢ ∝ wᵢ.

use super::law::Law;
use crate::random::{Permutation, Stream, words64};
use crate::{Error, Result};

/// How the terms aᵢbᵢᵀ of A·B are drawn; wᵢ = ‖aᵢ‖‖bᵢ‖ is the weight of a term. All are unbiased.
///
/// E‖C − AB‖², with F = ‖AB‖², and W, F′ the sums of the weights and the ‖A′B′‖² of the terms that are not certain, c′
/// the draws among them:
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// With replacement, all alike: (nΣw² − F)/c. Never looks at A and B: the choice where weights are known to be equal,
    /// or a pass over A and B is too much.
    Uniform,
    /// With replacement, pᵢ ∝ wᵢ: ((Σw)² − F)/c, the least of all samples with replacement.
    Norms,
    /// The largest terms for certain, the rest with replacement (WTA-CRS): (W² − F′)/c′. The number of certain terms
    /// minimises W²/c′; that of the paper minimises W/c′, and is never better in this bound.
    TopAndRest,
    /// Independent decisions with πᵢ = min(1, λwᵢ): Σ(1/πᵢ − 1)wᵢ², known before C is. c is met in the mean only, with
    /// a standard deviation of at most √c.
    Poisson,
    /// The same πᵢ, at equal distances along a random order of the terms: exactly c of them, or all that have a weight.
    /// About (1 − ρ)(W² − F′)/(c′ − ρ) with ρ = c′Σ′w²/W², the share of the terms that is taken. The one to take: it is as
    /// good as Poisson where terms are orthogonal, and better where they add up.
    ///
    /// The formula is that for large populations: off by 5 % where 8 of 50 uneven terms were drawn, by 1 % where 36 of
    /// 200 were.
    Systematic,
}

/// Terms that were drawn: random ones first, then those that were certain, by rising index each.
pub(super) struct Draws {
    pub(super) terms: usize,
    pub(super) index: Vec<u32>,
    /// What a term is multiplied by: 1/π, or the number of draws divided by cp.
    pub(super) factor: Vec<f64>,
    /// How many of them were not certain.
    pub(super) random: usize,
    pub(super) law: Law,
}

impl Sampling {
    /// Draws about `count` of the terms with these weights.
    pub(super) fn draw(
        self,
        op: &'static str,
        weights: &[f64],
        count: usize,
        seed: u64,
    ) -> Result<Draws> {
        if count == 0 {
            return Err(Error::invalid(op, "count", count, "at least 1"));
        }
        if u32::try_from(weights.len()).is_err() {
            let what = format!("a sample of {} terms", weights.len());
            return Err(Error::Unsupported { op, what });
        }
        let infinite = |w: &f64| !w.is_finite();
        if weights.iter().any(infinite) && self != Self::Uniform {
            // These outweigh all others, so that they reach C.
            let weights: Vec<f64> = weights.iter().map(|w| f64::from(infinite(w))).collect();
            let draws = self.draw(op, &weights, count, seed)?;
            return Ok(Draws { law: Law::Known(f64::NAN), ..draws });
        }
        let ranked = match self {
            Self::Uniform => Ranked::unordered(weights),
            _ => Ranked::new(weights),
        };
        let certain = match self {
            Self::Uniform | Self::Norms => 0,
            Self::TopAndRest => ranked.certain_by_bound(count),
            Self::Poisson | Self::Systematic => ranked.certain_by_filling(count),
        };
        let weight = |i: u32| weights[i as usize];
        let left = ranked.left[certain];
        let law = self.law(&ranked, certain, count - certain);
        let (certain, rest) = ranked.order.split_at(certain);
        let drawn = count - certain.len();
        let mut random: Vec<(u32, f64)> = match self {
            _ if rest.is_empty() || drawn == 0 => Vec::new(),
            Self::Uniform => {
                let share = rest.len() as f64 / drawn as f64;
                let place =
                    |t| rest[crate::random::index(word(seed, t), rest.len() as u64) as usize];
                (0..drawn).map(|t| (place(t), share)).collect()
            }
            Self::Norms | Self::TopAndRest => {
                let sums = Sums::of(rest.iter().map(|&i| weight(i)));
                let draw = |t| rest[sums.find(unit(word(seed, t)))];
                (0..drawn).map(draw).map(|i| (i, sums.total / (drawn as f64 * weight(i)))).collect()
            }
            Self::Poisson => {
                let rate = drawn as f64 / left;
                let taken = |&i: &u32| unit(word(seed, i as usize)) < rate * weight(i);
                rest.iter().copied().filter(taken).map(|i| (i, 1.0 / (rate * weight(i)))).collect()
            }
            Self::Systematic => {
                let order = Permutation::new(seed, Stream::ProductOrder, rest.len() as u64);
                let shuffled = |at: usize| rest[order.get(at as u64) as usize];
                let sums = Sums::of((0..rest.len()).map(|at| weight(shuffled(at))));
                let (start, step) = (unit(word(seed, 0)), 1.0 / drawn as f64);
                let draw = |t: usize| shuffled(sums.find((start + t as f64) * step));
                (0..drawn).map(draw).map(|i| (i, sums.total / (drawn as f64 * weight(i)))).collect()
            }
        };
        let law = match law {
            // The terms that were drawn: the error cannot come out negative then.
            Law::Draws { count, missed, .. } if self == Self::Uniform => {
                let scaled = |&(i, factor): &(u32, f64)| (weight(i) * factor).powi(2);
                let square = random.iter().map(scaled).sum::<f64>() * count as f64;
                Law::Draws { count, square, missed }
            }
            law => law,
        };
        random.sort_by_key(|&(i, _)| i);
        random.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0.0 };
            same
        });
        let number = random.len();
        let mut certain = certain.to_vec();
        certain.sort_unstable();
        random.extend(certain.into_iter().map(|i| (i, 1.0)));
        let (index, factor) = random.into_iter().unzip();
        Ok(Draws { terms: weights.len(), index, factor, random: number, law })
    }

    /// What is known of the error of `drawn` draws among all terms but the `certain` first.
    fn law(self, ranked: &Ranked<'_>, certain: usize, drawn: usize) -> Law {
        let (square, squares) = (ranked.left[certain].powi(2), ranked.left_squares[certain]);
        // Terms may be left that are nothing beside the certain ones.
        if certain == ranked.order.len() || drawn == 0 {
            return Law::Known(0.0);
        }
        let missed = (1.0 - drawn as f64 * squares / square).max(0.0);
        match self {
            Self::Uniform | Self::Norms | Self::TopAndRest => {
                Law::Draws { count: drawn, square, missed: 1.0 }
            }
            Self::Poisson => Law::Known(missed * square / drawn as f64),
            Self::Systematic => Law::Draws { count: drawn, square, missed },
        }
    }
}

/// Terms by falling weight.
pub(super) struct Ranked<'a> {
    weights: &'a [f64],
    /// Those that have a weight; equal ones by their place.
    order: Vec<u32>,
    /// Sums of the weights, and of their squares, from each rank on, from the smallest up.
    left: Vec<f64>,
    left_squares: Vec<f64>,
}

impl<'a> Ranked<'a> {
    pub(super) fn new(weights: &'a [f64]) -> Self {
        let mut order: Vec<u32> = (0..weights.len() as u32).collect();
        let weight = |i: u32| weights[i as usize];
        order.retain(|&i| weight(i) > 0.0);
        order.sort_by(|&i, &j| weight(j).total_cmp(&weight(i)));
        Self::in_order(weights, order)
    }

    /// All terms, whatever their weight.
    fn unordered(weights: &'a [f64]) -> Self {
        Self::in_order(weights, (0..weights.len() as u32).collect())
    }

    fn in_order(weights: &'a [f64], order: Vec<u32>) -> Self {
        let (mut left, mut left_squares) = (vec![0.0; order.len() + 1], vec![0.0; order.len() + 1]);
        for (at, &i) in order.iter().enumerate().rev() {
            let weight = weights[i as usize];
            left[at] = left[at + 1] + weight;
            left_squares[at] = left_squares[at + 1] + weight * weight;
        }
        Self { weights, order, left, left_squares }
    }

    /// How many terms have πᵢ = 1 by water filling.
    fn certain_by_filling(&self, count: usize) -> usize {
        let most = self.order.len().min(count);
        let weight = |at: usize| self.weights[self.order[at] as usize];
        (0..most).find(|&at| weight(at) * ((count - at) as f64) < self.left[at]).unwrap_or(most)
    }

    /// The number of certain terms D that minimises W²/(c − D), W what is left after them; all, where that is none.
    fn certain_by_bound(&self, count: usize) -> usize {
        if self.order.len() <= count {
            return self.order.len();
        }
        let bound = |d: usize| self.left[d].powi(2) / (count - d) as f64;
        (1..count).fold(0, |best, d| if bound(d) < bound(best) { d } else { best })
    }

    /// E‖C − AB‖² of a systematic sample of `count` terms, where ‖AB‖² is `product`, at the scale of the weights. What of it
    /// belongs to terms that are not certain is taken as their share of Σw, squared.
    pub(super) fn systematic(&self, count: usize, product: f64) -> f64 {
        let certain = self.certain_by_filling(count);
        match Sampling::Systematic.law(self, certain, count - certain) {
            Law::Known(square) => square,
            Law::Draws { count, square, missed } => {
                let share = (self.left[certain] / self.left[0]).powi(2);
                let spread = (square - share * product).max(0.0);
                missed * spread / (count as f64 - 1.0 + missed)
            }
        }
    }
}

/// Partial sums of weights, to draw from.
struct Sums {
    sums: Vec<f64>,
    total: f64,
}

impl Sums {
    fn of(weights: impl Iterator<Item = f64>) -> Self {
        let mut total = 0.0;
        let add = |w: f64| {
            total += w;
            total
        };
        let sums = weights.map(add).collect();
        Self { sums, total }
    }

    /// The term at a share of the total in [0, 1); the last that has a weight where rounding leads past the end.
    fn find(&self, share: f64) -> usize {
        let last = self.sums.partition_point(|&sum| sum < self.total);
        self.sums.partition_point(|&sum| sum <= share * self.total).min(last)
    }
}

/// The word of draw t, or of the decision on term t.
fn word(seed: u64, t: usize) -> u64 {
    words64(seed, Stream::ProductDraws, 0, (t / 2) as u32)[t % 2]
}

/// A number in [0, 1), from 53 bits.
fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / (1u64 << 53) as f64
}
