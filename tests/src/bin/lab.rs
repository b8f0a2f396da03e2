//! Boots one kernel of the lab and runs a shell command in it: `lab 6.1 [OPTION…] -- COMMAND…`.
//!
//! Tapster is `tapster` there, the corpus is `/tests/cases`. Options: `--icount` counts instructions as nanoseconds,
//! `--add FILE` puts a file at `/add/NAME` (a program with its libraries), `--memory MIB`, `--append TEXT`,
//! `--console` shows the kernel's messages at the end.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tapster_tests::lab::kernels::MATRIX;
use tapster_tests::lab::qemu::{self, Options, Said};
use tapster_tests::lab::{Scratch, session};
use tapster_tests::workspace;

#[derive(Default)]
struct Request {
    kernel: String,
    options: Options,
    add: Vec<PathBuf>,
    console: bool,
    command: String,
}

fn main() -> ExitCode {
    match request(std::env::args().skip(1)).and_then(|request| Ok((boot(&request)?, request))) {
        Ok((said, request)) => report(&said, request.console),
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::from(125)
        }
    }
}

fn request(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut request = Request::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} what?"));
        match argument.as_str() {
            "--icount" => request.options.icount = true,
            "--console" => request.console = true,
            "--add" => request.add.push(value()?.into()),
            "--append" => request.options.append = value()?,
            "--memory" => request.options.memory = value()?.parse().map_err(|_| "--memory MIB")?,
            "--" => break,
            name if request.kernel.is_empty() => request.kernel = name.into(),
            other => return Err(format!("`{other}` is not understood")),
        }
    }
    request.command = arguments.collect::<Vec<_>>().join(" ");
    let complete = !request.kernel.is_empty() && !request.command.is_empty();
    complete.then_some(request).ok_or_else(|| "lab KERNEL [OPTION…] -- COMMAND…".into())
}

fn boot(request: &Request) -> Result<Said, String> {
    let row = MATRIX.iter().find(|row| row.name == request.kernel);
    let known = || MATRIX.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    let row = row.ok_or_else(|| format!("no kernel {}: there are {}", request.kernel, known()))?;
    session::tools()?;
    let kernel = row.kernel()?;
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let initramfs = scratch.path().join("initramfs");
    let tapster = workspace::tapster()?;
    let image = || {
        let mut image = session::standard_image(&request.command, &kernel, &tapster)?;
        request.add.iter().try_for_each(|file| image.add(Path::new(file)))?;
        image.write(&initramfs)
    };
    image().map_err(|e| format!("initramfs: {e}"))?;
    qemu::boot(&kernel, &initramfs, &request.options).map_err(|e| e.to_string())
}

fn report(said: &Said, console: bool) -> ExitCode {
    print!("{}", said.stdout);
    eprint!("{}", said.stderr);
    if console || said.status.is_none() {
        eprintln!("--- console\n{}", said.console);
    }
    ExitCode::from(said.status.and_then(|status| u8::try_from(status).ok()).unwrap_or(125))
}
