//! The command line as it is read: with the words of the user's file of options before it, and with the words of a
//! script's first line apart, which the kernel hands over as one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The words of this process.
pub fn words() -> Result<Vec<OsString>, String> {
    let mut given = std::env::args_os();
    let mut words: Vec<OsString> = given.next().into_iter().collect();
    if let Some((path, text)) = file().and_then(|path| Some((path.clone(), fs::read_to_string(path).ok()?))) {
        let mine = shlex::split(&text).ok_or_else(|| format!("{}: a quote is not closed", path.display()))?;
        words.extend(mine.into_iter().map(OsString::from));
    }
    words.extend(apart(given.collect()));
    Ok(words)
}

/// `$SYSTEMTAP_DIR/rc`, or `~/.systemtap/rc`.
fn file() -> Option<PathBuf> {
    let folder = std::env::var_os("SYSTEMTAP_DIR").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".systemtap"));
    Some(folder.or_else(home)?.join("rc"))
}

/// `#!/usr/bin/stap -g -v` comes as one word `-g -v` before the script's name.
fn apart(mut words: Vec<OsString>) -> Vec<OsString> {
    let [options, script, ..] = words.as_slice() else { return words };
    let text = options.to_str().filter(|text| text.starts_with('-') && text.contains(' '));
    if let Some(text) = text
        && first_line(script).is_some_and(|line| line.starts_with("#!") && line.ends_with(text))
        && let Some(options) = shlex::split(text)
    {
        words.splice(..1, options.into_iter().map(OsString::from));
    }
    words
}

fn first_line(path: &OsStr) -> Option<String> {
    let mut line = Vec::new();
    let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|data| data.is_file()))?;
    BufReader::new(file).read_until(b'\n', &mut line).ok()?;
    Some(OsStr::from_bytes(&line).to_str()?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_of_the_script_is_taken_apart() {
        let path = std::env::temp_dir().join(format!("tapster-rc-{}", std::process::id()));
        fs::write(&path, "#!/usr/bin/stap -g -v\nprobe begin {}\n").expect("a place to write to");
        let script = path.clone().into_os_string();
        assert_eq!(apart(vec!["-g -v".into(), script.clone()]), ["-g".into(), "-v".into(), script.clone()]);
        let other = vec![OsString::from("-e probe begin {}"), script];
        assert_eq!(apart(other.clone()), other);
        fs::remove_file(path).expect("it is ours");
    }
}
