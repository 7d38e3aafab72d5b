//! Sums in twice the working precision: what makes the oracle exact to the last bit but one.
//!
//! A sum of products is kept as an unevaluated pair hi + lo; every product and every addition
//! passes its rounding error on (Ogita, Rump and Oishi, "Accurate sum and dot product", 2005). The
//! result of n terms is off by u + n²u²·(Σ|xᵢyᵢ|/|Σxᵢyᵢ|), u = 2⁻⁵³.

/// A running sum of products.
#[derive(Clone, Copy, Default)]
pub struct Wide {
    hi: f64,
    lo: f64,
    // The plain sum: what IEEE arithmetic gives once an infinity or a NaN takes part.
    plain: f64,
}

impl Wide {
    /// Adds `x`.
    #[inline]
    pub fn add(&mut self, x: f64) {
        let sum = self.hi + x;
        let back = sum - self.hi;
        self.lo += (self.hi - (sum - back)) + (x - back);
        self.hi = sum;
        self.plain += x;
    }

    /// Adds `x · y`, both of them values of f64.
    #[inline]
    pub fn add_product(&mut self, x: f64, y: f64) {
        let product = x * y;
        self.add(product);
        self.lo += x.mul_add(y, -product);
    }

    /// Adds `factor` times another sum.
    pub fn add_scaled(&mut self, factor: f64, other: Wide) {
        if other.hi.is_finite() && other.lo.is_finite() {
            self.add_product(factor, other.hi);
            self.add_product(factor, other.lo);
        } else {
            self.add_product(factor, other.plain);
        }
    }

    /// The sum, rounded.
    pub fn value(self) -> f64 {
        let sum = self.hi + self.lo;
        if sum.is_finite() { sum } else { self.plain }
    }
}
