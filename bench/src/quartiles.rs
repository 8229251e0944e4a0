//! Medians with the middle half around them.

use std::fmt;

/// What a row of measurements comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quartiles {
    /// A quarter of them is less.
    pub(crate) low: f64,
    pub(crate) median: f64,
    /// A quarter of them is more.
    pub(crate) high: f64,
}

impl Quartiles {
    /// Of numbers in any order; none of no number.
    pub(crate) fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |quarter: usize| {
            let (index, rest) = (last * quarter / 4, last * quarter % 4);
            let (below, above) = (sorted[index], sorted[last.min(index + 1)]);
            below + (above - below) * [0.0, 0.25, 0.5, 0.75][rest]
        };
        Some(Self {
            low: at(1),
            median: at(2),
            high: at(3),
        })
    }

    /// Of the ratios of measurements that belong to the same round.
    pub(crate) fn of_ratios(ones: &[f64], others: &[f64]) -> Option<Self> {
        let ratios = ones.iter().zip(others).map(|(one, other)| one / other);
        Self::of(&ratios.collect::<Vec<_>>())
    }

    /// Of the differences of measurements that belong to the same round.
    pub(crate) fn of_differences(ones: &[f64], others: &[f64]) -> Option<Self> {
        let differences = ones.iter().zip(others).map(|(one, other)| one - other);
        Self::of(&differences.collect::<Vec<_>>())
    }
}

/// The median, and the quartiles in brackets, with as many digits as asked for.
impl fmt::Display for Quartiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, median, high } = self;
        let digits = f.precision().unwrap_or(2);
        write!(f, "{median:.digits$} ({low:.digits$}..{high:.digits$})")
    }
}

/// A cell of a table.
pub(crate) fn cell(quartiles: Option<Quartiles>, digits: usize) -> String {
    quartiles.map_or("-".to_owned(), |q| format!("{q:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_numbers_where_they_must() {
        let of = |numbers: &[f64]| Quartiles::of(numbers).map(|q| (q.low, q.median, q.high));
        assert_eq!(of(&[5.0, 1.0, 4.0, 2.0, 3.0]), Some((2.0, 3.0, 4.0)));
        assert_eq!(of(&[1.0, 2.0]), Some((1.25, 1.5, 1.75)));
        assert_eq!(of(&[7.0]), Some((7.0, 7.0, 7.0)));
        assert_eq!(of(&[]), None);
        let differences = Quartiles::of_differences(&[3.0, 5.0], &[1.0, 1.0]);
        assert_eq!(cell(differences, 1), "3.0 (2.5..3.5)");
    }
}
