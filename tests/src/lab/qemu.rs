//! Boots a kernel under QEMU's emulator and watches four serial ports: console, output, errors, status.
//!
//! Ports are files: no driver, no agent, and what the guest said survives its death. They carry about 1 MiB/s.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Scratch;
use super::kernels::Kernel;
use crate::process::die_with_parent;

/// How to boot.
#[derive(Debug, Clone)]
pub struct Options {
    /// MiB of memory.
    pub memory: u32,
    /// CPUs.
    pub cpus: u32,
    /// Count instructions as nanoseconds, on one CPU: costs are then exact and repeatable.
    pub icount: bool,
    /// Give up when the job has said nothing for so long. Kernel messages do not count: a stalled CPU goes on complaining.
    pub silence: Duration,
    /// Give up after so long in any case.
    pub limit: Duration,
    /// Added to the kernel's command line.
    pub append: String,
}

impl Default for Options {
    fn default() -> Options {
        let (silence, limit) = (Duration::from_secs(240), Duration::from_secs(900));
        Options { memory: 1024, cpus: 2, icount: false, silence, limit, append: String::new() }
    }
}

/// What a guest said.
#[derive(Debug)]
pub struct Said {
    /// Standard output of the job.
    pub stdout: String,
    /// Standard error of the job.
    pub stderr: String,
    /// Kernel messages.
    pub console: String,
    /// Exit status of the job; none if the guest hung or died.
    pub status: Option<i32>,
}

/// Boots `kernel` with an initramfs and waits for its end, or until it stays silent or takes too long.
pub fn boot(kernel: &Kernel, initramfs: &Path, options: &Options) -> io::Result<Said> {
    let scratch = Scratch::new()?;
    let ports = Ports::below(scratch.path());
    let log = File::create(scratch.path().join("qemu"))?;
    let mut command = command(kernel, initramfs, options, &ports);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    die_with_parent(&mut command);
    let mut child = command.spawn().map_err(|e| io::Error::new(e.kind(), format!("qemu-system-x86_64: {e}")))?;
    let gave_up = watch(&mut child, &ports, options)?;
    let mut said = ports.said();
    if said.status.is_none() {
        said.console += &gave_up.map(|why| format!("[given up: {why}]\n")).unwrap_or_default();
        said.console += &read(&scratch.path().join("qemu"));
    }
    Ok(said)
}

/// A line for whoever reads along comes so often.
const PROGRESS: Duration = Duration::from_secs(60);

/// Waits for QEMU; ends it, and says why, when the job stays silent or takes too long, or when it gave a status and the
/// guest will not go.
fn watch(child: &mut Child, ports: &Ports, options: &Options) -> io::Result<Option<String>> {
    let started = Instant::now();
    let (mut size, mut since, mut reports) = (0, started, 1);
    while child.try_wait()?.is_none() {
        sleep(Duration::from_millis(20));
        if ports.job_size() != size {
            (size, since) = (ports.job_size(), Instant::now());
        }
        if started.elapsed() > PROGRESS * reports {
            reports += 1;
            eprintln!("lab: after {} s the guest is at {}", started.elapsed().as_secs(), ports.last_line());
        }
        // One guest in sixty hangs after its results.
        let patience = if ports.said_status() { Duration::from_secs(3) } else { options.silence };
        let why = match (since.elapsed() > patience, started.elapsed() > options.limit) {
            (true, _) => format!("no word for {patience:?}"),
            (_, true) => format!("not done after {:?}", options.limit),
            (false, false) => continue,
        };
        child.kill()?;
        child.wait()?;
        return Ok(Some(why));
    }
    Ok(None)
}

fn command(kernel: &Kernel, initramfs: &Path, options: &Options, ports: &Ports) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    let (accelerator, cpus, cpu) = match options.icount {
        true => ("tcg,thread=single", 1, "max"),
        // After CMPXCHG16B, QEMU 7.2 sometimes leaves rubbish in the flags; the trap flag among it is a double fault in
        // SLUB's fast path (1 boot in 24 on a busy host). Without the instruction SLUB takes its other path.
        false => ("tcg,thread=multi", options.cpus, "max,-cx16"),
    };
    command.args(["-accel", accelerator, "-M", "q35", "-cpu", cpu, "-bios", "/usr/share/qemu/qboot.rom"]);
    command.args(["-m", &options.memory.to_string(), "-smp", &cpus.to_string()]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-no-reboot"]);
    if options.icount {
        command.args(["-icount", "shift=0,sleep=off"]);
    }
    for port in ports.all() {
        command.arg("-serial").arg(format!("file:{}", port.display()));
    }
    command.arg("-kernel").arg(&kernel.vmlinux).arg("-initrd").arg(initramfs);
    let fixed = "console=ttyS0 quiet panic=-1 nokaslr mitigations=off tsc=reliable no_timer_check";
    // A guest that is interrupted while it measures the clock keeps a wrong one: its seconds were four times as short in
    // one boot of a busy host. The emulated counter is the host's, unless instructions are counted.
    let clock = if options.icount { String::new() } else { format!("tsc_early_khz={}", host_tsc_khz()) };
    command.arg("-append").arg(format!("{fixed} {clock} {}", options.append));
    command
}

/// How fast the time stamp counter runs, by the host's clock.
fn host_tsc_khz() -> u64 {
    static KHZ: OnceLock<u64> = OnceLock::new();
    *KHZ.get_or_init(|| {
        // SAFETY: the instruction is part of every x86-64; it reads a register.
        let read = || (unsafe { core::arch::x86_64::_rdtsc() }, Instant::now());
        let (ticks, time) = read();
        sleep(Duration::from_millis(100));
        let (later_ticks, later) = read();
        (later_ticks - ticks) * 1000 / (later - time).as_micros() as u64
    })
}

/// The files behind the serial ports.
struct Ports(PathBuf);

impl Ports {
    fn below(folder: &Path) -> Ports {
        Ports(folder.to_owned())
    }

    fn all(&self) -> [PathBuf; 4] {
        ["console", "stdout", "stderr", "status"].map(|name| self.0.join(name))
    }

    /// How much the job has said: all but the console.
    fn job_size(&self) -> u64 {
        self.all()[1..].iter().filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).sum()
    }

    fn last_line(&self) -> String {
        read(&self.all()[1]).lines().last().unwrap_or("its beginning").into()
    }

    fn said_status(&self) -> bool {
        read(&self.all()[3]).contains('\n')
    }

    fn said(&self) -> Said {
        let [console, stdout, stderr, status] = self.all().map(|path| read(&path));
        Said { stdout, stderr, console, status: status.trim().parse().ok() }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
