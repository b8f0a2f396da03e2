//! Whose events a probe is for, where the place itself is everybody's: a condition before the handler.

use crate::hir::{ArgSource, Compare, Expr, ExprKind, Type};
use crate::intrinsic;
use crate::kernel::btf::{Btf, Kind};
use crate::probe::site::{Resolver, text};
use tapster_lang::ast::{Component, Literal};
use tapster_lang::{Diagnostic, Span};

/// Parents of a process that are looked at: who is further down is no descendant.
const GENERATIONS: usize = 8;

/// The processes that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// All.
    Everybody,
    /// Those that run this program.
    Program(String),
    /// One.
    Process(u32),
    /// One with its descendants.
    Family(u32),
}

impl Who {
    /// The processes that the first part of a point names.
    pub fn read(part: &Component, resolver: &Resolver) -> Result<Who, Diagnostic> {
        match &part.arg {
            None => Ok(resolver.target.pid().map_or(Who::Everybody, Who::Family)),
            Some((Literal::Number(pid), at)) => match u32::try_from(*pid) {
                Ok(pid) if resolver.world.program_of(pid).is_some() => Ok(Who::Process(pid)),
                _ => Err(super::binary::no_process(*pid, *at)),
            },
            Some((Literal::String(_), _)) => {
                let (name, at) = text(part)?;
                resolver.world.executable(name).map(Who::Program).ok_or_else(|| super::binary::no_file(name, at))
            }
        }
    }

    /// As a point says it.
    pub fn shown(&self) -> String {
        match self {
            Who::Everybody | Who::Family(_) => "process".into(),
            Who::Program(path) => format!("process(\"{path}\")"),
            Who::Process(pid) => format!("process({pid})"),
        }
    }

    /// What holds for them alone; `None` where it holds for all.
    pub fn condition(&self, resolver: &Resolver, at: Span) -> Result<Option<Expr>, Diagnostic> {
        match self {
            Who::Everybody => Ok(None),
            Who::Process(pid) => Ok(Some(is(own("pid"), i64::from(*pid)))),
            Who::Program(path) => {
                let btf = resolver.btf(at)?;
                let (device, inode) = resolver.world.identity(path).ok_or_else(|| super::binary::no_file(path, at))?;
                let file = [("task_struct", "mm"), ("mm_struct", "exe_file"), ("file", "f_inode")];
                let number = walk(btf, &[&file[..], &[("inode", "i_ino")]].concat(), 8, at)?;
                let disk = walk(btf, &[&file[..], &[("inode", "i_sb"), ("super_block", "s_dev")]].concat(), 4, at)?;
                Ok(Some(both(is(number, inode as i64), is(disk, i64::from(device)))))
            }
            Who::Family(pid) => {
                let btf = resolver.btf(at)?;
                let mut condition = is(own("pid"), i64::from(*pid));
                for generation in 1..=GENERATIONS {
                    let mut path = vec![("task_struct", "real_parent"); generation];
                    path.push(("task_struct", "tgid"));
                    let parent = is(walk(btf, &path, 4, at)?, i64::from(*pid));
                    condition = number(ExprKind::Or(Box::new(condition), Box::new(parent)));
                }
                Ok(Some(condition))
            }
        }
    }
}

fn number(kind: ExprKind) -> Expr {
    Expr { ty: Type::Long, ..Expr::new(kind, Span::NONE) }
}

/// A fact of the current task, by the function that gives it.
pub fn own(function: &str) -> Expr {
    let intrinsic = intrinsic::find(function).expect("a function of the table");
    number(ExprKind::Intrinsic(intrinsic, Vec::new()))
}

/// Whether a number is another.
pub fn is(left: Expr, right: i64) -> Expr {
    let right = Expr::long(right, Span::NONE);
    number(ExprKind::Compare(Compare::Eq, Box::new(left), Box::new(right)))
}

/// Whether both hold.
pub fn both(left: Expr, right: Expr) -> Expr {
    number(ExprKind::And(Box::new(left), Box::new(right)))
}

/// Whether it does not hold.
pub fn not(condition: Expr) -> Expr {
    number(ExprKind::Not(Box::new(condition)))
}

/// What is reached from the current task through members of structures; the last one has so many bytes.
pub fn walk(btf: &Btf, path: &[(&str, &str)], size: u8, at: Span) -> Result<Expr, Diagnostic> {
    let offset = |(record, member): &(&str, &str)| {
        let record = btf.get(btf.find(Kind::Struct, record)?)?;
        record.member(member).map(|member| member.bit_offset / 8)
    };
    let offsets: Option<Vec<u32>> = path.iter().map(offset).collect();
    let offsets = offsets.ok_or_else(|| {
        Diagnostic::error("world::no-btf", "this kernel's BTF does not say which program a task runs")
            .label(at, "cannot be told from others")
    })?;
    let source = ArgSource::Reach(offsets);
    Ok(number(ExprKind::Arg { source, size, signed: false, typed: false }))
}
