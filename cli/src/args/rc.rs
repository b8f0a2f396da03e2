//! The command line as it is read: with the words of the user's file of options before it, and with the words of a
//! script's first line apart, which the kernel hands over as one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The words of this process.
pub fn words() -> Vec<OsString> {
    let mut given = std::env::args_os();
    let mut words: Vec<OsString> = given.next().into_iter().collect();
    let text = file().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    words.extend(split(&text).into_iter().map(OsString::from));
    words.extend(apart(given.collect()));
    words
}

/// `$SYSTEMTAP_DIR/rc`, or `~/.systemtap/rc`.
fn file() -> Option<PathBuf> {
    let folder = std::env::var_os("SYSTEMTAP_DIR").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".systemtap"));
    Some(folder.or_else(home)?.join("rc"))
}

/// Words as a shell takes them apart, without replacing anything; `#` begins a comment.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => drop(chars.by_ref().find(|c| *c == '\n')),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// `#!/usr/bin/stap -g -v` comes as one word `-g -v` before the script's name.
fn apart(mut words: Vec<OsString>) -> Vec<OsString> {
    let [options, script, ..] = words.as_slice() else { return words };
    let text = options.to_str().filter(|text| text.starts_with('-') && text.contains(' '));
    if let Some(text) = text
        && first_line(script).is_some_and(|line| line.starts_with("#!") && line.ends_with(text))
    {
        let options: Vec<OsString> = split(text).into_iter().map(OsString::from).collect();
        words.splice(..1, options);
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
    fn words_are_those_of_a_shell() {
        let text = "# mine\n-v  -G 'x=a b' # more\n--vp=01 a\\ b \"c'#\" ''\n";
        assert_eq!(split(text), ["-v", "-G", "x=a b", "--vp=01", "a b", "c'#", ""]);
        assert!(split("").is_empty() && split("# -v").is_empty());
    }

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
