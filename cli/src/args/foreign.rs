//! SystemTap's options that steer its compiler, its kernel module or its servers.
//!
//! There are none of these here. An option that asks for nothing is taken, and `-v` says why it changes nothing; one that
//! asks for something is refused with what to use instead.

use clap::{Arg, ArgAction, ArgMatches, Command};

/// An option.
struct Foreign {
    /// A letter, or a word.
    name: &'static str,
    value: Value,
    answer: Answer,
}

/// What stands behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Nothing,
    Needed,
    /// Only behind `=`.
    Optional,
}

/// What is said to it.
enum Answer {
    /// Why it changes nothing.
    Idle(&'static str),
    /// What to use instead.
    Refused(&'static str),
    /// It depends on the value: why it changes nothing, or what is wrong with it.
    Judged(fn(&str) -> Result<&'static str, String>),
}

use Answer::{Idle, Judged, Refused};
use Value::{Needed, Nothing, Optional};

const fn row(name: &'static str, value: Value, answer: Answer) -> Foreign {
    Foreign { name, value, answer }
}

const NO_MODULE: &str = "no kernel module is built";
/// Why symbols need no option.
pub const SYMBOLS: &str = "symbols are read from the kernel and from running programs";
const NO_CACHE: &str = "nothing is kept between runs";
const PROLOGUES: &str = "programs that are not optimised are always probed behind the prologue";
const RUNTIME: &str = "eBPF is the only runtime";
const NO_SERVERS: &str = "compiling takes milliseconds and needs no server";
const NO_SYSROOT: &str = "run tapster on the machine itself: it is one file and needs no compiler there";
const FILES: &str = "write the script into a file; -l, -L and tapster explain help with that";
const PRIVILEGES: &str = "capabilities decide what a user may trace: see tapster doctor";

const OPTIONS: &[Foreign] = &[
    row("m", Needed, Judged(module_name)),
    row("r", Needed, Judged(kernel)),
    row("a", Needed, Judged(architecture)),
    row("R", Needed, Idle("the runtime is part of tapster")),
    row("B", Needed, Idle(NO_MODULE)),
    row("modinfo", Needed, Idle(NO_MODULE)),
    row("ldd", Nothing, Idle(SYMBOLS)),
    row("all-modules", Nothing, Idle(SYMBOLS)),
    row("b", Nothing, Idle("what all CPUs print comes in one stream, in order")),
    row("q", Nothing, Idle("no database of coverage is kept")),
    row("P", Nothing, Idle(PROLOGUES)),
    row("prologue-searching", Optional, Idle(PROLOGUES)),
    row(
        "k",
        Nothing,
        Refused("there is no temporary directory to keep; --emit STAGE and -p PASS print what would be there"),
    ),
    row(
        "F",
        Nothing,
        Refused("let the shell or systemd keep it: setsid tapster -o FILE … & or systemd-run tapster -o FILE …"),
    ),
    row("i", Nothing, Refused(FILES)),
    row("interactive", Nothing, Refused(FILES)),
    row("monitor", Optional, Refused("print from a timer: probe timer.s(1) { … }")),
    row("runtime", Needed, Judged(runtime)),
    row("bpf", Nothing, Idle(RUNTIME)),
    row("dyninst", Nothing, Idle(RUNTIME)),
    row("privilege", Needed, Judged(privilege)),
    row("unprivileged", Nothing, Refused(PRIVILEGES)),
    row("compatible", Needed, Idle("there is one version of the language")),
    row("check-version", Nothing, Idle("there is one version of the language")),
    row("semantic-keep-going", Nothing, Idle("checking always goes on after an error")),
    row("use-server", Optional, Idle(NO_SERVERS)),
    row("use-server-on-error", Optional, Idle(NO_SERVERS)),
    row("list-servers", Optional, Refused(NO_SERVERS)),
    row("trust-servers", Optional, Refused(NO_SERVERS)),
    row("remote", Needed, Refused("run it there: ssh HOST tapster - <SCRIPT")),
    row("remote-prefix", Nothing, Refused("run it there: ssh HOST tapster - <SCRIPT | sed 's/^/HOST: /'")),
    row("tmpdir", Needed, Idle("no temporary files are written")),
    row("download-debuginfo", Optional, Idle("nothing is downloaded: kernel probes need no debuginfo")),
    row("sysroot", Needed, Refused(NO_SYSROOT)),
    row("sysenv", Needed, Refused(NO_SYSROOT)),
    row("save-uprobes", Nothing, Idle(NO_MODULE)),
    row("target-namespace", Needed, Refused("compare ids as /proc of the host has them: pid() gives those")),
    row("disable-cache", Nothing, Idle(NO_CACHE)),
    row("poison-cache", Nothing, Idle(NO_CACHE)),
    row("clean-cache", Nothing, Refused(NO_CACHE)),
    row("rlimit-as", Needed, Refused("use the shell's: ulimit -v")),
    row("rlimit-cpu", Needed, Refused("use the shell's: ulimit -t")),
    row("rlimit-nproc", Needed, Refused("use the shell's: ulimit -u")),
    row("rlimit-stack", Needed, Refused("use the shell's: ulimit -s")),
    row("rlimit-fsize", Needed, Refused("use the shell's: ulimit -f")),
    row("language-server", Nothing, Refused("-p2 checks a script; --diagnostics json is for editors")),
    row("build-as", Needed, Refused("nothing is built; run tapster as that user")),
    row("debug", Optional, Refused("-v, -vv and --emit STAGE show what happens")),
];

/// Adds the options to the command line, out of sight.
pub fn known(command: Command) -> Command {
    OPTIONS.iter().fold(command, |command, option| command.arg(option.arg()))
}

/// Why options that were given change nothing, a line each; what is wrong with them otherwise.
pub fn judge(given: &ArgMatches) -> Result<Vec<String>, String> {
    let given = OPTIONS.iter().filter_map(|option| Some((option, option.values(given)?)));
    given.flat_map(|(option, values)| values.into_iter().map(|value| option.judge(&value))).collect()
}

impl Foreign {
    fn is_letter(&self) -> bool {
        self.name.len() == 1
    }

    fn arg(&self) -> Arg {
        let arg = Arg::new(self.name).hide(true);
        let arg = match self.name.chars().next() {
            Some(letter) if self.is_letter() => arg.short(letter),
            _ => arg.long(self.name),
        };
        match self.value {
            Nothing => arg.action(ArgAction::Count),
            Needed => arg.action(ArgAction::Append),
            Optional => arg.action(ArgAction::Append).num_args(0..=1).require_equals(true).default_missing_value(""),
        }
    }

    /// The values that were given, an empty one where there can be none.
    fn values(&self, given: &ArgMatches) -> Option<Vec<String>> {
        match self.value {
            Nothing => (given.get_count(self.name) > 0).then(|| vec![String::new()]),
            Needed | Optional => given.get_many::<String>(self.name).map(|values| values.cloned().collect()),
        }
    }

    /// As it is typed.
    fn said(&self) -> String {
        format!("{}{}", if self.is_letter() { "-" } else { "--" }, self.name)
    }

    fn judge(&self, value: &str) -> Result<String, String> {
        let name = self.said();
        let said = match value {
            "" => name.clone(),
            value if self.is_letter() => format!("{name} {value}"),
            value => format!("{name}={value}"),
        };
        match &self.answer {
            Idle(why) => Ok(format!("{said} changes nothing: {why}")),
            Judged(judge) => judge(value).map(|why| format!("{said} changes nothing: {why}")),
            Refused(instead) => Err(format!("{name}: {instead}")),
        }
    }
}

fn module_name(name: &str) -> Result<&'static str, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match !name.is_empty() && name.chars().all(allowed) {
        true => Ok(NO_MODULE),
        false => Err(format!("-m {name}: a name is made of a-z, 0-9 and _")),
    }
}

/// A kernel by its release, or by the folder that it was built in.
fn kernel(release: &str) -> Result<&'static str, String> {
    if release.starts_with('/') || release == tapster_runtime::sys::process::release() {
        return Ok("the kernel that runs is the one that is traced");
    }
    Err(format!("-r {release}: programs are made for the kernel that runs: run tapster where that one does"))
}

fn architecture(name: &str) -> Result<&'static str, String> {
    match (name, std::env::consts::ARCH) {
        ("arm64", "aarch64") => Ok("this is that processor"),
        (name, own) if name == own => Ok("this is that processor"),
        _ => Err(format!("-a {name}: programs are made for the processor at hand: run tapster where that one is")),
    }
}

fn runtime(name: &str) -> Result<&'static str, String> {
    match name {
        "kernel" | "bpf" | "dyninst" => Ok(RUNTIME),
        _ => Err(format!("--runtime={name}: {RUNTIME}")),
    }
}

fn privilege(level: &str) -> Result<&'static str, String> {
    match level {
        "stapdev" => Ok(PRIVILEGES),
        _ => Err(format!("--privilege={level}: {PRIVILEGES}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(words: &[&str]) -> Result<Vec<String>, String> {
        let given = known(Command::new("t")).try_get_matches_from([&["t"], words].concat());
        judge(&given.map_err(|error| error.to_string())?)
    }

    #[test]
    fn every_option_is_answered() {
        for option in OPTIONS {
            let name = option.said();
            let words: Vec<&str> = match option.value {
                Needed => vec![&name, "x"],
                Nothing | Optional => vec![&name],
            };
            match judged(&words) {
                Ok(notes) => assert!(notes.len() == 1 && notes[0].starts_with(&name), "{name}: {notes:?}"),
                Err(error) => assert!(error.starts_with(&name) && error.len() > name.len() + 10, "{name}: {error}"),
            }
        }
    }

    #[test]
    fn values_are_judged() {
        let release = tapster_runtime::sys::process::release();
        for (words, good) in [
            (["-r", &release], true),
            (["-r", "/usr/src/linux"], true),
            (["-r", "2.6.32"], false),
            (["-a", std::env::consts::ARCH], true),
            (["-a", "s390"], false),
            (["-m", "my_probe_2"], true),
            (["-m", "My"], false),
            (["--runtime", "bpf"], true),
            (["--runtime", "jvm"], false),
            (["--privilege", "stapusr"], false),
        ] {
            assert_eq!(judged(&words).is_ok(), good, "{words:?}");
        }
    }
}
