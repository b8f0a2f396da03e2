//! What the library of an installed SystemTap says of system calls: the variables of each, what they are, and which
//! argument they hold. Read from its text, as another program would have to be asked for it for minutes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::facts::SYSTEMTAP;
use regex_lite::{Captures, Regex};

/// A system call, as it is there.
#[derive(Debug, Default)]
pub struct Known {
    /// Its variables by name.
    pub variables: BTreeMap<String, Variable>,
    /// Names of the kernel's calls that it stands for.
    pub kernel_names: BTreeSet<String>,
}

/// One of its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Whether it is a string.
    pub is_text: bool,
    /// Where it is said with one voice: the argument it holds, from 1 on, and how much of it: `int`, `uint`, `long` and
    /// their kind.
    pub argument: Option<(usize, String)>,
}

/// Names of aliases, with those that they stand for and their bodies.
type Aliases = HashMap<String, (Vec<String>, String)>;

/// Its system calls by name.
pub fn calls() -> Result<BTreeMap<String, Known>, String> {
    let mut texts = HashSet::from(["sprintf".to_owned(), "sprint".to_owned()]);
    for path in files(Path::new(SYSTEMTAP))? {
        let function = regex(r"function\s+(\w+)\s*:\s*string");
        let text = read(&path)?;
        texts.extend(function.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    let folder = Path::new(SYSTEMTAP).join("linux");
    let common = macros(&without_comments(&read(&folder.join("syscalls.stpm"))?));
    let mut aliases = Aliases::new();
    let ours = [folder.clone(), folder.join("x86_64")];
    let is_of_calls = |path: &PathBuf| {
        path.parent().is_some_and(|parent| ours.iter().any(|folder| folder == parent))
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("sysc_"))
    };
    for path in files(&folder)?.into_iter().filter(is_of_calls) {
        collect(&without_comments(&read(&path)?), &common, &mut aliases);
    }
    let names = aliases.keys().filter_map(|name| name.strip_prefix("syscall.")).filter(|name| !name.contains('.'));
    Ok(names.map(|name| (name.to_owned(), known(name, &aliases, &texts))).collect())
}

fn known(name: &str, aliases: &Aliases, texts: &HashSet<String>) -> Known {
    let mut text = String::new();
    body(&format!("syscall.{name}"), aliases, &mut HashSet::new(), &mut text);
    let text = joined(&text);
    let assignment = regex(r"(?m)^\s*(?:else\s+|if\s*\(.*?\)\s*\{?\s*)?([a-z]\w*)\s*=\s*([^=\s].*)$");
    let argument = regex(r"^(?:__(int32)\()?(\w+)_arg\(\s*(\d)\s*\)\)?;?$");
    let mut known = Known::default();
    let mut told: HashMap<String, BTreeSet<(usize, String)>> = HashMap::new();
    for found in assignment.captures_iter(&text) {
        let (name, value) = (found[1].to_owned(), found[2].trim());
        let value =
            value.strip_prefix("@__compat_task ?").map_or(value, |both| both.rsplit(" : ").next().unwrap_or(both));
        let called = regex(r"(\w+)\s*\(");
        let is_string = |call: Captures| texts.contains(&call[1]) || call[1].starts_with("user_string");
        let same =
            name == "argstr" || known.variables.get(value.trim_end_matches(';')).is_some_and(|other| other.is_text);
        let is_text = same || value.starts_with('"') || called.captures_iter(value).any(is_string);
        if value.trim_end_matches(';').parse::<i64>().is_ok() {
            // It holds no argument of every call that the alias stands for.
            told.entry(name.clone()).or_default().extend([(0, String::new()), (1, String::new())]);
        }
        if let Some(found) = argument.captures(value) {
            let width = found.get(1).or(found.get(2)).map_or("", |width| width.as_str());
            let nth = found[3].parse().expect("a digit");
            told.entry(name.clone()).or_default().insert((nth, width.to_owned()));
        }
        known.variables.entry(name).or_insert(Variable { is_text, argument: None });
    }
    for (name, told) in told {
        if let (1, Some(variable)) = (told.len(), known.variables.get_mut(&name)) {
            variable.argument = told.into_iter().next();
        }
    }
    let number = regex(r"__NR_(\w+)");
    let numbers = number.captures_iter(&text).map(|found| found[1].to_owned());
    known.kernel_names = numbers.filter(|name| !name.starts_with("compat_")).collect();
    known
}

/// A text in which what stands in parentheses is on one line.
fn joined(text: &str) -> String {
    let mut depth = 0_i32;
    let plain = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if c == '\n' && depth > 0 { ' ' } else { c }
    };
    text.chars().map(plain).collect()
}

/// The text of an alias and of all that it stands for, but of what needs debug information.
fn body(name: &str, aliases: &Aliases, seen: &mut HashSet<String>, to: &mut String) {
    let Some((points, body_of_it)) = aliases.get(name) else { return };
    if name.starts_with("dw_") || name.starts_with("__dw") || !seen.insert(name.to_owned()) {
        return;
    }
    points.iter().for_each(|point| body(point, aliases, seen, to));
    to.push_str(body_of_it);
    to.push('\n');
}

/// The aliases of a file.
fn collect(text: &str, common: &HashMap<String, String>, aliases: &mut Aliases) {
    let mut known = common.clone();
    known.extend(macros(text));
    known.retain(|name, _| !name.starts_with("SYSC_RETVALSTR") && name != "__pointer");
    let (head, reference) = (regex(r"probe\s+([\w.]+)\s*=([^{]*)\{"), regex(r"\w*syscall[\w.]*"));
    for found in head.captures_iter(text) {
        let start = found.get(0).expect("all of it").end();
        let end = closing(&text[start..], "{", "}").map_or(text.len(), |length| start + length);
        let points = reference.find_iter(&found[2]).map(|point| point.as_str().to_owned()).collect();
        aliases.insert(found[1].to_owned(), (points, decided(expanded(&text[start..end], &known, 0))));
    }
}

/// The macros of a text.
fn macros(text: &str) -> HashMap<String, String> {
    let head = regex(r"@define\s+(\w+)(?:\([^)]*\))?\s*%\(");
    let of = |found: Captures| {
        let start = found.get(0).expect("all of it").end();
        let length = closing(&text[start..], "%(", "%)")?;
        Some((found[1].to_owned(), text[start..start + length].to_owned()))
    };
    head.captures_iter(text).filter_map(of).collect()
}

/// How far it is to what closes what was open before the text.
fn closing(text: &str, open: &str, close: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with(open) {
            depth += 1;
        } else if text[at..].starts_with(close) {
            depth -= 1;
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// A text with its macros in their places. Gates stay, as they say which calls pass.
fn expanded(text: &str, macros: &HashMap<String, String>, depth: usize) -> String {
    let used = regex(r"@(\w+)(\((?:[^()]|\([^()]*\))*\))?");
    let of = |found: &Captures| match macros.get(&found[1]) {
        Some(text) if depth < 6 && !found[1].contains("gate") => expanded(text, macros, depth + 1),
        _ => found[0].to_owned(),
    };
    used.replace_all(text, of).into_owned()
}

/// A text with its conditions decided for x86-64 and a SystemTap of today, from the innermost on.
fn decided(mut text: String) -> String {
    while let Some(end) = text.find("%)") {
        let Some(start) = text[..end].rfind("%(") else { return text };
        let inner = &text[start + 2..end];
        let (condition, rest) = inner.split_once("%?").unwrap_or((inner, ""));
        let (then, otherwise) = rest.split_once("%:").unwrap_or((rest, ""));
        let taken = if holds(condition) { then } else { otherwise }.to_owned();
        text.replace_range(start..end + 2, &taken);
    }
    text
}

fn holds(condition: &str) -> bool {
    let architecture = regex(r#"arch\s*(==|!=)\s*"(\w+)""#);
    let mut tests = architecture.captures_iter(condition).map(|test| (&test[1] == "==") == (&test[2] == "x86_64"));
    match condition {
        _ if condition.contains("_v ") => condition.contains('>'),
        _ if condition.contains("_IS_SREG") => false,
        _ if condition.contains("arch") && condition.contains("||") => tests.any(|holds| holds),
        _ if condition.contains("arch") => tests.all(|holds| holds),
        _ => !condition.contains("OLD_"),
    }
}

fn without_comments(text: &str) -> String {
    let text = regex(r"(?s)/\*.*?\*/").replace_all(text, "");
    regex(r"(?m)^\s*(?:#|//).*$").replace_all(&text, "").into_owned()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut all = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        match path.extension() {
            Some(extension) if extension == "stp" => all.push(path),
            _ if path.is_dir() => all.extend(files(&path)?),
            _ => {}
        }
    }
    Ok(all)
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of ours")
}
