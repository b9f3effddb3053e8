//! The published numbers: tables 6.1 to 6.3 of the thesis whose measurements are done again here, in milliseconds.

/// One scenario as it was published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Published {
    pub(super) key: &'static str,
    pub(super) table: &'static str,
    pub(super) count: usize,
    /// As they are printed there.
    pub(super) mean: &'static str,
    pub(super) min: &'static str,
    pub(super) max: &'static str,
    pub(super) std: &'static str,
    /// The average as a number.
    pub(super) value: f64,
}

pub(super) const TABLES: [Published; 3] = [
    Published {
        key: "1",
        table: "6.1",
        count: 10_000,
        mean: "2.0421",
        min: "1.154",
        max: "13.133",
        std: "0.442",
        value: 2.0421,
    },
    Published {
        key: "2",
        table: "6.2",
        count: 10_000,
        mean: "2.3410",
        min: "1.053",
        max: "11.98",
        std: "0.602",
        value: 2.3410,
    },
    Published {
        key: "3",
        table: "6.3",
        count: 10_000,
        mean: "14.804",
        min: "1.132",
        max: "81.6",
        std: "16.353",
        value: 14.804,
    },
];

pub(super) fn of(key: &str) -> Option<&'static Published> {
    TABLES.iter().find(|one| one.key == key)
}

/// The difference of two published averages.
pub(super) fn difference(of_key: &str, to_key: &str) -> Option<f64> {
    Some(of(of_key)?.value - of(to_key)?.value)
}
