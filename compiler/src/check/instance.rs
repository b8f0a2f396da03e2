//! Functions that differ by who calls them: those that use `$variables` or `returnval()` and its kind, and those that take members of their
//! parameters.
//!
//! SystemTap builds such a function anew for each probe and lets pointers' types flow through calls; here it has an
//! instance for each probe where it uses `$variables`, and for each combination of what its arguments point to. The
//! first instance takes the number of the definition, so one that is never called is left empty. All other functions
//! are built once, those of a library when they are called.

use super::builder::Builder;
use super::names::Names;
use super::walk;
use crate::hir::{Expr, Function, FunctionId, Handler};
use crate::kernel::btf::TypeId;
use std::collections::HashMap;
use tapster_lang::ast::{ExprKind, FunctionBody};

/// Functions built within each other; what is beyond is built later, and its result's type is not known to callers.
const NESTING_MAX: u32 = 64;

/// What the arguments of a call point to.
type Pointees = Vec<Option<TypeId>>;

/// Who calls: the probe where that matters, and what the arguments point to.
type Key = (FunctionId, Option<usize>, Pointees);

/// The instances of functions.
#[derive(Debug, Default)]
pub struct Instances {
    /// What each definition depends on.
    depends: Vec<Depends>,
    /// Definitions as they were before they were built, of those that may be built several times.
    headers: HashMap<FunctionId, Function>,
    /// Whether the number of a definition is taken.
    taken: Vec<bool>,
    known: HashMap<Key, FunctionId>,
    /// The probe whose handler is being built.
    probe: usize,
    /// Functions being built within each other.
    nesting: u32,
    /// What is yet to be built: definition and number.
    open: Vec<(FunctionId, FunctionId)>,
}

/// What a function depends on, itself or through those that it calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Depends {
    /// `$variables`, and functions of the place that a probe stands at.
    probe: bool,
    /// Members of values whose type comes with them.
    types: bool,
}

impl Depends {
    fn any(self) -> bool {
        self.probe || self.types
    }

    fn with(self, other: Depends) -> Depends {
        Depends { probe: self.probe || other.probe, types: self.types || other.types }
    }
}

impl Instances {
    /// No instance of any of these functions.
    pub fn new(names: &Names, functions: &[Function]) -> Instances {
        let depends = depends(names, functions);
        let several = depends.iter().enumerate().filter(|(_, depends)| depends.any());
        let headers = several.map(|(id, _)| (id, functions[id].clone())).collect();
        Instances { depends, headers, taken: vec![false; functions.len()], ..Instances::default() }
    }

    /// Another probe's handler comes next.
    pub fn next_probe(&mut self) {
        self.probe += 1;
    }
}

/// Finds out what functions depend on, in rounds over those that call each other.
fn depends(names: &Names, functions: &[Function]) -> Vec<Depends> {
    let mut all = vec![Depends::default(); names.definitions.len()];
    let mut callers: Vec<Vec<FunctionId>> = vec![Vec::new(); all.len()];
    for (id, (definition, file)) in names.definitions.iter().enumerate() {
        let FunctionBody::Script(body) = &definition.body else { continue };
        walk::exprs(body, &mut |e| match &e.kind {
            ExprKind::Target(..) | ExprKind::Operator(..) => all[id].probe = true,
            ExprKind::Deref(..) => all[id].types = true,
            ExprKind::Call(name, _) if super::registers::is_of_place(&name.name) => all[id].probe = true,
            ExprKind::Call(name, args) => {
                let callees = names.overloads(&name.name, *file).iter();
                callees.filter(|id| functions[**id].params == args.len()).for_each(|callee| callers[*callee].push(id));
            }
            _ => {}
        });
        // `next` goes on to the next overload.
        if let Some(next) = functions[id].next {
            callers[next].push(id);
        }
    }
    let mut open: Vec<FunctionId> = (0..all.len()).filter(|id| all[*id].any()).collect();
    while let Some(id) = open.pop() {
        for caller in callers[id].clone() {
            let with = all[caller].with(all[id]);
            if with != all[caller] {
                all[caller] = with;
                open.push(caller);
            }
        }
    }
    all
}

impl Builder<'_, '_> {
    /// The instance of a function for a call with these arguments; it is built if it is not yet.
    pub(super) fn instance(&mut self, definition: FunctionId, args: &[Expr]) -> FunctionId {
        // What is looked at for `@defined` leaves nothing behind.
        if self.trying {
            return definition;
        }
        let depends = self.instances.depends[definition];
        let probe = depends.probe.then_some(self.instances.probe);
        let pointees = if depends.types { args.iter().map(|arg| arg.pointee).collect() } else { Vec::new() };
        let key: Key = (definition, probe, pointees);
        if let Some(known) = self.instances.known.get(&key) {
            return *known;
        }
        let number = self.number(definition, args);
        self.instances.known.insert(key, number);
        if let Some(next) = self.program.functions[definition].next {
            self.program.functions[number].next = Some(self.instance(next, args));
        }
        match self.instances.nesting < NESTING_MAX {
            true => self.build_function(definition, number),
            false => self.instances.open.push((definition, number)),
        }
        number
    }

    /// A number for one more instance.
    fn number(&mut self, definition: FunctionId, args: &[Expr]) -> FunctionId {
        let functions = &mut self.program.functions;
        let number = match core::mem::replace(&mut self.instances.taken[definition], true) {
            false => definition,
            true => {
                functions.push(self.instances.headers[&definition].clone());
                functions.len() - 1
            }
        };
        if self.instances.depends[definition].types {
            let params = functions[number].handler.locals.iter_mut();
            params.zip(args).for_each(|(param, arg)| param.pointee = arg.pointee);
        }
        number
    }

    /// Builds what no call has had built: the script's functions that depend on nothing. Those of a library that nobody
    /// calls may need what this kernel does not have.
    pub(super) fn other_functions(&mut self) {
        for (id, (_, file)) in self.names.definitions.iter().enumerate() {
            let is_own = !self.names.is_library(*file);
            if is_own && !self.instances.depends[id].any() && !self.instances.taken[id] {
                self.instance(id, &[]);
            }
        }
        self.open_functions();
    }

    /// Builds what was put off.
    pub(super) fn open_functions(&mut self) {
        while let Some((definition, number)) = self.instances.open.pop() {
            self.build_function(definition, number);
        }
    }

    fn build_function(&mut self, definition: FunctionId, number: FunctionId) {
        let (function, file) = self.names.definitions[definition];
        let FunctionBody::Script(body) = &function.body else { return };
        let handler = core::mem::take(&mut self.program.functions[number].handler);
        self.instances.nesting += 1;
        let depends = self.instances.depends[definition];
        let mut builder = Builder {
            file,
            params: Some(function.params.len()),
            site: self.site.filter(|_| depends.probe),
            handler,
            ..Builder::new(self.program, self.cx, self.btf, self.names, (self.notes, self.counters), self.instances)
        };
        let body = builder.block(body);
        let (handler, returned) = (builder.handler, builder.returned);
        self.program.functions[number].handler = Handler { body, ..handler };
        self.program.functions[number].pointee = returned;
        self.instances.nesting -= 1;
    }
}
