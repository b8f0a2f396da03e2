//! What a script calls by name: types (`@cast`), the kernel's variables (`@var`) and constants (`@enum`, `@const`).
//!
//! Addresses of variables are in the kernel's table of symbols; BTF tells the types of those that each CPU has one of,
//! and of all on kernels that were built so.

use super::{Step, binary, load, split_pretty};
use crate::check::builder::Builder;
use crate::hir::{Arith, Expr, ExprKind};
use crate::intrinsic;
use crate::kernel::btf::{Btf, Kind, TypeId, Variable};
use crate::probe::unsupported;
use tapster_lang::ast::{self, Access, Ident, Literal};
use tapster_lang::{Diagnostic, Span};

/// The table of what is added to the address of a variable that each CPU has one of (include/asm-generic/percpu.h).
const PER_CPU_OFFSETS: &str = "__per_cpu_offset";

/// Numbers as people write them, and as compilers do.
const SPELLINGS: &[(&str, &str)] = &[
    ("long", "long int"),
    ("unsigned long", "long unsigned int"),
    ("long long", "long long int"),
    ("unsigned long long", "long long unsigned int"),
    ("unsigned", "unsigned int"),
    ("short", "short int"),
    ("unsigned short", "short unsigned int"),
];

impl Builder<'_, '_> {
    /// `@cast(e, "type")->member`: a path from any address.
    pub(in crate::check) fn cast(
        &mut self,
        value: &ast::Expr,
        ty: &(Vec<u8>, Span),
        module: Option<&(Vec<u8>, Span)>,
        path: &[Access],
        span: Span,
    ) -> Option<Expr> {
        let (path, pretty) = split_pretty(path);
        let step = self.cast_step(value, ty, module, path, span)?;
        if path.is_empty() && pretty.is_none() {
            // The pointer itself, which brings its type along from now on.
            return Some(Expr { pointee: Some(step.ty), span, ..step.value });
        }
        self.shown(step, pretty, span)
    }

    pub(super) fn cast_step(
        &mut self,
        value: &ast::Expr,
        (name, _): &(Vec<u8>, Span),
        module: Option<&(Vec<u8>, Span)>,
        path: &[Access],
        span: Span,
    ) -> Option<Step> {
        let name = String::from_utf8_lossy(name);
        let Some(ty) = self.type_in(module, &name) else {
            // What no kernel can have is said before what this one does not.
            self.kernels_own(module)?;
            let module = module.map_or("".into(), |(module, _)| String::from_utf8_lossy(module));
            return self.refuse(
                Diagnostic::error("target::no-type", format!("type definition '{name}' not found in '{module}'"))
                    .label(span, format!("`{name}` is not a type of this kernel's BTF")),
            );
        };
        let value = self.expr(value);
        self.follow_pointer(value, ty, path, span)
    }

    /// A type of the first of these modules that has it. Where none is named, those that a script's probes stand in come
    /// behind the kernel.
    fn type_in(&self, module: Option<&(Vec<u8>, Span)>, name: &str) -> Option<TypeId> {
        let btf = self.btf?;
        let Some((modules, _)) = module.filter(|(modules, _)| !modules.is_empty()) else {
            return named_type(btf, name).or_else(|| btf.modules().find_map(|module| named_type(module, name)));
        };
        modules.split(|byte| *byte == b':').find_map(|module| match is_kernel(module) {
            true => named_type(btf, name),
            false if self.has_module(module) => {
                let module = core::str::from_utf8(module).ok()?;
                named_type(btf.module(module, self.cx.world.btf(module)?)?, name)
            }
            false => None,
        })
    }

    /// Refuses what other modules than the kernel and its own have.
    fn kernels_own(&mut self, module: Option<&(Vec<u8>, Span)>) -> Option<()> {
        let is_own = |one: &[u8]| is_kernel(one) || self.has_module(one);
        match module {
            Some((module, at)) if !module.split(|byte| *byte == b':').any(is_own) => {
                self.refuse(unsupported("types of other modules than the kernel and those it has loaded", *at))
            }
            _ => Some(()),
        }
    }

    fn has_module(&self, name: &[u8]) -> bool {
        let is_path = name.contains(&b'/');
        !is_path && core::str::from_utf8(name).is_ok_and(|name| self.cx.world.btf(name).is_some())
    }

    /// `@var("name")` with what follows it.
    pub(super) fn global_step(
        &mut self,
        (name, at): &(Vec<u8>, Span),
        module: Option<&(Vec<u8>, Span)>,
        path: &[Access],
        span: Span,
    ) -> Option<Step> {
        self.kernels_own(module)?;
        let name = String::from_utf8_lossy(name);
        // `name@file.c`: the kernel's tables do not tell files.
        let name = name.split('@').next().unwrap_or_default();
        let known = self.btf.and_then(|btf| btf.variable(name));
        let Some(address) = self.symbol(name) else {
            let message = format!("unable to find global '{name}' in kernel");
            let error = Diagnostic::error("target::no-global", message).label(*at, "not among the kernel's symbols");
            return self.refuse(error.help("/proc/kallsyms has variables where CONFIG_KALLSYMS_ALL is set, for root"));
        };
        let address = Expr::long(address, span);
        let value = match known {
            Some(Variable { per_cpu: true, .. }) => self.on_this_cpu(address, span)?,
            _ => address,
        };
        let ty = known.map_or(0, |known| known.ty);
        let step = Step { value, ty, is_address: true, typed: false };
        self.follow(step, path, span)
    }

    /// `@var("name")->member`: what is there.
    pub(in crate::check) fn global_variable(
        &mut self,
        name: &(Vec<u8>, Span),
        module: Option<&(Vec<u8>, Span)>,
        path: &[Access],
        span: Span,
    ) -> Option<Expr> {
        let (path, pretty) = split_pretty(path);
        let step = self.global_step(name, module, path, span)?;
        if step.ty == 0 {
            let name = String::from_utf8_lossy(&name.0).into_owned();
            let error = Diagnostic::error("target::no-global", format!("the type of '{name}' is not known"));
            let help = format!("BTF does not tell it: say it, as in @cast(&@var(\"{name}\"), \"long\")[0]");
            return self.refuse(error.label(span, "an address without a type").help(help));
        }
        self.shown(step, pretty, span)
    }

    /// The address of a symbol of the kernel.
    fn symbol(&self, name: &str) -> Option<i64> {
        let mut symbols = self.cx.world.symbols()?.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (address, _, symbol) = (words.next()?, words.next()?, words.next()?);
            (symbol == name && words.next().is_none()).then_some(address)
        });
        let address = u64::from_str_radix(symbols.next()?, 16).ok()?;
        // Who may not know the addresses reads zeros.
        (address != 0).then_some(address as i64)
    }

    /// The place of this CPU's variable.
    fn on_this_cpu(&mut self, address: Expr, span: Span) -> Option<Expr> {
        let Some(offsets) = self.symbol(PER_CPU_OFFSETS) else {
            let message = format!("unable to find global '{PER_CPU_OFFSETS}' in kernel");
            return self.refuse(Diagnostic::error("target::no-global", message).label(span, "each CPU has its own"));
        };
        let cpu = Expr::new(ExprKind::Intrinsic(intrinsic::find("cpu")?, Vec::new()), span);
        let nth = binary(Arith::Mul, cpu, Expr::long(8, span), span);
        let value = binary(Arith::Add, Expr::long(offsets, span), nth, span);
        let offset = load(&Step { value, ty: 0, is_address: true, typed: false }, 8, false, None, span);
        Some(binary(Arith::Add, address, offset, span))
    }

    /// `@enum("NAME")`, `@const("NAME")`.
    pub(in crate::check) fn constant(&mut self, operator: &Ident, args: &[ast::Expr], span: Span) -> Option<Expr> {
        let [ast::Expr { kind: ast::ExprKind::Literal(Literal::String(name)), span: at, .. }] = args else {
            return None;
        };
        let name = String::from_utf8_lossy(name);
        if let Some(value) = self.btf.and_then(|btf| btf.constant(&name)) {
            return Some(Expr::long(value, span));
        }
        let message = format!("unable to find '{name}' for {}", operator.name);
        let error = Diagnostic::error("target::no-constant", message).label(*at, "in no enumeration of this kernel");
        self.refuse(
            error.help("BTF knows the constants of enumerations; those of `#define` are gone: write the number"),
        )
    }
}

/// Whether a module's name is one for the kernel itself, perhaps with a header.
fn is_kernel(module: &[u8]) -> bool {
    module.is_empty() || module == b"kernel" || module.starts_with(b"kernel<")
}

/// The type with this name, as C writes it: `struct task_struct`, or without the word. A pointer's name stands for what
/// it points to, as the value is that pointer.
fn named_type(btf: &Btf, name: &str) -> Option<TypeId> {
    let name = name.trim();
    if let Some(pointee) = name.strip_suffix('*') {
        let found = named_type(btf, pointee)?;
        return if pointee.trim().ends_with('*') { btf.pointer_to(found) } else { Some(found) };
    }
    let name = SPELLINGS.iter().find(|(spelling, _)| *spelling == name).map_or(name, |(_, name)| name);
    let kinds: &[Kind] = &[Kind::Struct, Kind::Union, Kind::Typedef, Kind::Enum, Kind::Int];
    let (words, rest) = match name.split_once(' ') {
        Some(("struct", rest)) => (&kinds[..1], rest.trim()),
        Some(("union", rest)) => (&kinds[1..2], rest.trim()),
        Some(("enum", rest)) => (&kinds[3..4], rest.trim()),
        _ => (kinds, name),
    };
    let wanted: Vec<(Kind, &str)> = words.iter().map(|kind| (*kind, rest)).collect();
    btf.find_all(&wanted).into_iter().flatten().next()
}
