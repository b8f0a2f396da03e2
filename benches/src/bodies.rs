//! Ten handlers, as Tapster compiles them and as clang compiles the same in C (`c/bodies.c`): eight-byte slots, as the
//! kernel counts instructions.

use std::path::{Path, PathBuf};

use crate::reference;
use crate::report::Report;
use crate::size;
use crate::table::{Table, count};

/// A handler: its name, its program in C, where it stands, and itself.
struct Body {
    name: &'static str,
    c: &'static str,
    place: &'static str,
    script: &'static str,
}

const SWITCH: &str = "sched_switch";

const BODIES: [Body; 10] = [
    Body {
        name: "count by execname()",
        c: "comm_count",
        place: SWITCH,
        script: r#"global a probe kernel.trace("sched_switch") { a[execname()] <<< 1 }
                   probe end { foreach (k in a) println(@count(a[k])) }"#,
    },
    Body {
        name: "sum by pid()",
        c: "keyed_sum",
        place: SWITCH,
        script: r#"global a probe kernel.trace("sched_switch") { a[pid()] <<< $next->prio }
                   probe end { foreach (k in a) println(@sum(a[k])) }"#,
    },
    Body {
        name: "histogram by cpu()",
        c: "histogram",
        place: SWITCH,
        script: r#"global a probe kernel.trace("sched_switch") { a[cpu()] <<< $next->prio }
                   probe end { foreach (k in a) print(@hist_log(a[k])) }"#,
    },
    Body {
        name: "filter by a string",
        c: "string_filter",
        place: "kmem_cache_alloc",
        script: r#"global n probe kernel.trace("kmem_cache_alloc") { if (kernel_string($s->name) == "dentry") n++ }
                   probe end { println(n) }"#,
    },
    Body {
        name: "count by backtrace()",
        c: "stack_count",
        place: SWITCH,
        script: r#"global a probe kernel.trace("sched_switch") { a[backtrace()] <<< 1 }
                   probe end { foreach (k in a) println(@count(a[k])) }"#,
    },
    Body {
        name: "walk through structures",
        c: "nested_walk",
        place: SWITCH,
        script: r#"global n
                   probe kernel.trace("sched_switch") { n += $next->group_leader->real_parent->signal->oom_score_adj }
                   probe end { println(n) }"#,
    },
    Body {
        name: "printf",
        c: "print",
        place: SWITCH,
        script: r#"probe kernel.trace("sched_switch") { printf("%d %s %d\n", pid(), execname(), $next->prio) }"#,
    },
    Body {
        name: "ternaries",
        c: "ternaries",
        place: SWITCH,
        script: r#"global a probe kernel.trace("sched_switch") {
                     b = $prev->prio; n = $next->prio
                     a[b > n ? (b > 100 ? 1 : 2) : (n > 100 ? 3 : b == n ? 4 : 5)] <<< 1
                   }
                   probe end { foreach (k in a) println(@sum(a[k])) }"#,
    },
    Body {
        name: "loop",
        c: "loop",
        place: SWITCH,
        script: r#"global a probe kernel.trace("sched_switch") {
                     p = $next->prio; s = 0
                     for (i = 0; i < p; i++) s += (s >> 3) ^ i
                     a[0] <<< s
                   }
                   probe end { foreach (k in a) println(@sum(a[k])) }"#,
    },
    Body {
        name: "array of strings",
        c: "names_of",
        place: SWITCH,
        script: r#"global a probe kernel.trace("sched_switch") { a[pid()] = execname() }
                   probe end { foreach (k in a) println(a[k]) }"#,
    },
];

/// Counts and reports.
pub fn run(tapster: &Path, report: &mut Report) {
    match text(tapster) {
        Ok(text) => report.block("bodies", &text),
        Err(error) => report.skipped("ten handlers against C", &error),
    }
}

fn text(tapster: &Path) -> Result<String, String> {
    let [same, plain] = [sizes_in_c(reference::with_promises)?, sizes_in_c(reference::object)?];
    let mut table =
        Table::new(&["eight-byte slots", "Tapster", "C, same promises", "ratio", "aim", "C as written", "ratio"]);
    let mut sums = [0.0; 3];
    for body in &BODIES {
        let (_, ours) = size::program(tapster, body.script).map_err(|error| format!("{}: {error}", body.name))?;
        let sizes = [ours, size_of(&same, body.c)?, size_of(&plain, body.c)?];
        sums.iter_mut().zip(sizes).for_each(|(sum, size)| *sum += size);
        table.row(row(body.name, sizes, 1.15));
    }
    table.row(row("together", sums, 1.0));
    Ok(format!("Ten handlers, as clang -O2 and Tapster compile them\n{table}"))
}

/// Functions in C with their slots, once the verifier has accepted them.
fn sizes_in_c(compile: fn(&str) -> Result<PathBuf, String>) -> Result<Vec<(String, f64)>, String> {
    let object = compile("bodies")?;
    verify(&object)?;
    sizes(&object)
}

fn size_of(functions: &[(String, f64)], name: &str) -> Result<f64, String> {
    let found = functions.iter().find(|(function, _)| function == name);
    found.map(|(_, size)| *size).ok_or_else(|| format!("bodies.c has no {name}"))
}

fn row(name: &str, [ours, same, plain]: [f64; 3], most: f64) -> Vec<String> {
    let (ratio, beside_plain) = (ours / same, ours / plain);
    let met = if ratio <= most { "met" } else { "missed" };
    let (ratio, aim) = (format!("{ratio:.2}"), format!("≤ {most:.2}: {met}"));
    vec![name.to_owned(), count(ours), count(same), ratio, aim, count(plain), format!("{beside_plain:.2}")]
}

/// Has the kernel's verifier see the C programs: one that cannot run is no reference.
fn verify(object: &Path) -> Result<(), String> {
    let programs: Vec<String> = BODIES.iter().map(|body| format!("{}:{}", body.c, body.place)).collect();
    let mut loader = std::process::Command::new(reference::loader());
    let output = loader.arg("--load").arg(object).args(programs).output().map_err(|e| format!("reference: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Functions of an object, with their slots.
fn sizes(object: &Path) -> Result<Vec<(String, f64)>, String> {
    let bytes = std::fs::read(object).map_err(|e| format!("{}: {e}", object.display()))?;
    let object = aya_obj::Object::parse(&bytes).map_err(|e| format!("{}: {e}", object.display()))?;
    Ok(object.functions.values().map(|f| (f.name.clone(), f.instructions.len() as f64)).collect())
}
