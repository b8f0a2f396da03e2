//! The functions of SystemTap's library that only user space has, one file a theme.
//!
//! What they do is told by their manual pages (`man function::NAME`, section 3stap); where those are silent, by the
//! files of SystemTap's tapset that the functions name.

pub mod file;
pub mod floating;
pub mod largest;
pub mod machine;
pub mod number;
pub mod process;
pub mod session;
pub mod symbol;
pub mod symbols;
pub mod syscall;
pub mod text;

use crate::run::Run;
use crate::sys::next_file;
use std::borrow::Cow;
use tapster_compiler::host::LibraryFn;

/// The arguments of a call.
pub trait Arguments<'a> {
    /// The n-th argument, a number.
    fn long(&self, nth: usize) -> i64;
    /// The n-th argument, a string without its NUL.
    fn text(&self, nth: usize) -> &'a [u8];
}

/// What a function gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Nothing.
    Nothing,
    /// A number.
    Long(i64),
    /// A string.
    Text(Cow<'a, [u8]>),
}

/// The message of a run-time error.
pub type Refusal = Cow<'static, str>;

/// Calls a function; a string that it gives shall have no more than `most` bytes, or is cut.
pub fn call<'a>(
    run: &'a mut Run,
    function: LibraryFn,
    args: &impl Arguments<'a>,
    most: usize,
) -> Result<Answer<'a>, Refusal> {
    use Answer::{Long, Nothing};
    let text = |text: &'a [u8]| Answer::Text(Cow::Borrowed(text));
    let owned = |text: Vec<u8>| Answer::Text(Cow::Owned(text));
    Ok(match function {
        LibraryFn::strlen => Long(args.text(0).len() as i64),
        LibraryFn::substr => text(text::substr(args.text(0), args.long(1), args.long(2))),
        LibraryFn::stringat => Long(text::stringat(args.text(0), args.long(1))?),
        LibraryFn::isinstr => Long(text::find(args.text(0), args.text(1)).is_some().into()),
        LibraryFn::strpos => Long(text::find(args.text(0), args.text(1)).map_or(-1, |at| at as i64)),
        LibraryFn::str_replace => owned(text::replace(args.text(0), args.text(1), args.text(2))),
        LibraryFn::string_quoted => owned(text::escape(args.text(0), most, true)),
        LibraryFn::text_str => owned(text::escape(args.text(0), most, false)),
        LibraryFn::text_strn => owned(text::escape_some(args.text(0), args.long(1), args.long(2) != 0, most)),
        LibraryFn::tokenize => text(run.tokens.next(args.text(0), args.text(1))),
        LibraryFn::word => text(text::word(args.text(0), args.long(1))),
        LibraryFn::ngroups => Long(text::groups(&run.regexes)?),
        LibraryFn::matched => text(text::group(&run.regexes, args.long(0))?),
        LibraryFn::strtol => Long(number::strtol(args.text(0), args.long(1))),
        LibraryFn::ctime => owned(number::ctime(args.long(0))?),
        LibraryFn::errno_str => owned(number::errno_str(args.long(0))),
        LibraryFn::file_line => text(run.files.line(args.text(0), args.long(1))?),
        LibraryFn::folder_entry => text(run.files.entry(args.text(0), args.long(1))?),
        LibraryFn::link_target => owned(file::link_target(args.text(0))),
        LibraryFn::largest_process => Long(run.largest.nth(args.long(0))),
        LibraryFn::syscall_name => owned(syscall::name(args.long(0)).into_bytes()),
        LibraryFn::syscall_num => Long(syscall::number(args.text(0))),
        LibraryFn::__syscall_point => owned(syscall::point(args.long(0)).into_bytes()),
        LibraryFn::__syscall_slots => Long(syscall::slots(args.long(0))),
        LibraryFn::__syscall_argstr => owned(syscall::argstr(args, most)),
        LibraryFn::__syscall_quoted => owned(syscall::quoted(args.long(0), args.long(1), args.text(2), most)),
        LibraryFn::__syscall_structure => owned(syscall::structure(args)),
        LibraryFn::__syscall_set => owned(syscall::flags::describe(args.text(0), args.long(1)).into_bytes()),
        LibraryFn::__syscall_strings => owned(syscall::strings(args, most)),
        LibraryFn::__syscall_result => owned(syscall::result_of(args.long(0), args.long(1))),
        LibraryFn::return_str => owned(syscall::result(args.long(0), args.long(1))),
        LibraryFn::symname => owned(symbol::symname(&mut run.interned.symbols, args.long(0))),
        LibraryFn::symdata => owned(symbol::symdata(&mut run.interned.symbols, args.long(0))),
        LibraryFn::modname => owned(symbol::modname(&mut run.interned.symbols, args.long(0))),
        LibraryFn::log => {
            session::log(run, args.text(0));
            Nothing
        }
        LibraryFn::warn => {
            session::warn(run, args.text(0));
            Nothing
        }
        LibraryFn::sprint_syms => {
            owned(symbols::kernel_lines(&mut run.interned.symbols, args.text(0), symbols::Line::Simple))
        }
        LibraryFn::print_syms => {
            let lines = symbols::kernel_lines(&mut run.interned.symbols, args.text(0), symbols::Line::Full);
            session::print(run, &lines);
            Nothing
        }
        LibraryFn::__usymname => owned(run.processes.of(args.long(0)).name(args.long(1))),
        LibraryFn::__usymdata => owned(run.processes.of(args.long(0)).data(args.long(1))),
        LibraryFn::__umodname => owned(run.processes.of(args.long(0)).module(args.long(1))),
        LibraryFn::__sprint_usyms => owned(run.processes.of(args.long(0)).lines(args.text(1), symbols::Line::Simple)),
        LibraryFn::__print_usyms => {
            let lines = run.processes.of(args.long(0)).lines(args.text(1), symbols::Line::Full);
            session::print(run, &lines);
            Nothing
        }
        LibraryFn::__nth_address => Long(symbols::nth_address(args.text(0), args.long(1))),
        LibraryFn::errno_p => Long(number::errno_p(args.long(0))),
        LibraryFn::tz_name => owned(machine::zone().1),
        LibraryFn::tz_gmtoff => Long(machine::zone().0),
        LibraryFn::randint => Long(machine::random(args.long(0))?),
        LibraryFn::pid2execname => owned(machine::name_of(args.long(0))),
        LibraryFn::HZ => Long(machine::ticks_per_second()),
        LibraryFn::get_loadavg_index => Long(machine::load_average(args.long(0))?),
        LibraryFn::__fp => Long(floating::calculate(args.text(0), args.long(1), args.long(2))),
        LibraryFn::__fp_text => owned(floating::text(args.long(0), args.long(1))),
        LibraryFn::__fp_of => Long(floating::number(args.text(0))?),
        LibraryFn::mem_page_size => Long(machine::page_size()),
        LibraryFn::__env_of => owned(machine::environment(args.long(0), args.text(1))),
        LibraryFn::__nth_word => text(text::nth_word(args.text(0), args.long(1)).unwrap_or(args.text(2))),
        LibraryFn::__event_text => text(&run.event_text),
        LibraryFn::__event_set => {
            run.event_text.clear();
            run.event_text.extend_from_slice(args.text(0));
            Nothing
        }
        LibraryFn::__event_add => {
            run.event_text.extend_from_slice(args.text(0));
            Nothing
        }
        LibraryFn::__number_or_error => {
            read_before(args.text(1))?;
            Long(args.long(0))
        }
        LibraryFn::__text_or_error => {
            read_before(args.text(1))?;
            text(args.text(0))
        }
        LibraryFn::ftrace => {
            machine::write_trace(args.text(0))?;
            Nothing
        }
        LibraryFn::printk => {
            machine::write_log(args.long(0), args.text(1))?;
            Nothing
        }
        LibraryFn::switch_file => {
            run.output.flush();
            next_file::ask();
            Nothing
        }
        LibraryFn::system => {
            run.commands.add(args.text(0));
            Nothing
        }
    })
}

/// Raises what a read failed with, if it did.
fn read_before(message: &[u8]) -> Result<(), Refusal> {
    if message.is_empty() { Ok(()) } else { Err(String::from_utf8_lossy(message).into_owned().into()) }
}
