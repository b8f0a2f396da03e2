//! System calls: their variables against SystemTap's library, and against the arguments that a program passed.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use crate::case::expect::Printed;
use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::truth::tapset::{self, Known};

/// Variables of SystemTap's that are not there, and why.
const MISSING: &[(&str, &str, &str)] = &[
    ("mkdirat", "pahtname_unquoted", "a slip of the pen, for pathname_unquoted, which is there"),
    ("get_thread_area", "u_info_str", "programs of 64 bits have no such call: it fails whatever lies there"),
    ("set_thread_area", "u_info_str", "programs of 64 bits have no such call: it fails whatever lies there"),
];

/// Each variable that SystemTap has for a system call is there, and a string where its is one.
pub fn variables_are_systemtaps(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let theirs = tapset::calls()?;
    let ours = listed(env)?;
    let mut wrong = Vec::new();
    let mut elsewhere = "probe begin { exit() }\n".to_owned();
    for (name, known) in &theirs {
        let Some(ours) = ours.get(name) else {
            elsewhere += &format!("probe syscall.{name}, nd_syscall.{name}.return {{ next }}\n");
            continue;
        };
        for (variable, theirs) in &known.variables {
            let is_missing = MISSING.iter().any(|(call, missing, _)| call == name && missing == variable);
            match ours.get(variable) {
                None if !is_missing => wrong.push(format!("syscall.{name} has no {variable}")),
                Some(is_text) if *is_text != theirs.is_text => {
                    wrong.push(format!(
                        "{variable} of syscall.{name} is a {}",
                        if *is_text { "string" } else { "number" }
                    ));
                }
                _ => {}
            }
        }
    }
    if theirs.len() < 300 || ours.len() < 300 {
        wrong.push(format!("{} calls in SystemTap's library, {} of ours: too few", theirs.len(), ours.len()));
    }
    // What is of other architectures may be named, as a script for several of them does.
    let checked = env.command().args(["-p2", "-e", &elsewhere]).output().map_err(|e| format!("tapster: {e}"))?;
    if !checked.status.success() {
        wrong.push(String::from_utf8_lossy(&checked.stderr).into_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// The variables of all calls, as `-L` says them; true for strings.
fn listed(env: &Env) -> Result<HashMap<String, HashMap<String, bool>>, String> {
    let output = env.command().args(["-L", "syscall.*"]).output().map_err(|e| format!("tapster: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let of_line = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next()?.strip_prefix("syscall.")?.to_owned();
        let variables = words.filter_map(|word| word.split_once(':'));
        Some((name, variables.map(|(name, kind)| (name.to_owned(), kind == "string")).collect()))
    };
    Ok(text.lines().filter_map(of_line).collect())
}

/// Calls that are not made with arguments that mean nothing.
const NOT_ASKED: &[(&str, &str)] = &[("clone", "makes a process with whatever flags it is given")];
/// Calls that are looked at in one run.
const AT_ONCE: usize = 80;

/// Numbers are those that a program passed, of the width that SystemTap takes, at both ends of a call.
pub fn arguments_are_those_passed(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let numbers = numbers()?;
    let passed = passed(env)?;
    let ours = listed(env)?;
    let theirs: Vec<(String, Known)> =
        tapset::calls()?.into_iter().filter(|(name, _)| ours.contains_key(name)).collect();
    let asked: Vec<Asked> = theirs.iter().filter_map(|(name, known)| Asked::new(name, known, &numbers)).collect();
    if asked.len() < 250 {
        return Err(format!("{} calls: too few", asked.len()));
    }
    let mut wrong = Vec::new();
    for some in asked.chunks(AT_ONCE) {
        let printed = run(env, some, &passed)?;
        for call in some {
            for number in &call.numbers {
                for end in ["begins", "ends"] {
                    let expected = format!("{} {number} {end}{}", call.name, call.values(&passed));
                    let start = format!("{} {number} {end} ", call.name);
                    let lines = || printed.lines().filter(|line| line.starts_with(&start));
                    match lines().find(|line| *line == expected).or_else(|| lines().next()) {
                        Some(line) if line == expected => {}
                        // No result comes of a call that ends the process.
                        None if end == "ends" && call.name.starts_with("exit") => {}
                        line => wrong.push(format!("expected {expected}\nprinted  {}", line.unwrap_or("nothing"))),
                    }
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// A call that is looked at.
struct Asked {
    name: String,
    /// Its numbers.
    numbers: Vec<i64>,
    /// Its variables, the arguments that they hold, and how much of them.
    variables: Vec<(String, usize, String)>,
}

impl Asked {
    fn new(name: &str, known: &Known, numbers: &HashMap<String, i64>) -> Option<Asked> {
        let made = |name: &&String| !NOT_ASKED.iter().any(|(call, _)| call == name);
        let of_name = |kernel: &String| numbers.get(kernel).copied();
        let found: Vec<i64> = known.kernel_names.iter().filter(made).filter_map(of_name).collect();
        let argument = |(name, variable): (&String, &tapset::Variable)| {
            let (nth, width) = variable.argument.clone()?;
            Some((name.clone(), nth, width))
        };
        let variables: Vec<_> = known.variables.iter().filter_map(argument).collect();
        let some = !found.is_empty() && !variables.is_empty();
        some.then(|| Asked { name: name.to_owned(), numbers: found, variables })
    }

    /// A probe at each end, for calls whose sixth register is what the program put there.
    fn probes(&self, sixth: i64) -> String {
        let format: String = self.variables.iter().map(|(name, ..)| format!(" {name}=%d")).collect();
        let values: String = self.variables.iter().map(|(name, ..)| format!(", {name}")).collect();
        let name = &self.name;
        let probe = |point: &str, end: &str| {
            format!(
                "probe {point} {{ if ($regs->r9 == {sixth}) printf(\"{name} %d {end}{format}\\n\", $regs->orig_ax{values}) }}\n"
            )
        };
        probe(&format!("syscall.{name}"), "begins") + &probe(&format!("nd_syscall.{name}.return"), "ends")
    }

    fn values(&self, passed: &[i64]) -> String {
        let value = |(name, nth, width): &(String, usize, String)| {
            let passed = passed[nth - 1];
            let value = match width.as_str() {
                "int" | "int32" => i64::from(passed as i32),
                "uint" | "u32" => i64::from(passed as u32),
                _ => passed,
            };
            format!(" {name}={value}")
        };
        self.variables.iter().map(value).collect()
    }
}

/// Has the calls made, and gives what was printed.
fn run(env: &Env, some: &[Asked], passed: &[i64]) -> Result<String, String> {
    let script: String = some.iter().map(|call| call.probes(passed[5])).collect();
    let numbers: Vec<String> = some.iter().flat_map(|call| &call.numbers).map(ToString::to_string).collect();
    let arguments = ["-e", &script, "-c", &format!("asker {}", numbers.join(" "))];
    undisturbed(env, &arguments).map(|printed| printed.stdout)
}

/// Runs Tapster until it says nothing of events that it missed, as it does on a machine that is busy.
fn undisturbed(env: &Env, arguments: &[&str]) -> Result<Printed, String> {
    const TRIES: usize = 5;
    let mut said = String::new();
    for _ in 0..TRIES {
        let running = Running::start(env.command().args(arguments)).map_err(|e| format!("tapster: {e}"))?;
        let printed = running.finish(env.seconds(60))?;
        if printed.stderr.is_empty() {
            return Ok(printed);
        }
        said = printed.transcript();
    }
    Err(format!("{TRIES} times something was said, at last\n{said}"))
}

/// The arguments of each call that the program makes.
fn passed(env: &Env) -> Result<Vec<i64>, String> {
    let output = Command::new(env.helpers.join("asker")).output().map_err(|e| format!("asker: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<i64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if numbers.len() == 6 { Ok(numbers) } else { Err(format!("asker said {text}")) }
}

/// The numbers of the kernel's calls, as its headers for programs have them.
fn numbers() -> Result<HashMap<String, i64>, String> {
    const HEADER: &str = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";
    let text = fs::read_to_string(HEADER).map_err(|e| format!("{HEADER}: {e}"))?;
    let of_line = |line: &str| {
        let (name, number) = line.strip_prefix("#define __NR_")?.split_once(' ')?;
        Some((name.to_owned(), number.trim().parse().ok()?))
    };
    Ok(text.lines().filter_map(of_line).collect())
}

/// What is printed of the calls of a process, by a pattern and by one name; the names of those that ended.
const TOLD: &str = r#"
global ended
probe syscall.* { if (execname() == "tpteller") printf("%s(%s)\n", name, argstr) }
probe syscall.{futex,execve,mount,fanotify_mark}, nd_syscall.{socket,bind,rt_sigaction,setxattr} {
  if (execname() == "tpteller") printf("one %s(%s)\n", name, argstr)
}
probe nd_syscall.*.return { if (execname() == "tpteller") ended[name, retval < 0 ? retstr : "done"] <<< 1 }
probe end {
  println(@count(ended["fcntl", "-9 (EBADF)"]), @count(ended["mkdirat", "-2 (ENOENT)"]), @count(ended["kill", "-3 (ESRCH)"]))
  println(@count(ended["umask", "done"]), @count(ended["mprotect", "-22 (EINVAL)"]), @count(ended["getrlimit", "-14 (EFAULT)"]))
}
"#;

/// What is told of calls is what a program says that it made, in its order: by a pattern, and by the names of calls.
pub fn calls_are_told(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let file = std::env::temp_dir().join(format!("tapster-teller-{}", std::process::id()));
    let printed = undisturbed(env, &["-e", TOLD, "-c", &format!("teller {}", file.display())])?;
    let made = fs::read_to_string(&file).map_err(|e| format!("{}: {e}\n{}", file.display(), printed.transcript()))?;
    fs::remove_file(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    if made.lines().count() < 110 {
        return Err(format!("{} calls: too few", made.lines().count()));
    }
    let mut wrong = Vec::new();
    let named = ["futex", "execve", "mount", "fanotify_mark", "socket", "bind", "rt_sigaction", "setxattr"];
    let by_name = |line: &&str| named.iter().any(|name| line.starts_with(&format!("{name}(")));
    // A pattern shows addresses for their third argument and what follows.
    let by_pattern = made.lines().filter(|line| !["execve(", "mount("].iter().any(|start| line.starts_with(start)));
    in_order(by_pattern, printed.stdout.lines(), &mut wrong);
    let ones = printed.stdout.lines().filter_map(|line| line.strip_prefix("one "));
    in_order(made.lines().filter(by_name), ones, &mut wrong);
    // A call of 32 bits has that number.
    if printed.stdout.contains("writev(") {
        wrong.push("a call of 32 bits is taken for one of 64".into());
    }
    if !printed.stdout.ends_with("111\n111\n") {
        wrong.push(format!("results: {}", printed.transcript().lines().rev().take(4).collect::<Vec<_>>().join("\n")));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Each line that is expected comes behind the one before it.
fn in_order<'l>(expected: impl Iterator<Item = &'l str>, seen: impl Iterator<Item = &'l str>, wrong: &mut Vec<String>) {
    let seen: Vec<&str> = seen.collect();
    let mut next = 0;
    for line in expected {
        let start = line.split_once('(').map_or(line, |(name, _)| name);
        match seen[next..].iter().position(|seen| *seen == line) {
            Some(further) => next += further + 1,
            None => {
                let near = seen[next..].iter().find(|seen| seen.split_once('(').is_some_and(|(name, _)| name == start));
                wrong.push(format!("expected {line}\nprinted  {}", near.unwrap_or(&"nothing")));
            }
        }
    }
}
