//! bpftrace: the machine's own, and that of Debian's next release, unpacked below the lab with all that it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tapster_tests::lab::{self, apt};

use crate::tool::Run;

/// Its program.
pub const BPFTRACE: &str = "bpftrace";

/// Where the newer one is from.
const SUITE: &str = "testing";

/// Where libraries lie.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// One bpftrace: how it is started.
#[derive(Debug, Clone)]
pub struct Peer {
    program: PathBuf,
    before: Vec<String>,
    /// As it names itself.
    pub version: String,
}

impl Peer {
    /// All there are, or why not; in a hurry the machine's own alone, as the newer one is 66 MB to download.
    pub fn all(quick: bool) -> Vec<Result<Peer, String>> {
        let newer = (!quick).then(Peer::newest);
        [Peer::installed()].into_iter().chain(newer).collect()
    }

    /// The machine's own, installed if need be.
    fn installed() -> Result<Peer, String> {
        let own = || Peer::at(Path::new(BPFTRACE), vec![]);
        own().or_else(|_| {
            apt::install(&[BPFTRACE])?;
            own()
        })
    }

    /// The newest. It brings its own C library, and is started by that one's loader.
    fn newest() -> Result<Peer, String> {
        let folder = lab::folder().join(BPFTRACE);
        if !folder.exists() {
            let scratch = folder.with_extension("new");
            let _ = fs::remove_dir_all(&scratch);
            apt::Suite::update(SUITE, lab::folder().join("apt").join(SUITE))?.unpack_whole(&[BPFTRACE], &scratch)?;
            fs::rename(&scratch, &folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        let libraries = folder.join(LIBRARIES);
        let words = ["--library-path".to_owned(), libraries.display().to_string()];
        let program = folder.join("usr/bin").join(BPFTRACE).display().to_string();
        Peer::at(&libraries.join("ld-linux-x86-64.so.2"), [&words[..], &[program]].concat())
    }

    fn at(program: &Path, before: Vec<String>) -> Result<Peer, String> {
        let failed = |e: String| format!("{BPFTRACE} --version: {e}");
        let output =
            Command::new(program).args(&before).arg("--version").output().map_err(|e| failed(e.to_string()))?;
        if !output.status.success() {
            return Err(failed(output.status.to_string()));
        }
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Peer { program: program.to_owned(), before, version })
    }

    /// Has it run with these arguments.
    pub fn run(&self, arguments: &[&str], ready: Option<&'static str>) -> Run {
        let before: Vec<&str> = self.before.iter().map(String::as_str).collect();
        Run::new(&self.program, &[&before, arguments].concat(), ready)
    }
}
