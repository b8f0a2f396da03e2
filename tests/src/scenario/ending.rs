//! However Tapster ends, nothing of it stays in the kernel, and end probes run if begin probes did.

use std::thread::sleep;
use std::time::Duration;

use crate::bpf::loaded;
use crate::case::expect::Printed;
use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;

const SCRIPT: &str = r#"
global hits
probe begin { printf("begun\n") }
probe kernel.trace("kmem_cache_alloc") { hits <<< 1 }
probe end { printf("ended %d\n", @count(hits)) }
"#;

/// Milliseconds after the start at which a signal arrives: close together while programs load, then wide apart.
const MOMENTS_MS: &[u64] = &[0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 30, 50, 100, 300];

/// A script that ends by itself.
pub fn exit(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let before = loaded::ids();
    let script = format!("{SCRIPT}probe timer.ms(300) {{ exit() }}");
    let printed = start(env, &script)?.finish(env.seconds(20))?;
    check_ended(&printed)?;
    check_leaks(&before)
}

/// ^C while it starts, while it loads, and while it traces.
pub fn interrupt(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let before = loaded::ids();
    for &moment in MOMENTS_MS {
        let running = start(env, SCRIPT)?;
        sleep(Duration::from_millis(moment) * env.patience);
        running.signal(libc::SIGINT);
        let printed = running.finish(env.seconds(20)).map_err(|e| format!("^C after {moment} ms: {e}"))?;
        // Before its handler is there, the signal just ends it; it may not have printed anything by then.
        let too_early = printed.exit == -libc::SIGINT && printed.stdout.is_empty();
        if !too_early && (printed.exit != 0 || printed.stdout.contains("begun")) {
            check_ended(&printed).map_err(|e| format!("^C after {moment} ms: {e}"))?;
        }
        check_leaks(&before).map_err(|e| format!("^C after {moment} ms: {e}"))?;
    }
    let running = attached(env)?;
    running.signal(libc::SIGINT);
    check_ended(&running.finish(env.seconds(20))?).map_err(|e| format!("^C when attached: {e}"))?;
    check_leaks(&before)
}

/// ^C when it is ending already: what it has begun to say is said.
pub fn interrupt_while_ending(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let before = loaded::ids();
    let script = format!("{SCRIPT}probe timer.ms(100) {{ exit() }}");
    for moment in (90..200).step_by(10) {
        let (running, _) = start(env, &script)?.until_line("attached", env.seconds(20))?;
        sleep(Duration::from_millis(moment));
        running.signal(libc::SIGINT);
        let printed = running.finish(env.seconds(20)).map_err(|e| format!("^C after {moment} ms: {e}"))?;
        check_ended(&printed).map_err(|e| format!("^C after {moment} ms: {e}"))?;
    }
    check_leaks(&before)
}

/// SIGKILL at the same moments.
pub fn kill(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let before = loaded::ids();
    for &moment in MOMENTS_MS {
        let running = start(env, SCRIPT)?;
        sleep(Duration::from_millis(moment) * env.patience);
        drop(running);
        check_leaks(&before).map_err(|e| format!("SIGKILL after {moment} ms: {e}"))?;
    }
    let running = attached(env)?;
    if loaded::held_by(running.pid()).is_empty() {
        return Err("says `attached` and holds no program".into());
    }
    drop(running);
    check_leaks(&before)
}

/// The process that is traced ends while the script starts, while it attaches, and while it traces: what is wrong is said
/// of the process, and nothing stays.
pub fn with_its_process(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let program = crate::workspace::compiled().into_iter().find(|path| path.ends_with("tpcalls"));
    let program = program.ok_or("tpcalls is not compiled")?;
    let (before, events) = (loaded::ids(), events());
    for &moment in MOMENTS_MS {
        let mut command = env.bare(&program);
        let traced = Running::start(command.args(["1", "60"])).map_err(|e| format!("tpcalls: {e}"))?;
        let process = format!("process({})", traced.pid());
        let script = format!(
            "probe {process}.function(\"add\"), {process}.function(\"add\").return, {process}.end {{ }} probe timer.ms(200) {{ exit() }}"
        );
        let running = start(env, &script)?;
        sleep(Duration::from_millis(moment) * env.patience);
        drop(traced);
        let printed = running.finish(env.seconds(20)).map_err(|e| format!("ended after {moment} ms: {e}"))?;
        let is_said = printed.exit == 1 && printed.stderr.contains("process");
        if (printed.exit != 0 && !is_said) || printed.stderr.contains("panicked") {
            return Err(format!("ended after {moment} ms:\n{}", printed.transcript()));
        }
        check_leaks(&before).map_err(|e| format!("ended after {moment} ms: {e}"))?;
    }
    if self::events() == events { Ok(()) } else { Err(format!("the kernel keeps events: {:?}", self::events())) }
}

/// Probes that somebody has written into the kernel's files of such.
fn events() -> Vec<String> {
    let file = |name: &str| std::fs::read_to_string(format!("/sys/kernel/tracing/{name}")).unwrap_or_default();
    ["kprobe_events", "uprobe_events"].into_iter().map(file).collect()
}

fn start(env: &Env, script: &str) -> Result<Running, String> {
    Running::start(env.command().args(["-v", "-e", script])).map_err(|e| format!("tapster: {e}"))
}

fn attached(env: &Env) -> Result<Running, String> {
    start(env, SCRIPT)?.until_line("attached", env.seconds(20)).map(|(running, _)| running)
}

fn check_ended(printed: &Printed) -> Result<(), String> {
    let whole = printed.stdout.contains("begun\n") && printed.stdout.contains("ended ");
    if printed.exit == 0 && whole {
        return Ok(());
    }
    Err(format!("exit code {}, and begin and end probes have not both run\n{}", printed.exit, printed.transcript()))
}

/// That no program stayed which was loaded since.
pub fn check_leaks(before: &std::collections::BTreeSet<u32>) -> Result<(), String> {
    let leaked = loaded::leaked_since(before);
    if leaked.is_empty() { Ok(()) } else { Err(format!("these programs stayed: {leaked:?}")) }
}
