//! Families of aliases that stand in modules: bridges, SCSI, the client and the server of NFS, and what both talk by.
//!
//! Guests have the modules, and these tests load them. What the scripts say is held against what the shell did, and what
//! the kernel counts of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::facts::Rung;
use crate::job::Env;
use crate::lab::image::FAMILIES;
use crate::process::Running;

/// A question and an answer of ARP, from a device at a bridge's port to the bridge: arping asks past all hooks whether an
/// address is taken, from none of its own.
pub fn bridge(env: &Env, _: Option<Rung>) -> Result<(), String> {
    load()?;
    sh(env, BRIDGE)?;
    let address = |device: &str| fs::read_to_string(format!("/sys/class/net/{device}/address")).unwrap_or_default();
    let (mine, others) = (address("br7"), address("v7"));
    let said = run(env, "arping -D -c 3 -I v7 10.9.9.2 > /dev/null; exit 0", ARP)?;
    let wanted = [
        "netfilter.bridge.pre_routing bridge port7  28".to_owned(),
        "netfilter.bridge.local_in bridge port7  28".to_owned(),
        format!("netfilter.arp.in arp 1 0.0.0.0 {} 10.9.9.2 br7 1 2048", others.trim()),
        format!("netfilter.arp.out arp 2 10.9.9.2 {} 0.0.0.0  1 2048", mine.trim()),
        "netfilter.bridge.local_out bridge br7 port7 28".to_owned(),
        "netfilter.bridge.post_routing bridge  port7 28".to_owned(),
    ];
    has_lines(&said, &wanted)
}

const BRIDGE: &str =
    "ip link add v7 type veth && ip link set veth0 name port7 && brctl addbr br7 && brctl addif br7 port7
ip addr add 10.9.9.2/24 dev br7
for device in v7 port7 br7; do ip link set $device up || exit 1; done; sleep 3";

const ARP: &str = r#"
probe netfilter.bridge.pre_routing, netfilter.bridge.local_in, netfilter.bridge.local_out, netfilter.bridge.post_routing {
  if (protocol == 0) printf("%s %s %s %s %d\n", pn(), pf, indev_name, outdev_name, length)
}
probe netfilter.bridge.forward { printf("%s %s\n", pn(), indev_name) }
probe netfilter.arp.in, netfilter.arp.out {
  printf("%s %s %d %s %s %s %s %d %d\n", pn(), pf, ar_op, ar_sip, ar_sha, ar_tip, indev_name, ar_hrd, ar_pro)
}
"#;

/// What a disk counts of reads and writes is what its commands moved.
pub fn scsi(env: &Env, _: Option<Rung>) -> Result<(), String> {
    load()?;
    let before = sectors()?;
    let said = run(
        env,
        "dd if=/dev/zero of=/dev/sda bs=65536 count=8 conv=fsync 2> /dev/null
        echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/sda of=/dev/null bs=65536 count=8 2> /dev/null",
        SCSI,
    )?;
    let after = sectors()?;
    let (read, written) = (512 * (after.0 - before.0), 512 * (after.1 - before.1));
    if read < 8 * 65536 || written < 8 * 65536 {
        return Err(format!("the disk counts {read} bytes read and {written} written"));
    }
    let line = |name: &str, way: &str, bytes: u64| format!("{name} {way} {bytes}");
    has_lines(
        &said,
        &[
            line("dispatched", "FROM_DEVICE", read),
            line("dispatched", "TO_DEVICE", written),
            line("completed", "FROM_DEVICE", read),
            line("completed", "TO_DEVICE", written),
            "made for 8 RUNNING as many done as dispatched: 1".to_owned(),
        ],
    )
}

/// Only commands that move data of the disk are counted by it.
const SCSI: &str = r#"
global moved, commands
probe scsi.iodispatching {
  commands["dispatched"]++
  if (request_bufflen >= 4096) moved["dispatched", data_direction_str] += request_bufflen
}
probe scsi.iodone { if (scsi_timer_pending) commands["done"]++ }
probe scsi.iocompleted { if (goodbytes >= 4096) moved["completed", data_direction_str] += goodbytes }
global major, state
probe scsi.ioentry, scsi.ioentry.sd { major = disk_major state = device_state_str }
probe end {
  foreach ([what, way] in moved) println(what, " ", way, " ", moved[what, way])
  println("made for ", major, " ", state, " as many done as dispatched: ", commands["done"] == commands["dispatched"])
}
"#;

fn sectors() -> Result<(u64, u64), String> {
    let text = fs::read_to_string("/sys/block/sda/stat").map_err(|error| format!("sda: {error}"))?;
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.get(2).copied().zip(numbers.get(6).copied()).ok_or_else(|| format!("sda: {text}"))
}

/// A server and its client in one guest, by version 4 of NFS: what a shell does to files is what both tell.
pub fn nfs(env: &Env, _: Option<Rung>) -> Result<(), String> {
    load()?;
    sh(env, SERVER)?;
    let calls = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("rpc "));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
    };
    let counted = || fs::read_to_string("/proc/net/rpc/nfs").map(|text| calls(&text)).map_err(|e| e.to_string());
    let before = counted()?;
    let said = run(env, WORK, NFS)?;
    let calls = counted()? - before;
    let inode =
        format!("{}", std::os::unix::fs::MetadataExt::ino(&fs::metadata("/mnt7/kept").map_err(|e| e.to_string())?));
    has_lines(
        &said,
        &[
            "nfs.fop.write_iter 8, 0 new".to_owned(),
            "nfs.proc4.write_setup 8,0 127.0.0.1 6 4".to_owned(),
            "nfsd.proc4.write 8,0 127.0.0.1 6 4".to_owned(),
            "nfs.proc4.write_done 8 127.0.0.1 6 4".to_owned(),
            "nfs.proc4.rename_setup 127.0.0.1 6 4".to_owned(),
            "nfsd.proc4.rename new -> newer 127.0.0.1 6 4".to_owned(),
            "nfsd.rename new -> newer 127.0.0.1".to_owned(),
            "nfsd.rename.return nfsderr 0(NFS_OK)".to_owned(),
            "nfsd.proc4.rename.return nfsderr 0(NFS_OK)".to_owned(),
            "nfs.proc4.rename_done 0 127.0.0.1 6 4".to_owned(),
            "nfs.proc4.remove newer 127.0.0.1 6 4".to_owned(),
            "nfsd.proc4.remove newer 127.0.0.1 6 4".to_owned(),
            "nfsd.unlink newer 127.0.0.1".to_owned(),
            "nfsd.unlink.return nfsderr 0(NFS_OK)".to_owned(),
            "nfs.fop.read_iter 0 kept".to_owned(),
            "nfsd.proc4.read 0 127.0.0.1 6 4".to_owned(),
            "nfs.proc4.read_done 5 127.0.0.1 6 4".to_owned(),
            "nfs.proc4.lookup no-such-name 127.0.0.1 6 4".to_owned(),
            "nfsd.proc4.lookup no-such-name 127.0.0.1 6 4".to_owned(),
            "nfsd.lookup no-such-name 127.0.0.1".to_owned(),
            "nfsd.lookup.return nfsderr 2(NFSERR_NOENT)".to_owned(),
            format!("nfs.fop.llseek 2, 1 {inode}"),
            format!("nfs.fop.fsync {inode} {inode}"),
            format!("calls {calls} 1"),
        ],
    )
}

/// Without other processes: what a server is told of exports by mountd stands in these files.
const SERVER: &str = r#"
mkdir -p /export7 /mnt7 && mount -t tmpfs none /export7 && echo -n hello > /export7/kept && mount -t nfsd nfsd /proc/fs/nfsd || exit 1
until=4000000000
echo -3 > /proc/fs/nfsd/versions
printf "nfsd 127.0.0.1 $until all\n" > /proc/net/rpc/auth.unix.ip/channel
printf "all /export7 $until 9218 65534 65534 0\n" > /proc/net/rpc/nfsd.export/channel
printf 'all 1 \\x00000000 '$until' /export7\n' > /proc/net/rpc/nfsd.fh/channel
echo "tcp 2049" > /proc/fs/nfsd/portlist && echo 2 > /proc/fs/nfsd/threads && echo Y > /proc/fs/nfsd/v4_end_grace
mount -t nfs4 -o addr=127.0.0.1,vers=4.2,clientaddr=127.0.0.1,proto=tcp,sec=sys 127.0.0.1:/ /mnt7
"#;

const WORK: &str = "cd /mnt7; echo written > new; sync; mv new newer; rm newer; ls no-such-name 2> /dev/null
    echo 3 > /proc/sys/vm/drop_caches; dd if=kept of=/dev/null bs=5 count=1 2> /dev/null; dd if=kept of=/dev/null bs=1 skip=2 2> /dev/null
    dd if=/dev/null of=kept conv=notrunc,fsync 2> /dev/null; cd /; exit 0";

const NFS: &str = r#"
function about:string(ip:long, prot:long, version:long) { return sprintf("%s %d %d", ip_ntop(ip), prot, version) }
probe nfs.proc4.write_setup, nfs.proc4.write_done, nfs.proc4.rename_done, nfs.proc4.remove, nfs.proc4.lookup {
  println(pn(), " ", argstr, " ", about(server_ip, prot, version))
}
probe nfs.proc4.read_done { println(pn(), " ", count, " ", about(server_ip, prot, version)) }
probe nfs.proc4.rename_setup { if (fh) println(pn(), " ", about(server_ip, prot, version)) }
probe nfs.fop.write_iter, nfs.fop.read_iter { println(pn(), " ", pn() == "nfs.fop.write_iter" ? argstr : sprintf("%d", pos), " ", file_name) }
probe nfs.fop.llseek, nfs.fop.fsync { println(pn(), " ", argstr, " ", ino) }
probe nfsd.proc4.write, nfsd.proc4.rename, nfsd.proc4.remove, nfsd.proc4.lookup {
  println(pn(), " ", argstr, " ", client_ip, " ", proto, " ", version)
}
probe nfsd.proc4.read { println(pn(), " ", offset, " ", client_ip, " ", proto, " ", version) }
probe nfsd.rename, nfsd.unlink, nfsd.lookup { println(pn(), " ", argstr, " ", client_ip) }
probe nfsd.rename.return, nfsd.unlink.return, nfsd.lookup.return, nfsd.proc4.rename.return { println(pn(), " ", retstr) }
global made, answered, asked
probe sunrpc.sched.new_task { if (prog == 100003 && vers == 4 && prot == 6) made++ }
probe sunrpc.svc.send { if (rq_prog == 100003 && rq_vers == 4 && ip_ntop(peer_ip) == "127.0.0.1") answered++ }
probe sunrpc.clnt.call_sync, sunrpc.clnt.call_async { asked++ if (progname != "nfs") println("asked ", progname) }
probe end { println("calls ", answered, " ", made >= answered) }
"#;

/// What there is to say of each alias.
const PROBES: &str = include_str!("../../../docs/probes.md");
/// What no kernel of the lab has: functions of older ones, version 2 of NFS, compact discs.
const ABSENT: &[&str] =
    &["vm.write_shared_copy", "nfsd.close", "nfsd.createv3", "nfs.proc2.", "nfsd.proc2.", "scsi.ioentry.sr"];

/// The verifier accepts all aliases of the client of NFS, with all the variables that they are said to have.
pub fn accepted_of_clients(env: &Env, _: Option<Rung>) -> Result<(), String> {
    accepted(env, &["nfs."], 80)
}

/// As above, of the server, and of what both talk by.
pub fn accepted_of_servers(env: &Env, _: Option<Rung>) -> Result<(), String> {
    accepted(env, &["nfsd.", "sunrpc."], 80)
}

/// As above, of the rest.
pub fn accepted_of_others(env: &Env, _: Option<Rung>) -> Result<(), String> {
    accepted(env, &["scsi.", "netfilter.", "vfs.", "generic.", "socket.", "tcp.", "udp.", "vm."], 80)
}

fn accepted(env: &Env, families: &[&str], at_least: usize) -> Result<(), String> {
    load()?;
    let wanted = |name: &str| {
        families.iter().any(|family| name.starts_with(family)) && !ABSENT.iter().any(|absent| name.starts_with(absent))
    };
    let sections = PROBES.split("\n### `").skip(1).filter_map(|section| section.split_once("`\n"));
    let aliases: Vec<(&str, &str)> = sections.filter(|(name, _)| wanted(name)).collect();
    if aliases.len() < at_least {
        return Err(format!("{} aliases only", aliases.len()));
    }
    let mut wrong = String::new();
    for some in aliases.chunks(48) {
        let probe = |(name, text): &(&str, &str)| {
            format!("probe {name} {{ println({}) }}\n", variables(text).join(", \" \", "))
        };
        let script: String = some.iter().map(probe).collect();
        let (good, complaints) = said_of(env, &["-p4", "-e", &script])?;
        if !good || complaints.contains("WARNING") {
            wrong += &complaints;
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The variables that a section tells of: words before a colon at the beginning of a line.
fn variables(text: &str) -> Vec<&str> {
    let is_name = |word: &str| word.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    let lines = text.lines().filter(|line| !line.starts_with("Example"));
    let lists = lines.filter_map(|line| Some(line.split_once(": ")?.0.split(", ").collect::<Vec<_>>()));
    let found: Vec<&str> = lists.filter(|names| names.iter().all(|name| is_name(name))).flatten().collect();
    if found.is_empty() { vec!["1"] } else { found }
}

/// Whether Tapster is content, and what it says if not.
fn said_of(env: &Env, words: &[&str]) -> Result<(bool, String), String> {
    let printed = Running::start(env.command().args(words)).map_err(|e| e.to_string())?.finish(env.seconds(60))?;
    Ok((printed.exit == 0, printed.stderr))
}

/// Runs a script while a shell works; what it printed.
fn run(env: &Env, work: &str, script: &str) -> Result<String, String> {
    let mut command = env.command();
    command.args(["-v", "-e", script]);
    let running = Running::start(&mut command).map_err(|error| error.to_string())?;
    let (running, _) = running.until_line("attached", env.seconds(60))?;
    sh(env, work)?;
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(60))?;
    if printed.exit == 0 { Ok(printed.stdout) } else { Err(printed.transcript()) }
}

fn sh(env: &Env, text: &str) -> Result<(), String> {
    let output = env.bare(Path::new("/bin/sh")).args(["-c", text]).output().map_err(|error| format!("sh: {error}"))?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{text}\nexits {}: {}", output.status, said())) }
}

fn has_lines(said: &str, wanted: &[String]) -> Result<(), String> {
    let lines: BTreeSet<&str> = said.lines().collect();
    let missing: Vec<&str> = wanted.iter().map(String::as_str).filter(|line| !lines.contains(line)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("missing:\n{}\n--- said\n{said}", missing.join("\n"))) }
}

/// Loads the modules, those that are needed first.
fn load() -> Result<(), String> {
    if Path::new("/sys/module/nfsd").exists() {
        return Ok(());
    }
    let entries = fs::read_dir(FAMILIES).map_err(|error| format!("{FAMILIES}: {error}"))?;
    let files: BTreeSet<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.iter().try_for_each(|file| {
        let status = Command::new("insmod").arg(file).status().map_err(|error| format!("insmod: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("insmod {}: {status}", file.display())) }
    })
}
