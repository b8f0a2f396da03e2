//! Operands of marks: what the assembler wrote down of an argument, `-4@%eax`, `8@-16(%rbp,%rcx,8)`, `2@$5`.
//!
//! The formats are described in sys/sdt.h and its wiki page ("User Space Probe Implementation"); each architecture
//! writes its own assembler's operands.

use super::register::{self, Register};
use super::value::Value;
use crate::hir::Arith;

/// What an operand may refer to in its file.
pub struct Surroundings<'f> {
    /// The address of the mark, as linked.
    pub mark: u64,
    /// Addresses of symbols, as linked.
    pub symbol: &'f dyn Fn(&str) -> Option<u64>,
}

/// Reads the arguments of a mark; `None` stands for one that cannot be read.
pub fn parse(text: &str, around: &Surroundings) -> Vec<Option<Value>> {
    split(text).into_iter().map(|operand| argument(operand, around)).collect()
}

/// Splits at blanks, except for those within brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut operands, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'(' => depth += 1,
            b']' | b')' => depth -= 1,
            b' ' if depth <= 0 => {
                operands.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    operands.push(&text[start..]);
    operands.retain(|operand| !operand.is_empty());
    operands
}

/// `SIZE@OPERAND`; a negative size has a sign. Without one the size is that of the operand.
fn argument(text: &str, around: &Surroundings) -> Option<Value> {
    let (size, operand) = match text.split_once('@') {
        // Sizes of floating point have an `f` behind them.
        Some((size, operand)) => (Some(size.parse::<i8>().ok()?), operand),
        None => (None, text),
    };
    let bytes = size.map(|size| size.unsigned_abs()).filter(|bytes| matches!(bytes, 1 | 2 | 4 | 8));
    if size.is_some() && bytes.is_none() {
        return None;
    }
    value(operand, bytes, size.is_none_or(|size| size < 0), around)
}

/// What a register holds, cut to so many bytes.
fn of_register(register: Register, bytes: Option<u8>, signed: bool) -> Value {
    let size = bytes.unwrap_or(register.size).min(register.size);
    match register.shift {
        0 => Value::register(register.offset, size, signed),
        shift => {
            let up = i64::from(64 - shift - 8 * size);
            let whole = Value::register(register.offset, 8, signed).arith(Arith::Shl, Value::constant(up));
            let down = whole.arith(Arith::Shr, Value::constant(i64::from(64 - 8 * size)));
            if signed { down } else { down.arith(Arith::And, Value::constant((1 << (8 * size)) - 1)) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn value(operand: &str, bytes: Option<u8>, signed: bool, around: &Surroundings) -> Option<Value> {
    if let Some(constant) = operand.strip_prefix('$') {
        return number(constant).map(Value::constant);
    }
    if let Some(name) = operand.strip_prefix('%') {
        return register::by_name(name).map(|register| of_register(register, bytes, signed));
    }
    let address = address(operand, around)?;
    Some(address.read(bytes.unwrap_or(8), signed))
}

/// `DISPLACEMENT(%BASE,%INDEX,SCALE)`; the displacement may name symbols.
#[cfg(target_arch = "x86_64")]
fn address(operand: &str, around: &Surroundings) -> Option<Value> {
    let (displacement, rest) = match operand.split_once('(') {
        Some((displacement, rest)) => (displacement, Some(rest.strip_suffix(')')?)),
        None => (operand, None),
    };
    let (offset, has_symbol) = sum(displacement, around)?;
    let Some(inner) = rest else {
        // An absolute address: of a program that is not moved.
        return has_symbol.then(|| Value::constant(offset));
    };
    let mut parts = inner.split(',').map(str::trim);
    let whole = |name: &str| Some(of_register(register::by_name(name.strip_prefix('%')?)?, Some(8), false));
    let base = parts.next().filter(|base| !base.is_empty());
    let index = parts.next().filter(|index| !index.is_empty());
    let scale = parts.next().map_or(Some(1), number)?;
    if base == Some("%rip") {
        // A symbol's distance from the mark is the same wherever the file is loaded.
        let moved = offset.wrapping_sub(around.mark as i64);
        return has_symbol.then(|| of_register(register::INSTRUCTION, Some(8), false).plus(moved));
    }
    let start = match base {
        Some(base) => whole(base)?.plus(offset),
        None => Value::constant(offset),
    };
    Some(match index {
        Some(index) => start.arith(Arith::Add, whole(index)?.arith(Arith::Mul, Value::constant(scale))),
        None => start,
    })
}

/// Numbers and symbols with signs between them; and whether there was a symbol.
#[cfg(target_arch = "x86_64")]
fn sum(text: &str, around: &Surroundings) -> Option<(i64, bool)> {
    let (mut total, mut has_symbol, mut rest) = (0_i64, false, text);
    while !rest.is_empty() {
        let (negative, behind) = match rest.strip_prefix(['+', '-']) {
            Some(behind) => (rest.starts_with('-'), behind),
            None => (false, rest),
        };
        let end = behind.find(['+', '-']).unwrap_or(behind.len());
        let (term, behind) = behind.split_at(end);
        let term = match number(term) {
            Some(number) => number,
            None => {
                has_symbol = true;
                (around.symbol)(term)? as i64
            }
        };
        total = if negative { total.wrapping_sub(term) } else { total.wrapping_add(term) };
        rest = behind;
    }
    Some((total, has_symbol))
}

#[cfg(target_arch = "aarch64")]
fn value(operand: &str, bytes: Option<u8>, signed: bool, _: &Surroundings) -> Option<Value> {
    if let Some(constant) = number(operand.strip_prefix('#').unwrap_or(operand)) {
        return Some(Value::constant(constant));
    }
    if let Some(inner) = operand.strip_prefix('[') {
        let address = address(inner.strip_suffix(']')?)?;
        return Some(address.read(bytes.unwrap_or(8), signed));
    }
    match operand {
        "xzr" | "wzr" => Some(Value::constant(0)),
        name => register::by_name(name).map(|register| of_register(register, bytes, signed)),
    }
}

/// `BASE`, `BASE, OFFSET`, `BASE, INDEX, lsl SHIFT`
#[cfg(target_arch = "aarch64")]
fn address(inner: &str) -> Option<Value> {
    let mut parts = inner.split(',').map(str::trim);
    let base = of_register(register::by_name(parts.next()?)?, Some(8), false);
    let Some(second) = parts.next() else { return Some(base) };
    if let Some(offset) = number(second.strip_prefix('#').unwrap_or(second)) {
        return Some(base.plus(offset));
    }
    let (kind, shift) = parts.next().map_or(Some(("lsl", 0)), |extend| {
        let (kind, shift) = extend.split_once(' ').unwrap_or((extend, "0"));
        Some((kind, number(shift.trim().strip_prefix('#').unwrap_or(shift.trim()))?))
    })?;
    let register = register::by_name(second)?;
    let index = of_register(register, Some(register.size), kind.starts_with('s'));
    Some(base.arith(Arith::Add, index.arith(Arith::Shl, Value::constant(shift))))
}

/// A number as the assembler writes it.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negative { (value as i64).wrapping_neg() } else { value as i64 })
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let symbol = |name: &str| (name == "counter").then_some(0x4010);
        let around = Surroundings { mark: 0x1000, symbol: &symbol };
        let show = |value: Option<Value>| value.map_or("none".into(), |value| format!("{value:?}"));
        parse(text, &around).into_iter().map(show).collect()
    }

    #[test]
    fn operands_of_every_form_are_read() {
        let forms = "-4@%eax 8@%r12 1@%sil 2@%r9w 1@%ah 4@$5 -8@$-7 8@$0xff 4@-20(%rbp) 8@(%rax,%rbx,8) 4@counter(%rip) \
                     -4@8+counter(%rip) 4@(,%rdi,4) %rdx 4@16(%rsp)";
        let read = shown(forms);
        assert_eq!(read.len(), 15);
        assert!(!read.contains(&"none".to_owned()), "{read:?}");
        assert!(read[0].contains("Register(80)") && read[0].contains("signed: true"), "{}", read[0]);
        assert!(read[10].contains("12304"), "counter lies 0x3010 behind the mark: {}", read[10]);
    }

    #[test]
    fn what_is_no_operand_is_none() {
        for wrong in
            ["8@%xmm0", "4f@%eax", "3@%eax", "8@", "@", "8@(%rax", "8@%", "8@nowhere(%rip)", "8@-", "99999@%eax"]
        {
            assert_eq!(shown(wrong), ["none"], "{wrong}");
        }
        assert!(shown("").is_empty() && shown("   ").is_empty());
    }
}
