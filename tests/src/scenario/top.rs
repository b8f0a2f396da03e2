//! `tapster top` on a terminal: driven in tmux, and judged by what stands on its screen.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bpf::loaded;
use crate::facts::{Rung, TMUX};
use crate::job::Env;
use crate::scenario::ending::check_leaks;

/// Three numbers, ten values in a histogram, a counter that grows, and the stacks of those that leave a CPU.
const SCRIPT: &str = r#"
global fruit, stacks, sizes, ticks
probe begin {
  fruit["alpha"] = 10; fruit["beta"] = 30; fruit["gamma"] = 20
  for (i = 0; i < 10; i++) sizes <<< 5
  println("begun")
}
probe kernel.trace("sched_switch") { stacks[backtrace()] <<< 1 }
probe timer.ms(100) { ticks++ }
probe end { println("ended with ", @count(sizes)); if (@count(sizes) > 99) print(@hist_log(sizes)) }
"#;

/// A terminal of 80 columns and 24 lines with Tapster in it.
struct Terminal<'a> {
    env: &'a Env,
    socket: String,
}

/// Sorting, filtering, unfolding, bars, rates, another size, the end.
pub fn is_driven(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let before = loaded::ids();
    let terminal = Terminal::start(env)?;
    terminal.until("the largest first", |screen| in_order(screen, ["beta", "gamma", "alpha"]))?;
    terminal.until("the keys in the last of 24 lines", |screen| {
        screen.lines().count() == 24 && screen.lines().last().is_some_and(|line| line.contains("q quit"))
    })?;
    terminal.keys(&["r"])?;
    terminal.until("the smallest first", |screen| in_order(screen, ["alpha", "gamma", "beta"]))?;
    terminal.keys(&["/", "g", "a", "m", "Enter"])?;
    terminal.until("gamma alone", |screen| screen.contains("gamma") && !screen.contains("alpha"))?;
    terminal.keys(&["Escape"])?;
    terminal.until("all of them", |screen| in_order(screen, ["alpha", "gamma", "beta"]))?;
    // A picture that stands still: the largest row may be another one a moment later.
    terminal.keys(&["Tab"])?;
    terminal.until("a table of stacks", |screen| screen.contains(" +"))?;
    terminal.keys(&["p"])?;
    terminal.until("a table that is stopped", |screen| screen.contains("[paused]") && screen.contains(" +"))?;
    terminal.keys(&["Enter"])?;
    let kallsyms = std::fs::read_to_string("/proc/kallsyms").map_err(|e| e.to_string())?;
    terminal.until("frames with names of the kernel", |screen| {
        let frames = screen.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" [kernel]"));
        let names: Vec<&str> = frames.filter_map(|frame| Some(frame.trim().split_once("+0x")?.0)).collect();
        names.len() > 2 && names.iter().all(|name| kallsyms.contains(&format!(" {name}\n")))
    })?;
    terminal.keys(&["p", "Tab", "Home", "Down"])?;
    terminal.until("ten values between 4 and 7", |screen| {
        screen.lines().any(|line| line.contains("4 .. 7") && line.contains('█') && line.trim_end().ends_with(" 10"))
    })?;
    terminal.until("a rate of some ticks a second", |screen| {
        let ticks = screen.lines().find(|line| line.starts_with("ticks"));
        let rate = ticks.and_then(|line| line.split_whitespace().last()?.parse::<f64>().ok());
        rate.is_some_and(|rate| rate > 0.0 && rate < 20.0)
    })?;
    for (width, height) in [("50", "12"), ("80", "24")] {
        terminal.tmux(&["resize-window", "-x", width, "-y", height])?;
        terminal.until("the keys in the last line of another size", |screen| {
            let lines = screen.lines().count().to_string() == height;
            lines && screen.lines().last().is_some_and(|line| line.contains("q quit"))
        })?;
    }
    terminal.keys(&["q"])?;
    terminal.until("a terminal as it was", has_ended)?;
    check_leaks(&before)
}

/// ^C is a key while the terminal is taken: it ends the session as it always does.
pub fn is_interrupted(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let before = loaded::ids();
    let terminal = Terminal::start(env)?;
    terminal.until("a table", |screen| screen.contains("beta"))?;
    terminal.keys(&["C-c"])?;
    terminal.until("a terminal as it was", has_ended)?;
    check_leaks(&before)
}

/// ^Z gives the terminal to the shell, and `fg` takes it again.
pub fn is_suspended(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let before = loaded::ids();
    let shell =
        r#"set -m; "$TAPSTER" top -e "$SCRIPT"; echo "stopped $?"; read line; fg; echo "exit $?"; stty -a; sleep 60"#;
    let terminal = Terminal::with_shell(env, shell)?;
    terminal.until("a table", |screen| screen.contains("beta"))?;
    terminal.keys(&["C-z"])?;
    // 128 and SIGTSTP.
    terminal.until("a shell", |screen| screen.contains("stopped 148") && !screen.contains("beta"))?;
    terminal.keys(&["Enter"])?;
    terminal.until("the table again", |screen| screen.contains("beta") && !screen.contains("stopped"))?;
    terminal.keys(&["q"])?;
    terminal.until("a terminal as it was", has_ended)?;
    check_leaks(&before)
}

/// What was printed, the exit code and the terminal's settings stand there, and nothing of the tables.
fn has_ended(screen: &str) -> bool {
    let settings = screen.split_whitespace().filter(|word| matches!(*word, "icanon" | "echo" | "isig")).count();
    let texts = ["begun", "ended with 10", "exit 0"];
    settings == 3 && texts.iter().all(|text| screen.contains(text)) && !screen.contains("gamma")
}

fn in_order(screen: &str, words: [&str; 3]) -> bool {
    let places: Vec<usize> = words.iter().filter_map(|word| screen.find(word)).collect();
    places.len() == words.len() && places.is_sorted()
}

impl Terminal<'_> {
    fn start(env: &Env) -> Result<Terminal<'_>, String> {
        Terminal::with_shell(env, r#""$TAPSTER" top -e "$SCRIPT"; echo "exit $?"; stty -a; sleep 60"#)
    }

    fn with_shell<'a>(env: &'a Env, shell: &str) -> Result<Terminal<'a>, String> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let nth = STARTED.fetch_add(1, Ordering::Relaxed);
        let terminal = Terminal { env, socket: format!("tapster-{}-{nth}", std::process::id()) };
        let (tapster, script) = (format!("TAPSTER={}", env.tapster.display()), format!("SCRIPT={SCRIPT}"));
        let size = ["-x", "80", "-y", "24"];
        let start = ["-f", "/dev/null", "new-session", "-d"].into_iter().chain(size);
        let words: Vec<&str> = start.chain(["-e", &tapster, "-e", &script, "/bin/sh", "-c", shell]).collect();
        terminal.tmux(&words)?;
        Ok(terminal)
    }

    fn tmux(&self, words: &[&str]) -> Result<String, String> {
        let mut tmux: Command = self.env.bare(Path::new(TMUX));
        tmux.env("LC_ALL", "C.UTF-8").args(["-L", &self.socket]).args(words);
        let output = tmux.output().map_err(|e| format!("tmux: {e}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    fn keys(&self, keys: &[&str]) -> Result<(), String> {
        self.tmux(&[&["send-keys"], keys].concat()).map(drop)
    }

    /// Waits for a screen that holds; the error shows the last one.
    fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + self.env.seconds(20);
        loop {
            let screen = self.tmux(&["capture-pane", "-p"])?;
            if holds(&screen) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("no screen shows {what}; the last one:\n{screen}"));
            }
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // One that has gone by itself is as good.
        let _ = self.tmux(&["kill-server"]);
    }
}
