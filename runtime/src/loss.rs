//! What a run lost, one line a thing.

use crate::globals::Failures;
use tapster_compiler::image::{Image, Loss, Storage};
use tapster_runtime_ebpf::limits::MAXBACKTRACE_KERNEL;

/// Missed events, by program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// The program, or one that excludes it, was running on that CPU: as the kernel has counted, or the program itself.
    pub recursion: u64,
    /// Another kprobe was being handled.
    pub kprobe: u64,
}

/// A thing that was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many times.
    pub count: u64,
    /// A line about it, with the number and a cure.
    pub text: String,
}

/// The events that programs have themselves left out because they were running on that CPU, by program.
pub fn nested(image: &Image, counter: impl Fn(u32) -> u64) -> Vec<u64> {
    let mut nested = vec![0; image.programs.len()];
    for (loss, number) in image.losses.iter().zip(0..) {
        if let Loss::Nested(program) = loss
            && let Some(nested) = nested.get_mut(*program)
        {
            *nested = counter(number);
        }
    }
    nested
}

/// The losses of a run; `counter` reads the loss counter with a number.
pub fn losses(image: &Image, counter: impl Fn(u32) -> u64, missed: &[Missed], failures: &Failures) -> Vec<Lost> {
    // What is missed is said of the program.
    let counted = image.losses.iter().zip(0..).filter(|(loss, _)| !matches!(loss, Loss::Nested(_)));
    let counted = counted.map(|(loss, number)| (loss, counter(number)));
    let counted = counted.filter(|(_, count)| *count > 0);
    let mut lost: Vec<Lost> = counted.map(|(loss, count)| Lost { count, text: describe(image, loss, count) }).collect();
    for (program, missed) in image.programs.iter().zip(missed) {
        let probe = &program.probe;
        if missed.recursion > 0 {
            let (count, events) = (missed.recursion, events(missed.recursion));
            let text = format!("probe {probe}: {events} missed because the probe was already running on that CPU");
            lost.push(Lost { count, text });
        }
        if missed.kprobe > 0 {
            let (count, events) = (missed.kprobe, events(missed.kprobe));
            let text = format!("probe {probe}: {events} missed because another kprobe was running on that CPU");
            lost.push(Lost { count, text });
        }
    }
    if failures.count > 0 {
        let why = failures.last.as_ref().map_or_else(String::new, ToString::to_string);
        let text = format!("{} reads or writes of arrays failed: {why}", failures.count);
        lost.push(Lost { count: failures.count, text });
    }
    lost
}

fn events(count: u64) -> String {
    if count == 1 { "1 event".into() } else { format!("{count} events") }
}

fn describe(image: &Image, loss: &Loss, count: u64) -> String {
    match loss {
        Loss::ArrayFull(global) => array_full(image, *global, count),
        Loss::StacksFull => {
            format!(
                "{count} stacks lost because the stack table was full: declare the array they are kept by larger, or use -DMAXMAPENTRIES"
            )
        }
        Loss::StringsFull => format!("{count} strings lost because the string table was full"),
        Loss::StackTruncated => {
            let frames = image.stack_frames;
            let cure = match frames < MAXBACKTRACE_KERNEL {
                true => format!("-DMAXBACKTRACE={MAXBACKTRACE_KERNEL} keeps up to {MAXBACKTRACE_KERNEL}"),
                false => "the kernel gives no more (sysctl kernel.perf_event_max_stack)".into(),
            };
            format!("{count} stacks were deeper than the {frames} frames kept: {cure}")
        }
        Loss::StackFailed => format!("{count} stacks could not be taken by the kernel"),
        Loss::StringTruncated => format!("{count} strings were cut to MAXSTRINGLEN bytes"),
        Loss::FormatFailed => {
            format!("{count} strings lack what the kernel could not format, as it was at several others on that CPU")
        }
        Loss::EventsFull(program) | Loss::Nested(program) => {
            let probe = image.programs.get(*program).map_or("?", |program| &program.probe);
            format!(
                "probe {probe}: {count} prints or handoffs lost because they came faster than user space could take them"
            )
        }
    }
}

fn array_full(image: &Image, global: usize, count: u64) -> String {
    let Some(global) = image.globals.get(global) else { return format!("{count} updates of an array lost") };
    let Storage::Array(array) = &global.storage else { return format!("{count} updates of {} lost", global.name) };
    let (name, limit) = (&global.name, array.max_entries);
    let more = u64::from(limit) * 4;
    let cure = match array.sized {
        true => format!("declare global {name}[{more}]"),
        false => format!("declare global {name}[{more}] or use -DMAXMAPENTRIES={more}"),
    };
    format!("array {name} was full ({limit} elements), {count} updates lost: {cure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_compiler::image::{Array, Attach, Global, Moment, Program, Value};

    fn image() -> Image {
        let array = |sized| {
            let (value, max_entries) = (Value::Long, 2048);
            Storage::Array(Array {
                map: None,
                key: vec![],
                key_size: 8,
                value,
                max_entries,
                sized,
                wrap: false,
                ordered: false,
            })
        };
        let program = Program {
            name: "p".into(),
            probe: "kernel.function(\"kmem_cache_alloc\")".into(),
            sites: vec![],
            lenient: false,
            attach: Attach::Kprobe { functions: vec!["f".into()], moment: Moment::Entry },
            why: vec![],
            span: tapster_lang::Span::NONE,
            insns: vec![],
            map_refs: vec![],
            func_info: vec![],
            line_info: vec![],
            positions: vec![],
        };
        Image {
            globals: vec![
                Global { name: "stats".into(), storage: array(false) },
                Global { name: "stacks".into(), storage: array(true) },
            ],
            losses: vec![Loss::ArrayFull(0), Loss::ArrayFull(1), Loss::StackTruncated, Loss::EventsFull(0)],
            programs: vec![program],
            stack_frames: 64,
            ..Image::default()
        }
    }

    fn said(counters: [u64; 4], missed: Missed) -> Vec<String> {
        let lost = losses(&image(), |number| counters[number as usize], &[missed], &Failures::default());
        lost.into_iter().map(|lost| lost.text).collect()
    }

    #[test]
    fn nothing_lost_says_nothing() {
        assert!(said([0; 4], Missed::default()).is_empty());
    }

    #[test]
    fn each_loss_is_one_line_with_its_number_and_a_cure() {
        let lines = said([3, 7, 9, 11], Missed { recursion: 12, kprobe: 1 });
        assert_eq!(lines.len(), 6);
        assert!(lines[0].contains("stats was full (2048 elements), 3 ") && lines[0].contains("-DMAXMAPENTRIES=8192"));
        assert!(lines[1].contains("global stacks[8192]") && !lines[1].contains("-D"));
        assert!(lines[2].contains("9 stacks") && lines[2].contains("-DMAXBACKTRACE=127"));
        assert!(lines[3].contains("11 prints or handoffs lost"));
        assert!(lines[4].ends_with("12 events missed because the probe was already running on that CPU"));
        assert!(lines[5].contains("1 event missed"));
    }
}
