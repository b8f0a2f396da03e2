//! What comes from outside while a script runs: characters on standard input, and files that others read and write.
//!
//! A file is a pipe with a name below `/run/tapster/PID`. Opening one waits for who opens it from the other side, so each
//! has a thread, which does nothing but wait, carry and tell. Handlers are called by the session alone.

use crate::sys::process;
use crate::sys::terminal::Keys;
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::{mem, thread};
use tapster_compiler::image::{Image, ServedFile, When};

/// Where sessions have their folders.
const FOLDERS: &str = "/run/tapster";
/// Bytes that an empty pipe takes without waiting for its reader, at least.
const PIPE: usize = 4096;
/// Bytes that a file takes at once, at most.
const WRITTEN_MOST: u64 = 1 << 20;

/// Something has come, for the handlers of this kind.
#[derive(Debug)]
pub struct Event {
    /// Which handlers.
    pub when: When,
    /// What has come.
    pub text: Vec<u8>,
    /// Somebody waits for what the handlers say.
    pub answer: Option<Answer>,
}

/// Who reads a file.
#[derive(Debug)]
pub struct Answer {
    reader: File,
    most: usize,
}

impl Answer {
    /// Gives the reader a text, as much as the file may have.
    pub fn give(mut self, text: &[u8]) {
        let text = &text[..text.len().min(self.most)];
        // Who has gone in the meantime misses it.
        if text.len() <= PIPE {
            let _ = self.reader.write_all(text);
            return;
        }
        let text = text.to_vec();
        thread::spawn(move || self.reader.write_all(&text));
    }
}

/// All that a session listens to.
#[derive(Debug, Default)]
pub struct Feeds {
    threads: Option<(Receiver<Event>, PipeReader)>,
    /// What has come and was not asked for yet.
    waiting: std::collections::VecDeque<Event>,
    line: Vec<u8>,
    line_most: usize,
    folder: Option<Folder>,
    _keys: Option<Keys>,
}

/// The folder of this session, gone when dropped.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    files: Vec<PathBuf>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whoever comes later sweeps up what stays.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Tells the session from a thread.
#[derive(Debug)]
struct Teller {
    events: Sender<Event>,
    wake: PipeWriter,
}

impl Teller {
    fn tell(&mut self, event: Event) -> Option<()> {
        self.events.send(event).ok()?;
        self.wake.write_all(&[0]).ok()
    }
}

impl Feeds {
    /// Starts listening to what the handlers of an image are for.
    pub fn open(image: &Image) -> io::Result<Feeds> {
        let input = image.handlers.iter().any(|handler| matches!(handler.when, When::Key | When::Line));
        if !input && image.served.is_empty() {
            return Ok(Feeds::default());
        }
        let (wake, waker) = io::pipe()?;
        let (events, told) = mpsc::channel();
        let teller = || io::Result::Ok(Teller { events: events.clone(), wake: waker.try_clone()? });
        let most = image.max_string.saturating_sub(1) as usize;
        let folder = if image.served.is_empty() { None } else { Some(folder(&image.served)?) };
        for (nth, file) in image.served.iter().enumerate() {
            let path = folder.iter().map(|folder| folder.files[nth].clone()).collect();
            let most = file.size.map_or(most, |size| size as usize);
            let (mode, when, teller) = (file.mode, When::Served(nth), teller()?);
            match file.is_read {
                true => thread::spawn(move || give(path, mode, (when, most), teller)),
                false => thread::spawn(move || take(path, mode, when, teller)),
            };
        }
        let mut keys = None;
        if input {
            keys = Keys::one_by_one();
            let teller = teller()?;
            thread::spawn(move || listen(teller));
        }
        let threads = Some((told, wake));
        Ok(Feeds { threads, folder, line_most: most, _keys: keys, ..Feeds::default() })
    }

    /// The files that are served.
    pub fn told(&self) -> impl Iterator<Item = String> {
        let files = self.folder.iter().flat_map(|folder| &folder.files);
        files.map(|file| file.display().to_string()).collect::<Vec<_>>().into_iter()
    }

    /// What to wait for.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.threads.as_ref().map(|(_, wake)| wake.as_fd())
    }

    /// The next of what has come.
    pub fn take(&mut self) -> Option<Event> {
        if self.waiting.is_empty() {
            self.collect();
        }
        self.waiting.pop_front()
    }

    fn collect(&mut self) {
        let Some((told, wake)) = &mut self.threads else { return };
        loop {
            let event = match told.try_recv() {
                Ok(event) => event,
                Err(TryRecvError::Empty) => return,
                // Nobody is left who could tell: waiting for them would end at once, for ever.
                Err(TryRecvError::Disconnected) => {
                    self.threads = None;
                    return;
                }
            };
            // Each was told by a byte, which is there already or comes at once.
            let _ = wake.read(&mut [0]);
            match event.when {
                When::Key => characters(&event.text, (&mut self.line, self.line_most), &mut self.waiting),
                _ => self.waiting.push_back(event),
            }
        }
    }
}

/// One event for each character, and one for each line.
fn characters(bytes: &[u8], (line, most): (&mut Vec<u8>, usize), events: &mut std::collections::VecDeque<Event>) {
    for byte in bytes {
        events.push_back(Event { when: When::Key, text: vec![*byte], answer: None });
        if line.len() < most {
            line.push(*byte);
        }
        if *byte == b'\n' {
            events.push_back(Event { when: When::Line, text: mem::take(line), answer: None });
        }
    }
}

/// Makes the folder of this session with its files, and sweeps up those of sessions that are gone.
fn folder(files: &[ServedFile]) -> io::Result<Folder> {
    for old in fs::read_dir(FOLDERS).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(old.file_name()).exists() {
            let _ = fs::remove_dir_all(old.path());
        }
    }
    let path = Path::new(FOLDERS).join(std::process::id().to_string());
    let folder = Folder { files: files.iter().map(|file| path.join(&file.path)).collect(), path };
    for (file, path) in files.iter().zip(&folder.files) {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        process::make_fifo(path, file.mode)?;
    }
    Ok(folder)
}

/// Puts a new pipe in a file's place: the old one is for those who have it open.
fn renew(path: &Path, mode: u32) -> Option<()> {
    let new = path.with_extension("new");
    process::make_fifo(&new, mode).ok()?;
    fs::rename(new, path).ok()
}

/// Tells of everybody who reads a file, until the session ends.
fn give(path: PathBuf, mode: u32, (when, most): (When, usize), mut teller: Teller) -> Option<()> {
    loop {
        let reader = OpenOptions::new().write(true).open(&path).ok()?;
        renew(&path, mode)?;
        teller.tell(Event { when, text: Vec::new(), answer: Some(Answer { reader, most }) })?;
    }
}

/// Tells what others write to a file, until the session ends.
fn take(path: PathBuf, mode: u32, when: When, mut teller: Teller) -> Option<()> {
    loop {
        let writer = File::open(&path).ok()?;
        renew(&path, mode)?;
        let mut text = Vec::new();
        let _ = writer.take(WRITTEN_MOST).read_to_end(&mut text);
        teller.tell(Event { when, text, answer: None })?;
    }
}

/// Tells what comes on standard input, until it ends.
fn listen(mut teller: Teller) -> Option<()> {
    let mut bytes = [0; 256];
    loop {
        match io::stdin().read(&mut bytes) {
            Ok(0) => return None,
            Ok(read) => teller.tell(Event { when: When::Key, text: bytes[..read].to_vec(), answer: None })?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_behind_its_last_character() {
        let (mut line, mut events) = (Vec::new(), std::collections::VecDeque::new());
        characters(b"ab", (&mut line, 3), &mut events);
        characters(b"cd\ne", (&mut line, 3), &mut events);
        let told: Vec<(bool, Vec<u8>)> =
            events.into_iter().map(|event| (event.when == When::Line, event.text)).collect();
        let key = |text: &[u8]| (false, text.to_vec());
        let expected = [key(b"a"), key(b"b"), key(b"c"), key(b"d"), key(b"\n"), (true, b"abc".to_vec()), key(b"e")];
        assert_eq!(told, expected);
        assert_eq!(line, b"e");
    }
}
