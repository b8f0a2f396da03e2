//! Rules of the house: who may import what, licences, diagnostics without a test.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Trial;
use tapster_tests::suite::{self, Skips};
use tapster_tests::tidy::source::Tree;
use tapster_tests::{tidy, workspace};

fn main() -> ExitCode {
    let tree = Arc::new(Tree::read(workspace::root()));
    let trial = |&(name, check): &(&'static str, tidy::Check)| {
        let tree = tree.clone();
        Trial::test(name, move || {
            let complaints = check(&tree);
            if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
        })
    };
    suite::run("tidy", 2, &Skips::default(), tidy::CHECKS.iter().map(trial).collect())
}
