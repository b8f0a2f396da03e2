//! `sprintf` and its kind in the kernel: `bpf_snprintf` for numbers and widths, copies for the rest.
//!
//! What that helper cannot print as SystemTap does is not asked of it ([`Conversion::is_kernels`]).

use super::join::Tail;
use super::{Kernel, helper, namespace};
use crate::image::{Conversion, Format, Loss, Measure, Piece};
use crate::lower::code::{Addr, Base, Code};
use crate::lower::target::{PrintArg, Text};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I64};
use cranelift_codegen::ir::{InstBuilder, Value};

/// Arguments of one call: `MAX_BPRINTF_VARARGS` of include/linux/bpf.h.
const ARGS_MAX: usize = 12;
/// Bytes of all arguments of one call: `MAX_BPRINTF_BUF_LEN` of Linux 6.1.
const BYTES_MAX: u32 = 512;
/// Bytes of a number among them, with what comes before it for alignment.
const NUMBER_BYTES: u32 = 12;

/// A part of a format.
enum Part<'f> {
    Literal(&'f [u8]),
    /// A string as it is: an argument and its bound.
    Text(usize, u32),
    /// What has to be printed: an argument, its bytes for the helper.
    Print(&'f Conversion, usize, u32),
}

impl Kernel<'_> {
    /// Writes what a print would print.
    pub(super) fn format(&mut self, code: &mut Code, format: &Format, args: &[PrintArg], (to, size): (Addr, u32)) {
        if let Base::Slot(_) = to.base {
            let area = self.text_memory_far(code, size);
            self.format(code, format, args, (area, size));
            return self.put(code, &Text::At(area, size), to, size, false);
        }
        self.keep_length(to);
        code.store_k(0, to);
        let one = code.k(1);
        self.note_length(to, one);
        for call in calls(format, args) {
            if call.iter().any(|part| matches!(part, Part::Print(..))) {
                self.print_parts(code, &call, args, (to, size));
            } else {
                for part in call {
                    let text = match part {
                        Part::Literal(bytes) => &Text::Literal(bytes.to_vec()),
                        Part::Text(arg, _) | Part::Print(_, arg, _) => text_of(&args[arg]),
                    };
                    self.append(code, to, size, text);
                }
            }
        }
    }

    /// Appends what one call of the helper prints.
    fn print_parts(&mut self, code: &mut Code, parts: &[Part], args: &[PrintArg], (to, size): (Addr, u32)) {
        let (mut format, mut values) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::Literal(bytes) => bytes.iter().for_each(|byte| match byte {
                    b'%' => format.extend_from_slice(b"%%"),
                    byte => format.push(*byte),
                }),
                Part::Text(arg, _) => {
                    format.extend_from_slice(b"%s");
                    values.push(*arg);
                }
                Part::Print(conversion, arg, _) => {
                    specify(&mut format, conversion);
                    values.push(*arg);
                }
            }
        }
        let values: Vec<Value> = values.into_iter().map(|arg| self.print_value(code, &args[arg])).collect();
        let data = self.frame(code, 8 * values.len() as u32);
        for (nth, value) in values.iter().enumerate() {
            code.store(*value, data.plus(8 * nth as u32));
        }
        let Tail { at, before, room } = self.tail(code, to, size);
        // Where it fails it writes nothing: an empty string stands there.
        let nul = code.b.ins().iconst(I8, 0);
        code.store(nul, Addr::at(at));
        let format = self.constant(code, &format);
        let (data, bytes) = (code.pointer(data), code.k(8 * values.len() as i64));
        let printed = self.kernel_format(code, &[at, room, format, data, bytes]);
        let one = code.k(1);
        let printed = code.b.ins().smax(printed, one);
        let printed = code.b.ins().umin(printed, room);
        let length = code.b.ins().iadd(before, printed);
        self.note_length(to, length);
    }

    /// Has the kernel format. It keeps memory for three at a time on each CPU, and formats nothing for a fourth: events may
    /// come in the midst of another's, and tasks be preempted.
    pub(super) fn kernel_format(&mut self, code: &mut Code, args: &[Value]) -> Value {
        let printed = self.helper(code, helper::SNPRINTF, args);
        let (failed, on) = (code.block(), code.block());
        code.branch_if(IntCC::SignedLessThan, printed, 0, failed, on);
        code.to(failed);
        code.cold(failed);
        self.lose(code, &Loss::FormatFailed);
        code.jump(on, &[]);
        code.to(on);
        printed
    }

    fn print_value(&mut self, code: &mut Code, arg: &PrintArg) -> Value {
        match arg {
            PrintArg::Long(value) => *value,
            PrintArg::Stored(home) => code.load(I64, *home),
            PrintArg::Text(text, size) => self.source(code, text, *size),
        }
    }

    /// A NUL-terminated constant.
    pub(super) fn constant(&mut self, code: &mut Code, text: &[u8]) -> Value {
        code.symbol(namespace::CONSTANTS, self.plan.constants.text(text))
    }
}

/// The parts of a format, each list for one call of the helper or, where nothing in it needs one, for copies.
fn calls<'f>(format: &'f Format, args: &[PrintArg]) -> Vec<Vec<Part<'f>>> {
    let mut calls: Vec<Vec<Part>> = vec![vec![]];
    let mut nth = 0;
    for piece in &format.pieces {
        let part = match piece {
            Piece::Literal(bytes) => Part::Literal(bytes),
            Piece::Conversion(conversion) => {
                nth += 1;
                let (arg, bytes) = (nth - 1, bytes_of(&args[nth - 1]));
                let is_plain = conversion.kind == b's' && conversion.width == Measure::None;
                if is_plain { Part::Text(arg, bytes) } else { Part::Print(conversion, arg, bytes) }
            }
        };
        let last = calls.len() - 1;
        if fits(&calls[last], &part) {
            calls[last].push(part);
        } else {
            calls.push(vec![part]);
        }
        // What has a NUL in it ends the string.
        if matches!(piece, Piece::Literal(bytes) if bytes.contains(&0)) {
            break;
        }
    }
    calls
}

/// Whether a part may stand behind others in one call.
fn fits(parts: &[Part], part: &Part) -> bool {
    let is_arg = |part: &&Part| !matches!(part, Part::Literal(_));
    let bytes = |part: &Part| match part {
        Part::Literal(_) => 0,
        Part::Text(_, bytes) | Part::Print(_, _, bytes) => *bytes,
    };
    let is_printable = |part: &Part| match part {
        Part::Literal(text) => text.iter().all(|byte| matches!(byte, 0x20..=0x7e | 9..=13)),
        _ => true,
    };
    // The helper wants `%s` to be followed by something that is no letter and no digit.
    let ends_in_text = match parts.last() {
        Some(Part::Print(conversion, ..)) => conversion.kind == b's',
        last => matches!(last, Some(Part::Text(..))),
    };
    let clings = match part {
        Part::Literal(text) => text.first().is_some_and(u8::is_ascii_alphanumeric),
        Part::Print(conversion, ..) => conversion.kind == b'p',
        Part::Text(..) => false,
    };
    let (count, sum) = (parts.iter().filter(is_arg).count(), parts.iter().map(bytes).sum::<u32>());
    parts.is_empty()
        || !(ends_in_text && clings)
            && parts.iter().all(is_printable)
            && is_printable(part)
            && count + usize::from(is_arg(&part)) <= ARGS_MAX
            && sum + bytes(part) <= BYTES_MAX
}

fn bytes_of(arg: &PrintArg) -> u32 {
    match arg {
        PrintArg::Long(_) | PrintArg::Stored(_) => NUMBER_BYTES,
        PrintArg::Text(_, size) => *size,
    }
}

fn text_of(arg: &PrintArg) -> &Text {
    match arg {
        PrintArg::Text(text, _) => text,
        PrintArg::Long(_) | PrintArg::Stored(_) => unreachable!("types were checked"),
    }
}

/// Writes a conversion as the helper reads it: numbers have 64 bits, and it knows no `#`.
fn specify(format: &mut Vec<u8>, conversion: &Conversion) {
    if conversion.kind == b'p' {
        return format.extend_from_slice(b"0x%llx");
    }
    format.push(b'%');
    format.extend(conversion.flag);
    if let Measure::Fixed(width) = conversion.width {
        format.extend_from_slice(width.to_string().as_bytes());
    }
    if !matches!(conversion.kind, b's' | b'c') {
        format.extend_from_slice(b"ll");
    }
    format.push(conversion.kind);
}
