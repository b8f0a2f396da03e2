//! Types of modules: BTF that goes on where the kernel's ends.
//!
//! Every module counts its types and names from the same end on, so several cannot lie side by side as they are. Each is
//! copied once with numbers of its own, from [`MODULES`] on, and with the names it has from the kernel.

use super::{Btf, FOREIGN, Kind, TypeId, type_size, word};
use crate::world::KernelType;
use std::borrow::Cow;
use std::collections::HashMap;

/// Types from this number on, up to [`FOREIGN`], are those of modules.
pub const MODULES: TypeId = 1 << 20;

impl<'a> Btf<'a> {
    /// The types of a module, from its own BTF `data`, which is read once.
    pub fn module(&'a self, name: &str, data: &[u8]) -> Option<&'a Btf<'a>> {
        let mut at: &'a Btf<'a> = self;
        while let Some(next) = if at.first < MODULES { at.modules.get() } else { at.next.get() } {
            if next.module == name {
                return Some(next);
            }
            at = next;
        }
        let first = if at.first < MODULES { MODULES } else { at.end() };
        let blob = Split::new(self, data, first)?.renumbered();
        let added = Btf { module: name.into(), ..Btf::starting_at(first, Cow::Owned(blob))? };
        if added.end() > FOREIGN {
            return None;
        }
        let slot = if at.first < MODULES { &at.modules } else { &at.next };
        Some(slot.get_or_init(|| Box::new(added)))
    }

    /// The modules whose types are known so far.
    pub fn modules(&self) -> impl Iterator<Item = &Btf<'static>> {
        core::iter::successors(self.modules.get().map(|first| &**first), |module| module.next.get().map(|next| &**next))
    }

    /// The number that the first type of [`Btf::add_own`] must have.
    pub fn next_own(&self) -> TypeId {
        self.last_module().map_or(MODULES, Btf::end)
    }

    /// Adds types of the kernel that its BTF does not have, which know each other by their numbers from
    /// [`Btf::next_own`] on; gives whether it could.
    pub fn add_own(&self, data: Vec<u8>) -> bool {
        let Some(added) = Btf::starting_at(self.next_own(), Cow::Owned(data)) else { return false };
        let slot = self.last_module().map_or(&self.modules, |last| &last.next);
        added.end() <= FOREIGN && slot.set(Box::new(added)).is_ok()
    }

    fn last_module(&self) -> Option<&Btf<'static>> {
        self.modules().last()
    }

    /// A function or tracepoint as bpf(2) wants it named.
    pub fn kernel_type(&self, id: TypeId) -> KernelType {
        let mut at = self.modules.get();
        while let Some(module) = at {
            if (module.first..module.end()).contains(&id) {
                return KernelType { module: Some(module.module.clone()), id: id - module.first + self.end() };
            }
            at = module.next.get();
        }
        KernelType { module: None, id }
    }

    /// The number behind its last type.
    pub(super) fn end(&self) -> TypeId {
        *self.end.get_or_init(|| self.first + self.walk().count() as TypeId)
    }
}

/// The BTF of a module, on its way to numbers of its own.
struct Split<'a> {
    base: &'a Btf<'a>,
    own: Btf<'a>,
    /// Bytes of the kernel's names: the module's are counted from there on.
    names: u32,
    /// The number of the module's first type in its own BTF.
    before: TypeId,
    /// The same, afterwards.
    after: TypeId,
    /// Names of the kernel's that were copied.
    copied: HashMap<u32, u32>,
    strings: Vec<u8>,
}

impl<'a> Split<'a> {
    fn new(base: &'a Btf<'a>, data: &'a [u8], after: TypeId) -> Option<Split<'a>> {
        let before = base.end();
        let own = Btf::starting_at(before, Cow::Borrowed(data))?;
        let strings = own.data[own.strings..own.strings_end].to_vec();
        Some(Split {
            base,
            names: (base.strings_end - base.strings) as u32,
            own,
            before,
            after,
            copied: HashMap::new(),
            strings,
        })
    }

    fn renumbered(mut self) -> Vec<u8> {
        let mut types = self.own.data[self.own.types..self.own.types_end].to_vec();
        let places: Vec<(usize, u32)> = self.own.walk().map(|(_, at, info)| (at - self.own.types, info)).collect();
        for (at, info) in places {
            let Some(record) = types.get_mut(at..at + type_size(info)) else { break };
            self.record(record, info);
        }
        let header = [0xeb9f | 1 << 16, 24, 0, types.len() as u32, types.len() as u32, self.strings.len() as u32];
        let header = header.iter().flat_map(|word| word.to_le_bytes());
        header.chain(types).chain(self.strings).collect()
    }

    fn record(&mut self, record: &mut [u8], info: u32) {
        let kind = super::KINDS.get((info >> 24 & 0x1f) as usize).copied().unwrap_or(Kind::Void);
        self.name(record, 0);
        // Where numbers of types stand, where names do, and how far it is to the next member.
        let (types, names, stride): (&[usize], bool, usize) = match kind {
            Kind::Ptr
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::Func
            | Kind::Var
            | Kind::DeclTag
            | Kind::TypeTag => return self.number(record, 8),
            Kind::Array => {
                self.number(record, 12);
                return self.number(record, 16);
            }
            Kind::Struct | Kind::Union => (&[4], true, 12),
            Kind::FuncProto => {
                self.number(record, 8);
                (&[4], true, 8)
            }
            Kind::Enum => (&[], true, 8),
            Kind::Enum64 => (&[], true, 12),
            Kind::Datasec => (&[0], false, 12),
            Kind::Void | Kind::Int | Kind::Fwd | Kind::Float => return,
        };
        for member in record[12..].chunks_exact_mut(stride) {
            types.iter().for_each(|at| self.number(member, *at));
            if names {
                self.name(member, 0);
            }
        }
    }

    fn number(&self, record: &mut [u8], at: usize) {
        let id = word(record, at);
        if id >= self.before {
            record[at..at + 4].copy_from_slice(&(id - self.before).saturating_add(self.after).to_le_bytes());
        }
    }

    fn name(&mut self, record: &mut [u8], at: usize) {
        let asked = word(record, at);
        let new = match asked {
            // The kernel's empty name is the first of all, and the module has names of its own there.
            0 => self.copy(0),
            own if own >= self.names => own - self.names,
            kernels => self.copy(kernels),
        };
        record[at..at + 4].copy_from_slice(&new.to_le_bytes());
    }

    fn copy(&mut self, name: u32) -> u32 {
        let (base, strings) = (self.base, &mut self.strings);
        *self.copied.entry(name).or_insert_with(|| {
            let at = strings.len() as u32;
            strings.extend(base.string(name).bytes().chain([0]));
            at
        })
    }
}
