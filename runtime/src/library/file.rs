//! Lines of files, and names in folders: what the kernel says of itself under /proc and /sys.

use super::Refusal;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The most that is read of a file.
const BYTES_MAX: u64 = 64 << 20;

type Reader = fn(&[u8]) -> io::Result<Lines>;

/// The files and folders that a handler has asked for, each read once.
#[derive(Debug, Default)]
pub struct Files(Vec<Lines>);

#[derive(Debug)]
struct Lines {
    path: Vec<u8>,
    bytes: Vec<u8>,
    lines: Vec<Range<usize>>,
}

impl Files {
    /// A handler starts: it sees the files as they are now.
    pub fn look_again(&mut self) {
        self.0.clear();
    }

    /// A line, counted from 1, without its end.
    pub fn line(&mut self, path: &[u8], number: i64) -> Result<&[u8], Refusal> {
        self.nth(path, number, Lines::read)
    }

    /// A name in a folder, counted from 1 in alphabetical order.
    pub fn entry(&mut self, path: &[u8], number: i64) -> Result<&[u8], Refusal> {
        self.nth(path, number, Lines::names)
    }

    fn nth(&mut self, path: &[u8], number: i64, read: Reader) -> Result<&[u8], Refusal> {
        let nth = match self.0.iter().position(|file| file.path == path) {
            Some(nth) => nth,
            None => {
                let why = |error: io::Error| format!("cannot read {}: {error}", path.escape_ascii());
                self.0.push(read(path).map_err(why)?);
                self.0.len() - 1
            }
        };
        let file = &self.0[nth];
        let line = usize::try_from(number.saturating_sub(1)).ok().and_then(|nth| file.lines.get(nth));
        Ok(line.map_or(&[], |line| &file.bytes[line.clone()]))
    }
}

/// Where a symbolic link leads; empty where there is none.
pub fn link_target(path: &[u8]) -> Vec<u8> {
    fs::read_link(OsStr::from_bytes(path)).map(|target| target.into_os_string().into_vec()).unwrap_or_default()
}

impl Lines {
    fn read(path: &[u8]) -> io::Result<Lines> {
        let mut bytes = Vec::new();
        File::open(OsStr::from_bytes(path))?.take(BYTES_MAX).read_to_end(&mut bytes)?;
        let mut lines = Vec::new();
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let length = line.strip_suffix(b"\n").map_or(line.len(), <[u8]>::len);
            lines.push(start..start + length);
            start += line.len();
        }
        Ok(Lines { path: path.to_vec(), bytes, lines })
    }

    fn names(path: &[u8]) -> io::Result<Lines> {
        let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().into_vec());
        let mut names = fs::read_dir(OsStr::from_bytes(path))?.map(name).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        let (mut bytes, mut lines) = (Vec::new(), Vec::new());
        for name in names {
            lines.push(bytes.len()..bytes.len() + name.len());
            bytes.extend(name);
        }
        Ok(Lines { path: path.to_vec(), bytes, lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        let path = std::env::temp_dir().join(format!("tapster-lines-{}", std::process::id()));
        std::fs::write(&path, "one\n\nthree").expect("written");
        let (mut files, path_bytes) = (Files::default(), path.as_os_str().as_bytes());
        let mut lines =
            |numbers: [i64; 6]| numbers.map(|number| files.line(path_bytes, number).expect("is there").to_vec());
        assert_eq!(lines([-1, 0, 1, 2, 3, 4]), [&b""[..], b"", b"one", b"", b"three", b""]);
        std::fs::remove_file(&path).expect("was there");
        assert_eq!(files.line(path_bytes, 1), Ok(&b"one"[..]));
        files.look_again();
        assert!(files.line(path_bytes, 1).is_err_and(|why| why.contains("No such file")));
    }

    #[test]
    fn names_are_in_order() {
        let folder = std::env::temp_dir().join(format!("tapster-names-{}", std::process::id()));
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join("b"), "").expect("written");
        std::os::unix::fs::symlink("b", folder.join("a")).expect("made");
        let path = folder.as_os_str().as_bytes();
        let mut files = Files::default();
        let mut names = |numbers: [i64; 4]| numbers.map(|number| files.entry(path, number).expect("is there").to_vec());
        assert_eq!(names([0, 1, 2, 3]), [&b""[..], b"a", b"b", b""]);
        let target = |name| link_target(folder.join(name).as_os_str().as_bytes());
        assert_eq!([target("a"), target("b")], [&b"b"[..], b""]);
        fs::remove_dir_all(&folder).expect("was there");
        assert!(Files::default().entry(path, 1).is_err_and(|why| why.contains("No such file")));
    }
}
