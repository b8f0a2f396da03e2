//! The ways to stand at a function: what a hit costs on each, and how long it takes to attach.

use super::{Answer, Question, Run, calls};
use crate::peer::BPFTRACE;
use crate::table::{Table, count, nothing};

/// A way to stand at getppid().
struct Way {
    name: &'static str,
    /// Its name in runs.
    run: &'static str,
    options: &'static str,
    point: &'static str,
}

/// As most scripts would; user space stands at the function of the C library through which the load calls.
const WAYS: [Way; 8] = [
    Way { name: "fentry", run: "w-fentry", options: "--attach fentry", point: FUNCTION },
    Way { name: "fexit", run: "w-fexit", options: "--attach fentry", point: RETURN },
    Way { name: "kprobe.multi", run: "w-multi", options: "--attach kprobe.multi", point: FUNCTION },
    Way { name: "kprobe", run: "w-kprobe", options: "--attach kprobe", point: FUNCTION },
    Way { name: "kretprobe", run: "w-kretprobe", options: "--attach kprobe", point: RETURN },
    Way { name: "tp_btf sys_enter", run: "w-raw", options: "", point: "kernel.trace(\"sys_enter\")" },
    Way { name: "uprobe", run: "w-uprobe", options: "", point: LIBRARY },
    Way { name: "uretprobe", run: "w-uretprobe", options: "", point: LIBRARY_RETURN },
];

const FUNCTION: &str = r#"kernel.function("__do_sys_getppid")"#;
const RETURN: &str = r#"kernel.function("__do_sys_getppid").return"#;
const LIBRARY: &str = r#"process("/lib/x86_64-linux-gnu/libc.so.6").function("syscall")"#;
const LIBRARY_RETURN: &str = r#"process("/lib/x86_64-linux-gnu/libc.so.6").function("syscall").return"#;

/// What is attached, by how many functions match about: the run's name, the rung and the pattern.
const ATTACHED: [(&str, &str, &str); 7] = [
    ("a1-fentry", "fentry", "vfs_read"),
    ("a1-kprobe", "kprobe", "vfs_read"),
    ("a1-multi", "kprobe.multi", "vfs_read"),
    ("a100-fentry", "fentry", "vfs_*"),
    ("a100-kprobe", "kprobe", "vfs_*"),
    ("a100-multi", "kprobe.multi", "vfs_*"),
    ("a10000-multi", "kprobe.multi", "[a-d]*"),
];

/// Whole runs that attach, let a millisecond go by, and end: by the pattern of functions.
const WHOLE: [(&str, &str); 2] = [("1", "vfs_read"), ("100", "vfs_*")];

/// Adds the runs.
pub fn ask(question: &mut Question) {
    let getppids = calls("getppid");
    for Way { run, options, point, .. } in &WAYS {
        let scripts = [("empty", "next"), ("count", "c[execname()] <<< 1")];
        for (body, handler) in scripts {
            let script = format!("global c probe {point} {{ {handler} }} probe end {{ if (0) c[\"\"] <<< 1 }}");
            let arguments = format!("-w {options} -e '{script}'");
            question.runs.push(Run::tapster(&format!("{run}-{body}"), getppids.clone(), &arguments));
        }
    }
    for (run, rung, pattern) in ATTACHED {
        let script = format!("global c probe kernel.function(\"{pattern}\") {{ c++ }} probe end {{ println(c > 0) }}");
        question.runs.push(Run::tapster(run, "true".into(), &format!("-w --attach {rung} -e '{script}'")));
    }
    whole(question);
}

fn whole(question: &mut Question) {
    for (many, pattern) in WHOLE {
        let script = format!("global c probe kernel.function(\"{pattern}\") {{ c++ }} probe timer.ms(1) {{ exit() }}");
        question.runs.push(Run::whole(&format!("whole{many}"), &format!("tapster -w -e '{script}'")));
        let theirs = format!("kprobe:{pattern} {{ @ = count(); }} interval:ms:1 {{ exit(); }}");
        question.runs.push(Run::whole(&format!("b-whole{many}"), &format!("{BPFTRACE} -e '{theirs}'")));
    }
}

/// Instructions of a hit on each rung.
pub fn per_hit(answers: &[Answer]) -> String {
    let heads: Vec<String> = answers.iter().flat_map(|(kernel, _)| [kernel.name.to_owned(), "count".into()]).collect();
    let mut table = Table::new(&[&[""], &heads.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    for Way { name, run, .. } in &WAYS {
        let cells = answers.iter().flat_map(|(_, told)| {
            ["empty", "count"].map(|body| {
                let added = told.cost(&format!("{run}-{body}")).zip(told.cost("getppid"));
                added.map_or_else(nothing, |(under, alone)| count(under - alone))
            })
        });
        table.row([(*name).to_owned()].into_iter().chain(cells).collect());
    }
    format!(
        "Instructions that a probe adds to getppid(), with a handler that does nothing, and with c[execname()] <<< 1\n\
         {table}  -: this kernel does not have it; guests of one CPU under -icount, best of 10 repetitions of 4,000 calls\n"
    )
}

/// How long attaching takes.
pub fn attaching(answers: &[Answer]) -> String {
    let mut table = Table::new(&["", "functions", "rung", "million instructions"]);
    for (kernel, told) in answers {
        for (run, rung, _) in ATTACHED {
            let Some((probes, ms)) = told.figure("probes", run).zip(told.figure("ms", run)) else { continue };
            table.row(vec![kernel.name.to_owned(), count(probes), rung.to_owned(), count(ms)]);
        }
    }
    let mut runs = Table::new(&["", "functions", "Tapster", "bpftrace 0.17", "ratio"]);
    for (kernel, told) in answers {
        for (many, pattern) in WHOLE {
            let [ours, theirs] = ["", "b-"].map(|tool| told.cost(&format!("{tool}whole{many}")));
            let ratio = ours.zip(theirs).map_or_else(nothing, |(ours, theirs)| format!("{:.2}", ours / theirs));
            let [ours, theirs] = [ours, theirs].map(|ms| ms.map_or_else(nothing, count));
            runs.row(vec![kernel.name.to_owned(), pattern.to_owned(), ours, theirs, ratio]);
        }
    }
    format!(
        "From exec to attached, by the number of functions, in booted kernels\n{table}\n\
         Whole runs: attached, a millisecond, detached; kprobes for bpftrace, what the kernel has for Tapster\n{runs}  \
         guests of one CPU under -icount: a millisecond is a million instructions, of the tool and of the kernel\n"
    )
}
