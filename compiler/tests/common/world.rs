//! Machines made up for tests: one that has nothing, and one with a few functions, tracepoints and types.

use tapster_compiler::world::{Features, Refusal, Rung, SlabCache, Wanted, World};

/// A machine whose kernel tells nothing of itself.
#[allow(dead_code, reason = "not everybody who includes this file needs both machines")]
#[derive(Debug)]
pub struct Bare;

impl World for Bare {
    fn release(&self) -> &str {
        "6.18.0-bare"
    }

    fn btf(&self, _: &str) -> Option<&[u8]> {
        None
    }

    fn features(&self) -> Features {
        Features::default()
    }

    fn offers(&self, _: Rung, _: &Wanted) -> Result<(), Refusal> {
        Err(Refusal("made up".into()))
    }

    fn offers_uprobe_multi(&self) -> Result<(), Refusal> {
        Err(Refusal("made up".into()))
    }

    fn file(&self, _: &str) -> Option<&[u8]> {
        None
    }

    fn executable(&self, _: &str) -> Option<String> {
        None
    }

    fn program_of(&self, _: u32) -> Option<String> {
        None
    }

    fn identity(&self, _: &str) -> Option<(u32, u64)> {
        None
    }

    fn library(&self, _: &str, _: &[String]) -> Option<String> {
        None
    }

    fn has_unmerged_slab_cache(&self, _: &str) -> bool {
        false
    }

    fn slab_caches(&self) -> Option<Vec<SlabCache>> {
        None
    }
}

/// A machine with BTF: functions of each rung, and tracepoints.
#[allow(dead_code, reason = "not everybody who includes this file needs both machines")]
#[derive(Debug)]
pub struct Small {
    btf: Vec<u8>,
    module: Vec<u8>,
    modules: Vec<String>,
}

impl World for Small {
    fn release(&self) -> &str {
        "6.18.0-small"
    }

    fn btf(&self, module: &str) -> Option<&[u8]> {
        match module {
            "vmlinux" => Some(&self.btf),
            MODULE => Some(&self.module),
            _ => None,
        }
    }

    fn modules(&self) -> Option<&[String]> {
        Some(&self.modules)
    }

    fn features(&self) -> Features {
        Features { cpu_v4: true, may_goto: false }
    }

    /// `vfs_*` have the first rung, `kmem_*` the last, all others kprobes.
    fn offers(&self, rung: Rung, wanted: &Wanted) -> Result<(), Refusal> {
        let offered = match rung {
            Rung::Fentry => wanted.function.starts_with("vfs_"),
            Rung::KprobeMulti => false,
            Rung::Kprobe => !wanted.function.starts_with("kmem_"),
            Rung::Tracepoint => true,
        };
        if offered { Ok(()) } else { Err(Refusal("made up".into())) }
    }

    fn offers_uprobe_multi(&self) -> Result<(), Refusal> {
        Err(Refusal("made up".into()))
    }

    fn file(&self, _: &str) -> Option<&[u8]> {
        None
    }

    fn executable(&self, _: &str) -> Option<String> {
        None
    }

    fn program_of(&self, _: u32) -> Option<String> {
        None
    }

    fn identity(&self, _: &str) -> Option<(u32, u64)> {
        None
    }

    fn library(&self, _: &str, _: &[String]) -> Option<String> {
        None
    }

    fn has_unmerged_slab_cache(&self, name: &str) -> bool {
        name == "dentry"
    }

    fn slab_caches(&self) -> Option<Vec<SlabCache>> {
        let merged = SlabCache { name: "filp".into(), merged_into: Some("dentry".into()) };
        Some(vec![SlabCache { name: "dentry".into(), merged_into: None }, merged])
    }
}

/// The only module.
pub const MODULE: &str = "gizmo";

const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;
const CONST: u32 = 10;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

#[allow(dead_code, reason = "not everybody who includes this file needs both machines")]
impl Small {
    /// The machine with other blobs, of the kernel and of its module.
    pub fn with(btf: Vec<u8>, module: Vec<u8>) -> Small {
        Small { btf, module, modules: vec![MODULE.into()] }
    }

    /// The machine.
    pub fn new() -> Small {
        let mut types = Types::default();
        let int = types.int("int", 4, true);
        let long = types.int("long unsigned int", 8, false);
        let char = types.int("char", 1, true);
        let text = types.to(PTR, "", char);
        let comm = types.array(char, long, 16);
        let cache =
            types.members(STRUCT, "kmem_cache", 32, &[("flags", int, 0), ("name", text, 64), ("size", int, 128)]);
        let cache = types.to(PTR, "", cache);
        let inner = types.members(UNION, "", 8, &[("tgid", int, 0), ("start_time", long, 0)]);
        // A task points to its parent: the pointer comes right behind the structure.
        let parent = types.count + 2;
        let members = [("pid", int, 0), ("", inner, 64), ("parent", parent, 128), ("comm", comm, 192)];
        let task = types.members(STRUCT, "task_struct", 40, &members);
        let task = types.to(PTR, "", task);
        let anything = types.to(CONST, "", 0);
        let anything = types.to(PTR, "", anything);
        types.function("vfs_read", long, &[("task", task), ("buf", text), ("count", long), ("pos", anything)]);
        types.function("do_nothing", 0, &[]);
        types.function("do_something", int, &[("task", task), ("number", int), ("text", text)]);
        types.function("kmem_cache_alloc", anything, &[("cachep", cache), ("flags", int)]);
        types.tracepoint("sched_switch", &[("preempt", int), ("prev", task), ("next", task)]);
        types.tracepoint("sys_enter", &[("regs", anything), ("id", long)]);
        types.tracepoint("kmem_cache_alloc", &[("call_site", long), ("ptr", anything), ("s", cache)]);
        let mut own = types.behind();
        let gizmo = own.members(STRUCT, "gizmo", 16, &[("owner", task, 0), ("size", int, 64)]);
        let gizmo = own.to(PTR, "", gizmo);
        own.function("gizmo_turn", int, &[("gizmo", gizmo), ("by", long)]);
        own.tracepoint("gizmo_turned", &[("gizmo", gizmo)]);
        Small::with(types.blob(), own.blob())
    }
}

/// BTF in the making (Documentation/bpf/btf.rst).
#[derive(Debug, Default)]
struct Types {
    words: Vec<u32>,
    count: u32,
    strings: Vec<u8>,
    /// Bytes of names before its own.
    before: u32,
}

impl Types {
    /// Those of a module, which go on where these end.
    fn behind(&self) -> Types {
        Types { count: self.count, before: self.strings.len() as u32 + 1, ..Types::default() }
    }

    fn string(&mut self, text: &str) -> u32 {
        // The empty string comes first.
        let at = self.before + self.strings.len() as u32 + 1;
        self.strings.extend(text.bytes().chain([0]));
        if text.is_empty() { 0 } else { at }
    }

    /// A type's three fixed words, and what follows.
    fn add(&mut self, (kind, members): (u32, usize), name: &str, third: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        self.words.extend([name, kind << 24 | members as u32, third]);
        self.words.extend(rest);
        self.count += 1;
        self.count
    }

    fn int(&mut self, name: &str, size: u32, signed: bool) -> u32 {
        self.add((INT, 0), name, size, &[(u32::from(signed) << 24) | (size * 8)])
    }

    fn to(&mut self, kind: u32, name: &str, target: u32) -> u32 {
        self.add((kind, 0), name, target, &[])
    }

    fn array(&mut self, element: u32, index: u32, length: u32) -> u32 {
        self.add((ARRAY, 0), "", 0, &[element, index, length])
    }

    fn members(&mut self, kind: u32, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let words: Vec<u32> = members.iter().flat_map(|(name, ty, bit)| [self.string(name), *ty, *bit]).collect();
        self.add((kind, members.len()), name, size, &words)
    }

    fn proto(&mut self, result: u32, params: &[(&str, u32)]) -> u32 {
        let words: Vec<u32> = params.iter().flat_map(|(name, ty)| [self.string(name), *ty]).collect();
        self.add((FUNC_PROTO, params.len()), "", result, &words)
    }

    fn function(&mut self, name: &str, result: u32, params: &[(&str, u32)]) {
        let proto = self.proto(result, params);
        self.to(FUNC, name, proto);
    }

    fn tracepoint(&mut self, name: &str, params: &[(&str, u32)]) {
        let data = self.to(PTR, "", 0);
        let params: Vec<(&str, u32)> = [("__data", data)].into_iter().chain(params.iter().copied()).collect();
        let proto = self.proto(0, &params);
        let callback = self.to(PTR, "", proto);
        self.to(TYPEDEF, &format!("btf_trace_{name}"), callback);
        self.to(FUNC, &format!("__traceiter_{name}"), proto);
    }

    fn blob(self) -> Vec<u8> {
        let bytes = self.words.len() as u32 * 4;
        let header = [0xeb9f | 1 << 16, 24, 0, bytes, bytes, self.strings.len() as u32 + 1];
        let words = header.iter().chain(&self.words).flat_map(|word| word.to_le_bytes());
        words.chain([0]).chain(self.strings).collect()
    }
}
