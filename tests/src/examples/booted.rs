//! The examples in a booted kernel, which has what this one may lack: kprobes. All of them in one boot.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Example, FOLDER, LOAD, Outcome, Reached, SECONDS, shell_word, wanted};
use crate::lab::extras::{self, Extras};
use crate::lab::image::Image;
use crate::lab::kernels::MATRIX;
use crate::lab::qemu::{self, Options};
use crate::lab::userland::{self, Packages};
use crate::lab::{Scratch, session};

/// The kernel of the lab that they are tried on: the stable Debian's.
pub const KERNEL: &str = "6.12";
/// Where Debian's root is in the guest, which becomes `/`, and where the examples are in it.
const DEBIAN: &str = "/debian";
const THERE: &str = "/examples";
/// Programs and libraries that scripts trace or run.
const PACKAGES: Packages = Packages {
    whole: &[
        "bash",
        "coreutils",
        "findutils",
        "libc6-dbg",
        "libgnutls30t64",
        "libssl3t64",
        "php8.4-cli",
        "python-is-python3",
        "systemtap",
    ],
    // Libraries that are traced: those that they need do not matter.
    alone: &["libguestfs0t64", "libtcl8.6"],
    links: &[("/usr/bin/php", "php8.4")],
};
/// Modules that scripts probe, and disks for the load.
const MODULES: &[&str] =
    &["loop", "sd_mod", "st", "scsi_debug", "autofs4", "kvm", "xfs", "nfsd", "nfsv3", "nfsv4", "dccp", "bridge"];
/// What a line about a script begins with.
const MARK: &str = "@@ ";

/// How far Tapster comes with each.
pub fn outcomes(examples: &[Example], tapster: &Path) -> Result<Vec<Outcome>, String> {
    let row = MATRIX.iter().find(|row| row.name == KERNEL).ok_or("the lab has no such kernel")?;
    session::tools()?;
    let kernel = row.kernel()?;
    let scratch = Scratch::new().map_err(|error| error.to_string())?;
    let initramfs = scratch.path().join("initramfs");
    let extras = extras::of(&kernel, row.suite, MODULES)?;
    let root = userland::of(row.suite, &PACKAGES)?;
    let image = || {
        let mut image = session::standard_image(MOVE, &kernel, tapster)?;
        image.root(&root, DEBIAN)?;
        image.tree(Path::new(FOLDER), &format!("{DEBIAN}{THERE}"))?;
        furnish(&mut image, &extras)?;
        image.text(&format!("{DEBIAN}/job"), &tries(examples));
        image.write(&initramfs)
    };
    image().map_err(|error| format!("initramfs: {error}"))?;
    let options = Options {
        memory: 6144,
        limit: Duration::from_secs(7200),
        silence: Duration::from_secs(1000),
        ..Options::default()
    };
    let said = qemu::boot(&kernel, &initramfs, &options).map_err(|error| error.to_string())?;
    let told: HashMap<&str, Outcome> = said.stdout.lines().filter_map(outcome).collect();
    if wanted().is_some() {
        eprintln!("{}", said.stderr);
    }
    if told.len() < examples.len() / 2 {
        return Err(format!("the guest told of {} scripts only\n{}", told.len(), said.console));
    }
    let unknown = || Outcome { reached: Reached::Nothing, why: "the guest did not get so far".into() };
    Ok(examples.iter().map(|example| told.get(&*example.name).cloned().unwrap_or_else(unknown)).collect())
}

/// Adds what Debian has of the kernel.
fn furnish(image: &mut Image, extras: &Extras) -> io::Result<()> {
    extras.modules.iter().try_for_each(|module| image.module(module))?;
    image.file(&format!("{DEBIAN}/boot/config-{}", extras.release), &extras.config)?;
    image.file(&format!("{DEBIAN}/usr/lib/debug/boot/vmlinux-{}", extras.release), &extras.debug)
}

/// `@@ WORD NAME WHY`
fn outcome(line: &str) -> Option<(&str, Outcome)> {
    let mut parts = line.strip_prefix(MARK)?.splitn(3, ' ');
    let (word, name) = (parts.next()?, parts.next()?);
    Some((name, Outcome { reached: Reached::from_word(word)?, why: parts.next().unwrap_or_default().to_owned() }))
}

/// Debian's root becomes that of the guest. What it lacks of small programs is busybox's.
const MOVE: &str = r#"
mount --bind /debian /debian && cd /debian && mkdir -p tests proc sys dev tmp run root applets
for folder in tests proc sys dev tmp; do mount --rbind /$folder $folder; done
cp /busybox applets/busybox
chroot . /applets/busybox --install -s /applets
mount --move . /
export PATH=$PATH:/applets
exec chroot . /bin/bash /job
"#;

/// What the guest does there: as [`Example::ran`], one line a script.
fn tries(examples: &[Example]) -> String {
    let shown = if wanted().is_some() { "SHOWN=yes\n" } else { "" };
    let seconds = SECONDS.join(" ");
    let mut job = format!(
        "PERIODS='{seconds}'\n{shown}{DISKS}cat > /load <<'END'\n{LOAD}END\nbash /load > /dev/null 2>&1 &\n{TRY}"
    );
    for example in examples {
        let (folder, file) = example.name.rsplit_once('/').unwrap_or(("", &example.name));
        let all = example.options.iter().map(String::as_str).chain([file]);
        let words: Vec<String> = all.chain(example.arguments.iter().map(String::as_str)).map(shell_word).collect();
        let words = words.join(" ");
        job += &format!("cd {THERE}/{folder} && try {} {words}\n", shell_word(&example.name));
    }
    job
}

/// Disks for [`LOAD`]: one of memory, one of SCSI, and a file as a disk.
const DISKS: &str = r#"
cd /sys/kernel/config/nullb && mkdir nullb8 && echo 64 > nullb8/size && echo 1 > nullb8/memory_backed && echo 1 > nullb8/power
dd if=/dev/zero of=/tmp/disk bs=65536 count=64 2> /dev/null
losetup /dev/loop0 /tmp/disk
export DISKS="/dev/nullb8 /dev/sda /dev/loop0"
"#;

// Those that stand at a thousand functions, each with a program of its own, take minutes to attach in an emulator.
const TRY: &str = r#"
try() {
  name=$1; shift
  for seconds in $PERIODS; do
    timeout 900 tapster -v -T $seconds "$@" > /stdout 2> /stderr < /dev/null
    ended=$?
    said=$(sed -n 's/^\(parse error\|semantic error\|ERROR\|error\|internal error\): //p' /stderr | head -n 1)
    [ $ended -ge 124 ] && said=${said:-it did not end in time}
    [ -z "$said" ] && ! [ -s /stdout ] || break
  done
  word=no
  if [ -z "$said" ]; then
    word=silent
    [ -s /stdout ] && word=runs
  elif grep -q '^Pass 4: compiled' /stderr; then word=accepted
  elif grep -q '^Pass 3: translated' /stderr; then word=compiles
  elif grep -q '^Pass 1: parsed' /stderr; then word=parses
  fi
  echo "@@ $word $name $said"
  if [ -n "$SHOWN" ]; then echo "== $word $name"; head -c 3000 /stdout; head -c 3000 /stderr; fi >&2
}
"#;
