//! `@variance` in whole numbers, as SystemTap computes it: Welford's method on every CPU, put together when it is read
//! (its runtime/stat-common.c).
//!
//! Means and squares are shifted left by the bits that the script asks for (`@variance(s, bits)`), squares twice.

/// The mean of some values, and the sum of squares of how far they are from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The mean, truncated toward zero with every value.
    pub mean: i64,
    /// The sum of squares.
    pub squares: i64,
}

impl Spread {
    /// With one more value; `count` counts it. Zeros are the spread of nothing.
    pub fn add(self, count: i64, value: i64, shift: u8) -> Spread {
        let value = value.wrapping_shl(shift.into());
        let delta = value.wrapping_sub(self.mean);
        let mean = self.mean.wrapping_add(delta.checked_div(count).unwrap_or(0));
        let square = delta.wrapping_mul(value.wrapping_sub(mean));
        Spread { mean, squares: self.squares.wrapping_add(square) }
    }

    /// The spread of all values that the parts, each with its count, were made of.
    pub fn of_parts(parts: impl Iterator<Item = (i64, Spread)>, count: i64, sum: i64, shift: u8) -> Spread {
        let mean = sum.wrapping_shl(shift.into()).checked_div(count).unwrap_or(0);
        let squares = parts.fold(0_i64, |squares, (count, part)| {
            let apart = part.mean.wrapping_sub(mean);
            let between = count.wrapping_mul(apart.wrapping_mul(apart));
            let within = part.squares.checked_div(count - 1).unwrap_or(0).wrapping_mul(count - 1);
            squares.wrapping_add(between).wrapping_add(within)
        });
        Spread { mean, squares }
    }

    /// The variance of what [`Spread::of_parts`] put together; that of one value is 0.
    pub fn variance(self, count: i64, shift: u8) -> i64 {
        self.squares.checked_div(count - 1).unwrap_or(0) >> (2 * u32::from(shift)).min(63)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variance(cpus: &[&[i64]], shift: u8) -> i64 {
        let part = |values: &&[i64]| {
            let counted = (1..).zip(values.iter());
            let spread = counted.fold(Spread::default(), |spread, (count, value)| spread.add(count, *value, shift));
            (values.len() as i64, spread)
        };
        let all = || cpus.iter().flat_map(|values| values.iter());
        let count = all().count() as i64;
        Spread::of_parts(cpus.iter().map(part), count, all().sum(), shift).variance(count, shift)
    }

    /// The golden run g09, and SystemTap's manual page (man stap, "@variance").
    #[test]
    fn variances_are_those_of_systemtap() {
        let thousand: [i64; 1000] = core::array::from_fn(|n| n as i64);
        assert_eq!(variance(&[&thousand], 0), 582_416);
        assert_eq!(variance(&[&[-1, -1000, -5]], 0), 331_425);
        assert_eq!(variance(&[&[1, 2, 3, 4, 5]], 0), 12);
    }

    #[test]
    fn one_value_has_no_variance() {
        assert_eq!(variance(&[&[7]], 0), 0);
    }

    /// 2.5 by the definition, which shifting comes close to, on one CPU as on several.
    #[test]
    fn a_shift_makes_it_exact() {
        assert_eq!(variance(&[&[1, 2, 3, 4, 5]], 10), 2);
        assert_eq!(variance(&[&[100, 200, 300, 400, 500]], 20), 25_000);
        assert_eq!(variance(&[&[100, 500], &[], &[200, 400, 300]], 20), 25_000);
    }
}
