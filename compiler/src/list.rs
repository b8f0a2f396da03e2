//! The checked script as SystemTap lists it after its second pass (`stap -p2`).
//!
//! What was left out is not listed. Functions of the library stand among those of the script, as SystemTap's tapset
//! does; the bodies are those of the text.

use crate::hir::print::{Called, signature};
use crate::hir::{Function, Global, Local, Place, Probe, Program};
use crate::intrinsic::Intrinsic;
use std::fmt::Write;
use tapster_lang::ast::{self, FunctionBody, Item, Script};

/// What is listed of a script.
pub struct Listing<'p> {
    globals: Vec<&'p Global>,
    /// By name.
    functions: Vec<(&'p str, Callee<'p>)>,
    probes: &'p [Probe],
}

/// A function that something calls.
enum Callee<'p> {
    Script(&'p Function),
    Library(&'static Intrinsic),
}

impl<'p> Listing<'p> {
    /// What is left of a script; with `all`, the globals that nothing uses as well.
    pub fn new(program: &'p Program, all: bool) -> Listing<'p> {
        let globals = program.globals.iter().filter(|global| all || global.read || global.written).collect();
        Listing { globals, functions: functions(program), probes: &program.probes }
    }

    /// `1 probe, 0 functions, 0 embeds, 1 global`: no embedded C is ever left.
    pub fn counts(&self) -> String {
        let [probes, functions, globals] = [
            (self.probes.iter().map(Probe::places).sum(), "probe"),
            (self.functions.len(), "function"),
            (self.globals.len(), "global"),
        ]
        .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
        format!("{probes}, {functions}, 0 embeds, {globals}")
    }

    /// The listing; `bodies` adds initial values, places and what handlers do. `scripts` are those that were checked.
    pub fn text(&self, scripts: &[Script], bodies: bool) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, scripts, bodies);
        text
    }

    fn write(&self, out: &mut String, scripts: &[Script], bodies: bool) -> std::fmt::Result {
        heading(out, "# globals", self.globals.is_empty())?;
        for global in &self.globals {
            write!(out, "{}", signature(global, |slot| slot.ty.name().into()))?;
            match &global.init {
                Some(init) if bodies => writeln!(out, " = {init}")?,
                _ => writeln!(out)?,
            }
        }
        heading(out, "# functions", self.functions.is_empty())?;
        for (name, callee) in &self.functions {
            match callee {
                Callee::Library(row) => {
                    let params: Vec<&str> = row.params.iter().map(|ty| ty.name()).collect();
                    writeln!(out, "{name}:{} ({})", row.result.name(), params.join(", "))?;
                }
                Callee::Script(function) => write_function(out, function, scripts, bodies)?,
            }
        }
        heading(out, "# probes", self.probes.is_empty())?;
        self.probes.iter().try_for_each(|probe| write_probe(out, probe, scripts, bodies))
    }
}

fn heading(out: &mut String, text: &str, is_empty: bool) -> std::fmt::Result {
    if is_empty { Ok(()) } else { writeln!(out, "{text}") }
}

fn write_function(out: &mut String, function: &Function, scripts: &[Script], bodies: bool) -> std::fmt::Result {
    let (params, locals) = function.handler.locals.split_at(function.params);
    let params: Vec<String> = params.iter().map(variable).collect();
    writeln!(out, "{}:{} ({})", function.name, function.result.ty.name(), params.join(", "))?;
    write_locals(out, locals)?;
    let named = |item: &&Item| matches!(item, Item::Function(one) if one.name.span == function.span);
    match items(scripts).find(named) {
        Some(Item::Function(ast::Function { body: FunctionBody::Script(body), .. })) if bodies => {
            writeln!(out, "{body}")
        }
        _ => Ok(()),
    }
}

fn write_probe(out: &mut String, probe: &Probe, scripts: &[Script], bodies: bool) -> std::fmt::Result {
    if !probe.sites.is_empty() {
        return probe.sites.iter().try_for_each(|site| write_place(out, probe, site, scripts, bodies));
    }
    write_place(out, probe, &probe.point, scripts, bodies)
}

fn write_place(out: &mut String, probe: &Probe, point: &str, scripts: &[Script], bodies: bool) -> std::fmt::Result {
    write!(out, "{point}")?;
    if let (true, Place::Kernel { attach, .. }) = (bodies, &probe.place) {
        // SystemTap has the address of the probe here.
        write!(out, " /* {} */", attach.describe())?;
    }
    let definition = items(scripts).find_map(|item| match item {
        Item::Probe(one) if one.span == probe.span => Some(one),
        _ => None,
    });
    if let Some(definition) = definition {
        let points: Vec<String> = definition.points.iter().map(ToString::to_string).collect();
        write!(out, " /* <- {} */", points.join(","))?;
    }
    writeln!(out)?;
    write_locals(out, &probe.handler.locals)?;
    match definition {
        Some(definition) if bodies => writeln!(out, "{}", definition.body),
        _ => Ok(()),
    }
}

fn write_locals(out: &mut String, locals: &[Local]) -> std::fmt::Result {
    heading(out, "  # locals", locals.is_empty())?;
    locals.iter().try_for_each(|local| writeln!(out, "  {}", variable(local)))
}

fn variable(local: &Local) -> String {
    format!("{}:{}", local.name, local.slot.ty.name())
}

fn items(scripts: &[Script]) -> impl Iterator<Item = &Item> {
    scripts.iter().flat_map(|script| &script.items)
}

/// The functions that probes come to, by name.
fn functions(program: &Program) -> Vec<(&str, Callee<'_>)> {
    let called = Called::of(program);
    let script = called.functions.iter().map(|id| &program.functions[*id]);
    let script = script.map(|function| (function.name.as_str(), Callee::Script(function)));
    let library = called.intrinsics.into_iter().map(|(name, row)| (name, Callee::Library(row)));
    let mut functions: Vec<_> = script.chain(library).collect();
    functions.sort_by_key(|(name, _)| *name);
    functions
}
