//! Debian packages without touching the machine's apt: sources, lists and cache of our own, below the lab.
//!
//! Only [`install`] changes the machine, and only by packages that the booted suite cannot do without.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MIRROR: &str = "http://deb.debian.org/debian";

/// One suite of Debian, with a list of its packages.
#[derive(Debug)]
pub struct Suite {
    name: &'static str,
    folder: PathBuf,
}

impl Suite {
    /// Fetches the suite's list of packages (10 MB) into `folder`.
    pub fn update(name: &'static str, folder: PathBuf) -> Result<Suite, String> {
        for sub in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(sub)).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        let line = format!("deb [signed-by={KEYRING}] {} {name} main\n", mirror());
        fs::write(folder.join("sources.list"), line).map_err(|e| format!("sources.list: {e}"))?;
        let suite = Suite { name, folder };
        suite.run("apt-get", &["update", "--error-on=any"])?;
        Ok(suite)
    }

    /// The newest package whose name begins and ends so.
    pub fn newest(&self, prefix: &str, suffix: &str) -> Result<String, String> {
        let names = self.run("apt-cache", &["pkgnames", prefix])?;
        let fits = names.lines().filter(|name| name.starts_with(prefix) && name.ends_with(suffix));
        let newest = fits.max_by_key(|name| numbers(name));
        newest.map(str::to_owned).ok_or_else(|| format!("{} has no package {prefix}*{suffix}", self.name))
    }

    /// Downloads a package and unpacks it into `into`.
    pub fn unpack(&self, package: &str, into: &Path) -> Result<(), String> {
        let before = self.packages();
        self.run("apt-get", &["download", package])?;
        let file = self.packages().into_iter().find(|file| !before.contains(file));
        let file = file.ok_or_else(|| format!("apt-get downloaded no {package}"))?;
        let unpacked = output(Command::new("dpkg").arg("-x").arg(&file).arg(into));
        // 27 MB that are unpacked now.
        let _ = fs::remove_file(file);
        unpacked.map(drop)
    }

    /// Downloads packages with all that they need, as if nothing were installed here, and unpacks it all into `into`.
    pub fn unpack_whole(&self, packages: &[&str], into: &Path) -> Result<(), String> {
        let (nothing, archives) = (self.folder.join("nothing-installed"), self.folder.join("cache/archives"));
        fs::write(&nothing, "").map_err(|e| format!("{}: {e}", nothing.display()))?;
        let status = format!("Dir::State::status={}", nothing.display());
        let mut words = vec!["-o", &status, "--yes", "--no-install-recommends", "--download-only", "install"];
        words.extend(packages);
        self.run("apt-get", &words)?;
        for file in packages_in(&archives) {
            output(Command::new("dpkg").arg("-x").arg(&file).arg(into))?;
            let _ = fs::remove_file(file);
        }
        Ok(())
    }

    fn packages(&self) -> Vec<PathBuf> {
        packages_in(&self.folder)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("LC_ALL", "C");
        for (key, value) in [
            ("Dir::Etc::SourceList", path("sources.list")),
            ("Dir::Etc::SourceParts", "/dev/null".into()),
            ("Dir::State::Lists", path("lists")),
            ("Dir::Cache", path("cache")),
            ("Acquire::Languages", "none".into()),
            ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false".into()),
            ("Acquire::Retries", "2".into()),
            // The user `_apt` may not write below a clone.
            ("APT::Sandbox::User", "root".into()),
        ] {
            command.arg("-o").arg(format!("{key}={value}"));
        }
        output(command.args(arguments)).map_err(|e| format!("{}: {e}", self.name))
    }
}

fn packages_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.path()).filter(|path| path.extension().is_some_and(|e| e == "deb")).collect()
}

/// Installs these packages, which needs root.
pub fn install(packages: &[&str]) -> Result<(), String> {
    let install = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "--yes", "--no-install-recommends"]);
        output(command.args(packages))
    };
    eprintln!("lab: installing {}", packages.join(" "));
    install()
        .or_else(|_| {
            // A fresh machine has no lists yet.
            output(Command::new("apt-get").arg("update"))?;
            install()
        })
        .map(drop)
        .map_err(|e| format!("{e}\nas root: apt-get install {}", packages.join(" ")))
}

/// The mirror that this machine uses, or everybody's.
fn mirror() -> String {
    let text = fs::read_to_string("/etc/apt/sources.list.d/debian.sources").unwrap_or_default();
    let uri = text.lines().find_map(|line| line.strip_prefix("URIs:")?.split_whitespace().next());
    uri.unwrap_or(MIRROR).to_owned()
}

fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Output { status, stdout, stderr } = command.output().map_err(|e| format!("{name}: {e}"))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&stderr);
    let said: Vec<&str> = stderr.lines().filter(|line| line.starts_with("E:") || line.starts_with(&name)).collect();
    let said = if said.is_empty() { stderr.trim().to_owned() } else { said.join("; ") };
    Err(format!("{name}: {status}: {said}"))
}

/// The numbers in a name, by which versions are compared.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let of = |version: &str| numbers(&format!("linux-image-{version}-cloud-amd64-unsigned"));
        assert!(of("6.12.107+deb13") > of("6.12.94+deb13"));
        assert!(of("6.1.0-50") > of("6.1.0-9"));
    }
}
