//! The root file system of a guest: busybox, the programs with the libraries they load, the corpus, and what to do.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cpio::Archive;

/// Folder of programs in the guest; it leads the path.
pub const BIN: &str = "/tests/bin";
/// Folder of the corpus in the guest.
pub const CASES: &str = "/tests/cases";

/// Folder of the modules in the guest that families of aliases are of.
pub const FAMILIES: &str = "/families";

const BUSYBOX: &str = "/bin/busybox";

/// A root file system being put together.
#[derive(Debug, Default)]
pub struct Image {
    archive: Archive,
    libraries: BTreeSet<String>,
    modules: usize,
    spare: usize,
}

impl Image {
    /// With busybox, and a first process that runs `job` as a shell script.
    pub fn new(job: &str) -> io::Result<Image> {
        let mut image = Image::default();
        let busybox = [BUSYBOX, "/usr/bin/busybox"].iter().find_map(|path| fs::read(path).ok());
        image.archive.file("/busybox", 0o755, &busybox.ok_or_else(|| io::Error::other("no busybox"))?);
        image.archive.symlink(BUSYBOX, "/busybox");
        image.archive.file("/init", 0o755, include_bytes!("init.sh"));
        image.archive.file("/job", 0o644, job.as_bytes());
        // A name for the user that cases become.
        image.archive.file("/etc/passwd", 0o644, b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n");
        Ok(image)
    }

    /// Adds a program to [`BIN`] under this name, and the libraries it loads.
    pub fn program(&mut self, path: &Path, name: &str) -> io::Result<()> {
        self.executable(path, &format!("{BIN}/{name}"))
    }

    /// Adds any file, which may be a program, to `/add`.
    pub fn add(&mut self, path: &Path) -> io::Result<()> {
        let name = path.file_name().ok_or_else(|| io::Error::other(format!("{} is no file", path.display())))?;
        self.executable(path, &format!("/add/{}", name.to_string_lossy()))
    }

    /// Adds all below a folder as it is, with links and modes, but what nobody runs or traces.
    pub fn root(&mut self, from: &Path, to: &str) -> io::Result<()> {
        const LEFT_OUT: [&str; 6] = [
            "/usr/include",
            "/usr/share/doc",
            "/usr/share/man",
            "/usr/share/info",
            "/usr/share/locale",
            "/usr/share/i18n",
        ];
        self.archive.folder(to);
        let mut open = vec![(from.to_path_buf(), String::new())];
        while let Some((folder, under)) = open.pop() {
            for entry in fs::read_dir(folder)?.flatten() {
                let (kind, path) = (entry.file_type()?, format!("{under}/{}", entry.file_name().to_string_lossy()));
                let there = format!("{to}{path}");
                if kind.is_symlink() {
                    self.archive.symlink(&there, &fs::read_link(entry.path())?.to_string_lossy());
                } else if kind.is_dir() && !LEFT_OUT.contains(&&*path) {
                    self.archive.folder(&there);
                    open.push((entry.path(), path));
                } else if kind.is_file() && !path.ends_with(".a") {
                    let mode = entry.metadata()?.permissions().mode() & 0o7777;
                    self.archive.file(&there, mode, &read(&entry.path())?);
                }
            }
        }
        Ok(())
    }

    /// Adds a module that the first process loads; those that it needs come before it.
    pub fn module(&mut self, path: &Path) -> io::Result<()> {
        self.modules += 1;
        self.archive.file(&format!("/modules/{:02}", self.modules), 0o644, &read(path)?);
        Ok(())
    }

    /// Adds a module that nobody loads until a test does; those that it needs come before it.
    pub fn spare_module(&mut self, path: &Path) -> io::Result<()> {
        self.spare += 1;
        self.file(&format!("{FAMILIES}/{:02}", self.spare), path)
    }

    fn executable(&mut self, path: &Path, to: &str) -> io::Result<()> {
        self.archive.file(to, 0o755, &read(path)?);
        for library in libraries(path)? {
            if self.libraries.insert(library.clone()) {
                self.archive.file(&library, 0o755, &read(Path::new(&library))?);
            }
        }
        Ok(())
    }

    /// Adds all files below a folder, under another path.
    pub fn tree(&mut self, from: &Path, to: &str) -> io::Result<()> {
        let mut entries: Vec<PathBuf> = fs::read_dir(from)?.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        self.archive.folder(to);
        for path in entries {
            let name = path.file_name().expect("an entry has a name").to_string_lossy();
            let to = format!("{to}/{name}");
            if path.is_dir() { self.tree(&path, &to)? } else { self.archive.file(&to, 0o644, &read(&path)?) }
        }
        Ok(())
    }

    /// Adds a file under another path.
    pub fn file(&mut self, to: &str, from: &Path) -> io::Result<()> {
        self.archive.file(to, 0o644, &read(from)?);
        Ok(())
    }

    /// Adds a text file.
    pub fn text(&mut self, path: &str, text: &str) {
        self.archive.file(path, 0o644, text.as_bytes());
    }

    /// Writes it for QEMU.
    pub fn write(self, to: &Path) -> io::Result<()> {
        fs::write(to, self.archive.finish())
    }
}

/// The libraries and the loader that a program needs, as absolute paths.
fn libraries(program: &Path) -> io::Result<Vec<String>> {
    let output = Command::new("ldd").arg(program).output()?;
    // It fails for a static program, which needs none.
    Ok(library_paths(&String::from_utf8_lossy(&output.stdout)))
}

fn library_paths(ldd: &str) -> Vec<String> {
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned);
    ldd.lines().filter_map(path).collect()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_names_libraries_and_the_loader() {
        let ldd = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(library_paths(ldd), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert!(library_paths("\tstatically linked\n").is_empty());
    }
}
