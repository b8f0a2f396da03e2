//! Reads the format strings of printing statements (reference: language.md, section 8).

use crate::hir::Type;
use crate::image::{ArgKind, Conversion, Format, Measure, Piece};
use tapster_lang::{Diagnostic, Span};

/// Conversions that take a number.
const NUMBERS: &[u8] = b"bcdiMmopuxX";

/// Reads a `printf` format.
pub fn parse(text: &[u8], at: Span) -> Result<Format, Diagnostic> {
    let mut format = Builder::default();
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.first()) {
            (b'%', Some(b'%')) => {
                format.literal(b"%");
                rest = &tail[1..];
            }
            (b'%', _) => {
                let (conversion, used) = conversion(tail).ok_or_else(|| invalid(at))?;
                format.pieces.push(Piece::Conversion(conversion));
                rest = &tail[used..];
            }
            _ => format.literal(&[byte]),
        }
    }
    Ok(Format { pieces: format.pieces })
}

/// The conversion of an argument whose type is not known yet; [`settle`] leaves none.
const OPEN: u8 = 0;

/// The format that `print`, `println`, `printd` and `printdln` stand for.
pub fn plain(count: usize, delimiter: &[u8], newline: bool) -> Format {
    let mut format = Builder::default();
    for nth in 0..count {
        if nth > 0 && !delimiter.is_empty() {
            format.literal(delimiter);
        }
        let (width, precision) = (Measure::None, Measure::None);
        let conversion = Conversion { flag: None, width, precision, kind: OPEN, arg: ArgKind::Long };
        format.pieces.push(Piece::Conversion(conversion));
    }
    if newline {
        format.literal(b"\n");
    }
    Format { pieces: format.pieces }
}

/// Types of the arguments a format takes.
pub fn arguments(format: &Format) -> Vec<Type> {
    let mut arguments = Vec::new();
    for piece in &format.pieces {
        if let Piece::Conversion(conversion) = piece {
            let measures = [conversion.width, conversion.precision];
            arguments.extend(measures.iter().filter(|m| **m == Measure::Arg).map(|_| Type::Long));
            arguments.push(match conversion.kind {
                OPEN => Type::Unknown,
                b's' => Type::String,
                _ => Type::Long,
            });
        }
    }
    arguments
}

/// Decides between `%d` and `%s` where the type of the argument did.
pub fn settle(format: &mut Format, types: &[Type]) {
    let open = format.pieces.iter_mut().filter_map(|piece| match piece {
        Piece::Conversion(conversion) if conversion.kind == OPEN => Some(conversion),
        _ => None,
    });
    for (conversion, ty) in open.zip(types) {
        let text = *ty == Type::String;
        conversion.kind = if text { b's' } else { b'd' };
        conversion.arg = if text { ArgKind::Text(0) } else { ArgKind::Long };
    }
}

#[derive(Default)]
struct Builder {
    pieces: Vec<Piece>,
}

impl Builder {
    fn literal(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Literal(last)) => last.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Literal(bytes.to_vec())),
        }
    }
}

/// Reads what follows a `%`; gives the number of bytes read.
fn conversion(text: &[u8]) -> Option<(Conversion, usize)> {
    let mut at = 0;
    let flag = text.first().copied().filter(|byte| b"0+- #".contains(byte));
    at += usize::from(flag.is_some());
    let width = measure(text, &mut at)?;
    let precision = if text.get(at) == Some(&b'.') {
        at += 1;
        match measure(text, &mut at)? {
            // A dot alone is a precision of nothing.
            Measure::None => Measure::Fixed(0),
            given => given,
        }
    } else {
        Measure::None
    };
    at += usize::from(text.get(at) == Some(&b'l'));
    let kind = *text.get(at)?;
    let arg = match kind {
        b's' => ArgKind::Text(0),
        kind if NUMBERS.contains(&kind) => ArgKind::Long,
        _ => return None,
    };
    Some((Conversion { flag, width, precision, kind, arg }, at + 1))
}

fn measure(text: &[u8], at: &mut usize) -> Option<Measure> {
    if text.get(*at) == Some(&b'*') {
        *at += 1;
        return Some(Measure::Arg);
    }
    let digits: &[u8] = &text[*at..];
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    *at += count;
    if count == 0 {
        return Some(Measure::None);
    }
    core::str::from_utf8(&digits[..count]).ok()?.parse().ok().map(Measure::Fixed)
}

fn invalid(at: Span) -> Diagnostic {
    Diagnostic::error("parse::format", "invalid or missing conversion specifier")
        .label(at, "in this format")
        .help("conversions are %b %c %d %i %m %M %o %p %s %u %x %X and %%, with one flag, a width and a precision")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_read_with_flag_width_and_precision() {
        let format = parse(b"%-10.2s|%*d%%", Span::default()).expect("a good format");
        assert_eq!(arguments(&format), [Type::String, Type::Long, Type::Long]);
        assert_eq!(format.pieces.len(), 4);
        for bad in [&b"%n"[..], b"%5%", b"100%", b"%05.2f"] {
            assert!(parse(bad, Span::default()).is_err());
        }
    }
}
