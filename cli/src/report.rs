//! What goes to standard error.

use crate::args::Options;
use crate::progress::Progress;
use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::rc::Rc;
use tapster_lang::diagnostic::{Format, Kind, render_all};
use tapster_lang::{Diagnostic, Severity, SourceMap, Span};
use tapster_runtime::sys::terminal;
use tapster_runtime::{LoadError, Rejection};

/// Columns where nobody tells.
const WIDTH: usize = 100;
/// Lines of a screen that errors may fill: one is for what is left out, one for the shell.
const SCREEN: usize = 22;

/// Says what went wrong and what was noticed.
pub struct Reporter {
    format: Format,
    colour: bool,
    width: usize,
    quiet: bool,
    strict: bool,
    /// Somebody looks at a screen: errors are to fit on it.
    on_screen: bool,
    /// What goes on; nothing is written beside it.
    pub progress: Rc<Progress>,
}

impl Reporter {
    /// As the options and the terminal have it.
    pub fn new(options: &Options) -> Reporter {
        let wanted = || std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let colour = options.colour.unwrap_or_else(wanted);
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = columns.or_else(terminal::columns).unwrap_or(WIDTH).clamp(40, 160);
        let strict = options.warnings_are_errors;
        Reporter {
            format: options.format,
            colour,
            width,
            quiet: options.no_warnings,
            strict,
            on_screen: std::io::stderr().is_terminal() && options.verbose.iter().all(|level| *level == 0),
            progress: Rc::new(Progress::new()),
        }
    }

    /// Whether somebody looks at a screen who has not asked for all that there is to say.
    pub fn is_on_screen(&self) -> bool {
        self.on_screen
    }

    /// A line as it is.
    pub fn line(&self, line: &str) {
        self.progress.clear();
        // Nothing is left to say where standard error is closed.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// An error that stands in no script.
    pub fn error(&self, message: &str) {
        let prefix = if self.format == Format::Stap { "" } else { "error: " };
        self.line(&format!("{prefix}{message}"));
    }

    /// Errors and warnings in order: of a wrong script a terminal shows no more than a screen, as the first ones matter.
    pub fn diagnostics(&self, all: &[Diagnostic], sources: &SourceMap) {
        let render = |some: &[Diagnostic]| render_all(some, sources, self.format, self.colour, self.width);
        let is_wrong = all.iter().any(|one| one.severity == Severity::Error);
        // What stands in a macro is met at each of its calls, and told of once.
        let mut said = HashSet::new();
        let texts = all.iter().map(|one| render(core::slice::from_ref(one))).filter(|text| said.insert(text.clone()));
        let (text, left_out) = match self.format {
            Format::Fancy if is_wrong && self.on_screen => first_screen(texts),
            Format::Fancy => (texts.collect(), 0),
            _ => (render(all), 0),
        };
        self.progress.clear();
        let _ = std::io::stderr().write_all(text.as_bytes());
        if left_out > 0 {
            self.line(&format!("and {left_out} more: -v shows all of them"));
        }
    }

    /// Errors of the parser, and as SystemTap does, their number.
    pub fn parse_errors(&self, all: &[Diagnostic], sources: &SourceMap) {
        self.diagnostics(all, sources);
        let number = all.iter().filter(|error| error.kind == Kind::Parse && error.severity == Severity::Error).count();
        if self.format == Format::Stap && number > 0 {
            self.line(&format!("{number} parse error{}.", if number == 1 { "" } else { "s" }));
        }
    }

    /// Warnings, unless they are hidden. Whether the script may go on: with `-W` what is warned about ends it.
    pub fn warnings(&self, all: &[Diagnostic], sources: &SourceMap) -> bool {
        if self.quiet || all.is_empty() {
            return true;
        }
        self.diagnostics(all, sources);
        if self.strict && self.format == Format::Fancy {
            self.line("error: -W takes warnings for errors");
        }
        !self.strict
    }

    /// Names that were translated, one line each.
    pub fn notes(&self, notes: &[String]) {
        if !self.quiet {
            notes.iter().for_each(|note| self.line(&format!("note: {note}")));
        }
    }

    /// Why a script could not be loaded. The verifier's complaint names the script's line.
    pub fn load_error(&self, error: &LoadError, sources: &SourceMap) {
        let LoadError::Rejected(rejection) = error else {
            return self.line(&format!("error: {error}"));
        };
        self.diagnostics(&[rejected(rejection)], sources);
    }
}

/// As many texts as fit on a screen, at least one, and the number of the others.
fn first_screen(texts: impl Iterator<Item = String>) -> (String, usize) {
    let (mut shown, mut left_out) = (String::new(), 0);
    for text in texts {
        let fits = shown.lines().count() + text.lines().count() <= SCREEN;
        if left_out == 0 && (fits || shown.is_empty()) {
            shown += &text;
        } else {
            left_out += 1;
        }
    }
    (shown, left_out)
}

/// The verifier's complaint, at the line of the script that the instruction was made for.
fn rejected(rejection: &Rejection) -> Diagnostic {
    let span = Span { start: rejection.position, end: rejection.position + 1 };
    let message = format!("the kernel's verifier rejected the handler of {}", rejection.probe);
    Diagnostic::error("internal::rejected", message)
        .label(span, rejection.reason())
        .help("this is a bug of Tapster, not of the script: please report it with the lines below")
        .note(rejection.tail(12).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fill_one_screen() {
        let of = |heights: &[usize]| first_screen(heights.iter().map(|lines| "x\n".repeat(*lines)));
        assert_eq!(of(&[9, 9, 9, 2]), ("x\n".repeat(18), 2));
        assert_eq!(of(&[9, 9, 4]), ("x\n".repeat(22), 0));
        // One that is larger than any screen is shown all the same.
        assert_eq!(of(&[30, 1]), ("x\n".repeat(30), 1));
    }

    #[test]
    fn a_rejection_names_the_line_of_the_script() {
        let mut sources = SourceMap::new();
        let file = sources.add("slab.stp", "global n\nprobe kernel.trace(\"x\") { n <<< 1 }\n");
        let position = sources.file_span(file).start + "global n\nprobe kernel.trace(\"x\") { ".len() as u32;
        let rejection = Rejection {
            program: "p0_x".into(),
            probe: "kernel.trace(\"x\")".into(),
            places: Vec::new(),
            instruction: Some(3),
            position,
            log: "3: (79) r0 = *(u64 *)(r1 +800)\ninvalid bpf_context access off=800 size=8\n".into(),
            source: std::io::Error::from_raw_os_error(13),
        };
        let report = rejected(&rejection);
        assert_eq!(report.code, "internal::rejected");
        let text = report.render(&sources, Format::Fancy, false, WIDTH);
        assert!(text.contains("slab.stp:2:27"), "{text}");
        assert_eq!(text.matches("internal error").count(), 1, "{text}");
        assert!(text.contains("invalid bpf_context access off=800"), "{text}");
    }
}
