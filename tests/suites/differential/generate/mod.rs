//! Makes programs: well typed, with side effects wherever the language allows them, and ending soon.
//!
//! Every program draws which features it may have. Half of them have only what the kernel's side does by itself, so
//! that long handlers run there as a whole.

mod format;
mod longs;
mod stmts;
mod texts;

pub use longs::extractors;

use crate::random::Rng;
use crate::sample::{Sample, local, slot};
use tapster_compiler::hir::{Function, FunctionId, Global, GlobalId, Handler, Local, LocalId, Type};
use tapster_lang::ast::Literal;
use tapster_runtime_ebpf::aggregate::{Histogram, Layout, Parts};

/// Expressions of a body are leaves once it has so many.
const NODES_MAX: usize = 120;
/// Elements of an array that can get full.
const FEW: u32 = 3;
/// Elements of all others: more than a program has statements.
const ENOUGH: u32 = 512;

/// What a program may have.
#[derive(Clone, Copy, Debug, Default)]
struct Features {
    texts: bool,
    arrays: bool,
    stats: bool,
    functions: bool,
    loops: bool,
    /// Assignments inside expressions.
    effects: bool,
    /// Divisors that may be zero, arrays that get full.
    faults: bool,
    /// Facts of the task.
    facts: bool,
    /// Strings longer than what a key holds as bytes.
    wide: bool,
    // What the kernel's side left to user space when this was written.
    making: bool,
    comparing: bool,
    regexes: bool,
    tries: bool,
    walks: bool,
    extractors: bool,
    slices: bool,
    recursion: bool,
}

impl Features {
    fn draw(rng: &mut Rng) -> Features {
        let kernel = Features {
            texts: rng.chance(75),
            arrays: rng.chance(70),
            stats: rng.chance(45),
            functions: rng.chance(55),
            loops: rng.chance(60),
            effects: rng.chance(45),
            faults: rng.chance(30),
            facts: rng.chance(20),
            wide: rng.chance(25),
            ..Features::default()
        };
        if rng.chance(50) {
            return kernel;
        }
        Features {
            making: rng.chance(60),
            comparing: rng.chance(50),
            regexes: rng.chance(35),
            tries: rng.chance(40),
            walks: rng.chance(25),
            extractors: rng.chance(30),
            slices: rng.chance(25),
            recursion: rng.chance(15),
            ..kernel
        }
    }
}

/// The body that is being made.
#[derive(Debug, Default)]
struct Body {
    locals: Vec<Local>,
    /// Variables that loops count with: nothing else writes them.
    counters: Vec<LocalId>,
    /// The functions it may call, each by its first overload.
    callable: Vec<FunctionId>,
    /// What it returns, where it is a function's.
    result: Option<Type>,
    /// Whether `next` may stand in it.
    passes: bool,
    /// How many loops stand around the statement.
    loops: usize,
    /// How many walks stand around it: the array that is walked must not change, nor may a function change it.
    walks: usize,
    /// How many expressions it has so far.
    nodes: usize,
}

/// Makes one program.
struct Generator {
    rng: Rng,
    features: Features,
    sample: Sample,
    /// Strings that come up again and again.
    words: Vec<Vec<u8>>,
    body: Body,
}

/// The program of a seed.
pub fn program(seed: u64) -> Sample {
    let mut rng = Rng::new(seed);
    let features = Features::draw(&mut rng);
    let max_string = rng.weighted(&[(70, 512), (10, 128), (10, 64), (5, 100), (5, 24)]);
    let sample = Sample {
        seed,
        max_string,
        elide: rng.chance(40),
        globals: Vec::new(),
        functions: Vec::new(),
        handler: Handler::default(),
        formats: Vec::new(),
        regexes: Vec::new(),
    };
    let mut generator = Generator { rng, features, sample, words: Vec::new(), body: Body::default() };
    generator.words();
    generator.globals();
    if features.functions {
        generator.functions();
    }
    let callable = generator.firsts();
    generator.begin_body(Body { callable, passes: true, ..Body::default() }, &[]);
    let count = 4 + generator.rng.below(14);
    let mut body = generator.first_values();
    body.extend(generator.stmts(count, 3));
    generator.sample.handler = Handler { locals: core::mem::take(&mut generator.body.locals), body };
    generator.sample
}

impl Generator {
    /// Draws a few strings, many of which start alike.
    fn words(&mut self) {
        const ODD: &[u8] = b" %\"\\'\x01\x7f\xe9\xff\t";
        let longest = (self.sample.max_string as usize - 1).min(if self.features.wide { 200 } else { 60 });
        let lengths =
            [0, 1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 23, 24, 31, 32, 39, 47, 60, 63, 64, 65, 71, 80, 127, 130];
        let common: Vec<u8> = (0..longest).map(|_| b'a' + self.rng.below(4) as u8).collect();
        for _ in 0..6 {
            let length = (*self.rng.pick(&lengths)).min(longest);
            let mut word = common[..length].to_vec();
            if let Some(at) = length.checked_sub(1)
                && self.rng.chance(60)
            {
                let at = if self.rng.chance(50) { at } else { self.rng.below(length) };
                word[at] = if self.rng.chance(25) { *self.rng.pick(ODD) } else { b'A' + self.rng.below(26) as u8 };
            }
            self.words.push(word);
        }
    }

    fn globals(&mut self) {
        let mut kinds = vec![(40, 0)];
        kinds.extend(self.features.texts.then_some((25, 1)));
        kinds.extend(self.features.stats.then_some((20, 2)));
        kinds.extend(self.features.arrays.then_some((45, 3)));
        for number in 0..2 + self.rng.below(5) {
            let name = format!("g{number}");
            let global = match self.rng.weighted(&kinds) {
                0 => Global {
                    value: slot(Type::Long),
                    keys: Some(Vec::new()),
                    init: self.init_long(),
                    ..Global::default()
                },
                1 => Global {
                    value: slot(Type::String),
                    keys: Some(Vec::new()),
                    init: self.init_text(),
                    ..Global::default()
                },
                2 => self.statistic(Vec::new()),
                _ => self.array(),
            };
            self.sample.globals.push(Global { name, ..global });
        }
    }

    fn init_long(&mut self) -> Option<Literal> {
        self.rng.chance(40).then(|| Literal::Number(self.rng.number()))
    }

    fn init_text(&mut self) -> Option<Literal> {
        self.rng.chance(40).then(|| Literal::String(self.rng.pick(&self.words).clone()))
    }

    fn array(&mut self) -> Global {
        let count = self.rng.weighted(&[(50, 1), (30, 2), (20, 3)]);
        let texts = self.features.texts;
        let keys: Vec<Type> =
            (0..count).map(|_| if texts && self.rng.chance(45) { Type::String } else { Type::Long }).collect();
        let value = match self.rng.below(10) {
            0..=2 if self.features.stats => return self.statistic(keys),
            3..=4 if texts => Type::String,
            _ => Type::Long,
        };
        let sized = self.features.faults && self.rng.chance(40);
        let max_entries = if sized { FEW } else { ENOUGH };
        let keys = Some(keys.into_iter().map(slot).collect());
        Global { value: slot(value), keys, max_entries, sized, ..Global::default() }
    }

    /// A statistic that keeps some of what can be kept; the end of the program reads just that.
    fn statistic(&mut self, keys: Vec<Type>) -> Global {
        let variance = if self.rng.chance(25) { Some(*self.rng.pick(&[0, 0, 3, 10, 62])) } else { None };
        let mut parts = Parts {
            count: self.rng.chance(60),
            sum: self.rng.chance(50),
            min: self.rng.chance(40),
            max: self.rng.chance(40),
            variance,
        };
        let histogram = match self.rng.below(8) {
            0 => Histogram::Log,
            1 => {
                let low = self.rng.below(20) as i64 - 10;
                let interval = 1 + self.rng.below(7) as i64;
                Histogram::Linear { low, high: low + interval * (1 + self.rng.below(10) as i64), interval }
            }
            _ => Histogram::None,
        };
        let nothing = Parts { variance: None, ..Parts::default() };
        parts.count |= parts == nothing && histogram == Histogram::None;
        let keys = Some(keys.into_iter().map(slot).collect());
        let layout = Layout { parts, histogram };
        Global { value: slot(Type::Stats), keys, max_entries: ENOUGH, layout, ..Global::default() }
    }

    fn functions(&mut self) {
        for number in 0..1 + self.rng.below(3) {
            let params: Vec<Type> = (0..self.rng.below(4)).map(|_| self.some_type()).collect();
            let result = match self.rng.below(10) {
                0 => Type::Unknown,
                _ => self.some_type(),
            };
            let callable = self.firsts();
            if self.features.recursion && self.rng.chance(50) {
                self.recursive(number);
                continue;
            }
            let overloads = if self.rng.chance(30) { 2 } else { 1 };
            for nth in 0..overloads {
                let last = nth + 1 == overloads;
                let passes = !last || self.features.faults && self.rng.chance(10);
                let body = Body { callable: callable.clone(), result: Some(result), passes, ..Body::default() };
                let handler = self.function_body(body, &params, result);
                let next = (!last).then_some(self.sample.functions.len() + 1);
                let (name, params) = (format!("f{number}"), params.len());
                let result = slot(result);
                self.sample.functions.push(Function { name, params, handler, result, next, ..Function::default() });
            }
        }
    }

    /// A function that calls itself a few times: its first parameter, which nothing writes, says how often.
    fn recursive(&mut self, number: usize) {
        let id = self.sample.functions.len();
        self.begin_body(Body { counters: vec![0], result: Some(Type::Long), ..Body::default() }, &[Type::Long]);
        let mut body = vec![self.ends_unless_few()];
        body.extend(self.stmts(2, 1));
        body.push(self.calls_itself(id));
        let handler = Handler { locals: core::mem::take(&mut self.body.locals), body };
        let (name, result) = (format!("f{number}"), slot(Type::Long));
        self.sample.functions.push(Function { name, params: 1, handler, result, ..Function::default() });
    }

    fn function_body(&mut self, body: Body, params: &[Type], result: Type) -> Handler {
        self.begin_body(body, params);
        let count = 1 + self.rng.below(4);
        let mut body = self.stmts(count, 2);
        if result != Type::Unknown && self.rng.chance(85) {
            let value = self.of_type(result, 2);
            body.push(crate::sample::stmt(tapster_compiler::hir::StmtKind::Return(Some(value))));
        }
        Handler { locals: core::mem::take(&mut self.body.locals), body }
    }

    /// The functions so far, each by its first overload.
    fn firsts(&self) -> Vec<FunctionId> {
        let functions = &self.sample.functions;
        let is_first = |id: &FunctionId| functions.iter().all(|function| function.next != Some(*id));
        (0..functions.len()).filter(is_first).collect()
    }

    fn some_type(&mut self) -> Type {
        if self.features.texts && self.rng.chance(35) { Type::String } else { Type::Long }
    }

    fn begin_body(&mut self, body: Body, params: &[Type]) {
        self.body = body;
        let params = params.iter().enumerate().map(|(nth, ty)| local(format!("p{nth}"), *ty));
        self.body.locals.extend(params);
        for nth in 0..2 {
            self.body.locals.push(local(format!("n{nth}"), Type::Long));
        }
        if self.features.texts {
            self.body.locals.push(local("s0".into(), Type::String));
            if self.rng.chance(40) {
                self.body.locals.push(local("s1".into(), Type::String));
            }
        }
    }

    /// A new variable that nothing else writes.
    fn own_local(&mut self, prefix: &str, ty: Type) -> LocalId {
        let number = self.body.locals.len();
        self.body.locals.push(local(format!("{prefix}{number}"), ty));
        self.body.counters.push(number);
        number
    }

    /// A variable of a type; `written` leaves out those that loops count with.
    fn some_local(&mut self, ty: Type, written: bool) -> Option<LocalId> {
        let locals = self.body.locals.iter().enumerate();
        let fitting = locals.filter(|(id, local)| local.slot.ty == ty && !(written && self.body.counters.contains(id)));
        let ids: Vec<LocalId> = fitting.map(|(id, _)| id).collect();
        (!ids.is_empty()).then(|| *self.rng.pick(&ids))
    }

    fn some_global(&mut self, fits: impl Fn(&Global) -> bool) -> Option<GlobalId> {
        let globals = self.sample.globals.iter().enumerate();
        let ids: Vec<GlobalId> = globals.filter(|(_, global)| fits(global)).map(|(id, _)| id).collect();
        (!ids.is_empty()).then(|| *self.rng.pick(&ids))
    }

    /// A scalar of a type, no statistic.
    fn scalar(&mut self, ty: Type) -> Option<GlobalId> {
        self.some_global(|global| !global.is_array() && global.value.ty == ty)
    }

    /// An array of values of a type.
    fn array_of(&mut self, ty: Type) -> Option<GlobalId> {
        self.some_global(|global| global.is_array() && global.value.ty == ty)
    }

    /// The types of an array's keys; none for a scalar.
    fn key_types(&self, global: GlobalId) -> Vec<Type> {
        self.sample.globals[global].keys.iter().flatten().map(|slot| slot.ty).collect()
    }
}
