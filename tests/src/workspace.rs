//! Where things are in this workspace, and the freshly built binary under test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace")
}

/// The corpus.
pub fn cases() -> PathBuf {
    root().join("tests/cases")
}

/// Scripts with what SystemTap printed for them.
pub fn golden() -> PathBuf {
    root().join("tests/golden")
}

/// The documents whose commands are tried.
pub fn documents() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("docs")).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found.push(root().join("README.md"));
    found.sort();
    found
}

/// Cargo's target folder, which also holds the lab.
pub fn target() -> PathBuf {
    let exe = std::env::current_exe().expect("a running program has a path");
    // target/release/deps/suite-hash, or target/release/bin
    let is_target = |dir: &&Path| dir.join("CACHEDIR.TAG").exists();
    exe.ancestors().find(is_target).map_or_else(|| root().join("target"), Path::to_owned)
}

/// Where the programs of this build are.
pub fn binaries() -> PathBuf {
    target().join("release")
}

/// The Tapster to test: `TAPSTER_BIN`, or that of the sources as they are now.
///
/// `cargo test` does not build the programs of other packages, so it is built here, once a process; the same selection
/// of packages as the README's command, lest Cargo resolve other features and build Cranelift a second time.
pub fn tapster() -> Result<PathBuf, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(|| std::env::var_os("TAPSTER_BIN").map_or_else(build, |path| Ok(path.into()))).clone()
}

/// Names of the C programs begin so.
const PROGRAMS: &str = "tp";
/// Each of them as it is shipped with debug information, as nobody optimised it, stripped, with what the linker does not
/// see in a file beside it, and stripped of what is in another file then.
const VARIANTS: [(&str, &[&str]); 5] = [
    ("", &["-g", "-O2"]),
    ("_plain", &["-g", "-O0"]),
    ("_bare", &["-O2", "-s"]),
    ("_split", &["-g", "-O2", "-gsplit-dwarf"]),
    (APART, &["-g", "-O2"]),
];
/// See above.
const APART: &str = "_apart";

/// Compiles the C programs that cases trace, next to the other helpers, where there is a compiler.
pub fn programs() -> Result<(), String> {
    let sources = std::fs::read_dir(root().join("tests/programs")).map_err(|e| format!("tests/programs: {e}"))?;
    for source in sources.flatten().map(|entry| entry.path()) {
        for (suffix, options) in VARIANTS {
            if !compile(&source, suffix, options)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Compiles one of them; gives whether there is a compiler.
fn compile(source: &Path, suffix: &str, options: &[&str]) -> Result<bool, String> {
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let program = format!("{name}{suffix}");
    // Elsewhere first: several suites may do this at once.
    let folder = binaries().join(format!("{program}.{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let made = run("gcc", [options, &["-pthread", "-o", &program, &source.to_string_lossy()]].concat(), &folder);
    if suffix == APART && made == Ok(true) {
        let debug = format!("{program}.debug");
        run("objcopy", vec!["--only-keep-debug", &program, &debug], &folder)?;
        run("objcopy", vec!["--strip-all", &program], &folder)?;
    }
    let mut files = std::fs::read_dir(&folder).map_err(|e| e.to_string())?.flatten();
    let moved = files.try_for_each(|file| std::fs::rename(file.path(), binaries().join(file.file_name())));
    moved.map_err(|e| e.to_string())?;
    std::fs::remove_dir(&folder).map_err(|e| e.to_string())?;
    made
}

/// Runs a tool in a folder; gives whether it is there.
fn run(tool: &str, words: Vec<&str>, folder: &Path) -> Result<bool, String> {
    match Command::new(tool).args(words).current_dir(folder).output() {
        Ok(output) if output.status.success() => Ok(true),
        Ok(output) => Err(format!("{tool}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("{tool}: {error}")),
    }
}

/// The compiled programs: here, or beside the runner in a guest.
pub fn compiled() -> Vec<PathBuf> {
    made(|extension| extension.is_none())
}

/// What is beside them: their debug information, in files of its own.
pub fn beside_compiled() -> Vec<PathBuf> {
    made(|extension| extension.is_some_and(|extension| extension == "dwo" || extension == "debug"))
}

fn made(is_wanted: fn(Option<&OsStr>) -> bool) -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let in_folder = |folder: PathBuf| -> Vec<PathBuf> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_program = |path: &PathBuf| {
            is_wanted(path.extension()) && path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PROGRAMS))
        };
        files.filter(is_program).collect()
    };
    let folders = [Some(binaries()), beside].into_iter().flatten();
    folders.map(in_folder).find(|programs| !programs.is_empty()).unwrap_or_default()
}

fn build() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--workspace", "--bins", "--quiet"])
        .current_dir(root())
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    if output.status.success() {
        return Ok(binaries().join("tapster"));
    }
    Err(format!("tapster does not build:\n{}", String::from_utf8_lossy(&output.stderr)))
}
