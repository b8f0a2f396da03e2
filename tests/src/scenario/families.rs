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

/// What shells do to network devices is told: of two that are made together, one joins a bridge, which takes all packets
/// that come to it, and the other gets an address, takes no part in ARP, and goes to another network while it is up.
pub fn devices(env: &Env, _: Option<Rung>) -> Result<(), String> {
    load()?;
    let said = run(env, &[], DEVICES_WORK, DEVICES)?;
    let addresses = fs::read_to_string("/tmp/addresses").map_err(|error| format!("/tmp/addresses: {error}"))?;
    let words: Vec<&str> = addresses.split_whitespace().collect();
    let [before, after, flags] = words[..] else {
        return Err(format!("/tmp/addresses: {addresses}"));
    };
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).map_err(|error| format!("{flags}: {error}"))?;
    let wanted = [
        "netdev.register v8".to_owned(),
        // Its name is still to be chosen.
        "netdev.register veth%d".to_owned(),
        format!("netdev.change_mac v8 6 {before} {after}"),
        format!("netdev.change_rx_flag v8 {}", flags & 0xffff),
        "netdev.set_promiscuity port8 1 1 0".to_owned(),
        "netdev.set_promiscuity port8 -1 0 1".to_owned(),
        "netdev.close v8".to_owned(),
        "netdev.unregister port8".to_owned(),
    ];
    has_lines(&said, &wanted)
}

const DEVICES_WORK: &str =
    "ip link add v8 type veth && ip link set veth0 name port8 && cat /sys/class/net/v8/address > /tmp/addresses
ip link set v8 address 02:00:00:00:08:08 && cat /sys/class/net/v8/address >> /tmp/addresses
ifconfig v8 up -arp && cat /sys/class/net/v8/flags >> /tmp/addresses
brctl addbr br8 && brctl addif br8 port8 && brctl delif br8 port8 && brctl delbr br8
unshare -n sleep 30 & other=$!; sleep 2; ip link set v8 netns $other; kill $other; ip link del port8; exit 0";

const DEVICES: &str = r#"
probe netdev.register, netdev.close, netdev.unregister { println(pn(), " ", dev_name) }
probe netdev.change_mac { println(pn(), " ", dev_name, " ", mac_len, " ", old_mac, " ", new_mac) }
probe netdev.change_rx_flag { println(pn(), " ", dev_name, " ", flags & 0xffff) }
probe netdev.set_promiscuity { println(pn(), " ", dev_name, " ", inc, " ", enable, " ", disable) }
"#;

/// A question and an answer of ARP, from a device at a bridge's port to the bridge: arping asks past all hooks whether an
/// address is taken, from none of its own.
pub fn bridge(env: &Env, _: Option<Rung>) -> Result<(), String> {
    load()?;
    sh(env, BRIDGE)?;
    let address = |device: &str| fs::read_to_string(format!("/sys/class/net/{device}/address")).unwrap_or_default();
    let (mine, others) = (address("br7"), address("v7"));
    let said = run(env, &[], "arping -D -c 3 -I v7 10.9.9.2 > /dev/null; exit 0", ARP)?;
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
        &[],
        "dd if=/dev/zero of=/dev/sda bs=65536 count=8 conv=fsync 2> /dev/null
        echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/sda of=/dev/null bs=65536 count=8 2> /dev/null
        cd /sys/block/sda/device; cat iorequest_cnt > /tmp/requests; echo 1 > rescan
        echo offline > state; echo running > state; cat iorequest_cnt >> /tmp/requests",
        SCSI,
    )?;
    let after = sectors()?;
    let requests = fs::read_to_string("/tmp/requests").map_err(|error| format!("/tmp/requests: {error}"))?;
    let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(0);
    let of_rescan: Vec<u64> = requests.split_whitespace().map(number).collect();
    let [first, last] = of_rescan[..] else {
        return Err(format!("/tmp/requests: {requests}"));
    };
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
            "state RUNNING OFFLINE".to_owned(),
            "state OFFLINE RUNNING".to_owned(),
            format!("executed {} RUNNING", last - first),
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
global major, known
probe scsi.ioentry, scsi.ioentry.sd { major = disk_major known = device_state_str }
global executed, executed_state
probe scsi.ioexecute {
  if (execname() != "sh") next
  executed++
  executed_state = device_state_str
  if (data_direction_str == "NONE" && request_bufflen || retries < 0 || timeout <= 0) println("of ", request_bufflen, " bytes")
}
probe scsi.set_state { if (execname() == "sh") println("state ", old_state_str, " ", state_str) }
probe end {
  println("executed ", executed, " ", executed_state)
  foreach ([what, way] in moved) println(what, " ", way, " ", moved[what, way])
  println("made for ", major, " ", known, " as many done as dispatched: ", commands["done"] == commands["dispatched"])
}
"#;

fn sectors() -> Result<(u64, u64), String> {
    let text = fs::read_to_string("/sys/block/sda/stat").map_err(|error| format!("sda: {error}"))?;
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.get(2).copied().zip(numbers.get(6).copied()).ok_or_else(|| format!("sda: {text}"))
}

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
pub(super) fn run(env: &Env, options: &[&str], work: &str, script: &str) -> Result<String, String> {
    let mut command = env.command();
    command.args(options).args(["-v", "-e", script]);
    let running = Running::start(&mut command).map_err(|error| error.to_string())?;
    let (running, _) = running.until_line("attached", env.seconds(90))?;
    sh(env, work)?;
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(60))?;
    if printed.exit == 0 { Ok(printed.stdout) } else { Err(printed.transcript()) }
}

pub(super) fn sh(env: &Env, text: &str) -> Result<(), String> {
    let output = env.bare(Path::new("/bin/sh")).args(["-c", text]).output().map_err(|error| format!("sh: {error}"))?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{text}\nexits {}: {}", output.status, said())) }
}

pub(super) fn has_lines(said: &str, wanted: &[String]) -> Result<(), String> {
    let lines: BTreeSet<&str> = said.lines().collect();
    let missing: Vec<&str> = wanted.iter().map(String::as_str).filter(|line| !lines.contains(line)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("missing:\n{}\n--- said\n{said}", missing.join("\n"))) }
}

/// Loads the modules, those that are needed first.
pub(super) fn load() -> Result<(), String> {
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
