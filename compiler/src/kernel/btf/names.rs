//! What BTF calls by a name beside types: constants of enumerations, and variables.

use super::{Btf, Kind, Type, TypeId, word};

/// A variable of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its type.
    pub ty: TypeId,
    /// Each CPU has one of its own.
    pub per_cpu: bool,
}

impl<'a> Btf<'a> {
    /// The value of an enumeration's constant.
    pub fn constant(&'a self, name: &str) -> Option<i64> {
        let types = self.walk().map(|(_, at, info)| Type { btf: self, root: self, at, info });
        let mut enumerations = types.filter(|ty| matches!(ty.kind(), Kind::Enum | Kind::Enum64));
        enumerations.find_map(|ty| ty.constants().find(|(own, _)| *own == name).map(|(_, value)| value))
    }

    /// The first type that is a pointer to this one.
    pub fn pointer_to(&'a self, target: TypeId) -> Option<TypeId> {
        let is_it = |ty: &Type| ty.kind() == Kind::Ptr && ty.target() == target;
        self.walk()
            .find(|(_, at, info)| is_it(&Type { btf: self, root: self, at: *at, info: *info }))
            .map(|(id, ..)| id)
    }

    /// A variable by its name.
    pub fn variable(&'a self, name: &str) -> Option<Variable> {
        let id = self.find(Kind::Var, name)?;
        let ty = self.get(id)?.target();
        let per_cpu = self.find(Kind::Datasec, ".data..percpu").and_then(|section| self.get(section));
        Some(Variable { ty, per_cpu: per_cpu.is_some_and(|section| section.variables().any(|one| one == id)) })
    }
}

impl<'a> Type<'a> {
    /// Names and values of an enumeration.
    fn constants(&self) -> impl Iterator<Item = (&'a str, i64)> + use<'a> {
        let (btf, at, signed) = (self.btf, self.at, self.is_signed());
        let (size, long) = if self.kind() == Kind::Enum64 { (12, true) } else { (8, false) };
        (0..self.len()).map(move |nth| {
            let at = at + 12 + size * nth;
            let low = word(&btf.data, at + 4);
            let value = match (long, signed) {
                (true, _) => (u64::from(word(&btf.data, at + 8)) << 32 | u64::from(low)) as i64,
                (false, true) => i64::from(low as i32),
                (false, false) => i64::from(low),
            };
            (btf.string(word(&btf.data, at)), value)
        })
    }

    /// The variables of a section.
    fn variables(&self) -> impl Iterator<Item = TypeId> + use<'a> {
        let (btf, at) = (self.btf, self.at);
        (0..self.len()).map(move |nth| word(&btf.data, at + 12 + 12 * nth))
    }
}
