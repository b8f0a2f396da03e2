//! Prints a checked program: its variables with how they are held, its probes with where they stand.
//! [`crate::list`] prints it in SystemTap's form.

use super::reach::callees;
use super::walk::handler_mut;
use super::{ExprKind, FunctionId, Global, Handler, Local, Place, Program, Shape, Slot, Type};
use crate::image::When;
use crate::intrinsic::Intrinsic;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter, Result};

impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.globals.is_empty() {
            writeln!(f, "# globals")?;
        }
        for global in &self.globals {
            writeln!(f, "{global}")?;
        }
        let called = Called::of(self);
        if !called.functions.is_empty() {
            writeln!(f, "# functions")?;
        }
        for function in called.functions.iter().map(|id| &self.functions[*id]) {
            let (params, locals) = function.handler.locals.split_at(function.params);
            let params: Vec<String> = params.iter().map(Local::to_string).collect();
            writeln!(f, "{}:{} ({})", function.name, function.result, params.join(", "))?;
            write_locals(f, locals)?;
        }
        writeln!(f, "# probes")?;
        for probe in &self.probes {
            writeln!(f, "{} /* <- {} */", probe.point, side(&probe.place))?;
            write_locals(f, &probe.handler.locals)?;
        }
        Ok(())
    }
}

fn write_locals(f: &mut Formatter<'_>, locals: &[Local]) -> Result {
    if !locals.is_empty() {
        writeln!(f, "  # locals")?;
    }
    locals.iter().try_for_each(|local| writeln!(f, "  {local}"))
}

/// The functions that probes come to.
#[derive(Default)]
pub(crate) struct Called {
    /// Those of the script and of the library's files.
    pub functions: BTreeSet<FunctionId>,
    /// Those of the table, by name.
    pub intrinsics: BTreeMap<&'static str, &'static Intrinsic>,
}

impl Called {
    /// Those of a program.
    pub fn of(program: &Program) -> Called {
        let mut called = Called::default();
        program.probes.iter().for_each(|probe| called.visit(&probe.handler, program));
        called
    }

    fn visit(&mut self, handler: &Handler, program: &Program) {
        // The walks may change what they see, so they get a copy.
        let mut handler = handler.clone();
        handler_mut(&mut handler, &mut |e| {
            if let ExprKind::Intrinsic(row, _) = e.kind {
                self.intrinsics.insert(row.name, row);
            }
        });
        for id in callees(&mut handler, program) {
            if self.functions.insert(id) {
                self.visit(&program.functions[id].handler, program);
            }
        }
    }
}

impl Display for Local {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}:{}", self.name, self.slot)
    }
}

impl Display for Global {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&signature(self, Slot::to_string))?;
        if !self.written && !self.is_array() {
            write!(f, " /* constant */")?;
        }
        Ok(())
    }
}

/// `name%[size]:type [key, key]`: a global in SystemTap's form, its types as `ty` names them.
pub(crate) fn signature(global: &Global, ty: impl Fn(&Slot) -> String) -> String {
    let wrap = if global.wrap { "%" } else { "" };
    let size = if global.sized { format!("[{}]", global.max_entries) } else { String::new() };
    let keys: Vec<String> = global.keys.iter().flatten().map(&ty).collect();
    let keys = if keys.is_empty() { String::new() } else { format!(" [{}]", keys.join(", ")) };
    format!("{}{wrap}{size}:{}{keys}", global.name, ty(&global.value))
}

impl Display for Slot {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match (self.ty, self.shape) {
            (Type::String, Shape::Stack) => write!(f, "string /* stack */"),
            (Type::String, Shape::Text(bound)) => write!(f, "string /* {bound} bytes */"),
            (ty, _) => write!(f, "{}", ty.name()),
        }
    }
}

fn side(place: &Place) -> String {
    match place {
        Place::Never => "never".into(),
        Place::Kernel { attach, .. } => attach.describe(),
        Place::User(When::Begin(order)) => format!("begin({order})"),
        Place::User(When::End(order)) => format!("end({order})"),
        Place::User(When::Error(order)) => format!("error({order})"),
        Place::User(When::Served(file)) => format!("file {file}"),
        Place::User(When::Key) => "a character on standard input".into(),
        Place::User(When::Line) => "a line on standard input".into(),
        Place::User(When::Handoff) => "when a kernel handler hands on".into(),
        Place::User(When::Timer { nanoseconds, .. }) => format!("every {nanoseconds} ns"),
    }
}
