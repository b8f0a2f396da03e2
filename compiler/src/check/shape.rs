//! How long strings can get, and which are stacks: rounds over the program until no variable grows.
//!
//! A short bound makes short keys, and a key is hashed at every event.

use crate::hir::walk::{handler_mut, stmts_mut};
use crate::hir::{Expr, ExprKind, Global, Handler, Local, Program, Shape, StmtKind, Target, Type};
use crate::image::{ArgKind, Piece};

/// Finds the shape of every string variable.
pub fn shape(program: &mut Program, max: u32) {
    for global in &mut program.globals {
        if let Some(tapster_lang::ast::Literal::String(bytes)) = &global.init {
            global.value.shape = literal(bytes, max);
        }
    }
    loop {
        let mut changed = false;
        for probe in &mut program.probes {
            changed |= round(&mut program.globals, &mut probe.handler, max);
        }
        if !changed {
            break;
        }
    }
    settle(program, max);
}

fn round(globals: &mut [Global], handler: &mut Handler, max: u32) -> bool {
    let mut grow: Vec<(Place, Shape)> = Vec::new();
    let mut deleted: Vec<(Place, Expr)> = Vec::new();
    let Handler { locals, body } = &mut *handler;
    stmts_mut(body, &mut |stmt| {
        if let StmtKind::Foreach(walk) = &stmt.kind {
            let global = &globals[walk.global];
            let keys = global.keys.iter().flatten();
            grow.extend(walk.keys.iter().zip(keys).map(|(local, key)| (Place::Local(*local), key.shape)));
            grow.extend(walk.value.map(|local| (Place::Local(local), global.value.shape)));
        }
        if let StmtKind::Delete(target) = &stmt.kind {
            deleted.extend(keys_of(target).map(|(place, key)| (place, key.clone())));
        }
    });
    let locals_now: Vec<Local> = locals.clone();
    grow.extend(deleted.iter().map(|(place, key)| (*place, shape_of(key, globals, &locals_now, max))));
    handler_mut(handler, &mut |e| {
        let of = |e: &Expr| shape_of(e, globals, &locals_now, max);
        match &e.kind {
            ExprKind::Assign(target, op, value) => {
                if op.is_none() {
                    grow.push((Place::of(target), of(value)));
                }
                grow.extend(keys_of(target).map(|(place, key)| (place, of(key))));
            }
            // A lookup counts, too: a key that is cut to the length of those stored could be taken for one of them.
            ExprKind::Aggregate(global, keys, _)
            | ExprKind::Element(global, keys)
            | ExprKind::Stat(_, global, keys)
            | ExprKind::In(global, keys)
            | ExprKind::PrintHistogram(global, keys) => {
                grow.extend(places(*global, keys).map(|(place, key)| (place, of(key))));
            }
            ExprKind::Step(target, ..) => grow.extend(keys_of(target).map(|(place, key)| (place, of(key)))),
            _ => {}
        }
    });
    grow.into_iter().fold(false, |changed, (place, shape)| changed | place.grow(globals, handler, shape, max))
}

/// Keys in a target, each with the part of the array's key that must hold it.
fn keys_of(target: &Target) -> impl Iterator<Item = (Place, &Expr)> {
    match target {
        Target::Element(global, keys) => places(*global, keys),
        Target::Local(_) | Target::Global(_) => places(0, &[]),
    }
}

fn places(global: usize, keys: &[Expr]) -> impl Iterator<Item = (Place, &Expr)> {
    keys.iter().enumerate().map(move |(nth, key)| (Place::Key(global, nth), key))
}

/// A variable that may grow.
#[derive(Clone, Copy)]
enum Place {
    Local(usize),
    Value(usize),
    Key(usize, usize),
}

impl Place {
    fn of(target: &Target) -> Place {
        match target {
            Target::Local(local) => Place::Local(*local),
            Target::Global(global) | Target::Element(global, _) => Place::Value(*global),
        }
    }

    fn grow(&self, globals: &mut [Global], handler: &mut Handler, shape: Shape, max: u32) -> bool {
        let slot = match *self {
            Place::Local(local) => &mut handler.locals[local].slot,
            Place::Value(global) => &mut globals[global].value,
            Place::Key(global, nth) => match globals[global].keys.as_mut().and_then(|keys| keys.get_mut(nth)) {
                Some(slot) => slot,
                None => return false,
            },
        };
        if slot.ty != Type::String {
            return false;
        }
        let grown = slot.shape.join(shape, max);
        core::mem::replace(&mut slot.shape, grown) != grown
    }
}

/// The shape of a string expression.
pub fn shape_of(e: &Expr, globals: &[Global], locals: &[Local], max: u32) -> Shape {
    if e.ty != Type::String {
        return Shape::None;
    }
    match &e.kind {
        ExprKind::Text(bytes) => literal(bytes, max),
        ExprKind::Local(local) => locals[*local].slot.shape,
        ExprKind::Global(global) | ExprKind::Element(global, _) => globals[*global].value.shape,
        ExprKind::Intrinsic(intrinsic, _) => match intrinsic.shape {
            Shape::Text(0) => Shape::Text(max),
            shape => shape,
        },
        ExprKind::Choose(_, a, b) => shape_of(a, globals, locals, max).join(shape_of(b, globals, locals, max), max),
        ExprKind::Assign(_, _, value) => shape_of(value, globals, locals, max),
        _ => Shape::Text(max),
    }
}

/// A literal with its NUL, in whole words.
fn literal(bytes: &[u8], max: u32) -> Shape {
    Shape::Text((bytes.len() as u32 + 1).next_multiple_of(8).min(max))
}

/// Gives every string a shape and every `%s` its argument's.
fn settle(program: &mut Program, max: u32) {
    let open = |slot: &mut crate::hir::Slot| {
        if slot.ty == Type::String && slot.shape == Shape::None {
            // Nothing is ever stored: an empty string.
            slot.shape = Shape::Text(8);
        }
    };
    for global in &mut program.globals {
        open(&mut global.value);
        global.keys.iter_mut().flatten().for_each(open);
    }
    let Program { globals, probes, formats } = program;
    for probe in probes {
        probe.handler.locals.iter_mut().for_each(|local| open(&mut local.slot));
        let locals = probe.handler.locals.clone();
        handler_mut(&mut probe.handler, &mut |e| {
            if let ExprKind::Print(format, args) = &e.kind {
                let shapes: Vec<Shape> = args.iter().map(|arg| shape_of(arg, globals, &locals, max)).collect();
                set_args(&mut formats[*format].pieces, &shapes);
            }
        });
    }
}

fn set_args(pieces: &mut [Piece], shapes: &[Shape]) {
    use crate::image::Measure;
    let mut nth = 0;
    for piece in pieces {
        let Piece::Conversion(conversion) = piece else { continue };
        nth += [conversion.width, conversion.precision].iter().filter(|m| **m == Measure::Arg).count();
        match shapes.get(nth) {
            Some(Shape::Text(bound)) => conversion.arg = ArgKind::Text(bound.next_multiple_of(8)),
            Some(Shape::Stack) => conversion.arg = ArgKind::Stack,
            _ => {}
        }
        nth += 1;
    }
}
