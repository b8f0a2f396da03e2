//! What kernels renamed, as data: a script's names on the left, this kernel's on the right.
//!
//! A row says since when it holds and who says so. Rows are tried in order and the first whose right side this kernel
//! has is taken; nothing here decides by version, as distributions move changes between versions.

/// A function that goes by another name.
pub struct FunctionRow {
    /// The name in the script.
    pub asked: &'static str,
    /// The name in the kernel.
    pub actual: &'static str,
    /// First kernel that has it.
    pub since: &'static str,
    /// Where that is said.
    pub source: &'static str,
}

/// Functions that were renamed. [`SUFFIXES`] covers whole families.
pub const FUNCTIONS: &[FunctionRow] = &[
    FunctionRow {
        asked: "kmem_cache_alloc",
        actual: "kmem_cache_alloc_noprof",
        since: "6.10",
        source: "commit 7bd230a26648, allocation profiling wraps the old name in a macro",
    },
    FunctionRow {
        asked: "kmalloc_trace",
        actual: "__kmalloc_cache_noprof",
        since: "6.10",
        source: "include/linux/slab.h, kmalloc() of a constant size",
    },
    FunctionRow {
        asked: "kmem_cache_alloc_trace",
        actual: "kmalloc_trace",
        since: "6.1",
        source: "include/linux/slab.h, kmalloc() of a constant size",
    },
    FunctionRow {
        asked: "kmem_cache_alloc_trace",
        actual: "__kmalloc_cache_noprof",
        since: "6.10",
        source: "include/linux/slab.h, kmalloc() of a constant size",
    },
    FunctionRow {
        asked: "__vfs_read",
        actual: "vfs_read",
        since: "5.8",
        source: "fs/read_write.c, vfs_read() holds what it did",
    },
    FunctionRow {
        asked: "__vfs_write",
        actual: "vfs_write",
        since: "5.8",
        source: "fs/read_write.c, vfs_write() holds what it did",
    },
    FunctionRow {
        asked: "find_get_entry",
        actual: "mapping_get_entry",
        since: "5.15",
        source: "mm/filemap.c, the old name went to one that walks",
    },
    FunctionRow {
        asked: "find_get_entry",
        actual: "filemap_get_entry",
        since: "6.3",
        source: "mm/filemap.c, mapping_get_entry() until then",
    },
    FunctionRow {
        asked: "clear_huge_page",
        actual: "folio_zero_user",
        since: "6.11",
        source: "mm/memory.c, of folios",
    },
    FunctionRow {
        asked: "copy_user_huge_page",
        actual: "copy_user_large_folio",
        since: "6.4",
        source: "mm/memory.c, of folios",
    },
    FunctionRow {
        asked: "split_huge_page",
        actual: "split_huge_page_to_list",
        since: "3.13",
        source: "include/linux/huge_mm.h, the old name is an inline function",
    },
    FunctionRow {
        asked: "split_huge_page",
        actual: "split_huge_page_to_list_to_order",
        since: "6.9",
        source: "include/linux/huge_mm.h, the old name is an inline function",
    },
    FunctionRow {
        asked: "tcp_transmit_skb",
        actual: "__tcp_transmit_skb",
        since: "4.18",
        source: "net/ipv4/tcp_output.c, the old name is an inline function",
    },
];

/// Tracepoints that were renamed, which stand in the same place and tell the same.
pub const TRACEPOINTS: &[FunctionRow] = &[FunctionRow {
    asked: "mm_vmscan_writepage",
    actual: "mm_vmscan_write_folio",
    since: "5.19",
    source: "mm/vmscan.c, pageout() of folios",
}];

/// A suffix that a whole family of functions got.
pub struct SuffixRow {
    /// What is added to the script's name.
    pub suffix: &'static str,
    /// First kernel that has it.
    pub since: &'static str,
    /// Where that is said.
    pub source: &'static str,
}

/// Suffixes tried where a name is unknown.
pub const SUFFIXES: &[SuffixRow] = &[SuffixRow {
    suffix: "_noprof",
    since: "6.10",
    source: "commit 7bd230a26648, allocation profiling wraps the old name in a macro",
}];

/// When a companion is probed too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Whenever the function is probed.
    Always,
    /// When the script names a slab cache that starts like this.
    CacheNamed(&'static str),
}

/// Work that went through one function and was given to a second one.
pub struct CompanionRow {
    /// The name in the script.
    pub asked: &'static str,
    /// The function that has taken over a part of the calls (its own renames apply).
    pub companion: &'static str,
    /// When it is probed too.
    pub when: When,
    /// What went over, in words for the note.
    pub what: &'static str,
    /// Since when, and who says so.
    pub source: &'static str,
}

/// Functions whose callers were split.
pub const COMPANIONS: &[CompanionRow] = &[
    CompanionRow {
        asked: "kmem_cache_alloc",
        companion: "kmem_cache_alloc_lru",
        when: When::Always,
        what: "dentries, inodes and the like",
        source: "5.18, mm/slub.c: caches on list_lrus allocate through it",
    },
    CompanionRow {
        asked: "kmem_cache_alloc",
        companion: "kmem_cache_alloc_node",
        when: When::Always,
        what: "allocations on a given node",
        source: "include/linux/slab.h: without NUMA it was kmem_cache_alloc itself",
    },
    CompanionRow {
        asked: "kmem_cache_alloc",
        companion: "kmalloc_trace",
        when: When::CacheNamed("kmalloc-"),
        what: "kmalloc() of a constant size",
        source: "SLAB's kmalloc() called kmem_cache_alloc (include/linux/slab_def.h, gone in 6.8); SLUB's never did",
    },
];

/// A parameter that goes by another name.
pub struct ParamRow {
    /// The function, by the name in the script or the kernel; a trailing `*` matches any rest.
    pub function: &'static str,
    /// The name in the script.
    pub asked: &'static str,
    /// The name in the kernel.
    pub actual: &'static str,
    /// Where that is said.
    pub source: &'static str,
}

/// Parameters that were renamed.
pub const PARAMS: &[ParamRow] = &[
    ParamRow {
        function: "kmem_cache_*",
        asked: "cachep",
        actual: "s",
        source: "mm/slab.c (gone in 6.8) said cachep, mm/slub.c says s",
    },
    ParamRow {
        function: "kmem_cache_*",
        asked: "flags",
        actual: "gfpflags",
        source: "mm/slab.c (gone in 6.8) said flags, mm/slub.c says gfpflags",
    },
    ParamRow {
        function: "kmalloc_trace*",
        asked: "cachep",
        actual: "s",
        source: "as kmem_cache_alloc, whose calls it took over",
    },
    ParamRow {
        function: "__kmalloc_cache*",
        asked: "cachep",
        actual: "s",
        source: "as kmem_cache_alloc, whose calls it took over",
    },
];

/// How a tracepoint's arguments give what a function's parameter was.
pub enum StandInParam {
    /// The argument with this name.
    Arg(&'static str),
    /// The slab cache of the object at this argument: the kfunc `bpf_get_kmem_cache`, Linux 6.13.
    CacheOf(&'static str),
}

/// A tracepoint that stands for a function where functions cannot be probed.
pub struct StandInRow {
    /// The function, by the kernel's name.
    pub function: &'static str,
    /// The tracepoint it fires.
    pub tracepoint: &'static str,
    /// The function's parameters.
    pub params: &'static [(&'static str, StandInParam)],
    /// Its argument that is the function's result.
    pub result: &'static str,
    /// What the tracepoint covers beyond the function, for the note.
    pub covers: &'static str,
    /// Where that is said.
    pub source: &'static str,
}

const CACHE_PARAMS: &[(&str, StandInParam)] =
    &[("s", StandInParam::Arg("s")), ("gfpflags", StandInParam::Arg("gfp_flags")), ("node", StandInParam::Arg("node"))];
const KMALLOC_PARAMS: &[(&str, StandInParam)] = &[
    ("s", StandInParam::CacheOf("ptr")),
    ("gfpflags", StandInParam::Arg("gfp_flags")),
    ("size", StandInParam::Arg("bytes_req")),
];

/// Tracepoints that stand for functions. One tracepoint may stand for several and is then probed once.
pub const STAND_INS: &[StandInRow] = &[
    StandInRow {
        function: "kmem_cache_alloc*",
        tracepoint: "kmem_cache_alloc",
        params: CACHE_PARAMS,
        result: "ptr",
        covers: "kmem_cache_alloc, _lru and _node",
        source: "mm/slub.c, from 6.1",
    },
    StandInRow {
        function: "kmalloc_trace*",
        tracepoint: "kmalloc",
        params: KMALLOC_PARAMS,
        result: "ptr",
        covers: "every kmalloc(), of constant size or not",
        source: "mm/slub.c; the cache is found from the object by bpf_get_kmem_cache, from 6.13",
    },
    StandInRow {
        function: "__kmalloc_cache*",
        tracepoint: "kmalloc",
        params: KMALLOC_PARAMS,
        result: "ptr",
        covers: "every kmalloc(), of constant size or not",
        source: "mm/slub.c; the cache is found from the object by bpf_get_kmem_cache, from 6.13",
    },
];

/// A slab cache that goes by another name.
pub struct CacheRow {
    /// What the script's name starts with; a number and perhaps `(DMA)` follow.
    pub asked: &'static str,
    /// What the kernel's name starts with.
    pub actual: &'static str,
    /// The same with `(DMA)`.
    pub actual_dma: &'static str,
    /// Where that is said.
    pub source: &'static str,
}

/// Slab caches that were renamed.
pub const CACHES: &[CacheRow] = &[CacheRow {
    asked: "size-",
    actual: "kmalloc-",
    actual_dma: "dma-kmalloc-",
    source: "SLAB's general caches, mm/slab.c until 3.10; SLUB calls them kmalloc",
}];

/// Whether a row's pattern (`name` or `name*`) matches.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

/// The present name of a slab cache that was renamed, with the row that says so.
pub fn cache(asked: &str) -> Option<(String, &'static CacheRow)> {
    CACHES.iter().find_map(|row| {
        let rest = asked.strip_prefix(row.asked)?;
        let (size, dma) = rest.strip_suffix("(DMA)").map_or((rest, false), |size| (size, true));
        let bytes: u64 = size.parse().ok()?;
        // SLUB writes whole kilobytes and megabytes short: kmalloc-1k, kmalloc-8k.
        let size = match bytes {
            b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{}M", b >> 20),
            b if b >= 1024 && b % 1024 == 0 => format!("{}k", b >> 10),
            b => b.to_string(),
        };
        Some((format!("{}{size}", if dma { row.actual_dma } else { row.actual }), row))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slab_names_of_slab_become_those_of_slub() {
        for (asked, actual) in
            [("size-32", "kmalloc-32"), ("size-4096", "kmalloc-4k"), ("size-64(DMA)", "dma-kmalloc-64")]
        {
            assert_eq!(cache(asked).map(|(name, _)| name).as_deref(), Some(actual));
        }
        assert!(cache("dentry").is_none());
        assert!(cache("size-x").is_none());
    }
}
