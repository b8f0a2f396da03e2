//! Documents that are true: each command in a block marked `console` is run, and must print what the block shows.
//!
//! A command begins with `# tapster `, and goes over several lines while a quote is open; what follows is its output. Any number may
//! stand for a number and any blanks for blanks; `…` is any text, and a line of nothing else any lines. What names a kernel in its
//! output is tried on that one. Blocks marked `stp` are scripts that must compile. Those marked `sh` change the machine they are
//! typed on, or go on until ^C: they are run in a copy of it that is gone afterwards, on a terminal, and must succeed; so are the
//! commands of `usage`, each a line with what it does behind it. `text` is what other programs print.
//!
//! A block without a mark is Cargo's business. It is run here, unless a comment before it says who runs it: `<!-- run by FILE -->`,
//! where all its words must stand, for what builds everything a second time; `<!-- test-command -->` is the command that runs these
//! tests, which .ci/run takes from there: run from here it would never end.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    /// What Cargo does in this workspace.
    Cargo(String),
    /// What the script at this path runs.
    Elsewhere(String, String),
    /// What nothing runs, with the block's mark.
    Unknown(String),
}

/// Runs `$TEXT` in the workspace; what goes on until ^C is given it.
const IN_THE_WORKSPACE: &str = r#"
cargo() {
  case $1 in
    run) timeout --preserve-status -s INT 10 "$CARGO" "$@" ;;
    install) command "$CARGO" "$@" && "$CARGO_INSTALL_ROOT/bin/tapster" --version ;;
    *) echo "nobody said how long this takes: cargo $*"; false ;;
  esac
}
set -eu
eval "$TEXT"
"#;

/// What stands for `…` in a usage: a script that every option has something to do with.
const ANY_SCRIPT: &str = "-e 'global n probe timer.profile { n[backtrace()]++ } probe timer.ms(500) { exit() }'";

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
    let mut comment = "";
    while let Some((fence, line)) = lines.next() {
        if let Some(text) = line.trim().strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            comment = text;
            continue;
        }
        let language = line.trim_start().strip_prefix("```").unwrap_or_default();
        if !line.trim_start().starts_with("```") {
            comment = "";
            continue;
        }
        let inside = lines.by_ref().take_while(|(_, line)| line.trim() != "```");
        let inside: Vec<(usize, &str)> = inside.map(|(at, line)| (at + 1, line)).collect();
        let text = inside.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
        let mut add = |what| samples.push(Sample { line: fence + 1, what });
        match (language, comment) {
            ("console", _) => samples.extend(commands(&inside)),
            ("stp", _) => add(What::Script(text)),
            ("sh", _) => add(What::Session(text)),
            ("usage", _) => add(What::Session(usage(&text))),
            ("text", _) | ("", "test-command") => {}
            ("", "") if text.starts_with("cargo ") => add(What::Cargo(text)),
            ("", comment) => add(match comment.strip_prefix("run by ") {
                Some(path) => What::Elsewhere(path.into(), text),
                None => What::Unknown(text),
            }),
            _ => add(What::Unknown(text)),
        }
    }
    samples
}

/// The commands of a usage, with something in the place of each word that stands for something.
fn usage(text: &str) -> String {
    let command = |line: &str| {
        let command = line.split("  ").next().unwrap_or_default().replace("'probe …'", "'probe begin { exit() }'");
        let command =
            command.replace("SCRIPT", "any.stp").replace("[ARGUMENT]...", "one two").replace("COMMAND", "true");
        command.replace('…', ANY_SCRIPT)
    };
    let commands: String = text.lines().map(|line| command(line) + "\n").collect();
    format!("echo 'global n probe begin {{ n++; exit() }}' > any.stp\n{commands}")
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
            What::Command(_, shown) if let Some(other) = other_kernel(shown) => return Verdict::Skip(other),
            What::Elsewhere(path, text) => return stands_in(path, text),
            What::Unknown(text) => return Verdict::Fail(format!("nothing runs this block:\n{text}")),
            What::Cargo(text) => (&["sh"][..], IN_THE_WORKSPACE, text.as_str()),
            What::Command(command, _) => (&["sh"][..], command.as_str(), ""),
            What::Script(script) => (&["sh"][..], "tapster -p4 -e \"$TEXT\"", script.as_str()),
            What::Session(text) => (&["unshare", "--mount", "sh"][..], IN_A_COPY, text.as_str()),
        };
        let mut shell = env.bare(Path::new(words[0]));
        shell.args(&words[1..]).args(["-c", &format!("exec 2>&1\n{command}")]);
        shell.current_dir(workspace::root()).env("TEXT", text);
        if let What::Cargo(_) = self.what {
            with_cargo(&mut shell);
        }
        let ran = Running::start(&mut shell).map_err(|e| e.to_string());
        let printed = match ran.and_then(|running| running.finish(env.seconds(40))) {
            Ok(printed) => printed,
            Err(why) => return Verdict::Fail(why),
        };
        let is_as_shown = match &self.what {
            What::Command(_, shown) => fits(shown, &printed.stdout),
            _ => printed.exit == 0,
        };
        match is_as_shown {
            true => Verdict::Pass,
            false => Verdict::Fail(format!("it printed\n{}", printed.transcript())),
        }
    }
}

/// Why output that names another kernel is not tried on this one.
fn other_kernel(shown: &[String]) -> Option<String> {
    let named = shown.iter().find_map(|line| line.split_once(" on Linux ")?.1.split(' ').next())?;
    let here = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    (!here.starts_with(&format!("{named}."))).then(|| format!("shows what Linux {named} prints"))
}

/// Whether each word of a command stands in the script that is said to run it.
fn stands_in(path: &str, command: &str) -> Verdict {
    let script = std::fs::read_to_string(workspace::root().join(path)).unwrap_or_default();
    match command.split_whitespace().find(|word| !script.contains(word)) {
        None => Verdict::Pass,
        Some(word) => Verdict::Fail(format!("{path} runs no `{word}`")),
    }
}

/// Gives a shell what Cargo needs, with a folder for programs that is the tests' own.
fn with_cargo(shell: &mut Command) {
    let cargo = std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from);
    let own = cargo.parent().into_iter().map(Path::to_owned);
    let path: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).chain(own).collect();
    shell.env("PATH", std::env::join_paths(path).unwrap_or_default()).env("CARGO", cargo);
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"] {
        if let Some(value) = std::env::var_os(name) {
            shell.env(name, value);
        }
    }
    shell.env("CARGO_INSTALL_ROOT", workspace::root().join("target/installed"));
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
            '0' if rest.starts_with("0x") => {
                let digits = rest[2..].find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len() - 2);
                (2 + digits, if digits > 0 { "0x[0-9a-f]+".into() } else { "0x".to_owned() })
            }
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
        let unknown = Sample { line: 12, what: What::Unknown("# tapster".into()) };
        assert_eq!(
            found,
            [command(3, "tapster 'x\ny'", &["1", "# 2"]), command(7, "tapster two", &[]), script, unknown]
        );
    }

    #[test]
    fn blocks_of_cargo_are_run_here_or_where_a_comment_says() {
        let of = |text: &str| samples(text).into_iter().map(|sample| sample.what).collect::<Vec<_>>();
        assert_eq!(of("```\ncargo build\n```\n"), [What::Cargo("cargo build".into())]);
        let elsewhere = What::Elsewhere("a.sh".into(), "cargo build".into());
        assert_eq!(of("<!-- run by a.sh -->\n```\ncargo build\n```\n"), [elsewhere]);
        assert_eq!(of("<!-- test-command -->\n```\ncargo test\n```\n"), []);
        assert!(matches!(stands_in("tests/packages.sh", "cargo build --of-nothing"), Verdict::Fail(_)));
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
        assert!(fits("0x1a+0x2", "0xffff+0x9c\n"));
        assert!(fits("0x… [kernel]", "0xffff [kernel]\n"));
        assert!(!fits("a\nz", "a\nb\nz\n"));
    }
}
