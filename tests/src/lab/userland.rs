//! What Debian installs beside a kernel: a root of some packages, unpacked and not set up. Fetched once, below the lab.

use std::fs;
use std::os::unix;
use std::path::{Path, PathBuf};

use super::apt::Suite;
use super::{Scratch, folder, lock};

/// What there is in a root.
#[derive(Debug)]
pub struct Packages {
    /// With all that they need.
    pub whole: &'static [&'static str],
    /// Without: for a file in them that something else reads.
    pub alone: &'static [&'static str],
    /// Names that Debian makes as it sets a package up, and what they lead to.
    pub links: &'static [(&'static str, &'static str)],
}

/// Stands in a root that is complete, and says what it is made of.
const MADE_OF: &str = ".made-of";

/// The folder with the root.
pub fn of(suite: &'static str, packages: &Packages) -> Result<PathBuf, String> {
    let _held = lock().map_err(|error| format!("lab: {error}"))?;
    let place = folder().join("userland").join(suite);
    let made_of = format!("{packages:?}");
    if fs::read_to_string(place.join(MADE_OF)).is_ok_and(|text| text == made_of) {
        return Ok(place);
    }
    eprintln!("lab: fetching programs of Debian {suite}");
    fetch(suite, packages, &place, &made_of).map_err(|why| format!("programs of {suite} cannot be had: {why}"))?;
    Ok(place)
}

fn fetch(suite: &'static str, packages: &Packages, place: &Path, made_of: &str) -> Result<(), String> {
    let suite = Suite::update(suite, folder().join("apt").join(suite))?;
    let scratch = Scratch::new().map_err(|error| error.to_string())?;
    let done = scratch.path().join("root");
    let set_up = || {
        // The links to /usr are a package's; nothing else may come before them.
        fs::create_dir_all(done.join("usr"))?;
        ["bin", "sbin", "lib", "lib64"].iter().try_for_each(|name| {
            fs::create_dir(done.join("usr").join(name))?;
            unix::fs::symlink(format!("usr/{name}"), done.join(name))
        })
    };
    set_up().map_err(|error: std::io::Error| error.to_string())?;
    suite.unpack_whole(packages.whole, &done)?;
    packages.alone.iter().try_for_each(|package| suite.unpack(package, &done))?;
    let finish = || {
        for (name, target) in packages.links {
            unix::fs::symlink(target, done.join(name.trim_start_matches('/')))?;
        }
        fs::write(done.join(MADE_OF), made_of)?;
        fs::create_dir_all(place.parent().expect("below the lab"))?;
        if place.exists() {
            fs::remove_dir_all(place)?;
        }
        fs::rename(&done, place)
    };
    finish().map_err(|error| error.to_string())
}
