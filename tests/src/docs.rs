//! Documents that are true: each command in a block marked `console` is run, and must print what the block shows.
//!
//! A command begins with `# tapster `, and goes over several lines while a quote is open; what follows is its output. Any number may
//! stand for a number and any blanks for blanks; `…` is any text, and a line of nothing else any lines. Blocks marked
//! `stp` are scripts that must compile. Those marked `sh` change the machine they are typed on, or go on until ^C: they are run in a
//! copy of it that is gone afterwards, on a terminal, and must succeed.

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
    /// What somebody types who installs Tapster, or looks at pictures.
    Session(String),
}

/// Runs `$TEXT` on a terminal, in a root where nothing that is written stays, with Tapster installed and ended by ^C after a while.
const IN_A_COPY: &str = r#"
set -eu
program=$(command -v tapster)
mount -t tmpfs none /mnt
mkdir /mnt/above /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/above,workdir=/mnt/work overlay /mnt/root
for folder in proc sys dev; do mount --rbind /$folder /mnt/root/$folder; done
mkdir -p /mnt/root/tapster /mnt/root/usr/bin
cp "$program" /mnt/root/usr/bin/tapster
cp -r scripts docs /mnt/root/tapster
export TEXT="stty cols 80 rows 24
tapster() { timeout --foreground --preserve-status -s INT 5 /usr/bin/tapster \"\$@\"; }
$TEXT"
exec chroot /mnt/root sh -c 'cd /tapster; PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=xterm exec script -qec "exec sh -euc \"\$TEXT\"" /dev/null'
"#;

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
        let text = || inside.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
        match language {
            "console" => samples.extend(commands(&inside)),
            "stp" => samples.push(Sample { line: fence + 1, what: What::Script(text()) }),
            "sh" => samples.push(Sample { line: fence + 1, what: What::Session(text()) }),
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
        let (words, command, text) = match &self.what {
            What::Command(command, _) => (&["sh"][..], command.as_str(), ""),
            What::Script(script) => (&["sh"][..], "tapster -p4 -e \"$TEXT\"", script.as_str()),
            What::Session(text) => (&["unshare", "--mount", "sh"][..], IN_A_COPY, text.as_str()),
        };
        let mut shell = env.bare(Path::new(words[0]));
        shell.args(&words[1..]).args(["-c", &format!("exec 2>&1\n{command}")]);
        shell.current_dir(workspace::root()).env("TEXT", text);
        let ran = Running::start(&mut shell).map_err(|e| e.to_string());
        let printed = match ran.and_then(|running| running.finish(env.seconds(40))) {
            Ok(printed) => printed,
            Err(why) => return Verdict::Fail(why),
        };
        let is_as_shown = match &self.what {
            What::Command(_, shown) => fits(shown, &printed.stdout),
            What::Script(_) | What::Session(_) => printed.exit == 0,
        };
        match is_as_shown {
            true => Verdict::Pass,
            false => Verdict::Fail(format!("it printed\n{}", printed.transcript())),
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
