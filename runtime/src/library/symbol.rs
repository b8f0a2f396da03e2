//! Names of kernel addresses, as SystemTap's library gives them.

use crate::symbol::Symbols;
use std::io::Write;

/// The function that an address lies in, or the address where it has no name (function::symname(3stap)).
pub fn symname(symbols: &mut Symbols, address: i64) -> Vec<u8> {
    let address = address as u64;
    symbols.find(address).map_or_else(|| hex(address), |symbol| symbol.name.as_bytes().to_vec())
}

/// `name+offset/size [module]`, or the address where it has no name (function::symdata(3stap)).
pub fn symdata(symbols: &mut Symbols, address: i64) -> Vec<u8> {
    let address = address as u64;
    let Some(symbol) = symbols.find(address) else { return hex(address) };
    let (name, offset, size, module) = (&symbol.name, address - symbol.start, symbol.size, &symbol.module);
    format!("{name}+{offset:#x}/{size:#x} [{module}]").into_bytes()
}

/// The module that an address lies in, `kernel` for the kernel itself; unknown is an error
/// (function::modname(3stap)).
pub fn modname(symbols: &mut Symbols, address: i64) -> Vec<u8> {
    symbols.find(address as u64).map_or_else(|| b"<unknown>".to_vec(), |symbol| symbol.module.as_bytes().to_vec())
}

fn hex(address: u64) -> Vec<u8> {
    let mut text = Vec::new();
    write!(text, "{address:#x}").expect("memory takes everything");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_names_or_stay_numbers() {
        let mut symbols = Symbols::default();
        let text = "ffffffff81000100 T vfs_read\nffffffff81000200 T vfs_write\nffffffffc0000000 t init\t[ext4]\n";
        let address = |low: u64| (0xffff_ffff_0000_0000 | low) as i64;
        symbols.learn_text(text, &[0xffff_ffff_8100_0110, 0xffff_ffff_c000_0008, 0x10].map(|a: u64| a));
        assert_eq!(symname(&mut symbols, address(0x8100_0110)), b"vfs_read");
        assert_eq!(symdata(&mut symbols, address(0x8100_0110)), b"vfs_read+0x10/0x100 [kernel]");
        assert_eq!(modname(&mut symbols, address(0xc000_0008)), b"ext4");
        assert_eq!(symname(&mut symbols, 0x10), b"0x10");
        assert_eq!(symdata(&mut symbols, 0x10), b"0x10");
    }
}
