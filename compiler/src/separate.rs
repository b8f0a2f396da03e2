//! Where the debug information and the symbols of a program lie that are in a file of their own.

use crate::elf::{Elf, hexadecimal};

/// Where packages put debug information.
const FOLDER: &str = "/usr/lib/debug";

/// Files that may have what a program at a path was stripped of, those that the user names first: each of these is the
/// file itself, or a folder as `/usr/lib/debug` is one.
pub fn places(path: &str, elf: &Elf, named: &[String]) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let build = elf.build_id().map(hexadecimal);
    let (build, link) = (build.as_deref(), elf.debug_link());
    let below = |root: &str| -> Vec<String> {
        let by_build = build.and_then(|id| by_build(root, id));
        let by_name = link.into_iter().flat_map(|name| [format!("{root}/{name}"), format!("{root}{folder}/{name}")]);
        by_build.into_iter().chain(by_name).collect()
    };
    let named = named.iter().flat_map(|place| [vec![place.clone()], below(place)].concat());
    let beside = link.into_iter().flat_map(|name| [format!("{folder}/{name}"), format!("{folder}/.debug/{name}")]);
    let places = named.chain(beside).chain(below(FOLDER));
    places.filter(|place| place != path).collect()
}

/// Where the debug information of a build is below a folder.
fn by_build(root: &str, id: &str) -> Option<String> {
    let (first, rest) = id.split_at_checked(2).filter(|(_, rest)| !rest.is_empty())?;
    Some(format!("{root}/.build-id/{first}/{rest}.debug"))
}

/// Where packages put the debug information of a build.
pub fn of_build(id: &str) -> Option<String> {
    by_build(FOLDER, id)
}

/// Whether a file is of the same build as a program; where that does not say which it is, the name decides that it gives.
pub fn is_of(elf: &Elf, path: &str, other: &Elf) -> bool {
    match elf.build_id() {
        Some(id) => other.build_id() == Some(id),
        None => elf.debug_link().is_some_and(|name| path.rsplit('/').next() == Some(name)),
    }
}
