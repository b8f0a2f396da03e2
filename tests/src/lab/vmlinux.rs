//! Unpacks a bzImage to the ELF file inside, once: QEMU then starts it through PVH and the guest is spared the
//! decompression, 1 to 5 s under emulation (Documentation/arch/x86/boot.rst).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// What an ELF file begins with.
const ELF: &[u8] = b"\x7fELF";

/// Magic numbers of the compressions that kernels use, and who undoes them.
const DECOMPRESSORS: &[(&[u8], &[&str])] = &[
    (b"\x02\x21\x4c\x18", &["lz4", "-dc"]),
    (b"\xfd7zXZ\0", &["xz", "-dc", "--single-stream"]),
    (b"\x28\xb5\x2f\xfd", &["zstd", "-dc"]),
    (b"\x1f\x8b", &["gzip", "-dc"]),
];

/// Writes the ELF file inside the bzImage `image` to `to`.
pub fn extract(image: &Path, to: &Path) -> Result<(), String> {
    let bytes = fs::read(image).map_err(|e| format!("{}: {e}", image.display()))?;
    match payload(&bytes) {
        Some(payload) if !bytes.starts_with(ELF) => unpack(image, payload, to),
        _ => unpack(image, &bytes, to),
    }
}

/// Writes the ELF file that `file` is, perhaps compressed, to `to`.
pub fn copy(file: &Path, to: &Path) -> Result<(), String> {
    unpack(file, &fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?, to)
}

fn unpack(image: &Path, payload: &[u8], to: &Path) -> Result<(), String> {
    if payload.starts_with(ELF) {
        return fs::write(to, payload).map_err(|e| format!("{}: {e}", to.display()));
    }
    let row = DECOMPRESSORS.iter().find(|row| payload.starts_with(row.0));
    let (_, command) = row.ok_or_else(|| format!("{}: compression {:x?}", image.display(), payload.get(..4)))?;
    decompress(payload.to_vec(), command, to).map_err(|e| format!("{}: {e}", command[0]))?;
    let unpacked = fs::read(to).map_err(|e| format!("{}: {e}", to.display()))?;
    if unpacked.starts_with(ELF) { Ok(()) } else { Err(format!("{}: no ELF file inside", image.display())) }
}

/// `setup_sects` at 0x1f1, `payload_offset` at 0x248, `payload_length` at 0x24c; the last four bytes are the unpacked
/// length.
fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let sectors = match *bytes.get(0x1f1)? {
        0 => 4,
        n => n as usize,
    };
    let start = (sectors + 1) * 512 + word(0x248)?;
    bytes.get(start..start + word(0x24c)?.checked_sub(4)?)
}

fn decompress(payload: Vec<u8>, command: &[&str], to: &Path) -> io::Result<()> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(File::create(to)?)
        // They complain about what follows the payload; whether it is whole shows in the result.
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().expect("piped");
    let feed = thread::spawn(move || stdin.write_all(&payload));
    child.wait()?;
    // A closed pipe means that the tool had read what it wanted.
    let _ = feed.join();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_lies_behind_the_setup_sectors() {
        let mut bytes = vec![0; 4096];
        bytes[0x1f1] = 1;
        bytes[0x248..0x250].copy_from_slice(&[16, 0, 0, 0, 9, 0, 0, 0]);
        bytes[1040..1049].copy_from_slice(b"hello\0\0\0\0");
        assert_eq!(payload(&bytes), Some(&b"hello"[..]));
        assert_eq!(payload(&bytes[..100]), None);
    }
}
