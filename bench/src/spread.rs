//! Statistics of repeated measurements: median, quantiles, least and greatest value.

use std::fmt;

use crate::cpu::Used;

/// The values of repeated measurements, in ascending order.
#[derive(Debug, Clone)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn new(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        Spread(values)
    }

    /// Returns the median. NaN if there are no values.
    pub(crate) fn median(&self) -> f64 {
        let Spread(values) = self;
        let middle = values.len() / 2;
        match values.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        }
    }

    /// Returns the smallest value that at least this share of the values, from 0 to 1, does not exceed. NaN if there
    /// are no values.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

/// Shows the median, and the least and the greatest value: `4071 (3902 … 4188)`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, greatest) = (self.quantile(0.0), self.quantile(1.0));
        write!(f, "{:.0} ({least:.0} … {greatest:.0})", self.median())
    }
}

/// The result of draining a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drained {
    /// Tasks per second.
    pub(crate) rate: f64,
    /// CPU time for each task, of all measured processes together, in microseconds.
    pub(crate) cpu_us: f64,
    /// The share of the machine that other processes used, in percent.
    pub(crate) others_percent: f64,
}

impl Drained {
    pub(crate) fn new(tasks: i64, seconds: f64, used: Used) -> Drained {
        let tasks = tasks as f64;
        Drained {
            rate: tasks / seconds,
            cpu_us: used.seconds * 1e6 / tasks,
            others_percent: used.others * 100.0,
        }
    }
}

/// Returns the word to print for a target that is met, or is not.
pub(crate) fn met_or_missed(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_quantiles_of_odd_and_even_counts() {
        let odd = Spread::new(vec![3.0, 1.0, 2.0]);
        assert!((odd.median() - 2.0).abs() < 1e-9);
        let hundred = Spread::new((1..=100).map(f64::from).collect());
        assert!((hundred.median() - 50.5).abs() < 1e-9);
        assert!((hundred.quantile(0.95) - 95.0).abs() < 1e-9);
        assert!((hundred.quantile(0.99) - 99.0).abs() < 1e-9);
        assert_eq!(hundred.to_string(), "50 (1 … 100)");
    }
}
