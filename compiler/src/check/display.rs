//! Shows at the end what a script collects and never shows itself: one more end probe for each such global.
//!
//! Texts and order are SystemTap's (reference: language.md, section 11; golden/g04). The probes come after types are known and
//! before shapes are; nothing leaves them out. Their statements count as those of any end probe do: SystemTap stops
//! such a walk, too, once ten times MAXACTION are used up, which is at some 5,000 elements.

use super::access::{Access, Accesses, Wants};
use super::origin::LibraryText;
use crate::hir::{
    Compare, Expr, ExprKind, Foreach, Global, GlobalId, Handler, Local, Place, Probe, Program, Slot, Stmt, StmtKind,
    Type, Walked,
};
use crate::host::{Extractor, Sort, SortBy};
use crate::image::{ArgKind, Conversion, Format, Measure, Piece, When};
use tapster_lang::Span;

/// What is shown of a statistic, in this order.
const EXTRACTORS: [(Extractor, &str); 5] = [
    (Extractor::Count, "@count"),
    (Extractor::Min, "@min"),
    (Extractor::Max, "@max"),
    (Extractor::Sum, "@sum"),
    (Extractor::Avg, "@avg"),
];

/// Adds an end probe for every global of the user's files that is written and not looked at. `order` is that in which
/// the script mentioned them ([`Accesses::mentioned`]).
pub fn display(library: &LibraryText, order: &[GlobalId], program: &mut Program) {
    let accesses = Accesses::of_globals(program, Wants::AsDisplayed);
    for &id in order {
        let Access { written, wanted, .. } = accesses[id];
        let span = program.globals[id].span;
        if !written || wanted || library.holds(span) {
            continue;
        }
        let mut display =
            Display { id, global: &program.globals[id], formats: &mut program.formats, locals: Vec::new() };
        let body = vec![display.body()];
        let handler = Handler { body, locals: display.locals };
        let place = Place::User(When::End(i64::MAX));
        let (point, name) = ("end".to_owned(), "end".to_owned());
        program.probes.push(Probe { point, sites: Vec::new(), name, lenient: false, span, place, handler });
    }
}

/// The probe that shows one global.
struct Display<'a> {
    id: GlobalId,
    global: &'a Global,
    formats: &'a mut Vec<Format>,
    locals: Vec<Local>,
}

impl Display<'_> {
    fn body(&mut self) -> Stmt {
        match (self.global.is_array(), self.global.value.ty) {
            (true, _) => self.walk(),
            (false, Type::Stats) => self.statistic(),
            (false, ty) => {
                let value = self.expr(ExprKind::Global(self.id), ty);
                self.line(Vec::new(), value)
            }
        }
    }

    /// A statistic without a value has a line of its own.
    fn statistic(&mut self) -> Stmt {
        let count = self.expr(ExprKind::Stat(Extractor::Count, self.id, Vec::new()), Type::Long);
        let is_empty = ExprKind::Compare(Compare::Eq, Box::new(count), Box::new(Expr::long(0, self.global.span)));
        let is_empty = self.expr(is_empty, Type::Long);
        let mut nothing = Line::default();
        nothing.text(&format!("{} @count=0x0\n", self.global.name));
        let nothing = self.print(nothing, Vec::new());
        let extracts = self.extracts(Vec::new());
        self.stmt(StmtKind::If(is_empty, Box::new(nothing), Some(Box::new(extracts))))
    }

    /// A line for every element, the largest value first.
    fn walk(&mut self) -> Stmt {
        let slots: Vec<Slot> = self.global.keys.clone().unwrap_or_default();
        let keys: Vec<_> =
            slots.iter().enumerate().map(|(nth, slot)| self.local(format!("__idx{nth}"), *slot)).collect();
        let key_values: Vec<Expr> =
            keys.iter().zip(&slots).map(|(local, slot)| self.expr(ExprKind::Local(*local), slot.ty)).collect();
        let (value, line) = match self.global.value.ty {
            Type::Stats => (None, self.extracts(key_values)),
            ty => {
                let local = self.local("__val".into(), Slot { ty, ..Slot::default() });
                let value = self.expr(ExprKind::Local(local), ty);
                (Some(local), self.line(key_values, value))
            }
        };
        let walk = Foreach {
            over: Walked::Array(self.id, Vec::new()),
            keys,
            value,
            sort: Sort { by: SortBy::Value(Extractor::Count), descending: true },
            limit: None,
            body: line,
        };
        self.stmt(StmtKind::Foreach(Box::new(walk)))
    }

    /// `name["key",1]=value`
    fn line(&mut self, keys: Vec<Expr>, value: Expr) -> Stmt {
        let mut line = self.start(&keys);
        line.text("=");
        line.value(value.ty);
        line.text("\n");
        self.print(line, keys.into_iter().chain([value]).collect())
    }

    /// `name["key",1] @count=2 @min=1 @max=5 @sum=6 @avg=3`
    fn extracts(&mut self, keys: Vec<Expr>) -> Stmt {
        let mut line = self.start(&keys);
        let mut args = keys.clone();
        for (extractor, name) in EXTRACTORS {
            line.text(&format!(" {name}="));
            line.value(Type::Long);
            args.push(self.expr(ExprKind::Stat(extractor, self.id, keys.clone()), Type::Long));
        }
        line.text("\n");
        self.print(line, args)
    }

    fn start(&self, keys: &[Expr]) -> Line {
        let mut line = Line::default();
        line.text(&self.global.name);
        for (nth, key) in keys.iter().enumerate() {
            line.text(if nth == 0 { "[" } else { "," });
            line.value(key.ty);
        }
        line.text(if keys.is_empty() { "" } else { "]" });
        line
    }

    fn print(&mut self, line: Line, args: Vec<Expr>) -> Stmt {
        self.formats.push(Format { pieces: line.0 });
        let print = self.expr(ExprKind::Print(self.formats.len() - 1, args), Type::Unknown);
        self.stmt(StmtKind::Expr(print))
    }

    fn local(&mut self, name: String, slot: Slot) -> usize {
        let span: Span = self.global.span;
        self.locals.push(Local { name, span, slot, from: span, assigned: true, ..Local::default() });
        self.locals.len() - 1
    }

    fn expr(&self, kind: ExprKind, ty: Type) -> Expr {
        Expr { ty, ..Expr::new(kind, self.global.span) }
    }

    fn stmt(&self, kind: StmtKind) -> Stmt {
        Stmt { kind, span: self.global.span }
    }
}

/// A format under construction.
#[derive(Default)]
struct Line(Vec<Piece>);

impl Line {
    fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Literal(last)) => last.extend_from_slice(text.as_bytes()),
            _ => self.0.push(Piece::Literal(text.into())),
        }
    }

    /// A number, or a string in quotes with nothing escaped.
    fn value(&mut self, ty: Type) {
        let (width, precision) = (Measure::None, Measure::None);
        let of = |kind, arg| Piece::Conversion(Conversion { flag: None, width, precision, kind, arg });
        if ty == Type::String {
            self.text("\"");
            self.0.push(of(b's', ArgKind::Text(0)));
            self.text("\"");
        } else {
            self.0.push(of(b'd', ArgKind::Long));
        }
    }
}
