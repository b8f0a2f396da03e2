//! `tapster man` and `tapster completions`: what an installation takes from the binary itself.

use crate::args;
use clap_complete::env::Shells;
use clap_mangen::Man;
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints the manual page.
pub fn page() -> ExitCode {
    let mut page = Vec::new();
    // A page has room for all of them.
    let command = args::command().mut_args(|option| option.hide_short_help(false));
    written(Man::new(command).render(&mut page).and_then(|()| io::stdout().write_all(&page)))
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
    written(made.and_then(|()| io::stdout().write_all(&script)))
}

fn written(result: io::Result<()>) -> ExitCode {
    match result {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error: cannot write output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
