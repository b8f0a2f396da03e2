//! SystemTap's own example scripts, as Debian's package `systemtap-doc` installs them: how far Tapster comes with each.
//!
//! Nothing of them is copied. Each comes with a line that says how SystemTap's makers try it (`test_check:` of its `.meta`
//! file); Tapster is given the same options and arguments. Those without such a line are tried as [`UNTRIED`] says.

pub mod booted;
pub mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::job::{Env, Verdict};
use crate::process::{Running, die_with_parent};
use crate::workspace;
use page::Page;

/// Where the package puts them.
pub const FOLDER: &str = "/usr/share/systemtap/examples";
/// The package.
const PACKAGE: &str = "systemtap-doc";
/// Seconds that a script runs where it is run, and those of one that printed nothing: many print every five seconds.
const SECONDS: [&str; 2] = ["2", "6"];
/// Seconds that anything about one script may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How scripts are tried that come without a line about it, or with one that does not run: options, and arguments.
const UNTRIED: &[(&str, &[&str], &[&str])] = &[
    ("network/tcp_trace.stp", &[], &["127.0.0.1:*-127.0.0.1:*", "timeout=1"]),
    ("profiling/graphcall.stp", &[], &["/bin/bash", "main"]),
    ("security-band-aids/cve-2016-0728-templatized.stp", &["-g"], &[]),
    ("security-band-aids/cve-2018-6485-templatized.stp", &["-g"], &[]),
    ("security-band-aids/security-bandaid-template.stp", &["-g"], &[]),
];

/// A script and how it is tried.
#[derive(Debug, Clone)]
pub struct Example {
    /// Its path below [`FOLDER`].
    pub name: String,
    /// Options of Tapster.
    pub options: Vec<String>,
    /// Arguments of the script.
    pub arguments: Vec<String>,
}

/// How far Tapster comes with a script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Nowhere: it does not parse.
    #[default]
    Nothing,
    /// It parses.
    Parsed,
    /// Its programs are made.
    Compiled,
    /// The kernel accepts them.
    Accepted,
    /// It ran to its end without an error, and had nothing to say.
    Silent,
    /// It ran to its end and printed something.
    Ran,
}

impl Reached {
    const ALL: [(Reached, &str); 6] = [
        (Reached::Nothing, "no"),
        (Reached::Parsed, "parses"),
        (Reached::Compiled, "compiles"),
        (Reached::Accepted, "accepted"),
        (Reached::Silent, "silent"),
        (Reached::Ran, "runs"),
    ];

    /// The word for it in the page.
    pub fn word(self) -> &'static str {
        Reached::ALL[self as usize].1
    }

    /// What a word of the page says.
    pub fn from_word(word: &str) -> Option<Reached> {
        Reached::ALL.iter().find(|row| row.1 == word).map(|row| row.0)
    }
}

/// How far Tapster came with a script, and the first thing it said where it is not the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How far.
    pub reached: Reached,
    /// Why not further.
    pub why: String,
}

/// All scripts, by name. None where the package is not installed.
pub fn all() -> Vec<Example> {
    let mut open = vec![PathBuf::from(FOLDER)];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            match path.is_dir() {
                // Libraries of some scripts.
                true if path.ends_with("tapset") => {}
                true => open.push(path),
                false if path.extension().is_some_and(|end| end == "stp") => found.extend(example(&path)),
                false => {}
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn example(path: &Path) -> Option<Example> {
    let name = path.strip_prefix(FOLDER).ok()?.to_string_lossy().into_owned();
    let file = path.file_name()?.to_string_lossy().into_owned();
    let folder = path.parent()?;
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let mut notes: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "meta")).collect();
    // Its own notes first; some scripts share theirs with others.
    notes.sort_by_key(|note| (note.file_stem() != path.file_stem(), note.clone()));
    let lines = notes.iter().filter_map(|note| fs::read(note).ok());
    let (options, arguments) = untried(&name).unwrap_or_else(|| {
        let words = lines.filter_map(|text| tried(&String::from_utf8_lossy(&text), &file, folder)).next();
        words.as_deref().map(|words| taken(words, &file)).unwrap_or_default()
    });
    Some(Example { name, options, arguments })
}

fn untried(name: &str) -> Option<(Vec<String>, Vec<String>)> {
    let all = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let row = UNTRIED.iter().find(|row| row.0 == name);
    row.map(|(_, options, arguments)| (all(options), all(arguments)))
}

/// The words of the command that notes say a script is tried with.
fn tried(notes: &str, file: &str, folder: &Path) -> Option<Vec<String>> {
    let lines = notes.lines().filter_map(|line| line.strip_prefix("test_check:")?.trim().strip_prefix("stap "));
    lines.map(|line| words_of(line, folder)).find(|words| words.iter().any(|word| word == file))
}

/// The words that the shell makes of a line. Commands in it stay: what they say differs between machines.
fn words_of(line: &str, folder: &Path) -> Vec<String> {
    let line = with_commands(line, str::to_owned, |command| quoted(&format!("`{command}`")));
    let script = format!("set -- {line}; for word; do printf '%s\\n' \"$word\"; done");
    let output = Command::new("sh").args(["-c", &script]).current_dir(folder).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A text with its parts made anew, and the commands between backticks in it.
fn with_commands(text: &str, part: impl Fn(&str) -> String, command: impl Fn(&str) -> String) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(nth, text)| if nth % 2 == 0 { part(text) } else { command(text) }).collect()
}

/// A word as the shell takes it for one, with what its commands say.
fn shell_word(word: &str) -> String {
    with_commands(word, quoted, |command| format!("\"$({command})\""))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What Tapster takes of SystemTap's options, and the script's arguments. Options may stand behind the script there.
fn taken(words: &[String], file: &str) -> (Vec<String>, Vec<String>) {
    let (mut options, mut arguments) = (Vec::new(), Vec::new());
    let mut words = words.iter().map(String::as_str);
    let mut behind = false;
    while let Some(word) = words.next() {
        match word {
            _ if word == file => behind = true,
            "-c" => options.extend(["-c".to_owned(), words.next().unwrap_or_default().to_owned()]),
            // The process of the shell that made the words has ended.
            "-x" => {
                options.extend(["-x".to_owned(), "1".to_owned()]);
                words.next();
            }
            "-d" => drop(words.next()),
            "--ldd" | "--all-modules" => {}
            _ if word.starts_with("-G") || word.starts_with("-I") => options.push(word.to_owned()),
            _ if behind || !word.starts_with('-') => arguments.push(word.to_owned()),
            _ if word.contains('g') => options.push("-g".to_owned()),
            _ => {}
        }
    }
    (options, arguments)
}

/// The first thing that standard error calls an error.
fn first_error(stderr: &str) -> Option<String> {
    const KINDS: [&str; 5] = ["parse error: ", "semantic error: ", "ERROR: ", "error: ", "internal error: "];
    let error = |line: &str| KINDS.iter().find_map(|kind| line.strip_prefix(kind)).map(str::to_owned);
    stderr.lines().find_map(error)
}

/// A word with what its commands say here.
fn told(word: &str) -> String {
    let say = format!("printf %s {}", shell_word(word));
    let output = Command::new("sh").args(["-c", &say]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

impl Example {
    /// Whether its makers run it in guru mode: it has pieces of C, or writes what it traces.
    pub fn is_guru(&self) -> bool {
        self.options.iter().any(|option| option == "-g")
    }

    fn run(&self, env: &Env, more: &[&str]) -> Result<(i32, String, String), String> {
        let (folder, file) = self.name.rsplit_once('/').unwrap_or(("", &self.name));
        let mut command = env.command();
        command.current_dir(Path::new(FOLDER).join(folder));
        command.args(more).args(&self.options).arg(file).args(self.arguments.iter().map(|word| told(word)));
        let printed = Running::start(&mut command).map_err(|error| error.to_string())?.finish(PATIENCE)?;
        Ok((printed.exit, printed.stdout, printed.stderr))
    }

    /// How far Tapster comes with it on this kernel, up to the verifier.
    pub fn accepted(&self, env: &Env) -> Outcome {
        match self.run(env, &["-v", "-p4"]) {
            Ok((0, _, _)) => Outcome { reached: Reached::Accepted, why: String::new() },
            Ok((_, _, stderr)) => stopped(&stderr),
            Err(why) => stopped(&why),
        }
    }

    /// As above, and through a run where something goes on.
    pub fn ran(&self, env: &Env) -> Outcome {
        let [short, long] = SECONDS;
        let outcome = self.ran_for(env, short);
        if outcome.reached == Reached::Silent { self.ran_for(env, long) } else { outcome }
    }

    fn ran_for(&self, env: &Env, seconds: &str) -> Outcome {
        match self.run(env, &["-v", "-T", seconds]) {
            Ok((_, _, stderr)) if first_error(&stderr).is_some() => stopped(&stderr),
            Ok((_, stdout, _)) => {
                let reached = if stdout.trim().is_empty() { Reached::Silent } else { Reached::Ran };
                Outcome { reached, why: String::new() }
            }
            Err(why) => stopped(&why),
        }
    }
}

/// Where Tapster stopped: by the passes that `-v` says are done.
fn stopped(stderr: &str) -> Outcome {
    let done = |pass: &str| stderr.lines().any(|line| line.trim_start_matches(['|', ' ']).starts_with(pass));
    let reached = match () {
        () if done("Pass 4: compiled") => Reached::Accepted,
        () if done("Pass 3: translated") => Reached::Compiled,
        () if done("Pass 1: parsed") => Reached::Parsed,
        () => Reached::Nothing,
    };
    let why = first_error(stderr).unwrap_or_else(|| stderr.lines().next().unwrap_or_default().to_owned());
    Outcome { reached, why }
}

/// What goes on while scripts run: files, processes, signals, memory, locks, a disk's file, disks where some are free for
/// it, and the loopback network.
pub const LOAD: &str = r#"
while :; do
  find /usr /tests -name '*e*' -size +1 > /dev/null 2>&1
  dd if=/dev/zero of=/tmp/tapster.load bs=65536 count=16 conv=fsync 2> /dev/null
  cat /proc/[0-9]*/stat > /dev/null 2>&1
  rm -f /tmp/tapster.load
  for disk in $DISKS; do dd if=/dev/zero of=$disk bs=65536 count=16 conv=fsync; dd if=$disk of=/dev/null bs=65536 count=16; done 2> /dev/null
  caller; contend; storm --rounds 2
  (nc -l -p 7461 > /dev/null 2>&1 & server=$!; sleep 0.1; echo hello | nc -w 1 127.0.0.1 7461; kill $server) > /dev/null 2>&1
  sleep 0.05
done
"#;

/// The load, until it is dropped.
struct Load(Child);

impl Load {
    fn start(env: &Env) -> Result<Load, String> {
        let path = format!("{}:{}", env.helpers.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command.args(["-c", LOAD]).env("PATH", path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        die_with_parent(&mut command);
        command.spawn().map(Load).map_err(|error| error.to_string())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `TAPSTER_EXAMPLES=io/,pstree` tries those alone whose names have one of these in them; the rows of all others stay.
fn wanted() -> Option<String> {
    std::env::var("TAPSTER_EXAMPLES").ok()
}

fn is_wanted(name: &str) -> bool {
    wanted().is_none_or(|parts| parts.split(',').any(|part| name.contains(part)))
}

/// Which column of the page a trial is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// This kernel's.
    Here,
    /// The booted kernel's, which is only written.
    Booted,
}

/// The page holds on this kernel; `TAPSTER_BLESS=1` writes the column anew, which runs every script.
pub fn check(env: &Env, column: Column) -> Verdict {
    let examples: Vec<Example> = all().into_iter().filter(|example| is_wanted(&example.name)).collect();
    if examples.is_empty() {
        return Verdict::Skip(format!("{PACKAGE} is not installed"));
    }
    let path = workspace::root().join("docs/compatibility.md");
    let text = || fs::read_to_string(&path).unwrap_or_default();
    let (kernel, version) = (page::kernel(env.facts.version()), env.facts.version());
    match (env.bless, column) {
        (true, column) => {
            let outcomes = match column {
                Column::Here => Load::start(env).map(|_load| examples.iter().map(|example| example.ran(env)).collect()),
                Column::Booted => booted::outcomes(&examples, &env.tapster),
            };
            let renewed = outcomes.and_then(|outcomes| {
                let mut page = Page::read(&text());
                page.renew(&examples, column as usize, outcomes);
                fs::write(&path, page.text(version)).map_err(|error| error.to_string())
            });
            renewed.map_or_else(Verdict::Fail, |()| Verdict::Pass)
        }
        (false, Column::Booted) => Verdict::Skip("written by TAPSTER_BLESS=1 alone".into()),
        (false, Column::Here) if !text().contains(&kernel) => {
            Verdict::Skip(format!("docs/compatibility.md says nothing of {kernel}"))
        }
        (false, Column::Here) => {
            let page = Page::read(&text());
            let wrong = examples.iter().filter_map(|example| page.contradiction(example, &example.accepted(env)));
            let wrong: Vec<String> = wrong.collect();
            let advice = "TAPSTER_BLESS=1 writes docs/compatibility.md anew";
            if wrong.is_empty() { Verdict::Pass } else { Verdict::Fail(format!("{}\n{advice}", wrong.join("\n"))) }
        }
    }
}
