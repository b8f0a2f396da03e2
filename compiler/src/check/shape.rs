//! How long strings can get, and which are stacks: rounds over the program until no variable grows.
//!
//! A short bound makes short keys, and a key is hashed at every event.

use crate::hir::walk::{handler_mut, stmts_mut};
use crate::hir::{
    Expr, ExprKind, Function, FunctionId, Global, Handler, Local, Modify, Program, Shape, Slot, StmtKind, Target, Type,
    Walked,
};
use crate::image::{ArgKind, Format, Measure, Piece};

/// After so many rounds a string that still grows is taken to grow for ever.
const PATIENCE: u32 = 4;

/// What decides how an expression's string is held.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Globals of the program.
    pub globals: &'a [Global],
    /// Its functions.
    pub functions: &'a [Function],
    /// Its formats.
    pub formats: &'a [Format],
    /// Locals of the body that the expression stands in.
    pub locals: &'a [Local],
    /// Bytes of the longest string.
    pub max: u32,
}

/// Finds the shape of every string variable.
pub fn shape(program: &mut Program, max: u32) {
    for global in &mut program.globals {
        if let Some(tapster_lang::ast::Literal::String(bytes)) = &global.init {
            global.value.shape = literal(bytes, max);
        }
    }
    for rounds in 0.. {
        let mut changed = false;
        let mut order: Vec<Body> = bodies(program).collect();
        // Arguments grow from callers to callees and results the other way: both are defined in any order.
        if rounds % 2 == 1 {
            order.reverse();
        }
        for body in order {
            let mut handler = core::mem::take(body.of(program));
            let found = grown(program, &mut handler, body, max);
            *body.of(program) = handler;
            for (place, shape) in found {
                changed |= place.grow(program, body, shape, max, rounds > PATIENCE);
            }
        }
        if !changed {
            break;
        }
    }
    settle(program, max);
}

/// A body of statements.
#[derive(Clone, Copy)]
enum Body {
    Function(FunctionId),
    Probe(usize),
}

fn bodies(program: &Program) -> impl Iterator<Item = Body> + use<> {
    let (functions, probes) = (program.functions.len(), program.probes.len());
    (0..functions).map(Body::Function).chain((0..probes).map(Body::Probe))
}

impl Body {
    fn of(self, program: &mut Program) -> &mut Handler {
        match self {
            Body::Function(id) => &mut program.functions[id].handler,
            Body::Probe(nth) => &mut program.probes[nth].handler,
        }
    }
}

/// What a body stores where.
fn grown(program: &Program, handler: &mut Handler, body: Body, max: u32) -> Vec<(Place, Shape)> {
    let locals: Vec<Local> = handler.locals.clone();
    let Program { globals, functions, formats, .. } = program;
    let scope = Scope { globals, functions, formats, locals: &locals, max };
    let mut grow: Vec<(Place, Shape)> = Vec::new();
    stmts_mut(&mut handler.body, &mut |stmt| match &stmt.kind {
        StmtKind::Foreach(walk) => {
            if let Walked::Array(global, slice) = &walk.over {
                let array = &globals[*global];
                let keys = array.keys.iter().flatten();
                grow.extend(walk.keys.iter().zip(keys).map(|(local, key)| (Place::Local(*local), key.shape)));
                grow.extend(walk.value.map(|local| (Place::Local(local), array.value.shape)));
                grow.extend(places(*global, slice).map(|(place, key)| (place, scope.shape(key))));
            }
        }
        StmtKind::Delete(target) => {
            grow.extend(keys_of(target).into_iter().map(|(place, key)| (place, scope.shape(key))));
        }
        StmtKind::Try { message: Some(local), .. } => grow.push((Place::Local(*local), Shape::Text(max))),
        StmtKind::Return(Some(value)) => {
            if let Body::Function(id) = body {
                grow.push((Place::Result(id), scope.shape(value)));
            }
        }
        _ => {}
    });
    handler_mut(handler, &mut |e| match &e.kind {
        ExprKind::Assign(target, modify, value) => {
            match modify {
                None => grow.push((Place::of(target), scope.shape(value))),
                // Whoever appends does it more than once.
                Some(Modify::Append) => grow.push((Place::of(target), Shape::Text(max))),
                Some(Modify::Arith(_)) => {}
            }
            grow.extend(keys_of(target).into_iter().map(|(place, key)| (place, scope.shape(key))));
        }
        ExprKind::Step(target, ..) => {
            grow.extend(keys_of(target).into_iter().map(|(place, key)| (place, scope.shape(key))));
        }
        // A lookup counts, too: a key that is cut to the length of those stored could be taken for one of them.
        ExprKind::Aggregate(global, keys, _)
        | ExprKind::Element(global, keys)
        | ExprKind::Stat(_, global, keys)
        | ExprKind::Bucket(global, keys, _)
        | ExprKind::Histogram(global, keys) => {
            grow.extend(keys.iter().enumerate().map(|(nth, key)| (Place::Key(*global, nth), scope.shape(key))));
        }
        ExprKind::In(global, slice) => {
            grow.extend(places(*global, slice).map(|(place, key)| (place, scope.shape(key))))
        }
        ExprKind::Call(first, args) => {
            for id in core::iter::successors(Some(*first), |id| functions[*id].next) {
                grow.extend(args.iter().enumerate().map(|(nth, arg)| (Place::Param(id, nth), scope.shape(arg))));
                grow.extend(functions[id].next.map(|next| (Place::Result(*first), functions[next].result.shape)));
            }
        }
        _ => {}
    });
    grow
}

/// Keys in a target, each with the part of the array's key that must hold it.
fn keys_of(target: &Target) -> Vec<(Place, &Expr)> {
    match target {
        Target::Element(global, keys) => {
            keys.iter().enumerate().map(|(nth, key)| (Place::Key(*global, nth), key)).collect()
        }
        Target::Slice(global, slice) => places(*global, slice).collect(),
        Target::Local(_) | Target::Global(_) => Vec::new(),
    }
}

fn places(global: usize, slice: &[Option<Expr>]) -> impl Iterator<Item = (Place, &Expr)> {
    slice.iter().enumerate().filter_map(move |(nth, key)| Some((Place::Key(global, nth), key.as_ref()?)))
}

/// A variable that may grow.
#[derive(Clone, Copy)]
enum Place {
    Local(usize),
    Value(usize),
    Key(usize, usize),
    Param(FunctionId, usize),
    Result(FunctionId),
}

impl Place {
    fn of(target: &Target) -> Place {
        match target {
            Target::Local(local) => Place::Local(*local),
            Target::Global(global) | Target::Element(global, _) | Target::Slice(global, _) => Place::Value(*global),
        }
    }

    fn slot(self, program: &mut Program, body: Body) -> Option<&mut Slot> {
        Some(match self {
            Place::Local(local) => &mut body.of(program).locals[local].slot,
            Place::Value(global) => &mut program.globals[global].value,
            Place::Key(global, nth) => program.globals[global].keys.as_mut()?.get_mut(nth)?,
            Place::Param(id, nth) => &mut program.functions[id].handler.locals[nth].slot,
            Place::Result(id) => &mut program.functions[id].result,
        })
    }

    fn grow(self, program: &mut Program, body: Body, shape: Shape, max: u32, at_once: bool) -> bool {
        let Some(slot) = self.slot(program, body).filter(|slot| slot.ty == Type::String) else { return false };
        let grown = slot.shape.join(shape, max);
        if grown == slot.shape {
            return false;
        }
        slot.shape = if at_once { grown.join(Shape::Text(max), max) } else { grown };
        true
    }
}

impl Scope<'_> {
    /// The shape of a string expression.
    pub fn shape(&self, e: &Expr) -> Shape {
        if e.ty != Type::String {
            return Shape::None;
        }
        match &e.kind {
            ExprKind::Text(bytes) => literal(bytes, self.max),
            ExprKind::Local(local) => self.locals[*local].slot.shape,
            ExprKind::Global(global) | ExprKind::Element(global, _) => self.globals[*global].value.shape,
            ExprKind::Call(id, _) => self.functions[*id].result.shape,
            ExprKind::Intrinsic(intrinsic, _) => match intrinsic.shape {
                Shape::Text(0) => Shape::Text(self.max),
                shape => shape,
            },
            ExprKind::Choose(_, a, b) => self.shape(a).join(self.shape(b), self.max),
            ExprKind::Concat(a, b) => self.text(self.longest(a) + self.longest(b) - 1),
            ExprKind::Format(format, args) => self.text(self.formatted(*format, args)),
            ExprKind::Assign(_, None, value) => self.shape(value),
            _ => Shape::Text(self.max),
        }
    }

    /// Bytes of a string expression with its NUL, at most.
    pub fn longest(&self, e: &Expr) -> u32 {
        match self.shape(e) {
            Shape::Text(bound) => bound,
            Shape::Stack | Shape::None => self.max,
        }
    }

    fn text(&self, bytes: u32) -> Shape {
        Shape::Text(bytes.next_multiple_of(8).min(self.max))
    }

    /// Bytes that a format writes with its NUL, at most.
    fn formatted(&self, format: usize, args: &[Expr]) -> u32 {
        let mut args = args.iter();
        let mut bytes: u32 = 1;
        for piece in &self.formats[format].pieces {
            bytes = bytes.saturating_add(match piece {
                Piece::Literal(text) => text.len() as u32,
                Piece::Conversion(conversion) => {
                    let mut most: u32 = 0;
                    for measure in [conversion.width, conversion.precision] {
                        most = most.saturating_add(match measure {
                            Measure::None => 0,
                            Measure::Fixed(number) => number,
                            Measure::Arg => {
                                args.next();
                                self.max
                            }
                        });
                    }
                    // 22 octal digits with sign and 0: the longest number.
                    let own = args.next().map_or(0, |arg| if arg.ty == Type::String { self.longest(arg) } else { 24 });
                    if matches!(conversion.kind, b'm' | b'M') { self.max } else { most.saturating_add(own) }
                }
            });
        }
        bytes.min(self.max)
    }
}

/// A literal with its NUL, in whole words.
fn literal(bytes: &[u8], max: u32) -> Shape {
    Shape::Text((bytes.len() as u32 + 1).next_multiple_of(8).min(max))
}

/// Gives every string a shape and every `%s` its argument's.
fn settle(program: &mut Program, max: u32) {
    let open = |slot: &mut Slot| {
        if slot.ty == Type::String && slot.shape == Shape::None {
            // Nothing is ever stored: an empty string.
            slot.shape = Shape::Text(8);
        }
    };
    for global in &mut program.globals {
        open(&mut global.value);
        global.keys.iter_mut().flatten().for_each(open);
    }
    program.functions.iter_mut().for_each(|function| open(&mut function.result));
    for handler in program.handlers_mut() {
        handler.locals.iter_mut().for_each(|local| open(&mut local.slot));
    }
    let mut shapes: Vec<(usize, Vec<Shape>)> = Vec::new();
    for body in bodies(program) {
        let mut handler = core::mem::take(body.of(program));
        let locals = handler.locals.clone();
        let Program { globals, functions, formats, .. } = &*program;
        let scope = Scope { globals, functions, formats, locals: &locals, max };
        handler_mut(&mut handler, &mut |e| {
            if let ExprKind::Print(format, args) | ExprKind::Format(format, args) = &e.kind {
                shapes.push((*format, args.iter().map(|arg| scope.shape(arg)).collect()));
            }
        });
        *body.of(program) = handler;
    }
    for (format, shapes) in shapes {
        set_args(&mut program.formats[format].pieces, &shapes);
    }
}

fn set_args(pieces: &mut [Piece], shapes: &[Shape]) {
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
