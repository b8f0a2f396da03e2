//! `docs/compatibility.md`: what became of each example, on two kernels. It is read to be written anew in part.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Example, Outcome, Reached, booted};
use crate::facts::Version;

/// Reasons by what is said, and what they are called in the page.
const REASONS: &[(&str, &str)] = &[
    ("cannot be done in eBPF", "writes variables of the kernel or of a program, which eBPF cannot"),
    ("embedded C", "has pieces of C"),
    ("embedded code", "has pieces of C"),
    ("no way to probe", "probes functions of the kernel, and there are no kprobes"),
    ("no program", "traces a program that is not installed"),
    ("debug", "asks for source files, lines or labels, which debuginfo alone tells"),
    ("no module", "probes a module that is not there"),
    ("not supported", "has a kind of probe point that is not supported"),
    ("no kernel function", "probes a function that this kernel does not have any more"),
    ("no tracepoint", "probes a tracepoint that this kernel does not have"),
    ("unresolved", "calls a function that is not there"),
    ("unknown operator", "uses a macro that is not there"),
    ("identifier", "uses a probe alias that is not there"),
    ("out of range", "is no script by itself: it wants arguments"),
];

/// Stands where nobody has tried.
const UNTRIED: &str = "-";

/// A kernel as the page names it.
pub fn kernel(version: Version) -> String {
    format!("Linux {}.{}", version.0, version.1)
}

/// The page: by script, how far Tapster comes here and on the booted kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page(pub BTreeMap<String, [Outcome; 2]>);

impl Page {
    /// What a page says.
    pub fn read(text: &str) -> Page {
        Page(text.lines().filter_map(row).collect())
    }

    /// Has it say this of the scripts on one of the kernels: 0 is this one.
    pub fn renew(&mut self, examples: &[Example], nth: usize, outcomes: Vec<Outcome>) {
        self.0.retain(|name, _| examples.iter().any(|example| example.name == *name));
        for (example, outcome) in examples.iter().zip(outcomes) {
            self.0.entry(example.name.clone()).or_default()[nth] = outcome;
        }
    }

    /// Its text.
    pub fn text(&self, version: Version) -> String {
        let (this, other) = (kernel(version), format!("Linux {}", booted::KERNEL));
        let mut page = format!(
            "# SystemTap's own examples\n\n\
             How far Tapster comes with the scripts that Debian's package `systemtap-doc` installs in\n\
             `/usr/share/systemtap/examples`, each with the options and arguments that its makers try it with. {this} is the\n\
             machine that this page was written on, which has no kprobes; {other} is that of Debian 13, booted in QEMU with\n\
             nothing but busybox. Generated: `TAPSTER_BLESS=1 cargo test --release -p tapster-tests --test docs compatibility`;\n\
             without `TAPSTER_BLESS` the test checks that what is said of {this} still holds there.\n\n\
             `runs`: two seconds under a load without an error, and printed something; `silent`: printed nothing;\n\
             `accepted`: by the kernel's verifier; `compiles`, `parses`: no further than that; `-`: not\n\
             tried yet.\n\n"
        );
        self.summary(&mut page, &this, &other);
        self.reasons(&mut page);
        write!(
            page,
            "\n## Each of them\n\n| script | {this} | {other} | why not here | why not there |\n|---|---|---|---|---|\n"
        )
        .expect("memory");
        for (name, [here, there]) in &self.0 {
            let words =
                (here.reached.word(), if *there == Outcome::default() { UNTRIED } else { there.reached.word() });
            let [here, there] = [here, there].map(|outcome| outcome.why.replace('|', "\\|"));
            line(&mut page, format_args!("| {name} | {} | {} | {here} | {there} |", words.0, words.1));
        }
        page
    }

    fn summary(&self, page: &mut String, this: &str, other: &str) {
        line(page, format_args!("| of {} scripts | {this} | {other} |\n|---|---|---|", self.0.len()));
        let rows = [
            ("parse", Reached::Parsed),
            ("compile", Reached::Compiled),
            ("are accepted by the verifier", Reached::Accepted),
            ("run to their end", Reached::Silent),
            ("and print something", Reached::Ran),
        ];
        for (what, least) in rows {
            let count = |nth: usize| self.0.values().filter(|outcomes| outcomes[nth].reached >= least).count();
            let is_tried = self.0.values().any(|outcomes| outcomes[1] != Outcome::default());
            let there = if is_tried { count(1).to_string() } else { UNTRIED.into() };
            line(page, format_args!("| {what} | {} | {there} |", count(0)));
        }
    }

    /// Why scripts are accepted by neither kernel: what is said by the one that they come furthest on.
    fn reasons(&self, page: &mut String) {
        let mut scripts: BTreeMap<&str, usize> = BTreeMap::new();
        for [here, there] in self.0.values() {
            if here.reached.max(there.reached) < Reached::Accepted {
                let nearer = if here.reached > there.reached { here } else { there };
                *scripts.entry(reason(&nearer.why)).or_default() += 1;
            }
        }
        let mut reasons: Vec<(&str, usize)> = scripts.into_iter().collect();
        reasons.sort_by_key(|(reason, count)| (core::cmp::Reverse(*count), *reason));
        *page += "\n## Why neither accepts them\n\n| a script … | scripts |\n|---|---|\n";
        reasons.iter().for_each(|(reason, count)| line(page, format_args!("| {reason} | {count} |")));
    }

    /// What is said wrongly of a script, given how far it comes here. What a machine has installed is its own matter.
    pub fn contradiction(&self, example: &Example, now: &Outcome) -> Option<String> {
        let name = &example.name;
        let Some([said, _]) = self.0.get(name) else { return Some(format!("{name} has no line")) };
        let of_machine = |outcome: &Outcome| outcome.why.contains("no program") || outcome.why.contains("no module");
        let differs = (said.reached >= Reached::Accepted) != (now.reached >= Reached::Accepted);
        (differs && !of_machine(said) && !of_machine(now)).then(|| {
            format!("{name} is said to be `{}`, and is `{}`: {}", said.reached.word(), now.reached.word(), now.why)
        })
    }
}

/// `| name | word | word | why | why |`
fn row(line: &str) -> Option<(String, [Outcome; 2])> {
    let mut parts = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
    let name = parts.next().filter(|name| name.ends_with(".stp"))?;
    let words = [parts.next()?, parts.next()?];
    let mut outcome =
        |word: &str| Some(Outcome { reached: Reached::from_word(word)?, why: parts.next()?.replace("\\|", "|") });
    Some((name.to_owned(), [outcome(words[0])?, outcome(words[1])?]))
}

fn reason(why: &str) -> &'static str {
    REASONS.iter().find(|(said, _)| why.contains(said)).map_or("does not for another reason", |(_, reason)| reason)
}

fn line(page: &mut String, text: core::fmt::Arguments) {
    writeln!(page, "{text}").expect("memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_it_was_written_from() {
        let outcome = |reached, why: &str| Outcome { reached, why: why.into() };
        let here = outcome(Reached::Parsed, "`a | b` is not known");
        let page = Page([("io/x.stp".to_owned(), [here, outcome(Reached::Ran, "")])].into());
        assert_eq!(Page::read(&page.text(Version(6, 18))), page);
    }
}
