//! Formats and their arguments.

use super::Generator;
use crate::sample::long;
use tapster_compiler::hir::{Arith, Expr, ExprKind};
use tapster_compiler::image::{ArgKind, Conversion, Format, Measure, Piece};

impl Generator {
    /// A format with its arguments; `line` ends it with a newline.
    pub(super) fn format(&mut self, depth: usize, line: bool) -> (usize, Vec<Expr>) {
        let (mut pieces, mut args) = (Vec::new(), Vec::new());
        for _ in 0..1 + self.rng.below(3) {
            if self.rng.chance(50) {
                let literal = *self.rng.pick::<&[u8]>(&[&b" "[..], b"[", b"] ", b"%", b"x=", b", "]);
                pieces.push(Piece::Literal(literal.to_vec()));
            }
            let conversion = self.conversion(depth, &mut args);
            pieces.push(Piece::Conversion(conversion));
        }
        if line {
            pieces.push(Piece::Literal(b"\n".to_vec()));
        }
        self.sample.formats.push(Format { pieces });
        (self.sample.formats.len() - 1, args)
    }

    fn conversion(&mut self, depth: usize, args: &mut Vec<Expr>) -> Conversion {
        let is_text = self.features.texts && self.rng.chance(40);
        let kind = if is_text { b's' } else { *self.rng.pick(b"dddduixXopc") };
        let (mut flag, mut width, mut precision) = (None, Measure::None, Measure::None);
        if self.rng.chance(25) {
            width = self.measure(12, args);
        }
        // A dot and a zero would be two ways to fill, and SystemTap's manual says nothing of both.
        if kind != b'c' && self.rng.chance(15) {
            precision = self.measure(10, args);
        }
        if self.rng.chance(20) {
            let flags: &[u8] = match (kind, precision) {
                (b's' | b'c', _) => b"-",
                (_, Measure::None) => b"-0+ #",
                _ => b"-+ #",
            };
            flag = Some(*self.rng.pick(flags));
        }
        args.push(match kind {
            b's' => self.text(depth),
            b'c' => self.character(depth),
            _ => self.long(depth),
        });
        let arg = if is_text { ArgKind::Text(0) } else { ArgKind::Long };
        Conversion { flag, width, precision, kind, arg }
    }

    /// A width or a precision from 1 on.
    fn measure(&mut self, most: usize, args: &mut Vec<Expr>) -> Measure {
        let number = 1 + self.rng.below(most);
        if self.rng.chance(25) {
            args.push(long(ExprKind::Long(number as i64)));
            return Measure::Arg;
        }
        Measure::Fixed(number as u32)
    }

    /// A number whose lowest byte can be printed.
    fn character(&mut self, depth: usize) -> Expr {
        let k = |number| long(ExprKind::Long(number)).into();
        let low = long(ExprKind::Arith(Arith::And, self.long(depth).into(), k(31)));
        long(ExprKind::Arith(Arith::Add, low.into(), k(64)))
    }
}
