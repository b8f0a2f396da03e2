//! `oom-report.stp` says of an OOM kill what the kernel's own report says of it.

use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::scripts::script;

/// Bytes by which a figure of memory may differ.
///
/// Counters of pages are per CPU and brought together by batches of 32 to 125 pages, we read them some microseconds after
/// the kernel printed them, and three digits of ours are shown.
const TOLERANCE: u64 = 1 << 20;

/// A cgroup at its limit: its path, its limit and what it holds are named, the victim is measured before it dies.
pub fn of_a_cgroup(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let group = Group::new(48)?;
    let told = strike(env, &[], &[group.eat(env, 100)])?;
    let [report] = told.reports.as_slice() else { return Err(told.transcript("one report is due")) };
    let kernel = told.kernel.as_str();
    let check = || -> Result<(), String> {
        let path = between(kernel, "oom_memcg=", ",")?;
        same("verdict", between(report, "cgroup ", " is at its limit")?, path)?;
        same("limit", between(report, "its limit of ", ":")?, "48.0 MB")?;
        victim(report, kernel)?;
        near("group", size(between(report, "cgroup  ", " used")?)?, 48 << 20)?;
        let anonymous = number(kernel, "\nanon ").or_else(|_| number(kernel, "total_rss "));
        near("its processes", size(between(report, "used: processes ", ",")?)?, anonymous?)
    };
    check().map_err(|why| told.transcript(&why))
}

/// The machine at its end: memory by kind is what the kernel printed.
pub fn of_the_machine(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let mut eat = env.bare(&env.helpers.join("eat"));
    eat.arg("4000");
    let told = strike(env, &[], &[eat])?;
    let [report] = told.reports.as_slice() else { return Err(told.transcript("one report is due")) };
    let kernel = told.kernel.as_str();
    let pages = |names: &[&str]| names.iter().map(|name| number(kernel, name)).sum::<Result<u64, String>>();
    let check = || -> Result<(), String> {
        between(report, "processes hold ", "look at the processes")?;
        victim(report, kernel)?;
        let user = between(report, "    user ", "\n")?;
        near(
            "anonymous",
            size(between(user, "anonymous ", ",")?)?,
            pages(&["\nactive_anon:", " inactive_anon:"])? << 12,
        )?;
        near("shared", size(between(user, "shared memory ", " of")?)?, pages(&["shmem:"])? << 12)?;
        let slab = pages(&["slab_reclaimable:", "slab_unreclaimable:"])? << 12;
        near("slab", size(between(report, "  slab ", " (")?)?, slab)?;
        near(
            "reclaimable",
            size(between(between(report, "  slab ", "\n")?, " (", " reclaimable")?)?,
            pages(&["slab_reclaimable:"])? << 12,
        )?;
        near(
            "page tables",
            size(between(report, "reclaimable), page tables ", ",")?)?,
            pages(&["pagetables:"])? << 12,
        )?;
        near("free", size(between(report, "; free ", " (")?)?, pages(&["\n free:"])? << 12)?;
        let all = before(kernel, " pages RAM")? - before(kernel, " pages reserved")?;
        near("all", size(between(report, "  memory  ", ";")?)?, all << 12)
    };
    check().map_err(|why| told.transcript(&why))
}

/// Half of memory is free, but hardly two pages in a row: the verdict says so, and what compaction came to.
pub fn of_scattered_memory(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let memory = fs::read_to_string("/proc/meminfo").map_err(|e| e.to_string())?.replace(' ', "");
    let scattered = (number(&memory, "MemAvailable:")? >> 10).saturating_sub(120);
    let mut leak = env.bare(&env.helpers.join("leak"));
    leak.args(["keep", &scattered.to_string(), "0", "scattered"]);
    let failed = compactions()?;
    let told = strike(env, &[], &[leak])?;
    let failed = compactions()? - failed;
    let [report] = told.reports.as_slice() else { return Err(told.transcript("one report is due")) };
    let check = || -> Result<(), String> {
        victim(report, &told.kernel)?;
        let verdict = between(report, "\n", ": memory is fragmented")?;
        // Every other page was given back, and the most was taken for their tables.
        let free = size(verdict.split(" are free").next().unwrap_or_default())?;
        if free < (scattered << 20) / 4 {
            return Err(format!("{free} bytes are free of {scattered} MiB whose half was given back"));
        }
        near("free", size(between(report, "; free ", " (")?)?, number(&told.kernel, "\n free:")? << 12)?;
        let order: usize = between(report, "(order ", ")")?.parse().map_err(|e| format!("order: {e}"))?;
        near("small blocks", our_blocks(report, order)?, kernels_blocks(&told.kernel, order)?)?;
        // Compaction is asked for before anybody is killed, unless it was put off; the kernel counts a failure then.
        let tried = between(report, "  compaction in the last two minutes:", "\n")?;
        if order > 0 && failed > 0 && tried.contains("made no block free") {
            return Ok(());
        }
        Err(format!("order {order}, {failed} failures by the kernel's count, and we say:{tried}"))
    };
    check().map_err(|why| told.transcript(&why))
}

/// How often compaction gave a process no block.
fn compactions() -> Result<u64, String> {
    number(&fs::read_to_string("/proc/vmstat").map_err(|e| format!("/proc/vmstat: {e}"))?, "\ncompact_fail ")
}

/// Bytes that are free in blocks of less than 2^`order` pages: `4k:13 8k:17 … 1M:2`.
fn our_blocks(report: &str, order: usize) -> Result<u64, String> {
    let (_, last) = report.split_once("  free blocks  ").ok_or("no line of free blocks")?;
    let counts: Result<Vec<u64>, _> = last.split_whitespace().map(|block| number(block, ":")).collect();
    Ok(counts?.iter().take(order).enumerate().map(|(order, count)| count << (12 + order)).sum())
}

/// The same of all zones: `Node 0 DMA32: 13*4kB (UM) 17*8kB … = 1234kB`.
fn kernels_blocks(kernel: &str, order: usize) -> Result<u64, String> {
    let zones = kernel.lines().filter(|line| line.starts_with("Node ") && line.contains("*4kB "));
    let blocks = zones.flat_map(|line| line.split(' ')).filter_map(|word| word.split_once('*'));
    let sized =
        blocks.map(|(count, size)| Ok((number(&format!(" {count}"), " ")?, number(&format!(" {size}"), " ")? << 10)));
    let sized: Result<Vec<(u64, u64)>, String> = sized.collect();
    Ok(sized?.iter().filter(|(_, size)| *size < 4096 << order).map(|(count, size)| count * size).sum())
}

/// A dozen reports in full, and the number of the others.
pub fn reports_are_rationed(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let group = Group::new(8)?;
    let meals: Vec<Command> = (0..15).map(|_| group.eat(env, 30)).collect();
    let told = strike(env, &[], &meals)?;
    let hidden = between(&told.end, "\n", " more kills were not shown").map_err(|why| told.transcript(&why))?.trim();
    match (told.reports.len(), hidden) {
        (12, "3") => Ok(()),
        (shown, hidden) => Err(told.transcript(&format!("{shown} reports, {hidden} not shown"))),
    }
}

/// Whom the kernel killed, with how much memory, and what was asked for.
pub(super) fn victim(report: &str, kernel: &str) -> Result<(), String> {
    let killed = between(report, "  killed  ", "\n")?;
    same("victim", between(killed, "(pid ", ",")?, between(kernel, "Killed process ", " ")?)?;
    for (ours, theirs) in
        [("anonymous ", "anon-rss:"), ("file ", "file-rss:"), ("shared ", "shmem-rss:"), ("page tables ", "pgtables:")]
    {
        near(theirs, size(between(killed, ours, ",")?)?, number(kernel, theirs)? << 10)?;
    }
    let asked = between(report, "   asked  ", "\n")?;
    same("order", between(asked, "(order ", ")")?, between(kernel, "order=", ",")?)?;
    let sorted = |flags: &str| {
        let mut names: Vec<String> = flags.split('|').map(str::to_owned).collect();
        names.sort();
        names.join("|")
    };
    let ours = asked.rsplit(": ").next().unwrap_or_default();
    let (mask, theirs) = between(kernel, "gfp_mask=0x", "),")?.split_once('(').ok_or("flags without names")?;
    let theirs =
        if kernel.contains("constraint=CONSTRAINT_MEMCG") { &of_a_cgroups_charge(mask, theirs)? } else { theirs };
    same("flags", &sorted(ours), &sorted(theirs))
}

/// The flags without those that reclaim in a cgroup sets for everybody, whoever asked, and which the script leaves out.
fn of_a_cgroups_charge(mask: &str, names: &str) -> Result<String, String> {
    const ANY_PAGE: u64 = 0x10_000a;
    let mask = u64::from_str_radix(mask, 16).map_err(|e| format!("flags `{mask}`: {e}"))?;
    // __GFP_RECLAIM|__GFP_IO|__GFP_FS
    if mask & !ANY_PAGE == 0xcc0 {
        return Ok("GFP_KERNEL".to_owned());
    }
    let any_page = ["__GFP_HIGHMEM", "__GFP_MOVABLE", "__GFP_HARDWALL"];
    Ok(names.split('|').filter(|name| !any_page.contains(name)).collect::<Vec<&str>>().join("|"))
}

/// What was said of kills.
pub(super) struct Told {
    pub reports: Vec<String>,
    pub end: String,
    /// All that the script printed.
    pub stdout: String,
    pub kernel: String,
}

impl Told {
    pub fn transcript(&self, why: &str) -> String {
        format!("{why}\n--- the script\n{}\n--- kernel\n{}", self.stdout, self.kernel)
    }
}

/// The script at work, and the kernel's log meanwhile.
pub(super) struct Watch {
    log: Log,
    running: Running,
}

impl Watch {
    pub fn start(env: &Env, options: &[&str]) -> Result<Watch, String> {
        let log = Log::from_now()?;
        let mut command = env.command();
        command.arg("-v").args(options).arg(script("oom-report.stp")?);
        let running = Running::start(&mut command).map_err(|e| format!("tapster: {e}"))?;
        let (running, _) = running.until_line("attached", env.seconds(20))?;
        Ok(Watch { log, running })
    }

    pub fn end(mut self, env: &Env) -> Result<Told, String> {
        self.running.signal(libc::SIGINT);
        let printed = self.running.finish(env.seconds(20))?;
        if printed.exit != 0 {
            return Err(printed.transcript());
        }
        let stdout = printed.stdout;
        let (all, end) = stdout.rfind("\n  free blocks ").map_or((stdout.as_str(), ""), |at| {
            let line = stdout[at + 1..].find('\n').map_or(stdout.len(), |length| at + 1 + length);
            stdout.split_at(line)
        });
        let reports = all.split("\nOUT OF MEMORY").skip(1).map(str::to_owned).collect();
        Ok(Told { reports, end: end.to_owned(), kernel: self.log.read()?, stdout })
    }
}

/// Runs the script while these commands are killed.
pub(super) fn strike(env: &Env, options: &[&str], meals: &[Command]) -> Result<Told, String> {
    let watch = Watch::start(env, options)?;
    for meal in meals {
        let mut again = Command::new(meal.get_program());
        killed(Running::start(again.args(meal.get_args())).map_err(|e| format!("eat: {e}"))?, env)?;
    }
    watch.end(env)
}

/// Waits until it was.
pub(super) fn killed(eating: Running, env: &Env) -> Result<(), String> {
    let ended = eating.finish(env.seconds(60))?;
    if ended.exit == -libc::SIGKILL { Ok(()) } else { Err(format!("eat was not killed: {}", ended.transcript())) }
}

/// A memory cgroup of our own, gone when dropped.
#[derive(Debug)]
pub struct Group(PathBuf);

impl Group {
    /// One that may have so many MiB.
    pub fn new(mib: u64) -> Result<Group, String> {
        let (root, limit) = hierarchy()?;
        let group = Group(root.join(format!("tapster-{}", std::process::id())));
        fs::create_dir(&group.0).map_err(|e| format!("{}: {e}", group.0.display()))?;
        fs::write(group.0.join(limit), (mib << 20).to_string()).map_err(|e| format!("{limit}: {e}"))?;
        Ok(group)
    }

    /// Whoever of the group is killed, all of it dies.
    pub fn dies_as_one(&self) -> Result<(), String> {
        fs::write(self.0.join("memory.oom.group"), "1").map_err(|e| format!("memory.oom.group: {e}"))
    }

    /// Eats in the group.
    pub fn eat(&self, env: &Env, mib: u64) -> Command {
        self.eat_for(env, mib, 0)
    }

    /// And holds it for so many seconds.
    pub fn eat_for(&self, env: &Env, mib: u64, seconds: u64) -> Command {
        let mut shell = Command::new("/bin/sh");
        let eat = env.helpers.join("eat");
        let line = format!("echo $$ > {}/cgroup.procs && exec {} {mib} {seconds}", self.0.display(), eat.display());
        shell.arg("-c").arg(line);
        shell
    }
}

impl Group {
    /// Its `memory.stat`, a line break before each line.
    pub fn stat(&self) -> Result<String, String> {
        let text = fs::read_to_string(self.0.join("memory.stat")).map_err(|e| format!("memory.stat: {e}"))?;
        Ok(format!("\n{text}"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its last process may still be on its way out; an empty group holds nothing.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Where memory groups are, and what their limit is called; mounts them where nobody has.
fn hierarchy() -> Result<(PathBuf, &'static str), String> {
    let mounts = fs::read_to_string("/proc/mounts").map_err(|e| format!("/proc/mounts: {e}"))?;
    let rows: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
    let of = |kind: &str, option: &str| {
        let row =
            rows.iter().find(|row| row[2] == kind && row[3].split(',').any(|word| option.is_empty() || word == option));
        row.map(|row| PathBuf::from(row[1]))
    };
    if let Some(old) = of("cgroup", "memory") {
        return Ok((old, "memory.limit_in_bytes"));
    }
    let root = of("cgroup2", "").map_or_else(mount, Ok)?;
    fs::write(root.join("cgroup.subtree_control"), "+memory").map_err(|e| format!("cgroup.subtree_control: {e}"))?;
    Ok((root, "memory.max"))
}

fn mount() -> Result<PathBuf, String> {
    let root = Path::new("/tmp/cgroup");
    fs::create_dir_all(root).map_err(|e| format!("{}: {e}", root.display()))?;
    let mounted = Command::new("mount").args(["-t", "cgroup2", "none"]).arg(root).status();
    if mounted.is_ok_and(|status| status.success()) { Ok(root.into()) } else { Err("cgroup2 cannot be mounted".into()) }
}

/// The kernel's log, from a moment on.
struct Log(fs::File);

impl Log {
    fn from_now() -> Result<Log, String> {
        let open = fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
        let mut file = open.map_err(|e| format!("/dev/kmsg: {e}"))?;
        file.seek(SeekFrom::End(0)).map_err(|e| format!("/dev/kmsg: {e}"))?;
        Ok(Log(file))
    }

    /// The messages since, a line each: what stands before their text is left out.
    fn read(&mut self) -> Result<String, String> {
        let (mut text, mut record) = (String::from("\n"), [0; 8192]);
        loop {
            match self.0.read(&mut record) {
                // Newlines within a message are escaped.
                Ok(length) => text += &message(&String::from_utf8_lossy(&record[..length])).replace("\\x0a", "\n"),
                // Older messages made room for newer ones: what is left is read on.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(text),
                Err(error) => return Err(format!("/dev/kmsg: {error}")),
            }
        }
    }
}

/// `6,339,5140900,-;text`, its newline included; lines with facts of devices may follow.
fn message(record: &str) -> &str {
    let text = record.split_once(';').map_or("", |(_, text)| text);
    text.find('\n').map_or(text, |end| &text[..=end])
}

/// What stands between two texts.
pub fn between<'a>(text: &'a str, start: &str, end: &str) -> Result<&'a str, String> {
    let rest = text.split_once(start).map(|(_, rest)| rest);
    let found = rest.and_then(|rest| rest.split_once(end)).map(|(found, _)| found);
    found.ok_or_else(|| format!("nothing stands between `{start}` and `{end}`"))
}

/// The number that stands behind some words.
pub fn number(text: &str, start: &str) -> Result<u64, String> {
    let rest = text.split_once(start).map(|(_, rest)| rest).ok_or_else(|| format!("no `{start}`"))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| format!("no number behind `{start}`"))
}

/// The number that stands before some words.
fn before(text: &str, end: &str) -> Result<u64, String> {
    let rest = text.split_once(end).map(|(rest, _)| rest).ok_or_else(|| format!("no `{end}`"))?;
    let word = rest.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    word.parse().map_err(|_| format!("no number before `{end}`"))
}

/// `402.3 MB`
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_once(' ').ok_or_else(|| format!("`{text}` is no size"))?;
    let unit = ["B", "kB", "MB", "GB"].iter().position(|name| *name == unit).ok_or_else(|| format!("unit `{unit}`"))?;
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is no size"))?;
    Ok((number * f64::from(1_u32 << (10 * unit))) as u64)
}

pub(super) fn same(what: &str, ours: &str, theirs: &str) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: `{ours}`, the kernel says `{theirs}`")) }
}

pub(super) fn near(what: &str, ours: u64, theirs: u64) -> Result<(), String> {
    let close = ours.abs_diff(theirs) <= TOLERANCE;
    if close { Ok(()) } else { Err(format!("{what}: {ours} bytes, the kernel says {theirs}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sizes_are_found() {
        assert_eq!(number("free:1223 free_pcp:375", "free:"), Ok(1223));
        assert_eq!(before("\n130974 pages RAM", " pages RAM"), Ok(130_974));
        assert_eq!(size("1.5 MB"), Ok(3 << 19));
        assert_eq!(message("6,339,5140900,-;a;b\n SUBSYSTEM=x\n"), "a;b\n");
        assert!(near("x", 5 << 20, 7 << 20).is_err());
    }
}
