//! Where a variable is: DWARF's expressions become expressions over saved registers and the process's memory.

use super::{Debug, Place, Slice, Space, Unit};
use crate::hir::{ArgSource, Arith};
use crate::probe::process::register;
use crate::probe::process::value::Value;
use gimli::{AttributeValue, CfaRule, Expression, Operation, constants};

/// Expressions within each other.
const NESTING_MAX: u32 = 8;
/// Values that an expression may hold, and operations that it may have.
const OPERATIONS_MAX: usize = 256;

/// Where a variable is.
enum Location {
    /// At an address.
    Memory(Value),
    /// It is this number.
    Value(Value),
}

/// Where what a function gives back is, whatever it is.
pub fn result() -> ArgSource {
    ArgSource::Register(register::RESULTS[0].offset)
}

/// An instruction of a function.
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    /// The function.
    pub function: Place,
    /// Where the function begins: registers have the values there that its caller gave them.
    pub entry: u64,
    /// The instruction.
    pub address: u64,
}

impl<'d> Debug<'d> {
    /// Where a variable is at an instruction; `None` where that is not known.
    pub fn locate(&self, variable: Place, at: Instruction) -> Option<ArgSource> {
        let size = self.size(self.type_of(variable)?)?;
        let address = at.address;
        if let Some((constant, _)) = self.attribute(variable, constants::DW_AT_const_value) {
            let number = constant.sdata_value().or_else(|| constant.udata_value().map(|number| number as i64))?;
            return Some(Value::constant(number).source());
        }
        let expression = self.expression(variable, address)?;
        let evaluation = self.evaluation(at, variable);
        match evaluation.run(expression, size.bytes)? {
            Location::Memory(address) => Some(address.memory()),
            Location::Value(value) => size.number().map(|(bytes, signed)| value.narrowed(bytes, signed).source()),
        }
    }

    /// Where the call of a function goes back to, at an instruction of it.
    pub fn goes_back_to(&self, at: Instruction) -> Option<Value> {
        if cfg!(target_arch = "aarch64") {
            /// The link register, which a function may have saved once it has begun.
            const LINK: u32 = 240;
            return (at.address == at.entry).then(|| Value::register(LINK, 8, false));
        }
        let evaluation = self.evaluation(at, at.function);
        Some(evaluation.frame()?.plus(-8).read_of(self.memory(), 8, false))
    }

    /// What a function gives back, as it returns.
    pub fn result(&self, function: Place) -> Option<ArgSource> {
        let (bytes, signed) = self.size(self.type_of(function)?)?.number()?;
        Some(Value::register(register::RESULTS[0].offset, bytes, signed).source())
    }

    fn evaluation(&self, at: Instruction, said: Place) -> Evaluation<'_, 'd> {
        Evaluation { debug: self, at, dwarf: self.dwarf_of(said.unit), unit: self.unit(said), nesting: 0 }
    }

    /// Whether a variable lies on the stack for good, which holds only when the function has put it there.
    pub fn is_stored(&self, variable: Place) -> bool {
        matches!(self.attribute(variable, constants::DW_AT_location), Some((AttributeValue::Exprloc(expression), _))
            if matches!(expression.0.slice().first(), Some(0x91 | 0x70..=0x8f)))
    }

    fn expression(&self, variable: Place, address: u64) -> Option<Expression<Slice<'d>>> {
        let (value, at) = self.attribute(variable, constants::DW_AT_location)?;
        if let AttributeValue::Exprloc(expression) = value {
            return Some(expression);
        }
        let mut list = self.dwarf_of(at.unit).attr_locations(self.unit(at), value).ok()??;
        while let Ok(Some(entry)) = list.next() {
            if (entry.range.begin..entry.range.end).contains(&address) {
                return Some(entry.data);
            }
        }
        None
    }
}

struct Evaluation<'e, 'd> {
    debug: &'e Debug<'d>,
    at: Instruction,
    dwarf: &'e gimli::Dwarf<Slice<'d>>,
    unit: &'e Unit<'d>,
    nesting: u32,
}

impl<'d> Evaluation<'_, 'd> {
    fn run(&self, expression: Expression<Slice<'d>>, bytes: u32) -> Option<Location> {
        if self.nesting > NESTING_MAX {
            return None;
        }
        let mut stack: Vec<Value> = Vec::new();
        let mut operations = expression.operations(self.unit.encoding());
        for _ in 0..OPERATIONS_MAX {
            let Some(operation) = operations.next().ok()? else {
                return stack.pop().map(Location::Memory);
            };
            match operation {
                Operation::Register { register } => {
                    let value = self.register(register)?;
                    return self.whole(operations, Location::Value(value), bytes);
                }
                Operation::StackValue => {
                    let value = stack.pop()?;
                    return self.whole(operations, Location::Value(value), bytes);
                }
                Operation::ImplicitValue { data } => {
                    let mut number = [0; 8];
                    let bytes = data.slice();
                    number.get_mut(..bytes.len())?.copy_from_slice(bytes);
                    return Some(Location::Value(Value::constant(i64::from_le_bytes(number))));
                }
                // One piece for all of it is no piece.
                Operation::Piece { size_in_bits, bit_offset: None } if size_in_bits >= u64::from(bytes) * 8 => {
                    return stack.pop().map(Location::Memory);
                }
                operation => self.step(operation, &mut stack)?,
            }
        }
        None
    }

    /// A location that nothing follows but a piece for all of it.
    fn whole(&self, mut rest: gimli::OperationIter<Slice<'d>>, location: Location, bytes: u32) -> Option<Location> {
        match rest.next().ok()? {
            None => Some(location),
            Some(Operation::Piece { size_in_bits, bit_offset: None }) if size_in_bits >= u64::from(bytes) * 8 => {
                Some(location)
            }
            Some(_) => None,
        }
    }

    fn register(&self, number: gimli::Register) -> Option<Value> {
        register::by_number(number.0).map(|register| Value::register(register.offset, 8, false))
    }

    fn step(&self, operation: Operation<Slice<'d>>, stack: &mut Vec<Value>) -> Option<()> {
        let arith = |op: Arith, stack: &mut Vec<Value>| {
            let (right, left) = (stack.pop()?, stack.pop()?);
            Some(left.arith(op, right))
        };
        let value = match operation {
            Operation::UnsignedConstant { value } => Value::constant(value as i64),
            Operation::SignedConstant { value } => Value::constant(value),
            Operation::RegisterOffset { register, offset, .. } => self.register(register)?.plus(offset),
            Operation::FrameOffset { offset } => self.frame_base()?.plus(offset),
            Operation::CallFrameCFA => self.frame()?,
            Operation::PlusConstant { value } => stack.pop()?.plus(value as i64),
            Operation::Plus => arith(Arith::Add, stack)?,
            Operation::Minus => arith(Arith::Sub, stack)?,
            Operation::Mul => arith(Arith::Mul, stack)?,
            Operation::And => arith(Arith::And, stack)?,
            Operation::Or => arith(Arith::Or, stack)?,
            Operation::Xor => arith(Arith::Xor, stack)?,
            Operation::Shl => arith(Arith::Shl, stack)?,
            Operation::Shra => arith(Arith::Shr, stack)?,
            Operation::Neg => Value::constant(0).arith(Arith::Sub, stack.pop()?),
            Operation::Not => Value::constant(-1).arith(Arith::Xor, stack.pop()?),
            Operation::Deref { size, space: false, .. } if matches!(size, 1 | 2 | 4 | 8) => {
                stack.pop()?.read_of(self.debug.memory(), size, false)
            }
            Operation::Pick { index } => stack.get(stack.len().checked_sub(usize::from(index) + 1)?)?.clone(),
            Operation::Drop => return stack.pop().map(drop),
            Operation::Swap => {
                let last = stack.len().checked_sub(2)?;
                stack.swap(last, last + 1);
                return Some(());
            }
            Operation::Nop => return Some(()),
            Operation::EntryValue { expression } => self.at_entry(Expression(expression))?,
            Operation::Address { address } => self.fixed(address),
            Operation::AddressIndex { index } => self.fixed(self.dwarf.address(self.unit, index).ok()?),
            Operation::ConstantIndex { index } => Value::constant(self.dwarf.address(self.unit, index).ok()? as i64),
            // Integers of any type are 64 bits here, as at this point no gcc relies on a narrower one.
            Operation::Convert { .. } | Operation::Reinterpret { .. } => return Some(()),
            _ => return None,
        };
        stack.push(value);
        Some(())
    }

    /// Something that the file has at an address.
    fn fixed(&self, address: u64) -> Value {
        match self.debug.space {
            Space::Kernel(moved) => Value::constant(address.wrapping_add(moved) as i64),
            // Addresses move with the file; the instruction's own distance does not.
            Space::Process => {
                let instruction = Value::register(register::INSTRUCTION.offset, 8, false);
                instruction.plus((address as i64).wrapping_sub(self.at.address as i64))
            }
        }
    }

    /// What an expression was when the function was called: known as long as it has not gone on.
    fn at_entry(&self, expression: Expression<Slice<'d>>) -> Option<Value> {
        if self.at.address != self.at.entry {
            return None;
        }
        match self.inner().run(expression, 8)? {
            Location::Memory(value) | Location::Value(value) => Some(value),
        }
    }

    fn inner(&self) -> Evaluation<'_, 'd> {
        Evaluation { nesting: self.nesting + 1, ..*self }
    }

    /// `DW_AT_frame_base` of the function.
    fn frame_base(&self) -> Option<Value> {
        let (value, _) = self.debug.attribute(self.at.function, constants::DW_AT_frame_base)?;
        let AttributeValue::Exprloc(expression) = value else { return None };
        match self.inner().run(expression, 8)? {
            Location::Memory(value) | Location::Value(value) => Some(value),
        }
    }

    /// The stack's end before the call.
    fn frame(&self) -> Option<Value> {
        if self.at.address == self.at.entry {
            // The return address has been pushed where the architecture does that.
            let pushed = if cfg!(target_arch = "x86_64") { 8 } else { 0 };
            return Some(Value::register(register::STACK.offset, 8, false).plus(pushed));
        }
        match self.debug.frames.rule_at(self.at.address)? {
            CfaRule::RegisterAndOffset { register, offset } => Some(self.register(register)?.plus(offset)),
            CfaRule::Expression(_) => None,
        }
    }
}
