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
