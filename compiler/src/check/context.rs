//! What the steps of checking share.

use crate::world::{Rung, World};
use std::collections::{BTreeMap, BTreeSet};
use tapster_lang::{Diagnostic, Severity, Span};

/// How many errors are worth reading; as many as the parser reports.
const ERRORS_MAX: usize = 100;
/// Expressions of all handlers, with a copy for each place a probe stands at: some hundred bytes each.
const EXPRESSIONS_MAX: usize = 1_000_000;

/// Limits and choices of a run, as the command line gives them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of a string with its NUL.
    pub max_string: u32,
    /// Elements of an array that gives no size.
    pub max_entries: u32,
    /// Frames kept of a stack.
    pub max_backtrace: u32,
    /// Statements of a handler.
    pub max_action: u32,
    /// Statements of a begin, end or error handler, where `-D MAXACTION_INTERRUPTIBLE` says so; ten times `max_action`
    /// otherwise.
    pub max_action_interruptible: Option<u32>,
    /// Calls of functions within each other, where `-D MAXNESTING` says so.
    pub max_nesting: Option<u32>,
    /// Places that one probe point may stand for.
    pub max_sites: u32,
    /// What `target()` gives.
    pub target: i64,
    /// The program of `-c`, free of links.
    pub program: Option<String>,
    /// What `stp_pid()` gives.
    pub own_pid: i64,
    /// The user id that Tapster runs with.
    pub own_uid: i64,
    /// The only rung to take.
    pub attach: Option<Rung>,
    /// Places, as `Attach::describe` calls them, whose programs the verifier has turned down: their arguments are copied,
    /// as it does not accept what BTF says of them, and their loops become functions.
    pub turned_down: BTreeSet<String>,
    /// Places, likewise, that the kernel has refused late, with why: the next rung is tried there.
    pub refused: BTreeMap<String, String>,
    /// What functions with loops read for a part of a handler that user space perhaps does not come to raises its errors
    /// at once: kept for later, they want more room than some handlers have.
    pub loops_at_once: bool,
    /// Initial values of globals by name, `-G`; the last one of a name counts.
    pub globals: Vec<(String, String)>,
    /// Print at the end what is written and never read; off with `--no-global-var-display`.
    pub display: bool,
    /// Leave out what has no effect; off with `-u`.
    pub elide: bool,
    /// Keep whole statistics and what is never read: all of it is shown, by `-f json`, pictures and tables.
    pub keep_all: bool,
    /// `-g`.
    pub guru: bool,
    /// Take 0 for target variables that are not there, `--skip-badvars`.
    pub skip_badvars: bool,
    /// Bytes of the ring that kernel handlers send to user space through: a power of two.
    pub event_ring: u32,
}

impl Default for Options {
    fn default() -> Options {
        use tapster_runtime_ebpf::limits;
        Options {
            max_string: limits::MAXSTRINGLEN,
            max_entries: limits::MAXMAPENTRIES,
            max_backtrace: limits::MAXBACKTRACE,
            max_action: limits::MAXACTION,
            max_action_interruptible: None,
            max_nesting: None,
            max_sites: limits::MAXPROBES,
            target: 0,
            program: None,
            own_pid: 0,
            own_uid: 0,
            attach: None,
            turned_down: BTreeSet::new(),
            refused: BTreeMap::new(),
            loops_at_once: false,
            globals: Vec::new(),
            display: true,
            elide: true,
            keep_all: false,
            guru: false,
            skip_badvars: false,
            event_ring: tapster_runtime_ebpf::record::EVENT_RING,
        }
    }
}

impl Options {
    /// The number that a value of `-D` or `-G` is, in C's notation.
    pub fn number(text: &str) -> Option<i64> {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
        let (digits, radix) = match digits.strip_prefix('0') {
            None | Some("") => (digits, 10),
            Some(rest) => rest.strip_prefix(['x', 'X']).map_or((rest, 8), |rest| (rest, 16)),
        };
        let unsigned = digits.chars().all(|c| c.is_ascii_alphanumeric());
        unsigned.then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()).flatten()
    }
}

/// What the steps share: the machine, the options and what was found wrong.
pub struct Context<'a> {
    /// The machine.
    pub world: &'a dyn World,
    /// Limits and choices.
    pub options: &'a Options,
    /// What was found, in order.
    pub diagnostics: Vec<Diagnostic>,
    /// What SystemTap finds only when it translates: said where nothing else is wrong, and a script may be listed in
    /// spite of it.
    pub late: Vec<Diagnostic>,
    /// Expressions built so far.
    expressions: usize,
}

impl<'a> Context<'a> {
    /// Of a script of which nothing is known yet.
    pub fn new(world: &'a dyn World, options: &'a Options) -> Context<'a> {
        Context { world, options, diagnostics: Vec::new(), late: Vec::new(), expressions: 0 }
    }

    /// Counts one more expression, of which there can be only so many.
    pub fn count_expression(&mut self, at: Span) -> Result<(), Diagnostic> {
        self.expressions += 1;
        if self.expressions <= EXPRESSIONS_MAX {
            return Ok(());
        }
        let message = format!("more than {EXPRESSIONS_MAX} expressions in all handlers");
        Err(Diagnostic::error("check::too-large", message).label(at, "one too many"))
    }

    /// How many expressions there are, for [`Self::rewind`].
    pub fn mark(&self) -> usize {
        self.expressions
    }

    /// Expressions built since the mark are gone.
    pub fn rewind(&mut self, mark: usize) {
        self.expressions = mark;
    }

    /// Takes a diagnostic of what is found late, once.
    pub fn report_late(&mut self, diagnostic: Diagnostic) {
        if self.late.len() < ERRORS_MAX && !self.late.contains(&diagnostic) {
            self.late.push(diagnostic);
        }
    }

    /// Notes a piece of C that would have to be run.
    pub fn refuse_c(&mut self, at: Span) {
        self.report_late(
            Diagnostic::error("check::embedded-c", "embedded C cannot be compiled to eBPF")
                .label(at, "C of the kernel")
                .help("say it in the language, or call a function of the library instead"),
        );
    }

    /// Takes a diagnostic, once: several places of one probe find the same. Errors beyond [`ERRORS_MAX`] are dropped.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        let is_wanted = diagnostic.severity != Severity::Error || !self.has_enough();
        if is_wanted && !self.diagnostics.contains(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether there are as many errors as anybody reads: what only looks for more need not go on.
    pub fn has_enough(&self) -> bool {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error).count() >= ERRORS_MAX
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}
