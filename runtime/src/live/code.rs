//! eBPF by hand: an assembler of a page, the kernel's BTF ids, and images for the tests next door.

use crate::sys::bpf;
use tapster_compiler::image::Insn;
use tapster_compiler::image::{
    ArgKind, Array, Attach, Conversion, Format, Global, Image, KeyKind, KeyPart, Loss, Map, MapKind, MapRef, MapRole,
    Measure, Piece, Program, Storage, Value,
};
use tapster_runtime_ebpf::aggregate::{Histogram, Layout, Parts};
use tapster_runtime_ebpf::{helper, intern, record, state};

const COUNT: Layout = Layout {
    parts: Parts { count: true, sum: false, min: false, max: false, variance: None },
    histogram: Histogram::None,
};
/// BTF kinds.
pub const TYPEDEF: u32 = 8;
pub const FUNC: u32 = 12;
const JUMP: u8 = 0x05;
const JUMP_IF_ZERO: u8 = 0x15;
const JUMP_IF_NOT_ZERO: u8 = 0x55;

/// The BTF id of a type, by its kind and name.
pub fn btf_id(btf: &[u8], kind: u32, name: &str) -> Option<u32> {
    let half = |at: usize| btf.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
    let header = half(4)?;
    let (types, end) = (header + half(8)?, header + half(8)? + half(12)?);
    let strings = header + half(16)?;
    let (mut at, mut id) = (types, 1);
    while at < end {
        let info = half(at + 4)?;
        let text = &btf[strings + half(at)?..];
        if (info >> 24) & 0x1f == kind as usize && text.starts_with(name.as_bytes()) && text[name.len()] == 0 {
            return Some(id);
        }
        let members = info & 0xffff;
        at += 12
            + match (info >> 24) & 0x1f {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => 12 * members,
                6 | 13 => 8 * members,
                _ => 0,
            };
        id += 1;
    }
    None
}

/// A program under construction.
#[derive(Default)]
pub struct Code {
    insns: Vec<Insn>,
    map_refs: Vec<MapRef>,
    jumps: Vec<(usize, &'static str)>,
    labels: Vec<(&'static str, usize)>,
}

impl Code {
    pub fn op(mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Code {
        self.insns.push(Insn { code, regs: dst | src << 4, off, imm });
        self
    }
    pub fn set(self, dst: u8, imm: i32) -> Code {
        self.op(0xb7, dst, 0, 0, imm)
    }
    pub fn copy(self, dst: u8, src: u8) -> Code {
        self.op(0xbf, dst, src, 0, 0)
    }
    /// `dst = fp + offset`
    pub fn frame(self, dst: u8, offset: i32) -> Code {
        self.copy(dst, 10).op(0x07, dst, 0, 0, offset)
    }
    pub fn load(self, dst: u8, src: u8, off: i16) -> Code {
        self.op(0x79, dst, src, off, 0)
    }
    pub fn store(self, dst: u8, off: i16, src: u8) -> Code {
        self.op(0x7b, dst, src, off, 0)
    }
    pub fn store_imm(self, dst: u8, off: i16, imm: i32) -> Code {
        self.op(0x7a, dst, 0, off, imm)
    }
    pub fn map(mut self, dst: u8, map: usize, value: Option<i32>) -> Code {
        self.map_refs.push(MapRef { insn: self.insns.len() as u32, map, value: value.is_some() });
        self.op(0x18, dst, 0, 0, 0).op(0, 0, 0, 0, value.unwrap_or(0))
    }
    pub fn jump(mut self, code: u8, dst: u8, to: &'static str) -> Code {
        self.jumps.push((self.insns.len(), to));
        self.op(code, dst, 0, 0, 0)
    }
    pub fn label(mut self, name: &'static str) -> Code {
        self.labels.push((name, self.insns.len()));
        self
    }
    pub fn call(self, helper: u32) -> Code {
        self.op(0x85, 0, 0, 0, helper as i32)
    }
    pub fn exit(self) -> Code {
        self.set(0, 0).op(0x95, 0, 0, 0, 0)
    }

    /// Adds one to a word of the state block.
    pub fn count_in_state(self, map: usize, offset: u32) -> Code {
        self.map(1, map, Some(offset as i32)).set(2, 1).op(0xdb, 1, 2, 0, 0)
    }

    pub fn program(mut self, attach: Attach) -> Program {
        for (at, to) in std::mem::take(&mut self.jumps) {
            let (_, target) = self.labels.iter().find(|(name, _)| *name == to).expect("a label");
            self.insns[at].off = (*target as i64 - at as i64 - 1) as i16;
        }
        Program {
            name: "tapster_test".into(),
            probe: "kernel.trace(\"kmem_cache_alloc\")".into(),
            attach,
            sites: vec![],
            lenient: false,
            why: vec!["fentry: refused".into()],
            span: tapster_lang::Span { start: 7, end: 8 },
            insns: self.insns,
            map_refs: self.map_refs,
            func_info: vec![],
            line_info: vec![],
            positions: vec![(0, 10), (2, 20)],
        }
    }
}

pub fn map(name: &str, kind: MapKind, key_size: u32, value_size: u32, max_entries: u32, role: MapRole) -> Map {
    Map { name: name.into(), kind, key_size, value_size, max_entries, mmapable: role == MapRole::State, role }
}

/// `stats[execname()] <<< 1`, and a count of all events in the state block behind one loss counter.
pub fn counting(attach: Attach) -> Image {
    let code = Code::default()
        .count_in_state(1, state::loss(1))
        .frame(1, -16)
        .set(2, 16)
        .call(helper::GET_CURRENT_COMM)
        .map(1, 0, None)
        .frame(2, -16)
        .call(helper::MAP_LOOKUP_ELEM)
        .jump(JUMP_IF_NOT_ZERO, 0, "hit")
        .store_imm(10, -24, 1)
        .map(1, 0, None)
        .frame(2, -16)
        .frame(3, -24)
        .set(4, bpf::NOEXIST as i32)
        .call(helper::MAP_UPDATE_ELEM)
        .jump(JUMP, 0, "out")
        .label("hit")
        .load(1, 0, 0)
        .op(0x07, 1, 0, 0, 1)
        .store(0, 0, 1)
        .label("out")
        .exit();
    let array = Array {
        map: Some(0),
        key: vec![KeyPart { offset: 0, kind: KeyKind::Text(16) }],
        key_size: 16,
        value: Value::Aggregate(COUNT),
        max_entries: 2048,
        sized: false,
        wrap: false,
        ordered: false,
    };
    Image {
        maps: vec![
            map("stats", MapKind::PercpuHash, 16, COUNT.size(), 2048, MapRole::Array(0)),
            map("state", MapKind::Array, 4, state::loss(2), 1, MapRole::State),
        ],
        programs: vec![code.program(attach)],
        globals: vec![Global { name: "stats".into(), storage: Storage::Array(array) }],
        state_size: state::loss(2),
        losses: vec![Loss::ArrayFull(0)],
        ..Image::default()
    }
}

/// Sends a number and a string at every event, to be printed or handed on, then asks to exit.
pub fn sending(kind: record::Kind, attach: Attach) -> Image {
    const SIZE: i32 = record::HEADER as i32 + 24;
    let code = Code::default()
        .map(1, 0, None)
        .set(2, SIZE)
        .set(3, 0)
        .call(helper::RINGBUF_RESERVE)
        .jump(JUMP_IF_ZERO, 0, "full")
        .copy(6, 0)
        .op(0x62, 6, 0, record::KIND as i16, kind as i32)
        .op(0x62, 6, 0, record::INDEX as i16, 0)
        .call(helper::KTIME_GET_NS)
        .store(6, record::TIME as i16, 0)
        .store_imm(6, 16, -42)
        .copy(1, 6)
        .op(0x07, 1, 0, 0, 24)
        .set(2, 16)
        .call(helper::GET_CURRENT_COMM)
        .copy(1, 6)
        .set(2, 0)
        .call(helper::RINGBUF_SUBMIT)
        .jump(JUMP, 0, "exit()")
        .label("full")
        .count_in_state(2, state::loss(0))
        .label("exit()")
        .store_imm(10, -16, record::Kind::Exit as i32)
        .store_imm(10, -8, 0)
        .map(1, 1, None)
        .frame(2, -16)
        .set(3, record::HEADER as i32)
        .set(4, 0)
        .call(helper::RINGBUF_OUTPUT)
        .exit();
    let conversion = |kind, arg| {
        Piece::Conversion(Conversion { flag: None, width: Measure::None, precision: Measure::None, kind, arg })
    };
    let pieces = vec![
        Piece::Literal(b"hit ".to_vec()),
        conversion(b'd', ArgKind::Long),
        Piece::Literal(b" ".to_vec()),
        conversion(b's', ArgKind::Text(16)),
        Piece::Literal(b"\n".to_vec()),
    ];
    Image {
        maps: vec![
            map("events", MapKind::Ringbuf, 0, 0, 1 << 16, MapRole::Events),
            map("control", MapKind::Ringbuf, 0, 0, record::CONTROL_RING, MapRole::Control),
            map("state", MapKind::Array, 4, state::loss(1), 1, MapRole::State),
        ],
        programs: vec![code.program(attach)],
        formats: vec![Format { pieces }],
        state_size: state::loss(1),
        losses: vec![Loss::EventsFull(0)],
        ..Image::default()
    }
}

/// `stacks[backtrace()] <<< 1` in all but the counting: keeps the last stack under one handle.
pub fn keeping_stacks(attach: Attach, probe: &str) -> Image {
    const FRAMES: u32 = 32;
    let value = intern::stack::size(FRAMES);
    let code = Code::default()
        .copy(6, 1)
        .store_imm(10, -8, 0)
        .map(1, 1, None)
        .frame(2, -8)
        .call(helper::MAP_LOOKUP_ELEM)
        .jump(JUMP_IF_ZERO, 0, "out")
        .copy(7, 0)
        .copy(1, 6)
        .copy(2, 7)
        .op(0x07, 2, 0, 0, 8)
        .set(3, 8 * FRAMES as i32)
        .set(4, 0)
        .call(helper::GET_STACK)
        .op(0x77, 0, 0, 0, 3)
        .store(7, 0, 0)
        .store_imm(10, -8, 77)
        .map(1, 0, None)
        .frame(2, -8)
        .copy(3, 7)
        .set(4, 0)
        .call(helper::MAP_UPDATE_ELEM)
        .label("out")
        .exit();
    let mut program = code.program(attach);
    program.probe = probe.into();
    Image {
        maps: vec![
            map("stacks", MapKind::Hash, 8, value, 16, MapRole::Stacks),
            map("scratch", MapKind::PercpuArray, 4, value, 1, MapRole::Scratch),
        ],
        programs: vec![program],
        stack_frames: FRAMES,
        ..Image::default()
    }
}
