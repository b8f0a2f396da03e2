//! The handler that shows what a program leaves behind: every global that it uses, a line for each value.
//!
//! It runs in user space on both sides. Lines come in any order, as arrays in the kernel have none.

use crate::generate::extractors;
use crate::sample::{Sample, act, expr, local, long, stmt, text};
use crate::show::extractor_name;
use crate::used::Used;
use tapster_compiler::hir::{Expr, ExprKind, Foreach, GlobalId, Handler, Local, Stmt, StmtKind, Type, Walked};
use tapster_compiler::host::{Extractor, Sort, SortBy};
use tapster_compiler::image::{ArgKind, Conversion, Format, Measure, Piece};
use tapster_runtime_ebpf::aggregate::Histogram;

/// Stands between what a program prints and what it leaves behind.
pub const MARK: &str = "== left behind";

const UNSORTED: Sort = Sort { by: SortBy::Unsorted, descending: false };

/// The handler; its formats go to the end of `formats`.
pub fn handler(sample: &Sample, formats: &mut Vec<Format>) -> Handler {
    let mut ending = Ending { sample, formats, locals: Vec::new() };
    let mut body = vec![ending.print(format!("{MARK}\n"), Vec::new())];
    for global in Used::of(&sample.functions, &sample.handler).globals {
        body.extend(ending.global(global));
    }
    Handler { locals: ending.locals, body }
}

struct Ending<'a> {
    sample: &'a Sample,
    formats: &'a mut Vec<Format>,
    locals: Vec<Local>,
}

impl Ending<'_> {
    fn local(&mut self, ty: Type) -> usize {
        self.locals.push(local(format!("l{}", self.locals.len()), ty));
        self.locals.len() - 1
    }

    /// Prints a text in which `{}` stands for each argument.
    fn print(&mut self, layout: String, args: Vec<Expr>) -> Stmt {
        let mut pieces = Vec::new();
        for (nth, literal) in layout.split("{}").enumerate() {
            if let Some(arg) = nth.checked_sub(1).and_then(|nth| args.get(nth)) {
                let is_text = arg.ty == Type::String;
                let (kind, arg) = if is_text { (b's', ArgKind::Text(0)) } else { (b'd', ArgKind::Long) };
                let (width, precision) = (Measure::None, Measure::None);
                pieces.push(Piece::Conversion(Conversion { flag: None, width, precision, kind, arg }));
            }
            pieces.push(Piece::Literal(literal.into()));
        }
        self.formats.push(Format { pieces });
        act(expr(ExprKind::Print(self.formats.len() - 1, args), Type::Long))
    }

    fn global(&mut self, global: GlobalId) -> Vec<Stmt> {
        let declared = &self.sample.globals[global];
        let (name, ty) = (declared.name.clone(), declared.value.ty);
        let key_types: Vec<Type> = declared.keys.iter().flatten().map(|slot| slot.ty).collect();
        if key_types.is_empty() {
            return match ty {
                Type::Stats => self.statistic(global, &name, &[]),
                _ => vec![self.print(format!("{name} = {{}}\n"), vec![expr(ExprKind::Global(global), ty)])],
            };
        }
        let keys: Vec<usize> = key_types.iter().map(|ty| self.local(*ty)).collect();
        let key = |nth: &usize| expr(ExprKind::Local(*nth), self.locals[*nth].slot.ty);
        let values: Vec<Expr> = keys.iter().map(key).collect();
        let place = format!("{name}[{}]", vec!["{}"; keys.len()].join(", "));
        let body = match ty {
            Type::Stats => self.statistic(global, &place, &values),
            _ => {
                let value = expr(ExprKind::Element(global, values.clone()), ty);
                vec![self.print(format!("{place} = {{}}\n"), values.into_iter().chain([value]).collect())]
            }
        };
        let over = Walked::Array(global, Vec::new());
        vec![self.walk(over, keys, None, body)]
    }

    fn walk(&self, over: Walked, keys: Vec<usize>, value: Option<usize>, body: Vec<Stmt>) -> Stmt {
        let body = stmt(StmtKind::Block(body));
        stmt(StmtKind::Foreach(Box::new(Foreach { over, keys, value, sort: UNSORTED, limit: None, body })))
    }

    /// All that is kept of a statistic, each for itself, as reading may be an error.
    fn statistic(&mut self, global: GlobalId, place: &str, keys: &[Expr]) -> Vec<Stmt> {
        let layout = self.sample.globals[global].layout;
        let mut stmts: Vec<Stmt> =
            extractors(layout).into_iter().map(|extractor| self.extract(extractor, global, place, keys)).collect();
        if layout.histogram != Histogram::None {
            let (number, count) = (self.local(Type::Long), self.local(Type::Long));
            let value = |id| long(ExprKind::Local(id));
            let args = keys.iter().cloned().chain([value(number), value(count)]).collect();
            let print = self.print(format!("{place} bucket {{}} = {{}}\n"), args);
            let body = vec![stmt(StmtKind::If(value(count), Box::new(print), None))];
            stmts.push(self.walk(Walked::Buckets(global, keys.to_vec()), vec![number], Some(count), body));
        }
        stmts
    }

    fn extract(&mut self, extractor: Extractor, global: GlobalId, place: &str, keys: &[Expr]) -> Stmt {
        let name = extractor_name(extractor);
        let value = long(ExprKind::Stat(extractor, global, keys.to_vec()));
        let print = self.print(format!("{place} {name} = {{}}\n"), keys.iter().cloned().chain([value]).collect());
        let message = self.local(Type::String);
        let said = text(ExprKind::Local(message));
        let args = keys.iter().cloned().chain([said]).collect();
        let catch = vec![self.print(format!("{place} {name}: {{}}\n"), args)];
        stmt(StmtKind::Try { body: vec![print], message: Some(message), catch })
    }
}
