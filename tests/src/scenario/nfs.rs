//! A client and a server of NFS in one guest, by versions 3 and 4: what a program does to files is what aliases tell of
//! both, as often as the kernel counts in /proc/net/rpc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::families::{has_lines, load, run, sh};
use super::nfs_rows::{CALLS, FILES};
use crate::facts::Rung;
use crate::job::Env;

/// Without other processes: what a server is told of exports by mountd stands in these files. Those who used its files
/// before are given no more than ten seconds to come back.
const SERVER: &str = r#"
[ -e /proc/fs/nfsd/threads ] && exit 0
mkdir -p /export7 /mnt3 /mnt7 && mount -t tmpfs none /export7 && mount -t nfsd nfsd /proc/fs/nfsd || exit 1
mkdir /export7/inside && mount -t tmpfs none /export7/inside || exit 1
until=4000000000
printf "nfsd 127.0.0.1 $until all\n" > /proc/net/rpc/auth.unix.ip/channel
printf "all /export7 $until 9218 65534 65534 0\n" > /proc/net/rpc/nfsd.export/channel
printf "all /export7/inside $until 9730 65534 65534 7\n" > /proc/net/rpc/nfsd.export/channel
printf 'all 1 \\x00000000 '$until' /export7\n' > /proc/net/rpc/nfsd.fh/channel
printf 'all 1 \\x07000000 '$until' /export7/inside\n' > /proc/net/rpc/nfsd.fh/channel
echo 10 > /proc/fs/nfsd/nfsv4leasetime && echo 10 > /proc/fs/nfsd/nfsv4gracetime || exit 1
nfs3 portmap /tmp/registered > /dev/null 2>&1 &
until [ -e /tmp/registered ]; do sleep 1; done; sleep 1
echo "tcp 2049" > /proc/fs/nfsd/portlist && echo 2 > /proc/fs/nfsd/threads || exit 1
until [ $(cat /proc/fs/nfsd/v4_end_grace) = Y ]; do sleep 1; done
"#;

/// Version 3 wants nobody else here who knows where its files are.
const CLIENT: &str = "
umount /mnt3 /mnt7 2> /dev/null
mount -t nfs4 -o addr=127.0.0.1,vers=4.1,clientaddr=127.0.0.1,proto=tcp,sec=sys,rsize=4096,wsize=4096 127.0.0.1:/ /mnt7
nfs3 mount /export7 /mnt3 && ls /mnt3 /mnt7";

/// The program of the tests works in a folder of each version; the inodes of its file are kept.
const WORK: &str = "
works share /mnt3 && cp '/tmp/tapster works' /tmp/inode3 && works share /mnt7 && cp '/tmp/tapster works' /tmp/inode4";

/// What a client asks for, and why.
pub fn client(env: &Env, _: Option<Rung>) -> Result<(), String> {
    files(env, "nfs.")
}

/// What of it reaches a server, and what becomes of it.
pub fn server(env: &Env, _: Option<Rung>) -> Result<(), String> {
    files(env, "nfsd.")
}

fn files(env: &Env, family: &str) -> Result<(), String> {
    load()?;
    sh(env, SERVER)?;
    sh(env, CLIENT)?;
    let before = Counted::now()?;
    let mut rows = rows(FILES)?;
    rows.retain(|row| row.alias.starts_with(family));
    let script: String = rows.iter().map(Row::probe).collect();
    let said = run(env, &[], WORK, &script)?;
    let counted = Counted::now()?;
    sh(env, "umount /mnt3 /mnt7")?;
    has_lines(&said, &wanted(&rows)?)?;
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    said.lines().filter_map(|line| line.split(' ').next()).for_each(|alias| *told.entry(alias).or_default() += 1);
    for (alias, file, line, nth) in COUNTERS.iter().filter(|row| row.0.starts_with(family)) {
        let (seen, own) = (told.get(alias).copied().unwrap_or(0), counted.since(&before, file, line, *nth)?);
        if seen == 0 || seen != own {
            return Err(format!("{alias} came {seen} times, {file} counts {own}\n--- said\n{said}"));
        }
    }
    Ok(())
}

/// Clients come and go, and so does a server, who wants to be found.
pub fn calls(env: &Env, _: Option<Rung>) -> Result<(), String> {
    load()?;
    sh(env, SERVER)?;
    let registered = || fs::read_to_string("/tmp/registered").map_err(|error| format!("/tmp/registered: {error}"));
    let before = registered()?.len();
    let rows = rows(CALLS)?;
    let script: String = rows.iter().map(Row::probe).collect();
    let ports = "probe sunrpc.svc.register { if (prot == 6) println(\"port \", port) }\n";
    let said = run(env, &[], &format!("{CLIENT} /mnt7/inside\n{RESTART}"), &(script + ports))?;
    let mut wanted: Vec<String> = rows.iter().flat_map(Row::lines).collect();
    let told = registered()?;
    wanted.extend(told[before..].lines().filter_map(port).map(|port| format!("port {port}")));
    if wanted.len() < rows.len() + 2 {
        return Err(format!("nobody told where he is to be found:\n{told}"));
    }
    has_lines(&said, &wanted)
}

/// The port of a service that is found by TCP and IP version 4: the last two numbers of its address.
fn port(line: &str) -> Option<u64> {
    let address = line.split_once(" tcp ")?.1;
    let mut numbers = address.rsplit('.').map(str::parse::<u64>);
    let (low, high) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(256 * high + low)
}

const RESTART: &str = r#"
umount /mnt7/inside; umount /mnt3 /mnt7 && echo 0 > /proc/fs/nfsd/threads && sleep 1
echo "tcp 2049" > /proc/fs/nfsd/portlist; echo 2 > /proc/fs/nfsd/threads || exit 1
until [ $(cat /proc/fs/nfsd/v4_end_grace) = Y ]; do sleep 1; done
"#;

/// Aliases, and where the kernel counts the same: file, line, and the number in it (RFC 1813 and RFC 8881 give procedures and
/// operations their numbers; the client has its own for those of version 4, from include/linux/nfs4.h).
const COUNTERS: &[(&str, &str, &str, usize)] = &[
    ("nfs.proc3.lookup", "nfs", "proc3", 3),
    ("nfs.proc3.read_setup", "nfs", "proc3", 6),
    ("nfs.proc3.read_done", "nfs", "proc3", 6),
    ("nfs.proc3.write_setup", "nfs", "proc3", 7),
    ("nfs.proc3.write_done", "nfs", "proc3", 7),
    ("nfs.proc3.create", "nfs", "proc3", 8),
    ("nfs.proc3.remove", "nfs", "proc3", 12),
    ("nfs.proc3.rename_done", "nfs", "proc3", 14),
    ("nfs.proc3.commit_setup", "nfs", "proc3", 21),
    ("nfs.proc3.commit_done", "nfs", "proc3", 21),
    ("nfs.proc4.read_done", "nfs", "proc4", 1),
    ("nfs.proc4.write_done", "nfs", "proc4", 2),
    ("nfs.proc4.commit_done", "nfs", "proc4", 3),
    ("nfsd.proc3.lookup", "nfsd", "proc3", 3),
    ("nfsd.proc3.read.return", "nfsd", "proc3", 6),
    ("nfsd.proc3.write.return", "nfsd", "proc3", 7),
    ("nfsd.proc3.create", "nfsd", "proc3", 8),
    ("nfsd.proc3.remove", "nfsd", "proc3", 12),
    ("nfsd.proc3.rename", "nfsd", "proc3", 14),
    ("nfsd.proc3.commit.return", "nfsd", "proc3", 21),
    ("nfsd.proc4.commit", "nfsd", "proc4ops", 5),
    ("nfsd.proc4.create", "nfsd", "proc4ops", 6),
    ("nfsd.proc4.lookup", "nfsd", "proc4ops", 15),
    ("nfsd.proc4.read", "nfsd", "proc4ops", 25),
    ("nfsd.proc4.remove", "nfsd", "proc4ops", 28),
    ("nfsd.proc4.rename.return", "nfsd", "proc4ops", 29),
    ("nfsd.proc4.write", "nfsd", "proc4ops", 38),
];

/// What the kernel has counted until now, in two files.
struct Counted(BTreeMap<&'static str, String>);

impl Counted {
    fn now() -> Result<Counted, String> {
        let read = |name: &'static str| {
            let path = format!("/proc/net/rpc/{name}");
            fs::read_to_string(&path).map(|text| (name, text)).map_err(|error| format!("{path}: {error}"))
        };
        ["nfs", "nfsd"].into_iter().map(read).collect::<Result<_, String>>().map(Counted)
    }

    fn since(&self, before: &Counted, file: &str, line: &str, nth: usize) -> Result<u64, String> {
        let number = self.number(file, line, nth).zip(before.number(file, line, nth));
        let (now, then) = number.ok_or_else(|| format!("{file} has no {line} {nth}"))?;
        Ok(now - then)
    }

    /// Lists of procedures begin with how many there are.
    fn number(&self, file: &str, line: &str, nth: usize) -> Option<u64> {
        let begin = format!("{line} ");
        let numbers = self.0.get(file)?.lines().find_map(|text| text.strip_prefix(&begin))?;
        let skipped = usize::from(line.starts_with("proc"));
        numbers.split(' ').nth(nth + skipped)?.parse().ok()
    }
}

/// A row of a table: see there.
struct Row<'a> {
    alias: &'a str,
    is_own: bool,
    expressions: Vec<&'a str>,
    values: Vec<&'a str>,
}

fn rows(table: &str) -> Result<Vec<Row<'_>>, String> {
    let parse = |line| rows_of(line).ok_or_else(|| format!("`{line}` is no row"));
    let rows: Vec<Vec<Row>> =
        table.lines().filter(|line| !line.is_empty()).map(parse).collect::<Result<_, String>>()?;
    Ok(rows.into_iter().flatten().collect())
}

fn rows_of(line: &str) -> Option<Vec<Row<'_>>> {
    let (aliases, rest) = line.split_once(" : ")?;
    let (expressions, values) = rest.split_once(" = ")?;
    let row = |alias| Row {
        alias,
        is_own: line.starts_with('*'),
        expressions: expressions.split(' ').collect(),
        values: values.split(" | ").collect(),
    };
    Some(aliases.split(' ').filter(|alias| *alias != "*").map(row).collect())
}

impl Row<'_> {
    fn probe(&self) -> String {
        let condition = if self.is_own { "if (execname() == \"tpworks\") " } else { "" };
        let values = self.expressions.join(", \" \", ");
        format!("probe {0} {{ {condition}println(\"{0} \", {values}) }}\n", self.alias)
    }

    /// Its lines, where neither version nor inode matters.
    fn lines(&self) -> impl Iterator<Item = String> {
        self.values.iter().map(|value| format!("{} {value}", self.alias))
    }

    /// Its version, or all.
    fn versions(&self) -> &'static [&'static str] {
        match self.alias {
            alias if alias.contains("proc3.") => &["3"],
            alias if alias.contains("proc4.") => &["4"],
            _ => &["3", "4"],
        }
    }
}

/// The lines that rows want.
fn wanted(rows: &[Row]) -> Result<Vec<String>, String> {
    let inode = |version: &str| {
        let path = format!("/tmp/inode{version}");
        fs::read_to_string(Path::new(&path))
            .map(|text| text.trim().to_owned())
            .map_err(|error| format!("{path}: {error}"))
    };
    let inodes = BTreeMap::from([("3", inode("3")?), ("4", inode("4")?)]);
    let line = |row: &Row, value: &str, version: &str| {
        format!("{} {}", row.alias, value.replace('#', version).replace('@', &inodes[version]))
    };
    let lines = rows.iter().flat_map(|row| {
        let values = row.values.iter();
        values.flat_map(move |value| row.versions().iter().map(move |version| line(row, value, version)))
    });
    Ok(lines.collect())
}
