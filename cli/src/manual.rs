//! `tapster man` and `tapster completions`: what an installation takes from the binary itself.

use crate::args;
use crate::standard;
use clap_complete::env::Shells;
use clap_mangen::Man;
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints the manual page.
pub fn page() -> ExitCode {
    let mut page = Vec::new();
    // A page has room for all of them.
    let command = args::command().mut_args(|option| option.hide_short_help(false));
    Man::new(command).render(&mut page).expect("memory takes everything");
    written(&page)
}

/// Prints what a shell runs to have words completed.
pub fn completions(shell: &str) -> ExitCode {
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(shell) else {
        let names: Vec<&str> = shells.names().collect();
        let _ = writeln!(io::stderr(), "error: completions are made for {}, not for '{shell}'", names.join(", "));
        return ExitCode::FAILURE;
    };
    let mut script = Vec::new();
    let made = completer.write_registration("COMPLETE", "tapster", "tapster", "tapster", &mut script);
    made.expect("memory takes everything");
    written(&script)
}

fn written(page: &[u8]) -> ExitCode {
    if standard::write(page) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
