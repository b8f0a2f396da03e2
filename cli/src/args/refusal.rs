//! What is said of a command line that is not taken.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::io::Write;
use std::process::ExitCode;

/// What SystemTap says below every such message.
const STAP_HELP: &str = "Try '--help' for more information. [man stap]\n\
                         A message like [man foo] means for more info, run % man foo";

/// Says what is wrong with the words, or prints the help that was asked for.
pub fn of_words(error: &Error, as_stap: bool) -> ExitCode {
    match stap_message(error).filter(|_| as_stap) {
        Some(message) => say(&format!("stap: {message}\n{STAP_HELP}")),
        None => {
            let printed = error.print();
            // Who has read enough of the help goes away: that is no failure, a full disk is one.
            if let Err(error) = printed.map_err(|error| error.kind())
                && error != std::io::ErrorKind::BrokenPipe
            {
                return ExitCode::FAILURE;
            }
        }
    }
    if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Says what is wrong with what the words mean.
pub fn of_meaning(message: &str, as_stap: bool) -> ExitCode {
    match as_stap {
        true => say(&format!("{message}\n{STAP_HELP}")),
        false => say(&format!("error: {message}\n\nFor more information, try '--help'.")),
    }
    ExitCode::FAILURE
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// As getopt(3) says it.
fn stap_message(error: &Error) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return None };
    let name = option.split([' ', '=']).next().unwrap_or_default();
    let letter = name.strip_prefix('-').filter(|letter| !letter.starts_with('-'));
    match (error.kind(), letter) {
        (ErrorKind::UnknownArgument, None) => Some(format!("unrecognized option '{name}'")),
        (ErrorKind::UnknownArgument, Some(letter)) => Some(format!("invalid option -- '{letter}'")),
        (ErrorKind::InvalidValue, None) if has_no_value(error) => Some(format!("option '{name}' requires an argument")),
        (ErrorKind::InvalidValue, Some(letter)) if has_no_value(error) => {
            Some(format!("option requires an argument -- '{letter}'"))
        }
        (ErrorKind::TooManyValues, _) => Some(format!("option '{name}' doesn't allow an argument")),
        _ => None,
    }
}

fn has_no_value(error: &Error) -> bool {
    matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value.is_empty())
}
