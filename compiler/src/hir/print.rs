//! Prints a checked program, as SystemTap lists one after its second pass.

use super::{Global, Place, Program, Shape, Slot, Type};
use crate::image::When;
use std::fmt::{Display, Formatter, Result};

impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.globals.is_empty() {
            writeln!(f, "# globals")?;
        }
        for global in &self.globals {
            writeln!(f, "{global}")?;
        }
        writeln!(f, "# probes")?;
        for probe in &self.probes {
            writeln!(f, "{} /* <- {} */", probe.point, side(&probe.place))?;
            if !probe.handler.locals.is_empty() {
                writeln!(f, "  # locals")?;
            }
            for local in &probe.handler.locals {
                writeln!(f, "  {}:{}", local.name, local.slot)?;
            }
        }
        Ok(())
    }
}

impl Display for Global {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", self.name)?;
        if self.sized {
            write!(f, "[{}]", self.max_entries)?;
        }
        write!(f, ":{}", self.value)?;
        match self.keys.as_deref() {
            None | Some([]) => {}
            Some(keys) => {
                let keys: Vec<String> = keys.iter().map(Slot::to_string).collect();
                write!(f, " [{}]", keys.join(", "))?;
            }
        }
        if !self.written && !self.is_array() {
            write!(f, " /* constant */")?;
        }
        Ok(())
    }
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
        Place::User(When::Timer { nanoseconds, .. }) => format!("every {nanoseconds} ns"),
    }
}
