//! No input breaks the parser: no panic, no overflow of the stack, no time beyond the linear.

mod common;

use common::parse_bytes;
use std::time::{Duration, Instant};
use tapster_lang::diagnostic::{Format, render_all};
use tapster_lang::preprocess::Environment;

/// Parses, shows every error in every format, prints every tree; gives the first error's code.
fn survive(text: &[u8]) -> Option<&'static str> {
    let args = [b"42".to_vec(), b"$1 \"x".to_vec(), b"\xff\n".to_vec()];
    let env = Environment { args: &args, guru: true, ..Environment::default() };
    let (sources, parsed) = parse_bytes(text, &env);
    match parsed {
        Ok(parsed) => {
            let _ = parsed.script.to_string();
            None
        }
        Err(errors) => {
            for format in [Format::Fancy, Format::Stap, Format::Json] {
                assert!(!render_all(&errors[..errors.len().min(3)], &sources, format, true, 80).is_empty());
            }
            Some(errors.first().expect("a failure has a reason").code)
        }
    }
}

fn probe(body: &str) -> String {
    format!("probe begin {{ {body} }}")
}

#[test]
fn nesting_without_end_is_an_error() {
    let n = 100_000;
    let bodies = [
        "x = ".to_owned() + &"(".repeat(n),
        "f(".repeat(n),
        "a[".repeat(n),
        "[".repeat(n),
        "{".repeat(n),
        "x = ".to_owned() + &"(".repeat(n) + "1" + &")".repeat(n),
        "@count(".repeat(n),
        "if (x) {".repeat(n),
        "try {".repeat(n),
    ];
    for body in bodies {
        assert_eq!(survive(probe(&body).as_bytes()), Some("parse::too-deep"), "{}", &body[..20]);
    }
    assert_eq!(survive("probe {".repeat(n).as_bytes()), Some("parse::too-deep"));
}

#[test]
fn trees_without_end_are_an_error() {
    let n = 100_000;
    let bodies = [
        "x = ".to_owned() + &"- ".repeat(n) + "1",
        "x = ".to_owned() + &"!".repeat(n) + "1",
        "x = ".to_owned() + &"y = ".repeat(n) + "1",
        "x = 1".to_owned() + &" + 1".repeat(n),
        "x = \"\"".to_owned() + &" . \"a\"".repeat(n),
        "x = ".to_owned() + &"1 ? ".repeat(n) + "1" + &" : 1".repeat(n),
        "x = ".to_owned() + &"1 ? 1 : ".repeat(n) + "1",
        "if (x) ".repeat(n) + ";",
        "if (x) ; else ".repeat(n) + ";",
        "while (x) ".repeat(n) + ";",
        "foreach (k in a) ".repeat(n) + ";",
    ];
    for body in bodies {
        assert_eq!(survive(probe(&body).as_bytes()), Some("parse::too-deep"), "{}", &body[..20]);
    }
}

#[test]
fn sane_nesting_parses() {
    let n = 200;
    let bodies = [
        "x = ".to_owned() + &"(1+".repeat(n) + "1" + &")".repeat(n),
        "x = ".to_owned() + &"f(".repeat(n) + "1" + &")".repeat(n),
        "x = ".to_owned() + &"a[".repeat(n) + "1" + &"]".repeat(n),
        "if (x) {".repeat(n) + &"}".repeat(n),
        "x = 1".to_owned() + &" + 1".repeat(500),
        "if (x) y else ".repeat(n) + "z",
        "x = ".to_owned() + &"a ? b : ".repeat(n) + "c",
    ];
    for body in bodies {
        assert_eq!(survive(probe(&body).as_bytes()), None, "{}", &body[..20]);
    }
}

#[test]
fn errors_within_nesting_are_found_at_once() {
    let start = Instant::now();
    for opening in [
        "f(",
        "(",
        "a[",
        "$x[",
        "f(1, (",
        "@count(",
        "x + (",
        "- (",
        "[",
        "1 ? (",
        "{ f(",
        "if (x) { y = (",
        "&(",
        "++(",
        "@cast(",
    ] {
        for ending in ["]", "1 1", "", "if", "*", ")", "}"] {
            let brackets = opening.matches(['(', '[', '{']).count();
            survive(probe(&(opening.repeat(250 / brackets) + ending)).as_bytes());
        }
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn macros_without_end_are_an_error() {
    let itself = "@define a %( @a @a %) probe begin { @a }";
    assert_eq!(survive(itself.as_bytes()), Some("parse::macro-limit"));
    let empty = "@define a(x) %( @x @a(@x) %) probe begin { @a() }";
    assert_eq!(survive(empty.as_bytes()), Some("parse::macro-limit"));
    let mut doubling = "@define m0 %( x %)\n".to_owned();
    for level in 1..40 {
        doubling += &format!("@define m{level} %( @m{0} @m{0} %)\n", level - 1);
    }
    assert_eq!(survive((doubling + "probe begin { @m39 }").as_bytes()), Some("parse::macro-limit"));
    let long = format!("@define m %( \"{}\" %) probe begin {{ {} }}", "x".repeat(1 << 20), "print(@m) ".repeat(10_000));
    assert_eq!(survive(long.as_bytes()), Some("parse::macro-limit"));
    let nested = "@define f(x) %( @x %) probe begin { ".to_owned() + &"@f(".repeat(30_000);
    survive(nested.as_bytes());
    survive("%( 1 == 1 %? ".repeat(50_000).as_bytes());
}

#[test]
fn braces_multiply_up_to_a_limit() {
    let points = vec!["{a,b,c,d}"; 30].join(".");
    assert_eq!(survive(format!("probe {points} {{}}").as_bytes()), Some("parse::too-many-points"));
    let many = vec!["a"; 9_000].join(",");
    let points = format!("{{{many}}}{}", ".x".repeat(50_000));
    assert_eq!(survive(format!("probe {points} {{}}").as_bytes()), Some("parse::too-many-points"));
    let long = "x".repeat(100_000);
    let points = vec![format!("{{{long},b}}"); 12].join(".");
    assert_eq!(survive(format!("probe {points} {{}}").as_bytes()), Some("parse::too-many-points"));
}

#[test]
fn large_texts_take_linear_time() {
    let mega = 1 << 20;
    let texts = [
        probe(&format!("print(\"{}\")", "a".repeat(mega))),
        probe(&format!("print(\"{}\")", "\\x".repeat(mega / 2))),
        probe(&format!("/* {} */", "*".repeat(mega))),
        probe(&"# comment\n".repeat(mega / 10)),
        probe(&" ".repeat(mega)),
        probe(&format!("x = 1 {}", "\n".repeat(mega))),
        format!("%{{ {} %}} probe begin {{}}", "}".repeat(mega)),
        format!("probe {} {{}}", "a.".repeat(50_000) + "b"),
        format!("global {}x", (0..50_000).map(|n| format!("v{n}, ")).collect::<String>()),
        "probe begin { x = 1 }\n".repeat(20_000),
        "probe probe ".repeat(20_000),
        "global ".repeat(50_000),
        "probe begin { x = $1 + @1 . @2 }\n".repeat(10_000),
        "$1 @2 ".repeat(50_000),
        "x".repeat(mega),
        "\"".repeat(mega),
        "\u{fffd}\u{10ffff}".repeat(mega / 8),
        "1".repeat(mega),
        probe(&"x++ ".repeat(mega / 4)),
        probe(&"x = 1 ".repeat(mega / 6)),
        probe(&format!("f({}1)", "1, ".repeat(mega / 3))),
        "probe a = ".repeat(50_000),
        "function f() { return 1 }\n".repeat(20_000),
    ];
    for text in texts {
        let start = Instant::now();
        survive(text.as_bytes());
        let took = start.elapsed();
        assert!(took < Duration::from_secs(4), "{took:?} for {}", text.chars().take(40).collect::<String>());
    }
}

/// Numbers that look random, always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

const SNIPPETS: [&str; 44] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "%{",
    "%}",
    "%(",
    "%?",
    "%:",
    "%)",
    "@",
    "$",
    "#",
    "/*",
    "*/",
    "//",
    "\\",
    "\n",
    "probe ",
    "function ",
    "global ",
    "private ",
    "if ",
    "else ",
    "foreach ",
    "in ",
    "limit ",
    "try ",
    "catch ",
    "@define ",
    "@hist_log(",
    "@count(",
    "@cast(",
    "->",
    "=~",
    "<<<",
    "++",
    "?",
    ":",
    "$1",
    "\0",
];

fn mutate(text: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(text.len() + 1);
        let snippet = SNIPPETS[dice.roll(SNIPPETS.len())].bytes();
        let end = (at + dice.roll(12)).min(text.len());
        match dice.roll(5) {
            0 => drop(text.splice(at..end, [])),
            1 => drop(text.splice(at..at, snippet)),
            2 => drop(text.splice(at..end, snippet)),
            3 => {
                let piece = text[at..end].to_vec();
                let to = dice.roll(text.len() + 1);
                drop(text.splice(to..to, piece));
            }
            _ => text.insert(at, dice.roll(256) as u8),
        }
    }
}

#[test]
fn mutated_scripts_never_panic() {
    let scripts: Vec<_> = common::scripts("golden").into_iter().chain(common::scripts("data")).collect();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        let (name, script) = &scripts[dice.roll(scripts.len())];
        let mut text = script.clone();
        mutate(&mut text, &mut dice);
        let begun = Instant::now();
        let result = std::panic::catch_unwind(|| survive(&text));
        let text = String::from_utf8_lossy(&text);
        assert!(result.is_ok(), "a mutation of {name} panics:\n{text}");
        assert!(begun.elapsed() < Duration::from_secs(2), "a mutation of {name} takes {:?}:\n{text}", begun.elapsed());
    }
}

#[test]
fn errors_in_very_long_lines_are_shown() {
    let filler = "x = 1; ".repeat(20_000);
    for text in
        [probe(&format!("f( {filler} ")), probe(&format!("{filler} ) {filler}")), probe(&format!("é{filler}(\u{1b}é"))]
    {
        assert!(survive(text.as_bytes()).is_some());
    }
    let token = "a".repeat(200_000);
    assert!(survive(probe(&format!("x y = f({token} {token}")).as_bytes()).is_some());
}
