//! `tapster top`: the globals of a running script as tables on the terminal.
//!
//! It looks through the session's eyes, in the session's own thread: a [`Watcher`] that draws. The terminal is its own
//! from the first look until the probes are detached; what the script prints meanwhile stands in a corner, and is
//! printed afterwards.

mod keys;
mod screen;
mod state;
mod table;

use crossterm::{cursor, execute, terminal};
use keys::{Key, Keys};
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use state::State;
use std::cell::RefCell;
use std::io::{self, IsTerminal, Stdout, Write};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tapster_runtime::sys::terminal::suspend;
use tapster_runtime::view::Global;
use tapster_runtime::watch::{Verdict, Watcher};

/// Between two looks at the globals.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at the size of the terminal.
const SIZE: Duration = Duration::from_millis(250);
/// Lines of prints that are kept.
const KEPT: usize = 1000;

/// The watcher.
pub struct Top {
    state: State,
    prints: Prints,
    keys: Keys,
    shown: Option<Terminal<CrosstermBackend<Stdout>>>,
    next: Instant,
    next_data: Instant,
}

/// What the script prints while the screen is taken.
#[derive(Clone, Debug, Default)]
pub struct Prints(Rc<RefCell<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    is_taken: bool,
    lines: Vec<String>,
}

impl Top {
    /// Where standard input and output are a terminal.
    pub fn new(script: String) -> Result<Top, String> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err("top: standard input and output must be a terminal".into());
        }
        let now = Instant::now();
        let (state, prints) = (State::new(script), Prints::default());
        let keys = Keys::new().map_err(|error| format!("top: no keys: {error}"))?;
        Ok(Top { state, prints, keys, shown: None, next: now, next_data: now })
    }

    /// Where the script's prints go.
    pub fn prints(&self) -> Prints {
        self.prints.clone()
    }

    /// Takes the terminal.
    fn open(&mut self) -> io::Result<()> {
        if self.shown.is_none() {
            take()?;
            restore_on_panic();
            self.shown = Some(Terminal::new(CrosstermBackend::new(io::stdout()))?);
            self.prints.0.borrow_mut().is_taken = true;
        }
        Ok(())
    }

    /// Leaves the terminal to the shell until the shell says to go on. The probes stand meanwhile.
    fn suspend(&mut self) -> io::Result<()> {
        give_back();
        suspend();
        take()?;
        self.shown.as_mut().map_or(Ok(()), Terminal::clear)
    }

    fn close(&mut self) {
        if self.shown.take().is_some() {
            give_back();
            self.prints.release();
        }
    }

    fn turn(&mut self, globals: &mut dyn FnMut() -> Vec<Global>) -> io::Result<Verdict> {
        self.open()?;
        for key in self.keys.take()? {
            if key == Key::Suspend {
                self.suspend()?;
            } else if self.state.key(key) == Verdict::End {
                return Ok(Verdict::End);
            }
        }
        let now = Instant::now();
        if self.next_data <= now && !self.state.is_paused {
            self.state.take(&globals());
            self.next_data = Instant::now() + LOOK;
        }
        self.next = Instant::now() + SIZE;
        if let Some(terminal) = &mut self.shown {
            let kept = self.prints.0.borrow();
            terminal.draw(|frame| screen::draw(&self.state, &kept.lines, frame.area(), frame.buffer_mut()))?;
        }
        Ok(Verdict::GoOn)
    }
}

impl Watcher for Top {
    fn next(&self) -> Option<Instant> {
        Some(self.next)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.keys.fd())
    }

    fn look(&mut self, globals: &mut dyn FnMut() -> Vec<Global>) -> Verdict {
        // Without a terminal there is nobody to look.
        self.turn(globals).unwrap_or(Verdict::End)
    }

    fn detached(&mut self) {
        self.close();
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        self.close();
    }
}

fn take() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)
}

/// Gives the terminal back as it was. Nothing can be done where that fails.
fn give_back() {
    let _ = execute!(io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
}

/// The message of a panic belongs on a terminal that shows it.
fn restore_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        before(panic);
    }));
}

impl Prints {
    /// The terminal shows text again: what was kept comes first.
    fn release(&self) {
        let mut kept = self.0.borrow_mut();
        kept.is_taken = false;
        let mut out = io::stdout().lock();
        for line in kept.lines.drain(..) {
            let _ = writeln!(out, "{line}");
        }
    }
}

/// Prints that stand on the screen while it is taken, and go on to `out` otherwise.
pub struct Beside<W> {
    prints: Prints,
    out: W,
}

impl<W: Write> Beside<W> {
    /// Beside these.
    pub fn new(prints: Prints, out: W) -> Beside<W> {
        Beside { prints, out }
    }
}

impl<W: Write> Write for Beside<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.prints.0.borrow_mut();
        if !kept.is_taken {
            return self.out.write(bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        kept.lines.extend(text.lines().map(String::from));
        let too_many = kept.lines.len().saturating_sub(KEPT);
        kept.lines.drain(..too_many);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
