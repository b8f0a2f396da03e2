//! Runs a program on a side: through the whole compiler behind its types, and a session that ends at once.

use crate::ending;
use crate::oracle::Task;
use crate::sample::Sample;
use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use tapster_compiler::check::{Checked, Options, check, settle};
use tapster_compiler::hir::{Place, Probe, Program};
use tapster_compiler::image::{Attach, Image, When};
use tapster_compiler::kernel;
use tapster_compiler::kernel::btf::Btf;
use tapster_compiler::regex::Pattern;
use tapster_compiler::world::{Features, World};
use tapster_compiler::{compile, emit, library};
use tapster_lang::ast::Script;
use tapster_lang::diagnostic::describe_token_at;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};
use tapster_lang::{Diagnostic, SourceMap, Span};
use tapster_runtime::{LoadError, Machine, Session, host};

/// The first position of a source map.
const FIRST: u32 = 1;

/// What the handler's probe point is called, whatever it is.
const POINT: &str = "begin";

/// Where a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Cranelift.
    User,
    /// eBPF, run once by `BPF_PROG_TEST_RUN`.
    Kernel,
    /// Cranelift again, from the text that people are shown, parsed and checked as any script.
    Text,
}

impl Side {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Side::User => "user space",
            Side::Kernel => "the kernel",
            Side::Text => "the front end",
        }
    }
}

/// What can be seen of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What it printed.
    pub out: Vec<u8>,
    /// What it left behind: lines, sorted.
    pub left: Vec<Vec<u8>>,
    /// What it said on standard error.
    pub said: Vec<String>,
    /// What it lost.
    pub losses: Vec<String>,
    /// Whether user space did a part of a kernel handler.
    pub handed_over: bool,
}

/// Why there is nothing to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The verifier rejected it: the last lines of its log.
    Verifier(String),
    /// The compiler refuses it, and says so.
    Compiler(String),
    /// Something else.
    Other(String),
    /// The compiler or the runtime gave up.
    Panic(String),
}

thread_local! {
    /// Whether a panic is an answer and not for the terminal.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// What the last such panic said, and where.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has panics of what is tested kept instead of printed.
pub fn keep_panics() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match QUIET.get() {
        true => SAID.set(panic.to_string()),
        false => others(panic),
    }));
}

/// What all runs share.
pub struct Workbench {
    machine: Machine,
    /// The same with the instructions that every kernel has: division, sign extension and jumps look different there.
    older: Machine,
    /// The task that handlers run in.
    pub task: Task,
}

impl Workbench {
    /// For this thread, whose name and number handlers see.
    pub fn new() -> Workbench {
        let machine = Machine::new();
        let older = Machine::with_features(Features { cpu_v4: false, may_goto: false });
        Workbench { machine, older, task: task() }
    }

    /// Runs a sample, whose places are those of `text`, on a side; `elide` leaves out of it what has no effect.
    pub fn run(&self, sample: &Sample, text: &str, side: Side, elide: bool) -> Result<Seen, Refusal> {
        let attempt = AssertUnwindSafe(|| self.try_to_run(sample, text, side, elide));
        QUIET.set(true);
        let seen = catch_unwind(attempt);
        QUIET.set(false);
        seen.unwrap_or_else(|_| Err(Refusal::Panic(SAID.take())))
    }

    fn try_to_run(&self, sample: &Sample, text: &str, side: Side, elide: bool) -> Result<Seen, Refusal> {
        let mut sources = SourceMap::new();
        sources.add("differential.stp", text);
        let image = self.image(sample, side, &mut sources, elide).map_err(|errors| refused(&errors, &sources))?;
        let handed_over = !image.handoffs.is_empty();
        let (out, err) = (Shown::default(), Shown::default());
        let options = tapster_runtime::Options {
            timeout: Some(Duration::ZERO),
            place: Box::new(move |position| describe_token_at(&sources, position)),
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            ..tapster_runtime::Options::default()
        };
        let begun = Session::load(image, options).map_err(not_loaded)?.begin();
        let running = begun.run_once().map_err(|error| Refusal::Other(format!("BPF_PROG_TEST_RUN: {error}")))?;
        let outcome = running.run().finish();
        let (out, left) = match side {
            Side::Text => (out.0.take(), Vec::new()),
            Side::User | Side::Kernel => divide(&out.0.borrow()),
        };
        let said = String::from_utf8_lossy(&err.0.borrow()).lines().map(str::to_owned).collect();
        Ok(Seen { out, left, said, losses: outcome.losses, handed_over })
    }

    /// The program that a side is given, as eBPF where it has any.
    pub fn listing(&self, sample: &Sample, text: &str, side: Side) -> String {
        let mut sources = SourceMap::new();
        sources.add("differential.stp", text);
        QUIET.set(true);
        let image = catch_unwind(AssertUnwindSafe(|| self.image(sample, side, &mut sources, false)));
        QUIET.set(false);
        image.ok().and_then(Result::ok).map_or_else(String::new, |image| emit::bpf(&image, &sources))
    }

    fn image(
        &self,
        sample: &Sample,
        side: Side,
        sources: &mut SourceMap,
        elide: bool,
    ) -> Result<Image, Vec<Diagnostic>> {
        let options = Options { max_string: sample.max_string, elide, display: false, ..Options::default() };
        let machine = if sample.seed.is_multiple_of(2) { &self.machine } else { &self.older };
        let mut checked = match side {
            Side::Text => check(&parsed(sources)?, machine, &options)?,
            Side::User | Side::Kernel => {
                let mut program = program(sample, side);
                settle(&mut program, machine, &options)?;
                let facts = kernel::facts(machine.btf("vmlinux").and_then(Btf::new).as_ref(), machine.features());
                Checked { program, facts, ..Checked::default() }
            }
        };
        let lowered = compile::lower_checked(&mut checked, &options)?;
        compile::image(&checked, lowered, &*sources, machine, &host::table())
    }
}

/// The only text there is, parsed, with what it calls of the library.
fn parsed(sources: &mut SourceMap) -> Result<Vec<Script>, Vec<Diagnostic>> {
    let file = sources.file_at(FIRST).expect("the text is there");
    let (environment, macros) = (Environment::default(), Macros::default());
    let failed = |errors| vec![Diagnostic::error("parse::syntax", format!("{errors:?}"))];
    let mut scripts = vec![parse(file, sources, &environment, &macros).map_err(failed)?.script];
    library::complete(&mut scripts, sources, &environment)?;
    Ok(scripts)
}

fn program(sample: &Sample, side: Side) -> Program {
    let place = match side {
        Side::User | Side::Text => Place::User(When::Begin(0)),
        Side::Kernel => {
            let attach = Attach::RawTracepoint { name: "sys_enter".into() };
            Place::Kernel { attach, why: Vec::new() }
        }
    };
    let mut formats = sample.formats.clone();
    let ending = ending::handler(sample, &mut formats);
    let probe = |place, handler| Probe {
        point: POINT.into(),
        sites: Vec::new(),
        name: POINT.into(),
        lenient: false,
        span: Span::NONE,
        place,
        handler,
    };
    let probes = vec![
        probe(place, sample.handler.clone()),
        probe(Place::User(When::End(0)), ending.clone()),
        probe(Place::User(When::Error(0)), ending),
    ];
    Program {
        globals: sample.globals.clone(),
        functions: sample.functions.clone(),
        probes,
        formats,
        regexes: sample.regexes.iter().cloned().map(Pattern::new).collect(),
        ..Program::default()
    }
}

/// What programs that run on this thread, on either side, learn of their task. SystemTap's handlers run in `stapio`,
/// whose name a session takes.
fn task() -> Task {
    // SAFETY: these cannot fail and touch no memory.
    let (tid, uid, gid) = unsafe { (libc::gettid(), libc::getuid(), libc::getgid()) };
    let pid = std::process::id().into();
    Task {
        numbers: vec![("pid", pid), ("tid", tid.into()), ("uid", uid.into()), ("gid", gid.into())],
        texts: vec![("execname", b"stapio".to_vec()), ("pp", POINT.into()), ("pn", POINT.into())],
    }
}

fn refused(errors: &[Diagnostic], sources: &SourceMap) -> Refusal {
    use tapster_lang::diagnostic::{Format, render_all};
    Refusal::Compiler(render_all(errors, sources, Format::Stap, false, 120))
}

fn not_loaded(error: LoadError) -> Refusal {
    match error {
        LoadError::Rejected(rejection) => Refusal::Verifier(rejection.tail(25).to_owned()),
        other => Refusal::Other(other.to_string()),
    }
}

/// What a program printed, and what its end says it left behind.
fn divide(out: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mark = format!("{}\n", ending::MARK).into_bytes();
    let Some(at) = out.windows(mark.len()).rposition(|window| window == mark) else {
        return (out.to_vec(), vec![b"the end never ran".to_vec()]);
    };
    let rest = &out[at + mark.len()..];
    let mut left: Vec<Vec<u8>> = rest.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    left.retain(|line| !line.is_empty());
    left.sort();
    (out[..at].to_vec(), left)
}

/// Output that stays here.
#[derive(Clone, Default)]
struct Shown(Rc<RefCell<Vec<u8>>>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
