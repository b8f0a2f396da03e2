//! The examples in a booted kernel, which has what this one may lack: kprobes. All of them in one boot.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Example, FOLDER, LOAD, Outcome, Reached, shell_word};
use crate::lab::extras::{self, Extras};
use crate::lab::image::Image;
use crate::lab::kernels::MATRIX;
use crate::lab::qemu::{self, Options};
use crate::lab::{Scratch, session};

/// The kernel of the lab that they are tried on: the stable Debian's.
pub const KERNEL: &str = "6.12";
/// Where they are in the guest.
const THERE: &str = "/examples";
/// Libraries that scripts trace, beside the C library, which the helpers need.
const LIBRARIES: &[&str] = &["libpthread.so.0", "libresolv.so.2", "libssl.so.3"];
/// Programs that scripts trace or run, from this machine.
const PROGRAMS: &[&str] = &["/bin/bash", "/usr/bin/find", "/usr/bin/ls", "/usr/bin/stap"];
/// Modules that scripts probe, and disks for the load.
const MODULES: &[&str] =
    &["loop", "sd_mod", "st", "scsi_debug", "autofs4", "kvm", "xfs", "nfsd", "nfsv3", "nfsv4", "dccp", "bridge"];
/// Where debug information of programs is installed.
const SYMBOLS: &str = "/usr/lib/debug/.build-id";
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
    let image = || {
        let mut image = session::standard_image(&job(examples), &kernel, tapster)?;
        image.tree(Path::new(FOLDER), THERE)?;
        furnish(&mut image, &extras)?;
        image.write(&initramfs)
    };
    image().map_err(|error| format!("initramfs: {error}"))?;
    let options = Options {
        memory: 6144,
        limit: Duration::from_secs(3600),
        silence: Duration::from_secs(300),
        ..Options::default()
    };
    let said = qemu::boot(&kernel, &initramfs, &options).map_err(|error| error.to_string())?;
    let told: HashMap<&str, Outcome> = said.stdout.lines().filter_map(outcome).collect();
    if told.len() < examples.len() / 2 {
        return Err(format!("the guest told of {} scripts only\n{}", told.len(), said.console));
    }
    let unknown = || Outcome { reached: Reached::Nothing, why: "the guest did not get so far".into() };
    Ok(examples.iter().map(|example| told.get(&*example.name).cloned().unwrap_or_else(unknown)).collect())
}

/// Adds what a machine with Debian on it has, and what its makers have of the kernel.
fn furnish(image: &mut Image, extras: &Extras) -> io::Result<()> {
    extras.modules.iter().try_for_each(|module| image.module(module))?;
    image.file(&format!("/boot/config-{}", extras.release), &extras.config)?;
    image.file(&format!("/usr/lib/debug/boot/vmlinux-{}", extras.release), &extras.debug)?;
    let folder = Path::new("/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let libraries = LIBRARIES.iter().map(|name| folder.join(name));
    let files = libraries.chain(PROGRAMS.iter().map(PathBuf::from)).filter(|file| file.exists());
    for file in files {
        image.in_place(&file)?;
    }
    if Path::new(SYMBOLS).exists() { image.tree(Path::new(SYMBOLS), SYMBOLS) } else { Ok(()) }
}

/// `@@ WORD NAME WHY`
fn outcome(line: &str) -> Option<(&str, Outcome)> {
    let mut parts = line.strip_prefix(MARK)?.splitn(3, ' ');
    let (word, name) = (parts.next()?, parts.next()?);
    Some((name, Outcome { reached: Reached::from_word(word)?, why: parts.next().unwrap_or_default().to_owned() }))
}

/// What the guest does: as [`Example::ran`], one line a script.
fn job(examples: &[Example]) -> String {
    let mut job = format!("{DISKS}cat > /load <<'END'\n{LOAD}END\nsh /load > /dev/null 2>&1 &\n{TRY}");
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

const TRY: &str = r#"
try() {
  name=$1; shift
  timeout 150 tapster -v -T 2 "$@" > /stdout 2> /stderr < /dev/null
  ended=$?
  said=$(sed -n 's/^\(parse error\|semantic error\|ERROR\|error\|internal error\): //p' /stderr | head -n 1)
  [ $ended -ge 124 ] && said=${said:-it did not end in time}
  word=no
  if [ -z "$said" ]; then
    word=silent
    [ -s /stdout ] && word=runs
  elif grep -q '^Pass 4: compiled' /stderr; then word=accepted
  elif grep -q '^Pass 3: translated' /stderr; then word=compiles
  elif grep -q '^Pass 1: parsed' /stderr; then word=parses
  fi
  echo "@@ $word $name $said"
}
"#;
