//! In which order things are measured that are compared.

/// The order of a round: each comes first, and each comes after each other one.
pub(crate) fn turns<T: Copy, const N: usize>(mut all: [T; N], round: u32) -> [T; N] {
    let round = round as usize;
    all.rotate_left(round % N);
    if (round / N) % 2 == 1 {
        all.reverse();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_first_and_orders_turn_around() {
        assert_eq!(turns([1, 2, 3], 0), [1, 2, 3]);
        assert_eq!(turns([1, 2, 3], 1), [2, 3, 1]);
        assert_eq!(turns([1, 2, 3], 3), [3, 2, 1]);
        assert_eq!(turns([1, 2], 1), [2, 1]);
    }
}
