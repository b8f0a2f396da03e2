//! Case files: a script, what to do with it, and what that prints, in one `.stp`.
//!
//! The directives are `//! name: value` lines at the top and the expectations `//- stdout` sections at the end: comments
//! to SystemTap's language, so the file itself is what Tapster is given. `tests/README.md` has the tables for humans.
//! This module reads cases; [`expect`] compares, [`lines`] matches patterns, [`bless`] rewrites, [`crate::job`] runs.

pub mod bless;
pub mod expect;
mod lines;

use std::fs;
use std::path::{Path, PathBuf};

use crate::facts::{Fact, Rung, VersionRange};
use expect::Expectation;

/// One case file, read.
#[derive(Debug, Clone)]
pub struct Case {
    /// `suite/file_name_without_stp`: what the trial is called.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What Tapster is asked to do.
    pub action: Action,
    /// Arguments of the script (`$1`, `@2`).
    pub args: Vec<String>,
    /// Options of Tapster, before the script.
    pub options: Vec<String>,
    /// Additions to the environment, which is otherwise bare.
    pub env: Vec<(String, String)>,
    /// What the kernel or the user must offer.
    pub needs: Vec<Fact>,
    /// Kernels it is meant for.
    pub kernels: VersionRange,
    /// Run once for each of these rungs of the attach ladder (empty: once, Tapster chooses).
    pub rungs: Vec<Rung>,
    /// Shell command to run while the probes are attached.
    pub during: Option<String>,
    /// It ends without ^C after `during`.
    pub ends_itself: bool,
    /// Run as this kind of user.
    pub user: User,
    /// Paths to cover with nothing before Tapster starts (it then sees an empty file or directory).
    pub hide: Vec<String>,
    /// Seconds after which it has failed, on an unhurried machine.
    pub timeout: u64,
    /// The diagnostic code this case is the test of: standard error must name it.
    pub codes: Vec<String>,
    /// What must come out.
    pub expect: Expectation,
}

/// What Tapster is asked to do with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run it.
    Run,
    /// Print a representation.
    Emit(String),
    /// The same, but only whether it comes about counts.
    Reach(&'static str),
    /// Options and arguments only, without the file.
    Command,
}

/// Who runs the case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the suite.
    #[default]
    Same,
    /// Uid 65534, with these capabilities and no other.
    Nobody(Vec<u32>),
}

impl Case {
    /// Reads the case at `path`; its name is relative to the corpus `root`.
    pub fn read(root: &Path, path: &Path) -> Result<Case, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let relative = path.strip_prefix(root).unwrap_or(path).with_extension("");
        let name = relative.to_string_lossy().into_owned();
        parse(name, path.to_owned(), &text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Needs nothing of the kernel, so it belongs to the `compile` suite.
    pub fn is_compile_time(&self) -> bool {
        self.needs.is_empty() && self.rungs.is_empty()
    }

    /// The command line after the program's name, for a file called by its bare name.
    pub fn command_line(&self, rung: Option<Rung>) -> Vec<String> {
        let mut line = match &self.action {
            Action::Run | Action::Command => vec![],
            Action::Emit(what) => vec!["--emit".into(), what.clone()],
            Action::Reach(what) => vec!["--emit".into(), (*what).into()],
        };
        if let Some(rung) = rung {
            line.extend(["--attach".into(), rung.name().into()]);
        }
        if self.during.is_some() {
            // `-v` says `attached` when the workload may begin.
            line.push("-v".into());
        }
        line.extend(self.options.iter().cloned());
        if self.action != Action::Command {
            let file = self.path.file_name().expect("a case is a file");
            line.push(file.to_string_lossy().into_owned());
        }
        line.extend(self.args.iter().cloned());
        line
    }
}

/// Every case below `root` in order of name; a file that cannot be read is an error beside its name.
pub fn corpus(root: &Path) -> Vec<Result<Case, (String, String)>> {
    let mut files = vec![];
    collect(root, &mut files);
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root).unwrap_or(path).with_extension("");
        Case::read(root, path).map_err(|e| (name.to_string_lossy().into_owned(), e))
    };
    files.iter().map(read).collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "stp") {
            files.push(path);
        }
    }
}

fn parse(name: String, path: PathBuf, text: &str) -> Result<Case, String> {
    let mut case = Case {
        name,
        path,
        action: Action::Run,
        args: vec![],
        options: vec![],
        env: vec![],
        needs: vec![],
        kernels: VersionRange::default(),
        rungs: vec![],
        during: None,
        ends_itself: false,
        user: User::Same,
        hide: vec![],
        timeout: 20,
        codes: vec![],
        expect: expect::parse(text)?,
    };
    let mut tested = false;
    for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
        let (key, value) = line.split_once(':').ok_or_else(|| format!("`//!{line}` is not `name: value`"))?;
        tested |= key.trim() == "test";
        directive(&mut case, key.trim(), value.trim())?;
    }
    if !tested {
        return Err("the first line must say `//! test: run`, or what else is to be done".into());
    }
    // Notes tell how this kernel differs from others.
    case.expect.tolerates_notes |= !case.is_compile_time() || case.options.iter().any(|o| o.starts_with("-v"));
    case.expect.ignores_stdout = matches!(case.action, Action::Reach(_));
    case.expect.codes.clone_from(&case.codes);
    Ok(case)
}

fn directive(case: &mut Case, key: &str, value: &str) -> Result<(), String> {
    match key {
        "test" => case.action = action(value)?,
        "args" => case.args = words(value)?,
        "options" => case.options = words(value)?,
        "env" => case.env.push(pair(value)?),
        "needs" => case.needs = each(value, Fact::parse)?,
        "kernels" => case.kernels = VersionRange::parse(value)?,
        "rungs" => case.rungs = each(value, Rung::parse)?,
        "during" => case.during = Some(value.to_owned()),
        "ends" if value == "itself" => case.ends_itself = true,
        "user" => case.user = user(value)?,
        "hide" => case.hide = words(value)?,
        "timeout" => case.timeout = number(value)?,
        "exit" => case.expect.exit = number(value)? as i32,
        "code" => case.codes = words(value)?,
        _ => return Err(format!("no directive is called `{key}`")),
    }
    Ok(())
}

fn action(value: &str) -> Result<Action, String> {
    Ok(match value.split_once(' ').unwrap_or((value, "")) {
        ("run", "") => Action::Run,
        ("parse", "") => Action::Reach("ast"),
        ("check", "") => Action::Reach("hir"),
        ("compile", "") => Action::Reach("image"),
        ("command", "") => Action::Command,
        ("emit", what) if !what.is_empty() => Action::Emit(what.trim().to_owned()),
        _ => return Err(format!("`test: {value}`: run, parse, check, compile, emit WHAT or command")),
    })
}

/// `nobody`, or `nobody bpf perfmon` for the capabilities it keeps.
fn user(value: &str) -> Result<User, String> {
    // include/uapi/linux/capability.h
    const CAPABILITIES: &[(&str, u32)] =
        &[("dac_override", 1), ("net_admin", 12), ("sys_admin", 21), ("syslog", 34), ("perfmon", 38), ("bpf", 39)];
    let capability = |word: &str| {
        let row = CAPABILITIES.iter().find(|(name, _)| *name == word);
        row.map(|row| row.1).ok_or_else(|| format!("no capability `{word}` in the table"))
    };
    let mut parts = value.split_whitespace();
    match parts.next() {
        Some("nobody") => Ok(User::Nobody(parts.map(capability).collect::<Result<_, _>>()?)),
        _ => Err(format!("`user: {value}`: only `nobody [CAPABILITY…]` is known")),
    }
}

fn each<T>(value: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    value.split_whitespace().map(parse).collect()
}

fn number(value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("`{value}` is not a number"))
}

fn pair(value: &str) -> Result<(String, String), String> {
    let (name, value) = value.split_once('=').ok_or_else(|| format!("`{value}` is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Splits at blanks; quotes of either kind keep blanks together, `''` is an empty word.
pub fn words(value: &str) -> Result<Vec<String>, String> {
    let mut words = vec![];
    let (mut word, mut quote) = (None::<String>, None);
    for c in value.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("a quote is not closed in `{value}`"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Result<Case, String> {
        parse("suite/name".into(), "cases/suite/name.stp".into(), text)
    }

    #[test]
    fn directives_become_a_command_line() {
        let text = "//! test: emit clif\n//! options: -D A=1 -e 'two words'\n//! args: dentry \"\"\nprobe begin {}\n";
        let case = case(text).expect("reads");
        assert_eq!(
            case.command_line(None),
            ["--emit", "clif", "-D", "A=1", "-e", "two words", "name.stp", "dentry", ""]
        );
        assert!(case.is_compile_time());
    }

    #[test]
    fn a_rung_is_an_option() {
        let case = case("//! test: run\n//! rungs: fentry kprobe.multi\n").expect("reads");
        assert_eq!(case.command_line(Some(case.rungs[1])), ["--attach", "kprobe.multi", "name.stp"]);
        assert!(!case.is_compile_time());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (text, why) in [
            ("probe begin {}\n", "the first line must say"),
            ("//! test: dance\n", "run, parse, check"),
            ("//! test: run\n//! neds: root\n", "no directive is called `neds`"),
            ("//! test: run\n//! needs: luck\n", "luck"),
            ("//! test: run\n//! args: \"a\n", "not closed"),
            ("//! test: run\n//- stdoot\n", "stdoot"),
        ] {
            let error = case(text).expect_err(text);
            assert!(error.contains(why), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn nobody_keeps_the_named_capabilities() {
        let case = case("//! test: run\n//! user: nobody bpf perfmon\n").expect("reads");
        assert_eq!(case.user, User::Nobody(vec![39, 38]));
    }
}
