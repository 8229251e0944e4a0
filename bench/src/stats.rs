//! Medians and spreads.

use std::time::Duration;

/// What a row of measurements comes to, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Half of them took less.
    pub median: f64,
    /// One in ten took less.
    pub low: f64,
    /// One in ten took more.
    pub high: f64,
}

impl Summary {
    /// Of measurements in any order; none of no measurement.
    #[must_use]
    pub fn of(measured: &[Duration]) -> Option<Self> {
        let mut sorted: Vec<f64> = measured.iter().map(|d| d.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: quantile(&sorted, 50)?,
            low: quantile(&sorted, 10)?,
            high: quantile(&sorted, 90)?,
        })
    }
}

/// The 10th percentile, the median and the 90th of any numbers; none of no numbers.
#[must_use]
pub fn spread(measured: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = measured.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |percent| quantile(&sorted, percent);
    Some((at(10)?, at(50)?, at(90)?))
}

/// The value that `percent` of the sorted values do not exceed, between two values
/// where it falls between them.
fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let (at, rest) = (last * percent / 100, last * percent % 100);
    let below = sorted[at];
    let above = sorted[last.min(at + 1)];
    let part = u32::try_from(rest).map_or(0.0, f64::from) / 100.0;
    Some(below + (above - below) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Option<Summary> {
        Summary::of(
            &values
                .iter()
                .map(|ms| Duration::from_millis(*ms))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn the_median_lies_in_the_middle_whatever_the_order() {
        assert_eq!(of(&[9, 1, 5]).unwrap().median, 5.0);
        assert_eq!(of(&[1, 4, 2, 3]).unwrap().median, 2.5);
        let eleven = of(&[11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6]).unwrap();
        assert_eq!((eleven.low, eleven.median, eleven.high), (2.0, 6.0, 10.0));
        assert_eq!(
            of(&[7]).unwrap(),
            Summary {
                median: 7.0,
                low: 7.0,
                high: 7.0
            }
        );
        assert_eq!(of(&[]), None);
    }
}
