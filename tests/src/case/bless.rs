//! Rewrites the exact sections of a case file with what was printed.
//!
//! Only sections that exist are rewritten, so a stream that must stay empty is not blessed away by a careless run, and
//! patterns stay what somebody thought of. `TAPSTER_BLESS=1` asks for it.

use super::expect::{Mode, Printed, Section};

/// The file's text with its exact sections replaced.
pub fn bless(text: &str, sections: &[Section], printed: &Printed) -> String {
    let mut out = String::new();
    let mut sections = sections.iter();
    let mut dropping = false;
    for line in text.lines() {
        if line.starts_with("//- ") {
            let section = sections.next().expect("the sections are those of this text");
            dropping = matches!(section.mode, Mode::Exact { .. });
            let replacement = dropping.then(|| render(section, printed.stream(section.stream)));
            out += &replacement.unwrap_or_else(|| format!("{line}\n"));
        } else if !(dropping && line.starts_with("//")) {
            out += line;
            out.push('\n');
        }
    }
    out
}

fn render(section: &Section, text: &str) -> String {
    let mut out = format!("//- {}", section.stream.name());
    if !text.is_empty() && !text.ends_with('\n') {
        out += " without newline";
    }
    out.push('\n');
    for line in text.lines() {
        out += if line.is_empty() { "//" } else { "// " };
        out += line;
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::expect;
    use super::*;

    #[test]
    fn only_exact_sections_change() {
        let text = "//! test: run\nprobe begin {}\n//- stdout\n// old\n// older\n\n//- stderr-contains\n// kept\n";
        let sections = expect::parse(text).expect("reads").sections;
        let printed = Printed { exit: 0, stdout: "new\n\n x".into(), stderr: "other\n".into() };
        let expected = "//! test: run\nprobe begin {}\n//- stdout without newline\n// new\n//\n//  x\n\n\
                        //- stderr-contains\n// kept\n";
        assert_eq!(bless(text, &sections, &printed), expected);
    }
}
