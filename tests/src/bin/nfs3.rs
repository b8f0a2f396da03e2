//! What a client and a server of NFS version 3 want beside the kernel's own, so that nothing has to be installed:
//! `nfs3 portmap FILE` notes who asks to be found at which port, and `nfs3 mount PATH FOLDER` mounts what this machine
//! exports under a path.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["portmap", file] => portmap(&mut File::create(file)?),
        ["mount", path, folder] => mount(path, folder),
        _ => Err(io::Error::other("nfs3 portmap FILE | mount PATH FOLDER")),
    }
}

/// Serves one connection after the other until it is killed.
fn portmap(notes: &mut File) -> io::Result<()> {
    for connection in TcpListener::bind("127.0.0.1:111")?.incoming() {
        // Who asks no more hangs up in the middle of a record.
        let _ = serve(connection?, notes);
    }
    Ok(())
}

/// Answers each call (RFC 5531) with "true", and notes those that want to be found (RFC 1833): program, version, protocol
/// and address.
fn serve(mut connection: TcpStream, notes: &mut File) -> io::Result<()> {
    loop {
        let mut mark = [0; 4];
        connection.read_exact(&mut mark)?;
        let mut record = vec![0; (u32::from_be_bytes(mark) & 0x7fff_ffff) as usize];
        connection.read_exact(&mut record)?;
        let word = |at: usize| {
            record.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap_or_default()))
        };
        let padded = |at: usize| word(at).next_multiple_of(4) as usize;
        let (version, procedure) = (word(16), word(20));
        // Behind who asks, and what vouches for that.
        let verifier = 24 + 8 + padded(28);
        let arguments = verifier + 8 + padded(verifier + 4);
        if version > 2 && procedure == 1 {
            let protocol = arguments + 8;
            let address = protocol + 4 + padded(protocol);
            let text = |at: usize| {
                String::from_utf8_lossy(record.get(at + 4..at + 4 + word(at) as usize).unwrap_or_default()).into_owned()
            };
            writeln!(notes, "{} {} {} {}", word(arguments), word(arguments + 4), text(protocol), text(address))?;
        }
        // The call's number, an answer, accepted, by nobody in particular, done, true.
        let mut answer = vec![word(0), 1, 0, 0, 0, 0];
        answer.extend((procedure != 0).then_some(1));
        let bytes: Vec<u8> = answer.iter().flat_map(|word| word.to_be_bytes()).collect();
        connection.write_all(&(0x8000_0000 | bytes.len() as u32).to_be_bytes())?;
        connection.write_all(&bytes)?;
    }
}

/// Asks the server for the handle of a path, which mountd would give, and mounts that.
fn mount(path: &str, folder: &str) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open("/proc/fs/nfsd/filehandle")?;
    file.write_all(format!("all {path} 64\n").as_bytes())?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let digits = text.trim().trim_start_matches("\\x");
    let handle: Vec<u8> =
        (0..digits.len() / 2).filter_map(|nth| u8::from_str_radix(&digits[2 * nth..2 * nth + 2], 16).ok()).collect();
    let data = mount_data(&handle);
    let words = [CString::new("127.0.0.1:".to_owned() + path)?, CString::new(folder)?];
    // SAFETY: the words and the data live through the call, which reads as much of the data as its version says.
    let failed = unsafe { libc::mount(words[0].as_ptr(), words[1].as_ptr(), c"nfs".as_ptr(), 0, data.as_ptr().cast()) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `struct nfs_mount_data` of version 6 (include/uapi/linux/nfs_mount.h): over TCP, without locks of the server's.
fn mount_data(handle: &[u8]) -> Vec<u8> {
    const VERSION: u32 = 6;
    const FLAGS: u32 = 0x40 | 0x80 | 0x200;
    const PIECE: u32 = 4096;
    let mut data = Vec::new();
    data.extend(VERSION.to_ne_bytes());
    data.extend((-1_i32).to_ne_bytes());
    data.extend([0; 32]);
    // Flags, sizes of reads and writes, tenths of seconds until a call is repeated, how often; how long attributes are good.
    for word in [FLAGS, PIECE, PIECE, 600, 2, 3, 60, 30, 60] {
        data.extend(word.to_ne_bytes());
    }
    data.extend(2_u16.to_ne_bytes());
    data.extend(2049_u16.to_be_bytes());
    data.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut name = b"127.0.0.1".to_vec();
    name.resize(256, 0);
    data.extend(name);
    data.extend([0; 4]);
    data.extend(255_u32.to_ne_bytes());
    data.extend((handle.len() as u16).to_ne_bytes());
    let mut handle = handle.to_vec();
    handle.resize(64, 0);
    data.extend(handle);
    data.extend([0; 2]);
    data.extend(1_u32.to_ne_bytes());
    data.extend([0; 260]);
    data
}
