//! Printing: `print`, `printf`, `sprintd` and their kin, and what their first argument must be.

use super::build::{Builder, Built, Node};
use super::expr::Row;
use super::grammar::{Pair, Rule};
use crate::ast::{Expr, ExprKind, Literal, PrintOp};
use crate::source::Span;

/// `print_char`, or `[s]print(f | [d][ln])`.
pub(super) fn print_op(name: &str) -> Option<PrintOp> {
    let mut op = PrintOp { to_string: false, format: false, delimited: false, newline: false, char: false };
    if name == "print_char" {
        op.char = true;
        return Some(op);
    }
    let rest = name.strip_prefix('s').inspect(|_| op.to_string = true).unwrap_or(name);
    match rest.strip_prefix("print")? {
        "" => {}
        "f" => op.format = true,
        "d" => op.delimited = true,
        "ln" => op.newline = true,
        "dln" => (op.delimited, op.newline) = (true, true),
        _ => return None,
    }
    Some(op)
}

impl Builder<'_> {
    /// A printing call; `at` is its name.
    pub(super) fn print(&mut self, op: PrintOp, at: Span, args: Pair) -> Built<Node> {
        let span = at.to(self.span(&args));
        let parts: Vec<Pair> = args.into_inner().collect();
        let (close, parts) = parts.split_last().expect("arguments end in a bracket");
        let close = self.span(close);
        let prints_values = !op.format && !op.delimited && !op.char;
        if let Some(first) = parts.first().filter(|_| prints_values)
            && let Some(histogram) = self.bare_histogram(first.clone())?
        {
            if let Some(second) = parts.get(1) {
                let comma = self.token_after(histogram.expr.span.end);
                debug_assert!(comma.end <= self.span(second).start);
                return Err(self.expected("expected ')'", comma));
            }
            return self.node(ExprKind::Print(op, vec![histogram.expr]), span, at, histogram.height);
        }
        let (mut args, mut height) = (Vec::with_capacity(parts.len()), 0);
        for part in parts {
            let node = self.expr(part.clone())?;
            height = height.max(node.height);
            args.push(node.expr);
        }
        self.check_arguments(op, &args, close)?;
        self.node(ExprKind::Print(op, args), span, at, height)
    }

    /// `@hist_log(s)` alone, which is an expression nowhere else.
    fn bare_histogram(&mut self, arg: Pair) -> Built<Option<Node>> {
        let parts: Vec<Pair> = arg.clone().into_inner().collect();
        let [word, args] = parts.as_slice() else { return Ok(None) };
        if !matches!(word.as_str(), "@hist_log" | "@hist_linear") || args.as_rule() != Rule::args {
            return Ok(None);
        }
        let mut row: Row = arg.into_inner().peekable();
        let word = row.next().expect("just seen");
        self.histogram(&word, &mut row).map(Some)
    }

    fn check_arguments(&self, op: PrintOp, args: &[Expr], close: Span) -> Built<()> {
        let wanted = match (op.format || op.delimited, op.delimited, op.newline) {
            (true, true, _) => 3,
            (true, false, _) | (false, _, false) => 1,
            (false, _, true) => 0,
        };
        if op.format || op.delimited {
            self.check_first(op, args.first(), close)?;
        }
        match args.len() < wanted {
            true if op.delimited => Err(self.expected("expected one of ', )'", close)),
            true => Err(self.expected("expected literal string or number", close)),
            false => Ok(()),
        }
    }

    /// The format or delimiter is a literal.
    fn check_first(&self, op: PrintOp, first: Option<&Expr>, close: Span) -> Built<()> {
        match first.map(|first| &first.kind) {
            Some(ExprKind::Literal(Literal::String(text))) if op.format => match check_format(text) {
                Ok(()) => Ok(()),
                Err(message) => {
                    let at = first.map_or(close, |first| first.span);
                    let help = "a conversion is %, one of `0 + - space #`, a width, `.` and a precision, and one of \
                                `b c d i m M o p s u x X`; `%%` prints %";
                    Err(Box::new(self.error("parse::format", message, at).help(help)))
                }
            },
            Some(ExprKind::Literal(Literal::String(_))) => Ok(()),
            Some(_) => {
                let at = first.map_or(close, |first| self.token_after(first.span.start));
                Err(self.expected("expected literal string", at))
            }
            None => Err(self.expected("expected literal string", close)),
        }
    }
}

/// Whether every `%` starts a conversion: `%[flag][width|*][.precision|.*][l]conversion`.
fn check_format(format: &[u8]) -> Result<(), &'static str> {
    let mut rest = format.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'%' || rest.next_if_eq(&b'%').is_some() {
            continue;
        }
        if rest.peek().is_none() {
            return Err("invalid or missing conversion specifier");
        }
        rest.next_if(|byte| b"0+- #".contains(byte));
        if rest.next_if_eq(&b'*').is_none() {
            while rest.next_if(u8::is_ascii_digit).is_some() {}
        }
        if rest.next_if_eq(&b'.').is_some() && rest.next_if_eq(&b'*').is_none() {
            while rest.next_if(u8::is_ascii_digit).is_some() {}
        }
        rest.next_if_eq(&b'l');
        match rest.next() {
            Some(conversion) if b"bcdimMopsuxX".contains(&conversion) => {}
            Some(_) => return Err("invalid or missing conversion specifier"),
            None => return Err("trailing incomplete print format conversion"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eleven_names_print() {
        let names = ["print", "println", "printd", "printdln", "printf", "print_char"];
        let strings = ["sprint", "sprintln", "sprintd", "sprintdln", "sprintf"];
        assert!(names.iter().all(|name| print_op(name).is_some_and(|op| !op.to_string)));
        assert!(strings.iter().all(|name| print_op(name).is_some_and(|op| op.to_string)));
        for other in ["printfln", "sprint_char", "printx", "spring", "println_", "print_stack"] {
            assert_eq!(print_op(other), None, "{other}");
        }
    }

    #[test]
    fn formats_have_one_flag_and_known_conversions() {
        for good in ["%d", "100%%", "%%", "%-10.2s", "%*d", "%.*s", "%#08x", "%ld", "%5b", "%.16M", "%c%%"] {
            assert_eq!(check_format(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["%5%", "100%", "%05.2f", "%n", "%+-d", "% "] {
            assert!(check_format(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
