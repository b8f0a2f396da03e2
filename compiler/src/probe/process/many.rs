//! `process("PATTERN")` and `process("BUILD")`: programs by other names than their path.

use super::binary::no_file;
use crate::probe::site::{Resolver, Site, Sites, text};
use tapster_lang::ast::{Literal, ProbePoint};

/// Digits of a build's number.
const BUILD_DIGITS: core::ops::RangeInclusive<usize> = 32..=64;

/// Whether a name is the number of a build, as `file` and `readelf -n` print it.
pub fn is_build(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    BUILD_DIGITS.contains(&name.len()) && name.bytes().all(is_digit)
}

/// The point with the paths of the programs that its first part stands for; `None` where it names one, or a process.
pub fn named(point: &ProbePoint, resolver: &Resolver) -> Option<Vec<ProbePoint>> {
    let Some((Literal::String(_), _)) = point.components[0].arg else { return None };
    let (name, _) = text(&point.components[0]).ok()?;
    if resolver.world.executable(name).is_some() {
        return None;
    }
    let is_pattern = name.contains(['*', '?', '[']);
    let mut paths: Vec<String> = match is_build(name) {
        true => resolver.world.of_build(name).into_iter().collect(),
        false if is_pattern => resolver.world.executables(name),
        false => Vec::new(),
    };
    paths.extend(library(name).iter().flatten().flat_map(|pattern| resolver.world.executables(pattern)));
    paths.extend(moved(&paths).filter_map(|path| resolver.world.executable(&path)).collect::<Vec<_>>());
    paths.sort();
    paths.dedup();
    if paths.is_empty() && !is_pattern && !is_build(name) {
        return None;
    }
    Some(paths.into_iter().map(|path| with_program(point, path)).collect())
}

/// Where a library of `/lib64`, `/usr/lib*` or their kind lies on distributions with a folder for each kind of machine:
/// `/usr/lib/x86_64-linux-gnu`, or `/lib/…` where that is no link.
fn library(name: &str) -> Option<[String; 2]> {
    let name = name.strip_prefix("/usr").unwrap_or(name).strip_prefix("/lib")?;
    let name = name.strip_prefix("64").or(name.strip_prefix('*')).unwrap_or(name).strip_prefix('/')?;
    (!name.contains('/')).then(|| ["/usr", ""].map(|root| format!("{root}/lib/*-linux-gnu/{name}")))
}

/// Since glibc 2.34 the functions of its libraries for threads and more are in the C library; the old names are empty.
const MOVED: &[&str] = &["libpthread.so", "libpthread-2", "libdl.so", "librt.so", "libutil.so", "libanl.so"];

/// The C libraries beside some libraries whose functions moved there.
fn moved(paths: &[String]) -> impl Iterator<Item = String> {
    let parts = paths.iter().filter_map(|path| path.rsplit_once('/'));
    let of_glibc = parts.filter(|(_, name)| MOVED.iter().any(|moved| name.starts_with(moved)));
    of_glibc.map(|(folder, _)| format!("{folder}/libc.so.6"))
}

fn with_program(point: &ProbePoint, path: String) -> ProbePoint {
    let mut point = point.clone();
    if let Some((literal, _)) = &mut point.components[0].arg {
        *literal = Literal::String(path.into_bytes());
    }
    point
}

/// The places of all programs that have such a place; the first reason where none has one.
pub fn all(point: &ProbePoint, points: &[ProbePoint], resolve: &mut dyn FnMut(&ProbePoint) -> Sites) -> Sites {
    let (mut sites, mut refused): (Vec<Site>, _) = (Vec::new(), None);
    for program in points {
        match resolve(program) {
            Ok(found) => sites.extend(found),
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    match (sites.is_empty(), refused) {
        (true, Some(refused)) => Err(refused),
        (true, None) => {
            let (name, at) = text(&point.components[0])?;
            Err(no_file(name, at))
        }
        (false, _) => {
            // One that is refused does not keep the others from being probed.
            let many = points.len() > 1;
            sites.iter_mut().for_each(|site| site.lenient |= many);
            Ok(sites)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{library, moved};

    #[test]
    fn libraries_have_a_folder_for_each_kind_of_machine() {
        for name in ["/lib64/libc.so.6", "/usr/lib64/libc.so.6", "/lib*/libc.so.6", "/usr/lib/libc.so.6"] {
            let found = ["/usr/lib/*-linux-gnu/libc.so.6", "/lib/*-linux-gnu/libc.so.6"].map(String::from);
            assert_eq!(library(name), Some(found), "{name}");
        }
        for name in ["/usr/lib64/php/mod.so", "/usr/libexec/x", "/opt/lib/libc.so.6", "libc.so.6"] {
            assert_eq!(library(name), None, "{name}");
        }
    }
    #[test]
    fn functions_of_threads_are_in_the_c_library() {
        let paths = ["/lib64/libpthread.so.0", "/lib64/libm.so.6", "/usr/lib/librt.so.1"].map(String::from);
        assert_eq!(moved(&paths).collect::<Vec<_>>(), ["/lib64/libc.so.6", "/usr/lib/libc.so.6"]);
    }
}
