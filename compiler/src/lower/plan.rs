//! Where everything lives: globals, maps, the state block and the loss counters, decided once before any handler is
//! lowered.

use super::constants::Constants;
use super::may_nest;
use crate::check::Options;
use crate::hir::walk::{handler_mut, stmts_mut};
use crate::hir::{
    ArgSource, Arith, ExprKind, Global, Handler, Modify, Place, Program, Shape, Slot, StmtKind, Target, Type, reach,
};
use crate::image::{self, Array, Attach, Counted, KeyKind, KeyPart, Loss, Map, MapKind, MapRole, Storage, Value, When};
use crate::intrinsic::Op;
use crate::regex::Pattern;
use tapster_lang::ast::Literal;
use tapster_runtime_ebpf::{intern, limits, record, state};

/// Where everything lives.
#[derive(Debug, Default)]
pub struct Plan {
    /// Maps so far; each program adds its scratch map.
    pub maps: Vec<Map>,
    /// Globals.
    pub globals: Vec<image::Global>,
    /// Whether more than one kernel handler writes a global: their programs may nest on one CPU.
    pub contended: Vec<bool>,
    /// Programs may stand before the script has begun.
    pub begins_late: bool,
    /// Loss counters.
    pub losses: Vec<Loss>,
    /// Bytes of the state block.
    pub state_size: u32,
    /// Initial bytes of scalars.
    pub state_init: Vec<(u32, Vec<u8>)>,
    /// Bytes of a string.
    pub max_string: u32,
    /// Frames of a stack.
    pub stack_frames: u32,
    /// Statements that a handler may run.
    pub max_action: u32,
    /// Statements that a handler may run that nothing waits for.
    pub max_action_interruptible: u32,
    /// Calls of recursive functions within each other.
    pub max_nesting: u32,
    /// Formats of printing statements.
    pub formats: Vec<image::Format>,
    /// Patterns of `=~`.
    pub regexes: Vec<Pattern>,
    /// What kernel handlers only read.
    pub constants: Constants,
}

impl Plan {
    /// The map with this role.
    pub fn map(&self, role: MapRole) -> Option<usize> {
        self.maps.iter().position(|map| map.role == role)
    }

    /// The counter of a loss.
    pub fn loss(&self, loss: &Loss) -> Option<u32> {
        self.losses.iter().position(|known| known == loss).map(|index| index as u32)
    }

    /// The layout of an array global.
    pub fn array(&self, global: usize) -> Option<&Array> {
        match &self.globals[global].storage {
            Storage::Array(array) => Some(array),
            _ => None,
        }
    }

    fn add(&mut self, name: String, kind: MapKind, sizes: (u32, u32), max_entries: u32, role: MapRole) -> usize {
        let (key_size, value_size) = sizes;
        self.maps.push(Map { name, kind, key_size, value_size, max_entries, mmapable: role == MapRole::State, role });
        self.maps.len() - 1
    }
}

/// What kernel handlers need beside their globals.
#[derive(Default)]
struct Needs {
    handlers: bool,
    stacks: bool,
    control: bool,
    events: bool,
    counters: Vec<Counted>,
}

/// Decides where everything lives.
pub fn plan(program: &mut Program, options: &Options) -> Plan {
    let needs = needs(program);
    let mut plan = Plan { max_string: options.max_string, stack_frames: options.max_backtrace, ..Plan::default() };
    plan.formats = program.formats.clone();
    plan.regexes = program.regexes.clone();
    plan.max_nesting = options.max_nesting.unwrap_or_else(|| reach::depth(program) + reach::RECURSIONS);
    plan.max_action = options.max_action;
    plan.max_action_interruptible = options.max_action_interruptible.unwrap_or(options.max_action.saturating_mul(10));
    plan.contended = program.globals.iter().map(|global| global.kernel_writers > 1).collect();
    plan.begins_late = begins_late(program);
    plan.losses = losses(program, &needs);
    plan.state_size = state::loss(plan.losses.len() as u32);
    if needs.handlers {
        // Its size is known at the end; its place is first, so that every program can refer to it.
        plan.add("state".into(), MapKind::Array, (4, 0), 1, MapRole::State);
    }
    let mut aggregates = 0;
    for (number, global) in program.globals.iter().enumerate() {
        let storage = storage(&mut plan, &mut aggregates, number, global);
        plan.globals.push(image::Global { name: global.name.clone(), storage });
    }
    if aggregates > 0 {
        plan.add("aggregates".into(), MapKind::PercpuArray, (4, aggregates), 1, MapRole::ScalarAggregates);
    }
    shared_maps(&mut plan, &needs, options);
    // A string that grows in a kernel handler is written from anywhere in its place on, and the verifier wants room.
    plan.state_size += grown_in_kernel(program, plan.max_string);
    // An array map has no values of 0 bytes.
    plan.state_size = plan.state_size.max(8);
    if let Some(state) = plan.map(MapRole::State) {
        plan.maps[state].value_size = plan.state_size;
    }
    plan
}

fn shared_maps(plan: &mut Plan, needs: &Needs, options: &Options) {
    let (stacks, strings) = (kept_by(plan, KeyKind::Stack), kept_by(plan, KeyKind::Interned));
    if needs.stacks {
        let size = intern::stack::size(options.max_backtrace);
        let most = options.max_entries.max(stacks.unwrap_or(0));
        plan.add("stacks".into(), MapKind::Hash, (8, size), most, MapRole::Stacks);
    }
    if let Some(strings) = strings {
        let size = plan.max_string.next_multiple_of(8);
        plan.add("strings".into(), MapKind::Hash, (8, size), options.max_entries.max(strings), MapRole::Strings);
    }
    for (nth, event) in needs.counters.iter().enumerate() {
        plan.add(format!("counter_{nth}"), MapKind::PerfEventArray, (4, 4), 0, MapRole::Counter(*event));
    }
    if needs.control {
        plan.add("control".into(), MapKind::Ringbuf, (0, 0), record::CONTROL_RING, MapRole::Control);
    }
    if needs.events {
        plan.add("events".into(), MapKind::Ringbuf, (0, 0), options.event_ring, MapRole::Events);
    }
}

/// The elements of the largest of the kernel's arrays that are kept by something of this kind: each may be another.
fn kept_by(plan: &Plan, kind: KeyKind) -> Option<u32> {
    let arrays = plan.globals.iter().filter_map(|global| match &global.storage {
        Storage::Array(array) => Some(array).filter(|array| array.map.is_some()),
        _ => None,
    });
    arrays.filter(|array| array.key.iter().any(|part| part.kind == kind)).map(|array| array.max_entries).max()
}

fn needs(program: &mut Program) -> Needs {
    let mut needs = Needs::default();
    for nth in 0..program.probes.len() {
        if !matches!(program.probes[nth].place, Place::Kernel { .. }) {
            continue;
        }
        needs.handlers = true;
        for id in reach::reached(program, nth) {
            let function = &mut program.functions[id];
            needs.control |= function.passes;
            needs.body(&mut function.handler);
        }
        needs.body(&mut program.probes[nth].handler);
    }
    needs
}

impl Needs {
    fn body(&mut self, handler: &mut Handler) {
        stmts_mut(&mut handler.body, &mut |stmt| {
            self.control |= matches!(stmt.kind, StmtKind::Loop { .. });
            self.events |= matches!(stmt.kind, StmtKind::Handoff(_));
        });
        handler_mut(handler, &mut |e| match &e.kind {
            ExprKind::Intrinsic(intrinsic, _) => match intrinsic.op {
                Op::Backtrace(_) => self.stacks = true,
                Op::ReadText(_) | Op::ReadNumber(..) | Op::Exit | Op::Abort | Op::Error => self.control = true,
                Op::Fact(..) | Op::Execname | Op::PrintStack | Op::Signal | Op::Point(_) | Op::Library(_) => {}
                Op::Known(_) | Op::Peek(..) | Op::PeekText(_) => {}
            },
            ExprKind::Load(load) if !load.direct => self.control = true,
            ExprKind::Arith(Arith::Div | Arith::Mod, ..) => self.control = true,
            ExprKind::Assign(_, Some(Modify::Arith(Arith::Div | Arith::Mod)), _) => self.control = true,
            ExprKind::Assign(Target::Element(..), ..) | ExprKind::Step(Target::Element(..), ..) => self.control = true,
            ExprKind::Print(..) => self.events = true,
            ExprKind::Arg { source: ArgSource::Counter(event), .. } => {
                self.control = true;
                if !self.counters.contains(event) {
                    self.counters.push(*event);
                }
            }
            ExprKind::Stat(..) => self.control = true,
            _ => {}
        });
    }
}

/// Trampolines are put as programs are loaded, and what `begin` sets up is there for all handlers.
fn begins_late(program: &Program) -> bool {
    let is_any = |is: fn(&Place) -> bool| program.probes.iter().any(|probe| is(&probe.place));
    is_any(|place| matches!(place, Place::User(When::Begin(_))))
        && is_any(|place| matches!(place, Place::Kernel { attach: Attach::Fentry { .. }, .. }))
}

fn losses(program: &Program, needs: &Needs) -> Vec<Loss> {
    if !needs.handlers {
        return Vec::new();
    }
    let arrays = program.globals.iter().enumerate().filter(|(_, global)| global.is_array() && global.in_kernel);
    let mut losses: Vec<Loss> = arrays.map(|(number, _)| Loss::ArrayFull(number)).collect();
    if needs.stacks {
        losses.extend([Loss::StacksFull, Loss::StackTruncated, Loss::StackFailed]);
    }
    losses.extend([Loss::StringsFull, Loss::StringTruncated, Loss::FormatFailed]);
    if needs.events {
        losses.extend((0..program.probes.len()).map(Loss::EventsFull));
    }
    let probes = program.probes.iter().enumerate();
    let nesting = probes.filter(|(_, probe)| matches!(&probe.place, Place::Kernel { attach, .. } if may_nest(attach)));
    losses.extend(nesting.map(|(number, _)| Loss::Nested(number)));
    losses
}

fn storage(plan: &mut Plan, aggregates: &mut u32, number: usize, global: &Global) -> Storage {
    if global.is_array() {
        return Storage::Array(array(plan, number, global));
    }
    match global.value.ty {
        Type::Stats => {
            let offset = if global.in_kernel { *aggregates } else { 0 };
            *aggregates += if global.in_kernel { global.layout.size() } else { 0 };
            Storage::ScalarAggregate { offset, layout: global.layout, in_kernel: global.in_kernel }
        }
        _ if !global.written => Storage::Constant,
        Type::String => scalar_text(plan, global),
        Type::Long | Type::Unknown => {
            let offset = reserve(plan, 8);
            if let Some(Literal::Number(number)) = &global.init {
                plan.state_init.push((offset, number.to_le_bytes().to_vec()));
            }
            Storage::Long { offset }
        }
    }
}

fn scalar_text(plan: &mut Plan, global: &Global) -> Storage {
    if global.value.shape == Shape::Stack {
        return Storage::Long { offset: reserve(plan, 8) };
    }
    let size = text_size(global.value.shape, plan.max_string);
    let offset = reserve(plan, size);
    if let Some(Literal::String(bytes)) = &global.init {
        plan.state_init.push((offset, bytes.iter().copied().take(size as usize - 1).collect()));
    }
    Storage::Text { offset, size }
}

/// Bytes of the longest string in the state block that a kernel handler uses.
fn grown_in_kernel(program: &Program, max: u32) -> u32 {
    let texts = program.globals.iter().filter(|global| {
        global.in_kernel && global.written && !global.is_array() && matches!(global.value.shape, Shape::Text(_))
    });
    texts.map(|global| text_size(global.value.shape, max)).max().unwrap_or(0)
}

fn reserve(plan: &mut Plan, bytes: u32) -> u32 {
    let offset = plan.state_size;
    plan.state_size += bytes.next_multiple_of(8);
    offset
}

fn array(plan: &mut Plan, number: usize, global: &Global) -> Array {
    let mut key_size = 0;
    let mut key = Vec::new();
    for slot in global.keys.iter().flatten() {
        let kind = key_kind(*slot, plan.max_string);
        key.push(KeyPart { offset: key_size, kind });
        key_size += kind.size();
    }
    let value = match (global.value.ty, global.value.shape) {
        (Type::Stats, _) => Value::Aggregate(global.layout),
        (Type::String, Shape::Stack) => Value::Stack,
        (Type::String, shape) => Value::Text(text_size(shape, plan.max_string)),
        _ => Value::Long,
    };
    let mut array = Array {
        map: None,
        key,
        key_size,
        value,
        max_entries: global.max_entries,
        sized: global.sized,
        wrap: global.wrap,
        ordered: global.in_kernel && global.walked && !matches!(value, Value::Aggregate(_)),
    };
    array.map = global.in_kernel.then(|| {
        // The kernel drops what was not used for longest where SystemTap drops the oldest.
        let kind = match (matches!(value, Value::Aggregate(_)), global.wrap) {
            (true, false) => MapKind::PercpuHash,
            (true, true) => MapKind::LruPercpuHash,
            (false, false) => MapKind::Hash,
            (false, true) => MapKind::LruHash,
        };
        let sizes = (key_size, array.stored_size());
        plan.add(map_name(&global.name), kind, sizes, global.max_entries, MapRole::Array(number))
    });
    array
}

fn key_kind(slot: Slot, max_string: u32) -> KeyKind {
    match (slot.ty, slot.shape) {
        (Type::String, Shape::Stack) => KeyKind::Stack,
        (Type::String, shape) => match text_size(shape, max_string) {
            size if size <= limits::INLINE_KEY_TEXT => KeyKind::Text(size),
            _ => KeyKind::Interned,
        },
        _ => KeyKind::Long,
    }
}

/// Bytes that hold a string of this shape, in whole words.
pub fn text_size(shape: Shape, max_string: u32) -> u32 {
    match shape {
        Shape::Text(bound) => bound.next_multiple_of(8),
        Shape::Stack | Shape::None => max_string.next_multiple_of(8),
    }
}

/// Bytes of the memory that holds a variable.
pub fn home_size(slot: Slot, max_string: u32) -> u32 {
    match (slot.ty, slot.shape) {
        (Type::String, Shape::Text(_) | Shape::None) => text_size(slot.shape, max_string),
        _ => 8,
    }
}

/// At most 15 bytes of [A-Za-z0-9_], as the kernel wants.
pub fn map_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(15).collect()
}
