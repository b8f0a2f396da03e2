//! Tests that load programs of their own making into the running kernel.
//!
//! They need CAP_BPF, CAP_PERFMON and BTF; where something is missing they say so by name and pass.

mod code;

use crate::attach::program_exists;
use crate::load::LoadError;
use crate::session::tests::script;
use crate::session::{Begun, Options, Running, Session};
use crate::sys::bpf;
use crate::sys::process::{self, Clock};
use crate::table::Table;
use crate::{Machine, globals, privilege};
use code::{Code, FUNC, TYPEDEF, btf_id, counting, keeping_stacks, map, sending};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tapster_compiler::image::{
    Array, Attach, Global, Handoff, Image, KeyKind, KeyPart, MapKind, MapRole, Moment, Storage, Value, When,
};
use tapster_compiler::world::{KernelType, Rung, Wanted, World};
use tapster_runtime_ebpf::aggregate::{Histogram, Layout, Parts, read};
use tapster_runtime_ebpf::record::Kind;

/// Says why a test is not run.
fn skipped(test: &str, why: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "SKIP {test}: {why}");
}

/// The tracepoint that every test stands at, or why it cannot.
fn tracepoint() -> Result<Attach, String> {
    privilege::check().map_err(|denied| denied.to_string())?;
    let machine = Machine::new();
    let btf = machine.btf("vmlinux").ok_or("no BTF")?;
    let id = btf_id(btf, TYPEDEF, "btf_trace_kmem_cache_alloc").ok_or("no tracepoint kmem_cache_alloc")?;
    Ok(Attach::BtfTracepoint { name: "kmem_cache_alloc".into(), ty: KernelType { module: None, id } })
}

/// A sink that tests can look into.
#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

fn options(timeout: u64, out: &Sink, err: &Sink) -> Options {
    Options {
        verbose: 1,
        timeout: Some(Duration::from_millis(timeout)),
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        ..Options::default()
    }
}

fn attached(image: Image, options: Options) -> Running {
    Session::load(image, options).expect("loads").begin().attach().expect("attaches")
}

/// Makes the kernel allocate.
fn allocate() {
    for _ in 0..100 {
        std::fs::File::open("/dev/null").expect("exists");
    }
}

#[test]
fn a_program_counts_by_name_and_its_map_is_read() {
    let attach = match tracepoint() {
        Ok(attach) => attach,
        Err(why) => return skipped("a_program_counts_by_name_and_its_map_is_read", why),
    };
    let (out, err) = (Sink::default(), Sink::default());
    let (cpu, wall) = (process::now(Clock::Cpu), Instant::now());
    let running = attached(counting(attach), options(50, &out, &err));
    let (cpu, wall) = (process::now(Clock::Cpu) - cpu, wall.elapsed());
    assert_eq!(running.attached(), 1);
    allocate();
    let mut over = running.run();
    let run = over.run_for_tests();
    let table = run.globals.elements(0).expect("an array");
    let mut key = [0; 16];
    let comm = process::comm();
    key.copy_from_slice(&comm);
    let row = table.find(&key).expect("this thread allocated");
    assert!(read(table.value(row), 0) >= 100, "{:?}", table.value(row));
    let all: i64 = table.live_rows().map(|row| read(table.value(row), 0)).sum();
    assert_eq!(all, run.loss(1) as i64, "the map and the state block count the same");
    assert_eq!(run.globals.element(0, &key), Some(table.value(row)));
    let outcome = over.finish();
    assert_eq!((outcome.code, outcome.losses.len()), (0, 0), "{outcome:?}");
    let err = err.text();
    assert!(err.contains("tp_btf:kmem_cache_alloc\n  fentry: refused\nattached 1 probe in "), "{err}");
    let _ = writeln!(io::stderr(), "loaded and attached in {wall:?}, {:.2} ms of CPU", cpu as f64 / 1e6);
}

#[test]
fn kernel_handlers_print_and_end_the_session() {
    let attach = match tracepoint() {
        Ok(attach) => attach,
        Err(why) => return skipped("kernel_handlers_print_and_end_the_session", why),
    };
    let (out, err) = (Sink::default(), Sink::default());
    let started = Instant::now();
    let running = attached(sending(Kind::Print, attach), options(20_000, &out, &err));
    allocate();
    let over = running.run();
    assert!(started.elapsed() < Duration::from_secs(10), "exit() ends the session before the timeout");
    let outcome = over.finish();
    let name = process::comm();
    let name = String::from_utf8_lossy(&name);
    let line = format!("hit -42 {}", name.trim_end_matches('\0'));
    assert!(out.text().lines().any(|l| l == line), "{line} in {}", out.text());
    assert_eq!((outcome.code, outcome.errors), (0, 0), "{}", err.text());
}

#[test]
fn kernel_handlers_hand_on_to_user_space() {
    let attach = match tracepoint() {
        Ok(attach) => attach,
        Err(why) => return skipped("kernel_handlers_hand_on_to_user_space", why),
    };
    let (out, err) = (Sink::default(), Sink::default());
    let kernel = sending(Kind::Handoff, attach);
    let mut image = script::image("probe begin { printf(\"handed on\\n\"); exit() }");
    (image.maps, image.programs, image.losses) = (kernel.maps, kernel.programs, kernel.losses);
    (image.state_size, image.btf) = (kernel.state_size, kernel.btf);
    image.handlers[0].when = When::Handoff;
    image.handoffs = vec![Handoff { handler: 0, size: 24 }];
    image.max_action_interruptible = 10_000;
    let running = attached(image, options(20_000, &out, &err));
    allocate();
    let outcome = running.run().finish();
    // The kernel's own exit() came first, and many events before it: one of them ended the session for the others.
    assert_eq!((out.text(), outcome.code, outcome.errors), ("handed on\n".into(), 0, 0), "{}", err.text());
}

#[test]
fn a_rejected_program_names_its_instruction_and_place() {
    let attach = match tracepoint() {
        Ok(attach) => attach,
        Err(why) => return skipped("a_rejected_program_names_its_instruction_and_place", why),
    };
    let mut image = counting(attach.clone());
    image.programs = vec![Code::default().set(2, 5).copy(3, 2).load(4, 3, 0).exit().program(attach)];
    let error = Session::load(image, options(10, &Sink::default(), &Sink::default())).expect_err("reads address 5");
    let LoadError::Rejected(rejection) = error else { panic!("{error}") };
    assert_eq!((rejection.instruction, rejection.position), (Some(2), 20), "{}", rejection.log);
    assert!(rejection.reason().contains("invalid mem access"), "{}", rejection.log);
}

fn first_stack(attach: Attach, probe: &str) -> Vec<String> {
    let (out, err) = (Sink::default(), Sink::default());
    let running = attached(keeping_stacks(attach, probe), options(20, &out, &err));
    allocate();
    let mut over = running.run();
    over.run_for_tests().print_stack(77);
    over.finish();
    let text = out.text();
    assert!(!err.text().contains("WARNING"), "{}", err.text());
    text.lines().map(String::from).collect()
}

#[test]
fn a_stack_starts_behind_the_tracer_and_has_names() {
    let attach = match tracepoint() {
        Ok(attach) => attach,
        Err(why) => return skipped("a_stack_starts_behind_the_tracer_and_has_names", why),
    };
    if !privilege::may_see_addresses() {
        return skipped("a_stack_starts_behind_the_tracer_and_has_names", "CAP_SYSLOG is missing");
    }
    let lines = first_stack(attach, "tracepoint");
    assert!(lines.len() > 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with(" 0xffff") && line.ends_with("]")), "{lines:?}");
    assert!(lines[0].contains(" : kmem_cache_alloc"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("bpf_prog_") || line.contains("bpf_trace_run")), "{lines:?}");
}

#[test]
fn each_rung_that_is_offered_attaches_and_its_stack_starts_at_the_function() {
    let test = "each_rung_that_is_offered_attaches_and_its_stack_starts_at_the_function";
    if let Err(denied) = privilege::check() {
        return skipped(test, denied);
    }
    let machine = Machine::new();
    let Some(btf) = machine.btf("vmlinux") else { return skipped(test, "no BTF") };
    let names = ["kmem_cache_alloc_noprof", "kmem_cache_alloc"];
    let Some((function, id)) = names.iter().find_map(|name| Some((*name, btf_id(btf, FUNC, name)?))) else {
        return skipped(test, "no kmem_cache_alloc");
    };
    let ty = KernelType { module: None, id };
    for rung in [Rung::Fentry, Rung::KprobeMulti, Rung::Kprobe] {
        let wanted = Wanted { function, ty: ty.clone(), moment: Moment::Entry, is_wide: false };
        if let Err(refusal) = machine.offers(rung, &wanted) {
            skipped(&format!("{test} ({})", rung.name()), refusal.0);
            continue;
        }
        let attach = match rung {
            Rung::Fentry => Attach::Fentry { function: function.into(), ty: ty.clone(), moment: Moment::Entry },
            Rung::KprobeMulti => Attach::KprobeMulti { functions: vec![function.into()], moment: Moment::Entry },
            _ => Attach::Kprobe { functions: vec![function.into()], moment: Moment::Entry },
        };
        let lines = first_stack(attach, rung.name());
        assert!(lines[0].contains(&format!(" : {function}+0x0/0x")), "{}: {lines:?}", rung.name());
        assert!(lines.len() > 2 && !lines[1].contains("trampoline"), "{}: {lines:?}", rung.name());
        let _ = writeln!(io::stderr(), "{}:\n{}", rung.name(), lines[..3].join("\n"));
    }
}

/// Set for the process that other tests start and then end with a signal.
const CHILD: &str = "TAPSTER_TEST_CHILD";

/// Runs as a process of its own: a session without end, which tells its thread and program.
#[test]
fn the_child_of_other_tests() {
    let (Ok(_), Ok(attach)) = (std::env::var(CHILD), tracepoint()) else { return };
    // Nobody may wait for us.
    let options = Options { verbose: 1, timeout: Some(Duration::from_secs(20)), ..Options::default() };
    let running = attached(counting(attach), options);
    let program = running.program_ids_for_tests()[0];
    let _ = writeln!(io::stderr(), "child {} {program}", process::id(process::Id::Tid));
    let outcome = running.run().finish();
    let _ = writeln!(io::stderr(), "ended {}", outcome.code);
}

/// Starts such a process; gives it with its standard error, its thread and its program.
fn start_child() -> (std::process::Child, io::BufReader<std::process::ChildStderr>, i32, u32) {
    use std::io::BufRead;
    let mut child = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "live::the_child_of_other_tests", "--nocapture"])
        .env(CHILD, "1")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stderr = io::BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("child ") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("text") > 0, "the child ended before it was attached");
    }
    let mut numbers = line.split_whitespace().skip(1).map(|word| word.parse::<u32>().expect("a number"));
    let (thread, program) = (numbers.next().expect("a thread"), numbers.next().expect("a program"));
    (child, stderr, thread as i32, program)
}

fn ends_after(signal: i32) -> String {
    let (mut child, mut stderr, thread, program) = start_child();
    assert!(program_exists(program));
    // The session does not run on the first thread of a test, which is where a signal to the process would go.
    process::signal_thread(child.id() as i32, thread, signal);
    let mut rest = String::new();
    io::Read::read_to_string(&mut stderr, &mut rest).expect("text");
    child.wait().expect("ends");
    assert!(is_gone(program), "program {program} is still there after signal {signal}");
    rest
}

#[test]
fn a_signal_ends_the_session_and_leaves_nothing_attached() {
    if let Some(why) = tracepoint().err().or(cannot_list().map(String::from)) {
        return skipped("a_signal_ends_the_session_and_leaves_nothing_attached", why);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        let rest = ends_after(signal);
        assert!(rest.contains("ended 0"), "signal {signal}: {rest}");
    }
}

#[test]
fn being_killed_leaves_nothing_attached() {
    if let Some(why) = tracepoint().err().or(cannot_list().map(String::from)) {
        return skipped("being_killed_leaves_nothing_attached", why);
    }
    assert!(!ends_after(libc::SIGKILL).contains("ended"));
}

#[test]
fn nothing_stays_attached_when_a_stage_is_dropped() {
    let attach = match tracepoint() {
        Ok(attach) => attach,
        Err(why) => return skipped("nothing_stays_attached_when_a_stage_is_dropped", why),
    };
    if let Some(why) = cannot_list() {
        return skipped("nothing_stays_attached_when_a_stage_is_dropped", why);
    }
    let (out, err) = (Sink::default(), Sink::default());
    let begun: Begun = Session::load(counting(attach), options(50, &out, &err)).expect("loads").begin();
    let running = begun.attach().expect("attaches");
    let id = running.program_ids_for_tests()[0];
    assert!(program_exists(id));
    drop(running);
    assert!(is_gone(id), "program {id} is still there");
}

/// The kernel frees a program when the last reader is through, a moment after its descriptor is closed.
fn is_gone(program: u32) -> bool {
    (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !program_exists(program)
    })
}

/// Why the kernel's list of programs cannot be read: CAP_BPF is not enough for it.
fn cannot_list() -> Option<&'static str> {
    let admin = process::has_capability(process::Capability::SysAdmin);
    (!admin).then_some("CAP_SYS_ADMIN is missing, which listing programs needs")
}

#[test]
fn batches_read_a_whole_map_and_clear_it() {
    if let Err(denied) = privilege::check() {
        return skipped("batches_read_a_whole_map_and_clear_it", denied);
    }
    let spec = bpf::MapSpec {
        name: "batches",
        kind: MapKind::Hash as u32,
        key_size: 8,
        value_size: 8,
        max_entries: 20_000,
        flags: 0,
        per_cpu: None,
    };
    let map = bpf::Map::create(&spec).expect("created");
    for n in 0..20_000u64 {
        map.update(&n.to_ne_bytes(), &(n * 3).to_ne_bytes(), 0).expect("there is room");
    }
    let full = map.update(&99_999u64.to_ne_bytes(), &[0; 8], 0).expect_err("there is none");
    assert_eq!(full.raw_os_error(), Some(libc::E2BIG));
    let (key, value, max_entries) = (Vec::new(), Value::Long, 20_000);
    let array = Array { map: Some(0), key, key_size: 8, value, max_entries, sized: true, wrap: false, ordered: false };
    let table = crate::map::snapshot(&map, &array, &Table::new(8, 8)).expect("read");
    assert_eq!(table.len(), 20_000);
    let right = |row| read(table.key(row), 0) * 3 == read(table.value(row), 0);
    assert!(table.live_rows().all(right));
    crate::map::clear(&map).expect("cleared");
    assert!(crate::map::snapshot(&map, &array, &Table::new(8, 8)).expect("read").is_empty());
}

#[test]
fn arrays_in_maps_are_written_read_and_deleted() {
    if let Err(denied) = privilege::check() {
        return skipped("arrays_in_maps_are_written_read_and_deleted", denied);
    }
    let maps = vec![map("a", MapKind::Hash, 8, 8, 2, MapRole::Array(0))];
    let key = vec![KeyPart { offset: 0, kind: KeyKind::Long }];
    let (value, max_entries) = (Value::Long, 2);
    let array = Array { map: Some(0), key, key_size: 8, value, max_entries, sized: true, wrap: false, ordered: false };
    let globals = vec![Global { name: "a".into(), storage: Storage::Array(array) }];
    let image = Image { maps, globals, ..Image::default() };
    let loaded = crate::load::load(&image).expect("loads");
    let mut globals = globals::Globals::new(&image, loaded.maps);
    let number = |n: i64| n.to_ne_bytes();
    assert_eq!(globals.set(0, &number(1), &number(10)), Ok(()));
    assert_eq!(globals.set(0, &number(2), &number(20)), Ok(()));
    assert!(globals.set(0, &number(3), &number(30)).is_err());
    assert_eq!(globals.elements(0).expect("an array").len(), 2);
    assert_eq!(globals.element(0, &number(2)), Some(&number(20)[..]));
    globals.delete(0, Some(&number(2)));
    assert_eq!(globals.element(0, &number(2)), None);
    globals.delete(0, None);
    assert!(globals.elements(0).expect("an array").is_empty());
    assert_eq!(globals.failures().count, 0);
}

#[test]
fn maps_of_arrays_that_wrap_make_room() {
    if let Err(denied) = privilege::check() {
        return skipped("maps_of_arrays_that_wrap_make_room", denied);
    }
    let parts = Parts { count: true, ..Parts::default() };
    let statistic = Value::Aggregate(Layout { parts, histogram: Histogram::None });
    for (kind, value) in [(MapKind::LruHash, Value::Long), (MapKind::LruPercpuHash, statistic)] {
        let maps = vec![map("w", kind, 8, value.size(), 16, MapRole::Array(0))];
        let key = vec![KeyPart { offset: 0, kind: KeyKind::Long }];
        let array =
            Array { map: Some(0), key, key_size: 8, value, max_entries: 16, sized: true, wrap: true, ordered: false };
        let globals = vec![Global { name: "w".into(), storage: Storage::Array(array) }];
        let image = Image { maps, globals, ..Image::default() };
        let loaded = crate::load::load(&image).expect("loads");
        let mut globals = globals::Globals::new(&image, loaded.maps);
        for n in 0..1000i64 {
            let set = match value {
                Value::Long => globals.set(0, &n.to_ne_bytes(), &n.to_ne_bytes()),
                _ => globals.add(0, Some(&n.to_ne_bytes()), n),
            };
            assert_eq!(set, Ok(()), "{kind:?}");
        }
        let elements = globals.elements(0).expect("an array");
        assert!((1..=16).contains(&elements.len()), "{kind:?}: {} elements", elements.len());
        assert_eq!((globals.failures().count, globals.element(0, &(-1i64).to_ne_bytes())), (0, None));
    }
}

#[test]
fn the_machine_answers_for_every_rung() {
    if let Err(denied) = privilege::check() {
        return skipped("the_machine_answers_for_every_rung", denied);
    }
    let machine = Machine::new();
    let id = machine.btf("vmlinux").and_then(|btf| btf_id(btf, FUNC, "vfs_read")).unwrap_or(0);
    let ty = KernelType { module: None, id };
    let wanted = Wanted { function: "vfs_read", ty, moment: Moment::Entry, is_wide: false };
    for rung in Rung::LADDER {
        let answer = machine.offers(rung, &wanted);
        let _ = writeln!(io::stderr(), "{}: {answer:?}", rung.name());
    }
    assert_eq!(machine.offers(Rung::Tracepoint, &wanted), Ok(()));
    let release = tapster_compiler::world::KernelVersion::parse(machine.release()).expect("a version");
    let v4 = tapster_compiler::world::KernelVersion { major: 6, minor: 6 };
    assert_eq!(machine.features().cpu_v4, release >= v4, "{release:?}");
    let caches = machine.slab_caches().expect("caches");
    assert!(caches.iter().any(|cache| cache.name == "dentry" && cache.merged_into.is_none()));
}
