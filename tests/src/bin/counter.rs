//! Counts allocations by processes of some name until standard input ends: `counter raw_tp:NAME|fentry:NAME [PREFIX]`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals and pipes")]

use std::io::{self, Read};
use std::process::ExitCode;

use tapster_tests::truth::counter::{Counter, Event};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let event = match arguments.first().and_then(|argument| argument.split_once(':')) {
        Some(("raw_tp", name)) => Event::RawTracepoint(name.into()),
        Some(("fentry", name)) => Event::Function(name.into()),
        _ => {
            eprintln!("counter raw_tp:NAME|fentry:NAME [PREFIX]");
            return ExitCode::from(2);
        }
    };
    let prefix = arguments.get(1).map_or("tpstorm", String::as_str);
    let counted = Counter::start(&event, prefix).and_then(|counter| {
        println!("ready");
        // An unreadable input has ended, too.
        let _ = io::stdin().read_to_end(&mut vec![]);
        counter.read()
    });
    match counted {
        Ok(count) => println!("events {}\nmisses {}", count.events, count.misses),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
