//! Arguments, macros and conditionals: text in, text out.
//!
//! Three steps, as in SystemTap: arguments are pasted as characters (`paste`), macros are expanded token by token
//! (`macros`), conditionals choose which tokens stay (`conditional`). The result is a new file of the [`SourceMap`]
//! that knows where each piece came from; a text that needs none of this is parsed as it is.
//!
//! Nothing here judges what arguments and tokens mean: arguments that do not exist stay in the text, and the check
//! before parsing reports them, so that those in a branch not taken do no harm.

mod compare;
mod conditional;
mod macros;
mod output;
pub(crate) mod paste;

pub use macros::Macros;

use crate::diagnostic::Diagnostic;
use crate::lexer::{self, TokenKind};
use crate::source::{FileId, SourceMap, Span};
pub use compare::glob;
use conditional::Conditionals;
use macros::Expander;
use output::Output;

/// What the preprocessor and the parser know about the world.
#[derive(Copy, Clone)]
pub struct Environment<'a> {
    /// The file is the user's script, not a tapset: unused arguments are reported, embedded C needs [`Self::guru`].
    pub user_script: bool,
    /// Script arguments, `$1` and `@1` the first.
    pub args: &'a [Vec<u8>],
    /// `kernel_vr`: the release as `uname -r` prints it, `6.18.44-generic`. `kernel_v` is the part before the `-`.
    pub kernel_release: &'a str,
    /// `arch`: `x86_64`, `arm64`.
    pub arch: &'a str,
    /// `guru_mode`: `-g` was given.
    pub guru: bool,
    /// `CONFIG_…` options of the kernel: `y`, `m`, a number, or a string without its quotes.
    pub config: &'a dyn Fn(&str) -> Option<String>,
    /// `systemtap_v`: the language version the script asks for, `5.6`.
    pub compatible: &'a str,
    /// `runtime`: `kernel`, as the scripts for SystemTap's module expect; what they exclude for `bpf` works here.
    pub runtime: &'a str,
    /// `systemtap_privilege`: `stapdev`, `stapsys` or `stapusr`.
    pub privilege: &'a str,
}

impl Default for Environment<'_> {
    /// A user's script without arguments, on a machine that has nothing but a version.
    fn default() -> Self {
        Environment {
            user_script: true,
            args: &[],
            kernel_release: "6.18.44",
            arch: "x86_64",
            guru: false,
            config: &|_| None,
            compatible: "5.6",
            runtime: "kernel",
            privilege: "stapdev",
        }
    }
}

/// A preprocessed file.
#[derive(Debug, Clone)]
pub struct Preprocessed {
    /// The text to parse: the file itself where nothing had to be expanded.
    pub file: FileId,
    /// Which arguments the text names, first to last.
    pub used_args: Vec<bool>,
    /// What is odd but harmless.
    pub warnings: Vec<Diagnostic>,
}

/// How many tokens expansion may handle before it is taken for endless.
const TOKENS_MAX: usize = 2_000_000;
/// How many errors are worth reading.
const ERRORS_MAX: usize = 100;

/// Expands a file. Errors are those of macros and conditionals, in order of the text.
pub fn preprocess(
    file: FileId,
    sources: &mut SourceMap,
    env: &Environment,
    macros: &Macros,
) -> Result<Preprocessed, Vec<Diagnostic>> {
    let mut used_args = vec![false; env.args.len()];
    let file = match paste::is_needed(sources.file_text(file)) {
        true => paste::paste(file, sources, env.args, &mut used_args),
        false => file,
    };
    if !expansion_is_needed(sources.file_text(file), macros) {
        return Ok(Preprocessed { file, used_args, warnings: Vec::new() });
    }
    let tokens = tokens_of(file, sources);
    let mut conditionals = Conditionals::new(Expander::new(sources, tokens, macros), env);
    let (mut output, mut errors) = (Output::default(), Vec::new());
    while errors.len() < ERRORS_MAX {
        match conditionals.next() {
            Ok(Some(token)) => output.push(token, sources),
            Ok(None) => break,
            Err(error) => errors.push(*error),
        }
    }
    let (sites, warnings) = conditionals.into_history();
    if !errors.is_empty() {
        return Err(errors);
    }
    let name = sources.name(file).to_owned();
    let (text, expanded) = output.finish(sites);
    let file = sources.add_expanded(name, text, expanded);
    Ok(Preprocessed { file, used_args, warnings })
}

/// A token with its absolute place, and the expansion that brought it.
#[derive(Copy, Clone, Debug)]
struct PreToken {
    kind: TokenKind,
    /// Where the blanks before it begin.
    trivia: u32,
    span: Span,
    site: Option<u32>,
}

impl PreToken {
    fn text<'a>(&self, sources: &'a SourceMap) -> &'a str {
        sources.text(self.span)
    }

    fn is_operator(&self, sources: &SourceMap, text: &str) -> bool {
        self.kind == TokenKind::Operator && self.text(sources) == text
    }
}

/// Errors are rare and large.
type Fallible<T> = Result<T, Box<Diagnostic>>;

fn tokens_of(file: FileId, sources: &SourceMap) -> Vec<PreToken> {
    let (text, base) = (sources.file_text(file), sources.file_span(file).start);
    let mut tokens = Vec::with_capacity(text.len() / 4);
    let mut at = 0;
    while let Some(token) = lexer::scan(text, at) {
        at = token.end;
        let span = Span::new(base + token.start as u32, base + token.end as u32);
        tokens.push(PreToken { kind: token.kind, trivia: base + token.trivia as u32, span, site: None });
    }
    tokens
}

/// Whether a text may hold a conditional or call a macro. Looks into comments and strings too: being wrong costs time only.
fn expansion_is_needed(text: &str, macros: &Macros) -> bool {
    let bytes = text.as_bytes();
    let mut marks = bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'%' | b'@'));
    marks.any(|(at, mark)| match mark {
        b'%' => matches!(bytes.get(at + 1), Some(b'(' | b'?' | b':' | b')')),
        _ => {
            let word = bytes[at + 1..].iter().take_while(|byte| lexer::is_word(**byte)).count();
            let name = &text[at + 1..at + 1 + word];
            name == "define" || macros.contains(name)
        }
    })
}
