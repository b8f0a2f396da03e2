//! The life of a run, as a chain of types: loaded, begun, attached, over.
//!
//! ```no_run
//! # fn f(image: tapster_compiler::image::Image) -> Result<(), tapster_runtime::LoadError> {
//! use tapster_runtime::session::{Options, Session};
//! let outcome = Session::load(image, Options::default())?.begin().attach()?.run().finish();
//! std::process::exit(outcome.code);
//! # }
//! ```
//! Everything in the kernel hangs on descriptors that a stage owns: dropping it, or dying, leaves nothing behind.

use crate::attach::Attached;
use crate::command::{self, Command};
use crate::event::{Control, Drained, Rings};
use crate::feed::Feeds;
use crate::footprint::footprint;
use crate::load::LoadError;
use crate::loss::{self, Missed};
use crate::output::Output;
use crate::privilege::{self, Kept};
use crate::process_symbol::Processes;
use crate::replaced::Files;
use crate::run::Run;
use crate::runner::Runner;
use crate::sys::bpf::{self, ProgramStats};
use crate::sys::process;
use crate::sys::wait::{self, Signals};
use crate::timer::Timers;
use crate::timing::Timing;
use crate::watch::Watchers;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use tapster_compiler::image::{Image, When};

mod loading;
mod options;

use loading::Ready;
pub use loading::{Again, Refusal};
pub use options::{Options, Outcome, Stage};

/// How long events gather after some have come.
const NAP: Duration = Duration::from_millis(2);
/// So many probes that the kernel refused are named; the others are counted.
const SKIPPED_SAID: usize = 10;

/// A script whose programs are in the kernel and wait.
#[derive(Debug)]
pub struct Session(Core);

/// Its begin handlers are through.
#[derive(Debug)]
pub struct Begun(Core);

/// Its programs are attached.
#[derive(Debug)]
pub struct Running(Core);

/// Nothing is attached any more.
#[derive(Debug)]
pub struct Over(Core);

struct Core {
    // Dropped in this order: nothing may run on what is going away.
    attached: Attached,
    programs: Vec<OwnedFd>,
    rings: Rings,
    runner: Runner,
    missed: Vec<Missed>,
    verbose: u32,
    timing: Timing,
    strict: bool,
    timeout: Option<Duration>,
    started: Instant,
    command: Option<Command>,
    command_failed: bool,
    progress: Box<dyn Fn(Stage)>,
    feeds: Feeds,
    files: Files,
    watchers: Watchers,
    kept: Kept,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("attached", &self.attached)
            .field("errors", &self.runner.errors())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Loads an image. From here on signals that would end the process end the session instead.
    pub fn load(image: Image, options: Options) -> Result<Session, LoadError> {
        Session::load_or(image, options, &mut |_| None)
    }

    /// The same; where the kernel refuses programs, `again` may know another image of the script.
    pub fn load_or(image: Image, options: Options, again: &mut Again) -> Result<Session, LoadError> {
        // What SystemTap's process is called: scripts pass over it by this name.
        process::rename(c"stapio");
        let signals = Signals::collect().map_err(|source| LoadError::Signals { source })?;
        let start = || if options.timing { Timing::start() } else { Ok(Timing::default()) };
        let timing = start().map_err(|source| LoadError::Timing { source })?;
        let Ready { image, loaded, attached } = loading::load(image, options.attaches, again)?;
        let rings = Rings::open(&image, &loaded.maps)?;
        let output = Output::new(options.out, options.err);
        let output = if options.machine { output.for_machines() } else { output };
        let (mut run, programs) = Run::new(image, loaded, output, signals);
        run.tell_start();
        run.target = options.target;
        run.processes = Processes::with_debug_places(options.debug_places);
        let mut runner = Runner::new(run, options.errors_max, options.suppress_errors, options.place);
        if options.timing {
            runner.count_time();
        }
        Ok(Session(Core {
            attached,
            programs,
            rings,
            runner,
            missed: Vec::new(),
            verbose: options.verbose,
            timing,
            strict: options.strict,
            timeout: options.timeout,
            started: options.started,
            command: options.command,
            command_failed: false,
            progress: options.progress,
            feeds: Feeds::default(),
            files: Files::default(),
            watchers: Watchers(options.watchers),
            kept: options.kept,
        }))
    }

    /// Runs the begin handlers, in ascending order, until one ends the session.
    pub fn begin(mut self) -> Begun {
        let core = &mut self.0;
        for handler in core.handlers(|when| if let When::Begin(order) = when { Some(order) } else { None }) {
            core.runner.run.look_for_signals();
            if core.runner.is_over() {
                break;
            }
            core.runner.call(handler);
        }
        core.runner.run.output.flush();
        Begun(self.0)
    }
}

impl Begun {
    /// Attaches all programs, unless the session is over already.
    pub fn attach(mut self) -> Result<Running, LoadError> {
        let core = &mut self.0;
        core.runner.run.look_for_signals();
        if !core.runner.is_over() {
            core.runner.run.keep_time();
            core.attach()?;
            core.let_go();
            core.settle()?;
            core.feeds = Feeds::open(&core.runner.run.image).map_err(|source| LoadError::Served { source })?;
            core.feeds.told().for_each(|file| core.runner.run.output.note(format_args!("serving {file}")));
            core.tell_attached();
            core.command.iter_mut().for_each(Command::release);
        }
        (core.progress)(Stage::Running);
        Ok(Running(self.0))
    }
}

impl Begun {
    /// Runs all programs once instead of attaching them, unless the session is over already: programs of
    /// [`Attach::RawTracepoint`], which the kernel runs for whoever may load them.
    ///
    /// [`Attach::RawTracepoint`]: tapster_compiler::image::Attach::RawTracepoint
    pub fn run_once(mut self) -> io::Result<Running> {
        let core = &mut self.0;
        core.runner.run.look_for_signals();
        if !core.runner.is_over() {
            core.runner.run.keep_time();
            core.let_go();
            core.programs.iter().try_for_each(|program| bpf::run_once(program.as_fd()))?;
        }
        Ok(Running(self.0))
    }
}

impl Running {
    /// How many programs are attached.
    pub fn attached(&self) -> usize {
        self.0.attached.len()
    }

    #[cfg(test)]
    pub(crate) fn program_ids_for_tests(&self) -> Vec<u32> {
        self.0.programs.iter().map(|program| bpf::program_stats(program.as_fd()).expect("loaded").id).collect()
    }

    /// Runs until `exit()`, an error, a signal or the timeout, and detaches.
    pub fn run(mut self) -> Over {
        let core = &mut self.0;
        let mut timers = Timers::new(&core.runner.run.image.handlers, Instant::now());
        let end = core.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while !core.runner.is_over() {
            core.turn(&mut timers, end);
        }
        core.detach();
        core.watchers.detached();
        Over(self.0)
    }
}

impl Over {
    #[cfg(test)]
    pub(crate) fn run_for_tests(&mut self) -> &mut Run {
        &mut self.0.runner.run
    }

    /// Runs the end handlers, or the error handlers after an error, and says what was lost.
    pub fn finish(mut self) -> Outcome {
        let core = &mut self.0;
        (core.progress)(Stage::Ending);
        core.runner.run.lose_patience();
        if !core.runner.has_failed() {
            core.finally(|when| if let When::End(order) = when { Some(order) } else { None }, Runner::has_failed);
        }
        if core.runner.has_failed() {
            core.finally(|when| if let When::Error(order) = when { Some(order) } else { None }, |_| false);
        }
        if core.runner.run.is_cut_short() {
            core.runner.run.output.discard();
        }
        core.runner.run.output.flush();
        if core.runner.run.output.is_for_machines() {
            core.runner.run.tell_globals();
        } else if core.runner.errors() > 0 {
            core.runner.run.output.warn(format_args!("Number of errors: {}, skipped probes: 0", core.runner.errors()));
        }
        if core.verbose > 0 && core.runner.run.truncations() > 0 {
            let cut = core.runner.run.truncations();
            core.runner.run.output.note(format_args!("{cut} strings were cut to MAXSTRINGLEN bytes"));
        }
        let (image, run) = (&core.runner.run.image, &core.runner.run);
        let lost = loss::losses(image, |number| run.loss(number), &core.missed, run.globals.failures());
        lost.iter().for_each(|lost| core.runner.run.output.warn_of(lost.count, &lost.text));
        let replaced: Vec<String> = core.files.warnings().collect();
        replaced.iter().for_each(|text| core.runner.run.output.warn(text));
        let losses: Vec<String> = lost.into_iter().map(|lost| lost.text).chain(replaced).collect();
        let report = core.timing.report(&core.runner.run.image, &core.missed, core.runner.spent());
        report.iter().for_each(|line| core.runner.run.output.note(line));
        if core.timing.is_on() {
            core.tell_footprint();
        }
        let failed =
            core.runner.has_failed() || core.runner.run.output.has_failed() || core.strict && !losses.is_empty();
        let trouble = core.watchers.finish(&mut core.runner.run);
        trouble.iter().for_each(|text| core.runner.run.output.error(text.as_bytes()));
        let failed = failed || core.command_failed || !trouble.is_empty();
        (core.progress)(Stage::Running);
        core.runner.run.tell_end(failed.into(), core.runner.errors());
        Outcome { code: failed.into(), errors: core.runner.errors(), losses }
    }
}

impl Core {
    /// The handlers that `order` picks, ascending; those of one number as they stand in the script.
    fn handlers(&self, order: impl Fn(When) -> Option<i64>) -> Vec<usize> {
        let handlers = self.runner.run.image.handlers.iter().enumerate();
        let mut picked: Vec<_> = handlers.filter_map(|(at, handler)| Some((order(handler.when)?, at))).collect();
        picked.sort_unstable();
        picked.into_iter().map(|(_, at)| at).collect()
    }

    /// One turn of the loop: what the kernel sent, the timers that are due, then wait.
    fn turn(&mut self, timers: &mut Timers, end: Option<Instant>) {
        self.runner.run.keep_time();
        let drained = self.rings.render(&mut self.runner);
        self.take_control();
        let now = Instant::now();
        while let (false, Some(handler)) = (self.runner.is_over(), timers.due(now)) {
            if self.runner.run.condition_holds(handler) {
                self.runner.call(handler);
            }
        }
        self.serve();
        self.watchers.look(&mut self.runner.run, now);
        self.runner.run.output.flush();
        if end.is_some_and(|end| end <= now) {
            self.runner.run.end();
        }
        if self.runner.is_over() || drained == Drained::Part {
            self.runner.run.look_for_signals();
            return;
        }
        // The kernel wakes us for an event that finds the ring empty, which costs the traced program microseconds: where
        // events come, they are left to gather instead.
        let naps = drained == Drained::All;
        let wake =
            [timers.next(), end, self.watchers.next(), naps.then(|| Instant::now() + NAP)].into_iter().flatten().min();
        let timeout = wake.map(|wake| wake.saturating_duration_since(Instant::now()));
        let command = self.command.as_ref().map(Command::ended);
        let signals = self.runner.run.signals().as_fd();
        let fds =
            self.rings.fds(!naps).chain([signals]).chain(command).chain(self.feeds.fd()).chain(self.watchers.fds());
        let fds: Vec<BorrowedFd<'_>> = fds.collect();
        // A failing wait would spin; there is no cause for one but a descriptor gone bad, which ends the run as well.
        let waited = wait::readable(&fds, timeout);
        drop(fds);
        if waited.is_err() {
            self.runner.run.end();
        }
        self.look_for_command();
        self.runner.run.look_for_signals();
    }

    /// Calls the handlers for what has come from outside.
    fn serve(&mut self) {
        while let (false, Some(event)) = (self.runner.is_over(), self.feeds.take()) {
            self.runner.run.event_text = event.text;
            for handler in 0..self.runner.run.image.handlers.len() {
                let is_meant = self.runner.run.image.handlers[handler].when == event.when;
                if is_meant && !self.runner.is_over() && self.runner.run.condition_holds(handler) {
                    self.runner.call(handler);
                }
            }
            event.answer.into_iter().for_each(|answer| answer.give(&self.runner.run.event_text));
        }
    }

    /// Ends the session where the program has ended.
    fn look_for_command(&mut self) {
        let ended = |command: &Command| matches!(wait::readable(&[command.ended()], Some(Duration::ZERO)), Ok(true));
        let Some(mut command) = self.command.take_if(|command| ended(command)) else { return };
        let failure = command::failure(command.status());
        self.command_failed = failure.is_some();
        failure.iter().for_each(|failure| self.runner.run.output.warn(failure));
        self.runner.run.end();
    }

    fn take_control(&mut self) {
        let runner = &mut self.runner;
        self.rings.take_control(|control| match control {
            Control::Exit => runner.run.end(),
            Control::Error(raised) => runner.report(&raised),
        });
    }

    /// Detaches everything and takes what was sent until then.
    fn detach(&mut self) {
        self.count_missed();
        self.attached = Attached::default();
        while self.rings.render(&mut self.runner) == Drained::Part {}
        self.take_control();
        self.runner.run.output.flush();
    }

    fn count_missed(&mut self) {
        let kprobe = self.attached.missed();
        let stats = |program: &OwnedFd| bpf::program_stats(program.as_fd()).unwrap_or_default();
        let stats: Vec<ProgramStats> = self.programs.iter().map(stats).collect();
        let nested = loss::nested(&self.runner.run.image, |number| self.runner.run.loss(number));
        let all = stats.iter().zip(kprobe).zip(nested);
        let missed = all.map(|((stats, kprobe), nested)| Missed { recursion: stats.recursion_misses + nested, kprobe });
        self.missed = missed.collect();
        self.timing.take(stats.into_iter());
    }

    /// Runs the handlers that `order` picks, until `stop` or the user has had enough.
    fn finally(&mut self, order: impl Fn(When) -> Option<i64>, stop: impl Fn(&Runner) -> bool) {
        for handler in self.handlers(order) {
            self.runner.run.look_for_signals();
            if stop(&self.runner) || self.runner.run.is_cut_short() {
                break;
            }
            self.runner.call(handler);
        }
    }

    /// Attaches all programs; says how far it is where that takes long, and what the kernel refused.
    fn attach(&mut self) -> Result<(), LoadError> {
        let run = &mut self.runner.run;
        self.files = Files::of(&run.image.programs);
        let all: usize = run.image.programs.iter().map(|program| program.sites.len().max(1)).sum();
        let (mut done, progress) = (0, &self.progress);
        let mut told = |places| {
            done += places;
            progress(Stage::Attaching { done, all });
        };
        self.attached.others(&run.image.programs, &self.programs, &mut told)?;
        let skipped = self.attached.skipped();
        for (place, why) in skipped.iter().take(SKIPPED_SAID) {
            run.output.warn(format_args!("probe {place} was passed over: the kernel refuses it ({why})"));
        }
        if let Some(more @ 1..) = skipped.len().checked_sub(SKIPPED_SAID) {
            run.output.warn(format_args!("{more} more probes were passed over"));
        }
        Ok(())
    }

    /// Has handlers run that stood before the script had begun: it has.
    fn let_go(&mut self) {
        // Where nothing begins they run already, and may have ended the session.
        if loading::begins(&self.runner.run.image) {
            self.runner.run.let_go();
        }
    }

    /// Gives up what is not needed from here on.
    fn settle(&mut self) -> Result<(), LoadError> {
        if self.kept != Kept::All && self.runner.run.image.asks_kernel {
            self.runner.run.load_peek();
        }
        // Pipes that are served allow others one direction, and the session opens the other.
        let serves = !self.runner.run.image.served.is_empty();
        let kept = if serves && self.kept == Kept::Names { Kept::NamesAndFiles } else { self.kept };
        privilege::settle(kept).map_err(|source| LoadError::Privilege { source })
    }

    fn tell_attached(&mut self) {
        if self.verbose == 0 {
            return;
        }
        self.tell_footprint();
        let output = &mut self.runner.run.output;
        for program in &self.runner.run.image.programs {
            output.note(format_args!("{}: {}", program.probe, program.attach.describe()));
            program.why.iter().for_each(|why| output.note(format_args!("  {why}")));
        }
        let count = self.attached.len();
        let probes = if count == 1 { "probe" } else { "probes" };
        let taken = self.started.elapsed().as_secs_f64() * 1e3;
        output.note(format_args!("attached {count} {probes} in {taken:.1} ms"));
    }

    fn tell_footprint(&mut self) {
        let run = &mut self.runner.run;
        let names = run.image.maps.iter().map(|map| map.name.as_str());
        footprint(names.zip(run.globals.maps())).iter().for_each(|line| run.output.note(line));
    }
}

#[cfg(test)]
pub(crate) mod tests;
