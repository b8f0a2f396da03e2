//! Where things are in this workspace, and the freshly built binary under test.

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

/// A program of `programs/` that is there when they could be compiled.
const PROGRAM: &str = "tpcalls";

/// Compiles the C programs that cases trace, next to the other helpers, where there is a compiler.
pub fn programs() -> Result<(), String> {
    let sources = std::fs::read_dir(root().join("tests/programs")).map_err(|e| format!("tests/programs: {e}"))?;
    for source in sources.flatten().map(|entry| entry.path()) {
        let Some(name) = source.file_stem() else { continue };
        let program = binaries().join(name);
        // Under another name first: several suites may do this at once.
        let fresh = program.with_extension(std::process::id().to_string());
        let compiled = Command::new("gcc").args(["-g", "-O2", "-pthread", "-o"]).arg(&fresh).arg(&source).output();
        match compiled {
            Ok(output) if output.status.success() => std::fs::rename(&fresh, &program).map_err(|e| e.to_string())?,
            Ok(output) => return Err(format!("gcc: {}", String::from_utf8_lossy(&output.stderr))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("gcc: {error}")),
        }
    }
    Ok(())
}

/// The compiled programs: here, or beside the runner in a guest.
pub fn compiled() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let folder = [Some(binaries()), beside].into_iter().flatten().find(|folder| folder.join(PROGRAM).exists());
    let names = std::fs::read_dir(root().join("tests/programs")).into_iter().flatten().flatten();
    let stems = names.filter_map(|entry| Some(entry.path().file_stem()?.to_owned()));
    match folder {
        Some(folder) if root().exists() => stems.map(|name| folder.join(name)).filter(|path| path.exists()).collect(),
        Some(folder) => vec![folder.join(PROGRAM)],
        None => Vec::new(),
    }
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
