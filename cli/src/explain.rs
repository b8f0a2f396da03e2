//! `tapster explain`: what a diagnostic means, what a function does, where a probe stands.

use crate::standard;
use std::io::Write;
use std::process::ExitCode;
use tapster_compiler::reference;
use tapster_lang::diagnostic::{codes, explain as diagnostic};

/// Prints what is known of a topic.
pub fn explain(topic: &str) -> ExitCode {
    if let Some(text) = diagnostic(topic) {
        return print(&format!("{topic}\n\n{}", text.trim()));
    }
    if let Some(text) = reference::explain(topic) {
        return print(&text);
    }
    let near = tapster_compiler::suggest::nearest(topic, codes().chain(reference::names()));
    let hint = if near.is_empty() { String::new() } else { format!(" (near: {})", near.join(", ")) };
    let _ = writeln!(std::io::stderr(), "error: nothing is known of '{topic}'{hint}");
    ExitCode::FAILURE
}

fn print(text: &str) -> ExitCode {
    if standard::write(format!("{text}\n").as_bytes()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
