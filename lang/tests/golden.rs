//! The scripts that real SystemTap was run with (`tests/golden`): all parse, and print what parses again.

mod common;

use common::parse_bytes;
use tapster_lang::ast::{BinaryOp, Expr, ExprKind, Item, Literal, StmtKind, UnaryOp};
use tapster_lang::diagnostic::{Format, render_all};
use tapster_lang::preprocess::Environment;

fn tree(text: &[u8]) -> tapster_lang::ast::Script {
    let args = [b"42".to_vec(), b"two words".to_vec()];
    let env = Environment { args: &args, runtime: "kernel", ..Environment::default() };
    let (sources, parsed) = parse_bytes(text, &env);
    match parsed {
        Ok(parsed) => parsed.script,
        Err(errors) => panic!("{}", render_all(&errors, &sources, Format::Fancy, false, 100)),
    }
}

#[test]
fn every_script_prints_what_parses_again() {
    for (name, script) in common::scripts("golden") {
        let printed = tree(&script).to_string();
        assert!(!printed.is_empty(), "{name}");
        assert_eq!(tree(printed.as_bytes()).to_string(), printed, "{name}");
    }
}

/// The value of a constant expression, as real SystemTap computes it.
fn value(expr: &Expr) -> i64 {
    match &expr.kind {
        ExprKind::Literal(Literal::Number(value)) => *value,
        ExprKind::Unary(op, operand) => unary(*op, value(operand)),
        ExprKind::Binary(op, left, right) => binary(*op, value(left), value(right)),
        ExprKind::Ternary(condition, then, other) => value(if value(condition) != 0 { then } else { other }),
        other => panic!("not constant: {other:?}"),
    }
}

fn unary(op: UnaryOp, value: i64) -> i64 {
    match op {
        UnaryOp::Plus => value,
        UnaryOp::Minus => value.wrapping_neg(),
        UnaryOp::Not => i64::from(value == 0),
        UnaryOp::BitNot => !value,
    }
}

fn binary(op: BinaryOp, left: i64, right: i64) -> i64 {
    match op {
        BinaryOp::LogicalOr => i64::from(left != 0 || right != 0),
        BinaryOp::LogicalAnd => i64::from(left != 0 && right != 0),
        BinaryOp::BitOr => left | right,
        BinaryOp::BitXor => left ^ right,
        BinaryOp::BitAnd => left & right,
        BinaryOp::Lt => i64::from(left < right),
        BinaryOp::Le => i64::from(left <= right),
        BinaryOp::Gt => i64::from(left > right),
        BinaryOp::Ge => i64::from(left >= right),
        BinaryOp::Eq => i64::from(left == right),
        BinaryOp::Ne => i64::from(left != right),
        BinaryOp::ShiftLeft => left.wrapping_shl(right as u32),
        BinaryOp::ShiftRight => left.wrapping_shr(right as u32),
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Sub => left.wrapping_sub(right),
        BinaryOp::Mul => left.wrapping_mul(right),
        BinaryOp::Div => left.wrapping_div(right),
        BinaryOp::Mod => left.wrapping_rem(right),
        BinaryOp::ShiftRightUnsigned | BinaryOp::Concat => panic!("not of numbers"),
    }
}

/// Lines of `g07_ops.stdout`, printed by stap 4.8: what operators bind shows in the values.
const VALUES: [(&str, i64); 18] = [
    ("2|1==1", 3),
    ("3&2==2", 1),
    ("1+2<<1", 6),
    ("5-2-1", 2),
    ("1<2<3", 1),
    ("3>2>1", 0),
    ("-7/2", -3),
    ("-7%2", -1),
    ("1<<3+1", 16),
    ("2*3%4", 2),
    ("-2*3", -6),
    ("!1+1", 1),
    ("1?2:3+4", 2),
    ("6 & 3 ^ 5 | 8", 15),
    ("-5>>1", -3),
    ("1 ? 2 : 3", 2),
    ("0 ? 1 : 0 ? 2 : 3", 3),
    ("1&&2", 1),
];

#[test]
fn operators_bind_as_the_values_of_real_systemtap_show() {
    for (text, expected) in VALUES {
        let script = tree(format!("probe begin {{ {text} }}").as_bytes());
        let Some(Item::Probe(probe)) = script.items.first() else { panic!("{text}") };
        let StmtKind::Expr(expr) = &probe.body.stmts[0].kind else { panic!("{text}") };
        assert_eq!(probe.body.stmts.len(), 1, "{text}");
        assert_eq!(value(expr), expected, "{text}");
    }
}

/// Texts and what they group to, by the table of precedence.
const GROUPS: [(&str, &str); 40] = [
    ("a = b = c", "(a) = ((b) = (c))"),
    ("a += b <<< c", "(a) += ((b) <<< (c))"),
    ("a ? b : c ? d : e", "(a)?(b):((c)?(d):(e))"),
    ("a ? b = 1 : c", "(a)?((b) = (1)):(c)"),
    // Since 4.0 the second arm is no assignment: what is assigned to is the whole.
    ("a ? b : c = d", "((a)?(b):(c)) = (d)"),
    ("a || b && c", "(a) || ((b) && (c))"),
    ("a && b | c", "(a) && ((b) | (c))"),
    ("a | b ^ c & d", "(a) | ((b) ^ ((c) & (d)))"),
    ("a & b in c", "(a) & ([b] in c)"),
    ("a == b in c", "[(a) == (b)] in c"),
    ("k in a && b", "([k] in a) && (b)"),
    ("[a, b] in c", "[a, b] in c"),
    ("[*, b + 1] in c || d", "([*, (b) + (1)] in c) || (d)"),
    ("!k in a", "[!(k)] in a"),
    ("!(k in a)", "!([k] in a)"),
    ("a < b == c", "((a) < (b)) == (c)"),
    ("a =~ \"x\" \"y\" && b", "((a) =~ \"xy\") && (b)"),
    ("a !~ \"x\" in b", "[(a) !~ \"x\"] in b"),
    ("a < b << c", "(a) < ((b) << (c))"),
    ("a << b . c", "(a) << ((b) . (c))"),
    ("a . b + c . d", "((a) . ((b) + (c))) . (d)"),
    ("\"a\" . \"b\" == \"ab\"", "((\"a\") . (\"b\")) == (\"ab\")"),
    ("a + b * c", "(a) + ((b) * (c))"),
    ("a - b + c", "((a) - (b)) + (c)"),
    ("- a * b", "(-(a)) * (b)"),
    ("! ~-+a", "!(~(-(+(a))))"),
    ("- a++", "-((a)++)"),
    ("++a[1]", "++(a[1])"),
    ("a++ + ++b", "((a)++) + (++(b))"),
    ("a >>> b", "(a) >>> (b)"),
    ("&$a->b", "&$a->b"),
    ("a & &$b", "(a) & (&$b)"),
    ("$a->b[1]->c", "$a->b[1]->c"),
    ("$a$ . $b$$", "($a->$) . ($b->$$)"),
    ("f(a)->b", "(f(a))->b"),
    ("-a->b", "-((a)->b)"),
    ("a[1, 2][3]", "(a[1, 2])[3]"),
    ("(a, b)", ""),
    ("a in b in c", ""),
    ("a =~ \"x\" == b", ""),
];

#[test]
fn operators_group_by_the_table_of_precedence() {
    for (text, expected) in GROUPS {
        let script = format!("probe begin {{ {text} }}");
        let (_, parsed) = parse_bytes(script.as_bytes(), &Environment::default());
        let Ok(parsed) = parsed else {
            assert_eq!(expected, "", "{text} is refused");
            continue;
        };
        assert_eq!(parsed.script.to_string(), format!("probe begin{{\n{expected};\n}}\n"), "{text}");
    }
}

#[test]
fn expressions_know_the_token_that_messages_name() {
    // The places of run-time errors that stap 4.8 printed: g02_div0.stderr and g18_arrayoverflow.stderr.
    let near = |file: &str, text: &str| {
        let script =
            common::scripts("golden").into_iter().find(|(name, _)| name == file).expect("the script is there").1;
        let (sources, parsed) = parse_bytes(&script, &Environment::default());
        let tree = format!("{:?}", parsed.expect("parses").script);
        let places = tree.match_indices("at: Span { start: ").filter_map(|(at, found)| {
            let rest = &tree[at + found.len()..];
            let start = rest.split(',').next()?.parse().ok()?;
            Some(tapster_lang::Span::new(start, start + 1))
        });
        let named: Vec<_> = places.map(|at| tapster_lang::diagnostic::describe_token(&sources, at)).collect();
        assert!(named.iter().any(|named| named == text), "{text} is none of {named:?}");
    };
    near("g02_div0.stp", "operator '/' at <input>:1:43");
    near("g18_arrayoverflow.stp", "identifier 'a' at <input>:2:36");
    near("g20_errorstack.stp", "operator '/' at <input>:2:25");
}
