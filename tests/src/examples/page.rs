//! `docs/compatibility.md`: what became of each example, on two kernels. It is read to be written anew in part.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Example, Outcome, Reached, booted, wanted};
use crate::facts::Version;

/// Who or what could have it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matter {
    /// Nobody: eBPF runs no C and writes no memory of others.
    OutOfReach,
    /// The machine: what is to be probed is not there.
    Machine,
    /// We.
    Ours,
}
use Matter::{Machine, Ours, OutOfReach};

/// Reasons by what is said, what they are called in the page, and whose matter they are.
const REASONS: &[(&str, &str, Matter)] = &[
    (GURU, "is for guru mode: it has pieces of C, or writes variables of the kernel or of a program", OutOfReach),
    ("cannot be done in eBPF", "writes variables of the kernel or of a program, which eBPF cannot", OutOfReach),
    ("embedded C", "has pieces of C", OutOfReach),
    ("embedded code", "has pieces of C", OutOfReach),
    ("no way to probe", "probes functions of the kernel, and there are no kprobes", Machine),
    ("no probes found", "probes functions of the kernel, and there are no kprobes", Machine),
    ("no program", "traces a program that is not installed", Machine),
    ("interpreters", "traces a program that is not installed", Machine),
    ("identifier 'glib'", "traces a program that is not installed", Machine),
    ("debug", "asks for source files, lines or labels, which debuginfo alone tells", Machine),
    ("similar: function, trace", "asks for source files, lines or labels, which debuginfo alone tells", Machine),
    ("no module", "probes a module that is not there", Machine),
    ("has no modules", "probes a module that is not there", Machine),
    ("no function of", "probes a function that this version of a program does not have", Machine),
    ("no mark of", "probes a mark that this build of a program does not have", Machine),
    ("struct systemtap_session", "asks for types of a program, which its debuginfo alone tells", Machine),
    ("no line of", "asks for source files, lines or labels, which debuginfo alone tells", Machine),
    ("by way of its PLT", "probes a function that this version of a program does not have", Machine),
    ("no kernel function", "probes a function that this kernel does not have any more", Machine),
    ("unable to find", "reads something that this kernel does not have any more", Machine),
    ("no tracepoint", "probes a tracepoint that this kernel does not have", Machine),
    ("out of range", "is no script by itself: it wants arguments", Machine),
    ("expected literal", "is a template to be filled in, which SystemTap does not parse either", Machine),
    ("not supported", "has a kind of probe point that is not supported", Ours),
    ("unresolved", "calls a function that is not there", Ours),
    ("unknown operator", "uses a macro that is not there", Ours),
    ("identifier", "uses a probe alias that is not there", Ours),
];

/// Stands before why a script is not accepted that its makers run in guru mode, whatever else stops it.
const GURU: &str = "guru mode: ";

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
        if wanted().is_none() {
            self.0.retain(|name, _| examples.iter().any(|example| example.name == *name));
        }
        for (example, outcome) in examples.iter().zip(outcomes) {
            let row = self.0.entry(example.name.clone()).or_default();
            row[nth] = outcome;
            for one in row.iter_mut().filter(|one| example.is_guru() && one.reached < Reached::Accepted) {
                one.why = format!("{GURU}{}", one.why.trim_start_matches(GURU));
            }
        }
    }

    /// Its text.
    pub fn text(&self, version: Version) -> String {
        let (this, other) = (kernel(version), format!("Linux {}", booted::KERNEL));
        let mut page = format!(
            "# SystemTap's own examples\n\n\
             How far Tapster comes with the scripts that Debian's package `systemtap-doc` installs in\n\
             `/usr/share/systemtap/examples`, each with the options and arguments that its makers try it with. {this} is the\n\
             machine that this page was written on; {other} is that of Debian 13, booted in QEMU with what Debian has of it,\n\
             modules (nfsd, sd_mod, kvm and others), its debug information and that of the C library, with bash, coreutils,\n\
             findutils, Python, PHP and stap as Debian 13 has them, busybox for the rest, and small programs of the tests.\n\
             Generated: `TAPSTER_BLESS=1 cargo test --release -p tapster-tests --test docs compatibility`;\n\
             without `TAPSTER_BLESS` the test checks that what is said of {this} still holds there.\n\n\
             `runs`: two seconds under a load without an error, and printed something; `silent`: printed nothing;\n\
             `accepted`: by the kernel's verifier; `compiles`, `parses`: no further than that; `-`: not\n\
             tried yet.\n\n\
             Two shares are given. The strict one is of all scripts but those with pieces of C and those that write variables\n\
             of others: those that their makers run in guru mode. The second also leaves out those that find nothing to probe there: a program, a module, a function or\n\
             a tracepoint that this machine or this kernel does not have, or debug information that is not installed.\n\n\
             What bounds the strict share of {this}: its kernel is built without kprobes, modules and debug information, so a\n\
             script that stands at a function of the kernel finds nothing there; the table of reasons counts them.\n\n"
        );
        self.summary(&mut page, &this, &other);
        self.reasons(&mut page, &this, &other);
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
        let out_of_reach = |nth: usize| self.stopped_by(nth, OutOfReach).to_string();
        line(page, format_args!("| need C or write memory of others | {} | {} |", out_of_reach(0), out_of_reach(1)));
        let missing = |nth: usize| self.stopped_by(nth, Machine).to_string();
        line(page, format_args!("| find nothing to probe there | {} | {} |", missing(0), missing(1)));
        let strictly: &[Matter] = &[OutOfReach];
        let counts = [
            ("strictly: of those that need neither C nor writes", strictly),
            ("of those that also find something to probe", &[OutOfReach, Machine]),
        ];
        for (whose, left_out) in counts {
            for (what, least) in [("are accepted", Reached::Accepted), ("run to their end", Reached::Silent)] {
                let share = |nth: usize| self.share(nth, least, left_out);
                line(page, format_args!("| {whose}, {what} | {} % | {} % |", share(0), share(1)));
            }
        }
    }

    /// How many scripts are not accepted for a reason of this kind.
    fn stopped_by(&self, nth: usize, matter: Matter) -> usize {
        let stopped = self.0.values().map(|outcomes| &outcomes[nth]).filter(|one| one.reached < Reached::Accepted);
        stopped.filter(|one| reason(&one.why).1 == matter).count()
    }

    /// How many in a hundred come so far, of those that are not stopped for some reasons.
    fn share(&self, nth: usize, least: Reached, left_out: &[Matter]) -> usize {
        let come = self.0.values().filter(|outcomes| outcomes[nth].reached >= least).count();
        let stopped: usize = left_out.iter().map(|matter| self.stopped_by(nth, *matter)).sum();
        100 * come / (self.0.len() - stopped).max(1)
    }

    /// Why scripts are not accepted, by how many on each kernel.
    fn reasons(&self, page: &mut String, this: &str, other: &str) {
        let mut scripts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
        for outcomes in self.0.values() {
            for (nth, outcome) in outcomes.iter().enumerate().filter(|(_, one)| one.reached < Reached::Accepted) {
                scripts.entry(reason(&outcome.why).0).or_default()[nth] += 1;
            }
        }
        let mut reasons: Vec<(&str, [usize; 2])> = scripts.into_iter().collect();
        reasons.sort_by_key(|(reason, counts)| (core::cmp::Reverse(counts[1]), core::cmp::Reverse(counts[0]), *reason));
        line(page, format_args!("\n## Why they are not accepted\n\n| a script … | {this} | {other} |\n|---|---|---|"));
        reasons.iter().for_each(|(reason, [here, there])| line(page, format_args!("| {reason} | {here} | {there} |")));
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

/// What a reason is called, and whose matter it is.
fn reason(why: &str) -> (&'static str, Matter) {
    let known = REASONS.iter().find(|(said, ..)| why.contains(said));
    known.map_or(("does not for another reason", Ours), |(_, called, matter)| (*called, *matter))
}

fn line(page: &mut String, text: core::fmt::Arguments) {
    writeln!(page, "{text}").expect("memory");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;
    use std::fs;

    /// `TAPSTER_BLESS=1` counts anew.
    #[test]
    fn what_is_counted_follows_from_the_rows() {
        let path = workspace::root().join("docs/compatibility.md");
        let text = fs::read_to_string(&path).expect("the page is there");
        let heading = text.lines().find_map(|line| line.strip_prefix("| of ")?.split(" | ").nth(1)).expect("a summary");
        let numbers = heading.strip_prefix("Linux ").and_then(|version| version.split_once('.')).expect("a kernel");
        let number = |digits: &str| digits.parse().expect("a number");
        let current = Page::read(&text).text(Version(number(numbers.0), number(numbers.1)));
        if std::env::var_os("TAPSTER_BLESS").is_some() {
            fs::write(&path, &current).expect("can be written");
        }
        assert!(text == current, "docs/compatibility.md is not what its rows say: run this test with TAPSTER_BLESS=1");
    }

    #[test]
    fn a_page_says_what_it_was_written_from() {
        let outcome = |reached, why: &str| Outcome { reached, why: why.into() };
        let here = outcome(Reached::Parsed, "`a | b` is not known");
        let page = Page([("io/x.stp".to_owned(), [here, outcome(Reached::Ran, "")])].into());
        assert_eq!(Page::read(&page.text(Version(6, 18))), page);
    }
}
