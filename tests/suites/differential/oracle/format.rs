//! Formats, as language.md describes them in section 8.

use super::Value;
use tapster_compiler::image::{Conversion, Format, Measure, Piece};

/// What a format prints.
pub fn render(format: &Format, args: &[Value]) -> Vec<u8> {
    let (mut out, mut args) = (Vec::new(), args.iter());
    for piece in &format.pieces {
        match piece {
            Piece::Literal(bytes) => out.extend(bytes),
            Piece::Conversion(conversion) => convert(conversion, &mut args, &mut out),
        }
    }
    out
}

fn convert<'a>(conversion: &Conversion, args: &mut impl Iterator<Item = &'a Value>, out: &mut Vec<u8>) {
    let mut measure = |measure| match measure {
        Measure::None => None,
        Measure::Fixed(number) => Some(number as usize),
        Measure::Arg => match args.next() {
            Some(Value::Long(number)) => Some(*number as usize),
            _ => unreachable!("formats fit their arguments"),
        },
    };
    let (width, precision) = (measure(conversion.width).unwrap_or(0), measure(conversion.precision));
    let (sign, prefix, body) = match args.next().expect("formats fit their arguments") {
        Value::Text(bytes) => (String::new(), "", bytes[..bytes.len().min(precision.unwrap_or(usize::MAX))].to_vec()),
        Value::Long(number) if conversion.kind == b'c' => (String::new(), "", vec![*number as u8]),
        Value::Long(number) => {
            let (sign, prefix, digits) = digits(conversion, *number);
            let zeros = precision.unwrap_or(0).saturating_sub(digits.len());
            (sign, prefix, ["0".repeat(zeros), digits].concat().into_bytes())
        }
    };
    let taken = sign.len() + prefix.len() + body.len();
    let missing = width.saturating_sub(taken);
    let (before, zeros, behind) = match conversion.flag {
        Some(b'-') => (0, 0, missing),
        Some(b'0') => (0, missing, 0),
        _ => (missing, 0, 0),
    };
    out.extend(" ".repeat(before).bytes());
    out.extend(sign.bytes());
    out.extend(prefix.bytes());
    out.extend("0".repeat(zeros).bytes());
    out.extend(body);
    out.extend(" ".repeat(behind).bytes());
}

/// Sign, prefix and digits of a number.
fn digits(conversion: &Conversion, number: i64) -> (String, &'static str, String) {
    let special = conversion.flag == Some(b'#');
    let (prefix, digits) = match conversion.kind {
        b'd' | b'i' => {
            let sign = match conversion.flag {
                _ if number < 0 => "-",
                Some(b'+') => "+",
                Some(b' ') => " ",
                _ => "",
            };
            return (sign.into(), "", number.unsigned_abs().to_string());
        }
        b'u' => ("", (number as u64).to_string()),
        b'x' => (if special { "0x" } else { "" }, format!("{number:x}")),
        b'X' => (if special { "0X" } else { "" }, format!("{number:X}")),
        b'o' => (if special { "0" } else { "" }, format!("{number:o}")),
        b'p' => ("0x", format!("{number:x}")),
        _ => unreachable!("nothing else is generated"),
    };
    (String::new(), prefix, digits)
}
