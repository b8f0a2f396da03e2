//! The memory that a script's maps take of the kernel: room for all their elements, taken when they are made.

use crate::sys::bpf::Map;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};

/// Bytes that the kernel keeps for a map, as it says of its descriptor; nothing where it does not.
fn locked(map: &Map) -> Option<u64> {
    let told = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_fd().as_raw_fd())).ok()?;
    told.lines().find_map(|line| line.strip_prefix("memlock:"))?.trim().parse().ok()
}

/// A line about all maps, the largest first; nothing where there are none, or the kernel does not tell.
pub fn footprint<'a>(maps: impl Iterator<Item = (&'a str, &'a Map)>) -> Option<String> {
    let each: Option<Vec<(&str, u64)>> = maps.map(|(name, map)| Some((name, locked(map)?))).collect();
    each.filter(|each| !each.is_empty()).map(line)
}

fn line(mut each: Vec<(&str, u64)>) -> String {
    each.sort_by_key(|(_, bytes)| core::cmp::Reverse(*bytes));
    let all: u64 = each.iter().map(|(_, bytes)| bytes).sum();
    let parts: Vec<String> = each.iter().map(|(name, bytes)| format!("{name} {}", kilobytes(*bytes))).collect();
    format!("maps take {} kB of the kernel's memory: {}", kilobytes(all), parts.join(", "))
}

fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_comes_first() {
        let of = |each: &[(&'static str, u64)]| line(each.to_vec());
        assert_eq!(of(&[("a", 4096), ("b", 1 << 20)]), "maps take 1028 kB of the kernel's memory: b 1024, a 4");
    }
}
