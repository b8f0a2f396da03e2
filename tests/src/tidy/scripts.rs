//! The library of scripts introduces itself, and case files can be read.

use super::source::Tree;
use crate::{case, workspace};

/// Words that the comment above an example's program must contain, in any case.
const HEADER: &[&str] = &["usage", "sample output"];

/// Example scripts whose header lacks something: a title in the first line, and [`HEADER`].
pub fn headers(tree: &Tree) -> Vec<String> {
    let mut complaints = vec![];
    let scripts = tree.files.iter().filter(|file| file.path.starts_with("scripts/") && file.path.ends_with(".stp"));
    for file in scripts {
        let is_comment = |line: &&str| line.starts_with('#') || line.starts_with("//") || line.trim().is_empty();
        let header: Vec<&str> =
            file.text.lines().take_while(is_comment).filter(|line| !line.starts_with("#!")).collect();
        let title = header.first().map_or("", |line| line.trim_matches(['#', '/', ' ']));
        if title.is_empty() {
            complaints.push(format!("{}:1: no title", file.path));
        }
        let header = header.join("\n").to_lowercase();
        let missing = HEADER.iter().filter(|word| !header.contains(**word));
        complaints.extend(missing.map(|word| format!("{}:1: the header has no `{word}`", file.path)));
    }
    complaints
}

/// Case files with mistakes; the suites fail on them, too, but not all are run on each machine.
pub fn cases(_: &Tree) -> Vec<String> {
    case::corpus(&workspace::cases()).into_iter().filter_map(|case| case.err()).map(|(_, error)| error).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;
    use super::*;

    #[test]
    fn headers_are_complete() {
        let script = |text: &str| Tree { files: vec![SourceFile::new("scripts/a.stp".into(), text.into())] };
        let whole = "#!/usr/bin/env tapster\n# Slab allocations\n#\n# Usage: a.stp CACHE\n# Sample output:\n#   x\nprobe begin {}\n";
        assert!(headers(&script(whole)).is_empty());
        assert_eq!(headers(&script("probe begin {}\n// usage, sample output\n")).len(), 3);
    }
}
