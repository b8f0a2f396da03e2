//! What others wrote: names of any bytes, and functions of SystemTap's own library.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::facts::{Rung, SYSTEMTAP};
use crate::job::Env;

/// Bytes that are no UTF-8: printed with widths and precisions, as keys, and as the name of a process, in both handlers.
const BYTES: &str = r#"
global seen
probe begin {
  s = "ab\344\377"
  printf("%s|%6s|%.3s|%-6s|\n", s, s, s, s)
  seen[s] = 7
  foreach (k in seen) printf("%s=%d %d %d\n", k, seen[k], strlen(k), stringat(k, 2))
}
probe syscall.chdir { if (pid() == target()) printf("%s|%7s|%.3s|%d\n", execname(), execname(), execname(), seen[execname()]) }
"#;
/// A shell that gives itself such a name.
const NAMED: &str = "printf 'ab\\344\\377' >/proc/self/comm; cd /proc/self/fdinfo";

/// They are printed as they are.
pub fn bytes_stay(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let folder = folder("bytes")?;
    let shell = folder.join("named.sh");
    fs::write(&shell, NAMED).map_err(|e| format!("{}: {e}", shell.display()))?;
    let mut command = env.command();
    command.args(["-e", BYTES, "-c", &format!("sh {}", shell.display())]);
    let expected =
        b"ab\xe4\xff|  ab\xe4\xff|ab\xe4|ab\xe4\xff  |\nab\xe4\xff=7 4 228\nab\xe4\xff|   ab\xe4\xff|ab\xe4|7\n";
    prints(&mut command, expected)
}

/// Calls functions of SystemTap's library under other names, with clocks that are the script's.
const CALLS: &str = r#"
global now
function their_qs_time:long() { return now }
function __dented_timestamp:long() { return now }
probe begin {
  now = 5000 their_qsq_start("q") their_qs_wait("q")
  now = 5100 their_qs_wait("q")
  now = 5200 their_qs_run("q") their_qs_run("q")
  now = 5400 their_qs_done("q")
  now = 5700 their_qs_done("q")
  now = 6000 their_qsq_print("q")
  printf("[%s]", dented(1))
  now = 6007 printf("[%s]", dented(1))
  now = 6014 printf("[%s][%d]\n", dented(-1), dented_depth(-1))
  exit()
}
"#;

/// Functions of its library that are script alone do here what they do there: those of queues and of call traces, whose
/// names ours have as well. What they say is worked out by hand, as in the case of our own.
pub fn functions_of_systemtap(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let folder = folder("library")?;
    let take = |name: &str, renamed: &dyn Fn(String) -> String| {
        let path = Path::new(SYSTEMTAP).join(name);
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        fs::write(folder.join(name), renamed(text)).map_err(|e| format!("{name}: {e}"))
    };
    take("queue_stats.stp", &|text| text.replace("qs_", "their_qs_").replace("qsq_", "their_qsq_"))?;
    take("indent.stp", &|text| text.replace("indent", "dented"))?;
    let mut command = env.command();
    command.arg("-I").arg(&folder).args(["-I", SYSTEMTAP, "-e", CALLS]);
    let expected = b"q: 2000.000 ops/s, 0.300 qlen, 500 await, 350 svctm, 20% wait, 50% util\n[     0 :][     7 : ][    14 : ][0]\n";
    prints(&mut command, expected)
}

fn folder(name: &str) -> Result<std::path::PathBuf, String> {
    let folder = std::env::temp_dir().join(format!("tapster-foreign-{name}"));
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

fn prints(command: &mut Command, expected: &[u8]) -> Result<(), String> {
    let printed = command.output().map_err(|e| format!("tapster: {e}"))?;
    if printed.stdout == expected && printed.status.success() {
        return Ok(());
    }
    let (seen, expected) = (printed.stdout.escape_ascii(), expected.escape_ascii());
    Err(format!("expected {expected}\nprinted  {seen}\n{}", String::from_utf8_lossy(&printed.stderr)))
}
