//! `--example`: scripts that come along, and those of SystemTap where it is installed.

use std::fs;
use std::path::{Path, PathBuf};
use tapster_compiler::suggest::did_you_mean;

include!(concat!(env!("OUT_DIR"), "/scripts.rs"));

/// Where SystemTap keeps its own.
const SYSTEMTAP: &str = "/usr/share/systemtap/examples";

/// A script by the name of its file, with or without `.stp`; what to call it, and its text.
pub fn read(name: &str) -> Result<(String, Vec<u8>), String> {
    let file = if name.ends_with(".stp") { name.to_owned() } else { format!("{name}.stp") };
    if let Some((known, text)) = SCRIPTS.iter().find(|(known, _)| *known == file) {
        return Ok((format!("scripts/{known}"), text.as_bytes().to_vec()));
    }
    let path = find(Path::new(SYSTEMTAP), &file).ok_or_else(|| unknown(name))?;
    let text = fs::read(&path).map_err(|error| format!("cannot read '{}': {error}", path.display()))?;
    Ok((path.display().to_string(), text))
}

fn unknown(name: &str) -> String {
    let help =
        did_you_mean(name, names()).unwrap_or_else(|| format!("there are {}", names().collect::<Vec<_>>().join(", ")));
    format!("Example '{name}' was not found: {help}")
}

/// What the scripts that come along are called.
pub fn names() -> impl Iterator<Item = &'static str> {
    SCRIPTS.iter().map(|(known, _)| known.trim_end_matches(".stp"))
}

/// A file of this name in a folder or one below.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    let here = entries.iter().find(|path| path.file_name().is_some_and(|file| file == name) && path.is_file());
    here.cloned().or_else(|| {
        entries.iter().filter(|path| path.is_dir() && !path.is_symlink()).find_map(|below| find(below, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_come_along() {
        for (name, text) in SCRIPTS {
            assert_eq!(read(name.trim_end_matches(".stp")), Ok((format!("scripts/{name}"), text.as_bytes().to_vec())));
        }
        assert!(SCRIPTS.iter().any(|(name, _)| *name == "slab.stp"));
        assert!(read("slaab").is_err_and(|message| message.contains("did you mean `slab`")));
    }
}
