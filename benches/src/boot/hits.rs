//! The slab script and a count by name, in instructions per hit, beside the same in C.
//!
//! What a tracer adds to a call, divided among the hits of the call, is the cost of a hit. How many hits an `open()` has
//! is counted by a script of Tapster, not assumed.

use super::{Answer, CALLS, Question, Run, Told, calls};
use crate::reference;
use crate::skipped;
use crate::table::{Table, count, nothing};

/// Counts the load's allocations by cache, under the probe that the slab script has.
const CACHES: &str = r#"global c
probe kernel.function("kmem_cache_alloc") { if (execname() == "load") c[kernel_string($cachep->name)] <<< 1 }
probe end { foreach (name in c) printf("%s:\t%d\n", name, @count(c[name])) }
"#;

/// Counts the load's calls of one function, which is all that the program in C stands at.
const FUNCTION: &str = r#"global c
probe kprobe.function(@1) { if (execname() == "load") c[@1] <<< 1 }
probe end { foreach (name in c) printf("%s:\t%d\n", name, @count(c[name])) }
"#;

const GETPPID: &str = r#"global c
probe kernel.function("__do_sys_getppid") { c[execname()] <<< 1 }
probe end { foreach (name in c) printf("%s:\t%d\n", name, @count(c[name])) }
"#;

/// Figures that others have recorded, by kernel: those of a bpftrace newer than the machine's, and SystemTap's.
struct Recorded {
    kernel: &'static str,
    non_match: [&'static str; 2],
    matched: [&'static str; 2],
    fentry: [&'static str; 2],
    kprobe: [&'static str; 2],
}

const RECORDED: [Recorded; 2] = [
    Recorded {
        kernel: "6.1",
        non_match: ["1,422", "1,450"],
        matched: ["22,790", "81,600 *"],
        fentry: ["434", "-"],
        kprobe: ["649", "711"],
    },
    Recorded {
        kernel: "7.2",
        non_match: ["648", "1,609"],
        matched: ["20,430", "74,000 *"],
        fentry: ["457", "-"],
        kprobe: ["659", "815"],
    },
];

const FOOT: &str =
    "  instructions; guests of one CPU in QEMU under -icount, best of 10 repetitions of 4,000 calls, all tools in one boot;
  slab.stp and its likes at fentry; C: benches/c; newer: bpftrace 0.23 (slab on 6.1) and 0.27, and SystemTap 4.8 and 5.6
  (kprobes), recorded on the same kernels in 2026, not measured now; * it stopped itself: overload
";

/// The function that C stands at, and the object that does.
fn place(kernel: &str) -> (&'static str, &'static str) {
    match kernel {
        "6.1" => ("slab_fentry", "kmem_cache_alloc"),
        _ => ("slab_fentry_noprof", "kmem_cache_alloc_noprof"),
    }
}

/// What is run for it.
pub fn question(kernel: &str) -> Question {
    let (opens, getppids) = (calls("opens"), calls("getppid"));
    let slab = "--attach fentry /scripts/slab.stp";
    let (object, function) = place(kernel);
    let mut question = Question {
        runs: vec![
            Run::tapster("caches", opens.clone(), "--attach fentry /caches.stp"),
            Run::tapster("one-function", opens.clone(), &format!("/function.stp {function}")),
            Run::alone("opens", opens.clone()),
            Run::tapster("non-match", opens.clone(), &format!("{slab} vm_area_struct")),
            Run::tapster("match", opens.clone(), &format!("{slab} filp")),
            Run::alone("getppid", getppids.clone()),
            Run::tapster("fentry", getppids.clone(), "--attach fentry /getppid.stp"),
            Run::tapster("kprobe", getppids.clone(), "--attach kprobe /getppid.stp"),
        ],
        scripts: vec![("caches.stp", CACHES), ("function.stp", FUNCTION), ("getppid.stp", GETPPID)],
        objects: vec![],
    };
    let slab = |cache: &str| {
        format!(
            "kfunc:{function} /str(args->s->name) == \"{cache}\"/ \
             {{ @[comm] = count(); @s[comm, str(args->s->name), kstack] = count(); }}"
        )
    };
    let count = |probe: &str| format!("{probe}:__do_sys_getppid {{ @[comm] = count(); }}");
    question.runs.extend([
        Run::bpftrace("b-non-match", opens.clone(), &slab("vm_area_struct")),
        Run::bpftrace("b-match", opens.clone(), &slab("filp")),
        Run::bpftrace("b-fentry", getppids.clone(), &count("kfunc")),
        Run::bpftrace("b-kprobe", getppids.clone(), &count("kprobe")),
    ]);
    let programs = [
        ("c-non-match", reference::of_cache(object, "vm_area_"), opens.clone(), format!("slab_function:{function}")),
        ("c-match", reference::object(object), opens, format!("slab_function:{function}")),
        ("c-fentry", reference::object("getppid_fentry"), getppids.clone(), "getppid:__do_sys_getppid".into()),
        ("c-kprobe", reference::object("getppid_kprobe"), getppids, "getppid:__do_sys_getppid".into()),
    ];
    for (name, object, load, program) in programs {
        match object {
            Ok(object) => {
                question.runs.push(Run::c(name, load, &object, &program));
                question.objects.push(object);
            }
            Err(error) => skipped(&format!("{name} on Linux {kernel}"), &error),
        }
    }
    question
}

/// The table of all kernels.
pub fn text(answers: &[Answer]) -> String {
    let mut out = String::from("Instructions per hit, in booted kernels\n");
    for (kernel, told) in answers {
        let mut table = Table::new(&[&kernel.package, "Tapster", "C", "ratio", "bpftrace 0.17", "newer", "SystemTap"]);
        let others = RECORDED.iter().find(|recorded| recorded.kernel == kernel.name);
        let getppid = |rung: &str| ["", "c-", "b-"].map(|tool| told.getppid(&format!("{tool}{rung}")));
        let rows = [
            (
                "slab.stp, another cache",
                [OURS, C, THEIRS].map(|runs| told.non_match(runs)),
                others.map(|o| o.non_match),
            ),
            ("slab.stp, match with stack", [OURS, C, THEIRS].map(|runs| told.matched(runs)), others.map(|o| o.matched)),
            ("getppid by execname, fentry", getppid("fentry"), others.map(|o| o.fentry)),
            ("getppid by execname, kprobe", getppid("kprobe"), others.map(|o| o.kprobe)),
        ];
        for (name, [ours, c, theirs], recorded) in rows {
            let ratio = ours.zip(c).map_or_else(nothing, |(ours, c)| format!("{:.2}", ours / c));
            let [ours, c, theirs] = [ours, c, theirs].map(|figure| figure.map_or_else(nothing, count));
            let recorded = recorded.unwrap_or(["-"; 2]).map(str::to_owned);
            table.row([vec![name.to_owned(), ours, c, ratio, theirs], recorded.to_vec()].concat());
        }
        out += &table.to_string();
        let caches: Vec<String> = told.caches("caches").map(|(name, times)| format!("{name} {times}")).collect();
        out += &format!("  allocations an open(), counted: {}\n", caches.join(", "));
    }
    out + FOOT
}

/// The runs of a tool over the slab script: another cache, a match, and what counts the hits that it has.
type Slab = [&'static str; 3];

const OURS: Slab = ["non-match", "match", "caches"];
const C: Slab = ["c-non-match", "c-match", "one-function"];
const THEIRS: Slab = ["b-non-match", "b-match", "one-function"];

impl Told {
    /// Caches from which every `open()` allocates, and how often, as a run counted them.
    fn caches<'a>(&'a self, run: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let calls = f64::from(CALLS.0 * CALLS.1);
        self.counts(run).map(move |(name, total)| (name, (total / calls).round())).filter(|(_, times)| *times >= 1.0)
    }

    /// Hits of one `open()`.
    fn hits(&self, run: &str) -> Option<f64> {
        let hits: f64 = self.caches(run).map(|(_, times)| times).sum();
        (hits > 1.0).then_some(hits)
    }

    /// Instructions of one allocation of another cache.
    fn non_match(&self, [other, _, counted]: Slab) -> Option<f64> {
        Some((self.cost(other)? - self.cost("opens")?) / self.hits(counted)?)
    }

    /// Instructions of one allocation that is counted, with its stack.
    fn matched(&self, runs: Slab) -> Option<f64> {
        let [_, matched, counted] = runs;
        Some(self.cost(matched)? - self.cost("opens")? - (self.hits(counted)? - 1.0) * self.non_match(runs)?)
    }

    fn getppid(&self, run: &str) -> Option<f64> {
        Some(self.cost(run)? - self.cost("getppid")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "cost caches: 20000.50\ncount caches filp: 40013\ncount caches dentry: 40001\n\
                        count caches names_cache: 40000\ncount caches lsm_file_cache: 40000\ncount caches cred_jar: 7\n\
                        cost opens: 10475\ncost non-match: 11722\ncost match: 19037\n";

    #[test]
    fn figures_follow_from_what_the_guest_said() {
        let told = Told::read(SAID);
        assert_eq!(told.hits("caches"), Some(4.0));
        assert_eq!(told.non_match(OURS).map(f64::round), Some(312.0));
        assert_eq!(told.matched(OURS).map(f64::round), Some(7627.0));
        assert_eq!(told.getppid("fentry"), None);
        assert_eq!(told.non_match(C), None);
    }
}
