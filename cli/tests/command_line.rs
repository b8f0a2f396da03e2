//! The command as people and shells call it: options, files, exit codes. What the expected texts of SystemTap are is what
//! stap 4.8 prints.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tapster-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a place to write to");
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("is written");
        path
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.0.join(name)).ok()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn program(path: impl AsRef<Path>) -> Command {
    let mut command = Command::new(path.as_ref());
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/nonexistent");
    command
}

fn tapster(words: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_tapster"));
    command.args(words);
    command
}

/// The exit code, standard output and standard error.
fn ran(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("no signal"), text(stdout), text(stderr))
}

fn run(words: &[&str]) -> (i32, String, String) {
    ran(&mut tapster(words))
}

/// It ends well, says nothing, and prints this.
#[track_caller]
fn prints(words: &[&str], expected: &str) {
    assert_eq!(run(words), (0, expected.to_owned(), String::new()), "{words:?}");
}

const HELLO: &str = "probe begin { println(\"hello\") exit() }";
const LONG: &str = "probe begin { for (i = 0; i < 3000000; i++) println(\"line \", i) exit() }";

#[test]
fn a_link_called_stap_behaves_like_it() {
    let folder = Folder::new("stap");
    let stap = folder.0.join("stap");
    symlink(env!("CARGO_BIN_EXE_tapster"), &stap).expect("a link");
    let help =
        "Try '--help' for more information. [man stap]\nA message like [man foo] means for more info, run % man foo\n";
    for (words, said) in [
        (&["--xyz", "-e", HELLO][..], format!("stap: unrecognized option '--xyz'\n{help}")),
        (&["-Z", "-e", HELLO], format!("stap: invalid option -- 'Z'\n{help}")),
        (&["-d"], format!("stap: option requires an argument -- 'd'\n{help}")),
        (&["--dump-functions=x"], format!("stap: option '--dump-functions' doesn't allow an argument\n{help}")),
        (&["-x", "foo", "-e", HELLO], format!("Invalid target process ID number.\n{help}")),
        (&["-T", "0", "-e", HELLO], format!("Invalid timeout interval.\n{help}")),
        (
            &["nosuch.stp"],
            "Input file 'nosuch.stp' is missing.\nPass 1: parse failed.  [man error::pass1]\n".to_owned(),
        ),
    ] {
        assert_eq!(ran(program(&stap).args(words)), (1, String::new(), said), "{words:?}");
    }
    let (code, _, said) = ran(program(&stap).args(["-e", "probe begin { println(nosuch(1)) }"]));
    let last = "Pass 2: analysis failed.  [man error::pass2]\n";
    assert!(code == 1 && said.starts_with("semantic error: ") && said.ends_with(last), "{said}");
    let (code, out, said) = ran(program(&stap).args(["-v", "-e", HELLO]));
    assert_eq!((code, out.as_str()), (0, "hello\n"));
    let passes: Vec<&str> = said.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(passes, ["Pass 1", "Pass 2", "Pass 3", "Pass 4", "Pass 5", "Pass 5"], "{said}");
}

#[test]
fn options_near_a_wrong_one_are_named() {
    let (code, _, said) = run(&["--no-global-var-dsplay", "x.stp"]);
    assert!(code == 1 && said.contains("'--no-global-var-display'"), "{said}");
    // As getopt_long(3) takes them.
    prints(&["--suppress-h", "-e", HELLO], "hello\n");
}

#[test]
fn whatever_has_a_name_is_explained() {
    for (topic, said) in [
        ("check::type", "type"),
        ("execname", "execname:string()"),
        ("vm.pagefault", "write_access"),
        ("kernel.function", "kernel.function(string).return"),
        ("syscall.openat", "flags_str"),
    ] {
        let (code, stdout, _) = run(&["explain", topic]);
        assert!(code == 0 && stdout.contains(said), "{topic}: {stdout}");
    }
    let (code, _, stderr) = run(&["explain", "vm.pagefaul"]);
    assert!(code == 1 && stderr.contains("near: vm.pagefault"), "{stderr}");
}

#[test]
fn options_for_a_module_are_taken_in_silence_and_explained_on_demand() {
    let words = ["-m", "my_probe", "--ldd", "-b", "-d", "ext4", "--use-server", "--runtime=bpf", "-DSTP_NO_OVERLOAD"];
    prints(&[&words[..], &["-e", HELLO]].concat(), "hello\n");
    let (code, out, said) = run(&[&["-v"], &words[..], &["-e", HELLO]].concat());
    assert_eq!((code, out.as_str()), (0, "hello\n"));
    assert_eq!(
        said.lines().filter(|line| line.starts_with("note: ") && line.contains(" changes nothing: ")).count(),
        7,
        "{said}"
    );
}

#[test]
fn output_goes_to_a_file_with_the_time_in_its_name() {
    let folder = Folder::new("output");
    let name = folder.0.join("out-%Y.log");
    prints(&["-o", name.to_str().expect("UTF-8"), "-e", HELLO], "");
    let year = Command::new("date").arg("+%Y").output().expect("date(1)").stdout;
    let year = String::from_utf8(year).expect("digits");
    assert_eq!(folder.read(&format!("out-{}.log", year.trim())).as_deref(), Some("hello\n"));
}

#[test]
fn files_of_output_are_turned() {
    let folder = Folder::new("turned");
    let name = folder.0.join("out");
    let script = "probe begin { for (i = 0; i < 300000; i++) printf(\"%09d\\n\", i) exit() }";
    prints(&["-g", "--suppress-time-limits", "-S", "1,2", "-o", name.to_str().expect("UTF-8"), "-e", script], "");
    // 3,000,000 bytes in files of 2^20, lines of ten bytes whole: 104,857 lines each; the last two stay.
    let lines = |nth: u32| {
        folder.read(&format!("out.{nth}")).map(|text| (text.lines().next().map(String::from), text.lines().count()))
    };
    assert_eq!(
        [lines(0), lines(1), lines(2)],
        [None, Some((Some("000104857".into()), 104_857)), Some((Some("000209714".into()), 90_286))]
    );
}

#[test]
fn a_full_disk_is_a_failure() {
    let (code, out, said) = run(&["-o", "/dev/full", "-e", HELLO]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(said.starts_with("ERROR: cannot write output: No space left on device"), "{said}");
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
    for words in [&["--help"][..], &["-V"], &["doctor"], &["-l", "timer.profile"], &["man"]] {
        let ended = tapster(words).stdout(full()).stderr(Stdio::null()).status().expect("runs");
        assert_eq!(ended.code(), Some(1), "{words:?}");
    }
    let (code, _, said) = run(&["-o", "/dev/null/x", "-e", HELLO]);
    assert!(code == 1 && said.starts_with("error: -o: cannot write '/dev/null/x'"), "{said}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = tapster(&["-g", "--suppress-time-limits", "-e", LONG])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn statements_are_counted_unless_limits_are_taken_away() {
    let script = "probe begin { for (i = 0; i < 100000; i++) n += i println(n) exit() }";
    assert_eq!(run(&["-e", script]).0, 1);
    prints(&["-g", "--suppress-time-limits", "-e", script], "4999950000\n");
}

#[test]
fn the_users_file_of_options_stands_before_the_command_line() {
    let folder = Folder::new("rc");
    folder.file("rc", "# mine\n-G 'x=from' # a comment\n--vp 1\n");
    let script = "global x = \"\" probe begin { println(x) exit() }";
    let (code, out, said) = ran(tapster(&["-e", script]).env("SYSTEMTAP_DIR", &folder.0));
    assert_eq!((code, out.as_str()), (0, "from\n"));
    assert!(said.starts_with("Pass 1: ") && !said.contains("Pass 2"), "{said}");
    let (_, out, _) = ran(tapster(&["-G", "x=here", "-e", script]).env("SYSTEMTAP_DIR", &folder.0));
    assert_eq!(out, "here\n");
}

#[test]
fn scripts_are_programs() {
    let folder = Folder::new("script");
    let text = format!(
        "#!{} -w -G n=7\nglobal n = 0\nprobe begin {{ println(n, $1) exit() }}\n",
        env!("CARGO_BIN_EXE_tapster")
    );
    let path = folder.file("x.stp", &text);
    // The kernel hands over the options of the first line as one word.
    let (code, out, said) = run(&["-w -G n=7", path.to_str().expect("UTF-8"), "35"]);
    assert_eq!((code, out.as_str(), said.as_str()), (0, "735\n", ""));
}

#[test]
fn a_dash_is_standard_input() {
    let mut child = tapster(&["-", "4"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"probe begin { println($1 + 1) exit() }").expect("is written");
    drop(input);
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"5\n"[..]));
}

#[test]
fn scripts_come_from_editors_of_other_systems() {
    let folder = Folder::new("editors");
    let script = folder.file("marked.stp", &format!("\u{feff}{}\r\n", HELLO.replace(' ', "\r\n")));
    prints(&[&script.to_string_lossy()], "hello\n");
}

#[test]
fn more_scripts_run_in_addition() {
    prints(&["-E", "probe end { println(\"over\") }", "-e", HELLO], "hello\nover\n");
    let (code, _, said) = run(&["-E", "probe end { }"]);
    assert!(code == 1 && said.contains("A script must be specified."), "{said}");
}

#[test]
fn examples_are_found_by_name() {
    let (code, out, said) = run(&["-p1", "--example", "slab-top"]);
    assert!(code == 0 && out.starts_with("# parse tree dump\n# file scripts/slab-top.stp\n"), "{out}{said}");
    let (code, _, said) = run(&["--example", "slab-tpo"]);
    assert!(code == 1 && said.contains("did you mean `slab-top`"), "{said}");
}

#[test]
fn variables_that_are_not_there_are_zero_on_demand() {
    let script = "probe begin { println($nosuch->a + 1) exit() }";
    assert_eq!(run(&["-e", script]).0, 1);
    let (code, out, said) = run(&["--skip-badvars", "--diagnostics", "stap", "-e", script]);
    assert_eq!((code, out.as_str()), (0, "1\n"));
    // As stap 4.8 says it.
    assert!(
        said.starts_with(
            "WARNING: Bad $context variable being substituted with literal 0: identifier '$nosuch' at <input>:1:23\n"
        ),
        "{said}"
    );
}

#[test]
fn colours_are_a_choice() {
    let wrong = ["-e", "probe begin { nosuch() }"];
    for (option, coloured) in
        [("--color=always", true), ("--color", true), ("--colour=never", false), ("--color=auto", false)]
    {
        let (code, _, said) = run(&[&[option], &wrong[..]].concat());
        assert_eq!((code, said.contains('\x1b')), (1, coloured), "{option}: {said}");
    }
}

#[test]
fn narrow_terminals_are_terminals() {
    for columns in ["0", "1", "20", "39", "1000000"] {
        let (code, _, said) = ran(tapster(&["-e", "probe begin { println(nosuch(1, 2)) }"]).env("COLUMNS", columns));
        assert!(code == 1 && said.contains("nosuch"), "{columns}: {said}");
    }
}

#[test]
fn what_scripts_are_made_of_is_listed() {
    let (code, types, said) = run(&["--dump-probe-types"]);
    assert_eq!((code, said.as_str()), (0, ""));
    // Of the list of stap 4.8.
    for line in [
        "begin(number)",
        "kernel.function(string).return.maxactive(number)",
        "process(string).library(string).plt.return",
        "timer.jiffies(number).randomize(number)",
    ] {
        assert!(types.lines().any(|known| known == line), "{line}");
    }
    let (_, aliases, _) = run(&["--dump-probe-aliases"]);
    let open = "generic.fop.open = kernel.function(\"generic_file_open\")";
    assert!(aliases.lines().any(|line| line == open), "{aliases}");
    let (_, functions, _) = run(&["--dump-functions"]);
    assert!(functions.lines().any(|line| line == "pid:long ()"), "{functions}");
    let sorted = |text: &str| text.lines().is_sorted();
    assert!(sorted(&types) && sorted(&aliases) && sorted(&functions));
}

#[test]
fn the_manual_page_has_every_option() {
    let (code, page, said) = run(&["man"]);
    assert!(code == 0 && page.contains(".TH tapster 1") && said.is_empty(), "{said}");
    let (_, help, _) = run(&["--help"]);
    let options = help.lines().filter_map(|line| line.trim_start().strip_prefix('-'));
    for option in options.filter_map(|option| option.split([' ', ',', '.', '[', '=']).next()) {
        let escaped = format!("\\-{}", option.replace('-', "\\-"));
        assert!(page.contains(&escaped), "{escaped}");
    }
}

/// What a shell is offered for the last word.
fn offered(words: &[&str]) -> Vec<String> {
    let mut command = tapster(&[&["--", "tapster"], words].concat());
    command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string()).env("_CLAP_IFS", "\n");
    let (code, out, said) = ran(&mut command);
    assert_eq!((code, said.as_str()), (0, ""), "{words:?}");
    out.lines().map(String::from).collect()
}

#[test]
fn shells_are_told_what_words_may_become() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, said) = run(&["completions", shell]);
        assert!(code == 0 && script.contains("tapster") && said.is_empty(), "{shell}: {said}");
    }
    assert!(run(&["completions", "nosuch"]).2.contains("not for 'nosuch'"));
    assert!(offered(&["--dump-f"]).contains(&"--dump-functions".to_owned()));
    assert!(offered(&["explain", "execn"]).contains(&"execname".to_owned()));
    assert!(offered(&["explain", "vm.pagef"]).contains(&"vm.pagefault".to_owned()));
    assert_eq!(offered(&["--example", "slab-l"]), ["slab-leak"]);
    assert_eq!(offered(&["expl"]), ["explain"]);
    assert!(offered(&["-l", "timer.pro"]).contains(&"timer.profile".to_owned()));
    assert!(offered(&["-l", "'kernel.func"]).contains(&"kernel.function(\"".to_owned()));
    assert!(offered(&["-e", "'probe begin { println(execn"]).contains(&"probe begin { println(execname(".to_owned()));
}

#[test]
fn bash_offers_what_the_program_says() {
    let complete = r#"source <(tapster completions bash); COMP_WORDS=(tapster -l "'timer.pro"); COMP_CWORD=2
        _clap_complete_tapster tapster "'timer.pro" -l; printf '%s\n' "${COMPREPLY[@]}""#;
    let folder = Path::new(env!("CARGO_BIN_EXE_tapster")).parent().expect("a folder").to_string_lossy();
    let path = format!("{folder}:/usr/bin:/bin");
    let (code, out, _) = ran(program("/bin/bash").env("PATH", path).args(["-c", complete]));
    assert!(code == 0 && out.lines().any(|line| line == "timer.profile"), "{out}");
}

#[test]
fn the_doctor_says_what_the_kernel_says() {
    let (_, text, said) = run(&["doctor", "--json"]);
    assert_eq!(said, "");
    let ok = |name: &str| {
        let row = text.lines().find(|line| line.contains(&format!("\"name\":\"{name}\""))).expect(name);
        row.contains("\"ok\":true")
    };
    assert!(text.starts_with("{\"version\":1,"), "{text}");
    assert_eq!(ok("btf"), Path::new("/sys/kernel/btf/vmlinux").exists());
    assert_eq!(ok("kprobe"), Path::new("/sys/bus/event_source/devices/kprobe/type").exists());
    assert_eq!(ok("uprobe"), Path::new("/sys/bus/event_source/devices/uprobe/type").exists());
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("there").trim();
    let effective = u64::from_str_radix(effective, 16).expect("hexadecimal");
    let has = |number: u32| effective >> number & 1 == 1;
    assert_eq!(ok("cap_bpf"), has(39) || has(21));
    assert_eq!(ok("cap_sys_ptrace"), has(19));
    let (code, page, _) = run(&["doctor"]);
    assert_eq!(code == 1, page.contains("Scripts cannot look at the kernel without"), "{page}");
}

#[test]
fn what_takes_long_is_told_on_a_terminal_alone() {
    // 1.2 s of work at the end.
    let wait = "probe begin { exit() } probe end { t = gettimeofday_ms() while (gettimeofday_ms() - t < 1200) n++ \
                println(n > 0 ? \"done\" : \"never\") }";
    let words = ["-g", "--suppress-time-limits", "-e", wait];
    prints(&words, "done\n");
    let folder = Folder::new("terminal");
    let script = folder.file("x.stp", wait);
    let line = format!("{} -g --suppress-time-limits {}", env!("CARGO_BIN_EXE_tapster"), script.display());
    // script(1) gives the command a terminal.
    let (code, out, _) = ran(program("/usr/bin/script").args(["-qec", &line, "/dev/null"]).env("TERM", "xterm"));
    assert!(code == 0 && out.contains("working on what was gathered") && out.ends_with("done\r\n"), "{out:?}");
}
