//! The aliases that `syscall.NAME` and its kind stand for, as text of the language: made for what a script names, as
//! nobody needs all of them.
//!
//! A call is told from others by its number, at the one tracepoint where all of them pass. A pattern is one probe
//! there, unless its handler asks for what only some calls have.

use super::{ARGUMENTS, BOTH_ENDS, Call, Kind, Param, Slots, Width, calls, said_before};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use tapster_lang::ast::{Item, ProbePoint, Script};
use tapster_lang::preprocess::glob;

/// What probe points of system calls start with: all mean the same here.
const FIRSTS: &[&str] = &["syscall", "nd_syscall", "dw_syscall", "tp_syscall"];
/// Words of a structure, or of data, that are read.
const WORDS: usize = 6;
/// The place of what a call does not have.
const NOWHERE: &str = "";
/// What the table may say of a call's arguments as one text.
const ARGSTR: &str = "argstr";
/// Strings of a list that are read.
const STRINGS: usize = 8;

/// Aliases that were made already.
#[derive(Debug, Default)]
pub struct Made(HashSet<Asked>);

/// What a point asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    /// One of [`FIRSTS`].
    first: String,
    /// The name of a call, or a pattern.
    pattern: String,
    /// Whether it is about the ends of calls.
    returns: bool,
}

impl Made {
    /// The aliases that a script needs and that are not there yet, if any.
    pub fn text(&mut self, script: &Script) -> Option<String> {
        let mut text = String::new();
        for item in &script.items {
            let (points, variables) = match item {
                Item::Probe(probe) => (&probe.points, crate::library::variables(&probe.body)),
                Item::Alias(alias) => (&alias.points, crate::library::variables(&alias.body)),
                _ => continue,
            };
            // `.return` behind a script's own alias is that of the calls that it stands for.
            let both = matches!(item, Item::Alias(_)) && !script.library;
            for asked in points.iter().filter_map(asked) {
                let at_return = Asked { returns: true, ..asked.clone() };
                for asked in [Some(asked), both.then_some(at_return)].into_iter().flatten() {
                    if self.0.insert(asked.clone()) {
                        text += &aliases(&asked, &variables);
                    }
                }
            }
        }
        (!text.is_empty()).then_some(text)
    }
}

/// What a point asks for, where it is about system calls.
fn asked(point: &ProbePoint) -> Option<Asked> {
    let names: Vec<&str> = point.components.iter().map(|part| part.name.name.as_str()).collect();
    match names.as_slice() {
        [first, pattern, rest @ ..] if FIRSTS.contains(first) => {
            let returns = rest.first() == Some(&"return");
            Some(Asked { first: (*first).into(), pattern: (*pattern).into(), returns })
        }
        _ => None,
    }
}

fn aliases(asked: &Asked, variables: &HashSet<String>) -> String {
    let pattern = &asked.pattern;
    let fits = |call: &Call| call.names.iter().any(|name| glob(pattern.as_bytes(), name.as_bytes()));
    let found: Vec<Call> = calls().filter(fits).collect();
    let mut text = String::new();
    let is_pattern = pattern.contains(['*', '?', '[']);
    let own = |call: &Call| self::variables(call).any(|(name, _)| variables.contains(&name));
    if is_pattern && !found.iter().any(own) {
        any_of(&mut text, asked, &found);
        return text;
    }
    for call in &found {
        let names = call.names.iter().filter(|name| glob(pattern.as_bytes(), name.as_bytes()));
        let of = |name: &str| Asked { pattern: name.into(), ..asked.clone() };
        names.for_each(|name| one(&mut text, &of(name), call));
    }
    text
}

/// The variables that a call has beside those of every call, and whether they are texts.
pub fn variables(call: &Call) -> impl Iterator<Item = (String, bool)> {
    let extras = call.extras.iter().filter(|(name, _)| *name != ARGSTR);
    call.params.iter().flat_map(of_param).chain(extras.map(|(name, value)| ((*name).to_owned(), is_text(value))))
}

/// Whether a value of the table is a text.
fn is_text(value: &str) -> bool {
    value.contains('"') || ["{quoted", "__user_text", "__syscall_"].iter().any(|start| value.starts_with(start))
}

/// The variables that a parameter has.
fn of_param(param: &Param) -> Vec<(String, bool)> {
    let text = text_of(param);
    let mut all = Vec::new();
    if text.as_deref() != Some(param.variable) {
        all.push((param.variable.to_owned(), false));
    }
    if param.kind == Kind::Text {
        all.push((format!("{}_unquoted", text.as_deref().unwrap_or_default()), true));
    }
    all.extend(text.map(|text| (text, true)));
    all
}

/// What `-L` says of a call, or of its end.
pub fn listed(call: &Call, returns: bool) -> String {
    let ends: &[(&str, bool)] = if returns { &[("retval", false), ("retstr", true)] } else { &[("argstr", true)] };
    let ends = ends.iter().map(|(name, is_text)| ((*name).to_owned(), *is_text));
    let all = core::iter::once(("name".to_owned(), true)).chain(variables(call)).chain(ends);
    all.map(|(name, is_text)| format!(" {name}:{}", if is_text { "string" } else { "long" })).collect()
}

/// The variable of a parameter's text.
fn text_of(param: &Param) -> Option<String> {
    match (param.text, param.kind) {
        (Some(text), _) => Some(text.to_owned()),
        (None, Kind::Text) => Some(param.variable.to_owned()),
        (None, Kind::Set(..) | Kind::Hex) => Some(format!("{}_str", param.variable)),
        _ => None,
    }
}

/// The head of an alias: its names, and the condition on which there is an event. Programs of 32 bits have numbers of
/// their own.
fn head(text: &mut String, Asked { first, pattern, returns }: &Asked, numbers: &BTreeSet<u32>) {
    let (suffix, at) = if *returns { (".return", "exit") } else { ("", "enter") };
    writeln!(text, "probe {first}.{pattern}{suffix} = __syscall.{at} {{").expect("memory");
    let number = number(*returns);
    let any_of = |numbers: &mut dyn Iterator<Item = u32>, holds: &str, joined: &str| {
        let each: Vec<String> = numbers.map(|call| format!("{number} {holds} {call}")).collect();
        each.join(joined)
    };
    let is_asked = match (numbers.is_empty(), returns) {
        (true, false) => String::new(),
        // What is asked of the entry is kept for a return that comes.
        (true, true) => any_of(&mut never_returning(), "!=", " && "),
        (false, _) => any_of(&mut numbers.iter().copied(), "==", " || "),
    };
    if !is_asked.is_empty() {
        writeln!(text, "  if (!{BOTH_ENDS}({is_asked})) next").expect("memory");
    }
    writeln!(text, "  if ({NARROW}) next").expect("memory");
}

/// Calls whose end is not theirs.
fn never_returning() -> impl Iterator<Item = u32> {
    let never = |call: &Call| call.names.iter().any(|name| ["exit", "exit_group", "rt_sigreturn"].contains(name));
    calls().filter(never).map(|call| call.number)
}

/// Whether it is a call of 32 bits. On x86 programs of 64 bits can make one, too, by `int 0x80`: it is the task that
/// says so (`TS_COMPAT`), not the code segment.
const NARROW: &str = if cfg!(target_arch = "aarch64") { "$regs->pstate & 16" } else { "__is_compat_call()" };

/// The number of the call.
fn number(returns: bool) -> &'static str {
    match (returns, cfg!(target_arch = "aarch64")) {
        (false, _) => "$id",
        (true, true) => "$regs->syscallno",
        (true, false) => "$regs->orig_ax",
    }
}

/// The n-th argument, from 1 on.
fn arg(nth: usize) -> &'static str {
    ARGUMENTS[nth - 1]
}

fn all_args() -> String {
    (1..=6).map(arg).collect::<Vec<_>>().join(", ")
}

/// What every call has at its end.
fn results(text: &mut String, number: &str) {
    writeln!(text, "  retval = $ret\n  retstr = __syscall_result({number}, $ret)").expect("memory");
}

/// Several calls at once: what they have in common.
fn any_of(text: &mut String, asked: &Asked, found: &[Call]) {
    let all = found.len() == calls().count();
    head(text, asked, &if all { BTreeSet::new() } else { found.iter().map(|call| call.number).collect() });
    let number = number(asked.returns);
    writeln!(text, "  name = __syscall_point({number})").expect("memory");
    if asked.returns {
        results(text, number);
    } else {
        let pick = |shift: u32| {
            let choices = (1..=6).map(|nth| format!("__slot == {nth} ? {} : ", arg(nth))).collect::<String>();
            format!("({choices}0)").replace("__slot", &format!("(__slots >> {shift} & 255)"))
        };
        writeln!(text, "  __slots = __syscall_slots({number})").expect("memory");
        for (name, shift) in [("__first", 0), ("__second", 8), ("__words", 16)] {
            writeln!(text, "  {name} = {}", pick(shift)).expect("memory");
        }
        // As one expression, which is put off until somebody asks for it: what the table says of single calls would send
        // every call of the machine to user space.
        argstr(text, number, ["__first", "__second", "__words"]);
    }
    text.push_str("}\n");
}

/// One call, with its parameters.
fn one(text: &mut String, asked: &Asked, call: &Call) {
    head(text, asked, &BTreeSet::from([call.number]));
    // `pipe` is `pipe2` as well, which says so; `fstatat` is what the kernel calls `newfstatat`.
    let name = if call.name == call.names[0] { call.name } else { &asked.pattern };
    writeln!(text, "  name = \"{name}\"").expect("memory");
    (1..=call.params.len()).for_each(|nth| assign(text, call, nth));
    for (variable, value) in call.extras.iter().filter(|(variable, _)| *variable != ARGSTR) {
        writeln!(text, "  {variable} = {}", spelled_out(value)).expect("memory");
    }
    let slots = Slots::of(call);
    let place = |nth: u8| if nth == 0 { NOWHERE } else { arg(nth.into()) };
    if asked.returns {
        results(text, &call.number.to_string());
    } else if let Some(value) = argstr_of(call) {
        writeln!(text, "  argstr = {value}").expect("memory");
    } else {
        argstr(text, &call.number.to_string(), [place(slots.texts[0]), place(slots.texts[1]), place(slots.words)]);
    }
    text.push_str("}\n");
}

/// What the table says of a call's arguments as one text.
fn argstr_of(call: &Call) -> Option<String> {
    call.extras.iter().find(|(name, _)| *name == ARGSTR).map(|(_, value)| spelled_out(value))
}

/// A value of the table, as text of the language.
fn spelled_out(value: &str) -> String {
    let each = |text: String, nth: usize| {
        let arg = arg(nth);
        let text = text.replace(&format!("{{words {nth}}}"), &words(arg));
        let text = text.replace(&format!("{{quoted {nth}}}"), &quoted(arg));
        text.replace(&format!("{{strings {nth}}}"), &strings(arg)).replace(&format!("arg{nth}"), arg)
    };
    (1..=6).fold(value.to_owned(), each)
}

/// A string, in quotes.
fn quoted(at: &str) -> String {
    format!("__syscall_quoted({at}, __user_byte({at}), __user_text({at}))")
}

fn argstr(text: &mut String, number: &str, [first, second, words]: [&str; 3]) {
    let place = |at: &str| match at {
        NOWHERE => "-1, \"\"".to_owned(),
        at => format!("__user_byte({at}), __user_text({at})"),
    };
    let (args, first, second, words) = (all_args(), place(first), place(second), self::words(words));
    writeln!(text, "  argstr = __syscall_argstr({number}, {args}, {first}, {second}, {words})").expect("memory");
}

/// What is read of a structure: whether it can be, its words, and the path that a socket's address may hold.
fn words(at: &str) -> String {
    if at == NOWHERE {
        return format!("-1, {}\"\"", "0, ".repeat(WORDS));
    }
    let words = (0..WORDS).map(|nth| format!("__user_word({at} + {})", 8 * nth)).collect::<Vec<_>>().join(", ");
    format!("__user_byte({at}), {words}, __user_text({at} + 2)")
}

/// Sets the variables of a call's n-th parameter, from 1 on.
fn assign(out: &mut String, call: &Call, nth: usize) {
    let (param, arg) = (&call.params[nth - 1], arg(nth));
    let Param { variable, kind, .. } = *param;
    let text = text_of(param);
    let value = match kind {
        Kind::Int | Kind::Set(_, Width::Int) => format!("({arg} << 32) >> 32"),
        Kind::Uint | Kind::Octal | Kind::Hex | Kind::Set(_, Width::Uint) => format!("{arg} & 0xffffffff"),
        _ => arg.to_owned(),
    };
    if text.as_deref() != Some(variable) {
        writeln!(out, "  {variable} = {value}").expect("memory");
    }
    let Some(text) = text else { return };
    let made = match kind {
        Kind::Text => quoted(arg),
        Kind::Data => {
            let count = if nth < call.params.len() { self::arg(nth + 1) } else { "0" };
            format!("__syscall_structure(\"data\", {arg}, {count}, {})", words(arg))
        }
        Kind::Structure(name) => format!("__syscall_structure(\"{name}\", {arg}, 0, {})", words(arg)),
        Kind::Set(name, _) => match said_before(name) {
            0 => format!("__syscall_set(\"{name}\", {value})"),
            far => format!("__syscall_set(\"{name}\", ({} << 32) | ({arg} & 0xffffffff))", self::arg(nth - far)),
        },
        Kind::Hex => format!("sprintf(\"0x%x\", {value})"),
        Kind::Strings => strings(arg),
        Kind::Int | Kind::Uint | Kind::Long | Kind::Word | Kind::Octal | Kind::Pointer => return,
    };
    writeln!(out, "  {text} = {made}").expect("memory");
    if kind == Kind::Text {
        writeln!(out, "  {text}_unquoted = __user_text({arg})").expect("memory");
    }
}

/// A list of strings, as far as it is read.
fn strings(at: &str) -> String {
    let place = |nth: usize| format!("__user_word({at} + {})", 8 * nth);
    let each = (0..STRINGS).map(|nth| format!("{0}, __user_text({0})", place(nth))).collect::<Vec<_>>().join(", ");
    format!("__syscall_strings({each}, {})", place(STRINGS))
}
