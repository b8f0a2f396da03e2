//! Lines of files: what the kernel says of itself under /proc and /sys.

use super::Refusal;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

/// The most that is read of a file.
const BYTES_MAX: u64 = 64 << 20;

/// The files that a handler has asked for, each read once.
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
        let nth = match self.0.iter().position(|file| file.path == path) {
            Some(nth) => nth,
            None => {
                let why = |error: io::Error| format!("cannot read {}: {error}", path.escape_ascii());
                self.0.push(Lines::read(path).map_err(why)?);
                self.0.len() - 1
            }
        };
        let file = &self.0[nth];
        let line = usize::try_from(number.saturating_sub(1)).ok().and_then(|nth| file.lines.get(nth));
        Ok(line.map_or(&[], |line| &file.bytes[line.clone()]))
    }
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
}
