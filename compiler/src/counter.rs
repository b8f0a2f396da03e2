//! What `@perf("NAME")` stands for: how far a counter got while this thread ran, as text of the language.
//!
//! CPUs count, and threads move from one to another: what a CPU has counted since it turned to a thread is added to the
//! thread's sum where it turns to the next one.

use std::collections::HashSet;
use std::fmt::Write as _;
use tapster_lang::ast::{ExprKind, FunctionBody, Item, Literal, Script};

/// The operator. In a library it reads what this CPU has counted.
pub const READ: &str = "@perf";

/// Threads whose sums are kept; those that did not run for longest give way.
const THREADS: u32 = 16_384;
/// CPUs.
const CPUS: u32 = 8_192;

/// Counters whose text was made already.
#[derive(Debug, Default)]
pub struct Made(HashSet<String>);

impl Made {
    /// The text for those that a script of the user reads and that is not there yet, if any.
    pub fn text(&mut self, script: &Script) -> Option<String> {
        let mut text = String::new();
        for body in script.items.iter().filter(|_| !script.library).filter_map(body) {
            crate::check::walk::exprs(body, &mut |e| {
                if let ExprKind::Operator(name, args) = &e.kind
                    && name.name == READ
                    && let Some(ExprKind::Literal(Literal::String(counter))) = args.first().map(|arg| &arg.kind)
                    && let Ok(counter) = core::str::from_utf8(counter)
                    && self.0.insert(counter.into())
                {
                    text += &of(counter);
                }
            });
        }
        (!text.is_empty()).then_some(text)
    }
}

fn body(item: &Item) -> Option<&tapster_lang::ast::Block> {
    match item {
        Item::Probe(probe) => Some(&probe.body),
        Item::Alias(alias) => Some(&alias.body),
        Item::Function(function) => match &function.body {
            FunctionBody::Script(body) => Some(body),
            FunctionBody::EmbeddedC(_) => None,
        },
        Item::Global(_) | Item::EmbeddedC(_) => None,
    }
}

/// The function that gives a counter's value for this thread.
pub fn function(counter: &str) -> String {
    let mut name = String::from("__perf_");
    for byte in counter.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => name.push(byte.into()),
            _ => write!(name, "_{byte:02x}").expect("memory"),
        }
    }
    name
}

fn of(counter: &str) -> String {
    let (function, quoted) = (function(counter), counter.escape_default());
    let (sum, since, read) = (format!("{function}_sum"), format!("{function}_since"), format!("{READ}(\"{quoted}\")"));
    // A thread that is taken off its CPU between two of the reads would get what others counted meanwhile.
    format!(
        "global {sum}%[{THREADS}], {since}[{CPUS}]
function {function}:long() {{
  before = {since}[cpu()]
  count = {sum}[tid()] + {read} - before
  if ({since}[cpu()] != before) count = {sum}[tid()] + {read} - {since}[cpu()]
  return count
}}
probe kernel.trace(\"sched_switch\") {{
  now = {read}
  if (tid()) {sum}[tid()] += now - {since}[cpu()]
  {since}[cpu()] = now
}}
probe kernel.trace(\"sched_process_fork\") {{ delete {sum}[$child->pid] }}
"
    )
}
