//! Tokens of the language, as far as preprocessing, error places and depth checks need them.
//!
//! The grammar proper is pest's ([`crate::parse`]). This scanner cuts text into the same tokens without building
//! anything, and never fails: what is no token is [`TokenKind::Junk`].

/// What a token is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum TokenKind {
    Identifier,
    Keyword,
    /// Punctuation, and words that start with `@`.
    Operator,
    Number,
    String,
    EmbeddedC,
    /// `$1`, `@1`, `$#`, `@#`.
    Argument,
    Junk(Junk),
}

/// Why something is no token.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Junk {
    UnclosedString,
    UnclosedEmbeddedC,
    Byte,
}

impl TokenKind {
    /// As SystemTap calls it in messages.
    pub(crate) fn stap_name(self) -> &'static str {
        match self {
            TokenKind::Identifier => "identifier",
            TokenKind::Keyword => "keyword",
            TokenKind::Operator => "operator",
            TokenKind::Number => "number",
            TokenKind::String => "string",
            TokenKind::EmbeddedC => "embedded-code",
            TokenKind::Argument | TokenKind::Junk(_) => "junk",
        }
    }

    /// Whether messages show the token's text behind its kind.
    pub(crate) fn shows_text(self) -> bool {
        !matches!(self, TokenKind::Keyword | TokenKind::EmbeddedC)
    }
}

/// A token and the blanks and comments before it, as offsets.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    /// Where the blanks before it begin.
    pub(crate) trivia: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Text to scan: bytes by offset, 0 behind the end. A byte 0 in the text is junk anyway.
pub(crate) trait Text {
    /// The byte at an offset.
    fn byte(&self, at: usize) -> u8;
    /// How many bytes there are.
    fn len(&self) -> usize;
}

impl Text for str {
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.as_bytes().get(at).copied().unwrap_or(0)
    }
    fn len(&self) -> usize {
        str::len(self)
    }
}

/// Two texts, scanned as one: a pasted argument and what follows it.
pub(crate) struct Joined<'a>(pub(crate) &'a str, pub(crate) &'a str);

impl Text for Joined<'_> {
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        match at.checked_sub(self.0.len()) {
            None => self.0.byte(at),
            Some(at) => self.1.byte(at),
        }
    }
    fn len(&self) -> usize {
        self.0.len() + self.1.len()
    }
}

const KEYWORDS: [&str; 20] = [
    "probe", "global", "private", "function", "if", "else", "for", "foreach", "in", "limit", "return", "delete",
    "while", "break", "continue", "next", "string", "long", "try", "catch",
];

/// Whether a word is reserved.
pub(crate) fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

/// Whether a byte continues an identifier.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// The next token from an offset; `None` when only blanks and comments are left.
pub(crate) fn scan<T: Text + ?Sized>(text: &T, from: usize) -> Option<Token> {
    let start = skip_trivia(text, from);
    if start >= text.len() {
        return None;
    }
    let (kind, end) = match text.byte(start) {
        b'$' | b'@' if text.byte(start + 1) == b'#' => (TokenKind::Argument, start + 2),
        b'$' | b'@' if text.byte(start + 1).is_ascii_digit() => {
            (TokenKind::Argument, run(text, start + 1, |byte| byte.is_ascii_digit()))
        }
        b'@' => (TokenKind::Operator, run(text, start + 1, is_word)),
        b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'$' => word(text, start),
        b'0'..=b'9' => (TokenKind::Number, run(text, start, |byte| byte.is_ascii_alphanumeric())),
        b'"' => string(text, start),
        b'%' if text.byte(start + 1) == b'{' => embedded_c(text, start),
        byte if byte.is_ascii_punctuation() => (TokenKind::Operator, start + operator_len(text, start)),
        byte => (TokenKind::Junk(Junk::Byte), start + char_len(byte)),
    };
    Some(Token { kind, trivia: from, start, end: end.min(text.len()) })
}

/// The first token of a text and its content: what messages show. Junk shows nothing unless it is a stray byte.
pub(crate) fn first_token(text: &str) -> (TokenKind, &str) {
    let Some(token) = scan(text, 0) else { return (TokenKind::Junk(Junk::Byte), "") };
    let whole = &text[token.start..token.end];
    match token.kind {
        TokenKind::String => (token.kind, whole.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or(whole)),
        TokenKind::Argument | TokenKind::Junk(Junk::UnclosedString | Junk::UnclosedEmbeddedC) => (token.kind, ""),
        _ => (token.kind, whole),
    }
}

fn run<T: Text + ?Sized>(text: &T, from: usize, fits: impl Fn(u8) -> bool) -> usize {
    (from..).find(|at| !fits(text.byte(*at))).unwrap_or(from)
}

/// Blanks, `#…`, `//…`, `/*…*/`. An open comment runs to the end of the text.
fn skip_trivia<T: Text + ?Sized>(text: &T, from: usize) -> usize {
    let mut at = from;
    loop {
        match (text.byte(at), text.byte(at + 1)) {
            (byte, _) if is_space(byte) => at += 1,
            (b'#', _) | (b'/', b'/') => at = line_end(text, at),
            (b'/', b'*') => {
                at += 2;
                while at < text.len() && (text.byte(at), text.byte(at + 1)) != (b'*', b'/') {
                    at += 1;
                }
                at = (at + 2).min(text.len());
            }
            _ => return at,
        }
    }
}

fn line_end<T: Text + ?Sized>(text: &T, from: usize) -> usize {
    (from..text.len()).find(|at| text.byte(*at) == b'\n').unwrap_or(text.len())
}

fn word<T: Text + ?Sized>(text: &T, start: usize) -> (TokenKind, usize) {
    let end = run(text, start, is_word);
    let mut letters = [0; 8];
    let short = end - start <= letters.len();
    if short {
        (start..end).for_each(|at| letters[at - start] = text.byte(at));
    }
    let is_reserved = short && std::str::from_utf8(&letters[..end - start]).is_ok_and(is_keyword);
    (if is_reserved { TokenKind::Keyword } else { TokenKind::Identifier }, end)
}

/// A string ends at its line's end, unless a backslash stands before it.
fn string<T: Text + ?Sized>(text: &T, start: usize) -> (TokenKind, usize) {
    let mut at = start + 1;
    while at < text.len() {
        match text.byte(at) {
            b'"' => return (TokenKind::String, at + 1),
            b'\n' => break,
            b'\\' if at + 1 < text.len() => at += 1 + char_len(text.byte(at + 1)),
            _ => at += 1,
        }
    }
    (TokenKind::Junk(Junk::UnclosedString), at.min(text.len()))
}

fn embedded_c<T: Text + ?Sized>(text: &T, start: usize) -> (TokenKind, usize) {
    let close = (start + 2..text.len()).find(|at| (text.byte(*at), text.byte(at + 1)) == (b'%', b'}'));
    match close {
        Some(at) => (TokenKind::EmbeddedC, at + 2),
        None => (TokenKind::Junk(Junk::UnclosedEmbeddedC), text.len()),
    }
}

/// Operators by longest match.
fn operator_len<T: Text + ?Sized>(text: &T, at: usize) -> usize {
    match &[text.byte(at), text.byte(at + 1), text.byte(at + 2)] {
        b"<<<" | b">>>" | b"<<=" | b">>=" => 3,
        [b'=' | b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'^' | b'|' | b'.', b'=', _] => 2,
        [b'=' | b'!', b'~', _] | [b'-', b'>', _] => 2,
        [b'&', b'&', _] | [b'|', b'|', _] | [b'+', b'+', _] | [b'-', b'-', _] => 2,
        [b'<', b'<', _] | [b'>', b'>', _] => 2,
        [b'%', b'(' | b'?' | b':' | b')', _] => 2,
        _ => 1,
    }
}

/// Bytes of the character that starts with this one.
fn char_len(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(token) = scan(text, at) {
            found.push(&text[token.start..token.end]);
            at = token.end;
        }
        found
    }

    #[test]
    fn operators_match_the_longest() {
        assert_eq!(tokens("a<<<b>>>=c<<=d%(e"), ["a", "<<<", "b", ">>>", "=", "c", "<<=", "d", "%(", "e"]);
        assert_eq!(tokens("x=~\"a\" !~ -> .= ++ +"), ["x", "=~", "\"a\"", "!~", "->", ".=", "++", "+"]);
    }

    #[test]
    fn comments_of_three_kinds_are_blanks() {
        assert_eq!(tokens("a # b\nc // d\ne /* f */ g /* open"), ["a", "c", "e", "g"]);
        assert_eq!(tokens("$# @# $1x @12 $x"), ["$#", "@#", "$1", "x", "@12", "$x"]);
    }

    #[test]
    fn open_strings_and_code_are_junk() {
        assert_eq!(scan("\"ab\ncd", 0).expect("a token").kind, TokenKind::Junk(Junk::UnclosedString));
        assert_eq!(scan("%{ ab", 0).expect("a token").kind, TokenKind::Junk(Junk::UnclosedEmbeddedC));
        assert_eq!(scan("\u{e9}", 0).expect("a token").end, 2);
        assert_eq!(tokens("\"a\\\nb\" c"), ["\"a\\\nb\"", "c"]);
        assert_eq!(tokens("\"a\\\"b\" \"\\"), ["\"a\\\"b\"", "\"\\"]);
    }

    #[test]
    fn a_byte_zero_ends_nothing() {
        assert_eq!(tokens("a\0b"), ["a", "\0", "b"]);
    }
}
