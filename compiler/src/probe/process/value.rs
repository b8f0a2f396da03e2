//! What arguments of process probes are worked out of: registers and memory of the process.

use crate::hir::{ArgSource, Arith, Computed, Expr, ExprKind, Load, Type};
use crate::intrinsic::Memory;
use tapster_lang::Span;

/// A number that is worked out.
#[derive(Clone, Debug)]
pub struct Value(Expr);

fn number(kind: ExprKind) -> Value {
    Value(Expr { ty: Type::Long, ..Expr::new(kind, Span::NONE) })
}

impl Value {
    /// A number that is known.
    pub fn constant(number: i64) -> Value {
        Value(Expr::long(number, Span::NONE))
    }

    /// The low bytes of the register saved at this offset.
    pub fn register(offset: u32, size: u8, signed: bool) -> Value {
        let source = ArgSource::Register(offset);
        number(ExprKind::Arg { source, size, signed, typed: false })
    }

    /// Arithmetic.
    pub fn arith(self, op: Arith, other: Value) -> Value {
        let kind = ExprKind::Arith(op, Box::new(self.0), Box::new(other.0));
        number(kind)
    }

    /// With bytes added.
    pub fn plus(self, bytes: i64) -> Value {
        if bytes == 0 { self } else { self.arith(Arith::Add, Value::constant(bytes)) }
    }

    /// The number in the process's memory at this address.
    pub fn read(self, size: u8, signed: bool) -> Value {
        let load = Load {
            memory: Memory::User,
            base: Box::new(self.0),
            offset: 0,
            size,
            signed,
            bits: None,
            direct: false,
            field: String::new(),
        };
        number(ExprKind::Load(load))
    }

    /// The argument that this is.
    pub fn source(self) -> ArgSource {
        ArgSource::Value(Computed(Box::new(self.0)))
    }
}
