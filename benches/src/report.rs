//! What was measured, for the terminal and for `docs/performance.md`.
//!
//! The page's prose is written by hand; its figures stand between two comments each and are replaced when the bench is
//! asked to write (`--write`). Pictures of curves lie beside it.

use std::fs;
use std::path::PathBuf;

use tapster_tests::workspace;

use crate::svg::Curve;

/// Collects figures, and prints them as they come.
#[derive(Debug, Default)]
pub struct Report {
    blocks: Vec<(String, String)>,
    pictures: Vec<(String, String)>,
}

impl Report {
    /// Takes the figures of a block of the page.
    pub fn block(&mut self, name: &str, text: &str) {
        println!("\n{}", text.trim_end());
        self.blocks.push((name.to_owned(), text.trim().to_owned()));
    }

    /// Takes a curve.
    pub fn picture(&mut self, name: &str, curve: &Curve) {
        self.pictures.push((name.to_owned(), curve.svg()));
    }

    /// Says what has not been measured, in one line.
    pub fn skipped(&self, what: &str, why: &str) {
        crate::skipped(what, why);
    }

    /// Puts all figures into the page.
    pub fn write(&self) -> Result<(), String> {
        let folder = workspace::root().join("docs");
        let page = folder.join("performance.md");
        let fail = |path: &PathBuf, error: std::io::Error| format!("{}: {error}", path.display());
        let mut text = fs::read_to_string(&page).map_err(|e| fail(&page, e))?;
        for (name, figures) in &self.blocks {
            text = replaced(&text, name, figures).ok_or(format!("{} has no block `{name}`", page.display()))?;
        }
        for (name, picture) in &self.pictures {
            let path = folder.join("performance").join(format!("{name}.svg"));
            fs::create_dir_all(folder.join("performance"))
                .and_then(|()| fs::write(&path, picture))
                .map_err(|e| fail(&path, e))?;
        }
        fs::write(&page, text).map_err(|e| fail(&page, e))
    }
}

/// The text with other figures between `<!-- figures: NAME -->` and `<!-- end -->`.
fn replaced(text: &str, name: &str, figures: &str) -> Option<String> {
    let head = format!("<!-- figures: {name} -->\n");
    let start = text.find(&head)? + head.len();
    let end = start + text[start..].find("<!-- end -->")?;
    Some(format!("{}```text\n{figures}\n```\n{}", &text[..start], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_replaced_where_they_stand() {
        let page = "a\n<!-- figures: x -->\nold\n<!-- end -->\nb <!-- figures: y -->\n";
        let new = "a\n<!-- figures: x -->\n```text\nnew\n```\n<!-- end -->\nb <!-- figures: y -->\n";
        assert_eq!(replaced(page, "x", "new").as_deref(), Some(new));
        assert_eq!(replaced(page, "z", "new"), None);
    }
}
