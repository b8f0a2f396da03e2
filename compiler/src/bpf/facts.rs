//! What is known of each value before selection starts.
//!
//! One forward pass finds the values that need no register of their own: constants, stack addresses, maps and function
//! addresses (made anew at each use, which keeps the four registers that survive calls for what must survive), block parameters
//! that only ever stand for one value, extensions and reductions that change no bit. It also finds which bits of a register
//! may be set, because values of 8 and 16 bits are extended only where somebody looks at the upper bits. It claims nothing the
//! verifier does not find out too: that forgets everything about a quotient, so a quotient is extended like anything unknown.
use super::flow::Flow;
use super::{CompileError, Pseudo, Resolver, Symbol};
use cranelift_codegen::entity::{EntityRef, SecondaryMap};
use cranelift_codegen::ir::{
    self, ExternalName, Function, Inst, InstructionData, Opcode, StackSlot, Type, Value, ValueDef,
};

/// How a value comes into a register.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// An instruction computes it, or a block receives it.
    Computed,
    /// `base + offset`: computed too, but a memory access takes it apart.
    Sum {
        base: Value,
        offset: i32,
    },
    /// A constant; those narrower than 64 bits are zero-extended.
    Const(i64),
    /// An address in the frame, relative to the frame pointer.
    Frame(i32),
    Map(usize),
    MapValue {
        map: usize,
        offset: u32,
    },
    Func(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    /// The value whose register holds this one.
    pub(super) value: Value,
    /// Bits of that register from this one up are zero.
    pub(super) width: u8,
    pub(super) form: Form,
}

/// What the edges into a block pass for one of its parameters.
#[derive(Clone, Copy)]
enum Arrived {
    Nothing,
    One(Fact),
    Several,
}

pub(super) struct Facts<'a> {
    func: &'a Function,
    resolve: Resolver<'a>,
    facts: Vec<Fact>,
    slots: SecondaryMap<StackSlot, Option<i32>>,
    frame: u32,
}

impl<'a> Facts<'a> {
    pub(super) fn of(func: &'a Function, flow: &Flow, resolve: Resolver<'a>) -> Result<Self, CompileError> {
        let unknown = |i| Fact { value: Value::new(i), width: 64, form: Form::Computed };
        let facts = (0..func.dfg.num_values()).map(unknown).collect();
        let mut all = Self { func, resolve, facts, slots: SecondaryMap::new(), frame: 0 };
        for (number, node) in flow.nodes.iter().enumerate() {
            let Some(block) = node.body else { continue };
            all.block_params(flow, number, block);
            for inst in func.layout.block_insts(block) {
                all.visit(inst)?;
            }
        }
        Ok(all)
    }

    pub(super) fn get(&self, value: Value) -> Fact {
        self.facts[self.func.dfg.resolve_aliases(value).index()]
    }

    pub(super) fn constant(&self, value: Value) -> Option<i64> {
        match self.get(value).form {
            Form::Const(k) => Some(k),
            _ => None,
        }
    }

    pub(super) fn bits(&self, value: Value) -> u32 {
        self.func.dfg.value_type(value).bits()
    }

    /// Whether the register of a value has nothing above the value's type.
    pub(super) fn is_zero_extended(&self, value: Value) -> bool {
        u32::from(self.get(value).width) <= self.bits(value)
    }

    /// The instruction that computes a value, if the value is its first result.
    pub(super) fn def(&self, value: Value) -> Option<&'a InstructionData> {
        match self.func.dfg.value_def(self.get(value).value) {
            ValueDef::Result(inst, 0) => Some(&self.func.dfg.insts[inst]),
            _ => None,
        }
    }

    /// Bytes of the stack slots that reachable code mentions, each rounded up to eight.
    pub(super) fn frame_bytes(&self) -> u32 {
        self.frame
    }

    /// A parameter that gets the same value from everywhere is that value. This keeps the context pointer out of phis, where
    /// the verifier does not accept it.
    fn block_params(&mut self, flow: &Flow, number: usize, block: ir::Block) {
        let pool = &self.func.dfg.value_lists;
        let params = self.func.dfg.block_params(block);
        let mut arrived = vec![Arrived::Nothing; params.len()];
        for call in flow.incoming(number) {
            for ((arg, param), arrived) in call.args(pool).zip(params).zip(&mut arrived) {
                let Some(arg) = arg.as_value().map(|arg| self.get(arg)) else { continue };
                *arrived = match *arrived {
                    one if arg.value == *param => one,
                    Arrived::Nothing => Arrived::One(arg),
                    Arrived::One(fact) if same(&fact, &arg) => Arrived::One(fact),
                    _ => Arrived::Several,
                };
            }
        }
        for (param, arrived) in params.iter().zip(arrived) {
            let ty = self.func.dfg.value_type(*param);
            let own = self.computed(*param, passed_width(ty));
            self.facts[param.index()] = if let Arrived::One(fact) = arrived { fact } else { own };
        }
    }

    fn visit(&mut self, inst: Inst) -> Result<(), CompileError> {
        let [result] = *self.func.dfg.inst_results(inst) else { return Ok(()) };
        let data = &self.func.dfg.insts[inst];
        let ty = self.func.dfg.value_type(result);
        let fact = match data {
            InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => self.constant_fact(result, imm.bits()),
            InstructionData::Unary { opcode, arg } => self.unary(result, *opcode, *arg),
            InstructionData::Binary { opcode, args } => self.binary(result, *opcode, *args),
            InstructionData::IntCompare { .. } => self.computed(result, 1),
            InstructionData::Ternary { opcode: Opcode::Select | Opcode::SelectSpectreGuard, args } => {
                self.computed(result, self.get(args[1]).width.max(self.get(args[2]).width))
            }
            InstructionData::Load { opcode, .. } => self.computed(result, loaded_width(*opcode, ty)),
            InstructionData::StackAddr { stack_slot, offset, .. } => {
                let offset = self.slot(*stack_slot).saturating_add(i32::from(*offset));
                Fact { value: result, width: 64, form: Form::Frame(offset) }
            }
            InstructionData::UnaryGlobalValue { opcode: Opcode::SymbolValue, .. }
            | InstructionData::FuncAddr { .. } => Fact { value: result, width: 64, form: self.address(inst)? },
            InstructionData::Call { .. } => self.computed(result, passed_width(ty)),
            _ => self.computed(result, computed_width(ty)),
        };
        self.facts[result.index()] = fact;
        Ok(())
    }

    fn computed(&self, value: Value, width: u8) -> Fact {
        Fact { value, width, form: Form::Computed }
    }

    fn constant_fact(&self, value: Value, k: i64) -> Fact {
        let k = k & mask(self.bits(value));
        Fact { value, width: (64 - k.leading_zeros()) as u8, form: Form::Const(k) }
    }

    fn unary(&self, result: Value, opcode: Opcode, arg: Value) -> Fact {
        let (from, to) = (self.bits(arg), self.bits(result));
        let known = self.get(arg);
        match (opcode, known.form) {
            (Opcode::Uextend, Form::Const(k)) => self.constant_fact(result, k),
            (Opcode::Sextend, Form::Const(k)) => self.constant_fact(result, sign_extend(k, from)),
            (Opcode::Ireduce, Form::Const(k)) => self.constant_fact(result, k),
            (Opcode::Uextend, _) if u32::from(known.width) <= from => known,
            (Opcode::Uextend, _) => self.computed(result, from as u8),
            // Narrow values may have anything above them; 32-bit ones may not.
            (Opcode::Ireduce, _) if to < 32 || known.width <= 32 => known,
            // A sign bit known to be zero makes sign extension the same as zero extension.
            (Opcode::Sextend, _) if u32::from(known.width) < from => known,
            (Opcode::Popcnt | Opcode::Clz | Opcode::Ctz, _) => self.computed(result, 8),
            _ => self.computed(result, computed_width(self.func.dfg.value_type(result))),
        }
    }

    fn binary(&self, result: Value, opcode: Opcode, [a, b]: [Value; 2]) -> Fact {
        let (x, y) = (self.get(a), self.get(b));
        let bits = self.bits(result) as u8;
        let (smaller, larger) = (x.width.min(y.width), x.width.max(y.width));
        let width = match opcode {
            Opcode::Iadd => return self.sum(result, x, y),
            // A mask that changes nothing stays: it is what tells the verifier.
            Opcode::Band => smaller,
            Opcode::Ishl => match y.form {
                Form::Const(0) if bits >= 32 => return x,
                Form::Const(k) => x.width.saturating_add(k as u8 & (bits - 1)),
                _ => 64,
            },
            Opcode::Bor | Opcode::Bxor => larger,
            // One of the two registers, with whatever a narrow value has above it.
            Opcode::Umin if bits >= 32 => return self.computed(result, smaller),
            Opcode::Umin | Opcode::Umax | Opcode::Smin | Opcode::Smax => return self.computed(result, larger),
            Opcode::Ushr => match y.form {
                Form::Const(k) => x.width.min(bits).saturating_sub(k as u8 & (bits - 1)),
                _ => x.width.min(bits),
            },
            _ => 64,
        };
        self.computed(result, width.min(computed_width(self.func.dfg.value_type(result))))
    }

    fn sum(&self, result: Value, x: Fact, y: Fact) -> Fact {
        let width = computed_width(self.func.dfg.value_type(result));
        let (base, k) = match (x.form, y.form) {
            (Form::Const(a), Form::Const(b)) => return self.constant_fact(result, a.wrapping_add(b)),
            (_, Form::Const(0)) if width == 64 => return x,
            (Form::Const(0), _) if width == 64 => return y,
            (_, Form::Const(k)) => (x, k),
            (Form::Const(k), _) => (y, k),
            _ => return self.computed(result, width),
        };
        let Some(k) = i32::try_from(k).ok().filter(|_| width == 64) else { return self.computed(result, width) };
        let form = match base.form {
            Form::Const(_) => None,
            Form::Frame(offset) => offset.checked_add(k).map(Form::Frame),
            Form::MapValue { map, offset } => offset.checked_add_signed(k).map(|offset| Form::MapValue { map, offset }),
            Form::Sum { base, offset } => offset.checked_add(k).map(|offset| Form::Sum { base, offset }),
            Form::Computed | Form::Map(_) | Form::Func(_) => Some(Form::Sum { base: base.value, offset: k }),
        };
        Fact { value: result, width, form: form.unwrap_or(Form::Computed) }
    }

    fn slot(&mut self, slot: StackSlot) -> i32 {
        if self.slots[slot].is_none() {
            let size = self.func.sized_stack_slots[slot].size.next_multiple_of(8);
            self.frame = self.frame.saturating_add(size);
            self.slots[slot] = Some(0i32.saturating_sub_unsigned(self.frame));
        }
        self.slots[slot].unwrap_or_default()
    }

    /// What a `symbol_value` or `func_addr` is the address of.
    fn address(&self, inst: Inst) -> Result<Form, CompileError> {
        let reject = |reason| CompileError::Operand { reason, inst: self.func.dfg.display_inst(inst).to_string() };
        let (name, addend) = match self.func.dfg.insts[inst] {
            InstructionData::FuncAddr { func_ref, .. } => (&self.func.dfg.ext_funcs[func_ref].name, 0),
            InstructionData::UnaryGlobalValue { global_value, .. } => match &self.func.global_values[global_value] {
                ir::GlobalValueData::Symbol { name, offset, .. } => (name, offset.bits()),
                _ => return Err(reject("only symbols have an address")),
            },
            _ => return Err(reject("no address")),
        };
        let symbol = symbol(self.func, self.resolve, name).ok_or_else(|| reject("the name is not of the user's"))?;
        match symbol {
            Symbol::MapValue { map, offset } => {
                let offset = i64::from(offset).checked_add(addend).and_then(|o| u32::try_from(o).ok());
                offset
                    .map(|offset| Form::MapValue { map, offset })
                    .ok_or_else(|| reject("the offset is not in the value"))
            }
            _ if addend != 0 => Err(reject("only a map value has parts")),
            Symbol::Map(map) => Ok(Form::Map(map)),
            Symbol::Subprogram(f) | Symbol::Pseudo(Pseudo::FuncAddr(f)) => Ok(Form::Func(f)),
            _ => Err(reject("this symbol has no address")),
        }
    }
}

/// Asks what an external name stands for; only names of the user namespace stand for anything.
pub(super) fn symbol(func: &Function, resolve: Resolver, name: &ExternalName) -> Option<Symbol> {
    let ExternalName::User(name) = name else { return None };
    let name = &func.params.user_named_funcs()[*name];
    Some(resolve(name.namespace, name.index))
}

/// All bits of a type.
pub(super) fn mask(bits: u32) -> i64 {
    if bits >= 64 { -1 } else { (1 << bits) - 1 }
}

/// The low `bits` of `k` as a signed number.
pub(super) fn sign_extend(k: i64, bits: u32) -> i64 {
    let unused = 64 - bits.min(64);
    (k << unused) >> unused
}

fn same(a: &Fact, b: &Fact) -> bool {
    a.value == b.value || (a.form == b.form && !matches!(a.form, Form::Computed | Form::Sum { .. }))
}

/// What comes from another block or function: 32-bit values are zero-extended, narrower ones are as they are.
fn passed_width(ty: Type) -> u8 {
    if ty.bits() == 32 { 32 } else { 64 }
}

/// Narrow operations run on 32 bits, and those clear the upper half.
fn computed_width(ty: Type) -> u8 {
    if ty.bits() <= 32 && ty.is_int() { 32 } else { 64 }
}

fn loaded_width(opcode: Opcode, ty: Type) -> u8 {
    match opcode {
        Opcode::Load => ty.bits().min(64) as u8,
        Opcode::Uload8 => 8,
        Opcode::Uload16 => 16,
        Opcode::Uload32 => 32,
        _ => computed_width(ty),
    }
}
