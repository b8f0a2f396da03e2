//! Documents that are true: each command in a block marked `console` is run, and must print what the block shows.
//!
//! A command begins with `# tapster `, and goes over several lines while a quote is open; what follows is its output. Any number may
//! stand for a number and any blanks for blanks; `…` is any text, and a line of nothing else any lines. Blocks marked
//! `stp` are scripts that must compile.

use std::fmt::Write;
use std::path::Path;

use regex_lite::Regex;

use crate::job::{Env, Verdict};
use crate::process::Running;
use crate::workspace;

/// Something in a document that can be tried.
#[derive(Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where it stands, by line.
    pub line: usize,
    /// What to do with it.
    pub what: What,
}

/// What a sample is.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// A command and the lines it prints.
    Command(String, Vec<String>),
    /// A script that compiles.
    Script(String),
}

/// All samples of a document.
pub fn samples(text: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((fence, line)) = lines.next() {
        let language = line.trim_start().strip_prefix("```").unwrap_or_default();
        if !line.trim_start().starts_with("```") {
            continue;
        }
        let inside = lines.by_ref().take_while(|(_, line)| line.trim() != "```");
        let inside: Vec<(usize, &str)> = inside.map(|(at, line)| (at + 1, line)).collect();
        match language {
            "console" => samples.extend(commands(&inside)),
            "stp" => {
                let script: Vec<&str> = inside.iter().map(|(_, line)| *line).collect();
                samples.push(Sample { line: fence + 1, what: What::Script(script.join("\n")) });
            }
            _ => {}
        }
    }
    samples
}

fn commands(lines: &[(usize, &str)]) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    let is_open = |command: &str| command.matches('\'').count() % 2 == 1;
    for (line, text) in lines {
        match (samples.last_mut(), text.strip_prefix("# ").filter(|text| text.starts_with("tapster "))) {
            (Some(Sample { what: What::Command(command, _), .. }), _) if is_open(command) => {
                let _ = write!(command, "\n{text}");
            }
            (_, Some(command)) => {
                samples.push(Sample { line: *line, what: What::Command(command.into(), Vec::new()) });
            }
            (Some(Sample { what: What::Command(_, output), .. }), None) => output.push((*text).into()),
            _ => {}
        }
    }
    samples
}

impl Sample {
    /// Tries it.
    pub fn run(&self, env: &Env) -> Verdict {
        let (command, shown) = match &self.what {
            What::Command(command, shown) => (command.as_str(), Some(shown)),
            What::Script(_) => ("tapster -p4 -e \"$SCRIPT\"", None),
        };
        let mut shell = env.bare(Path::new("sh"));
        shell.current_dir(workspace::root()).args(["-c", &format!("exec 2>&1\n{command}")]);
        if let What::Script(script) = &self.what {
            shell.env("SCRIPT", script);
        }
        let ran = Running::start(&mut shell).map_err(|e| e.to_string());
        let printed = match ran.and_then(|running| running.finish(env.seconds(40))) {
            Ok(printed) => printed,
            Err(why) => return Verdict::Fail(why),
        };
        match shown {
            None if printed.exit == 0 => Verdict::Pass,
            Some(shown) if fits(shown, &printed.stdout) => Verdict::Pass,
            _ => Verdict::Fail(format!("it printed\n{}", printed.transcript())),
        }
    }
}

/// Whether output is what a document shows.
fn fits(shown: &[String], output: &str) -> bool {
    let shown: String = shown.iter().map(|line| pattern(line)).collect();
    Regex::new(&format!("^(?s){shown}$")).expect("a pattern of our own").is_match(output)
}

/// The expression that a shown line stands for.
fn pattern(line: &str) -> String {
    if line.trim() == "…" {
        return "(?:[^\n]*\n)*".into();
    }
    let line = line.trim_end();
    let mut pattern = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let run = |is: fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
        let (taken, meaning) = match first {
            '0'..='9' => (run(|c| c.is_ascii_digit()), "[0-9]+".into()),
            ' ' => (run(|c| c == ' '), " +".into()),
            '…' => (first.len_utf8(), "[^\n]*".into()),
            _ => (first.len_utf8(), regex_lite::escape(&rest[..first.len_utf8()])),
        };
        pattern += &meaning;
        rest = &rest[taken..];
    }
    // A column of numbers is as wide as it must be.
    let pattern = pattern.strip_prefix(" +").map_or(pattern.clone(), |rest| format!(" *{rest}"));
    format!("{pattern} *\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_output_are_found() {
        let text = "a\n```console\n# tapster 'x\ny'\n1\n# 2\n# tapster two\n```\n```stp\nprobe begin {}\n```\n```\n# tapster\n```\n";
        let found = samples(text);
        let command = |line, command: &str, output: &[&str]| Sample {
            line,
            what: What::Command(command.into(), output.iter().map(|line| (*line).into()).collect()),
        };
        let script = Sample { line: 9, what: What::Script("probe begin {}".into()) };
        assert_eq!(found, [command(3, "tapster 'x\ny'", &["1", "# 2"]), command(7, "tapster two", &[]), script]);
    }

    #[test]
    fn numbers_stand_for_numbers_and_points_for_anything() {
        let fits = |shown: &str, output: &str| fits(&shown.lines().map(String::from).collect::<Vec<_>>(), output);
        assert!(fits("cat   12", "cat 7\n"));
        assert!(fits("  1 a", "100 a\n"));
        assert!(!fits("cat 12", "dog 12\n"));
        assert!(!fits("cat 12", "cat\n"));
        assert!(fits("a\n…\nz", "a\nb\nc\nz\n"));
        assert!(fits("a … z", "a b c z\n"));
        assert!(!fits("a\nz", "a\nb\nz\n"));
    }
}
