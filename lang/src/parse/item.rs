//! Top-level forms.

use super::build::{Builder, Built};
use super::grammar::{Pair, Rule};
use crate::ast::{Alias, Function, FunctionBody, Global, Item, Literal, Param, Probe, ProbePoint, TypeName};
use crate::literal;
use crate::source::Span;

/// The most elements an array may be given: a C `int`.
const SIZE_MAX: i64 = i32::MAX as i64;

impl Builder<'_> {
    /// One form, which may define several things.
    pub(super) fn item(&mut self, pair: Pair, items: &mut Vec<Item>) -> Built<()> {
        match pair.as_rule() {
            Rule::probe => items.push(self.probe(pair)?),
            Rule::function => items.push(Item::Function(self.function(pair, false)?)),
            Rule::global => self.globals(pair, false, items)?,
            Rule::private => match pair.clone().into_inner().find(|part| part.as_rule() == Rule::private_function) {
                Some(function) => items.push(Item::Function(self.function(function, true)?)),
                None => self.globals(pair, true, items)?,
            },
            _ => items.push(Item::EmbeddedC(self.embedded_c(&pair, "")?)),
        }
        Ok(())
    }

    fn globals(&mut self, pair: Pair, private: bool, items: &mut Vec<Item>) -> Built<()> {
        for variable in pair.into_inner().filter(|part| part.as_rule() == Rule::variable) {
            let global = self.global(variable, private)?;
            match self.globals.insert(global.name.name.clone(), private) {
                None => items.push(Item::Global(global)),
                Some(other) if other == private => {
                    return Err(self.error("parse::duplicate-global", "duplicate global name", global.name.span));
                }
                Some(_) => {
                    let message = "global versus private variable declaration conflict";
                    return Err(self.error("parse::duplicate-global", message, global.name.span));
                }
            }
        }
        Ok(())
    }

    fn global(&self, pair: Pair, private: bool) -> Built<Global> {
        let mut parts = pair.into_inner();
        let name = self.ident(&parts.next().expect("a global has a name"));
        let mut global = Global { name, private, wrap: false, size: None, init: None };
        for part in parts {
            match part.as_rule() {
                Rule::wrap => global.wrap = true,
                Rule::size => global.size = Some(self.size(part)?),
                _ if global.size.is_some() => {
                    let equals = self.token_after(self.span(&part).start);
                    let message = "only scalar globals can be initialized";
                    return Err(self.error("parse::initialised-array", message, equals));
                }
                _ => {
                    let value = part.into_inner().next().expect("an initialiser has a value");
                    global.init = Some(self.literal(value)?);
                }
            }
        }
        Ok(global)
    }

    /// `[N]`
    fn size(&self, pair: Pair) -> Built<(u64, Span)> {
        let number = pair.into_inner().next().expect("a size has a number");
        let (value, span) = self.number_literal(number)?;
        match value {
            1..=SIZE_MAX => Ok((value as u64, span)),
            _ => {
                let error = self.error("parse::array-size", "array size out of range", span);
                Err(Box::new(error.help(format!("an array holds from 1 to {SIZE_MAX} elements"))))
            }
        }
    }

    /// `-`? number within a pair. An argument that does not exist counts as 1.
    fn number_literal(&self, pair: Pair) -> Built<(i64, Span)> {
        let (mut negative, mut span) = (false, Span::NONE);
        for part in pair.into_inner() {
            span = span.to(self.span(&part));
            match part.as_rule() {
                Rule::minus => negative = true,
                Rule::number => {
                    let value = literal::signed_number(part.as_str(), negative);
                    return value.map(|value| (value, span)).ok_or_else(|| self.out_of_range(self.span(&part)));
                }
                _ => {}
            }
        }
        Ok((1, span))
    }

    /// A string or number as initialisers and probe points take them.
    pub(super) fn literal(&self, pair: Pair) -> Built<(Literal, Span)> {
        match pair.clone().into_inner().next() {
            Some(strings) if strings.as_rule() == Rule::strings => {
                let missing = strings.clone().into_inner().find(|part| part.as_rule() == Rule::argument);
                if missing.is_some_and(|missing| missing.as_str().starts_with('$')) {
                    return Ok((Literal::Number(1), self.span(&strings)));
                }
                let (value, span) = self.strings(strings);
                Ok((Literal::String(value), span))
            }
            _ => {
                let (value, span) = self.number_literal(pair)?;
                Ok((Literal::Number(value), span))
            }
        }
    }

    fn function(&mut self, pair: Pair, private: bool) -> Built<Function> {
        let start = self.span(&pair);
        self.in_function = true;
        let (mut name, mut result, mut priority, mut body) = (None, None, None, None);
        let mut params: Vec<Param> = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::function_name => name = Some(self.ident(&part)),
                Rule::result => result = part.into_inner().next().map(|ty| type_name(&ty)),
                Rule::parameter => params.push(self.parameter(part, &params)?),
                Rule::priority => priority = Some(self.priority(part)?),
                Rule::block => body = Some((self.span(&part), FunctionBody::Script(self.block(part)?))),
                Rule::embedded_c => {
                    body = Some((self.span(&part), FunctionBody::EmbeddedC(self.embedded_c(&part, "")?)))
                }
                _ => {}
            }
        }
        let (end, body) = body.expect("a function has a body");
        let name = name.expect("a function has a name");
        Ok(Function { name, private, result, params, priority, body, span: Span::new(start.start, end.end) })
    }

    fn parameter(&self, pair: Pair, before: &[Param]) -> Built<Param> {
        let mut parts = pair.into_inner();
        let name = self.ident(&parts.next().expect("a parameter has a name"));
        if before.iter().any(|other| other.name.name == name.name) {
            return Err(self.error("parse::duplicate-parameter", "duplicate parameter names", name.span));
        }
        Ok(Param { name, ty: parts.next().map(|ty| type_name(&ty)) })
    }

    fn priority(&self, pair: Pair) -> Built<(i64, Span)> {
        let value = pair.into_inner().next().expect("a priority has a value");
        match self.literal(value)? {
            (Literal::Number(value), span) if value >= 1 => Ok((value, span)),
            (Literal::Number(_), span) => Err(self.error("parse::priority", "specified priority must be > 0", span)),
            (Literal::String(_), span) => Err(self.error("parse::priority", "expected literal number", span)),
        }
    }

    fn probe(&mut self, pair: Pair) -> Built<Item> {
        let start = self.span(&pair);
        let mut lists: Vec<Vec<ProbePoint>> = Vec::new();
        let (mut epilogue, mut blocks) = (None, Vec::new());
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::points => lists.push(self.points(part)?),
                Rule::alias_op => {
                    self.check_alias_name(lists.last(), &part)?;
                    epilogue = epilogue.or((part.as_str() == "+=").then(|| self.span(&part)));
                }
                Rule::block => blocks.push(self.block(part)?),
                _ => {}
            }
        }
        let points = lists.pop().expect("a probe has points");
        let after = if blocks.len() > 1 { blocks.pop() } else { None };
        let body = blocks.pop().expect("a probe has a body");
        let end = after.as_ref().map_or(body.span, |after| after.span);
        let span = Span::new(start.start, end.end);
        if let Some(after) = after.as_ref().filter(|_| lists.is_empty() || epilogue.is_some()) {
            return Err(self.second_block(epilogue.is_some(), body.span, after.span));
        }
        if lists.is_empty() {
            return Ok(Item::Probe(Probe { points, body, span }));
        }
        let names = lists.into_iter().flatten().collect();
        Ok(Item::Alias(Alias { names, epilogue: epilogue.is_some(), points, body, after, span }))
    }

    /// Before `=` and `+=` stands a single plain name.
    fn check_alias_name(&self, names: Option<&Vec<ProbePoint>>, op: &Pair) -> Built<()> {
        match names.map(Vec::as_slice) {
            Some([name]) if !name.optional && !name.sufficient => Ok(()),
            Some([name]) => {
                let message = "probe point alias name cannot be optional nor sufficient";
                let at = name.components.first().map_or(name.span, |first| first.name.span);
                Err(Box::new(self.error("parse::alias-name", message, at).at_token()))
            }
            _ => Err(self.expected("expected probe point specifier", self.span(op))),
        }
    }

    /// `{ … }, { … }` where only one block may stand.
    fn second_block(&self, epilogue: bool, first: Span, second: Span) -> Box<crate::Diagnostic> {
        match epilogue {
            true => {
                let message = "Combined prologue and epilogue cannot be defined with '+='";
                self.error("parse::alias-blocks", message, self.token_after(first.end))
            }
            false => {
                debug_assert!(second.start > first.end);
                self.expected(super::TOP_LEVEL, self.token_after(first.end))
            }
        }
    }
}

fn type_name(pair: &Pair) -> TypeName {
    if pair.as_str() == "string" { TypeName::String } else { TypeName::Long }
}
