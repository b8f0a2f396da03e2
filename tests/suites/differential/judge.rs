//! Compares what both sides did with what the language says, and says who is wrong.

use crate::oracle::{self, Expected};
use crate::sample::Sample;
use crate::show::show;
use crate::sides::{Refusal, Seen, Side, Workbench};
use crate::used::Used;
use std::fmt::Write;
use tapster_lang::SourceMap;
use tapster_lang::diagnostic::describe_token_at;

/// What became of a sample.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// All three agree.
    Agreed {
        /// Whether the kernel did all of it.
        in_kernel: bool,
    },
    /// It is no good: it goes on for too long.
    TooLong,
    /// The kernel's side says that a handler is too large for eBPF, which is an answer.
    TooLarge,
    /// They do not agree.
    Failed(Failure),
}

/// A disagreement.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What it is, so that a smaller program fails in the same way.
    pub kind: Kind,
    /// Who said or did what.
    pub report: String,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The verifier rejected it.
    Verifier,
    /// The compiler refused it.
    Compiler(Side),
    /// It could not be run.
    Other(Side),
    /// The compiler or the runtime gave up, saying this without its numbers.
    Panic(Side, String),
    /// It does something else than the language says.
    Wrong(Vec<Side>),
}

/// Tries a sample.
pub fn judge(bench: &Workbench, sample: &mut Sample) -> (String, Verdict) {
    let text = show(sample);
    let Some(expected) = oracle::run(sample, &bench.task) else { return (text, Verdict::TooLong) };
    // What has no effect may be left out, be it an error: only where there is none does it change nothing.
    let elide = sample.elide && !expected.raised;
    let mut seen = Vec::new();
    for side in [Side::User, Side::Kernel, Side::Text] {
        match bench.run(sample, &text, side, elide) {
            Ok(what) => seen.push((side, what)),
            // What is never used has no type that the front end could find out.
            Err(Refusal::Compiler(said)) if side == Side::Text && !said.contains("parse error") => {}
            Err(refusal) => return (text, not_run(side, refusal)),
        }
    }
    let handed_over = seen[1].1.handed_over;
    if handed_over && Used::of(&sample.functions, &sample.handler).variance {
        // Put together of what both sides of the boundary have added, it rounds differently, and the program saw it.
        seen.retain(|(side, _)| *side != Side::Kernel);
    }
    let aspects = Aspects::of(&expected, &text);
    let complaint = |(side, seen): &(Side, Seen)| Some((*side, aspects.complaint(*side, seen, handed_over)?));
    let wrong: Vec<(Side, String)> = seen.iter().filter_map(complaint).collect();
    if wrong.is_empty() {
        return (text, Verdict::Agreed { in_kernel: !handed_over });
    }
    let names: Vec<&str> = wrong.iter().map(|(side, _)| side.name()).collect();
    let right: Vec<&str> = seen.iter().map(|(side, _)| side.name()).filter(|name| !names.contains(name)).collect();
    let mut report = match right.is_empty() {
        true => "all are wrong: the lowering they share, or the oracle\n".to_owned(),
        false => format!("wrong: {}; right: {}\n", names.join(", "), right.join(", ")),
    };
    for (side, complaint) in &wrong {
        let _ = write!(report, "{}:\n{complaint}", side.name());
    }
    let kind = Kind::Wrong(wrong.into_iter().map(|(side, _)| side).collect());
    (text, Verdict::Failed(Failure { kind, report }))
}

fn not_run(side: Side, refusal: Refusal) -> Verdict {
    let name = side.name();
    let (kind, report) = match refusal {
        Refusal::Compiler(said) if said.contains("cannot be compiled to eBPF") => return Verdict::TooLarge,
        Refusal::Verifier(log) => (Kind::Verifier, format!("the verifier rejects it:\n{log}\n")),
        Refusal::Compiler(said) => (Kind::Compiler(side), format!("the compiler refuses it for {name}:\n{said}\n")),
        Refusal::Other(said) => (Kind::Other(side), format!("it cannot be run in {name}: {said}\n")),
        Refusal::Panic(said) => {
            let words = said.chars().filter(|c| !c.is_ascii_digit()).collect();
            (Kind::Panic(side, words), format!("panicked, for {name}: {said}\n"))
        }
    };
    Verdict::Failed(Failure { kind, report })
}

/// What is compared, as the language says it must be.
struct Aspects {
    out: Vec<u8>,
    left: Vec<Vec<u8>>,
    said: Vec<String>,
    cut: bool,
}

impl Aspects {
    fn of(expected: &Expected, text: &str) -> Aspects {
        let said = expected.fault.as_ref().map_or_else(Vec::new, |fault| {
            let mut sources = SourceMap::new();
            sources.add("differential.stp", text);
            let message = String::from_utf8_lossy(&fault.message);
            let near = match fault.position {
                0 => String::new(),
                position => format!(" near {}", describe_token_at(&sources, position)),
            };
            vec![format!("ERROR: {message}{near}"), "WARNING: Number of errors: 1, skipped probes: 0".into()]
        });
        Aspects { out: expected.out.clone(), left: expected.left.clone(), said, cut: expected.cut }
    }

    /// What is wrong with what a side did. A statistic to which both sides of the boundary added has its variance put
    /// together of two parts, which rounds differently; a string that fills its place may be counted as cut.
    fn complaint(&self, side: Side, seen: &Seen, handed_over: bool) -> Option<String> {
        let mut text = String::new();
        let lines = |out: &[u8]| -> Vec<String> { out.split(|b| *b == b'\n').map(shown).collect() };
        differences("prints", &lines(&self.out), &lines(&seen.out), &mut text);
        let left = |lines: &[Vec<u8>]| -> Vec<String> {
            let variance = |line: &&Vec<u8>| handed_over && shown(line).contains("@variance");
            lines.iter().filter(|line| !variance(line)).map(|line| shown(line)).collect()
        };
        let all = side != Side::Text;
        differences("leaves behind", &left(if all { &self.left } else { &[] }), &left(&seen.left), &mut text);
        let lost: Vec<&String> = seen.losses.iter().filter(|loss| !(self.cut && loss.contains("cut to"))).collect();
        let said: Vec<String> =
            seen.said.iter().filter(|line| !seen.losses.iter().any(|l| line.contains(l))).cloned().collect();
        differences("says", &self.said, &said, &mut text);
        for loss in lost {
            let _ = writeln!(text, "  loses: {loss}");
        }
        (!text.is_empty()).then_some(text)
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Writes lines that only one of two lists has.
fn differences(what: &str, expected: &[String], seen: &[String], text: &mut String) {
    if expected == seen {
        return;
    }
    let alike = expected.iter().zip(seen).take_while(|(a, b)| a == b).count();
    let end = expected.iter().rev().zip(seen.iter().rev()).take_while(|(a, b)| a == b).count();
    let end = end.min(expected.len().min(seen.len()) - alike);
    let _ = writeln!(text, "  {what}, after {alike} lines that are right:");
    for (name, list) in [("expected", expected), ("seen    ", seen)] {
        for line in list[alike..list.len() - end].iter().take(20) {
            let _ = writeln!(text, "    {name} {line}");
        }
    }
}
