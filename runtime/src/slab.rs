//! Which slab caches the kernel has, and under what names.
//!
//! SLUB merges caches of one size: all their names are links in `/sys/kernel/slab` to one directory whose own name
//! (`:0000192`) nobody gave it, and only the name of the first one is in `struct kmem_cache` and `/proc/slabinfo`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use tapster_compiler::world::SlabCache;

/// Names in the kernel's directory of caches, each with the name of the directory it really is.
pub fn directory(path: &str) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(path) else { return BTreeMap::new() };
    let named = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with(':'))?;
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let link = if is_link { fs::read_link(entry.path()).ok() } else { None };
        let target = link.as_ref().and_then(|link| link.file_name()?.to_str()).unwrap_or(&name).to_owned();
        Some((name, target))
    });
    named.collect()
}

/// Cache names of `/proc/slabinfo`: the first word of every line behind the two of the header.
pub fn listed(text: &str) -> BTreeSet<String> {
    text.lines().skip(2).filter_map(|line| line.split_ascii_whitespace().next()).map(String::from).collect()
}

/// All caches by name; those that are merged know the name their memory goes by.
pub fn caches(directory: BTreeMap<String, String>, listed: BTreeSet<String>) -> Vec<SlabCache> {
    let heads: BTreeMap<&str, &str> = directory
        .iter()
        .filter(|(name, _)| listed.contains(*name))
        .map(|(name, target)| (target.as_str(), name.as_str()))
        .collect();
    let names: BTreeSet<&String> = directory.keys().chain(&listed).collect();
    let cache = |name: &String| {
        let head = directory.get(name).and_then(|target| heads.get(target.as_str()));
        let merged_into = head.filter(|_| !listed.contains(name)).map(|head| (*head).to_owned());
        SlabCache { name: name.clone(), merged_into }
    };
    names.into_iter().map(cache).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_cache_knows_the_name_in_its_memory() {
        let listed = listed("slabinfo - version: 2.1\n# name <active>\ncred 1 2\ndentry 3 4\n");
        let links = [("cred", ":0000192"), ("pid_2", ":0000192"), ("dentry", "dentry"), ("lonely", ":0000016")];
        let directory = links.iter().map(|(name, target)| ((*name).into(), (*target).into())).collect();
        let found: Vec<_> = caches(directory, listed).into_iter().map(|c| (c.name, c.merged_into)).collect();
        let expected = [("cred", None), ("dentry", None), ("lonely", None), ("pid_2", Some("cred"))];
        assert_eq!(found, expected.map(|(name, into)| (name.to_owned(), into.map(String::from))));
    }

    #[test]
    fn without_slabinfo_the_directory_names_them() {
        let directory = BTreeMap::from([("cred".to_owned(), ":0000192".to_owned())]);
        assert_eq!(caches(directory, BTreeSet::new()), [SlabCache { name: "cred".into(), merged_into: None }]);
    }
}
