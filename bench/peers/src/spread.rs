//! Statistics of repeated measurements: the median, and the least and the greatest value.

use std::fmt;

/// The values of repeated measurements, in ascending order.
#[derive(Debug, Clone)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn new(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        Spread(values)
    }

    pub(crate) fn median(&self) -> f64 {
        let Spread(values) = self;
        let middle = values.len() / 2;
        match values.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        }
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

/// Shows the median, and the least and the greatest value: `59882 (57004 … 61377)`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} ({:.0} … {:.0})", self.median(), self.least(), self.most())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_shown_with_the_least_and_the_greatest_value() {
        assert_eq!(Spread::new(vec![3.0, 1.0, 2.0]).to_string(), "2 (1 … 3)");
        assert_eq!(Spread::new(vec![4.0, 1.0]).to_string(), "2 (1 … 4)");
    }
}
