//! Instructions per hit, counted in a booted kernel where a nanosecond is an instruction.
//!
//! A load ([`LOAD`]) is measured without a tracer and under one. What the tracer adds to a call, divided among the hits
//! of the call, is the cost of a hit. How many hits an `open()` has is counted by a script of Tapster, not assumed.

use std::collections::BTreeMap;
use std::path::Path;

use tapster_tests::lab::image::Image;
use tapster_tests::lab::kernels::{Kernel, MATRIX};
use tapster_tests::lab::qemu::{self, Options, Said};
use tapster_tests::lab::{Scratch, session};
use tapster_tests::workspace;

use crate::skipped;
use crate::table::{Table, aim, count, nothing};

const KERNEL: &str = "6.1";

/// The program of this package that makes the calls; its name is the process's.
const LOAD: &str = "load";

/// Calls a repetition, and repetitions. With 500 calls the best repetition makes a hit look 6 % cheaper than with 4000:
/// a short one can escape work that comes only now and then, and part of what a tracer adds is there.
const CALLS: (u32, u32) = (4000, 10);

/// Counts the load's allocations by cache, under the probe that the slab script has.
const CACHES: &str = r#"global c
probe kernel.function("kmem_cache_alloc") { if (execname() == "load") c[kernel_string($cachep->name)] <<< 1 }
probe end { foreach (name in c) printf("%s:\t%d\n", name, @count(c[name])) }
"#;

const GETPPID: &str = r#"global c
probe kernel.function("__do_sys_getppid") { c[execname()] <<< 1 }
probe end { foreach (name in c) printf("%s:\t%d\n", name, @count(c[name])) }
"#;

/// What the guest runs: `under NAME LOAD TRACER…` prints the load's cost, and then what the tracer counted.
///
/// A tracer that does not attach in ten seconds is reported and ended, and none lives longer than thirty.
const JOB: &str = r#"
under() {
    name=$1 load=$2
    shift 2
    # The background shell truncates them too late: the last tracer would be seen as this one.
    rm -f /tmp/out /tmp/err
    tapster -v -T 30 "$@" >/tmp/out 2>/tmp/err &
    pid=$!
    tries=0
    until grep -qs ^attached /tmp/err; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then
            echo "failed $name: $(tr '\n' ' ' </tmp/err)"
            kill -9 $pid
            return
        fi
        sleep 0.05
    done
    cost=$(/add/load $load)
    kill -INT $pid
    wait $pid
    echo "cost $name: $cost"
    sed -n "s/^\([a-zA-Z0-9_:-]*\):\t\([0-9]*\)$/count $name \1: \2/p" /tmp/out
    sed -n "s/^WARNING: */warning $name: /p" /tmp/err
}
"#;

/// A figure that others have recorded. Their source is [`RECORDED`].
struct Others {
    c: &'static str,
    bpftrace: &'static str,
    systemtap: &'static str,
}

const NON_MATCH: Others = Others { c: "325", bpftrace: "1,422", systemtap: "1,450" };
const MATCH: Others = Others { c: "8,040", bpftrace: "22,790", systemtap: "81,600 *" };
const GETPPID_FENTRY: Others = Others { c: "429", bpftrace: "434", systemtap: "-" };
const GETPPID_KPROBE: Others = Others { c: "644", bpftrace: "649", systemtap: "711" };

const RECORDED: &str =
    "  C (libbpf, per-CPU hash), bpftrace (slab: 0.23 fentry; getppid: 0.27, 0.17 has 737 and 953) and SystemTap 4.8
  (kprobe): recorded constants, not measured now: the founders' measurements of 2026 on the same 6.1 under -icount.
  * it stopped itself: overload";

/// Boots, measures and prints.
pub fn run(tapster: &Path) {
    match told(tapster) {
        Ok((kernel, told)) => print(&kernel, &told),
        Err(error) => skipped(&format!("instructions per hit on Linux {KERNEL}"), &error),
    }
}

/// What the guest told.
#[derive(Debug, Default)]
struct Told {
    /// Instructions a call, by the name of the run.
    costs: BTreeMap<String, f64>,
    /// By the name of the run and of what was counted.
    counts: BTreeMap<String, f64>,
    /// Failures and warnings.
    remarks: Vec<String>,
}

fn told(tapster: &Path) -> Result<(Kernel, Told), String> {
    let row = MATRIX.iter().find(|row| row.name == KERNEL).ok_or("the lab does not know it")?;
    session::tools()?;
    let kernel = row.kernel()?;
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let initramfs = scratch.path().join("initramfs");
    image(tapster).and_then(|image| image.write(&initramfs)).map_err(|e| format!("initramfs: {e}"))?;
    let options = Options { icount: true, ..Options::default() };
    let boot = || qemu::boot(&kernel, &initramfs, &options).map_err(|e| e.to_string());
    let mut said = boot()?;
    if said.status.is_none() {
        // One guest in sixty hangs.
        said = boot()?;
    }
    let told = read(&said.stdout);
    if told.costs.is_empty() { Err(silence(&said)) } else { Ok((kernel, told)) }
}

fn silence(said: &Said) -> String {
    let last = said.console.lines().next_back().unwrap_or_default();
    format!("the guest gave no figure (status {:?}): {} {last}", said.status, said.stderr.trim())
}

fn image(tapster: &Path) -> std::io::Result<Image> {
    let mut image = Image::new(&job())?;
    image.program(tapster, "tapster")?;
    image.add(&workspace::binaries().join(LOAD))?;
    image.tree(&workspace::root().join("scripts"), "/scripts")?;
    image.text("/caches.stp", CACHES);
    image.text("/getppid.stp", GETPPID);
    Ok(image)
}

fn job() -> String {
    let (calls, repetitions) = CALLS;
    let (opens, getppids) = (format!("opens {calls} {repetitions}"), format!("getppid {calls} {repetitions}"));
    let slab = "--attach fentry /scripts/slab.stp";
    let runs = [
        format!("under caches '{opens}' --attach fentry /caches.stp"),
        format!("echo \"cost opens: $(/add/load {opens})\""),
        format!("under non-match '{opens}' {slab} vm_area_struct"),
        format!("under match '{opens}' {slab} filp"),
        format!("echo \"cost getppid: $(/add/load {getppids})\""),
        format!("under fentry '{getppids}' --attach fentry /getppid.stp"),
        format!("under kprobe '{getppids}' --attach kprobe /getppid.stp"),
    ];
    format!("{JOB}{}\n", runs.join("\n"))
}

fn read(stdout: &str) -> Told {
    let mut told = Told::default();
    for line in stdout.lines() {
        let figure = line.split_once(' ').and_then(|(kind, rest)| {
            let (name, value) = rest.rsplit_once(": ")?;
            Some((kind, name.to_owned(), value.trim().parse::<f64>().ok()?))
        });
        match figure {
            Some(("cost", name, value)) => drop(told.costs.insert(name, value)),
            Some(("count", name, value)) => drop(told.counts.insert(name, value)),
            _ => told.remarks.push(line.to_owned()),
        }
    }
    told
}

impl Told {
    fn cost(&self, name: &str) -> Result<f64, String> {
        self.costs.get(name).copied().ok_or_else(|| format!("the guest gave no figure for it ({name})"))
    }

    /// Caches from which every `open()` allocates, and how often.
    fn caches(&self) -> Vec<(&str, f64)> {
        let calls = f64::from(CALLS.0 * CALLS.1);
        self.counts
            .iter()
            .filter_map(|(name, total)| Some((name.strip_prefix("caches ")?, (total / calls).round())))
            .filter(|(_, times)| *times >= 1.0)
            .collect()
    }

    /// Hits of one `open()`.
    fn hits(&self) -> Result<f64, String> {
        let hits: f64 = self.caches().iter().map(|(_, times)| times).sum();
        if hits > 1.0 { Ok(hits) } else { Err("allocations of one open() could not be counted".into()) }
    }

    /// Instructions of one allocation of another cache.
    fn non_match(&self) -> Result<f64, String> {
        Ok((self.cost("non-match")? - self.cost("opens")?) / self.hits()?)
    }

    /// Instructions of one allocation that is counted, with its stack.
    fn matched(&self) -> Result<f64, String> {
        Ok(self.cost("match")? - self.cost("opens")? - (self.hits()? - 1.0) * self.non_match()?)
    }

    fn getppid(&self, rung: &str) -> Result<f64, String> {
        Ok(self.cost(rung)? - self.cost("getppid")?)
    }
}

fn print(kernel: &Kernel, told: &Told) {
    println!("\nInstructions per hit, {} in QEMU under -icount: guest nanoseconds", kernel.package);
    let mut table = Table::new(&["", "Tapster", "aim", "C", "bpftrace", "SystemTap"]);
    let rows = [
        ("slab.stp, another cache, fentry", told.non_match(), Some(350.0), NON_MATCH),
        ("slab.stp, match with stack, fentry", told.matched(), Some(8500.0), MATCH),
        ("getppid by execname, fentry", told.getppid("fentry"), None, GETPPID_FENTRY),
        ("getppid by execname, kprobe", told.getppid("kprobe"), None, GETPPID_KPROBE),
    ];
    let mut missing = vec![];
    for (name, figure, most, others) in rows {
        let (ours, aim) = match figure {
            Ok(figure) => (count(figure), aim(figure, most)),
            Err(error) => {
                missing.push((name, error));
                (nothing(), nothing())
            }
        };
        let others = [others.c, others.bpftrace, others.systemtap].map(str::to_owned);
        table.row([vec![name.to_owned(), ours, aim], others.to_vec()].concat());
    }
    print!("{table}");
    println!("{RECORDED}\n{}", basis(told));
    for remark in &told.remarks {
        println!("  the guest: {remark}");
    }
    for (name, error) in missing {
        skipped(name, &error);
    }
}

/// What the figures were computed from.
fn basis(told: &Told) -> String {
    let (calls, repetitions) = CALLS;
    let costs: Vec<String> = told.costs.iter().map(|(name, cost)| format!("{name} {}", count(*cost))).collect();
    let caches: Vec<String> = told.caches().iter().map(|(name, times)| format!("{name} {times}")).collect();
    let matched = told.counts.get("match load").copied().unwrap_or_default();
    format!(
        "  instructions a call, best of {repetitions} x {calls}: {}\n  allocations an open(), counted: {}; \
         the match run counted {} of filp by {LOAD} in {} calls",
        costs.join(", "),
        caches.join(", "),
        count(matched),
        count(f64::from(calls * repetitions)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "cost caches: 20000.50\ncount caches filp: 40013\ncount caches dentry: 40001\n\
                        count caches names_cache: 40000\ncount caches lsm_file_cache: 40000\ncount caches cred_jar: 7\n\
                        cost opens: 10475\ncost non-match: 11722\ncost match: 19037\nwarning match: 3 events lost\n";

    #[test]
    fn figures_follow_from_what_the_guest_said() {
        let told = read(SAID);
        assert_eq!(told.hits(), Ok(4.0));
        assert_eq!(told.non_match().map(f64::round), Ok(312.0));
        assert_eq!(told.matched().map(f64::round), Ok(7627.0));
        assert!(told.getppid("fentry").is_err());
        assert_eq!(told.remarks, ["warning match: 3 events lost"]);
    }
}
