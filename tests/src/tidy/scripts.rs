//! The library of scripts introduces itself, its page is current, and case files can be read.
//!
//! A header is the comment above a script's program: the question it answers, how it answers it, and then paragraphs that
//! begin with `Usage:`, `Sample output (…):` and `Topic:`. One-liners have the question alone.

use std::fmt::Write as _;
use std::fs;

use super::source::{SourceFile, Tree};
use crate::{case, workspace};

const FOLDER: &str = "scripts/";
const ONELINERS: &str = "scripts/oneliners/";
const PAGE: &str = "scripts/README.md";
/// The order of the page; scripts of other topics are complained of.
const TOPICS: &[&str] = &["memory", "processes", "CPUs", "files and disks", "network", "anything"];
/// A one-liner has fewer lines than this.
const ONELINER_LINES: usize = 10;

/// What a header says.
#[derive(Debug, Default)]
struct Header {
    /// `slab.stp`, `oneliners/forks.stp`
    name: String,
    question: String,
    /// Paragraphs below the question.
    answer: Vec<String>,
    usage: String,
    /// What stands in the brackets of `Sample output (…)`.
    made: String,
    sample: String,
    topic: String,
    tried: String,
}

/// Example scripts whose header lacks something.
pub fn headers(tree: &Tree) -> Vec<String> {
    let long = |header: &Header| {
        [("usage", &header.usage), ("sample output", &header.sample), ("kernels that it was tried on", &header.tried)]
            .into_iter()
            .filter(|(_, text)| text.is_empty())
            .map(|(what, _)| what)
            .chain((!TOPICS.contains(&header.topic.as_str())).then_some("known topic"))
            .chain(
                (!header.made.contains("20") || !header.made.contains("Linux"))
                    .then_some("date and kernel of the sample"),
            )
            .collect::<Vec<_>>()
    };
    let of_file = |file: &SourceFile| {
        let header = Header::read(file);
        let mut missing = if file.path.starts_with(ONELINERS) { vec![] } else { long(&header) };
        missing.extend(header.question.is_empty().then_some("question"));
        let mut complaints: Vec<String> =
            missing.into_iter().map(|what| format!("{}:1: the header has no {what}", file.path)).collect();
        let lines = file.text.lines().count();
        if file.path.starts_with(ONELINERS) && lines >= ONELINER_LINES {
            complaints.push(format!("{}:1: {lines} lines are no one-liner", file.path));
        }
        complaints
    };
    scripts(tree).flat_map(of_file).collect()
}

/// The page of all scripts, as their headers have it; `TAPSTER_BLESS=1` writes it anew.
pub fn page(tree: &Tree) -> Vec<String> {
    let current = page_of(tree);
    let path = workspace::root().join(PAGE);
    if std::env::var_os("TAPSTER_BLESS").is_some_and(|value| value == "1") && fs::write(&path, &current).is_err() {
        return vec![format!("{PAGE}: cannot be written")];
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let complaint = format!("{PAGE}:1: is not what the headers say: run this test with TAPSTER_BLESS=1");
    if written == current { vec![] } else { vec![complaint] }
}

/// Case files with mistakes; the suites fail on them, too, but not all are run on each machine.
pub fn cases(_: &Tree) -> Vec<String> {
    case::corpus(&workspace::cases()).into_iter().filter_map(|case| case.err()).map(|(_, error)| error).collect()
}

fn scripts(tree: &Tree) -> impl Iterator<Item = &SourceFile> {
    tree.files.iter().filter(|file| file.path.starts_with(FOLDER) && file.path.ends_with(".stp"))
}

fn page_of(tree: &Tree) -> String {
    let all: Vec<(Header, &SourceFile)> = scripts(tree).map(|file| (Header::read(file), file)).collect();
    let (short, long): (Vec<_>, Vec<_>) = all.iter().partition(|(_, file)| file.path.starts_with(ONELINERS));
    let mut page = String::from(
        "# Scripts\n\nEach answers a question; `tapster NAME.stp` as root is all it takes. This page is made of their headers \
         (`TAPSTER_BLESS=1 cargo test -p tapster-tests --test tidy`).\n",
    );
    for topic in TOPICS {
        let of_topic: Vec<&Header> = long.iter().map(|row| &row.0).filter(|header| header.topic == *topic).collect();
        if !of_topic.is_empty() {
            let mut letters = topic.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase()).unwrap_or_default();
            let _ = write!(page, "\n## {first}{}\n\n| script | question |\n|---|---|\n", letters.as_str());
            of_topic.iter().for_each(|header| page += &header.row());
        }
    }
    page += "\n## One-liners\n\n| script | question |\n|---|---|\n";
    short.iter().for_each(|(header, _)| page += &header.row());
    page += "\n# What they print\n";
    long.iter().for_each(|(header, _)| page += &header.section());
    page
}

impl Header {
    fn read(file: &SourceFile) -> Header {
        let comment = file.text.lines().take_while(|line| line.starts_with('#') || line.starts_with("//"));
        let text: Vec<&str> = comment
            .filter(|line| !line.starts_with("#!"))
            .map(|line| line.trim_start_matches(['#', '/']))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        let mut header = Header { name: file.path.trim_start_matches(FOLDER).into(), ..Header::default() };
        let paragraphs = text.join("\n");
        let sample = paragraphs.find("Sample output");
        // A sample has blank lines of its own, and ends where text begins at the margin again.
        let (before, from) = paragraphs.split_at(sample.unwrap_or(paragraphs.len()));
        for (nth, paragraph) in before.split("\n\n").enumerate() {
            let paragraph = paragraph.trim_end();
            match paragraph.strip_prefix("Usage:") {
                _ if nth == 0 => {
                    let (question, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
                    header.question = question.trim().into();
                    header.answer.extend((!rest.is_empty()).then(|| rest.into()));
                }
                Some(usage) => header.usage = usage.lines().map(str::trim).collect::<Vec<_>>().join("\n"),
                None => header.answer.extend((!paragraph.is_empty()).then(|| paragraph.into())),
            }
        }
        let (first, rest) = from.split_once('\n').unwrap_or((from, ""));
        header.made =
            first.split_once('(').map_or("", |(_, made)| made.trim_end_matches(':').trim_end_matches(')')).into();
        let inside = |line: &&str| line.is_empty() || line.starts_with(' ');
        let sample: Vec<&str> =
            rest.lines().take_while(inside).map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
        header.sample = sample.join("\n").trim_end().into();
        let after: Vec<&str> = rest.lines().skip_while(inside).collect();
        for paragraph in after.join("\n").split("\n\n").map(str::trim_end) {
            match paragraph.strip_prefix("Topic: ").and_then(|text| text.split_once(". ")) {
                Some((topic, tried)) => (header.topic, header.tried) = (topic.into(), tried.into()),
                None => header.answer.extend((!paragraph.is_empty()).then(|| paragraph.into())),
            }
        }
        header
    }

    fn row(&self) -> String {
        format!("| [{}]({}) | {} |\n", self.name, self.name, self.question)
    }

    fn section(&self) -> String {
        let answer = self.answer.join("\n\n");
        format!(
            "\n## {}\n\n**{}** {answer}\n\n```text\n{}\n```\n\n{}:\n\n```text\n{}\n```\n\n{}\n",
            self.name, self.question, self.usage, self.made, self.sample, self.tried
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "#!/usr/bin/env tapster\n# Who allocates?\n#\n# By process.\n#\n# Usage: a.stp CACHE\n#\n\
                         # Sample output (tapster a.stp dentry, 2026-11-22, Linux 6.18):\n#   x\n#\n#   y\n#\n\
                         # Topic: memory. Tried on Linux 6.1.\n\nprobe begin {}\n";

    fn tree(path: &str, text: &str) -> Tree {
        Tree { files: vec![SourceFile::new(path.into(), text.into())] }
    }

    #[test]
    fn headers_are_complete() {
        assert_eq!(headers(&tree("scripts/a.stp", WHOLE)), Vec::<String>::new());
        assert_eq!(headers(&tree("scripts/a.stp", "probe begin {}\n# usage, sample output\n")).len(), 6);
        assert_eq!(headers(&tree("scripts/oneliners/a.stp", "# Who?\nprobe begin {}\n")), Vec::<String>::new());
        assert_eq!(headers(&tree("scripts/oneliners/a.stp", &"# Who?\n".repeat(10))).len(), 1);
    }

    #[test]
    fn headers_become_a_page() {
        let page = page_of(&tree("scripts/a.stp", WHOLE));
        assert!(page.contains("## Memory\n\n| script | question |\n|---|---|\n| [a.stp](a.stp) | Who allocates? |\n"));
        let section = "## a.stp\n\n**Who allocates?** By process.\n\n```text\na.stp CACHE\n```\n\n\
                       tapster a.stp dentry, 2026-11-22, Linux 6.18:\n\n```text\nx\n\ny\n```\n\nTried on Linux 6.1.\n";
        assert!(page.ends_with(section), "{page}");
    }
}
