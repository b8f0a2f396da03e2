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

    /// The n-th word of a tracepoint's arguments.
    pub fn word(nth: u32) -> Value {
        number(ExprKind::Arg { source: ArgSource::Word(nth), size: 8, signed: true, typed: true })
    }

    /// A member of the kernel's structure at this address, of which the verifier knows the type.
    pub fn member(self, offset: u32, size: u8) -> Value {
        let base = Box::new(self.0);
        let (memory, field) = (Memory::Kernel, String::new());
        let load = Load { memory, base, offset, size, signed: true, bits: None, direct: true, field };
        number(ExprKind::Load(load))
    }

    /// The expression.
    pub fn expr(self) -> Expr {
        self.0
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
        self.read_of(Memory::User, size, signed)
    }

    /// The number at this address of somebody's memory.
    pub fn read_of(self, memory: Memory, size: u8, signed: bool) -> Value {
        let load = Load {
            memory,
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

    /// Its low bytes.
    pub fn narrowed(self, bytes: u8, signed: bool) -> Value {
        let bits = 8 * i64::from(bytes);
        match self.0.kind {
            ExprKind::Arg { source: ArgSource::Register(offset), size: 8, .. } => {
                Value::register(offset, bytes, signed)
            }
            _ if bytes == 8 => self,
            _ if signed => {
                let up = self.arith(Arith::Shl, Value::constant(64 - bits));
                up.arith(Arith::Shr, Value::constant(64 - bits))
            }
            _ => self.arith(Arith::And, Value::constant((1 << bits) - 1)),
        }
    }

    /// The argument that this is.
    pub fn source(self) -> ArgSource {
        ArgSource::Value(Computed(Box::new(self.0)))
    }

    /// The argument that lies at this address.
    pub fn memory(self) -> ArgSource {
        ArgSource::Memory(Computed(Box::new(self.0)))
    }
}
