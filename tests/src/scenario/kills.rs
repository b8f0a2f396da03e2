//! Kills of other kinds, as `oom-report.stp` and the kernel tell of them: of a whole group, and for machines.

use std::collections::BTreeSet;

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::oom::{Group, Watch, between, killed, near, number, same, strike};
use crate::scenario::records::Records;

/// A group that dies as one is one report, and all who died are named.
pub fn of_a_whole_group(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let group = Group::new(48)?;
    group.dies_as_one()?;
    let start = |mib, seconds| Running::start(&mut group.eat_for(env, mib, seconds)).map_err(|e| format!("eat: {e}"));
    let mut others = vec![];
    for _ in 0..3 {
        others.push(start(8, 3600)?.until_line("eaten", env.seconds(20))?.0);
    }
    let watch = Watch::start(env, &[])?;
    killed(start(100, 0)?, env)?;
    others.into_iter().try_for_each(|other| killed(other, env))?;
    let told = watch.end(env)?;
    let check = || -> Result<(), String> {
        let [report] = told.reports.as_slice() else { return Err("one report is due".into()) };
        let after = |text: &str, start: &str| {
            let ends = text.split(start).skip(1).map(|rest| rest.split([',', ' ', ')']).next().unwrap_or_default());
            ends.map(str::to_owned).collect::<BTreeSet<String>>()
        };
        let mut ours: BTreeSet<String> = told
            .end
            .lines()
            .filter(|line| line.starts_with("  with it "))
            .flat_map(|line| after(line, "(pid "))
            .collect();
        ours.insert(between(between(report, "  killed  ", "\n")?, "(pid ", ",")?.to_owned());
        let theirs = after(&told.kernel, "Killed process ");
        if ours == theirs && ours.len() == 4 {
            Ok(())
        } else {
            Err(format!("{ours:?} died; the kernel says {theirs:?}"))
        }
    };
    check().map_err(|why| told.transcript(&why))
}

/// `-f json`: figures and names of a report stand in arrays.
pub fn for_machines(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let group = Group::new(48)?;
    let told = strike(env, &["-f", "json"], &[group.eat(env, 100)])?;
    let (records, kernel) = (Records(&told.stdout), told.kernel.as_str());
    let value = |array: &str, what: &'static str| {
        records.elements(array, what).next().and_then(|element| element.split("\"value\":").nth(1)).unwrap_or_default()
    };
    let figure = |what| number(value("figure", what), "");
    let word = |what| between(value("words", what), "\"", "\"");
    let check = || -> Result<(), String> {
        same("victim", &figure("[1,\"victim, pid\"]")?.to_string(), between(kernel, "Killed process ", " ")?)?;
        same("cgroup", word("[1,\"cgroup\"]")?, between(kernel, "oom_memcg=", ",")?)?;
        same("order", &figure("[1,\"order\"]")?.to_string(), between(kernel, "order=", ",")?)?;
        same("asked by", word("[1,\"asked by\"]")?, "eat")?;
        near("anonymous", figure("[1,\"victim, anonymous bytes\"]")?, number(kernel, "anon-rss:")? << 10)?;
        near("page tables", figure("[1,\"victim, page table bytes\"]")?, number(kernel, "pgtables:")? << 10)
    };
    check().map_err(|why| told.transcript(&why))
}
