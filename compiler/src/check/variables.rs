//! Which variable a name is: a local, a parameter or a global.

use super::builder::Builder;
use crate::hir::{self, Local, LocalId};
use crate::suggest::did_you_mean;
use tapster_lang::ast::Ident;
use tapster_lang::{Diagnostic, Span};

impl Builder<'_, '_> {
    /// The global that a name is, if it is one.
    pub(super) fn find_global(&self, name: &str) -> Option<hir::GlobalId> {
        match self.params {
            None => self.names.global(name, self.file),
            Some(params) if self.handler.locals[..params].iter().any(|param| param.name == name) => None,
            Some(_) => self.names.global_of_function(name, self.file),
        }
    }

    /// A global array by name.
    pub(super) fn global(&mut self, array: &Ident, arity: usize) -> Option<hir::GlobalId> {
        let found = self.find_global(&array.name);
        if found.is_none() {
            let error = Diagnostic::error(
                "check::no-array",
                format!("unresolved arity-{arity} global array {}, missing global declaration?", array.name),
            )
            .label(array.span, "no such array");
            let names: Vec<&str> = self.program.globals.iter().map(|g| g.name.as_str()).collect();
            let help = did_you_mean(&array.name, names)
                .unwrap_or_else(|| format!("arrays are global: add `global {}` at the top", array.name));
            self.cx.report(error.help(help));
        }
        found
    }

    /// Notes how many keys a global has; all uses must agree.
    pub(super) fn arity(&mut self, global: hir::GlobalId, count: usize, at: Span) {
        let global = &mut self.program.globals[global];
        match &global.keys {
            None => {
                global.keys = Some(vec![hir::Slot::default(); count]);
                global.keys_from = at;
            }
            Some(keys) if keys.len() == count => {}
            Some(keys) => {
                let message = format!("inconsistent arity ({} vs {count})", keys.len());
                let first = format!("arity {} first inferred here", keys.len());
                let from = global.keys_from;
                self.cx.report(
                    Diagnostic::error("check::arity", message).label(at, format!("{count} here")).label(from, first),
                );
            }
        }
    }

    /// A local that is given a value here.
    pub(super) fn assigned(&mut self, ident: &Ident) -> LocalId {
        let local = self.local(ident);
        self.handler.locals[local].assigned = true;
        local
    }

    /// A local by name, declared by its first mention.
    pub(super) fn local(&mut self, ident: &Ident) -> LocalId {
        if let Some(found) = self.handler.locals.iter().position(|local| local.name == ident.name) {
            return found;
        }
        self.handler.locals.push(Local { name: ident.name.clone(), span: ident.span, ..Local::default() });
        self.handler.locals.len() - 1
    }
}
