//! What goes on, where it takes long: a line on the terminal, gone as soon as anything else is written there.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tapster_runtime::privilege;
use tapster_runtime::session::Stage;
use tapster_runtime::sys::wait;

/// Nobody wonders before.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two pictures of the line.
const FRAME: Duration = Duration::from_millis(100);

/// The line, if standard error is a terminal.
#[derive(Debug, Default)]
pub struct Progress {
    shown: Option<Arc<Mutex<Shown>>>,
}

/// The step that is under way, and its line where that takes long.
#[derive(Debug, Default)]
struct Shown {
    step: Option<Step>,
    line: Option<ProgressBar>,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    begun: Instant,
    done: Option<(usize, usize)>,
}

impl Progress {
    /// Nothing is under way yet.
    pub fn new() -> Progress {
        let shown = io::stderr().is_terminal().then(Arc::<Mutex<Shown>>::default);
        let drawn = shown.clone();
        // Without the thread there is no line, and nothing else is missing.
        let started = drawn.map(|shown| thread::Builder::new().name("progress".into()).spawn(move || draw(&shown)));
        Progress { shown: shown.filter(|_| started.is_some_and(|thread| thread.is_ok())) }
    }

    /// A step begins.
    pub fn step(&self, name: &'static str) {
        if let Some(mut shown) = self.shown() {
            shown.clear();
            shown.step = Some(Step { name, begun: Instant::now(), done: None });
        }
    }

    /// What a session tells of itself.
    pub fn stage(&self, stage: Stage) {
        match stage {
            Stage::Attaching { done, all } => {
                if !self.shown().is_some_and(|mut shown| shown.attached(done, all)) {
                    self.step(ATTACHING);
                }
            }
            Stage::Running => self.clear(),
            Stage::Ending => self.step("working on what was gathered"),
        }
    }

    /// Nothing is under way: the terminal belongs to whoever writes next.
    pub fn clear(&self) {
        if let Some(mut shown) = self.shown() {
            shown.clear();
        }
    }

    fn shown(&self) -> Option<MutexGuard<'_, Shown>> {
        self.shown.as_ref().map(|shown| locked(shown))
    }
}

const ATTACHING: &str = "attaching probes";

fn locked(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws the line as long as the process is there.
fn draw(shown: &Mutex<Shown>) {
    // Signals are for the thread that waits for them.
    wait::ignore_signals_in_this_thread();
    // It needs none; where it may not even give them up, it has none.
    let _ = privilege::give_up();
    loop {
        thread::sleep(FRAME);
        locked(shown).draw();
    }
}

impl Shown {
    /// So many probes are attached; whether that is what goes on.
    fn attached(&mut self, done: usize, all: usize) -> bool {
        let step = self.step.as_mut().filter(|step| step.name == ATTACHING);
        step.map(|step| step.done = Some((done, all))).is_some()
    }

    fn draw(&mut self) {
        let Some(step) = self.step.as_ref().filter(|step| step.begun.elapsed() >= PATIENCE) else { return };
        let line = self.line.get_or_insert_with(|| {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                .with_style(ProgressStyle::default_spinner())
        });
        let seconds = step.begun.elapsed().as_secs_f64();
        line.set_message(match step.done {
            Some((done, all)) => format!("{}: {done} of {all}, {seconds:.1} s", step.name),
            None => format!("{}, {seconds:.1} s", step.name),
        });
        line.tick();
    }

    fn clear(&mut self) {
        self.step = None;
        if let Some(line) = self.line.take() {
            line.finish_and_clear();
        }
    }
}

/// Writes where the line may stand.
pub struct Beside<W> {
    out: W,
    progress: Rc<Progress>,
}

impl<W: Write> Beside<W> {
    /// Writes to this.
    pub fn new(out: W, progress: &Rc<Progress>) -> Beside<W> {
        Beside { out, progress: Rc::clone(progress) }
    }
}

impl<W: Write> Write for Beside<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.progress.clear();
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
