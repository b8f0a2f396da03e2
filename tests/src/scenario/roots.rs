//! Programs whose names lead elsewhere for others, or later: containers, and files that are replaced.

use std::path::Path;
use std::process::Command;

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;

/// A program on a file system that is mounted for one process alone is probed by the path through that process, by its
/// number, and by a build's number.
pub fn other_roots(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let program = crate::workspace::compiled().into_iter().find(|path| path.ends_with("tpcalls"));
    let program = program.ok_or("tpcalls is not compiled")?;
    let inside = Inside::start(env, &program)?;
    let path = format!("/proc/{}/root{HIDDEN}", inside.running.pid());
    for point in [format!("process(\"{path}\")"), format!("process({})", inside.running.pid())] {
        let script = format!("probe {point}.function(\"add\") {{ printf(\"%d %d\\n\", $b, pid()); exit() }}");
        let printed = finished(env, &["-e", &script])?;
        let expected = format!("40 {}", inside.running.pid());
        if printed.lines().next() != Some(expected.as_str()) {
            return Err(format!("{point}: expected `{expected}`\n{printed}"));
        }
    }
    // Its libraries are those that it sees.
    let listed = finished(env, &["-l", &format!("process(\"{path}\").library(\"libc.so.6\").function(\"fflush*\")")])?;
    if listed.contains("fflush") { Ok(()) } else { Err(format!("no function of its libc\n{listed}")) }
}

/// A program that is replaced while it is traced is said to be: probes stay with the file that was there.
pub fn replaced(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let program = crate::workspace::compiled().into_iter().find(|path| path.ends_with("tpcalls"));
    let program = program.ok_or("tpcalls is not compiled")?;
    let (old, new) = (std::env::temp_dir().join("tpreplaced"), std::env::temp_dir().join("tpreplaced.new"));
    let copy = |to: &Path| std::fs::copy(&program, to).map_err(|error| error.to_string());
    copy(&old)?;
    let script = format!("probe process(\"{}\").function(\"add\") {{ println(\"seen\") }}", old.display());
    let mut command = env.command();
    let running =
        Running::start(command.args(["-v", "-T", "2", "-e", &script])).map_err(|e| format!("tapster: {e}"))?;
    let (running, _) = running.until_line("attached", env.seconds(10))?;
    copy(&new)?;
    std::fs::rename(&new, &old).map_err(|error| error.to_string())?;
    let printed = running.finish(env.seconds(20))?;
    std::fs::remove_file(&old).map_err(|error| error.to_string())?;
    let said = format!("WARNING: {} was replaced while it was traced", old.display());
    if printed.stderr.contains(&said) { Ok(()) } else { Err(format!("no `{said}`\n{}", printed.transcript())) }
}

/// The debug information of a stripped program is where the user says, by its file and by a folder of builds; a file of
/// another build is none.
pub fn apart(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let file = |name: &str, all: Vec<std::path::PathBuf>| {
        let found = all.into_iter().find(|path| path.ends_with(name)).ok_or(format!("{name} is not compiled"))?;
        found.into_os_string().into_string().map_err(|_| "a path that is no text".to_owned())
    };
    let program = file("tpcalls_apart", crate::workspace::compiled())?;
    let debug = file("tpcalls_apart.debug", crate::workspace::beside_compiled())?;
    let script = format!(
        "probe process(\"{program}\").function(\"add\") {{ printf(\"%d %s\\n\", $b, usymname(uaddr())) exit() }}"
    );
    let expected = "40 add";
    // It stays for some seconds: what has ended has no names.
    let lingering = format!("{program} 1 5");
    let printed = finished(env, &["-d", &debug, "-c", &lingering, "-e", &script])?;
    if !printed.lines().any(|line| line == expected) {
        return Err(format!("-d {debug}: expected `{expected}`\n{printed}"));
    }
    let other = file("tpcalls", crate::workspace::compiled())?;
    for words in [&["-e", script.as_str()][..], &["-d", &other, "-e", &script]] {
        match finished(env, words) {
            Err(said) if said.contains("install its debug information") => {}
            Ok(said) | Err(said) => return Err(format!("{words:?} finds variables, or does not say why not\n{said}")),
        }
    }
    Ok(())
}

/// Where it lies, as the process sees it.
const HIDDEN: &str = "/mnt/hidden";

/// A process that sees a file nobody else does.
struct Inside {
    running: Running,
}

impl Inside {
    fn start(env: &Env, program: &Path) -> Result<Inside, String> {
        let shell = "mkdir -p /mnt && mount -t tmpfs tmpfs /mnt && cp \"$0\" /mnt/hidden && echo there >&2 && exec /mnt/hidden 1000000000 >/dev/null";
        let mut command = env.bare(Path::new("unshare"));
        command.args(["-m", "sh", "-c", shell]).arg(program);
        let running = start_quietly(&mut command)?;
        let (running, _) = running.until_line("there", env.seconds(10))?;
        Ok(Inside { running })
    }
}

fn start_quietly(command: &mut Command) -> Result<Running, String> {
    Running::start(command).map_err(|error| format!("unshare: {error}"))
}

/// What Tapster prints.
fn finished(env: &Env, words: &[&str]) -> Result<String, String> {
    let mut command = env.command();
    let running = Running::start(command.args(words)).map_err(|error| format!("tapster: {error}"))?;
    let printed = running.finish(env.seconds(20))?;
    if printed.exit == 0 { Ok(printed.stdout) } else { Err(printed.transcript()) }
}
