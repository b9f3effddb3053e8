//! The numbers of a series of times. All are in milliseconds.
//!
//! Mean, sample standard deviation and the t distribution come from `statrs`. Percentiles do not: its definition is not
//! that of numpy, which readers will check against.

use statrs::distribution::ContinuousCDF as _;
use statrs::distribution::StudentsT;
use statrs::statistics::Statistics as _;

/// From so many times on there is a 99.9th percentile.
const THOUSANDTHS: usize = 10_000;

/// Two ends of an interval, the lower one first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    pub(super) fn has(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Of at least one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    pub(super) n: usize,
    pub(super) mean: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// With n - 1; none for a single time.
    pub(super) std: Option<f64>,
    pub(super) median: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) p999: Option<f64>,
}

/// None for no times at all.
pub(super) fn summary(times: &[f64]) -> Option<Summary> {
    let sorted = sorted(times);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    Some(Summary {
        n: times.len(),
        mean: mean(times),
        min,
        max,
        std: (times.len() > 1).then(|| times.std_dev()),
        median: quantile(&sorted, 0.5),
        p95: quantile(&sorted, 0.95),
        p99: quantile(&sorted, 0.99),
        p999: (times.len() >= THOUSANDTHS).then(|| quantile(&sorted, 0.999)),
    })
}

pub(super) fn mean(times: &[f64]) -> f64 {
    times.mean()
}

pub(super) fn sorted(times: &[f64]) -> Vec<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value a share of a sorted series lies below: linear between neighbours, position (n - 1) q, as numpy has it by
/// default, down to the way it rounds. 0 for no values.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positions")]
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = last as f64 * q.clamp(0.0, 1.0);
    let at = position.floor() as usize;
    let (low, high) = (sorted[at.min(last)], sorted[(at + 1).min(last)]);
    let share = position - position.floor();
    match share < 0.5 {
        true => low + (high - low) * share,
        false => high - (high - low) * (1.0 - share),
    }
}

/// Medians of the first and the second half: far apart, and the system was not steady.
pub(super) fn halves(times: &[f64]) -> Option<(f64, f64)> {
    let (first, second) = times.split_at(times.len() / 2);
    (!first.is_empty()).then(|| (quantile(&sorted(first), 0.5), quantile(&sorted(second), 0.5)))
}

/// 95 % interval of the mean of runs by Student's t, from the means of the runs. None for a single run.
#[expect(clippy::cast_precision_loss, reason = "runs are few")]
pub(super) fn of_means(means: &[f64]) -> Option<Interval> {
    let n = means.len() as f64;
    let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975);
    let (mean, half) = (mean(means), t * means.std_dev() / n.sqrt());
    Some(Interval { low: mean - half, high: mean + half })
}

/// The difference of means in units of the pooled standard deviation (Cohen's d). None without spread.
#[expect(clippy::cast_precision_loss, reason = "counts")]
pub(super) fn effect(of: &Summary, to: &Summary) -> Option<f64> {
    let part = |one: &Summary| Some((one.n as f64 - 1.0) * one.std?.powi(2));
    let pooled = ((part(of)? + part(to)?) / (of.n as f64 + to.n as f64 - 2.0)).sqrt();
    (pooled > 0.0).then(|| (of.mean - to.mean) / pooled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_numpy() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        for (q, expected) in [(0.0, 1.0), (0.5, 5.5), (0.95, 9.55), (0.99, 9.91), (1.0, 10.0)] {
            assert!((quantile(&values, q) - expected).abs() < 1e-12, "{q}");
        }
        assert_eq!(quantile(&[3.0], 0.99), 3.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn few_and_equal_times() {
        assert_eq!(summary(&[]), None);
        let one = summary(&[2.0]).unwrap();
        assert_eq!((one.n, one.mean, one.std, one.p99, one.p999), (1, 2.0, None, 2.0, None));
        let same = summary(&[2.0; 5]).unwrap();
        assert_eq!((same.std, same.median), (Some(0.0), 2.0));
        assert_eq!(effect(&same, &same), None);
        assert_eq!(effect(&one, &same), None);
        assert_eq!(halves(&[1.0]), None);
        assert_eq!(halves(&[1.0, 2.0, 3.0, 4.0]), Some((1.5, 3.5)));
    }

    #[test]
    fn intervals_of_runs_are_students() {
        assert_eq!(of_means(&[1.0]), None);
        let found = of_means(&[1.0, 2.0, 3.0]).unwrap();
        // t(0.975, 2) = 4.302653, standard error = 1 / sqrt 3
        assert!(
            (found.low - (2.0 - 2.484_138)).abs() < 1e-5 && (found.high - (2.0 + 2.484_138)).abs() < 1e-5,
            "{found:?}"
        );
        assert!(found.has(2.0) && !found.has(5.0));
    }
}
