//! Every alias of the library is named where a test checks it, or stands here with the reason why it is not.
//!
//! `syscall.NAME` and `nd_syscall.NAME` are made of a table: cases of `tests/cases/syscall` take all of them at once.

use std::collections::BTreeSet;
use std::fs;

use regex_lite::Regex;

use super::source::Tree;
use crate::workspace;

/// Where tests name aliases.
const TESTS: &[&str] = &["tests/src/scenario/", "tests/src/examples/"];

/// Aliases, `*` for what else their names may end with, and why no test holds what they say against something else.
const EXEMPT: &[(&str, &str)] = &[
    ("stap.* staprun.*", "SystemTap's own programs, which the guests do not have"),
    ("perf.hw.* perf.hw_cache.*", "virtual machines, which tests run in, count none of them"),
    ("perf.sw.alignment_faults perf.sw.emulation_faults", "kernels for x86 count none"),
    ("nfs.proc2.* nfsd.proc2.*", "no kernel of the lab has version 2 of NFS"),
    ("nfsd.close.return nfsd.createv3.return", "for older kernels than those of the lab"),
    (
        "nfs.proc.lookup.return nfs.proc.create.return nfs.proc.remove* nfs.proc.rename_* nfs.proc.read_* nfs.proc.write_* \
      nfs.proc.commit_* nfs.proc.entries nfs.proc.return nfs.fop.entries nfs.fop.return nfs.aop.entries nfs.aop.return \
      nfsd.proc.lookup.return nfsd.proc.create* nfsd.proc.remove* nfsd.proc.rename.return nfsd.proc.read* nfsd.proc.write* \
      nfsd.proc.commit* nfsd.proc.entries nfsd.proc.return nfsd.entries nfsd.return sunrpc.entry sunrpc.return \
      sunrpc.clnt.entry sunrpc.clnt.return sunrpc.svc.entry sunrpc.svc.return sunrpc.sched.entry sunrpc.sched.return",
        "lists of others, each of which is checked: a guest takes minutes to attach all of them once more",
    ),
    (
        "nfs.aop.release_page*",
        "of pages that the client may give up; those that fadvise() is for are not asked about: \
        families/all_aliases_are_accepted_of_clients has them verified",
    ),
    (
        "sunrpc.clnt.call_async* sunrpc.clnt.restart_call* sunrpc.sched.delay* sunrpc.svc.drop*",
        "what clients of versions 3 and 4.1 do not do, or only where a server has to be waited for: verified, too",
    ),
    ("generic.aop.writepages*", "guests have no file system that leaves this to the kernel: verified, too"),
    ("vfs.buffer_migrate_page*", "the kernel moves such pages when it likes: verified, too"),
    ("ioscheduler_trace.elv_requeue_request", "no disk of the guests sends requests back"),
    (
        "ipmib.ForwDatagrams linuxmib.DelayedACKs tcpmib.OutRsts",
        "a guest routes nothing; the others are the kernel's choice",
    ),
];

/// Aliases that neither a test nor the list above names, and rows of the list that no alias needs.
pub fn checked(tree: &Tree) -> Vec<String> {
    let aliases = aliases(tree);
    let named = named(tree);
    let patterns: Vec<&str> = EXEMPT.iter().flat_map(|row| row.0.split_whitespace()).collect();
    let row = |alias: &str| patterns.iter().copied().find(|pattern| fits(pattern, alias));
    let open: Vec<&(String, String)> = aliases.iter().filter(|(alias, _)| !named.contains(alias)).collect();
    let complain = |(alias, file): &&(String, String)| match row(alias) {
        Some(_) => None,
        None => Some(format!("{file}: no test names the alias `{alias}`")),
    };
    let mut complaints: Vec<String> = open.iter().filter_map(complain).collect();
    let used: BTreeSet<&str> = open.iter().filter_map(|(alias, _)| row(alias)).collect();
    let idle = patterns.iter().filter(|pattern| !used.contains(*pattern));
    complaints.extend(idle.map(|pattern| format!("tests/src/tidy/named_aliases.rs: `{pattern}` excuses no alias")));
    complaints
}

fn fits(pattern: &str, alias: &str) -> bool {
    pattern.strip_suffix('*').map_or(alias == pattern, |begin| alias.starts_with(begin))
}

/// Public aliases, each with the file that defines it.
fn aliases(tree: &Tree) -> Vec<(String, String)> {
    let definition = Regex::new(r"(?m)^probe ([a-z][\w.]*) \+?=").expect("a constant");
    let files = tree.files.iter().filter(|file| file.path.starts_with("compiler/tapset/"));
    let of = |file: &super::source::SourceFile| {
        let names = definition.captures_iter(&file.text).map(|found| (found[1].to_owned(), file.path.clone()));
        names.collect::<Vec<_>>()
    };
    files.flat_map(of).collect()
}

/// All words with dots in cases and scenarios.
fn named(tree: &Tree) -> BTreeSet<String> {
    let word = Regex::new(r"[a-z_]\w*(?:\.\w+)*").expect("a constant");
    let cases = crate::case::corpus(&workspace::cases()).into_iter().flatten();
    let mut texts: Vec<String> = cases.filter_map(|case| fs::read_to_string(case.path).ok()).collect();
    let is_test = |path: &str| TESTS.iter().any(|folder| path.starts_with(folder));
    texts.extend(tree.files.iter().filter(|file| is_test(&file.path)).map(|file| file.text.clone()));
    let words = texts.iter().flat_map(|text| word.find_iter(text).map(|found| found.as_str()));
    // An alias of an event may go on with how often it is wanted.
    let whole = |word: &str| word.strip_suffix(".sample").or(word.strip_suffix(".hz")).unwrap_or(word).to_owned();
    words.map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;
    use super::*;

    #[test]
    fn an_alias_without_a_test_is_found() {
        let text =
            "probe vm.kfree = kernel.trace(\"kfree\") {}\nprobe new.one = timer.s(1) {}\nprobe __own = begin {}\n";
        let tree = Tree { files: vec![SourceFile::new("compiler/tapset/a.stp".into(), text.into())] };
        let names: Vec<String> = aliases(&tree).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["vm.kfree", "new.one"]);
        assert!(checked(&tree).contains(&"compiler/tapset/a.stp: no test names the alias `new.one`".to_owned()));
    }
}
