//! The file of `-o`: its name, with the time in it, and when another one begins.

use crate::sys::{clock, next_file};
use std::collections::VecDeque;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

pub use crate::sys::next_file::listen;

/// When another file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes of a file at most.
    pub bytes: u64,
    /// So many are kept; all where nothing is said.
    pub files: Option<u32>,
}

/// A file that output goes to, and the ones before it.
#[derive(Debug)]
pub struct OutputFile {
    /// The name, with conversions of strftime(3).
    pattern: OsString,
    rotation: Option<Rotation>,
    file: File,
    written: u64,
    /// How many there were before this one.
    number: u32,
    kept: VecDeque<OsString>,
}

impl OutputFile {
    /// Opens the first file. With a rotation, names end in `.0`, `.1` and so on, as SystemTap's do.
    pub fn create(pattern: &OsStr, rotation: Option<Rotation>) -> io::Result<OutputFile> {
        let name = name(pattern, rotation.map(|_| 0))?;
        let file = File::create(&name)?;
        // Whoever asked before had no file to mean.
        next_file::take();
        Ok(OutputFile { pattern: pattern.into(), rotation, file, written: 0, number: 0, kept: [name].into() })
    }

    /// Begins the next file, and removes the oldest where there are too many.
    fn turn(&mut self, files: Option<u32>) -> io::Result<()> {
        self.number += 1;
        let name = name(&self.pattern, Some(self.number))?;
        self.file = File::create(&name)?;
        self.written = 0;
        self.kept.push_back(name);
        while files.is_some_and(|files| self.kept.len() > files as usize) {
            // Somebody else may have removed it.
            self.kept.pop_front().into_iter().for_each(|oldest| drop(fs::remove_file(oldest)));
        }
        Ok(())
    }

    /// Writes as much as belongs into the file at hand: lines stay whole where they fit.
    fn part<'t>(&self, text: &'t [u8], rotation: Rotation) -> (&'t [u8], &'t [u8]) {
        let room = usize::try_from(rotation.bytes.saturating_sub(self.written)).unwrap_or(usize::MAX);
        if text.len() <= room {
            return (text, &[]);
        }
        let line = text[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        text.split_at(if line == 0 && self.written == 0 { room } else { line })
    }
}

impl Write for OutputFile {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if next_file::take() {
            self.turn(self.rotation.and_then(|rotation| rotation.files))?;
        }
        let mut left = text;
        while let Some(rotation) = self.rotation {
            let (now, later) = self.part(left, rotation);
            self.file.write_all(now)?;
            self.written += now.len() as u64;
            if later.is_empty() {
                return Ok(text.len());
            }
            self.turn(rotation.files)?;
            left = later;
        }
        self.file.write_all(left).map(|()| text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The name of the file that begins now.
fn name(pattern: &OsStr, number: Option<u32>) -> io::Result<OsString> {
    let mut name = pattern.as_bytes().to_vec();
    if name.contains(&b'%') {
        name = clock::formatted(&CString::new(name)?).ok_or_else(|| io::Error::other("no file name comes of it"))?;
    }
    number.into_iter().for_each(|number| name.extend(format!(".{number}").into_bytes()));
    Ok(OsString::from_vec(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_turned_at_lines_and_only_so_many_are_kept() {
        let folder = std::env::temp_dir().join(format!("tapster-file-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a place to write to");
        let rotation = Rotation { bytes: 10, files: Some(2) };
        let mut file = OutputFile::create(folder.join("out").as_os_str(), Some(rotation)).expect("opens");
        file.write_all(b"one\ntwo\nthree\nfour\n").expect("is written");
        file.write_all(b"longer than ten\n").expect("is written");
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        // "one two", "three", "four", "longer tha", "n ten": the last two stay.
        assert_eq!(
            (read("out.2"), read("out.3").as_deref(), read("out.4").as_deref()),
            (None, Some("longer tha"), Some("n ten\n"))
        );
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn names_have_the_time() {
        let now = clock::formatted(c"a-%Y").expect("a name");
        let named = name(OsStr::new("a-%Y"), None).expect("a name");
        assert_eq!(named.as_bytes(), now);
        let year: u32 = named.to_str().and_then(|name| name[2..].parse().ok()).expect("a year");
        assert!((2020..2200).contains(&year));
        assert_eq!(name(OsStr::new("plain"), Some(3)).expect("a name"), "plain.3");
    }
}
