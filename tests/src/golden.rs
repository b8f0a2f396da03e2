//! Scripts with what a real SystemTap 4.8 printed for them (`golden/`): standard output and exit code, byte for byte,
//! and every line of standard error.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::case::words;
use crate::facts::{Fact, Facts};
use crate::job::Env;
use crate::process::Running;

/// The scripts of a folder, in order of their names.
pub fn scripts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut scripts: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "stp")).collect();
    scripts.sort();
    scripts
}

/// The trial's name.
pub fn name(script: &Path) -> String {
    format!("golden/{}", script.file_stem().unwrap_or_default().to_string_lossy())
}

/// Why a script cannot be tried here.
pub fn obstacle(script: &Path, facts: &Facts) -> Option<String> {
    let text = fs::read_to_string(script).unwrap_or_default();
    if !text.contains("probe process(") {
        return None;
    }
    // The program that was traced when it was recorded.
    let program = text.split("process(\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let missing = (!Path::new(program).exists()).then(|| format!("{program} is not installed"));
    missing.or_else(|| [Fact::Live, Fact::TpBtf].into_iter().find_map(|fact| facts.lacks(fact).map(str::to_owned)))
}

/// Runs a script as it was run when its output was recorded, and compares.
pub fn run(script: &Path, env: &Env) -> Result<(), String> {
    let recorded = |extension: &str| {
        let path = script.with_extension(extension);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let (folder, file) = script.parent().zip(script.file_name()).ok_or("a script lies in a folder")?;
    let text = recorded("stp")?;
    let header = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map_or_else(|| Ok(Vec::new()), words)
    };
    let mut command = env.command();
    command
        .current_dir(folder)
        .args(header("//stapargs:")?)
        .args(header("//runargs:")?)
        .arg(file)
        .args(header("//scriptargs:")?);
    let running = Running::start(&mut command).map_err(|error| error.to_string())?;
    let printed = running.finish(Duration::from_secs(20))?;
    let exit: i32 = recorded("rc")?.trim().parse().map_err(|error| format!("exit code: {error}"))?;
    let missing =
        recorded("stderr")?.lines().find(|line| !printed.stderr.lines().any(|other| other == *line)).map(str::to_owned);
    if printed.stdout != recorded("stdout")? {
        return Err(format!("standard output is not SystemTap's\n{}", printed.transcript()));
    }
    if printed.exit != exit {
        return Err(format!("SystemTap exits with {exit}\n{}", printed.transcript()));
    }
    missing.map_or(Ok(()), |line| Err(format!("standard error lacks `{line}`\n{}", printed.transcript())))
}
