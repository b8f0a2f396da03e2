//! `printf` conversions as SystemTap's runtime renders them (its runtime/vsprintf.c, `number`).
//!
//! Where arguments come from, a handler's words or a record of the event ring, is the caller's business
//! ([`Arguments`]).

use std::io::Write;
use tapster_compiler::image::{ArgKind, Conversion, Format, Measure, Piece};

/// The widest field: SystemTap's own output buffer ends there.
const WIDTH_MAX: i64 = 8192;

/// Gives the arguments of one print, in order.
pub trait Arguments {
    /// The next argument, a number.
    fn long(&mut self) -> i64;
    /// The next argument, a string of this bound, without its NUL.
    fn text(&mut self, bound: u32) -> &[u8];
    /// The next argument, a stack's handle: appends what it says as text.
    fn stack(&mut self, out: &mut Vec<u8>);
}

/// How many words a user handler passes for a format.
pub fn words(format: &Format) -> usize {
    let of = |measure: Measure| usize::from(measure == Measure::Arg);
    let each = |piece: &Piece| match piece {
        Piece::Literal(_) => 0,
        Piece::Conversion(c) => 1 + of(c.width) + of(c.precision),
    };
    format.pieces.iter().map(each).sum()
}

/// Renders a print.
pub fn render(format: &Format, arguments: &mut impl Arguments, out: &mut Vec<u8>) {
    for piece in &format.pieces {
        match piece {
            Piece::Literal(text) => out.extend_from_slice(text),
            Piece::Conversion(conversion) => convert(conversion, arguments, out),
        }
    }
}

/// A conversion with its measures known.
#[derive(Clone, Copy, Default)]
struct Field {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    special: bool,
    width: usize,
    precision: Option<usize>,
}

fn convert(conversion: &Conversion, arguments: &mut impl Arguments, out: &mut Vec<u8>) {
    let field = Field::of(conversion, arguments);
    match conversion.arg {
        ArgKind::Long => number(conversion.kind, arguments.long(), field, out),
        ArgKind::Text(bound) => {
            let text = arguments.text(bound);
            match conversion.kind {
                b'm' => out.extend_from_slice(memory(text, field)),
                b'M' => hex_dump(memory(text, field), field, out),
                _ => string(text, field, out),
            }
        }
        ArgKind::Stack => {
            let start = out.len();
            arguments.stack(out);
            fit(out, start, field);
        }
    }
}

impl Field {
    fn of(conversion: &Conversion, arguments: &mut impl Arguments) -> Field {
        let mut field = Field::default();
        match conversion.flag {
            Some(b'-') => field.left = true,
            Some(b'0') => field.zero = true,
            Some(b'+') => field.plus = true,
            Some(b' ') => field.space = true,
            Some(b'#') => field.special = true,
            _ => {}
        }
        let mut measure = |measure| match measure {
            Measure::None => None,
            Measure::Fixed(n) => Some(i64::from(n)),
            Measure::Arg => Some(arguments.long()),
        };
        if let Some(width) = measure(conversion.width) {
            // A negative width from `*` means left.
            field.left |= width < 0;
            field.width = width.saturating_abs().min(WIDTH_MAX) as usize;
        }
        field.precision = measure(conversion.precision).map(|precision| precision.clamp(0, WIDTH_MAX) as usize);
        field
    }
}

fn number(kind: u8, value: i64, field: Field, out: &mut Vec<u8>) {
    match kind {
        b'd' | b'i' => signed(value, field, out),
        b'u' => digits(value as u64, Base::Decimal, None, field, out),
        b'x' => digits(value as u64, Base::Hex, None, field, out),
        b'X' => digits(value as u64, Base::HexLarge, None, field, out),
        b'o' => digits(value as u64, Base::Octal, None, field, out),
        b'p' => digits(value as u64, Base::Hex, None, Field { special: true, ..field }, out),
        b'c' => character(value as u8, field, out),
        b'b' => binary(value, field.width, out),
        // Memory at an address: nothing here can read the kernel's, so the address is all there is to say.
        _ => digits(value as u64, Base::Hex, None, Field { special: true, ..Field::default() }, out),
    }
}

fn signed(value: i64, field: Field, out: &mut Vec<u8>) {
    let sign = match value {
        ..0 => Some(b'-'),
        _ if field.plus => Some(b'+'),
        _ if field.space => Some(b' '),
        _ => None,
    };
    // `#` says nothing of decimal numbers.
    digits(value.unsigned_abs(), Base::Decimal, sign, Field { special: false, ..field }, out);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Octal,
    Decimal,
    Hex,
    HexLarge,
}

/// Writes blanks, sign, prefix, zeros, digits, blanks: `number` of SystemTap's runtime, in its order.
fn digits(value: u64, base: Base, sign: Option<u8>, field: Field, out: &mut Vec<u8>) {
    let mut text = [0u8; 24];
    let mut rest = &mut text[..];
    match base {
        Base::Octal => write!(rest, "{value:o}"),
        Base::Decimal => write!(rest, "{value}"),
        Base::Hex => write!(rest, "{value:x}"),
        Base::HexLarge => write!(rest, "{value:X}"),
    }
    .expect("64 bits have at most 22 octal digits");
    let left_over = rest.len();
    let text = &text[..text.len() - left_over];
    let prefix: &[u8] = match base {
        _ if !field.special => b"",
        Base::Octal => b"0",
        Base::Decimal => b"",
        Base::Hex => b"0x",
        Base::HexLarge => b"0X",
    };
    let zeros = field.precision.unwrap_or(0).saturating_sub(text.len());
    let taken = usize::from(sign.is_some()) + prefix.len() + zeros + text.len();
    let padding = field.width.saturating_sub(taken);
    let zero_filled = field.zero && !field.left;
    if !zero_filled && !field.left {
        pad(out, b' ', padding);
    }
    out.extend(sign);
    out.extend_from_slice(prefix);
    pad(out, b'0', zeros + if zero_filled { padding } else { 0 });
    out.extend_from_slice(text);
    if field.left {
        pad(out, b' ', padding);
    }
}

fn pad(out: &mut Vec<u8>, with: u8, count: usize) {
    out.resize(out.len() + count, with);
}

/// Pads what was rendered from `start` on, after cutting it to the precision.
fn fit(out: &mut Vec<u8>, start: usize, field: Field) {
    if let Some(precision) = field.precision {
        out.truncate(out.len().min(start + precision));
    }
    let padding = field.width.saturating_sub(out.len() - start);
    pad(out, b' ', padding);
    if !field.left {
        out[start..].rotate_right(padding);
    }
}

fn string(text: &[u8], field: Field, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(text);
    fit(out, start, field);
}

fn character(byte: u8, field: Field, out: &mut Vec<u8>) {
    let start = out.len();
    if field.special && !matches!(byte, 0x20..=0x7e) {
        match byte {
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            11 => out.extend_from_slice(b"\\v"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            _ => write!(out, "\\{byte:03o}").expect("memory takes everything"),
        }
    } else {
        out.push(byte);
    }
    fit(out, start, Field { precision: None, ..field });
}

/// The value's own bytes; the width says how many.
fn binary(value: i64, width: usize, out: &mut Vec<u8>) {
    let count = if matches!(width, 1 | 2 | 4) { width } else { 8 };
    out.extend_from_slice(&value.to_le_bytes()[..count]);
}

/// The bytes that `%m` and `%M` show: one, or as many as the precision says.
fn memory(text: &[u8], field: Field) -> &[u8] {
    &text[..text.len().min(field.precision.unwrap_or(1))]
}

fn hex_dump(bytes: &[u8], field: Field, out: &mut Vec<u8>) {
    let start = out.len();
    for byte in bytes {
        write!(out, "{byte:02x}").expect("memory takes everything");
    }
    fit(out, start, Field { precision: None, ..field });
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Arg {
        Long(i64),
        Text(&'static str),
    }
    use Arg::{Long, Text};

    struct Given(std::vec::IntoIter<Arg>);

    impl Arguments for Given {
        fn long(&mut self) -> i64 {
            match self.0.next() {
                Some(Long(value)) => value,
                _ => panic!("a number was expected"),
            }
        }
        fn text(&mut self, _: u32) -> &[u8] {
            match self.0.next() {
                Some(Text(text)) => text.as_bytes(),
                _ => panic!("a string was expected"),
            }
        }
        fn stack(&mut self, out: &mut Vec<u8>) {
            let handle = self.long();
            write!(out, "{handle:#x} {handle:#x}").expect("memory takes everything");
        }
    }

    /// Reads one flag, width, precision and conversion, as the parser does.
    fn parse(text: &str) -> Format {
        let mut pieces = Vec::new();
        let mut rest = text.as_bytes().iter().copied().peekable();
        let measure = |rest: &mut std::iter::Peekable<_>| {
            if rest.next_if_eq(&b'*').is_some() {
                return Measure::Arg;
            }
            let mut number = None;
            while let Some(digit) = rest.next_if(u8::is_ascii_digit) {
                number = Some(number.unwrap_or(0) * 10 + u32::from(digit - b'0'));
            }
            number.map_or(Measure::None, Measure::Fixed)
        };
        while let Some(byte) = rest.next() {
            if byte != b'%' {
                pieces.push(Piece::Literal(vec![byte]));
                continue;
            }
            let flag = rest.next_if(|byte| b"0+- #".contains(byte));
            let width = measure(&mut rest);
            let precision = match rest.next_if_eq(&b'.') {
                Some(_) => measure(&mut rest),
                None => Measure::None,
            };
            rest.next_if_eq(&b'l');
            let kind = rest.next().expect("a conversion");
            if kind == b'%' {
                pieces.push(Piece::Literal(vec![b'%']));
                continue;
            }
            let arg = if b"smM".contains(&kind) { ArgKind::Text(512) } else { ArgKind::Long };
            pieces.push(Piece::Conversion(Conversion { flag, width, precision, kind, arg }));
        }
        Format { pieces }
    }

    fn printed(format: &str, args: Vec<Arg>) -> String {
        let mut out = Vec::new();
        let count = args.len();
        let format = parse(format);
        assert_eq!(words(&format), count);
        render(&format, &mut Given(args.into_iter()), &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    fn longs(values: &[i64]) -> Vec<Arg> {
        values.iter().copied().map(Long).collect()
    }

    /// Lines of the golden run g06, each beside the statement that made it.
    #[test]
    fn conversions_are_those_of_systemtap() {
        let hello = || (0..6).map(|_| Text("hello")).collect::<Vec<_>>();
        let runs: Vec<(&str, Vec<Arg>)> = vec![
            ("[%d] [%5d] [%-5d] [%05d] [%+d] [% d] [%i]\n", longs(&[42, 42, 42, 42, 42, 42, -42])),
            (
                "[%u] [%x] [%X] [%#x] [%#X] [%o] [%#o] [%p] [%10p] [%-10p]|\n",
                longs(&[-1, 255, 255, 255, 255, 8, 8, 255, 255, 255]),
            ),
            ("[%s] [%10s] [%-10s] [%.2s] [%10.2s] [%-10.2s]|\n", hello()),
            ("[%c%c] [%5c] [%-5c]|\n", longs(&[65, 66, 67, 68])),
            (
                "[%*d] [%-*d] [%.*s] [%*s]|\n",
                vec![Long(6), Long(42), Long(6), Long(42), Long(3), Text("hello"), Long(8), Text("abc")],
            ),
            ("[%.5d] [%8.3d] [%ld] [%lx]\n", longs(&[42; 4])),
            ("%% 100%%\n", vec![]),
            ("[%#c] [%#c] [%#c] [%#c]\n", longs(&[0, 9, 10, 65])),
            ("[%x] [%d] [%u]\n", longs(&[-1, -1, -1])),
            ("[%08x] [%-8x] [%#08x] [%#10x]|\n", longs(&[0xbeef; 4])),
            ("[%d]\n", longs(&[i64::MIN])),
        ];
        let golden = include_str!("testdata/g06_printf.stdout");
        for ((format, args), expected) in runs.into_iter().zip(golden.split_inclusive('\n')) {
            assert_eq!(printed(format, args), expected, "{format}");
        }
    }

    #[test]
    fn zero_keeps_its_prefix() {
        assert_eq!(printed("%p %#o %05d", longs(&[0, 0, -42])), "0x0 00 -0042");
    }

    #[test]
    fn a_negative_width_means_left_and_a_huge_one_is_cut() {
        assert_eq!(printed("[%*d]", longs(&[-4, 7])), "[7   ]");
        assert_eq!(printed("%*d", longs(&[i64::MIN, 7])).len(), WIDTH_MAX as usize);
    }

    #[test]
    fn blobs_are_bytes_and_dumps_are_hex() {
        let bytes = i64::from_le_bytes(*b"abcdefgh");
        assert_eq!(printed("%1b %2b %4b %b", longs(&[bytes; 4])), "a ab abcd abcdefgh");
        assert_eq!(printed("%.3m %M %.2M", vec![Text("xyz"), Text("xyz"), Text("xyz")]), "xyz 78 7879");
    }

    #[test]
    fn a_stack_fits_its_field() {
        let conversion = Conversion {
            flag: Some(b'-'),
            width: Measure::Fixed(12),
            precision: Measure::None,
            kind: b's',
            arg: ArgKind::Stack,
        };
        let mut out = Vec::new();
        convert(&conversion, &mut Given(longs(&[0xab]).into_iter()), &mut out);
        assert_eq!(out, b"0xab 0xab   ");
    }
}
