//! The kernel's debug information, by a program that poses as the kernel's file: places are where nm and addr2line see
//! them, as far away as the running kernel is from its file.

mod common;

use common::world::Small;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use tapster_compiler::check::Options;
use tapster_compiler::elf::{Elf, hexadecimal};
use tapster_compiler::image::{Attach, Image, Moment};
use tapster_compiler::world::{Features, Refusal, Rung, SlabCache, Wanted, World};
use tapster_lang::Diagnostic;
use tapster_lang::preprocess::Environment;

/// A kernel of three functions. The type of tasks is the kernel's own, that of jobs it does not know.
const SOURCE: &str = r#"__asm__(".globl _text\n_text:");
struct task_struct;
struct job { int number; struct task_struct *task; };
static inline __attribute__((always_inline)) int doubled(int number)
{
	__asm__ volatile("" : "+r"(number));
	return 2 * number;
}
static __attribute__((noinline)) int work(struct job *job)
{
	int sum = doubled(job->number);
	__asm__ volatile("nop" : "+r"(sum));
	if (sum > 7)
		goto out;
	sum += doubled(sum);
	__asm__ volatile("nop" : "+r"(sum));
out:
	__asm__ volatile("nop" : "+r"(sum));
	return sum;
}
int do_something(struct task_struct *task, int number, char *text)
{
	struct job job = { number, task };
	return work(&job);
}
"#;

/// How far the running kernel is from its file.
const MOVED: u64 = 0x1c00_0000;
/// Helpers of bpf(2) that read memory: the kernel's, and a process's.
const READ_KERNEL: i32 = 113;
const READ_USER: i32 = 112;

/// A machine with debug information for its kernel.
struct Machine {
    kernel: Small,
    folder: PathBuf,
    path: &'static str,
    file: Vec<u8>,
    symbols: String,
    build: Option<String>,
}

impl Machine {
    /// With its file at some path; `None` where nothing can be compiled.
    fn new(path: &'static str) -> Option<Machine> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let nth = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tapster-kernel-{}-{nth}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a place to write to");
        std::fs::write(folder.join("job.c"), SOURCE).expect("is written");
        let options = ["-g", "-O2", "-nostdlib", "-static", "-no-pie", "-fno-toplevel-reorder", "-fcf-protection=none"];
        let mut gcc = Command::new("gcc");
        gcc.args(options).args(["-Wl,-e,do_something", "-Wl,--build-id", "-o", "vmlinux", "job.c"]);
        assert!(gcc.current_dir(&folder).status().ok()?.success());
        let file = std::fs::read(folder.join("vmlinux")).expect("was made");
        let build = Elf::new(&file).and_then(|elf| elf.build_id().map(hexadecimal));
        let symbols =
            nm(&folder).iter().map(|(name, address)| format!("{:016x} T {name}\n", address + MOVED)).collect();
        Some(Machine { kernel: Small::new(), folder, path, file, symbols, build })
    }

    fn compile(&self, script: &str) -> Result<Image, Vec<Diagnostic>> {
        common::image(script.as_bytes(), &Environment::default(), self, &Options::default()).1
    }

    fn error(&self, script: &str) -> Diagnostic {
        self.compile(script).map(drop).expect_err("it cannot be had").remove(0)
    }

    /// Where a function is in the file.
    fn function(&self, name: &str) -> u64 {
        nm(&self.folder).into_iter().find(|(other, _)| other == name).expect("it is there").1
    }

    /// Functions and lines at an address in the running kernel, the inmost first.
    fn lines(&self, address: u64) -> Vec<(String, u32)> {
        let mut addr2line = Command::new("addr2line");
        addr2line.args(["-f", "-i", "-e", "vmlinux"]).arg(format!("{:#x}", address - MOVED)).current_dir(&self.folder);
        let said = String::from_utf8(addr2line.output().expect("binutils are there").stdout).expect("text");
        let lines: Vec<&str> = said.lines().collect();
        let line = |place: &str| place.rsplit(':').next()?.split(' ').next()?.parse().ok();
        lines.chunks(2).map(|pair| (pair[0].to_owned(), line(pair[1]).expect("a line"))).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Symbols of the file.
fn nm(folder: &Path) -> Vec<(String, u64)> {
    let said = Command::new("nm").arg("vmlinux").current_dir(folder).output().expect("binutils are there").stdout;
    let said = String::from_utf8(said).expect("text");
    let symbol = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        Some(((*words.get(2)?).to_owned(), u64::from_str_radix(words[0], 16).ok()?))
    };
    said.lines().filter_map(symbol).collect()
}

impl World for Machine {
    fn release(&self) -> &str {
        self.kernel.release()
    }

    fn build_id(&self) -> Option<String> {
        self.build.clone()
    }

    fn btf(&self, module: &str) -> Option<&[u8]> {
        self.kernel.btf(module)
    }

    fn features(&self) -> Features {
        self.kernel.features()
    }

    fn offers(&self, rung: Rung, wanted: &Wanted) -> Result<(), Refusal> {
        self.kernel.offers(rung, wanted)
    }

    fn offers_uprobe_multi(&self) -> Result<(), Refusal> {
        self.kernel.offers_uprobe_multi()
    }

    fn file(&self, path: &str) -> Option<&[u8]> {
        (path == self.path).then_some(&self.file)
    }

    fn executable(&self, _: &str) -> Option<String> {
        None
    }

    fn program_of(&self, _: u32) -> Option<String> {
        None
    }

    fn identity(&self, _: &str) -> Option<(u32, u64)> {
        None
    }

    fn library(&self, _: &str, _: &[String]) -> Option<String> {
        None
    }

    fn symbols(&self) -> Option<&str> {
        Some(&self.symbols)
    }

    fn has_unmerged_slab_cache(&self, _: &str) -> bool {
        false
    }

    fn slab_caches(&self) -> Option<Vec<SlabCache>> {
        None
    }
}

const BY_RELEASE: &str = "/usr/lib/debug/boot/vmlinux-6.18.0-small";

/// Where the programs of an image stand.
fn places(image: &Image) -> Vec<&str> {
    image.programs.iter().flat_map(|program| program.attach.functions()).map(String::as_str).collect()
}

fn addresses(image: &Image) -> Vec<u64> {
    let address = |place: &&str| u64::from_str_radix(place.strip_prefix("0x").expect("an address"), 16).expect("one");
    places(image).iter().map(address).collect()
}

/// Whether a helper is called.
fn calls(image: &Image, helper: i32) -> bool {
    const CALL: u8 = 0x85;
    let insns = image.programs.iter().flat_map(|program| &program.insns);
    insns.into_iter().any(|insn| insn.code == CALL && insn.regs >> 4 == 0 && insn.imm == helper)
}

#[test]
fn statements_are_where_others_see_their_lines() {
    let Some(machine) = Machine::new(BY_RELEASE) else { return };
    for line in [13, 16, 18] {
        let image =
            machine.compile(&format!("probe kernel.statement(\"work@job.c:{line}\") {{ println($sum, pp()) }}"));
        let image = image.expect("the line has code");
        let [address] = addresses(&image)[..] else { panic!("{:?}", places(&image)) };
        let seen = machine.lines(address);
        assert_eq!(seen.last(), Some(&("work".to_owned(), line)), "{seen:?}");
        assert!(image.programs[0].probe.ends_with(&format!("/job.c:{line}\")")), "{}", image.programs[0].probe);
    }
    let all = machine.compile("probe kernel.statement(\"work@job.c:*\") { println(pp()) }").expect("lines");
    assert!(addresses(&all).len() > 4);
    let near = machine.compile("probe kernel.statement(\"work@job.c:15-15\").nearest { println($sum) }");
    assert!(near.is_ok(), "{:?}", near.err());
}

#[test]
fn variables_lie_in_the_kernel_and_have_its_types() {
    let Some(machine) = Machine::new(BY_RELEASE) else { return };
    let script = "probe kernel.statement(\"work@job.c:11\") { printf(\"%d %d %s\", $job->number, $job->task->parent->pid, $job$) }";
    let image = machine.compile(script).expect("they are known");
    assert!(calls(&image, READ_KERNEL) && !calls(&image, READ_USER));
}

#[test]
fn copies_stand_in_the_functions_they_were_put_into() {
    let Some(machine) = Machine::new(BY_RELEASE) else { return };
    let image = machine.compile("probe kernel.function(\"doubled\").inline { println(pp(), $number) }").expect("two");
    let places = addresses(&image);
    assert_eq!(places.len(), 2, "{places:?}");
    for place in places {
        let seen: Vec<String> = machine.lines(place).into_iter().map(|(name, _)| name).collect();
        assert_eq!(seen.last().map(String::as_str), Some("work"), "{seen:?}");
    }
    let error = machine.error("probe kernel.function(\"work\").inline { println(pp()) }");
    assert_eq!(error.code, "probe::no-match");
}

#[test]
fn labels_are_known() {
    let Some(machine) = Machine::new(BY_RELEASE) else { return };
    let image = machine.compile("probe kernel.function(\"work\").label(\"o*\") { println(pp(), $sum) }").expect("out");
    let [address] = addresses(&image)[..] else { panic!("{:?}", places(&image)) };
    assert!((17..=19).contains(&machine.lines(address).last().expect("a line").1));
    let error = machine.error("probe kernel.function(\"work\").label(\"in\") { println(pp()) }");
    assert!(error.help.is_some_and(|help| help == "it has out"));
}

#[test]
fn functions_of_a_file_take_the_ladder() {
    let Some(machine) = Machine::new(BY_RELEASE) else { return };
    let one =
        machine.compile("probe kernel.function(\"do_something@job.c\").return { println($return, @entry($number)) }");
    let one = one.expect("it is there");
    assert!(one.programs.iter().any(|program| program.attach.moment() == Moment::Return));
    assert!(places(&one).iter().all(|place| *place == "do_something"), "{:?}", places(&one));
    let spans = machine.compile("probe kernel.function(\"*@job.c:14\").call { println(pp()) }").expect("work");
    assert_eq!(places(&spans), ["work"]);
    let all = machine.compile("probe kernel.function(\"*@job.c\").call { println(pp()) }").expect("both");
    assert_eq!(places(&all).len(), 2);
    let error = machine.error("probe kernel.function(\"work@other.c\") { println(pp()) }");
    assert!(error.help.is_some_and(|help| help.contains("job.c:9")), "it says where it is");
}

#[test]
fn names_that_several_functions_have_go_by_their_addresses() {
    let Some(mut machine) = Machine::new(BY_RELEASE) else { return };
    machine.symbols += "ffffffffa0000000 t work\n";
    let image = machine.compile("probe kernel.function(\"work@job.c\").call { println(pp()) }").expect("it is there");
    assert_eq!(addresses(&image), [machine.function("work") + MOVED]);
    assert!(matches!(image.programs[0].attach, Attach::Kprobe { .. }));
}

#[test]
fn files_of_other_builds_are_not_taken() {
    let script = "probe kernel.statement(\"work@job.c:13\") { println(pp()) }";
    let Some(mut machine) = Machine::new(BY_RELEASE) else { return };
    machine.build = Some("0123456789".into());
    let error = machine.error(script);
    assert_eq!(error.code, "probe::debuginfo");
    assert!(error.notes.iter().any(|note| note.contains("another build")), "{:?}", error.notes);
    machine.path = "/nowhere";
    let error = machine.error(script);
    let by_build = "/usr/lib/debug/.build-id/01/23456789.debug";
    assert!(error.notes.iter().any(|note| note.contains(BY_RELEASE) && note.contains(by_build)), "{:?}", error.notes);
    machine.path = by_build;
    machine.symbols = machine.symbols.lines().map(|line| format!("{:016x}{}\n", 0, &line[16..])).collect();
    machine.build = None;
    machine.path = BY_RELEASE;
    assert!(machine.error(script).notes.iter().any(|note| note.contains("kallsyms")), "addresses are hidden");
}
