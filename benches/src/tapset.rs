//! A script that calls every function of the library: the size of a large one that people write.

use std::fs;
use std::path::PathBuf;

use tapster_compiler::library;
use tapster_lang::SourceMap;
use tapster_lang::ast::{Function, Item};
use tapster_lang::parse::parse;
use tapster_lang::preprocess::Environment;
use tapster_tests::workspace;

use crate::compile::compiles;

/// Statements of a probe.
const PROBE_LINES: usize = 10;

/// A script of about so many lines, and the functions that none of its probes can call.
pub fn script(lines: usize) -> Result<(String, Vec<String>), String> {
    let (mut calls, mut left_out) = (vec![], vec![]);
    for function in functions()? {
        let mut forms = arguments(&function).into_iter().flat_map(|args| statements(&function.name.name, &args));
        match forms.find(|statement| compiles(&format!("probe begin {{ {statement} }}"))) {
            Some(statement) => calls.push(statement),
            None => left_out.push(function.name.name),
        }
    }
    if calls.is_empty() {
        return Err("none of the library's functions can be called".into());
    }
    let mut text = String::from("global total, by_name\n");
    let mut calls = calls.iter().cycle();
    let mut at = 1;
    while at < lines {
        text += &format!("probe begin({at}) {{\n  name = execname() . \"{at}\"\n  by_name[name, {at}] <<< pid()\n");
        calls.by_ref().take(PROBE_LINES - 5).for_each(|call| text += &format!("  {call}\n"));
        text += &format!("  if (total++ > {at}) printf(\"%s %d\\n\", name, total)\n}}\n");
        at += PROBE_LINES;
    }
    text += "probe end {\n  foreach ([name, at] in by_name-) printf(\"%s %d %d\\n\", name, at, @count(by_name[name, at]))\n}\n";
    Ok((text, left_out))
}

/// The functions that the library's files define, one for each name.
fn functions() -> Result<Vec<Function>, String> {
    let folder = workspace::root().join("compiler/tapset");
    let read = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(&folder).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "stp"));
    files.sort();
    let mut found: Vec<Function> = vec![];
    for file in files {
        let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut sources = SourceMap::new();
        let id = sources.add_bytes(file.display().to_string(), &text);
        let environment = Environment { user_script: false, guru: true, ..Environment::default() };
        let macros = library::macros(&text, &mut sources, &environment);
        let parsed = macros.and_then(|macros| parse(id, &mut sources, &environment, &macros));
        let script = parsed.map_err(|errors| format!("{}: {}", file.display(), errors[0].message))?.script;
        let functions = script.items.into_iter().filter_map(|item| match item {
            Item::Function(function) if !function.private => Some(function),
            _ => None,
        });
        found.extend(functions);
    }
    found.sort_by(|a, b| a.name.name.cmp(&b.name.name));
    found.dedup_by(|a, b| a.name.name == b.name.name);
    Ok(found)
}

/// Numbers for all parameters, strings for all, and one string before or behind numbers.
fn arguments(function: &Function) -> Vec<Vec<&'static str>> {
    let count = function.params.len();
    let mixed =
        |strings: &dyn Fn(usize) -> bool| (0..count).map(|nth| if strings(nth) { "\"a\"" } else { "1" }).collect();
    vec![mixed(&|_| false), mixed(&|_| true), mixed(&|nth| nth == 0), mixed(&|nth| nth + 1 == count)]
}

/// A call for its value, and one for what it does.
fn statements(name: &str, args: &[&str]) -> [String; 2] {
    let call = format!("{name}({})", args.join(", "));
    [format!("println({call})"), call]
}
