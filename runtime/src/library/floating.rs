//! Numbers of 64-bit floating point, which the language keeps as the integers of their bits.

use super::Refusal;

/// The result of an operator; of a comparison 1 or 0. What takes one number leaves the other alone.
pub fn calculate(operator: &[u8], left: i64, right: i64) -> i64 {
    let (a, b) = (number_of(left), number_of(right));
    let bits = |number: f64| number.to_bits() as i64;
    match operator {
        b"+" => bits(a + b),
        b"-" => bits(a - b),
        b"*" => bits(a * b),
        b"/" => bits(a / b),
        b"%" => bits(remainder(a, b)),
        b"sqrt" => bits(a.sqrt()),
        b"==" => (a == b).into(),
        b"<=" => (a <= b).into(),
        b"<" => (a < b).into(),
        b"widen" => bits(f64::from(f32::from_bits(left as u32))),
        b"of long" => bits(left as f64),
        b"to long" => rounded(a, right) as i64,
        _ => unreachable!("the library's functions name these operators alone"),
    }
}

fn number_of(bits: i64) -> f64 {
    f64::from_bits(bits as u64)
}

/// What IEEE 754 calls the remainder: the quotient is rounded to the nearest number, to an even one where two are.
fn remainder(a: f64, b: f64) -> f64 {
    let rest = a % b;
    let other = if rest < 0.0 { rest + b.abs() } else { rest - b.abs() };
    let is_odd = a.abs() % (2.0 * b.abs()) >= b.abs();
    let take_other = other.abs() < rest.abs() || other.abs() == rest.abs() && is_odd;
    if take_other { other } else { rest }
}

/// Without its fraction; the modes are those of Berkeley SoftFloat: to the nearest, an even one of two (0), towards
/// zero (1), down (2), up (3), to the nearest, away from zero of two (4), and to the odd one (5 and 6).
fn rounded(number: f64, mode: i64) -> f64 {
    match mode {
        1 => number.trunc(),
        2 => number.floor(),
        3 => number.ceil(),
        4 => number.round(),
        5 | 6 if number.fract() != 0.0 && number.trunc() % 2.0 == 0.0 => number.trunc() + 1f64.copysign(number),
        5 | 6 => number.trunc(),
        _ => number.round_ties_even(),
    }
}

/// With so many digits behind the point.
pub fn text(number: i64, digits: i64) -> Vec<u8> {
    const DIGITS_MAX: i64 = 64;
    format!("{:.*}", digits.clamp(0, DIGITS_MAX) as usize, number_of(number)).into_bytes()
}

/// A text as a number.
pub fn number(text: &[u8]) -> Result<i64, Refusal> {
    let parsed = core::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<f64>().ok());
    parsed.map(|number| number.to_bits() as i64).ok_or_else(|| "invalid format".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What IEEE 754-2008, 5.3.1, and the C library say: 5 rem 3 is -1, 7 rem 2 is -1, 5 rem 2 is 1.
    #[test]
    fn remainders_are_those_of_the_standard() {
        for (a, b, rest) in [(5.0, 3.0, -1.0), (7.0, 2.0, -1.0), (5.0, 2.0, 1.0), (-5.0, 3.0, 1.0), (1.0, 8.0, 1.0)] {
            assert_eq!(remainder(a, b), rest, "{a} rem {b}");
        }
    }

    #[test]
    fn modes_of_rounding_differ_at_the_half() {
        let modes = |number| [0, 1, 2, 3, 4, 6].map(|mode| rounded(number, mode) as i64);
        assert_eq!(modes(2.5), [2, 2, 2, 3, 3, 3]);
        assert_eq!(modes(-2.5), [-2, -2, -3, -2, -3, -3]);
        assert_eq!(modes(3.25), [3, 3, 3, 4, 3, 3]);
    }
}
