//! Confidence intervals of means by moving block bootstrap.
//!
//! Requests that follow each other are alike (a busy machine stays busy for a while), so single times drawn at random would
//! promise too much. Whole blocks of neighbours are drawn instead, and blocks never cross from one run into another.
//! The random numbers are SplitMix64 from a seed made of the series' name: anybody can draw the same ones again.

use crate::report::stats::Interval;
use crate::report::stats::quantile;
use crate::report::stats::sorted;

/// How often the series is drawn anew.
pub(super) const DRAWS: usize = 5000;
/// With fewer times there is no interval: there are too few blocks to draw from.
pub(super) const LEAST: usize = 30;

/// The length of a block: the least whole number whose cube is at least n, as long as it takes to keep neighbours together
/// while leaving enough blocks to draw.
pub(super) fn block(n: usize) -> usize {
    (1..).find(|length: &usize| length.pow(3) >= n).unwrap_or(1)
}

/// The generator of Steele, Lea and Flood; ten lines in any language.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 to below `end`: the top 53 bits as a fraction.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "53 bits")]
    fn below(&mut self, end: usize) -> usize {
        let fraction = (self.next() >> 11) as f64 / 9_007_199_254_740_992.0;
        (fraction * end as f64) as usize
    }
}

/// FNV-1a, 64 bits.
fn seed(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The means of all draws, each over all runs; empty if there are too few times. A run is its name and its times.
#[expect(clippy::cast_precision_loss, reason = "no run has 2^52 requests")]
pub(super) fn means(runs: &[(String, Vec<f64>)]) -> Vec<f64> {
    let n: usize = runs.iter().map(|(_, times)| times.len()).sum();
    if n < LEAST {
        return Vec::new();
    }
    let mut sums = vec![0.0; DRAWS];
    for (name, times) in runs.iter().filter(|(_, times)| !times.is_empty()) {
        add(&mut sums, times, SplitMix(seed(name)));
    }
    sums.into_iter().map(|sum| sum / n as f64).collect()
}

/// Draws one run as long as it is, once for each sum: whole blocks, and the beginning of one more to fill up.
fn add(sums: &mut [f64], times: &[f64], mut random: SplitMix) {
    let (n, length) = (times.len(), block(times.len()));
    let mut before = vec![0.0];
    for time in times {
        before.push(before[before.len() - 1] + time);
    }
    for sum in sums {
        let mut left = n;
        while left > 0 {
            let start = random.below(n - length + 1);
            let take = left.min(length);
            *sum += before[start + take] - before[start];
            left -= take;
        }
    }
}

/// The middle 95 % of the draws.
pub(super) fn interval(draws: &[f64]) -> Option<Interval> {
    let draws = sorted(draws);
    (!draws.is_empty()).then(|| Interval { low: quantile(&draws, 0.025), high: quantile(&draws, 0.975) })
}

/// The same of the difference of two series that have nothing to do with each other.
pub(super) fn difference(of: &[f64], to: &[f64]) -> Option<Interval> {
    let pairs: Vec<f64> = of.iter().zip(to).map(|(of, to)| of - to).collect();
    interval(&pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        assert_eq!(seed("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn blocks_have_the_length_of_the_cube_root() {
        let expected = [(1, 1), (2, 2), (8, 2), (9, 3), (1000, 10), (1001, 11), (10_000, 22)];
        for (n, length) in expected {
            assert_eq!(block(n), length, "{n}");
        }
    }

    #[test]
    fn intervals_hold_the_mean_and_shrink() {
        let times = |n: u32| (0..n).map(|at| f64::from(at * 7919 % 101)).collect::<Vec<_>>();
        let width = |n| {
            let draws = means(&[("a".into(), times(n))]);
            let found = interval(&draws).unwrap();
            assert!(found.has(crate::report::stats::mean(&times(n))));
            found.high - found.low
        };
        assert!(width(10_000) < width(400) / 2.0);
        assert_eq!(interval(&means(&[("a".into(), times(29))])), None);
        // All equal: nothing to be unsure of.
        let draws = means(&[("a".into(), vec![2.0; 64])]);
        assert_eq!(interval(&draws), Some(Interval { low: 2.0, high: 2.0 }));
    }
}
