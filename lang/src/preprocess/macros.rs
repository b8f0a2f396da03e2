//! Macros: `@define NAME(p, q) %( … %)`, and `@NAME(a, b)` in its place.
//!
//! Arguments are closures: they are expanded where they are used, with the meaning they had where they were written.

use super::{Environment, Fallible, PreToken, TOKENS_MAX, tokens_of};
use crate::diagnostic::Diagnostic;
use crate::lexer::TokenKind;
use crate::source::{Expansion, ExpansionSite, FileId, SourceMap, Span};
use std::collections::HashMap;
use std::sync::Arc;

/// Operators of the language, which a macro may hide.
const OPERATORS: [&str; 21] = [
    "cast",
    "defined",
    "probewrite",
    "entry",
    "perf",
    "var",
    "avg",
    "count",
    "sum",
    "min",
    "max",
    "hist_linear",
    "hist_log",
    "const",
    "variance",
    "kregister",
    "uregister",
    "kderef",
    "uderef",
    "enum",
    "enumname",
];
/// Expansions within expansions.
const DEPTH_MAX: usize = 256;

/// Macros of the library, available in every file. Their bodies lie in the [`SourceMap`] they were read from.
#[derive(Debug, Clone, Default)]
pub struct Macros {
    by_name: HashMap<String, Arc<Macro>>,
}

#[derive(Debug)]
struct Macro {
    /// Where its name stands in its definition.
    defined: Span,
    params: Vec<String>,
    body: Arc<[PreToken]>,
    /// From the library: it does not see the macros of the file that uses it.
    library: bool,
}

impl Macros {
    /// Whether there is a macro of this name, given without its `@`.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Adds the definitions of a macro file (`.stpm`), which holds nothing else. All of them or, with errors, none.
    pub fn add_file(&mut self, file: FileId, sources: &SourceMap, env: &Environment) -> Result<(), Vec<Diagnostic>> {
        let expander = Expander::new(sources, tokens_of(file, sources), self);
        let mut conditionals = super::Conditionals::new(expander, env);
        let found = match conditionals.next() {
            Err(error) => return Err(vec![*error]),
            Ok(Some(token)) => {
                let message = format!("unexpected token in library macro file '{}'", sources.name(file));
                return Err(vec![Diagnostic::error("parse::macro-file", message).label(token.span, "").at_token()]);
            }
            Ok(None) => conditionals.into_definitions(),
        };
        for (name, new) in &found {
            if let Some(old) = self.by_name.get(name) {
                let message = format!("duplicate definition of library macro '@{name}'");
                return Err(vec![redefined(message, name, new.defined, old.defined)]);
            }
        }
        self.by_name.extend(found.into_iter().map(|(name, found)| {
            let Macro { defined, params, body, .. } = &*found;
            (name, Arc::new(Macro { defined: *defined, params: params.clone(), body: body.clone(), library: true }))
        }));
        Ok(())
    }

    /// Takes those of others whose names are not taken.
    pub fn fill(&mut self, others: Macros) {
        for (name, found) in others.by_name {
            self.by_name.entry(name).or_insert(found);
        }
    }
}

fn redefined(message: String, name: &str, new: Span, old: Span) -> Diagnostic {
    let first = Diagnostic::error("parse::macro-redefined", format!("macro '@{name}' first defined here"));
    let error = Diagnostic::error("parse::macro-redefined", message).label(new, "defined again").at_token();
    error.cause(first.label(old, "").at_token())
}

/// The tokens of a file with macros expanded.
pub(super) struct Expander<'a> {
    pub(super) sources: &'a SourceMap,
    library: &'a Macros,
    local: HashMap<String, Arc<Macro>>,
    input: Vec<PreToken>,
    at: usize,
    /// What is being expanded, innermost last.
    active: Vec<Activation>,
    sites: Vec<ExpansionSite>,
    warnings: Vec<Diagnostic>,
    handled: usize,
}

/// A body being read.
struct Activation {
    body: Arc<[PreToken]>,
    at: usize,
    scope: Scope,
    /// The place its tokens get; those of an argument keep theirs.
    site: Option<u32>,
}

/// What `@p` means inside a body.
#[derive(Clone)]
struct Scope {
    args: Arc<HashMap<String, Closure>>,
    library: bool,
}

/// An argument with the meaning of its own place.
#[derive(Clone)]
struct Closure {
    body: Arc<[PreToken]>,
    scope: Option<Scope>,
}

enum Callee {
    Macro(Arc<Macro>),
    Argument(Closure),
}

impl<'a> Expander<'a> {
    pub(super) fn new(sources: &'a SourceMap, input: Vec<PreToken>, library: &'a Macros) -> Expander<'a> {
        Expander {
            sources,
            library,
            local: HashMap::new(),
            input,
            at: 0,
            active: Vec::new(),
            sites: Vec::new(),
            warnings: Vec::new(),
            handled: 0,
        }
    }

    pub(super) fn into_history(self) -> (Vec<ExpansionSite>, Vec<Diagnostic>) {
        (self.sites, self.warnings)
    }

    fn into_definitions(self) -> HashMap<String, Arc<Macro>> {
        self.local
    }

    /// The next token, macros expanded and definitions taken out.
    pub(super) fn next(&mut self) -> Fallible<Option<PreToken>> {
        loop {
            let Some(token) = self.unexpanded() else { return Ok(None) };
            self.count(token.span)?;
            let name = match token.kind {
                TokenKind::Operator => token.text(self.sources).strip_prefix('@'),
                _ => None,
            };
            match name {
                Some("define") => self.define(token)?,
                Some(name) => match self.callee(name) {
                    Some(Callee::Macro(callee)) => self.call(token, name, &callee)?,
                    Some(Callee::Argument(closure)) => self.read_argument(token.span, closure)?,
                    None => return Ok(Some(token)),
                },
                None => return Ok(Some(token)),
            }
        }
    }

    /// The next token as it stands, for text that is skipped.
    pub(super) fn unexpanded(&mut self) -> Option<PreToken> {
        loop {
            if let Some(token) = self.within_body() {
                return Some(token);
            }
            self.active.pop()?;
        }
    }

    /// The next token of the innermost body, `None` at its end.
    fn within_body(&mut self) -> Option<PreToken> {
        let Some(active) = self.active.last_mut() else {
            let token = self.input.get(self.at).copied();
            self.at += 1;
            return token;
        };
        let token = active.body.get(active.at).copied()?;
        active.at += 1;
        Some(PreToken { site: active.site.or(token.site), ..token })
    }

    /// Macros that expand to ever more tokens end here. A long token counts as several: its text is copied, too.
    fn count(&mut self, at: Span) -> Fallible<()> {
        self.handled += 1 + at.len() as usize / 64;
        match self.handled > TOKENS_MAX || self.active.len() > DEPTH_MAX {
            true => {
                self.active.clear();
                self.at = self.input.len();
                let error = Diagnostic::error("parse::macro-limit", "macro expansion does not end");
                Err(Box::new(error.label(at, "still expanding here").at_token()))
            }
            false => Ok(()),
        }
    }

    fn callee(&self, name: &str) -> Option<Callee> {
        let scope = self.active.last().map(|active| &active.scope);
        if let Some(closure) = scope.and_then(|scope| scope.args.get(name)) {
            return Some(Callee::Argument(closure.clone()));
        }
        let local = self.local.get(name).filter(|_| !scope.is_some_and(|scope| scope.library));
        local.or_else(|| self.library.by_name.get(name)).cloned().map(Callee::Macro)
    }

    fn read_argument(&mut self, at: Span, closure: Closure) -> Fallible<()> {
        self.count(at)?;
        let nothing = Scope { args: Arc::default(), library: false };
        let scope = closure.scope.unwrap_or(nothing);
        self.active.push(Activation { body: closure.body, at: 0, scope, site: None });
        Ok(())
    }

    fn call(&mut self, token: PreToken, name: &str, callee: &Macro) -> Fallible<()> {
        self.count(token.span)?;
        let args = match callee.params.is_empty() {
            true => HashMap::new(),
            false => self.arguments(token, name, callee)?,
        };
        let expansion = Expansion { name: format!("@{name}"), call_site: token.span };
        let site = self.sites.len() as u32;
        self.sites.push(ExpansionSite { expansion, outer: token.site });
        let scope = Scope { args: Arc::new(args), library: callee.library };
        self.active.push(Activation { body: callee.body.clone(), at: 0, scope, site: Some(site) });
        Ok(())
    }

    /// `(a, b)`: as many as the macro takes, split at the commas between brackets.
    fn arguments(&mut self, token: PreToken, name: &str, callee: &Macro) -> Fallible<HashMap<String, Closure>> {
        let wanted = callee.params.len();
        let open = self.within_body().filter(|open| open.is_operator(self.sources, "("));
        if open.is_none() {
            let plural = if wanted == 1 { "" } else { "s" };
            let message = format!("expected '(' in invocation of macro '@{name}' taking {wanted} parameter{plural}");
            return Err(error("parse::macro-call", message, token.span));
        }
        let scope = self.active.last().map(|active| active.scope.clone());
        let mut args = HashMap::new();
        for (index, param) in callee.params.iter().enumerate() {
            let (body, end) = self.argument(token.span)?;
            let is_last = index + 1 == wanted;
            match (is_last, end.is_operator(self.sources, ")")) {
                (true, false) => return Err(self.wrong_count("many", name, wanted, end.span)),
                (false, true) => return Err(self.wrong_count("few", name, wanted, end.span)),
                _ => {}
            }
            args.insert(param.clone(), Closure { body: body.into(), scope: scope.clone() });
        }
        Ok(args)
    }

    fn wrong_count(&self, which: &str, name: &str, wanted: usize, at: Span) -> Box<Diagnostic> {
        error("parse::macro-call", format!("too {which} parameters for macro '@{name}' (expected {wanted})"), at)
    }

    /// One argument and the `,` or `)` behind it.
    fn argument(&mut self, call: Span) -> Fallible<(Vec<PreToken>, PreToken)> {
        let (mut body, mut nesting) = (Vec::new(), 0u32);
        while let Some(token) = self.within_body() {
            self.count(call)?;
            if token.kind == TokenKind::Operator {
                match token.text(self.sources) {
                    "(" | "[" => nesting += 1,
                    ")" | "]" if nesting > 0 => nesting -= 1,
                    ")" | "," if nesting == 0 => return Ok((body, token)),
                    _ => {}
                }
            }
            body.push(token);
        }
        Err(error("parse::macro-call", "could not find end of macro invocation", call))
    }

    /// `NAME %( … %)` or `NAME(p, q) %( … %)`, behind `@define`.
    fn define(&mut self, define: PreToken) -> Fallible<()> {
        if !self.active.is_empty() {
            return Err(error("parse::macro-definition", "'@define' forbidden inside macro body", define.span));
        }
        let name = self.identifier(define.span)?;
        let word = name.text(self.sources).to_owned();
        let (params, open) = self.signature(name.span)?;
        if !open.is_some_and(|open| open.is_operator(self.sources, "%(")) {
            let wanted = if params.is_empty() { "expected '%(' or '('" } else { "expected '%('" };
            return Err(error("parse::macro-definition", wanted, open.map_or(name.span, |open| open.span)));
        }
        let body = self.body(name.span)?;
        if word == "define" {
            return Err(error("parse::macro-definition", "attempt to redefine '@define'", name.span));
        }
        if let Some(old) = self.local.get(&word) {
            let message = format!("attempt to redefine macro '@{word}' in the same file");
            return Err(Box::new(redefined(message, &word, name.span, old.defined)));
        }
        if OPERATORS.contains(&word.as_str()) {
            let message = format!("macro redefines built-in operator '@{word}'");
            self.warnings.push(Diagnostic::warning("parse::macro-hides-operator", message).label(name.span, ""));
        }
        self.local.insert(word, Arc::new(Macro { defined: name.span, params, body, library: false }));
        Ok(())
    }

    /// Parameter names, and the token that follows.
    fn signature(&mut self, name: Span) -> Fallible<(Vec<String>, Option<PreToken>)> {
        let mut params = Vec::new();
        let next = self.within_body();
        if !next.is_some_and(|next| next.is_operator(self.sources, "(")) {
            return Ok((params, next));
        }
        loop {
            params.push(self.identifier(name)?.text(self.sources).to_owned());
            match self.within_body() {
                Some(token) if token.is_operator(self.sources, ",") => {}
                Some(token) if token.is_operator(self.sources, ")") => return Ok((params, self.within_body())),
                other => {
                    let at = other.map_or(name, |token| token.span);
                    return Err(error("parse::macro-definition", "expected ',' or ')'", at));
                }
            }
        }
    }

    fn identifier(&mut self, before: Span) -> Fallible<PreToken> {
        match self.within_body() {
            Some(token) if token.kind == TokenKind::Identifier => Ok(token),
            other => {
                let at = other.map_or(before, |token| token.span);
                Err(error("parse::macro-definition", "expected identifier", at))
            }
        }
    }

    /// Everything up to the `%)` that closes the body.
    fn body(&mut self, name: Span) -> Fallible<Arc<[PreToken]>> {
        let (mut body, mut nesting) = (Vec::new(), 0u32);
        while let Some(token) = self.within_body() {
            if token.is_operator(self.sources, "%(") {
                nesting += 1;
            } else if token.is_operator(self.sources, "%)") {
                match nesting.checked_sub(1) {
                    Some(outer) => nesting = outer,
                    None => return Ok(body.into()),
                }
            }
            body.push(token);
        }
        Err(error("parse::macro-definition", "incomplete macro definition - missing '%)'", name))
    }
}

/// An error at the faulty token itself.
pub(super) fn error(code: &'static str, message: impl Into<String>, at: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(code, message).label(at, "").at_token())
}

impl super::Conditionals<'_, '_> {
    fn into_definitions(self) -> HashMap<String, Arc<Macro>> {
        self.expander.into_definitions()
    }
}
