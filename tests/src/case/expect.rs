//! What a case must print: the `//- …` sections at its end.
//!
//! | section | lines are | holds when |
//! |---|---|---|
//! | `stdout`, `stderr` | text | the stream is exactly these lines |
//! | `…-matches` | regular expressions of whole lines | they match the successive lines, all of them |
//! | `…-contains` | text | each occurs somewhere in the stream |
//! | `…-lacks` | text | none occurs |
//!
//! Among `-matches` lines, `...` stands for any number of lines, a leading `+ ` for one or more lines of this form, and
//! `+(` to `+)` for one or more times what is between.
//! A stream without a section must stay empty: what nobody expects is not printed by accident. Where `-v` is given,
//! standard error may carry notes then, but neither warnings nor errors.

use super::lines;

/// Warnings of what no tracer can help, where notes are tolerated: the kernel does not run a program within itself.
const TOLERABLE: &[&str] = &["missed because the probe was already running on that CPU"];

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a section's lines are held against the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The same text.
    Exact {
        /// Whether the last line ends.
        newline: bool,
    },
    /// Successive regular expressions.
    Matches,
    /// Each line occurs.
    Contains,
    /// No line occurs.
    Lacks,
}

/// One `//- …` section.
#[derive(Debug, Clone)]
pub struct Section {
    /// The stream it speaks of.
    pub stream: Stream,
    /// How.
    pub mode: Mode,
    /// Its lines without `// `.
    pub lines: Vec<String>,
}

/// All that is expected of one run.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// Exit code.
    pub exit: i32,
    /// Standard error may carry lines that are neither warning nor error.
    pub tolerates_notes: bool,
    /// Standard output is not looked at unless a section does.
    pub ignores_stdout: bool,
    /// Diagnostic codes that standard error must name.
    pub codes: Vec<String>,
    /// The sections, in the file's order.
    pub sections: Vec<Section>,
}

/// What a run gave.
#[derive(Debug, Clone, Default)]
pub struct Printed {
    /// Exit code, or the negated number of the signal that ended it.
    pub exit: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Reads the sections of a case file.
pub fn parse(text: &str) -> Result<Expectation, String> {
    let mut expectation = Expectation::default();
    for line in text.lines().skip_while(|line| !line.starts_with("//- ")) {
        if let Some(name) = line.strip_prefix("//- ") {
            let (stream, mode) = section_name(name.trim())?;
            expectation.sections.push(Section { stream, mode, lines: vec![] });
            continue;
        }
        let Some(section) = expectation.sections.last_mut() else {
            continue;
        };
        match line.strip_prefix("// ").or((line == "//").then_some("")) {
            Some(expected) => section.lines.push(expected.to_owned()),
            None if line.trim().is_empty() => {}
            None => return Err(format!("`{line}` follows the expectations, which come last and begin with `// `")),
        }
    }
    for section in expectation.sections.iter().filter(|s| s.mode == Mode::Matches) {
        lines::parse(&section.lines)?;
    }
    Ok(expectation)
}

fn section_name(name: &str) -> Result<(Stream, Mode), String> {
    let (stream, rest) = if let Some(rest) = name.strip_prefix("stdout") {
        (Stream::Stdout, rest)
    } else if let Some(rest) = name.strip_prefix("stderr") {
        (Stream::Stderr, rest)
    } else {
        return Err(format!("`//- {name}` is neither stdout nor stderr"));
    };
    let mode = match rest {
        "" => Mode::Exact { newline: true },
        " without newline" => Mode::Exact { newline: false },
        "-matches" => Mode::Matches,
        "-contains" => Mode::Contains,
        "-lacks" => Mode::Lacks,
        _ => return Err(format!("`//- {name}`: matches, contains or lacks")),
    };
    Ok((stream, mode))
}

impl Expectation {
    /// Says what differs, or nothing.
    pub fn check(&self, printed: &Printed) -> Result<(), String> {
        let mut complaints = vec![];
        if printed.exit != self.exit {
            complaints.push(format!("exit code {}, expected {}", printed.exit, self.exit));
        }
        for section in &self.sections {
            let stream = printed.stream(section.stream);
            complaints.extend(section.check(stream).err().map(|e| format!("{}: {e}", section.stream.name())));
        }
        let missing = self.codes.iter().filter(|code| !printed.stderr.contains(*code));
        complaints.extend(missing.map(|code| format!("stderr does not name the diagnostic `{code}`")));
        complaints.extend(self.unexpected(printed));
        if complaints.is_empty() {
            return Ok(());
        }
        Err(format!("{}\n{}", complaints.join("\n"), printed.transcript()))
    }

    /// Output on a stream of which nothing was said.
    fn unexpected(&self, printed: &Printed) -> Vec<String> {
        let silent = |stream| !self.sections.iter().any(|s| s.stream == stream && s.mode != Mode::Lacks);
        let mut complaints = vec![];
        if silent(Stream::Stdout) && !self.ignores_stdout && !printed.stdout.is_empty() {
            complaints.push("stdout is not empty, and no section expects it".into());
        }
        let is_tolerable = |line: &str| TOLERABLE.iter().any(|text| line.contains(text));
        let is_warning = |line: &str| line.starts_with("WARNING:") || line.starts_with("ERROR:");
        let is_grave = |line: &str| line.contains("error:") || is_warning(line) && !is_tolerable(line);
        let bad = |line: &str| !self.tolerates_notes || is_grave(line);
        if silent(Stream::Stderr) && self.codes.is_empty() && printed.stderr.lines().any(bad) {
            complaints.push("stderr is not empty, and no section expects it".into());
        }
        complaints
    }
}

impl Section {
    fn check(&self, text: &str) -> Result<(), String> {
        match self.mode {
            Mode::Exact { newline } => same(&self.lines, newline, text),
            Mode::Matches => lines::check(&self.lines, text),
            Mode::Contains => occur(&self.lines, text, true),
            Mode::Lacks => occur(&self.lines, text, false),
        }
    }
}

impl Stream {
    /// The name in section headers and messages.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

impl Printed {
    /// The text of one stream.
    pub fn stream(&self, stream: Stream) -> &str {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    /// Both streams for a failure message, cut where they would drown the reader.
    pub fn transcript(&self) -> String {
        let mut all = String::new();
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            all += &format!("--- {name}, {} bytes\n", text.len());
            all.extend(text.lines().take(60).flat_map(|line| ["  | ", line, "\n"]));
            if text.lines().nth(60).is_some() {
                all += "  | …\n";
            }
        }
        all
    }
}

fn same(lines: &[String], newline: bool, text: &str) -> Result<(), String> {
    let mut expected = lines.join("\n");
    if newline && !lines.is_empty() {
        expected.push('\n');
    }
    if expected == text {
        return Ok(());
    }
    let at = expected.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    match (expected.lines().nth(at), text.lines().nth(at)) {
        (None, None) => Err("differs in the newline at its end".into()),
        (Some(want), None) => Err(format!("ends before line {}: `{want}`", at + 1)),
        (None, Some(got)) => Err(format!("goes on with line {}: `{got}`", at + 1)),
        (Some(want), Some(got)) => Err(format!("line {}\n  expected `{want}`\n  but got  `{got}`", at + 1)),
    }
}

fn occur(lines: &[String], text: &str, wanted: bool) -> Result<(), String> {
    match lines.iter().find(|line| text.contains(line.as_str()) != wanted) {
        Some(line) if wanted => Err(format!("does not contain `{line}`")),
        Some(line) => Err(format!("contains `{line}`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sections: &str, exit: i32, stdout: &str, stderr: &str) -> Result<(), String> {
        let printed = Printed { exit, stdout: stdout.into(), stderr: stderr.into() };
        parse(sections).expect("sections").check(&printed)
    }

    #[test]
    fn exact_text_is_exact() {
        let sections = "probe begin {}\n//- stdout\n// a\n//\n//  b\n";
        assert_eq!(check(sections, 0, "a\n\n b\n", ""), Ok(()));
        for (wrong, why) in [
            ("a\n\n b", "newline at its end"),
            ("a\n", "ends before line 2"),
            ("a\n\n b\nc\n", "goes on with line 4: `c`"),
            ("a\n\nb\n", "line 3"),
        ] {
            let error = check(sections, 0, wrong, "").expect_err(wrong);
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(check("//- stdout without newline\n// a\n", 0, "a", ""), Ok(()));
    }

    #[test]
    fn what_nobody_expects_is_an_error() {
        assert!(check("", 0, "a\n", "").is_err());
        assert!(check("", 0, "", "a\n").is_err());
        assert!(check("//- stderr-lacks\n// b\n", 0, "", "a\n").is_err());
        assert!(check("", 1, "", "").is_err());
        let verbose = Expectation { tolerates_notes: true, ..Expectation::default() };
        let printed = |stderr: &str| Printed { stderr: stderr.into(), ..Printed::default() };
        assert_eq!(verbose.check(&printed("attached\n")), Ok(()));
        let missed = format!("WARNING: probe x: 1 event {}\n", TOLERABLE[0]);
        assert_eq!(verbose.check(&printed(&missed)), Ok(()));
        assert!(verbose.check(&printed("attached\nWARNING: lost\n")).is_err());
    }

    #[test]
    fn a_diagnostic_code_must_be_named() {
        let expectation = Expectation { exit: 1, codes: vec!["probe::no-match".into()], ..Expectation::default() };
        let printed = |stderr: &str| Printed { exit: 1, stdout: String::new(), stderr: stderr.into() };
        assert_eq!(expectation.check(&printed("probe::no-match\n\n  no function\n")), Ok(()));
        assert!(expectation.check(&printed("no function\n")).is_err());
    }

    #[test]
    fn contains_and_lacks() {
        assert_eq!(check("//- stderr-contains\n// b c\n//- stderr-lacks\n// d\n", 0, "", "a b c\n"), Ok(()));
        assert!(check("//- stderr-contains\n// b d\n", 0, "", "a b c\n").is_err());
    }
}
