//! Scripts and what the parser makes of them, in one file each (`tests/data/*.stp`).
//!
//! A script starts with options (`//! args: a b`, `//! guru`, `//! library`, `//! macros: …`) and ends at the first
//! `//- ` line. Then come sections: `tree` (what `-p1` prints), `errors` and `warnings` in SystemTap's layout,
//! `fancy` as people see them, `json`. Each line of a section stands behind `// `. `BLESS=1` rewrites the sections.

mod common;

use std::fmt::Write;
use tapster_lang::SourceMap;
use tapster_lang::diagnostic::{Format, render_all};
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};

struct Case {
    script: String,
    sections: Vec<(String, String)>,
}

impl Case {
    fn read(text: &str) -> Case {
        let mut parts = text.split("//- ");
        let script = parts.next().unwrap_or_default().to_owned();
        let section = |part: &str| {
            let (name, lines) = part.split_once('\n').unwrap_or((part, ""));
            let strip = |line: &str| line.strip_prefix("// ").or(line.strip_prefix("//")).unwrap_or(line).to_owned();
            (name.trim().to_owned(), lines.lines().map(strip).collect::<Vec<_>>().join("\n"))
        };
        Case { script, sections: parts.map(section).collect() }
    }

    fn write(&self) -> String {
        let mut out = self.script.clone();
        for (name, text) in &self.sections {
            let _ = writeln!(out, "//- {name}");
            for line in text.lines() {
                let _ = writeln!(out, "{}", format!("// {line}").trim_end());
            }
        }
        out
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.script
            .lines()
            .find_map(|line| line.strip_prefix("//! ")?.strip_prefix(name))
            .map(|rest| rest.trim_start_matches(':').trim())
    }
}

/// What the parser says for a section.
fn result(case: &Case, section: &str) -> String {
    let args: Vec<Vec<u8>> = case.option("args").map_or_else(Vec::new, |args| {
        args.split('|').map(|arg| arg.trim().replace("\\n", "\n").into_bytes()).collect()
    });
    let config = |name: &str| match name {
        "CONFIG_SLUB" => Some("y".to_owned()),
        "CONFIG_HZ" => Some("250".to_owned()),
        "CONFIG_NR_CPUS" => Some("64".to_owned()),
        _ => None,
    };
    let env = Environment {
        args: &args,
        guru: case.option("guru").is_some(),
        user_script: case.option("library").is_none(),
        config: &config,
        ..Environment::default()
    };
    let mut sources = SourceMap::new();
    let mut macros = Macros::default();
    if let Some(text) = case.option("macros") {
        let file = sources.add("library.stpm", text);
        if let Err(errors) = macros.add_file(file, &sources, &env) {
            return render_all(&errors, &sources, Format::Stap, false, 100);
        }
    }
    let file = sources.add("<input>", case.script.clone());
    let parsed = parse(file, &mut sources, &env, &macros);
    let show = |diagnostics: &[_], format| render_all(diagnostics, &sources, format, false, 100);
    match (section, &parsed) {
        ("tree", Ok(parsed)) => parsed.script.to_string(),
        ("warnings", Ok(parsed)) => show(&parsed.warnings, Format::Stap),
        ("errors", Err(errors)) => show(errors, Format::Stap),
        ("fancy", Err(errors)) => show(errors, Format::Fancy),
        ("json", Err(errors)) => show(errors, Format::Json),
        (_, Err(errors)) => format!("unexpected errors:\n{}", show(errors, Format::Fancy)),
        (_, Ok(parsed)) => format!("unexpected success:\n{}", parsed.script),
    }
}

/// Lines without the blanks at their ends, which editors remove.
fn trimmed(text: &str) -> String {
    text.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_script_gives_what_its_file_says() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = String::new();
    for (name, text) in common::scripts("data") {
        let mut case = Case::read(&String::from_utf8(text).expect("UTF-8"));
        assert!(!case.sections.is_empty(), "{name} expects nothing");
        for index in 0..case.sections.len() {
            let (section, expected) = case.sections[index].clone();
            let found = trimmed(&result(&case, &section));
            if found != trimmed(&expected) {
                let _ = writeln!(wrong, "=== {name}: {section}\n--- expected\n{expected}\n--- found\n{found}\n");
                case.sections[index].1 = found;
            }
        }
        if bless {
            std::fs::write(common::folder("data").join(&name), case.write()).expect("writable");
        }
    }
    assert!(bless || wrong.is_empty(), "{wrong}");
}
