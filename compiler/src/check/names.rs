//! Which global or function a name means, and in which file.

use crate::hir::{Function, FunctionId, GlobalId, Local, Slot, Type};
use std::collections::HashMap;
use tapster_lang::ast::{self, FunctionBody, Item, Script, TypeName};

/// The names of all scripts. A private one is known in its own file only.
#[derive(Debug, Default)]
pub struct Names<'s> {
    globals: HashMap<(Option<usize>, &'s str), GlobalId>,
    /// By file, whether it is the library's; by global, whether the library declares it.
    library: Vec<bool>,
    global_of_library: Vec<bool>,
    /// Overloads in the order in which they are tried, those of all arities.
    functions: HashMap<(Option<usize>, &'s str), Vec<FunctionId>>,
    /// The definition of each function, and its file.
    pub definitions: Vec<(&'s ast::Function, usize)>,
}

impl<'s> Names<'s> {
    /// Collects the functions of all scripts, and gives their headers.
    pub fn functions(scripts: &'s [Script]) -> (Names<'s>, Vec<Function>) {
        let library = scripts.iter().map(|script| script.library).collect();
        let mut names = Names { library, ..Names::default() };
        let mut headers = Vec::new();
        for (file, script) in scripts.iter().enumerate() {
            for item in &script.items {
                let Item::Function(function) = item else { continue };
                let scope = (function.private.then_some(file), function.name.name.as_str());
                names.functions.entry(scope).or_default().push(headers.len());
                names.definitions.push((function, file));
                headers.push(header(function, script.library));
            }
        }
        let definitions = &names.definitions;
        let priority = |id: &FunctionId| {
            let (function, file) = definitions[*id];
            function.priority.map_or(i64::from(scripts[file].library), |(priority, _)| priority)
        };
        for overloads in names.functions.values_mut() {
            overloads.sort_by_key(priority);
            for (nth, id) in overloads.iter().enumerate() {
                let same = |other: &&FunctionId| headers[**other].params == headers[*id].params;
                headers[*id].next = overloads[nth + 1..].iter().find(same).copied();
            }
        }
        (names, headers)
    }

    /// Notes a global. Gives the one that has the name already.
    pub fn declare(&mut self, global: &'s ast::Global, file: usize, id: GlobalId) -> Option<GlobalId> {
        let scope = (global.private.then_some(file), global.name.name.as_str());
        let taken = self.globals.get(&scope).copied();
        if taken.is_none() {
            self.global_of_library.push(self.library[file]);
        }
        self.globals.entry(scope).or_insert(id);
        taken
    }

    /// The global that a name means in a file.
    pub fn global(&self, name: &str, file: usize) -> Option<GlobalId> {
        self.globals.get(&(Some(file), name)).or_else(|| self.globals.get(&(None, name))).copied()
    }

    /// The global that a name means in a function of a file. The library's functions have variables of their own names,
    /// whatever a script calls its globals.
    pub fn global_of_function(&self, name: &str, file: usize) -> Option<GlobalId> {
        self.global(name, file).filter(|global| !self.library[file] || self.global_of_library[*global])
    }

    /// Whether a file belongs to a library.
    pub fn is_library(&self, file: usize) -> bool {
        self.library[file]
    }

    /// The overloads that a name means in a file.
    pub fn overloads<'n>(&'n self, name: &'n str, file: usize) -> &'n [FunctionId] {
        let found = self.functions.get(&(Some(file), name)).or_else(|| self.functions.get(&(None, name)));
        found.map_or(&[], |overloads| overloads)
    }

    /// The names of all functions, for suggestions.
    pub fn function_names(&self) -> impl Iterator<Item = &'s str> + use<'_, 's> {
        self.functions.keys().map(|(_, name)| *name)
    }
}

fn header(function: &ast::Function, library: bool) -> Function {
    let ty = |name: Option<TypeName>| match name {
        None => Type::Unknown,
        Some(TypeName::Long) => Type::Long,
        Some(TypeName::String) => Type::String,
    };
    let slot = |name| Slot { ty: ty(name), ..Slot::default() };
    let mut header = Function {
        name: function.name.name.clone(),
        span: function.name.span,
        params: function.params.len(),
        result: slot(function.result),
        result_from: function.name.span,
        typed: function.result.is_some(),
        embedded: match &function.body {
            FunctionBody::EmbeddedC(code) => Some(code.span),
            FunctionBody::Script(_) => None,
        },
        library,
        ..Function::default()
    };
    header.handler.locals = function
        .params
        .iter()
        .map(|param| Local {
            name: param.name.name.clone(),
            span: param.name.span,
            slot: slot(param.ty),
            from: param.name.span,
            assigned: true,
            ..Local::default()
        })
        .collect();
    header
}
