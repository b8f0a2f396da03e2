//! Loads a reference program in C: `reference OBJECT PROGRAM:PLACE…` attaches it and stays until ^C, `reference --load`
//! only has the verifier see it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals and pipes")]

use aya::programs::Program;
use aya::{Btf, Ebpf};
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["--load", object, ref programs @ ..] => load(object, programs).map(drop),
        [object, ref programs @ ..] => load(object, programs).and_then(|ebpf| run(ebpf, programs)),
        [] => Err("reference [--load] OBJECT PROGRAM:PLACE…".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reference: {error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

fn load(object: &str, programs: &[&str]) -> Result<Ebpf, Box<dyn Error>> {
    let (mut ebpf, btf) = (Ebpf::load_file(object)?, Btf::from_sys_fs()?);
    for (name, place) in programs.iter().filter_map(|program| program.split_once(':')) {
        match ebpf.program_mut(name).ok_or_else(|| format!("{object} has no program {name}"))? {
            Program::FEntry(program) => program.load(place, &btf)?,
            Program::BtfTracePoint(program) => program.load(place, &btf)?,
            Program::KProbe(program) => program.load()?,
            _ => return Err(format!("{name} is of a kind that this loader does not know").into()),
        }
    }
    Ok(ebpf)
}

fn run(mut ebpf: Ebpf, programs: &[&str]) -> Result<(), Box<dyn Error>> {
    for (name, place) in programs.iter().filter_map(|program| program.split_once(':')) {
        // The object keeps the links.
        match ebpf.program_mut(name) {
            Some(Program::FEntry(program)) => program.attach().map(|_| ())?,
            Some(Program::BtfTracePoint(program)) => program.attach().map(|_| ())?,
            Some(Program::KProbe(program)) => program.attach(place, 0).map(|_| ())?,
            _ => return Err(format!("{name} is of a kind that this loader does not know").into()),
        }
    }
    println!("attached {}", programs.len());
    // SAFETY: no memory is involved. ^C ends the process, and with it all that is attached; a shell's background has it
    // ignored.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_DFL);
        libc::pause();
    }
    Ok(())
}
